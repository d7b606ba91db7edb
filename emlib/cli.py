"""The `emlib` command."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import sys
from collections.abc import Sequence

from . import __version__
from .commands import motifs
from .engine.blocks import n_threads

# What each extra of pyproject.toml brings, by the package one would miss first.
EXTRAS = {
    "book": "jupyter-book",
    "grading": "nbformat",
    "fast": "numba",
    "genomics": "cyvcf2",
    "distributed": "distributed",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0 if it did what was asked.

    Examples
    --------
    ``emlib doctor`` on the command line, or ``main(["doctor"])``.
    """
    parser = argparse.ArgumentParser(
        prog="emlib",
        description="EM for computational biology.",
        epilog="example: emlib doctor",
    )
    parser.add_argument("--version", action="version", version=f"emlib {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("doctor", help="say what is installed here, and which extras are missing")
    motifs.add_parser(commands)
    options = parser.parse_args(arguments)
    return int(options.run(options)) if hasattr(options, "run") else doctor()


def doctor() -> int:
    """Print the versions that matter in a report of a problem; status 1 if a needed one is missing."""
    print(f"emlib {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    print(f"threads: {n_threads()}")
    missing = False
    for name in ("numpy", "scipy", "scikit-learn", "threadpoolctl", "tqdm"):
        version = _version(name)
        missing |= version is None
        print(f"{name}: {version or 'missing, though it is needed: pip install emlib'}")
    for extra, name in EXTRAS.items():
        version = _version(name)
        remedy = f"not installed (pip install 'emlib[{extra}]' brings it)"
        print(f"[{extra}] {name}: {version or remedy}")
    return int(missing)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
