"""Cells of notebooks, as nbformat 4.5 wants them."""

from __future__ import annotations

from typing import Any


def text(name: str, source: str) -> dict[str, Any]:
    """A cell of Markdown.

    Examples
    --------
    >>> text("intro", "# Title")["source"]
    ['# Title']
    """
    return {"cell_type": "markdown", "id": _id(name), "metadata": {}, "source": source.splitlines(keepends=True)}


def code(name: str, source: str, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    """A cell of code that has not been run."""
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": _id(name),
        "metadata": metadata or {},
        "outputs": [],
        "source": source.splitlines(keepends=True),
    }


def _id(name: str) -> str:
    return name[:64]  # what nbformat allows
