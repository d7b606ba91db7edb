"""Many starts: evaluated together, pruned, guessed well, mended where a component starves."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from emlib import BernoulliMixture, BinomialMixture, GaussianMixture, MultinomialMixture, PoissonMixture
from emlib.data import fetal_lamb, galaxies, old_faithful, pbmc, penguins
from emlib.engine import em
from emlib.engine.blocks import Rows
from emlib.engine.families import BetaPrior, DiagonalGaussian, Gaussian, GaussianParams, Poisson, PoissonParams
from emlib.engine.mixture import Mixture, MixtureParams, MixturePrior
from emlib.models.starts import hierarchical


def crowd(n=1500, d=3, K=5, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 4, (K, d))
    return centres[rng.integers(K, size=n)] + rng.standard_normal((n, d))


def gaussian_starts(X, K, n, seed=0):
    rng = np.random.default_rng(seed)
    spread = np.repeat(np.cov(X.T)[None], K, axis=0)
    return [MixtureParams(np.full(K, 1 / K), GaussianParams(rng.choice(X, K, False), spread)) for _ in range(n)]


# ------------------------------------------------------------------ together, and pruned


def test_a_bad_start_does_not_spoil_the_others():
    X = crowd(300)
    starts = gaussian_starts(X, 3, 3)
    flat = GaussianParams(starts[1].components.means, 0.0 * starts[1].components.covariances)
    starts[1] = MixtureParams(starts[1].weights, flat)
    best = em.search(Mixture(Gaussian()), X, starts)
    assert [f.reason for f in best.starts] == ["converged", "degenerate", "converged"]
    assert "not positive definite" in best.starts[1].message
    alone = em.fit(Mixture(Gaussian()), X, starts[2])
    assert best.starts[2].log_likelihood == pytest.approx(alone.log_likelihood, rel=1e-10)


def test_one_component_far_away_needs_differences_and_the_others_do_not_notice():
    X = np.vstack([crowd(300), 1e7 + crowd(50)])
    starts = gaussian_starts(X, 3, 4)
    best = em.search(Mixture(Gaussian(1e-6)), Rows(X, X.mean(axis=0)), starts, max_iter=20)
    for start, together in zip(starts, best.starts, strict=True):
        alone = em.fit(Mixture(Gaussian(1e-6)), Rows(X, X.mean(axis=0)), start, max_iter=20)
        assert together.log_likelihood == pytest.approx(alone.log_likelihood, rel=1e-9)


@pytest.mark.parametrize("accelerate", [None, "squarem"])
def test_pruning_keeps_the_winner(accelerate):
    X = crowd()
    starts = gaussian_starts(X, 5, 16)
    options = {"tol": 1e-6, "max_iter": 2000, "accelerate": accelerate}
    whole = em.search(Mixture(Gaussian()), X, starts, **options)
    pruned = em.search(Mixture(Gaussian()), X, starts, prune=True, **options)
    assert pruned.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-5)
    assert pruned.converged
    reasons = [f.reason for f in pruned.starts]
    assert reasons.count("pruned") >= 4
    assert len(reasons) == 16
    spent = [sum(f.n_evaluations for f in fit.starts) for fit in (whole, pruned)]
    assert spent[1] < 0.8 * spent[0]
    for fit in pruned.starts:  # what was set aside is still whole: parameters and their own likelihood
        assert fit.log_likelihood == pytest.approx(Mixture(Gaussian()).e_step(X, fit.params)[1], rel=1e-12)


def test_spikes_do_not_push_honest_climbs_aside():
    """Spikes rise fastest; where all that were kept are spikes, one that was set aside goes on."""
    rng = np.random.default_rng(1)
    X = np.vstack([rng.normal(0, 1, (60, 1)), [[5.0]] * 4])
    honest = MixtureParams(np.array([0.5, 0.5]), GaussianParams(np.array([[-1.0], [1.0]]), np.ones((2, 1))))
    spike = MixtureParams(np.array([0.9, 0.1]), GaussianParams(np.array([[0.0], [5.0]]), np.array([[1.0], [1e-6]])))
    model = Mixture(DiagonalGaussian(1e-12))
    # At a tolerance of zero spikes climb on, so that they are still there when the lower half is set aside.
    best = em.search(model, X, [spike, honest, spike], prune=True, tol=0.0, max_iter=300)
    assert [f.reason == "degenerate" for f in best.starts] == [True, False, True]
    assert best.reason in ("converged", "max_iter")
    assert best.starts[1].n_iter > 20


def test_a_callback_is_told_of_one_climb_after_the_other():
    seen = []
    X = np.array([[1.0], [2.0], [9.0], [11.0]])
    starts = [MixtureParams(np.array([0.5, 0.5]), PoissonParams(np.array(r))) for r in ([[1.0], [9]], [[2.0], [3]])]
    em.search(Mixture(Poisson()), X, starts, max_iter=3, tol=0.0, callback=lambda step: seen.append(step.n_iter))
    assert seen == [0, 1, 2, 3, 0, 1, 2, 3]


# ------------------------------------------------------------------ good guesses


def test_hierarchical_start_finds_clear_groups():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 900)
    X = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 900.0]])[truth] + rng.standard_normal((2700, 2)) * [1.0, 100.0 / 3]
    for rows in (slice(None, None, 3), slice(None)):  # below and above the number that is joined row by row
        labels = hierarchical(X[rows], 3, rng)
        agree = [len(np.unique(labels[truth[rows] == k])) for k in range(3)]
        assert agree == [1, 1, 1]
        assert len(np.unique(labels)) == 3


def test_hierarchical_start_is_informed():
    """Galaxies with three variances of their own: one start, no luck, and mclust's default search is beaten."""
    X = galaxies().reshape(-1, 1) / (1000.0 if galaxies().max() > 1000 else 1.0)
    mixture = GaussianMixture(3, init_params="hierarchical", tol=1e-8, max_iter=5000, reg_covar=0).fit(X)
    assert mixture.log_likelihood_ == pytest.approx(-203.1792, abs=1e-3)


def test_varied_starts():
    mixture = GaussianMixture(3, n_init=6, init_params="varied", random_state=0, max_iter=500).fit(
        penguins().measurements
    )
    assert len(mixture.starts_) == 6
    alone = GaussianMixture(3, init_params="hierarchical", random_state=5, max_iter=500).fit(penguins().measurements)
    assert mixture.starts_[0].log_likelihood == pytest.approx(alone.log_likelihood_, rel=1e-9)
    assert mixture.log_likelihood_ >= alone.log_likelihood_ - 1e-6


def test_starts_are_kept_in_the_users_coordinates():
    X = old_faithful() + 1000.0
    mixture = GaussianMixture(2, n_init=3, random_state=0).fit(X)
    best = max(mixture.starts_, key=lambda f: f.log_likelihood)
    np.testing.assert_array_equal(best.params.components.means, mixture.means_)
    for fit in mixture.starts_:
        assert (fit.params.components.means > 1000.0).all()


def test_pruning_in_an_estimator():
    X = crowd()
    options = {"n_init": 12, "init_params": "random_from_data", "random_state": 0, "tol": 1e-8, "max_iter": 1000}
    whole = GaussianMixture(5, **options).fit(X)
    pruned = GaussianMixture(5, prune=True, **options).fit(X)
    assert pruned.log_likelihood_ == pytest.approx(whole.log_likelihood_, abs=1e-3)
    assert "pruned" in [fit.reason for fit in pruned.starts_]


# ------------------------------------------------------------------ cautions


def test_identical_components_are_named():
    with pytest.warns(ConvergenceWarning, match="components 0 and 1 are identical"):
        mixture = GaussianMixture(2, means_init=np.zeros((2, 2)), init_params="random_from_data").fit(crowd(200, d=2))
    assert mixture.stop_reason_ == "converged"
    with pytest.warns(ConvergenceWarning, match="PoissonMixture converged, but components 0 and 1 are identical"):
        PoissonMixture(2, rates_init=[[2.0], [2.0]]).fit(fetal_lamb())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PoissonMixture(2, random_state=0).fit(fetal_lamb())


@pytest.mark.parametrize("shape", ["full", "tied", "diag", "spherical", "tied_spherical"])
def test_a_starved_component_is_named_and_on_request_begun_again(shape):
    X = crowd(600, d=2, K=3, seed=3)
    far = {"means_init": [[0.0, 0.0], [1.0, 1.0], [4000.0, 4000.0]], "weights_init": [0.5, 0.5, 0.0]}
    options = {"covariance_type": shape, "tol": 1e-8, "max_iter": 2000, "random_state": 0, **far}
    with pytest.warns(ConvergenceWarning, match=r"component 2 is starved: it holds 0 of 600 rows"):
        starved = GaussianMixture(3, **options).fit(X)
    assert starved.weights_[2] == 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mended = GaussianMixture(3, reseed=True, **options).fit(X)
    assert mended.weights_.min() > 0.1
    assert mended.log_likelihood_ > starved.log_likelihood_ + 10
    assert len(mended.starts_) == 2


def test_a_starved_component_is_silent_in_predictions():
    far = {"means_init": [[9.7], [210.0], [33.0]], "precisions_init": np.ones((3, 1, 1))}
    with pytest.warns(ConvergenceWarning, match="starved"):
        starved = GaussianMixture(3, reg_covar=0, max_iter=2000, **far).fit(galaxies())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        r = starved.predict_proba(galaxies())
    assert (r[:, 1] == 0.0).all()
    np.testing.assert_allclose(r.sum(axis=1), 1.0)


# ------------------------------------------------------------------ the weak prior


@pytest.mark.parametrize("shape", ["full", "tied", "diag", "spherical", "tied_spherical"])
def test_weak_prior_keeps_spikes_away_and_hardly_moves_the_rest(shape):
    from sklearn.datasets import load_iris

    X = load_iris().data
    options = {"covariance_type": shape, "tol": 1e-9, "max_iter": 5000, "random_state": 0}
    plain = GaussianMixture(3, n_init=5, **options).fit(X)
    weak = GaussianMixture(3, n_init=5, prior="weak", reg_covar=0.0, **options).fit(X)
    assert weak.converged_
    assert np.diff(weak.trace_).min() > -1e-9
    assert 0 <= plain.log_likelihood_ - weak.log_likelihood_ + 1e-3 < 15
    # From random rows, where without a prior most climbs end in spikes, none does.
    many = GaussianMixture(6, n_init=20, init_params="random_from_data", prior="weak", reg_covar=0.0, **options).fit(X)
    assert not [fit for fit in many.starts_ if fit.reason == "degenerate"]


def test_weak_prior_of_fraley_and_raftery():
    X = old_faithful() + 100.0
    mixture = GaussianMixture(2, prior="weak", reg_covar=0.0)
    model, rows = Mixture(Gaussian()), Rows(X, X.mean(axis=0))
    prior = mixture._own_prior(model, rows).components
    np.testing.assert_allclose(prior.mean, 0.0, atol=1e-9)
    np.testing.assert_allclose(prior.scatter, np.cov(X.T, bias=True) / 2, rtol=1e-12)
    assert (prior.strength, prior.dof) == (0.01, 4.0)


@pytest.mark.parametrize(
    ("estimator", "X"),
    [
        (PoissonMixture(2), fetal_lamb()),
        (BinomialMixture(2, n_trials=7), fetal_lamb()),
        (BernoulliMixture(3), pbmc().counts > 0),
        (MultinomialMixture(3), pbmc().counts),
    ],
    ids=lambda e: type(e).__name__,
)
def test_weak_priors_of_counts(estimator, X):
    from sklearn.base import clone

    X = np.hstack([X, np.zeros((len(X), 1))])  # a column of zeros: rates and probabilities of zero stay legal
    plain = clone(estimator).set_params(random_state=0).fit(X)
    weak = clone(estimator).set_params(random_state=0, prior="weak").fit(X)
    assert np.diff(weak.trace_).min() > -1e-6
    assert plain.log_likelihood_ - 1e-6 <= weak.log_likelihood_ + max(2.0, 1e-3 * abs(plain.log_likelihood_))


def test_unknown_prior_by_name():
    with pytest.raises(ValueError, match="prior is 'strong'; it must be None, 'weak' or"):
        GaussianMixture(2, prior="strong").fit(old_faithful())


@pytest.mark.parametrize("init_params", ["kmeans", "random", "random_from_data"])
def test_a_column_in_which_all_rows_agree_meets_a_prior_that_excludes_certainty(init_params):
    X = np.array([[1, 0, 1], [1, 1, 1], [0, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 1]])
    prior = MixturePrior(components=BetaPrior(1.5, 1.5))
    fit = BernoulliMixture(2, prior=prior, init_params=init_params, random_state=0).fit(X)
    # 0.5 pseudo-counts of either kind, added to as many rows as each component holds
    expected = fit.predict_proba(X).sum(axis=0)
    np.testing.assert_allclose(fit.probs_[:, 2], (expected + 0.5) / (expected + 1.0), rtol=1e-3)
    assert (np.diff(fit.trace_) > -1e-9).all()
