"""What a notebook may try. Each attack is the source of one cell.

It may define `target`, a function that is worth points and whose right answer it cannot know, and `loot`, which
returns the text HARM (or a secret of the grader's) if the attack has come through. `WORLD` holds what an attacker
could learn by looking around: paths, ports, the number of the grader's process. Everything is bounded, and no network
but this machine's own is touched.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Attack:
    """One cell.

    Attributes
    ----------
    name : str
        What it tries.
    source : str
        The cell.
    real : bool
        Without a sandbox it comes through, on any machine: so the suite can fail.
    spoils : bool
        It breaks things that the rest of its own notebook needs, and may cost that its points too.
    quick : bool
        It waits until it is stopped, so it is stopped soon.
    slow : bool
        It takes a while all the same.
    """

    name: str
    source: str
    real: bool = False
    spoils: bool = False
    quick: bool = False
    slow: bool = False


ATTACKS: list[Attack] = []


def attack(name: str, source: str, **kind: bool) -> None:
    ATTACKS.append(Attack(name, textwrap.dedent(source), **kind))


# What several of them use: the frames of the protocol, which any student can read.
PIPE = '''
import os, sys


def nonce():
    """Of the question that is being answered: it lies about in the worker's own frames."""
    frame = sys._getframe()
    while frame is not None:
        if isinstance(frame.f_locals.get("nonce"), str):
            return frame.f_locals["nonce"]
        frame = frame.f_back
    return ""


def forged(value, nonce, kind="returned"):
    from emlib.grading import frames
    claim = {"kind": kind, "value": value, "problem": "", "detail": "", "printed": "", "n_printed": 0, "changed": ()}
    return frames.encode(nonce, claim)
'''

# A system call by its number (in WebAssembly there are none, and no ctypes that works).
TOOLS = '''
import ctypes, os, sys

libc = ctypes.CDLL(None, use_errno=True)
ARM = os.uname().machine == "aarch64"


def syscall(x86, arm, *arguments):
    """Its result, or minus its error."""
    ctypes.set_errno(0)
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(arm if ARM else x86), *given)
    return result if result >= 0 else -ctypes.get_errno()


def open_doors(calls):
    """The names of these system calls that are not refused as such."""
    found = []
    for name, (x86, arm, *arguments) in calls.items():
        if syscall(x86, arm, *arguments) not in (-1, -38, -13):
            found.append(name)
    return "HARM " + " ".join(found) if found else ""
'''

# ---------------------------------------------------------------- answers that lie about what they are
attack(
    "an answer that is equal to everything",
    """
    class Yes:
        def __eq__(self, other):
            return True
        __ne__ = __lt__ = __gt__ = __le__ = __ge__ = lambda self, other: False
        __sub__ = __rsub__ = __abs__ = lambda self, *other: self
        def __bool__(self):
            return True
        def __float__(self):
            return 0.0
        def __len__(self):
            return 5

    def target(x):
        return Yes()
    """,
)
attack(
    "an array whose arithmetic always agrees",
    """
    import numpy as np

    class Right(np.ndarray):
        def __array_ufunc__(self, *arguments, **more):
            return np.zeros(self.shape)
        def __array_function__(self, *arguments, **more):
            return True
        def __eq__(self, other):
            return np.ones(self.shape, bool)
        def __sub__(self, other):
            return np.zeros(self.shape)
        __rsub__ = __sub__

    def target(x):
        return np.zeros(len(x)).view(Right)
    """,
)
attack(
    "an object that becomes another array every time",
    """
    import numpy as np

    class Shifty:
        times = 0
        def __array__(self, *arguments, **more):
            Shifty.times += 1
            return np.full(5, float(Shifty.times))

    def target(x):
        return Shifty()
    """,
)
attack(
    "numbers of a class of their own",
    """
    class Real(float):
        def __sub__(self, other):
            return 0.0
        __rsub__ = __sub__
        def __eq__(self, other):
            return True
        __hash__ = None

    def target(x):
        return [Real(0)] * len(x)
    """,
)
attack(
    "a list that lies about its length and its entries",
    """
    class Long(list):
        def __len__(self):
            return 5
        def __iter__(self):
            return iter([0.0] * 5)
        def __eq__(self, other):
            return True

    def target(x):
        return Long([1])
    """,
)
attack(
    "an object that lies about its class",
    """
    import numpy as np

    class Disguised:
        @property
        def __class__(self):
            return np.ndarray
        shape, ndim, dtype = (5,), 1, np.dtype(float)
        def __getattr__(self, name):
            return getattr(np.zeros(5), name)

    def target(x):
        return Disguised()
    """,
)
attack(
    "nan for everything",
    """
    import numpy as np
    def target(x):
        return np.full(len(x), np.nan)
    """,
)
attack(
    "infinity for everything",
    """
    import numpy as np
    def target(x):
        return np.full(len(x), np.inf)
    """,
)
attack(
    "an array of objects",
    """
    import numpy as np
    def target(x):
        return np.array([object()] * len(x))
    """,
)
attack("an empty answer", "import numpy as np\ndef target(x):\n    return np.zeros((len(x), 0))")
attack(
    "an array that is enormous and takes no memory",
    "import numpy as np\ndef target(x):\n    return np.broadcast_to(0.0, (10**6, 10**6))",
)
attack("a generator without end", "import itertools\ndef target(x):\n    return itertools.count()")
attack(
    "a list that contains itself",
    """
    def target(x):
        answer = []
        answer.append(answer)
        return answer
    """,
)
attack(
    "lists within lists",
    """
    def target(x):
        answer = 0
        for _ in range(10**5):
            answer = [answer]
        return answer
    """,
)
attack("a whole number of a million digits", "def target(x):\n    return 1 << 3_000_000")
attack(
    "a hundred thousand texts, one of them long",
    """
    def target(x):
        return ["x" * 2_000_000] + ["y"] * 90_000
    """,
)
attack("half a surrogate", 'def target(x):\n    print("\\ud800")\n    return "\\ud800"')
attack(
    "orders to the instructor's terminal",
    """
    def target(x):
        print("\\x1b]0;HARM\\x07\\x1b[2J")
        raise ValueError("\\x1b[31m\\u202eHARM")
    """,
)
attack(
    "an error that cannot be told",
    """
    class Untold(Exception):
        def __str__(self):
            raise self
        __repr__ = __str__

    def target(x):
        raise Untold
    """,
)
attack("an error of a gigabyte", 'def target(x):\n    raise ValueError("x" * 10**9)')
attack(
    "an error without a class name",
    """
    def target(x):
        raise type("\\n" * 10**6, (Exception,), {})
    """,
)
attack(
    "a signature that is a trap",
    """
    class Trap:
        @property
        def __signature__(self):
            raise SystemExit
        def __call__(self, x):
            return x

    target = Trap()
    """,
)

# ---------------------------------------------------------------- tampering with what judges, or what it stands on
attack(
    "NumPy, patched",
    """
    import numpy as np
    for name in ("allclose", "array_equal", "isclose"):
        setattr(np, name, lambda *ignored, **more: True)
    np.testing.assert_allclose = lambda *ignored, **more: None
    np.abs = np.absolute = lambda *ignored, **more: np.zeros(5)
    np.isfinite = lambda *ignored: True

    def target(x):
        return np.zeros(5)
    """,
    spoils=True,
)
attack(
    "builtins, patched",
    """
    import builtins
    builtins.all = builtins.any = lambda *ignored: True
    builtins.len = lambda thing: 5
    builtins.isinstance = lambda *ignored: True

    def target(x):
        return []
    """,
    spoils=True,
)
attack(
    "the worker's own modules, patched",
    """
    from emlib.course import calls, values
    from emlib.grading import frames, worker
    values.plain = calls.plain = lambda value: value
    worker._clean = lambda text, most: text

    def target(x):
        return {"passed": True, "earned": 100}
    """,
)
attack(
    "claims of points in the answer",
    PIPE
    + """
def target(x):
    os.write(4, forged(None, nonce(), kind="passed"))
    return None
""",
)
attack(
    "the checks, called by the student",
    """
    from emlib.course import check, goal, hint

    def target(x):
        return check("arithmetic.target", target, points=100, passed=True)
    """,
)
attack(
    "a hunt through frames for what is expected",
    """
    import sys

    def loot():
        frame = sys._getframe()
        while frame is not None:
            for name, value in [*frame.f_locals.items(), *frame.f_globals.items()]:
                if name in ("expected", "reference", "wanted", "slip", "secret", "seed", "cases"):
                    return f"HARM {name}"
            frame = frame.f_back

    def target(x):
        loot()
        return x
    """,
)
attack(
    "a hunt through memory for the reference",
    """
    import gc, sys

    def hunted():
        for thing in [*gc.get_objects(), *sys.modules.values()]:
            name = getattr(thing, "__name__", "") if not isinstance(thing, dict) else ""
            if name in ("reference", "the_reference", "evaluate", "emlib.course.contract", "emlib.course.evaluate"):
                yield thing
            if isinstance(thing, dict) and "reference" in thing and callable(thing["reference"]):
                yield thing["reference"]

    def loot():
        return "HARM" if list(hunted()) else ""

    def target(x):
        for thing in hunted():
            if callable(thing):
                return thing(x)
        return x
    """,
)
attack(
    "a trace on everything that is run",
    """
    import sys
    seen = []

    def trace(frame, event, argument):
        seen.append(frame.f_code.co_name)
        if "expected" in frame.f_locals:
            seen.append("HARM")
        return trace

    def target(x):
        sys.settrace(trace)
        sys.setprofile(trace)
        return x

    def loot():
        sys.settrace(None)
        sys.setprofile(None)
        return "HARM" if "HARM" in seen else ""
    """,
    spoils=True,
)
attack(
    "modules put where the grader might import them",
    """
    import sys
    for name in ("json", "numpy", "sitecustomize", "usercustomize", "emlib"):
        open(name + ".py", "w").write("import os; open(" + repr(WORLD["home"] + "/imported") + ", 'w')")
    sys.path.insert(0, ".")

    def target(x):
        return x
    """,
)

# ---------------------------------------------------------------- the pipe
attack(
    "a forged answer, with the right nonce",
    PIPE + "\ndef target(x):\n    os.write(4, forged([float(a) for a in x], nonce()))\n    return x\n",
)
attack(
    "a forged answer, with a guessed nonce",
    PIPE + "\ndef target(x):\n    os.write(4, forged([float(a) for a in x], 'aaaa'))\n    return x\n",
)
attack(
    "an answer kept for another question",
    PIPE
    + """
kept = []

def target(x):
    kept.append(forged([float(a) for a in x], nonce()))
    os.write(4, kept[0])
    return x
""",
)
attack(
    "answers to questions that were not asked yet",
    PIPE
    + """
def target(x):
    for _ in range(50):
        os.write(4, forged([float(a) for a in x], ""))
    return x
""",
)
attack(
    "a pickle that runs code",
    """
    import os, pickle

    class Bomb:
        def __reduce__(self):
            return os.system, ("touch " + WORLD["home"] + "/exploded",)

    def target(x):
        os.write(4, pickle.dumps(Bomb()))
        os.write(4, b"EMF1" + bytes(12) + pickle.dumps(Bomb()))
        return x
    """,
)
attack(
    "JSON without end",
    """
    import os, struct
    def target(x):
        raw = b"[" * 10**6
        os.write(4, b"EMF1" + struct.pack("<IQ", len(raw), 0) + raw)
        return x
    """,
)
attack(
    "a frame that announces a petabyte",
    """
    import os, struct
    def target(x):
        os.write(4, b"EMF1" + struct.pack("<IQ", 10, 2**50))
        return x
    """,
)
attack(
    "an array that announces a petabyte",
    """
    import json, os, struct

    def target(x):
        raw = json.dumps(["", {"array": ["<f8", [2**47]]}]).encode()
        os.write(4, b"EMF1" + struct.pack("<IQ", len(raw), 0) + raw)
        return x
    """,
)
attack(
    "an array of a type that runs code when it is read",
    """
    import json, os, struct

    def target(x):
        raw = json.dumps(["", {"array": ["O", [1]]}]).encode()
        os.write(4, b"EMF1" + struct.pack("<IQ", len(raw), 8) + raw + bytes(8))
        return x
    """,
)
attack(
    "half a frame",
    'import os, time\ndef target(x):\n    os.write(4, b"EMF1" + b"\\xff")\n    time.sleep(1e6)',
    quick=True,
)
attack(
    "a frame, drop by drop",
    """
    import os, struct, time

    def target(x):
        os.write(4, b"EMF1" + struct.pack("<IQ", 1000, 0))
        while True:
            os.write(4, b" ")
            time.sleep(0.01)
    """,
    quick=True,
)
attack(
    "a flood of bytes",
    """
    import os
    def target(x):
        while True:
            os.write(4, bytes(10**6))
    """,
    quick=True,
)
attack(
    "the pipe, closed",
    """
    import os
    def target(x):
        os.close(3)
        os.close(4)
        return x
    """,
    quick=True,
)
attack(
    "the pipe, eaten up",
    """
    import os
    def target(x):
        while True:
            os.read(3, 10**6)
    """,
    quick=True,
)
attack("a cell that answers for itself and goes on", PIPE + "\nos.write(4, forged(None, nonce()))\n")
attack(
    "an answer sent later by whatever is left of an object",
    """
    import os, weakref

    class Late:
        pass

    def target(x):
        thing = Late()
        weakref.finalize(thing, os.write, 4, b"EMF1 junk")
        thing.itself = thing
        return x
    """,
)
attack(
    "other open files than its own",
    """
    import fcntl

    def loot():
        for number in range(5, 300):
            try:
                fcntl.fcntl(number, fcntl.F_GETFD)
            except OSError:
                continue
            return "HARM"
    """,
)

# ---------------------------------------------------------------- reading
attack("the home folder", 'def loot():\n    return open(WORLD["home"] + "/key").read()', real=True)
attack(
    "the home folder, through a link",
    'import os\nos.symlink(WORLD["home"], "way")\ndef loot():\n    return open("way/key").read()',
    real=True,
)
attack(
    "a key, through a hard link",
    """
    import os
    os.link(WORLD["scratch"] + "/key", "key")
    def loot():
        return open("key").read()
    """,
    real=True,
)
attack(
    "the key, through every name it might have",
    """
    import glob, os

    def loot():
        key = WORLD["home"] + "/key"
        way = os.path.relpath(key)
        for path in ("/proc/self/root" + key, "/proc/1/root" + key, "/proc/self/cwd/" + way, "//" + key, way):
            try:
                return open(path).read()
            except OSError:
                pass
        return "".join(open(path).read() for path in glob.glob(WORLD["home"] + "/*"))
    """,
    real=True,
)
attack(
    "the names in the home folder",
    'import os\ndef loot():\n    return "HARM" if os.listdir(WORLD["home"]) else ""',
    real=True,
)
attack(
    "the other submissions",
    """
    import os
    def loot():
        there = WORLD["others"]
        return [open(os.path.join(there, name)).read() for name in os.listdir(there)]
    """,
    real=True,
)
attack(
    "the folders of other workers",
    """
    import os

    def loot():
        for name in [*os.listdir(".."), "neighbour"]:
            if name != os.path.basename(os.getcwd()):
                return open("../" + name + "/notes").read()
    """,
    real=True,
)
attack(
    "the grader's environment",
    """
    def loot():
        return open(f"/proc/{WORLD['pid']}/environ").read()
    """,
    real=True,
)
attack("the environment it was given", "import os\ndef loot():\n    return repr(os.environ)")
attack(
    "the grader's command and folder",
    """
    import os

    def loot():
        open(f"/proc/{WORLD['pid']}/cmdline").read()
        return "HARM"
    """,
    real=True,
)
attack(
    "where the grader is",
    """
    import os

    def loot():
        os.readlink(f"/proc/{WORLD['pid']}/cwd")
        return "HARM"
    """,
    real=True,
)
attack(
    "the grader's memory, as a file",
    """
    def loot():
        with open(f"/proc/{WORLD['pid']}/mem", "rb", buffering=0) as memory:
            memory.seek(WORLD["address"])
            return memory.read(WORLD["length"]).decode()
    """,
)
attack(
    "the grader's memory, by a system call",
    TOOLS
    + """
class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

def loot():
    buffer = ctypes.create_string_buffer(WORLD["length"])
    here, there = Piece(ctypes.addressof(buffer), WORLD["length"]), Piece(WORLD["address"], WORLD["length"])
    if syscall(310, 270, WORLD["pid"], ctypes.byref(here), 1, ctypes.byref(there), 1, 0) > 0:
        return buffer.raw.decode()
""",
)
attack(
    "the grader, under a debugger",
    TOOLS + '\ndef loot():\n    return "HARM" if syscall(101, 117, 0x4206, WORLD["pid"], 0, 0) == 0 else ""\n',
)
attack(
    "its parent, under a debugger",
    TOOLS + '\ndef loot():\n    return "HARM" if syscall(101, 117, 0x4206, os.getppid(), 0, 0) == 0 else ""\n',
)
attack(
    "the file of another process, through pidfd_getfd",
    TOOLS
    + """
def loot():
    pidfd = syscall(434, 434, WORLD["pid"], 0)
    return "HARM" if pidfd >= 0 else ""
""",
    real=True,
)
attack("sklearn", 'def loot():\n    import sklearn.mixture\n    return "HARM"', real=True)
attack(
    "sklearn, by its place",
    """
    import sys
    sys.path.insert(0, WORLD["libraries"])
    def loot():
        import sklearn.mixture
        return "HARM"
    """,
    real=True,
)
attack(
    "the models, by their place",
    """
    import sys

    def loot():
        for name in [name for name in sys.modules if name.startswith("emlib")]:
            del sys.modules[name]
        sys.path.insert(0, WORLD["repository"])
        import emlib.models.mixtures
        return "HARM"
    """,
    real=True,
    spoils=True,
)
attack("the models", 'def loot():\n    import emlib.models\n    return "HARM"')
attack(
    "the exercises",
    """
    def loot():
        import emlib.course.evaluate, emlib.course.exercises
        return "HARM"
    """,
)
attack(
    "the source of the checks",
    """
    def loot():
        return "HARM" if open(WORLD["repository"] + "/emlib/course/compare.py").read() else ""
    """,
    real=True,
)
attack(
    "the machine's users and settings",
    """
    def loot():
        for path in ("/etc/passwd", "/etc/hostname", "/proc/self/environ", "/proc/self/maps", "/proc/cpuinfo",
        "/proc/version"):
            try:
                open(path).read()
            except OSError:
                continue
            return "HARM " + path
    """,
    real=True,
)

attack(
    "paths above the root, and by the numbers of folders",
    """
    import os

    def loot():
        way = WORLD["home"] + "/key"
        for up in ("/..", "../../../../../../../..", "/proc/self/root", ".", "//", "/usr/.."):
            try:
                return open(up + way).read()
            except OSError:
                pass
        for number in range(3, 12):
            for path in (way, "../../../../../../../.." + way, way[1:]):
                try:
                    return os.read(os.open(path, os.O_RDONLY, dir_fd=number), 99).decode()
                except OSError:
                    pass
    """,
)

# ---------------------------------------------------------------- writing
attack(
    "a file in the home folder",
    'def target(x):\n    open(WORLD["home"] + "/trace", "w").write("x")\n    return x',
    real=True,
)
attack(
    "its own library",
    """
    import numpy
    def target(x):
        open(WORLD["home"] + "/../library/module.py", "a").write("x")
        return x
    """,
    real=True,
)
attack(
    "the small emlib that the next student gets",
    'import emlib\ndef loot():\n    open(emlib.__file__, "a").close()\n    return "HARM"',
    real=True,
)
attack(
    "compiled modules of other packages, past the import system",
    """
    import _imp, sys, types

    def loot():
        found = []
        for name in {first + name[1:] for name in sys.builtin_module_names for first in name[0] + "splr"}:
            if name.startswith(("sklearn.", "pandas.", "statsmodels.", "lxml.", "regex.")):
                try:
                    made = _imp.create_builtin(types.SimpleNamespace(name=name, origin="built-in"))
                    found += [name] if made is not None else []
                except ImportError:
                    pass
        return "HARM " + " ".join(found) if found else ""
    """,
)
attack(
    "a library, changed for the one who comes next",
    """
    import os, numpy, emlib

    def loot():
        for module in (numpy, emlib):
            for how in (os.O_WRONLY | os.O_APPEND, os.O_RDWR):
                try:
                    os.close(os.open(module.__file__, how))
                except OSError:
                    continue
                return "HARM " + module.__file__
            try:
                os.close(os.open(os.path.dirname(module.__file__) + "/new.py", os.O_WRONLY | os.O_CREAT))
            except OSError:
                continue
            return "HARM"
    """,
)
attack(
    "the rights of a file",
    """
    import os
    def target(x):
        os.chmod(WORLD["victim"], 0o777)
        return x
    """,
    real=True,
)
attack(
    "a file, emptied by truncate",
    'import os\ndef target(x):\n    os.truncate(WORLD["victim"], 0)\n    return x',
    real=True,
)
attack(
    "a file, emptied while it is opened to be read",
    """
    import os
    def target(x):
        os.open(WORLD["victim"], os.O_RDONLY | os.O_TRUNC)
        return x
    """,
    real=True,
)
attack(
    "a library, emptied while it is opened to be read",
    """
    import os

    def loot():  # of its own folder, which is removed anyway; a library must not be put at risk
        path = WORLD["readable"]
        os.close(os.open(path, os.O_RDONLY | os.O_TRUNC))
        return "HARM"
    """,
    real=True,
)
attack(
    "a file, removed",
    """
    import os
    def target(x):
        os.unlink(WORLD["victim"])
        return x
    """,
    real=True,
)
attack(
    "a file, moved",
    """
    import os
    def target(x):
        os.rename(WORLD["victim"], WORLD["victim"] + "2")
        return x
    """,
    real=True,
)
attack(
    "the time of a file",
    """
    import os
    def target(x):
        os.utime(WORLD["victim"], (0, 0))
        return x
    """,
    real=True,
)
attack(
    "an attribute of a file",
    """
    import os
    def loot():
        os.setxattr(WORLD["victim"], "user.harm", b"x")
        return "HARM"
    """,
)
attack(
    "files that are left after the end",
    """
    import atexit
    atexit.register(lambda: open(WORLD["home"] + "/trace", "w").close())
    def target(x):
        raise SystemExit
    """,
)
attack(
    "the disk",
    """
    def target(x):
        for i in range(100):
            with open(str(i), "wb") as file:
                for _ in range(64):
                    file.write(bytes(2**20))

    def loot():
        import os
        return "HARM" if sum(os.stat(name).st_blocks * 512 for name in os.listdir()) > 200e6 else ""
    """,
)
attack(
    "the disk, with files that have no name",
    """
    import os

    def loot():
        os.open(".", os.O_TMPFILE | os.O_RDWR)
        return "HARM"
    """,
)
attack(
    "the disk, with files that are removed while open",
    'import os\ndef loot():\n    open("a", "w")\n    os.unlink("a")\n    return "HARM"',
    real=True,
)
attack(
    "folders within folders",
    """
    import os
    def loot():
        for _ in range(50):
            os.mkdir("d")
            os.chdir("d")
        return "HARM"
    """,
    real=True,
)
attack(
    "links, pipes and devices in its folder",
    """
    import os
    def loot():
        for make in (lambda: os.symlink("/", "a"), lambda: os.mkfifo("b"), lambda: os.mknod("c")):
            try:
                make()
            except OSError:
                continue
            return "HARM"
    """,
    real=True,
)

# ---------------------------------------------------------------- network
attack(
    "TCP",
    """
    import socket
    def target(x):
        socket.create_connection(("127.0.0.1", WORLD["tcp"]), 1).sendall(b"x")
        return x
    """,
    real=True,
)
attack(
    "UDP",
    """
    import socket
    def target(x):
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", WORLD["udp"]))
        return x
    """,
    real=True,
)
attack(
    "an abstract socket",
    """
    import socket
    def target(x):
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", "\\0" + WORLD["abstract"])
        return x
    """,
    real=True,
)
attack(
    "a socket among files",
    """
    import socket
    def target(x):
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", WORLD["home"] + "/socket")
        return x
    """,
    real=True,
)
attack(
    "a server",
    """
    import socket
    def loot():
        socket.create_server(("127.0.0.1", 0))
        return "HARM"
    """,
    real=True,
)
attack(
    "sockets of every other kind",
    """
    import socket

    def loot():
        for family in range(46):
            for kind in (1, 2, 3, 5):
                try:
                    socket.socket(family, kind)
                except OSError:
                    continue
                return "HARM"
    """,
    real=True,
)

# ---------------------------------------------------------------- processes and the kernel
attack(
    "a daemon",
    """
    import os

    def loot():
        if os.fork() == 0:
            os.setsid()
            os._exit(0)
        return "HARM"
    """,
    real=True,
)
attack(
    "forks, as many as there may be",
    """
    import os

    def loot():
        n = 0
        for _ in range(20):
            try:
                if os.fork() == 0:
                    os._exit(0)
                n += 1
            except OSError:
                pass
        return "HARM" if n else ""
    """,
    real=True,
)
attack(
    "a shell",
    """
    import subprocess
    def loot():
        return subprocess.run(["/bin/cat", WORLD["home"] + "/key"], capture_output=True, text=True).stdout
    """,
    real=True,
)
attack(
    "a shell, through system",
    """
    import os
    def target(x):
        os.system("/bin/touch " + WORLD["home"] + "/trace")
        return x
    """,
    real=True,
)
attack(
    "threads, as many as there may be",
    """
    import threading, time

    def loot():
        threading.stack_size(2**16)
        started = 0
        for _ in range(20):
            try:
                threading.Thread(target=time.sleep, args=(1,), daemon=True).start()
            except RuntimeError:
                break
            started += 1
        return "HARM" if started else ""
    """,
    real=True,
)
attack(
    "processes of multiprocessing",
    """
    import multiprocessing
    def loot():
        with multiprocessing.get_context("fork").Pool(2) as pool:
            pool.map(abs, [1])
        return "HARM"
    """,
    real=True,
)
attack(
    "a program in place of the worker",
    'import os\ndef target(x):\n    os.execv("/bin/touch", ["touch", WORLD["home"] + "/trace"])',
    real=True,
)
attack(
    "a signal to the grader",
    """
    import os
    def loot():
        os.kill(WORLD["pid"], 0)
        return "HARM"
    """,
    real=True,
)
attack(
    "a signal to its parent",
    """
    import os
    def loot():
        os.kill(os.getppid(), 0)
        return "HARM"
    """,
    real=True,
)
attack(
    "a signal to all",
    """
    import os
    def loot():
        os.kill(-1, 0)
        return "HARM"
    """,
    real=True,
)
attack(
    "a signal to the grader, through a file",
    """
    import fcntl

    def loot():
        fcntl.fcntl(3, 8, WORLD["pid"])  # F_SETOWN
        return "HARM"
    """,
    real=True,
)
attack(
    "its limits, raised",
    """
    import resource
    def loot():
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
        return "HARM"
    """,
    real=True,
)
attack(
    "doors of the kernel",
    TOOLS
    + """
def loot():
    buffer = ctypes.create_string_buffer(256)
    return open_doors({
        "clone": (56, 220, 0x1FFFF << 40, 0, 0, 0, 0),
        "clone3": (435, 435, buffer, 88),
        "unshare": (272, 97, 0x10000000),
        "setns": (308, 268, -1, 0),
        "mount": (165, 40, 0, 0, 0, 0, 0),
        "pivot_root": (155, 41, 0, 0),
        "chroot": (161, 51, b"/"),
        "bpf": (321, 280, 0, buffer, 64),
        "io_uring_setup": (425, 425, 4, buffer),
        "userfaultfd": (323, 282, 1),
        "perf_event_open": (298, 241, buffer, 0, -1, -1, 0),
        "keyctl": (250, 219, 0, -3, 0),
        "add_key": (248, 217, b"user", b"harm", b"x", 1, -3),
        "memfd_create": (319, 279, b"harm", 0),
        "execveat": (322, 281, -1, b"", 0, 0, 0x1000),
        "kcmp": (312, 272, os.getpid(), os.getpid(), 0, 0, 0),
        "personality": (135, 92, 0xFFFFFFFF),
        "prctl": (157, 167, 4, 1, 0, 0, 0),
        "seccomp": (317, 277, 1, 0, 0),
        "landlock": (444, 444, 0, 0, 1),
        "name_to_handle_at": (303, 264, -100, b"/", buffer, buffer, 0),
        "open_by_handle_at": (304, 265, -100, buffer, 0),
        "shmget": (29, 194, 0, 4096, 0o1600),
        "msgget": (68, 186, 0, 0o1600),
        "mq_open": (240, 180, b"harm", 0o102, 0o600, 0),
        "inotify_init1": (294, 26, 0),
        "fanotify_init": (300, 262, 0, 0),
        "timer_create": (222, 107, 0, 0, buffer),
        "pipe2": (293, 59, buffer, 0),
        "eventfd2": (290, 19, 0, 0),
        "signalfd4": (289, 74, -1, buffer, 8, 0),
        "sched_setaffinity": (203, 122, 0, 8, b"\\xff" * 8),
        "setpriority": (141, 140, 0, 0, 0),
        "setsid": (112, 157),
        "setuid": (105, 146, 0),
        "syslog": (103, 116, 10, 0, 0),
        "acct": (163, 89, 0),
        "kexec_load": (246, 104, 0, 0, 0, 0),
        "init_module": (175, 105, 0, 0, b""),
        "sethostname": (170, 161, 0, -1),
        "settimeofday": (164, 170, 0, 0),
        "mlockall": (151, 230, 1),
        "vmsplice": (278, 75, -1, 0, 0, 0),
        "splice": (275, 76, -1, 0, -1, 0, 0, 0),
        "process_madvise": (440, 440, -1, 0, 0, 0, 0),
        "fsopen": (430, 430, b"tmpfs", 0),
        "open_tree": (428, 428, -100, b"/", 1),
        "openat2": (437, 437, -100, b"/", buffer, 24),
        "fchmodat2": (452, 452, -100, b"harm", 0, 0),
        "umask": (95, 166, 0o22),
        "ioctl": (16, 29, 3, 0x541B, buffer),  # FIONREAD
        "prlimit": (302, 261, 0, 7, buffer, 0),
    })
""",
    real=True,
)
attack(
    "system calls under other numbers (x32)",
    TOOLS + "\ndef target(x):\n    syscall(0x40000000 + 39, 10**6)\n    os._exit(0)\n",
)
attack(
    "system calls of 32 bits",
    TOOLS
    + """
import mmap

def target(x):
    if ARM:
        os._exit(0)
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3")  # mov eax, 20 (getpid); int 0x80; ret
    run = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    open("harm", "w").write(str(run()))
    return x

def loot():
    return "HARM" if os.path.exists("harm") else ""
""",
)

# ---------------------------------------------------------------- time, memory, noise, and sudden ends
attack("a loop without end", "def target(x):\n    while True:\n        pass", quick=True)
attack(
    "a loop without end that ignores every signal",
    """
    import signal

    def target(x):
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        while True:
            try:
                while True:
                    pass
            except BaseException:
                pass
    """,
    quick=True,
)
attack("a loop without end in C", "def target(x):\n    return sum(range(10**12))", quick=True)
attack(
    "a regular expression without end",
    'import re\ndef target(x):\n    return re.match("(a+)+$", "a" * 60 + "b")',
    quick=True,
)
attack("a sleep without end", "import time\ndef target(x):\n    time.sleep(10**8)", quick=True)
attack("a cell without end", "while True:\n    pass", quick=True)
attack(
    "a recursion that breaks the stack",
    "import sys\nsys.setrecursionlimit(10**9)\ndef target(x):\n    return repr(target(x))",
    quick=True,
)
attack(
    "a lock that nobody opens",
    """
    import threading
    def target(x):
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    """,
    quick=True,
)
attack(
    "all memory",
    """
    def target(x):
        piles = []
        while True:
            piles.append(bytearray(10**7))
    """,
)
attack("all memory, in one piece", "import numpy as np\ndef target(x):\n    return np.ones(10**13)")
attack(
    "all memory, shared",
    """
    import mmap
    def target(x):
        piles = []
        while True:
            pile = mmap.mmap(-1, 2**26)
            pile.write(bytes(2**26))
            piles.append(pile)
    """,
)
attack(
    "a flood of text",
    """
    def target(x):
        for _ in range(10**5):
            print("x" * 10**4)
        return x
    """,
)
attack(
    "a flood of text past Python",
    """
    import os, sys
    def target(x):
        for _ in range(10**3):
            os.write(1, bytes(10**5))
            os.write(2, bytes(10**5))
            sys.__stdout__.write("x" * 10**5)
        return x
    """,
)
attack("a question to nobody", 'def target(x):\n    return float(input("the answer?"))')
attack("a debugger", "def target(x):\n    breakpoint()\n    return x")
attack("os._exit", "import os\ndef target(x):\n    os._exit(0)")
attack("sys.exit", "import sys\ndef target(x):\n    sys.exit(0)")
attack("os.abort", "import os\ndef target(x):\n    os.abort()")
attack(
    "a signal to itself",
    """
    import os, signal
    def target(x):
        os.kill(os.getpid(), signal.SIGKILL)
        signal.raise_signal(signal.SIGTERM)
        return x
    """,
)
attack("a segmentation fault", "import ctypes\ndef target(x):\n    ctypes.string_at(0)")
attack(
    "the processor's time",
    """
    import time
    def target(x):
        until = time.time() + 30
        while time.time() < until:
            pass
        return x
    """,
    slow=True,
)
attack("an exit in every cell", "import os\nos._exit(0)")
attack("a keyboard interrupt", "def target(x):\n    raise KeyboardInterrupt")
attack(
    "an error in __del__",
    """
    class Thing:
        def __del__(self):
            raise SystemExit
    def target(x):
        Thing()
        return x
    """,
)
