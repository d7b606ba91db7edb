"""The sampler as readers use it: galaxies, labels, tables, and input that is refused."""

from __future__ import annotations

import itertools
import sys
import types
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from scipy.special import gammaln, softmax

import emlib
from emlib.engine import families as f
from emlib.engine import wander
from emlib.engine.blocks import Rows
from emlib.engine.latent import sampled
from emlib.engine.markov import MarkovPrior
from emlib.engine.mixture import Mixture, MixturePrior
from emlib.models.draws import stephens
from emlib.models.mixtures import SHAPES

RICHARDSON = MixturePrior(  # Dirichlet(1, 1, 1), means N(20, 10^2), variances IG(2, 2)
    1.0, f.IndependentNormalInverseWishart(np.array([20.0]), np.array([[100.0]]), np.array([[4.0]]), 4.0)
)
LADDER = (1.0, 1.5, 2.5, 5.0)
PUBLISHED = (9.720, 21.395, 32.900)


@pytest.fixture(scope="module")
def galaxies():
    sampler = emlib.GibbsSampler(emlib.GaussianMixture(3), RICHARDSON, temperatures=LADDER)
    return sampler.sample(emlib.data.galaxies(), 250, tune=250, chains=24, random_state=0)


def in_main_mode(draws):
    means = draws.relabelled("order")["means"][..., 0]
    return means, (means[..., 0] < 13) & (means[..., 2] > 28)


def off_by(values, expected, chosen=None):
    """Deviation of a mean from what is expected, in standard errors between chains."""
    chosen = np.ones(values.shape[:2], bool) if chosen is None else chosen
    means = np.array([own[keep].mean(axis=0) for own, keep in zip(values, chosen, strict=True)])
    return np.abs(means.mean(axis=0) - expected) / (means.std(axis=0, ddof=1) / np.sqrt(len(means)))


def test_galaxies_as_published(galaxies):
    means, main = in_main_mode(galaxies)
    assert (off_by(means, PUBLISHED, main) < 4.0).all()
    assert abs(main.mean() - 0.984) < 0.01
    assert (galaxies.swaps > 0.005).all()


@pytest.mark.slow
def test_galaxies_as_published_to_the_second_digit():
    sampler = emlib.GibbsSampler(emlib.GaussianMixture(3), RICHARDSON, temperatures=LADDER)
    draws = sampler.sample(emlib.data.galaxies(), 3000, tune=1000, chains=64, random_state=1)
    means, main = in_main_mode(draws)
    np.testing.assert_allclose(means[main].mean(axis=0), PUBLISHED, atol=0.006)
    assert abs(main.mean() - 0.984) < 0.004


@pytest.mark.slow
def test_the_collapsed_sampler_agrees_on_a_conjugate_prior():
    """Two samplers of one posterior, in one column of Old Faithful."""
    X = emlib.data.old_faithful()[:, :1]
    found = []
    for update, draws in (("draw", 500), ("collapsed", 60)):
        sampler = emlib.GibbsSampler(emlib.GaussianMixture(2), update=update)
        means = sampler.sample(X, draws, tune=30, chains=16, random_state=0).relabelled("order")["means"][..., 0]
        found.append(means.mean(axis=1))
    error = np.sqrt(sum(own.var(axis=0, ddof=1) / 16 for own in found))
    assert (np.abs(found[0].mean(axis=0) - found[1].mean(axis=0)) < 4.5 * error).all()


# ------------------------------------------------------------------ labels


def test_switched_labels_are_seen_and_said(galaxies):
    pytest.importorskip("arviz")
    assert galaxies.switching > 0.5
    with pytest.warns(UserWarning, match=r"labels have switched in \d+% of the draws"):
        galaxies.summary()
    for draws in (galaxies.relabelled("order"), galaxies.relabelled("stephens", emlib.data.galaxies())):
        assert draws.switching < 0.02
        assert draws.summary(var_names=["weights"]).shape[0] == 3


def test_labels_that_never_switched_need_no_warning(recwarn):
    pytest.importorskip("arviz")
    sampler = emlib.GibbsSampler(emlib.GaussianMixture(2))
    draws = sampler.sample(emlib.data.old_faithful(), 50, tune=10, chains=4, random_state=0, start="em")
    assert draws.switching == 0.0
    draws.summary()
    assert not [w for w in recwarn if "switched" in str(w.message)]


@pytest.mark.parametrize("how", ["order", "stephens"])
def test_a_scrambled_labelling_is_recovered(how):
    X = emlib.data.old_faithful()
    sampler = emlib.GibbsSampler(emlib.GaussianMixture(2, covariance_type="diag"))
    draws = sampler.sample(X, 100, tune=20, chains=3, random_state=0, start="em").relabelled("order")
    rng = np.random.default_rng(0)
    swap = rng.random(draws.log_likelihood.shape) < 0.5
    scrambled = {
        name: np.where(swap.reshape(*swap.shape, *[1] * (v.ndim - 2)), v[:, :, ::-1], v)
        for name, v in draws.parameters.items()
    }
    mixed = replace(draws, parameters=scrambled, labelling="as drawn")
    assert mixed.switching > 0.4
    found = mixed.relabelled(how, X)
    if found["means"][0, 0, 0, 0] > found["means"][0, 0, 1, 0]:  # which of the two comes first is arbitrary
        found = replace(found, parameters={name: v[:, :, ::-1] for name, v in found.parameters.items()})
    for name, values in draws.parameters.items():
        np.testing.assert_array_equal(found[name], values)


def test_stephens_untangles_what_no_order_can():
    """Three components on a cross: each coordinate orders two of them at random."""
    rng = np.random.default_rng(0)
    Q = rng.dirichlet(np.full(3, 0.3), size=40)
    P = np.stack([rng.dirichlet(50 * row, size=200) for row in Q], axis=1)
    scramble = np.array([rng.permutation(3) for _ in range(200)])
    mixed = np.take_along_axis(P, scramble[:, None, :], axis=2)
    order = stephens(lambda: [mixed[:120], mixed[120:]], best=5)
    sorted_out = np.take_along_axis(mixed, order[:, None, :], axis=2)
    same = np.take_along_axis(P, scramble[5][order[5]][None, None, :].repeat(200, 0), axis=2)
    np.testing.assert_array_equal(sorted_out, same)


def test_relabelling_keeps_what_no_label_touches(galaxies):
    X = emlib.data.galaxies()
    few = replace(
        galaxies,
        parameters={name: v[:2, :5] for name, v in galaxies.parameters.items()},
        log_likelihood=galaxies.log_likelihood[:2, :5],
    )
    for draws in (few, few.relabelled("order", by="weights"), few.relabelled("stephens", X)):
        np.testing.assert_allclose(draws.pointwise(X).sum(axis=2), few.log_likelihood, rtol=1e-12)
        np.testing.assert_allclose(draws["weights"].sum(axis=2), 1.0)
    assert (np.diff(few.relabelled("order", by="weights")["weights"], axis=2) >= 0).all()


# ------------------------------------------------------------------ every family, every way

Y = np.random.default_rng(0).normal(size=(30, 2))
COUNTS = np.random.default_rng(1).poisson(3.0, size=(30, 2))
WORLDS = [(emlib.GaussianMixture(2, covariance_type=shape), Y) for shape in SHAPES] + [
    (emlib.PoissonMixture(2), COUNTS),
    (emlib.BinomialMixture(2, n_trials=20), COUNTS),
    (emlib.BinomialMixture(2, n_trials=20, fix_weights=True), COUNTS),
    (emlib.BernoulliMixture(2), (COUNTS > 3).astype(int)),
    (emlib.MultinomialMixture(2), COUNTS),
]


@pytest.mark.parametrize(("model", "X"), WORLDS, ids=[str(model) for model, _ in WORLDS])
def test_every_family_is_sampled(model, X):
    tied = "tied" in getattr(model, "covariance_type", "")
    choices = [{}, {"update": "maximise"}, {"update": "maximise", "prior": None}]
    choices += [] if tied else [{"update": "collapsed"}, {"temperatures": (1.0, 2.0)}]
    for choice in choices:
        for start in ("rows", "prior", "em"):
            if choice.get("prior", "") is None and start == "prior":
                continue
            sampler = emlib.GibbsSampler(model, **choice)
            draws = sampler.sample(X, 3, tune=1, chains=2, random_state=0, start=start)
            assert draws["weights"].shape == (2, 3, 2)
            np.testing.assert_allclose(draws.pointwise(X).sum(axis=2), draws.log_likelihood, rtol=1e-9)
            relabelled = draws.relabelled("stephens", X)
            if find_spec("arviz"):
                relabelled.to_arviz(X)


def test_the_same_seed_draws_the_same():
    sampler = emlib.GibbsSampler(emlib.PoissonMixture(2))
    one, two, three = (sampler.sample(COUNTS, 5, tune=2, chains=3, random_state=seed)["rates"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, three)


def test_where_the_origin_lies_does_not_matter():
    """Far from zero the same walk is taken, to rounding."""
    sampler = emlib.GibbsSampler(emlib.GaussianMixture(2))
    near, far = (sampler.sample(Y + step, 10, tune=2, chains=2, random_state=0) for step in (0.0, 1e6))
    np.testing.assert_allclose(far["means"] - 1e6, near["means"], atol=1e-6)


def test_warm_start_from_a_fit():
    fitted = emlib.GaussianMixture(2, random_state=0).fit(emlib.data.old_faithful())
    sampler = emlib.GibbsSampler(emlib.GaussianMixture(2))
    draws = sampler.sample(emlib.data.old_faithful(), 2, tune=0, chains=2, random_state=0, start=fitted)
    np.testing.assert_array_equal(draws["means"][:, 0], np.stack([fitted.means_] * 2))
    assert draws.log_likelihood[0, 0] == pytest.approx(fitted.log_likelihood_)


def test_stochastic_em_is_sampled_labels_and_the_usual_m_step():
    model, rng = Mixture(f.Poisson()), np.random.default_rng(0)
    start = model.from_responsibilities(COUNTS, np.random.default_rng(5).dirichlet((1, 1), 30), 2)
    walk = wander.sample(model, Rows(COUNTS), [start], draws=2, tune=0, prior=None, rng=rng, update="maximise")
    stats, value = model.e_step(COUNTS, start, sampled(np.random.default_rng(0)))
    np.testing.assert_allclose(walk.parameters["rates"][0, 1], model.m_step(stats).components.rates)
    assert walk.log_likelihood[0, 0] == pytest.approx(value)


# ------------------------------------------------------------------ more components than rows, empty components


def test_more_components_than_rows():
    X = np.array([[1.0], [2.0], [9.0]])
    for update in ("draw", "collapsed"):
        draws = emlib.GibbsSampler(emlib.GaussianMixture(5), update=update)
        draws = draws.sample(X, 20, tune=5, chains=3, random_state=0)
        assert np.isfinite(draws.log_likelihood).all()
    tiny = MixturePrior(0.01, f.GammaPrior(1.0, 0.1))
    draws = emlib.GibbsSampler(emlib.PoissonMixture(30), tiny).sample(X, 100, tune=5, chains=3, random_state=0)
    assert np.isfinite(draws.log_likelihood).all()
    np.testing.assert_allclose(draws["weights"].sum(axis=2), 1.0)


# ------------------------------------------------------------------ ArviZ, old and new


def test_arviz_gets_all_it_needs(galaxies):
    arviz = pytest.importorskip("arviz")
    X = emlib.data.galaxies()
    data = galaxies.relabelled("order").to_arviz(X)
    assert data.posterior["means"].dims == ("chain", "draw", "component", "column")
    assert data.posterior["covariances"].dims == ("chain", "draw", "component", "column", "column_too")
    assert data.log_likelihood["x"].shape == (24, 250, 82)
    assert -215 < float(arviz.loo(data).elpd_loo) < -208
    assert float(arviz.rhat(data, var_names=["means"])["means"].max()) < 1.02


def test_arviz_from_version_1_is_called_its_own_way(galaxies, monkeypatch):
    new = types.ModuleType("arviz")
    new.__version__ = "1.1.0"
    new.from_dict = lambda data, *, dims: (data, dims)
    monkeypatch.setitem(sys.modules, "arviz", new)
    data, dims = galaxies.to_arviz()
    assert set(data) == {"posterior", "sample_stats"}
    assert dims["weights"] == ["component"]


def test_without_arviz_one_sentence(galaxies, monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz", None)
    with pytest.raises(ImportError, match="pip install arviz"):
        galaxies.to_arviz()


# ------------------------------------------------------------------ whole paths

FIVE = np.array([[1.0], [0.0], [6.0], [5.0], [1.0]])
LOPSIDED = MarkovPrior(np.array([2.0, 1.0]), np.array([[4.0, 1.0], [1.5, 2.0]]), f.GammaPrior(1.5, 0.4))


def enumerated(X, lengths, prior):
    """Posterior means of start, transitions and rates: all paths, the parameters integrated out."""
    shape, rate = prior.components.shape, prior.components.rate
    firsts = np.cumsum(lengths) - lengths
    log_p, means = [], []
    for path in itertools.product(range(2), repeat=len(X)):
        z = np.array(path)
        start, moves = np.array(prior.start), np.array(prior.transitions)
        for t in range(len(X)):
            if t in firsts:
                start[z[t]] += 1
            else:
                moves[z[t - 1], z[t]] += 1
        after = np.array([[(z == k).sum(), X[z == k].sum()] for k in range(2)])
        value = 0.0
        for counts, before in zip([start, *moves], [prior.start, *prior.transitions], strict=True):
            value += gammaln(counts).sum() - gammaln(counts.sum()) - gammaln(before).sum() + gammaln(before.sum())
        value += sum(gammaln(shape + s) - (shape + s) * np.log(rate + n) for n, s in after)
        log_p.append(value)
        rates = (shape + after[:, 1]) / (rate + after[:, 0])
        means.append([*(start / start.sum()), *(moves / moves.sum(axis=1, keepdims=True)).ravel(), *rates])
    return softmax(log_p) @ np.array(means)


@pytest.mark.parametrize("lengths", [[5], [3, 2]])
def test_paths_and_parameters_have_the_posterior_of_all_paths(lengths):
    sampler = emlib.GibbsSampler(emlib.PoissonHMM(2), LOPSIDED)
    draws = sampler.sample(FIVE, 250, tune=30, chains=16, random_state=0, lengths=lengths, start="prior")
    found = [draws[name].reshape(16, 250, -1) for name in ("startprob", "transmat", "lambdas")]
    assert (off_by(np.concatenate(found, axis=2), enumerated(FIVE, lengths, LOPSIDED)) < 4.5).all()


CHAIN = np.repeat([0, 1, 0], 20)
SIGNAL = np.random.default_rng(2).normal(size=(60, 2)) + 5.0 * CHAIN[:, None]
HIDDEN = [(emlib.GaussianHMM(2, shape), SIGNAL) for shape in ("diag", "full", "spherical", "tied")] + [
    (emlib.PoissonHMM(2), np.random.default_rng(3).poisson(2.0 + 6.0 * CHAIN)[:, None]),
    (emlib.CategoricalHMM(2), (np.random.default_rng(4).random(60) < 0.2 + 0.6 * CHAIN).astype(int)),
]


@pytest.mark.parametrize(("model", "X"), HIDDEN, ids=[str(model) for model, _ in HIDDEN])
def test_every_hidden_chain_is_sampled(model, X):
    for choice in ({}, {"update": "maximise"}, {"update": "maximise", "prior": None}):
        for start in ("rows", "em") if "prior" in choice else ("rows", "prior", "em"):
            sampler = emlib.GibbsSampler(model, **choice)
            draws = sampler.sample(X, 3, tune=1, chains=2, random_state=0, start=start, lengths=[30, 30])
            assert draws["transmat"].shape == (2, 3, 2, 2)
            np.testing.assert_allclose(draws["transmat"].sum(axis=3), 1.0)
            np.testing.assert_allclose(draws.pointwise(X).sum(axis=2), draws.log_likelihood, rtol=1e-9)
            for relabelled in (draws.relabelled("stephens", X), draws.relabelled("order")):
                np.testing.assert_allclose(relabelled.pointwise(X), draws.pointwise(X), rtol=1e-9)
            if find_spec("arviz"):
                assert relabelled.to_arviz(X).posterior["transmat"].dims[2:] == ("component", "component_next")


def test_switched_states_are_put_in_order():
    model, X = HIDDEN[4]
    draws = emlib.GibbsSampler(model).sample(X, 60, tune=20, chains=6, random_state=0)
    assert draws.switching > 0.1  # chains began with either state first
    calm = draws.relabelled("order")
    assert calm.switching == 0.0
    assert (np.diff(calm["lambdas"][..., 0], axis=2) > 0).all()
    stay = np.diagonal(calm["transmat"], axis1=2, axis2=3).mean(axis=(0, 1))
    assert (stay > 0.7).all()
    again = emlib.GibbsSampler(model).sample(X, 60, tune=20, chains=6, random_state=0)
    np.testing.assert_array_equal(draws["lambdas"], again["lambdas"])


def test_missing_rows_are_no_rows():
    X = HIDDEN[4][1].astype(float)
    X[10:15] = np.nan
    model = emlib.PoissonHMM(2, missing="nan")
    fitted = emlib.PoissonHMM(2, missing="nan", random_state=0).fit(X)
    draws = emlib.GibbsSampler(model).sample(X, 5, tune=0, chains=2, random_state=0, start=fitted)
    assert draws.log_likelihood[0, 0] == pytest.approx(fitted.log_likelihood_)


@pytest.mark.parametrize(
    ("sampler", "options", "message"),
    [
        (emlib.GibbsSampler(emlib.PoissonHMM(2), update="collapsed"), {}, "the states of a path depend"),
        (emlib.GibbsSampler(emlib.PoissonHMM(2), temperatures=(1, 2)), {}, "at temperature 1 only"),
        (emlib.GibbsSampler(emlib.PoissonHMM(2), None), {}, "prior is None, which is improper"),
        (emlib.GibbsSampler(emlib.PoissonHMM(2), MixturePrior(1.0)), {}, "it must be 'weak' or an emlib.engine.markov"),
        (
            emlib.GibbsSampler(emlib.PoissonHMM(2), MarkovPrior(0.0)),
            {},
            r"prior has start 0.0; .* shape \(2,\), above 0",
        ),
        (emlib.GibbsSampler(emlib.PoissonHMM(2), MarkovPrior()), {}, "nothing on the components"),
        (emlib.GibbsSampler(emlib.PoissonHMM(2)), {"lengths": [4]}, "lengths sum to 4"),
        (emlib.GibbsSampler(emlib.PoissonHMM(2)), {"start": emlib.PoissonHMM(2)}, "has no startprob_ yet"),
        (emlib.GibbsSampler(emlib.PoissonMixture(2)), {"lengths": [5]}, "the rows of a mixture do not follow"),
    ],
)
def test_paths_refused(sampler, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        sampler.sample(FIVE, 2, chains=2, **options)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------ what is refused

NIW = f.NormalInverseWishart(np.zeros(2), 1.0, np.eye(2), 4.0)


@pytest.mark.parametrize(
    ("model", "X", "prior", "message"),
    [
        (emlib.KMeans(2), Y, "weak", "model is of type KMeans; it must be a mixture or a hidden"),
        (emlib.GaussianMixture(2), Y, None, "prior is None, which is improper"),
        (emlib.GaussianMixture(2), Y, NIW, "prior is of type NormalInverseWishart; it must be 'weak' or"),
        (emlib.PoissonMixture(2), COUNTS, MixturePrior(1.0, NIW), "has components of type NormalInverseWishart; Poi"),
        (emlib.GaussianMixture(2), Y, "strong", "it must be 'weak' or"),
        (emlib.GaussianMixture(2), Y, MixturePrior(1.0), "nothing on the components, which is improper"),
        (emlib.GaussianMixture(2), Y, MixturePrior(0.0, NIW), "one for each of 2 components, and above 0"),
        (emlib.GaussianMixture(2), Y, MixturePrior(1.0, f.GammaPrior()), "needs a NormalInverseWishart or a Indep"),
        (emlib.GaussianMixture(2), Y, MixturePrior(1.0, replace(NIW, scatter=np.zeros((2, 2)))), "it is improper"),
        (emlib.GaussianMixture(2), Y, RICHARDSON, r"2 columns need \(2,\)"),
        (emlib.GaussianMixture(2), Y, MixturePrior(1.0, replace(NIW, dof=1.0)), "dof 1.0"),
        (emlib.PoissonMixture(2), COUNTS, MixturePrior(1.0, f.GammaPrior(1.0, 0.0)), "infinite, which is improper"),
        (emlib.PoissonMixture(2), Y, "weak", "counts must be whole numbers"),
    ],
)
def test_refused(model, X, prior, message):
    with pytest.raises(ValueError, match=message) as caught:
        emlib.GibbsSampler(model, prior).sample(X, 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 0}, "draws is 0"),
        ({"chains": 0}, "chains is 0"),
        ({"tune": -1}, "tune is -1"),
        ({"start": "nowhere"}, "start is 'nowhere'"),
        ({"start": emlib.GaussianMixture(3)}, "not fitted"),
        ({"random_state": "x"}, "random_state is 'x'"),
    ],
)
def test_options_refused(options, message):
    with pytest.raises(ValueError, match=message):
        emlib.GibbsSampler(emlib.GaussianMixture(2)).sample(Y, **options)


def test_draws_refuse(galaxies):
    with pytest.raises(ValueError, match='must be "order" or "stephens"'):
        galaxies.relabelled("best")
    with pytest.raises(ValueError, match="needs the rows X"):
        galaxies.relabelled("stephens")
    with pytest.raises(ValueError, match="by is 'rates'"):
        galaxies.relabelled("order", by="rates")
    with pytest.raises(ValueError, match="column is 1"):
        galaxies.relabelled("order", column=1)
    with pytest.raises(ValueError, match="X has 2 columns"):
        galaxies.pointwise(Y)
    with pytest.raises(ValueError, match="update is 'climb'"):
        emlib.GibbsSampler(emlib.GaussianMixture(2), update="climb").sample(Y)
    with pytest.raises(ValueError, match="start is 'prior'"):
        emlib.GibbsSampler(emlib.PoissonMixture(2), None, update="maximise").sample(COUNTS, start="prior")


@pytest.mark.parametrize(
    ("model", "fitted", "X", "message"),
    [
        (
            emlib.GaussianMixture(2),
            emlib.GaussianMixture(2, covariance_type="diag"),
            Y,
            "start was fitted with covariance_type='diag', but covariance_type='full' is to be sampled.",
        ),
        (
            emlib.GaussianHMM(2, covariance_type="spherical"),
            emlib.GaussianHMM(2, covariance_type="diag"),
            Y,
            "start was fitted with covariance_type='diag', but covariance_type='spherical' is to be sampled.",
        ),
        (
            emlib.PoissonMixture(2, zero_inflation=True),
            emlib.PoissonMixture(2),
            COUNTS,
            "start was fitted with zero_inflation=False, but zero_inflation=True is to be sampled.",
        ),
        (
            emlib.CategoricalHMM(2, n_features=40),
            emlib.CategoricalHMM(2, n_features=50),
            COUNTS[:, :1].astype(int),
            "start has an alphabet of 50 symbols, but paths of 40 are to be sampled.",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_start_of_another_kind_is_refused(model, fitted, X, message):
    """One of them used to be sampled all the same, without structural zeros."""
    with pytest.raises(ValueError, match=rf"^{message}$"):
        emlib.GibbsSampler(model).sample(X, 2, tune=1, chains=1, start=fitted.fit(X))
