"""From sequences to a motif: many starts together, the promising ones further, their width found on the way.

All of it is `engine.em.fit` on packs of motifs: since every one of them climbs, the pack is one model that climbs, and
its E-step is one matrix product. What is decided between the climbs is which of them to go on with, and which columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine import em
from ...engine.latent import FloatArray
from .averaged import AveragedMotifs, averaged
from .columns import UNLIKELY, averaging_prior, best_run, runs_of
from .model import TINY, MotifModel, MotifParams, MotifPrior, MotifStats, log_evidence, stacked, unstacked
from .places import Sites, covered, places_of, sites_of
from .sequences import DNASequences
from .significance import COLUMN, best_columns, log_e_value, log_ratio
from .starts import EVERY_WORD, all_words, every_word, projections

WORK = 6e7  # windows times starts that are compared, all widths together
STARTS = (60, 5000)  # least and most of them
FEW = 1e6  # nats: what a motif of too few sites is behind any other
FINALISTS = 8  # motifs that are climbed to the top, ...
FAR = 15.0  # ... if they are not so many nats behind the best, ...
NEARLY = 0.2  # ... or so nearly to the top, in nats, that they can be compared
VERSIONS = 8  # other runs of columns of the best motif that are looked at besides
LOOSE = 2.0  # temperature of the evidence of versions: it is a bound, so that they are only roughly comparable
REACH = 6  # columns on either side that a motif may grow or shift by at a time
PSEUDO = 2.0  # Dirichlet parameter by which estimated columns are compared: one letter of each kind is believed in


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
    """A motif that the search came to.

    `params` are its columns as reported; `fit` is the climb, whose parameters are what the sites were judged by.
    """

    fit: em.Fit[MotifParams]
    params: MotifParams
    log_likelihood: float
    sites: Sites
    log_e_value: float
    n_counted: int
    evidence: float
    n_sites: float


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
    averaging : bool
        Whether columns are averaged over (`AveragedMotifs`) or estimated, with `prior`.
    """

    model: MotifModel
    data: DNASequences
    prior: MotifPrior
    widths: tuple[int, int]
    tol: float = 1e-3
    max_iter: int = 500
    effort: float = 1.0
    averaging: bool = False

    @property
    def steps(self) -> int:
        """How often `run` ticks: each width at which starts are compared, and what follows."""
        return len(self.screened_widths()) + 1

    def run(self, rng: np.random.Generator, tick: Callable[[], object] | None = None) -> Found | None:
        """The most probable motif; None if nothing can be a start. `tick` is called after each step."""
        done = tick or (lambda: None)
        candidates: list[MotifParams] = []
        widths = self.screened_widths()
        for w in widths:
            candidates += self._screen(w, rng, len(widths))
            done()
        if not candidates:
            return None
        if self.widths[0] < self.widths[1]:
            candidates = self._resized(candidates)
        best = self._settled(candidates) if self.averaging else self.choose(list(map(self.finish, candidates)))
        done()
        return best

    def _settled(self, candidates: Sequence[MotifParams]) -> Found:
        """The motif that versions agree on, which are climbed nearly to the top, itself climbed to the top."""
        nearly = replace(self, tol=max(self.tol, NEARLY), max_iter=min(self.max_iter, 30))
        found = [nearly.finish(one) for one in candidates]
        found += nearly.versions(max(found, key=self._rank))
        return self._climb(self.agreed(found).fit.params)

    def _rank(self, one: Found) -> tuple[bool, float]:
        return one.n_sites >= self._enough, one.evidence

    def choose(self, found: Sequence[Found]) -> Found | None:
        """The best of several.

        By evidence; by E-value only between widths whose columns were estimated, since the evidence does not charge
        for them then as it should.
        """
        if not found:
            return None
        if self.widths[0] < self.widths[1] and not self.averaging:
            return min(found, key=lambda one: one.log_e_value)
        return max(found, key=self._rank)

    def agreed(self, found: Sequence[Found]) -> Found:
        """Of motifs that are about as probable, the one whose sites agree best with those of the others.

        Several versions of a motif, a column more or less wide, are often within a nat of each other. What is greatest
        on average over them, by their evidence, is the share of letters that two versions both call a site.
        """
        able = [one for one in found if one.n_sites >= self._enough] or list(found)
        value = np.array([one.evidence for one in able])
        shares = np.exp((value - value.max()) / LOOSE)
        called = [covered(self.data, sites_of(self.model, self.data, one.fit.params)) for one in able]
        size = np.array([max(len(c), 1) for c in called])
        common = np.array([[len(np.intersect1d(a, b, assume_unique=True)) for b in called] for a in called])
        return able[int((common / np.sqrt(size[:, None] * size) @ shares).argmax())]

    def screened_widths(self) -> list[int]:
        """Widths at which starts are compared; in between, motifs grow and shrink."""
        least, most = self.widths
        if least == most:
            return [least]
        n = 1 + int(np.ceil(np.log(most / least) / np.log(1.6)))
        inner = {round(w) for w in np.geomspace(least, most, 2 * n + 1)[1::2]}
        if self.model.palindrome:  # it grows and shrinks by a column on either side: widths even and odd are apart
            inner |= {w + 1 for w in inner if w < most}
        return sorted(inner)

    @property
    def _quick(self) -> MotifModel:
        """At most one site, in single precision: enough to compare starts."""
        kind = "zoops" if self.model.occurrences == "anr" else self.model.occurrences
        return self._climber(replace(self.model, occurrences=kind, precision="single"))

    def _climber(self, model: MotifModel) -> MotifModel:
        return averaged(model) if self.averaging else model

    def _prior(self, model: MotifModel) -> Any:
        return averaging_prior(model) if self.averaging else self.prior

    def _evidence(self, model: MotifModel, params: MotifParams, stats: MotifStats) -> FloatArray:
        if isinstance(model, AveragedMotifs):
            return model.evidence(params, stats, self._prior(model))
        return evidence(params, stats)

    @property
    def _enough(self) -> float:
        """Sites below which a motif is taken only if there is no other: a wide one always fits a few places."""
        return 0.0 if self.model.occurrences == "oops" else float(np.sqrt(len(self.data)))

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
        pack = self._begun(pwm)
        keep = max(5, min(40, len(pwm) // 20))
        for rounds, left in ((2, max(keep, len(pwm) // 10)), (4, len(pwm))):
            pack, value, _ = self._climbed(pack, rounds)
            pack = _part(pack, np.argsort(-value, kind="stable")[:left])
        return self._distinct(pack)[:keep]

    def _begun(self, pwm: FloatArray) -> MotifParams:
        """Matrices (S, w, 4) as parameters to climb from."""
        model, rate = self._quick, np.full(len(pwm), 1.0 if self.model.occurrences == "oops" else 0.5)
        pwm = model.folded(pwm)  # as the M-step makes them: what it had to change might become less likely
        return (
            model.begin(pwm, rate, self._prior(model)) if isinstance(model, AveragedMotifs) else MotifParams(pwm, rate)
        )

    def _climbed(self, pack: MotifParams, rounds: int) -> tuple[MotifParams, FloatArray, FloatArray]:
        """A pack of motifs after some iterations, their evidence, and how many sites they have."""
        model = self._quick
        last: list[Any] = []
        em.fit(
            model,
            self.data,
            pack,
            max_iter=rounds,
            tol=0.0,
            prior=self._prior(model),
            callback=lambda step: last.__setitem__(slice(None), [step]),
            progress=False,
        )
        params, stats = last[0].params, last[0].stats
        return params, self._evidence(model, params, stats), np.asarray(stats.sites)

    def _resized(self, candidates: list[MotifParams]) -> list[MotifParams]:
        """Candidates of one width each given their own, and climbed a little more there; the best of them."""
        for rounds, keep in ((5, max(12, len(candidates) // 3)), (10, FINALISTS)):
            by_width: dict[int, list[MotifParams]] = {}
            for one in candidates:
                resized = self.resize(one)
                by_width.setdefault(len(resized.pwm), []).append(resized)
            climbed: list[tuple[float, MotifParams]] = []
            for some in by_width.values():
                pack, value, sites = self._climbed(stacked(self._distinct(stacked(some))), rounds)
                for s, one in enumerate(unstacked(pack)):
                    worth = float(value[s]) - (0.0 if sites[s] >= self._enough else FEW)
                    climbed.append((worth if self.averaging else -self._rough_e_value(one), one))
            top = max(value for value, _ in climbed)
            climbed = [pair for pair in climbed if pair[0] > top - FAR]
            candidates = [one for _, one in sorted(climbed, key=lambda pair: -pair[0])[:keep]]
        return candidates

    def _distinct(self, pack: MotifParams) -> list[MotifParams]:
        """Motifs of a pack, in order, without those that have become the same (or its reverse complement)."""
        kept: list[FloatArray] = []
        chosen = []
        for one in unstacked(pack):
            if all(np.abs(one.pwm - other).max() > 0.05 for other in kept):
                kept += [one.pwm, one.pwm[::-1, ::-1]] if self.model.strands == "both" else [one.pwm]
                chosen.append(one)
        return chosen

    def _rough_e_value(self, params: MotifParams) -> float:
        return self._significance(sites_of(self._quick, self.data, params))[0]

    def _significance(self, sites: Sites) -> tuple[float, int]:
        words = sites.words(self.data)
        places = places_of(self.data, words.shape[1], self.model)
        return log_e_value(words, places, self.model.background.frequencies, self.model.occurrences)

    def versions(self, found: Found) -> list[Found]:
        """The same motif with other runs of columns that are about as probable, climbed."""
        if self.widths[0] == self.widths[1] or self.model.palindrome:
            return []
        model, own = self._quick, len(found.fit.params.pwm)
        stats, _ = replace(model, reach=REACH).e_step(self.data, found.fit.params)
        prior = self._prior(model)
        first, width, value = runs_of(
            stats.letters, stats.letters @ np.log(self.model.background.frequencies), prior, self.widths
        )
        able = (value > value.max() - UNLIKELY) & ((first != REACH) | (width != own))
        others = np.argsort(-np.where(able, value, -np.inf), kind="stable")[: min(VERSIONS, able.sum())]
        return [
            self._climb(model.m_step(replace(stats, letters=stats.letters[first[i] :][: width[i]]), prior))
            for i in others
        ]

    def resize(self, params: MotifParams) -> MotifParams:
        """The same motif with the columns that are worth most together, within the widths allowed."""
        model = self._quick
        stats, _ = replace(model, reach=REACH).e_step(self.data, params)
        first, width = self._cut(stats.letters)
        stats = replace(stats, letters=stats.letters[first : first + width])
        return model.m_step(stats, self._prior(model))

    def _cut(self, letters: FloatArray) -> tuple[int, int]:
        """First column and width of the best run among columns of letters (W, 4)."""
        frequencies, palindrome = self.model.background.frequencies, self.model.palindrome
        if palindrome:
            letters = (letters + letters[::-1, ::-1]) / 2
        if self.averaging:
            prior = averaging_prior(self.model)
            return best_run(letters, letters @ np.log(frequencies), prior, self.widths, palindrome)
        worth = log_ratio(letters, frequencies) - COLUMN / (2 if palindrome else 1)
        return best_columns(worth, *self.widths, symmetric=palindrome)

    def finish(self, params: MotifParams) -> Found:
        """Climbed to the top in double precision, resized until its width stays."""
        best = self._climb(params)
        for _ in range(3):
            before, params = best.fit.params.pwm, self.resize(best.fit.params)
            if len(params.pwm) == len(before) and np.allclose(params.pwm, before, atol=0.05):
                break
            now = self._climb(params)
            if self.choose([best, now]) is best:
                break
            best = now
        return best

    def _climb(self, params: MotifParams) -> Found:
        model = self._climber(self.model)
        prior = self._prior(model)
        fit = em.fit(model, self.data, params, max_iter=self.max_iter, tol=self.tol, prior=prior, progress=False)
        return self._judged(model, fit)

    def looked_at(self, params: MotifParams) -> Found:
        """A motif as it is: evaluated, not climbed from."""
        model = self.model
        return self._judged(model, em.fit(model, self.data, params, max_iter=0, prior=self.prior, progress=False))

    def _judged(self, model: MotifModel, fit: em.Fit[MotifParams]) -> Found:
        sites = sites_of(self.model, self.data, fit.params, least=0.0)
        value, counted = self._significance(sites)
        stats, _ = model.e_step(self.data, fit.params)
        params, log_likelihood = fit.params, fit.log_likelihood
        if isinstance(model, AveragedMotifs):
            params = MotifParams(model.posterior_mean(stats, self._prior(model)), fit.params.rate)
            log_likelihood = self.model.e_step(self.data, params)[1]
        worth = float(self._evidence(model, fit.params, stats))
        return Found(fit, params, log_likelihood, sites, value, counted, worth, float(stats.sites))


def _part(pack: MotifParams, chosen: NDArray[np.intp]) -> MotifParams:
    """Some motifs of a pack."""
    return replace(pack, **{f.name: np.asarray(getattr(pack, f.name))[chosen] for f in fields(pack)})
