"""Negative binomial counts with exposures, tallied: nothing is lost between the points, and no step is small."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize
from scipy import stats as dist

from emlib.data import pbmc
from emlib.engine import em
from emlib.engine.families import (
    DistinctCounts,
    ExposedCounts,
    ExposedNegativeBinomial,
    ExposurePoints,
    NegativeBinomialParams,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedNegativeBinomialParams,
)
from emlib.engine.families.gamma_math import SIZES
from emlib.engine.mixture import Mixture, MixtureParams


def table(seed=0, n=300, zeros=0.0):
    """Exposures and three columns: much scatter, some, none."""
    rng = np.random.default_rng(seed)
    e = np.exp(rng.normal(0.0, 0.6, n))
    size = np.array([0.8, 6.0, 1e9])
    x = rng.poisson(e[:, None] * np.array([3.0, 8.0, 2.0]) * rng.gamma(size, 1 / size, (n, 3)))
    return np.column_stack([e, x * (rng.random((n, 3)) >= zeros)])


def seen_in(X):
    return ExposedCounts(DistinctCounts.of(X[:, 1:]), ExposurePoints(X[:, 0].min(), X[:, 0].max()))


def log_likelihood(X, j, mean, size, zero=0.0):
    """Of column j, by SciPy."""
    e, x = X[:, 0], X[:, 1 + j]
    p = dist.nbinom(size, size / (size + e * mean)).pmf(x)
    return float(np.log(zero * (x == 0) + (1 - zero) * p).sum())


@pytest.mark.parametrize("ratio", [1.0, 1 + 1e-9, 1.5, 4.4, 200.0])
def test_no_function_of_an_exposure_is_lost_between_the_points(ratio):
    grid, rng = ExposurePoints(0.3, 0.3 * ratio), np.random.default_rng(1)
    e = (0.3 * ratio ** rng.random(200)).clip(grid.low, grid.high)
    shares = grid.shares(e)
    np.testing.assert_allclose(shares.sum(axis=0), 1.0, rtol=1e-13)
    for u in np.logspace(-8, 8, 33):
        np.testing.assert_allclose(np.log(u + grid.points) @ shares, np.log(u + e), rtol=1e-12, atol=1e-13)


def test_as_many_points_as_chapter_14_says():
    total = pbmc().total_umi
    assert len(ExposurePoints(total.min(), total.max()).points) == 20


def test_one_step_from_anywhere_is_the_maximum_of_a_single_component():
    X = table()
    model = Mixture(ExposedNegativeBinomial(tallied=seen_in(X)))
    far = MixtureParams(np.ones(1), NegativeBinomialParams(np.full((1, 3), 40.0), np.full((1, 3), 0.02)))
    found = model.m_step(model.e_step(X, far)[0]).components
    for j in range(2):
        best = optimize.minimize(
            lambda p, j=j: -log_likelihood(X, j, *np.exp(p)),
            [1.0, 0.0],
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-10},
        )
        np.testing.assert_allclose([found.means[0, j], found.sizes[0, j]], np.exp(best.x), rtol=1e-5)
    assert found.sizes[0, 2] > 50


def test_no_overdispersion_no_end_of_size():
    """Counts that scatter less than a Poisson's: events over exposure, and the largest size, at once."""
    X = np.array([[1.0, 2], [2, 4], [3, 6], [1, 2], [2, 3], [3, 5]])
    fit = em.fit(
        Mixture(ExposedNegativeBinomial(tallied=seen_in(X))),
        X,
        MixtureParams(np.ones(1), NegativeBinomialParams(np.ones((1, 1)), np.ones((1, 1)))),
    )
    assert fit.reason == "converged"
    assert fit.n_iter <= 3
    assert fit.params.components.sizes.item() == SIZES[1]
    assert fit.params.components.means.item() == pytest.approx(22 / 12, rel=1e-8)
    assert fit.log_likelihood == pytest.approx(dist.poisson.logpmf(X[:, 1], X[:, 0] * 22 / 12).sum(), abs=1e-6)


@pytest.mark.parametrize("exposed", [False, True])
def test_structural_zeros_climb_to_the_same_top_with_and_without_tallies(exposed):
    X = table(3, 200, zeros=0.3)[:, [0, 1, 2]]
    seen = seen_in(X) if exposed else ExposedCounts(DistinctCounts.of(X[:, 1:]))
    rows = X if exposed else X[:, 1:]
    start = MixtureParams(
        np.ones(1),
        ZeroInflatedNegativeBinomialParams(np.full((1, 2), 4.0), np.full((1, 2), 2.0), np.full((1, 2), 0.2)),
    )
    quick, slow = (
        em.fit(Mixture(ZeroInflatedNegativeBinomial(exposed, 1.0, own)), rows, start, tol=1e-7, accelerate="squarem")
        for own in (seen, None)
    )
    assert quick.converged
    assert quick.log_likelihood == pytest.approx(slow.log_likelihood, abs=1e-4)
    assert np.diff(quick.trace).min() > -1e-9
    c = quick.params.components
    own = np.column_stack([X[:, 0] if exposed else np.ones(len(X)), X[:, 1:]])
    expected = sum(log_likelihood(own, j, c.means[0, j], c.sizes[0, j], c.zeros[0, j]) for j in range(2))
    assert quick.log_likelihood == pytest.approx(expected, rel=1e-10)


def test_a_column_and_a_component_without_counts():
    X = table(n=40)
    X[:, 2] = 0.0
    model = Mixture(ExposedNegativeBinomial(tallied=seen_in(X)))
    start = MixtureParams(np.array([0.6, 0.4, 0.0]), NegativeBinomialParams(np.full((3, 3), 2.0), np.ones((3, 3))))
    fit = em.fit(model, X, start, max_iter=30)
    assert np.isfinite(fit.log_likelihood)
    assert fit.params.weights[2] == 0.0
    assert fit.params.components.means[:, 1].tolist() == [0.0, 0.0, 0.0]


def test_other_tables_are_refused():
    X = table(n=30)
    model = Mixture(ExposedNegativeBinomial(tallied=seen_in(X)))
    params = MixtureParams(np.ones(1), NegativeBinomialParams(np.ones((1, 3)), np.ones((1, 3))))
    with pytest.raises(ValueError, match="X holds counts that are not among those tallied"):
        model.e_step(np.array([[1.0, 9999, 0, 0]]), params)
    with pytest.raises(ValueError, match=r"X holds exposures outside .* which were tallied; use the same table"):
        model.e_step(np.array([[1000.0, 0, 0, 0]]), params)
    one = Mixture(ExposedNegativeBinomial(tallied=ExposedCounts(seen_in(X).counts)))
    with pytest.raises(ValueError, match="X holds exposures other than 1, the only one that was tallied"):
        one.e_step(np.array([[2.0, 0, 0, 0]]), params)
