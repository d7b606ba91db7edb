"""What a person judges: entered in a table among the results, counted with the rest, and never lost."""

import contextlib
import csv
import dataclasses

import pytest

from emlib import cli
from emlib.course import load
from emlib.grading import session
from emlib.grading.changes import changes
from emlib.grading.classroom import Crew
from emlib.grading.mark import CALLS, Job, grade, roomy
from emlib.grading.rubric import FILE
from emlib.grading.sandbox import Limits
from emlib.grading.session import Settings
from tests.grading.stand_in import SECRET, Inline, answering, sheet, task, unlocked

CRITERIA = ["question", "method", "checks", "limits", "writing"]
TOPIC = "motif_in_peaks"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(session, "crew_of", lambda settings: contextlib.nullcontext(Crew(1, Inline())))


@pytest.fixture
def place(tmp_path):
    """Two students who wrote a report, and a roster of three."""
    (tmp_path / "in").mkdir()
    for name in ("ada", "bob"):
        (tmp_path / "in" / f"{name}.ipynb").write_bytes(sheet(f"name = {name!r}", topic=TOPIC))
    (tmp_path / "course.secret").write_bytes(SECRET)
    (tmp_path / "course.secret").chmod(0o600)
    (tmp_path / "roster.csv").write_text("student,name\nada,Ada\nbob,Bob\ncyd,Cyd\n")
    return Settings(
        tmp_path / "in",
        tmp_path / "out",
        (TOPIC,),
        roster=tmp_path / "roster.csv",
        secret_file=tmp_path / "course.secret",
        opening=unlocked,
    )


def run(place, **changed):
    return session.run(session.plan(dataclasses.replace(place, **changed)))


def rows(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def enter(place, who, **points):
    """Fill in the table, as a spreadsheet would."""
    path = place.out / FILE
    table = rows(path)
    for row in table:
        if row["student"] == who:
            row.update(points)
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(table)


def test_reports_wait_until_they_are_judged(place):
    ran = run(place)
    assert ran.n_waiting == 2
    assert ran.needs_a_look
    table = rows(place.out / FILE)
    assert list(table[0]) == ["student", "exercise", "name", "file", *CRITERIA, "remark"]
    assert [row["student"] for row in table] == ["Ada", "Bob"]  # nothing to read of the third
    assert {row[name] for row in table for name in CRITERIA} == {""}
    grades = {row["student"]: row for row in rows(place.out / "grades.csv")}
    assert (grades["Ada"]["mark"], grades["Ada"]["of"]) == ("0.0", "50")
    assert grades["Ada"][f"{TOPIC}: limits"] == ""
    page = next((place.out / "feedback").glob("ada-*.html")).read_text(encoding="utf-8")
    assert page.count("not judged yet (6 points to be had)") == 5
    assert "2 reports wait for a reader" in (place.out / "class.html").read_text(encoding="utf-8")


def test_points_are_counted_kept_and_shown(place, tmp_path):
    run(place)
    enter(place, "Ada", question="4", method="6", checks="2,5", limits="0", writing="5", remark="<b>Well</b> argued.")
    ran = run(place)
    assert ran.n_known == 2  # nothing was graded again
    assert ran.n_waiting == 1
    assert "One report waits for a reader" in (place.out / "class.html").read_text(encoding="utf-8")
    ada = ran.marks.students[0]
    assert (ada.counted, ada.points) == (17.5, 50)
    grades = {row["student"]: row for row in rows(place.out / "grades.csv")}
    assert [grades["Ada"][f"{TOPIC}: {name}"] for name in CRITERIA] == ["4.0", "6.0", "2.5", "0.0", "5.0"]
    page = next((place.out / "feedback").glob("ada-*.html")).read_text(encoding="utf-8")
    assert "Checks: 2.5 of 6 points" in page
    assert "&lt;b&gt;Well&lt;/b&gt; argued." in page
    # Once more: what was entered is still there.
    run(place)
    assert [rows(place.out / FILE)[0][name] for name in CRITERIA] == ["4", "6", "2.5", "0", "5"]
    assert rows(place.out / FILE)[0]["remark"] == "<b>Well</b> argued."


def test_what_was_entered_under_another_name_is_kept(place):
    run(place, roster=None)
    enter(place, "ada", method="6", remark="Well argued.")
    ran = run(place)  # ada is Ada now
    assert [one.counted for one in ran.marks.students] == [0, 0, 0]
    table = {row["student"]: row for row in rows(place.out / FILE)}
    assert list(table) == ["Ada", "Bob", "ada"]  # bob had nothing to lose
    assert (table["ada"]["method"], table["ada"]["remark"]) == ("6", "Well argued.")
    assert run(place, roster=None).marks.students[0].counted == 6
    run(place, exercises=("blood_cells",))  # nobody has written one
    assert [row["student"] for row in rows(place.out / FILE)] == ["ada"]


def test_lateness_counts_for_the_report_too(place, tmp_path):
    run(place)
    enter(place, "Ada", **dict.fromkeys(CRITERIA, "6"))
    rules = tmp_path / "rules.toml"
    rules.write_text("[due]\nall = 2020-01-01T00:00:00+00:00\n[late]\npercent_per_day = 10\nat_most_percent = 50\n")
    assert run(place, policy=rules).marks.students[0].counted == 15.0


def test_of_projects_to_choose_from_one_counts(place, tmp_path):
    both = {"exercises": ("phase_a_region", TOPIC)}
    assert [one.points for one in run(place, **both).marks.students] == [100, 100, 100]  # all of them are asked
    before = tmp_path / "before"
    place.out.rename(before)
    rules = tmp_path / "rules.toml"
    rules.write_text(f'[choice]\nproject = ["phase_a_region", "{TOPIC}"]\n')
    (place.submissions / "ada_phase_a_region.ipynb").write_bytes(sheet("x = 1", topic="phase_a_region"))
    (place.submissions / "ada.ipynb").rename(place.submissions / f"ada_{TOPIC}.ipynb")
    run(place, policy=rules, **both)
    enter(place, "Bob", question="4")
    ran = run(place, policy=rules, **both)
    ada, bob, cyd = ran.marks.students
    assert [one.points for one in (ada, bob, cyd)] == [50, 50, 50]  # also who handed in nothing, or two
    assert [(one.topic, one.points) for one in bob.exercises] == [("phase_a_region", 0), (TOPIC, 50)]
    assert bob.counted == 4
    page = next((place.out / "feedback").glob("bob-*.html")).read_text(encoding="utf-8")
    assert "4 of 50 points" in page
    assert "Phase a region" not in page
    page = next((place.out / "feedback").glob("ada-*.html")).read_text(encoding="utf-8")
    assert "another one counts in its place" in page
    assert "of 50 points" in (place.out / "class.html").read_text(encoding="utf-8")
    told = {(one.student, one.topic): one.why for one in changes(before, place.out)}
    assert told["Bob", "phase_a_region"] == ("worth: 50 -> 0 points",)
    # What is not worth the same is no choice.
    rules.write_text(f'[choice]\nany = ["mixtures", "{TOPIC}"]\n')
    with pytest.raises(ValueError, match=r"should be worth the same; choice\.any has mixtures 32, motif_in_peaks 50"):
        run(place, policy=rules, exercises=("mixtures", TOPIC))
    (warning,) = session.plan(dataclasses.replace(place, policy=rules)).warnings
    assert "lets students choose mixtures, which is not graded now" in warning


def test_changes_are_told(place, tmp_path):
    run(place)
    before = tmp_path / "before"
    place.out.rename(before)
    run(place)
    enter(place, "Bob", method="4")
    run(place)
    (change,) = changes(before, place.out)
    assert (change.student, change.before, change.after) == ("Bob", 0.0, 4.0)
    assert change.why == ("by hand, method: open -> 4",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace(";;;;;;", ";7;;;;;", 1), "question should be a number from 0 to 6, not '7'"),
        (lambda text: text.replace(";;;;;;", ";;good;;;;", 1), "method should be a number from 0 to 6, not 'good'"),
        (lambda text: text.replace(";;;;;;", ";nan;;;;;", 1), "question should be a number from 0 to 6, not 'nan'"),
        (lambda text: text + text.splitlines()[1] + "\n", "line 4: a second line for Ada and motif_in_peaks"),
        (lambda text: text.replace("student", "who", 1), "has no column 'student'"),
        (lambda text: text.replace("limits", "bounds", 1), "has no column 'limits', which is a criterion of"),
    ],
)
def test_a_mistake_in_the_table_stops_the_run_and_changes_nothing(place, change, said):
    run(place)
    enter(place, "nobody")  # with semicolons
    path = place.out / FILE
    text = change(path.read_text(encoding="utf-8-sig"))
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="rubric") as raised:
        session.plan(place)
    assert said in str(raised.value)
    assert path.read_text(encoding="utf-8") == text


def test_exercises_have_no_rubric(place):
    (place.submissions / "ada.ipynb").write_bytes(sheet("x = 1"))
    (place.submissions / "bob.ipynb").unlink()
    ran = run(place, exercises=("mixtures",))
    assert not (place.out / FILE).exists()
    assert ran.n_waiting == 0
    assert ran.marks.students[0].points == load("mixtures").points == load("mixtures").out_of


def test_projects_have_the_time_they_take():
    limits = Limits()
    assert roomy(limits, [load("mixtures")]) == limits
    more = roomy(limits, [load("mixtures"), load(TOPIC)])
    assert (more.call_seconds, more.total_seconds) == (30.0, CALLS * 30.0)
    assert more.memory == limits.memory
    assert roomy(Limits(call_seconds=60.0), [load(TOPIC)]).call_seconds == 60.0
    for topic in ("phase_a_region", TOPIC, "blood_cells"):
        assert sum(len(one.posed(0)) for one in load(topic).functions.values()) <= CALLS


def test_a_result_is_found_again_under_the_limits_that_were_asked_for():
    job = Job(sheet("x = 1", topic=TOPIC), "ada", "Ada", "ada.ipynb")
    asked = task(TOPIC)
    made = grade(job, asked)
    assert made.key == job.key(asked)
    assert made.limits["call_seconds"] == 30.0


def test_partial_points_reach_the_record():
    made = grade(Job(answering(TOPIC, 0), "ada", "Ada", "ada.ipynb"), task(TOPIC))
    (function,) = made.exercises[0].functions
    assert 0 < made.exercises[0].earned < made.exercises[0].points
    assert function.slips == (load(TOPIC).functions["find_motif"].slips[0].name,)


def test_projects_are_graded_when_they_are_asked_for_only(place, capsys):
    assert TOPIC not in session.plan(dataclasses.replace(place, exercises=())).task.exercises
    assert cli.main(["exercises", "list"]) == 0
    assert (
        f"{TOPIC}: Find the motif in ChIP-seq peaks (20 points and 30 by a reader, 600 minutes)"
        in capsys.readouterr().out
    )
