"""Tables with holes beside scikit-learn's IterativeImputer: CPU seconds on one thread, and errors of the covariance.

The imputer does ten rounds of regressions; EM climbs until the likelihood per row gains less than its `tol`.
"""

from __future__ import annotations

import os
import time
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from emlib import MissingDataNormal

pytestmark = pytest.mark.usefixtures("one_thread")
SMOKE = os.environ.get("EMLIB_BENCHMARKS") == "smoke"
REPEATS = 1 if SMOKE else 5


def cpu_seconds(work):
    before = time.process_time()
    made = work()
    return time.process_time() - before, made


def holed(n, d, holes, patterns, seed=0):
    """Normal rows, and their covariance; holes of their own in each, or one of a few patterns."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((d, d)) / np.sqrt(d)
    S = root @ root.T + 0.3 * np.eye(d)
    X = rng.multivariate_normal(np.zeros(d), S, size=n)
    gone = rng.random((patterns or n, d)) < holes
    gone[:, 0] = False
    X[gone[rng.integers(len(gone), size=n)] if patterns else gone] = np.nan
    return X, S


@pytest.mark.parametrize(
    ("n", "d", "holes", "patterns"),
    [
        (2000, 5, 0.2, 0),
        (2000, 10, 0.2, 0),
        (2000, 20, 0.2, 0),
        (2000, 40, 0.2, 0),
        (20_000, 20, 0.3, 0),
        (20_000, 20, 0.3, 8),
    ],
)
def test_beside_iterative_imputer(n, d, holes, patterns):
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    X, S = holed(n // 20 if SMOKE else n, d, holes, patterns)
    ours, theirs = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # ten rounds are its default
        for _ in range(REPEATS):
            seconds, fit = cpu_seconds(lambda: MissingDataNormal().fit(X))
            ours.append(seconds)
            seconds, filled = cpu_seconds(lambda: IterativeImputer(random_state=0).fit_transform(X))
            theirs.append(seconds)
    off = [np.abs(found - S).max() for found in (fit.covariance_, np.cov(filled.T))]
    print(
        f"\n{len(X)} x {d}, {holes:.0%} holes, {patterns or 'own'} patterns: emlib {np.median(ours):.2f} s "
        f"({fit.n_iter_} steps, covariance off by {off[0]:.3f}), IterativeImputer {np.median(theirs):.2f} s "
        f"(off by {off[1]:.3f}); ratio {np.median(np.array(theirs) / ours):.2f}"
    )
