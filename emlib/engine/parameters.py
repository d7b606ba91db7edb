"""Parameters seen as one vector.

Models keep their parameters in frozen dataclasses of arrays (nested where that reads better).
The loop and the accelerators need only their coordinates: how long was the last step, and what
lies further along it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast

import numpy as np

from .latent import FloatArray

Params = TypeVar("Params")


def flatten(params: Any) -> FloatArray:
    """All numbers of `params`, field after field, as one vector.

    Examples
    --------
    >>> from emlib.engine.families import PoissonParams
    >>> flatten(PoissonParams(rates=np.array([[1.0], [2.5]]))).tolist()
    [1.0, 2.5]
    """
    arrays: list[FloatArray] = []
    _collect(params, arrays)
    return np.concatenate(arrays)


def _collect(part: Any, arrays: list[FloatArray]) -> None:
    if is_dataclass(part):
        for name in part.__dataclass_fields__:
            _collect(getattr(part, name), arrays)
    elif part is not None:
        arrays.append(np.asarray(part, dtype=float).ravel())


def names(params: Any, called: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """One name for each number, in the order of `flatten`; `called` has other names of fields.

    Examples
    --------
    >>> from emlib.engine.families import PoissonParams
    >>> names(PoissonParams(rates=np.array([[1.0], [2.5]])))
    ('rates[0, 0]', 'rates[1, 0]')
    """
    return tuple(_name(params, "params", called or {}))


def _name(part: Any, name: str, called: Mapping[str, str]) -> Iterator[str]:
    if is_dataclass(part):
        for field in fields(part):
            yield from _name(getattr(part, field.name), called.get(field.name, field.name), called)
    elif part is not None:
        for index in np.ndindex(np.shape(part)):
            yield name + (f"[{', '.join(map(str, index))}]" if index else "")


def rebuild(template: Params, vector: FloatArray) -> Params:
    """Parameters of the shape of `template` holding the numbers of `vector`."""
    rebuilt, used = _rebuild(template, vector, 0)
    if used != vector.size:
        raise ValueError(f"vector has {vector.size} numbers, but the parameters hold {used}.")
    return rebuilt


def _rebuild(part: Any, vector: FloatArray, start: int) -> tuple[Any, int]:
    if is_dataclass(part) and not isinstance(part, type):
        values = {}
        for field in fields(part):
            values[field.name], start = _rebuild(getattr(part, field.name), vector, start)
        return type(part)(**values), start
    if part is None:
        return None, start
    shape = np.shape(part)
    size = int(np.prod(shape))
    piece = vector[start : start + size].reshape(shape)
    return (float(piece) if isinstance(part, float) else piece), start + size


def joined(many: Sequence[Params]) -> Params:
    """Parameters of the same class as one, each array continued by the next one's.

    Examples
    --------
    >>> from emlib.engine.families import PoissonParams
    >>> joined([PoissonParams(np.array([[1.0]])), PoissonParams(np.array([[2.5]]))]).rates.ravel().tolist()
    [1.0, 2.5]
    """
    first: Any = many[0]
    parts = {}
    for field in fields(first):
        values = [getattr(params, field.name) for params in many]
        parts[field.name] = joined(values) if is_dataclass(values[0]) else np.concatenate(values)
    return cast(Params, type(first)(**parts))


def parted(listed: Params, n: int) -> list[Params]:
    """The `n` parameters that were `joined`.

    Examples
    --------
    >>> from emlib.engine.families import PoissonParams
    >>> [part.rates.ravel().tolist() for part in parted(PoissonParams(np.array([[1.0], [2.5]])), 2)]
    [[1.0], [2.5]]
    """
    pieces = {name: np.split(getattr(listed, name), n) for name in cast(Any, listed).__dataclass_fields__}
    return [type(listed)(**{name: piece[i] for name, piece in pieces.items()}) for i in range(n)]
