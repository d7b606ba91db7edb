"""One call of a student's function, and everything that can become of it.

Here the call is made in this process: in the student's own notebook. The grader makes it in a locked worker and
answers with the same `Outcome`, so that whoever judges the answers cannot tell the two apart.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from .values import NotPlain, Seed, plain

PRINTED = 400  # characters of what a function prints that are kept

Kind = Literal["returned", "raised", "unwritten", "missing", "interrupted", "late", "foreign", "lost"]


@dataclass(frozen=True)
class Outcome:
    """What became of one call.

    Attributes
    ----------
    kind : str
        ``returned`` (then `value` is plain data) · ``raised`` · ``unwritten`` (the stub as it was handed out) ·
        ``missing`` (no such function) · ``interrupted`` (by the student) · ``foreign`` (returned something that is no
        plain data); and in the grader only, ``late`` (stopped by the clock) · ``lost`` (the process died).
    value : plain data
        What was returned.
    problem : str
        For every other kind: what happened, as half a sentence that begins with "your function …" in the reader's mind.
    detail : str
        The traceback, for the owner of the code only.
    printed : str
        The beginning of what it printed.
    n_printed : int
        How many characters it printed.
    seconds : float
        How long it took.
    changed : tuple of str
        The arguments that are not what they were before the call.
    """

    kind: Kind
    value: Any = None
    problem: str = ""
    detail: str = ""
    printed: str = ""
    n_printed: int = 0
    seconds: float = 0.0
    changed: tuple[str, ...] = ()


class Call(Protocol):
    """Something that calls the student's function `name` with these inputs, in order."""

    def __call__(self, name: str, inputs: Mapping[str, Any]) -> Outcome:
        """What became of it."""
        ...


def in_this_process(functions: Mapping[str, Any]) -> Call:
    """A `Call` of functions that live here.

    Examples
    --------
    >>> call = in_this_process({"half": lambda x: x / 2})
    >>> call("half", {"x": 3.0}).value
    1.5
    >>> call("half", {"x": "three"}).problem
    "raised TypeError: unsupported operand type(s) for /: 'str' and 'int'"
    """

    def call(name: str, inputs: Mapping[str, Any]) -> Outcome:
        if name not in functions:
            return Outcome("missing", problem=f"there is no function {name}")
        return outcome_of(functions[name], inputs)

    return call


def outcome_of(function: Callable[..., Any], inputs: Mapping[str, Any]) -> Outcome:
    """Call `function` with copies of the inputs, one after the other, and say what became of it.

    The student's own interrupt (Ctrl-C, the stop button) ends the call and nothing else.
    """
    given = {name: arrive(value) for name, value in inputs.items()}
    kept = {name: copy.deepcopy(value) for name, value in given.items()}
    value: Any = None
    kind: Kind = "returned"
    problem = detail = ""
    started = time.perf_counter()
    with _listening() as heard:
        try:
            value = plain(_fitting(function, given)(*given.values()))
        except NotPlain as error:
            kind, problem = "foreign", f"returned {error}"
        except _Unfit as error:
            kind, problem = "raised", str(error)
        except NotImplementedError as error:
            kind, problem = _unwritten(function, error)
        except KeyboardInterrupt:
            kind, problem = "interrupted", "was stopped before it returned"
        except BaseException as error:
            kind, problem, detail = "raised", in_words(error), _where(error)
    return Outcome(
        kind,
        value,
        problem,
        detail,
        printed=heard.start(),
        n_printed=heard.length,
        seconds=time.perf_counter() - started,
        changed=tuple(name for name in given if not _same(given[name], kept[name])),
    )


def _unwritten(function: Callable[..., Any], error: NotImplementedError) -> tuple[Kind, str]:
    """A stub raises its own name; another name is that of a function which this one calls."""
    name = str(error)[:80]
    if name.isidentifier() and name != getattr(function, "__name__", name):
        return "raised", f"calls {name}, which is not written yet"
    return "unwritten", "is not written yet"


class _Unfit(TypeError):
    """It cannot be called so."""


def _fitting(function: Callable[..., Any], given: Mapping[str, Any]) -> Callable[..., Any]:
    """The function, if it can be called with so many arguments."""
    if not callable(function):
        raise _Unfit(
            f"is no function but {'an' if type(function).__name__[0] in 'aeiou' else 'a'} {type(function).__name__}"
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return function  # written in C: the call itself will tell
    try:
        signature.bind(*given.values())
    except TypeError:
        raise _Unfit(f"takes {signature}, but is called with ({', '.join(given)})") from None
    return function


def arrive(value: Any) -> Any:
    """A copy of an input as the student's function receives it."""
    if type(value) is Seed:
        return np.random.default_rng(value.value)
    value = plain(value)
    if isinstance(value, np.ndarray) and value.dtype == np.int64:
        # NumPy in the reader's browser takes no wider numbers as indices; elsewhere these are as wide.
        return value.astype(np.intp, copy=False)
    return value


def in_words(error: BaseException) -> str:
    """What an exception says, in half a sentence."""
    if isinstance(error, SystemExit):
        return "called exit(); a function ends with return"
    if isinstance(error, RecursionError):
        return "called itself without end (RecursionError)"
    try:
        said = " ".join(str(error).split())[:200]
    except Exception:  # its own __str__ may raise anything
        said = ""
    name = type(error).__name__
    return f"raised {name}: {said}" if said else f"raised {name}"


def _where(error: BaseException) -> str:
    """The traceback from the student's function on."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return "".join([*traceback.format_list(frames), *traceback.format_exception_only(error)]) if frames else ""


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, np.random.Generator):
        return True  # drawing from it is what it is for
    if isinstance(left, np.ndarray):
        return (
            isinstance(right, np.ndarray)
            and left.dtype == right.dtype
            and left.shape == right.shape
            and left.tobytes() == right.tobytes()
        )
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return type(left) is type(right) and (left == right or left != left)


class _Heard(io.TextIOBase):
    """What is printed: its length, and its beginning."""

    def __init__(self) -> None:
        self.length = 0
        self.pieces: list[str] = []

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.length < PRINTED:
            self.pieces.append(text[: PRINTED - self.length])
        self.length += len(text)
        return len(text)

    def start(self) -> str:
        return "".join(self.pieces)


@contextlib.contextmanager
def _listening() -> Iterator[_Heard]:
    heard = _Heard()
    with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
        yield heard
