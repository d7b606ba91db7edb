"""Falling temperatures: a bad start is left behind, merged components part, and the end is EM's own."""

from __future__ import annotations

import numpy as np
import pytest

from emlib import BinomialMixture, GaussianMixture, PoissonMixture
from emlib.data import fetal_lamb, galaxies, times_deaths
from emlib.engine import blocks, em
from emlib.engine.blocks import Rows
from emlib.engine.families import (
    CentreParams,
    Centres,
    Gaussian,
    GaussianParams,
    Poisson,
    PoissonParams,
    TiedSphericalGaussian,
)
from emlib.engine.latent import HARD, SOFT, schedule, tempered
from emlib.engine.mixture import Mixture, MixtureParams, MixturePrior
from emlib.engine.parameters import flatten


def grid(seed=0):
    """Nine clusters of variance 1 on a grid, 8 apart, and a start with all nine centres in one corner."""
    rng = np.random.default_rng(seed)
    corners = np.array([[i, j] for i in range(3) for j in range(3)], dtype=float) * 8
    X = np.repeat(corners, 30, axis=0) + rng.normal(0, 1, (270, 2))
    weights = np.full(9, 1 / 9)
    return Rows(X), corners, MixtureParams(weights, CentreParams(X[:9].copy())), Mixture(Centres(), weights)


def three_in_the_middle():
    thirds = np.full(3, 1 / 3)
    return MixtureParams(thirds, GaussianParams(np.array([[20.0], [21.0], [22.0]]), np.full((3, 1, 1), 4.0)))


SLOWLY = [100, 50, 30, 20, 12, 8, 5, 3, 2, 1]


def test_it_finds_all_clusters_where_plain_em_does_not():
    """More often than not: on the first grid about every second nudge parts the centres badly."""
    short = []
    for seed in range(4):
        rows, corners, start, model = grid(seed)
        top = em.fit(model, rows, MixtureParams(start.weights, CentreParams(corners))).log_likelihood
        assert em.fit(model, rows, start).log_likelihood < top - 100
        short.append(top - em.anneal(model, rows, start, SLOWLY, rng=np.random.default_rng(0)).log_likelihood)
    assert sum(abs(gap) < 1e-3 for gap in short) >= 3


def test_it_finds_the_best_known_optimum_of_the_galaxies():
    """Three components of unequal variances: -203.1792 nats, the best of 30 starts; here from one bad one."""
    model, X = Mixture(Gaussian()), galaxies()
    plain = em.fit(model, X, three_in_the_middle())
    cooled = em.anneal(model, X, three_in_the_middle(), [3, 2, 1], rng=np.random.default_rng(0))
    assert plain.log_likelihood < -212
    assert cooled.log_likelihood == pytest.approx(-203.1792, abs=1e-3)


def test_the_end_at_temperature_one_is_stationary_for_plain_em():
    rows, _, start, model = grid()
    for world, data, begin, temperatures in (
        (model, rows, start, SLOWLY),
        (Mixture(Gaussian()), Rows(galaxies()), three_in_the_middle(), [3, 2, 1]),
    ):
        end = em.anneal(world, data, begin, temperatures, rng=np.random.default_rng(0), tol=1e-9)
        assert end.converged
        again = em.fit(world, data, end.params, tol=1e-9)
        assert again.log_likelihood == pytest.approx(end.log_likelihood, abs=1e-8)
        np.testing.assert_allclose(flatten(again.params), flatten(end.params), rtol=1e-4, atol=1e-4)
        assert end.log_likelihood == pytest.approx(world.e_step(data, end.params)[1], rel=1e-12)


def test_merged_components_part_below_the_critical_temperature_and_only_if_nudged():
    """The largest variance of the data over that of a component (Rose 1998)."""
    rows, _, start, model = grid()
    critical = float(np.linalg.eigvalsh(np.cov(rows.X.T, bias=True))[-1])
    merged = em.fit(model, rows, start, latent=tempered(1.2 * critical), tol=1e-12).params
    assert np.ptp(merged.components.means, axis=0).max() < 1e-3

    def spread(temperature, rng):
        pair = [1.2 * critical, temperature]
        params = em.anneal(model, rows, merged, pair, rng=rng, tol=1e-12).params
        return np.ptp(params.components.means, axis=0).max()

    assert spread(1.1 * critical, np.random.default_rng(0)) < 1e-2  # nudged, and merged again
    assert spread(0.8 * critical, np.random.default_rng(0)) > 1.0
    # Exactly equal components are a saddle that EM never leaves by itself.
    same = MixtureParams(merged.weights, CentreParams(np.repeat(merged.components.means[:1], 9, axis=0)))
    still = em.anneal(model, rows, same, SLOWLY)
    assert np.ptp(still.params.components.means, axis=0).max() < 1e-9
    moved = em.anneal(model, rows, same, SLOWLY, rng=np.random.default_rng(0))
    assert moved.log_likelihood > still.log_likelihood + 1000


def test_estimated_round_variances_part_below_the_largest_variance_over_the_average_one():
    """The nudge is multiplied by S / (t tr(S) / d): here 1.6 is its critical temperature."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 2))
    X = (X - X.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(X.T, bias=True))).T * np.sqrt([1.6, 0.4])
    half, model = np.array([0.5, 0.5]), Mixture(TiedSphericalGaussian())
    start = MixtureParams(half, GaussianParams(np.array([[0.05, 0.0], [-0.05, 0.0]]), np.array(1.0)))
    for temperature, merged in ((1.7, True), (1.5, False)):
        end = em.fit(model, X, start, latent=tempered(temperature), tol=1e-12)
        assert (np.ptp(end.params.components.means) < 1e-3) == merged


def test_equal_generators_give_equal_fits(monkeypatch):
    rows, _, start, model = grid()
    a, b, c = (em.anneal(model, rows, start, [60, 10, 1], rng=np.random.default_rng(s)) for s in (3, 3, 4))
    np.testing.assert_array_equal(flatten(a.params), flatten(b.params))
    assert not np.array_equal(flatten(a.params), flatten(c.params))
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 64)  # cut into blocks, on threads or not, the draws are the same
    fits = [
        em.anneal(model, Rows(rows.X), start, [60, 10, 1], rng=np.random.default_rng(3), executor=executor)
        for executor in (None, blocks.threads())
    ]
    np.testing.assert_array_equal(flatten(fits[0].params), flatten(fits[1].params))


def test_trace_and_iterations_are_of_the_last_temperature_and_evaluations_of_all():
    model, X, start = Mixture(Poisson()), times_deaths(), np.array([[1.0], [2.5]])
    params, spent = MixtureParams(np.array([0.3, 0.7]), PoissonParams(start)), 0
    for t in (3.0, 2.0, 1.0):  # what it does, step by step
        fit = em.fit(model, X, params, latent=tempered(t))
        params, spent = fit.params, spent + fit.n_evaluations
    end = em.anneal(model, X, MixtureParams(np.array([0.3, 0.7]), PoissonParams(start)), [3, 2, 1])
    np.testing.assert_array_equal(end.trace, fit.trace)
    assert (end.n_iter, len(end.trace) - 1, end.n_evaluations) == (fit.n_iter, fit.n_iter, spent)
    nudged = em.anneal(model, X, params, [3, 2, 0], rng=np.random.default_rng(0), max_iter=0)
    assert nudged.n_evaluations == 3 + 2  # one for each temperature, two for the one nudge: decided labels get none


def test_one_temperature_is_a_plain_fit_and_zero_decides():
    rows, _, start, model = grid()
    for t, latent in ((1, SOFT), (0, HARD)):
        one = em.anneal(model, rows, start, [t], rng=np.random.default_rng(0))
        np.testing.assert_array_equal(one.trace, em.fit(model, rows, start, latent=latent).trace)
    cold = em.anneal(model, rows, start, [*SLOWLY, 0], rng=np.random.default_rng(0))
    counts = model.e_step(rows, cold.params, HARD)[0].counts
    assert counts.tolist() == np.round(counts).tolist()
    assert cold.n_iter <= 3


def test_a_prior_is_kept_at_every_temperature():
    prior = MixturePrior(2.0)
    model, X = Mixture(Poisson()), fetal_lamb()
    start = MixtureParams(np.array([0.5, 0.5]), PoissonParams(np.array([[0.1], [1.0]])))
    end = em.anneal(model, X, start, [2, 1], rng=np.random.default_rng(0), prior=prior, tol=1e-9)
    again = em.fit(model, X, end.params, prior=prior, tol=1e-9)
    np.testing.assert_allclose(flatten(again.params), flatten(end.params), rtol=1e-3)


def test_a_bad_end_ends_it_and_says_at_which_temperature():
    X = np.concatenate([np.random.default_rng(0).normal(0, 1, 30), np.full(3, 8.0)])[:, None]
    start = MixtureParams(np.array([0.9, 0.1]), GaussianParams(np.array([[0.0], [8.0]]), np.array([[[1.0]], [[1e-4]]])))
    end = em.anneal(Mixture(Gaussian()), X, start, [1.2, 1.1, 1])
    assert end.reason == "degenerate"
    assert end.message.startswith("at temperature 1.2, component 1 has collapsed")
    assert np.isfinite(end.log_likelihood)


@pytest.mark.parametrize("temperatures", [[], [1, 2], [1, 1], [2, -1], [np.inf, 1], [np.nan], ["hot"], 3, None])
def test_what_is_no_schedule(temperatures):
    rows, _, start, model = grid()
    with pytest.raises(ValueError, match=r"temperatures is .*; it must hold finite numbers, 0 or above, each below"):
        em.anneal(model, rows, start, temperatures)


def test_schedule_may_be_any_iterable():
    assert [latent.temperature for latent in schedule(np.geomspace(4, 1, 3))] == pytest.approx([4, 2, 1])


# ------------------------------------------------------------------ in the estimators


def test_estimators_take_a_falling_sequence():
    bad = {"means_init": [[20.0], [21.0], [22.0]], "precisions_init": np.full((3, 1, 1), 0.25)}
    options = {"reg_covar": 0.0, "tol": 1e-9, "max_iter": 5000, "random_state": 0, "weights_init": np.full(3, 1 / 3)}
    plain, cooled, again = (
        GaussianMixture(3, temperature=t, **options, **bad).fit(galaxies())
        for t in (1.0, [3, 2, 1], np.array([3, 2, 1]))
    )
    assert plain.log_likelihood_ < -212
    assert cooled.log_likelihood_ == pytest.approx(-203.1792, abs=1e-3)
    np.testing.assert_array_equal(again.means_, cooled.means_)
    assert len(cooled.trace_) == cooled.n_iter_ + 1
    assert len(cooled.starts_) == 1
    assert cooled.trace_[-1] == pytest.approx(cooled.log_likelihood_)
    assert cooled.get_params()["temperature"] == [3, 2, 1]
    for seed in (np.random.default_rng(1), np.random.RandomState(1), None):
        assert GaussianMixture(3, temperature=(2, 1), random_state=seed, max_iter=1000).fit(galaxies()).converged_


def test_count_mixtures_anneal_every_start():
    fitted = PoissonMixture(2, temperature=[2, 1.5, 1], n_init=3, init_params="random", random_state=0).fit(
        fetal_lamb()
    )
    assert fitted.log_likelihood_ == pytest.approx(-186.989, abs=2e-3)
    assert len(fitted.starts_) == 3


@pytest.mark.parametrize(
    ("temperature", "sentence"),
    [
        ([1, 2], r"temperature is \[1, 2\]; it must hold finite numbers, 0 or above, each below the one before\."),
        ([], r"temperature is \[\]; it must hold"),
        ([[3, 2], [1, 0]], "temperature is .*; it must hold finite numbers"),
        ("hot", "temperature is 'hot'; it must be a finite number, 0 or above"),
    ],
)
def test_estimators_refuse_what_does_not_fall(temperature, sentence):
    with pytest.raises(ValueError, match=sentence):
        BinomialMixture(2, n_trials=7, temperature=temperature).fit(fetal_lamb())
