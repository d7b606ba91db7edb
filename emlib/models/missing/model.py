"""Holes in a table of normal rows: what is missing is hidden, and expected moments stand in for it.

Given what a row shows, its missing part is normal, with a mean and a covariance (eq. 15.13). The M-step is that of one
Gaussian component; what the E-step must not forget is the covariance, or every hole is taken for a certainty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.blocks import as_rows
from ...engine.coordinates import Named
from ...engine.em import EPS, Degenerate
from ...engine.families import Gaussian, GaussianParams, NormalInverseWishart
from ...engine.families.base import LOG_2PI
from ...engine.features import upper
from ...engine.kernel import Statistics
from ...engine.latent import SOFT, FloatArray, Latent
from .holes import alike, conditional, eliminate, together

NORMAL = Gaussian()


@dataclass(frozen=True)
class HoledNormal:
    """Normal rows, some entries NaN; implements `engine.em.Model` with the M-step of one `families.Gaussian`.

    The prior is a `NormalInverseWishart`. `simulate` leaves out each entry with probability `holes`, but one of a row.
    """

    holes: float = 0.2

    def e_step(self, data: Any, params: GaussianParams, latent: Latent = SOFT) -> tuple[Statistics, float]:
        """Expected moments about the mean (eqs. 15.13, 15.14), and the log-likelihood of what is seen (eq. 15.12)."""
        rows, mean, S = as_rows(data), params.means[0], params.covariances[0]
        if not (np.isfinite(S).all() and np.isfinite(mean).all() and (np.diagonal(S) > 0).all()):
            raise Degenerate("a variance is not above zero.")
        second, value, noise, t = np.zeros(S.shape), 0.0, 0.0, latent.temperature
        expected, done = np.zeros((len(rows), len(mean))), 0  # of each row, less the mean
        apart = latent.rng is not None or t != 1.0  # what is drawn, or tempered, needs the covariance of each row
        for X in rows.once(("rows by their holes", apart), lambda rows: (alike if apart else together)(rows.X)):
            Z, done = expected[done : done + len(X)], done + len(X)
            seen = ~np.isnan(X)
            o, m = np.flatnonzero(seen.all(axis=0)), np.flatnonzero(~seen.all(axis=0))
            Z[:, o] = X[:, o] - mean[o]
            B, C, pull, log_det = conditional(S, o, m)
            Z[:, m] = Z[:, o] @ B
            quadratic, log_det, spread = float((pull(Z[:, o]) ** 2).sum()), len(X) * log_det, len(X) * t * C
            if seen[:, m].any():
                more, spread, rest = eliminate(C, X[:, m] - mean[m] - Z[:, m], m, np.diagonal(S)[m])
                Z[:, m] += more
                quadratic, log_det = quadratic + rest[0], log_det + rest[1]
            terms = log_det + seen.sum() * LOG_2PI, quadratic
            value -= 0.5 * sum(terms)
            noise += 4 * EPS * sum(map(abs, terms))
            if len(m) and t != 1.0:  # of exp(log p / t) over the holes: its integral, and at 0 its maximum
                integral = np.linalg.slogdet(C)[1] + len(m) * LOG_2PI
                value -= 0.5 * len(X) * ((1.0 - t) * integral - t * len(m) * (np.log(t) if t > 0 else 0.0))
            if latent.rng is not None:
                Z[:, m] += latent.rng.standard_normal((len(X), len(m))) @ np.linalg.cholesky(t * C).T
            else:
                second[np.ix_(m, m)] += spread
        second += expected.T @ expected
        i, j = upper(len(mean))
        totals = np.concatenate([[len(rows)], expected.sum(axis=0), second[i, j]])[None]
        return Statistics(totals, params.means, np.zeros(0), noise), value

    def m_step(self, stats: Statistics, prior: NormalInverseWishart | None = None) -> GaussianParams:
        """Mean and covariance from expected moments (eq. 15.15)."""
        return NORMAL.maximise(stats, prior)

    def draw(
        self, stats: Statistics, prior: NormalInverseWishart, rng: np.random.Generator, current: Any = None
    ) -> GaussianParams:
        """From the normal-inverse-Wishart posterior."""
        return NORMAL.draw(stats, prior, rng)

    def log_prior(self, params: GaussianParams, prior: NormalInverseWishart) -> float:
        """See `families.Gaussian`."""
        return NORMAL.log_prior(params, prior)

    def simulate(self, params: GaussianParams, n: int, rng: np.random.Generator) -> FloatArray:
        """`n` rows, with holes."""
        X = NORMAL.sample(params, np.zeros(n, dtype=int), rng)
        gone = rng.random(X.shape) < self.holes
        gone[np.arange(n), rng.integers(X.shape[1], size=n)] = False
        return np.where(gone, np.nan, X)

    def slopes(self, stats: Statistics, params: GaussianParams, prior: Any = None) -> GaussianParams:
        """See `families.Gaussian`."""
        return NORMAL.slopes(stats, params, prior)

    def coordinates(self, params: GaussianParams) -> Named:
        """See `families.Gaussian`."""
        return NORMAL.coordinates(params)
