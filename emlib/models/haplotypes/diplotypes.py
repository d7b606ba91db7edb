"""Which pairs of haplotypes make which genotype: one flat list of pairs, sorted by genotype.

Loci enter one at a time. A pair of haplotypes over the loci so far becomes several pairs, one for each way to put the
alleles of the next locus on the two; where its two haplotypes are equal so far, exchanging the alleles makes no
difference and only one of the two ways is kept. So every unordered pair is listed once, and a listing that nobody has
trimmed on the way holds them all.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ...engine.latent import FloatArray
from .genotypes import Genotypes, Ints, Table

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Diplotypes:
    """Pairs of haplotypes that explain genotypes; data of `HaplotypeModel`.

    Attributes
    ----------
    first, second : arrays (P,) of int
        The haplotypes of each pair, ``first <= second``.
    begins : array (G,) of int
        Where the pairs of each genotype begin; every genotype has at least one.
    weights : array (G,)
        How many people have it.
    n_haplotypes : int
    """

    first: Indices
    second: Indices
    begins: Indices
    weights: FloatArray
    n_haplotypes: int

    def __len__(self) -> int:
        return len(self.begins)

    @functools.cached_property
    def sizes(self) -> Indices:
        """Pairs of each genotype (G,)."""
        return np.diff(self.begins, append=len(self.first))

    @functools.cached_property
    def owner(self) -> Indices:
        """Genotype of each pair (P,)."""
        return np.repeat(np.arange(len(self.begins)), self.sizes)

    @functools.cached_property
    def same(self) -> Indices:
        """Pairs whose two haplotypes are equal: they are not counted twice."""
        return np.flatnonzero(self.first == self.second)

    @functools.cached_property
    def incidence(self) -> csr_array:
        """How often each haplotype is in each pair (H, P)."""
        P = len(self.first)
        rows, columns = np.concatenate([self.first, self.second]), np.tile(np.arange(P), 2)
        return csr_array((np.ones(2 * P), (rows, columns)), shape=(self.n_haplotypes, P))

    def weighted(self, weights: FloatArray) -> Diplotypes:
        """The same lists for other numbers of people (G,)."""
        return replace(self, weights=weights)

    def stratified(self, weights: FloatArray) -> tuple[Diplotypes, Indices]:
        """The lists of several populations, one after the other, and the population of each genotype.

        Parameters
        ----------
        weights : array (S, G)
            People of each population with each genotype. Haplotype h of population s becomes ``s * H + h``.
        """
        S, H = len(weights), self.n_haplotypes
        there = (weights > 0).ravel()
        sizes, stratum = np.tile(self.sizes, S)[there], np.repeat(np.arange(S), len(self))[there]
        row = np.flatnonzero(np.repeat(there, np.tile(self.sizes, S)))
        offset, P = np.repeat(stratum * H, sizes), len(self.first)
        ends = np.cumsum(sizes)
        lists = (self.first[row % P] + offset, self.second[row % P] + offset)
        return Diplotypes(*lists, ends - sizes, weights.ravel()[there], S * H), stratum

    def kept(self, mask: NDArray[np.bool_]) -> tuple[Diplotypes, Indices]:
        """Only some of the pairs, which must leave every genotype one, and the haplotypes that are left (H',)."""
        first, second = self.first[mask], self.second[mask]
        sizes = np.add.reduceat(mask, self.begins, dtype=np.intp)
        used = np.zeros(self.n_haplotypes, dtype=bool)
        used[first] = used[second] = True
        number = np.cumsum(used) - 1
        begins = np.cumsum(sizes) - sizes
        left = np.flatnonzero(used)
        return Diplotypes(number[first], number[second], begins, self.weights, len(left)), left


def unspecified(weights: FloatArray) -> Diplotypes:
    """Before the first locus: one haplotype of no alleles, and everybody has it twice."""
    zeros = np.zeros(len(weights), dtype=np.intp)
    return Diplotypes(zeros, zeros, np.arange(len(weights)), weights, 1)


class Locus:
    """The genotypes at one locus and the ways to lay them on two haplotypes.

    Parameters
    ----------
    alleles : array (G, 2)
        Of each genotype, the smaller first, -1 where missing.
    n_alleles : int
    """

    def __init__(self, alleles: Ints, n_alleles: int) -> None:
        K = self.n_alleles = n_alleles
        codes = (alleles[:, 0] + 1) * (K + 1) + alleles[:, 1] + 1
        kinds, self.kind = np.unique(codes, return_inverse=True)
        tables = [_ways(int(code) // (K + 1) - 1, int(code) % (K + 1) - 1, K) for code in kinds]
        # For each kind: all ways, for two different haplotypes; and those with x <= y, for two equal ones.
        lists = [*tables, *([(x, y) for x, y in ways if x <= y] for ways in tables)]
        self.number = np.array([len(ways) for ways in lists])
        self.start = np.cumsum(self.number) - self.number
        self.x, self.y = np.array(list(itertools.chain.from_iterable(lists)), dtype=np.intp).T

    def growth(self, pairs: Diplotypes) -> Indices:
        """Into how many each pair is parted (P,)."""
        return self.number[self._row(pairs)]

    def _row(self, pairs: Diplotypes) -> Indices:
        equal = pairs.first == pairs.second
        return self.kind[pairs.owner] + equal * (len(self.number) // 2)

    def enter(self, pairs: Diplotypes, haplotypes: Table) -> tuple[Diplotypes, Table, Indices]:
        """The pairs with this locus, the haplotypes (H', l + 1), and the row of `haplotypes` that each continues."""
        row, K = self._row(pairs), self.n_alleles
        number = self.number[row]
        sizes = np.add.reduceat(number, pairs.begins)
        ends = np.cumsum(number)
        way = np.arange(ends[-1]) + np.repeat(self.start[row] - (ends - number), number)
        first = np.repeat(pairs.first * K, number) + self.x[way]
        second = np.repeat(pairs.second * K, number) + self.y[way]
        used = np.zeros(pairs.n_haplotypes * K, dtype=bool)
        used[first] = used[second] = True
        codes, renumbered = np.flatnonzero(used), np.cumsum(used) - 1
        parents = codes // K
        table = np.column_stack([haplotypes[parents], (codes % K).astype(haplotypes.dtype)])
        begins = np.cumsum(sizes) - sizes
        longer = Diplotypes(renumbered[first], renumbered[second], begins, pairs.weights, len(codes))
        return longer, table, parents


def _ways(low: int, high: int, K: int) -> list[tuple[int, int]]:
    """Ordered pairs of alleles that look like this genotype, -1 standing for any allele."""
    if high < 0:
        return [(x, y) for x in range(K) for y in range(K)]
    if low < 0:
        return sorted({(high, k) for k in range(K)} | {(k, high) for k in range(K)})
    return sorted({(low, high), (high, low)})


def loci_of(genotypes: Genotypes, rows: NDArray[np.bool_]) -> list[Locus]:
    """The loci, for some of the genotypes."""
    alleles = genotypes.alleles[rows]
    return [Locus(alleles[:, j], K) for j, K in enumerate(genotypes.n_alleles)]


def enumerate_diplotypes(genotypes: Genotypes) -> tuple[Diplotypes, Table]:
    """All pairs of haplotypes that are compatible with each informative genotype, and the haplotypes (H, L).

    Examples
    --------
    >>> from .genotypes import read_genotypes
    >>> pairs, haplotypes = enumerate_diplotypes(read_genotypes([[1, 1]]))
    >>> [haplotypes[[a, b]].tolist() for a, b in zip(pairs.first, pairs.second)]
    [[[0, 0], [1, 1]], [[0, 1], [1, 0]]]
    """
    rows = genotypes.informative
    pairs = unspecified(genotypes.weights[rows])
    haplotypes = np.zeros((1, 0), dtype=np.int64)
    for locus in loci_of(genotypes, rows):
        pairs, haplotypes, _ = locus.enter(pairs, haplotypes)
    return pairs, haplotypes
