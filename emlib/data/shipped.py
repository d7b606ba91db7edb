"""Reading of the files that come with the package, gzipped or not."""

from __future__ import annotations

import csv
import gzip
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.str_]


def text(name: str) -> str:
    """All of a file."""
    raw = (files(__package__) / name).read_bytes()
    return (gzip.decompress(raw) if name.endswith(".gz") else raw).decode("utf8")


def table(name: str) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    return list(csv.DictReader(text(name).splitlines()))


def records(name: str) -> list[tuple[str, str]]:
    """Titles and letters of a FASTA file."""
    parts = [record.partition("\n") for record in text(name).removeprefix(">").split("\n>")]
    return [(title.strip(), "".join(letters.split())) for title, _, letters in parts]


def numbers(rows: list[dict[str, str]], columns: list[str]) -> Floats:
    """Some columns of a table."""
    return np.array([[float(row[column]) for column in columns] for row in rows])
