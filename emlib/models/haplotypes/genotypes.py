"""Genotypes as they come (counts or pairs of alleles, some missing), made into small whole numbers.

Every allele of a locus gets a number from 0 on, in the order of its code; the two alleles of a person at a locus are
stored the smaller first, and -1 stands for one that is missing. People with equal genotypes are one group with a
weight, so what follows costs as much as there are different genotypes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.latent import FloatArray
from ..checks import in_short

Ints = NDArray[np.int64]
Table = NDArray[Any]  # haplotypes (H, L), of whatever integer type: there may be a million
MISSING = -1


@dataclass(frozen=True)
class Genotypes:
    """Different genotypes, and how many people have each.

    Attributes
    ----------
    alleles : array (G, L, 2) of int
        The two alleles at each locus, the smaller first; -1 for a missing one, which comes first.
    weights : array (G,)
        People of each genotype.
    of_person : array (n,) of int
        The genotype of each person.
    labels : tuple of L arrays
        The codes that alleles 0, 1, ... of each locus had in the input.
    counts : bool
        Whether the input was a table of counts (n, L).
    """

    alleles: Ints
    weights: FloatArray
    of_person: NDArray[np.intp]
    labels: tuple[NDArray[Any], ...]
    counts: bool = True

    @property
    def n(self) -> int:
        """People."""
        return len(self.of_person)

    @property
    def n_loci(self) -> int:
        """Loci."""
        return self.alleles.shape[1]

    @property
    def n_alleles(self) -> tuple[int, ...]:
        """How many alleles each locus has."""
        return tuple(len(codes) for codes in self.labels)

    @property
    def informative(self) -> NDArray[np.bool_]:
        """Genotypes (G,) with an allele known; others are compatible with anything and say nothing."""
        return np.asarray((self.alleles >= 0).any(axis=(1, 2)))

    def coded(self, haplotypes: Table) -> Table:
        """Haplotypes of allele numbers (H, L) in the codes of the input."""
        columns = [codes[haplotypes[:, j]] for j, codes in enumerate(self.labels)]
        return np.column_stack(columns) if columns else haplotypes


def read_genotypes(G: Any, labels: tuple[NDArray[Any], ...] | None = None, name: str = "G") -> Genotypes:
    """Genotypes from a table of counts or of pairs of alleles.

    Parameters
    ----------
    G : array (n, L) or (n, L, 2)
        Copies (0, 1, 2) of the alternate allele of each of L loci; or the two alleles at each locus as whole numbers, 0
        or above, whatever they stand for. -1 or NaN is missing; of a pair, each allele by itself.
    labels : tuple of L arrays, optional
        The alleles known already, from a fit; any other is refused. By default those that occur; for counts 0 and 1.
    name : str
        What messages call the table.

    Raises
    ------
    TypeError
        If it holds no numbers.
    ValueError
        In one sentence that names the first person (row) and locus (column) that is no genotype.

    Examples
    --------
    >>> read_genotypes([[0, 1], [1, -1], [0, 1]]).alleles.tolist()
    [[[0, 0], [0, 1]], [[0, 1], [-1, -1]]]
    """
    table = _numbers(G, name)
    counts = table.ndim == 2
    pairs = _of_counts(table, name) if counts else _of_pairs(table, name)
    n, L = pairs.shape[:2]
    if labels is not None and len(labels) != L:
        raise ValueError(f"{name} has {L} loci, but the model was fitted on {len(labels)}.")
    if labels is None:
        labels = tuple(np.array([0, 1]) if counts else _codes_of(pairs[:, j]) for j in range(L))
        empty = [j for j in range(L) if (pairs[:, j] < 0).all()]
        if empty:
            raise ValueError(f"locus {empty[0]} of {name} is missing in all {n} people; leave it out.")
    numbers = np.stack([_numbered(pairs[:, j], labels[j], j, name) for j in range(L)], axis=1)
    numbers.sort(axis=2)
    flat = np.ascontiguousarray(numbers.reshape(n, 2 * L).astype(np.int16 if numbers.max() < 2**15 else np.int64))
    _, first, of_person, weights = np.unique(  # rows as single items: ten times as fast as by axis
        flat.view([("", flat.dtype)] * (2 * L)).ravel(), return_index=True, return_inverse=True, return_counts=True
    )
    return Genotypes(numbers[first], weights.astype(float), of_person, labels, counts)


def plain(G: Any) -> Any:
    """`G`; if it is a pandas table with missing values of pandas' own (NA), its numbers, with NaN for them."""
    own = hasattr(G, "to_numpy") and np.asarray(G).dtype.kind == "O"
    return G.to_numpy(float, na_value=np.nan) if own else G


def _numbers(G: Any, name: str) -> FloatArray:
    try:
        G = plain(G)
        table = np.asarray(G)
        table = table.astype(float) if table.dtype.kind in "fiubO" else np.asarray(G, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} is {in_short(G)} and holds something other than numbers; genotypes are counts (n, L) or pairs of "
            "allele codes (n, L, 2)."
        ) from None
    if table.ndim not in (2, 3) or (table.ndim == 3 and table.shape[2] != 2):
        raise ValueError(
            f"{name} has the shape {table.shape}; counts (n, L) or pairs of allele codes (n, L, 2) are needed."
        )
    if 0 in table.shape:
        raise ValueError(f"{name} has the shape {table.shape}; at least one person and one locus are needed.")
    return table


def _of_counts(table: FloatArray, name: str) -> Ints:
    missing = np.isnan(table) | (table == MISSING)
    bad = ~(missing | np.isin(table, (0, 1, 2)))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"{name} holds {table[row, column]:g} for person {row} at locus {column}; a count of the alternate allele "
            "is 0, 1 or 2, and -1 or NaN if it is missing."
        )
    counts = np.where(missing, 0, table).astype(np.int64)
    pairs = np.stack([counts >= 2, counts >= 1], axis=2).astype(np.int64)
    pairs[missing] = MISSING
    return pairs


def _of_pairs(table: FloatArray, name: str) -> Ints:
    missing = np.isnan(table) | (table == MISSING)
    bad = ~missing & ~((table >= 0) & (table < 2**53) & (np.floor(table) == table))
    if bad.any():
        row, column, which = np.argwhere(bad)[0]
        raise ValueError(
            f"{name} holds {table[row, column, which]:g} for person {row} at locus {column}; an allele is a whole "
            "number, 0 or above, and -1 or NaN if it is missing."
        )
    return np.where(missing, MISSING, table).astype(np.int64)


def _codes_of(column: Ints) -> Ints:
    codes = np.unique(column)
    return codes[codes >= 0]


def _numbered(column: Ints, codes: NDArray[Any], j: int, name: str) -> Ints:
    """Allele codes as 0, 1, ...; missing stays -1."""
    if len(codes) == 0:
        return np.full(column.shape, MISSING)
    at = np.minimum(np.searchsorted(codes, column), len(codes) - 1)
    unknown = (codes[at] != column) & (column >= 0)
    if unknown.any():
        row = int(np.argwhere(unknown)[0][0])
        code = column[unknown][0]
        raise ValueError(f"{name} holds allele {code} for person {row} at locus {j}, which did not occur in the fit.")
    return np.where(column < 0, MISSING, at)
