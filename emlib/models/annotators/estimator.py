"""Error rates of annotators, and the classes behind their answers, as an estimator."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.utils.validation import check_is_fitted, validate_data

from ...engine import em
from ...engine.information import observed_information
from ...engine.latent import FloatArray
from ..base import EMEstimator
from ..checks import check_prior, check_real, check_whole, generator
from .model import Annotators
from .parameters import AnnotatorParams, AnnotatorPrior, AnnotatorStats
from .ratings import Heard, Ratings, heard_in_table, heard_one_by_one, named


class DawidSkene(EMEstimator):
    """Annotators who err, each in their own way, about classes that nobody knows.

    The latent class model of two classes is the same, and so are diagnostic tests without a gold standard.

    Parameters
    ----------
    annotators : array (C,), optional
        Who gave each column of ratings; equal names are one annotator who rated several times. If None, the names that
        the columns have in pandas, else all different.
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
        Their names, in the order of `confusion_`.
    items_ : array (n,), or None
        The names of items that came as single ratings, in the order of `posterior_`.
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

    Volunteers on the internet look at a few pictures each, and what they said comes as a list of single ratings:

    >>> by = ["ann", "bob", "cy", "ann", "cy", "ann", "bob", "cy", "bob", "cy"] * 9
    >>> of = np.repeat(np.arange(36), [3, 2, 3, 2] * 9)
    >>> said = ["cat", "cat", "dog", "dog", "dog", "cat", "cat", "cat", "dog", "dog"] * 9
    >>> crowd = DawidSkene().fit(said, items=of, annotators=by)
    >>> crowd.annotators_.tolist(), crowd.classes_[crowd.posterior_[:4].argmax(axis=1)].tolist()
    (['ann', 'bob', 'cy'], ['cat', 'dog', 'cat', 'dog'])
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
        self,
        ratings: Any,
        y: Any = None,
        *,
        counts: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        items: ArrayLike | None = None,
        annotators: ArrayLike | None = None,
    ) -> DawidSkene:
        """Estimate everything from ratings alone.

        Parameters
        ----------
        ratings : array (n, C), or list (m,) with `items` and `annotators`
            Labels, one row an item: numbers or words. Or single ratings, as a database holds them.
        y : ignored
        counts : array (n,), optional
            How many items gave each row.
        groups : array (n,), optional
            Items whose classes may have other shares, but whose annotators err alike: Hui and Walter's populations.
        items, annotators : list (m,), optional
            Of single ratings, what each is of and by whom; in any order, and several of the same by the same if so.

        Raises
        ------
        ValueError
            In one sentence, for a table that cannot be used.
        """
        prior: AnnotatorPrior | None = check_prior(self.prior, AnnotatorPrior)
        heard, singly = self._heard(ratings, items, annotators), items is not None or annotators is not None
        if singly and (counts is not None or groups is not None):
            raise ValueError("counts and groups go with a table of one row an item, not with single ratings.")
        classes, names = np.unique(heard.label), heard.annotators
        if len(classes) < 2:
            raise ValueError(f"ratings hold {len(classes)} label(s), {classes.tolist()}; two are the least.")
        seen, kinds = heard.counted(classes, counts), None
        if groups is not None:
            if np.shape(groups) != (heard.n,):
                raise ValueError(
                    f"groups have the shape {np.shape(groups)}; one for each of {heard.n} items is needed."
                )
            kinds, which = named("groups", groups)
            seen = Ratings(seen.counts, which, seen.said)
        G, K, J = 1 if kinds is None else len(kinds), len(classes), len(names)
        if prior is not None:
            prior.check(G, J, K)
        self._doubts(seen, heard, G, classes)

        data = seen.merged()
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
        if singly:
            self.__dict__.pop("feature_names_in_", None)
            self.n_features_in_ = 1
        else:
            validate_data(self, ratings, reset=True, skip_check_array=True)
        self._outcome(best)
        self.classes_, self.annotators_, self.groups_, self.items_ = classes, names, kinds, heard.items
        self._params, self._data = params, data
        self.prevalence_: FloatArray = params.prevalence if groups is not None else params.prevalence[0]
        self.confusion_: FloatArray = params.confusion
        self.posterior_: FloatArray = Annotators().posterior(seen, params)[0]
        self._warn(best)
        return self

    def _heard(self, ratings: Any, items: Any, annotators: Any) -> Heard:
        if items is None and annotators is None:
            return heard_in_table(ratings, self.missing, self.annotators)
        if self.annotators is not None:
            raise ValueError("annotators are given twice; with single ratings they are an argument of fit alone.")
        return heard_one_by_one(ratings, items, annotators, self.missing)

    def _doubts(self, seen: Ratings, heard: Heard, G: int, classes: NDArray[Any]) -> None:
        """Refuse items and annotators without ratings; warn of what says nothing."""
        names, K, rated = heard.annotators, len(classes), seen.said.sum(axis=1)
        if (rated == 0).any():
            i = int(np.argmax(rated == 0))
            raise ValueError(
                f"ratings of item {i if heard.items is None else heard.items[i]} are all missing; leave the item out."
            )
        used = seen.said.sum(axis=0).reshape(-1, K)
        for j in np.flatnonzero((used > 0).sum(axis=1) < 2):
            if not used[j].any():
                raise ValueError(f"annotator {names[j]} gave no rating; leave the annotator out.")
            warnings.warn(
                f"annotator {names[j]} gave the label {classes[np.argmax(used[j])]} and no other, which tells nothing "
                "about the items.",
                stacklevel=3,
            )
        free, (design, possible) = (G + len(names) * K) * (K - 1), seen.designs(len(names))
        _, first = np.unique(design, return_index=True)
        patterns = np.expm1(np.minimum(possible[first], 700.0)).sum()
        if free > patterns + 0.5:
            warnings.warn(
                f"{free} parameters cannot be told from {patterns:.0f} free frequencies of rating patterns; "
                "more annotators, or groups of other class shares, are needed.",
                stacklevel=3,
            )
        elif free > seen.counts @ rated:
            warnings.warn(
                f"{free} parameters are estimated from {seen.counts @ rated:.0f} ratings with {K} different labels; a "
                "table needs one row an item, and columns that hold nothing but ratings.",
                stacklevel=3,
            )

    def _starts(self, data: Ratings, prior: AnnotatorPrior | None, G: int, J: int, K: int) -> list[AnnotatorParams]:
        """From votes, and from votes half drowned in noise."""
        rng, model = generator(self.random_state), Annotators()
        votes = data.said @ np.tile(np.eye(K), (J, 1))
        votes /= votes.sum(axis=1, keepdims=True)
        starts = []
        for s in range(check_whole("n_init", self.n_init, 1)):
            shares = votes if s == 0 else 0.5 * votes + 0.5 * rng.dirichlet(np.full(K, 0.5), len(votes))
            shares = data.counts[:, None] * shares
            counts = np.array([shares[data.group == g].sum(axis=0) for g in range(G)])
            ratings = (data.said.T @ shares).reshape(J, K, K).swapaxes(1, 2)
            starts.append(model.m_step(AnnotatorStats(counts + 0.1, ratings + 0.1), prior))
        return starts

    def predict_proba(self, ratings: Any) -> FloatArray:
        """Class probabilities (n, K) of the items in a table, those of the first group if there are several.

        Of the items of the fit, and of single ratings, they are in ``posterior_``.
        """
        check_is_fitted(self)
        if self.items_ is not None:
            raise ValueError(
                "DawidSkene was fitted to single ratings, so it has no columns; see posterior_ and items_."
            )
        validate_data(self, ratings, reset=False, skip_check_array=True)
        heard = heard_in_table(ratings, self.missing, self.annotators, alike=False)
        return Annotators().posterior(heard.counted(self.classes_), self._params)[0]

    def predict(self, ratings: Any) -> NDArray[Any]:
        """The most probable class (n,)."""
        best = self.predict_proba(ratings).argmax(axis=1)  # (refuses first what has no classes yet)
        return np.asarray(self.classes_[best])

    def standard_errors(self) -> AnnotatorParams:
        """Of class shares (G, K) and error rates (J, K, K), from the curvature of the likelihood.

        NaN for rates at 0 or 1, or on their way there: less than a thousandth of a rating is expected. Those of the
        others hold given that these stay there; a `prior` keeps all of them inside.

        Raises
        ------
        NotAMaximum
            A `ValueError`, where the ratings cannot tell the parameters apart.
        """
        check_is_fitted(self)
        known = observed_information(Annotators(), self._data, self._params, prior=self.prior)
        errors: AnnotatorParams = known.standard_errors
        return errors


def _oriented(params: AnnotatorParams, stats: AnnotatorStats) -> AnnotatorParams:
    """Hidden classes in the order of the labels that they get most of, each label taken once."""
    _, order = linear_sum_assignment(-stats.ratings.sum(axis=0).T)
    return AnnotatorParams(params.prevalence[:, order], params.confusion[:, order])
