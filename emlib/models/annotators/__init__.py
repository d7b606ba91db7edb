"""Annotators who disagree, or diagnostic tests without a gold standard: the truth of every item is hidden."""

from .estimator import DawidSkene
from .model import AnnotatorParams, AnnotatorPrior, Annotators, AnnotatorStats

__all__ = ["AnnotatorParams", "AnnotatorPrior", "AnnotatorStats", "Annotators", "DawidSkene"]
