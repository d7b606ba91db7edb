"""Mixtures of the families; a label is a component."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import stats as dist

from emlib.engine import families as f
from emlib.engine.latent import FloatArray
from emlib.engine.mixture import Mixture, MixtureParams, MixturePrior

from .base import Case


def permute_mixture(params: MixtureParams, order: list[int]) -> MixtureParams:
    components = params.components
    K = len(params.weights)
    fields = {name: getattr(components, name) for name in components.__dataclass_fields__}
    # What is shared by all components has no row for each. (A tied matrix of K = 2 columns would look as if.)
    moved = {
        name: v if np.shape(v)[:1] != (K,) or (np.shape(v) == (2, 2) and name == "covariances") else v[order]
        for name, v in fields.items()
    }
    return MixtureParams(params.weights[order], replace(components, **moved))


def gaussian(X: FloatArray, params: MixtureParams) -> FloatArray:
    c = params.components
    K, d = c.means.shape
    full = {
        (K, d, d): lambda: c.covariances,
        (K, d): lambda: [np.diag(v) for v in c.covariances],
        (K,): lambda: [v * np.eye(d) for v in c.covariances],
        (d, d): lambda: [c.covariances] * K,
        (): lambda: [c.covariances * np.eye(d)] * K,
    }[np.shape(c.covariances)]()
    columns = [dist.multivariate_normal(m, S).logpdf(X) for m, S in zip(c.means, full, strict=True)]
    return np.column_stack(columns).reshape(len(X), -1) + np.log(params.weights)


def _spherical(X: FloatArray, params: MixtureParams, variance: float = 0.5) -> FloatArray:
    columns = [dist.norm(m, np.sqrt(variance)).logpdf(X).sum(axis=1) for m in params.components.means]
    return np.column_stack(columns) + np.log(params.weights)


def poisson(X: FloatArray, params: MixtureParams) -> FloatArray:
    columns = [dist.poisson(rate).logpmf(X).sum(axis=1) for rate in params.components.rates]
    return np.column_stack(columns) + np.log(params.weights)


def _binomial(X: FloatArray, params: MixtureParams) -> FloatArray:
    columns = [dist.binom([10, 5], p).logpmf(X).sum(axis=1) for p in params.components.probs]
    return np.column_stack(columns) + np.log(params.weights)


def _negative_binomial(X: FloatArray, params: MixtureParams) -> FloatArray:
    c = params.components
    columns = [dist.nbinom(r, r / (r + m)).logpmf(X).sum(axis=1) for m, r in zip(c.means, c.sizes, strict=True)]
    return np.column_stack(columns) + np.log(params.weights)


MEANS = np.array([[0.0, 0.0], [2.5, 1.0], [-1.0, 3.0]])


def _multinomial(X: FloatArray, params: MixtureParams) -> FloatArray:
    columns = [dist.multinomial(12, p).logpmf(X) for p in params.components.probs]
    return np.column_stack(columns) + np.log(params.weights)


THREE = np.array([0.5, 0.3, 0.2])
NIW = f.NormalInverseWishart(mean=np.array([0.5, -0.5]), strength=2.0, scatter=np.diag([3.0, 2.0]), dof=5.0)

EVERY_COUNT = f.DistinctCounts(np.tile(np.arange(300.0), 2), np.array([0, 300, 600]))
CASES = [
    Case(
        "gaussian",
        Mixture(f.Gaussian()),
        MixtureParams(
            THREE,
            f.GaussianParams(
                MEANS,
                np.array([[[1.0, 0.3], [0.3, 0.5]], [[0.5, -0.2], [-0.2, 1.0]], [[2.0, 0.0], [0.0, 0.3]]]),
            ),
        ),
        MixturePrior(2.0, NIW),
        gaussian,
        permute_mixture,
        tolerance=0.2,
    ),
    *(
        Case(
            name,
            Mixture(family),
            MixtureParams(THREE, f.GaussianParams(MEANS, np.asarray(covariances))),
            MixturePrior(2.0, NIW),
            gaussian,
            permute_mixture,
            tolerance=0.2,
        )
        for name, family, covariances in [
            ("diagonal gaussian", f.DiagonalGaussian(), [[1.0, 0.5], [0.5, 1.0], [2.0, 0.3]]),
            ("spherical gaussian", f.SphericalGaussian(), [1.0, 0.5, 0.3]),
            ("tied gaussian", f.TiedGaussian(), [[1.0, 0.4], [0.4, 0.6]]),
            ("tied spherical gaussian", f.TiedSphericalGaussian(), 0.6),
        ]
    ),
    Case(
        "centres",
        Mixture(f.Centres(variance=0.5)),
        MixtureParams(THREE, f.CentreParams(np.array([[0.0, 0.0], [3.0, 1.0], [-2.0, 4.0]]))),
        MixturePrior(2.0),
        _spherical,
        permute_mixture,
    ),
    Case(
        "poisson",
        Mixture(f.Poisson()),
        MixtureParams(THREE, f.PoissonParams(np.array([[1.0, 8.0], [6.0, 2.0], [15.0, 20.0]]))),
        MixturePrior(2.0, f.GammaPrior(2.0, 1.0)),
        poisson,
        permute_mixture,
        tolerance=0.4,
    ),
    *(
        Case(
            name,
            Mixture(f.NegativeBinomial(tallied)),
            MixtureParams(
                THREE,
                f.NegativeBinomialParams(
                    np.array([[1.5, 12.0], [8.0, 3.0], [25.0, 35.0]]),
                    np.array([[1.5, 4.0], [3.0, 2.0], [6.0, 5.0]]),
                ),
            ),
            MixturePrior(2.0, f.GammaRatesPrior(3.0, 5.0, 1.3)),
            _negative_binomial,
            permute_mixture,
            more_is_hidden=True,
            tolerance=0.8,
        )
        for name, tallied in [("negative binomial", None), ("negative binomial, tallied", EVERY_COUNT)]
    ),
    Case(
        "binomial",
        Mixture(f.Binomial(np.array([10.0, 5.0]))),
        MixtureParams(THREE, f.BinomialParams(np.array([[0.1, 0.8], [0.6, 0.2], [0.9, 0.9]]))),
        MixturePrior(2.0, f.BetaPrior(2.0, 3.0)),
        _binomial,
        permute_mixture,
    ),
    Case(
        "multinomial",
        Mixture(f.Multinomial(total=12)),
        MixtureParams(THREE, f.MultinomialParams(np.array([[0.6, 0.3, 0.1], [0.2, 0.6, 0.2], [0.1, 0.2, 0.7]]))),
        MixturePrior(2.0, f.DirichletPrior(2.0)),
        _multinomial,
        permute_mixture,
    ),
    Case(
        "binomial, weights known",
        Mixture(f.Binomial(np.array([10.0, 5.0])), fixed_weights=np.array([0.5, 0.5])),
        MixtureParams(np.array([0.5, 0.5]), f.BinomialParams(np.array([[0.2, 0.5], [0.7, 0.4]]))),
        MixturePrior(1.0, f.BetaPrior(2.0, 2.0)),
        _binomial,
        permute_mixture,
    ),
]
