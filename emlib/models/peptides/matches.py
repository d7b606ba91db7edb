"""Parameters of the score mixture, its statistics, and pseudo-matches as a prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.latent import FloatArray


@dataclass(frozen=True)
class MatchParams:
    """Shares (2,) of incorrect and correct matches among the targets; parameters of the two shapes."""

    weights: FloatArray
    incorrect: FloatArray
    correct: FloatArray


@dataclass(frozen=True)
class MatchStats:
    """Expected incorrect and correct targets (2,), decoys, and the statistics of both shapes, decoys included.

    `noise` bounds the rounding error of the log-likelihood computed in the same pass.
    """

    targets: FloatArray
    decoys: float
    incorrect: Any
    correct: Any
    noise: float = 0.0

    @property
    def counts(self) -> FloatArray:
        """Expected rows (2,) of either kind."""
        return np.array([self.targets[0] + self.decoys, self.targets[1]])

    def __add__(self, other: MatchStats) -> MatchStats:
        return MatchStats(
            self.targets + other.targets,
            self.decoys + other.decoys,
            self.incorrect + other.incorrect,
            self.correct + other.correct,
            self.noise + other.noise,
        )


@dataclass(frozen=True)
class MatchPrior:
    """As if `rows` - 1 (2,) matches of either kind had been seen, and these statistics of scores (`ScoreModel.prior`).

    The rows are targets; in a competition decoys count among the incorrect ones.
    """

    rows: FloatArray
    incorrect: Any
    correct: Any
