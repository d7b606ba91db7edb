"""From a mixture model to an estimator: start, climb, report, and use the result."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from ..engine import em, families
from ..engine.blocks import Rows, threads
from ..engine.latent import FloatArray, tempered
from ..engine.mixture import Mixture, MixtureParams, MixturePrior
from .base import EMEstimator
from .checks import Numeric, check_real, check_weights, check_whole, generator
from .kmeans import KMeans
from .starts import Labels, OneHot, Random, kmeans_plus_plus, random_rows

INIT_PARAMS = ("kmeans", "k-means++", "random", "random_from_data")


class MixtureEstimator(DensityMixin, EMEstimator):  # type: ignore[misc]
    """What every mixture estimator does: start, climb, report, and use the result.

    A subclass names its family, its columns' constraints and its attributes in five short hooks.
    """

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
        prior: MixturePrior | None,
        accelerate: Any,
        temperature: float,
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

    # ------------------------------------------------------------------ hooks

    def _family(self, d: int) -> families.Family[Any]:
        raise NotImplementedError

    def _family_for(self, X: Numeric) -> families.Family[Any]:
        """The family as the climb on these rows needs it; for most the number of columns is enough."""
        return self._family(X.shape[1])

    def _origin(self, X: Numeric) -> FloatArray:
        """Where the engine measures from; the middle of the data for families of location."""
        return np.zeros(X.shape[1])

    def _check_rows(self, X: Numeric) -> None:
        """Refuse rows that the family cannot have produced."""

    def _check_fit(self, X: Numeric) -> None:
        """Refuse, or warn of, tables from which nothing can be learned."""

    def _given_start(self, components: Any, d: int, origin: FloatArray) -> Any:
        """Components of a start with the user's own values put in place."""
        raise NotImplementedError

    def _store(self, components: Any, origin: FloatArray) -> None:
        raise NotImplementedError

    def _stored(self, origin: FloatArray) -> Any:
        """The fitted components, measured from `origin`."""
        raise NotImplementedError

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Any, y: Any = None) -> Any:
        """Fit the mixture to the rows of X; `y` is ignored.

        Raises
        ------
        ValueError
            In one sentence, for a bad parameter or table. The estimator is left as it was.
        """
        table = self._accept(X, reset=True)
        self._check_rows(table)
        options = self._options(len(table))
        self._check_fit(table)
        origin = self._origin(table)
        rows = Rows(table, origin)
        model = Mixture(self._family_for(table), self._fixed_weights())
        starts = list(self._starts(model, rows))
        best = em.search(model, rows, starts, prior=self._own_prior(table.shape[1], origin), **options)
        if not np.isfinite(best.log_likelihood):
            raise ValueError(f"{type(self).__name__} has no finite start: {best.message}")
        params, n = best.params, len(table)
        self._report(X, best)
        self.weights_ = params.weights
        self._store(params.components, origin)
        self.lower_bounds_ = (best.trace[1:] / n).tolist()
        self.lower_bound_ = best.log_likelihood / n
        self._warn(best)
        return self

    def _options(self, n: int) -> dict[str, Any]:
        K = check_whole("n_components", self.n_components, 1)
        if n < K:
            raise ValueError(f"X has n_samples={n} rows, fewer than n_components={K}.")
        if not (isinstance(self.init_params, str) and self.init_params in INIT_PARAMS):
            raise ValueError(f"init_params is {self.init_params!r}; it must be one of {', '.join(INIT_PARAMS)}.")
        check_whole("n_init", self.n_init, 1)
        return {
            "max_iter": check_whole("max_iter", self.max_iter, 1),
            "tol": check_real("tol", self.tol) * self._tol_unit(n),
            "latent": tempered(check_real("temperature", self.temperature)),
            "accelerate": self.accelerate,
            "executor": threads(),
            "progress": True if getattr(self, "verbose", 0) else None,
        }

    def _tol_unit(self, n: int) -> float:
        return 1.0

    def _fixed_weights(self) -> FloatArray | None:
        if not getattr(self, "fix_weights", False):
            return None
        return self._weights_at_start(np.full(self.n_components, 1.0 / self.n_components))

    def _weights_at_start(self, guessed: FloatArray) -> FloatArray:
        if self.weights_init is None:
            return guessed
        return check_weights("weights_init", self.weights_init, len(guessed))

    def _own_prior(self, d: int, origin: FloatArray) -> MixturePrior | None:
        prior = self.prior
        if prior is None:
            return None
        if not isinstance(prior, MixturePrior):
            raise ValueError(f"prior is {prior!r}; it must be None or an emlib.engine.mixture.MixturePrior.")
        weights = np.asarray(prior.weights)
        fits = weights.shape in ((), (self.n_components,)) and weights.dtype.kind in "if"
        if not fits or not (weights >= 1).all():
            raise ValueError(
                f"prior has the weights {prior.weights!r}; they must be one number, or one for each component, "
                "and 1 or above (below 1 the prior has no maximum)."
            )
        components: Any = prior.components
        expected: Any = self._family(d).prior_type
        if components is None:
            return prior
        if not isinstance(components, expected):
            raise ValueError(f"prior has components {components!r}; {type(self).__name__} needs a {expected.__name__}.")
        components.check(d)
        return MixturePrior(prior.weights, components.moved(origin) if hasattr(components, "moved") else components)

    def _starts(self, model: Mixture, rows: Rows) -> Iterator[MixtureParams]:
        if self.warm_start and hasattr(self, "weights_"):
            fitted = (len(self.weights_), self.n_features_in_)
            if fitted != (self.n_components, rows.d):
                raise ValueError(
                    f"warm_start needs the last fit's {fitted[0]} components and {fitted[1]} columns, "
                    f"but {self.n_components} components and {rows.d} columns were given."
                )
            yield MixtureParams(self._weights_at_start(self.weights_), self._stored(rows.origin))
            return
        rng = generator(self.random_state)
        for _ in range(self.n_init):
            guess = self._guess(model, rows, rng)
            yield MixtureParams(
                self._weights_at_start(guess.weights),
                self._given_start(guess.components, rows.d, rows.origin),
            )

    def _guess(self, model: Mixture, rows: Rows, rng: np.random.Generator) -> MixtureParams:
        K = self.n_components
        if self.init_params == "random":
            return model.from_responsibilities(rows, Random(K, rng), K)
        if self.init_params == "kmeans":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # too few different rows will show by themselves
                labels = KMeans(K, random_state=rng).fit(rows.X).labels_
            return model.from_responsibilities(rows, OneHot(labels, K, self._soften), K)
        pick = kmeans_plus_plus if self.init_params == "k-means++" else random_rows
        whole = model.from_responsibilities(rows, np.ones((rows.n, 1)), 1)
        return MixtureParams(np.full(K, 1.0 / K), self._around(pick(rows.X, K, rng) - rows.origin, whole.components))

    def _around(self, centres: FloatArray, whole: Any) -> Any:
        """Components at these centres, with the spread of the whole data where they need one."""
        raise NotImplementedError

    # ------------------------------------------------------------------ using the result

    def _posterior(self, X: Any) -> tuple[FloatArray, FloatArray]:
        check_is_fitted(self)
        table = self._accept(X, reset=False)
        self._check_rows(table)
        origin = self._origin(table)
        model = Mixture(self._family(table.shape[1]))
        return model.posterior(Rows(table, origin), MixtureParams(self.weights_, self._stored(origin)))

    def predict_proba(self, X: Any) -> FloatArray:
        """Responsibilities (n, K): the posterior probability of each component for each row."""
        return self._posterior(X)[0]

    def predict(self, X: Any) -> Labels:
        """The most probable component of each row (n,)."""
        return self.predict_proba(X).argmax(axis=1)

    def fit_predict(self, X: Any, y: Any = None) -> Labels:
        """Fit, then the most probable component of each row (n,)."""
        return self.fit(X).predict(X)

    def score_samples(self, X: Any) -> FloatArray:
        """Log density of each row (n,), in nats."""
        return self._posterior(X)[1]

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log density of the rows, in nats."""
        return float(self.score_samples(X).mean())

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

    def bic(self, X: Any) -> float:
        """Bayesian information criterion on X; lower is better."""
        log_density = self.score_samples(X)
        return -2.0 * float(log_density.sum()) + self._n_parameters() * float(np.log(len(log_density)))

    def aic(self, X: Any) -> float:
        """Akaike information criterion on X; lower is better."""
        return -2.0 * float(self.score_samples(X).sum()) + 2.0 * self._n_parameters()
