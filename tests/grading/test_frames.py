"""Frames carry plain data exactly, and whatever else arrives is refused with one kind of exception."""

import json
import math
import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emlib.course.values import MOST_ITEMS, NotPlain, Seed, plain
from emlib.grading import frames
from emlib.grading.frames import BadFrame, decode, encode

EVERYTHING = {
    "none": None,
    "truth": [True, False],
    "numbers": (0, -1, 2**200, 0.1, -0.0, math.inf, -math.inf, math.nan, 5e-324),
    "text": ["", "é \U0001f600 \x00 \n", '{"tuple": []}'],
    "seed": Seed(7),
    "arrays": [np.arange(6).reshape(2, 3), np.zeros((0, 3)), np.array([True, False]), np.float32([1.5, np.nan])],
    "nested": [[[({"a": (1,)},)]]],
}


def same(left, right):
    """Equal in value and in type, at every depth; nan equals nan and 0.0 is not -0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    if isinstance(left, float):
        return struct.pack("<d", left) == struct.pack("<d", right)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return left == right


def test_everything_returns_as_it_was():
    nonce, value = decode(encode("nonce", EVERYTHING))
    assert nonce == "nonce"
    assert same(value, EVERYTHING)


scalars = st.none() | st.booleans() | st.integers(-(2**300), 2**300) | st.floats(allow_nan=False) | st.text(max_size=8)
arrays = hnp.arrays(
    st.sampled_from([np.dtype(name) for name in frames.DTYPES]), hnp.array_shapes(min_dims=1, min_side=0, max_side=4)
)
data = st.recursive(
    scalars | arrays,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)  # a busy machine is no error
@given(data)
def test_plain_data_of_any_make_returns_as_it_was(value):
    try:
        value = plain(value)
    except NotPlain:
        return
    assert same(decode(encode("", value))[1], value)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", [">f8", ">i4", "<f8", "g"])
def test_arrays_of_other_makes_arrive_as_the_same_numbers(kind, order):
    array = np.arange(12).reshape(3, 4).astype(kind, order=order)[::2]
    _, arrived = decode(encode("", array))
    assert arrived.dtype.isnative
    assert arrived.flags.c_contiguous
    assert arrived.flags.writeable
    np.testing.assert_array_equal(arrived, array)


@pytest.mark.parametrize(
    "value",
    [
        {1},
        {1: 2},
        object(),
        "\ud800",
        {"\udfff": 1},
        2**5000,
        Seed("x"),
        Seed(True),
        np.float64(1.0),
        np.array([object()]),
        np.array(["text"]),
        np.array([1j]),
        np.zeros((0, 2**40)),
        np.zeros(2**23 + 1),
        ["x" * 2**22],
        [0] * 10**6,
        type("Int", (int,), {})(3),
        type("Array", (np.ndarray,), {})(3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_plain_is_not_sent(value):
    with pytest.raises(NotPlain):
        encode("", value)


def frame(header, payload=b"", **other):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    n_header, n_payload = other.get("n_header", len(raw)), other.get("n_payload", len(payload))
    return other.get("magic", b"EMF1") + struct.pack("<IQ", n_header, n_payload) + raw + payload


def nested(depth):
    return b'["",' + b"[" * depth + b"]" * depth + b"]"


BAD = {
    "empty": b"",
    "short": b"EMF1",
    "another magic": frame(["", 1], magic=b"EMF2"),
    "a pickle": b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix",
    "header too long": b"EMF1" + struct.pack("<IQ", 2**32 - 1, 0),
    "payload too long": b"EMF1" + struct.pack("<IQ", 2, 2**63),
    "header cut off": frame(["", 1], n_header=20),
    "bytes left over": frame(["", 1], b"x"),
    "bytes after the end": frame(["", 1]) + b"x",
    "no JSON": frame(b"["),
    "no ASCII": frame('["", "é"]'.encode()),
    "UTF-7": frame(b"+AG8-"),
    "no nonce": frame([1, 2]),
    "no list": frame({"nonce": 1}),
    "three": frame(["", 1, 2]),
    "two tags": frame(["", {"tuple": [], "dict": []}]),
    "no tag": frame(["", {}]),
    "unknown tag": frame(["", {"eval": ["1"]}]),
    "a tag of the wrong kind": frame(["", {"tuple": 3}]),
    "seed of text": frame(["", {"seed": "3"}]),
    "seed of truth": frame(["", {"seed": True}]),
    "dictionary without pairs": frame(["", {"dict": [1]}]),
    "dictionary of numbers": frame(["", {"dict": [[1, 2]]}]),
    "a key twice": frame(["", {"dict": [["a", 1], ["a", 2]]}]),
    "half a surrogate": frame(rb'["", "\ud800"]'),
    "half a surrogate as key": frame(rb'["", {"dict": [["\ud800", 1]]}]'),
    "a huge number": frame(b'["", ' + b"9" * 4000 + b"]"),
    "a larger number": frame(b'["", ' + b"9" * 1300 + b"]"),
    "deep": frame(nested(20)),
    "deeper": frame(nested(100_000)),
    "deepest": frame(nested(900_000)),
    "many entries": frame(["", [0] * (MOST_ITEMS + 2_000)]),
    "many marks": frame(b'["",[' + b"[],[]," * 300_000 + b"[]]]"),
    "array without shape": frame(["", {"array": ["<f8"]}]),
    "array of objects": frame(["", {"array": ["|O", [1]]}], bytes(8)),
    "array of text": frame(["", {"array": ["<U4", [1]]}], bytes(16)),
    "array of records": frame(["", {"array": ["<f8,<f8", [1]]}], bytes(16)),
    "array of dates": frame(["", {"array": ["<M8[ns]", [1]]}], bytes(8)),
    "array of an unhashable type": frame(["", {"array": [["<f8"], [1]]}], bytes(8)),
    "array without axes": frame(["", {"array": ["<f8", []]}], bytes(8)),
    "array of many axes": frame(["", {"array": ["<f8", [1] * 65]}], bytes(8)),
    "negative axis": frame(["", {"array": ["<f8", [-1]]}], bytes(8)),
    "two negative axes": frame(["", {"array": ["<f8", [-1, -1]]}], bytes(8)),
    "axis of truth": frame(["", {"array": ["<f8", [True]]}], bytes(8)),
    "axis of a float": frame(["", {"array": ["<f8", [1.0]]}], bytes(8)),
    "shape beyond the bytes": frame(["", {"array": ["<f8", [2]]}], bytes(8)),
    "shape that overflows": frame(["", {"array": ["<f8", [2**32, 2**32]]}], bytes(8)),
    "shape that overflows to nothing": frame(["", {"array": ["<f8", [2**20] * 16]}]),
    "nothing, enormously": frame(["", {"array": ["<f8", [0, 2**20, 2**20]]}]),
    "neither true nor false": frame(["", {"array": ["|b1", [1]]}], b"\x02"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_frame_is_refused_with_a_sentence(name):
    with pytest.raises(BadFrame) as caught:
        decode(BAD[name])
    assert str(caught.value).startswith(("it ", "its ", "a ", "an ", "text "))


def mutated(rng, raw):
    """This frame with a few things wrong."""
    raw = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(raw))
        match rng.randrange(8):
            case 0:
                raw[at] ^= 1 << rng.randrange(8)
            case 1:
                raw[at] = rng.randrange(256)
            case 2:
                del raw[at : at + rng.randrange(1, 20)]
            case 3:
                raw[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
            case 4:
                raw[at:at] = raw[at : at + rng.randrange(1, 40)]
            case 5:
                raw[at : at + 1] = rng.choice(
                    [b"[", b"]", b"{", b"}", b",", b'"', b"NaN", b"1e999", b"-", b"true", b"\\ud800"]
                )
            case 6:
                raw[4:16] = struct.pack("<IQ", rng.choice([0, 1, 2**31, len(raw)]), rng.choice([0, 1, 2**40, len(raw)]))
            case 7:  # the lengths are right, so that what is inside is read
                raw[at] = rng.randrange(32, 127)
        if not raw:
            return b""
    if rng.random() < 0.5 and len(raw) > 40:
        n_payload = rng.choice([0, len(raw) - 16 - raw.rfind(b"]") - 1 + 16])
        raw[4:16] = struct.pack("<IQ", max(0, len(raw) - 16 - n_payload), n_payload)
    return bytes(raw)


def fuzz(n, seed):
    rng = random.Random(seed)
    good = [
        encode("n", value) for value in [*EVERYTHING.values(), EVERYTHING, {"kind": "returned", "value": np.eye(3)}]
    ]
    read = 0
    for _ in range(n):
        raw = mutated(rng, rng.choice(good))
        try:
            _, value = decode(raw)
        except BadFrame:
            continue
        read += 1
        encode("n", value)  # what was read is plain data
    return read


def test_mutated_frames_are_plain_data_or_refused():
    read = fuzz(5_000, 1)
    assert 50 < read < 4_950  # the mutations are neither harmless nor hopeless


@pytest.mark.slow
def test_a_hundred_thousand_mutated_frames():
    assert fuzz(120_000, 2) > 1_000
