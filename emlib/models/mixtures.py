"""Mixtures as estimators: the engine's one mixture model, with scikit-learn's manners."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..engine import families
from ..engine.latent import FloatArray
from ..engine.mixture import MixturePrior
from .checks import check_real, check_shape
from .mixture_estimator import MixtureEstimator
from .tables import Survey

SHAPES: dict[str, Callable[[float], families.Family[families.GaussianParams]]] = {
    "full": families.Gaussian,
    "tied": families.TiedGaussian,
    "diag": families.DiagonalGaussian,
    "spherical": families.SphericalGaussian,
    "tied_spherical": families.TiedSphericalGaussian,
}


class GaussianMixture(MixtureEstimator):
    """Gaussian mixture; a drop-in for scikit-learn's.

    Parameters
    ----------
    n_components : int
        Number of components, K.
    covariance_type : {"full", "tied", "diag", "spherical", "tied_spherical"}
        A general matrix for each component, one for all, a variance for each column, one for
        each component, or one for all.
    tol : float
        Stop when the log-likelihood still to be gained, projected from the pace of the climb, is
        below `tol` nats *per row*. (Scikit-learn compares the last gain, which may be small far
        from the top.)
    reg_covar : float
        Added to the diagonal of every covariance. At 0 the likelihood never falls and may grow
        without bound.
    max_iter, n_init : int
        Most iterations of a start, and number of starts.
    init_params : {"kmeans", "k-means++", "random", "random_from_data", "hierarchical", "varied"}
        How a start is guessed. "hierarchical" joins the nearest rows first (Ward), which takes no
        luck; "varied" makes the first of `n_init` starts so, the second by k-means, and centres
        the others on random rows.
    weights_init, means_init, precisions_init : arrays, optional
        Parts of the start given by hand, in the shapes of the attributes.
    random_state : None, int, Generator or RandomState
        Seed of the starts and of `sample`.
    warm_start : bool
        Start from the last fit.
    verbose : int
        Above 0, show a progress bar.
    verbose_interval : int
        Accepted for compatibility; the bar needs none.
    prior : {None, "weak"} or MixturePrior
        Pseudo-statistics (Dirichlet weights, `NormalInverseWishart` components) for MAP-EM.
        "weak" is scaled to the data as in Fraley & Raftery (2007). It keeps spikes away and moves
        wide components hardly at all, but clusters that are tight and far apart it makes wider.
    accelerate : {None, "squarem"}
        Longer strides; the climb stays monotone.
    temperature : float or falling sequence of float
        1 is EM, 0 is classification EM (hard labels); in between labels are harder, above softer. A sequence such as
        ``[3, 2, 1.5, 1]`` anneals: each temperature begins where the one before ended (`engine.em.anneal`). `max_iter`
        and `tol` hold for each; `trace_` and `n_iter_` are of the last. `random_state` is also the seed of the
        nudges that part merged components.
    prune : bool
        Give up on slow starts early: several times faster where `n_init` is large, and not without
        risk (`engine.em.search`).
    reseed : bool
        Start a component that ends with less than one row again, on the rows explained worst.

    Attributes
    ----------
    weights_, means_, covariances_, precisions_, precisions_cholesky_ : arrays
        Shapes (K,), (K, d), and three times (K, d, d) for "full", (d, d) for "tied", (K, d) for
        "diag", (K,) for "spherical", () for "tied_spherical".
    log_likelihood_ : float
        Total, in nats, at exactly these parameters; `lower_bound_` is the same per row.
    trace_, n_iter_, stop_reason_, converged_, starts_
        As in every EM estimator; `starts_` has the end of every start, whose parameters and
        likelihoods show the landscape.

    Notes
    -----
    **Bigger than memory.** ``fit`` reads a `numpy.memmap` or a Dask array block by block, in one
    pass for all checks and one for each iteration; memory does not grow with the rows. Of files,
    ``predict`` and its like fill an array; of Dask arrays they are Dask arrays, computed when asked
    for, and ``score``, ``bic`` and ``aic`` are numbers.

    The E-step runs where the chunks are, on Dask's active scheduler: threads, or the workers of a
    ``distributed.Client`` if one is open. Chunks are read anew for every pass; where the cluster's
    memory holds them all, ``X = X.persist()`` saves that. The sums are added in an order that the
    chunks alone determine, so that neither the number of workers nor one that is lost on the way
    changes the result. Chunks of 10**5 to 10**7 numbers serve well; sizes must be known, and chunks
    of columns are joined.

    The starts "kmeans", "k-means++" and "random_from_data" are found on a random sample of 2**17
    rows if a Dask array has more than that, or any other table more than 2**20; "random" draws the
    responsibilities of each chunk from a stream of its own. A start that is given entirely needs
    neither.

    References
    ----------
    Chapter 2 of the book, eqs. 2.1 to 2.8. Fraley & Raftery (2007), *Journal of Classification* 24.

    Examples
    --------
    >>> import emlib
    >>> mixture = GaussianMixture(2, tol=1e-8, random_state=0).fit(emlib.data.old_faithful())
    >>> round(mixture.log_likelihood_, 2), mixture.weights_.round(3).tolist()
    (-1130.26, [0.356, 0.644])
    """

    _soften = 0.0
    _parts_of_start = ("means_init", "precisions_init")

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        prior: MixturePrior | str | None = None,
        accelerate: Any = None,
        temperature: float | Sequence[float] = 1.0,
        prune: bool = False,
        reseed: bool = False,
    ) -> None:
        super().__init__(
            n_components,
            tol,
            max_iter,
            n_init,
            init_params,
            weights_init,
            random_state,
            warm_start,
            prior,
            accelerate,
            temperature,
            prune,
            reseed,
        )
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def _family(self, d: int) -> families.Family[families.GaussianParams]:
        shape = SHAPES.get(self.covariance_type)
        if shape is None:
            raise ValueError(
                f"covariance_type is {self.covariance_type!r}; it must be one of {', '.join(map(repr, SHAPES))}."
            )
        return shape(check_real("reg_covar", self.reg_covar))

    def _tol_unit(self, n: int) -> float:
        return float(n)

    def _origin(self, seen: Survey) -> FloatArray:
        return seen.mean

    def _check_fit(self, seen: Survey) -> None:
        constant, d = np.flatnonzero(seen.constant), len(seen.mean)
        found, cure = "", "drop it"
        if len(constant):
            found = f"column {constant[0]} of X is constant, so no covariance can be estimated from it"
        if len(constant) == d:
            found = f"all rows of X are equal (there are {seen.n}), so no covariance can be estimated"
            cure = "give rows that differ"
        if not len(constant) and seen.n <= d and self.covariance_type in ("full", "tied") and self.prior is None:
            found = f"X has only {seen.n} rows for {d} columns, so no covariance matrix can be estimated"
            cure = "choose covariance_type='diag'"
        if found and self.reg_covar == 0:
            raise ValueError(f"{found}; {cure}, or set reg_covar above 0.")
        if found:
            warnings.warn(
                f"{found}; where rows do not differ the variance is reg_covar={self.reg_covar:g} alone.",
                UserWarning,
                stacklevel=3,
            )

    def _given_start(self, components: families.GaussianParams, d: int, origin: FloatArray) -> families.GaussianParams:
        K, means, covariances = self.n_components, components.means, components.covariances
        if self.means_init is not None:
            means = check_shape("means_init", self.means_init, (K, d)) - origin
        if self.precisions_init is not None:
            precisions = check_shape("precisions_init", self.precisions_init, covariances.shape)
            if self.covariance_type in ("full", "tied"):
                symmetric = np.allclose(precisions, precisions.swapaxes(-2, -1))
                if not symmetric or (np.linalg.eigvalsh(precisions) <= 0).any():
                    raise ValueError("precisions_init holds a matrix that is not symmetric, positive-definite.")
                covariances = np.asarray(np.linalg.inv(precisions), dtype=float)
            else:
                if (precisions <= 0).any():
                    raise ValueError(f"precisions_init holds {precisions.min():g}; precisions must be above 0.")
                covariances = 1.0 / precisions
        return families.GaussianParams(means, covariances)

    def _around(self, centres: FloatArray, whole: families.GaussianParams) -> families.GaussianParams:
        covariances = whole.covariances
        if self.covariance_type in ("full", "diag", "spherical"):  # one for each component
            covariances = np.repeat(covariances, len(centres), axis=0)
        return families.GaussianParams(centres, covariances)

    def _store(self, components: families.GaussianParams, origin: FloatArray) -> None:
        self.means_, self.covariances_ = components.means + origin, components.covariances
        if self.covariance_type in ("full", "tied"):
            root = np.linalg.inv(np.linalg.cholesky(self.covariances_)).swapaxes(-2, -1)
            self.precisions_cholesky_, self.precisions_ = root, root @ root.swapaxes(-2, -1)
        else:
            self.precisions_cholesky_ = 1.0 / np.sqrt(self.covariances_)
            self.precisions_ = 1.0 / self.covariances_

    def _moved(self, components: families.GaussianParams, origin: FloatArray) -> families.GaussianParams:
        return families.GaussianParams(components.means + origin, components.covariances)

    def _stored(self, origin: FloatArray) -> families.GaussianParams:
        return families.GaussianParams(self.means_ - origin, self.covariances_)
