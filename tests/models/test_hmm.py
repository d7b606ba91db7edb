"""Hidden Markov models: published results, hmmlearn's answers, and what users may do."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import emlib
from emlib import CategoricalHMM, GaussianHMM, PoissonHMM, data, select_n_components
from emlib.engine import em, families
from emlib.engine.markov import HiddenMarkov, MarkovParams, MarkovPrior
from emlib.engine.mixture import Mixture, MixtureParams
from emlib.engine.sequences import Sequences

# ------------------------------------------------------------------ published results


def test_lambda_phage():
    """Two compositions, order 0: Churchill's segments."""
    genome = data.lambda_phage().codes
    model = CategoricalHMM(2, n_init=2, random_state=0).fit(genome)
    assert model.stop_reason_ == "converged"
    assert abs(model.log_likelihood_ + 66678.07) < 0.1
    cuts = np.flatnonzero(np.diff(model.predict(genome))) + 1
    for expected in (22499, 31224, 33186, 38365, 46493):
        assert np.abs(cuts - expected).min() <= 5, (expected, cuts)
    assert len(cuts) == 6  # and one near the very beginning, at 176


def test_fetal_lamb():
    model = PoissonHMM(2, tol=1e-10, random_state=0).fit(data.fetal_lamb())
    np.testing.assert_allclose(np.sort(model.lambdas_.ravel()), [0.2560, 3.1006], atol=1e-4)
    assert abs(model.log_likelihood_ + 177.483) < 1e-3


def test_earthquakes():
    model = PoissonHMM(2, n_init=3, random_state=0).fit(data.earthquakes())
    np.testing.assert_allclose(np.sort(model.lambdas_.ravel()), [15.42, 26.02], atol=0.005)
    assert abs(model.log_likelihood_ + 341.879) < 1e-3


@pytest.mark.parametrize(
    ("line", "kind", "gain", "loss"),
    [(0, "diag", (10, 41), (11, 15)), (1, "tied", (1, 47), (4, 17))],
    ids=["GM05296", "GM13330"],
)
def test_coriell(line, kind, gain, loss):
    """Three states; a chromosome is a sequence. Clones that were measured are counted.

    GM13330 needs one variance for all states: with three of their own, the likeliest fit (by 54 nats) gives two states
    to the noise, and one wide state to gain and loss together.
    """
    arrays = data.coriell()
    ratios, lengths = arrays.log_ratios[:, line], arrays.lengths
    model = GaussianHMM(3, kind, n_init=4 if kind == "diag" else 1, missing="nan", random_state=0).fit(ratios, lengths)
    states, measured = model.predict(ratios, lengths), np.isfinite(ratios)
    low, _, high = np.argsort(model.means_.ravel())
    for (chromosome, clones), state in ((gain, high), (loss, low)):
        assert int(((states == state) & (arrays.chromosome == chromosome) & measured).sum()) == clones


# ------------------------------------------------------------------ beside hmmlearn


def theirs(kind, K, X, lengths, **start):
    hmm = pytest.importorskip("hmmlearn.hmm")
    options = {"n_iter": 7, "tol": -np.inf, "init_params": "", "implementation": "scaling"}
    if kind.startswith("gaussian"):
        quiet = {"covars_prior": 0, "covars_weight": 1, "min_covar": 0, "means_weight": 0}
        model = hmm.GaussianHMM(K, kind.split()[1], **quiet, **options)
    else:
        model = {"poisson": hmm.PoissonHMM, "categorical": hmm.CategoricalHMM}[kind](K, **options)
    for name, value in start.items():
        setattr(model, name, value)
    return model.fit(X, lengths)


STARTS = {
    "gaussian diag": {"means_": [[0.0, 0], [2, 1], [3, 3]], "covars_": np.full((3, 2), 1.5)},
    "gaussian full": {"means_": [[0.0, 0], [2, 1], [3, 3]], "covars_": np.array([np.eye(2)] * 3)},
    "gaussian spherical": {"means_": [[0.0, 0], [2, 1], [3, 3]], "covars_": np.ones(3)},
    "gaussian tied": {"means_": [[0.0, 0], [2, 1], [3, 3]], "covars_": np.eye(2)},
    "poisson": {"lambdas_": [[1.0, 2], [4, 3], [9, 1]]},
    "categorical": {"emissionprob_": [[0.5, 0.3, 0.1, 0.1], [0.25] * 4, [0.1, 0.1, 0.3, 0.5]]},
}


@pytest.mark.parametrize("kind", STARTS)
def test_same_start_same_end_as_hmmlearn(kind):
    rng, lengths = np.random.default_rng(0), [150, 1, 90, 59]
    states = np.repeat([0, 1, 2, 0, 2, 1], 50)
    start = {name: np.array(value) for name, value in STARTS[kind].items()}
    start |= {
        "startprob_": np.array([0.5, 0.3, 0.2]),
        "transmat_": np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]]),
    }
    if kind == "categorical":
        X = np.array([rng.choice(4, p=start["emissionprob_"][k]) for k in states])[:, None]
        own = CategoricalHMM(3, n_iter=7, tol=0, init_params="")
    elif kind == "poisson":
        X = rng.poisson(np.array([[1.0, 3], [3, 3], [8, 0.5]])[states])
        own = PoissonHMM(3, n_iter=7, tol=0, init_params="")
    else:
        X = np.array([[0.0, 0], [2.5, 1], [2, 4]])[states] + rng.normal(size=(300, 2))
        own = GaussianHMM(3, kind.split()[1], n_iter=7, tol=0, init_params="", min_covar=0)
    peer = theirs(kind, 3, X, lengths, **start)
    for name, value in start.items():
        setattr(own, name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own.fit(X, lengths)
    for name in start:
        expected = getattr(peer, name)
        if name == "covars_" and kind == "gaussian spherical":  # whose shape depends on hmmlearn's release
            expected = np.asarray(peer._covars_).reshape(3, -1)[:, 0, None, None] * np.eye(2)
        np.testing.assert_allclose(getattr(own, name), expected, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(own.score(X, lengths), peer.score(X, lengths), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(own.trace_[:-1], peer.monitor_.history, atol=1e-6)
    np.testing.assert_allclose(own.predict_proba(X, lengths), peer.predict_proba(X, lengths), atol=1e-6)
    np.testing.assert_allclose(own.score_samples(X, lengths)[0], peer.score_samples(X, lengths)[0])
    for algorithm in ("viterbi", "map"):
        (a, path), (b, same) = (m.decode(X, lengths, algorithm=algorithm) for m in (own, peer))
        np.testing.assert_allclose(a, b, rtol=1e-9)
        np.testing.assert_array_equal(path, same)
    np.testing.assert_allclose(own.get_stationary_distribution(), peer.get_stationary_distribution(), atol=1e-6)


# ------------------------------------------------------------------ the same engine as the mixtures


def test_without_memory_it_is_a_mixture():
    """Equal rows of transitions: states are independent, and the E-step is that of the mixture."""
    X = np.random.default_rng(0).poisson(4.0, (50, 1)).astype(float)
    weights, components = np.array([0.3, 0.7]), families.PoissonParams(np.array([[2.0], [5.0]]))
    stats, value = Mixture(families.Poisson()).e_step(X, MixtureParams(weights, components))
    params = MarkovParams(weights, np.array([weights, weights]), components)
    along, same = HiddenMarkov(families.Poisson()).e_step(Sequences(X, [20, 30]), params)
    np.testing.assert_allclose(same, value, rtol=1e-12)
    np.testing.assert_allclose(along.emissions.totals, stats.totals, rtol=1e-10)


def test_viterbi_training_is_not_em():
    """It climbs the probability of its best path and ends at another, lower likelihood."""
    X = data.fetal_lamb()
    soft = PoissonHMM(2, random_state=0).fit(X)
    hard = PoissonHMM(2, random_state=0, temperature=0.0).fit(X)
    assert hard.stop_reason_ == "converged"
    assert (np.diff(hard.trace_) >= -1e-9).all()
    np.testing.assert_allclose(hard.trace_[-1], hard.decode(X)[0], rtol=1e-10)
    assert hard.log_likelihood_ < soft.log_likelihood_ - 0.1
    np.testing.assert_allclose(hard.log_likelihood_, hard.score(X), rtol=1e-10)


def test_squarem_and_annealing_reach_the_top():
    X = data.earthquakes()
    plain = PoissonHMM(2, random_state=0).fit(X)
    fast = PoissonHMM(2, random_state=0, accelerate="squarem").fit(X)
    cooled = PoissonHMM(2, random_state=0, temperature=[2.0, 1.0]).fit(X)
    np.testing.assert_allclose([fast.log_likelihood_, cooled.log_likelihood_], plain.log_likelihood_, atol=1e-4)


def test_a_prior_is_pseudo_counts():
    X = np.array([0, 0, 1, 1, 0, 1, 1, 1])
    model = CategoricalHMM(1, startprob_prior=3, transmat_prior=4, emissionprob_prior=5).fit(X)
    np.testing.assert_allclose(model.emissionprob_, [[(3 + 4) / 16, (5 + 4) / 16]])
    prior = MarkovPrior(2.0, 3.0, families.GammaPrior(2.0, 1.0))
    hmm, rng = HiddenMarkov(families.Poisson()), np.random.default_rng(0)
    start = MarkovParams(
        np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.2, 0.8]]), families.PoissonParams(np.array([[1.0], [5]]))
    )
    fit = em.fit(hmm, hmm.simulate(start, 100, rng), start, prior=prior)
    assert fit.converged
    assert fit.params.transitions.min() > 0.01


def test_gibbs_steps_wander_about_the_truth():
    hmm, rng = HiddenMarkov(families.Poisson(), length=50), np.random.default_rng(0)
    truth = MarkovParams(
        np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.2, 0.8]]), families.PoissonParams(np.array([[1.0], [8]]))
    )
    X, params, rates = hmm.simulate(truth, 2000, rng), truth, []
    for _ in range(60):
        stats, _ = hmm.e_step(X, params, em_sampled(rng))
        params = hmm.draw(stats, MarkovPrior(1.0, 1.0, families.GammaPrior(1.0, 0.1)), rng)
        rates.append(params.components.rates.ravel())
    np.testing.assert_allclose(np.mean(rates, axis=0), [1.0, 8.0], atol=0.3)
    assert np.std(rates, axis=0).min() > 0.005


def em_sampled(rng):
    from emlib.engine.latent import sampled

    return sampled(rng)


# ------------------------------------------------------------------ missing observations


def test_missing_rows_are_summed_over():
    """A missing row has the density one in every state: brute force over what it might have been."""
    model = CategoricalHMM(2, missing="nan")
    model.startprob_, model.transmat_ = [0.6, 0.4], [[0.8, 0.2], [0.3, 0.7]]
    model.emissionprob_ = [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]
    X = np.array([0.0, np.nan, 2.0, 2.0, np.nan])
    total = sum(np.exp(model.score([0, a, 2, 2, b])) for a in range(3) for b in range(3))
    np.testing.assert_allclose(np.exp(model.score(X)), total)
    assert model.predict_proba(X).shape == (5, 2)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
    assert len(model.predict(X)) == 5


def test_a_fit_with_missing_rows():
    rng = np.random.default_rng(0)
    states = np.repeat([0, 1, 0, 1], 100)
    X = np.array([0.0, 5.0])[states] + rng.normal(size=400)
    X[rng.choice(400, 80, replace=False)] = np.nan
    X[:3] = np.nan
    model = GaussianHMM(2, missing="nan", random_state=0, min_covar=0).fit(X)
    assert (np.diff(model.trace_) > -1e-9).all()
    np.testing.assert_allclose(np.sort(model.means_.ravel()), [0, 5], atol=0.3)
    order = np.argsort(model.means_.ravel())
    assert (order[states] == model.predict(X)).mean() > 0.99


def test_a_block_of_nothing_but_missing_rows(monkeypatch):
    monkeypatch.setattr("emlib.engine.sequences.BLOCK_ROWS", 4)
    X = np.array([1.0, 5, 1, 6, *4 * [np.nan], 0, 1, 7, 5])
    cut = PoissonHMM(2, missing="nan", random_state=0).fit(X, [4, 4, 4])
    monkeypatch.undo()
    whole = PoissonHMM(2, missing="nan", random_state=0).fit(X, [4, 4, 4])
    np.testing.assert_allclose(cut.log_likelihood_, whole.log_likelihood_, rtol=1e-9)


# ------------------------------------------------------------------ what users do


def test_letters_hold_what_they_should():
    X = data.earthquakes()
    model = PoissonHMM(2, params="tl", init_params="tl", random_state=0)
    model.startprob_ = np.array([0.5, 0.5])
    assert model.fit(X).startprob_.tolist() == [0.5, 0.5]
    model = PoissonHMM(2, params="st", init_params="st", random_state=0)
    model.lambdas_ = np.array([[15.0], [25.0]])
    assert model.fit(X).lambdas_.ravel().tolist() == [15.0, 25.0]
    for kind in ("diag", "full", "spherical", "tied"):
        narrow = GaussianHMM(2, kind, params="stc", init_params="stc", random_state=0, min_covar=0)
        narrow.means_ = np.array([[15.0], [25.0]])
        narrow.fit(X)
        assert narrow.means_.ravel().tolist() == [15.0, 25.0]
        assert narrow.stop_reason_ == "converged"  # monotone: covariances are taken about the means that are held


def test_start_by_hand_is_taken():
    X = data.fetal_lamb()
    model = PoissonHMM(2, init_params="", n_iter=0)
    model.startprob_, model.transmat_, model.lambdas_ = [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]], [[0.1], [2.0]]
    with pytest.warns(Warning, match="raise n_iter"):
        model.fit(X)
    np.testing.assert_allclose(model.log_likelihood_, model.score(X))
    np.testing.assert_allclose(model.lambdas_, [[0.1], [2.0]])


def test_sampling_follows_the_model():
    model = GaussianHMM(2)
    model.startprob_, model.transmat_ = [1.0, 0.0], [[0.9, 0.1], [0.5, 0.5]]
    model.means_, model.covars_ = [[0.0], [10.0]], [[1.0], [4.0]]
    X, states = model.sample(20_000, random_state=0)
    assert states[0] == 0
    np.testing.assert_allclose(states.mean(), 1 / 6, atol=0.02)
    np.testing.assert_allclose(model.get_stationary_distribution(), [5 / 6, 1 / 6])
    np.testing.assert_allclose([X[states == 1].mean(), X[states == 1].std()], [10, 2], atol=0.1)
    assert model.sample(1, random_state=0, currstate=1)[1].tolist() == [1]
    assert (model.predict(X) == states).mean() > 0.99


def test_choice_of_the_number_of_states():
    found = select_n_components(PoissonHMM(n_init=2, random_state=0), data.earthquakes(), [1, 2, 3])
    assert found.best.n_components in (2, 3)
    assert found.scores[0] > found.scores.min() + 50
    np.testing.assert_allclose(found.log_likelihoods[:2], [-391.9189, -341.8787], atol=1e-3)
    rng = np.random.default_rng(0)
    X = np.concatenate([np.repeat([0.0, 6.0], 20) + rng.normal(size=40) for _ in range(6)])
    held_out = select_n_components(
        GaussianHMM(random_state=0, min_covar=0.01), X, [1, 2], "cv", lengths=6 * [40], folds=3
    )
    assert held_out.best.n_components == 2
    with pytest.raises(ValueError, match="icl"):
        select_n_components(PoissonHMM(), data.earthquakes(), [1], "icl")
    with pytest.raises(ValueError, match="knows no sequences"):
        select_n_components(emlib.PoissonMixture(), data.earthquakes(), [1], lengths=[107])


def test_conventions():
    model = clone(GaussianHMM(3, "full", n_init=2))
    assert model.get_params()["covariance_type"] == "full"
    with pytest.raises(NotFittedError, match="no startprob_ yet"):
        model.predict([[1.0]])
    model.fit(np.random.default_rng(0).normal(size=(60, 2)))
    assert model.covars_.shape == (3, 2, 2)
    assert model.monitor_.history == model.trace_.tolist()
    assert len(model.starts_) == 2
    assert model.n_features_in_ == 2
    # a failed fit leaves the estimator as it was
    before = model.means_.copy()
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((10, 2), np.nan))
    np.testing.assert_array_equal(model.means_, before)


def test_columns_keep_their_names():
    """Columns in another order are other columns; where there are no names, nothing is said of them."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.multivariate_normal([0, 100], np.eye(2), 60), columns=["temp", "weight"])
    model = GaussianHMM(2, random_state=0).fit(X)
    assert model.feature_names_in_.tolist() == ["temp", "weight"]
    other = X[["weight", "temp"]]
    for use in (model.score, model.predict, model.predict_proba, model.bic):
        use(X)
        with pytest.raises(ValueError, match="feature names should match"):
            use(other)
    with pytest.raises(ValueError, match="feature names should match"):
        emlib.standard_errors(model, other)
    GaussianHMM(2).fit(X["temp"]).score(X["weight"])  # a series is one sequence
    GaussianHMM(2).fit(X.to_numpy().tolist()).score(X.to_numpy().tolist())


def test_tables_with_names_cause_no_warnings(recwarn):
    X = pd.DataFrame({"count": np.ravel(data.earthquakes())})
    model = PoissonHMM(2, random_state=0).fit(X)
    model.fit_predict(X)
    emlib.GibbsSampler(PoissonHMM(2)).sample(X, draws=2, tune=1, chains=1, random_state=0, start=model)
    by_hand = PoissonHMM(2)
    by_hand.startprob_, by_hand.transmat_, by_hand.lambdas_ = model.startprob_, model.transmat_, model.lambdas_
    assert by_hand.score(X) == model.score(X)
    model.lambdas_ = [[1.0, 2.0], [3.0, 4.0]]  # of two columns by now
    model.score([[1, 2], [3, 4]])
    assert not [w for w in recwarn if "feature names" in str(w.message)]


# ------------------------------------------------------------------ bad input


def fitted():
    return CategoricalHMM(2, random_state=0).fit([0, 1, 2, 2, 2, 0, 1, 0, 0])


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (lambda: PoissonHMM(2).fit(np.empty((0, 1))), "0 sample"),
        (lambda: PoissonHMM(2).fit([1, 2, 3], [2, 0, 1]), "lengths holds 0 at place 1; every sequence needs a row"),
        (lambda: PoissonHMM(2).fit([1, 2, 3], [2, 2]), "lengths sum to 4, but X has 3 rows"),
        (lambda: PoissonHMM(2).fit([1, 2, 3], [1.5, 1.5]), "it must be a list of whole numbers"),
        (lambda: PoissonHMM(2).fit([1, 2, 3], "ab"), "it must be a list of whole numbers"),
        (lambda: PoissonHMM(2).fit([1, np.nan, 3]), "X holds NaN in row 1, column 0"),
        (lambda: GaussianHMM(2, missing="nan").fit([[1, np.nan], [2, 3]]), "NaN in a part of row 0"),
        (lambda: GaussianHMM(2, missing="nan").fit([np.nan, np.nan]), "nothing but NaN"),
        (lambda: GaussianHMM(2, missing="yes").fit([1.0, 2.0]), "missing is 'yes'"),
        (lambda: GaussianHMM(1).fit([1.0, np.inf]), "X holds inf in row 1"),
        (lambda: PoissonHMM(2).fit([1, 2.5, 3]), "X holds 2.5 in row 1"),
        (
            lambda: CategoricalHMM(2, n_features=4).fit([0, 1, 4]),
            "X holds 4 in row 2; the alphabet has the symbols 0 to 3",
        ),
        (lambda: CategoricalHMM(2).fit([0, -1]), "X holds -1 in row 1"),
        (lambda: CategoricalHMM(2).fit([[0, 1], [1, 0]]), "symbols must stand in one"),
        (lambda: fitted().predict([0, 3]), "X holds 3 in row 1; the alphabet has the symbols 0 to 2"),
        (lambda: fitted().predict([[0, 1]]), "X has 2 features, but CategoricalHMM is expecting 1"),
        (lambda: GaussianHMM(3).fit([1.0, 1, 2, 2]), "n_components is 3, but X holds only 2 different value"),
        (lambda: CategoricalHMM(3).fit([0, 1, 0, 1]), "n_components is 3, but X holds only 2 different value"),
        (lambda: GaussianHMM(0).fit([1.0, 2.0]), "n_components is 0"),
        (lambda: GaussianHMM(2, "round").fit([1.0, 2.0]), "covariance_type is 'round'"),
        (lambda: GaussianHMM(2, params="xyz").fit([1.0, 2.0]), "params is 'xyz'"),
        (lambda: GaussianHMM(2, init_params="tmc").fit([1.0, 2.0]), "startprob_ has not been set"),
        (lambda: GaussianHMM(2, algorithm="best").fit([1.0, 2.0]), "algorithm is 'best'"),
        (lambda: fitted().decode([0, 1], algorithm="best"), "algorithm is 'best'"),
        (lambda: GaussianHMM(2, transmat_prior=0.5).fit([1.0, 2.0]), "transmat_prior is 0.5; it must be 1 or above"),
        (lambda: GaussianHMM(2, prior=3).fit([1.0, 2.0]), "prior is 3"),
        (lambda: CategoricalHMM(2, emissionprob_prior=[1, 2]).fit([0, 1, 2]), "emissionprob_prior is"),
        (lambda: fitted().sample(2, currstate=2), "currstate is 2"),
    ],
    ids=range(28),
)
def test_bad_input_gets_one_sentence(action, sentence):
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")) as problem:
        action()
    assert str(problem.value).count("\n") == 0


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("startprob_", [0.5, 0.6], "startprob_ is"),
        ("transmat_", [[0.5, 0.5], [0.9, 0.2]], "row 1 of transmat_ is"),
        ("transmat_", [0.5, 0.5], "transmat_ has shape"),
        ("means_", [[1.0], [np.nan]], "means_ holds a value that is not a finite number"),
        ("covars_", [[1.0], [0.0]], "variances must be above 0"),
    ],
)
def test_parameters_set_by_hand_are_checked(name, value, sentence):
    model = GaussianHMM(2)
    model.startprob_, model.transmat_ = [0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]]
    model.means_, model.covars_ = [[0.0], [1.0]], [[1.0], [1.0]]
    model.score([0.0, 1.0])
    setattr(model, name, value)
    with pytest.raises(ValueError, match=sentence):
        model.score([0.0, 1.0])


def test_an_impossible_sequence_has_no_states():
    model = CategoricalHMM(2)
    model.startprob_, model.transmat_ = [1.0, 0.0], np.eye(2)
    model.emissionprob_ = [[1.0, 0.0], [0.0, 1.0]]
    assert model.score([0, 1]) == -np.inf
    value, posterior = model.score_samples([0, 1, 0, 0], [2, 2])
    assert value == -np.inf
    assert np.isnan(posterior[:2]).all()
    np.testing.assert_allclose(posterior[2:], [[1, 0], [1, 0]])


@pytest.mark.parametrize(
    "X",
    [
        [np.arange(3.0), np.arange(4.0)],
        [np.ones((3, 2)), np.ones((4, 2))],
        np.zeros((2, 3, 1)),
        pd.Series([[1.0, 2.0], [3.0, 4.0, 5.0]]),
    ],
)
def test_several_sequences_are_pointed_to_lengths(X):
    with pytest.raises(ValueError, match=r"^X holds several sequences; .* with lengths=\[len\(x\) for x in X\]\.$"):
        GaussianHMM(2).fit(X)
