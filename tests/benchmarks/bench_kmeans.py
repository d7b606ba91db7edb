"""One iteration of Lloyd's algorithm beside scikit-learn's, in the same run, from the same centres, on one thread each.

As in `bench_mixtures`, an iteration is the difference between a fit of many and a fit of one, in CPU seconds. The whole
fit is timed too: it also checks the table, lays it out, and labels the rows at the end.
"""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from sklearn.cluster import KMeans as SklearnKMeans

from emlib import KMeans

pytestmark = pytest.mark.usefixtures("one_thread")
SMOKE = os.environ.get("EMLIB_BENCHMARKS") == "smoke"
SIZES = [(2000, 2, 3)] if SMOKE else [(10**6, 2, 5), (5 * 10**5, 10, 10), (10**5, 50, 20)]
ITERATIONS, REPEATS = (2, 1) if SMOKE else (10, 9)


def problem(n, d, K):
    rng = np.random.default_rng(0)
    # Overlapping whatever the dimension: labels still change after the iterations timed.
    centres = rng.normal(0, 2 / np.sqrt(d), (K, d))
    return centres[rng.integers(K, size=n)] + rng.standard_normal((n, d)), centres + rng.normal(0, 0.5, (K, d))


def fit(Estimator, X, start, n):
    options = {"algorithm": "lloyd"} if Estimator is SklearnKMeans else {}
    fitted = Estimator(len(start), init=start, n_init=1, max_iter=n, tol=0.0, **options).fit(X)
    assert fitted.n_iter_ == n, "it converged within the iterations timed"
    return fitted


def cpu_seconds(work):
    before = time.process_time()
    work()
    return time.process_time() - before


def seconds(Estimator, X, start):
    """CPU seconds of an iteration, and of the whole fit."""
    one = cpu_seconds(lambda: fit(Estimator, X, start, 1))
    whole = cpu_seconds(lambda: fit(Estimator, X, start, 1 + ITERATIONS))
    return (whole - one) / ITERATIONS, whole


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_iteration_beside_scikit_learn(size):
    X, start = problem(*size)
    inertias = []
    for n in range(1, 1 + ITERATIONS):
        ours, theirs = fit(KMeans, X, start, n), fit(SklearnKMeans, X, start, n)
        np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, atol=1e-9)
        assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-9), "not the same path, so no ratio counts"
        inertias.append(theirs.inertia_)
    # Our trace says at each iteration what the shorter fits found.
    np.testing.assert_allclose(-2 * ours.trace_[1:], inertias, rtol=1e-9)

    theirs, ours = np.array(
        [(seconds(SklearnKMeans, X, start), seconds(KMeans, X, start)) for _ in range(REPEATS)]
    ).swapaxes(0, 1)
    for i, what in enumerate(("an iteration", f"a fit of {1 + ITERATIONS} iterations")):
        ratios = theirs[:, i] / ours[:, i]
        print(
            f"\n(n, d, K) = {size}, {what}: scikit-learn {1e3 * np.median(theirs[:, i]):.1f} ms, "
            f"emlib {1e3 * np.median(ours[:, i]):.1f} ms; ratio {np.median(ratios):.2f} "
            f"({ratios.min():.2f} to {ratios.max():.2f})"
        )
