"""The grader's end of the two pipes to a worker: ask a question, get plain data, within a time.

This is the only place where bytes of a worker arrive, and `emlib.grading.frames` is the only thing that reads them.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import frames

LOOK = 0.05  # seconds between two looks at what the worker has written to its folder
MOST_FILES = 500


class Late(Exception):
    """No answer came in time."""


class Lost(Exception):
    """The worker is gone, or has closed its end."""


class Flooded(Exception):
    """The worker has filled its folder."""


class Line:
    """A worker that has been started.

    Parameters
    ----------
    read, write : int
        The grader's ends of the pipes. They are closed with the line.
    scratch : Path
        The worker's folder. It is removed with the line.
    disk : int
        Bytes that may lie in it.
    end : callable
        Ends the worker, and returns its status.
    """

    def __init__(self, read: int, write: int, scratch: Path, disk: int, end: Callable[[], int]) -> None:
        self.read, self.write, self.scratch, self.disk, self._end = read, write, scratch, disk, end
        self.open = True
        os.set_blocking(read, False)
        os.set_blocking(write, False)

    def ask(self, question: Any, seconds: float) -> Any:
        """Send plain data, and return the plain data that comes back.

        Raises
        ------
        Late, Lost, Flooded
            See there.
        BadFrame
            If what came back is no answer to this question.
        """
        nonce = secrets.token_hex(8)
        until = time.monotonic() + seconds
        self._send(frames.encode(nonce, question), until)
        answer = self.hear(nonce, until)
        self._look()
        return answer

    def hear(self, nonce: str, until: float) -> Any:
        """Wait for the frame with this nonce."""
        prefix = self._exactly(frames.PREFIX, until)
        said, answer = frames.decode(prefix + self._exactly(sum(frames.sizes(prefix)), until))
        if not secrets.compare_digest(said.encode(), nonce.encode()):
            raise frames.BadFrame("it answers another question")
        return answer

    def speaks_unasked(self) -> bool:
        """Whether something is there to be read although nothing was asked, or the worker is gone."""
        return bool(select.select([self.read], [], [], 0)[0])

    def close(self) -> int:
        """End the worker and remove its folder; its status, as `os.wait` tells it."""
        if not self.open:
            return 0
        self.open = False
        for end in (self.read, self.write):
            with contextlib.suppress(OSError):
                os.close(end)
        try:
            return self._end()
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _send(self, raw: bytes, until: float) -> None:
        view = memoryview(raw)
        while view:
            self._wait(self.write, select.POLLOUT, until)
            try:
                view = view[os.write(self.write, view[: 2**20]) :]
            except BlockingIOError:
                continue
            except OSError:
                raise Lost from None

    def _exactly(self, n: int, until: float) -> bytes:
        pieces = []
        while n:
            self._wait(self.read, select.POLLIN, until)
            try:
                piece = os.read(self.read, min(n, 2**20))
            except BlockingIOError:
                continue
            if not piece:
                raise Lost
            pieces.append(piece)
            n -= len(piece)
        return b"".join(pieces)

    def _wait(self, end: int, event: int, until: float) -> None:
        poll = select.poll()
        poll.register(end, event)
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise Late
            if poll.poll(1e3 * min(left, LOOK) + 1):
                return
            self._look()

    def _look(self) -> None:
        """Count what lies in the folder; it has no folders in it, and what was written there cannot be hidden."""
        n_bytes = 0
        with contextlib.suppress(FileNotFoundError), os.scandir(self.scratch) as entries:
            for number, entry in enumerate(entries):
                n_bytes += entry.stat(follow_symlinks=False).st_blocks * 512
                if n_bytes > self.disk or number >= MOST_FILES:
                    raise Flooded
