"""Stage one of phasing: haplotypes as mosaics of K clusters. EM, and nothing else.

    at site l a haplotype stays in its cluster, or with probability r_l jumps to cluster k with probability alpha_lk;
    cluster k shows allele 1 with probability theta_lk; a genotype is the sum of two haplotypes.

Clusters and jumps are hidden, and which haplotype has which allele. Had they been seen, the M-step would be three
proportions of counts; the E-step counts them in expectation over all pairs of paths (`pairs`). The model is that of
Scheet & Stephens (2006); the likelihood never falls.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.blocks import Rows
from ...engine.em import EPS, Degenerate
from ...engine.families.base import NO_EVIDENCE, dirichlet
from ...engine.latent import SOFT, FloatArray, Latent
from . import pairs
from .pairs import Counts, Ints, Weights

COLD = 0.2  # below this temperature powers of probabilities vanish, and their logarithms are needed


@functools.lru_cache(maxsize=1)
def kernels() -> Any:
    """The compiled loops, or None."""
    if os.environ.get("EMLIB_NUMBA") == "0" or importlib.util.find_spec("numba") is None:
        return None
    return importlib.import_module(".compiled", __package__)


@dataclass(frozen=True)
class ClusterParams:
    """Probabilities: of allele 1 in each cluster (L, K), of where a jump leads (L, K), and of a jump (L - 1,).

    At the first site every haplotype comes by a jump.
    """

    ones: FloatArray
    targets: FloatArray
    jump: FloatArray


@dataclass(frozen=True)
class ClusterPrior:
    """Dirichlet concentrations of both alleles, of targets, and of jumping and staying; 1 is flat."""

    alleles: float = 1.0
    targets: float = 1.0
    jump: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class ClusterStats:
    """Expected counts: alleles 0 and 1 shown by each cluster (2, L, K), jumps to it (L, K), and of haplotypes.

    `noise` bounds the rounding error of the log-likelihood computed in the same pass.
    """

    shown: FloatArray
    jumps: FloatArray
    haplotypes: float
    noise: float = 0.0

    def __add__(self, other: ClusterStats) -> ClusterStats:
        return ClusterStats(
            self.shown + other.shown,
            self.jumps + other.jumps,
            self.haplotypes + other.haplotypes,
            self.noise + other.noise,
        )


@dataclass(frozen=True)
class ClusterModel:
    """Genotypes from clusters of haplotypes; implements `engine.em.Model`.

    Data are genotypes (n, L) of 0, 1 or 2, and -1 for a missing one.

    References
    ----------
    Scheet & Stephens (2006), *American Journal of Human Genetics* 78.

    Examples
    --------
    Alleles of two sites go together: who is heterozygous at both has them on one haplotype.

    >>> from emlib.engine import em
    >>> G = np.array([[2, 2], [0, 0], [0, 0], [2, 2], [1, 1]])
    >>> start = ClusterModel().start(2, G, np.random.default_rng(0))
    >>> top = em.fit(ClusterModel(), G, start, tol=1e-9).params
    >>> _, alleles = ClusterModel().draw_paths(G, top, np.random.default_rng(0))
    >>> sorted(alleles[4].tolist())
    [[0, 0], [1, 1]]
    """

    def e_step(self, data: Any, params: ClusterParams, latent: Latent = SOFT) -> tuple[ClusterStats, float]:
        """Expected alleles and jumps (eqs. 9.14, 9.15), and the log-likelihood.

        A label is all that is hidden of a person: both paths with their jumps, and at each heterozygote which of the
        two has allele 1.
        """
        G, t = genotypes(data), latent.temperature
        n, L = G.shape
        weights = self._weights(params)
        if latent.rng is not None:
            counts = self._drawn(G, weights, latent.rng)
        elif t == 0.0:
            counts = pairs.best(G, weights)
        elif t < COLD:
            counts = pairs.expect_in_logs(G, weights, t)
        else:
            if t != 1.0:
                weights = Weights(*(part ** (1.0 / t) for part in (weights.stay, weights.jump, weights.show)))
            counts = _expected(G, weights)
        noise = 8 * EPS * max(t, 1.0) * n * L
        value = math.fsum(counts.values) * (1.0 if t in (0.0, 1.0) else t)
        return ClusterStats(counts.shown, counts.jumps, 2.0 * n, noise), value

    def m_step(self, stats: ClusterStats, prior: ClusterPrior | None = None) -> ClusterParams:
        """Proportions of the counts, pseudo-counts added (eq. 9.16)."""
        prior = prior or ClusterPrior()
        shown = _swept(stats.shown) + (prior.alleles - 1.0)
        jumps = _swept(stats.jumps)
        moved, others = jumps[1:].sum(axis=1) + (prior.jump[0] - 1.0), prior.jump[0] + prior.jump[1] - 2.0
        return ClusterParams(
            _ratio(shown[1], shown.sum(axis=0), 0.5),
            _ratio(jumps + (prior.targets - 1.0), (jumps + (prior.targets - 1.0)).sum(axis=1, keepdims=True), None),
            np.minimum(moved / (stats.haplotypes + others), 1.0),
        )

    def draw(
        self, stats: ClusterStats, prior: ClusterPrior, rng: np.random.Generator, current: ClusterParams | None = None
    ) -> ClusterParams:
        """From the beta and Dirichlet posteriors."""
        moved = stats.jumps[1:].sum(axis=1)
        return ClusterParams(
            rng.beta(stats.shown[1] + prior.alleles, stats.shown[0] + prior.alleles),
            dirichlet(stats.jumps + prior.targets, rng),
            rng.beta(moved + prior.jump[0], np.maximum(stats.haplotypes - moved, 0.0) + prior.jump[1]),
        )

    def log_prior(self, params: ClusterParams, prior: ClusterPrior) -> float:
        """Log prior density up to a constant."""
        terms = [
            (prior.alleles, params.ones),
            (prior.alleles, 1.0 - params.ones),
            (prior.targets, params.targets),
            (prior.jump[0], params.jump),
            (prior.jump[1], 1.0 - params.jump),
        ]
        return float(sum((c - 1.0) * np.log(p).sum() for c, p in terms if c != 1.0))

    def simulate(self, params: ClusterParams, n: int, rng: np.random.Generator) -> FloatArray:
        """Genotypes (n, L)."""
        L, K = params.ones.shape
        state, total = np.zeros(2 * n, dtype=np.intp), np.empty((n, L))
        for site in range(L):
            jumps = rng.random(2 * n) < (1.0 if site == 0 else params.jump[site - 1])
            to = np.minimum(np.searchsorted(params.targets[site].cumsum(), rng.random(2 * n), side="right"), K - 1)
            state = np.where(jumps, to, state)
            total[:, site] = (rng.random(2 * n) < params.ones[site, state]).reshape(n, 2).sum(axis=1)
        return total

    def project(self, params: ClusterParams) -> ClusterParams:
        """Probabilities between 0 and 1, targets that sum to one."""
        targets = np.maximum(params.targets, 0.0)
        return ClusterParams(
            np.clip(params.ones, 0.0, 1.0), targets / targets.sum(axis=1, keepdims=True), np.clip(params.jump, 0.0, 1.0)
        )

    # ------------------------------------------------------------------ for phasing

    def start(self, K: int, G: Ints, rng: np.random.Generator) -> ClusterParams:
        """A random start: clusters that differ at every site, about the frequency of its allele."""
        L = G.shape[1]
        ones = rng.uniform(0.05, 0.95, (L, K))
        return ClusterParams(ones, np.full((L, K), 1.0 / K), np.full(L - 1, 0.1))

    def draw_paths(self, G: Ints, params: ClusterParams, rng: np.random.Generator, draws: int = 1) -> tuple[Any, Any]:
        """States and alleles (n, 2, L) of paths drawn from their posterior; alleles at missing genotypes too.

        With several `draws` both have one more axis, behind the first.
        """
        G, weights = genotypes(G), self._weights(params)
        states, alleles, _, _ = _sampled(G, weights, [rng.random((len(G), G.shape[1], 5)) for _ in range(draws)])
        return (states[:, 0], alleles[:, 0]) if draws == 1 else (states, alleles)

    def _weights(self, params: ClusterParams) -> Weights:
        for name in ("ones", "targets", "jump"):
            values = np.asarray(getattr(params, name))
            if not ((values >= 0.0) & (values <= 1.0 + 1e-9)).all():
                raise Degenerate(f"{name} holds {values.min():g} to {values.max():g}; these are no probabilities.")
        jump = np.concatenate([[1.0], params.jump])
        return Weights(1.0 - jump, jump[:, None] * params.targets, np.stack([1.0 - params.ones, params.ones]))

    def _drawn(self, G: Ints, weights: Weights, rng: np.random.Generator) -> Counts:
        states, alleles, jumped, values = _sampled(G, weights, [rng.random((*G.shape, 5))])
        L, K = weights.jump.shape
        site = np.broadcast_to(np.arange(L), states[:, 0].shape)
        seen = np.broadcast_to((G >= 0)[:, None], states[:, 0].shape)
        shown, jumps = np.zeros((2, L, K)), np.zeros((L, K))
        np.add.at(shown, (alleles[:, 0][seen], site[seen], states[:, 0][seen]), 1.0)
        np.add.at(jumps, (site[jumped[:, 0]], states[:, 0][jumped[:, 0]]), 1.0)
        return Counts(shown, jumps, values)


def genotypes(data: Any) -> Ints:
    """Genotypes (n, L) as small whole numbers."""
    table: Ints = np.ascontiguousarray(data.X if isinstance(data, Rows) else data, dtype=np.int8)
    return table


def _expected(G: Ints, w: Weights) -> Counts:
    fast = kernels()
    if fast is None:
        return pairs.expect(G, w)
    counts = Counts(np.zeros_like(w.show), np.zeros_like(w.jump), np.empty(len(G)))
    fast.pair_expect(G, w.stay, w.jump, w.show, counts.shown, counts.jumps, counts.values)
    return counts


def _sampled(G: Ints, w: Weights, u: list[FloatArray]) -> tuple[Any, Any, Any, FloatArray]:
    """States, alleles and jumps (n, len(u), 2, L), one for each set of uniform numbers (n, L, 5); log sums (n,)."""
    fast, (n, L) = kernels(), G.shape
    if fast is None:
        found = [pairs.draw(G, w, own) for own in u]
        states, alleles, jumped = (np.stack([one[j] for one in found], axis=1) for j in range(3))
        return states, alleles, jumped, found[0][3]
    K, shape = w.jump.shape[1], (n, len(u), 2, L)
    F, scale, values = np.empty((L, K, K)), np.empty(L), np.empty(n)
    states, alleles = np.empty(shape, dtype=np.intp), np.empty(shape, dtype=np.int8)
    jumped = np.empty(shape, dtype=bool)
    for i in range(n):
        fast.pair_forward(G[i], w.stay, w.jump, w.show, F, scale)
        values[i] = np.log(scale).sum()
        for m, own in enumerate(u):
            fast.pair_draw(G[i], w.stay, w.jump, w.show, F, scale, own[i], states[i, m], alleles[i, m], jumped[i, m])
    return states, alleles, jumped, values


def _swept(counts: FloatArray) -> FloatArray:
    """Counts without crumbs: what vanishes is zero."""
    return np.where(counts < NO_EVIDENCE, 0.0, counts)


def _ratio(part: FloatArray, whole: FloatArray, otherwise: float | None) -> FloatArray:
    """A proportion, and `otherwise` (an equal share if None) where nothing was counted."""
    default = np.full_like(part, 1.0 / part.shape[-1] if otherwise is None else otherwise)
    return np.divide(
        part, np.broadcast_to(whole, part.shape), out=default, where=np.broadcast_to(whole, part.shape) > 0
    )
