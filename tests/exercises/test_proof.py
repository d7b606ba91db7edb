"""What is promised of every exercise, proven for each one that is there and each one that will come."""

import inspect
import json
import re
from pathlib import Path

import numpy as np
import pytest

from emlib.course import check, exercises, load, topics
from emlib.course.calls import in_this_process, outcome_of
from emlib.course.evaluate import evaluate
from emlib.course.sheets import notebook, solutions, sources
from emlib.course.submissions import functions_of

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of wrong answers
ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book" / "exercises"
FUNCTIONS = [function for topic in topics() for function in load(topic).functions.values()]
PAGES = re.findall(r"file: book/((?:principles|applications)/\w+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
EACH_EXERCISE = pytest.mark.parametrize("topic", topics())
EACH_FUNCTION = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.id)


def verdict(function, answer, seed=0):
    return evaluate(function, in_this_process({function.name: answer}), seed)


# ---------------------------------------------------------------- the exercise as a whole
def test_every_module_is_listed():
    modules = {path.stem for path in Path(inspect.getfile(exercises)).parent.glob("[!_]*.py")}
    assert modules == set(topics())


def test_every_chapter_is_listed():
    """In the order of the book; one without an exercise, too, since the others are numbered like their chapters."""
    assert tuple(page.rpartition("/")[2] for page in PAGES) == exercises.CHAPTERS


@EACH_EXERCISE
def test_is_whole(topic):
    exercise = load(topic)
    assert exercise.topic == topic
    assert sum(len(function.slips) for function in exercise.functions.values()) >= 4
    for function in exercise.functions.values():
        assert function.checks, f"{function.id} gives no points"
        assert all(check.points > 0 for check in function.checks)
        assert function.hints, f"{function.id} has no hints"
        assert function.example_inputs is not None, f"{function.id} does not show what it wants"
        assert bool(function.alt) == (function.picture is not None)
        used = {name for check in function.checks for name in check.cases or function.inputs(0)}
        assert used == set(function.inputs(0)), f"{function.id} draws cases that no check looks at"


@EACH_EXERCISE
def test_the_book_has_its_notebook_and_its_solutions(topic):
    exercise = load(topic)
    stored = json.loads((BOOK / f"{topic}.ipynb").read_text(encoding="utf-8"))
    remedy = "run: emlib exercises build --out book/exercises, then: make notebooks"
    assert sources(stored) == sources(notebook(exercise)), remedy
    assert (BOOK / "solutions" / f"{topic}.md").read_text(encoding="utf-8") == solutions(exercise), remedy


@EACH_EXERCISE
def test_links_to_its_chapter_as_soon_as_there_is_one(topic):
    """By the number that the table of contents gives it; where this fails, the `part` of the exercise is wrong."""
    _, chapter = exercises.CHAPTER_OF[topic]
    of_topic = [(str(number), page) for number, page in enumerate(PAGES, start=1) if page.endswith(f"/{chapter}")]
    intro = "".join(notebook(load(topic))["cells"][0]["source"])
    assert re.findall(r"to \[chapter (\d+)\]\(\.\./([\w/]+)\.ipynb\)", intro) == of_topic


@EACH_EXERCISE
def test_the_printed_solutions_stand_alone(topic, tmp_path):
    """Pasted into the notebook's cells they score everything: they use each other, NumPy and nothing of ours."""
    exercise = load(topic)
    sheet = notebook(exercise)
    for cell in sheet["cells"]:
        name = cell["id"].removeprefix("stub-")
        if cell["id"].startswith("stub-"):
            cell["source"] = exercise.functions[name].solution()
    path = tmp_path / "done.ipynb"
    path.write_text(json.dumps(sheet), encoding="utf-8")
    names = functions_of(path)
    for function in exercise.functions.values():
        assert verdict(function, names[function.name]).passed, function.id


@EACH_EXERCISE
def test_untouched_starter_scores_nothing_and_is_greeted(topic):
    for function in load(topic).functions.values():
        names = {"np": np}
        exec(function.stub(), names)
        assert inspect.getdoc(names[function.name]) == inspect.getdoc(function.reference)
        report = verdict(function, names[function.name])
        assert report.earned == 0
        assert report.unwritten
        assert "not written yet" in str(check(function.id, names[function.name]))


# ---------------------------------------------------------------- right answers
@EACH_FUNCTION
def test_right_answers_score_everything(function):
    for answer in (function.reference, *function.alternatives.values()):
        for seed in range(5):
            report = verdict(function, answer, seed)
            assert report.earned == report.points, (answer.__name__, report.results)
            assert not report.slips


FORMS = {
    "single precision": lambda a: np.asarray(a, np.float32) if np.asarray(a).dtype.kind == "f" else a,
    "lists": lambda a: np.asarray(a).tolist(),
    "Fortran order": lambda a: np.asfortranarray(a) if np.ndim(a) else a,
    "a view with gaps": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if np.ndim(a) else a,
}


@pytest.mark.parametrize("form", FORMS)
@EACH_FUNCTION
def test_right_answers_in_another_form(function, form):
    def answer(*inputs):
        right = function.reference(*inputs)
        many = len(function.returns) > 1
        changed = [part if part is None else FORMS[form](part) for part in (right if many else (right,))]
        return changed if many else changed[0]

    report = verdict(function, answer)
    assert report.passed, report.results


# ---------------------------------------------------------------- wrong answers
@EACH_FUNCTION
def test_slips_are_rejected_and_named(function):
    for slip in function.slips:
        for seed in range(5):
            report = verdict(function, slip.answer, seed)
            assert not report.passed, (slip.name, seed)
            assert report.slips == (slip.name,), (slip.name, seed, report.results)


@pytest.mark.slow
@EACH_FUNCTION
def test_no_slip_ever_passes_and_no_right_answer_ever_fails(function):
    for seed in range(1000):
        cases = {name: (inputs, function.expected(inputs)) for name, inputs in function.inputs(seed).items()}

        def passes(answer, cases=cases):
            return all(
                (outcome := outcome_of(answer, inputs)).kind == "returned"
                and not outcome.changed
                and function.compare(outcome.value, expected, inputs, function.returns) is None
                for inputs, expected in cases.values()
            )

        for answer in (function.reference, *function.alternatives.values()):
            assert passes(answer), (answer.__name__, seed)
        for slip in function.slips:
            assert not passes(slip.answer), (slip.name, seed)


class Liar:
    """Equal to everything, of any length, and an array if asked."""

    def __eq__(self, other):
        return True

    __hash__ = None

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self

    def __array__(self, dtype=None, copy=None):
        return np.zeros(1)


class LyingArray(np.ndarray):
    """An array that agrees with all."""

    def __eq__(self, other):
        return np.ones(self.shape, bool)

    def __sub__(self, other):
        return np.zeros(self.shape)

    __rsub__ = __sub__
    __hash__ = None

    @property
    def shape(self):
        return (3,)


def shaped(filling):
    """Of the right shape, filled with one number."""

    def answer(function, inputs):
        right = function.reference(*inputs)
        parts = [np.full(np.shape(part), filling) for part in (right if len(function.returns) > 1 else (right,))]
        return parts if len(parts) > 1 else parts[0]

    return answer


WRONG = {
    "nothing": lambda function, inputs: None,
    "zero": lambda function, inputs: 0,
    "one": lambda function, inputs: 1,
    "minus one": lambda function, inputs: -1,
    "nan": lambda function, inputs: float("nan"),
    "true": lambda function, inputs: True,
    "text": lambda function, inputs: "0.5",
    "an empty list": lambda function, inputs: [],
    "ragged rows": lambda function, inputs: [[1.0, 2.0], [3.0]],
    "zeros": shaped(0.0),
    "ones": shaped(1.0),
    "a half": shaped(0.5),
    "not numbers": shaped(np.nan),
    "infinity": shaped(np.inf),
    "the first input": lambda function, inputs: inputs[0],
    "the last input": lambda function, inputs: inputs[-1],
    "all inputs": lambda function, inputs: tuple(inputs),
    "a liar": lambda function, inputs: Liar(),
    "a lying array": lambda function, inputs: np.zeros(3).view(LyingArray),
    "itself": lambda function, inputs: function,
    "an exception": lambda function, inputs: 1 / 0,
    "an exit": lambda function, inputs: exit(0),
}


@pytest.mark.parametrize("kind", WRONG)
@EACH_FUNCTION
def test_no_check_is_passed_by(function, kind):
    report = verdict(function, lambda *inputs: WRONG[kind](function, inputs))
    for result in report.results:
        assert not result.passed, f"{result.title!r} is passed by {kind}"
        assert result.problem
        assert len(result.problem) < 300
