"""One mixture model over any family of components.

    x comes from component k with probability w_k; k is hidden (eq. 2.1).

The E-step counts, for each component, its share of the sufficient statistics; the M-step gives
each component the parameters that match its share, and the weight that matches its count.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import Rows, as_rows
from .coordinates import Fixed, Named, Simplex
from .families import Family
from .families.base import counts_of
from .kernel import Shares, Statistics, best_label, expect, moments, posterior
from .latent import SOFT, FloatArray, Latent


@dataclass(frozen=True)
class MixtureParams:
    """Weights (K,) and the parameters of the K components, in their family's own class."""

    weights: FloatArray
    components: Any


@dataclass(frozen=True)
class MixturePrior:
    """Dirichlet prior on the weights (1 is flat) and a conjugate prior on every component.

    `components` belongs to the family: `NormalInverseWishart`, `GammaPrior`, `BetaPrior`.
    """

    weights: float | FloatArray = 1.0
    components: Any = None


@dataclass(frozen=True)
class Mixture:
    """A mixture of components from one family; implements `engine.em.Model`.

    Parameters
    ----------
    family : Family
        The world inside a component.
    fixed_weights : array (K,), optional
        Weights that are known and not estimated.

    Examples
    --------
    One iteration on three counts, from rates 1 and 9:

    >>> import numpy as np
    >>> from emlib.engine.families import Poisson, PoissonParams
    >>> model = Mixture(Poisson())
    >>> params = MixtureParams(np.array([0.5, 0.5]), PoissonParams(np.array([[1.0], [9.0]])))
    >>> stats, log_likelihood = model.e_step(np.array([[0.0], [2.0], [8.0]]), params)
    >>> stats.counts.round(3).tolist(), round(log_likelihood, 4)
    ([1.973, 1.027], -6.7722)
    >>> model.m_step(stats).components.rates.ravel().round(2).tolist()
    [0.99, 7.84]
    """

    family: Family[Any]
    fixed_weights: FloatArray | None = None

    @property
    def monotone(self) -> bool:
        """Whether the M-step is an exact maximiser."""
        return bool(getattr(self.family, "monotone", True))

    def e_step(self, data: Any, params: MixtureParams, latent: Latent = SOFT) -> tuple[Statistics, float]:
        """Responsibilities (eq. 2.5), summed into statistics; the log-likelihood (eq. 2.2)."""
        rows = as_rows(data)
        natural = self.family.natural(params.components, _log_weights(params), rows)
        return expect(rows, self.family, natural, latent)

    def m_step(self, stats: Statistics, prior: MixturePrior | None = None) -> MixtureParams:
        """Each component from its share (eqs. 2.7, 2.8), each weight from its count (eq. 2.6)."""
        components = self.family.maximise(stats, None if prior is None else prior.components)
        if self.fixed_weights is not None:
            return MixtureParams(self.fixed_weights, components)
        pseudo = 0.0 if prior is None else np.asarray(prior.weights) - 1.0
        counts = np.maximum(counts_of(stats) + pseudo, 0.0)  # swept of crumbs: a weight of zero stays zero
        return MixtureParams(counts / counts.sum(), components)

    def draw(self, stats: Statistics, prior: MixturePrior, rng: np.random.Generator) -> MixtureParams:
        """Weights from their Dirichlet, components from their family's posterior."""
        components = self.family.draw(stats, prior.components, rng)
        if self.fixed_weights is not None:
            return MixtureParams(self.fixed_weights, components)
        return MixtureParams(rng.dirichlet(stats.counts + np.asarray(prior.weights)), components)

    def log_prior(self, params: MixtureParams, prior: MixturePrior) -> float:
        """Log prior density up to a constant."""
        pseudo = np.broadcast_to(np.asarray(prior.weights) - 1.0, params.weights.shape)
        used = pseudo != 0.0
        of_weights = float(pseudo[used] @ np.log(params.weights[used]))
        if prior.components is None:
            return of_weights
        return of_weights + self.family.log_prior(params.components, prior.components)

    def slopes(self, stats: Statistics, params: MixtureParams, prior: MixturePrior | None = None) -> MixtureParams:
        """Slope of the expected complete-data log-likelihood, plus the log prior, in every parameter.

        Each weight as if the others stood still; that they sum to one is known to `coordinates`.
        """
        pseudo = 0.0 if prior is None else np.asarray(prior.weights) - 1.0
        family: Any = self.family
        components = family.slopes(stats, params.components, None if prior is None else prior.components)
        return MixtureParams((stats.counts + pseudo) / params.weights, components)

    def coordinates(self, params: MixtureParams) -> Named:
        """Log-ratios of the weights to the last, and the family's own coordinates."""
        family: Any = self.family
        weights = Simplex(params.weights) if self.fixed_weights is None else Fixed(params.weights)
        return Named(MixtureParams, {"weights": weights, "components": family.coordinates(params.components)})

    def complete_slopes(self, data: Any, params: MixtureParams) -> Iterator[list[tuple[float, MixtureParams]]]:
        """For each row: its possible labels, with their probability and the slope that they would give."""
        rows, K = as_rows(data), len(params.weights)
        responsibilities, _ = self.posterior(rows, params)
        for x, shares in zip(rows.X, responsibilities, strict=True):
            row = Rows(x[None], rows.origin)
            parts = (moments(row, self.family, label[None], K) for label in np.eye(K))
            yield [(float(r), self.slopes(part, params)) for r, part in zip(shares, parts, strict=True)]

    def relabel(self, params: MixtureParams, order: Any) -> MixtureParams:
        """The same mixture with its components in another order."""
        components = params.components
        own = [field.name for field in fields(components) if field.name not in getattr(self.family, "tied", ())]
        moved = {name: getattr(components, name)[order] for name in own}
        return MixtureParams(params.weights[order], replace(components, **moved))

    def simulate(self, params: MixtureParams, n: int, rng: np.random.Generator) -> FloatArray:
        """`n` rows; see `simulate_labelled` for the hidden labels too."""
        return self.simulate_labelled(params, n, rng)[0]

    def simulate_labelled(
        self, params: MixtureParams, n: int, rng: np.random.Generator
    ) -> tuple[FloatArray, NDArray[np.intp]]:
        """`n` rows and the component that each came from."""
        labels = rng.choice(len(params.weights), size=n, p=params.weights)
        return self.family.sample(params.components, labels, rng), labels

    def posterior(self, data: Any, params: MixtureParams) -> tuple[FloatArray, FloatArray]:
        """Responsibilities (n, K) and log density (n,) of every row."""
        rows = as_rows(data)
        natural = self.family.natural(params.components, _log_weights(params), rows)
        return posterior(rows, self.family, natural)

    def labels(self, data: Any, params: MixtureParams) -> NDArray[np.intp]:
        """The most probable component of every row (n,)."""
        rows = as_rows(data)
        return best_label(rows, self.family, self.family.natural(params.components, _log_weights(params), rows))

    def from_responsibilities(self, data: Any, responsibilities: Shares, K: int) -> MixtureParams:
        """The M-step for responsibilities (n, K) that are given: a start from labels."""
        parts, first = [], 0
        for block in as_rows(data).blocks():  # the blocks of the fit, so that what they keep is kept once
            parts.append(moments(block, self.family, responsibilities, K, first))
            first += len(block)
        return self.m_step(functools.reduce(operator.add, parts))

    def project(self, params: MixtureParams) -> MixtureParams:
        """Probabilities that sum to one to the last digit: a sum of 1 + 1e-12 would pass for likelihood."""
        project = getattr(self.family, "project", None)
        components = params.components if project is None else project(params.components)
        return MixtureParams(params.weights / params.weights.sum(), components)

    def flaw(self, params: MixtureParams, stats: Statistics) -> str:
        """Why the fit is degenerate, or nothing."""
        flaw = getattr(self.family, "flaw", None)
        return "" if flaw is None else str(flaw(params.components, stats))


def _log_weights(params: MixtureParams) -> FloatArray:
    with np.errstate(divide="ignore"):  # a weight of zero is allowed
        return np.asarray(np.log(params.weights), dtype=float)
