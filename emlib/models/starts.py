"""Where a climb begins: responsibilities guessed without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.latent import FloatArray

Labels = NDArray[np.intp]


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


def _squared_distance(X: NDArray[Any], centre: NDArray[Any]) -> FloatArray:
    away = X - np.asarray(centre, dtype=float)
    return np.einsum("nd,nd->n", away, away)
