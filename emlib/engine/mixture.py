"""One mixture model over any family of components.

    x comes from component k with probability w_k; k is hidden (eq. 2.1).

The E-step counts, for each component, its share of the sufficient statistics; the M-step gives
each component the parameters that match its share, and the weight that matches its count.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import Rows, as_rows
from .chunks import Chunks
from .coordinates import Fixed, Named, Simplex
from .differences import Special
from .em import Degenerate
from .families import Family, IndependentNormalInverseWishart
from .families.base import NO_EVIDENCE, counts_of, dirichlet
from .kernel import Shares, Statistics, best_label, expect, expect_many, moments, posterior
from .latent import SOFT, FloatArray, Latent
from .parameters import joined, parted


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

    @property
    def _tied(self) -> tuple[str, ...]:
        return tuple(getattr(self.family, "tied", ()))

    def e_step(self, data: Any, params: MixtureParams, latent: Latent = SOFT) -> tuple[Statistics, float]:
        """Responsibilities (eq. 2.5), summed into statistics; the log-likelihood (eq. 2.2)."""
        rows = as_rows(data)
        natural = self.family.natural(params.components, log_weights_of(params), rows)
        return expect(rows, self.family, natural, latent)

    def e_steps(
        self, data: Any, points: Sequence[MixtureParams], latent: Latent = SOFT
    ) -> list[tuple[Statistics, float]]:
        """`e_step` at several parameters, over features that are computed once."""
        rows = as_rows(data)
        if not self._tied:  # one long list of components is as good as many short ones, and faster
            listed = joined(points)
            naturals = self.family.natural(listed.components, log_weights_of(listed), rows).split(
                len(points[0].weights)
            )
        else:
            naturals = [self.family.natural(p.components, log_weights_of(p), rows) for p in points]
        return expect_many(rows, self.family, naturals, latent)

    def m_step(self, stats: Statistics, prior: MixturePrior | None = None) -> MixtureParams:
        """Each component from its share (eqs. 2.7, 2.8), each weight from its count (eq. 2.6)."""
        components = self.family.maximise(stats, None if prior is None else prior.components)
        if self.fixed_weights is not None:
            return MixtureParams(self.fixed_weights, components)
        pseudo = 0.0 if prior is None else np.asarray(prior.weights) - 1.0
        counts = np.maximum(counts_of(stats) + pseudo, 0.0)  # swept of crumbs: a weight of zero stays zero
        return MixtureParams(counts / counts.sum(), components)

    def m_steps(self, many: Sequence[Statistics], prior: MixturePrior | None = None) -> list[MixtureParams]:
        """`m_step` of several statistics, their components again in one list where that is possible."""
        counts = np.stack([stats.counts for stats in many])
        if prior is not None or self._tied or (counts < NO_EVIDENCE).any():
            return [self.m_step(stats, prior) for stats in many]
        totals, about = (np.concatenate([getattr(stats, name) for stats in many]) for name in ("totals", "about"))
        components = parted(self.family.maximise(Statistics(totals, about, many[0].shared)), len(many))
        weights = counts / counts.sum(axis=1, keepdims=True)
        if self.fixed_weights is not None:
            weights = np.broadcast_to(self.fixed_weights, counts.shape)
        return [MixtureParams(w, own) for w, own in zip(weights, components, strict=True)]

    def draw(
        self,
        stats: Statistics,
        prior: MixturePrior,
        rng: np.random.Generator,
        current: MixtureParams | None = None,
    ) -> MixtureParams:
        """Weights from their Dirichlet (eq. 7.5), components from their family's posterior.

        Priors that are conjugate only in turn (`IndependentNormalInverseWishart`) need the `current` parameters.
        """
        components = self.draw_components(stats, prior, rng, current)
        if self.fixed_weights is not None:
            return MixtureParams(self.fixed_weights, components)
        return MixtureParams(dirichlet(stats.counts + np.asarray(prior.weights), rng), components)

    def draw_components(
        self, stats: Statistics, prior: MixturePrior, rng: np.random.Generator, current: MixtureParams | None = None
    ) -> Any:
        """The components alone; `stats` may list those of several mixtures (`engine.ensemble`)."""
        family: Any = self.family
        if current is not None and isinstance(prior.components, IndependentNormalInverseWishart):
            return family.draw(stats, prior.components, rng, current.components)
        return family.draw(stats, prior.components, rng)

    def draw_prior(self, prior: MixturePrior, K: int, d: int, rng: np.random.Generator) -> MixtureParams:
        """K components of d columns, drawn from the prior."""
        family: Any = self.family
        components = family.draw_prior(prior.components, K, d, rng)
        if self.fixed_weights is not None:
            return MixtureParams(self.fixed_weights, components)
        alpha = np.broadcast_to(np.asarray(prior.weights, dtype=float), (K,))
        return MixtureParams(dirichlet(alpha, rng), components)

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
        """Log-ratios of the weights, and the family's own coordinates."""
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
        natural = self.family.natural(params.components, log_weights_of(params), rows)
        with np.errstate(invalid="ignore"):  # BLAS may multiply the -inf of an empty component by zero on the way
            return posterior(rows, self.family, natural)

    def labels(self, data: Any, params: MixtureParams) -> NDArray[np.intp]:
        """The most probable component of every row (n,)."""
        rows = as_rows(data)
        natural = self.family.natural(params.components, log_weights_of(params), rows)
        with np.errstate(invalid="ignore"):
            return best_label(rows, self.family, natural)

    def from_responsibilities(self, data: Any, responsibilities: Shares, K: int) -> MixtureParams:
        """The M-step for responsibilities (n, K) that are given: a start from labels.

        For `Chunks` they must have a method ``split(n)`` that gives those of each of the n chunks.
        Where the E-step at this start would measure a component from its mean, the start is measured so too.
        """
        start = self.m_step(self._statistics_of(data, responsibilities, K))
        if not getattr(self.family, "about_means", False):
            return start
        try:
            special = self.family.natural(start.components, log_weights_of(start), _without_rows(data)).special
        except (Degenerate, np.linalg.LinAlgError):
            return start  # no density here; the loop will say so
        if not special:
            return start
        return self.m_step(self._statistics_of(data, responsibilities, K, special))

    def _statistics_of(
        self, data: Any, responsibilities: Shares, K: int, special: Mapping[int, Special] | None = None
    ) -> Statistics:
        if not isinstance(data, Chunks):
            return _moments(self.family, K, special, as_rows(data), responsibilities)[0]
        shares: Any = responsibilities
        work = functools.partial(_moments, self.family, K, special)
        stats: Statistics = data.total(work, shares.split(len(data.lengths)))[0]
        return stats

    def project(self, params: MixtureParams) -> MixtureParams:
        """Probabilities that sum to one to the last digit: a sum of 1 + 1e-12 would pass for likelihood."""
        project = getattr(self.family, "project", None)
        components = params.components if project is None else project(params.components)
        return MixtureParams(params.weights / params.weights.sum(), components)

    def flaw(self, params: MixtureParams, stats: Statistics) -> str:
        """Why the fit is degenerate, or nothing."""
        flaw = getattr(self.family, "flaw", None)
        return "" if flaw is None else str(flaw(params.components, stats))

    def caution(self, params: MixtureParams, stats: Statistics) -> str:
        """Components that are identical (a saddle, perhaps: eq. 6.5), or that hold less than one row."""
        held = counts_of(stats)
        starved = np.flatnonzero(held < 1.0)
        if len(starved):
            k = int(starved[0])
            return f"component {k} is starved: it holds {held[k]:.2g} of {held.sum():g} rows; start it elsewhere."
        for i, j in itertools.combinations(range(len(held)), 2):
            if self._same(params.components, i, j):
                return (
                    f"components {i} and {j} are identical, and EM cannot tell them apart again: "
                    "this may be a saddle; start from components that differ."
                )
        return ""

    def _same(self, components: Any, i: int, j: int) -> bool:
        """Whether two components agree in every number that is their own, to nine digits."""
        arrays = [np.asarray(getattr(components, f.name)) for f in fields(components) if f.name not in self._tied]
        return all((np.abs(a[i] - a[j]) <= 1e-9 * np.abs(a).max(axis=0)).all() for a in arrays)


def _without_rows(data: Any) -> Rows:
    """An empty table with the origin and the scale of this one: all that decides how components are measured."""
    whole = data if isinstance(data, Chunks) else as_rows(data)
    return Rows.passing(np.empty((0, whole.d)), whole.origin, whole.scale)


def _moments(
    family: Family[Any], K: int, special: Mapping[int, Special] | None, rows: Rows, responsibilities: Shares
) -> tuple[Statistics]:
    parts, first = [], 0
    for block in rows.blocks():  # the blocks of the fit, so that what they keep is kept once
        parts.append(moments(block, family, responsibilities, K, first, special))
        first += len(block)
    return (functools.reduce(operator.add, parts),)


def log_weights_of(params: MixtureParams) -> FloatArray:
    """Logarithms of the weights; that of zero is minus infinity."""
    with np.errstate(divide="ignore"):  # a weight of zero is allowed
        return np.asarray(np.log(params.weights), dtype=float)
