"""What the classes cannot tell: transcripts that may exchange fragments without any change of the likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array
from scipy.sparse.csgraph import connected_components

from ...engine.latent import FloatArray
from .classes import EquivalenceClasses, Ints

LARGEST = 1500  # transcripts at once; a singular value decomposition of more takes too long
TOLERANCE = 1e-9  # of a singular value beside the largest


@dataclass(frozen=True, eq=False)
class Identifiability:
    """Which transcripts can be told apart; from `identifiability`.

    Attributes
    ----------
    rank : int
        Independent equations that the classes give for the T shares, sums of linked sets included.
    n_transcripts : int
        Their number T. If `rank` is as large, every share is determined.
    groups : tuple of tuples of str
        Transcripts that can exchange fragments; the sum of a group is determined, its parts are not.
    never_seen : tuple of str
        Transcripts in no class with fragments: their share is zero.
    unexamined : tuple of str
        Transcripts of sets in which more than `LARGEST` are undecided, left out.
    """

    rank: int
    n_transcripts: int
    groups: tuple[tuple[str, ...], ...]
    never_seen: tuple[str, ...]
    unexamined: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As sentences.

        Examples
        --------
        >>> print(identifiability(EquivalenceClasses.of([[0, 1], [2]], [60, 40])))
        The classes give 2 equations for 3 transcripts.
        Only the sum is determined of: t0, t1.
        """
        lines = [f"The classes give {self.rank} equations for {self.n_transcripts} transcripts."]
        lines += [f"Only the sum is determined of: {', '.join(group)}." for group in self.groups]
        if not self.groups:
            lines.append("Every share is determined.")
        if self.never_seen:
            lines.append(f"No fragment fits: {', '.join(self.never_seen)}.")
        if self.unexamined:
            lines.append(f"{len(self.unexamined)} transcripts were not examined: too many are linked.")
        return "\n".join(lines)


def identifiability(classes: EquivalenceClasses) -> Identifiability:
    """Find the transcripts that the classes cannot tell apart (eq. 11.11).

    The likelihood sees the shares only through the probability of each class, ``W @ shares``, and through their sum. A
    direction d with ``W d = 0`` and ``sum(d) = 0`` changes neither. Sets of transcripts that no class links are
    examined each on its own, with a sum of its own, which at the maximum is the set's part of all fragments.

    Parameters
    ----------
    classes : EquivalenceClasses
        Those without fragments are left out.

    Returns
    -------
    Identifiability

    Examples
    --------
    >>> report = identifiability(EquivalenceClasses.of([[0, 1], [2], [1, 2]], [60, 30, 10]))
    >>> report.rank, report.groups
    (3, ())
    """
    seen = classes[np.flatnonzero(classes.counts > 0)]
    W, T = csc_array(seen.matrix), len(classes.names)
    touched = np.bincount(seen.members, minlength=T) > 0
    undecided = np.flatnonzero(_undecided(seen))
    rank, groups, unexamined = T - len(undecided), list[Ints](), list[int]()
    order = undecided[np.argsort(seen.linked[undecided], kind="stable")]
    for t in np.split(order, np.flatnonzero(np.diff(seen.linked[order])) + 1):
        if len(t) > LARGEST:
            unexamined.extend(t.tolist())
        elif len(t):
            free, found = _free_directions(W[:, t])
            rank += len(t) - free
            groups.extend(t[group] for group in found)
    name = np.array(classes.names)
    return Identifiability(
        rank,
        T - len(unexamined),
        tuple(tuple(name[group].tolist()) for group in groups),
        tuple(name[~touched].tolist()),
        tuple(name[unexamined].tolist()),
    )


def slack(classes: EquivalenceClasses, shares: FloatArray, nats: float = 0.01) -> FloatArray:
    """How many fragments each transcript can gain or lose for `nats` of log-likelihood (eq. 11.10).

    From the curvature at the maximum: others move along so as to lose least. Exact for small `nats`, as long as
    no share reaches zero on the way. Transcripts with less than half a fragment are held where they are: there the
    maximum lies on the boundary, and what counts is the slope.

    Parameters
    ----------
    classes : EquivalenceClasses
    shares : array (T,)
        At the maximum.
    nats : float

    Returns
    -------
    array (T,)
        Fragments; infinity where nothing holds the share in place (`identifiability`), 0 with less than half a
        fragment.

    Raises
    ------
    ValueError
        For more than `LARGEST` transcripts with fragments.

    Examples
    --------
    >>> classes = EquivalenceClasses.of([[0], [1], [0, 1]], [30, 10, 60])
    >>> slack(classes, np.array([0.75, 0.25]), 0.01).round(2).tolist()
    [0.97, 0.97]
    """
    n, T = classes.n_fragments, len(shares)
    moving = np.flatnonzero(n * shares >= 0.5)
    if len(moving) > LARGEST:
        raise ValueError(
            f"{len(moving)} transcripts have fragments; slack takes {LARGEST} at most: some genes at a time."
        )
    seen = classes[np.flatnonzero(classes.counts > 0)]
    W = seen.matrix[:, moving].toarray()
    density = seen.matrix @ shares
    root = np.sqrt(seen.counts)[:, None] * W / density[:, None]  # information: root.T @ root
    basis = np.linalg.svd(np.ones((1, len(moving))))[2][1:].T  # directions that keep the sum
    values, vectors = np.linalg.svd(_short(root @ basis), full_matrices=False)[1:]
    most = values.max(initial=0.0)
    held = values > 1e-9 * most
    along = basis @ vectors.T
    reach = np.sqrt(2.0 * nats * ((along[:, held] / values[held]) ** 2).sum(axis=1))
    free = 1.0 - 1.0 / len(moving) - (along[:, held] ** 2).sum(axis=1) > 1e-7
    moves = np.zeros(T)
    moves[moving] = np.where(free, np.inf, n * reach)
    return moves


def _undecided(seen: EquivalenceClasses) -> NDArray[np.bool_]:
    """Transcripts whose share is not settled by classes alone: one with a class of its own is, and so on from there."""
    member = seen.matrix.data > 0
    left = np.bincount(seen.members[member], minlength=len(seen.names)) > 0
    while True:
        here = member & left[seen.members]
        alone = np.add.reduceat(here.astype(np.int64), seen.starts[:-1]) == 1
        settled = seen.members[here & np.repeat(alone, seen.sizes)]
        if not len(settled):
            return left
        left[settled] = False


def _free_directions(columns: csc_array) -> tuple[int, list[Ints]]:
    """How many directions leave ``W @ shares`` and the sum unchanged, and which transcripts they move together."""
    rows = np.unique(columns.indices)
    W = csr_array(columns)[rows].toarray()
    norms = np.linalg.norm(W, axis=0)
    sums = (1.0 / norms) / np.linalg.norm(1.0 / norms)
    values, vectors = np.linalg.svd(_short(np.vstack([W / norms, sums])), full_matrices=True)[1:]
    held = int((values > TOLERANCE * values[0]).sum())
    free = vectors[held:].T
    if not free.shape[1]:
        return 0, []
    together = np.abs(free @ free.T) > 1e-7
    moved = np.flatnonzero(together.diagonal())
    _, label = connected_components(csr_array(together[np.ix_(moved, moved)]), directed=False)
    return free.shape[1], [moved[label == g] for g in range(label.max() + 1)]


def _short(tall: FloatArray) -> FloatArray:
    """A matrix of the same singular values and right vectors, with no more rows than columns."""
    if tall.shape[0] <= tall.shape[1]:
        return tall
    short: FloatArray = np.linalg.qr(tall, mode="r")  # type: ignore[assignment]
    return short
