"""Stretches of low complexity: runs of one, two or three letters are no motif, though nothing is more common."""

from __future__ import annotations

import numpy as np

from .sequences import UNKNOWN, Codes

WINDOW = 20  # letters
THRESHOLD = 2.0  # pairs of equal triplets, for each triplet of the window but one; 0.13 by chance


def low_complexity(codes: Codes) -> Codes:
    """The same letters (L,), those in repeats replaced by `UNKNOWN`.

    A window is scored as in DUST (Morgulis et al. 2006): pairs of equal triplets in it, over its triplets less one.

    Examples
    --------
    >>> low_complexity(np.array([0, 1] * 12, dtype=np.int8)).tolist() == [4] * 24
    True
    """
    n = len(codes) - 2
    span = WINDOW - 2
    if n < span:
        return codes
    wide = codes.astype(np.int32)
    triplets = 25 * wide[:-2] + 5 * wide[1:-1] + wide[2:]
    known = (codes[:-2] != UNKNOWN) & (codes[1:-1] != UNKNOWN) & (codes[2:] != UNKNOWN)
    pairs = np.zeros(n - span + 1)
    for lag in range(1, span):
        equal = (triplets[lag:] == triplets[:-lag]) & known[lag:]
        sums = np.concatenate([[0], np.cumsum(equal)])
        pairs += sums[span - lag :][: len(pairs)] - sums[: len(pairs)]
    low = np.flatnonzero(pairs / (span - 1) > THRESHOLD)
    edges = np.zeros(len(codes) + 1, dtype=np.int64)
    np.add.at(edges, low, 1)
    np.add.at(edges, low + WINDOW, -1)
    return np.where(np.cumsum(edges)[:-1] > 0, np.int8(UNKNOWN), codes)
