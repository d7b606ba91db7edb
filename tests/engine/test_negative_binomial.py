"""Gamma-Poisson components: against scipy, against integrals over the hidden rate, and at both limits."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy import optimize, special
from scipy import stats as dist
from scipy.integrate import quad

from emlib.engine import em, families
from emlib.engine.blocks import Rows
from emlib.engine.families import DistinctCounts, GammaRatesPrior, NegativeBinomial, NegativeBinomialParams
from emlib.engine.families import gamma_math as gm
from emlib.engine.families import negative_binomial as nb
from emlib.engine.families import tally as tallies
from emlib.engine.kernel import Natural
from emlib.engine.latent import HARD, sampled
from emlib.engine.mixture import Mixture, MixtureParams, MixturePrior


def one(mean, size):
    """A mixture of one component in one column."""
    return MixtureParams(np.ones(1), NegativeBinomialParams(np.array([[float(mean)]]), np.array([[float(size)]])))


def nbinom(x, mean, size):
    return dist.nbinom.logpmf(x, size, size / (size + mean))


# ------------------------------------------------------------------ numerics


@pytest.mark.parametrize(
    ("mean", "size"), [(3, 0.5), (50, 2), (10, 300), (0.01, 0.1), (1e-5, 1e-6), (80, 30), (9e3, 2)]
)
def test_log_pmf_is_scipys(mean, size):
    x = np.concatenate([np.arange(200.0), [1e3, 1e4, 1e5]])
    np.testing.assert_allclose(
        nb.log_pmf(x, np.array(mean), np.array(size)), nbinom(x, mean, size), rtol=3e-12, atol=3e-12
    )


@pytest.mark.parametrize(("mean", "size"), [(3, 1e8), (1e4, 1e6), (1e5, 1e8), (0.5, 1e4)])
def test_log_pmf_keeps_its_digits_near_a_poisson(mean, size):
    """There scipy loses them (1e-3 at a size of 1e8): the exact product, all of it in 40 digits.

    A sum of `np.log` over 100,000 factors is no judge: with some builds of NumPy their errors have one sign and add
    up to 4e-12. `np.longdouble` is none either: on some systems it is no wider than a double.
    """
    for x in (0, 1, 7, int(mean), int(1.02 * mean) + 3):
        assert nb.log_pmf(np.array(float(x)), np.array(mean), np.array(size)) == pytest.approx(
            log_pmf_in_40_digits(x, mean, size), rel=1e-13, abs=1e-12
        )


def log_pmf_in_40_digits(x, mean, size):
    with localcontext(prec=40):
        mean, size = Decimal(mean), Decimal(size)
        product = Decimal(1)
        for t in range(x):
            product *= (size + t) * mean / ((size + mean) * (t + 1))
        return float(product.ln() - size * (1 + mean / size).ln())


def test_the_shape_of_a_gamma_from_its_gap():
    shape = np.logspace(-8, 8, 400)
    np.testing.assert_allclose(gm.gamma_shape(gm.log_minus_digamma(shape)), shape, rtol=1e-12)
    middle = np.logspace(-6, 4, 100)
    np.testing.assert_allclose(gm.log_minus_digamma(middle), np.log(middle) - special.digamma(middle), rtol=1e-9)
    np.testing.assert_allclose(gm.trigamma_minus_inverse(middle), special.polygamma(1, middle) - 1 / middle, rtol=1e-6)
    assert gm.gamma_shape(np.array([0.0, -1e-16, 1e12, np.nan])).tolist() == [1e8, 1e8, 1e-8, 1e8]
    # Nothing is nearer: the likelihood of a gamma sample, maximised by other means.
    y = np.random.default_rng(0).gamma(0.7, 3.0, 500)
    fitted, _, _ = dist.gamma.fit(y, floc=0)
    assert gm.gamma_shape(np.log(y.mean()) - np.log(y).mean()) == pytest.approx(fitted, rel=1e-6)


def test_stirlings_remainder():
    a = np.logspace(-6, 2, 200)
    direct = special.gammaln(a + 1) - (a + 0.5) * np.log(a) + a - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(gm.stirling(a), direct, rtol=1e-11, atol=2e-13)
    assert gm.stirling(np.array(gm.LARGE - 1e-9)) == pytest.approx(gm.stirling(np.array(gm.LARGE)), rel=1e-9)


@pytest.mark.parametrize("shape", [1e-4, 0.3, 1.0, 40.0])
def test_logarithms_of_gamma_draws(shape):
    draws = gm.log_gamma_draws(np.full(20_000, shape), np.random.default_rng(0))
    assert np.isfinite(draws).all()
    error = np.sqrt(special.polygamma(1, shape) / len(draws))
    assert draws.mean() == pytest.approx(special.digamma(shape), abs=4 * error)


@pytest.mark.parametrize("sd", [1e-5, 0.1, 3.0])
def test_draws_from_a_log_density(sd):
    where = np.linspace(-8, 8, 3000)
    draws = gm.draw_from_log_density(
        lambda t: -0.5 * ((t - where[:, None]) / sd) ** 2, -18.0, 18.0, len(where), np.random.default_rng(0)
    )
    assert dist.kstest((draws - where) / sd, "norm").pvalue > 1e-3


# ------------------------------------------------------------------ E


def expected_rates(model):
    """The statistics of a few counts are integrals over their hidden rate."""
    for x, mean, size in [(0, 2.0, 0.5), (3, 2.0, 0.5), (7, 4.0, 30.0), (40, 9.0, 2.0)]:
        stats, value = model.e_step(np.array([[float(x)]]), one(mean, size))

        def joint(rate, x=x, mean=mean, size=size):
            return dist.poisson.pmf(x, rate) * dist.gamma.pdf(rate, size, scale=mean / size)

        grid = [0, 1e-6, 1e-3, 0.1, 1, 3, 10, 30, 100, 400]
        total, rate, log_rate = (
            sum(
                quad(lambda v, f=f: joint(v) * f(v), a, b, epsabs=0, epsrel=1e-10)[0]
                for a, b in itertools.pairwise(grid)
            )
            for f in (lambda v: 1.0, lambda v: v, np.log)
        )
        np.testing.assert_allclose(value, np.log(total), rtol=1e-6)
        np.testing.assert_allclose(stats.totals[0, :4], [1.0, x, rate / total, log_rate / total], rtol=1e-4)


def test_expected_rates():
    expected_rates(Mixture(NegativeBinomial()))


@pytest.mark.parametrize("case", ["tabled", "computed", "tallied"])
def test_ways_to_the_same_statistics(case, monkeypatch):
    """A table of every count, every entry by itself, or a tally: the same sums; large counts among them."""
    rng = np.random.default_rng(0)
    params = MixtureParams(
        np.array([0.3, 0.7]),
        NegativeBinomialParams(np.array([[2.0, 900.0, 0.0], [7.0, 5e4, 1e-3]]), np.array([[0.5, 3, 1], [4, 1e8, 2]])),
    )
    X = Mixture(NegativeBinomial()).simulate(params, 4000, rng)
    joint = np.log(params.weights) + np.stack(
        [nb.log_pmf(X, m, r).sum(axis=1) for m, r in zip(*vars(params.components).values(), strict=True)], axis=1
    )
    R = special.softmax(joint, axis=1)
    m, r = np.maximum(params.components.means, 1e-300), params.components.sizes
    rates = np.einsum("nk,nkd->kd", R, (X[:, None] + r) * (m / (r + m)))
    logs = np.einsum("nk,nkd->kd", R, special.digamma(X[:, None] + r) + np.log(m / (r + m)))
    if case == "computed":
        monkeypatch.setattr(nb, "TABLE", 0)
    family = NegativeBinomial(DistinctCounts.of(X) if case == "tallied" else None)
    stats, value = Mixture(family).e_step(Rows(X), params)
    assert value == pytest.approx(special.logsumexp(joint, axis=1).sum(), rel=1e-12)
    np.testing.assert_allclose(
        stats.totals[:, :10], np.hstack([R.sum(axis=0)[:, None], R.T @ X, rates, logs]), rtol=1e-10, atol=1e-200
    )
    responsibilities, _ = Mixture(family).posterior(X, params)
    np.testing.assert_allclose(responsibilities, R, atol=1e-12)
    if case == "tallied":
        tally, distinct = stats.totals[:, 10:], family.tallied
        assert distinct.values[distinct.starts[1] : distinct.starts[2]].max() > 4000  # not every count has a place
        for j in range(3):
            part = slice(distinct.starts[j], distinct.starts[j + 1])
            for v, seen in zip(distinct.values[part], tally[:, part].T, strict=True):
                np.testing.assert_allclose(seen, R[X[:, j] == v].sum(axis=0), atol=1e-9)


def test_infinite_size_is_a_poisson_mixture():
    rng = np.random.default_rng(1)
    rates, w = np.array([[1.0, 9.0], [30.0, 4.0]]), np.array([0.4, 0.6])
    X = Mixture(families.Poisson()).simulate(MixtureParams(w, families.PoissonParams(rates)), 2000, rng)
    _, poisson = Mixture(families.Poisson()).e_step(X, MixtureParams(w, families.PoissonParams(rates)))
    same = MixtureParams(w, NegativeBinomialParams(rates, np.full((2, 2), gm.SIZES[1])))
    assert Mixture(NegativeBinomial()).e_step(X, same)[1] == pytest.approx(poisson, abs=1e-4)


def rates_are_drawn(model):
    """The sampled statistics vary as rates do, although the one label of a single component cannot."""
    X, rng = np.array([[0.0], [2], [9]]), np.random.default_rng(0)
    draws = np.array([model.e_step(X, one(3.0, 0.5), sampled(rng))[0].totals[0] for _ in range(1500)])
    scale, shape = 3.0 / 3.5, X + 0.5
    np.testing.assert_allclose(draws[:, 2].mean(), (shape * scale).sum(), rtol=0.04)
    np.testing.assert_allclose(draws[:, 2].var(), (shape * scale**2).sum(), rtol=0.15)
    np.testing.assert_allclose(draws[:, 3].var(), special.polygamma(1, shape).sum(), rtol=0.15)


def test_rates_are_drawn_with_the_labels():
    rates_are_drawn(Mixture(NegativeBinomial()))
    rates_are_drawn(Mixture(NegativeBinomial(DistinctCounts.of(np.array([[0], [2], [9]])))))


# ------------------------------------------------------------------ M


def best_size(x):
    """Size and log-likelihood of one negative binomial at its best, by a search in one dimension."""
    found = optimize.minimize_scalar(
        lambda t: -nbinom(x, x.mean(), np.exp(t)).sum(), bounds=(-12, 9), method="bounded", options={"xatol": 1e-10}
    )
    return np.exp(found.x), -found.fun


@pytest.mark.parametrize(("mean", "size"), [(1, 0.05), (0.3, 0.2), (10, 0.5), (3, 3), (100, 3), (20, 40), (5000, 0.8)])
def test_size_from_a_tally(mean, size):
    x = np.random.default_rng(3).poisson(np.random.default_rng(4).gamma(size, mean / size, 800)).astype(float)
    distinct = DistinctCounts.of(x[:, None])
    tally = np.array([[(x == v).sum() for v in distinct.values]], dtype=float)
    found = tallies.size_from_tally(np.array([[800.0]]), tally, distinct)
    np.testing.assert_allclose(found.item(), best_size(x)[0], rtol=1e-4)
    np.testing.assert_allclose(tallies.size_from_tally(np.array([[8e-20]]), tally * 1e-22, distinct), found, rtol=1e-9)


def test_no_overdispersion_no_end_of_size():
    """Counts that vary less than a Poisson's: the largest size, reached at once and kept."""
    X = np.array([[2.0], [3], [3], [2], [4], [3]])
    model = Mixture(NegativeBinomial(DistinctCounts.of(X)))
    fit = em.fit(model, X, one(1.0, 1.0))
    assert fit.reason == "converged"
    assert fit.n_iter <= 3
    assert fit.params.components.sizes.item() == gm.SIZES[1]
    assert fit.log_likelihood == pytest.approx(dist.poisson.logpmf(X, X.mean()).sum(), abs=1e-6)
    # With the rates hidden it creeps there, says so, and never falls.
    slow = em.fit(Mixture(NegativeBinomial()), X, one(1.0, 1.0), max_iter=300)
    assert slow.reason == "max_iter"
    assert np.diff(slow.trace).min() > 0
    assert slow.params.components.sizes.item() > 100


def test_both_climbs_end_at_the_maximum():
    x = np.random.default_rng(0).negative_binomial(1.5, 0.2, 400).astype(float)[:, None]
    size, top = best_size(x)
    for family, steps in [(NegativeBinomial(), 200), (NegativeBinomial(DistinctCounts.of(x)), 3)]:
        fit = em.fit(Mixture(family), x, one(1.0, 50.0), tol=1e-8)
        assert fit.converged
        assert fit.n_iter <= steps
        assert fit.log_likelihood == pytest.approx(top, abs=1e-7)
        assert fit.params.components.sizes.item() == pytest.approx(size, rel=1e-3)
        assert fit.params.components.means.item() == pytest.approx(x.mean(), rel=1e-12)


@pytest.mark.parametrize("tallied", [False, True])
def test_a_column_without_counts(tallied):
    X = np.array([[0.0, 0], [0, 5], [0, 1], [0, 0]])
    model = Mixture(NegativeBinomial(DistinctCounts.of(X) if tallied else None))
    start = model.from_responsibilities(X, np.full((4, 2), 0.5), 2)
    fit = em.fit(model, X, start, max_iter=50)
    assert fit.params.components.means[:, 0].tolist() == [0.0, 0.0]
    assert np.isfinite(fit.log_likelihood)
    assert np.isfinite(model.posterior(X + np.array([100, 0]), fit.params)[0]).all()
    prior = MixturePrior(2.0, GammaRatesPrior.like(1.0, 1.0, 1.0))
    assert em.fit(model, X, start, prior=prior, max_iter=50).reason in ("max_iter", "converged")


def test_a_component_without_rows():
    X = np.array([[0.0], [1], [1], [40], [60]])
    model = Mixture(NegativeBinomial(DistinctCounts.of(X)))
    start = MixtureParams(
        np.array([0.5, 0.5, 0.0]), NegativeBinomialParams(np.array([[1.0], [50], [9]]), np.ones((3, 1)))
    )
    for latent in (None, HARD):
        fit = em.fit(model, X, start, **({} if latent is None else {"latent": latent}))
        assert fit.converged
        assert fit.params.weights[2] == 0.0


@pytest.mark.parametrize(
    ("mean", "size", "sentence"),
    [(1.0, 0.0, "component 0 has the size 0 in column 0"), (-1.0, 1.0, "the mean -1"), (np.nan, 1.0, "the mean nan")],
)
def test_what_is_no_component(mean, size, sentence):
    fit = em.fit(Mixture(NegativeBinomial()), np.array([[1.0]]), one(mean, size))
    assert fit.reason == "degenerate"
    assert sentence in fit.message


def test_what_is_no_count():
    for bad in (-1.0, 0.5):
        with pytest.raises(ValueError, match="X holds a value that is no count"):
            Mixture(NegativeBinomial()).e_step(np.array([[bad], [1.0]]), one(1, 1))
    family = NegativeBinomial(DistinctCounts.of(np.array([[0], [2]])))
    with pytest.raises(ValueError, match="X holds counts that are not among those tallied"):
        Mixture(family).e_step(np.array([[200.0]]), one(1, 1))


# ------------------------------------------------------------------ prior and draws


PRIOR = GammaRatesPrior(rows=3.0, mean=2.0, log_mean=0.2)


def test_the_prior_is_rates_that_were_seen():
    """Three rates as pseudo-statistics: their gamma density, and an M-step as if they were among the data."""
    seen, rng = np.array([0.5, 1.5, 4.0]), np.random.default_rng(0)
    prior = GammaRatesPrior(3.0, seen.mean(), np.log(seen).mean())
    family = NegativeBinomial()
    for mean, size in [(2.0, 0.7), (0.3, 20.0), (5.0, 1e-3)]:
        density = dist.gamma.logpdf(seen, size, scale=mean / size).sum()
        assert family.log_prior(one(mean, size).components, prior) == pytest.approx(density, rel=1e-10)
    stats = Mixture(family).e_step(rng.poisson(3.0, (20, 1)).astype(float), one(2.0, 1.0))[0]
    more = stats.totals + np.array([3.0, 0.0, seen.sum(), np.log(seen).sum()])
    gap = np.log(more[0, 2] / more[0, 0]) - more[0, 3] / more[0, 0]
    best = family.maximise(stats, prior)
    assert best.means.item() == pytest.approx(more[0, 2] / more[0, 0])
    assert np.log(best.sizes.item()) - special.digamma(best.sizes.item()) == pytest.approx(gap)
    like = GammaRatesPrior.like(5.0, 2.0, 4.0)
    assert like.log_mean == pytest.approx(dist.gamma.expect(np.log, (4.0,), scale=0.5))


@pytest.mark.parametrize(
    ("prior", "sentence"),
    [
        (GammaRatesPrior(0.0, 1.0, 0.0), r"prior has rows 0\.0; it must be a number above 0"),
        (GammaRatesPrior(1.0, -1.0, 0.0), r"prior has the mean -1\.0; it must be positive"),
        (GammaRatesPrior(1.0, 1.0, 0.0), r"log_mean 0\.0 and the mean 1\.0; log_mean must be below log\(mean\)"),
        (GammaRatesPrior(1.0, np.ones(3), 0.0), r"mean of shape \(3,\) .*one number, or 2 of them"),
        (GammaRatesPrior(float("nan"), 1.0, -1.0), "prior has rows nan"),
    ],
)
def test_priors_that_are_none(prior, sentence):
    with pytest.raises(ValueError, match=sentence):
        prior.check(2)


def moments_on_a_grid(log_density):
    """Mean and sd of log mean and log size under a density over log mean and size, by brute force."""
    m, t = np.meshgrid(np.linspace(-8, 11, 951), np.linspace(-8, 8, 801), indexing="ij")
    L = log_density(m, np.exp(t)) + t  # d size = size d log size
    p = np.exp(L - L.max())
    p /= p.sum()
    assert max(p[0].max(), p[-1].max(), p[:, 0].max(), p[:, -1].max()) < 1e-6  # the grid holds it all
    means = [(p * v).sum() for v in (m, t)]
    return means, [np.sqrt((p * (v - a) ** 2).sum()) for v, a in zip((m, t), means, strict=True)]


@pytest.mark.parametrize(("N", "mean", "gap"), [(0.0, 1.0, 0.0), (4.0, 3.0, 0.8), (60.0, 0.2, 0.1)])
def test_draws_against_integration(N, mean, gap):
    total = N + PRIOR.rows
    S = N * mean + PRIOR.rows * PRIOR.mean
    L = N * (np.log(mean) - gap) + PRIOR.rows * PRIOR.log_mean

    def log_density(m, r):
        return total * (r * (np.log(r) - m) - special.gammaln(r)) + (r - 1) * L - r * np.exp(-m) * S

    expected, sd = moments_on_a_grid(log_density)
    stats = families.negative_binomial.Statistics(
        np.tile([N, 0.0, N * mean, N * (np.log(mean) - gap)], (2000, 1)), np.zeros((2000, 1)), np.zeros(0)
    )
    drawn = NegativeBinomial().draw(stats, PRIOR, np.random.default_rng(0))
    for values, a, s in zip((np.log(drawn.means), np.log(drawn.sizes)), expected, sd, strict=True):
        assert values.mean() == pytest.approx(a, abs=5 * s / np.sqrt(2000))
        assert values.std() == pytest.approx(s, rel=0.1)


def gibbs_finds_the_posterior(model):
    """Rates, then mean and size, drawn in turn: the posterior of a negative binomial under the prior."""
    x = np.array([0.0, 0, 1, 6, 2, 0, 11, 3])
    prior = MixturePrior(1.0, PRIOR)

    def log_density(m, r):
        pseudo = PRIOR.rows * (
            r * (np.log(r) - m) - special.gammaln(r) + (r - 1) * PRIOR.log_mean - r * np.exp(-m) * PRIOR.mean
        )
        return pseudo + sum(nbinom(v, np.exp(m), r) for v in x)

    expected, sd = moments_on_a_grid(log_density)
    rng, params, kept = np.random.default_rng(0), one(2.0, 1.0), []
    rows = Rows(x[:, None])
    for _ in range(1550):
        params = model.draw(model.e_step(rows, params, sampled(rng))[0], prior, rng)
        kept.append([np.log(params.components.means.item()), np.log(params.components.sizes.item())])
    for values, a, s in zip(np.array(kept[50:]).T, expected, sd, strict=True):
        batches = values.reshape(30, 50).mean(axis=1)  # means of batches are nearly independent
        assert values.mean() == pytest.approx(a, abs=4 * batches.std() / np.sqrt(30) + 0.01)
        assert values.std() == pytest.approx(s, rel=0.12)


def test_gibbs_finds_the_posterior():
    gibbs_finds_the_posterior(Mixture(NegativeBinomial()))


# ------------------------------------------------------------------ known-wrong


@dataclass(frozen=True, eq=False)
class LogOfExpectedRate(nb._Component):
    """The log of the expectation instead of the expectation of the log."""

    def _digammas(self, X, r, tally):
        return np.einsum("ndb,nb->d", np.log(X + self.sizes[:, None]), r)


@dataclass(frozen=True, eq=False)
class LabelsAlone(nb._Component):
    """A sampler that draws labels, but leaves the rates at their expectation."""

    def totals(self, X, r, rng=None):
        return super().totals(X, r)


def mutant(component):
    class Wrong(NegativeBinomial):
        def natural(self, params, log_weights, rows):
            natural = super().natural(params, log_weights, rows)
            return Natural(natural.eta, {k: component(**vars_of(c)) for k, c in natural.special.items()})

    return Mixture(Wrong())


def vars_of(part):
    return {name: getattr(part, name) for name in part.__dataclass_fields__}


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        (LogOfExpectedRate, expected_rates),
        (LabelsAlone, rates_are_drawn),
        pytest.param(LabelsAlone, gibbs_finds_the_posterior, marks=pytest.mark.slow),
    ],
)
def test_the_checks_reject(wrong, check):
    with pytest.raises(AssertionError):
        check(mutant(wrong))


def test_params_are_replaced_not_changed():
    params = one(1.0, 1e9)
    assert Mixture(NegativeBinomial()).project(params).components.sizes.item() == gm.SIZES[1]
    assert params.components.sizes.item() == 1e9
    assert replace(params.components, sizes=np.ones((1, 1))).sizes.item() == 1.0
