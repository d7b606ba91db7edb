"""Nothing hidden reaches a page that a student sees, however hard the code under grading tries."""

import re
from pathlib import Path

import numpy as np
import pytest

from emlib.course import load
from emlib.grading.classroom import place_of
from emlib.grading.feedback import feedback
from emlib.grading.gradebook import marks_of
from emlib.grading.gradescope import results_json
from emlib.grading.mark import Job, grade
from emlib.grading.policy import Policy
from emlib.grading.secret import seed_of
from emlib.grading.student_view import see
from tests.grading.stand_in import SECRET, sheet, task

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of wrong answers
MIXTURES = load("mixtures")
# Each carries the first number of its inputs out, as text or as a whole number from 10^6 to 10^7.
NUMBER = "int(1e6 + abs(float(a.flat[0])) % 1 * 8999999)"
SMUGGLERS = {
    "in the text of an exception": f"    raise ValueError('x' * 3 + str({NUMBER}))",
    "in the name of an exception": f"    raise type('E' + str({NUMBER}), (Exception,), {{}})()",
    "as the name of a known exception": f"    raise type('ValueError' + str({NUMBER}), (Exception,), {{}})('no')",
    "in the shape of an array": f"    return np.zeros(({NUMBER}, 0))",
    "in the length of a list": f"    return ['x'] * ({NUMBER} % 99991)",
    "in the name of a type": f"    return type('T' + str({NUMBER}), (), {{}})()",
    "in what it prints": f"    print({NUMBER})\n    return a",
    "in how much it prints": f"    print('x' * {NUMBER}, end='')\n    return a",
    "in the key of a dictionary": f"    return {{str({NUMBER}): 1}}",
    "in its own signature": (
        f"    global log_sum_exp\n    n = {NUMBER}\n"
        "    exec(f'def log_sum_exp(b, c={n}, *, d): pass', globals())\n    return a"
    ),
    "in a numeric answer": f"    return np.full(len(a), {NUMBER})",
    "in its documentation": f"    log_sum_exp.__doc__ = log_sum_exp.__name__ = str({NUMBER})\n    raise RuntimeError",
}


def graded(*cells):
    job = Job(sheet(*cells), "ada", "Ada", "ada.ipynb")
    record = grade(job, task())
    marks = marks_of([record], [MIXTURES], Policy(), None)
    return record, marks.students[0], {place_of(Path(), record).name: record}


def told(seed):
    """The numbers that may not be told: what the smugglers carry out, of every case."""
    cases = MIXTURES.functions["log_sum_exp"].inputs(seed)
    numbers = [int(1e6 + abs(float(inputs["a"].flat[0])) % 1 * 8999999) for inputs in cases.values()]
    return [str(n) for n in numbers] + [str(n % 99991) for n in numbers]


@pytest.mark.parametrize("way", SMUGGLERS)
def test_smuggled_numbers_stay_with_the_instructor(way):
    code = f"import numpy as np\ndef log_sum_exp(a):\n{SMUGGLERS[way]}"
    record, mark, results = graded(code)
    secrets = told(seed_of(SECRET, "ada", "mixtures"))
    page = feedback(mark, results, [MIXTURES])
    exported = str(results_json(mark, [record], see(mark, results, [MIXTURES])))
    digits = set(re.findall(r"\d+", (page + exported).replace(",", "")))
    for number in secrets:
        assert number not in digits, f"{number} was carried out {way}"
        assert not any(number in run for run in digits if len(number) > 5), f"{number} was carried out {way}"
    function = record.exercises[0].functions[0]
    assert not function.unwritten
    assert function.earned == 0


def test_the_smugglers_would_succeed_without_the_gate():
    """The test above can fail: the instructor's record does hold the numbers."""
    secrets = told(seed_of(SECRET, "ada", "mixtures"))
    caught = 0
    for body in SMUGGLERS.values():
        record, _, _ = graded(f"import numpy as np\ndef log_sum_exp(a):\n{body}")
        caught += any(number in str(record.exercises) for number in secrets)
    assert caught >= 8


def test_numbers_tracebacks_and_printed_text_are_the_instructors():
    record, mark, results = graded(
        "import numpy as np\ndef log_sum_exp(a):\n    print('LOUD')\n    return a.sum(axis=1)"
    )
    function = record.exercises[0].functions[0]
    assert function.printed.startswith("LOUD")
    hidden = function.checks[0].numbers
    assert "should be" in hidden
    page = feedback(mark, results, [MIXTURES])
    assert "LOUD" not in page
    assert hidden not in page
    assert "should be" not in re.sub(r"<details.*?</details>", "", page, flags=re.DOTALL)


def test_what_helps_is_there():
    from emlib.course.contract import source_of

    slip = next(s for s in MIXTURES.functions["log_sum_exp"].slips if s.name == "naive")
    code = "import numpy as np\n" + source_of(slip.answer).replace("naive", "log_sum_exp")
    _, mark, results = graded(code, "1 / 0", "def first_fall(trace):\n    return [1, 2]")
    page = feedback(mark, results, [MIXTURES])
    assert "A known slip." in page
    assert slip.why.split(",")[0] in page
    assert "3 hints" in page
    assert "ZeroDivisionError" in page  # of a cell, before any hidden input was drawn
    assert "There is no function m_step in the notebook." in page
    assert "expected a single number, got an array of shape (2,)" in page


def test_sizes_that_help_are_told():
    code = (
        "import numpy as np\ndef responsibilities(a):\n    return (np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)).T"
    )
    _, mark, results = graded(code)
    assert "did you transpose?" in feedback(mark, results, [MIXTURES])


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}"])
def test_pages_escape_whatever_they_are_given(name):
    job = Job(sheet(f"raise ValueError({name!r})"), name, name, f"{name}.ipynb")
    record = grade(job, task())
    marks = marks_of([record], [MIXTURES], Policy(), None)
    page = feedback(marks.students[0], {place_of(Path(), record).name: record}, [MIXTURES])
    assert "<script" not in page
    assert "<img" not in page
    assert ">49<" not in page
    assert "Content-Security-Policy" in page


def test_the_gate_does_not_depend_on_luck():
    assert len(set(told(seed_of(SECRET, "ada", "mixtures")))) >= 5
    assert np.isfinite([int(n) for n in told(1)]).all()
