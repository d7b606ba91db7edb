"""Counting genes that cannot be seen: allele frequencies from phenotypes, and from a few reads.

The people of blood group A have genotype AA or AO, and nobody can see which. What can be seen through a handful of
reads is a likelihood for each genotype. Both are the same model: genes that meet at random, and genotypes that are
hidden.
"""

from .estimator import GeneCounting, HardyWeinbergTest
from .model import GeneParams, GeneStats, GenotypeLikelihoods, People, PhenotypeCounts
from .reading import genotype_log_likelihoods
from .schemes import SYSTEMS, PossibleGenotypes, Scheme, read_scheme

__all__ = [
    "SYSTEMS",
    "GeneCounting",
    "GeneParams",
    "GeneStats",
    "GenotypeLikelihoods",
    "HardyWeinbergTest",
    "People",
    "PhenotypeCounts",
    "PossibleGenotypes",
    "Scheme",
    "genotype_log_likelihoods",
    "read_scheme",
]
