"""Matches of spectra to peptides; decoys are rows whose label is known."""

from __future__ import annotations

import numpy as np
from scipy import stats as dist

from emlib.engine.latent import FloatArray
from emlib.models.peptides import GammaShape, GaussianShape, GumbelShape, MatchParams, ScoreModel

from .base import Case

DENSITIES = {
    GaussianShape: lambda x, mean, sd: dist.norm.logpdf(x, mean, sd),
    GammaShape: lambda x, shape, scale: dist.gamma.logpdf(x, shape, scale=scale),
    GumbelShape: lambda x, location, scale: dist.gumbel_r.logpdf(x, location, scale),
}


def _case(incorrect, correct, first, second, competition=False) -> Case:
    model = ScoreModel(incorrect, correct, competition)
    params = MatchParams(np.array([0.4, 0.6]), np.array(first), np.array(second))
    rng = np.random.default_rng(8)
    seen = [shape.sample(p, 6, rng) for shape, p in ((incorrect, params.incorrect), (correct, params.correct))]

    def log_joint(X: FloatArray, params: MatchParams) -> FloatArray:
        w0, w1 = params.weights
        decoy = X[:, 1] == 1
        null = DENSITIES[type(incorrect)](X[:, 0], *params.incorrect)
        best = DENSITIES[type(correct)](X[:, 0], *params.correct)
        shares = (w0 / (1 + w0), w1 / (1 + w0), w0 / (1 + w0)) if competition else (w0, w1, 1.0)
        return np.column_stack(
            [null + np.log(np.where(decoy, shares[2], shares[0])), np.where(decoy, -np.inf, best + np.log(shares[1]))]
        )

    name = f"matches, {type(incorrect).__name__} and {type(correct).__name__}" + ", competition" * competition
    return Case(name, model, params, model.prior([2.0, 3.0], *seen), log_joint, permute=None, tolerance=0.4)


CASES = [
    _case(GaussianShape(1.0), GumbelShape(), [1.0, 0.6], [4.5, 1.2], competition=True),
    _case(GumbelShape(), GaussianShape(5.0), [1.0, 0.5], [5.0, 1.0]),
    _case(GammaShape(), GammaShape(), [4.0, 0.25], [9.0, 0.6]),
]
