"""What has changed between two runs, for regrades and appeals: marks first, then the checks behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .gradebook import ExerciseMark, Marks, read_marks
from .pages import points
from .record import ExerciseRecord, read_record
from .wording import one_line


@dataclass(frozen=True)
class Change:
    """A mark that is not what it was.

    Attributes
    ----------
    student, name, topic : str
        Whose, and for what.
    before, after : float or None
        The mark; None if there was none.
    why : tuple of str
        What is behind it, as far as the results tell.
    """

    student: str
    name: str
    topic: str
    before: float | None
    after: float | None
    why: tuple[str, ...]

    def __str__(self) -> str:
        marks = " -> ".join("nothing" if mark is None else points(mark) for mark in (self.before, self.after))
        lines = [
            f"{one_line(self.name or self.student)}, {self.topic}: {marks}",
            *(f"    {one_line(why)}" for why in self.why),
        ]
        return "\n".join(lines)


def changes(old: Path, new: Path) -> list[Change]:
    """Compare two folders that ``emlib grade`` has written.

    Raises
    ------
    ValueError
        If one of them is none.
    """
    before, after = read_marks(old / "marks.json"), read_marks(new / "marks.json")
    found = []
    theirs = {(student, topic): mark for student, topic, mark, _ in _all(before)}
    names = {student: name for run in (before, after) for student, _, _, name in _all(run)}
    ours = {(student, topic): mark for student, topic, mark, _ in _all(after)}
    for student, topic in dict.fromkeys([*theirs, *ours]):
        was, now = theirs.get((student, topic)), ours.get((student, topic))
        why = tuple(_why(was, now, topic, old, new))
        then, today = (None if mark is None else mark.counted for mark in (was, now))
        if then != today or why:
            found.append(Change(student, names[student], topic, then, today, why or ("no reason is on file",)))
    return found


def _all(marks: Marks) -> Iterator[tuple[str, str, ExerciseMark, str]]:
    for student in marks.students:
        for mark in student.exercises:
            yield student.student, mark.topic, mark, student.name


def _why(was: ExerciseMark | None, now: ExerciseMark | None, topic: str, old: Path, new: Path) -> Iterator[str]:
    if was is None or now is None:
        yield "only one of the runs has it"
        return
    if was.points != now.points:
        yield f"worth: {was.points} -> {now.points} points"
    if was.percent_off != now.percent_off:
        yield f"late: {was.said or 'in time'} -> {now.said or 'in time'}"
    if (was.file, was.attempt) != (now.file, now.attempt):
        yield f"counts: {was.file or was.said} -> {now.file or now.said}"
    earlier = {each.name: each.earned for each in was.by_hand}
    for each in now.by_hand:
        if each.earned != earlier.get(each.name):
            by_hand = ["open" if given is None else points(given) for given in (earlier.get(each.name), each.earned)]
            yield f"by hand, {each.name}: {' -> '.join(by_hand)}"
    then, today = _exercise(old, was, topic), _exercise(new, now, topic)
    if then is None or today is None:
        return
    different = list(_checks(then, today))
    yield from different
    if different and then.source != today.source:
        yield "the exercise, or what judges it, has changed"
    if different and then.seed != today.seed:
        yield "the inputs are others: another secret, or the student was known by another name"


def _checks(then: ExerciseRecord, today: ExerciseRecord) -> Iterator[str]:
    """Checks that gave other points, with what was wrong."""
    earlier = {(function.id, check.title): check for function in then.functions for check in function.checks}
    for function in today.functions:
        for check in function.checks:
            before = earlier.pop((function.id, check.title), None)
            if before is None:
                yield f"{function.id}, {check.title}: new, {check.earned} of {check.points}"
            elif (before.earned, before.points) != (check.earned, check.points):
                of = f"{before.earned} of {before.points} -> {check.earned} of {check.points}"
                said = check.problem or before.problem
                yield f"{function.id}, {check.title}: {of} ({'now' if check.problem else 'before'}: {said})"
    for (id, title), check in earlier.items():
        yield f"{id}, {title}: no longer asked, {check.earned} of {check.points} before"


def _exercise(folder: Path, mark: ExerciseMark, topic: str) -> ExerciseRecord | None:
    if not mark.result:
        return None
    record = read_record(folder / "results" / Path(mark.result).name)
    return next((one for one in record.exercises if one.topic == topic), None)
