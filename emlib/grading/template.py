"""The process from which workers are forked. It has imported NumPy and the rest once, so that they start in no time.

It runs no student's code and holds nothing worth reading: it starts from an empty environment, and knows only the
folders it may show. Each worker locks itself after the fork and before it reads the first cell. The grader speaks to
this process through a socket, one line of JSON at a time; a request to start a worker comes with the two ends of the
worker's pipes. Only this process ends workers: until it has waited for one, the number of that worker belongs to
nobody else.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from . import frames, lock, worker

# Imported once, before the first worker: what the notebooks import then costs them nothing.
WARM = ("scipy.linalg", "scipy.special", "scipy.stats", "scipy.optimize", "matplotlib.pyplot", "emlib.data")


def main(number: int, root: str) -> None:
    """Serve the grader on the other side of socket `number` until it is gone; then every worker goes too."""
    sys.modules["emlib.grading.template"] = sys.modules[__name__]
    for name in WARM:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    with open(os.path.join(root, "surroundings.json"), encoding="utf-8") as file:
        around = json.load(file)
    serve(socket.socket(fileno=number), lambda order, ends: _become_worker(order, ends, around))


def serve(channel: socket.socket, become_worker: Callable[[dict[str, Any], list[int]], object]) -> None:
    """Start and end workers, as the grader orders; a forked process becomes one by the call that is given."""
    gc.collect()
    gc.freeze()  # so that workers share these pages
    workers: set[int] = set()
    _say(channel, {"pid": os.getpid()})
    while True:
        order, ends = _order(channel)
        if order is None:
            break
        if order["do"] == "start":
            pid = os.fork()
            if pid == 0:
                _become(order, ends, become_worker)
            for end in ends:
                os.close(end)
            workers.add(pid)
            _say(channel, {"pid": pid})
        else:
            _say(channel, {"status": _end(order["pid"])})
            workers.discard(order["pid"])
    for pid in workers:
        _end(pid)


def _order(channel: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    raw = b""
    ends: list[int] = []
    while not raw.endswith(b"\n"):
        piece, fds, _, _ = socket.recv_fds(channel, 2**16, 2)
        if not piece:
            return None, ends
        raw += piece
        ends += fds
    return json.loads(raw), ends


def _say(channel: socket.socket, answer: dict[str, Any]) -> None:
    channel.sendall(json.dumps(answer).encode() + b"\n")


def _end(pid: int) -> int:
    """End a worker and everything that it may have left in its group; its status as `os.wait` tells it."""
    # First the group: without a lock a worker has children. Its leader, dead or alive, is not waited for yet.
    for send in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send(pid, signal.SIGKILL)
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        return 0


def _become_worker(order: dict[str, Any], ends: list[int], around: dict[str, list[str]]) -> None:
    own_place(order, ends)
    worker.serve(_lock_in(order, around))


def _become(
    order: dict[str, Any], ends: list[int], become_worker: Callable[[dict[str, Any], list[int]], object]
) -> NoReturn:
    try:
        become_worker(order, ends)
    except BaseException as error:
        with contextlib.suppress(BaseException):
            problem = f"{type(error).__name__}: {error}"
            worker._write(frames.encode("ready", {"locked": False, "problem": problem}))
    finally:
        os._exit(1)


def own_place(order: dict[str, Any], ends: list[int]) -> None:
    """Leave the template: a session of its own, its pipes at 3 and 4, nothing else open, its folder around it."""
    import fcntl  # not on Windows, where this module is imported all the same

    os.setsid()
    for sign in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(sign, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    high = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in ends]  # out of the way of 0 to 4
    for number, source in enumerate((nothing, nothing, nothing, *high)):
        os.dup2(source, number)
    os.closerange(5, 4096)
    os.chdir(order["scratch"])
    os.environ.update(HOME=order["scratch"], TMPDIR=order["scratch"])
    # The same numbers every time, for those who forget to seed: what is marked today is marked the same tomorrow.
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002


def _lock_in(order: dict[str, Any], around: dict[str, list[str]]) -> dict[str, Any]:
    limits = {name: order[name] for name in ("memory", "seconds", "file_bytes")}
    if not order["lock"]:
        sys.path += order["also"]
        with contextlib.suppress(OSError, ValueError):  # other systems know other limits
            lock.limit(**limits, alone=False)
        return {"locked": False, "problem": ""}
    lock.die_with_parent()
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # should memory run out, this process goes first
    lock.limit(**limits)
    lock.renounce()
    abi = lock.confine(around["read"], around["browse"], order["scratch"], devices=[os.devnull])
    lock.allow()
    sys.path_importer_cache.clear()
    return {"locked": True, "landlock": abi, "problem": ""}
