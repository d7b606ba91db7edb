"""Annotators who disagree: published fits, and what a table of ratings may look like."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from emlib import DawidSkene, data
from emlib.engine import em
from emlib.engine.information import NotAMaximum
from emlib.models.annotators import AnnotatorParams, AnnotatorPrior, Annotators

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
    with pytest.raises(NotAMaximum, match="on the boundary"):
        DawidSkene(FIVE).fit(data.anaesthetists()).standard_errors()


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
    ],
)
def test_bad_input_gets_a_sentence(ratings, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        DawidSkene().fit(ratings, **options)


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
    with pytest.raises(ValueError, match="ratings have 2 columns"):
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
