"""Transcripts; a row is a fragment of a class."""

from __future__ import annotations

import itertools

import numpy as np

from emlib.engine import families as f
from emlib.engine.latent import FloatArray
from emlib.models.transcripts import EquivalenceClasses, TranscriptModel, TranscriptParams

from .base import Case
from .mixtures import THREE


class Fragments(Case):
    """A case whose data are equivalence classes, of one fragment each."""

    def laid_out(self, data: EquivalenceClasses) -> EquivalenceClasses:
        """As they are."""
        return data

    def table(self, data: EquivalenceClasses) -> FloatArray:
        """How many fragments in each class."""
        return data.counts


def _transcripts(X: EquivalenceClasses, params: TranscriptParams) -> FloatArray:
    """Row by row from a table of p(class | transcript), 0 for transcripts that are not of the class."""
    joint = np.full((len(X), len(params.shares)), -np.inf)
    for i, (a, b) in enumerate(itertools.pairwise(X.starts)):
        for m in range(a, b):
            joint[i, X.members[m]] = np.log(X.weights[m] * params.shares[X.members[m]])
    return joint


# columns sum to one, so that classes can be drawn
SEEN_AS = EquivalenceClasses.of(
    [[0], [1], [0, 1], [1, 2], [0, 1, 2], [2]],
    np.ones(6),
    weights=[[0.4], [0.2], [0.5, 0.3], [0.35, 0.25], [0.1, 0.15, 0.3], [0.45]],
)
CASES = [
    Fragments(
        "transcripts",
        TranscriptModel(SEEN_AS),
        TranscriptParams(THREE),
        f.DirichletPrior(np.array([2.0, 3.0, 1.5])),
        _transcripts,
        permute=None,
        tolerance=0.05,
    )
]
