"""Emission tomography and deblurring: photons counted, their origin hidden."""

from .estimator import MLEM
from .model import Emission, EmissionParams, EmissionStats
from .scanner import blur, parallel_beam, shepp_logan

__all__ = ["MLEM", "Emission", "EmissionParams", "EmissionStats", "blur", "parallel_beam", "shepp_logan"]
