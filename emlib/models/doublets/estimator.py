"""Types of cells and doublets of them, as an estimator."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from ...engine import em
from ...engine.families import ExposedPoisson, PoissonParams
from ...engine.latent import FloatArray
from ...engine.mixture import Mixture, MixtureParams
from ..base import EMEstimator
from ..checks import Numeric, check_exposed, check_flag, check_prior, check_real, check_whole, generator
from ..count_mixtures import per_exposure
from ..kmeans import KMeans
from ..starts import OneHot
from .model import Doublets
from .numbers import DoubletParams, DoubletPrior


class DoubletMixture(EMEstimator):
    """Poisson mixture of cell types in which a droplet may hold two cells, of any two types.

    Parameters
    ----------
    n_components : int
        Number of types of single cells, K. Doublets add K (K + 1) / 2 components and one parameter.
    exposure : bool
        Whether the first column of X is no count but the exposure of the row.
    share : float
        What each of two cells gives: 1 if their molecules simply add up; 1/2 if the exposure is the total of the
        droplet itself, of which each cell is then taken to have given half.
    doublet_rate_init : float
        Where the share of doublets starts, above 0 and below 1.
    n_init : int
        Starts, each from another K-means.
    max_iter, tol, accelerate, random_state
        As in the mixtures.
    prior : DoubletPrior, optional

    Attributes
    ----------
    weights_, rates_ : arrays (K,), (K, d)
        Of single cells.
    doublet_rate_ : float
        Share of droplets with two cells.
    pairs_ : array (K (K + 1) / 2, 2)
        The two types of each kind of doublet.
    doublet_probability_ : array (n,)
        Of every row of the fit; `doublet_probability` for others.
    doublet_log_odds_ : array (n,)
        The same as log odds, in nats, for ranking: many probabilities are 1 to the last digit, and none is the largest.
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_, starts_
        As in every EM estimator.

    Notes
    -----
    Two cells of one type differ from one large cell by their total alone, and if that is the exposure by nothing.
    Where counts scatter more than a Poisson's, large cells pass for doublets: look at what is called one.

    Examples
    --------
    Two types, and a hundred droplets of which ten hold one cell of each:

    >>> rng = np.random.default_rng(0)
    >>> X = rng.poisson(np.repeat([[20, 1], [1, 20], [21, 21]], [45, 45, 10], axis=0))
    >>> mixture = DoubletMixture(2, random_state=0).fit(X)
    >>> round(mixture.doublet_rate_, 2), np.flatnonzero(mixture.doublet_probability_ > 0.9).tolist()
    (0.11, [90, 91, 92, 93, 94, 95, 96, 97, 98, 99])
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        exposure: bool = False,
        share: float = 1.0,
        doublet_rate_init: float = 0.1,
        n_init: int = 1,
        max_iter: int = 10_000,
        tol: float = 1e-6,
        prior: DoubletPrior | None = None,
        accelerate: Any = None,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.exposure = exposure
        self.share = share
        self.doublet_rate_init = doublet_rate_init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.prior = prior
        self.accelerate = accelerate
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> DoubletMixture:
        """Fit types and doublets to the counts of X (n, d), one row a droplet; `y` is ignored.

        Raises
        ------
        ValueError
            In one sentence, for a bad parameter or table: an empty droplet among the rest.
        """
        table = self._droplets(X, reset=True)
        K = check_whole("n_components", self.n_components, 1)
        if len(table) < K:
            raise ValueError(f"X has n_samples={len(table)} rows, fewer than n_components={K}.")
        world = Doublets(self._share())
        best = em.search(
            world,
            table,
            self._starts(table, K),
            max_iter=check_whole("max_iter", self.max_iter, 1),
            tol=check_real("tol", self.tol),
            prior=check_prior(self.prior, DoubletPrior),
            accelerate=self.accelerate,
        )
        self._report(X, best)
        self._params = best.params
        self.weights_: FloatArray = best.params.weights
        self.rates_: FloatArray = best.params.rates
        self.doublet_rate_ = float(best.params.doublet_rate)
        self.pairs_ = np.column_stack(np.triu_indices(K))
        self.doublet_log_odds_: FloatArray = world.log_odds(table, best.params)
        self.doublet_probability_: FloatArray = expit(self.doublet_log_odds_)
        self._warn(best)
        return self

    def _share(self) -> float:
        share = check_real("share", self.share)
        if share == 0:
            raise ValueError("share is 0; what each of two cells gives must be above 0.")
        return share

    def _droplets(self, X: Any, *, reset: bool) -> Numeric:
        """A table whose first column is the exposure, 1 where none is given."""
        table = self._accept(X, reset=reset)
        exposed = check_flag("exposure", self.exposure)
        check_exposed(table, exposed)
        counts = table[:, 1:] if exposed else table
        empty = np.flatnonzero(~(counts > 0).any(axis=1))
        if len(empty):
            raise ValueError(f"X has no count above 0 in row {int(empty[0])}; leave empty droplets out.")
        return table.astype(float) if exposed else np.column_stack([np.ones(len(table)), table])

    def _starts(self, table: FloatArray, K: int) -> list[DoubletParams]:
        """Types from K-means, as if every droplet held one cell."""
        delta = check_real("doublet_rate_init", self.doublet_rate_init)
        if not 0 < delta < 1:
            raise ValueError(f"doublet_rate_init is {delta:g}; it must be above 0 and below 1.")
        rng, world, starts = generator(self.random_state), Mixture(ExposedPoisson()), []
        for _ in range(check_whole("n_init", self.n_init, 1)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                labels = KMeans(K, random_state=rng).fit(per_exposure(table)).labels_
            guess = world.from_responsibilities(table, OneHot(labels, K, 0.1), K)
            starts.append(DoubletParams(guess.weights, guess.components.rates, delta))
        return starts

    def _contents(self, X: Any) -> tuple[FloatArray, FloatArray]:
        check_is_fitted(self)
        return Doublets(self._share()).posterior(self._droplets(X, reset=False), self._params)

    def predict_proba(self, X: Any) -> FloatArray:
        """Probabilities (n, K + K (K + 1) / 2) of one cell of each type, then of the pairs in `pairs_`."""
        return self._contents(X)[0]

    def doublet_log_odds(self, X: Any) -> FloatArray:
        """Log odds (n,), in nats, of two cells against one in each row."""
        check_is_fitted(self)
        return Doublets(self._share()).log_odds(self._droplets(X, reset=False), self._params)

    def doublet_probability(self, X: Any) -> FloatArray:
        """How probably each row (n,) holds two cells."""
        return np.asarray(expit(self.doublet_log_odds(X)))

    def predict(self, X: Any) -> NDArray[np.intp]:
        """The most probable type of each row (n,), had it held one cell."""
        check_is_fitted(self)
        params = MixtureParams(self.weights_, PoissonParams(self.rates_))
        return Mixture(ExposedPoisson()).labels(self._droplets(X, reset=False), params)

    def score_samples(self, X: Any) -> FloatArray:
        """Log density (n,) of each row, in nats."""
        return self._contents(X)[1]

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log density of the rows, in nats."""
        return float(self.score_samples(X).mean())

    def _n_parameters(self) -> int:
        return len(self.weights_) + self.rates_.size  # K - 1 shares, the rates, the share of doublets

    def bic(self, X: Any) -> float:
        """Bayesian information criterion on X; lower is better."""
        density = self.score_samples(X)
        return -2.0 * float(density.sum()) + self._n_parameters() * math.log(len(density))

    def aic(self, X: Any) -> float:
        """Akaike information criterion on X; lower is better."""
        return -2.0 * float(self.score_samples(X).sum()) + 2.0 * self._n_parameters()
