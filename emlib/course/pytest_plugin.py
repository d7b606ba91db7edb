"""The same checks in pytest: ``pytest tests/exercises --submission my.ipynb``.

The notebook's code is run in this process, with your rights: use it for your own. ``emlib grade`` is for those of
others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .calls import Call, in_this_process
from .contract import Function
from .evaluate import evaluate
from .library import load
from .report import as_text
from .submissions import functions_of, topic_of


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("emlib", "exercises of the course")
    group.addoption("--submission", type=Path, metavar="NOTEBOOK", help="check the functions of your own notebook")
    group.addoption("--exercise", metavar="TOPIC", help="the exercise it belongs to, if the notebook does not say")
    group.addoption("--exercise-seed", type=int, default=0, metavar="N", help="seed of the inputs (default: 0)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With a submission, its functions are all that is tested."""
    if config.getoption("--submission") is not None:
        others = [item for item in items if "submitted" not in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


TASKS = pytest.StashKey[list[tuple[Function, Call]]]()


def pytest_configure(config: pytest.Config) -> None:
    """Run the submission, if there is one."""
    path: Path | None = config.getoption("--submission")
    if path is None:
        return
    try:
        exercise = load(config.getoption("--exercise") or topic_of(path))
        names = functions_of(path)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    call = in_this_process({name: names[name] for name in exercise.functions if name in names})
    config.stash[TASKS] = [(function, call) for function in exercise.functions.values()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each function of the exercise that the submission belongs to."""
    if "submitted" not in metafunc.fixturenames:
        return
    tasks = metafunc.config.stash.get(TASKS, None)
    if tasks is None:
        metafunc.parametrize("submitted", [pytest.param(None, marks=pytest.mark.skip("no --submission given"))])
    else:
        metafunc.parametrize("submitted", [pytest.param(task, id=task[0].id) for task in tasks])


@pytest.fixture
def verdict(submitted: Any, request: pytest.FixtureRequest) -> str:
    """The report of one function, as text; empty if every check passed."""
    function, call = submitted
    report = evaluate(function, call, request.config.getoption("--exercise-seed"))
    return "" if report.passed else as_text(report)
