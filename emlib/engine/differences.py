"""Components evaluated by themselves, most of them from ``x - mean``.

The kernel's expanded form computes the square of a difference from the squares of its terms. That is
fast, and exact enough unless a component is tiny or far away. Its family then lists it as `Special`,
and the kernel asks it for its own log joint, and for its own statistics about its mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .features import Features, upper
from .latent import FloatArray


class Special(Protocol):
    """A component evaluated by itself: its expanded form would lose digits, or it has none."""

    @property
    def mean(self) -> FloatArray:
        """Where the differences are taken from (d,)."""
        ...

    def log_joint(self, X: FloatArray) -> FloatArray:
        """Log joint density (batch, rows) of pieces X (batch, d, rows)."""
        ...

    def totals(self, X: FloatArray, r: FloatArray, rng: np.random.Generator | None = None) -> FloatArray:
        """Statistics about the mean, for responsibilities r (batch, rows).

        With `rng` r are drawn labels, and whatever else is hidden is to be drawn from it too.
        """
        ...


@dataclass(frozen=True)
class Whitened:
    """One Gaussian evaluated from differences: log joint = constant - |whitener (x - mean)|^2 / 2."""

    mean: FloatArray
    whitener: FloatArray
    constant: float

    def log_joint(self, X: FloatArray) -> FloatArray:
        """Log joint density of pieces X (batch, d, rows)."""
        Z = self.whitener @ (X - self.mean[:, None])
        return self.constant - 0.5 * np.einsum("nib,nib->nb", Z, Z)

    def totals(self, X: FloatArray, r: FloatArray, rng: np.random.Generator | None = None) -> FloatArray:
        """The statistics [1, x, x x'] about the mean, for responsibilities r (batch, rows)."""
        D = X - self.mean[:, None]
        weighted = D * r[:, None, :]
        second = np.matmul(weighted, D.swapaxes(1, 2)).sum(axis=0)
        return np.concatenate([[r.sum()], weighted.sum(axis=(0, 2)), second[upper(len(self.mean))]])


@dataclass(frozen=True)
class WhitenedAxes:
    """The same for independent columns: `precision` (d,), statistics as the family's features say."""

    mean: FloatArray
    precision: FloatArray
    constant: float
    family: Features

    def log_joint(self, X: FloatArray) -> FloatArray:
        """See `Special.log_joint`."""
        D = X - self.mean[:, None]
        return self.constant - 0.5 * np.einsum("nib,nib,i->nb", D, D, self.precision)

    def totals(self, X: FloatArray, r: FloatArray, rng: np.random.Generator | None = None) -> FloatArray:
        """See `Special.totals`."""
        T = np.empty((len(X), self.family.n_features(len(self.mean)), X.shape[2]))
        self.family.features(X - self.mean[:, None], T)
        return np.einsum("npb,nb->p", T, r)
