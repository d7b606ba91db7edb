"""The loop: stopping where it says, telling a climb from a fall, keeping what was good."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from emlib.data import times_deaths
from emlib.engine import em
from emlib.engine.families import Binomial, BinomialParams, Gaussian, GaussianParams, Poisson, PoissonParams
from emlib.engine.latent import HARD, SOFT, sampled, tempered
from emlib.engine.mixture import Mixture, MixtureParams

TOP = -1989.94585988296  # the likelihood of the Times data at its maximum, to the last digit
TIMES = MixtureParams(np.array([0.3, 0.7]), PoissonParams(np.array([[1.0], [2.5]])))
HALF = np.array([0.5, 0.5])
HEADS = np.array([[5.0], [9.0], [8.0], [4.0], [7.0]])
COINS = Mixture(Binomial(np.array([10.0])), fixed_weights=HALF)
COIN_START = MixtureParams(HALF, BinomialParams(np.array([[0.6], [0.5]])))


@pytest.mark.parametrize(("n", "expected"), [(1, (0.7130122, 0.5813393)), (10, (0.7967441, 0.5196587))])
def test_two_coins(n, expected):
    fit = em.fit(COINS, HEADS, COIN_START, max_iter=n, tol=0.0)
    np.testing.assert_allclose(fit.params.components.probs.ravel(), expected, atol=5e-8)
    assert (fit.n_iter, fit.reason, len(fit.trace)) == (n, "max_iter", n + 1)


def test_reported_likelihood_belongs_to_reported_parameters():
    for n in (0, 1, 7):
        fit = em.fit(COINS, HEADS, COIN_START, max_iter=n)
        assert fit.log_likelihood == fit.trace[-1] == COINS.e_step(HEADS, fit.params)[1]


@pytest.mark.parametrize("tol", [1e-3, 1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("accelerate", [None, "squarem"])
def test_stops_where_it_says(tol, accelerate):
    fit = em.fit(Mixture(Poisson()), times_deaths(), TIMES, tol=tol, accelerate=accelerate)
    assert fit.converged
    assert 0.0 <= TOP - fit.log_likelihood + 1e-10 < 1.5 * tol
    if accelerate is None:  # and not much later than needed
        assert TOP - fit.log_likelihood > 0.5 * tol


def test_a_small_last_gain_is_not_convergence():
    gains = np.diff(em.fit(Mixture(Poisson()), times_deaths(), TIMES, max_iter=12, tol=0.0).trace)
    assert gains[-1] < 1e-3  # the usual rule would stop here, .08 nats and a quarter of w too early
    fit = em.fit(Mixture(Poisson()), times_deaths(), TIMES, tol=1e-3)
    assert fit.params.weights[0] > 0.35


def test_squarem_needs_ten_times_fewer_evaluations():
    plain = em.fit(Mixture(Poisson()), times_deaths(), TIMES)
    fast = em.fit(Mixture(Poisson()), times_deaths(), TIMES, accelerate="squarem")
    assert plain.n_evaluations == plain.n_iter + 1
    assert fast.n_evaluations * 10 <= plain.n_evaluations
    assert np.diff(fast.trace).min() > 0
    for fit in (plain, fast):
        assert fit.params.weights[0] == pytest.approx(0.3599, abs=1e-3)


@pytest.mark.parametrize("shape", [(3, 2), (5, 4)])
def test_stops_where_it_says_on_overlapping_gaussians(shape):
    K, d = shape
    rng = np.random.default_rng(K)
    centres = rng.normal(0, 1.5, (K, d))
    X = centres[rng.integers(K, size=500)] + rng.standard_normal((500, d))
    start = MixtureParams(np.full(K, 1 / K), GaussianParams(X[:K].copy(), np.repeat(np.cov(X.T)[None], K, axis=0)))
    model = Mixture(Gaussian())
    best = em.fit(model, X, start, tol=1e-11, max_iter=100_000)
    for accelerate in (None, "squarem"):
        fit = em.fit(model, X, start, tol=1e-5, accelerate=accelerate)
        # Accelerated climbs may end on another hill; where they end on this one they end near its top.
        if abs(fit.log_likelihood - best.log_likelihood) < 0.01:
            assert best.log_likelihood - fit.log_likelihood < 2e-5
        else:
            assert accelerate is not None


# ------------------------------------------------------------------ a model that misbehaves on order


@dataclass(frozen=True)
class Number:
    value: np.ndarray

    def __add__(self, other):
        return Number(self.value + other.value)


class Scripted:
    """Walks along given objective values; the parameter is the position in the script."""

    def __init__(self, *script, monotone=True, broken_m_step_at=None):
        self.script, self.monotone, self.broken = script, monotone, broken_m_step_at

    def e_step(self, data, params, latent=SOFT):
        value = self.script[int(params.value[0])]
        if isinstance(value, str):
            raise em.Degenerate(value)
        return params, value

    def m_step(self, stats, prior=None):
        if self.broken == int(stats.value[0]):
            raise em.Degenerate("the M-step found nothing to maximise.")
        return Number(stats.value + 1.0)


START = Number(np.array([0.0]))


def test_a_fall_is_never_convergence():
    with pytest.warns(RuntimeWarning, match=r"iteration 3 lowered the objective by 0\.5 nats"):
        fit = em.fit(Scripted(-5.0, -4.0, -3.0, -3.5, -2.0), None, START)
    assert fit.reason == "decreased"
    assert not fit.converged
    assert (fit.params.value[0], fit.log_likelihood, fit.n_iter) == (2.0, -3.0, 2)
    assert fit.trace.tolist() == [-5.0, -4.0, -3.0]


def test_rounding_is_no_fall():
    wobble = -1000.0 * (1 + 3e-16)
    fit = em.fit(Scripted(-1001.0, -1000.0, wobble, -1000.0, wobble, *[-1000.0] * 99), None, START, max_iter=50)
    assert fit.reason != "decreased"


class Circling:
    """Goes round in the last digits; no four steps in a row are at most as long as those nine before."""

    def e_step(self, X, params, latent):
        return params.value[0], -1000.0

    def m_step(self, value, prior):
        round_trip = 1.0 + np.array([0, 3, 11, 18, 15, 6]) * 2.0**-50
        return Number(np.array([round_trip[(np.abs(round_trip - value).argmin() + 1) % 6]]))


class Patient:
    """An accelerator that never jumps."""

    def propose(self, path):
        return None

    def judge(self, accepted):
        raise AssertionError


def test_going_round_in_the_last_digits_is_an_end():
    for accelerate in (None, Patient()):
        fit = em.fit(Circling(), None, Number(np.ones(1)), accelerate=accelerate)
        assert (fit.reason, fit.n_iter < 30) == ("converged", True)


def test_a_model_with_a_floor_may_fall_a_little():
    fit = em.fit(Scripted(-5.0, -4.0, -4.1, -4.05, monotone=False), None, START, max_iter=3, tol=0.0)
    assert (fit.reason, fit.trace.tolist()) == ("max_iter", [-5.0, -4.0, -4.1, -4.05])


@pytest.mark.parametrize("bad", ["component 1 has no width.", float("inf"), float("nan")])
def test_degenerate_returns_the_last_good_parameters(bad):
    fit = em.fit(Scripted(-5.0, -4.0, bad), None, START)
    assert (fit.reason, fit.params.value[0], fit.log_likelihood) == ("degenerate", 1.0, -4.0)
    assert fit.message


def test_degenerate_in_the_m_step_and_at_the_start():
    fit = em.fit(Scripted(-5.0, -4.0, -3.0, broken_m_step_at=1), None, START)
    assert (fit.reason, fit.params.value[0]) == ("degenerate", 1.0)
    assert "nothing to maximise" in fit.message
    fit = em.fit(Scripted("no density here."), None, START)
    assert (fit.reason, fit.log_likelihood, fit.message) == ("degenerate", -np.inf, "no density here.")


def test_a_plateau_before_a_climb_is_not_convergence():
    # Near a saddle the gains grow: small steps that become longer promise nothing about the end.
    gains = 1e-9 * 2.0 ** np.arange(40)
    fit = em.fit(Scripted(*np.concatenate([[-900.0], -900.0 + np.cumsum(gains)])), None, START, max_iter=39)
    assert fit.reason == "max_iter"


def test_search_keeps_all_and_never_chooses_a_spike():
    spike = Scripted(-5.0, 50.0, float("inf"))
    fits = em.search(spike, None, [START])
    assert (fits.reason, fits.log_likelihood) == ("degenerate", 50.0)

    both = Scripted(-5.0, 50.0, float("inf"), -9.0, -8.0, *[-7.0] * 50)
    best = em.search(both, None, [START, Number(np.array([3.0]))], max_iter=20)
    assert best.log_likelihood == -7.0
    assert [f.reason == "degenerate" for f in best.starts] == [True, False]


def test_search_returns_the_best_of_many():
    rates = [[[1.0], [9.0]], [[2.0], [2.0]], [[9.0], [1.0]]]
    starts = [MixtureParams(HALF, PoissonParams(np.array(r))) for r in rates]
    best = em.search(Mixture(Poisson()), np.array([[1.0], [2.0], [1.0], [9.0], [11.0]]), starts)
    assert best.log_likelihood == max(f.log_likelihood for f in best.starts)
    # Identical components are a saddle: EM cannot leave it, and reports an honest fixed point.
    assert best.starts[1].n_iter <= 2


def test_callback_sees_every_iteration():
    seen = []
    fit = em.fit(COINS, HEADS, COIN_START, max_iter=5, tol=0.0, callback=seen.append)
    assert [s.n_iter for s in seen] == list(range(6))
    np.testing.assert_array_equal([s.objective for s in seen], fit.trace)
    assert seen[0].params is COIN_START
    np.testing.assert_allclose(seen[3].stats.counts.sum(), 5.0)


def test_sampling_runs_to_the_end_without_alarm():
    fit = em.fit(COINS, HEADS, COIN_START, max_iter=30, latent=sampled(np.random.default_rng(0)))
    assert (fit.reason, fit.n_iter) == ("max_iter", 30)
    assert np.diff(fit.trace).min() < 0  # it wanders


def test_other_temperatures_report_the_likelihood_proper():
    for latent in (HARD, tempered(2.0)):
        fit = em.fit(COINS, HEADS, COIN_START, latent=latent, max_iter=50)
        assert fit.log_likelihood == pytest.approx(COINS.e_step(HEADS, fit.params)[1], rel=1e-14)
        assert fit.trace[-1] == pytest.approx(COINS.e_step(HEADS, fit.params, latent)[1], rel=1e-14)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tol": -1e-3}, r"tol is -0\.001; it must be 0 or above\."),
        ({"tol": float("nan")}, "tol is nan"),
        ({"max_iter": -1}, "max_iter is -1; it must be 0 or above"),
        ({"accelerate": "anderson"}, "accelerate is 'anderson'; it must be None, 'squarem'"),
    ],
)
def test_bad_options(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        em.fit(COINS, HEADS, COIN_START, **options)


def test_search_without_starts():
    with pytest.raises(ValueError, match="starts is empty"):
        em.search(COINS, HEADS, [])


def test_progress_bar(capsys):
    em.fit(COINS, HEADS, COIN_START, max_iter=5, progress=True)
    assert "iteration" in capsys.readouterr().err
    em.search(COINS, HEADS, [COIN_START] * 3, progress=True)
    assert " start" in capsys.readouterr().err
    em.fit(COINS, HEADS, COIN_START, max_iter=5)
    assert capsys.readouterr().err == ""
