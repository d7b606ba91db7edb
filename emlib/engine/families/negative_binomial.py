"""Counts whose rates differ from row to row: a Poisson whose rate is itself hidden.

::

    rate ~ Gamma(shape = size, mean = mean)        hidden, one for every row and column
    x    ~ Poisson(rate)                           seen

The counts are then negative binomial, with variance ``mean + mean**2 / size``. This family has no
sufficient statistic of finite length in its size, but the gamma distribution of the rates has:
their sum and the sum of their logarithms. So the rate joins the label among what is hidden::

    E:  E[rate | x]     = (x + size) / (1 + size / mean)
        E[log rate | x] = digamma(x + size) - log(1 + size / mean)
    M:  log size - digamma(size) = log(average rate) - average of log rate

which is exact EM: the objective is the negative binomial likelihood itself.

What is hidden must be guessed, and guesses make a climb slow. Near its top this one leaves about
``1 - (mean / (mean + size))**2`` of the way in size after each step, more where both are below one:
0.75 where mean and size are equal, 0.9999 where the size is a hundred means; and a component without
overdispersion never arrives, since its size is infinite. Two remedies keep the likelihood climbing:

- The mean that is best with the labels alone hidden is the average count, whatever the size. Given
  that nothing is gained by guessing, it is taken from the counts (an ECME step).
- Counts repeat, and can be tallied: with the expected number of rows at each of the different
  counts (`NegativeBinomial.tallied`) the size that is best with the labels alone hidden is one
  equation in one unknown. A tally is an additive statistic as well, if a long one.

The rates remain for what a tally does not do: priors, draws, and tables too large to be tallied.

Sources: Greenwood & Yule (1920) for the gamma-Poisson; Fisher (1941) and Robinson & Smyth (2008)
for its size; Minka (2002) for the shape of a gamma; Liu & Rubin (1994) for ECME; Aragon, Eberly &
Eberly (1992): there is one best size if the variance exceeds the mean, else it is infinite.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from ..blocks import BLOCK_ROWS, Rows
from ..em import EPS, Degenerate
from ..kernel import Natural, Statistics
from ..latent import FloatArray
from .base import NO_EVIDENCE, with_starved
from .counts import TINY
from .gamma_math import (
    LARGE,
    SIZES,
    draw_from_log_density,
    gamma_shape,
    log_gamma_draws,
    log_minus_digamma,
    stirling,
    trigamma_minus_inverse,
)

TABLE = 2**22  # numbers in the tables and tallies of a pass, 32 MB each; beyond, every entry is computed


@dataclass(frozen=True)
class NegativeBinomialParams:
    """Means (K, d) and sizes (K, d); the variance is ``means + means**2 / sizes``.

    Sizes lie between 1e-8 and 1e8 (`gamma_math.SIZES`). A component whose variance does not exceed
    its mean has the largest, at which its likelihood is that of a Poisson to within
    ``n * mean * 1e-8`` nats.
    """

    means: FloatArray
    sizes: FloatArray


@dataclass(frozen=True)
class GammaRatesPrior:
    """Conjugate prior of means and sizes: as if `rows` hidden rates had been seen.

    Parameters
    ----------
    rows : float
        How many.
    mean : float or array (d,)
        Their average.
    log_mean : float or array (d,)
        The average of their logarithms, below ``log(mean)``. A gamma distribution of shape a has
        ``log(mean) - log_mean = log a - digamma(a)``, about ``1 / (2 a)``.

    Notes
    -----
    The density is over the logarithm of the mean and the size (their uniform measure): doubling
    the unit of the counts doubles the mean and changes nothing else. It is proper.

    Examples
    --------
    Ten rates, as from a gamma distribution of mean 5 and shape 2:

    >>> prior = GammaRatesPrior.like(rows=10.0, mean=5.0, size=2.0)
    >>> round(prior.log_mean, 4)
    1.3391
    """

    rows: float
    mean: float | FloatArray
    log_mean: float | FloatArray

    @classmethod
    def like(cls, rows: float, mean: float, size: float) -> GammaRatesPrior:
        """The prior of `rows` rates that look like those of a given mean and size: its mode."""
        return cls(rows, mean, float(np.log(mean) - log_minus_digamma(np.asarray(float(size)))))

    def check(self, d: int) -> None:
        """Refuse a prior that is none, or does not fit d columns."""
        mean, log_mean = np.asarray(self.mean, dtype=float), np.asarray(self.log_mean, dtype=float)
        if not self.rows > 0:
            raise ValueError(f"prior has rows {self.rows!r}; it must be a number above 0.")
        if mean.shape not in ((), (d,)) or log_mean.shape not in ((), (d,)):
            raise ValueError(
                f"prior has a mean of shape {mean.shape} and a log_mean of shape {log_mean.shape}; "
                f"each must be one number, or {d} of them."
            )
        if not ((mean > 0).all() and np.isfinite(mean).all()):
            raise ValueError(f"prior has the mean {self.mean!r}; it must be positive.")
        if not ((log_mean < np.log(mean)).all() and np.isfinite(log_mean).all()):
            raise ValueError(
                f"prior has the log_mean {self.log_mean!r} and the mean {self.mean!r}; "
                "log_mean must be below log(mean), as for all numbers that differ."
            )


def log_pmf(x: FloatArray, mean: FloatArray, size: FloatArray) -> FloatArray:
    """Log probability of counts, to the last digits for every size.

    The usual difference of ``log Gamma(x + size)`` and ``log Gamma(size)`` loses all of them where
    the size is large. Here large terms are cancelled by hand, in the manner of Loader (2000).

    Examples
    --------
    >>> log_pmf(np.array([0.0, 3.0]), np.array(2.0), np.array(1e8)).round(6).tolist()  # Poisson(2)
    [-2.0, -1.712318]
    """
    mean = np.maximum(mean, TINY)
    none = -size * np.log1p(mean / size)
    some = np.maximum(x, 1.0)
    total, away = some + size, some - mean
    rest = stirling(total) - stirling(size) - stirling(some) - 0.5 * np.log(2 * np.pi * some * (total / size))
    up, down = np.log1p(away / (size + mean)), np.log1p(away / mean * (size / total))
    return np.where(x == 0.0, none, rest + size * up - some * down)


@dataclass(frozen=True)
class NegativeBinomial:
    """Independent negative binomial counts in each column.

    Parameters
    ----------
    tallied : DistinctCounts, optional
        The different counts of each column. If given, the statistics hold the expected number of
        rows at each, and sizes are found from these at once instead of step by step.

    Examples
    --------
    >>> from emlib.engine.mixture import Mixture
    >>> x = np.array([[0.0], [0], [1], [0], [4], [9], [0], [2]])
    >>> model = Mixture(NegativeBinomial(DistinctCounts.of(x)))
    >>> one = model.from_responsibilities(x, np.ones((8, 1)), 1)
    >>> best = model.m_step(model.e_step(x, one)[0]).components
    >>> best.means.round(3).tolist(), best.sizes.round(3).tolist()
    ([[2.0]], [[0.405]])
    """

    tallied: DistinctCounts | None = None

    @property
    def prior_type(self) -> type:
        """`GammaRatesPrior`."""
        return GammaRatesPrior

    # ------------------------------------------------------------------ a start, without a component

    def n_features(self, d: int) -> int:
        """1 + 2 d."""
        return 1 + 2 * d

    def features(self, X: FloatArray, out: FloatArray) -> None:
        """``[1, x, x**2]``: the moments for a start, before there is a component to ask for rates."""
        d = X.shape[1]
        out[:, 0] = 1.0
        out[:, 1 : 1 + d] = X
        np.multiply(X, X, out=out[:, 1 + d :])

    def shared(self, rows: Rows) -> FloatArray:
        """Nothing."""
        return np.zeros(0)

    # ------------------------------------------------------------------ E

    def natural(self, params: NegativeBinomialParams, log_weights: FloatArray, rows: Rows) -> Natural:
        """Every component on its own: T(x) depends on its parameters."""
        means, sizes = params.means, params.sizes
        for name, values, valid in (("size", sizes, sizes > 0.0), ("mean", means, means >= 0.0)):
            bad = np.argwhere(~(valid & np.isfinite(values)))
            if len(bad):
                k, j = (int(index) for index in bad[0])
                raise Degenerate(f"component {k} has the {name} {values[k, j]:g} in column {j}.")
        K, d = means.shape
        distinct = rows.once(self, lambda r: _among(DistinctCounts.of(r.X), self.tallied))
        # A table pays as soon as counts repeat; the tally that was asked for is kept at any price.
        small = K * len(distinct.values) <= TABLE or distinct is self.tallied
        lookup = _Lookup(distinct) if small else None
        special = {k: _Component(means[k], sizes[k], float(log_weights[k]), lookup, self.tallied) for k in range(K)}
        reach = np.maximum(rows.scale, means) + 16.0  # log_pmf errs by a few units of |x - mean|, and of 10
        noise = EPS * float(reach.sum(axis=1).max())
        return Natural(np.zeros((K, self.n_features(d))), special, noise=noise)

    # ------------------------------------------------------------------ M

    def maximise(self, stats: Statistics, prior: GammaRatesPrior | None = None) -> NegativeBinomialParams:
        """Means from the counts and sizes from the tally or the rates; all from the rates under a prior."""
        d = stats.about.shape[1]
        if stats.totals.shape[1] == self.n_features(d):
            return _from_moments(with_starved(stats.totals), d)
        if prior is not None:
            N, rates, logs = _with_prior(stats, prior)
            mean = rates / N
            return NegativeBinomialParams(mean, gamma_shape(np.log(mean) - logs / N))
        N, counts, rates, logs, tally = _split(with_starved(stats.totals), d)
        counts = np.where(counts < NO_EVIDENCE, 0.0, counts)
        if self.tallied is not None:
            return NegativeBinomialParams(counts / N, size_from_tally(N, tally, self.tallied))
        gap = np.log(np.maximum(rates / N, TINY)) - logs / N
        return NegativeBinomialParams(counts / N, gamma_shape(gap))

    def draw(self, stats: Statistics, prior: GammaRatesPrior, rng: np.random.Generator) -> NegativeBinomialParams:
        """From the posterior given the rates: the size from its own distribution, then the mean.

        With N rates of sum S and log sum L (the prior's included), the posterior over log mean and
        size is ``exp(N (r log b - log Gamma(r)) + (r - 1) L - b S)``, r the size, b = r / mean.
        Given r, b is gamma of shape N r and rate S. Integrated out, it leaves for r alone
        ``Gamma(N r) S**(-N r) Gamma(r)**(-N) exp(r L)``, from which `draw_from_log_density` draws.
        With Stirling's series for both gammas only differences remain (`gap` is
        ``log(S / N) - L / N``): ``(N - 1) / 2 log r - N r gap + stirling(N r) - N stirling(r)``.
        """
        N, rates, logs = _with_prior(stats, prior)
        gap = (np.log(rates / N) - logs / N).ravel()[:, None]
        n = np.broadcast_to(N, rates.shape).ravel()[:, None]

        def log_density(log_size: FloatArray) -> FloatArray:
            r = np.exp(log_size)
            return 0.5 * (n + 1.0) * log_size - n * r * gap + stirling(n * r) - n * stirling(r)

        low, high = np.log(SIZES)
        sizes = np.exp(draw_from_log_density(log_density, low, high, len(n), rng)).reshape(rates.shape)
        log_means = np.log(sizes * rates) - log_gamma_draws(N * sizes, rng)
        return NegativeBinomialParams(np.exp(np.minimum(log_means, 700.0)), sizes)

    def log_prior(self, params: NegativeBinomialParams, prior: GammaRatesPrior) -> float:
        """See `Family.log_prior`: the log density of the pseudo-rates, gamma with these parameters."""
        # r log(r / mean) - log Gamma(r) + (r - 1) log_mean - r prior.mean / mean, without large differences
        r, mean = params.sizes, params.means
        log_ratio = np.asarray(prior.log_mean) - np.log(mean)
        stretch = 1.0 + log_ratio - np.asarray(prior.mean) / mean
        each = r * stretch + 0.5 * np.log(r / (2 * np.pi)) - stirling(r) - np.asarray(prior.log_mean)
        return float(prior.rows * each.sum())

    def sample(self, params: NegativeBinomialParams, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        """See `Family.sample`: a rate for every count, then the count."""
        sizes = params.sizes[labels]
        return rng.poisson(rng.standard_gamma(sizes) * (params.means[labels] / sizes)).astype(float)

    def project(self, params: NegativeBinomialParams) -> NegativeBinomialParams:
        """A jump goes no further than the largest size; below zero it is refused by `natural`."""
        return NegativeBinomialParams(params.means, np.minimum(params.sizes, SIZES[1]))

    def n_parameters(self, K: int, d: int) -> int:
        """See `Family.n_parameters`."""
        return 2 * K * d


# ------------------------------------------------------------------ E: one component


@dataclass(frozen=True, eq=False)
class DistinctCounts:
    """The counts that occur in each column, one column after the other.

    Attributes
    ----------
    values : array (V,)
        Increasing within a column. A column whose counts nearly fill their range has all of 0, 1, ...
        up to its largest, so that a count is its own place.
    starts : array (d + 1,) of int
        Column j has ``values[starts[j] : starts[j + 1]]``.

    Examples
    --------
    >>> counts = DistinctCounts.of(np.array([[0, 7], [2, 90000], [1, 7]]))
    >>> counts.values.tolist(), counts.starts.tolist()
    ([0.0, 1.0, 2.0, 7.0, 90000.0], [0, 3, 5])
    """

    values: FloatArray
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, X: NDArray[Any]) -> DistinctCounts:
        """Those of a table (n, d); a sentence if it holds anything but counts."""
        columns = [np.zeros(0)] * X.shape[1]
        for i in range(0, len(X), BLOCK_ROWS):
            for j, column in enumerate(X[i : i + BLOCK_ROWS].T):
                columns[j] = np.union1d(columns[j], _different(column))
        columns = [np.arange(v[-1] + 1.0) if v[-1] < 2 * len(v) + 64 else v for v in columns]
        return cls(np.concatenate(columns), np.cumsum([0, *map(len, columns)]))

    @functools.cached_property
    def column(self) -> NDArray[np.intp]:
        """The column (V,) of each value."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def places(self, X: FloatArray) -> NDArray[np.intp]:
        """Where in `values` each count of a piece X (batch, d, rows) stands: (d, batch * rows)."""
        batch, d, rows = X.shape
        places = np.empty((d, batch, rows), dtype=np.intp)
        np.copyto(places, X.swapaxes(0, 1), casting="unsafe")
        for j, (a, b) in enumerate(itertools.pairwise(self.starts)):
            if self.values[b - 1] == b - a - 1:
                places[j] += a
            else:
                places[j] = a + np.searchsorted(self.values[a:b], X[:, j])
        return places.reshape(d, -1)


def _different(column: NDArray[Any]) -> FloatArray:
    if not (column.min() >= 0 and (column == np.floor(column)).all()):
        raise ValueError("X holds a value that is no count; counts must be whole numbers, 0 or above.")
    if column.max() < 4 * len(column):
        return np.flatnonzero(np.bincount(column.astype(np.intp))).astype(float)
    return np.unique(column).astype(float)


def _among(own: DistinctCounts, tallied: DistinctCounts | None) -> DistinctCounts:
    """What is tallied, if that holds all that the rows have."""
    if tallied is None or len(tallied.starts) != len(own.starts):
        return own
    pairs = zip(itertools.pairwise(tallied.starts), itertools.pairwise(own.starts), strict=True)
    holds = all(np.isin(own.values[c:e], tallied.values[a:b]).all() for (a, b), (c, e) in pairs)
    return tallied if holds else own


class _Lookup:
    """The place of each count of the piece at hand; all components of a pass share it."""

    def __init__(self, distinct: DistinctCounts) -> None:
        self.distinct = distinct
        self.piece: FloatArray | None = None

    def places(self, X: FloatArray) -> NDArray[np.intp]:
        if self.piece is not X:
            self._places, self.piece = self.distinct.places(X), X
        return self._places

    def tally(self, X: FloatArray, r: FloatArray) -> FloatArray:
        """The summed responsibility (V,) of each value."""
        r = r.ravel()
        starts = itertools.pairwise(self.distinct.starts)
        parts = (np.bincount(p - a, r, b - a) for p, (a, b) in zip(self.places(X), starts, strict=True))
        return np.concatenate(list(parts))


@dataclass(frozen=True, eq=False)
class _Component:
    """One component, as a `kernel.Special`.

    Its statistics are N, and for each column the sums of counts, of expected rates and of expected
    log rates; then the tally, if it is to be kept.
    """

    means: FloatArray
    sizes: FloatArray
    log_weight: float
    lookup: _Lookup | None  # None: so many different counts that each is computed
    tallied: DistinctCounts | None

    @property
    def mean(self) -> FloatArray:
        """The origin: nothing is measured as a difference here."""
        return np.zeros(len(self.means))

    @functools.cached_property
    def _table(self) -> FloatArray:
        """Log probability (V,) of every value."""
        assert self.lookup is not None
        distinct = self.lookup.distinct
        return log_pmf(distinct.values, self.means[distinct.column], self.sizes[distinct.column])

    def log_joint(self, X: FloatArray) -> FloatArray:
        """See `Special.log_joint`."""
        if self.lookup is None:
            return self.log_weight + log_pmf(X, self.means[:, None], self.sizes[:, None]).sum(axis=1)
        places = self.lookup.places(X)
        total, term = np.full(places.shape[1], self.log_weight), np.empty(places.shape[1])
        for column in places:
            np.take(self._table, column, out=term, mode="clip")
            total += term
        return total.reshape(len(X), -1)

    def totals(self, X: FloatArray, r: FloatArray, rng: np.random.Generator | None = None) -> FloatArray:
        """See `Special.totals`; with `rng`, r are labels, and the rates of their rows are drawn."""
        if self.tallied is not None and (self.lookup is None or self.lookup.distinct is not self.tallied):
            raise ValueError("X holds counts that are not among those tallied; use DistinctCounts.of the same table.")
        tally = np.zeros(0) if self.lookup is None else self.lookup.tally(X, r)
        N = float(r.sum())
        if self.lookup is None:
            counts = np.einsum("ndb,nb->d", X, r)
        else:
            counts = np.add.reduceat(tally * self.lookup.distinct.values, self.lookup.distinct.starts[:-1])
        mean = np.maximum(self.means, TINY)
        scale = mean / (self.sizes + mean)  # a rate, given its count, is gamma of shape x + size with this scale
        if rng is not None:
            x = X.swapaxes(1, 2)[r > 0.0]
            log_rates = log_gamma_draws(x + self.sizes, rng) + np.log(scale)
            rates, logs = np.exp(log_rates).sum(axis=0), log_rates.sum(axis=0)
        else:
            rates, logs = scale * (counts + N * self.sizes), self._digammas(X, r, tally) + N * np.log(scale)
        return np.concatenate([[N], counts, rates, logs, tally if self.tallied is not None else np.zeros(0)])

    def _digammas(self, X: FloatArray, r: FloatArray, tally: FloatArray) -> FloatArray:
        """The sum (d,) of ``digamma(x + size)``."""
        if self.lookup is None:
            return np.einsum("ndb,nb->d", digamma(X + self.sizes[:, None]), r)
        distinct = self.lookup.distinct
        return np.add.reduceat(tally * digamma(distinct.values + self.sizes[distinct.column]), distinct.starts[:-1])


# ------------------------------------------------------------------ M: from statistics to parameters


def _split(totals: FloatArray, d: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """N (K, 1); counts, rates and log rates (K, d); tally (K, V)."""
    counts, rates, logs = (totals[:, 1 + i * d : 1 + (i + 1) * d] for i in range(3))
    return totals[:, :1], counts, rates, logs, totals[:, 1 + 3 * d :]


def _with_prior(stats: Statistics, prior: GammaRatesPrior) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Number (K, 1), sum and log sum (K, d) of the rates, those of the prior included."""
    N, _, rates, logs, _ = _split(stats.totals, stats.about.shape[1])
    return N + prior.rows, rates + prior.rows * np.asarray(prior.mean), logs + prior.rows * np.asarray(prior.log_mean)


def _from_moments(totals: FloatArray, d: int) -> NegativeBinomialParams:
    """A start from averages and variances: in the middle of the range, whence every size is near."""
    N, counts, squares = totals[:, :1], totals[:, 1 : 1 + d], totals[:, 1 + d :]
    mean = np.maximum(counts, 0.5) / N  # half a count in all rows at least: a mean of zero would stay zero
    excess = squares / N - mean**2 - mean
    return NegativeBinomialParams(mean, np.clip(mean**2 / np.maximum(excess, 1e-4 * mean**2), 1e-2, 1e2))


def size_from_tally(N: FloatArray, tally: FloatArray, distinct: DistinctCounts) -> FloatArray:
    """The size that maximises the likelihood of negative binomial counts, at their average as mean.

    Parameters
    ----------
    N : array (K, 1)
        Number of rows.
    tally : array (K, V)
        How many of them are at each value.
    distinct : DistinctCounts
        The V values.

    Returns
    -------
    array (K, d)
        Within `SIZES`; the largest where the variance does not exceed the mean.

    Notes
    -----
    The likelihood is flat where ``average of digamma(x + r) - digamma(r) = log(1 + mean / r)``. With
    g the log of the ratio of the two sides, ``r g`` is nearly linear in log r near its one root, on
    either side of ``r = mean``: Newton's method needs three to six steps; bisection guards it.

    Examples
    --------
    >>> x = np.array([[0.0], [0], [1], [0], [4], [9], [0], [2]])
    >>> tally = np.array([[4.0, 1, 1, 0, 1, 0, 0, 0, 0, 1]])
    >>> size_from_tally(np.array([[8.0]]), tally, DistinctCounts.of(x)).round(3).tolist()
    [[0.405]]
    """
    share, starts, v = tally / N, distinct.starts[:-1], distinct.values
    mean = np.add.reduceat(share * v, starts, axis=1)
    excess = np.add.reduceat(share * v**2, starts, axis=1) - mean**2 - mean  # variance minus mean
    over = excess > 0.0
    # The first terms of digamma(x + r) - digamma(r), 1 / (r + t) for t < x, one by one; the rest by series.
    t = np.arange(LARGE)
    above = np.stack([np.add.reduceat(share * (v > i), starts, axis=1) for i in t], axis=-1)
    beyond, tail = np.maximum(v, LARGE), share * (v > LARGE)

    def rise(r: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The average of ``digamma(x + r) - digamma(r)``, and minus its slope."""
        first = 1.0 / (r[:, :, None] + t)
        edge = r + LARGE
        total, at_edge = r[:, distinct.column] + beyond, edge[:, distinct.column]
        more = (
            np.log1p((beyond - LARGE) / at_edge)
            - log_minus_digamma(total)
            + log_minus_digamma(edge)[:, distinct.column]
        )
        less = (beyond - LARGE) / (at_edge * total) - trigamma_minus_inverse(total)
        less += trigamma_minus_inverse(edge)[:, distinct.column]
        value = (above * first).sum(axis=2) + np.add.reduceat(tail * more, starts, axis=1)
        return value, (above * first**2).sum(axis=2) + np.add.reduceat(tail * less, starts, axis=1)

    low, high = (np.full(mean.shape, np.log(end)) for end in SIZES)
    with np.errstate(divide="ignore", invalid="ignore"):  # counts of no weight: bisection ends there too
        log_r = np.clip(np.log(mean**2 / np.where(over, excess, 1.0)), low, high)
        for _ in range(60):
            r = np.exp(log_r)
            left, bend = rise(r)
            right = np.log1p(mean / r)
            g = np.log(left / right)
            slope = mean / (r + mean) / right - r * bend / left  # of g in log r
            low, high = np.where(g > 0.0, log_r, low), np.where(g > 0.0, high, log_r)
            new = log_r - g / (g + slope)
            new = np.where((new >= low) & (new <= high), new, 0.5 * (low + high))
            done = (np.abs(new - log_r) < 1e-8) | ~over
            log_r = new
            if done.all():
                break
    return np.where(over, np.exp(log_r), SIZES[1])
