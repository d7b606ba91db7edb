"""Copies are found under other names; people who merely solve the same short exercise are left in peace."""

import re

import pytest

from emlib.course import load
from emlib.grading.classroom import Crew
from emlib.grading.gradebook import marks_of
from emlib.grading.mark import Job, grade
from emlib.grading.policy import Policy
from emlib.grading.similarity import alike, published, sheet_of
from emlib.grading.similarity_report import write_similarity
from tests.grading.stand_in import Inline, sheet, task

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of wrong answers
MIXTURES = load("mixtures")
OWN = """def log_joint(X, weights, means, covariances):
    n_points, n_dim = X.shape
    table = np.empty((n_points, len(weights)))
    for comp in range(len(weights)):
        chol = np.linalg.cholesky(covariances[comp])
        centred = np.linalg.solve(chol, (X - means[comp]).T)
        half = np.log(np.diagonal(chol)).sum()
        table[:, comp] = np.log(weights[comp]) - half - 0.5 * n_dim * np.log(2 * np.pi) - 0.5 * (centred**2).sum(axis=0)
    return table


def m_step(X, responsibilities):
    soft = np.einsum("nk->k", responsibilities)
    centers = np.divide(np.dot(X.T, responsibilities), soft).T
    spreads = [np.cov(X, rowvar=False, bias=True, aweights=column) for column in responsibilities.T]
    return soft / X.shape[0], centers, np.array(spreads)
"""


def disguised(code):
    """Other names, comments, docstrings, layout, numbers; the same thoughts."""
    for old, new in {"comp": "j", "soft": "Nk", "table": "out", "centred": "z", "chol": "L", "half": "logdet"}.items():
        code = re.sub(rf"\b{old}\b", new, code)
    code = code.replace("0.5", "0.50").replace("    return", "    # done\n\n    return")
    return code.replace("covariances):\n", 'covariances):\n    """Mine, all mine."""\n').replace(
        "X, weights", "X , weights"
    )


def other_solutions():
    """Everybody else: the reference and what else is right, function by function."""
    sources = {}
    for number in range(12):
        cells = []
        for function in MIXTURES.functions.values():
            cells.append(function.solution() if (number + len(function.name)) % 3 else function.stub())
        sources[f"honest{number}"] = cells
    return sources


def sheets(**more):
    names = tuple(MIXTURES.functions)
    everybody = {**other_solutions(), **{who: [code] for who, code in more.items()}}
    return {who: sheet_of(cells, names) for who, cells in everybody.items()}


def test_a_copy_is_found_under_other_names():
    [pair] = alike("mixtures", sheets(ada=OWN, bob=disguised(OWN)), MIXTURES)
    assert {pair.left, pair.right} == {"ada", "bob"}
    assert pair.share > 0.95
    assert pair.shared > 20
    assert "n_points" in pair.names
    assert "comp" not in pair.names


def test_half_a_copy_is_found():
    mine = "def log_joint(X, w, m, c):\n    return scipy.stats.norm(m, c).logpdf(X) + np.log(w)"
    half = disguised(OWN).split("\n\n\n")[1] + "\n\n" + mine
    assert [{one.left, one.right} for one in alike("mixtures", sheets(ada=OWN, bob=half), MIXTURES)] == [{"ada", "bob"}]


def test_those_who_write_the_published_solution_or_the_stub_are_not_alike():
    assert alike("mixtures", sheets(), MIXTURES) == []


def test_two_who_have_the_published_solution_are_not_alike_even_in_a_class_of_three():
    solution = [function.solution() for function in MIXTURES.functions.values()]
    names = tuple(MIXTURES.functions)
    class_of_three = {
        who: sheet_of(cells, names) for who, cells in (("ada", solution), ("bob", solution), ("eve", [OWN]))
    }
    assert alike("mixtures", class_of_three, MIXTURES) == []
    assert published(class_of_three, MIXTURES).keys() == {"ada", "bob"}


def test_what_many_have_written_is_no_evidence():
    many = {f"friend{number}": disguised(OWN) if number % 2 else OWN for number in range(8)}
    assert alike("mixtures", sheets(**many), MIXTURES) == []


def test_different_people_are_not_alike():
    other = """def log_joint(X, weights, means, covariances):
    columns = []
    for w, m, S in zip(weights, means, covariances):
        P = np.linalg.inv(S)
        D = X - m
        half = np.log(np.linalg.det(P)) - X.shape[1] * np.log(2 * np.pi) - np.sum(D @ P * D, 1)
        columns.append(np.log(w) + half / 2)
    return np.stack(columns, 1)
"""
    assert alike("mixtures", sheets(ada=OWN, bob=other), MIXTURES) == []


def test_published_functions_are_identified():
    solution = MIXTURES.functions["fit"].solution().replace("trace", "history")
    found = published(sheets(ada=OWN, bob=solution), MIXTURES)
    assert "ada" not in found
    assert found["bob"] == ["fit"]


@pytest.mark.parametrize(
    "code", ["def f(:", "(" * 100_000, "-" * 100_000 + "1", "x = '\ud800'", "\0", "a" + ".b" * 50_000]
)
def test_code_that_cannot_be_read_is_left_out(code):
    assert sheet_of([code, "def fit(X):\n    return X"], ["fit"]).sources == {"fit": "def fit(X):\n    return X"}


def test_size_is_bounded():
    assert len(sheet_of(["def f(x):\n" + "    x = x + 1\n" * 20_000]).passages) <= 20_000


def test_the_page_shows_evidence_and_escapes_it(tmp_path):
    hostile = OWN.replace("    table = ", "    # <script>alert(1)</script>\n    table = ")
    raws = {who: sheet("import numpy as np", code) for who, code in (("<b>ada", hostile), ("bob", disguised(hostile)))}
    records = [grade(Job(raw, who, who, "x.ipynb"), task()) for who, raw in raws.items()]
    marks = marks_of(records, [MIXTURES], Policy(), None)
    readers = {student.exercises[0].result: (lambda raw=raws[student.student]: raw) for student in marks.students}
    path = tmp_path / "similarity.html"
    assert len(write_similarity(marks, readers, [MIXTURES], Crew(1, Inline()), path)) == 1
    page = path.read_text()
    assert "&lt;b&gt;ada" in page
    assert "<script" not in page
    assert page.count("<mark>") > 10
    assert "No mark depends on this page" in page
