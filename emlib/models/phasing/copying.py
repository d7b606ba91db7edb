"""Stage two of phasing: each haplotype is copied from the others, with jumps and rare errors. Stochastic EM.

    a haplotype copies one of K references; between sites it jumps with probability r_l to any of them; what it shows
    is the reference's allele, but with probability e the other one (Li & Stephens, 2003).

The E-step is a Gibbs sweep: person by person, the phase of every heterozygote is drawn given everyone else's present
haplotypes. The M-step sets r_l and e to the expected jumps and errors of the sweep, over how many there could have
been. Nobody copies from himself, so the "likelihood" is a product of conditionals and no objective climbs: this is
stochastic EM on a composite likelihood, unlike the clusters of stage one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.latent import FloatArray
from .pairs import Ints

WINDOW = 150  # sites that share their references
LEAST, MOST = 1e-5, 0.5  # of a probability to jump or to err: where it is zero nothing could ever change
BLOCK = 24  # references of a block move


@dataclass
class Copying:
    """Haplotypes of n people in the making, and how they are copied.

    Attributes
    ----------
    genotypes : array (n, L) of int
    haplotypes : array (L, 2 n) of int
        Those of person i are columns 2 i and 2 i + 1.
    jump : array (L,)
        Probability of a jump before each site; the first is not used.
    error : float
    references : int
        How many everybody copies from: all others, if they are not more, or the nearest by common stretches.
    """

    genotypes: Ints
    haplotypes: NDArray[np.uint8]
    jump: FloatArray
    error: float
    references: int
    kernels: Any = field(repr=False)

    @property
    def _all(self) -> bool:
        return 2 * len(self.genotypes) - 2 <= self.references

    def sweep(self, rng: np.random.Generator) -> None:
        """E: draw the phase of everybody, in random order. M: new jumps and errors from what was expected."""
        n, L = self.genotypes.shape
        K = min(self.references, 2 * n - 2)
        nearest = None if self._all else Neighbours(self.haplotypes, K, rng, self.kernels)
        R, B, u = np.empty((L, K), np.uint8), np.empty((L, 2, K), np.float32), np.empty((L, 2))
        jumps, errors = np.zeros(L), np.zeros(2)
        for i in rng.permutation(n).tolist():
            rng.random(out=u)
            self._visit(i, R, nearest, u, B, jumps, errors, False)
        self.jump = np.clip(jumps / (2.0 * n), LEAST, MOST)
        self.error = float(np.clip(errors[0] / max(errors[1], 1.0), LEAST, MOST))

    def settle(self, rng: np.random.Generator) -> None:
        """Missing alleles become the more probable ones, given the phase of all."""
        n, L = self.genotypes.shape
        K = min(self.references, 2 * n - 2)
        nearest = None if self._all else Neighbours(self.haplotypes, K, rng, self.kernels)
        R, B, u = np.empty((L, K), np.uint8), np.empty((L, 2, K), np.float32), np.empty((L, 2))
        for i in np.flatnonzero((self.genotypes < 0).any(axis=1)).tolist():
            self._visit(i, R, nearest, u, B, np.zeros(L), np.zeros(2), True)

    def _visit(self, i: int, R: Any, nearest: Any, u: Any, B: Any, jumps: Any, errors: Any, fixed: bool) -> None:
        if nearest is None:
            self.kernels.all_others(self.haplotypes, i, R)
        else:
            nearest.gather(i, self.haplotypes, R)
        K = R.shape[1]
        stay, jump = (1.0 - self.jump).astype(np.float32), (self.jump / K).astype(np.float32)
        own = np.ascontiguousarray(self.haplotypes[:, 2 * i : 2 * i + 2].T)
        self.kernels.sweep(self.genotypes[i], own, R, stay, jump, np.float32(self.error), u, B, jumps, errors, fixed)
        self.haplotypes[:, 2 * i : 2 * i + 2] = own.T

    def block_move(self, rng: np.random.Generator, people: list[int] | None = None) -> None:
        """Draw both haplotypes of everybody (or of some people) at once, whole, as copies of the few nearest.

        A heterozygote at a time, a sweep rarely leaves a wrong arrangement of a long block; here it is drawn anew. The
        references are few, since a pair of them is a state.
        """
        n, L = self.genotypes.shape
        K = min(BLOCK, 2 * n - 2)
        nearest = Neighbours(self.haplotypes, K, rng, self.kernels)
        R, F, scale = np.empty((L, K), np.uint8), np.empty((L, K, K), np.float32), np.empty(L, np.float32)
        stay = (1.0 - self.jump).astype(np.float32)
        stay[0] = 0.0
        jump = np.repeat((self.jump / K).astype(np.float32)[:, None], K, axis=1)
        jump[0] = 1.0 / K
        states, alleles, jumped = np.empty((2, L), np.intp), np.empty((2, L), np.int8), np.empty((2, L), bool)
        for i in rng.permutation(n).tolist() if people is None else people:
            nearest.gather(i, self.haplotypes, R)
            ones = np.where(R, np.float32(1.0 - self.error), np.float32(self.error))
            show = np.stack([1 - ones, ones])
            self.kernels.pair_forward(self.genotypes[i], stay, jump, show, F, scale)
            self.kernels.pair_draw(
                self.genotypes[i], stay, jump, show, F, scale, rng.random((L, 5)), states, alleles, jumped
            )
            self.haplotypes[:, 2 * i : 2 * i + 2] = alleles.T


class Neighbours:
    """Who shares long stretches with whom, window by window: neighbours in the positional Burrows-Wheeler order.

    Haplotypes are sorted by what they show up to the middle of a window, read backward, and by what they show from
    there on, read forward; neighbours in either order agree for long (Durbin, 2014). The windows' edges are drawn anew
    each time, so that no edge stays where it is.
    """

    def __init__(self, haplotypes: NDArray[np.uint8], K: int, rng: np.random.Generator, kernels: Any) -> None:
        L, M = haplotypes.shape
        edges = np.arange(-int(rng.integers(WINDOW)), L, WINDOW)
        edges = np.unique(np.clip(edges, 0, None))
        if len(edges) > 1 and edges[1] < WINDOW // 4:
            edges = np.delete(edges, 1)
        middles = (edges + np.append(edges[1:], L) - 1) // 2
        self.window = np.searchsorted(edges, np.arange(L), side="right") - 1
        self.orders, self.ranks = np.empty((2, len(edges), M), np.int32), np.empty((2, len(edges), M), np.int32)
        kernels.prefix_orders(haplotypes, middles, False, self.orders[0], self.ranks[0])
        kernels.prefix_orders(haplotypes, middles, True, self.orders[1], self.ranks[1])
        self.slots, self.kernels = np.empty((len(edges), K), np.int32), kernels

    def gather(self, person: int, haplotypes: NDArray[np.uint8], R: NDArray[np.uint8]) -> None:
        """The alleles R (L, K) of a person's references."""
        self.kernels.neighbours(self.orders, self.ranks, person, R.shape[1], self.slots)
        self.kernels.gathered(haplotypes, self.slots, self.window, R)
