"""From a mixture model to an estimator: start, climb, report, and use the result."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from sklearn.base import DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from ..engine import em, families
from ..engine.blocks import Rows, threads
from ..engine.chunks import Chunks
from ..engine.latent import FloatArray, Latent, schedule, tempered
from ..engine.mixture import Mixture, MixtureParams, MixturePrior
from .base import EMEstimator, FittedWorld
from .checks import Numeric, check_flag, check_real, check_weights, check_whole, generator, in_short
from .kmeans import KMeans
from .starts import Labels, OneHot, Random, Whole, enough_rows, hierarchical, kmeans_plus_plus, random_rows, reseeded
from .tables import Survey, by_chunks, is_chunked, lay_out, rows_of

Pick = Callable[[FloatArray, FloatArray], Any]
INIT_PARAMS = ("kmeans", "k-means++", "random", "random_from_data", "hierarchical", "varied")
VARIED = ("hierarchical", "kmeans", "random_from_data")  # the first start, the second, and all others


class MixtureEstimator(DensityMixin, EMEstimator):  # type: ignore[misc]
    """What every mixture estimator does: start, climb, report, and use the result.

    A subclass names its family, its columns' constraints and its attributes in five short hooks.
    """

    _called: ClassVar[Mapping[str, str]] = {}  # names of the components' fields that are not those of the attributes
    _parts_of_start: tuple[str, ...] = ()  # if these and the weights are given, nothing is left to be guessed
    _soften = 0.1  # starts from labels keep this much doubt: a zero rate in a start would stay zero

    def __init__(
        self,
        n_components: int,
        tol: float,
        max_iter: int,
        n_init: int,
        init_params: str,
        weights_init: Any,
        random_state: Any,
        warm_start: bool,
        prior: MixturePrior | str | None,
        accelerate: Any,
        temperature: float | Sequence[float],
        prune: bool,
        reseed: bool,
    ) -> None:
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.prior = prior
        self.accelerate = accelerate
        self.temperature = temperature
        self.prune = prune
        self.reseed = reseed

    # ------------------------------------------------------------------ hooks

    def _family(self, d: int) -> families.Family[Any]:
        raise NotImplementedError

    def _family_for(self, X: Any) -> families.Family[Any]:
        """The family as the climb on these rows needs it; for most the number of columns is enough."""
        return self._family(X.shape[1])

    def _origin(self, seen: Survey) -> FloatArray:
        """Where the engine measures from; the middle of the data for families of location."""
        return np.zeros(len(seen.mean))

    def _check_rows(self, X: Numeric, first: int = 0) -> None:
        """Refuse rows that the family cannot have produced; X begins at row `first` of its table."""

    def _for_start(self, X: Numeric) -> Numeric:
        """The rows as a guess should compare them."""
        return X

    def _check_fit(self, seen: Survey) -> None:
        """Refuse, or warn of, tables from which nothing can be learned."""

    def _check_prior(self, components: Any, d: int) -> None:
        """Refuse a prior of the right class that does not fit."""
        components.check(d)

    def _given_start(self, components: Any, d: int, origin: FloatArray) -> Any:
        """Components of a start with the user's own values put in place."""
        raise NotImplementedError

    def _store(self, components: Any, origin: FloatArray) -> None:
        raise NotImplementedError

    def _stored(self, origin: FloatArray) -> Any:
        """The fitted components, measured from `origin`."""
        raise NotImplementedError

    def _moved(self, components: Any, origin: FloatArray) -> Any:
        """Components measured from `origin`, in the user's coordinates."""
        return components

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Any, y: Any = None) -> Any:
        """Fit the mixture to the rows of X; `y` is ignored.

        Parameters
        ----------
        X : array (n, d)
            In memory, in a file (`numpy.memmap`), or a Dask array; the last two may be larger than memory.

        Raises
        ------
        ValueError
            In one sentence, for a bad parameter or table. The estimator is left as it was.
        """
        table, seen = self._look(X, reset=True, check_rows=self._check_rows)
        n = len(table)
        options = self._options(n)
        self._check_fit(seen)
        origin = self._origin(seen)
        rows = lay_out(table, origin, seen)
        if self.reseed and isinstance(rows, Chunks):
            raise ValueError("reseed=True looks for the rows explained worst, but X is a Dask array; set it to False.")
        model = Mixture(self._family_for(table), self._fixed_weights())
        prior = self._own_prior(model, rows)
        starts = [_possible(model, rows, start, prior) for start in self._starts(model, rows)]

        def climb(starts: list[MixtureParams]) -> em.Fit[MixtureParams]:
            return self._climb(model, rows, starts, prior=prior, **options)

        best = climb(starts)
        if not np.isfinite(best.log_likelihood):
            raise ValueError(f"{type(self).__name__} has no finite start: {best.message}")
        if self.reseed and isinstance(rows, Rows):
            best = reseeded(model, rows, best, climb)
        params = best.params
        self._report(X, best)
        self.starts_ = tuple(self._in_user_units(fit, origin) for fit in best.starts)
        self.weights_ = params.weights
        self._store(params.components, origin)
        self.lower_bounds_ = (best.trace[1:] / n).tolist()
        self.lower_bound_ = best.log_likelihood / n
        self._warn(best)
        return self

    def _in_user_units(self, fit: em.Fit[MixtureParams], origin: FloatArray) -> em.Fit[MixtureParams]:
        return replace(fit, params=replace(fit.params, components=self._moved(fit.params.components, origin)))

    def _options(self, n: int) -> dict[str, Any]:
        K = check_whole("n_components", self.n_components, 1)
        if n < K:
            raise ValueError(f"X has n_samples={n} rows, fewer than n_components={K}.")
        if not (isinstance(self.init_params, str) and self.init_params in INIT_PARAMS):
            raise ValueError(f"init_params is {self.init_params!r}; it must be one of {', '.join(INIT_PARAMS)}.")
        check_whole("n_init", self.n_init, 1)
        for name in ("warm_start", "prune", "reseed"):
            check_flag(name, getattr(self, name))
        return {
            "max_iter": check_whole("max_iter", self.max_iter, 1),
            "tol": check_real("tol", self.tol) * self._tol_unit(n),
            "latents": self._latents(),
            "accelerate": self.accelerate,
            "executor": threads(),
            "progress": True if getattr(self, "verbose", 0) else None,
        }

    def _latents(self) -> tuple[Latent, ...]:
        given: Any = self.temperature
        if np.ndim(given) == 0:
            return (tempered(check_real("temperature", given)),)
        return schedule(given, "temperature")

    def _climb(
        self,
        model: Mixture,
        rows: Rows | Chunks,
        starts: list[MixtureParams],
        latents: tuple[Latent, ...],
        **options: Any,
    ) -> em.Fit[MixtureParams]:
        if len(latents) == 1:
            return em.search(model, rows, starts, latent=latents[0], prune=self.prune, **options)
        temperatures = [latent.temperature for latent in latents]
        rng = generator(self.random_state).spawn(1)[0]  # a stream of its own, beside that of the starts
        return em.best_of([em.anneal(model, rows, start, temperatures, rng=rng, **options) for start in starts])

    def _tol_unit(self, n: int) -> float:
        return 1.0

    def _fixed_weights(self) -> FloatArray | None:
        if not check_flag("fix_weights", getattr(self, "fix_weights", False)):
            return None
        return self._weights_at_start(np.full(self.n_components, 1.0 / self.n_components))

    def _weights_at_start(self, guessed: FloatArray) -> FloatArray:
        if self.weights_init is None:
            return guessed
        return check_weights("weights_init", self.weights_init, len(guessed))

    def _own_prior(self, model: Mixture, rows: Rows | Chunks) -> MixturePrior | None:
        prior, d, origin = self.prior, rows.d, rows.origin
        if prior is None:
            return None
        if isinstance(prior, str) and prior == "weak":
            whole = model.from_responsibilities(rows, Whole(), 1)
            return MixturePrior(1.0, model.family.weak_prior(whole.components, self.n_components))
        if not isinstance(prior, MixturePrior):
            raise ValueError(
                f"prior is {in_short(prior)}; it must be None, 'weak' or an emlib.engine.mixture.MixturePrior."
            )
        weights = np.asarray(prior.weights)
        fits = weights.shape in ((), (self.n_components,)) and weights.dtype.kind in "if"
        if not fits or not (weights >= 1).all():
            raise ValueError(
                f"prior has the weights {prior.weights!r}; they must be one number, or one for each component, "
                "and 1 or above (below 1 the prior has no maximum)."
            )
        components: Any = prior.components
        expected: Any = model.family.prior_type
        if components is None:
            return prior
        if not isinstance(components, expected):
            raise ValueError(
                f"prior has components {in_short(components)}; {type(self).__name__} needs a {expected.__name__}."
            )
        self._check_prior(components, d)
        return MixturePrior(prior.weights, components.moved(origin) if hasattr(components, "moved") else components)

    def _starts(self, model: Mixture, rows: Rows | Chunks) -> Iterator[MixtureParams]:
        if self.warm_start and hasattr(self, "weights_"):
            fitted = (len(self.weights_), self.n_features_in_)
            if fitted != (self.n_components, rows.d):
                raise ValueError(
                    f"warm_start needs the last fit's {fitted[0]} components and {fitted[1]} columns, "
                    f"but {self.n_components} components and {rows.d} columns were given."
                )
            has = _shapes(self.starts_[0].params.components)
            needed = _shapes(self._shape_of_start(model, rows.d).components)
            if has != needed:  # another covariance_type, or zero_inflation turned on or off
                raise ValueError(f"warm_start needs the last fit's parameters to be {needed}, but they are {has}.")
            yield MixtureParams(self._weights_at_start(self.weights_), self._stored(rows.origin))
            return
        rng = generator(self.random_state)
        given = self._start_is_given()
        basis = rows if given or self.init_params == "random" else enough_rows(rows, rng)
        for i in range(self.n_init):
            how = VARIED[min(i, 2)] if self.init_params == "varied" else self.init_params
            guess = self._shape_of_start(model, rows.d) if given else self._guess(model, basis, rng, how)
            yield MixtureParams(
                self._weights_at_start(guess.weights),
                self._given_start(guess.components, rows.d, rows.origin),
            )

    def _start_is_given(self) -> bool:
        if self.weights_init is None and not getattr(self, "fix_weights", False):
            return False
        return self._parts_of_start != () and all(getattr(self, name) is not None for name in self._parts_of_start)

    def _shape_of_start(self, model: Mixture, d: int) -> MixtureParams:
        """Parameters of the right shape, every number of which is about to be replaced."""
        return model.from_responsibilities(np.eye(d + 1, d), Random(self.n_components, generator(0)), self.n_components)

    def _guess(self, model: Mixture, rows: Rows | Chunks, rng: np.random.Generator, how: str) -> MixtureParams:
        K = self.n_components
        if isinstance(rows, Chunks) or how == "random":  # all other starts are content with a sample
            return model.from_responsibilities(rows, Random(K, rng), K)
        if how == "hierarchical":
            return model.from_responsibilities(
                rows, OneHot(hierarchical(self._for_start(rows.X), K, rng), K, self._soften), K
            )
        if how == "kmeans":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # too few different rows will show by themselves
                labels = KMeans(K, random_state=rng).fit(self._for_start(rows.X)).labels_
            return model.from_responsibilities(rows, OneHot(labels, K, self._soften), K)
        pick = kmeans_plus_plus if how == "k-means++" else random_rows
        whole = model.from_responsibilities(rows, Whole(), 1)
        return MixtureParams(
            np.full(K, 1.0 / K), self._around(pick(self._for_start(rows.X), K, rng) - rows.origin, whole.components)
        )

    def _around(self, centres: FloatArray, whole: Any) -> Any:
        """Components at these centres, with the spread of the whole data where they need one."""
        raise NotImplementedError

    def _fitted_world(self, X: Any) -> FittedWorld:
        check_is_fitted(self)
        table, seen = self._look(X, reset=False, check_rows=self._check_rows)
        if np.ravel(self.temperature)[-1] != 1:
            raise ValueError(
                f"temperature is {self.temperature!r}; only at 1 does a fit maximise the likelihood, "
                "so that its errors are known."
            )
        origin = self._origin(seen)
        rows = lay_out(table, origin, seen)
        model = Mixture(self._family(rows.d), self.weights_ if getattr(self, "fix_weights", False) else None)
        params, own = (MixtureParams(self.weights_, self._stored(o)) for o in (origin, np.zeros(rows.d)))
        return FittedWorld(model, rows, params, self._own_prior(model, rows), own, self._called)

    def _simulator(self, X: Numeric) -> families.Family[Any]:
        """The family, such that it simulates tables like X."""
        return self._family(X.shape[1])

    # ------------------------------------------------------------------ using the result

    def _posterior(self, X: Any, first: int = 0) -> tuple[int, Iterator[tuple[FloatArray, FloatArray]]]:
        """Number of rows; responsibilities and log densities, block by block. X begins at row `first` of its table."""
        check_is_fitted(self)
        table, seen = self._look(X, reset=False, check_rows=self._check_rows, first=first)
        origin = self._origin(seen)
        model, params = Mixture(self._family(table.shape[1])), MixtureParams(self.weights_, self._stored(origin))
        return seen.n, (model.posterior(block, params) for block in rows_of(table, origin, seen).blocks())

    def _for_rows(self, pick: Pick, dtype: Any, columns: int | None, X: Any, first: int = 0) -> Any:
        """What `pick` makes of responsibilities and log densities, for every row."""
        check_is_fitted(self)
        if is_chunked(X):  # as the estimator is now: a later fit must not change what is computed later
            work = partial(copy.copy(self)._for_rows, pick, dtype, columns)
            return by_chunks(work, self._columns(X, reset=False), dtype, columns)
        n, blocks = self._posterior(X, first)
        result, done = np.empty((n,) if columns is None else (n, columns), dtype), 0
        for r, log_density in blocks:
            result[done : done + len(r)] = pick(r, log_density)
            done += len(r)
        return result

    def predict_proba(self, X: Any) -> FloatArray:
        """Responsibilities (n, K): the posterior probability of each component for each row.

        Of a Dask array this, like `predict` and `score_samples`, is a Dask array, computed when it is asked for.
        """
        check_is_fitted(self)
        return self._for_rows(_responsibilities, float, len(self.weights_), X)

    def predict(self, X: Any) -> Labels:
        """The most probable component of each row (n,)."""
        return self._for_rows(_label, np.intp, None, X)

    def fit_predict(self, X: Any, y: Any = None) -> Labels:
        """Fit, then the most probable component of each row (n,)."""
        return self.fit(X).predict(X)

    def score_samples(self, X: Any) -> FloatArray:
        """Log density of each row (n,), in nats."""
        return self._for_rows(_log_density, float, None, X)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log density of the rows, in nats."""
        value, n = self._log_likelihood(X)
        return value / n

    def sample(self, n_samples: int = 1) -> tuple[FloatArray, Labels]:
        """Draw rows (n_samples, d) from the fitted mixture, and their components (n_samples,)."""
        check_is_fitted(self)
        n = check_whole("n_samples", n_samples, 1)
        d = self.n_features_in_
        params = MixtureParams(self.weights_, self._stored(np.zeros(d)))
        rows, labels = Mixture(self._family(d)).simulate_labelled(params, n, generator(self.random_state))
        order = np.argsort(labels, kind="stable")  # grouped by component, as scikit-learn does
        return rows[order], labels[order]

    def _n_parameters(self) -> int:
        free_weights = 0 if getattr(self, "fix_weights", False) else len(self.weights_) - 1
        family = self._family(self.n_features_in_)
        return free_weights + family.n_parameters(len(self.weights_), self.n_features_in_)

    def _log_likelihood(self, X: Any) -> tuple[float, int]:
        """Summed log density of the rows, and their number."""
        if is_chunked(X):
            return float(self.score_samples(X).sum()), len(X)
        n, blocks = self._posterior(X)
        return math.fsum(float(log_density.sum()) for _, log_density in blocks), n

    def bic(self, X: Any) -> float:
        """Bayesian information criterion on X; lower is better."""
        value, n = self._log_likelihood(X)
        return -2.0 * value + self._n_parameters() * math.log(n)

    def aic(self, X: Any) -> float:
        """Akaike information criterion on X; lower is better."""
        return -2.0 * self._log_likelihood(X)[0] + 2.0 * self._n_parameters()


def _responsibilities(r: FloatArray, log_density: FloatArray) -> FloatArray:
    return r


def _label(r: FloatArray, log_density: FloatArray) -> Labels:
    return r.argmax(axis=1)


def _log_density(r: FloatArray, log_density: FloatArray) -> FloatArray:
    return log_density


def _shapes(components: Any) -> str:
    """What the parameters of components are, in words: ``means (3, 2), covariances (3, 2, 2)``."""
    return ", ".join(f"{each.name} {np.shape(getattr(components, each.name))}" for each in fields(components))


def _possible(model: Mixture, rows: Rows | Chunks, start: MixtureParams, prior: MixturePrior | None) -> MixtureParams:
    """The start, or, where the prior calls it impossible, what one step under the prior makes of it.

    A column in which all rows agree makes starts with probabilities of one, which a beta prior excludes.
    """
    if prior is None:
        return start
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            if np.isfinite(model.log_prior(start, prior)):
                return start
        return model.m_step(model.e_step(rows, start)[0], prior)
    except (em.Degenerate, np.linalg.LinAlgError):
        return start  # no density here; the loop will say so
