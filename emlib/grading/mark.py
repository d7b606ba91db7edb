"""Grade one notebook: read it, see which exercises it belongs to, run it locked in, judge its functions.

This is the whole of grading; everything else decides what to grade, and what to do with the result. The notebook's code
is run by what `Job.opening` opens, which is a locked worker (`emlib.grading.pupil`), and never here.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import importlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

from .. import __version__
from ..course import calls, compare, contract, evaluate, load, open_ended, projects, topics, values
from ..course.contract import Exercise, Function
from .notebooks import BadNotebook, cells_of
from .record import CellRecord, CheckRecord, ExerciseRecord, FunctionRecord, Record, Status
from .sandbox import Limits, NoSandbox, choose
from .secret import fingerprint, seed_of

JUDGES = (calls, compare, contract, evaluate, open_ended, values)  # a change of theirs may change a mark
CLAIM = re.compile(r"\b(?:check|score|goal|hint|case)\(\s*[\"'](\w+)[.\"']")


class Opened(Protocol):
    """The code of one submission at work: a `emlib.course.calls.Call` that also tells what became of the cells."""

    cells: list[Any]

    def __call__(self, name: str, inputs: Mapping[str, Any]) -> calls.Outcome:
        """Call a function of the student's."""
        ...


# How a notebook is opened: its cells, the name of a sandbox, the limits. It must be the name of a function of a module,
# since it is handed to other processes.
Opening = Callable[[Sequence[str], str, Limits], AbstractContextManager[Opened]]


@dataclass(frozen=True)
class Task:
    """What is the same for all notebooks of a run.

    Attributes
    ----------
    exercises : tuple of str
        Topics, or paths of modules.
    sandbox : str
        The name of one that there is (not ``auto``).
    limits : Limits
        What a notebook may use.
    secret : bytes
        Of the course.
    opening : callable
        Opens a notebook; by default in a sandbox.
    """

    exercises: tuple[str, ...]
    sandbox: str
    limits: Limits
    secret: bytes
    opening: Opening


@dataclass(frozen=True)
class Job:
    """One notebook of a run."""

    raw: bytes
    student: str
    name: str
    file: str
    attempt: int = 1
    handed_in: str | None = None
    said_late: bool = False

    def key(self, task: Task) -> str:
        """Hash of everything that the result depends on."""
        parts = [
            hashlib.sha256(self.raw).hexdigest(),
            self.student,
            *(f"{name}:{source_hash(name)}" for name in task.exercises),
            task.sandbox,
            json.dumps(limits_of(task.limits)),
            fingerprint(task.secret),
            __version__,
        ]
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def grade(job: Job, task: Task) -> Record:
    """Grade one notebook; whatever is wrong with it becomes a status and a sentence."""
    started, key = time.perf_counter(), job.key(task)
    exercises = [exercise(name) for name in task.exercises]
    try:
        cells = cells_of(job.raw, job.file)
        mine = belongs_to(job.raw, cells, job.file, exercises)
    except BadNotebook as error:
        return record(job, task, "unreadable", str(error), started)
    if not mine:
        return record(job, task, "foreign", _foreign(cells, job.file, exercises), started)
    task = replace(task, limits=roomy(task.limits, mine))
    with task.opening(cells, task.sandbox, task.limits) as pupil:
        marked = tuple(_exercise(one, pupil, job, task) for one in mine)
        odd = tuple(
            CellRecord(number, cell.kind, cell.problem, cell.detail, cell.printed)
            for number, cell in enumerate(pupil.cells, start=1)
            if cell.kind != "ran"
        )
    # Its key names the limits that were asked for, not the room that was made.
    return replace(record(job, task, "graded", "", started, n_cells=len(cells), cells=odd, exercises=marked), key=key)


def record(job: Job, task: Task, status: Status, reason: str, started: float | None = None, **parts: Any) -> Record:
    """The result of a job."""
    now = datetime.datetime.now(datetime.UTC)
    return Record(
        key=job.key(task),
        student=job.student,
        name=job.name,
        file=job.file,
        attempt=job.attempt,
        handed_in=job.handed_in,
        said_late=job.said_late,
        notebook=hashlib.sha256(job.raw).hexdigest(),
        emlib=__version__,
        sandbox=task.sandbox,
        limits=limits_of(task.limits),
        graded_at=now.isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - started, 3) if started is not None else 0.0,
        status=status,
        reason=reason,
        **parts,
    )


# ---------------------------------------------------------------- exercises
@functools.lru_cache(maxsize=64)
def exercise(name: str) -> Exercise:
    """An exercise, loaded once in a process."""
    return load(name)


@functools.lru_cache(maxsize=64)
def source_hash(name: str) -> str:
    """Hash of the module that defines an exercise, and of the modules that judge it."""
    if name.endswith(".py"):
        own = Path(name)
    else:
        part = "projects" if name in projects() else "exercises"
        own = Path(str(importlib.import_module(f"emlib.course.{part}.{name}").__file__))
    files = [own, *(Path(str(module.__file__)) for module in JUDGES)]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:32]


def belongs_to(raw: bytes, cells: Sequence[str], file: str, exercises: Sequence[Exercise]) -> list[Exercise]:
    """The exercises, of those asked for, that a notebook is a solution of.

    Its metadata say so, or its calls of ``check``, or the name of the file. Editors and upload forms lose the first,
    students the second: so where one exercise is asked for, a notebook that says nothing is taken to be of that, as is
    one that defines a function of it whatever it says.
    """
    claims = {noted(raw), *(found for source in cells for found in CLAIM.findall(source))}
    mine = [one for one in exercises if one.topic in claims]
    if mine:
        return mine
    stem = file.rpartition("/")[2].rpartition(".")[0]
    named = [one for one in exercises if re.search(rf"(?<![a-z0-9]){re.escape(one.topic)}(?![a-z0-9])", stem, re.I)]
    if named:
        return named[:1]
    if len(exercises) == 1 and (not claims & {*topics(), *projects()} or _defines_some(cells, exercises[0])):
        return list(exercises)
    return []


def noted(raw: bytes) -> str:
    """The exercise that the metadata of a notebook name; `raw` has been read by `cells_of`, so it is harmless JSON."""
    metadata = json.loads(raw.decode("utf-8-sig"), parse_int=lambda digits: 0).get("metadata")
    about = metadata.get("emlib") if isinstance(metadata, dict) else None
    topic = about.get("exercise") if isinstance(about, dict) else None
    return topic if isinstance(topic, str) else ""


def _defines_some(cells: Sequence[str], one: Exercise) -> bool:
    names = "|".join(map(re.escape, one.functions))
    return any(re.search(rf"^(?:def\s+)?(?:{names})\b\s*[(=]", source, re.MULTILINE) for source in cells)


def _foreign(cells: Sequence[str], file: str, exercises: Sequence[Exercise]) -> str:
    known = {found for source in cells for found in CLAIM.findall(source)} & {
        *topics(),
        *projects(),
    }
    asked = ", ".join(one.topic for one in exercises)
    said = (
        f"it checks {', '.join(sorted(known))}" if known else "none of its cells calls check, and its name says nothing"
    )
    return f"{file} belongs to none of the exercises that were asked for ({asked}): {said}"


# ---------------------------------------------------------------- judging
def _exercise(one: Exercise, pupil: calls.Call, job: Job, task: Task) -> ExerciseRecord:
    seed = seed_of(task.secret, job.student, one.topic)
    name = next(name for name in task.exercises if exercise(name) is one)
    judged = tuple(_function(function, pupil, seed) for function in one.functions.values())
    return ExerciseRecord(one.topic, one.title, seed, source_hash(name), judged)


def _function(function: Function, pupil: calls.Call, seed: int) -> FunctionRecord:
    try:
        report = evaluate.evaluate(function, pupil, seed)
    except NoSandbox:  # it has failed, not the student
        raise
    except Exception as error:  # a fault of the exercise, or of ours; it must not cost the others
        said = f"{MALFUNCTION} ({type(error).__name__}: {error})"
        checks = tuple(CheckRecord(one.title, one.points, 0, "", said, "") for one in function.checks)
        return FunctionRecord(function.id, checks, (), (), (), "", "", False)
    checks = tuple(
        CheckRecord(one.title, one.points, one.earned, one.case, one.problem, one.numbers) for one in report.results
    )
    return FunctionRecord(
        report.id, checks, report.slips, report.why, report.remarks, report.printed, report.detail, report.unwritten
    )


def roomy(limits: Limits, exercises: Sequence[Exercise]) -> Limits:
    """The limits with as much time as the exercises say they take."""
    most = max((one.call_seconds for one in exercises), default=0.0)
    if most <= limits.call_seconds:
        return limits
    calls_of_all = sum(CALLS * one.call_seconds for one in exercises)
    return replace(
        limits, call_seconds=most, total_seconds=max(limits.total_seconds, calls_of_all, CALLS * limits.call_seconds)
    )


CALLS = 10  # of a project, at most
MALFUNCTION = "the check itself has failed, and somebody should look at it"


# ---------------------------------------------------------------- limits
def limits_of(limits: Limits) -> dict[str, float]:
    """The limits as plain numbers."""
    return {one.name: float(getattr(limits, one.name)) for one in fields(limits)}


def read_limits(words: Sequence[str]) -> Limits:
    """Limits from words such as ``call_seconds=10`` and ``memory=2GB``.

    Raises
    ------
    ValueError
        If a word is not understood; the sentence says which limits there are.

    Examples
    --------
    >>> read_limits(["call_seconds=2.5", "memory=512MB"]).memory == 512 * 2**20
    True
    """
    units = {"": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}
    known: dict[str, Any] = {one.name: type(one.default) for one in fields(Limits)}
    given: dict[str, Any] = {}
    for word in words:
        found = re.fullmatch(r"(\w+)=(\d+(?:\.\d+)?)\s*([KMG]B)?", word, re.I)
        if not found or found[1] not in known:
            defaults = ", ".join(f"{one.name}={one.default}" for one in fields(Limits))
            raise ValueError(
                f"{word!r} is no limit; there are (with their defaults) {defaults}; memory=2GB is understood"
            )
        number = float(found[2]) * units[(found[3] or "").upper()]
        if not number > 0:
            raise ValueError(f"{word!r} would let nothing run; a limit is more than 0")
        given[found[1]] = known[found[1]](number)
    return Limits(**given)


def chosen(sandbox: str) -> str:
    """The sandbox that this machine has for a name such as ``auto``."""
    return choose(sandbox)
