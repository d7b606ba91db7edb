"""Small real data sets that come with the package, each with its source (PROVENANCE.md).

Nothing is downloaded. Tables are plain NumPy arrays, rows are observations.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BloodCells",
    "Penguins",
    "Promoters",
    "crp_promoters",
    "ctcf_peaks",
    "fetal_lamb",
    "galaxies",
    "jaspar_matrices",
    "linkage",
    "old_faithful",
    "pbmc",
    "penguins",
    "provenance",
    "times_deaths",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.str_]

# Days with 0, 1, ... 9 death notices of women aged 80 and over, The Times, 1910-1912.
TIMES_DAYS = (162, 267, 271, 185, 111, 61, 27, 8, 3, 1)

# Offspring of four phenotypes in a cross of linked genes (AB, Ab, aB, ab).
LINKAGE_COUNTS = (125, 18, 20, 34)


def _read(name: str) -> list[dict[str, str]]:
    """Rows of a shipped CSV file, gzipped or not."""
    raw = (files(__name__) / name).read_bytes()
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode("utf8")
    return list(csv.DictReader(text.splitlines()))


def _numbers(rows: list[dict[str, str]], columns: list[str]) -> Floats:
    return np.array([[float(row[column]) for column in columns] for row in rows])


def old_faithful() -> Floats:
    """Eruptions of the Old Faithful geyser: length and waiting time to the next, in minutes.

    Returns
    -------
    array (272, 2)

    Examples
    --------
    >>> old_faithful()[0].tolist()
    [3.6, 79.0]
    """
    return _numbers(_read("old_faithful.csv"), ["eruptions", "waiting"])


def galaxies() -> Floats:
    """Velocities of 82 galaxies of the Corona Borealis region, in 1000 km/s.

    As shipped in R's MASS; observation 78 is its well-known typing error, 26.690 for 26.960.

    Returns
    -------
    array (82, 1)

    Examples
    --------
    >>> float(galaxies()[77, 0])
    26.69
    """
    return _numbers(_read("galaxies.csv"), ["v"])


def fetal_lamb() -> Ints:
    """Movements of a fetal lamb in 240 successive intervals of 5 s.

    Returns
    -------
    array (240, 1) of int

    Examples
    --------
    >>> int(fetal_lamb().max()), int((fetal_lamb() == 0).sum())
    (7, 182)
    """
    return _numbers(_read("fetal_lamb.csv"), ["movements"]).astype(np.int64)


def times_deaths() -> Ints:
    """Death notices of women aged 80 and over in *The Times*, one count for each of 1,096 days.

    Returns
    -------
    array (1096, 1) of int, sorted

    Examples
    --------
    >>> np.bincount(times_deaths()[:, 0]).tolist()
    [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
    """
    return np.repeat(np.arange(len(TIMES_DAYS)), TIMES_DAYS)[:, None]


def linkage() -> Ints:
    """Offspring of four phenotypes in a cross of two linked genes, 197 in all.

    The four cells have probabilities 1/2 + t/4, (1 - t)/4, (1 - t)/4 and t/4; the first hides two.

    Returns
    -------
    array (4,) of int

    Examples
    --------
    >>> linkage().tolist()
    [125, 18, 20, 34]
    """
    return np.array(LINKAGE_COUNTS)


@dataclass(frozen=True)
class Penguins:
    """Penguins of the Palmer archipelago that have all four measurements.

    Attributes
    ----------
    measurements : array (342, 4)
        Bill length, bill depth, flipper length (mm) and body mass (g).
    species : array (342,) of str
    columns : tuple of str
    """

    measurements: Floats
    species: Words
    columns: tuple[str, ...]


def penguins() -> Penguins:
    """Penguins of three species, without the two that were never measured.

    Examples
    --------
    >>> birds = penguins()
    >>> birds.measurements.shape, sorted(set(birds.species.tolist()))
    ((342, 4), ['Adelie', 'Chinstrap', 'Gentoo'])
    """
    columns = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
    rows = [row for row in _read("penguins.csv") if all(row[column] for column in columns)]
    return Penguins(_numbers(rows, columns), np.array([row["species"] for row in rows]), tuple(columns))


@dataclass(frozen=True)
class BloodCells:
    """Peripheral blood mononuclear cells, single-cell RNA sequencing.

    Attributes
    ----------
    pcs : array (700, 10)
        Principal components of the normalised expression.
    counts : array (700, 26) of int
        Unique molecules (UMI) of 26 marker genes.
    total_umi : array (700,) of int
        Unique molecules of all genes of the cell.
    cell_types : array (700,) of str
        Labels by correlation with sorted cells: an annotation, not the truth.
    genes : tuple of str
    """

    pcs: Floats
    counts: Ints
    total_umi: Ints
    cell_types: Words
    genes: tuple[str, ...]


def pbmc() -> BloodCells:
    """700 blood cells.

    Examples
    --------
    >>> cells = pbmc()
    >>> cells.pcs.shape, cells.counts.shape, len(set(cells.cell_types.tolist()))
    ((700, 10), (700, 26), 10)
    """
    rows = _read("pbmc700.csv.gz")
    columns = list(rows[0])
    genes = columns[columns.index("total_umi") + 1 :]
    return BloodCells(
        pcs=_numbers(rows, [f"PC{i}" for i in range(1, 11)]),
        counts=_numbers(rows, genes).astype(np.int64),
        total_umi=_numbers(rows, ["total_umi"])[:, 0].astype(np.int64),
        cell_types=np.array([row["cell_type"] for row in rows]),
        genes=tuple(genes),
    )


@dataclass(frozen=True)
class Promoters:
    """Sequences with the places of their known sites.

    Attributes
    ----------
    names, sequences : tuple of str
    sites : tuple of tuples of int
        Starts of the known sites, 22 letters each, from 0, on the + strand.
    """

    names: tuple[str, ...]
    sequences: tuple[str, ...]
    sites: tuple[tuple[int, ...], ...]


def _fasta(name: str) -> list[tuple[str, str]]:
    """Headers and letters of a shipped FASTA file, gzipped or not."""
    raw = (files(__name__) / name).read_bytes()
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode("ascii")
    records = [record.partition("\n") for record in text.split(">")[1:]]
    return [(header.strip(), "".join(letters.split())) for header, _, letters in records]


def crp_promoters() -> Promoters:
    """18 promoters of *E. coli*, 105 letters each, with 24 known sites of the protein CRP.

    One site (``trn9cat``, first) is cut off by the end of its fragment, one (``lac``, second) is given one base off.

    Examples
    --------
    >>> promoters = crp_promoters()
    >>> len(promoters.sequences), sum(map(len, promoters.sites)), promoters.sites[0]
    (18, 24, (16, 60))
    """
    records = [(header.split(), letters) for header, letters in _fasta("crp0.fa")]
    return Promoters(
        tuple(header[0] for header, _ in records),
        tuple(letters for _, letters in records),
        tuple(tuple(int(start) - 1 for start in header[1:]) for header, _ in records),
    )


def ctcf_peaks() -> list[tuple[str, str]]:
    """500 sequences of 200 letters under ChIP-seq peaks of CTCF in human cells: (place, letters).

    Examples
    --------
    >>> len(ctcf_peaks()), ctcf_peaks()[0][0]
    (500, 'chr11:190037-190237')
    """
    return _fasta("ctcf_peaks.fa.gz")


def jaspar_matrices() -> dict[str, Floats]:
    """Letters counted in the columns of 25 vertebrate matrices of JASPAR: identifier and counts (w, 4) of A, C, G, T.

    ``MA0139.1`` is CTCF; the others were drawn at random among those of 6 to 20 columns and 8 to 17 bits.

    Examples
    --------
    >>> jaspar_matrices()["MA0139.1"].shape
    (19, 4)
    """
    text = (files(__name__) / "jaspar.txt").read_text(encoding="ascii")
    found = {}
    for record in text.split(">")[1:]:
        lines = record.splitlines()
        rows = [line.partition("[")[2].strip(" ]").split() for line in lines[1:5]]
        found[lines[0].split()[0]] = np.array(rows, dtype=float).T
    return found


def provenance() -> str:
    """Where each file comes from and under which terms, as Markdown.

    Examples
    --------
    >>> "Azzalini" in provenance()
    True
    """
    return (files(__name__) / "PROVENANCE.md").read_text(encoding="utf8")
