"""Matches of spectra to peptides, correct or not, and the proteins that the peptides came from."""

from .estimator import ScoreMixture
from .matches import MatchParams, MatchPrior, MatchStats
from .model import ScoreModel
from .proteins import ProteinInference
from .rates import Calibration, q_values_of, target_decoy_q_values
from .shapes import GammaShape, GaussianShape, GumbelShape, KnownShape

__all__ = [
    "Calibration",
    "GammaShape",
    "GaussianShape",
    "GumbelShape",
    "KnownShape",
    "MatchParams",
    "MatchPrior",
    "MatchStats",
    "ProteinInference",
    "ScoreMixture",
    "ScoreModel",
    "q_values_of",
    "target_decoy_q_values",
]
