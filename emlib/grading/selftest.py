"""A handful of attacks that an instructor's machine is asked to withstand before it grades (`emlib doctor`).

The whole list is in `tests/attacks`; these are the ones whose failure would do most harm, each a few lines and
harmless if it comes through.
"""

from __future__ import annotations

import json
import os
from typing import Any

from .pupil import Pupil
from .sandbox import Finding, Limits, Sandbox

CELL = """
import json, os
WORLD = json.loads({world!r})

def reads():
    return open(WORLD["key"]).read()

def lists():
    return os.listdir(WORLD["home"])

def looks():
    return open("/proc/" + str(WORLD["pid"]) + "/environ").read()

def writes():
    open(WORLD["key"] + "-written", "w").close()
    return True

def speaks():
    import socket
    socket.socket().close()
    return True

def runs():
    import subprocess
    return subprocess.run(["/bin/true"]).returncode == 0

def forks():
    if os.fork() == 0:
        os._exit(0)
    return True

def signals():
    os.kill(WORLD["pid"], 0)
    return True

def borrows():
    import importlib.util
    return bool(open(importlib.util.find_spec("sklearn").origin).read())

def hangs():
    while True:
        pass

def leaves():
    os._exit(0)

def works(x):
    return x + 1
"""
HELD = {
    "reads": "reading a file of yours",
    "lists": "listing your home folder",
    "looks": "reading the environment of the grader",
    "writes": "writing outside its own folder",
    "speaks": "using the network",
    "runs": "running a program",
    "forks": "leaving a process behind",
    "signals": "sending a signal to the grader",
    "borrows": "reaching scikit-learn",
}


def self_test(sandbox: Sandbox) -> list[Finding]:
    """Try these attacks in a sandbox; what is good is that they fail.

    Examples
    --------
    ::

        with Sandbox() as sandbox:
            safe = all(finding.good for finding in self_test(sandbox))
    """
    key = sandbox.root / "key"
    key.write_text("a key")
    world: dict[str, Any] = {"key": str(key), "home": os.path.expanduser("~"), "pid": os.getpid()}
    found = []
    with Pupil([CELL.format(world=json.dumps(world))], sandbox, Limits(call_seconds=1.0, chances=1)) as pupil:
        for name, tries in HELD.items():
            outcome = pupil(name, {})
            through = outcome.kind == "returned"
            found.append(
                Finding(tries, not through, f"{tries.capitalize()} {'SUCCEEDED' if through else 'was refused'}.")
            )
        for name, tries in {"hangs": "a loop without end", "leaves": "an early exit"}.items():
            outcome, after = pupil(name, {}), pupil("works", {"x": 1})
            good = outcome.kind in ("late", "lost") and after.value == 2
            found.append(
                Finding(tries, good, f"{tries.capitalize()} {'cost' if good else 'cost MORE than'} its own call only.")
            )
    key.unlink()
    return found
