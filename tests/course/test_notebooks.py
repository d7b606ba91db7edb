"""The same verdict in pytest, and what the command line makes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from emlib import cli
from emlib.course import load
from emlib.course.sheets import notebook
from emlib.course.submissions import cells_of, functions_of, topic_of

ROOT = Path(__file__).resolve().parents[2]


def handed_in(path, replace):
    """A notebook of chapter 2 with some stubs replaced."""
    exercise = load("mixtures")
    sheet = notebook(exercise)
    for cell in sheet["cells"]:
        name = cell["id"].removeprefix("stub-")
        if name in replace:
            cell["source"] = replace[name]
    path.write_text(json.dumps(sheet), encoding="utf-8")
    return path


def test_a_check_needs_numpy_and_no_models():
    """It must also run where only NumPy is: in the browser, and in the locked worker of the grader."""
    program = (
        "import sys; from emlib.course import check; check('mixtures.fit', lambda *given: None); "
        "print([name for name in sys.modules if name.partition('.')[0] in ('sklearn', 'matplotlib', 'pandas') "
        "or name.startswith(('emlib.models', 'emlib.engine', 'emlib.view', 'threading.'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def run_pytest(*arguments):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/exercises/test_submission.py",
        "tests/test_cli.py",
    ]
    done = subprocess.run([*command, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_pytest_says_what_the_notebook_says(tmp_path):
    exercise = load("mixtures")
    right = exercise.functions["log_sum_exp"].solution()
    naive = "def responsibilities(a):\n    return np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)\n"
    path = handed_in(tmp_path / "my.ipynb", {"log_sum_exp": right, "responsibilities": naive})
    status, said = run_pytest("--submission", path)
    assert status == 1
    assert "1 passed" in said
    assert "5 failed" in said
    assert "mixtures.responsibilities: 3 of 5 points" in said
    assert "0/0 is nan" in said
    assert "mixtures.fit: not written yet" in said


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("no.ipynb", None, "there is no file"),
        ("text.ipynb", "hello", "is not a notebook: it is no JSON"),
        ("other.ipynb", '{"cells": 3}', "has no list of cells"),
        ("foreign.ipynb", '{"cells": [], "metadata": {}}', "belongs to no exercise"),
    ],
)
def test_pytest_on_something_else(name, text, said, tmp_path):
    path = tmp_path / name
    if text is not None:
        path.write_text(text, encoding="utf-8")
    status, out = run_pytest("--submission", path)
    assert status == 4
    assert said in out
    assert "Traceback" not in out


def test_cells_run_as_far_as_they_can(tmp_path):
    code = lambda source: {"cell_type": "code", "source": source}  # noqa: E731
    cells = [
        code("%matplotlib inline\n!ls\na = 1"),
        code("raise ValueError"),
        code("import sys\nsys.exit()"),
        code("b = a + 1\nprint('quiet')"),
        {"cell_type": "markdown", "source": "b = 7"},
        code(["check('gibbs.sweep',", " b)"]),
    ]
    path = tmp_path / "mine.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}}), encoding="utf-8")
    assert functions_of(path)["b"] == 2
    assert len(cells_of(path)) == 5
    assert topic_of(path) == "gibbs"


def test_the_command_builds_what_it_lists(tmp_path, capsys):
    assert cli.main(["exercises", "new", "kalman", "--out", str(tmp_path)]) == 0
    module = tmp_path / "kalman.py"
    assert cli.main(["exercises", "list", str(module)]) == 0
    assert "kalman: Its title (3 points, 45 minutes)" in capsys.readouterr().out
    assert cli.main(["exercises", "build", str(module), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("wrote") == 2
    assert cli.main(["exercises", "build", str(module), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""  # nothing to do


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "mixture"], "did you mean 'mixtures'?"),
        (["build", "none.py"], "there is no file none.py"),
        (["new", "two words"], "a topic is a name of letters"),
    ],
)
def test_the_command_refuses_in_a_sentence(arguments, said, capsys):
    assert cli.main(["exercises", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("emlib exercises: ")
    assert said in error
    assert error.count("\n") == 1


def test_new_never_overwrites(tmp_path, capsys):
    cli.main(["exercises", "new", "kalman", "--out", str(tmp_path)])
    (tmp_path / "kalman.py").write_text("mine", encoding="utf-8")
    assert cli.main(["exercises", "new", "kalman", "--out", str(tmp_path)]) == 2
    assert (tmp_path / "kalman.py").read_text(encoding="utf-8") == "mine"
    assert "exists" in capsys.readouterr().err
