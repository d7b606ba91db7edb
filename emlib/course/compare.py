"""Is this answer the same as that one? If not: the most helpful thing to say about the difference.

A comparison takes an answer and what it should be, and returns nothing if they agree. It serves twice: against the
reference to judge an answer, and against every slip to name a mistake.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

RELATIVE = 1e-5  # of each number: single precision and other orders of summation pass, a forgotten factor does not
OF_LARGEST = 1e-6  # of the largest number of its array: what is nearly zero may be a little off
NOTHING = 1e-12  # what is exactly zero comes out of sums as rounding
MOST_PERMUTED = 6  # components that are tried in every order


@dataclass(frozen=True)
class Difference:
    """What is wrong with an answer.

    Attributes
    ----------
    sentence : str
        In words and shapes; it may be shown to anybody.
    numbers : str
        With numbers of the case at hand; not shown where the case is hidden.
    share : float
        Of the points that the answer earns all the same: 0, but where answers are good and better
        (`emlib.course.open_ended`), above 1 where better than enough.
    """

    sentence: str
    numbers: str = ""
    share: float = 0.0


Inputs = Mapping[str, Any]
Rule = Callable[[Any, Inputs], "str | None"]


class Compare(Protocol):
    """Compare an answer with the expected one; `returns` names the parts of the answer and their shapes."""

    def __call__(self, answer: Any, expected: Any, inputs: Inputs, returns: Mapping[str, str]) -> Difference | None:
        """What is wrong; None if nothing is."""
        ...


def close(
    *, relative: float = RELATIVE, of_largest: float = OF_LARGEST, any_order: str = "", rule: Rule | None = None
) -> Compare:
    """Numbers that agree within a tolerance.

    Parameters
    ----------
    relative, of_largest : float
        An entry may differ by ``relative * |expected| + of_largest * max |expected|``, and by
        1e-12 where all are zero.
    any_order : str
        The letter of an axis, such as ``K``, along which the answer may be permuted (all parts that have it, alike).
    rule : callable, optional
        ``rule(answer, inputs)`` returns a sentence if the answer breaks a law that a student can check alone, such as
        "each row should sum to one". It is asked only when the numbers are wrong, and explains; it does not judge.

    Examples
    --------
    >>> same = close()
    >>> same(0.333333, 1 / 3, {}, {"mean": "()"})
    >>> same(np.zeros((3, 200)), np.zeros((200, 3)), {}, {"responsibilities": "(n, K)"}).sentence
    'responsibilities: expected shape (n, K) = (200, 3), got (3, 200): did you transpose?'
    >>> close(any_order="K")([2.0, 1.0], np.array([1.0, 2.0]), {}, {"means": "(K,)"})
    """

    def compare(answer: Any, expected: Any, inputs: Inputs, returns: Mapping[str, str]) -> Difference | None:
        parts = parted(answer, expected, returns)
        if isinstance(parts, Difference):
            return parts
        best = None
        for order in _orders(parts, returns, any_order):
            difference = _first(parts, order, relative, of_largest)
            if difference is None:
                return None
            best = best or difference
        broken = rule(_again(parts, 0), inputs) if rule and _finite(parts) else None
        return Difference(broken, best.numbers if best else "") if broken else best

    return compare


def alike(summary: Callable[[Any, Inputs], Mapping[str, tuple[Any, Any]]], *, sigmas: float = 6.0) -> Compare:
    """Random draws that agree as far as chance allows.

    Parameters
    ----------
    summary : callable
        ``summary(answer, inputs)`` returns, by name, estimates and their standard errors.
    sigmas : float
        How many standard errors of the difference are too many.

    Examples
    --------
    >>> same = alike(lambda draws, inputs: {"the mean": (draws.mean(), draws.std() / len(draws) ** 0.5)})
    >>> rng = np.random.default_rng(0)
    >>> same(rng.normal(size=1000), rng.normal(size=1000), {}, {"draws": "(n,)"})
    >>> same(rng.normal(2, size=1000), rng.normal(size=1000), {}, {"draws": "(n,)"}).sentence
    'the mean is further from what it should be than chance explains'
    """

    def compare(answer: Any, expected: Any, inputs: Inputs, returns: Mapping[str, str]) -> Difference | None:
        parts = parted(answer, expected, returns)
        if isinstance(parts, Difference):
            return parts
        for name, (got, wanted) in parts.items():
            if not np.array_equal(np.isfinite(got), np.isfinite(wanted)):
                return _not_finite(name, got)
        theirs = summary(_again(parts, 0), inputs)
        ours = summary(_again(parts, 1), inputs)
        for name, (estimate, error) in theirs.items():
            right, spread = ours[name]
            allowed = sigmas * np.sqrt(np.square(error) + np.square(spread)) + 1e-12
            if not np.all(np.abs(np.subtract(estimate, right)) <= allowed):
                return Difference(
                    f"{name} is further from what it should be than chance explains",
                    f"{name}: expected about {_shown(right)}, got {_shown(estimate)}",
                )
        return None

    return compare


# ---------------------------------------------------------------- the parts of an answer, and their shapes
def parted(answer: Any, expected: Any, returns: Mapping[str, str]) -> dict[str, tuple[Any, Any]] | Difference:
    """By name, each part of the answer and of the expected one as arrays of the same shape; or why that cannot be."""
    names = list(returns)
    if len(names) == 1:
        answer, expected = (answer,), (expected,)
    elif not isinstance(answer, list | tuple) or len(answer) != len(names):
        found = f"{len(answer)} things" if isinstance(answer, list | tuple) else kind_of(answer)
        return Difference(f"it should return {len(names)} things, {', '.join(names)}; yours returned {found}")
    parts: dict[str, tuple[Any, Any]] = {}
    for name, got, wanted in zip(names, answer, expected, strict=True):
        array = _array(name, got, wanted, returns[name])
        if isinstance(array, Difference):
            return array
        parts[name] = (array, np.asarray(wanted))
    return parts


def _array(name: str, got: Any, wanted: Any, shape: str) -> Any:
    if wanted is None or isinstance(wanted, str):
        if got is None and wanted is None:
            return np.asarray(None)
        if type(got) is type(wanted):
            return np.asarray(got)
        return Difference(f"{name}: expected {kind_of(wanted)}, got {kind_of(got)}")
    if got is None:
        return Difference(f"{name} is None: did you forget return?")
    if not all_numbers(got):
        return Difference(f"{name} is {kind_of(got)}; it should be {_wanted(wanted, shape)}")
    try:
        array = np.asarray(got)
    except ValueError:
        return Difference(f"{name} is a list with rows of different lengths; it should be {_wanted(wanted, shape)}")
    if array.dtype.kind not in "biuf":
        return Difference(f"{name} is {kind_of(got)}; it should be {_wanted(wanted, shape)}")
    expected = np.asarray(wanted)
    if array.shape != expected.shape:
        return Difference(_other_shape(name, array, expected, shape))
    return array


def all_numbers(value: Any) -> bool:
    """Whether there is nothing but numbers in a value.

    Asked before NumPy is: of one long text and many short ones it would make a table as wide as the long one.
    """
    if isinstance(value, list | tuple):
        return all(map(all_numbers, value))
    return isinstance(value, bool | int | float | np.ndarray)


def _other_shape(name: str, got: np.ndarray, wanted: np.ndarray, shape: str) -> str:
    letters = f"{shape} = " if shape not in ("()", str(wanted.shape)) else ""
    if wanted.ndim == 0:
        return f"{name}: expected a single number, got an array of shape {got.shape}"
    found = str(got.shape) if got.ndim else "a single number"
    said = f"{name}: expected shape {letters}{wanted.shape}, got {found}"
    if got.shape == wanted.shape[::-1]:
        return f"{said}: did you transpose?"
    if got.size == wanted.size and wanted.ndim != got.ndim:
        return f"{said}: the numbers may be there, an axis is too many or too few"
    return said


def kind_of(value: Any) -> str:
    """What a value is, in words for a beginner."""
    if value is None:
        return "None (did you forget return?)"
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "True or False"
    if isinstance(value, int | float):
        return "a single number"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)} things that are not all numbers"
    return "a dictionary"


def _wanted(wanted: Any, shape: str) -> str:
    array = np.asarray(wanted)
    return f"an array of shape {shape} = {array.shape}" if array.ndim else "a single number"


# ---------------------------------------------------------------- numbers
def _first(
    parts: dict[str, tuple[Any, Any]], order: dict[str, Any], relative: float, of_largest: float
) -> Difference | None:
    for name, (got, wanted) in parts.items():
        moved = got[order[name]] if name in order else got
        difference = _numbers(name, moved, wanted, relative, of_largest)
        if difference is not None:
            return difference
    return None


def _numbers(name: str, got: np.ndarray, wanted: np.ndarray, relative: float, of_largest: float) -> Difference | None:
    if wanted.dtype.kind in "OU":
        same = bool(np.all(got == wanted))
        return None if same else Difference(f"{name} is not the right one", f"expected {_cut(wanted)}, got {_cut(got)}")
    whole = wanted.dtype.kind in "biu"
    got, wanted = got.astype(float), wanted.astype(float)
    if not np.array_equal(np.isfinite(got), np.isfinite(wanted)):
        return _not_finite(name, got)
    finite = np.isfinite(wanted)
    largest = np.abs(wanted[finite]).max(initial=0.0)
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(got - wanted) > relative * np.abs(wanted) + of_largest * largest + NOTHING
    wrong = np.where(finite, apart, ~((got == wanted) | (np.isnan(got) & np.isnan(wanted))))
    if not wrong.any():
        return None
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    where = f"{name}[{', '.join(map(str, at))}]" if at else name
    if not at:
        sentence = f"{name} is not right"
    elif wrong.all():
        sentence = f"{name}: no number is right"
    else:
        sentence = f"{name}: {int(wrong.sum())} of {wrong.size} numbers are wrong"
    return Difference(sentence, f"{where} should be {_entry(wanted[at], whole)}, is {_entry(got[at], whole)}")


def _cut(text: np.ndarray) -> str:
    """Text or None in a message: as Python writes it, and short."""
    shown = repr(text.item())
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def _entry(value: float, whole: bool) -> str:
    return f"{value:.0f}" if whole and value == round(value) else f"{value:.6g}"


def _not_finite(name: str, got: np.ndarray) -> Difference:
    if np.isnan(got).any():
        return Difference(
            f"{name} contains nan (not a number): look for 0/0, inf - inf, or the logarithm of a negative number"
        )
    if np.isinf(got).any():
        return Difference(f"{name} contains inf: look for a division by zero or the logarithm of zero")
    return Difference(f"{name} is finite where it should not be")


def _finite(parts: dict[str, tuple[Any, Any]]) -> bool:
    return all(got.dtype.kind in "biuf" and bool(np.isfinite(got).all()) for got, _ in parts.values())


def _again(parts: dict[str, tuple[Any, Any]], which: int) -> Any:
    values = [np.asarray(both[which], float) for both in parts.values()]
    return values[0] if len(values) == 1 else tuple(values)


def _orders(parts: dict[str, tuple[Any, Any]], returns: Mapping[str, str], letter: str) -> list[dict[str, Any]]:
    """For each order of the components, how to index each part."""
    axes = {name: [c.strip() for c in returns[name].strip("()").split(",") if c.strip()] for name in parts}
    axes = {name: letters for name, letters in axes.items() if letter in letters}
    if not letter or not axes:
        return [{}]
    n = {parts[name][0].shape[letters.index(letter)] for name, letters in axes.items()}
    if len(n) != 1 or max(n) > MOST_PERMUTED:
        return [{}]
    return [
        {name: _indices(letters, letter, list(order)) for name, letters in axes.items()}
        for order in itertools.permutations(range(n.pop()))
    ]


def _indices(letters: list[str], letter: str, order: list[int]) -> tuple[Any, ...]:
    return tuple(order if axis == letters.index(letter) else slice(None) for axis in range(len(letters)))


def _shown(value: Any) -> str:
    return np.array2string(np.asarray(value, float), precision=4, threshold=6, edgeitems=2, separator=", ").replace(
        "\n", ""
    )
