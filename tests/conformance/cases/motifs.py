"""Motifs; a row is a sequence, a label its places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from emlib.engine.latent import FloatArray
from emlib.models.motifs import Background, MotifModel, MotifParams, MotifPrior
from emlib.models.motifs.averaged import AveragedParams, averaged
from emlib.models.motifs.columns import KnownColumns

from .base import Case


def _placements(L: int, w: int, signs: tuple[int, ...], t: int = 0) -> list[list[tuple[int, int]]]:
    """All placements of sites that do not overlap."""
    if t > L - w:
        return [[]]
    found = _placements(L, w, signs, t + 1)
    for sign in signs:
        found = found + [[(t, sign), *rest] for rest in _placements(L, w, signs, t + w)]
    return found


def _labels(model: MotifModel, L: int, w: int) -> list[list[tuple[int, int]]]:
    signs = (1,) if model.strands == "+" else (1, -1)
    if model.occurrences == "anr":
        return _placements(L, w, signs)
    places = [[(t, sign)] for t in range(L - w + 1) for sign in signs]
    return places if model.occurrences == "oops" else [[], *places]


def _motif_joint(model: MotifModel) -> Callable[[FloatArray, Any], FloatArray]:
    """Term by term: letters of the background, letters of the sites, the prior of the places."""

    def log_joint(X: FloatArray, params: MotifParams) -> FloatArray:
        w, signs = len(params.pwm), 1 if model.strands == "+" else 2
        joint = []
        for x in np.asarray(X, dtype=int):
            letters, m, row = model.background.log_probability(x[None])[0], len(x) - w + 1, []
            for sites in _labels(model, len(x), w):
                value, inside = letters.sum(), set()
                for t, sign in sites:
                    word = x[t : t + w] if sign == 1 else 3 - x[t : t + w][::-1]
                    value += np.log(params.pwm[range(w), word]).sum() - letters[t : t + w].sum() - np.log(signs)
                    inside |= set(range(t, t + w))
                if model.occurrences != "anr":
                    value -= len(sites) * np.log(m)
                if model.occurrences == "zoops":
                    value += np.log(params.rate if sites else 1.0 - params.rate)
                if model.occurrences == "anr":
                    missed = len([t for t in range(m) if t not in inside])
                    value += len(sites) * np.log(params.rate) + missed * np.log1p(-params.rate)
                row.append(value)
            joint.append(row)
        return np.array(joint)

    return log_joint


def _motif(
    name: str, occurrences: str, strands: str, pwm: FloatArray, rate: float, length: int, tolerance: float
) -> Case:
    model = MotifModel(occurrences, strands, Background.given([0.31, 0.22, 0.18, 0.29]), length=length)
    return Case(
        name,
        model,
        MotifParams(pwm, rate),
        MotifPrior(np.array([2.0, 1.5, 1.7, 2.2]), (2.0, 3.0)),
        _motif_joint(model),
        permute=None,
        tolerance=tolerance,
        told=lambda row: [float(len(sites)) for sites in _labels(model, len(row), len(pwm))],
        counts=lambda stats: stats.sites,
    )


# In a few letters it is hard to tell whether there is a site at all; where columns are vague the best rate is 1.
VAGUE = np.array([[0.76, 0.08, 0.06, 0.1], [0.11, 0.13, 0.66, 0.1], [0.07, 0.1, 0.09, 0.74]])
CLEAR = np.array([[0.79, 0.07, 0.06, 0.08], [0.06, 0.08, 0.8, 0.06], [0.07, 0.78, 0.08, 0.07], [0.08, 0.06, 0.8, 0.06]])
CASES = [
    _motif("motif, oops", "oops", "+", VAGUE, 1.0, length=8, tolerance=0.12),
    _motif("motif, zoops, both strands", "zoops", "both", CLEAR, 0.6, length=7, tolerance=0.12),
    _motif("motif, anr, both strands", "anr", "both", CLEAR, 0.15, length=8, tolerance=0.12),
]

# Posteriors instead of parameters.
KNOWN = KnownColumns(np.array([[0.5, 0.4, 0.4, 0.5], [4.0] * 4]), np.array([[0.5, 0.5], [0.8, 0.2]]), (2.0, 3.0))
CASES += [
    replace(
        case,
        name=case.name.replace("motif,", "motif averaged,"),
        model=averaged(case.model),
        params=AveragedParams(case.params.pwm, case.params.rate),
        prior=KNOWN,
        averaged=True,
    )
    for case in CASES
    if case.name.startswith("motif, ")
]
