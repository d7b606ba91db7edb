"""The code cells of a notebook that anybody may have made.

A submission is a file from a stranger: it may be of any size and kind, and its JSON may be made to exhaust whoever
reads it. Nothing here runs, imports or formats anything of it; cells come out as text.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

MOST_BYTES = 32 * 2**20  # of a notebook, with its pictures
MOST_CELLS = 2_000
MOST_CODE = 2 * 2**20  # characters, all cells together
MOST_BRACKETS = 1_000_000  # these bound what JSON becomes in memory
MOST_COMMAS = 8_000_000


class BadNotebook(ValueError):
    """A file that is no notebook; the message says why, in a sentence that names no content of it."""


def read_cells(path: str | Path) -> list[str]:
    """The source of each code cell of a notebook, in order.

    Parameters
    ----------
    path : path
        A regular file, not a link: links in a folder of submissions lead to what their maker wants to be read.

    Raises
    ------
    BadNotebook
        If it cannot be read as one.
    """
    return cells_of(read_raw(path), Path(path).name)


def read_raw(path: str | Path) -> bytes:
    """The bytes of a file that should be a notebook; as `read_cells` reads them.

    Raises
    ------
    BadNotebook
        If it is a link, no file, or larger than a notebook may be.
    """
    name = Path(path).name
    try:
        place = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        if os.path.islink(path):
            raise BadNotebook(f"{_safe(name)} is a link to another file; a submission is a file of its own") from None
        reason = error.strerror if isinstance(error, OSError) else "its name is no name of a file"
        raise BadNotebook(f"{_safe(name)} cannot be read: {reason}") from None
    if not stat.S_ISREG(os.fstat(place).st_mode):
        os.close(place)
        raise BadNotebook(f"{_safe(name)} is not a file")
    with os.fdopen(place, "rb") as file:
        return file.read(MOST_BYTES + 1)


def cells_of(raw: bytes, name: str = "the notebook") -> list[str]:
    r"""The source of each code cell of a notebook given as bytes; `name` is used in messages.

    Raises
    ------
    BadNotebook
        If these bytes are no notebook.

    Examples
    --------
    >>> cells_of(b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": ["x = 1\\n", "y = 2"]}]}')
    ['x = 1\ny = 2']
    >>> cells_of(b"PK", "solution.ipynb")
    Traceback (most recent call last):
    ...
    emlib.grading.notebooks.BadNotebook: solution.ipynb is no notebook: it is not JSON (was the upload cut off?)
    """
    name = _safe(name)
    if len(raw) > MOST_BYTES:
        raise BadNotebook(_too_large(name))
    if not raw.strip():
        raise BadNotebook(f"{name} is empty")
    if raw.count(b"[") + raw.count(b"{") > MOST_BRACKETS or raw.count(b",") > MOST_COMMAS:
        raise BadNotebook(f"{name} has more entries than any notebook; clear its outputs and hand it in again")
    try:
        notebook = json.loads(raw.decode("utf-8-sig"), parse_int=_number)
    except RecursionError:
        raise BadNotebook(f"{name} is no notebook: it is nested without end") from None
    except ValueError:
        raise BadNotebook(f"{name} is no notebook: it is not JSON (was the upload cut off?)") from None
    if type(notebook) is not dict or type(notebook.get("cells")) is not list:
        if type(notebook) is dict and type(notebook.get("worksheets")) is list:
            raise BadNotebook(f"{name} is a notebook of before 2015; open it in Jupyter and save it again")
        raise BadNotebook(f"{name} is no notebook: it has no list of cells")
    return _sources(notebook["cells"], name)


def _sources(cells: list[Any], name: str) -> list[str]:
    if len(cells) > MOST_CELLS:
        raise BadNotebook(f"{name} has {len(cells):,} cells; at most {MOST_CELLS:,} are read")
    sources = []
    for cell in cells:
        if type(cell) is dict and cell.get("cell_type") == "code":
            source = cell.get("source", "")
            if type(source) is list and all(type(line) is str for line in source):
                source = "".join(source)
            if type(source) is not str:
                raise BadNotebook(f"{name} is no notebook: a code cell has no text")
            # Half a surrogate pair is no text; in its place comes the sign for that. The cell counts for what it then
            # is.
            sources.append(source.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    if sum(map(len, sources)) > MOST_CODE:
        raise BadNotebook(f"{name} has more than {MOST_CODE // 2**20} million characters of code")
    return sources


def _number(digits: str) -> int:
    return int(digits) if len(digits) < 20 else 0  # no number of a notebook matters here


def _too_large(name: str) -> str:
    return f"{_safe(name)} is larger than {MOST_BYTES // 2**20} MB; clear its outputs and hand it in again"


def _safe(name: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[:200])
