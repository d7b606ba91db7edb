"""From genotypes to the best haplotype frequencies: lists, starts, climbs, and a proof that nothing was left out.

1. All pairs are listed where they fit (`max_pairs`). Where they do not, loci enter until the list is too long; a short
   climb then tells which pairs hardly matter, and they are left out before the next locus enters.
2. Climbs start from shared-out people: each person's pairs are given equal shares, or shares drawn at random, and
   counted. (Frequencies drawn at random are worse starts: most haplotypes that are possible do not exist.) After some
   steps on the whole list only pairs that still matter to one of the climbs are kept.
3. If the climbs end at different heights, kicks follow: some people are shared out anew (among the pairs that mattered
   to any climb), others stay where the best climb has put them, until no kick has helped for a while.
4. Of the best end every haplotype that is not in it is asked whether the likelihood would rise with its frequency.
   Those for which it would enter, and the climb goes on. In the end there are none: frequencies at which the likelihood
   of *all* haplotypes is stationary, whatever was left out on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine import em
from ...engine.latent import FloatArray
from .diplotypes import Diplotypes, Indices, Locus, loci_of, unspecified
from .genotypes import Genotypes, Table
from .model import HaplotypeModel, HaplotypeParams, pairs_posterior
from .pairing import pairs_among, partners_of

WARM = 15  # steps on the whole list before it is shortened
NEGLIGIBLE = 1e-7  # of a person, for a pair to be left out after them; those that would matter come back in the end
CAREFUL = 1e-5  # the same where a list is too long, after a few steps
UNEVEN = 0.3  # shape of the gamma variates of which random shares are made: most of a person goes to few pairs
SAME = 0.01  # nats: ends closer than this are one
KICKED = 0.2  # share of the genotypes that a kick shares out anew
AT_ONCE, PATIENCE, MOST_KICKS = 8, 5, 400  # kicks in a batch, batches without success, kicks in all
RARE = 1e-3  # expected copies
RISE = 1e-4  # a left-out haplotype enters if its score is above 1 by so much
PARTNERS = 2**12  # people so incomplete that their partners number more are not asked in step 4
ROUGH = 1e-3  # nats: climbs that are only compared may stop so early; the best goes on
ENOUGH = 500  # iterations of such a climb: those that take longer walk along ridges
MOST_WORK = 2**24  # pairs times climbs that the first steps may touch: fewer climbs where lists are long


@dataclass(frozen=True)
class Trimming:
    """What was left out, and what it can have cost.

    Attributes
    ----------
    exact : bool
        Whether all compatible pairs were listed from the start.
    n_asked : int
        Haplotypes, outside of those kept, that a person could carry beside one of those kept.
    steepest : float
        The largest score among them: the derivative of the log-likelihood in the frequency of a haplotype, over its
        value 2n for those that are kept. Not above 1: no haplotype that was left out would raise the likelihood.
    n_unasked : int
        People with so much missing that they were not asked.
    """

    exact: bool = True
    n_asked: int = 0
    steepest: float = 0.0
    n_unasked: int = 0


@dataclass(frozen=True)
class Found:
    """The best climb, and what it climbed on."""

    fit: em.Fit[HaplotypeParams]
    pairs: Diplotypes
    haplotypes: Table
    ends: FloatArray  # log-likelihoods of all climbs
    trimming: Trimming = Trimming()


@dataclass(frozen=True)
class Search:
    """How to look for the best frequencies.

    Parameters
    ----------
    n_init : int or None
        Climbs; None for a few, and kicks where these disagree.
    max_pairs : int
        The longest list.
    tol, max_iter
        Of the last climb (`engine.em.fit`); those that are only compared stop at 1e-3 nats.
    """

    n_init: int | None = None
    max_pairs: int = 2**20
    tol: float = 1e-6
    max_iter: int = 10_000
    accelerate: Any = "squarem"

    def run(self, genotypes: Genotypes, rng: np.random.Generator, tick: Callable[[], object]) -> Found:
        """All of it. `tick` is called after each climb of the first, each batch of kicks and each question."""
        pairs, haplotypes, exact = self.listed(genotypes)
        few = 10 if self.n_init is None else self.n_init
        if self.n_init is None:
            few = int(np.clip(MOST_WORK // (WARM * max(1, len(pairs.first))), 3, few))
        starts = [_counted(pairs, pairs.sizes)] + [_counted(pairs, pairs.sizes, rng) for _ in range(few - 1)]
        best = self.climbed(pairs, haplotypes, starts)
        tick()
        if self.n_init is None and np.ptp(best.ends) > SAME:
            best = self.kicked(best, rng, tick)
        return self.completed(genotypes, best, exact, tick)

    @property
    def _options(self) -> dict[str, Any]:
        return {"tol": self.tol, "max_iter": self.max_iter, "accelerate": self.accelerate, "progress": False}

    # ------------------------------------------------------------------ 1

    def listed(self, genotypes: Genotypes) -> tuple[Diplotypes, Table, bool]:
        """Pairs and haplotypes, and whether nothing was trimmed."""
        rows = genotypes.informative
        pairs, exact = unspecified(genotypes.weights[rows]), True
        haplotypes: Table = np.zeros((1, 0), dtype=np.int16)
        p = np.ones(1)
        for locus in loci_of(genotypes, rows):
            if locus.growth(pairs).sum() > self.max_pairs:
                pairs, haplotypes, p = self._trimmed(pairs, haplotypes, p, locus)
                exact = False
            pairs, haplotypes, parents = locus.enter(pairs, haplotypes)
            p = p[parents] / np.bincount(parents)[parents]
        return pairs, haplotypes, exact

    def _trimmed(
        self, pairs: Diplotypes, haplotypes: Table, p: FloatArray, locus: Locus
    ) -> tuple[Diplotypes, Table, FloatArray]:
        """Without the pairs that hardly matter, so that the next locus fits; everybody keeps the best one at least."""
        model = HaplotypeModel(haplotypes)
        fit = em.fit(model, pairs, _normal(p), max_iter=WARM, tol=ROUGH, progress=False)
        shares = pairs_posterior(pairs, fit.params.frequencies)
        growth, best = locus.growth(pairs), shares == np.maximum.reduceat(shares, pairs.begins)[pairs.owner]
        floor = CAREFUL
        while floor < 1.0 and growth[(shares >= floor) | best].sum() > self.max_pairs // 4:
            floor *= 10.0
        pairs, left = pairs.kept((shares >= floor) | best)
        return pairs, haplotypes[left], fit.params.frequencies[left]

    # ------------------------------------------------------------------ 2

    def climbed(self, pairs: Diplotypes, haplotypes: Table, starts: list[HaplotypeParams], warm: int = WARM) -> Found:
        """Climb from all starts, after `warm` steps on what matters to any of them."""
        model = HaplotypeModel(haplotypes)
        begun = em.search(model, pairs, starts, max_iter=warm, tol=ROUGH, progress=False).starts
        matters = np.zeros(len(pairs.first), dtype=bool)
        for one in begun:
            matters |= pairs_posterior(pairs, one.params.frequencies) > NEGLIGIBLE
        short, left = pairs.kept(matters)
        shorter = [_normal(one.params.frequencies[left]) for one in begun]
        options = {**self._options, "tol": max(ROUGH, self.tol), "max_iter": min(ENOUGH, self.max_iter)}
        best = em.search(HaplotypeModel(haplotypes[left]), short, shorter, **options)
        return Found(best, short, haplotypes[left], np.array([one.log_likelihood for one in best.starts]))

    # ------------------------------------------------------------------ 3

    def kicked(self, best: Found, rng: np.random.Generator, tick: Callable[[], object]) -> Found:
        """Share out some people anew, climb, and keep what is better."""
        pairs, haplotypes = best.pairs, best.haplotypes
        failures, kicks, ends = 0, 0, [best.ends]
        while failures < PATIENCE and kicks < MOST_KICKS:
            p = np.zeros(len(haplotypes))
            p[_rows_in(best.haplotypes, haplotypes)] = best.fit.params.frequencies
            stay = pairs_posterior(pairs, p)
            starts = [_counted(pairs, pairs.sizes, rng, stay) for _ in range(AT_ONCE)]
            new = self.climbed(pairs, haplotypes, starts, warm=5)
            ends.append(new.ends)
            kicks += AT_ONCE
            better = new.fit.log_likelihood - best.fit.log_likelihood
            failures = 0 if better > SAME else failures + 1
            best = new if better > 0 else best
            tick()
        return replace(best, ends=np.concatenate(ends))

    # ------------------------------------------------------------------ 4

    def completed(self, genotypes: Genotypes, best: Found, exact: bool, tick: Callable[[], object]) -> Found:
        """Let in haplotypes until the likelihood of all of them is stationary; drop those that nobody carries."""
        for tol in (max(ROUGH, self.tol), self.tol):
            again = em.fit(
                HaplotypeModel(best.haplotypes), best.pairs, best.fit.params, **{**self._options, "tol": tol}
            )
            best = replace(best, fit=replace(again, starts=best.fit.starts))
            rising = True
            while rising:
                best = _without_ghosts(best)
                new, trimming = asked(genotypes, best, exact)
                tick()
                longer = self._with(genotypes, best, new, tol) if len(new) else best
                rising = longer.fit.log_likelihood > best.fit.log_likelihood + tol
                best = longer if rising else best
        return replace(best, trimming=trimming)

    def _with(self, genotypes: Genotypes, best: Found, new: Table, tol: float) -> Found:
        """Climb on with some more haplotypes, a little of each to begin with."""
        haplotypes = np.concatenate([best.haplotypes, new])
        p = np.concatenate([best.fit.params.frequencies, np.full(len(new), 0.05 / best.pairs.weights.sum())])
        pairs = pairs_among(genotypes, haplotypes)
        fit = em.fit(HaplotypeModel(haplotypes), pairs, _normal(p), **{**self._options, "tol": tol})
        return Found(replace(fit, starts=best.fit.starts), pairs, haplotypes, best.ends)


def asked(genotypes: Genotypes, best: Found, exact: bool) -> tuple[Table, Trimming]:
    """Haplotypes outside of the best whose frequency the likelihood would have rise (H', L), and how it stands.

    Only a partner of one that is kept has a score: the derivative of ``sum over b of p_a p_b`` in p_a is the sum over
    the b that go with a.
    """
    informative = np.flatnonzero(genotypes.informative)
    alleles = genotypes.alleles[informative]
    ways = ((alleles < 0) * np.log2(np.array(genotypes.n_alleles))[:, None]).sum(axis=(1, 2))
    few = ways <= np.log2(PARTNERS)
    found = partners_of(genotypes, best.haplotypes, informative[few])
    p, pairs = best.fit.params.frequencies, best.pairs
    joint = p[pairs.first] * p[pairs.second] * np.where(pairs.first == pairs.second, 1.0, 2.0)
    probability = np.zeros(len(genotypes.weights))
    probability[informative] = np.add.reduceat(joint, pairs.begins)
    each = genotypes.weights[found.owner] * p[found.given] / probability[found.owner]
    score = np.bincount(found.partner, each, len(found.haplotypes)) / pairs.weights.sum()
    outside = ~_contained(found.haplotypes, best.haplotypes)
    steepest = float(score[outside].max(initial=0.0))
    unasked = int(genotypes.weights[informative[~few]].sum())
    rising = outside & (score > 1.0 + RISE)
    return found.haplotypes[rising], Trimming(exact, int(outside.sum()), steepest, unasked)


def _without_ghosts(best: Found) -> Found:
    """Without haplotypes that are nearly gone and still on the way down: the likelihood is higher without them."""
    p, n = best.fit.params.frequencies, best.pairs.weights.sum()
    shares = pairs_posterior(best.pairs, p)
    counts = HaplotypeModel(best.haplotypes).e_step(best.pairs, best.fit.params)[0].counts
    ghost = (2 * n * p < RARE) & (counts < (1.0 - RISE) * 2 * n * p)
    if not ghost.any():
        return best
    mask = ~(ghost[best.pairs.first] | ghost[best.pairs.second])
    mask |= shares == np.maximum.reduceat(shares, best.pairs.begins)[best.pairs.owner]
    pairs, left = best.pairs.kept(mask)
    params, model = _normal(p[left]), HaplotypeModel(best.haplotypes[left])
    fit = replace(best.fit, params=params, log_likelihood=model.e_step(pairs, params)[1])
    return replace(best, fit=fit, pairs=pairs, haplotypes=best.haplotypes[left])


def _counted(
    pairs: Diplotypes, sizes: Indices, rng: np.random.Generator | None = None, stay: FloatArray | None = None
) -> HaplotypeParams:
    """Frequencies when each person is shared equally among the pairs, or at random; or stays, but for some."""
    shares = np.ones(len(pairs.first)) if rng is None else rng.gamma(UNEVEN, size=len(pairs.first)) + 1e-100
    shares /= np.add.reduceat(shares, pairs.begins)[pairs.owner]
    if rng is not None and stay is not None:
        moved = rng.random(len(pairs)) < KICKED
        shares = np.where(moved[pairs.owner], shares, stay)
    shares *= pairs.weights[pairs.owner]
    H = pairs.n_haplotypes
    return _normal(np.bincount(pairs.first, shares, H) + np.bincount(pairs.second, shares, H))


def _normal(p: NDArray[Any]) -> HaplotypeParams:
    return HaplotypeParams(p / p.sum())


def _as_items(table: Table) -> NDArray[Any]:
    """Rows as single items that can be compared."""
    rows = np.ascontiguousarray(table, dtype=np.int64)
    return rows.view([("", rows.dtype)] * rows.shape[1]).ravel()


def _contained(rows: Table, table: Table) -> NDArray[np.bool_]:
    return np.isin(_as_items(rows), _as_items(table))


def _rows_in(rows: Table, table: Table) -> Indices:
    """Where each of some rows of `table` is in it."""
    items = _as_items(table)
    order = np.argsort(items)
    return order[np.searchsorted(items, _as_items(rows), sorter=order)]
