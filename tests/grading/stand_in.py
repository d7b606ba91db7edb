"""What stands in for the sandbox where the code under test is our own, and notebooks to try things on."""

import contextlib
import inspect
import json
import re
from concurrent.futures import Executor, Future
from functools import cache

from emlib.course import load
from emlib.course.calls import in_this_process
from emlib.course.sheets import notebook
from emlib.grading.mark import Task
from emlib.grading.pupil import Cell
from emlib.grading.sandbox import Limits

SECRET = b"a secret of the tests"


class Unlocked:
    """Runs our own cells in this process; it answers as a pupil does."""

    def __init__(self, cells):
        names = {"__name__": "__main__"}
        self.cells = []
        for number, source in enumerate(cells, start=1):
            try:
                with contextlib.redirect_stdout(None):
                    exec(compile(source, f"<cell {number}>", "exec"), names)
                self.cells.append(Cell("ran"))
            except Exception as error:
                self.cells.append(Cell("raised", f"raised {type(error).__name__}: {error}"))
        self.call = in_this_process(names)

    def __call__(self, name, inputs):
        return self.call(name, inputs)


@contextlib.contextmanager
def unlocked(cells, sandbox, limits):
    """An opening, for `Task`."""
    yield Unlocked(cells)


@contextlib.contextmanager
def deadly(cells, sandbox, limits):
    """An opening that ends the process which grades, if the notebook says so."""
    if any("DIE" in source for source in cells):
        import os

        os._exit(9)
    yield Unlocked(cells)


class Inline(Executor):
    """An executor that works at once, in this process."""

    def submit(self, work, /, *arguments, **named):
        future = Future()
        try:
            future.set_result(work(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


def task(*exercises, opening=unlocked, sandbox="none of the tests"):
    return Task(exercises or ("mixtures",), sandbox, Limits(), SECRET, opening)


def sheet(*sources, topic="mixtures"):
    """A notebook of these cells, as bytes."""
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": source} for source in sources]
    return json.dumps({"nbformat": 4, "cells": cells, "metadata": {"emlib": {"exercise": topic}}}).encode()


def filled(topic="mixtures", *, whole=False, **own):
    """The notebook of an exercise with the published solution in its stubs, or with `own` code, by function.

    Unless it is `whole`, the cells that only show something are left out: here they would really draw.
    """
    functions = load(topic).functions
    return _with(topic, lambda name: own.get(name) or functions[name].solution(), whole)


def starter(topic="mixtures"):
    return _with(topic, lambda name: None, False)


def _with(topic, code, whole):
    document = notebook(load(topic))
    kept = []
    for cell in document["cells"]:
        name = cell["id"].removeprefix("stub-")
        if cell["id"].startswith("stub-"):
            cell["source"] = code(name) or cell["source"]
        if whole or cell["id"].startswith(("stub-", "setup")):
            kept.append(cell)
    return json.dumps({**document, "cells": kept}).encode()


# ---------------------------------------------------------------- every slip, as code that stands alone
FAKE = """
import numpy as np
ANSWERS = {}
class Anything:
    def __init__(self, *ignored, **named): pass
    def __call__(self, *a, **named): return a[0] if len(a) == 1 and callable(a[0]) else self
    def __getattr__(self, name): return Anything()
class Written:
    def __init__(self, answer):
        self.answer = answer
        ANSWERS[answer.__name__, None] = answer
    def __call__(self, *inputs): return self.answer(*inputs)
    def slip(self, why):
        def keep(slip):
            ANSWERS[self.answer.__name__, slip.__name__] = slip
            return slip
        return keep
    def known_by(self, why, sign): return self.slip(why)
    def __getattr__(self, name): return Anything()
class Exercise(Anything):
    def function(self, **named): return Written
    problem = function
Project = Exercise
"""


@cache
def laid_bare(topic):
    """The module of an exercise without the contract: plain functions, in ANSWERS by function and slip."""
    source = inspect.getsource(inspect.getmodule(next(iter(load(topic).functions.values())).reference))

    def without(found):
        names = [name.split(" as ")[-1].strip(" ()\n") for name in found[2].split(",") if name.strip(" ()\n")]
        return "\n".join(f"{name} = Anything()" for name in names if name not in ("Exercise", "Project"))

    return FAKE + re.sub(r"^from \.\.+(\w*) import (\([^)]*\)|.+)$", without, source, flags=re.MULTILINE)


def answering(topic, which):
    """A notebook whose functions give the reference (None) or the slip of that number, where they have so many."""
    # In a space of its own: references call each other, and must not meet the slips.
    lines = [f"SPACE = {{'__name__': 'laid_bare'}}\nexec({laid_bare(topic)!r}, SPACE)\nANSWERS = SPACE['ANSWERS']"]
    for function in load(topic).functions.values():
        slips = [slip.name for slip in function.slips]
        if which is None:
            lines.append(f"{function.name} = ANSWERS[{function.name!r}, None]")
        elif which < len(slips):
            lines.append(f"{function.name} = ANSWERS[{function.name!r}, {slips[which]!r}]")
    return sheet(*lines, topic=topic)
