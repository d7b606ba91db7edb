"""Recursions along chains in NumPy alone: many stretches of chains take each step together.

A recursion over time cannot be one matrix product, but the same step of many chains can. Few long chains are
cut into segments, so that these can take steps together too: what a segment does to whatever state it is entered in
is a K x K matrix, the product of its steps. One pass finds these matrices, products of neighbours say how each
segment is entered and left, and then all segments run as if they were chains of their own (a parallel prefix; Hillis &
Steele 1986). Chains and segments are packed without padding: sorted by length, those still running are a prefix.

`engine.compiled` holds the same recursions as plain loops; `engine.chains` chooses.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .latent import FloatArray

Ints = NDArray[np.intp]

# Microseconds of a step of all vectors, of a step of all matrices, of joining one segment to the next, and of one
# number of a matrix; they choose how chains are cut, and decide nothing else.
VECTOR_STEP, MATRIX_STEP, STITCH_STEP, MATRIX_NUMBER = 40.0, 60.0, 5.0, 0.004


@dataclass(frozen=True)
class Pack:
    """Stretches of chains, sorted by length, one step of all after the other.

    Attributes
    ----------
    rows : array (m,) of int
        The row of the table that stands at each place.
    bounds : array (L + 1,) of int
        Step t has the places ``bounds[t] : bounds[t + 1]``, the longest stretches first.
    of_chain : tuple of arrays of int
        For r = 0, 1, ...: the r-th stretch of each chain that has so many, chains with most stretches first. One
        array alone if the chains are whole.
    in_order : array (n,) of int
        The stretches chain by chain.
    begins : array (n,) of bool
        In this order, whether a stretch begins a chain.
    chains : array (Q,) of int
        Which chain of the table each of these chains is.
    """

    rows: Ints
    bounds: Ints
    of_chain: tuple[Ints, ...]
    in_order: Ints
    begins: NDArray[np.bool_]
    chains: Ints

    @property
    def n(self) -> int:
        """Number of stretches."""
        return int(self.bounds[1])

    @functools.cached_property
    def last(self) -> Ints:
        """The last stretch of every chain, in the order of `chains`."""
        ends = np.empty(len(self.chains), dtype=np.intp)
        for part in self.of_chain:
            ends[: len(part)] = part
        return ends

    @functools.cached_property
    def last_place(self) -> Ints:
        """Where the last row of each stretch stands (n,)."""
        places = np.empty(self.n, dtype=np.intp)
        for t in range(len(self.bounds) - 1):
            here = self.bounds[t + 1] - self.bounds[t]
            places[:here] = np.arange(self.bounds[t], self.bounds[t + 1])
        return places

    def steps(self) -> Iterator[tuple[int, slice, int]]:
        """Step, its places, and how many stretches take it."""
        bounds = self.bounds.tolist()
        for t in range(len(bounds) - 1):
            yield t, slice(bounds[t], bounds[t + 1]), bounds[t + 1] - bounds[t]

    def steps_back(self) -> Iterator[tuple[int, slice, int]]:
        """The same from the last step to the first."""
        bounds = self.bounds.tolist()
        for t in range(len(bounds) - 2, -1, -1):
            yield t, slice(bounds[t], bounds[t + 1]), bounds[t + 1] - bounds[t]


def packed(firsts: Ints, lengths: Ints, which: Ints, cut: int | None = None) -> Pack:
    """The chains `which`, whole or cut into segments of `cut` rows, ready to take steps together.

    Examples
    --------
    Chains of two and three rows: the third row of the longer is alone in its step.

    >>> pack = packed(np.array([0, 2]), np.array([2, 3]), np.array([0, 1]))
    >>> pack.rows.tolist(), pack.bounds.tolist()
    ([2, 0, 3, 1, 4], [0, 2, 4, 5])
    """
    parts = np.ones(len(which), dtype=np.intp) if cut is None else -(-lengths[which] // cut)
    order = np.argsort(-parts, kind="stable")
    which, parts = which[order], parts[order]
    n, ends = int(parts.sum()), np.cumsum(parts)
    chain = np.repeat(np.arange(len(which)), parts)
    number = np.arange(n) - np.repeat(ends - parts, parts)
    step = 0 if cut is None else cut
    start = firsts[which][chain] + number * step
    size = lengths[which][chain] - number * step
    if cut is not None:
        size = np.minimum(size, cut)
    by_size = np.argsort(-size, kind="stable")
    rank = np.empty(n, dtype=np.intp)
    rank[by_size] = np.arange(n)
    running = np.cumsum(np.bincount(size)[::-1])[::-1][1:]  # stretches of at least t + 1 rows
    bounds = np.concatenate([[0], np.cumsum(running)]).astype(np.intp)
    t = np.arange(int(size.sum())) - np.repeat(np.cumsum(size) - size, size)
    rows = np.empty(len(t), dtype=np.intp)
    rows[bounds[t] + np.repeat(rank, size)] = np.repeat(start, size) + t
    of_chain = tuple(rank[(ends - parts)[: int((parts > r).sum())] + r] for r in range(int(parts.max())))
    return Pack(rows, bounds, of_chain, rank, number == 0, which)


def packs(firsts: Ints, lengths: Ints, K: int) -> list[Pack]:
    """All chains: long ones cut where that is faster, the others whole."""
    longest = int(lengths.max())
    cut = max(8, math.isqrt(int(longest * STITCH_STEP / (VECTOR_STEP + MATRIX_STEP))))
    long = lengths > 2 * cut
    whole = longest * VECTOR_STEP
    in_parts = cut * (2 * VECTOR_STEP + MATRIX_STEP) + longest / cut * STITCH_STEP
    in_parts += int(lengths[long].sum()) * K * K * MATRIX_NUMBER
    if whole <= in_parts:
        return [packed(firsts, lengths, np.arange(len(lengths)))]
    groups = [packed(firsts, lengths, np.flatnonzero(long), cut)]
    if not long.all():
        groups.append(packed(firsts, lengths, np.flatnonzero(~long)))
    return groups


# ------------------------------------------------------------------ sums over paths


def segment_matrices(pack: Pack, B: FloatArray, A: FloatArray) -> FloatArray:
    """What each segment does to the state in which it is entered (n, K, K), each up to a factor of its own.

    The first segment of a chain begins with no transition.
    """
    K = len(A)
    F = np.repeat(A[:, :, None], pack.n, axis=2)
    F[:, :, pack.of_chain[0]] = np.eye(K)[:, :, None]
    log_size, after = np.zeros((K, pack.n)), np.empty((K, K, pack.n))
    A_T = np.ascontiguousarray(A.T)
    for t, now, a in pack.steps():
        if t:
            np.matmul(A_T, F[:, :, :a], out=after[:, :, :a])
        else:
            after[:] = F
        after[:, :, :a] *= B[:, now]
        size = after[:, :, :a].sum(axis=1)
        log_size[:, :a] += np.log(size)
        size[size == 0.0] = 1.0
        np.divide(after[:, :, :a], size[:, None], out=F[:, :, :a])
    top = log_size.max(axis=0)
    F *= np.exp(log_size - np.where(np.isfinite(top), top, 0.0))[:, None]
    return np.ascontiguousarray(F.transpose(2, 0, 1))


def entries(pack: Pack, M: FloatArray, start: FloatArray) -> FloatArray:
    """Filtered probabilities (K, n) of the state before each segment; of a chain's first segment, its start."""
    P, begins = M[pack.in_order], pack.begins
    P[begins] = (start @ P[begins])[:, None]  # equal rows: whatever came before, a chain begins with its start
    for d in _doubling(len(pack.of_chain)):
        P[d:] = _resized(P[:-d] @ P[d:])
    after = P.sum(axis=1)  # rows are multiples of each other now
    found = np.empty((pack.n, len(start)))
    found[pack.in_order[1:]] = after[:-1] / after[:-1].sum(axis=1, keepdims=True)
    found[pack.in_order[begins]] = start
    return np.ascontiguousarray(found.T)


def exits(pack: Pack, M: FloatArray, entry: FloatArray) -> FloatArray:
    """Backward messages (K, n) at the end of each segment, in units in which posteriors there sum to one."""
    P, closes = M[pack.in_order], np.append(pack.begins[1:], True)
    P[closes] = P[closes].sum(axis=2)[:, :, None]  # equal columns: whatever comes after, a chain ends here
    for d in _doubling(len(pack.of_chain)):
        P[:-d] = _resized(P[:-d] @ P[d:])
    before, found = P.sum(axis=2), np.ones((pack.n, len(entry)))
    weight = (before * entry[:, pack.in_order].T).sum(axis=1, keepdims=True)
    found[pack.in_order[:-1]] = before[1:] / weight[1:]
    found[pack.in_order[closes]] = 1.0
    return np.ascontiguousarray(found.T)


def _doubling(depth: int) -> Iterator[int]:
    """1, 2, 4, ... below `depth`: products of so many matrices make those of twice as many."""
    d = 1
    while d < depth:
        yield d
        d *= 2


def _resized(P: FloatArray) -> FloatArray:
    """Matrices (n, K, K) in units of their largest number."""
    size = P.max(axis=(1, 2), keepdims=True)
    P /= np.where(size > 0.0, size, 1.0)
    return P


@dataclass(frozen=True)
class Filtered:
    """The forward pass: alpha (K, m), each column summing to one; scale (m,); how segments are entered; matrices."""

    alpha: FloatArray
    scale: FloatArray
    entry: FloatArray
    matrices: FloatArray | None


def forward(pack: Pack, B: FloatArray, start: FloatArray, A: FloatArray) -> Filtered:
    """Filtered probabilities and scale factors, in the order of the pack (B is in it too)."""
    K, m = B.shape
    cut = len(pack.of_chain) > 1
    M = segment_matrices(pack, B, A) if cut else None
    entry = np.repeat(start[:, None], pack.n, axis=1) if M is None else entries(pack, M, start)
    A_T = np.ascontiguousarray(A.T)
    alpha, scale, ahead = np.empty((K, m)), np.empty(m), np.empty((K, pack.n))
    before = alpha[:, :0]
    for t, now, a in pack.steps():
        if t:
            np.matmul(A_T, before[:, :a], out=ahead[:, :a])
        else:
            np.matmul(A_T, entry, out=ahead)
            ahead[:, pack.of_chain[0]] = start[:, None]
        here = alpha[:, now]
        np.multiply(ahead[:, :a], B[:, now], out=here)
        np.add.reduce(here, axis=0, out=scale[now])
        here /= scale[now]
        before = here
    return Filtered(alpha, scale, entry, M)


def backward(pack: Pack, B: FloatArray, filtered: Filtered, A: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Posterior probabilities (K, m), written over alpha; those of the first rows (K,); expected transitions (K, K)."""
    alpha, scale, entry = filtered.alpha, filtered.scale, filtered.entry
    beta = np.ones_like(entry) if filtered.matrices is None else exits(pack, filtered.matrices, entry)
    pairs, ahead = np.zeros_like(A), np.empty_like(entry)
    bounds = pack.bounds.tolist()
    for t, now, a in pack.steps_back():
        here, W = alpha[:, now], ahead[:, :a]
        np.multiply(B[:, now], beta[:, :a], out=W)
        W /= scale[now]
        here *= beta[:, :a]
        if t:
            pairs += alpha[:, bounds[t - 1] : bounds[t - 1] + a] @ W.T
            np.matmul(A, W, out=beta[:, :a])
    later = np.ones(pack.n, dtype=bool)
    later[pack.of_chain[0]] = False
    if later.any():
        pairs += entry[:, later] @ ahead[:, later].T
    first = alpha[:, : pack.n][:, ~later].sum(axis=1)
    return alpha, first, pairs * A


# ------------------------------------------------------------------ single paths


def best_path(pack: Pack, log_B: FloatArray, log_start: FloatArray, log_A: FloatArray) -> Ints:
    """The most probable states (m,), in the order of the pack (Viterbi); of equals the first."""
    K, m = log_B.shape
    entry = np.repeat(log_start[:, None], pack.n, axis=1)
    if len(pack.of_chain) > 1:
        entry = _best_entries(pack, _best_matrices(pack, log_B, log_A), log_start)
    pointers = np.zeros((K, m), dtype=np.uint8 if K < 256 else np.intp)
    delta, after, trial = entry, np.empty_like(entry), np.empty_like(entry)
    ends = np.empty_like(entry)
    for t, now, a in pack.steps():
        best, own = after[:, :a], pointers[:, now]
        np.add(delta[0, :a], log_A[0][:, None], out=best)
        for k in range(1, K):
            other = trial[:, :a]
            np.add(delta[k, :a], log_A[k][:, None], out=other)
            np.copyto(own, k, where=other > best)
            np.maximum(best, other, out=best)
        if t == 0:
            best[:, pack.of_chain[0]] = log_start[:, None]
        best += log_B[:, now]
        ends[:, :a] = best
        delta, after = (after, delta) if t else (after, np.empty_like(entry))
    return backtrack(pack, pointers, ends[:, pack.last].argmax(axis=0))


def _best_matrices(pack: Pack, log_B: FloatArray, log_A: FloatArray) -> FloatArray:
    """The best a segment can do between two states (n, K, K): `segment_matrices` with max for sum."""
    K = len(log_A)
    F = np.repeat(log_A[:, :, None], pack.n, axis=2)
    F[:, :, pack.of_chain[0]] = np.where(np.eye(K, dtype=bool), 0.0, -np.inf)[:, :, None]
    after, trial = np.empty_like(F), np.empty_like(F)
    for t, now, a in pack.steps():
        if t:
            np.add(F[:, :1, :a], log_A[0][:, None], out=after[:, :, :a])
            for k in range(1, K):
                np.add(F[:, k : k + 1, :a], log_A[k][:, None], out=trial[:, :, :a])
                np.maximum(after[:, :, :a], trial[:, :, :a], out=after[:, :, :a])
            np.add(after[:, :, :a], log_B[:, now], out=F[:, :, :a])
        else:
            F += log_B[:, now]
    return np.ascontiguousarray(F.transpose(2, 0, 1))


def _best_entries(pack: Pack, M: FloatArray, log_start: FloatArray) -> FloatArray:
    found = np.empty((pack.n, len(log_start)))
    delta = np.repeat(log_start[None], len(pack.of_chain[0]), axis=0)
    for part in pack.of_chain:
        delta = delta[: len(part)]
        found[part] = delta
        delta = (delta[:, :, None] + M[part]).max(axis=1)
        delta -= delta.max(axis=1, keepdims=True)
    return np.ascontiguousarray(found.T)


def drawn_path(pack: Pack, filtered: Filtered, A: FloatArray, u: FloatArray) -> Ints:
    """States (m,) drawn from their posterior by the uniform numbers u (m,), one for each row.

    Backward in time a draw is a function of the state after it: drawn here for every such state, followed later.
    """
    alpha, K = filtered.alpha, len(A)
    pointers = np.zeros(alpha.shape, dtype=np.uint8 if K < 256 else np.intp)
    own_u = u[pack.last_place]
    for t, now, a in pack.steps():
        if t:
            places = slice(int(pack.bounds[t - 1]), int(pack.bounds[t - 1]) + a)
            pointers[:, now] = _picked(alpha[:, places], A, u[places])
        else:
            before = np.zeros(pack.n)
            for r in range(1, len(pack.of_chain)):
                before[pack.of_chain[r]] = own_u[pack.of_chain[r - 1][: len(pack.of_chain[r])]]
            pointers[:, now] = _picked(filtered.entry, A, before)
    ends = _picked(alpha[:, pack.last_place[pack.last]], np.ones((K, 1)), own_u[pack.last])[0]
    return backtrack(pack, pointers, ends.astype(np.intp))


def _picked(alpha: FloatArray, A: FloatArray, u: FloatArray) -> NDArray[np.uint8]:
    """For every next state j the state i (J, a) that u picks from shares ``alpha_i A_ij``; never one of share zero."""
    total = A.T @ alpha
    point = (1.0 - u) * total
    running, picked = np.zeros_like(total), np.zeros(total.shape, dtype=np.uint8 if len(A) < 256 else np.intp)
    for i in range(len(A) - 1):
        running += A[i][:, None] * alpha[i]
        picked += running < point
    return picked


def backtrack(pack: Pack, pointers: NDArray[np.integer], last: Ints) -> Ints:
    """Follow pointers (K, m) from each chain's last state (in the order of `chains`) to its first."""
    K = len(pointers)
    end = np.zeros(pack.n, dtype=np.intp)
    end[pack.last] = last
    if len(pack.of_chain) > 1:
        came = np.repeat(np.arange(K)[:, None], pack.n, axis=1)  # from the state at a segment's end: that before it
        columns = np.arange(pack.n)
        for _, now, a in pack.steps_back():
            came[:, :a] = pointers[:, now][came[:, :a], columns[:a]]
        for r in range(len(pack.of_chain) - 1, 0, -1):
            part = pack.of_chain[r]
            end[pack.of_chain[r - 1][: len(part)]] = came[end[part], part]
    path, state, columns = np.empty(pointers.shape[1], dtype=np.intp), end, np.arange(pack.n)
    for _, now, a in pack.steps_back():
        path[now] = state[:a]
        state[:a] = pointers[:, now][state[:a], columns[:a]]
    return path


# ------------------------------------------------------------------ logarithms, where probabilities would vanish


def log_forward_backward(
    pack: Pack, log_B: FloatArray, log_start: FloatArray, log_A: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """The same in logarithms, for whole chains: slower, and exact however improbable all paths but one are.

    Returns
    -------
    tuple
        Posterior probabilities (K, m), of the first rows (K,), transitions (K, K), logarithms of the scale factors
        (m,) and of the forward messages (K, m).
    """
    K, m = log_B.shape
    alpha, scale = np.empty((K, m)), np.empty(m)
    before = alpha[:, :0]
    for t, now, a in pack.steps():
        if t:
            here = log_sum(before[:, None, :a] + log_A[:, :, None], axis=0) + log_B[:, now]
        else:
            here = log_start[:, None] + log_B[:, now]
        scale[now] = log_sum(here, axis=0)  # as if summed: large logarithms would lose digits
        alpha[:, now] = before = here - scale[now]
    beta, moves, bounds = np.zeros((K, pack.n)), np.zeros((K, K)), pack.bounds.tolist()
    gamma = np.empty((K, m))
    for t, now, a in pack.steps_back():
        gamma[:, now] = np.exp(alpha[:, now] + beta[:, :a])
        if t:
            W = log_B[:, now] + beta[:, :a] - scale[now]
            before = alpha[:, bounds[t - 1] : bounds[t - 1] + a]
            moves += np.exp(before[:, None] + log_A[:, :, None] + W).sum(axis=2)
            beta[:, :a] = log_sum(log_A[:, :, None] + W, axis=1)
    return gamma, gamma[:, : pack.n].sum(axis=1), moves, scale, alpha


def drawn_path_in_logs(pack: Pack, log_alpha: FloatArray, log_A: FloatArray, u: FloatArray) -> Ints:
    """`drawn_path` for whole chains, from the logarithms of the forward messages."""
    K = len(log_A)
    state, path = np.zeros(pack.n, dtype=np.intp), np.empty(log_alpha.shape[1], dtype=np.intp)
    ended = pack.n * [True]
    for t, now, a in pack.steps_back():
        del t
        shares = log_alpha[:, now] + np.where(ended[:a], 0.0, log_A[:, state[:a]])
        running = np.cumsum(np.exp(shares - shares.max(axis=0)), axis=0)
        state[:a] = np.minimum((running < (1.0 - u[now]) * running[-1]).sum(axis=0), K - 1)
        ended[:a] = a * [False]
        path[now] = state[:a]
    return path


def log_sum(x: FloatArray, axis: int) -> FloatArray:
    """Logarithm of the sum of exponentials along `axis`; minus infinity where all are."""
    top = x.max(axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        total: FloatArray = np.log(np.exp(x - top).sum(axis=axis)) + np.squeeze(top, axis=axis)
    return total
