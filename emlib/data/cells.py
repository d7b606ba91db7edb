"""Single cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .shipped import Floats, Ints, Words, numbers, table


@dataclass(frozen=True)
class BloodCells:
    """Peripheral blood mononuclear cells, single-cell RNA sequencing.

    Attributes
    ----------
    pcs : array (700, 10)
        Principal components of the normalised expression of the 309 genes that vary most, `genes` among them.
    counts : array (700, 26) of int
        Unique molecules (UMI) of 26 marker genes.
    total_umi : array (700,) of int
        Unique molecules of all genes of the cell.
    cell_types : array (700,) of str
        Labels by correlation with sorted cells: an annotation, not the truth.
    genes : tuple of str
    plasma_counts : array (700, 3) of int
        Molecules of MZB1, IGJ (today JCHAIN) and TNFRSF17 (BCMA), by which plasma cells are known; none is in `genes`.
    """

    pcs: Floats
    counts: Ints
    total_umi: Ints
    cell_types: Words
    genes: tuple[str, ...]
    plasma_counts: Ints


def pbmc() -> BloodCells:
    """700 blood cells.

    Examples
    --------
    >>> cells = pbmc()
    >>> cells.pcs.shape, cells.counts.shape, len(set(cells.cell_types.tolist()))
    ((700, 10), (700, 26), 10)
    """
    rows = table("pbmc700.csv.gz")
    columns = list(rows[0])
    genes = columns[columns.index("total_umi") + 1 :]
    return BloodCells(
        pcs=numbers(rows, [f"PC{i}" for i in range(1, 11)]),
        counts=numbers(rows, genes).astype(np.intp),
        total_umi=numbers(rows, ["total_umi"])[:, 0].astype(np.intp),
        cell_types=np.array([row["cell_type"] for row in rows]),
        genes=tuple(genes),
        plasma_counts=numbers(table("pbmc700_plasma.csv"), ["MZB1", "IGJ", "TNFRSF17"]).astype(np.intp),
    )
