"""Rows in blocks: the same sum on one thread, on several, on data larger than memory.

Sufficient statistics add up, so an E-step over many rows is the sum of E-steps over blocks of
rows. The cut into blocks depends on the data alone, never on the number of threads, and blocks
are added in their order: the answer does not change with the machine.
"""

from __future__ import annotations

import functools
import math
import operator
import os
import sys
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import ThreadpoolController

from .latent import FloatArray, Latent

BLOCK_ROWS = 2**17  # large enough that a task costs nothing, small enough to share out fairly
KEEP_BYTES = 96 * 2**20  # a transposed copy up to this size is kept between iterations
KEEP_FEATURES = 8 * 2**20  # and so are features up to this size


class Rows:
    """A table of numbers in the layout that the kernel wants.

    The kernel works on transposed pieces, one variable along each row of memory, measured from
    an `origin` near the middle of the data (differences of large numbers lose digits).

    Parameters
    ----------
    X : array (n, d)
        The table; any float or integer dtype, a memmap included. Not copied here.
    origin : array (d,), optional
        Subtracted from every row; zero by default.

    Attributes
    ----------
    constants : dict
        What `once` has computed so far, of this table and its blocks.
    """

    def __init__(self, X: ArrayLike, origin: FloatArray | None = None) -> None:
        self.X = X if isinstance(X, np.ndarray) else np.asarray(X, dtype=float)
        if self.X.ndim != 2:
            raise ValueError(f"X has {self.X.ndim} dimensions; it must have 2, rows and columns.")
        self.n: int = self.X.shape[0]
        self.d: int = self.X.shape[1]
        self.origin = np.zeros(self.d) if origin is None else np.asarray(origin, dtype=float)
        self._whole = self.n  # rows of the table that this is a block of
        self._keep = 8 * self.X.size <= KEEP_BYTES and not isinstance(self.X, np.memmap)
        self._kept: dict[Hashable, list[FloatArray]] = {}
        self._first = 0  # row of the whole table at which this block begins
        self.constants: dict[tuple[int, Hashable], Any] = {}

    def __len__(self) -> int:
        return self.n

    @functools.cached_property
    def _parts(self) -> list[Rows]:
        return [self._part(i, i + BLOCK_ROWS) for i in range(0, self.n, BLOCK_ROWS)]

    def _part(self, start: int, stop: int) -> Rows:
        part = Rows(self.X[start:stop], self.origin)
        part._keep, part._whole, part.scale = self._keep, self._whole, self.scale
        part._first, part.constants = self._first + start, self.constants
        return part

    @classmethod
    def passing(cls, X: ArrayLike, origin: FloatArray, scale: FloatArray, constants: Any = ()) -> Rows:
        """A chunk of a larger table, looked at once: nothing is kept but what `once` computes.

        `origin` and `scale` are those of the larger table; `constants` of the last time are not computed again.
        """
        rows = cls(X, origin)
        rows._keep, rows.scale, rows.constants = False, scale, dict(constants)
        return rows

    @functools.cached_property
    def scale(self) -> FloatArray:
        """Root mean square of each column about the origin; blocks share that of the table."""
        return np.sqrt(self.squares() / max(self.n, 1))

    def squares(self) -> FloatArray:
        """Sums of squares of the columns about the origin (d,)."""
        squares = np.zeros(self.d)
        for rows in slices(self.n, self.d):
            centred = self.X[rows] - self.origin
            squares += np.einsum("nd,nd->d", centred, centred)
        return squares

    def blocks(self) -> list[Rows]:
        """The table, cut into blocks of at most `BLOCK_ROWS` rows."""
        return [self] if self.n <= BLOCK_ROWS else self._parts

    def pieces(self, rows: int, batch: int) -> Iterator[FloatArray]:
        """Transposed pieces (batch, d, rows) in order; the last may be smaller.

        They are kept for the next iteration if the whole table is small, else made on the way.
        """
        if not self._keep:
            yield from self.cut(rows, batch)
            return
        if (rows, batch) not in self._kept:
            self._kept = {(rows, batch): [piece.copy() for piece in self.cut(rows, batch)]}
        yield from self._kept[rows, batch]

    def cut(self, rows: int, batch: int) -> Iterator[FloatArray]:
        """The same, made on the way and overwritten by the next."""
        buffer = np.empty((batch, self.d, rows))
        origin = self.origin[:, None]
        whole = self.n - self.n % rows
        for i in range(0, whole, rows * batch):
            part = self.X[i : min(i + rows * batch, whole)]
            piece = buffer[: len(part) // rows]
            np.subtract(part.reshape(-1, rows, self.d).swapaxes(1, 2), origin, out=piece)
            yield piece
        if whole < self.n:
            yield np.subtract(self.X[whole:].T, origin, order="C")[None]

    def keeps_features(self, p: int) -> bool:
        """Whether p numbers a row, for the whole table, are few enough to be kept between iterations.

        Features begin with 1 and the row itself. Where they are hardly more, they are kept in place of the pieces.
        """
        return self._keep and 8 * self._whole * p <= (KEEP_BYTES if p <= self.d + 1 else KEEP_FEATURES)

    def features(
        self, key: Hashable, make: Callable[[FloatArray], FloatArray], rows: int, batch: int
    ) -> list[FloatArray]:
        """What `make` makes of each piece, kept instead of the pieces."""
        if (key, rows, batch) not in self._kept:
            self._kept = {(key, rows, batch): [make(piece) for piece in self.cut(rows, batch)]}
        return self._kept[key, rows, batch]

    def once(self, key: Hashable, compute: Callable[[Rows], Any]) -> Any:
        """A quantity of the data alone, computed at the first call for `key` and kept.

        Keys are compared by value, for a family comes to another process as a copy. A family of plain
        numbers is a key of its own; one that holds arrays must name what its quantity depends on.
        """
        if (self._first, key) not in self.constants:
            self.constants[self._first, key] = compute(self)
        return self.constants[self._first, key]


def slices(n: int, d: int = 1) -> Iterator[slice]:
    """Slices of `n` rows of d numbers, one after the other, each so short that a cache holds it (1 MB).

    Work on them needs the memory of one. No slice is longer than a block.
    """
    rows = min(max(2**17 // d, 256), BLOCK_ROWS)
    return (slice(i, min(i + rows, n)) for i in range(0, n, rows))


def as_rows(data: Any) -> Rows:
    """`data` as `Rows`; anything that is not yet `Rows` is read as an array."""
    return data if isinstance(data, Rows) else Rows(data)


def expect_over_blocks(
    model: Any, data: Any, points: Sequence[Any], latent: Latent, executor: Executor | None = None
) -> list[tuple[Any, float]]:
    """The E-step of `model` over all of `data`, at each of `points`: statistics and objective, summed over blocks.

    Data that live elsewhere are added up where they live: they have a method `total` (`engine.chunks`).
    """
    if hasattr(data, "total"):
        work = functools.partial(_expect_chunk, model, points)
        found = data.total(work, latent.split(len(data.lengths)), keep=True)
        return list(zip(found[: len(points)], map(math.fsum, found[len(points) :]), strict=True))
    blocks = data.blocks() if hasattr(data, "blocks") else [data]
    run = map if executor is None or len(blocks) == 1 else executor.map
    parts = list(run(lambda block, own: _e_steps(model, block, points, own), blocks, latent.split(len(blocks))))
    return [_summed(of_point) for of_point in zip(*parts, strict=True)]


def _e_steps(model: Any, block: Any, points: Sequence[Any], latent: Latent) -> list[tuple[Any, float]]:
    if len(points) > 1 and hasattr(model, "e_steps"):
        together: list[tuple[Any, float]] = model.e_steps(block, points, latent)
        return together
    return [model.e_step(block, params, latent) for params in points]


def _summed(parts: Sequence[tuple[Any, float]]) -> tuple[Any, float]:
    return functools.reduce(operator.add, (part[0] for part in parts)), math.fsum(part[1] for part in parts)


def _expect_chunk(model: Any, points: Sequence[Any], rows: Rows, latent: Latent) -> tuple[Any, ...]:
    """The E-steps over a chunk: all statistics, then all values in lists, so that each sum is rounded once."""
    pairs = expect_over_blocks(model, rows, points, latent)
    return (*(stats for stats, _ in pairs), *([value] for _, value in pairs))


def n_threads() -> int:
    """How many threads a fit may use: EMLIB_NUM_THREADS or OMP_NUM_THREADS, else all cores."""
    if sys.platform in ("emscripten", "wasi"):
        return 1
    for name in ("EMLIB_NUM_THREADS", "OMP_NUM_THREADS"):
        setting = os.environ.get(name, "")
        if setting.isascii() and setting.isdigit() and int(setting) > 0:
            return int(setting)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads() -> Executor | None:
    """The shared thread pool, or None where one thread is all there is."""
    n = n_threads()
    return None if n == 1 else _pool(n)


@functools.lru_cache(maxsize=1)
def _pool(n: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n, thread_name_prefix="emlib")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork


@functools.lru_cache(maxsize=1)
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


class _OneBlasThread:
    """Holds BLAS to one thread while any fit runs, and gives it back after the last.

    The limit belongs to the whole process. Fits that overlap in time must not restore what
    another has set, so they are counted.
    """

    def __init__(self) -> None:
        self.lock, self.running = threading.Lock(), 0
        self.limit: Any = None

    def __enter__(self) -> None:
        with self.lock:
            self.running += 1
            if self.running == 1:
                self.limit = _blas().limit(limits=1, user_api="blas")

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.running -= 1
            if self.running == 0:
                self.limit.restore_original_limits()


#: ``with one_blas_thread:`` because our blocks are too small to share, and spinning helpers cost.
one_blas_thread = _OneBlasThread()
