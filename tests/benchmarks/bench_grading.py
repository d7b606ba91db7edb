"""What the sandbox costs: a locked call beside the same call in this process, the start of a worker, a class.

    make benchmarks            # full size; prints a table
    make benchmarks-smoke      # small inputs, only to see that it runs

The peer is `in_this_process`, which has nothing between the check and the function. A class of 100 submissions with 10
exercises is to take 60 s on two cores; here one process grades it, one submission after the other. The exercises are
small on purpose: what is measured is the grader. Seconds of the processor count too: they do not depend on what else
the machine does.
"""

from __future__ import annotations

import inspect
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
import pytest

from emlib.course.calls import in_this_process
from emlib.course.exercises import mixtures
from emlib.course.sheets import notebook
from emlib.grading.pupil import Pupil
from emlib.grading.sandbox import Limits, NoSandbox, Sandbox

SMOKE = os.environ.get("EMLIB_BENCHMARKS") == "smoke"
CALLS, STARTS, CLASS = (20, 2, 2) if SMOKE else (1_000, 20, 100)
FUNCTIONS, CASES = 10, 6

# As a notebook of the course begins, and ten functions of the size that students write.
NOTEBOOK = [
    "%matplotlib inline\nimport numpy as np\nimport matplotlib.pyplot as plt",
    "import emlib\nfrom emlib.course import check",
    "X = emlib.data.old_faithful()",
    *[f"def f{i}(X, means):\n    return ((X[:, None] - means) ** 2).sum(axis=2)" for i in range(FUNCTIONS)],
    *[f"check('topic.f{i}', f{i})" for i in range(FUNCTIONS)],
    "plt.plot(f0(X, X[:3]))\nplt.show()",
]


@pytest.fixture(scope="module", params=["auto", "wasi"])
def opened(request):
    started = time.perf_counter()
    try:
        sandbox = Sandbox(request.param)
    except NoSandbox as error:
        pytest.skip(str(error))
    print(f"\nsandbox {sandbox.name}, open after {time.perf_counter() - started:.2f} s")
    with sandbox:
        yield sandbox


def distances(X, means):
    return ((X[:, None] - means) ** 2).sum(axis=2)


@pytest.mark.parametrize("n", [5, 1_000, 100_000])
def test_a_call(opened, n):
    inputs = {"X": np.random.default_rng(0).normal(size=(n, 2)), "means": np.eye(2)}
    peer = in_this_process({"f0": distances})
    calls = max(3, CALLS // (1 + n // 5_000))
    with Pupil(NOTEBOOK, opened) as pupil:
        np.testing.assert_array_equal(pupil("f0", inputs).value, peer("f0", inputs).value)
        times = {}
        for name, call in (("here", peer), ("locked", pupil)):
            each = []
            for _ in range(calls):
                started = time.perf_counter()
                call("f0", inputs)
                each.append(time.perf_counter() - started)
            times[name] = 1e3 * float(np.median(each))
    print(f"n = {n:7,}: {times['locked']:7.2f} ms a call, {times['here']:7.2f} ms in this process")


def test_a_start(opened):
    def median(make):
        each = []
        for _ in range(STARTS):
            started = time.perf_counter()
            made = make()
            each.append(time.perf_counter() - started)
            made.close()
        return 1e3 * float(np.median(each))

    empty = median(lambda: opened.start(Limits()))
    whole = median(lambda: Pupil(NOTEBOOK, opened))
    print(
        f"a worker starts in {empty:.0f} ms; with a notebook of {len(NOTEBOOK)} cells it is ready after {whole:.0f} ms"
    )


def test_a_class(opened):
    rng = np.random.default_rng(0)
    inputs = [{"X": rng.normal(size=(200, 2)), "means": rng.normal(size=(3, 2))} for _ in range(CASES)]
    started, used = time.perf_counter(), _processor_seconds(opened)
    for _ in range(CLASS):
        with Pupil(NOTEBOOK, opened) as pupil:
            for i in range(FUNCTIONS):
                for case in inputs:
                    assert pupil(f"f{i}", case).kind == "returned"
    wall = time.perf_counter() - started
    print(
        f"{CLASS} submissions of {FUNCTIONS} functions, {CASES} cases each: {wall:.1f} s, one after the other "
        f"({_processor_seconds(opened) - used:.1f} s of the processor)"
    )


def _processor_seconds(opened):
    """Of this process, and of the workers that have ended."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    with open(f"/proc/{opened._process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return usage.ru_utime + usage.ru_stime + sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def test_a_class_from_files_to_pages(tmp_path):
    """The whole command: 100 students with 10 notebooks each, in two processes; marks, pages and reports included."""
    topics = [f"topic{i}" for i in range(2 if SMOKE else 10)]
    own = [_copy_of_an_exercise(tmp_path / "exercises", topic) for topic in topics]
    _hand_in(tmp_path / "in", topics, 4 if SMOKE else 100)
    (tmp_path / "course.secret").write_text("a secret of the benchmarks")
    words = [str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--secret-file", str(tmp_path / "course.secret")]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "emlib.cli", "grade", *words, "--jobs", "2", "--exercises", *map(str, own)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "there is no sandbox" in done.stderr:
        pytest.skip(done.stderr)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr + done.stdout
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    n = len(list((tmp_path / "in").rglob("*.ipynb")))
    print(f"\n{n} notebooks of 6 functions each, two processes: {wall:.1f} s ({used:.1f} s of the processors)")
    again = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    print(f"once more, with everything known: {time.perf_counter() - again:.1f} s")


def _copy_of_an_exercise(folder, topic):
    """The exercise of chapter 2 under another name, in a file of its own."""
    folder.mkdir(exist_ok=True)
    text = inspect.getsource(mixtures).replace('"mixtures"', f'"{topic}"')
    text = text.replace("from ... import", "from emlib import").replace("from ...", "from emlib.")
    text = text.replace("from ..", "from emlib.course.")
    path = folder / f"{topic}.py"
    path.write_text(text, encoding="utf-8")
    return path


def _hand_in(folder, topics, students):
    """Each student has some functions right, one wrong and one unwritten."""
    functions = list(mixtures.exercise.functions.values())
    for topic in topics:
        for number in range(students):
            sheet = notebook(mixtures.exercise)
            sheet["metadata"]["emlib"]["exercise"] = topic
            for cell in sheet["cells"]:
                name = cell["id"].removeprefix("stub-")
                if cell["id"].startswith("stub-") and name != functions[number % 6].name:
                    wrong = name == functions[(number + 1) % 6].name
                    cell["source"] = (
                        f"def {name}(*inputs):\n    return 0.5"
                        if wrong
                        else mixtures.exercise.functions[name].solution()
                    )
                cell["source"] = "".join(cell["source"]).replace("mixtures.", f"{topic}.")
            path = folder / f"student{number:03d}" / f"{topic}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(sheet), encoding="utf-8")
