"""Which genotypes there are, and which of them a phenotype may hide.

A scheme is written as a geneticist would say it: phenotype A is AA or AO. Genotypes are unordered pairs of alleles;
what is hidden are the pairs, and what has a frequency are the alleles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from ...engine.latent import FloatArray
from ..checks import in_short

#: Schemes that can be named: blood groups ABO and MN, and one recessive allele "a".
#:
#: :meta hide-value:
SYSTEMS: dict[str, dict[str, list[str]]] = {
    "ABO": {"A": ["AA", "AO"], "B": ["BB", "BO"], "AB": ["AB"], "O": ["OO"]},
    "MN": {"M": ["MM"], "MN": ["MN"], "N": ["NN"]},
    "recessive": {"dominant": ["AA", "Aa"], "recessive": ["aa"]},
}

Pair = tuple[str, str]


@dataclass(frozen=True, repr=False)
class PossibleGenotypes:
    """Labels that can hide, and what each is made of.

    Their probability is ``orders * prod(frequencies ** copies)`` (eq. 8.1): two orders for a heterozygote, one for a
    homozygote. With ``copies`` an identity and all orders 1 the labels themselves have frequencies: no Hardy-Weinberg.

    Attributes
    ----------
    copies : array (G, K)
        Copies of each allele in each genotype; rows have the same sum.
    orders : array (G,)
        In how many orders the copies can have come.
    """

    copies: FloatArray
    orders: FloatArray

    @classmethod
    def pairs(cls, K: int) -> PossibleGenotypes:
        """All unordered pairs of K alleles: 00, 01, ..., 11, ...

        Examples
        --------
        >>> pairs = PossibleGenotypes.pairs(2)
        >>> pairs.copies.tolist(), pairs.orders.tolist()
        ([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]], [1.0, 2.0, 1.0])
        """
        first, second = np.triu_indices(K)
        copies = np.eye(K)[first] + np.eye(K)[second]
        return cls(copies, np.where(first == second, 1.0, 2.0))

    @classmethod
    def free(cls, G: int) -> PossibleGenotypes:
        """G genotypes with frequencies of their own, whoever mated with whom."""
        return cls(np.eye(G), np.ones(G))

    def __repr__(self) -> str:
        G, K = self.copies.shape
        return f"PossibleGenotypes.free({G})" if self.copies[0].sum() == 1.0 else f"PossibleGenotypes.pairs({K})"

    def probabilities(self, frequencies: FloatArray) -> FloatArray:
        """Of each genotype (..., G), given frequencies (..., K) of the alleles (eq. 8.1)."""
        powers = np.prod(frequencies[..., None, :] ** self.copies, axis=-1)
        return np.asarray(self.orders * powers)


@dataclass(frozen=True)
class Scheme:
    """A phenotype for every genotype, or probabilities of phenotypes (penetrances).

    Attributes
    ----------
    alleles, genotypes, phenotypes : tuple of str
        Names; genotypes in the order of `PossibleGenotypes.pairs`.
    penetrances : array (P, G)
        Probability of each phenotype given each genotype; columns sum to 1.
    """

    alleles: tuple[str, ...]
    genotypes: tuple[str, ...]
    phenotypes: tuple[str, ...]
    penetrances: FloatArray


def read_scheme(given: Any) -> Scheme:
    """A scheme from a name (``"ABO"``, ``"MN"``, ``"recessive"``) or a mapping of phenotypes to genotypes.

    Raises
    ------
    TypeError, ValueError
        In one sentence, if it is no scheme: a phenotype without genotypes, a genotype that has none or two.

    Examples
    --------
    >>> read_scheme({"ill": ["aa"], "well": ["AA", "Aa"]}).genotypes
    ('aa', 'aA', 'AA')
    >>> read_scheme({"ill": {"aa": 0.8}, "well": {"AA": 1, "Aa": 1, "aa": 0.2}}).penetrances.tolist()
    [[0.8, 0.0, 0.0], [0.2, 1.0, 1.0]]
    """
    if isinstance(given, str):
        if given not in SYSTEMS:
            raise ValueError(f"phenotypes is {given!r}; known systems are {', '.join(map(repr, SYSTEMS))}.")
        given = SYSTEMS[given]
    if not isinstance(given, Mapping) or not given:
        raise TypeError(
            f"phenotypes is {in_short(given)}; it must be a mapping such as {{'A': ['AA', 'AO'], ...}}, the name of a "
            "system, or None for genotype likelihoods."
        )
    parts = {str(name): _chances(str(name), genotypes) for name, genotypes in given.items()}
    alleles = tuple(dict.fromkeys(allele for chances in parts.values() for pair in chances for allele in pair))
    K, place = len(alleles), {allele: k for k, allele in enumerate(alleles)}
    column = {(j, k): g for g, (j, k) in enumerate(combinations_with_replacement(range(K), 2))}
    penetrances = np.zeros((len(parts), len(column)))
    for row, chances in zip(penetrances, parts.values(), strict=True):
        for pair, chance in chances.items():
            j, k = sorted(place[allele] for allele in pair)
            row[column[j, k]] += chance
    plain = all(len(allele) == 1 for allele in alleles)
    names = tuple(("" if plain else "/").join((alleles[j], alleles[k])) for j, k in column)
    _check_columns(penetrances, names, list(parts))
    return Scheme(alleles, names, tuple(parts), penetrances)


def _chances(phenotype: str, genotypes: Any) -> dict[Pair, float]:
    """The genotypes behind one phenotype, each with its penetrance."""
    if isinstance(genotypes, str):
        genotypes = [genotypes]
    if not isinstance(genotypes, Mapping):
        listed = list(genotypes)
        twice = next((one for one in listed if listed.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f"phenotype {phenotype!r} lists the genotype {twice!r} twice.")
        genotypes = dict.fromkeys(listed, 1.0)
    if not genotypes:
        raise ValueError(f"phenotype {phenotype!r} has no genotype; each needs at least one.")
    chances: dict[Pair, float] = {}
    for name, chance in genotypes.items():
        if not 0.0 <= float(chance) <= 1.0:
            raise ValueError(
                f"phenotype {phenotype!r} gives the genotype {name!r} the probability {chance!r}; "
                "it must lie between 0 and 1."
            )
        pair = _pair(name)
        if pair in chances or pair[::-1] in chances:
            raise ValueError(f"phenotype {phenotype!r} lists the genotype {name!r} twice.")
        chances[pair] = float(chance)
    return chances


def _pair(name: Any) -> Pair:
    """The two alleles of a genotype: "AO", "A1/O" or ("A1", "O")."""
    parts = name.split("/") if isinstance(name, str) and "/" in name else list(name) if np.iterable(name) else []
    if len(parts) != 2 or not all(isinstance(part, str) and part for part in parts):
        raise ValueError(
            f"genotype {name!r} is not two alleles; write 'AO', or 'A1/O' where names of alleles are longer."
        )
    return parts[0], parts[1]


def _check_columns(penetrances: FloatArray, genotypes: tuple[str, ...], phenotypes: list[str]) -> None:
    """Every genotype shows itself somehow, and only once."""
    for g, name in enumerate(genotypes):
        total = penetrances[:, g].sum()
        if total == 0.0:
            raise ValueError(f"genotype {name!r} has no phenotype; every pair of alleles needs one.")
        if abs(total - 1.0) > 1e-9:
            here = [phenotypes[s] for s in np.flatnonzero(penetrances[:, g])]
            raise ValueError(
                f"genotype {name!r} has the phenotypes {', '.join(map(repr, here))} with probabilities that sum to "
                f"{total:g}; they must sum to 1."
            )
