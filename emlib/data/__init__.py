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
    "DNA",
    "Apoe",
    "BloodCells",
    "Caries",
    "CopyNumbers",
    "Penguins",
    "Promoters",
    "TranscriptReads",
    "Trios",
    "anaesthetists",
    "apoe",
    "beta_globin",
    "blood_groups",
    "caries",
    "coriell",
    "crp_promoters",
    "ctcf_peaks",
    "earthquakes",
    "fetal_lamb",
    "fos",
    "galaxies",
    "hapmap_trios",
    "hox_ugt",
    "jaspar_matrices",
    "lambda_phage",
    "linkage",
    "old_faithful",
    "pbmc",
    "penguins",
    "provenance",
    "stackloss",
    "times_deaths",
    "tuberculin",
    "tyms",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Words = NDArray[np.str_]

# Days with 0, 1, ... 9 death notices of women aged 80 and over, The Times, 1910-1912.
TIMES_DAYS = (162, 267, 271, 185, 111, 61, 27, 8, 3, 1)

# Offspring of four phenotypes in a cross of linked genes (AB, Ab, aB, ab).
LINKAGE_COUNTS = (125, 18, 20, 34)

# Patients of each ABO blood group.
BLOOD_GROUPS = {"A": 186, "B": 38, "AB": 13, "O": 284}

# People of the 1000 Genomes Project by genotype at two SNPs of the gene APOE, in the order of `APOE_GENOTYPES`; and the
# frequencies of e3, e2, e4 and e1 in the phased data of the same people.
APOE_GENOTYPES = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2))
APOE_COUNTS = {
    "AFR": ((265, 86, 5, 217, 39, 0, 48, 1, 0), (0.6301, 0.1021, 0.2670, 0.0008)),
    "AMR": ((248, 28, 1, 65, 3, 0, 2, 0, 0), (0.8487, 0.0476, 0.1037, 0.0)),
    "EAS": ((335, 82, 4, 68, 11, 0, 4, 0, 0), (0.8135, 0.1002, 0.0863, 0.0)),
    "EUR": ((307, 50, 1, 123, 11, 0, 11, 0, 0), (0.7823, 0.0626, 0.1551, 0.0)),
    "SAS": ((370, 36, 3, 74, 1, 0, 5, 0, 0), (0.8691, 0.0440, 0.0869, 0.0)),
}
# People by population, Mantoux's test and tine test (0 negative, 1 positive).
TUBERCULIN_COUNTS = (((528, 9), (4, 14)), ((367, 37), (31, 887)))


def _read(name: str) -> list[dict[str, str]]:
    """Rows of a shipped CSV file, gzipped or not."""
    raw = (files(__name__) / name).read_bytes()
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode("utf8")
    return list(csv.DictReader(text.splitlines()))


def _fasta(name: str) -> DNA:
    """The one sequence of a shipped FASTA file."""
    [(title, letters)] = _records(name)
    return DNA(title, letters.upper())


def _records(name: str) -> list[tuple[str, str]]:
    """Titles and letters of a shipped FASTA file, gzipped or not."""
    raw = (files(__name__) / name).read_bytes()
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode("ascii")
    records = [record.partition("\n") for record in text.removeprefix(">").split("\n>")]
    return [(title.strip(), "".join(letters.split())) for title, _, letters in records]


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
    return _numbers(_read("fetal_lamb.csv"), ["movements"]).astype(np.intp)


def earthquakes() -> Ints:
    """Major earthquakes of the world (magnitude 7 or greater), one count for each year from 1900 to 2006.

    Returns
    -------
    array (107, 1) of int

    Examples
    --------
    >>> earthquakes()[:3, 0].tolist(), int(earthquakes().sum())
    ([13, 14, 8], 2072)
    """
    return _numbers(_read("earthquakes.csv"), ["count"]).astype(np.intp)


@dataclass(frozen=True)
class DNA:
    """One DNA sequence.

    Attributes
    ----------
    name : str
        The title line of its FASTA file.
    sequence : str
        Of A, C, G and T alone.
    """

    name: str
    sequence: str

    def __len__(self) -> int:
        return len(self.sequence)

    @property
    def codes(self) -> Ints:
        """Its bases as 0 (A), 1 (C), 2 (G), 3 (T): array (n, 1)."""
        codes = np.full(256, -1, dtype=np.intp)
        codes[np.frombuffer(b"ACGT", dtype=np.uint8)] = np.arange(4)
        return codes[np.frombuffer(self.sequence.encode("ascii"), dtype=np.uint8)][:, None]


def lambda_phage() -> DNA:
    """The genome of bacteriophage lambda, 48,502 bases.

    Examples
    --------
    >>> genome = lambda_phage()
    >>> len(genome), np.bincount(genome.codes[:, 0]).tolist()
    (48502, [12334, 11362, 12820, 11986])
    """
    return _fasta("lambda_virus.fa.gz")


def tyms() -> DNA:
    """The human gene of thymidylate synthase (TYMS), whose beginning lies in a CpG island; 18,596 bases.

    Examples
    --------
    >>> gene = tyms()
    >>> len(gene), gene.sequence.count("CG")
    (18596, 368)
    """
    return _fasta("tyms_D00596.fa")


def fos() -> DNA:
    """The human gene FOS (c-fos), most of which lies in a CpG island; 6,210 bases.

    Examples
    --------
    >>> gene = fos()
    >>> len(gene), gene.sequence.count("CG")
    (6210, 214)
    """
    return _fasta("fos_K00650.fa")


def beta_globin() -> DNA:
    """The human beta-globin region, which has no CpG island; 73,308 bases.

    Examples
    --------
    >>> region = beta_globin()
    >>> len(region), region.sequence.count("CG")
    (73308, 495)
    """
    return _fasta("betaglobin_U01317.fa")


@dataclass(frozen=True)
class CopyNumbers:
    """Copy number along the genome by array CGH: two cell lines with known gains and losses.

    Attributes
    ----------
    log_ratios : array (2271, 2)
        Base-2 logarithms of the ratio to normal DNA, one column a cell line; NaN where a clone was not measured.
    chromosome : array (2271,) of int
        1 to 22; 23 is X. Clones are in the order of the genome.
    position : array (2271,) of int
        On the chromosome, in kilobases.
    clones : array (2271,) of str
    cell_lines : tuple of str
    """

    log_ratios: Floats
    chromosome: Ints
    position: Ints
    clones: Words
    cell_lines: tuple[str, ...]

    @property
    def lengths(self) -> Ints:
        """Number of clones on each chromosome (23,)."""
        return np.bincount(self.chromosome)[1:]


def coriell() -> CopyNumbers:
    """Array CGH of the cell lines GM05296 and GM13330.

    Examples
    --------
    >>> arrays = coriell()
    >>> arrays.cell_lines, arrays.log_ratios.shape, int(np.isnan(arrays.log_ratios).sum())
    (('GM05296', 'GM13330'), (2271, 2), 353)
    """
    rows = _read("coriell_acgh.csv.gz")
    columns = ["Coriell.05296", "Coriell.13330"]
    ratios = [[float("nan") if row[column] == "NA" else float(row[column]) for column in columns] for row in rows]
    places = _numbers(rows, ["Chromosome", "Position"]).astype(np.intp)
    return CopyNumbers(
        log_ratios=np.array(ratios),
        chromosome=places[:, 0],
        position=places[:, 1],
        clones=np.array([row["Clone"] for row in rows]),
        cell_lines=("GM05296", "GM13330"),
    )


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


def blood_groups() -> dict[str, int]:
    """Blood groups of 521 patients with an ulcer of the duodenum, in the ABO system.

    Returns
    -------
    dict of str to int
        People of each group.

    Examples
    --------
    >>> blood_groups()
    {'A': 186, 'B': 38, 'AB': 13, 'O': 284}
    """
    return dict(BLOOD_GROUPS)


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
        counts=_numbers(rows, genes).astype(np.intp),
        total_umi=_numbers(rows, ["total_umi"])[:, 0].astype(np.intp),
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


def crp_promoters() -> Promoters:
    """18 promoters of *E. coli*, 105 letters each, with 24 known sites of the protein CRP.

    One site (``trn9cat``, first) is cut off by the end of its fragment, one (``lac``, second) is given one base off.

    Examples
    --------
    >>> promoters = crp_promoters()
    >>> len(promoters.sequences), sum(map(len, promoters.sites)), promoters.sites[0]
    (18, 24, (16, 60))
    """
    records = [(header.split(), letters) for header, letters in _records("crp0.fa")]
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
    return _records("ctcf_peaks.fa.gz")


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


@dataclass(frozen=True)
class Trios:
    """Children and their two parents, genotyped along a piece of chromosome 22; families are *inferred*.

    Attributes
    ----------
    genotypes : array (90, 603) of int
        Copies, 0 to 2, of the second allele of each SNP; -1 where a genotype is missing.
    samples, snps, alleles : arrays of str
        Names of the people (90,) and of the SNPs (603,), and the two alleles of each SNP, such as "G/T".
    positions : array (603,) of int
        Of the SNPs, increasing; of an assembly of 2005.
    trios : array (30, 3) of int
        Rows of child, parent and parent. The families were inferred from the genotypes: Mendel's law is broken at
        no more than two of the 603 SNPs. Which parent is the mother is not known.
    """

    genotypes: Ints
    samples: Words
    snps: Words
    alleles: Words
    positions: Ints
    trios: Ints

    @property
    def founders(self) -> Ints:
        """Rows of the 60 parents, who are not related as far as is known."""
        return np.unique(self.trios[:, 1:])

    @property
    def transmitted(self) -> Ints:
        """Alleles (30, 2, 2, 603) that each trio's child got from, and did not get from, either parent.

        Axes: trio, parent, (transmitted, not transmitted), SNP. They are the two haplotypes of that parent. -1
        where the trio does not tell: all three are heterozygous, a genotype is missing, or Mendel's law is broken.
        """
        child, mother, father = (self.genotypes[self.trios[:, i]] for i in range(3))
        found = np.full((len(child), 2, 2, child.shape[1]), -1)
        # All pairs of transmitted alleles; a trio tells where exactly one of them agrees with its genotypes.
        pairs = [(a, b) for a in (0, 1) for b in (0, 1)]
        fits = np.array([_passes(mother, a) & _passes(father, b) & (child == a + b) for a, b in pairs])
        told = fits.sum(axis=0) == 1
        for (a, b), fit in zip(pairs, fits, strict=True):
            for parent, passed in enumerate((a, b)):
                whole = (mother, father)[parent]
                found[:, parent, 0][told & fit] = passed
                found[:, parent, 1][told & fit] = (whole - passed)[told & fit]
        return found


def _passes(genotypes: Ints, allele: int) -> NDArray[np.bool_]:
    """Where a parent can pass on this allele."""
    return (genotypes == 1) | (genotypes == 2 * allele)


def hapmap_trios(population: str = "CEU") -> Trios:
    """30 trios at 603 SNPs of a megabase of chromosome 22, from the HapMap project.

    Parameters
    ----------
    population : {"CEU", "YRI"}
        Utah residents with ancestry from northern and western Europe, or Yoruba in Ibadan, Nigeria.

    Raises
    ------
    ValueError
        For another population.

    Examples
    --------
    >>> people = hapmap_trios("CEU")
    >>> people.genotypes.shape, len(people.founders), bool((people.genotypes < 0).mean() < 0.02)
    ((90, 603), 60, True)
    """
    if population not in ("CEU", "YRI"):
        raise ValueError(f"population is {population!r}; it must be 'CEU' or 'YRI'.")
    people = _read(f"hapmap_{population.lower()}_chr22.csv.gz")
    snps = _read("hapmap_chr22_snps.csv.gz")
    samples = [row["sample"] for row in people]
    families = [row for row in _read("hapmap_trios.csv") if row["population"] == population]
    return Trios(
        genotypes=np.array([[".012".index(mark) - 1 for mark in row["genotypes"]] for row in people]),
        samples=np.array(samples),
        snps=np.array([row["snp"] for row in snps]),
        alleles=np.array([row["alleles"] for row in snps]),
        positions=np.array([int(row["position"]) for row in snps]),
        trios=np.array([[samples.index(row[who]) for who in ("child", "parent_1", "parent_2")] for row in families]),
    )


@dataclass(frozen=True)
class Apoe:
    """People by genotype at the two SNPs that make the alleles e2, e3 and e4 of the gene APOE.

    Attributes
    ----------
    populations : tuple of str
        African, American, East Asian, European and South Asian samples of the 1000 Genomes Project.
    genotypes : array (9, 2) of int
        Copies of C at rs429358 and of T at rs7412.
    counts : array (5, 9) of int
        People of each population with each genotype.
    haplotypes : array (4, 2) of int
        The alleles e3, e2, e4 and e1: (0, 0), (0, 1), (1, 0) and (1, 1).
    phased : array (5, 4)
        Their frequencies where the same people were phased, to four digits.
    """

    populations: tuple[str, ...]
    genotypes: Ints
    counts: Ints
    haplotypes: Ints
    phased: Floats

    def people(self, population: str | None = None) -> Ints:
        """One row of two counts for each person (n, 2); of all populations if None.

        Examples
        --------
        >>> apoe().people("EUR").shape, apoe().people().shape
        ((503, 2), (2504, 2))
        """
        if population is None:
            return np.repeat(self.genotypes, self.counts.sum(axis=0), axis=0)
        if population not in self.populations:
            raise ValueError(f"population is {population!r}; it must be one of {', '.join(self.populations)}.")
        return np.repeat(self.genotypes, self.counts[self.populations.index(population)], axis=0)


def apoe() -> Apoe:
    """Genotypes of 2,504 people at rs429358 and rs7412, by population.

    Examples
    --------
    >>> apoe().counts.sum(axis=1).tolist()
    [661, 347, 504, 503, 489]
    """
    return Apoe(
        populations=tuple(APOE_COUNTS),
        genotypes=np.array(APOE_GENOTYPES),
        counts=np.array([counts for counts, _ in APOE_COUNTS.values()]),
        haplotypes=np.array([(0, 0), (0, 1), (1, 0), (1, 1)]),
        phased=np.array([phased for _, phased in APOE_COUNTS.values()]),
    )


@dataclass(frozen=True)
class TranscriptReads:
    """Pairs of reads, the transcripts that they are compared with, and where they truly come from.

    Attributes
    ----------
    transcripts : list of (str, str)
        Names and letters, from Ensembl.
    genes : tuple of str
        Of each transcript.
    reads, mates : tuple of str
        Fragment i is read i of both, 50 letters each.
    origins : array (n,) of str
        The transcript that each fragment was drawn from, by its RefSeq name: another annotation than `transcripts`.
    starts, lengths : array (n,) of int
        Where the fragment begins on its origin, from 0, and how many letters it has.
    kallisto : dict of str to array
        What kallisto 0.48.0 reports for each transcript: ``length``, ``eff_length``, ``est_counts``, ``tpm``.
    """

    transcripts: list[tuple[str, str]]
    genes: tuple[str, ...]
    reads: tuple[str, ...]
    mates: tuple[str, ...]
    origins: Words
    starts: Ints
    lengths: Ints
    kallisto: dict[str, Floats]


def hox_ugt() -> TranscriptReads:
    """10,000 simulated pairs of reads from human HOXC genes and UGT3A2, and 14 transcripts of these genes.

    Examples
    --------
    >>> rna = hox_ugt()
    >>> len(rna.reads), rna.reads[0][:12], str(rna.origins[0]), rna.genes[0]
    (10000, 'GTTCCGAGCGCT', 'NM_014620', 'UGT3A2')
    """
    titles = [(title.split(), letters) for title, letters in _records("hox_ugt_transcripts.fa.gz")]
    raw = gzip.decompress((files(__name__) / "hox_ugt_reads.tsv.gz").read_bytes()).decode("ascii")
    rows = [line.split("\t") for line in raw.splitlines()[1:]]
    rows.sort(key=lambda row: int(row[3]))  # the file is sorted by place, for then it packs well
    table = [line.split("\t") for line in (files(__name__) / "hox_ugt_kallisto.tsv").read_text("ascii").splitlines()]
    columns = zip(*(row[1:] for row in table[1:]), strict=True)
    return TranscriptReads(
        transcripts=[(words[0], letters) for words, letters in titles],
        genes=tuple(words[1] for words, _ in titles),
        reads=tuple(row[4] for row in rows),
        mates=tuple(row[5] for row in rows),
        origins=np.array([row[0] for row in rows]),
        starts=np.array([int(row[1]) for row in rows]),
        lengths=np.array([int(row[2]) for row in rows]),
        kallisto={name: np.array(list(map(float, column))) for name, column in zip(table[0][1:], columns, strict=True)},
    )


def anaesthetists() -> Ints:
    """Fitness for an anaesthetic, from 1 (best) to 4: 45 patients, seven ratings each.

    Columns 0 to 2 are three ratings by the first anaesthetist, columns 3 to 6 one each by the other four. Two
    transcriptions of the published table circulate. They differ in patient 7, whom the first anaesthetist rated 1, 2, 2
    here and 1, 1, 2 in the other.

    Returns
    -------
    array (45, 7) of int

    Examples
    --------
    >>> anaesthetists()[6].tolist()
    [1, 2, 2, 2, 1, 1, 1]
    """
    rows = _read("anaesthetists.csv")
    return _numbers(rows, ["o1a", "o1b", "o1c", "o2", "o3", "o4", "o5"]).astype(np.intp)


@dataclass(frozen=True)
class Caries:
    """What five dentists said of X-rays of teeth.

    Attributes
    ----------
    ratings : array (32, 5) of int
        Every pattern of answers: 1 for caries, 0 for a sound tooth.
    counts : array (32,) of int
        Teeth that got this pattern.
    """

    ratings: Ints
    counts: Ints


def caries() -> Caries:
    """3,859 teeth, each looked at by five dentists.

    Examples
    --------
    >>> teeth = caries()
    >>> teeth.ratings[1].tolist(), int(teeth.counts[1]), int(teeth.counts.sum())
    ([0, 0, 0, 0, 1], 789, 3859)
    """
    rows = _read("caries.csv")
    ratings = _numbers(rows, [f"rater_{j}" for j in range(1, 6)]).astype(np.intp) - 1
    return Caries(ratings, _numbers(rows, ["n"])[:, 0].astype(np.intp))


def tuberculin() -> Ints:
    """Two skin tests for tuberculosis in two populations.

    Returns
    -------
    array (2, 2, 2) of int
        People by population (a school district, a sanatorium), result of Mantoux's test and of the tine test
        (0 negative, 1 positive).

    Examples
    --------
    >>> tuberculin()[0].tolist(), tuberculin().sum(axis=(1, 2)).tolist()
    ([[528, 9], [4, 14]], [555, 1322])
    """
    return np.array(TUBERCULIN_COUNTS)


def stackloss() -> Floats:
    """A plant that oxidises ammonia to nitric acid, on 21 days.

    Returns
    -------
    array (21, 4)
        Air flow, temperature of the cooling water, concentration of acid, and the loss of ammonia through the stack.

    Examples
    --------
    >>> stackloss()[0].tolist()
    [80.0, 27.0, 89.0, 42.0]
    """
    return _numbers(_read("stackloss.csv"), ["air_flow", "water_temp", "acid_conc", "stack_loss"])


def provenance() -> str:
    """Where each file comes from and under which terms, as Markdown.

    Examples
    --------
    >>> "Azzalini" in provenance()
    True
    """
    return (files(__name__) / "PROVENANCE.md").read_text(encoding="utf8")
