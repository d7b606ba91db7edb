"""The recursions of `engine.lockstep` as plain loops, compiled by numba if it is installed (extra ``fast``).

Imported by `engine.chains` alone, and only where numba is present. Tables are (K, n), chains lie one after the other.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

compiled: Any = numba.njit(cache=True, nogil=True, error_model="numpy")


@compiled
def forward(B, start, A, firsts, lengths, alpha, scale):  # type: ignore[no-untyped-def]
    """Filtered probabilities alpha (K, n), and the factors scale (n,) they were divided by."""
    K = len(start)
    here, ahead = np.empty(K), np.empty(K)
    for q in range(len(lengths)):
        for j in range(K):
            ahead[j] = start[j]
        for t in range(firsts[q], firsts[q] + lengths[q]):
            total = 0.0
            for j in range(K):
                here[j] = ahead[j] * B[j, t]
                total += here[j]
            scale[t] = total
            share = 1.0 / total
            for j in range(K):
                here[j] *= share
                alpha[j, t] = here[j]
                ahead[j] = 0.0
            for i in range(K):
                for j in range(K):
                    ahead[j] += here[i] * A[i, j]


@compiled
def backward(B, A, firsts, lengths, alpha, scale, first, pairs):  # type: ignore[no-untyped-def]
    """Posterior probabilities over alpha; those of first rows are added to first (K,), transitions to pairs (K, K).

    What is added to pairs still has to be multiplied by A.
    """
    K = len(first)
    beta, W = np.empty(K), np.empty(K)
    for q in range(len(lengths)):
        for j in range(K):
            beta[j] = 1.0
        for t in range(firsts[q] + lengths[q] - 1, firsts[q], -1):
            share = 1.0 / scale[t]
            for j in range(K):
                W[j] = B[j, t] * beta[j] * share
                alpha[j, t] *= beta[j]
            for i in range(K):
                before, total = alpha[i, t - 1], 0.0
                for j in range(K):
                    pairs[i, j] += before * W[j]
                    total += A[i, j] * W[j]
                beta[i] = total
        for j in range(K):
            alpha[j, firsts[q]] *= beta[j]
            first[j] += alpha[j, firsts[q]]


@compiled
def best_path(log_B, log_start, log_A, firsts, lengths):  # type: ignore[no-untyped-def]
    """The most probable states (n,); of equals the first."""
    K, n = log_B.shape
    pointers, path = np.empty((n, K), dtype=np.int32), np.empty(n, dtype=np.intp)
    delta, after = np.empty(K), np.empty(K)
    for q in range(len(lengths)):
        for j in range(K):
            delta[j] = log_start[j] + log_B[j, firsts[q]]
        end = firsts[q] + lengths[q]
        for t in range(firsts[q] + 1, end):
            for j in range(K):
                best, who = delta[0] + log_A[0, j], 0
                for k in range(1, K):
                    other = delta[k] + log_A[k, j]
                    if other > best:
                        best, who = other, k
                after[j] = best + log_B[j, t]
                pointers[t, j] = who
            for j in range(K):
                delta[j] = after[j]
        state = 0
        for j in range(1, K):
            if delta[j] > delta[state]:
                state = j
        path[end - 1] = state
        for t in range(end - 1, firsts[q], -1):
            state = pointers[t, state]
            path[t - 1] = state
    return path


@compiled
def drawn_path(alpha, A, u, firsts, lengths):  # type: ignore[no-untyped-def]
    """States (n,) drawn backward in time by the uniform numbers u (n,), one for each row."""
    K, n = alpha.shape
    path = np.empty(n, dtype=np.intp)
    for q in range(len(lengths)):
        state = -1
        for t in range(firsts[q] + lengths[q] - 1, firsts[q] - 1, -1):
            total = 0.0
            for i in range(K):
                total += alpha[i, t] * (1.0 if state < 0 else A[i, state])
            point, running, picked = (1.0 - u[t]) * total, 0.0, 0
            for i in range(K - 1):
                running += alpha[i, t] * (1.0 if state < 0 else A[i, state])
                if running < point:
                    picked += 1
            state = picked
            path[t] = state
    return path
