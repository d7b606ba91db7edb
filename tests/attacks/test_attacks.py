"""No attack changes a mark, leaks or harms in any sandbox; without one, many do, so this suite can fail."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import socket
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from emlib.course.contract import Exercise
from emlib.course.evaluate import evaluate
from emlib.grading.pupil import Pupil
from emlib.grading.sandbox import Limits, Sandbox

from .attacks import ATTACKS

LIMITS = Limits(call_seconds=4, cell_seconds=4, total_seconds=60, memory=256 * 2**20)
QUICK = Limits(call_seconds=0.4, cell_seconds=0.4, total_seconds=60, memory=256 * 2**20)
HONEST = """
def honest(x):
    return [float(a) * 2 + 1 for a in x]

def target(x):
    return x
"""

exercise = Exercise("arithmetic", title="Arithmetic", objectives=["add"], intro="Add.", minutes=1)


def the_reference(x):
    """What nobody can know: it is never in the worker."""
    return np.sin(x) + 3


def doubled(x):
    """Twice, and one."""
    return 2 * x + 1


the_reference.__name__, doubled.__name__ = "target", "honest"
for reference in (the_reference, doubled):
    made = exercise.function(returns={"y": "(n,)"}, story="Add.")(reference)
    made.cases(lambda rng: {name: {"x": rng.normal(size=5)} for name in ("one", "two", "three")})
    made.check("right", points=3)


class World:
    """The machine around the grader, with things worth stealing and breaking, and what has become of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = secrets.token_hex(16)
        os.environ["EMLIB_TEST_KEY"] = self.key
        self.memory = ctypes.create_string_buffer(self.key.encode())
        for name in ("home", "others", "library"):
            (folder / name).mkdir()
        self.stage()
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.abstract = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.abstract.bind("\0emlib-" + self.key[:8])
        self.unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.unix.bind(str(folder / "home" / "socket"))
        self.sockets = {"TCP": self.tcp, "UDP": self.udp, "abstract": self.abstract, "unix": self.unix}
        for each in self.sockets.values():
            each.setblocking(False)
        self.before = self.state()

    def stage(self) -> None:
        """Everything as it was."""
        (self.folder / "home" / "key").write_text(self.key)
        (self.folder / "others" / "ada.ipynb").write_text(self.key)
        (self.folder / "library" / "module.py").write_text("x = 1")
        victim = self.folder / "home" / "victim"
        victim.write_text("precious")
        victim.chmod(0o600)
        os.utime(victim, (10**9, 10**9))

    def restore(self) -> None:
        """After an attack that came through."""
        for name in ("trace", "victim2", "exploded", "imported"):
            (self.folder / "home" / name).unlink(missing_ok=True)
        self.stage()

    def known(self, sandbox: Sandbox) -> dict[str, object]:
        """What an attacker knows."""
        readable = sandbox.root / "student" / "readable"
        readable.write_text("x")
        (sandbox.root / "key").write_text(self.key)
        neighbour = sandbox.root / "scratch" / "neighbour"
        neighbour.mkdir(exist_ok=True)
        (neighbour / "notes").write_text(self.key)
        return {
            "home": str(self.folder / "home"),
            "others": str(self.folder / "others"),
            "victim": str(self.folder / "home" / "victim"),
            "scratch": str(sandbox.root),
            "readable": str(readable),
            "repository": str(Path(__file__).resolve().parents[2]),
            "libraries": sysconfig.get_path("purelib"),
            "pid": os.getpid(),
            "address": ctypes.addressof(self.memory),
            "length": len(self.key),
            "tcp": self.tcp.getsockname()[1],
            "udp": self.udp.getsockname()[1],
            "abstract": "emlib-" + self.key[:8],
        }

    def state(self) -> dict[str, object]:
        """The files, in every respect."""
        found: dict[str, object] = {}
        for path in sorted(self.folder.rglob("*")):
            about = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            time = about.st_mtime if path.name == "victim" else 0
            found[str(path.relative_to(self.folder))] = (content, about.st_mode, time)
        return found

    def heard(self) -> list[str]:
        """The sockets that somebody has spoken to."""
        names = []
        for name, each in self.sockets.items():
            with contextlib.suppress(BlockingIOError):
                if name == "TCP":
                    each.accept()[0].close()
                else:
                    each.recv(10)
                names.append(name)
        return names

    def close(self) -> None:
        for each in self.sockets.values():
            each.close()
        del os.environ["EMLIB_TEST_KEY"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


def harms(attack, sandbox, world):
    """What the attack has achieved, as a list of words; empty if nothing."""
    setting = f"import json\nWORLD = json.loads({json.dumps(world.known(sandbox))!r})"
    found = []
    with Pupil([setting, HONEST, attack.source], sandbox, QUICK if attack.quick else LIMITS) as pupil:
        reports = {name: evaluate(function, pupil, seed=5) for name, function in exercise.functions.items()}
        loot = pupil("loot", {})
        again = evaluate(exercise.functions["honest"], pupil, seed=6)
        cells = pupil.cells
    if reports["target"].earned or reports["target"].passed:
        found.append("a mark for nothing")
    if not attack.spoils and not (reports["honest"].passed and again.passed):
        found.append(f"the honest function failed: {reports['honest'].results} {again.results}")
    seen = texts(
        [*cells, loot, *reports.values(), *again.results, *(r for report in reports.values() for r in report.results)]
    )
    if world.key in seen + repr(loot.value):
        found.append("the key is out")
    if "HARM" in repr(loot.value):
        found.append(f"came through: {loot.value}")
    if not seen.replace("\n", "").replace("\t", "").isprintable():
        found.append("control characters")
    found += world.heard()
    if world.state() != world.before:
        found.append("files were changed")
        world.restore()
    return found


def texts(things):
    """Everything that an instructor would read."""
    return "".join(value for thing in things for value in vars(thing).values() if isinstance(value, str))


def test_there_are_enough_attacks():
    assert len(ATTACKS) >= 100
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
    for attack in ATTACKS:
        compile(attack.source, attack.name, "exec")


marked = [pytest.param(attack, marks=[pytest.mark.slow] * attack.slow, id=attack.name) for attack in ATTACKS]


@pytest.mark.parametrize("attack", marked)
def test_nothing_comes_of_it(sandbox, world, attack):
    assert harms(attack, sandbox, world) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="written for Linux")
@pytest.mark.parametrize("attack", [pytest.param(attack, id=attack.name) for attack in ATTACKS if attack.real])
def test_without_a_sandbox_it_comes_through(unsafe_sandbox, world, attack):
    """What this suite would catch: the same attacks, with nothing to hold them."""
    found = harms(attack, unsafe_sandbox, world)
    assert found
