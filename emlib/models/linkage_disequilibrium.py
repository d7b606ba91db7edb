"""Linkage disequilibrium: how far alleles at two loci are from lying together at random.

For two loci with two alleles EM can be spared. Where it stands still is a root of a cubic in the frequency of the
haplotype with both alternate alleles (eq. 9.8), so every maximum of the likelihood is found; sometimes there are two.
People who are heterozygous at both loci are all that is hidden; allele frequencies are plain proportions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.latent import FloatArray
from ..engine.progress import progress_bar
from .checks import check_flag
from .haplotypes.genotypes import read_genotypes

PAIRS_AT_ONCE = 2**14
REAL, ROOT = (
    1e-4,
    1e-12,
)  # a triple root splits by the cube root of rounding, but the cubic is nothing there all the same
NEAR = 1e-9  # of a bound, to be on it
TIE = 1e-10  # of the log-likelihood
ONE = 1e-7  # two maxima closer than this are one

# Haplotypes in the order 11, 10, 01, 00 (1 is the alternate allele); how allele frequencies and D depend on them.
ALT_A, ALT_B = np.array([1.0, 1, 0, 0]), np.array([1.0, 0, 1, 0])
ACROSS = np.array(
    [[0.0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]]
)  # second derivatives of what d is shared by


@dataclass(frozen=True)
class Solution:
    """One maximum of the likelihood of two loci.

    Attributes
    ----------
    loci : (int, int)
    frequencies : array (2, 2)
        Of haplotypes: allele at the first locus, allele at the second.
    d, d_prime, r2 : float
    log_likelihood : float
        In nats, of the people who have both genotypes.
    """

    loci: tuple[int, int]
    frequencies: FloatArray
    d: float
    d_prime: float
    r2: float
    log_likelihood: float


@dataclass(frozen=True)
class LinkageDisequilibrium:
    """Pairs of L loci; symmetric arrays (L, L), NaN where a locus has one allele among the people with both genotypes.

    Attributes
    ----------
    d : array
        ``D = p_11 - p_A p_B`` (eq. 9.5), positive if alternate alleles lie together more often than at random.
    d_prime : array
        D over the largest that the allele frequencies allow, with its sign (eq. 9.6).
    r2 : array
        Squared correlation of the alleles of a haplotype (eq. 9.7).
    d_error, d_prime_error, r2_error : arrays
        Standard errors by the delta method from the curvature of the likelihood. Haplotypes with an estimate of zero
        are taken not to exist, so that of D' is NaN where D' is -1 or 1. At D = 0 that of r2 is 0, as its slope is.
    n : array of int
        People with both genotypes.
    two_maxima : tuple of (Solution, Solution)
        Pairs of loci whose likelihood has two maxima, the higher first; the arrays hold the higher. Where both are
        equally high, and the data do not tell coupling from repulsion, they hold that with D below zero.
    """

    d: FloatArray
    d_prime: FloatArray
    r2: FloatArray
    d_error: FloatArray
    d_prime_error: FloatArray
    r2_error: FloatArray
    n: NDArray[np.int64]
    two_maxima: tuple[tuple[Solution, Solution], ...] = ()


def linkage_disequilibrium(
    G: Any, *, standard_errors: bool = True, progress: bool | None = None
) -> LinkageDisequilibrium:
    """D, D' and r2 of all pairs of loci with two alleles, by maximum likelihood from unphased genotypes.

    Parameters
    ----------
    G : array (n, L)
        Copies (0, 1, 2) of the alternate allele; -1 or NaN where missing. For each pair of loci the people count who
        have both genotypes.
    standard_errors : bool
        Whether they are computed.
    progress : bool, optional
        Show a progress bar; by default on a terminal, once it takes longer than 2 s.

    Returns
    -------
    LinkageDisequilibrium

    Raises
    ------
    TypeError, ValueError
        In one sentence, for genotypes that are none, pairs of alleles, or a single locus.

    References
    ----------
    Hill (1974), *Heredity* 33, for the cubic; Gaunt, Rodriguez & Day (2007), *BMC Bioinformatics* 8, for its several
    solutions; Lewontin (1964), *Genetics* 49, for D'.

    Examples
    --------
    >>> import emlib
    >>> found = linkage_disequilibrium(emlib.data.apoe().people("EUR"))
    >>> round(float(found.d_prime[0, 1]), 3), round(float(found.r2[0, 1]), 4), round(float(found.r2_error[0, 1]), 4)
    (-1.0, 0.0123, 0.0018)
    """
    check_flag("standard_errors", standard_errors)
    genotypes = read_genotypes(G)
    if not genotypes.counts:
        raise ValueError("G holds pairs of alleles; counts (n, L) of the alternate allele are needed here.")
    L = genotypes.n_loci
    if L < 2:
        raise ValueError("G has one locus; linkage disequilibrium is between two.")
    own = np.where(genotypes.alleles[:, :, 0] < 0, -1, genotypes.alleles.sum(axis=2))
    arrays = {name: np.full((L, L), np.nan) for name in NAMES}
    n, twice = np.zeros((L, L), dtype=np.int64), []
    batches = list(_batches(L))
    with progress_bar(progress, len(batches), "batch of pairs") as tick:
        for i, j in batches:
            tables = two_locus_tables(own, genotypes.weights, i, j)
            maxima = haplotype_maxima(tables)
            found = _measured(tables, maxima[:, 0], standard_errors)
            for name, values in found.items():
                arrays[name][i, j] = arrays[name][j, i] = values
            n[i, j] = n[j, i] = np.rint(tables.sum(axis=(1, 2))).astype(np.int64)
            both = np.flatnonzero(~np.isnan(maxima[:, 1, 0]) & (i != j))  # a locus beside itself is no pair
            loci = list(zip(i[both].tolist(), j[both].tolist(), strict=True))
            higher, lower = (_solutions(loci, tables[both], maxima[both, k]) for k in (0, 1))
            twice += list(zip(higher, lower, strict=True))
            tick()
    return LinkageDisequilibrium(**arrays, n=n, two_maxima=tuple(twice))


NAMES = ("d", "d_prime", "r2", "d_error", "d_prime_error", "r2_error")


def _batches(L: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    i, j = np.triu_indices(L)
    for k in range(0, len(i), PAIRS_AT_ONCE):
        yield i[k : k + PAIRS_AT_ONCE], j[k : k + PAIRS_AT_ONCE]


def two_locus_tables(
    counts: NDArray[np.int64], weights: FloatArray, i: NDArray[np.intp], j: NDArray[np.intp]
) -> FloatArray:
    """People by genotype at two loci, (P, 3, 3) for P pairs of columns; those with a genotype missing are left out."""
    tables = np.empty((len(i), 3, 3))
    marks = [(counts == a).astype(float) for a in range(3)]
    rows, first = np.unique(i, return_inverse=True)
    columns, last = np.unique(j, return_inverse=True)
    for a in range(3):
        for b in range(3):
            product = (marks[a][:, rows] * weights[:, None]).T @ marks[b][:, columns]
            tables[:, a, b] = product[first, last]
    return tables


def haplotype_maxima(tables: FloatArray) -> FloatArray:
    """Haplotype frequencies at the maxima of the likelihood of two loci.

    Parameters
    ----------
    tables : array (P, 3, 3)
        People by copies of the alternate allele at the first and at the second locus.

    Returns
    -------
    array (P, 2, 4)
        Frequencies of the haplotypes 11, 10, 01 and 00, at the higher maximum first; NaN where there is only one, or
        (twice) where there is nobody.

    Examples
    --------
    Nobody tells how the alleles lie together, so repulsion is as likely as coupling:

    >>> haplotype_maxima(np.array([[[0.0, 0, 0], [0, 5, 0], [0, 0, 0]]]))[0].round(3).tolist()
    [[0.0, 0.5, 0.5, 0.0], [0.5, 0.0, 0.0, 0.5]]
    """
    x, double = _seen(tables)
    N = 2.0 * tables.sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = (x @ ALT_A + double) / N, (x @ ALT_B + double) / N
        rest, known, hidden = 1.0 - 2.0 * a - 2.0 * b, x[:, 0] / N, double / N
        # (t - known) (2 t^2 + rest t + a b) = hidden t (1 - a - b + t), eq. 9.8
        cubic = np.stack(
            [
                np.full_like(a, 2.0),
                rest - 2.0 * known - hidden,
                a * b - known * rest - hidden * (1.0 - a - b),
                -known * a * b,
            ],
            axis=1,
        )
    low, high = np.maximum(0.0, a + b - 1.0), np.minimum(a, b)
    roots = _real_roots(cubic)
    inside = (roots > low[:, None] - NEAR) & (roots < high[:, None] + NEAR)
    t = np.where(inside, np.clip(roots, low[:, None], high[:, None]), np.nan)
    # With one allele at a locus nothing is open, but there the root is a double one, which rounding may throw outside.
    t[:, 0] = np.where(high - low < NEAR, low, t[:, 0])
    h = np.stack([t, a[:, None] - t, b[:, None] - t, 1.0 - a[:, None] - b[:, None] + t], axis=2)
    h = np.where(np.abs(h) < NEAR, 0.0, h)
    value = _log_likelihood(x[:, None], double[:, None], h)
    # Of three roots the middle one is a minimum, so the maxima are the two highest, if both lie at the ends.
    value = np.where(np.isnan(value), -np.inf, value)
    # Which of equal maxima comes first should not be for rounding to say: the one with the fewest haplotypes 11.
    scale = TIE * (1.0 + np.abs(np.where(np.isfinite(value), value, 0.0)))
    order = np.argsort(-(value - scale * np.nan_to_num(h[:, :, 0])), axis=1, kind="stable")[:, :2]
    best = np.take_along_axis(h, order[:, :, None], axis=1)
    ranked = np.take_along_axis(value, order, axis=1)
    best[~np.isfinite(ranked)] = np.nan
    # A bound is a root wherever no genotype shows the haplotype that is lost there. It is a second maximum only if the
    # likelihood falls from it first: then the minimum is a root between the two. (Closer than ONE they are one.)
    ends = np.sort(best[:, :, 0], axis=1)
    with np.errstate(invalid="ignore"):
        between = ((t > ends[:, :1] + ONE) & (t < ends[:, 1:] - ONE)).any(axis=1)
    best[~between, 1] = np.nan
    return best


def _seen(tables: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Haplotypes that genotypes show, 11, 10, 01 and 00 (P, 4), and people heterozygous at both loci (P,)."""
    T = tables
    x = [
        2 * T[:, 2, 2] + T[:, 2, 1] + T[:, 1, 2],
        2 * T[:, 2, 0] + T[:, 2, 1] + T[:, 1, 0],
        2 * T[:, 0, 2] + T[:, 1, 2] + T[:, 0, 1],
        2 * T[:, 0, 0] + T[:, 1, 0] + T[:, 0, 1],
    ]
    return np.stack(x, axis=1), T[:, 1, 1]


def _real_roots(cubic: FloatArray) -> FloatArray:
    """Real roots (P, 3) of cubics with leading coefficient 2, NaN where there is none, polished by Newton's method."""
    fine = np.asarray(np.isfinite(cubic).all(axis=1))
    companion = np.zeros((len(cubic), 3, 3))
    companion[:, 1, 0] = companion[:, 2, 1] = 1.0
    companion[:, :, 2] = np.where(fine[:, None], -cubic[:, :0:-1] / 2.0, 0.0)
    found = np.linalg.eigvals(companion)
    roots = np.where((np.abs(found.imag) < REAL) & fine[:, None], found.real, np.nan)
    c3, c2, c1, c0 = (c[:, None] for c in cubic.T)
    for _ in range(3):
        value, slope = ((c3 * roots + c2) * roots + c1) * roots + c0, (3 * c3 * roots + 2 * c2) * roots + c1
        step = np.divide(value, slope, out=np.zeros_like(roots), where=np.abs(slope) > 1e-6)
        roots = roots - np.clip(step, -1e-4, 1e-4)
    return np.where(np.abs(((c3 * roots + c2) * roots + c1) * roots + c0) < ROOT, roots, np.nan)


def _log_likelihood(x: FloatArray, double: FloatArray, h: FloatArray) -> FloatArray:
    """Up to the factors 2 of people heterozygous at one locus."""
    shared = h[..., 0] * h[..., 3] + h[..., 1] * h[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = np.where(x > 0, x * np.log(h), np.where(np.isnan(h), np.nan, 0.0)).sum(axis=-1)
        return seen + np.where(double > 0, double * np.log(2.0 * shared), 0.0)


def _solutions(loci: list[tuple[int, int]], tables: FloatArray, h: FloatArray) -> list[Solution]:
    x, double = _seen(tables)
    once = tables[:, 1, 0] + tables[:, 1, 2] + tables[:, 0, 1] + tables[:, 2, 1]
    value = _log_likelihood(x, double, h) + once * np.log(2.0)
    d, d_prime, r2 = _measures(h)[:3]
    numbers = zip(d.tolist(), d_prime.tolist(), r2.tolist(), value.tolist(), strict=True)
    squares = h[:, ::-1].reshape(-1, 2, 2)
    return [Solution(where, p, *four) for where, p, four in zip(loci, squares, numbers, strict=True)]


def _measures(h: FloatArray) -> tuple[FloatArray, ...]:
    """D, D' and r2 (P,), and their slopes in the four frequencies (P, 4) each."""
    a, b = h @ ALT_A, h @ ALT_B
    d = h[:, 0] * h[:, 3] - h[:, 1] * h[:, 2]
    slope_d = np.stack([h[:, 3], -h[:, 2], -h[:, 1], h[:, 0]], axis=1)
    # The largest |D| is a product of two allele frequencies: of which alleles depends on its sign.
    first = np.where(d >= 0, a * (1 - b), a * b)
    other = np.where(d >= 0, (1 - a) * b, (1 - a) * (1 - b))
    sign_first, sign_other = np.where(d >= 0, -1.0, 1.0), np.where(d >= 0, 1.0, -1.0)
    partner_first, partner_other = np.where(d >= 0, 1 - b, b), np.where(d >= 0, b, 1 - b)
    slope_first = partner_first[:, None] * ALT_A + (a * sign_first)[:, None] * ALT_B
    slope_other = -partner_other[:, None] * ALT_A + ((1 - a) * sign_other)[:, None] * ALT_B
    less = first <= other
    most, slope_most = np.where(less, first, other), np.where(less[:, None], slope_first, slope_other)
    spread = a * (1 - a) * b * (1 - b)
    with np.errstate(divide="ignore", invalid="ignore"):
        d_prime, r2 = d / most, d * d / spread
        slope_prime = slope_d / most[:, None] - (d / most**2)[:, None] * slope_most
        slope_r2 = (2 * d / spread)[:, None] * slope_d - r2[:, None] * (
            ((1 - 2 * a) / (a * (1 - a)))[:, None] * ALT_A + ((1 - 2 * b) / (b * (1 - b)))[:, None] * ALT_B
        )
    flat = ~(spread > 1e-12)
    d, d_prime, r2 = (np.where(flat, np.nan, v) for v in (d, np.clip(d_prime, -1, 1), np.clip(r2, 0, 1)))
    return d, d_prime, r2, slope_d, slope_prime, slope_r2


def _measured(tables: FloatArray, h: FloatArray, errors: bool) -> dict[str, FloatArray]:
    """The measures at these maxima (P, 4), by name."""
    d, d_prime, r2, *slopes = _measures(h)
    found = {"d": d, "d_prime": d_prime, "r2": r2}
    if errors:
        covariance = _covariance(tables, h)
        for name, slope in zip(NAMES[3:], slopes, strict=True):
            with np.errstate(invalid="ignore"):
                error = np.sqrt(np.einsum("pi,pij,pj->p", slope, covariance, slope))
            found[name] = np.where(np.isnan(d), np.nan, error)
        found["d_prime_error"] = np.where(np.abs(d_prime) > 1 - NEAR, np.nan, found["d_prime_error"])
    return found


def _covariance(tables: FloatArray, h: FloatArray) -> FloatArray:
    """Of the four frequencies (P, 4, 4): the inverse of the observed information among those that are not zero."""
    x, double = _seen(tables)
    there: NDArray[np.bool_] = np.greater(h, 0.0)
    shared = h[:, 0] * h[:, 3] + h[:, 1] * h[:, 2]
    slope = h[:, ::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.where(there, x / h**2, 0.0)[:, :, None] * np.eye(4)
        hidden = slope[:, :, None] * slope[:, None, :] / shared[:, None, None] ** 2 - ACROSS / shared[:, None, None]
    some = double > 0
    information[some] += double[some, None, None] * hidden[some]
    # Frequencies sum to 1: only what keeps the sum, and zeros at zero, counts.
    mask = there.astype(float)
    keep = (
        mask[:, :, None] * np.eye(4) - mask[:, :, None] * mask[:, None, :] / np.maximum(mask.sum(1), 1)[:, None, None]
    )
    projected = np.nan_to_num(keep @ information @ keep)
    values, vectors = np.linalg.eigh(projected)
    top = np.maximum(values[:, -1:], 1e-300)
    free = np.maximum(there.sum(axis=1) - 1, 0)[:, None]
    used = np.arange(4) >= 4 - free  # the others are the directions that are not free
    inverse = np.where(used, np.where(values > 1e-12 * top, 1.0 / np.where(used, values, 1.0), np.nan), 0.0)
    return np.einsum("pik,pk,pjk->pij", vectors, inverse, vectors)
