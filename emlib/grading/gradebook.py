"""From results to marks: attempts, lateness, the roster; one line for every student, with a reason where there is none.

A result says what a notebook is worth; the rules of the course say what of it counts. So rules may be changed, and days
be given, without grading anything again.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .. import __version__
from ..course.contract import Exercise
from .classroom import place_of
from .mark import MALFUNCTION
from .policy import Policy
from .record import ExerciseRecord, Record, from_json, to_json, write_whole
from .roster import Roster, missing
from .rubric import Rubric
from .wording import one_line

SCHEMA = "emlib.grading.marks"
VERSION = 2
NOTHING = "no submission"


@dataclass(frozen=True)
class HandMark:
    """What a person gives for one criterion of a project; `earned` is None as long as nobody has."""

    name: str
    points: int
    earned: float | None = None


@dataclass(frozen=True)
class ExerciseMark:
    """What one exercise of one student counts.

    Attributes
    ----------
    topic : str
        The exercise.
    points, earned : int
        What it is worth (nothing, where another of a choice counts), and what the attempt that counts has earned by the
        checks.
    percent_off : float
        For lateness.
    counted : float
        What is left, to two decimals.
    attempt, attempts : int
        Which attempt counts, of how many.
    file, result : str
        Where it came from, and the file of its result.
    said, doubt : str
        About its time: for everybody, and for the instructor.
    by_hand : tuple of HandMark
        What a person judges; `points` counts it in.
    remark : str
        What that person has to say.
    """

    topic: str
    points: int
    earned: int = 0
    percent_off: float = 0.0
    counted: float = 0.0
    attempt: int = 0
    attempts: int = 0
    file: str = ""
    result: str = ""
    said: str = ""
    doubt: str = ""
    by_hand: tuple[HandMark, ...] = ()
    remark: str = ""

    @property
    def waiting(self) -> int:
        """How many criteria of what was handed in nobody has judged."""
        return sum(one.earned is None for one in self.by_hand) if self.file else 0


@dataclass(frozen=True)
class StudentMark:
    """One student: a mark, and why not more.

    Attributes
    ----------
    student, name : str
        As in `Record`.
    known : bool
        Whether the roster, if there is one, has them.
    exercises : tuple of ExerciseMark
        Every exercise of the run.
    reasons : tuple of str
        What could not be graded, and why; what was not handed in.
    doubts : tuple of str
        For the instructor to look into.
    """

    student: str
    name: str
    known: bool
    exercises: tuple[ExerciseMark, ...]
    reasons: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def counted(self) -> float:
        """The mark."""
        return round(sum(one.counted for one in self.exercises), 2)

    @property
    def points(self) -> int:
        """What could be had."""
        return sum(one.points for one in self.exercises)

    @property
    def handed_in(self) -> bool:
        """Whether there was any file."""
        return NOTHING not in self.reasons

    @property
    def ungraded(self) -> bool:
        """Whether something was handed in, and nothing of it could be graded: there is a reason then, and no mark."""
        return self.handed_in and not any(one.result for one in self.exercises)


@dataclass(frozen=True)
class Marks:
    """All of a run.

    Attributes
    ----------
    made_at, emlib, sandbox : str
        When, and by what.
    topics : tuple of str
        The exercises, in order.
    students : tuple of StudentMark
        In the order of the roster, then those it does not have.
    refused : tuple of str
        Files that were not taken for submissions, each with the reason.
    """

    made_at: str
    emlib: str
    sandbox: str
    topics: tuple[str, ...]
    students: tuple[StudentMark, ...]
    refused: tuple[str, ...] = ()
    schema: str = SCHEMA
    version: int = VERSION

    @property
    def n_waiting(self) -> int:
        """How many reports a person still has to judge."""
        return sum(one.waiting > 0 for student in self.students for one in student.exercises)


@dataclass
class _Pile:
    """What one student has handed in."""

    name: str
    known: bool
    records: list[Record] = field(default_factory=list)


def marks_of(
    records: Iterable[Record],
    exercises: Sequence[Exercise],
    policy: Policy,
    roster: Roster | None,
    *,
    refused: Iterable[str] = (),
    sandbox: str = "",
    now: datetime.datetime | None = None,
    rubric: Rubric | None = None,
) -> Marks:
    """The marks of a class."""
    rubric = rubric or Rubric()
    piles = {student.id: _Pile(student.name, True) for student in roster.students} if roster else {}
    for record in records:
        pile = piles.setdefault(record.student, _Pile(record.name, roster is None))
        pile.records.append(record)
    present = [who for who, pile in piles.items() if pile.records]
    absent = {student.id for student in missing(roster, present)} if roster else set()
    students = tuple(
        StudentMark(who, pile.name, pile.known, _nothing(exercises, policy), (NOTHING,))
        if who in absent
        else _student(who, pile, exercises, policy, now, rubric)
        for who, pile in piles.items()
    )
    made = (now or datetime.datetime.now(datetime.UTC)).isoformat(timespec="seconds")
    topics = tuple(one.topic for one in exercises)
    return Marks(made, __version__, sandbox, topics, students, tuple(refused))


def write_marks(marks: Marks, path: Path) -> None:
    """Keep them, for `--diff`."""
    write_whole(path, to_json(marks))


def read_marks(path: Path) -> Marks:
    """Read them again.

    Raises
    ------
    ValueError
        If there are none.
    """
    try:
        return from_json(Marks, path.read_text(encoding="utf-8"), SCHEMA, VERSION)
    except FileNotFoundError:
        raise ValueError(
            f"{path.parent} is no folder that emlib grade has written: there is no {path.name} in it"
        ) from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} holds no marks of emlib grade: {error}") from None


# ---------------------------------------------------------------- one student
def _nothing(exercises: Sequence[Exercise], policy: Policy) -> tuple[ExerciseMark, ...]:
    return _choose([_without(one, NOTHING) for one in exercises], policy)


def _without(one: Exercise, said: str) -> ExerciseMark:
    by_hand = tuple(HandMark(criterion.name, criterion.points) for criterion in one.rubric)
    return ExerciseMark(one.topic, one.out_of, said=said, by_hand=by_hand)


def _student(
    who: str,
    pile: _Pile,
    exercises: Sequence[Exercise],
    policy: Policy,
    now: datetime.datetime | None,
    rubric: Rubric,
) -> StudentMark:
    records = sorted(pile.records, key=_turn)
    marks = _choose([_exercise(who, one, records, policy, now, rubric) for one in exercises], policy)
    reasons = [record.reason for record in records if record.status != "graded"]
    doubts = [f"{mark.topic}: {mark.doubt}" for mark in marks if mark.doubt]
    doubts += [record.reason for record in records if record.status == "failed"]
    doubts += sorted({f"{said}" for record in records for said in _malfunctions(record)})
    if not pile.known:
        doubts.append("the roster has nobody of that name")
    return StudentMark(who, pile.name, pile.known, marks, tuple(dict.fromkeys(reasons)), tuple(dict.fromkeys(doubts)))


def _choose(marks: Sequence[ExerciseMark], policy: Policy) -> tuple[ExerciseMark, ...]:
    """Of exercises to choose from, the one that earns most counts; the others are worth nothing."""
    chosen = list(marks)
    for topics in policy.choices.values():
        places = [place for place, mark in enumerate(marks) if mark.topic in topics]
        best = max(places, key=lambda place: (marks[place].counted, bool(marks[place].file)), default=-1)
        for place in places:
            if place != best:
                said = "another one counts in its place" if marks[place].file else marks[place].said
                chosen[place] = replace(marks[place], points=0, counted=0.0, said=said)
    return tuple(chosen)


def _turn(record: Record) -> tuple[int, float, str]:
    """In which order attempts were made: as the platform counts them, else by their times, else by their names."""
    when = datetime.datetime.fromisoformat(record.handed_in).timestamp() if record.handed_in else 0.0
    return record.attempt, when, record.file


def _malfunctions(record: Record) -> list[str]:
    return [
        f"{function.id}: {check.problem}"
        for one in record.exercises
        for function in one.functions
        for check in function.checks[:1]
        if check.problem.startswith(MALFUNCTION)
    ]


def _exercise(
    who: str,
    one: Exercise,
    records: Sequence[Record],
    policy: Policy,
    now: datetime.datetime | None,
    rubric: Rubric,
) -> ExerciseMark:
    """The attempt that counts."""
    attempts = [(record, part) for record in records for part in record.exercises if part.topic == one.topic]
    some = attempts[: policy.most_attempts]
    looked_at = [_mark(who, one, record, part, policy, now, rubric) for record, part in some]
    if not looked_at:
        return _without(one, "not handed in")
    if policy.count == "best":
        number = max(range(len(looked_at)), key=lambda i: (looked_at[i].counted, i))
    else:
        number = 0 if policy.count == "first" else len(looked_at) - 1
    chosen = looked_at[number]
    return ExerciseMark(
        **{**vars(chosen), "points": one.out_of, "attempt": number + 1, "attempts": len(attempts)},
    )


def _mark(
    who: str,
    one: Exercise,
    record: Record,
    part: ExerciseRecord,
    policy: Policy,
    now: datetime.datetime | None,
    rubric: Rubric,
) -> ExerciseMark:
    when = datetime.datetime.fromisoformat(record.handed_in) if record.handed_in else None
    late = policy.lateness(part.topic, who, when, record.said_late, now)
    given = rubric.of(who, one.topic)
    by_hand = tuple(HandMark(each.name, each.points, given.points.get(each.name)) for each in one.rubric)
    earned = part.earned + sum(each.earned or 0.0 for each in by_hand)
    counted = round(earned * (1 - late.percent / 100), 2)
    return ExerciseMark(
        part.topic,
        part.points,
        part.earned,
        late.percent,
        counted,
        file=record.file,
        result=place_of(Path(), record).name,
        said=late.said,
        doubt=late.doubt,
        by_hand=by_hand,
        remark=one_line(given.remark) if given.remark else "",
    )
