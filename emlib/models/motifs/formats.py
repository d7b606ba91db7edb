"""Motifs in the formats of others: minimal MEME, JASPAR, BED."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ...engine.latent import FloatArray
from .motif import Motif
from .sequences import LETTERS


def to_meme(motifs: Sequence[Motif], strands: str = "both") -> str:
    """Minimal MEME format (version 4), which Tomtom, FIMO and others read."""
    lines = ["MEME version 4", "", "ALPHABET= ACGT", "", f"strands: {'+ -' if strands == 'both' else '+'}", ""]
    if motifs:
        frequencies = zip(LETTERS, motifs[0].background.frequencies, strict=True)
        lines += ["Background letter frequencies", " ".join(f"{a} {p:.6f}" for a, p in frequencies), ""]
    for motif in motifs:
        lines += [
            f"MOTIF {motif.name} {motif.consensus}",
            f"letter-probability matrix: alength= 4 w= {motif.width} nsites= {len(motif.sites)} "
            f"E= {ten_to_the(motif.log_e_value)}",
            *("  ".join(f"{p:.6f}" for p in column) for column in motif.pwm),
            "",
        ]
    return "\n".join(lines)


def read_meme(text: str) -> dict[str, FloatArray]:
    """Matrices (w, 4) by name, from minimal MEME format.

    Raises
    ------
    ValueError
        If there is no matrix, or a line of one is not four probabilities.
    """
    found: dict[str, FloatArray] = {}
    rows: list[list[float]] = []
    name, wanted = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("MOTIF"):
            name = ([*line.split(), "unnamed"])[1]
        elif line.startswith("letter-probability matrix"):
            width = re.search(r"\bw=\s*(\d+)", line)
            wanted, rows = int(width.group(1)) if width else 10**9, []
        elif wanted and line.strip():
            try:
                values = [float(x) for x in line.split()]
            except ValueError:
                values = []
            if len(values) != 4 or not abs(sum(values) - 1.0) < 0.01:
                raise ValueError(f"line {number} of the MEME text reads {line!r}; four probabilities are expected.")
            rows.append(values)
            if len(rows) == wanted:
                found[name], wanted = np.array(rows), 0
    if not found:
        raise ValueError("the MEME text holds no letter-probability matrix.")
    return found


def to_jaspar(motifs: Sequence[Motif]) -> str:
    """Counts of the sites in JASPAR format."""
    lines = []
    for motif in motifs:
        lines.append(f">{motif.name} {motif.consensus}")
        for a, row in zip(LETTERS, motif.counts.T, strict=True):
            lines.append(f"{a}  [" + " ".join(f"{int(n):6d}" for n in row) + " ]")
    return "\n".join(lines) + "\n"


def read_jaspar(text: str) -> dict[str, FloatArray]:
    """Count matrices (w, 4) by identifier, from JASPAR or PFM format.

    Examples
    --------
    >>> lines = [">M1 x", "A [ 3 0 ]", "C [ 0 1 ]", "G [ 0 2 ]", "T [ 0 0 ]"]
    >>> read_jaspar(chr(10).join(lines))["M1"].tolist()
    [[3.0, 0.0, 0.0, 0.0], [0.0, 1.0, 2.0, 0.0]]
    """
    found: dict[str, list[list[float]]] = {}
    name = "unnamed"
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(">"):
            name = (line[1:].split() or ["unnamed"])[0]
        elif line.strip():
            cells = re.sub(r"^\s*[ACGTacgt]\b|[\[\]|]", " ", line).split()
            try:
                found.setdefault(name, []).append([float(x) for x in cells])
            except ValueError:
                raise ValueError(f"line {number} of the matrix {name} reads {line!r}; counts are expected.") from None
    wrong = [key for key, rows in found.items() if len(rows) != 4 or len({len(r) for r in rows}) != 1]
    if wrong or not found:
        raise ValueError(f"the matrix {wrong[0] if wrong else '(none)'} is not four lines of equally many counts.")
    return {key: np.array(rows).T for key, rows in found.items()}


def to_bed(motifs: Sequence[Motif], names: Sequence[str]) -> str:
    """Sites as BED: sequence, start, end, motif, posterior in thousandths, strand."""
    lines = [
        f"{names[s.sequence]}\t{s.start}\t{s.start + motif.width}\t{motif.name}\t"
        f"{round(1000 * s.posterior)}\t{s.strand}"
        for motif in motifs
        for s in motif.sites
    ]
    return "".join(line + "\n" for line in lines)


def ten_to_the(log_value: float) -> str:
    """A number given by its natural log, however small.

    Examples
    --------
    >>> ten_to_the(-1000.0)
    '5.1e-435'
    """
    if not np.isfinite(log_value):
        return "inf"
    exponent = int(np.floor(log_value / np.log(10)))
    return f"{np.exp(log_value - exponent * np.log(10)):.1f}e{exponent:+03d}"
