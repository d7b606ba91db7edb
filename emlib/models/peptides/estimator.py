"""Correct and incorrect matches of spectra to peptides, as an estimator."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from scipy.stats import rankdata
from sklearn.isotonic import IsotonicRegression
from sklearn.utils.validation import check_is_fitted

from ...engine import em
from ...engine.blocks import Rows
from ...engine.latent import FloatArray
from ..base import EMEstimator
from ..checks import check_flag, check_real, check_whole
from .matches import MatchParams
from .model import ScoreModel
from .rates import (
    Calibration,
    calibration_of,
    checked_labels,
    checked_scores,
    q_values_of,
    target_decoy_q_values,
)
from .shapes import GammaShape, GaussianShape, GumbelShape, KnownShape, Shape

SHAPES = ("gaussian", "gamma", "gumbel")
FEWEST = 5  # different scores of decoys, and of targets


class ScoreMixture(EMEstimator):
    """Which matches are correct, from their scores and those of decoys.

    Scores of targets are a mixture of incorrect and correct matches; scores of decoys are incorrect ones whose label is
    known. With `correct` "kernel" or "isotonic" nothing is assumed about correct matches, no label is hidden from a
    likelihood and nothing iterates: the share of incorrect targets then is the number of decoys over that of targets.
    Of decoys that were searched apart the number says nothing; twice the share of targets below their median does.

    Parameters
    ----------
    incorrect : {"kernel", "gaussian", "gamma", "gumbel"}
        Shape of incorrect scores. "kernel" takes it from the decoys alone, without assuming a shape; the others are
        fitted to decoys and to what EM takes for incorrect among the targets.
    correct : {"gumbel", "gaussian", "gamma", "kernel", "isotonic"}
        Shape of correct scores. "kernel" divides the density of decoys by that of all targets; "isotonic" asks
        only that the share of decoys among matches falls as the score rises; one decoy more than was seen is thought
        at the top, as in `target_decoy_q_values`, or the matches above the last would be certain.
    competition : bool
        Whether targets and decoys competed for each spectrum, so that an incorrect match was either with equal
        probability. The number of decoys then is evidence about the weights. False where decoys were searched apart:
        a decoy then stands for as many incorrect targets as their share and both numbers say, in counts and
        calibration alike.
    monotone : bool
        Posterior errors must not rise with the score: pool them where they do, which leaves their sum as it is.
    shift : float, optional
        Where gamma densities begin: 0 if all scores are above it, else a little below the lowest.
    max_iter, tol, accelerate
        As in the mixtures.

    Attributes
    ----------
    posterior_error_ : array (n,)
        Probability that a match is incorrect; 1 for decoys, for whom it is known.
    q_values_ : array (n,)
        Lowest false discovery rate of a list that has the match, from posterior errors. Of a decoy: that of a target
        with its score.
    competition_q_values_ : array (n,)
        The same by counting decoys (`target_decoy_q_values`).
    weights_ : array (2,)
        Shares of incorrect and correct matches among the targets.
    pi0_ : float
        The first of them.
    incorrect_, correct_ : dict of str to float
        Parameters of the shapes; empty where there are none.
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_, starts_
        As in every EM estimator. Where nothing iterates: of the two densities for "kernel", of the labels given their
        scores for "isotonic", after 0 iterations.

    References
    ----------
    Keller et al. (2002), *Analytical Chemistry* 74; Choi & Nesvizhskii (2008), *Journal of Proteome Research* 7; Käll
    et al. (2008), *Journal of Proteome Research* 7, for posterior errors against q-values.

    Examples
    --------
    >>> import emlib
    >>> matches = emlib.data.scope2()
    >>> fit = ScoreMixture(incorrect="gaussian").fit(matches.scores, matches.is_decoy)
    >>> fit.stop_reason_, round(fit.pi0_, 2), int(fit.accepted(0.01).sum())
    ('converged', 0.36, 2920)
    """

    def __init__(
        self,
        incorrect: str = "kernel",
        correct: str = "gumbel",
        *,
        competition: bool = True,
        monotone: bool = True,
        shift: float | None = None,
        max_iter: int = 10_000,
        tol: float = 1e-6,
        accelerate: Any = None,
    ) -> None:
        self.incorrect = incorrect
        self.correct = correct
        self.competition = competition
        self.monotone = monotone
        self.shift = shift
        self.max_iter = max_iter
        self.tol = tol
        self.accelerate = accelerate

    def fit(self, scores: ArrayLike, is_decoy: ArrayLike) -> ScoreMixture:
        """Estimate the mixture from best matches, one a spectrum.

        Parameters
        ----------
        scores : array (n,)
            Higher is better.
        is_decoy : array (n,) of bool
            True where the best match is a decoy.

        Raises
        ------
        ValueError
            In one sentence, for scores or labels that cannot be used.
        """
        x, decoy = _matches(scores, is_decoy)
        _check_choice("incorrect", self.incorrect, ("kernel", *SHAPES))
        _check_choice("correct", self.correct, (*SHAPES, "kernel", "isotonic"))
        competition, monotone = check_flag("competition", self.competition), check_flag("monotone", self.monotone)
        shift = self._shift(x)
        if self.correct in SHAPES:
            best, error, weights, shapes = self._mixture(x, decoy, shift)
        else:
            best, error, weights = self._ratio(x, decoy, shift)
            shapes = ({}, {})
        raw = error(x)
        if monotone:
            error = _falling(x[~decoy], raw[~decoy])
        errors = error(x)

        self._outcome(best)
        self._error, self._scores, self._decoy = error, x, decoy
        self.posterior_error_: FloatArray = np.where(decoy, 1.0, errors)
        self.weights_: FloatArray = weights
        self.pi0_ = float(weights[0])
        self.incorrect_, self.correct_ = shapes
        q = np.ones(len(x))
        q[~decoy] = q_values_of(errors[~decoy])
        q[decoy] = _steps(x[~decoy], q[~decoy], x[decoy])
        self.q_values_: FloatArray = q
        self._competed = competition
        self.competition_q_values_: FloatArray = target_decoy_q_values(x, decoy, self._per_decoy(decoy))
        self._warn(best)
        return self

    def _shift(self, x: FloatArray) -> float:
        if self.shift is None:
            return 0.0 if x.min() > 0 else float(x.min() - 0.05 * (np.median(x) - x.min()) - 1e-9)
        shift = check_real("shift", self.shift, -np.inf)
        if "gamma" in (self.incorrect, self.correct) and not x.min() > shift:
            raise ValueError(
                f"shift is {shift:g}, but a score is {x.min():g}; gamma densities need scores above the shift."
            )
        return shift

    def _mixture(self, x: FloatArray, decoy: NDArray[np.bool_], shift: float) -> Any:
        """The climb, from three guesses at how many targets are incorrect."""
        a = _shape(self.incorrect, x[decoy], shift)
        b = _shape(self.correct, x[decoy], shift)
        model = ScoreModel(a, b, self.competition, floor=1e-6 * float(x.std()))
        targets = np.sort(x[~decoy])
        incorrect = a.maximise(a.statistics(x[decoy], np.ones(int(decoy.sum()))))
        starts = []
        for share in np.clip(_share_below(x, decoy) * np.array([1.0, 0.6, 1.3]), 0.02, 0.98):
            top = targets[min(int(share * len(targets)), len(targets) - FEWEST) :]
            correct = b.maximise(b.statistics(top, np.ones(len(top))))
            starts.append(MatchParams(np.array([share, 1.0 - share]), incorrect, correct))
        best = em.search(
            model,
            Rows(np.column_stack([x, decoy])),
            starts,
            max_iter=check_whole("max_iter", self.max_iter, 0),
            tol=check_real("tol", self.tol),
            accelerate=self.accelerate,
        )
        params = best.params
        named = tuple(
            dict(zip(s.names, map(float, p), strict=True)) for s, p in ((a, params.incorrect), (b, params.correct))
        )
        return best, partial(_of_mixture, a=a, b=b, params=params), params.weights, named

    def _ratio(self, x: FloatArray, decoy: NDArray[np.bool_], shift: float) -> Any:
        """Posterior errors without a shape of correct scores: as many incorrect targets as decoys (eq. 13.9)."""
        m, t = int(decoy.sum()), int((~decoy).sum())
        share = min(m / t if self.competition else _share_below(x, decoy), 1.0)
        if self.correct == "isotonic":
            rule = IsotonicRegression(y_min=0.0, y_max=1.0, increasing=False, out_of_bounds="clip")
            falling = rule.fit(np.append(x, x.max()), np.append(decoy, True))  # one more than seen, as in eq. 13.8
            p = np.clip(falling.predict(x), 1e-12, 1.0 - 1e-12)
            value = float(np.log(np.where(decoy, p, 1.0 - p)).sum())
            error = partial(_of_labels, falling=falling, per_decoy=1.0 if self.competition else share * t / m)
        else:
            null = _shape(self.incorrect, x[decoy], shift)
            params = null.maximise(null.statistics(x[decoy], np.ones(int(decoy.sum()))))
            whole, none = KnownShape.of(x[~decoy]), np.zeros(0)
            value = float(null.log_density(x[decoy], params).sum() + whole.log_density(x[~decoy], none).sum())
            error = partial(_of_densities, share=share, null=null, params=params, whole=whole)
        nothing = em.Fit(None, value, np.array([value]), 0, "converged")
        return nothing, error, np.array([share, 1.0 - share])

    def posterior_error(self, scores: ArrayLike) -> FloatArray:
        """Probability (m,) that targets of these scores are incorrect."""
        check_is_fitted(self)
        y = checked_scores(scores)
        return np.asarray(self._error(y))

    def accepted(self, fdr: float = 0.01, *, by_competition: bool = False) -> NDArray[np.bool_]:
        """The targets (n,) whose q-value is `fdr` or below; by counted decoys if asked for."""
        check_is_fitted(self)
        if not 0.0 <= check_real("fdr", fdr) <= 1.0:
            raise ValueError(f"fdr is {fdr!r}; it must be between 0 and 1.")
        q = self.competition_q_values_ if by_competition else self.q_values_
        return np.asarray((q <= fdr) & ~self._decoy)

    def calibration(
        self, bins: int = 20, scores: ArrayLike | None = None, is_decoy: ArrayLike | None = None
    ) -> Calibration:
        """Incorrect targets as the decoys count them beside the sums of posterior errors, in bins of scores.

        Parameters
        ----------
        bins : int
            Of about equally many matches.
        scores, is_decoy : array (m,), optional
            Other matches of the same kind of search. The decoys of the fit have helped to make the errors that they
            judge; those of a part that was kept back have not.
        """
        check_is_fitted(self)
        bins = check_whole("bins", bins, 1)
        if (scores is None) != (is_decoy is None):
            raise ValueError("scores and is_decoy are needed both, or neither for the matches of the fit.")
        if scores is None or is_decoy is None:
            return calibration_of(self._scores, self._decoy, self.posterior_error_, bins, self._per_decoy(self._decoy))
        x = checked_scores(scores)
        decoy = checked_labels(is_decoy, len(x))
        if decoy.all() or not decoy.any():
            raise ValueError(f"is_decoy is {bool(decoy.any())} everywhere; targets and decoys are needed.")
        return calibration_of(x, decoy, self.posterior_error(x), bins, self._per_decoy(decoy))

    def _per_decoy(self, decoy: NDArray[np.bool_]) -> float:
        """For how many incorrect targets a decoy stands."""
        return 1.0 if self._competed else self.pi0_ * float((~decoy).sum() / decoy.sum())


def _shape(name: str, decoys: FloatArray, shift: float) -> Shape:
    if name == "kernel":
        return KnownShape.of(decoys)
    if name == "gamma":
        return GammaShape(shift)
    return GumbelShape() if name == "gumbel" else GaussianShape(float(decoys.mean()))


# Posterior errors of targets with scores y; functions of a module, so that a fit can be pickled.
def _of_mixture(y: FloatArray, a: Shape, b: Shape, params: MatchParams) -> FloatArray:
    with np.errstate(divide="ignore"):
        odds = np.log(params.weights[0]) + a.log_density(y, params.incorrect)
        odds = odds - np.log(params.weights[1]) - b.log_density(y, params.correct)
    return np.asarray(expit(odds))


def _of_labels(y: FloatArray, falling: IsotonicRegression, per_decoy: float) -> FloatArray:
    p = falling.predict(y)
    return np.asarray(np.minimum(per_decoy * p / np.maximum(1.0 - p, 1e-300), 1.0))


def _of_densities(y: FloatArray, share: float, null: Shape, params: FloatArray, whole: KnownShape) -> FloatArray:
    ratio = np.log(share) + null.log_density(y, params) - whole.log_density(y, np.zeros(0))
    return np.asarray(np.exp(np.minimum(ratio, 0.0)))


def _within(y: FloatArray, rule: IsotonicRegression) -> FloatArray:
    return np.asarray(np.clip(rule.predict(y), 0.0, 1.0))


def _falling(x: FloatArray, errors: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """The nearest function of the score that never rises with it; sums over pooled stretches stay as they are."""
    rule = IsotonicRegression(increasing=False, out_of_bounds="clip").fit(x, errors)
    return partial(_within, rule=rule)


def _steps(x: FloatArray, q: FloatArray, y: FloatArray) -> FloatArray:
    """The q-value at each of y: that of the nearest target below, for that is the list it would join."""
    order = np.argsort(x)
    at = np.clip(np.searchsorted(x[order], y, side="right") - 1, 0, None)
    return np.asarray(q[order][at])


def _share_below(x: FloatArray, decoy: NDArray[np.bool_]) -> float:
    """The share of incorrect targets if all targets below the decoys' median are: half of the incorrect ones."""
    targets = x[~decoy]
    return float(2 * (np.count_nonzero(targets <= np.median(x[decoy])) + 1) / len(targets))


def _check_choice(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(known)}.")


def _matches(scores: ArrayLike, is_decoy: ArrayLike) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Scores and labels, or one sentence on what is wrong with them."""
    x = checked_scores(scores)
    if not len(x):
        raise ValueError("scores are empty; at least one match is needed.")
    decoy = checked_labels(is_decoy, len(x))
    if not decoy.any():
        raise ValueError("is_decoy is False everywhere; without decoys nothing tells what incorrect scores look like.")
    if decoy.all():
        raise ValueError("is_decoy is True everywhere; there is no target whose match could be correct.")
    for name, part in (("decoys", x[decoy]), ("targets", x[~decoy])):
        found = len(np.unique(part))
        if found < FEWEST:
            raise ValueError(f"the {name} have {found} different score(s); a distribution needs {FEWEST} at least.")
    ranks = rankdata(x)
    m, t = int(decoy.sum()), int((~decoy).sum())
    above = (ranks[~decoy].sum() - t * (t + 1) / 2) / (m * t)  # how often a target scores above a decoy
    if above < 0.5 - 4 * np.sqrt((m + t + 1) / (12 * m * t)):
        raise ValueError(
            f"decoys score higher than targets (medians {np.median(x[decoy]):g} and {np.median(x[~decoy]):g}); "
            "is_decoy may be the wrong way round, or lower scores are better and scores need the opposite sign."
        )
    return x, decoy
