"""Regression with t errors: published fits, limits, outliers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import kurtosis
from scipy.stats import t as student
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from emlib import RobustRegression, data


@pytest.fixture(scope="module")
def plant():
    days = data.stackloss()
    return days[:, :3], days[:, 3]


def negative_log_likelihood(u, X, y):
    middle, width = X.mean(axis=0), X.std(axis=0)
    return -student.logpdf(y, np.exp(u[-1]), u[0] + (X - middle) / width @ u[1:-2], np.exp(u[-2])).sum()


def test_stackloss(plant):
    """Lange, Little and Taylor (1989): 1.1 degrees of freedom and coefficients .85, .49, -.07; intercept -38.5."""
    fit = RobustRegression(tol=1e-9).fit(*plant)
    assert fit.dof_ == pytest.approx(1.1, abs=0.05)
    np.testing.assert_allclose(fit.coef_, [0.85, 0.49, -0.07], atol=0.005)
    assert fit.intercept_ == pytest.approx(-38.5, abs=0.05)
    assert sorted(np.argsort(fit.weights_)[:4].tolist()) == [0, 2, 3, 20]  # the four that everybody finds


def test_against_direct_maximisation(plant):
    X, y = plant
    fit = RobustRegression(tol=1e-11).fit(X, y)
    found = minimize(
        negative_log_likelihood, [y.mean(), 7.0, 2.0, 0.0, 0.0, 0.0], args=(X, y), method="Nelder-Mead",
        options={"maxiter": 40_000, "maxfev": 40_000, "xatol": 1e-9, "fatol": 1e-12},
    )  # fmt: skip
    assert fit.log_likelihood_ == pytest.approx(-found.fun, abs=1e-6)
    np.testing.assert_allclose(fit.coef_, found.x[1:4] / X.std(axis=0), atol=1e-4)
    assert fit.dof_ == pytest.approx(np.exp(found.x[-1]), rel=1e-3)
    assert fit.scale_ == pytest.approx(np.exp(found.x[-2]), rel=1e-3)


def test_many_degrees_of_freedom_are_least_squares(plant):
    fit, plain = RobustRegression(dof=1e6).fit(*plant), LinearRegression().fit(*plant)
    np.testing.assert_allclose(fit.coef_, plain.coef_, atol=1e-4)
    np.testing.assert_allclose(fit.weights_, 1.0, atol=1e-4)
    np.testing.assert_allclose(fit.predict(plant[0]), plain.predict(plant[0]), atol=1e-2)


def test_one_error_of_writing_does_not_move_it():
    """Least squares follows an outlier as far as it goes."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 2))
    y = X @ [1.0, -2.0] + 0.3 * rng.standard_t(4, size=60)
    wrong = y.copy()
    wrong[7] += 1e4
    clean, fit = RobustRegression(dof=4).fit(X, y), RobustRegression(dof=4).fit(X, wrong)
    assert np.abs(fit.coef_ - clean.coef_).max() < 0.1
    assert np.abs(LinearRegression().fit(X, wrong).coef_ - [1.0, -2.0]).max() > 10
    assert fit.weights_[7] < 1e-6


def test_normal_errors_have_many_degrees_of_freedom():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((500, 1))
    y = X[:, 0] + rng.uniform(-1, 1, size=500)  # lighter tails than a normal's
    fit = RobustRegression(accelerate="squarem").fit(X, y)
    assert fit.dof_ > 50
    np.testing.assert_allclose(fit.coef_, LinearRegression().fit(X, y).coef_, atol=1e-3)


def test_normal_errors_need_no_patience():
    """Half of all tables with normal errors have their maximum at infinitely many; the default finds it."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 5))
    y = X.sum(axis=1) + rng.standard_normal(100)
    fit = RobustRegression().fit(X, y)
    assert fit.converged_
    assert fit.dof_ > 1000
    residual = y - LinearRegression().fit(X, y).predict(X)
    assert fit.log_likelihood_ == pytest.approx(-50 * (np.log(2 * np.pi * np.mean(residual**2)) + 1), abs=2e-3)


def test_residuals_with_light_tails_are_least_squares():
    """Without excess kurtosis normal errors are a maximum: the climb ends on it, not on the way to infinity."""
    rng = np.random.default_rng(3)
    light = 0
    for _ in range(30):
        X = rng.standard_normal((100, 2))
        y = X.sum(axis=1) + rng.standard_normal(100)
        fit, plain = RobustRegression().fit(X, y), LinearRegression().fit(X, y)
        excess = kurtosis(y - plain.predict(X))
        assert (fit.dof_ > 1e5) == (excess <= 0), (fit.dof_, excess)
        errors = fit.standard_errors(X, y)  # wherever the climb ended
        assert np.isfinite([errors.intercept, *errors.coef, errors.scale]).all()
        if excess <= 0:
            light += 1
            np.testing.assert_allclose(fit.coef_, plain.coef_, atol=1e-5)
            assert np.isnan(errors.dof)
            assert errors.scale == pytest.approx(fit.scale_ / np.sqrt(200), rel=1e-3)
            assert len(fit.starts_) == 2
            assert fit.log_likelihood_ >= fit.starts_[0].log_likelihood
    assert 5 < light < 25


@pytest.mark.parametrize("seed", [66, 118])
def test_no_jump_beyond_the_most_degrees_of_freedom(seed):
    """From there the M-step would have to step back, and down."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((30, 2))
    fit = RobustRegression().fit(X, 1.0 + X @ [2.0, -1.0] + rng.standard_normal(30))
    assert fit.stop_reason_ == "converged"
    assert fit.dof_ <= 1e6


def test_columns_that_have_much_in_common():
    """Nearly the same column twice: their sum is known as well as ever, and the plane is that of plain columns."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((60, 3))
    y = X @ [1.0, 2.0, 3.0] + rng.standard_t(3, size=60)
    noise = rng.standard_normal(60)
    plain = RobustRegression(dof=3, tol=1e-9).fit(np.column_stack([X, noise]), y)
    near = RobustRegression(dof=3, tol=1e-9).fit(np.column_stack([X, X[:, 0] + 1e-7 * noise]), y)
    assert near.log_likelihood_ == pytest.approx(plain.log_likelihood_, abs=1e-5)
    np.testing.assert_allclose(near.coef_[1:3], plain.coef_[1:3], atol=1e-5)
    assert near.coef_[3] * 1e-7 == pytest.approx(plain.coef_[3], abs=1e-4)


def test_units_and_offsets_change_nothing(plant):
    X, y = plant
    fit, moved = RobustRegression().fit(X, y), RobustRegression().fit(1e5 + 1e-3 * X, 7 + 100 * y)
    np.testing.assert_allclose(moved.coef_, 1e5 * fit.coef_, rtol=1e-4)
    assert moved.scale_ == pytest.approx(100 * fit.scale_, rel=1e-6)
    assert moved.log_likelihood_ == pytest.approx(fit.log_likelihood_ - 21 * np.log(100), abs=1e-6)
    np.testing.assert_allclose(moved.trace_, fit.trace_ - 21 * np.log(100), atol=1e-6)
    for factor in (1e-200, 1e200):
        assert RobustRegression().fit(X, factor * y).scale_ == pytest.approx(factor * fit.scale_, rel=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
def test_large_responses_do_not_drown_their_errors(offset):
    """Rounding of y is not rounding of its errors: no climb ends because a last digit fell."""
    rng = np.random.default_rng(0)
    for _ in range(15):
        X = rng.standard_normal((50, 2))
        y = X @ [1.0, 2.0] + rng.standard_t(3, size=50)
        fit, moved = RobustRegression().fit(X, y), RobustRegression().fit(X, y + offset)
        assert moved.stop_reason_ == "converged"
        np.testing.assert_allclose(moved.coef_, fit.coef_, atol=1e-4)
        np.testing.assert_allclose(moved.standard_errors(X, y + offset).coef, fit.standard_errors(X, y).coef, rtol=1e-2)


def test_a_plane_through_most_rows_has_no_scale():
    """The spike of chapter 6 again: the likelihood grows without bound."""
    x = np.arange(12.0)[:, None]
    y = 2.0 * x[:, 0]
    y[[3, 6, 8]] += [2.0, -3.0, 1.0]
    with pytest.warns(UserWarning, match="the scale has collapsed"):
        assert RobustRegression(dof=0.3).fit(x, y).stop_reason_ == "degenerate"


@pytest.mark.parametrize(
    ("X", "y", "options", "sentence"),
    [
        (np.eye(6), np.ones(5), {}, r"y has the shape \(5,\); one finite number for each of 6 rows"),
        (np.arange(6.0)[:, None], [1, 2, 3, 4, 5, np.nan], {}, "y holds nan in row 5; every value must be a finite"),
        (np.ones((6, 1)), np.arange(6.0), {}, "column 0 of X is constant"),
        (np.outer(np.arange(8.0), [1, 2]), np.arange(8.0) ** 2, {}, "8 rows and 2 columns of rank 1"),
        (np.arange(3.0)[:, None], [1.0, 5.0, 2.0], {}, "4 rows at least"),
        (np.arange(6.0)[:, None], 2 * np.arange(6.0), {}, "y lies on a plane exactly"),
        (np.arange(6.0)[:, None], np.arange(6.0) ** 2, {"dof": 0}, "dof is 0; it must be above 0"),
    ],
)
def test_bad_input_gets_a_sentence(X, y, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        RobustRegression(**options).fit(X, y)


def test_manners_of_scikit_learn(plant):
    fit = RobustRegression(dof=2.5).fit(*plant)
    again = clone(fit)
    assert again.get_params()["dof"] == 2.5 == again.fit(*plant).dof_
    assert again.log_likelihood_ == fit.log_likelihood_ == fit.trace_[-1]
    assert 0.8 < fit.score(*plant) < 0.95
    assert (np.diff(fit.trace_) > -1e-9).all()


# ---------------------------------------------------------------- standard errors
def curvature(X, y, fit):
    """Standard errors of intercept, slopes, log scale and log dof (if free), by differences of the t density."""
    design = np.column_stack([np.ones(len(y)), X])
    u = np.array([fit.intercept_, *fit.coef_, np.log(fit.scale_), *([np.log(fit.dof_)] if fit.dof is None else [])])
    p = design.shape[1]

    def loss(step):
        at = u + step
        dof = fit.dof_ if fit.dof is not None else np.exp(at[-1])
        return -student.logpdf(y, dof, design @ at[:p], np.exp(at[p])).sum()

    h = np.diag(1e-4 * np.maximum(np.abs(u), 1.0))
    second = [
        [(loss(a + b) - loss(a - b) - loss(b - a) + loss(-a - b)) / (4 * a.sum() * b.sum()) for a in h] for b in h
    ]
    return np.sqrt(np.diagonal(np.linalg.inv(second)))


@pytest.mark.parametrize("dof", [None, 2.0, 8.0])
def test_standard_errors_are_the_curvature_of_the_likelihood(plant, dof):
    fit = RobustRegression(dof, tol=1e-12).fit(*plant)
    found, expected = fit.standard_errors(*plant), curvature(*plant, fit)
    np.testing.assert_allclose([found.intercept, *found.coef], expected[:4], rtol=2e-3)
    assert found.scale == pytest.approx(expected[4] * fit.scale_, rel=2e-3)
    assert np.isnan(found.dof) if dof else found.dof == pytest.approx(expected[5] * fit.dof_, rel=2e-3)


def test_standard_errors_without_outliers_are_those_of_least_squares(plant):
    X, y = plant
    design = np.column_stack([np.ones(21), X])
    left = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    expected = np.sqrt(np.diagonal(np.linalg.inv(design.T @ design)) * (left @ left / 21))
    found = RobustRegression(dof=1e6).fit(X, y).standard_errors(X, y)
    np.testing.assert_allclose([found.intercept, *found.coef], expected, rtol=1e-4)


def test_standard_errors_know_units_and_rows(plant):
    X, y = plant
    found = RobustRegression(dof=3).fit(X, y).standard_errors(X, y)
    other = (
        RobustRegression(dof=3)
        .fit(X * [1e3, 1.0, 1e-3] + 5.0, 1e6 * y)
        .standard_errors(X * [1e3, 1.0, 1e-3] + 5.0, 1e6 * y)
    )
    np.testing.assert_allclose(other.coef, found.coef * [1e3, 1e6, 1e9], rtol=1e-3)
    with pytest.raises(ValueError, match="y has the shape"):
        RobustRegression(dof=3).fit(X, y).standard_errors(X, y[:-1])


@pytest.mark.slow
def test_intervals_cover():
    """In 95 of 100 data sets the truth is within 1.96 standard errors."""
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        X = rng.standard_normal((150, 2))
        y = 1.0 + X @ [2.0, -1.0] + rng.standard_t(4, size=150)
        fit = RobustRegression().fit(X, y)
        found = fit.standard_errors(X, y)
        off = np.array([fit.intercept_ - 1.0, *(fit.coef_ - [2.0, -1.0])]) / [found.intercept, *found.coef]
        inside.append(np.abs(off) < 1.96)
    assert 0.925 < np.mean(inside) < 0.965


def test_a_column_of_words_is_named(plant):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(plant[0], columns=["air", "water", "acid"]).assign(shift=["day", "night", "day"] * 7)
    with pytest.raises(ValueError, match="Column 'shift' holds words: leave it out, or make columns of 0 and 1 of it"):
        RobustRegression().fit(table, plant[1])
