"""K-means as the zero-temperature limit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.datasets import load_iris

from emlib import GaussianMixture, KMeans, decision_boundary
from emlib.data import galaxies, old_faithful, pbmc
from emlib.engine import em
from emlib.engine.families import CentreParams, Centres, GaussianParams, TiedSphericalGaussian
from emlib.engine.latent import HARD, SOFT, tempered
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


# ------------------------------------------------------------------ the limit, from both sides


def standardised(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


def random_table(seed):
    """Loose clusters or none; no two rows equally far from anything."""
    rng = np.random.default_rng(seed)
    n, d, K = rng.integers(20, 120), rng.integers(1, 6), rng.integers(2, 6)
    return rng.normal(0, rng.uniform(0, 4), (K, d))[rng.integers(K, size=n)] + rng.normal(0, 1, (n, d)), int(K)


def equal_weights(variance, K):
    weights = np.full(K, 1 / K)
    return Mixture(Centres(variance), fixed_weights=weights), weights


def climb(X, start, variance, latent):
    model, weights = equal_weights(variance, len(start))
    with np.errstate(all="raise", under="ignore"):
        fit = em.fit(model, X, MixtureParams(weights, CentreParams(start)), tol=0.0, max_iter=300, latent=latent)
    return fit, model.labels(X, fit.params)


def inertia_of(objective, X, K, variance):
    """What is left of the objective without the constants of the density: -2 variance (objective - constants)."""
    n, d = X.shape
    return -2 * variance * (objective + n * np.log(K) + n * d / 2 * np.log(2 * np.pi * variance))


def assert_limit(X, K, seed):
    start = kmeans_plus_plus(X, K, np.random.default_rng(seed))
    kmeans = KMeans(K, init=start, tol=0.0).fit(X)
    scale = X.var(axis=0).mean()
    for variance, latent, slack in (
        (1e-8 * scale, SOFT, 1e-8),  # the variance goes to zero
        (scale, tempered(1e-8), 1e-8),  # the temperature does
        (1e-3 * scale, tempered(1e-5), 1e-8),  # both do: only their product counts
        (scale, HARD, 0.0),  # at zero, whatever the variance
        (1e-3 * scale, HARD, 0.0),
    ):
        fit, labels = climb(X, start, variance, latent)
        np.testing.assert_array_equal(labels, kmeans.labels_)
        np.testing.assert_allclose(fit.params.components.means, kmeans.cluster_centers_, atol=1e-9 * np.abs(X).max())
        # The soft objective lies above the hard one by at most temperature * n log K.
        above = 2 * slack * scale * len(X) * np.log(K)
        inertia = inertia_of(fit.trace[-1], X, K, variance)
        assert kmeans.inertia_ - above <= inertia * (1 + 1e-9)
        assert inertia <= kmeans.inertia_ * (1 + 1e-9)


@pytest.mark.parametrize("K", [2, 3, 5])
@pytest.mark.parametrize(
    "X", [standardised(old_faithful()), IRIS, pbmc().pcs, galaxies()], ids=["faithful", "iris", "pbmc", "galaxies"]
)
def test_the_mixture_tends_to_kmeans(X, K):
    assert_limit(X, K, seed=K)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_any_mixture_tends_to_kmeans(seed):
    X, K = random_table(seed)
    assert_limit(X, K, seed)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.01, 10.0), st.floats(0.01, 10.0))
def test_temperature_is_a_factor_of_the_variance(seed, variance, temperature):
    """With equal weights and one variance, cooling and narrowing are the same E-step."""
    X, K = random_table(seed)
    (hot, weights), (wide, _) = equal_weights(variance, K), equal_weights(variance * temperature, K)
    params = MixtureParams(weights, CentreParams(X[:K].copy()))
    cooled, narrowed = hot.e_step(X, params, tempered(temperature))[0], wide.e_step(X, params)[0]
    np.testing.assert_allclose(cooled.totals, narrowed.totals, rtol=1e-9, atol=1e-9)


def test_the_gap_to_the_inertia_closes_with_the_variance():
    """At the same centres: less variance, and less gap by a larger factor."""
    X = standardised(old_faithful())
    kmeans = KMeans(2, init=X[[0, 1]], tol=0.0).fit(X)
    gaps = []
    for variance in (1.0, 0.1, 0.01):
        model, weights = equal_weights(variance, 2)
        value = model.e_step(X, MixtureParams(weights, CentreParams(kmeans.cluster_centers_)))[1]
        gaps.append(kmeans.inertia_ - inertia_of(value, X, 2, variance))
    assert min(gaps) > 0
    assert gaps[0] > 10 * gaps[1] > 100 * gaps[2]


def test_the_shared_variance_may_be_estimated():
    """Decided labels do not see it; the likelihood at its best value is the one that KMeans reports."""
    for X in (standardised(old_faithful()), IRIS):
        start, weights = X[[0, 60, 120]], np.full(3, 1 / 3)
        kmeans = KMeans(3, init=start, tol=0.0).fit(X)
        model = Mixture(TiedSphericalGaussian(), fixed_weights=weights)
        begin = MixtureParams(weights, GaussianParams(start, np.array(1.0)))
        fit = em.fit(model, X, begin, tol=0.0, latent=HARD)
        np.testing.assert_allclose(fit.params.components.means, kmeans.cluster_centers_)
        assert fit.params.components.covariances == pytest.approx(kmeans.inertia_ / X.size)
        assert fit.trace[-1] == pytest.approx(kmeans.log_likelihood_)


def unequal():
    """A large cluster and a small one that overlap."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(0, 1, 900), rng.normal(3, 1, 100)])[:, None]


def test_classification_em_is_not_kmeans():
    """Temperature zero of a general mixture: its boundary moves towards the lighter component."""
    X = unequal()
    kmeans = KMeans(2, init=[[0.0], [3.0]], tol=0.0).fit(X)
    options = {"temperature": 0.0, "tol": 0.0, "means_init": [[0.0], [3.0]], "random_state": 0, "reg_covar": 0.0}
    general = GaussianMixture(2, covariance_type="tied_spherical", weights_init=[0.9, 0.1], **options).fit(X)
    assert general.converged_
    assert (general.predict(X) != kmeans.labels_).sum() > 50
    for fitted in (kmeans, general):
        boundary = decision_boundary(fitted, 0, 1)
        (threshold,) = boundary.thresholds
        labels = fitted.predict(X)
        assert X[labels == 0].max() < threshold < X[labels == 1].min()
        if fitted is kmeans:
            assert threshold == pytest.approx(boundary.midpoint[0])
        else:
            heavier = np.log(general.weights_[0] / general.weights_[1])
            shift = general.covariances_ * heavier / np.ptp(general.means_)
            assert shift > 0.3
            assert threshold == pytest.approx(boundary.midpoint[0] + shift)


def test_variances_of_their_own_bend_the_boundary():
    """Classification EM with a variance for each component decides by two thresholds, K-means by one."""
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(0, 5, 500), rng.normal(4, 0.5, 500)])[:, None]
    mixture = GaussianMixture(2, temperature=0.0, tol=0.0, max_iter=500, means_init=[[0.0], [4.0]], random_state=0).fit(
        X
    )
    below, above = decision_boundary(mixture, 0, 1).thresholds
    inside = (X[:, 0] > below) & (X[:, 0] < above)
    np.testing.assert_array_equal(mixture.predict(X), inside.astype(int))
    assert (X[~inside] > above).any()
    assert decision_boundary(KMeans(2, init=[[0.0], [4.0]]).fit(X), 0, 1).thresholds.size == 1


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
