"""What passes between a check and a student's function: plain data, and nothing else.

Numbers, text, arrays, and lists, tuples and dictionaries of them. A check looks at a copy made of exact types only, so
an answer cannot lie about its shape, its length or its equality: whatever it was, it is data by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_BYTES = 64 * 2**20  # of one answer
MOST_ITEMS = 100_000  # entries of lists and dictionaries, all levels together
MOST_BITS = 4_096  # of a whole number
DEEPEST = 8  # lists within lists


@dataclass(frozen=True)
class Seed:
    """An argument that arrives as ``np.random.default_rng(value)``; a generator itself is no plain data."""

    value: int


class NotPlain(ValueError):
    """A value that is no plain data; the message says what it is, in words for a beginner."""


def plain(value: Any) -> Any:
    """A copy of `value` that consists of plain data.

    Parameters
    ----------
    value : object
        Anything at all.

    Returns
    -------
    None, bool, int, float, str, Seed, ndarray, or a list, tuple or dict (with text as keys) of these
        Arrays are of boolean, integer or floating type, contiguous, and exactly `numpy.ndarray`; arrays without axes
        become Python numbers. Anything else that NumPy reads as an array of numbers (a table of pandas, say) becomes
        one.

    Raises
    ------
    NotPlain
        If `value` is something else, is nested deeper than 8 levels, or is larger than 64 MB.

    Examples
    --------
    >>> plain((np.float32(0.5), [np.arange(3)]))
    (0.5, [array([0, 1, 2])])
    >>> plain({1, 2})
    Traceback (most recent call last):
    ...
    emlib.course.values.NotPlain: a set, which is no number, array, list, tuple or dictionary of numbers
    """
    return _Copy().of(value, 0)


class _Copy:
    """One copy being made; it counts what it has taken."""

    def __init__(self) -> None:
        self.n_bytes = 0
        self.n_items = 0

    def of(self, value: Any, depth: int) -> Any:
        kind = type(value)  # not isinstance: a subclass may say anything
        if value is None or kind in (bool, int, float, str, Seed):
            return self._single(value)
        if depth > DEEPEST:
            raise NotPlain(f"lists nested more than {DEEPEST} deep")
        if kind in (list, tuple):
            return kind([self.of(item, depth + 1) for item in self._counted(value)])
        if kind is dict:
            return {self._key(key): self.of(item, depth + 1) for key, item in self._counted(value).items()}
        return self._array(value)

    def _single(self, value: Any) -> Any:
        if type(value) is int and value.bit_length() > MOST_BITS:
            raise NotPlain(f"a whole number of {value.bit_length()} bits")
        if type(value) is str and any("\ud800" <= c <= "\udfff" for c in value):
            raise NotPlain("text with halves of characters in it")
        self._take(len(value) if type(value) is str else 8)
        return value

    def _counted(self, items: Any) -> Any:
        self.n_items += len(items)
        if self.n_items > MOST_ITEMS:
            raise NotPlain(f"a list of more than {MOST_ITEMS:,} entries (return an array)")
        return items

    def _take(self, n_bytes: int) -> None:
        self.n_bytes += n_bytes
        if self.n_bytes > MOST_BYTES:
            raise NotPlain(f"more than {MOST_BYTES // 2**20} MB of data")

    @staticmethod
    def _key(key: Any) -> str:
        if type(key) is not str:
            raise NotPlain(f"a dictionary whose keys are not text but {_a(type(key).__name__)}")
        return key

    def _array(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            self._take(np.ndarray.size.__get__(value) * 8)  # before it is copied: a broadcast array may be huge
        try:
            array = np.array(value, subok=False, order="C")
        except MemoryError:
            raise NotPlain("more data than there is memory") from None
        except Exception:  # its own __array__ may raise anything
            array = np.array(None)
        if array.dtype.kind not in "biuf":
            raise NotPlain(_what(value, array))
        if array.dtype.itemsize > 8 or not array.dtype.isnative:
            array = array.astype(f"{array.dtype.kind}{min(array.dtype.itemsize, 8)}")
        if not isinstance(value, np.ndarray):
            self._take(array.nbytes)
        return array.item() if array.ndim == 0 else array


def _what(value: Any, array: np.ndarray) -> str:
    if array.dtype.kind in "USO" and isinstance(value, np.ndarray):
        return f"an array of {'text' if array.dtype.kind != 'O' else 'objects'}, not of numbers"
    if array.dtype.kind == "c":
        return "complex numbers"
    if callable(value):
        return "a function (did you forget the brackets that call it?)"
    return f"{_a(type(value).__name__)}, which is no number, array, list, tuple or dictionary of numbers"


def _a(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
