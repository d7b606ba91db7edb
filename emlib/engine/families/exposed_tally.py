"""What says all about negative binomial counts whose rows have different exposures.

With rows counted at exposures e, the log-likelihood of a mean m and a size r is::

    sum of  log Gamma(x + r) - log Gamma(r) + x log(m / r) - (x + r) log(1 + e m / r)

Its first part is a tally of the counts (`families.tally`). The last asks every exposure for a function of its own,
``log(u + e)`` with u = r / m. But that function is smooth in log e: its singularities lie at ``log u`` plus or minus
``i pi``, whatever u is. So a polynomial through a few Chebyshev points is it to the last digits (15 points where the
largest exposure is twice the smallest, 48 where it is a thousand times that), and what every row says is split
between the points once and for all: rows and events at each point are statistics that add up.

Sources: Trefethen (2013), *Approximation Theory and Approximation Practice*, theorem 8.2, for the number of points.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from ..latent import FloatArray
from .gamma_math import SIZES
from .tally import DistinctCounts, rise_of

SLACK = 1e-9  # of the range of exposures: rounding, no more
TINY = 1e-300


@dataclass(frozen=True)
class ExposurePoints:
    """Points between the smallest and the largest exposure of a table.

    Examples
    --------
    Seven rows at exposure 3 say as much about a sum of ``log(0.2 + e)`` as 15 points do:

    >>> grid = ExposurePoints(2.0, 4.0)
    >>> at = 7 * grid.shares(np.array([3.0]))[:, 0]
    >>> len(at), round(float(at @ np.log(0.2 + grid.points)), 12) == round(7 * math.log(3.2), 12)
    (15, True)
    """

    low: float = 1.0
    high: float = 1.0

    @functools.cached_property
    def _angles(self) -> FloatArray:
        half = 0.5 * math.log(self.high / self.low)
        if half == 0.0:
            return np.array([0.5 * np.pi])
        shrinks = math.pi / half + math.hypot(1.0, math.pi / half)  # the error, by this factor with every point
        count = math.ceil(-math.log(1e-16) / math.log(shrinks)) + 2
        return np.pi / count * np.linspace(0.5, count - 0.5, count)

    @functools.cached_property
    def points(self) -> FloatArray:
        """The points (B,)."""
        middle = 0.5 * (math.log(self.low) + math.log(self.high))
        points: FloatArray = np.exp(middle + 0.5 * math.log(self.high / self.low) * np.cos(self._angles))
        return points

    def shares(self, e: FloatArray) -> FloatArray:
        """How each exposure of e (..., rows) is split between the points: (..., B, rows), columns summing to one."""
        angles = self._angles
        if len(angles) == 1 and self.low == self.high:
            if (e != self.low).any():
                raise ValueError(f"X holds exposures other than {self.low:g}, the only one that was tallied.")
            return np.ones((*e.shape[:-1], 1, e.shape[-1]))
        t = (2.0 * np.log(e) - math.log(self.low) - math.log(self.high)) / math.log(self.high / self.low)
        if (np.abs(t) > 1.0 + SLACK).any():
            raise ValueError(
                f"X holds exposures outside {self.low:g} to {self.high:g}, which were tallied; use the same table."
            )
        order = np.arange(len(angles))[:, None]
        basis = np.cos(order * np.arccos(np.clip(t, -1.0, 1.0))[..., None, :])
        weigh = np.where(order.T == 0, 1.0, 2.0) * np.cos(angles[:, None] * order.T) / len(angles)
        return np.asarray(weigh @ basis)


@dataclass(frozen=True)
class ExposedCounts:
    """Which counts occur in a table, and between which exposures."""

    counts: DistinctCounts
    exposures: ExposurePoints = ExposurePoints()

    @property
    def width(self) -> int:
        """How many numbers they are for each component."""
        return len(self.counts.values) + 2 * (len(self.counts.starts) - 1) * len(self.exposures.points)


def means_and_sizes(
    rows: FloatArray, events: FloatArray, tally: FloatArray, seen: ExposedCounts
) -> tuple[FloatArray, FloatArray]:
    """Means and sizes that together maximise the likelihood of negative binomial counts.

    Parameters
    ----------
    rows, events : array (K, d, B)
        Rows and their counts, split between the points of the exposures.
    tally : array (K, V)
        How many rows are at each count.
    seen : ExposedCounts
        The V counts and the B points.

    Returns
    -------
    means, sizes : array (K, d)
        Per unit of exposure; sizes within `SIZES`, the largest where the counts scatter no more than a Poisson's.

    Notes
    -----
    At the best mean for a size, ``sum of (x - e m) / (r + e m) = 0``, the slope in the size is that of equal exposures
    (eq. 4.7), ``average of digamma(x + r) - digamma(r)`` less that of ``log(1 + e m / r)``. So the search is
    that of `tally.size_from_tally`, with the mean at its best for every size on the way. The mean and the size are
    orthogonal, so that it moves little.

    Examples
    --------
    >>> x = np.array([[0.0], [0], [1], [0], [4], [9], [0], [2]])
    >>> seen = ExposedCounts(DistinctCounts.of(x), ExposurePoints(2.0, 2.0))
    >>> tally = np.array([[4.0, 1, 1, 0, 1, 0, 0, 0, 0, 1]])
    >>> [found.round(3).tolist() for found in means_and_sizes(np.array([[[8.0]]]), np.array([[[16.0]]]), tally, seen)]
    [[[1.0]], [[0.405]]]
    """
    e, v, starts = seen.exposures.points, seen.counts.values, seen.counts.starts[:-1]
    N = np.maximum(rows.sum(axis=2), TINY)
    rows, events, share = rows / N[:, :, None], events / N[:, :, None], tally / N[:, seen.counts.column]
    average = events.sum(axis=2)
    mean = average / (rows @ e)  # of a Poisson
    spread = np.add.reduceat(share * v**2, starts, axis=1) - 2 * mean * (events @ e) + mean**2 * (rows @ e**2)
    over = spread > average
    rise = rise_of(share, seen.counts)

    low, high = (np.full(mean.shape, np.log(end)) for end in SIZES)
    with np.errstate(divide="ignore", invalid="ignore"):  # counts of no weight: bisection ends there too
        log_r = np.clip(np.log(mean**2 * (rows @ e**2) / np.where(over, spread - average, 1.0)), low, high)
        for _ in range(60):
            r = np.exp(log_r)
            mean = _mean_at(r, mean, rows, events, e)
            z = e * (mean / r)[:, :, None]
            left, bend = rise(r)
            right = (rows * np.log1p(z)).sum(axis=2)
            g = np.log(left / right)
            slope = (rows * (z / (1.0 + z))).sum(axis=2) / right - r * bend / left  # of g in log r
            low, high = np.where(g > 0.0, log_r, low), np.where(g > 0.0, high, log_r)
            new = log_r - g / (g + slope)
            new = np.where((new >= low) & (new <= high), new, 0.5 * (low + high))
            done = (np.abs(new - log_r) < 1e-8) | ~over
            log_r = np.where(over, new, np.log(SIZES[1]))
            if done.all():
                break
        sizes = np.where(over, np.exp(log_r), SIZES[1])
        return _mean_at(sizes, mean, rows, events, e), sizes


def _mean_at(r: FloatArray, mean: FloatArray, rows: FloatArray, events: FloatArray, e: FloatArray) -> FloatArray:
    """The best mean for each size: events over exposure, a row counting for less the more its rate may vary."""
    for _ in range(100):
        weight = 1.0 / (1.0 + e * (mean / r)[:, :, None])
        new = (events * weight).sum(axis=2) / (rows * e * weight).sum(axis=2)
        moved = np.abs(new - mean) > 1e-13 * np.abs(new)
        mean = new
        if not moved.any():
            break
    return mean
