"""What an exercise is: functions to write, inputs to try them on, points, hints, and the mistakes people make.

An exercise is one module in `emlib.course.exercises`, and that module is its only definition: the notebook with the
stubs, the solution page, the checks in the notebook, in pytest and in the grader are all made of it. Read top to
bottom it says::

    exercise = Exercise("coins", title=…, objectives=[…], intro="…")

    @exercise.function(returns={"mean": "()"}, story="…", hints=["…"])
    def mean(x):
        '''The docstring that the student sees, with shapes.'''
        return x.sum() / len(x)                       # the reference

    @mean.cases
    def cases(rng):                                   # inputs, drawn anew for every seed
        return {"a few numbers": {"x": rng.normal(size=5)}}

    mean.check("the mean of a few numbers", points=2)  # compared with the reference

    @mean.slip("You divided by n - 1: that is the divisor of a variance.")
    def wrong_divisor(x):
        return x.sum() / (len(x) - 1)

There is one kind of check: call the function once for each case and compare what it returns with what the reference
returns. So no check can be passed by an answer that only has the right look, and a mistake is named by comparing in
the same way with what the slips return.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from .calls import arrive
from .compare import Compare, Difference, close
from .values import plain

Inputs = dict[str, Any]
Case = dict[str, Inputs]
Judge = Callable[[Any], Sequence["Difference | None"]]  # of an answer, for each check of the function in turn
Written = TypeVar("Written", bound=Callable[..., Any])


@dataclass(frozen=True)
class Slip:
    """A known wrong answer, and the sentence that explains the misconception behind it.

    It is recognised by giving the same answer; or, if it has a `sign`, by ``sign(answer, posed)``.
    """

    name: str
    why: str
    answer: Callable[..., Any]
    sign: Callable[[Any, Posed], bool] | None = None


@dataclass(frozen=True)
class Check:
    """Some cases, and the points for answering all of them like the reference."""

    title: str
    points: int
    cases: tuple[str, ...]  # names; none means all
    by_share: bool = False  # points for the mean share over the cases, not for all or nothing


@dataclass(frozen=True)
class Posed:
    """A case as its judge knows it.

    Attributes
    ----------
    inputs : dict
        What the student's function is called with, in order.
    truth : dict
        What the inputs were made from, for the judge alone: it is no argument, so it never leaves the grader.
    """

    inputs: Inputs
    truth: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Criterion:
    """What a person judges, in four levels.

    Attributes
    ----------
    name, asks : str
        One word, and the question that the level answers.
    levels : tuple of str
        From nothing to excellent; they are worth 0, 1/3, 2/3 and all of the points.
    points : int
        Of the best level.
    """

    name: str
    asks: str
    levels: tuple[str, str, str, str]
    points: int = 6

    @property
    def worth(self) -> tuple[int, ...]:
        """The points of each level."""
        return tuple(round(self.points * level / 3) for level in range(4))


@dataclass
class Function:
    """One function to write.

    Attributes
    ----------
    name, signature, docstring
        Of the reference; the stub has the same.
    returns : dict
        Name and shape of each thing that is returned, as ``{"weights": "(K,)", "means": "(K, d)"}``. The letters are
        those of the docstring; messages repeat them.
    story : str
        Markdown above the stub.
    hints : sequence of str
        From a nudge to nearly the answer.
    compare : Compare
        Says what is wrong with an answer (`emlib.course.compare`).
    after : str
        Markdown on the solution page, below the code: what to take from it.
    """

    exercise: Exercise
    reference: Callable[..., Any]
    returns: Mapping[str, str]
    story: str
    hints: Sequence[str]
    compare: Compare
    after: str = ""
    example_inputs: Callable[[], Inputs] | None = None
    picture: Callable[..., None] | None = None
    alt: str = ""
    drawn: Callable[[np.random.Generator], Mapping[str, Inputs | Posed]] | None = None
    checks: list[Check] = field(default_factory=list)
    slips: list[Slip] = field(default_factory=list)
    alternatives: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def __call__(self, *inputs: Any) -> Any:
        """Run the reference, so that later references can be made of earlier ones, as the student's functions are."""
        return self.reference(*inputs)

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.reference.__name__

    @property
    def id(self) -> str:
        """``topic.function``."""
        return f"{self.exercise.topic}.{self.name}"

    @property
    def points(self) -> int:
        """What all checks together are worth."""
        return sum(check.points for check in self.checks)

    @property
    def parameters(self) -> list[str]:
        """The names of the arguments, in order."""
        return list(inspect.signature(self.reference).parameters)

    # ------------------------------------------------------------ the parts, as decorators
    def cases(self, draw: Callable[[np.random.Generator], Case]) -> Callable[[np.random.Generator], Case]:
        """Say how inputs are drawn: a function of a generator that returns inputs by the name of their case."""
        self.drawn = draw
        return draw

    def example(self, inputs: Callable[[], Inputs]) -> Callable[[], Inputs]:
        """Say which inputs the notebook shows with their result, next to the stub."""
        self.example_inputs = inputs
        return inputs

    def draws(self, alt: str) -> Callable[[Written], Written]:
        """Say how to draw an answer: ``picture(ax, answer, **inputs)``; `alt` says what the example's picture shows."""

        def keep(picture: Written) -> Written:
            self.picture, self.alt = picture, told(alt)
            return picture

        return keep

    def check(self, title: str, *, points: int, on: str | Sequence[str] = ()) -> None:
        """Give points for answering like the reference on the cases named (all of them, if none is)."""
        self.checks.append(Check(title, points, (on,) if isinstance(on, str) else tuple(on)))

    def slip(self, why: str) -> Callable[[Written], Written]:
        """Name a known wrong answer; the function below is what somebody writes who makes this mistake."""

        def keep(answer: Written) -> Written:
            self.slips.append(Slip(answer.__name__, told(why), answer))
            return answer

        return keep

    def also(self, answer: Written) -> Written:
        """Give another correct answer; the tests prove that it is accepted."""
        self.alternatives[answer.__name__] = answer
        return answer

    # ------------------------------------------------------------ what others ask
    def inputs(self, seed: int) -> Case:
        """The cases of this seed, by name, each with its arguments in order."""
        return {name: posed.inputs for name, posed in self.posed(seed).items()}

    def posed(self, seed: int) -> dict[str, Posed]:
        """The cases of this seed, by name, as the judge knows them.

        Raises
        ------
        ValueError
            If the exercise is not whole: no cases, arguments that do not fit the signature, or checks of unknown cases.
        """
        if self.drawn is None:
            raise ValueError(f"{self.id} has no cases: decorate a function of a generator with @{self.name}.cases")
        # The name is part of the seed: two functions of one notebook do not share their draws.
        entropy = [seed, *self.id.encode()]
        drawn = {name: _posed(case) for name, case in self.drawn(np.random.default_rng(entropy)).items()}
        for name, case in drawn.items():
            given = list(case.inputs)
            if given != self.parameters:
                raise ValueError(f"{self.id}, case {name!r} gives {given}, the function takes {self.parameters}")
        for check in self.checks:
            unknown = set(check.cases) - set(drawn)
            if unknown:
                raise ValueError(f"{self.id}, check {check.title!r} is on a case {min(unknown)!r} that is not drawn")
        return drawn

    def expected(self, inputs: Inputs) -> Any:
        """What the reference answers."""
        return answer_of(self.reference, inputs)

    def judge(self, posed: Posed) -> Judge:
        """What judges the answers to a case: here, a comparison with what the reference answers."""
        expected = self.expected(posed.inputs)
        return lambda answer: [self.compare(answer, expected, posed.inputs, self.returns)] * len(self.checks)

    def stub(self) -> str:
        """The code that a student starts from."""
        documentation = textwrap.indent(f'"""{inspect.getdoc(self.reference)}\n"""', "    ")
        return "\n".join(
            [
                f"def {self.name}({', '.join(self.parameters)}):",
                re.sub(r"[ \t]+$", "", documentation, flags=re.MULTILINE),
                "    # Your code here, in place of the next line.",
                f'    raise NotImplementedError("{self.name}")',
            ]
        )

    def solution(self) -> str:
        """The code of the reference, without its docstring."""
        return source_of(self.reference)


class Exercise:
    """The functions of one notebook, in the order in which they are to be written.

    Parameters
    ----------
    topic : str
        The name of this module, of the notebook and, but for those in `exercises.OTHERWISE`, of the chapter's page.
    title : str
        The heading of the notebook.
    objectives : sequence of str
        What a student can do afterwards.
    intro : str
        Markdown at the top of the notebook.
    setup : str
        Code of the first cell, beyond the imports of NumPy, `emlib` and what `emlib.course` offers students.
    minutes : int
        How long it takes.
    outro : str
        Markdown at the end: where to go from here.
    part : str
        The folder of the chapter in the book, next to that of the exercises; empty as long as it has no chapter.
    rubric : sequence of Criterion
        What a person judges.
    call_seconds : float
        How long a call may take at least, whatever the limits of a grading run.

    Examples
    --------
    >>> halves = Exercise("halves", title="Halves", objectives=["halve"], intro="Halve.", minutes=1)
    >>> @halves.function(returns={"half": "()"}, story="Divide by two.")
    ... def half(x):
    ...     '''Half of x.'''
    ...     return x / 2
    >>> half.cases(lambda rng: {"a number": {"x": rng.normal()}}) # doctest: +ELLIPSIS
    <function ...>
    >>> half.check("half of a number", points=1)
    >>> halves.points
    1
    """

    def __init__(
        self,
        topic: str,
        *,
        title: str,
        objectives: Sequence[str],
        intro: str,
        minutes: int,
        setup: str = "",
        outro: str = "",
        part: str = "principles",
        rubric: Sequence[Criterion] = (),
        call_seconds: float = 0.0,
    ) -> None:
        self.topic = topic
        self.title = title
        self.objectives = tuple(objectives)
        self.intro = textwrap.dedent(intro).strip()
        self.minutes = minutes
        self.setup = textwrap.dedent(setup).strip()
        self.outro = textwrap.dedent(outro).strip()
        self.part = part
        self.rubric = tuple(rubric)
        self.call_seconds = call_seconds
        self.functions: dict[str, Function] = {}

    @property
    def points(self) -> int:
        """What all functions together are worth."""
        return sum(function.points for function in self.functions.values())

    @property
    def by_hand(self) -> int:
        """What a person has to give."""
        return sum(criterion.points for criterion in self.rubric)

    @property
    def out_of(self) -> int:
        """What can be had."""
        return self.points + self.by_hand

    def function(
        self,
        *,
        returns: Mapping[str, str],
        story: str,
        hints: Sequence[str] = (),
        compare: Compare | None = None,
        after: str = "",
    ) -> Callable[[Callable[..., Any]], Function]:
        """Declare a function to write; what is decorated is its reference. See `Function` for the arguments."""

        def keep(reference: Callable[..., Any]) -> Function:
            function = Function(
                self,
                reference,
                dict(returns),
                textwrap.dedent(story).strip(),
                tuple(map(told, hints)),
                compare or close(),
                textwrap.dedent(after).strip(),
            )
            self.functions[function.name] = function
            return function

        return keep


def told(text: str) -> str:
    """A text of several lines of code as one."""
    return " ".join(text.split())


def _posed(case: Inputs | Posed) -> Posed:
    return case if isinstance(case, Posed) else Posed(case)


def answer_of(answer: Callable[..., Any], inputs: Inputs) -> Any:
    """What a trusted function answers to copies of these inputs, as plain data; NumPy's warnings are its own affair."""
    with np.errstate(all="ignore"):
        return plain(answer(*map(arrive, inputs.values())))


def source_of(function: Callable[..., Any]) -> str:
    """The source of a function without decorators and docstring."""
    lines = textwrap.dedent(inspect.getsource(function))
    start = re.search(r"^def ", lines, re.MULTILINE)
    text = lines[start.start() :] if start else lines
    if function.__doc__:
        text = re.sub(r'\n\s*(?:r)?("""|\'\'\')(?:.|\n)*?\1', "", text, count=1)
    return text.rstrip()
