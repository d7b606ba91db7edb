"""Equivalence classes: fragments that fit the same transcripts are one line with a count.

Which transcripts a fragment may come from is all that it says about its origin, so a hundred million fragments become
some thousand classes, and the work of an E-step no longer depends on how many fragments there are.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ...engine.latent import FloatArray
from ..checks import as_numbers, in_short

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class EquivalenceClasses:
    """C classes of fragments over T transcripts, class after class in flat arrays. Make them with `of`.

    Attributes
    ----------
    names : tuple of str
        Of the transcripts (T).
    starts : array (C + 1,) of int
        The members of class c are ``members[starts[c]:starts[c + 1]]``.
    members : array (M,) of int
        Transcripts, by number.
    counts : array (C,) or (B, C)
        Fragments in each class; B rows are B resampled experiments (`resampled`).
    weights : array (M,), optional
        ``p(class | transcript)`` for each member, up to a factor for each class: what salmon writes with
        ``--dumpEqWeights``. Without them it is one over the effective length (eq. 11.3).
    effective_lengths : array (T,), optional
        Places at which a fragment can begin.
    lengths : array (T,), optional
        In letters.

    Examples
    --------
    >>> classes = EquivalenceClasses.of([[0], [1], [0, 1]], [30, 10, 60], ["long", "short"], [2000, 1000])
    >>> len(classes), classes.members.tolist(), classes.unique.tolist()
    (3, [0, 1, 0, 1], [30.0, 10.0])
    """

    names: tuple[str, ...]
    starts: Ints
    members: Ints
    counts: FloatArray
    weights: FloatArray | None = None
    effective_lengths: FloatArray | None = None
    lengths: FloatArray | None = None

    @classmethod
    def of(
        cls,
        classes: Iterable[Sequence[int]],
        counts: ArrayLike,
        names: Sequence[str] | None = None,
        effective_lengths: ArrayLike | None = None,
        *,
        weights: Iterable[Sequence[float]] | None = None,
        lengths: ArrayLike | None = None,
    ) -> EquivalenceClasses:
        """Classes from lists of transcript numbers, checked.

        Parameters
        ----------
        classes : C sequences of int
            The transcripts of each class, from 0.
        counts : array (C,)
        names : sequence of str, optional
            ``t0``, ``t1``, ... if not given, as many as the classes name.
        effective_lengths, lengths : array (T,), optional
        weights : C sequences of float, optional
            One for each member.

        Raises
        ------
        ValueError
            In one sentence that names the class or transcript.
        """
        if not np.iterable(classes):
            raise ValueError(f"classes is {in_short(classes)}; lists of transcript numbers are needed.")
        rows = [np.asarray(row) for row in classes]
        if not rows:
            raise ValueError("classes is empty; at least one class is needed.")
        for c, row in enumerate(rows):
            if row.ndim != 1 or not len(row) or row.dtype.kind not in "iu" or row.min() < 0:
                raise ValueError(f"class {c} is {row.tolist()!r}; it must list one or more transcripts by number.")
            if len(np.unique(row)) < len(row):
                raise ValueError(f"class {c} names a transcript twice: {row.tolist()}.")
        members = np.concatenate(rows).astype(np.int64)
        known = int(members.max()) + 1 if names is None else len(names)
        for c, row in enumerate(rows):
            if row.max() >= known:
                raise ValueError(f"class {c} names transcript {row.max()}, but there are {known} (0 to {known - 1}).")
        starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        flat = None
        if weights is not None:
            parts = [np.asarray(row, dtype=float) for row in weights]
            if [len(part) for part in parts] != [len(row) for row in rows]:
                raise ValueError("weights do not have one number for each member of each class.")
            flat = np.concatenate(parts)
            _check_weights(flat, starts)
        return cls(
            tuple(f"t{t}" for t in range(known)) if names is None else tuple(map(str, names)),
            starts,
            members,
            _counts(counts, len(rows)),
            flat,
            None if effective_lengths is None else per_transcript("effective_lengths", effective_lengths, known),
            None if lengths is None else per_transcript("lengths", lengths, known),
        )

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, chosen: Any) -> EquivalenceClasses:
        """Some of the classes, by a slice or numbers (which may repeat)."""
        c = np.arange(len(self))[chosen]
        sizes = self.sizes[c]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        flat = np.arange(starts[-1]) + np.repeat(self.starts[c] - starts[:-1], sizes)
        weights = None if self.weights is None else self.weights[flat]
        return replace(
            self, starts=starts, members=self.members[flat], counts=self.counts[..., c].copy(), weights=weights
        )

    def __repr__(self) -> str:
        kind = "weighted" if self.weights is not None else "plain"
        return f"<{len(self)} {kind} classes of {self.n_fragments:g} fragments over {len(self.names)} transcripts>"

    @property
    def sizes(self) -> Ints:
        """How many transcripts each class has (C,)."""
        return np.diff(self.starts).astype(np.intp)  # np.repeat takes no wider ones where addresses have 32 bits

    @property
    def n_fragments(self) -> float:
        """All fragments."""
        return float(self.counts.sum())

    @property
    def unique(self) -> FloatArray:
        """Fragments that fit one transcript only (T,)."""
        alone = self.sizes == 1
        of = self.members[self.starts[:-1][alone]]
        found: FloatArray = np.bincount(of, self.counts[alone], minlength=len(self.names)).astype(float)
        return found

    @functools.cached_property
    def matrix(self) -> csr_array:
        """``p(class | transcript)`` up to a factor a class: sparse (C, T), eq. 11.3; 1 where nothing is known."""
        if self.weights is not None:
            values = self.weights
        elif self.effective_lengths is not None:
            values = 1.0 / self.effective_lengths[self.members]
        else:
            values = np.ones(len(self.members))
        return csr_array((values, self.members, self.starts), shape=(len(self), len(self.names)))

    @functools.cached_property
    def _transposed(self) -> csr_array:
        """The same, (T, C), so that both products of the E-step run along rows."""
        return csr_array(self.matrix.T)

    def density(self, shares: FloatArray) -> FloatArray:
        """``p(class)`` at shares (..., T), up to a factor a class: (..., C), eq. 11.4."""
        found: FloatArray = (self.matrix @ shares.T).T
        return found

    def demand(self, density: FloatArray) -> FloatArray:
        """By what each share is multiplied in an E-step, (..., T): ``sum_c n_c p(c | t) / p(c)``."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.counts / density
        if not self._counted:
            ratio[self.counts == 0] = 0.0
        found: FloatArray = (self._transposed @ ratio.T).T
        return found

    @functools.cached_property
    def linked(self) -> Ints:
        """A number for each transcript (T,), the same for those that classes with fragments link, however indirectly.

        Such sets are problems of their own: the fragments of each are given.
        """
        C, T = len(self), len(self.names)
        seen = np.repeat(self.counts > 0, self.sizes)
        of = np.repeat(np.arange(C), self.sizes)[seen]
        graph = csr_array((np.ones(len(of)), (of, C + self.members[seen])), shape=(C + T, C + T))
        label: Ints = connected_components(graph, directed=False)[1][C:].astype(np.int64)
        return label

    @functools.cached_property
    def _counted(self) -> bool:
        """Whether every class has fragments."""
        return bool((self.counts > 0).all())

    def with_lengths(self, effective_lengths: ArrayLike, lengths: ArrayLike | None = None) -> EquivalenceClasses:
        """The same classes, transcripts of these lengths."""
        T = len(self.names)
        plain = self.lengths if lengths is None else per_transcript("lengths", lengths, T)
        return replace(self, effective_lengths=per_transcript("effective_lengths", effective_lengths, T), lengths=plain)

    def merged(self) -> EquivalenceClasses:
        """Classes of the same members (and weights) as one, in the order of their first."""
        found: dict[bytes, int] = {}
        where = np.empty(len(self), dtype=np.int64)
        for c in range(len(self)):
            part = slice(self.starts[c], self.starts[c + 1])
            key = self.members[part].tobytes() + (b"" if self.weights is None else self.weights[part].tobytes())
            where[c] = found.setdefault(key, len(found))
        _, first = np.unique(where, return_index=True)
        return replace(self[first], counts=np.bincount(where, self.counts).astype(float))

    def resampled(self, n: int, rng: np.random.Generator) -> EquivalenceClasses:
        """`n` experiments of as many fragments, each drawn with replacement from these: counts (n, C)."""
        total = check_whole_counts(self.counts).sum()
        return replace(self, counts=rng.multinomial(total, self.counts / self.n_fragments, size=n).astype(float))


def per_transcript(name: str, values: ArrayLike, T: int) -> FloatArray:
    """`values` as T finite numbers above 0.

    Examples
    --------
    >>> per_transcript("effective_lengths", [900, 0], 2)
    Traceback (most recent call last):
      ...
    ValueError: effective_lengths holds 0 for transcript 1; every length must be a finite number above 0.
    """
    array = as_numbers(name, values)
    if array.shape != (T,):
        raise ValueError(f"{name} has the shape {array.shape}; one number for each of {T} transcripts is needed.")
    bad = np.flatnonzero(~(np.isfinite(array) & (array > 0)))
    if len(bad):
        t = int(bad[0])
        raise ValueError(f"{name} holds {array[t]:g} for transcript {t}; every length must be a finite number above 0.")
    return array


def check_whole_counts(counts: FloatArray) -> Ints:
    """`counts` as integers, if they are: fragments can be drawn again only if they were counted."""
    if (counts != np.floor(counts)).any():
        raise ValueError("counts are not whole numbers, so fragments cannot be drawn one by one.")
    return counts.astype(np.int64)


def _counts(counts: ArrayLike, C: int) -> FloatArray:
    array = as_numbers("counts", counts)
    if array.shape != (C,):
        raise ValueError(f"counts has the shape {array.shape}; one count for each of {C} classes is needed.")
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(bad):
        raise ValueError(f"counts holds {array[bad[0]]:g} for class {bad[0]}; counts must be finite and 0 or above.")
    if not array.sum() > 0:
        raise ValueError("counts are all 0; there is no fragment to share out.")
    return array


def _check_weights(flat: FloatArray, starts: Ints) -> None:
    most = np.maximum.reduceat(flat, starts[:-1])
    bad = ~np.isfinite(np.add.reduceat(flat, starts[:-1])) | (np.minimum.reduceat(flat, starts[:-1]) < 0) | (most <= 0)
    if bad.any():
        c = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"class {c} has the weights {flat[starts[c] : starts[c + 1]].tolist()}; "
            "they must be finite, none below 0, and one above it."
        )
