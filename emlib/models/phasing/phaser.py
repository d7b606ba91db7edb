"""Genotypes of many people in, haplotypes out: clusters, then copying, then a vote."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from ...engine import em
from ...engine.latent import FloatArray
from ...engine.progress import progress_bar
from ..checks import check_whole, generator, in_short
from ..haplotypes.genotypes import plain
from .cluster import ClusterModel, ClusterPrior, kernels
from .copying import Copying
from .pairs import Ints
from .vote import Votes

PSEUDO = ClusterPrior(1.01, 1.01, (1.01, 1.01))  # a hundredth of an observation: no probability becomes exactly 0
PATHS = 6  # drawn from each fit of the clusters
FEW, SOME = 100, 300  # people: up to the first number everybody copies from all others,
NEAREST = (150, 100)  # up to the second from so many, and above it from so many
VISITS = 8000  # of all people together, in "auto" many sweeps
BURN = 0.2  # share of the sweeps that have no vote


class Phaser(BaseEstimator):  # type: ignore[misc]
    """Phase of the heterozygotes of many people along a region: which alleles lie on one haplotype.

    Three stages. (1) Haplotypes are mosaics of a few clusters, fitted by EM, whose likelihood never falls
    (`ClusterModel`); drawn paths are the start. (2) Every haplotype is a mosaic of the others (`Copying`): the phase of
    each person is drawn given all others, sweep after sweep, and jump and error rates follow. That is stochastic EM
    on a composite likelihood, which has no objective to climb. (3) Sweeps vote on the relative phase of neighbouring
    heterozygotes. Haplotypes themselves are never averaged: which is the first means nothing.

    Parameters
    ----------
    n_clusters : int
        K of stage one.
    n_iter : int
        EM iterations of stage one.
    sweeps : "auto" or int
        Of stage two; the first fifth has no vote. "auto" is 100 for few people and 22 for many. At 0 the drawn paths of
        stage one vote, which needs no numba, but is accurate only with many clusters and chains.
    block_moves : int
        Before so many of the first sweeps both haplotypes of everybody are drawn whole, as copies of the 24 nearest;
        these sweeps have no vote either.
    chains : int
        Independent repetitions of (1) and (2), which vote together. Four make fewer errors than one.
    n_references : "auto" or int
        How many haplotypes each is copied from; "auto" is all others up to 100 people, the 150 nearest up to 300, and
        the 100 nearest above, so that the cost grows linearly with people.
    random_state : None, int, Generator or RandomState
    verbose : bool, optional
        Show a progress bar; by default on a terminal, once it takes longer than 2 s.

    Attributes
    ----------
    confidence_ : array (n, L)
        For each heterozygote the share of votes, 0.5 to 1, for its phase relative to that person's last one before; NaN
        where there is no such pair.
    jump_, error_ : array (L - 1,), float
        Of stage two, the last chain: probability of a jump between sites, and of an error.
    trace_ : array
        Log posterior of the clusters after every EM iteration, first chain.

    References
    ----------
    Scheet & Stephens (2006) for the clusters; Li & Stephens (2003) for copying; Delaneau et al. (2012) and Browning
    et al. (2021) for what is done with it; Durbin (2014) for the nearest haplotypes.

    Examples
    --------
    Sixty founders of HapMap, first forty SNPs:

    >>> import emlib
    >>> people = emlib.data.hapmap_trios("CEU")
    >>> G = people.genotypes[people.founders, :40]
    >>> haplotypes = Phaser(sweeps=0, random_state=0).phase(G)
    >>> haplotypes.shape, bool((haplotypes.sum(axis=1) == G)[G >= 0].all())
    ((60, 2, 40), True)
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        n_iter: int = 15,
        sweeps: Any = "auto",
        block_moves: int = 10,
        chains: int = 1,
        n_references: Any = "auto",
        random_state: Any = None,
        verbose: bool | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_iter = n_iter
        self.sweeps = sweeps
        self.block_moves = block_moves
        self.chains = chains
        self.n_references = n_references
        self.random_state = random_state
        self.verbose = verbose

    def phase(self, G: Any, positions: Any = None) -> NDArray[np.int8]:
        """Haplotypes of the people in G.

        Parameters
        ----------
        G : array (n, L)
            Copies, 0, 1 or 2, of one allele at each of L sites in the order of the chromosome; -1 or NaN is missing.
        positions : array (L,), optional
            Of the sites, increasing, in base pairs: longer gaps begin with more jumps. Jump rates are estimated in any
            case.

        Returns
        -------
        array (n, 2, L) of 0 and 1
            They add up to G wherever G is known; what was missing is imputed. Which of the two comes first means
            nothing.

        Raises
        ------
        ValueError
            In one sentence, for genotypes other than these, fewer than two people, or a site without any genotype.
        ImportError
            If numba is not installed and there are sweeps.
        """
        table = check_genotypes(G)
        (n, L), rng = table.shape, generator(self.random_state)
        distances = _distances(positions, L)
        K, chains = check_whole("n_clusters", self.n_clusters, 1), check_whole("chains", self.chains, 1)
        n_iter, sweeps = check_whole("n_iter", self.n_iter, 0), self._sweeps(n)
        check_whole("block_moves", self.block_moves, 0)
        references = self._references(n)
        if sweeps and kernels() is None:
            raise ImportError(
                "the sweeps of Phaser need numba; install it with: pip install 'emlib[fast]', or set sweeps=0, which "
                "phases by the clusters alone and is less accurate."
            )
        votes, traces = Votes(table), []
        with progress_bar(self.verbose, chains * (n_iter + sweeps), "step") as tick:
            for own in rng.spawn(chains):
                fit, alleles = _clusters(table, K, n_iter, own, tick)
                traces.append(fit.trace)
                if not sweeps:
                    for m in range(PATHS):
                        votes.add(alleles[:, m, 0])
                    continue
                copying = self._copying(table, alleles, distances, references)
                self._sweep(copying, votes, sweeps, own, tick)
        haplotypes = votes.majority(table)
        if sweeps:
            copying.haplotypes = _as_columns(haplotypes)
            copying.settle(own)
            haplotypes = _as_pairs(copying.haplotypes)
            self.jump_, self.error_ = copying.jump[1:], copying.error
        else:
            haplotypes = np.where((table < 0)[:, None], _turned(alleles[:, -1], haplotypes, votes), haplotypes)
        self.trace_, self.confidence_ = traces[0], votes.confidence()
        return haplotypes.astype(np.int8)

    def _sweeps(self, n: int) -> int:
        if isinstance(self.sweeps, str) and self.sweeps == "auto":
            return min(max(VISITS // n, 22), 100)
        if isinstance(self.sweeps, str):
            raise ValueError(f"sweeps is {self.sweeps!r}; it must be 'auto' or a whole number.")
        return check_whole("sweeps", self.sweeps, 0)

    def _references(self, n: int) -> int:
        if isinstance(self.n_references, str) and self.n_references == "auto":
            return 2 * n - 2 if n <= FEW else NEAREST[n > SOME]
        if isinstance(self.n_references, str):
            raise ValueError(f"n_references is {self.n_references!r}; it must be 'auto' or a whole number.")
        return check_whole("n_references", self.n_references, 1)

    def _copying(self, table: Ints, alleles: Any, distances: FloatArray, references: int) -> Copying:
        """The start of stage two: what the drawn paths agree on, and one jump in twenty sites."""
        votes = Votes(table)
        for m in range(alleles.shape[1]):
            votes.add(alleles[:, m, 0])
        first = votes.majority(table)
        first = np.where((table < 0)[:, None], _turned(alleles[:, -1], first, votes), first)
        return Copying(table, _as_columns(first), np.clip(0.05 * distances, 0.001, 0.5), 0.01, references, kernels())

    def _sweep(self, copying: Copying, votes: Votes, sweeps: int, rng: np.random.Generator, tick: Any) -> None:
        burn = max(int(BURN * sweeps), min(self.block_moves, sweeps - 1))
        for sweep in range(sweeps):
            if sweep < self.block_moves:
                copying.block_move(rng)
            copying.sweep(rng)
            if sweep >= burn:
                votes.add(copying.haplotypes[:, 0::2].T)
            tick()


def check_genotypes(G: Any) -> Ints:
    """Genotypes (n, L) as -1, 0, 1, 2; one sentence if they are none."""
    try:
        table = np.asarray(plain(G), dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"G is {in_short(G)}; a table (people, sites) of 0, 1, 2 and -1 is needed.") from None
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"G has the shape {table.shape}; a table (people, sites) of 0, 1, 2 and -1 is needed.")
    if len(table) < 2:
        raise ValueError("G has one person; phase is inferred from what people share, so at least two are needed.")
    table = np.where(np.isnan(table), -1.0, table)
    bad = ~np.isin(table, (-1.0, 0.0, 1.0, 2.0))
    if bad.any():
        person, site = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"G holds {table[person, site]:g} for person {person} at site {site}; genotypes are 0, 1 or 2 copies, and "
            "-1 or NaN where they are missing."
        )
    lost = np.flatnonzero((table < 0).all(axis=0))
    if len(lost):
        raise ValueError(f"site {lost[0]} of G is missing in all {len(table)} people; leave it out.")
    flat = np.flatnonzero([len(np.unique(column[column >= 0])) == 1 and column.max() != 1 for column in table.T])
    if len(flat):
        warnings.warn(
            f"{len(flat)} sites of G, the first of them site {flat[0]}, show one allele in everybody; they say nothing "
            "about phase.",
            UserWarning,
            stacklevel=3,
        )
    return np.ascontiguousarray(table, dtype=np.int8)


def _distances(positions: Any, L: int) -> FloatArray:
    """Gaps (L,) before each site, in units of the middle one."""
    if positions is None:
        return np.ones(L)
    try:
        at = np.asarray(positions, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"positions is {in_short(positions)}; one number for each of {L} sites is needed.") from None
    if at.shape != (L,) or not np.isfinite(at).all():
        raise ValueError(f"positions has the shape {at.shape}; one finite number for each of {L} sites is needed.")
    gaps = np.diff(at)
    if (gaps <= 0).any():
        site = int(np.argmax(gaps <= 0)) + 1
        what = "the same as" if gaps[site - 1] == 0 else "below"
        raise ValueError(
            f"positions must increase: that of site {site}, {at[site]:g}, is {what} that of the site before, "
            f"{at[site - 1]:g}."
        )
    return np.concatenate([[1.0], gaps / np.median(gaps)]) if L > 1 else np.ones(L)


def _clusters(
    table: Ints, K: int, n_iter: int, rng: np.random.Generator, tick: Callable[[], object]
) -> tuple[em.Fit[Any], Any]:
    """Stage one: the fit, and the alleles (n, PATHS, 2, L) of paths drawn at its end."""
    model = ClusterModel()
    start = model.start(K, table, rng)
    fit = em.fit(model, table, start, prior=PSEUDO, max_iter=n_iter, tol=0.0, callback=lambda _: tick(), progress=False)
    _, alleles = model.draw_paths(table, fit.params, rng, PATHS)
    return fit, alleles


def _turned(drawn: Any, voted: Any, votes: Votes) -> Any:
    """A draw (n, 2, L), its two haplotypes called as in what was voted, by the last heterozygote (or the next)."""
    het = votes.het
    last = np.where(het, np.arange(het.shape[1]), -1)
    last = np.maximum.accumulate(last, axis=1)
    first = np.where(het.any(axis=1), het.argmax(axis=1), 0)[:, None]
    at = np.where(last >= 0, last, first)
    other = np.take_along_axis(drawn[:, 0] != voted[:, 0], at, axis=1) & het.any(axis=1)[:, None]
    return np.where(other[:, None], drawn[:, ::-1], drawn)


def _as_columns(haplotypes: Any) -> NDArray[np.uint8]:
    """Haplotypes (n, 2, L) as columns (L, 2 n)."""
    n, _, L = haplotypes.shape
    return np.ascontiguousarray(haplotypes.reshape(2 * n, L).T, dtype=np.uint8)


def _as_pairs(columns: NDArray[np.uint8]) -> Any:
    return np.ascontiguousarray(columns.T).reshape(-1, 2, len(columns))
