"""What a student may see of a result: words, never the hidden inputs nor anything into which they could have been put.

Code that is being graded knows its hidden inputs and may try to carry them out: in the text of an exception, in the
name of its class, in what it prints, in the shape of what it returns. So nothing that the student's code could choose
freely passes here, not even to its author: the kind of exception passes if Python or NumPy knows it by that name, sizes
if they were expected or are small. What a cell said before any hidden input was drawn may be told as it is.
"""

from __future__ import annotations

import builtins
import re
from dataclasses import dataclass

from ..course.contract import Exercise, Function
from .gradebook import ExerciseMark, StudentMark
from .mark import MALFUNCTION
from .record import CellRecord, CheckRecord, ExerciseRecord, FunctionRecord, Record
from .wording import one_line

EXCEPTIONS = {
    name for name, thing in vars(builtins).items() if isinstance(thing, type) and issubclass(thing, BaseException)
}
EXCEPTIONS |= {"LinAlgError", "AxisError"}
SMALL = 9  # a size up to here says nothing
# What the grader says of a call, not the code that was called (`emlib.grading.pupil`).
OURS = (
    "did not return within",
    "was stopped: the notebook has used up",
    "was not called",
    "ended the process in which it ran",
    "crashed",
    "used up its processor time",
    "wrote more than",
    "changed its input",
    "called exit()",
    "called itself without end",
)
BROKE = "sent an answer that is none"
LOOK = "this check could not be made; your instructor has been told"


@dataclass(frozen=True)
class CheckSeen:
    """A check, as its author may see it."""

    title: str
    points: int
    earned: int
    problem: str = ""
    case: str = ""

    @property
    def passed(self) -> bool:
        """Whether it gave its points."""
        return not self.problem


@dataclass(frozen=True)
class FunctionSeen:
    """A function, as its author may see it."""

    id: str
    name: str
    points: int
    earned: int
    checks: tuple[CheckSeen, ...]
    unwritten: str = ""
    why: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return self.earned == self.points


@dataclass(frozen=True)
class ExerciseSeen:
    """An exercise, as its author may see it."""

    topic: str
    title: str
    mark: ExerciseMark
    functions: tuple[FunctionSeen, ...]
    cells: tuple[str, ...]


def see(mark: StudentMark, results: dict[str, Record], exercises: list[Exercise]) -> list[ExerciseSeen]:
    """All that one student may see, exercise by exercise.

    Parameters
    ----------
    mark : StudentMark
        Theirs.
    results : dict
        By the names of their files.
    exercises : list of Exercise
        Of the run.
    """
    seen = []
    for part, exercise in zip(mark.exercises, exercises, strict=True):
        if not part.points and not part.file:
            continue  # another was chosen
        record = results.get(part.result)
        found = next((one for one in record.exercises if one.topic == part.topic), None) if record else None
        functions = _functions(found, exercise) if found else ()
        cells = tuple(map(_cell, record.cells)) if record else ()
        seen.append(ExerciseSeen(exercise.topic, exercise.title, part, functions, cells))
    return seen


def _functions(found: ExerciseRecord, exercise: Exercise) -> tuple[FunctionSeen, ...]:
    by_id = {function.id: function for function in exercise.functions.values()}
    return tuple(see_function(one, by_id[one.id]) for one in found.functions if one.id in by_id)


def see_function(record: FunctionRecord, function: Function) -> FunctionSeen:
    """One function."""
    checks, heard = [], set()
    for check in record.checks:
        said = _said(check, function)
        checks.append(
            CheckSeen(check.title, check.points, check.earned, "the same" if said in heard else said, check.case)
        )
        heard |= {said} - {""}
    unwritten = ""
    if record.unwritten:
        stub = record.checks and record.checks[0].problem == "not written yet"
        unwritten = "not written yet" if stub else f"there is no function {function.name} in the notebook"
    return FunctionSeen(
        record.id,
        function.name,
        record.points,
        record.earned,
        tuple(checks),
        unwritten,
        record.why,
        tuple(map(_remark, record.remarks)),
        () if record.earned == record.points else tuple(function.hints),
    )


def _said(check: CheckRecord, function: Function) -> str:
    problem = check.problem
    if not problem:
        return ""
    if problem.startswith(MALFUNCTION):
        return LOOK
    if problem.startswith("your function "):
        return f"your function {_of_a_call(problem.removeprefix('your function '), function)}"
    return _sizes(problem)


def _of_a_call(said: str, function: Function) -> str:
    if said.startswith("raised "):
        name = re.match(r"raised (\w+)", said)
        known = name is not None and name[1] in EXCEPTIONS
        return f"raised {name[1]}" if name and known else "raised an exception"
    if said.startswith("takes "):
        return f"cannot be called with ({', '.join(function.parameters)})"
    if said.startswith("returned "):
        return "returned something that is no number, array, list, tuple or dictionary of numbers"
    if said.startswith("is no function"):
        return "is no function"
    if said.startswith(BROKE):
        return "broke the connection to the grader"
    if said.startswith(OURS):
        return _sizes(said)
    return "did not answer as a function does"


def _sizes(sentence: str) -> str:
    """The sentence without sizes that were not expected: a shape can be chosen to spell out anything."""
    expected = set(re.findall(r"\d+", re.split(r", got |; yours returned | is a (?:list|tuple) of ", sentence)[0]))

    def kept(found: re.Match[str]) -> str:
        fine = all(len(n) <= 9 and (int(n) <= SMALL or n in expected) for n in re.findall(r"\d+", found[0]))
        return found[0] if fine else "something else"

    shown = re.sub(r"(?<=got )\([\d, ]*\)", kept, sentence)
    shown = re.sub(r"\b(?:an array of shape \([\d, ]*\)|a (?:list|tuple) of \d+|\d+ things)", kept, shown)
    # "3 of 50 numbers are wrong": which ones was for the code to choose, and so was how many.
    return re.sub(r"\b\d+ of (\d+) numbers are wrong", r"some of the \1 numbers are wrong", shown)


def _remark(remark: str) -> str:
    if remark.startswith("It printed "):
        return "It printed a great deal in one call."
    return remark


def _cell(cell: CellRecord) -> str:
    what = {"late": "took too long", "lost": "ended the process", "skipped": "was not run"}.get(cell.kind, "")
    said = "broke the connection to the grader" if cell.problem.startswith(BROKE) else cell.problem
    return one_line(f"Code cell {cell.number} {said or what}.", 300)
