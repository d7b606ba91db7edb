"""Clusters of haplotypes; a label is two paths with jumps, and the order of alleles."""

from __future__ import annotations

import itertools

import numpy as np

from emlib.engine.latent import FloatArray
from emlib.models.phasing import ClusterModel, ClusterParams, ClusterPrior

from .base import Case


def _diplotypes(g: FloatArray) -> list[tuple[list[tuple[int, ...]], list[tuple[int, ...]], list[tuple[int, ...]]]]:
    """All that is hidden of genotypes at two sites: clusters, jumps and alleles of two haplotypes."""
    paths = [((a, b), j) for a in (0, 1) for b in (0, 1) for j in (0, 1) if j or a == b]
    orders = itertools.product(*[((0, 1), (1, 0)) if x == 1 else ((int(x) // 2,) * 2,) for x in g])
    return [
        ([z, y], [(1, j), (1, i)], list(zip(*order, strict=True)))
        for order in orders
        for (z, j), (y, i) in itertools.product(paths, repeat=2)
    ]


def _cluster_joint(X: FloatArray, params: ClusterParams) -> FloatArray:
    joint = np.full((len(X), 4 * 36), -np.inf)
    for row, g in zip(joint, X, strict=True):
        for label, (states, jumps, alleles) in enumerate(_diplotypes(g)):
            value = 0.0
            for z, j, x in zip(states, jumps, alleles, strict=True):
                for site in (0, 1):
                    r = 1.0 if site == 0 else params.jump[site - 1]
                    value += np.log(r * params.targets[site, z[site]] if j[site] else 1.0 - r)
                    one = params.ones[site, z[site]]
                    value += np.log(one if x[site] else 1.0 - one)
            row[label] = value
    return joint


def _cluster_told(g: FloatArray) -> list[float]:
    """Jumps to cluster 0, and three times the ones that cluster 1 shows."""
    adds = [0.0] * (4 * 36)
    for label, (states, jumps, alleles) in enumerate(_diplotypes(g)):
        for z, j, x in zip(states, jumps, alleles, strict=True):
            adds[label] += sum(j[s] * (z[s] == 0) + 3.0 * (z[s] == 1) * x[s] for s in (0, 1))
    return adds


CASES = [
    Case(
        "clusters of haplotypes",
        ClusterModel(),
        ClusterParams(np.array([[0.1, 0.8], [0.75, 0.2]]), np.array([[0.4, 0.6], [0.7, 0.3]]), np.array([0.3])),
        ClusterPrior(2.0, 3.0, (2.0, 4.0)),
        _cluster_joint,
        permute=lambda params, _: ClusterParams(params.ones[:, ::-1], params.targets[:, ::-1], params.jump),
        tolerance=1.0,  # nothing: two sites do not tell seven parameters; twenty do (tests/models/test_phasing.py)
        told=_cluster_told,
        counts=lambda stats: stats.jumps[:, 0].sum() + 3.0 * stats.shown[1, :, 1].sum(),
        ties=np.log(4.0),  # the two haplotypes and, in one cluster, the two alleles may change places
        few=2,
    )
]
