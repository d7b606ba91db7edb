"""From sequences to a motif: many starts together, the promising ones further, their width found on the way.

All of it is `engine.em.fit` on packs of motifs: since every one of them climbs, the pack is one model that climbs, and
its E-step is one matrix product. What is decided between the climbs is which of them to go on with, and which columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...engine import em
from ...engine.latent import FloatArray
from .model import TINY, MotifModel, MotifParams, MotifPrior, MotifStats, log_evidence, stacked
from .places import Sites, places_of, sites_of
from .sequences import DNASequences
from .significance import COLUMN, best_columns, log_e_value, log_ratio
from .starts import EVERY_WORD, all_words, every_word, projections

WORK = 6e7  # windows times starts that are compared, all widths together
STARTS = (60, 5000)  # least and most of them
REACH = 6  # columns on either side that a motif may grow or shift by at a time
PSEUDO = 2.0  # Dirichlet parameter of a column when motifs are compared: one letter of each kind is believed in


def evidence(params: MotifParams, stats: MotifStats) -> FloatArray:
    """How probable the sequences are under a motif whose columns are not known but integrated out, approximately.

    The likelihood at its maximum prefers motifs with a few perfect columns, and in 12,000 windows there is always
    one that has them by chance. Averaged over all columns that could have been, the likelihood charges for having
    chosen them: ``log p(x | best) + log p(letters) - log p(letters | best)``, with the expected letters (Cheeseman &
    Stutz 1996). The letters add up, so it costs nothing.
    """
    integrated = log_evidence(stats.letters, np.full(4, PSEUDO))
    at_best = (stats.letters * np.log(np.maximum(params.pwm, TINY))).sum(axis=-1)
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
    data : DNASequences
    prior : MotifPrior
    widths : tuple of int
        Least and most.
    tol, max_iter
        Of the last climb.
    effort : float
        Multiplies the number of starts.
    """

    model: MotifModel
    data: DNASequences
    prior: MotifPrior
    widths: tuple[int, int]
    tol: float = 1e-3
    max_iter: int = 500
    effort: float = 1.0

    @property
    def steps(self) -> int:
        """How often `run` ticks: each width at which starts are compared, and what follows."""
        return len(self.screened_widths()) + 1

    def run(self, rng: np.random.Generator, tick: Callable[[], object] = lambda: None) -> Found | None:
        """The most significant motif (of one given width: the most probable); None if nothing can be a start."""
        candidates: list[MotifParams] = []
        widths = self.screened_widths()
        for w in widths:
            candidates += self._screen(w, rng, len(widths))
            tick()
        if not candidates:
            return None
        if self.widths[0] < self.widths[1]:
            candidates = self._resized(candidates)
        found = [self.finish(one) for one in candidates]
        tick()
        return self.choose([one for one in found if one is not None])

    def choose(self, found: Sequence[Found]) -> Found | None:
        """The best of several."""
        if not found:
            return None
        if self.widths[0] == self.widths[1]:
            return max(found, key=lambda one: one.evidence)
        return min(found, key=lambda one: one.log_e_value)

    def screened_widths(self) -> list[int]:
        """Widths at which starts are compared; in between, motifs grow and shrink."""
        least, most = self.widths
        if least == most:
            return [least]
        n = 1 + int(np.ceil(np.log(most / least) / np.log(1.6)))
        inner = np.geomspace(least, most, 2 * n + 1)[1::2]
        return sorted({round(w) for w in inner})

    @property
    def _quick(self) -> MotifModel:
        """At most one site, in single precision: enough to compare starts."""
        kind = "zoops" if self.model.occurrences == "anr" else self.model.occurrences
        return replace(self.model, occurrences=kind, precision="single")

    def _screen(self, w: int, rng: np.random.Generator, of: int) -> list[MotifParams]:
        """Starts of one width, climbed together; the best of them."""
        both = self.model.strands == "both"
        words = all_words(self.data, w, both)
        if not len(words):
            return []
        wanted = int(self.effort / of * np.clip(WORK / len(words), *STARTS))
        if len(words) <= EVERY_WORD:
            pwm = every_word(words)
            pwm = np.concatenate([pwm, projections(words, self.model.background, wanted, 20, rng)])
        else:
            trials = int(np.clip(wanted // 100, 8, 60))
            pwm = projections(words, self.model.background, wanted, trials, rng)
        if not len(pwm):
            return []
        model, pack = self._quick, MotifParams(pwm, np.full(len(pwm), self._first_rate))
        keep = max(5, min(40, len(pwm) // 20))
        for rounds, left in ((2, max(keep, len(pwm) // 10)), (4, len(pwm))):
            pack, value = self._climbed(model, pack, rounds)
            best = np.argsort(-value, kind="stable")[:left]
            pack = MotifParams(pack.pwm[best], np.asarray(pack.rate)[best])
        return _distinct(pack)[:keep]

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
        for rounds, keep in ((5, max(5, len(candidates) // 4)), (10, 4)):
            resized = [self.resize(one) for one in candidates]
            by_width: dict[int, list[MotifParams]] = {}
            for one in resized:
                by_width.setdefault(len(one.pwm), []).append(one)
            climbed: list[MotifParams] = []
            for some in by_width.values():
                pack, _ = self._climbed(self._quick, stacked(_distinct(stacked(some))), rounds)
                climbed += [MotifParams(p, float(r)) for p, r in zip(pack.pwm, pack.rate, strict=True)]
            candidates = sorted(climbed, key=self._rough_e_value)[:keep]
        return candidates

    def _rough_e_value(self, params: MotifParams) -> float:
        return self._significance(sites_of(self._quick, self.data, params))[0]

    def _significance(self, sites: Sites) -> tuple[float, int]:
        words = sites.words(self.data)
        places = places_of(self.data, words.shape[1], self.model)
        return log_e_value(words, places, self.model.background.frequencies, self.model.occurrences)

    def resize(self, params: MotifParams) -> MotifParams:
        """The same motif with the columns that are most significant together, within the widths allowed."""
        least, most = self.widths
        model = replace(self._quick, reach=REACH)
        stats, _ = model.e_step(self.data, params)
        cut = best_symmetric if self.model.palindrome else best_columns
        first, width = cut(stats.letters, self.model.background.frequencies, least, most)
        stats = replace(stats, letters=stats.letters[first : first + width])
        return self._quick.m_step(stats, self.prior)

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
            now = self._judged(fit)
            if best is None or self.choose([best, now]) is now:
                best = now
            else:
                break
            params = self.resize(fit.params)
            if len(params.pwm) == len(fit.params.pwm) and np.allclose(params.pwm, fit.params.pwm, atol=0.05):
                break
        return best

    def looked_at(self, params: MotifParams) -> Found:
        """A motif as it is: evaluated, not climbed from."""
        return self._judged(em.fit(self.model, self.data, params, max_iter=0, prior=self.prior, progress=False))

    def _judged(self, fit: em.Fit[MotifParams]) -> Found:
        sites = sites_of(self.model, self.data, fit.params, least=0.0)
        value, counted = self._significance(sites)
        stats, _ = self.model.e_step(self.data, fit.params)
        return Found(fit, sites, value, counted, float(evidence(fit.params, stats)))


def best_symmetric(letters: FloatArray, frequencies: FloatArray, least: int, most: int) -> tuple[int, int]:
    """The same as `best_columns` for a palindrome, which keeps its middle."""
    W = len(letters)
    best, value = (0, W), -np.inf
    worth = log_ratio((letters + letters[::-1, ::-1]) / 2, frequencies) - COLUMN / 2
    for first in range(W // 2):
        width = W - 2 * first
        if least <= width <= most and worth[first : first + width].sum() > value:
            best, value = (first, width), float(worth[first : first + width].sum())
    return best


def _distinct(pack: MotifParams) -> list[MotifParams]:
    """Motifs of a pack, in order, without those that have become the same."""
    kept: list[MotifParams] = []
    for pwm, rate in zip(pack.pwm, np.asarray(pack.rate), strict=True):
        if all(np.abs(pwm - other.pwm).max() > 0.05 for other in kept):
            kept.append(MotifParams(pwm, float(rate)))
    return kept
