"""Mixtures of counts as estimators: Poisson, binomial, Bernoulli, multinomial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from ..engine import families
from ..engine.latent import FloatArray
from ..engine.mixture import MixturePrior
from .checks import Numeric, check_counts, check_exposed, check_flag, check_shape
from .mixture_estimator import MixtureEstimator


def per_exposure(X: Numeric) -> FloatArray:
    """A table whose first column is the exposure, as if all rows had had the average one.

    Examples
    --------
    >>> per_exposure(np.array([[1.0, 4.0], [3.0, 12.0]])).tolist()
    [[2.0, 8.0], [2.0, 8.0]]
    """
    e = np.asarray(X[:, :1], dtype=float)
    return np.asarray(X * (e.mean() / e))


class CountMixture(MixtureEstimator):
    """A mixture of counts: it accepts nothing else, and tells scikit-learn that nothing negative is accepted."""

    _called: ClassVar[Mapping[str, str]] = {"zeros": "zero_inflation"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    @property
    def _exposed(self) -> bool:
        """Whether the first column is the exposure of the rows."""
        return check_flag("exposure", getattr(self, "exposure", False))

    @property
    def _inflated(self) -> bool:
        """Whether zeros may be structural."""
        return check_flag("zero_inflation", getattr(self, "zero_inflation", False))

    def _check_rows(self, X: Numeric, first: int = 0) -> None:
        check_exposed(X, self._exposed, first)

    def _for_start(self, X: Numeric) -> Numeric:
        return per_exposure(X) if self._exposed else X

    def _check_prior(self, components: Any, d: int) -> None:
        components.check(d - self._exposed)
        expected = getattr(self, "_prior_of_counted", None)
        if self._inflated and expected and not isinstance(components.counted, expected):
            raise ValueError(
                f"prior has counted of type {type(components.counted).__name__}; a {type(self).__name__} needs a "
                f"{expected.__name__} there."
            )

    def _rates_at(self, centres: FloatArray) -> FloatArray:
        """Rates of rows that were picked as centres."""
        return centres[:, 1:] / centres[:, :1] if self._exposed else centres

    def _rates_given(self, name: str, d: int) -> FloatArray:
        """Rates or means of the start, as the user gave them."""
        rates = check_shape(name, getattr(self, name), (self.n_components, d - self._exposed))
        if (rates < 0).any():
            raise ValueError(f"{name} holds {rates.min():g}; {name.removesuffix('_init')} must not be negative.")
        return rates


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
    exposure : bool
        Whether the first column of X is no count but the exposure of its row: hours watched, molecules sequenced, size
        factors. Rates are then per unit of it, and every method takes such rows: X is ``np.column_stack([e, counts])``.
    zero_inflation : bool
        Whether a zero may be structural: of each component and column a share of rows could not have been counted.
    weights_init, rates_init : array (K,), (K, d), optional
        Parts of the start given by hand.
    random_state, warm_start, accelerate, temperature, prune, reseed
        As in `GaussianMixture`.
    prior : {None, "weak"} or MixturePrior
        With a `GammaPrior` on the rates; "weak" is a tenth of a row at the mean. With `zero_inflation` a
        `ZeroInflatedPrior`.

    Attributes
    ----------
    weights_, rates_ : arrays (K,), (K, d)
    zero_inflation_ : array (K, d)
        Shares of structural zeros, with `zero_inflation`.
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
    _prior_of_counted = families.GammaPrior

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
        exposure: bool = False,
        zero_inflation: bool = False,
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
        self.exposure = exposure
        self.zero_inflation = zero_inflation

    def _family(self, d: int) -> families.Family[Any]:
        return self._world(1.0)

    def _simulator(self, X: Numeric) -> families.Family[Any]:
        return self._world(X[:, 0] if self._exposed else 1.0)  # exposures are given, row by row

    def _world(self, exposures: Any) -> families.Family[Any]:
        if self._inflated:
            return families.ZeroInflatedPoisson(self._exposed, exposures)
        return families.ExposedPoisson(exposures) if self._exposed else families.Poisson()

    def _given_start(self, components: Any, d: int, origin: FloatArray) -> Any:
        if self.rates_init is None:
            return components
        return replace(components, rates=self._rates_given("rates_init", d))

    def _around(self, centres: FloatArray, whole: Any) -> Any:
        rates = (1 - self._soften) * self._rates_at(centres) + self._soften * whole.rates
        if not self._inflated:
            return families.PoissonParams(rates)
        return families.ZeroInflatedPoissonParams(rates, np.repeat(whole.zeros, len(centres), axis=0))

    def _store(self, components: Any, origin: FloatArray) -> None:
        self.rates_ = components.rates
        if self._inflated:
            self.zero_inflation_ = components.zeros

    def _stored(self, origin: FloatArray) -> Any:
        if self._inflated:
            return families.ZeroInflatedPoissonParams(self.rates_, self.zero_inflation_)
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
