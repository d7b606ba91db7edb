"""What a student is told: of wrong shapes, exceptions, floods, interrupts and mistakes with a name."""

import numpy as np
import pytest

from emlib.course import case, check, find, goal, hint, load, score
from emlib.course.calls import in_this_process, outcome_of
from emlib.course.contract import Exercise
from emlib.course.evaluate import evaluate
from emlib.course.values import NotPlain, Seed, plain

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of wrong answers
SHARES = find("mixtures.responsibilities")


def first_problem(answer):
    return check("mixtures.responsibilities", answer).report.results[0].problem


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda a: SHARES.reference(a).T, "expected shape (n, K) = (7, 3), got (3, 7): did you transpose?"),
        (lambda a: SHARES.reference(a)[:, 0], "expected shape (n, K) = (7, 3), got (7,)"),
        (lambda a: SHARES.reference(a)[..., None], "an axis is too many or too few"),
        (lambda a: None, "responsibilities is None: did you forget return?"),
        (lambda a: [[1, 2], [3]], "a list with rows of different lengths"),
        (lambda a: [["a", "b"]] * 7, "responsibilities is a list of 7 things that are not all numbers"),
        (lambda a: "0.3", "responsibilities is text"),
        (lambda a: {1, 2}, "returned a set, which is no number, array"),
        (lambda a: np.sum, "returned a function (did you forget the brackets that call it?)"),
        (lambda a: SHARES.reference(a) + 1j, "returned complex numbers"),
        (lambda a: 1 / 0, "raised ZeroDivisionError: division by zero"),
        (lambda a: exit(), "called exit(); a function ends with return"),
        (lambda a, b: a, "takes (a, b), but is called with (log_joint)"),
        (3, "is no function but an int"),
        (lambda a: np.exp(a) / np.exp(a).sum(), "the shares of one point should sum to 1"),
        (lambda a: SHARES.reference(a) * np.nan, "contains nan"),
    ],
)
def test_problem(answer, said):
    assert said in first_problem(answer)


def test_recursion_is_a_sentence():
    def endless(a):
        return endless(a)

    assert "called itself without end" in first_problem(endless)


def test_two_mistakes_at_once_are_both_named():
    report = check("mixtures.responsibilities", lambda a: np.exp(a) / np.exp(a).sum(axis=0)).report
    assert report.slips == ("over_the_points", "zero_by_zero")


def test_a_slip_that_explains_only_some_of_the_failures_is_not_named():
    report = check("mixtures.responsibilities", lambda a: 0.9 * np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)).report
    assert not report.passed
    assert report.slips == ()


def test_a_function_that_needs_another_one_says_which():
    def total(a):
        raise NotImplementedError("log_joint")  # the stub of another function does

    assert first_problem(total) == "your function calls log_joint, which is not written yet"


def test_cases_can_be_had_to_try_them():
    inputs = case("mixtures.responsibilities", "far from all")
    assert SHARES.reference(**inputs).shape == (6, 3)
    assert isinstance(case("gibbs.draw_labels", "no doubt")["rng"], np.random.Generator)
    with pytest.raises(ValueError, match="there is no case 'far'"):
        case("mixtures.responsibilities", "far")
    assert 'case("mixtures.responsibilities", "ordinary")' in repr(check("mixtures.responsibilities", lambda a: a))


def test_goal_shows_yours_in_numbers():
    said = goal("mixtures.log_sum_exp", lambda a: a.max(axis=1)).text
    assert "should return\n  total = [0.69315, -999.59, 0]" in said
    assert said.endswith("yours returns\n  total = [0, -1000, 0]")
    assert goal("mixtures.log_sum_exp", lambda a: 1 / 0).text.endswith(
        "yours raised ZeroDivisionError: division by zero"
    )


def test_changed_input_is_said_whatever_is_returned():
    def centred(X, r):
        answer = find("mixtures.m_step").reference(X.copy(), r)
        X[:] = 0
        return answer

    report = check("mixtures.m_step", centred).report
    assert report.earned == 0
    assert "changed its input X" in report.results[0].problem


def test_floods_are_cut_and_remarked():
    def loud(a):
        print("x" * 1_000_000)
        return SHARES.reference(a)

    verdict = check("mixtures.responsibilities", loud)
    assert verdict.passed
    assert "printed 1,000,001 characters" in verdict.report.remarks[0]
    assert len(verdict.report.printed) <= 400
    assert len(repr(verdict)) < 2000


def test_slow_answers_pass_with_a_remark(monkeypatch):
    clock = iter(np.arange(1000.0))
    monkeypatch.setattr("emlib.course.calls.time.perf_counter", lambda: next(clock))
    monkeypatch.setattr("emlib.course.evaluate.TOO_SLOW", 0.1)
    verdict = check("mixtures.responsibilities", SHARES.reference)
    assert verdict.passed
    assert "arithmetic on whole arrays" in verdict.report.remarks[0]


def test_interrupt_ends_the_check_and_leaves_things_clean(capsys):
    calls = []

    def endless(a):
        calls.append(a)
        raise KeyboardInterrupt  # what the stop button raises in the kernel's main thread

    report = check("mixtures.responsibilities", endless).report
    assert len(calls) == 1
    assert "was stopped before it returned" in report.results[0].problem
    assert "you stopped an earlier case" in report.results[1].problem
    print("still here")
    assert capsys.readouterr().out == "still here\n"


def test_a_report_is_escaped_and_fits_a_screen():
    def hostile(a):
        print("<script>alert(1)</script>")
        raise ValueError("<img src=x>" * 1000)

    verdict = check("mixtures.responsibilities", hostile)
    shown = verdict._repr_html_()
    assert "<script>" not in shown
    assert "<img" not in shown
    assert len(repr(verdict).splitlines()) < 40


def test_random_answers_get_a_generator_and_not_a_seed():
    outcome = outcome_of(lambda rng: rng.normal(size=3), {"rng": Seed(5)})
    np.testing.assert_array_equal(outcome.value, np.random.default_rng(5).normal(size=3))
    assert outcome.changed == ()


@pytest.mark.parametrize(
    "value", [{1, 2}, object(), {1: 2}, np.array(["a"]), np.array([None]), 1j, [[[[[[[[[[1]]]]]]]]]], b"bytes"]
)
def test_only_plain_data_pass(value):
    with pytest.raises(NotPlain):
        plain(value)


def test_plain_data_are_copies_of_exact_types():
    class Sub(np.ndarray):
        pass

    array = np.arange(6.0).reshape(2, 3)
    copy = plain((array.view(Sub), [True, None, "x", np.int8(3)], {"a": array.T}))
    assert type(copy[0]) is np.ndarray
    assert copy[1] == [True, None, "x", 3]
    assert copy[2]["a"].flags.c_contiguous
    array[:] = 0
    assert copy[0][1, 2] == 5


@pytest.mark.parametrize(
    ("id", "said"),
    [
        ("mixtures.m_stp", "did you mean 'm_step'?"),
        ("mixture.m_step", "did you mean 'mixtures'?"),
        ("m_step", "expected 'topic.function'"),
        (None, "expected 'topic.function'"),
    ],
)
def test_unknown_names_are_a_sentence(id, said):
    with pytest.raises(ValueError, match=said.replace("?", r"\?")):
        find(id)


def test_hints_go_on_and_end():
    ladder = find("mixtures.fit").hints
    told = [hint("mixtures.fit").text for _ in range(len(ladder) + 1)]
    assert [text.partition(": ")[0] for text in told] == ["Hint 1 of 3", "Hint 2 of 3", "Hint 3 of 3", "Hint 3 of 3"]
    with pytest.raises(ValueError, match="there are 3 hints"):
        hint("mixtures.fit", 4)


def test_goal_draws_yours_beside_the_expected(monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setattr(plt, "show", lambda: None)
    goal("mixtures.responsibilities", lambda a: np.full(a.shape, 0.5))
    titles = [ax.get_title() for ax in plt.gcf().axes]
    plt.close("all")
    assert titles == ["expected", "yours (not the same)"]


def test_score_adds_up():
    functions = {name: function.reference for name, function in load("mixtures").functions.items()}
    assert score("mixtures", functions).text.endswith("32 of 32 points")


# ---------------------------------------------------------------- the contract itself
def halves(**given):
    exercise = Exercise("halves", title="Halves", objectives=["halve"], intro="", minutes=1)

    @exercise.function(returns={"half": "()"}, story="Halve.", **given)
    def half(x):
        """Half of x."""
        return x / 2

    return half


def test_a_contract_without_cases_is_refused():
    with pytest.raises(ValueError, match=r"halves\.half has no cases"):
        halves().inputs(0)


def test_cases_must_fit_the_signature():
    half = halves()
    half.cases(lambda rng: {"a": {"y": 1.0}})
    with pytest.raises(ValueError, match=r"gives \['y'\], the function takes \['x'\]"):
        half.inputs(0)


def test_checks_must_be_on_cases_that_are_drawn():
    half = halves()
    half.cases(lambda rng: {"a": {"x": 1.0}})
    half.check("b", points=1, on="b")
    with pytest.raises(ValueError, match="on a case 'b' that is not drawn"):
        half.inputs(0)


def test_seeds_draw_different_inputs_and_the_same_seed_the_same():
    a, b, c = (SHARES.inputs(seed)["ordinary"]["log_joint"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_a_missing_function_is_unwritten():
    report = evaluate(SHARES, in_this_process({}))
    assert report.unwritten
    assert report.results[0].problem == "there is no function responsibilities"
