"""Tests by permutation: whether groups differ in their haplotypes, and whether haplotypes pair at random.

The likelihood ratio has no chi-square distribution here: most haplotypes are rare, and many sit on their boundary. So
what chance does is found by trying. Every permutation is fitted as the data are, on the same haplotypes, from the same
start; many are fitted in one climb, as populations that share nothing but their lists of pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine import em
from ...engine.latent import FloatArray
from ...engine.progress import progress_bar
from ..checks import check_whole, generator, is_missing
from .diplotypes import Diplotypes
from .estimator import HaplotypeEM
from .genotypes import Genotypes, Table, read_genotypes
from .model import HaplotypeModel, HaplotypeParams, log_likelihoods, pairs_posterior
from .pairing import pairs_among

TOL = 1e-3  # nats, for each population: nothing beside a statistic of the size of 1
WORK = 2**18  # pairs of all populations in one climb
MOST = 64  # permutations in one climb
FLOOR = 1e-3  # of the start is spread evenly, so that a group can hold what the whole does not


@dataclass(frozen=True)
class PermutationTest:
    """A likelihood-ratio statistic among those of permuted data.

    Attributes
    ----------
    statistic : float
        Twice the difference of the log-likelihoods.
    p_value : float
        Share of statistics at least as large, the data's own among them: (1 + larger) / (1 + permutations).
    null : array (n_permutations,)
        Statistics of the permuted data.
    log_likelihoods : tuple of float
        Under the hypothesis and under the alternative.
    """

    statistic: float
    p_value: float
    null: FloatArray
    log_likelihoods: tuple[float, float]


def case_control_test(
    G: Any,
    groups: Any,
    *,
    n_permutations: int = 999,
    model: HaplotypeEM | None = None,
    random_state: Any = None,
    progress: bool | None = None,
) -> PermutationTest:
    """Test whether groups, cases and controls for instance, have the same haplotype frequencies.

    Parameters
    ----------
    G : array (n, L) or (n, L, 2)
        Genotypes, as for `HaplotypeEM`.
    groups : array (n,)
        Which group each person is in; two groups or more. They are what is permuted.
    n_permutations : int
    model : HaplotypeEM, optional
        Fitted to G; by default fitted here.
    random_state : None, int, Generator or RandomState
    progress : bool, optional
        Show a progress bar over permutations; by default on a terminal, once it takes longer than 2 s.

    Raises
    ------
    ValueError
        Also if `groups` has another length, lacks the group of somebody (None, NaN), or names only one; or if `model`
        was fitted to other loci.

    References
    ----------
    Zhao, Curtis & Sham (2000), *Hum. Hered.* 50; Fallin et al. (2001), *Genome Res.* 11.

    Examples
    --------
    Are haplotypes of APOE as frequent in Africans as in Europeans?

    >>> import emlib
    >>> table = emlib.data.apoe()
    >>> people = [table.people("AFR"), table.people("EUR")]
    >>> groups = np.repeat(["AFR", "EUR"], [len(one) for one in people])
    >>> found = case_control_test(np.concatenate(people), groups, n_permutations=99, random_state=0)
    >>> round(found.statistic, 1), found.p_value
    (63.9, 0.01)
    """
    check_whole("n_permutations", n_permutations, 1)
    rng = generator(random_state)
    names, member = _groups(groups, read_genotypes(G).n)
    if len(names) < 2:
        raise ValueError(f"groups names only {names.tolist()}; at least two are needed to be compared.")
    model = _fitted(model, G, rng)
    genotypes, pairs, _ = model._posterior(G)
    start, G_all, K = _start(model), len(genotypes.weights), len(names)

    def weights(members: NDArray[np.intp]) -> FloatArray:
        """People of each group with each genotype, permutation after permutation (B * K, G)."""
        B = len(members)
        cells = (np.arange(B)[:, None] * K + members) * G_all + genotypes.of_person
        return np.bincount(cells.ravel(), minlength=B * K * G_all).astype(float).reshape(B * K, G_all)

    def alternatives(members: NDArray[np.intp]) -> FloatArray:
        return _climbed(pairs, model._table, weights(members), start).reshape(len(members), K).sum(axis=1)

    together = float(_climbed(pairs, model._table, genotypes.weights[None], start)[0])
    apart = float(alternatives(member[None])[0])
    null = _permuted(
        lambda B: 2.0 * (alternatives(rng.permuted(np.tile(member, (B, 1)), axis=1)) - together),
        n_permutations,
        len(pairs.first) * K,
        progress,
    )
    return _judged(together, apart, null)


def hardy_weinberg_test(
    G: Any,
    *,
    n_permutations: int = 999,
    model: HaplotypeEM | None = None,
    random_state: Any = None,
    progress: bool | None = None,
) -> PermutationTest:
    """Test whether haplotypes pair at random, as EM takes for granted.

    The alternative gives every genotype the frequency that it has in the sample. For a permutation each person's phase
    is drawn from its posterior, and all haplotypes are shuffled and paired anew. Of one locus, where nothing is hidden,
    this is the exact permutation test. People with something missing are left out.

    Parameters
    ----------
    G, n_permutations, model, random_state, progress
        As in `case_control_test`.

    Raises
    ------
    ValueError
        Also if fewer than two people have complete genotypes, or if `model` was fitted to other loci.

    References
    ----------
    Guo & Thompson (1992), *Biometrics* 48, for one locus.

    Examples
    --------
    >>> import emlib
    >>> table = emlib.data.apoe()
    >>> hardy_weinberg_test(table.people("EUR"), n_permutations=99, random_state=0).p_value > 0.05
    True
    """
    check_whole("n_permutations", n_permutations, 1)
    rng = generator(random_state)
    genotypes = read_genotypes(G)
    complete = np.asarray((genotypes.alleles >= 0).all(axis=(1, 2)))[genotypes.of_person]
    if complete.sum() < 2:
        raise ValueError(f"G has {int(complete.sum())} people with complete genotypes; at least two are needed.")
    model = _fitted(model, G, rng)
    genotypes, pairs, _ = model._posterior(np.asarray(G)[complete])
    table, start, n = model._table, _start(model), genotypes.n

    def ratios(lists: Diplotypes, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log-likelihoods at random pairing, and with frequencies for genotypes."""
        with np.errstate(divide="ignore", invalid="ignore"):
            free = np.where(weights > 0, weights * np.log(weights / n), 0.0).sum(axis=1)
        return _climbed(lists, table, weights, start), free

    def shuffled(B: int) -> FloatArray:
        drawn = _drawn(pairs, model.frequencies_, genotypes.of_person, B, rng)
        rng.permuted(drawn, axis=1, out=drawn)
        codes = _paired(table, drawn.reshape(B * n, 2))
        numbers, which = _grouped(codes)
        new = Genotypes(numbers, np.bincount(which).astype(float), which, genotypes.labels, genotypes.counts)
        cells = np.repeat(np.arange(B), n) * len(numbers) + which
        weights = np.bincount(cells, minlength=B * len(numbers)).astype(float).reshape(B, -1)
        hypothesis, free = ratios(pairs_among(new, table, everybody=True), weights)
        return 2.0 * (free - hypothesis)

    [hypothesis], [free] = ratios(pairs, genotypes.weights[None])
    null = _permuted(shuffled, n_permutations, len(pairs.first), progress)
    return _judged(float(hypothesis), float(free), null)


def _groups(groups: Any, n: int) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Names of the groups, and which of them each of `n` people is in."""
    each = np.asarray(groups, dtype=object)  # (a plain array of names would write NaN out, as one more name)
    if each.shape != (n,):
        raise ValueError(f"groups has the shape {each.shape}; one group for each of the {n} people is needed.")
    lost = [person for person, group in enumerate(each) if is_missing(group)]
    if lost:
        raise ValueError(
            f"groups holds {each[lost[0]]} for person {lost[0]}, and {len(lost)} of {n} people have no group; leave "
            "them out of G and groups."
        )
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    return names, member


def _fitted(model: HaplotypeEM | None, G: Any, rng: np.random.Generator) -> HaplotypeEM:
    if model is None:
        return HaplotypeEM(random_state=rng).fit(G, progress=False)
    if not isinstance(model, HaplotypeEM) or not hasattr(model, "haplotypes_"):
        raise TypeError("model is not a fitted HaplotypeEM; HaplotypeEM().fit(G) is one.")
    return model


def _start(model: HaplotypeEM) -> FloatArray:
    p = model.frequencies_
    return (1.0 - FLOOR) * p + FLOOR / len(p)


def _climbed(pairs: Diplotypes, haplotypes: Table, weights: FloatArray, start: FloatArray) -> FloatArray:
    """Log-likelihood of each population (S,) with people `weights` (S, G), each at frequencies of its own."""
    S = len(weights)
    lists, stratum = pairs.stratified(weights)
    model = HaplotypeModel(haplotypes, strata=S)
    begin = HaplotypeParams(np.tile(start, S))
    fit = em.fit(model, lists, begin, tol=TOL * S, accelerate="squarem", progress=False)
    each = log_likelihoods(lists, fit.params.frequencies)
    return np.bincount(stratum, lists.weights * each, minlength=S).astype(float)


def _permuted(work: Callable[[int], FloatArray], n: int, size: int, progress: bool | None) -> FloatArray:
    """`n` statistics, as many at once as fit."""
    at_once = int(np.clip(WORK // max(1, size), 1, MOST))
    batches = [min(at_once, n - k) for k in range(0, n, at_once)]
    found = []
    with progress_bar(progress, len(batches), "batch of permutations") as tick:
        for B in batches:
            found.append(work(B))
            tick()
    return np.concatenate(found)


def _judged(hypothesis: float, alternative: float, null: FloatArray) -> PermutationTest:
    statistic = 2.0 * (alternative - hypothesis)
    larger = int((null >= statistic - 4 * TOL).sum())  # equal tables may differ by where their climbs have stopped
    return PermutationTest(statistic, (1 + larger) / (1 + len(null)), null, (hypothesis, alternative))


def _drawn(
    pairs: Diplotypes, frequencies: FloatArray, of_person: NDArray[np.intp], B: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Both haplotypes of everybody, phase drawn from its posterior, B times: (B, 2 n)."""
    ends = np.cumsum(pairs_posterior(pairs, frequencies))
    last = pairs.begins + pairs.sizes - 1
    below = np.concatenate([[0.0], ends])[pairs.begins]
    g = np.tile(of_person, (B, 1))
    point = below[g] + (1.0 - rng.random(g.shape)) * (ends[last] - below)[g]
    at = np.clip(np.searchsorted(ends, point), pairs.begins[g], last[g])
    return np.concatenate([pairs.first[at], pairs.second[at]], axis=1)


def _paired(table: Table, drawn: NDArray[np.intp]) -> NDArray[np.int64]:
    """Genotypes (m, L, 2) of pairs of haplotypes (m, 2)."""
    return np.sort(table[drawn].swapaxes(1, 2), axis=2).astype(np.int64)


def _grouped(alleles: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Different genotypes, and which each person has."""
    flat = np.ascontiguousarray(alleles.reshape(len(alleles), -1))
    _, first, which = np.unique(
        flat.view([("", flat.dtype)] * flat.shape[1]).ravel(), return_index=True, return_inverse=True
    )
    return alleles[first], which
