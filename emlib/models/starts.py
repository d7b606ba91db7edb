"""Where a climb begins: responsibilities guessed without a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, ward

from ..engine import em
from ..engine.blocks import BLOCK_ROWS, Rows, slices
from ..engine.chunks import Chunks
from ..engine.families import CentreParams, Centres
from ..engine.latent import FloatArray
from ..engine.mixture import Mixture, MixtureParams

Labels = NDArray[np.intp]

MANY_ROWS = 2**20  # of a table in memory or in a file; above, a start is found on a sample
SAMPLE_ROWS = 2**17  # the size of that sample: a component of one row in a thousand is there 131 times


@dataclass(frozen=True)
class OneHot:
    """Responsibilities (n, K) for known labels, made a slice at a time; `soften` is spread evenly.

    Examples
    --------
    >>> OneHot(np.array([1, 0, 0]), 2, soften=0.2)[0:2].tolist()
    [[0.1, 0.9], [0.9, 0.1]]
    """

    labels: Labels
    K: int
    soften: float = 0.0

    def __getitem__(self, rows: slice) -> FloatArray:
        labels = self.labels[rows]
        responsibilities = np.full((len(labels), self.K), self.soften / self.K)
        responsibilities[np.arange(len(labels)), labels] += 1.0 - self.soften
        return responsibilities


class Random:
    """Random responsibilities (n, K), made a slice at a time; a second pass from row 0 on sees the same.

    Examples
    --------
    >>> shares = Random(2, np.random.default_rng(0))
    >>> bool((shares[0:3] == shares[0:3]).all())
    True
    """

    def __init__(self, K: int, rng: np.random.Generator) -> None:
        self.K, self.seed = K, int(rng.integers(2**63))

    def __getitem__(self, rows: slice) -> FloatArray:
        if rows.start == 0:
            self.rng = np.random.default_rng(self.seed)
        responsibilities = self.rng.random((rows.stop - rows.start, self.K))
        responsibilities /= responsibilities.sum(axis=1, keepdims=True)
        return responsibilities

    def split(self, n: int) -> list[Random]:
        """The same for each of `n` chunks, from streams of their own."""
        return [Random(self.K, child) for child in np.random.default_rng(self.seed).spawn(n)]


class Whole:
    """One component that has every row, (n, 1), made a slice at a time."""

    def __getitem__(self, rows: slice) -> FloatArray:
        return np.ones((rows.stop - rows.start, 1))

    def split(self, n: int) -> list[Whole]:
        """The same for each of `n` chunks."""
        return [self] * n


def enough_rows(rows: Rows | Chunks, rng: np.random.Generator) -> Rows:
    """The rows on which a start is found: all of them, or a random sample of `SAMPLE_ROWS`.

    A sample is taken of tables of more than `MANY_ROWS`, and of more than `SAMPLE_ROWS` if they
    come in chunks, for those may have to be fetched from afar.
    """
    if isinstance(rows, Chunks):
        return rows.sample(SAMPLE_ROWS, rng)
    if len(rows) <= MANY_ROWS:
        return rows
    chosen = np.sort(rng.choice(len(rows), SAMPLE_ROWS, replace=False, shuffle=False))
    return Rows(rows.X[chosen], rows.origin)


def random_rows(X: NDArray[Any], K: int, rng: np.random.Generator) -> FloatArray:
    """K different rows of X, as floats."""
    return np.asarray(X[rng.choice(len(X), size=K, replace=False)], dtype=float)


def kmeans_plus_plus(X: NDArray[Any], K: int, rng: np.random.Generator) -> FloatArray:
    """K rows far from each other: k-means++ of Arthur & Vassilvitskii (2007), greedy variant.

    Each next centre is drawn with probability proportional to the squared distance to the
    nearest centre so far; of ``2 + log K`` draws the one is kept that leaves the least distance.

    Parameters
    ----------
    X : array (n, d)
    K : int
        At most n.
    rng : numpy.random.Generator

    Returns
    -------
    array (K, d)
    """
    n, tries = len(X), 2 + int(np.log(K))
    centres = np.empty((K, X.shape[1]))
    centres[0] = X[rng.integers(n)]
    distance = _squared_distance(X, centres[0])
    for k in range(1, K):
        total = float(distance.sum())
        if total == 0.0:  # fewer than K different rows: any will do
            centres[k:] = random_rows(X, K - k, rng)
            break
        drawn = np.searchsorted(np.cumsum(distance), rng.random(tries) * total)
        trials = [np.minimum(distance, _squared_distance(X, X[min(i, n - 1)])) for i in drawn]
        best = int(np.argmin([trial.sum() for trial in trials]))
        centres[k], distance = X[min(drawn[best], n - 1)], trials[best]
    return centres


MERGED_ROWS = 2000  # agglomeration costs the square of the rows it joins


def hierarchical(X: NDArray[Any], K: int, rng: np.random.Generator) -> Labels:
    """Labels (n,) by Ward's agglomeration: an informed start, the same each time on a small table.

    Columns are scaled to the same variance first. Of more than 2,000 rows a random 2,000 are joined,
    and the others go to the nearest group. (A model-based relative of this start is mclust's.)
    """
    some = np.asarray(X if len(X) <= MERGED_ROWS else X[np.sort(rng.choice(len(X), MERGED_ROWS, False))], dtype=float)
    spread = some.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    if len(some) == 1:
        return np.zeros(len(X), dtype=np.intp)
    joined = fcluster(ward(some / scale), K, criterion="maxclust") - 1
    if len(some) == len(X):
        return np.asarray(joined, dtype=np.intp)
    centres = np.stack([some[joined == k].mean(axis=0) for k in range(joined.max() + 1)])
    # As K-means assigns: one matrix product a block, in the kernel.
    model = Mixture(Centres())
    origin = centres.mean(axis=0)
    params = MixtureParams(np.ones(len(centres)), CentreParams((centres - origin) / scale))
    blocks = [X[i : i + BLOCK_ROWS] for i in range(0, len(X), BLOCK_ROWS)]
    return np.concatenate([model.labels(Rows((block - origin) / scale), params) for block in blocks])


def reseeded(
    model: Mixture,
    rows: Rows,
    fit: em.Fit[MixtureParams],
    climb: Callable[[list[MixtureParams]], em.Fit[MixtureParams]],
) -> em.Fit[MixtureParams]:
    """Climb again from where a starved component is given the rows that are explained worst.

    Each attempt is one more start; the better of both ends is kept, and at most K attempts are made.
    """
    K = len(fit.params.weights)
    for _ in range(K):
        r, log_density = model.posterior(rows, fit.params)
        held = r.sum(axis=0)
        k = int(held.argmin())
        if held[k] >= 1.0:
            break
        worst = np.argsort(log_density, kind="stable")[: max(2 * (rows.d + 1), rows.n // (4 * K))]
        r[worst] = np.arange(K) == k
        attempt = climb([model.from_responsibilities(rows, r, K)])
        starts = fit.starts + attempt.starts
        better = attempt.reason != "degenerate" and attempt.trace[-1] > fit.trace[-1]
        fit = replace(attempt if better else fit, starts=starts)
        if not better:
            break
    return fit


def _squared_distance(X: NDArray[Any], centre: NDArray[Any]) -> FloatArray:
    distance, centre = np.empty(len(X)), np.asarray(centre, dtype=float)
    for rows in slices(*X.shape):
        away = X[rows] - centre
        np.einsum("nd,nd->n", away, away, out=distance[rows])
    return distance
