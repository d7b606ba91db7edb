"""What a student's code finds around it: the standard library, NumPy, SciPy, Matplotlib, and a small `emlib`.

The small `emlib` is a folder made for the occasion: the data sets, `check`, `hint`, `goal`, `case` and `score` that do
nothing, and the few modules that the worker itself consists of. It has no models, no exercises and no references, so
there is nothing to be found.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

LIBRARIES = ("numpy", "scipy", "matplotlib")
SHIPPED = {  # of the real package, as they are
    "course": ("values.py", "calls.py"),
    "grading": ("frames.py", "lock.py", "worker.py", "template.py"),
}
# What a notebook says to the course when it runs without it.
SILENT = '''"""The course, as it is while a notebook is graded: these do nothing."""


def check(*ignored, **also_ignored):
    pass


goal = hint = score = check


def case(*ignored, **also_ignored):
    return {}
'''
TOP = '''"""The part of emlib that exists while a notebook is graded: the data."""

from . import data
'''
ALSO_READ = ("/dev/urandom", "/etc/ld.so.cache")
NOT_OF_THE_LIBRARY = ("site-packages", "dist-packages", "test", "idlelib", "ensurepip", "__pycache__")


@dataclass(frozen=True)
class Surroundings:
    """The folders of one grading run, and what of the machine may be read in them.

    Attributes
    ----------
    root : Path
        ``student`` (the small emlib), ``site`` (links to the libraries), ``config`` (of Matplotlib) and ``scratch``.
    read : tuple of str
        Files and folders that may be read.
    browse : tuple of str
        Folders whose names may be listed.
    """

    root: Path
    read: tuple[str, ...]
    browse: tuple[str, ...]


def prepare(root: Path) -> Surroundings:
    """Make the folders under `root`, which exists and is empty."""
    small_emlib(root / "student")
    (root / "site").mkdir()
    targets = list(libraries())
    for target in targets:
        (root / "site" / target.name).symlink_to(target)
    for folder in ("config", "scratch"):
        (root / folder).mkdir()
    own = [str(root / folder) for folder in ("student", "site", "config")]
    standard = sorted({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")} - {""})
    read = [*own, *map(str, targets), *_of_standard(standard), *_shared_libraries(), *ALSO_READ]
    around = Surroundings(root, tuple(dict.fromkeys(read)), tuple(standard))
    (root / "surroundings.json").write_text(json.dumps({"read": around.read, "browse": around.browse}))
    return around


def small_emlib(student: Path) -> None:
    """Make the folder of the small emlib."""
    here = Path(__file__).resolve().parent
    package = student / "emlib"
    shutil.copytree(here.parent / "data", package / "data", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__init__.py").write_text(TOP)
    for part, modules in SHIPPED.items():
        (package / part).mkdir()
        (package / part / "__init__.py").write_text(SILENT if part == "course" else '"""The worker."""\n')
        for module in modules:
            shutil.copyfile(here.parent / part / module, package / part / module)


def libraries() -> Iterator[Path]:
    """Every folder and file of which NumPy, SciPy, Matplotlib and what they require consist."""
    found: dict[Path, None] = {}
    for name in _required(LIBRARIES):
        for path in _belongings(name):
            found[path] = None
    yield from found


def _required(names: tuple[str, ...]) -> list[str]:
    """These distributions and those they need, as far as they are installed."""
    waiting, known = list(names), dict[str, None]()
    while waiting:
        name = waiting.pop(0)
        if name in known:
            continue
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        known[name] = None
        for requirement in requirements:
            needed = re.match(r"[A-Za-z0-9._-]+", requirement)
            if needed and "extra ==" not in requirement:
                waiting.append(re.sub(r"[-_.]+", "-", needed[0]).lower())
    return list(known)


def _belongings(name: str) -> Iterator[Path]:
    distribution = importlib.metadata.distribution(name)
    tops = {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}
    for top in sorted(tops):
        path = Path(str(distribution.locate_file(top)))
        if path.exists() and path.suffix != ".pth" and top != "__pycache__":
            yield path
    if not tops:  # installed by something else than pip, which keeps no list
        spec = find_spec(name.replace("-", "_"))
        places = (spec.submodule_search_locations or [spec.origin or ""]) if spec else []
        yield from (Path(place) for place in places if place)


def _of_standard(standard: list[str]) -> Iterator[str]:
    """The standard library entry by entry: in many installations the other packages lie in one of its folders."""
    for folder in standard:
        for entry in sorted(os.listdir(folder)):
            if entry not in NOT_OF_THE_LIBRARY:
                yield os.path.join(folder, entry)


def _shared_libraries() -> Iterator[str]:
    """The C libraries of the machine: whole folders where nothing else lives, single files elsewhere."""
    architecture = sysconfig.get_config_var("MULTIARCH") or ""
    folders = [f"{top}/{architecture}" for top in ("/lib", "/usr/lib") if architecture]
    folders += ["/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"]
    folders += [sysconfig.get_config_var("LIBDIR") or "", os.path.join(sys.base_prefix, "lib")]
    for folder in dict.fromkeys(os.path.realpath(folder) for folder in folders if folder):
        if not os.path.isdir(folder):
            continue
        if architecture and folder == f"/usr/lib/{architecture}":
            yield folder
        else:
            yield from (os.path.join(folder, entry) for entry in sorted(os.listdir(folder)) if ".so" in entry)
