"""One submission in a sandbox: its cells have been run, and its functions can be called.

`Pupil` is an `emlib.course.calls.Call`, so `emlib.course.evaluate` judges what it answers as it judges the functions
of a notebook. What the worker says is data and a claim: an answer that breaks the form, comes late or never costs the
call that was asked for, with a reason, and the worker is ended and started again.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..course.calls import PRINTED, Kind, Outcome
from . import worker
from .frames import BadFrame
from .line import Flooded, Late, Line, Lost
from .sandbox import Limits, Sandbox

CellKind = Literal["ran", "raised", "late", "lost", "skipped"]
# What a worker may say became of a call; the rest is for the grader to say.
CLAIMS: tuple[Kind, ...] = ("returned", "raised", "unwritten", "missing", "foreign", "interrupted")


@dataclass(frozen=True)
class Cell:
    """What became of one cell, for the instructor.

    Attributes
    ----------
    kind : str
        ``ran`` · ``raised`` · ``late`` (stopped by the clock) · ``lost`` (it ended the process) · ``skipped`` (time
        was up).
    problem : str
        What happened, if it did not run.
    detail : str
        The traceback.
    remark : str
        Lines that were left out, since only Jupyter understands them.
    printed : str
        The beginning of what it printed.
    n_printed : int
        How many characters it printed.
    seconds : float
        How long it took.
    """

    kind: CellKind
    problem: str = ""
    detail: str = ""
    remark: str = ""
    printed: str = ""
    n_printed: int = 0
    seconds: float = 0.0


class Pupil:
    """The code of one submission, at work in a sandbox. Use it in a ``with``.

    Parameters
    ----------
    cells : sequence of str
        The source of the code cells, from `emlib.grading.notebooks`.
    sandbox : Sandbox
        Where to run them. It may serve many pupils, one after the other or at the same time.
    limits : Limits, optional
        What they may use.

    Attributes
    ----------
    cells : list of Cell
        What became of each of them.
    starts : int
        How often the worker was started.

    Examples
    --------
    ::

        with Sandbox() as sandbox, Pupil(read_cells("ada.ipynb"), sandbox) as pupil:
            report = evaluate(function, pupil, seed)
    """

    def __init__(self, cells: Sequence[str], sandbox: Sandbox, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.cells: list[Cell] = []
        self.starts = 0
        self._sources = list(cells)
        self._sandbox = sandbox
        self._line: Line | None = None
        self._until = time.monotonic() + self.limits.total_seconds
        self._ended = Counter[str]()  # how often each function has ended the worker
        self._used = False  # the worker has been called since it was started
        self._why = ""  # there is no worker any more, and never will be
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Pupil:
        return self

    def __exit__(self, *ignored: object) -> None:
        self.close()

    def close(self) -> None:
        """End the worker and remove what it has written."""
        if self._line is not None:
            self._line.close()
            self._line = None
        self._why = self._why or "was called after its notebook was closed"

    # ------------------------------------------------------------ calls
    def __call__(self, name: str, inputs: Mapping[str, Any]) -> Outcome:
        """Call the student's function `name` with these inputs, in order."""
        if self._ended[name] >= self.limits.chances:
            return Outcome(
                "lost", problem=f"was not called again, after its process had ended {self.limits.chances} times"
            )
        if self._line is not None and self._line.speaks_unasked():
            self._stop()  # what it says now would be taken for the answer to what is asked next
        used = self._line is not None and self._used
        outcome, fault = self._ask(name, inputs)
        if used and isinstance(fault, BadFrame):
            # Perhaps the function before has left something in the pipe: once more, in a process of its own.
            outcome, fault = self._ask(name, inputs)
        self._ended[name] += fault is not None
        return outcome

    def _ask(self, name: str, inputs: Mapping[str, Any]) -> tuple[Outcome, Exception | None]:
        """One call, and what was wrong if it has ended the worker."""
        if self._line is None:
            self._begin()
        if self._line is None:
            return Outcome("lost", problem=self._why), None
        started = time.perf_counter()
        self._used = True
        try:
            answer = self._line.ask(("call", name, dict(inputs)), self._time(self.limits.call_seconds))
            return _outcome(answer, inputs, time.perf_counter() - started), None
        except (Late, Lost, Flooded, BadFrame) as error:
            kind, problem = self._reason(error, self.limits.call_seconds)
            return Outcome(kind, problem=problem, seconds=time.perf_counter() - started), error

    # ------------------------------------------------------------ the worker
    def _begin(self) -> None:
        """Start a worker and run the cells, again from the top without those that have ended it before."""
        while not self._why:
            if self.starts >= self.limits.starts:
                self._why = f"was not called: its notebook had to be started {self.starts} times already"
            elif self._time(1.0) <= 0:
                self._why = f"was not called: its notebook has used up its {self.limits.total_seconds:g} s"
            else:
                self.starts += 1
                self._used = False
                self._line = self._sandbox.start(self.limits)
                if self._run_cells(self._line):
                    return
        unrun = Cell("skipped", self._why.replace("was not called: its notebook", "the notebook"))
        self.cells += [unrun] * (len(self._sources) - len(self.cells))

    def _run_cells(self, line: Line) -> bool:
        """Whether the worker has lived through all cells that have not ended one before."""
        for number, source in enumerate(self._sources):
            known = self.cells[number] if number < len(self.cells) else None
            if known is not None and known.kind in ("late", "lost"):
                continue
            cell = self._run_cell(line, number + 1, source)
            if known is None:
                self.cells.append(cell)
            elif self._line is None:
                self.cells[number] = cell  # it ran the first time; what it does the second time decides about the third
            if self._line is None:
                return False
        return True

    def _run_cell(self, line: Line, number: int, source: str) -> Cell:
        if not source.strip():
            return Cell("ran")
        started = time.perf_counter()
        try:
            answer = line.ask(("cell", number, source), self._time(self.limits.cell_seconds))
            return _cell(answer, time.perf_counter() - started)
        except (Late, Lost, Flooded, BadFrame) as error:
            kind, problem = self._reason(error, self.limits.cell_seconds)
            return Cell(kind, problem, seconds=time.perf_counter() - started)

    def _time(self, seconds: float) -> float:
        return min(seconds, self._until - time.monotonic())

    def _stop(self) -> int:
        line, self._line = self._line, None
        return line.close() if line is not None else 0

    def _reason(self, error: Exception, seconds: float) -> tuple[Literal["late", "lost"], str]:
        """End the worker; what it did, in words."""
        status = self._stop()
        if isinstance(error, Late):
            if time.monotonic() >= self._until:
                return "late", f"was stopped: the notebook has used up its {self.limits.total_seconds:g} s"
            return "late", f"did not return within {seconds:g} s"
        if isinstance(error, Flooded):
            return "lost", f"wrote more than {self.limits.disk // 2**20} MB of files, or too many of them"
        if isinstance(error, BadFrame):
            return "lost", f"sent an answer that is none: {error}"
        return "lost", _end_of_process(status)


def _end_of_process(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return "ended the process in which it ran; a function ends with return"
    number = os.WTERMSIG(status)
    named: dict[int, str] = {
        signal.SIGSEGV: "crashed (segmentation fault: a recursion without end, or memory that is not there)",
        signal.SIGXCPU: "used up its processor time",
        signal.SIGABRT: "crashed (aborted, as a rule for want of memory)",
        signal.SIGSYS: "crashed: it called the kernel in a way that no program here does",
    }
    return named.get(number, f"ended the process in which it ran (signal {number})")


# ---------------------------------------------------------------- claims
def _outcome(answer: Any, inputs: Mapping[str, Any], seconds: float) -> Outcome:
    """What a worker says became of a call, as far as it may say so."""
    said = _Claims(answer)
    kind = said.word("kind", CLAIMS)
    problem = said.line("problem")
    changed = answer.get("changed")
    if type(changed) is not tuple or not all(type(name) is str for name in changed):
        raise BadFrame("it does not say which arguments have changed")
    if kind == "interrupted":  # there is nobody here to interrupt it
        kind, problem = "raised", "raised KeyboardInterrupt"
    return Outcome(
        kind,  # type: ignore[arg-type]  # one of CLAIMS
        answer.get("value") if kind == "returned" else None,
        problem,
        said.text("detail", worker.MOST_DETAIL),
        said.text("printed"),
        said.count("n_printed"),
        seconds,
        tuple(name for name in inputs if name in changed),
    )


def _cell(answer: Any, seconds: float) -> Cell:
    said = _Claims(answer)
    return Cell(
        said.word("kind", ("ran", "raised")),  # type: ignore[arg-type]
        said.line("problem"),
        said.text("detail", worker.MOST_DETAIL),
        said.line("remark"),
        said.text("printed"),
        said.count("n_printed"),
        seconds,
    )


class _Claims:
    """A dictionary that a worker has sent, read entry by entry."""

    def __init__(self, answer: Any) -> None:
        if type(answer) is not dict:
            raise BadFrame("it is no account of what became of the call")
        self.answer: dict[str, Any] = answer

    def word(self, name: str, known: tuple[str, ...]) -> str:
        value = self.answer.get(name)
        if type(value) is not str or value not in known:
            raise BadFrame(f"it has no {name}")
        return value

    def text(self, name: str, most: int = PRINTED) -> str:
        """Text for people: no control characters, which terminals obey, and none that reverse what is read."""
        value = self.answer.get(name)
        if type(value) is not str or len(value) > most:
            raise BadFrame(f"it has no {name}")
        return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in value)

    def line(self, name: str) -> str:
        """The same, in one line."""
        return " ".join(self.text(name).split())

    def count(self, name: str) -> int:
        value = self.answer.get(name)
        if type(value) is not int or not 0 <= value < 2**63:
            raise BadFrame(f"it has no {name}")
        return value
