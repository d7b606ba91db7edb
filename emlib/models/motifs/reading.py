"""Sequences from wherever they are (strings, records, files), and what is wrong with them, in a sentence."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import in_short
from .sequences import UNKNOWN, Codes, encode


def read_sequences(source: Any) -> tuple[list[str], list[str]]:
    """Names and letters of sequences.

    Parameters
    ----------
    source : path, or sequence of str, of (name, str), or of records with ``id`` and ``seq`` (Biopython)
        A path leads to FASTA or FASTQ, gzipped or not (this needs ``dnaio``).

    Raises
    ------
    ValueError
        If there are none, or they are not of a known kind.

    Examples
    --------
    >>> read_sequences(["ACGT", ("b", "TTT")])
    (['seq_1', 'b'], ['ACGT', 'TTT'])
    """
    if isinstance(source, (str, os.PathLike)):
        return _read_file(Path(source))
    if not np.iterable(source):
        raise ValueError(f"sequences is {in_short(source)}; strings in a list, or the path of a file, are needed.")
    names, letters = [], []
    for i, one in enumerate(source):
        if isinstance(one, str):
            name, text = f"seq_{i + 1}", one
        elif isinstance(one, tuple) and len(one) == 2:
            name, text = str(one[0]), one[1]
        elif hasattr(one, "seq"):
            name, text = str(getattr(one, "id", f"seq_{i + 1}")), str(one.seq)
        else:
            name, text = f"seq_{i + 1}", one
        if not isinstance(text, str):
            raise ValueError(
                f"sequences holds {type(text).__name__} at {i}; strings, (name, string) pairs or records are needed."
            )
        names.append(name)
        letters.append(text)
    if not letters:
        raise ValueError("sequences is empty; at least one sequence is needed.")
    return names, letters


def _read_file(path: Path) -> tuple[list[str], list[str]]:
    if not path.exists():
        raise ValueError(f"there is no file {str(path)!r}; sequences are strings in a list, or a FASTA or FASTQ file.")
    try:
        import dnaio
    except ModuleNotFoundError:
        raise ImportError('reading files needs dnaio, which is not installed: pip install "emlib[genomics]"') from None
    try:
        with dnaio.open(str(path)) as records:
            pairs = [(record.name.split(maxsplit=1)[0] if record.name else "", record.sequence) for record in records]
    except (dnaio.FileFormatError, dnaio.UnknownFileFormat, UnicodeDecodeError, OSError, EOFError) as problem:
        raise ValueError(f"{path} cannot be read as FASTA or FASTQ: {problem}") from None
    if not pairs:
        raise ValueError(f"{path} holds no sequence; at least one is needed.")
    return [name or f"seq_{i + 1}" for i, (name, _) in enumerate(pairs)], [letters for _, letters in pairs]


def coded(names: list[str], letters: list[str], least: int, occurrences: str) -> list[Codes]:
    """Sequences as numbers, once they have been found fit for a search.

    Raises
    ------
    ValueError
        For an empty sequence, letters that are not DNA, too few sequences, or none as long as the least width.
    """
    codes = []
    for name, text in zip(names, letters, strict=True):
        if not text:
            raise ValueError(f"sequence {name!r} is empty; every sequence needs letters.")
        one = encode(text, name)
        other = np.flatnonzero(one == UNKNOWN)
        plain = sum(text[i] in "Nn-.*" for i in other)
        if len(text) >= 10 and len(other) - plain > 0.3 * len(text):
            raise ValueError(
                f"sequence {name!r} reads {text[:12]!r}, mostly letters other than A, C, G, T: is it protein?"
            )
        codes.append(one)
    if len(codes) == 1 and occurrences != "anr":
        raise ValueError(
            f"there is one sequence only, and occurrences is {occurrences!r}; "
            "a motif shared by sequences needs two of them, or occurrences='anr' for sites repeated in one."
        )
    short = [name for name, one in zip(names, codes, strict=True) if len(one) < least]
    if len(short) == len(codes):
        raise ValueError(f"all {len(codes)} sequences are shorter than the least width, {least}.")
    if short:
        warnings.warn(
            f"{len(short)} of {len(codes)} sequences are shorter than the least width, {least}, and can hold no site "
            f"({', '.join(short[:3])}{', ...' if len(short) > 3 else ''}).",
            UserWarning,
            stacklevel=4,
        )
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        warnings.warn(
            f"{len(twice)} names occur more than once ({', '.join(twice[:3])}); sites name sequences by their index.",
            UserWarning,
            stacklevel=4,
        )
    return codes
