"""Markov chains seen through noise: sums over all hidden paths, and single paths. Pure numerics.

A table of log densities ``log p(x_t | state j)``, (K, n), holds chains one after the other; `Cuts` says where they
begin. Probabilities of a start and of transitions complete them. What can be asked:

`smooth`      posterior probabilities of states and expected transitions (forward-backward; eqs. 12.3 to 12.6)
`decode`      the most probable path (Viterbi; eq. 12.13)
`draw`        a path drawn from its posterior (forward filtering, backward sampling)

Sums are scaled, not taken in logarithms (eqs. 12.10 to 12.12): each row of densities is divided by its largest, each
filtered vector by its sum, and the log-likelihood is the sum of these logarithms. Where a path that is 1e250 times less
probable than all others at some time turns out to be the only one, a double cannot hold it: those chains, and only
those, are done again in logarithms.

The loops over time exist twice, compiled (`engine.compiled`, if numba is there) and in NumPy (`engine.lockstep`); the
tests hold them equal. With ``EMLIB_NUMBA=0`` in the environment NumPy is used in any case.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import lockstep
from .latent import SMALLEST_EXPONENT, FloatArray

Ints = NDArray[np.intp]

VANISHING = 1e-250  # a scale factor below this: what was left of the vector is no longer to be trusted
COLD = 0.1  # below this temperature ratios of probabilities are such that logarithms are needed from the beginning


@functools.lru_cache(maxsize=1)
def _numba() -> Any:
    """The compiled recursions, or None."""
    if os.environ.get("EMLIB_NUMBA") == "0" or importlib.util.find_spec("numba") is None:
        return None
    return importlib.import_module(".compiled", __package__)


class Cuts:
    """Where chains begin and end in a table.

    Parameters
    ----------
    lengths : array (Q,) of int
        Rows of each chain, 1 or more; chains follow each other.

    Examples
    --------
    >>> Cuts([2, 3]).firsts.tolist(), Cuts([2, 3]).n
    ([0, 2], 5)
    """

    def __init__(self, lengths: Any) -> None:
        self.lengths: Ints = np.asarray(lengths, dtype=np.intp)
        self.firsts: Ints = np.cumsum(self.lengths) - self.lengths
        self.n = int(self.lengths.sum())
        self._packs: dict[int, list[lockstep.Pack]] = {}

    def __len__(self) -> int:
        return len(self.lengths)

    def packs(self, K: int) -> list[lockstep.Pack]:
        """The chains laid out for `engine.lockstep`, once."""
        if K not in self._packs:
            self._packs[K] = lockstep.packs(self.firsts, self.lengths, K)
        return self._packs[K]

    def sums(self, terms: FloatArray) -> FloatArray:
        """Sums (Q,) of numbers (n,) over each chain; pairwise where it is long, for rounding adds up."""
        sums = np.add.reduceat(terms, self.firsts)
        for q in np.flatnonzero(self.lengths > 64):
            sums[q] = terms[self.firsts[q] : self.firsts[q] + self.lengths[q]].sum()
        return sums

    def pairs(self) -> Ints:
        """Rows (n - Q,) that are not the first of their chain: each is entered by a transition."""
        later = np.ones(self.n, dtype=bool)
        later[self.firsts] = False
        return np.flatnonzero(later)


@dataclass(frozen=True)
class Chain:
    """Probabilities of the first state (K,) and of transitions (K, K), row i from state i.

    They need not sum to one: at a temperature t they are raised to the power 1 / t.
    """

    start: FloatArray
    transitions: FloatArray

    def tempered(self, temperature: float) -> Chain:
        """Both raised to the power one over the temperature."""
        log_start, log_transitions = (log / temperature for log in self.logs)
        hot = Chain(np.exp(log_start), np.exp(log_transitions))
        hot.__dict__["logs"] = log_start, log_transitions  # where powers vanish, their logarithms are still there
        return hot

    @functools.cached_property
    def logs(self) -> tuple[FloatArray, FloatArray]:
        """Logarithms of both; that of zero is minus infinity."""
        with np.errstate(divide="ignore"):
            return np.log(self.start), np.log(self.transitions)


@dataclass(frozen=True)
class Paths:
    """What is known of hidden paths.

    Attributes
    ----------
    states : array (K, n)
        Posterior probability of each state at each row (eq. 12.5).
    first : array (K,)
        The same, summed over the first rows of all chains.
    moves : array (K, K)
        Expected number of transitions (eq. 12.8).
    values : array (Q,)
        Log sum over all paths of each chain.
    """

    states: FloatArray
    first: FloatArray
    moves: FloatArray
    values: FloatArray


def smooth(log_density: FloatArray, chain: Chain, cuts: Cuts, *, cold: bool = False) -> Paths:
    """Forward-backward: everything that an E-step needs, from log densities (K, n), which are overwritten.

    Examples
    --------
    Two states that stay with probability .9, three rows; the middle one alone speaks for state 1:

    >>> chain = Chain(np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.1, 0.9]]))
    >>> paths = smooth(np.log([[0.8, 0.4, 0.8], [0.2, 0.6, 0.2]]), chain, Cuts([3]))
    >>> paths.states[1].round(3).tolist(), float(paths.moves.sum().round(6)), float(paths.values[0].round(4))
    ([0.131, 0.156, 0.131], 2.0, -2.0418)
    """
    if cold:
        return _smooth_in_logs(log_density, chain, cuts)
    whole = log_density.copy() if _may_vanish(log_density) else None
    B, top = _scaled(log_density)
    states, first, moves, scale = _sums(B, chain, cuts)
    values = cuts.sums(np.log(scale) + top)
    lost = ~np.logical_and.reduceat(scale > VANISHING, cuts.firsts)
    if not lost.any():
        return Paths(states, first, moves, values)
    if whole is None:
        whole = np.log(B) + top
    return _again(whole, chain, cuts, lost, values)


def _may_vanish(log_density: FloatArray) -> bool:
    """Whether densities of one row differ by more than a double can hold."""
    return bool((log_density.min(axis=0) < log_density.max(axis=0) + SMALLEST_EXPONENT).any())


def _scaled(log_density: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Densities in units of the largest of each row, in place, and the logarithm of that (n,)."""
    top = log_density.max(axis=0)
    top[~np.isfinite(top)] = 0.0
    B = log_density
    B -= top
    np.maximum(B, SMALLEST_EXPONENT, out=B)
    np.exp(B, out=B)
    return B, top


def _sums(B: FloatArray, chain: Chain, cuts: Cuts) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Posteriors, first rows, transitions and scale factors (n,), by either twin."""
    K, n = B.shape
    fast, A = _numba(), chain.transitions
    with np.errstate(divide="ignore", invalid="ignore"):
        if fast is not None:
            alpha, scale = np.empty((K, n)), np.empty(n)
            first, moves = np.zeros(K), np.zeros((K, K))
            fast.forward(B, chain.start, A, cuts.firsts, cuts.lengths, alpha, scale)
            fast.backward(B, A, cuts.firsts, cuts.lengths, alpha, scale, first, moves)
            return alpha, first, moves * A, scale
        states, scale = np.empty((K, n)), np.empty(n)
        first, moves = np.zeros(K), np.zeros((K, K))
        for pack in cuts.packs(K):
            own = np.take(B, pack.rows, axis=1)
            filtered = lockstep.forward(pack, own, chain.start, A)
            scale[pack.rows] = filtered.scale
            gamma, of_first, of_moves = lockstep.backward(pack, own, filtered, A)
            states[:, pack.rows] = gamma
            first += of_first
            moves += of_moves
    return states, first, moves, scale


def _smooth_in_logs(log_density: FloatArray, chain: Chain, cuts: Cuts) -> Paths:
    pack = lockstep.packed(cuts.firsts, cuts.lengths, np.arange(len(cuts)))
    with np.errstate(invalid="ignore"):
        gamma, first, moves, logs, _ = lockstep.log_forward_backward(pack, log_density[:, pack.rows], *chain.logs)
    states, log_scale = np.empty_like(gamma), np.empty(cuts.n)
    states[:, pack.rows], log_scale[pack.rows] = gamma, logs
    return Paths(states, first, moves, cuts.sums(log_scale))


def _again(whole: FloatArray, chain: Chain, cuts: Cuts, lost: NDArray[np.bool_], values: FloatArray) -> Paths:
    """The chains that were lost in logarithms, all others scaled."""
    states, values = np.empty_like(whole), values.copy()
    rows = np.repeat(lost, cuts.lengths)
    first, moves = np.zeros(len(whole)), np.zeros((len(whole), len(whole)))
    for which, mine in ((lost, rows), (~lost, ~rows)):
        if not which.any():
            continue
        own, densities = Cuts(cuts.lengths[which]), whole[:, mine]
        if which is lost:
            found = _smooth_in_logs(densities, chain, own)
        else:
            B, top = _scaled(densities)
            gamma, of_first, of_moves, scale = _sums(B, chain, own)
            found = Paths(gamma, of_first, of_moves, own.sums(np.log(scale) + top))
        states[:, mine], values[which] = found.states, found.values
        first += found.first
        moves += found.moves
    return Paths(states, first, moves, values)


def decode(log_density: FloatArray, chain: Chain, cuts: Cuts) -> tuple[Ints, FloatArray]:
    """The most probable path (n,) and its log joint probability in each chain (Q,); of equals the first (Viterbi).

    Examples
    --------
    >>> chain = Chain(np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.1, 0.9]]))
    >>> path, value = decode(np.log([[0.8, 0.4, 0.8], [0.2, 0.6, 0.2]]), chain, Cuts([3]))
    >>> path.tolist(), value.round(4).tolist()
    ([0, 0, 0], [-2.2664])
    """
    log_start, log_A = chain.logs
    fast = _numba()
    if fast is not None:
        path = fast.best_path(log_density, log_start, log_A, cuts.firsts, cuts.lengths)
    else:
        path = np.empty(cuts.n, dtype=np.intp)
        with np.errstate(invalid="ignore"):
            for pack in cuts.packs(len(log_start)):
                own = np.take(log_density, pack.rows, axis=1)
                path[pack.rows] = lockstep.best_path(pack, own, log_start, log_A)
    return path, joint_of(path, log_density, chain, cuts)


def joint_of(path: Ints, log_density: FloatArray, chain: Chain, cuts: Cuts) -> FloatArray:
    """Log joint probability (Q,) of data and these states (n,), eq. 12.1."""
    log_start, log_A = chain.logs
    terms = log_density[path, np.arange(cuts.n)]
    terms[cuts.firsts] += log_start[path[cuts.firsts]]
    later = cuts.pairs()
    terms[later] += log_A[path[later - 1], path[later]]
    return cuts.sums(terms)


def draw(
    log_density: FloatArray, chain: Chain, cuts: Cuts, rng: np.random.Generator, *, cold: bool = False
) -> tuple[Ints, FloatArray]:
    """A path (n,) drawn from its posterior, and the log sum over all paths of each chain (Q,).

    Equal generators draw equal paths, however the recursions are run.

    Examples
    --------
    >>> chain = Chain(np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.1, 0.9]]))
    >>> rng = np.random.default_rng(0)
    >>> draws = [draw(np.log([[0.8, 0.4], [0.2, 0.6]]), chain, Cuts([2]), rng)[0] for _ in range(1000)]
    >>> np.mean(draws, axis=0).round(2).tolist()
    [0.26, 0.35]
    """
    u = rng.random(cuts.n)
    if not cold:
        whole = log_density.copy()
        B, top = _scaled(log_density)
        path, scale = _drawn(B, chain, cuts, u)
        if (scale > VANISHING).all():
            return path, cuts.sums(np.log(scale) + top)
        log_density = whole
    pack = lockstep.packed(cuts.firsts, cuts.lengths, np.arange(len(cuts)))
    with np.errstate(invalid="ignore"):
        *_, logs, alpha = lockstep.log_forward_backward(pack, log_density[:, pack.rows], *chain.logs)
        log_scale = np.empty(cuts.n)
        log_scale[pack.rows] = logs
        path = np.empty(cuts.n, dtype=np.intp)
        path[pack.rows] = lockstep.drawn_path_in_logs(pack, alpha, chain.logs[1], u[pack.rows])
    return path, cuts.sums(log_scale)


def _drawn(B: FloatArray, chain: Chain, cuts: Cuts, u: FloatArray) -> tuple[Ints, FloatArray]:
    fast, A, scale = _numba(), chain.transitions, np.empty(cuts.n)
    with np.errstate(divide="ignore", invalid="ignore"):
        if fast is not None:
            alpha = np.empty_like(B)
            fast.forward(B, chain.start, A, cuts.firsts, cuts.lengths, alpha, scale)
            return fast.drawn_path(alpha, A, u, cuts.firsts, cuts.lengths), scale
        path = np.empty(cuts.n, dtype=np.intp)
        for pack in cuts.packs(len(A)):
            filtered = lockstep.forward(pack, np.take(B, pack.rows, axis=1), chain.start, A)
            scale[pack.rows] = filtered.scale
            path[pack.rows] = lockstep.drawn_path(pack, filtered, A, u[pack.rows])
    return path, scale


def moves_of(path: Ints, cuts: Cuts, K: int) -> tuple[FloatArray, FloatArray]:
    """Counts of first states (K,) and of transitions (K, K) on decided paths: none leads from a chain to the next."""
    later = cuts.pairs()
    first = np.bincount(path[cuts.firsts], minlength=K).astype(float)
    moves = np.bincount(path[later - 1] * K + path[later], minlength=K * K).astype(float)
    return first, moves.reshape(K, K)


def walk(chain: Chain, lengths: Ints, rng: np.random.Generator) -> Ints:
    """States (n,) of chains of these lengths, simulated, one chain after the other.

    Examples
    --------
    >>> swaps = Chain(np.array([1.0, 0.0]), np.array([[0.0, 1.0], [1.0, 0.0]]))
    >>> walk(swaps, np.array([3, 2]), np.random.default_rng(0)).tolist()
    [0, 1, 0, 0, 1]
    """
    cuts = Cuts(lengths)
    u = rng.random(cuts.n)
    start, A = (np.cumsum(p, axis=-1) / p.sum(axis=-1, keepdims=True) for p in (chain.start, chain.transitions))
    K = len(start)
    # Where each state would go next, for all rows at once; then only look-ups are left.
    nexts = np.stack([np.minimum(np.searchsorted(row, u, side="right"), K - 1) for row in A], axis=1).tolist()
    firsts = np.minimum(np.searchsorted(start, u[cuts.firsts], side="right"), K - 1).tolist()
    states: list[int] = []
    for first, begin, length in zip(firsts, cuts.firsts.tolist(), cuts.lengths.tolist(), strict=True):
        state = first
        states.append(state)
        for t in range(begin + 1, begin + length):
            state = nexts[t][state]
            states.append(state)
    return np.array(states, dtype=np.intp)
