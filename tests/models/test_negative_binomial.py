"""`NegativeBinomialMixture` on real counts: movements of a lamb, transcripts of blood cells."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import optimize
from scipy import stats as dist
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import emlib
from emlib import NegativeBinomialMixture, PoissonMixture, select_n_components, standard_errors
from emlib.data import fetal_lamb, pbmc, times_deaths
from emlib.engine.families import GammaPrior, GammaRatesPrior
from emlib.engine.mixture import MixturePrior
from emlib.models import negative_binomial

CELLS = pbmc()


def gene(name):
    return CELLS.counts[:, CELLS.genes.index(name)][:, None]


def nbinom(x, mean, size):
    return dist.nbinom.logpmf(x, size, size / (size + mean))


def by_simplex(x):
    """Mean, size and log-likelihood of one negative binomial, by a search that knows nothing of EM."""
    x = x.ravel()
    found = optimize.minimize(
        lambda p: -nbinom(x, *np.exp(p)).sum(),
        [np.log(x.mean()), 0.0],
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-10, "maxiter": 4000},
    )
    return (*np.exp(found.x), -found.fun)


def test_fetal_lamb_one_negative_binomial_beside_two_poissons():
    X = fetal_lamb()
    one, two = NegativeBinomialMixture().fit(X), PoissonMixture(2, n_init=5, random_state=0).fit(X)
    mean, size, top = by_simplex(X)
    assert one.log_likelihood_ == pytest.approx(top, abs=1e-8)
    assert one.log_likelihood_ == pytest.approx(-186.6266, abs=5e-5)
    assert one.means_.item() == pytest.approx(mean, rel=1e-5)
    assert one.sizes_.item() == pytest.approx(size, rel=1e-5)
    assert one.sizes_.item() == pytest.approx(0.5292, abs=5e-5)
    assert one.bic(X) == pytest.approx(384.214, abs=1e-3)
    assert two.bic(X) == pytest.approx(390.421, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "size", "top", "poissons"),
    # log-likelihood of one negative binomial, and the lowest BIC of one to three Poissons
    [
        ("LYZ", 0.19745, -2060.0744, 4325.28),
        ("CST3", 0.23733, -2226.7926, 4863.57),
        ("CD74", 0.74386, -3066.6792, 7076.44),
    ],
)
def test_transcripts_scatter_more_than_three_poissons(name, size, top, poissons):
    X = gene(name)
    one = NegativeBinomialMixture().fit(X)
    assert one.n_iter_ <= 3
    assert one.log_likelihood_ == pytest.approx(by_simplex(X)[2], abs=1e-6)
    assert one.log_likelihood_ == pytest.approx(top, abs=1e-4)
    assert one.sizes_.item() == pytest.approx(size, abs=1e-5)
    best = select_n_components(PoissonMixture(n_init=3, random_state=0), X, [1, 2, 3]).scores.min()
    assert best == pytest.approx(poissons, abs=0.01)
    assert one.bic(X) < best - 150


def test_two_components_of_one_gene():
    """LYZ: a quarter of the cells makes much of it. A gradient search on the sum of two densities agrees."""
    x = gene("LYZ")
    mixture = NegativeBinomialMixture(2, random_state=0).fit(x)

    def loss(p):
        w = 1.0 / (1.0 + np.exp(-p[0]))
        parts = [np.log(v) + nbinom(x.ravel(), np.exp(m), np.exp(r)) for v, m, r in ((w, *p[1:3]), (1 - w, *p[3:]))]
        return -np.logaddexp(*parts).sum()

    found = optimize.minimize(loss, [1.0, 1.0, -1.0, 3.5, 2.0], method="L-BFGS-B", bounds=[(-8, 12)] * 5)
    assert mixture.log_likelihood_ == pytest.approx(-found.fun, abs=1e-4)
    assert mixture.log_likelihood_ == pytest.approx(-1962.4223, abs=1e-4)
    order = mixture.means_.ravel().argsort()
    np.testing.assert_allclose(mixture.means_.ravel()[order], [2.288, 45.133], atol=2e-3)
    np.testing.assert_allclose(mixture.sizes_.ravel()[order], [0.2025, 15.386], rtol=1e-3)
    assert mixture.bic(x) < NegativeBinomialMixture().fit(x).bic(x) - 150


def test_types_of_blood_cells():
    """All genes at once: negative binomials leave Poissons far behind, and are found in a few steps."""
    mixture = NegativeBinomialMixture(4, random_state=0).fit(CELLS.counts)
    poisson = PoissonMixture(4, random_state=0).fit(CELLS.counts)
    assert mixture.converged_
    assert mixture.n_iter_ < 60
    assert mixture.sizes_.max() == 1e8  # some genes are Poisson in some types: no reason to go on for ever
    assert mixture.bic(CELLS.counts) < poisson.bic(CELLS.counts) - 10_000
    free = 3 + 2 * 4 * 26
    expected = -2 * mixture.log_likelihood_ + free * np.log(700)
    assert mixture.bic(CELLS.counts) == pytest.approx(expected, rel=1e-10)


def test_the_poisson_limit_is_the_poisson_mixture():
    """Two seasons of deaths explain all that scatters: both sizes end at the top."""
    X = times_deaths()
    mixture = NegativeBinomialMixture(2, accelerate="squarem", random_state=0).fit(X)
    assert mixture.converged_
    np.testing.assert_array_equal(mixture.sizes_, 1e8)
    assert mixture.log_likelihood_ == pytest.approx(-1989.9459, abs=1e-4)
    np.testing.assert_allclose(np.sort(mixture.means_.ravel()), [1.2561, 2.6634], atol=2e-3)


@pytest.mark.parametrize("accelerate", [None, "squarem"])
def test_without_a_tally_the_same_maximum(accelerate, monkeypatch):
    X = gene("IL32")
    tallied = NegativeBinomialMixture(random_state=0).fit(X)
    monkeypatch.setattr(negative_binomial, "TABLE", 0)
    hidden = NegativeBinomialMixture(accelerate=accelerate, random_state=0).fit(X)
    assert hidden.converged_
    assert hidden.n_iter_ > 3 * tallied.n_iter_
    assert hidden.log_likelihood_ == pytest.approx(tallied.log_likelihood_, abs=1e-5)
    assert np.diff(hidden.trace_).min() > -1e-8


def test_recovery():
    truth = NegativeBinomialMixture(2, random_state=1)
    truth.weights_, truth.n_features_in_ = np.array([0.3, 0.7]), 2
    truth.means_, truth.sizes_ = np.array([[3.0, 20.0], [15.0, 2.0]]), np.array([[0.8, 5.0], [3.0, 50.0]])
    X, labels = truth.sample(20_000)
    fitted = NegativeBinomialMixture(2, random_state=0).fit(X)
    order = fitted.weights_.argsort()
    np.testing.assert_allclose(fitted.weights_[order], truth.weights_, atol=0.02)
    np.testing.assert_allclose(fitted.means_[order], truth.means_, rtol=0.05)
    np.testing.assert_allclose(fitted.sizes_[order][:, 0], truth.sizes_[:, 0], rtol=0.1)
    np.testing.assert_allclose(1 / fitted.sizes_[order], 1 / truth.sizes_, atol=0.1)
    assert (order.argsort()[fitted.predict(X)] == labels).mean() > 0.9


def test_prior_keeps_sizes_finite():
    X = np.array([[2], [3], [3], [2], [4], [3]])
    assert NegativeBinomialMixture().fit(X).sizes_.item() == 1e8
    prior = MixturePrior(1.0, GammaRatesPrior.like(rows=2.0, mean=3.0, size=2.0))
    mixture = NegativeBinomialMixture(prior=prior, accelerate="squarem").fit(X)
    assert mixture.converged_
    assert 2 < mixture.sizes_.item() < 100
    assert np.diff(mixture.trace_).min() > -1e-9
    assert mixture.log_likelihood_ == pytest.approx(mixture.score_samples(X).sum())


@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random", "random_from_data"])
def test_every_start(init):
    fitted = NegativeBinomialMixture(3, init_params=init, n_init=2, random_state=0, accelerate="squarem").fit(
        CELLS.counts
    )
    assert np.isfinite(fitted.log_likelihood_)
    assert np.diff(fitted.trace_).min() > -1e-6


def test_starts_by_hand_and_warm():
    X = fetal_lamb()
    start = {"weights_init": [0.9, 0.1], "means_init": [[0.3], [3.0]], "sizes_init": [[1.0], [1e12]]}
    with pytest.warns(ConvergenceWarning):
        given = NegativeBinomialMixture(2, max_iter=1, tol=0.0, warm_start=True, **start).fit(X)
    first = np.logaddexp(np.log(0.9) + nbinom(X, 0.3, 1.0), np.log(0.1) + dist.poisson.logpmf(X, 3.0)).sum()
    assert given.trace_[0] == pytest.approx(first, abs=1e-5)
    last = given.log_likelihood_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        again = given.set_params(weights_init=None).fit(X)
    assert again.trace_[0] == pytest.approx(last, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "X", "sentence"),
    [
        ({}, [[1.0], [-2.0]], "X holds -2 in row 1, column 0; counts must be whole numbers, 0 or above"),
        ({}, [[1.0], [1.5]], r"X holds 1\.5 in row 1, column 0; counts"),
        ({"means_init": [[1.0], [-1.0]]}, [[1], [2]], "means_init holds -1; means must not be negative"),
        ({"sizes_init": [[1.0], [0.0]]}, [[1], [2]], "sizes_init holds 0; sizes must be positive"),
        ({"sizes_init": [1.0]}, [[1], [2]], r"sizes_init has shape \(1,\); it must have shape \(2, 1\)"),
        ({"prior": MixturePrior(1.0, GammaPrior(2.0))}, [[1], [2]], "needs a GammaRatesPrior"),
        (
            {"prior": MixturePrior(1.0, GammaRatesPrior(1.0, 1.0, 0.5))},
            [[1], [2]],
            r"log_mean must be below log\(mean\)",
        ),
    ],
)
def test_bad_input(options, X, sentence):
    estimator = NegativeBinomialMixture(2, **options)
    with pytest.raises(ValueError, match=sentence) as found:
        estimator.fit(X)
    assert "\n" not in str(found.value)
    assert not [name for name in vars(estimator) if name.endswith("_")]


def test_new_counts_can_be_scored():
    """Counts that were never tallied: larger ones, between the old ones, another dtype."""
    mixture = clone(NegativeBinomialMixture(2, random_state=0)).fit(fetal_lamb())
    new = np.array([[0], [9], [500]], dtype=np.uint16)
    parts = [
        np.log(w) + nb
        for w, nb in zip(
            mixture.weights_,
            (
                dist.nbinom.logpmf(new[:, 0], r, r / (r + m)) if r < 1e6 else dist.poisson.logpmf(new[:, 0], m)
                for m, r in zip(mixture.means_.ravel(), mixture.sizes_.ravel(), strict=True)
            ),
            strict=True,
        )
    ]
    np.testing.assert_allclose(mixture.score_samples(new), np.logaddexp(*parts), rtol=1e-4)
    assert emlib.NegativeBinomialMixture is NegativeBinomialMixture


def test_counts_of_a_poisson_have_the_errors_of_a_poisson():
    """Half of all tables of Poisson counts vary less than a Poisson: the size is at its limit, the mean is as known."""
    at_limit = 0
    for seed in range(12):
        X = np.random.default_rng(seed).poisson([5.0, 0.5], (300, 2))
        fit, plain = NegativeBinomialMixture().fit(X), PoissonMixture().fit(X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a size has no error
            errors = standard_errors(fit, X)
        poisson = fit.sizes_[0] > 1e7
        assert (np.isnan(errors.sizes[0]) == poisson).all()
        np.testing.assert_allclose(errors.means[0, poisson], standard_errors(plain, X).rates[0, poisson], rtol=1e-3)
        assert np.isfinite(errors.interval().means).all()
        at_limit += poisson.sum()
    assert 4 < at_limit < 20
