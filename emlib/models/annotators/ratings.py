"""What annotators said: read from a table of one row an item or from a list of single ratings, and counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, issparse

from ...engine.blocks import Rows
from ...engine.latent import FloatArray
from ..checks import as_numbers, is_missing

DENSE = 0.2  # share of counts above zero from which a full matrix is faster


@dataclass(frozen=True, eq=False)
class Ratings:
    """How many items are so (n,), their group (n,), and how often each annotator gave each label (n, J K).

    The last is a sparse matrix where most would be zero: of five hundred volunteers five have seen an item.
    """

    counts: FloatArray
    group: NDArray[np.intp]
    said: Any

    @classmethod
    def of(cls, data: Any) -> Ratings:
        """From rows (n, 2 + J K) with all three side by side, or as it is."""
        if isinstance(data, cls):
            return data
        X = np.asarray(data.X if isinstance(data, Rows) else data, dtype=float)
        return cls(X[:, 0], X[:, 1].astype(np.intp), X[:, 2:])

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, rows: Any) -> Ratings:
        return Ratings(self.counts[rows], self.group[rows], self.said[rows])

    def singly(self) -> Ratings:
        """Each item by itself, for items that look alike may differ."""
        every = self[np.repeat(np.arange(len(self)), self.counts.astype(np.intp))]
        return Ratings(np.ones(len(every)), every.group, every.said)

    def merged(self) -> Ratings:
        """Items that look alike in one row."""
        if not isinstance(self.said, np.ndarray):
            return self  # (few do, where most have not seen an item)
        rows, inverse = np.unique(np.column_stack([self.group, self.said]), axis=0, return_inverse=True)
        counts: FloatArray = np.bincount(inverse.ravel(), self.counts).astype(float)
        return Ratings(counts, rows[:, 0].astype(np.intp), rows[:, 1:])

    def designs(self, J: int) -> tuple[NDArray[Any], FloatArray]:
        """Who rated which item how often, as one number each (n,); and the logarithm of the answers possible (n,)."""
        K = self.said.shape[1] // J
        times = self.said @ np.kron(np.eye(J), np.ones((K, 1)))
        orders = np.cumsum(np.log((K - 1 + np.arange(1, times.max() + 1)) / np.arange(1, times.max() + 1)))
        possible = np.concatenate([[0.0], orders])[times.astype(np.intp)].sum(axis=1)
        return times @ np.random.default_rng(0).random(J) + self.group * J * times.max(), possible


@dataclass(frozen=True)
class Heard:
    """Single ratings: the item (m,), the annotator (m,) by number, and the label (m,).

    `items` are the names of items, None where they are rows; `annotators` those of annotators.
    """

    item: NDArray[np.intp]
    annotator: NDArray[np.intp]
    label: NDArray[Any]
    n: int
    items: NDArray[Any] | None
    annotators: NDArray[Any]

    def counted(self, classes: NDArray[Any], counts: Any = None) -> Ratings:
        """How often each annotator gave each of `classes`."""
        J, K = len(self.annotators), len(classes)
        cells = self.item, self.annotator * K + _codes(self.label, classes)
        said = coo_array((np.ones(len(self.item)), cells), shape=(self.n, J * K))
        full = len(self.item) > DENSE * self.n * J * K
        weight = np.ones(self.n) if counts is None else _counts(counts, self.n)
        return Ratings(weight, np.zeros(self.n, dtype=np.intp), said.toarray() if full else csr_array(said))


def heard_in_table(ratings: Any, missing: Any, annotators: Any = None, *, alike: bool = True) -> Heard:
    """From a table (n, C) whose columns are those of `annotators`, or go by their names in pandas, or by numbers.

    If `alike`, each column must share a label with another, which a few rows need not do.
    """
    table, given = _values(ratings, missing)
    if table.ndim != 2 or not table.size:
        raise ValueError(f"ratings have the shape {table.shape}; rows of items and columns of ratings are needed.")
    C = table.shape[1]
    if annotators is not None:
        names, columns = named("annotators", annotators)
        if len(columns) != C:
            raise ValueError(f"annotators has {len(columns)} names, but ratings have {C} columns.")
    else:
        called = list(getattr(ratings, "columns", range(C)))
        twice = [name for name in called if called.count(name) > 1] if len(set(called)) < C else []
        if twice:
            raise ValueError(
                f"ratings have several columns called {twice[0]}; name them apart, and say whose in annotators."
            )
        names, columns = _objects(called), np.arange(C)
    item, column = np.nonzero(given)
    if alike:
        _check_shared(column, table[given], getattr(ratings, "columns", range(C)))
    return Heard(item, columns[column], table[given], len(table), None, names)


def heard_one_by_one(labels: Any, items: Any, annotators: Any, missing: Any) -> Heard:
    """From three lists of the same length: what was said, of what, and by whom."""
    values, given = _values(labels, missing)
    if items is None or annotators is None:
        raise ValueError(f"{'items' if items is None else 'annotators'} are missing; single ratings need both.")
    of_item, of_annotator = named("items", items), named("annotators", annotators)
    if values.ndim != 1 or not len(values) == len(of_item[1]) == len(of_annotator[1]):
        raise ValueError(
            f"ratings have the shape {values.shape}, items {of_item[1].shape} and annotators {of_annotator[1].shape}; "
            "single ratings are lists of the same length."
        )
    (items, item), (names, annotator) = of_item, of_annotator
    return Heard(item[given], annotator[given], values[given], len(items), items, names)


def _check_shared(column: NDArray[np.intp], label: NDArray[Any], called: Any) -> None:
    """Refuse a column whose labels no other has: names of items, measurements, or a list of single ratings."""
    different, code = np.unique(label, return_inverse=True)
    used = np.unique(np.column_stack([column, code.ravel()]), axis=0)  # which column has which label
    shared = np.bincount(used[:, 1], minlength=len(different)) > 1
    own = np.bincount(used[:, 0], minlength=len(called))
    alone = (own > 1) & (np.bincount(used[:, 0], shared[used[:, 1]], minlength=len(called)) == 0)
    if alone.any() and np.count_nonzero(own) > 1:
        raise ValueError(
            f"column {called[int(np.argmax(alone))]} of ratings shares no label with another; columns need ratings of "
            "the same items in the same labels. Single ratings go in as fit(labels, items=..., annotators=...)."
        )


def named(what: str, values: Any) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Different names, sorted, and which of them each value is."""
    found = np.asarray(values)
    if found.ndim != 1:
        raise ValueError(f"{what} have the shape {found.shape}; a list of numbers or names is needed.")
    lost = [i for i, value in enumerate(found.tolist()) if is_missing(value)]
    if lost:
        raise ValueError(f"{what} hold {found[lost[0]]} at {lost[0]}; each needs a number or a name.")
    try:
        names, which = np.unique(found, return_inverse=True)
    except TypeError:
        raise ValueError(f"{what} mix numbers and words; either is needed.") from None
    return names, which.ravel().astype(np.intp)


def _objects(names: list[Any]) -> NDArray[Any]:
    """Names as an array of one kind, if they are of one."""
    simple = np.array(names) if len({type(name) for name in names}) == 1 and not isinstance(names[0], tuple) else None
    if simple is not None and simple.ndim == 1:
        return simple
    objects = np.empty(len(names), dtype=object)
    objects[:] = names
    return objects


def _codes(label: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.intp]:
    """Which of `classes` each label is."""
    if "U" in (label.dtype.kind, classes.dtype.kind):
        label, classes = label.astype(str), classes.astype(str)  # of any length: cut, "yesterday" would be "yes"
    order = np.argsort(classes)
    code = order[np.minimum(np.searchsorted(classes, label, sorter=order), len(classes) - 1)]
    unknown = classes[code] != label
    if unknown.any():
        raise ValueError(f"ratings hold the label {label[unknown][0]}; the classes are {classes.tolist()}.")
    return code.astype(np.intp)


def _values(ratings: Any, missing: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Ratings as numbers or as words, and where there is one: what the table holds elsewhere means nothing."""
    if issparse(ratings):
        raise TypeError(
            "ratings are a sparse matrix, in which 0 may be a label or none; single ratings go in as a list."
        )
    try:
        table = np.asarray(ratings)
    except ValueError:
        raise ValueError(
            "ratings have rows of different lengths; rows of items and columns of ratings are needed."
        ) from None
    if table.dtype.kind in "iub":
        return table, np.asarray(table != missing)
    if table.dtype.kind == "f":
        if np.isinf(table).any():
            raise ValueError("ratings hold inf; a label is a finite number or a word.")
        return table, np.asarray(~np.isnan(table) & (table != missing))
    if not isinstance(ratings, np.ndarray):
        table = np.asarray(ratings, dtype=object)  # beside words in a list, NumPy writes NaN as the word "nan"
    given = np.array([not _blank(v, missing) for v in table.ravel().tolist()], dtype=bool).reshape(table.shape)
    return (_alike(table, given) if table.dtype == object else table), given


def _blank(value: Any, missing: Any) -> bool:
    """Whether this stands for no rating."""
    return is_missing(value) or value in ("", missing, str(missing))


def _alike(table: NDArray[Any], given: NDArray[np.bool_]) -> NDArray[Any]:
    """A table of objects as one of numbers, if all that is given are numbers, and else of words."""
    values = table[given].tolist()
    numbers = all(isinstance(v, (bool, int, float, np.bool_, np.number)) for v in values)
    said = np.array(values if numbers else [str(v) for v in values])
    alike = np.zeros(table.shape, dtype=said.dtype)
    alike[given] = said
    return alike


def _counts(counts: Any, n: int) -> FloatArray:
    found = as_numbers("counts", counts)
    if found.shape != (n,):
        raise ValueError(f"counts have the shape {found.shape}; one for each of {n} rows is needed.")
    bad = found[~(np.isfinite(found) & (found >= 0) & (found == np.floor(found)))]
    if bad.size or not found.any():
        raise ValueError(f"counts hold {bad[0] if bad.size else 0:g}; they must be whole numbers, 0 or above.")
    return found
