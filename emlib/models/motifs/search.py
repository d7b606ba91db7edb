"""From sequences to a motif: many starts together, the promising ones further, their width found on the way.

All of it is `engine.em.fit` on packs of motifs: since every one of them climbs, the pack is one model that climbs, and
its E-step is one matrix product. What is decided between the climbs is which of them to go on with, and which columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import gammaln

from ...engine import em
from ...engine.latent import FloatArray
from .model import TINY, MotifModel, MotifParams, MotifPrior, MotifStats, stacked
from .places import Sites, places_of, sites_of
from .sequences import Sequences
from .significance import best_columns, log_e_value
from .starts import EVERY_WORD, all_words, every_word, projections

WORK = 1.5e8  # windows times starts, per width, that are compared
MOST_STARTS = 6000
PSEUDO = 2.0  # Dirichlet parameter of a column when motifs are compared: one letter of each kind is believed in


def evidence(params: MotifParams, stats: MotifStats) -> FloatArray:
    """How probable the sequences are under a motif whose columns are not known but integrated out, approximately.

    The likelihood at its maximum prefers motifs with a few perfect columns, and in 12,000 windows there is always
    one that has them by chance. Averaged over all columns that could have been, the likelihood charges for having
    chosen them: ``log p(x | best) + log p(letters) - log p(letters | best)``, with the expected letters (Cheeseman &
    Stutz 1996). The letters add up, so it costs nothing.
    """
    c = stats.letters
    integrated = gammaln(4 * PSEUDO) - gammaln(c.sum(axis=-1) + 4 * PSEUDO)
    integrated = integrated + (gammaln(c + PSEUDO) - gammaln(PSEUDO)).sum(axis=-1)
    at_best = (c * np.log(np.maximum(params.pwm, TINY))).sum(axis=-1)
    return np.asarray(stats.values + (integrated - at_best).sum(axis=-1))


@dataclass(frozen=True)
class Found:
    """A motif that the search came to."""

    fit: em.Fit[MotifParams]
    sites: Sites
    log_e_value: float
    n_counted: int
    evidence: float


@dataclass(frozen=True)
class Search:
    """What to look for, and where.

    Parameters
    ----------
    model : MotifModel
    data : Sequences
    prior : MotifPrior
    widths : tuple of int
        Least and most.
    tol, max_iter
        Of the last climb.
    effort : float
        Multiplies the number of starts.
    """

    model: MotifModel
    data: Sequences
    prior: MotifPrior
    widths: tuple[int, int]
    tol: float = 1e-3
    max_iter: int = 500
    effort: float = 1.0
    keep: int = 40

    def run(self, rng: np.random.Generator) -> Found | None:
        """The most significant motif (of one given width: the most probable); None if nothing can be a start."""
        candidates: list[MotifParams] = []
        for w in self._screened_widths():
            candidates += self._screen(w, rng)
        if not candidates:
            return None
        if self.widths[0] < self.widths[1]:
            candidates = self._resized(candidates)
        found = [self.finish(one) for one in candidates]
        return self.choose([one for one in found if one is not None])

    def choose(self, found: Sequence[Found]) -> Found | None:
        """The best of several."""
        if not found:
            return None
        if self.widths[0] == self.widths[1]:
            return max(found, key=lambda one: one.evidence)
        return min(found, key=lambda one: one.log_e_value)

    def _screened_widths(self) -> list[int]:
        least, most = self.widths
        if least == most:
            return [least]
        n = 1 + int(np.ceil(np.log(most / least) / np.log(1.6)))
        inner = np.geomspace(least, most, 2 * n + 1)[1::2]
        return sorted({int(round(w)) for w in inner})

    @property
    def _quick(self) -> MotifModel:
        """At most one site, in single precision: enough to compare starts."""
        kind = "zoops" if self.model.occurrences == "anr" else self.model.occurrences
        return replace(self.model, occurrences=kind, precision="single")

    def _screen(self, w: int, rng: np.random.Generator) -> list[MotifParams]:
        """Starts of one width, climbed together; the best of them."""
        both = self.model.strands == "both"
        words = all_words(self.data, w, both)
        if not len(words):
            return []
        wanted = int(np.clip(self.effort * WORK / len(words), 200, MOST_STARTS * self.effort))
        if len(words) <= EVERY_WORD:
            pwm = every_word(words)
            if self.model.background.order >= 0:
                pwm = np.concatenate([pwm, projections(words, self.model.background, 1000, 20, rng)])
        else:
            trials = int(np.clip(wanted // 100, 8, 60))
            pwm = projections(words, self.model.background, wanted, trials, rng)
        if not len(pwm):
            return []
        model, pack = self._quick, MotifParams(pwm, np.full(len(pwm), self._first_rate))
        for rounds, share in ((2, 12), (4, 1)):
            pack, value = self._climbed(model, pack, rounds)
            best = np.argsort(-value, kind="stable")[: max(self.keep * share, 1)]
            pack = MotifParams(pack.pwm[best], np.asarray(pack.rate)[best])
        return _distinct(pack)[: self.keep]

    @property
    def _first_rate(self) -> float:
        return 1.0 if self.model.occurrences == "oops" else 0.5

    def _climbed(self, model: MotifModel, pack: MotifParams, rounds: int) -> tuple[MotifParams, FloatArray]:
        """A pack of motifs after some iterations, and their evidence."""
        last: list[Any] = []
        em.fit(
            model,
            self.data,
            pack,
            max_iter=rounds,
            tol=0.0,
            prior=self.prior,
            callback=lambda step: last.__setitem__(slice(None), [step]),
            progress=False,
        )
        return last[0].params, evidence(last[0].params, last[0].stats)

    def _resized(self, candidates: list[MotifParams]) -> list[MotifParams]:
        """Candidates of one width each given their own, and climbed a little more there; the most significant."""
        for rounds, keep in ((5, 20), (10, 5)):
            resized = [self.resize(one) for one in candidates]
            by_width: dict[int, list[MotifParams]] = {}
            for one in resized:
                by_width.setdefault(len(one.pwm), []).append(one)
            climbed: list[MotifParams] = []
            for some in by_width.values():
                pack, _ = self._climbed(self._quick, stacked(_distinct(stacked(some))), rounds)
                climbed += [MotifParams(p, float(r)) for p, r in zip(pack.pwm, pack.rate, strict=True)]
            ranked = sorted(climbed, key=self._rough_e_value)
            candidates = ranked[:keep]
        return candidates

    def _rough_e_value(self, params: MotifParams) -> float:
        sites = sites_of(self._quick, self.data, params, least=0.0)
        return self._significance(sites)[0]

    def _significance(self, sites: Sites) -> tuple[float, int]:
        words = sites.words(self.data)
        places = places_of(self.data, words.shape[1], self.model)
        return log_e_value(words, places, self.model.background.frequencies, self.model.occurrences)

    def resize(self, params: MotifParams) -> MotifParams:
        """The same motif with the columns that are most significant together, within the widths allowed."""
        least, most = self.widths
        w = len(params.pwm)
        flank = max(1, min(most - w, 6)) if w < most else min(3, w)
        wide = self._padded(params, flank)
        stats, _ = self._quick.e_step(self.data, wide)
        frequencies = self.model.background.frequencies
        if self.model.palindrome:
            cut = best_symmetric(stats.letters, frequencies, least, most)
        else:
            cut = best_columns(stats.letters, frequencies, least, most, 0.0)
        first, width = cut
        again = self._quick.m_step(stats, self.prior)
        return MotifParams(again.pwm[first : first + width], again.rate)

    def _padded(self, params: MotifParams, flank: int) -> MotifParams:
        """Columns of background on both sides."""
        side = np.tile(self.model.background.frequencies, (flank, 1))
        return MotifParams(np.concatenate([side, params.pwm, side]), params.rate)

    def finish(self, params: MotifParams) -> Found | None:
        """Climbed to the top in double precision, resized until its width stays."""
        best: Found | None = None
        for _ in range(4):
            fit = em.fit(
                self.model,
                self.data,
                params,
                max_iter=self.max_iter,
                tol=self.tol,
                prior=self.prior,
                progress=False,
            )
            sites = sites_of(self.model, self.data, fit.params, least=0.0)
            value, counted = self._significance(sites)
            stats, _ = self.model.e_step(self.data, fit.params)
            now = Found(fit, sites, value, counted, float(evidence(fit.params, stats)))
            if best is None or self.choose([best, now]) is now:
                best = now
            else:
                break
            params = self.resize(fit.params)
            if len(params.pwm) == len(fit.params.pwm) and np.allclose(params.pwm, fit.params.pwm, atol=0.05):
                break
        return best


def best_symmetric(letters: FloatArray, frequencies: FloatArray, least: int, most: int) -> tuple[int, int]:
    """The same as `best_columns` for a palindrome, which keeps its middle."""
    W = len(letters)
    best, value = (0, W), np.inf
    from .significance import log_column_p, log_product_p

    log_p = log_column_p(letters, frequencies, exact=False)
    for first in range(W // 2):
        width = W - 2 * first
        if least <= width <= most:
            here = float(log_product_p(log_p[first : first + (width + 1) // 2].sum(), (width + 1) // 2))
            if here < value:
                best, value = (first, width), here
    return best


def _distinct(pack: MotifParams) -> list[MotifParams]:
    """Motifs of a pack, in order, without those that have become the same."""
    kept: list[MotifParams] = []
    for pwm, rate in zip(pack.pwm, np.asarray(pack.rate), strict=True):
        if all(np.abs(pwm - other.pwm).max() > 0.05 for other in kept):
            kept.append(MotifParams(pwm, float(rate)))
    return kept


_ = Callable
