"""Motifs whose columns are not known: averaged over instead of estimated.

A column seen in thirty sites is known only roughly, and EM takes it for exact: letters that were never seen become
impossible, windows that look like the sites by chance agree with columns they have themselves helped to make, and too
many of them are believed. Variational Bayes is EM with another M: what the E-step multiplies are no longer the columns
but ``exp E[log column]`` over their Dirichlet posteriors,

    a = letters + alpha,     log column -> digamma(a) - digamma(sum of a),

which fall short of probabilities by as much as is not known. The objective, a lower bound of the log evidence, climbs;
it charges for columns, so that motifs of different widths can be compared by it.

References
----------
Attias (1999), *UAI* 15; Xing, Wu, Jordan & Karp (2003), *NIPS* 16, for motifs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import betaln

from ...engine.em import Degenerate
from ...engine.latent import FloatArray
from .columns import KnownColumns, from_end
from .model import TINY, MotifModel, MotifParams, MotifPrior, MotifStats

START = 20.0  # sites that a start is taken for


@dataclass(frozen=True)
class AveragedParams(MotifParams):
    """Expected log columns, as ``pwm`` that sums to less than one, and the point estimate of the rate.

    `divergence` is the Kullback-Leibler divergence of the columns' posteriors from their priors, in nats.
    """

    divergence: Any = 0.0


@dataclass(frozen=True)
class AveragedMotifs(MotifModel):
    """`MotifModel` with its columns averaged over; the M-step needs a prior.

    Examples
    --------
    Ten sites, all A, and a flat prior: the letter is not certain, and the others are not impossible.

    >>> stats = MotifStats(np.array([[10.0, 0, 0, 0]]), 10.0, 0.0, 0.0)
    >>> AveragedMotifs().m_step(stats, MotifPrior(np.ones(4))).pwm.round(3).tolist()
    [[0.778, 0.042, 0.042, 0.042]]
    """

    def _check(self, many: MotifParams) -> None:
        fine = (many.pwm >= 0).all() and (many.pwm.sum(axis=2) <= 1.0 + 1e-6).all()
        if not (fine and (np.asarray(many.rate) >= 0).all() and (np.asarray(many.rate) <= 1).all()):
            raise Degenerate("the motif has columns or a rate that are no probabilities.")

    def m_step(self, stats: MotifStats, prior: Any = None) -> AveragedParams:
        """Posteriors of the columns; the best rate."""
        letters, known = self._letters_seen(stats), _known(prior)
        log_columns, each = known.expected_log(letters)
        pwm = np.exp(log_columns)
        divergence = -self._worth(letters, log_columns, each)
        return AveragedParams(pwm, self._rate(stats, prior), divergence)

    def log_prior(self, params: MotifParams, prior: Any) -> float:
        """Of the rate, less the divergence of the columns."""
        flat = MotifPrior(np.ones(4), prior.rate)
        return super().log_prior(params, flat) - float(np.sum(getattr(params, "divergence", 0.0)))

    def project(self, params: MotifParams) -> MotifParams:
        """None: between posteriors there is no line along which their divergence is known."""
        raise ValueError("columns that are averaged over cannot be extrapolated; fit them with accelerate=None.")

    def _letters_seen(self, stats: MotifStats) -> FloatArray:
        """Of a palindrome a letter counts for its column and, turned, for the other one of the pair."""
        return self.folded(self._under(stats.letters)) * (2.0 if self.palindrome else 1.0)

    def _worth(self, letters: FloatArray, log_columns: FloatArray, evidence: FloatArray) -> FloatArray:
        """Log evidence of the letters, less what they are worth under these columns."""
        each = evidence - (letters * log_columns).sum(axis=-1)
        return np.asarray(each.sum(axis=-1) / (2.0 if self.palindrome else 1.0))

    def evidence(self, params: MotifParams, stats: MotifStats, prior: Any) -> FloatArray:
        """Lower bound of the log evidence: the objective after the next M-step, the rate averaged over too."""
        letters = self._letters_seen(stats)
        each = _known(prior).log_evidence(letters, from_end(letters.shape[-2]))
        value = np.asarray(stats.values + self._worth(letters, np.log(np.maximum(params.pwm, TINY)), each))
        if self.occurrences == "oops":
            return value
        rate, (a, b) = np.asarray(params.rate), prior.rate
        at_rate = stats.sites * np.log(np.maximum(rate, TINY)) + stats.missed * np.log(np.maximum(1.0 - rate, TINY))
        return np.asarray(value - at_rate + betaln(stats.sites + a, stats.missed + b) - betaln(a, b))

    def begin(self, pwm: FloatArray, rate: FloatArray, prior: Any) -> AveragedParams:
        """Matrices (S, w, 4) as if they had been seen in some sites."""
        zeros = np.zeros(len(pwm))
        seen = self.m_step(MotifStats(START * pwm, zeros, zeros, zeros), prior)
        return replace(seen, rate=np.asarray(rate, dtype=float))

    def posterior_mean(self, stats: MotifStats, prior: Any) -> FloatArray:
        """The columns (w, 4) that one would bet on."""
        return _known(prior).mean(self._letters_seen(stats))


def _known(prior: MotifPrior | KnownColumns | None) -> KnownColumns:
    return prior if isinstance(prior, KnownColumns) else KnownColumns.of(prior)


def averaged(model: MotifModel, **changes: Any) -> AveragedMotifs:
    """The same model with its columns averaged over."""
    same = {name: getattr(model, name) for name in model.__dataclass_fields__}
    return AveragedMotifs(**(same | changes))
