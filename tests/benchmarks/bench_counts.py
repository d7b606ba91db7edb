"""One EM iteration of mixtures of counts beside plain NumPy and SciPy, in the same run, on one thread each.

    make benchmarks            # full size; prints a table
    make benchmarks-smoke      # small inputs, only to see that it runs

The peer is what one would write first: a matrix product for the Poisson; for the negative binomial the whole
(n, K, d) array of log probabilities, `scipy.special` on every entry, responsibilities, sums. It does the same
EM (with hidden rates for the negative binomial), which is checked before anything is timed. The last test
counts steps instead of seconds.
"""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from scipy.special import digamma, gammaln, logsumexp

from emlib import NegativeBinomialMixture, PoissonMixture
from emlib.data import fetal_lamb, pbmc
from emlib.engine import families
from emlib.engine.blocks import Rows
from emlib.engine.families import negative_binomial as family
from emlib.engine.mixture import Mixture, MixtureParams
from emlib.models import negative_binomial

pytestmark = pytest.mark.usefixtures("one_thread")
SMOKE = os.environ.get("EMLIB_BENCHMARKS") == "smoke"
SIZES = [(2000, 3, 2)] if SMOKE else [(10**5, 10, 5)]
REPEATS = 1 if SMOKE else 5


def problem(n, d, K):
    rng = np.random.default_rng(0)
    means, sizes = rng.gamma(2.0, 5.0, (K, d)), rng.gamma(2.0, 1.5, (K, d)) + 0.3
    params = MixtureParams(np.full(K, 1 / K), families.NegativeBinomialParams(means, sizes))
    return Mixture(families.NegativeBinomial()).simulate(params, n, rng), params


def plain_poisson(X, base, weights, rates):
    joint = np.log(weights) - rates.sum(axis=1) + X @ np.log(rates).T + base[:, None]
    total = logsumexp(joint, axis=1)
    R = np.exp(joint - total[:, None])
    N = R.sum(axis=0)
    return N / len(X), R.T @ X / N[:, None], total.sum()


def plain_negative_binomial(X, weights, means, sizes):
    shape = X[:, None] + sizes
    log_pmf = gammaln(shape) - gammaln(sizes) - gammaln(X + 1.0)[:, None]
    log_pmf += sizes * np.log(sizes / (sizes + means)) + X[:, None] * np.log(means / (sizes + means))
    joint = np.log(weights) + log_pmf.sum(axis=2)
    total = logsumexp(joint, axis=1)
    R = np.exp(joint - total[:, None])
    scale = means / (sizes + means)
    rates = np.einsum("nk,nkd->kd", R, shape * scale)
    logs = np.einsum("nk,nkd->kd", R, digamma(shape) + np.log(scale))
    return R.sum(axis=0), R.T @ X, rates, logs, total.sum()


def seconds(step):
    best = []
    for _ in range(REPEATS):
        before = time.process_time()
        step()
        best.append(time.process_time() - before)
    return float(np.median(best))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_poisson_iteration(size):
    X, params = problem(*size)
    model, rates = Mixture(families.Poisson()), params.components.means
    start, rows = MixtureParams(params.weights, families.PoissonParams(rates)), Rows(X)
    base = -gammaln(X + 1.0).sum(axis=1)  # both sides compute it once

    def plain():
        return plain_poisson(X, base, params.weights, rates)

    def ours():
        stats, value = model.e_step(rows, start)
        return model.m_step(stats), value

    (new, value), (weights, means, expected) = ours(), plain()
    np.testing.assert_allclose(value, expected, rtol=1e-10)
    np.testing.assert_allclose(new.components.rates, means, rtol=1e-8)
    np.testing.assert_allclose(new.weights, weights, rtol=1e-8)
    a, b = seconds(plain), seconds(ours)
    print(f"\nPoisson, (n, d, K) = {size}: NumPy {a:.4g} s, emlib {b:.4g} s an iteration; ratio {a / b:.1f}")


@pytest.mark.parametrize("way", ["tallied", "rates hidden", "rates hidden, no table"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_negative_binomial_iteration(size, way, monkeypatch):
    X, params = problem(*size)
    c, d = params.components, X.shape[1]
    model = Mixture(families.NegativeBinomial(families.DistinctCounts.of(X) if way == "tallied" else None))
    if way.endswith("no table"):
        monkeypatch.setattr(family, "TABLE", 0)
    rows = Rows(X)

    def ours():
        stats, value = model.e_step(rows, params)
        return stats, model.m_step(stats), value

    stats, _, value = ours()
    N, counts, rates, logs, plain = plain_negative_binomial(X, params.weights, c.means, c.sizes)
    np.testing.assert_allclose(value, plain, rtol=1e-10)
    np.testing.assert_allclose(stats.totals[:, : 1 + 3 * d], np.hstack([N[:, None], counts, rates, logs]), rtol=1e-8)
    a, b = seconds(lambda: plain_negative_binomial(X, params.weights, c.means, c.sizes)), seconds(ours)
    e = seconds(lambda: model.e_step(rows, params))
    print(
        f"\nNegative binomial, {way}, (n, d, K) = {size}: NumPy and SciPy, E-step alone {a:.4g} s; "
        f"emlib {b:.4g} s an iteration (E {e:.4g} s); ratio {a / b:.1f}"
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_steps_with_and_without_a_tally(monkeypatch):
    data = [("fetal lamb", fetal_lamb(), 1)] + ([] if SMOKE else [("26 genes of 700 cells", pbmc().counts, 4)])
    for name, X, K in data:
        for way in ("tallied", "rates hidden"):
            monkeypatch.setattr(negative_binomial, "TABLE", 2**22 if way == "tallied" else 0)
            for choice in (None, "squarem"):
                fitted = NegativeBinomialMixture(K, accelerate=choice, random_state=0, max_iter=3000).fit(X)
                steps = fitted.starts_[0].n_evaluations
                print(
                    f"\n{name}, K = {K}, {way}, accelerate={choice}: {steps} E-steps, {fitted.stop_reason_}, "
                    f"log-likelihood {fitted.log_likelihood_:.4f}"
                )


def plain_zero_inflated(X, weights, rates, zeros):
    empty = X == 0
    at_zero = zeros + (1 - zeros) * np.exp(-rates)
    log_pmf = np.log1p(-zeros) - rates + X[:, None] * np.log(rates) - gammaln(X + 1.0)[:, None]
    log_pmf = np.where(empty[:, None], np.log(at_zero), log_pmf)
    joint = np.log(weights) + log_pmf.sum(axis=2)
    total = logsumexp(joint, axis=1)
    R = np.exp(joint - total[:, None])
    structural = (R.T @ empty) * zeros / at_zero
    N = R.sum(axis=0)[:, None]
    return structural / N, R.T @ X / (N - structural), total.sum()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_zero_inflated_poisson_iteration(size):
    X, params = problem(*size)
    rates, zeros = params.components.means, np.full(params.components.means.shape, 0.2)
    model = Mixture(families.ZeroInflatedPoisson())
    start, rows = MixtureParams(params.weights, families.ZeroInflatedPoissonParams(rates, zeros)), Rows(X)

    def plain():
        return plain_zero_inflated(X, params.weights, rates, zeros)

    def ours():
        stats, value = model.e_step(rows, start)
        return model.m_step(stats).components, value

    (new, value), (shares, means, expected) = ours(), plain()
    np.testing.assert_allclose(value, expected, rtol=1e-10)
    np.testing.assert_allclose(new.rates, means, rtol=1e-8)
    np.testing.assert_allclose(new.zeros, shares, rtol=1e-8)
    a, b = seconds(plain), seconds(ours)
    print(
        f"\nZero-inflated Poisson, (n, d, K) = {size}: NumPy {a:.4g} s, emlib {b:.4g} s an iteration; ratio {a / b:.1f}"
    )


def test_zero_inflated_fit_beside_statsmodels():
    peer = pytest.importorskip("statsmodels.discrete.count_model")
    x = pbmc().counts[:, [0]]
    ours = PoissonMixture(zero_inflation=True, tol=1e-8)
    before = time.process_time()
    ours.fit(x)
    between = time.process_time()
    theirs = peer.ZeroInflatedPoisson(x[:, 0], np.ones((len(x), 1))).fit(disp=0, maxiter=500)
    after = time.process_time()
    np.testing.assert_allclose(ours.log_likelihood_, theirs.llf, atol=1e-3)
    print(f"\nOne gene of 700 cells: statsmodels {after - between:.4g} s, emlib {between - before:.4g} s")
