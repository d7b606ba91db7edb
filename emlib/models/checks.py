"""Bad input gets one sentence: what was found, and what was expected."""

from __future__ import annotations

import numbers
import sys
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_array

from ..engine.blocks import BLOCK_ROWS
from ..engine.latent import FloatArray

Numeric = np.ndarray[Any, np.dtype[Any]]


def check_table(X: Any) -> Numeric:
    """`X` as a finite numeric array of rows and columns; one sentence if it is none.

    Raises
    ------
    TypeError
        For a sparse matrix, a whole AnnData, or an object that is no number among the values.
    ValueError
        For anything else that is not a finite table of numbers with a row and a column.

    Examples
    --------
    >>> check_table([[1.0, float("nan")]])
    Traceback (most recent call last):
      ...
    ValueError: X holds NaN in row 0, column 1; every value must be a finite number.
    """
    X = check_numbers(X)
    check_finite(X)
    return X


def check_numbers(X: Any) -> Numeric:
    """What `check_table` does before it looks at the values; a `numpy.memmap` stays one."""
    if issparse(X):
        raise TypeError("X is a sparse matrix; a dense array is needed, X.toarray() for instance.")
    if hasattr(type(X), "obsm"):  # by its manners: anndata need not be there
        raise TypeError(
            f"X is an {type(X).__name__}, which holds many tables; one is needed, such as adata.obsm['X_pca'] or "
            "adata[:, genes].layers['counts'].toarray()."
        )
    if hasattr(type(X), "to_memory"):
        raise TypeError("X is a sparse matrix in a file; a dense array is needed, as from X.to_memory().toarray().")
    if X is None:
        raise ValueError("X is None; a table of numbers is needed.")
    try:
        mapped = isinstance(X, np.memmap) and X.dtype.kind in "fiub"  # of whatever width: a copy might not fit
        X = (
            X
            if mapped
            else check_array(
                X,
                dtype=[np.float64, np.float32, np.int64, np.int32, np.int16, np.int8, np.uint8, np.uint16, np.uint32],
                ensure_all_finite=False,
                ensure_2d=False,
                allow_nd=True,
                ensure_min_samples=0,
                ensure_min_features=0,
            )
        )
    except (TypeError, ValueError) as problem:  # (of its words the first line: the second may be all of X)
        kind = TypeError if isinstance(problem, TypeError) else ValueError
        why = str(problem).partition("\n")[0].rstrip(".")
        raise kind(f"X is not a table of numbers: {why}.{_of_words(X)}") from None
    check_shape_of_table(X.shape)
    return X


def _of_words(X: Any) -> str:
    """Which column of a table of pandas is none of numbers, and what to do about it."""
    for name in getattr(X, "columns", ()):
        try:
            np.asarray(X[name], dtype=float)
        except (TypeError, ValueError):
            return f" Column {name!r} holds words: leave it out, or make columns of 0 and 1 of it (pandas.get_dummies)."
    return ""


def check_shape_of_table(shape: tuple[int, ...]) -> None:
    """Refuse a shape other than that of a table with a row and a column."""
    if len(shape) != 2:
        hint = " (Reshape your data with X.reshape(-1, 1) if it is one column)" if len(shape) == 1 else ""
        raise ValueError(f"X has {len(shape)} dimension(s) where it must have 2, rows and columns{hint}.")
    for axis, what in enumerate(("sample", "feature")):
        if shape[axis] == 0:
            raise ValueError(f"X has 0 {what}(s) (shape={shape}) while a minimum of 1 is required.")


def check_finite(X: Numeric, first: int = 0) -> None:
    """Refuse NaN and infinities; `first` is the row of the whole table at which `X` begins."""
    for i in range(0, len(X), BLOCK_ROWS):
        bad = ~np.isfinite(X[i : i + BLOCK_ROWS])
        if bad.any():
            row, column = (int(index) for index in np.argwhere(bad)[0])
            found = "NaN" if np.isnan(X[i + row, column]) else "inf"
            raise ValueError(
                f"X holds {found} in row {first + i + row}, column {column}; every value must be a finite number."
            )


def check_counts(X: Numeric, most: FloatArray | None = None, first: int = 0) -> None:
    """Refuse values that are no counts, or counts above `most` (one number a column).

    `first` is the row of the whole table at which `X` begins.
    """
    bad = (X < 0) | (np.floor(X) != X)
    if bad.any():
        row, column = (int(index) for index in np.argwhere(bad)[0])
        raise ValueError(
            f"X holds {X[row, column]:g} in row {first + row}, column {column}; "
            "counts must be whole numbers, 0 or above."
        )
    if most is not None and (most < X).any():
        row, column = (int(index) for index in np.argwhere(most < X)[0])
        raise ValueError(
            f"X holds {X[row, column]:g} successes in row {first + row}, column {column}, "
            f"but n_trials is {most[column]:g}."
        )


def check_exposed(X: Numeric, exposed: bool, first: int = 0) -> None:
    """Refuse values that are no counts; if `exposed`, column 0 holds exposures instead, which must be positive."""
    if exposed:
        if X.shape[1] < 2:
            raise ValueError("X has 1 column; with exposure=True the first holds exposures, so counts need another.")
        bad = np.flatnonzero(~(X[:, 0] > 0))
        if len(bad):
            row = int(bad[0])
            raise ValueError(f"X holds the exposure {X[row, 0]:g} in row {first + row}; exposures must be above 0.")
        wrong = np.argwhere((X[:, 1:] < 0) | (np.floor(X[:, 1:]) != X[:, 1:]))
        if len(wrong):  # (check_counts would number the columns without the first)
            row, column = (int(index) for index in wrong[0])
            raise ValueError(
                f"X holds {X[row, 1 + column]:g} in row {first + row}, column {1 + column}; "
                "counts must be whole numbers, 0 or above."
            )
        return
    check_counts(X, first=first)


def in_short(value: Any) -> str:
    """What a message calls `value`: a plain one by itself, of anything else the type, since its repr may fill a page.

    Examples
    --------
    >>> in_short("strong"), in_short(3), in_short(np.eye(2))
    ("'strong'", '3', 'of type ndarray')
    """
    plain = value is None or isinstance(value, (str, numbers.Number))
    return repr(value) if plain else f"of type {type(value).__name__}"


def check_whole(name: str, value: Any, least: int) -> int:
    """`value` as an integer of at least `least`.

    Examples
    --------
    >>> check_whole("n_components", 0, 1)
    Traceback (most recent call last):
      ...
    ValueError: n_components is 0; it must be a whole number, 1 or above.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number, {least} or above.")
    return int(value)


def check_real(name: str, value: Any, least: float = 0.0) -> float:
    """`value` as a finite number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not np.isfinite(float(value)) or value < least:
        bound = "" if least == -np.inf else f", {least:g} or above"
        raise ValueError(f"{name} is {value!r}; it must be a finite number{bound}.")
    return float(value)


def is_missing(value: Any) -> bool:
    """Whether this is None, NaN or the NA of pandas."""
    pandas = sys.modules.get("pandas")  # whoever has an NA has imported it
    return value is None or (pandas is not None and value is pandas.NA) or bool(value != value)


def check_prior(value: Any, kind: type) -> Any:
    """`value` as a prior of this kind, or None.

    Examples
    --------
    >>> from emlib.engine.families import GammaPrior
    >>> check_prior("weak", GammaPrior)
    Traceback (most recent call last):
      ...
    ValueError: prior is 'weak'; it must be None or a GammaPrior.
    """
    if value is None or isinstance(value, kind):
        return value
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    raise ValueError(f"prior is {in_short(value)}; it must be None or {article} {kind.__name__}.")


def check_flag(name: str, value: Any) -> bool:
    """`value` as a truth value; 0, 1 and "yes" are none.

    Examples
    --------
    >>> check_flag("prune", "yes")
    Traceback (most recent call last):
      ...
    ValueError: prune is 'yes'; it must be True or False.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} is {value!r}; it must be True or False.")
    return bool(value)


def as_numbers(name: str, value: Any) -> FloatArray:
    """`value` as a float array of whatever shape.

    Examples
    --------
    >>> as_numbers("counts", "many")
    Traceback (most recent call last):
      ...
    ValueError: counts is 'many'; it must be an array of numbers.
    """
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {in_short(value)}; it must be an array of numbers.") from None


def check_shape(name: str, value: Any, shape: tuple[int, ...]) -> FloatArray:
    """`value` as a finite float array of exactly this shape."""
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r}; it must be an array of numbers of shape {shape}.") from None
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; it must have shape {shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds a value that is not a finite number.")
    return array


def check_weights(name: str, value: Any, K: int) -> FloatArray:
    """`value` as K weights that are not negative and sum to one."""
    weights = check_shape(name, value, (K,))
    if (weights < 0).any() or abs(weights.sum() - 1.0) > 1e-6:
        raise ValueError(f"{name} is {weights.tolist()}; weights must not be negative and must sum to 1.")
    return weights / weights.sum()  # to the last digit, and a copy: the user's array stays the user's


def generator(random_state: Any) -> np.random.Generator:
    """A random generator from a seed, a Generator, a legacy RandomState, or None (fresh entropy)."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31, size=4))
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError):
        raise ValueError(
            f"random_state is {random_state!r}; it must be None, a whole number that is not negative, "
            "a numpy Generator or a RandomState."
        ) from None
