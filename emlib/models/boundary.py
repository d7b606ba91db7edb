"""Where two components are equally probable: a plane if they share their covariance, else a quadric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from ..engine.latent import FloatArray
from .checks import check_table, check_whole
from .kmeans import KMeans
from .mixtures import GaussianMixture


@dataclass(frozen=True)
class DecisionBoundary:
    """Log-odds of component `i` against component `j`, as a formula; it is zero on the boundary.

    ``log p(z=i | x) - log p(z=j | x) = constant + linear . x + x' quadratic x``

    Called with rows (n, d) it gives their log-odds (n,): above zero where `i` is the more probable of the two. It then
    measures from the midpoint of the two means. Far from the origin the formula's own terms are huge and cancel.

    Attributes
    ----------
    i, j : int
        The two components.
    midpoint : array (d,)
        Between the two means.
    at_midpoint : float
        Log-odds there.
    slope : array (d,)
        Their gradient there.
    quadratic : array (d, d)
        Symmetric; exactly zero if the covariance is shared.
    """

    i: int
    j: int
    midpoint: FloatArray
    at_midpoint: float
    slope: FloatArray
    quadratic: FloatArray

    @property
    def kind(self) -> str:
        """Either "linear" (a point, a line, a plane) or "quadratic" (two points, a conic, a quadric)."""
        return "quadratic" if self.quadratic.any() else "linear"

    @property
    def linear(self) -> FloatArray:
        """The linear term (d,) of the formula, for x measured from the origin."""
        return self.slope - 2.0 * self.quadratic @ self.midpoint

    @property
    def constant(self) -> float:
        """The constant term of the formula."""
        bend = self.midpoint @ self.quadratic @ self.midpoint
        return float(self.at_midpoint - self.slope @ self.midpoint + bend)

    @property
    def thresholds(self) -> FloatArray:
        """Of a single column, the values (0, 1 or 2 of them, ascending) at which the decision changes.

        Raises
        ------
        ValueError
            If there are more columns.
        """
        if len(self.slope) != 1:
            raise ValueError(f"the boundary lies in {len(self.slope)} columns; only in 1 is it a set of thresholds.")
        a, b, c = float(self.quadratic[0, 0]), float(self.slope[0]), self.at_midpoint
        if a == 0.0:
            return self.midpoint - c / b if b else np.zeros(0)
        inside = b * b - 4.0 * a * c
        if inside <= 0.0:  # the decision is the same everywhere
            return np.zeros(0)
        # Both roots from the sum that does not cancel.
        q = -0.5 * (b + np.copysign(np.sqrt(inside), b))
        return np.sort(self.midpoint[0] + np.array([q / a, c / q]))

    def __call__(self, X: ArrayLike) -> FloatArray:
        """Log-odds (n,) of rows X (n, d), in nats.

        Raises
        ------
        ValueError
            If X is not a finite table of d columns.
        """
        table = check_table(X)
        if table.shape[1] != len(self.slope):
            raise ValueError(f"X has {table.shape[1]} columns; the boundary lies in {len(self.slope)}.")
        away = table - self.midpoint
        bend = np.einsum("ni,ij,nj->n", away, self.quadratic, away, optimize=True)
        return np.asarray(self.at_midpoint + away @ self.slope + bend)


def decision_boundary(fitted: GaussianMixture | KMeans, i: int, j: int) -> DecisionBoundary:
    """Where the fitted components `i` and `j` are equally probable.

    With precisions P, means m and weights w the log-odds are the difference of two log joint densities::

        log w_i/w_j + log |P_i|/|P_j| / 2 - (x - m_i)'P_i(x - m_i) / 2 + (x - m_j)'P_j(x - m_j) / 2.

    If P is shared, x'Px cancels and a plane remains; a larger weight shifts it away from its own mean. K-means has
    equal weights besides, so its boundary is the perpendicular bisector of the two centres. Its log-odds are half the
    difference of the two squared distances, those of unit variance.

    Parameters
    ----------
    fitted : GaussianMixture or KMeans
        With any ``covariance_type``.
    i, j : int
        Two different components, counted from 0.

    Returns
    -------
    DecisionBoundary

    Raises
    ------
    TypeError
        If `fitted` is something else.
    ValueError
        If `i` and `j` are not two components of it, or one has weight 0, so that no odds exist.
    sklearn.exceptions.NotFittedError
        Before ``fit``.

    References
    ----------
    Hastie, Tibshirani & Friedman (2009), section 4.3.

    Examples
    --------
    >>> import emlib
    >>> kmeans = emlib.KMeans(2, init=[[0.0], [9.0]]).fit([[0.0], [2.0], [9.0]])
    >>> line = decision_boundary(kmeans, 0, 1)
    >>> line.kind, line.thresholds.tolist(), line([[0.0]]).tolist()
    ('linear', [5.0], [40.0])
    """
    means, log_weights, precisions, log_dets = _components(_checked(fitted))
    K = len(means)
    for name, value in (("i", i), ("j", j)):
        if check_whole(name, value, 0) >= K:
            raise ValueError(f"{name} is {value}; the components are counted from 0 to {K - 1}.")
        if not np.isfinite(log_weights[value]):
            raise ValueError(f"component {value} has weight 0; it wins nowhere, so it has no boundary.")
    if i == j:
        raise ValueError(f"i and j are both {i}; a boundary lies between two different components.")

    P, Q = precisions[i], precisions[j]
    midpoint = means[j] + 0.5 * (means[i] - means[j])
    a, b = means[i] - midpoint, means[j] - midpoint  # minus each other, but for the rounding of the midpoint
    # a'Pa - b'Qb, written so that what is equal cancels before it is squared.
    apart = a @ (P - Q) @ a + (a - b) @ Q @ (a + b)
    value = log_weights[i] - log_weights[j] + 0.5 * (log_dets[i] - log_dets[j] - apart)
    return DecisionBoundary(int(i), int(j), midpoint, float(value), P @ a - Q @ b, -0.5 * (P - Q))


def margins(fitted: GaussianMixture | KMeans, X: ArrayLike) -> FloatArray:
    """By how much each component is ahead of the best of the others, in nats of log-odds.

    Parameters
    ----------
    fitted : GaussianMixture or KMeans
    X : array (n, d)

    Returns
    -------
    array (n, K)
        Above zero for the component that `predict` chooses; infinite where there is no other.

    Raises
    ------
    TypeError, ValueError
        As `decision_boundary`.

    Examples
    --------
    >>> import emlib
    >>> kmeans = emlib.KMeans(2, init=[[0.0], [9.0]]).fit([[0.0], [2.0], [9.0]])
    >>> margins(kmeans, [[0.0], [5.0]]).tolist()
    [[40.0, -40.0], [0.0, 0.0]]
    """
    _, log_weights, _, _ = _components(_checked(fitted))
    K = len(log_weights)
    first = int(np.argmax(log_weights))  # measured against one that has a weight
    joint = np.full((len(check_table(X)), K), -np.inf)
    joint[:, first] = 0.0
    for k in np.flatnonzero(np.isfinite(log_weights)):
        if k != first:
            joint[:, k] = decision_boundary(fitted, int(k), first)(X)
    others = [np.delete(joint, k, axis=1).max(axis=1, initial=-np.inf) for k in range(K)]
    return joint - np.column_stack(others)


def _checked(fitted: Any) -> Any:
    if not isinstance(fitted, GaussianMixture | KMeans):
        raise TypeError(f"fitted is a {type(fitted).__name__}; it must be a GaussianMixture or a KMeans.")
    check_is_fitted(fitted)
    return fitted


def _components(fitted: Any) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Means (K, d), log weights (K,), precisions (K, d, d) and their log determinants (K,)."""
    if isinstance(fitted, KMeans):
        centres = fitted.cluster_centers_
        K, d = centres.shape
        return centres, np.zeros(K), np.repeat(np.eye(d)[None], K, axis=0), np.zeros(K)
    means = fitted.means_
    K, d = means.shape
    with np.errstate(divide="ignore"):  # a weight of zero is refused later, by name
        log_weights = np.log(fitted.weights_)
    if fitted.covariance_type in ("full", "tied"):
        precisions = np.broadcast_to(fitted.precisions_, (K, d, d))
        roots = np.broadcast_to(fitted.precisions_cholesky_, (K, d, d))
        return means, log_weights, precisions, 2.0 * np.log(np.einsum("kii->ki", roots)).sum(axis=1)
    axes = fitted.precisions_[:, None] if fitted.covariance_type == "spherical" else fitted.precisions_
    axes = np.broadcast_to(axes, (K, d))
    return means, log_weights, axes[:, :, None] * np.eye(d), np.log(axes).sum(axis=1)
