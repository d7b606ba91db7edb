"""Counts with more hidden about each: was it a zero before anybody counted, and at which rate was it made.

::

    structural ~ Bernoulli(zeros)                  hidden, one for every row and column; then x = 0
    rate       ~ Gamma(shape = size, mean = mean)  hidden, if counts scatter more than a Poisson's
    x          ~ Poisson(e rate)                   seen, e the exposure of the row (1 where there is none)

Both join the label among what is hidden (eq. 14.4). A count above zero was never structural; a zero may have come
either way, and Bayes' rule says how probably (eq. 14.5). What was counted is weighted by the rest, and from there on
nothing is new: the rate of a Poisson is events over exposure (eq. 14.6), a hidden rate is gamma once its count is known
(eq. 14.3) and its distribution has statistics that add up, as in `families.negative_binomial`. It is exact EM: the
objective is the likelihood with all of this summed and integrated out.

Guessed rates make a climb slow, and to a size far above the means endless. Given the counts that occur and the range
of the exposures (`tallied`), the E-step also tallies what was counted, and the M-step finds the mean and the size that
are best with only labels and structural zeros hidden (`families.exposed_tally`). The rates remain for priors, draws and
tables too large to be tallied; there the mean without exposures is still the average (an ECME step).

Sources: Lambert (1992) for zero-inflated Poisson counts and their EM; Ridout, Demetrio & Hinde (1998) for a review.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import digamma, expit, gammaln, xlogy

from ..blocks import Rows
from ..coordinates import Named, Positive, Probability
from ..em import EPS, Degenerate
from ..kernel import Natural, Statistics
from ..latent import FloatArray
from .base import NO_EVIDENCE, with_starved
from .counts import TINY, BetaPrior, GammaPrior
from .exposed_tally import ExposedCounts, means_and_sizes
from .exposure import in_turn, split_exposure
from .gamma_math import SIZES, gamma_shape, log_gamma_draws, log_minus_digamma
from .negative_binomial import (
    GammaRatesPrior,
    NegativeBinomial,
    NegativeBinomialParams,
    draw_gamma,
    log_pmf,
    size_coordinates,
)
from .tally import DistinctCounts, Lookup, among

INSIDE = 1e-9  # a jump below zero ends here: from a probability of zero EM never comes back


@dataclass(frozen=True)
class ZeroInflatedPoissonParams:
    """Rates (K, d) of what is counted, and the probability `zeros` (K, d) that nothing could be."""

    rates: FloatArray
    zeros: FloatArray


@dataclass(frozen=True)
class ZeroInflatedNegativeBinomialParams:
    """Means and sizes (K, d) of what is counted, and the probability `zeros` (K, d) that nothing could be."""

    means: FloatArray
    sizes: FloatArray
    zeros: FloatArray


@dataclass(frozen=True)
class ZeroInflatedPrior:
    """Priors of the structural zeros and of what is counted: a `GammaPrior`, or a `GammaRatesPrior`."""

    zeros: BetaPrior
    counted: Any

    def check(self, d: int) -> None:
        """Refuse a prior that is none."""
        if not isinstance(self.zeros, BetaPrior) or not isinstance(self.counted, GammaPrior | GammaRatesPrior):
            raise ValueError(
                f"prior has zeros of type {type(self.zeros).__name__} and counted of type "
                f"{type(self.counted).__name__}; a BetaPrior and a GammaPrior or GammaRatesPrior are needed."
            )
        self.zeros.check(d)
        self.counted.check(d)


@dataclass(frozen=True)
class _Sums:
    """Statistics by name: expected rows (K, 1), and for each column (K, d) what the M-step needs."""

    rows: FloatArray
    structural: FloatArray  # zeros that were none of the counting's
    events: FloatArray
    exposure: FloatArray  # of what was counted
    rates: FloatArray  # hidden ones, and their logarithms
    logs: FloatArray
    more: FloatArray  # (K, width): the tally, then rows and events at each point, if they were asked for

    def tallied(self, seen: ExposedCounts) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Rows and events (K, d, B) at the points of the exposures, and the tally (K, V)."""
        tally, points = np.split(self.more, [len(seen.counts.values)], axis=1)
        K, d = self.events.shape
        rows, events = points.reshape(K, 2, d, -1).swapaxes(0, 1)
        return rows, events, tally

    @property
    def counted(self) -> FloatArray:
        """Expected number (K, d) of entries that were counted."""
        return np.maximum(self.rows - self.structural, 0.0)


@dataclass(frozen=True)
class _Entrywise:
    """What the families of this module share.

    Parameters
    ----------
    exposed : bool
        Whether column 0 holds the exposures of the rows.
    exposures : float or array
        Those of simulated rows, in turn.
    """

    exposed: bool = False
    exposures: float | FloatArray = 1.0
    dispersed: ClassVar[bool] = False
    inflated: ClassVar[bool] = True

    @property
    def _seen(self) -> ExposedCounts | None:
        """What is tallied, if anything is."""
        return None

    @property
    def prior_type(self) -> type:
        """`ZeroInflatedPrior`, or `GammaRatesPrior` where no zero is structural."""
        return ZeroInflatedPrior if self.inflated else GammaRatesPrior

    def _params(self, means: FloatArray, sizes: FloatArray | None, zeros: FloatArray | None) -> Any:
        if sizes is None:
            return ZeroInflatedPoissonParams(means, np.asarray(zeros))
        if zeros is None:
            return NegativeBinomialParams(means, sizes)
        return ZeroInflatedNegativeBinomialParams(means, sizes, zeros)

    # ------------------------------------------------------------------ a start, without a component

    def n_features(self, d: int) -> int:
        """1 + 3 d."""
        return 1 + 3 * d

    def features(self, X: FloatArray, out: FloatArray) -> None:
        """``[1, x, x**2, x == 0]``: what a start is made from."""
        d = X.shape[1]
        out[:, 0] = 1.0
        out[:, 1 : 1 + d] = X
        np.multiply(X, X, out=out[:, 1 + d : 1 + 2 * d])
        np.equal(X, 0.0, out=out[:, 1 + 2 * d :])

    def shared(self, rows: Rows) -> FloatArray:
        """Nothing."""
        return np.zeros(0)

    def _start(self, totals: FloatArray) -> Any:
        """From moments; half of all zeros are taken to be structural, so that every answer is near."""
        N, d = totals[:, :1], (totals.shape[1] - 1) // 3
        sums, squares, empty = (totals[:, 1 + i * d : 1 + (i + 1) * d] for i in range(3))
        e1, e2 = N, N
        if self.exposed:
            e1, e2 = sums[:, :1], squares[:, :1]
            sums, squares, empty = sums[:, 1:], squares[:, 1:], empty[:, 1:]
        zeros = np.clip(0.5 * empty / N, 1e-3, 0.9) if self.inflated else None
        left = 1.0 if zeros is None else 1.0 - zeros
        mean = np.maximum(sums, 0.5) / np.maximum(e1 * left, TINY)  # half a count in all rows: zero would stay zero
        if not self.dispersed:
            return self._params(mean, None, zeros)
        excess = (squares - sums) / np.maximum(e2 * left * mean**2, TINY) - 1.0
        return self._params(mean, np.clip(1.0 / np.maximum(excess, 1e-4), 1e-2, 1e2), zeros)

    # ------------------------------------------------------------------ E

    def natural(self, params: Any, log_weights: FloatArray, rows: Rows) -> Natural:
        """Every component on its own: what is expected of a zero depends on its parameters."""
        means, sizes, zeros = _numbers(params)
        for name, values, most in (("rate", means, np.inf), ("size", sizes, np.inf), ("share of zeros", zeros, 1.0)):
            if values is None:
                continue
            bad = np.argwhere(~((values >= 0.0) & (values <= most) & np.isfinite(values)))
            if len(bad):
                k, j = (int(index) for index in bad[0])
                raise Degenerate(f"component {k} has the {name} {values[k, j]:g} in count {j}.")
        tallies = None if self._seen is None else _Tallies(self._seen, self.exposed)
        if self._seen is not None and not rows.once((self._seen, self.exposed), self._holds):
            raise ValueError("X holds counts that are not among those tallied; use DistinctCounts.of the same table.")
        special = {
            k: _Component(
                means[k],
                None if sizes is None else np.clip(sizes[k], *SIZES),
                None if zeros is None else zeros[k],
                float(log_weights[k]),
                self.exposed,
                rows.d,
                tallies,
            )
            for k in range(len(means))
        }
        scale, spread = (rows.scale[1:], rows.scale[0]) if self.exposed else (rows.scale, 1.0)
        noise = EPS * float((np.maximum(scale, spread * means) + 16.0).sum(axis=1).max())
        eta = np.zeros((len(means), self.n_features(rows.d)))
        if self.dispersed:
            return Natural(eta, special, noise=noise)
        total = rows.once(
            (type(self).__name__, self.exposed), lambda r: float(sum(self._log_base(X).sum() for X in r.cut(8192, 1)))
        )
        return Natural(eta, special, base=self._log_base, base_total=total, noise=noise)

    def _holds(self, rows: Rows) -> bool:
        """Whether every count of these rows is among those tallied."""
        assert self._seen is not None
        own = DistinctCounts.of(rows.X[:, 1:] if self.exposed else rows.X)
        return among(own, self._seen.counts) is self._seen.counts

    def _log_base(self, X: FloatArray) -> FloatArray:
        e, x = split_exposure(X) if self.exposed else (np.ones(1), X)
        return (x * np.log(e) - gammaln(x + 1.0)).sum(axis=-2)

    # ------------------------------------------------------------------ M

    def maximise(self, stats: Statistics, prior: Any = None) -> Any:
        """Share of zeros that were structural, and the rest as ever (eqs. 14.2, 14.6); under a prior, its mode."""
        d = stats.about.shape[1]
        if stats.totals.shape[1] == self.n_features(d):
            return self._start(with_starved(stats.totals))
        of_zeros, of_counted = self._parts(prior)
        s = _sums(stats.totals if prior is not None else with_starved(stats.totals), d - self.exposed)
        zeros = self._share_of_zeros(s, of_zeros) if self.inflated else None
        if not self.dispersed:
            events, exposure = (s.events, s.exposure) if of_counted is None else _events(s, of_counted)
            rates = np.where(events > NO_EVIDENCE, events, 0.0) / np.maximum(exposure, TINY)
            return self._params(rates, None, zeros)
        if of_counted is None and self._seen is not None:
            means, sizes = means_and_sizes(*s.tallied(self._seen), self._seen)
            return self._params(np.where(s.events < NO_EVIDENCE, 0.0, means), sizes, zeros)
        N, rates, logs = _rates(s, of_counted)
        N = np.maximum(N, TINY)
        sizes = gamma_shape(np.log(np.maximum(rates / N, TINY)) - logs / N)
        if of_counted is None and not self.exposed:
            return self._params(np.where(s.events < NO_EVIDENCE, 0.0, s.events) / N, sizes, zeros)
        return self._params(rates / N, sizes, zeros)

    def _share_of_zeros(self, s: _Sums, prior: BetaPrior | None) -> FloatArray:
        if prior is None:
            return np.minimum(s.structural / s.rows, 1.0)
        structural = np.maximum(s.structural + prior.a - 1.0, 0.0)
        return np.asarray(structural / (structural + np.maximum(s.counted + prior.b - 1.0, TINY)))

    def _parts(self, prior: Any) -> tuple[Any, Any]:
        """The priors of structural zeros, and of what is counted."""
        if prior is None or not self.inflated:
            return None, prior
        return prior.zeros, prior.counted

    def weak_prior(self, whole: Any, K: int) -> Any:
        """A tenth of a row, half of its zeros structural; or one hidden rate, scattered as all are."""
        means, sizes, _ = _numbers(whole)
        mean = np.maximum(means[0], 1e-3 * means.max())
        if sizes is None:
            return ZeroInflatedPrior(BetaPrior(1.05, 1.05), GammaPrior(1.0 + 0.1 * mean, 0.1))
        counted = GammaRatesPrior(1.0, mean, np.log(mean) - log_minus_digamma(np.minimum(sizes[0], 100.0)))
        return ZeroInflatedPrior(BetaPrior(1.05, 1.05), counted) if self.inflated else counted

    def slopes(self, stats: Statistics, params: Any, prior: Any = None) -> Any:
        """See `Family`: of the log density of everything hidden and seen."""
        s, (means, sizes, zeros) = _sums(stats.totals, stats.about.shape[1] - self.exposed), _numbers(params)
        of_zeros, of_counted = self._parts(prior)
        to_zeros = None
        if zeros is not None:
            a, b = (0.0, 0.0) if of_zeros is None else (of_zeros.a - 1.0, of_zeros.b - 1.0)
            to_zeros = (s.structural + a) / zeros - (s.counted + b) / (1.0 - zeros)
        if sizes is None:
            events, exposure = (s.events, s.exposure) if of_counted is None else _events(s, of_counted)
            return self._params(events / means - exposure, None, to_zeros)
        N, rates, logs = _rates(s, of_counted)
        share = rates / means
        to_sizes = N * (1.0 + log_minus_digamma(sizes) - np.log(means)) + logs - share
        return self._params(sizes / means * (share - N), to_sizes, to_zeros)

    def coordinates(self, params: Any) -> Named:
        """Logarithms of means and sizes (`size_coordinates`), logits of structural zeros."""
        kinds: dict[str, Any] = {"zeros": Probability, "sizes": size_coordinates}
        names = params.__dataclass_fields__
        return Named(type(params), {name: kinds.get(name, Positive)(getattr(params, name)) for name in names})

    def draw(self, stats: Statistics, prior: Any, rng: np.random.Generator) -> Any:
        """From the posterior given which zeros were structural, and the rates."""
        s, (of_zeros, of_counted) = _sums(stats.totals, stats.about.shape[1] - self.exposed), self._parts(prior)
        zeros = rng.beta(s.structural + of_zeros.a, s.counted + of_zeros.b) if self.inflated else None
        if not self.dispersed:
            rates = rng.standard_gamma(s.events + of_counted.shape) / (s.exposure + of_counted.rate)
            return self._params(rates, None, zeros)
        drawn = draw_gamma(*_rates(s, of_counted), rng)
        return self._params(drawn.means, drawn.sizes, zeros)

    def log_prior(self, params: Any, prior: Any) -> float:
        """See `Family.log_prior`."""
        means, sizes, zeros = _numbers(params)
        of_zeros, of_counted = self._parts(prior)
        value = 0.0
        if zeros is not None:
            value += float((xlogy(of_zeros.a - 1.0, zeros) + xlogy(of_zeros.b - 1.0, 1.0 - zeros)).sum())
        if sizes is None:
            return value + float((xlogy(of_counted.shape - 1.0, means) - of_counted.rate * means).sum())
        return value + NegativeBinomial().log_prior(NegativeBinomialParams(means, sizes), of_counted)

    def sample(self, params: Any, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        """See `Family.sample`."""
        means, sizes, zeros = _numbers(params)
        e = in_turn(self.exposures, len(labels)) if self.exposed else np.ones(len(labels))
        rates = means[labels]
        if sizes is not None:
            rates = rng.standard_gamma(sizes[labels]) * rates / sizes[labels]
        x = rng.poisson(e[:, None] * rates).astype(float)
        if zeros is not None:
            x[rng.random(x.shape) < zeros[labels]] = 0.0
        return np.column_stack([e, x]) if self.exposed else x

    def project(self, params: Any) -> Any:
        """A jump out of what is possible ends just inside; rates below zero are refused by `natural`."""
        _, sizes, zeros = _numbers(params)
        if sizes is not None:
            params = replace(params, sizes=np.minimum(sizes, SIZES[1]))
        if zeros is not None:
            zeros = np.where(zeros < 0.0, INSIDE, np.where(zeros > 1.0 - INSIDE, 1.0 - INSIDE, zeros))
            params = replace(params, zeros=zeros)
        return params

    def n_parameters(self, K: int, d: int) -> int:
        """See `Family.n_parameters`."""
        return K * (d - self.exposed) * (1 + self.dispersed + self.inflated)


@dataclass(frozen=True)
class ZeroInflatedPoisson(_Entrywise):
    """Independent Poisson counts in each column, some of whose zeros are structural.

    Parameters
    ----------
    exposed : bool
        Whether column 0 holds the exposures of the rows.
    exposures : float or array
        Those of simulated rows, in turn.

    Examples
    --------
    >>> from emlib.engine import em
    >>> from emlib.engine.mixture import Mixture
    >>> x = np.array([[0.0], [0], [0], [0], [3], [1], [2], [4]])
    >>> model = Mixture(ZeroInflatedPoisson())
    >>> found = em.fit(model, x, model.from_responsibilities(x, np.ones((8, 1)), 1), tol=1e-12).params.components
    >>> found.rates.round(3).tolist(), found.zeros.round(3).tolist()
    ([[2.232]], [[0.44]])
    """


@dataclass(frozen=True)
class _Dispersed(_Entrywise):
    tallied: ExposedCounts | None = None
    dispersed: ClassVar[bool] = True

    @property
    def _seen(self) -> ExposedCounts | None:
        return self.tallied


@dataclass(frozen=True)
class ZeroInflatedNegativeBinomial(_Dispersed):
    """Independent negative binomial counts in each column, some of whose zeros are structural.

    Parameters
    ----------
    exposed, exposures
        As in `ZeroInflatedPoisson`.
    tallied : ExposedCounts, optional
        The different counts of each column and the range of the exposures. If given, means and sizes are found at once
        instead of step by step.

    Examples
    --------
    >>> from emlib.engine import em
    >>> from emlib.engine.mixture import Mixture
    >>> x = np.array([[0.0], [0], [0], [0], [3], [1], [2], [9]])
    >>> model = Mixture(ZeroInflatedNegativeBinomial(tallied=ExposedCounts(DistinctCounts.of(x))))
    >>> found = em.fit(model, x, model.from_responsibilities(x, np.ones((8, 1)), 1), tol=1e-12).params.components
    >>> found.means.round(2).tolist(), found.sizes.round(2).tolist(), found.zeros.round(2).tolist()
    ([[2.58]], [[0.82]], [[0.27]])
    """


@dataclass(frozen=True)
class ExposedNegativeBinomial(_Dispersed):
    """Independent negative binomial counts, their means multiplied by the exposure in column 0; no structural zeros.

    Parameters
    ----------
    exposed, exposures, tallied
        As in `ZeroInflatedNegativeBinomial`.
    """

    exposed: bool = True
    inflated: ClassVar[bool] = False


# ------------------------------------------------------------------ E: one component


class _Tallies:
    """What is tallied of the piece at hand; all components of a pass share it."""

    def __init__(self, seen: ExposedCounts, exposed: bool) -> None:
        self.seen, self.exposed, self.lookup = seen, exposed, Lookup(seen.counts)
        self.piece: FloatArray | None = None

    def of(self, X: FloatArray, r: FloatArray, own: FloatArray) -> FloatArray:
        """The tally (V,), then rows and events (d B each) at each point, for rows that are of this component.

        `r` (batch, rows) says of each row how much it is, `own` (batch, d, rows) the same of what was counted.
        """
        if self.piece is not X:
            e, self.x = split_exposure(X) if self.exposed else (np.ones((len(X), 1, X.shape[2])), X)
            self.shares, self.piece = np.swapaxes(self.seen.exposures.shares(e[:, 0]), 1, 2), X
        rows, events = ((weight @ self.shares).sum(axis=0) for weight in (own, own * self.x))
        return np.concatenate([self.lookup.tally(self.x, r), rows.ravel(), events.ravel()])


@dataclass(frozen=True, eq=False)
class _Component:
    """One component, as a `differences.Special`; its statistics are listed in `_Sums`."""

    means: FloatArray
    sizes: FloatArray | None
    zeros: FloatArray | None
    log_weight: float
    exposed: bool
    width: int  # columns of the table
    tallies: _Tallies | None

    @property
    def mean(self) -> FloatArray:
        """The origin: nothing is measured as a difference here."""
        return np.zeros(self.width)

    def _split(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        return split_exposure(X) if self.exposed else (np.ones((1, 1, 1)), X)

    def _counted(self, e: FloatArray, x: FloatArray) -> FloatArray:
        """Log probability of each count, had it been counted; for a Poisson without what no parameter touches."""
        mean = np.maximum(self.means, TINY)[:, None]
        if self.sizes is None:
            return np.asarray(x * np.log(mean) - e * mean)
        return log_pmf(x, e * mean, self.sizes[:, None])

    def _structural(self, e: FloatArray, x: FloatArray) -> FloatArray:
        """How probable it is that a count was a structural zero (eq. 14.5)."""
        assert self.zeros is not None
        with np.errstate(divide="ignore"):
            odds = np.log(self.zeros) - np.log1p(-self.zeros)
        return np.where(x == 0.0, expit(odds[:, None] - self._counted(e, np.zeros((1, 1, 1)))), 0.0)

    def log_joint(self, X: FloatArray) -> FloatArray:
        """See `Special.log_joint` (eq. 14.4)."""
        e, x = self._split(X)
        logs = self._counted(e, x)
        if self.zeros is not None:
            with np.errstate(divide="ignore"):
                logs = logs + np.log1p(-self.zeros)[:, None]
                logs = np.where(x == 0.0, np.logaddexp(np.log(self.zeros)[:, None], logs), logs)
        return np.asarray(self.log_weight + logs.sum(axis=1))

    def totals(self, X: FloatArray, r: FloatArray, rng: np.random.Generator | None = None) -> FloatArray:
        """See `Special.totals`; with `rng`, r are labels, and everything else that is hidden is drawn."""
        e, x = self._split(X)
        if rng is not None:  # only the rows that are here
            X = np.swapaxes(X, 1, 2)[r > 0.0].T[None]
            e, x = self._split(X)
            r = r[r > 0.0][None]
        own, structural = np.broadcast_to(r[:, None], x.shape), np.zeros(len(self.means))
        if self.zeros is not None:
            s = self._structural(e, x)
            s = s if rng is None else (rng.random(s.shape) < s).astype(float)
            structural, own = np.einsum("ndb,nb->d", s, r), own * (1.0 - s)
        events, exposure = (own * x).sum(axis=(0, 2)), (own * e).sum(axis=(0, 2))
        rates = logs = np.zeros(len(self.means))
        if self.sizes is not None:
            rate, log_rate = self._hidden_rates(e, x, rng)
            rates, logs = (own * rate).sum(axis=(0, 2)), (own * log_rate).sum(axis=(0, 2))
        more = np.zeros(0) if self.tallies is None else self.tallies.of(X, r, own)
        return np.concatenate([[r.sum()], structural, events, exposure, rates, logs, more])

    def _hidden_rates(
        self, e: FloatArray, x: FloatArray, rng: np.random.Generator | None
    ) -> tuple[FloatArray, FloatArray]:
        """A rate and its logarithm given the count (eq. 14.3): gamma of shape x + size; expected, or drawn."""
        assert self.sizes is not None
        size, mean = self.sizes[:, None], np.maximum(self.means, TINY)[:, None]
        scale = mean / (e * mean + size)
        if rng is None:
            return (x + size) * scale, digamma(x + size) + np.log(scale)
        log_rate = log_gamma_draws(x + size, rng) + np.log(scale)
        return np.exp(log_rate), log_rate


# ------------------------------------------------------------------ M: from statistics to parameters


def _sums(totals: FloatArray, d: int) -> _Sums:
    ends = [1, *(1 + i * d for i in range(1, 6))]
    return _Sums(*np.split(totals, ends, axis=1))


def _numbers(params: Any) -> tuple[FloatArray, FloatArray | None, FloatArray | None]:
    """Rates or means, sizes and shares of structural zeros, as far as there are any."""
    means = params.rates if hasattr(params, "rates") else params.means
    return means, getattr(params, "sizes", None), getattr(params, "zeros", None)


def _events(s: _Sums, prior: GammaPrior) -> tuple[FloatArray, FloatArray]:
    """Events and exposure, those of the prior included."""
    return np.maximum(s.events + (prior.shape - 1.0), 0.0), s.exposure + prior.rate


def _rates(s: _Sums, prior: GammaRatesPrior | None) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Number, sum and log sum (K, d) of the hidden rates, those of the prior included."""
    if prior is None:
        return s.counted, s.rates, s.logs
    N, mean, log_mean = prior.rows, np.asarray(prior.mean), np.asarray(prior.log_mean)
    return s.counted + N, s.rates + N * mean, s.logs + N * log_mean
