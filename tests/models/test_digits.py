"""Digits of Gaussian mixtures, against sums of differences in extended precision; and data that give none."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from emlib import GaussianMixture
from emlib.engine import em, families
from emlib.engine.blocks import Rows
from emlib.engine.kernel import Statistics
from emlib.engine.mixture import Mixture, MixtureParams
from emlib.models.mixtures import SHAPES
from emlib.models.starts import OneHot, Random

L = np.longdouble
SEPARATIONS = [1e2, 1e4, 1e6, 1e7, 1e8]


def clusters(separation, offset, n=300, d=3):
    """Three clusters of standard deviations .5 to 2, `separation` apart."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=n)
    centres = np.array([[0.0, 0.0, 0.0], [0.6, -0.8, 0.0], [0.5, 0.5, -0.7]])[:, :d] * separation
    return centres[labels] + rng.uniform(0.5, 2, (3, d))[labels] * rng.standard_normal((n, d)) + offset, labels


def by_labels(X, labels, shape):
    """Weights, means and covariances (K, d, d) of labelled rows: two passes in extended precision."""
    K, (n, d) = labels.max() + 1, X.shape
    groups = [X[labels == k].astype(L) for k in range(K)]
    N, means = np.array([len(g) for g in groups]), np.array([g.mean(axis=0) for g in groups])
    scatter = np.array([(g - m).T @ (g - m) for g, m in zip(groups, means, strict=True)])
    if shape.startswith("tied"):
        scatter, rows = np.repeat(scatter.sum(axis=0)[None], K, axis=0), np.full(K, n)
    else:
        rows = N
    covariances = scatter / rows[:, None, None]
    if shape == "diag":
        covariances = covariances * np.eye(d)
    if shape.endswith("spherical"):
        covariances = np.trace(covariances, axis1=1, axis2=2)[:, None, None] / d * np.eye(d)
    return N / n, means, covariances


def as_matrices(covariances, shape, K, d):
    return {
        "full": lambda c: c,
        "tied": lambda c: np.repeat(c[None], K, axis=0),
        "diag": lambda c: c[:, :, None] * np.eye(d),
        "spherical": lambda c: c[:, None, None] * np.eye(d),
        "tied_spherical": lambda c: np.repeat((c * np.eye(d))[None], K, axis=0),
    }[shape](np.asarray(covariances))


def log_likelihood(X, weights, means, covariances):
    """From differences, in extended precision."""
    d, joint = X.shape[1], []
    for w, m, S in zip(weights, means, covariances, strict=True):
        P = np.linalg.inv(S.astype(float)).astype(L)
        for _ in range(2):  # Newton's steps beyond double precision
            P = P @ (2 * np.eye(d, dtype=L) - S @ P)
        D = X.astype(L) - m
        log_det = L(np.linalg.slogdet(S.astype(float))[1])
        joint.append(np.log(L(w)) - (np.einsum("ni,ij,nj->n", D, P, D) + d * np.log(2 * L(np.pi)) + log_det) / 2)
    A = np.array(joint)
    top = A.max(axis=0)
    return float((top + np.log(np.exp(A - top).sum(axis=0))).sum())


# ------------------------------------------------------------------ the start, the steps, the end


@pytest.mark.parametrize("origin", ["mean", "zero"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_start_from_labels_keeps_its_digits(shape, origin):
    for separation in SEPARATIONS:
        for offset in (0.0, 1e8):
            X, labels = clusters(separation, offset)
            start = X.mean(axis=0) if origin == "mean" else np.zeros(3)
            found = Mixture(SHAPES[shape](0.0)).from_responsibilities(Rows(X, start), OneHot(labels, 3), 3)
            _, means, covariances = by_labels(X, labels, shape)
            sd = np.sqrt(np.einsum("kii->ki", covariances)).astype(float)
            error = as_matrices(found.components.covariances, shape, 3, 3) - covariances
            assert (np.abs(error) / (sd[:, :, None] * sd[:, None, :])).max() < 1e-9
            # A mean is one number each: what it can hold is its own rounding.
            assert (np.abs(found.components.means + start - means) <= 4e-15 * (separation + offset)).all()


@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("shape", SHAPES)
def test_six_digits_of_log_likelihood(shape, init, offset):
    """Ten of them, rather; and the top is that of the true labels, to which a wrong start would not lead."""
    for separation in SEPARATIONS:
        if init != "kmeans" and shape in ("full", "tied") and separation > 1e6:
            # These begin with the covariance of all rows, here a flat ellipsoid of condition 1e14 and more. No double
            # holds its inverse, and the climb may end as degenerate.
            continue
        X, labels = clusters(separation, offset)
        n_init = 1 if init == "kmeans" else 8
        fitted = GaussianMixture(
            3,
            covariance_type=shape,
            reg_covar=0,
            tol=1e-9,
            max_iter=1000,
            n_init=n_init,
            init_params=init,
            random_state=1,
        ).fit(X)
        assert fitted.stop_reason_ == "converged"
        covariances = as_matrices(fitted.covariances_, shape, 3, 3).astype(L)
        here = log_likelihood(X, fitted.weights_, fitted.means_.astype(L), covariances)
        assert fitted.log_likelihood_ == pytest.approx(here, rel=1e-9)
        assert fitted.score_samples(X).sum() == pytest.approx(here, rel=1e-9)
        assert here == pytest.approx(log_likelihood(X, *by_labels(X, labels, shape)), rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_climb_from_far_too_wide_gets_there(shape):
    """One step narrows variances by 1e14: what the sums about the origin cannot tell, the next step measures."""
    X, labels = clusters(1e8, 0.0)
    origin, model = X.mean(axis=0), Mixture(SHAPES[shape](0.0))
    centres = np.array([X[labels == k][0] for k in range(3)]) - origin
    one = {
        "full": np.eye(3)[None].repeat(3, axis=0),
        "tied": np.eye(3),
        "diag": np.ones((3, 3)),
        "spherical": np.ones(3),
    }
    covariances = 1e14 * one.get(shape, np.array(1.0))
    start = MixtureParams(np.full(3, 1 / 3), families.GaussianParams(centres, covariances))
    fit = em.fit(model, Rows(X, origin), start, tol=1e-9)
    assert fit.converged
    assert np.diff(fit.trace).min() >= -1e-9
    assert fit.log_likelihood == pytest.approx(log_likelihood(X, *by_labels(X, labels, shape)), rel=1e-9)


def test_a_component_without_rows_costs_the_others_nothing():
    X, labels = clusters(1e8, 0.0)
    shares = OneHot(labels, 4)
    for shape in ("full", "diag", "spherical", "tied", "tied_spherical"):
        model = Mixture(SHAPES[shape](0.0))
        start = model.from_responsibilities(Rows(X, X.mean(axis=0)), shares, 4)
        assert start.weights[3] == 0.0
        once = model.m_step(model.e_step(Rows(X, X.mean(axis=0)), start)[0])
        _, _, covariances = by_labels(X, labels, shape)
        found = as_matrices(once.components.covariances, shape, 4, 3)[:3]
        np.testing.assert_allclose(found, covariances.astype(float), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("family", [families.Gaussian(), families.DiagonalGaussian(), families.SphericalGaussian()])
def test_what_cancels_is_too_wide_and_never_too_narrow(family):
    """A thousand equal rows far from the point of measurement: nothing of their width is left, or less than nothing."""
    for x in np.random.default_rng(0).uniform(1e7, 1e8, 50):
        p = family.n_features(1)
        T = np.empty((1, p, 1000))
        family.features(np.full((1, 1, 1000), x), T)
        stats = Statistics(T.sum(axis=2), np.zeros((1, 1)), np.zeros(0))
        variance = family.maximise(stats).covariances.ravel()[0]
        assert 0 < variance < 1e-12 * x**2


def test_random_shares_answer_the_same_twice():
    shares, other = Random(3, np.random.default_rng(0)), Random(3, np.random.default_rng(1))
    once = np.concatenate([shares[0:5], shares[5:9]])
    np.testing.assert_array_equal(once, np.concatenate([shares[0:4], shares[4:9]]))
    assert (once != other[0:9]).all()
    np.testing.assert_allclose(once.sum(axis=1), 1.0)


# ------------------------------------------------------------------ nothing to estimate from


RNG = np.random.default_rng(0)
FOUR = RNG.normal(0, 1, (4, 3))
POOR = {
    "exact duplicates": np.repeat(FOUR, 10, axis=0),
    "fewer rows than columns": RNG.normal(0, 1, (4, 10)),
    "constant column": np.column_stack([RNG.normal(0, 1, (30, 2)), np.full(30, 0.1)]),
    "one row a component": FOUR,
    "a single row": FOUR[:1],
    "all equal": np.full((5, 2), 3.7),
}
RESULTS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "trace_", "lower_bounds_")


@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("data", POOR)
@pytest.mark.parametrize("shape", SHAPES)
def test_poor_data_are_fitted_with_a_warning_or_refused(shape, data, offset):
    X = POOR[data] + offset
    for reg_covar in (0.0, 1e-6):
        for init in ("kmeans", "k-means++", "random", "random_from_data"):
            for K in range(1, min(4, len(X)) + 1):
                mixture = GaussianMixture(
                    K, covariance_type=shape, reg_covar=reg_covar, init_params=init, random_state=0, max_iter=500
                )
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    try:
                        mixture.fit(X)
                    except ValueError as refused:
                        sentence = str(refused)
                if not hasattr(mixture, "weights_"):
                    assert reg_covar == 0.0
                    assert "\n" not in sentence
                    assert sentence.endswith(
                        ("positive.", "positive definite.", "set reg_covar above 0.", "rounding of the data.")
                    )
                    assert not [name for name in vars(mixture) if name.endswith("_")]
                    continue
                for name in RESULTS:
                    assert np.isfinite(getattr(mixture, name)).all(), name
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    assert np.isfinite(mixture.predict_proba(X)).all()
                    assert np.isfinite(mixture.score_samples(X)).all()
                said = {w.category for w in caught}
                assert said <= {UserWarning, ConvergenceWarning}  # no arithmetic complains, nothing falls
                # What ends without a word has some width of its own in every direction.
                if not said:
                    assert np.linalg.eigvalsh(as_matrices(mixture.covariances_, shape, K, X.shape[1])).min() > 1e-4


@pytest.mark.parametrize("shape", ["full", "tied"])
def test_fewer_rows_than_columns_get_their_sentence(shape):
    X = POOR["fewer rows than columns"]
    with pytest.raises(
        ValueError, match=r"X has only 4 rows for 10 columns.*; choose covariance_type='diag', or set reg_"
    ):
        GaussianMixture(1, covariance_type=shape, reg_covar=0).fit(X)
    with pytest.warns(UserWarning, match=r"X has only 4 rows for 10 columns.*variance is reg_covar=1e-06 alone"):
        fitted = GaussianMixture(1, covariance_type=shape).fit(X)
    assert fitted.converged_  # rounding alone moves the likelihood, and the loop knows by how much


@pytest.mark.parametrize("shape", ["tied", "tied_spherical"])
def test_a_shared_width_that_is_gone_is_said(shape):
    with pytest.warns(ConvergenceWarning, match="the shared covariance has collapsed: every row lies on a mean"):
        fitted = GaussianMixture(4, covariance_type=shape, random_state=0).fit(POOR["exact duplicates"])
    assert fitted.stop_reason_ == "degenerate"
