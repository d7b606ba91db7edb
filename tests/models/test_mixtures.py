"""Mixtures as estimators: published numbers, scikit-learn's own, and sentences for bad input."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture as SklearnMixture
from sklearn.utils.estimator_checks import parametrize_with_checks

import emlib
from emlib import BernoulliMixture, BinomialMixture, GaussianMixture, KMeans, MultinomialMixture, PoissonMixture
from emlib.data import fetal_lamb, galaxies, old_faithful, pbmc, penguins, times_deaths
from emlib.engine.families import GammaPrior, Gaussian, NormalInverseWishart
from emlib.engine.mixture import Mixture, MixturePrior

IRIS = load_iris().data


@parametrize_with_checks([GaussianMixture(), GaussianMixture(2, reg_covar=1e-3), KMeans(3)])
def test_scikit_learn_conventions(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


# ------------------------------------------------------------------ published numbers


def test_old_faithful():
    mixture = GaussianMixture(2, tol=1e-8, random_state=0).fit(old_faithful())
    order = mixture.weights_.argsort()
    assert mixture.log_likelihood_ == pytest.approx(-1130.264, abs=1e-3)
    np.testing.assert_allclose(mixture.weights_[order], [0.3559, 0.6441], atol=5e-5)
    np.testing.assert_allclose(mixture.means_[order], [[2.036, 54.48], [4.290, 79.97]], atol=5e-3)


def test_iris_three_components_fifty_starts():
    """mclust's optimum, and not the spikes that half of the random starts fall for."""
    for init in ("kmeans", "random_from_data"):
        mixture = GaussianMixture(3, n_init=50, tol=1e-9, max_iter=5000, init_params=init, random_state=0).fit(IRIS)
        assert mixture.log_likelihood_ == pytest.approx(-180.1855, abs=1e-3)
        assert mixture.stop_reason_ == "converged"
        assert len(mixture.starts_) == 50
    spikes = [fit for fit in mixture.starts_ if fit.reason == "degenerate"]
    assert any(spike.log_likelihood > mixture.log_likelihood_ + 50 for spike in spikes)


def test_times_deaths_with_defaults():
    mixture = PoissonMixture(2, random_state=0).fit(times_deaths())
    order = mixture.rates_.ravel().argsort()
    assert mixture.weights_[order][0] == pytest.approx(0.3599, abs=1e-3)
    np.testing.assert_allclose(mixture.rates_.ravel()[order], [1.2561, 2.6634], atol=2e-3)
    assert mixture.log_likelihood_ == pytest.approx(-1989.946, abs=1e-3)
    fast = PoissonMixture(2, random_state=0, accelerate="squarem").fit(times_deaths())
    assert fast.starts_[0].n_evaluations * 10 < mixture.starts_[0].n_evaluations


@pytest.mark.parametrize(("K", "expected"), [(1, -201.044), (2, -186.989)])
def test_fetal_lamb(K, expected):
    mixture = PoissonMixture(K, n_init=5, random_state=0).fit(fetal_lamb())
    assert mixture.log_likelihood_ == pytest.approx(expected, abs=2e-3)


def test_galaxies_three_unequal_variances():
    mixture = GaussianMixture(
        3, reg_covar=0, n_init=30, tol=1e-9, max_iter=5000, init_params="random_from_data", random_state=1
    ).fit(galaxies())
    assert mixture.log_likelihood_ == pytest.approx(-203.1792, abs=1e-3)


def test_penguins_by_species():
    birds = penguins()
    X = (birds.measurements - birds.measurements.mean(axis=0)) / birds.measurements.std(axis=0)
    by_bic = {K: GaussianMixture(K, n_init=5, tol=1e-6, max_iter=1000, random_state=0).fit(X) for K in (1, 2, 3, 4)}
    assert adjusted_rand_score(birds.species, by_bic[3].predict(X)) > 0.9


def test_two_coins():
    coins = BinomialMixture(2, n_trials=10, fix_weights=True, probs_init=[[0.6], [0.5]], max_iter=10, tol=0.0)
    with pytest.warns(ConvergenceWarning, match="BinomialMixture stopped at max_iter=10"):
        coins.fit([[5], [9], [8], [4], [7]])
    np.testing.assert_allclose(coins.probs_.ravel(), [0.7967441, 0.5196587], atol=5e-8)
    assert coins.weights_.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("estimator", "advice"),
    [
        (GaussianMixture(3, max_iter=1, random_state=0), r"raise max_iter, loosen tol, or set accelerate='squarem'\.$"),
        (GaussianMixture(3, max_iter=1, accelerate="squarem", random_state=0), r"; raise max_iter or loosen tol\.$"),
        (KMeans(3, max_iter=1, random_state=0), r"; raise max_iter or loosen tol\.$"),
    ],
)
def test_advice_is_about_parameters_that_are_there_and_unused(estimator, advice):
    with pytest.warns(ConvergenceWarning, match=advice):
        estimator.fit(IRIS)


# ------------------------------------------------------------------ drop-in for scikit-learn


SHAPES = ["full", "tied", "diag", "spherical"]


def _start(X, K, shape="full", seed=0):
    rng = np.random.default_rng(seed)
    covariance = np.cov(X.T) + 0.1 * np.eye(X.shape[1])
    precisions = {
        "full": np.repeat(np.linalg.inv(covariance)[None], K, axis=0),
        "tied": np.linalg.inv(covariance),
        "diag": np.repeat(1 / np.diag(covariance)[None], K, axis=0),
        "spherical": np.full(K, 1 / np.diag(covariance).mean()),
    }[shape]
    return {
        "covariance_type": shape,
        "weights_init": rng.dirichlet(np.full(K, 5.0)),
        "means_init": X[rng.choice(len(X), K, replace=False)],
        "precisions_init": precisions,
    }


@pytest.mark.parametrize("n", [1, 5, 20, 100])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("data", ["iris", "faithful", "pbmc"])
def test_equals_scikit_learn_from_the_same_start(data, shape, n):
    X, K = {"iris": (IRIS, 3), "faithful": (old_faithful(), 2), "pbmc": (pbmc().pcs, 4)}[data]
    options = {"max_iter": n, "tol": 0.0, "random_state": 0, **_start(X, K, shape)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs, ours = SklearnMixture(K, **options).fit(X), GaussianMixture(K, **options).fit(X)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-6, atol=1e-8, err_msg=name)
    assert ours.log_likelihood_ == pytest.approx(theirs.score(X) * len(X), rel=1e-9)
    assert ours.bic(X) == pytest.approx(theirs.bic(X), rel=1e-9)
    assert ours.aic(X) == pytest.approx(theirs.aic(X), rel=1e-9)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-6)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_lower_bound_belongs_to_the_final_parameters():
    mixture = GaussianMixture(2, random_state=0).fit(IRIS)
    assert mixture.lower_bound_ == pytest.approx(mixture.score(IRIS), rel=1e-12)
    assert mixture.lower_bounds_[-1] == mixture.lower_bound_
    assert len(mixture.lower_bounds_) == mixture.n_iter_
    assert mixture.lower_bound_ * len(IRIS) == pytest.approx(mixture.log_likelihood_)


def test_sample_is_grouped_and_repeats():
    mixture = GaussianMixture(3, random_state=0).fit(IRIS)
    X, labels = mixture.sample(5000)
    np.testing.assert_array_equal(labels, np.sort(labels))
    np.testing.assert_array_equal(X, mixture.sample(5000)[0])
    np.testing.assert_allclose(X.mean(axis=0), IRIS.mean(axis=0), atol=0.1)


@pytest.mark.parametrize("seed", [3, np.random.default_rng(3), np.random.RandomState(3), None])
def test_random_states(seed):
    assert GaussianMixture(2, init_params="random", random_state=seed).fit(IRIS).converged_


@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize(
    ("estimator", "X"),
    [
        (GaussianMixture(3, max_iter=1000), IRIS),
        (PoissonMixture(2), fetal_lamb()),
        (BinomialMixture(2, n_trials=7), fetal_lamb()),
        (BernoulliMixture(3), pbmc().counts > 0),
        (MultinomialMixture(3), pbmc().counts),
    ],
    ids=["gaussian", "poisson", "binomial", "bernoulli", "multinomial"],
)
def test_every_start_for_every_family(estimator, X, init):
    fitted = clone(estimator).set_params(init_params=init, n_init=2, random_state=0).fit(X)
    assert np.isfinite(fitted.log_likelihood_)
    assert np.diff(fitted.trace_).min() > -1e-6
    assert fitted.weights_.sum() == pytest.approx(1.0)


def test_warm_start_goes_on():
    mixture = GaussianMixture(3, max_iter=3, tol=0.0, warm_start=True, random_state=0)
    with pytest.warns(ConvergenceWarning):
        first = mixture.fit(IRIS).log_likelihood_
    with pytest.warns(ConvergenceWarning):
        second = mixture.fit(IRIS).log_likelihood_
    assert second > first
    assert mixture.trace_[0] == pytest.approx(first, rel=1e-12)


def test_warm_start_checks_what_it_starts_from():
    mixture = GaussianMixture(3, warm_start=True, random_state=0).fit(IRIS)
    with pytest.raises(ValueError, match="the last fit's 3 components and 4 columns, but 2 components"):
        mixture.set_params(n_components=2).fit(IRIS)
    with pytest.raises(ValueError, match="but 3 components and 2 columns were given"):
        mixture.set_params(n_components=3).fit(IRIS[:, :2])
    with pytest.raises(ValueError, match=r"means \(3, 4\), covariances \(3, 4\), but they .* covariances \(3, 4, 4\)"):
        mixture.set_params(covariance_type="diag").fit(IRIS)


@pytest.mark.parametrize("before", [True, False])
def test_warm_start_does_not_invent_or_forget_structural_zeros(before):
    X = np.random.default_rng(0).poisson(3, (50, 2))
    mixture = PoissonMixture(2, warm_start=True, zero_inflation=before, random_state=0, tol=1e-2).fit(X)
    with pytest.raises(ValueError, match=r"warm_start needs the last fit's parameters to be rates \(2, 2\)"):
        mixture.set_params(zero_inflation=not before).fit(X)


def test_weights_given_are_copied_and_normalised():
    given = np.array([0.5, 0.5 + 9e-9])
    coins = BinomialMixture(2, n_trials=10, fix_weights=True, weights_init=given, random_state=0).fit([[5], [9], [8]])
    assert coins.weights_.sum() == pytest.approx(1.0, abs=1e-15)
    assert coins.weights_ is not given
    thirds = np.full(3, 1 / 3, dtype=np.float32)
    assert GaussianMixture(3, weights_init=thirds, random_state=0).fit(IRIS).converged_


def test_equal_random_states_give_equal_fits():
    fits = [GaussianMixture(3, init_params="random", random_state=np.random.RandomState(5)).fit(IRIS) for _ in range(2)]
    np.testing.assert_array_equal(fits[0].means_, fits[1].means_)


def test_start_from_kmeans_is_its_labels():
    mixture = GaussianMixture(3, max_iter=1, tol=0.0, random_state=np.random.default_rng(3))
    with pytest.warns(ConvergenceWarning):
        mixture.fit(IRIS)
    labels = KMeans(3, random_state=np.random.default_rng(3)).fit(IRIS).labels_
    model, origin = Mixture(Gaussian(1e-6)), IRIS.mean(axis=0)
    start = model.from_responsibilities(IRIS - origin, np.eye(3)[labels], 3)
    assert mixture.trace_[0] == pytest.approx(model.e_step(IRIS - origin, start)[1], rel=1e-12)


def test_nothing_is_half_fitted_when_warnings_are_errors():
    mixture = GaussianMixture(3, max_iter=1, tol=0.0, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning):
            mixture.fit(IRIS)
    assert mixture.predict(IRIS).shape == (150,)  # whole, though it complained


@pytest.mark.parametrize(
    ("prior", "sentence"),
    [
        (MixturePrior(1.0, GammaPrior(2.0)), "GaussianMixture needs a NormalInverseWishart"),
        (MixturePrior(1.0, 3), "prior has components 3; GaussianMixture needs"),
        (MixturePrior("a"), "prior has the weights 'a'; they must be one number"),
        (MixturePrior(np.ones(5)), "prior has the weights .*one for each component"),
        (MixturePrior(0.5), r"prior has the weights 0\.5; .* 1 or above"),
        (MixturePrior(float("nan")), "prior has the weights nan"),
    ],
)
def test_priors_that_do_not_fit(prior, sentence):
    with pytest.raises(ValueError, match=sentence):
        GaussianMixture(2, prior=prior).fit(IRIS)


def test_objects_are_named_in_one_line():
    """Their reprs hold whole matrices."""
    components = NormalInverseWishart(np.zeros(4), 1.0, np.eye(4), 9.0)
    for mixture, found in [
        (GaussianMixture(2, prior=components), "prior is of type NormalInverseWishart; it must be None"),
        (PoissonMixture(2, prior=MixturePrior(1.0, components)), "components of type NormalInverseWishart; Poiss"),
        (GaussianMixture(2, prior=MixturePrior(1.0, np.eye(4))), "prior has components of type ndarray; GaussianM"),
    ]:
        with pytest.raises(ValueError, match=found) as caught:
            mixture.fit(np.round(IRIS))
        assert "\n" not in str(caught.value)


def test_pickle_clone_and_data_frames():
    table = pd.DataFrame(IRIS, columns=list("abcd"))
    mixture = GaussianMixture(2, random_state=0).fit(table)
    assert mixture.feature_names_in_.tolist() == list("abcd")
    again = pickle.loads(pickle.dumps(mixture))
    np.testing.assert_array_equal(again.predict(table), mixture.predict(table))
    assert clone(mixture).get_params() == mixture.get_params()


def test_temperature_zero_is_classification_em():
    mixture = GaussianMixture(3, temperature=0.0, tol=0.0, max_iter=500, random_state=0).fit(IRIS)
    labels = mixture.predict(IRIS)
    np.testing.assert_allclose(mixture.weights_, np.bincount(labels) / len(IRIS))
    np.testing.assert_allclose(mixture.means_[1], IRIS[labels == 1].mean(axis=0))


def test_prior_keeps_a_spike_away():
    X = np.vstack([np.random.default_rng(0).normal(0, 1, (60, 2)), [[4.0, 4.0]] * 3])
    start = {
        "means_init": [[0.0, 0.0], [4.0, 4.0]],
        "weights_init": [0.9, 0.1],
        "precisions_init": [np.eye(2), 100 * np.eye(2)],
    }
    with pytest.warns(ConvergenceWarning, match="GaussianMixture is degenerate: component 1 "):
        spike = GaussianMixture(2, reg_covar=1e-9, **start).fit(X)
    assert spike.stop_reason_ == "degenerate"
    prior = MixturePrior(1.0, NormalInverseWishart(np.zeros(2), 0.01, np.eye(2), 4.0))
    honest = GaussianMixture(2, reg_covar=0.0, prior=prior, tol=1e-9, max_iter=1000, **start).fit(X)
    assert honest.converged_
    assert np.diff(honest.trace_).min() > -1e-9
    assert np.linalg.eigvalsh(honest.covariances_).min() > 0.05
    assert honest.log_likelihood_ == pytest.approx(honest.score_samples(X).sum())


def test_prior_does_not_mind_where_the_data_are():
    X = old_faithful()
    fits = []
    for shift in (0.0, 1e4):
        prior = MixturePrior(1.0, NormalInverseWishart(X.mean(axis=0) + shift, 1.0, np.cov(X.T), 5.0))
        fits.append(GaussianMixture(2, prior=prior, tol=1e-10, max_iter=1000, random_state=0).fit(X + shift))
    assert fits[0].log_likelihood_ == pytest.approx(fits[1].log_likelihood_, rel=1e-9)


# ------------------------------------------------------------------ bad input


BAD_TABLES = [
    (np.array([[1.0, np.nan], [0.0, 1.0]]), "X holds NaN in row 0, column 1; every value must be a finite number"),
    (np.array([[1.0, 0.0], [np.inf, 1.0]]), "X holds inf in row 1, column 0"),
    ([["a", "b"], ["c", "d"]], "X is not a table of numbers: could not convert string to float: 'a'"),
    (np.empty((0, 2)), r"X has 0 sample\(s\)|0 sample"),
    (np.empty((3, 0)), r"X has 0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1 is required"),
    (np.zeros((2, 2, 2)), r"X has 3 dimension\(s\) where it must have 2, rows and columns\."),
    (np.zeros(4), r"X has 1 dimension\(s\).*Reshape your data"),
    (np.array([[1.0, 2.0]]), "X has n_samples=1 rows, fewer than n_c"),
]


@pytest.mark.parametrize(("X", "sentence"), BAD_TABLES)
@pytest.mark.parametrize(
    "estimator", [GaussianMixture(2), PoissonMixture(2), KMeans(2)], ids=lambda e: type(e).__name__
)
def test_bad_tables(estimator, X, sentence):
    estimator = clone(estimator)
    with pytest.raises(ValueError, match=sentence) as found:
        estimator.fit(X)
    assert "\n" not in str(found.value)
    assert not [name for name in vars(estimator) if name.endswith("_")]  # nothing half-fitted


BAD_PARAMETERS = [
    ({"n_components": 0}, "n_components is 0; it must be a whole number, 1 or above"),
    ({"n_components": 2.0}, r"n_components is 2\.0; it must be a whole number"),
    ({"tol": -1.0}, r"tol is -1\.0; it must be a finite number, 0 or above"),
    ({"reg_covar": -1.0}, r"reg_covar is -1\.0"),
    ({"reg_covar": "a"}, "reg_covar is 'a'; it must be a finite number"),
    ({"max_iter": 0}, "max_iter is 0; it must be a whole number, 1 or above"),
    ({"n_init": 0}, "n_init is 0"),
    ({"prune": "yes"}, "prune is 'yes'; it must be True or False"),
    ({"prune": -3, "temperature": [2, 1]}, "prune is -3; it must be True or False"),
    ({"reseed": 1}, "reseed is 1; it must be True or False"),
    ({"reseed": None}, "reseed is None; it must be True or False"),
    ({"warm_start": "no"}, "warm_start is 'no'; it must be True or False"),
    ({"init_params": "best"}, "init_params is 'best'; it must be one of kmeans, k-means"),
    ({"covariance_type": "round"}, "covariance_type is 'round'"),
    ({"temperature": -1}, "temperature is -1"),
    ({"accelerate": "more"}, "accelerate is 'more'"),
    ({"random_state": "x"}, "random_state is 'x'"),
    ({"prior": 3}, "prior is 3; it must be None, .weak. or"),
    ({"prior": MixturePrior(1.0, NormalInverseWishart(np.zeros(3), 1.0, np.eye(3), 9.0))}, "data of 4 columns need"),
    ({"weights_init": [0.5, 0.6]}, r"weights_init is \[0\.5, 0\.6\]; weights must not be negative and must sum to 1"),
    ({"weights_init": [1.0]}, r"weights_init has shape \(1,\); it must have shape \(2,\)"),
    ({"means_init": np.zeros((2, 3))}, r"means_init has shape \(2, 3\); it must have shape \(2, 4\)"),
    ({"means_init": "first"}, r"means_init is 'first'; it must be an array of numbers of shape \(2, 4\)"),
    ({"init_params": np.zeros(2)}, "init_params is array"),
    ({"means_init": np.full((2, 4), np.nan)}, "means_init holds a value that is not a finite number"),
    ({"precisions_init": np.zeros((2, 4, 4))}, "precisions_init holds a matrix that is not symmetric, positive"),
]


@pytest.mark.parametrize(("options", "sentence"), BAD_PARAMETERS)
def test_bad_parameters(options, sentence):
    mixture = GaussianMixture(**{"n_components": 2, **options})
    with pytest.raises(ValueError, match=sentence):
        mixture.fit(IRIS)
    assert not [name for name in vars(mixture) if name.endswith("_")]


def test_a_failed_fit_leaves_the_last_one_alone():
    mixture = GaussianMixture(2, random_state=0).fit(IRIS)
    before = mixture.means_
    with pytest.raises(ValueError, match="NaN"):
        mixture.fit([[np.nan], [1.0]])
    assert mixture.means_ is before
    assert mixture.n_features_in_ == 4
    with pytest.raises(ValueError, match="X has 1 features, but GaussianMixture is expecting 4 features"):
        mixture.predict([[1.0]])


def test_not_fitted():
    for method in ("predict", "predict_proba", "score_samples", "bic"):
        with pytest.raises(NotFittedError):
            getattr(GaussianMixture(), method)(IRIS)
    with pytest.raises(NotFittedError):
        GaussianMixture().sample()


def test_constant_columns_and_equal_rows():
    constant = IRIS.copy()
    constant[:, 2] = 7.0
    with pytest.raises(ValueError, match=r"column 2 of X is constant.*; drop it, or set reg_covar above 0"):
        GaussianMixture(2, reg_covar=0).fit(constant)
    with pytest.warns(UserWarning, match=r"column 2 of X is constant.* the variance is reg_covar=1e-06 alone"):
        mixture = GaussianMixture(2, random_state=0).fit(constant)
    assert mixture.converged_  # no spike: the data have no width there either
    same = np.ones((10, 2))
    with pytest.raises(ValueError, match="all rows of X are equal"):
        GaussianMixture(2, reg_covar=0).fit(same)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mixture = GaussianMixture(2, random_state=0).fit(same)
    assert np.isfinite(mixture.log_likelihood_)
    assert "all rows of X are equal" in str([str(w.message) for w in caught])
    with pytest.warns(ConvergenceWarning, match="KMeans filled only 1 of 2 clusters"):
        KMeans(2, random_state=0).fit(same)


def test_sparse():
    from scipy.sparse import csr_array

    with pytest.raises(TypeError, match="X is a sparse matrix; a dense array is needed"):
        GaussianMixture().fit(csr_array(IRIS))


@pytest.mark.parametrize(
    ("estimator", "X", "sentence"),
    [
        (PoissonMixture(2), [[1.0], [-2.0]], "X holds -2 in row 1, column 0; counts must be whole numbers, 0 or above"),
        (PoissonMixture(2), [[1.0], [1.5]], r"X holds 1\.5 in row 1, column 0; counts"),
        (PoissonMixture(2, rates_init=[[1.0], [-1.0]]), [[1], [2]], "rates_init holds -1; rates must not be negative"),
        (PoissonMixture(2, prior=MixturePrior(1.0, GammaPrior(0.0))), [[1], [2]], r"prior has shape 0\.0"),
        (BernoulliMixture(2), [[0], [2]], "X holds 2 in row 1, column 0; every value must be 0 or 1"),
        (MultinomialMixture(2, probs_init=[[0.5, 0.6], [0.5, 0.5]]), [[1, 2], [2, 1]], "probs_init holds a row that"),
        (BinomialMixture(2, n_trials=5), [[1], [6]], "X holds 6 successes in row 1, column 0, but n_trials is 5"),
        (BinomialMixture(2, n_trials=5, fix_weights="all"), [[1], [2]], "fix_weights is 'all'; it must be True"),
        (BinomialMixture(2, n_trials=0), [[0], [0]], "n_trials is 0; it must be a whole number, 1 or above"),
        (BinomialMixture(2, n_trials=[5, 5]), [[1], [2]], r"n_trials has shape \(2,\); it must have shape \(1,\)"),
        (BinomialMixture(2, n_trials=5, probs_init=[[0.5], [1.5]]), [[1], [2]], "probs_init holds a value that is no"),
    ],
)
def test_bad_counts(estimator, X, sentence):
    with pytest.raises(ValueError, match=sentence):
        estimator.fit(X)


def test_package_is_lazy_and_names_are_public():
    assert set(emlib.__all__) <= set(dir(emlib))
    assert emlib.GaussianMixture is GaussianMixture
    with pytest.raises(AttributeError, match="module 'emlib' has no attribute 'Nothing'"):
        _ = emlib.Nothing
