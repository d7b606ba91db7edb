"""Standard errors, intervals and the parametric bootstrap, as users meet them."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import beta, gamma
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import emlib
from emlib import (
    BernoulliMixture,
    BinomialMixture,
    GaussianMixture,
    KMeans,
    MultinomialMixture,
    PoissonMixture,
    bootstrap,
    bootstrap_n_components,
    standard_errors,
)
from emlib.data import earthquakes, fetal_lamb, old_faithful
from emlib.engine.families import BetaPrior, GammaPrior, GaussianParams, Poisson, TiedGaussian
from emlib.engine.mixture import Mixture, MixtureParams, MixturePrior
from emlib.models import bootstraps

SHAPES = ["full", "tied", "diag", "spherical", "tied_spherical"]


def precise(K=2, **options):
    return GaussianMixture(K, tol=1e-10, reg_covar=0, max_iter=5000, random_state=0, **options)


@pytest.mark.parametrize("shape", SHAPES)
def test_errors_have_the_shapes_of_the_parameters(shape):
    mixture = precise(covariance_type=shape).fit(old_faithful())
    known = standard_errors(mixture, old_faithful())
    for name in ("weights", "means", "covariances"):
        fitted, low_high = getattr(mixture, name + "_"), getattr(known.interval(), name)
        assert getattr(known, name).shape == np.shape(fitted)
        assert low_high.shape == (2, *np.shape(fitted))
        assert (low_high[0] < fitted).all()
        assert (fitted < low_high[1]).all()
        np.testing.assert_array_equal(getattr(known.estimates, name), fitted)
    np.testing.assert_allclose(np.sqrt(np.diag(known.covariance))[:2], known.weights)
    assert len(known.names) == len(known.covariance)
    assert known.names[:3] == ("weights[0]", "weights[1]", "means[0, 0]")
    assert known.covariance[0, 1] == pytest.approx(-(known.weights[0] ** 2))  # what one gains the other loses


@pytest.mark.parametrize(("scale", "far"), [(1.0, 1e6), (1e-6, 3.0), (1e5, -1e9)])
@pytest.mark.parametrize("shape", ["full", "tied", "diag"])
def test_units_and_offsets_do_not_matter(shape, scale, far):
    X = old_faithful()
    here = standard_errors(precise(covariance_type=shape).fit(X), X)
    moved = standard_errors(precise(covariance_type=shape).fit(X * scale + far), X * scale + far)
    # (the fits themselves stop at slightly different points: 3 + 1e-6 x has lost digits of x)
    np.testing.assert_allclose(moved.means, here.means * scale, rtol=1e-4)
    np.testing.assert_allclose(moved.covariances, here.covariances * scale**2, rtol=1e-4)
    margin = here.interval().means - here.estimates.means
    np.testing.assert_allclose(moved.interval().means - moved.estimates.means, margin * scale, rtol=1e-3)


def test_order_of_components_does_not_matter():
    X = old_faithful()
    fit = precise().fit(X)
    flip = precise(weights_init=fit.weights_[::-1], means_init=fit.means_[::-1], precisions_init=fit.precisions_[::-1])
    here, there = standard_errors(fit, X), standard_errors(flip.fit(X), X)
    np.testing.assert_allclose(there.means, here.means[::-1], rtol=1e-5)
    np.testing.assert_allclose(there.weights, here.weights[::-1], rtol=1e-5)


def test_one_component_of_each_kind():
    """With nothing hidden, the textbook's formulas."""
    rng = np.random.default_rng(0)
    X = rng.binomial(10, 0.3, (200, 1))
    p = X.mean() / 10
    found = standard_errors(BinomialMixture(1, n_trials=10).fit(X), X)
    assert found.probs[0, 0] == pytest.approx(np.sqrt(p * (1 - p) / 2000), rel=1e-6)
    assert found.weights[0] == 0.0
    assert found.interval().weights.tolist() == [[1.0], [1.0]]
    X = rng.poisson(3, (200, 1))
    found = standard_errors(PoissonMixture(1).fit(X), X)
    assert found.rates[0, 0] == pytest.approx(np.sqrt(X.mean() / 200), rel=1e-6)
    low, high = found.interval(0.9).rates[:, 0, 0]
    assert low * high == pytest.approx(X.mean() ** 2)  # symmetric for the logarithm
    X = rng.multinomial(20, [0.5, 0.3, 0.2], 100)
    p = X.sum(axis=0) / X.sum()
    found = standard_errors(MultinomialMixture(1).fit(X), X)
    np.testing.assert_allclose(found.probs[0], np.sqrt(p * (1 - p) / 2000), rtol=1e-6)


def test_intervals_are_normal_on_the_scale_that_is_named():
    X, z = old_faithful(), 1.6448536269514722
    known = standard_errors(precise().fit(X), X)
    found, e, at = known.interval(0.9), known, known.estimates
    odds = known.weights / (at.weights * (1 - at.weights))
    np.testing.assert_allclose(logit(found.weights), logit(at.weights) + np.outer([-z, z], odds), rtol=1e-9)
    np.testing.assert_allclose(found.means[1] - at.means, z * e.means)
    np.testing.assert_allclose(found.covariances[0, :, 0, 1], (at.covariances - z * e.covariances)[:, 0, 1])
    variance, error = at.covariances[:, 1, 1], e.covariances[:, 1, 1]
    np.testing.assert_allclose(found.covariances[1, :, 1, 1], variance * np.exp(z * error / variance))
    X = fetal_lamb()
    known = standard_errors(PoissonMixture(2, random_state=0).fit(X), X)
    relative = known.rates / known.estimates.rates
    np.testing.assert_allclose(known.interval(0.9).rates[0], known.estimates.rates * np.exp(-z * relative))


def test_known_weights_have_no_error():
    X = [[5], [9], [8], [4], [7]]
    coins = BinomialMixture(2, n_trials=10, fix_weights=True, probs_init=[[0.6], [0.5]], tol=1e-10).fit(X)
    known = standard_errors(coins, X)
    assert known.weights.tolist() == [0.0, 0.0]
    assert (known.probs > 0.05).all()


def test_a_prior_bends_the_curve():
    """Maximum a posteriori: the curvature at the mode of the conjugate posterior."""
    X = np.random.default_rng(1).poisson(3, (20, 1))
    prior = MixturePrior(components=GammaPrior(30.0, 5.0))
    found = standard_errors(PoissonMixture(1, prior=prior).fit(X), X)
    shape, rate = X.sum() + 30.0, 20 + 5.0
    assert found.rates[0, 0] == pytest.approx(np.sqrt(shape - 1) / rate, rel=1e-6)
    assert found.rates[0, 0] == pytest.approx(gamma(shape, scale=1 / rate).std(), rel=0.02)
    X = np.random.default_rng(1).binomial(1, 0.3, (30, 1))
    prior = MixturePrior(components=BetaPrior(20.0, 20.0))
    found = standard_errors(BernoulliMixture(1, prior=prior).fit(X), X)
    mode = (X.sum() + 19) / 68
    assert found.probs[0, 0] == pytest.approx(np.sqrt(mode * (1 - mode) / 68), rel=1e-6)
    assert found.probs[0, 0] == pytest.approx(beta(X.sum() + 20, 50 - X.sum()).std(), rel=0.03)


def test_a_prior_moves_weights_off_the_boundary():
    X = np.array([[0, 5], [1, 6], [6, 0], [5, 0], [7, 0]])
    mixture = PoissonMixture(2, tol=1e-10, random_state=0).fit(X)
    mixture.rates_[mixture.rates_ < 1e-3] = 0.0
    with pytest.warns(UserWarning, match=r"rates\[\d, \d\] lie on the boundary"):
        found = standard_errors(mixture, X)
    np.testing.assert_array_equal(np.isnan(found.rates), mixture.rates_ == 0.0)
    assert np.isnan(found.interval().rates[:, np.isnan(found.rates)]).all()
    prior = MixturePrior(2.0, GammaPrior(2.0, 1.0))
    safe = PoissonMixture(2, tol=1e-10, random_state=0, prior=prior).fit(X)
    assert np.isfinite(standard_errors(safe, X).rates).all()


def test_a_fit_that_stopped_early_is_said():
    X = old_faithful()
    with pytest.warns(ConvergenceWarning):
        early = GaussianMixture(2, max_iter=1, random_state=0).fit(X)
    with pytest.warns(UserWarning, match="standard errors away from this fit"):
        standard_errors(early, X)
    fit = precise().fit(X)
    with pytest.warns(UserWarning, match="same X"):
        standard_errors(fit, X + np.array([0.1, 0.0]))


def test_bad_input():
    X = old_faithful()
    with pytest.raises(TypeError, match="fitted is of type KMeans; a fitted mixture or hidden Markov model is needed"):
        standard_errors(KMeans(2).fit(X), X)
    with pytest.raises(NotFittedError):
        standard_errors(GaussianMixture(2), X)
    with pytest.raises(ValueError, match="only at 1 does a fit maximise"):
        bootstrap(GaussianMixture(2, temperature=0.0).fit(X), X, 2)
    with pytest.raises(ValueError, match="level is 95"):
        standard_errors(precise().fit(X), X).interval(95)
    with pytest.raises(ValueError, match="n_resamples is 1"):
        bootstrap(precise().fit(X), X, 1)
    with pytest.raises(AttributeError, match="the parameters are weights, means, covariances"):
        _ = standard_errors(precise().fit(X), X).rates


def test_results_travel():
    X = fetal_lamb()
    mixture = PoissonMixture(2, random_state=0).fit(X)
    for found in (standard_errors(mixture, X), bootstrap(mixture, X, 3, random_state=0).standard_errors):
        for other in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
            np.testing.assert_array_equal(other.rates, found.rates)
        assert "rates" in dir(found)


# ------------------------------------------------------------------ hidden Markov models


def quakes(**options):
    return emlib.PoissonHMM(2, tol=1e-10, random_state=0, **options).fit(earthquakes())


def test_errors_of_hidden_chains_are_the_curvature_of_their_likelihood():
    """Second differences of the score, by other means than the engine's."""
    hmm = quakes()
    with pytest.warns(UserWarning, match=r"startprob\[0\], startprob\[1\] lie on the boundary"):
        known = standard_errors(hmm, earthquakes())

    def log_likelihood(x):
        one = emlib.PoissonHMM(2)
        one.startprob_, one.transmat_ = hmm.startprob_, [[x[0], 1 - x[0]], [1 - x[1], x[1]]]
        one.lambdas_ = [[x[2]], [x[3]]]
        return one.score(earthquakes())

    x = np.array([*np.diag(hmm.transmat_), *hmm.lambdas_.ravel()])
    steps, H = np.diag(1e-3 * x), np.empty((4, 4))
    for i, a in enumerate(steps):
        for j, b in enumerate(steps):
            corners = [s * t * log_likelihood(x + s * a + t * b) for s in (1, -1) for t in (1, -1)]
            H[i, j] = sum(corners) / (4 * a[i] * b[j])
    expected = np.linalg.inv(-H)
    free = [known.names.index(name) for name in ("transmat[0, 0]", "transmat[1, 1]", "lambdas[0, 0]", "lambdas[1, 0]")]
    np.testing.assert_allclose(known.covariance[np.ix_(free, free)], expected, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(known.lambdas.ravel(), np.sqrt(np.diag(expected))[2:], rtol=1e-4)
    assert np.isnan(known.startprob).all()
    assert np.isnan(known.interval().startprob).all()
    assert (known.interval().transmat[0] > 0).all()
    np.testing.assert_array_equal(known.estimates.lambdas, hmm.lambdas_)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:startprob")
def test_errors_of_hidden_chains_are_those_of_many_refits():
    hmm = quakes(init_params="stl")
    known, refits = standard_errors(hmm, earthquakes()), []
    for seed in range(200):
        X, _ = hmm.sample(107, random_state=seed, currstate=0)
        again = emlib.PoissonHMM(2, tol=1e-6, init_params="")
        again.startprob_, again.transmat_, again.lambdas_ = hmm.startprob_, hmm.transmat_, hmm.lambdas_
        refits.append(again.fit(X).lambdas_.ravel())
    # (with 107 years the likelihood is no parabola, and the error of a spread of 200 is five per cent)
    np.testing.assert_allclose(np.std(refits, axis=0), known.lambdas.ravel(), rtol=0.25)


def test_transitions_that_cannot_happen_have_no_error():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(m, 1, (25, 1)) for _ in range(4) for m in (0, 5, 10)])
    hmm = emlib.GaussianHMM(3, tol=1e-9, min_covar=0, init_params="", random_state=0)
    hmm.startprob_, hmm.transmat_ = [1, 0, 0], [[0.9, 0.1, 0], [0, 0.9, 0.1], [0, 0, 1]]
    hmm.means_, hmm.covars_ = [[0], [5], [10]], np.ones((3, 1))
    hmm.fit(X, [75] * 4)
    with pytest.warns(UserWarning, match="and 4 more lie on the boundary"):
        known = standard_errors(hmm, X, [75] * 4)
    assert np.isnan(known.transmat).tolist() == [[False, False, True], [True, False, False], [True] * 3]
    stay = hmm.transmat_[0, 0]  # with states as good as seen, a binomial proportion
    assert known.transmat[0, 0] == pytest.approx(np.sqrt(stay * (1 - stay) / 100), rel=0.02)
    assert known.means.shape == known.covars.shape == (3, 1)
    np.testing.assert_allclose(known.means.ravel(), 0.1, rtol=0.15)
    hmm.params = "mc"
    held = standard_errors(hmm, X, [75] * 4)
    assert not held.transmat.any()
    assert not held.startprob.any()
    np.testing.assert_allclose(held.means, known.means, rtol=0.01)


def test_a_symbol_that_is_never_shown_and_a_prior_that_believes_in_it():
    hmm = emlib.CategoricalHMM(2, tol=1e-9, init_params="")
    hmm.startprob_, hmm.transmat_ = [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]]
    hmm.emissionprob_ = [[0.7, 0.3, 0.0], [0.1, 0.2, 0.7]]
    rolls, _ = hmm.sample(600, random_state=0)
    hmm.fit(rolls)
    with pytest.warns(UserWarning, match=r"startprob\[0\], startprob\[1\], emissionprob\[0, 2\] lie"):
        known = standard_errors(hmm, rolls)
    assert np.isnan(known.emissionprob).sum() == 1
    believer = emlib.CategoricalHMM(2, tol=1e-9, random_state=0, startprob_prior=2.0, emissionprob_prior=2.0)
    assert np.isfinite(standard_errors(believer.fit(rolls), rolls).emissionprob).all()


def test_hidden_chains_that_have_no_errors():
    with pytest.raises(NotFittedError):
        standard_errors(emlib.PoissonHMM(2), earthquakes())
    with pytest.raises(ValueError, match="only at 1 does a fit maximise"):
        standard_errors(quakes(temperature=0.0), earthquakes())
    with pytest.raises(ValueError, match="lengths are given, but the rows of a PoissonMixture do not follow"):
        standard_errors(PoissonMixture(2, random_state=0).fit(fetal_lamb()), fetal_lamb(), [240])
    with pytest.raises(ValueError, match="lengths sum to 100"):
        standard_errors(quakes(), earthquakes(), [100])


# ------------------------------------------------------------------ the bootstrap


def apart(n=300, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(0, 1, (n // 3, 1)), rng.normal(8, 2, (n - n // 3, 1))])


def test_bootstrap_agrees_with_the_curvature():
    X = apart()
    mixture = precise().fit(X)
    known, again = standard_errors(mixture, X), bootstrap(mixture, X, 150, random_state=0)
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(getattr(again.standard_errors, name), getattr(known, name), rtol=0.2)
    low, high = again.interval().means
    np.testing.assert_allclose(high - low, np.diff(known.interval().means, axis=0)[0], rtol=0.3)


def test_bootstrap_is_repeatable_and_grows():
    X = fetal_lamb()
    mixture = PoissonMixture(2, random_state=0).fit(X)
    few, many = bootstrap(mixture, X, 4, random_state=1), bootstrap(mixture, X, 8, random_state=1)
    np.testing.assert_array_equal(few.draws.rates, many.draws.rates[:4])
    assert (bootstrap(mixture, X, 4, random_state=2).draws.rates != few.draws.rates).any()


def test_exchanged_labels_do_not_widen_intervals(monkeypatch):
    X = apart() + 1e6
    mixture = precise(covariance_type="tied").fit(X)
    plain = bootstrap(mixture, X, 20, random_state=0)
    fit, calls = bootstraps.em.fit, iter(range(100))

    def exchanging(model, data, start, **options):
        found = fit(model, data, start, **options)
        return bootstraps.replace(found, params=model.relabel(found.params, [1, 0])) if next(calls) % 2 else found

    monkeypatch.setattr(bootstraps.em, "fit", exchanging)
    exchanged = bootstrap(mixture, X, 20, random_state=0)
    np.testing.assert_allclose(exchanged.draws.means, plain.draws.means, rtol=1e-12)
    np.testing.assert_allclose(exchanged.draws.weights, plain.draws.weights, rtol=1e-12)
    assert (plain.draws.means.std(axis=0) < 1).all()
    monkeypatch.setattr(bootstraps._Reference, "aligned", lambda self, params: params)  # a mutant: labels as they fall
    assert (bootstrap(mixture, X, 20, random_state=0).draws.means.std(axis=0) > 1).all()


def test_relabelling_leaves_what_is_shared_alone():
    S = np.array([[2.0, 0.5], [0.5, 1.0]])  # as many columns as components
    params = MixtureParams(np.array([0.3, 0.7]), GaussianParams(np.array([[0.0, 1.0], [2.0, 3.0]]), S))
    moved = Mixture(TiedGaussian()).relabel(params, [1, 0])
    np.testing.assert_array_equal(moved.components.covariances, S)
    np.testing.assert_array_equal(moved.components.means, params.components.means[::-1])


def test_totals_of_a_multinomial_row_are_given(monkeypatch):
    rng = np.random.default_rng(0)
    totals = np.array([5, 50, 500] * 20)
    X = np.array([rng.multinomial(n, p) for n, p in zip(totals, [[0.8, 0.2], [0.3, 0.7]] * 30, strict=True)])
    mixture, seen = MultinomialMixture(2, random_state=0).fit(X), []
    fit = bootstraps.em.fit
    monkeypatch.setattr(bootstraps.em, "fit", lambda m, data, *a, **k: (seen.append(data.X), fit(m, data, *a, **k))[1])
    bootstrap(mixture, X, 2, random_state=0)
    np.testing.assert_array_equal(seen[0].sum(axis=1), totals)


def test_degenerate_refits_are_counted():
    """Four rows in a component of two columns: now and then fewer are drawn, and it collapses."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(40, 1, (4, 2))])
    with pytest.warns(UserWarning, match=r"of 40 refits [1-9]\d* were degenerate and were left out"):
        again = bootstrap(precise().fit(X), X, 40, random_state=0)
    assert again.n_degenerate > 0
    assert len(again.draws.means) == 40 - again.n_degenerate


# ------------------------------------------------------------------ how many components


def test_the_lamb_has_two_moods():
    one = bootstrap_n_components(PoissonMixture(), fetal_lamb(), 1, 9, random_state=0)
    assert one.statistic == pytest.approx(2 * (201.044 - 186.989), abs=0.01)
    assert one.p_value == 1 / 10  # as small as nine tables can make it
    again = bootstrap_n_components(PoissonMixture(), fetal_lamb(), 1, 3, random_state=0)
    np.testing.assert_array_equal(again.simulated, one.simulated[:3])


def test_statistics_are_never_negative_and_the_null_is_kept():
    X = np.random.default_rng(1).poisson(4, (100, 1))
    test = bootstrap_n_components(PoissonMixture(), X, 1, 9, random_state=0)
    assert test.statistic >= 0
    assert (test.simulated >= 0).all()
    b = (test.simulated >= test.statistic).sum()
    assert test.p_value == (b + 1) / 10
    assert b > 0


def test_a_worse_fit_of_more_components_is_repeated(monkeypatch):
    """Starts that find nothing are not taken for evidence; new ones are tried, and it is said."""
    calls, search = [], bootstraps.em.search

    def lazy(model, rows, starts, **options):
        found = search(model, rows, starts, **options)
        if not isinstance(model.family, Poisson):
            return found  # K-means, of a start
        calls.append(len(found.starts))
        worse = len(calls) == 2
        return bootstraps.replace(found, log_likelihood=found.log_likelihood - 1e3) if worse else found

    monkeypatch.setattr(bootstraps.em, "search", lazy)
    test = bootstrap_n_components(PoissonMixture(), fetal_lamb(), 1, 1, random_state=0)
    assert test.n_refits == 1
    assert calls[:3] == [1, 2, bootstraps.FRESH]  # K; K + 1 with its split; K + 1 afresh
    assert test.statistic == pytest.approx(28.11, abs=0.01)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (GaussianMixture(temperature=0.0), "temperature is 0.0"),
        (PoissonMixture(prior=MixturePrior(2.0)), "prior is of type MixturePrior; a like"),
        (BinomialMixture(n_trials=10, fix_weights=True), "fix_weights is True"),
    ],
)
def test_models_without_nested_maxima_are_refused(model, said):
    with pytest.raises(ValueError, match=said):
        bootstrap_n_components(model, fetal_lamb(), 1, 9)


@pytest.mark.slow
def test_old_faithful_waits_in_two_ways():
    X = old_faithful()[:, 1:]
    assert bootstrap_n_components(GaussianMixture(), X, 2, 19, random_state=0).p_value > 0.05
    both = bootstrap_n_components(GaussianMixture(), old_faithful(), 1, 19, random_state=0)
    assert both.statistic == pytest.approx(319.066, abs=0.01)
    assert both.p_value == 1 / 20


# ------------------------------------------------------------------ coverage


def coverage(truth, fitted, draw, names, n=400):
    """Share of 95 % intervals that hold the truth, parameter by parameter, over simulated data sets."""
    held = dict.fromkeys(names, 0.0)
    for seed in range(n):
        X = draw(np.random.default_rng(seed))
        low_high = standard_errors(fitted.fit(X), X).interval(0.95)
        for name in names:
            low, high = getattr(low_high, name)
            held[name] = held[name] + ((low <= truth[name]) & (truth[name] <= high))
    return {name: count / n for name, count in held.items()}


def check_coverage(found, n=400):
    error = 3.5 * np.sqrt(0.95 * 0.05 / n)  # some ten parameters are looked at
    for name, share in found.items():
        assert (np.abs(share - 0.95) < error).all(), (name, share)


@pytest.mark.slow
def test_coverage_of_a_gaussian_mixture():
    truth = {
        "weights": np.array([0.4, 0.6]),
        "means": np.array([[0.0], [4.0]]),
        "covariances": np.array([[[1.0]], [[1.5]]]),
    }
    model = GaussianMixture(
        2,
        tol=1e-8,
        max_iter=1000,
        weights_init=truth["weights"],
        means_init=truth["means"],
        precisions_init=1 / truth["covariances"],
    )

    def draw(rng):
        z = rng.random(500) < 0.6
        return np.where(z, rng.normal(4, np.sqrt(1.5), 500), rng.normal(0, 1, 500))[:, None]

    check_coverage(coverage(truth, model, draw, truth))


@pytest.mark.slow
def test_coverage_of_a_poisson_mixture():
    truth = {"weights": np.array([0.3, 0.7]), "rates": np.array([[2.0], [8.0]])}
    model = PoissonMixture(2, weights_init=truth["weights"], rates_init=truth["rates"])

    def draw(rng):
        return rng.poisson(np.where(rng.random(500) < 0.7, 8.0, 2.0))[:, None]

    check_coverage(coverage(truth, model, draw, truth))


def test_public_names():
    assert emlib.standard_errors is standard_errors
    assert {"standard_errors", "bootstrap", "bootstrap_n_components"} <= set(emlib.__all__)
