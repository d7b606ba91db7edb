"""The table of contents as a list of chapters, in reading order, each knowing its part and its depth."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Chapter:
    """One page of the book.

    Parameters
    ----------
    page : str
        Its path in the site, without suffix.
    part : str
        Caption of its part; empty for pages before the first part.
    depth : int
        0 for a chapter, 1 for a page below a chapter, and so on.
    """

    page: str
    part: str
    depth: int


def chapters(toc: dict) -> list[Chapter]:
    """The chapters of a parsed _toc.yml, root first."""
    parts = toc.get("parts") or [{"caption": "", "chapters": toc.get("chapters", [])}]
    root = Chapter(bare(toc["root"]), "", 0)
    return [root, *(chapter for part in parts for chapter in below(part["chapters"], part.get("caption", ""), 0))]


def below(entries: list[dict], part: str, depth: int) -> Iterator[Chapter]:
    """The chapters of a list of entries, each followed by those of its sections."""
    for entry in entries:
        if "file" in entry:  # else it is a link to another site
            yield Chapter(bare(entry["file"]), part, depth)
        yield from below(entry.get("sections", []), part, depth + 1)


def bare(file: str) -> str:
    """A file of the table of contents without its suffix."""
    return re.sub(r"\.(md|ipynb|rst)$", "", file)


def read(path: Path) -> list[Chapter]:
    """The chapters that a _toc.yml lists."""
    return chapters(yaml.safe_load(path.read_text(encoding="utf-8")))
