"""Tables whose rows follow each other in time: where sequences begin, and which rows were never seen."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .blocks import BLOCK_ROWS, Rows
from .chains import Cuts
from .latent import FloatArray


class Sequences:
    """One or more sequences of observations, in one table.

    Parameters
    ----------
    X : array (n, d)
        The sequences, one after the other.
    lengths : array (Q,) of int, optional
        Their lengths; one sequence if None.
    origin : array (d,), optional
        As in `engine.blocks.Rows`.
    seen : array (n,) of bool, optional
        False for rows that are missing: time passes, nothing is observed. What `X` holds there is not read.

    Attributes
    ----------
    rows : Rows
        The observed rows alone.
    cuts : Cuts
        Lengths and beginnings, missing rows included.

    Examples
    --------
    >>> two = Sequences(np.array([[1.0], [2], [3], [4], [5]]), [2, 3])
    >>> len(two), two[1:].rows.X.ravel().tolist()
    (2, [3.0, 4.0, 5.0])
    """

    def __init__(
        self,
        X: ArrayLike,
        lengths: Any = None,
        origin: FloatArray | None = None,
        seen: NDArray[np.bool_] | None = None,
    ) -> None:
        table = X if isinstance(X, np.ndarray) else np.asarray(X, dtype=float)
        self.cuts = Cuts([len(table)] if lengths is None else lengths)
        if self.cuts.n != len(table):
            raise ValueError(f"lengths sum to {self.cuts.n}, but X has {len(table)} rows.")
        self.where: NDArray[np.intp] | None = None if seen is None or seen.all() else np.flatnonzero(seen)
        self.rows = Rows(table if self.where is None else table[self.where], origin)

    @classmethod
    def _part(cls, whole: Sequences, first: int, stop: int) -> Sequences:
        part, cuts = cls.__new__(cls), whole.cuts
        part.cuts = Cuts(cuts.lengths[first:stop])
        begin = int(cuts.firsts[first]) if first < len(cuts) else cuts.n
        end = begin + part.cuts.n
        if whole.where is None:
            part.where, part.rows = None, whole.rows._part(begin, end)
        else:
            a, b = (int(i) for i in np.searchsorted(whole.where, [begin, end]))
            part.where, part.rows = whole.where[a:b] - begin, whole.rows._part(a, b)
        part.rows.constants = {}  # those of a table and of its first rows go by the same key
        return part

    def __len__(self) -> int:
        return len(self.cuts)

    def __getitem__(self, some: slice) -> Sequences:
        """Sequences that follow each other; they share origin and scale with the whole."""
        first, stop, _ = some.indices(len(self))
        return self._part(self, first, max(stop, first))

    @property
    def n(self) -> int:
        """Number of rows, missing ones included."""
        return self.cuts.n

    @functools.cached_property
    def _parts(self) -> list[Sequences]:
        ends, parts, first = np.cumsum(self.cuts.lengths), [], 0
        while first < len(self):
            begun = int(ends[first - 1]) if first else 0
            stop = max(int(np.searchsorted(ends, begun + BLOCK_ROWS, side="right")), first + 1)
            parts.append(self[first:stop])
            first = stop
        return parts

    def blocks(self) -> list[Sequences]:
        """Whole sequences, together at most `BLOCK_ROWS` rows a block where a single one is not longer."""
        return [self] if self.n <= BLOCK_ROWS or len(self) == 1 else self._parts

    def over_time(self, of_seen: FloatArray) -> FloatArray:
        """Numbers (K, m) of the observed rows as (K, n): zero at missing ones, whose density is one in every state."""
        if self.where is None:
            return of_seen
        spread = np.zeros((len(of_seen), self.n))
        spread[:, self.where] = of_seen
        return spread

    def of_seen(self, over_time: NDArray[Any]) -> NDArray[Any]:
        """The other way: from (..., n) to the observed rows (..., m)."""
        return over_time if self.where is None else over_time[..., self.where]


def as_sequences(data: Any) -> Sequences:
    """`data` as `Sequences`; anything else is read as one sequence."""
    return data if isinstance(data, Sequences) else Sequences(data.X if isinstance(data, Rows) else data)
