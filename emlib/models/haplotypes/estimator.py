"""The estimator: frequencies of haplotypes, and who carries which."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from ...engine.em import Degenerate
from ...engine.information import observed_information
from ...engine.latent import FloatArray
from ...engine.progress import progress_bar
from ..checks import check_real, check_whole, generator
from .diplotypes import Diplotypes
from .genotypes import Genotypes, Ints, read_genotypes
from .model import HaplotypeModel, HaplotypeParams, log_likelihoods, pairs_posterior
from .pairing import pairs_among
from .search import Found, Search

RARE = 1e-3  # expected copies, below which a frequency counts as zero for standard errors


class Phased(NamedTuple):
    """The most probable pair of haplotypes of each person (n, 2, L), and its probability (n,)."""

    haplotypes: NDArray[Any]
    posterior: FloatArray


@dataclass(frozen=True)
class DiplotypePosterior:
    """Every pair of haplotypes that a person can carry, with its probability.

    Attributes
    ----------
    person : array (Q,) of int
        Row of the genotypes, increasing.
    first, second : arrays (Q,) of int
        Rows of ``haplotypes_``, ``first <= second``.
    probability : array (Q,)
        Given the genotype; they sum to 1 for each person.
    """

    person: NDArray[np.intp]
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    probability: FloatArray


class HaplotypeEM(BaseEstimator):  # type: ignore[misc]
    """Haplotype frequencies from unphased genotypes by EM, under Hardy-Weinberg proportions.

    Loci may have two alleles or many, and genotypes may be missing, each allele by itself. All pairs of haplotypes that
    are compatible with a genotype are listed where that fits; where it does not, loci enter one after the other and
    pairs that hardly matter are left out. Either way the result is checked against *all* haplotypes that could be
    carried beside one that is kept, and those that would raise the likelihood are let in (``trimming_``).

    Parameters
    ----------
    n_init : int, optional
        Climbs, the first from equal shares for all pairs of a person, the others from random ones. By default ten
        (fewer where lists are long), and where these end at different heights people are shared out anew, about the
        best end, until that has not helped for five batches of eight.
    max_pairs : int
        The longest list of pairs, over all genotypes. A million need some 100 MB.
    tol : float
        Of the last climb, in nats (`engine.em.fit`).
    max_iter : int
        Most iterations of a climb.
    random_state : None, int, Generator or RandomState

    Attributes
    ----------
    haplotypes_ : array (H, L)
        Haplotypes with a frequency above zero, the most frequent first, in the alleles' own codes (0 and 1 for counts).
    frequencies_ : array (H,)
    log_likelihood_ : float
        Of all genotypes, in nats: the sum over people of the log of the sum, over the unordered pairs that make the
        genotype, of p_a p_b, times 2 if a and b differ (eq. 9.2).
    trimming_ : Trimming
        What was left out, and that it would not have raised the likelihood.
    ends_ : array
        Log-likelihoods at which the climbs ended: several different ones mean that the likelihood has several maxima.
    trace_, n_iter_, stop_reason_, converged_
        Of the last climb.

    Notes
    -----
    What is missing is taken to be missing at random. Genotypes at which nothing is known say nothing.

    References
    ----------
    Excoffier & Slatkin (1995), *Mol. Biol. Evol.* 12; Hawley & Kidd (1995), *J. Hered.* 86; Clayton (2002), snphap,
    for loci that enter one after the other.

    Examples
    --------
    Two SNPs of APOE in 503 Europeans: is somebody with both heterozygous e2/e4 or e1/e3?

    >>> import emlib
    >>> people = emlib.data.apoe().people("EUR")
    >>> model = HaplotypeEM(random_state=0).fit(people)
    >>> model.haplotypes_.tolist(), model.frequencies_.round(4).tolist()
    ([[0, 0], [1, 0], [0, 1]], [0.7823, 0.1551, 0.0626])
    >>> phased = model.phase([[1, 1]])
    >>> phased.haplotypes[0].tolist(), phased.posterior.round(3).tolist()
    ([[1, 0], [0, 1]], [1.0])
    """

    def __init__(
        self,
        n_init: int | None = None,
        *,
        max_pairs: int = 2**20,
        tol: float = 1e-6,
        max_iter: int = 10_000,
        random_state: Any = None,
    ) -> None:
        self.n_init = n_init
        self.max_pairs = max_pairs
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, G: Any, y: Any = None, progress: bool | None = None) -> HaplotypeEM:
        """Estimate the frequencies.

        Parameters
        ----------
        G : array (n, L) or (n, L, 2)
            Copies of the alternate allele (0, 1, 2), or two whole-number codes of alleles; -1 or NaN where missing.
        y : ignored
        progress : bool, optional
            Show a progress bar over climbs; by default on a terminal, once it takes longer than 2 s.

        Raises
        ------
        TypeError, ValueError
            In one sentence, for genotypes that are none, one person alone, or a bad parameter.
        """
        search = self._search()
        genotypes = read_genotypes(G)
        check_people(genotypes)
        with progress_bar(progress, None, "batch of climbs") as tick:
            found = search.run(genotypes, generator(self.random_state), tick)
        self._keep(genotypes, found)
        if found.fit.reason == "max_iter":
            warnings.warn(
                f"{type(self).__name__} stopped at max_iter={self.max_iter} before it had converged; raise max_iter.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _search(self) -> Search:
        if self.n_init is not None:
            check_whole("n_init", self.n_init, 1)
        check_whole("max_pairs", self.max_pairs, 2)
        check_whole("max_iter", self.max_iter, 1)
        check_real("tol", self.tol)
        return Search(self.n_init, self.max_pairs, float(self.tol), self.max_iter)

    def _keep(self, genotypes: Genotypes, found: Found) -> None:
        order = np.argsort(-found.fit.params.frequencies, kind="stable")
        self._table, self._labels = found.haplotypes[order].astype(np.int64), genotypes.labels
        self._counts = genotypes.counts
        self.haplotypes_ = genotypes.coded(self._table)
        self.frequencies_ = found.fit.params.frequencies[order]
        self.log_likelihood_ = found.fit.log_likelihood
        self.trimming_, self.ends_ = found.trimming, found.ends
        self.trace_, self.n_iter_ = found.fit.trace, found.fit.n_iter
        self.stop_reason_, self.converged_ = found.fit.reason, found.fit.converged
        self.n_features_in_ = genotypes.n_loci

    # ------------------------------------------------------------------ what a fit says of people

    def phase(self, G: Any) -> Phased:
        """The most probable pair of haplotypes of each person.

        Parameters
        ----------
        G : array (n, L) or (n, L, 2)
            As in `fit`, of these or other people. What is missing is filled in with what the pair has there.

        Returns
        -------
        Phased
            Haplotypes (n, 2, L) in the alleles' codes, and the probability of that pair given the genotype (n,). Which
            of the two comes first has no meaning.

        Raises
        ------
        ValueError
            Also for a genotype that no two haplotypes of the fit make.
        """
        genotypes, pairs, shares = self._posterior(G)
        best = np.flatnonzero(shares == np.maximum.reduceat(shares, pairs.begins)[pairs.owner])
        _, first = np.unique(pairs.owner[best], return_index=True)
        chosen = best[first][genotypes.of_person]
        both = np.stack([self.haplotypes_[pairs.first[chosen]], self.haplotypes_[pairs.second[chosen]]], axis=1)
        return Phased(both, shares[chosen])

    def diplotypes(self, G: Any) -> DiplotypePosterior:
        """Every pair of haplotypes that each person can carry, with its probability."""
        genotypes, pairs, shares = self._posterior(G)
        number = pairs.sizes[genotypes.of_person]
        ends = np.cumsum(number)
        at = np.arange(ends[-1]) + np.repeat(pairs.begins[genotypes.of_person] - (ends - number), number)
        person = np.repeat(np.arange(genotypes.n), number)
        return DiplotypePosterior(person, pairs.first[at], pairs.second[at], shares[at])

    def score_samples(self, G: Any) -> FloatArray:
        """Log-likelihood of each person (n,), in nats: the log of the sum over pairs in eq. 9.2."""
        genotypes, pairs, _ = self._posterior(G)
        return log_likelihoods(pairs, self.frequencies_)[genotypes.of_person]

    def _posterior(self, G: Any) -> tuple[Genotypes, Diplotypes, FloatArray]:
        check_is_fitted(self)
        genotypes = read_genotypes(G, self._labels)
        try:
            pairs = pairs_among(genotypes, self._table, everybody=True)
        except Degenerate as problem:
            raise ValueError(f"{str(problem)[:-1]}; fit with this person, or leave it out.") from None
        return genotypes, pairs, pairs_posterior(pairs, self.frequencies_)

    def standard_errors(self, G: Any, progress: bool | None = None) -> FloatArray:
        """Standard errors of the frequencies (H,), from the curvature of the likelihood.

        Parameters
        ----------
        G : array
            The genotypes of the fit.
        progress : bool, optional
            Show a progress bar over E-steps, two for each haplotype.

        Returns
        -------
        array (H,)
            NaN for haplotypes of less than a thousandth of an expected copy: their frequencies are zero as far as can
            be seen, on the boundary, where there is no curvature. Those of the others take these zeros as known.

        Raises
        ------
        emlib.engine.information.NotAMaximum
            A `ValueError`: the likelihood is flat in some direction, as where a phase is anybody's guess.

        References
        ----------
        Louis (1982), *J. R. Stat. Soc. B* 44.
        """
        genotypes, errors = self._own(G), np.full(len(self.frequencies_), np.nan)
        seen = 2 * genotypes.weights[genotypes.informative].sum() * self.frequencies_ > RARE
        try:
            pairs = pairs_among(genotypes, self._table[seen])
        except Degenerate:  # somebody carries one that nobody is expected to carry
            seen[:] = True
            pairs = pairs_among(genotypes, self._table)
        p = self.frequencies_[seen]
        model = HaplotypeModel(self._table[seen])
        # The last coordinate is what the others are measured against: let it be the most frequent.
        order = np.arange(len(p))[::-1]
        turned = Diplotypes(
            len(p) - 1 - pairs.second, len(p) - 1 - pairs.first, pairs.begins, pairs.weights, pairs.n_haplotypes
        )
        if len(p) == 1:
            errors[seen] = 0.0
            return errors
        found = observed_information(model, turned, HaplotypeParams(p[order] / p.sum()), progress=progress)
        errors[seen] = found.standard_errors.frequencies[::-1]
        return errors

    def _own(self, G: Any) -> Genotypes:
        check_is_fitted(self)
        return read_genotypes(G, self._labels)

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Ints:
        """Genotypes of new people, drawn from the fit: counts or pairs of alleles, as `fit` was given."""
        check_is_fitted(self)
        check_whole("n_samples", n_samples, 1)
        rng = generator(random_state)
        drawn = rng.choice(len(self.frequencies_), size=(n_samples, 2), p=self.frequencies_ / self.frequencies_.sum())
        alleles = self.haplotypes_[drawn].swapaxes(1, 2)
        return alleles.sum(axis=2) if self._counts else np.sort(alleles, axis=2)


def check_people(genotypes: Genotypes) -> None:
    """Refuse fewer than two people."""
    if genotypes.n < 2:
        raise ValueError("G holds one person only; frequencies are those of a population, so at least two are needed.")
