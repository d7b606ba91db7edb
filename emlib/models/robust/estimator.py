"""Regression that outliers cannot pull along, as an estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from ...engine import em
from ...engine.latent import FloatArray
from ..base import EMEstimator
from ..checks import as_numbers, check_real, check_whole
from .model import RegressionParams, TRegression


class RobustRegression(RegressorMixin, EMEstimator):  # type: ignore[misc]
    """Linear regression with t-distributed errors.

    Parameters
    ----------
    dof : float, optional
        Degrees of freedom of the errors; estimated if None. Few let outliers be outliers, many are least squares.
    max_iter, tol, accelerate
        As in the mixtures. Degrees of freedom that are estimated converge slowly; ``accelerate="squarem"`` helps.

    Attributes
    ----------
    coef_, intercept_ : array (d,), float
    scale_ : float
        Of the errors: their standard deviation, but for the factor ``sqrt(dof / (dof - 2))``.
    dof_ : float
    weights_ : array (n,)
        Expected precision of every row: about 1 near the plane, next to 0 for an outlier.
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_
        As in every EM estimator.

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
        self, dof: float | None = None, *, max_iter: int = 10_000, tol: float = 1e-6, accelerate: Any = None
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
        n, d = table.shape
        middle, width = table.mean(axis=0), table.std(axis=0)
        flat = width <= 1e-12 * np.abs(middle)
        if flat.any():
            raise ValueError(f"column {int(np.argmax(flat))} of X is constant; the intercept is fitted in any case.")
        design = np.column_stack([np.ones(n), (table - middle) / width])
        if n < d + 3 or np.linalg.matrix_rank(design) < d + 1:
            raise ValueError(
                f"X has {n} rows and {d} columns of rank {np.linalg.matrix_rank(design) - 1}; a plane needs columns "
                f"that do not follow from each other and {d + 3} rows at least."
            )
        coef = np.linalg.lstsq(design, response, rcond=None)[0]
        left = float(((response - design @ coef) ** 2).mean())
        if left <= 1e-24 * float((response**2).mean()):
            raise ValueError("y lies on a plane exactly; there are no errors to describe.")
        best = em.fit(
            TRegression(self.dof, floor=1e-16 * left),
            np.column_stack([design, response]),
            RegressionParams(coef, left, 4.0 if self.dof is None else float(self.dof)),
            max_iter=check_whole("max_iter", self.max_iter, 0),
            tol=check_real("tol", self.tol),
            accelerate=self.accelerate,
        )
        self._report(X, best)
        found = best.params
        self.coef_: FloatArray = found.coef[1:] / width
        self.intercept_ = float(found.coef[0] - self.coef_ @ middle)
        self.scale_, self.dof_ = float(np.sqrt(found.scale2)), found.dof
        squares = (response - design @ found.coef) ** 2 / found.scale2
        self.weights_: FloatArray = (found.dof + 1.0) / (found.dof + squares)
        self._warn(best)
        return self

    def predict(self, X: ArrayLike) -> FloatArray:
        """The plane at other rows."""
        check_is_fitted(self)
        return np.asarray(self._accept(X, reset=False) @ self.coef_ + self.intercept_)


def _response(y: ArrayLike, n: int) -> FloatArray:
    response = as_numbers("y", y)
    if response.shape != (n,) or not np.isfinite(response).all():
        raise ValueError(f"y has the shape {response.shape}; one finite number for each of {n} rows is needed.")
    return response
