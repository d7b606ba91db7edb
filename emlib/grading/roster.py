"""Who is in the course: a CSV file, as every registrar, Canvas or Moodle exports it.

Columns are known by their headings, in any order and case: an identifier (``id``, ``student id``, ``sid``, ``sis login
id``, ``username``, ``login``, ``email`` …) and a name (``name``, ``student``, or first and last name). Whatever else
identifies a student there is used to find them by.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .names import Who
from .wording import one_line

MOST_BYTES = 16 * 2**20
# The first of these that the file has is who a student is, for seeds and tables; the others find them too.
IDS = (
    "student id",
    "id number",
    "sid",
    "sis login id",
    "username",
    "user name",
    "login",
    "login id",
    "github username",
    "email",
    "email address",
    "e-mail",
    "sis user id",
    "id",
    "identifier",
    "roster identifier",
)
NAMES = ("name", "full name", "student name", "student")
FIRST = ("first name", "given name", "firstname")
LAST = ("last name", "surname", "family name", "lastname")
CANVAS = ("student", "id", "section")


@dataclass(frozen=True)
class Student:
    """One line.

    Attributes
    ----------
    id, name : str
        Who it is, for seeds and tables, and for people.
    keys : tuple of str
        Everything that identifies them.
    line : dict
        The line itself, by its headings.
    """

    id: str
    name: str
    keys: tuple[str, ...]
    line: dict[str, str]


@dataclass
class Roster:
    """All lines, and a way to find one."""

    students: list[Student] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    path: Path | None = None
    _index: dict[str, set[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, student in enumerate(self.students):
            for key in student.keys:
                self._index.setdefault(_plain(key), set()).add(number)

    @property
    def is_canvas(self) -> bool:
        """Whether it is a gradebook of Canvas, into which marks can be put back."""
        return all(any(h.strip().casefold() == name for h in self.headings) for name in CANVAS)

    def find(self, who: Who) -> Student | None:
        """The student, if exactly one is known by one of these names.

        Examples
        --------
        >>> roster = Roster([Student("ada", "Ada Lovelace", ("ada", "Ada Lovelace", "LovelaceAda"), {})])
        >>> roster.find(Who("4711", "lovelaceada", ("4711", "lovelaceada"))).id
        'ada'
        """
        for key in who.keys:
            numbers = self._index.get(_plain(key), set())
            if len(numbers) == 1:
                return self.students[next(iter(numbers))]
        return None


def read_roster(path: Path) -> Roster:
    """Read the file.

    Raises
    ------
    ValueError
        If it is no table of students; the sentence names the line.
    """
    headings, rows = read_table(path, "roster")
    return Roster(_students(path, headings, rows), headings, path)


def read_table(path: Path, what: str) -> tuple[list[str], list[dict[str, str]]]:
    """Headings and lines of a table as spreadsheets write it; `what` it should be is for the messages.

    Raises
    ------
    ValueError
        If it is no table.
    """
    try:
        raw = path.read_bytes()[: MOST_BYTES + 1]
    except FileNotFoundError:
        raise ValueError(f"there is no {what} {path}") from None
    if len(raw) > MOST_BYTES:
        raise ValueError(f"{path} is larger than {MOST_BYTES // 2**20} MB; is it the {what}?")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")  # what spreadsheets write where they do not write UTF-8
    heading = text.partition("\n")[0]
    delimiter = max(",;\t", key=heading.count)
    try:
        rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter, restkey="…", restval="", strict=True))
    except csv.Error as error:
        raise ValueError(f"{path} is no CSV file: {error}") from None
    return [h.strip() for h in next(csv.reader([heading], delimiter=delimiter), [])], rows


def _students(path: Path, headings: list[str], rows: list[dict[str, str]]) -> list[Student]:
    folded = {h.casefold().replace("_", " "): h for h in headings}
    ids = [folded[name] for name in IDS if name in folded]
    names = [folded[name] for name in NAMES if name in folded]
    first, last = (next((folded[n] for n in some if n in folded), None) for some in (FIRST, LAST))
    if not ids and not names:
        raise ValueError(
            f"{path} has the columns {one_line(', '.join(headings)) or 'none'}, and none of them identifies a student: "
            "expected one such as id, login, email or name"
        )
    students: list[Student] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=2):
        line = {h: one_line(str(row.get(h) or "")) for h in headings}
        name = next((line[h] for h in names if line[h]), "")
        if first and last:
            name = name or f"{line[first]} {line[last]}".strip()
        keys = [line[h] for h in ids if line[h]]
        if name.casefold().startswith("points possible") or name == "Student, Test" or not (keys or name):
            continue  # lines of Canvas that are no people; empty lines
        student = _student(keys, name, line)
        if student.id in seen:
            raise ValueError(f"{path}, line {number}: {student.id!r} is in line {seen[student.id]} already")
        seen[student.id] = number
        students.append(student)
    if not students:
        raise ValueError(f"{path} names no students")
    return students


def _student(keys: list[str], name: str, line: dict[str, str]) -> Student:
    more = [key.partition("@")[0] for key in keys if "@" in key]  # ada@example.org hands in as ada
    more += [key.split()[-1] for key in keys if key.lower().startswith("participant ")]  # of Moodle
    last, comma, first = name.partition(",")
    parts = [first, last] if comma else [" ".join(name.split()[:-1]), "".join(name.split()[-1:])]
    plain = " ".join(part.strip() for part in parts).strip()
    more += [name, plain, "".join(reversed(parts))] if name else []  # Canvas writes lastnamefirstname
    return Student((keys or [name])[0], plain or keys[0], tuple(dict.fromkeys((*keys, *more))), line)


def _plain(key: str) -> str:
    """A key as it is compared: no case, no accents, no spaces."""
    letters = unicodedata.normalize("NFKD", key.casefold())
    return re.sub(r"[\s_]+", "", "".join(c for c in letters if not unicodedata.combining(c)))


def missing(roster: Roster, present: Iterable[str]) -> list[Student]:
    """Those who have handed in nothing."""
    there = set(present)
    return [student for student in roster.students if student.id not in there]
