"""Genotypes out of VCF and BCF files, and phased ones back into a copy of the file: everything else stays as it came.

The format is read and written by cyvcf2 (htslib). A file is read twice: once for its genotypes, and again, record by
record, while it is copied. Records that cannot be phased are copied as they are, and it is said which and why.
"""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .pairs import Ints

MODES = {".vcf": "w", ".vcf.gz": "wz", ".bcf": "wb"}
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
NO_SET = np.iinfo(np.int32).min  # how htslib spells a missing whole number


@dataclass
class Chromosome:
    """What can be phased of one chromosome: genotypes (n, L), positions (L,), and the record numbers (L,)."""

    name: str
    genotypes: Ints
    positions: NDArray[np.int64]
    records: NDArray[np.int64]


@dataclass
class Contents:
    """Genotypes of a file.

    Attributes
    ----------
    samples : tuple of str
    chromosomes : list of Chromosome
    left : dict
        Why records are copied as they are: for each reason the first such record, in words, and how many there are.
    inside : set of int
        Records that lie in the regions asked for.
    half_called : int
        Genotypes of which one allele is known; they are taken as missing.
    """

    samples: tuple[str, ...]
    chromosomes: list[Chromosome] = field(default_factory=list)
    left: dict[str, tuple[str, int]] = field(default_factory=dict)
    inside: set[int] = field(default_factory=set)
    half_called: int = 0


@dataclass(frozen=True)
class Region:
    """A stretch of a chromosome, both ends included, counted from 1."""

    chromosome: str
    first: int = 1
    last: int = 2**62

    @classmethod
    def parse(cls, text: str) -> Region:
        """``chr22``, ``chr22:16000000`` (from there on) or ``chr22:16,000,000-17,000,000``.

        Examples
        --------
        >>> Region.parse("chr22:1,000-2000")
        Region(chromosome='chr22', first=1000, last=2000)
        """
        name, colon, stretch = text.rpartition(":")
        if not colon:
            return cls(text)
        first, _, last = stretch.replace(",", "").partition("-")
        if not (first.isdigit() and (last.isdigit() or not last)) or (last and int(last) < int(first)):
            raise ValueError(f"{text!r} is no region; chr22, chr22:16000000 or chr22:16000000-17000000 are.")
        return cls(name, int(first), int(last) if last else 2**62)

    def holds(self, chromosome: str, position: int) -> bool:
        """Whether a position lies in it."""
        return chromosome == self.chromosome and self.first <= position <= self.last


def read_vcf(path: Path, regions: Sequence[Region] = ()) -> Contents:
    """Genotypes of all records that can be phased, chromosome by chromosome.

    Raises
    ------
    ValueError
        In one sentence, for a file that is missing, cut off or none of this format, or records that are not sorted.
    ImportError
        If cyvcf2 is not installed.
    """
    contents: Contents | None = None
    rows: dict[str, list[tuple[int, int, Ints]]] = {}
    last: tuple[str, int] | None = None
    for number, record in _records(path):
        if contents is None:
            contents = Contents(tuple(record.samples))
        variant, where = record.variant, f"record {number} ({record.variant.CHROM}:{record.variant.POS})"
        name, position = variant.CHROM, int(variant.POS)
        if last is not None and name != last[0] and name in rows:
            raise ValueError(f"{path}: {where} returns to {name} after {last[0]}; sort the file first.")
        if last is not None and name == last[0] and position < last[1]:
            raise ValueError(f"{path}: {where} lies before the one above, at {last[1]}; sort the file first.")
        last = (name, position)
        rows.setdefault(name, [])
        if regions and not any(region.holds(name, position) for region in regions):
            continue
        contents.inside.add(number)
        genotypes, half, why = _genotypes(variant)
        contents.half_called += half
        if not why and rows[name] and rows[name][-1][1] == position:
            why = "lies where the record above does"
        if why:
            first, times = contents.left.get(why, (where, 0))
            contents.left[why] = (first, times + 1)
        else:
            rows[name].append((number, position, genotypes))
    if contents is None:
        raise ValueError(f"{path} holds no records.")
    for name, found in rows.items():
        if found:
            numbers, positions, columns = zip(*found, strict=True)
            table = np.ascontiguousarray(np.stack(columns, axis=1))
            contents.chromosomes.append(Chromosome(name, table, np.array(positions), np.array(numbers)))
    return contents


@dataclass(frozen=True)
class _Record:
    variant: Any
    samples: Sequence[str]


def _records(path: Path) -> Iterator[tuple[int, _Record]]:
    """Records, counted from 1; what the reader cannot read is a sentence."""
    with _Opened(path) as reader:
        number, records = 0, iter(reader)
        while True:
            number += 1
            try:
                variant = next(records)
            except StopIteration:
                return
            except Exception as problem:
                raise ValueError(f"{path}: record {number} cannot be read ({problem}).") from None
            yield number, _Record(variant, reader.samples)


class _Opened:
    """A reader of a file that is there and whole."""

    def __init__(self, path: Path) -> None:
        try:
            from cyvcf2 import VCF
        except ImportError:
            raise ImportError("reading VCF needs cyvcf2; install it with: pip install 'emlib[genomics]'") from None
        check_whole_file(path)
        try:
            self.reader = VCF(str(path), strict_gt=True)
        except Exception as problem:
            raise ValueError(f"{path} is no VCF or BCF file ({problem}).") from None

    def __enter__(self) -> Any:
        return self.reader

    def __exit__(self, *_: object) -> None:
        self.reader.close()


def check_whole_file(path: Path) -> None:
    """Refuse a file that is not there, or that ends too early, as after a broken transfer."""
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}.")
    cut = f"{path} is cut off: it ends in the middle of a "
    with path.open("rb") as raw:
        head = raw.read(18)
        raw.seek(0, os.SEEK_END)
        size = raw.tell()
        raw.seek(max(size - len(BGZF_END), 0))
        tail = raw.read()
    if head[:2] != b"\x1f\x8b":
        if size and tail[-1:] != b"\n" and not head.startswith(b"BCF"):
            raise ValueError(cut + "line.")
        return
    last = b""
    try:
        with gzip.open(path) as text:
            while piece := text.read(2**22):
                last = piece[-1:]
    except (EOFError, zlib.error, OSError):
        raise ValueError(cut + "compressed block.") from None
    blocks = head[3] & 4 and head[12:14] == b"BC"
    if blocks and tail != BGZF_END:
        raise ValueError(f"{path} is cut off: its last block (the end marker of BGZF) is missing.")
    if path.name.endswith(".vcf.gz") and last not in (b"\n", b""):
        raise ValueError(cut + "line.")


def _genotypes(variant: Any) -> tuple[Ints, int, str]:
    """Copies of the alternate allele (n,), -1 for missing; how many are half-called; or why it cannot be phased."""
    nothing: Ints = np.zeros(0, dtype=np.int8)
    if len(variant.ALT) != 1:
        return nothing, 0, "has no alternate allele" if not variant.ALT else "has more than two alleles"
    if "GT" not in variant.FORMAT or variant.genotype is None:
        return nothing, 0, "has no genotypes (GT)"
    alleles = np.asarray(variant.genotype.array())[:, :-1]
    if alleles.shape[1] != 2 or (alleles == -2).any():
        return nothing, 0, "has haploid or polyploid genotypes"
    known = (alleles >= 0).sum(axis=1)
    copies = np.where(known == 2, alleles.sum(axis=1), -1).astype(np.int8)
    if (copies < 0).all():
        return nothing, 0, "has no genotype in anybody"
    return copies, int((known == 1).sum()), ""


def write_phased(
    source: Path,
    output: Path,
    contents: Contents,
    haplotypes: Sequence[NDArray[np.int8]],
    *,
    impute: bool = False,
    command: str = "",
) -> int:
    """Copy a file with phased genotypes; the output appears whole or not at all.

    Phased genotypes are written with ``|`` and a phase set ``PS``, the position of the first phased record of the
    chromosome. Missing ones stay as they are, or are imputed if asked for; half-called ones always stay.

    Parameters
    ----------
    source, output : Path
    contents : Contents
        Of `source`.
    haplotypes : list of arrays (n, 2, L)
        For each chromosome of `contents`.
    impute : bool
    command : str
        Goes into the header.

    Returns
    -------
    int
        Number of records written.
    """
    from cyvcf2 import Writer

    found = {
        int(number): (int(chromosome.positions[0]), chromosome.genotypes[:, site], phased[:, :, site])
        for chromosome, phased in zip(contents.chromosomes, haplotypes, strict=True)
        for site, number in enumerate(chromosome.records)
    }
    handle, name = tempfile.mkstemp(prefix=f".{output.name}-", dir=output.parent)
    os.close(handle)
    written = 0
    try:
        with _Opened(source) as reader:
            _add_to_header(reader, command)
            writer = Writer(name, reader, mode=mode_of(output))
            try:
                for number, variant in enumerate(reader, start=1):
                    if number not in contents.inside:
                        continue
                    if number in found:
                        _set(variant, *found[number], impute)
                    writer.write_record(variant)
                    written += 1
            finally:
                writer.close()
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, output)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return written


def mode_of(output: Path) -> str:
    """How a file of this name is written."""
    for ending, mode in sorted(MODES.items(), key=lambda pair: -len(pair[0])):
        if output.name.endswith(ending):
            return mode
    raise ValueError(f"{output} ends in none of {', '.join(MODES)}, so its format is not known.")


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


def _add_to_header(reader: Any, command: str) -> None:
    if not reader.contains("PS"):
        reader.add_format_to_header(
            {"ID": "PS", "Number": "1", "Type": "Integer", "Description": "Phase set: genotypes of one set are phased"}
        )
    if command:
        reader.add_to_header(f"##emlib_phase={command}")


def _set(variant: Any, phase_set: int, genotypes: Ints, haplotypes: NDArray[np.int8], impute: bool) -> None:
    """Put phased genotypes into a record, where there were genotypes (or everywhere but in half-called ones)."""
    as_it_came = np.asarray(variant.genotype.array())
    empty = (as_it_came[:, :-1] < 0).all(axis=1)
    phased = (genotypes >= 0) | (empty & impute)
    alleles = np.where(phased[:, None], haplotypes, as_it_came[:, :2])
    marks = np.where(phased, 1, as_it_came[:, 2])
    variant.genotypes = [[int(a), int(b), bool(mark)] for (a, b), mark in zip(alleles, marks, strict=True)]
    variant.set_format("PS", np.where(phased, phase_set, NO_SET).astype(np.int32)[:, None])
