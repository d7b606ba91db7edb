"""Exponential families: the worlds a single component can live in.

A family says four things: its sufficient statistics T(x), its natural parameters (so that the
log density is ``eta . T(x)``), how to maximise given summed statistics (for all of them: match
the moments), and its conjugate prior, which is nothing but statistics of data not seen.
"""

from __future__ import annotations

from .base import Family, base_total
from .counts import BetaPrior, Binomial, BinomialParams, GammaPrior, Poisson, PoissonParams
from .gaussian import CentreParams, Gaussian, GaussianParams, NormalInverseWishart, TiedSpherical

__all__ = [
    "BetaPrior",
    "Binomial",
    "BinomialParams",
    "CentreParams",
    "Family",
    "GammaPrior",
    "Gaussian",
    "GaussianParams",
    "NormalInverseWishart",
    "Poisson",
    "PoissonParams",
    "TiedSpherical",
    "base_total",
]
