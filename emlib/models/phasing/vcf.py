"""Which records of a VCF or BCF file are phased together, and a copy of the file with their phase: all else as it came.

`emlib.models.variants` reads: a file is read twice, once for its genotypes, and again while it is copied. Records that
cannot be phased are copied as they are, and it is said which and why.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..variants import (
    ABSENT,
    NO_GENOTYPES,
    OTHER_PLOIDY,
    SAME_PLACE,
    Region,
    Source,
    VariantRecord,
    half_called,
    odd_alleles,
)
from .pairs import Ints

MODES = {".vcf": "w", ".vcf.gz": "wz", ".bcf": "wb"}
NO_SET = np.iinfo(np.int32).min  # how htslib spells a missing whole number


@dataclass(frozen=True)
class Chromosome:
    """What can be phased of one chromosome: genotypes (n, L), positions (L,), and the record numbers (L,)."""

    name: str
    genotypes: Ints
    positions: NDArray[np.int64]
    records: NDArray[np.int64]


@dataclass(frozen=True)
class Contents:
    """Genotypes of a file.

    Attributes
    ----------
    samples : tuple of str
    regions : tuple of Region
        What was asked for; empty for the whole file.
    records : int
        How many lie there.
    chromosomes : list of Chromosome
    left : dict
        Why records are copied as they are: for each reason the first such record, in words, and how many there are.
    half_called : int
        Genotypes of which one allele is known; they are taken as missing.
    """

    samples: tuple[str, ...]
    regions: tuple[Region, ...]
    records: int
    chromosomes: list[Chromosome]
    left: dict[str, tuple[str, int]]
    half_called: int


def read_vcf(path: Path, regions: Sequence[Region] = ()) -> Contents:
    """Genotypes of all records that can be phased, chromosome by chromosome.

    Raises
    ------
    ValueError, ImportError
        As `emlib.models.variants.Source` does, and for a genotype of an allele that its record has not.
    """
    rows: dict[str, list[tuple[int, int, Ints]]] = {}
    left: dict[str, tuple[str, int]] = {}
    records = half = 0
    with Source(path, regions) as source:
        for record in source:
            records += 1
            column, halves, why = _genotypes(record)
            half += halves
            position, above = int(record.variant.POS), rows.setdefault(record.variant.CHROM, [])
            if not why and above and above[-1][1] == position:
                why = SAME_PLACE
            if why:
                first, times = left.get(why, (str(record), 0))
                left[why] = (first, times + 1)
            else:
                above.append((record.number, position, column))
    chromosomes = [_together(name, found) for name, found in rows.items() if found]
    return Contents(tuple(source.samples), source.regions, records, chromosomes, left, half)


def _together(name: str, found: list[tuple[int, int, Ints]]) -> Chromosome:
    numbers, positions, columns = zip(*found, strict=True)
    return Chromosome(
        name, np.ascontiguousarray(np.stack(columns, axis=1)), np.array(positions), np.array(numbers, dtype=np.int64)
    )


def _genotypes(record: VariantRecord) -> tuple[Ints, int, str]:
    """Copies of the alternate allele (n,), -1 for missing; how many are half-called; or why it cannot be phased."""
    nothing: Ints = np.zeros(0, dtype=np.int8)
    if not record.variant.ALT:
        return nothing, 0, "has no alternate allele"
    if not record.has_genotypes:
        return nothing, 0, NO_GENOTYPES
    alleles, _ = record.genotypes()
    if odd := odd_alleles(record, alleles):
        return nothing, 0, odd.words
    if (alleles == ABSENT).any() or alleles.shape[1] != 2:
        return nothing, 0, OTHER_PLOIDY  # a lone "." is no genotype of two alleles that could be written back
    copies = np.where((alleles >= 0).all(axis=1), alleles.sum(axis=1), -1).astype(np.int8)
    if (copies < 0).all():
        return nothing, 0, "has no genotype in anybody"
    return copies, int(half_called(alleles).sum()), ""


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
        with Source(source, contents.regions) as reader:
            _add_to_header(reader.file, command)
            writer = Writer(name, reader.file, mode=mode_of(output))
            try:
                for record in reader:
                    if record.number in found:
                        _set(record.variant, *found[record.number], impute)
                    writer.write_record(record.variant)
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
