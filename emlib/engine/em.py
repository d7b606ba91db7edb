"""The loop: one E-step, one M-step, until nothing is left to gain. Written here and nowhere else.

    stats = sum over rows of E[T(x, z) | x, params]      model.e_step
    params = M(stats)                                    model.m_step

A model says what the two steps are; `fit` climbs from one start, `search` from many. What the
loop itself knows: when to stop, how to tell a climb from a fall, and that a run which ended
badly still returns the last good parameters and says why it ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import numpy as np

from .accelerate import Accelerator
from .blocks import expect_over_blocks, one_blas_thread
from .climb import EPS as EPS
from .climb import Degenerate as Degenerate
from .climb import Fit as Fit
from .climb import Point, Rules, SetAside, climb, rules_of
from .climb import Step as Step
from .latent import SOFT, FloatArray, Latent, schedule
from .parameters import flatten, rebuild
from .progress import progress_bar

Data = TypeVar("Data")
Params = TypeVar("Params")
Stats = TypeVar("Stats")


PRUNE_EVERY = 20  # rounds; sooner, ranks say little about the end
NUDGE = 0.01  # share of drawn labels that parts merged components between temperatures


class Model(Protocol[Data, Params, Stats]):
    """What a hidden world must say about itself.

    `Params` and `Stats` are frozen dataclasses of arrays, or plain arrays; `Stats` can be added. To climb, `e_step` and
    `m_step` are enough; `engine.check.check_model` tries whether they belong together. Optional members:

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
    rules = rules_of(max_iter, tol, prior, latent, accelerate, callback)
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
    all_starts, rules = list(starts), rules_of(**options)
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
    variance of the data, in any direction, over that of a component (eq. 5.6): begin there. Where it is estimated it
    grows to that of the data, and then means part below 1 if covariances are full, and below the largest variance over
    the average one, at most the number of columns, if they are round: begin a little above, not at 100.

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


def _merit(fit: Fit[Any]) -> tuple[bool, float]:
    """What `search` compares: honest climbs before degenerate ones, then the objective reached."""
    reached = float(fit.trace[-1])
    return fit.reason != "degenerate", reached if math.isfinite(reached) else -math.inf


def _drive(
    model: Any,
    data: Any,
    starts: list[Any],
    rules: Rules,
    executor: Executor | None,
    round_done: Callable[[], object] | None = None,
    climb_done: Callable[[], object] | None = None,
    prune: bool = False,
) -> list[Fit[Any]]:
    """Run climbs side by side: in each round all points they ask for are evaluated together."""
    climbs = [climb(model, start, rules) for start in starts]
    asked = {i: next(one) for i, one in enumerate(climbs)}
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
                climbs[i].throw(SetAside)
            except StopIteration as stop:
                ends[i] = _finish(model, data, stop.value, rules.latent, executor)
    return [ends[i] for i in range(len(climbs))]


def _set_aside_too_early(ends: dict[int, Fit[Any]], reached: FloatArray) -> list[int]:
    """A climb that was set aside, though all that ended honestly lie below it: spikes rise fastest."""
    best = max((float(f.trace[-1]) for f in ends.values() if f.reason != "degenerate"), default=-math.inf)
    aside = [i for i in range(len(reached)) if i not in ends and reached[i] > best]
    return sorted(aside, key=lambda i: -reached[i])[:1]


def _evaluate(model: Any, data: Any, points: list[Any], rules: Rules, executor: Executor | None) -> list[Point]:
    """The E-step at each of `points`; where there is no finite density the objective is minus infinity."""
    try:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            found = expect_over_blocks(model, data, points, rules.latent, executor)
            judged = [_judged(model, params, *pair, rules) for params, pair in zip(points, found, strict=True)]
            return _with_images(model, judged, rules.prior)
    except (Degenerate, np.linalg.LinAlgError) as problem:
        if len(points) == 1:
            return [Point(points[0], None, -math.inf, -math.inf, str(problem))]
        return [point for params in points for point in _evaluate(model, data, [params], rules, executor)]


def _with_images(model: Any, points: list[Point], prior: Any) -> list[Point]:
    if len(points) == 1 or not hasattr(model, "m_steps") or any(point.stats is None for point in points):
        return points
    images = model.m_steps([point.stats for point in points], prior)
    return [replace(point, image=image) for point, image in zip(points, images, strict=True)]


def _judged(model: Any, params: Any, stats: Any, value: float, rules: Rules) -> Point:
    objective = value if rules.prior is None else value + model.log_prior(params, rules.prior)
    if not math.isfinite(objective):
        return Point(params, None, -math.inf, -math.inf, f"the log-likelihood is {objective}.")
    return Point(params, stats, value, objective)


def _finish(model: Any, data: Any, end: tuple[Point, Fit[Any]], latent: Latent, executor: Executor | None) -> Fit[Any]:
    """Report the log-likelihood proper, which another temperature has not computed."""
    point, result = end
    if latent.temperature == 1.0 or point.stats is None:
        return result
    [(_, value)] = expect_over_blocks(model, data, [point.params], SOFT, executor)
    return replace(result, log_likelihood=value)
