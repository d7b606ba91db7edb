"""Gaussian components that share their covariance."""

from __future__ import annotations

import numpy as np

from ..blocks import Rows
from ..differences import Whitened, WhitenedAxes
from ..kernel import Natural, Statistics
from ..latent import FloatArray
from .base import LOG_2PI, Linear, counts_of, with_starved
from .gaussian import (
    UNSAFE,
    GaussianParams,
    GaussianShape,
    along_axes,
    noise_of,
    positive,
    reach,
    resolved,
    skewness,
    split,
    whitener,
)
from .gaussian_axes import SphericalGaussian
from .gaussian_full import Gaussian
from .gaussian_independent import inverse_wishart

COLLAPSED = (
    "the shared covariance has collapsed: every row lies on a mean in one direction, "
    "so the likelihood can grow without bound."
)


class TiedGaussian(Linear, GaussianShape):
    """One covariance matrix for all components: ``T(x) = [1, x]``, for x'Px cancels between them.

    What remains of it is the sum of x x' over all rows, which no label touches.
    """

    tied = ("covariances",)

    @property
    def matrices(self) -> bool:
        """One."""
        return True

    def shared(self, rows: Rows) -> FloatArray:
        """The sum of ``x x'``."""
        return np.asarray(rows.once(self, lambda r: sum(np.einsum("nib,njb->ij", X, X) for X in r.cut(8192, 1))))

    def natural(self, params: GaussianParams, log_weights: FloatArray, rows: Rows) -> Natural:
        """``[log w - m'Pm / 2, P m]``; the rest of eq. 2.4 is the base measure."""
        means, d = params.means, params.means.shape[1]
        W, log_det = whitener(params.covariances[None])
        W, constant = W[0], -0.5 * (d * LOG_2PI + float(log_det[0]))
        precision = W.T @ W
        far = reach(rows, means).max(axis=0)
        condition = float(np.einsum("ij,i,j", np.abs(precision), far, far))
        pull = means @ precision
        eta = np.concatenate([(log_weights - 0.5 * np.einsum("ki,ki->k", pull, means))[:, None], pull], axis=1)
        if not condition <= UNSAFE:
            pairs = enumerate(zip(means, log_weights, strict=True))
            special = {k: Whitened(m, W, float(w) + constant) for k, (m, w) in pairs}
            skew = np.repeat(skewness(precision[None], params.covariances[None]), len(means))
            noise = noise_of(np.full(len(means), condition), special, log_weights + constant, skew)
            return Natural(eta, special, noise=noise)

        def base(X: FloatArray) -> FloatArray:
            Z = W @ X
            return constant - 0.5 * np.einsum("nib,nib->nb", Z, Z)

        total = len(rows) * constant - 0.5 * float((precision * self.shared(rows)).sum())
        noise = noise_of(np.array([condition]), {}, np.array([constant]))
        return Natural(eta, base=base, base_total=total, noise=noise)

    def n_parameters(self, K: int, d: int) -> int:
        """See `Family.n_parameters`."""
        return K * d + d * (d + 1) // 2

    def _moments(self, stats: Statistics) -> tuple[FloatArray, FloatArray, FloatArray]:
        d = stats.about.shape[1]
        N = counts_of(stats)
        if stats.totals.shape[1] > 1 + d:  # taken from differences: a scatter for each component
            _, mean, scatter = Gaussian()._moments(stats)
            return N, mean, scatter[N > 0].sum(axis=0)
        _, shift, _ = split(with_starved(stats.totals), d)
        scatter = stats.shared - np.einsum("k,ki,kj->ij", N, shift, shift)
        np.fill_diagonal(scatter, resolved(np.diag(scatter), np.diag(stats.shared)))
        return N, stats.about + shift, scatter

    def _rows(self, N: FloatArray, d: int) -> FloatArray:
        return np.asarray(N.sum())

    def _pseudo_rows(self, dof: float, K: int, d: int) -> float:
        return dof + d + 1 + K

    def _reduced(self, matrices: FloatArray) -> FloatArray:
        return matrices.sum(axis=0)

    def _reduced_prior(self, matrix: FloatArray) -> FloatArray:
        return np.asarray(matrix)

    def _none_if_starved(self, scatter: FloatArray, N: FloatArray) -> FloatArray:
        return scatter

    def _floored(self, covariances: FloatArray) -> FloatArray:
        return covariances + self.reg_covar * np.eye(len(covariances))

    def _against(self, covariances: FloatArray, scatter: FloatArray) -> tuple[float, float]:
        return Gaussian()._against(covariances[None], scatter[None])

    def _draw_covariances(self, scatter: FloatArray, dof: FloatArray, rng: np.random.Generator) -> FloatArray:
        return inverse_wishart(scatter[None], np.atleast_1d(dof), rng)[0]

    def _matrices(self, covariances: FloatArray, d: int) -> FloatArray:
        return covariances

    def _noise(self, params: GaussianParams, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        chol = np.linalg.cholesky(params.covariances)
        return rng.standard_normal((len(labels), len(chol))) @ chol.T

    def _widths(self, params: GaussianParams, stats: Statistics) -> list[tuple[FloatArray, FloatArray]]:
        variances, directions = along_axes(params.covariances)
        return [(variances, np.einsum("ia,ij,ja->a", directions, _spread(stats), directions))]

    def _collapsed(self, k: int, stats: Statistics) -> str:
        return COLLAPSED


class TiedSphericalGaussian(Linear, GaussianShape):
    """One spherical variance for all components, estimated: K-means is its cold limit."""

    tied = ("covariances",)

    def shared(self, rows: Rows) -> FloatArray:
        """The sum of ``|x|**2``."""
        return np.asarray(rows.once(self, lambda r: sum(np.einsum("nib,nib->", X, X) for X in r.cut(8192, 1))))

    def natural(self, params: GaussianParams, log_weights: FloatArray, rows: Rows) -> Natural:
        """``[log w - m'm / 2 s2, m / s2]``; the rest of eq. 2.4 is the base measure."""
        means, d = params.means, params.means.shape[1]
        variance = float(positive(np.atleast_1d(params.covariances))[0])
        constant = -0.5 * d * (LOG_2PI + np.log(variance))
        condition = float((reach(rows, means).max(axis=0) ** 2).sum()) / variance
        first = log_weights - 0.5 * np.einsum("ki,ki->k", means, means) / variance
        eta = np.concatenate([first[:, None], means / variance], axis=1)
        if not condition <= UNSAFE:
            round_ = SphericalGaussian()
            precision = np.full(d, 1.0 / variance)
            pairs = enumerate(zip(means, log_weights, strict=True))
            special = {k: WhitenedAxes(m, precision, float(w) + constant, round_) for k, (m, w) in pairs}
            noise = noise_of(np.full(len(means), condition), special, log_weights + constant)
            return Natural(eta, special, noise=noise)

        def base(X: FloatArray) -> FloatArray:
            return constant - 0.5 * np.einsum("nib,nib->nb", X, X) / variance

        total = len(rows) * constant - 0.5 * float(self.shared(rows)) / variance
        noise = noise_of(np.array([condition]), {}, np.array([constant]))
        return Natural(eta, base=base, base_total=total, noise=noise)

    def n_parameters(self, K: int, d: int) -> int:
        """See `Family.n_parameters`."""
        return K * d + 1

    def _moments(self, stats: Statistics) -> tuple[FloatArray, FloatArray, FloatArray]:
        d = stats.about.shape[1]
        N = counts_of(stats)
        if stats.totals.shape[1] > 1 + d:
            _, mean, scatter = SphericalGaussian()._moments(stats)
            return N, mean, np.asarray(scatter[N > 0].sum())
        _, shift, _ = split(with_starved(stats.totals), d)
        scatter = stats.shared - float(N @ np.einsum("ki,ki->k", shift, shift))
        return N, stats.about + shift, resolved(scatter, stats.shared)

    def _rows(self, N: FloatArray, d: int) -> FloatArray:
        return np.asarray(N.sum() * d)

    def _pseudo_rows(self, dof: float, K: int, d: int) -> float:
        return dof + 2 + K * d

    def _reduced(self, matrices: FloatArray) -> FloatArray:
        return np.asarray(np.einsum("kii->", matrices))

    def _reduced_prior(self, matrix: FloatArray) -> FloatArray:
        return np.asarray(np.trace(matrix))

    def _none_if_starved(self, scatter: FloatArray, N: FloatArray) -> FloatArray:
        return scatter

    def _floored(self, covariances: FloatArray) -> FloatArray:
        return np.asarray(covariances + self.reg_covar)

    def _against(self, covariances: FloatArray, scatter: FloatArray) -> tuple[float, float]:
        return float(np.log(positive(np.atleast_1d(covariances))[0])), float(scatter / covariances)

    def _draw_covariances(self, scatter: FloatArray, dof: FloatArray, rng: np.random.Generator) -> FloatArray:
        return np.asarray(scatter / rng.chisquare(float(dof)))

    def _matrices(self, covariances: FloatArray, d: int) -> FloatArray:
        return covariances * np.eye(d)

    def _noise(self, params: GaussianParams, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        return np.sqrt(params.covariances) * rng.standard_normal((len(labels), params.means.shape[1]))

    def _widths(self, params: GaussianParams, stats: Statistics) -> list[tuple[FloatArray, FloatArray]]:
        d = params.means.shape[1]
        return [(np.reshape(params.covariances, 1), np.reshape(_spread(stats) / d, 1))]

    def _collapsed(self, k: int, stats: Statistics) -> str:
        return COLLAPSED


def _spread(stats: Statistics) -> FloatArray:
    """Covariance of all rows (d, d), or its trace, from what no label touches."""
    d, N = stats.about.shape[1], stats.counts
    mean = (stats.totals[:, 1 : 1 + d].sum(axis=0) + N @ stats.about) / N.sum()
    return np.asarray(stats.shared / N.sum() - (np.outer(mean, mean) if stats.shared.ndim else mean @ mean))
