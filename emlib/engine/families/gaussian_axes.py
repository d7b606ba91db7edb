"""Gaussian components along the axes: a variance for each column, or one for all."""

from __future__ import annotations

import numpy as np

from ..blocks import Rows
from ..differences import Special, WhitenedAxes
from ..features import squares
from ..kernel import Natural, Statistics
from ..latent import FloatArray
from .base import LOG_2PI, filled
from .gaussian import (
    UNSAFE,
    GaussianParams,
    GaussianShape,
    log_volume_of_variances,
    no_point,
    noise_of,
    positive,
    reach,
    resolved,
    split,
)


class DiagonalGaussian(GaussianShape):
    """Independent columns, a variance for each component and column: ``T(x) = [1, x, x_j**2]``."""

    def n_features(self, d: int) -> int:
        """1 + 2 d."""
        return 1 + 2 * d

    def features(self, X: FloatArray, out: FloatArray) -> None:
        """See `Family.features`."""
        squares(X, out)

    def natural(self, params: GaussianParams, log_weights: FloatArray, rows: Rows) -> Natural:
        """Eq. 2.4 for a diagonal precision."""
        return self._axes(params.means, 1.0 / positive(params.covariances), log_weights, rows)

    def _axes(self, means: FloatArray, precision: FloatArray, log_weights: FloatArray, rows: Rows) -> Natural:
        """Natural parameters from precisions (K, d)."""
        d = means.shape[1]
        constant = log_weights - 0.5 * (d * LOG_2PI - np.log(precision).sum(axis=1))
        condition = no_point(np.einsum("kd,kd->k", precision, reach(rows, means) ** 2))
        special: dict[int, Special] = {
            int(k): WhitenedAxes(means[k], precision[k], float(constant[k]), self)
            for k in np.flatnonzero(~(condition <= UNSAFE))
        }
        pull = precision * means
        first = constant - 0.5 * np.einsum("ki,ki->k", pull, means)
        eta = np.concatenate([first[:, None], pull, self._quadratic(precision)], axis=1)
        return Natural(eta, special, noise=noise_of(condition, special, constant))

    def _quadratic(self, precision: FloatArray) -> FloatArray:
        return -0.5 * precision

    def n_parameters(self, K: int, d: int) -> int:
        """See `Family.n_parameters`."""
        return 2 * K * d

    def _moments(self, stats: Statistics) -> tuple[FloatArray, FloatArray, FloatArray]:
        stats = filled(stats, self._from_origin)
        N, shift, second = split(stats.totals, stats.about.shape[1])
        return N, stats.about + shift, resolved(second - N[:, None] * self._squares(shift, shift), second)

    def _squares(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """The second moment features of a product."""
        return a * b

    def _from_origin(self, stats: Statistics) -> Statistics:
        d = stats.about.shape[1]
        step, N, S = stats.about, stats.totals[:, :1], stats.totals[:, 1 : 1 + d]
        cross = 2 * self._squares(step, S) + N * self._squares(step, step)
        totals = np.concatenate([N, S + N * step, stats.totals[:, 1 + d :] + cross], axis=1)
        return Statistics(totals, np.zeros_like(step), stats.shared)

    def _rows(self, N: FloatArray, d: int) -> FloatArray:
        return N[:, None]

    def _pseudo_rows(self, dof: float, K: int, d: int) -> float:
        return dof + 3

    def _reduced(self, matrices: FloatArray) -> FloatArray:
        return np.einsum("kii->ki", matrices)

    def _reduced_prior(self, matrix: FloatArray) -> FloatArray:
        return np.diag(matrix)

    def _none_if_starved(self, scatter: FloatArray, N: FloatArray) -> FloatArray:
        return scatter * (N > 0)[:, None]

    def _floored(self, covariances: FloatArray) -> FloatArray:
        return covariances + self.reg_covar

    def _against(self, covariances: FloatArray, scatter: FloatArray) -> tuple[float, float]:
        return float(np.log(positive(covariances)).sum()), float((scatter / covariances).sum())

    def _draw_covariances(self, scatter: FloatArray, dof: FloatArray, rng: np.random.Generator) -> FloatArray:
        return scatter / rng.chisquare(np.broadcast_to(dof, scatter.shape))

    def _matrices(self, covariances: FloatArray, d: int) -> FloatArray:
        return covariances[:, :, None] * np.eye(d)

    def _log_volume(self, scatter: FloatArray, dof: FloatArray) -> FloatArray:
        return log_volume_of_variances(scatter, dof).sum(axis=1)

    def _noise(self, params: GaussianParams, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        return np.sqrt(params.covariances[labels]) * rng.standard_normal((len(labels), params.means.shape[1]))

    def _widths(self, params: GaussianParams, stats: Statistics) -> list[tuple[FloatArray, FloatArray]]:
        N, shift, second = split(self._from_origin(stats).totals.sum(axis=0)[None], params.means.shape[1])
        data = (second / N[:, None] - self._squares(shift, shift))[0]
        return [(variances, data) for variances in params.covariances]


class SphericalGaussian(DiagonalGaussian):
    """Round components, one variance each: ``T(x) = [1, x, |x|**2]``."""

    def n_features(self, d: int) -> int:
        """2 + d."""
        return 2 + d

    def features(self, X: FloatArray, out: FloatArray) -> None:
        """See `Family.features`."""
        out[:, 0] = 1.0
        out[:, 1:-1] = X
        np.einsum("nib,nib->nb", X, X, out=out[:, -1])

    def natural(self, params: GaussianParams, log_weights: FloatArray, rows: Rows) -> Natural:
        """Eq. 2.4 for a precision that is a multiple of the identity."""
        precision = np.repeat(1.0 / positive(params.covariances)[:, None], params.means.shape[1], axis=1)
        return self._axes(params.means, precision, log_weights, rows)

    def _quadratic(self, precision: FloatArray) -> FloatArray:
        return -0.5 * precision[:, :1]

    def n_parameters(self, K: int, d: int) -> int:
        """See `Family.n_parameters`."""
        return K * d + K

    def _moments(self, stats: Statistics) -> tuple[FloatArray, FloatArray, FloatArray]:
        N, mean, scatter = super()._moments(stats)
        return N, mean, scatter[:, 0]

    def _squares(self, a: FloatArray, b: FloatArray) -> FloatArray:
        return np.einsum("ki,ki->k", a, b)[:, None]

    def _rows(self, N: FloatArray, d: int) -> FloatArray:
        return N * d

    def _pseudo_rows(self, dof: float, K: int, d: int) -> float:
        return dof + d + 2

    def _reduced(self, matrices: FloatArray) -> FloatArray:
        return np.einsum("kii->k", matrices)

    def _reduced_prior(self, matrix: FloatArray) -> FloatArray:
        return np.asarray(np.trace(matrix))

    def _none_if_starved(self, scatter: FloatArray, N: FloatArray) -> FloatArray:
        return scatter * (N > 0)

    def _matrices(self, covariances: FloatArray, d: int) -> FloatArray:
        return covariances[:, None, None] * np.eye(d)

    def _log_volume(self, scatter: FloatArray, dof: FloatArray) -> FloatArray:
        return log_volume_of_variances(scatter, dof)

    def _noise(self, params: GaussianParams, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        sd = np.sqrt(params.covariances[labels])[:, None]
        return sd * rng.standard_normal((len(labels), params.means.shape[1]))

    def _widths(self, params: GaussianParams, stats: Statistics) -> list[tuple[FloatArray, FloatArray]]:
        d = params.means.shape[1]
        N, shift, second = split(self._from_origin(stats).totals.sum(axis=0)[None], d)
        data = (second / N[:, None] - self._squares(shift, shift))[0] / d
        return [(np.array([variance]), data) for variance in params.covariances]
