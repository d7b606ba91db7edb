"""Pairs among given haplotypes, and the haplotypes that these would need as partners.

Both walk along the loci with all genotypes at once and keep only beginnings of haplotypes that occur in the given
table, so that the work follows the pairs that fit and not the 2**L that could be thought of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...engine.em import Degenerate
from .diplotypes import Diplotypes, Indices, Locus, loci_of
from .genotypes import Genotypes, Table


@dataclass(frozen=True)
class _Tree:
    """Beginnings of haplotypes: at each locus the number of the longer beginning, or -1 (beginnings * alleles,)."""

    children: list[Indices]
    leaf: Indices  # haplotype of each whole path

    @classmethod
    def of(cls, haplotypes: Table, n_alleles: tuple[int, ...]) -> _Tree:
        number = np.zeros(len(haplotypes), dtype=np.intp)
        children, n = [], 1
        for j, K in enumerate(n_alleles):
            code = number * K + haplotypes[:, j]
            child = np.full(n * K, -1, dtype=np.intp)
            used = np.zeros(n * K, dtype=bool)
            used[code] = True
            n = int(used.sum())
            child[used] = np.arange(n)
            children.append(child)
            number = child[code]
        leaf = np.full(n, -1, dtype=np.intp)
        leaf[number] = np.arange(len(haplotypes))
        return cls(children, leaf)


def _ways(locus: Locus, owner: Indices, equal: Indices | bool) -> tuple[Indices, Indices]:
    """For every pair the ways to lay the alleles of a locus: which pair (Q,), and which way (Q,)."""
    row = locus.kind[owner] + equal * (len(locus.number) // 2)
    number = locus.number[row]
    ends = np.cumsum(number)
    pair = np.repeat(np.arange(len(row)), number)
    return pair, np.arange(len(pair)) + (locus.start[row] - (ends - number))[pair]


def pairs_among(genotypes: Genotypes, haplotypes: Table, everybody: bool = False) -> Diplotypes:
    """The pairs of given haplotypes (H, L) that are compatible with each informative genotype, or with each.

    Raises
    ------
    Degenerate
        If a genotype has none.
    """
    rows = genotypes.informative | everybody
    tree = _Tree.of(haplotypes, genotypes.n_alleles)
    owner = np.arange(int(rows.sum()))
    first = second = np.zeros(len(owner), dtype=np.intp)
    for locus, child in zip(loci_of(genotypes, rows), tree.children, strict=True):
        pair, way = _ways(locus, owner, first == second)
        a = child[first[pair] * locus.n_alleles + locus.x[way]]
        b = child[second[pair] * locus.n_alleles + locus.y[way]]
        fits = (a >= 0) & (b >= 0)
        first, second, owner = a[fits], b[fits], owner[pair[fits]]
    weights = genotypes.weights[rows]
    sizes = np.bincount(owner, minlength=len(weights))
    if not (sizes > 0).all():
        g = int(np.flatnonzero(rows)[np.argmin(sizes)])
        person = int(np.argmax(genotypes.of_person == g))
        raise Degenerate(f"person {person} has a genotype that no pair of the {len(haplotypes)} haplotypes makes.")
    one, other = tree.leaf[first], tree.leaf[second]
    low, high = np.minimum(one, other), np.maximum(one, other)
    return Diplotypes(low, high, np.cumsum(sizes) - sizes, weights, len(haplotypes))


@dataclass(frozen=True)
class Partners:
    """For each genotype and each given haplotype that fits it, what the other haplotype would have to be.

    Attributes
    ----------
    given, partner, owner : arrays (Q,)
        A row of the given table, a row of `haplotypes`, and the genotype.
    haplotypes : array (H', L)
    """

    given: Indices
    partner: Indices
    owner: Indices
    haplotypes: Table


def partners_of(genotypes: Genotypes, haplotypes: Table, rows: Indices) -> Partners:
    """Partners of given haplotypes in the genotypes `rows`, every one of them, whether or not it is given itself."""
    tree = _Tree.of(haplotypes, genotypes.n_alleles)
    owner = np.arange(len(rows))
    given = np.zeros(len(owner), dtype=np.intp)
    partner, table = given, np.zeros((1, 0), dtype=haplotypes.dtype)
    for j, child in enumerate(tree.children):
        K = genotypes.n_alleles[j]
        locus = Locus(genotypes.alleles[rows, j], K)
        pair, way = _ways(locus, owner, False)
        a = child[given[pair] * K + locus.x[way]]
        fits = a >= 0
        pair, way = pair[fits], way[fits]
        code = partner[pair] * K + locus.y[way]
        used = np.zeros(len(table) * K, dtype=bool)
        used[code] = True
        codes, number = np.flatnonzero(used), np.cumsum(used) - 1
        table = np.column_stack([table[codes // K], (codes % K).astype(table.dtype)])
        given, partner, owner = a[fits], number[code], owner[pair]
    return Partners(tree.leaf[given], partner, rows[owner], table)
