"""Stretches of low complexity: runs of one, two or three letters are no motif, though nothing is more common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .sequences import UNKNOWN, Codes

WINDOW = 20  # letters
GAP = 6  # letters between two repeats that are kept out with them
TANDEM = 12  # letters of one, two or three over and over, without a slip; fewer may well be a motif
THRESHOLD = 2.0  # pairs of equal triplets, for each triplet of the window but one; 0.13 by chance


def low_complexity(codes: Codes) -> Codes:
    """The same letters (L,), those in repeats replaced by `UNKNOWN`.

    Twelve letters or more that repeat one, two or three of them without a slip are kept out. Of repeats with slips,
    windows are scored as in DUST (Morgulis et al. 2006): pairs of equal triplets in one, over its triplets less one. Of
    a window above `THRESHOLD` only the triplets that occur in it again are kept out: what stands beside a repeat stays.

    Examples
    --------
    >>> low_complexity(np.array([0, 1] * 12, dtype=np.int8)).tolist() == [4] * 24
    True
    """
    n = len(codes) - 2
    if n < TANDEM - 2:
        return codes
    wide = codes.astype(np.int32)
    triplets = 25 * wide[:-2] + 5 * wide[1:-1] + wide[2:]
    known = (codes[:-2] != UNKNOWN) & (codes[1:-1] != UNKNOWN) & (codes[2:] != UNKNOWN)
    repeated = _crowded(triplets, known) if n >= WINDOW - 2 else np.zeros(n, dtype=bool)
    for period in (1, 2, 3):
        same = np.concatenate([[0], np.cumsum((codes[period:] == codes[:-period]) & (codes[period:] != UNKNOWN))])
        run = TANDEM - period
        for first in np.flatnonzero(same[run:] - same[:-run] == run):
            repeated[first : first + TANDEM - 2] = True
    return np.where(_closed(repeated), np.int8(UNKNOWN), codes)


def _closed(repeated: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Letters of these triplets, and of gaps between them in which no motif of some width fits."""
    letters = np.zeros(len(repeated) + 2, dtype=bool)
    for i in range(3):
        letters[i : i + len(repeated)] |= repeated
    at = np.flatnonzero(letters)
    near = np.flatnonzero(np.diff(at) <= GAP)
    edges = np.zeros(len(letters) + 1, dtype=np.int64)
    edges[at[near]] += 1
    edges[at[near + 1]] -= 1
    return letters | (np.cumsum(edges)[:-1] > 0)


def _crowded(triplets: NDArray[np.int32], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Triplets (n,) that occur again in a window above `THRESHOLD`."""
    n, span = len(triplets), WINDOW - 2
    pairs = np.zeros(n - span + 1)
    for lag in range(1, span):
        equal = (triplets[lag:] == triplets[:-lag]) & known[lag:]
        sums = np.concatenate([[0], np.cumsum(equal)])
        pairs += sums[span - lag :][: len(pairs)] - sums[: len(pairs)]
    low = np.concatenate([[0], np.cumsum(pairs / (span - 1) > THRESHOLD)])
    repeated = np.zeros(n, dtype=bool)
    for lag in range(1, span):
        equal = np.flatnonzero((triplets[lag:] == triplets[:-lag]) & known[lag:])
        first, last = np.maximum(equal + lag - span + 1, 0), np.minimum(equal, len(pairs) - 1)
        both = equal[low[last + 1] > low[np.minimum(first, last + 1)]]  # a low window holds this triplet and its twin
        repeated[both] = repeated[both + lag] = True
    return repeated
