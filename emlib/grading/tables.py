"""Marks as tables: one for spreadsheets, one for Canvas, and a log of everything for the instructor."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..course.contract import Exercise
from .gradebook import Marks
from .record import Record, write_whole
from .roster import Roster
from .rubric import columns, entered
from .wording import in_a_table

CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Integration ID", "Section")


def write_grades(marks: Marks, path: Path) -> None:
    """``grades.csv``: a line for each student. Marks that are not known yet are left empty, as in `write_canvas`."""
    headings = ["student", "name", "mark", "of", "status", *marks.topics]
    headings += [f"{topic}: {what}" for topic in marks.topics for what in ("earned", "percent off", "attempt", "file")]
    by_hand = marks.students[0].exercises if marks.students else ()
    headings += [f"{one.topic}: {criterion.name}" for one in by_hand for criterion in one.by_hand]
    rows = []
    for student in marks.students:
        status = "; ".join(student.reasons) or "graded"
        known = not student.ungraded
        row: list[Any] = [student.student, student.name, student.counted if known else "", student.points, status]
        row += [one.counted if known else "" for one in student.exercises]
        for one in student.exercises:
            row += [*((one.earned, one.percent_off) if known else ("", "")), one.attempt or "", one.file]
        row += ["" if each.earned is None else each.earned for one in student.exercises for each in one.by_hand]
        rows.append(row)
    # Spreadsheets take a file without this mark for something else than UTF-8.
    write_whole(path, "\ufeff" + _csv([headings, *rows]))


def write_canvas(marks: Marks, roster: Roster, assignment: str, path: Path) -> None:
    """The gradebook of Canvas with one column of marks, to be imported there.

    Canvas finds students by its own columns, so they are given back as they came. Students whose notebook has no mark
    yet are left empty, which changes nothing there; those without a submission get 0.
    """
    by_id = {student.student: student for student in marks.students}
    columns = [heading for name in CANVAS for heading in roster.headings if heading.casefold() == name.casefold()]
    out_of = sum(one.points for one in marks.students[0].exercises) if marks.students else 0
    possible = ["    Points Possible" if column.casefold() == "student" else "" for column in columns]
    rows: list[Sequence[Any]] = [[*columns, assignment], [*possible, out_of]]
    for student in roster.students:
        mark = by_id[student.id]
        rows.append([*(student.line[column] for column in columns), "" if mark.ungraded else mark.counted])
    write_whole(path, _csv(rows))


def write_rubric(marks: Marks, exercises: Sequence[Exercise], path: Path) -> None:
    """``rubric.csv``: a line for each report that a person is to judge, with what was entered so far.

    Below stands what was entered for others, such as students who had another name before there was a roster: it does
    not count, and it is not thrown away.
    """
    earlier, old = entered(path)
    headings = list(dict.fromkeys([*columns(exercises), *(earlier if old else [])]))
    rows = []
    for student in marks.students:
        for one in student.exercises:
            if one.by_hand and one.file:
                line = {"student": student.student, "exercise": one.topic, "name": student.name, "file": one.file}
                line |= {each.name: f"{each.earned:g}" for each in one.by_hand if each.earned is not None}
                rows.append([(line | {"remark": one.remark}).get(heading, "") for heading in headings])
    written = {(str(in_a_table(row[0])), row[1]) for row in rows}
    kept = [line for line in old if (line["student"], line["exercise"]) not in written]
    rows += [[line.get(heading, "") for heading in headings] for line in kept]
    write_whole(path, "\ufeff" + _csv([headings, *rows]))


def write_log(marks: Marks, records: Iterable[Record], path: Path) -> None:
    """``log.jsonl``: every result and every mark as a line of JSON, with everything. For the instructor only."""
    lines = [json.dumps({"what": "result", **dataclasses.asdict(record)}) for record in records]
    lines += [json.dumps({"what": "mark", **dataclasses.asdict(one), "counted": one.counted}) for one in marks.students]
    lines += [json.dumps({"what": "refused", "said": said}) for said in marks.refused]
    write_whole(path, "\n".join(lines) + "\n")


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerows([in_a_table(entry) for entry in row] for row in rows)
    return file.getvalue()
