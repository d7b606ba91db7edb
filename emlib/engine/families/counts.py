"""Components of counts."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, gammaln, xlogy

from ..blocks import Rows
from ..coordinates import Named, Positive, Probability, Simplex
from ..differences import Special
from ..em import EPS
from ..kernel import Natural, Statistics
from ..latent import FloatArray
from .base import Linear, dirichlet, with_starved

TINY = 1e-300  # log(TINY) is finite: a rate or probability of zero meets only zero counts


class _OfCounts(Linear):
    """Families of counts: a base measure that depends on the data alone."""

    def log_base(self, X: FloatArray) -> FloatArray:
        """Terms of the log density that no parameter touches: X (..., d, rows) to (..., rows)."""
        raise NotImplementedError

    @property
    def _key(self) -> Hashable:
        """What `log_base` depends on besides the data."""
        return type(self).__name__

    def _natural(self, first: FloatArray, slope: FloatArray, rows: Rows, noise: FloatArray | float = 0.0) -> Natural:
        """Natural parameters [first, slope], with the base measure of the rows, summed once.

        What cancels between the terms of a row has been rounded before: `noise` per row is that of
        their sizes, at the least.
        """
        size = np.abs(first) + np.abs(slope) @ rows.scale
        noise = noise + 4 * EPS * np.where(np.isfinite(size), size, 0.0)
        total = rows.once(self._key, lambda r: float(sum(self.log_base(X).sum() for X in r.cut(8192, 1))))
        eta = np.concatenate([first[:, None], slope], axis=1)
        return Natural(eta, base=self.log_base, base_total=total, noise=noise)

    def n_parameters(self, K: int, d: int) -> int:
        """See `Family.n_parameters`."""
        return K * d


@dataclass(frozen=True)
class PoissonParams:
    """Rates (K, d)."""

    rates: FloatArray


@dataclass(frozen=True)
class GammaPrior:
    """Conjugate prior of Poisson rates: as if `shape - 1` events had been seen in `rate` rows (eq. 4.10).

    Each is one number, or one for each column (d,).
    """

    shape: float | FloatArray = 1.0
    rate: float | FloatArray = 0.0

    def check(self, d: int) -> None:
        """Refuse a prior that is none."""
        _check_columns("shape", self.shape, d)
        _check_columns("rate", self.rate, d)
        if not (np.all(np.asarray(self.shape) > 0) and np.all(np.asarray(self.rate) >= 0)):
            raise ValueError(f"prior has shape {self.shape!r} and rate {self.rate!r}; they must be positive.")

    @property
    def proper(self) -> bool:
        """Whether it is a distribution: at a rate of 0 its integral is infinite."""
        return bool(np.all(np.asarray(self.rate) > 0))


@dataclass(frozen=True)
class Poisson(_OfCounts):
    """Independent Poisson counts in each column."""

    @property
    def prior_type(self) -> type:
        """`GammaPrior`."""
        return GammaPrior

    def natural(self, params: PoissonParams, log_weights: FloatArray, rows: Rows) -> Natural:
        """``[log w - sum of rates, log rate]``."""
        first = log_weights - params.rates.sum(axis=1)
        return self._natural(first, log_of(params.rates), rows)

    def log_base(self, X: FloatArray) -> FloatArray:
        """``-log x!``."""
        return -gammaln(X + 1.0).sum(axis=-2)

    def _sums(self, totals: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Events (K, d), and how many rows (K, 1) they were seen in."""
        return totals[:, 1:], totals[:, :1]

    def maximise(self, stats: Statistics, prior: GammaPrior | None = None) -> PoissonParams:
        """Mean count of each component's share of the rows (eq. 4.4), or its maximum a posteriori (eq. 4.11)."""
        if prior is None:
            events, exposure = self._sums(with_starved(stats.totals))
            return PoissonParams(events / exposure)
        totals = (
            with_starved(stats.totals) if np.any(np.asarray(prior.rate) == 0) else stats.totals
        )  # a flat prior fills nothing in
        events, exposure = self._sums(totals)
        return PoissonParams(np.maximum(events + (prior.shape - 1.0), 0.0) / (exposure + prior.rate))

    def weak_prior(self, whole: PoissonParams, K: int) -> GammaPrior:
        """A tenth of a row at the mean of each column."""
        return GammaPrior(1.0 + 0.1 * whole.rates[0], 0.1)

    def draw(self, stats: Statistics, prior: GammaPrior, rng: np.random.Generator) -> PoissonParams:
        """From the gamma posterior."""
        events, exposure = self._sums(stats.totals)
        return PoissonParams(rng.gamma(events + prior.shape) / (exposure + prior.rate))

    def draw_prior(self, prior: GammaPrior, K: int, d: int, rng: np.random.Generator) -> PoissonParams:
        """K components from the prior itself."""
        return PoissonParams(rng.gamma(np.broadcast_to(prior.shape, (K, d))) / prior.rate)

    def log_evidence(self, stats: Statistics, prior: GammaPrior) -> FloatArray:
        """Log probability (K,) of the rows of each component, its rates integrated out; without the base measure."""
        shape, rate = np.asarray(prior.shape, dtype=float), np.asarray(prior.rate, dtype=float)
        events, exposure = self._sums(stats.totals)
        after = events + shape
        before = shape * np.log(rate) - gammaln(shape)
        return (before + gammaln(after) - after * np.log(exposure + rate)).sum(axis=1)

    def log_prior(self, params: PoissonParams, prior: GammaPrior) -> float:
        """See `Family.log_prior`."""
        return float((xlogy(prior.shape - 1.0, params.rates) - prior.rate * params.rates).sum())

    def slopes(self, stats: Statistics, params: PoissonParams, prior: GammaPrior | None = None) -> PoissonParams:
        """See `Family`."""
        events, exposure = self._sums(stats.totals)
        if prior is not None:
            events, exposure = events + (prior.shape - 1.0), exposure + prior.rate
        return PoissonParams(events / params.rates - exposure)

    def coordinates(self, params: PoissonParams) -> Named:
        """Logarithms of the rates."""
        return Named(PoissonParams, {"rates": Positive(params.rates)})

    def sample(self, params: PoissonParams, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        """See `Family.sample`."""
        return rng.poisson(params.rates[labels]).astype(float)


@dataclass(frozen=True)
class BinomialParams:
    """Success probabilities (K, d)."""

    probs: FloatArray


@dataclass(frozen=True)
class BetaPrior:
    """Conjugate prior of probabilities: as if `a - 1` successes and `b - 1` failures had been seen (eq. 4.10).

    Each is one number, or one for each column (d,).
    """

    a: float | FloatArray = 1.0
    b: float | FloatArray = 1.0

    def check(self, d: int) -> None:
        """Refuse a prior that is none."""
        _check_columns("a", self.a, d)
        _check_columns("b", self.b, d)
        if not (np.all(np.asarray(self.a) > 0) and np.all(np.asarray(self.b) > 0)):
            raise ValueError(f"prior has a {self.a!r} and b {self.b!r}; they must be positive.")


@dataclass(frozen=True)
class Binomial(_OfCounts):
    """Independent counts of successes among `n_trials` (d,) trials in each column."""

    n_trials: FloatArray

    @property
    def prior_type(self) -> type:
        """`BetaPrior`."""
        return BetaPrior

    def natural(self, params: BinomialParams, log_weights: FloatArray, rows: Rows) -> Natural:
        """``[log w + sum of n log(1 - p), log p - log(1 - p)]`` (eq. 1.1)."""
        failure = log_of(1.0 - params.probs)
        first = log_weights + failure @ self.n_trials
        slope = log_of(params.probs) - failure
        # At p = 1 numbers near 700 cancel; the loop must not take their rounding for a fall.
        noise = EPS * ((np.abs(failure) + np.abs(slope)) @ self.n_trials)
        return self._natural(first, slope, rows, noise)

    @property
    def _key(self) -> Hashable:
        return type(self).__name__, self.n_trials.tobytes()

    def log_base(self, X: FloatArray) -> FloatArray:
        """Log of the binomial coefficients."""
        n = self.n_trials[:, None]
        return (gammaln(n + 1.0) - gammaln(X + 1.0) - gammaln(n - X + 1.0)).sum(axis=-2)

    def maximise(self, stats: Statistics, prior: BetaPrior | None = None) -> BinomialParams:
        """Expected successes over expected trials (eq. 4.4), or its maximum a posteriori (eq. 4.11)."""
        if prior is None:
            totals = with_starved(stats.totals)
            return BinomialParams(np.minimum(totals[:, 1:] / (totals[:, :1] * self.n_trials), 1.0))
        flat = np.any((np.asarray(prior.a) == 1) & (np.asarray(prior.b) == 1))
        totals = with_starved(stats.totals) if flat else stats.totals
        successes = np.maximum(totals[:, 1:] + (prior.a - 1.0), 0.0)
        failures = np.maximum(totals[:, :1] * self.n_trials - totals[:, 1:] + (prior.b - 1.0), 0.0)
        return BinomialParams(successes / (successes + failures))

    def weak_prior(self, whole: BinomialParams, K: int) -> BetaPrior:
        """A tenth of a row with the successes of all rows."""
        pseudo = 0.1 * self.n_trials
        return BetaPrior(1.0 + pseudo * whole.probs[0], 1.0 + pseudo * (1.0 - whole.probs[0]))

    def draw(self, stats: Statistics, prior: BetaPrior, rng: np.random.Generator) -> BinomialParams:
        """From the beta posterior."""
        successes = stats.totals[:, 1:]
        failures = np.maximum(stats.totals[:, :1] * self.n_trials - successes, 0.0)
        return BinomialParams(rng.beta(successes + prior.a, failures + prior.b))

    def draw_prior(self, prior: BetaPrior, K: int, d: int, rng: np.random.Generator) -> BinomialParams:
        """K components from the prior itself."""
        return BinomialParams(rng.beta(prior.a, prior.b, size=(K, d)))

    def log_evidence(self, stats: Statistics, prior: BetaPrior) -> FloatArray:
        """Log probability (K,) of the rows of each component, as that of `Poisson`."""
        successes = stats.totals[:, 1:]
        failures = stats.totals[:, :1] * self.n_trials - successes
        return (betaln(successes + prior.a, failures + prior.b) - betaln(prior.a, prior.b)).sum(axis=1)

    def log_prior(self, params: BinomialParams, prior: BetaPrior) -> float:
        """See `Family.log_prior`."""
        return float((xlogy(prior.a - 1.0, params.probs) + xlogy(prior.b - 1.0, 1.0 - params.probs)).sum())

    def slopes(self, stats: Statistics, params: BinomialParams, prior: BetaPrior | None = None) -> BinomialParams:
        """See `Family`."""
        successes = stats.totals[:, 1:]
        failures = stats.totals[:, :1] * self.n_trials - successes
        if prior is not None:
            successes, failures = successes + (prior.a - 1.0), failures + (prior.b - 1.0)
        return BinomialParams(successes / params.probs - failures / (1.0 - params.probs))

    def coordinates(self, params: BinomialParams) -> Named:
        """Logits of the probabilities."""
        return Named(BinomialParams, {"probs": Probability(params.probs)})

    def sample(self, params: BinomialParams, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        """See `Family.sample`."""
        return rng.binomial(self.n_trials.astype(int), params.probs[labels]).astype(float)


@dataclass(frozen=True)
class MultinomialParams:
    """Probabilities (K, d) of the d categories; each row sums to 1."""

    probs: FloatArray


@dataclass(frozen=True)
class DirichletPrior:
    """Conjugate prior of a row of probabilities: as if `concentration - 1` of each had been seen (eq. 4.10)."""

    concentration: float | FloatArray = 1.0

    def check(self, d: int) -> None:
        """Refuse a prior that does not fit d categories."""
        if np.shape(self.concentration) not in ((), (d,)) or not np.all(np.asarray(self.concentration) > 0):
            raise ValueError(
                f"prior has the concentration {self.concentration!r}; it must be a positive number, or {d} of them."
            )


@dataclass(frozen=True)
class Multinomial(_OfCounts):
    """Counts of d categories that share the total of their row: reads of a cell, bases of a site.

    The totals are given, not modelled; `total` is that of simulated rows, or of each of them.
    """

    total: int | NDArray[np.int64] = 100

    @property
    def prior_type(self) -> type:
        """`DirichletPrior`."""
        return DirichletPrior

    def natural(self, params: MultinomialParams, log_weights: FloatArray, rows: Rows) -> Natural:
        """``[log w, log probs]``."""
        return self._natural(log_weights, log_of(params.probs), rows)

    def log_base(self, X: FloatArray) -> FloatArray:
        """Log of the multinomial coefficients."""
        return gammaln(X.sum(axis=-2) + 1.0) - gammaln(X + 1.0).sum(axis=-2)

    def maximise(self, stats: Statistics, prior: DirichletPrior | None = None) -> MultinomialParams:
        """Each category's share of all that is counted (eq. 4.4), or its maximum a posteriori (eq. 4.11)."""
        if prior is None:
            counts = with_starved(stats.totals)[:, 1:]
        else:
            counts = np.maximum(stats.totals[:, 1:] + np.asarray(prior.concentration) - 1.0, 0.0)
        total = counts.sum(axis=1, keepdims=True)
        # A component of empty rows says nothing about categories: all are as likely.
        return MultinomialParams(np.where(total > 0, counts / np.maximum(total, TINY), 1.0 / counts.shape[1]))

    def weak_prior(self, whole: MultinomialParams, K: int) -> DirichletPrior:
        """One count, shared out as in all rows."""
        return DirichletPrior(1.0 + whole.probs[0])

    def draw(self, stats: Statistics, prior: DirichletPrior, rng: np.random.Generator) -> MultinomialParams:
        """From the Dirichlet posterior."""
        return MultinomialParams(dirichlet(stats.totals[:, 1:] + prior.concentration, rng))

    def draw_prior(self, prior: DirichletPrior, K: int, d: int, rng: np.random.Generator) -> MultinomialParams:
        """K components from the prior itself."""
        return MultinomialParams(dirichlet(np.broadcast_to(np.asarray(prior.concentration, dtype=float), (K, d)), rng))

    def log_evidence(self, stats: Statistics, prior: DirichletPrior) -> FloatArray:
        """Log probability (K,) of the rows of each component, as that of `Poisson`."""
        before = np.broadcast_to(np.asarray(prior.concentration, dtype=float), stats.totals[:, 1:].shape)
        after = before + stats.totals[:, 1:]
        of_totals = gammaln(before.sum(axis=1)) - gammaln(after.sum(axis=1))
        return of_totals + (gammaln(after) - gammaln(before)).sum(axis=1)

    def log_prior(self, params: MultinomialParams, prior: DirichletPrior) -> float:
        """See `Family.log_prior`."""
        return float(xlogy(np.asarray(prior.concentration) - 1.0, params.probs).sum())

    def slopes(
        self, stats: Statistics, params: MultinomialParams, prior: DirichletPrior | None = None
    ) -> MultinomialParams:
        """See `Family`. Each as if the others stood still; `Simplex` knows that they cannot."""
        pseudo = 0.0 if prior is None else np.asarray(prior.concentration) - 1.0
        return MultinomialParams((stats.totals[:, 1:] + pseudo) / params.probs)

    def coordinates(self, params: MultinomialParams) -> Named:
        """Log-ratios of categories."""
        return Named(MultinomialParams, {"probs": Simplex(params.probs)})

    def sample(self, params: MultinomialParams, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        """Rows with a total of `total` each; see `Family.sample`."""
        return rng.multinomial(self.total, params.probs[labels]).astype(float)

    def project(self, params: MultinomialParams) -> MultinomialParams:
        """Rows that sum to 1 to the last digit."""
        return MultinomialParams(params.probs / params.probs.sum(axis=1, keepdims=True))

    def n_parameters(self, K: int, d: int) -> int:
        """See `Family.n_parameters`."""
        return K * (d - 1)


@dataclass(frozen=True)
class Categorical(Multinomial):
    """One of `n_symbols` symbols 0, 1, ... in each row: a base, a face of a die. T(x) has a 1 at the symbol.

    In a mixture one symbol a row tells components apart only by the order in which symbols follow each other, which a
    mixture does not see; so this is a family for hidden chains (`engine.markov`).
    """

    total: int = 1
    n_symbols: int = 2

    def n_features(self, d: int) -> int:
        """1 + the number of symbols."""
        return 1 + self.n_symbols

    def features(self, X: FloatArray, out: FloatArray) -> None:
        """See `Family.features`."""
        out[:, 0] = 1.0
        np.equal(X, np.arange(float(self.n_symbols))[:, None], out=out[:, 1:])

    def natural(self, params: MultinomialParams, log_weights: FloatArray, rows: Rows) -> Natural:
        """Log probabilities, looked up instead of multiplied: the alphabet may be large."""
        with np.errstate(divide="ignore"):  # an impossible symbol has the density zero
            tables = log_weights[:, None] + np.log(np.where(params.probs >= 0.0, params.probs, np.nan))
        symbols, d = _Symbols(), rows.d
        special: dict[int, Special] = {k: _Table(np.zeros(d), table, symbols) for k, table in enumerate(tables)}
        return Natural(np.concatenate([log_weights[:, None], tables], axis=1), special, noise=4 * EPS)

    def sample(self, params: MultinomialParams, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        """See `Family.sample`."""
        above = np.cumsum(params.probs, axis=1)[:, :-1]
        return (above[labels] < rng.random(len(labels))[:, None]).sum(axis=1)[:, None].astype(float)

    def n_parameters(self, K: int, d: int) -> int:
        """See `Family.n_parameters`."""
        return K * (self.n_symbols - 1)


class _Symbols:
    """The piece at hand as indices; all components of a pass share them."""

    def __init__(self) -> None:
        self.piece: FloatArray | None = None

    def of(self, X: FloatArray) -> NDArray[np.intp]:
        if self.piece is not X:
            self.indices, self.piece = X[:, 0].astype(np.intp), X
        return self.indices


@dataclass(frozen=True)
class _Table:
    """One row of symbol probabilities, as a `kernel.Special`."""

    mean: FloatArray
    table: FloatArray
    symbols: _Symbols

    def log_joint(self, X: FloatArray) -> FloatArray:
        """See `Special.log_joint`."""
        return np.take(self.table, self.symbols.of(X))

    def totals(self, X: FloatArray, r: FloatArray, rng: np.random.Generator | None = None) -> FloatArray:
        """See `Special.totals`."""
        counts = np.bincount(self.symbols.of(X).ravel(), r.ravel(), len(self.table))
        return np.concatenate([[counts.sum()], counts])


def log_of(p: FloatArray) -> FloatArray:
    """Logarithm with a finite value at zero, and NaN below it: no density there."""
    return np.log(np.where(p >= 0.0, np.maximum(p, TINY), np.nan))


def _check_columns(name: str, value: float | FloatArray, d: int) -> None:
    if np.shape(value) not in ((), (d,)):
        raise ValueError(f"prior has a {name} of shape {np.shape(value)}; it must be a number, or {d} of them.")
