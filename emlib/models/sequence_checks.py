"""Sequences as users give them: one table, the lengths of its sequences, and what may be missing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.chains import Ints
from .checks import Numeric, check_finite, check_numbers
from .tables import is_chunked


def check_lengths(lengths: Any, n: int) -> Ints:
    """`lengths` as whole numbers, 1 or above, that sum to `n`; one sequence if None.

    Examples
    --------
    >>> check_lengths([2, 2], 5)
    Traceback (most recent call last):
      ...
    ValueError: lengths sum to 4, but X has 5 rows.
    """
    if lengths is None:
        return np.array([n], dtype=np.intp)
    try:
        given = np.asarray(lengths)
        if given.ndim != 1 or not len(given) or given.dtype.kind not in "iuf" or (np.floor(given) != given).any():
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(
            f"lengths is {lengths!r}; it must be a list of whole numbers, one for each sequence."
        ) from None
    empty = np.flatnonzero(given < 1)
    if len(empty):
        raise ValueError(f"lengths holds {given[empty[0]]:g} at place {empty[0]}; every sequence needs a row.")
    if given.sum() != n:
        raise ValueError(f"lengths sum to {given.sum():g}, but X has {n} rows.")
    return np.asarray(given, dtype=np.intp)


def check_sequence_table(X: Any, missing: Any) -> tuple[Numeric, NDArray[np.bool_] | None]:
    """A table (n, d), a single column where `X` has one dimension, and which rows were seen (None: all).

    With ``missing="nan"`` a row of nothing but NaN is missing. Missing rows hold a copy of the first row seen, so that
    whoever looks at the table finds nothing unusual.

    Examples
    --------
    >>> table, seen = check_sequence_table([1.0, float("nan"), 3.0], "nan")
    >>> table.shape, seen.tolist()
    ((3, 1), [True, False, True])
    """
    if missing not in (None, "nan"):
        raise ValueError(f"missing is {missing!r}; it must be None or 'nan'.")
    if is_chunked(X):
        raise TypeError("X is a Dask array; sequences must be in memory, X.compute() for instance.")
    if _holds_sequences(X):
        raise ValueError(
            "X holds several sequences; they must follow each other in one table, np.concatenate(X), "
            "with lengths=[len(x) for x in X]."
        )
    if np.ndim(X) == 1:
        X = np.asarray(X).reshape(-1, 1)
    table = check_numbers(X)
    gone = np.isnan(table) if table.dtype.kind == "f" else np.zeros(table.shape, dtype=bool)
    if not gone.any():
        check_finite(table)
        return table, None
    row, column = (int(i) for i in np.argwhere(gone)[0])
    if missing is None:
        raise ValueError(
            f"X holds NaN in row {row}, column {column}; every value must be a finite number "
            "(missing='nan' lets a row of NaN stand for a missing observation)."
        )
    seen: NDArray[np.bool_] = np.logical_not(gone.all(axis=1))
    partly = np.flatnonzero(gone.any(axis=1) & seen)
    if len(partly):
        raise ValueError(f"X holds NaN in a part of row {partly[0]}; a row must be missing as a whole or not at all.")
    if not seen.any():
        raise ValueError("X holds nothing but NaN; at least one row must be observed.")
    table = np.where(seen[:, None], table, table[np.argmax(seen)])
    check_finite(table)
    return table, seen


def _holds_sequences(X: Any) -> bool:
    """Whether X is several sequences: of different lengths, so that they make no array, or tables stacked up."""
    try:
        if np.ndim(X) != 1 or np.asarray(X).dtype != object:
            return np.ndim(X) > 2
    except ValueError:
        return True
    return any(np.ndim(x) > 0 for x in X)


def enough_values(X: Numeric, K: int) -> int:
    """The number of different rows of X, or K if there are at least so many: most often the first rows tell."""
    for some in (X[:1000], X):
        different = len(np.unique(some, axis=0))
        if different >= K:
            return K
    return different
