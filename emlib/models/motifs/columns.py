"""What the columns of known motifs look like, and which columns a motif has.

Three columns in four of known motifs are sharp, and vague ones stand at the ends. A prior that knows no vague columns
takes them for background and cuts motifs short: sites called two columns of twelve too narrow have lost a tenth of
their correlation with the truth, however well they were found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, logsumexp

from ...engine.latent import FloatArray
from .model import MotifModel, MotifPrior, log_evidence

UNLIKELY = 7.0  # nats behind the most probable run that others have no say
RATE = (4.0, 2.0)  # beta prior of the share of sequences that have a site

# Fitted to 895 matrices of JASPAR 2022 that are not of vertebrates (6 to 20 columns, 8 to 17 bits): the Dirichlet
# parameters of a letter in sharp and in vague columns, and how many are vague, by distance from the nearer end.
SHARP, VAGUE = 0.34, 4.7
ENDS = np.array([0.58, 0.40, 0.18, 0.05])


@dataclass(frozen=True)
class KnownColumns:
    """What the columns of known motifs look like: some sharp, some vague, and these at the ends mostly.

    A mixture of Dirichlet priors for each column, conjugate as one of them is: letters make it another mixture.

    Parameters
    ----------
    shapes : array (K, 4)
        Dirichlet parameters of K kinds of columns.
    shares : array (D, K)
        How common they are at a distance of 0, 1, ... columns from the nearer end of the motif (the last line stands
        for all that are farther away).
    rate : tuple
        Beta prior of the rate; 1 is flat.

    References
    ----------
    Sjolander et al. (1996), *CABIOS* 12, for mixtures of Dirichlet priors on columns.

    Examples
    --------
    Ten letters A are evidence of a sharp column, ten mixed ones of a vague one:

    >>> known = KnownColumns(np.array([[0.3] * 4, [5.0] * 4]), np.array([[0.5, 0.5]]))
    >>> known.kinds(np.array([[10.0, 0, 0, 0], [3, 2, 3, 2]]), 0).argmax(axis=1).tolist()
    [0, 1]
    """

    shapes: FloatArray
    shares: FloatArray
    rate: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def of(cls, prior: MotifPrior | None) -> KnownColumns:
        """One kind of column."""
        if prior is None:
            return cls(np.ones((1, 4)), np.ones((1, 1)))
        return cls(prior.letters[None], np.ones((1, 1)), prior.rate)

    def kinds(self, letters: FloatArray, distance: Any) -> FloatArray:
        """Log evidence of columns of letters (..., 4) as each kind there is at that distance (...), (..., K)."""
        each = log_evidence(letters[..., None, :], self.shapes)
        with np.errstate(divide="ignore"):
            return np.asarray(each + np.log(self.shares)[np.minimum(distance, len(self.shares) - 1)])

    def log_evidence(self, letters: FloatArray, distance: Any) -> FloatArray:
        """Of columns of letters (..., 4), in some order."""
        return np.asarray(logsumexp(self.kinds(letters, distance), axis=-1))

    def expected_log(self, letters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """E[log column] (..., w, 4) over the posteriors of the columns of a motif, and their log evidence (..., w)."""
        each = self.kinds(letters, from_end(letters.shape[-2]))
        total = logsumexp(each, axis=-1, keepdims=True)
        shapes = letters[..., None, :] + self.shapes
        logs = digamma(shapes) - digamma(shapes.sum(axis=-1, keepdims=True))
        return (np.exp(each - total)[..., None] * logs).sum(axis=-2), total[..., 0]

    def mean(self, letters: FloatArray) -> FloatArray:
        """E[column] (..., w, 4)."""
        each = self.kinds(letters, from_end(letters.shape[-2]))
        shapes = letters[..., None, :] + self.shapes
        means = shapes / shapes.sum(axis=-1, keepdims=True)
        return np.asarray((np.exp(each - logsumexp(each, axis=-1, keepdims=True))[..., None] * means).sum(axis=-2))


def from_end(w: int) -> NDArray[np.intp]:
    """How far each of w columns is from the nearer end."""
    at = np.arange(w)
    return np.minimum(at, w - 1 - at)


def averaging_prior(model: MotifModel) -> KnownColumns:
    """What known motifs look like, and how many sequences have one; of a rate for every position nothing is said."""
    shapes = np.array([[SHARP] * 4, [VAGUE] * 4])
    rate = (1.0, 1.0) if model.occurrences == "anr" else RATE
    return KnownColumns(shapes, np.stack([1.0 - ENDS, ENDS], axis=1), rate)


def runs_of(
    letters: FloatArray,
    log_letters: FloatArray,
    prior: KnownColumns,
    widths: tuple[int, int],
    symmetric: bool = False,
) -> tuple[NDArray[np.intp], NDArray[np.intp], FloatArray]:
    """Runs of columns (W, 4) that may be the motif: first columns, widths, and log probabilities (up to a constant).

    Every run of an allowed width is as probable beforehand; afterwards it is as probable as its letters are inside of a
    motif, against the background (`log_letters`, (W,), of those in each column). A `symmetric` run keeps the middle.
    """
    W = len(letters)
    worth = np.stack([prior.log_evidence(letters, d) - log_letters for d in range(len(prior.shares))], axis=1)
    first, width, value = [], [], []
    for w in range(min(widths[0], W), min(widths[1], W) + 1):
        begins = np.arange(W - w + 1)
        if symmetric:
            begins = begins[2 * begins + w == W]
        first.append(begins)
        width.append(np.full(len(begins), w))
        value.append(worth[begins[:, None] + np.arange(w), np.minimum(from_end(w), len(prior.shares) - 1)].sum(axis=1))
    return np.concatenate(first), np.concatenate(width), np.concatenate(value)


def best_run(
    letters: FloatArray,
    log_letters: FloatArray,
    prior: KnownColumns,
    widths: tuple[int, int],
    symmetric: bool = False,
) -> tuple[int, int]:
    """First column and width of the run (`runs_of`) that is expected to lie best on the motif.

    It is not the most probable one, but that whose overlap with the motif, over the root of both widths, is greatest
    on average.

    Examples
    --------
    >>> letters = np.array([[5.0] * 4] * 3 + [[20.0, 0, 0, 0]] * 6 + [[5.0] * 4] * 3)
    >>> prior = KnownColumns.of(MotifPrior(np.full(4, 0.3)))
    >>> best_run(letters, letters @ np.log(np.full(4, 0.25)), prior, (4, 10))
    (3, 6)
    """
    a, w, value = runs_of(letters, log_letters, prior, widths, symmetric)
    if not len(a):
        return 0, len(letters)
    some = value > value.max() - UNLIKELY
    a, w, p = a[some], w[some], np.exp(value[some] - value.max())
    overlap = np.minimum(a[:, None] + w[:, None], a + w) - np.maximum(a[:, None], a)
    expected = (np.maximum(overlap, 0) / np.sqrt(w[:, None] * w)) @ p
    best = int(expected.argmax())
    return int(a[best]), int(w[best])
