"""Every window of w letters as a column of ones and zeros, so that the log-odds of many motifs are a matrix product."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...engine.latent import FloatArray
from .sequences import UNKNOWN, Background, Block

IMPOSSIBLE = -1e6  # log-odds of a window that cannot be a site: far below all others, and finite in single precision
KEEP = 2**22  # numbers of a block that are kept between iterations
PIECE = 2**15  # windows whose columns are made together where one sequence is very long


class Windows:
    """The windows of the sequences of a block that have any place for a site.

    Attributes
    ----------
    n, m : int
        Sequences with a place for a site, and windows of each.
    valid : array (n, m) of bool
        Windows of known letters.
    offset : array (n, m)
        Less the background's log probability of the window, plus its log prior: uniform over the places of a sequence
        where there is at most one site, and over strands; a position taken by an earlier motif is worth less.
    base : float
        The background's log probability of all sequences.
    rows : array (n,)
        Which sequences of the block these are.
    """

    def __init__(self, block: Block, w: int, background: Background, one_place: bool, strands: int, dtype: Any) -> None:
        self.w, self.dtype, self.background = w, dtype, background
        log_letters = background.log_probability(block.codes)
        self.base = float(log_letters.sum())
        valid = block.unbroken(w)
        able = valid.any(axis=1)
        self.rows: NDArray[np.intp] = np.flatnonzero(able)
        self.n, self.m = len(self.rows), max(block.codes.shape[1] - w + 1, 0)
        self.codes, self.valid = block.codes[able], valid[able]
        if not self.n:
            return
        sums = np.zeros((self.n, log_letters.shape[1] + 1))
        np.cumsum(log_letters[able], axis=1, out=sums[:, 1:])
        log_free = block.log_free(w)
        taken = log_free[able] if isinstance(log_free, np.ndarray) else log_free
        offset = sums[:, : self.m] - sums[:, w:] + taken - np.log(strands)
        if one_place:
            offset -= np.log(self.valid.sum(axis=1, keepdims=True))
        self.offset: FloatArray = np.where(self.valid, offset, IMPOSSIBLE)
        self._kept: list[tuple[int, NDArray[Any]]] | None = None

    def features(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Pieces (first window, columns): 4 w rows of ones and zeros, and the offset below them.

        The columns are those of all windows, sequence by sequence; of one long sequence they come in pieces.
        """
        if self._kept is not None:
            yield from self._kept
        elif self.n * self.m * (4 * self.w + 1) <= KEEP:
            self._kept = list(self._made())
            yield from self._kept
        else:
            yield from self._made()

    def _made(self) -> Iterator[tuple[int, NDArray[Any]]]:
        size = PIECE if self.n == 1 else self.m
        for first in range(0, self.m, size):
            stop = min(first + size, self.m)
            T = np.empty((4 * self.w + 1, self.n, stop - first), dtype=self.dtype)
            for a in range(4):
                here = self.codes[:, first : stop + self.w - 1] == a
                for i in range(self.w):
                    T[4 * i + a] = here[:, i : i + stop - first]
            T[-1] = self.offset[:, first:stop]
            yield first, T.reshape(len(T), -1)


def windows_of(
    block: Block,
    w: int,
    background: Background,
    one_place: bool,
    strands: int,
    precision: Literal["double", "single"],
) -> Windows:
    """The windows of a block, made once for a width."""
    key = ("windows", w, id(background), one_place, strands, precision)
    dtype = np.float64 if precision == "double" else np.float32
    made: Windows = block.once(key, lambda: Windows(block, w, background, one_place, strands, dtype))
    return made


__all__ = ["IMPOSSIBLE", "UNKNOWN", "Windows", "windows_of"]
