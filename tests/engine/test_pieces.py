"""The pieces of the engine, one by one: E, vectors, strides, blocks, kernel, families."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_normal

from emlib.engine import blocks, em, families, kernel
from emlib.engine.accelerate import Squarem, squarem
from emlib.engine.blocks import Rows
from emlib.engine.latent import HARD, SOFT, assign, sampled, tempered
from emlib.engine.mixture import Mixture, MixtureParams, MixturePrior
from emlib.engine.parameters import flatten, rebuild

joints = hnp.arrays(
    float,
    st.tuples(st.integers(1, 5), st.integers(1, 8)),
    elements=st.floats(-1e6, 1e3, allow_nan=False, width=32),
)

# ------------------------------------------------------------------ the choice of E


@given(joints)
def test_soft_is_softmax_and_logsumexp(A):
    R = A.copy()
    value = assign(R, SOFT)
    np.testing.assert_allclose(R, softmax(A, axis=0), atol=1e-12)
    assert value == pytest.approx(logsumexp(A, axis=0).sum(), rel=1e-12, abs=1e-9)


@given(joints, st.floats(0.05, 50.0))
def test_tempered_maximises_the_free_energy(A, t):
    R = A.copy()
    value = assign(R, tempered(t))
    np.testing.assert_allclose(R.sum(axis=0), 1.0)
    entropy = -(R * np.log(np.where(R > 0, R, 1.0))).sum()
    assert value == pytest.approx((R * A).sum() + t * entropy, rel=1e-6, abs=1e-3)


@given(joints)
def test_hard_takes_the_first_of_the_best(A):
    R = A.copy()
    value = assign(R, HARD)
    assert value == pytest.approx(A.max(axis=0).sum(), rel=1e-12)
    np.testing.assert_array_equal(R, np.eye(len(A))[:, A.argmax(axis=0)])


def test_sampled_is_one_label_a_row():
    R = np.zeros((3, 7, 50))
    assign(R, sampled(np.random.default_rng(0)))
    assert (R.sum(axis=1) == 1.0).all()
    assert set(np.unique(R)) == {0.0, 1.0}


@pytest.mark.parametrize("t", [-0.1, np.nan, np.inf])
def test_bad_temperature(t):
    with pytest.raises(ValueError, match=r"temperature is .*; it must be a finite number, 0 or above"):
        tempered(t)


def test_samplers_of_blocks_differ_and_repeat():
    draws = [[part.rng.random() for part in sampled(np.random.default_rng(3)).split(4)] for _ in range(2)]
    assert draws[0] == draws[1]
    assert len(set(draws[0])) == 4


# ------------------------------------------------------------------ parameters as a vector


def test_flatten_and_rebuild_are_inverse():
    params = MixtureParams(np.array([0.2, 0.8]), families.GaussianParams(np.ones((2, 3)), np.zeros((2, 3, 3))))
    vector = flatten(params)
    assert vector.shape == (2 + 6 + 18,)
    again = rebuild(params, vector + 1.0)
    np.testing.assert_array_equal(flatten(again), vector + 1.0)
    assert again.components.covariances.shape == (2, 3, 3)
    with pytest.raises(ValueError, match="vector has 27 numbers, but the parameters hold 26"):
        rebuild(params, np.zeros(27))


# ------------------------------------------------------------------ strides


def test_squarem_solves_a_linear_map_in_one_jump():
    # On a path that halves its distance every step the jump lands on the limit.
    path = [np.array([1.0, 2.0]) * (1 - 0.9**i) for i in range(4)]
    jumper = Squarem(longest=1000.0)
    np.testing.assert_allclose(jumper.propose(path), [1.0, 2.0])


def test_squarem_waits_after_refusals():
    jumper, path = squarem(), [np.array([1 - 0.9**i]) for i in range(4)]
    assert jumper.propose(path[:3]) is None  # one plain step settles first
    waits = []
    for _ in range(4):
        assert jumper.propose(path) is not None
        jumper.judge(False)
        waits.append(next(i for i in range(20) if jumper.propose(path) is not None))
    assert waits == [1, 3, 7, 7]


def test_squarem_lengthens_its_stride_with_success():
    jumper, path = squarem(), [np.array([1 - 0.99**i]) for i in range(4)]
    jumper.propose(path)
    assert jumper.stride == 4.0
    jumper.judge(True)
    jumper.propose(path)
    assert jumper.stride == 16.0
    jumper.judge(False)
    assert jumper.longest == 4.0


def test_squarem_at_rest_proposes_nothing():
    assert squarem().propose([np.zeros(2)] * 4) is None


# ------------------------------------------------------------------ rows and blocks


@settings(deadline=None)
@given(st.integers(1, 50), st.integers(1, 4), st.integers(1, 20), st.integers(1, 5), st.booleans())
def test_pieces_hold_every_row_once(n, d, rows, batch, keep):
    X = np.arange(n * d, dtype=float).reshape(n, d)
    table = Rows(X, np.full(d, 2.0))
    table._keep = keep
    for _ in range(2):  # a second pass sees the same
        parts = [piece.swapaxes(1, 2).reshape(-1, d).copy() for piece in table.pieces(min(rows, n), batch)]
        np.testing.assert_array_equal(np.concatenate(parts), X - 2.0)


@given(st.integers(0, 2000), st.integers(1, 3000))
def test_slices_hold_every_row_once(n, d):
    parts = list(blocks.slices(n, d))
    assert [i for part in parts for i in range(n)[part]] == list(range(n))
    assert all(0 < (part.stop - part.start) * d <= max(2**17, 256 * d) for part in parts)


def test_large_tables_are_cut_and_not_copied(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 100)
    monkeypatch.setattr(blocks, "KEEP_BYTES", 1000)
    X = np.random.default_rng(0).normal(5, 2, (1010, 2))
    rows = Rows(X, X.mean(axis=0))
    parts = rows.blocks()
    assert [len(part) for part in parts] == [100] * 10 + [10]
    assert all(np.shares_memory(part.X, X) for part in parts)
    np.testing.assert_allclose(rows.scale, X.std(axis=0))
    assert all((part.scale == rows.scale).all() for part in parts)
    list(parts[0].pieces(50, 1))
    assert not parts[0]._kept


def test_blocks_give_the_same_fit(monkeypatch):
    X = np.random.default_rng(1).normal(0, 1, (1000, 2)) + np.repeat([[0, 0], [4, 4]], 500, axis=0)
    start = MixtureParams(np.array([0.5, 0.5]), families.GaussianParams(X[[0, -1]], np.stack([np.eye(2)] * 2)))
    whole = em.fit(Mixture(families.Gaussian()), Rows(X), start)
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 64)
    cut = em.fit(Mixture(families.Gaussian()), Rows(X), start, executor=blocks.threads())
    np.testing.assert_allclose(flatten(cut.params), flatten(whole.params), rtol=1e-10, atol=1e-12)


def test_memmap(tmp_path):
    X = np.random.default_rng(2).normal(0, 1, (500, 3)).astype(np.float32)
    X.tofile(tmp_path / "x.bin")
    mapped = np.memmap(tmp_path / "x.bin", dtype=np.float32, shape=(500, 3), mode="r")
    params = MixtureParams(np.ones(1), families.GaussianParams(np.zeros((1, 3)), np.eye(3)[None]))
    model = Mixture(families.Gaussian())
    np.testing.assert_allclose(
        model.e_step(Rows(mapped), params)[1], model.e_step(X.astype(float), params)[1], rtol=1e-12
    )


def test_rows_must_be_a_table():
    with pytest.raises(ValueError, match="X has 1 dimensions; it must have 2"):
        Rows(np.zeros(3))


@pytest.mark.parametrize(
    ("setting", "expected"), [({"EMLIB_NUM_THREADS": "3"}, 3), ({"OMP_NUM_THREADS": "1"}, 1), ({}, None)]
)
def test_number_of_threads(monkeypatch, setting, expected):
    for name in ("EMLIB_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    n = blocks.n_threads()
    assert n >= 1 if expected is None else n == expected
    monkeypatch.setattr(blocks.sys, "platform", "emscripten")
    assert blocks.threads() is None  # no threads in the browser


# ------------------------------------------------------------------ kernel


def _random_mixture(rng, K, d, spread=3.0):
    A = rng.normal(size=(K, d, d))
    return MixtureParams(
        rng.dirichlet(np.ones(K)),
        families.GaussianParams(rng.normal(0, spread, (K, d)), A @ A.swapaxes(1, 2) / d + 0.3 * np.eye(d)),
    )


@pytest.mark.parametrize(("n", "d", "K"), [(1, 1, 1), (7, 2, 3), (2500, 3, 4), (1500, 50, 20), (300, 70, 2)])
def test_kernel_against_scipy(n, d, K):
    """Remainders, several pieces, products cut in groups, and more columns than features are for."""
    rng = np.random.default_rng(n)
    params = _random_mixture(rng, K, d)
    model = Mixture(families.Gaussian())
    X = model.simulate(params, n, rng)
    pairs = zip(params.components.means, params.components.covariances, strict=True)
    joint = np.column_stack([multivariate_normal(m, S).logpdf(X).reshape(n) for m, S in pairs]) + np.log(params.weights)
    R = softmax(joint, axis=1)
    stats, value = model.e_step(X, params)
    assert value == pytest.approx(logsumexp(joint, axis=1).sum(), rel=1e-11)
    np.testing.assert_allclose(stats.counts, R.sum(axis=0), rtol=1e-9, atol=1e-12)
    responsibilities, log_density = model.posterior(X, params)
    np.testing.assert_allclose(responsibilities, R, atol=1e-10)
    np.testing.assert_allclose(log_density, logsumexp(joint, axis=1), rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(model.labels(X, params), joint.argmax(axis=1))
    if n > 1000 or d < 3:
        new = model.m_step(stats).components
        for k in np.flatnonzero(R.sum(axis=0) > 2 * d):
            mean = R[:, k] @ X / R[:, k].sum()
            covariance = (R[:, k, None] * (X - mean)).T @ (X - mean) / R[:, k].sum()
            np.testing.assert_allclose(new.means[k], mean, atol=1e-8)
            np.testing.assert_allclose(new.covariances[k], covariance, atol=1e-7)


@pytest.mark.parametrize("K", [1, 2, 5, 32, 33])
def test_the_first_of_the_best_labels(K):
    A = np.random.default_rng(0).integers(4, size=(3, K, 200)).astype(float)  # many are equal
    np.testing.assert_array_equal(kernel._first_best(A), A.argmax(axis=1))


def test_features_brought_near_are_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    rows, d = Rows(rng.normal(size=(20_000, 20))), 20
    params = MixtureParams(np.array([0.2, 0.8]), families.CentreParams(rng.normal(size=(2, d))))
    model = Mixture(families.Centres())
    far, copied = model.e_step(rows, params), []
    monkeypatch.setattr(kernel, "CACHE", 0)
    monkeypatch.setattr(kernel, "_nearby", lambda T, bring=kernel._nearby: copied.append(len(T)) or bring(T))
    for _ in range(2):  # what is kept stays as it is
        near = model.e_step(rows, params)
        np.testing.assert_array_equal(near[0].totals, far[0].totals)
        assert near[1] == far[1]
    assert copied


def test_buffers_are_private_to_a_thread_and_grow():
    kernel._buffer("test", (3,))[:] = 1.0
    assert kernel._buffer("test", (2, 10)).shape == (2, 10)
    assert kernel._buffer("test", (2,)).base is not None


def _exact(X, params):
    """Log-likelihood and M-step in extended precision, from differences."""
    L = np.longdouble
    joint, d = [], X.shape[1]
    for w, m, S in zip(params.weights, params.components.means, params.components.covariances, strict=True):
        D = X.astype(L) - m.astype(L)
        P = np.linalg.inv(S).astype(L)
        P = P @ (2 * np.eye(d, dtype=L) - S.astype(L) @ P)  # one Newton step beyond double precision
        q = np.einsum("ni,ij,nj->n", D, P, D)
        joint.append(np.log(L(w)) - (q + d * np.log(2 * L(np.pi)) + L(np.linalg.slogdet(S)[1])) / 2)
    A = np.array(joint)
    top = A.max(axis=0)
    total = top + np.log(np.exp(A - top).sum(axis=0))
    R = np.exp(A - total)
    covariances = []
    for r in R:
        mean = (r @ X.astype(L)) / r.sum()
        covariances.append((r[:, None] * (X - mean)).T @ (X - mean) / r.sum())
    return float(total.sum()), np.array(covariances).astype(float)


@pytest.mark.parametrize("what", ["offset", "separation", "shrunk"])
@pytest.mark.parametrize("size", [1e2, 1e4, 1e6])
def test_digits_survive(what, size):
    """Far from the origin, far apart, or tiny beside the rest: at least six digits, mostly eleven."""
    rng = np.random.default_rng(7)
    params = _random_mixture(rng, 3, 4)
    if what == "separation":
        components = families.GaussianParams(params.components.means * size, params.components.covariances)
        params = MixtureParams(params.weights, components)
    if what == "shrunk":
        S = params.components.covariances.copy()
        S[0] /= size**2
        params = MixtureParams(params.weights, families.GaussianParams(params.components.means, S))
    model = Mixture(families.Gaussian())
    X = model.simulate(params, 3000, rng)
    if what == "offset":
        X = X + size
        params = MixtureParams(
            params.weights, families.GaussianParams(params.components.means + size, params.components.covariances)
        )
    truth, covariances = _exact(X, params)
    for origin in (None, X.mean(axis=0)):
        o = np.zeros(4) if origin is None else origin
        moved = MixtureParams(
            params.weights, families.GaussianParams(params.components.means - o, params.components.covariances)
        )
        stats, value = model.e_step(Rows(X, origin), moved)
        assert value == pytest.approx(truth, rel=1e-9)
        found = model.m_step(stats).components.covariances
        sd = np.sqrt(np.einsum("kii->ki", covariances))
        assert (np.abs(found - covariances) / (sd[:, :, None] * sd[:, None, :])).max() < 1e-6


# ------------------------------------------------------------------ families


def test_starved_components_are_harmless():
    X = np.random.default_rng(0).normal(0, 1, (50, 2))
    R = np.zeros((50, 3))
    R[:, 0], R[:, 2] = 0.25, 0.75
    params = Mixture(families.Gaussian()).from_responsibilities(X, R, R.shape[1])
    assert params.weights.tolist() == [0.25, 0.0, 0.75]
    np.testing.assert_allclose(params.components.covariances[1], np.cov(X.T, bias=True))
    fit = em.fit(Mixture(families.Gaussian()), X, params, max_iter=20)
    assert fit.params.weights[1] == 0.0  # a weight of zero stays zero
    assert np.isfinite(fit.log_likelihood)


def test_zero_rates_and_certain_probabilities():
    X = np.array([[0.0], [0.0], [5.0]])
    poisson = MixtureParams(np.array([0.5, 0.5]), families.PoissonParams(np.array([[0.0], [5.0]])))
    stats, value = Mixture(families.Poisson()).e_step(X, poisson)
    assert np.isfinite(value)
    assert stats.counts[0] == pytest.approx(2 / (1 + np.exp(-5)))
    sure = MixtureParams(np.array([0.5, 0.5]), families.BinomialParams(np.array([[1.0], [0.0]])))
    stats, value = Mixture(families.Binomial(np.array([5.0]))).e_step(X, sure)
    np.testing.assert_allclose(stats.counts, [1.0, 2.0])
    assert value == pytest.approx(3 * np.log(0.5))


def test_rows_can_serve_several_families():
    """What is kept with the rows belongs to the family that asked for it."""
    rows, half = Rows(np.array([[1.0], [2.0], [4.0]])), np.array([0.5, 0.5])
    for variance in (1.0, 4.0):
        params = MixtureParams(half, families.CentreParams(np.array([[1.0], [3.0]])))
        model = Mixture(families.Centres(variance))
        assert model.e_step(rows, params)[1] == model.e_step(rows.X, params)[1]
    rates = MixtureParams(half, families.PoissonParams(np.array([[1.0], [3.0]])))
    poisson = Mixture(families.Poisson())
    assert poisson.e_step(rows, rates)[1] == poisson.e_step(rows.X, rates)[1]


def test_flaw_names_a_collapsed_component():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(0, 1, (50, 2)), np.full((5, 2), 3.0)])
    R = np.zeros((55, 2))
    R[:50, 0], R[50:, 1] = 1.0, 1.0
    for reg in (1e-6, 1e-3):
        model = Mixture(families.Gaussian(reg))
        params = model.from_responsibilities(X, R, R.shape[1])
        stats, _ = model.e_step(X, params)
        assert model.flaw(params, stats).startswith("component 1 has collapsed: it holds 5 rows")
    R[:] = 0.5
    params = Mixture(families.Gaussian(1e-6)).from_responsibilities(X, R, R.shape[1])
    assert Mixture(families.Gaussian(1e-6)).flaw(params, Mixture(families.Gaussian(1e-6)).e_step(X, params)[0]) == ""


@pytest.mark.parametrize(
    ("prior", "sentence"),
    [
        (families.NormalInverseWishart(np.zeros(3), 1.0, np.eye(2), 5.0), r"mean of shape \(3,\).*data of 2 columns"),
        (families.NormalInverseWishart(np.zeros(2), 0.0, np.eye(2), 5.0), "strength 0.0"),
        (families.GammaPrior(-1.0, 1.0), "shape -1.0"),
        (families.BetaPrior(1.0, 0.0), "b 0.0"),
    ],
)
def test_bad_priors(prior, sentence):
    with pytest.raises(ValueError, match=sentence):
        prior.check(2)


def test_map_is_pseudo_statistics():
    """A gamma prior is as if `shape - 1` more events had been counted in `rate` more rows."""
    X = np.array([[3.0], [4.0]])
    model, one = Mixture(families.Poisson()), np.ones((2, 1))
    stats = kernel.moments(Rows(X), model.family, one, 1)
    prior = MixturePrior(1.0, families.GammaPrior(3.0, 1.0))
    assert model.m_step(stats, prior).components.rates[0, 0] == pytest.approx((7 + 2) / (2 + 1))
    weights = MixturePrior(3.0)
    two = kernel.moments(Rows(X), model.family, np.eye(2), 2)
    np.testing.assert_allclose(model.m_step(two, weights).weights, [0.5, 0.5])
