"""The process that holds one student's code. It is locked, then runs the cells, then answers calls.

Everything in here is in the student's hands once the first cell has run: they may replace any of it, and write
whatever they like into the pipe. So nothing here guards anything. What guards is the lock (`emlib.grading.lock`), and
that the grader believes only that what comes out of the pipe is plain data which claims to be an answer.
"""

from __future__ import annotations

import _sitebuiltins
import builtins
import linecache
import os
import re
import sys
import types
from typing import Any

from ..course import calls
from ..course.values import NotPlain
from . import frames

READ, WRITE = 3, 4  # the only two files that are open, besides nothing at 0, 1 and 2
MOST_DETAIL = 8_000  # characters of a traceback
MOST_MAGIC = 100  # lines of a cell that are no Python
MAGIC = re.compile(r"\s*([%!?].*|[\w.]+\s*=\s*[%!].*|.*\?)\s*$", re.DOTALL)
NOTHING = {"detail": "", "remark": "", "printed": "", "n_printed": 0, "changed": ()}
# Cell magics of which the rest of the cell is Python all the same.
TRANSPARENT = ("%%time", "%%timeit", "%%capture", "%%prun")


def serve(ready: dict[str, Any]) -> None:
    """Say that the worker is locked, then run cells and answer calls until the pipe is closed."""
    notebook = Notebook()
    sys.modules["__main__"] = notebook.module
    builtins.exit = _sitebuiltins.Quitter("exit", "")  # as every Python has them that is not started with -S
    builtins.quit = _sitebuiltins.Quitter("quit", "")
    _write(frames.encode("ready", ready))
    while True:
        raw = _read()
        if raw is None:
            os._exit(0)
        nonce, (what, *arguments) = frames.decode(raw)
        _write(_answer(nonce, notebook.run if what == "cell" else notebook.call, arguments))


def _answer(nonce: str, act: Any, arguments: list[Any]) -> bytes:
    outcome = NOTHING
    try:
        outcome = act(*arguments)
        return frames.encode(nonce, outcome)
    except NotPlain as error:
        problem = {"kind": "foreign", "problem": f"returned {error}"}
    except BaseException as error:  # which may be of a kind that cannot be told
        problem = {"kind": "raised", "problem": f"raised {_clean(type(error).__name__, 80)}"}
    return frames.encode(nonce, {**outcome, "value": None, **problem})


class Notebook:
    r"""The names that the cells have defined so far.

    Examples
    --------
    >>> notebook = Notebook()
    >>> notebook.run(1, "%matplotlib inline\ndef half(x):\n    return x / 2")["remark"]
    'left out: %matplotlib inline'
    >>> notebook.call("half", {"x": 3.0})["value"]
    1.5
    """

    def __init__(self) -> None:
        self.module = types.ModuleType("__main__")
        self.names = self.module.__dict__
        self.names["display"] = lambda *ignored, **also_ignored: None

    def run(self, number: int, source: str) -> dict[str, Any]:
        """Run one cell; what it raises is told, and costs only the rest of this cell."""
        name = f"<cell {number}>"
        problem = detail = remark = ""
        with calls._listening() as heard:
            try:
                source, left_out = python_of(source, name)
                remark = "left out: " + "; ".join(left_out) if left_out else ""
                linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
                exec(compile(source, name, "exec", dont_inherit=True), self.names)
            except BaseException as error:
                problem, detail = calls.in_words(error), calls._where(error)
        return {
            "kind": "raised" if problem else "ran",
            "problem": _clean(problem, calls.PRINTED),
            "detail": _clean(detail, MOST_DETAIL),
            "remark": _clean(remark, calls.PRINTED),
            "printed": _clean(heard.start(), calls.PRINTED),
            "n_printed": heard.length,
        }

    def call(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Call a function by name; see `emlib.course.calls`, which does it."""
        outcome = calls.in_this_process(self.names)(name, inputs)
        return {
            "kind": outcome.kind,
            "value": outcome.value,
            "problem": _clean(outcome.problem, calls.PRINTED),
            "detail": _clean(outcome.detail, MOST_DETAIL),
            "printed": _clean(outcome.printed, calls.PRINTED),
            "n_printed": outcome.n_printed,
            "changed": outcome.changed,
        }


def python_of(source: str, name: str = "<cell>") -> tuple[str, list[str]]:
    r"""A cell without the lines that only Jupyter understands, and these lines.

    What is Python already is not touched: a line that begins with % within a text stays. Lines keep their numbers.

    Examples
    --------
    >>> python_of("!pip install emlib\nx = 1")
    ('pass\nx = 1', ['!pip install emlib'])
    >>> python_of("text = '''\n%d\n'''")[1]
    []
    """
    left_out: list[str] = []
    head = source.lstrip().split("\n", 1)[0]
    if head.startswith("%%"):
        if not head.startswith(TRANSPARENT):
            return "", [head + " and the rest of the cell"]
        left_out.append(head)
        source = source.replace(head, "pass", 1)
    for _ in range(MOST_MAGIC):
        try:
            compile(source, name, "exec", dont_inherit=True)
        except SyntaxError as error:
            lines = source.split("\n")
            at = (error.lineno or 0) - 1
            if not 0 <= at < len(lines) or not MAGIC.match(lines[at]):
                break
            left_out.append(lines[at].strip()[:80])
            lines[at] = lines[at][: len(lines[at]) - len(lines[at].lstrip())] + "pass"
            source = "\n".join(lines)
        else:
            break
    return source, left_out


def _clean(text: str, most: int) -> str:
    return text[:most].encode("utf-8", "replace").decode("utf-8")


def _read() -> bytes | None:
    prefix = _exactly(frames.PREFIX)
    if prefix is None:
        return None
    rest = _exactly(sum(frames.sizes(prefix)))
    return None if rest is None else prefix + rest


def _exactly(n: int) -> bytes | None:
    pieces = []
    while n:
        piece = os.read(READ, min(n, 2**20))
        if not piece:
            return None
        pieces.append(piece)
        n -= len(piece)
    return b"".join(pieces)


def _write(raw: bytes) -> None:
    view = memoryview(raw)
    while view:
        view = view[os.write(WRITE, view) :]
