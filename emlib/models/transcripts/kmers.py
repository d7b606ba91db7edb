"""Which transcripts a read fits, without aligning it: words of k letters that both contain.

The idea is kallisto's. Every word of a transcript remembers in which transcripts it occurs; a read fits those that
have all of its known words. Words are looked up one by one here, without the de Bruijn graph that lets kallisto skip
most of them: slower, and the same answer. For teaching and for small sets of transcripts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.latent import FloatArray
from ...engine.progress import progress_bar
from ..checks import check_whole
from .classes import EquivalenceClasses, Ints
from .fasta import PAIRS, read_fasta, read_pairs, read_reads
from .lengths import LONGEST, FragmentLengths

Words = NDArray[np.uint64]
Pairs = Iterable[tuple[Sequence[bytes], Sequence[bytes] | None]]

_CODES = np.full(256, 4, dtype=np.uint8)
_CODES[np.frombuffer(b"ACGTacgtUu", dtype=np.uint8)] = [0, 1, 2, 3, 0, 1, 2, 3, 3, 3]


@dataclass(frozen=True)
class _Hits:
    """Words of sequences: which word, in which sequence, where, and whether it is read forwards."""

    word: Words
    sequence: Ints
    position: Ints
    forward: NDArray[np.bool_]


def _words(sequences: Sequence[bytes], k: int) -> _Hits:
    """All words of k letters, each as the smaller of itself and its reverse complement; none with a letter like N."""
    lengths = np.fromiter(map(len, sequences), dtype=np.intp, count=len(sequences))
    codes = _CODES[np.frombuffer(b"".join(sequences), dtype=np.uint8)]
    n = max(len(codes) - k + 1, 0)
    ahead, back = np.zeros(n, dtype=np.uint64), np.zeros(n, dtype=np.uint64)
    known = np.ones(n, dtype=bool)
    for i in range(k):
        letter = codes[i : i + n]
        known &= letter < 4
        wide = letter.astype(np.uint64) & np.uint64(3)
        ahead = (ahead << np.uint64(2)) | wide
        back |= (np.uint64(3) - wide) << np.uint64(2 * i)
    owner = np.repeat(np.arange(len(sequences)), lengths)
    inside = np.flatnonzero(known & (owner[:n] == owner[k - 1 :])) if n else np.zeros(0, dtype=np.intp)
    of = owner[inside]
    position = inside - (np.cumsum(lengths) - lengths)[of]
    ahead, back = ahead[inside], back[inside]
    return _Hits(np.minimum(ahead, back), of, position, ahead <= back)


class KmerIndex:
    """Words of k letters of some transcripts.

    Parameters
    ----------
    names : sequence of str
    sequences : sequence of bytes or str
    k : int
        Odd, so that no word is its own reverse complement; at most 31.

    Attributes
    ----------
    words : array (W,) of uint64
        Different words, sorted.
    colours : array (W,) of int
        A number for each set of transcripts that have a word in common.

    Examples
    --------
    >>> index = KmerIndex(["a", "b"], ["AACCGTTTACG", "AACCGTTTTTT"], k=5)
    >>> [index.fitting([read]) for read in (b"AACCGT", b"TTACG", b"AAAAA", b"GGGGGG")]
    [['a', 'b'], ['a'], ['b'], []]
    """

    def __init__(self, names: Sequence[str], sequences: Sequence[Any], k: int = 31) -> None:
        if check_whole("k", k, 3) > 31 or k % 2 == 0:
            raise ValueError(f"k is {k}; it must be an odd number from 3 to 31.")
        texts = [text.encode() if isinstance(text, str) else bytes(text) for text in sequences]
        if len(names) != len(texts) or not texts:
            raise ValueError(f"there are {len(names)} names for {len(texts)} sequences; one each, and one at least.")
        self.names, self.k = tuple(names), k
        self.lengths: FloatArray = np.array([len(text) for text in texts], dtype=float)
        hits = _words(texts, k)
        if not len(hits.word):
            raise ValueError(f"no transcript holds {k} known letters in a row; give a smaller k.")
        self.words, which = np.unique(hits.word, return_inverse=True)
        # one line for each word and transcript: where it is there first (such keys outgrow the 32 bits of an index)
        self._places, first = np.unique(which.astype(np.int64) * len(texts) + hits.sequence, return_index=True)
        self._position, self._forward = hits.position[first], hits.forward[first]
        self._colour(self._places // len(texts), self._places % len(texts))

    def _colour(self, word: Ints, transcript: Ints) -> None:
        """Give each set of transcripts that share a word a number."""
        cuts = np.searchsorted(word, np.arange(len(self.words) + 1))
        sets: dict[bytes, int] = {}
        small, colours = transcript.astype(np.int32), np.empty(len(self.words), dtype=np.int64)
        for w, (a, b) in enumerate(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)):
            colours[w] = sets.setdefault(small[a:b].tobytes(), len(sets))
        self.colours = colours
        members = [np.frombuffer(key, dtype=np.int32).astype(np.int64) for key in sets]
        self._members = np.concatenate(members)
        self._starts = np.concatenate([[0], np.cumsum([len(one) for one in members])])

    def fitting(self, mates: Sequence[bytes]) -> list[str]:
        """The transcripts that fit one fragment, given as its reads (one or two)."""
        _, members, _ = self.compatible([mates[:1], mates[1:] or None])
        return [self.names[t] for t in members]

    def compatible(self, pair: Sequence[Any]) -> tuple[Ints, Ints, Ints]:
        """The transcripts that fit each of n fragments.

        A transcript fits a fragment if it has every word of its reads that any transcript has; so a mate without known
        words has no say.

        Parameters
        ----------
        pair : (sequence of n bytes, sequence of n bytes or None)
            First and second mates.

        Returns
        -------
        starts, members : arrays (n + 1,) and (M,) of int
            Fragment i fits ``members[starts[i]:starts[i + 1]]``.
        lengths : array of int
            Of the fragments that fit one transcript, with both mates, facing each other.
        """
        first, second = pair
        n, T = len(first), len(self.names)
        hits = [self._look_up(reads) for reads in (first, second) if reads is not None]
        wide = [(hit.sequence.astype(np.int64), self.colours[word]) for hit, word in hits]
        key = np.concatenate([sequence * len(self._starts) + colour for sequence, colour in wide])
        fragment, colour = np.divmod(np.unique(key), len(self._starts))
        asked = np.bincount(fragment, minlength=n)
        sizes = np.diff(self._starts)[colour]
        flat = np.arange(sizes.sum()) + np.repeat(self._starts[colour] - np.cumsum(sizes) + sizes, sizes)
        each, votes = np.unique(np.repeat(fragment, sizes) * T + self._members[flat], return_counts=True)
        of, transcript = np.divmod(each, T)
        fits = votes == asked[of]
        of, members = of[fits], transcript[fits]
        starts = np.searchsorted(of, np.arange(n + 1))
        lengths = self._fragment_lengths(hits, starts, members)
        return starts, members, lengths

    def _look_up(self, reads: Sequence[bytes]) -> tuple[_Hits, Ints]:
        """Words of reads that the index knows, and their numbers in it."""
        hits = _words(reads, self.k)
        at = np.minimum(np.searchsorted(self.words, hits.word), len(self.words) - 1)
        known = self.words[at] == hits.word
        kept = _Hits(hits.word[known], hits.sequence[known], hits.position[known], hits.forward[known])
        return kept, at[known]

    def _fragment_lengths(self, hits: Sequence[tuple[_Hits, Ints]], starts: Ints, members: Ints) -> Ints:
        """From the outer ends of both mates on the transcript, by the first known word of each."""
        if len(hits) < 2:
            return np.zeros(0, dtype=np.int64)
        alone = np.diff(starts) == 1
        ends, rightward = [], []
        for hit, word in hits:
            seen, first = np.unique(hit.sequence, return_index=True)
            has = np.zeros(len(alone), dtype=bool)
            has[seen] = True
            alone &= has
            at = np.zeros(len(alone), dtype=np.int64)
            at[seen] = first
            ends.append((hit, word, at))
        chosen = np.flatnonzero(alone)
        of, outer = members[starts[chosen]], []
        for hit, word, at in ends:
            i = at[chosen]
            place = np.searchsorted(self._places, word[i].astype(np.int64) * len(self.names) + of)
            ahead = hit.forward[i] == self._forward[place]
            begin = self._position[place] - hit.position[i]
            end = self._position[place] + self.k + hit.position[i]
            outer.append(np.where(ahead, begin, end))
            rightward.append(ahead)
        facing = rightward[0] != rightward[1]
        span = np.where(rightward[0], outer[1] - outer[0], outer[0] - outer[1])
        return span[facing & (span > 0) & (span <= LONGEST)]


@dataclass(frozen=True, eq=False)
class Pseudoalignment:
    """What `pseudoalign` found.

    Attributes
    ----------
    classes : EquivalenceClasses
        With the effective lengths that follow from the fragments.
    fragment_lengths : FragmentLengths
    n_processed, n_aligned, n_unique : int
        Fragments; those that fit some transcript; those that fit one only.
    class_of : array (n_processed,) of int
        The class of each fragment, in the order of the files; -1 if it fits no transcript.
    """

    classes: EquivalenceClasses
    fragment_lengths: FragmentLengths
    n_processed: int
    n_aligned: int
    n_unique: int
    class_of: Ints


def pseudoalign(
    transcripts: Any,
    reads: Any,
    mates: Any = None,
    *,
    k: int = 31,
    fragment_length: tuple[float, float] | None = None,
    progress: bool | None = None,
) -> Pseudoalignment:
    """Equivalence classes of reads, by the words of k letters that they share with transcripts.

    Parameters
    ----------
    transcripts : path of FASTA, or sequence of (name, letters)
    reads, mates : path of FASTQ, or sequence of str
        With `mates`, fragment i is read i of both, in the same order.
    k : int
        Odd, at most 31.
    fragment_length : (float, float), optional
        Mean and standard deviation; needed for single reads, estimated from pairs that fit one transcript otherwise.
    progress : bool, optional
        Show a progress bar; by default on a terminal, once it takes longer than 2 s.

    Raises
    ------
    ValueError
        In one sentence with file and line: nothing in a file, a gzip stream that ends early, unpaired reads, no read
        that fits any transcript.

    References
    ----------
    Bray et al. (2016), *Nature Biotechnology* 34.

    Examples
    --------
    >>> transcripts = [("a", "AACCGTTTACG"), ("b", "AACCGTTTTTT")]
    >>> found = pseudoalign(transcripts, ["AACCGT", "TTACG", "AACCG", "CCCCCC"], k=5, fragment_length=(6, 1))
    >>> found.n_aligned, found.n_unique, found.classes.counts.tolist()
    (3, 1, [2.0, 1.0])
    """
    if mates is None and fragment_length is None:
        raise ValueError("single reads do not show how long their fragment was; give fragment_length=(mean, sd).")
    given = None if fragment_length is None else FragmentLengths.normal(*fragment_length)
    names, letters = _transcripts(transcripts)
    index = KmerIndex(names, letters, k)
    where: dict[bytes, int] = {}
    spans, class_of = [], []
    with progress_bar(progress, None, f"block of {PAIRS} fragments") as tick:
        for block in _blocks(reads, mates):
            starts, members, span = index.compatible(block)
            spans.append(span)
            class_of.append(_numbered(where, starts, members))
            tick()
    of = np.concatenate(class_of) if class_of else np.zeros(0, dtype=np.int64)
    if not where:
        raise ValueError(f"none of the {len(of)} fragments shares a word of {k} letters with a transcript.")
    seen = np.concatenate(spans)
    if given is None and not len(seen):
        raise ValueError("no pair fits one transcript only with both mates; give fragment_length=(mean, sd).")
    fragments = given if given is not None else FragmentLengths.observed(seen)
    lists = [np.frombuffer(key, dtype=np.int64).tolist() for key in where]
    classes = EquivalenceClasses.of(
        lists,
        np.bincount(of[of >= 0], minlength=len(lists)),
        names,
        fragments.effective_lengths(index.lengths),
        lengths=index.lengths,
    )
    aligned, alone = int((of >= 0).sum()), int(classes.unique.sum())
    return Pseudoalignment(classes, fragments, len(of), aligned, alone, of)


def _numbered(where: dict[bytes, int], starts: Ints, members: Ints) -> Ints:
    """The class of each fragment; sets not met before get the next number."""
    of = np.full(len(starts) - 1, -1, dtype=np.int64)
    cuts, raw = (starts * members.itemsize).tolist(), members.tobytes()
    for i in np.flatnonzero(np.diff(starts)).tolist():
        of[i] = where.setdefault(raw[cuts[i] : cuts[i + 1]], len(where))
    return of


def _transcripts(source: Any) -> tuple[list[str], list[bytes]]:
    if isinstance(source, (str, Path)):
        return read_fasta(source)
    pairs = list(source)
    return [str(name) for name, _ in pairs], [t.encode() if isinstance(t, str) else bytes(t) for _, t in pairs]


def _blocks(reads: Any, mates: Any) -> Iterator[tuple[Sequence[bytes], Sequence[bytes] | None]]:
    """Fragments by the block, from files or from lists."""
    if isinstance(reads, (str, Path)):
        if mates is None:
            yield from ((block, None) for block in read_reads(reads))
        else:
            yield from read_pairs(reads, mates)
        return
    first = [text.encode() for text in reads]
    second = None if mates is None else [text.encode() for text in mates]
    if second is not None and len(first) != len(second):
        raise ValueError(f"there are {len(first)} reads, but {len(second)} mates; fragment i is read i of both.")
    for i in range(0, len(first), PAIRS):
        yield first[i : i + PAIRS], None if second is None else second[i : i + PAIRS]
