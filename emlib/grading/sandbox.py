"""Which ways this machine has to lock a process in, and the workers that are locked in so.

- ``lock``: Linux 5.13 or newer. The worker locks itself (`emlib.grading.lock`): no root, no Docker.
- ``bwrap+lock``: the same inside bubblewrap, where it works: there, other processes, the home folder and the network
  do not even exist.
- ``wasi``: any POSIX system, with an optional package. Python runs in WebAssembly (`emlib.grading.wasi`), where every
  instruction reaches its own memory only, and which has no system calls: files, clock and chance are answered from
  memory (`emlib.grading.wasi_world`). No path of the machine can even be named. Python is half as fast in it.
- ``unsafe``: no lock at all. Code of strangers can do whatever you can. Only where it is asked for by this name.

What a lock does not promise: the inputs of a check reach the student's code, and it can tell whatever it was given to
its own later calls (not to another submission's). It can ask whether a path exists (not under bubblewrap). Faults of
the kernel are beyond it. Code can waste the time and memory that its limits allow. What it pays for the lock: no
threads, no folders of its own, no file removed, and no packages but NumPy, SciPy and Matplotlib. The same goes for
``wasi``, where faults of wasmtime take the place of those of the kernel.

Whatever starts a worker and speaks frames with it is a sandbox.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import lock, student, wasi
from .frames import BadFrame
from .line import Late, Line, Lost

SANDBOXES = ("bwrap+lock", "lock", "wasi", "unsafe")  # the strongest first
START = 60.0  # seconds that the template may take to import everything on a slow disk
READY = 10.0  # seconds that a worker may take to lock itself
BOOT = "import sys; sys.path += sys.argv[3:]; from emlib.grading.{} import main; main(int(sys.argv[1]), sys.argv[2])"


class NoSandbox(RuntimeError):
    """There is no way to run a stranger's code here; the message says why, and what would help."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes
    ----------
    call_seconds, cell_seconds, total_seconds : float
        Of the clock: for one call, for one cell, for the whole submission.
    memory : int
        Bytes beyond what Python with its libraries takes.
    disk : int
        Bytes in its folder.
    starts : int
        How often the worker may be started.
    chances : int
        How often one function may end the worker; then it is not called again, so that others are.
    """

    call_seconds: float = 5.0
    cell_seconds: float = 15.0
    total_seconds: float = 90.0
    memory: int = 2**30
    disk: int = 32 * 2**20
    starts: int = 12
    chances: int = 2


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    what : str
        Its name.
    good : bool
        Whether it is as it should be.
    said : str
        What was found, in a plain sentence.
    """

    what: str
    good: bool
    said: str


def probe() -> list[Finding]:
    """What this machine has of what a sandbox is made of. Nothing is changed, and no stranger's code is run.

    Examples
    --------
    >>> [finding.what for finding in probe()]
    ['Python', 'kernel', 'Landlock', 'seccomp', 'bubblewrap', 'WebAssembly']
    """
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}."
    linux = sys.platform.startswith("linux")
    found = [Finding("Python", sys.version_info >= (3, 11), python)]
    said = f"{platform.system()} {platform.release()}" + ("." if linux else ": the locks are of Linux (WSL 2 is one).")
    found.append(Finding("kernel", linux, said))
    abi = lock.landlock_abi()
    said = f"Landlock version {abi}: files, " + (
        "network and signals." if abi >= 6 else "network." if abi >= 4 else "no more."
    )
    missing = "No Landlock: it takes Linux 5.13 or newer, with landlock among the security modules of the kernel."
    found.append(Finding("Landlock", abi >= 1, said if abi else missing))
    try:
        lock.machine()
        filters = lock.seccomp_there()
        said = "System calls can be filtered." if filters else "The kernel has no filters of system calls (seccomp)."
    except lock.CannotLock as error:
        filters, said = False, f"{error.args[-1]}."
    found.append(Finding("seccomp", filters, said))
    trouble = _bubblewrap_trouble()
    found.append(Finding("bubblewrap", not trouble, trouble or "bubblewrap works, and is put around the lock."))
    trouble = wasi.trouble()
    found.append(Finding("WebAssembly", not trouble, trouble or "Python in WebAssembly can be used where no lock is."))
    return found


def choose(name: str = "auto") -> str:
    """The sandbox to use: the strongest that this machine has, or the one asked for.

    Raises
    ------
    NoSandbox
        If it does not have it. ``unsafe`` is never chosen for anybody.

    Examples
    --------
    >>> choose("unsafe")
    'unsafe'
    """
    if name not in ("auto", *SANDBOXES):
        raise NoSandbox(f"there is no sandbox {name!r}; there are auto, {', '.join(SANDBOXES)}")
    if name == "unsafe":
        if os.name != "posix":
            raise NoSandbox("graded notebooks run on Linux, on macOS and in WSL 2; this is another system")
        return name
    found = {finding.what: finding for finding in probe()}
    lacking = [found[what].said for what in ("kernel", "Landlock", "seccomp") if not found[what].good]
    if name == "wasi" or (name == "auto" and lacking and found["WebAssembly"].good):
        if not found["WebAssembly"].good:
            raise NoSandbox(f"wasi was asked for. {found['WebAssembly'].said}")
        return "wasi"
    if lacking:
        raise NoSandbox(
            "there is no sandbox on this machine, and code of strangers is not run without one. "
            f"{lacking[0]} {found['WebAssembly'].said} (--sandbox unsafe runs it all the same, with everything that "
            "you may do yourself.)"
        )
    if name == "bwrap+lock" and not found["bubblewrap"].good:
        raise NoSandbox(f"bubblewrap was asked for. {found['bubblewrap'].said}")
    if name == "auto":
        return "bwrap+lock" if found["bubblewrap"].good else "lock"
    return name


def _bubblewrap_trouble() -> str:
    program = shutil.which("bwrap")
    if program is None:
        return "bubblewrap is not installed (it is optional; the package is called bubblewrap)."
    command = [
        program,
        "--unshare-all",
        "--die-with-parent",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "true",
    ]
    try:
        done = subprocess.run(command, capture_output=True, timeout=20, stdin=subprocess.DEVNULL, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not work here: {error}."
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return f"bubblewrap does not work here: {said[-1] if said else 'it failed'}."
    return ""


class Sandbox:
    """A place from which workers are started, all locked in in the same way. Use it in a ``with``.

    Parameters
    ----------
    name : str
        As `choose` takes it.

    Raises
    ------
    NoSandbox
        If the machine does not have it, or a worker cannot be started in it.

    Notes
    -----
    One process is started for each `Sandbox`, from which the workers are forked (`emlib.grading.template`); that takes
    a second or two (``wasi``: three), a worker then a few milliseconds. A `Sandbox` may be used by several threads, but
    not after a fork: each process of a pool opens its own.
    """

    def __init__(self, name: str = "auto") -> None:
        self.name = choose(name)
        self._turn = threading.Lock()
        self._number = 0
        self._folder = tempfile.TemporaryDirectory(prefix="emlib-grading-", ignore_cleanup_errors=True)
        # Without links in it: the rules of the lock are about where things really are.
        self.root = Path(os.path.realpath(self._folder.name))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            if self.name == "wasi":
                wasi.prepare(self.root)
            else:
                student.prepare(self.root)
            self._open()
        except wasi.NotHere as error:
            self.close()
            raise NoSandbox(str(error)) from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *ignored: object) -> None:
        self.close()

    def start(self, limits: Limits) -> Line:
        """Start a worker, locked and ready.

        Raises
        ------
        NoSandbox
            If it could not lock itself.
        """
        with self._turn:
            self._number += 1
            number = self._number
        scratch = self.root / "scratch" / str(number)
        scratch.mkdir()
        order = {
            "do": "start",
            "scratch": str(scratch),
            "lock": self.name != "unsafe",
            "memory": limits.memory,
            "seconds": int(limits.total_seconds) + 5,
            "file_bytes": limits.disk,
            "also": [] if self.name != "unsafe" else [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")],
        }
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        try:
            pid = self._request(order, [theirs_in, theirs_out])["pid"]
        except BaseException:
            os.close(ours_in)
            os.close(ours_out)
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        line = Line(ours_in, ours_out, scratch, limits.disk, lambda: self._finish(pid))
        try:
            ready = line.hear("ready", time.monotonic() + READY)
        except (Late, Lost, BadFrame):
            line.close()
            raise NoSandbox("a worker was started, but did not answer") from None
        if ready["problem"] or ready["locked"] != order["lock"]:
            line.close()
            raise NoSandbox(f"a worker could not be locked in ({ready['problem']})")
        return line

    def close(self) -> None:
        """End everything that was started, and remove the folders."""
        if self._process is not None:
            self._channel.close()  # the template takes its workers along
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._folder.cleanup()

    # ------------------------------------------------------------ the template
    def _open(self) -> None:
        self._channel, theirs = socket.socketpair()
        self._channel.settimeout(START)
        if self.name == "wasi":
            module, folders = "wasi_worker", wasi.import_path()
        else:
            module, folders = "template", [str(self.root / folder) for folder in ("student", "site")]
        boot = BOOT.format(module)
        command = [sys.executable, "-I", "-S", "-B", "-c", boot, str(theirs.fileno()), str(self.root), *folders]
        if self.name == "bwrap+lock":
            command = [*self._bubblewrap(), *command]
        with open(self.root / "template.log", "wb") as log, theirs:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.root,
                env=self._environment(),
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the grader
            )
        try:
            self._hear()
        except OSError:
            said = (self.root / "template.log").read_text(errors="replace").strip().splitlines()
            raise NoSandbox(
                f"the process of which workers are made does not start: {said[-1] if said else 'no reason'}"
            ) from None

    def _environment(self) -> dict[str, str]:
        one = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL", "VECLIB", "BLIS")}
        place = {"HOME": str(self.root / "scratch"), "MPLCONFIGDIR": str(self.root / "config"), "MPLBACKEND": "agg"}
        libraries = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
        return {"PATH": "", "LC_ALL": "C.UTF-8", **one, **place, **libraries}

    def _bubblewrap(self) -> list[str]:
        """Bubblewrap with what Python needs to be read, the run's own folder, and nothing else."""
        command = [
            shutil.which("bwrap") or "bwrap",
            "--unshare-all",
            "--die-with-parent",
            "--new-session",
            "--cap-drop",
            "ALL",
        ]
        for place in ("/usr", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache"):
            if os.path.islink(place):
                command += ["--symlink", os.readlink(place), place]
            elif os.path.exists(place):
                command += ["--ro-bind", place, place]
        # The interpreter: where it is linked from, and where it is.
        seen = [sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix)]
        seen += [os.path.realpath(self.root / "site" / name) for name in os.listdir(self.root / "site")]
        for place in dict.fromkeys(seen):
            if not place.startswith("/usr/"):
                command += ["--ro-bind", place, place]
        command += ["--ro-bind", str(self.root), str(self.root)]
        for folder in ("scratch", "config"):
            command += ["--bind", str(self.root / folder), str(self.root / folder)]
        return [*command, "--proc", "/proc", "--dev", "/dev", "--chdir", str(self.root), "--"]

    def _request(self, order: dict[str, Any], ends: list[int]) -> dict[str, Any]:
        with self._turn:
            try:
                socket.send_fds(self._channel, [json.dumps(order).encode() + b"\n"], ends)
                return self._hear()
            except OSError:
                raise NoSandbox("the process of which workers are made has ended") from None

    def _finish(self, pid: int) -> int:
        with contextlib.suppress(NoSandbox):
            return int(self._request({"do": "end", "pid": pid}, [])["status"])
        return 0

    def _hear(self) -> dict[str, Any]:
        raw = b""
        while not raw.endswith(b"\n"):
            piece = self._channel.recv(2**16)
            if not piece:
                raise OSError("closed")
            raw += piece
        answer: dict[str, Any] = json.loads(raw)
        return answer
