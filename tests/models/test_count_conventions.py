"""Scikit-learn's own checks on the mixtures of counts, with its random numbers rounded to counts.

The checks draw real numbers, which these estimators refuse, as they should. So each estimator here rounds what it has
accepted, after all checks of the table and before its own check of counts; everything else is the estimator's.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from emlib import BernoulliMixture, BinomialMixture, GaussianMixture, MultinomialMixture, PoissonMixture


class Rounded:
    def _columns(self, X, *, reset):
        table = np.asarray(super()._columns(X, reset=reset), dtype=float)
        return self._as_counts(np.rint(10 * table))

    def _as_counts(self, table):
        return table


class RoundedPoisson(Rounded, PoissonMixture):
    pass


class RoundedBinomial(Rounded, BinomialMixture):
    pass


class RoundedMultinomial(Rounded, MultinomialMixture):
    pass


class RoundedBernoulli(Rounded, BernoulliMixture):
    def _as_counts(self, table):
        return np.where(table < 0, table, table % 2)  # odd is yes; what is negative stays so, to be refused


EXPECTED = {
    "check_positive_only_tag_during_fit": "negative counts are refused, but in our own words: the sentence names the "
    "value, its row and its column, where the check looks for 'Negative values in data'",
}


@parametrize_with_checks(
    [RoundedPoisson(2), RoundedBinomial(n_trials=10_000), RoundedBernoulli(), RoundedMultinomial(2)],
    expected_failed_checks=lambda estimator: EXPECTED,
)
def test_scikit_learn_conventions(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


@pytest.mark.parametrize("estimator", [RoundedPoisson(), RoundedBinomial(), RoundedBernoulli(), RoundedMultinomial()])
def test_the_expected_failure_is_a_matter_of_words(estimator):
    with pytest.raises(ValueError, match=r"^X holds -10 in row 1, column 0; "):
        estimator.fit([[0], [-1]])


@pytest.mark.parametrize("mixture", [PoissonMixture, BinomialMixture, BernoulliMixture, MultinomialMixture])
def test_counts_say_that_they_are_not_negative(mixture):
    assert get_tags(mixture()).input_tags.positive_only
    assert not get_tags(GaussianMixture()).input_tags.positive_only
