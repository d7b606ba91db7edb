"""Make the notebook and the solution page of an exercise out of its contract.

Cells have telling ids (``stub-fit``), but nothing ever depends on them: editors and upload forms lose them.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from .cells import code, text
from .contract import Exercise, Function
from .exercises import CHAPTER_OF
from .open_ended import Project
from .project_sheets import body

OURS = "import emlib\nfrom emlib.course import case, check, goal, hint, score"
MANUAL = (
    "Write each function in place of its line with `raise`, run the cell, and run the check below it. What a right "
    'answer looks like is shown before each stub; once yours is written, `goal("{first}", {name})` shows both. In a '
    'cell of your own, `hint("{first}")` gives a hint, and each further call the next one.'
)


FIRST = (
    "Try first, and take the hints before you look here. Another way that passes all checks is as good as the one "
    "shown."
)
PROJECT_FIRST = (
    "What is shown here is the answer that sets the level of full points, and the simple one that sets the level of "
    "half of them. Neither is the best there is. And there is no solution of the report: that is yours."
)


def notebook(exercise: Exercise) -> dict[str, Any]:
    """The notebook that a student starts from, not yet run, as nbformat 4.5.

    Examples
    --------
    >>> from emlib.course import load
    >>> cells = notebook(load("mixtures"))["cells"]
    >>> [cell["id"] for cell in cells[:6]]
    ['intro', 'setup', 'story-log_sum_exp', 'goal-log_sum_exp', 'stub-log_sum_exp', 'check-log_sum_exp']
    """
    if isinstance(exercise, Project):
        cells = body(exercise, _setup(exercise))
    else:
        cells = [text("intro", _intro(exercise)), code("setup", _setup(exercise))]
        for number, function in enumerate(exercise.functions.values(), start=1):
            cells += _cells(number, function)
        cells += [
            text("score-title", "## All together"),
            code("score", f'score("{exercise.topic}", globals())'),
        ]
    if exercise.outro:
        cells.append(text("outro", f"## Further\n\n{exercise.outro}"))
    return {
        "cells": cells,
        "metadata": {
            "emlib": {"exercise": exercise.topic},
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def solutions(exercise: Exercise) -> str:
    """The solution page, as Markdown: for each function the code, what to take from it, and the known slips."""
    parts = [f"# Solutions: {exercise.title}", PROJECT_FIRST if isinstance(exercise, Project) else FIRST]
    for number, function in enumerate(exercise.functions.values(), start=1):
        parts.append(f"## {number}. `{function.name}`")
        parts.append(f"```python\n{function.solution()}\n```")
        if function.after:
            parts.append(function.after)
        if function.slips:
            parts.append("Slips that the check knows by name:")
            parts.append("\n".join(f"- {slip.why}" for slip in function.slips))
    return "\n\n".join(parts) + "\n"


def write(exercise: Exercise, folder: Path) -> list[Path]:
    """Write both into `folder` (the solution page into ``solutions/``), each whole or not at all.

    A notebook whose cells are those of the contract already is left as it is, outputs and all.
    """
    written = []
    path = folder / f"{exercise.topic}.ipynb"
    fresh = notebook(exercise)
    if not (path.is_file() and sources(json.loads(path.read_text(encoding="utf-8"))) == sources(fresh)):
        written.append(_write(path, json.dumps(fresh, indent=1, ensure_ascii=False) + "\n"))
    path = folder / "solutions" / f"{exercise.topic}.md"
    page = solutions(exercise)
    if not (path.is_file() and path.read_text(encoding="utf-8") == page):
        written.append(_write(path, page))
    return written


def sources(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What a notebook says, apart from its outputs: kind, source and metadata of each cell."""
    return [
        (cell["cell_type"], "".join(cell["source"]), json.dumps(cell["metadata"], sort_keys=True))
        for cell in document["cells"]
    ]


def skeleton(topic: str) -> str:
    """The module of a new exercise, to be filled in."""
    return (Path(__file__).parent / "skeleton.py.txt").read_text(encoding="utf-8").replace("TOPIC", topic)


def _intro(exercise: Exercise) -> str:
    first = next(iter(exercise.functions.values()))
    number, page = CHAPTER_OF.get(exercise.topic, (None, ""))
    heading = f"Exercise {number}" if number else "Exercise"
    chapter = f" · to [chapter {number}](../{exercise.part}/{page}.ipynb)" if number and exercise.part else ""
    objectives = "\n".join(f"- {objective}" for objective in exercise.objectives)
    return "\n\n".join(
        [
            f"# {heading}: {exercise.title}",
            f"*{exercise.minutes} minutes · {exercise.points} points{chapter}*",
            exercise.intro,
            f"After this notebook you can\n\n{objectives}",
            MANUAL.format(first=first.id, name=first.name),
        ]
    )


def _setup(exercise: Exercise) -> str:
    """The first cell: imports in the order that everybody uses, then what the exercise works on."""
    lines = exercise.setup.splitlines()
    theirs = ["import numpy as np", *(line for line in lines if line.startswith(("import ", "from ")))]
    rest = [line for line in lines if line not in theirs]
    theirs.sort(key=lambda line: (line.startswith("from "), line))
    return "\n\n".join(["\n".join(theirs), OURS, "\n".join(rest).strip()]).strip()


def _cells(number: int, function: Function) -> list[dict[str, Any]]:
    name = function.name
    story = f"## {number}. `{name}` ({function.points} points)\n\n{function.story}"
    cells = [text(f"story-{name}", story)]
    if function.example_inputs is not None:
        picture = {"mystnb": {"image": {"alt": function.alt}}} if function.picture else {}
        cells.append(code(f"goal-{name}", f'goal("{function.id}")', picture))
    return [
        *cells,
        code(f"stub-{name}", function.stub()),
        code(f"check-{name}", f'check("{function.id}", {name})'),
    ]


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="\n", dir=path.parent, suffix=".tmp", delete=False
    ) as file:
        file.write(text)
    try:
        Path(file.name).chmod(0o644)
        os.replace(file.name, path)
    except OSError:
        os.unlink(file.name)
        raise
    return path
