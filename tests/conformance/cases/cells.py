"""Counts of cells: exposures, structural zeros, doublets; a label is a type, or a pair of types."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats as dist

from emlib.engine import families as f
from emlib.engine.latent import FloatArray
from emlib.engine.mixture import Mixture, MixtureParams, MixturePrior
from emlib.models.doublets import DoubletParams, DoubletPrior, Doublets

from .base import Case
from .mixtures import permute_mixture


def _entrywise(X: FloatArray, params: MixtureParams) -> FloatArray:
    """Counts that may have an exposure in front, structural zeros, and more scatter than a Poisson's."""
    c = params.components
    means = getattr(c, "means", getattr(c, "rates", None))
    e, x = (X[:, :1], X[:, 1:]) if X.shape[1] > means.shape[1] else (1.0, X)
    columns = []
    for k, m in enumerate(means):
        if hasattr(c, "sizes"):
            p = dist.nbinom(c.sizes[k], c.sizes[k] / (c.sizes[k] + e * m)).pmf(x)
        else:
            p = dist.poisson(e * m).pmf(x)
        if hasattr(c, "zeros"):
            p = c.zeros[k] * (x == 0) + (1 - c.zeros[k]) * p
        columns.append(np.log(p).sum(axis=1))
    return np.column_stack(columns) + np.log(params.weights)


DEPTHS = np.array([0.7, 1.0, 1.7, 0.8])
SCATTERED = np.array([[30.0, 10.0, 40.0], [10.0, 40.0, 15.0]])
SIZES = np.array([[2.0, 3.0, 4.0], [3.0, 4.0, 2.5]])  # well below the means: fast to climb
ZEROS = np.array([[0.4, 0.3, 0.5], [0.3, 0.45, 0.4]])
TALLIED = f.ExposedCounts(
    f.DistinctCounts(np.tile(np.arange(1000.0), 3), np.arange(0, 3001, 1000)),
    f.ExposurePoints(0.7, 1.7),
)

CASES = [
    *(
        Case(
            name,
            Mixture(family),
            MixtureParams(np.array([0.45, 0.55]), components),
            MixturePrior(2.0, prior),
            _entrywise,
            permute_mixture,
            more_is_hidden=not isinstance(family, f.ExposedPoisson),
            tolerance=tolerance,
        )
        for name, family, components, prior, tolerance in [
            (
                "poisson, exposed",
                f.ExposedPoisson(exposures=DEPTHS),
                f.PoissonParams(np.array([[1.0, 8.0], [6.0, 2.0]])),
                f.GammaPrior(2.0, 1.0),
                0.3,
            ),
            (
                "zero-inflated poisson",
                f.ZeroInflatedPoisson(),
                f.ZeroInflatedPoissonParams(np.array([[4.0, 15.0, 6.0], [12.0, 5.0, 3.5]]), ZEROS),
                f.ZeroInflatedPrior(f.BetaPrior(2.0, 3.0), f.GammaPrior(2.0, 1.0)),
                0.3,
            ),
            (
                "zero-inflated poisson, exposed",
                f.ZeroInflatedPoisson(exposed=True, exposures=DEPTHS),
                f.ZeroInflatedPoissonParams(np.array([[4.0, 15.0, 6.0], [12.0, 5.0, 3.5]]), ZEROS),
                f.ZeroInflatedPrior(f.BetaPrior(2.0, 3.0), f.GammaPrior(2.0, 1.0)),
                0.3,
            ),
            (
                "negative binomial, exposed",
                f.ExposedNegativeBinomial(exposures=DEPTHS),
                f.NegativeBinomialParams(SCATTERED, SIZES),
                f.GammaRatesPrior(3.0, 5.0, 1.3),
                0.8,
            ),
            (
                "negative binomial, exposed, tallied",
                f.ExposedNegativeBinomial(exposures=DEPTHS, tallied=TALLIED),
                f.NegativeBinomialParams(SCATTERED, SIZES),
                f.GammaRatesPrior(3.0, 5.0, 1.3),
                0.8,
            ),
            (
                "zero-inflated negative binomial, exposed, tallied",
                f.ZeroInflatedNegativeBinomial(exposed=True, exposures=np.array([0.8, 1.6]), tallied=TALLIED),
                f.ZeroInflatedNegativeBinomialParams(SCATTERED, SIZES, ZEROS),
                f.ZeroInflatedPrior(f.BetaPrior(2.0, 3.0), f.GammaRatesPrior(3.0, 5.0, 1.3)),
                0.8,
            ),
            (
                "zero-inflated negative binomial",
                f.ZeroInflatedNegativeBinomial(),
                f.ZeroInflatedNegativeBinomialParams(SCATTERED, SIZES, ZEROS),
                f.ZeroInflatedPrior(f.BetaPrior(2.0, 3.0), f.GammaRatesPrior(3.0, 5.0, 1.3)),
                0.8,
            ),
            (
                "zero-inflated negative binomial, exposed",
                f.ZeroInflatedNegativeBinomial(exposed=True, exposures=np.array([1.0, 2.0])),
                f.ZeroInflatedNegativeBinomialParams(SCATTERED, SIZES, ZEROS),
                f.ZeroInflatedPrior(f.BetaPrior(2.0, 3.0), f.GammaRatesPrior(3.0, 5.0, 1.3)),
                0.8,
            ),
        ]
    ),
]


def _droplets(share: float) -> Callable[[FloatArray, Any], FloatArray]:
    """One cell of each type, then every pair."""

    def log_joint(X: FloatArray, params: DoubletParams) -> FloatArray:
        e, x, w, delta = X[:, :1], X[:, 1:], params.weights, params.doublet_rate
        single = [
            np.log((1 - delta) * p) + dist.poisson(e * r).logpmf(x).sum(axis=1)
            for p, r in zip(w, params.rates, strict=True)
        ]
        pairs = []
        for a, b in itertools.combinations_with_replacement(range(len(w)), 2):
            chance = delta * w[a] * w[b] * (1 if a == b else 2)
            rates = share * (params.rates[a] + params.rates[b])
            pairs.append(np.log(chance) + dist.poisson(e * rates).logpmf(x).sum(axis=1))
        return np.column_stack(single + pairs)

    return log_joint


CASES += [
    Case(
        name,
        Doublets(share, exposures=np.array([0.7, 1.3, 1.0])),
        DoubletParams(np.array([0.4, 0.6]), np.array([[1.0, 9.0, 4.0], [7.0, 2.0, 1.0]]), 0.3),
        DoubletPrior(2.0, f.GammaPrior(2.0, 1.0), f.BetaPrior(2.0, 3.0)),
        _droplets(share),
        lambda params, order: DoubletParams(params.weights[order], params.rates[order], params.doublet_rate),
        more_is_hidden=True,
        tolerance=0.2,
    )
    for name, share in [("doublets", 1.0), ("doublets, own totals", 0.5)]
]
