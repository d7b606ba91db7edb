"""How well the parameters of a fitted mixture or hidden Markov model are known: standard errors and intervals."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from ..engine.blocks import threads
from ..engine.information import Information, observed_information
from ..engine.latent import FloatArray
from ..engine.parameters import flatten, names, rebuild
from .base import FittedWorld
from .checks import in_short

FAR = 0.1  # standard errors from the maximum beyond which a fit is said to have stopped early


@dataclass(frozen=True)
class ByParameter:
    """Arrays that go by the names of a model's parameters.

    Of a mixture ``weights``, and ``means`` and ``covariances``, or ``rates``, or ``probs``, and so on: its own
    attributes, without the underscore. Of a hidden Markov model ``startprob``, ``transmat``, and ``means`` and
    ``covars`` (in the shape of their type), ``lambdas`` or ``emissionprob``. ``arrays`` holds them all.
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
        A `ValueError`: the fit lies on a saddle, or there is a direction that the data say nothing about.
    ValueError
        For a bad table, or a fit at a temperature other than 1.

    Warns
    -----
    UserWarning
        If the maximum is more than a tenth of a standard error away: the fit stopped early, or
        X is another table. If weights, rates or probabilities are 0, or on their way there (less than a thousandth of
        an event is expected), or a size is so large that counts are Poisson: they have no errors (NaN), and those of
        all others hold given that they stay there. The start of a single sequence is such a case.

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
    if not hasattr(fitted, "_fitted_world"):
        raise TypeError(
            f"fitted is {in_short(fitted)}; a fitted mixture or hidden Markov model is needed, such as "
            "GaussianMixture(2).fit(X)."
        )
    if lengths is not None and not fitted._sequential:
        raise ValueError(
            f"lengths are given, but the rows of a {type(fitted).__name__} do not follow each other; leave them out."
        )
    world: FittedWorld = fitted._fitted_world(X, lengths) if fitted._sequential else fitted._fitted_world(X)
    information = observed_information(
        world.model,
        world.data,
        world.params,
        prior=world.prior,
        executor=threads(),
        progress=progress,
    )
    _say_if_far(information, fitted)
    labels = names(world.own, world.called)
    covariance, errors = information.parameter_covariance, information.standard_errors
    absent = information.absent if world.absent is None else information.absent | world.absent
    if absent.any():
        covariance = np.where(absent | absent[:, None], np.nan, covariance)
        errors = rebuild(errors, np.where(absent, np.nan, flatten(errors)))
        _say_what_has_none([name for name, gone in zip(labels, absent, strict=True) if gone])
    return StandardErrors(
        by_parameter(errors, world.called).arrays,
        by_parameter(world.own, world.called),
        covariance,
        labels,
        information,
        world.model.coordinates(world.own),
        errors,
        world.called,
    )


def _say_what_has_none(names: list[str]) -> None:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    warnings.warn(
        f"{', '.join(names[:4])}{more} lie on the boundary of what is possible and have no standard error (NaN); "
        "those of all other parameters hold given that they stay there.",
        UserWarning,
        stacklevel=3,
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
        stacklevel=3,
    )
