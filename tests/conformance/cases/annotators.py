"""Annotators; a label is the class of an item."""

from __future__ import annotations

import itertools

import numpy as np

from emlib.engine.latent import FloatArray
from emlib.models.annotators import AnnotatorParams, AnnotatorPrior, Annotators

from .base import Case


def _annotators(X: FloatArray, params: AnnotatorParams) -> FloatArray:
    """Rating by rating."""
    J, K, _ = params.confusion.shape
    joint = np.log(params.prevalence[X[:, 1].astype(int)])
    for i, row in enumerate(X):
        for j, k, label in itertools.product(range(J), range(K), range(K)):
            joint[i, k] += row[2 + K * j + label] * np.log(params.confusion[j, k, label])
    return joint


CASES = [
    Case(
        "annotators, two groups",
        Annotators(),
        AnnotatorParams(
            np.array([[0.61, 0.39], [0.27, 0.73]]),
            np.array(
                [
                    [[0.81, 0.19], [0.3, 0.7]],
                    [[0.77, 0.23], [0.16, 0.84]],
                    [[0.7, 0.3], [0.22, 0.78]],
                    [[0.83, 0.17], [0.18, 0.82]],
                ]
            ),
        ),
        AnnotatorPrior(2.0, 1.5),
        _annotators,
        lambda params, order: AnnotatorParams(params.prevalence[:, order], params.confusion[:, order]),
        counts=lambda stats: stats.counts.sum(axis=0),
    )
]
