"""What goes through the pipes between the grader and the process that holds the student's code.

A frame is plain data (`emlib.course.values`) and nothing else: sixteen bytes that say how long it is, a header in
JSON, and the raw bytes of its arrays, one after the other.

    b"EMF1"   header length (4 bytes)   payload length (8 bytes)   header   payload

All numbers are little-endian, arrays in C order. The header is ``[nonce, value]``, where a value is null, true, false,
a number, text or a list of values as JSON has them, or one of

    {"tuple": [...]}   {"dict": [[key, value], ...]}   {"seed": 7}   {"array": ["<f8", [200, 3]]}

Whoever reads a frame trusts nothing in it: `decode` returns plain data within the limits below, or raises `BadFrame`,
and never does anything else. There is no pickle here, and no name in a frame is ever looked up.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np

from ..course.values import DEEPEST, MOST_BYTES, MOST_ITEMS, NotPlain, Seed

MAGIC = b"EMF1"
PREFIX = 16  # bytes before the header
MOST_HEADER = 4 * 2**20  # bytes
MOST_PAYLOAD = MOST_BYTES
MOST_MARKS = 4 * MOST_ITEMS  # commas and brackets: bounds what the header can become in memory before it is read
MOST_AXES = 32
MOST_BITS = 4096  # of a whole number
# An answer comes with what was printed and so on, which are a few more entries and levels than the answer itself has.
ENTRIES = MOST_ITEMS + 1_000
LEVELS = DEEPEST + 3

DTYPES = {
    name: np.dtype(name)
    for name in ("|b1", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8")
}


class BadFrame(ValueError):
    """A frame that is not one; the message says what is wrong with it."""


def encode(nonce: str, value: Any) -> bytes:
    """The frame that carries `value`.

    Parameters
    ----------
    nonce : str
        Says which question this is, or which one it answers.
    value : plain data
        Exactly one of the types of `emlib.course.values.plain`.

    Raises
    ------
    NotPlain
        If it is something else, or too large.

    Examples
    --------
    >>> decode(encode("a1", {"half": 0.5, "points": (np.arange(3),)}))
    ('a1', {'half': 0.5, 'points': (array([0, 1, 2]),)})
    """
    writer = _Writer()
    header = json.dumps([nonce, writer.tree(value, 0)], separators=(",", ":")).encode("ascii")
    if len(header) > MOST_HEADER or _marks(header) > MOST_MARKS:
        raise NotPlain("more text and single numbers than fit into an answer (return an array)")
    return b"".join([MAGIC, struct.pack("<IQ", len(header), writer.n_bytes), header, *writer.pieces])


def sizes(prefix: bytes) -> tuple[int, int]:
    """The lengths of header and payload that the first sixteen bytes of a frame announce.

    Raises
    ------
    BadFrame
        If they announce too much, or do not begin a frame.
    """
    if len(prefix) != PREFIX or prefix[:4] != MAGIC:
        raise BadFrame("it does not begin like a frame")
    n_header, n_payload = struct.unpack("<IQ", prefix[4:])
    if n_header > MOST_HEADER:
        raise BadFrame(f"it announces a header of {n_header:,} bytes; {MOST_HEADER:,} are allowed")
    if n_payload > MOST_PAYLOAD:
        raise BadFrame(f"it announces {n_payload:,} bytes of arrays; {MOST_PAYLOAD:,} are allowed")
    return n_header, n_payload


def decode(raw: bytes) -> tuple[str, Any]:
    """The nonce and the value of one whole frame.

    Raises
    ------
    BadFrame
        If anything at all is wrong with it.

    Examples
    --------
    >>> decode(b"EMF1" + bytes(12))
    Traceback (most recent call last):
    ...
    emlib.grading.frames.BadFrame: its header is not JSON
    """
    n_header, n_payload = sizes(raw[:PREFIX])
    if len(raw) != PREFIX + n_header + n_payload:
        raise BadFrame(f"it announces {PREFIX + n_header + n_payload:,} bytes and has {len(raw):,}")
    header = raw[PREFIX : PREFIX + n_header]
    if _marks(header) > MOST_MARKS:
        raise BadFrame("its header has too many entries")
    try:
        said = json.loads(header.decode("ascii"), parse_int=_whole)
    except (ValueError, RecursionError):
        raise BadFrame("its header is not JSON") from None
    if type(said) is not list or len(said) != 2 or type(said[0]) is not str:
        raise BadFrame("its header is not a nonce and a value")
    reader = _Reader(raw, PREFIX + n_header)
    value = reader.value(said[1], 0)
    if reader.at != len(raw):
        raise BadFrame("it has bytes that belong to no array")
    return said[0], value


def _marks(header: bytes) -> int:
    return header.count(b",") + header.count(b"[") + header.count(b"{")


def _whole(digits: str) -> int:
    if len(digits) > MOST_BITS // 3:
        raise ValueError("a number of too many digits")
    return int(digits)


class _Writer:
    """One frame being written: the arrays that it carries, in order."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.n_bytes = 0

    def tree(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if value is None or kind in (bool, float):
            return value
        if kind is int:
            return self._int(value)
        if kind is str:
            return self._str(value)
        if kind is Seed:
            if type(value.value) is not int:
                raise NotPlain("a seed that is no whole number")
            return {"seed": self._int(value.value)}
        if kind is np.ndarray:
            return self._array(value)
        if depth > LEVELS:
            raise NotPlain(f"lists nested more than {DEEPEST} deep")
        if kind is list:
            return [self.tree(item, depth + 1) for item in value]
        if kind is tuple:
            return {"tuple": [self.tree(item, depth + 1) for item in value]}
        if kind is dict:
            return {"dict": [[self._str(key), self.tree(item, depth + 1)] for key, item in value.items()]}
        raise NotPlain(f"a {kind.__name__}, which is no plain data")

    @staticmethod
    def _int(value: int) -> int:
        if value.bit_length() > MOST_BITS:
            raise NotPlain("a whole number of more than a thousand digits")
        return value

    @staticmethod
    def _str(value: Any) -> str:
        if type(value) is not str:
            raise NotPlain("a dictionary whose keys are not text")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise NotPlain("text that is no valid Unicode") from None
        return value

    def _array(self, value: np.ndarray) -> Any:
        if value.dtype.kind == "f" and value.dtype.itemsize > 8:
            value = value.astype("<f8")  # long doubles differ from machine to machine
        dtype = value.dtype.newbyteorder("<")
        if dtype.str not in DTYPES or value.ndim > MOST_AXES or not all(n <= MOST_PAYLOAD for n in value.shape):
            raise NotPlain(f"an array of {value.dtype} and shape {value.shape}, which is none of plain numbers")
        raw = value.astype(dtype, order="C", copy=False).tobytes()
        self.n_bytes += len(raw)
        if self.n_bytes > MOST_PAYLOAD:
            raise NotPlain(f"more than {MOST_PAYLOAD // 2**20} MB of data")
        self.pieces.append(raw)
        return {"array": [dtype.str, list(value.shape)]}


class _Reader:
    """One frame being read: where its next array begins, and how many entries have been met."""

    def __init__(self, raw: bytes, at: int) -> None:
        self.raw = raw
        self.at = at
        self.n_items = 0

    def value(self, tree: Any, depth: int) -> Any:
        kind = type(tree)
        if tree is None or kind in (bool, float):
            return tree
        if kind is int:
            return self._int(tree)
        if kind is str:
            return self._str(tree)
        if depth > LEVELS:
            raise BadFrame("it is nested too deep")
        if kind is list:
            return [self.value(item, depth + 1) for item in self._counted(tree)]
        return self._tagged(tree, depth)

    def _tagged(self, tree: dict[str, Any], depth: int) -> Any:
        if len(tree) != 1:
            raise BadFrame("a value in it has not one tag")
        [(tag, content)] = tree.items()
        if tag == "seed" and type(content) is int:
            return Seed(self._int(content))
        if type(content) is not list:
            raise BadFrame("a value in it has a wrong tag")
        if tag == "array":
            return self._array(content)
        if tag == "tuple":
            return tuple(self.value(item, depth + 1) for item in self._counted(content))
        if tag == "dict":
            return self._dict(content, depth)
        raise BadFrame("a value in it has an unknown tag")

    def _counted(self, items: list[Any]) -> list[Any]:
        self.n_items += len(items)
        if self.n_items > ENTRIES:
            raise BadFrame(f"it has more than {MOST_ITEMS:,} entries")
        return items

    def _dict(self, pairs: list[Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for pair in self._counted(pairs):
            if type(pair) is not list or len(pair) != 2 or type(pair[0]) is not str:
                raise BadFrame("a dictionary in it is not made of pairs")
            key = self._str(pair[0])
            if key in found:
                raise BadFrame("a dictionary in it has a key twice")
            found[key] = self.value(pair[1], depth + 1)
        return found

    @staticmethod
    def _int(value: int) -> int:
        if value.bit_length() > MOST_BITS:
            raise BadFrame("a number in it has too many digits")
        return value

    @staticmethod
    def _str(value: str) -> str:
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise BadFrame("text in it is no valid Unicode") from None
        return value

    def _array(self, content: list[Any]) -> np.ndarray:
        if len(content) != 2 or type(content[0]) is not str or type(content[1]) is not list:
            raise BadFrame("an array in it has not a type and a shape")
        name, shape = content
        if name not in DTYPES:
            raise BadFrame("an array in it is of an unknown type")
        if not 1 <= len(shape) <= MOST_AXES or not all(type(n) is int and 0 <= n <= MOST_PAYLOAD for n in shape):
            raise BadFrame("an array in it has an impossible shape")
        dtype = DTYPES[name]
        # Without its empty axes too it must be no larger than what could be sent: NumPy computes with such sizes.
        if math.prod(max(n, 1) for n in shape) * dtype.itemsize > MOST_PAYLOAD:
            raise BadFrame("an array in it has an impossible shape")
        count = math.prod(shape)
        end = self.at + count * dtype.itemsize
        if end > len(self.raw):
            raise BadFrame("an array in it is longer than its bytes")
        if dtype.kind == "b" and count and max(self.raw[self.at : end]) > 1:
            raise BadFrame("an array in it is neither true nor false")
        array = np.frombuffer(self.raw, dtype, count, self.at) if count else np.empty(0, dtype)
        self.at = end
        return np.array(array.reshape(shape), dtype=dtype.newbyteorder("="), order="C")
