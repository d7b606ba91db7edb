"""Free coordinates: parameters near a centre as plain numbers that nothing constrains.

Rates must stay positive, weights must sum to one, a covariance must stay positive definite. What
differentiates a likelihood wants none of that, so each kind of parameter has coordinates u of
its own: logarithms, logits, log-ratios, a log-Cholesky factor. They are measured from a centre,
which has u = 0, and in units in which the log density of one row changes on the scale of 1:
a mean moves by standard deviations, whatever the columns were measured in.

What lies at a limit (a probability of 0) has none: it stays where it is.

Each kind says the same three things: the values at u, the chain rule (`pull`), and how far to
go from the centre for a given standard error (`bounds`), on the scale on which errors are
closest to symmetric.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from .latent import FloatArray
from .parameters import flatten, rebuild


class Coordinates(Protocol):
    """Free coordinates of parameters (an array, or a dataclass of arrays) about a centre."""

    @property
    def size(self) -> int:
        """How many numbers are free."""
        ...

    def at(self, u: FloatArray) -> Any:
        """The parameters at u (size,); the centre at u = 0."""
        ...

    def pull(self, u: FloatArray, slopes: Any) -> FloatArray:
        """The chain rule: slopes in the parameters, taken at ``at(u)``, as slopes in u (size,)."""
        ...

    def bounds(self, errors: Any, z: float) -> Any:
        """The centre less and plus `z` standard errors: arrays (2, ...) in the shape of the parameters."""
        ...


@dataclass(frozen=True)
class Fixed:
    """Values that are known: nothing is free."""

    values: FloatArray

    @property
    def size(self) -> int:
        """None."""
        return 0

    def at(self, u: FloatArray) -> FloatArray:
        """See `Coordinates.at`."""
        return self.values

    def pull(self, u: FloatArray, slopes: FloatArray) -> FloatArray:
        """See `Coordinates.pull`."""
        return np.zeros(0)

    def bounds(self, errors: FloatArray, z: float) -> FloatArray:
        """See `Coordinates.bounds`."""
        return np.stack([self.values, self.values])


@dataclass(frozen=True)
class Location:
    """Means (K, d), moved by ``root u``; root (K, d, d) or (d, d) is a square root of the covariance."""

    values: FloatArray
    root: FloatArray

    @property
    def size(self) -> int:
        """K d."""
        return self.values.size

    def at(self, u: FloatArray) -> FloatArray:
        """See `Coordinates.at`."""
        return self.values + _times(self.root, u.reshape(self.values.shape))

    def pull(self, u: FloatArray, slopes: FloatArray) -> FloatArray:
        """See `Coordinates.pull`."""
        return _times(self.root.swapaxes(-2, -1), slopes).ravel()

    def bounds(self, errors: FloatArray, z: float) -> FloatArray:
        """Symmetric."""
        return np.stack([self.values - z * errors, self.values + z * errors])


@dataclass(frozen=True)
class Positive:
    """Rates or variances: ``value = centre * exp(u)``; what is 0 stays 0."""

    values: FloatArray

    @property
    def size(self) -> int:
        """One for each value."""
        return int(np.size(self.values))

    def at(self, u: FloatArray) -> Any:
        """See `Coordinates.at`."""
        return _scalar(self.values * np.exp(u).reshape(np.shape(self.values)))

    def pull(self, u: FloatArray, slopes: FloatArray) -> FloatArray:
        """See `Coordinates.pull`."""
        value = np.asarray(self.at(u))
        return np.ravel(value * np.where(value > 0, slopes, 0.0))

    def bounds(self, errors: FloatArray, z: float) -> FloatArray:
        """Symmetric for the logarithm."""
        return _log_bounds(np.asarray(self.values), np.asarray(errors), z)


@dataclass(frozen=True)
class Probability:
    """Probabilities, each by itself: ``logit(value) = logit(centre) + u``; what is 0 or 1 stays so."""

    values: FloatArray

    @property
    def size(self) -> int:
        """One for each value."""
        return int(np.size(self.values))

    def at(self, u: FloatArray) -> Any:
        """See `Coordinates.at`."""
        return _scalar(expit(logit(self.values) + u.reshape(np.shape(self.values))))

    def pull(self, u: FloatArray, slopes: FloatArray) -> FloatArray:
        """See `Coordinates.pull`."""
        p = np.asarray(self.at(u))
        along = p * (1.0 - p)
        return np.ravel(along * np.where(along > 0, slopes, 0.0))

    def bounds(self, errors: FloatArray, z: float) -> FloatArray:
        """Symmetric for the logit."""
        return _logit_bounds(np.asarray(self.values), np.asarray(errors), z)


@dataclass(frozen=True)
class Simplex:
    """Rows (..., d) that sum to 1: log-ratios to the largest entry, moved by u.

    To the largest, since one that is nearly 0 would be in the way of all others. What is 0 stays 0.
    """

    values: FloatArray

    @functools.cached_property
    def _free(self) -> NDArray[np.bool_]:
        """Entries (..., d) above 0 but for the largest of each row."""
        largest = np.arange(self.values.shape[-1]) == self.values.argmax(axis=-1)[..., None]
        return np.asarray((self.values > 0) & ~largest)

    @property
    def size(self) -> int:
        """One less than the entries above 0 of each row."""
        return int(self._free.sum())

    def at(self, u: FloatArray) -> FloatArray:
        """See `Coordinates.at`."""
        moved = self.values.copy()
        moved[self._free] *= np.exp(u)
        return moved / moved.sum(axis=-1, keepdims=True)

    def pull(self, u: FloatArray, slopes: FloatArray) -> FloatArray:
        """See `Coordinates.pull`. What one entry gains the others lose: ``p (slope - p . slope)``."""
        p = self.at(u)
        along = p * np.where(p > 0, slopes, 0.0)
        return (along - p * along.sum(axis=-1, keepdims=True))[self._free]

    def bounds(self, errors: FloatArray, z: float) -> FloatArray:
        """Symmetric for the logit of each entry; an entry without an error has no bounds."""
        return _logit_bounds(self.values, errors, z)


@dataclass(frozen=True)
class Inside:
    """Some of the coordinates of `part`; along the others nothing moves, for they lead to a limit.

    Parameters
    ----------
    part : Coordinates
        All coordinates.
    free : array of bool (part.size,)
        Which are left.
    """

    part: Any
    free: NDArray[np.bool_]

    @property
    def size(self) -> int:
        """Those that are left."""
        return int(self.free.sum())

    def _all(self, u: FloatArray) -> FloatArray:
        every = np.zeros(self.part.size)
        every[self.free] = u
        return every

    def at(self, u: FloatArray) -> Any:
        """See `Coordinates.at`."""
        return self.part.at(self._all(u))

    def pull(self, u: FloatArray, slopes: Any) -> FloatArray:
        """See `Coordinates.pull`."""
        return np.asarray(self.part.pull(self._all(u), slopes)[self.free])

    def bounds(self, errors: Any, z: float) -> Any:
        """See `Coordinates.bounds`."""
        return self.part.bounds(errors, z)


@dataclass(frozen=True)
class Covariance:
    """Matrices (..., d, d): ``L T T' L'`` with L the Cholesky factor of the centre.

    T is lower triangular; u holds the logarithms of its diagonal, and what stands below it.
    """

    values: FloatArray
    root: FloatArray

    @property
    def _where(self) -> tuple[Any, ...]:
        i, j = np.tril_indices(self.values.shape[-1])
        return (..., i, j)

    @property
    def size(self) -> int:
        """For each matrix d (d + 1) / 2."""
        return self.values[self._where].size

    def _factor(self, u: FloatArray) -> FloatArray:
        """L T."""
        T = np.zeros_like(self.values)
        T[self._where] = u.reshape(T[self._where].shape)
        i = np.arange(T.shape[-1])
        T[..., i, i] = np.exp(T[..., i, i])
        return self.root @ T

    def at(self, u: FloatArray) -> FloatArray:
        """See `Coordinates.at`."""
        factor = self._factor(u)
        return factor @ factor.swapaxes(-2, -1)

    def pull(self, u: FloatArray, slopes: FloatArray) -> FloatArray:
        """See `Coordinates.pull`."""
        factor = self._factor(u)
        in_T = self.root.swapaxes(-2, -1) @ (slopes + slopes.swapaxes(-2, -1)) @ factor
        i = np.arange(in_T.shape[-1])
        in_T[..., i, i] *= np.diagonal(factor, axis1=-2, axis2=-1) / np.diagonal(self.root, axis1=-2, axis2=-1)
        return in_T[self._where].ravel()

    def bounds(self, errors: FloatArray, z: float) -> FloatArray:
        """Symmetric for the logarithm of a variance, and for a covariance itself."""
        both = np.stack([self.values - z * errors, self.values + z * errors])
        i = np.arange(self.values.shape[-1])
        both[..., i, i] = _log_bounds(self.values[..., i, i], errors[..., i, i], z)
        return both


@dataclass(frozen=True)
class Named:
    """The parts of a dataclass of parameters, each with coordinates of its own.

    Parameters
    ----------
    kind : type
        The dataclass.
    parts : mapping of str to Coordinates
        One for each of its fields, in order.

    Examples
    --------
    >>> from emlib.engine.families import PoissonParams
    >>> rates = Named(PoissonParams, {"rates": Positive(np.array([[2.0], [5.0]]))})
    >>> rates.at(np.log([2.0, 1.0])).rates.round(6).tolist()
    [[4.0], [5.0]]
    """

    kind: Any
    parts: Mapping[str, Any]

    @property
    def size(self) -> int:
        """The sum over the parts."""
        return sum(part.size for part in self.parts.values())

    def _pieces(self, u: FloatArray) -> dict[str, FloatArray]:
        cuts = np.cumsum([part.size for part in self.parts.values()])[:-1]
        return dict(zip(self.parts, np.split(u, cuts), strict=True))

    def at(self, u: FloatArray) -> Any:
        """See `Coordinates.at`."""
        pieces = self._pieces(u)
        return self.kind(**{name: part.at(pieces[name]) for name, part in self.parts.items()})

    def pull(self, u: FloatArray, slopes: Any) -> FloatArray:
        """See `Coordinates.pull`."""
        pieces = self._pieces(u)
        return np.concatenate([part.pull(pieces[name], getattr(slopes, name)) for name, part in self.parts.items()])

    def bounds(self, errors: Any, z: float) -> Any:
        """See `Coordinates.bounds`."""
        return self.kind(**{name: part.bounds(getattr(errors, name), z) for name, part in self.parts.items()})


def _times(matrices: FloatArray, vectors: FloatArray) -> FloatArray:
    """Matrix times vector for each row of `vectors` (K, d); matrices (K, d, d), or (d, d) for all."""
    return np.matmul(matrices, vectors[..., None])[..., 0]


def _scalar(value: Any) -> Any:
    """A float for what has no axes."""
    return value if np.ndim(value) else float(value)


def _log_bounds(values: FloatArray, errors: FloatArray, z: float) -> FloatArray:
    reach = z * errors / values
    with np.errstate(over="ignore"):  # nearly no information: the bound is infinite, and may say so
        return np.stack([values * np.exp(-reach), values * np.exp(reach)])


def _logit_bounds(values: FloatArray, errors: FloatArray, z: float) -> FloatArray:
    known = ~(errors > 0.0)  # a lone weight is 1, and so is each of its bounds; what has no error (NaN) has no bounds
    p = np.where(known, 0.5, values)
    middle, reach = logit(p), z * errors / (p * (1.0 - p))
    return np.where(known, values + errors, np.stack([expit(middle - reach), expit(middle + reach)]))


def at_a_limit(coordinates: Any) -> NDArray[np.bool_]:
    """Which numbers (V,) nothing moves because they lie at a limit, in the order of `parameters.flatten`.

    A probability of 0, and one of 1 beside it; a rate of 0; what depends on a coordinate that `Inside` leaves out.
    """
    if isinstance(coordinates, Named):
        return np.concatenate([at_a_limit(part) for part in coordinates.parts.values()])
    if isinstance(coordinates, Inside):
        return at_a_limit(coordinates.part) | _moved_by(coordinates.part, ~coordinates.free)
    values = np.asarray(getattr(coordinates, "values", 0.0), dtype=float)
    if isinstance(coordinates, Simplex):
        return np.ravel((values == 0.0) | ((values == 1.0) & (values.shape[-1] > 1)))
    if isinstance(coordinates, Probability):
        return np.ravel((values == 0.0) | (values == 1.0))
    return np.ravel((values == 0.0) & isinstance(coordinates, Positive))


def _moved_by(part: Coordinates, these: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which numbers (V,) move with one of `these` coordinates more than with any other."""
    way = np.abs(moves(part, part.at(np.zeros(part.size))))
    left = np.where(these, way, 0.0).max(axis=1, initial=0.0)
    return np.asarray((left > 0.0) & (left >= np.where(these, 0.0, way).max(axis=1, initial=0.0)))


def moves(coordinates: Coordinates, centre: Any) -> FloatArray:
    """How numbers (V, P) of the `centre` move with the coordinates: one column of the chain rule for each."""
    here = np.zeros(coordinates.size)
    return np.array([coordinates.pull(here, rebuild(centre, unit)) for unit in np.eye(flatten(centre).size)])
