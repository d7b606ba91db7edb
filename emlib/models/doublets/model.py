"""Counts of molecules in droplets that hold one cell or, sometimes, two.

A droplet holds two cells with probability `doublet_rate`, and each cell is of type k with probability w_k. Molecules of
gene j are Poisson with mean ``e rate_kj`` from one cell, ``e share (rate_aj + rate_bj)`` from two (eq. 14.7): share 1
if two cells simply add up, 1/2 if e is the droplet's own total, of which each has given half. Hidden are the content
of the droplet, a label, and the cell that each molecule of a doublet came from (eq. 14.8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp, xlogy

from ...engine.blocks import Rows, as_rows
from ...engine.coordinates import Named, Positive, Probability, Simplex
from ...engine.em import Degenerate
from ...engine.families import ExposedPoisson, PoissonParams
from ...engine.families.base import NO_EVIDENCE, dirichlet
from ...engine.families.exposure import in_turn
from ...engine.kernel import Natural, expect, log_joints, posterior
from ...engine.latent import SOFT, FloatArray, Latent
from .numbers import DoubletParams, DoubletPrior, DoubletStats

COUNTS = ExposedPoisson()


@dataclass(frozen=True)
class Doublets:
    """One cell or two; implements `engine.em.Model`.

    Data are rows (n, 1 + d): the exposure of a droplet and its counts. Contents are the K types, then all pairs of
    them. `exposures` are those of simulated droplets, in turn.

    Examples
    --------
    Two types, each with a gene of its own, and a droplet with both; contents are 0, 1, 0+0, 0+1, 1+1:

    >>> params = DoubletParams(np.array([0.5, 0.5]), np.array([[10.0, 0.1], [0.1, 10.0]]), 0.05)
    >>> Doublets().e_step(np.array([[1.0, 9.0, 11.0]]), params)[0].counts.round(3).tolist()
    [0.0, 0.0, 0.0, 1.0, 0.0]
    """

    share: float = 1.0
    exposures: float | FloatArray = 1.0

    def natural(self, params: DoubletParams, rows: Rows) -> Natural:
        """Every content as one component of a Poisson mixture (eq. 14.7)."""
        w, delta, (a, b) = params.weights, float(params.doublet_rate), np.triu_indices(len(params.weights))
        if not (np.isfinite(params.rates).all() and min(params.rates.min(), w.min(), delta) >= 0 and delta <= 1):
            raise Degenerate("a rate or probability is negative or not finite.")
        chance = np.concatenate([(1.0 - delta) * w, delta * w[a] * w[b] * np.where(a == b, 1.0, 2.0)])
        with np.errstate(divide="ignore"):
            log_weights = np.log(chance)
        rates = np.concatenate([params.rates, self.share * (params.rates[a] + params.rates[b])])
        return COUNTS.natural(PoissonParams(rates), log_weights, rows)

    def e_step(self, data: Any, params: DoubletParams, latent: Latent = SOFT) -> tuple[DoubletStats, float]:
        """Bayes' rule for every droplet; the molecules of two cells dealt out by their rates (eq. 14.8)."""
        rows, K, (a, b) = as_rows(data), len(params.weights), np.triu_indices(len(params.weights))
        with np.errstate(invalid="ignore"):
            stats, value = expect(rows, COUNTS, self.natural(params, rows), latent)
        both, pairs = params.rates[a] + params.rates[b], stats.totals[K:]
        chance = np.divide(params.rates[a], both, out=np.full(both.shape, 0.5), where=both > 0)
        first, rng = chance * pairs[:, 2:], latent.rng
        if rng is not None:
            first = rng.binomial(np.rint(pairs[:, 2:]).astype(int), chance)
        types = stats.totals[:K].copy()
        for cell, molecules in ((a, first), (b, pairs[:, 2:] - first)):
            np.add.at(types, cell, np.column_stack([pairs[:, 0], self.share * pairs[:, 1], molecules]))
        return DoubletStats(stats.counts.copy(), types, stats.noise), value

    def posterior(self, data: Any, params: DoubletParams) -> tuple[FloatArray, FloatArray]:
        """Probabilities (n, C) of every content, and log densities (n,)."""
        rows = as_rows(data)
        with np.errstate(invalid="ignore"):
            return posterior(rows, COUNTS, self.natural(params, rows))

    def log_odds(self, data: Any, params: DoubletParams) -> FloatArray:
        """Of two cells against one, for every droplet (n,)."""
        rows = as_rows(data)
        with np.errstate(invalid="ignore"):
            joint = log_joints(rows, COUNTS, self.natural(params, rows), 1)[0]
        one, two = np.split(joint, [len(params.weights)], axis=1)
        return np.asarray(logsumexp(two, axis=1) - logsumexp(one, axis=1))

    def m_step(self, stats: DoubletStats, prior: DoubletPrior | None = None) -> DoubletParams:
        """Cells over cells, molecules over exposure, doublets over droplets (eq. 14.9); a prior adds its own."""
        p, (one, two), cells = prior or DoubletPrior(), stats.droplets, stats.types[:, 0]
        cells = np.maximum(np.where(cells < NO_EVIDENCE, 0.0, cells) + np.asarray(p.weights) - 1.0, 0.0)
        one, two = one + float(p.doublet_rate.b) - 1.0, two + float(p.doublet_rate.a) - 1.0
        rates = COUNTS.maximise(stats.of_types, prior.rates if prior else None).rates
        return DoubletParams(cells / cells.sum(), rates, two / (one + two))

    def draw(self, stats: DoubletStats, prior: DoubletPrior, rng: np.random.Generator, current: Any = None) -> Any:
        """Shares, rates and the share of doublets from their posteriors."""
        (one, two), beta = stats.droplets, prior.doublet_rate
        weights = dirichlet(stats.types[:, 0] + np.asarray(prior.weights), rng)
        rates = COUNTS.draw(stats.of_types, prior.rates, rng).rates
        return DoubletParams(weights, rates, rng.beta(two + beta.a, one + beta.b))

    def log_prior(self, params: DoubletParams, prior: DoubletPrior) -> float:
        """Log prior density, up to a constant."""
        delta, beta = np.asarray(params.doublet_rate), prior.doublet_rate
        of_weights = xlogy(np.asarray(prior.weights) - 1.0, params.weights).sum()
        value = of_weights + xlogy(beta.a - 1.0, delta) + xlogy(beta.b - 1.0, 1.0 - delta)
        return float(value) + COUNTS.log_prior(PoissonParams(params.rates), prior.rates)

    def slopes(self, stats: DoubletStats, params: DoubletParams, prior: DoubletPrior | None = None) -> DoubletParams:
        """Slope of the expected complete-data log-likelihood, each number as if the others stood still."""
        p, (one, two), delta = prior or DoubletPrior(), stats.droplets, params.doublet_rate
        to_delta = (two + p.doublet_rate.a - 1.0) / delta - (one + p.doublet_rate.b - 1.0) / (1.0 - delta)
        rates = COUNTS.slopes(stats.of_types, PoissonParams(params.rates), p.rates).rates
        return DoubletParams((stats.types[:, 0] + np.asarray(p.weights) - 1.0) / params.weights, rates, to_delta)

    def coordinates(self, params: DoubletParams) -> Named:
        """Log-ratios of shares, logarithms of rates, the logit of the share of doublets."""
        parts = {"weights": Simplex(params.weights), "rates": Positive(params.rates)}
        return Named(DoubletParams, {**parts, "doublet_rate": Probability(np.asarray(params.doublet_rate))})

    def simulate(self, params: DoubletParams, n: int, rng: np.random.Generator) -> FloatArray:
        """`n` droplets."""
        a, b = rng.choice(len(params.weights), size=(2, n), p=params.weights)
        two, e = rng.random(n) < params.doublet_rate, in_turn(self.exposures, n)
        mean = np.where(two[:, None], self.share * (params.rates[a] + params.rates[b]), params.rates[a])
        return np.column_stack([e, rng.poisson(e[:, None] * mean)])

    def project(self, params: DoubletParams) -> DoubletParams:
        """Shares that sum to one to the last digit; a share of doublets pushed out of range is just inside."""
        inside = min(max(float(params.doublet_rate), 1e-9), 1.0 - 1e-9)
        return DoubletParams(params.weights / params.weights.sum(), params.rates, inside)
