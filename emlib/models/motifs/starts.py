"""Where to begin: words that come again, whole or in part.

EM finds the nearest hill, so it must be set down near the right one. Three kinds of starts, of which the data decide:
every word of w letters that occurs (few sequences); the words that agree at some random positions (random projections:
mutations elsewhere do not keep them apart); and, the same with all positions in a row, enriched k-mers.

References
----------
Buhler & Tompa (2002), *J. Comput. Biol.* 9, for projections.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from ...engine.latent import FloatArray
from .sequences import UNKNOWN, Background, DNASequences, _reversed

EVERY_WORD = 4000  # words up to which each of them is a start
BUCKET = 3  # words that must agree


def all_words(data: DNASequences, w: int, both_strands: bool) -> NDArray[np.int8]:
    """Every window of w known letters (n, w), read on both strands if sites may lie on either."""
    found = []
    for block in data.blocks():
        if block.codes.shape[1] < w:
            continue
        valid = block.unbroken(w)
        if block.free is not None:
            valid &= np.lib.stride_tricks.sliding_window_view(block.free, w, axis=1).min(axis=2) > 0.5
        found.append(np.lib.stride_tricks.sliding_window_view(block.codes, w, axis=1)[valid])
    words = np.concatenate(found) if found else np.empty((0, w), dtype=np.int8)
    return np.concatenate([words, _reversed(words)]) if both_strands else words


def every_word(words: NDArray[np.int8], strength: float = 0.7) -> FloatArray:
    """Each distinct word as a matrix that prefers its letters: (S, w, 4)."""
    distinct = np.unique(words, axis=0)
    return (1.0 - strength) / 4 + strength * np.eye(4)[distinct]


def projections(
    words: NDArray[np.int8], background: Background, n_starts: int, trials: int, rng: np.random.Generator
) -> FloatArray:
    """Matrices of words that agree at random positions, the most enriched such groups of each trial: (S, w, 4).

    Parameters
    ----------
    words : array (n, w)
    background : Background
    n_starts, trials : int
        Groups wanted in all, and random choices of positions; the first of them is the positions in the middle.
    rng : numpy.random.Generator
    """
    n, w = words.shape
    k = int(np.clip(np.ceil(np.log(max(n, 2)) / np.log(4)), 3, min(9, w)))
    each = max(1, n_starts // trials)
    columns = np.ascontiguousarray(words.T.astype(np.int32))
    found = []
    for trial in range(trials):
        chosen = np.sort(rng.choice(w, k, replace=False)) if trial else np.arange(k) + (w - k) // 2
        code = np.zeros(n, dtype=np.int32)
        for j in chosen:
            code = 4 * code + columns[j]
        counts = np.bincount(code, minlength=4**k)
        big = np.flatnonzero(counts >= BUCKET)
        if not len(big):
            continue
        best = big[np.argsort(-_surprise(counts[big], big, k, n, background), kind="stable")[:each]]
        label = np.full(4**k, -1, dtype=np.int32)
        label[best] = np.arange(len(best))
        member = label[code]
        mine = np.flatnonzero(member >= 0)
        totals = np.empty((len(best), w, 4))
        for j in range(w):
            cells = 4 * member[mine] + columns[j, mine]
            totals[:, j] = np.bincount(cells, minlength=4 * len(best)).reshape(-1, 4)
        found.append(totals)
        if w == k:
            break  # there is only one choice
    if not found:
        return np.empty((0, w, 4))
    totals = np.concatenate(found)
    shares = totals + background.frequencies
    return shares / shares.sum(axis=2, keepdims=True)


def _surprise(
    counts: NDArray[np.int64], codes: NDArray[np.int64], k: int, n: int, background: Background
) -> FloatArray:
    """How far a group is above what single letters lead one to expect: a Poisson log-likelihood ratio."""
    expected = np.full(len(codes), float(n))
    rest = codes.copy()
    for _ in range(k):
        expected *= background.frequencies[rest % 4]
        rest //= 4
    ratio = xlogy(counts, counts / expected) - (counts - expected)
    return np.where(counts > expected, ratio, -ratio)


__all__ = ["EVERY_WORD", "UNKNOWN", "all_words", "every_word", "projections"]
