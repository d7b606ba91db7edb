"""Haplotypes: brute force over all pairs, published numbers, what trimming leaves out, and bad input."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact

import emlib
from emlib.engine import em
from emlib.engine.latent import HARD
from emlib.models.haplotypes import (
    HaplotypeEM,
    HaplotypeModel,
    HaplotypeParams,
    case_control_test,
    enumerate_diplotypes,
    hardy_weinberg_test,
    read_genotypes,
)
from emlib.models.haplotypes import search as searching
from emlib.models.haplotypes.pairing import pairs_among, partners_of
from emlib.models.haplotypes.search import Search, asked


def pairs_of_alleles(G):
    """Counts as pairs, -1 as two missing alleles."""
    G = np.asarray(G)
    if G.ndim == 3:
        return G
    pairs = np.stack([G >= 2, G >= 1], axis=2).astype(int)
    pairs[G < 0] = -1
    return pairs


def compatible(person, one, other):
    """Whether two haplotypes make a person's genotype; a missing allele may be anything."""
    for seen, x, y in zip(person, one, other, strict=True):
        ways = [(x, y), (y, x)]
        if not any(all(s in (-1, a) for s, a in zip(seen, way, strict=True)) for way in ways):
            return False
    return True


def brute_log_likelihood(G, haplotypes, p):
    """The convention: sum of the log of the sum over unordered pairs of (2 if they differ) p_a p_b."""
    total = 0.0
    for person in pairs_of_alleles(G):
        own = sum(
            p[a] * p[b] * (1 if a == b else 2)
            for a, b in itertools.combinations_with_replacement(range(len(p)), 2)
            if compatible(person, haplotypes[a], haplotypes[b])
        )
        total += np.log(own)
    return total


def drawn(n, L, seed, missing=0.0, K=2, H=6):
    """People with two of a few haplotypes."""
    rng = np.random.default_rng(seed)
    table = rng.integers(0, K, (H, L))
    table[0], table[1] = 0, K - 1  # every allele occurs
    G = table[rng.choice(H, (n, 2), p=rng.dirichlet(np.full(H, 2.0)))].swapaxes(1, 2)
    lost = rng.random((n, L)) < missing
    if K == 2:
        return np.where(lost, -1, G.sum(axis=2))
    return np.where(lost[:, :, None], -1, G)


# ------------------------------------------------------------------ lists of pairs

SMALL = st.integers(1, 3).flatmap(
    lambda L: st.lists(st.lists(st.tuples(st.integers(-1, 2), st.integers(-1, 2)), min_size=L, max_size=L), min_size=2)
)


@given(SMALL)
@settings(max_examples=50, deadline=None)
def test_lists_are_those_of_brute_force(people):
    G = np.array(people)
    if (G < 0).all(axis=(0, 2)).any():
        with pytest.raises(ValueError, match="is missing in all"):
            read_genotypes(G)
        return
    genotypes = read_genotypes(G)
    assert genotypes.weights.sum() == len(G)
    pairs, haplotypes = enumerate_diplotypes(genotypes)
    every = np.array(list(itertools.product(*(range(k) for k in genotypes.n_alleles))))
    among = pairs_among(genotypes, every, everybody=True)
    for lists, table, rows in (
        (pairs, haplotypes, np.flatnonzero(genotypes.informative)),
        (among, every, np.arange(len(genotypes.weights))),
    ):
        owner = rows[lists.owner]
        found = {
            (g, *sorted([tuple(table[a].tolist()), tuple(table[b].tolist())]))
            for g, a, b in zip(owner, lists.first, lists.second, strict=True)
        }
        assert len(found) == len(lists.first)  # none twice
        wanted = set()
        for g in rows:
            for a, b in itertools.combinations_with_replacement(every.tolist(), 2):
                if compatible(genotypes.alleles[g], a, b):
                    wanted.add((g, tuple(a), tuple(b)))
        assert found == wanted


@given(SMALL, st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_log_likelihood_is_that_of_brute_force(people, seed):
    G = np.array(people)
    G = np.where((G < 0).all(axis=(0, 2))[:, None], 0, G)
    genotypes = read_genotypes(G)
    pairs, haplotypes = enumerate_diplotypes(genotypes)
    if not len(pairs):
        return
    p = np.random.default_rng(seed).dirichlet(np.ones(len(haplotypes)))
    _, value = HaplotypeModel(haplotypes).e_step(pairs, HaplotypeParams(p))
    coded = genotypes.coded(haplotypes)
    known = [row for row in G.tolist() if max(map(max, row)) >= 0]  # who says nothing is left out: log 1
    np.testing.assert_allclose(value, brute_log_likelihood(np.array(known), coded, p), rtol=1e-9, atol=1e-9)


def test_partners_are_all_that_complete_a_genotype():
    genotypes = read_genotypes(drawn(12, 3, 0, missing=0.2))
    given_ = np.array([(0, 0, 0), (1, 0, 1), (0, 1, 1)])
    found = partners_of(genotypes, given_, np.arange(len(genotypes.weights)))
    got = {(g, a, tuple(found.haplotypes[b])) for g, a, b in zip(found.owner, found.given, found.partner, strict=True)}
    every = list(itertools.product(range(2), repeat=3))
    wanted = {
        (g, a, h)
        for g in range(len(genotypes.weights))
        for a in range(3)
        for h in every
        if compatible(genotypes.alleles[g], given_[a], h)
    }
    assert got == wanted


# ------------------------------------------------------------------ published numbers

APOE_POOLED = ([0.7756, 0.0738, 0.1493, 0.0012], -2775.763)


def by_name(model, haplotypes):
    found = dict(zip(map(tuple, model.haplotypes_.tolist()), model.frequencies_, strict=True))
    return np.array([found.get(tuple(h), 0.0) for h in haplotypes.tolist()])


def test_apoe_pooled():
    table = emlib.data.apoe()
    model = HaplotypeEM(random_state=0).fit(table.people())
    np.testing.assert_allclose(by_name(model, table.haplotypes), APOE_POOLED[0], atol=5e-5)
    np.testing.assert_allclose(model.log_likelihood_, APOE_POOLED[1], atol=5e-4)


@pytest.mark.parametrize("population", ["AFR", "AMR", "EAS", "EUR", "SAS"])
def test_apoe_by_population(population):
    """The phased truth, but for Africans: EM takes some e2/e4 for e1/e3, and no count says otherwise."""
    table = emlib.data.apoe()
    model = HaplotypeEM(random_state=0).fit(table.people(population))
    truth = table.phased[table.populations.index(population)]
    far = np.abs(by_name(model, table.haplotypes) - truth).max()
    assert far < (0.0016 if population == "AFR" else 5e-4)
    if population == "AFR":
        assert by_name(model, table.haplotypes)[3] > 2 * truth[3]


# ------------------------------------------------------------------ the search


@pytest.mark.parametrize(("n", "L", "missing", "K"), [(60, 6, 0.0, 2), (60, 8, 0.05, 2), (80, 3, 0.05, 4)])
def test_at_least_as_high_as_full_enumeration(n, L, missing, K):
    G = drawn(n, L, 1, missing, K, H=8)
    model = HaplotypeEM(random_state=0).fit(G)
    pairs, haplotypes = enumerate_diplotypes(read_genotypes(G))
    everything, H = HaplotypeModel(haplotypes), len(haplotypes)
    plain = em.fit(everything, pairs, HaplotypeParams(np.full(H, 1 / H)), tol=1e-8)
    assert model.log_likelihood_ >= plain.log_likelihood - 1e-4
    np.testing.assert_allclose(model.frequencies_.sum(), 1.0, rtol=1e-12)
    assert (np.diff(model.frequencies_) <= 0).all()
    # The reported likelihood is that of the reported frequencies, in the convention of the documentation.
    coded = brute_log_likelihood(G, model.haplotypes_, model.frequencies_)
    np.testing.assert_allclose(model.log_likelihood_, coded, rtol=1e-10)
    np.testing.assert_allclose(model.score_samples(G).sum(), coded, rtol=1e-10)


def test_trimmed_lists_lose_nothing():
    """Lists that may hold only a few hundred pairs end where the complete ones do, and say that they were trimmed."""
    G = drawn(150, 10, 3, 0.03, H=10)
    whole = HaplotypeEM(random_state=0).fit(G)
    short = HaplotypeEM(max_pairs=1500, random_state=0).fit(G)
    assert whole.trimming_.exact
    assert not short.trimming_.exact
    np.testing.assert_allclose(short.log_likelihood_, whole.log_likelihood_, atol=1e-3)
    assert short.trimming_.steepest <= 1 + searching.RISE


def test_what_was_left_out_comes_back():
    """A fit that lost a haplotype is completed again; the score that brings it back is a derivative."""
    G = np.repeat([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 0]], [40, 20, 6, 6], axis=0)
    genotypes = read_genotypes(G)
    search = Search(n_init=3)
    best = search.run(genotypes, np.random.default_rng(0), lambda: None)
    [gone] = np.flatnonzero((best.haplotypes == (1, 1, 0)).all(axis=1))  # (1, 0, 0) beside (0, 1, 0) would do
    best = search.completed(genotypes, best, True, lambda: None)
    haplotypes = np.vstack([best.haplotypes, (1, 0, 0)])
    weight = np.append(0.9 * best.fit.params.frequencies, 0.1)
    best = replace(best, haplotypes=haplotypes, fit=replace(best.fit, params=HaplotypeParams(weight)))
    keep = np.arange(len(haplotypes)) != gone
    pairs = pairs_among(genotypes, haplotypes[keep])
    p = best.fit.params.frequencies[keep]
    model = HaplotypeModel(best.haplotypes[keep])
    fit = em.fit(model, pairs, HaplotypeParams(p / p.sum()), tol=1e-10)
    crippled = replace(best, fit=fit, pairs=pairs, haplotypes=best.haplotypes[keep])
    rising, trimming = asked(genotypes, crippled, True)
    assert best.haplotypes[gone].tolist() in rising.tolist()
    # The score by differences: mix a little of the haplotype in.
    table = np.vstack([best.haplotypes[keep], best.haplotypes[gone]])
    lists, q, h = pairs_among(genotypes, table), np.append(fit.params.frequencies, 0.0), 1e-6
    lone = np.zeros(len(q))
    lone[-1] = 1.0
    value = [HaplotypeModel(table).e_step(lists, HaplotypeParams((1 - s) * q + s * lone))[1] for s in (0.0, h)]
    slope = (value[1] - value[0]) / h / (2 * len(G)) + 1.0
    assert slope > 1.0
    assert trimming.steepest >= slope - 1e-3
    again = search.completed(genotypes, crippled, True, lambda: None)
    np.testing.assert_allclose(again.fit.log_likelihood, best.fit.log_likelihood, atol=1e-4)


def test_same_seed_same_answer():
    G = drawn(80, 6, 5, 0.1, H=9)
    one, other = (HaplotypeEM(random_state=3).fit(G) for _ in range(2))
    np.testing.assert_array_equal(one.frequencies_, other.frequencies_)
    np.testing.assert_array_equal(one.haplotypes_, other.haplotypes_)


def test_people_in_another_order_change_nothing():
    G = drawn(80, 5, 6, 0.05)
    one = HaplotypeEM(random_state=0).fit(G)
    other = HaplotypeEM(random_state=0).fit(np.random.default_rng(0).permutation(G))
    np.testing.assert_allclose(one.log_likelihood_, other.log_likelihood_, atol=1e-6)


def test_counts_and_pairs_agree():
    G = drawn(60, 5, 7)
    one, other = HaplotypeEM(random_state=0).fit(G), HaplotypeEM(random_state=0).fit(pairs_of_alleles(G))
    np.testing.assert_allclose(one.log_likelihood_, other.log_likelihood_, atol=1e-8)
    np.testing.assert_array_equal(one.haplotypes_, other.haplotypes_)
    labelled = np.where(pairs_of_alleles(G) == 0, 7, 31)
    far = HaplotypeEM(random_state=0).fit(labelled)
    np.testing.assert_array_equal(far.haplotypes_, np.where(one.haplotypes_ == 0, 7, 31))


# ------------------------------------------------------------------ phases


def test_phase_and_diplotypes_are_those_of_brute_force():
    G = drawn(40, 4, 8, 0.1)
    model = HaplotypeEM(random_state=0).fit(G)
    phased, every = model.phase(G), model.diplotypes(G)
    np.testing.assert_allclose(np.bincount(every.person, every.probability), 1.0)
    for i, person in enumerate(pairs_of_alleles(G)):
        own = {}
        for a, b in itertools.combinations_with_replacement(range(len(model.frequencies_)), 2):
            if compatible(person, model.haplotypes_[a], model.haplotypes_[b]):
                own[a, b] = model.frequencies_[a] * model.frequencies_[b] * (1 if a == b else 2)
        total, best = sum(own.values()), max(own, key=own.__getitem__)
        np.testing.assert_allclose(phased.posterior[i], own[best] / total)
        mine = every.person == i
        got = dict(zip(zip(every.first[mine], every.second[mine], strict=True), every.probability[mine], strict=True))
        assert got.keys() == own.keys()
        np.testing.assert_allclose([got[k] for k in own], np.array(list(own.values())) / total)
        whole = phased.haplotypes[i].sum(axis=0)
        assert (whole[G[i] >= 0] == G[i][G[i] >= 0]).all()


def test_phase_of_new_people():
    model = HaplotypeEM(random_state=0).fit(emlib.data.apoe().people("EUR"))
    nobody = model.phase([[-1, -1]])
    assert nobody.haplotypes[0].tolist() == [[0, 0], [0, 0]]
    np.testing.assert_allclose(nobody.posterior, model.frequencies_[0] ** 2)
    with pytest.raises(ValueError, match=r"person 1 has a genotype that no pair of the 3 haplotypes makes; fit with"):
        model.phase([[0, 0], [2, 2]])
    with pytest.raises(ValueError, match="G has 3 loci, but the model was fitted on 2"):
        model.phase([[0, 0, 0]])


def trio_phases(population, cols):
    """Founders' genotypes, and their haplotypes as their child tells them (-1 where it does not)."""
    people = emlib.data.hapmap_trios(population)
    known = np.full((len(people.samples), 2, len(people.snps)), -1)
    known[people.trios[:, 1:]] = people.transmitted
    return people.genotypes[people.founders][:, cols], known[people.founders][:, :, cols]


def relative_phases(found, truth, G):
    """Neighbouring heterozygotes with known phase: how many are right, of how many."""
    right = total = 0
    for mine, true, g in zip(found, truth, G, strict=True):
        het = np.flatnonzero((g == 1) & (true >= 0).all(axis=0))
        agree = mine[0, het] == true[0, het]
        right, total = right + int((agree[1:] == agree[:-1]).sum()), total + max(0, len(het) - 1)
    return right, total


def test_hapmap_phases_of_a_few_windows():
    results = []
    for first in range(0, 603, 60):
        G, truth = trio_phases("CEU", np.arange(first, min(first + 6, 603)))
        results.append(relative_phases(HaplotypeEM(n_init=1).fit(G).phase(G).haplotypes, truth, G))
    right, total = np.sum(results, axis=0)
    assert total > 500
    assert right / total > 0.94


@pytest.mark.slow
def test_hapmap_phases_of_all_windows():
    """Windows of six common SNPs along the megabase, the founders of the CEU trios."""
    people = emlib.data.hapmap_trios("CEU")
    G = people.genotypes[people.founders]
    f = np.ma.masked_less(G, 0).mean(axis=0) / 2
    common = np.flatnonzero(np.minimum(f, 1 - f) >= 0.05)
    results = []
    for first in range(0, len(common) - 5, 6):
        own, truth = trio_phases("CEU", common[first : first + 6])
        found = HaplotypeEM(random_state=0).fit(own).phase(own).haplotypes
        results.append(relative_phases(found, truth, own))
    right, total = np.sum(results, axis=0)
    assert total > 6000
    assert right / total > 0.96


# ------------------------------------------------------------------ errors


def test_standard_errors_of_what_is_seen_are_binomial():
    """One locus: nothing is hidden, and a frequency is a proportion of 2 n."""
    G = np.repeat([[0], [1], [2]], [40, 40, 20], axis=0)
    model = HaplotypeEM(random_state=0).fit(G)
    p = model.frequencies_
    np.testing.assert_allclose(model.standard_errors(G), np.sqrt(p * (1 - p) / 200), rtol=1e-6)


def test_standard_errors_against_the_cubic():
    """Of APOE, the error of D from the four frequencies' likelihood is that of two loci (another derivation)."""
    G = emlib.data.apoe().people("AFR")
    model = HaplotypeEM(random_state=0, tol=1e-10).fit(G)
    errors = model.standard_errors(G)
    assert (errors > 0).all()
    [(a, b)] = (
        [np.flatnonzero(model.haplotypes_.sum(axis=1) == 2), np.flatnonzero(model.haplotypes_.sum(axis=1) == 0)],
    )
    assert errors[a] < errors[b]
    # By differences of the likelihood along the e1 frequency with the others at their best (a profile).
    h = float(model.frequencies_[a][0])
    start = model.frequencies_.copy()
    values = []
    for t in (h - 2e-4, h, h + 2e-4):
        values.append(_profile(model, G, int(a[0]), t, start))
    curvature = -(values[0] - 2 * values[1] + values[2]) / 4e-8
    np.testing.assert_allclose(errors[a][0], 1 / np.sqrt(curvature), rtol=2e-3)


def _profile(model, G, a, t, start):
    """The highest likelihood with frequency `a` held at t."""
    from scipy.optimize import minimize

    others = np.arange(len(start)) != a

    def loss(u):
        p = start.copy()
        w = np.exp(np.append(u, 0.0))
        p[others], p[a] = (1 - t) * w / w.sum(), t
        return -HaplotypeModel(model.haplotypes_).e_step(G, HaplotypeParams(p))[1]

    log = np.log(start[others])
    found = minimize(loss, (log - log[-1])[:-1], method="BFGS", options={"gtol": 1e-7})
    return -found.fun


def test_haplotypes_that_nobody_carries_have_no_error():
    G = emlib.data.apoe().people("EUR")
    model = HaplotypeEM(random_state=0).fit(G)
    before = model.standard_errors(G)
    model._table = np.vstack([model._table, (1, 1)])
    model.frequencies_ = np.append(model.frequencies_ * (1 - 1e-7), 1e-7)
    after = model.standard_errors(G)
    assert np.isnan(after[3])
    np.testing.assert_allclose(after[:3], before, rtol=1e-4)


def test_where_the_phase_is_anybodys_guess_the_height_is_known():
    """Ten double heterozygotes: coupling or repulsion, each person has probability 2 p q at p = q = 1/2."""
    model = HaplotypeEM(random_state=0).fit(np.array([[1, 1]] * 10))
    np.testing.assert_allclose(model.log_likelihood_, 10 * np.log(0.5), atol=1e-5)


# ------------------------------------------------------------------ permutation tests


def test_one_locus_hardy_weinberg_is_the_exact_test():
    """Shuffled alleles: probabilities of tables of given allele counts, enumerated (Wigginton et al. 2005)."""
    from math import comb

    n, het, minor = 30, 6, 20  # 20 copies of one allele, 6 heterozygotes
    G = np.repeat([[0], [1], [2]], [n - het - (minor - het) // 2, het, (minor - het) // 2], axis=0)
    ways = {h: comb(n, h) * comb(n - h, (minor - h) // 2) * 2**h for h in range(minor % 2, minor + 1, 2)}
    ratio = {}
    p = minor / (2 * n)
    for h in ways:
        counts = np.array([n - h - (minor - h) // 2, h, (minor - h) // 2])
        expected = n * np.array([(1 - p) ** 2, 2 * p * (1 - p), p**2])
        ratio[h] = 2 * (counts[counts > 0] * np.log(counts[counts > 0] / expected[counts > 0])).sum()
    exact = sum(w for h, w in ways.items() if ratio[h] >= ratio[het] - 1e-9) / sum(ways.values())
    found = hardy_weinberg_test(G, n_permutations=2000, random_state=0)
    np.testing.assert_allclose(found.statistic, ratio[het], atol=1e-2)
    assert abs(found.p_value - exact) < 4 * np.sqrt(exact * (1 - exact) / 2000) + 1 / 2000


def test_case_control_of_one_locus_is_fishers_in_the_extreme():
    """People are permuted, not alleles; with no heterozygote both are counts in a 2 x 2 table."""
    G = np.repeat([[0], [2], [0], [2]], [14, 4, 8, 12], axis=0)
    groups = np.repeat(["case", "control"], [18, 20])
    found = case_control_test(G, groups, n_permutations=3000, random_state=0)
    exact = fisher_exact([[14, 4], [8, 12]]).pvalue
    assert abs(found.p_value - exact) < 0.02
    p, q = np.array([14, 4]) / 18, np.array([8, 12]) / 20
    both = np.array([22, 16]) / 38
    by_hand = 2 * 2 * (np.array([14, 4]) @ np.log(p / both) + np.array([8, 12]) @ np.log(q / both))
    np.testing.assert_allclose(found.statistic, by_hand, atol=0.01)


def test_groups_are_fitted_as_alone():
    G = np.concatenate([drawn(60, 3, 1), drawn(70, 3, 2)])
    groups = np.repeat([0, 1], [60, 70])
    found = case_control_test(G, groups, n_permutations=19, random_state=0)
    alone = sum(HaplotypeEM(random_state=0).fit(G[groups == g]).log_likelihood_ for g in (0, 1))
    np.testing.assert_allclose(found.log_likelihoods[1], alone, atol=0.05)
    np.testing.assert_allclose(found.log_likelihoods[0], HaplotypeEM(random_state=0).fit(G).log_likelihood_, atol=0.05)
    assert found.p_value == 0.05
    assert found.null.shape == (19,)


@pytest.mark.slow
def test_permutation_p_values_are_uniform_where_nothing_is_to_be_found():
    values = []
    for seed in range(60):
        G = drawn(60, 3, seed, 0.02)
        groups = np.random.default_rng(seed).permutation(np.repeat([0, 1], 30))
        values.append(case_control_test(G, groups, n_permutations=99, random_state=seed).p_value)
    assert 0.38 < np.mean(values) < 0.62
    assert np.mean(np.array(values) <= 0.1) < 0.25


# ------------------------------------------------------------------ bad input, and what is documented to be fine


@pytest.mark.parametrize(
    ("G", "words"),
    [
        ([[0, 1], [3, 1]], "holds 3 for person 1 at locus 0; a count of the alternate allele is 0, 1 or 2"),
        ([[0, -2], [1, 1]], "holds -2 for person 0 at locus 1"),
        ([[0, 0.5], [1, 1]], "holds 0.5 for person 0 at locus 1"),
        ([[0, np.inf], [1, 1]], "holds inf for person 0 at locus 1"),
        ([[0, 1]], "one person only"),
        ([[0, -1], [1, np.nan]], "locus 1 of G is missing in all 2 people; leave it out"),
        (np.zeros((0, 3)), "at least one person and one locus"),
        (np.zeros(4), "counts (n, L) or pairs"),
        (np.zeros((4, 2, 3)), "counts (n, L) or pairs"),
        (np.full((3, 1, 2), 1.5), "an allele is a whole number, 0 or above"),
        (np.array([[[0, -3]], [[0, 1]]]), "holds -3 for person 0 at locus 0"),
    ],
)
def test_bad_genotypes(G, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        HaplotypeEM().fit(G)


def test_what_are_no_numbers():
    with pytest.raises(TypeError, match="something other than numbers"):
        HaplotypeEM().fit([["A/G", "C/C"]])


@pytest.mark.parametrize(
    ("name", "value"), [("n_init", 0), ("max_pairs", 1.5), ("tol", -1.0), ("max_iter", 0), ("random_state", "x")]
)
def test_bad_parameters_leave_the_estimator_as_it_was(name, value):
    model = HaplotypeEM(random_state=0).fit([[0, 1], [1, 1]])
    before = model.frequencies_
    with pytest.raises(ValueError, match=f"{name} is"):
        model.set_params(**{name: value}).fit([[0, 1], [2, 1]])
    assert model.frequencies_ is before


def test_monomorphic_loci_and_empty_people_are_fine():
    G = drawn(50, 4, 9)
    wider = np.column_stack([G[:, :2], np.zeros(50, dtype=int), G[:, 2:]])
    more = np.vstack([wider, np.full((3, 5), -1)])
    one, other = HaplotypeEM(random_state=0).fit(G), HaplotypeEM(random_state=0).fit(more)
    np.testing.assert_allclose(one.log_likelihood_, other.log_likelihood_, atol=1e-6)
    assert (other.haplotypes_[:, 2] == 0).all()
    np.testing.assert_allclose(np.sort(one.frequencies_), np.sort(other.frequencies_), atol=1e-6)
    everybody_equal = HaplotypeEM(random_state=0).fit(np.zeros((5, 3)))
    assert everybody_equal.haplotypes_.tolist() == [[0, 0, 0]]
    assert everybody_equal.log_likelihood_ == 0.0
    assert everybody_equal.standard_errors(np.zeros((5, 3))).tolist() == [0.0]


def test_half_missing_genotypes_count():
    G = np.array([[[0, -1], [5, 9]], [[0, 3], [5, 5]], [[3, 3], [9, np.nan]], [[0, 0], [5, 5]]])
    model = HaplotypeEM(random_state=0).fit(G)
    G = np.where(np.isnan(G), -1, G).astype(int)
    np.testing.assert_allclose(
        model.log_likelihood_, brute_log_likelihood(G, model.haplotypes_, model.frequencies_), rtol=1e-10
    )


def test_bad_groups():
    G = drawn(10, 2, 0)
    with pytest.raises(ValueError, match=r"groups has the shape \(9,\)"):
        case_control_test(G, np.zeros(9))
    with pytest.raises(ValueError, match="groups names only"):
        case_control_test(G, np.zeros(10))
    with pytest.raises(ValueError, match="0 people with complete genotypes"):
        hardy_weinberg_test([[0, -1], [-1, 1]])
    with pytest.raises(TypeError, match="not a fitted HaplotypeEM"):
        case_control_test(G, np.arange(10) % 2, model=HaplotypeEM())


@pytest.mark.parametrize("lost", [None, np.nan, pd.NA])
@pytest.mark.parametrize("name", [1.0, "case"])
def test_people_without_a_group_are_refused(lost, name):
    groups = [name, lost] * 5
    for form in (groups, np.array(groups, dtype=object), pd.Series(groups)):
        with pytest.raises(ValueError, match=r"for person 1, and 5 of 10 people have no group"):
            case_control_test(drawn(10, 2, 0), form)
    with pytest.raises(ValueError, match="groups holds nan for person 0"):
        case_control_test(drawn(10, 2, 0), np.where(np.arange(10) < 3, np.nan, np.arange(10) % 2))


def test_a_model_of_other_loci_or_people_is_refused():
    G = drawn(10, 3, 0)
    for other in (G[:, :2], drawn(10, 4, 0)):
        model = HaplotypeEM(random_state=0).fit(other)
        sentence = f"G has 3 loci, but the model was fitted on {other.shape[1]}"
        with pytest.raises(ValueError, match=sentence):
            case_control_test(G, np.arange(10) % 2, model=model)
        with pytest.raises(ValueError, match=sentence):
            hardy_weinberg_test(G, model=model)
    model = HaplotypeEM(random_state=0).fit(np.zeros((4, 3), dtype=int))
    with pytest.raises(ValueError, match="fit with this person"):
        case_control_test(G, np.arange(10) % 2, model=model)
    # Alleles are numbered as the model numbers them, though allele 0 is not among these people.
    pairs = pairs_of_alleles(G)
    model = HaplotypeEM(random_state=0).fit(np.concatenate([pairs + 3, np.zeros_like(pairs[:1])]))
    found = case_control_test(pairs + 3, np.arange(10) % 2, model=model, n_permutations=9, random_state=0)
    assert np.isfinite(found.statistic)


def test_columns_that_know_missing_values_of_their_own():
    G = drawn(12, 3, 0).astype(float)
    G[0, 1] = G[5, 2] = np.nan
    given = pd.DataFrame(G).astype("Int64")
    expected, found = (HaplotypeEM(random_state=0).fit(table) for table in (G, given))
    assert found.log_likelihood_ == expected.log_likelihood_
    np.testing.assert_array_equal(found.score_samples(given), expected.score_samples(G))
    tests = [hardy_weinberg_test(table, n_permutations=9, random_state=0) for table in (G, given)]
    assert tests[0].statistic == tests[1].statistic
    np.testing.assert_array_equal(emlib.linkage_disequilibrium(given).r2, emlib.linkage_disequilibrium(G).r2)
    with pytest.raises(TypeError, match="something other than numbers"):
        HaplotypeEM().fit(given.astype(object).replace(1, "one"))


def test_samples_look_like_the_fit():
    table = emlib.data.apoe()
    model = HaplotypeEM(random_state=0).fit(table.people("EUR"))
    G = model.sample(4000, random_state=0)
    np.testing.assert_allclose(G.mean(axis=0), table.people("EUR").mean(axis=0), atol=0.03)
    pairs = HaplotypeEM(random_state=0).fit(pairs_of_alleles(table.people("EUR"))).sample(5, random_state=0)
    assert pairs.shape == (5, 2, 2)


def test_a_climb_cut_short_says_so():
    with pytest.warns(UserWarning, match="stopped at max_iter=1"):
        HaplotypeEM(max_iter=1, n_init=1).fit(drawn(50, 5, 10))


# ------------------------------------------------------------------ known-wrong models


class FactorForgotten(HaplotypeModel):
    """Heterozygous pairs counted once."""

    def e_step(self, data, params, latent=em.SOFT):
        pairs = self.pairs_of(data)
        stats, value = super().e_step(pairs, params, latent)
        different = np.bincount(pairs.owner, pairs.first != pairs.second) == pairs.sizes
        return stats, value - np.log(2) * pairs.weights[different].sum()


class CalledThenCounted(HaplotypeModel):
    """The likelier phase of everybody, then counted."""

    def e_step(self, data, params, latent=em.SOFT):
        return super().e_step(data, params, HARD)


def test_wrong_models_are_told_apart():
    G = emlib.data.apoe().people("AFR")
    haplotypes, p = emlib.data.apoe().haplotypes, np.array([0.6, 0.1, 0.25, 0.05])
    right = brute_log_likelihood(G, haplotypes, p)
    np.testing.assert_allclose(HaplotypeModel(haplotypes).e_step(G, HaplotypeParams(p))[1], right)
    assert abs(FactorForgotten(haplotypes).e_step(G, HaplotypeParams(p))[1] - right) > 1
    start = HaplotypeParams(p)
    called = em.fit(CalledThenCounted(haplotypes), G, start, max_iter=50).params.frequencies[3]
    shared = em.fit(HaplotypeModel(haplotypes), G, start).params.frequencies[3]
    assert called > 10 * shared  # whoever could be e1/e3 was called so at the start, and stays so
