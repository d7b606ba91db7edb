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
from scipy.special import betaln, digamma, logsumexp

from ...engine.em import Degenerate
from ...engine.latent import FloatArray
from .model import TINY, MotifModel, MotifParams, MotifPrior, MotifStats, log_evidence

RATE = (4.0, 2.0)  # beta prior of the share of sequences that have a site
START = 20.0  # sites that a start is taken for

# Fitted to 895 matrices of JASPAR 2022 that are not of vertebrates (6 to 20 columns, 8 to 17 bits): the Dirichlet
# parameters of a letter in sharp and in vague columns, and how many are vague, by distance from the nearer end.
SHARP, VAGUE = 0.34, 4.7
ENDS = np.array([0.58, 0.40, 0.18, 0.05])


@dataclass(frozen=True)
class KnownColumns:
    """What the columns of known motifs look like: some sharp, some vague, and these at the ends mostly.

    A mixture of Dirichlet priors for each column, conjugate as one of them is: letters make it another mixture.

    Parameters
    ----------
    shapes : array (K, 4)
        Dirichlet parameters of K kinds of columns.
    shares : array (D, K)
        How common they are at a distance of 0, 1, ... columns from the nearer end of the motif (the last line stands
        for all that are farther away).
    rate : tuple
        Beta prior of the rate; 1 is flat.
    """

    shapes: FloatArray
    shares: FloatArray
    rate: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def of(cls, prior: MotifPrior | None) -> KnownColumns:
        """One kind of column."""
        if prior is None:
            return cls(np.ones((1, 4)), np.ones((1, 1)))
        return cls(prior.letters[None], np.ones((1, 1)), prior.rate)

    def kinds(self, letters: FloatArray, distance: Any) -> FloatArray:
        """Log evidence of columns of letters (..., 4) as each kind there is at that distance (...), (..., K)."""
        each = log_evidence(letters[..., None, :], self.shapes)
        with np.errstate(divide="ignore"):
            return np.asarray(each + np.log(self.shares)[np.minimum(distance, len(self.shares) - 1)])

    def log_evidence(self, letters: FloatArray, distance: Any) -> FloatArray:
        """Of columns of letters (..., 4), in some order."""
        return np.asarray(logsumexp(self.kinds(letters, distance), axis=-1))

    def expected_log(self, letters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """E[log column] (..., w, 4) over the posteriors of the columns of a motif, and their log evidence (..., w)."""
        each = self.kinds(letters, _from_end(letters.shape[-2]))
        total = logsumexp(each, axis=-1, keepdims=True)
        shapes = letters[..., None, :] + self.shapes
        logs = digamma(shapes) - digamma(shapes.sum(axis=-1, keepdims=True))
        return (np.exp(each - total)[..., None] * logs).sum(axis=-2), total[..., 0]

    def mean(self, letters: FloatArray) -> FloatArray:
        """E[column] (..., w, 4)."""
        each = self.kinds(letters, _from_end(letters.shape[-2]))
        shapes = letters[..., None, :] + self.shapes
        means = shapes / shapes.sum(axis=-1, keepdims=True)
        return np.asarray((np.exp(each - logsumexp(each, axis=-1, keepdims=True))[..., None] * means).sum(axis=-2))


def _from_end(w: int) -> Any:
    at = np.arange(w)
    return np.minimum(at, w - 1 - at)


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
        return self._folded(stats.letters) * (2.0 if self.palindrome else 1.0)

    def _worth(self, letters: FloatArray, log_columns: FloatArray, evidence: FloatArray) -> FloatArray:
        """Log evidence of the letters, less what they are worth under these columns."""
        each = evidence - (letters * log_columns).sum(axis=-1)
        return np.asarray(each.sum(axis=-1) / (2.0 if self.palindrome else 1.0))

    def evidence(self, params: MotifParams, stats: MotifStats, prior: Any) -> FloatArray:
        """Lower bound of the log evidence: the objective after the next M-step, the rate averaged over too."""
        letters = self._letters_seen(stats)
        each = _known(prior).log_evidence(letters, _from_end(letters.shape[-2]))
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


def averaging_prior(model: MotifModel) -> KnownColumns:
    """What known motifs look like; of a rate for every position nothing is said."""
    shapes = np.array([[SHARP] * 4, [VAGUE] * 4])
    rate = (1.0, 1.0) if model.occurrences == "anr" else RATE
    return KnownColumns(shapes, np.stack([1.0 - ENDS, ENDS], axis=1), rate)


def best_run(letters: FloatArray, log_letters: FloatArray, prior: KnownColumns, widths: tuple[int, int]) -> Any:
    """First column and width of the run of columns (W, 4) that is expected to lie best on the motif.

    Every run of an allowed width is as probable beforehand; afterwards it is as probable as its letters are inside of a
    motif, against the background (`log_letters`, (W,), of those in each column). The choice is not the most probable
    run but the one whose overlap with the motif, over the root of both widths, is greatest on average.
    """
    W = len(letters)
    worth = np.stack([prior.log_evidence(letters, d) - log_letters for d in range(len(prior.shares))], axis=1)
    first, width, value = [], [], []
    for w in range(min(widths[0], W), min(widths[1], W) + 1):
        begins = np.arange(W - w + 1)
        first.append(begins)
        width.append(np.full(len(begins), w))
        value.append(worth[begins[:, None] + np.arange(w), np.minimum(_from_end(w), len(prior.shares) - 1)].sum(axis=1))
    a, w, v = np.concatenate(first), np.concatenate(width), np.concatenate(value)
    some = v > v.max() - 7.0
    a, w, p = a[some], w[some], np.exp(v[some] - v.max())
    overlap = np.minimum(a[:, None] + w[:, None], a + w) - np.maximum(a[:, None], a)
    expected = (np.maximum(overlap, 0) / np.sqrt(w[:, None] * w)) @ p
    best = int(expected.argmax())
    return int(a[best]), int(w[best])
