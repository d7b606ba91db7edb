"""The features T(x) of a family, and the order in which those of a symmetric matrix are listed."""

from __future__ import annotations

import functools
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .blocks import Rows
from .latent import FloatArray


class Features(Protocol):
    """What the kernel needs of a family (`engine.families`)."""

    def n_features(self, d: int) -> int:
        """Length p of T(x) for x of length d."""
        ...

    def features(self, X: FloatArray, out: FloatArray) -> None:
        """Write T(x) for pieces X (batch, d, rows) into out (batch, p, rows)."""
        ...

    def shared(self, rows: Rows) -> FloatArray:
        """Sums over the rows that no label touches; empty for most families."""
        ...


def squares(X: FloatArray, out: FloatArray) -> None:
    """``[1, x, x_j**2]``, the features of independent columns: X (batch, d, rows) to out (batch, 1 + 2 d, rows)."""
    d = X.shape[1]
    out[:, 0] = 1.0
    out[:, 1 : 1 + d] = X
    np.multiply(X, X, out=out[:, 1 + d :])


@functools.lru_cache(maxsize=64)
def upper(d: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the upper triangle of a (d, d) matrix, in the order of the features."""
    i, j = np.triu_indices(d)
    return i, j
