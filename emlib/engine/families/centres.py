"""Components that are nothing but centres: one spherical variance for all, and known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..blocks import Rows
from ..coordinates import Location, Named
from ..kernel import Natural, Statistics
from ..latent import FloatArray
from .base import LOG_2PI, Linear, with_starved


@dataclass(frozen=True)
class CentreParams:
    """Centres (K, d)."""

    means: FloatArray


@dataclass(frozen=True)
class Centres(Linear):
    """Gaussians that share one given spherical variance (eq. 5.1): the world in which K-means is EM.

    ``T(x) = [1, x]``; the quadratic term is the same for all components and cancels.
    """

    variance: float = 1.0

    @property
    def prior_type(self) -> type:
        """None: the prior of a centre is flat."""
        return type(None)

    def natural(self, params: CentreParams, log_weights: FloatArray, rows: Rows) -> Natural:
        """``[log w - m'm / 2 s2, m / s2]``."""
        first = log_weights - 0.5 * np.einsum("kd,kd->k", params.means, params.means) / self.variance
        eta = np.concatenate([first[:, None], params.means / self.variance], axis=1)
        total = rows.once(self, self._base_total)
        return Natural(eta, base=self._base, base_total=total)

    def _base(self, X: FloatArray) -> FloatArray:
        """``-x'x / 2 s2 - d log(2 pi s2) / 2``."""
        square = np.einsum("ndb,ndb->nb", X, X)
        return -0.5 * (square / self.variance + X.shape[1] * (LOG_2PI + np.log(self.variance)))

    def _base_total(self, rows: Rows) -> float:
        constant = rows.n * rows.d * (LOG_2PI + np.log(self.variance))
        return -0.5 * float(rows.squares().sum() / self.variance + constant)

    def maximise(self, stats: Statistics, prior: None = None) -> CentreParams:
        """Weighted means (eq. 2.7)."""
        totals = with_starved(stats.totals)
        return CentreParams(totals[:, 1:] / totals[:, :1])

    def weak_prior(self, whole: CentreParams, K: int) -> None:
        """None is needed: a centre without rows stays where the data are."""

    def draw(self, stats: Statistics, prior: None, rng: np.random.Generator) -> CentreParams:
        """From the posterior under a flat prior; a component without rows stays near all of them."""
        totals = with_starved(stats.totals)
        sd = np.sqrt(self.variance / totals[:, :1])
        return CentreParams(totals[:, 1:] / totals[:, :1] + sd * rng.standard_normal(totals[:, 1:].shape))

    def log_prior(self, params: CentreParams, prior: None) -> float:
        """Flat."""
        return 0.0

    def slopes(self, stats: Statistics, params: CentreParams, prior: None = None) -> CentreParams:
        """See `Family`."""
        return CentreParams((stats.totals[:, 1:] - stats.totals[:, :1] * params.means) / self.variance)

    def coordinates(self, params: CentreParams) -> Named:
        """Centres, moved by standard deviations."""
        root = np.sqrt(self.variance) * np.eye(params.means.shape[1])
        return Named(CentreParams, {"means": Location(params.means, root)})

    def sample(self, params: CentreParams, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        """See `Family.sample`."""
        centres = params.means[labels]
        return centres + np.sqrt(self.variance) * rng.standard_normal(centres.shape)

    def n_parameters(self, K: int, d: int) -> int:
        """See `Family.n_parameters`."""
        return K * d
