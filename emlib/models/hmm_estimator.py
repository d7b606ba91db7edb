"""From a hidden Markov model to an estimator: start, climb, report, and use the result."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.validation import validate_data

from ..engine import chains, em, families
from ..engine.blocks import threads
from ..engine.latent import FloatArray, Latent, schedule, tempered
from ..engine.markov import Held, HiddenMarkov, MarkovParams, MarkovPrior
from ..engine.sequences import Sequences
from .base import EMEstimator, FittedWorld
from .checks import Numeric, check_real, check_shape, check_weights, check_whole, generator, in_short
from .hmm_zeros import without_what_never_happens
from .kmeans import KMeans
from .sequence_checks import check_lengths, check_sequence_table, enough_values
from .starts import Labels, random_rows

DECODERS = ("viterbi", "map")


@dataclass(frozen=True)
class Monitor:
    """The course of a fit under the names hmmlearn gives it; `trace_` and `stop_reason_` say more."""

    history: list[float]
    iter: int
    converged: bool
    tol: float
    n_iter: int


class HMMEstimator(EMEstimator):
    """What every hidden Markov model does; a subclass names its family and its attributes."""

    _sequential = True

    # Letters of `params` and `init_params`: the attribute, and the field of the engine's parameters.
    _letters: dict[str, tuple[str, str]]
    _limit = "n_iter"

    def __init__(
        self,
        n_components: int,
        startprob_prior: Any,
        transmat_prior: Any,
        prior: Any,
        algorithm: str,
        random_state: Any,
        n_iter: int,
        tol: float,
        verbose: bool,
        params: str,
        init_params: str,
        n_init: int,
        missing: str | None,
        accelerate: Any,
        temperature: float | Sequence[float],
    ) -> None:
        self.n_components = n_components
        self.startprob_prior = startprob_prior
        self.transmat_prior = transmat_prior
        self.prior = prior
        self.algorithm = algorithm
        self.random_state = random_state
        self.n_iter = n_iter
        self.tol = tol
        self.verbose = verbose
        self.params = params
        self.init_params = init_params
        self.n_init = n_init
        self.missing = missing
        self.accelerate = accelerate
        self.temperature = temperature

    # ------------------------------------------------------------------ hooks

    def _family(self, d: int) -> families.Family[Any]:
        raise NotImplementedError

    def _family_of(self, table: Numeric) -> families.Family[Any]:
        """The family for a table that is to be fitted."""
        return self._family(table.shape[1])

    def _check_rows(self, X: Numeric, fitting: bool) -> None:
        """Refuse rows that the family cannot have produced."""

    def _origin(self, X: Numeric) -> FloatArray:
        return np.zeros(X.shape[1])

    def _components(self, d: int | None, origin: FloatArray | float, names: frozenset[str]) -> dict[str, FloatArray]:
        """The named fields of the components, from the attributes and checked; d is None where they decide it."""
        raise NotImplementedError

    def _store(self, components: Any, origin: FloatArray) -> None:
        raise NotImplementedError

    def _moved(self, components: Any, origin: FloatArray) -> Any:
        return components

    def _labels_to_start(self, X: Numeric, i: int, rng: np.random.Generator) -> Labels | None:
        """Labels of observed rows for start number i, or None for random runs."""
        raise NotImplementedError

    @property
    def _width(self) -> int:
        """How many columns the parameters speak of."""
        raise NotImplementedError

    _soften = 0.1  # starts from labels keep this much doubt: a zero rate in a start would stay zero

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Any, lengths: Any = None) -> Any:
        """Fit the model to one or more sequences.

        Parameters
        ----------
        X : array (n, d) or (n,)
            The sequences, one after the other.
        lengths : list of int, optional
            Their lengths, which must sum to n; X is one sequence if None.

        Raises
        ------
        ValueError
            In one sentence, for a bad parameter, table or lengths. The estimator is left as it was.
        """
        table, seen = check_sequence_table(X, self.missing)
        own_lengths = check_lengths(lengths, len(table))
        options = self._options()
        self._check_rows(table, True)
        K, origin = check_whole("n_components", self.n_components, 1), self._origin(table)
        self._check_letters()
        if any(letter in self.init_params for letter in self._letters if letter not in "st"):
            self._check_values(table if seen is None else table[seen], K)
        data = Sequences(table, own_lengths, origin, seen)
        family = self._family_of(table)
        starts = list(self._starts(HiddenMarkov(family), data))
        prior = self._own_prior(HiddenMarkov(family), data)
        names = frozenset(field for letter, (_, field) in self._letters.items() if letter not in self.params)
        if prior is not None and prior.components is not None and len(names & {"means", "covariances"}) == 1:
            raise ValueError(
                "prior speaks of means and covariances together; let `params` hold both m and c, or neither."
            )
        if not names:
            best = self._climb(HiddenMarkov(family), data, starts, prior=prior, **options)
        else:  # what is held may differ between starts
            best = em.best_of(
                [self._climb(HiddenMarkov(family, Held(names, s)), data, [s], prior=prior, **options) for s in starts]
            )
        if not np.isfinite(best.log_likelihood):
            raise ValueError(f"{type(self).__name__} has no finite start: {best.message}")
        self._report(_named(X, table), best)
        self.starts_ = tuple(
            replace(one, params=replace(one.params, components=self._moved(one.params.components, origin)))
            for one in best.starts
        )
        self.startprob_, self.transmat_ = best.params.start, best.params.transitions
        self._store(best.params.components, origin)
        self.monitor_ = Monitor(best.trace.tolist(), best.n_iter, best.converged, self.tol, self.n_iter)
        self._warn(best)
        return self

    def _options(self) -> dict[str, Any]:
        check_whole("n_init", self.n_init, 1)
        if self.algorithm not in DECODERS:
            raise ValueError(f"algorithm is {self.algorithm!r}; it must be 'viterbi' or 'map'.")
        given: Any = self.temperature
        if np.ndim(given) == 0:
            latents: tuple[Latent, ...] = (tempered(check_real("temperature", given)),)
        else:
            latents = schedule(given, "temperature")
        return {
            "max_iter": check_whole("n_iter", self.n_iter, 0),
            "tol": check_real("tol", self.tol),
            "latents": latents,
            "accelerate": self.accelerate,
            "executor": threads(),
            "progress": True if self.verbose else None,
        }

    def _climb(
        self,
        model: HiddenMarkov,
        data: Sequences,
        starts: list[MarkovParams],
        latents: tuple[Latent, ...],
        **options: Any,
    ) -> em.Fit[MarkovParams]:
        if len(latents) == 1:
            return em.search(model, data, starts, latent=latents[0], **options)
        temperatures, rng = [latent.temperature for latent in latents], generator(self.random_state).spawn(1)[0]
        return em.best_of([em.anneal(model, data, start, temperatures, rng=rng, **options) for start in starts])

    def _check_letters(self) -> None:
        for name in ("params", "init_params"):
            given: Any = getattr(self, name)
            if not isinstance(given, str) or not set(given) <= set(self._letters):
                letters = ", ".join(f"{letter} ({attribute})" for letter, (attribute, _) in self._letters.items())
                raise ValueError(f"{name} is {given!r}; it must be a string of letters out of {letters}.")

    def _check_values(self, X: Numeric, K: int) -> None:
        different = enough_values(X, K)
        if different < K:
            raise ValueError(
                f"n_components is {K}, but X holds only {different} different value(s); choose at most {different} "
                "states, or set all parameters and leave their letters out of init_params."
            )

    def _own_prior(self, model: HiddenMarkov, data: Sequences) -> MarkovPrior | None:
        K, components = self.n_components, self._prior_of_components(model, data)
        start = _concentration("startprob_prior", self.startprob_prior, (K,))
        transitions = _concentration("transmat_prior", self.transmat_prior, (K, K))
        if components is None and np.all(start == 1.0) and np.all(transitions == 1.0):
            return None
        return MarkovPrior(start, transitions, components)

    def _prior_of_components(self, model: HiddenMarkov, data: Sequences) -> Any:
        prior: Any = self.prior
        expected = model.family.prior_type
        if prior is None:
            return None
        if isinstance(prior, str) and prior == "weak":
            whole = model.from_labels(data, np.zeros(data.n, dtype=np.intp), 1)
            return model.family.weak_prior(whole.components, self.n_components)
        if not isinstance(prior, expected):
            raise ValueError(f"prior is {in_short(prior)}; it must be None, 'weak' or a {expected.__name__}.")
        known: Any = prior
        known.check(self._symbols_or_columns(model, data))
        return known.moved(data.rows.origin) if hasattr(known, "moved") else known

    def _symbols_or_columns(self, model: HiddenMarkov, data: Sequences) -> int:
        return data.rows.d

    def _starts(self, model: HiddenMarkov, data: Sequences) -> Iterator[MarkovParams]:
        rng, origin = generator(self.random_state), data.rows.origin
        given = frozenset(field for letter, (_, field) in self._letters.items() if letter not in self.init_params)
        for letter, (attribute, _) in self._letters.items():
            if letter not in self.init_params and not hasattr(self, attribute):
                raise ValueError(
                    f"init_params is {self.init_params!r}, so that fit begins from {attribute} as you have set it, "
                    f"but {attribute} has not been set; set it, or add {letter!r} to init_params."
                )
        chain = {name: getattr(self, f"_checked_{name}")() for name in ("start", "transitions") if name in given}
        components = self._components(self._symbols_or_columns(model, data), origin, given)
        for i in range(self.n_init if self.init_params else 1):
            labels = self._labels_to_start(data.rows.X, i, rng)
            labels = _runs(data, self.n_components, rng) if labels is None else _over_gaps(data, labels)
            soften = self._soften if self.n_components > 1 else 0.0
            guess = model.from_labels(data, labels, self.n_components, soften)
            yield replace(guess, **chain, components=replace(guess.components, **components))

    def _checked_start(self) -> FloatArray:
        return check_weights("startprob_", self.startprob_, check_whole("n_components", self.n_components, 1))

    def _checked_transitions(self) -> FloatArray:
        K = check_whole("n_components", self.n_components, 1)
        matrix = check_shape("transmat_", self.transmat_, (K, K))
        return np.stack([check_weights(f"row {i} of transmat_", row, K) for i, row in enumerate(matrix)])

    # ------------------------------------------------------------------ using the result

    def _world(self, X: Any, lengths: Any) -> tuple[HiddenMarkov, Sequences, MarkovParams]:
        """Model, data and parameters as the engine sees them; parameters fitted or set by hand."""
        for attribute, _ in self._letters.values():
            if not hasattr(self, attribute):
                raise NotFittedError(
                    f"This {type(self).__name__} has no {attribute} yet; call fit, or set its parameters by hand."
                )
        table, seen = check_sequence_table(X, self.missing)
        own_lengths = check_lengths(lengths, len(table))
        if table.shape[1] != self._width:
            raise ValueError(
                f"X has {table.shape[1]} features, but {type(self).__name__} is expecting {self._width} features "
                "as input."
            )
        if getattr(self, "n_features_in_", None) == self._width:  # parameters set by hand have columns without names
            validate_data(self, _named(X, table), reset=False, skip_check_array=True)
        self._check_rows(table, False)
        origin = self._origin(table)
        return (
            HiddenMarkov(self._family(self._width)),
            Sequences(table, own_lengths, origin, seen),
            self._known(origin),
        )

    def _fitted_world(self, X: Any, lengths: Any = None) -> FittedWorld:
        """Of a climb at temperature 1; what `params` does not name is held."""
        model, data, params = self._world(X, lengths)
        if np.ravel(self.temperature)[-1] != 1:
            raise ValueError(
                f"temperature is {self.temperature!r}; only at 1 does a fit maximise the likelihood, "
                "so that its errors are known."
            )
        self._check_letters()
        names = frozenset(field for letter, (_, field) in self._letters.items() if letter not in self.params)
        model, prior = HiddenMarkov(model.family, Held(names, params) if names else None), self._own_prior(model, data)
        params, absent = without_what_never_happens(model, data, params, prior)
        own = replace(params, components=self._moved(params.components, data.rows.origin))
        called = {of_engine: attribute.rstrip("_") for attribute, of_engine in self._letters.values()}
        return FittedWorld(model, data, params, prior, own, called, absent)

    def _known(self, origin: FloatArray | float) -> MarkovParams:
        every = frozenset(field for _, field in self._letters.values())
        parts = self._components(None, origin, every)
        return MarkovParams(self._checked_start(), self._checked_transitions(), self._params_type(**parts))

    _params_type: Any

    def score(self, X: Any, lengths: Any = None) -> float:
        """Total log-likelihood of the sequences, in nats."""
        return math.fsum(self._posterior(X, lengths)[1])

    def score_samples(self, X: Any, lengths: Any = None) -> tuple[float, FloatArray]:
        """Total log-likelihood, and the posterior probability (n, K) of each state at each row."""
        posterior, values = self._posterior(X, lengths)
        return math.fsum(values), posterior

    def predict_proba(self, X: Any, lengths: Any = None) -> FloatArray:
        """Posterior probability (n, K) of each state at each row, missing rows included."""
        return self._posterior(X, lengths)[0]

    def _posterior(self, X: Any, lengths: Any) -> tuple[FloatArray, FloatArray]:
        model, data, params = self._world(X, lengths)
        posterior, values = model.posterior(data, params)
        impossible = np.flatnonzero(~np.isfinite(values))
        if len(impossible):
            posterior = np.array(posterior)
            for q in impossible:
                first = data.cuts.firsts[q]
                posterior[first : first + data.cuts.lengths[q]] = np.nan
        return posterior, values

    def decode(self, X: Any, lengths: Any = None, algorithm: str | None = None) -> tuple[float, Labels]:
        """The hidden states, and how good they are.

        Parameters
        ----------
        X, lengths
            As in ``fit``.
        algorithm : {"viterbi", "map"}, optional
            The most probable path as a whole, or at each row the most probable state. The second makes the fewest
            wrong states on average, but its path may contain a transition that is impossible. By default the
            estimator's own.

        Returns
        -------
        float
            Log joint probability of the path and the data ("viterbi"); expected number of right states ("map").
        array (n,) of int
        """
        algorithm = self.algorithm if algorithm is None else algorithm
        if algorithm not in DECODERS:
            raise ValueError(f"algorithm is {algorithm!r}; it must be 'viterbi' or 'map'.")
        if algorithm == "map":
            posterior = self.predict_proba(X, lengths)
            return float(posterior.max(axis=1).sum()), posterior.argmax(axis=1)
        model, data, params = self._world(X, lengths)
        path, values = model.best_path(data, params)
        return math.fsum(values), path

    def predict(self, X: Any, lengths: Any = None) -> Labels:
        """The hidden states (n,), as `decode` finds them."""
        return self.decode(X, lengths)[1]

    def fit_predict(self, X: Any, lengths: Any = None) -> Labels:
        """Fit, then the hidden states (n,)."""
        return self.fit(X, lengths).predict(X, lengths)

    def sample(self, n_samples: int = 1, random_state: Any = None, currstate: int | None = None) -> tuple[Any, Labels]:
        """One sequence (n_samples, d) drawn from the model, and its states (n_samples,).

        `currstate` is the state of its first row, if that is known.
        """
        for attribute, _ in self._letters.values():
            if not hasattr(self, attribute):
                raise NotFittedError(f"This {type(self).__name__} has no {attribute} yet; call fit, or set it by hand.")
        n, params = check_whole("n_samples", n_samples, 1), self._known(0.0)
        if currstate is not None:
            if check_whole("currstate", currstate, 0) >= self.n_components:
                raise ValueError(f"currstate is {currstate}; states are counted from 0 to {self.n_components - 1}.")
            params = replace(params, start=np.eye(self.n_components)[currstate])
        model = HiddenMarkov(self._family(self._width))
        rng = generator(self.random_state if random_state is None else random_state)
        sequences, states = model.simulate_labelled(params, [n], rng)
        return self._as_sampled(sequences.rows.X), states

    def _as_sampled(self, X: Numeric) -> Numeric:
        return X

    def get_stationary_distribution(self) -> FloatArray:
        """Probabilities (K,) of the states after a long time, whatever the first was."""
        A = self._checked_transitions()
        K = len(A)
        equations = np.vstack([A.T - np.eye(K), np.ones(K)])
        found: FloatArray = np.linalg.lstsq(equations, np.append(np.zeros(K), 1.0), rcond=None)[0]
        return np.maximum(found, 0.0) / np.maximum(found, 0.0).sum()

    def _n_parameters(self) -> int:
        K = self.n_components
        free = {field: letter in self.params for letter, (_, field) in self._letters.items()}
        family = self._family(self._width)
        chain = (K - 1) * free["start"] + K * (K - 1) * free["transitions"]
        own = [field for field in free if field not in ("start", "transitions")]
        count = family.n_parameters(K, self._width)
        if len(own) == 2 and sum(free[field] for field in own) == 1:  # means or covariances alone
            means = K * self._width
            return chain + (means if free["means"] else count - means)
        return chain + count * any(free[field] for field in own)

    def bic(self, X: Any, lengths: Any = None) -> float:
        """Bayesian information criterion on X, with its observed rows as the sample size; lower is better."""
        _, data, _ = self._world(X, lengths)
        return -2.0 * self.score(X, lengths) + self._n_parameters() * math.log(len(data.rows))

    def aic(self, X: Any, lengths: Any = None) -> float:
        """Akaike information criterion on X; lower is better."""
        return -2.0 * self.score(X, lengths) + 2.0 * self._n_parameters()


def _named(X: Any, table: Numeric) -> Any:
    """What may say the names of its columns: X, or the table made of it if X has none."""
    return X if np.ndim(X) == 2 else table


def kmeans_labels(X: Numeric, K: int, rng: np.random.Generator) -> Labels:
    """Labels (n,) by K-means."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels: Labels = KMeans(K, random_state=rng).fit(X).labels_
    return labels


def nearest_labels(X: Numeric, K: int, rng: np.random.Generator) -> Labels:
    """Labels (n,) of the nearest of K random rows, columns in units of their own spread."""
    centres, spread = random_rows(X, min(K, len(X)), rng), X.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    away = [(((X - centre) / scale) ** 2).sum(axis=1) for centre in centres]
    return np.argmin(away, axis=0)


def _runs(data: Sequences, K: int, rng: np.random.Generator) -> Labels:
    """Labels (n,) in random runs, whose mean length is drawn from all scales."""
    scale = math.exp(rng.uniform(math.log(2.0), math.log(max(4.0, data.n / (2.0 * K)))))
    labels = chains.walk(
        chains.Chain(np.full(K, 1.0 / K), np.full((K, K), 1.0 / scale / K) + (1.0 - 1.0 / scale) * np.eye(K)),
        data.cuts.lengths,
        rng,
    )
    absent = np.setdiff1d(np.arange(K), labels)
    labels[rng.choice(data.n, size=min(len(absent), data.n), replace=False)] = absent[: data.n]
    return labels


def _over_gaps(data: Sequences, of_seen: Labels) -> Labels:
    """Labels of all rows: a missing one has that of the last row seen before it."""
    if data.where is None:
        return of_seen
    last = np.searchsorted(data.where, np.arange(data.n), side="right") - 1
    return of_seen[np.maximum(last, 0)]


def _concentration(name: str, value: Any, shape: tuple[int, ...]) -> float | FloatArray:
    try:
        given = np.asarray(value, dtype=float)
        np.broadcast_to(given, shape)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r}; it must be one number, or an array of shape {shape}.") from None
    if not (given >= 1.0).all():
        raise ValueError(f"{name} is {value!r}; it must be 1 or above (below 1 the prior has no maximum).")
    return given if given.ndim else float(given)
