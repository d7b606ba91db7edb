"""What the model of doublets estimates, what it adds up, and what may be known beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...engine.families import BetaPrior, GammaPrior
from ...engine.kernel import Statistics
from ...engine.latent import FloatArray

FLAT, EVEN = GammaPrior(), BetaPrior()


@dataclass(frozen=True)
class DoubletParams:
    """Shares (K,) and rates (K, d) of the types of cells, and how probably a droplet holds two."""

    weights: FloatArray
    rates: FloatArray
    doublet_rate: float | FloatArray


@dataclass(frozen=True)
class DoubletStats:
    """Expected droplets of each content (C,); cells, exposure and molecules of each type (K, 2 + d)."""

    counts: FloatArray
    types: FloatArray
    noise: float = 0.0

    def __add__(self, other: DoubletStats) -> DoubletStats:
        return DoubletStats(self.counts + other.counts, self.types + other.types, self.noise + other.noise)

    @property
    def of_types(self) -> Statistics:
        """Those of a Poisson mixture whose rows are cells."""
        return Statistics(self.types, np.zeros((len(self.types), self.types.shape[1] - 1)), np.zeros(0))

    @property
    def droplets(self) -> tuple[float, float]:
        """With one cell, and with two."""
        K = len(self.types)
        return float(self.counts[:K].sum()), float(self.counts[K:].sum())


@dataclass(frozen=True)
class DoubletPrior:
    """Dirichlet on the shares of types (1 is flat), gamma on each rate, beta on the share of doublets."""

    weights: float | FloatArray = 1.0
    rates: GammaPrior = FLAT
    doublet_rate: BetaPrior = EVEN
