"""What passes between E-step and M-step of the model of annotators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...engine.latent import FloatArray


@dataclass(frozen=True)
class AnnotatorParams:
    """Class shares (G, K), one row for each group of items, and error rates (J, K, K): annotator, truth, label."""

    prevalence: FloatArray
    confusion: FloatArray

    @property
    def weights(self) -> FloatArray:
        """Class shares (K,) of the first group."""
        return np.asarray(self.prevalence[0])


@dataclass(frozen=True)
class AnnotatorStats:
    """Expected items of each group and class (G, K), and ratings of each annotator, class and label (J, K, K)."""

    counts: FloatArray
    ratings: FloatArray

    def __add__(self, other: AnnotatorStats) -> AnnotatorStats:
        return AnnotatorStats(self.counts + other.counts, self.ratings + other.ratings)


@dataclass(frozen=True)
class AnnotatorPrior:
    """Dirichlet priors (1 is flat) on class shares and every row of error rates: numbers, or arrays of their shapes."""

    prevalence: float | FloatArray = 1.0
    confusion: float | FloatArray = 1.0
