"""How many places a fragment can begin at: effective lengths, from the lengths of fragments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from ...engine.latent import FloatArray

LONGEST = 1000  # letters; a longer fragment is taken for a wrong pairing


@dataclass(frozen=True, eq=False)
class FragmentLengths:
    """How often fragments have each length.

    Attributes
    ----------
    counts : array
        ``counts[l]`` fragments (or their probability) of l letters.

    Examples
    --------
    >>> fragments = FragmentLengths.normal(200.0, 20.0)
    >>> round(fragments.mean, 3), fragments.effective_lengths([2000, 1000, 150]).round(2).tolist()
    (200.0, [1801.0, 801.0, 7.01])
    """

    counts: FloatArray

    @classmethod
    def observed(cls, lengths: ArrayLike) -> FragmentLengths:
        """From lengths seen in pairs whose transcript is known; those above `LONGEST` are left out."""
        seen = np.asarray(lengths, dtype=np.int64)
        return cls(np.bincount(seen[(seen > 0) & (seen <= LONGEST)], minlength=LONGEST + 1).astype(float))

    @classmethod
    def normal(cls, mean: float, sd: float) -> FragmentLengths:
        """For single reads, which do not show how long their fragment was.

        Raises
        ------
        ValueError
            If `mean` is not between 1 and `LONGEST`, or `sd` not above 0.
        """
        if not 1 <= mean <= LONGEST:
            raise ValueError(f"the mean fragment length is {mean!r}; it must lie between 1 and {LONGEST}.")
        if not (np.isfinite(sd) and sd > 0):
            raise ValueError(f"the standard deviation of fragment lengths is {sd!r}; it must be a number above 0.")
        density = norm.pdf(np.arange(LONGEST + 1), mean, sd)
        density[0] = 0.0
        return cls(density)

    @property
    def mean(self) -> float:
        """In letters."""
        return float(self.counts @ np.arange(len(self.counts)) / self.counts.sum())

    @property
    def sd(self) -> float:
        """Standard deviation, in letters."""
        return float(np.sqrt(self.counts @ (np.arange(len(self.counts)) - self.mean) ** 2 / self.counts.sum()))

    def effective_lengths(self, lengths: ArrayLike) -> FloatArray:
        """Expected number of places at which a fragment can begin: ``L + 1 - E[l | l <= L]`` (eq. 11.2).

        A fragment of l letters fits at L - l + 1 places, and one from this transcript is not longer than it. One
        shorter than every fragment seen gets its own length, as in kallisto.

        Parameters
        ----------
        lengths : array (T,)
            Of transcripts, in letters.

        Returns
        -------
        array (T,)
        """
        L = np.asarray(lengths, dtype=np.int64)
        upto = np.minimum(L, len(self.counts) - 1)
        n, letters = np.cumsum(self.counts), np.cumsum(self.counts * np.arange(len(self.counts)))
        total = n[upto]
        mean = np.divide(letters[upto], total, out=L.astype(float), where=total > 0)
        effective = L + 1 - mean
        return np.where((total > 0) & (effective >= 1), effective, L)
