"""Exponential families: the worlds a single component can live in.

A family says four things: its sufficient statistics T(x), its natural parameters (so that the
log density is ``eta . T(x)``, eq. 4.1), how to maximise given summed statistics (for all of them:
match the moments, eq. 4.4), and its conjugate prior, which is nothing but statistics of data not
seen (eqs. 4.10, 4.11).
"""

from __future__ import annotations

from .base import Family
from .centres import CentreParams, Centres
from .counts import (
    BetaPrior,
    Binomial,
    BinomialParams,
    Categorical,
    DirichletPrior,
    GammaPrior,
    Multinomial,
    MultinomialParams,
    Poisson,
    PoissonParams,
)
from .exposed_tally import ExposedCounts, ExposurePoints
from .exposure import ExposedPoisson
from .gaussian import GaussianParams, NormalInverseWishart
from .gaussian_axes import DiagonalGaussian, SphericalGaussian
from .gaussian_full import Gaussian
from .gaussian_independent import IndependentNormalInverseWishart
from .gaussian_tied import TiedGaussian, TiedSphericalGaussian
from .negative_binomial import GammaRatesPrior, NegativeBinomial, NegativeBinomialParams
from .tally import DistinctCounts
from .zero_inflated import (
    ExposedNegativeBinomial,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedNegativeBinomialParams,
    ZeroInflatedPoisson,
    ZeroInflatedPoissonParams,
    ZeroInflatedPrior,
)

__all__ = [
    "BetaPrior",
    "Binomial",
    "BinomialParams",
    "Categorical",
    "CentreParams",
    "Centres",
    "DiagonalGaussian",
    "DirichletPrior",
    "DistinctCounts",
    "ExposedCounts",
    "ExposedNegativeBinomial",
    "ExposedPoisson",
    "ExposurePoints",
    "Family",
    "GammaPrior",
    "GammaRatesPrior",
    "Gaussian",
    "GaussianParams",
    "IndependentNormalInverseWishart",
    "Multinomial",
    "MultinomialParams",
    "NegativeBinomial",
    "NegativeBinomialParams",
    "NormalInverseWishart",
    "Poisson",
    "PoissonParams",
    "SphericalGaussian",
    "TiedGaussian",
    "TiedSphericalGaussian",
    "ZeroInflatedNegativeBinomial",
    "ZeroInflatedNegativeBinomialParams",
    "ZeroInflatedPoisson",
    "ZeroInflatedPoissonParams",
    "ZeroInflatedPrior",
]
