"""One hidden class an item, and annotators who each err in their own way.

Item i is of class k with probability p_k; annotator j calls an item of class k by label l with probability pi_jkl, one
rating independent of the others once the class is known (eq. 15.5). Where patients are items and tests are annotators,
pi holds sensitivities and specificities.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import xlogy

from ...engine.coordinates import Named, Simplex
from ...engine.em import EPS, Degenerate
from ...engine.families.base import dirichlet
from ...engine.latent import SOFT, FloatArray, Latent, assign, drawn
from .parameters import AnnotatorParams, AnnotatorPrior, AnnotatorStats
from .ratings import Ratings

IMPOSSIBLE = -1e300  # the logarithm of zero, such that none of it is none


@dataclass(frozen=True)
class Annotators:
    """The model of Dawid and Skene; implements `engine.em.Model`.

    Data are `Ratings`, or rows (n, 2 + J K): how many items are so, their group, how often each annotator gave each
    label.

    Examples
    --------
    Three readers, two classes; an item that two call 1 and one calls 0:

    >>> item = np.array([[1.0, 0, 0, 1, 0, 1, 1, 0]])
    >>> right = np.array([[0.8, 0.2], [0.1, 0.9]])
    >>> stats, _ = Annotators().e_step(item, AnnotatorParams(np.array([[0.5, 0.5]]), np.stack([right] * 3)))
    >>> stats.counts.round(3).tolist()
    [[0.283, 0.717]]
    """

    def e_step(self, data: Any, params: AnnotatorParams, latent: Latent = SOFT) -> tuple[AnnotatorStats, float]:
        """Bayes' rule for every item (eq. 15.6), then expected counts; the log-likelihood (eq. 15.5)."""
        seen = Ratings.of(data) if latent.rng is None else Ratings.of(data).singly()
        weight = seen.counts
        r, values = self.posterior(seen, params, latent)
        if (values < 1e-3 * IMPOSSIBLE).any():
            raise Degenerate(f"row {int(np.argmin(values))} is impossible under these error rates.")
        # What may cancel in a row: the best class's joint log-probability, and t times the logarithm of K terms.
        size = np.abs(values) + latent.temperature * np.log(params.confusion.shape[1])
        noise = 4 * EPS * float((weight * size).sum())
        return replace(_counted(seen, r * weight[:, None], params), noise=noise), float((weight * values).sum())

    def posterior(self, data: Any, params: AnnotatorParams, latent: Latent = SOFT) -> tuple[FloatArray, FloatArray]:
        """Class probabilities (n, K) of every row, and its log-likelihood (n,)."""
        seen, K = Ratings.of(data), params.confusion.shape[1]
        prevalence, confusion = _logs(params.prevalence), _logs(params.confusion)
        with np.errstate(over="ignore"):
            joint = seen.said @ confusion.swapaxes(1, 2).reshape(-1, K) + prevalence[seen.group]
        joint = np.ascontiguousarray(np.maximum(joint, IMPOSSIBLE)[:, :, None])
        values = assign(joint, latent)
        return joint[:, :, 0], values

    def m_step(self, stats: AnnotatorStats, prior: AnnotatorPrior | None = None) -> AnnotatorParams:
        """Shares of the expected counts (eq. 15.7)."""
        p = prior or AnnotatorPrior()
        return AnnotatorParams(_shares(stats.counts + p.prevalence - 1.0), _shares(stats.ratings + p.confusion - 1.0))

    def project(self, params: AnnotatorParams) -> AnnotatorParams:
        """Rows that sum to one to the last digit."""
        shares = params.prevalence, params.confusion
        return AnnotatorParams(*(rows / rows.sum(axis=-1, keepdims=True) for rows in shares))

    def draw(
        self, stats: AnnotatorStats, prior: AnnotatorPrior, rng: np.random.Generator, current: Any = None
    ) -> AnnotatorParams:
        """Every row of probabilities from its Dirichlet posterior."""
        return AnnotatorParams(
            dirichlet(stats.counts + prior.prevalence, rng), dirichlet(stats.ratings + prior.confusion, rng)
        )

    def log_prior(self, params: AnnotatorParams, prior: AnnotatorPrior) -> float:
        """Log density of the Dirichlet distributions, up to a constant."""
        of_classes = xlogy(np.asarray(prior.prevalence) - 1.0, params.prevalence).sum()
        return float(of_classes + xlogy(np.asarray(prior.confusion) - 1.0, params.confusion).sum())

    def simulate(self, params: AnnotatorParams, n: int, rng: np.random.Generator) -> FloatArray:
        """`n` items, of each group in turn, rated once by every annotator."""
        J, K, _ = params.confusion.shape
        group = np.arange(n) % len(params.prevalence)
        truth = drawn(params.prevalence[group], rng)
        said = drawn(params.confusion[:, truth].swapaxes(0, 1), rng)  # (n, J)
        return np.column_stack([np.ones(n), group, np.eye(K)[said].reshape(n, J * K)])

    def slopes(
        self, stats: AnnotatorStats, params: AnnotatorParams, prior: AnnotatorPrior | None = None
    ) -> AnnotatorParams:
        """Slope of the expected complete-data log-likelihood, each number as if the others stood still."""
        p = prior or AnnotatorPrior()
        return AnnotatorParams(
            (stats.counts + p.prevalence - 1.0) / params.prevalence,
            (stats.ratings + p.confusion - 1.0) / params.confusion,
        )

    def coordinates(self, params: AnnotatorParams) -> Named:
        """Log-ratios of classes, and of labels."""
        return Named(AnnotatorParams, {n: Simplex(getattr(params, n)) for n in ("prevalence", "confusion")})

    def complete_slopes(self, data: Any, params: AnnotatorParams) -> Iterator[list[tuple[float, AnnotatorParams]]]:
        """For each item: its possible classes, with their probability and the slope that they would give."""
        seen = Ratings.of(data)
        for i, r in enumerate(self.posterior(seen, params)[0]):
            units = np.eye(len(r))[:, None]
            slopes = [self.slopes(_counted(seen[i : i + 1], unit, params), params) for unit in units]
            yield from [list(zip(r.tolist(), slopes, strict=True))] * int(seen.counts[i])


def _logs(p: FloatArray) -> FloatArray:
    if not ((p >= 0).all() and np.isfinite(p).all()):
        raise Degenerate("a probability is negative or not finite.")
    return np.where(p > 0, np.log(np.where(p > 0, p, 1.0)), IMPOSSIBLE)


def _counted(seen: Ratings, r: FloatArray, params: AnnotatorParams) -> AnnotatorStats:
    """Statistics of rows whose items are of the classes in shares r (n, K)."""
    G, (J, K, _) = len(params.prevalence), params.confusion.shape
    counts = np.array([np.bincount(seen.group, share, minlength=G) for share in r.T]).T
    return AnnotatorStats(counts, (seen.said.T @ r).reshape(J, K, K).swapaxes(1, 2))


def _shares(counts: FloatArray) -> FloatArray:
    """Rows that sum to one; equal ones where nothing was counted."""
    counts = np.where(counts > 1e-200, counts, 0.0)
    total = counts.sum(axis=-1, keepdims=True)
    return np.where(total > 0, counts / np.where(total > 0, total, 1.0), 1.0 / counts.shape[-1])
