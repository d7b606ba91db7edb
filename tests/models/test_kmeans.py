"""K-means as the zero-temperature limit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.datasets import load_iris

from emlib import KMeans
from emlib.data import old_faithful, pbmc
from emlib.engine import em
from emlib.engine.families import CentreParams, Centres
from emlib.engine.latent import HARD, tempered
from emlib.engine.mixture import Mixture, MixtureParams
from emlib.models.starts import kmeans_plus_plus

IRIS = load_iris().data


@pytest.mark.parametrize("K", [2, 3, 5, 8])
@pytest.mark.parametrize("X", [IRIS, old_faithful(), pbmc().pcs], ids=["iris", "faithful", "pbmc"])
def test_equals_lloyd_from_the_same_start(X, K):
    start = kmeans_plus_plus(X, K, np.random.default_rng(K))
    ours = KMeans(K, init=start, tol=0.0).fit(X)
    theirs = SklearnKMeans(K, init=start, n_init=1, tol=0.0).fit(X)
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, atol=1e-9)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-12)
    assert ours.trace_[-1] == pytest.approx(-ours.inertia_ / 2, rel=1e-9)
    assert np.diff(ours.trace_).min() >= 0
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), atol=1e-7)


def test_it_is_the_limit_of_the_mixture():
    """Let the shared variance, or the temperature, of the mixture go to zero."""
    X = old_faithful() / old_faithful().std(axis=0)
    start = X[[0, 1]]
    weights = np.array([0.5, 0.5])
    kmeans = KMeans(2, init=start, tol=0.0).fit(X)
    for variance, latent in ((1e-4, None), (1.0, tempered(1e-4)), (1.0, HARD), (7.0, HARD)):
        model = Mixture(Centres(variance), fixed_weights=weights)
        options = {} if latent is None else {"latent": latent}
        fit = em.fit(model, X, MixtureParams(weights, CentreParams(start)), tol=0.0, max_iter=300, **options)
        np.testing.assert_allclose(fit.params.components.means, kmeans.cluster_centers_, atol=1e-6)


def test_plus_plus_spreads_out():
    X = np.repeat([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]], 50, axis=0)
    X += np.random.default_rng(0).normal(0, 1, X.shape)
    centres = kmeans_plus_plus(X, 3, np.random.default_rng(1))
    assert {tuple(c) for c in np.round(centres, -2) + 0.0} == {(0.0, 0.0), (100.0, 0.0), (0.0, 100.0)}
    same = kmeans_plus_plus(np.ones((5, 2)), 3, np.random.default_rng(1))
    assert same.tolist() == [[1.0, 1.0]] * 3


def test_an_offset_changes_nothing():
    a = KMeans(3, random_state=0).fit(IRIS)
    b = KMeans(3, random_state=0).fit(IRIS + 1e8)
    assert b.inertia_ == pytest.approx(a.inertia_, rel=1e-6)


def test_many_starts():
    one = [KMeans(8, init="random", n_init=1, random_state=seed).fit(IRIS).inertia_ for seed in range(10)]
    many = KMeans(8, init="random", random_state=0).fit(IRIS)
    assert len(many.starts_) == 10
    assert many.inertia_ <= np.median(one)


@pytest.mark.parametrize("K", [1, 3])
def test_classification_likelihood(K):
    X = np.random.default_rng(0).normal(0, 2, (1000, 2))
    fitted = KMeans(K, random_state=0).fit(X)
    away = X - fitted.cluster_centers_[fitted.labels_]
    expected = norm(0, np.sqrt((away**2).mean())).logpdf(away).sum() + 1000 * np.log(1 / K)
    assert fitted.log_likelihood_ == pytest.approx(expected)


@pytest.mark.parametrize("unit", [1e-10, 1e-3, 1e6])
def test_units_change_nothing(unit):
    start = kmeans_plus_plus(IRIS, 8, np.random.default_rng(0))
    plain, scaled = KMeans(8, init=start).fit(IRIS), KMeans(8, init=start * unit).fit(IRIS * unit)
    assert scaled.n_iter_ == plain.n_iter_
    assert scaled.inertia_ == pytest.approx(plain.inertia_ * unit**2, rel=1e-9)
    np.testing.assert_array_equal(scaled.labels_, plain.labels_)


def test_ties_are_decided():
    fitted = KMeans(2, init=[[0.0], [2.0]], tol=0.0).fit([[0.0], [1.0], [2.0]])
    assert fitted.inertia_ == pytest.approx(0.5)
    grid = np.array([[i, j] for i in range(4) for j in range(4)], dtype=float)
    for seed in range(20):
        start = kmeans_plus_plus(grid, 3, np.random.default_rng(seed))
        ours = KMeans(3, init=start, tol=0.0).fit(grid)
        for k in range(3):
            np.testing.assert_allclose(ours.cluster_centers_[k], grid[ours.labels_ == k].mean(axis=0))


def test_it_does_not_stop_before_a_late_change():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = rng.normal(0, 1, (300, 3)) + rng.normal(0, 1, (5, 3))[rng.integers(5, size=300)]
        start = kmeans_plus_plus(X, 5, rng)
        ours, theirs = KMeans(5, init=start).fit(X), SklearnKMeans(5, init=start, n_init=1).fit(X)
        assert ours.inertia_ <= theirs.inertia_ + 1e-3


def test_greedy_starts_are_better_than_one_draw():
    centres = np.array([[i, j] for i in range(3) for j in range(3)], dtype=float) * 10
    X = np.repeat(centres, 30, axis=0) + np.random.default_rng(0).normal(0, 0.1, (270, 2))
    found = [len(np.unique(np.round(kmeans_plus_plus(X, 9, np.random.default_rng(s)), -1), axis=0)) for s in range(30)]
    assert np.mean(found) > 8.9


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_clusters": 0}, "n_clusters is 0; it must be a whole number, 1 or above"),
        ({"init": "best"}, r"init is 'best'; it must be 'k-means\+\+', 'random' or an array"),
        ({"init": np.zeros((2, 2))}, r"init has shape \(2, 2\); it must have shape \(8, 4\)"),
        ({"n_init": 0}, "n_init is 0"),
        ({"tol": -1}, "tol is -1"),
        ({"max_iter": 0}, "max_iter is 0"),
    ],
)
def test_bad_parameters(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        KMeans(**options).fit(IRIS)
