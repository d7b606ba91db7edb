"""Two hidden paths at once along a row of genotypes: sums over all pairs of paths, the best pair, and pairs drawn.

A haplotype follows a path: at site l it stays where it was with weight ``stay[l]``, or jumps to state k with weight
``jump[l, k]`` (wherever it was), and shows allele a with weight ``show[a, l, k]``. A genotype is the sum of the alleles
of two haplotypes. Because a jump forgets where it came from, a pair of K states costs K^2 a site, not K^4 (eq. 9.13):

    ahead[a, b] = stay^2 F[a, b] + stay (F[a, .] jump[b] + jump[a] F[., b]) + jump[a] jump[b] F[., .]

This is the NumPy twin, which takes many people a step at a time; `compiled` holds the same loops for numba.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ...engine.latent import FloatArray

Ints = NDArray[np.int8]
AT_ONCE = 4_000_000  # numbers of a block of people (32 MB)


@dataclass(frozen=True)
class Weights:
    """``stay`` (L,), ``jump`` (L, K) and ``show`` (2, L, K); ``stay[0]`` is 0, since every path begins with a jump."""

    stay: FloatArray
    jump: FloatArray
    show: FloatArray


@dataclass(frozen=True)
class Counts:
    """Expected alleles ``shown`` (2, L, K) and ``jumps`` (L, K), summed over people; ``values`` (n,) log sums."""

    shown: FloatArray
    jumps: FloatArray
    values: FloatArray


def emission(g: Ints, show: FloatArray) -> FloatArray:
    """Weight (n, K, K) of each pair of states for the genotypes (n,) of one site; ``show`` is (2, K)."""
    zero, one = show
    table = np.stack([np.outer(zero, zero), np.outer(one, zero) + np.outer(zero, one), np.outer(one, one)])
    found: FloatArray = np.where((g < 0)[:, None, None], 1.0, table[np.maximum(g, 0)])
    return found


def forward(G: Ints, w: Weights) -> tuple[FloatArray, FloatArray]:
    """Filtered pairs (L, n, K, K), each of sum 1, and the factors (L, n) they were divided by."""
    (n, L), K = G.shape, w.jump.shape[1]
    F, scale = np.empty((L, n, K, K)), np.empty((L, n))
    for site in range(L):
        own = w.jump[site]
        if site == 0:
            ahead = np.broadcast_to(np.outer(own, own), (n, K, K))
        else:
            before, s = F[site - 1], w.stay[site]
            onward = before.sum(axis=1)[:, None, :] * own[:, None] + before.sum(axis=2)[:, :, None] * own
            ahead = s * s * before + s * onward + np.outer(own, own)
        here = ahead * emission(G[:, site], w.show[:, site])
        scale[site] = here.sum(axis=(1, 2))
        F[site] = here / scale[site][:, None, None]
    return F, scale


def expect(G: Ints, w: Weights) -> Counts:
    """Forward-backward over all pairs of paths (eqs. 9.13 to 9.15) of people (n, L)."""
    (n, L), K = G.shape, w.jump.shape[1]
    shown, jumps, values = np.zeros((2, L, K)), np.zeros((L, K)), np.empty(n)
    step = max(1, AT_ONCE // (L * K * K))
    for i in range(0, n, step):
        values[i : i + step] = _expect_block(G[i : i + step], w, shown, jumps)
    return Counts(shown, jumps, values)


def _expect_block(G: Ints, w: Weights, shown: FloatArray, jumps: FloatArray) -> FloatArray:
    F, scale = forward(G, w)
    W = np.ones_like(F[0])  # what is to come, given the pair here
    for site in range(len(F) - 1, -1, -1):
        g, both = G[:, site], F[site] * W
        for allele in (0, 1):  # haplotypes are exchangeable: the first counts for both
            of_first = np.outer(w.show[allele, site], w.show[1 - allele, site])
            total = of_first + of_first.T
            share = np.divide(of_first, total, out=np.zeros_like(total), where=total > 0.0)
            shown[allele, site] += 2.0 * (both[g == 2 * allele].sum(axis=(0, 2)) + (both[g == 1] * share).sum((0, 2)))
        own = w.jump[site]
        if site == 0:
            jumps[0] += 2.0 * both.sum(axis=(0, 2))
            break
        W = W * emission(g, w.show[:, site]) / scale[site][:, None, None]
        s, before = w.stay[site], F[site - 1]
        into = s * before.sum(axis=1)[:, None, :] + own  # the first has jumped; the second stayed or jumped
        jumps[site] += 2.0 * own * (into * W).sum(axis=(0, 2))
        first = W @ own
        W = (
            s * s * W
            + s * (first[:, :, None] + np.einsum("nab,a->nb", W, own)[:, None, :])
            + (first @ own)[:, None, None]
        )
    return np.log(scale).sum(axis=0)


def expect_in_logs(G: Ints, w: Weights, temperature: float) -> Counts:
    """`expect` of weights raised to ``1 / temperature``, where their powers would vanish; slow."""
    (n, L), K = G.shape, w.jump.shape[1]
    stay, jump, show, of_pair = _logs(w, temperature)
    shown, jumps = np.zeros((2, L, K)), np.zeros((L, K))
    D = [np.broadcast_to(jump[0][:, None] + jump[0], (n, K, K)) + _at(G[:, 0], of_pair[:, 0])]
    moved = []  # log sums of the ways by which the first has jumped
    for site in range(1, L):
        before, s, own = D[-1], stay[site], jump[site]
        after_jump = own[:, None] + np.logaddexp(
            s + logsumexp(before, axis=1)[:, None, :], own + logsumexp(before, axis=(1, 2))[:, None, None]
        )
        stayed = np.logaddexp(2 * s + before, s + logsumexp(before, axis=2)[:, :, None] + own)
        moved.append(after_jump)
        D.append(np.logaddexp(stayed, after_jump) + _at(G[:, site], of_pair[:, site]))
    values = logsumexp(D[-1], axis=(1, 2))
    B, total = np.zeros((n, K, K)), values[:, None, None]
    for site in range(L - 1, -1, -1):
        g, both = G[:, site], np.exp(D[site] + B - total)
        for allele in (0, 1):
            share = np.exp(show[allele, site][:, None] + show[1 - allele, site] - of_pair[1, site])
            shown[allele, site] += 2.0 * (both[g == 2 * allele].sum(axis=(0, 2)) + (both[g == 1] * share).sum((0, 2)))
        if site == 0:
            jumps[0] += 2.0 * both.sum(axis=(0, 2))
            break
        W, s, own = B + _at(g, of_pair[:, site]), stay[site], jump[site]
        jumps[site] += 2.0 * np.exp(moved[site - 1] + W - total).sum(axis=(0, 2))
        first = logsumexp(W + own, axis=2)
        second = logsumexp(W + own[:, None], axis=1)
        B = np.logaddexp(
            np.logaddexp(2 * s + W, s + first[:, :, None]),
            np.logaddexp(s + second[:, None, :], logsumexp(first + own, axis=1)[:, None, None]),
        )
    return Counts(shown, jumps, values)


def _logs(w: Weights, temperature: float = 1.0) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Logarithms over the temperature of stay, jump and show, and of each genotype (3, L, K, K) from each pair.

    A heterozygote has two orders of its alleles, which are summed, or of which (at temperature 0) the better counts.
    """
    with np.errstate(divide="ignore"):
        stay, jump, show = (np.log(part) / (temperature or 1.0) for part in (w.stay, w.jump, w.show))
    pair = [[show[x][:, :, None] + show[y][:, None, :] for y in (0, 1)] for x in (0, 1)]
    either = np.logaddexp(pair[1][0], pair[0][1]) if temperature else np.maximum(pair[1][0], pair[0][1])
    return stay, jump, show, np.stack([pair[0][0], either, pair[1][1]])


def _at(g: Ints, of_pair: FloatArray) -> FloatArray:
    """Log emissions (n, K, K) of the genotypes (n,) of one site."""
    found: FloatArray = np.where((g < 0)[:, None, None], 0.0, of_pair[np.maximum(g, 0)])
    return found


def best(G: Ints, w: Weights) -> Counts:
    """The most probable pair of paths, with its jumps and alleles, counted as if it had been seen."""
    (n, L), K = G.shape, w.jump.shape[1]
    stay, jump, show, of_pair = _logs(w, 0.0)
    shown, jumps, values, person = np.zeros((2, L, K)), np.zeros((L, K)), np.empty(n), np.arange(n)
    came: list[NDArray[np.intp]] = []  # for each site how (0: both stay ... 3: both jump), and from which pair
    D = np.broadcast_to(jump[0][:, None] + jump[0], (n, K, K))
    for site in range(L):
        if site:
            ways, origins = _ways(D, stay[site], jump[site])
            how = ways.argmax(axis=0)
            came.append(np.stack([how, *(np.take_along_axis(o, how[None], 0)[0] for o in origins)]))
            D = np.take_along_axis(ways, how[None], 0)[0]
        D = D + _at(G[:, site], of_pair[:, site])
    values[:] = D.max(axis=(1, 2))
    a, b = np.divmod(D.reshape(n, -1).argmax(axis=1), K)
    for site in range(L - 1, -1, -1):
        g = G[:, site]
        swapped = show[0, site, a] + show[1, site, b] > show[1, site, a] + show[0, site, b]
        first = np.where(g == 1, ~swapped, g == 2).astype(int)
        for state, allele in ((a, first), (b, g - first)):
            np.add.at(shown, (allele[g >= 0], site, state[g >= 0]), 1.0)
        how, a_before, b_before = (came[site - 1][j, person, a, b] for j in range(3)) if site else (3, a, b)
        np.add.at(jumps[site], a[np.broadcast_to(np.asarray(how) >= 2, n)], 1.0)
        np.add.at(jumps[site], b[np.broadcast_to(np.asarray(how) % 2 == 1, n)], 1.0)
        a, b = np.asarray(a_before), np.asarray(b_before)
    return Counts(shown, jumps, values)


def _ways(D: FloatArray, stay: float, jump: FloatArray) -> tuple[FloatArray, tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The four ways (4, n, K, K) to come to a pair: stay or jump; and the pairs they come from."""
    n, K, _ = D.shape
    state = np.arange(K)
    over_b, over_a = D.argmax(axis=2), D.argmax(axis=1)  # best companion of each first, of each second
    all_a, all_b = np.divmod(D.reshape(n, -1).argmax(axis=1), K)
    ways = np.stack(
        [
            2 * stay + D,
            stay + np.broadcast_to(D.max(axis=2)[:, :, None], D.shape) + jump,
            stay + jump[:, None] + np.broadcast_to(D.max(axis=1)[:, None, :], D.shape),
            jump[:, None] + jump + D.max(axis=(1, 2))[:, None, None],
        ]
    )
    here_a, here_b = np.broadcast_to(state[:, None], D.shape), np.broadcast_to(state, D.shape)
    from_a = [
        here_a,
        here_a,
        np.broadcast_to(over_a[:, None, :], D.shape),
        np.broadcast_to(all_a[:, None, None], D.shape),
    ]
    from_b = [
        here_b,
        np.broadcast_to(over_b[:, :, None], D.shape),
        here_b,
        np.broadcast_to(all_b[:, None, None], D.shape),
    ]
    return ways, (np.stack(from_a), np.stack(from_b))


def draw(G: Ints, w: Weights, u: FloatArray) -> tuple[NDArray[np.intp], Ints, NDArray[np.bool_], FloatArray]:
    """Pairs drawn from their posterior by uniform numbers ``u`` (n, L, 5).

    Returns
    -------
    states (n, 2, L), alleles (n, 2, L), jumped (n, 2, L), values (n,)
        Alleles at missing genotypes are drawn too.
    """
    (n, L), K = G.shape, w.jump.shape[1]
    states, alleles = np.empty((n, 2, L), dtype=np.intp), np.empty((n, 2, L), dtype=np.int8)
    jumped, values = np.ones((n, 2, L), dtype=bool), np.empty(n)
    step = max(1, AT_ONCE // (L * K * K))
    for i in range(0, n, step):
        some = slice(i, i + step)
        F, scale = forward(G[some], w)
        values[some] = np.log(scale).sum(axis=0)
        _draw_block(F, G[some], w, u[some], states[some], alleles[some], jumped[some])
    return states, alleles, jumped, values


def _draw_block(
    F: FloatArray,
    G: Ints,
    w: Weights,
    u: FloatArray,
    states: NDArray[np.intp],
    alleles: Ints,
    jumped: NDArray[np.bool_],
) -> None:
    L, n, K, _ = F.shape
    person = np.arange(n)
    a, b = np.divmod(_picked(F[-1].reshape(n, -1), u[:, -1, 0]), K)
    for site in range(L - 1, -1, -1):
        states[:, 0, site], states[:, 1, site] = a, b
        g, own = G[:, site], w.show[:, site]
        one_first, one_second = own[1, a] * own[0, b], own[0, a] * own[1, b]
        first = np.where(g == 1, u[:, site, 1] * (one_first + one_second) < one_first, g == 2)
        second = np.where(g == 1, ~first, first)
        unknown = g < 0
        first = np.where(unknown, u[:, site, 1] * (own[0, a] + own[1, a]) < own[1, a], first)
        second = np.where(unknown, u[:, site, 2] * (own[0, b] + own[1, b]) < own[1, b], second)
        alleles[:, 0, site], alleles[:, 1, site] = first, second
        if site == 0:
            return
        before, s, jump = F[site - 1], w.stay[site], w.jump[site]
        of_a, of_b = before[person, a], before[person, :, b]  # (n, K): companions of a, companions of b
        ways = np.stack(
            [
                s * s * before[person, a, b],
                s * jump[b] * of_a.sum(axis=1),
                s * jump[a] * of_b.sum(axis=1),
                jump[a] * jump[b],
            ],
            axis=1,
        )
        how = _picked(ways, u[:, site, 3])
        which = u[:, site, 4]
        any_a, any_b = np.divmod(_picked(before.reshape(n, -1), which), K)
        jumped[:, 0, site], jumped[:, 1, site] = how >= 2, how % 2 == 1
        a, b = (
            np.where(how == 3, any_a, np.where(how == 2, _picked(of_b, which), a)),
            np.where(how == 3, any_b, np.where(how == 1, _picked(of_a, which), b)),
        )


def _picked(weights: FloatArray, u: FloatArray) -> NDArray[np.intp]:
    """An index (n,) in proportion to weights (n, m)."""
    running = weights.cumsum(axis=1)
    point = (1.0 - u) * running[:, -1]
    return np.minimum((running < point[:, None]).sum(axis=1), weights.shape[1] - 1)
