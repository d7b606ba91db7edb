"""Judge one function: call it for each case, compare with the reference, and name the mistake if it is a known one."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .calls import Call, Outcome, outcome_of
from .compare import Difference
from .contract import Check, Function, Posed, Slip

SLOW = 0.2  # seconds; below, nobody waits
TOO_SLOW = 50  # times the reference
NEAR_THE_LIMIT = 0.5  # of the time after which the grader stops a call
LOUD = 2_000  # characters printed


@dataclass(frozen=True)
class Result:
    """What became of one check.

    Attributes
    ----------
    title : str
        What was asked for.
    points, earned : int
        What it is worth, and what was given.
    case : str
        The first case that failed; empty if none did.
    problem : str
        What is wrong there, in words and shapes.
    numbers : str
        The same in numbers, which give the case away.
    """

    title: str
    points: int
    earned: int
    case: str = ""
    problem: str = ""
    numbers: str = ""

    @property
    def passed(self) -> bool:
        """Whether the check gave its points."""
        return not self.problem


@dataclass(frozen=True)
class Report:
    """What became of one function.

    Attributes
    ----------
    id : str
        ``topic.function``.
    results : tuple of Result
        One for each check, in order.
    slips, why : tuple of str
        The names of the known mistakes that answer in the same way, and the sentences that explain them; one as a rule.
    remarks : tuple of str
        What costs no points: slowness, floods of text.
    printed : str
        The beginning of what the function printed.
    detail : str
        The traceback of the first failure, for the owner of the code.
    unwritten : bool
        The function is not there, or still the stub.
    """

    id: str
    results: tuple[Result, ...]
    slips: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    printed: str = ""
    detail: str = ""
    unwritten: bool = False

    @property
    def points(self) -> int:
        """What all checks are worth."""
        return sum(result.points for result in self.results)

    @property
    def earned(self) -> int:
        """What was given for those that passed."""
        return sum(result.earned for result in self.results)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(result.passed for result in self.results)


def evaluate(function: Function, call: Call, seed: int = 0) -> Report:
    """Judge the function that `call` reaches under the same name.

    Parameters
    ----------
    function : Function
        From `emlib.course.load`.
    call : Call
        How to call what the student wrote.
    seed : int
        Of the inputs.

    Returns
    -------
    Report
        The same for the same answers, wherever they were computed.

    Examples
    --------
    >>> from emlib.course import load
    >>> from emlib.course.calls import in_this_process
    >>> e_step = load("mixtures").functions["responsibilities"]
    >>> report = evaluate(e_step, in_this_process({"responsibilities": e_step.reference}))
    >>> report.earned == report.points
    True
    """
    cases = function.posed(seed)
    trials: dict[str, _Trial] = {}
    for name, posed in cases.items():
        trial = _try(function, call, posed)
        trials[name] = trial
        if trial.outcome.kind in ("unwritten", "missing"):
            return _unwritten(function, trial.outcome)
        if trial.outcome.kind == "interrupted":
            break  # who pressed stop wants the prompt back
    results = tuple(_judge(number, check, list(cases), trials) for number, check in enumerate(function.checks))
    failed = next((trial for trial in trials.values() if trial.difference), None)
    slips = _name(function, cases, trials) if failed else []
    return Report(
        function.id,
        results,
        slips=tuple(slip.name for slip in slips),
        why=tuple(slip.why for slip in slips),
        remarks=tuple(_remarks(function, trials)),
        printed=next((trial.outcome.printed for trial in trials.values() if trial.outcome.printed), ""),
        detail=failed.outcome.detail if failed else "",
    )


@dataclass(frozen=True)
class _Trial:
    """One case: what came back, and what is wrong with it, for each check."""

    outcome: Outcome
    differences: tuple[Difference | None, ...]
    reference_seconds: float

    @property
    def difference(self) -> Difference | None:
        """The first thing that is wrong."""
        return next((one for one in self.differences if one and one.share < 1), None)


def _try(function: Function, call: Call, posed: Posed) -> _Trial:
    outcome = call(function.name, posed.inputs)
    started = time.perf_counter()
    if outcome.kind == "returned" and not outcome.changed:
        judge = function.judge(posed)
        seconds = time.perf_counter() - started
        return _Trial(outcome, tuple(judge(outcome.value)), seconds)
    return _Trial(outcome, _fallen(function, outcome), 0.0)


def _fallen(function: Function, outcome: Outcome) -> tuple[Difference | None, ...]:
    """What is wrong with a call that gave nothing to judge."""
    said = f"your function {outcome.problem}"
    if outcome.kind == "returned":
        said = (
            f"your function changed its input {' and '.join(outcome.changed)}: work on a copy, whoever called you "
            f"still needs it"
        )
    return (Difference(said),) * len(function.checks)


def _judge(number: int, check: Check, names: list[str], trials: Mapping[str, _Trial]) -> Result:
    cases = check.cases or names
    for name in cases:
        if name not in trials:
            return Result(check.title, check.points, 0, name, "not tried, since you stopped an earlier case")
    found = {name: trials[name].differences[number] for name in cases}
    shares = {name: one.share if one else 1.0 for name, one in found.items()}
    worst = min(cases, key=lambda name: shares[name] if check.by_share else shares[name] == 1)
    difference = found[worst]
    if difference is None:
        return Result(check.title, check.points, check.points)
    # Chance does not treat all cases alike: luck in one makes up for bad luck in another.
    earned = sum(shares.values()) / len(shares) if check.by_share else 0.0
    if earned >= 1:  # good enough; the numbers are worth telling
        return Result(check.title, check.points, check.points, numbers=difference.numbers)
    # Rounded down: all points are for those who have earned them all.
    points = int(check.points * earned + 1e-9)
    return Result(check.title, check.points, points, worst, difference.sentence, difference.numbers)


def _unwritten(function: Function, outcome: Outcome) -> Report:
    said = "not written yet" if outcome.kind == "unwritten" else outcome.problem
    results = tuple(Result(check.title, check.points, 0, problem=said) for check in function.checks)
    return Report(function.id, results, unwritten=True)


def _name(function: Function, cases: Mapping[str, Posed], trials: Mapping[str, _Trial]) -> list[Slip]:
    """The slips that answer the failed cases as the student did, those that explain most first.

    One that explains every failed case, or else two that do so together, since people make two mistakes at once. A
    name for some of the cases only would be a guess. A slip that would have failed a case which the student passed is
    not the student's.
    """

    def explains(slip: Slip, name: str) -> bool:
        return _answers_like(function, slip, cases[name], trials[name].outcome)

    failed = [name for name, trial in trials.items() if trial.difference]
    passed = [name for name in trials if name not in failed]
    explained: dict[Slip, set[str]] = {slip: set() for slip in function.slips}
    for name in failed:
        like = [slip for slip in function.slips if explains(slip, name)]
        if not like:
            return []  # nothing explains this one, so nothing explains all: most wrong answers end here
        for slip in like:
            explained[slip].add(name)
    candidates = [slip for slip, some in explained.items() if some and all(explains(slip, name) for name in passed)]
    for slip in candidates:
        if len(explained[slip]) == len(failed):
            return [slip]
    candidates.sort(key=lambda slip: -len(explained[slip]))
    for one, other in itertools.combinations(candidates, 2):
        if len(explained[one] | explained[other]) == len(failed):
            return [one, other]
    return []


def _answers_like(function: Function, slip: Slip, posed: Posed, outcome: Outcome) -> bool:
    if slip.sign is not None:
        return outcome.kind == "returned" and not outcome.changed and slip.sign(outcome.value, posed)
    inputs = posed.inputs
    with np.errstate(all="ignore"):
        theirs = outcome_of(slip.answer, inputs)
    if theirs.kind != outcome.kind or theirs.changed != outcome.changed:
        return False
    if theirs.kind != "returned":
        return theirs.problem.partition(":")[0] == outcome.problem.partition(":")[0]
    return function.compare(outcome.value, theirs.value, inputs, function.returns) is None


def _remarks(function: Function, trials: Mapping[str, _Trial]) -> list[str]:
    remarks = []
    # The second slowest: the first call of all may have had a library to import.
    slow = sorted(trials.values(), key=lambda trial: trial.outcome.seconds)[-2:][0]
    seconds, usual = slow.outcome.seconds, max(slow.reference_seconds, 1e-4)
    # Of an open problem the levels are kept, so how long they took this time says nothing about the work.
    compared = not any(check.by_share for check in function.checks)
    if compared and slow.outcome.kind == "returned" and seconds > max(SLOW, TOO_SLOW * usual):
        remarks.append(
            f"It took {seconds:.1f} s where {usual * 1e3:.1g} ms would do: arithmetic on whole arrays instead of "
            f"loops over "
            "points is what makes the difference."
        )
    limit = function.exercise.call_seconds
    longest = max((one.outcome.seconds for one in trials.values() if one.outcome.kind == "returned"), default=0.0)
    if limit and longest > NEAR_THE_LIMIT * limit:
        remarks.append(
            f"A call took {longest:.0f} s. Where it is graded, a call is stopped after {limit:g} s and earns nothing, "
            f"on a machine that may be slower than yours."
        )
    printed = max(trial.outcome.n_printed for trial in trials.values())
    if printed > LOUD:
        remarks.append(f"It printed {printed:,} characters in one call; only the beginning is kept.")
    return remarks
