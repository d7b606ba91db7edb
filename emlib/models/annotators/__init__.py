"""Annotators who disagree, or diagnostic tests without a gold standard: the truth of every item is hidden."""

from .estimator import DawidSkene
from .model import Annotators
from .parameters import AnnotatorParams, AnnotatorPrior, AnnotatorStats

__all__ = ["AnnotatorParams", "AnnotatorPrior", "AnnotatorStats", "Annotators", "DawidSkene"]
