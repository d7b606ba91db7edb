"""Mean and covariance of a table with holes, as an estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted, validate_data

from ...engine import em
from ...engine.blocks import Rows
from ...engine.families import GaussianParams, NormalInverseWishart
from ...engine.latent import FloatArray
from ..base import EMEstimator
from ..checks import check_numbers, check_prior, check_real, check_whole, generator
from .model import HoledNormal, conditional


class MissingDataNormal(EMEstimator):
    """Mean and covariance of normal rows of which some entries (NaN) are missing.

    Right where values are missing at random: whether one is missing may depend on what the row shows, not on what it
    hides.

    Parameters
    ----------
    max_iter, tol, accelerate
        As in the mixtures.
    prior : NormalInverseWishart, optional
        Needed where few rows show two columns together.

    Attributes
    ----------
    mean_ : array (d,)
    covariance_ : array (d, d)
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_
        As in every EM estimator; the likelihood is that of what is seen.

    References
    ----------
    Dempster, Laird & Rubin (1977), section 4.1.

    Examples
    --------
    The second column is missing where the first is large, and follows it:

    >>> import numpy as np
    >>> X = np.array([[0.0, 1.0], [1, 1.9], [2, 3.2], [3, 3.9], [4, np.nan], [5, np.nan]])
    >>> fit = MissingDataNormal(tol=1e-12).fit(X)
    >>> fit.mean_.round(3).tolist(), np.nanmean(X, axis=0).tolist()
    ([2.5, 3.5], [2.5, 2.5])
    """

    def __init__(
        self,
        *,
        max_iter: int = 10_000,
        tol: float = 1e-6,
        prior: NormalInverseWishart | None = None,
        accelerate: Any = None,
    ) -> None:
        self.max_iter = max_iter
        self.tol = tol
        self.prior = prior
        self.accelerate = accelerate

    def fit(self, X: ArrayLike, y: Any = None) -> MissingDataNormal:
        """Estimate mean and covariance from a table (n, d) with NaN for what is missing.

        Raises
        ------
        ValueError
            In one sentence, for infinities, an empty row or column, or a constant column.
        """
        table = self._holed(X)
        seen = ~np.isnan(table)
        if not seen.any(axis=1).all():
            raise ValueError(f"row {int(np.argmin(seen.any(axis=1)))} of X is empty; it says nothing, leave it out.")
        if not seen.any(axis=0).all():
            raise ValueError(f"column {int(np.argmin(seen.any(axis=0)))} of X is wholly missing; leave it out.")
        variances = np.nanvar(table, axis=0)
        if not (variances > 0).all() and self.prior is None:
            raise ValueError(f"column {int(np.argmin(variances))} of X shows one value only; it has no variance.")
        variances = np.where(variances > 0, variances, 1.0)
        start = GaussianParams(np.nanmean(table, axis=0)[None], np.diag(variances)[None])
        best = em.fit(
            HoledNormal(),
            Rows(table),
            start,
            max_iter=check_whole("max_iter", self.max_iter, 0),
            tol=check_real("tol", self.tol),
            prior=check_prior(self.prior, NormalInverseWishart),
            accelerate=self.accelerate,
        )
        self._report(X, best)
        self.mean_: FloatArray = best.params.means[0]
        self.covariance_: FloatArray = best.params.covariances[0]
        self._warn(best)
        return self

    def _holed(self, X: ArrayLike) -> FloatArray:
        table = np.asarray(check_numbers(X), dtype=float)
        if np.isinf(table).any():
            i, j = (int(index) for index in np.argwhere(np.isinf(table))[0])
            raise ValueError(
                f"X holds inf in row {i}, column {j}; a value is a finite number, or NaN where it is missing."
            )
        return table

    def impute(self, X: ArrayLike) -> FloatArray:
        """The table with every hole filled by what is expected there: for looking at, too smooth to compute with."""
        return self._filled(X, None)

    def sample(self, X: ArrayLike, random_state: Any = None) -> FloatArray:
        """The table with every hole filled by a draw; several such tables show what the holes leave open."""
        return self._filled(X, generator(random_state))

    def _filled(self, X: ArrayLike, rng: np.random.Generator | None) -> FloatArray:
        check_is_fitted(self)
        table = self._holed(X).copy()
        validate_data(self, X, reset=False, skip_check_array=True)
        kinds, which = np.unique(~np.isnan(table), axis=0, return_inverse=True)
        for g, seen in enumerate(kinds):
            i, o, m = np.flatnonzero(which.ravel() == g), np.flatnonzero(seen), np.flatnonzero(~seen)
            B, C, _, _ = conditional(self.covariance_, o, m)
            fill = self.mean_[m] + (table[np.ix_(i, o)] - self.mean_[o]) @ B
            noise = (
                0.0
                if rng is None or not len(m)
                else rng.multivariate_normal(np.zeros(len(m)), C, size=len(i), method="cholesky")
            )
            table[np.ix_(i, m)] = fill + noise
        return table
