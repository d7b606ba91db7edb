"""A pupil answers as the functions would in a notebook, and outlives whatever they do instead."""

import dataclasses
import linecache
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from emlib.course.calls import Outcome, in_this_process
from emlib.course.values import Seed
from emlib.grading import pupil as pupil_module
from emlib.grading.frames import BadFrame
from emlib.grading.pupil import Pupil
from emlib.grading.sandbox import Limits, NoSandbox, Sandbox, choose
from emlib.grading.selftest import self_test
from emlib.grading.worker import python_of

SHORT = Limits(call_seconds=0.6, cell_seconds=0.6, total_seconds=30)

ORDINARY = """
import numpy as np

def double(x):
    return 2 * x

def several(x, y):
    return x.sum(), {"mean": np.float32(x.mean()), "rows": [row for row in x]}, [y, None, "é", True, float("nan")]

def draws(n, rng):
    print("drawing", n)
    return rng.normal(size=n)

def spoils(x, y):
    y[0] = 7
    x += 1
    return x

def prints(n):
    print("x" * n)

def fails(x):
    def inner():
        raise ValueError("no\\nsuch   thing")
    inner()

def unwritten(x):
    raise NotImplementedError("unwritten")

def endless(x):
    return endless(x)

def leaves(x):
    exit()

def a_set(x):
    return {1, 2}

def itself(x):
    return itself

def deep(x):
    return [[[[[[[[[[x]]]]]]]]]]

def one(x):
    return x

class Model:
    def __call__(self, x):
        return x * 3

model = Model()
number = 3
"""
CALLS = [
    ("double", {"x": np.arange(3.0)}),
    ("double", {"x": np.arange(6, dtype=np.int16).reshape(2, 3)}),
    ("double", {"x": 1.5}),
    ("double", {"x": "ab"}),
    ("double", {"x": 2**70}),
    ("double", {"x": np.zeros((0, 4))}),
    ("double", {"x": [1, (2, {"a": None})]}),
    ("several", {"x": np.eye(2), "y": float("inf")}),
    ("draws", {"n": 3, "rng": Seed(11)}),
    ("spoils", {"x": np.zeros(2), "y": [1, 2]}),
    ("prints", {"n": 100_000}),
    ("fails", {"x": 0}),
    ("unwritten", {"x": 0}),
    ("leaves", {"x": 0}),
    ("a_set", {"x": 0}),
    ("itself", {"x": 0}),
    ("deep", {"x": 0}),
    ("one", {"x": 0, "y": 1}),
    ("model", {"x": 2}),
    ("number", {"x": 2}),
    ("absent", {"x": 2}),
]


def here(source, name="<cell 1>"):
    """The functions of a cell, in this process."""
    names = {"__name__": "__main__"}
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), names)
    return in_this_process(names)


def alike(left, right):
    np.testing.assert_equal(left, right)
    assert repr(left) == repr(right)  # types and dtypes too


@pytest.fixture(scope="module")
def ordinary(sandbox):
    with Pupil([ORDINARY], sandbox) as pupil:
        yield pupil


@pytest.mark.parametrize(("name", "inputs"), CALLS, ids=[f"{i} {name}" for i, (name, _) in enumerate(CALLS)])
def test_outcomes_are_those_of_a_notebook(ordinary, name, inputs):
    there, expected = ordinary(name, inputs), here(ORDINARY)(name, inputs)
    assert there.kind == expected.kind
    alike(there.value, expected.value)
    for part in ("problem", "printed", "n_printed", "changed"):
        assert getattr(there, part) == getattr(expected, part), part
    detail = re.sub('".*/emlib/', f'"{ordinary._sandbox.root}/student/emlib/', expected.detail)
    if ordinary._sandbox.name == "wasi":  # another version of Python, which underlines more
        assert there.detail.splitlines()[-1:] == detail.splitlines()[-1:]
    else:
        assert there.detail == detail
    assert there.seconds > 0
    assert ordinary.starts == 1


def test_a_recursion_without_end_costs_its_call(ordinary):
    assert ordinary("endless", {"x": 0}).problem == "called itself without end (RecursionError)"
    assert ordinary("double", {"x": 2}).value == 4


def test_the_order_of_arguments_is_kept_and_large_arrays_pass(ordinary):
    array = np.random.default_rng(0).normal(size=(1000, 1000))
    np.testing.assert_array_equal(ordinary("double", {"x": array}).value, 2 * array)


def test_names_and_state_last_from_cell_to_cell_and_from_call_to_call(any_sandbox):
    cells = ["count = 0", "def step():\n    global count\n    count += 1\n    return count"]
    with Pupil(cells, any_sandbox) as pupil:
        assert [pupil("step", {}).value for _ in range(3)] == [1, 2, 3]


BAD_CELLS = [
    "def before():\n    return 1",
    "print('said'); 1 / 0",
    "def broken(:",
    "while True: pass",
    "import sys; sys.exit(3)",
    "import os; os._exit(3)",
    "import ctypes; ctypes.string_at(0)",
    "raise KeyboardInterrupt",
    "import nothing_of_that_name",
    "",
    "x = (  # left open",
    "%matplotlib inline\n!pip install emlib\ndef after():\n    return before() + 1",
]


def test_a_bad_cell_costs_only_itself(sandbox):
    with Pupil(BAD_CELLS, sandbox, SHORT) as pupil:
        kinds = [cell.kind for cell in pupil.cells]
        assert kinds == [
            "ran",
            "raised",
            "raised",
            "late",
            "raised",
            "lost",
            "raised" if sandbox.name == "wasi" else "lost",
            *["raised"] * 2,
            "ran",
            "raised",
            "ran",
        ]
        assert pupil("after", {}).value == 2
        assert pupil.starts == kinds.count("late") + kinds.count("lost") + 1
        cells = pupil.cells
    assert cells[1].printed == "said\n"
    assert cells[1].problem == "raised ZeroDivisionError: division by zero"
    assert "line 1" in cells[1].detail
    assert cells[3].problem == "did not return within 0.6 s"
    assert cells[5].problem.startswith("ended the process")
    assert cells[6].problem.startswith("raised OSError" if sandbox.name == "wasi" else "crashed (segmentation fault")
    assert cells[11].remark == "left out: %matplotlib inline; !pip install emlib"


BAD_CALLS = """
import os, sys, time

def good():
    return 1

def hangs():
    while True:
        pass

def sleeps():
    time.sleep(1e6)

def leaves():
    os._exit(0)

def crashes():
    import ctypes
    ctypes.string_at(0)

def sorts():
    return sorted(range(10**9))

def fills():
    return [bytearray(10**6) for _ in range(10**9)]

def piles():
    with open("pile", "wb") as file:
        while True:
            file.write(bytes(10**6))

def litters():
    for i in range(10**6):
        open(str(i), "w").close()

def floods():
    while True:
        os.write(4, bytes(10**6))

def babbles():
    os.write(4, b"not what was agreed")

def closes():
    os.closerange(0, 100)
    time.sleep(1e6)

def nests():
    import json
    json.loads("[" * 10**5 + "]" * 10**5)

def descends():
    class Deep:
        def __repr__(self):
            return repr(Deep())
    repr(Deep())
"""
ENDS = {
    "hangs": ("late", "did not return within 0.6 s"),
    "sleeps": ("late", "did not return within 0.6 s"),
    "leaves": ("lost", "ended the process"),
    "crashes": ("lost", "crashed (segmentation fault"),
    "piles": ("raised", "raised OSError: [Errno 27]"),
    "litters": ("lost", "wrote more than 32 MB of files, or too many"),
    "floods": ("lost", "sent an answer that is none"),
    "babbles": ("lost", "sent an answer that is none"),
    "closes": ("lost", ("ended the process", "crashed")),
    "descends": ("raised", "called itself without end"),
    "nests": ("raised", "called itself without end"),
}
# There, no C is called that could crash, and files lie in memory: what is too much fails at once.
IN_WEBASSEMBLY = {
    "crashes": ("raised", "raised OSError: ctypes is unavailable"),
    "piles": ("raised", "raised OSError: [Errno 51]"),
    "litters": ("raised", "raised OSError: [Errno 51]"),
    "nests": ("lost", "crashed (segmentation fault"),  # the stack of WebAssembly ends before Python's own count does
}


@pytest.mark.parametrize("name", ENDS)
def test_a_bad_call_costs_only_itself(sandbox, name):
    kind, problem = {**ENDS, **(IN_WEBASSEMBLY if sandbox.name == "wasi" else {})}[name]
    limits = SHORT if kind == "late" else dataclasses.replace(SHORT, call_seconds=10)  # on a busy machine too
    with Pupil([BAD_CALLS], sandbox, limits) as pupil:
        assert pupil("good", {}).value == 1
        outcome = pupil(name, {})
        assert outcome.kind == kind
        assert outcome.problem.startswith(problem)
        assert pupil("good", {}).value == 1
        assert pupil.starts <= 3


@pytest.mark.parametrize("name", ["fills", "sorts"])
def test_memory_is_limited(sandbox, name):
    with Pupil([BAD_CALLS], sandbox, Limits(call_seconds=20, memory=200 * 2**20)) as pupil:
        assert pupil(name, {}).problem in ("raised MemoryError", "crashed (aborted, as a rule for want of memory)")
        assert pupil("good", {}).value == 1


def test_a_function_that_ends_the_worker_twice_is_not_called_again(any_sandbox):
    with Pupil([BAD_CALLS], any_sandbox, SHORT) as pupil:
        said = [pupil("leaves", {}).problem for _ in range(4)]
        assert said[0].startswith("ended the process")
        assert said[2] == said[3] == "was not called again, after its process had ended 2 times"
        assert pupil("good", {}).value == 1


def test_the_worker_is_started_so_often_and_no_more(any_sandbox):
    limits = Limits(starts=3, chances=9)
    with Pupil([BAD_CALLS], any_sandbox, limits) as pupil:
        for _ in range(3):
            assert pupil("leaves", {}).problem.startswith("ended the process")
        assert pupil("good", {}) == Outcome(
            "lost", problem="was not called: its notebook had to be started 3 times already"
        )
    with Pupil(["import os; os._exit(0)"] * 5, any_sandbox, limits) as pupil:
        assert [cell.kind for cell in pupil.cells] == ["lost"] * 3 + ["skipped"] * 2
        assert pupil.cells[-1].problem == "the notebook had to be started 3 times already"


def test_the_whole_submission_has_its_time(any_sandbox):
    started = time.monotonic()
    with Pupil(["import time", *["time.sleep(1)"] * 9, BAD_CALLS], any_sandbox, Limits(total_seconds=1.5)) as pupil:
        assert pupil("good", {}).problem == "was not called: its notebook has used up its 1.5 s"
        assert pupil.cells[1].kind == "ran"
        assert pupil.cells[-1].kind == "skipped"
    assert time.monotonic() - started < 5


def test_answers_are_claims():
    honest = {
        "kind": "returned", "value": 1, "problem": "", "detail": "", "printed": "", "n_printed": 0, "changed": (),
    }  # fmt: skip
    assert pupil_module._outcome(honest, {}, 0.5) == Outcome("returned", 1, seconds=0.5)
    lies = [
        None, [], "returned", {}, {**honest, "kind": "late"}, {**honest, "kind": "passed"},
        {**honest, "kind": ["returned"]},
        {**honest, "problem": None}, {**honest, "problem": "x" * 401}, {**honest, "printed": 3},
        {**honest, "detail": "x" * 10**5}, {**honest, "n_printed": -1}, {**honest, "n_printed": 2**64},
        {**honest, "n_printed": True}, {**honest, "n_printed": 1.0}, {**honest, "changed": "x"},
        {**honest, "changed": (1,)}, {**honest, "changed": ["x"]},
    ]  # fmt: skip
    for lie in lies:
        with pytest.raises(BadFrame):
            pupil_module._outcome(lie, {}, 0.5)
    assert pupil_module._outcome({**honest, "changed": ("z", "y")}, {"x": 1, "y": 2}, 0.5).changed == ("y",)
    assert pupil_module._outcome({**honest, "printed": "\x1b[2J\u202eabc\n"}, {}, 0).printed == "\ufffd[2J\ufffdabc\n"
    interrupted = pupil_module._outcome({**honest, "kind": "interrupted"}, {}, 0)
    assert (interrupted.kind, interrupted.value) == ("raised", None)


def test_what_only_jupyter_understands_is_left_out():
    assert python_of("%%time\nx = 1\n") == ("pass\nx = 1\n", ["%%time"])
    assert python_of("%%bash\nrm -rf /")[0] == ""
    assert (
        python_of("files = !ls\nx = %pwd\nhelp?\n?help\nif x:\n    %timeit x")[0]
        == "pass\npass\npass\npass\nif x:\n    pass"
    )
    for untouched in ("x = 7 \\\n% 3", "x = (7\n% 3)", "'''\n!text\n'''", "def broken(:", "x = 1 +", "\x00", ""):
        assert python_of(untouched) == (untouched, [])


def test_the_small_emlib_has_the_data_and_nothing_else(sandbox):
    cell = """
import emlib
from emlib.course import case, check, goal, hint, score
from emlib.data import old_faithful

def rows():
    return len(emlib.data.old_faithful()), check("mixtures.e_step", rows), goal("x"), hint("x"), hint("x", 2)

def modules():
    found = []
    for name in ("models", "engine", "course.exercises", "course.contract", "course.evaluate", "grading.pupil"):
        try:
            __import__("emlib." + name)
        except ImportError:
            continue
        found.append(name)
    return found

def draws():
    import matplotlib.pyplot as plt, scipy.stats, os
    fig, ax = plt.subplots()
    ax.plot([1, 2], label="$x^2$")
    ax.legend()
    fig.savefig("picture.png")
    plt.savefig("picture.pdf")
    plt.show()
    np.savetxt("table.txt", np.eye(2))
    np.save("table.npy", np.eye(2))
    np.testing.assert_array_equal(np.load("table.npy"), np.loadtxt("table.txt"))
    return sorted(os.listdir()), float(scipy.stats.norm.cdf(0))

import numpy as np
"""
    with Pupil([cell], sandbox, Limits(cell_seconds=30, call_seconds=30)) as pupil:
        assert pupil("rows", {}).value == (272, None, None, None, None)
        assert pupil("modules", {}).value == []
        assert pupil("draws", {}).value == (["picture.pdf", "picture.png", "table.npy", "table.txt"], 0.5)


def test_unseeded_numbers_are_the_same_every_time(any_sandbox):
    cell = "import numpy as np, random\ndef draw():\n    return np.random.normal(), random.random()"
    values = []
    for _ in range(2):
        with Pupil([cell], any_sandbox) as pupil:
            values.append(pupil("draw", {}).value)
    assert values[0] == values[1]


def test_nothing_is_left_behind(sandbox):
    with Pupil(["open('trace', 'w').write('x')"], sandbox) as pupil:
        scratch = pupil._line.scratch
        assert (scratch / "trace").exists() == (sandbox.name != "wasi")  # there, files lie in memory
    assert not scratch.exists()
    assert pupil("f", {}).kind == "lost"


def test_a_closed_sandbox_takes_its_workers_and_folders_along():
    name = choose("auto")
    with Sandbox(name) as sandbox:
        process, root = sandbox._process, sandbox.root
        sandbox.start(Limits())
    assert process.poll() is not None
    assert not root.exists()


def test_workers_end_with_the_grader():
    """A grader that is killed leaves no process."""
    script = (
        "from emlib.grading.sandbox import *\nimport os, time\ns = Sandbox()\nl = s.start(Limits())\n"
        "print(s._process.pid, s.root, flush=True)\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    _, root = done.stdout.split()
    until = time.monotonic() + 10
    while any(root in _command(process) for process in os.listdir("/proc") if process.isdecimal()):
        assert time.monotonic() < until
        time.sleep(0.05)
    subprocess.run(["rm", "-rf", root], check=True)


def _command(process):
    try:
        with open(f"/proc/{process}/cmdline") as file:
            return file.read()
    except OSError:
        return ""


def test_what_cannot_be_had_is_refused_in_a_sentence(monkeypatch):
    with pytest.raises(
        NoSandbox, match=r"there is no sandbox 'docker'; there are auto, bwrap\+lock, lock, wasi, unsafe"
    ):
        choose("docker")
    monkeypatch.setattr("emlib.grading.lock.landlock_abi", lambda: 0)
    monkeypatch.setattr("emlib.grading.wasi.trouble", lambda: "Nor is there WebAssembly.")
    for name in ("auto", "lock", "bwrap+lock"):
        with pytest.raises(
            NoSandbox, match=r"code of strangers is not run without one\. No Landlock: it .* WebAssembly\."
        ):
            choose(name)
    assert choose("unsafe") == "unsafe"


def test_bubblewrap_is_named_when_it_is_missing(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(NoSandbox, match="bubblewrap is not installed"):
        choose("bwrap+lock")
    assert choose("auto") == "lock"


def test_the_self_test_tells_a_sandbox_from_none(sandbox, unsafe_sandbox):
    held = self_test(sandbox)
    assert len(held) == 11
    assert [finding.said for finding in held if not finding.good] == []
    open_doors = [finding.what for finding in self_test(unsafe_sandbox) if not finding.good]
    assert {"reading a file of yours", "using the network", "reaching scikit-learn"} <= set(open_doors)


def test_an_error_that_cannot_be_told_costs_its_call(any_sandbox):
    cell = """
class Untold(Exception):
    def __str__(self):
        raise self

def f():
    raise Untold

def g():
    return 1
"""
    with Pupil([cell, "raise Untold"], any_sandbox) as pupil:
        assert pupil.cells[1].problem == "raised Untold"
        assert pupil("f", {}).problem == "raised Untold"
        assert pupil("g", {}).value == pupil.starts == 1
