"""Mean and covariance of a table with holes, as an estimator."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted, validate_data

from ...engine import em
from ...engine.blocks import Rows
from ...engine.families import GaussianParams, NormalInverseWishart
from ...engine.families.gaussian_independent import check_definite
from ...engine.information import observed_information
from ...engine.latent import FloatArray
from ..base import EMEstimator
from ..checks import check_numbers, check_prior, check_real, check_whole, generator
from .holes import conditional
from .model import HoledNormal


class MissingDataNormal(EMEstimator):
    """Mean and covariance of normal rows of which some entries (NaN) are missing.

    Right where values are missing at random: whether one is missing may depend on what the row shows, not on what it
    hides.

    Parameters
    ----------
    max_iter, tol, accelerate
        As in the mixtures.
    prior : NormalInverseWishart, optional
        Needed where few rows show two columns together, or none do; and where a column follows from others.

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

        Warns
        -----
        UserWarning
            If two columns are never seen in the same row, and there is no prior: their covariance is then anything.
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
        prior = check_prior(self.prior, NormalInverseWishart)
        if prior is not None:
            prior.check(table.shape[1])
            check_definite("scatter", prior.scatter)
            if np.size(prior.mean) != table.shape[1] or not np.isfinite(prior.mean).all():
                raise ValueError(f"prior has the mean {prior.mean}; one finite number for each column of X is needed.")
        start = GaussianParams(np.nanmean(table, axis=0)[None], np.diag(variances)[None])
        best = em.fit(
            HoledNormal(),
            Rows(table),
            start,
            max_iter=check_whole("max_iter", self.max_iter, 0),
            tol=check_real("tol", self.tol),
            prior=prior,
            accelerate=self.accelerate,
        )
        self._report(X, best)
        self.mean_: FloatArray = best.params.means[0]
        self.covariance_: FloatArray = best.params.covariances[0]
        apart = np.argwhere(np.triu(seen.T.astype(float) @ seen == 0))
        if len(apart) and prior is None:
            i, j = apart[0]
            warnings.warn(
                f"columns {i} and {j} of X are never seen in the same row, so that nothing tells their covariance: the "
                "one reported comes from where EM began. A prior would make it a choice.",
                stacklevel=2,
            )
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

    def standard_errors(self, X: ArrayLike) -> GaussianParams:
        """Of ``mean_``, as `means` (d,), and of ``covariance_``, as `covariances` (d, d); holes make them larger.

        Parameters
        ----------
        X : array (n, d)
            The table of the fit. The errors come from the curvature of the likelihood of what it shows.

        Raises
        ------
        NotAMaximum
            A `ValueError`, where the fit is degenerate.

        Examples
        --------
        A hundred rows, of which half do not show the second column:

        >>> X = np.random.default_rng(0).standard_normal((100, 2))
        >>> X[:50, 1] = np.nan
        >>> MissingDataNormal().fit(X).standard_errors(X).means.round(2).tolist()
        [0.1, 0.13]
        """
        check_is_fitted(self)
        table = self._holed(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        params = GaussianParams(self.mean_[None], self.covariance_[None])
        known = observed_information(HoledNormal(), Rows(table), params, prior=self.prior).standard_errors
        return GaussianParams(known.means[0], known.covariances[0])

    def impute(self, X: ArrayLike) -> FloatArray:
        """The table with every hole filled by what is expected there: for looking at, too smooth to compute with."""
        return self._filled(X, None)

    def sample(self, X: ArrayLike, random_state: Any = None) -> FloatArray:
        """The table with every hole filled by a draw; several such tables show what the holes leave open.

        All are drawn at the fitted parameters. Multiple imputation draws these anew for each table, too; without that,
        intervals from few rows are somewhat too short.
        """
        return self._filled(X, generator(random_state))

    def _filled(self, X: ArrayLike, rng: np.random.Generator | None) -> FloatArray:
        check_is_fitted(self)
        table = self._holed(X).copy()
        validate_data(self, X, reset=False, skip_check_array=True)
        kinds, which = np.unique(~np.isnan(table), axis=0, return_inverse=True)
        together = np.split(np.argsort(which.ravel(), kind="stable"), np.cumsum(np.bincount(which.ravel()))[:-1])
        for seen, i in zip(kinds, together, strict=True):
            o, m = np.flatnonzero(seen), np.flatnonzero(~seen)
            B, C, _, _ = conditional(self.covariance_, o, m)
            fill = self.mean_[m] + (table[np.ix_(i, o)] - self.mean_[o]) @ B
            noise = (
                0.0
                if rng is None or not len(m)
                else rng.multivariate_normal(np.zeros(len(m)), C, size=len(i), method="cholesky")
            )
            table[np.ix_(i, m)] = fill + noise
        return table
