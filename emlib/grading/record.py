"""What became of one notebook, as data: the file format of results, its version, and a reader that checks.

A result is JSON of exactly the classes below: each is an object with the fields of the class, a tuple is a list.
`VERSION` goes up whenever a field does not mean what it meant; a reader takes the versions that it knows and no others.
Everything in it may be seen by the instructor. What a student may see of it is for `emlib.grading.student_view` to say.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import tempfile
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

SCHEMA = "emlib.grading.result"
VERSION = 1
MOST_BYTES = 64 * 2**20

Status = Literal["graded", "unreadable", "foreign", "failed"]


@dataclass(frozen=True)
class CheckRecord:
    """A check: `emlib.course.evaluate.Result`."""

    title: str
    points: int
    earned: int
    case: str
    problem: str
    numbers: str


@dataclass(frozen=True)
class FunctionRecord:
    """A function: `emlib.course.evaluate.Report`."""

    id: str
    checks: tuple[CheckRecord, ...]
    slips: tuple[str, ...]
    why: tuple[str, ...]
    remarks: tuple[str, ...]
    printed: str
    detail: str
    unwritten: bool

    @property
    def points(self) -> int:
        """What all checks are worth."""
        return sum(check.points for check in self.checks)

    @property
    def earned(self) -> int:
        """What was given for those that passed."""
        return sum(check.earned for check in self.checks)


@dataclass(frozen=True)
class ExerciseRecord:
    """An exercise, with the seed of its inputs: ``check(id, function, seed=seed)`` draws them again."""

    topic: str
    title: str
    seed: int
    source: str  # hash of the module that defines it, and of what judges it
    functions: tuple[FunctionRecord, ...]

    @property
    def points(self) -> int:
        """What all functions are worth."""
        return sum(function.points for function in self.functions)

    @property
    def earned(self) -> int:
        """What was given."""
        return sum(function.earned for function in self.functions)


@dataclass(frozen=True)
class CellRecord:
    """A cell that did not simply run: `emlib.grading.pupil.Cell`, with its number among the code cells, from 1."""

    number: int
    kind: str
    problem: str
    detail: str
    printed: str


@dataclass(frozen=True)
class Record:
    """One notebook.

    Attributes
    ----------
    schema, version : str, int
        Of this format.
    key : str
        Hash of the notebook, the exercises, the sandbox, its limits, the student, the secret and the version of emlib:
        a result with the same key need not be computed again.
    student, name : str
        Who handed it in: as the seeds know them, and as people do.
    file : str
        Where it came from.
    attempt : int
        From 1.
    handed_in : str or None
        When, as ISO 8601 with offset.
    said_late : bool
        The learning platform marked it as late.
    notebook : str
        SHA-256 of the file.
    emlib, sandbox : str
        By what it was graded, and in what.
    limits : dict
        What it was allowed to use.
    graded_at : str
        When, in UTC.
    seconds : float
        How long that took.
    status : str
        ``graded`` · ``unreadable`` (no notebook) · ``foreign`` (of no exercise that was asked for) · ``failed`` (it
        could not be graded; no fault of the student's is implied).
    reason : str
        For every status but ``graded``: why, in a sentence.
    n_cells : int
        How many code cells it has.
    cells : tuple of CellRecord
        Those that did not simply run.
    exercises : tuple of ExerciseRecord
        What was judged.
    """

    key: str
    student: str
    name: str
    file: str
    attempt: int
    handed_in: str | None
    said_late: bool
    notebook: str
    emlib: str
    sandbox: str
    limits: dict[str, float]
    graded_at: str
    seconds: float
    status: Status
    reason: str = ""
    n_cells: int = 0
    cells: tuple[CellRecord, ...] = ()
    exercises: tuple[ExerciseRecord, ...] = ()
    schema: str = SCHEMA
    version: int = VERSION


Data = TypeVar("Data")


def to_json(data: Any) -> str:
    """A dataclass as JSON that is read back by `from_json`; only ASCII, so that no half of a character can break it."""
    return json.dumps(dataclasses.asdict(data), indent=1, allow_nan=False) + "\n"


def from_json(kind: type[Data], text: str, schema: str, version: int) -> Data:
    """Read what `to_json` wrote.

    Raises
    ------
    ValueError
        If it is something else, or was written in another version; the sentence says where it departs.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    found = raw.get("schema") if type(raw) is dict else None
    if found != schema:
        raise ValueError(f"it is no {schema}")
    if raw.get("version") != version:
        raise ValueError(f"it has version {raw.get('version')!r} of the format, and this emlib reads version {version}")
    data: Data = _read(kind, raw, "it")
    return data


def read_record(path: Path) -> Record:
    """The record in a file.

    Raises
    ------
    ValueError
        If there is none in it.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("it is too large")
        return from_json(Record, path.read_text(encoding="utf-8"), SCHEMA, VERSION)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} holds no result of emlib grade: {error}") from None


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = content.encode("utf-8", "replace") if isinstance(content, str) else content
    with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=".", suffix=".tmp", delete=False) as file:
        try:
            file.write(raw)
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


# ---------------------------------------------------------------- the reader
def _read(kind: Any, value: Any, where: str) -> Any:
    """`value` as a `kind`, or a sentence that says where it is something else."""
    if dataclasses.is_dataclass(kind):
        return _object(kind, value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and type(value) is list:
        return tuple(_read(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict and type(value) is dict:
        return {key: _read(arguments[1], item, f"{where}[{key!r}]") for key, item in value.items()}
    if origin is Literal and value in arguments:
        return value
    if origin is types.UnionType:
        return None if value is None else _read(arguments[0], value, where)
    if kind is float and type(value) in (int, float):
        return float(value)
    if origin is None and type(value) is kind:
        return value
    raise ValueError(f"{where} is not {getattr(kind, '__name__', kind)} but {type(value).__name__}")


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _object(kind: Any, value: Any, where: str) -> Any:
    if type(value) is not dict:
        raise ValueError(f"{where} is no {kind.__name__}")
    hints = _hints(kind)
    if set(value) != set(hints):
        odd = min(set(value) ^ set(hints))
        raise ValueError(f"{where} {'lacks' if odd in hints else 'has an unknown'} {odd!r}")
    return kind(**{name: _read(hint, value[name], f"{where}.{name}") for name, hint in hints.items()})
