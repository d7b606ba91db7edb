"""Equivalence classes as salmon and kallisto write them, and tables of lengths; faults are said with file and line."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from ...engine.latent import FloatArray
from .classes import EquivalenceClasses
from .fasta import lines_of

Source = str | PathLike[str]

#: Columns of name, length and effective length in the tables of salmon and of kallisto.
TABLES = (("Name", "Length", "EffectiveLength"), ("target_id", "length", "eff_length"))


def read_classes(path: Source, lengths: Source | None = None) -> EquivalenceClasses:
    """Classes written by salmon or kallisto.

    Parameters
    ----------
    path : path
        A folder of ``salmon quant --dumpEq`` (or ``--dumpEqWeights``), its ``eq_classes.txt``, gzipped or not; or a
        folder of ``kallisto pseudo`` or ``kallisto bus``.
    lengths : path, optional
        A table with the effective length of every transcript: ``quant.sf`` or ``abundance.tsv``. In a folder of salmon
        the one there is taken.

    Returns
    -------
    EquivalenceClasses
        Without effective lengths where no table was found.

    Raises
    ------
    ValueError
        In one sentence with file and line.
    """
    where = Path(path)
    if where.is_dir():
        found, table = _in_folder(where)
    else:
        found, table = read_salmon(where), where.parent.parent / "quant.sf"
    if lengths is None and not table.is_file():
        return found
    return found.with_lengths(*read_lengths(lengths or table, found.names))


def _in_folder(folder: Path) -> tuple[EquivalenceClasses, Path]:
    for name in ("eq_classes.txt.gz", "eq_classes.txt"):
        for place in (folder / "aux_info" / name, folder / name):
            if place.is_file():
                return read_salmon(place), (folder if place.parent != folder else folder.parent) / "quant.sf"
    if (folder / "transcripts.txt").is_file():
        return read_kallisto(folder), folder / "abundance.tsv"
    raise ValueError(
        f"{folder} holds neither salmon's aux_info/eq_classes.txt (salmon quant --dumpEq) "
        "nor kallisto's transcripts.txt (kallisto pseudo, kallisto bus)."
    )


def read_salmon(path: Source) -> EquivalenceClasses:
    """Salmon's ``eq_classes.txt``, plain or weighted: T, C, T names, and a line a class: size, numbers, weights, count.

    Raises
    ------
    ValueError
        In one sentence with file and line.
    """
    lines = [line.decode(errors="replace") for line in lines_of(path)]
    T, C = (_header(path, lines, i) for i in (0, 1))
    if len(lines) < 2 + T + C:
        raise ValueError(f"{path} ends after line {len(lines)}; {T} names and {C} classes need {2 + T + C}.")
    names = lines[2 : 2 + T]
    if len(set(names)) < T:
        i = next(i for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"{path}, line {i + 3}: transcript {names[i]!r} has occurred before.")
    members: list[list[int]] = []
    weights: list[list[float]] = []
    counts: list[float] = []
    for number, line in enumerate(lines[2 + T : 2 + T + C], 3 + T):
        fields = line.split()
        try:
            size = int(fields[0])
            some = [int(field) for field in fields[1 : 1 + size]]
            own = [float(field) for field in fields[1 + size : -1]]
            count = float(fields[-1])
        except (ValueError, IndexError):
            raise ValueError(f"{path}, line {number}: {line[:60]!r} is no class; numbers were expected.") from None
        if size < 1 or len(fields) != size + 2 + len(own) or len(own) not in (0, size):
            raise ValueError(
                f"{path}, line {number}: a class of {size} has {len(fields)} fields; {size + 2} are needed, "
                f"or {2 * size + 2} with weights."
            )
        if bool(own) != bool(weights) and counts:
            raise ValueError(f"{path}, line {number}: some classes have weights and some have none.")
        _check_members(path, number, some, T)
        if own and not (all(0 <= w < np.inf for w in own) and max(own) > 0):
            raise ValueError(f"{path}, line {number}: weights must be finite, none below 0, and one above it.")
        members.append(some)
        counts.append(_count(path, number, count))
        if own:
            weights.append(own)
    return _classes(path, members, counts, names, weights or None)


def read_kallisto(folder: Source) -> EquivalenceClasses:
    """A folder of ``kallisto pseudo`` (``pseudoalignments.ec`` and ``.tsv``) or of ``kallisto bus`` (``output.bus``).

    Raises
    ------
    ValueError
        In one sentence with file and line.
    """
    here = Path(folder)
    names = [line.decode(errors="replace") for line in lines_of(here / "transcripts.txt")]
    table = here / "pseudoalignments.ec"
    if table.is_file():
        counts = _numbered_counts(here / "pseudoalignments.tsv")
    else:
        table, counts = here / "matrix.ec", read_bus(here / "output.bus")
    members, kept = [], []
    for number, line in enumerate(lines_of(table), 1):
        fields = line.decode(errors="replace").split()
        try:
            c, some = int(fields[0]), [int(t) for t in fields[1].split(",")]
        except (ValueError, IndexError):
            raise ValueError(f"{table}, line {number}: found {line[:60]!r}, not a class and its transcripts.") from None
        _check_members(table, number, some, len(names))
        n = counts.pop(c, 0.0)
        if n > 0:
            members.append(some)
            kept.append(n)
    left = [c for c, n in counts.items() if n > 0]
    if left:
        raise ValueError(f"{table} does not say what class {left[0]} is, which has {counts[left[0]]:g} fragments.")
    return _classes(table, members, kept, names, None)


def read_bus(path: Source) -> dict[int, float]:
    """Fragments in each class of a BUS file, whatever their barcodes.

    Raises
    ------
    ValueError
        If it is no BUS file, or ends early.
    """
    try:
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise ValueError(f"there is no file {str(path)!r}.") from None
    if len(raw) < 20 or raw[:4] != b"BUS\0":
        raise ValueError(f"{path} is no BUS file: it must begin with 'BUS'.")
    start = 20 + struct.unpack_from("<I", raw, 16)[0]
    record = np.dtype(
        [("barcode", "<u8"), ("umi", "<u8"), ("ec", "<i4"), ("count", "<u4"), ("flags", "<u4"), ("pad", "<u4")]
    )
    if (len(raw) - start) % record.itemsize:
        raise ValueError(f"{path} ends in the middle of a record of {record.itemsize} bytes.")
    rows = np.frombuffer(raw, dtype=record, offset=start)
    found, where = np.unique(rows["ec"], return_inverse=True)
    return dict(zip(found.tolist(), np.bincount(where, rows["count"]).tolist(), strict=True))


def read_lengths(path: Source, names: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Effective lengths and lengths (T,) of these transcripts from ``quant.sf`` or ``abundance.tsv``.

    Raises
    ------
    ValueError
        In one sentence with file and line; a transcript that the table leaves out is named.
    """
    columns: list[int] = []
    found: dict[str, tuple[float, float]] = {}
    for number, line in enumerate(lines_of(path), 1):
        fields = line.decode(errors="replace").split("\t")
        if number == 1:
            heads = next((heads for heads in TABLES if set(heads) <= set(fields)), None)
            if heads is None:
                raise ValueError(
                    f"{path}, line 1: columns Name, Length, EffectiveLength (salmon) or "
                    f"target_id, length, eff_length (kallisto) are needed; found {', '.join(fields)[:80]}."
                )
            columns = [fields.index(head) for head in heads]
            continue
        if not any(fields):
            continue
        try:
            name, length, effective = (fields[column] for column in columns)
            pair = float(effective), float(length)
        except (ValueError, IndexError):
            raise ValueError(f"{path}, line {number}: {line[:60].decode(errors='replace')!r} has no lengths.") from None
        if not all(np.isfinite(value) and value > 0 for value in pair):
            raise ValueError(
                f"{path}, line {number}: transcript {name!r} has the length {min(pair):g}; above 0 is needed."
            )
        if name in found:
            raise ValueError(f"{path}, line {number}: transcript {name!r} has occurred before.")
        found[name] = pair
    missing = [name for name in names if name not in found]
    if missing:
        others = f" and {len(missing) - 1} others" if len(missing) > 1 else ""
        raise ValueError(f"{path} has no length for transcript {missing[0]!r}{others}.")
    both = np.array([found[name] for name in names])
    return both[:, 0], both[:, 1]


def _header(path: Source, lines: list[str], i: int) -> int:
    what = ("transcripts", "classes")[i]
    text = lines[i] if i < len(lines) else ""
    if not text.strip().isdigit() or int(text) < 1:
        raise ValueError(
            f"{path}, line {i + 1}: found {text[:60]!r}, not the number of {what}; is this eq_classes.txt?"
        )
    return int(text)


def _check_members(path: Source, number: int, members: list[int], T: int) -> None:
    for t in members:
        if not 0 <= t < T:
            raise ValueError(f"{path}, line {number}: a class names transcript {t}, but there are {T} (0 to {T - 1}).")
    if len(set(members)) < len(members):
        raise ValueError(f"{path}, line {number}: a class names a transcript twice.")


def _count(path: Source, number: int, count: float) -> float:
    if not (np.isfinite(count) and count >= 0):
        raise ValueError(f"{path}, line {number}: a class has the count {count:g}; it must be finite and 0 or above.")
    return count


def _numbered_counts(path: Path) -> dict[int, float]:
    counts: dict[int, float] = {}
    for number, line in enumerate(lines_of(path), 1):
        try:
            c, count = line.split()
            counts[int(c)] = _count(path, number, float(count))
        except ValueError as problem:
            if "count" in str(problem):
                raise
            raise ValueError(f"{path}, line {number}: found {line[:60]!r}, not a class and its count.") from None
    return counts


def _classes(
    path: Source, members: list[list[int]], counts: list[float], names: list[str], weights: list[list[float]] | None
) -> EquivalenceClasses:
    if not sum(counts) > 0:
        raise ValueError(f"{path}: no class has a fragment; there is nothing to share out.")
    return EquivalenceClasses.of(members, counts, names, weights=weights)
