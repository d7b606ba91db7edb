"""Emission tomography: where did each counted photon come from? Deblurring is the same question.

Pixel j emits a Poisson number of photons with mean x_j, detector i catches each with probability a_ij, and so counts
y_i, a Poisson number with mean ``sum_j a_ij x_j`` (eq. 15.1). Which pixel a photon left is hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.special import gammaln, xlogy

from ...engine.blocks import Rows, slices
from ...engine.em import EPS, Degenerate
from ...engine.families import GammaPrior
from ...engine.latent import SOFT, FloatArray, Latent, assign


@dataclass(frozen=True)
class EmissionParams:
    """The image (J,): mean photons emitted by each pixel in one exposure."""

    image: FloatArray


@dataclass(frozen=True)
class EmissionStats:
    """Photons (J,) that each pixel is expected to have sent to a detector in so many `exposures`."""

    counts: FloatArray
    exposures: float
    noise: float = 0.0

    def __add__(self, other: EmissionStats) -> EmissionStats:
        return EmissionStats(self.counts + other.counts, self.exposures + other.exposures, self.noise + other.noise)


@dataclass(frozen=True, eq=False)
class Emission:
    """Poisson counts of a sum of sources; implements `engine.em.Model`, built by `Emission.of`.

    Data are counts (I,), or several exposures of the same object as rows (n, I). The prior is a `GammaPrior`.

    Examples
    --------
    >>> from emlib.engine import em
    >>> world = Emission.of(np.array([[0.5, 0.0], [0.5, 0.5], [0.0, 0.5]]))
    >>> em.fit(world, np.array([3.0, 4.0, 1.0]), EmissionParams(np.ones(2)), tol=1e-12).params.image.round(3).tolist()
    [6.0, 2.0]
    """

    forward: Callable[[FloatArray], FloatArray]
    back: Callable[[FloatArray], FloatArray]
    sensitivity: FloatArray
    matrix: Any = None

    @classmethod
    def of(cls, system: Any, shape: tuple[int, ...] = ()) -> Emission:
        """From a matrix (I, J), dense or sparse, or a pair of functions and the `shape` of what they count."""
        if isinstance(system, tuple):
            lit = np.asarray(system[1](np.ones(shape)))
            forward, back = _flat(system[0], lit.shape), _flat(system[1], shape)
            size, matrix = int(np.prod(shape)), None
        else:
            matrix = csr_array(system, dtype=float)
            if (matrix.data < 0).any() or not np.isfinite(matrix.data).all():
                raise ValueError("system holds a value that is negative or not finite; its entries are probabilities.")
            transposed = matrix.T.tocsr()
            forward, back, size = matrix.dot, transposed.dot, matrix.shape[0]
        world = cls(forward, back, back(np.ones(size)), matrix)
        if not (world.sensitivity > 0).all():
            unseen = np.flatnonzero(~(world.sensitivity > 0))
            raise ValueError(f"system has {len(unseen)} empty column(s), first {unseen[0]}; leave unseen pixels out.")
        u, v = np.random.default_rng(0).random((2, max(size, len(world.sensitivity))))
        u, v = u[: len(world.sensitivity)], v[:size]
        there, again = float(forward(u) @ v), float(u @ back(v))
        if not abs(there - again) <= 1e-6 * abs(there):
            found = f"v.forward(u) is {there:.6g}, u.back(v) is {again:.6g}"
            raise ValueError(f"system is a pair of functions of which {found}; back must be the transpose of forward.")
        return world

    def e_step(self, data: Any, params: EmissionParams, latent: Latent = SOFT) -> tuple[EmissionStats, float]:
        """Share each detector's photons out among the pixels it sees (eq. 15.3); the log-likelihood (eq. 15.2)."""
        rows = np.atleast_2d(np.asarray(data.X if isinstance(data, Rows) else data, dtype=float))
        y, n, image = rows.sum(axis=0), float(len(rows)), params.image
        if not (np.isfinite(image).all() and (image >= 0).all()):
            raise Degenerate("a pixel is negative or not finite.")
        mean = self.forward(image)
        dark = mean <= 0
        if (dark & (y > 0)).any():
            raise Degenerate(f"detector {int(np.argmax(dark & (y > 0)))} has counts where the image expects none.")
        rest = n * float(mean.sum()) + float(gammaln(rows + 1.0).sum())
        if latent == SOFT:
            logs = xlogy(y, np.where(dark, 1.0, mean))
            sent = image * self.back(np.divide(y, mean, out=np.zeros_like(y), where=~dark))
        else:
            logs, sent = self._one_by_one(y, image, latent)
        return EmissionStats(sent, n, 4 * EPS * (float(np.abs(logs).sum()) + abs(rest))), float(logs.sum()) - rest

    def _one_by_one(self, y: FloatArray, image: FloatArray, latent: Latent) -> tuple[FloatArray, FloatArray]:
        """The other choices of E (`engine.latent`), which look at every pixel of every detector."""
        if self.matrix is None:
            raise ValueError("this choice of E needs the system as a matrix, not as a pair of functions.")
        sent, logs, lit = np.zeros_like(image), np.zeros_like(y), np.flatnonzero(y > 0)
        for part in slices(len(lit), len(image)):
            i = lit[part]
            with np.errstate(divide="ignore"):
                joint = np.log(self.matrix[i].toarray() * image)[:, :, None]
            logs[i] = y[i] * assign(joint, Latent(latent.temperature))
            shares = joint[:, :, 0]
            dealt = y[i, None] * shares if latent.rng is None else latent.rng.multinomial(y[i].astype(int), shares)
            sent += dealt.sum(axis=0)
        return logs, sent

    def m_step(self, stats: EmissionStats, prior: GammaPrior | None = None) -> EmissionParams:
        """Photons sent, over the chance that a photon is seen at all (eq. 15.4)."""
        p = prior or GammaPrior()
        return EmissionParams(
            np.maximum(stats.counts + p.shape - 1.0, 0.0) / (stats.exposures * self.sensitivity + p.rate)
        )

    def draw(
        self, stats: EmissionStats, prior: GammaPrior, rng: np.random.Generator, current: Any = None
    ) -> EmissionParams:
        """Every pixel from its gamma posterior."""
        return EmissionParams(
            rng.standard_gamma(stats.counts + prior.shape) / (stats.exposures * self.sensitivity + prior.rate)
        )

    def log_prior(self, params: EmissionParams, prior: GammaPrior) -> float:
        """Log density of the gamma distribution, up to a constant."""
        return float((xlogy(np.asarray(prior.shape) - 1.0, params.image) - prior.rate * params.image).sum())

    def simulate(self, params: EmissionParams, n: int, rng: np.random.Generator) -> FloatArray:
        """`n` exposures (n, I)."""
        mean = self.forward(params.image)
        return rng.poisson(mean, size=(n, len(mean))).astype(float)

    def project(self, params: EmissionParams) -> EmissionParams:
        """No pixel below zero; one that a jump made negative stays so far above that its way back is seen in time."""
        return EmissionParams(np.where(params.image < 0.0, 1e-6 * params.image.max(), params.image))


def _flat(function: Callable[[FloatArray], Any], shape: tuple[int, ...]) -> Callable[[FloatArray], FloatArray]:
    """The same function of vectors."""
    return lambda v: np.ravel(function(v.reshape(shape)))
