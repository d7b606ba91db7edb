"""Correct and incorrect matches under one heap of scores: one E and one M, with rows whose label is known.

A match to a target peptide is correct or not, and nobody sees which. A match to a decoy, which exists nowhere, is
incorrect for certain. So decoys are rows with a known label: their responsibility never changes, and the incorrect
component is held where they are (eq. 13.2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import xlogy

from ...engine.blocks import as_rows
from ...engine.em import EPS, Degenerate
from ...engine.families.base import dirichlet
from ...engine.latent import SOFT, FloatArray, Latent, assign
from .matches import MatchParams, MatchPrior, MatchStats
from .shapes import GaussianShape, Shape

LEAST_SHARE = 1e-12  # of a weight that a jump made negative


@dataclass(frozen=True)
class ScoreModel:
    """The model; implements `engine.em.Model`. Data are rows (n, 2): the score, and 1 for a decoy, 0 for a target.

    With `competition` the number of decoys is evidence too: an incorrect match was a target or a decoy with equal
    probability (eq. 13.5). A correct component narrower than `floor` sits on a single score.

    References
    ----------
    Keller et al. (2002), *Analytical Chemistry* 74; Choi & Nesvizhskii (2008), *Journal of Proteome Research* 7, for
    decoys as rows of known label.

    Examples
    --------
    >>> from emlib.engine import em
    >>> rows = np.array([[0.0, 1], [2, 1], [1, 0], [0.5, 0], [1.5, 0], [8, 0], [9, 0], [10, 0]])
    >>> start = MatchParams(np.array([0.5, 0.5]), np.array([1.0, 1.0]), np.array([9.0, 1.0]))
    >>> em.fit(ScoreModel(), rows, start).params.weights.round(3).tolist()
    [0.5, 0.5]
    """

    incorrect: Shape = field(default_factory=GaussianShape)
    correct: Shape = field(default_factory=GaussianShape)
    competition: bool = False
    floor: float = 0.0

    def e_step(self, data: Any, params: MatchParams, latent: Latent = SOFT) -> tuple[MatchStats, float]:
        """Responsibilities of the targets (eq. 13.3), those of decoys as they are; the log-likelihood (eq. 13.2)."""
        rows = as_rows(data)
        x, target = np.asarray(rows.X[:, 0], dtype=float), rows.X[:, 1] == 0
        if not (params.weights >= 0).all():
            raise Degenerate(f"a weight is {params.weights.min():g}; weights must not be negative.")
        if self.incorrect.names:
            incorrect = self.incorrect.log_density(x, params.incorrect)
        else:  # a density that no step changes
            incorrect = rows.once(id(self.incorrect), lambda r: self.incorrect.log_density(x, params.incorrect))
        joint = np.stack([incorrect[target], self.correct.log_density(x[target], params.correct)])
        known, r = float(incorrect[~target].sum()), np.ones(len(x))
        with np.errstate(divide="ignore"):
            joint += np.log(params.weights)[:, None]
            if self.competition:
                known += float((~target).sum() * np.log(params.weights[0]) - len(x) * np.log1p(params.weights[0]))
        noise = 4 * EPS * (float(np.abs(joint[0]).sum()) + abs(known))
        value = float(assign(joint, latent))
        r[target] = joint[0]
        of_incorrect, of_correct = self.incorrect.statistics(x, r), self.correct.statistics(x[target], joint[1])
        noise += 4 * EPS * self.incorrect.cancelled(of_incorrect, params.incorrect)
        noise += 4 * EPS * self.correct.cancelled(of_correct, params.correct)
        counts, decoys = joint.sum(axis=1), float(len(x) - target.sum())
        stats = MatchStats(counts, decoys, of_incorrect, of_correct, noise if np.isfinite(noise) else 0.0)
        return stats, value + known

    def m_step(self, stats: MatchStats, prior: MatchPrior | None = None) -> MatchParams:
        """Shares among the targets (eq. 13.4; in a competition 13.5), and each shape's own best parameters."""
        rows, incorrect, correct = self._rows(stats), stats.incorrect, stats.correct
        if prior is not None:
            rows = np.maximum(rows + prior.rows - 1.0, 0.0)
            incorrect, correct = incorrect + prior.incorrect, correct + prior.correct
        if not rows.sum() > 0:
            raise Degenerate("there is no target.")
        return MatchParams(self._weights(rows), self.incorrect.maximise(incorrect), self.correct.maximise(correct))

    def _rows(self, stats: MatchStats) -> FloatArray:
        """The rows (2,) that tell of the weights."""
        return stats.counts if self.competition else stats.targets

    def _weights(self, rows: FloatArray) -> FloatArray:
        """Shares among the targets; in a competition half of what is incorrect are targets."""
        targets = rows * [0.5, 1.0] if self.competition else rows
        return np.asarray(targets / targets.sum())

    def flaw(self, params: MatchParams, stats: MatchStats) -> str:
        """A correct component that has shrunk onto a score, or holds nothing."""
        if len(params.correct) and params.correct[1] < self.floor:
            return "the correct component sits on a single score; there may be no correct matches."
        return ""

    def prior(self, rows: Any, incorrect: Any, correct: Any) -> MatchPrior:
        """Pseudo-matches: Dirichlet parameters (2,) of the shares of rows, and scores as if seen, of either kind."""
        return MatchPrior(
            np.asarray(rows, dtype=float),
            self.incorrect.statistics(np.asarray(incorrect, dtype=float), np.ones(len(incorrect))),
            self.correct.statistics(np.asarray(correct, dtype=float), np.ones(len(correct))),
        )

    def log_prior(self, params: MatchParams, prior: MatchPrior) -> float:
        """What the pseudo-matches would add to the log-likelihood."""
        rows = params.weights * ([2.0, 1.0] if self.competition else [1.0, 1.0])
        shares = float(xlogy(prior.rows - 1.0, rows / rows.sum()).sum())
        first = self.incorrect.expected(prior.incorrect, params.incorrect)
        return shares + first + self.correct.expected(prior.correct, params.correct)

    def draw(self, stats: MatchStats, prior: MatchPrior, rng: np.random.Generator, current: Any = None) -> MatchParams:
        """Shares and shapes from their posteriors."""
        return MatchParams(
            self._weights(dirichlet(self._rows(stats) + prior.rows, rng)),
            self.incorrect.draw(stats.incorrect + prior.incorrect, rng),
            self.correct.draw(stats.correct + prior.correct, rng),
        )

    def simulate(self, params: MatchParams, n: int, rng: np.random.Generator) -> FloatArray:
        """`n` matches of a search in which decoys compete: an incorrect match is a target or a decoy alike."""
        p = params.weights[0] / (1.0 + params.weights[0])
        kind = rng.choice(3, size=n, p=[p, 1.0 - 2.0 * p, p])  # incorrect, correct, decoy
        incorrect = self.incorrect.sample(params.incorrect, n, rng)
        scores = np.where(kind == 1, self.correct.sample(params.correct, n, rng), incorrect)
        return np.column_stack([scores, kind == 2])

    def project(self, params: MatchParams) -> MatchParams:
        """Weights above zero that sum to one."""
        weights = np.maximum(params.weights, LEAST_SHARE)
        return MatchParams(weights / weights.sum(), params.incorrect, params.correct)
