"""What a person judges: points by criterion, entered in a table that lies among the results.

``rubric.csv`` has a line for each student and project, and a column for each criterion. A run writes it with what was
entered before, so it is filled in where it lies, and the same command once more counts it. What was entered for a
student or a project that a run does not know is kept below. The table is read before anything is graded; one with a
mistake in it stops the run and stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..course.contract import Criterion, Exercise
from .roster import read_table
from .wording import in_a_table

FILE = "rubric.csv"
KEYS = ("student", "exercise")
PRINTED = (*KEYS, "name", "file")


@dataclass(frozen=True)
class Criticism:
    """What a reader has given for one report.

    Attributes
    ----------
    points : dict
        By the name of the criterion; those that are not there are still open.
    remark : str
        For the student.
    """

    points: Mapping[str, float] = field(default_factory=dict)
    remark: str = ""


@dataclass(frozen=True)
class Rubric:
    """All that readers have given: by student, as tables know them, and topic."""

    given: Mapping[tuple[str, str], Criticism] = field(default_factory=dict)

    def of(self, student: str, topic: str) -> Criticism:
        """What was given to a student for a project; nothing, if nothing was.

        Examples
        --------
        >>> Rubric({("ada", "blood_cells"): Criticism({"limits": 4.0})}).of("ada", "blood_cells").points
        {'limits': 4.0}
        """
        return self.given.get((str(in_a_table(student)), topic), Criticism())


def read_rubric(path: Path, exercises: Iterable[Exercise]) -> Rubric:
    """The points in a table; none if there is no such file.

    Lines of exercises that are not graded now are left alone, and so is what is left empty.

    Raises
    ------
    ValueError
        If something in it is not as it should be; the sentence names the line.
    """
    if not path.is_file():
        return Rubric()
    criteria = {one.topic: {criterion.name: criterion for criterion in one.rubric} for one in exercises}
    headings, rows = _lines(path)
    missing = [name for name in KEYS if name not in headings]
    if missing:
        raise ValueError(f"{path} has no column {missing[0]!r}; it should have those that emlib grade has written")
    given: dict[tuple[str, str], Criticism] = {}
    for number, entries in enumerate(rows, start=2):
        key = entries["student"], entries["exercise"]
        if key in given:
            raise ValueError(f"{path}, line {number}: a second line for {key[0]} and {key[1]}")
        points = {}
        for name, criterion in criteria.get(key[1], {}).items():
            if name not in entries:
                raise ValueError(f"{path} has no column {name!r}, which is a criterion of {key[1]}")
            if entries[name]:
                points[name] = _points(entries[name], criterion, f"{path}, line {number}")
        given[key] = Criticism(points, entries.get("remark", ""))
    return Rubric(given)


def entered(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Headings and lines of the table, those lines alone in which somebody has entered something."""
    if not path.is_file():
        return [], []
    headings, rows = _lines(path)
    return headings, [row for row in rows if any(entry for heading, entry in row.items() if heading not in PRINTED)]


def _lines(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    headings, rows = read_table(path, "rubric")
    return headings, [
        {(heading or "").strip(): (entry or "").strip() for heading, entry in row.items() if heading != "…"}
        for row in rows
    ]


def _points(entry: str, criterion: Criterion, where: str) -> float:
    try:
        value = float(entry.replace(",", "."))
    except ValueError:
        value = -1.0
    if not 0 <= value <= criterion.points:
        raise ValueError(f"{where}: {criterion.name} should be a number from 0 to {criterion.points}, not {entry!r}")
    return value


def columns(exercises: Sequence[Exercise]) -> list[str]:
    """The headings of the table."""
    criteria = dict.fromkeys(criterion.name for one in exercises for criterion in one.rubric)
    return [*PRINTED, *criteria, "remark"]
