"""One hidden Markov model over any family of components.

    z_1 comes from `start`, z_t from row z_{t-1} of `transitions`, x_t from component z_t; z is hidden (eq. 12.1).

A mixture whose labels remember the one before. The components, their statistics and their M-step are those of
`engine.mixture`; what is new is the E-step along the sequence (`engine.chains`) and two more counts that add up: of
first states, and of transitions. They add up over sequences, not over rows, so data are cut between sequences.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import chains
from .blocks import Rows
from .chains import Chain
from .coordinates import Fixed, Named, Simplex
from .em import EPS, Degenerate
from .families import Family, IndependentNormalInverseWishart
from .families.base import NO_EVIDENCE, counts_of, dirichlet
from .kernel import Natural, Statistics, log_densities, moments
from .latent import SOFT, FloatArray, Latent
from .sequences import Sequences, as_sequences

Labels = NDArray[np.intp]


@dataclass(frozen=True)
class MarkovParams:
    """First-state probabilities (K,), transitions (K, K) with row i from state i, and the K components."""

    start: FloatArray
    transitions: FloatArray
    components: Any


@dataclass(frozen=True)
class MarkovPrior:
    """Dirichlet priors on the start and on each row of transitions (1 is flat), and the family's on components."""

    start: float | FloatArray = 1.0
    transitions: float | FloatArray = 1.0
    components: Any = None


@dataclass(frozen=True)
class MarkovStats:
    """Expected counts of first states (K,) and transitions (K, K), and the components' statistics.

    `noise` bounds the rounding error of the log-likelihood computed in the same pass.
    """

    first: FloatArray
    moves: FloatArray
    emissions: Statistics
    noise: float = 0.0

    def __add__(self, other: MarkovStats) -> MarkovStats:
        return MarkovStats(
            self.first + other.first,
            self.moves + other.moves,
            self.emissions + other.emissions,
            self.noise + other.noise,
        )

    @property
    def counts(self) -> FloatArray:
        """Expected number of observed rows in each state (K,)."""
        return self.emissions.counts


@dataclass(frozen=True)
class Held:
    """Parameters that are known: the names of fields, and where their values stand."""

    names: frozenset[str]
    values: MarkovParams


@dataclass(frozen=True)
class _Columns:
    """Responsibilities (K, n) read by rows, without a copy (`kernel.Shares`)."""

    states: FloatArray

    def __getitem__(self, rows: slice) -> FloatArray:
        return self.states[:, rows].T


@dataclass(frozen=True)
class HiddenMarkov:
    """A hidden Markov model with components from one family; implements `engine.em.Model`.

    Data are `Sequences`, or a table (n, d) that is one sequence.

    Parameters
    ----------
    family : Family
        The world inside a state.
    held : Held, optional
        Parameters that are known and not estimated.
    length : int, optional
        Of simulated sequences; one sequence of all rows if None.

    Examples
    --------
    One iteration of Baum-Welch on five counts:

    >>> from emlib.engine.families import Poisson, PoissonParams
    >>> half = np.array([0.5, 0.5])
    >>> params = MarkovParams(half, np.array([[0.8, 0.2], [0.2, 0.8]]), PoissonParams(np.array([[1.0], [5.0]])))
    >>> stats, log_likelihood = HiddenMarkov(Poisson()).e_step(np.array([[0.0], [2], [1], [6], [5]]), params)
    >>> stats.moves.round(2).tolist(), round(log_likelihood, 4)
    ([[1.79, 1.02], [0.03, 1.15]], -10.1615)
    >>> HiddenMarkov(Poisson()).m_step(stats).components.rates.ravel().round(2).tolist()
    [0.99, 5.13]
    """

    family: Family[Any]
    held: Held | None = None
    length: int | None = field(default=None, compare=False)

    @property
    def monotone(self) -> bool:
        """Whether the M-step is an exact maximiser."""
        return bool(getattr(self.family, "monotone", True))

    # ------------------------------------------------------------------ E and M

    def e_step(self, data: Any, params: MarkovParams, latent: Latent = SOFT) -> tuple[MarkovStats, float]:
        """Posterior states (eq. 12.5) and transitions (eq. 12.8), summed up; the log-likelihood (eq. 12.2).

        Paths stand where labels stand in `engine.latent`: soft, tempered, the best path of all (``HARD``: Viterbi
        training, which is not EM), or one drawn.
        """
        sequences = as_sequences(data)
        chain, natural = _chain(params), self._natural(params, sequences)
        density, t = self._densities(sequences, natural), latent.temperature
        if latent.rng is not None or t == 0.0:
            if latent.rng is not None:
                path, values = chains.draw(density, chain, sequences.cuts, latent.rng)
            else:
                path, values = chains.decode(density, chain, sequences.cuts)
            stats = self._of_path(sequences, path, natural)
        else:
            if t != 1.0:
                density *= 1.0 / t
                chain = chain.tempered(t)
            paths = chains.smooth(density, chain, sequences.cuts, cold=t < chains.COLD)
            values = paths.values if t == 1.0 else t * paths.values
            shares = _Columns(sequences.of_seen(paths.states))
            stats = MarkovStats(paths.first, paths.moves, self._moments(sequences, shares, natural))
        steps = 8 * EPS * max(t, 1.0) * sequences.n  # a step's logarithm has the rounding of several sums and products
        noise = float(np.max(natural.noise)) * sequences.n + 4 * EPS * abs(natural.base_total) + steps
        return replace(stats, noise=noise), math.fsum(values) + natural.base_total

    def m_step(self, stats: MarkovStats, prior: MarkovPrior | None = None) -> MarkovParams:
        """Start and transitions from their counts (eq. 12.9); each component from its share, as in a mixture."""
        prior = prior or MarkovPrior()
        K, start = len(stats.first), _shares(stats.first, prior.start)
        params = MarkovParams(
            np.full(K, 1.0 / K) if start is None else start,
            _rows_of_shares(stats.moves, prior.transitions),
            self.family.maximise(stats.emissions, prior.components),
        )
        return params if self.held is None else self._with_held(params, stats)

    def _with_held(self, params: MarkovParams, stats: MarkovStats) -> MarkovParams:
        assert self.held is not None
        names, known = self.held.names, self.held.values
        chain = {name: getattr(known, name) for name in ("start", "transitions") if name in names}
        own = {f.name: getattr(known.components, f.name) for f in fields(known.components) if f.name in names}
        if "means" in own and "covariances" not in names and hasattr(self.family, "spread_about"):
            own["covariances"] = self.family.spread_about(stats.emissions, own["means"])
        return replace(params, **chain, components=replace(params.components, **own))

    def draw(
        self, stats: MarkovStats, prior: MarkovPrior, rng: np.random.Generator, current: MarkovParams | None = None
    ) -> MarkovParams:
        """Start and transitions from their Dirichlet, components from their family's posterior."""
        family: Any = self.family
        in_turn = current is not None and isinstance(prior.components, IndependentNormalInverseWishart)
        more = (current.components,) if current is not None and in_turn else ()
        components = family.draw(stats.emissions, prior.components, rng, *more)
        start = dirichlet(stats.first + np.asarray(prior.start), rng)
        params = MarkovParams(start, dirichlet(stats.moves + np.asarray(prior.transitions), rng), components)
        return params if self.held is None else self._with_held(params, stats)

    def log_prior(self, params: MarkovParams, prior: MarkovPrior) -> float:
        """Log prior density up to a constant."""
        total = 0.0
        for probabilities, concentration in ((params.start, prior.start), (params.transitions, prior.transitions)):
            pseudo = np.broadcast_to(np.asarray(concentration) - 1.0, probabilities.shape)
            used = pseudo != 0.0
            total += float(pseudo[used] @ np.log(probabilities[used]))
        if prior.components is None:
            return total
        return total + self.family.log_prior(params.components, prior.components)

    def simulate(self, params: MarkovParams, n: int, rng: np.random.Generator) -> Sequences:
        """`n` rows, in sequences of `length`."""
        length = self.length or n
        lengths = np.array([length] * (n // length) + [n % length] * (n % length > 0), dtype=np.intp)
        return self.simulate_labelled(params, lengths, rng)[0]

    def simulate_labelled(
        self, params: MarkovParams, lengths: Any, rng: np.random.Generator
    ) -> tuple[Sequences, Labels]:
        """Sequences of these lengths, and the states behind them."""
        states = chains.walk(_chain(params), np.asarray(lengths, dtype=np.intp), rng)
        return Sequences(self.family.sample(params.components, states, rng), lengths), states

    # ------------------------------------------------------------------ what is hidden

    def posterior(self, data: Any, params: MarkovParams) -> tuple[FloatArray, FloatArray]:
        """Posterior state probabilities (n, K) of every row, and the log-likelihood (Q,) of every sequence."""
        sequences = as_sequences(data)
        natural = self._natural(params, sequences)
        paths = chains.smooth(self._densities(sequences, natural), _chain(params), sequences.cuts)
        return paths.states.T, paths.values + self._base(sequences, natural)

    def best_path(self, data: Any, params: MarkovParams) -> tuple[Labels, FloatArray]:
        """The most probable path (n,), and its log joint probability with each sequence (Q,)."""
        sequences = as_sequences(data)
        natural = self._natural(params, sequences)
        path, values = chains.decode(self._densities(sequences, natural), _chain(params), sequences.cuts)
        return path, values + self._base(sequences, natural)

    def from_labels(self, data: Any, labels: Labels, K: int, soften: float = 0.0) -> MarkovParams:
        """A start: components from states (n,) that are given, softened by a share spread evenly.

        Transitions are those of the labels, a pseudo-count of one added to each.
        """
        sequences = as_sequences(data)
        states = np.full((K, sequences.n), soften / K)
        states[labels, np.arange(sequences.n)] += 1.0 - soften
        shares = _Columns(sequences.of_seen(states))
        first, moves = chains.moves_of(labels, sequences.cuts, K)
        start = self.m_step(MarkovStats(first + 1.0, moves + 1.0, self._moments(sequences, shares, None, K)))
        try:
            with np.errstate(invalid="ignore", divide="ignore"):
                natural = self._natural(start, sequences)
        except (Degenerate, np.linalg.LinAlgError):
            return start  # no density here; the loop will say so
        if not natural.special:
            return start
        emissions = self._moments(sequences, shares, natural)  # measured as the E-step will measure
        return self.m_step(MarkovStats(first + 1.0, moves + 1.0, emissions))

    # ------------------------------------------------------------------ for the loop

    def project(self, params: MarkovParams) -> MarkovParams:
        """Probabilities that sum to one to the last digit."""
        project = getattr(self.family, "project", None)
        components = params.components if project is None else project(params.components)
        transitions = params.transitions / params.transitions.sum(axis=1, keepdims=True)
        return MarkovParams(params.start / params.start.sum(), transitions, components)

    def flaw(self, params: MarkovParams, stats: MarkovStats) -> str:
        """Why the fit is degenerate, or nothing."""
        flaw = getattr(self.family, "flaw", None)
        known = self.held is not None and {"means", "covariances"} & self.held.names
        return "" if flaw is None or known else str(flaw(params.components, stats.emissions))

    def caution(self, params: MarkovParams, stats: MarkovStats) -> str:
        """States that hold less than one row."""
        counts = counts_of(stats.emissions)
        starved = np.flatnonzero(counts < 1.0)
        if not len(starved):
            return ""
        k = int(starved[0])
        return f"state {k} is starved: it holds {counts[k]:.2g} of {counts.sum():g} rows; start it elsewhere."

    def relabel(self, params: MarkovParams, order: Any) -> MarkovParams:
        """The same model with its states in another order."""
        own = [f.name for f in fields(params.components) if f.name not in getattr(self.family, "tied", ())]
        moved = {name: getattr(params.components, name)[order] for name in own}
        transitions = params.transitions[np.ix_(order, order)]
        return MarkovParams(params.start[order], transitions, replace(params.components, **moved))

    def slopes(self, stats: MarkovStats, params: MarkovParams, prior: MarkovPrior | None = None) -> MarkovParams:
        """Slope of the expected complete-data log-likelihood (of eq. 12.7), plus the log prior, in every parameter."""
        prior = prior or MarkovPrior()
        family: Any = self.family
        first = stats.first + np.asarray(prior.start) - 1.0
        moves = stats.moves + np.asarray(prior.transitions) - 1.0
        with np.errstate(divide="ignore", invalid="ignore"):  # `Simplex` does not read the slope of what is 0
            components = family.slopes(stats.emissions, params.components, prior.components)
            return MarkovParams(first / params.start, moves / params.transitions, components)

    def coordinates(self, params: MarkovParams) -> Named:
        """Log-ratios within rows of probabilities, in which zeros stay, and the family's own coordinates."""
        family: Any = self.family
        held = frozenset() if self.held is None else self.held.names
        inside = family.coordinates(params.components)
        parts = {"start": Simplex(params.start), "transitions": Simplex(params.transitions)}
        components = {
            name: Fixed(np.asarray(getattr(params.components, name))) if name in held else part
            for name, part in inside.parts.items()
        }
        chain = {name: Fixed(part.values) if name in held else part for name, part in parts.items()}
        return Named(MarkovParams, {**chain, "components": Named(inside.kind, components)})

    def complete_slopes(self, data: Any, params: MarkovParams) -> Iterator[list[tuple[float, MarkovParams]]]:
        """For each sequence all its paths, with their probability and the slope they would give: for tiny data."""
        sequences, K = as_sequences(data), len(params.start)
        chain = _chain(params)
        for q in range(len(sequences)):
            one = sequences[q : q + 1]
            natural = self._natural(params, one)
            density = self._densities(one, natural)
            every = [np.array(z, dtype=np.intp) for z in itertools.product(range(K), repeat=one.n)]
            joint = np.array([chains.joint_of(z, density, chain, one.cuts)[0] for z in every])
            shares = np.exp(joint - joint.max())
            parts = (self.slopes(self._of_path(one, z, natural), params) for z in every)
            yield list(zip((shares / shares.sum()).tolist(), parts, strict=True))

    # ------------------------------------------------------------------ pieces

    def _natural(self, params: MarkovParams, sequences: Sequences) -> Natural:
        return self.family.natural(params.components, np.zeros(len(params.start)), sequences.rows)

    def _densities(self, sequences: Sequences, natural: Natural) -> FloatArray:
        """Log densities (K, n), without the base measure; zero at missing rows."""
        if not len(sequences.rows):
            return np.zeros((len(natural.eta), sequences.n))
        with np.errstate(invalid="ignore"):
            return sequences.over_time(log_densities(sequences.rows, self.family, natural))

    def _moments(
        self, sequences: Sequences, shares: _Columns, natural: Natural | None, K: int | None = None
    ) -> Statistics:
        special = None if natural is None else natural.special
        rows, K = sequences.rows, len(shares.states) if K is None else K
        if not len(rows):  # nothing but missing rows: the statistics of one row that belongs to no state
            rows, shares = Rows.passing(np.zeros((1, rows.d)), rows.origin, rows.scale), _Columns(np.zeros((K, 1)))
        return moments(rows, self.family, shares, K, special=special)

    def _of_path(self, sequences: Sequences, path: Labels, natural: Natural) -> MarkovStats:
        """Statistics of one path, as if it had been seen."""
        K = len(natural.eta)
        first, moves = chains.moves_of(path, sequences.cuts, K)
        states = (sequences.of_seen(path) == np.arange(K)[:, None]).astype(float)
        return MarkovStats(first, moves, self._moments(sequences, _Columns(states), natural))

    def _base(self, sequences: Sequences, natural: Natural) -> FloatArray:
        """Log base measure of every sequence (Q,)."""
        if natural.base is None:
            return np.zeros(len(sequences))
        own = np.concatenate([natural.base(X).ravel() for X in sequences.rows.cut(8192, 1)] or [np.zeros(0)])
        return sequences.cuts.sums(sequences.over_time(own[None])[0])


def _chain(params: MarkovParams) -> Chain:
    """Start and transitions, if they are probabilities."""
    for name in ("start", "transitions"):
        values = np.asarray(getattr(params, name))
        if not (values >= 0.0).all():
            raise Degenerate(f"{name} holds {values.min():g}; probabilities must not be negative.")
    return Chain(np.ascontiguousarray(params.start), np.ascontiguousarray(params.transitions))


def _shares(counts: FloatArray, concentration: float | FloatArray) -> FloatArray | None:
    """Counts and pseudo-counts over their sum, swept of crumbs: a probability of zero stays zero. None without any."""
    known = np.where(counts < NO_EVIDENCE, 0.0, counts) + (np.asarray(concentration) - 1.0)
    known = np.maximum(known, 0.0)
    total = known.sum()
    return known / total if total > 0.0 else None


def _rows_of_shares(moves: FloatArray, concentration: float | FloatArray) -> FloatArray:
    """The same for every row; a state that is never left goes where all states together go."""
    K = len(moves)
    pseudo = np.broadcast_to(np.asarray(concentration, dtype=float), (K, K))
    pooled = _shares(moves.sum(axis=0), 1.0)
    other = np.full(K, 1.0 / K) if pooled is None else pooled
    rows = [_shares(own, prior) for own, prior in zip(moves, pseudo, strict=True)]
    return np.stack([other if row is None else row for row in rows])
