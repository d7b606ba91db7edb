"""Hidden Markov models as estimators: Gaussian, Poisson and categorical states.

Names are those of hmmlearn; the engine is that of the mixtures. Baum-Welch is `engine.em.fit` on
`engine.markov.HiddenMarkov` (the model of eq. 12.1, the M-step of eq. 12.9).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine import families
from ..engine.latent import FloatArray
from ..engine.markov import HiddenMarkov
from ..engine.sequences import Sequences
from .checks import Numeric, check_counts, check_real, check_shape, check_whole
from .hmm_estimator import HMMEstimator, kmeans_labels, nearest_labels
from .starts import Labels

SHAPES: dict[str, type[families.Family[families.GaussianParams]]] = {
    "spherical": families.SphericalGaussian,
    "diag": families.DiagonalGaussian,
    "full": families.Gaussian,
    "tied": families.TiedGaussian,
}


class GaussianHMM(HMMEstimator):
    """Hidden Markov model with Gaussian states; names as in hmmlearn.

    Parameters
    ----------
    n_components : int
        Number of states, K.
    covariance_type : {"diag", "full", "spherical", "tied"}
        A variance for each column and state, a matrix for each state, one variance for each, or one matrix for all.
    min_covar : float
        Added to the diagonal of every covariance. At 0 the likelihood never falls and may grow without bound.
    startprob_prior, transmat_prior : float or array
        Dirichlet concentrations of the start (K,) and of the rows of transitions (K, K); 1 is flat.
    prior : {None, "weak"} or NormalInverseWishart
        On means and covariances.
    algorithm : {"viterbi", "map"}
        How `predict` decodes.
    random_state : None, int, Generator or RandomState
    n_iter : int
        Most iterations of a start.
    tol : float
        Stop when less than this many nats in total are projected to be left to gain.
    verbose : bool
        Show a progress bar.
    params, init_params : str
        Letters of what ``fit`` updates, and of what it initialises: s (`startprob_`), t (`transmat_`), m (`means_`),
        c (`covars_`). What is not initialised begins as the attribute that you have set; what is not updated stays.
    n_init : int
        Number of starts: the first from K-means, the others from random centres and from random runs.
    missing : {None, "nan"}
        "nan": rows of NaN are missing observations. Otherwise NaN is refused.
    accelerate : {None, "squarem"}
        Longer strides; the climb stays monotone.
    temperature : float or falling sequence of float
        1 is Baum-Welch, 0 is Viterbi training (the best path counts as if it had been seen; it climbs the probability
        of that path, not the likelihood). A sequence anneals.

    Attributes
    ----------
    startprob_, transmat_ : arrays (K,), (K, K)
        Row i of `transmat_` is where state i goes.
    means_, covars_ : arrays (K, d), (K, d, d)
        Covariances are given as matrices whatever their type, and set in the shape of their type: (K, d), (K, d, d),
        (K,) or (d, d).
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_, starts_
        As in every EM estimator.
    monitor_ : object
        The same under hmmlearn's names: ``history``, ``iter``, ``converged``, ``tol``, ``n_iter``.

    Notes
    -----
    What differs from hmmlearn: the climb ends at a maximum by default, not after ten iterations; covariances have no
    prior unless you ask for one (hmmlearn's ``covars_prior=0.01`` widens them); `min_covar` is a floor of every
    iteration.

    References
    ----------
    Baum, Petrie, Soules & Weiss (1970); Rabiner (1989).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, 60), rng.normal(4, 1, 40), rng.normal(0, 1, 50)])
    >>> model = GaussianHMM(2, random_state=0).fit(X)
    >>> np.flatnonzero(np.diff(model.predict(X))).tolist(), model.means_.ravel().round(1).tolist()
    ([59, 99], [0.1, 4.1])
    """

    _letters = {  # noqa: RUF012 (a constant, as in the subclasses of hmmlearn)
        "s": ("startprob_", "start"),
        "t": ("transmat_", "transitions"),
        "m": ("means_", "means"),
        "c": ("covars_", "covariances"),
    }
    _soften = 0.0
    _params_type = families.GaussianParams

    def __init__(
        self,
        n_components: int = 1,
        covariance_type: str = "diag",
        *,
        min_covar: float = 1e-6,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        prior: Any = None,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10_000,
        tol: float = 1e-6,
        verbose: bool = False,
        params: str = "stmc",
        init_params: str = "stmc",
        n_init: int = 1,
        missing: str | None = None,
        accelerate: Any = None,
        temperature: float | Sequence[float] = 1.0,
    ) -> None:
        super().__init__(
            n_components,
            startprob_prior,
            transmat_prior,
            prior,
            algorithm,
            random_state,
            n_iter,
            tol,
            verbose,
            params,
            init_params,
            n_init,
            missing,
            accelerate,
            temperature,
        )
        self.covariance_type = covariance_type
        self.min_covar = min_covar

    def _family(self, d: int) -> families.Family[Any]:
        shape: Any = SHAPES.get(self.covariance_type)
        if shape is None:
            raise ValueError(
                f"covariance_type is {self.covariance_type!r}; it must be one of {', '.join(map(repr, SHAPES))}."
            )
        family: families.Family[Any] = shape(check_real("min_covar", self.min_covar))
        return family

    def _origin(self, X: Numeric) -> FloatArray:
        return X.mean(axis=0, dtype=float)

    @property
    def covars_(self) -> FloatArray:
        """Covariances (K, d, d) of the states."""
        if not hasattr(self, "_covars_"):
            raise AttributeError(f"This {type(self).__name__} has no covars_ yet; call fit, or set them by hand.")
        own = np.asarray(self._covars_)
        K = self.n_components
        if self.covariance_type == "tied":
            return np.repeat(own[None], K, axis=0)
        if self.covariance_type == "full":
            return own
        d = self._width if hasattr(self, "means_") else own.shape[-1]
        axes = own if self.covariance_type == "diag" else np.repeat(own[:, None], d, axis=1)
        return axes[:, :, None] * np.eye(d)

    @covars_.setter
    def covars_(self, value: Any) -> None:
        self._covars_ = np.array(value, dtype=float)

    @property
    def _width(self) -> int:
        return int(np.shape(self.means_)[-1])

    def _components(self, d: int | None, origin: FloatArray | float, names: frozenset[str]) -> dict[str, FloatArray]:
        K, found = check_whole("n_components", self.n_components, 1), {}
        d = self._width if d is None else d
        if "means" in names:
            found["means"] = check_shape("means_", self.means_, (K, d)) - origin
        if "covariances" in names:
            found["covariances"] = self._checked_covars(K, d)
        return found

    def _checked_covars(self, K: int, d: int) -> FloatArray:
        kind = self.covariance_type
        shapes = {"diag": (K, d), "full": (K, d, d), "spherical": (K,), "tied": (d, d)}
        given = np.asarray(self._covars_)
        if kind == "diag" and given.shape == (K, d, d):  # as `covars_` gives them
            given = np.einsum("kii->ki", given)
        values = check_shape("covars_", given, shapes[kind])
        if kind in ("diag", "spherical"):
            if not (values > 0).all():
                raise ValueError(f"covars_ holds {values.min():g}; variances must be above 0.")
        elif not np.allclose(values, values.swapaxes(-2, -1)) or (np.linalg.eigvalsh(values) <= 0).any():
            raise ValueError("covars_ holds a matrix that is not symmetric, positive-definite.")
        return values

    def _store(self, components: families.GaussianParams, origin: FloatArray) -> None:
        self.means_, self._covars_ = components.means + origin, components.covariances

    def _moved(self, components: families.GaussianParams, origin: FloatArray) -> families.GaussianParams:
        return families.GaussianParams(components.means + origin, components.covariances)

    def _labels_to_start(self, X: Numeric, i: int, rng: np.random.Generator) -> Labels | None:
        return _labels(X, self.n_components, i, rng)


class PoissonHMM(HMMEstimator):
    """Hidden Markov model with Poisson states; columns are independent within a state. Names as in hmmlearn.

    Parameters
    ----------
    n_components : int
        Number of states, K.
    prior : {None, "weak"} or GammaPrior
        On the rates.
    params, init_params : str
        As in `GaussianHMM`; the letter of `lambdas_` is l.
    startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol, verbose, n_init, missing
        As in `GaussianHMM`.
    accelerate, temperature
        As in `GaussianHMM`.

    Attributes
    ----------
    startprob_, transmat_, lambdas_ : arrays (K,), (K, K), (K, d)
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_, starts_, monitor_
        As in `GaussianHMM`.

    References
    ----------
    Leroux & Puterman (1992); Zucchini & MacDonald, *Hidden Markov Models for Time Series*.

    Examples
    --------
    Movements of a fetal lamb: calm, and restless.

    >>> import emlib
    >>> model = PoissonHMM(2, tol=1e-10, random_state=0).fit(emlib.data.fetal_lamb())
    >>> sorted(model.lambdas_.ravel().round(4).tolist()), round(model.log_likelihood_, 3)
    ([0.256, 3.1006], -177.483)
    """

    _letters = {  # noqa: RUF012
        "s": ("startprob_", "start"),
        "t": ("transmat_", "transitions"),
        "l": ("lambdas_", "rates"),
    }
    _params_type = families.PoissonParams

    def __init__(
        self,
        n_components: int = 1,
        *,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        prior: Any = None,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10_000,
        tol: float = 1e-6,
        verbose: bool = False,
        params: str = "stl",
        init_params: str = "stl",
        n_init: int = 1,
        missing: str | None = None,
        accelerate: Any = None,
        temperature: float | Sequence[float] = 1.0,
    ) -> None:
        super().__init__(
            n_components,
            startprob_prior,
            transmat_prior,
            prior,
            algorithm,
            random_state,
            n_iter,
            tol,
            verbose,
            params,
            init_params,
            n_init,
            missing,
            accelerate,
            temperature,
        )

    def _family(self, d: int) -> families.Family[Any]:
        return families.Poisson()

    def _check_rows(self, X: Numeric, fitting: bool) -> None:
        check_counts(X)

    @property
    def _width(self) -> int:
        return int(np.shape(self.lambdas_)[-1])

    def _components(self, d: int | None, origin: FloatArray | float, names: frozenset[str]) -> dict[str, FloatArray]:
        if "rates" not in names:
            return {}
        K = check_whole("n_components", self.n_components, 1)
        rates = check_shape("lambdas_", self.lambdas_, (K, self._width if d is None else d))
        if (rates < 0).any():
            raise ValueError(f"lambdas_ holds {rates.min():g}; rates must not be negative.")
        return {"rates": rates}

    def _store(self, components: families.PoissonParams, origin: FloatArray) -> None:
        self.lambdas_ = components.rates

    def _labels_to_start(self, X: Numeric, i: int, rng: np.random.Generator) -> Labels | None:
        return _labels(X, self.n_components, i, rng)

    def _as_sampled(self, X: Numeric) -> Numeric:
        return X.astype(np.int64)


class CategoricalHMM(HMMEstimator):
    """Hidden Markov model whose states emit symbols 0, 1, ...: bases, amino acids, dice; names as in hmmlearn.

    Parameters
    ----------
    n_components : int
        Number of states, K.
    n_features : int, optional
        Size of the alphabet, V; by default the largest symbol of the data and one more (or that of an
        `emissionprob_` that you have set).
    emissionprob_prior : float or array (V,)
        Dirichlet concentration of each state's symbols; 1 is flat.
    params, init_params : str
        As in `GaussianHMM`; the letter of `emissionprob_` is e.
    n_init : int
        Number of starts, all from random runs of states.
    startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol, verbose, missing, accelerate, temperature
        As in `GaussianHMM`.

    Attributes
    ----------
    startprob_, transmat_, emissionprob_ : arrays (K,), (K, K), (K, V)
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_, starts_, monitor_
        As in `GaussianHMM`.

    References
    ----------
    Durbin, Eddy, Krogh & Mitchison (1998), *Biological Sequence Analysis*, chapter 3.

    Examples
    --------
    A loaded die that shows a six every other time, its parameters known; which rolls were loaded?

    >>> casino = CategoricalHMM(2)
    >>> casino.startprob_, casino.transmat_ = [0.5, 0.5], [[0.95, 0.05], [0.1, 0.9]]
    >>> casino.emissionprob_ = [[1 / 6] * 6, [0.1] * 5 + [0.5]]
    >>> casino.predict([0, 3, 1, 2, 4, 0, 5, 5, 5, 2, 5, 5, 5, 5, 5, 5]).tolist()
    [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    """

    _letters = {  # noqa: RUF012
        "s": ("startprob_", "start"),
        "t": ("transmat_", "transitions"),
        "e": ("emissionprob_", "probs"),
    }
    _params_type = families.MultinomialParams

    def __init__(
        self,
        n_components: int = 1,
        *,
        n_features: int | None = None,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        emissionprob_prior: Any = 1.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10_000,
        tol: float = 1e-6,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        n_init: int = 1,
        missing: str | None = None,
        accelerate: Any = None,
        temperature: float | Sequence[float] = 1.0,
    ) -> None:
        super().__init__(
            n_components,
            startprob_prior,
            transmat_prior,
            None,
            algorithm,
            random_state,
            n_iter,
            tol,
            verbose,
            params,
            init_params,
            n_init,
            missing,
            accelerate,
            temperature,
        )
        self.n_features = n_features
        self.emissionprob_prior = emissionprob_prior

    def _family(self, d: int) -> families.Categorical:
        return families.Categorical(n_symbols=int(np.shape(self.emissionprob_)[-1]))

    def _family_of(self, table: Numeric) -> families.Categorical:
        return families.Categorical(n_symbols=self._alphabet(table))

    def _alphabet(self, X: Numeric) -> int:
        if self.n_features is not None:
            return check_whole("n_features", self.n_features, 1)
        if "e" not in self.init_params and hasattr(self, "emissionprob_"):
            return int(np.shape(self.emissionprob_)[-1])
        return int(X.max()) + 1

    def _check_rows(self, X: Numeric, fitting: bool) -> None:
        if X.shape[1] != 1:
            raise ValueError(f"X has {X.shape[1]} columns; symbols must stand in one, as whole numbers 0, 1, ...")
        symbols = self._alphabet(X) if fitting else int(np.shape(self.emissionprob_)[-1])
        bad = np.flatnonzero((X[:, 0] < 0) | (np.floor(X[:, 0]) != X[:, 0]) | (X[:, 0] >= symbols))
        if len(bad):
            raise ValueError(
                f"X holds {X[bad[0], 0]:g} in row {bad[0]}; the alphabet has the symbols 0 to {symbols - 1}."
            )

    @property
    def _width(self) -> int:
        return 1

    def _symbols_or_columns(self, model: HiddenMarkov, data: Sequences) -> int:
        family: Any = model.family
        return int(family.n_symbols)

    def _prior_of_components(self, model: HiddenMarkov, data: Sequences) -> Any:
        given = self.emissionprob_prior
        try:
            prior = families.DirichletPrior(np.asarray(given, dtype=float))
            if not (np.asarray(prior.concentration) >= 1.0).all():
                raise ValueError
            prior.check(self._symbols_or_columns(model, data))
        except (TypeError, ValueError):
            raise ValueError(
                f"emissionprob_prior is {given!r}; it must be a number of 1 or above, or one for each of "
                f"{self._symbols_or_columns(model, data)} symbols."
            ) from None
        return None if np.all(prior.concentration == 1.0) else prior

    def _components(self, d: int | None, origin: FloatArray | float, names: frozenset[str]) -> dict[str, FloatArray]:
        if "probs" not in names:
            return {}
        K, V = check_whole("n_components", self.n_components, 1), np.shape(self.emissionprob_)[-1] if d is None else d
        probs = check_shape("emissionprob_", self.emissionprob_, (K, V))
        if (probs < 0).any() or (abs(probs.sum(axis=1) - 1.0) > 1e-6).any():
            raise ValueError(
                "emissionprob_ holds a row that is no distribution; rows must not be negative and sum to 1."
            )
        return {"probs": probs / probs.sum(axis=1, keepdims=True)}

    def _store(self, components: families.MultinomialParams, origin: FloatArray) -> None:
        self.emissionprob_ = components.probs

    def _labels_to_start(self, X: Numeric, i: int, rng: np.random.Generator) -> Labels | None:
        return None

    def _as_sampled(self, X: Numeric) -> Numeric:
        return X.astype(np.int64)


def _labels(X: Numeric, K: int, i: int, rng: np.random.Generator) -> Labels | None:
    """K-means first, then random centres and random runs in turn."""
    if i == 0:
        return kmeans_labels(X, K, rng)
    return nearest_labels(X, K, rng) if i % 2 else None
