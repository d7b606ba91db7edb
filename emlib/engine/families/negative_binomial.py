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

(eqs. 4.8, 4.9), which is exact EM: the objective is the negative binomial likelihood itself (eq. 4.5).

What is hidden must be guessed, and guesses make a climb slow. Near its top this one leaves about
``1 - (mean / (mean + size))**2`` of the way in size after each step, more where both are below one:
0.75 where mean and size are equal, 0.9999 where the size is a hundred means; and a component without
overdispersion never arrives, since its size is infinite. Two remedies keep the likelihood climbing:

- The mean that is best with the labels alone hidden is the average count, whatever the size. Given
  that nothing is gained by guessing, it is taken from the counts (an ECME step).
- Counts repeat, and can be tallied: with the expected number of rows at each of the different
  counts (`NegativeBinomial.tallied`) the size that is best with the labels alone hidden is one
  equation in one unknown (`engine.families.tally`).

The rates remain for what a tally does not do: priors, draws, and tables too large to be tallied.

Sources: Greenwood & Yule (1920) for the gamma-Poisson; Robinson & Smyth (2008) for its use on
sequencing counts; Minka (2002) for the shape of a gamma; Liu & Rubin (1994) for ECME.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

from ..blocks import Rows
from ..coordinates import Inside, Named, Positive
from ..em import EPS, Degenerate
from ..features import squares
from ..kernel import Natural, Statistics
from ..latent import FloatArray
from .base import NO_EVIDENCE, with_starved
from .counts import TINY
from .gamma_math import SIZES, draw_from_log_density, gamma_shape, log_gamma_draws, log_minus_digamma, stirling
from .tally import TABLE, DistinctCounts, Lookup, among, size_from_tally


@dataclass(frozen=True)
class NegativeBinomialParams:
    """Means (K, d) and sizes (K, d); the variance is ``means + means**2 / sizes`` (eq. 4.6).

    Sizes lie between 1e-8 and 1e8 (`gamma_math.SIZES`). A component whose variance does not exceed
    its mean has the largest, at which its likelihood is that of a Poisson to within
    ``n * mean * 1e-8`` nats.
    """

    means: FloatArray
    sizes: FloatArray


@dataclass(frozen=True)
class GammaRatesPrior:
    """Conjugate prior of means and sizes: as if `rows` hidden rates had been seen (eq. 4.10).

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
    """Log probability of counts (eq. 4.5), to the last digits for every size.

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
        squares(X, out)

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
        distinct = rows.once(self, lambda r: among(DistinctCounts.of(r.X), self.tallied))
        # A table pays as soon as counts repeat; the tally that was asked for is kept at any price.
        small = K * len(distinct.values) <= TABLE or distinct == self.tallied
        lookup = Lookup(distinct) if small else None
        special = {k: _Component(means[k], sizes[k], float(log_weights[k]), lookup, self.tallied) for k in range(K)}
        reach = np.maximum(rows.scale, means) + 16.0  # log_pmf errs by a few units of |x - mean|, and of 10
        noise = EPS * float(reach.sum(axis=1).max())
        return Natural(np.zeros((K, self.n_features(d))), special, noise=noise)

    # ------------------------------------------------------------------ M

    def maximise(self, stats: Statistics, prior: GammaRatesPrior | None = None) -> NegativeBinomialParams:
        """Means from the counts, sizes from the tally (eq. 4.7) or rates (eq. 4.9); under a prior all from rates."""
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

    def weak_prior(self, whole: NegativeBinomialParams, K: int) -> GammaRatesPrior:
        """One rate, scattered about the mean of each column as those of all rows are."""
        mean = np.maximum(whole.means[0], 1e-3)
        return GammaRatesPrior(1.0, mean, np.log(mean) - log_minus_digamma(np.minimum(whole.sizes[0], 100.0)))

    def slopes(
        self, stats: Statistics, params: NegativeBinomialParams, prior: GammaRatesPrior | None = None
    ) -> NegativeBinomialParams:
        """See `Family`: of the gamma log density of the expected rates."""
        if prior is None:
            N, _, rates, logs, _ = _split(stats.totals, stats.about.shape[1])
        else:
            N, rates, logs = _with_prior(stats, prior)
        r, mean = params.sizes, params.means
        share = rates / mean
        return NegativeBinomialParams(
            r / mean * (share - N), N * (1.0 + log_minus_digamma(r) - np.log(mean)) + logs - share
        )

    def coordinates(self, params: NegativeBinomialParams) -> Named:
        """Logarithms of means and sizes (`size_coordinates`)."""
        parts = {"means": Positive(params.means), "sizes": size_coordinates(params.sizes)}
        return Named(NegativeBinomialParams, parts)

    def draw(self, stats: Statistics, prior: GammaRatesPrior, rng: np.random.Generator) -> NegativeBinomialParams:
        """From the posterior given the rates (`draw_gamma`)."""
        return draw_gamma(*_with_prior(stats, prior), rng)

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
class _Component:
    """One component, as a `differences.Special`.

    Its statistics are N, and for each column the sums of counts, of expected rates and of expected
    log rates (eq. 4.8); then the tally, if it is to be kept.
    """

    means: FloatArray
    sizes: FloatArray
    log_weight: float
    lookup: Lookup | None  # None: so many different counts that each is computed
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
        if self.tallied is not None and (self.lookup is None or self.lookup.distinct != self.tallied):
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


def draw_gamma(N: FloatArray, rates: FloatArray, logs: FloatArray, rng: np.random.Generator) -> NegativeBinomialParams:
    """From the posterior given the rates: the size from its own distribution, then the mean.

    With N rates of sum S and log sum L (the prior's included), the posterior over log mean and
    size is ``exp(N (r log b - log Gamma(r)) + (r - 1) L - b S)``, r the size, b = r / mean.
    Given r, b is gamma of shape N r and rate S. Integrated out, it leaves for r alone
    ``Gamma(N r) S**(-N r) Gamma(r)**(-N) exp(r L)``, from which `draw_from_log_density` draws.
    With Stirling's series for both gammas only differences remain (`gap` is
    ``log(S / N) - L / N``): ``(N - 1) / 2 log r - N r gap + stirling(N r) - N stirling(r)``.
    """
    gap = (np.log(rates / N) - logs / N).ravel()[:, None]
    n = np.broadcast_to(N, rates.shape).ravel()[:, None]

    def log_density(log_size: FloatArray) -> FloatArray:
        r = np.exp(log_size)
        return 0.5 * (n + 1.0) * log_size - n * r * gap + stirling(n * r) - n * stirling(r)

    low, high = np.log(SIZES)
    sizes = np.exp(draw_from_log_density(log_density, low, high, len(n), rng)).reshape(rates.shape)
    log_means = np.log(sizes * rates) - log_gamma_draws(N * sizes, rng)
    return NegativeBinomialParams(np.exp(np.minimum(log_means, 700.0)), sizes)


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


def size_coordinates(sizes: FloatArray) -> Inside:
    """Logarithms of sizes; one at the upper end of `SIZES`, where counts are Poisson, is not free.

    It is taken to be 1e5, which is Poisson enough. At 1e8 each hidden rate would be known so well that beside the
    complete data the counts themselves seem to say nothing of their mean.
    """
    inside = sizes < 0.5 * SIZES[1]
    return Inside(Positive(np.where(inside, sizes, 1e5)), np.ravel(inside))
