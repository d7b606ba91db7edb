"""The hidden origin: one E and one M for fragments whose transcript nobody saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import xlogy

from ...engine.coordinates import Named, Simplex
from ...engine.em import EPS, Degenerate
from ...engine.families import DirichletPrior
from ...engine.latent import SOFT, FloatArray, Latent
from .classes import EquivalenceClasses, check_whole_counts

FLOOR = 1e-6  # of an equal share, for one that a jump made negative: at zero it could not come back, nearer too slowly


@dataclass(frozen=True)
class TranscriptParams:
    """Shares (T,) of the fragments that each transcript contributes; (B, T) for B experiments at once."""

    shares: FloatArray


@dataclass(frozen=True)
class TranscriptStats:
    """Expected fragments of each transcript, (T,) or (B, T).

    `noise` bounds the rounding error of the log-likelihood computed in the same pass.
    """

    counts: FloatArray
    noise: float = 0.0

    def __add__(self, other: TranscriptStats) -> TranscriptStats:
        return TranscriptStats(self.counts + other.counts, self.noise + other.noise)


@dataclass(frozen=True, eq=False)
class TranscriptModel:
    """Fragments come from transcripts in unknown shares; implements `engine.em.Model`.

    Data are `EquivalenceClasses`. Where their counts are (B, C), B experiments are fitted side by side: their
    log-likelihoods add up, so they are one model with B times the parameters. The prior is a `DirichletPrior`
    on shares.

    Parameters
    ----------
    world : EquivalenceClasses, optional
        For `simulate`: its matrix, columns scaled to sum to one, is ``p(class | transcript)``.

    References
    ----------
    Li et al. (2010), *Bioinformatics* 26; Bray et al. (2016), *Nature Biotechnology* 34.

    Examples
    --------
    >>> from emlib.engine import em
    >>> classes = EquivalenceClasses.of([[0], [1], [0, 1]], [30, 10, 60])
    >>> fit = em.fit(TranscriptModel(), classes, TranscriptParams(np.array([0.5, 0.5])), tol=1e-12)
    >>> fit.params.shares.round(6).tolist()
    [0.75, 0.25]
    """

    world: EquivalenceClasses | None = None

    def e_step(
        self, data: EquivalenceClasses, params: TranscriptParams, latent: Latent = SOFT
    ) -> tuple[TranscriptStats, float]:
        """Share out each class in proportion to share times ``p(class | transcript)`` (eq. 11.5, 11.6)."""
        shares, counts = params.shares, data.counts
        if (shares < 0).any():
            raise Degenerate(f"a share is {shares.min():g}; shares must not be negative.")
        if latent != SOFT:
            return self._one_by_one(data, shares, latent)
        density = data.density(shares)
        logs = xlogy(counts, density)
        value = float(logs.sum())
        if value == -np.inf:
            raise Degenerate("a class with fragments has no transcript with a share above 0.")
        noise = 4 * EPS * float(np.abs(logs).sum() + counts.sum())  # a density near 1 is rounded, though its log is 0
        return TranscriptStats(shares * data.demand(density), noise), value

    def _one_by_one(
        self, data: EquivalenceClasses, shares: FloatArray, latent: Latent
    ) -> tuple[TranscriptStats, float]:
        """The other choices of E (`engine.latent`), which look at every member of every class."""
        first, sizes = data.starts[:-1], data.sizes
        with np.errstate(divide="ignore"):
            joint = np.log(data.matrix.data) + np.log(shares[data.members])
        t = latent.temperature
        top = np.maximum.reduceat(joint, first)
        if t == 0.0:  # of members equally good the first
            best = np.flatnonzero(joint == np.repeat(top, sizes))
            of = np.searchsorted(data.starts, best, side="right") - 1
            picked = best[np.unique(of, return_index=True)[1]]
            taken: FloatArray = np.bincount(data.members[picked], data.counts, minlength=shares.size).astype(float)
            best_joint = data.counts * top
            return TranscriptStats(taken, 4 * EPS * float(np.abs(best_joint).sum())), float(best_joint.sum())
        part = np.exp((joint - np.repeat(top, sizes)) / t)
        total = np.add.reduceat(part, first)
        part /= np.repeat(total, sizes)
        rest = t * np.log(total)  # where t is above 1 it may cancel most of the first term
        noise = 4 * EPS * float((data.counts * (np.abs(top) + rest)).sum())
        value = float((data.counts * (top + rest)).sum())
        each = part * np.repeat(data.counts, sizes) if latent.rng is None else _drawn(data, part, latent.rng)
        dealt: FloatArray = np.bincount(data.members, each, minlength=shares.size).astype(float)
        return TranscriptStats(dealt, noise), value

    def m_step(self, stats: TranscriptStats, prior: DirichletPrior | None = None) -> TranscriptParams:
        """The share of a transcript is its part of all fragments (eq. 11.7)."""
        counts = stats.counts if prior is None else np.maximum(stats.counts + prior.concentration - 1.0, 0.0)
        total = counts.sum(axis=-1, keepdims=True)
        if not (total > 0).all():
            raise Degenerate("there is no fragment.")
        return TranscriptParams(counts / total)

    def draw(
        self,
        stats: TranscriptStats,
        prior: DirichletPrior,
        rng: np.random.Generator,
        current: TranscriptParams | None = None,
    ) -> TranscriptParams:
        """Shares from their Dirichlet posterior."""
        gammas = rng.standard_gamma(stats.counts + prior.concentration)
        return TranscriptParams(gammas / gammas.sum(axis=-1, keepdims=True))

    def log_prior(self, params: TranscriptParams, prior: DirichletPrior) -> float:
        """Log density of the Dirichlet distribution, up to a constant."""
        return float(xlogy(np.asarray(prior.concentration) - 1.0, params.shares).sum())

    def simulate(self, params: TranscriptParams, n: int, rng: np.random.Generator) -> EquivalenceClasses:
        """`n` fragments, a class of one for each (`EquivalenceClasses.merged` adds them up).

        Raises
        ------
        ValueError
            If the model has no `world`.
        """
        if self.world is None:
            raise ValueError("world is None; to simulate fragments the model must know p(class | transcript).")
        columns = np.asarray(self.world.matrix.sum(axis=0)).ravel()
        shares = np.divide(params.shares, columns, out=np.zeros_like(columns), where=columns > 0)
        density = self.world.density(shares)
        drawn = self.world[rng.choice(len(self.world), size=n, p=density / density.sum())]
        drawn.counts[:] = 1.0
        return drawn

    def project(self, params: TranscriptParams) -> TranscriptParams:
        """Shares above zero that sum to one."""
        shares = np.where(params.shares < 0.0, FLOOR / params.shares.shape[-1], params.shares)
        return TranscriptParams(shares / shares.sum(axis=-1, keepdims=True))

    def slopes(
        self, stats: TranscriptStats, params: TranscriptParams, prior: DirichletPrior | None = None
    ) -> TranscriptParams:
        """Slope of the complete-data log-likelihood in each share, as if the others stood still."""
        pseudo = 0.0 if prior is None else np.asarray(prior.concentration) - 1.0
        return TranscriptParams((stats.counts + pseudo) / params.shares)

    def coordinates(self, params: TranscriptParams) -> Named:
        """Log-ratios of the shares."""
        return Named(TranscriptParams, {"shares": Simplex(params.shares)})

    def complete_slopes(
        self, data: EquivalenceClasses, params: TranscriptParams
    ) -> Iterator[list[tuple[float, TranscriptParams]]]:
        """For each fragment: every transcript that it fits, with its probability and its slope."""
        T = len(params.shares)
        for c, n in enumerate(check_whole_counts(data.counts)):
            part = slice(data.starts[c], data.starts[c + 1])
            of = data.members[part]
            joint = data.matrix.data[part] * params.shares[of]
            kinds = [
                (float(p), TranscriptParams(np.eye(1, T, t)[0] / params.shares[t]))
                for p, t in zip(joint / joint.sum(), of, strict=True)
            ]
            for _ in range(int(n)):
                yield kinds


def gap(classes: EquivalenceClasses, shares: FloatArray) -> float:
    """How many nats the log-likelihood at `shares` can at most lie below its maximum (eq. 11.9).

    The log-likelihood is concave in the shares, so its slopes bound what is left: ``n log max_t g_t``, where ``g_t`` is
    by what factor the next EM step would multiply share t (for a share of 0, the limit of that). Sets of transcripts
    that no class links are problems of their own; their bounds are added, which is much sharper.

    Parameters
    ----------
    classes : EquivalenceClasses
    shares : array (T,)

    Examples
    --------
    >>> classes = EquivalenceClasses.of([[0], [1], [0, 1]], [30, 10, 60])
    >>> round(gap(classes, np.array([0.75, 0.25])), 9), round(gap(classes, np.array([0.7, 0.3])), 3)
    (0.0, 2.817)
    """
    n = classes.n_fragments
    growth = classes.demand(classes.density(shares)) / n
    label = classes.linked
    most, fragments = np.zeros(label.max() + 1), np.zeros(label.max() + 1)
    np.maximum.at(most, label, growth)
    first = classes.members[classes.starts[:-1]]
    np.add.at(fragments, label[first], classes.counts)
    held = fragments > 0
    return max(0.0, float(fragments[held] @ np.log(most[held])))


def _drawn(data: EquivalenceClasses, part: FloatArray, rng: np.random.Generator) -> FloatArray:
    """The fragments of each class dealt to its members at random; classes of one size together."""
    each, counts, sizes = np.empty(len(part)), check_whole_counts(data.counts), data.sizes
    for size in np.unique(sizes):
        c = np.flatnonzero(sizes == size)
        where: Any = data.starts[c][:, None] + np.arange(size)
        each[where] = rng.multinomial(counts[c], part[where])
    return each
