"""From scores to error rates of a list: counted with decoys, or added up from posterior errors.

The posterior error is of one match, the false discovery rate of a list, the q-value of a match the lowest rate of any
list that holds it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...engine.latent import FloatArray
from ..checks import as_numbers, check_real


def target_decoy_q_values(scores: ArrayLike, is_decoy: ArrayLike, per_decoy: float = 1.0) -> FloatArray:
    """q-values by target-decoy competition: decoys above a threshold stand for incorrect targets above it (eq. 13.8).

    The rate of the list of all targets at or above a score is ``(decoys + 1) / targets``; the one keeps it from being
    too hopeful on average. The q-value is the lowest rate among the lists that a match is in, and never above 1.

    Parameters
    ----------
    scores : array (n,)
        Higher is better.
    is_decoy : array (n,) of bool
    per_decoy : float
        For how many incorrect targets a decoy stands: one, if they competed and are equally many. Of decoys searched
        apart, the share of incorrect targets times the number of targets over that of decoys.

    Returns
    -------
    array (n,)
        Decoys get that of their score.

    Raises
    ------
    ValueError
        In one sentence, for scores or labels that cannot be used.

    References
    ----------
    Elias & Gygi (2007), *Nature Methods* 4; Levitsky et al. (2017), *Journal of Proteome Research* 16, for the one.

    Examples
    --------
    >>> scores, decoy = [9, 8, 7, 6, 5, 4], [False, False, False, False, True, False]
    >>> target_decoy_q_values(scores, decoy).round(2).tolist()
    [0.25, 0.25, 0.25, 0.25, 0.4, 0.4]
    """
    x = checked_scores(scores)
    decoy = checked_labels(is_decoy, len(x))
    levels, where = np.unique(x, return_inverse=True)
    decoys, targets = (np.bincount(where[kind], minlength=len(levels))[::-1].cumsum() for kind in (decoy, ~decoy))
    rates = check_real("per_decoy", per_decoy) * (decoys + 1.0) / np.maximum(targets, 1)
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
    e = as_numbers("errors", errors)
    bad = np.flatnonzero(~((e >= 0) & (e <= 1)))
    if len(bad):
        raise ValueError(f"errors hold {e.ravel()[bad[0]]:g} for match {bad[0]}; they must be between 0 and 1.")
    levels, where, n = np.unique(e, return_inverse=True, return_counts=True)
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
    per_decoy : float
        For how many incorrect targets a decoy stands; one where they competed.
    """

    edges: FloatArray
    targets: NDArray[np.int64]
    decoys: NDArray[np.int64]
    expected: FloatArray
    per_decoy: float = 1.0

    @property
    def z(self) -> FloatArray:
        """Differences (B,) in standard errors that are rather too large than too small.

        An incorrect match was a target or a decoy like a coin's two sides, so each number varies like a count. The sum
        of errors varies less where they are small: in the tail z is nearer to 0 than a standard normal, and 0 above.
        """
        c = self.per_decoy
        variance = self.expected + c**2 * self.decoys
        return np.asarray((self.expected - c * self.decoys) / np.sqrt(np.maximum(variance, 1.0)))

    @property
    def fdr(self) -> tuple[FloatArray, FloatArray]:
        """False discovery rate (B,) of all targets above the lower edge of a bin: by decoys, by posterior errors."""
        above = np.maximum(self.targets.cumsum(), 1)
        return self.per_decoy * self.decoys.cumsum() / above, self.expected.cumsum() / above


def calibration_of(
    scores: FloatArray, is_decoy: NDArray[np.bool_], errors: FloatArray, bins: int, per_decoy: float = 1.0
) -> Calibration:
    """`Calibration` in bins of about equally many matches."""
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)))[::-1]
    inner = np.digitize(scores, edges[1:-1]) if len(edges) > 2 else np.zeros(len(scores), dtype=int)
    B = max(len(edges) - 1, 1)
    return Calibration(
        edges,
        np.bincount(inner[~is_decoy], minlength=B).astype(np.int64),
        np.bincount(inner[is_decoy], minlength=B).astype(np.int64),
        np.bincount(inner[~is_decoy], errors[~is_decoy], B).astype(float),
        per_decoy,
    )


def checked_scores(scores: ArrayLike) -> FloatArray:
    """Scores (n,), or one sentence on what is wrong with them."""
    try:
        x = np.asarray(scores, dtype=float)
    except (TypeError, ValueError):
        raise ValueError("scores are not numbers; one finite number for each match is needed.") from None
    if x.ndim != 1:
        raise ValueError(f"scores have the shape {x.shape}; one number for each match is needed.")
    bad = np.flatnonzero(~np.isfinite(x))
    if len(bad):
        raise ValueError(f"scores hold {x[bad[0]]} for match {bad[0]}; every score must be a finite number.")
    return x


def checked_labels(is_decoy: ArrayLike, n: int) -> NDArray[np.bool_]:
    """Labels (n,), or one sentence on what is wrong with them."""
    labels = np.asarray(is_decoy)
    if labels.shape != (n,):
        raise ValueError(f"is_decoy has the shape {labels.shape}, but there are {n} scores; one label each is needed.")
    if labels.dtype.kind in "biuf":
        known = np.isin(labels, [0, 1])
    else:  # pandas may give objects
        known = np.array([isinstance(v, (bool, int, float, np.bool_, np.number)) and v in (0, 1) for v in labels], bool)
    if not known.all():
        odd = labels[~known].tolist()[0]
        hint = " (of labels 1 and -1, give labels == -1)" if isinstance(odd, (int, float)) and odd == -1 else ""
        raise ValueError(f"is_decoy holds {odd!r}; it must be True for decoys and False for targets{hint}.")
    return labels.astype(bool)
