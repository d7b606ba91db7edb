"""The notebook of an open project: question, data, milestones, what to hand in, the report and its rubric."""

from __future__ import annotations

import textwrap
from typing import Any

from .cells import code, text
from .contract import Criterion, Function
from .open_ended import Project
from .projects import PROJECTS

MANUAL = (
    "Write each function in place of its line with `raise`. The check below it measures your answer on other people's "
    "data than those above, beside a simple baseline and a reference; it takes some seconds. With `seed=1` it draws "
    "new "
    'ones. `hint("{first}")` gives a hint, `case("{first}", …)` the inputs of a case that the check names. Only NumPy, '
    "SciPy and Matplotlib are there when your notebook is graded: write your own EM."
)
REPORT = (
    "Write here, for a fellow student who knows the chapters and not your notebook. Two pages are enough. Put figures "
    "and the cells that make them where they are needed. Each heading is one criterion of the rubric below; a person "
    "reads it, no machine does."
)


def body(project: Project, setup: str) -> list[dict[str, Any]]:
    """All cells but the last word."""
    cells = [text("intro", _intro(project)), code("setup", setup), text("data", "## The data")]
    for number, (words, source, alt) in enumerate(project.data, start=1):
        cells.append(text(f"data-{number}", " ".join(words.split())))
        picture = {"mystnb": {"image": {"alt": " ".join(alt.split())}}} if alt else {}
        cells.append(code(f"look-{number}", textwrap.dedent(source).strip(), picture))
    cells.append(text("milestones", f"## Milestones\n\n{_listed(project.milestones, numbers=True)}"))
    cells.append(text("fails", f"## How such work goes wrong\n\n{_listed(project.fails)}"))
    first = next(iter(project.functions.values()))
    cells.append(text("hand-in", f"## What you hand in\n\n{MANUAL.format(first=first.id)}"))
    for function in project.functions.values():
        cells += _function(function)
    cells.append(text("report", f"## Your report ({project.by_hand} points)\n\n{REPORT}"))
    for criterion in project.rubric:
        cells.append(text(f"report-{criterion.name}", _prompt(criterion, project)))
    cells.append(text("rubric", _rubric(project)))
    cells.append(code("score", f'score("{project.topic}", globals())'))
    return cells


def _intro(project: Project) -> str:
    number = f"Project {PROJECTS.index(project.topic) + 1}" if project.topic in PROJECTS else "Project"
    hours = round(project.minutes / 60)
    return "\n\n".join(
        [
            f"# {number}: {project.title}",
            f"*{hours} hours or more · {project.points} points by machine, {project.by_hand} by a reader*",
            project.intro,
            f"You hand in this notebook, with\n\n{_listed(project.objectives)}",
        ]
    )


def _function(function: Function) -> list[dict[str, Any]]:
    name = function.name
    points = "\n".join(f"- {check.title}: {check.points} points" for check in function.checks)
    return [
        text(f"story-{name}", f"### `{name}` ({function.points} points)\n\n{function.story}\n\n{points}"),
        code(f"stub-{name}", function.stub()),
        code(f"check-{name}", f'check("{function.id}", {name})'),
    ]


def _prompt(criterion: Criterion, project: Project) -> str:
    here = project.here.get(criterion.name, "")
    asked = f"*{criterion.asks}{f' {here}' if here else ''}*"
    return f"### {criterion.name.capitalize()}\n\n{asked}\n\n(Your text.)"


def _rubric(project: Project) -> str:
    """As lists: a table of five columns does not fit a phone."""
    parts = [
        "## The rubric",
        "Each criterion has four levels. A level counts if everything below it is there too; between two levels, half "
        "of the step may be given.",
    ]
    for criterion in project.rubric:
        levels = _listed(
            [f"**{worth}** {level}" for worth, level in zip(criterion.worth, criterion.levels, strict=True)]
        )
        parts.append(f"**{criterion.name.capitalize()}.** {criterion.asks}\n\n{levels}")
    return "\n\n".join(parts)


def _listed(items: Any, *, numbers: bool = False) -> str:
    return "\n".join(f"{f'{n}.' if numbers else '-'} {item}" for n, item in enumerate(items, start=1))
