"""Small real data sets that come with the package, each with its source (PROVENANCE.md).

Nothing is downloaded. Tables are plain NumPy arrays, rows are observations.
"""

from __future__ import annotations

from . import shipped
from .cells import BloodCells, pbmc
from .classics import Penguins, earthquakes, fetal_lamb, galaxies, old_faithful, penguins, stackloss, times_deaths
from .genetics import Apoe, Trios, apoe, blood_groups, hapmap_trios, linkage
from .raters import Caries, anaesthetists, caries, tuberculin
from .sequences import (
    DNA,
    CopyNumbers,
    Promoters,
    TranscriptReads,
    beta_globin,
    coriell,
    crp_promoters,
    ctcf_peaks,
    fos,
    hox_ugt,
    jaspar_matrices,
    lambda_phage,
    tyms,
)

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


def provenance() -> str:
    """Where each file comes from and under which terms, as Markdown.

    Examples
    --------
    >>> "Azzalini" in provenance()
    True
    """
    return shipped.text("PROVENANCE.md")
