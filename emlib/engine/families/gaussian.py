"""Gaussian components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import invwishart

from ..blocks import Rows
from ..em import EPS, Degenerate
from ..kernel import Natural, Statistics, Whitened, upper
from ..latent import FloatArray
from .base import LOG_2PI, NO_EVIDENCE, with_starved

UNSAFE = 1e5  # condition beyond which the expanded quadratic form loses more than 11 digits
LARGE = 64  # columns beyond which differences are also faster than features


@dataclass(frozen=True)
class GaussianParams:
    """Means (K, d) and covariance matrices (K, d, d)."""

    means: FloatArray
    covariances: FloatArray


@dataclass(frozen=True)
class NormalInverseWishart:
    """Conjugate prior of a Gaussian with unknown mean and covariance.

    The covariance is inverse-Wishart(scatter, dof), the mean normal around `mean` with the
    covariance divided by `strength`: as if `strength` rows had been seen at `mean`.

    Parameters
    ----------
    mean : array (d,) or (K, d)
    strength : float
    scatter : array (d, d)
    dof : float
        Above d - 1.
    """

    mean: FloatArray
    strength: float
    scatter: FloatArray
    dof: float

    def check(self, d: int) -> None:
        """Refuse a prior that does not fit d columns."""
        if np.shape(self.mean)[-1:] != (d,) or np.shape(self.scatter) != (d, d):
            raise ValueError(
                f"prior has a mean of shape {np.shape(self.mean)} and a scatter of shape "
                f"{np.shape(self.scatter)}; data of {d} columns need ({d},) and ({d}, {d})."
            )
        if not (self.strength > 0 and self.dof > d - 1):
            raise ValueError(
                f"prior has strength {self.strength!r} and dof {self.dof!r}; they must be above 0 and {d - 1}."
            )

    def moved(self, origin: FloatArray) -> NormalInverseWishart:
        """The same prior for data measured from `origin`."""
        return NormalInverseWishart(np.asarray(self.mean) - origin, self.strength, self.scatter, self.dof)


@dataclass(frozen=True)
class Gaussian:
    """Multivariate normal components, each with a full covariance matrix.

    ``T(x) = [1, x, x_i x_j (i <= j)]``. `reg_covar` is added to the diagonal of every
    covariance after the M-step, as in scikit-learn.
    """

    reg_covar: float = 0.0

    @property
    def monotone(self) -> bool:
        """A variance floor is not a maximiser, so that the likelihood may fall a little."""
        return self.reg_covar == 0.0

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
        """``[log w + (log|P| - m'Pm - d log 2pi) / 2, P m, -P/2]`` with P the precision (eq. 2.4)."""
        means, (K, d) = params.means, params.means.shape
        chol = _cholesky(params.covariances)
        whitener = np.linalg.inv(chol)
        precision = whitener.swapaxes(1, 2) @ whitener
        log_det = 2.0 * np.log(np.diagonal(chol, axis1=1, axis2=2)).sum(axis=1)
        constant = log_weights - 0.5 * (d * LOG_2PI + log_det)

        condition = np.einsum("kij,i,j->k", np.abs(precision), rows.scale, rows.scale)
        unsafe = range(K) if d > LARGE else np.flatnonzero(~(condition <= UNSAFE))
        special = {int(k): Whitened(means[k], whitener[k], float(constant[k])) for k in unsafe}
        noise = 0.25 * EPS * max((float(c) for k, c in enumerate(condition) if k not in special), default=0.0)

        pull = np.einsum("kij,kj->ki", precision, means)
        i, j = upper(d)
        quadratic = np.where(i == j, -0.5, -1.0) * precision[:, i, j]
        first = constant - 0.5 * np.einsum("ki,ki->k", pull, means)
        return Natural(np.concatenate([first[:, None], pull, quadratic], axis=1), special, noise)

    def log_base(self, X: FloatArray) -> None:
        """None: everything is in `natural`."""
        return

    def maximise(self, stats: Statistics, prior: NormalInverseWishart | None = None) -> GaussianParams:
        """Weighted means and covariances (eqs. 2.7, 2.8), or their maximum a posteriori."""
        d = stats.about.shape[1]
        if prior is None:
            N, mean, scatter = _centred(stats)
            covariance = scatter / N[:, None, None]
        else:
            N, mean, scatter = _shrunk(stats, prior)
            covariance = scatter / (N + prior.dof + d + 2)[:, None, None]
        covariance[:, range(d), range(d)] += self.reg_covar
        return GaussianParams(mean, covariance)

    def draw(self, stats: Statistics, prior: NormalInverseWishart, rng: np.random.Generator) -> GaussianParams:
        """From the normal-inverse-Wishart posterior."""
        N, mean, scatter = _shrunk(stats, prior)
        K, d = mean.shape
        covariances = np.empty((K, d, d))
        for k in range(K):
            covariances[k] = invwishart.rvs(prior.dof + N[k], scatter[k], random_state=rng)
        chol = np.linalg.cholesky(covariances / (prior.strength + N)[:, None, None])
        means = mean + np.einsum("kij,kj->ki", chol, rng.standard_normal((K, d)))
        return GaussianParams(means, covariances)

    def log_prior(self, params: GaussianParams, prior: NormalInverseWishart) -> float:
        """See `Family.log_prior`."""
        d = params.means.shape[1]
        inverse = np.linalg.inv(_cholesky(params.covariances))
        away = np.einsum("kij,kj->ki", inverse, params.means - prior.mean)
        log_det = -2.0 * np.log(np.diagonal(inverse, axis1=1, axis2=2)).sum()
        spread = np.einsum("kij,jl,kil->", inverse, prior.scatter, inverse)
        return float(-0.5 * ((prior.dof + d + 2) * log_det + spread + prior.strength * (away**2).sum()))

    def sample(self, params: GaussianParams, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        """See `Family.sample`."""
        chol = np.linalg.cholesky(params.covariances)
        z = rng.standard_normal((len(labels), params.means.shape[1]))
        return params.means[labels] + np.einsum("nij,nj->ni", chol[labels], z)

    def n_parameters(self, K: int, d: int) -> int:
        """See `Family.n_parameters`."""
        return K * d + K * d * (d + 1) // 2

    def flaw(self, params: GaussianParams, stats: Statistics) -> str:
        """Name a component that has collapsed where the data have not.

        Its variance in some direction has fallen to the floor (to rounding, without one), while
        the data spread in that direction: the spike of the singularity trap.
        """
        K, d = params.means.shape
        pooled = _moved(stats, np.zeros((K, d))).totals.sum(axis=0)[None]
        spread = _centred(Statistics(pooled, np.zeros((1, d))))[2][0] / pooled[0, 0]
        variances, directions = np.linalg.eigh(params.covariances - self.reg_covar * np.eye(d))
        for k in range(K):
            data = float(directions[k, :, 0] @ spread @ directions[k, :, 0])
            floor = max(self.reg_covar, 1e-14 * data)
            if variances[k, 0] <= floor and data > 100 * floor:
                return (
                    f"component {k} has collapsed: it holds {stats.counts[k]:.3g} rows and has no width left in "
                    "one direction, so its likelihood can grow without bound."
                )
        return ""


def _cholesky(covariances: FloatArray) -> FloatArray:
    try:
        return np.asarray(np.linalg.cholesky(covariances), dtype=float)
    except np.linalg.LinAlgError:
        for k, covariance in enumerate(covariances):
            try:
                np.linalg.cholesky(covariance)
            except np.linalg.LinAlgError:
                raise Degenerate(f"component {k} has a covariance that is not positive definite.") from None
        raise


def _moved(stats: Statistics, about: FloatArray) -> Statistics:
    """Gaussian statistics, measured from another point."""
    d = about.shape[1]
    step = stats.about - about
    N, S = stats.totals[:, :1], stats.totals[:, 1 : 1 + d]
    i, j = upper(d)
    cross = step[:, i] * S[:, j] + step[:, j] * S[:, i] + N * step[:, i] * step[:, j]
    return Statistics(np.concatenate([N, S + N * step, stats.totals[:, 1 + d :] + cross], axis=1), about)


def _centred(stats: Statistics) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Counts (K,), means (K, d) and scatter matrices (K, d, d) about these means."""
    K, d = stats.about.shape
    if (stats.counts < NO_EVIDENCE).any():
        stats = _moved(stats, np.zeros((K, d)))  # pooling needs one point to measure from
    totals = with_starved(stats.totals)
    N = totals[:, 0]
    shift = totals[:, 1 : 1 + d] / N[:, None]
    scatter = np.empty((K, d, d))
    i, j = upper(d)
    scatter[:, i, j] = scatter[:, j, i] = totals[:, 1 + d :]
    scatter -= N[:, None, None] * shift[:, :, None] * shift[:, None, :]
    return N, stats.about + shift, scatter


def _shrunk(stats: Statistics, prior: NormalInverseWishart) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Counts, posterior means and scatter: the prior's pseudo-rows added to those seen."""
    _, mean, scatter = _centred(stats)
    N = np.where(stats.counts < NO_EVIDENCE, 0.0, stats.counts)
    scatter *= (N > 0)[:, None, None]
    share = prior.strength / (N + prior.strength)
    away = mean - prior.mean
    pulled = scatter + prior.scatter + (N * share)[:, None, None] * away[:, :, None] * away[:, None, :]
    return N, mean - share[:, None] * away, pulled


@dataclass(frozen=True)
class CentreParams:
    """Centres (K, d)."""

    means: FloatArray


@dataclass(frozen=True)
class TiedSpherical:
    """Gaussians that share one given spherical variance: the world in which K-means is EM.

    ``T(x) = [1, x]``; the quadratic term is the same for all components and cancels.
    """

    variance: float = 1.0

    def n_features(self, d: int) -> int:
        """1 + d."""
        return 1 + d

    def features(self, X: FloatArray, out: FloatArray) -> None:
        """See `Family.features`."""
        out[:, 0] = 1.0
        out[:, 1:] = X

    def natural(self, params: CentreParams, log_weights: FloatArray, rows: Rows) -> Natural:
        """``[log w - m'm / 2 s2, m / s2]``."""
        first = log_weights - 0.5 * np.einsum("kd,kd->k", params.means, params.means) / self.variance
        return Natural(np.concatenate([first[:, None], params.means / self.variance], axis=1))

    def log_base(self, X: FloatArray) -> FloatArray:
        """``-x'x / 2 s2 - d log(2 pi s2) / 2``."""
        d = X.shape[-2]
        square = np.einsum("...dn,...dn->...n", X, X)
        return -0.5 * (square / self.variance + d * (LOG_2PI + np.log(self.variance)))

    def maximise(self, stats: Statistics, prior: None = None) -> CentreParams:
        """Weighted means (eq. 2.7)."""
        totals = with_starved(stats.totals)
        return CentreParams(totals[:, 1:] / totals[:, :1])

    def draw(self, stats: Statistics, prior: None, rng: np.random.Generator) -> CentreParams:
        """From the posterior under a flat prior; a component without rows stays near all of them."""
        totals = with_starved(stats.totals)
        sd = np.sqrt(self.variance / totals[:, :1])
        return CentreParams(totals[:, 1:] / totals[:, :1] + sd * rng.standard_normal(totals[:, 1:].shape))

    def log_prior(self, params: CentreParams, prior: None) -> float:
        """Flat."""
        return 0.0

    def sample(self, params: CentreParams, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        """See `Family.sample`."""
        centres = params.means[labels]
        return centres + np.sqrt(self.variance) * rng.standard_normal(centres.shape)

    def n_parameters(self, K: int, d: int) -> int:
        """See `Family.n_parameters`."""
        return K * d
