"""Error rates of annotators, and the classes behind their answers, as an estimator."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.utils.validation import check_is_fitted

from ...engine import em
from ...engine.information import observed_information
from ...engine.latent import FloatArray
from ..base import EMEstimator
from ..checks import check_prior, check_real, check_whole, generator, is_missing
from .model import Annotators
from .parameters import AnnotatorParams, AnnotatorPrior, AnnotatorStats


class DawidSkene(EMEstimator):
    """Annotators who err, each in their own way, about classes that nobody knows.

    The latent class model of two classes is the same, and so are diagnostic tests without a gold standard.

    Parameters
    ----------
    annotators : array (C,), optional
        Who gave each column of ratings; equal names are one annotator who rated several times. All different if None.
    missing : int or str
        Stands for no rating, as NaN, None and "" do in any case.
    n_init : int
        Starts: the first from shares of votes, as Dawid and Skene's; the others mix votes with noise.
    max_iter, tol, accelerate, random_state
        As in the mixtures.
    prior : AnnotatorPrior, optional
        On class shares and error rates.

    Attributes
    ----------
    classes_ : array (K,)
        All labels that occur, sorted. Hidden classes go by the labels that they get most of.
    prevalence_ : array (K,), or (G, K) with `groups`
        Shares of the classes.
    confusion_ : array (J, K, K)
        For each annotator, class and label how often that class gets that label. With labels 0 and 1,
        ``confusion_[:, 1, 1]`` are sensitivities and ``confusion_[:, 0, 0]`` specificities.
    annotators_ : array (J,)
    posterior_ : array (n, K)
        Class probabilities of every item.
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_, starts_
        As in every EM estimator.

    References
    ----------
    Dawid & Skene (1979); Hui & Walter (1980) for two tests in two populations.

    Examples
    --------
    Five dentists look for caries on the X-rays of 3,859 teeth:

    >>> import emlib
    >>> teeth = emlib.data.caries()
    >>> dentists = DawidSkene().fit(teeth.ratings, counts=teeth.counts)
    >>> round(float(dentists.prevalence_[1]), 4), round(dentists.log_likelihood_, 3)
    (0.1997, -7410.942)
    """

    def __init__(
        self,
        annotators: Any = None,
        *,
        missing: Any = -1,
        n_init: int = 1,
        max_iter: int = 10_000,
        tol: float = 1e-6,
        prior: AnnotatorPrior | None = None,
        accelerate: Any = None,
        random_state: Any = None,
    ) -> None:
        self.annotators = annotators
        self.missing = missing
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.prior = prior
        self.accelerate = accelerate
        self.random_state = random_state

    def fit(
        self, ratings: Any, y: Any = None, *, counts: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> DawidSkene:
        """Estimate everything from ratings (n, C) alone.

        Parameters
        ----------
        ratings : array (n, C)
            Labels, one row an item: numbers or words.
        y : ignored
        counts : array (n,), optional
            How many items gave each row.
        groups : array (n,), optional
            Items whose classes may have other shares, but whose annotators err alike: Hui and Walter's populations.

        Raises
        ------
        ValueError
            In one sentence, for a table that cannot be used.
        """
        prior, (table, given) = check_prior(self.prior, AnnotatorPrior), _table(ratings, self.missing)
        names, columns = np.unique(
            np.arange(table.shape[1]) if self.annotators is None else np.asarray(self.annotators), return_inverse=True
        )
        if len(columns) != table.shape[1]:
            raise ValueError(f"annotators has {len(columns)} names, but ratings have {table.shape[1]} columns.")
        classes = np.unique(table[given])
        if len(classes) < 2:
            raise ValueError(f"ratings hold {len(classes)} label(s), {classes.tolist()}; two are the least.")
        X = self._rows(table, given, classes, columns, names, counts)
        kinds: Any = None
        if groups is not None:
            if np.shape(groups) != (len(table),):
                raise ValueError(
                    f"groups have the shape {np.shape(groups)}; one for each of {len(table)} items is needed."
                )
            kinds, X[:, 1] = np.unique(np.asarray(groups), return_inverse=True)
        G, K, J = 1 if kinds is None else len(kinds), len(classes), len(names)
        self._doubts(X, G, J, K, names, classes)

        rows, inverse = np.unique(X[:, 1:], axis=0, return_inverse=True)
        data = np.column_stack([np.bincount(inverse.ravel(), X[:, 0]), rows])
        best = em.search(
            Annotators(),
            data,
            self._starts(data, prior, G, J, K),
            max_iter=check_whole("max_iter", self.max_iter, 0),
            tol=check_real("tol", self.tol),
            prior=prior,
            accelerate=self.accelerate,
        )
        params = _oriented(best.params, Annotators().e_step(data, best.params)[0])
        self._outcome(best)
        self.n_features_in_, self.classes_, self.annotators_, self.groups_ = table.shape[1], classes, names, kinds
        self._params, self._data, self._columns_of = params, data, columns
        self.prevalence_: FloatArray = params.prevalence if groups is not None else params.prevalence[0]
        self.confusion_: FloatArray = params.confusion
        self.posterior_: FloatArray = Annotators().posterior(X, params)[0]
        self._warn(best)
        return self

    def _rows(
        self, table: Any, given: Any, classes: Any, columns: Any, names: Any, counts: ArrayLike | None
    ) -> FloatArray:
        """How many, which group, and how often each annotator gave each label."""
        n, J, K = len(table), len(names), len(classes)
        if "U" in (table.dtype.kind, classes.dtype.kind):
            table, classes = table.astype(str), classes.astype(str)  # of any length: cut, "yesterday" would be "yes"
        said = given[:, :, None] & (table[:, :, None] == classes)
        unknown = given & ~said.any(axis=2)
        if unknown.any():
            raise ValueError(f"ratings hold the label {table[unknown][0]}; the classes are {classes.tolist()}.")
        X = np.zeros((n, 2 + J * K))
        X[:, 0] = 1.0 if counts is None else _counts(counts, n)
        i, c, k = np.nonzero(said)
        np.add.at(X, (i, 2 + columns[c] * K + k), 1.0)
        return X

    def _doubts(self, X: FloatArray, G: int, J: int, K: int, names: Any, classes: Any) -> None:
        """Refuse items and annotators without ratings; warn of those that say nothing."""
        silent = X[:, 2:].sum(axis=1) == 0
        if silent.any():
            raise ValueError(f"ratings of item {int(np.argmax(silent))} are all missing; leave the item out.")
        used = X[:, 2:].reshape(-1, J, K).sum(axis=0)
        for j in np.flatnonzero((used > 0).sum(axis=1) < 2):
            if not used[j].any():
                raise ValueError(f"annotator {names[j]} gave no rating; leave the annotator out.")
            label = classes[np.argmax(used[j])]
            warnings.warn(
                f"annotator {names[j]} gave the label {label} and no other, which tells nothing about the items.",
                stacklevel=3,
            )
        patterns, free = G * (float(K) ** X[:, 2:].sum(axis=1).max() - 1), (G + J * K) * (K - 1)
        if free > patterns:
            warnings.warn(
                f"{free} parameters cannot be told from {patterns:.0f} free frequencies of rating patterns; "
                "more annotators, or groups of other class shares, are needed.",
                stacklevel=3,
            )

    def _starts(self, data: FloatArray, prior: AnnotatorPrior | None, G: int, J: int, K: int) -> list[AnnotatorParams]:
        """From votes, and from votes half drowned in noise."""
        rng, model = generator(self.random_state), Annotators()
        votes = data[:, 2:].reshape(-1, J, K).sum(axis=1)
        votes /= votes.sum(axis=1, keepdims=True)
        starts = []
        for s in range(check_whole("n_init", self.n_init, 1)):
            shares = votes if s == 0 else 0.5 * votes + 0.5 * rng.dirichlet(np.full(K, 0.5), len(votes))
            shares = data[:, :1] * shares
            counts = np.array([shares[data[:, 1] == g].sum(axis=0) for g in range(G)])
            ratings = (shares.T @ data[:, 2:]).reshape(K, J, K).swapaxes(0, 1)
            starts.append(model.m_step(AnnotatorStats(counts + 0.1, ratings + 0.1), prior))
        return starts

    def predict_proba(self, ratings: Any) -> FloatArray:
        """Class probabilities (n, K) of other items, those of the first group if there are several."""
        check_is_fitted(self)
        table, given = _table(ratings, self.missing)
        if table.shape[1] != self.n_features_in_:
            raise ValueError(f"ratings have {table.shape[1]} columns; DawidSkene was fitted on {self.n_features_in_}.")
        X = self._rows(table, given, self.classes_, self._columns_of, self.annotators_, None)
        return Annotators().posterior(X, self._params)[0]

    def predict(self, ratings: Any) -> NDArray[Any]:
        """The most probable class (n,)."""
        best = self.predict_proba(ratings).argmax(axis=1)  # (refuses first what has no classes yet)
        return np.asarray(self.classes_[best])

    def standard_errors(self) -> AnnotatorParams:
        """Of class shares (G, K) and error rates (J, K, K), from the curvature of the likelihood.

        Raises
        ------
        NotAMaximum
            A `ValueError`, where a rate is 0 or 1: a prior keeps it inside.
        """
        check_is_fitted(self)
        known = observed_information(Annotators(), self._data, self._params, prior=self.prior)
        errors: AnnotatorParams = known.standard_errors
        return errors


def _oriented(params: AnnotatorParams, stats: AnnotatorStats) -> AnnotatorParams:
    """Hidden classes in the order of the labels that they get most of, each label taken once."""
    _, order = linear_sum_assignment(-stats.ratings.sum(axis=0).T)
    return AnnotatorParams(params.prevalence[:, order], params.confusion[:, order])


def _table(ratings: Any, missing: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Ratings as numbers or as words, and where there is one: what the table holds elsewhere means nothing."""
    try:
        table = np.asarray(ratings)
    except ValueError:
        raise ValueError(
            "ratings have rows of different lengths; rows of items and columns of ratings are needed."
        ) from None
    if table.ndim != 2 or not table.size:
        raise ValueError(f"ratings have the shape {table.shape}; rows of items and columns of ratings are needed.")
    if table.dtype.kind in "iub":
        return table, np.asarray(table != missing)
    if table.dtype.kind == "f":
        return table, np.asarray(~np.isnan(table) & (table != missing))
    if not isinstance(ratings, np.ndarray):
        table = np.asarray(ratings, dtype=object)  # beside words in a list, NumPy writes NaN as the word "nan"
    given = np.array([[not _blank(v, missing) for v in row] for row in table.tolist()])
    return (_alike(table, given) if table.dtype == object else table), given


def _blank(value: Any, missing: Any) -> bool:
    """Whether this stands for no rating."""
    return is_missing(value) or value in ("", missing, str(missing))


def _alike(table: NDArray[Any], given: NDArray[np.bool_]) -> NDArray[Any]:
    """A table of objects as one of numbers, if all that is given are numbers, and else of words."""
    values = table[given].tolist()
    numbers = all(isinstance(v, (bool, int, float, np.bool_, np.number)) for v in values)
    said = np.array(values if numbers else [str(v) for v in values])
    alike = np.zeros(table.shape, dtype=said.dtype)
    alike[given] = said
    return alike


def _counts(counts: ArrayLike, n: int) -> FloatArray:
    found = np.asarray(counts, dtype=float)
    if found.shape != (n,):
        raise ValueError(f"counts have the shape {found.shape}; one for each of {n} rows is needed.")
    if not (np.isfinite(found) & (found >= 0) & (found == np.floor(found))).all() or not found.any():
        bad = found[~(np.isfinite(found) & (found >= 0) & (found == np.floor(found)))]
        raise ValueError(f"counts hold {bad[0] if bad.size else 0:g}; they must be whole numbers, 0 or above.")
    return found
