"""Rows in chunks that live elsewhere: on disk, in other processes, on other machines.

Statistics add up, so an E-step over a table that no memory holds is a sum over its chunks. Dask
brings the work to each chunk, runs it with whatever scheduler is active (threads of this process,
or the workers of a ``distributed.Client``), and does lost work again. What is left to say here:
which work, and in which order its results are added. That order is fixed by the chunks alone, so
the sum is the same to the last bit on any number of workers, and after a worker was lost.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .blocks import Rows, one_blas_thread
from .latent import FloatArray

FAN_IN = 16  # results added by one task: a table of 10,000 chunks is three layers of sums


class Chunks:
    """A table of numbers in chunks; has no rows of its own, only ways to reach them.

    A chunk is read anew for every pass unless it is held somewhere already (``X.persist()``), so
    that memory is needed for the chunks being worked on and no more.

    Parameters
    ----------
    chunks : sequence of dask.delayed.Delayed
        Arrays (rows, d), in the order of the table. Not empty ones.
    lengths : sequence of int
        Their numbers of rows.
    origin, scale : arrays (d,)
        Of the whole table, as in `engine.blocks.Rows`: all chunks agree on them, or their
        statistics would not add up.
    """

    def __init__(self, chunks: Sequence[Any], lengths: Sequence[int], origin: FloatArray, scale: FloatArray) -> None:
        self.chunks, self.lengths = list(chunks), [int(length) for length in lengths]
        self.origin, self.scale = origin, scale
        self.n, self.d = sum(self.lengths), len(origin)
        self._constants: list[Any] | None = None  # of every chunk, where it was computed

    def __len__(self) -> int:
        return self.n

    def total(self, work: Callable[[Rows, Any], Any], own: Sequence[Any], *, keep: bool = False) -> list[Any]:
        """The sum over chunks of ``work(rows, own)``, a tuple of things that can be added.

        Parameters
        ----------
        work : callable
            Must be importable by the workers.
        own : sequence
            For every chunk what it alone is given: a stream of random numbers, for instance.
        keep : bool
            Keep the constants of the data (`Rows.once`) where they were computed, for the next
            call with `keep`. Meant for the E-steps of one model.

        Returns
        -------
        list
            One sum for each entry of the tuple.
        """
        import dask

        # One node of the graph, so that it travels to each worker once and not to each chunk.
        order = dask.delayed((work, self.origin, self.scale), traverse=False, pure=False)
        if keep and self._constants is None:
            return self._first_total(order, own)
        visit = dask.delayed(_visit, pure=False)
        extra = [self._constants] if keep and self._constants else []
        visits = [visit(order, *each) for each in zip(self.chunks, own, *extra, strict=True)]
        return list(add_up(visits).compute())

    def _first_total(self, order: Any, own: Sequence[Any]) -> list[Any]:
        """`total`, in the same pass leaving the constants of each chunk where they were computed."""
        import dask

        visit = dask.delayed(_visit_first, pure=False, nout=2)
        pairs = [visit(order, *each) for each in zip(self.chunks, own, strict=True)]
        result, *constants = dask.persist(add_up([parts for parts, _ in pairs]), *(kept for _, kept in pairs))
        *parts, found = result.compute()
        self._constants = constants if found else []  # only now: without a density the line above has raised
        return parts

    def sample(self, size: int, rng: np.random.Generator) -> Rows:
        """`size` different rows chosen at random, in the order of the table; all if there are no more."""
        import dask

        some = size < self.n
        chosen = np.sort(rng.choice(self.n, size, replace=False, shuffle=False)) if some else np.arange(self.n)
        ends = np.cumsum(self.lengths)
        cuts = np.searchsorted(chosen, ends)[:-1]
        take = dask.delayed(_take, pure=False)
        pieces = zip(self.chunks, ends - self.lengths, np.split(chosen, cuts), strict=True)
        taken = dask.compute(*(take(chunk, rows - first) for chunk, first, rows in pieces if len(rows)))
        return Rows(np.concatenate(taken), self.origin)


def add_up(parts: Sequence[Any]) -> Any:
    """One `Delayed` that holds the sums of many: of tuples, entry by entry, in an order that never changes."""
    import dask

    add, level = dask.delayed(_add, pure=False), list(parts)
    while len(level) > 1:
        level = [add(*level[i : i + FAN_IN]) for i in range(0, len(level), FAN_IN)]
    return level[0]


def _add(*parts: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(functools.reduce(operator.add, entries) for entries in zip(*parts, strict=True))


def _visit(order: Any, chunk: Any, own: Any, constants: Any = ()) -> Any:
    return _obey(order, chunk, own, constants)[0]


def _visit_first(order: Any, chunk: Any, own: Any) -> tuple[Any, Any]:
    """The same, with the number of constants found as one more part, and the constants."""
    parts, rows = _obey(order, chunk, own, ())
    return (*parts, len(rows.constants)), rows.constants


def _obey(order: Any, chunk: Any, own: Any, constants: Any) -> tuple[Any, Rows]:
    """What the loop does around an E-step in its own process, done where the chunk is."""
    work, origin, scale = order
    rows = Rows.passing(np.asarray(chunk), origin, scale, constants)
    with one_blas_thread, np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return work(rows, own), rows


def _take(chunk: Any, rows: Any) -> Any:
    return np.asarray(chunk)[rows]
