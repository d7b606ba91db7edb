"""Tomography; a row is an exposure, a label a pixel."""

from __future__ import annotations

import numpy as np
from scipy import stats as dist

from emlib.engine import families as f
from emlib.engine.latent import FloatArray
from emlib.models.tomography import Emission, EmissionParams

from .base import Case

SYSTEM = np.array([[0.5, 0.1, 0.0], [0.2, 0.3, 0.1], [0.0, 0.4, 0.1], [0.1, 0.0, 0.5]])


def _photons(X: FloatArray, params: EmissionParams) -> FloatArray:
    """A row for each photon, those of a detector together."""
    mean = SYSTEM @ params.image
    with np.errstate(divide="ignore"):
        joint = np.repeat(np.log(SYSTEM * params.image), X.sum(axis=0).astype(int), axis=0)
    joint[0] += (dist.poisson(mean).logpmf(X) - X * np.log(mean)).sum()  # all but what each photon says
    return joint


CASES = [
    Case(
        "tomography",
        Emission.of(SYSTEM),
        EmissionParams(np.array([0.4, 0.25, 0.35])),
        f.GammaPrior(2.0, 1.5),
        _photons,
        permute=None,
    )
]
