"""Probabilities of a hidden Markov model that a climb has left at zero, or on their way there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..engine.blocks import expect_over_blocks, one_blas_thread, threads
from ..engine.information import NEVER
from ..engine.latent import SOFT, FloatArray
from ..engine.markov import HiddenMarkov, MarkovParams, MarkovPrior
from ..engine.parameters import flatten, rebuild
from ..engine.sequences import Sequences


def without_what_never_happens(
    model: HiddenMarkov, data: Sequences, params: MarkovParams, prior: MarkovPrior | None
) -> tuple[MarkovParams, Any]:
    """Parameters in which what one more step of EM expects not to happen is zero; and which numbers (V,) are decided.

    A climb to the boundary halves such probabilities again and again and ends when that gains nothing; a first
    state or a transition that is expected less than `NEVER` times is taken to be on its way.
    """
    [(stats, _)] = expect_over_blocks(model, data, [params], SOFT, threads())
    held = frozenset() if model.held is None else model.held.names
    with one_blas_thread:
        after = model.m_step(stats, prior)
    times = {"start": stats.first.sum(), "transitions": stats.moves.sum(axis=1), "probs": stats.counts}
    decided: dict[str, Any] = {}

    def emptied(name: str, now: FloatArray, later: FloatArray) -> FloatArray:
        total = np.asarray(times[name], dtype=float)[..., None]
        gone = (now == 0.0) | ((total * later < NEVER) & (total > 0.5))
        left = now if name in held else np.where(gone, 0.0, now) / np.where(gone, 0.0, now).sum(axis=-1, keepdims=True)
        alone = (left > 0).sum(axis=-1, keepdims=True) == 1
        decided[name] = ((left == 0.0) | alone) & (name not in held) & (left.shape[-1] > 1)
        return left

    parts: Any = params.components
    components = (
        replace(parts, probs=emptied("probs", parts.probs, after.components.probs))
        if hasattr(parts, "probs")
        else parts
    )
    left = MarkovParams(
        emptied("start", params.start, after.start),
        emptied("transitions", params.transitions, after.transitions),
        components,
    )
    nothing = rebuild(left, np.zeros(len(flatten(left))))
    inside: Any = nothing.components
    if "probs" in decided:
        inside = replace(inside, probs=decided["probs"])
    return left, flatten(MarkovParams(decided["start"], decided["transitions"], inside)) > 0.0
