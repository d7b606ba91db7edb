"""Phasing: sums over everything on few sites, what draws are distributed as, and what users may do."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp

from emlib import data
from emlib.engine import em
from emlib.engine.latent import HARD, sampled
from emlib.models.phasing import ClusterModel, ClusterParams, ClusterPrior, Copying, Phaser, Votes, switch_errors
from emlib.models.phasing import cluster as cluster_module
from emlib.models.phasing.copying import Neighbours
from emlib.models.phasing.phaser import check_genotypes


@pytest.fixture(params=["compiled", "numpy"])
def twin(request, monkeypatch):
    """Both twins of the loops over pairs of paths."""
    if request.param == "compiled":
        pytest.importorskip("numba")
    monkeypatch.setenv("EMLIB_NUMBA", "1" if request.param == "compiled" else "0")
    cluster_module.kernels.cache_clear()
    yield request.param
    cluster_module.kernels.cache_clear()


@pytest.fixture
def kernels():
    pytest.importorskip("numba")
    return cluster_module.kernels()


# ------------------------------------------------------------------ clusters: all paths of a few sites


def some_params(L, K, seed=0):
    rng = np.random.default_rng(seed)
    return ClusterParams(rng.uniform(0.1, 0.9, (L, K)), rng.dirichlet(np.ones(K), L), rng.uniform(0.1, 0.6, L - 1))


def haplotype_paths(params):
    """All (clusters, jumps) of one haplotype with their log probability."""
    L, K = params.ones.shape
    for z in itertools.product(range(K), repeat=L):
        for jumped in itertools.product((0, 1), repeat=L - 1):
            value = np.log(params.targets[0, z[0]])
            for site, jump in enumerate(jumped, start=1):
                if not jump and z[site] != z[site - 1]:
                    break
                r = params.jump[site - 1]
                value += np.log(r * params.targets[site, z[site]] if jump else 1 - r)
            else:
                yield z, (1, *jumped), value


def everything(G, params):
    """Expected counts and log-likelihood, and the best joint, of genotypes G by summing over all that is hidden."""
    L, K = params.ones.shape
    paths = list(haplotype_paths(params))
    shown, jumps, total, best = np.zeros((2, L, K)), np.zeros((L, K)), 0.0, 0.0
    for g in G:
        logs, adds = [], []
        for (z, j, p), (y, i, q) in itertools.product(paths, repeat=2):
            for order in itertools.product(*[((0, 1), (1, 0)) if x == 1 else ((x // 2,) * 2,) for x in g]):
                value, alleles = p + q, np.zeros((2, L, K))
                for site, pair in enumerate(order):
                    if g[site] < 0:
                        continue
                    for state, allele in zip((z[site], y[site]), pair, strict=True):
                        value += np.log(params.ones[site, state] if allele else 1 - params.ones[site, state])
                        alleles[allele, site, state] += 1
                moved = np.zeros((L, K))
                np.add.at(moved, (range(L), z), j)
                np.add.at(moved, (range(L), y), i)
                logs.append(value)
                adds.append((alleles, moved))
        whole = logsumexp(logs)
        for value, (alleles, moved) in zip(logs, adds, strict=True):
            shown += np.exp(value - whole) * alleles
            jumps += np.exp(value - whole) * moved
        total += whole
        best += max(logs)
    return shown, jumps, total, best


@pytest.mark.parametrize(("L", "G"), [(3, [[1, 1, 2], [1, -1, 0]]), (4, [[1, 0, 1, 1]])])
def test_the_e_step_is_the_sum_over_all_paths(twin, L, G):
    params = some_params(L, 2)
    shown, jumps, total, best = everything(G, params)
    stats, value = ClusterModel().e_step(np.array(G), params)
    np.testing.assert_allclose(stats.shown, shown, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(stats.jumps, jumps, rtol=1e-12, atol=1e-13)
    assert value == pytest.approx(total, rel=1e-12)
    assert ClusterModel().e_step(np.array(G), params, HARD)[1] == pytest.approx(best, rel=1e-12)


def test_both_twins_draw_the_same(monkeypatch):
    pytest.importorskip("numba")
    rng = np.random.default_rng(1)
    G, params = rng.integers(-1, 3, (30, 12)), some_params(12, 4)
    found = []
    for choice in "10":
        monkeypatch.setenv("EMLIB_NUMBA", choice)
        cluster_module.kernels.cache_clear()
        stats, value = ClusterModel().e_step(G, params)
        drawn = ClusterModel().e_step(G, params, sampled(np.random.default_rng(2)))[0]
        found.append((stats.shown, stats.jumps, value, drawn.shown, drawn.jumps))
    cluster_module.kernels.cache_clear()
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


def test_logarithms_agree_with_powers():
    from emlib.models.phasing import pairs

    G, params = np.random.default_rng(1).integers(-1, 3, (9, 6)).astype(np.int8), some_params(6, 3)
    weights = ClusterModel()._weights(params)
    for t in (1.0, 2.0, 0.5):
        powers = pairs.Weights(*(part ** (1 / t) for part in (weights.stay, weights.jump, weights.show)))
        one, other = pairs.expect(G, powers), pairs.expect_in_logs(G, weights, t)
        for name in ("shown", "jumps", "values"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-10)


def test_clusters_climb_and_find_the_haplotypes_they_came_from():
    """Two haplotypes of twenty sites with few jumps: clusters become these two."""
    truth = ClusterParams(
        np.where(np.random.default_rng(3).random((20, 1)) < 0.5, [[0.98, 0.02]], [[0.02, 0.98]]),
        np.full((20, 2), 0.5),
        np.full(19, 0.05),
    )
    model, rng = ClusterModel(), np.random.default_rng(0)
    G = model.simulate(truth, 500, rng)
    fits = [em.fit(model, G, model.start(2, G, rng), max_iter=200, tol=1e-3) for _ in range(3)]
    best = max(fits, key=lambda fit: fit.log_likelihood)
    assert all(np.diff(fit.trace).min() > -1e-7 for fit in fits)
    assert best.log_likelihood > model.e_step(G, truth)[1]
    found = best.params.ones
    if found[0, 0] < 0.5:
        found = found[:, ::-1]
    if truth.ones[0, 0] < 0.5:
        found = found[:, ::-1]
    np.testing.assert_allclose(found, truth.ones, atol=0.06)


# ------------------------------------------------------------------ copying: what a sweep and a block move draw

PANEL = np.array([[0, 1, 1, 0, 1], [1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [1, 0, 0, 1, 1]])  # haplotypes of two people
ONE = np.array([1, 1, -1, 1, 2])  # the third, whose phase is drawn
RATES = np.array([0.5, 0.3, 0.2, 0.4, 0.25])
ERROR = 0.1


def copies():
    """The third person's heterozygotes at three of five sites, and four references who stay as they are."""
    G = np.concatenate([PANEL[0::2] + PANEL[1::2], [ONE]]).astype(np.int8)
    own = np.array([[1, 0, 0, 1, 1], [0, 1, 0, 0, 1]])
    H = np.concatenate([PANEL, own]).T.astype(np.uint8)
    return Copying(G, np.ascontiguousarray(H), RATES.copy(), ERROR, 10, cluster_module.kernels())


def log_copied(h, seen):
    """Log probability of a haplotype as a copy of the panel, over all paths; unseen sites say nothing."""
    total, K = [], len(PANEL)
    for z in itertools.product(range(K), repeat=len(h)):
        value = -np.log(K)
        for site in range(len(h)):
            if site:
                value += np.log((1 - RATES[site]) * (z[site] == z[site - 1]) + RATES[site] / K)
            if seen[site]:
                value += np.log(1 - ERROR if PANEL[z[site], site] == h[site] else ERROR)
        total.append(value)
    return logsumexp(total)


def exact():
    """Posterior of the phase at sites 0, 1 and 3: all orders, the first with its alternate allele on haplotype 0."""
    found = {}
    for b, c in itertools.product((0, 1), repeat=2):
        h = np.array([1, b, 0, c, 1])
        other = np.array([0, 1 - b, 0, 1 - c, 1])
        found[b, c] = log_copied(h, ONE >= 0) + log_copied(other, ONE >= 0)
    whole = logsumexp(list(found.values()))
    return {key: np.exp(value - whole) for key, value in found.items()}


def relative(copying):
    first = copying.haplotypes[:, 4]
    return int(first[1] == first[0]), int(first[3] == first[0])


def as_exact(counts, n):
    expected = exact()
    for key, p in expected.items():
        assert abs(counts.get(key, 0) / n - p) < 4.5 * np.sqrt(p * (1 - p) / n), (key, counts, expected)


def two_quiet_people(copying):
    """Their haplotypes as they were: only the third is of interest."""
    copying.haplotypes[:, :4] = PANEL.T
    copying.jump, copying.error = RATES.copy(), ERROR


def test_a_sweep_leaves_the_exact_posterior_as_it_is(kernels):
    """Started from the posterior, one sweep ends in it: independent draws, compared with the sum over all paths."""
    copying, rng, n, counts = copies(), np.random.default_rng(0), 6000, {}
    keys, p, jumps = list(exact()), list(exact().values()), []
    for pick in rng.choice(4, size=n, p=p):
        b, c = keys[pick]
        h = np.array([1, b, 0, c, 1])
        side = rng.integers(2)
        copying.haplotypes[:, 4 + side], copying.haplotypes[:, 5 - side] = h, [0, 1 - b, 0, 1 - c, 1]
        two_quiet_people(copying)
        jumps.append(visit(copying, rng))
        counts[relative(copying)] = counts.get(relative(copying), 0) + 1
    as_exact(counts, n)
    # ... and the jumps it expects on the way are, on average, those of the posterior
    expected = sum(
        q * (jumps_of(np.array([1, b, 0, c, 1])) + jumps_of(np.array([0, 1 - b, 0, 1 - c, 1])))
        for (b, c), q in exact().items()
    )
    error = np.std(jumps, axis=0) / np.sqrt(n)
    assert (np.abs(np.mean(jumps, axis=0) - expected) < 4.5 * error + 1e-6).all()


def visit(copying, rng):
    L, K, jumps = 5, 4, np.zeros(5)
    R, B = np.empty((L, K), np.uint8), np.empty((L, 2, K), np.float32)
    copying._visit(2, R, None, rng.random((L, 2)), B, jumps, np.zeros(2), False)
    return jumps


def jumps_of(h):
    """Posterior probability of a jump before each site of a haplotype, by matrices."""
    K = len(PANEL)
    show = np.where(h[:, None] == PANEL.T, 1 - ERROR, ERROR)
    show[ONE < 0] = 1.0
    moves = [(1 - r) * np.eye(K) + r / K for r in RATES]
    found = np.zeros(len(h))
    for site in range(1, len(h)):
        left = np.full(K, 1 / K) * show[0]
        for t in range(1, site):
            left = left @ moves[t] * show[t]
        right = show[-1] if site == len(h) - 1 else np.ones(K)
        for t in range(len(h) - 1, site, -1):
            right = moves[t] @ (right if t < len(h) - 1 else show[t]) * show[t - 1]
        found[site] = RATES[site] / K * left.sum() * right.sum() / (left @ moves[site] @ right)
    return found


def test_sweeps_reach_the_exact_posterior_from_anywhere(kernels):
    copying, rng, n, counts = copies(), np.random.default_rng(1), 6000, {}
    for _ in range(n):
        for _ in range(4):  # so that draws are nearly independent
            visit(copying, rng)
        counts[relative(copying)] = counts.get(relative(copying), 0) + 1
    as_exact(counts, n)


def test_a_block_move_draws_from_the_exact_posterior(kernels):
    copying, rng, n, counts = copies(), np.random.default_rng(2), 6000, {}
    for _ in range(n):
        two_quiet_people(copying)
        copying.block_move(rng, [2])
        counts[relative(copying)] = counts.get(relative(copying), 0) + 1
        assert (copying.haplotypes[[0, 1, 3], 4:].sum(axis=1) == 1).all()
    as_exact(counts, n)


def test_expected_jumps_errors_and_missing_alleles_of_a_sweep(kernels):
    copying = copies()
    own = copying.haplotypes[:, 4:].T.astype(int)
    R, B = np.empty((5, 4), np.uint8), np.empty((5, 2, 4), np.float32)
    jumps, errors = np.zeros(5), np.zeros(2)
    copying._visit(2, R, None, np.zeros((5, 2)), B, jumps, errors, True)
    expected, wrong, ones = np.zeros(5), 0.0, np.zeros(2)
    for strand, h in enumerate(own):
        paths, logs, moved, missed, shows = [], [], [], [], []
        for z in itertools.product(range(4), repeat=5):
            for jumped in itertools.product((0, 1), repeat=4):
                if any(not j and z[i] != z[i + 1] for i, j in enumerate(jumped)):
                    continue
                value = -np.log(4) + sum(
                    np.log(RATES[i + 1] / 4 if j else 1 - RATES[i + 1]) for i, j in enumerate(jumped)
                )
                bad = [PANEL[z[i], i] != h[i] for i in range(5) if ONE[i] >= 0]
                value += sum(np.log(ERROR if b else 1 - ERROR) for b in bad)
                paths.append(z)
                logs.append(value)
                moved.append((0, *jumped))
                missed.append(sum(bad))
                shows.append((1 - ERROR) if PANEL[z[2], 2] else ERROR)
        p = np.exp(logs - logsumexp(logs))
        expected += p @ np.array(moved)
        wrong += p @ np.array(missed)
        ones[strand] = p @ np.array(shows)
    np.testing.assert_allclose(jumps, expected, rtol=1e-4)
    np.testing.assert_allclose(errors, [wrong, 8.0], rtol=1e-4)
    assert copying.haplotypes[2, 4:].tolist() == (ones > 0.5).astype(int).tolist()
    rng, n = np.random.default_rng(3), 4000
    drawn = np.zeros(2)
    for _ in range(n):  # the phase as it is, the missing allele drawn
        start = copies()
        start.genotypes[2, [0, 1, 3]] = 2 * own[0, [0, 1, 3]]  # both strands alike: nothing to decide
        start.haplotypes[[0, 1, 3], 5] = own[0, [0, 1, 3]]
        visit(start, rng)
        drawn += start.haplotypes[2, 4:]
    p = ones[0]
    assert (np.abs(drawn / n - p) < 4.5 * np.sqrt(p * (1 - p) / n)).all()


def test_rates_are_what_was_expected_over_what_could_have_been(kernels):
    copying = copies()
    copying.sweep(np.random.default_rng(0))
    assert copying.jump.shape == (5,)
    assert ((copying.jump >= 1e-5) & (copying.jump <= 0.5)).all()
    assert 0 < copying.error < 0.5
    np.testing.assert_array_equal(copying.haplotypes[:, 4:].sum(axis=1)[[0, 1, 3, 4]], [1, 1, 1, 2])


# ------------------------------------------------------------------ neighbours


def test_neighbours_stand_next_to_each_other_in_sorted_order(kernels):
    rng = np.random.default_rng(0)
    H = (rng.random((230, 16)) < 0.4).astype(np.uint8)
    found = Neighbours(H, 5, np.random.default_rng(1), kernels)
    edges = np.flatnonzero(np.diff(found.window, prepend=-1))
    for w, middle in enumerate((edges + np.append(edges[1:], 230) - 1) // 2):
        back = sorted(range(16), key=lambda m: H[: middle + 1, m][::-1].tolist())
        assert found.orders[0, w].tolist() == back
        assert found.orders[1, w].tolist() == sorted(range(16), key=lambda m: H[middle:, m].tolist())
    R = np.empty((230, 5), np.uint8)
    found.gather(3, H, R)
    for w, own in enumerate(found.slots):
        assert len(set(own.tolist())) == 5
        assert not {6, 7} & set(own.tolist())
        if w:  # who stays keeps its place
            stays = set(own.tolist()) & set(found.slots[w - 1].tolist())
            assert all(own[c] == found.slots[w - 1][c] for c in range(5) if found.slots[w - 1][c] in stays)
    np.testing.assert_array_equal(R, np.take_along_axis(H, found.slots[found.window], axis=1))


def test_twins_are_each_others_first_neighbours(kernels):
    rng = np.random.default_rng(0)
    H = (rng.random((150, 20)) < 0.5).astype(np.uint8)
    H[:, 13] = H[:, 2]
    found = Neighbours(H, 4, rng, kernels)
    R = np.empty((150, 4), np.uint8)
    found.gather(1, H, R)
    assert (found.slots == 13).any(axis=1).all()


# ------------------------------------------------------------------ votes


def test_votes_do_not_care_which_haplotype_is_the_first():
    G = np.array([[1, 0, 1, 1], [1, 1, -1, 1], [2, 1, 0, 0]])
    draws = [[[1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 0, 0]], [[0, 0, 0, 1], [1, 0, 1, 1], [1, 0, 0, 0]]]
    votes = Votes(G)
    for draw in (*draws, draws[0]):
        votes.add(np.array(draw))
    flipped = Votes(G)
    for draw in (*draws, draws[0]):
        flipped.add(np.where(G == 1, 1 - np.array(draw), draw))
    np.testing.assert_array_equal(votes.same, flipped.same)
    H = votes.majority(G)
    assert (H.sum(axis=1) == G)[G >= 0].all()
    first = H[0, 0]
    assert first[0] == first[2] != first[3]
    assert H[1, 0, 0] != H[1, 0, 1]
    seen = votes.confidence()
    assert np.isnan(seen[2]).all()
    assert seen[0, 2] == 1.0
    assert seen[1, 3] == pytest.approx(2 / 3)


def test_switch_errors_are_counted_where_truth_is_known():
    truth = np.array([[[0, 1, -1, 0, 1, 0], [1, 0, -1, 1, 0, 0]]])
    mine = np.array([[[0, 1, 1, 1, 0, 0], [1, 0, 0, 0, 1, 0]]])
    assert switch_errors(mine, truth) == (1, 3)
    assert switch_errors(mine[:, ::-1], truth) == (1, 3)
    assert switch_errors(truth, truth) == (0, 3)


# ------------------------------------------------------------------ the phaser


def founders(population="CEU", sites=slice(0, 120)):
    people = data.hapmap_trios(population)
    truth = np.full((90, 2, 603), -1)
    for family, (_, *parents) in enumerate(people.trios):
        for which, parent in enumerate(parents):
            truth[parent] = people.transmitted[family, which]
    return people.genotypes[people.founders][:, sites], truth[people.founders][:, :, sites], people.positions[sites]


def test_genotypes_are_never_changed_and_seeds_repeat(kernels):
    G, truth, positions = founders()
    phaser = Phaser(sweeps=10, block_moves=2, random_state=3)
    H = phaser.phase(G, positions)
    assert H.shape == (60, 2, 120)
    assert set(np.unique(H)) == {0, 1}
    assert (H.sum(axis=1) == G)[G >= 0].all()
    np.testing.assert_array_equal(H, Phaser(sweeps=10, block_moves=2, random_state=3).phase(G, positions))
    assert (Phaser(sweeps=10, random_state=4).phase(G, positions) != H).any()
    switches, pairs = switch_errors(H, truth)
    assert switches / pairs < 0.1  # a random phase has 0.5
    assert np.diff(phaser.trace_).min() > 0
    known = ~np.isnan(phaser.confidence_)
    assert (known.sum(axis=1) == np.maximum((G == 1).sum(axis=1) - 1, 0)).all()
    assert phaser.confidence_[known].min() >= 0.5
    assert phaser.jump_.shape == (119,)


def test_what_was_hidden_is_imputed(kernels):
    G, _, _ = founders()
    rng = np.random.default_rng(0)
    hidden = (rng.random(G.shape) < 0.05) & (G >= 0)
    masked = np.where(hidden, -1, G)
    found = Phaser(sweeps=15, random_state=0).phase(masked).sum(axis=1)
    assert (found == G)[hidden].mean() > 0.9
    common = np.array([np.bincount(column[column >= 0]).argmax() for column in masked.T])
    assert (found == G)[hidden].mean() > (common == G)[hidden].mean() + 0.1
    alone = Phaser(sweeps=0, random_state=0).phase(masked).sum(axis=1)
    assert (alone == G)[hidden].mean() > 0.8


def test_nearest_references_do_as_well_as_all(kernels):
    G, truth, _ = founders(sites=slice(0, 250))
    rates = [
        np.divide(*switch_errors(Phaser(sweeps=20, n_references=K, random_state=0).phase(G), truth))
        for K in ("auto", 40)
    ]
    assert rates[1] < rates[0] + 0.02


@pytest.mark.parametrize("chains", [1, 3])
def test_clusters_alone_need_no_numba(twin, chains):
    G, truth, _ = founders(sites=slice(0, 60))
    H = Phaser(sweeps=0, n_iter=10, chains=chains, random_state=0).phase(G)
    assert (H.sum(axis=1) == G)[G >= 0].all()
    assert np.divide(*switch_errors(H, truth)) < 0.2
    if twin == "numpy":
        with pytest.raises(
            ImportError, match=r"need numba; install it with: pip install 'emlib\[fast\]', or set sweeps=0"
        ):
            Phaser().phase(G)


def test_two_people_and_one_site(kernels):
    assert Phaser(sweeps=3, random_state=0).phase([[0, 1, 2], [1, 1, 1]]).sum(axis=1).tolist() == [[0, 1, 2], [1, 1, 1]]
    assert Phaser(sweeps=3, random_state=0).phase([[1], [0]]).sum(axis=1).tolist() == [[1], [0]]
    with pytest.warns(UserWarning, match="1 sites of G, the first of them site 1, show one allele"):
        Phaser(sweeps=3, random_state=0).phase([[1, 2, -1], [0, 2, 1], [1, 2, 1]])


def test_columns_that_know_missing_values_of_their_own():
    G = np.random.default_rng(0).integers(0, 3, (6, 5)).astype(float)
    G[1, 2] = np.nan
    np.testing.assert_array_equal(check_genotypes(pd.DataFrame(G).astype("Int64")), check_genotypes(G))


@pytest.mark.parametrize(
    ("G", "options", "message"),
    [
        ([[0, 1], [3, 1]], {}, "G holds 3 for person 1 at site 0"),
        ([[0, 1], [1, -2]], {}, "G holds -2 for person 1 at site 1"),
        ([[0.5, 1], [1, 1]], {}, "G holds 0.5 for person 0 at site 0"),
        ([[0, 1]], {}, "one person"),
        ([[0, -1], [1, np.nan]], {}, "site 1 of G is missing in all 2 people"),
        ([[[0, 1]]], {}, r"shape \(1, 1, 2\)"),
        ([["a"]], {}, "a table"),
        ([[0, 1], [1, 2]], {"positions": [5, 5]}, "that of site 1, 5, is the same as"),
        ([[0, 1], [1, 2]], {"positions": [5, 4]}, "that of site 1, 4, is below"),
        ([[0, 1], [1, 2]], {"positions": [5]}, r"positions has the shape \(1,\)"),
        ([[0, 1], [1, 2]], {"positions": ["x", "y"]}, "positions is of type list"),
    ],
)
def test_bad_genotypes_get_one_sentence(G, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        Phaser(random_state=0).phase(G, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sweeps": -1}, "sweeps is -1"),
        ({"chains": 0}, "chains is 0"),
        ({"n_references": "some"}, "it must be 'auto'"),
        ({"n_clusters": 0}, "n_clusters is 0"),
        ({"random_state": "x"}, "random_state is 'x'"),
    ],
)
def test_options_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Phaser(**options).phase([[0, 1], [1, 1]])


@pytest.mark.slow
@pytest.mark.parametrize(("population", "one", "four"), [("CEU", 0.048, 0.046), ("YRI", 0.060, 0.056)])
def test_founders_are_phased_as_well_as_by_beagle(kernels, population, one, four):
    G, truth, positions = founders(population, slice(None))
    for chains, least in ((1, one), (4, four)):
        rates = [
            np.divide(*switch_errors(Phaser(chains=chains, random_state=seed).phase(G, positions), truth))
            for seed in (1, 2, 3)
        ]
        assert np.mean(rates) <= least, (chains, rates)


def test_a_flat_prior_changes_nothing():
    G, params = np.random.default_rng(0).integers(-1, 3, (20, 5)), some_params(5, 3)
    stats, _ = ClusterModel().e_step(G, params)
    plain, flat = ClusterModel().m_step(stats), ClusterModel().m_step(stats, ClusterPrior())
    for name in ("ones", "targets", "jump"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(flat, name))
