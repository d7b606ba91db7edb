"""How a process on Linux gives up, for good, everything that a student's code does not need.

Four locks, all of the kernel, none of which needs root, and none of which can be opened again:

- `limit`: how much memory, processor time and disk the process may use, and how many files it may hold open;
- `renounce`: no privileges, now or ever, and no debugger;
- `confine`: Landlock. Only the files named can be read, only one folder can be written; no network, no signals;
- `allow`: seccomp. Of some 400 system calls, the 60 of which computing and drawing are made stay; the others fail.

They overlap on purpose. Landlock knows about paths and not about system calls, seccomp the other way round; a kernel
too old for one rule of Landlock (ABI 1 to 7 are used as they are found) still refuses the system call.

What they do not do: asking is not a thing that Landlock governs, so code can learn whether a path exists, how large it
is and where a link leads, though it can neither list folders nor read; and a fault in the kernel itself remains a
fault. In bubblewrap the paths are not there.

Landlock's binding for Python (`landlock` 1.0.0.dev5) calls itself alpha and knows neither networks nor signals;
`pyseccomp` (0.1.2) is of 2021 and needs the library libseccomp of the system. Hence ctypes, in this one file. The
numbers are the kernel's (include/uapi/linux: landlock.h, seccomp.h, filter.h, prctl.h, capability.h, and the tables of
system calls).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable, Sequence

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


class CannotLock(OSError):
    """The machine lacks what a lock is made of; the message says what."""


def _libc() -> ctypes.CDLL:
    if not sys.platform.startswith("linux"):
        raise CannotLock("Landlock and seccomp are of Linux, and this is another system")
    return ctypes.CDLL(None, use_errno=True)


def _call(what: str, number: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    libc = _libc()
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result: int = libc.syscall(ctypes.c_long(number), *given)
    if result < 0:
        raise CannotLock(f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def _prctl(what: str, option: int, *arguments: int | ctypes.Array[ctypes.c_char]) -> None:
    values = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in (*arguments, 0, 0, 0, 0)[:4]]
    if _libc().prctl(ctypes.c_int(option), *values) < 0:
        raise CannotLock(f"{what}: {os.strerror(ctypes.get_errno())}")


# ---------------------------------------------------------------- limits
def limit(*, memory: int, seconds: int, file_bytes: int, files: int = 64, alone: bool = True) -> None:
    """Cap what this process may use; what it has now is not counted as memory.

    Parameters
    ----------
    memory : int
        Bytes of address space beyond those in use.
    seconds : int
        Of the processor.
    file_bytes : int
        The largest file that it may write.
    files : int
        Open at the same time.
    alone : bool
        Without children. The superuser is not held by that, `allow` holds everybody.
    """
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        used = 2**30
    caps = {
        resource.RLIMIT_AS: used + memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_NOFILE: files,
        resource.RLIMIT_CORE: 0,
    }
    if alone:
        caps[resource.RLIMIT_NPROC] = 0
    for what, most in caps.items():
        _, hardest = resource.getrlimit(what)
        if hardest != resource.RLIM_INFINITY:
            most = min(most, hardest)
        resource.setrlimit(what, (most, most))


# ---------------------------------------------------------------- privileges
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = (
    1,
    4,
    22,
    24,
    38,
    47,
)
CAPSET = {"x86_64": 126, "aarch64": 91}
CAPABILITIES = 64  # more than there are


def die_with_parent() -> None:
    """Have the kernel end this process when the one that started it ends."""
    _prctl("cannot be tied to its parent", PR_SET_PDEATHSIG, 9)


def renounce() -> None:
    """Drop all capabilities and every way to regain some; forbid being inspected by processes of the same user."""
    _prctl("new privileges cannot be renounced", PR_SET_NO_NEW_PRIVS, 1)
    for capability in range(CAPABILITIES):  # only those who have some may, and others need not
        _libc().prctl(ctypes.c_int(PR_CAPBSET_DROP), *(ctypes.c_ulong(a) for a in (capability, 0, 0, 0)))
    _libc().prctl(ctypes.c_int(PR_CAP_AMBIENT), *(ctypes.c_ulong(a) for a in (4, 0, 0, 0)))
    head = ctypes.create_string_buffer(struct.pack("<Ii", 0x20080522, 0))
    _call("capabilities cannot be dropped", CAPSET[machine()], head, ctypes.create_string_buffer(bytes(24)))
    _prctl("cannot be hidden from debuggers", PR_SET_DUMPABLE, 0)


# ---------------------------------------------------------------- Landlock
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446  # the same everywhere
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = (1 << bit for bit in range(4))
MAKE_REG, TRUNCATE = 1 << 8, 1 << 14
ALL_OF_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}  # rights on files that it knows
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
BIND_AND_CONNECT = 0b11  # TCP, from ABI 4 on
SCOPES = 0b11  # abstract sockets and signals stay within, from ABI 6 on


def landlock_abi() -> int:
    """The version of Landlock that this kernel speaks, 0 if none.

    Examples
    --------
    >>> landlock_abi() >= 0
    True
    """
    try:
        return _call("no Landlock", LANDLOCK_CREATE, None, 0, 1)
    except CannotLock:
        return 0


def confine(read: Iterable[str], browse: Iterable[str], write: str | None, devices: Iterable[str] = ()) -> int:
    """Let this process read `read`, list `browse`, keep files in `write`, and reach no other file and no network.

    Parameters
    ----------
    read : iterable of str
        Files, and folders with all that is below them; those that do not exist are passed over.
    browse : iterable of str
        Folders whose names may be listed, at every depth, but not read.
    write : str or None
        The one folder in which files may be made and changed. No folders, links or sockets; and nothing is removed or
        renamed, so that whoever counts what lies there knows all that was written.
    devices : iterable of str
        Such as ``/dev/null``: may be read and written.

    Returns
    -------
    int
        The version of Landlock in force.

    Raises
    ------
    CannotLock
        If there is no Landlock.
    """
    abi = landlock_abi()
    if abi < 1:
        raise CannotLock("this kernel has no Landlock (Linux 5.13 or newer, with landlock among its security modules)")
    handled = ALL_OF_ABI[max(version for version in ALL_OF_ABI if version <= abi)]
    attributes = struct.pack("<QQQ", handled, BIND_AND_CONNECT if abi >= 4 else 0, SCOPES if abi >= 6 else 0)
    attributes = attributes[: 8 if abi < 4 else 16 if abi < 6 else 24]
    rules = _call("no rules", LANDLOCK_CREATE, ctypes.create_string_buffer(attributes), len(attributes), 0)
    try:
        for path in browse:
            _permit(rules, path, READ_DIR & handled)
        for path in read:
            _permit(rules, path, (READ_FILE | READ_DIR) & handled)
        for path in devices:
            _permit(rules, path, (READ_FILE | WRITE_FILE | TRUNCATE) & handled)
        if write is not None:
            keep = READ_FILE | READ_DIR | WRITE_FILE | MAKE_REG | TRUNCATE
            _permit(rules, write, keep & handled)
        _prctl("new privileges cannot be renounced", PR_SET_NO_NEW_PRIVS, 1)
        _call("the rules are not accepted", LANDLOCK_RESTRICT, rules, 0)
    finally:
        os.close(rules)
    return abi


def _permit(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= ON_FILES
        rule = ctypes.create_string_buffer(struct.pack("<Qi", rights, place), 12)
        _call(f"no rule for {path}", LANDLOCK_ADD, rules, 1, rule, 0)
    finally:
        os.close(place)


# ---------------------------------------------------------------- seccomp
# The system calls that stay, by name, with their numbers on x86-64 and on ARM (None: it has no such call). Not among
# them, for instance: any that makes a process, a thread, a socket, a pipe or a link; kill; chmod and its like, which
# Landlock does not govern; ptrace, bpf, io_uring, userfaultfd, memfd_create, execve, mount, unshare, setrlimit,
# setitimer.
CALLS: dict[str, tuple[int | None, int | None]] = {
    # reading and writing what is open
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "pwrite64": (18, 68),
    "lseek": (8, 62), "close": (3, 57), "ftruncate": (77, 46), "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24),
    "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72),
    # files: Landlock says which
    "fstat": (5, 80), "stat": (4, None), "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291),
    "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439), "getdents64": (217, 61), "getcwd": (79, 17),
    "chdir": (80, 49), "readlink": (89, None), "readlinkat": (267, 78),
    # memory
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216), "madvise": (28, 233),
    "brk": (12, 214),
    # one's own signals, locks, time and end
    "futex": (202, 98), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132), "sched_yield": (24, 124), "restart_syscall": (219, 128), "exit": (60, 93),
    "exit_group": (231, 94), "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153),
    # questions about oneself and the machine
    "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177), "getrusage": (98, 165), "getrlimit": (97, 163), "uname": (63, 160),
    "sysinfo": (99, 179), "getrandom": (318, 278), "sched_getaffinity": (204, 123),
}  # fmt: skip
# Calls of which only some uses stay: which argument (from 0) must have which values.
IOCTL, FCNTL = (16, 29), (72, 25)
IOCTLS = (0x5401, 0x5413, 0x5450, 0x5451)  # is it a terminal, how wide is it; close on exec or not
FCNTLS = (
    0,
    1,
    2,
    3,
    4,
    1030,
)  # duplicate, read and set flags: not F_SETOWN, which sends signals, no locks, no pipe sizes
OPEN, OPENAT, PRLIMIT = (2, None), (257, 56), (302, 261)
O_TRUNC, O_TMPFILE = 0o1000, 0o20000000
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, name in the kernel

LOAD, EQUAL, AT_LEAST, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
ALLOW, FAIL, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


def machine() -> str:
    """The kind of processor, as the tables above call it.

    Raises
    ------
    CannotLock
        If they do not have it.
    """
    name = platform.machine().lower()
    name = {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)
    if name not in ARCHITECTURES or sys.byteorder != "little" or sys.maxsize < 2**32:
        raise CannotLock(
            f"the filter of system calls is written for x86_64 and aarch64, and this is {platform.machine()}"
        )
    return name


def program(name: str) -> list[Instruction]:
    """The filter as a list of instructions of the kernel's small machine: what falls through fails with EPERM.

    Examples
    --------
    >>> len(program("x86_64")) < 4096
    True
    """
    column, architecture = ARCHITECTURES[name]
    # A call in another guise (32 bits, x32) has other numbers: whoever makes one knows what they do.
    lines = [_load(4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL), _load(0)]
    if name == "x86_64":
        lines += [(AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, KILL)]
    for numbers in CALLS.values():
        number = numbers[column]
        if number is not None:
            lines += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    for numbers, values in ((IOCTL, IOCTLS), (FCNTL, FCNTLS)):
        lines += _block(numbers[column], [_argument(1), *_any_of(values), (RETURN, 0, 0, FAIL)])
    # Before ABI 3, Landlock lets a file be emptied by whoever may read it: emptying goes with writing only. No
    # nameless files.
    for numbers, where in ((OPEN, 1), (OPENAT, 2)):
        emptied = [line for mode in (0, 3) for line in ((EQUAL, 0, 1, O_TRUNC | mode), (RETURN, 0, 0, FAIL))]
        nameless = [(AND, 0, 0, O_TMPFILE), (EQUAL, 1, 0, 0), (RETURN, 0, 0, FAIL)]
        tests = [_argument(where), *nameless, _argument(where), (AND, 0, 0, O_TRUNC | 3), *emptied]
        lines += _block(numbers[column], [*tests, (RETURN, 0, 0, ALLOW)])
    # Limits may be read and not set: the pointer to new ones must be null, in both halves.
    null = [_argument(2), (EQUAL, 1, 0, 0), (RETURN, 0, 0, FAIL), _argument(2, high=True), *_any_of([0])]
    lines += _block(PRLIMIT[column], [*null, (RETURN, 0, 0, FAIL)])
    return [*lines, (RETURN, 0, 0, FAIL)]


def _load(offset: int) -> Instruction:
    return LOAD, 0, 0, offset


def _argument(index: int, *, high: bool = False) -> Instruction:
    return _load(16 + 8 * index + 4 * high)


def _any_of(values: Sequence[int]) -> list[Instruction]:
    return [line for value in values for line in ((EQUAL, 0, 1, value), (RETURN, 0, 0, ALLOW))]


def _block(number: int | None, lines: list[Instruction]) -> list[Instruction]:
    """These lines for this call, over which others jump. They end in a return: the number is still loaded below."""
    return [] if number is None else [(EQUAL, 0, len(lines), number), *lines]


def allow() -> None:
    """Let this process make the system calls of the table above and no others, ever.

    Raises
    ------
    CannotLock
        If the kernel has no seccomp filters, or the processor is not in the tables.
    """
    lines = program(machine())
    raw = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *line) for line in lines))
    head = ctypes.create_string_buffer(struct.pack("@HxxxxxxQ", len(lines), ctypes.addressof(raw)))
    _prctl("new privileges cannot be renounced", PR_SET_NO_NEW_PRIVS, 1)
    _prctl("this kernel has no filter of system calls (seccomp)", PR_SET_SECCOMP, 2, head)


def seccomp_there() -> bool:
    """Whether the kernel has filters of system calls.

    Examples
    --------
    >>> seccomp_there() in (True, False)
    True
    """
    try:
        action = ctypes.create_string_buffer(struct.pack("<I", FAIL & 0xFFFF0000))
        _call("no seccomp", {"x86_64": 317, "aarch64": 277}[machine()], 2, 0, action)  # is this action available?
    except CannotLock:
        return False
    return True
