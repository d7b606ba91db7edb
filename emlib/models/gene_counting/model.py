"""Genes behind what was seen: which E and which M.

What is known of a person is how probable it would be under each genotype: 1 or 0 for a blood group, a product over
reads for sequencing. The prior of a genotype comes from the allele frequencies by random mating. The E-step counts
genotypes in expectation, the M-step counts the genes in them and divides by how many there are, two a person. Where
many sites were sequenced, each has its own frequency and all of them take every step together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.blocks import Rows
from ...engine.coordinates import Named, Simplex
from ...engine.em import EPS, Degenerate
from ...engine.families import DirichletPrior
from ...engine.latent import SOFT, FloatArray, Latent, assign
from .schemes import PossibleGenotypes, Scheme

FAR = 0.1  # standard errors from where Newton sees the maximum: further, and it lies outside, or the climb is not over
GONE = 1e-150  # an allele so rare cannot come back by EM, and its square is no number any more
FLAT = 1e-9  # of a curvature of one for each gene: nothing is known
TWO_ALLELES = PossibleGenotypes.pairs(2)
CELLS = 2**17  # people times sites that are worked on together: what a cache holds


@dataclass(frozen=True)
class GeneParams:
    """Allele frequencies (K,), or (L, K) for L sites; they sum to 1."""

    frequencies: FloatArray


@dataclass(frozen=True)
class GeneStats:
    """Expected people of each genotype: (G,), or (L, G) for L sites.

    `values` is the log-likelihood, of each site where there are several; it adds up too. `noise` bounds its rounding
    error.
    """

    genotypes: FloatArray
    values: Any
    noise: float = 0.0

    def __add__(self, other: GeneStats) -> GeneStats:
        return GeneStats(self.genotypes + other.genotypes, self.values + other.values, self.noise + other.noise)


@dataclass(frozen=True)
class People:
    """What is known of people: relative likelihoods of their genotypes.

    Attributes
    ----------
    likelihoods : array (m, G, L)
        The largest of a row and site is 1. Sites last, so that sums run along whole rows of memory.
    base : array (L,)
        Logarithms of what was divided out, summed over rows.
    weights : array (m,), optional
        How many people each row stands for; one if None.
    """

    likelihoods: FloatArray
    base: FloatArray
    weights: FloatArray | None = None

    @classmethod
    def from_logs(cls, logs: FloatArray) -> People:
        """From log-likelihoods (n, L, G) in nats, one row a person."""
        turned = np.ascontiguousarray(np.swapaxes(logs, 1, 2), dtype=float)
        top = turned.max(axis=1, keepdims=True)
        if turned is logs or np.shares_memory(turned, logs):
            turned = turned - top
        else:
            turned -= top
        return cls(np.exp(turned, out=turned), top[:, 0].sum(axis=0))

    def __len__(self) -> int:
        return len(self.likelihoods)

    def sites(self, chosen: Any) -> People:
        """The same people at some of the sites."""
        return People(np.ascontiguousarray(self.likelihoods[:, :, chosen]), self.base[chosen], self.weights)

    def pieces(self) -> Iterator[tuple[FloatArray, FloatArray | float]]:
        """A few rows at a time: likelihoods (b, G, L), and weights (b, 1)."""
        rows = max(1, CELLS // self.likelihoods.shape[2])
        for i in range(0, len(self), rows):
            weights = 1.0 if self.weights is None else self.weights[i : i + rows, None]
            yield self.likelihoods[i : i + rows], weights


@dataclass(frozen=True)
class GeneModel(ABC):
    """What phenotypes and reads share: genes that meet at random. A subclass says how people are read from data.

    Parameters
    ----------
    genotypes : PossibleGenotypes
        The labels that are hidden.
    """

    genotypes: PossibleGenotypes

    @abstractmethod
    def people(self, data: Any) -> People:
        """`data` as the E-step wants them."""

    @abstractmethod
    def simulate(self, params: GeneParams, n: int, rng: np.random.Generator) -> FloatArray:
        """What is seen of `n` people."""

    # ------------------------------------------------------------------ E

    def e_step(self, data: Any, params: GeneParams, latent: Latent = SOFT) -> tuple[GeneStats, float]:
        """Expected people of each genotype (eq. 8.4), and the log-likelihood (eq. 8.2)."""
        seen, frequencies = self.people(data), np.atleast_2d(params.frequencies)
        self._check(frequencies, seen)
        prior = np.ascontiguousarray(self.genotypes.probabilities(frequencies).T)  # (G, L)
        counts, values, noise = np.zeros_like(prior), seen.base.copy(), 4 * EPS * np.abs(seen.base).sum()
        plain = latent.temperature == 1.0 and latent.rng is None
        for likelihoods, weights in seen.pieces():
            found, gains = (
                _expected(likelihoods, weights, prior) if plain else _filled_in(likelihoods, weights, prior, latent)
            )
            counts += found
            values += gains.sum(axis=0)
            noise += 8 * EPS * float(np.abs(gains).sum() + np.broadcast_to(weights, gains.shape).sum())
        if params.frequencies.ndim == 1:
            return GeneStats(counts[:, 0], float(values[0]), noise), float(values[0])
        return GeneStats(counts.T, values, noise), float(values.sum())

    def _check(self, frequencies: FloatArray, seen: People) -> None:
        if len(frequencies) != len(seen.base):
            raise ValueError(f"there are frequencies for {len(frequencies)} sites, but data for {len(seen.base)}.")
        sums = frequencies.sum(axis=1)
        if not ((frequencies >= 0).all() and (np.abs(sums - 1.0) <= 1e-8).all()):
            raise Degenerate("some allele frequencies are negative or do not sum to 1.")

    def posterior(self, data: Any, params: GeneParams) -> FloatArray:
        """Probability of each genotype given what was seen of each row: (m, G), or (m, L, G) for L sites."""
        seen, frequencies = self.people(data), np.atleast_2d(params.frequencies)
        joint = seen.likelihoods * self.genotypes.probabilities(frequencies).T
        with np.errstate(invalid="ignore", divide="ignore"):
            joint /= joint.sum(axis=1, keepdims=True)
        shares = np.swapaxes(joint, 1, 2)
        return shares[:, 0] if params.frequencies.ndim == 1 else shares

    # ------------------------------------------------------------------ M

    def m_step(self, stats: GeneStats, prior: DirichletPrior | None = None) -> GeneParams:
        """Count genes and divide by how many there are (eq. 8.5)."""
        genes = self.genes(stats, prior)
        total = genes.sum(axis=-1, keepdims=True)
        if not (total > 0).all():
            raise Degenerate("there are no genes to count.")
        return GeneParams(genes / total)

    def genes(self, stats: GeneStats, prior: DirichletPrior | None = None) -> FloatArray:
        """Expected copies of each allele, (K,) or (L, K), with the prior's pseudo-genes."""
        genes: FloatArray = stats.genotypes @ self.genotypes.copies
        return genes if prior is None else np.maximum(genes + np.asarray(prior.concentration) - 1.0, 0.0)

    def draw(
        self, stats: GeneStats, prior: DirichletPrior, rng: np.random.Generator, current: GeneParams | None = None
    ) -> GeneParams:
        """From the Dirichlet posterior."""
        shapes = self.genes(stats) + np.asarray(prior.concentration)
        gammas = rng.standard_gamma(shapes)
        return GeneParams(gammas / gammas.sum(axis=-1, keepdims=True))

    def log_prior(self, params: GeneParams, prior: DirichletPrior) -> float:
        """Log density of the Dirichlet distribution, up to a constant."""
        powers = np.broadcast_to(np.asarray(prior.concentration) - 1.0, params.frequencies.shape)
        return float((powers[powers != 0] * np.log(params.frequencies[powers != 0])).sum())

    def project(self, params: GeneParams) -> GeneParams:
        """Frequencies that sum to 1, after a jump."""
        return GeneParams(params.frequencies / params.frequencies.sum(axis=-1, keepdims=True))

    # ------------------------------------------------------------------ how sure

    def slopes(self, stats: GeneStats, params: GeneParams, prior: DirichletPrior | None = None) -> GeneParams:
        """Slope of the complete-data log-likelihood: genes over frequencies (eq. 8.3)."""
        genes = self.genes(stats)
        if prior is not None:
            genes = genes + np.asarray(prior.concentration) - 1.0
        return GeneParams(genes / params.frequencies)

    def coordinates(self, params: GeneParams) -> Named:
        """Log-ratios of alleles."""
        return Named(GeneParams, {"frequencies": Simplex(params.frequencies)})

    def complete_slopes(self, data: Any, params: GeneParams) -> Iterator[list[tuple[float, GeneParams]]]:
        """For each person and site: every genotype, with its probability and its slope."""
        seen, frequencies = self.people(data), np.atleast_2d(params.frequencies)
        shares = np.reshape(self.posterior(data, params), (len(seen), len(frequencies), -1))
        for i, site in np.ndindex(shares.shape[:2]):
            slopes = np.zeros((len(self.genotypes.copies), *frequencies.shape))
            slopes[:, site] = self.genotypes.copies / frequencies[site]
            possible = [
                (float(share), GeneParams(slope.reshape(params.frequencies.shape)))
                for share, slope in zip(shares[i, site], slopes, strict=True)
            ]
            for _ in range(1 if seen.weights is None else int(seen.weights[i])):
                yield possible

    def information(self, data: Any, params: GeneParams, prior: DirichletPrior | None = None) -> FloatArray:
        """Observed information (L, K, K) by Louis' identity: complete less missing (eq. 8.6).

        Minus the second derivatives as if the frequencies were not tied; only differences that sum to zero mean
        anything. All sites at once, at the price of one E-step.
        """
        seen, frequencies = self.people(data), np.atleast_2d(params.frequencies)
        copies, weights_of_pairs = self.genotypes.copies, self.genotypes.probabilities(frequencies).T
        first, both = np.zeros(frequencies.shape), np.zeros((*frequencies.shape, copies.shape[1]))
        products = np.einsum("gj,gk->gjk", copies, copies)
        for likelihoods, weights in seen.pieces():
            joint = likelihoods * weights_of_pairs
            shares = joint / joint.sum(axis=1, keepdims=True)
            means = np.einsum("bgl,gk->bkl", shares, copies)
            w = np.broadcast_to(np.asarray(weights, dtype=float).reshape(-1, 1), (len(joint), 1))[:, 0]
            counts = np.einsum("b,bgl->lg", w, shares)
            first += counts @ copies
            both += np.einsum("lg,gjk->ljk", counts, products) - np.einsum("b,bjl,bkl->ljk", w, means, means)
        if prior is not None:
            first = first + np.asarray(prior.concentration) - 1.0
        with np.errstate(divide="ignore", invalid="ignore"):  # an allele that is gone: NaN, and the caller looks
            found: FloatArray = -both / (frequencies[:, :, None] * frequencies[:, None, :])
            found[:, np.arange(found.shape[1]), np.arange(found.shape[1])] += first / frequencies**2
        return found

    def covariance(self, data: Any, params: GeneParams, prior: DirichletPrior | None = None) -> FloatArray:
        """Covariance (L, K, K) of the frequencies at a maximum; NaN at sites where there is none inside."""
        K, ways = params.frequencies.shape[-1], _ways(params.frequencies.shape[-1])
        _, curvature, newton = self._across(data, params, prior)
        covariance = np.full((len(newton), K, K), np.nan)
        fine = newton < 0.5 * FAR**2
        covariance[fine] = ways @ np.linalg.inv(curvature[fine]) @ ways.T
        return covariance

    def left_to_gain(self, data: Any, params: GeneParams, prior: DirichletPrior | None = None) -> FloatArray:
        """How many nats each site (L,) is from its maximum: Newton's estimate, or the tangent's where that is less.

        Where the log-likelihood is concave, as it is for reads, the tangent at `params` bounds what is left.
        """
        tangent, _, newton = self._across(data, params, prior)
        return np.minimum(tangent, newton)

    def _across(
        self, data: Any, params: GeneParams, prior: DirichletPrior | None
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of each site: the rise of the tangent, curvature (L, K - 1, K - 1), and Newton's rise (infinite if none)."""
        stats, _ = self.e_step(data, params)
        frequencies = np.atleast_2d(params.frequencies)
        there = frequencies > GONE
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = np.atleast_2d(self.slopes(stats, params, prior).frequencies)
        genes = np.where(there, slopes * frequencies, 0.0).sum(axis=1)
        tangent = np.where(there, slopes, -np.inf).max(axis=1) - genes
        ways, inside = _ways(frequencies.shape[1]), np.asarray(there.all(axis=1))
        information = np.where(inside[:, None, None], self.information(data, params, prior), 0.0)
        curvature, slope = ways.T @ information @ ways, np.where(inside[:, None], slopes, 0.0) @ ways
        newton = np.full(len(frequencies), np.inf)
        down = inside & (np.linalg.eigvalsh(curvature)[:, 0] > FLAT * genes)
        steps = np.linalg.solve(curvature[down], slope[down][..., None])[..., 0]
        newton[down] = 0.5 * np.einsum("lj,lj->l", slope[down], steps)
        return tangent, curvature, newton


@dataclass(frozen=True)
class PhenotypeCounts(GeneModel):
    """People counted by phenotype; implements `engine.em.Model`.

    Data are counts (P,), or several samples as rows (n, P).

    Parameters
    ----------
    penetrances : array (P, G)
        Probability of each phenotype given each genotype: 0 or 1 where the genotype decides.
    total : int
        People in each simulated row.

    References
    ----------
    Ceppellini, Siniscalco & Smith (1955); Smith (1957).

    Examples
    --------
    Two steps of gene counting:

    >>> from emlib.engine import em
    >>> from emlib.models.gene_counting.schemes import read_scheme
    >>> model = PhenotypeCounts.of(read_scheme("ABO"))
    >>> start = GeneParams(np.array([0.3, 0.5, 0.2]))  # A, O, B
    >>> em.fit(model, np.array([186, 38, 13, 284]), start, max_iter=2).params.frequencies.round(4).tolist()
    [0.216, 0.7337, 0.0503]
    """

    penetrances: FloatArray
    total: int = 1

    @classmethod
    def of(cls, scheme: Scheme) -> PhenotypeCounts:
        """The model of a scheme."""
        return cls(PossibleGenotypes.pairs(len(scheme.alleles)), scheme.penetrances)

    def people(self, data: Any) -> People:
        """See `GeneModel.people`. Phenotypes of nobody are left out: they may be impossible."""
        rows = np.atleast_2d(np.asarray(data.X if isinstance(data, Rows) else data, dtype=float))
        if rows.ndim != 2 or rows.shape[1] != len(self.penetrances):
            raise ValueError(
                f"data have the shape {np.shape(data)}; counts of {len(self.penetrances)} phenotypes are needed."
            )
        counts = rows.sum(axis=0)
        return People(self.penetrances[counts > 0, :, None], np.zeros(1), counts[counts > 0])

    def simulate(self, params: GeneParams, n: int, rng: np.random.Generator) -> FloatArray:
        """`n` rows of counts (P,), `total` people each."""
        chances = self.penetrances @ self.genotypes.probabilities(params.frequencies)
        return rng.multinomial(self.total, chances / chances.sum(), size=n).astype(float)


@dataclass(frozen=True)
class GenotypeLikelihoods(GeneModel):
    """Genotypes seen through reads, at L sites at once; implements `engine.em.Model`.

    Data are log-likelihoods (n, L, G) in nats, or the same as a table (n, L G), or `People`.

    Parameters
    ----------
    depth, error : float
        Mean reads of a person at a site, and the chance of a wrong one, in simulated data (of two alleles).

    References
    ----------
    Li (2011), *Bioinformatics* 27; Kim et al. (2011), *BMC Bioinformatics* 12.

    Examples
    --------
    One reading of each allele leaves the genotype open; two people, one site:

    >>> from emlib.engine import em
    >>> logs = np.log([[[1.0, 0.1, 0.01]], [[0.2, 1.0, 0.2]]])
    >>> em.fit(GenotypeLikelihoods(), logs, GeneParams(np.array([[0.5, 0.5]]))).params.frequencies.round(3).tolist()
    [[0.806, 0.194]]
    """

    genotypes: PossibleGenotypes = TWO_ALLELES
    depth: float = 3.0
    error: float = 0.05

    def people(self, data: Any) -> People:
        """See `GeneModel.people`."""
        if isinstance(data, People):
            return data
        table = np.asarray(data.X if isinstance(data, Rows) else data, dtype=float)
        return People.from_logs(table.reshape(len(table), -1, len(self.genotypes.copies)))

    def simulate(self, params: GeneParams, n: int, rng: np.random.Generator) -> FloatArray:
        """Log-likelihoods (n, L G) of n people, from simulated reads of two alleles."""
        chances = self.genotypes.probabilities(np.atleast_2d(params.frequencies))
        below = np.cumsum(chances, axis=1)[:, :-1] / chances.sum(axis=1, keepdims=True)
        g = (rng.random((n, len(chances), 1)) > below).sum(axis=2)
        reads = rng.poisson(self.depth, size=g.shape)
        alternate = rng.binomial(reads, alternate_chance(self.error)[g])
        return log_likelihoods(reads - alternate, alternate, self.error).reshape(n, -1)


def alternate_chance(error: float) -> FloatArray:
    """Probability that a read shows the alternate allele, for a genotype with 0, 1, 2 copies of it (eq. 8.7)."""
    return np.array([error, 0.5, 1.0 - error])


def log_likelihoods(reference: Any, alternate: Any, error: float) -> FloatArray:
    """Of the three genotypes (..., 3), from reads of either allele (...,) (eq. 8.7)."""
    chance = alternate_chance(error)
    shows = np.stack([np.log(1.0 - chance), np.log(chance)])
    return np.asarray(reference, dtype=float)[..., None] * shows[0] + np.asarray(alternate, float)[..., None] * shows[1]


def _expected(likelihoods: FloatArray, weights: Any, prior: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Genotypes (G, L) in expectation, log-likelihood of each row and site (b, L); the table is not copied."""
    total = np.einsum("bgl,gl->bl", likelihoods, prior)
    counts: FloatArray = prior * np.einsum("bgl,bl->gl", likelihoods, weights / total)
    return counts, weights * np.log(total)


def _filled_in(
    likelihoods: FloatArray, weights: Any, prior: FloatArray, latent: Latent
) -> tuple[FloatArray, FloatArray]:
    """The same for the other choices of E: tempered, hard, sampled."""
    with np.errstate(divide="ignore"):
        joint = np.ascontiguousarray(np.swapaxes(np.log(likelihoods) + np.log(prior), 1, 2))[..., None]
    values = np.empty(joint.shape[:2])
    values[...] = assign(joint, Latent(latent.temperature)).reshape(values.shape)
    shares = joint[..., 0]
    if latent.rng is None:
        shares = shares * np.asarray(weights)[..., None]
    else:
        whole = np.broadcast_to(np.asarray(weights), values.shape).astype(np.int64)
        shares = latent.rng.multinomial(whole, shares / shares.sum(axis=2, keepdims=True)).astype(float)
    return shares.sum(axis=0).T, weights * values


def _ways(K: int) -> FloatArray:
    """Directions (K, K - 1) along which frequencies keep their sum."""
    return np.vstack([np.eye(K - 1), -np.ones((1, K - 1))])
