"""What passes between E-step and M-step of the model of annotators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...engine.latent import FloatArray
from ..checks import as_numbers


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
    """Expected items of each group and class (G, K), and ratings of each annotator, class and label (J, K, K).

    `noise` bounds the rounding error of the log-likelihood computed in the same pass.
    """

    counts: FloatArray
    ratings: FloatArray
    noise: float = 0.0

    def __add__(self, other: AnnotatorStats) -> AnnotatorStats:
        return AnnotatorStats(self.counts + other.counts, self.ratings + other.ratings, self.noise + other.noise)


@dataclass(frozen=True)
class AnnotatorPrior:
    """Dirichlet priors (1 is flat) on class shares and every row of error rates: numbers, or arrays of their shapes."""

    prevalence: float | FloatArray = 1.0
    confusion: float | FloatArray = 1.0

    def check(self, G: int, J: int, K: int) -> None:
        """Refuse numbers that do not fit, or below 1, where the posterior is infinite at rates of 0."""
        for name, shape in (("prevalence", (G, K)), ("confusion", (J, K, K))):
            given = as_numbers(f"prior.{name}", getattr(self, name))
            if given.shape not in [shape[i:] for i in range(len(shape) + 1)]:
                raise ValueError(f"prior.{name} has the shape {given.shape}; a number or the shape {shape} is needed.")
            if not ((given >= 1) & np.isfinite(given)).all():
                raise ValueError(
                    f"prior.{name} holds {given[~((given >= 1) & np.isfinite(given))].flat[0]:g}; 1 is the least."
                )
