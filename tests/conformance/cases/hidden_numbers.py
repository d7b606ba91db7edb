"""Hidden numbers instead of labels: precisions of errors, holes in rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats as dist

from emlib.engine import families as f
from emlib.engine.latent import FloatArray
from emlib.models.missing import HoledNormal
from emlib.models.robust import RegressionParams, RegressionPrior, TRegression

from .base import Case
from .mixtures import NIW


def _no_labels(X: FloatArray, params: Any) -> FloatArray:
    raise NotImplementedError


def _precisions(X: FloatArray, params: RegressionParams) -> tuple[float, float, FloatArray]:
    """Row by row over a grid of log precisions."""
    u = np.linspace(-60, 20, 400_001)
    w, nu, totals = np.exp(u), params.dof, [0.0, 0.0, 0.0]
    for row in X:
        error = row[-1] - row[:-1] @ params.coef
        normal = dist.norm.logpdf(error * np.sqrt(w), scale=np.sqrt(params.scale2)) + u / 2
        log_joint = normal + dist.gamma.logpdf(w, nu / 2, scale=2 / nu) + u  # u is log w: its density has the factor w
        density = np.exp(log_joint)
        whole = density.sum()
        totals[0] += np.log(whole * (u[1] - u[0]))
        totals[1] += log_joint.max()
        totals[2] += density @ w / whole
    np.testing.assert_allclose(
        totals[0],
        dist.t.logpdf(X[:, -1], params.dof, X[:, :-1] @ params.coef, np.sqrt(params.scale2)).sum(),
        rtol=1e-9,
    )
    return totals[0], totals[1], np.array(totals[2])


def _holes(X: FloatArray, params: f.GaussianParams) -> tuple[float, float, FloatArray]:
    """Rows of two columns, one of which may be missing: over a grid of what it may be."""
    grid, mean = np.linspace(-30, 30, 60_001), params.means[0]
    joint = dist.multivariate_normal(mean, params.covariances[0])
    value, best, moments = 0.0, 0.0, np.zeros(6)
    for row in X:
        full = np.tile(row, (len(grid) if np.isnan(row).any() else 1, 1))
        if len(full) > 1:
            full[:, np.isnan(row)] = grid[:, None]
        log_joint = joint.logpdf(full).reshape(-1)
        density, (a, b) = np.exp(log_joint), (full - mean).T
        whole = density.sum()
        value += np.log(whole * (grid[1] - grid[0] if len(full) > 1 else 1.0))
        best += log_joint.max()
        moments += density @ np.column_stack([np.ones(len(a)), a, b, a * a, a * b, b * b]) / whole
    return value, best, moments


class Holed(Case):
    """A case whose tables have NaN where something is missing."""

    def table(self, data: FloatArray) -> FloatArray:
        """Zeros for what is missing."""
        return np.nan_to_num(data)


CASES = [
    Case(
        name,
        TRegression(dof=dof),
        RegressionParams(np.array([1.0, -2.0, 0.5]), 0.7, 3.0),
        RegressionPrior(2.0, 3.0, 1.5),
        _no_labels,
        permute=None,
        more_is_hidden=True,
        tolerance=0.3,
        counts=lambda stats: stats.moments[0, 0],  # the column of ones: expected precisions
        integrals=_precisions,
        cold=1e-9,
    )
    for name, dof in [("t regression", None), ("t regression, dof known", 3.0)]
]
CASES.append(
    Holed(
        "holed normal",
        HoledNormal(holes=0.4),
        f.GaussianParams(np.array([[0.5, -1.0]]), np.array([[[1.0, 0.6], [0.6, 0.8]]])),
        NIW,
        _no_labels,
        permute=None,
        more_is_hidden=True,
        counts=lambda stats: stats.totals[0],
        integrals=_holes,
        cold=1e-9,
    )
)
