"""Regression that outliers cannot pull along, as an estimator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from ...engine import em
from ...engine.climb import Fit
from ...engine.information import observed_information
from ...engine.latent import FloatArray
from ..base import EMEstimator
from ..checks import as_numbers, check_real, check_whole
from .model import TRegression
from .parameters import DOFS, NORMAL, RegressionParams


@dataclass(frozen=True)
class RegressionErrors:
    """Standard errors of `coef_` (d,), `intercept_`, `scale_` and `dof_`.

    The last is NaN where degrees of freedom are given, or more than a thousand: of these no data tell how many.
    """

    coef: FloatArray
    intercept: float
    scale: float
    dof: float


class RobustRegression(RegressorMixin, EMEstimator):  # type: ignore[misc]
    """Linear regression with t-distributed errors.

    Parameters
    ----------
    dof : float, optional
        Degrees of freedom of the errors; estimated if None. Few let outliers be outliers, many are least squares.
    max_iter, tol, accelerate
        As in the mixtures; but accelerated unless told otherwise (None is plain EM). Where errors are nearly normal the
        likelihood of the degrees of freedom is almost flat, and plain EM takes tens of thousands of steps along it.

    Attributes
    ----------
    coef_, intercept_ : array (d,), float
    scale_ : float
        Of the errors: their standard deviation, but for the factor ``sqrt(dof / (dof - 2))``.
    dof_ : float
    weights_ : array (n,)
        Expected precision of every row: about 1 near the plane, next to 0 for an outlier.
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_, starts_
        As in every EM estimator. Where least squares leaves residuals with lighter tails than normal ones, a second
        climb starts from normal errors; they win if nothing is better.

    References
    ----------
    Lange, Little & Taylor (1989).

    Examples
    --------
    Twenty-one days of a plant; four of them are known to be odd:

    >>> import emlib
    >>> days = emlib.data.stackloss()
    >>> plant = RobustRegression(tol=1e-9).fit(days[:, :3], days[:, 3])
    >>> round(plant.dof_, 2), plant.coef_.round(2).tolist(), np.flatnonzero(plant.weights_ < 0.1).tolist()
    (1.08, [0.85, 0.49, -0.07], [0, 2, 3, 20])
    """

    def __init__(
        self, dof: float | None = None, *, max_iter: int = 10_000, tol: float = 1e-6, accelerate: Any = "squarem"
    ) -> None:
        self.dof = dof
        self.max_iter = max_iter
        self.tol = tol
        self.accelerate = accelerate

    def fit(self, X: ArrayLike, y: ArrayLike) -> RobustRegression:
        """Estimate the plane, the scale and the degrees of freedom.

        Raises
        ------
        ValueError
            In one sentence, for a table or response that cannot be used.
        """
        table = np.asarray(self._accept(X, reset=True), dtype=float)
        response = _response(y, len(table))
        if self.dof is not None and not check_real("dof", self.dof) > 0:
            raise ValueError(f"dof is {self.dof!r}; it must be above 0.")
        design, back = _design(table)
        n = len(table)
        size = float(np.abs(response).max()) or 1.0
        plain = design.T @ (response / size) / n
        residuals = response / size - design @ plain
        left = float((residuals**2).mean())
        if left <= 1e-24 * float(((response / size) ** 2).mean()):
            raise ValueError("y lies on a plane exactly; there are no errors to describe.")
        unit = size * float(np.sqrt(left))  # what errors are measured in: then no unit of y bends an extrapolated step
        residuals /= np.sqrt(left)  # to which a plane is fitted: y itself may be so large that their digits are lost
        dofs = (float(self.dof),) if self.dof is not None else _tails(residuals)
        best = em.search(
            TRegression(self.dof, floor=1e-16),
            np.column_stack([design, residuals]),
            [RegressionParams(np.zeros(design.shape[1]), 1.0, dof) for dof in dofs],
            max_iter=check_whole("max_iter", self.max_iter, 0),
            tol=check_real("tol", self.tol),
            accelerate=self.accelerate,
            progress=False,
        )
        best = _in_units(best, n * float(np.log(unit)))
        self._report(X, best)
        found = best.params
        plane = back @ (plain * size + found.coef * unit)
        self.intercept_, self.coef_ = float(plane[0]), plane[1:]
        self.scale_, self.dof_ = unit * float(np.sqrt(found.scale2)), found.dof
        squares = (residuals - design @ found.coef) ** 2 / found.scale2
        self.weights_: FloatArray = (found.dof + 1.0) / (found.dof + squares)
        self._warn(best)
        return self

    def standard_errors(self, X: ArrayLike, y: ArrayLike) -> RegressionErrors:
        """From the curvature of the likelihood: by how much the estimates would scatter if there are many rows.

        As everywhere in maximum likelihood, nothing is added for the coefficients that were fitted: with n rows and d
        columns and normal errors they are those of least squares times ``sqrt((n - d - 1) / n)``.

        Parameters
        ----------
        X, y
            The rows of the fit.

        Raises
        ------
        NotAMaximum
            A `ValueError`, where the fit has not come to rest or lies on a boundary.

        Examples
        --------
        >>> import emlib
        >>> days = emlib.data.stackloss()
        >>> plant = RobustRegression(dof=4).fit(days[:, :3], days[:, 3])
        >>> plant.standard_errors(days[:, :3], days[:, 3]).coef.round(2).tolist()
        [0.12, 0.29, 0.1]
        """
        check_is_fitted(self)
        table = np.asarray(self._accept(X, reset=False), dtype=float)
        design, back = _design(table)
        plane = np.concatenate([[self.intercept_], self.coef_])
        residuals = (_response(y, len(table)) - design @ np.linalg.solve(back, plane)) / self.scale_
        rows, params = np.column_stack([design, residuals]), RegressionParams(np.zeros(len(plane)), 1.0, self.dof_)
        known = self.dof is not None or self.dof_ > NORMAL
        found = observed_information(TRegression(self.dof_ if known else None), rows, params)
        covariance, p = found.parameter_covariance * self.scale_**2, len(plane)
        errors = np.sqrt(np.diagonal(back @ covariance[:p, :p] @ back.T))
        dof = float("nan") if known else float(found.standard_errors.dof)
        return RegressionErrors(errors[1:], float(errors[0]), 0.5 * float(np.sqrt(covariance[p, p])), dof)

    def predict(self, X: ArrayLike) -> FloatArray:
        """The plane at other rows."""
        check_is_fitted(self)
        return np.asarray(self._accept(X, reset=False) @ self.coef_ + self.intercept_)


def _tails(residuals: FloatArray) -> tuple[float, ...]:
    """Degrees of freedom to climb from: few, and where it pays, those of normal errors.

    At these the slope of the likelihood in 1 / dof is a quarter of the residuals' excess kurtosis for each row. Where
    it is not positive they are a maximum, which a climb from elsewhere approaches for ever.
    """
    excess = float((residuals**4).mean() / (residuals**2).mean() ** 2) - 3.0
    return (4.0,) if excess > 0 else (4.0, DOFS[1])


def _in_units(fit: Fit[RegressionParams], shift: float) -> Fit[RegressionParams]:
    """The climbs, with likelihoods of responses in the units of y."""
    value, trace = fit.log_likelihood - shift, fit.trace - shift
    return replace(fit, log_likelihood=value, trace=trace, starts=tuple(_in_units(one, shift) for one in fit.starts))


def _design(table: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Columns (n, d + 1) as independent as can be, and the matrix that turns their coefficients into those of X.

    Normal equations would square what the columns of X have in common.
    """
    (n, d), middle, width = table.shape, table.mean(axis=0), table.std(axis=0)
    flat = width <= 1e-12 * np.abs(middle)
    if flat.any():
        raise ValueError(f"column {int(np.argmax(flat))} of X is constant; the intercept is fitted in any case.")
    design = np.column_stack([np.ones(n), (table - middle) / width])
    if n < d + 3 or np.linalg.matrix_rank(design) < d + 1:
        raise ValueError(
            f"X has {n} rows and {d} columns of rank {np.linalg.matrix_rank(design) - 1}; a plane needs columns "
            f"that do not follow from each other and {d + 3} rows at least."
        )
    design, triangle = np.linalg.qr(design)
    of_columns = np.vstack(
        [np.concatenate([[1.0], -middle / width]), np.column_stack([np.zeros(d), np.diag(1 / width)])]
    )
    return design * np.sqrt(n), of_columns @ np.linalg.inv(triangle / np.sqrt(n))


def _response(y: ArrayLike, n: int) -> FloatArray:
    response = as_numbers("y", y)
    if response.shape != (n,):
        raise ValueError(f"y has the shape {response.shape}; one finite number for each of {n} rows is needed.")
    bad = np.flatnonzero(~np.isfinite(response))
    if len(bad):
        raise ValueError(f"y holds {response[bad[0]]:g} in row {bad[0]}; every value must be a finite number.")
    return response
