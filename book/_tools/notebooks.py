"""Run the course's notebooks afresh and store their outputs, the same on every run.

    python book/_tools/notebooks.py                                   # all of book/
    python book/_tools/notebooks.py book/principles/mixtures.ipynb    # some
    python book/_tools/notebooks.py --check                           # write nothing; name those that would change

A notebook whose cell fails is left as it was, and the exit status is 1.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from book._tools import kernel  # noqa: E402 - the file is run by its path, so the root must be on sys.path first

WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
SECONDS_PER_CELL = 600


def find_notebooks() -> list[Path]:
    """All notebooks of the book, without editors' checkpoints."""
    return sorted(p for p in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def execute(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Run all cells, in place, in a fresh kernel that works in the notebook's folder."""
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata.pop("widgets", None)
    NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=SECONDS_PER_CELL,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    ).execute()


def rename_widgets(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Give widgets the ids 1, 2, 3, … in the order in which they were made, instead of random ones."""
    widgets = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    text = json.dumps(notebook)
    for number, old in enumerate(widgets, start=1):
        text = text.replace(old, f"{number:032x}")
    return nbformat.from_dict(json.loads(text))


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Remove what differs from run to run or from machine to machine."""
    notebook = rename_widgets(notebook)
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return notebook


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write beside the old file, then rename: an interrupted run leaves no half notebook."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="\n", dir=path.parent, suffix=".tmp", delete=False
    ) as file:
        file.write(nbformat.writes(notebook).rstrip("\n") + "\n")
    try:
        Path(file.name).chmod(0o644)
        os.replace(file.name, path)
    except OSError:
        os.unlink(file.name)
        raise


def refresh(path: Path, check: bool) -> str:
    """Run one notebook and store it (or only compare); returns what happened, in a word or two."""
    before = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(before, as_version=4)
    execute(notebook, path.parent)
    notebook = tidy(notebook)
    nbformat.validate(notebook)
    if nbformat.writes(notebook).rstrip("\n") == before.rstrip("\n"):
        return "unchanged"
    if check:
        return "WOULD CHANGE"
    write(notebook, path)
    return "stored"


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Run notebooks afresh and store their outputs.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all notebooks under book/")
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if a notebook would change")
    options = parser.parse_args(arguments)
    paths = [path.resolve() for path in options.notebooks] or find_notebooks()
    missing = [path for path in paths if not (path.is_file() and path.suffix == ".ipynb")]
    if missing:
        parser.error(f"not a notebook: {missing[0]}")

    kernel.apply()
    wrong = 0
    for path in paths:
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        try:
            word = refresh(path, options.check)
        except CellExecutionError as error:
            word = f"FAILED, not stored\n{error}"
        wrong += word.startswith(("FAILED", "WOULD"))
        print(f"{name}: {word}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
