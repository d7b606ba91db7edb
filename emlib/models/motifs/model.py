"""A motif and its hidden places: which E and which M.

    x_n is background, but w letters from a hidden place z_n on come from the columns of a position weight matrix.

A label is a place: a start and a strand, no site at all, or (any number) a whole placement of sites that do not
overlap. With s(j) the log-odds of the window at j, what the motif gives it less what the background gives it, the log
joint of a sequence and a label is that of the background plus s at every site, plus the log prior of the label. The
sufficient statistics are the letters under each column, and how many sites there were of those that could have been.
All EM does is to count them in expectation and to divide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from ...engine.em import Degenerate
from ...engine.latent import SOFT, FloatArray, Latent, assign, drawn
from .placements import expect_placements
from .sequences import Background, Block, as_blocks
from .windows import Windows, windows_of

Occurrences = Literal["oops", "zoops", "anr"]
Strands = Literal["+", "both"]

UNIFORM = Background.uniform()
WORK = 2**19  # log joints that are computed together
TINY = 1e-300


@dataclass(frozen=True)
class MotifParams:
    """A position weight matrix `pwm` (w, 4), and how common sites are.

    `rate` is 1 for "oops", the probability that a sequence has a site for "zoops", and the probability that a site
    begins at a position that is not in one already for "anr". Several are held as ``pwm`` (S, w, 4), ``rate`` (S,).
    """

    pwm: FloatArray
    rate: Any = 1.0


@dataclass(frozen=True)
class MotifStats:
    """Expected letters (w, 4) in each column, sites, and chances of a site that were not taken.

    `values` is the log-likelihood, which adds up too: many motifs in one climb are told apart by it. `noise` bounds
    its rounding error.
    """

    letters: FloatArray
    sites: Any
    missed: Any
    values: Any
    noise: float = 0.0

    def __add__(self, other: MotifStats) -> MotifStats:
        return MotifStats(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class MotifPrior:
    """Dirichlet prior `letters` (4,) on every column and beta prior `rate` on the rate; 1 is flat.

    The M-step adds the parameters less 1 as pseudo-counts.
    """

    letters: FloatArray
    rate: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def of(cls, background: Background, strength: float = 0.01) -> MotifPrior:
        """Pseudo-counts that follow the background and sum to `strength`."""
        return cls(1.0 + strength * background.frequencies)


@dataclass(frozen=True)
class MotifModel:
    """Sites of a motif in DNA; implements `engine.em.Model`.

    Data are `DNASequences`, or codes (N, L) of 0 to 3 for A, C, G, T and 4 for the unknown. A sequence in which no
    window of w known letters fits has no place for a site; it counts as background only. Parameters that hold several
    motifs are evaluated together in one matrix product, as if they were one: each of them climbs, so the sum does.

    Parameters
    ----------
    occurrences : {"oops", "zoops", "anr"}
        One site in every sequence, at most one, or any number that do not overlap.
    strands : {"+", "both"}
        Where sites may lie.
    background : Background
    palindrome : bool
        Whether the motif is its own reverse complement.
    precision : {"double", "single"}
        Single precision is enough to compare starts.
    length : int
        Of simulated sequences.
    reach : int
        So many columns on either side of the motif are counted too (``letters`` is then (w + 2 reach, 4)). The M-step
        does not look at them; they tell whether the motif should lie a little to the left or right, and a draw may
        shift it there.

    References
    ----------
    Lawrence & Reilly (1990), *Proteins* 7; Bailey & Elkan (1994), *ISMB* 2.

    Examples
    --------
    Where is the site, if the motif is TAT? One iteration:

    >>> model = MotifModel()
    >>> data = np.array([[0, 3, 0, 3, 1, 1], [1, 1, 3, 0, 3, 2]], dtype=np.int8)
    >>> pwm = np.array([[0.1, 0.1, 0.1, 0.7], [0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.7]])
    >>> stats, log_likelihood = model.e_step(data, MotifParams(pwm))
    >>> stats.letters.shape, round(float(stats.letters[0, 3] + stats.letters[2, 3]), 1)
    ((3, 4), 3.9)
    """

    occurrences: Occurrences = "oops"
    strands: Strands = "+"
    background: Background = UNIFORM
    palindrome: bool = False
    precision: Literal["double", "single"] = "double"
    length: int = 20
    reach: int = 0

    # ------------------------------------------------------------------ E

    def e_step(self, data: Any, params: MotifParams, latent: Latent = SOFT) -> tuple[MotifStats, float]:
        """Expected letters under the motif, over all places of a site (eq. 10.6); the log-likelihood (eq. 10.5)."""
        many = params if params.pwm.ndim == 3 else MotifParams(params.pwm[None], np.reshape(params.rate, 1))
        self._check(many)
        blocks = as_blocks(data)
        parts = [self._expect(block, many, own) for block, own in zip(blocks, latent.split(len(blocks)), strict=True)]
        stats = parts[0]
        for part in parts[1:]:
            stats = stats + part
        value = float(stats.values.sum())
        return (stats if many is params else _split(stats, 0)), value

    def e_steps(
        self, data: Any, points: Sequence[MotifParams], latent: Latent = SOFT
    ) -> list[tuple[MotifStats, float]]:
        """`e_step` at several parameters, in the same matrix product where their widths agree."""
        if len({p.pwm.shape for p in points}) > 1 or points[0].pwm.ndim == 3:
            return [self.e_step(data, params, latent) for params in points]
        stats, _ = self.e_step(data, stacked(points), latent)
        each = [_split(stats, s) for s in range(len(points))]
        return [(one, float(one.values)) for one in each]

    def _check(self, many: MotifParams) -> None:
        fine = (many.pwm >= 0).all() and np.allclose(many.pwm.sum(axis=2), 1.0, atol=1e-6)
        if not (fine and (np.asarray(many.rate) >= 0).all() and (np.asarray(many.rate) <= 1).all()):
            raise Degenerate("the motif has columns or a rate that are no probabilities.")

    def _expect(self, block: Block, many: MotifParams, latent: Latent) -> MotifStats:
        S, w, _ = many.pwm.shape
        seen = windows_of(block, w, self.background, self.occurrences != "anr", len(self._signs), self.precision)
        letters, sites, missed = np.zeros((S, w + 2 * self.reach, 4)), np.zeros(S), np.zeros(S)
        values = np.full(S, seen.base)
        if seen.n:
            step = max(1, WORK // (seen.n * seen.m * len(self._signs)))
            for s in range(0, S, step):
                some = slice(s, min(s + step, S))
                part = MotifParams(many.pwm[some], np.asarray(many.rate)[some])
                letters[some], sites[some], missed[some], gain = self._expect_some(seen, part, latent)
                values[some] += gain
        eps = np.finfo(seen.dtype).eps
        noise = float(S * seen.n * 100 * eps + 4 * np.finfo(float).eps * S * abs(seen.base))
        return MotifStats(letters, sites, missed, values, noise)

    def _expect_some(self, seen: Windows, part: MotifParams, latent: Latent) -> tuple[FloatArray, ...]:
        odds = self.log_odds(seen, part.pwm)
        if self.occurrences == "anr":
            found = expect_placements(odds, seen.valid, part.rate, part.pwm.shape[1], latent)
            R, sites, missed, gain = found.starts, found.sites, found.missed, found.values
        else:
            R, sites, missed, gain = self._one_place(odds, seen, part.rate, latent)
        return self._letters(R, seen, part.pwm.shape[1]), sites, missed, gain

    def _one_place(
        self, odds: FloatArray, seen: Windows, rate: FloatArray, latent: Latent
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """At most one site: the posterior of its place (and of there being none) is a softmax (eq. 10.4, eq. 10.9)."""
        S, n = odds.shape[:2]
        if self.occurrences == "oops":
            joint = odds.reshape(S, n, -1)
            gain = assign(joint.swapaxes(1, 2), latent)  # places last in memory: sums run along them
            return odds, np.full(S, float(n)), np.zeros(S), np.asarray(gain, dtype=float)
        with np.errstate(divide="ignore"):
            none, some = np.maximum(np.log1p(-rate), -700.0), np.maximum(np.log(rate), -700.0)
        joint = np.empty((S, n, 1 + odds[0, 0].size), dtype=odds.dtype)
        joint[:, :, 0] = none[:, None]
        np.add(odds.reshape(S, n, -1), some[:, None, None].astype(odds.dtype), out=joint[:, :, 1:])
        gain = assign(joint.swapaxes(1, 2), latent)
        missed = joint[:, :, 0].sum(axis=1, dtype=float)
        return joint[:, :, 1:].reshape(odds.shape), n - missed, missed, np.asarray(gain, dtype=float)

    @property
    def _signs(self) -> tuple[int, ...]:
        return (1,) if self.strands == "+" else (1, -1)

    def log_odds(self, seen: Windows, pwm: FloatArray) -> FloatArray:
        """Of S motifs in every window (eq. 10.2, eq. 10.11), (S, n, strands, m), with the log prior of a place."""
        S, w, _ = pwm.shape
        eta = np.log(np.maximum(pwm, TINY))
        if self.strands == "both":
            eta = np.stack([eta, eta[:, ::-1, ::-1]], axis=1)
        eta = eta.reshape(-1, 4 * w)
        weights = np.hstack([eta, np.ones((len(eta), 1))]).astype(seen.dtype)
        found = np.empty((S, seen.n, len(self._signs), seen.m), dtype=seen.dtype)
        for first, T in seen.features():
            width = T.shape[1] // seen.n
            A = (weights @ T).reshape(S, len(self._signs), seen.n, width)
            found[:, :, :, first : first + width] = A.swapaxes(1, 2)
        return found

    def _letters(self, R: FloatArray, seen: Windows, w: int) -> FloatArray:
        """Letters under each column, both strands read in the direction of the motif."""
        S, k = len(R), len(self._signs)
        total = np.zeros((S * k, 4 * w + 1))
        for first, T in seen.features():
            width = T.shape[1] // seen.n
            part = R[:, :, :, first : first + width].swapaxes(1, 2).reshape(S * k, -1)
            total += part @ T.T
        letters = total[:, :-1].reshape(S, k, w, 4)
        letters = letters[:, 0] if k == 1 else letters[:, 0] + letters[:, 1, ::-1, ::-1]
        if not self.reach:
            return letters
        left, right = range(-self.reach, 0), range(w, w + self.reach)
        around = [np.stack([self._beside(R, seen, w, at) for at in side], axis=1) for side in (left, right)]
        return np.concatenate([around[0], letters, around[1]], axis=1)

    def _beside(self, R: FloatArray, seen: Windows, w: int, at: int) -> FloatArray:
        """Letters (S, 4) at one place beside the sites, as far as the sequences reach."""
        found = np.zeros((len(R), 4))
        L = seen.codes.shape[1]
        for i, sign in enumerate(self._signs):
            shift = at if sign == 1 else w - 1 - at  # from the first position of the window, on the + strand
            first, stop = max(0, -shift), min(seen.m, L - shift)
            if first >= stop:
                continue
            letters = seen.codes[:, first + shift : stop + shift]
            for a in range(4):
                here = (letters == (a if sign == 1 else 3 - a)).astype(R.dtype)
                found[:, a] += np.tensordot(R[:, :, i, first:stop], here, axes=2)
        return found

    # ------------------------------------------------------------------ M

    def m_step(self, stats: MotifStats, prior: MotifPrior | None = None) -> MotifParams:
        """Letters of each column over their sum (eq. 10.7); sites over the chances of one."""
        letters = self._under(stats.letters)
        if prior is not None:
            letters = letters + (prior.letters - 1.0)
        letters = np.maximum(self.folded(letters), 0.0)  # with the prior, which on one strand is no palindrome
        total = letters.sum(axis=-1, keepdims=True)
        if not (total > 0).all():
            raise Degenerate("the motif has no site left.")
        return MotifParams(letters / total, self._rate(stats, prior))

    def m_steps(self, many: Sequence[MotifStats], prior: MotifPrior | None = None) -> list[MotifParams]:
        """`m_step` of each."""
        return [self.m_step(stats, prior) for stats in many]

    def _under(self, letters: FloatArray) -> FloatArray:
        """Those under the motif, without those beside it."""
        return letters[..., self.reach : -self.reach, :] if self.reach else letters

    def folded(self, letters: FloatArray) -> FloatArray:
        """Columns (..., w, 4), averaged with their reverse complement if the motif is its own."""
        return (letters + letters[..., ::-1, ::-1]) / 2 if self.palindrome else letters

    def _rate(self, stats: MotifStats, prior: MotifPrior | None) -> Any:
        if self.occurrences == "oops":
            return np.ones_like(stats.sites) if np.ndim(stats.sites) else 1.0
        a, b = (1.0, 1.0) if prior is None else prior.rate
        sites, missed = stats.sites + (a - 1.0), stats.missed + (b - 1.0)
        rate = sites / np.maximum(sites + missed, TINY)
        return rate if np.ndim(rate) else float(rate)

    def draw(
        self, stats: MotifStats, prior: MotifPrior, rng: np.random.Generator, current: MotifParams | None = None
    ) -> MotifParams:
        """Columns from their Dirichlet posteriors (eq. 10.14), the rate from its beta; perhaps shifted.

        Which columns the sites lie under is drawn first, from the evidence of each possible run of w columns: sites
        that are all one letter off would otherwise have to move one by one, against each other (Lawrence et al. 1993).
        """
        if self.reach:
            stats = replace(stats, letters=self._shifted(stats.letters, prior, rng))
        letters = self.folded(self._under(stats.letters))
        if self.palindrome:  # a pair of columns is one column seen twice, the middle one its own partner
            half = len(letters) // 2
            left = rng.gamma(2.0 * letters[:half] + prior.letters)
            middle = rng.gamma(letters[half : len(letters) - half] + prior.letters)
            drawn = np.concatenate([left, middle + middle[:, ::-1], left[::-1, ::-1]])
        else:
            drawn = rng.gamma(letters + prior.letters)
        drawn = np.maximum(drawn, TINY)
        a, b = prior.rate
        rate = 1.0 if self.occurrences == "oops" else float(rng.beta(stats.sites + a, stats.missed + b))
        return MotifParams(drawn / drawn.sum(axis=1, keepdims=True), rate)

    def _shifted(self, letters: FloatArray, prior: MotifPrior, rng: np.random.Generator) -> FloatArray:
        """The letters with the run of w columns that was drawn in the middle."""
        r, w = self.reach, len(letters) - 2 * self.reach
        worth = log_evidence(letters, prior.letters) - letters @ np.log(self.background.frequencies)
        runs = np.convolve(worth, np.ones(w), mode="valid")
        if self.palindrome:
            return letters
        shares = np.exp(runs - runs.max())
        first = int(rng.choice(len(runs), p=shares / shares.sum()))
        padded = np.concatenate([np.zeros((r, 4)), letters, np.zeros((r, 4))])
        return padded[first : first + w + 2 * r]

    def log_prior(self, params: MotifParams, prior: MotifPrior) -> float:
        """Log density of the Dirichlet and beta priors, up to a constant."""
        value = float((np.log(np.maximum(params.pwm, TINY)) * (prior.letters - 1.0)).sum())
        if self.occurrences != "oops":
            rate = np.asarray(params.rate)
            for pseudo, p in zip(prior.rate, (rate, 1.0 - rate), strict=True):
                if pseudo != 1.0:
                    value += float(((pseudo - 1.0) * np.log(np.maximum(p, TINY))).sum())
        return value

    def project(self, params: MotifParams) -> MotifParams:
        """Columns that sum to one to the last digit."""
        return replace(params, pwm=params.pwm / params.pwm.sum(axis=-1, keepdims=True))

    # ------------------------------------------------------------------ for people and tests

    def simulate(self, params: MotifParams, n: int, rng: np.random.Generator) -> NDArray[np.int8]:
        """`n` sequences of `length` letters, as codes (n, length)."""
        return self.simulate_placed(params, n, rng)[0]

    def simulate_placed(
        self, params: MotifParams, n: int, rng: np.random.Generator, length: int | None = None
    ) -> tuple[NDArray[np.int8], list[tuple[int, int, int]]]:
        """The same, and the sites: sequence, start, strand (1 or -1)."""
        L, w = length or self.length, len(params.pwm)
        codes = _markov(self.background, n, L, rng)
        row, start = self._places(params, n, L, w, rng)
        strand = rng.choice(self._signs, len(row))
        for i in range(w):
            forward = strand == 1
            columns = np.where(forward[:, None], params.pwm[i], params.pwm[w - 1 - i, ::-1])
            codes[row, start + i] = drawn(columns, rng)
        return codes, list(zip(row.tolist(), start.tolist(), strand.tolist(), strict=True))

    def _places(
        self, params: MotifParams, n: int, L: int, w: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Sequences and starts of sites, drawn from their prior."""
        if self.occurrences != "anr":
            row = np.flatnonzero(rng.random(n) < params.rate)
            return row, rng.integers(L - w + 1, size=len(row))
        begins, inside = np.zeros((n, L - w + 1), dtype=bool), np.zeros(n, dtype=int)
        for t in range(L - w + 1):
            begins[:, t] = (inside == 0) & (rng.random(n) < params.rate)
            inside = np.where(begins[:, t], w - 1, np.maximum(inside - 1, 0))
        row, start = np.nonzero(begins)
        return row, start


def _markov(background: Background, n: int, L: int, rng: np.random.Generator) -> NDArray[np.int8]:
    codes = np.empty((n, L), dtype=np.int8)
    for j in range(L):
        k = min(j, background.order)
        context = tuple(codes[:, j - k : j].T)
        codes[:, j] = drawn(np.broadcast_to(background.tables[k][context], (n, 4)), rng)
    return codes


def log_evidence(letters: FloatArray, alpha: FloatArray) -> FloatArray:
    """Log probability of columns of letters (..., 4) in some order, their frequencies integrated over a Dirichlet."""
    letters, alpha = np.broadcast_arrays(letters, alpha)
    total, n = alpha.sum(axis=-1), letters.sum(axis=-1)
    return np.asarray(gammaln(total) - gammaln(total + n) + (gammaln(letters + alpha) - gammaln(alpha)).sum(axis=-1))


def _split(stats: MotifStats, s: int) -> MotifStats:
    return MotifStats(
        stats.letters[s], float(stats.sites[s]), float(stats.missed[s]), float(stats.values[s]), stats.noise
    )


def stacked(points: Sequence[MotifParams]) -> MotifParams:
    """Several motifs of one width as one."""
    columns = {f.name: np.stack([np.asarray(getattr(p, f.name)) for p in points]) for f in fields(points[0])}
    return replace(points[0], **columns)


def unstacked(many: MotifParams) -> list[MotifParams]:
    """And back."""
    numbers = [f.name for f in fields(many) if f.name != "pwm"]
    return [
        replace(many, pwm=many.pwm[s], **{name: float(np.asarray(getattr(many, name))[s]) for name in numbers})
        for s in range(len(many.pwm))
    ]
