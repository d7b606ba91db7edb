"""Where the sites are: posteriors of places, decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.latent import SOFT, FloatArray, Latent, assign
from .model import MotifModel, MotifParams
from .placements import expect_placements
from .sequences import Block, DNASequences
from .windows import Windows, windows_of


@dataclass(frozen=True)
class Sites:
    """Sites of a motif, best first.

    Attributes
    ----------
    sequence, start : arrays (n,) of int
        Which sequence, and the first position of the site on the + strand, from 0.
    strand : array (n,) of int
        1 or -1.
    posterior : array (n,)
        Probability of this place.
    score : array (n,)
        Log-odds of the window, motif against background, in nats.
    width : int
    """

    sequence: NDArray[np.intp]
    start: NDArray[np.intp]
    strand: NDArray[np.intp]
    posterior: FloatArray
    score: FloatArray
    width: int

    def __len__(self) -> int:
        return len(self.sequence)

    def words(self, data: DNASequences) -> NDArray[np.int8]:
        """Their letters, read in the direction of the motif (n, w)."""
        found = np.empty((len(self), self.width), dtype=np.int8)
        for i, (s, j, strand) in enumerate(zip(self.sequence, self.start, self.strand, strict=True)):
            word = data.codes[s][j : j + self.width]
            found[i] = word if strand == 1 else 3 - word[::-1]
        return found

    def taken(self, chosen: NDArray[Any]) -> Sites:
        """Some of them, or all in another order."""
        return Sites(
            self.sequence[chosen],
            self.start[chosen],
            self.strand[chosen],
            self.posterior[chosen],
            self.score[chosen],
            self.width,
        )


def posterior_places(
    model: MotifModel, block: Block, params: MotifParams, latent: Latent = SOFT
) -> tuple[Windows, FloatArray, FloatArray]:
    """Posterior that a site begins at each window (n, strands, m) of a block, and the log-odds of the windows."""
    w = len(params.pwm)
    strands = 2 if model.strands == "both" else 1
    seen = windows_of(block, w, model.background, model.occurrences != "anr", strands, model.precision)
    if not seen.n:
        return seen, np.zeros((0, strands, 0)), np.zeros((0, strands, 0))
    odds = model.log_odds(seen, params.pwm[None])
    prior = np.log(strands) + (0.0 if model.occurrences == "anr" else np.log(seen.valid.sum(axis=1)))
    plain = odds[0] + np.reshape(prior, (-1, 1, 1))
    if model.occurrences == "anr":
        R = expect_placements(odds, seen.valid, np.array([params.rate]), w, latent).starts[0]
    else:
        joint = odds[0].reshape(seen.n, -1).astype(float)
        if model.occurrences == "zoops":
            rate = min(max(float(params.rate), 1e-300), 1 - 1e-16)
            joint = np.hstack([np.full((seen.n, 1), np.log1p(-rate)), joint + np.log(rate)])
        assign(joint.T, latent)
        R = joint[:, joint.shape[1] - odds[0, 0].size :].reshape(odds[0].shape)
    return seen, np.asarray(R, dtype=float), np.asarray(plain, dtype=float)


def sites_of(model: MotifModel, data: DNASequences, params: MotifParams, least: float = 0.5) -> Sites:
    """The sites: one in each sequence for "oops"; for the others those that are more probable than not.

    For "zoops" it is the sequence that must have a site with a probability above `least`, and the site is the best
    place; for "anr" each place is judged by itself. Two places with probabilities above one half never overlap.
    """
    whole: list[NDArray[np.intp]] = [np.zeros((3, 0), dtype=np.intp)]  # sequence, start, strand
    real: list[FloatArray] = [np.zeros((2, 0))]  # posterior, score
    for block in data.blocks():
        seen, R, plain = posterior_places(model, block, params)
        if not seen.n:
            continue
        if model.occurrences == "anr":
            row, strand, start = np.nonzero(max(least, 0.5) < R)
        else:
            flat = R.reshape(seen.n, -1)
            row = np.flatnonzero((flat.sum(axis=1) > least) | (model.occurrences == "oops"))
            strand, start = np.divmod(flat[row].argmax(axis=1), seen.m)
        whole.append(np.stack([block.index[seen.rows[row]], start, 1 - 2 * strand]))
        real.append(np.stack([R[row, strand, start], plain[row, strand, start]]))
    (sequence, start, strand), (posterior, score) = np.concatenate(whole, axis=1), np.concatenate(real, axis=1)
    best = np.argsort(-score, kind="stable")
    found = Sites(sequence, start, strand, posterior, score, len(params.pwm))
    return found.taken(best)


def places_of(data: DNASequences, w: int, model: MotifModel) -> FloatArray:
    """How many places for a site each sequence has, in both directions if either is allowed."""
    found = np.zeros(len(data))
    for block in data.blocks():
        if block.codes.shape[1] >= w:
            found[block.index] = block.unbroken(w).sum(axis=1)
    return found * (2 if model.strands == "both" else 1)


def covered(data: DNASequences, sites: Sites) -> NDArray[np.intp]:
    """Positions that lie in a site, numbered through all sequences, in order."""
    begins = np.cumsum([0, *(len(one) for one in data.codes)])
    return np.unique((begins[sites.sequence] + sites.start)[:, None] + np.arange(sites.width))
