"""Counts whose rates differ from row to row: a Poisson whose rate is itself hidden.

    rate ~ Gamma(shape = size, mean = mean)        hidden, one for every row and column
    x    ~ Poisson(rate)                           seen

The counts are then negative binomial, with variance ``mean + mean**2 / size``. This family has no
sufficient statistic of finite length in its size, but the gamma distribution of the rates has:
their sum and the sum of their logarithms. So the rate joins the label among what is hidden, and

    E:  E[rate | x]     = (x + size) / (1 + size / mean)
        E[log rate | x] = digamma(x + size) - log(1 + size / mean)
    M:  log size - digamma(size) = log(average rate) - average of log rate

which is exact EM: the objective is the negative binomial likelihood itself.

What is hidden must be guessed, and guesses make a climb slow. Near its top this one leaves a
fraction ``1 - (mean / (mean + size))**2`` of the way in size at each step: 0.75 where mean and
size are equal, 0.9999 where the size is a hundred means; and a component without overdispersion
never arrives, since its size is infinite. Two remedies keep the likelihood climbing:

- The mean that is best with the labels alone hidden is the average count, whatever the size. Given
  that nothing is gained by guessing, it is taken from the counts (an ECME step).
- Counts that are small can be tallied: with the expected number of rows above each count
  (`NegativeBinomial.largest_count`) the size that is best with the labels alone hidden is one
  equation in one unknown. These tails are additive statistics as well, if many.

The rates remain for what tails cannot do: large counts, priors, and draws.

Sources: Greenwood & Yule (1920) for the gamma-Poisson; Fisher (1941) and Robinson & Smyth (2008)
for its size; Minka (2002) for the shape of a gamma; Liu & Rubin (1994) for ECME; Aragon, Eberly &
Eberly (1992): there is one best size if the variance exceeds the mean, else it is infinite.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np
from scipy.special import digamma

from ..blocks import Rows
from ..em import EPS, Degenerate
from ..kernel import Natural, Statistics
from ..latent import FloatArray
from .base import with_starved
from .counts import TINY
from .gamma_math import (
    SIZES,
    draw_from_log_density,
    gamma_shape,
    log_gamma_draws,
    log_minus_digamma,
    stirling,
)

TABLE = 2**22  # numbers in the tables of an E-step; beyond, every entry is computed


@dataclass(frozen=True)
class NegativeBinomialParams:
    """Means (K, d) and sizes (K, d); the variance is ``means + means**2 / sizes``.

    Sizes lie within `SIZES`, 1e-8 to 1e8. A component without overdispersion has the largest: its
    likelihood there differs from a Poisson's by less than ``n * mean**2 * 1e-8`` nats.
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
    largest_count : int
        No count is above this. If given, the statistics hold the expected number of rows above
        each count below it, and sizes are found from these at once instead of step by step; K * d *
        `largest_count` numbers. 0: they are not kept.

    Examples
    --------
    >>> from emlib.engine.mixture import Mixture
    >>> x = np.array([[0.0], [0], [1], [0], [4], [9], [0], [2]])
    >>> model = Mixture(NegativeBinomial(largest_count=9))
    >>> one = model.from_responsibilities(x, np.ones((8, 1)), 1)
    >>> best = model.m_step(model.e_step(x, one)[0]).components
    >>> best.means.round(3).tolist(), best.sizes.round(3).tolist()
    ([[2.0]], [[0.412]])
    """

    largest_count: int = 0

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
        largest = rows.once(self, _largest)
        if 0 < self.largest_count < largest:
            raise ValueError(f"X holds the count {largest}, but largest_count is {self.largest_count}.")
        small = largest < max(len(rows), 1024) and K * d * (largest + 1) <= TABLE
        counts = _Counts(largest if small or self.largest_count else None)
        special = {
            k: _Component(means[k], sizes[k], float(log_weights[k]), self.largest_count, small, counts) for k in range(K)
        }
        reach = np.maximum(rows.scale, means) + 16.0  # log_pmf errs by a few units of |x - mean|, and of 10
        noise = EPS * float(reach.sum(axis=1).max())
        return Natural(np.zeros((K, self.n_features(d))), special, noise=noise)

    # ------------------------------------------------------------------ M

    def maximise(self, stats: Statistics, prior: GammaRatesPrior | None = None) -> NegativeBinomialParams:
        """Means from the counts and sizes from the tails or the rates; all from the rates under a prior."""
        K, d = stats.about.shape
        if stats.totals.shape[1] == self.n_features(d):
            return _from_moments(with_starved(stats.totals), d)
        if prior is not None:
            N, rates, logs = _with_prior(stats, prior)
            mean = rates / N
            return NegativeBinomialParams(mean, gamma_shape(np.log(mean) - logs / N))
        N, counts, rates, logs, tails = _split(with_starved(stats.totals), d)
        if self.largest_count:
            return NegativeBinomialParams(counts / N, size_from_tails(N, tails))
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


class _Counts:
    """The piece of rows at hand as whole numbers, column by column; all components of a pass share it."""

    def __init__(self, largest: int | None) -> None:
        self.largest = largest  # None: too large, or not asked for
        self.piece: FloatArray | None = None

    def columns(self, X: FloatArray) -> np.ndarray:
        """Counts (d, batch * rows) of a piece X (batch, d, rows)."""
        if self.piece is not X:
            batch, d, rows = X.shape
            self.whole = np.empty((d, batch, rows), dtype=np.intp)
            np.copyto(self.whole, X.swapaxes(0, 1), casting="unsafe")
            self.piece = X
        return self.whole.reshape(len(self.whole), -1)

    def tally(self, X: FloatArray, r: FloatArray) -> FloatArray:
        """The summed responsibility (d, largest + 1) of each count."""
        assert self.largest is not None
        r = r.ravel()
        return np.stack([np.bincount(column, r, self.largest + 1) for column in self.columns(X)])


@dataclass(frozen=True)
class _Component:
    """One component; a `kernel.Special` whose statistics are N, and for each column the sums of

    counts, expected rates, and expected log rates; then the tails, if they are asked for.
    """

    means: FloatArray
    sizes: FloatArray
    log_weight: float
    n_tails: int
    tabled: bool
    counts: _Counts = field(repr=False)

    @property
    def mean(self) -> FloatArray:
        """The origin: nothing is measured as a difference here."""
        return np.zeros(len(self.means))

    @functools.cached_property
    def _table(self) -> FloatArray:
        """Log probability (d, largest + 1) of every count."""
        return log_pmf(self._every, self.means[:, None], self.sizes[:, None])

    @property
    def _every(self) -> FloatArray:
        assert self.counts.largest is not None
        return np.arange(self.counts.largest + 1.0)

    @functools.cached_property
    def _digammas(self) -> FloatArray:
        return np.asarray(digamma(self._every + self.sizes[:, None]))

    def log_joint(self, X: FloatArray) -> FloatArray:
        """See `Special.log_joint`."""
        if not self.tabled:
            return self.log_weight + log_pmf(X, self.means[:, None], self.sizes[:, None]).sum(axis=1)
        columns = self.counts.columns(X)
        total, term = np.full(columns.shape[1], self.log_weight), np.empty(columns.shape[1])
        for table, column in zip(self._table, columns, strict=True):
            np.take(table, column, out=term, mode="clip")
            total += term
        return total.reshape(len(X), -1)

    def totals(self, X: FloatArray, r: FloatArray, rng: np.random.Generator | None = None) -> FloatArray:
        """See `Special.totals`; with `rng`, r are labels, and the rates of their rows are drawn."""
        N = float(r.sum())
        tally = self.counts.tally(X, r) if self.tabled or self.n_tails else None
        counts = tally @ self._every if tally is not None else np.einsum("ndb,nb->d", X, r)
        scale = np.maximum(self.means, TINY) / (self.sizes + np.maximum(self.means, TINY))
        if rng is not None:
            x = X.swapaxes(1, 2)[r > 0.0]
            log_rates = log_gamma_draws(x + self.sizes, rng) + np.log(scale)
            rates, logs = np.exp(log_rates).sum(axis=0), log_rates.sum(axis=0)
        else:
            if tally is not None and self.tabled:
                digammas = np.einsum("dc,dc->d", tally, self._digammas)
            else:
                digammas = np.einsum("ndb,nb->d", digamma(X + self.sizes[:, None]), r)
            rates, logs = scale * (counts + N * self.sizes), digammas + N * np.log(scale)
        above = _tails(tally, self.n_tails) if tally is not None and self.n_tails else np.zeros(0)
        return np.concatenate([[N], counts, rates, logs, above])


def _largest(rows: Rows) -> int:
    """The largest count, of rows that hold counts and nothing else."""
    largest = 0.0
    for X in rows.pieces(8192, 1):
        if not (X.min() >= 0.0 and (X == np.floor(X)).all()):
            raise ValueError("X holds a value that is no count; counts must be whole numbers, 0 or above.")
        largest = max(largest, float(X.max()))
    return int(largest)


def _tails(tally: FloatArray, n: int) -> FloatArray:
    """How many rows lie above 0, 1, ..., n - 1 in each column, one column after the other."""
    tails = np.zeros((len(tally), n))
    tails[:, : tally.shape[1] - 1] = tally[:, :0:-1].cumsum(axis=1)[:, ::-1]
    return tails.ravel()


# ------------------------------------------------------------------ M: from statistics to parameters


def _split(totals: FloatArray, d: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """N (K, 1); counts, rates and log rates (K, d); tails (K, d, largest_count)."""
    counts, rates, logs = (totals[:, 1 + i * d : 1 + (i + 1) * d] for i in range(3))
    return totals[:, :1], counts, rates, logs, totals[:, 1 + 3 * d :].reshape(len(totals), d, -1)


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


def size_from_tails(N: FloatArray, tails: FloatArray) -> FloatArray:
    """The size that maximises the likelihood of negative binomial counts, at their average as mean.

    Parameters
    ----------
    N : array (K, 1)
        Number of rows.
    tails : array (K, d, C)
        How many of them are above 0, 1, ..., C - 1.

    Returns
    -------
    array (K, d)
        Within `SIZES`; the largest where the variance does not exceed the mean.

    Notes
    -----
    The likelihood is flat where ``sum_t tails[t] / (r + t) = N log(1 + mean / r)``. With g the log
    of the ratio of the two sides, ``r g`` is nearly linear in log r near its one root on either
    side of ``r = mean``: Newton's method needs three to six steps, bisection guards it.

    Examples
    --------
    >>> size_from_tails(np.array([[8.0]]), np.array([[[4.0, 3, 2, 2, 1, 1, 1, 1, 1]]])).round(3).tolist()
    [[0.412]]
    """
    shares, t = tails / N[:, :, None], np.arange(tails.shape[2])
    mean = shares.sum(axis=2)
    excess = 2.0 * (shares @ t) + mean - mean**2 - mean  # variance minus mean
    over = excess > 0.0
    low, high = (np.full(mean.shape, np.log(end)) for end in SIZES)
    log_r = np.clip(np.log(np.where(over, mean**2 / np.where(over, excess, 1.0), 1.0)), low, high)
    for _ in range(60):
        r = np.exp(log_r)
        part = shares / (r[:, :, None] + t)
        left, right = np.where(over, part.sum(axis=2), 1.0), np.where(over, np.log1p(mean / r), 1.0)
        bend = (part / (r[:, :, None] + t)).sum(axis=2)
        g = np.log(left / right)
        slope = mean / (r + mean) / right - r * bend / left  # of g in log r
        low, high = np.where(g > 0.0, log_r, low), np.where(g > 0.0, high, log_r)
        with np.errstate(divide="ignore", invalid="ignore"):
            new = log_r - g / (g + slope)
        new = np.where((new >= low) & (new <= high), new, 0.5 * (low + high))
        done = (np.abs(new - log_r) < 1e-8) | ~over
        log_r = new
        if done.all():
            break
    return np.where(over, np.exp(log_r), SIZES[1])
