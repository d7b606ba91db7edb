"""The rules of a course: time, attempts, and a secret; and what spreadsheets and terminals are spared."""

import datetime
import stat

import pytest

from emlib.course import load
from emlib.grading.gradebook import marks_of
from emlib.grading.mark import Job, grade
from emlib.grading.policy import DAY, Policy, read_policy
from emlib.grading.secret import fingerprint, new_secret, read_secret, seed_of
from emlib.grading.wording import file_name, in_a_table, one_line
from tests.grading.stand_in import filled, sheet, task

DUE = datetime.datetime(2026, 11, 20, 23, 59, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
NOW = DUE + 30 * DAY
WHOLE = """
[due]
mixtures = 2026-11-20T23:59:00+01:00
grace_minutes = 15
[late]
percent_per_day = 10
at_most_percent = 50
closed_after_days = 7
[attempts]
count = "last"
at_most = 3
[extensions]
ada = 2
"""


def rules(tmp_path, text):
    path = tmp_path / "policy.toml"
    path.write_text(text)
    return read_policy(path)


def test_no_file_takes_nothing_off():
    assert read_policy(None).lateness("mixtures", "ada", NOW, True, NOW).percent == 0


@pytest.mark.parametrize(
    ("who", "after", "percent"),
    [
        ("bob", -1.0, 0),
        ("bob", 0.010, 0),  # within the grace
        ("bob", 0.011, 10),
        ("bob", 1.0, 10),
        ("bob", 1.001, 20),
        ("bob", 6.5, 50),
        ("bob", 7.5, 100),
        ("ada", 1.9, 0),
        ("ada", 2.5, 10),
    ],
)
def test_lateness(tmp_path, who, after, percent):
    assert rules(tmp_path, WHOLE).lateness("mixtures", who, DUE + after * DAY, False, NOW).percent == percent


def test_other_exercises_are_due_with_all(tmp_path):
    policy = rules(tmp_path, "[due]\nall = 2026-11-20T23:59:00+01:00\n[late]\npercent_per_day = 10\n")
    assert policy.lateness("kmeans", "bob", DUE + DAY, False, NOW).percent == 10


@pytest.mark.parametrize("when", [NOW + 400 * DAY, datetime.datetime(1980, 1, 1, tzinfo=datetime.UTC)])
def test_a_clock_that_is_wrong_costs_nothing_and_is_said(tmp_path, when):
    late = rules(tmp_path, WHOLE).lateness("mixtures", "bob", when, False, NOW)
    assert late.percent == 0
    assert "cannot be right" in late.doubt


def test_late_without_a_time_is_one_day_and_is_said(tmp_path):
    late = rules(tmp_path, WHOLE).lateness("mixtures", "bob", None, True, NOW)
    assert late.percent == 10
    assert "does not say by how much" in late.doubt
    assert rules(tmp_path, WHOLE).lateness("mixtures", "bob", None, False, NOW).percent == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[due", "is not TOML"),
        ("[dew]\nall = 1", "'dew' is not a table: did you mean 'due'?"),
        ("due = 3", "due should be a table, [due], not 3"),
        ("[due]\nall = 2026-11-20T23:59:00", "should say its offset from UTC"),
        ("[due]\nall = 'Friday'", "should be a date and a time"),
        ("[late]\npercent_per_day = 110", "from 0 to 100, not 110"),
        ("[late]\npercent_per_day = true", "not True"),
        ("[late]\npercent = 1", "'percent' is not an entry of [late]"),
        ("[attempts]\ncount = 'worst'", '"best", "last" or "first"'),
        ("[attempts]\nat_most = 0", "whole number from 1"),
        ("[extensions]\nada = 'two'", "extensions.ada should be a number"),
        ("[choice]\nproject = ['blood_cells']", "choice.project should be a list of two or more exercises"),
        ("[choice]\none = ['kmeans', 'hmm']\nother = ['hmm', 'gibbs']", "'hmm' stands twice"),
    ],
)
def test_a_policy_that_is_none(tmp_path, text, said):
    with pytest.raises(ValueError, match=r"policy\.toml") as error:
        rules(tmp_path, text)
    assert said in str(error.value)


# ---------------------------------------------------------------- attempts
def attempt(raw, when):
    return grade(Job(raw, "bob", "Bob", f"{when}.ipynb", 0, (DUE + when * DAY).isoformat()), task())


def counted(policy):
    good, bad = filled(), sheet("def first_fall(trace): return -1")
    records = [attempt(good, 2.5), attempt(bad, -1), attempt(filled(fit="def fit(*a): return 0"), -2)]
    [student] = marks_of(records, [load("mixtures")], policy, None, now=NOW).students
    return student.exercises[0]


@pytest.mark.parametrize(
    ("count", "at_most", "earned", "marked", "which"),
    [
        ("best", 9, 25, 25.0, 1),  # 32 less 30 % is 22.4: the attempt before is worth more
        ("last", 9, 32, 22.4, 3),
        ("first", 9, 25, 25.0, 1),
        ("last", 2, 0, 0.0, 2),
    ],
)
def test_attempts(count, at_most, earned, marked, which):
    mark = counted(Policy(due={"all": DUE}, percent_per_day=10, count=count, most_attempts=at_most))
    assert (mark.earned, mark.counted, mark.attempt, mark.attempts) == (earned, marked, which, 3)


# ---------------------------------------------------------------- secrets
def test_a_new_secret_is_its_owners_and_never_replaced(tmp_path):
    path = tmp_path / "course.secret"
    new_secret(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = read_secret(path)
    assert len(secret) == 64
    with pytest.raises(ValueError, match="is there already"):
        new_secret(path)
    assert read_secret(path) == secret


@pytest.mark.parametrize("content", [None, b"", b"guess me"])
def test_no_secret_is_one_sentence_that_says_how_to_make_one(tmp_path, content):
    path = tmp_path / "course.secret"
    if content is not None:
        path.write_bytes(content)
    for where in (path, None, tmp_path):
        with pytest.raises(ValueError, match=r"emlib grade --new-secret course\.secret makes one"):
            read_secret(where)


def test_seeds_differ_by_student_exercise_and_secret():
    names = [(b"s" * 16, "ada", "mixtures"), (b"t" * 16, "ada", "mixtures"), (b"s" * 16, "adam", "ixtures")]
    names += [(b"s" * 16, "ad", "amixtures"), (b"s" * 16, "bob", "mixtures"), (b"s" * 16, "ada", "kmeans")]
    assert len({seed_of(*name) for name in names}) == len(names)
    # The mark of a year ago can be found again: HMAC-SHA256 of "3:adamixtures", its first eight bytes.
    import hashlib
    import hmac

    digest = hmac.new(b"s" * 16, b"3:adamixtures", hashlib.sha256).digest()
    assert seed_of(*names[0]) == int.from_bytes(digest[:8])
    assert b"s" * 16 not in fingerprint(b"s" * 16).encode()


# ---------------------------------------------------------------- wording
@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", "\n-2"])
def test_formulas_are_text(start):
    assert in_a_table(start).startswith("'")
    assert in_a_table(f"a{start}").startswith("a")


def test_terminals_are_not_obeyed():
    hostile = "Ada\x1b]0;owned\x07\x9b31m\u202etxt.exe\x00\ud800"
    assert one_line(hostile).isprintable()
    assert len(one_line("x" * 10_000)) == 500


@pytest.mark.parametrize("student", ["../../etc/passwd", "CON", "", "\ud800", "a" * 5000, "Ärger", "<b>", "a/b", ".."])
def test_names_of_files_are_harmless_and_different(student):
    name = file_name(student)
    assert len(name) < 60
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert name != file_name(student + " ")
