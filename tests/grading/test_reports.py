"""The report on the class, and what goes to Gradescope."""

import html
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from emlib import cli
from emlib.course import load
from emlib.grading.class_report import class_report
from emlib.grading.classroom import place_of
from emlib.grading.gradebook import marks_of
from emlib.grading.gradescope import main
from emlib.grading.items import counting, items, slips
from emlib.grading.mark import Job, grade
from emlib.grading.policy import Policy
from tests.grading.stand_in import SECRET, answering, filled, sheet, starter, task, unlocked

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of wrong answers
MIXTURES = load("mixtures")


@pytest.fixture(scope="module")
def graded():
    raws = [
        filled(),
        filled(fit="def fit(*a): return 0"),
        starter(),
        answering("mixtures", 0),
        answering("mixtures", 1),
    ]
    records = [grade(Job(raw, f"s{i}", f"S{i}", f"{i}.ipynb"), task()) for i, raw in enumerate(raws)]
    marks = marks_of(records, [MIXTURES], Policy(), None, sandbox="lock")
    return marks, {place_of(Path(), record).name: record for record in records}


def test_items_by_hand(graded):
    marks, results = graded
    attempts = counting(marks, results, "mixtures")
    assert len(attempts) == 5
    found = {(item.id, item.title): item for item in items(attempts)}
    one = found["mixtures.fit", "one iteration"]
    passed = [a.functions[4].checks[0].earned > 0 for a in attempts]
    rest = [a.earned - a.functions[4].checks[0].earned for a in attempts]
    assert one.passed == np.mean(passed)
    assert one.discrimination == pytest.approx(np.corrcoef(passed, rest)[0, 1])
    assert items([]) == []


def test_slips_are_counted_and_explained(graded):
    marks, results = graded
    found = slips(counting(marks, results, "mixtures"), MIXTURES)
    expected = {(f.id, f.slips[i].why) for f in MIXTURES.functions.values() for i in (0, 1)}
    assert {(id, why) for id, why, _ in found} == expected
    assert all(n == 1 for *_, n in found)


def test_the_report_stands_alone_and_has_words_for_every_picture(graded):
    marks, results = graded
    page = class_report(marks, results, [MIXTURES])
    images = re.findall(r"<img [^>]*>", page)
    assert len(images) == 4
    for image in images:
        assert 'src="data:image/svg+xml;base64,' in image
        assert len(html.unescape(re.search(r'alt="([^"]*)"', image)[1])) > 40
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", page)
    assert "<script" not in page
    assert "Median" in page


def test_a_class_of_nobody_has_a_report():
    marks = marks_of([], [MIXTURES], Policy(), None)
    assert "0 of 0 students" in class_report(marks, {}, [MIXTURES])


# ---------------------------------------------------------------- Gradescope
@pytest.fixture
def autograder(tmp_path):
    secret = tmp_path / "course.secret"
    secret.write_bytes(SECRET)
    out = tmp_path / "autograder.zip"
    assert cli.main(["gradescope-zip", "--exercises", "mixtures", "--secret-file", str(secret), "--out", str(out)]) == 0
    home = tmp_path / "autograder"
    with zipfile.ZipFile(out) as archive:
        archive.extractall(home / "source")
        modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
    assert modes["setup.sh"] == modes["run_autograder"] == 0o755
    (home / "submission").mkdir()
    (home / "submission_metadata.json").write_text(json.dumps({"users": [{"email": "Ada@example.org"}]}))
    return home


def results(home):
    return json.loads((home / "results" / "results.json").read_text())


def test_the_autograder_is_whole(autograder):
    source = autograder / "source"
    assert (source / "emlib" / "grading" / "templates" / "feedback.html").is_file()
    assert not list(source.rglob("__pycache__"))
    pins = (source / "requirements.txt").read_text().split()
    assert all("==" in pin for pin in pins)
    for name in ("setup.sh", "run_autograder"):
        assert subprocess.run(["bash", "-n", source / name], check=False).returncode == 0
    code = "import emlib.grading.gradescope as g; print(g.__file__)"
    # From the zip alone: no emlib of this environment comes in.
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=source,
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().startswith(str(source))


def test_results_for_gradescope(autograder):
    (autograder / "submission" / "mixtures.ipynb").write_bytes(
        filled(
            fit="def fit(*a):\n    raise ValueError(repr(a))",
            first_fall="def first_fall(trace):\n    return 0 if trace[-1] < 0 else -1",
        )
    )
    assert main(autograder, opening=unlocked) == 0
    found = results(autograder)
    assert found["score"] == sum(test["score"] for test in found["tests"])
    assert sum(test["max_score"] for test in found["tests"]) == MIXTURES.points
    by_name = {test["name"]: test for test in found["tests"]}
    assert by_name["fit: one iteration"]["output"] == "your function raised ValueError"
    assert by_name["log_sum_exp: ordinary numbers"]["status"] == "passed"
    assert all(test["output_format"] == "text" for test in found["tests"])
    assert found["stdout_visibility"] == "hidden"


def test_a_submission_without_notebook_says_so(autograder):
    assert main(autograder, opening=unlocked) == 0
    assert results(autograder)["score"] == 0
    assert "There is no notebook" in results(autograder)["output"]


def test_a_broken_notebook_says_so(autograder):
    (autograder / "submission" / "a.ipynb").write_bytes(b"{")
    assert main(autograder, opening=unlocked) == 0
    found = results(autograder)
    assert found["score"] == 0
    assert "is no notebook" in found["output"]
    assert found["tests"][0]["max_score"] == MIXTURES.points


def test_without_a_sandbox_nothing_is_graded(autograder, monkeypatch, capsys):
    from emlib.grading import gradescope
    from emlib.grading.sandbox import NoSandbox

    def none(name):
        raise NoSandbox("there is no sandbox on this machine")

    monkeypatch.setattr(gradescope, "chosen", none)
    (autograder / "submission" / "a.ipynb").write_bytes(sheet("x = 1"))
    assert main(autograder) == 1
    assert "Nothing was graded: there is no sandbox" in capsys.readouterr().out
    assert not (autograder / "results").exists()


def test_the_same_person_has_the_same_seed_on_every_attempt(autograder):
    from emlib.grading.gradescope import _people

    path = autograder / "submission_metadata.json"
    assert _people(path) == "ada@example.org"
    path.write_text(json.dumps({"users": [{"email": "b@x"}, {"email": "a@x"}]}))
    assert _people(path) == "a@x+b@x"
    path.write_text("{")
    assert _people(path) == "somebody"
