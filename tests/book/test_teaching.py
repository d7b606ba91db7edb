"""The teacher's pages say what chapters and exercises say of themselves, and the build stops where they do not fit."""

import importlib.util
import json
import re

import pytest
import yaml
from bs4 import BeautifulSoup

from emlib.course.exercises import TOPICS

from .conftest import ROOT, SITE, require_site

spec = importlib.util.spec_from_file_location("teaching", ROOT / "book" / "_ext" / "teaching.py")
teaching = importlib.util.module_from_spec(spec)
spec.loader.exec_module(teaching)
BOOK = teaching.chapters(ROOT)
MIXTURES = next(chapter for chapter in BOOK if chapter.topic == "mixtures")
PLANS = [
    yaml.safe_load(body)
    for body in re.findall(
        r"^```\{teaching-plan\}\n(.*?)^```",
        (ROOT / "book/appendix/teaching.md").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
]
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
    assert all(chapter.borrowed == () for chapter in BOOK)


def test_a_chapter_may_send_its_readers_to_the_exercise_of_another(tmp_path):
    text = (
        "# Other\n\n```{objectives}\n:time: 5\n:needs: nothing\n\n- read\n```\n\n```{links}\n:exercise: mixtures\n```\n"
    )
    page = tmp_path / "book/applications/other.ipynb"
    page.parent.mkdir(parents=True)
    page.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": text}]}), encoding="utf-8")
    other = teaching.chapter(tmp_path, "book/applications/other", 16)
    assert [exercise.topic for exercise in other.borrowed] == ["mixtures"]
    assert other.functions == {}
    assert teaching.numbered(other.borrowed[0]) == "[exercise\u00a02](/book/exercises/mixtures.ipynb)"
    with pytest.raises(ValueError, match="week 1: other has no exercise to write"):
        teaching.plan([other], [{"write": ["other"]}])


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


# ---------------------------------------------------------------- plans
@pytest.mark.parametrize("weeks", PLANS, ids=lambda weeks: f"{len(weeks)} weeks")
def test_plans_can_be_followed(weeks):
    rows = teaching.plan(BOOK, weeks)
    assert [number for number, *_ in rows] == [str(number) for number in range(1, len(weeks) + 1)]


def test_a_week_says_what_is_done_and_how_long_it_takes():
    week = {"read": ["mixtures"], "meet": "Old Faithful", "write": ["mixtures.log_sum_exp", "the report"]}
    _, [number, home, meet] = teaching.plan(BOOK, [{"read": ["incomplete_data"]}, week])
    page, sheet = "(/book/principles/mixtures.ipynb)", "(/book/exercises/mixtures.ipynb)"
    assert (number, meet) == ("2", "Old Faithful")
    assert home == (
        f"read [chapter\u00a02]{page}; write [`log_sum_exp`]{sheet}, the report; 4 of 32 points (45\u00a0min)"
    )
    [[_, home, _]] = teaching.plan(BOOK, [{"write": ["mixtures"]}])
    assert home == f"write [all of exercise 2]{sheet} (1\u00a0h\u00a030)"


@pytest.mark.parametrize(
    ("week", "sentence"),
    [
        ({"write": ["mixtures.responsibilities"]}, "week 1: mixtures.responsibilities calls mixtures.log_sum_exp"),
        ({"write": ["mixtures.k_step"]}, "week 1: mixtures has no function k_step to write"),
        ({"read": ["mixture"]}, "week 1: there is no chapter mixture"),
        ({"read": ["mixtures"]}, "week 1: chapter 2 is read before chapter 1, which it needs"),
        ({"read": ["incomplete_data"], "skip": ["E"]}, "week 1: no chapter that is read has a section 'E' to skip"),
        ({"reed": ["mixtures"]}, "week 1: it has the unknown key reed"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_an_error(week, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        teaching.plan(BOOK, [week])


def test_what_was_written_in_an_earlier_week_is_there():
    weeks = [{"write": ["mixtures.log_sum_exp"]}, {"write": ["mixtures.responsibilities"]}]
    assert len(teaching.plan(BOOK, weeks)) == 2


def test_calls_are_those_of_the_reference_wherever_they_stand():
    fit = MIXTURES.functions["fit"]
    assert teaching.calls(fit) == {"log_sum_exp", "log_joint", "responsibilities", "m_step"}
    assert teaching.calls(MIXTURES.functions["log_sum_exp"]) == set()


def test_a_section_may_be_skipped_for_want_of_a_chapter():
    [[_, home, _]] = teaching.plan(BOOK, [{"read": ["mixtures"], "skip": ["The model", "Check yourself"]}])
    page = "(/book/principles/mixtures.ipynb)"
    assert home == f"read [chapter\u00a02]{page} without *The model* and *Check yourself* (35\u00a0min)"


def test_the_longest_plan_reads_the_whole_book():
    read = [topic for week in PLANS[-1] for topic in week.get("read", [])]
    assert sorted(read) == sorted(chapter.topic for chapter in BOOK)


@pytest.mark.parametrize(
    ("needs", "numbers"),
    [
        ("chapter 8; the saddle points of chapter 6", {6, 8}),
        ("chapters 1 and 2; matrices", {1, 2}),
        ("chapters 2, 3 and 6; 2 hours", {2, 3, 6}),
        ("chapters 2 to 4; priors (chapter 6)", {2, 3, 4, 6}),
        ("a little NumPy", set()),
    ],
)
def test_needs_name_chapters(needs, numbers):
    assert teaching.needed(needs) == numbers


def test_applications_say_what_they_need():
    lines = teaching.needs(BOOK)
    assert len(lines) == 8
    hmm = next(chapter for chapter in BOOK if chapter.topic == "hmm")
    assert hmm.needs.startswith("chapter 2; ")
    assert f"- chapter\u00a012, [Hidden paths](/book/applications/hmm.ipynb): {hmm.needs}" in lines
