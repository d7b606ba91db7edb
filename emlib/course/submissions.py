"""Functions out of a notebook that you trust: your own.

The grader reads those of others, and never runs them in its own process.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import Any

from .library import projects, topics

# Magics and shell lines are IPython's, not Python's.
MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


def functions_of(path: Path) -> dict[str, Any]:
    """Run the code cells of a notebook (or a ``.py`` file) one after the other; everything they defined.

    A cell that raises costs only itself, as in the grader.

    Raises
    ------
    ValueError
        If the file is no notebook.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    previous = os.environ.get("MPLBACKEND")
    os.environ["MPLBACKEND"] = "agg"  # nobody is there to look at its figures
    try:
        with open(os.devnull, "w", encoding="utf-8") as silence, contextlib.redirect_stdout(silence):
            for number, source in enumerate(cells_of(path), start=1):
                with contextlib.suppress(Exception, SystemExit):
                    exec(
                        compile(source, f"<cell {number}>", "exec"), names
                    )  # the owner's own code, by the owner's wish
    finally:
        os.environ.pop("MPLBACKEND") if previous is None else os.environ.update(MPLBACKEND=previous)
    return names


def cells_of(path: Path) -> list[str]:
    """The sources of the code cells, magics left out."""
    if path.suffix == ".py":
        return [path.read_text(encoding="utf-8")]
    return [MAGIC.sub("", "".join(cell["source"])) for cell in _document(path)["cells"] if cell["cell_type"] == "code"]


def topic_of(path: Path) -> str:
    """Which exercise a notebook belongs to: as its metadata say, else its checks, else its name.

    Raises
    ------
    ValueError
        If none of them names a known exercise.
    """
    known = topics() + projects()
    document = {} if path.suffix == ".py" else _document(path)
    noted = document.get("metadata", {}).get("emlib", {}).get("exercise")
    checked = re.findall(r"check\(\s*[\"'](\w+)\.", "\n".join(cells_of(path)))
    for name in (noted, *checked, path.stem):
        if name in known:
            return str(name)
    raise ValueError(
        f"{path} belongs to no exercise: none of its cells calls check('topic.function', …) with a known topic"
    )


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except (UnicodeDecodeError, ValueError):
        raise ValueError(f"{path} is not a notebook: it is no JSON") from None
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        raise ValueError(f"{path} is not a notebook of the format 4: it has no list of cells")
    return document
