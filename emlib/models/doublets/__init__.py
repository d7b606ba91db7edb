"""Droplets that caught two cells: which did, and which molecule is whose, is hidden."""

from .estimator import DoubletMixture
from .model import Doublets
from .numbers import DoubletParams, DoubletPrior, DoubletStats

__all__ = ["DoubletMixture", "DoubletParams", "DoubletPrior", "DoubletStats", "Doublets"]
