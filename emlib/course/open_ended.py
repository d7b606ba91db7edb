"""Problems without a single right answer: an answer is measured against a hidden truth, and good is told from better.

A project is an exercise whose functions are such problems, together with what only a person can judge. A problem is
declared as a function is, with a second, simple answer beside the reference::

    @project.problem(returns={"haplotypes": "(n, 2, L)"}, sizes=…, baseline=neighbours, story="…", hints=["…"])
    def phase(genotypes, rng):
        '''The docstring that the student sees.'''

    @phase.cases
    def cases(rng):                                   # what the inputs were made from is for the judge alone
        return {"a village": Posed({"genotypes": G, "rng": Seed(3)}, {"haplotypes": H})}

    @phase.measure("few switches", points=10, says="{:.3f} switches for each pair of neighbours")
    def switches(parts, posed): …

For every case the reference and the baseline are measured as the answer is. What the reference reaches (nearly, for
chance has its part) earns all points, what the baseline reaches half of them, less earns none, and in between points
grow evenly. So a hard draw is hard for all three, and no level has to be guessed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .compare import Difference, all_numbers, kind_of
from .contract import (
    Check,
    Criterion,
    Exercise,
    Function,
    Inputs,
    Judge,
    Posed,
    Slip,
    Written,
    answer_of,
    source_of,
    told,
)

Parts = Mapping[str, np.ndarray]
# Of the way from the baseline to the reference. Two equally good answers differ by chance: nine runs in ten of the
# references with other random numbers come closer to each other than this.
ENOUGH = 0.8
NEARLY = -0.15
MOST_SHARE = 1.25  # of the points of a case, to make up for another; the reference itself earns 1.125
MOST_KNOWN = 32  # cases whose levels are kept


@dataclass(frozen=True)
class Measured(Check):
    """A check by a number.

    Attributes
    ----------
    of : callable
        ``of(parts, posed)`` measures an answer; `parts` are its arrays, by name.
    says : str
        A format for it.
    loss : bool
        Less is better.
    least : float
        How much worse than the reference the baseline counts at least, so that chance decides no points where the two
        are close.
    nothing : callable, optional
        ``nothing(posed)`` is what somebody measures who knows nothing. The baseline then counts at least as a third of
        the way from there to the reference: where it happens to know nothing either, half of the points are not free.
    """

    of: Callable[[Parts, Posed], float] = lambda parts, posed: 0.0
    says: str = "{:.3g}"
    loss: bool = False
    least: float = 0.0
    nothing: Callable[[Posed], float] | None = None

    def level(self, low: float, high: float, posed: Posed) -> float:
        """What the baseline counts that measures `low` beside a reference that measures `high`.

        Examples
        --------
        >>> hits = Measured("hits", 10, (), True, nothing=lambda posed: 0.0)
        >>> hits.level(0.1, 0.9, Posed({})), hits.level(0.5, 0.9, Posed({}))
        (0.3, 0.5)
        """
        if self.nothing is None:
            return low
        start = self.nothing(posed)
        known = start + (high - start) / 3
        return min(low, known) if self.loss else max(low, known)


@dataclass
class Problem(Function):
    """A function to write that has no single right answer.

    Attributes
    ----------
    baseline : callable
        Answers simply; its level earns half the points.
    sizes : callable
        ``sizes(inputs)`` gives the letters of `returns` that are known beforehand, as ``{"n": 60}``.
    law : callable
        ``law(parts, inputs)`` returns a sentence if an answer breaks a law that it has to keep.
    using : sequence of callable
        What the reference is made of, for the solution page.
    """

    baseline: Callable[..., Any] = field(kw_only=True)
    sizes: Callable[[Inputs], dict[str, int]] = field(kw_only=True)
    law: Callable[[Parts, Inputs], str | None] = field(kw_only=True)
    using: Sequence[Callable[..., Any]] = field(kw_only=True, default=())
    known: dict[bytes, list[list[float]]] = field(kw_only=True, default_factory=dict, repr=False)

    def measure(
        self,
        title: str,
        *,
        points: int,
        says: str,
        least: float,
        on: str | Sequence[str] = (),
        loss: bool = False,
        nothing: Callable[[Posed], float] | None = None,
    ) -> Callable[[Written], Written]:
        """Give points by a number; see `Measured`."""

        def keep(of: Written) -> Written:
            cases = (on,) if isinstance(on, str) else tuple(on)
            self.checks.append(Measured(title, points, cases, True, of, says, loss, least, nothing))
            return of

        return keep

    def check(self, title: str, *, points: int, on: str | Sequence[str] = ()) -> None:
        """Nothing that a problem could do: it has no right answer.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(f"{self.id} has no right answer to compare with: use @{self.name}.measure")

    def known_by(self, why: str, sign: Callable[[Parts, Posed], bool]) -> Callable[[Written], Written]:
        """Name a known wrong way, as `Function.slip` does; it is recognised by ``sign(parts, posed)``."""

        def seen(answer: Any, posed: Posed) -> bool:
            parts = self.read(answer, posed.inputs)
            return not isinstance(parts, Difference) and sign(parts, posed)

        def keep(answer: Written) -> Written:
            self.slips.append(Slip(answer.__name__, told(why), answer, seen))
            return answer

        return keep

    def read(self, answer: Any, inputs: Inputs) -> dict[str, np.ndarray] | Difference:
        """The arrays of an answer by name, if it is a legal one; else what is wrong with it."""
        parts = arrays(answer, self.returns, self.sizes(inputs))
        broken = self.law(parts, inputs) if not isinstance(parts, Difference) else None
        return Difference(broken) if broken else parts

    def judge(self, posed: Posed) -> Judge:
        """Measure the reference and the baseline, and then answers."""
        levels = self._levels(posed)

        def judge(answer: Any) -> list[Difference | None]:
            parts = self.read(answer, posed.inputs)
            if isinstance(parts, Difference):
                return [parts] * len(self.checks)
            return [
                appraise(check, check.of(parts, posed), low, high)
                for check, low, high in zip(self.measures, *levels, strict=True)
            ]

        return judge

    def solution(self) -> str:
        """The code of the reference and of what it is made of."""
        return "\n\n\n".join(map(source_of, (*self.using, self.reference)))

    @property
    def measures(self) -> list[Measured]:
        """Its checks, all of which are measures."""
        return [check for check in self.checks if isinstance(check, Measured)]

    def _levels(self, posed: Posed) -> list[list[float]]:
        """What baseline and reference measure; kept, for a student checks again and again on the same case."""
        key = _digest(posed)
        if key not in self.known:
            while len(self.known) >= MOST_KNOWN:
                del self.known[next(iter(self.known))]
            lows, highs = (self._measures(answer, posed) for answer in (self.baseline, self.reference))
            levels = zip(self.measures, lows, highs, strict=True)
            self.known[key] = [[check.level(low, high, posed) for check, low, high in levels], highs]
        return self.known[key]

    def _measures(self, answer: Callable[..., Any], posed: Posed) -> list[float]:
        parts = self.read(answer_of(answer, posed.inputs), posed.inputs)
        if isinstance(parts, Difference):
            raise ValueError(f"{self.id}: {answer.__name__} gives no legal answer: {parts.sentence}")
        return [check.of(parts, posed) for check in self.measures]


def _digest(posed: Posed) -> bytes:
    """A name for a case that another case does not have."""
    found = hashlib.sha256()
    for name, value in [*posed.inputs.items(), *posed.truth.items()]:
        content = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
        found.update(f"{name} {getattr(value, 'shape', '')} {getattr(value, 'dtype', '')}".encode() + content)
    return found.digest()


class Project(Exercise):
    """Open-ended work on real data: problems that a machine measures, and a report that a person reads.

    Parameters
    ----------
    data : sequence of (str, str, str)
        What the notebook shows of the data: a paragraph, code, and what its picture shows (empty without one).
    milestones : sequence of str
        From a first look to what is left for the ambitious.
    fails : sequence of str
        How such work goes wrong.
    here : dict
        For a criterion of the rubric, what it means in this project.
    parameters
        And those of `Exercise`.
    """

    def __init__(
        self,
        topic: str,
        *,
        data: Sequence[tuple[str, str, str]],
        milestones: Sequence[str],
        fails: Sequence[str],
        here: Mapping[str, str],
        rubric: Sequence[Criterion] | None = None,
        call_seconds: float = 30.0,
        **parts: Any,
    ) -> None:
        super().__init__(
            topic, part="", rubric=RUBRIC if rubric is None else rubric, call_seconds=call_seconds, **parts
        )
        self.data = tuple(data)
        self.milestones = tuple(map(told, milestones))
        self.fails = tuple(map(told, fails))
        self.here = {name: told(text) for name, text in here.items()}

    def problem(
        self,
        *,
        returns: Mapping[str, str],
        sizes: Callable[[Inputs], dict[str, int]],
        baseline: Callable[..., Any],
        law: Callable[[Parts, Inputs], str | None] = lambda parts, inputs: None,
        story: str,
        using: Sequence[Callable[..., Any]] = (),
        hints: Sequence[str] = (),
        after: str = "",
    ) -> Callable[[Callable[..., Any]], Problem]:
        """Declare a problem; what is decorated is its reference. See `Problem` and `Exercise.function`."""

        def keep(reference: Callable[..., Any]) -> Problem:
            plain = self.function(returns=returns, story=story, hints=hints, after=after)(reference)
            problem = Problem(**{**vars(plain), "baseline": baseline, "sizes": sizes, "law": law, "using": using})
            self.functions[problem.name] = problem
            return problem

        return keep


def appraise(check: Measured, value: float, low: float, high: float) -> Difference | None:
    """What a measured answer earns, given the levels of the baseline and the reference.

    Examples
    --------
    >>> check = Measured("hits", 10, (), True, says="{:.0%} found", least=0.1)
    >>> appraise(check, 0.5, 0.4, 0.9).share
    0.625
    >>> appraise(check, 0.5, 0.4, 0.9).numbers
    'yours: 50% found; baseline: 40%, reference: 90%'
    >>> appraise(check, 0.2, 0.4, 0.9).share, appraise(check, 0.8, 0.4, 0.9).share
    (0.0, 1.0)

    Better than enough makes up for another case with less, up to `MOST_SHARE`.

    >>> appraise(check, 2.0, 0.4, 0.9).share
    1.25
    """
    if not np.isfinite(value):
        return Difference("it cannot be measured: it gives numbers that are not finite")
    sign = -1 if check.loss else 1
    better = max(sign * (high - low), check.least)
    way = 1 - sign * (high - value) / better
    bare = check.says[check.says.index("{") : check.says.index("}") + 1]
    numbers = f"yours: {check.says.format(value)}; baseline: {bare.format(low)}, reference: {bare.format(high)}"
    # Rounded: which of two cases is the worse, and so is told, must not hang on the last digit.
    share = round(min(0.5 + 0.5 * max(way, 0.0) / ENOUGH, MOST_SHARE), 9)
    if share >= 1:
        return Difference("", numbers, share)
    if way < NEARLY:
        return Difference("worse than the baseline, whose level would earn half the points", numbers)
    said = "between the baseline, which earns half the points, and the reference, which earns all"
    return Difference(said, numbers, share)


def arrays(answer: Any, returns: Mapping[str, str], known: Mapping[str, int]) -> dict[str, np.ndarray] | Difference:
    """The parts of an answer as arrays of finite numbers, by name, or why that cannot be.

    Letters of their shapes that are not `known` may be any size from 1, the same wherever they occur.

    Examples
    --------
    >>> arrays([[0.5, 0.5]], {"shares": "(n, K)"}, {"n": 1})
    {'shares': array([[0.5, 0.5]])}
    >>> arrays([0.5, 0.5], {"shares": "(n, K)"}, {"n": 2}).sentence
    'shares: expected shape (n, K) with n = 2, got (2,)'
    """
    names = list(returns)
    if len(names) == 1:
        answer = (answer,)
    elif not isinstance(answer, list | tuple) or len(answer) != len(names):
        found = f"{len(answer)} things" if isinstance(answer, list | tuple) else kind_of(answer)
        return Difference(f"it should return {len(names)} things, {', '.join(names)}; yours returned {found}")
    sizes = dict(known)
    found_parts: dict[str, np.ndarray] = {}
    for name, value in zip(names, answer, strict=True):
        array = _array(name, value, returns[name], sizes)
        if isinstance(array, Difference):
            return array
        found_parts[name] = array
    return found_parts


def _array(name: str, value: Any, shape: str, sizes: dict[str, int]) -> np.ndarray | Difference:
    """One part; sizes that it fixes are added to `sizes`."""
    if value is None:
        return Difference(f"{name} is None: did you forget return?")
    if not all_numbers(value):
        return Difference(f"{name} should be an array of shape {shape}, got {kind_of(value)}")
    try:
        array = np.asarray(value)
    except ValueError:
        return Difference(f"{name} is a list with rows of different lengths; it should be an array of shape {shape}")
    letters = [letter.strip() for letter in shape.strip("()").split(",") if letter.strip()]
    wanted = [int(letter) if letter.isdigit() else sizes.get(letter) for letter in letters]
    fits = len(wanted) == array.ndim and all(
        size >= 1 and want in (None, size) for want, size in zip(wanted, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in "biuf":
        told_sizes = [f"{letter} = {sizes[letter]}" for letter in dict.fromkeys(letters) if letter in sizes]
        known = f" with {', '.join(told_sizes)}" if told_sizes else ""
        return Difference(f"{name}: expected shape {shape}{known}, got {array.shape}")
    if not np.isfinite(array).all():
        return Difference(f"{name} contains numbers that are not finite (nan or inf)")
    sizes.update({letter: size for letter, size in zip(letters, array.shape, strict=True) if not letter.isdigit()})
    return array


# ---------------------------------------------------------------- what a person judges
RUBRIC = (
    Criterion(
        "question",
        "Is it said what is asked, of which data, and what an answer would change?",
        (
            "There is no question, only a task that was carried out.",
            "A question is stated, but the data could not answer it, or nothing would follow from the answer.",
            "The question fits the data; it is said what is measured, on whom, and what is hidden.",
            "It is also said beforehand which result would count against the author's expectation.",
        ),
    ),
    Criterion(
        "method",
        "Are the model, its assumptions and the choices in it stated, and are there reasons for them?",
        (
            "Code without a model: what is hidden and what is estimated cannot be told from it.",
            "Model and steps are named, choices (K, width, starts, priors, stopping) are given without reasons.",
            "What E and M compute is written down; every choice has a reason, from the data or from a chapter.",
            "An alternative was tried on the same data and is reported beside it, whichever won.",
        ),
    ),
    Criterion(
        "checks",
        "How would the author have noticed a mistake?",
        (
            "Results are shown, and nothing that could have shown them wrong.",
            "The log-likelihood is seen to rise, or the result looks as expected.",
            "Data with known truth were made and the truth was found again; several starts were compared.",
            "There is a control in which nothing should be found, and an error in numbers for the main result.",
        ),
    ),
    Criterion(
        "limits",
        "Does the author know where the result ends?",
        (
            "None are named.",
            "Limits that hold for any analysis (more data would help).",
            "Assumptions of this model that these data break are named, with the direction in which they push.",
            "The size of at least one such effect was measured, and the conclusion is worded accordingly.",
        ),
    ),
    Criterion(
        "writing",
        "Can a fellow student follow it without running the code?",
        (
            "Cells in the order in which they were tried; numbers without units; figures without words.",
            "There is an order, but the reader has to guess why a step follows.",
            "Question, method, result and limits are found at once; figures have axes, units and a sentence each.",
            "Short, and nothing could be left out; claims are as strong as the evidence and no stronger.",
        ),
    ),
)
