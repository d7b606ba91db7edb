"""Regression that outliers cannot pull along: every error has a hidden precision.

A t-distributed error is a normal one whose precision w was drawn from a gamma distribution (eq. 15.8). Were w seen, the
fit would be weighted least squares; the E-step expects little of it for a row far from the plane (eq. 15.9).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, gammaln

from ...engine.blocks import Rows
from ...engine.coordinates import Fixed, Location, Named, Positive
from ...engine.em import EPS, Degenerate
from ...engine.families.base import LOG_2PI
from ...engine.latent import SOFT, FloatArray, Latent
from .parameters import DOFS, RegressionParams, RegressionPrior, RegressionStats


@dataclass(frozen=True)
class TRegression:
    """The model; implements `engine.em.Model`. Data are rows (n, p + 1): the columns, then the response.

    What is hidden is the logarithm of the precision, so that its most probable value and its expectation agree.
    Degrees of freedom that are known are `dof`; a squared scale below `floor` has collapsed on some rows.

    Examples
    --------
    >>> from emlib.engine import em
    >>> rows = np.array([[1.0, 0, 0.1], [1, 1, 0.9], [1, 2, 2.1], [1, 3, 2.9], [1, 4, 40.0]])
    >>> fit = em.fit(TRegression(dof=2.0), rows, RegressionParams(np.zeros(2), 1.0, 2.0))
    >>> fit.params.coef.round(2).tolist()
    [0.07, 0.95]
    """

    dof: float | None = None
    floor: float = 0.0

    def e_step(self, data: Any, params: RegressionParams, latent: Latent = SOFT) -> tuple[RegressionStats, float]:
        """Expected precision of every row (eq. 15.9), then weighted moments; the log-likelihood (eq. 15.8)."""
        X = np.array(data.X if isinstance(data, Rows) else data, dtype=float)
        nu, s2, t = params.dof, params.scale2, latent.temperature
        if not (s2 > self.floor and nu > 0 and np.isfinite(nu) and np.isfinite(params.coef).all()):
            raise Degenerate(f"the scale has collapsed ({s2:.3g} squared): the plane passes through some rows.")
        sizes = np.abs(X) @ np.append(np.abs(params.coef), 1.0)  # what the digits of residuals are digits of
        X[:, -1] -= X[:, :-1] @ params.coef
        a, b = 0.5 * (nu + 1.0), 0.5 * (nu + X[:, -1] ** 2 / s2)
        constant = 0.5 * nu * np.log(0.5 * nu) - gammaln(0.5 * nu) - 0.5 * (LOG_2PI + np.log(s2))
        if t == 0.0:
            value, log_w = constant + a * np.log(a / b) - a, np.log(a / b)
        else:
            value, log_w = constant + t * gammaln(a / t) - a * np.log(b / t), digamma(a / t) - np.log(b / t)
        w = a / b
        if latent.rng is not None:
            w = np.maximum(latent.rng.gamma(a / t, t / b), 1e-300)
            log_w = np.log(w)
        terms = 0.5 * nu * abs(np.log(0.5 * nu)) + gammaln(0.5 * nu) + np.abs(value - constant)
        noise = 4 * EPS * float((terms + a / b * np.abs(X[:, -1]) * sizes / s2).sum())
        stats = RegressionStats((X.T * w) @ X, params.coef, float(len(X)), float((log_w - w).sum()), noise)
        return stats, float(value.sum())

    def m_step(self, stats: RegressionStats, prior: RegressionPrior | None = None) -> RegressionParams:
        """Weighted least squares (eq. 15.10), and the degrees of freedom that fit the precisions (eq. 15.11)."""
        p = prior or _flat(len(stats.about))
        _, coef, squares = _plane(stats, p.strength)
        freedom = stats.rows + len(coef) + 2.0 * (p.shape + 1.0)
        return RegressionParams(coef, float((squares + 2.0 * p.rate) / freedom), self._dof(stats))

    def _dof(self, stats: RegressionStats) -> float:
        if self.dof is not None:
            return self.dof
        low, high = (_slope(nu, stats) for nu in DOFS)
        if low <= 0 or high >= 0:
            return DOFS[0] if low <= 0 else DOFS[1]
        return float(np.exp(brentq(lambda u: _slope(np.exp(u), stats), *np.log(DOFS), xtol=1e-14)))

    def draw(
        self, stats: RegressionStats, prior: RegressionPrior, rng: np.random.Generator, current: Any = None
    ) -> RegressionParams:
        """Scale, then coefficients, from their posterior; degrees of freedom from theirs, on a fine grid."""
        A, coef, squares = _plane(stats, prior.strength)
        s2 = (prior.rate + 0.5 * squares) / rng.standard_gamma(prior.shape + 0.5 * stats.rows)
        coef = coef + np.sqrt(s2) * np.linalg.solve(np.linalg.cholesky(A).T, rng.standard_normal(len(coef)))
        if self.dof is not None:
            return RegressionParams(coef, float(s2), self.dof)
        steps = np.linspace(-40, 40, 4001) / np.sqrt(max(stats.rows, 1.0))  # about so many deviations of log dof
        grid = np.exp(np.clip(np.log(self._dof(stats)) + steps, *np.log(DOFS)))
        log_density = stats.rows * (0.5 * grid * np.log(0.5 * grid) - gammaln(0.5 * grid)) + 0.5 * grid * stats.logs
        density = np.exp(log_density - log_density.max()) * np.gradient(grid)
        return RegressionParams(coef, float(s2), float(rng.choice(grid, p=density / density.sum())))

    def log_prior(self, params: RegressionParams, prior: RegressionPrior) -> float:
        """Log prior density, up to a constant."""
        power = prior.shape + 1.0 + 0.5 * len(params.coef)
        squares = prior.rate + 0.5 * prior.strength * float(params.coef @ params.coef)
        return float(-power * np.log(params.scale2) - squares / params.scale2)

    def project(self, params: RegressionParams) -> RegressionParams:
        """No jump beyond what the M-step allows: the step back would lower the likelihood."""
        return params if self.dof is not None else replace(params, dof=min(params.dof, DOFS[1]))

    def slopes(
        self, stats: RegressionStats, params: RegressionParams, prior: RegressionPrior | None = None
    ) -> RegressionParams:
        """Slope of the expected complete-data log-likelihood, each number as if the others stood still."""
        p, (coef, s2), step = prior or _flat(len(params.coef)), (params.coef, params.scale2), params.coef - stats.about
        A, b = stats.moments[:-1, :-1], stats.moments[:-1, -1]
        squares = stats.moments[-1, -1] - 2.0 * step @ b + step @ A @ step + p.strength * coef @ coef + 2.0 * p.rate
        freedom = stats.rows + len(coef) + 2.0 * (p.shape + 1.0)
        to_scale = 0.5 * float(squares / s2 - freedom) / s2
        return RegressionParams(
            (b - A @ step - p.strength * coef) / s2, to_scale, 0.5 * stats.rows * _slope(params.dof, stats)
        )

    def coordinates(self, params: RegressionParams) -> Named:
        """Coefficients in units of the scale, logarithms of its square and of the degrees of freedom."""
        coef = Location(params.coef, np.sqrt(params.scale2) * np.eye(len(params.coef)))
        dof = (Positive if self.dof is None else Fixed)(np.asarray(params.dof))
        return Named(RegressionParams, {"coef": coef, "scale2": Positive(np.asarray(params.scale2)), "dof": dof})

    def simulate(self, params: RegressionParams, n: int, rng: np.random.Generator) -> FloatArray:
        """`n` rows: a column of ones, normal columns, and the response."""
        X = np.column_stack([np.ones(n), rng.standard_normal((n, len(params.coef) - 1))])
        return np.column_stack([X, X @ params.coef + np.sqrt(params.scale2) * rng.standard_t(params.dof, size=n)])


def _flat(p: int) -> RegressionPrior:
    """The prior that says nothing."""
    return RegressionPrior(shape=-1.0 - 0.5 * p)


def _slope(nu: Any, stats: RegressionStats) -> float:
    """Twice the derivative in the degrees of freedom, for one row on average."""
    return float(np.log(0.5 * nu) + 1.0 - digamma(0.5 * nu) + stats.logs / stats.rows)


def _plane(stats: RegressionStats, strength: float) -> tuple[FloatArray, FloatArray, float]:
    """Weighted least squares with a ridge: its matrix, coefficients, and the sum of squares left."""
    A = stats.moments[:-1, :-1] + strength * np.eye(len(stats.about))
    step = np.linalg.solve(A, stats.moments[:-1, -1] - strength * stats.about)
    coef = stats.about + step
    left = stats.moments[-1, -1] + strength * (stats.about @ stats.about) - step @ A @ step
    return A, coef, float(max(left, 0.0))
