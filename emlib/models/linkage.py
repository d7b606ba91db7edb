"""Genetic linkage: four kinds of offspring, one of which is two kinds that look alike.

Two linked genes, double heterozygotes selfed: the four phenotypes have probabilities

    1/2 + t/4,  (1 - t)/4,  (1 - t)/4,  t/4

where t is ``(1 - r)**2`` for a recombination fraction r, if the parents carry the dominant alleles
on one chromosome (``r**2`` if on two). The first cell hides two kinds, 1/2 and t/4. Had they been
counted apart, t would be a plain proportion; EM fills in the count that nobody saw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammaln

from ..engine.blocks import Rows
from ..engine.coordinates import Named, Probability
from ..engine.em import EPS, Degenerate
from ..engine.families import BetaPrior
from ..engine.latent import SOFT, FloatArray, Latent, assign


@dataclass(frozen=True)
class LinkageParams:
    """The probability `theta` (t above), between 0 and 1."""

    theta: float


@dataclass(frozen=True)
class LinkageStats:
    """Counts (5,) of the complete table: the first cell split into 1/2 and t/4, then the other three.

    `noise` bounds the rounding error of the log-likelihood computed in the same pass.
    """

    cells: FloatArray
    noise: float = 0.0

    def __add__(self, other: LinkageStats) -> LinkageStats:
        return LinkageStats(self.cells + other.cells, self.noise + other.noise)


@dataclass(frozen=True)
class Linkage:
    """The linkage model; implements `engine.em.Model`.

    Data are four counts (4,), or several crosses as rows (n, 4). The prior is a `BetaPrior`.

    Parameters
    ----------
    total : int
        Offspring in each simulated row.

    References
    ----------
    Rao (1965), pp. 368-369; Dempster, Laird & Rubin (1977), section 1.

    Examples
    --------
    >>> import emlib
    >>> from emlib.engine import em
    >>> round(em.fit(Linkage(), emlib.data.linkage(), LinkageParams(0.5), tol=1e-12).params.theta, 6)
    0.626821
    """

    total: int = 197

    def e_step(self, data: Any, params: LinkageParams, latent: Latent = SOFT) -> tuple[LinkageStats, float]:
        """Split the first cell: each of its offspring is of the kind t/4 with probability t / (2 + t) (eq. 3.2)."""
        y, log_coefficients = _counts(data)
        log_p = _log_cells(params)
        share = log_p[:2, None].copy()
        first = y[0] * assign(share, Latent(latent.temperature))
        others = float(y[1:] @ np.where(y[1:] > 0, log_p[2:], 0.0))  # what never occurred may be impossible
        value = first + log_coefficients + others
        noise = 4 * EPS * (abs(float(first)) + abs(log_coefficients) + abs(others))  # they may cancel
        hidden = y[0] * share[1, 0] if latent.rng is None else latent.rng.binomial(int(y[0]), share[1, 0])
        return LinkageStats(np.array([y[0] - hidden, hidden, *y[1:]]), noise), value

    def m_step(self, stats: LinkageStats, prior: BetaPrior | None = None) -> LinkageParams:
        """Of the offspring whose kind depends on t, the part that is t/4 (eq. 3.2)."""
        successes, failures = _successes_and_failures(stats, prior)
        if not successes + failures > 0:
            raise Degenerate("no offspring depends on theta.")
        return LinkageParams(float(successes / (successes + failures)))

    def draw(self, stats: LinkageStats, prior: BetaPrior, rng: np.random.Generator) -> LinkageParams:
        """From the beta posterior."""
        successes, failures = _successes_and_failures(stats)
        return LinkageParams(float(rng.beta(successes + prior.a, failures + prior.b)))

    def log_prior(self, params: LinkageParams, prior: BetaPrior) -> float:
        """Log density of the beta distribution, up to a constant."""
        t = params.theta
        return sum(float(n * np.log(p)) for n, p in ((prior.a - 1, t), (prior.b - 1, 1 - t)) if n)

    def simulate(self, params: LinkageParams, n: int, rng: np.random.Generator) -> FloatArray:
        """`n` rows of four counts, `total` offspring each."""
        p = np.exp(_log_cells(params))
        return rng.multinomial(self.total, [p[0] + p[1], *p[2:]], size=n).astype(float)

    def slopes(self, stats: LinkageStats, params: LinkageParams, prior: BetaPrior | None = None) -> LinkageParams:
        """Slope of the complete-data log-likelihood: zero where `m_step` lands."""
        successes, failures = _successes_and_failures(stats, prior)
        return LinkageParams(successes / params.theta - failures / (1.0 - params.theta))

    def coordinates(self, params: LinkageParams) -> Named:
        """The logit of theta."""
        return Named(LinkageParams, {"theta": Probability(np.asarray(params.theta))})

    def complete_slopes(self, data: Any, params: LinkageParams) -> Iterator[list[tuple[float, LinkageParams]]]:
        """For each offspring of the first cell: either kind, with its probability and its slope."""
        first = _counts(data)[0][0]
        hidden = params.theta / (2.0 + params.theta)
        for _ in range(int(first)):
            yield [(1.0 - hidden, LinkageParams(0.0)), (hidden, LinkageParams(1.0 / params.theta))]


def _counts(data: Any) -> tuple[FloatArray, float]:
    """The four counts (4,) summed over rows, and the log multinomial coefficients."""
    rows = np.atleast_2d(np.asarray(data.X if isinstance(data, Rows) else data, dtype=float))
    if rows.ndim != 2 or rows.shape[1] != 4:
        raise ValueError(f"data have the shape {np.shape(data)}; four counts (4,) or rows of them (n, 4) are needed.")
    return rows.sum(axis=0), float((gammaln(rows.sum(axis=1) + 1.0) - gammaln(rows + 1.0).sum(axis=1)).sum())


def _log_cells(params: LinkageParams) -> FloatArray:
    """Log probabilities of the five kinds."""
    t = params.theta
    if not 0.0 <= t <= 1.0:
        raise Degenerate(f"theta is {t:g}; it must lie between 0 and 1.")
    with np.errstate(divide="ignore"):
        return np.log([0.5, t / 4, (1 - t) / 4, (1 - t) / 4, t / 4])


def _successes_and_failures(stats: LinkageStats, prior: BetaPrior | None = None) -> tuple[float, float]:
    """Counts of kinds with probability t/4 and (1 - t)/4, the prior's pseudo-counts added."""
    _, hidden, second, third, fourth = stats.cells
    if prior is None:
        return hidden + fourth, second + third
    return max(hidden + fourth + prior.a - 1.0, 0.0), max(second + third + prior.b - 1.0, 0.0)
