"""Posterior errors of 7,578 spectra beside triqler's qvality (which mokapot calls) and scikit-learn's mixture.

CPU seconds on one thread, targets accepted at 1 % and 5 % (target-decoy competition: 2,854 and 3,453), and by how many
standard errors the worst of twenty bins is off the decoys.
"""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

import emlib
from emlib.models.peptides import q_values_of
from emlib.models.peptides.rates import calibration_of

pytestmark = pytest.mark.usefixtures("one_thread")
SMOKE = os.environ.get("EMLIB_BENCHMARKS") == "smoke"
REPEATS = 1 if SMOKE else 5


def report(name, work):
    """Time `work`, which gives posterior errors of all rows, and judge them."""
    matches = emlib.data.scope2()
    scores, decoy = matches.scores, matches.is_decoy
    seconds = []
    for _ in range(REPEATS):
        before = time.process_time()
        errors = work(scores.copy(), decoy)
        seconds.append(time.process_time() - before)
    q = q_values_of(errors[~decoy])
    off = np.abs(calibration_of(scores, decoy, errors, 20).z).max()
    accepted = [int((q <= rate).sum()) for rate in (0.01, 0.05)]
    print(f"\n{name}: {np.median(seconds):.3f} s, accepted {accepted}, worst bin {off:.1f} standard errors off")
    return accepted


@pytest.mark.parametrize(
    "shapes", [("kernel", "gumbel"), ("gaussian", "gumbel"), ("kernel", "kernel"), ("kernel", "isotonic")], ids="-".join
)
def test_ours(shapes):
    accepted = report(
        f"emlib, {' and '.join(shapes)}", lambda x, decoy: emlib.ScoreMixture(*shapes).fit(x, decoy).posterior_error_
    )
    assert abs(accepted[0] / 2854 - 1) < 0.1


def test_qvality():
    qvality = pytest.importorskip("triqler.qvality")

    def errors(x, decoy):
        _, found = qvality.getQvaluesFromScores(x[~decoy], x[decoy], includeDecoys=True, tdcInput=True)
        out = np.empty(len(x))
        out[np.argsort(-x)] = found  # given from the best score down
        return out

    report("qvality", errors)


def test_scikit_learn_without_labels():
    """Two normal components of the targets alone: what decoys are good for."""

    def errors(x, decoy):
        mixture = GaussianMixture(2, random_state=0, tol=1e-8, max_iter=10_000).fit(x[~decoy, None])
        return mixture.predict_proba(x[:, None])[:, np.argmin(mixture.means_)]

    report("scikit-learn, no decoys", errors)
