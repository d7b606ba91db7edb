"""Observed information: exact where a formula is known, refused where there is no maximum."""

from __future__ import annotations

import numpy as np
import pytest

from emlib.engine import em, families
from emlib.engine import information as info
from emlib.engine.blocks import Rows, threads
from emlib.engine.coordinates import Covariance, Simplex
from emlib.engine.mixture import Mixture, MixtureParams
from emlib.engine.parameters import flatten

HALF = np.array([0.5, 0.5])


def poisson(rates, weights=HALF):
    return MixtureParams(np.asarray(weights), families.PoissonParams(np.asarray(rates, dtype=float)))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("far", [0.0, 1e6])
def test_one_gaussian(scale, far):
    """Errors of a mean are s / sqrt(n), of a variance s^2 sqrt(2 / n), of a covariance sqrt((s s + c^2) / n)."""
    rng = np.random.default_rng(0)
    X = scale * (rng.normal(0, 1, (500, 2)) @ np.array([[1.0, 0.9], [0.0, 0.1]]) + far)
    rows, n = Rows(X, X.mean(axis=0)), len(X)
    start = MixtureParams(np.ones(1), families.GaussianParams(np.zeros((1, 2)), np.eye(2)[None] * scale**2))
    params = em.fit(Mixture(families.Gaussian()), rows, start, tol=1e-12).params
    errors = info.observed_information(Mixture(families.Gaussian()), rows, params).standard_errors
    S = np.cov(X.T, bias=True)
    v = np.diag(S)
    np.testing.assert_allclose(errors.components.means[0], np.sqrt(v / n), rtol=1e-6)
    np.testing.assert_allclose(errors.components.covariances[0], np.sqrt((np.outer(v, v) + S**2) / n), rtol=1e-6)
    assert errors.weights[0] == 0.0


def test_columns_that_are_nearly_the_same_cost_no_digits():
    rng = np.random.default_rng(1)
    x = rng.normal(0, 1, 300)
    X = np.column_stack([x, x + 1e-3 * rng.normal(0, 1, 300)])
    rows = Rows(X, X.mean(axis=0))
    start = MixtureParams(np.ones(1), families.GaussianParams(np.zeros((1, 2)), np.cov(X.T)[None]))
    params = em.fit(Mixture(families.Gaussian()), rows, start, tol=1e-12).params
    found = info.observed_information(Mixture(families.Gaussian()), rows, params)
    np.testing.assert_allclose(found.standard_errors.components.means[0], X.std(axis=0) / np.sqrt(300), rtol=1e-5)


def test_large_rates_are_resolved():
    rng = np.random.default_rng(2)
    X = np.concatenate([rng.poisson(1e5, 60), rng.poisson(1e5 + 1e3, 40)])[:, None].astype(float)
    fit = em.fit(Mixture(families.Poisson()), X, poisson([[1e5], [1e5 + 1e3]]), tol=1e-10)
    found = info.observed_information(Mixture(families.Poisson()), X, fit.params)
    unit = np.sqrt(np.outer(np.diag(found.complete), np.diag(found.complete)))
    by_louis = info.louis(Mixture(families.Poisson()), X, fit.params)
    np.testing.assert_allclose(found.observed / unit, by_louis / unit, atol=1e-5)


def test_em_converges_at_the_rate_that_is_missing():
    rng = np.random.default_rng(3)
    X = np.concatenate([rng.poisson(2, 300), rng.poisson(7, 200)])[:, None].astype(float)
    model, path = Mixture(families.Poisson()), []
    fit = em.fit(model, X, poisson([[1.0], [9.0]]), tol=1e-15, callback=lambda s: path.append(flatten(s.params)))
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    usable = np.flatnonzero(steps > 1e-9)[-1]
    seen = (steps[usable] / steps[usable - 20]) ** (1 / 20)
    assert info.missing_information(model, X, fit.params) == pytest.approx(seen, abs=1e-4)


def test_blocks_and_threads_change_nothing(monkeypatch):
    monkeypatch.setattr("emlib.engine.blocks.BLOCK_ROWS", 100)
    X = np.random.default_rng(4).poisson([[2.0]] * 150 + [[9.0]] * 150).astype(float)
    params = poisson([[2.0], [9.0]])
    model = Mixture(families.Poisson())
    one = info.observed_information(model, Rows(X), params)
    many = info.observed_information(model, Rows(X), params, executor=threads())
    np.testing.assert_array_equal(one.observed, many.observed)


def test_a_saddle_is_no_maximum():
    X = np.random.default_rng(5).poisson([[1.0]] * 100 + [[9.0]] * 100).astype(float)
    fit = em.fit(Mixture(families.Poisson()), X, poisson([[X.mean()], [X.mean()]]))
    found = info.observed_information(Mixture(families.Poisson()), X, fit.params)
    assert found.missing[0] > 1
    with pytest.raises(info.NotAMaximum, match="saddle"):
        _ = found.covariance


def test_a_ridge_is_no_maximum():
    """More even than one Poisson: two equal components are as good as any, and their weights are free."""
    X = np.array([[4.0], [5], [6]] * 30)
    found = info.observed_information(Mixture(families.Poisson()), X, poisson([[5.0], [5.0]], [0.3, 0.7]))
    with pytest.raises(info.NotAMaximum, match="flat"):
        _ = found.standard_errors


@pytest.mark.parametrize("rate", [0.0, 1e-300, 1e-9])
def test_a_rate_that_never_shows_has_no_error(rate):
    """At zero or on its way there; the others have those that they would have without it."""
    X = np.array([[1.0, 0.0], [4.0, 0.0], [2.0, 0.0]])
    found = info.observed_information(Mixture(families.Poisson()), X, poisson([[7 / 3, rate]], [1.0]))
    assert found.absent.tolist() == [False, False, True]
    np.testing.assert_allclose(flatten(found.standard_errors), [0.0, np.sqrt(7 / 9), np.nan], rtol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 1e-200, 1e-8])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_component_without_rows_has_no_errors(weight, place):
    """Wherever it stands; the other two are a mixture of two."""
    rng = np.random.default_rng(7)
    X = np.concatenate([rng.poisson(2, 200), rng.poisson(12, 100)])[:, None].astype(float)
    two = em.fit(Mixture(families.Poisson()), X, poisson([[2.0], [12.0]]), tol=1e-12).params
    three = poisson(np.insert(two.components.rates, place, 40.0, axis=0), np.insert(two.weights, place, weight))
    one, other = (info.observed_information(Mixture(families.Poisson()), X, params) for params in (two, three))
    gone = np.arange(3) == place
    assert other.absent.tolist() == [*gone, *gone]
    expected = np.insert(flatten(one.standard_errors).reshape(2, 2), place, np.nan, axis=1)
    np.testing.assert_allclose(flatten(other.standard_errors).reshape(2, 3), expected, rtol=1e-4)


def test_a_model_without_slopes_is_named():
    class Plain:
        def e_step(self, data, params, latent=None): ...

    with pytest.raises(TypeError, match="has no slopes"):
        info.observed_information(Plain(), None, None)


def test_a_family_may_have_no_slopes():
    class Strange(families.Poisson):
        slopes = None

    strange = Mixture(Strange())
    with pytest.raises(TypeError, match="has no slopes"):
        info.observed_information(strange, np.array([[1.0]]), poisson([[1.0], [2.0]]))


def test_coordinates_reach_only_what_is_possible():
    rng = np.random.default_rng(6)
    p = rng.dirichlet(np.ones(4), size=3)
    moved = Simplex(p).at(rng.normal(0, 3, 9))
    np.testing.assert_allclose(moved.sum(axis=1), 1.0, rtol=1e-14)
    assert (moved > 0).all()
    S = np.array([[2.0, 0.5], [0.5, 1.0]])
    moved = Covariance(S, np.linalg.cholesky(S)).at(rng.normal(0, 2, 3))
    assert (np.linalg.eigvalsh(moved) > 0).all()
