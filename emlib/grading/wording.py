"""Strings of strangers, made fit for where they go: a terminal, a table, the name of a file.

Everything that comes out of a submission or its file name is hostile until it has been through here; pages escape by
themselves (`emlib.grading.pages`).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Any

MOST = 500  # characters of a line
# What spreadsheets take for the beginning of a formula, in both widths of the letters that East Asian fonts have.
FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def one_line(text: str, most: int = MOST) -> str:
    r"""The text on one line, without characters that a terminal obeys or that turn the order of reading around.

    Examples
    --------
    >>> one_line("Ada \x1b[31mLovelace\n")
    'Ada �[31mLovelace'
    """
    cut = " ".join(text[: 4 * most].split())
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def in_a_table(value: Any) -> Any:
    r"""A value as an entry of a CSV file: text that a spreadsheet would compute gets an apostrophe in front.

    Examples
    --------
    >>> in_a_table('=HYPERLINK("http://example.org")'), in_a_table(-1.5), in_a_table(" +1")
    ('\'=HYPERLINK("http://example.org")', -1.5, "'+1")
    """
    if not isinstance(value, str):
        return value
    line = one_line(value, 4 * MOST)
    return f"'{line}" if line.startswith(FORMULA) else line


def file_name(student: str) -> str:
    """A name for a student's files: letters that every system has, and never the same for two students.

    Examples
    --------
    >>> file_name("Ada Lovelace"), file_name("../../etc/passwd")
    ('ada-lovelace-76740216', 'etc-passwd-3754d6cb')
    """
    plain = unicodedata.normalize("NFKD", student[:200]).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:40].strip("-")
    return f"{words or 'student'}-{hashlib.sha256(student.encode('utf-8', 'replace')).hexdigest()[:8]}"
