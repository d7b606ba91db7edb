"""Genotypes from VCF and BCF files, and what is wrong with a record, in a sentence.

Reading is htslib's work, through cyvcf2 (``pip install "emlib[genomics]"``). What is decided here is what a genotype
may look like: of two alleles, each known or missing. Anything else is refused, skipped or kept as the caller says;
nothing is dropped in silence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import in_short

MISSING, ABSENT = -1, -2  # htslib's: an allele that is not known, and one that is not there (fewer than others have)
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")  # the empty last block
ODD = ("refuse", "skip", "keep")


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
class _Region:
    chromosome: str
    first: int = 1
    last: int = 2**60

    @classmethod
    def of(cls, text: Any) -> _Region:
        """``22``, ``22:1000-2000``, ``22:1000-`` or ``22:1000``, commas allowed."""
        found = re.fullmatch(r"([^:\s]+)(?::([\d,]+)(-([\d,]*))?)?", text) if isinstance(text, str) else None
        if found is None:
            raise ValueError(f"region is {in_short(text)}; it must look like '22' or '22:16000000-17000000'.")
        first, last = (int(part.replace(",", "")) if part else None for part in (found[2], found[4]))
        if first is None:
            return cls(found[1])
        region = cls(found[1], first, (last or 2**60) if found[3] else first)
        if not 1 <= region.first <= region.last:
            raise ValueError(f"region is {text!r}; positions count from 1, and the first must not be above the last.")
        return region

    def holds(self, chromosome: str, position: int) -> bool:
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
        ``"22"`` or ``"22:16000000-17000000"``, both ends included; records that begin in it. With an index beside the
        file (``.tbi``, ``.csi``) only that part is read.
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
    where = None if region is None else _Region.of(region)
    path = Path(path)
    with _opened(path) as file:
        chosen, names = _chosen(list(file.samples), samples, path)
        rows: list[tuple[Any, ...]] = []
        skipped, order = [], _Order(path)
        for number, record in _records(file, path, where, region):
            place = f"{path}: record {number} ({record.CHROM}:{record.POS})"
            order.follow(record, place)
            if where is not None and not where.holds(record.CHROM, record.POS):
                continue
            table, phased = _genotypes(record, place)
            strange, hopeless = _strange(record, table[chosen], order.repeated)
            if strange and (odd == "refuse" or (odd == "keep" and hopeless)):
                raise ValueError(f"{place} {strange}; {_advice(hopeless)}")
            if strange and odd == "skip":
                skipped.append(f"record {number} ({record.CHROM}:{record.POS}) {strange}.")
                continue
            letters = (str(record.REF), *map(str, record.ALT))
            described = (record.CHROM, int(record.POS), record.ID or ".", letters, number)
            rows.append((_two(table[chosen]), phased[chosen], *described))
    if not rows:
        inside = f" in {region}" if region else ""
        raise ValueError(f"{path} has no record{inside} to read ({len(skipped)} were skipped).")
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


class _opened:
    """The file, closed in the end; what htslib would only print is said in a sentence."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Any:
        path = self.path
        if not path.is_file():
            raise ValueError(f"there is no file {str(path)!r}; genotypes are read from a VCF or BCF file.")
        try:
            import cyvcf2
        except ModuleNotFoundError:
            raise ImportError(
                'reading VCF files needs cyvcf2, which is not installed: pip install "emlib[genomics]"'
            ) from None
        _check_end(path)
        try:
            self.file = cyvcf2.VCF(str(path))
        except Exception as problem:
            raise ValueError(f"{path} cannot be read as VCF or BCF: {problem}.") from None
        return self.file

    def __exit__(self, *error: object) -> None:
        self.file.close()


def _check_end(path: Path) -> None:
    """A file that was cut off: bgzip ends in an empty block, text in a line end."""
    with path.open("rb") as file:
        head = file.read(18)
        file.seek(0, os.SEEK_END)
        size = file.tell()
        file.seek(max(0, size - len(BGZF_END)))
        tail = file.read()
    if size == 0:
        raise ValueError(f"{path} is empty; a VCF or BCF file is expected.")
    if head[:4] == b"\x1f\x8b\x08\x04" and head[12:14] == b"BC" and tail != BGZF_END:
        raise ValueError(f"{path} is truncated: it lacks the block in which a bgzip file ends.")
    if head[:1] == b"#" and tail[-1:] != b"\n":
        raise ValueError(f"{path} is truncated: its last line has no end.")


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


def _records(file: Any, path: Path, where: _Region | None, region: str | None) -> Iterator[tuple[int, Any]]:
    """Records with their numbers, from 1; in a region read by an index they are counted from its beginning."""
    indexed = where is not None and any(Path(str(path) + end).is_file() for end in (".tbi", ".csi"))
    last = "the header"
    source = iter(file)
    if indexed and where is not None:
        source = iter(
            file(where.chromosome if where.last == 2**60 else f"{where.chromosome}:{where.first}-{where.last}")
        )
    number = 0
    while True:
        try:
            record = next(source)
        except StopIteration:
            return
        except Exception as problem:
            raise ValueError(
                f"{path} cannot be read after {last}: the file is truncated, or that line is no VCF ({problem})."
            ) from None
        number += 1
        last = f"record {number} ({record.CHROM}:{record.POS})"
        yield number, record


class _Order:
    """Chromosomes in one piece each, positions that do not fall."""

    def __init__(self, path: Path) -> None:
        self.path, self.done, self.chromosome, self.position = path, set[str](), "", 0
        self.repeated = False

    def follow(self, record: Any, place: str) -> None:
        chromosome, position = record.CHROM, record.POS
        if chromosome != self.chromosome:
            if chromosome in self.done:
                raise ValueError(f"{place} comes after another chromosome has begun; sort the file first.")
            self.done.add(chromosome)
            self.chromosome, self.position = chromosome, 0
        if position < self.position:
            raise ValueError(f"{place} comes after position {self.position}; sort the file by position first.")
        self.repeated = position == self.position
        self.position = position


def _genotypes(record: Any, place: str) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Alleles of all people (n, ploidy) and whether they are phased."""
    try:
        table = record.genotype.array()
    except Exception:
        raise ValueError(f"{place} has no genotypes: its FORMAT lacks GT.") from None
    alleles, phased = np.asarray(table[:, :-1], dtype=np.int16), np.asarray(table[:, -1], dtype=bool)
    top = len(record.ALT)
    if alleles.max(initial=0) > top:
        person = int(np.argmax((alleles > top).any(axis=1)))
        raise ValueError(
            f"{place} gives sample {person + 1} the allele {alleles.max()}, but has {top} alternate allele(s) only."
        )
    return alleles, phased


def _strange(record: Any, table: NDArray[np.int16], repeated: bool) -> tuple[str, bool]:
    """What is odd about a record, "" if nothing; and whether it cannot be kept."""
    there, known = (table != ABSENT).sum(axis=1), (table >= 0).sum(axis=1)
    lone = (there == 1) & (known == 1)
    if lone.any():
        return f"has a genotype of one allele (sample {int(np.argmax(lone)) + 1} of those read)", True
    if (there > 2).any():
        person = int(np.argmax(there > 2))
        return f"has a genotype of {there[person]} alleles (sample {person + 1} of those read)", True
    if len(record.ALT) > 1:
        return f"has {len(record.ALT)} alternate alleles", False
    half = (known == 1) & (there == 2)
    if half.any():
        return f"has a genotype of which one allele is known (sample {int(np.argmax(half)) + 1} of those read)", False
    return ("has the position of the record before", False) if repeated else ("", False)


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
