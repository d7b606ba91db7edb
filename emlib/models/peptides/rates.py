"""From scores to error rates of a list: counted with decoys, or added up from posterior errors.

The posterior error is of one match, the false discovery rate of a list, the q-value of a match the lowest rate of any
list that holds it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...engine.latent import FloatArray


def target_decoy_q_values(scores: ArrayLike, is_decoy: ArrayLike) -> FloatArray:
    """q-values by target-decoy competition: decoys above a threshold stand for incorrect targets above it (eq. 13.8).

    The rate of the list of all targets at or above a score is ``(decoys + 1) / targets``; the one keeps it from being
    too hopeful on average. The q-value is the lowest rate among the lists that a match is in, and never above 1.

    Parameters
    ----------
    scores : array (n,)
        Higher is better.
    is_decoy : array (n,) of bool

    Returns
    -------
    array (n,)
        Decoys get that of their score.

    References
    ----------
    Elias & Gygi (2007), *Nature Methods* 4; Levitsky et al. (2017), *Journal of Proteome Research* 16, for the one.

    Examples
    --------
    >>> scores, decoy = [9, 8, 7, 6, 5, 4], [False, False, False, False, True, False]
    >>> target_decoy_q_values(scores, decoy).round(2).tolist()
    [0.25, 0.25, 0.25, 0.25, 0.4, 0.4]
    """
    x, decoy = np.asarray(scores, dtype=float), np.asarray(is_decoy, dtype=bool)
    levels, where = np.unique(x, return_inverse=True)
    decoys, targets = (np.bincount(where[kind], minlength=len(levels))[::-1].cumsum() for kind in (decoy, ~decoy))
    rates = (decoys + 1.0) / np.maximum(targets, 1)
    lowest = np.minimum.accumulate(rates[::-1])[::-1]  # over this list and all longer ones
    return np.asarray(np.minimum(lowest, 1.0)[::-1][where])


def q_values_of(errors: ArrayLike) -> FloatArray:
    """q-values of targets from their posterior errors: the mean of those at least as good (eq. 13.7).

    Parameters
    ----------
    errors : array (n,)

    Returns
    -------
    array (n,)

    Examples
    --------
    >>> q_values_of([0.5, 0.0, 0.1]).round(2).tolist()
    [0.2, 0.0, 0.05]
    """
    levels, where, n = np.unique(np.asarray(errors, dtype=float), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(levels * n) / np.cumsum(n))[where])


@dataclass(frozen=True)
class Calibration:
    """Incorrect targets as the decoys count them, and as posterior errors add them up; one row a bin of scores.

    Attributes
    ----------
    edges : array (B + 1,)
        Of the bins, from the highest scores down.
    targets, decoys : array (B,) of int
    expected : array (B,)
        Sum of the posterior errors of the targets in the bin; by the decoys, about as many are incorrect.
    """

    edges: FloatArray
    targets: NDArray[np.int64]
    decoys: NDArray[np.int64]
    expected: FloatArray

    @property
    def z(self) -> FloatArray:
        """Standardised differences (B,): an incorrect match was a target or a decoy like a coin's two sides."""
        return np.asarray((self.expected - self.decoys) / np.sqrt(np.maximum(self.expected + self.decoys, 1.0)))

    @property
    def fdr(self) -> tuple[FloatArray, FloatArray]:
        """False discovery rate (B,) of all targets above the lower edge of a bin: by decoys, by posterior errors."""
        above = np.maximum(self.targets.cumsum(), 1)
        return self.decoys.cumsum() / above, self.expected.cumsum() / above


def calibration_of(scores: FloatArray, is_decoy: NDArray[np.bool_], errors: FloatArray, bins: int) -> Calibration:
    """`Calibration` in bins of about equally many matches."""
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)))[::-1]
    inner = np.digitize(scores, edges[1:-1]) if len(edges) > 2 else np.zeros(len(scores), dtype=int)
    B = max(len(edges) - 1, 1)
    return Calibration(
        edges,
        np.bincount(inner[~is_decoy], minlength=B).astype(np.int64),
        np.bincount(inner[is_decoy], minlength=B).astype(np.int64),
        np.bincount(inner[~is_decoy], errors[~is_decoy], B).astype(float),
    )
