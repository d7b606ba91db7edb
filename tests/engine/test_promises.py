"""Promises of the engine that were broken once, or that a wrong version could break unseen."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as dist
from threadpoolctl import threadpool_info

import emlib
from emlib.data import times_deaths
from emlib.engine import blocks, em, families, kernel
from emlib.engine.accelerate import squarem
from emlib.engine.blocks import Rows, one_blas_thread
from emlib.engine.latent import HARD, SOFT, assign, sampled
from emlib.engine.mixture import Mixture, MixtureParams, MixturePrior
from emlib.engine.parameters import flatten

HALF = np.array([0.5, 0.5])


def poisson(*rates):
    return MixtureParams(np.full(len(rates), 1 / len(rates)), families.PoissonParams(np.array(rates)[:, None]))


# ------------------------------------------------------------------ the loop


def test_engine_modules_open_with_emlib_alone():
    assert emlib.engine.em.fit is em.fit
    with pytest.raises(AttributeError, match=r"module 'emlib\.engine' has no attribute 'nothing'"):
        _ = emlib.engine.nothing


def test_squarem_proves_that_nothing_is_left():
    """Over random problems the gap at the stop is about `tol`, as for plain EM."""
    rng = np.random.default_rng(0)
    for tol in (1e-3, 1e-5):
        gaps = []
        for _ in range(12):
            X = rng.poisson(rng.choice([2.0, 4.0], size=300))[:, None]
            start = poisson(*rng.uniform(1, 6, 2))
            fast = em.fit(Mixture(families.Poisson()), X, start, tol=tol, accelerate="squarem")
            top = em.fit(Mixture(families.Poisson()), X, fast.params, tol=1e-10, max_iter=100_000)
            gaps.append((top.log_likelihood - fast.log_likelihood) / tol)
        assert np.median(gaps) < 1.0
        assert max(gaps) < 30


def test_accelerators_are_not_shared_between_climbs():
    own = squarem()
    starts = [poisson(1.0, 2.5)] * 3
    best = em.search(Mixture(families.Poisson()), times_deaths(), starts, accelerate=own)
    assert len({f.n_evaluations for f in best.starts}) == 1
    assert own == squarem()


@pytest.mark.parametrize("choice", [3, True, "anderson"])
def test_no_accelerator(choice):
    with pytest.raises(ValueError, match=r"accelerate is .*; it must be None, 'squarem' or an Accelerator"):
        em.fit(Mixture(families.Poisson()), times_deaths(), poisson(1.0, 2.0), accelerate=choice)


def test_a_large_parameter_does_not_hide_a_small_one():
    """One component of sd 1e8 beside two of sd 1: the small ones have far to go."""
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(0, 1, 200), rng.normal(2.5, 1, 200), rng.normal(0, 1e8, 50)])[:, None]
    start = MixtureParams(
        np.array([0.4, 0.4, 0.2]),
        families.GaussianParams(np.array([[-0.5], [1.0], [0.0]]), np.array([[[1.0]], [[1.0]], [[1e16]]])),
    )
    fit = em.fit(Mixture(families.Gaussian()), X, start, tol=1e-6)
    more = em.fit(Mixture(families.Gaussian()), X, fit.params, tol=1e-10, max_iter=50_000)
    assert more.log_likelihood - fit.log_likelihood < 1e-4


def test_a_fall_just_above_rounding_is_seen():
    class Falling:
        def e_step(self, data, params, latent=None):
            return params, [-1000.0, -999.0, -999.0 - 1e-9][int(params.weights[0])]

        def m_step(self, stats, prior=None):
            return MixtureParams(stats.weights + 1, None)

    with pytest.warns(RuntimeWarning, match="lowered the objective by 1e-09"):
        assert em.fit(Falling(), None, MixtureParams(np.zeros(1), None)).reason == "decreased"


@pytest.mark.parametrize("seed", [3, 10, 17, 21, 22, 25])
def test_rounding_of_small_counts_is_no_fall(seed):
    """One Poisson taken for two: a long ridge, where terms of log joints cancel in every row."""
    X = np.random.default_rng(seed).poisson(0.36, (240, 1)).astype(float)
    assert em.fit(Mixture(families.Poisson()), X, poisson(0.3, 0.5), accelerate="squarem").converged


def test_search_judges_by_the_objective_under_a_prior():
    prior = MixturePrior(1.0, families.GammaPrior(200.0, 20.0))  # rates near 10
    model, X = Mixture(families.Poisson(), fixed_weights=HALF), np.array([[1.0], [2.0], [14.0]])
    starts = [poisson(1.0, 14.0), poisson(10.0, 9.0)]
    best = em.search(model, X, starts, prior=prior, max_iter=0)
    objective = [f.trace[-1] for f in best.starts]
    likelihood = [f.log_likelihood for f in best.starts]
    assert np.argmax(objective) != np.argmax(likelihood)
    assert best.trace[-1] == max(objective)


def test_hard_assignment_takes_one_label():
    A = np.zeros((3, 4))
    assign(A, HARD)
    assert A.tolist() == [[1.0] * 4, [0.0] * 4, [0.0] * 4]


def test_tiny_responsibilities_never_become_denormal():
    A = np.array([[0.0], [-720.0], [-1e6], [-np.inf]])
    assign(A)
    assert A.min() >= 1e-305


def test_blocks_draw_different_labels_at_every_step():
    latent = sampled(np.random.default_rng(0))
    draws = {part.rng.random() for _ in range(3) for part in latent.split(4)}
    assert len(draws) == 12


class OldMeans(Mixture):
    """The slip of chapter 2: new covariances about the old means."""

    def e_step(self, data, params, latent=SOFT):
        object.__setattr__(self, "old", params.components.means)
        return super().e_step(data, params, latent)

    def m_step(self, stats, prior=None):
        new = super().m_step(stats, prior)
        moved = new.components.means - self.old
        covariances = new.components.covariances + moved[:, :, None] * moved[:, None, :]
        return MixtureParams(new.weights, families.GaussianParams(new.components.means, covariances))


def test_the_old_means_slip_climbs_to_the_same_place_a_little_later():
    """What chapter 2 says of it: no fall, the same end, one of them late."""
    X = emlib.data.old_faithful()
    means = X.mean(axis=0) + np.array([[-0.4, 0.0], [0.4, 0.0]])
    start = MixtureParams(HALF, families.GaussianParams(means, np.stack([np.diag(np.diag(np.cov(X.T)))] * 2)))
    right, slip = (em.fit(model(families.Gaussian()), X, start, tol=1e-6) for model in (Mixture, OldMeans))
    assert right.converged
    assert slip.converged
    assert np.diff(slip.trace).min() > 0
    assert slip.log_likelihood == pytest.approx(right.log_likelihood, abs=1e-5)
    assert slip.n_iter > right.n_iter


# ------------------------------------------------------------------ threads and processes


def test_blas_is_held_inside_a_fit_and_given_back_after():
    def threads():
        return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}

    before, inside = threads(), []
    model = Mixture(families.Poisson())
    em.fit(model, times_deaths(), poisson(1.0, 2.0), max_iter=1, callback=lambda step: inside.append(threads()))
    assert inside[0] == {1}
    assert threads() == before

    def overlapping(i):
        with one_blas_thread:
            return sum(range(1000 * i))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(overlapping, range(200)))
    assert threads() == before
    assert one_blas_thread.running == 0


@pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="no safe fork here")
def test_a_forked_child_can_fit(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 100)
    monkeypatch.setenv("EMLIB_NUM_THREADS", "2")
    model, rows = Mixture(families.Poisson()), Rows(times_deaths())
    expected = em.fit(model, rows, poisson(1.0, 2.0), max_iter=2, executor=blocks.threads()).log_likelihood
    child = os.fork()
    if child == 0:  # in the child: any trouble must end it, never the test run
        signal.alarm(20)
        try:
            again = em.fit(model, Rows(times_deaths()), poisson(1.0, 2.0), max_iter=2, executor=blocks.threads())
            os._exit(0 if again.log_likelihood == expected else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


# ------------------------------------------------------------------ statistics and families


def test_statistics_about_different_points_do_not_add_up():
    stats = kernel.Statistics(np.ones((1, 3)), np.zeros((1, 1)), np.zeros(0))
    with pytest.raises(ValueError, match="statistics were taken about different points"):
        _ = stats + replace(stats, about=np.ones((1, 1)))


def test_many_columns_never_make_features(monkeypatch):
    def refuse(self, X, out):
        raise AssertionError("65 columns are evaluated from differences")

    X = np.random.default_rng(0).normal(0, 1, (50, 65))
    params = MixtureParams(np.ones(1), families.GaussianParams(np.zeros((1, 65)), np.eye(65)[None]))
    monkeypatch.setattr(families.Gaussian, "features", refuse)
    assert np.isfinite(Mixture(families.Gaussian()).e_step(X, params)[1])


def test_one_row_is_scored_as_among_many():
    """A row to be predicted may be the centre of its own table; the components still lie far."""
    rng = np.random.default_rng(3)
    z = 100 * rng.standard_normal((400, 1))
    X = np.hstack([z, z + 1e-4 * rng.standard_normal((400, 1))])
    fitted = emlib.GaussianMixture(2, reg_covar=0, random_state=0, max_iter=1000).fit(X)
    alone = np.concatenate([fitted.score_samples(row[None]) for row in X[:20]])
    np.testing.assert_allclose(alone, fitted.score_samples(X)[:20], rtol=1e-6)


def test_a_certain_coin_is_no_alarm():
    """At p = 1 numbers near 700 cancel; that is neither degenerate nor a fall."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        n = int(rng.integers(3, 12))
        X = np.concatenate([np.full(20, n), rng.binomial(n, 0.3, 20)])[:, None]
        assert emlib.BinomialMixture(2, n_trials=n, random_state=0).fit(X).stop_reason_ == "converged"
    same = emlib.BinomialMixture(2, n_trials=7, random_state=0).fit(np.full((10, 2), 7))
    assert same.log_likelihood_ == pytest.approx(0.0, abs=1e-9)


def test_collinear_data_raise_no_false_alarm():
    rng = np.random.default_rng(4)
    for eps in (1e-3, 1e-5):
        z = rng.standard_normal((300, 1))
        X = np.hstack([z, z + eps * rng.standard_normal((300, 1))]) + np.repeat([[0.0, 0.0], [3.0, 3.0]], 150, axis=0)
        for accelerate in (None, "squarem"):
            fitted = emlib.GaussianMixture(
                2, reg_covar=0, tol=1e-9, max_iter=3000, accelerate=accelerate, random_state=0
            ).fit(X)
            assert fitted.stop_reason_ == "converged"


def test_a_spike_is_seen_beside_a_constant_column():
    rng = np.random.default_rng(0)
    X = np.hstack([np.vstack([rng.normal(0, 1, (50, 2)), np.full((4, 2), 3.0)]), np.full((54, 1), 7.0)])
    R = np.repeat([[1.0, 0.0], [0.0, 1.0]], [50, 4], axis=0)
    for family in (families.Gaussian(1e-6), families.DiagonalGaussian(1e-6), families.SphericalGaussian(1e-6)):
        model = Mixture(family)
        params = model.from_responsibilities(X[:, :2] if "Spherical" in str(family) else X, R, 2)
        stats, _ = model.e_step(X[:, :2] if "Spherical" in str(family) else X, params)
        assert "component 1 has collapsed" in model.flaw(params, stats)


def test_narrow_but_honest_components_are_no_spikes():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-0.1, 5e-4, 500), rng.normal(0.1, 5e-4, 500)])[:, None]
    assert emlib.GaussianMixture(2, random_state=0).fit(X).stop_reason_ == "converged"
    X = np.concatenate([rng.normal(0, 1e-7, 500), rng.normal(1.0, 0.3, 500)])[:, None]
    assert emlib.GaussianMixture(2, reg_covar=0, random_state=0, max_iter=1000).fit(X).stop_reason_ == "converged"


def test_starved_beside_a_component_seen_from_its_mean():
    X = np.random.default_rng(0).normal(0, 1, (60, 2))
    stats = Mixture(families.Gaussian()).e_step(
        X,
        MixtureParams(
            np.array([1.0, 0.0]),
            families.GaussianParams(np.array([[0.0, 0.0], [1e5, 0.0]]), np.stack([np.eye(2), 1e-8 * np.eye(2)])),
        ),
    )[0]
    params = Mixture(families.Gaussian()).m_step(stats)
    np.testing.assert_allclose(params.components.covariances[1], np.cov(X.T, bias=True), atol=1e-4)
    assert params.weights.tolist() == [1.0, 0.0]


PARAMETERS = [
    (families.Gaussian(), 3 * 4 + 3 * 10),
    (families.DiagonalGaussian(), 24),
    (families.SphericalGaussian(), 15),
    (families.TiedGaussian(), 22),
    (families.TiedSphericalGaussian(), 13),
    (families.Centres(), 12),
    (families.Poisson(), 12),
    (families.Binomial(np.ones(4)), 12),
    (families.Multinomial(), 9),
]


@pytest.mark.parametrize(("family", "expected"), PARAMETERS, ids=lambda x: type(x).__name__)
def test_number_of_free_parameters(family, expected):
    assert family.n_parameters(3, 4) == expected


def test_fixed_weights_cost_nothing():
    X = np.array([[5], [9], [8], [4], [7]])
    fixed, free = (emlib.BinomialMixture(2, n_trials=10, fix_weights=f, random_state=0).fit(X) for f in (True, False))
    assert fixed.bic(X) + 2 * fixed.score_samples(X).sum() == pytest.approx(2 * np.log(5))
    assert free.bic(X) + 2 * free.score_samples(X).sum() == pytest.approx(3 * np.log(5))


def test_log_prior_of_a_gaussian_is_the_textbook_density():
    prior = families.NormalInverseWishart(np.array([0.5, -0.5]), 2.0, np.array([[3.0, 0.4], [0.4, 2.0]]), 5.0)
    rng, values = np.random.default_rng(0), []
    for _ in range(3):
        mean, covariance = rng.normal(0, 1, 2), dist.invwishart(6, np.eye(2)).rvs(random_state=rng)
        ours = families.Gaussian().log_prior(families.GaussianParams(mean[None], covariance[None]), prior)
        theirs = dist.invwishart(5.0, prior.scatter).logpdf(covariance)
        theirs += dist.multivariate_normal(prior.mean, covariance / 2.0).logpdf(mean)
        values.append(ours - theirs)
    np.testing.assert_allclose(values, values[0])  # equal up to a constant


def test_draws_under_strong_priors_have_the_textbook_moments():
    rng, one = np.random.default_rng(0), np.ones((1, 1))
    empty = kernel.Statistics(np.zeros((1, 2)), np.zeros((1, 1)), np.zeros(0))

    def mean_and_sd(family, prior, field):
        draws = np.array([getattr(family.draw(empty, prior, rng), field).ravel()[0] for _ in range(4000)])
        return draws.mean(), draws.std()

    found = mean_and_sd(families.Poisson(), families.GammaPrior(50.0, 10.0), "rates")
    assert found == pytest.approx((5, 50**0.5 / 10), rel=0.05)
    beta = dist.beta(30, 10)
    found = mean_and_sd(families.Binomial(one[0]), families.BetaPrior(30.0, 10.0), "probs")
    assert found == pytest.approx((beta.mean(), beta.std()), rel=0.05)
    pair = kernel.Statistics(np.zeros((1, 3)), np.zeros((1, 2)), np.zeros(0))
    draws = [families.Multinomial().draw(pair, families.DirichletPrior(40.0), rng).probs[0, 0] for _ in range(4000)]
    assert (np.mean(draws), np.std(draws)) == pytest.approx((0.5, dist.beta(40, 40).std()), rel=0.05)
    weights = [
        Mixture(families.Poisson())
        .draw(
            kernel.Statistics(np.zeros((2, 2)), np.zeros((2, 1)), np.zeros(0)),
            MixturePrior(40.0, families.GammaPrior(5.0, 1.0)),
            rng,
        )
        .weights[0]
        for _ in range(2000)
    ]
    assert np.std(weights) == pytest.approx(dist.beta(40, 40).std(), rel=0.08)


def test_gaussian_draws_shrink_with_the_strength_of_the_prior():
    rng = np.random.default_rng(0)
    stats = kernel.Statistics(np.array([[1.0, 0.0, 1.0]]), np.zeros((1, 1)), np.zeros(0))
    spreads = []
    for strength in (1.0, 100.0):
        prior = families.NormalInverseWishart(np.zeros(1), strength, np.eye(1), 50.0)
        spreads.append(np.std([families.Gaussian().draw(stats, prior, rng).means[0, 0] for _ in range(2000)]))
    assert spreads[0] / spreads[1] == pytest.approx((101 / 2) ** 0.5, rel=0.1)


def test_a_rate_of_zero_forbids_events():
    model = Mixture(families.Poisson())
    assert model.posterior(np.array([[3.0]]), poisson(0.0))[1][0] < -600


def test_flat_priors_and_empty_components():
    X = np.array([[1.0], [2.0], [9.0]])
    start = MixtureParams(np.array([1.0, 0.0]), families.PoissonParams(np.array([[3.0], [5.0]])))
    fit = em.fit(Mixture(families.Poisson()), X, start, prior=MixturePrior(1.0, families.GammaPrior()), latent=HARD)
    assert np.isfinite(flatten(fit.params)).all()
