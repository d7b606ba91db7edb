"""What the likelihood knows at the top of a climb: information, standard errors, the rate of EM.

EM itself gives no standard errors, but its E-step holds all that is needed. By Fisher's identity
(eq. 3.7) the slope of the log-likelihood (the score) at theta is the slope of the *expected complete-data*
log-likelihood there, a few sums over statistics:

    score(theta) = d/dtheta' Q(theta' | theta)  at  theta' = theta

Its derivative, by central differences, is minus the observed information: two E-steps for each
free coordinate, on whatever blocks, threads or files the fit itself ran. With the statistics held
fixed the same derivative is minus the complete-data information, and costs no E-step. Of the two
Louis' identity (eq. 3.9) makes a third:

    observed = complete - missing,  missing = covariance of the complete-data score given the data

In the complete data's units, ``1 - observed / complete`` has as its largest eigenvalue the share
of information that hiding the labels has cost in the worst direction, and that is the rate at
which EM converges. An eigenvalue of 1 or above is no maximum; then there are no standard errors.
"""

from __future__ import annotations

import functools
import math
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, eigh, eigvalsh

from .blocks import expect_over_blocks, one_blas_thread
from .coordinates import Coordinates, Inside, at_a_limit, moves
from .latent import SOFT, FloatArray
from .parameters import rebuild
from .progress import progress_bar

STEP = 3e-4  # of a complete-data standard error: differences err by about STEP**2 / n, rounding by less
NEVER = 1e-3  # of an expected event: what moves less than so many is at its limit as far as can be seen
FLAT = 1e-7  # below this share of the complete information, nothing is known in a direction


class NotAMaximum(ValueError):
    """There is no peak here to measure the width of. The message says what there is instead."""


class Smooth(Protocol):
    """What a model says, beyond `engine.em.Model`, to be differentiated."""

    def slopes(self, stats: Any, params: Any, prior: Any = None) -> Any:
        """Slope of the expected complete-data log-likelihood, plus the log prior if there is one.

        In the class of the parameters, each number as if the others stood still; zero (along the
        coordinates) where ``m_step(stats, prior)`` lands.
        """
        ...

    def coordinates(self, params: Any) -> Coordinates:
        """Free coordinates about `params`."""
        ...

    # Also, for `louis` alone:
    # complete_slopes(data, params): for each independent observation its possible hidden values,
    # as a list of (probability, slopes).


@dataclass(frozen=True)
class Information:
    """Curvature of the log-likelihood (or log posterior) at the end of a climb.

    Numbers at a limit have no curvature: a probability or rate of 0, or on its way there, so that not a thousandth of
    an event is expected; whatever belongs to a component without rows; a size at which counts are Poisson. They have no
    coordinate and no error (NaN). The errors of all others hold given that they stay there.

    Attributes
    ----------
    params : Params
        Where it was measured.
    coordinates : Coordinates
        The P free coordinates about `params`.
    score : array (P,)
        Slope along them; next to nothing at a maximum.
    observed : array (P, P)
        Minus the second derivatives of the log-likelihood.
    complete : array (P, P)
        The same had the hidden part been seen as the E-step expects it.
    error : float
        How far the differences were from symmetric, as a share of the complete information: a
        measure of their numerical error.
    """

    params: Any
    coordinates: Coordinates
    score: FloatArray
    observed: FloatArray
    complete: FloatArray
    error: float = 0.0

    @functools.cached_property
    def missing(self) -> FloatArray:
        """Shares of information that are missing (P,), the largest first.

        The eigenvalues of ``1 - complete^-1 observed`` (eq. 3.10): the rates at which EM converges along
        the P directions; the first is the one that is seen in the end.
        """
        if not len(self.score):
            return np.zeros(0)
        shares: FloatArray = eigh(self.observed, self.complete, eigvals_only=True)
        return 1.0 - shares

    @functools.cached_property
    def covariance(self) -> FloatArray:
        """Inverse of the observed information (P, P): of the free coordinates.

        Raises
        ------
        NotAMaximum
            If the likelihood rises or is flat in some direction.
        """
        least, error = 1.0 - float(self.missing.max(initial=-np.inf)), max(FLAT, 10.0 * self.error)
        if least < -error:
            raise NotAMaximum(
                "the fit stands on a saddle, not on a maximum: the likelihood curves upwards in some direction "
                f"(least curvature {least:.2g} of that of the complete data); climb from another start."
            )
        if least <= error:
            raise NotAMaximum(
                "the likelihood is flat at the fit: in some direction the data hold no information "
                f"(curvature {least:.1g} of that of the complete data); there may be more components than they support."
            )
        if not len(self.score):
            return np.zeros((0, 0))
        scale = np.sqrt(np.diagonal(self.complete))  # unit for unit, so that nothing is lost to scales
        inverse = cho_solve(cho_factor(self.observed / np.outer(scale, scale)), np.eye(len(scale)))
        covariance: FloatArray = 0.5 * (inverse + inverse.T) / np.outer(scale, scale)
        return covariance

    @functools.cached_property
    def absent(self) -> NDArray[np.bool_]:
        """Which of the V numbers of `params` lie at a limit and have no error."""
        return at_a_limit(self.coordinates)

    @functools.cached_property
    def parameter_covariance(self) -> FloatArray:
        """Covariance (V, V) of all V numbers of `params`, in the order of their fields: the delta method.

        Singular where the numbers are tied to each other, as weights that sum to one are; NaN for those at a limit.
        """
        way = moves(self.coordinates, self.params)
        return np.where(self.absent | self.absent[:, None], np.nan, way @ self.covariance @ way.T)

    @functools.cached_property
    def standard_errors(self) -> Any:
        """Of every number, in the class of the parameters."""
        return rebuild(self.params, np.sqrt(np.diagonal(self.parameter_covariance)))

    @functools.cached_property
    def distance(self) -> float:
        """How far the maximum is, by Newton's estimate, in standard errors of the direction that leads there."""
        return math.sqrt(max(float(self.score @ self.covariance @ self.score), 0.0))


def observed_information(
    model: Any,
    data: Any,
    params: Any,
    *,
    prior: Any = None,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> Information:
    """Measure the curvature of the log-likelihood at `params`.

    Parameters
    ----------
    model : Model
        One that is also `Smooth`.
    data
        What it was fitted to.
    params : Params
        The end of a climb, ``Fit.params``.
    prior : optional
        The prior of the climb; the curvature then is that of the log posterior.
    executor, progress : optional
        As in `engine.em.fit`. The bar counts E-steps.

    Returns
    -------
    Information

    Raises
    ------
    NotAMaximum
        If the expected complete-data likelihood has no maximum near `params`.
    TypeError
        If the model has no slopes.

    References
    ----------
    Dempster, Laird & Rubin (1977) for the rate; Louis (1982); Oakes (1999); Jamshidian &
    Jennrich (2000) for differences of the score.

    Examples
    --------
    >>> import emlib
    >>> from emlib.engine import em
    >>> from emlib.models.linkage import Linkage, LinkageParams
    >>> counts = emlib.data.linkage()
    >>> top = em.fit(Linkage(), counts, LinkageParams(0.5), tol=1e-12).params
    >>> known = observed_information(Linkage(), counts, top)
    >>> round(known.standard_errors.theta, 4), round(float(known.missing[0]), 4)
    (0.0515, 0.1328)
    """
    for part in (model, getattr(model, "family", model)):
        if not callable(getattr(part, "slopes", None)):
            raise TypeError(f"{part!r} has no slopes, so its information cannot be measured.")
    coordinates = _coordinates(model, params)
    with one_blas_thread:
        [(stats, _)] = expect_over_blocks(model, data, [coordinates.at(np.zeros(coordinates.size))], SOFT, executor)
        coordinates = _inside(coordinates, model, stats, prior)
    here = np.zeros(coordinates.size)

    def score(u: FloatArray, stats: Any = None) -> FloatArray:
        """The slope at u; of the expected complete-data log-likelihood, if `stats` are held fixed."""
        at = coordinates.at(u)
        if stats is None:
            [(stats, _)] = expect_over_blocks(model, data, [at], SOFT, executor)
            tick()
        return _pulled(coordinates, u, model, stats, prior)

    with one_blas_thread, progress_bar(progress, 2 * len(here), "E-step") as tick:
        complete = _complete(score, stats, here)
        steps = STEP * np.minimum(1.0, 1.0 / np.sqrt(np.diagonal(complete)))
        differences = -_jacobian(score, here, steps)
        slope = score(here, stats)
    observed = 0.5 * (differences + differences.T)
    scale = np.sqrt(np.diagonal(complete))
    error = np.abs((differences - observed) / np.outer(scale, scale)).max(initial=0.0)
    return Information(params, coordinates, slope, observed, complete, float(error))


def missing_information(model: Any, data: Any, params: Any, **options: Any) -> float:
    """The largest share of missing information, which is the rate at which EM converges to `params`.

    Options are those of `observed_information`.

    Examples
    --------
    >>> import emlib
    >>> from emlib.models.linkage import Linkage, LinkageParams
    >>> round(missing_information(Linkage(), emlib.data.linkage(), LinkageParams(0.6268214979)), 4)
    0.1328
    """
    return float(observed_information(model, data, params, **options).missing.max())


def louis(model: Any, data: Any, params: Any, *, prior: Any = None) -> FloatArray:
    """The observed information (P, P) by Louis' identity (eq. 3.9): complete minus missing.

    Slow, one small score for every row and label; it needs the rows at hand. It is the check of
    `observed_information`, in the same coordinates.

    References
    ----------
    Louis (1982), Finding the observed information matrix when using the EM algorithm.
    """
    coordinates = _coordinates(model, params)
    stats = model.e_step(data, coordinates.at(np.zeros(coordinates.size)))[0]
    coordinates = _inside(coordinates, model, stats, prior)
    here = np.zeros(coordinates.size)

    def score(u: FloatArray, stats: Any) -> FloatArray:
        return _pulled(coordinates, u, model, stats, prior)

    missing = np.zeros((len(here), len(here)))
    for possible in model.complete_slopes(data, params):
        p = np.array([probability for probability, _ in possible])
        scores = np.array([coordinates.pull(here, slopes) for _, slopes in possible])
        scores -= p @ scores
        missing += (p[:, None] * scores).T @ scores
    return _complete(score, stats, here) - missing


def _coordinates(model: Any, params: Any) -> Any:
    """All of the model's; their centre may differ from `params` where these lie beyond what can be told."""
    try:
        return model.coordinates(params)
    except np.linalg.LinAlgError:
        raise NotAMaximum("a covariance is not positive definite, so there is no likelihood here.") from None


def _inside(coordinates: Any, model: Any, stats: Any, prior: Any) -> Any:
    """The coordinates, but for those along which not even the complete data hold anything."""
    here = np.zeros(coordinates.size)
    free = np.abs(_guess(lambda u: _pulled(coordinates, u, model, stats, prior), here)) >= NEVER
    return coordinates if free.all() else Inside(coordinates, free)


def _pulled(coordinates: Coordinates, u: FloatArray, model: Any, stats: Any, prior: Any) -> FloatArray:
    """Slopes (P,) along the coordinates at u, given statistics; along what is 0 they are not read."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return coordinates.pull(u, model.slopes(stats, coordinates.at(u), prior))


def _guess(score: Any, here: FloatArray) -> FloatArray:
    """The complete-data information along each coordinate (P,), by steps that may not be the best."""
    return np.asarray(-np.diagonal(_jacobian(score, here, np.full(len(here), STEP))))


def _complete(score: Any, stats: Any, here: FloatArray) -> FloatArray:
    """The complete-data information: twice, since the curvature itself says how far to step."""
    guess = _guess(lambda u: score(u, stats), here)
    if not (guess > 0).all():
        raise NotAMaximum("some parameter has no information even in the complete data; this is no maximum.")
    steps = STEP * np.minimum(1.0, 1.0 / np.sqrt(guess))
    complete = -_jacobian(lambda u: score(u, stats), here, steps)
    complete = 0.5 * (complete + complete.T)
    if len(here) and not eigvalsh(complete / np.sqrt(np.outer(guess, guess)))[0] > 0:
        raise NotAMaximum("the expected complete-data likelihood has no maximum near here; climb further.")
    return complete


def _jacobian(function: Any, here: FloatArray, steps: FloatArray) -> FloatArray:
    """Derivatives (P, P) by central differences; column j moves coordinate j."""
    columns = np.empty((len(here), len(here)))
    for j, (unit, h) in enumerate(zip(np.eye(len(here)), steps, strict=True)):
        columns[:, j] = (function(here + h * unit) - function(here - h * unit)) / (2.0 * h)
    return columns
