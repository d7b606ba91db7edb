"""One EM iteration beside scikit-learn's, in the same run, from the same start, on one thread each.

    make benchmarks            # full size; prints a table
    make benchmarks-smoke      # small inputs, only to see that it runs

An iteration is the difference between a fit of many iterations and a fit of one, in CPU seconds, so that
checking and starting cost neither side anything. A ratio counts only if both climbed the same path.
"""

from __future__ import annotations

import os
import time
import tracemalloc

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as SklearnMixture

from emlib import GaussianMixture, PoissonMixture
from emlib.data import times_deaths
from emlib.engine import em
from emlib.engine.blocks import Rows
from emlib.engine.families import Gaussian, GaussianParams
from emlib.engine.mixture import Mixture, MixtureParams

pytestmark = pytest.mark.usefixtures("one_thread")
SMOKE = os.environ.get("EMLIB_BENCHMARKS") == "smoke"
LARGE = [(10**6, 2, 5), (10**6, 10, 10), (10**5, 50, 20)]
CASES = [("full", size) for size in [*LARGE, (5000, 8, 5), (1000, 2, 3)]]
CASES += [(shape, size) for shape in ("diag", "tied", "spherical") for size in LARGE]
if SMOKE:
    CASES = [(shape, (2000, 2, 3)) for shape in ("full", "diag", "tied", "spherical")]
ITERATIONS, REPEATS = (2, 1) if SMOKE else (5, 5)


def problem(shape, n, d, K):
    rng = np.random.default_rng(0)
    # Overlapping whatever the dimension: nothing converges, and so stops, within the few iterations timed.
    centres = rng.normal(0, 4 / np.sqrt(d), (K, d))
    X = centres[rng.integers(K, size=n)] + rng.standard_normal((n, d))
    start = {
        "weights_init": np.full(K, 1 / K),
        "means_init": centres + rng.normal(0, 0.5, (K, d)),
        "precisions_init": {
            "full": np.repeat(np.eye(d)[None], K, axis=0),
            "tied": np.eye(d),
            "diag": np.ones((K, d)),
            "spherical": np.ones(K),
        }[shape],
        "covariance_type": shape,
        "init_params": "random",
        "random_state": 0,
        "tol": 0.0,
    }
    return X, start


def cpu_seconds(fit):
    before = time.process_time()
    fit()
    return time.process_time() - before


def iteration_seconds(Mixture, K, X, start):
    repeat = max(1, 20_000 // len(X))  # short fits are repeated until the clock can see them

    def fits(n):
        for _ in range(repeat):
            assert Mixture(K, max_iter=n, **start).fit(X).n_iter_ == n

    few, many = (cpu_seconds(lambda n=n: fits(n)) for n in (1, 1 + ITERATIONS))
    return (many - few) / ITERATIONS / repeat


def peak_megabytes(Mixture, K, X, start):
    tracemalloc.start()
    Mixture(K, max_iter=2, **start).fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


@pytest.mark.parametrize(("shape", "size"), CASES, ids=str)
def test_iteration_beside_scikit_learn(shape, size):
    n, d, K = size
    X, start = problem(shape, n, d, K)
    ours = GaussianMixture(K, max_iter=ITERATIONS, **start).fit(X)
    theirs = SklearnMixture(K, max_iter=ITERATIONS, **start).fit(X)
    # Scikit-learn keeps the bound of every iteration, at the parameters before its M-step.
    gap = abs(ours.trace_[-2] / n / theirs.lower_bound_ - 1)
    assert gap < 1e-9, "the two did not climb the same path, so no ratio counts"

    pairs = [
        (iteration_seconds(SklearnMixture, K, X, start), iteration_seconds(GaussianMixture, K, X, start))
        for _ in range(REPEATS)
    ]
    ratios = [a / b for a, b in pairs]
    memory = [peak_megabytes(Mixture, K, X, start) for Mixture in (SklearnMixture, GaussianMixture)]
    print(
        f"\n{shape}, (n, d, K) = {size}: scikit-learn {np.median([a for a, _ in pairs]):.4g} s, "
        f"emlib {np.median([b for _, b in pairs]):.4g} s an iteration; ratio {np.median(ratios):.1f} "
        f"({min(ratios):.1f} to {max(ratios):.1f}); trace gap {gap:.0e}; memory above the data "
        f"{memory[0]:.0f} against {memory[1]:.0f} MB"
    )


def test_squarem_on_the_times_deaths():
    evaluations = [
        PoissonMixture(2, accelerate=choice, random_state=0).fit(times_deaths()).starts_[0].n_evaluations
        for choice in (None, "squarem")
    ]
    print(f"\nTimes deaths, E-steps to 1e-6 nats: plain {evaluations[0]}, SQUAREM {evaluations[1]}")


def test_twenty_starts_beside_scikit_learn():
    """The same 20 starts, to the same tolerance: together, together and pruned, and scikit-learn's one by one."""
    n, d, K, S = (500, 2, 3, 4) if SMOKE else (5000, 8, 5, 20)
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 3, (K, d))
    X = centres[rng.integers(K, size=n)] + rng.standard_normal((n, d))
    origin, spread = X.mean(axis=0), np.repeat(np.cov(X.T)[None], K, axis=0)
    means = [X[rng.choice(n, K, replace=False)] for _ in range(S)]
    starts = [MixtureParams(np.full(K, 1 / K), GaussianParams(m - origin, spread)) for m in means]

    def ours(prune):
        model = Mixture(Gaussian(1e-6))
        return em.search(model, Rows(X, origin), starts, tol=1e-6 * n, max_iter=1000, prune=prune)

    def theirs():
        options = {"weights_init": np.full(K, 1 / K), "precisions_init": np.linalg.inv(spread), "tol": 1e-6}
        options |= {"init_params": "random_from_data", "random_state": 0, "max_iter": 1000}
        return [SklearnMixture(K, means_init=m, **options).fit(X) for m in means]

    best = max(fit.lower_bound_ for fit in theirs()) * n
    assert ours(False).log_likelihood > best - 1e-6 * n, "together they did not climb as high, so no ratio counts"
    rounds = [
        (cpu_seconds(theirs), cpu_seconds(lambda: ours(False)), cpu_seconds(lambda: ours(True))) for _ in range(REPEATS)
    ]
    together, pruned = ([row[0] / row[i] for row in rounds] for i in (1, 2))
    print(
        f"\n{S} starts at (n, d, K) = {(n, d, K)}: scikit-learn {np.median([row[0] for row in rounds]):.3g} s; "
        f"ratio together {np.median(together):.1f} ({min(together):.1f} to {max(together):.1f}), "
        f"pruned {np.median(pruned):.1f} ({min(pruned):.1f} to {max(pruned):.1f}), "
        f"pruned ended {best - ours(True).log_likelihood:.2g} nats below the best"
    )
