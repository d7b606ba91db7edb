"""Every model of emlib, with what the conformance suite needs to try it.

A new model adds one `Case` to the file of its field. `test_conformance.py` fails while a family or a model has none.
"""

from . import (
    annotators,
    cells,
    chains,
    clusters,
    genes,
    haplotypes,
    hidden_numbers,
    mixtures,
    motifs,
    tomography,
    transcripts,
)
from .base import Case

__all__ = ["CASES", "Case"]

FIELDS = [
    mixtures,
    cells,
    chains,
    genes,
    haplotypes,
    clusters,
    motifs,
    transcripts,
    annotators,
    tomography,
    hidden_numbers,
]
CASES = [case for field in FIELDS for case in field.CASES]
