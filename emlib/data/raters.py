"""Several opinions of the same cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .shipped import Ints, numbers, table

# People by population, Mantoux's test and tine test (0 negative, 1 positive).
TUBERCULIN_COUNTS = (((528, 9), (4, 14)), ((367, 37), (31, 887)))


def anaesthetists() -> Ints:
    """Fitness for an anaesthetic, from 1 (best) to 4: 45 patients, seven ratings each.

    Columns 0 to 2 are three ratings by the first anaesthetist, columns 3 to 6 one each by the other four. Two
    transcriptions of the published table circulate. They differ in patient 7, whom the first anaesthetist rated 1, 2, 2
    here and 1, 1, 2 in the other.

    Returns
    -------
    array (45, 7) of int

    Examples
    --------
    >>> anaesthetists()[6].tolist()
    [1, 2, 2, 2, 1, 1, 1]
    """
    rows = table("anaesthetists.csv")
    return numbers(rows, ["o1a", "o1b", "o1c", "o2", "o3", "o4", "o5"]).astype(np.int64)


@dataclass(frozen=True)
class Caries:
    """What five dentists said of X-rays of teeth.

    Attributes
    ----------
    ratings : array (32, 5) of int
        Every pattern of answers: 1 for caries, 0 for a sound tooth.
    counts : array (32,) of int
        Teeth that got this pattern.
    """

    ratings: Ints
    counts: Ints


def caries() -> Caries:
    """3,859 teeth, each looked at by five dentists.

    Examples
    --------
    >>> teeth = caries()
    >>> teeth.ratings[1].tolist(), int(teeth.counts[1]), int(teeth.counts.sum())
    ([0, 0, 0, 0, 1], 789, 3859)
    """
    rows = table("caries.csv")
    ratings = numbers(rows, [f"rater_{j}" for j in range(1, 6)]).astype(np.int64) - 1
    return Caries(ratings, numbers(rows, ["n"])[:, 0].astype(np.int64))


def tuberculin() -> Ints:
    """Two skin tests for tuberculosis in two populations.

    Returns
    -------
    array (2, 2, 2) of int
        People by population (a school district, a sanatorium), result of Mantoux's test and of the tine test
        (0 negative, 1 positive).

    Examples
    --------
    >>> tuberculin()[0].tolist(), tuberculin().sum(axis=(1, 2)).tolist()
    ([[528, 9], [4, 14]], [555, 1322])
    """
    return np.array(TUBERCULIN_COUNTS)
