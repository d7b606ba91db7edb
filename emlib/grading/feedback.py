"""The page that a student gets back: what passed, what did not and why, known slips by name, hints. Nothing hidden."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ..course.contract import Exercise
from .gradebook import NOTHING, Marks, StudentMark
from .pages import page
from .record import Record, write_whole
from .student_view import see
from .wording import file_name, one_line

PAGE = re.compile(r"[a-z0-9-]+-[0-9a-f]{8}\.html")  # see `wording.file_name`
GENERATOR = b'<meta name="generator" content="emlib grade">'  # in the head of every page (templates/base.html)
FAILED = "A file of yours could not be graded, which need not be your fault; your instructor has been told."


def feedback(mark: StudentMark, results: dict[str, Record], exercises: list[Exercise]) -> str:
    """The page of one student.

    Parameters
    ----------
    mark : StudentMark
        Theirs.
    results : dict
        By the names of their files; only those of this student are looked at.
    exercises : list of Exercise
        Of the run.
    """
    mine = {name: record for name, record in results.items() if record.student == mark.student}
    return page(
        "feedback.html", mark=mark, seen=see(mark, mine, exercises), reasons=reasons_for(mark, list(mine.values()))
    )


def write_feedback(marks: Marks, results: dict[str, Record], exercises: list[Exercise], folder: Path) -> dict[str, str]:
    """The pages of all who handed something in; the names of the files, by student."""
    written = {}
    for mark in marks.students:
        if mark.handed_in:
            name = f"{file_name(mark.student)}.html"
            write_whole(folder / name, feedback(mark, results, exercises))
            written[mark.student] = name
    return written


def sweep(folder: Path, written: Iterable[str]) -> list[str]:
    """Remove the pages of earlier runs that this one has not written, and say which; files that no run wrote stay.

    A student who is known by another name now, since there is a roster, has a page of another name: with the old one
    beside it, both would be handed back.
    """
    new = set(written)
    others = sorted(path for path in folder.glob("*.html") if path.name not in new and PAGE.fullmatch(path.name))
    old = [path for path in others if path.is_file() and _is_ours(path)]
    for path in old:
        path.unlink()
    return [path.name for path in old]


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return GENERATOR in file.read(1024)


def reasons_for(mark: StudentMark, records: list[Record]) -> list[str]:
    """Why something of theirs has no mark, in words for them."""
    failed = {record.reason for record in records if record.status == "failed"}
    said = [FAILED if reason in failed else reason for reason in mark.reasons if reason != NOTHING]
    return [one_line(f"{reason[:1].upper()}{reason[1:]}".rstrip(".") + ".") for reason in dict.fromkeys(said)]
