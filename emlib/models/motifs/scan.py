"""Where a motif occurs in sequences, by exact p-values of its score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.latent import FloatArray
from .motif import Motif, Site
from .sequences import encode

BINS = 1000  # steps of the score in one column's range


@dataclass(frozen=True)
class ScoreTable:
    """The exact distribution of a motif's score, rounded to whole steps, in background of order 0.

    Attributes
    ----------
    scores : array (w, 4) of int
        Log-odds in steps, the smallest of each column 0.
    tail : array
        ``tail[s]`` is the probability of a score of s or more.
    step : float
        Nats.
    """

    scores: Any
    tail: FloatArray
    step: float

    @classmethod
    def of(cls, pwm: FloatArray, frequencies: FloatArray) -> ScoreTable:
        """By convolution, column after column (Staden 1989).

        Examples
        --------
        >>> table = ScoreTable.of(np.array([[0.97, 0.01, 0.01, 0.01]] * 3), np.full(4, 0.25))
        >>> float(table.tail[-1])  # AAA alone
        0.015625
        """
        odds = np.log(np.maximum(pwm, 1e-4)) - np.log(frequencies)
        low = odds.min(axis=1, keepdims=True)
        step = float(np.ptp(odds, axis=1).max()) / BINS or 1.0
        scores = np.rint((odds - low) / step).astype(np.int64)
        p = np.ones(1)
        for column in scores:
            grown = np.zeros(len(p) + int(column.max()))
            for score, probability in zip(column, frequencies, strict=True):
                grown[score : score + len(p)] += probability * p
            p = grown
        return cls(scores, np.minimum(np.cumsum(p[::-1])[::-1], 1.0), step)


def find_sites(motif: Motif, codes: list[Any], threshold: float, strands: str) -> list[tuple[Site, float]]:
    """Windows whose score has a p-value of at most `threshold`, with it; those of a sequence from left to right.

    The `posterior` of such a site is not known to a scan; it is NaN.
    """
    table, w = ScoreTable.of(motif.pwm, motif.background.frequencies), motif.width
    found = []
    for i, one in enumerate(codes):
        x = encode(one) if isinstance(one, str) else one
        if len(x) < w:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(x, w)
        known = (windows < 4).all(axis=1)
        letters = np.minimum(windows, 3)
        for sign, read in (("+", letters), ("-", 3 - letters[:, ::-1])):
            if sign == "-" and strands == "+":
                break
            p = table.tail[table.scores[np.arange(w), read].sum(axis=1)]
            found += [
                (Site(i, int(j), sign, float("nan")), float(p[j])) for j in np.flatnonzero(known & (p <= threshold))
            ]
    return sorted(found, key=lambda pair: (pair[0].sequence, pair[0].start, pair[0].strand))
