"""The loops of phasing, compiled by numba (extra ``fast``). Imported only where numba is present.

Pairs of paths as in `pairs`, one person after the other; then the sweep of `copying`, and neighbours by the positional
Burrows-Wheeler transform. Random numbers are handed in, so that the answer depends on nothing but the seed.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

compiled: Any = numba.njit(cache=True, nogil=True, error_model="numpy")
# Sums may be taken in any order, as vectors of the processor; nothing here is ever infinite or NaN.
fast: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)


@fast
def pair_forward(g, stay, jump, show, F, scale):  # type: ignore[no-untyped-def]
    """Filtered pairs F (L, K, K) of one person; each has the sum scale (L,), its factor of the likelihood.

    The two haplotypes are exchangeable, so that every F is symmetric: sums over rows are those over columns.
    """
    L, K = jump.shape
    number = F.dtype.type
    sums, ahead, nothing, unit = np.zeros(K, F.dtype), np.zeros(K, F.dtype), number(0.0), number(1.0)
    for site in range(L):
        s, own, zero, one, here = stay[site], jump[site], show[0, site], show[1, site], F[site]
        share = nothing
        if site > 0:
            share = unit / number(scale[site - 1])
            for b in range(K):
                ahead[b] = s * sums[b] * share
        both, before = s * s * share, F[max(site - 1, 0)]
        whole = nothing
        for a in range(K):
            known, with_zero, with_one = nothing, nothing, nothing
            if g[site] < 0:
                known = unit
            elif g[site] == 0:
                with_zero = zero[a]
            elif g[site] == 1:
                with_zero, with_one = one[a], zero[a]
            else:
                with_one = one[a]
            mine, second, total = own[a], ahead[a] + own[a], nothing
            if site == 0:
                for b in range(K):
                    here[a, b] = mine * own[b] * (known + with_zero * zero[b] + with_one * one[b])
                    total += here[a, b]
            else:
                for b in range(K):
                    value = both * before[a, b] + mine * ahead[b] + second * own[b]
                    value *= known + with_zero * zero[b] + with_one * one[b]
                    here[a, b] = value
                    total += value
            sums[a] = total
            whole += total
        scale[site] = whole


@fast
def pair_expect(G, stay, jump, show, shown, jumps, values):  # type: ignore[no-untyped-def]
    """Expected alleles shown (2, L, K) and jumps (L, K) of people G (n, L) are added; log sums values (n,)."""
    n, L = G.shape
    K = jump.shape[1]
    F, scale = np.empty((L, K, K)), np.empty(L)
    W, first, sums = np.empty((K, K)), np.empty(K), np.empty(K)
    for i in range(n):
        pair_forward(G[i], stay, jump, show, F, scale)
        value = 0.0
        for site in range(L):
            value += np.log(scale[site])
        values[i] = value
        W[:] = 1.0
        for site in range(L - 1, -1, -1):
            g, zero, one, here, share = G[i, site], show[0, site], show[1, site], F[site], 1.0 / scale[site]
            for a in range(K):
                if g == 1:
                    with_one, with_zero = 0.0, 0.0
                    for b in range(K):
                        p, q = one[a] * zero[b], zero[a] * one[b]
                        part = here[a, b] * W[a, b] / max(p + q, 1e-300)
                        with_one += part * p
                        with_zero += part * q
                    shown[1, site, a] += 2.0 * with_one * share
                    shown[0, site, a] += 2.0 * with_zero * share
                elif g >= 0:
                    total = 0.0
                    for b in range(K):
                        total += here[a, b] * W[a, b]
                    shown[g // 2, site, a] += 2.0 * total * share
            own, s = jump[site], stay[site]
            if site == 0:
                for a in range(K):
                    for b in range(K):
                        jumps[0, a] += 2.0 * here[a, b] * W[a, b] * share
                break
            before, scaled = F[site - 1], s / scale[site - 1]
            for a in range(K):
                total = 0.0
                for b in range(K):
                    total += before[a, b]
                sums[a] = total * scaled + own[a]  # where the second has been, and stayed, or has jumped to
            whole = 0.0
            for a in range(K):
                with_one, with_zero, known = 0.0, 0.0, 0.0
                if g < 0:
                    known = share
                elif g == 0:
                    with_zero = zero[a] * share
                elif g == 1:
                    with_zero, with_one = one[a] * share, zero[a] * share
                else:
                    with_one = one[a] * share
                to_own, into = 0.0, 0.0
                for b in range(K):
                    W[a, b] *= known + with_zero * zero[b] + with_one * one[b]
                    to_own += W[a, b] * own[b]
                    into += W[a, b] * sums[b]
                jumps[site, a] += 2.0 * own[a] * into
                first[a] = to_own
                whole += to_own * own[a]
            for a in range(K):
                more = s * first[a] + whole
                for b in range(K):
                    W[a, b] = s * s * W[a, b] + s * first[b] + more


@compiled
def _pick(weights, u):  # type: ignore[no-untyped-def]
    """An index in proportion to the weights."""
    total = 0.0
    for w in weights:
        total += w
    point, running, m = (1.0 - u) * total, 0.0, len(weights)
    for j in range(m - 1):
        running += weights[j]
        if running >= point:
            return j
    return m - 1


@compiled
def pair_draw(g, stay, jump, show, F, scale, u, states, alleles, jumped):  # type: ignore[no-untyped-def]
    """Backward sampling after `pair_forward`: states, alleles and jumped (2, L) of one person; u is (L, 5)."""
    L, K = jump.shape
    pick = _pick(F[L - 1].ravel(), u[L - 1, 0])
    a, b, ways = pick // K, pick % K, np.empty(4)
    for site in range(L - 1, -1, -1):
        states[0, site], states[1, site] = a, b
        zero, one = show[0, site], show[1, site]
        if g[site] < 0:
            alleles[0, site] = u[site, 1] * (zero[a] + one[a]) < one[a]
            alleles[1, site] = u[site, 2] * (zero[b] + one[b]) < one[b]
        elif g[site] == 1:
            p, q = one[a] * zero[b], zero[a] * one[b]
            alleles[0, site] = u[site, 1] * (p + q) < p
            alleles[1, site] = 1 - alleles[0, site]
        else:
            alleles[0, site] = alleles[1, site] = g[site] // 2
        if site == 0:
            jumped[0, 0] = jumped[1, 0] = True
            return
        before, s, own = F[site - 1], stay[site], jump[site]
        ways[0] = s * s * before[a, b]
        ways[1] = s * own[b] * before[a].sum()
        ways[2] = s * own[a] * before[:, b].sum()
        ways[3] = own[a] * own[b] * scale[site - 1]
        how = _pick(ways, u[site, 3])
        jumped[0, site], jumped[1, site] = how >= 2, how % 2 == 1
        if how == 3:
            pick = _pick(before.ravel(), u[site, 4])
            a, b = pick // K, pick % K
        elif how == 2:
            a = _pick(before[:, b], u[site, 4])
        elif how == 1:
            b = _pick(before[a], u[site, 4])


@fast
def sweep(g, h, R, stay, jump, error, u, B, jumps, mismatches, fixed):  # type: ignore[no-untyped-def]
    """One sweep along one person: order of the alleles and switch of what follows, drawn at each heterozygote.

    g (L,) genotypes, h (2, L) haplotypes (overwritten), R (L, K) alleles of the references, stay and jump (L,) weights
    of staying and of each jump, u (L, 2) uniform numbers, B (L, 2, K) room for what is to come on either strand.
    Expected jumps (L,) and mismatches (2,: expected, out of) are added. If `fixed`, nothing is drawn: phase stays and
    missing alleles become the more probable ones.
    """
    L, K = R.shape
    zero, unit = np.float32(0.0), np.float32(1.0)
    slope = unit - error - error  # a reference shows its own allele with error + slope, and the other with error
    B[L - 1] = unit
    coming = np.empty((L, 2), np.float32)  # what is to come from a site on, itself included: the sum over references
    for site in range(L - 1, 0, -1):  # what is to come, given where each strand is
        ref = R[site]
        for row in range(2):
            total, after, here = zero, B[site, row], B[site - 1, row]
            if g[site] < 0:
                for k in range(K):
                    here[k] = after[k]
                    total += here[k]
            else:
                base, by = (error, slope) if h[row, site] == 1 else (unit - error, -slope)
                for k in range(K):
                    here[k] = after[k] * (base + by * np.float32(ref[k]))
                    total += here[k]
            coming[site, row] = total
            first, more = stay[site] * np.float32(K) / total, jump[site] * np.float32(K)
            for k in range(K):
                here[k] = first * here[k] + more
    F = np.full((2, K), unit / np.float32(K))
    T, A = np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32)  # strand by row: all, and at references with a 1
    S, P, was = np.zeros(2, np.float32), np.zeros(2, np.float32), np.zeros(2, np.uint8)
    p, other = np.zeros(4), 0  # `other` is 1 while what follows has changed strands
    for site in range(L):
        ref, s, j = R[site], stay[site], jump[site]
        if site == 0:
            s, j = unit, zero
        choose = g[site] == 1 and not fixed
        for strand in range(2):
            before, mine, across = F[strand], B[site, other ^ strand], B[site, 1 - (other ^ strand)]
            total, ones, t, a = zero, zero, zero, zero
            for k in range(K):
                f, r, w = s * before[k] + j, np.float32(ref[k]), mine[k]
                before[k] = f
                total += f
                ones += f * r
                t += f * w
                a += f * r * w
            row = other ^ strand
            S[strand], P[strand], T[strand, row], A[strand, row] = total, ones, t, a
            if choose:
                t, a = zero, zero
                for k in range(K):
                    t += before[k] * across[k]
                    a += before[k] * across[k] * np.float32(ref[k])
                T[strand, 1 - row], A[strand, 1 - row] = t, a
        was[0], was[1] = h[0, site], h[1, site]
        if choose:
            for switch in range(2):
                x, y = other ^ switch, 1 - (other ^ switch)
                for first in range(2):
                    here = A[0, x] if first == 1 else T[0, x] - A[0, x]
                    there = A[1, y] if first == 0 else T[1, y] - A[1, y]
                    weight = (error * T[0, x] + slope * here) * (error * T[1, y] + slope * there)
                    p[2 * switch + first] = max(weight, 0.0)
            choice = _pick(p, u[site, 0])
            other ^= choice // 2
            h[0, site], h[1, site] = choice % 2, 1 - choice % 2
        for strand in range(2):
            row, before = other ^ strand, F[strand]
            total, ones = T[strand, row], A[strand, row]
            if g[site] < 0:
                point = 0.5 if fixed else 1.0 - u[site, strand]
                h[strand, site] = point * total < error * total + slope * ones
                if site > 0:
                    jumps[site] += j * coming[site, row] / total
                continue
            if h[strand, site] == 1:
                base, by, match, seen = error, slope, ones, P[strand]
            else:
                base, by, match, seen = unit - error, -slope, total - ones, S[strand] - P[strand]
            whole = error * total + slope * match
            mismatches[0] += error * max(total - match, zero) / whole
            mismatches[1] += 1.0
            if site > 0:
                after = coming[site, row]  # with the allele that this strand had; with the other one it is the rest
                jumps[site] += j * (after if h[strand, site] == was[row] else np.float32(K) - after) / whole
            share = unit / (error * S[strand] + slope * seen)
            for k in range(K):
                before[k] *= share * (base + by * np.float32(ref[k]))


@compiled
def prefix_orders(H, sites, backward, orders, ranks):  # type: ignore[no-untyped-def]
    """Haplotypes of H (L, M) sorted by what lies before (or behind) each of the given sites: orders, ranks (S, M)."""
    L, M = H.shape
    order, ones = np.arange(M).astype(np.int32), np.empty(M, np.int32)
    for step in range(L):
        site = L - 1 - step if backward else step
        zeros, n_ones = 0, 0
        for m in range(M):
            who = order[m]
            if H[site, who]:
                ones[n_ones] = who
                n_ones += 1
            else:
                order[zeros] = who
                zeros += 1
        order[zeros:] = ones[:n_ones]
        for s in range(len(sites)):
            if sites[s] == site:
                for m in range(M):
                    orders[s, m] = order[m]
                    ranks[s, order[m]] = m


@compiled
def neighbours(orders, ranks, person, K, slots):  # type: ignore[no-untyped-def]
    """Indices (W, K) of references for each window: the nearest in either order (2, W, M) of either strand.

    Who is among the references of the window before keeps its place.
    """
    W, M = orders.shape[1], orders.shape[2]
    taken = np.full(M, -1, np.int32)  # the last window that has this haplotype
    chosen = np.empty(K, np.int32)
    place = np.full(M, -1, np.int32)
    for w in range(W):
        taken[2 * person] = taken[2 * person + 1] = w
        count, away, exhausted = 0, 1, False
        while count < K and not exhausted:
            exhausted = away > M
            for direction in range(2):
                for strand in range(2):
                    rank = ranks[direction, w, 2 * person + strand]
                    for side in (-1, 1):
                        at = rank + side * away
                        if 0 <= at < M and count < K:
                            who = orders[direction, w, at]
                            if taken[who] != w:
                                taken[who] = w
                                chosen[count] = who
                                count += 1
            away += 1
        if w == 0:
            for c in range(K):
                slots[0, c] = chosen[c]
                place[chosen[c]] = c
            continue
        slots[w] = -1
        for c in range(K):
            at = place[chosen[c]]
            if at >= 0 and slots[w - 1, at] == chosen[c]:
                slots[w, at] = chosen[c]
                chosen[c] = -1
        free = 0
        for c in range(K):
            if chosen[c] >= 0:
                while slots[w, free] >= 0:
                    free += 1
                slots[w, free] = chosen[c]
                place[chosen[c]] = free


@compiled
def gathered(H, slots, window, R):  # type: ignore[no-untyped-def]
    """Alleles R (L, K) of the references of each site's window, from H (L, M)."""
    L, K = R.shape
    for site in range(L):
        own, from_here = slots[window[site]], H[site]
        for k in range(K):
            R[site, k] = from_here[own[k]]


@compiled
def all_others(H, person, R):  # type: ignore[no-untyped-def]
    """Alleles R (L, M - 2) of everyone else, from H (L, M)."""
    L, M = H.shape
    for site in range(L):
        for k in range(2 * person):
            R[site, k] = H[site, k]
        for k in range(2 * person + 2, M):
            R[site, k - 2] = H[site, k]
