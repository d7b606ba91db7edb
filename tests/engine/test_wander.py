"""The walk: exact posteriors by enumeration, joint-distribution tests, and samplers that are wrong on purpose."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as dist
from scipy.special import betaln, logsumexp

from emlib.engine import families as f
from emlib.engine import wander
from emlib.engine.blocks import Rows
from emlib.engine.em import Degenerate
from emlib.engine.ensemble import InTurn, Listed, ensemble
from emlib.engine.families.base import dirichlet
from emlib.engine.families.gaussian_independent import inverse_wishart
from emlib.engine.kernel import Statistics, log_joints
from emlib.engine.latent import sampled
from emlib.engine.mixture import Mixture, MixtureParams, MixturePrior, log_weights_of

from ..conformance.cases import CASES

BY_NAME = {case.name: case for case in CASES}
FAMILY = {case.name: getattr(case.model, "family", None) for case in CASES}
SEPARATE = [
    c
    for c in CASES
    if isinstance(c.model, Mixture)
    and hasattr(FAMILY[c.name], "log_evidence")
    and not getattr(FAMILY[c.name], "tied", ())
]
IDS = {"ids": lambda x: getattr(x, "name", None)}
NIW = f.NormalInverseWishart(np.array([0.5]), 0.5, np.array([[2.0]]), 3.0)
APART = f.IndependentNormalInverseWishart(np.array([0.5]), np.array([[4.0]]), np.array([[2.0]]), 3.0)
APART_2 = f.IndependentNormalInverseWishart(
    np.array([0.5, -0.5]), np.array([[4.0, 1.0], [1.0, 2.0]]), np.diag([3.0, 2.0]), 5.0
)


# ------------------------------------------------------------------ evidence


def features(family, X):
    T = np.empty((1, family.n_features(X.shape[1]), len(X)))
    family.features(np.asarray(X, dtype=float).T[None], T)
    return T[0].T


def evidence(family, X, prior):
    """Log evidence of the rows X in one component."""
    totals = features(family, X).sum(axis=0)[None]
    return float(family.log_evidence(Statistics(totals, np.zeros((1, X.shape[1])), np.zeros(0)), prior)[0])


def test_evidence_of_one_row_is_the_known_predictive_distribution():
    x = np.array([[1.3, -0.4]])
    niw = f.NormalInverseWishart(np.array([0.5, -0.5]), 2.0, np.array([[3.0, 0.5], [0.5, 2.0]]), 5.0)
    shape = niw.scatter * (niw.strength + 1) / niw.strength / (niw.dof - 1)
    expected = dist.multivariate_t(niw.mean, shape, df=niw.dof - 1).logpdf(x[0])
    assert evidence(f.Gaussian(), x, niw) == pytest.approx(expected, rel=1e-12)
    scale = np.sqrt(np.diag(niw.scatter) * (1 + 1 / niw.strength) / niw.dof)
    expected = dist.t(niw.dof, niw.mean, scale).logpdf(x[0]).sum()
    assert evidence(f.DiagonalGaussian(), x, niw) == pytest.approx(expected, rel=1e-12)
    spread = np.trace(niw.scatter) * (1 + 1 / niw.strength) / niw.dof
    expected = dist.multivariate_t(niw.mean, spread * np.eye(2), df=niw.dof).logpdf(x[0])
    assert evidence(f.SphericalGaussian(), x, niw) == pytest.approx(expected, rel=1e-12)

    counts, base = np.array([[3.0, 1.0]]), lambda family: float(family.log_base(counts.T).sum())
    gamma = f.GammaPrior(2.0, 0.5)
    expected = dist.nbinom(2.0, 0.5 / 1.5).logpmf(counts[0]).sum()
    assert evidence(f.Poisson(), counts, gamma) + base(f.Poisson()) == pytest.approx(expected, rel=1e-12)
    binomial, beta = f.Binomial(np.array([10.0, 5.0])), f.BetaPrior(2.0, 3.0)
    expected = dist.betabinom([10, 5], 2.0, 3.0).logpmf(counts[0]).sum()
    assert evidence(binomial, counts, beta) + base(binomial) == pytest.approx(expected, rel=1e-12)
    expected = np.log(4) + betaln(3 + 1.5, 1 + 1.5) - betaln(1.5, 1.5)
    multinomial = f.Multinomial()
    found = evidence(multinomial, counts, f.DirichletPrior(1.5)) + base(multinomial)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("case", SEPARATE, **IDS)
def test_evidence_is_the_likelihood_averaged_over_the_prior(case):
    """Of two rows, by plain Monte Carlo; of one row more exactly above."""
    family, prior, X = case.model.family, case.prior.components, case.data(2)
    params = family.draw_prior(prior, 40_000, X.shape[1], np.random.default_rng(0))
    natural = family.natural(params, np.zeros(40_000), Rows(X))
    log_likelihood = log_joints(Rows(X), family, natural, 40_000)[:, :, 0].sum(axis=1)
    likelihood = np.exp(log_likelihood - log_likelihood.max())
    base = float(family.log_base(X.T).sum()) if hasattr(family, "log_base") else 0.0
    expected = np.exp(evidence(family, X, prior) + base - log_likelihood.max())
    assert abs(likelihood.mean() - expected) < 4.5 * likelihood.std() / 200


# ------------------------------------------------------------------ draws


def test_inverse_wishart_is_that_of_scipy():
    scatter, dof, rng = np.array([[2.0, 0.7], [0.7, 1.0]]), 4.5, np.random.default_rng(0)
    ours = inverse_wishart(np.tile(scatter, (4000, 1, 1)), np.full(4000, dof), rng)
    theirs = dist.invwishart(dof, scatter).rvs(4000, random_state=rng)
    for pick in (lambda S: S[:, 0, 0], lambda S: S[:, 1, 1], lambda S: S[:, 0, 1], lambda S: np.linalg.det(S)):
        assert dist.ks_2samp(pick(ours), pick(theirs)).pvalue > 1e-3


def test_dirichlet_of_small_and_large_concentrations():
    rng = np.random.default_rng(0)
    for alpha in ([0.01, 0.02], [0.5, 3.0]):
        ours = dirichlet(np.tile(alpha, (4000, 1)), rng)[:, 0]
        assert dist.ks_2samp(ours, rng.dirichlet(alpha, 4000)[:, 0]).pvalue > 1e-3


@pytest.mark.parametrize("prior", [NIW, APART], ids=["conjugate", "independent"])
def test_a_component_without_rows_is_drawn_from_the_prior(prior):
    model, rng = Mixture(f.Gaussian()), np.random.default_rng(0)
    totals = np.tile([0.0, 0.0, 0.0], (4000, 1))
    totals = np.concatenate([totals, [[3.0, 1.0, 5.0]]])  # someone must hold the rows
    stats = Statistics(totals, np.zeros((4001, 1)), np.zeros(0))
    current = MixtureParams(np.ones(4001), f.GaussianParams(np.zeros((4001, 1)), np.ones((4001, 1, 1))))
    for drawn in (
        model.draw(stats, MixturePrior(1.0, prior), rng, current).components,
        model.draw_prior(MixturePrior(1.0, prior), 4000, 1, rng).components,
    ):
        variance = drawn.covariances[:4000, 0, 0]
        assert dist.kstest(variance, dist.invgamma(1.5, scale=1.0).cdf).pvalue > 1e-3
        width = np.sqrt(variance / 0.5) if prior is NIW else 2.0
        assert dist.kstest((drawn.means[:4000, 0] - 0.5) / width, dist.norm.cdf).pvalue > 1e-3


# ------------------------------------------------------------------ many chains are each one chain


@pytest.mark.parametrize("case", SEPARATE, **IDS)
def test_listed_chains_see_what_each_would_see_alone(case):
    rows, rng = Rows(case.data(400)), np.random.default_rng(0)
    starts = [case.model.draw_prior(case.prior, len(case.params.weights), rows.d, rng) for _ in range(3)]
    starts[1] = case.params
    together = Listed(case.model, starts, case.prior, np.ones(3))
    stats, values = together.expect(rows, together.start(), sampled(rng))
    K = len(case.params.weights)
    for s, start in enumerate(starts):
        assert values[0, s] == pytest.approx(case.model.e_step(rows, start)[1], rel=1e-12)
        assert stats.counts[s * K : (s + 1) * K].sum() == pytest.approx(400)
    moved, params = together.reordered(stats, together.start(), np.array([2, 0, 1]))
    np.testing.assert_array_equal(moved.totals[:K], stats.totals[2 * K :])
    np.testing.assert_array_equal(params.weights[1], starts[0].weights)
    expected = [case.model.m_step(Statistics(stats.totals[i : i + K], stats.about[i : i + K], stats.shared), case.prior)
                for i in range(0, 3 * K, K)]  # fmt: skip
    ours = together.maximise(stats)
    np.testing.assert_allclose(ours.weights, [params.weights for params in expected], rtol=1e-12)


def test_chains_of_any_model_take_turns():
    case = BY_NAME["tied gaussian"]
    chains = ensemble(case.model, [case.params] * 2, case.prior, np.ones(2))
    assert isinstance(chains, InTurn)
    walk = wander.sample(
        case.model, case.data(50), [case.params] * 2, draws=4, tune=1, prior=case.prior, rng=np.random.default_rng(0)
    )
    assert walk.parameters["covariances"].shape == (2, 4, 2, 2)


def test_blocks_are_sampled_as_one_table(monkeypatch):
    """Cut into blocks the draws differ, but not their distribution."""
    case = BY_NAME["poisson"]
    X, means = case.data(300), []
    for size in (100, 1000):
        monkeypatch.setattr("emlib.engine.blocks.BLOCK_ROWS", size)
        walk = wander.sample(
            case.model, Rows(X), [case.params] * 20, draws=30, tune=5, prior=case.prior, rng=np.random.default_rng(1)
        )
        means.append(walk.parameters["rates"].mean(axis=1))
    z = (means[0].mean(axis=0) - means[1].mean(axis=0)) / np.sqrt((means[0].var(axis=0) + means[1].var(axis=0)) / 20)
    assert np.abs(z).max() < 4.5


# ------------------------------------------------------------------ exact posteriors of five rows

FIVE = np.array([[-1.2], [-0.8], [0.3], [1.9], [2.4]])
LABELS = list(itertools.product((0, 1), repeat=5))


def grid(prior):
    """Means, variances and the log prior mass of each cell, for independent priors of the two."""
    mean, log_v = np.linspace(-9, 10, 400), np.linspace(-4, 8, 300)
    v = np.exp(log_v)
    of_v = dist.invgamma(prior.dof / 2, scale=prior.scatter[0, 0] / 2).logpdf(v) + log_v
    cell = np.log((mean[1] - mean[0]) * (log_v[1] - log_v[0]))
    return mean[:, None], v, dist.norm(prior.mean[0], 2.0).logpdf(mean)[:, None] + of_v + cell


def log_likelihood_on(mean, v, X):
    squares = sum((x - mean) ** 2 for x in X[:, 0])
    return -0.5 * squares / v - 0.5 * len(X) * np.log(2 * np.pi * v)


def by_quadrature(prior):
    """Log evidence of a set of rows under such a prior."""
    mean, v, log_mass = grid(prior)
    return lambda X: logsumexp(log_mass + log_likelihood_on(mean, v, X))


def exact(log_evidence, alpha):
    """Posterior probability of each of the 32 labellings of five rows, two components."""
    found = []
    for z in np.array(LABELS):
        counts = np.bincount(z, minlength=2)
        found.append(betaln(*(counts + alpha)) + sum(log_evidence(FIVE[z == k]) for k in (0, 1)))
    return np.exp(np.array(found) - logsumexp(found))


def sampled_labellings(family, prior, X=FIVE, **options):
    """The same from draws: the mean, over draws, of the probability of each labelling (chains, 32)."""
    rng, model, rows = np.random.default_rng(4), Mixture(family), Rows(X)
    starts = [model.draw_prior(prior, 2, 1, rng) for _ in range(60)]
    walk = wander.sample(model, rows, starts, draws=400, tune=50, prior=prior, rng=rng, **options)
    found = np.empty((60, len(LABELS)))
    for c in range(60):
        kind = type(starts[0].components)
        names = [name for name in walk.parameters if name != "weights"]
        listed = kind(**{n: walk.parameters[n][c].reshape(-1, *walk.parameters[n].shape[3:]) for n in names})
        params = MixtureParams(walk.parameters["weights"][c], listed)
        natural = family.natural(listed, log_weights_of(params).ravel(), rows)
        A = log_joints(rows, family, natural, 400)
        A -= np.logaddexp.reduce(A, axis=2)[:, :, None]
        found[c] = [np.exp(sum(A[:, i, k] for i, k in enumerate(z))).mean() for z in LABELS]
    return found


def worst(found, probabilities):
    """The largest deviation, in standard errors between chains."""
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    return float(np.abs((found.mean(axis=0) - probabilities) / error).max())


WEIGHTS = np.array([1.5, 0.8])
CONJUGATE = MixturePrior(WEIGHTS, NIW)
TURNS = MixturePrior(WEIGHTS, APART)
EXACT_IN_TURN = exact(by_quadrature(APART), WEIGHTS)
EXACT = exact(lambda X: evidence(f.Gaussian(), X, NIW) if len(X) else 0.0, WEIGHTS)
SIGMAS = 4.5  # of 32 numbers, one in 5,000 runs is further off


@pytest.mark.parametrize("options", [{}, {"temperatures": (1.0, 2.0, 5.0)}], ids=["plain", "tempered"])
def test_gibbs_finds_the_exact_posterior_of_labels(options):
    assert worst(sampled_labellings(f.Gaussian(), CONJUGATE, **options), EXACT) < SIGMAS


@pytest.mark.slow
def test_the_collapsed_sampler_finds_it_too():
    assert worst(sampled_labellings(f.Gaussian(), CONJUGATE, update="collapsed"), EXACT) < SIGMAS


@pytest.mark.parametrize("options", [{}, {"temperatures": (1.0, 3.0)}], ids=["plain", "tempered"])
def test_means_and_variances_in_turn_find_the_exact_posterior(options):
    assert worst(sampled_labellings(f.Gaussian(), TURNS, **options), EXACT_IN_TURN) < SIGMAS


@pytest.mark.parametrize(
    ("family", "prior"),
    [
        (f.DiagonalGaussian(), NIW),
        (f.SphericalGaussian(), NIW),
        (f.Poisson(), f.GammaPrior(2.0, 0.5)),
        (f.Binomial(np.array([6.0])), f.BetaPrior(1.5, 1.0)),
    ],
    ids=["diagonal", "spherical", "poisson", "binomial"],
)
def test_every_family_finds_its_own(family, prior):
    counts = np.array([[0.0], [1], [3], [5], [6]])
    X = FIVE if prior is NIW else counts
    both = MixturePrior(WEIGHTS, prior)
    known = []
    for z in np.array(LABELS):
        n = np.bincount(z, minlength=2)
        parts = [evidence(family, X[z == k], prior) for k in (0, 1) if n[k]]
        known.append(betaln(*(n + WEIGHTS)) + sum(parts))
    known = np.exp(np.array(known) - logsumexp(known))
    assert worst(sampled_labellings(family, both, X), known) < SIGMAS


class WrongDof(f.Gaussian):
    """Covariances with two degrees of freedom too many."""

    def draw(self, stats, prior, rng, current=None):
        return super().draw(stats, replace(prior, dof=prior.dof + 2.0), rng, current)


class ForgottenPrior(f.Gaussian):
    """Means drawn as if the prior's rows had never been seen."""

    def draw(self, stats, prior, rng, current=None):
        return super().draw(stats, replace(prior, strength=0.05), rng)


class AllAtOnce(f.Gaussian):
    """Means drawn given the covariances of last time, instead of those just drawn."""

    def draw(self, stats, prior, rng, current=None):
        fresh = super().draw(stats, prior, rng, current)
        N, mean = stats.counts, stats.totals[:, 1:2] / np.maximum(stats.counts, 1.0)[:, None]
        variance = current.covariances[:, 0]
        precision = 1.0 / prior.covariance + N[:, None] / variance
        centre = (prior.mean / prior.covariance + (N[:, None] * (mean + stats.about)) / variance) / precision
        return f.GaussianParams(centre + rng.standard_normal(centre.shape) / np.sqrt(precision), fresh.covariances)


@pytest.mark.parametrize("wrong", [WrongDof(), ForgottenPrior()], ids=lambda w: type(w).__name__)
def test_enumeration_rejects_a_wrong_draw(wrong):
    assert worst(sampled_labellings(wrong, CONJUGATE), EXACT) > 2 * SIGMAS


def off_in_one_component(family):
    """The posterior mean of (mean - 3)^2 / variance, which depends on both together, against the grid's."""
    X, rng, model = np.array([[2.0], [2.5], [6.0]]), np.random.default_rng(0), Mixture(family)
    prior = MixturePrior(1.0, APART)
    starts = [model.draw_prior(prior, 1, 1, rng) for _ in range(60)]
    walk = wander.sample(model, Rows(X), starts, draws=300, tune=20, prior=prior, rng=rng)
    found = ((walk.parameters["means"][..., 0, 0] - 3.0) ** 2 / walk.parameters["covariances"][..., 0, 0, 0]).mean(
        axis=1
    )
    mean, v, log_mass = grid(APART)
    log_p = log_mass + log_likelihood_on(mean, v, X)
    expected = (np.exp(log_p - logsumexp(log_p)) * (mean - 3.0) ** 2 / v).sum()
    return abs(found.mean() - expected) / found.std(ddof=1) * np.sqrt(60)


def test_means_and_variances_are_drawn_one_after_the_other():
    assert off_in_one_component(f.Gaussian()) < 4.0
    assert off_in_one_component(AllAtOnce()) > 8.0


def test_enumeration_rejects_an_exchange_of_the_wrong_sign(monkeypatch):
    true = wander._Exchange.__call__
    monkeypatch.setattr(wander._Exchange, "__call__", lambda self, c, rng: true(self, -0.5 * c, rng))
    assert worst(sampled_labellings(f.Gaussian(), CONJUGATE, temperatures=(1.0, 2.0, 5.0)), EXACT) > SIGMAS


# ------------------------------------------------------------------ the joint distribution of parameters and data


def one_sweep(model, X, params, prior, rng):
    chains = ensemble(model, [params], prior, np.ones(1))
    now = chains.start()
    with np.errstate(invalid="ignore", divide="ignore"):
        stats, _ = chains.expect(Rows(X), now, sampled(rng))
    drawn = chains.draw(stats, now, rng)
    return drawn if isinstance(drawn, MixtureParams) and drawn.weights.ndim == 1 else _only(drawn)


def _only(drawn):
    if isinstance(drawn, list):
        return drawn[0]
    return MixtureParams(drawn.weights[0], drawn.components)


def functions(params):
    """Numbers to compare: none depends on the names of the components."""
    first = next(iter(vars(params.components).values()))
    spread = np.log(np.asarray(getattr(params.components, "covariances", first), dtype=float).ravel() ** 2 + 1e-9)
    low, high = np.sort(first[:, 0])[[0, -1]]
    return np.array([np.arctan(low), np.arctan(high), params.weights.max(), np.tanh(spread.mean() / 4)])


def geweke(model, prior, d, steps, n=4, seed=0):
    """Geweke (2004): data and parameters drawn from each other in turn must reproduce the prior.

    The largest difference of means between that chain and independent draws, in standard errors.
    """
    rng = np.random.default_rng(seed)
    params, found = model.draw_prior(prior, 2, d, rng), []
    for _ in range(steps):
        params = one_sweep(model, model.simulate(params, n, rng), params, prior, rng)
        found.append(functions(params))
    batches = np.array(found)[: steps // 50 * 50].reshape(50, -1, 4).mean(axis=1)
    prior_draws = np.array([functions(model.draw_prior(prior, 2, d, rng)) for _ in range(4 * steps)])
    error = np.sqrt(batches.var(axis=0, ddof=1) / 50 + prior_draws.var(axis=0) / (4 * steps))
    return float(np.abs((batches.mean(axis=0) - prior_draws.mean(axis=0)) / error).max())


JOINT = [
    (f.Gaussian(), CONJUGATE, 1),
    (f.Gaussian(), TURNS, 1),
    (f.Gaussian(), MixturePrior(1.0, APART_2), 2),
    (f.TiedGaussian(), MixturePrior(1.0, APART_2), 2),
    (f.DiagonalGaussian(), MixturePrior(1.0, APART_2), 2),
    (f.SphericalGaussian(), MixturePrior(1.0, APART_2), 2),
    (f.TiedSphericalGaussian(), MixturePrior(1.0, BY_NAME["gaussian"].prior.components), 2),
    (f.Poisson(), MixturePrior(1.0, f.GammaPrior(2.0, 0.5)), 2),
    (f.Multinomial(total=5), MixturePrior(1.0, f.DirichletPrior(0.8)), 3),
]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "prior", "d"), JOINT, ids=lambda x: type(x).__name__)
def test_geweke(family, prior, d):
    assert geweke(Mixture(family), prior, d, steps=10_000) < 4.0


def test_geweke_in_short():
    family, prior, d = JOINT[-2]
    assert geweke(Mixture(family), prior, d, steps=400) < 4.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "prior"),
    [(WrongDof(), CONJUGATE), (ForgottenPrior(), CONJUGATE)],
    ids=lambda x: type(x).__name__,
)
def test_geweke_rejects(family, prior):
    assert geweke(Mixture(family), prior, 1, steps=10_000) > 5.0


def ranks(model, prior, d, replicates, n, tune, seed=0):
    """Talts et al. (2018): the rank of the truth among 19 posterior draws, uniform if the sampler is right.

    The chains need not have forgotten their start: one walks away from the truth, and 19 walk from where it came to.
    If the sampler keeps the posterior, and is its own reverse, the truth and the 19 cannot be told apart (Besag &
    Clifford, 1989).
    """
    rng, found = np.random.default_rng(seed), []

    def walked(starts, X):
        options = {"draws": 1, "tune": tune, "prior": prior, "rng": rng}
        at = wander.sample(model, Rows(X), starts, **options).parameters
        kind, names = type(starts[0].components), [name for name in at if name != "weights"]
        components = (kind(**{name: at[name][c, 0] for name in names}) for c in range(len(starts)))
        return [MixtureParams(at["weights"][c, 0], own) for c, own in enumerate(components)]

    for _ in range(replicates):
        truth = model.draw_prior(prior, 2, d, rng)
        X = model.simulate(truth, n, rng)
        draws = walked(walked([truth], X) * 19, X)
        found.append((np.array([functions(own) for own in draws]) < functions(truth)).sum(axis=0))
    return np.array(found)


def uniform(found):
    """The smallest p-value of chi-square tests of uniform ranks, corrected for their number."""
    p = [dist.chisquare(np.bincount(column // 2, minlength=10)).pvalue for column in found.T]
    return min(p) * len(p)


CALIBRATED = [
    pytest.param(f.Gaussian(), CONJUGATE, 1, id="conjugate gaussian"),
    pytest.param(f.Gaussian(), TURNS, 1, id="independent gaussian"),
    pytest.param(f.Gaussian(), MixturePrior(1.0, APART_2), 2, id="two columns"),
    pytest.param(f.Poisson(), MixturePrior(1.0, f.GammaPrior(2.0, 0.5)), 1, id="poisson"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "prior", "d"), CALIBRATED)
def test_calibration_by_simulation(family, prior, d):
    assert uniform(ranks(Mixture(family), prior, d, replicates=600, n=10, tune=40)) > 0.01


def test_calibration_by_simulation_in_short():
    model, prior = Mixture(f.Poisson()), MixturePrior(1.0, f.GammaPrior(2.0, 0.5))
    assert uniform(ranks(model, prior, 1, replicates=60, n=6, tune=15)) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [WrongDof(), ForgottenPrior()], ids=lambda w: type(w).__name__)
def test_calibration_rejects(wrong):
    assert uniform(ranks(Mixture(wrong), CONJUGATE, 1, replicates=600, n=10, tune=40)) < 1e-3


# ------------------------------------------------------------------ what is refused


def test_refusals():
    case, tied = BY_NAME["poisson"], BY_NAME["tied gaussian"]
    options = {"draws": 1, "tune": 0, "rng": np.random.default_rng(0)}
    with pytest.raises(ValueError, match="begin at 1 and rise"):
        wander.sample(case.model, case.data(9), [case.params], prior=case.prior, temperatures=(2.0, 1.0), **options)
    with pytest.raises(ValueError, match="temperatures above 1 need"):
        wander.sample(tied.model, tied.data(9), [tied.params], prior=tied.prior, temperatures=(1.0, 2.0), **options)
    with pytest.raises(ValueError, match="integrated out"):
        wander.sample(tied.model, tied.data(9), [tied.params], prior=tied.prior, update="collapsed", **options)
    with pytest.raises(TypeError, match="no closed maximum"):
        f.Gaussian().maximise(BY_NAME["gaussian"].model.e_step(np.eye(2), BY_NAME["gaussian"].params)[0], APART_2)
    spike = MixtureParams(np.ones(1), f.GaussianParams(np.zeros((1, 1)), np.zeros((1, 1, 1))))
    with pytest.raises(Degenerate, match="a chain came to parameters"):
        wander.sample(Mixture(f.Gaussian()), FIVE, [spike], prior=CONJUGATE, **options)


def test_the_prior_of_independent_parts_is_a_density():
    """Its logarithm is that of scipy's normal and inverse-Wishart, up to a constant."""
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(3):
        params = Mixture(f.Gaussian()).draw_prior(MixturePrior(1.0, APART_2), 2, 2, rng).components
        theirs = dist.multivariate_normal(APART_2.mean, APART_2.covariance).logpdf(params.means).sum()
        theirs += sum(dist.invwishart(APART_2.dof, APART_2.scatter).logpdf(S) for S in params.covariances)
        differences.append(f.Gaussian().log_prior(params, APART_2) - theirs)
    assert np.ptp(differences) < 1e-9
