"""How a notebook is opened in this process: in a sandbox that is made once and serves all of them."""

from __future__ import annotations

import atexit
import multiprocessing.util
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .pupil import Pupil
from .sandbox import Limits, NoSandbox, Sandbox

_turn = threading.Lock()
_open: dict[tuple[int, str], Sandbox] = {}


@contextmanager
def locked_in(cells: Sequence[str], sandbox: str, limits: Limits) -> Iterator[Pupil]:
    """Run the cells in a worker of the sandbox of that name; the first call of a process takes a second."""
    try:
        with Pupil(cells, _sandbox(sandbox), limits) as pupil:
            yield pupil
    except NoSandbox:  # it has died; the next notebook gets a new one
        with _turn:
            broken = _open.pop((os.getpid(), sandbox), None)
        if broken is not None:
            broken.close()
        raise


def _sandbox(name: str) -> Sandbox:
    with _turn:
        here = (os.getpid(), name)  # what a fork inherits belongs to its parent
        if here not in _open:
            _open[here] = Sandbox(name)
        return _open[here]


def close_all() -> None:
    """Close the sandboxes of this process; done at its end."""
    with _turn:
        for here in [here for here in _open if here[0] == os.getpid()]:
            _open.pop(here).close()


atexit.register(close_all)
# The processes of a pool leave without atexit.
multiprocessing.util.Finalize(None, close_all, exitpriority=10)
