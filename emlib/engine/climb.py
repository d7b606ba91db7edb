"""One climb: what it remembers, when it stops, how it tells a climb from a fall.

A climb is a conversation. It asks for parameters to be evaluated and is sent the `Point` found
there; so whoever drives it (`engine.em`) decides how points are evaluated, alone or many together.
"""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from .accelerate import Accelerator, accelerator
from .latent import SOFT, FloatArray, Latent
from .parameters import flatten, rebuild

Params = TypeVar("Params")
Reason = Literal["converged", "max_iter", "degenerate", "decreased", "pruned"]

EPS = float(np.finfo(float).eps)
QUIET = 10  # so many steps within rounding, none of them growing, are an end
PROOF = 4  # after jumps, slow directions need this many plain steps to show


class Degenerate(ArithmeticError):
    """Raised by a model at parameters that have no finite density. The message says which."""


@dataclass(frozen=True)
class Fit(Generic[Params]):
    """The end of a climb.

    Attributes
    ----------
    params : Params
        The last good parameters.
    log_likelihood : float
        Total log-likelihood in nats, at exactly these parameters.
    trace : array (n_iter + 1,)
        The objective at the start and after every iteration: the log-likelihood, plus the log
        prior if there is one, or the free energy of another choice of E (`engine.latent`).
    n_iter : int
        Iterations behind `params`, accepted jumps of an accelerator included.
    reason : {"converged", "max_iter", "degenerate", "decreased", "pruned"}
        Why the climb ended.
    n_evaluations : int
        E-steps spent, refused jumps included.
    message : str
        For a bad ending, or one that asks for caution (components that are identical, or that hold
        less than one row), one sentence on what was found.
    starts : tuple of Fit
        After `search`: every climb, in the order of its start.
    """

    params: Params
    log_likelihood: float
    trace: FloatArray
    n_iter: int
    reason: Reason
    n_evaluations: int = 0
    message: str = ""
    starts: tuple[Fit[Params], ...] = ()

    @property
    def converged(self) -> bool:
        """Whether less than `tol` was left to gain."""
        return self.reason == "converged"


@dataclass(frozen=True)
class Step:
    """What a callback sees after each iteration; iteration 0 is the start."""

    n_iter: int
    params: Any
    stats: Any
    objective: float


@dataclass(frozen=True)
class Point:
    """Parameters that have been evaluated."""

    params: Any
    stats: Any
    value: float
    objective: float
    message: str = ""
    image: Any = None  # its M-step, where many are taken at once


@dataclass(frozen=True)
class Rules:
    """What a climb was asked to do; the parameters of `engine.em.fit`."""

    max_iter: int
    tol: float
    prior: Any
    latent: Latent
    accelerate: str | Accelerator | None
    callback: Callable[[Step], object] | None


def rules_of(
    max_iter: int = 10_000,
    tol: float = 1e-6,
    prior: Any = None,
    latent: Latent = SOFT,
    accelerate: str | Accelerator | None = None,
    callback: Callable[[Step], object] | None = None,
) -> Rules:
    """These rules, if they are any: `max_iter` and `tol` of 0 or above, and a known accelerator."""
    if not max_iter >= 0:
        raise ValueError(f"max_iter is {max_iter!r}; it must be 0 or above.")
    if not tol >= 0:
        raise ValueError(f"tol is {tol!r}; it must be 0 or above.")
    accelerator(accelerate)  # an unknown name is refused before any work is done
    return Rules(max_iter, tol, prior, latent, accelerate, callback)


class SetAside(Exception):
    """Thrown into a climb that is not worth going on with."""


def climb(model: Any, start: Any, rules: Rules) -> Generator[Any, Point, tuple[Point, Fit[Any]]]:
    """One climb, as a conversation: yields parameters, is sent the `Point` evaluated there.

    Whoever drives it decides how points are evaluated, one climb at a time or many together.
    """
    jumper = accelerator(rules.accelerate)
    monotone = getattr(model, "monotone", True) and rules.latent.climbs
    pace = _Pace(memory=8 if jumper else 1, decided=rules.latent.temperature == 0.0)
    proof = PROOF if jumper else 1  # plain steps in a row that must find nothing left to gain
    found = 0
    here: Point = yield start
    evaluations, trace, message = 1, [here.objective], here.message
    reason: Reason = "max_iter" if here.stats is not None else "degenerate"
    path = [flatten(start)]
    _tell(rules.callback, 0, here)

    try:
        while reason == "max_iter" and len(trace) <= rules.max_iter:
            try:
                image = model.m_step(here.stats, rules.prior) if here.image is None else here.image
            except (Degenerate, np.linalg.LinAlgError) as problem:
                reason, message = "degenerate", str(problem)
                break
            path = [*path[-3:], flatten(image)]

            jump = jumper.propose(path) if jumper and not found else None
            jumped = False
            if jumper is not None and jump is not None:
                there = yield _project(model, rebuild(start, jump))
                evaluations += 1
                jumped = there.objective >= here.objective
                jumper.judge(jumped)
            if jumped:
                path = [flatten(there.params)]
            else:
                there = yield image
                evaluations += 1

            gain = there.objective - here.objective
            if there.stats is None:
                reason, message = "degenerate", there.message
            elif monotone and gain < -_noise(here, there):
                reason, message = "decreased", f"iteration {len(trace)} lowered the objective by {-gain:.3g} nats."
                warnings.warn(message + " The last good parameters are returned.", RuntimeWarning, stacklevel=3)
            else:
                here = there
                trace.append(here.objective)
                _tell(rules.callback, len(trace) - 1, here)
                if jumped:
                    pace.forget_step(gain > _noise(here, there))
                elif rules.latent.climbs and pace.settled(path[-2], path[-1], gain, _noise(here, there), rules.tol):
                    found += 1
                    reason = "converged" if found == proof or pace.at_rest else reason
                else:
                    found = 0
    except SetAside:
        reason, message = "pruned", "set aside in favour of better starts."

    return here, _ending(model, here, trace, reason, evaluations, message)


def _ending(model: Any, here: Point, trace: list[float], reason: Reason, evaluations: int, message: str) -> Fit[Any]:
    """What is said of the end of a climb: a flaw overrules every other reason, a caution joins a silent one."""
    flaw = model.flaw(here.params, here.stats) if here.stats is not None and hasattr(model, "flaw") else ""
    if flaw:
        reason, message = "degenerate", flaw
    elif not message and hasattr(model, "caution"):
        message = model.caution(here.params, here.stats)
    return Fit(here.params, here.value, np.array(trace), len(trace) - 1, reason, evaluations, message)


def _project(model: Any, params: Any) -> Any:
    project = getattr(model, "project", None)
    return params if project is None else project(params)


def _tell(callback: Callable[[Step], object] | None, n_iter: int, point: Point) -> None:
    if callback is not None:
        callback(Step(n_iter, point.params, point.stats, point.objective))


def _noise(*points: Point) -> float:
    """How far rounding alone can move the objective; models add what they know of themselves."""
    own = max(getattr(p.stats, "noise", 0.0) if p.stats is not None else 0.0 for p in points)
    return 4 * EPS * max(abs(p.objective) for p in points if math.isfinite(p.objective)) + own


class _Pace:
    """Measures how fast the climb slows down, and so how much is left (see `fit`, `tol`).

    Two estimates of the rate are at hand, from step lengths and from gains; the slower counts.
    At first the steps mix fast directions with slow ones, and the rate still rises towards that
    of the slowest: it is believed once it has stopped rising. After a jump they mix again, so an
    accelerated climb believes the slowest rate among its last few measurements.

    Decided labels (temperature 0) have no rate: they change or they do not. There the last gain
    itself is compared with `tol`.
    """

    def __init__(self, memory: int, decided: bool) -> None:
        self.decided = decided
        self.rates: deque[float] = deque(maxlen=memory)
        self.rate = 1.0
        self.quiet: deque[float] = deque(maxlen=QUIET)  # the last steps, while gains are only rounding
        self.at_rest = False  # jitter in the last digits, long enough to need no further proof
        self.forget_step()

    def forget_step(self, gained: bool = False) -> None:
        """A jump is no step; one that gained something says that there was no rest."""
        self.step, self.gain = 0.0, 0.0
        if gained:
            self.quiet.clear()

    def settled(self, before: FloatArray, after: FloatArray, gain: float, noise: float, tol: float) -> bool:
        step, last_step, last_gain = float(np.linalg.norm(after - before)), self.step, self.gain
        self.step, self.gain = step, gain
        if step <= EPS * float(np.linalg.norm(after)) and (np.abs(after - before) <= EPS * np.abs(after)).all():
            return True  # a fixed point, to the last digit of every number
        if self.decided:
            return gain < tol
        if abs(gain) > noise:
            self.quiet.clear()
        self.quiet.append(step)
        # A saddle's first steps are as quiet, but they grow. Jitter may be a cycle that never shrinks for long.
        self.at_rest = len(self.quiet) == QUIET and step <= self.quiet[0]
        if self.at_rest:
            return True
        if last_step == 0.0:
            return False
        rate = step / last_step
        if gain > 10 * noise and last_gain > 10 * noise:
            rate = max(rate, math.sqrt(gain / last_gain))
        rising = 1.0 - rate < 0.9 * (1.0 - self.rate) or self.rate >= 1.0
        self.rate = rate
        self.rates.append(rate)
        rate = max(self.rates)
        return not rising and rate < 1.0 and abs(gain) * rate**2 / (1.0 - rate**2) < tol
