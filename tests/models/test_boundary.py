"""Boundaries between components: the formula, the decision, and the digits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from emlib import GaussianMixture, KMeans, PoissonMixture, decision_boundary
from emlib.data import fetal_lamb, galaxies, old_faithful
from emlib.models.boundary import margins

SHAPES = ["full", "tied", "diag", "spherical", "tied_spherical"]
SHARED = ("tied", "tied_spherical")


def three_blobs(d=2, seed=0):
    rng = np.random.default_rng(seed)
    centres, spread = rng.normal(0, 2, (3, d)), rng.uniform(0.3, 1.5, (3, d))
    labels = rng.choice(3, size=300, p=[0.5, 0.3, 0.2])
    return centres[labels] + spread[labels] * rng.standard_normal((300, d))


def mixture(shape, X, K=3):
    return GaussianMixture(K, covariance_type=shape, random_state=0, tol=1e-6, max_iter=1000).fit(X)


def exact_odds(fitted, X, i, j):
    """Log joint of i minus log joint of j in extended precision, straight from the fitted covariances."""
    L = np.longdouble
    d = fitted.means_.shape[1]
    eye, cov = np.eye(d), fitted.covariances_
    matrices = {
        "full": lambda k: cov[k],
        "tied": lambda k: cov,
        "diag": lambda k: np.diag(cov[k]),
        "spherical": lambda k: cov[k] * eye,
        "tied_spherical": lambda k: cov * eye,
    }[fitted.covariance_type]

    def joint(k):
        S = matrices(k)
        P = np.linalg.inv(S).astype(L)
        P = P @ (2 * np.eye(d, dtype=L) - S.astype(L) @ P)
        D = X.astype(L) - fitted.means_[k].astype(L)
        return np.log(L(fitted.weights_[k])) - (np.linalg.slogdet(S)[1] + np.einsum("ni,ij,nj->n", D, P, D)) / 2

    return (joint(i) - joint(j)).astype(float)


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_log_odds_and_agrees_with_predict(shape, d):
    X = three_blobs(d)
    fitted = mixture(shape, X)
    points = np.random.default_rng(1).uniform(X.min(axis=0) - 2, X.max(axis=0) + 2, (500, d))
    winner = fitted.predict(points)
    for i, j in ((0, 1), (2, 0), (1, 2)):
        boundary = decision_boundary(fitted, i, j)
        odds = boundary(points)
        truth = exact_odds(fitted, points, i, j)
        np.testing.assert_allclose(odds, truth, rtol=1e-9, atol=1e-9 * np.abs(truth).max())
        written = boundary.constant + points @ boundary.linear
        written += np.einsum("ni,ij,nj->n", points, boundary.quadratic, points)
        np.testing.assert_allclose(written, odds, rtol=1e-8, atol=1e-9 * np.abs(odds).max())
        assert (odds[winner == i] > 0).all()
        assert (odds[winner == j] < 0).all()
        np.testing.assert_allclose(decision_boundary(fitted, j, i)(points), -odds, rtol=1e-9, atol=1e-9)
        assert boundary.kind == ("linear" if shape in SHARED else "quadratic")
        assert (boundary.quadratic == 0).all() == (shape in SHARED)
        assert boundary.linear.shape == (d,)
        assert isinstance(boundary.constant, float)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([0.0, 1e3, 1e8]))
def test_kmeans_has_the_bisector(seed, d, offset):
    rng = np.random.default_rng(seed)
    X = rng.normal(0, 1, (40, d)) + offset
    fitted = KMeans(3, random_state=seed).fit(X)
    boundary = decision_boundary(fitted, 0, 2)
    a, b = fitted.cluster_centers_[[0, 2]]
    assert boundary.kind == "linear"
    np.testing.assert_allclose(boundary.slope, a - b)
    # Every point of the bisector is equally far from both; so is the zero of the formula.
    way = rng.normal(0, 1, (20, d))
    on_it = way - np.outer(way @ (a - b), a - b) / ((a - b) @ (a - b)) + (a + b) / 2
    np.testing.assert_allclose(boundary(on_it), 0.0, atol=1e-14 * (1 + offset) * np.abs(a - b).sum() * 10)
    labels = fitted.predict(X)
    assert (boundary(X)[labels == 0] >= 0).all()
    assert (boundary(X)[labels == 2] <= 0).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_digits_survive_an_offset(shape):
    X = three_blobs() + 1e8
    fitted = mixture(shape, X)
    for i, j in ((0, 1), (1, 2)):
        truth = exact_odds(fitted, X, i, j)
        np.testing.assert_allclose(
            decision_boundary(fitted, i, j)(X), truth, rtol=1e-9, atol=1e-9 * np.abs(truth).max()
        )
    near = three_blobs()
    plain = mixture(shape, near)
    moved, here = (decision_boundary(f, 0, 1)(x) for f, x in ((fitted, X), (plain, near)))
    np.testing.assert_allclose(moved, here, rtol=1e-5, atol=1e-5)


def test_one_column_has_two_thresholds_if_variances_differ():
    X = galaxies()
    fitted = mixture("full", X, K=2)
    boundary = decision_boundary(fitted, 0, 1)
    assert len(boundary.thresholds) == 2
    np.testing.assert_allclose(boundary(boundary.thresholds[:, None]), 0.0, atol=1e-9)
    grid = np.linspace(X.min() - 10, X.max() + 10, 4001)
    changes = grid[1:][np.diff(fitted.predict(grid[:, None])) != 0]
    np.testing.assert_allclose(changes, boundary.thresholds, atol=grid[1] - grid[0])

    shared = decision_boundary(mixture("tied", old_faithful()[:, :1], K=2), 0, 1)
    (only,) = shared.thresholds
    assert shared([[only]])[0] == pytest.approx(0.0, abs=1e-9)


def test_a_narrow_component_may_never_win():
    """So light that it is nowhere the more probable: no threshold, the same sign everywhere."""
    fitted = mixture("full", galaxies(), K=2)
    narrow = int(fitted.covariances_.ravel().argmin())
    fitted.weights_ = np.where(np.arange(2) == narrow, 1e-9, 1 - 1e-9)
    boundary = decision_boundary(fitted, narrow, 1 - narrow)
    assert boundary.thresholds.size == 0
    assert (boundary(galaxies()) < 0).all()


def test_weights_move_the_plane_away_from_the_heavier():
    fitted = mixture("tied", old_faithful(), K=2)
    heavy = int(fitted.weights_.argmax())
    boundary = decision_boundary(fitted, heavy, 1 - heavy)
    assert boundary.at_midpoint == pytest.approx(np.log(fitted.weights_[heavy] / fitted.weights_[1 - heavy]))


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ((0, 0), ValueError, "i and j are both 0; a boundary lies between two different components"),
        ((0, 3), ValueError, "j is 3; the components are counted from 0 to 2"),
        ((-1, 1), ValueError, "i is -1; it must be a whole number, 0 or above"),
        ((0.5, 1), ValueError, r"i is 0\.5; it must be a whole number"),
    ],
)
def test_what_is_no_pair(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        decision_boundary(mixture("full", three_blobs()), *arguments)


def test_what_has_no_boundary():
    with pytest.raises(TypeError, match="fitted is a PoissonMixture; it must be a GaussianMixture or a KMeans"):
        decision_boundary(PoissonMixture(2).fit(fetal_lamb()), 0, 1)
    with pytest.raises(NotFittedError):
        decision_boundary(KMeans(2), 0, 1)
    fitted = mixture("full", three_blobs())
    fitted.weights_ = np.array([0.5, 0.5, 0.0])
    with pytest.raises(ValueError, match="component 2 has weight 0; it wins nowhere"):
        decision_boundary(fitted, 0, 2)
    boundary = decision_boundary(fitted, 0, 1)
    with pytest.raises(ValueError, match="X has 3 columns; the boundary lies in 2"):
        boundary(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="NaN in row 0, column 1"):
        boundary([[0.0, np.nan]])
    with pytest.raises(ValueError, match="the boundary lies in 2 columns; only in 1 is it a set of thresholds"):
        _ = boundary.thresholds


@pytest.mark.parametrize("shape", SHAPES)
def test_margins_are_ahead_for_the_winner(shape):
    X = three_blobs() + 1e8
    fitted = mixture(shape, X)
    ahead = margins(fitted, X)
    np.testing.assert_array_equal(ahead.argmax(axis=1), fitted.predict(X))
    assert ((ahead > 0).sum(axis=1) == 1).all()
    odds = decision_boundary(fitted, 1, 0)(X)
    two = fitted.predict_proba(X)[:, 2] < 1e-6
    np.testing.assert_allclose(ahead[two, 1], odds[two], rtol=1e-6, atol=1e-6)


def test_margins_of_a_component_without_weight_and_of_one_alone():
    fitted = mixture("full", three_blobs())
    fitted.weights_ = np.array([0.0, 0.4, 0.6])
    ahead = margins(fitted, three_blobs())
    assert (ahead[:, 0] == -np.inf).all()
    assert np.isfinite(ahead[:, 1:]).all()
    assert (margins(KMeans(1).fit(three_blobs()), three_blobs()) == np.inf).all()
    with pytest.raises(TypeError, match="fitted is a list"):
        margins([], three_blobs())
