"""Any number of sites: the sum over all placements that do not overlap, by forward-backward.

A sequence is read from left to right. At each position where a site could begin one does, with the probability
`rate`, and the next w letters are its own; else one background letter follows. The number of placements grows
exponentially with the length, but they are paths through L + 1 boundaries with steps of 1 and of w, so all of them are
summed in one sweep forward and one back:

    F(t + w) gains F(t) rate odds(t)          F(t + 1) gains F(t) (1 - rate)          (eq. 10.10)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.latent import FloatArray, Latent

TINY = 1e-300


@dataclass(frozen=True)
class Placements:
    """What a sum over placements found.

    Attributes
    ----------
    starts : array (S, n, strands, m)
        Probability that a site begins at each window (ones and zeros, if placements were decided or drawn).
    sites, missed : array (S,)
        Expected sites, and expected chances of a site that were not taken.
    values : array (S,)
        Log-likelihood ratio to the background alone (or the objective at another temperature).
    """

    starts: FloatArray
    sites: FloatArray
    missed: FloatArray
    values: FloatArray


def expect_placements(
    odds: FloatArray, valid: NDArray[np.bool_], rate: FloatArray, w: int, latent: Latent
) -> Placements:
    """Sum, maximise or sample over the placements in n sequences under S motifs.

    Parameters
    ----------
    odds : array (S, n, strands, m)
        Log-odds of every window, strands weighted.
    valid : array (n, m)
        Windows that could be a site at all; elsewhere there is no chance to be missed.
    rate : array (S,)
    w : int
    latent : Latent
    """
    _S, _n, _, m = odds.shape
    t = latent.temperature
    plus: Any = np.maximum if t == 0.0 else np.logaddexp
    scale = 1.0 if t == 0.0 else 1.0 / t
    # Boundaries run along the first axis, so that each step of the sweep is one line of memory.
    each = np.moveaxis(odds.astype(float), -1, 0) + np.log(np.maximum(rate, TINY))[:, None, None]
    each *= scale
    begin = np.ascontiguousarray(plus.reduce(each, axis=3))  # (m, S, n)
    skip = np.where(valid.T[:, None, :], np.maximum(np.log1p(-np.minimum(rate, 1.0 - 1e-16)), -700.0)[:, None], 0.0)
    skip = skip * scale
    forward = _sweep(begin, skip, w, plus)
    total = forward[-1]
    values = (t if t > 0 else 1.0) * total.sum(axis=1)
    if t == 0.0 or latent.rng is not None:
        starts, chances = _traced(forward, begin, skip, w, latent.rng)
        strand = _which(each, latent.rng)
        R = starts[..., None] * strand
    else:
        backward = _sweep(begin[::-1], skip[::-1], w, plus, mirrored=True)[::-1]
        R = np.exp(forward[:m, :, :, None] + each + (backward[w:] - total)[..., None])
        chances = np.exp(forward[:m] + skip + backward[1 : m + 1] - total)
    sites = R.sum(axis=(0, 2, 3))
    missed = (chances * valid.T[:, None, :]).sum(axis=(0, 2))
    return Placements(np.ascontiguousarray(np.moveaxis(R, 0, -1)), sites, missed, values)


def _sweep(begin: FloatArray, skip: FloatArray, w: int, plus: Any, mirrored: bool = False) -> FloatArray:
    """Log sums over all paths from the first boundary to each, (m + w, S, n); mirrored, from the last one."""
    m = len(begin)
    F = np.zeros((m + w, *begin.shape[1:]))
    if not mirrored:
        for t in range(1, m + w):  # the last w - 1 letters are background for sure
            F[t] = F[t - 1] + skip[t - 1] if t <= m else F[t - 1]
            if t >= w:
                plus(F[t], F[t - w] + begin[t - w], out=F[t])
        return F
    for t in range(w, m + w):  # the same from the right, where the first w - 1 steps are free
        F[t] = plus(F[t - 1] + skip[t - w], F[t - w] + begin[t - w])
    return F


def _traced(
    forward: FloatArray, begin: FloatArray, skip: FloatArray, w: int, rng: np.random.Generator | None
) -> tuple[FloatArray, FloatArray]:
    """One placement a sequence, from its end back: the best one, or one drawn.

    Returns
    -------
    array (m, S, n), array (m, S, n)
        Where a site begins, and where one could have begun but did not.
    """
    m = len(begin)
    starts, chances = np.zeros(begin.shape), np.zeros(begin.shape)
    inside = np.zeros(begin.shape[1:], dtype=np.int64)  # letters of the current site still to be passed
    for t in range(m + w - 1, 0, -1):
        outside = inside == 0
        if t >= w:
            log_site = forward[t - w] + begin[t - w]
            step = forward[t - 1] + skip[t - 1] if t <= m else forward[t - 1]
            point = 0.0 if rng is None else _logit(rng.random(step.shape))
            here = outside & (log_site - step > point)
            starts[t - w][here] = 1.0
            inside[here] = w
        if t <= m:
            chances[t - 1] = outside & (inside == 0)
        np.maximum(inside - 1, 0, out=inside)
    return starts, chances


def _logit(u: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.maximum(u, TINY)) - np.log1p(-u))


def _which(each: FloatArray, rng: np.random.Generator | None) -> FloatArray:
    """Of the strands of each window the better, or one drawn: ones and zeros (m, S, n, strands)."""
    if each.shape[3] == 1:
        return np.ones(each.shape)
    point: Any = 0.0 if rng is None else _logit(rng.random(each.shape[:3]))
    second = each[..., 1] - each[..., 0] > point
    return np.stack([~second, second], axis=-1).astype(float)
