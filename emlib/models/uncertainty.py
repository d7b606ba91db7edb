"""How well the parameters of a fitted mixture are known: standard errors and intervals."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from scipy.stats import norm

from ..engine.blocks import threads
from ..engine.information import Information, observed_information
from ..engine.latent import FloatArray
from ..engine.mixture import MixtureParams
from ..engine.parameters import flatten
from .checks import in_short
from .gene_counting import GeneCounting, GeneParams
from .mixture_estimator import MixtureEstimator

FAR = 0.1  # standard errors from the maximum beyond which a fit is said to have stopped early


@dataclass(frozen=True)
class ByParameter:
    """Arrays that go by the names of a mixture's parameters.

    ``weights``, and ``means`` and ``covariances``, or ``rates``, or ``probs``: as the mixture's
    own attributes, without the underscore. ``arrays`` holds them all.
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
        weights sum to one, a covariance matrix is symmetric.
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
        return by_parameter(self._centre.bounds(self._errors, z))


def check_level(level: float) -> float:
    """A level between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"level is {level!r}; it must lie between 0 and 1, 0.95 for instance.")
    return float(level)


def by_parameter(params: Any) -> ByParameter:
    """Parameters of a mixture, or of another model (or anything in their shape), under their names."""
    if not isinstance(params, MixtureParams):
        return ByParameter({f.name: np.asarray(getattr(params, f.name)) for f in fields(params)})
    own = {f.name: np.asarray(getattr(params.components, f.name)) for f in fields(params.components)}
    return ByParameter({"weights": np.asarray(params.weights), **own})


def in_own_units(mixture: MixtureEstimator | GeneCounting) -> Any:
    """The fitted parameters as the user knows them, measured from no origin."""
    if isinstance(mixture, GeneCounting):
        return GeneParams(mixture.frequencies_)
    return MixtureParams(mixture.weights_, mixture._stored(np.zeros(mixture.n_features_in_)))


def check_fitted_mixture(mixture: Any) -> MixtureEstimator:
    """A mixture estimator of this package; `_fitted_world` sees to it that it is fitted."""
    if not isinstance(mixture, MixtureEstimator):
        raise TypeError(
            f"mixture is {in_short(mixture)}; a fitted mixture is needed, such as GaussianMixture(2).fit(X)."
        )
    return mixture


def standard_errors(mixture: Any, X: Any, *, progress: bool | None = None) -> StandardErrors:
    """Standard errors of a fitted mixture (or of `GeneCounting`), from the curvature of its likelihood.

    The observed information is measured in free coordinates and turned into errors of the
    parameters themselves by the delta method. It is the curvature at one maximum: that labels
    could be exchanged does not widen it, and with few rows or components that overlap much the
    likelihood is no parabola (`bootstrap` does not assume that it is).

    Parameters
    ----------
    mixture : estimator
        A mixture or `GeneCounting`, fitted by maximum likelihood or, with a ``prior``, by maximum a posteriori; then
        the curvature is that of the log posterior, and the errors approximate posterior deviations (eq. 7.12).
    X : array (n, d)
        The rows it was fitted to (for `GeneCounting` whatever it was fitted to).
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
        X is another table.

    References
    ----------
    Louis (1982); McLachlan & Peel (2000), section 2.15; McLachlan & Krishnan (2008), chapter 4.

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
    mixture = mixture if isinstance(mixture, GeneCounting) else check_fitted_mixture(mixture)
    model, rows, params, prior = mixture._fitted_world(X)
    information = observed_information(model, rows, params, prior=prior, executor=threads(), progress=progress)
    errors = information.standard_errors
    if information.distance > FAR:
        floor = getattr(mixture, "reg_covar", 0)
        warnings.warn(
            f"the likelihood of X is highest {information.distance:.2g} standard errors away from this fit; fit with "
            f"a smaller tol than {mixture.tol:g}, and to the same X"
            + (f" (reg_covar={floor:g} moves a fit too)." if floor else "."),
            UserWarning,
            stacklevel=2,
        )
    own = in_own_units(mixture)
    return StandardErrors(
        by_parameter(errors).arrays,
        by_parameter(own),
        information.parameter_covariance,
        _names(own),
        information,
        model.coordinates(own),
        errors,
    )


def _names(params: Any) -> tuple[str, ...]:
    """One name for each number, in the order of `flatten`."""
    arrays = by_parameter(params).arrays
    names = [
        name + (f"[{', '.join(map(str, index))}]" if index else "")
        for name, array in arrays.items()
        for index in np.ndindex(array.shape)
    ]
    assert len(names) == len(flatten(params))
    return tuple(names)
