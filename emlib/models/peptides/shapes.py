"""What the scores of one kind of match look like: a shape with its statistics, its M-step and its draw.

Gaussian and gamma are exponential families: three sums say all about a component. A Gumbel is one only where its scale
is known, for then ``exp(-x / scale)`` is a column of data; with the scale free no fixed number of sums will do, and its
statistic is the whole tally of scores with their responsibilities. It adds up like any other, if it is a long one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import gammaln

from ...engine.em import Degenerate
from ...engine.families.base import LOG_2PI, NO_EVIDENCE
from ...engine.families.gamma_math import draw_from_log_density, gamma_shape
from ...engine.latent import FloatArray

LOG_SHAPES = (-15.0, 15.0)  # of a gamma distribution, as far as draws go


@dataclass(frozen=True)
class Sums:
    """Sums (p,) over scores of responsibility times T(x); the first is of the responsibilities themselves."""

    sums: FloatArray

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.sums + other.sums)


@dataclass(frozen=True)
class Tally:
    """All scores (n,) as they came, with the responsibility (n,) of each; to sort them costs more than it saves."""

    scores: FloatArray
    weights: FloatArray

    def __add__(self, other: Tally) -> Tally:
        return Tally(np.concatenate([self.scores, other.scores]), np.concatenate([self.weights, other.weights]))


class Shape(Protocol):
    """What the model asks of a shape; parameters are an array (2,), named by `names`."""

    names: ClassVar[tuple[str, ...]]

    def statistics(self, x: FloatArray, r: FloatArray) -> Any:
        """Of scores x (n,) with responsibilities r (n,)."""
        ...

    def log_density(self, x: FloatArray, params: FloatArray) -> FloatArray:
        """Of each score."""
        ...

    def maximise(self, stats: Any) -> FloatArray:
        """The M-step."""
        ...

    def expected(self, stats: Any, params: FloatArray) -> float:
        """The sum of responsibility times log density: what `maximise` maximises."""
        ...

    def cancelled(self, stats: Any, params: FloatArray) -> float:
        """Size of the terms of opposite signs in the log densities that went into `stats`; digits are lost to it."""
        ...

    def draw(self, stats: Any, rng: np.random.Generator) -> FloatArray:
        """From the posterior, after these statistics and nothing else."""
        ...

    def sample(self, params: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        """`n` scores."""
        ...


def _positive(*values: float) -> None:
    if not all(v > 0 and np.isfinite(v) for v in values):
        raise Degenerate(f"a scale or shape of {min(values):.3g} is none: one component sits on a single score.")


@dataclass(frozen=True)
class GaussianShape:
    """Normal scores; ``T(x) = [1, x, x**2]``, measured from `origin` to keep the digits.

    Examples
    --------
    >>> shape = GaussianShape(origin=5.0)
    >>> shape.maximise(shape.statistics(np.array([4.0, 6.0, 100.0]), np.array([1.0, 1.0, 0.0]))).tolist()
    [5.0, 1.0]
    """

    origin: float = 0.0
    names: ClassVar[tuple[str, ...]] = ("mean", "sd")

    def statistics(self, x: FloatArray, r: FloatArray) -> Sums:
        """See `Shape`."""
        y = x - self.origin
        return Sums(np.array([r.sum(), r @ y, r @ (y * y)]))

    def log_density(self, x: FloatArray, params: FloatArray) -> FloatArray:
        """See `Shape`."""
        mean, sd = params
        _positive(sd)
        return np.asarray(-0.5 * (((x - mean) / sd) ** 2 + LOG_2PI) - np.log(sd))

    def maximise(self, stats: Sums) -> FloatArray:
        """Weighted mean and standard deviation (eq. 2.7, 2.8)."""
        n, first, second = stats.sums
        mean = first / _held(n)
        return np.array([self.origin + mean, np.sqrt(max(second / n - mean**2, 0.0))])

    def expected(self, stats: Sums, params: FloatArray) -> float:
        """See `Shape`."""
        n, first, second = stats.sums
        m, sd = params[0] - self.origin, params[1]
        squares = (second - 2 * m * first + n * m * m) / sd**2
        return float(-0.5 * (squares + n * LOG_2PI) - n * np.log(sd))

    def cancelled(self, stats: Sums, params: FloatArray) -> float:
        """Nothing."""
        return 0.0

    def draw(self, stats: Sums, rng: np.random.Generator) -> FloatArray:
        """Variance from its inverse gamma, then the mean."""
        n, first, second = stats.sums
        left = second - first**2 / n
        sd = np.sqrt(0.5 * left / rng.standard_gamma(0.5 * max(n - 1.0, 1.0)))
        return np.array([self.origin + first / n + sd * rng.standard_normal() / np.sqrt(n), sd])

    def sample(self, params: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        """See `Shape`."""
        return rng.normal(params[0], params[1], size=n)


@dataclass(frozen=True)
class GammaShape:
    """Gamma scores above a known `shift`; ``T(x) = [1, x - shift, log(x - shift)]``.

    Examples
    --------
    >>> shape = GammaShape(shift=-1.0)
    >>> k, scale = shape.maximise(shape.statistics(np.array([0.0, 1.0, 3.0]), np.ones(3)))
    >>> round(float(k * scale), 12)  # the mean, above the shift
    2.333333333333
    """

    shift: float = 0.0
    names: ClassVar[tuple[str, ...]] = ("shape", "scale")

    def _above(self, x: FloatArray) -> FloatArray:
        return np.maximum(x - self.shift, 0.0)

    def statistics(self, x: FloatArray, r: FloatArray) -> Sums:
        """See `Shape`; a score at the shift or below it has density 0, and nothing to add."""
        y = self._above(x)
        logs = np.log(np.where(y > 0, y, 1.0))
        return Sums(np.array([r.sum(), r @ y, r @ logs]))

    def log_density(self, x: FloatArray, params: FloatArray) -> FloatArray:
        """See `Shape`."""
        k, scale = params
        _positive(k, scale)
        y = self._above(x) / scale
        with np.errstate(divide="ignore"):
            return np.asarray(np.where(y > 0, (k - 1.0) * np.log(y) - y, -np.inf) - gammaln(k) - np.log(scale))

    def maximise(self, stats: Sums) -> FloatArray:
        """The mean is matched, and the mean logarithm by the root of one equation (eq. 4.9)."""
        n, total, logs = stats.sums
        mean = total / _held(n)
        k = float(gamma_shape(np.array([np.log(mean) - logs / n]))[0])
        return np.array([k, mean / k])

    def expected(self, stats: Sums, params: FloatArray) -> float:
        """See `Shape`."""
        (n, total, logs), (k, scale) = stats.sums, params
        return float((k - 1.0) * logs - total / scale - n * (gammaln(k) + k * np.log(scale)))

    def cancelled(self, stats: Sums, params: FloatArray) -> float:
        """See `Shape`; where the shape is large, a log density of about -1 is left of terms in the hundreds."""
        (n, total, logs), (k, scale) = stats.sums, params
        y, log_y = total / scale, logs - n * np.log(scale)
        return float(abs((k - 1.0) * log_y) + y + n * (abs(gammaln(k)) + abs(np.log(scale))))

    def draw(self, stats: Sums, rng: np.random.Generator) -> FloatArray:
        """The shape from its posterior on a grid, then the rate, which given the shape is a gamma variable."""
        n, total, logs = stats.sums

        def log_posterior(u: FloatArray) -> FloatArray:  # of log shape, the rate integrated out
            k = np.exp(u)
            return np.asarray(k * logs - n * gammaln(k) + gammaln(n * k) - n * k * np.log(total))

        k = float(np.exp(draw_from_log_density(log_posterior, *LOG_SHAPES, 1, rng)[0]))
        return np.array([k, total / rng.standard_gamma(n * k)])

    def sample(self, params: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        """See `Shape`."""
        return self.shift + rng.gamma(params[0], params[1], size=n)


@dataclass(frozen=True)
class GumbelShape:
    """Gumbel scores: what the best of many chance matches scores, if single ones have exponential tails.

    The log density ``log t + a - t x - exp(a - t x)``, with ``t = 1 / scale`` and ``a = location / scale``, is concave
    in (t, a). So the M-step has one answer: ``exp(-a)`` is the mean of ``exp(-t x)``, and t the root of one equation.

    Examples
    --------
    >>> shape, rng = GumbelShape(), np.random.default_rng(0)
    >>> x = shape.sample(np.array([2.0, 0.5]), 20_000, rng)
    >>> shape.maximise(shape.statistics(x, np.ones(len(x)))).round(2).tolist()
    [2.0, 0.5]
    """

    names: ClassVar[tuple[str, ...]] = ("location", "scale")

    def statistics(self, x: FloatArray, r: FloatArray) -> Tally:
        """See `Shape`."""
        return Tally(x, r)

    def log_density(self, x: FloatArray, params: FloatArray) -> FloatArray:
        """See `Shape`."""
        location, scale = params
        _positive(scale)
        z = (x - location) / scale
        with np.errstate(over="ignore"):
            return np.asarray(-z - np.exp(-z) - np.log(scale))

    def maximise(self, stats: Tally) -> FloatArray:
        """The root of eq. 13.6 by Newton's method, from the scale that has the right standard deviation."""
        mean, y, w, n = _about_their_mean(stats)
        sd = float(np.sqrt(w @ (y * y) / n))
        _positive(sd)
        t = _root(y, w, float(np.log(np.pi / np.sqrt(6.0) / sd)))
        return np.array([mean - _log_mean_exp(t, y, w, n) / t, 1.0 / t])

    def expected(self, stats: Tally, params: FloatArray) -> float:
        """See `Shape`."""
        held = stats.weights > 0
        return float(stats.weights[held] @ self.log_density(stats.scores[held], params))

    def cancelled(self, stats: Tally, params: FloatArray) -> float:
        """Nothing."""
        return 0.0

    def draw(self, stats: Tally, rng: np.random.Generator) -> FloatArray:
        """The scale on a grid, interpolated; then ``exp(a)``, which given the scale is a gamma variable."""
        mean, y, w, n = _about_their_mean(stats)
        middle, width = np.log(1.0 / self.maximise(stats)[1]), 8.0 / np.sqrt(n)

        def log_posterior(log_t: float) -> float:  # the location integrated out
            t = np.exp(log_t)
            return float(n * log_t - n * _log_mean_exp(t, y, w, n))

        nodes = np.linspace(middle - width, middle + width, 15)
        smooth = CubicSpline(nodes, [log_posterior(u) for u in nodes])
        t = float(np.exp(draw_from_log_density(smooth, nodes[0], nodes[-1], 1, rng)[0]))
        a = np.log(rng.standard_gamma(n)) - np.log(n) - _log_mean_exp(t, y, w, n)
        return np.array([mean + a / t, 1.0 / t])

    def sample(self, params: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        """See `Shape`."""
        return rng.gumbel(params[0], params[1], size=n)


@dataclass(frozen=True, eq=False)
class KnownShape:
    """A density that is known and not estimated by EM: that of the decoys, smoothed by a Gaussian kernel.

    Attributes
    ----------
    grid, density : array (G,)
        The density at increasing scores; linear between them.
    tail : float
        Beyond the grid, where no score has been seen, it falls as an exponential of this scale.
    """

    grid: FloatArray
    density: FloatArray
    tail: float = 1.0
    names: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, x: FloatArray, width: float | None = None) -> KnownShape:
        """The kernel estimate from scores x (m,); the bandwidth is Silverman's unless given.

        Rounded scores need half a gap at least, or the density would fall between them. The tail is as long as that of
        the upper tenth of the scores: their mean excess.

        Examples
        --------
        >>> shape = KnownShape.of(np.random.default_rng(0).normal(size=50_000))
        >>> np.exp(shape.log_density(np.array([0.0, 1.0]), np.zeros(0))).round(2).tolist()
        [0.39, 0.24]
        """
        if width is None:
            low, high = np.percentile(x, [25, 75])
            spread = min(x.std(), (high - low) / 1.349) or x.std()
            gap = float(np.median(np.diff(np.unique(x)))) if np.ptp(x) > 0 else 0.0
            width = max(float(0.9 * spread * len(x) ** -0.2), 0.5 * gap)
        n = int(np.clip(4 * np.ptp(x) / width, 2048, 2**18))  # a far score must not make the grid too coarse
        edges = np.linspace(x.min() - 5 * width, x.max() + 5 * width, n + 1)
        step = edges[1] - edges[0]
        reach = int(np.ceil(8 * width / step))
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
        counts = np.histogram(x, edges)[0]
        smooth = np.maximum(np.convolve(counts, kernel / kernel.sum(), mode="full")[reach : reach + n], 1e-300)
        upper = np.percentile(x, 90)
        excess = x[x > upper] - upper
        tail = float(excess.mean()) if len(excess) else width
        return cls(0.5 * (edges[1:] + edges[:-1]), smooth / (smooth.sum() * step), tail)

    def statistics(self, x: FloatArray, r: FloatArray) -> Sums:
        """The responsibilities alone."""
        return Sums(np.array([r.sum()]))

    def log_density(self, x: FloatArray, params: FloatArray) -> FloatArray:
        """See `Shape`."""
        beyond = np.maximum(x - self.grid[-1], 0.0) + np.maximum(self.grid[0] - x, 0.0)
        return np.asarray(np.log(np.interp(x, self.grid, self.density)) - beyond / self.tail)

    def maximise(self, stats: Sums) -> FloatArray:
        """There is nothing to estimate."""
        return np.zeros(0)

    def expected(self, stats: Sums, params: FloatArray) -> float:
        """A constant, left out."""
        return 0.0

    def cancelled(self, stats: Sums, params: FloatArray) -> float:
        """Nothing."""
        return 0.0

    def draw(self, stats: Sums, rng: np.random.Generator) -> FloatArray:
        """Nothing."""
        return np.zeros(0)

    def sample(self, params: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        """See `Shape`."""
        total = np.cumsum(self.density)
        return np.interp(rng.random(n) * total[-1], total, self.grid)


def _held(n: float) -> float:
    """A responsibility that is one."""
    if not n > NO_EVIDENCE:
        raise Degenerate("one component holds no match at all.")
    return float(n)


def _about_their_mean(stats: Tally) -> tuple[float, FloatArray, FloatArray, float]:
    """The weighted mean; scores that have a weight, measured from it; their weights and the sum of these.

    One without a weight must not be the lowest: the exponentials of all others would vanish beside its own.
    """
    n, some = _held(stats.weights.sum()), stats.weights > 0
    x, w = stats.scores[some], stats.weights[some]
    mean = float(w @ x / n)
    return mean, x - mean, w, n


def _root(y: FloatArray, w: FloatArray, log_t: float) -> float:
    """Where ``1 / t`` is minus the mean of y with weights ``w exp(-t y)``; the difference falls as t rises.

    By hand: with a million scores SciPy's root finders keep all that a call has seen until the next collection.
    """
    low, high, above = -np.inf, np.inf, y - y.min()
    for _ in range(200):
        t = float(np.exp(log_t))
        e = w * np.exp(-t * above)
        e /= e.sum()
        mean = float(e @ y)
        slope = 1.0 / t + mean
        low, high = (log_t, high) if slope > 0 else (low, log_t)
        step = float(np.clip(slope / (1.0 / t + t * float(e @ (y - mean) ** 2)), -1.0, 1.0))
        log_t += step
        if abs(step) < 1e-9:  # the error of what follows is its square
            break
        if not low < log_t < high:
            log_t = 0.5 * (low + high)
    return float(np.exp(log_t))


def _log_mean_exp(t: float, y: FloatArray, w: FloatArray, n: float) -> float:
    """``log(sum w exp(-t y) / n)``."""
    lowest = y.min()
    return float(np.log(w @ np.exp(-t * (y - lowest)) / n) - t * lowest)
