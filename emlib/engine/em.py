"""The loop: one E-step, one M-step, until nothing is left to gain. Written here and nowhere else.

    stats = sum over rows of E[T(x, z) | x, params]      model.e_step
    params = M(stats)                                    model.m_step

A model says what the two steps are; `fit` climbs from one start, `search` from many. What the
loop itself knows: when to stop, how to tell a climb from a fall, and that a run which ended
badly still returns the last good parameters and says why it ended.
"""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np

from .accelerate import Accelerator, accelerator
from .blocks import expect_over_blocks, one_blas_thread
from .latent import SOFT, FloatArray, Latent, schedule
from .parameters import flatten, rebuild
from .progress import progress_bar

Data = TypeVar("Data")
Params = TypeVar("Params")
Stats = TypeVar("Stats")
Reason = Literal["converged", "max_iter", "degenerate", "decreased", "pruned"]

EPS = float(np.finfo(float).eps)
QUIET = 10  # so many steps within rounding, none of them growing, are an end
PRUNE_EVERY = 20  # rounds; sooner, ranks say little about the end
NUDGE = 0.01  # share of drawn labels that parts merged components between temperatures
PROOF = 4  # after jumps, slow directions need this many plain steps to show


class Model(Protocol[Data, Params, Stats]):
    """What a hidden world must say about itself.

    `Params` and `Stats` are frozen dataclasses of arrays; `Stats` can be added. Optional members:

    monotone : bool
        False where the M-step is not an exact maximiser, as under a variance floor.
    e_steps(data, list of Params, latent) -> list of (Stats, float)
        The E-step at several parameters at once, where that is one large matrix product.
    m_steps(list of Stats, prior) -> list of Params
        The M-step of several at once.
    flaw(params, stats) -> str
        A sentence if the fit is degenerate, else "".
    caution(params, stats) -> str
        A sentence on what a reader of an otherwise honest fit should know, else "".
    project(params) -> Params
        Extrapolated parameters, back on their constraints (weights that sum to one).
    slopes, coordinates, complete_slopes
        For standard errors: see `engine.information.Smooth`.
    """

    def e_step(self, data: Data, params: Params, latent: Latent = SOFT) -> tuple[Stats, float]:
        """Summed statistics of the hidden part, and the log-likelihood at `params`."""
        ...

    def m_step(self, stats: Stats, prior: Any = None) -> Params:
        """The parameters that maximise; a prior adds its pseudo-statistics first."""
        ...

    def draw(self, stats: Stats, prior: Any, rng: np.random.Generator, current: Params | None = None) -> Params:
        """Parameters drawn from their posterior given complete-data statistics.

        Where some can be drawn only given the others, these are taken from the `current` parameters.
        """
        ...

    def log_prior(self, params: Params, prior: Any) -> float:
        """Log prior density at `params`, up to a constant."""
        ...

    def simulate(self, params: Params, n: int, rng: np.random.Generator) -> Data:
        """`n` observations drawn from the model."""
        ...


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
class _Point:
    """Parameters that have been evaluated."""

    params: Any
    stats: Any
    value: float
    objective: float
    message: str = ""
    image: Any = None  # its M-step, where many are taken at once


@dataclass(frozen=True)
class _Rules:
    max_iter: int
    tol: float
    prior: Any
    latent: Latent
    accelerate: str | Accelerator | None
    callback: Callable[[Step], object] | None


def fit(
    model: Model[Data, Params, Stats],
    data: Data,
    start: Params,
    *,
    max_iter: int = 10_000,
    tol: float = 1e-6,
    prior: Any = None,
    latent: Latent = SOFT,
    accelerate: str | Accelerator | None = None,
    callback: Callable[[Step], object] | None = None,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> Fit[Params]:
    """Climb from `start` until less than `tol` is left to gain.

    Parameters
    ----------
    model : Model
        The two steps.
    data
        Whatever the model's E-step reads. If it can be cut into ``blocks()``, the E-step runs
        block by block.
    start : Params
        Where to begin.
    max_iter : int
        Most iterations.
    tol : float
        Stop when the *projected remaining* gain of the objective is below this many nats (with
        decided labels, the last gain itself). EM
        converges linearly: with rate r (last step length over the one before) and last gain g,
        what remains is ``g r**2 / (1 - r**2)`` (eq. 3.11). A small last gain alone proves nothing; neither
        does a large `tol`, since slow directions show only once the fast ones are done.
    prior : optional
        Pseudo-statistics for the M-step, in the model's own type. The objective then is the
        log posterior.
    latent : Latent
        The choice of E: `SOFT`, `HARD`, ``tempered(t)`` or ``sampled(rng)``.
    accelerate : {None, "squarem"} or Accelerator
        Jumps along the path, taken only where the objective does not fall.
    callback : callable, optional
        Called with a `Step` at the start and after each iteration.
    executor : concurrent.futures.Executor, optional
        Runs the blocks, ``blocks.threads()`` for instance; one after the other if None.
    progress : bool, optional
        Show a progress bar; by default on a terminal, once a run takes longer than 2 s.

    Returns
    -------
    Fit

    Raises
    ------
    ValueError
        If `max_iter` or `tol` is negative or `accelerate` is not known.

    Examples
    --------
    Two coins, five sets of ten flips, which coin made which set is hidden:

    >>> import numpy as np
    >>> from emlib.engine import em, families
    >>> from emlib.engine.mixture import Mixture, MixtureParams
    >>> coins = Mixture(families.Binomial(n_trials=np.array([10.0])), fixed_weights=np.array([0.5, 0.5]))
    >>> start = MixtureParams(np.array([0.5, 0.5]), families.BinomialParams(np.array([[0.6], [0.5]])))
    >>> heads = np.array([[5.0], [9], [8], [4], [7]])
    >>> em.fit(coins, heads, start, max_iter=10).params.components.probs.ravel().round(2).tolist()
    [0.8, 0.52]
    """
    rules = _rules(max_iter, tol, prior, latent, accelerate, callback)
    with progress_bar(progress, max_iter, "iteration") as tick:
        return _drive(model, data, [start], rules, executor, tick)[0]


def search(
    model: Model[Data, Params, Stats],
    data: Data,
    starts: Iterable[Params],
    *,
    prune: bool = False,
    executor: Executor | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Fit[Params]:
    """Climb from every start and return the best; all climbs are kept in ``Fit.starts``.

    A degenerate climb (a spike on one point, say) is never chosen over an honest one, however
    high its likelihood. A model with ``e_steps`` has its climbs evaluated together.

    Parameters
    ----------
    model, data
        As in `fit`.
    starts : iterable of Params
        Where to begin.
    prune : bool
        Give up on climbs early: every twenty rounds the lower half of those still climbing is set
        aside (``reason`` "pruned"). Five times less work with 20 starts, at a price: where
        clusters overlap much, slow starters are often the winners (of 24 such problems a third
        ended 0.1 to 10 nats lower).
    executor, progress, options
        As in `fit`; the bar counts climbs that have ended.

    Raises
    ------
    ValueError
        If there is no start.

    Examples
    --------
    >>> import numpy as np
    >>> from emlib.engine import em, families
    >>> from emlib.engine.mixture import Mixture, MixtureParams
    >>> model, half = Mixture(families.Poisson()), np.array([0.5, 0.5])
    >>> starts = [MixtureParams(half, families.PoissonParams(np.array(r))) for r in ([[1.0], [9]], [[2.0], [2]])]
    >>> best = em.search(model, np.array([[1.0], [2], [1], [9], [11]]), starts)
    >>> best is not best.starts[0], [round(f.log_likelihood, 3) for f in best.starts]
    (True, [-11.151, -17.351])
    """
    all_starts, rules = list(starts), _rules(**options)
    together = hasattr(model, "e_steps") and rules.callback is None  # a callback is told of one climb at a time
    packs = [all_starts] if together else [[start] for start in all_starts]
    with progress_bar(progress, len(all_starts), "start") as tick:
        fits: list[Fit[Params]] = []
        for pack in packs:
            fits += _drive(model, data, pack, rules, executor, None, tick, prune)
    return best_of(fits)


def best_of(fits: Sequence[Fit[Params]]) -> Fit[Params]:
    """The best of several climbs, with all of them in ``Fit.starts``; how `search` chooses.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> fits = [Fit(None, ll, np.array([ll]), 0, reason) for ll, reason in ((-5.0, "converged"), (9.0, "degenerate"))]
    >>> best_of(fits).log_likelihood
    -5.0
    """
    if not fits:
        raise ValueError("starts is empty; at least one start is needed.")
    return replace(max(fits, key=_merit), starts=tuple(fits))


def anneal(
    model: Model[Data, Params, Stats],
    data: Data,
    start: Params,
    temperatures: Iterable[float],
    *,
    rng: np.random.Generator | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Fit[Params]:
    """Climb at falling temperatures, each time from where the one before ended: deterministic annealing.

    A hot E-step blurs the labels, and with them the small hills of the objective. As it cools the hills come back one
    after the other, and the climb is on the largest by then, more often than not. Nothing guarantees it.

    When it is hot, components merge. Merged components are a saddle: they get equal responsibilities, so no E-step,
    however cold, tells them apart again. With `rng` a nudge precedes each temperature but the first: `NUDGE` of the
    rows' evidence comes from labels drawn at that temperature instead of from their probabilities, which is about what
    chance does to a sample 1 / NUDGE**2 times as large. Without `rng` only what rounding has left between
    the components can part them, and often there is nothing.

    Where the variance of a component is known (`families.Centres`), all are merged above a temperature of the largest
    variance of the data, in any direction, over that of a component: begin there. Where it is estimated it grows to
    that of the data, and then means part below 1 if covariances are full, and below the largest variance over the
    average one, at most the number of columns, if they are round: begin a little above, not at 100.

    Parameters
    ----------
    model, data, start
        As in `fit`.
    temperatures : sequence of float
        Finite, 0 or above, each below the one before. End with 1 for EM's own optimum, with 0 for decided labels.
    rng : numpy.random.Generator, optional
        Of the nudges; no nudge if None. Equal generators give equal fits.
    progress : bool, optional
        Show a progress bar over the temperatures; by default on a terminal, once a run takes longer than 2 s.
    **options
        Of `fit`, the same at each temperature; `max_iter` and `tol` too hold for each.

    Returns
    -------
    Fit
        That of the last temperature: `trace`, `n_iter` and `reason` are its own (objectives of different temperatures
        cannot be compared). `n_evaluations` counts the E-steps of all, two for each nudge. A temperature
        that ends as degenerate or decreased is the last.

    Raises
    ------
    ValueError
        If `temperatures` are none, and all that `fit` refuses.

    References
    ----------
    Ueda & Nakano (1998); Rose (1998) for the temperatures at which clusters part.

    Examples
    --------
    Three clusters, and a start that puts two centres into one of them:

    >>> import numpy as np
    >>> from emlib.engine import em, families
    >>> from emlib.engine.mixture import Mixture, MixtureParams
    >>> X, third = np.array([[0.0], [1], [9], [10], [19], [20]]), np.full(3, 1 / 3)
    >>> model = Mixture(families.Centres(), fixed_weights=third)
    >>> start = MixtureParams(third, families.CentreParams(np.array([[0.0], [1], [15]])))
    >>> em.fit(model, X, start).params.components.means.ravel().round(1).tolist()
    [0.5, 0.5, 14.5]
    >>> end = em.anneal(model, X, start, [100, 30, 10, 3, 1], rng=np.random.default_rng(0))
    >>> sorted(end.params.components.means.ravel().round(1).tolist())
    [0.5, 9.5, 19.5]
    """
    latents, spent = schedule(temperatures), 0
    with one_blas_thread, progress_bar(progress, len(latents), "temperature") as tick:
        for latent in latents:
            if rng is not None and latent is not latents[0] and latent.temperature > 0:
                start = _nudged(model, data, start, replace(latent, rng=rng), options)
                spent += 2
            end = fit(model, data, start, latent=latent, progress=False, **options)
            start, spent = end.params, spent + end.n_evaluations
            tick()
            if end.reason in ("degenerate", "decreased"):
                end = replace(end, message=f"at temperature {latent.temperature:g}, {end.message}")
                break
    return replace(end, n_evaluations=spent)


def _nudged(model: Any, data: Any, params: Any, drawn: Latent, options: dict[str, Any]) -> Any:
    """The M-step for statistics of which a share of `NUDGE` is that of drawn labels."""
    executor = options.get("executor")
    try:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            [(expected, _)] = expect_over_blocks(model, data, [params], replace(drawn, rng=None), executor)
            [(sample, _)] = expect_over_blocks(model, data, [params], drawn, executor)
            mixed = (1.0 - NUDGE) * flatten(expected) + NUDGE * flatten(sample)
            return model.m_step(rebuild(expected, mixed), options.get("prior"))
    except (Degenerate, np.linalg.LinAlgError):
        return params  # the climb from here will say what is wrong


def _rules(
    max_iter: int = 10_000,
    tol: float = 1e-6,
    prior: Any = None,
    latent: Latent = SOFT,
    accelerate: str | Accelerator | None = None,
    callback: Callable[[Step], object] | None = None,
) -> _Rules:
    if not max_iter >= 0:
        raise ValueError(f"max_iter is {max_iter!r}; it must be 0 or above.")
    if not tol >= 0:
        raise ValueError(f"tol is {tol!r}; it must be 0 or above.")
    accelerator(accelerate)  # an unknown name is refused before any work is done
    return _Rules(max_iter, tol, prior, latent, accelerate, callback)


def _merit(fit: Fit[Any]) -> tuple[bool, float]:
    """What `search` compares: honest climbs before degenerate ones, then the objective reached."""
    reached = float(fit.trace[-1])
    return fit.reason != "degenerate", reached if math.isfinite(reached) else -math.inf


def _drive(
    model: Any,
    data: Any,
    starts: list[Any],
    rules: _Rules,
    executor: Executor | None,
    round_done: Callable[[], object] | None = None,
    climb_done: Callable[[], object] | None = None,
    prune: bool = False,
) -> list[Fit[Any]]:
    """Run climbs side by side: in each round all points they ask for are evaluated together."""
    climbs = [_climb(model, start, rules) for start in starts]
    asked = {i: next(climb) for i, climb in enumerate(climbs)}
    active, ends = list(asked), {}
    reached = np.full(len(climbs), -math.inf)
    rounds = 0
    with one_blas_thread:
        while active:
            points = _evaluate(model, data, [asked[i] for i in active], rules, executor)
            for i, point in zip(tuple(active), points, strict=True):
                reached[i] = max(reached[i], point.objective)
                try:
                    asked[i] = climbs[i].send(point)
                except StopIteration as stop:
                    ends[i] = _finish(model, data, stop.value, rules.latent, executor)
                    active.remove(i)
                    if climb_done:
                        climb_done()
            rounds += 1
            if round_done:
                round_done()
            if prune and rounds % PRUNE_EVERY == 0:
                active = sorted(sorted(active, key=lambda i: -reached[i])[: max(1, len(active) // 2)])
            if not active:
                active = _set_aside_too_early(ends, reached)
        for i in set(asked) - set(ends):
            try:
                climbs[i].throw(_SetAside)
            except StopIteration as stop:
                ends[i] = _finish(model, data, stop.value, rules.latent, executor)
    return [ends[i] for i in range(len(climbs))]


def _set_aside_too_early(ends: dict[int, Fit[Any]], reached: FloatArray) -> list[int]:
    """A climb that was set aside, though all that ended honestly lie below it: spikes rise fastest."""
    best = max((float(f.trace[-1]) for f in ends.values() if f.reason != "degenerate"), default=-math.inf)
    aside = [i for i in range(len(reached)) if i not in ends and reached[i] > best]
    return sorted(aside, key=lambda i: -reached[i])[:1]


class _SetAside(Exception):
    """Thrown into a climb that is not worth going on with."""


def _evaluate(model: Any, data: Any, points: list[Any], rules: _Rules, executor: Executor | None) -> list[_Point]:
    """The E-step at each of `points`; where there is no finite density the objective is minus infinity."""
    try:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            found = expect_over_blocks(model, data, points, rules.latent, executor)
            judged = [_judged(model, params, *pair, rules) for params, pair in zip(points, found, strict=True)]
            return _with_images(model, judged, rules.prior)
    except (Degenerate, np.linalg.LinAlgError) as problem:
        if len(points) == 1:
            return [_Point(points[0], None, -math.inf, -math.inf, str(problem))]
        return [point for params in points for point in _evaluate(model, data, [params], rules, executor)]


def _with_images(model: Any, points: list[_Point], prior: Any) -> list[_Point]:
    if len(points) == 1 or not hasattr(model, "m_steps") or any(point.stats is None for point in points):
        return points
    images = model.m_steps([point.stats for point in points], prior)
    return [replace(point, image=image) for point, image in zip(points, images, strict=True)]


def _judged(model: Any, params: Any, stats: Any, value: float, rules: _Rules) -> _Point:
    objective = value if rules.prior is None else value + model.log_prior(params, rules.prior)
    if not math.isfinite(objective):
        return _Point(params, None, -math.inf, -math.inf, f"the log-likelihood is {objective}.")
    return _Point(params, stats, value, objective)


def _climb(model: Any, start: Any, rules: _Rules) -> Generator[Any, _Point, tuple[_Point, Fit[Any]]]:
    """One climb, as a conversation: yields parameters, is sent the `_Point` evaluated there.

    Whoever drives it decides how points are evaluated, one climb at a time or many together.
    """
    jumper = accelerator(rules.accelerate)
    monotone = getattr(model, "monotone", True) and rules.latent.climbs
    pace = _Pace(memory=8 if jumper else 1, decided=rules.latent.temperature == 0.0)
    proof = PROOF if jumper else 1  # plain steps in a row that must find nothing left to gain
    found = 0
    here: _Point = yield start
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
                    pace.forget_step()
                elif rules.latent.climbs and pace.settled(path[-2], path[-1], gain, _noise(here, there), rules.tol):
                    found += 1
                    reason = "converged" if found == proof else reason
                else:
                    found = 0
    except _SetAside:
        reason, message = "pruned", "set aside in favour of better starts."

    flaw = model.flaw(here.params, here.stats) if here.stats is not None and hasattr(model, "flaw") else ""
    if flaw:
        reason, message = "degenerate", flaw
    elif not message and hasattr(model, "caution"):
        message = model.caution(here.params, here.stats)
    return here, Fit(here.params, here.value, np.array(trace), len(trace) - 1, reason, evaluations, message)


def _project(model: Any, params: Any) -> Any:
    project = getattr(model, "project", None)
    return params if project is None else project(params)


def _tell(callback: Callable[[Step], object] | None, n_iter: int, point: _Point) -> None:
    if callback is not None:
        callback(Step(n_iter, point.params, point.stats, point.objective))


def _noise(*points: _Point) -> float:
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
        self.forget_step()

    def forget_step(self) -> None:
        self.step, self.gain = 0.0, 0.0

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
        if len(self.quiet) == QUIET and step <= self.quiet[0]:
            return True  # jitter in the last digits: a saddle's first steps are as quiet, but they grow
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


def _finish(model: Any, data: Any, end: tuple[_Point, Fit[Any]], latent: Latent, executor: Executor | None) -> Fit[Any]:
    """Report the log-likelihood proper, which another temperature has not computed."""
    point, result = end
    if latent.temperature == 1.0 or point.stats is None:
        return result
    [(_, value)] = expect_over_blocks(model, data, [point.params], SOFT, executor)
    return replace(result, log_likelihood=value)
