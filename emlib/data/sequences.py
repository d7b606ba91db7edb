"""DNA: genomes, promoters, peaks, motifs, reads of transcripts, copy numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .shipped import Floats, Ints, Words, numbers, records, table, text


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
        codes = np.full(256, -1, dtype=np.int64)
        codes[np.frombuffer(b"ACGT", dtype=np.uint8)] = np.arange(4)
        return codes[np.frombuffer(self.sequence.encode("ascii"), dtype=np.uint8)][:, None]


def _fasta(name: str) -> DNA:
    """The one sequence of a FASTA file."""
    [(title, letters)] = records(name)
    return DNA(title, letters.upper())


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
    rows = table("coriell_acgh.csv.gz")
    columns = ["Coriell.05296", "Coriell.13330"]
    ratios = [[float("nan") if row[column] == "NA" else float(row[column]) for column in columns] for row in rows]
    places = numbers(rows, ["Chromosome", "Position"]).astype(np.int64)
    return CopyNumbers(
        log_ratios=np.array(ratios),
        chromosome=places[:, 0],
        position=places[:, 1],
        clones=np.array([row["Clone"] for row in rows]),
        cell_lines=("GM05296", "GM13330"),
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
    promoters = [(header.split(), letters) for header, letters in records("crp0.fa")]
    return Promoters(
        tuple(header[0] for header, _ in promoters),
        tuple(letters for _, letters in promoters),
        tuple(tuple(int(start) - 1 for start in header[1:]) for header, _ in promoters),
    )


def ctcf_peaks() -> list[tuple[str, str]]:
    """500 sequences of 200 letters under ChIP-seq peaks of CTCF in human cells: (place, letters).

    Examples
    --------
    >>> len(ctcf_peaks()), ctcf_peaks()[0][0]
    (500, 'chr11:190037-190237')
    """
    return records("ctcf_peaks.fa.gz")


def jaspar_matrices() -> dict[str, Floats]:
    """Letters counted in the columns of 25 vertebrate matrices of JASPAR: identifier and counts (w, 4) of A, C, G, T.

    ``MA0139.1`` is CTCF; the others were drawn at random among those of 6 to 20 columns and 8 to 17 bits.

    Examples
    --------
    >>> jaspar_matrices()["MA0139.1"].shape
    (19, 4)
    """
    found = {}
    for record in text("jaspar.txt").split(">")[1:]:
        lines = record.splitlines()
        rows = [line.partition("[")[2].strip(" ]").split() for line in lines[1:5]]
        found[lines[0].split()[0]] = np.array(rows, dtype=float).T
    return found


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
    titles = [(title.split(), letters) for title, letters in records("hox_ugt_transcripts.fa.gz")]
    raw = text("hox_ugt_reads.tsv.gz")
    rows = [line.split("\t") for line in raw.splitlines()[1:]]
    rows.sort(key=lambda row: int(row[3]))  # the file is sorted by place, for then it packs well
    table = [line.split("\t") for line in text("hox_ugt_kallisto.tsv").splitlines()]
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
