"""Tables of rows as estimators meet them: in memory, in a file (`numpy.memmap`), in chunks (Dask).

A table is looked at once, block by block, for all that a fit must know beforehand (`survey`), and
is then laid out for the engine (`lay_out`). Neither makes a copy, whatever the size.
"""

from __future__ import annotations

import functools
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.blocks import Rows, slices
from ..engine.chunks import Chunks, add_up
from ..engine.families import DistinctCounts
from ..engine.latent import FloatArray
from .checks import Numeric, check_finite, check_numbers, check_shape_of_table

CheckRows = Callable[[Numeric, int], None]  # refuses rows, given the row of the table at which they begin


@dataclass(frozen=True)
class Survey:
    """What one look at all rows has found; surveys of blocks that follow each other add up.

    Attributes
    ----------
    n : int
        Number of rows.
    mean, squares : arrays (d,)
        Of each column, the mean and the summed squared differences from it.
    first : array (d,)
        The first row.
    constant : array (d,) of bool
        Columns that hold one value only.
    broken, refused : str
        The first value that is no finite number, and the first that the model cannot have produced, each as
        the sentence that refuses it.
    """

    n: int
    mean: FloatArray
    squares: FloatArray
    first: Numeric
    constant: NDArray[np.bool_]
    broken: str = ""
    refused: str = ""

    def __add__(self, other: Survey) -> Survey:
        n, step = self.n + other.n, other.mean - self.mean
        return Survey(
            n,
            self.mean + step * (other.n / n),
            self.squares + other.squares + step**2 * (self.n * other.n / n),
            self.first,
            self.constant & other.constant & (self.first == other.first),
            self.broken or other.broken,
            self.refused or other.refused,
        )

    def scale(self, origin: FloatArray) -> FloatArray:
        """Root mean square of each column about `origin`."""
        return np.sqrt(self.squares / self.n + (self.mean - origin) ** 2)


def as_table(X: Any) -> Any:
    """`X` as an array of numbers, or as a Dask array with one chunk of columns; no value is looked at.

    Raises
    ------
    TypeError, ValueError
        In one sentence, for anything else.
    """
    if is_chunked(X):
        return _whole_rows(X)
    if hasattr(X, "to_dask_array"):
        raise TypeError("X is a Dask DataFrame; a Dask array is needed, X.to_dask_array(lengths=True) for instance.")
    return check_numbers(X)


def is_chunked(X: Any) -> bool:
    """Whether `X` is a Dask array; does not import Dask to find out."""
    dask_array = sys.modules.get("dask.array")
    return dask_array is not None and isinstance(X, dask_array.Array)


def _whole_rows(X: Any) -> Any:
    if X.dtype.kind not in "fiub":
        raise ValueError(f"X has the dtype {X.dtype}; numbers are needed, X.astype(float) for instance.")
    if not isinstance(X._meta, np.ndarray):
        raise TypeError(f"X is a Dask array of {type(X._meta).__name__}; its chunks must be dense NumPy arrays.")
    if np.isnan(np.array(X.shape, dtype=float)).any():
        raise ValueError("X has chunks of unknown size; call X.compute_chunk_sizes() first.")
    check_shape_of_table(X.shape)
    return X if X.numblocks[1] == 1 else X.rechunk({1: -1})


def survey(table: Any, check_rows: CheckRows | None = None, first: int = 0) -> Survey:
    """Look at every value of a table from `as_table` once; `first` is the number of its first row.

    Raises
    ------
    ValueError
        Naming row and column, for a value that is no finite number or that `check_rows` refuses.
    """
    if is_chunked(table):
        import dask

        look, chunks = dask.delayed(_survey_rows, pure=False), _chunks_of(table)
        check = dask.delayed(check_rows, traverse=False, pure=False)
        (seen,) = add_up([look(chunk, first + start, check) for chunk, start, _ in chunks]).compute()
    else:
        (seen,) = _survey_rows(table, first, check_rows)
    if seen.broken or seen.refused:
        raise ValueError(seen.broken or seen.refused)
    return seen


def _survey_rows(X: Numeric, first: int, check_rows: CheckRows | None) -> tuple[Survey]:
    X = np.asarray(X)
    parts = (_survey_block(X[rows], first + rows.start, check_rows) for rows in slices(*X.shape))
    return (functools.reduce(lambda a, b: a + b, parts),)


def _survey_block(X: Numeric, first: int, check_rows: CheckRows | None) -> Survey:
    """Sentences are results here, not exceptions: among many chunks the first bad row shall be named."""
    broken = _refusal(check_finite, X, first)
    refused = "" if broken or check_rows is None else _refusal(check_rows, X, first)
    if broken:
        none = np.zeros(X.shape[1])
        return Survey(len(X), none, none, X[0], none.astype(bool), broken)
    mean = np.ones(len(X)) @ X / len(X)  # (NumPy's own mean goes down short rows one by one)
    away = X - mean
    squares = np.einsum("nd,nd->d", away, away)
    return Survey(len(X), mean, squares, X[0].copy(), _constant(X), "", refused)


def _constant(X: Numeric) -> NDArray[np.bool_]:
    """Which columns have one value; only those that a few rows do not rule out are read as a whole."""
    constant = (X[:: len(X) // 8 + 1] == X[0]).all(axis=0)
    constant[constant] = (X[:, constant] == X[0, constant]).all(axis=0)
    return constant


def _refusal(check: CheckRows, X: Numeric, first: int) -> str:
    try:
        check(X, first)
    except ValueError as problem:
        return str(problem)
    return ""


def lay_out(table: Any, origin: FloatArray, seen: Survey) -> Rows | Chunks:
    """The table as the engine reads it, measured from `origin`."""
    if is_chunked(table):
        chunks = _chunks_of(table)
        return Chunks([chunk for chunk, _, _ in chunks], [n for _, _, n in chunks], origin, seen.scale(origin))
    return rows_of(table, origin, seen)


def rows_of(array: Numeric, origin: FloatArray, seen: Survey) -> Rows:
    """The same for an array, in memory or in a file."""
    rows = Rows(array, origin)
    rows.scale = seen.scale(origin)  # known by now
    return rows


def distinct_counts(table: Any) -> DistinctCounts:
    """The different counts of each column of a table from `as_table`."""
    if not is_chunked(table):
        return DistinctCounts.of(table)
    import dask

    look = dask.delayed(DistinctCounts.of, pure=False)
    return DistinctCounts.union(dask.compute(*(look(chunk) for chunk, _, _ in _chunks_of(table))))


def _chunks_of(X: Any) -> list[tuple[Any, int, int]]:
    """The chunks of a Dask array that are not empty: each with its first row and its number of rows."""
    lengths = X.chunks[0]
    firsts = np.cumsum([0, *lengths[:-1]]).tolist()
    return [part for part in zip(X.to_delayed().ravel(), firsts, lengths, strict=True) if part[2]]


def by_chunks(function: Callable[[Numeric, int], Any], table: Any, dtype: Any, columns: int | None = None) -> Any:
    """The Dask array of ``function(chunk, first row)``, of shape (n,) or (n, columns), when it is asked for."""
    empty = np.empty((0,) if columns is None else (0, columns), dtype)
    shape = {"drop_axis": 1} if columns is None else {"chunks": (table.chunks[0], (columns,))}
    name = f"emlib-{uuid.uuid4().hex}"  # else Dask would hash the whole estimator to make one up
    return table.map_blocks(_apply, function=function, empty=empty, name=name, dtype=empty.dtype, meta=empty, **shape)


def _apply(X: Numeric, function: Callable[[Numeric, int], Any], empty: Numeric, block_info: Any = None) -> Any:
    return function(np.asarray(X), block_info[0]["array-location"][0][0]) if len(X) else empty
