"""The one kernel under every mixture: log joint = eta . T(x), statistics = r . T(x).

For an exponential family both halves of an iteration are matrix products with the table of
features T(x). What makes them fast in plain NumPy: features and responsibilities lie
transposed, so that every reduction over components runs along whole rows of memory; pieces are
cut so that the products stay on BLAS's small-matrix path and the work arrays stay in cache.

Large products of large numbers lose digits. Each family says for which components the expanded
form is unsafe; those are evaluated from ``x - mean`` instead (`engine.differences`), a little slower.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .blocks import Rows
from .differences import Special
from .features import Features
from .latent import SOFT, FloatArray, Latent, assign

EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Statistics:
    """Expected sufficient statistics, one row a component.

    Attributes
    ----------
    totals : array (K, p)
        ``sum_i r_ik T(x_i)``; column 0 is the expected number of rows, N_k.
    about : array (K, d)
        The point from which the x in T(x) was measured: the origin, or a component's own mean.
        All blocks of one table agree on it; other statistics with another point do not add up.
    shared : array
        Sums over the same rows that no label touches, for families that need them.
    noise : float
        How far rounding can move the log-likelihood computed in the same pass.
    """

    totals: FloatArray
    about: FloatArray
    shared: FloatArray
    noise: float = 0.0

    def __add__(self, other: Statistics) -> Statistics:
        if not np.array_equal(self.about, other.about):
            raise ValueError("the statistics were taken about different points; cut the rows with Rows.blocks().")
        totals, shared = self.totals + other.totals, self.shared + other.shared
        return Statistics(totals, self.about, shared, self.noise + other.noise)

    @property
    def counts(self) -> FloatArray:
        """Expected number of rows of each component, N_k."""
        return self.totals[:, 0]


@dataclass(frozen=True)
class Natural:
    """Components as the kernel sees them.

    Attributes
    ----------
    eta : array (K, p)
        Natural parameters; weights and normalising constants are in column 0.
    special : dict of int to Special
        Components for which `eta` must not be used.
    base : callable, optional
        Log base measure of pieces (batch, d, rows), the same for all components.
    base_total : float
        Its sum over the rows at hand.
    noise : array (K,) or ()
        Bound of the rounding error per row.
    """

    eta: FloatArray
    special: Mapping[int, Special] = field(default_factory=dict)
    base: Callable[[FloatArray], FloatArray] | None = None
    base_total: float = 0.0
    noise: FloatArray | float = 0.0

    def split(self, K: int) -> list[Natural]:
        """Mixtures of K components each, from one long list of components."""
        return [
            replace(
                self,
                eta=self.eta[first : first + K],
                special={k - first: own for k, own in self.special.items() if first <= k < first + K},
                noise=np.broadcast_to(self.noise, len(self.eta))[first : first + K],
            )
            for first in range(0, len(self.eta), K)
        ]


def plan(n: int, K: int, p: int) -> tuple[int, int, int]:
    """Rows a piece, pieces a batch, features a product.

    OpenBLAS multiplies without packing while the product of the three sizes is below 1e6,
    which is twice as fast. Up to eight pieces a call hide NumPy's overhead, as long as a buffer stays near 2 MB:
    larger ones leave the cache that a core has for itself.

    Examples
    --------
    >>> plan(1_000_000, 5, 6), plan(1_000_000, 10, 66), plan(100, 3, 15)
    ((8192, 5, 6), (1512, 2, 66), (100, 1, 15))
    """
    rows = min(max(1_000_000 // (K * p), 960), 8192) // 8 * 8
    if p > 4000:  # only a start needs so many features at once (a fit uses differences)
        rows = max(4_000_000 // p, 8)
    group = p if K * p * rows <= 1_050_000 else max(32, 1_000_000 // (K * rows))
    batch = min(max(2**18 // (p * rows), 1), 8)
    return min(rows, n), (batch if rows < n else 1), group


_buffers = threading.local()


def _buffer(name: str, shape: tuple[int, ...]) -> FloatArray:
    """A work array, kept by each thread: fresh memory for every call costs as much as the sums."""
    size = int(np.prod(shape))
    flat: FloatArray | None = getattr(_buffers, name, None)
    if flat is None or flat.size < size:
        flat = np.empty(size)
        setattr(_buffers, name, flat)
    return flat[:size].reshape(shape)


STREAMS, CACHE = 15, 2**22  # rows of features that memory delivers side by side; bytes that stay near by themselves
TOGETHER_ROWS, TOGETHER = 1000, 128_000  # with several climbs: rows a piece, and log joints (1 MB) at a time


def _nearby(T: FloatArray) -> FloatArray:
    """A kept piece copied from memory to cache, one address after the other.

    The products read its p rows side by side, which memory delivers at a third of that speed.
    """
    near = _buffer("T", T.shape)
    np.copyto(near, T)
    return near


def _featured(rows: Rows, family: Features, piece: int, batch: int) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Pieces of data and of their features, which are kept between iterations where that costs little memory.

    Every family's features begin with 1 and x, so that kept features hold the rows too.
    """
    p, d = family.n_features(rows.d), rows.d

    def made(X: FloatArray, out: FloatArray) -> FloatArray:
        family.features(X, out)
        return out

    if rows.keeps_features(p):
        kept = rows.features(type(family).__name__, lambda X: made(X, np.empty((len(X), p, X.shape[2]))), piece, batch)
        near = map(_nearby, kept) if p > STREAMS and 8 * p * len(rows) > CACHE else kept
        yield from ((T[:, 1 : 1 + d], T) for T in near)
    else:
        yield from ((X, made(X, _buffer("T", (len(X), p, X.shape[2])))) for X in rows.pieces(piece, batch))


def _log_joints(
    rows: Rows, family: Features, natural: Natural, S: int
) -> Iterator[tuple[slice, FloatArray, FloatArray | None, FloatArray]]:
    """Which of S mixtures (listed in `natural`), pieces of data X, of features T (None if unused), of log joints A.

    A is (batch, mixtures, K, rows): features are made once and multiplied by all mixtures' parameters.
    """
    K, p = len(natural.eta) // S, natural.eta.shape[1]
    piece, batch, group = plan(len(rows), K, p)
    if S > 1:  # features are reused at once by all mixtures, so short pieces that stay in cache are best
        piece, batch = min(piece, TOGETHER_ROWS), 1
    eta = natural.eta.reshape(S, K, p)
    if natural.special:
        eta = eta.copy()
        for j in natural.special:
            eta[j // K, j % K] = 0.0  # not used, and too large to multiply
    expanded = len(natural.special) < S * K
    for X, T in _featured(rows, family, piece, batch) if expanded else ((X, None) for X in rows.pieces(piece, batch)):
        nb, _, b = X.shape
        pack = max(1, TOGETHER // (nb * K * b))
        for first in range(0, S, pack):
            some = slice(first, min(first + pack, S))
            A = _buffer("A", (nb, some.stop - first, K, b))
            if T is not None:
                with np.errstate(invalid="ignore"):  # a weight of zero is -inf here, which some products flag
                    np.matmul(eta[some, :, :group], T[:, None, :group], out=A)
                    for g in range(group, p, group):
                        A += np.matmul(eta[some, :, g : g + group], T[:, None, g : g + group])
            for j, component in natural.special.items():
                if some.start <= j // K < some.stop:
                    A[:, j // K - first, j % K] = component.log_joint(X)
            yield some, X, T, A


def expect(rows: Rows, family: Features, natural: Natural, latent: Latent = SOFT) -> tuple[Statistics, float]:
    """The E-step over one block of rows.

    Parameters
    ----------
    rows : Rows
        n rows of d columns.
    family : Features
        Says what T(x) is.
    natural : Natural
        The components.
    latent : Latent
        The choice of E.

    Returns
    -------
    Statistics
        ``sum_i r_ik T(x_i)``, shape (K, p).
    float
        The summed objective of that choice.
    """
    return expect_many(rows, family, [natural], latent)[0]


def expect_many(
    rows: Rows, family: Features, naturals: Sequence[Natural], latent: Latent = SOFT
) -> list[tuple[Statistics, float]]:
    """The same at several parameters: many starts, over features made once."""
    S, K = len(naturals), len(naturals[0].eta)
    special = {s * K + k: own for s, natural in enumerate(naturals) for k, own in natural.special.items()}
    listed = Natural(np.concatenate([natural.eta for natural in naturals]), special)
    totals, (values,), found = _sums(rows, family, listed, S, latent)
    results = []
    for s, natural in enumerate(naturals):
        own = {k: found[s * K + k] for k in natural.special}
        about = {k: component.mean for k, component in natural.special.items()}
        noise = float(np.max(natural.noise)) * len(rows) + 4 * EPS * abs(natural.base_total)
        stats = _collected(rows, family, totals[s], own, about, noise)
        results.append((stats, float(values[s]) + natural.base_total))
    return results


def _collected(
    rows: Rows,
    family: Features,
    totals: FloatArray,
    special: Mapping[int, FloatArray],
    about: Mapping[int, FloatArray],
    noise: float = 0.0,
) -> Statistics:
    """Totals (K, p) of the expanded form, with those taken from differences put in their place."""
    points = np.zeros((len(totals), rows.d))
    if len(special) == len(totals):  # all from differences: their statistics may have a length of their own
        totals = np.stack([special[k] for k in range(len(totals))])
    for k, point in about.items():
        totals[k], points[k] = special[k], point
    return Statistics(totals, points, family.shared(rows), noise)


@dataclass(frozen=True)
class Heat:
    """How much less the data count for each of S mixtures than they should.

    Attributes
    ----------
    inverse : array (S,)
        One over the temperature, the power to which the density of every row is raised.
    log_weights : array (S, K)
        Log weights, which are not tempered and so are not part of the natural parameters.
    """

    inverse: FloatArray
    log_weights: FloatArray


def expect_listed(
    rows: Rows, family: Features, natural: Natural, S: int, latent: Latent = SOFT, heat: Heat | None = None
) -> tuple[Statistics, FloatArray]:
    """The same for S mixtures whose components are one long list, which stays one: many chains.

    Returns
    -------
    Statistics
        Of all components, (S K, p); rows are counted in full at every temperature.
    array (1, S) or (2, S)
        The objectives, without the base measure. Under `heat` also the summed log densities of the rows in the
        components to which they were assigned.
    """
    totals, values, special = _sums(rows, family, natural, S, latent, heat)
    about = {j: component.mean for j, component in natural.special.items()}
    return _collected(rows, family, totals.reshape(-1, totals.shape[2]), special, about), values


def _sums(
    rows: Rows, family: Features, natural: Natural, S: int, latent: Latent, heat: Heat | None = None
) -> tuple[FloatArray, FloatArray, dict[int, FloatArray]]:
    """One pass over the rows: totals (S, K, p), objectives (1 or 2, S), and what is taken from differences."""
    K, p = len(natural.eta) // S, natural.eta.shape[1]
    totals, values = np.zeros((S, p, K)), np.zeros((1 if heat is None else 2, S))
    special: dict[int, FloatArray] = {}
    for some, X, T, A in _log_joints(rows, family, natural, S):
        if heat is not None:
            plain = A.copy()
            A *= heat.inverse[some, None, None]
            A += heat.log_weights[some, :, None]
        values[0, some] += assign(A, latent).sum(axis=0)
        if heat is not None:
            values[1, some] += np.einsum("nskb,nskb->s", plain, A)
        if T is not None:
            totals[some] += np.matmul(T[:, None], A.swapaxes(2, 3)).sum(axis=0)
        for j, component in natural.special.items():
            if some.start <= j // K < some.stop:
                own = component.totals(X, A[:, j // K - some.start, j % K], latent.rng)
                special[j] = special.get(j, 0.0) + own
    return np.ascontiguousarray(totals.swapaxes(1, 2)), values, special


def log_joints(rows: Rows, family: Features, natural: Natural, S: int) -> FloatArray:
    """Log joint densities (S, n, K) under S mixtures whose components are one long list, base measure included."""
    K = len(natural.eta) // S
    found = np.empty((S, len(rows), K))
    done = np.zeros(S, dtype=int)
    for some, X, _, A in _log_joints(rows, family, natural, S):
        joint = A.transpose(1, 0, 3, 2).reshape(A.shape[1], -1, K)
        if natural.base is not None:
            joint = joint + natural.base(X).reshape(-1, 1)
        i = done[some.start]
        found[some, i : i + joint.shape[1]] = joint
        done[some] += joint.shape[1]
    return found


def log_densities(rows: Rows, family: Features, natural: Natural) -> FloatArray:
    """Log densities (K, n) under each component, without the base measure: one component along each row of memory."""
    K = len(natural.eta)
    found, i = np.empty((K, len(rows))), 0
    for *_, A in _log_joints(rows, family, natural, 1):
        part = A[:, 0].swapaxes(0, 1)
        size = part.shape[1] * part.shape[2]
        found[:, i : i + size].reshape(part.shape)[...] = part
        i += size
    return found


def posterior(rows: Rows, family: Features, natural: Natural) -> tuple[FloatArray, FloatArray]:
    """Responsibilities (n, K) and log densities (n,) of every row."""
    K = len(natural.eta)
    responsibilities, log_density = np.empty((len(rows), K)), np.empty(len(rows))
    i = 0
    for _, X, _, A in _log_joints(rows, family, natural, 1):
        joint = A[:, 0].swapaxes(1, 2).reshape(-1, K)
        part = slice(i, i + len(joint))
        top = joint.max(axis=1, keepdims=True)
        np.exp(joint - top, out=responsibilities[part])
        total = responsibilities[part].sum(axis=1, keepdims=True)
        responsibilities[part] /= total
        log_density[part] = (top + np.log(total))[:, 0]
        if natural.base is not None:
            log_density[part] += natural.base(X).ravel()
        i = part.stop
    return responsibilities, log_density


def best_label(rows: Rows, family: Features, natural: Natural) -> NDArray[np.intp]:
    """The most probable component of every row (n,)."""
    labels = [_first_best(A[:, 0]).ravel() for *_, A in _log_joints(rows, family, natural, 1)]
    return np.concatenate(labels)


def _first_best(A: FloatArray) -> NDArray[np.intp]:
    """The largest along the components (batch, K, rows), the first of equals.

    Few components are counted, those before the best one, along whole rows of memory; `argmax` walks across them.
    """
    if A.shape[1] > 32:
        return A.argmax(axis=1)
    top, labels = A.max(axis=1), np.zeros((len(A), A.shape[2]), np.intp)
    before = np.ones(labels.shape, bool)
    for k in range(A.shape[1] - 1):
        before &= A[:, k] != top
        labels += before
    return labels


class Shares(Protocol):
    """Responsibilities (n, K) that can be sliced by rows: an array, or something that makes slices."""

    def __getitem__(self, rows: slice, /) -> FloatArray:
        """Rows ``start`` to ``stop``, asked for in order; the same each time that they are asked for from row 0 on."""
        ...


def moments(
    rows: Rows,
    family: Features,
    responsibilities: Shares,
    K: int,
    first: int = 0,
    special: Mapping[int, Special] | None = None,
) -> Statistics:
    """Statistics for responsibilities that are given, from row `first` on: a start from labels.

    Those of the components in `special` are taken from differences, as in `expect`.
    """
    special = special or {}
    p = family.n_features(rows.d)
    piece, batch, _ = plan(len(rows), K, p)
    totals, i = np.zeros((K, p)), first
    own: dict[int, FloatArray] = {}
    expanded = len(special) < K
    for X, T in _featured(rows, family, piece, batch) if expanded else ((X, None) for X in rows.pieces(piece, batch)):
        nb, _, b = X.shape
        R = responsibilities[i : i + nb * b].reshape(nb, b, K)
        if T is not None:
            totals += np.matmul(R.swapaxes(1, 2), T.swapaxes(1, 2)).sum(axis=0)
        for k, component in special.items():
            own[k] = own.get(k, 0.0) + component.totals(X, R[:, :, k])
        i += nb * b
    about = np.zeros((K, rows.d))
    if len(own) == K:  # all from differences: their statistics may have a length of their own
        totals = np.stack([own[k] for k in range(K)])
    for k, component in special.items():
        totals[k], about[k] = own[k], component.mean
    return Statistics(totals, about, family.shared(rows))
