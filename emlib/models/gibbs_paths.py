"""Sampling the posterior of a hidden Markov model: paths drawn whole, then start, transitions and components.

The sweep is that of `engine.wander`; its sampled E-step is `engine.chains.draw` (forward filtering, backward
sampling), its draw `engine.markov.HiddenMarkov.draw`. Here stand the priors, the starts, and what comes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from ..engine import wander
from ..engine.families.base import Family, dirichlet
from ..engine.families.gaussian import NormalInverseWishart
from ..engine.families.gaussian_independent import check_definite
from ..engine.latent import FloatArray
from ..engine.markov import HiddenMarkov, MarkovParams, MarkovPrior
from ..engine.sequences import Sequences
from .checks import check_whole, in_short
from .draws import Draws
from .hmm_estimator import HMMEstimator
from .sequence_checks import check_lengths, check_sequence_table

FLAT = "an empty component would have no distribution to be drawn from; give a proper prior, or 'weak'."


@dataclass(frozen=True, repr=False)
class PathDraws(Draws):
    """Draws from the posterior of a hidden Markov model.

    Attributes
    ----------
    parameters : dict of arrays (chains, draws, ...)
        ``startprob`` (chains, draws, K), ``transmat`` (chains, draws, K, K), and ``means`` and ``covars`` (in the shape
        of their type), ``lambdas`` or ``emissionprob``. Also as ``draws["transmat"]``.
    lengths : array (Q,) of int
        Of the sequences that were sampled. The X of the methods is cut in the same way.
    log_likelihood, swaps, labelling
        As in `Draws`.
    """

    lengths: NDArray[np.intp]
    family: Family[Any]

    @property
    def n_components(self) -> int:
        """Number of states, K."""
        return self.parameters["startprob"].shape[2]

    @property
    def _names(self) -> Mapping[str, str]:
        return {of_engine: attribute.rstrip("_") for attribute, of_engine in self.model._letters.values()}

    def _dims(self, name: str) -> list[str]:
        return ["component", "component_next"] if name == "transmat" else super()._dims(name)

    def _renumbered(self, name: str, order: NDArray[np.intp]) -> FloatArray:
        moved = super()._renumbered(name, order)
        return np.take_along_axis(moved, order[:, :, None, :], axis=3) if name == "transmat" else moved

    def pointwise(self, X: Any) -> FloatArray:
        """Log-likelihood (chains, draws, Q) of every sequence at every draw."""
        values = np.array([values for _, values in self._posteriors(X)])
        return values.reshape(*self.log_likelihood.shape, -1)

    def _shares(self, X: Any) -> Iterator[FloatArray]:
        return (posterior[None] for posterior, _ in self._posteriors(X))

    def _posteriors(self, X: Any) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Posterior states (n, K) and log-likelihoods (Q,), draw after draw."""
        table, seen = check_sequence_table(X, self.model.missing)
        self.model._check_rows(table, True)
        origin = self.model._origin(table)
        data = Sequences(table, check_lengths(self.lengths, len(table)), origin, seen)
        names, model = self._names, HiddenMarkov(self.family)
        columns = self.parameters[self._location].shape[3]
        if self.component_type.__name__ != "MultinomialParams" and table.shape[1] != columns:
            raise ValueError(f"X has {table.shape[1]} columns; the draws are of {columns}.")
        for c, m in np.ndindex(self.log_likelihood.shape):
            own = {f.name: self.parameters[names[f.name]][c, m] for f in fields(self.component_type)}
            components = self.model._moved(self.component_type(**own), -origin)
            yield model.posterior(data, MarkovParams(self["startprob"][c, m], self["transmat"][c, m], components))


def sample_paths(
    estimator: HMMEstimator,
    prior: Any,
    X: Any,
    lengths: Any,
    C: int,
    start: Any,
    rng: np.random.Generator,
    how: dict[str, Any],
) -> PathDraws:
    """C chains of draws; `how` goes to `engine.wander.sample`. See `GibbsSampler.sample`."""
    table, seen = check_sequence_table(X, estimator.missing)
    own = check_lengths(lengths, len(table))
    estimator._check_rows(table, True)
    origin = estimator._origin(table)
    data = Sequences(table, own, origin, seen)
    model = HiddenMarkov(estimator._family_of(table))
    if hasattr(model.family, "n_symbols"):  # the alphabet of the draws, whatever table they are asked about
        estimator.set_params(n_features=model.family.n_symbols)
    proper = _own_prior(estimator, model, data, prior, how["update"])
    starts = _starts(estimator, model, data, proper, X, own, start, C, rng)
    walk = wander.sample(model, data, starts, prior=proper, rng=rng, **how)
    kind = type(starts[0].components)
    moved = estimator._moved(kind(**{f.name: walk.parameters[f.name] for f in fields(kind)}), origin)
    found = {"start": walk.parameters["start"], "transitions": walk.parameters["transitions"]}
    found |= {f.name: getattr(moved, f.name) for f in fields(kind)}
    called = {of_engine: attribute.rstrip("_") for attribute, of_engine in estimator._letters.values()}
    return PathDraws(
        {called[name]: values for name, values in found.items()},
        walk.log_likelihood,
        walk.swaps,
        "as drawn",
        estimator,
        kind,
        tuple(called[name] for name in getattr(model.family, "tied", ())),
        np.asarray(own),
        model.family,
    )


def _own_prior(estimator: Any, model: HiddenMarkov, data: Sequences, prior: Any, update: str) -> MarkovPrior | None:
    family, K, d = model.family, estimator.n_components, estimator._symbols_or_columns(model, data)
    if prior is None:
        if update == "maximise":
            return None
        raise ValueError(f"prior is None, which is improper: {FLAT}")
    if isinstance(prior, str) and prior == "weak":
        whole = model.from_labels(data, np.zeros(data.n, dtype=np.intp), 1)
        return MarkovPrior(1.0, 1.0, family.weak_prior(whole.components, K))
    if not isinstance(prior, MarkovPrior):
        raise ValueError(f"prior is {in_short(prior)}; it must be 'weak' or an emlib.engine.markov.MarkovPrior.")
    for name, shape in (("start", (K,)), ("transitions", (K, K))):
        given, least = np.asarray(getattr(prior, name)), 1.0 if update == "maximise" else np.finfo(float).tiny
        if given.shape not in ((), shape) or given.dtype.kind not in "if" or not (given >= least).all():
            raise ValueError(
                f"prior has {name} {getattr(prior, name)!r}; it must be one number or an array of shape {shape}, "
                + ("1 or above." if least == 1.0 else "above 0.")
            )
    components: Any = prior.components
    check_components(components, family, d, type(estimator).__name__)
    moved = components.moved(data.rows.origin) if hasattr(components, "moved") else components
    return MarkovPrior(prior.start, prior.transitions, moved)


def check_components(components: Any, family: Any, d: int, name: str) -> None:
    """Refuse a prior of components from which an empty component could not be drawn."""
    if components is None:
        raise ValueError(f"prior has nothing on the components, which is improper: {FLAT}")
    allowed: tuple[type, ...] = getattr(family, "sampling_priors", (family.prior_type,))
    if not any(isinstance(components, kind) for kind in allowed):
        names = " or a ".join(kind.__name__ for kind in allowed)
        raise ValueError(f"prior has components {in_short(components)}; {name} needs a {names}.")
    components.check(d)
    if isinstance(components, NormalInverseWishart):
        check_definite("scatter", components.scatter)
    if not getattr(components, "proper", True):
        raise ValueError(
            f"prior has a {type(components).__name__} whose integral is infinite, which is improper: {FLAT}"
        )


def check_start(start: Any, estimator: Any) -> None:
    """Refuse a start that is no fit of this kind of estimator, or one whose components have other parameters."""
    if not isinstance(start, type(estimator)):
        raise ValueError(
            f"start is {in_short(start)}; it must be 'rows', 'prior', 'em' or a fitted {type(estimator).__name__}."
        )
    for name in ("covariance_type", "exposure", "zero_inflation"):
        theirs, ours = (getattr(one, name, None) for one in (start, estimator))
        if theirs != ours:
            raise ValueError(f"start was fitted with {name}={theirs!r}, but {name}={ours!r} is to be sampled.")


def _starts(
    estimator: Any,
    model: HiddenMarkov,
    data: Sequences,
    prior: MarkovPrior | None,
    X: Any,
    lengths: Any,
    start: Any,
    C: int,
    rng: np.random.Generator,
) -> list[MarkovParams]:
    K = estimator.n_components
    if isinstance(start, str) and start == "rows":
        every = "".join(estimator._letters)
        anew = clone(estimator).set_params(init_params=every, n_init=C + 1, random_state=rng)
        return list(anew._starts(model, data))[1:]  # the first is that of K-means, which would be the same for all
    if isinstance(start, str) and start == "prior":
        if prior is None:
            raise ValueError("start is 'prior', but prior is None; give a prior, or start='rows'.")
        return [_from_prior(estimator, model, data, prior, rng) for _ in range(C)]
    if isinstance(start, str) and start == "em":
        start = clone(estimator).set_params(random_state=rng).fit(X, lengths)
    check_start(start, estimator)
    if check_whole("n_components", start.n_components, 1) != K:
        raise ValueError(f"start has {start.n_components} states, but {K} are to be sampled.")
    fitted, _, params = start._world(X, lengths)
    symbols, own = (getattr(one.family, "n_symbols", None) for one in (fitted, model))
    if symbols != own:
        raise ValueError(f"start has an alphabet of {symbols} symbols, but paths of {own} are to be sampled.")
    return [params] * C


def _from_prior(
    estimator: Any, model: HiddenMarkov, data: Sequences, prior: MarkovPrior, rng: np.random.Generator
) -> MarkovParams:
    family: Any = model.family
    K, d = estimator.n_components, estimator._symbols_or_columns(model, data)
    alphas = [np.broadcast_to(np.asarray(p, dtype=float), (K, K)) for p in (prior.start, prior.transitions)]
    components = family.draw_prior(prior.components, K, d, rng)
    return MarkovParams(dirichlet(alphas[0][0], rng), dirichlet(alphas[1], rng), components)
