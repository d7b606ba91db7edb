"""Genotypes and phenotypes of people, and of the offspring of crosses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .shipped import Floats, Ints, Words, table

# Offspring of four phenotypes in a cross of linked genes (AB, Ab, aB, ab).
LINKAGE_COUNTS = (125, 18, 20, 34)

# Patients of each ABO blood group.
BLOOD_GROUPS = {"A": 186, "B": 38, "AB": 13, "O": 284}

# People of the 1000 Genomes Project by genotype at two SNPs of the gene APOE, in the order of `APOE_GENOTYPES`; and the
# frequencies of e3, e2, e4 and e1 in the phased data of the same people.
APOE_GENOTYPES = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2))
APOE_COUNTS = {
    "AFR": ((265, 86, 5, 217, 39, 0, 48, 1, 0), (0.6301, 0.1021, 0.2670, 0.0008)),
    "AMR": ((248, 28, 1, 65, 3, 0, 2, 0, 0), (0.8487, 0.0476, 0.1037, 0.0)),
    "EAS": ((335, 82, 4, 68, 11, 0, 4, 0, 0), (0.8135, 0.1002, 0.0863, 0.0)),
    "EUR": ((307, 50, 1, 123, 11, 0, 11, 0, 0), (0.7823, 0.0626, 0.1551, 0.0)),
    "SAS": ((370, 36, 3, 74, 1, 0, 5, 0, 0), (0.8691, 0.0440, 0.0869, 0.0)),
}


def blood_groups() -> dict[str, int]:
    """Blood groups of 521 patients with an ulcer of the duodenum, in the ABO system.

    Returns
    -------
    dict of str to int
        People of each group.

    Examples
    --------
    >>> blood_groups()
    {'A': 186, 'B': 38, 'AB': 13, 'O': 284}
    """
    return dict(BLOOD_GROUPS)


def linkage() -> Ints:
    """Offspring of four phenotypes in a cross of two linked genes, 197 in all.

    The four cells have probabilities 1/2 + t/4, (1 - t)/4, (1 - t)/4 and t/4; the first hides two.

    Returns
    -------
    array (4,) of int

    Examples
    --------
    >>> linkage().tolist()
    [125, 18, 20, 34]
    """
    return np.array(LINKAGE_COUNTS)


@dataclass(frozen=True)
class Trios:
    """Children and their two parents, genotyped along a piece of chromosome 22; families are *inferred*.

    Attributes
    ----------
    genotypes : array (90, 603) of int
        Copies, 0 to 2, of the second allele of each SNP; -1 where a genotype is missing.
    samples, snps, alleles : arrays of str
        Names of the people (90,) and of the SNPs (603,), and the two alleles of each SNP, such as "G/T".
    positions : array (603,) of int
        Of the SNPs, increasing; of an assembly of 2005.
    trios : array (30, 3) of int
        Rows of child, parent and parent. The families were inferred from the genotypes: Mendel's law is broken at
        no more than two of the 603 SNPs. Which parent is the mother is not known.
    """

    genotypes: Ints
    samples: Words
    snps: Words
    alleles: Words
    positions: Ints
    trios: Ints

    @property
    def founders(self) -> Ints:
        """Rows of the 60 parents, who are not related as far as is known."""
        return np.unique(self.trios[:, 1:])

    @property
    def transmitted(self) -> Ints:
        """Alleles (30, 2, 2, 603) that each trio's child got from, and did not get from, either parent.

        Axes: trio, parent, (transmitted, not transmitted), SNP. They are the two haplotypes of that parent. -1
        where the trio does not tell: all three are heterozygous, a genotype is missing, or Mendel's law is broken.
        """
        child, mother, father = (self.genotypes[self.trios[:, i]] for i in range(3))
        found = np.full((len(child), 2, 2, child.shape[1]), -1)
        # All pairs of transmitted alleles; a trio tells where exactly one of them agrees with its genotypes.
        pairs = [(a, b) for a in (0, 1) for b in (0, 1)]
        fits = np.array([_passes(mother, a) & _passes(father, b) & (child == a + b) for a, b in pairs])
        told = fits.sum(axis=0) == 1
        for (a, b), fit in zip(pairs, fits, strict=True):
            for parent, passed in enumerate((a, b)):
                whole = (mother, father)[parent]
                found[:, parent, 0][told & fit] = passed
                found[:, parent, 1][told & fit] = (whole - passed)[told & fit]
        return found


def _passes(genotypes: Ints, allele: int) -> NDArray[np.bool_]:
    """Where a parent can pass on this allele."""
    return (genotypes == 1) | (genotypes == 2 * allele)


def hapmap_trios(population: str = "CEU") -> Trios:
    """30 trios at 603 SNPs of a megabase of chromosome 22, from the HapMap project.

    Parameters
    ----------
    population : {"CEU", "YRI"}
        Utah residents with ancestry from northern and western Europe, or Yoruba in Ibadan, Nigeria.

    Raises
    ------
    ValueError
        For another population.

    Examples
    --------
    >>> people = hapmap_trios("CEU")
    >>> people.genotypes.shape, len(people.founders), bool((people.genotypes < 0).mean() < 0.02)
    ((90, 603), 60, True)
    """
    if population not in ("CEU", "YRI"):
        raise ValueError(f"population is {population!r}; it must be 'CEU' or 'YRI'.")
    people = table(f"hapmap_{population.lower()}_chr22.csv.gz")
    snps = table("hapmap_chr22_snps.csv.gz")
    samples = [row["sample"] for row in people]
    families = [row for row in table("hapmap_trios.csv") if row["population"] == population]
    return Trios(
        genotypes=np.array([[".012".index(mark) - 1 for mark in row["genotypes"]] for row in people]),
        samples=np.array(samples),
        snps=np.array([row["snp"] for row in snps]),
        alleles=np.array([row["alleles"] for row in snps]),
        positions=np.array([int(row["position"]) for row in snps]),
        trios=np.array([[samples.index(row[who]) for who in ("child", "parent_1", "parent_2")] for row in families]),
    )


@dataclass(frozen=True)
class Apoe:
    """People by genotype at the two SNPs that make the alleles e2, e3 and e4 of the gene APOE.

    Attributes
    ----------
    populations : tuple of str
        African, American, East Asian, European and South Asian samples of the 1000 Genomes Project.
    genotypes : array (9, 2) of int
        Copies of C at rs429358 and of T at rs7412.
    counts : array (5, 9) of int
        People of each population with each genotype.
    haplotypes : array (4, 2) of int
        The alleles e3, e2, e4 and e1: (0, 0), (0, 1), (1, 0) and (1, 1).
    phased : array (5, 4)
        Their frequencies where the same people were phased, to four digits.
    """

    populations: tuple[str, ...]
    genotypes: Ints
    counts: Ints
    haplotypes: Ints
    phased: Floats

    def people(self, population: str | None = None) -> Ints:
        """One row of two counts for each person (n, 2); of all populations if None.

        Examples
        --------
        >>> apoe().people("EUR").shape, apoe().people().shape
        ((503, 2), (2504, 2))
        """
        if population is None:
            return np.repeat(self.genotypes, self.counts.sum(axis=0), axis=0)
        if population not in self.populations:
            raise ValueError(f"population is {population!r}; it must be one of {', '.join(self.populations)}.")
        return np.repeat(self.genotypes, self.counts[self.populations.index(population)], axis=0)


def apoe() -> Apoe:
    """Genotypes of 2,504 people at rs429358 and rs7412, by population.

    Examples
    --------
    >>> apoe().counts.sum(axis=1).tolist()
    [661, 347, 504, 503, 489]
    """
    return Apoe(
        populations=tuple(APOE_COUNTS),
        genotypes=np.array(APOE_GENOTYPES),
        counts=np.array([counts for counts, _ in APOE_COUNTS.values()]),
        haplotypes=np.array([(0, 0), (0, 1), (1, 0), (1, 1)]),
        phased=np.array([phased for _, phased in APOE_COUNTS.values()]),
    )
