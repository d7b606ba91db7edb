"""What many draws of a phase agree on, and how far two phasings differ.

Which of the two haplotypes is called the first means nothing, and it changes from draw to draw. What has a meaning is
the *relative* phase of two heterozygotes: whether their alternate alleles lie on one haplotype. So haplotypes are never
averaged; neighbouring heterozygotes of a person vote pair by pair.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...engine.latent import FloatArray
from .pairs import Ints


class Votes:
    """Votes on the relative phase of each heterozygote and the one before it.

    Parameters
    ----------
    G : array (n, L) of int
        Genotypes 0, 1, 2, and -1 for a missing one, which has no vote.
    """

    def __init__(self, G: Ints) -> None:
        self.het = G == 1
        site = np.where(self.het, np.arange(G.shape[1]), -1)
        last = np.maximum.accumulate(site, axis=1)
        self.before = np.concatenate([np.full((len(G), 1), -1), last[:, :-1]], axis=1)
        self.pairs = self.het & (self.before >= 0)
        self.person, self.site = np.nonzero(self.pairs)
        self.earlier = self.before[self.pairs]
        self.same = np.zeros(len(self.site), dtype=np.int64)
        self.cast = 0

    def add(self, first: NDArray[np.integer]) -> None:
        """One draw: the first haplotypes (n, L) of all people."""
        self.same += first[self.person, self.site] == first[self.person, self.earlier]
        self.cast += 1

    def merge(self, other: Votes) -> None:
        """Add the votes of another chain."""
        self.same += other.same
        self.cast += other.cast

    def majority(self, G: Ints) -> NDArray[np.uint8]:
        """Haplotypes (n, 2, L) whose every pair of neighbouring heterozygotes is as most votes have it.

        Homozygotes show what they have; missing genotypes are left at 0. A tie counts as "on one haplotype".
        """
        turns = np.zeros(G.shape, dtype=np.int64)
        turns[self.person, self.site] = 2 * self.same < self.cast
        first = np.where(self.het, turns.cumsum(axis=1) % 2, G == 2)
        second = np.where(self.het, 1 - first, G == 2)
        return np.stack([first, second], axis=1).astype(np.uint8)

    def confidence(self) -> FloatArray:
        """Share of votes (n, L) for the phase of each heterozygote relative to the one before; NaN elsewhere."""
        found = np.full(self.het.shape, np.nan)
        found[self.person, self.site] = np.maximum(self.same, self.cast - self.same) / max(self.cast, 1)
        return found


def switch_errors(haplotypes: NDArray[np.integer], truth: NDArray[np.integer]) -> tuple[int, int]:
    """Switches, and pairs of neighbouring heterozygotes that could have been switched.

    Parameters
    ----------
    haplotypes : array (n, 2, L) of 0 and 1
    truth : array (n, 2, L) of 0 and 1, -1 where it is not known

    Returns
    -------
    switches, pairs : int
        A switch is a heterozygote whose phase relative to the last heterozygote of known truth is wrong.

    Examples
    --------
    >>> truth = np.array([[[0, 1, 0, 1], [1, 0, 1, 0]]])
    >>> switch_errors(np.array([[[0, 1, 1, 0], [1, 0, 0, 1]]]), truth)
    (1, 3)
    """
    known = (truth >= 0).all(axis=1) & (truth[:, 0] != truth[:, 1]) & (haplotypes[:, 0] != haplotypes[:, 1])
    switches = pairs = 0
    for mine, right, some in zip(haplotypes[:, 0], truth[:, 0], known, strict=True):
        agree = mine[some] == right[some]
        switches += int((agree[1:] != agree[:-1]).sum())
        pairs += max(len(agree) - 1, 0)
    return switches, pairs
