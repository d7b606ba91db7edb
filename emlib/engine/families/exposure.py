"""Counts that were given more or less of a chance: the first column of a table is the exposure of its rows.

A cell of which twice as many molecules were sequenced shows twice as many of every gene; a ward watched for two
weeks has two weeks of accidents. So a component says rates per unit of exposure e (eq. 14.1)::

    x_j ~ Poisson(e rate_j)        log p = [log w, -sum of rates, log rates] . [1, e, x] + what no parameter touches

Exposures are given, like the rows themselves, and travel with them as one more column: blocks, chunks, bootstraps and
cross-validation take rows, and a row is not complete without its exposure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from ..blocks import Rows
from ..kernel import Natural
from ..latent import FloatArray
from .counts import GammaPrior, Poisson, PoissonParams, log_of


@dataclass(frozen=True)
class ExposedPoisson(Poisson):
    """Independent Poisson counts, their rates multiplied by the exposure in column 0.

    Parameters
    ----------
    exposures : float or array
        Those of simulated rows, in turn.

    Examples
    --------
    Three events in two hours, nine in four:

    >>> from emlib.engine.mixture import Mixture
    >>> rows = np.array([[2.0, 3.0], [4.0, 9.0]])
    >>> Mixture(ExposedPoisson()).from_responsibilities(rows, np.ones((2, 1)), 1).components.rates.tolist()
    [[2.0]]
    """

    exposures: float | FloatArray = 1.0

    def _sums(self, totals: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Events (K, d) and summed exposures (K, 1), of which eq. 14.2 is made."""
        return totals[:, 2:], totals[:, 1:2]

    def natural(self, params: PoissonParams, log_weights: FloatArray, rows: Rows) -> Natural:
        """``[log w, -sum of rates, log rates]``."""
        slope = np.concatenate([-params.rates.sum(axis=1, keepdims=True), log_of(params.rates)], axis=1)
        return self._natural(log_weights, slope, rows)

    def log_base(self, X: FloatArray) -> FloatArray:
        """``x log e - log x!``."""
        e, x = split_exposure(X)
        return (x * np.log(e) - gammaln(x + 1.0)).sum(axis=-2)

    def draw_prior(self, prior: GammaPrior, K: int, d: int, rng: np.random.Generator) -> PoissonParams:
        """K components from the prior itself."""
        return super().draw_prior(prior, K, d - 1, rng)

    def sample(self, params: PoissonParams, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        """See `Family.sample`."""
        e = in_turn(self.exposures, len(labels))
        return np.column_stack([e, rng.poisson(e[:, None] * params.rates[labels])])

    def n_parameters(self, K: int, d: int) -> int:
        """See `Family.n_parameters`."""
        return K * (d - 1)


def split_exposure(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Exposures (..., 1, rows) and counts (..., d, rows) of pieces whose first column is the exposure."""
    return X[..., :1, :], X[..., 1:, :]


def in_turn(exposures: float | FloatArray, n: int) -> FloatArray:
    """One exposure for each of n rows, from the beginning again where there are fewer.

    Examples
    --------
    >>> in_turn(np.array([1.0, 2.0]), 3).tolist()
    [1.0, 2.0, 1.0]
    """
    return np.resize(np.asarray(exposures, dtype=float), n)
