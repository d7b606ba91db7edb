"""How many components: the same model at several K, judged by one criterion."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.utils.validation import validate_data

from ..engine.blocks import slices
from ..engine.latent import FloatArray
from ..engine.progress import progress_bar
from .base import EMEstimator
from .checks import check_whole, in_short
from .hmm_estimator import HMMEstimator
from .sequence_checks import check_lengths, check_sequence_table
from .tables import as_table, is_chunked

CRITERIA = ("bic", "icl", "aic", "cv")


@dataclass(frozen=True)
class Selection:
    """A row for each number of components.

    Attributes
    ----------
    criterion : str
        What `scores` holds; lower is better for all.
    n_components : array (R,) of int
    scores, log_likelihoods : arrays (R,)
        The criterion, and the log-likelihood on all rows in nats.
    estimators : tuple
        The fitted mixtures, on all rows.
    """

    criterion: str
    n_components: NDArray[np.int64]
    scores: FloatArray
    log_likelihoods: FloatArray
    estimators: tuple[Any, ...]

    @property
    def best(self) -> Any:
        """The fitted mixture with the lowest score."""
        return self.estimators[int(self.scores.argmin())]


def select_n_components(
    model: Any,
    X: Any,
    n_components: Iterable[int],
    criterion: str = "bic",
    *,
    lengths: Any = None,
    folds: int = 5,
    progress: bool | None = None,
) -> Selection:
    """Fit a mixture, or a hidden Markov model, with each number of components or states and score it.

    Parameters
    ----------
    model : estimator
        An unfitted mixture or hidden Markov model; it is cloned, and its ``n_components`` is replaced.
    X : array (n, d)
        In memory, a `numpy.memmap` or a Dask array; sequences for a hidden Markov model.
    n_components : iterable of int
        Numbers to try.
    criterion : {"bic", "icl", "aic", "cv"}
        BIC charges ``log n`` for each parameter, AIC 2. ICL adds to BIC twice the entropy of the
        responsibilities, so that components which overlap cost extra. "cv" is minus twice the
        log-likelihood of rows left out, summed over the folds; it copies rows, and so is refused
        for Dask arrays. ICL is refused for hidden Markov models, whose states at different rows share their
        uncertainty.
    lengths : list of int, optional
        Of the sequences, for hidden Markov models.
    folds : int
        Of cross-validation, at least 2; rows (of a hidden Markov model, sequences) are dealt out at random by the
        model's seed.
    progress : bool, optional
        Show a progress bar; by default on a terminal, once it takes longer than 2 s.

    Returns
    -------
    Selection

    Raises
    ------
    ValueError
        For another kind of model, an unknown criterion, no or a bad number of components, and all that ``fit`` refuses.

    References
    ----------
    Biernacki, Celeux & Govaert (2000) for ICL.

    Examples
    --------
    >>> import emlib
    >>> model = emlib.PoissonMixture(n_init=3, random_state=0)
    >>> select_n_components(model, emlib.data.fetal_lamb(), [1, 2, 3]).best.n_components
    2
    """
    if criterion not in CRITERIA:
        raise ValueError(f"criterion is {criterion!r}; it must be one of {', '.join(map(repr, CRITERIA))}.")
    if not (isinstance(model, EMEstimator) and hasattr(model, "n_components")):
        raise ValueError(
            f"model is {in_short(model)}; it must be an unfitted mixture or hidden Markov model, such as "
            "GaussianMixture()."
        )
    if not np.iterable(n_components):
        raise ValueError(f"n_components is {n_components!r}; the numbers to try are needed, such as range(1, 6).")
    numbers = [check_whole("n_components", K, 1) for K in n_components]
    if not numbers:
        raise ValueError("n_components is empty; at least one number is needed.")
    if isinstance(model, HMMEstimator):
        return _select_n_states(model, X, numbers, criterion, lengths, folds, progress)
    if lengths is not None:
        raise ValueError(f"lengths is given, but {type(model).__name__} knows no sequences; leave it out.")
    table = as_table(X)
    if criterion == "cv" and is_chunked(table):
        raise ValueError("criterion is 'cv', which deals out single rows; of a Dask array use 'bic', 'icl' or 'aic'.")
    estimators, scores = [], []
    with progress_bar(progress, len(numbers), "model") as tick:
        for K in numbers:
            fitted = clone(model).set_params(n_components=K).fit(table)
            estimators.append(fitted)
            scores.append(_held_out(fitted, table, folds) if criterion == "cv" else _score(fitted, table, criterion))
            _know_columns(fitted, X)
            tick()
    log_likelihoods = np.array([fitted.log_likelihood_ for fitted in estimators])
    return Selection(criterion, np.array(numbers), np.array(scores), log_likelihoods, tuple(estimators))


def _select_n_states(
    model: HMMEstimator, X: Any, numbers: list[int], criterion: str, lengths: Any, folds: int, progress: bool | None
) -> Selection:
    if criterion == "icl":
        raise ValueError("criterion is 'icl', which is not defined for hidden Markov models; use 'bic', 'aic' or 'cv'.")
    table, seen = check_sequence_table(X, model.missing)
    own = check_lengths(lengths, len(table))
    if seen is not None:
        table = np.where(seen[:, None], table, np.nan)
    if criterion == "cv" and len(own) < check_whole("folds", folds, 2):
        raise ValueError(
            f"folds is {folds}, but there are only {len(own)} sequence(s) to deal out; use 'bic' or 'aic'."
        )
    estimators, scores = [], []
    with progress_bar(progress, len(numbers), "model") as tick:
        for K in numbers:
            fitted = clone(model).set_params(n_components=K).fit(table, own)
            estimators.append(fitted)
            if criterion == "cv":
                scores.append(_held_out_sequences(fitted, table, own, folds))
            else:
                scores.append(float(getattr(fitted, criterion)(table, own)))
            _know_columns(fitted, X)
            tick()
    log_likelihoods = np.array([fitted.log_likelihood_ for fitted in estimators])
    return Selection(criterion, np.array(numbers), np.array(scores), log_likelihoods, tuple(estimators))


def _know_columns(fitted: Any, X: Any) -> None:
    """Name the columns as X does; what was fitted and scored is an array made of X once, which has no names."""
    if len(getattr(X, "shape", ())) == 2:
        validate_data(fitted, X, reset=True, skip_check_array=True)


def _held_out_sequences(fitted: Any, X: Any, lengths: Any, folds: int) -> float:
    seed = fitted.random_state if isinstance(fitted.random_state, int) else 0
    parts, total = np.split(X, np.cumsum(lengths)[:-1]), 0.0
    for some, others in KFold(folds, shuffle=True, random_state=seed).split(parts):
        model = clone(fitted).fit(np.concatenate([parts[i] for i in some]), lengths[some])
        total += model.score(np.concatenate([parts[i] for i in others]), lengths[others])
    return -2.0 * total


def _score(fitted: Any, X: Any, criterion: str) -> float:
    if criterion == "aic":
        return float(fitted.aic(X))
    bic = float(fitted.bic(X))
    if criterion == "bic":
        return bic
    if is_chunked(X):
        return bic + 2.0 * float(fitted.predict_proba(X).map_blocks(_entropies, drop_axis=1, dtype=float).sum())
    return bic + 2.0 * sum(float(_entropies(fitted.predict_proba(X[rows])).sum()) for rows in slices(len(X)))


def _entropies(r: FloatArray) -> FloatArray:
    """Entropy of the responsibilities of each row (n,), in nats."""
    return -(r * np.log(np.where(r > 0, r, 1.0))).sum(axis=1)


def _held_out(fitted: Any, X: Any, folds: int) -> float:
    seed = fitted.random_state if isinstance(fitted.random_state, int) else 0
    splits = KFold(check_whole("folds", folds, 2), shuffle=True, random_state=seed).split(X)
    return -2.0 * sum(float(clone(fitted).fit(X[a]).score_samples(X[b]).sum()) for a, b in splits)
