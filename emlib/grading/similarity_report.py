"""The page that shows similar submissions side by side, for the instructor to judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

from ..course.contract import Exercise
from . import similarity
from .classroom import Crew
from .gradebook import Marks
from .notebooks import BadNotebook, cells_of
from .pages import page
from .record import write_whole
from .similarity import Pair, Sheet

EXPLAINED = (
    "Compared is the shape of the code, not its text: names, numbers, comments and layout do not count. A passage of "
    f"{similarity.GRAM} steps in a row is unusual if it is neither in the notebook as handed out, nor in the published "
    f"solution, nor in the work of more than {similarity.FEW} students or {similarity.COMMON:.0%} of the class. Pairs "
    f"are shown that have at least {similarity.LEAST} unusual passages in common, and {similarity.SHARE:.0%} of those "
    "of the smaller one."
)


def read_sheets(raw: bytes, wanted: dict[str, tuple[str, ...]]) -> dict[str, Sheet]:
    """Fingerprint a notebook, by topic; run in a process that may die of it, since code of strangers is parsed."""
    try:
        cells = cells_of(raw)
    except BadNotebook:
        return {}
    return {topic: similarity.sheet_of(cells, names) for topic, names in wanted.items()}


def write_similarity(
    marks: Marks, raws: dict[str, Callable[[], bytes]], exercises: list[Exercise], crew: Crew, path: Path
) -> list[Pair]:
    """Compare the attempts that count, and write the page.

    Parameters
    ----------
    marks : Marks
        Of the class.
    raws : dict
        By the name of a result, what reads its notebook.
    exercises : list of Exercise
        Of the run.
    crew : Crew
        Who reads them.
    path : Path
        Where the page goes.
    """
    sheets = _sheets(marks, raws, exercises, crew)
    names = {student.student: student.name or student.student for student in marks.students}
    found, like = [], []
    for exercise in exercises:
        mine = sheets.get(exercise.topic, {})
        found += similarity.alike(exercise.topic, mine, exercise)
        for who, functions in similarity.published(mine, exercise).items():
            like.append({"name": names[who], "topic": exercise.topic, "functions": functions})
    shown = [_shown(pair, sheets[pair.topic], names) for pair in found]
    write_whole(path, page("similarity.html", pairs=shown, published=like, explained=EXPLAINED))
    return found


def _sheets(
    marks: Marks, raws: dict[str, Callable[[], bytes]], exercises: list[Exercise], crew: Crew
) -> dict[str, dict[str, Sheet]]:
    """By topic and student."""
    counting = {
        (student.student, one.result): tuple(m.topic for m in student.exercises if m.result == one.result)
        for student in marks.students
        for one in student.exercises
        if one.result in raws
    }
    functions = {one.topic: tuple(one.functions) for one in exercises}
    sheets: dict[str, dict[str, Sheet]] = {}
    for (who, _), by_topic in _read(counting, raws, functions, crew):
        for topic, sheet in by_topic.items():
            sheets.setdefault(topic, {})[who] = sheet
    return sheets


def _read(
    counting: dict[tuple[str, str], tuple[str, ...]],
    raws: dict[str, Callable[[], bytes]],
    functions: dict[str, tuple[str, ...]],
    crew: Crew,
) -> Iterable[tuple[tuple[str, str], dict[str, Sheet]]]:
    waiting = list(counting)
    size = 8 * crew.n  # notebooks in memory at a time
    executor = crew.open()
    try:
        for start in range(0, len(waiting), size):
            futures = {}
            for one in waiting[start : start + size]:
                try:
                    raw = raws[one[1]]()
                    futures[one] = executor.submit(read_sheets, raw, {t: functions[t] for t in counting[one]})
                except (BadNotebook, BrokenExecutor):
                    continue
            broken = False
            for one, future in futures.items():
                try:
                    yield one, future.result()
                except BrokenExecutor:
                    broken = True  # one of them has ended the process that parsed it; it is compared with nobody
            if broken:
                crew.close(executor)
                executor = crew.open()
    finally:
        crew.close(executor)


def _shown(pair: Pair, sheets: dict[str, Sheet], names: dict[str, str]) -> dict[str, Any]:
    """A pair as the page needs it: functions with common passages, side by side, with the lines marked."""
    lines: dict[str, dict[str, set[int]]] = {pair.left: {}, pair.right: {}}
    matches: dict[int, dict[str, str]] = {}
    for who in (pair.left, pair.right):
        for passage in sheets[who].passages:
            if passage.print in pair.prints:
                lines[who].setdefault(passage.function, set()).update(range(passage.first, passage.last + 1))
                matches.setdefault(passage.print, {})[who] = passage.function
    functions = dict.fromkeys((both[pair.left], both[pair.right]) for both in matches.values() if len(both) == 2)
    pieces = [
        {
            "function": left if left == right else f"{left} / {right}",
            "left": _side(pair.left, left, sheets, lines, names),
            "right": _side(pair.right, right, sheets, lines, names),
        }
        for left, right in functions
    ]
    return {
        "left": {"name": names[pair.left]},
        "right": {"name": names[pair.right]},
        "topic": pair.topic,
        "shared": pair.shared,
        "percent": round(100 * pair.share),
        "names": list(pair.names)[:12],
        "pieces": pieces[:20],
    }


def _side(
    who: str, function: str, sheets: dict[str, Sheet], lines: dict[str, dict[str, set[int]]], names: dict[str, str]
) -> dict[str, Any]:
    marked = lines[who].get(function, set())
    text = sheets[who].sources[function].splitlines()[:200]
    return {"name": names[who], "lines": [(line[:300], number in marked) for number, line in enumerate(text)]}
