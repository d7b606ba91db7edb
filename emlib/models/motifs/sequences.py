"""Sequences as numbers: letters coded 0 to 3, rectangles of similar length, and the background they are made of.

``A C G T`` are 0 1 2 3, so that the complement of a letter is 3 minus it; everything else (N, padding) is 4 and can be
part of no site.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.blocks import Rows
from ...engine.latent import FloatArray

Codes = NDArray[np.int8]

LETTERS = "ACGT"
UNKNOWN = 4
BLOCK_WINDOWS = 2**15  # positions in one rectangle: its features (4 w numbers a position) then stay near the cache
MAX_ORDER = 3


@dataclass(frozen=True)
class Background:
    """What sequences are made of where there is no site: a Markov chain of order 0 to 3.

    Attributes
    ----------
    tables : tuple of arrays
        ``tables[k]`` has the shape (4,) * (k + 1): the probability of the last letter given the k before it. Where
        fewer letters come before (at a beginning, or after an N), the table of that order is used.

    References
    ----------
    Thijs et al. (2001), *Bioinformatics* 17, for what a higher order gains.

    Examples
    --------
    >>> Background.uniform().tables[0].tolist()
    [0.25, 0.25, 0.25, 0.25]
    """

    tables: tuple[FloatArray, ...]

    @classmethod
    def uniform(cls) -> Background:
        """Four equally probable letters."""
        return cls((np.full(4, 0.25),))

    @classmethod
    def given(cls, frequencies: Any) -> Background:
        """Known frequencies of A, C, G and T (order 0), or of the last letter given those before: shape (4, ..., 4).

        Raises
        ------
        ValueError
            If they are no positive probabilities.
        """
        try:
            table = np.asarray(frequencies, dtype=float)
        except (TypeError, ValueError):
            table = np.zeros(0)
        if not (1 <= table.ndim <= MAX_ORDER + 1 and set(table.shape) == {4} and np.isfinite(table).all()):
            raise ValueError(
                f"background is {frequencies!r}; it must be an order from 0 to {MAX_ORDER}, or probabilities "
                "of A, C, G and T, of the shape (4,) or (4, ..., 4) with the letter itself last."
            )
        if not ((table > 0).all() and np.allclose(table.sum(axis=-1), 1.0, atol=1e-3)):
            raise ValueError("background holds probabilities that are not above 0, or that do not sum to 1.")
        tables = [table / table.sum(axis=-1, keepdims=True)]
        while tables[0].ndim > 1:  # shorter contexts by averaging over the earliest letter
            tables.insert(0, tables[0].mean(axis=0))
        return cls(tuple(tables))

    @classmethod
    def estimated(cls, parts: Sequence[Codes], order: int, both_strands: bool) -> Background:
        """Frequencies of words of ``order + 1`` letters, on both strands if sites may lie on either.

        One pseudo-count a context is shared out by the frequencies of the order below, so that no letter is impossible.
        """
        tables: list[FloatArray] = []
        for k in range(order + 1):
            counts = np.zeros(5 ** (k + 1))
            for codes in parts:
                for one in (codes, _reversed(codes)) if both_strands else (codes,):
                    counts += np.bincount(_words(one, k + 1).ravel(), minlength=len(counts))
            known = counts.reshape((5,) * (k + 1))[(slice(0, 4),) * (k + 1)]
            pseudo = tables[-1] if tables else np.full(4, 0.25)
            tables.append((known + pseudo) / (known + pseudo).sum(axis=-1, keepdims=True))
        return cls(tuple(tables))

    @property
    def order(self) -> int:
        """How many letters back it looks."""
        return len(self.tables) - 1

    @property
    def frequencies(self) -> FloatArray:
        """Probabilities (4,) of single letters."""
        return self.tables[0]

    def log_probability(self, codes: Codes) -> FloatArray:
        """Log probability of each letter given those before it on its line, (N, L); 0 for what is no base."""
        N, L = codes.shape
        found = np.zeros((N, L))
        for k, table in enumerate(self.tables):  # longer contexts overwrite shorter ones wherever there is one
            if k >= L:
                break
            full = np.zeros((5,) * (k + 1))
            full[(slice(0, 4),) * (k + 1)] = np.log(table)
            words = _words(codes, k + 1)
            known = _unbroken(codes, k + 1)
            found[:, k:][known] = full.ravel()[words[known]]
        return found


def _words(codes: Codes, k: int) -> NDArray[np.int64]:
    """Words of k letters as numbers in base 5, (N, L - k + 1)."""
    n = max(codes.shape[1] - k + 1, 0)
    words = np.zeros((len(codes), n), dtype=np.int64)
    for i in range(k):
        words = 5 * words + codes[:, i : i + n]
    return words


def _unbroken(codes: Codes, w: int) -> NDArray[np.bool_]:
    """Where w letters in a row are known, (N, L - w + 1)."""
    unknown = np.zeros((len(codes), codes.shape[1] + 1), dtype=np.int32)
    np.cumsum(codes == UNKNOWN, axis=1, out=unknown[:, 1:])
    return np.asarray(unknown[:, w:] == unknown[:, : max(unknown.shape[1] - w, 0)])


def _reversed(codes: Codes) -> Codes:
    """The other strand."""
    turned = codes[:, ::-1]
    return np.where(turned == UNKNOWN, turned, 3 - turned)


class Block:
    """A rectangle of sequences of similar length, filled up with `UNKNOWN`; features made once are kept.

    Parameters
    ----------
    codes : array (N, L) of int8
    index : array (N,) of int, optional
        Which sequences these are.
    free : array (N, L), optional
        Between 0 and 1: how little of a position is taken by motifs found before. A window counts as its least free
        position.
    """

    def __init__(self, codes: Any, index: NDArray[np.intp] | None = None, free: FloatArray | None = None) -> None:
        self.codes: Codes = np.asarray(codes).astype(np.int8, copy=False)
        self.index = np.arange(len(self.codes)) if index is None else index
        self.free = free
        self._kept: dict[Hashable, Any] = {}

    def __len__(self) -> int:
        return len(self.codes)

    def once(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """What `compute` returns, remembered under `key` until another key of the same kind (its first item) comes."""
        kind = key[0] if isinstance(key, tuple) else key
        if self._kept.get(kind, (None,))[0] != key:
            self._kept[kind] = (key, compute())
        return self._kept[kind][1]

    def unbroken(self, w: int) -> NDArray[np.bool_]:
        """Where a window of w known letters begins, (N, L - w + 1)."""
        return _unbroken(self.codes, w)

    def log_free(self, w: int) -> FloatArray | float:
        """Log of how free each window is, (N, L - w + 1); 0 if nothing is taken."""
        if self.free is None:
            return 0.0
        least = np.lib.stride_tricks.sliding_window_view(self.free, w, axis=1).min(axis=2)
        return np.asarray(np.log(np.maximum(least, 1e-12)))


class DNASequences:
    """Many sequences, as rectangles that the E-step takes one by one.

    Parameters
    ----------
    codes : sequence of arrays of int8
        One a sequence, letters as 0 to 4.
    """

    def __init__(self, codes: Sequence[Codes]) -> None:
        self.codes = list(codes)
        order = np.argsort([len(c) for c in self.codes], kind="stable")
        self._blocks: list[Block] = []
        first = 0
        while first < len(order):
            longest, last = len(self.codes[order[first]]), first + 1
            while last < len(order):
                longest = len(self.codes[order[last]])
                if longest * (last + 1 - first) > BLOCK_WINDOWS:
                    break
                last += 1
            self._blocks.append(_rectangle(self.codes, order[first:last]))
            first = last

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[Codes]:
        return iter(self.codes)

    def blocks(self) -> list[Block]:
        """Rectangles, the shortest sequences first."""
        return self._blocks

    def erased(self, taken: Callable[[Block], FloatArray]) -> DNASequences:
        """The same sequences with the part `taken` (N, L) of each position no longer free."""
        other = DNASequences.__new__(DNASequences)
        other.codes = self.codes
        other._blocks = []
        for block in self._blocks:
            free = 1.0 - taken(block)
            other._blocks.append(Block(block.codes, block.index, free if block.free is None else free * block.free))
        return other

    def background(self, order: int, both_strands: bool) -> Background:
        """Their own composition."""
        return Background.estimated([block.codes for block in self._blocks], order, both_strands)

    def some(self, chosen: NDArray[np.intp]) -> DNASequences:
        """A part of them."""
        return DNASequences([self.codes[i] for i in chosen])


def _rectangle(codes: list[Codes], index: NDArray[np.intp]) -> Block:
    table = np.full((len(index), max(len(codes[i]) for i in index)), UNKNOWN, dtype=np.int8)
    for row, i in enumerate(index):
        table[row, : len(codes[i])] = codes[i]
    return Block(table, index)


def as_blocks(data: Any) -> list[Block]:
    """Whatever an E-step is given, as rectangles: `DNASequences`, a `Block`, or plain codes (N, L)."""
    if isinstance(data, Block):
        return [data]
    if isinstance(data, DNASequences):
        return data.blocks()
    return [Block(data.X if isinstance(data, Rows) else data)]


_TABLE = np.full(256, -1, dtype=np.int8)
for _i, _letter in enumerate(LETTERS):
    _TABLE[ord(_letter)] = _TABLE[ord(_letter.lower())] = _i
_TABLE[ord("U")] = _TABLE[ord("u")] = 3
for _letter in "NRYSWKMBDHVX-.*":
    _TABLE[ord(_letter)] = _TABLE[ord(_letter.lower())] = UNKNOWN


def encode(text: str, name: str = "") -> Codes:
    """Letters as numbers; ambiguity codes become `UNKNOWN`.

    Raises
    ------
    ValueError
        For a letter that is none of DNA or RNA; it says which, and where.

    Examples
    --------
    >>> encode("ACGTn").tolist()
    [0, 1, 2, 3, 4]
    """
    raw = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    codes = np.where(raw < 256, _TABLE[np.minimum(raw, 255)], np.int8(-1))
    if (codes < 0).any():
        at = int(np.flatnonzero(codes < 0)[0])
        raise ValueError(
            f"sequence {name or repr(text[:20])} holds {text[at]!r} at position {at + 1}; DNA is written with A, C, G, "
            "T (and N or another IUPAC code for what is not known)."
        )
    return codes


def decode(codes: Codes) -> str:
    """The letters again.

    Examples
    --------
    >>> decode(encode("acgtR"))
    'ACGTN'
    """
    return np.frombuffer(b"ACGTN", dtype=np.uint8)[codes].tobytes().decode()
