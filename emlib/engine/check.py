"""Is it EM? What the two steps of a model owe each other, tried on data that the model itself draws.

A slip in an E-step or an M-step rarely stops a program. The climb ends somewhere, and the numbers look like numbers.
But the two steps, the log-likelihood and the simulation are four statements about one model, and where they contradict
each other it shows: the likelihood falls, or EM comes to rest on a slope, or it rests in the wrong place. `check_model`
looks for that. The conformance suite of this library (`tests/conformance`) asks each of its models the same, and more.
"""

from __future__ import annotations

import copy
import inspect
import math
import numbers
import warnings
from typing import Any

import numpy as np

from .climb import Fit
from .em import fit
from .latent import SOFT, FloatArray, Latent
from .parameters import flatten, names, rebuild

SMALL = 50  # rows of the samples whose M-step is somewhere near the truth
REPEATS = 20  # data sets that are drawn and fitted again
FAR = 6.0  # standard errors of their mean: beyond, it is no accident
FALL = 1e-9  # of the objective: no rounding lowers it by more
AWAY = 0.9  # of the way there are starts: what a small sample has not at all, they have a little
PATIENCE = 20_000  # iterations
APART = 0.05  # of the scatter of small samples: two ends further apart are not the same
NO_ROWS = "pass rows=False"
RIDGE = (
    "To think about: two climbs ended equally high in different places. The data cannot tell these parameters apart "
    "(a ridge, or labels that are exchanged)."
)
TO_GAIN = 1e-4  # nats: where less is to be gained, EM may stand still


def check_model(
    model: Any, params: Any, *, n: int = 500, prior: Any = None, rows: bool = True, random_state: int = 0
) -> list[str]:
    """Try whether the E-step, the M-step, the log-likelihood and `simulate` of a model belong together.

    Parameters
    ----------
    model : Model
        Something with `e_step`, `m_step` and `simulate` (`engine.em.Model`), and `log_prior` if there is a `prior`.
    params : Params
        The part of the truth. Choose parameters away from all boundaries, at which much is hidden and no number is
        special: where the true value is 1, an M-step that always says 1 goes unnoticed.
    n : int
        How much ``model.simulate`` is asked to draw. Enough for a fit to find `params` again, if only roughly.
    prior : optional
        If given, what is climbed is the log posterior, and nothing is fitted again (a prior pulls away from the truth).
    rows : bool
        Whether ``data[:k]`` and ``data[k:]`` are data of their own. False if they belong together, as one chain does.
    random_state : int
        Seed of all that is drawn.

    Returns
    -------
    list of str
        What was tried, a sentence each; after them what deserves a thought.

    Raises
    ------
    AssertionError
        At the first thing that does not hold, with a sentence on what was found.

    Notes
    -----
    In this order:

    - the E-step reads what `simulate` draws and returns statistics and a number, the M-step parameters of the same
      kind, and neither changes what it is given;
    - the statistics and log-likelihoods of two parts of the data add up to those of the whole;
    - from starts that differ, no iteration lowers the log-likelihood;
    - where EM comes to rest the log-likelihood is flat, in every direction that is tried;
    - fits to `REPEATS` simulated data sets, begun at `params`, give `params` on average.

    All of this may hold for a wrong model of the world, and for one whose log-likelihood lacks a constant. That two
    climbs end equally high in different places is no contradiction, but it is said.

    Examples
    --------
    >>> from emlib.models.linkage import Linkage, LinkageParams
    >>> check_model(Linkage(), LinkageParams(0.63), n=20)[2]
    'No iteration of 3 climbs lowered the log-likelihood.'

    An M-step that rounds:

    >>> class Rounding(Linkage):
    ...     def m_step(self, stats, prior=None):
    ...         return LinkageParams(round(super().m_step(stats).theta, 1))
    >>> check_model(Rounding(), LinkageParams(0.63), n=20)
    Traceback (most recent call last):
      ...
    AssertionError: iteration 1 lowered the objective by ...
    """
    rng = np.random.default_rng(random_state)
    _callable(model, params)
    data = _ask("simulate cannot draw", model.simulate, params, n, rng)
    few = SMALL if rows else n  # a chain, or a design, may have one length only
    tried = [steps_fit_together(model, data, params, rng, prior, few)]
    if rows and hasattr(data, "__getitem__") and hasattr(data, "__len__") and len(data) == n > 1:
        parts = _ask(f"data cannot be cut into rows; if they have none, {NO_ROWS}", _halves, data)
        tried.append(adds_up(model, parts, data, params))
    tried += [
        never_falls(model, data, _starts(model, params, rng, few), prior),
        *flat_at_rest(model, data, params, rng, prior, few),
    ]
    if prior is None:
        tried.insert(len(tried) - (tried[-1] == RIDGE), finds_itself(model, params, n, rng))
    return tried


def steps_fit_together(
    model: Any, data: Any, params: Any, rng: np.random.Generator, prior: Any = None, few: int = SMALL
) -> str:
    """The two steps take what the other returns, and leave alone what they are given."""
    kept = copy.deepcopy(data), copy.deepcopy(params)
    found = _ask("e_step cannot read what simulate drew", model.e_step, data, params, SOFT)
    if not (isinstance(found, tuple) and len(found) == 2 and np.ndim(found[1]) == 0):
        raise AssertionError(
            f"e_step returned {_short(found)}; it must return two things, the statistics and the log-likelihood as one "
            "number, summed over the rows."
        )
    stats, value = found
    if not math.isfinite(value):
        raise AssertionError(f"the log-likelihood of simulated data is {value}, at the parameters that made them.")
    _numbers_of(stats, "the statistics are")
    if isinstance(stats, (tuple, list)) or not hasattr(stats, "__add__"):
        raise AssertionError(f"the statistics are {_short(stats)}; they must add up with +, as arrays do.")
    before = copy.deepcopy(stats)
    image = _ask("m_step cannot read what e_step returned", model.m_step, stats, prior)
    scalars = isinstance(image, numbers.Real) and isinstance(params, numbers.Real)
    if not (scalars or type(image) is type(params)) or flatten(image).shape != flatten(params).shape:
        raise AssertionError(
            f"m_step returned {_short(image)} of type {type(image).__name__}; parameters like {_short(params)}, of "
            f"type {type(params).__name__}, are needed."
        )
    if not np.isfinite(flatten(image)).all():
        raise AssertionError(f"m_step returned {_short(image)}, in which some number is not finite.")
    _ask(f"simulate cannot draw at what m_step returned, {_short(image)}", model.simulate, image, few, rng)
    value = _ask(f"e_step fails at what m_step returned, {_short(image)}", model.e_step, data, image, SOFT)[1]
    if not math.isfinite(value):
        raise AssertionError(f"the log-likelihood is {value} at what m_step returned, {_short(image)}.")
    for name, now, then in (("data", data, kept[0]), ("params", params, kept[1]), ("statistics", stats, before)):
        if not _same(now, then):
            raise AssertionError(f"a step has changed the {name} that it was given; it must work on a copy.")
    return "The E-step and the M-step understand each other, and change nothing that they are given."


def adds_up(model: Any, parts: Any, whole: Any, params: Any, latent: Latent = SOFT) -> str:
    """Statistics and objective of the whole are the sums over its parts."""
    (first, a), (second, b) = (
        _ask(
            f"e_step cannot read a part of the data; if it needs all of them, {NO_ROWS}",
            model.e_step,
            part,
            params,
            latent,
        )
        for part in parts
    )
    stats, value = model.e_step(whole, params, latent)
    if not _close(_numbers(first + second), _numbers(stats), 1e-10):
        raise AssertionError(
            "the statistics of two parts of the data do not add up to those of the whole: a mean instead of a sum? "
            f"(If rows belong together, {NO_ROWS}.)"
        )
    if not _close(a + b, value, 1e-10):
        raise AssertionError(
            f"the log-likelihoods of two parts are {a:.6g} and {b:.6g}, that of the whole {value:.6g}: a mean instead "
            "of a sum?"
        )
    return "Statistics and log-likelihoods of parts add up to those of the whole."


def never_falls(
    model: Any, data: Any, starts: list[Any], prior: Any = None, latent: Latent = SOFT, max_iter: int = 40
) -> str:
    """No iteration lowers the objective: log-likelihood, free energy, or posterior under a prior."""
    for start in starts:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            climb = fit(model, data, start, prior=prior, latent=latent, max_iter=max_iter, tol=0.0, progress=False)
        if climb.reason == "decreased":
            raise AssertionError(
                f"{climb.message[:-1]}: the M-step does not maximise what the E-step expects, or the log-likelihood "
                "is that of another model."
            )
        if climb.reason == "degenerate":
            raise AssertionError(f"a climb from {_short(start)} ended after {climb.n_iter} iterations: {climb.message}")
        fall = -float(np.diff(climb.trace).min(initial=0.0))
        if getattr(model, "monotone", True) and fall > FALL * abs(climb.trace[-1]):
            raise AssertionError(
                f"an iteration lowered the objective by {fall:.3g} nats; no rounding does, whatever "
                "`noise` the statistics claim."
            )
    return f"No iteration of {len(starts)} climbs lowered the log-likelihood."


def flat_at_rest(
    model: Any, data: Any, params: Any, rng: np.random.Generator, prior: Any = None, few: int = SMALL
) -> list[str]:
    """Where EM comes to rest, neither the way to `params` nor any other that is tried promises more."""
    top = _rest(model, data, nearby(model, params, rng, AWAY, few), prior)
    if not top.converged:
        why = top.message or (
            f"{PATIENCE} iterations were not enough. Either nearly everything is hidden, or there is a ridge on which "
            "it creeps, so that the data cannot tell the parameters apart."
        )
        raise AssertionError(f"EM did not come to rest; it ended as {top.reason!r}: {why}")
    ways = [params, *_starts(model, top.params, rng, few, 5)]
    gains = [_gain(model, data, top.params, away, prior) for away in ways]
    if max(gains) > TO_GAIN:
        raise AssertionError(
            f"EM stands still on a slope: {max(gains):.3g} nats more are to be had in another direction. Either the "
            "E-step expects something else than the M-step needs, or the log-likelihood is that of another model."
        )
    try:
        other = _rest(model, data, nearby(model, params, rng, -AWAY, few), prior)
    except (ArithmeticError, ValueError):  # as far to the other side there may be no parameters
        other = top
    unit = np.std([flatten(away) for away in ways[1:]], axis=0) + 1e-9 * (1.0 + np.abs(flatten(top.params)))
    apart = float((np.abs(flatten(top.params) - flatten(other.params)) / unit).max(initial=0.0)) > APART
    level = other.converged and abs(top.trace[-1] - other.trace[-1]) < TO_GAIN
    return ["Where EM comes to rest the log-likelihood is flat.", *([RIDGE] if apart and level else [])]


def _rest(model: Any, data: Any, start: Any, prior: Any, tol: float = 1e-10) -> Fit[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return fit(model, data, start, prior=prior, tol=tol, max_iter=PATIENCE, progress=False)


def finds_itself(model: Any, params: Any, n: int, rng: np.random.Generator) -> str:
    """Fits to simulated data give the parameters that made them, on average."""
    truth, found = flatten(params), []
    for _ in range(REPEATS):
        again = _rest(model, model.simulate(params, n, rng), params, None, tol=1e-8)
        found.append(flatten(again.params))
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / math.sqrt(REPEATS)
    if np.ptp(found, axis=0).max(initial=0.0) == 0.0:
        raise AssertionError(
            f"all {REPEATS} fits to simulated data are equal; simulate must draw from the rng it is given."
        )
    off = np.abs(mean - truth) / np.maximum(error, 1e-9 * np.maximum(np.abs(truth), 1.0))
    worst = int(np.argmax(off))
    if off[worst] > FAR:
        raise AssertionError(
            f"{REPEATS} fits to simulated data give {names(params)[worst]} = {mean[worst]:.4g} on average, with a "
            f"standard error of {error[worst]:.2g}; the data were made with {truth[worst]:.4g}. (If no slip is to be "
            f"found, n = {n} may be too small for these parameters.)"
        )
    return (
        f"{REPEATS} fits to simulated data give the parameters that made them, within {off[worst]:.1f} standard errors."
    )


def nearby(model: Any, params: Any, rng: np.random.Generator, amount: float = 0.1, few: int = SMALL) -> Any:
    """Valid parameters near `params`: those that one step makes of a `few` drawn rows, mixed in."""
    sample = model.simulate(params, few, rng)
    other = flatten(model.m_step(model.e_step(sample, params, SOFT)[0]))
    return rebuild(params, (1 - amount) * flatten(params) + amount * other)


def _starts(model: Any, params: Any, rng: np.random.Generator, few: int, many: int = 3) -> list[Any]:
    return [nearby(model, params, rng, AWAY, few) for _ in range(many)]


def _gain(model: Any, data: Any, here: Any, there: Any, prior: Any, h: float = 1e-3) -> float:
    """What the top of a parabola through three points on the way from `here` to `there` lies above `here`, in nats.

    At a boundary one of the points does not exist; then what a step inside would gain, were it a whole one.
    """
    way = flatten(there) - flatten(here)
    behind, top, ahead = (_objective(model, data, rebuild(here, flatten(here) + s * way), prior) for s in (-h, 0.0, h))
    if not math.isfinite(behind + ahead):
        return max(x - top for x in (behind, ahead, top) if math.isfinite(x)) / h
    slope, bend = (ahead - behind) / (2 * h), (ahead - 2 * top + behind) / h**2
    return slope**2 / (2 * max(abs(bend), 1.0))  # where there is no bend, what a unit step would gain is as good


def _objective(model: Any, data: Any, params: Any, prior: Any) -> float:
    with np.errstate(all="ignore"):
        try:
            value = float(model.e_step(data, params, SOFT)[1])
            return value if prior is None else value + float(model.log_prior(params, prior))
        except (ArithmeticError, ValueError):  # beyond a boundary; `Degenerate` is an ArithmeticError
            return -math.inf


def _numbers(stats: Any) -> FloatArray:
    """All of the statistics; their bound of rounding errors is none of them."""
    if not hasattr(stats, "noise"):
        return flatten(stats)
    stats = copy.copy(stats)
    object.__setattr__(stats, "noise", 0.0)  # they are frozen
    return flatten(stats)


def _close(a: Any, b: Any, rtol: float) -> bool:
    """Equal, to the size of the largest number among them."""
    return bool(np.allclose(a, b, rtol=rtol, atol=rtol * max(1.0, float(np.abs(b).max(initial=0.0)))))


def _same(now: Any, then: Any) -> bool:
    """Whether a copy is still like it, as far as its numbers can be read."""
    if callable(getattr(now, "equals", None)):  # a table of pandas
        return bool(now.equals(then))
    try:
        return bool(np.array_equal(flatten(now), flatten(then), equal_nan=True))
    except (AttributeError, TypeError, ValueError):
        return True


def _callable(model: Any, params: Any) -> None:
    """Whether there is a model, whose methods can be called as the loop calls them, and parameters that it can read."""
    if isinstance(model, type):
        raise AssertionError(f"model is the class {model.__name__}; an instance is needed, {model.__name__}(...).")
    for name, given in (("e_step", "data params latent"), ("m_step", "stats prior"), ("simulate", "params n rng")):
        method, arguments = getattr(model, name, None), given.split()
        if not callable(method):
            raise AssertionError(f"model has no method {name}; it is called as {name}({', '.join(arguments)}).")
        try:
            inspect.signature(method).bind(*arguments)
        except TypeError:
            raise AssertionError(f"{name} cannot be called as {name}({', '.join(arguments)}).") from None
        except ValueError:
            pass  # compiled, perhaps
    _numbers_of(params, "params is")


def _numbers_of(thing: Any, subject: str) -> FloatArray:
    try:
        return flatten(thing)
    except (TypeError, ValueError):
        raise AssertionError(
            f"{subject} {_short(thing)}; numbers, an array or a dataclass of arrays is needed."
        ) from None


def _ask(complaint: str, function: Any, *arguments: Any) -> Any:
    """Call it; what it raises becomes part of a sentence that says where."""
    try:
        with np.errstate(all="ignore"):
            return function(*arguments)
    except Exception as problem:
        raise AssertionError(f"{complaint}: {type(problem).__name__}: {problem}") from problem


def _halves(data: Any) -> tuple[Any, Any]:
    return data[: len(data) // 3], data[len(data) // 3 :]


def _short(thing: Any) -> str:
    text = " ".join(repr(thing).split())
    return text if len(text) <= 80 else text[:77] + "..."
