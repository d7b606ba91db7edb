"""Gaussian components, each with a full covariance matrix."""

from __future__ import annotations

import numpy as np
from scipy.special import multigammaln

from ..blocks import Rows
from ..differences import Special, Whitened
from ..features import upper
from ..kernel import Natural, Statistics
from ..latent import FloatArray
from .base import LOG_2PI, filled
from .gaussian import (
    UNSAFE,
    GaussianParams,
    GaussianShape,
    along_axes,
    no_point,
    noise_of,
    reach,
    resolved,
    skewness,
    split,
    symmetric,
    whitener,
)
from .gaussian_independent import inverse_wishart, root

LARGE = 64  # columns beyond which differences are also faster than features


class Gaussian(GaussianShape):
    """A full covariance matrix for each component: ``T(x) = [1, x, x_i x_j (i <= j)]``."""

    @property
    def matrices(self) -> bool:
        """Yes."""
        return True

    def n_features(self, d: int) -> int:
        """1 + d + d (d + 1) / 2."""
        return 1 + d + d * (d + 1) // 2

    def features(self, X: FloatArray, out: FloatArray) -> None:
        """See `Family.features`."""
        d = X.shape[1]
        out[:, 0] = 1.0
        out[:, 1 : 1 + d] = X
        a = 1 + d
        for i in range(d):
            np.multiply(X[:, i : i + 1], X[:, i:], out=out[:, a : a + d - i])
            a += d - i

    def natural(self, params: GaussianParams, log_weights: FloatArray, rows: Rows) -> Natural:
        """``[log w + (log|P| - m'Pm - d log 2pi) / 2, P m, -P/2]``, P the precision, Lambda in eq. 2.4."""
        means, (K, d) = params.means, params.means.shape
        W, log_det = whitener(params.covariances)
        precision = W.swapaxes(1, 2) @ W
        constant = log_weights - 0.5 * (d * LOG_2PI + log_det)

        far = reach(rows, means)
        condition = no_point(np.einsum("kij,ki,kj->k", np.abs(precision), far, far))
        unsafe = range(K) if d > LARGE else np.flatnonzero(~(condition <= UNSAFE))
        special: dict[int, Special] = {int(k): Whitened(means[k], W[k], float(constant[k])) for k in unsafe}

        pull = np.einsum("kij,kj->ki", precision, means)
        i, j = upper(d)
        quadratic = np.where(i == j, -0.5, -1.0) * precision[:, i, j]
        first = constant - 0.5 * np.einsum("ki,ki->k", pull, means)
        eta = np.concatenate([first[:, None], pull, quadratic], axis=1)
        noise = noise_of(condition, special, constant, skewness(precision, params.covariances))
        return Natural(eta, special, noise=noise)

    def n_parameters(self, K: int, d: int) -> int:
        """See `Family.n_parameters`."""
        return K * d + K * d * (d + 1) // 2

    def _moments(self, stats: Statistics) -> tuple[FloatArray, FloatArray, FloatArray]:
        stats = filled(stats, self._from_origin)
        N, shift, second = split(stats.totals, stats.about.shape[1])
        scatter = symmetric(second, shift.shape[1])
        squares = np.einsum("kii->ki", scatter).copy()
        scatter -= N[:, None, None] * shift[:, :, None] * shift[:, None, :]
        on_axes = np.einsum("kii->ki", scatter)  # a view
        on_axes[...] = resolved(on_axes, squares)
        return N, stats.about + shift, scatter

    def _from_origin(self, stats: Statistics) -> Statistics:
        """The same statistics, measured from the origin."""
        K, d = stats.about.shape
        step, N, S = stats.about, stats.totals[:, :1], stats.totals[:, 1 : 1 + d]
        i, j = upper(d)
        cross = step[:, i] * S[:, j] + step[:, j] * S[:, i] + N * step[:, i] * step[:, j]
        totals = np.concatenate([N, S + N * step, stats.totals[:, 1 + d :] + cross], axis=1)
        return Statistics(totals, np.zeros((K, d)), stats.shared)

    def _rows(self, N: FloatArray, d: int) -> FloatArray:
        return N[:, None, None]

    def _pseudo_rows(self, dof: float, K: int, d: int) -> float:
        return dof + d + 2

    def _reduced(self, matrices: FloatArray) -> FloatArray:
        return matrices

    def _reduced_prior(self, matrix: FloatArray) -> FloatArray:
        return np.asarray(matrix)

    def _none_if_starved(self, scatter: FloatArray, N: FloatArray) -> FloatArray:
        return scatter * (N > 0)[:, None, None]

    def _floored(self, covariances: FloatArray) -> FloatArray:
        return covariances + self.reg_covar * np.eye(covariances.shape[-1])

    def _against(self, covariances: FloatArray, scatter: FloatArray) -> tuple[float, float]:
        W, log_det = whitener(covariances)
        return float(log_det.sum()), float(np.einsum("kij,kjl,kil->", W, scatter, W))

    def _draw_covariances(self, scatter: FloatArray, dof: FloatArray, rng: np.random.Generator) -> FloatArray:
        return inverse_wishart(scatter, dof.ravel(), rng)

    def _matrices(self, covariances: FloatArray, d: int) -> FloatArray:
        return covariances

    def _log_volume(self, scatter: FloatArray, dof: FloatArray) -> FloatArray:
        _, log_det = whitener(scatter)
        return np.asarray(multigammaln(0.5 * dof.ravel(), scatter.shape[-1]) - 0.5 * dof.ravel() * log_det, dtype=float)

    def _noise(self, params: GaussianParams, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        chol = root(params.covariances)
        noise = rng.standard_normal((len(labels), chol.shape[1]))
        for k in np.unique(labels):  # not one matrix for each row: that is d times the memory of the rows
            rows = labels == k
            noise[rows] = noise[rows] @ chol[k].T
        return noise

    def _widths(self, params: GaussianParams, stats: Statistics) -> list[tuple[FloatArray, FloatArray]]:
        d = params.means.shape[1]
        N, shift, second = split(self._from_origin(stats).totals.sum(axis=0)[None], d)
        spread = symmetric(second, d)[0] / N[0] - np.outer(shift[0], shift[0])
        variances, directions = along_axes(params.covariances)
        data = np.einsum("kia,ij,kja->ka", directions, spread, directions)
        return list(zip(variances, data, strict=True))
