"""Spectra of peptides and what a search took them for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .shipped import Floats, Ints, Words, numbers, table


@dataclass(frozen=True)
class Matches:
    """The best match of each spectrum.

    Attributes
    ----------
    scores : array (n,)
        Minus the decimal logarithm of the search engine's combined p-value, by which targets and decoys competed.
    is_decoy : array (n,) of bool
    xcorr : array (n,)
        The engine's cross-correlation.
    lengths, charges, scans : array (n,) of int
        Of the peptide; of the ion; the number of the spectrum.
    peptides : array (n,) of str
        With the residues before and after it in the protein, and changes of mass in brackets.
    proteins : tuple of n tuples of str
        Human proteins that contain the peptide (UniProt's entry names without ``_HUMAN``); none for a decoy.
    """

    scores: Floats
    is_decoy: NDArray[np.bool_]
    xcorr: Floats
    lengths: Ints
    charges: Ints
    scans: Ints
    peptides: Words
    proteins: tuple[tuple[str, ...], ...]


def scope2() -> Matches:
    """7,578 spectra of single-cell proteomics (SCoPE2, run FP97AA), searched against human proteins and decoys.

    Examples
    --------
    >>> matches = scope2()
    >>> len(matches.scores), int(matches.is_decoy.sum()), int((~matches.is_decoy).sum())
    (7578, 2054, 5524)
    >>> best = matches.scores.argmax()
    >>> str(matches.peptides[best]), matches.proteins[best]
    ('K.LVQDVANNTNEEAGDGTTTATVLAR.S', ('CH60',))
    """
    rows = table("psm_scope2_FP97AA.csv.gz")
    found = {int(row["scan"]): tuple(row["proteins"].split("/")) for row in table("scope2_proteins.csv.gz")}
    values = numbers(rows, ["score", "xcorr", "length", "charge", "scan", "label"])
    whole = values[:, 2:].astype(np.int64)
    return Matches(
        values[:, 0],
        whole[:, 3] == -1,
        values[:, 1],
        whole[:, 0],
        whole[:, 1],
        whole[:, 2],
        np.array([row["peptide"] for row in rows]),
        tuple(found.get(int(scan), ()) for scan in whole[:, 2]),
    )
