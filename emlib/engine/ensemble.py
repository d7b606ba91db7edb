"""Many chains as one: their E-steps are one pass over the rows, and so are their draws.

The components of S mixtures of K components are kept as one list of S K components (`Listed`), so
that a sweep of 500 chains over 82 rows is a few dozen calls to NumPy. Models that cannot be listed,
because their components share a parameter or because they are no mixtures, take turns (`InTurn`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .blocks import BLOCK_ROWS, as_rows
from .families.base import counts_of, dirichlet
from .kernel import Heat, Natural, Statistics, expect_listed
from .latent import SOFT, FloatArray, Latent
from .mixture import Mixture, MixtureParams, MixturePrior, log_weights_of
from .parameters import joined


class Ensemble(Protocol):
    """S chains of one model. What stands for their parameters and statistics is the ensemble's own business."""

    def start(self) -> Any:
        """Parameters of all chains at their starts."""
        ...

    def expect(self, block: Any, params: Any, latent: Latent) -> tuple[Any, FloatArray]:
        """Statistics of all chains, which can be added, and their objectives (1 or 2, S) (`kernel.expect_listed`)."""
        ...

    def draw(self, stats: Any, params: Any, rng: np.random.Generator) -> Any:
        """Parameters drawn from their posteriors given the statistics (and the parameters before)."""
        ...

    def maximise(self, stats: Any) -> Any:
        """The M-step of all chains."""
        ...

    def reordered(self, stats: Any, params: Any, order: NDArray[np.intp]) -> tuple[Any, Any]:
        """The state of chain ``order[s]`` in the place of chain s."""
        ...

    def numbers(self, params: Any, C: int) -> dict[str, FloatArray]:
        """By field name, the parameters of the first C chains, one row a chain."""
        ...


def ensemble(model: Any, starts: Sequence[Any], prior: Any, inverse: FloatArray, collapsed: bool = False) -> Ensemble:
    """Chains of `model` from `starts`, chain s at the temperature ``1 / inverse[s]``.

    Raises
    ------
    ValueError
        For temperatures other than 1, or a collapsed sampler, where the model cannot have them.
    """
    listed = isinstance(model, Mixture) and not getattr(model.family, "tied", ())
    conjugate = listed and hasattr(model.family, "log_evidence")
    if collapsed:
        if not (conjugate and _is_conjugate(model, prior)):
            raise ValueError(
                "the collapsed sampler needs components that share nothing, and a conjugate prior, so that their "
                "parameters can be integrated out."
            )
        return Collapsed(model, starts, prior, inverse)
    if (inverse != 1.0).any() and not conjugate:
        raise ValueError("temperatures above 1 need components from an exponential family that share nothing.")
    return Listed(model, starts, prior, inverse) if listed else InTurn(model, starts, prior)


def _is_conjugate(model: Mixture, prior: MixturePrior) -> bool:
    return isinstance(prior.components, model.family.prior_type)


class Listed:
    """S mixtures whose components are one long list. Parameters: weights (S, K), components of S K rows."""

    def __init__(
        self, model: Mixture, starts: Sequence[MixtureParams], prior: MixturePrior | None, inverse: FloatArray
    ) -> None:
        self.model, self.starts, self.inverse = model, starts, inverse
        self.S, self.K = len(starts), len(starts[0].weights)
        self.hot = bool((inverse != 1.0).any())
        self.prior = None if prior is None else replace(prior, components=_repeated(prior.components, self.S))

    def start(self) -> MixtureParams:
        """See `Ensemble`."""
        return MixtureParams(
            np.stack([start.weights for start in self.starts]), joined([start.components for start in self.starts])
        )

    def expect(self, block: Any, params: MixtureParams, latent: Latent) -> tuple[Statistics, FloatArray]:
        """See `Ensemble`."""
        block = as_rows(block)
        log_weights, heat = log_weights_of(params), None
        if self.hot:  # weights are not tempered: if they were, the hot chains would all prefer equal components
            log_weights, heat = np.zeros_like(log_weights), Heat(self.inverse, log_weights)
        natural: Natural = self.model.family.natural(params.components, log_weights.ravel(), block)
        stats, values = expect_listed(block, self.model.family, natural, self.S, latent, heat)
        values[0] += natural.base_total
        return stats, values

    def draw(self, stats: Statistics, params: MixtureParams, rng: np.random.Generator) -> MixtureParams:
        """See `Ensemble`; at a temperature t rows are worth 1/t to the components, and all to the weights."""
        assert self.prior is not None
        counts = stats.counts.reshape(self.S, self.K)
        if self.hot:
            cooled = stats.totals * np.repeat(self.inverse, self.K)[:, None]
            stats = Statistics(cooled, stats.about, stats.shared)
        components = self.model.draw_components(stats, self.prior, rng, params)
        if self.model.fixed_weights is not None:
            return MixtureParams(params.weights, components)
        return MixtureParams(dirichlet(counts + np.asarray(self.prior.weights), rng), components)

    def maximise(self, stats: Statistics) -> MixtureParams:
        """See `Ensemble`."""
        components = self.model.family.maximise(stats, None if self.prior is None else self.prior.components)
        counts = counts_of(stats).reshape(self.S, self.K)
        if self.model.fixed_weights is not None:
            return MixtureParams(np.broadcast_to(self.model.fixed_weights, counts.shape), components)
        pseudo = 0.0 if self.prior is None else np.asarray(self.prior.weights) - 1.0
        counts = np.maximum(counts + pseudo, 0.0)
        return MixtureParams(counts / counts.sum(axis=1, keepdims=True), components)

    def reordered(
        self, stats: Statistics, params: MixtureParams, order: NDArray[np.intp]
    ) -> tuple[Statistics, MixtureParams]:
        """See `Ensemble`."""
        rows = (order[:, None] * self.K + np.arange(self.K)).ravel()
        moved = {f.name: getattr(params.components, f.name)[rows] for f in fields(params.components)}
        components = type(params.components)(**moved)
        return (
            Statistics(stats.totals[rows], stats.about[rows], stats.shared),
            MixtureParams(params.weights[order], components),
        )

    def numbers(self, params: MixtureParams, C: int) -> dict[str, FloatArray]:
        """See `Ensemble`."""
        found = {"weights": params.weights[:C]}
        for f in fields(params.components):
            values = getattr(params.components, f.name)
            found[f.name] = values.reshape(self.S, self.K, *values.shape[1:])[:C]
        return found


class Collapsed(Listed):
    """The same posterior with the parameters integrated out: each label is drawn given all others.

    A row goes to a component with a probability proportional to the rows there (and the weight's prior) times
    the predictive density: the evidence of the component's rows with this one, over that without it (eq. 3 of
    Neal, 2000). Parameters are drawn once a sweep, only to be looked at.
    """

    def __init__(
        self, model: Mixture, starts: Sequence[MixtureParams], prior: MixturePrior, inverse: FloatArray
    ) -> None:
        super().__init__(model, starts, prior, inverse)
        if self.hot:
            raise ValueError("the collapsed sampler knows the temperature 1 only.")
        self.labels: NDArray[np.intp] | None = None
        self.pairs = _repeated(prior.components, 2 * self.S)
        self.columns = 0

    def expect(self, block: Any, params: MixtureParams, latent: Latent) -> tuple[Statistics, FloatArray]:
        """See `Ensemble`: the labels are swept, whatever the parameters; these are only evaluated."""
        block = as_rows(block)
        if block._whole > BLOCK_ROWS:
            raise ValueError(f"the collapsed sampler visits rows one by one; more than {BLOCK_ROWS} are too many.")
        assert latent.rng is not None
        _, values = super().expect(block, params, SOFT)
        self.columns = block.d
        T = np.empty((1, self.model.family.n_features(block.d), len(block)))
        self.model.family.features(np.subtract(block.X.T, block.origin[:, None])[None], T)
        if self.labels is None:
            self.labels = self._first_labels(block, params, latent.rng)
        totals = self._sweep(T[0].T, self.labels, latent.rng)
        about = np.zeros((self.S * self.K, block.d))
        return Statistics(totals.reshape(self.S * self.K, -1), about, self.model.family.shared(block)), values

    def _first_labels(self, block: Any, params: MixtureParams, rng: np.random.Generator) -> NDArray[np.intp]:
        labels = np.empty((self.S, len(block)), dtype=np.intp)
        for s, start in enumerate(self.starts):
            shares = self.model.posterior(block, start)[0].cumsum(axis=1)
            labels[s] = (shares < rng.random((len(block), 1)) * shares[:, -1:]).sum(axis=1)
        return labels

    def _sweep(self, T: FloatArray, labels: NDArray[np.intp], rng: np.random.Generator) -> FloatArray:
        S, K, p = self.S, self.K, T.shape[1]
        chains = np.arange(S)
        totals = np.stack([np.stack([T[own == k].sum(axis=0) for k in range(K)]) for own in labels])
        for i, t in enumerate(T):
            totals[chains, labels[:, i]] -= t
            pair = np.concatenate([totals, totals + t]).reshape(2 * S * K, p)
            log_p = self._log_predictive(pair) + self._log_share(totals[:, :, 0])
            shares = np.exp(log_p - log_p.max(axis=1, keepdims=True)).cumsum(axis=1)
            point = (1.0 - rng.random((S, 1))) * shares[:, -1:]
            labels[:, i] = (shares < point).sum(axis=1)
            totals[chains, labels[:, i]] += t
        return totals

    def _log_predictive(self, pair: FloatArray) -> FloatArray:
        family: Any = self.model.family
        nowhere = np.zeros((len(pair), self.columns))
        without, with_row = np.split(family.log_evidence(Statistics(pair, nowhere, np.zeros(0)), self.pairs), 2)
        return (with_row - without).reshape(self.S, self.K)

    def _log_share(self, counts: FloatArray) -> FloatArray:
        assert self.prior is not None
        if self.model.fixed_weights is not None:
            return np.log(np.broadcast_to(self.model.fixed_weights, counts.shape))
        return np.asarray(np.log(np.rint(counts) + np.asarray(self.prior.weights)), dtype=float)


class InTurn:
    """Chains of any model: E-steps together where the model has `e_steps`, draws one after the other."""

    def __init__(self, model: Any, starts: Sequence[Any], prior: Any) -> None:
        self.model, self.starts, self.prior = model, list(starts), prior

    def start(self) -> list[Any]:
        """See `Ensemble`."""
        return self.starts

    def expect(self, block: Any, params: list[Any], latent: Latent) -> tuple[_Several, FloatArray]:
        """See `Ensemble`."""
        if hasattr(self.model, "e_steps"):
            found = self.model.e_steps(block, params, latent)
        else:
            found = [self.model.e_step(block, own, latent) for own in params]
        return _Several(stats for stats, _ in found), np.array([[value for _, value in found]])

    def draw(self, stats: _Several, params: list[Any], rng: np.random.Generator) -> list[Any]:
        """See `Ensemble`."""
        return [self.model.draw(own, self.prior, rng, now) for own, now in zip(stats, params, strict=True)]

    def maximise(self, stats: _Several) -> list[Any]:
        """See `Ensemble`."""
        return [self.model.m_step(own, self.prior) for own in stats]

    def reordered(self, stats: _Several, params: list[Any], order: NDArray[np.intp]) -> tuple[_Several, list[Any]]:
        """See `Ensemble`."""
        return _Several(stats[s] for s in order), [params[s] for s in order]

    def numbers(self, params: list[Any], C: int) -> dict[str, FloatArray]:
        """See `Ensemble`."""
        chains = [dict(_leaves(own)) for own in params[:C]]
        return {name: np.stack([chain[name] for chain in chains]) for name in chains[0]}


class _Several(tuple[Any, ...]):
    """The statistics of several chains; those of two blocks add up chain by chain."""

    def __add__(self, other: Any) -> _Several:
        return _Several(a + b for a, b in zip(self, other, strict=True))


def _leaves(part: Any) -> list[tuple[str, FloatArray]]:
    """Names and arrays of nested parameters."""
    found: list[tuple[str, FloatArray]] = []
    for f in fields(part):
        value = getattr(part, f.name)
        found += _leaves(value) if is_dataclass(value) else [(f.name, np.asarray(value, dtype=float))]
    return found


def _repeated(components: Any, S: int) -> Any:
    """A prior for S lists of K components, where it says something else of each of the K."""
    mean: Any = getattr(components, "mean", 0.0)
    return components if np.ndim(mean) < 2 else replace(components, mean=np.tile(mean, (S, 1)))
