"""The teacher's pages say what chapters and exercises say of themselves, and the build stops where they do not fit."""

import importlib.util
import re

import pytest
from bs4 import BeautifulSoup

from emlib.course.exercises import TOPICS

from .conftest import ROOT, SITE, require_site

spec = importlib.util.spec_from_file_location("teaching", ROOT / "book" / "_ext" / "teaching.py")
teaching = importlib.util.module_from_spec(spec)
spec.loader.exec_module(teaching)
BOOK = teaching.chapters(ROOT)
MIXTURES = next(chapter for chapter in BOOK if chapter.topic == "mixtures")
ALL = ["log_sum_exp", "log_joint", "responsibilities", "m_step", "fit", "first_fall"]


def article(name):
    require_site()
    return BeautifulSoup((SITE / f"book/appendix/{name}.html").read_text(encoding="utf-8"), "html.parser").article


def plain(markdown: str) -> str:
    """Letters alone, for typography differs."""
    return re.sub(r"[^A-Za-z]", "", re.sub(r"\$[^$]*\$", "", markdown))


@pytest.mark.parametrize("chapter", BOOK, ids=lambda chapter: chapter.topic)
def test_every_objective_function_and_check_is_in_the_map(chapter):
    section = article("teaching_map").find(id=f"map-{chapter.topic.replace('_', '-')}")
    for formula in section.find_all(class_="math"):
        formula.decompose()
    items = [plain(item.get_text()) for item in section.find_all("li")]
    for objective in chapter.objectives:
        assert any(item.startswith(plain(objective)) for item in items), objective
    for function in chapter.functions.values():
        wanted = plain(function.name + "".join(check.title for check in function.checks))
        assert wanted in items, function.name
    assert f"takes {chapter.minutes} minutes" in section.get_text()


def test_every_chapter_is_in_the_table_of_times():
    page = article("teaching")
    rows = page.find("table").find_all("tr")[1:]
    assert [row.find("a").get_text() for row in rows] == [chapter.title for chapter in BOOK]
    assert len(page.find_all("table")) == 4  # times, and three plans


def test_chapters_say_what_they_are():
    assert [chapter.number for chapter in BOOK] == list(range(1, len(BOOK) + 1))
    assert (MIXTURES.title, MIXTURES.minutes, list(MIXTURES.functions)) == ("The two-step dance", 35, ALL)
    assert len(MIXTURES.objectives) == 4
    assert all(chapter.objectives for chapter in BOOK)


def test_an_exercise_is_counted_for_its_own_chapter_only():
    assert [exercise.topic for chapter in BOOK for exercise in chapter.exercises] == list(TOPICS)
    cells = next(chapter for chapter in BOOK if chapter.topic == "cell_types")
    assert [exercise.topic for exercise in cells.borrowed] == ["mixtures"]
    assert cells.functions == {}
    assert teaching.numbered(cells.borrowed[0]) == "[exercise\u00a02](/book/exercises/mixtures.ipynb)"


def test_minutes_are_a_share_of_those_of_the_exercise():
    functions = list(MIXTURES.functions.values())
    assert teaching.minutes_of(functions) == 90
    assert teaching.minutes_of([MIXTURES.functions["fit"]]) == 20  # 7 of 32 points
    assert teaching.minutes_of([]) == 0
    assert [teaching.hours(minutes).split() for minutes in (45, 60, 125)] == [
        ["45", "min"],
        ["1", "h", "00"],
        ["2", "h", "05"],
    ]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"write a poem": ALL}, "mixtures: 0 objectives begin with 'write a poem'; it must be one"),
        ({"": ALL}, "mixtures: 4 objectives begin with ''; it must be one"),
        ({"write the E-step": [*ALL, "k_step"]}, "mixtures: its exercise has no function k_step"),
        ({"write the E-step": ALL[1:]}, "mixtures: log_sum_exp serves no objective; name one for it"),
    ],
)
def test_what_does_not_fit_any_more_is_an_error(said, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        teaching.served(MIXTURES, said)


def test_a_chapter_of_which_nothing_is_said_shows_its_functions_below_its_objectives():
    rows = teaching.served(MIXTURES, {})
    assert [objective for objective, _ in rows] == [*MIXTURES.objectives, teaching.WHOLE]
    assert [function.name for function in rows[-1][1]] == ALL
    said = teaching.served(MIXTURES, {"write the E-step": ALL})
    assert [len(functions) for _, functions in said] == [6, 0, 0, 0]
