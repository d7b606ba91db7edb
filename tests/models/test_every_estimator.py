"""What every public estimator promises: a fit travels in a pickle, and a prior of the wrong kind gets one sentence."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

import emlib
from emlib.models.tomography import blur

RNG = np.random.default_rng(0)
X = np.vstack([RNG.normal(0, 1, (30, 2)), RNG.normal(6, 1, (30, 2))])
COUNTS = np.vstack([RNG.poisson(2, (30, 2)), RNG.poisson(12, (30, 2))]) + 1
BITS = (RNG.random((60, 4)) < np.repeat([[0.2], [0.8]], 30, axis=0)).astype(int)
RATINGS = (RNG.random((60, 4)) < np.where(BITS[:, :1], 0.8, 0.2)).astype(int)
SCORES, DECOY = np.r_[RNG.normal(2, 1, 80), RNG.gumbel(7, 1, 40)], np.repeat([True, False], [40, 80])
READS = ["".join(RNG.choice(list("ACGT"), 20)) + "TTGACATA" + "".join(RNG.choice(list("ACGT"), 20)) for _ in range(8)]
PEOPLE = RNG.binomial(2, 0.4, (20, 3))


@dataclass
class Example:
    """An estimator, what it is fitted to, and what a fit is asked: attributes, methods with arguments, or else."""

    estimator: Any
    data: tuple[Any, ...]
    questions: tuple[Any, ...]

    def fitted(self) -> Any:
        return clone(self.estimator).fit(*self.data)

    def answers(self, fit: Any) -> list[Any]:
        return [
            q(fit) if callable(q) else getattr(fit, q) if isinstance(q, str) else getattr(fit, q[0])(*q[1:])
            for q in self.questions
        ]


def first_motif(fit: Any) -> Any:
    return fit.motifs_[0].pwm


def mixture(kind: type, table: Any, **options: Any) -> Example:
    return Example(kind(2, random_state=0, **options), (table,), (("predict_proba", table), "trace_"))


EXAMPLES = [
    mixture(emlib.GaussianMixture, X),
    mixture(emlib.PoissonMixture, COUNTS),
    mixture(emlib.NegativeBinomialMixture, COUNTS, max_iter=3),
    mixture(emlib.BinomialMixture, BITS, n_trials=1),
    mixture(emlib.BernoulliMixture, BITS),
    mixture(emlib.MultinomialMixture, COUNTS, max_iter=3),
    mixture(emlib.DoubletMixture, COUNTS, max_iter=3),
    mixture(emlib.GaussianHMM, X),
    mixture(emlib.PoissonHMM, COUNTS),
    mixture(emlib.CategoricalHMM, BITS[:, 0]),
    Example(emlib.KMeans(2, random_state=0), (X,), (("predict", X), ("transform", X))),
    Example(emlib.HaplotypeEM(random_state=0), (PEOPLE,), ("haplotypes_", "frequencies_")),
    Example(emlib.GeneCounting("ABO"), ([186, 38, 13, 284],), ("frequencies_", ("genotype_probabilities", ["A"]))),
    Example(emlib.DawidSkene(), (RATINGS,), (("predict_proba", RATINGS), "confusion_")),
    Example(emlib.ProteinInference(), ([["A"], ["A", "B"]], [0.9, 0.5]), ("groups_", "probabilities_")),
    *(
        Example(emlib.ScoreMixture(*shapes), (SCORES, DECOY), (("posterior_error", [0.0, 4.0, 9.0]), "q_values_"))
        for shapes in [("kernel", "gumbel"), ("gamma", "gaussian"), ("kernel", "kernel"), ("kernel", "isotonic")]
    ),
    Example(emlib.MLEM(np.eye(3)), ([1, 2, 3],), (("project", [1.0, 2, 3]), "image_")),
    Example(emlib.MLEM(blur([[1, 2, 1]])), ([[1.0, 2, 3]],), (("project", [1.0, 2, 3]), "image_")),
    Example(emlib.MissingDataNormal(), (np.where([7, np.inf] < X, np.nan, X),), (("impute", [[1.0, np.nan]]), "mean_")),
    Example(emlib.RobustRegression(), (X[:, :1], X[:, 1]), (("predict", X[:, :1]), "weights_")),
    Example(emlib.MotifFinder(8, effort=0.1, max_iter=20, random_state=0), (READS,), (first_motif,)),
    Example(emlib.MotifGibbs(8, chains=1, sweeps=5, random_state=0), (READS,), (first_motif,)),
    Example(emlib.TranscriptQuantifier(), ([[0], [1], [0, 1]], [30, 10, 60], [9, 9]), ("counts_",)),
]
# They have no fit: what they are asked for is drawn anew.
DRAWN = [
    (
        emlib.GibbsSampler(emlib.PoissonMixture(2)),
        lambda s: s.sample(COUNTS, 3, tune=2, chains=1, random_state=0)["rates"],
    ),
    (emlib.Phaser(2, n_iter=2, sweeps=0, random_state=0), lambda s: s.phase(PEOPLE)),
]


def name(example: Example) -> str:
    return type(example.estimator).__name__


def test_every_public_estimator_is_here():
    public = (getattr(emlib, one) for one in emlib.__all__)
    estimators = {c.__name__ for c in public if inspect.isclass(c) and issubclass(c, BaseEstimator)}
    assert estimators == {*map(name, EXAMPLES), *(type(one).__name__ for one, _ in DRAWN)}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_a_fit_can_be_pickled(example):
    """It answers as before, and has kept all that it knew."""
    fit = example.fitted()
    again = pickle.loads(pickle.dumps(fit))
    assert vars(again).keys() == vars(fit).keys()
    np.testing.assert_equal(example.answers(again), example.answers(fit))


@pytest.mark.parametrize(("estimator", "drawn"), DRAWN)
def test_what_draws_can_be_pickled(estimator, drawn):
    np.testing.assert_equal(drawn(pickle.loads(pickle.dumps(estimator))), drawn(estimator))


@pytest.mark.parametrize("example", [e for e in EXAMPLES if "prior" in e.estimator.get_params()], ids=name)
def test_a_prior_of_the_wrong_kind_gets_one_sentence(example):
    """A word is none, and neither is an object of another class; "weak" is for mixtures and chains alone."""
    for wrong, found in (("strong", "'strong'"), (np.eye(2), "of type ndarray")):
        estimator = clone(example.estimator).set_params(prior=wrong)
        with pytest.raises(ValueError, match=f"^prior is {found}; it must be None") as caught:
            estimator.fit(*example.data)
        assert "\n" not in str(caught.value)


UNUSABLE = {
    "None": None,
    "a word": "abc",
    "a number": 3.5,
    "an object": object(),
    "no rows": np.zeros((0, 2)),
    "too many axes": np.zeros((2, 3, 4, 5)),
    "complex": [[1j, 2j]],
    "ragged": [[1.5, 2.5], [3.5]],
    "infinite": np.array([[np.inf, 1.0], [2.0, 3.0]]),
}
# What is data all the same, or is refused by the user's own functions.
USABLE = {
    ("DawidSkene", "complex"),
    ("DawidSkene", "infinite"),
    ("ProteinInference", "ragged"),
    ("ProteinInference", "infinite"),
}


def said_by_us(caught: Any) -> bool:
    """One sentence, and a line of emlib that raises it: not what NumPy says when it is handed the same."""
    last = caught.traceback[-1]
    ours = Path(emlib.__file__).parent in last.path.parents and str(last.statement).lstrip().startswith("raise ")
    return ours and "\n" not in str(caught.value)


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
@pytest.mark.parametrize("found", UNUSABLE)
def test_unusable_data_get_one_sentence(example, found):
    if (name(example), found) in USABLE or isinstance(getattr(example.estimator, "system", None), tuple):
        return
    with pytest.raises((ValueError, TypeError)) as caught:
        clone(example.estimator).fit(UNUSABLE[found], *example.data[1:])
    assert said_by_us(caught)


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_an_estimator_without_a_fit_says_so(example):
    for question in ("predict", "predict_proba", "project", "transform"):
        if hasattr(example.estimator, question):
            with pytest.raises(NotFittedError):
                getattr(clone(example.estimator), question)(example.data[0])


def test_other_arguments_get_one_sentence():
    quantifier = emlib.TranscriptQuantifier()
    classes, counts, lengths = [[0], [1], [0, 1]], [30, 10, 60], [9, 9]
    scanner = emlib.MLEM(np.eye(3)).fit([1, 2, 3])
    for action in (
        lambda: emlib.RobustRegression().fit(X, "abc"),
        lambda: quantifier.fit(classes, [[1], [2, 3]], lengths),
        lambda: quantifier.fit(classes, counts, [[1], [2, 3]]),
        lambda: quantifier.fit(classes, counts, lengths).score("abc"),
        lambda: scanner.project("abc"),
        lambda: scanner.project([1.0, 2.0]),
    ):
        with pytest.raises(ValueError, match=r"must be an array of numbers|was reconstructed") as caught:
            action()
        assert said_by_us(caught)
