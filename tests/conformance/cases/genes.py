"""Genes and linkage; a label is a genotype, or the cell of an offspring."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np
from scipy import stats as dist

from emlib.engine import families as f
from emlib.engine.latent import FloatArray
from emlib.models.gene_counting import GeneParams, GenotypeLikelihoods, PhenotypeCounts, PossibleGenotypes, read_scheme
from emlib.models.linkage import Linkage, LinkageParams

from .base import Case


def _linkage(X: FloatArray, params: LinkageParams) -> FloatArray:
    """A row for each offspring, all of the same cell together; only the first cell has two kinds."""
    t = params.theta
    other = np.log([(1 - t) / 4, (1 - t) / 4, t / 4])
    kinds = np.array([np.log([0.5, t / 4]), *([p, -np.inf] for p in other)])
    joint = np.repeat(kinds, X.sum(axis=0).astype(int), axis=0)
    orders = [dist.multinomial(row.sum(), [0.25] * 4).logpmf(row) + row.sum() * np.log(4) for row in X]
    joint[0] += sum(orders)  # in how many orders the same counts could have come
    return joint


def _ordered_pairs(penetrances: dict[tuple[int, int], list[float]]) -> Callable[[FloatArray, Any], FloatArray]:
    """A row for each person; penetrances by allele pairs in order. Mother's gene, father's gene, phenotype."""

    def log_joint(X: FloatArray, params: GeneParams) -> FloatArray:
        p, K = params.frequencies, len(params.frequencies)
        joint = np.zeros((X.shape[1], len(penetrances)))
        for g, pair in enumerate(itertools.combinations_with_replacement(range(K), 2)):
            ways = {pair, pair[::-1]}
            joint[:, g] = sum(p[a] * p[b] for a, b in ways) * np.array(penetrances[pair])
        with np.errstate(divide="ignore"):
            rows = np.log(joint)
        return np.vstack([np.repeat(rows, row.astype(int), axis=0) for row in X])

    return log_joint


ABO = {(0, 0): 0, (0, 1): 0, (0, 2): 2, (1, 1): 3, (1, 2): 1, (2, 2): 1}  # alleles A, O, B; phenotypes A, B, AB, O
SEVERITY = {"severe": {"aa": 0.7}, "mild": {"aa": 0.3, "aA": 0.4}, "well": {"aA": 0.6, "AA": 1.0}}
CASES = [
    Case(
        name,
        PhenotypeCounts.of(read_scheme(scheme)),
        GeneParams(np.array(frequencies)),
        f.DirichletPrior(2.5),
        _ordered_pairs(penetrances),
        permute=None,
        counts=attrgetter("genotypes"),
    )
    for name, scheme, frequencies, penetrances in [
        ("genes, ABO", "ABO", [0.3, 0.5, 0.2], {pair: np.eye(4)[s].tolist() for pair, s in ABO.items()}),
        (
            "genes, penetrance",
            SEVERITY,
            [0.6, 0.4],
            {(0, 0): [0.7, 0.3, 0.0], (0, 1): [0.0, 0.4, 0.6], (1, 1): [0.0, 0.0, 1.0]},
        ),
    ]
]


def _two_sites(free: bool) -> Callable[[FloatArray, Any], FloatArray]:
    """Nine labels a person: a genotype at either site."""

    def log_joint(X: FloatArray, params: GeneParams) -> FloatArray:
        p = params.frequencies
        prior = p if free else np.array([dist.binom(2, q).pmf([0, 1, 2]) for q in p[:, 1]])
        sites = X.reshape(len(X), 2, 3) + np.log(prior)
        return (sites[:, 0, :, None] + sites[:, 1, None, :]).reshape(len(X), 9)

    return log_joint


CASES += [
    Case(
        name,
        GenotypeLikelihoods(*genotypes),
        GeneParams(np.array(frequencies)),
        f.DirichletPrior(2.5),
        _two_sites(bool(genotypes)),
        permute=None,
        told=lambda row: np.array([np.eye(6)[a] + np.eye(6)[3 + b] for a in range(3) for b in range(3)]),
        counts=lambda stats: stats.genotypes.ravel(),
    )
    for name, genotypes, frequencies in [
        ("genes, reads at two sites", (), [[0.7, 0.3], [0.45, 0.55]]),
        ("genes, reads without Hardy-Weinberg", (PossibleGenotypes.free(3),), [[0.5, 0.2, 0.3], [0.3, 0.4, 0.3]]),
    ]
]

CASES += [
    Case(
        "linkage",
        Linkage(total=3),
        LinkageParams(0.6),
        f.BetaPrior(3.0, 2.0),
        _linkage,
        permute=None,
        counts=lambda stats: np.array([stats.cells.sum() - stats.cells[1], stats.cells[1]]),
    ),
]
