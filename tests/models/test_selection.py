"""Choosing the number of components."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.mixture import GaussianMixture as SklearnMixture

from emlib import DoubletMixture, GaussianHMM, GaussianMixture, KMeans, PoissonMixture, select_n_components
from emlib.data import fetal_lamb, old_faithful, penguins


def test_penguins_have_three_kinds_by_bic():
    model = GaussianMixture(n_init=10, tol=1e-6, max_iter=3000, random_state=0)
    table = select_n_components(model, penguins().measurements, range(1, 6))
    assert table.best.n_components == 3
    assert table.n_components.tolist() == [1, 2, 3, 4, 5]
    assert (np.diff(table.log_likelihoods) > 0).all()  # the likelihood alone never says stop
    assert table.scores[2] == table.estimators[2].bic(penguins().measurements)


@pytest.mark.parametrize("criterion", ["bic", "icl", "aic", "cv"])
def test_every_criterion_sees_the_two_kinds_of_eruption(criterion):
    model = GaussianMixture(random_state=0, max_iter=1000)
    table = select_n_components(model, old_faithful(), [1, 2], criterion)
    assert table.best.n_components == 2


def test_icl_charges_for_overlap():
    X = np.random.default_rng(0).normal(0, 1, (300, 1)) + np.repeat([[0.0], [1.5]], 150, axis=0)
    model = GaussianMixture(random_state=0, max_iter=5000)
    bic, icl = (select_n_components(model, X, [1, 2], criterion) for criterion in ("bic", "icl"))
    assert icl.scores[0] == bic.scores[0]
    assert icl.scores[1] > bic.scores[1] + 50


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("criterion", ["bic", "cv"])
@pytest.mark.parametrize("model", [GaussianMixture(random_state=0), GaussianHMM(random_state=0)])
def test_columns_keep_their_names(model, criterion):
    frame = pd.DataFrame(old_faithful(), columns=["eruption", "waiting"])
    options = {"lengths": [100, 172], "folds": 2} if isinstance(model, GaussianHMM) else {}
    found = select_n_components(model, frame, [1, 2], criterion, **options)
    for fitted in found.estimators:
        assert fitted.feature_names_in_.tolist() == ["eruption", "waiting"]
        fitted.predict(frame)
    with pytest.raises(ValueError, match="feature names should match"):
        found.best.predict(frame.rename(columns={"waiting": "pause"}))
    plain = select_n_components(model, old_faithful(), [1, 2], criterion, **options)
    assert not hasattr(plain.best, "feature_names_in_")
    np.testing.assert_allclose(plain.scores, found.scores, rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([1, 2], "best"), "criterion is 'best'; it must be one of 'bic'"),
        (([],), "n_components is empty"),
        ((3,), r"n_components is 3; the numbers to try are needed, such as range\(1, 6\)"),
        (([0],), "n_components is 0; it must be a whole number, 1 or above"),
    ],
)
def test_bad_arguments(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        select_n_components(PoissonMixture(), fetal_lamb(), *arguments)


@pytest.mark.parametrize("model", [None, GaussianMixture, KMeans(), SklearnMixture()])
def test_other_models_are_refused(model):
    with pytest.raises(ValueError, match=r"^model is .*; it must be an unfitted mixture or hidden Markov model"):
        select_n_components(model, old_faithful(), [1, 2])


@pytest.mark.parametrize("criterion", ["bic", "icl", "aic", "cv"])
def test_every_criterion_is_there_for_doublets(criterion):
    found = select_n_components(DoubletMixture(random_state=0), fetal_lamb()[fetal_lamb() > 0][:, None], [1], criterion)
    assert found.scores[0] > -2.0 * found.log_likelihoods[0]
    if criterion == "aic":
        assert found.scores[0] == pytest.approx(-2.0 * found.log_likelihoods[0] + 2 * 2)  # a rate, a share of doublets


def test_bad_folds():
    with pytest.raises(ValueError, match="folds is 1; it must be a whole number, 2 or above"):
        select_n_components(PoissonMixture(), fetal_lamb(), [1], "cv", folds=1)
