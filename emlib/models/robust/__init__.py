"""Regression with t errors: the precision of every error is hidden."""

from .estimator import RobustRegression
from .model import RegressionParams, RegressionPrior, RegressionStats, TRegression

__all__ = ["RegressionParams", "RegressionPrior", "RegressionStats", "RobustRegression", "TRegression"]
