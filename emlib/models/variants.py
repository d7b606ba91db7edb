"""Genotypes from VCF and BCF files, and what is wrong with a record, in a sentence.

Reading is htslib's work, through cyvcf2 (``pip install "emlib[genomics]"``). What is decided here is what a genotype
may look like: of two alleles, each known or missing. Anything else is refused, skipped or kept as the caller says;
nothing is dropped in silence.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .checks import in_short

MISSING, ABSENT = -1, -2  # htslib's: an allele that is not known, and one that is not there (fewer than others have)
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")  # the empty last block
ODD = ("refuse", "skip", "keep")
NO_GENOTYPES = "has no genotypes (GT)"
MANY_ALLELES = "has more than two alleles"
OTHER_PLOIDY = "has haploid or polyploid genotypes"
SAME_PLACE = "lies where the record above does"


@dataclass(frozen=True)
class Variants:
    """Genotypes of n people at L records.

    Attributes
    ----------
    alleles : array (n, L, 2) of int
        0 for the reference, 1, 2, ... for the alternate alleles, in the order of the file; -1 where missing.
    phased : array (n, L) of bool
        Whether the file says which allele lies on which haplotype (``0|1``, not ``0/1``).
    samples, chromosomes, ids : arrays of str
        Names of the people (n,), and of the records (L,); "." for a record without a name.
    positions : array (L,) of int
        From 1, as in the file.
    letters : tuple of L tuples of str
        The alleles: reference, then alternates.
    records : array (L,) of int
        Which record each is, from 1: of the file, or of the region where an index led there.
    skipped : tuple of str
        Why records were left out, a sentence each.
    """

    alleles: NDArray[np.int16]
    phased: NDArray[np.bool_]
    samples: NDArray[np.str_]
    chromosomes: NDArray[np.str_]
    positions: NDArray[np.int64]
    ids: NDArray[np.str_]
    letters: tuple[tuple[str, ...], ...]
    records: NDArray[np.int64]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Copies of the alternate allele (n, L); -1 where either allele is missing.

        Raises
        ------
        ValueError
            If a record has several alternate alleles.
        """
        many = [i for i, letters in enumerate(self.letters) if len(letters) > 2]
        if many:
            i = many[0]
            raise ValueError(
                f"record {self.records[i]} ({self.chromosomes[i]}:{self.positions[i]}) has {len(self.letters[i]) - 1} "
                "alternate alleles, which a count does not tell apart; use `alleles`, or skip such records."
            )
        known = (self.alleles >= 0).all(axis=2)
        return np.where(known, self.alleles.sum(axis=2), MISSING).astype(np.int64)


@dataclass(frozen=True)
class Region:
    """A stretch of a chromosome, both ends included, counted from 1."""

    chromosome: str
    first: int = 1
    last: int = 2**60

    @classmethod
    def parse(cls, text: Any) -> Region:
        """``22``, ``22:16000000`` (from there on) or ``22:16,000,000-17,000,000``.

        Raises
        ------
        ValueError
            For anything else.

        Examples
        --------
        >>> Region.parse("chr22:1,000-2000")
        Region(chromosome='chr22', first=1000, last=2000)
        """
        found = re.fullmatch(r"(\S+?)(?::([\d,]*\d)(?:-([\d,]*))?)?", text) if isinstance(text, str) else None
        if found is None or (found[2] is None and ":" in text):
            raise ValueError(
                f"{in_short(text)} is no region; it must look like '22', '22:16000000' (from there on) "
                "or '22:16000000-17000000'."
            )
        first, last = (int(part.replace(",", "") or 0) if part else None for part in (found[2], found[3]))
        region = cls(found[1], 1 if first is None else first, cls.last if last is None else last)
        if not 1 <= region.first <= region.last:
            raise ValueError(
                f"{text!r} is no region: positions count from 1, and the first must not be above the last."
            )
        return region

    def holds(self, chromosome: str, position: int) -> bool:
        """Whether a position lies in it."""
        return chromosome == self.chromosome and self.first <= position <= self.last


def read_variants(
    path: str | os.PathLike[str],
    region: str | None = None,
    *,
    samples: Sequence[str] | None = None,
    odd: str = "refuse",
) -> Variants:
    """Read the genotypes of a VCF or BCF file, compressed or not.

    Parameters
    ----------
    path : path
        ``.vcf``, ``.vcf.gz`` (bgzip or gzip) or ``.bcf``.
    region : str, optional
        ``"22"``, ``"22:16000000"`` (from there on) or ``"22:16000000-17000000"``, both ends included;
        records that begin in it. With an index beside the file (``.tbi``, ``.csi``) only that part is read.
    samples : list of str, optional
        Some of the people, in the order in which they are wanted.
    odd : {"refuse", "skip", "keep"}
        What becomes of records that are not two known or missing alleles each: with several alternate alleles, a
        genotype of which one allele is known, or the position of the record before. "keep" takes them as they are;
        "skip" leaves the record out and says so in ``skipped``. Genotypes of one or of more than two alleles cannot be
        kept: with "keep" they are refused too.

    Returns
    -------
    Variants

    Raises
    ------
    ImportError
        If cyvcf2 is not installed.
    ValueError
        In one sentence that names the record: for odd records, if they are refused; records without genotypes, out of
        order, that name an allele there is not, or cannot be read (a truncated file); if no record is left.

    Examples
    --------
    >>> import os, tempfile
    >>> head = "##fileformat=VCFv4.2" + chr(10) + "##contig=<ID=22>" + chr(10)
    >>> head += '##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">' + chr(10)
    >>> rows = ["#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT ann bob", "22 7 rs1 A G . . . GT 0/1 ./."]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "two.vcf")
    ...     with open(path, "w") as file:
    ...         _ = file.write(head + "".join(row.replace(" ", chr(9)) + chr(10) for row in rows))
    ...     found = read_variants(path)
    >>> found.samples.tolist(), found.positions.tolist(), found.counts.tolist()
    (['ann', 'bob'], [7], [[1], [-1]])
    """
    if odd not in ODD:
        raise ValueError(f"odd is {in_short(odd)}; it must be one of {', '.join(map(repr, ODD))}.")
    regions = [] if region is None else [Region.parse(region)]
    rows: list[tuple[Any, ...]] = []
    skipped: list[str] = []
    with Source(path, regions, indexed=True) as source:
        chosen, names = _chosen(source.samples, samples, source.path)
        for record in source:
            table, phased = record.genotypes()
            strange = _strange(record, table[chosen])
            if strange and (odd == "refuse" or (odd == "keep" and strange.hopeless)):
                raise ValueError(f"{source.path}: {record} {strange}; {_advice(strange.hopeless)}")
            if strange and odd == "skip":
                skipped.append(f"{record} {strange}.")
                continue
            variant = record.variant
            letters = (str(variant.REF), *map(str, variant.ALT))
            described = (variant.CHROM, int(variant.POS), variant.ID or ".", letters, record.number)
            rows.append((_two(table[chosen]), phased[chosen], *described))
    if not rows:
        inside = f" in {region}" if region else ""
        raise ValueError(f"{source.path} has no record{inside} to read ({len(skipped)} were skipped).")
    alleles, marks, chromosomes, positions, ids, _, records = zip(*rows, strict=True)
    return Variants(
        alleles=np.stack(alleles, axis=1),
        phased=np.stack(marks, axis=1),
        samples=np.array(names),
        chromosomes=np.array(chromosomes),
        positions=np.array(positions, dtype=np.int64),
        ids=np.array(ids),
        letters=tuple(row[5] for row in rows),
        records=np.array(records, dtype=np.int64),
        skipped=tuple(skipped),
    )


class Source:
    """A VCF or BCF file, open: its records one by one, and a sentence for whatever cannot be read.

    Parameters
    ----------
    path : path
    regions : list of Region
        Records that begin in one of these; all if there is none.
    indexed : bool
        Whether an index beside the file may lead to a single region. Records are then counted from the first that the
        index led to, and the rest of the file is not looked at.

    Attributes
    ----------
    samples : list of str
    file : cyvcf2.VCF
        What htslib opened.

    Raises
    ------
    ImportError
        If cyvcf2 is not installed.
    ValueError
        On opening, for a file that is missing, cut off or of another format. On reading, for records that cannot be
        read or are not sorted, and for a file without any.
    """

    def __init__(self, path: str | os.PathLike[str], regions: Sequence[Region] = (), *, indexed: bool = False) -> None:
        self.path, self.regions = Path(path), tuple(regions)
        beside = any(Path(f"{path}{ending}").is_file() for ending in (".tbi", ".csi"))
        self.indexed = indexed and beside and len(regions) == 1 and ":" not in regions[0].chromosome

    def __enter__(self) -> Source:
        try:
            import cyvcf2
        except ImportError:
            raise ImportError("reading VCF needs cyvcf2; install it with: pip install 'emlib[genomics]'") from None
        _check_whole(self.path, throughout=not self.indexed)
        try:
            self.file = cyvcf2.VCF(str(self.path))
        except Exception as problem:
            raise ValueError(f"{self.path} is no VCF or BCF file ({problem}).") from None
        self.samples = list(self.file.samples)
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __iter__(self) -> Iterator[VariantRecord]:
        order, last, number = _Order(self.path), "the header", 0
        source = iter(self.file)
        if self.indexed:
            (where,) = self.regions
            end = "" if where.last == Region.last else where.last
            source = iter(self.file(f"{where.chromosome}:{where.first}-{end}"))
        while True:
            try:
                variant = next(source)
            except StopIteration:
                break
            except Exception as problem:
                raise ValueError(
                    f"{self.path} cannot be read after {last}: that line is no VCF, or the file is damaged ({problem})."
                ) from None
            number += 1
            record = VariantRecord(self.path, number, variant, repeated=order.follow(number, variant))
            last = str(record)
            if not self.regions or any(region.holds(variant.CHROM, variant.POS) for region in self.regions):
                yield record
        if not number and not self.indexed:
            raise ValueError(f"{self.path} holds no records.")


@dataclass(frozen=True)
class VariantRecord:
    """A record as htslib gives it, its number from 1, and whether it lies where the one before does."""

    path: Path
    number: int
    variant: Any
    repeated: bool

    def __str__(self) -> str:
        return f"record {self.number} ({self.variant.CHROM}:{self.variant.POS})"

    @property
    def has_genotypes(self) -> bool:
        """Whether its FORMAT has GT."""
        return "GT" in (self.variant.FORMAT or ())

    def genotypes(self) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """Alleles of all people (n, ploidy), -1 missing and -2 absent, and whether they are phased (n,).

        Raises
        ------
        ValueError
            If there are none, or one names an allele that the record has not.
        """
        if not self.has_genotypes:
            raise ValueError(f"{self.path}: {self} {NO_GENOTYPES}.")
        table = self.variant.genotype.array()
        alleles, phased = np.asarray(table[:, :-1], dtype=np.int16), np.asarray(table[:, -1], dtype=bool)
        top = len(self.variant.ALT)
        if alleles.max(initial=0) > top:
            person = int(np.argmax((alleles > top).any(axis=1)))
            raise ValueError(
                f"{self.path}: {self} gives sample {person + 1} the allele {alleles.max()}, "
                f"but has {top} alternate allele(s) only."
            )
        return alleles, phased


def _check_whole(path: Path, *, throughout: bool) -> None:
    """Refuse a file that is not there or ends too early, as after a broken transfer.

    Text ends in a line end, and bgzip in an empty block. What lies before is decompressed `throughout` only if it is
    going to be read anyway: plain gzip has no end marker, and a line may be cut off before it was compressed.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}; genotypes are read from a VCF or BCF file.")
    cut = f"{path} is cut off: "
    with path.open("rb") as raw:
        head = raw.read(18)
        size = raw.seek(0, os.SEEK_END)
        raw.seek(max(size - len(BGZF_END), 0))
        tail = raw.read()
    if not size:
        raise ValueError(f"{path} is empty; a VCF or BCF file is expected.")
    first, last = head, tail
    if head[:2] == b"\x1f\x8b":
        try:
            first, last = _ends_inside(path) if throughout else (b"", b"")
        except EOFError:
            raise ValueError(f"{cut}it ends in the middle of a compressed block.") from None
        except (zlib.error, gzip.BadGzipFile) as problem:
            raise ValueError(f"{path} is cut off or damaged: it cannot be decompressed ({problem}).") from None
        if head[3] & 4 and head[12:14] == b"BC" and tail != BGZF_END:
            raise ValueError(f"{cut}its last block (the end marker of BGZF) is missing.")
    if last and not first.startswith(b"BCF") and not last.endswith(b"\n"):
        raise ValueError(f"{cut}it ends in the middle of a line.")


def _ends_inside(path: Path) -> tuple[bytes, bytes]:
    """The first bytes of what is compressed, and the last."""
    with gzip.open(path) as text:
        first = last = text.read(2**22)
        while piece := text.read(2**22):
            last = piece
    return first[:3], last[-1:]


def _chosen(known: list[str], wanted: Sequence[str] | None, path: Path) -> tuple[NDArray[np.intp], list[str]]:
    if not known:
        raise ValueError(f"{path} has no samples, so no genotypes.")
    names = known if wanted is None else [wanted] if isinstance(wanted, str) else list(wanted)
    absent = [name for name in names if name not in known]
    if absent or not names:
        raise ValueError(
            f"samples names {absent[:3] or 'nobody'}; {path} has {len(known)} samples, {known[0]!r} first."
        )
    return np.array([known.index(name) for name in names]), names


class _Order:
    """Chromosomes in one piece each, positions that do not fall."""

    def __init__(self, path: Path) -> None:
        self.path, self.begun, self.chromosome, self.position = path, set[str](), "", 0

    def follow(self, number: int, variant: Any) -> bool:
        """Whether the record has the position of the one before."""
        chromosome, position = variant.CHROM, int(variant.POS)
        place = f"{self.path}: record {number} ({chromosome}:{position})"
        if chromosome != self.chromosome:
            if chromosome in self.begun:
                raise ValueError(f"{place} returns to {chromosome} after {self.chromosome}; sort the file first.")
            self.begun.add(chromosome)
            self.chromosome, self.position = chromosome, -1
        if position < self.position:
            raise ValueError(f"{place} lies before the one above, at {self.position}; sort the file first.")
        repeated, self.position = position == self.position, position
        return repeated


class Oddity(NamedTuple):
    """What is odd about a record: in words that records share, what is so in this one, and if it cannot be kept."""

    words: str
    detail: str = ""
    hopeless: bool = False

    def __str__(self) -> str:
        return f"{self.words}{self.detail and f' ({self.detail})'}"


def odd_alleles(record: VariantRecord, alleles: NDArray[np.int16]) -> Oddity | None:
    """What keeps a record from being two alleles in everybody, out of two; a lone "." is not held against it.

    Parameters
    ----------
    record : VariantRecord
    alleles : array (n, ploidy)
        Of the people who matter.
    """
    there = (alleles != ABSENT).sum(axis=1)
    other = (there > 2) | ((there == 1) & (alleles >= 0).any(axis=1))
    if other.any():
        person = int(np.argmax(other))
        return Oddity(OTHER_PLOIDY, f"sample {person + 1} of those read has {there[person]} allele(s)", True)
    if len(record.variant.ALT) > 1:
        return Oddity(MANY_ALLELES, f"{len(record.variant.ALT)} alternate ones")
    return None


def half_called(alleles: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Which people have a genotype (n, ploidy) of two alleles of which one is known."""
    return np.asarray(((alleles >= 0).sum(axis=1) == 1) & ((alleles != ABSENT).sum(axis=1) == 2))


def _strange(record: VariantRecord, alleles: NDArray[np.int16]) -> Oddity | None:
    if found := odd_alleles(record, alleles):
        return found
    half = half_called(alleles)
    if half.any():
        return Oddity("has half-called genotypes", f"sample {int(np.argmax(half)) + 1} of those read")
    return Oddity(SAME_PLACE) if record.repeated else None


def _advice(hopeless: bool) -> str:
    return (
        "odd='skip' leaves such records out."
        if hopeless
        else "odd='keep' takes such records, odd='skip' leaves them out."
    )


def _two(table: NDArray[np.int16]) -> NDArray[np.int16]:
    """Two alleles for everybody (n, 2); a lone "." is two missing ones."""
    pair = np.full((len(table), 2), MISSING, dtype=np.int16)
    width = min(2, table.shape[1])
    pair[:, :width] = np.maximum(table[:, :width], MISSING)
    return pair
