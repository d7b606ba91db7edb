"""Counts repeat: how many rows are at each of them says all about a column.

A tally is a statistic like any other, a sum over rows of indicators, if a long one. With it the
size of a negative binomial is the root of one equation.

Sources: Fisher (1941) for the equation; Aragon, Eberly & Eberly (1992), *Existence and uniqueness of
the maximum likelihood estimator for the two-parameter negative binomial distribution*: it has one
root if the variance exceeds the mean, and none otherwise.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..blocks import BLOCK_ROWS
from ..latent import FloatArray
from .gamma_math import LARGE, SIZES, log_minus_digamma, trigamma_minus_inverse

TABLE = 2**22  # numbers in the tables and tallies of a pass, 32 MB each; beyond, every entry is computed


@dataclass(frozen=True, eq=False)
class DistinctCounts:
    """The counts that occur in each column, one column after the other.

    Attributes
    ----------
    values : array (V,)
        Increasing within a column. A column whose counts nearly fill their range has all of 0, 1, ...
        up to its largest, so that a count is its own place.
    starts : array (d + 1,) of int
        Column j has ``values[starts[j] : starts[j + 1]]``.

    Examples
    --------
    >>> counts = DistinctCounts.of(np.array([[0, 7], [2, 90000], [1, 7]]))
    >>> counts.values.tolist(), counts.starts.tolist()
    ([0.0, 1.0, 2.0, 7.0, 90000.0], [0, 3, 5])
    """

    values: FloatArray
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, X: NDArray[Any]) -> DistinctCounts:
        """Those of a table (n, d); a sentence if it holds anything but counts."""
        columns = [np.zeros(0)] * X.shape[1]
        for i in range(0, len(X), BLOCK_ROWS):
            for j, column in enumerate(X[i : i + BLOCK_ROWS].T):
                columns[j] = np.union1d(columns[j], _different(column))
        columns = [np.arange(v[-1] + 1.0) if v[-1] < 2 * len(v) + 64 else v for v in columns]
        return cls(np.concatenate(columns), np.cumsum([0, *map(len, columns)]))

    @classmethod
    def union(cls, parts: Sequence[DistinctCounts]) -> DistinctCounts:
        """Those of a table in chunks, given those of every chunk.

        Examples
        --------
        >>> parts = [DistinctCounts.of(np.array([[0], [200]])), DistinctCounts.of(np.array([[200], [900]]))]
        >>> DistinctCounts.union(parts).values.tolist()
        [0.0, 200.0, 900.0]
        """
        return cls.of(np.vstack([part._as_rows() for part in parts]))

    def _as_rows(self) -> FloatArray:
        """A table that holds each of them, some more than once."""
        columns = np.split(self.values, self.starts[1:-1])
        return np.column_stack([np.resize(column, max(map(len, columns))) for column in columns])

    @functools.cached_property
    def _hash(self) -> int:
        return hash((self.values.tobytes(), self.starts.tobytes()))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:  # by value: a copy comes back from another process
        if not isinstance(other, DistinctCounts):
            return NotImplemented
        return np.array_equal(self.starts, other.starts) and np.array_equal(self.values, other.values)

    @functools.cached_property
    def column(self) -> NDArray[np.intp]:
        """The column (V,) of each value."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def places(self, X: FloatArray) -> NDArray[np.intp]:
        """Where in `values` each count of a piece X (batch, d, rows) stands: (d, batch * rows)."""
        batch, d, rows = X.shape
        places = np.empty((d, batch, rows), dtype=np.intp)
        np.copyto(places, X.swapaxes(0, 1), casting="unsafe")
        for j, (a, b) in enumerate(itertools.pairwise(self.starts)):
            if self.values[b - 1] == b - a - 1:
                places[j] += a
            else:
                places[j] = a + np.searchsorted(self.values[a:b], X[:, j])
        return places.reshape(d, -1)


def _different(column: NDArray[Any]) -> FloatArray:
    if not (column.min() >= 0 and (column == np.floor(column)).all()):
        raise ValueError("X holds a value that is no count; counts must be whole numbers, 0 or above.")
    if column.max() < 4 * len(column):
        return np.flatnonzero(np.bincount(column.astype(np.intp))).astype(float)
    return np.unique(column).astype(float)


def among(own: DistinctCounts, tallied: DistinctCounts | None) -> DistinctCounts:
    """What is tallied, if that holds all that the rows have."""
    if tallied is None or len(tallied.starts) != len(own.starts):
        return own
    pairs = zip(itertools.pairwise(tallied.starts), itertools.pairwise(own.starts), strict=True)
    holds = all(np.isin(own.values[c:e], tallied.values[a:b]).all() for (a, b), (c, e) in pairs)
    return tallied if holds else own


class Lookup:
    """The place of each count of the piece at hand; all components of a pass share it."""

    def __init__(self, distinct: DistinctCounts) -> None:
        self.distinct = distinct
        self.piece: FloatArray | None = None

    def places(self, X: FloatArray) -> NDArray[np.intp]:
        """See `DistinctCounts.places`."""
        if self.piece is not X:
            self._places, self.piece = self.distinct.places(X), X
        return self._places

    def tally(self, X: FloatArray, r: FloatArray) -> FloatArray:
        """The summed responsibility (V,) of each value."""
        r = r.ravel()
        starts = itertools.pairwise(self.distinct.starts)
        parts = (np.bincount(p - a, r, b - a) for p, (a, b) in zip(self.places(X), starts, strict=True))
        return np.concatenate(list(parts))


def rise_of(share: FloatArray, distinct: DistinctCounts) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
    """A function of sizes r (K, d): the average of ``digamma(x + r) - digamma(r)``, and minus its slope.

    Parameters
    ----------
    share : array (K, V)
        Which share of the rows is at each value.
    distinct : DistinctCounts
        The V values.
    """
    starts, v = distinct.starts[:-1], distinct.values
    # The first terms of digamma(x + r) - digamma(r), 1 / (r + t) for t < x, one by one; the rest by series.
    t = np.arange(LARGE)
    above = np.stack([np.add.reduceat(share * (v > i), starts, axis=1) for i in t], axis=-1)
    beyond, tail = np.maximum(v, LARGE), share * (v > LARGE)

    def rise(r: FloatArray) -> tuple[FloatArray, FloatArray]:
        first = 1.0 / (r[:, :, None] + t)
        edge = r + LARGE
        total, at_edge = r[:, distinct.column] + beyond, edge[:, distinct.column]
        more = (
            np.log1p((beyond - LARGE) / at_edge)
            - log_minus_digamma(total)
            + log_minus_digamma(edge)[:, distinct.column]
        )
        less = (beyond - LARGE) / (at_edge * total) - trigamma_minus_inverse(total)
        less += trigamma_minus_inverse(edge)[:, distinct.column]
        value = (above * first).sum(axis=2) + np.add.reduceat(tail * more, starts, axis=1)
        return value, (above * first**2).sum(axis=2) + np.add.reduceat(tail * less, starts, axis=1)

    return rise


def size_from_tally(N: FloatArray, tally: FloatArray, distinct: DistinctCounts) -> FloatArray:
    """The size that maximises the likelihood of negative binomial counts (eq. 4.7), at their average as mean.

    Parameters
    ----------
    N : array (K, 1)
        Number of rows.
    tally : array (K, V)
        How many of them are at each value.
    distinct : DistinctCounts
        The V values.

    Returns
    -------
    array (K, d)
        Within `SIZES`; the largest where the variance does not exceed the mean.

    Notes
    -----
    The likelihood is flat where ``average of digamma(x + r) - digamma(r) = log(1 + mean / r)``. With
    g the log of the ratio of the two sides, ``r g`` is nearly linear in log r near its one root, on
    either side of ``r = mean``: Newton's method needs three to six steps; bisection guards it.

    Examples
    --------
    >>> x = np.array([[0.0], [0], [1], [0], [4], [9], [0], [2]])
    >>> tally = np.array([[4.0, 1, 1, 0, 1, 0, 0, 0, 0, 1]])
    >>> size_from_tally(np.array([[8.0]]), tally, DistinctCounts.of(x)).round(3).tolist()
    [[0.405]]
    """
    share, starts, v = tally / N, distinct.starts[:-1], distinct.values
    mean = np.add.reduceat(share * v, starts, axis=1)
    excess = np.add.reduceat(share * v**2, starts, axis=1) - mean**2 - mean  # variance minus mean
    over = excess > 0.0
    rise = rise_of(share, distinct)

    low, high = (np.full(mean.shape, np.log(end)) for end in SIZES)
    with np.errstate(divide="ignore", invalid="ignore"):  # counts of no weight: bisection ends there too
        log_r = np.clip(np.log(mean**2 / np.where(over, excess, 1.0)), low, high)
        for _ in range(60):
            r = np.exp(log_r)
            left, bend = rise(r)
            right = np.log1p(mean / r)
            g = np.log(left / right)
            slope = mean / (r + mean) / right - r * bend / left  # of g in log r
            low, high = np.where(g > 0.0, log_r, low), np.where(g > 0.0, high, log_r)
            new = log_r - g / (g + slope)
            new = np.where((new >= low) & (new <= high), new, 0.5 * (low + high))
            done = (np.abs(new - log_r) < 1e-8) | ~over
            log_r = new
            if done.all():
                break
    return np.where(over, np.exp(log_r), SIZES[1])
