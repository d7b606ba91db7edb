"""K-means: the mixture with equal weights and one shared spherical variance, at temperature zero.

Let the shared variance of such a mixture go to 0 (or, the same thing, the temperature of its
E-step): every responsibility becomes 0 or 1 (eq. 5.2), the M-step becomes the plain mean of the rows
assigned, and the log-likelihood becomes minus half the inertia (eqs. 5.3, 5.4). That is Lloyd's algorithm.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from ..engine import em
from ..engine.blocks import Rows, slices, threads
from ..engine.chunks import Chunks
from ..engine.families import CentreParams, Centres
from ..engine.families.base import LOG_2PI
from ..engine.latent import HARD, FloatArray
from ..engine.mixture import Mixture, MixtureParams
from .base import EMEstimator
from .checks import Numeric, check_finite, check_real, check_shape, check_whole, generator
from .starts import Labels, enough_rows, kmeans_plus_plus, random_rows
from .tables import by_chunks, is_chunked, lay_out

Counts = NDArray[np.intp]  # how many rows each cluster has


class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, EMEstimator):  # type: ignore[misc]
    """K-means clustering, run by the EM engine.

    Parameters
    ----------
    n_clusters : int
        Number of clusters, K.
    init : {"k-means++", "random"} or array (K, d)
        Where the centres start. (For tables of more than 2**20 rows, and Dask arrays of more than
        2**17, they are drawn from a random sample of 2**17 rows.)
    n_init : "auto" or int
        Number of starts; "auto" is 1 for k-means++ or an array, 10 for "random".
    max_iter : int
        Most iterations of one start.
    tol : float
        Stop when an iteration lowers the inertia by less than `tol` times the mean variance of the
        columns.
    random_state : None, int, Generator or RandomState
        Seed of the starts.

    Attributes
    ----------
    cluster_centers_ : array (K, d)
    labels_ : array (n,)
        Of a Dask array, a Dask array that is computed when it is asked for.
    inertia_ : float
        Sum of squared distances of the rows to their centre.
    log_likelihood_ : float
        Of the rows and their labels together, under equal weights and the best shared variance.
    trace_ : array
        Minus half the inertia, at the start and after every iteration.
    n_iter_, stop_reason_, converged_, starts_
        As in every EM estimator.

    Raises
    ------
    ValueError
        From ``fit``, in one sentence, for a bad parameter or table.

    Notes
    -----
    Tables bigger than memory are fitted as by `GaussianMixture`.

    Examples
    --------
    >>> import numpy as np
    >>> KMeans(2, random_state=0).fit(np.array([[1.0], [2.0], [9.0]])).cluster_centers_.ravel().tolist()
    [9.0, 1.5]
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means++",
        n_init: Any = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> KMeans:
        """Find the centres of X, an array (n, d), a `numpy.memmap` or a Dask array; `y` is ignored."""
        table, seen = self._look(X, reset=True)
        K = check_whole("n_clusters", self.n_clusters, 1)
        max_iter, tol = check_whole("max_iter", self.max_iter, 1), check_real("tol", self.tol)
        if len(table) < K:
            raise ValueError(f"X has n_samples={len(table)} rows, fewer than n_clusters={K}.")
        origin = seen.mean
        rows = lay_out(table, origin, seen)
        # In units of the data's own spread, so that the size of the numbers does not matter.
        variance = float((rows.scale**2).mean()) or 1.0
        model = Mixture(Centres(variance), fixed_weights=np.full(K, 1.0 / K))
        best = em.search(
            model,
            rows,
            (MixtureParams(np.full(K, 1.0 / K), CentreParams(c - origin)) for c in self._starts(rows, K)),
            max_iter=max_iter,
            tol=0.5 * tol,
            latent=HARD,
            executor=threads(),
        )
        centres = best.params.components.means + origin
        labels, counts, inertia = _assign(table, rows, centres, model, best.params)
        best_variance = max(inertia, np.finfo(float).tiny) / table.size
        self._report(X, best)
        self.cluster_centers_, self.labels_, self.inertia_ = centres, labels, inertia
        self.log_likelihood_ = -0.5 * table.size * (LOG_2PI + np.log(best_variance) + 1.0) - len(table) * np.log(K)
        constant = 0.5 * table.size * (LOG_2PI + np.log(variance)) + len(table) * np.log(K)
        self.trace_ = variance * (best.trace + constant)
        self._warn(best)
        used = int((counts > 0).sum())
        if used < K:
            warnings.warn(
                f"KMeans filled only {used} of {K} clusters; X may have too few different rows.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _starts(self, rows: Rows | Chunks, K: int) -> Iterator[FloatArray]:
        if not isinstance(self.init, str):
            yield check_shape("init", self.init, (K, rows.d))
            return
        if self.init not in ("k-means++", "random"):
            raise ValueError(f"init is {self.init!r}; it must be 'k-means++', 'random' or an array of centres.")
        draw = kmeans_plus_plus if self.init == "k-means++" else random_rows
        automatic = 1 if self.init == "k-means++" else 10
        n_init = automatic if self.n_init == "auto" else check_whole("n_init", self.n_init, 1)
        rng = generator(self.random_state)
        X = enough_rows(rows, rng).X
        for _ in range(n_init):
            yield draw(X, K, rng)

    def predict(self, X: Any) -> Labels:
        """The nearest centre of each row."""
        return self._for_rows(_labels, np.intp, None, X)

    def transform(self, X: Any) -> FloatArray:
        """Distances (n, K) to the centres."""
        check_is_fitted(self)
        return self._for_rows(_distances, float, len(self.cluster_centers_), X)

    def _for_rows(self, function: Any, dtype: Any, columns: int | None, X: Any) -> Any:
        """``function(rows, centres)`` for all rows; of a Dask array a Dask array, computed when it is asked for."""
        check_is_fitted(self)
        if is_chunked(X):
            work = partial(_checked, function, self.cluster_centers_)
            return by_chunks(work, self._columns(X, reset=False), dtype, columns)
        return function(self._accept(X, reset=False), self.cluster_centers_)

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the inertia of X."""
        check_is_fitted(self)
        table, seen = self._look(X, reset=False)
        return -_tally(lay_out(table, seen.mean, seen), self.cluster_centers_)[1]

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)


def _assign(
    table: Any, rows: Rows | Chunks, centres: FloatArray, model: Mixture, params: MixtureParams
) -> tuple[Labels, Counts, float]:
    """Nearest centres of all rows, how many rows each centre has, and the inertia."""
    if isinstance(rows, Chunks):
        return by_chunks(partial(_checked, _labels, centres), table, np.intp), *_tally(rows, centres)
    labels = np.concatenate([model.labels(block, params) for block in rows.blocks()])  # from the fit's own pieces
    return labels, np.bincount(labels, minlength=len(centres)), _inertia(rows.X, centres, labels)


def _tally(rows: Rows | Chunks, centres: FloatArray) -> tuple[Counts, float]:
    """The same without the labels."""
    if isinstance(rows, Chunks):
        counts, inertia = rows.total(partial(_tally_chunk, centres), [None] * len(rows.lengths))
        return counts, inertia
    counts, inertia = np.zeros(len(centres), np.intp), 0.0
    for part in slices(len(rows)):
        labels = _labels(rows.X[part], centres)
        counts += np.bincount(labels, minlength=len(centres))
        inertia += _inertia(rows.X[part], centres, labels)
    return counts, inertia


def _tally_chunk(centres: FloatArray, rows: Rows, own: None) -> tuple[Counts, float]:
    return _tally(rows, centres)


def _checked(function: Any, centres: FloatArray, X: Numeric, first: int) -> Any:
    check_finite(X, first)
    return function(X, centres)


def _labels(X: Numeric, centres: FloatArray) -> Labels:
    """The nearest centre of each row (n,)."""
    origin = centres.mean(axis=0)
    model, params = Mixture(Centres()), MixtureParams(np.ones(len(centres)), CentreParams(centres - origin))
    labels = np.empty(len(X), np.intp)
    for rows in slices(len(X)):
        labels[rows] = model.labels(Rows(X[rows], origin), params)
    return labels


def _inertia(X: Numeric, centres: FloatArray, labels: Labels) -> float:
    """From differences: the expanded form would lose its small digits."""
    inertia = 0.0
    for rows in slices(*X.shape):
        away = X[rows] - centres[labels[rows]]
        inertia += float(np.einsum("nd,nd->", away, away))
    return inertia


def _distances(X: Numeric, centres: FloatArray) -> FloatArray:
    distances = np.empty((len(X), len(centres)))
    for rows in slices(len(X)):
        for k, centre in enumerate(centres):
            distances[rows, k] = np.linalg.norm(X[rows] - centre, axis=1)
    return distances
