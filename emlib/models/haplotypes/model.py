"""Haplotypes nobody has seen: which two each person carries, and how frequent each is.

A genotype says which alleles a person has at each locus, not which of them lie together on one chromosome. The hidden
part is the pair of haplotypes (the diplotype); under Hardy-Weinberg proportions it has the probability

    p_a p_b,  times 2 if a and b differ

and the log-likelihood of a person is the log of the sum over the pairs that make the genotype (eq. 9.2). E: share each
person among these pairs (eq. 9.3). M: count each haplotype, over twice the people (eq. 9.4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.blocks import Rows
from ...engine.coordinates import Named, Simplex
from ...engine.em import EPS, Degenerate
from ...engine.families import DirichletPrior
from ...engine.latent import SOFT, FloatArray, Latent
from .diplotypes import Diplotypes
from .genotypes import Genotypes, Ints, Table, read_genotypes
from .pairing import pairs_among

SMALLEST = 1e-150  # frequencies below count as zero: the product of two would leave the range of numbers
PIECE = 2**20  # numbers of a work array, for several parameters at once


@dataclass(frozen=True)
class HaplotypeParams:
    """Frequencies (H,) of the haplotypes."""

    frequencies: FloatArray


@dataclass(frozen=True)
class HaplotypeStats:
    """Expected number of each haplotype (H,); twice the people in all.

    `noise` bounds the rounding error of the log-likelihood computed in the same pass.
    """

    counts: FloatArray
    noise: float = 0.0

    def __add__(self, other: HaplotypeStats) -> HaplotypeStats:
        return HaplotypeStats(self.counts + other.counts, self.noise + other.noise)


@dataclass(frozen=True)
class HaplotypeModel:
    """Pairs of haplotypes behind genotypes; implements `engine.em.Model`.

    Data are `Diplotypes`, or genotypes as `HaplotypeEM` takes them, alleles numbered as in `haplotypes`; the prior is a
    `DirichletPrior`.

    Parameters
    ----------
    haplotypes : array (H, L) of int
        Those that are possible, alleles numbered from 0.
    missing : float
        Probability that a genotype of simulated people is missing.
    strata : int
        Populations with frequencies of their own, all in one vector (strata * H,); data then are `Diplotypes` made by
        `Diplotypes.stratified`.

    References
    ----------
    Excoffier & Slatkin (1995), *Mol. Biol. Evol.* 12; Hawley & Kidd (1995), *J. Hered.* 86; Long, Williams & Urbanek
    (1995), *Am. J. Hum. Genet.* 56.

    Examples
    --------
    Two loci, people who are AB/AB, ab/ab and doubly heterozygous:

    >>> from emlib.engine import em
    >>> model = HaplotypeModel(np.array([(0, 0), (0, 1), (1, 0), (1, 1)]))
    >>> start = HaplotypeParams(np.array([0.3, 0.2, 0.2, 0.3]))
    >>> em.fit(model, np.array([[0, 0], [2, 2], [1, 1]]), start).params.frequencies.round(3).tolist()
    [0.5, 0.0, 0.0, 0.5]
    """

    haplotypes: Table
    missing: float = 0.0
    strata: int = 1
    _labels: tuple[NDArray[Any], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tops = self.haplotypes.max(axis=0, initial=1)
        object.__setattr__(self, "_labels", tuple(np.arange(top + 1) for top in tops))

    # ------------------------------------------------------------------ E

    def e_step(self, data: Any, params: HaplotypeParams, latent: Latent = SOFT) -> tuple[HaplotypeStats, float]:
        """Expected numbers of haplotypes: each person is shared among the pairs that explain it (eq. 9.3)."""
        [found] = self.e_steps(data, [params], latent)
        return found

    def e_steps(
        self, data: Any, points: Sequence[HaplotypeParams], latent: Latent = SOFT
    ) -> list[tuple[HaplotypeStats, float]]:
        """`e_step` at several frequencies, over the same lists of pairs."""
        pairs, found = self.pairs_of(data), []
        step = max(1, PIECE // max(1, len(pairs.first)))
        for s in range(0, len(points), step):
            P = np.stack([self._checked(point) for point in points[s : s + step]], axis=1)
            found += _expected(pairs, P, latent)
        return found

    def pairs_of(self, data: Any) -> Diplotypes:
        """The pairs that explain each genotype."""
        if isinstance(data, Diplotypes):
            return data
        table = data.X if isinstance(data, Rows) else data
        genotypes = table if isinstance(table, Genotypes) else read_genotypes(table, self._labels)
        return pairs_among(genotypes, self.haplotypes, everybody=True)

    # ------------------------------------------------------------------ M

    def m_step(self, stats: HaplotypeStats, prior: DirichletPrior | None = None) -> HaplotypeParams:
        """Each haplotype's share of all that are counted (eq. 9.4)."""
        counts = stats.counts
        if prior is not None:
            counts = np.maximum(counts + (np.asarray(prior.concentration) - 1.0), 0.0)
        total = counts.reshape(self.strata, -1).sum(axis=1)
        if not (total > 0).all():
            raise Degenerate("nobody is left to count haplotypes in.")
        return HaplotypeParams(counts / np.repeat(total, len(counts) // self.strata))

    def draw(
        self,
        stats: HaplotypeStats,
        prior: DirichletPrior,
        rng: np.random.Generator,
        current: HaplotypeParams | None = None,
    ) -> HaplotypeParams:
        """From the Dirichlet posterior."""
        drawn = np.maximum(rng.gamma(stats.counts + prior.concentration), SMALLEST)
        return HaplotypeParams(drawn / drawn.sum())

    def log_prior(self, params: HaplotypeParams, prior: DirichletPrior) -> float:
        """Log density of the Dirichlet distribution, up to a constant."""
        pseudo = np.broadcast_to(np.asarray(prior.concentration) - 1.0, params.frequencies.shape)
        some = pseudo != 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            return float((pseudo[some] * np.log(params.frequencies[some])).sum())

    def project(self, params: HaplotypeParams) -> HaplotypeParams:
        """Frequencies that are not negative and sum to one to the last digit.

        A jump that goes below zero stops at next to nothing instead of at zero, which no step could leave again.
        """
        p = np.maximum(params.frequencies, 1e-12).reshape(self.strata, -1)
        return HaplotypeParams((p / p.sum(axis=1, keepdims=True)).ravel())

    def _checked(self, params: HaplotypeParams) -> FloatArray:
        p = params.frequencies
        if not ((p >= 0).all() and (abs(p.reshape(self.strata, -1).sum(axis=1) - 1.0) < 1e-6).all()):
            raise Degenerate("the haplotypes have frequencies that are negative or do not sum to one.")
        return p

    # ------------------------------------------------------------------ for errors, tests and people

    def simulate(self, params: HaplotypeParams, n: int, rng: np.random.Generator) -> Ints:
        """Genotypes of `n` people: counts (n, L) if no allele is above 1, else pairs of alleles (n, L, 2)."""
        drawn = rng.choice(len(self.haplotypes), size=(n, 2), p=params.frequencies)
        alleles = self.haplotypes[drawn].swapaxes(1, 2)
        lost = rng.random(alleles.shape[:2]) < self.missing
        if self.haplotypes.max(initial=0) <= 1:
            return np.where(lost, -1, alleles.sum(axis=2))
        return np.where(lost[:, :, None], -1, np.sort(alleles, axis=2))

    def slopes(
        self, stats: HaplotypeStats, params: HaplotypeParams, prior: DirichletPrior | None = None
    ) -> HaplotypeParams:
        """Slope of the complete-data log-likelihood, counts over frequencies: zero along them where `m_step` lands."""
        counts = stats.counts if prior is None else stats.counts + (np.asarray(prior.concentration) - 1.0)
        return HaplotypeParams(counts / params.frequencies)

    def coordinates(self, params: HaplotypeParams) -> Named:
        """Log-ratios of frequencies."""
        return Named(HaplotypeParams, {"frequencies": Simplex(params.frequencies)})

    def complete_slopes(self, data: Any, params: HaplotypeParams) -> Iterator[list[tuple[float, HaplotypeParams]]]:
        """For each person each of the pairs: its probability and its slope."""
        pairs, p = self.pairs_of(data), params.frequencies
        shares = pairs_posterior(pairs, p)
        for g, (begin, size) in enumerate(zip(pairs.begins, pairs.sizes, strict=True)):
            possible = []
            for i in range(begin, begin + size):
                slope = np.zeros(len(p))
                for h in (pairs.first[i], pairs.second[i]):
                    slope[h] += 1.0 / p[h]
                possible.append((float(shares[i]), HaplotypeParams(slope)))
            for _ in range(int(pairs.weights[g])):
                yield possible


def pairs_posterior(pairs: Diplotypes, frequencies: FloatArray) -> FloatArray:
    """Probability of each pair given its genotype (P,)."""
    joint = _joint(pairs, frequencies[:, None])
    total = np.add.reduceat(joint, pairs.begins)
    return np.asarray((joint / total[pairs.owner])[:, 0])


def log_likelihoods(pairs: Diplotypes, frequencies: FloatArray) -> FloatArray:
    """Of one person of each genotype (G,), in nats."""
    with np.errstate(divide="ignore"):
        return np.log(np.add.reduceat(_joint(pairs, frequencies[:, None]), pairs.begins)[:, 0]) + np.log(2.0)


def _joint(pairs: Diplotypes, P: FloatArray) -> FloatArray:
    """Half the probability of each pair (P, S): half, since that of most pairs would be multiplied by 2."""
    P = np.where(P < SMALLEST, 0.0, P)
    joint = P[pairs.first]
    joint *= P[pairs.second]
    joint[pairs.same] *= 0.5
    return joint


def _expected(pairs: Diplotypes, P: FloatArray, latent: Latent) -> list[tuple[HaplotypeStats, float]]:
    """Statistics and objective at the columns of P (H, S)."""
    joint, t = _joint(pairs, P), latent.temperature
    if t not in (0.0, 1.0):
        top = np.maximum.reduceat(joint, pairs.begins)
        joint /= top[pairs.owner]
        joint **= 1.0 / t
        offset = t * np.log(np.add.reduceat(joint, pairs.begins)) + np.log(top)
    total = np.add.reduceat(joint, pairs.begins) if t else np.maximum.reduceat(joint, pairs.begins)
    if not (total > 0).all():
        raise Degenerate("a person has a genotype that no pair of haplotypes with a frequency above zero explains.")
    value = np.log(total) if t in (0.0, 1.0) else offset
    if t == 0.0:
        _mark_best(joint, total, pairs)
    elif latent.rng is not None:
        _draw(joint, pairs, latent.rng)
    else:
        joint *= (pairs.weights[:, None] / total)[pairs.owner]
    n = pairs.weights.sum()
    objective = pairs.weights @ value + n * np.log(2.0)
    noise = 4 * EPS * float((pairs.weights @ np.abs(value)).max() + n)
    if joint.shape[1] == 1:
        H, own = pairs.n_haplotypes, joint[:, 0]
        counts = (np.bincount(pairs.first, own, H) + np.bincount(pairs.second, own, H))[:, None]
    else:
        counts = pairs.incidence @ joint
    columns = np.ascontiguousarray(counts.T)
    return [(HaplotypeStats(column, noise), float(v)) for column, v in zip(columns, objective, strict=True)]


def _mark_best(joint: FloatArray, top: FloatArray, pairs: Diplotypes) -> None:
    """One for the best pair of each genotype (times its people), the first of equals; zero for others, in place."""
    for s in range(joint.shape[1]):
        best = np.flatnonzero(joint[:, s] == top[pairs.owner, s])
        _, first = np.unique(pairs.owner[best], return_index=True)
        joint[:, s] = 0.0
        joint[best[first], s] = pairs.weights


def _draw(joint: FloatArray, pairs: Diplotypes, rng: np.random.Generator) -> None:
    """Every person draws one of the pairs with probabilities in these shares; numbers of people, in place."""
    people = np.repeat(np.arange(len(pairs)), pairs.weights.astype(np.intp))
    for s in range(joint.shape[1]):
        ends = np.cumsum(joint[:, s])
        last = pairs.begins + pairs.sizes - 1
        below = np.where(pairs.begins > 0, ends[pairs.begins - 1], 0.0)
        point = below[people] + (1.0 - rng.random(len(people))) * (ends[last] - below)[people]
        drawn = np.clip(np.searchsorted(ends, point), pairs.begins[people], last[people])
        joint[:, s] = np.bincount(drawn, minlength=len(joint))
