"""What all estimators share: scikit-learn's conventions and an honest report."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import validate_data

from ..engine.em import Fit
from .checks import Numeric, check_table
from .tables import CheckRows, Survey, as_table, survey


@dataclass(frozen=True)
class FittedWorld:
    """A fit as the engine sees it, of which standard errors and bootstraps are made: `estimator._fitted_world(X)`."""

    model: Any
    data: Any
    params: Any  # measured from the origin of the data
    prior: Any
    own: Any  # the same parameters in the user's units
    called: Mapping[str, str] = field(default_factory=dict)  # what the user calls the fields of `own`
    absent: Any = None  # (V,) of bool: which numbers lie on a boundary and have no error


def to_converge(estimator: Any, limit: str = "max_iter") -> str:
    """What the user of an estimator that stopped too early can do; acceleration only where it is there and off.

    Examples
    --------
    >>> import emlib
    >>> to_converge(emlib.PoissonMixture()), to_converge(emlib.PoissonMixture(accelerate="squarem"))
    ("raise max_iter, loosen tol, or set accelerate='squarem'", 'raise max_iter or loosen tol')
    """
    if getattr(estimator, "accelerate", "no such parameter") is None:
        return f"raise {limit}, loosen tol, or set accelerate='squarem'"
    return f"raise {limit} or loosen tol"


class EMEstimator(BaseEstimator):  # type: ignore[misc]
    """Base of every estimator that is fitted by EM.

    After ``fit`` each has ``log_likelihood_`` (total, in nats, at the reported parameters),
    ``trace_`` (the objective after every iteration), ``n_iter_``, ``stop_reason_``,
    ``converged_`` and ``starts_`` (the `engine.em.Fit` of every start).
    """

    _limit = "max_iter"  # what the most iterations are called
    _sequential = False  # whether rows follow each other in sequences of given lengths

    def _accept(self, X: Any, *, reset: bool) -> Numeric:
        """Check a table and that it has the columns the estimator was fitted on."""
        table = check_table(X)
        if not reset:
            validate_data(self, X, reset=False, skip_check_array=True)
        return table

    def _look(self, X: Any, *, reset: bool, check_rows: CheckRows | None = None, first: int = 0) -> tuple[Any, Survey]:
        """The same for a table of any size, in one pass, with what that pass has found (`models.tables`)."""
        table = self._columns(X, reset=reset)
        return table, survey(table, check_rows, first)

    def _columns(self, X: Any, *, reset: bool) -> Any:
        """Check what a table is, but none of its values."""
        table = as_table(X)
        if not reset:
            validate_data(self, X, reset=False, skip_check_array=True)
        return table

    def _report(self, X: Any, best: Fit[Any]) -> None:
        """Store the outcome, once everything has succeeded: nothing half-fitted is left behind."""
        validate_data(self, X, reset=True, skip_check_array=True)
        self._outcome(best)

    def _outcome(self, best: Fit[Any]) -> None:
        """What is known of every fit, whatever it was fitted to."""
        self.log_likelihood_ = best.log_likelihood
        self.trace_ = best.trace
        self.n_iter_ = best.n_iter
        self.stop_reason_ = best.reason
        self.converged_ = best.converged
        self.starts_ = best.starts

    def _warn(self, best: Fit[Any]) -> None:
        """Say that a fit ended badly; last of all, for a warning may be turned into an error."""
        name = type(self).__name__
        if best.reason == "max_iter":
            warnings.warn(
                f"{name} stopped at {self._limit}={best.n_iter} before it had converged; "
                f"{to_converge(self, self._limit)}.",
                ConvergenceWarning,
                stacklevel=3,
            )
        elif best.reason == "converged" and best.message:
            warnings.warn(f"{name} converged, but {best.message}", ConvergenceWarning, stacklevel=3)
        elif best.reason == "degenerate":
            warnings.warn(f"{name} is degenerate: {best.message}", ConvergenceWarning, stacklevel=3)
