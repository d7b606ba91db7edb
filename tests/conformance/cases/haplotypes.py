"""Haplotypes; a label is a pair of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from emlib.engine import families as f
from emlib.engine.blocks import Rows
from emlib.engine.latent import FloatArray
from emlib.models.haplotypes import HaplotypeModel, HaplotypeParams

from .base import Case


class Genotyped(Case):
    """Pairs of alleles have an axis more than a table."""

    def laid_out(self, data: Any) -> Any:
        return Rows(data) if data.ndim == 2 else data


def _all_pairs(H: int) -> list[tuple[int, int]]:
    return list(itertools.combinations_with_replacement(range(H), 2))


def _diplotype_joint(model: HaplotypeModel) -> Callable[[FloatArray, Any], FloatArray]:
    """Each pair of haplotypes, locus by locus: does it look like the genotype?"""

    def fits(seen: Any, x: int, y: int) -> bool:
        if np.ndim(seen) == 0:
            return seen < 0 or seen == x + y
        known = sorted(a for a in seen if a >= 0)
        return any(known == sorted(some) for some in ([], [x], [y], [x, y]) if len(some) == len(known))

    def log_joint(X: FloatArray, params: HaplotypeParams) -> FloatArray:
        p, h = params.frequencies, model.haplotypes
        pairs = _all_pairs(len(h))
        joint = np.full((len(X), len(pairs)), -np.inf)
        for i, row in enumerate(X):
            for k, (a, b) in enumerate(pairs):
                if all(fits(seen, x, y) for seen, x, y in zip(row, h[a], h[b], strict=True)):
                    joint[i, k] = np.log(p[a] * p[b] * (1 if a == b else 2))
        return joint

    return log_joint


def _haplotypes(name: str, haplotypes: list[tuple[int, ...]], p: list[float]) -> Case:
    model, H = HaplotypeModel(np.array(haplotypes), missing=0.1), len(p)
    adds = [(np.eye(H)[a] + np.eye(H)[b]).tolist() for a, b in _all_pairs(H)]
    return Genotyped(
        name,
        model,
        HaplotypeParams(np.array(p)),
        f.DirichletPrior(np.linspace(1.5, 3.0, H)),
        _diplotype_joint(model),
        permute=None,
        told=lambda row: adds,
        counts=lambda stats: stats.counts,
    )


CASES = [
    _haplotypes("haplotypes, two SNPs", [(0, 0), (0, 1), (1, 0), (1, 1)], [0.43, 0.13, 0.17, 0.27]),
    _haplotypes("haplotypes, three alleles", [(0, 0), (1, 2), (2, 1), (2, 0), (1, 0)], [0.31, 0.25, 0.2, 0.14, 0.1]),
]
