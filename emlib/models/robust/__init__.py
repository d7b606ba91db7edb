"""Regression with t errors: the precision of every error is hidden."""

from .estimator import RobustRegression
from .model import TRegression
from .parameters import RegressionParams, RegressionPrior, RegressionStats

__all__ = ["RegressionParams", "RegressionPrior", "RegressionStats", "RobustRegression", "TRegression"]
