"""How surprising a motif is: exact p-values of columns, their product, and in how many ways one could have aligned.

    E = (number of alignments of n sites of width w)  x  P(product of w column p-values is as small as this)

The p-value of a column is the probability that n letters of background differ from it as much as these do, by the
log-likelihood ratio. It is summed over all compositions while these are few; beyond `EXACT` letters the limit law of
Wilks, chi-square with three degrees of freedom, takes over. There it is never below half the exact sum; in the far tail
it is too large, by a factor of up to 100 where all letters are the same, so that E-values err towards caution.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, gammaln, logsumexp, xlogy

from ...engine.latent import FloatArray

EXACT = 80  # letters; 91,881 compositions
COLUMN = 3.0  # nats that a column must be worth
CHOICES = 200  # numbers of sites at which the E-value is tried


def log_ratio(counts: FloatArray, frequencies: FloatArray) -> FloatArray:
    """Log-likelihood ratio of columns of counts (..., 4): their own frequencies against those of the background."""
    n = counts.sum(axis=-1)
    return np.asarray((xlogy(counts, counts) - xlogy(counts, frequencies)).sum(axis=-1) - xlogy(n, n))


def log_column_p(counts: FloatArray, frequencies: FloatArray, exact: bool = True) -> FloatArray:
    """Log p-values of columns of counts (..., 4).

    Examples
    --------
    Two letters, both A: one outcome of sixteen, and so are CC, GG and TT:

    >>> float(np.exp(log_column_p(np.array([2.0, 0, 0, 0]), np.full(4, 0.25))).round(6))
    0.25
    """
    score = np.maximum(log_ratio(counts, frequencies), 0.0)
    n = counts.sum(axis=-1)
    limit = -score + np.log(np.minimum(erfcx(np.sqrt(score)) + 2.0 * np.sqrt(score / np.pi), 1e300))
    if not exact:
        return np.asarray(limit)
    found, n, score = np.atleast_1d(limit.copy()), np.atleast_1d(n), np.atleast_1d(score)
    for total in np.unique(n[n <= EXACT]):
        here = n == total
        scores, tails = _null(round(float(total)), tuple(float(p) for p in frequencies))
        at = np.searchsorted(scores, score[here] - 1e-9 * (1.0 + score[here]))
        found[here] = tails[np.minimum(at, len(tails) - 1)]
    return found.reshape(counts.shape[:-1])


@functools.lru_cache(maxsize=128)
def _null(n: int, frequencies: tuple[float, ...]) -> tuple[FloatArray, FloatArray]:
    """Scores of all compositions of n letters in order, and the log probability of each score or a higher one."""
    a, b, c = np.meshgrid(*[np.arange(n + 1)] * 3, indexing="ij")
    fits = a + b + c <= n
    a, b, c = a[fits], b[fits], c[fits]
    counts = np.stack([a, b, c, n - a - b - c], axis=1).astype(float)
    p = np.array(frequencies)
    log_p = gammaln(n + 1.0) - gammaln(counts + 1.0).sum(axis=1) + xlogy(counts, p).sum(axis=1)
    score = log_ratio(counts, p)
    order = np.argsort(score)
    top = log_p.max()
    tails = np.cumsum(np.exp(log_p[order] - top)[::-1])[::-1]
    return score[order], np.minimum(np.log(tails) + top, 0.0)


def log_product_p(log_p: FloatArray, w: Any) -> FloatArray:
    """Log probability that the product of w uniform numbers is as small as this one, given its log.

    ``P = x sum_{i < w} (-log x)^i / i!`` (eq. 10.12; Bailey & Gribskov 1998).

    Examples
    --------
    >>> float(np.exp(log_product_p(np.log(0.1), 1)).round(6))
    0.1
    """
    x, width = np.broadcast_arrays(-np.asarray(log_p, dtype=float), np.asarray(w))
    i = np.arange(int(width.max()))
    terms = np.where(i < width[..., None], xlogy(i, np.maximum(x, 1e-300)[..., None]) - gammaln(i + 1.0), -np.inf)
    return np.asarray(np.minimum(-x + logsumexp(terms, axis=-1), 0.0))


def log_choose(n: Any, k: Any) -> FloatArray:
    """Log binomial coefficient."""
    return np.asarray(gammaln(np.asarray(n) + 1.0) - gammaln(np.asarray(k) + 1.0) - gammaln(np.asarray(n) - k + 1.0))


def log_alignments(places: FloatArray, n: Any, occurrences: str) -> FloatArray:
    """Log number of ways to choose n sites, given the number of places (N,) in each sequence.

    For at most one site a sequence, the mean number of places stands for each (no fewer ways than there are).
    """
    places = places[places > 0]
    if occurrences == "oops":
        return np.asarray(np.log(places).sum() + 0.0 * np.asarray(n))
    if occurrences == "zoops":
        return np.asarray(log_choose(len(places), n) + np.asarray(n) * np.log(places.mean()))
    return log_choose(places.sum(), np.minimum(n, places.sum()))


def numbers_of_sites(n: int) -> NDArray[Any]:
    """How many of n sites are tried as "the" sites: all numbers from 2 on if they are few, else ever sparser ones."""
    if n <= CHOICES:
        return np.arange(min(2, n), n + 1)
    return np.unique(np.round(np.geomspace(2, n, CHOICES)).astype(int))


def log_e_value(
    words: NDArray[np.int8], places: FloatArray, frequencies: FloatArray, occurrences: str
) -> tuple[float, int]:
    """Log E-value of sites (eq. 10.13), best first, minimised over how many of them count.

    Parameters
    ----------
    words : array (n, w) of int
        Letters of the sites.
    places : array (N,)
        Places for a site in each sequence.
    frequencies : array (4,)
    occurrences : {"oops", "zoops", "anr"}

    Returns
    -------
    float, int
        The natural logarithm, and the number of sites at which it was found.
    """
    n, w = words.shape
    if n == 0:
        return float("inf"), 0
    tried = np.array([n]) if occurrences == "oops" else numbers_of_sites(n)
    counts = np.cumsum(words[:, :, None] == np.arange(4), axis=0)[tried - 1].astype(float)
    ways = log_alignments(places, tried, occurrences)
    rough = ways + log_product_p(log_column_p(counts, frequencies, exact=False).sum(axis=1), w)
    near = np.argsort(rough, kind="stable")[:3]
    exact = ways[near] + log_product_p(log_column_p(counts[near], frequencies).sum(axis=1), w)
    best = int(np.argmin(exact))
    return float(exact[best]), int(tried[near][best])


def best_columns(worth: FloatArray, least: int, most: int, symmetric: bool = False) -> tuple[int, int]:
    """The run of columns that is worth most: first column and width.

    This is the cure of the shift trap, and how widths are found: a motif that is seen one column too far to the left
    has an empty column there and a full one outside, on its right. What a column is worth may be its log evidence
    against the background's, or its log-likelihood ratio less `COLUMN`, what three parameters fit to nothing gain on
    average and once more (Akaike).

    Parameters
    ----------
    worth : array (W,)
        Of each column of the motif and of its surroundings, in nats.
    least, most : int
        Widths allowed.
    symmetric : bool
        Whether the middle must stay (of a palindrome).

    Examples
    --------
    >>> best_columns(np.array([-1.0, 2.0, -0.5, 3.0, -2.0]), 1, 4)
    (1, 3)
    """
    sums, W = np.concatenate([[0.0], np.cumsum(worth)]), len(worth)
    widths = range(min(least, W), min(most, W) + 1)
    runs = [(a, w) for w in widths for a in range(W - w + 1) if not symmetric or 2 * a + w == W]
    first, width = np.array(runs or [(0, W)]).T
    best = int(np.argmax(sums[first + width] - sums[first]))
    return int(first[best]), int(width[best])
