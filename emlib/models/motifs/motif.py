"""A motif that was found: its matrix, its sites, and how surprising they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...engine.latent import FloatArray
from .sequences import LETTERS, Background


class Site(NamedTuple):
    """A place of a motif: `start` counts from 0 on the + strand, whatever the strand of the site."""

    sequence: int
    start: int
    strand: str
    posterior: float


@dataclass(frozen=True)
class Motif:
    """A motif and its sites.

    Attributes
    ----------
    pwm : array (w, 4)
        Probabilities of A, C, G and T in each column.
    sites : list of Site
        Best first.
    words : list of str
        The letters of the sites, read in the direction of the motif.
    e_value, log_e_value : float
        How many motifs as significant one expects in sequences without any; the log is natural, and does not underflow.
    log_likelihood_ratio : float
        Of the sequences with the motif to the background alone, in nats.
    background : Background
    rate : float
        See `MotifParams`.
    name : str
    """

    pwm: FloatArray
    sites: list[Site]
    words: list[str]
    log_e_value: float
    log_likelihood_ratio: float
    background: Background
    rate: float = 1.0
    name: str = "motif_1"

    @property
    def e_value(self) -> float:
        """`log_e_value` as a plain number."""
        return float(np.exp(min(self.log_e_value, 700.0)))

    @property
    def width(self) -> int:
        """Columns."""
        return len(self.pwm)

    @property
    def consensus(self) -> str:
        """The most probable letter of each column."""
        return "".join(LETTERS[i] for i in self.pwm.argmax(axis=1))

    @property
    def counts(self) -> FloatArray:
        """Letters of the sites in each column (w, 4)."""
        return np.array([[column.count(a) for a in LETTERS] for column in zip(*self.words, strict=True)], dtype=float)

    def to_biopython(self) -> Any:
        """A `Bio.motifs.Motif` of the sites, if Biopython is installed."""
        from Bio import motifs
        from Bio.Seq import Seq

        found = motifs.create([Seq(word) for word in self.words])
        found.name = self.name
        found.background = dict(zip(LETTERS, map(float, self.background.frequencies), strict=True))
        return found


def similarity(a: Any, b: Any, overlap: int = 6) -> float:
    """Correlation of two matrices (w, 4) at their best offset and strand.

    Mean over the columns that lie on each other, at least `overlap` of them, of Pearson's correlation of two columns,
    as in Tomtom (Gupta et al. 2007).

    Examples
    --------
    >>> ramp = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1]])
    >>> round(similarity(ramp, ramp[::-1, ::-1], overlap=3), 6)
    1.0
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    best, overlap = -1.0, min(overlap, len(a), len(b))
    for turned in (b, b[::-1, ::-1]):
        for shift in range(overlap - len(turned), len(a) - overlap + 1):
            first, stop = max(0, shift), min(len(a), shift + len(turned))
            x, y = a[first:stop] - 0.25, turned[first - shift : stop - shift] - 0.25
            norm = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
            r = np.where(norm > 0, (x * y).sum(axis=1) / np.maximum(norm, 1e-300), 0.0)
            best = max(best, float(r.mean()))
    return best
