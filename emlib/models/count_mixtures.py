"""Mixtures of counts as estimators: Poisson, binomial, Bernoulli, multinomial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine import families
from ..engine.latent import FloatArray
from ..engine.mixture import MixturePrior
from .checks import Numeric, check_counts, check_shape
from .mixture_estimator import MixtureEstimator


class CountMixture(MixtureEstimator):
    """A mixture of counts: it accepts nothing else, and tells scikit-learn that nothing negative is accepted."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _check_rows(self, X: Numeric, first: int = 0) -> None:
        check_counts(X, first=first)


class PoissonMixture(CountMixture):
    """Mixture of Poisson counts, independent between columns within a component.

    Parameters
    ----------
    n_components : int
        Number of components, K.
    tol : float
        Stop when less than this many nats in total are projected to be left to gain.
    max_iter, n_init : int
        Most iterations of a start, and number of starts.
    init_params : str
        How a start is guessed, as in `GaussianMixture`.
    weights_init, rates_init : array (K,), (K, d), optional
        Parts of the start given by hand.
    random_state, warm_start, accelerate, temperature, prune, reseed
        As in `GaussianMixture`.
    prior : {None, "weak"} or MixturePrior
        With a `GammaPrior` on the rates; "weak" is a tenth of a row at the mean.

    Attributes
    ----------
    weights_, rates_ : arrays (K,), (K, d)
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_, starts_
        As in every EM estimator.

    Raises
    ------
    ValueError
        From ``fit``, for values that are not counts among the rest.

    Notes
    -----
    Tables bigger than memory, files or Dask arrays, are fitted as by `GaussianMixture`.

    Examples
    --------
    Days with 0 to 9 deaths of women over 80 in *The Times*: a mixture of two seasons.

    >>> import emlib
    >>> mixture = PoissonMixture(2, accelerate="squarem", random_state=0).fit(emlib.data.times_deaths())
    >>> sorted(mixture.rates_.ravel().round(2).tolist()), round(mixture.log_likelihood_, 3)
    ([1.26, 2.66], -1989.946)
    """

    _parts_of_start = ("rates_init",)

    def __init__(
        self,
        n_components: int = 1,
        *,
        tol: float = 1e-6,
        max_iter: int = 10_000,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        rates_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
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
        self.rates_init = rates_init

    def _family(self, d: int) -> families.Poisson:
        return families.Poisson()

    def _given_start(self, components: families.PoissonParams, d: int, origin: FloatArray) -> families.PoissonParams:
        if self.rates_init is None:
            return components
        rates = check_shape("rates_init", self.rates_init, (self.n_components, d))
        if (rates < 0).any():
            raise ValueError(f"rates_init holds {rates.min():g}; rates must not be negative.")
        return families.PoissonParams(rates)

    def _around(self, centres: FloatArray, whole: families.PoissonParams) -> families.PoissonParams:
        return families.PoissonParams((1 - self._soften) * centres + self._soften * whole.rates)

    def _store(self, components: families.PoissonParams, origin: FloatArray) -> None:
        self.rates_ = components.rates

    def _stored(self, origin: FloatArray) -> families.PoissonParams:
        return families.PoissonParams(self.rates_)


class BinomialMixture(CountMixture):
    """Mixture of binomial counts, independent between columns within a component.

    Parameters
    ----------
    n_components : int
        Number of components, K.
    n_trials : int or array (d,)
        Trials behind every count of a column.
    fix_weights : bool
        Keep the weights at `weights_init` (equal by default) instead of estimating them.
    probs_init : array (K, d), optional
        Success probabilities of the start.
    tol, max_iter, n_init, init_params, weights_init, random_state, warm_start, accelerate, temperature, prune, reseed
        As in `PoissonMixture`.
    prior : {None, "weak"} or MixturePrior
        With a `BetaPrior` on the probabilities.

    Attributes
    ----------
    weights_, probs_ : arrays (K,), (K, d)
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_, starts_
        As in every EM estimator.

    References
    ----------
    Do & Batzoglou (2008) for the two coins; chapter 1 of the book.

    Examples
    --------
    Heads among ten flips in five sets, each by one of two coins:

    >>> coins = BinomialMixture(2, n_trials=10, fix_weights=True, probs_init=[[0.6], [0.5]])
    >>> coins.fit([[5], [9], [8], [4], [7]]).probs_.round(2).ravel().tolist()
    [0.8, 0.52]
    """

    _parts_of_start = ("probs_init",)

    def __init__(
        self,
        n_components: int = 1,
        *,
        n_trials: Any = 1,
        fix_weights: bool = False,
        tol: float = 1e-6,
        max_iter: int = 10_000,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        probs_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
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
        self.n_trials = n_trials
        self.fix_weights = fix_weights
        self.probs_init = probs_init

    def _family(self, d: int) -> families.Binomial:
        return families.Binomial(self._trials(d))

    def _trials(self, d: int) -> FloatArray:
        trials = np.asarray(self.n_trials, dtype=float)
        trials = check_shape("n_trials", np.full(d, trials) if trials.ndim == 0 else trials, (d,))
        if (trials < 1).any() or (np.floor(trials) != trials).any():
            raise ValueError(f"n_trials is {self.n_trials!r}; it must be a whole number, 1 or above.")
        return trials

    def _check_rows(self, X: Numeric, first: int = 0) -> None:
        check_counts(X, most=self._trials(X.shape[1]), first=first)

    def _given_start(self, components: families.BinomialParams, d: int, origin: FloatArray) -> families.BinomialParams:
        if self.probs_init is None:
            return components
        probs = check_shape("probs_init", self.probs_init, (self.n_components, d))
        if (probs < 0).any() or (probs > 1).any():
            raise ValueError("probs_init holds a value that is no probability; it must lie between 0 and 1.")
        return families.BinomialParams(probs)

    def _around(self, centres: FloatArray, whole: families.BinomialParams) -> families.BinomialParams:
        own = centres / self._trials(centres.shape[1])
        return families.BinomialParams((1 - self._soften) * own + self._soften * whole.probs)

    def _store(self, components: families.BinomialParams, origin: FloatArray) -> None:
        self.probs_ = components.probs

    def _stored(self, origin: FloatArray) -> families.BinomialParams:
        return families.BinomialParams(self.probs_)


class BernoulliMixture(BinomialMixture):
    """Mixture of independent yes-or-no columns: presence or absence of marks, pixels of a digit.

    Parameters
    ----------
    n_components : int
        Number of components, K.
    probs_init : array (K, d), optional
        Probabilities of "yes" in the start.
    fix_weights
        As in `BinomialMixture`.
    tol, max_iter, n_init, init_params, weights_init, random_state, warm_start, accelerate, temperature, prune, reseed
        As in `PoissonMixture`.
    prior : {None, "weak"} or MixturePrior
        With a `BetaPrior` on the probabilities.

    Attributes
    ----------
    weights_, probs_ : arrays (K,), (K, d)
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_, starts_
        As in every EM estimator.

    Examples
    --------
    >>> X = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 0]]
    >>> BernoulliMixture(2, random_state=0).fit(X).predict_proba(X).max(axis=1).round(1).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        fix_weights: bool = False,
        tol: float = 1e-6,
        max_iter: int = 10_000,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        probs_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        prior: MixturePrior | str | None = None,
        accelerate: Any = None,
        temperature: float | Sequence[float] = 1.0,
        prune: bool = False,
        reseed: bool = False,
    ) -> None:
        MixtureEstimator.__init__(
            self,
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
        self.fix_weights = fix_weights
        self.probs_init = probs_init

    def _trials(self, d: int) -> FloatArray:
        return np.ones(d)

    def _check_rows(self, X: Numeric, first: int = 0) -> None:
        bad = (X != 0) & (X != 1)
        if bad.any():
            row, column = (int(index) for index in np.argwhere(bad)[0])
            raise ValueError(
                f"X holds {X[row, column]:g} in row {first + row}, column {column}; every value must be 0 or 1."
            )


class MultinomialMixture(CountMixture):
    """Mixture of category counts: each component has its own profile, each row its own total.

    Parameters
    ----------
    n_components : int
        Number of components, K.
    probs_init : array (K, d), optional
        Probabilities of the categories in the start; rows sum to 1.
    tol, max_iter, n_init, init_params, weights_init, random_state, warm_start, accelerate, temperature, prune, reseed
        As in `PoissonMixture`.
    prior : {None, "weak"} or MixturePrior
        With a `DirichletPrior` on each row of probabilities.

    Attributes
    ----------
    weights_, probs_ : arrays (K,), (K, d)
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_, starts_
        As in every EM estimator.

    Notes
    -----
    The total of a row is given, not modelled; `sample` draws rows of 100.

    Examples
    --------
    >>> X = [[8, 2, 0], [9, 1, 0], [0, 3, 7], [1, 1, 8]]
    >>> sorted(MultinomialMixture(2, random_state=0).fit(X).probs_.round(2).tolist())
    [[0.05, 0.2, 0.75], [0.85, 0.15, 0.0]]
    """

    _parts_of_start = ("probs_init",)

    def __init__(
        self,
        n_components: int = 1,
        *,
        tol: float = 1e-6,
        max_iter: int = 10_000,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        probs_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
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
        self.probs_init = probs_init

    def _family(self, d: int) -> families.Multinomial:
        return families.Multinomial()

    def _simulator(self, X: Numeric) -> families.Multinomial:
        return families.Multinomial(total=X.sum(axis=1).astype(np.int64))  # totals are given, row by row

    def _given_start(
        self, components: families.MultinomialParams, d: int, origin: FloatArray
    ) -> families.MultinomialParams:
        if self.probs_init is None:
            return components
        probs = check_shape("probs_init", self.probs_init, (self.n_components, d))
        if (probs < 0).any() or (abs(probs.sum(axis=1) - 1.0) > 1e-8).any():
            raise ValueError("probs_init holds a row that is no distribution; rows must not be negative and sum to 1.")
        return families.MultinomialParams(probs)

    def _around(self, centres: FloatArray, whole: families.MultinomialParams) -> families.MultinomialParams:
        own = centres / np.maximum(centres.sum(axis=1, keepdims=True), 1.0)
        mixed = (1 - self._soften) * own + self._soften * whole.probs
        return families.MultinomialParams(mixed / mixed.sum(axis=1, keepdims=True))

    def _store(self, components: families.MultinomialParams, origin: FloatArray) -> None:
        self.probs_ = components.probs

    def _stored(self, origin: FloatArray) -> families.MultinomialParams:
        return families.MultinomialParams(self.probs_)
