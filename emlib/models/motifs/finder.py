"""The estimators: `MotifFinder` climbs, `MotifGibbs` samples; both report motifs in the same words."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from ...engine import wander
from ...engine.latent import FloatArray
from ...engine.progress import progress_bar
from ..checks import check_real, check_whole, generator
from .masks import low_complexity
from .model import MotifModel, MotifParams, MotifPrior
from .motif import Motif, Site
from .places import posterior_places, sites_of
from .reading import coded, read_sequences
from .scan import find_sites
from .search import REACH, Found, Search
from .sequences import MAX_ORDER, Background, Block, DNASequences, decode
from .starts import all_words

WIDTHS = (2, 100)
PSEUDOCOUNTS = 0.01  # of estimated columns, for DNA (Bailey & Elkan 1995)


class MotifFinder(BaseEstimator):  # type: ignore[misc]
    """Motifs in DNA by EM: what many sequences have in common, at places nobody has marked.

    Parameters
    ----------
    width : int or (int, int)
        Of the motif; within a range the columns are found that are worth their parameters.
    occurrences : {"oops", "zoops", "anr"}
        One site in every sequence, at most one, or any number.
    strands : {"both", "+"}
    n_motifs : int
        How many are looked for; places of one are taken from the next.
    background : int or array
        Order, 0 to 3, of a Markov chain estimated from the sequences; or its probabilities, which are then given.
    pseudocounts : float, optional
        Letters believed in for each column beforehand, shared out like the background (MEME's are .01), if columns are
        to be estimated. By default they are so at one given width; within a range they are averaged over, with the
        prior of known motifs (`KnownColumns`); that raised the mean nucleotide correlation from .67 to .79 on
        matrices of JASPAR planted in 50 sequences (48 sets).
    palindrome : bool
        Whether the motif is its own reverse complement.
    mask_repeats : bool
        Whether stretches of one, two or three letters repeated are kept out.
    effort : float
        Multiplies the number of starts.
    tol, max_iter
        Of the last climb, in nats (`engine.em.fit`).
    random_state : None, int, Generator or RandomState
        Of the random projections.

    Attributes
    ----------
    motifs_ : list of Motif
    names_ : list of str
        Of the sequences.
    background_ : Background
    log_likelihood_ : float
        Of the sequences under the first motif, in nats.
    trace_, n_iter_, stop_reason_
        Of its last climb; where columns are averaged over, what climbs is a lower bound of the log evidence.

    Notes
    -----
    Lower-case letters count like others. Windows with N or another ambiguity code hold no site; sequences shorter than
    the width hold none either, and are named in a warning.

    References
    ----------
    Lawrence & Reilly (1990), *Proteins* 7; Bailey & Elkan (1994, 1995), *ISMB* 2 and 3; Buhler & Tompa (2002),
    *J. Comput. Biol.* 9.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sequences = ["".join(rng.choice(list("ACGT"), 60)) for _ in range(12)]
    >>> sequences = [s[:k] + "TTGACATATAAT" + s[k:] for k, s in enumerate(sequences, 10)]
    >>> finder = MotifFinder(width=12, strands="+", random_state=0).fit(sequences)
    >>> finder.motifs_[0].consensus, finder.motifs_[0].sites[0].strand
    ('TTGACATATAAT', '+')
    """

    def __init__(
        self,
        width: Any = (6, 20),
        occurrences: str = "zoops",
        strands: str = "both",
        n_motifs: int = 1,
        *,
        background: Any = 0,
        pseudocounts: float | None = None,
        palindrome: bool = False,
        mask_repeats: bool = True,
        effort: float = 1.0,
        tol: float = 1e-3,
        max_iter: int = 1000,
        random_state: Any = None,
    ) -> None:
        self.width = width
        self.occurrences = occurrences
        self.strands = strands
        self.n_motifs = n_motifs
        self.background = background
        self.pseudocounts = pseudocounts
        self.palindrome = palindrome
        self.mask_repeats = mask_repeats
        self.effort = effort
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, sequences: Any, y: Any = None, progress: bool | None = None) -> MotifFinder:
        """Find the motifs of `sequences`.

        Parameters
        ----------
        sequences : list of str, of (name, str), of Biopython records; or the path of a FASTA or FASTQ file
        y : ignored
        progress : bool, optional
            Show a progress bar over the widths at which starts are compared, for each motif, and what follows.

        Raises
        ------
        ValueError
            In one sentence, for a bad parameter or sequence.
        """
        widths = self._checked()
        names, letters = read_sequences(sequences)
        codes = coded(names, letters, widths[0], self.occurrences)
        if self.mask_repeats:
            codes = [low_complexity(one) for one in codes]
        data, rng = DNASequences(codes), generator(self.random_state)
        if not any(block.unbroken(widths[0]).any() for block in data.blocks() if block.codes.shape[1] >= widths[0]):
            raise ValueError(f"no sequence has {widths[0]} known letters in a row (outside of repeats) for a site.")
        model = self._model(data)
        prior = MotifPrior.of(model.background, PSEUDOCOUNTS if self.pseudocounts is None else self.pseudocounts)
        averaging = self.pseudocounts is None and widths[0] < widths[1] and self.occurrences != "anr"
        motifs, first = [], None
        search = Search(model, data, prior, widths, self.tol, self.max_iter, self.effort, averaging)
        with progress_bar(progress, self.n_motifs * search.steps, "step") as tick:
            for i in range(self.n_motifs):
                found = self._find(search, rng, tick)
                if found is None:
                    break
                first = first or found
                motifs.append(_described(search, found, f"motif_{i + 1}"))
                if i + 1 < self.n_motifs:
                    search = replace(search, data=search.data.erased(partial(_covered, model, params=found.params)))
        if first is None:
            raise ValueError("no word occurs often enough to begin with; are the sequences too few or too short?")
        self.motifs_, self.names_, self.background_ = motifs, names, model.background
        self.log_likelihood_, self.trace_ = first.log_likelihood, first.fit.trace
        self.n_iter_, self.stop_reason_ = first.fit.n_iter, first.fit.reason
        if first.fit.reason == "max_iter" and first.fit.n_iter:
            warnings.warn(
                f"{type(self).__name__} stopped at max_iter={self.max_iter} before it had converged; raise max_iter.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def find_sites(self, sequences: Any, threshold: float = 1e-4, motif: int = 0) -> list[tuple[Site, float]]:
        """Places in any `sequences` whose score has a p-value of at most `threshold`, with that p-value.

        `motif` says which of the motifs found, from 0 on. The p-values are exact for background of order 0, up to
        rounding of scores to a thousandth of a column's range.
        """
        check_is_fitted(self)
        if not 0.0 < check_real("threshold", threshold) <= 1.0:
            raise ValueError(f"threshold is {threshold!r}; a p-value lies above 0 and not above 1.")
        if check_whole("motif", motif, 0) >= len(self.motifs_):
            raise ValueError(f"motif is {motif}, but the number of motifs found is {len(self.motifs_)}; count from 0.")
        _, letters = read_sequences(sequences)
        return find_sites(self.motifs_[motif], list(letters), threshold, self.strands)

    def _find(self, search: Search, rng: np.random.Generator, tick: Callable[[], object]) -> Found | None:
        return search.run(rng, tick)

    def _checked(self) -> tuple[int, int]:
        for name, choices in (("occurrences", ("oops", "zoops", "anr")), ("strands", ("both", "+"))):
            if getattr(self, name) not in choices:
                given = ", ".join(map(repr, choices))
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be one of {given}.")
        check_whole("n_motifs", self.n_motifs, 1)
        check_whole("max_iter", self.max_iter, 1)
        check_real("tol", self.tol)
        if self.pseudocounts is not None:
            check_real("pseudocounts", self.pseudocounts, 1e-6)
        check_real("effort", self.effort, 1e-3)
        pair = self.width if isinstance(self.width, (tuple, list)) else (self.width, self.width)
        whole = all(isinstance(w, (int, np.integer)) and not isinstance(w, bool) for w in pair)
        if len(pair) != 2 or not whole or not WIDTHS[0] <= pair[0] <= pair[1] <= WIDTHS[1]:
            raise ValueError(
                f"width is {self.width!r}; it must be a whole number from {WIDTHS[0]} to {WIDTHS[1]}, or a pair of "
                "them, the lesser first."
            )
        return int(pair[0]), int(pair[1])

    def _model(self, data: DNASequences) -> MotifModel:
        both, given = self.strands == "both", self.background
        if isinstance(given, Background):
            background = given
        elif isinstance(given, (int, np.integer)) and not isinstance(given, bool) and 0 <= given <= MAX_ORDER:
            background = data.background(int(given), both)
        else:
            background = Background.given(given)
        kinds: Any = self.occurrences
        ways: Any = self.strands
        return MotifModel(kinds, ways, background, bool(self.palindrome))


class MotifGibbs(MotifFinder):
    """The same motifs by Gibbs sampling: places drawn instead of expected, matrices drawn instead of maximised.

    Several chains walk from random starts; after each sweep a matrix may be shifted sideways. The best state that any
    of them has visited is reported, by the same evidence as `MotifFinder` compares motifs. Parameters not listed here
    are those of `MotifFinder`. Of a range of widths, chains walk at a few.

    Parameters
    ----------
    chains, sweeps : int
        Restarts, and steps of each.

    References
    ----------
    Lawrence et al. (1993), *Science* 262; Liu (1994), *JASA* 89.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sequences = ["".join(rng.choice(list("ACGT"), 40)) for _ in range(12)]
    >>> sequences = [s[:k] + "TTGACATATAAT" + s[k:] for k, s in enumerate(sequences, 10)]
    >>> sampler = MotifGibbs(width=12, occurrences="oops", strands="+", sweeps=60, random_state=0).fit(sequences)
    >>> sampler.motifs_[0].consensus
    'TTGACATATAAT'
    """

    def __init__(
        self,
        width: Any = (6, 20),
        occurrences: str = "zoops",
        strands: str = "both",
        n_motifs: int = 1,
        *,
        chains: int = 10,
        sweeps: int = 200,
        background: Any = 0,
        pseudocounts: float = 0.01,
        palindrome: bool = False,
        mask_repeats: bool = True,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            width,
            occurrences,
            strands,
            n_motifs,
            background=background,
            pseudocounts=pseudocounts,
            palindrome=palindrome,
            mask_repeats=mask_repeats,
            random_state=random_state,
        )
        self.chains = chains
        self.sweeps = sweeps

    def _checked(self) -> tuple[int, int]:
        check_whole("chains", self.chains, 1)
        check_whole("sweeps", self.sweeps, 1)
        return super()._checked()

    def _find(self, search: Search, rng: np.random.Generator, tick: Callable[[], object]) -> Found | None:
        found = []
        for w in search.screened_widths():
            one = self._walk(search, w, rng)
            found += [] if one is None else [one]
            tick()
        if search.widths[0] < search.widths[1]:
            found += [search.looked_at(search.resize(one.fit.params)) for one in found]
        tick()
        return search.choose(found)

    def _walk(self, search: Search, w: int, rng: np.random.Generator) -> Found | None:
        """The best state of some chains at one width."""
        words = all_words(search.data, w, search.model.strands == "both")
        if not len(words):
            return None
        model = replace(search.model, reach=0 if search.model.palindrome else min(REACH, w))
        prior = MotifPrior(1.0 + np.maximum(search.model.background.frequencies, self.pseudocounts or PSEUDOCOUNTS))
        rate = {"oops": 1.0, "zoops": 0.5, "anr": 1.0 / max(50.0, len(words) / len(search.data))}[model.occurrences]
        starts = [
            MotifParams(model.folded(0.3 / 4 + 0.7 * np.eye(4)[word]), rate)
            for word in words[rng.choice(len(words), self.chains)].astype(int)
        ]
        walk = wander.sample(
            model, search.data, starts, draws=self.sweeps, tune=0, prior=prior, rng=rng, progress=False
        )
        chain = np.arange(self.chains)
        best = walk.log_likelihood.argmax(axis=1)
        pwms, rates = walk.parameters["pwm"][chain, best], walk.parameters["rate"][chain, best]
        found = [search.looked_at(MotifParams(pwm, float(r))) for pwm, r in zip(pwms, rates, strict=True)]
        return search.choose(found)


def _covered(model: MotifModel, block: Block, params: MotifParams) -> FloatArray:
    """Probability that each position of a block (N, L) lies in a site."""
    seen, R, _ = posterior_places(model, block, params)
    covered = np.zeros(block.codes.shape)
    begins = R.sum(axis=1)
    for i in range(len(params.pwm)):
        covered[seen.rows, i : i + begins.shape[1]] += begins
    return np.clip(covered, 0.0, 1.0)


def _described(search: Search, found: Found, name: str) -> Motif:
    params = found.params
    sites = sites_of(search.model, search.data, found.fit.params)
    base = sum(float(search.model.background.log_probability(b.codes).sum()) for b in search.data.blocks())
    marks = {1: "+", -1: "-"}
    listed = [
        Site(int(s), int(j), marks[int(strand)], float(p))
        for s, j, strand, p in zip(sites.sequence, sites.start, sites.strand, sites.posterior, strict=True)
    ]
    words = [decode(word) for word in sites.words(search.data)]
    return Motif(
        params.pwm,
        listed,
        words,
        found.log_e_value,
        found.log_likelihood - base,
        search.model.background,
        float(params.rate),
        name,
    )
