"""What a family says, and what all of them share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np

from ..blocks import Rows
from ..em import Degenerate
from ..kernel import Natural, Statistics
from ..latent import FloatArray

P = TypeVar("P")

LOG_2PI = float(np.log(2 * np.pi))
NO_EVIDENCE = 1e-200  # expected counts below this are crumbs of rounding, not data


class Family(Protocol[P]):
    """What a mixture asks of its components. Arrays of components have K rows.

    Two more members make standard errors possible (`engine.information`), for families that can:

    slopes(stats, params, prior=None) -> P
        Slope of the expected complete-data log-likelihood (plus the log prior) in each parameter,
        in the class of the parameters; zero where ``maximise(stats, prior)`` lands.
    coordinates(params) -> Coordinates
        Free coordinates about these parameters (`engine.coordinates`).

    A family whose components share a parameter names it in ``tied``, so that exchanging
    components leaves it alone, and the components of several mixtures are not listed as one.
    """

    @property
    def prior_type(self) -> type:
        """The class of its conjugate prior."""
        ...

    def n_features(self, d: int) -> int:
        """Length p of T(x) for d columns."""
        ...

    def features(self, X: FloatArray, out: FloatArray) -> None:
        """Write T(x), one row a feature: X (batch, d, rows) to out (batch, p, rows)."""
        ...

    def shared(self, rows: Rows) -> FloatArray:
        """Sums over the rows that no label touches, if the M-step needs any."""
        ...

    def natural(self, params: P, log_weights: FloatArray, rows: Rows) -> Natural:
        """Natural parameters (eq. 4.1), with the log weights and constants in column 0."""
        ...

    def maximise(self, stats: Statistics, prior: Any = None) -> P:
        """The M-step: parameters whose expected statistics equal the observed ones (eq. 4.4; with a prior, 4.11)."""
        ...

    def weak_prior(self, whole: P, K: int) -> Any:
        """A prior too weak to matter where there are data, given one component fitted to all of them."""
        ...

    def draw(self, stats: Statistics, prior: Any, rng: np.random.Generator) -> P:
        """Parameters drawn from their posterior."""
        ...

    def log_prior(self, params: P, prior: Any) -> float:
        """Log prior density of all components, up to a constant (eq. 4.10)."""
        ...

    def sample(self, params: P, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        """One row for each label."""
        ...

    def n_parameters(self, K: int, d: int) -> int:
        """Free parameters of K components (for BIC)."""
        ...


class Linear:
    """T(x) = [1, x]: the features of every family whose log density is linear in the data."""

    def n_features(self, d: int) -> int:
        """1 + d."""
        return 1 + d

    def features(self, X: FloatArray, out: FloatArray) -> None:
        """See `Family.features`."""
        out[:, 0] = 1.0
        out[:, 1:] = X

    def shared(self, rows: Rows) -> FloatArray:
        """Nothing."""
        return np.zeros(0)


def counts_of(stats: Statistics) -> FloatArray:
    """Expected counts (K,), with crumbs of rounding swept to zero."""
    return np.where(stats.counts < NO_EVIDENCE, 0.0, stats.counts)


def with_starved(totals: FloatArray) -> FloatArray:
    """A component with no evidence at all takes the shape of the whole data, at weight zero."""
    starved = totals[:, 0] < NO_EVIDENCE
    if not starved.any():
        return totals
    pooled = totals.sum(axis=0)
    if not pooled[0] > 0:
        raise Degenerate("no row supports any component.")
    return np.where(starved[:, None], pooled, totals)


def filled(stats: Statistics, from_origin: Callable[[Statistics], Statistics]) -> Statistics:
    """The same for statistics about several points: only what is borrowed is moved to the origin."""
    starved = (stats.counts < NO_EVIDENCE)[:, None]
    if not starved.any():
        return stats
    totals = np.where(starved, with_starved(from_origin(stats).totals), stats.totals)
    return Statistics(totals, np.where(starved, 0.0, stats.about), stats.shared)


def dirichlet(concentration: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Probabilities (..., K), each row drawn from the Dirichlet distribution of its concentrations.

    Gammas over their sum; where all concentrations of a row are so small that gammas may underflow together,
    through their logarithms (a gamma of shape a is one of shape a + 1 times a uniform to the power 1/a).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> dirichlet(np.tile([1.0, 3.0], (40_000, 1)), rng).mean(axis=0).round(2).tolist()
    [0.25, 0.75]
    >>> bool(np.isfinite(dirichlet(np.full((1000, 2), 1e-4), rng)).all())
    True
    """
    if concentration.max(axis=-1).min() > 0.1:
        gammas = rng.standard_gamma(concentration)
    else:
        logs = np.log(rng.standard_gamma(concentration + 1.0))
        logs += np.log1p(-rng.random(concentration.shape)) / concentration
        gammas = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray(gammas / gammas.sum(axis=-1, keepdims=True), dtype=float)
