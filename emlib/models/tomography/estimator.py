"""Maximum-likelihood images from photon counts, as an estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
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
        On each pixel, or images of them; of a shape of 1 or above, for below it a dark pixel is infinitely probable.
    accelerate : {None, "squarem"}

    Attributes
    ----------
    image_ : array
        Mean photons that each pixel emitted.
    fitted_ : array
        The counts that this image is expected to give. They sum to those observed, unless a prior asks for another
        total or the last of `max_iter` steps was an accelerator's jump.
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
        system, shape = _check_system(self.system, seen.shape)
        world = Emission.of(system, seen.shape)
        J = len(world.sensitivity)
        if self.shape is not None:
            sizes = np.atleast_1d(np.asarray(self.shape))
            if sizes.dtype.kind not in "iu" or not (sizes > 0).all() or int(np.prod(sizes)) != J:
                raise ValueError(f"shape is {self.shape!r}, but system has {J} pixels.")
            shape = tuple(sizes.tolist())
        prior = self._checked_prior(shape)
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
            prior=prior,
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
        start = as_numbers("image_init", self.image_init)
        if start.size != sensitivity.size or not np.isfinite(start).all() or (start < 0).any() or not start.any():
            raise ValueError(f"image_init must be an image of shape {shape}, finite, not negative and not all zero.")
        return start.ravel()

    def _checked_prior(self, shape: tuple[int, ...]) -> GammaPrior | None:
        """One number, one for each pixel, or images of them."""
        prior: GammaPrior | None = check_prior(self.prior, GammaPrior)
        if prior is None:
            return None
        of_pixels = (as_numbers(f"prior.{name}", getattr(prior, name)) for name in ("shape", "rate"))
        prior = GammaPrior(*(v.ravel() if v.shape == shape else v if v.ndim else float(v) for v in of_pixels))
        prior.check(int(np.prod(shape)))
        if not (np.asarray(prior.shape) >= 1).all():  # (nor is NaN)
            raise ValueError(
                f"prior has the shape {np.min(prior.shape):g}; below 1 it is infinite where a pixel is dark, so that "
                "there is no most probable image."
            )
        return prior

    def project(self, image: ArrayLike) -> FloatArray:
        """What the detectors would count on average, were this the image."""
        check_is_fitted(self)
        light = as_numbers("image", image)
        if light.size != self.image_.size:
            raise ValueError(f"image has the shape {light.shape}; one of shape {self.image_.shape} was reconstructed.")
        system, _ = _check_system(self.system, self.fitted_.shape)
        world = Emission.of(system, self.fitted_.shape)
        return world.forward(light.ravel()).reshape(self.fitted_.shape)


def _check_system(system: Any, seen: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """A pair of functions that fit counts of the shape `seen`, or a matrix; and the shape of its images."""
    if isinstance(system, (tuple, list)) and any(callable(part) for part in system):
        if len(system) != 2 or not all(callable(part) for part in system):
            raise ValueError(f"system has {len(system)} parts, not all functions; (forward, back) are needed.")
        forward, back = system
        try:
            shape = np.shape(back(np.ones(seen)))
            there = np.shape(forward(np.ones(shape)))
        except (ValueError, TypeError, IndexError, RuntimeError) as problem:
            raise ValueError(f"system cannot take counts of the shape {seen}: {problem}") from problem
        if there != seen:
            raise ValueError(f"system's forward function returns the shape {there}, but counts have the shape {seen}.")
        return (forward, back), shape
    matrix = system if issparse(system) else as_numbers("system", system)
    if matrix.ndim != 2:
        raise ValueError(
            f"system has the shape {matrix.shape}; a matrix, detectors by pixels, or two functions are needed."
        )
    return matrix, (matrix.shape[1],)


def _check_counts(counts: ArrayLike) -> FloatArray:
    seen = as_numbers("counts", counts)
    bad = ~(np.isfinite(seen) & (seen >= 0))
    if bad.any() or not seen.size:
        where = tuple(int(i) for i in np.argwhere(bad)[0]) if seen.size else ()
        found = f"{seen[where]:g} at {where}" if seen.size else "no number"
        raise ValueError(f"counts holds {found}; photon counts must be finite, 0 or above.")
    return seen
