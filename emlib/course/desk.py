"""What a student calls: `goal` to see where to go, `check` to hear how it went, `hint` to be helped on."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .calls import arrive, in_this_process, outcome_of
from .contract import Function
from .evaluate import Report, evaluate
from .library import find, load
from .report import as_html, as_text
from .values import Seed

_given: dict[str, int] = {}  # how many hints of each function have been shown


class Verdict:
    """A report that shows itself, in a notebook or in a terminal."""

    def __init__(self, report: Report) -> None:
        self.report = report

    @property
    def passed(self) -> bool:
        """Whether all checks passed."""
        return self.report.passed

    def __repr__(self) -> str:
        return as_text(self.report)

    def _repr_html_(self) -> str:
        return as_html(self.report)


@dataclass(frozen=True)
class Note:
    """A few lines of text that show themselves."""

    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<p style='border-left:4px solid #777;padding:0.1em 1em'>{html.escape(self.text)}</p>"


def check(id: str, function: Callable[..., Any], *, seed: int = 0) -> Verdict:
    """Try your function on several inputs and say what is right, what is wrong, and if it can, why.

    Parameters
    ----------
    id : str
        ``topic.function``, as in the notebook.
    function : callable
        Yours.
    seed : int, default=0
        Another seed draws other inputs.

    Returns
    -------
    Verdict
        Shows itself as the last line of a cell; ``print`` it in a script.

    Examples
    --------
    >>> import numpy as np
    >>> with np.errstate(all="ignore"):
    ...     check("mixtures.log_sum_exp", lambda a: np.log(np.exp(a).sum(axis=1)))
    mixtures.log_sum_exp: 1 of 4 points
      ✓ ordinary numbers (1 of 1)
      ✗ numbers far below zero, as log densities are (0 of 2)
          total contains inf: look for a division by zero or the logarithm of zero
          in case 'far below zero'
      ✗ large numbers (0 of 1)
          case 'large': the same
      This is a known slip: exp underflows to 0 below about -745 and overflows above 709, and then
      the logarithm has nothing left to work on. Take the largest entry of each row out before exp,
      and add it back after log.
      hint("mixtures.log_sum_exp") gives a hint, case("mixtures.log_sum_exp", "far below zero") the inputs.
    """
    task = find(id)
    return Verdict(evaluate(task, in_this_process({task.name: function}), seed))


def case(id: str, name: str, *, seed: int = 0) -> dict[str, Any]:
    """The inputs of a case that a check has named, to try them yourself.

    Returns
    -------
    dict
        By the name of the argument: ``m_step(**case("mixtures.m_step", "whole numbers"))``.

    Raises
    ------
    ValueError
        If there is no such function or case.

    Examples
    --------
    >>> case("mixtures.log_sum_exp", "large")["a"].shape
    (4, 2)
    """
    cases = find(id).inputs(seed)
    if name not in cases:
        raise ValueError(f"there is no case {name!r} of {id}; there are {', '.join(map(repr, cases))}")
    return {argument: arrive(value) for argument, value in cases[name].items()}


def hint(id: str, number: int | None = None) -> Note:
    """The next hint for a function, or the hint of that number (from 1).

    Examples
    --------
    >>> hint("mixtures.log_sum_exp", 1)
    Hint 1 of 3: What is exp(-1000) in Python? And log(0)?
    """
    hints = find(id).hints
    if not hints:
        return Note("There is no hint for this one: the text above it says it all.")
    if number is None:
        number = _given[id] = min(_given.get(id, 0) + 1, len(hints))
    if number not in range(1, len(hints) + 1):
        raise ValueError(f"there are {len(hints)} hints for {id}, numbered from 1; there is no hint {number!r}")
    last = " That was the last one; the solution page shows an answer." if number == len(hints) else ""
    return Note(f"Hint {number} of {len(hints)}: {hints[number - 1]}{last}")


def goal(id: str, function: Callable[..., Any] | None = None) -> Note:
    """Show what a right answer looks like on an example, beside yours once you have one.

    Parameters
    ----------
    id : str
        ``topic.function``.
    function : callable, optional
        Yours: its answer is drawn beside the expected one.

    Returns
    -------
    Note
        The example and its result in numbers. Where the exercise has a picture of it, that is drawn too.

    Examples
    --------
    >>> goal("mixtures.log_sum_exp")
    log_sum_exp(a) with
      a =
        [[0, 0],
         [-1000, -1000.7],
         [0, -1500]]
    should return
      total = [0.69315, -999.59, 0]
    """
    task = find(id)
    if task.example_inputs is None:
        return Note(f"{task.name} has no example: the check will tell.")
    inputs = task.example_inputs()
    expected = task.expected(inputs)
    if task.picture is not None:
        _draw(task, inputs, expected, function)
    parts = (expected,) if len(task.returns) == 1 else expected
    lines = [f"{task.name}({', '.join(inputs)}) with"]
    lines += [line(name, value) for name, value in inputs.items()]
    chance = any(isinstance(value, Seed) for value in inputs.values())
    lines += ["may return, by chance," if chance else "should return", *map(line, task.returns, parts)]
    if function is not None:
        lines += _yours(task, inputs, function)
    return Sheet("\n".join(lines))


def _yours(task: Function, inputs: dict[str, Any], function: Callable[..., Any]) -> list[str]:
    outcome = outcome_of(function, inputs)
    if outcome.kind != "returned":
        return [f"yours {outcome.problem}"]
    many = isinstance(outcome.value, list | tuple) and len(outcome.value) == len(task.returns) > 1
    names = task.returns if many else [" and ".join(task.returns)]
    return ["yours returns", *map(line, names, outcome.value if many else [outcome.value])]


class Sheet(Note):
    """Lines of numbers: shown as they stand."""

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text)}</pre>"


def score(topic: str, functions: Mapping[str, Any], *, seed: int = 0) -> Sheet:
    """All functions of a notebook at once: ``score("mixtures", globals())``.

    Examples
    --------
    >>> print(score("mixtures", {}).text.splitlines()[-1])
    0 of 32 points
    """
    exercise = load(topic)
    call = in_this_process({name: functions[name] for name in exercise.functions if name in functions})
    reports = [evaluate(function, call, seed) for function in exercise.functions.values()]
    lines = [f"{report.earned:3d} of {report.points:2d}  {report.id}" for report in reports]
    lines.append(f"{sum(r.earned for r in reports)} of {exercise.points} points")
    if exercise.by_hand:
        lines.append(f"and {exercise.by_hand} more for the report, which a person reads")
    return Sheet("\n".join(lines))


def line(name: str, value: Any) -> str:
    """``name = value``, on one line or a few: five digits, long arrays cut short."""
    text = shown(value)
    return f"  {name} =\n{textwrap.indent(text, '    ')}" if "\n" in text else f"  {name} = {text}"


def shown(value: Any) -> str:
    """A value as text, at most 64 characters wide."""
    if isinstance(value, str | bool | int | None):
        return repr(value)
    if isinstance(value, Seed):
        return f"np.random.default_rng({value.value})"
    array = np.asarray(value) if isinstance(value, float | list | tuple | np.ndarray) else np.asarray(None)
    if array.dtype.kind not in "biuf":
        return repr(value)
    if array.ndim == 0:
        return f"{float(array):.5g}"
    return np.array2string(
        array,
        formatter={"float": lambda number: f"{number + 0.0:.5g}"},
        threshold=24,
        edgeitems=3,
        separator=", ",
        max_line_width=64,
    )


def _draw(task: Function, inputs: dict[str, Any], expected: Any, function: Callable[..., Any] | None) -> None:
    import matplotlib.pyplot as plt

    answers = {"expected": expected}
    if function is not None:
        outcome = outcome_of(function, inputs)
        if outcome.kind == "returned" and task.compare(outcome.value, expected, inputs, task.returns) is None:
            answers["yours"] = outcome.value
        elif outcome.kind == "returned":
            answers["yours (not the same)"] = outcome.value
    assert task.picture is not None
    _, axes = plt.subplots(1, len(answers), figsize=(4.8 * len(answers), 3.2), layout="constrained", squeeze=False)
    for ax, (title, answer) in zip(axes[0], answers.items(), strict=True):
        try:
            task.picture(ax, answer, **inputs)
        except Exception as error:  # an answer of the wrong shape cannot be drawn; the check says why
            ax.text(0.5, 0.5, f"cannot be drawn:\n{type(error).__name__}", ha="center", transform=ax.transAxes)
        if len(answers) > 1:
            ax.set_title(title)
    plt.show()
