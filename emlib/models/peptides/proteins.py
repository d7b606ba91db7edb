"""Which proteins were there: a peptide that several proteins contain came from one of them, and nobody saw which.

The hidden label is that of chapter 11, where fragments fit several transcripts, and so is the model: peptides with the
same candidates are an equivalence class, counted by how many of them are expected to be correct.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from ...engine import em
from ...engine.families import DirichletPrior
from ...engine.latent import FloatArray
from ..base import EMEstimator
from ..checks import as_numbers, check_prior, check_real, check_whole, in_short, is_missing
from ..transcripts.classes import EquivalenceClasses
from ..transcripts.model import TranscriptModel, TranscriptParams


class ProteinInference(EMEstimator):
    """Proteins behind peptides, some of which several proteins share.

    A correct peptide comes from protein g with probability proportional to its share (over its `sizes`); shares are
    those that maximise the likelihood of the candidates, each peptide counted by its probability of being correct
    (eq. 13.10). In the E-step a shared peptide is split among its candidates (eq. 13.11). A protein is present if one
    of its peptides is both correct and its own (eq. 13.12).

    Parameters
    ----------
    sizes : mapping of str to float, optional
        How many peptides of each protein could be seen at all. Without it every protein is as visible as the next, and
        one that explains nothing on its own loses its peptides to those that do.
    max_iter, tol, accelerate
        As in the mixtures.
    prior : DirichletPrior, optional
        On shares.

    Attributes
    ----------
    groups_ : tuple of tuples of str (G,)
        Proteins that have the same peptides cannot be told apart and are one group.
    probabilities_ : array (G,)
        That some protein of the group is present, if every shared peptide was dealt on its own.
    own_probabilities_ : array (G,)
        The same from peptides that no other group contains: what is left if shared ones are somebody else's.
    shares_ : array (G,)
        Of the correct peptides.
    counts_ : array (G,)
        Expected number of correct peptides from each group.
    responsibilities_ : sparse array (n, G)
        How each peptide is split, if it is correct; rows sum to 1.
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_
        As in every EM estimator.

    Notes
    -----
    ProteinProphet (Nesvizhskii et al. 2003) splits a shared peptide by the *probabilities* of its proteins instead of
    their shares, computes the probabilities from the split, and repeats. No likelihood has been stated that its fixed
    point maximises, so that iteration is not EM, and this is not ProteinProphet: it has the formula of eq. 13.12 in
    common with it, and lacks its correction for proteins that are seen by one peptide alone. Such a protein is as
    probable here as its peptide, which is too hopeful, since wrong peptides hit proteins at random and mostly one
    each. Peptides are taken for independent; give each once, with its best match. Parts of shared peptides are
    taken for independent too, though they would be wrong together; where `own_probabilities_` is lower, believe it.

    References
    ----------
    Nesvizhskii et al. (2003), *Analytical Chemistry* 75:4646; Nesvizhskii & Aebersold (2005), *Molecular & Cellular
    Proteomics* 4:1419, on shared peptides.

    Examples
    --------
    >>> peptides = [["A"], ["A"], ["A", "B"], ["C", "D"]]
    >>> found = ProteinInference().fit(peptides, [0.9, 0.8, 0.9, 0.5])
    >>> found.groups_
    (('A',), ('B',), ('C', 'D'))
    >>> found.probabilities_.round(3).tolist()
    [0.998, 0.0, 0.5]
    """

    def __init__(
        self,
        sizes: Mapping[str, float] | None = None,
        *,
        max_iter: int = 10_000,
        tol: float = 1e-6,
        prior: DirichletPrior | None = None,
        accelerate: Any = "squarem",
    ) -> None:
        self.sizes = sizes
        self.max_iter = max_iter
        self.tol = tol
        self.prior = prior
        self.accelerate = accelerate

    def fit(self, candidates: Sequence[Sequence[str]], probabilities: ArrayLike) -> ProteinInference:
        """Split peptides among proteins.

        Parameters
        ----------
        candidates : n sequences of str
            The proteins that contain each peptide.
        probabilities : array (n,)
            That each peptide is correct: 1 minus its posterior error.

        Raises
        ------
        ValueError
            In one sentence that names the peptide.
        """
        rows = _candidates(candidates)
        p = _probabilities(probabilities, len(rows))
        groups, members = _grouped(rows)
        sizes = None if self.sizes is None else [_size(self.sizes, names) for names in groups]
        each = EquivalenceClasses.of(members, p, ["/".join(names) for names in groups], sizes)
        best = em.fit(
            TranscriptModel(),
            each.merged(),
            TranscriptParams(np.full(len(groups), 1.0 / len(groups))),
            max_iter=check_whole("max_iter", self.max_iter, 0),
            tol=check_real("tol", self.tol),
            prior=check_prior(self.prior, DirichletPrior),
            accelerate=self.accelerate,
        )
        self._outcome(best)
        self.groups_ = groups
        self.shares_: FloatArray = best.params.shares
        self.responsibilities_ = _split(each, self.shares_)
        self.counts_: FloatArray = np.asarray(p @ self.responsibilities_)
        split, alone = self.responsibilities_, each.sizes == 1
        self.probabilities_: FloatArray = _at_least_one(split, np.repeat(p, each.sizes), len(groups))
        self.own_probabilities_: FloatArray = _at_least_one(split, np.repeat(p * alone, each.sizes), len(groups))
        self._warn(best)
        return self


def _split(each: EquivalenceClasses, shares: FloatArray) -> csr_array:
    """What part of each peptide comes from each group (eq. 13.11); evenly where no candidate has a share."""
    matrix = each.matrix
    found = matrix.data * shares[each.members]
    total = np.add.reduceat(found, each.starts[:-1])
    none = np.repeat(total <= 0, each.sizes)
    found[none], total[total <= 0] = 1.0, each.sizes[total <= 0]
    return csr_array((found / np.repeat(total, each.sizes), each.members, each.starts), shape=matrix.shape)


def _at_least_one(split: csr_array, p: FloatArray, G: int) -> FloatArray:
    """The probability (G,) that a peptide is both correct and the group's own (eq. 13.12); `p` for each candidate."""
    with np.errstate(divide="ignore"):
        absent = np.log1p(-np.minimum(split.data * p, 1.0))
    return np.abs(np.expm1(np.bincount(split.indices, absent, minlength=G)))


def _grouped(rows: list[list[str]]) -> tuple[tuple[tuple[str, ...], ...], list[list[int]]]:
    """Proteins with the same peptides as one, in the order of their first; and the groups of each peptide."""
    where: dict[str, list[int]] = {}
    for i, names in enumerate(rows):
        for name in names:
            where.setdefault(name, []).append(i)
    together: dict[tuple[int, ...], list[str]] = {}
    for name, peptides in where.items():
        together.setdefault(tuple(peptides), []).append(name)
    groups = tuple(tuple(names) for names in together.values())
    of = {name: g for g, names in enumerate(groups) for name in names}
    return groups, [sorted({of[name] for name in names}) for names in rows]


def _size(sizes: Mapping[str, float], names: tuple[str, ...]) -> float:
    """The mean of a group's; one sentence if one is missing or none."""
    for name in names:
        if name not in sizes:
            raise ValueError(f"sizes has no entry for protein {name!r}.")
        if not isinstance(sizes[name], Real) or not (np.isfinite(sizes[name]) and sizes[name] > 0):
            raise ValueError(f"sizes holds {sizes[name]!r} for protein {name!r}; it must be a finite number above 0.")
    return float(np.mean([sizes[name] for name in names]))


def _candidates(candidates: Sequence[Sequence[str]]) -> list[list[str]]:
    table: Any = candidates
    if isinstance(table, np.ndarray) and table.ndim == 2 and table.dtype.kind in "biuf":  # of zeros and ones, perhaps
        raise ValueError("candidates are a table of numbers; a list of protein names for each peptide is needed.")
    if not np.iterable(candidates):
        raise ValueError(f"candidates is {in_short(candidates)}; a list of protein names for each peptide is needed.")
    rows = []
    for i, names in enumerate(candidates):
        if isinstance(names, str):
            raise ValueError(f"candidates of peptide {i} are the word {names!r}; a list of protein names is needed.")
        try:
            given = list(names)
        except TypeError:  # None, or the NaN of pandas
            raise ValueError(
                f"candidates of peptide {i} are {in_short(names)}; a list of protein names is needed."
            ) from None
        if not given:
            raise ValueError(f"peptide {i} has no candidate protein; leave it out.")
        if any(isinstance(name, (list, tuple, np.ndarray)) for name in given):
            raise ValueError(f"candidates of peptide {i} hold lists; protein names alone are needed.")
        if any(map(is_missing, given)):
            raise ValueError(f"candidates of peptide {i} hold a missing value; protein names alone are needed.")
        rows.append(list(dict.fromkeys(map(str, given))))
    if not rows:
        raise ValueError("candidates are empty; at least one peptide is needed.")
    return rows


def _probabilities(probabilities: ArrayLike, n: int) -> FloatArray:
    p = as_numbers("probabilities", probabilities)
    if p.shape != (n,):
        raise ValueError(f"probabilities have the shape {p.shape}; one for each of {n} peptides is needed.")
    bad = np.flatnonzero(~((p >= 0) & (p <= 1)))
    if len(bad):
        raise ValueError(f"probabilities hold {p[bad[0]]:g} for peptide {bad[0]}; they must be between 0 and 1.")
    if not p.any():
        raise ValueError("probabilities are all 0; no peptide is correct, so no protein is there.")
    return p
