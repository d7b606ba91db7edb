"""Matches of spectra to peptides: error rates against decoys, the two steps against brute force, proteins by hand."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as dist
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import emlib
from emlib import ProteinInference, ScoreMixture
from emlib.engine import em
from emlib.models.peptides import (
    GammaShape,
    GaussianShape,
    GumbelShape,
    KnownShape,
    MatchParams,
    ScoreModel,
    q_values_of,
    target_decoy_q_values,
)
from emlib.models.peptides.rates import calibration_of

ACCEPTED = {0.01: 2854, 0.05: 3453}  # targets, by target-decoy competition; published_numbers.csv


@pytest.fixture(scope="module")
def matches():
    return emlib.data.scope2()


@pytest.fixture(scope="module")
def fit(matches):
    return ScoreMixture().fit(matches.scores, matches.is_decoy)


def simulated(n=8000, seed=0, weights=(0.4, 0.6), first=(2.8, 0.8), second=(5.5, 2.0)):
    """Scores, decoys, and which targets are truly incorrect."""
    rng = np.random.default_rng(seed)
    p = weights[0] / (1 + weights[0])
    kind = rng.choice(3, size=n, p=[p, 1 - 2 * p, p])
    x = np.where(kind == 1, rng.gumbel(*second, n), rng.normal(*first, n))
    return x, kind == 2, kind == 0


# ------------------------------------------------------------------ shapes


@pytest.mark.parametrize(
    ("shape", "log_density", "start"),
    [
        (GaussianShape(2.0), lambda x, p: dist.norm.logpdf(x, *p), [2.0, 1.0]),
        (GammaShape(-0.5), lambda x, p: dist.gamma.logpdf(x, p[0], -0.5, p[1]), [3.0, 1.0]),
        (GumbelShape(), lambda x, p: dist.gumbel_r.logpdf(x, *p), [2.0, 1.0]),
    ],
)
def test_the_m_step_of_a_shape_maximises(shape, log_density, start):
    """Against SciPy's densities and a maximiser that knows nothing of statistics."""
    rng = np.random.default_rng(3)
    x, r = rng.gamma(4.0, 0.7, 60), rng.random(60)
    x[7] = x[8]
    stats = shape.statistics(x, r)
    found = shape.maximise(stats)
    np.testing.assert_allclose(shape.log_density(x, found), log_density(x, found), rtol=1e-10)
    np.testing.assert_allclose(shape.expected(stats, found), r @ log_density(x, found), rtol=1e-10)
    best = minimize(
        lambda p: -r @ log_density(x, p) if p[1] > 0 else np.inf, start, method="Nelder-Mead", options={"xatol": 1e-9}
    )
    np.testing.assert_allclose(found, best.x, rtol=1e-4)
    assert shape.expected(stats, found) >= -best.fun - 1e-9


def test_a_gumbel_of_any_size_has_its_root():
    """Scales from 1e-6 to 1e6 and locations far away: one root, found to ten digits."""
    x = np.random.default_rng(1).gumbel(size=500)
    shape, r = GumbelShape(), np.ones(500)
    base = shape.maximise(shape.statistics(x, r))
    for scale, place in itertools.product((1e-6, 1.0, 1e6), (0.0, 1e3)):
        found = shape.maximise(shape.statistics(scale * (x + place), r))
        np.testing.assert_allclose(found, scale * (base + np.array([place, 0.0])), rtol=1e-9)


def test_a_score_without_weight_is_no_part_of_a_gumbel():
    """However far below it lies: it is the first whose exponential would overflow."""
    x, shape = np.random.default_rng(1).gumbel(size=50), GumbelShape()
    alone = shape.maximise(shape.statistics(x, np.ones(50)))
    found = shape.maximise(shape.statistics(np.append(x, -1e5), np.append(np.ones(50), 0.0)))
    np.testing.assert_allclose(found, alone, rtol=1e-12)


def test_the_kernel_is_a_density_with_tails():
    x = np.random.default_rng(2).normal(size=2000)
    shape, none = KnownShape.of(x), np.zeros(0)
    grid = np.linspace(-40, 40, 400_001)
    logs = shape.log_density(grid, none)
    assert np.isfinite(logs).all()
    np.testing.assert_allclose(np.exp(logs).sum() * (grid[1] - grid[0]), 1.0, atol=1e-3)
    beyond = logs[grid > shape.grid[-1]]
    assert (np.diff(beyond) < 0).all()  # nothing is as improbable as a decoy far beyond all decoys


def test_a_far_score_leaves_the_kernel_alone():
    x = np.random.default_rng(2).normal(size=2000)
    near, far, none = KnownShape.of(x), KnownShape.of(np.append(x, 1e3)), np.zeros(0)
    grid = np.linspace(-2, 2, 81)
    np.testing.assert_allclose(np.exp(far.log_density(grid, none)), np.exp(near.log_density(grid, none)), atol=0.01)


@pytest.mark.parametrize("correct", ["gumbel", "kernel"])
def test_scores_may_be_rounded(matches, correct):
    """To whole numbers, as some engines give them: the kernel closes the gaps, and lists are those of the counts."""
    fit = ScoreMixture("kernel", correct).fit(matches.scores.round(), matches.is_decoy)
    for rate in ACCEPTED:
        assert abs(fit.accepted(rate).sum() / fit.accepted(rate, by_competition=True).sum() - 1) < 0.1


# ------------------------------------------------------------------ the model


def test_competition_is_a_likelihood_of_rows():
    """The objective in full: decoys, incorrect and correct targets as three kinds of rows."""
    x, decoy, _ = simulated(200)
    params = MatchParams(np.array([0.3, 0.7]), np.array([2.5, 0.9]), np.array([5.0, 1.5]))
    p = 0.3 / 1.3
    f0, f1 = dist.norm.pdf(x, 2.5, 0.9), dist.gumbel_r.pdf(x, 5.0, 1.5)
    rows = np.column_stack([x, decoy])
    _, value = ScoreModel(GaussianShape(), GumbelShape(), True).e_step(rows, params)
    np.testing.assert_allclose(value, np.log(np.where(decoy, p * f0, p * f0 + (1 - 2 * p) * f1)).sum())
    _, apart = ScoreModel(GaussianShape(), GumbelShape()).e_step(rows, params)
    np.testing.assert_allclose(apart, np.log(np.where(decoy, f0, 0.3 * f0 + 0.7 * f1)).sum())


def test_a_known_label_keeps_its_responsibility():
    """However much a decoy looks like a correct match."""
    rows = np.array([[9.0, 1.0], [9.0, 0.0]])
    params = MatchParams(np.array([0.5, 0.5]), np.array([0.0, 1.0]), np.array([9.0, 1.0]))
    stats, _ = ScoreModel().e_step(rows, params)
    assert stats.decoys == 1.0
    assert stats.targets[1] > 0.999
    np.testing.assert_allclose(stats.incorrect.sums[0], 1.0)
    np.testing.assert_allclose(stats.incorrect.sums[1], 9.0)


class DecoysForgotten(ScoreModel):
    """Decoys taken for targets of unknown label."""

    def e_step(self, data, params, latent=em.SOFT):
        rows = np.array(data, dtype=float)
        rows[:, 1] = 0.0
        return super().e_step(rows, params, latent)


def _climb(model, x, decoy):
    start = MatchParams(np.array([0.5, 0.5]), np.array([2.5, 1.0]), np.array([6.0, 2.0]))
    return em.fit(model, np.column_stack([x, decoy]), start, accelerate="squarem").params


def test_decoys_hold_the_incorrect_component():
    """Where the heaps overlap, their number makes the weights sharper; forgetting their labels is seen at once."""
    errors = {True: [], False: []}
    for seed in range(8):
        x, decoy, wrong = simulated(1500, seed=seed, second=(4.5, 1.2))
        truth = wrong.sum() / (~decoy).sum()
        errors[True].append(_climb(ScoreModel(GaussianShape(), GumbelShape(), True), x, decoy).weights[0] - truth)
        errors[False].append(_climb(ScoreModel(GaussianShape(), GumbelShape()), x, decoy).weights[0] - truth)
    assert np.std(errors[True]) < 0.75 * np.std(errors[False])
    for found in errors.values():
        assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(8)
    x, decoy, _ = simulated(3000, second=(9.0, 1.5))
    forgotten = _climb(DecoysForgotten(GaussianShape(), GumbelShape()), x, decoy)
    assert abs(forgotten.weights[0] - 0.4) > 0.1  # decoys counted as incorrect targets


# ------------------------------------------------------------------ real spectra


def test_target_decoy_competition_accepts_what_is_published(matches):
    q = target_decoy_q_values(matches.scores, matches.is_decoy)
    for rate, accepted in ACCEPTED.items():
        assert ((q <= rate) & ~matches.is_decoy).sum() == accepted


@pytest.mark.parametrize(
    ("incorrect", "correct"),
    [
        ("kernel", "gumbel"),
        ("gaussian", "gumbel"),
        ("gaussian", "gamma"),
        ("kernel", "kernel"),
        ("kernel", "isotonic"),
    ],
)
def test_the_mixture_agrees_with_competition(matches, incorrect, correct):
    """Within a tenth at 1 % and at 5 %, and no decoy was counted for it."""
    fit = ScoreMixture(incorrect, correct).fit(matches.scores, matches.is_decoy)
    assert fit.converged_
    for rate, accepted in ACCEPTED.items():
        assert abs(fit.accepted(rate).sum() / accepted - 1) < 0.1


@pytest.mark.parametrize("accelerate", [None, "squarem"])
@pytest.mark.parametrize("incorrect", ["kernel", "gumbel", "gamma"])
def test_digits_that_a_gamma_density_cancels_are_known(incorrect, accelerate):
    """Correct scores far from zero beside their spread: the shape is in the hundreds, and so are its terms."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        kind = rng.choice(3, 1000, p=[0.25, 0.5, 0.25])
        scores = np.where(kind == 1, rng.normal(100, 5, 1000), rng.gamma(9, 3, 1000))
        fit = ScoreMixture(incorrect, "gamma", accelerate=accelerate).fit(scores, kind == 2)
        assert fit.stop_reason_ == "converged"


def test_posterior_errors_are_calibrated(fit):
    """In every bin of scores they add up to the decoys, within chance."""
    table = fit.calibration(20)
    assert np.abs(table.z).max() < 3.0
    assert (table.z**2).sum() < 21  # the upper 5 % of what true posterior errors give, by simulation
    by_decoys, by_errors = table.fdr
    busy = table.decoys.cumsum() >= 20
    np.testing.assert_allclose(by_errors[busy], by_decoys[busy], rtol=0.25)


def test_posterior_errors_are_calibrated_where_nothing_was_fitted(matches):
    """Fitted to one half of the spectra and held against the decoys of the other."""
    x, decoy, odd = matches.scores, matches.is_decoy, np.arange(len(matches.scores)) % 2 == 1
    good, bad = (
        (ScoreMixture(null).fit(x[odd], decoy[odd]).calibration(20, x[~odd], decoy[~odd]).z ** 2).sum()
        for null in ("kernel", "gumbel")
    )
    assert good < 21
    assert bad > 60
    half = ScoreMixture().fit(x[odd], decoy[odd])
    with pytest.raises(ValueError, match="needed both"):
        half.calibration(20, x)
    with pytest.raises(ValueError, match="is_decoy is False everywhere"):
        half.calibration(20, x[~decoy], decoy[~decoy])


def test_true_errors_have_a_z_of_one_at_most():
    """In the hill the squares are one on average, and less in the tail, where few decoys stand beside many targets."""
    squares = []
    for seed in range(150):
        x, decoy, _ = simulated(4000, seed=seed)
        odds = 0.4 / 0.6 * dist.norm.pdf(x, 2.8, 0.8) / dist.gumbel_r.pdf(x, 5.5, 2.0)
        squares.append(calibration_of(x, decoy, odds / (1 + odds), 8).z ** 2)
    mean, se = np.mean(squares, axis=0), np.std(squares, axis=0) / np.sqrt(150)
    assert (mean < 1 + 4 * se).all()
    assert abs(mean[-2:].mean() - 1) < 0.3
    assert mean[0] < 0.1


def test_of_the_best_none_is_certain(matches):
    """Beyond the last decoy isotonic errors add up to one, as the counts have it."""
    fit = ScoreMixture(correct="isotonic").fit(matches.scores, matches.is_decoy)
    best = ~matches.is_decoy & (matches.scores > matches.scores[matches.is_decoy].max())
    np.testing.assert_allclose(fit.posterior_error_[best].sum(), 1.0, rtol=1e-3)


@pytest.mark.parametrize("null", ["gumbel", "gamma"])
def test_a_bad_null_is_seen(matches, null):
    """Its tail is too long: fewer matches pass, and the calibration shows why."""
    fit = ScoreMixture(null, "gumbel").fit(matches.scores, matches.is_decoy)
    assert fit.accepted(0.01).sum() < 0.9 * ACCEPTED[0.01]
    assert (fit.calibration(20).z ** 2).sum() > 60  # twenty would be expected


def test_q_values_are_what_they_say(fit, matches):
    targets = ~matches.is_decoy
    for rate in (0.001, 0.01, 0.05, 0.2):
        chosen = fit.accepted(rate)
        assert not (chosen & matches.is_decoy).any()
        assert fit.posterior_error_[chosen].mean() <= rate + 1e-12
        assert fit.posterior_error_[chosen].max() > rate  # the last one in is worse than the list it joins
    order = np.argsort(-matches.scores[targets])
    assert (np.diff(fit.posterior_error_[targets][order]) >= -1e-12).all()
    assert (np.diff(fit.q_values_[targets][order]) >= -1e-12).all()
    assert (fit.posterior_error_[matches.is_decoy] == 1).all()
    np.testing.assert_allclose(fit.posterior_error(matches.scores[targets]), fit.posterior_error_[targets])


def test_pooling_leaves_the_sum(matches):
    """The mixture of two normals falls again at low scores; made to rise, it expects as many incorrect targets."""
    apart, pooled = (
        ScoreMixture("gaussian", "gaussian", monotone=monotone).fit(matches.scores, matches.is_decoy)
        for monotone in (False, True)
    )
    x, targets = matches.scores, ~matches.is_decoy
    order = np.argsort(x[targets])
    assert np.diff(apart.posterior_error_[targets][order]).max() > 1e-3
    assert np.diff(pooled.posterior_error_[targets][order]).max() <= 1e-12
    np.testing.assert_allclose(pooled.posterior_error_[targets].sum(), apart.posterior_error_[targets].sum(), rtol=1e-9)


def test_the_report_of_a_fit(fit, matches):
    assert fit.stop_reason_ == "converged"
    assert len(fit.trace_) == fit.n_iter_ + 1
    assert (np.diff(fit.trace_) >= -1e-8).all()
    assert fit.trace_[-1] == fit.log_likelihood_
    assert len(fit.starts_) == 3
    assert sorted(fit.correct_) == ["location", "scale"]
    assert fit.incorrect_ == {}
    fast = clone(fit).set_params(accelerate="squarem").fit(matches.scores, matches.is_decoy)
    np.testing.assert_allclose(fast.log_likelihood_, fit.log_likelihood_, atol=1e-5)
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        ScoreMixture(max_iter=3).fit(matches.scores, matches.is_decoy)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_do_not_matter(matches, fit, scale):
    other = ScoreMixture().fit(matches.scores * scale, matches.is_decoy)
    np.testing.assert_allclose(other.posterior_error_, fit.posterior_error_, atol=1e-5)


# ------------------------------------------------------------------ simulated truth


@pytest.mark.parametrize("correct", ["gumbel", "kernel", "isotonic"])
@pytest.mark.parametrize("incorrect", ["gaussian", "kernel"])
def test_the_truth_is_recovered(incorrect, correct):
    """Lists at 5 % hold about 5 % incorrect matches; posterior errors are frequencies."""
    x, decoy, wrong = simulated(20_000, seed=1)
    fit = ScoreMixture(incorrect, correct).fit(x, decoy)
    chosen = fit.accepted(0.05)
    n = chosen.sum()
    assert abs(wrong[chosen].mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / n) + 0.006
    assert abs(fit.pi0_ - wrong[~decoy].mean()) < 0.03
    errors = fit.posterior_error_[~decoy]
    for low, high in itertools.pairwise(np.linspace(0, 1, 6)):
        within = (errors >= low) & (errors <= high)
        if within.sum() < 50:
            continue
        se = np.sqrt(errors[within].mean() * (1 - errors[within].mean()) / within.sum())
        assert abs(wrong[~decoy][within].mean() - errors[within].mean()) < 4 * se + 0.05


def test_without_competition_decoys_are_no_evidence_of_weights():
    """Ten times as many decoys, searched apart: only `competition=False` is right."""
    rng = np.random.default_rng(5)
    x, decoy, wrong = simulated(6000, seed=5)
    x = np.concatenate([x, rng.normal(2.8, 0.8, 20_000)])
    decoy = np.concatenate([decoy, np.ones(20_000, bool)])
    truth = wrong.sum() / (~decoy).sum()
    apart = ScoreMixture("gaussian", competition=False).fit(x, decoy)
    together = ScoreMixture("gaussian").fit(x, decoy)
    assert abs(apart.pi0_ - truth) < 0.03
    assert together.pi0_ > truth + 0.2


@pytest.mark.parametrize("correct", ["gumbel", "kernel", "isotonic"])
def test_decoys_searched_apart(correct):
    """Five decoys for each target: lists, counts and calibration know for what a decoy stands."""
    rng = np.random.default_rng(7)
    wrong = rng.random(6000) < 0.4
    x = np.concatenate(
        [np.where(wrong, rng.normal(2.8, 0.8, 6000), rng.gumbel(6.0, 2.0, 6000)), rng.normal(2.8, 0.8, 30_000)]
    )
    decoy = np.arange(36_000) >= 6000
    fit = ScoreMixture("kernel", correct, competition=False).fit(x, decoy)
    assert abs(fit.pi0_ - wrong.mean()) < 0.03
    for by_competition in (False, True):
        chosen = fit.accepted(0.05, by_competition=by_competition)[:6000]
        assert 0.02 < wrong[chosen].mean() < 0.065  # isotonic errors rise in steps, and lists stop before one
    table = fit.calibration(20)
    np.testing.assert_allclose(table.per_decoy, fit.pi0_ / 5)
    assert (table.z**2).sum() < 32
    by_decoys, by_errors = table.fdr
    np.testing.assert_allclose(by_decoys[-1], by_errors[-1], rtol=0.05)


def test_no_correct_match_at_all():
    """Targets like decoys: nothing is accepted."""
    rng = np.random.default_rng(6)
    x, decoy = rng.normal(size=2000), np.arange(2000) % 2 == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = ScoreMixture("gaussian", "gaussian").fit(x, decoy)
    assert fit.accepted(0.01).sum() <= 3
    assert fit.accepted(0.01, by_competition=True).sum() == 0


# ------------------------------------------------------------------ q-values


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=30))
def test_competition_by_its_definition(rows):
    """The lowest of the rates of all lists that hold the match, ties together."""
    scores, decoy = (np.array(part) for part in zip(*rows, strict=True))
    found = target_decoy_q_values(scores, decoy)
    rates = {t: (((scores >= t) & decoy).sum() + 1) / max(((scores >= t) & ~decoy).sum(), 1) for t in np.unique(scores)}
    for x, q in zip(scores, found, strict=True):
        assert q == pytest.approx(min(1.0, min(rate for t, rate in rates.items() if t <= x)))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.7, 1.0]), min_size=1, max_size=20))
def test_mean_error_of_those_as_good(errors):
    errors = np.array(errors)
    np.testing.assert_allclose(q_values_of(errors), [errors[errors <= e].mean() for e in errors])


# ------------------------------------------------------------------ bad input


GOOD = np.array([1.0, 2, 3, 4, 5, 6, 7, 2, 3, 1, 4, 2.5])
DECOY = np.array([False] * 7 + [True] * 5)


@pytest.mark.parametrize(
    ("scores", "decoy", "message"),
    [
        (
            np.r_[np.arange(50.0), np.arange(50.0) + 60],
            np.repeat([False, True], 50),
            "decoys score higher.*wrong way round",
        ),
        (GOOD, np.zeros(12, bool), "False everywhere; without decoys"),
        (GOOD, np.ones(12, bool), "True everywhere"),
        (np.where(GOOD == 5, np.nan, GOOD), DECOY, "nan for match 4"),
        (GOOD, DECOY[:-1], r"is_decoy has the shape \(11,\), but there are 12 scores"),
        (np.full(12, 3.0), DECOY, "the decoys have 1 different score"),
        (np.where(DECOY, GOOD, 3.0), DECOY, "the targets have 1 different score"),
        ([], [], "scores are empty"),
        (GOOD, np.where(DECOY, -1, 1), r"is_decoy holds -1; .* \(of labels 1 and -1, give labels == -1\)\."),
        (GOOD, np.where(DECOY, "d", "t"), "is_decoy holds 't'"),
        (GOOD, np.where(DECOY, None, False), "is_decoy holds None"),
        (GOOD, pd.array(np.where(DECOY, None, False), "boolean"), "is_decoy holds <NA>"),
        (["a"] * 12, DECOY, "scores are not numbers"),
        (GOOD[:, None], DECOY, r"scores have the shape \(12, 1\)"),
    ],
)
def test_bad_matches_get_one_sentence(scores, decoy, message):
    with pytest.raises(ValueError, match=message):
        ScoreMixture().fit(scores, decoy)


@pytest.mark.parametrize(
    ("scores", "decoy", "message"),
    [
        ([3.0, np.nan], [False, True], "nan for match 1"),
        ([3.0, 2.0], [True], r"the shape \(1,\), but there are 2 scores"),
        ([3.0, 2.0], [1, -1], "is_decoy holds -1"),  # both are true to Python
        ([3.0, 2.0], ["target", "decoy"], "is_decoy holds 'target'"),
    ],
)
def test_counts_refuse_what_they_cannot_count(scores, decoy, message):
    with pytest.raises(ValueError, match=message):
        target_decoy_q_values(scores, decoy)


def test_errors_are_probabilities():
    for errors, found in (([0.1, np.nan], "nan for match 1"), ([1.2], "1.2 for match 0"), (["a"], "array of numbers")):
        with pytest.raises(ValueError, match=found):
            q_values_of(errors)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"incorrect": "poisson"}, "incorrect is 'poisson'; it must be one of kernel, gaussian"),
        ({"correct": 3}, "correct is 3"),
        ({"correct": "gamma", "shift": 2.0}, "shift is 2, but a score is 1"),
        ({"shift": np.inf}, r"shift is inf; it must be a finite number\."),
        ({"max_iter": -1}, "max_iter"),
        ({"competition": "no"}, "competition is 'no'; it must be True or False"),
        ({"monotone": None}, "monotone is None; it must be True or False"),
    ],
)
def test_bad_settings_get_one_sentence(changes, message):
    with pytest.raises(ValueError, match=message):
        ScoreMixture(**changes).fit(GOOD, DECOY)


def test_labels_as_pandas_may_hold_them(fit, matches):
    for labels in (matches.is_decoy.astype(object), pd.Series(matches.is_decoy, dtype="boolean")):
        again = ScoreMixture().fit(matches.scores, labels)
        np.testing.assert_array_equal(again.q_values_, fit.q_values_)


def test_gamma_densities_may_begin_below_zero():
    rng = np.random.default_rng(0)
    x, decoy = np.r_[rng.normal(-2, 1, 100), rng.normal(2, 1, 100)], np.repeat([True, False], 100)
    for shape in ({"incorrect": "gamma"}, {"correct": "gamma"}):
        ours = ScoreMixture(**shape)._shift(x)
        assert ours < x.min()
        given, found = (ScoreMixture(**shape, shift=shift).fit(x, decoy) for shift in (ours, None))
        np.testing.assert_array_equal(given.posterior_error_, found.posterior_error_)


def test_a_failed_fit_leaves_nothing(fit):
    before = fit.pi0_
    with pytest.raises(ValueError, match="is_decoy has the shape"):
        fit.fit(GOOD, DECOY[:-1])
    assert fit.pi0_ == before
    with pytest.raises(ValueError, match="fdr is 2"):
        fit.accepted(2)


# ------------------------------------------------------------------ proteins


def test_proteins_by_hand():
    """Unique peptides 3 and 1, shared 4 (all certain): the shared ones go 3 to 1."""
    rows = [["A"]] * 3 + [["B"]] + [["A", "B"]] * 4
    found = ProteinInference(tol=1e-12).fit(rows, np.ones(8))
    np.testing.assert_allclose(found.shares_, [0.75, 0.25], atol=1e-6)
    np.testing.assert_allclose(found.counts_, [6.0, 2.0], atol=1e-5)
    np.testing.assert_allclose(found.responsibilities_.toarray()[-1], [0.75, 0.25], atol=1e-6)


def test_proteins_maximise_their_likelihood():
    """Against a general maximiser of the weighted likelihood, and presence against all outcomes of the peptides."""
    rows = [["A"], ["A", "B"], ["B", "C"], ["C"], ["A", "C"], ["B"]]
    p = np.array([0.9, 0.8, 0.3, 0.2, 0.95, 0.5])
    found = ProteinInference(tol=1e-12).fit(rows, p)
    M = np.array([[name in row for name in "ABC"] for row in rows], dtype=float)

    def loss(u):
        s = np.exp(u - np.logaddexp.reduce(u))
        return -p @ np.log(M @ s)

    best = minimize(loss, np.zeros(3), tol=1e-12)
    np.testing.assert_allclose(found.log_likelihood_, -best.fun, atol=1e-7)
    np.testing.assert_allclose(found.shares_, np.exp(best.x - np.logaddexp.reduce(best.x)), atol=1e-4)
    # each peptide: incorrect, or correct and from one of its candidates
    split = found.responsibilities_.toarray()
    present = np.zeros(3)
    for outcome in itertools.product(range(4), repeat=6):
        chance = np.prod([1 - p[i] if g == 3 else p[i] * split[i, g] for i, g in enumerate(outcome)])
        present[sorted(set(outcome) - {3})] += chance
    np.testing.assert_allclose(found.probabilities_, present, atol=1e-9)


def test_what_cannot_be_told_apart_is_said():
    found = ProteinInference().fit([["A", "B"], ["B", "A", "C"], ["C"]], [0.9, 0.9, 0.9])
    assert found.groups_ == (("A", "B"), ("C",))
    np.testing.assert_allclose(found.own_probabilities_, [0.9, 0.9])


def test_a_protein_without_a_peptide_of_its_own_is_not_needed():
    found = ProteinInference().fit([["big"], ["big"], ["big", "small"]], [0.9, 0.9, 0.9])
    assert found.groups_ == (("big",), ("small",))
    assert found.probabilities_[1] < 1e-3
    # ... unless it is so small that what is seen of it is all there is
    sized = ProteinInference({"big": 2000, "small": 1}).fit([["big"], ["big"], ["big", "small"]], [0.9, 0.9, 0.9])
    assert sized.probabilities_[1] > 0.8


def test_one_protein_that_explains_all():
    """Its log-likelihood is 0 but for the rounding of a sum of shares, which is no fall."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(40):
            rng = np.random.default_rng(seed)
            rows = [["A", *(name for name in "BCD" if rng.random() < 0.5)] for _ in range(rng.integers(2, 8))]
            found = ProteinInference().fit(rows, rng.uniform(0.05, 1.0, len(rows)).round(2))
            assert found.stop_reason_ == "converged"


def test_the_order_of_peptides_and_names_does_not_matter():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        n, names = int(rng.integers(3, 12)), np.array(list("ABCDEF"))
        rows = [rng.choice(names, rng.integers(1, 5), replace=False).tolist() for _ in range(n)]
        p, order = rng.uniform(0.05, 1.0, n), rng.permutation(n)
        one = ProteinInference(tol=1e-9).fit(rows, p)
        two = ProteinInference(tol=1e-9).fit([rng.permutation(rows[i]).tolist() for i in order], p[order])
        where = [list(map(set, two.groups_)).index(set(group)) for group in one.groups_]
        np.testing.assert_allclose(two.probabilities_[where], one.probabilities_, atol=1e-4)
        np.testing.assert_allclose(two.log_likelihood_, one.log_likelihood_, atol=1e-8)


def test_the_proteins_of_the_real_run(matches, fit):
    best: dict[str, int] = {}
    for i in np.flatnonzero(~matches.is_decoy):
        name = matches.peptides[i][2:-2]
        if name not in best or matches.scores[i] > matches.scores[best[name]]:
            best[name] = i
    rows = np.array(list(best.values()))
    found = ProteinInference().fit([matches.proteins[i] for i in rows], 1 - fit.posterior_error_[rows])
    assert found.stop_reason_ == "converged"
    np.testing.assert_allclose(found.counts_.sum(), (1 - fit.posterior_error_[rows]).sum())
    assert found.groups_[np.argmax(found.counts_)] == ("PLEC",)
    assert max(map(len, found.groups_)) > 5
    np.testing.assert_allclose(found.responsibilities_.sum(axis=1), 1.0)


@pytest.mark.parametrize(
    ("rows", "p", "message"),
    [
        ([["A"], []], [0.5, 0.5], "peptide 1 has no candidate"),
        (["A"], [0.5], "the word 'A'"),
        ([["A"]], [0.5, 0.5], r"shape \(2,\); one for each of 1"),
        ([["A"]], [1.5], "1.5 for peptide 0"),
        ([["A"]], [np.nan], "nan for peptide 0"),
        ([["A"]], [0.0], "all 0"),
        ([], [], "empty"),
        ([["A"], None], [0.5, 0.5], "candidates of peptide 1 are None; a list of protein names is needed"),
        ([["A"], np.nan], [0.5, 0.5], "candidates of peptide 1 are nan; a list"),
        ([["A"], ["B", pd.NA]], [0.5, 0.5], "candidates of peptide 1 hold a missing value"),
        (np.array([[1, 0], [1, 1]]), [0.5, 0.5], "candidates are a table of numbers; a list of protein names"),
        ([["A"]], ["likely"], "probabilities .* array of numbers"),
    ],
)
def test_bad_peptides_get_one_sentence(rows, p, message):
    with pytest.raises(ValueError, match=message):
        ProteinInference().fit(rows, p)


def test_bad_sizes_get_one_sentence():
    with pytest.raises(ValueError, match="no entry for protein 'A'"):
        ProteinInference({"B": 2}).fit([["A"]], [0.5])
    with pytest.raises(ValueError, match="0 for protein 'A'"):
        ProteinInference({"A": 0}).fit([["A"]], [0.5])
    with pytest.raises(ValueError, match="'12' for protein 'A'; it must be a finite number"):
        ProteinInference({"A": "12"}).fit([["A"]], [0.5])
