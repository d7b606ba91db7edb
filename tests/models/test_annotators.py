"""Annotators who disagree: published fits, and what a table of ratings may look like."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, issparse
from sklearn.base import clone

from emlib import DawidSkene, data
from emlib.engine import em
from emlib.engine.latent import SOFT, sampled
from emlib.models.annotators import AnnotatorParams, AnnotatorPrior, Annotators
from emlib.models.annotators.ratings import heard_one_by_one

FIVE = [1, 1, 1, 2, 3, 4, 5]  # the first anaesthetist rated three times


def test_the_anaesthetists():
    """Class shares .40, .42, .11, .07, from Dawid and Skene's start and the transcription that we ship."""
    fit = DawidSkene(FIVE).fit(data.anaesthetists())
    np.testing.assert_allclose(fit.prevalence_, [0.40, 0.42, 0.11, 0.07], atol=0.005)
    assert fit.log_likelihood_ == pytest.approx(-192.891, abs=5e-4)
    assert fit.classes_.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(fit.confusion_.sum(axis=2), 1.0)


def test_the_other_transcription_of_patient_7():
    ratings = data.anaesthetists()
    ratings[6, :3] = [1, 1, 2]
    assert DawidSkene(FIVE).fit(ratings).log_likelihood_ == pytest.approx(-190.731, abs=5e-4)


def test_a_higher_peak_than_the_published_one():
    """Votes lead to a local maximum: other starts find a higher one."""
    fit = DawidSkene(FIVE, n_init=30, random_state=0).fit(data.anaesthetists())
    assert fit.log_likelihood_ > -192.69
    assert fit.starts_[0].log_likelihood == pytest.approx(-192.891, abs=5e-4)


def test_five_dentists():
    teeth = data.caries()
    fit = DawidSkene().fit(teeth.ratings, counts=teeth.counts)
    assert fit.prevalence_[1] == pytest.approx(0.1997, abs=5e-5)
    assert fit.log_likelihood_ == pytest.approx(-7410.942, abs=5e-4)
    one_by_one = DawidSkene().fit(np.repeat(teeth.ratings, teeth.counts, axis=0))
    np.testing.assert_allclose(one_by_one.confusion_, fit.confusion_, atol=1e-6)


def test_hui_and_walter():
    """Two tests, two populations: their estimates of 1980."""
    counts = data.tuberculin()
    results = np.array(list(np.ndindex(2, 2)) * 2)
    fit = DawidSkene(tol=1e-9).fit(results, counts=counts.ravel(), groups=np.repeat(["school", "sanatorium"], 4))
    share = dict(zip(fit.groups_.tolist(), fit.prevalence_[:, 1], strict=True))
    assert share["school"] == pytest.approx(0.0268, abs=5e-5)
    assert share["sanatorium"] == pytest.approx(0.7168, abs=5e-5)
    np.testing.assert_allclose(fit.confusion_[:, 0, 1], [0.0067, 0.0159], atol=5e-5)
    np.testing.assert_allclose(fit.confusion_[:, 1, 0], [0.0339, 0.0312], atol=5e-5)
    # as many parameters as frequencies: the fit is perfect
    of_each = fit.prevalence_[:, :, None, None] * fit.confusion_[0][None, :, :, None] * fit.confusion_[1][None, :, None]
    expected = of_each.sum(axis=1) * counts.sum(axis=(1, 2))[[1, 0], None, None]  # groups are sorted by name
    np.testing.assert_allclose(expected, counts[[1, 0]], atol=0.01)


def test_two_tests_in_one_population_are_not_enough():
    with pytest.warns(UserWarning, match="5 parameters cannot be told from 3 free frequencies"):
        DawidSkene().fit(list(np.ndindex(2, 2)), counts=[528, 9, 4, 14])


def test_no_standard_errors_on_the_boundary():
    """A rate of 0 or on its way there has none; where a climb ended makes no difference."""
    fit = DawidSkene(FIVE).fit(data.anaesthetists())
    errors = fit.standard_errors()
    inside = (fit.confusion_ > 1e-3) & (fit.confusion_ < 1 - 1e-9)
    assert np.isnan(errors.confusion[fit.confusion_ < 1e-7]).all()
    assert (errors.confusion[inside] > 0.01).all()
    assert np.isfinite(errors.prevalence).all()


def test_errors_of_few_ratings_promise_no_more_than_they_can():
    right = np.array([[0.9, 0.1], [0.1, 0.9]])
    inside = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        truth = rng.integers(2, size=30)
        ratings = np.where(rng.random((30, 5)) < 0.9, truth[:, None], 1 - truth[:, None])
        fit = DawidSkene().fit(ratings)
        errors = fit.standard_errors().confusion
        known = np.isfinite(errors)
        assert (errors[known] > 0.02).all()
        inside += (np.abs(fit.confusion_ - right) < 1.96 * errors)[known].tolist()
    assert np.mean(inside) > 0.9


@pytest.mark.slow
def test_standard_errors():
    """As large as fits to simulated teeth scatter."""
    teeth = data.caries()
    fit = DawidSkene().fit(teeth.ratings, counts=teeth.counts)
    known = fit.standard_errors()
    params = AnnotatorParams(fit.prevalence_[None], fit.confusion_)
    rng, fits = np.random.default_rng(0), []
    for _ in range(60):
        rows = Annotators().simulate(params, 3859, rng)[:, 2:].reshape(-1, 5, 2)[:, :, 1].astype(int)
        again = DawidSkene(tol=1e-4).fit(rows)
        fits.append([again.prevalence_[1], *again.confusion_[:, 1, 1]])
    errors = [known.prevalence[0, 1], *known.confusion[:, 1, 1]]
    np.testing.assert_allclose(np.std(fits, axis=0), errors, rtol=0.35)


def test_repeated_and_missing_ratings_and_words():
    """A rating that is not there changes nothing; words are labels too; names tell columns of one annotator."""
    rng = np.random.default_rng(1)
    truth = rng.integers(2, size=400)
    said = np.array([np.where(rng.random(400) < 0.85, truth, 1 - truth) for _ in range(4)]).T
    gone = rng.random(said.shape) < 0.3
    gone[:, 0] &= ~gone.all(axis=1)
    fits = [
        DawidSkene(["a", "a", "b", "c"], missing=missing).fit(table)
        for missing, table in [
            (-1, np.where(gone, -1, said)),
            (-1, np.where(gone, np.nan, said)),
            ("?", np.where(gone, "?", np.array(["no", "yes"])[said])),
            (-1, np.where(gone, None, np.array(["no", "yes"])[said].astype(object))),
        ]
    ]
    assert fits[0].annotators_.tolist() == ["a", "b", "c"]
    assert fits[2].classes_.tolist() == ["no", "yes"]
    for fit in fits:
        np.testing.assert_allclose(fit.posterior_, fits[0].posterior_, atol=1e-8)
        assert (fit.posterior_.argmax(axis=1) == truth).mean() > 0.85
    assert (
        fits[2].predict(np.where(gone, "?", np.array(["no", "yes"])[said])) == np.array(["no", "yes"])[truth]
    ).mean() > 0.85
    np.testing.assert_allclose(fits[0].predict_proba([[-1, -1, -1, -1]]), fits[0].prevalence_[None])


TABLE = pd.DataFrame(
    {
        "a": pd.Series([1, None, 0, 1, 0, 1] * 5, dtype=object),
        "b": [1.0, np.nan, 0, 1, 0, 1] * 5,
        "c": [1, 1, 0, 1, 0, 0] * 5,
    }
)


@pytest.mark.parametrize(
    ("table", "classes"),
    [
        (TABLE, [0.0, 1.0]),
        (TABLE.astype("Int64"), [0, 1]),
        (TABLE.replace({1: "yes", 0: "no"}), ["no", "yes"]),
        (TABLE.astype("Int64").replace({1: 10, 0: 2}), [2, 10]),
        (TABLE.astype("boolean"), [False, True]),
        (TABLE.astype("Int64").astype("category"), [0, 1]),
    ],
    ids=["objects", "Int64", "words", "two digits", "boolean", "category"],
)
def test_tables_of_pandas(table, classes):
    """Labels keep their type and order, and whatever pandas calls missing is."""
    plain = DawidSkene().fit(TABLE.to_numpy(dtype=float))
    fit = DawidSkene().fit(table)
    assert fit.classes_.tolist() == classes
    assert {type(label) for label in fit.classes_.tolist()} == {type(label) for label in classes}
    np.testing.assert_allclose(fit.posterior_, plain.posterior_)
    np.testing.assert_allclose(fit.predict_proba(table), plain.posterior_)


def crowd(n=300, J=40, K=3, each=5, seed=0):
    """Volunteers of whom five see an item: items, who, what they said, the truth of each item."""
    rng = np.random.default_rng(seed)
    truth, right = rng.integers(K, size=n), rng.uniform(0.6, 0.95, size=J)
    items = np.repeat(np.arange(n), each)
    who = np.concatenate([rng.choice(J, each, replace=False) for _ in range(n)])
    said = np.where(rng.random(n * each) < right[who], truth[items], rng.integers(K, size=n * each))
    return items, who, said, truth


def test_single_ratings_are_the_same_as_a_table():
    """In any order, and with no warning: forty volunteers may be told apart though five see an item."""
    items, who, said, truth = crowd()
    order = np.random.default_rng(1).permutation(len(said))
    frame = pd.DataFrame(
        {"item": items, "who": [f"v{j:02d}" for j in who], "said": np.array(["ant", "bee", "cat"])[said]}
    )
    table = frame.pivot(index="item", columns="who", values="said")
    mixed = frame.iloc[order]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wide = DawidSkene().fit(table)
        single = DawidSkene().fit(mixed["said"], items=mixed["item"], annotators=mixed["who"])
    assert single.items_.tolist() == list(range(300))
    assert wide.annotators_.tolist() == single.annotators_.tolist() == list(table.columns)
    assert single.log_likelihood_ == pytest.approx(wide.log_likelihood_, abs=1e-8)
    np.testing.assert_allclose(single.posterior_, wide.posterior_, atol=1e-8)
    assert (single.posterior_.argmax(axis=1) == truth).mean() > 0.9
    with pytest.raises(ValueError, match="was fitted to single ratings, so it has no columns"):
        single.predict(table)


def test_few_counts_above_zero_are_kept_sparse():
    """The same numbers from either form, statistics and draws too."""
    items, who, said, _ = crowd()
    seen = heard_one_by_one(said, items, who, -1).counted(np.arange(3))
    assert issparse(seen.said)
    rows = np.column_stack([seen.counts, seen.group, seen.said.toarray()])
    params = DawidSkene().fit(said, items=items, annotators=who)._params
    for latents in ((SOFT, SOFT), [sampled(np.random.default_rng(3)) for _ in range(2)]):
        ours, value = Annotators().e_step(seen, params, latents[0])
        full, same = Annotators().e_step(rows, params, latents[1])
        assert value == pytest.approx(same, rel=1e-13)
        np.testing.assert_allclose(ours.ratings, full.ratings, atol=1e-9)
        np.testing.assert_allclose(ours.counts, full.counts, atol=1e-9)


def test_who_rates_an_item_twice_has_two_single_ratings():
    ratings = data.anaesthetists()
    items, column = np.divmod(np.arange(45 * 7), 7)
    single = DawidSkene().fit(ratings.ravel(), items=items, annotators=np.array(FIVE)[column])
    np.testing.assert_allclose(single.confusion_, DawidSkene(FIVE).fit(ratings).confusion_, atol=1e-9)


def test_what_can_be_told_depends_on_who_saw_what():
    """Twice the same answerer: three patterns, of which two are free, for three unknowns."""
    with pytest.warns(UserWarning, match="3 parameters cannot be told from 2 free frequencies"):
        DawidSkene(["a", "a"]).fit([[0, 1], [1, 1], [0, 0]] * 5)
    # two tests on a first ward, one of them and a third on a second: never more than two, but of different pairs
    with pytest.warns(UserWarning, match="7 parameters cannot be told from 6 free frequencies"):
        DawidSkene().fit([[0, 1, -1], [1, 1, -1], [0, 0, -1], [0, -1, 0], [1, -1, 1], [0, -1, 1]] * 5)


@pytest.mark.filterwarnings("ignore:DawidSkene stopped", "ignore:51 parameters")
def test_columns_that_are_no_ratings():
    items, who, said, _ = crowd()
    frame = pd.DataFrame({"item": [f"i{i}" for i in items], "who": [f"v{j}" for j in who], "said": said})
    with pytest.raises(ValueError, match=r"column item of ratings shares no label .* go in as fit"):
        DawidSkene().fit(frame)
    few = DawidSkene().fit([["a", "b", "c", "d"], ["b", "c", "d", "a"], ["c", "d", "a", "b"], ["d", "a", "b", "c"]] * 3)
    assert few.predict([["a", "c", "a", "a"], ["b", "d", "d", "d"]]).shape == (
        2,
    )  # columns of two rows may well differ
    with pytest.raises(ValueError, match="column 0 of ratings shares no label"):
        DawidSkene().fit(np.random.default_rng(0).standard_normal((20, 3)))
    with pytest.warns(UserWarning, match="parameters are estimated from .* ratings with 300 different labels"):
        DawidSkene(max_iter=3).fit(np.column_stack([items, who, said])[:1500])


def test_columns_of_pandas_keep_their_order_and_names():
    table = pd.DataFrame(data.caries().ratings, columns=["eve", "dan", "cy", "bob", "ann"])
    fit = DawidSkene().fit(table, counts=data.caries().counts)
    assert fit.annotators_.tolist() == ["eve", "dan", "cy", "bob", "ann"]
    np.testing.assert_allclose(
        fit.confusion_, DawidSkene().fit(table.to_numpy(), counts=data.caries().counts).confusion_
    )
    with pytest.raises(ValueError, match="feature names should match"):
        fit.predict(table[table.columns[::-1]])
    twice = pd.DataFrame(data.anaesthetists(), columns=[str(j) for j in FIVE])
    with pytest.raises(ValueError, match="several columns called 1; name them apart, and say whose in annotators"):
        DawidSkene().fit(twice)


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        ({"items": [1, 2, 3]}, {}, "annotators are missing; single ratings need both"),
        ({"annotators": [1, 2, 3]}, {}, "items are missing"),
        ({"items": [1, 2], "annotators": [1, 2, 3]}, {}, r"ratings have the shape \(3,\), items \(2,\) and"),
        ({"items": [1, None, 2], "annotators": [1, 2, 3]}, {}, "items hold None at 1; each needs a number or a name"),
        ({"items": ["a", 1, 2], "annotators": np.array([1, "b", 2], dtype=object)}, {}, "annotators mix numbers and"),
        ({"items": [1, 1, 2], "annotators": [1, 2, 1], "counts": [1, 2]}, {}, "counts and groups go with a table"),
        ({"items": [1, 1, 2], "annotators": [1, 2, 1]}, {"annotators": [1, 2]}, "annotators are given twice"),
    ],
)
def test_single_ratings_that_do_not_fit_together(arguments, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        DawidSkene(**options).fit([0, 1, 1], **arguments)


@pytest.mark.parametrize(
    ("prior", "sentence"),
    [
        (AnnotatorPrior(np.ones(3), 1.0), r"prior.prevalence has the shape \(3,\); a number or the shape \(1, 2\)"),
        (AnnotatorPrior(1.0, np.ones((3, 2, 2))), r"prior.confusion has the shape \(3, 2, 2\); a number or"),
        (AnnotatorPrior(0.5, 1.0), "prior.prevalence holds 0.5; 1 is the least"),
        (AnnotatorPrior(1.0, np.nan), "prior.confusion holds nan; 1 is the least"),
        (AnnotatorPrior(1.0, "weak"), "prior.confusion is 'weak'; it must be an array of numbers"),
    ],
)
def test_a_prior_that_does_not_fit_gets_a_sentence(prior, sentence):
    with pytest.raises(ValueError, match=sentence):
        DawidSkene(prior=prior).fit([[0, 1], [1, 1], [0, 0]])


def test_nan_beside_words_is_no_word():
    fit = DawidSkene().fit([["no", "no", float("nan")], ["yes", "yes", "yes"], ["no", "yes", "no"]] * 5)
    assert fit.classes_.tolist() == ["no", "yes"]


@pytest.mark.parametrize(
    ("fitted", "others", "found"),
    [
        (["no", "yes"], ["yesterday"] * 3, "the label yesterday; the classes are"),
        ([0, 1], [1.9, 1.9, 1.9], r"the label 1.9; the classes are \[0, 1\]"),
        ([0, 1], ["1", "0", "x"], "the label x; the classes are"),
        ([0.5, 1.5], [1, 0, 1], "the label 1; the classes are"),
    ],
)
def test_a_label_is_not_cut_into_a_known_one(fitted, others, found):
    no, yes = fitted
    fit = DawidSkene().fit([[no, no, yes], [yes, yes, yes], [no, no, no]] * 5)
    assert fit.predict([[no] * 3, [yes] * 3]).tolist() == fitted
    with pytest.raises(ValueError, match=f"ratings hold {found}"):
        fit.predict([others])


def test_classes_are_named_by_their_labels():
    """Though an annotator mostly says the opposite, and starts are random."""
    truth = np.random.default_rng(0).integers(2, size=500)
    table = np.column_stack([truth, truth, 1 - truth, truth])
    table[:25] = 1 - table[:25]
    for seed in range(5):
        fit = DawidSkene(n_init=3, random_state=seed).fit(table)
        assert (fit.predict(table)[25:] == truth[25:]).all()
        assert fit.confusion_[2, 0, 1] > 0.9


def test_a_prior_keeps_rates_off_the_boundary():
    fit = DawidSkene(FIVE, prior=AnnotatorPrior(1.5, 1.5)).fit(data.anaesthetists())
    assert fit.confusion_.min() > 0.001
    assert fit.standard_errors().confusion.min() > 0


@pytest.mark.parametrize(
    ("ratings", "options", "sentence"),
    [
        ([0, 1, 1], {}, r"ratings have the shape \(3,\)"),
        ([[1, 1], [1, 1]], {}, r"ratings hold 1 label\(s\), \[1\]; two are the least"),
        ([[0, 1], [-1, -1]], {}, "ratings of item 1 are all missing"),
        ([[0, -1], [1, -1]], {}, "annotator 1 gave no rating"),
        ([[0, 1], [1, 1]], {"counts": [3, -2]}, "counts hold -2; they must be whole numbers"),
        ([[0, 1], [1, 1]], {"counts": [3]}, "one for each of 2 rows is needed"),
        ([[0, 1], [1, 1]], {"groups": [0, 1, 0]}, r"groups have the shape \(3,\); one for each of 2 items is needed"),
        ([[0, 1], [1, 1]], {"groups": ["x"]}, r"groups have the shape \(1,\)"),
        ([[0, 1], [1, 1]], {"groups": ["x", None]}, "groups hold None at 1; each needs a number or a name"),
        ([[0, 1], [1, 1]], {"counts": ["x", "y"]}, "counts is of type list; it must be an array of numbers"),
        ([[0, np.inf], [1, 1]], {}, "ratings hold inf; a label is a finite number or a word"),
    ],
)
def test_bad_input_gets_a_sentence(ratings, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        DawidSkene().fit(ratings, **options)


def test_a_sparse_matrix_does_not_say_what_zero_is():
    with pytest.raises(TypeError, match="ratings are a sparse matrix"):
        DawidSkene().fit(csr_array(np.eye(3)))


def test_a_prior_is_one_of_annotators():
    with pytest.raises(ValueError, match="prior is 'weak'; it must be None or an AnnotatorPrior"):
        DawidSkene(prior="weak").fit([[0, 1], [1, 1]])


def test_an_annotator_of_one_word():
    table = np.column_stack([np.tile([0, 1], 50), np.tile([0, 1], 50), np.zeros(100), np.tile([0, 1], 50)]).astype(int)
    with pytest.warns(UserWarning, match="annotator 2 gave the label 0 and no other"):
        fit = DawidSkene().fit(table)
    np.testing.assert_allclose(fit.confusion_[2], [[1, 0], [1, 0]])
    with pytest.raises(ValueError, match="annotators has 2 names, but ratings have 4 columns"):
        DawidSkene(["a", "b"]).fit(table)


def test_manners_of_scikit_learn():
    fit = DawidSkene(FIVE, n_init=2, random_state=3).fit(data.anaesthetists())
    again = clone(fit)
    assert again.get_params()["annotators"] == FIVE
    assert again.fit(data.anaesthetists()).log_likelihood_ == fit.log_likelihood_
    assert len(fit.trace_) == fit.n_iter_ + 1
    assert fit.stop_reason_ == "converged"
    with pytest.raises(ValueError, match="ratings hold the label 9; the classes are"):
        fit.predict([[9] * 7])
    with pytest.raises(ValueError, match="X has 2 features, but DawidSkene is expecting 7"):
        fit.predict([[1, 2]])


def test_a_jump_wins_nothing_by_shares_that_do_not_sum_to_one():
    """Else the next plain step, whose shares do, seems to fall."""
    model = Annotators()
    confusion = np.array([[[0.81, 0.19], [0.3, 0.7]], [[0.77, 0.23], [0.16, 0.84]], [[0.7, 0.3], [0.22, 0.78]]])
    truth = AnnotatorParams(np.array([[0.61, 0.39], [0.27, 0.73]]), confusion)
    start = AnnotatorParams(np.full((2, 2), 0.5), 0.5 * confusion + 0.25)
    for seed in range(10):
        ratings = model.simulate(truth, 300, np.random.default_rng(seed))
        fit = em.fit(model, ratings, start, tol=1e-9, max_iter=50_000, accelerate="squarem")
        assert fit.converged, (seed, fit.message)
