"""One check, three places: `check` in a notebook, pytest, and the grader give the same marks for the same answers."""

import re

import pytest

from emlib.course import check, load, projects, topics
from emlib.course.calls import in_this_process
from emlib.course.evaluate import evaluate
from emlib.course.submissions import functions_of, topic_of
from emlib.grading.mark import Job, grade
from emlib.grading.openings import locked_in
from emlib.grading.sandbox import NoSandbox, choose
from emlib.grading.secret import seed_of
from tests.grading.stand_in import SECRET, answering, starter, task, unlocked

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of wrong answers


def there(sandbox):
    try:
        return choose(sandbox)
    except NoSandbox as error:
        pytest.skip(str(error))


OPENINGS = {
    "in this process": (unlocked, lambda: "none"),
    "locked in": (locked_in, lambda: there("lock")),
    "in WebAssembly": (locked_in, lambda: there("wasi")),
}
SLOW = [way for way in OPENINGS if way != "in this process"]


def seen(report, way=""):
    """What a mark consists of; numbers and words included, since students and instructors are told the same.

    In WebAssembly runs a newer Python, whose own errors are worded differently.
    """
    checks = getattr(report, "results", None) or report.checks
    said = [re.sub(r"( raised \w+):.*", r"\1", c.problem) if way == "in WebAssembly" else c.problem for c in checks]
    of_checks = [(c.title, c.points, c.earned, c.case, words, c.numbers) for c, words in zip(checks, said, strict=True)]
    return of_checks, report.slips, report.unwritten


@pytest.mark.parametrize("way", [pytest.param(w, marks=[pytest.mark.slow] * (w in SLOW)) for w in OPENINGS])
@pytest.mark.parametrize("topic", [*topics(), *(pytest.param(t, marks=pytest.mark.slow) for t in projects())])
def test_reference_starter_and_every_slip(topic, way, tmp_path):
    opening, sandbox = OPENINGS[way]
    exercise = load(topic)
    seed = seed_of(SECRET, "ada", topic)
    judged = 0
    for which in (None, *range(max(len(f.slips) for f in exercise.functions.values()))):
        raw = answering(topic, which)
        path = tmp_path / f"{which}.ipynb"
        path.write_bytes(raw)
        assert topic_of(path) == topic
        names = functions_of(path)  # as the pytest plugin does
        record = grade(Job(raw, "ada", "Ada", path.name), task(topic, opening=opening, sandbox=sandbox()))
        assert record.status == "graded", record.reason
        assert record.exercises[0].seed == seed
        for function, graded in zip(exercise.functions.values(), record.exercises[0].functions, strict=True):
            slips = [slip.answer for slip in function.slips]
            if which is not None and which >= len(slips):
                assert graded.unwritten
                continue
            answer = function.reference if which is None else slips[which]
            by_check = check(function.id, answer, seed=seed).report
            by_pytest = evaluate(function, in_this_process({function.name: names[function.name]}), seed)
            assert seen(graded, way) == seen(by_check, way) == seen(by_pytest, way), (function.id, which)
            assert (graded.earned == graded.points) == (which is None)
            judged += 1
    assert judged == sum(len(f.slips) + 1 for f in exercise.functions.values())


@pytest.mark.parametrize("topic", topics() + projects())
def test_the_starter_earns_nothing_and_is_greeted(topic):
    record = grade(Job(starter(topic), "ada", "Ada", "ada.ipynb"), task(topic))
    assert record.exercises[0].earned == 0
    assert all(function.unwritten for function in record.exercises[0].functions)
    assert {c.problem for f in record.exercises[0].functions for c in f.checks} == {"not written yet"}
