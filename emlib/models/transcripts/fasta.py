"""FASTA and FASTQ, gzipped or not; whatever is wrong is said with file and line.

A parser of our own, though good ones exist: `dnaio` reads ahead, and where a stream breaks off it cannot say at which
line.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from itertools import islice
from os import PathLike
from pathlib import Path

PAIRS = 50_000  # fragments looked up at a time
Source = str | PathLike[str]


def lines_of(path: Source) -> Iterator[bytes]:
    """Lines of a file without their ends.

    Raises
    ------
    ValueError
        If there is no such file, nothing in it, or a gzip stream that is damaged or ends early.
    """
    number = 0
    try:
        with Path(path).open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if zipped else raw as stream:
                for line in stream:
                    number += 1
                    yield line.rstrip(b"\r\n")
    except EOFError:
        raise ValueError(f"{path} breaks off after line {number}: its gzip stream is truncated.") from None
    except (gzip.BadGzipFile, zlib.error) as problem:
        raise ValueError(f"{path} is damaged after line {number}: {problem}.") from None
    except FileNotFoundError:
        raise ValueError(f"there is no file {str(path)!r}.") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder; a file is needed.") from None
    if number == 0:
        raise ValueError(f"{path} is empty.")


def read_fasta(path: Source) -> tuple[list[str], list[bytes]]:
    """Names (up to the first blank) and letters of a FASTA file.

    Raises
    ------
    ValueError
        In one sentence with file and line.
    """
    names: list[str] = []
    parts: list[list[bytes]] = []
    at: dict[str, int] = {}
    for number, line in enumerate(lines_of(path), 1):
        if line.startswith(b">"):
            words = line[1:].split()
            name = words[0].decode(errors="replace") if words else ""
            if not name:
                raise ValueError(f"{path}, line {number}: a sequence has no name.")
            if name in at:
                raise ValueError(f"{path}, line {number}: {name!r} has occurred before, in line {at[name]}.")
            at[name] = number
            names.append(name)
            parts.append([])
        elif line.strip():
            if not parts:
                raise ValueError(f"{path}, line {number}: found {_short(line)}, but FASTA begins with '>'.")
            parts[-1].append(line.strip())
    for name, part in zip(names, parts, strict=True):
        if not part:
            raise ValueError(f"{path}, line {at[name]}: transcript {name!r} has no letters.")
    return names, [b"".join(part) for part in parts]


def read_reads(path: Source) -> Iterator[list[bytes]]:
    """Reads of a FASTQ file, `PAIRS` at a time."""
    records = _records(path)
    while block := list(islice(records, PAIRS)):
        yield [letters for _, _, letters in block]


def read_pairs(first: Source, second: Source) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """Mates of two FASTQ files, `PAIRS` at a time.

    Raises
    ------
    ValueError
        With file and line, where the files do not go together.
    """
    one, two = _records(first), _records(second)
    last = 0
    while True:
        left, right = list(islice(one, PAIRS)), list(islice(two, PAIRS))
        for (line, a, _), (_, b, _) in zip(left, right, strict=False):
            if _fragment(a) != _fragment(b):
                raise ValueError(
                    f"line {line}: {first} has the read {_short(a)} and {second} has {_short(b)}; "
                    "mates must stand in the same order in both files."
                )
        if len(left) != len(right):
            n = last + min(len(left), len(right))
            short, other = (first, second) if len(left) < len(right) else (second, first)
            raise ValueError(
                f"{short} ends after {n} reads (line {4 * n}), but {other} goes on: reads lack their mates."
            )
        if not left:
            return
        last += len(left)
        yield [letters for _, _, letters in left], [letters for _, _, letters in right]


def _records(path: Source) -> Iterator[tuple[int, bytes, bytes]]:
    """Line, name and letters of each record of a FASTQ file, four lines a record."""
    lines, number = lines_of(path), 1
    while True:
        record = list(islice(lines, 4))
        if not any(record):
            return
        if not record[0].startswith(b"@"):
            raise ValueError(f"{path}, line {number}: found {_short(record[0])} where a FASTQ record begins with '@'.")
        if len(record) < 4:
            raise ValueError(f"{path} ends in the middle of the record that begins in line {number}.")
        if not record[2].startswith(b"+"):
            raise ValueError(f"{path}, line {number + 2}: found {_short(record[2])} where FASTQ has '+'.")
        if len(record[1]) != len(record[3]):
            raise ValueError(
                f"{path}, line {number + 3}: {len(record[3])} qualities for the {len(record[1])} letters of its read."
            )
        yield number, record[0][1:], record[1]
        number += 4


def _fragment(title: bytes) -> bytes:
    """The name that both mates have: up to a blank, without /1 or /2."""
    name = title.split(maxsplit=1)[0] if title.strip() else b""
    return name[:-2] if name.endswith((b"/1", b"/2")) else name


def _short(text: bytes) -> str:
    shown = text[:40].decode(errors="replace")
    return repr(shown + ("..." if len(text) > 40 else ""))
