"""How well the parameters of a fitted mixture or hidden Markov model are known: standard errors and intervals."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import norm

from ..engine.blocks import expect_over_blocks, one_blas_thread, threads
from ..engine.information import Information, observed_information
from ..engine.latent import SOFT, FloatArray
from ..engine.markov import HiddenMarkov, MarkovParams, MarkovPrior
from ..engine.mixture import MixtureParams
from ..engine.parameters import flatten, rebuild
from ..engine.sequences import Sequences
from .checks import in_short
from .gene_counting import GeneCounting, GeneParams
from .hmm_estimator import HMMEstimator
from .mixture_estimator import MixtureEstimator

FAR = 0.1  # standard errors from the maximum beyond which a fit is said to have stopped early
NEVER = 1e-3  # of an expected event: a probability that explains less is on its way to 0, however near tol let it come


@dataclass(frozen=True)
class ByParameter:
    """Arrays that go by the names of a model's parameters.

    Of a mixture ``weights``, and ``means`` and ``covariances``, or ``rates``, or ``probs``: its own attributes,
    without the underscore. Of a hidden Markov model ``startprob``, ``transmat``, and ``means`` and ``covars`` (in the
    shape of their type), ``lambdas`` or ``emissionprob``. ``arrays`` holds them all.
    """

    arrays: Mapping[str, FloatArray]

    def __getattr__(self, name: str) -> FloatArray:
        arrays: Mapping[str, FloatArray] = self.__dict__.get("arrays", {})
        if name not in arrays:
            raise AttributeError(f"there is no {name!r} here; the parameters are {', '.join(arrays)}.")
        return arrays[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.arrays]


@dataclass(frozen=True)
class StandardErrors(ByParameter):
    """Standard errors, in the shapes and under the names of the parameters; from `standard_errors`.

    Attributes
    ----------
    arrays : dict of str to array
        The standard errors; each is an attribute too.
    estimates : ByParameter
        The fitted parameters.
    covariance : array (V, V)
        Of the V numbers named in `names`. It is singular where they are tied to each other:
        weights sum to one, a covariance matrix is symmetric. NaN where there are no errors.
    names : tuple of str
        ``weights[0]``, ``means[0, 1]``, in the order of `covariance`.
    information : Information
        Behind it all: the observed and the complete-data information in free coordinates, with
        ``information.covariance`` of these and the rates of EM in ``information.missing``.
    """

    estimates: ByParameter
    covariance: FloatArray = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    information: Information = field(repr=False)
    _centre: Any = field(repr=False)  # free coordinates about the estimates in the user's own units
    _errors: Any = field(repr=False)
    _called: Mapping[str, str] = field(repr=False)

    def interval(self, level: float = 0.95) -> ByParameter:
        """Confidence intervals, number by number: arrays (2, ...), lower and upper bounds.

        The normal approximation is made where it holds best, so that bounds stay inside what is
        possible: for the logit of weights and probabilities, the logarithm of rates and
        variances, and for means and covariances of two columns themselves.

        Parameters
        ----------
        level : float
            Between 0 and 1. Each interval has this level by itself, not all of them together.
        """
        z = float(norm.ppf(0.5 + 0.5 * check_level(level)))
        return by_parameter(self._centre.bounds(self._errors, z), self._called)


def check_level(level: float) -> float:
    """A level between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"level is {level!r}; it must lie between 0 and 1, 0.95 for instance.")
    return float(level)


def by_parameter(params: Any, called: Mapping[str, str] | None = None) -> ByParameter:
    """Parameters (or anything in their shape) under the names of their fields, or what these are called."""
    called = called or {}
    arrays: dict[str, FloatArray] = {}
    for part in fields(params):
        value = getattr(params, part.name)
        if is_dataclass(value):
            arrays.update(by_parameter(value, called).arrays)
        else:
            arrays[called.get(part.name, part.name)] = np.asarray(value)
    return ByParameter(arrays)


def in_own_units(mixture: MixtureEstimator) -> MixtureParams:
    """The fitted parameters as the user knows them, measured from no origin."""
    return MixtureParams(mixture.weights_, mixture._stored(np.zeros(mixture.n_features_in_)))


def check_fitted_mixture(mixture: Any, name: str = "mixture", other: str = "") -> MixtureEstimator:
    """A mixture estimator of this package; `_fitted_world` sees to it that it is fitted."""
    if not isinstance(mixture, MixtureEstimator):
        raise TypeError(
            f"{name} is {in_short(mixture)}; a fitted mixture {other}is needed, such as GaussianMixture(2).fit(X)."
        )
    return mixture


def standard_errors(fitted: Any, X: Any, lengths: Any = None, *, progress: bool | None = None) -> StandardErrors:
    """Standard errors of a fitted mixture, hidden Markov model or `GeneCounting`, from the curvature of its likelihood.

    The observed information is measured in free coordinates and turned into errors of the
    parameters themselves by the delta method. It is the curvature at one maximum: that labels
    could be exchanged does not widen it, and with few rows or components that overlap much the
    likelihood is no parabola (`bootstrap` does not assume that it is).

    Parameters
    ----------
    fitted : estimator
        Fitted, by maximum likelihood or, with a ``prior``, by maximum a posteriori; then the
        curvature is that of the log posterior, and the errors approximate posterior deviations (eq. 7.12).
    X : array (n, d)
        The rows it was fitted to (for `GeneCounting`, whatever it was fitted to).
    lengths : list of int, optional
        Of the sequences, for a hidden Markov model.
    progress : bool, optional
        Show a progress bar; by default on a terminal, once it takes longer than 2 s. There are
        two E-steps for each free parameter.

    Returns
    -------
    StandardErrors

    Raises
    ------
    NotAMaximum
        A `ValueError`: the fit lies on a boundary (a weight or rate of zero), on a saddle, or in
        a direction that the data say nothing about.
    ValueError
        For a bad table, or a fit at a temperature other than 1.

    Warns
    -----
    UserWarning
        If the maximum is more than a tenth of a standard error away: the fit stopped early, or
        X is another table. If probabilities of a hidden Markov model are 0, or on their way there: they have no errors
        (NaN), and those of all others hold given that they are 0. The start of a single sequence is such a case.

    References
    ----------
    Louis (1982); McLachlan & Peel (2000), section 2.15; McLachlan & Krishnan (2008), chapter 4. For
    hidden Markov models Lystig & Hughes (2002), *J. Comput. Graph. Stat.* 11.

    Examples
    --------
    >>> import emlib
    >>> X = emlib.data.fetal_lamb()
    >>> mixture = emlib.PoissonMixture(2, random_state=0).fit(X)
    >>> known = standard_errors(mixture, X)
    >>> known.estimates.rates.ravel().round(3).tolist(), known.rates.ravel().round(3).tolist()
    ([0.23, 2.323], [0.061, 1.009])
    >>> known.interval(0.95).rates[:, 1, 0].round(2).tolist()
    [0.99, 5.44]
    """
    if isinstance(fitted, HMMEstimator):
        model, data, params, prior = fitted._fitted_world(X, lengths)
        params, absent = _without_what_never_happens(model, data, params, prior)
        own = replace(params, components=fitted._moved(params.components, data.rows.origin))
        called = {of_engine: attribute.rstrip("_") for attribute, of_engine in fitted._letters.values()}
        return _measured(fitted, model, data, params, prior, own, progress, called, absent)
    if lengths is not None:
        raise ValueError(
            f"lengths are given, but the rows of a {type(fitted).__name__} do not follow each other; leave them out."
        )
    if isinstance(fitted, GeneCounting):
        return _measured(fitted, *fitted._fitted_world(X), GeneParams(fitted.frequencies_), progress)
    mixture = check_fitted_mixture(fitted, "fitted", "or hidden Markov model ")
    world = mixture._fitted_world(X)
    return _measured(mixture, *world, in_own_units(mixture), progress)


def _measured(
    fitted: Any,
    model: Any,
    data: Any,
    params: Any,
    prior: Any,
    own: Any,
    progress: bool | None,
    called: Mapping[str, str] | None = None,
    absent: Any = None,
) -> StandardErrors:
    """Errors at `params`, which are `own` in the user's units; `absent` (V,) of bool says what has none."""
    information = observed_information(model, data, params, prior=prior, executor=threads(), progress=progress)
    covariance, errors = information.parameter_covariance, information.standard_errors
    _say_if_far(information, fitted)
    if absent is not None and absent.any():
        covariance = np.where(absent | absent[:, None], np.nan, covariance)
        errors = rebuild(errors, np.where(absent, np.nan, flatten(errors)))
        never = [name for name, gone in zip(_names(own, called), absent, strict=True) if gone]
        more = f" and {len(never) - 4} more" if len(never) > 4 else ""
        warnings.warn(
            f"{', '.join(never[:4])}{more} lie on the boundary of what is possible and have no standard error (NaN); "
            "those of all other parameters hold given that they stay there.",
            UserWarning,
            stacklevel=3,
        )
    return StandardErrors(
        by_parameter(errors, called).arrays,
        by_parameter(own, called),
        covariance,
        _names(own, called),
        information,
        model.coordinates(own),
        errors,
        called or {},
    )


def _say_if_far(information: Information, fitted: Any) -> None:
    if information.distance <= FAR:
        return
    name = next((name for name in ("reg_covar", "min_covar") if getattr(fitted, name, 0)), "")
    warnings.warn(
        f"the likelihood of X is highest {information.distance:.2g} standard errors away from this fit; fit with "
        f"a smaller tol than {fitted.tol:g}, and to the same X"
        + (f" ({name}={getattr(fitted, name):g} moves a fit too)." if name else "."),
        UserWarning,
        stacklevel=4,
    )


def _without_what_never_happens(
    model: HiddenMarkov, data: Sequences, params: MarkovParams, prior: MarkovPrior | None
) -> tuple[MarkovParams, Any]:
    """Parameters in which what one more step of EM expects not to happen is zero; and which numbers (V,) are decided.

    A climb to the boundary halves such probabilities again and again and ends when that gains nothing; a first
    state or a transition that is expected less than `NEVER` times is taken to be on its way.
    """
    [(stats, _)] = expect_over_blocks(model, data, [params], SOFT, threads())
    held = frozenset() if model.held is None else model.held.names
    with one_blas_thread:
        after = model.m_step(stats, prior)
    times = {"start": stats.first.sum(), "transitions": stats.moves.sum(axis=1), "probs": stats.counts}
    decided: dict[str, Any] = {}

    def emptied(name: str, now: FloatArray, later: FloatArray) -> FloatArray:
        total = np.asarray(times[name], dtype=float)[..., None]
        gone = (now == 0.0) | ((total * later < NEVER) & (total > 0.5))
        left = now if name in held else np.where(gone, 0.0, now) / np.where(gone, 0.0, now).sum(axis=-1, keepdims=True)
        alone = (left > 0).sum(axis=-1, keepdims=True) == 1
        decided[name] = ((left == 0.0) | alone) & (name not in held) & (left.shape[-1] > 1)
        return left

    parts: Any = params.components
    components = (
        replace(parts, probs=emptied("probs", parts.probs, after.components.probs))
        if hasattr(parts, "probs")
        else parts
    )
    left = MarkovParams(
        emptied("start", params.start, after.start),
        emptied("transitions", params.transitions, after.transitions),
        components,
    )
    nothing = rebuild(left, np.zeros(len(flatten(left))))
    inside: Any = nothing.components
    if "probs" in decided:
        inside = replace(inside, probs=decided["probs"])
    return left, flatten(MarkovParams(decided["start"], decided["transitions"], inside)) > 0.0


def _names(params: Any, called: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """One name for each number, in the order of `flatten`."""
    arrays = by_parameter(params, called).arrays
    names = [
        name + (f"[{', '.join(map(str, index))}]" if index else "")
        for name, array in arrays.items()
        for index in np.ndindex(array.shape)
    ]
    assert len(names) == len(flatten(params))
    return tuple(names)
