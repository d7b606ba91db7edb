"""Where exercises are kept, and how one is found by its name."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
from pathlib import Path

from .contract import Exercise, Function
from .exercises import TOPICS
from .projects import PROJECTS


def topics() -> tuple[str, ...]:
    """The topics that come with the course, in the order of its chapters.

    Examples
    --------
    >>> topics()[:2]
    ('incomplete_data', 'mixtures')
    """
    return TOPICS


def projects() -> tuple[str, ...]:
    """The open projects that come with the course.

    Examples
    --------
    >>> projects()
    ('phase_a_region', 'motif_in_peaks', 'blood_cells')
    """
    return PROJECTS


def load(topic: str | os.PathLike[str]) -> Exercise:
    """The exercise of a topic, or that of a Python file of your own.

    Parameters
    ----------
    topic : str or path
        One of `topics` or `projects`, or a path that ends in ``.py``. The file is run: it must be one that you trust.

    Raises
    ------
    ValueError
        If there is no such exercise, or the file defines none.

    Examples
    --------
    >>> load("mixtures").title
    'The two-step dance'
    """
    name = os.fspath(topic)
    if name.endswith(".py"):
        return _from_file(Path(name))
    if name not in TOPICS + PROJECTS:
        raise ValueError(f"there is no exercise {name!r}{_near(name, TOPICS + PROJECTS)}")
    module = importlib.import_module(f"{__package__}.{'projects' if name in PROJECTS else 'exercises'}.{name}")
    exercise: Exercise = module.exercise
    return exercise


def find(id: str) -> Function:
    """The function of an exercise with the name ``topic.function``.

    Raises
    ------
    ValueError
        If there is none of that name; the sentence says which there are.

    Examples
    --------
    >>> find("mixtures.log_sum_exp").points
    4
    """
    topic, _, name = id.partition(".") if isinstance(id, str) else ("", "", "")
    if not name:
        raise ValueError(f"expected 'topic.function', such as 'mixtures.log_sum_exp', not {id!r}")
    functions = load(topic).functions
    if name not in functions:
        raise ValueError(f"exercise {topic!r} has no function {name!r}{_near(name, tuple(functions))}")
    return functions[name]


def _from_file(path: Path) -> Exercise:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    exercise = getattr(module, "exercise", None)
    if not isinstance(exercise, Exercise):
        raise ValueError(f"{path} defines no exercise: expected a line such as exercise = Exercise({path.stem!r}, …)")
    return exercise


def _near(name: str, names: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f": did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)}"
