"""Normal rows with holes: what the covariance of a hole is good for."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.base import clone

from emlib import MissingDataNormal
from emlib.engine import em
from emlib.engine.families import GaussianParams, NormalInverseWishart
from emlib.engine.features import upper
from emlib.engine.latent import HARD
from emlib.models.missing import HoledNormal
from emlib.models.missing.holes import ENOUGH, WIDE

MEAN, COVARIANCE = np.array([1.0, -2.0, 0.5]), np.array([[1.0, 0.8, 0.3], [0.8, 2.0, -0.4], [0.3, -0.4, 1.5]])


def missing_at_random(n, seed):
    """The second column is likelier to be missing where the first is large, the third where the first is small."""
    rng = np.random.default_rng(seed)
    X = rng.multivariate_normal(MEAN, COVARIANCE, size=n)
    first = X[:, 0] - MEAN[0]
    X[rng.random(n) < 1 / (1 + np.exp(-2 * first)), 1] = np.nan
    X[rng.random(n) < 0.6 / (1 + np.exp(2 * first)), 2] = np.nan
    return X


def test_recovers_what_mean_imputation_and_complete_cases_do_not():
    """Within sampling error, which forty simulated tables measure."""
    em_fits, imputed, complete = [], [], []
    for seed in range(40):
        X = missing_at_random(400, seed)
        fit = MissingDataNormal(tol=1e-4).fit(X)
        em_fits.append([*fit.mean_, *fit.covariance_.ravel()])
        filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
        whole = X[~np.isnan(X).any(axis=1)]
        for found, table in ((imputed, filled), (complete, whole)):
            found.append([*table.mean(axis=0), *np.cov(table.T, bias=True).ravel()])
    truth = np.array([*MEAN, *COVARIANCE.ravel()])
    z = {
        name: np.abs((np.mean(found, axis=0) - truth) / (np.std(found, axis=0) / np.sqrt(40)))
        for name, found in (("em", em_fits), ("imputed", imputed), ("complete", complete))
    }
    assert z["em"].max() < 3.5
    assert z["imputed"].max() > 20
    assert z["complete"].max() > 20


def test_against_direct_maximisation():
    X = missing_at_random(30, 1)[:, :2]

    def cost(u):
        L = np.array([[np.exp(u[2]), 0.0], [u[3], np.exp(u[4])]])
        S, total = L @ L.T, 0.0
        for row in X:
            o = ~np.isnan(row)
            total -= multivariate_normal(u[:2][o], S[np.ix_(o, o)]).logpdf(row[o])
        return total

    direct = minimize(cost, [0.0, 0, 0, 0, 0], tol=1e-10)
    fit = MissingDataNormal(tol=1e-10).fit(X)
    assert fit.log_likelihood_ == pytest.approx(-direct.fun, abs=1e-6)
    np.testing.assert_allclose(fit.mean_, direct.x[:2], atol=1e-4)


def test_two_columns_have_a_closed_form():
    """Anderson's: the mean of the second column is where its regression line says."""
    X = missing_at_random(300, 2)[:, :2]
    fit, whole = MissingDataNormal(tol=1e-13).fit(X), X[~np.isnan(X[:, 1])]
    slope = np.cov(whole.T)[0, 1] / np.var(whole[:, 0], ddof=1)
    expected = whole[:, 1].mean() + slope * (X[:, 0].mean() - whole[:, 0].mean())
    assert fit.mean_[1] == pytest.approx(expected, abs=1e-7)
    assert fit.covariance_[0, 1] == pytest.approx(slope * X[:, 0].var(), abs=1e-7)


def test_without_holes_it_is_plain():
    X = np.random.default_rng(0).multivariate_normal(MEAN, COVARIANCE, size=50)
    fit = MissingDataNormal().fit(X)
    np.testing.assert_allclose(fit.covariance_, np.cov(X.T, bias=True), rtol=1e-12)
    np.testing.assert_array_equal(fit.impute(X), X)


def test_units_and_offsets_change_nothing():
    X = missing_at_random(200, 3)
    fit, moved = MissingDataNormal(tol=1e-9).fit(X), MissingDataNormal(tol=1e-9).fit(1e6 + 1e-3 * X)
    np.testing.assert_allclose((moved.mean_ - 1e6) * 1e3, fit.mean_, atol=1e-5)
    np.testing.assert_allclose(moved.covariance_ * 1e6, fit.covariance_, rtol=1e-5, atol=1e-6)


def test_holes_filled_by_decision_are_too_certain():
    """The E-step at temperature zero fills in the likeliest values and takes them for seen: variances shrink."""
    X = missing_at_random(2000, 4)
    start = GaussianParams(np.nanmean(X, axis=0)[None], np.diag(np.nanvar(X, axis=0))[None])
    soft, hard = (em.fit(HoledNormal(), X, start, tol=1e-3, **o).params.covariances[0] for o in ({}, {"latent": HARD}))
    assert soft[1, 1] == pytest.approx(2.0, abs=0.3)
    assert hard[1, 1] < 0.85 * soft[1, 1]


def test_filling_in():
    X = missing_at_random(3000, 5)
    fit = MissingDataNormal().fit(X)
    expected, drawn = fit.impute(X), fit.sample(X, random_state=0)
    seen = ~np.isnan(X)
    np.testing.assert_array_equal(expected[seen], X[seen])
    np.testing.assert_array_equal(drawn[seen], X[seen])
    only_first = seen[:, 0] & ~seen[:, 1] & ~seen[:, 2]
    S, mean = fit.covariance_, fit.mean_
    line = mean[1:] + np.outer(X[only_first, 0] - mean[0], S[0, 1:] / S[0, 0])
    np.testing.assert_allclose(expected[only_first, 1:], line)
    np.testing.assert_allclose(np.cov(drawn.T), S, atol=0.1)
    assert np.cov(expected.T)[1, 1] < 0.8 * S[1, 1]
    np.testing.assert_allclose(fit.impute([[np.nan, np.nan, np.nan]]), mean[None])


def test_standard_errors():
    """Without holes those of any normal sample; with holes what forty tables scatter by."""
    X = np.random.default_rng(0).multivariate_normal(MEAN, COVARIANCE, size=50)
    fit = MissingDataNormal().fit(X)
    known, S = fit.standard_errors(X), fit.covariance_
    np.testing.assert_allclose(known.means, np.sqrt(np.diag(S) / 50), rtol=1e-6)
    np.testing.assert_allclose(known.covariances, np.sqrt((S**2 + np.outer(np.diag(S), np.diag(S))) / 50), rtol=1e-6)
    fits = [MissingDataNormal(tol=1e-4).fit(missing_at_random(400, seed)) for seed in range(40)]
    X = missing_at_random(400, 100)
    known = MissingDataNormal(tol=1e-9).fit(X).standard_errors(X)
    np.testing.assert_allclose(np.std([fit.mean_ for fit in fits], axis=0), known.means, rtol=0.4)
    np.testing.assert_allclose(np.std([fit.covariance_ for fit in fits], axis=0), known.covariances, rtol=0.4)
    assert known.means[1] > 1.3 * np.sqrt(2.0 / 400)  # the column with most holes
    with pytest.raises(ValueError, match="X has 2 features"):
        fit.standard_errors(X[:, :2])


def test_a_prior_where_two_columns_never_meet():
    rng = np.random.default_rng(6)
    X = rng.standard_normal((40, 3))
    X[:20, 0], X[20:, 1] = np.nan, np.nan
    fit = MissingDataNormal(prior=NormalInverseWishart(np.zeros(3), 1.0, np.eye(3), 5.0)).fit(X)
    assert fit.converged_
    assert np.linalg.eigvalsh(fit.covariance_).min() > 0.1


def test_columns_keep_their_names():
    """A table in another order would be filled with what belongs elsewhere."""
    X = pd.DataFrame(missing_at_random(100, 8), columns=["temp", "weight", "age"])
    fit = MissingDataNormal().fit(X)
    np.testing.assert_allclose(fit.impute(X), MissingDataNormal().fit(X.to_numpy()).impute(X.to_numpy()))
    for fill in (fit.impute, fit.sample):
        with pytest.raises(ValueError, match="feature names should match"):
            fill(X[["weight", "temp", "age"]])


def test_columns_that_are_never_seen_together():
    """Two starts end at the same likelihood, with covariances of opposite signs: so it is said."""
    X = np.random.default_rng(0).multivariate_normal(MEAN, COVARIANCE, size=200)
    X[:100, 0], X[100:, 1] = np.nan, np.nan
    ends = []
    for r in (-0.4, 0.6):
        start = np.eye(3)
        start[0, 1] = start[1, 0] = r
        ends.append(em.fit(HoledNormal(), X, GaussianParams(np.zeros((1, 3)), start[None]), tol=1e-7))
    assert ends[0].log_likelihood == pytest.approx(ends[1].log_likelihood, abs=1e-6)
    assert ends[0].params.covariances[0, 0, 1] < -0.3 < 0.3 < ends[1].params.covariances[0, 0, 1]
    with pytest.warns(UserWarning, match="columns 0 and 1 of X are never seen in the same row"):
        MissingDataNormal().fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MissingDataNormal(prior=NormalInverseWishart(np.zeros(3), 1.0, np.eye(3), 5.0)).fit(X)
        X[:40, 0] = np.arange(40.0) % 7
        MissingDataNormal().fit(X)


@pytest.mark.parametrize(("d", "n"), [(12, 2500), (WIDE + 2, 300)])
def test_every_row_may_have_holes_of_its_own(d, n):
    """Beside some that many rows share. Expectations are those of the rows one by one, in any units."""
    rng = np.random.default_rng(9)
    mean, R, units = rng.standard_normal(d), 0.5 + 0.5 * np.eye(d), 10.0 ** rng.integers(-4, 5, size=d)
    S = R * np.outer(units, units)
    X = rng.multivariate_normal(mean, S, size=n)
    X[rng.random(X.shape) < 0.4] = np.nan
    X[rng.permutation(n)[: n // 4]] = np.where(np.arange(d) % 3, np.nan, 0.5)
    X = X[~np.isnan(X).all(axis=1)]
    kinds, often = np.unique(np.isnan(X), axis=0, return_counts=True)
    assert len(kinds) > n / 2
    assert often.max() > ENOUGH > np.median(often)
    stats, value = HoledNormal().e_step(X, GaussianParams(mean[None], S[None]))
    total, filled, second = 0.0, [], np.zeros((d, d))
    for row in (X - mean) / units:
        o = ~np.isnan(row)
        total += multivariate_normal(cov=R[np.ix_(o, o)]).logpdf(row[o]) - np.log(units[o]).sum()
        B = np.linalg.solve(R[np.ix_(o, o)], R[o])
        filled.append(np.where(o, row, row[o] @ B))
        second += np.outer(filled[-1], filled[-1]) + np.where(np.outer(~o, ~o), R - R[:, o] @ B, 0.0)
    assert value == pytest.approx(total, rel=1e-11)
    i, j = upper(d)
    filled = np.array(filled)
    np.testing.assert_allclose(stats.totals[0, 1 : d + 1] / units, filled.sum(axis=0), atol=1e-8)
    np.testing.assert_allclose(stats.totals[0, d + 1 :] / (units[i] * units[j]), second[i, j], atol=1e-8)
    fit = MissingDataNormal(max_iter=0)
    with pytest.warns(UserWarning, match="max_iter"):
        fit.fit(X)
    fit.mean_, fit.covariance_ = mean, S
    np.testing.assert_allclose(fit.impute(X), mean + units * filled, rtol=1e-6)


@pytest.mark.parametrize("holes", [0.0, 0.2])
def test_a_column_that_follows_from_others_is_named(holes):
    rng = np.random.default_rng(10)
    X = rng.standard_normal((60, 2))
    X = np.column_stack([X, 2 * X[:, 0]])
    X[rng.random(60) < holes, 1] = np.nan
    with pytest.warns(UserWarning, match="column 2 follows from columns before it, or too few rows"):
        assert MissingDataNormal().fit(X).stop_reason_ == "degenerate"


@pytest.mark.parametrize(
    ("prior", "sentence"),
    [
        (NormalInverseWishart(np.zeros(2), 1.0, np.eye(3), 5.0), r"prior has a mean of shape \(2,\) and a scatter"),
        (NormalInverseWishart(np.zeros(3), 1.0, np.eye(2), 5.0), r"a scatter of shape \(2, 2\); data of 3 columns"),
        (NormalInverseWishart(np.zeros((2, 3)), 1.0, np.eye(3), 5.0), "one finite number for each column of X"),
        (NormalInverseWishart([0.0, np.nan, 0.0], 1.0, np.eye(3), 5.0), "one finite number for each column of X"),
        (NormalInverseWishart(np.zeros(3), 1.0, -np.eye(3), 5.0), "scatter that is not symmetric, positive definite"),
        (NormalInverseWishart(np.zeros(3), 1.0, np.eye(3), 2.0), "prior has strength 1.0 and dof 2.0"),
    ],
)
def test_a_prior_that_does_not_fit_gets_a_sentence(prior, sentence):
    with pytest.raises(ValueError, match=sentence):
        MissingDataNormal(prior=prior).fit(missing_at_random(50, 1))


@pytest.mark.parametrize(
    ("X", "sentence"),
    [
        ([[1.0, np.nan], [np.nan, np.nan], [2.0, 3.0]], "row 1 of X is empty"),
        ([[1.0, np.nan], [2.0, np.nan]], "column 1 of X is wholly missing"),
        ([[1.0, 5.0], [2.0, np.nan]], "column 1 of X shows one value only"),
        ([[1.0, np.inf], [2.0, 1.0]], "X holds inf in row 0, column 1"),
        ([1.0, 2.0], "X has 1 dimension"),
    ],
)
def test_bad_input_gets_a_sentence(X, sentence):
    with pytest.raises(ValueError, match=sentence):
        MissingDataNormal().fit(X)


def test_manners_of_scikit_learn():
    X = missing_at_random(100, 7)
    fit = MissingDataNormal(max_iter=500).fit(X)
    again = clone(fit)
    assert again.get_params()["max_iter"] == 500
    assert again.fit(X).log_likelihood_ == fit.log_likelihood_ == fit.trace_[-1]
    assert (np.diff(fit.trace_) > -1e-9).all()
    with pytest.raises(ValueError, match="X has 2 features, but MissingDataNormal is expecting 3"):
        fit.impute(X[:, :2])
