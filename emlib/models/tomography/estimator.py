"""Maximum-likelihood images from photon counts, as an estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from ...engine import em
from ...engine.families import GammaPrior
from ...engine.latent import FloatArray
from ..base import EMEstimator
from ..checks import as_numbers, check_prior, check_real, check_whole
from .model import Emission, EmissionParams


class MLEM(EMEstimator):
    """The image that makes photon counts most likely, climbed towards by EM; of a blur, Richardson-Lucy.

    Parameters
    ----------
    system : array or sparse matrix (I, J), or tuple of two functions
        How likely detector i counts a photon of pixel j; or ``(forward, back)``, the product with that matrix and with
        its transpose (`blur` makes such a pair).
    shape : tuple of int, optional
        Of the image, where `system` is a matrix; (J,) if None.
    max_iter : int
        Few on purpose: noise grows from iteration to iteration, and stopping early is what keeps it low. So
        reaching `max_iter` is no reason for a warning.
    tol : float
        Stop when fewer nats are left to gain.
    image_init : array, optional
        Where to start, above zero wherever there may be light; even light if None.
    prior : GammaPrior, optional
        On each pixel; its mode may have any shape above 1.
    accelerate : {None, "squarem"}

    Attributes
    ----------
    image_ : array
        Mean photons that each pixel emitted.
    fitted_ : array
        The counts that this image is expected to give; they sum to those observed.
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_
        As in every EM estimator.

    References
    ----------
    Shepp & Vardi (1982); Richardson (1972) and Lucy (1974) for the blur.

    Examples
    --------
    A head of 64 x 64 pixels, seen from 60 sides by 200,000 photons:

    >>> import numpy as np
    >>> from emlib.models.tomography import MLEM, parallel_beam, shepp_logan
    >>> A, head = parallel_beam(64, 60), shepp_logan(64)
    >>> head *= 200_000 / head.sum()
    >>> counts = np.random.default_rng(0).poisson(A @ head.ravel())
    >>> scan = MLEM(A, shape=(64, 64), max_iter=20).fit(counts)
    >>> bool(np.isclose(scan.fitted_.sum(), counts.sum())), bool((np.diff(scan.trace_) > 0).all())
    (True, True)
    """

    def __init__(
        self,
        system: Any,
        *,
        shape: tuple[int, ...] | None = None,
        max_iter: int = 30,
        tol: float = 1e-6,
        image_init: Any = None,
        prior: GammaPrior | None = None,
        accelerate: Any = None,
    ) -> None:
        self.system = system
        self.shape = shape
        self.max_iter = max_iter
        self.tol = tol
        self.image_init = image_init
        self.prior = prior
        self.accelerate = accelerate

    def fit(self, counts: ArrayLike, y: Any = None, *, callback: Callable[[em.Step], object] | None = None) -> MLEM:
        """Climb towards the image behind `counts` (I,), or of whatever shape the functions take.

        Raises
        ------
        ValueError
            In one sentence, for counts or a system that cannot be used.
        """
        seen = _check_counts(counts)
        world = Emission.of(self.system, seen.shape)
        J = len(world.sensitivity)
        shape = (
            self.shape if self.shape is not None else np.shape(self.system[1](seen)) if world.matrix is None else (J,)
        )
        if int(np.prod(shape)) != J:
            raise ValueError(f"shape is {shape}, but system has {J} pixels.")
        flat = seen.ravel()
        if world.matrix is not None and flat.shape != world.matrix.shape[:1]:
            raise ValueError(f"counts has {flat.size} numbers, but system has {world.matrix.shape[0]} detectors.")
        blind = (world.forward(np.ones(J)) <= 0) & (flat > 0)
        if blind.any():
            i = int(np.argmax(blind))
            raise ValueError(f"counts holds {flat[i]:g} at detector {i}, which sees no pixel; leave it out.")
        best = em.fit(
            world,
            flat,
            EmissionParams(self._start(flat, world.sensitivity, shape)),
            max_iter=check_whole("max_iter", self.max_iter, 0),
            tol=check_real("tol", self.tol),
            prior=check_prior(self.prior, GammaPrior),
            accelerate=self.accelerate,
            callback=callback,
        )
        self.n_features_in_ = flat.size
        self._outcome(best)
        self.image_: FloatArray = best.params.image.reshape(shape)
        self.fitted_: FloatArray = world.forward(best.params.image).reshape(seen.shape)
        if best.reason == "degenerate":
            self._warn(best)
        return self

    def _start(self, counts: FloatArray, sensitivity: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        """Even light, as much of it as was counted."""
        if self.image_init is None:
            return np.full(sensitivity.shape, max(counts.sum(), 1.0) / sensitivity.sum())
        start = np.asarray(self.image_init, dtype=float)
        if start.size != sensitivity.size or not np.isfinite(start).all() or (start < 0).any() or not start.any():
            raise ValueError(f"image_init must be an image of shape {shape}, finite, not negative and not all zero.")
        return start.ravel()

    def project(self, image: ArrayLike) -> FloatArray:
        """What the detectors would count on average, were this the image."""
        check_is_fitted(self)
        light = as_numbers("image", image)
        if light.size != self.image_.size:
            raise ValueError(f"image has the shape {light.shape}; one of shape {self.image_.shape} was reconstructed.")
        world = Emission.of(self.system, self.fitted_.shape)
        return world.forward(light.ravel()).reshape(self.fitted_.shape)


def _check_counts(counts: ArrayLike) -> FloatArray:
    seen = as_numbers("counts", counts)
    bad = ~(np.isfinite(seen) & (seen >= 0))
    if bad.any() or not seen.size:
        where = tuple(int(i) for i in np.argwhere(bad)[0]) if seen.size else ()
        found = f"{seen[where]:g} at {where}" if seen.size else "no number"
        raise ValueError(f"counts holds {found}; photon counts must be finite, 0 or above.")
    return seen
