"""What rows with holes tell: which rows are treated together, and the missing part given the seen one."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtrs

from ...engine.em import Degenerate
from ...engine.latent import FloatArray

FOLLOWS = 1e-13  # share of a column's variance that columns before it leave; below it is rounding
ENOUGH = 16  # rows with the same holes are worth a factorisation of their own
TOGETHER = 128  # rows with holes of their own, eliminated side by side: what a cache holds,
WIDE = 30  # and with more columns, a factorisation for each is faster


def alike(X: FloatArray) -> list[FloatArray]:
    """Rows with holes in the same places together, (patterns of some rows, d) each; sorted by holes."""
    _, which = np.unique(~np.isnan(X), axis=0, return_inverse=True)
    ends = np.cumsum(np.bincount(which.ravel()))[:-1]
    return np.split(X[np.argsort(which.ravel(), kind="stable")], ends)


def together(X: FloatArray) -> list[FloatArray]:
    """The same rows, but those with rare patterns of holes beside similar ones.

    Examples
    --------
    >>> X = np.array([[1.0, np.nan], [np.nan, 2.0], [3.0, 4.0]])
    >>> [part.shape for part in alike(X)], [part.shape for part in together(X)]
    ([(1, 2), (1, 2), (1, 2)], [(3, 2)])
    """
    parts = alike(X)
    if X.shape[1] > WIDE:
        return parts
    rare = np.concatenate([X[:0], *(part for part in parts if len(part) < ENOUGH)])
    return [part for part in parts if len(part) >= ENOUGH] + [
        rare[i : i + TOGETHER] for i in range(0, len(rare), TOGETHER)
    ]


def conditional(S: FloatArray, o: Any, m: Any) -> tuple[FloatArray, FloatArray, Any, float]:
    """Of columns `m` given `o` (eq. 15.13): coefficients (o, m) and covariance; a whitener of `o`, its log determinant.

    Straight from LAPACK: where every row has holes of its own this is most of the time, and most of it were checks.
    """
    of_missing, of_seen = S[m][:, m], S[o, o]
    if not len(o):
        return np.zeros((0, len(m))), of_missing, lambda Z: Z, 0.0
    L, stopped = dpotrf(S[o][:, o], lower=1)
    pivots = np.diagonal(L) ** 2  # variances given the columns before
    follows = stopped - 1 if stopped else int((pivots - FOLLOWS * of_seen).argmin())
    if stopped or pivots[follows] < FOLLOWS * of_seen[follows]:
        raise _follows(o[follows])
    log_det = float(np.log(pivots).sum())
    if not len(m):
        return np.zeros((len(o), 0)), of_missing, lambda Z: dtrtrs(L, Z.T, lower=1)[0], log_det
    between = S[o][:, m]
    B = dpotrs(L, between, lower=1)[0]
    C = of_missing - between.T @ B
    return B, 0.5 * (C + C.T), lambda Z: dtrtrs(L, Z.T, lower=1)[0], log_det


def eliminate(
    S: FloatArray, Z: FloatArray, names: Any, variances: FloatArray
) -> tuple[FloatArray, FloatArray, tuple[float, float]]:
    """Rows less their mean, (p, r), each with holes of its own: filled as expected; what that leaves out; two sums.

    Gaussian elimination of the seen columns, in all rows side by side, from the matrix [[S, z], [z', 0]] of each row.
    What stays are the covariance of the missing given the seen, their expected values and the squared length of the
    seen ones, whitened, the last two with a minus.

    Returns
    -------
    filled (p, r); the sum of the covariances (r, r); sums of the squared lengths, and of the log determinants
    """
    seen = np.ascontiguousarray(~np.isnan(Z).T)
    r, p = seen.shape
    table = np.empty((r + 1, r + 1, p))
    table[:r, :r] = S[..., None]
    table[r, :r] = table[:r, r] = np.where(seen, Z.T, 0.0)
    table[r, r] = 0.0
    products, log_det = np.empty_like(table), 0.0
    for k in range(r):
        pivots = np.where(seen[k], table[k, k], variances[k])
        if pivots.min() < FOLLOWS * variances[k]:
            raise _follows(names[k])
        log_det += float(np.log(pivots[seen[k]]).sum())
        np.multiply(table[k][:, None], table[k] * (seen[k] / pivots), out=products)
        table -= products
        table[k] *= ~seen[k]  # to zero exactly: row and column are not needed again
        table[:, k] *= ~seen[k]
    filled = np.where(seen, Z.T, -table[r, :r]).T
    return filled, table[:r, :r].sum(axis=-1), (-float(table[r, r].sum()), log_det)


def _follows(column: int) -> Degenerate:
    return Degenerate(
        f"column {column} follows from columns before it, or too few rows show them together; leave it out, or give a "
        "prior."
    )
