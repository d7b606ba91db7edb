"""Hidden Markov models; a label is a path."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from emlib.engine import families as f
from emlib.engine.latent import FloatArray
from emlib.engine.markov import HiddenMarkov, MarkovParams, MarkovPrior
from emlib.engine.mixture import MixtureParams
from emlib.engine.sequences import Sequences

from .base import Case
from .mixtures import MEANS, NIW, gaussian, permute_mixture, poisson


def _markov(log_joint: Callable[[FloatArray, Any], FloatArray]) -> Callable[[Any, Any], tuple[FloatArray, FloatArray]]:
    """All paths of all sequences together, term by term; `log_joint` is that of a mixture of the same components."""

    def paths(data: Sequences, params: MarkovParams) -> tuple[FloatArray, FloatArray]:
        K = len(params.start)
        density = log_joint(data.rows.X, MixtureParams(np.ones(K), params.components))
        every = np.array(list(itertools.product(range(K), repeat=len(density))))
        joint = density[np.arange(len(density)), every].sum(axis=1)
        firsts = np.cumsum(data.cuts.lengths) - data.cuts.lengths
        for t in range(len(density)):
            if t in firsts:
                joint += np.log(params.start)[every[:, t]]
            else:
                joint += np.log(params.transitions)[every[:, t - 1], every[:, t]]
        return every, joint

    return paths


def _categorical(X: FloatArray, params: Any) -> FloatArray:
    return np.log(params.components.probs).T[X[:, 0].astype(int)]


def permute_markov(params: MarkovParams, order: list[int]) -> MarkovParams:
    moved = permute_mixture(MixtureParams(params.start, params.components), order)
    return MarkovParams(moved.weights, params.transitions[order][:, order], moved.components)


CASES = [
    *(
        Case(
            name,
            HiddenMarkov(family, length=length),
            MarkovParams(np.array([0.6, 0.4]), np.array(transitions), components),
            MarkovPrior(2.0, 3.0, prior),
            log_joint,
            permute_markov,
            tolerance=tolerance,
            paths=_markov(log_joint),
        )
        for name, family, length, transitions, components, prior, log_joint, tolerance in [
            (
                "hidden Markov, gaussian",
                f.Gaussian(),
                3,  # so that five rows are two sequences
                [[0.7, 0.3], [0.4, 0.6]],
                f.GaussianParams(2.0 * MEANS[1:], np.array([[[0.5, -0.2], [-0.2, 1.0]], [[2.0, 0.0], [0.0, 0.3]]])),
                NIW,
                gaussian,
                0.2,
            ),
            (
                "hidden Markov, poisson",
                f.Poisson(),
                3,
                [[0.7, 0.3], [0.4, 0.6]],
                f.PoissonParams(np.array([[1.0, 8.0], [6.0, 2.0]])),
                f.GammaPrior(2.0, 1.0),
                poisson,
                0.3,
            ),
            (
                "hidden Markov, categorical",
                f.Categorical(n_symbols=3),
                6,  # only the order of symbols tells states apart
                [[0.9, 0.1], [0.15, 0.85]],
                f.MultinomialParams(np.array([[0.75, 0.15, 0.1], [0.1, 0.1, 0.8]])),
                f.DirichletPrior(2.0),
                _categorical,
                0.1,
            ),
        ]
    ),
]
