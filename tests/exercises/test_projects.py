"""What is promised of every open project: what exercises promise, as far as it makes sense, and that better is more."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest

from emlib.course import check, load, projects
from emlib.course.calls import in_this_process
from emlib.course.compare import Difference
from emlib.course.contract import Posed
from emlib.course.evaluate import evaluate
from emlib.course.open_ended import ENOUGH, MOST_SHARE, RUBRIC, Measured, Project, appraise, arrays
from emlib.course.projects import blood_cells, motif_in_peaks, phase_a_region
from emlib.course.report import as_text
from emlib.course.sheets import notebook, solutions, sources
from emlib.course.submissions import functions_of, topic_of

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of wrong answers
BOOK = Path(__file__).resolve().parents[2] / "book" / "projects"
PROBLEMS = [problem for topic in projects() for problem in load(topic).functions.values()]
EACH_PROJECT = pytest.mark.parametrize("topic", projects())
EACH_PROBLEM = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.id)
SLOW = [problem for problem in PROBLEMS if problem.name == "phase"]  # some five seconds a draw
FAST = [problem for problem in PROBLEMS if problem not in SLOW]
EACH_FAST = pytest.mark.parametrize("problem", FAST, ids=lambda problem: problem.id)


def verdict(problem, answer, seed=0):
    return evaluate(problem, in_this_process({problem.name: answer}), seed)


# ---------------------------------------------------------------- the project as a whole
@EACH_PROJECT
def test_is_whole(topic):
    project = load(topic)
    assert isinstance(project, Project)
    assert (project.topic, project.points, project.by_hand) == (topic, 20, 30)
    assert [criterion.name for criterion in project.rubric] == [criterion.name for criterion in RUBRIC]
    assert set(project.here) < {criterion.name for criterion in project.rubric}
    for problem in project.functions.values():
        assert problem.hints
        assert len(problem.slips) >= 2
        assert all(slip.sign is not None for slip in problem.slips)
        # Half of the points of a check are points.
        assert all(isinstance(one, Measured) and one.points % 2 == 0 and one.least > 0 for one in problem.checks)
        used = {name for one in problem.checks for name in one.cases or problem.inputs(0)}
        assert used == set(problem.inputs(0))
        # Luck in all other cases does not make up for a case without an answer.
        assert all((n - 1) * MOST_SHARE < n for n in [len(one.cases or used) for one in problem.checks])


@EACH_PROJECT
def test_the_book_has_its_notebook_and_its_solutions(topic):
    project = load(topic)
    stored = json.loads((BOOK / f"{topic}.ipynb").read_text(encoding="utf-8"))
    remedy = "run: make exercises"
    assert sources(stored) == sources(notebook(project)), remedy
    assert (BOOK / "solutions" / f"{topic}.md").read_text(encoding="utf-8") == solutions(project), remedy
    assert topic_of(BOOK / f"{topic}.ipynb") == topic


@EACH_PROJECT
def test_the_printed_solutions_stand_alone(topic, tmp_path):
    project = load(topic)
    sheet = notebook(project)
    kept = []
    for cell in sheet["cells"]:
        name = cell["id"].removeprefix("stub-")
        if cell["id"].startswith("stub-"):
            cell["source"] = project.functions[name].solution()
        if cell["id"].startswith(("stub-", "setup")):
            kept.append(cell)
    path = tmp_path / "done.ipynb"
    path.write_text(json.dumps({**sheet, "cells": kept}), encoding="utf-8")
    names = functions_of(path)
    for problem in project.functions.values():
        inputs = next(iter(problem.inputs(0).values()))
        inputs |= {problem.parameters[0]: inputs[problem.parameters[0]][:50]}  # some people are enough
        by_hand = in_this_process(names)(problem.name, inputs)
        assert by_hand.kind == "returned", by_hand
        ours = in_this_process({problem.name: problem.reference})(problem.name, inputs)
        parts = [one.value if isinstance(one.value, tuple) else (one.value,) for one in (by_hand, ours)]
        for theirs, expected in zip(*parts, strict=True):
            np.testing.assert_array_equal(theirs, expected)


@EACH_PROBLEM
def test_untouched_starter_scores_nothing_and_is_greeted(problem):
    names = {"np": np}
    exec(problem.stub(), names)
    assert inspect.getdoc(names[problem.name]) == inspect.getdoc(problem.reference)
    report = verdict(problem, names[problem.name])
    assert report.unwritten
    assert report.earned == 0
    assert "not written yet" in str(check(problem.id, names[problem.name]))


# ---------------------------------------------------------------- points
def test_points_grow_from_the_baseline_to_the_reference():
    gain = Measured("hits", 10, (), True, says="{:.2f} found", least=0.2)
    loss = Measured("errors", 10, (), True, says="{:.2f} wrong", loss=True, least=0.2)
    shares = [appraise(gain, value, 0.4, 0.9).share for value in (0.2, 0.4, 0.5, 0.7, 0.4 + 0.5 * ENOUGH, 0.9)]
    assert shares[:2] == [0, 0.5]
    assert 0.5 < shares[2] < shares[3] < 1
    np.testing.assert_allclose(shares[4:], [1, 1.125])
    mirrored = [appraise(loss, -value, -0.4, -0.9).share for value in (0.2, 0.4, 0.5, 0.7, 0.4 + 0.5 * ENOUGH, 0.9)]
    np.testing.assert_allclose(mirrored, shares)
    # A baseline that happens to know nothing gives no points away.
    hits = Measured("hits", 10, (), True, nothing=lambda posed: 0.0)
    errors = Measured("errors", 10, (), True, loss=True, nothing=lambda posed: 0.5)
    np.testing.assert_allclose([hits.level(low, 0.9, Posed({})) for low in (0.05, 0.4)], [0.3, 0.4])
    np.testing.assert_allclose([errors.level(low, 0.2, Posed({})) for low in (0.6, 0.3)], [0.4, 0.3])
    # Where both levels are close, the baseline counts as further away, and earns more than half.
    assert appraise(gain, 0.85, 0.85, 0.9).share > 0.5
    assert appraise(gain, 0.9, 0.9, 0.85).share > 1
    assert appraise(gain, float("nan"), 0.4, 0.9).share == 0


@EACH_PROBLEM
def test_the_reference_earns_all_and_the_baseline_half(problem):
    report = verdict(problem, problem.reference)
    assert report.passed
    assert report.earned == report.points == sum(result.points for result in report.results)
    assert not report.slips
    assert all(result.numbers.startswith("yours: ") for result in report.results)
    assert "baseline" in as_text(report)
    report = verdict(problem, problem.baseline)
    assert not report.passed
    assert not report.slips
    # Its own random numbers may be luckier than those of the level.
    assert report.points / 2 - 1 <= report.earned < report.points
    assert "◐" in as_text(report)


def check_slips(problem, seeds):
    for slip in problem.slips:
        for seed in seeds:
            report = verdict(problem, slip.answer, seed)
            assert report.earned <= 0.8 * report.points, (slip.name, seed, report.results)
            assert not report.passed
            assert report.slips == (slip.name,), (slip.name, seed, report.results)


@EACH_PROBLEM
def test_slips_are_rejected_and_named(problem):
    check_slips(problem, range(1))


@pytest.mark.slow
@EACH_PROBLEM
def test_over_many_draws(problem):
    """The reference with other random numbers is as good as itself, nearly always, and each slip keeps its name."""
    draws = 6 if problem in SLOW else 12
    check_slips(problem, range(1, draws))
    earned = []
    for seed in range(draws):

        def again(*inputs, seed=seed):
            return problem.reference(*inputs[:-1], np.random.default_rng(seed))

        report = verdict(problem, again, seed)
        assert not report.slips
        earned.append(report.earned / report.points)
    assert np.mean(earned) >= 0.95
    assert np.min(earned) >= 0.7


def test_the_order_of_quality_is_the_order_of_points():
    """Half as many starts and steps are worse than the reference and better than the baseline."""
    problem = load("motif_in_peaks").functions["find_motif"]
    case = problem.posed(3)["planted"]
    overlaps = problem.judge(case)
    X, width = case.inputs["sequences"], case.inputs["width"]
    truth = case.truth["starts"]
    right = problem.reference(X, width, np.random.default_rng(0))
    shares = []
    for wrong in (0, 12, 25, 60):
        starts = right[1].copy()
        starts[:wrong] = -1
        found = overlaps((right[0], starts, np.where(starts < 0, 0, right[2])))[0]
        shares.append(found.share)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 1 > shares[-2] >= 0.5 > shares[-1]
    assert (truth >= 0).mean() < 1


def test_the_last_digit_does_not_decide_which_case_is_told():
    """Processors round differently: the same answer, computed elsewhere, must be told the same."""
    problem = load("motif_in_peaks").functions["find_motif"]

    def rounded_by(processor):
        errors = iter(np.resize([-1e-12, 1e-12] if processor else [1e-12, -1e-12], 3))

        def find_motif(sequences, width, rng):
            pwm, starts, strands = problem.reference(sequences, width, rng)
            error = next(errors)
            return (1 - error) * pwm + error / 4, starts, strands

        return find_motif

    assert verdict(problem, rounded_by(0)).results == verdict(problem, rounded_by(1)).results


def test_time_is_measured_against_the_clock_of_the_grader(monkeypatch):
    """And not against the levels, which are kept: at the second check they are there at once."""
    problem = load("motif_in_peaks").functions["find_motif"]
    verdict(problem, problem.baseline)
    ticks = iter(np.arange(0.0, 1e6, 12.0))
    monkeypatch.setattr("emlib.course.calls.time.perf_counter", lambda: next(ticks))
    assert not verdict(problem, problem.baseline).remarks
    ticks = iter(np.arange(0.0, 1e6, 20.0))
    [said] = verdict(problem, problem.baseline).remarks
    assert said.startswith("A call took 20 s. Where it is graded, a call is stopped after 30 s")


# ---------------------------------------------------------------- what is no answer
class Liar:
    def __array__(self, dtype=None, copy=None):
        return np.zeros(1)


WRONG = {
    "nothing": lambda inputs: None,
    "a number": lambda inputs: 1,
    "nan": lambda inputs: float("nan"),
    "text": lambda inputs: "0.5",
    "ragged": lambda inputs: [[1.0, 2.0], [3.0]],
    "empty": lambda inputs: [],
    "the first input": lambda inputs: inputs[0],
    "all inputs": lambda inputs: tuple(inputs),
    "not finite": lambda inputs: np.full((len(inputs[0]), 2), np.inf),
    "zeros": lambda inputs: np.zeros((len(inputs[0]), 2, np.shape(inputs[0])[1])),
    "zeros of any width": lambda inputs: np.zeros((len(inputs[0]), 3)),
    "a liar": lambda inputs: Liar(),
    "an exception": lambda inputs: 1 / 0,
}


@pytest.mark.parametrize("kind", WRONG)
@EACH_PROBLEM
def test_nothing_is_given_for(problem, kind):
    report = verdict(problem, lambda *inputs: WRONG[kind](inputs))
    assert report.earned == 0
    for result in report.results:
        assert 0 < len(result.problem) < 300
        assert result.case


@EACH_PROBLEM
def test_other_forms_of_the_same_answer(problem):
    case = next(iter(problem.posed(0).values()))
    right = problem.read(problem.expected(case.inputs), case.inputs)
    as_lists = [part.tolist() for part in right.values()]
    answer = as_lists if len(as_lists) > 1 else as_lists[0]
    again = problem.read(answer, case.inputs)
    for name, part in right.items():
        np.testing.assert_array_equal(again[name], part)


def test_shapes_are_named():
    said = arrays(np.zeros((3, 2)), {"haplotypes": "(n, 2, L)"}, {"n": 3, "L": 4}).sentence
    assert said == "haplotypes: expected shape (n, 2, L) with n = 3, L = 4, got (3, 2)"
    # A letter that nobody knows is the same everywhere.
    said = arrays((np.ones(2), np.ones((3, 5))), {"weights": "(K,)", "means": "(K, d)"}, {"d": 5}).sentence
    assert said == "means: expected shape (K, d) with K = 2, d = 5, got (3, 5)"


def law(problem, answer, inputs):
    found = problem.read(answer, inputs)
    return found.sentence if isinstance(found, Difference) else ""


def test_laws():
    project = load("phase_a_region").functions["phase"]
    inputs = {"genotypes": np.array([[0, 1, 2, -1]]), "rng": None}
    assert not law(project, [[[0, 1, 1, 0], [0, 0, 1, 1]]], inputs)
    assert "add up" in law(project, [[[0, 1, 1, 0], [0, 1, 1, 1]]], inputs)
    assert "nothing but 0 and 1" in law(project, [[[0, 1, 1, -1], [0, 0, 1, 0]]], inputs)
    motif = load("motif_in_peaks").functions["find_motif"]
    inputs = {"sequences": np.zeros((2, 6), int), "width": 3, "rng": None}
    even = np.full((3, 4), 0.25)
    assert not law(motif, (even, [3, -1], [1, 0]), inputs)
    assert "lies within" in law(motif, (even, [4, -1], [1, 0]), inputs)
    assert "sum to one" in law(motif, (2 * even, [3, -1], [1, 0]), inputs)
    assert "strand" in law(motif, (even, [3, -1], [2, 0]), inputs)
    density = load("blood_cells").functions["density"]
    inputs = {"cells": np.zeros((5, 2)), "rng": None}
    one = np.eye(2)[None]
    assert not law(density, ([1.0], [[0.0, 0.0]], one), inputs)
    assert "positive definite" in law(density, ([1.0], [[0.0, 0.0]], 0 * one), inputs)
    assert "symmetric" in law(density, ([1.0], [[0.0, 0.0]], one + np.array([[0, 0.5], [0, 0]])), inputs)
    assert "sum to one" in law(density, ([0.5], [[0.0, 0.0]], one), inputs)


# ---------------------------------------------------------------- the truth stays with the judge
@EACH_PROBLEM
def test_the_truth_never_reaches_the_students_function(problem):
    for posed in problem.posed(0).values():
        assert posed.truth
        assert list(posed.inputs) == problem.parameters
        arrived = [value for value in posed.inputs.values() if isinstance(value, np.ndarray)]
        for secret in posed.truth.values():
            assert not any(np.shares_memory(secret, value) for value in arrived)
    called = []

    def spy(*inputs):
        called.append(inputs)

    verdict(problem, spy)
    assert {len(inputs) for inputs in called} == {len(problem.parameters)}


@EACH_PROBLEM
def test_seeds_draw_other_people(problem):
    one, other = problem.posed(1), problem.posed(2)
    for name in one:
        first = problem.parameters[0]
        assert not np.array_equal(one[name].inputs[first], other[name].inputs[first])
        again = problem.posed(1)[name]
        np.testing.assert_array_equal(one[name].inputs[first], again.inputs[first])


def test_levels_are_kept_for_the_same_case_only():
    problem = load("blood_cells").functions["density"]
    problem.known.clear()
    posed = problem.posed(0)["half of the cells"]
    problem.judge(posed)
    problem.judge(problem.posed(0)["half of the cells"])
    assert len(problem.known) == 1
    other = Posed(posed.inputs, {"unseen": posed.truth["unseen"] + 1})
    problem.judge(other)
    assert len(problem.known) == 2


# ---------------------------------------------------------------- yardsticks, against other code
def test_switch_error_is_that_of_the_library():
    from emlib.models.phasing import switch_errors

    rng = np.random.default_rng(0)
    truth = rng.integers(-1, 2, size=(20, 2, 30))
    mine = rng.integers(2, size=(20, 1, 30))
    mine = np.concatenate([mine, 1 - mine], axis=1)
    wrong, pairs = switch_errors(mine, truth)
    assert phase_a_region.switch_error(mine, truth) == wrong / pairs


def test_rand_index_and_density_are_those_of_scikit_learn():
    from sklearn.metrics import adjusted_rand_score
    from sklearn.mixture import GaussianMixture

    rng = np.random.default_rng(0)
    kinds, r = rng.integers(4, size=200), rng.dirichlet(np.ones(5), size=200)
    ours = blood_cells._rand({"responsibilities": r}, Posed({}, {"kinds": kinds}))
    np.testing.assert_allclose(ours, adjusted_rand_score(kinds, r.argmax(axis=1)))
    X = rng.normal(size=(100, 3)) @ rng.normal(size=(3, 3))
    fit = GaussianMixture(3, random_state=0).fit(X)
    parts = {"weights": fit.weights_, "means": fit.means_, "covariances": fit.covariances_}
    np.testing.assert_allclose(blood_cells._mean_log_density(parts, X), fit.score(X))


def test_sites_of_the_peaks_are_the_real_ones_dealt_anew():
    """Columns of the same letters in another order and under other names, where and how the judge says."""
    sites, _, sure = motif_in_peaks._known_sites()
    posed = motif_in_peaks._peaks(np.random.default_rng(4), n=len(sites))
    X, starts, strands = posed.inputs["sequences"], posed.truth["starts"], posed.truth["strands"]
    np.testing.assert_array_equal((starts >= 0).sum(), sure.sum())
    w = posed.inputs["width"]
    windows = np.lib.stride_tricks.sliding_window_view(X, w, axis=1)[starts >= 0, starts[starts >= 0]]
    turned = strands[starts >= 0, None] == 1
    dealt = np.where(turned, 3 - windows[:, ::-1], windows)

    def columns(letters):
        return sorted(sorted(np.bincount(column, minlength=4).tolist()) for column in letters.T)

    assert columns(dealt) == columns(sites[sure])
    assert 0.4 < turned.mean() < 0.6


def test_hidden_haplotypes_are_nobodys():
    """Each is crossed once, of two; so neither a person nor the frequencies of the sites can be looked up."""
    _, whole = phase_a_region._families("YRI")
    sources = np.broadcast_to(np.arange(len(whole))[:, None], whole.shape)
    _, told = phase_a_region._from_families(np.random.default_rng(0), sources, whole)
    crossings = (np.diff(told) != 0).sum(axis=2)
    assert crossings.max() == 1
    assert crossings.mean() > 0.9
    times = np.array([np.bincount(site, minlength=len(whole)) for site in told.reshape(-1, told.shape[2]).T])
    assert times.max() == 2
    assert (times != 1).mean() > 0.2


def by_the_book(sequences, width, rng):
    """Sites of CTCF by the published matrix under each renaming of the letters that keeps pairs."""
    from emlib import data

    counts = data.jaspar_matrices()["MA0139.1"][:width] + 0.25
    counts = np.vstack([counts, np.ones((width - len(counts), 4))])
    pairs = ((0, 3), (3, 0), (1, 2), (2, 1))
    best = -np.inf, None, None
    for (a, t), (c, g) in ((one, other) for one in pairs for other in pairs if set(one) != set(other)):
        pwm = (counts / counts.sum(axis=1, keepdims=True))[:, [a, c, g, t]]
        scores = motif_in_peaks._scores(sequences, pwm, np.full(4, 0.25)).reshape(len(sequences), -1)
        if scores.max(axis=1).sum() > best[0]:
            best = scores.max(axis=1).sum(), pwm, scores
    return best[1], *np.divmod(best[2].argmax(axis=1), 2)


IGNORANT = {
    "find_motif": {
        "in the middle": lambda X, w, rng: (np.full((w, 4), 0.25), np.full(len(X), 50 - w // 2), np.zeros(len(X), int)),
        "nowhere": lambda X, w, rng: (np.full((w, 4), 0.25), np.full(len(X), -1), np.zeros(len(X), int)),
        "anywhere": lambda X, w, rng: (
            rng.dirichlet(np.ones(4), w),
            rng.integers(100 - w, size=len(X)),
            rng.integers(2, size=len(X)),
        ),
        "the first window": lambda X, w, rng: (
            0.7 * np.eye(4)[X[0, :w]] + 0.075,
            np.zeros(len(X), int),
            np.zeros(len(X), int),
        ),
        "the textbook": by_the_book,
    },
    "density": {
        "one normal": lambda X, rng: (np.ones(1), X.mean(axis=0)[None], np.cov(X.T)[None]),
    },
    "cluster": {
        "one": lambda X, rng: np.ones((len(X), 1)),
        "even": lambda X, rng: np.full((len(X), 5), 0.2),
        "at random": lambda X, rng: np.eye(4)[rng.integers(4, size=len(X))],
    },
    "phase": {
        "as given": lambda G, rng: np.stack([G.clip(0) > 0, G.clip(0) > 1], axis=1).astype(int),
        "in turn": lambda G, rng: np.stack(
            [
                np.where(G == 1, side, G.clip(0) // 2)
                for side in (np.arange(G.shape[1]) % 2, np.arange(1, G.shape[1] + 1) % 2)
            ],
            axis=1,
        ),
    },
}


@pytest.mark.parametrize(("name", "way"), [(name, way) for name, ways in IGNORANT.items() for way in ways])
def test_who_knows_nothing_earns_nothing(name, way):
    [problem] = [one for one in PROBLEMS if one.name == name]
    for seed in range(1 if problem in SLOW else 4):
        report = verdict(problem, IGNORANT[name][way], seed)
        assert report.earned == 0, report.results


def test_a_problem_has_no_right_answer_to_compare_with():
    with pytest.raises(ValueError, match=r"use @density.measure"):
        load("blood_cells").functions["density"].check("equal", points=1)


def test_the_score_says_that_there_is_more():
    from emlib.course import score

    assert score("blood_cells", {}).text.endswith("0 of 20 points\nand 30 more for the report, which a person reads")
