"""Every quiz on the published page: by keyboard, without JavaScript, and read out; and what the directive refuses."""

import copy
import sys

import pytest
import yaml

from .conftest import PAGES, ROOT, SITE

sys.path.append(str(ROOT / "book" / "_ext"))  # as Sphinx does
import quiz

WITH_QUIZ = [
    page
    for page in PAGES
    if (SITE / f"{page}.html").is_file() and 'class="em-quiz"' in (SITE / f"{page}.html").read_text(encoding="utf-8")
]


@pytest.fixture(scope="module", params=WITH_QUIZ)
def page(request, open_page, server):
    page, log = open_page(f"{server}{request.param}.html")
    yield page
    assert log.errors == []
    page.context.close()


def shown(page) -> list[str]:
    """Return the explanations that can be seen."""
    return [why.inner_text() for why in page.locator(".em-why").all() if why.is_visible()]


@pytest.mark.browser
def test_every_option_can_be_chosen_by_keyboard_and_explains_itself(page):
    assert shown(page) == []
    fields = page.locator(".em-quiz fieldset").all()
    assert quiz.FEWEST <= len(fields) <= quiz.MOST
    for answered, field in enumerate(fields):
        options = field.locator(".em-option").all()
        for i, option in enumerate(options):
            if i == 0:
                option.locator("input").press("Space")
            else:
                page.keyboard.press("ArrowDown")
            why = option.locator(".em-why")
            assert option.locator("input").is_checked()
            assert why.is_visible()
            assert len(shown(page)) == answered + 1
            right = "em-right" in option.get_attribute("class")
            assert why.inner_text().startswith("✓ Right." if right else "✗ Not this one.")
            assert len(why.text_content()) > len("✗ Not this one.") + 10
            assert page.locator(".em-said").text_content() == why.text_content()
        assert field.locator(".em-right").count() == 1
        assert field.locator("legend").inner_text().strip()


@pytest.mark.browser
@pytest.mark.parametrize("name", WITH_QUIZ)
def test_explanations_appear_without_javascript(browser, server, name):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server}{name}.html")
    option = page.locator(".em-option").nth(1)
    assert not option.locator(".em-why").is_visible()
    option.locator("label").click()
    assert option.locator(".em-why").is_visible()
    context.close()


# ---------------------------------------------------------------- the directive
SOUND = (
    yaml.safe_load(
        """
- question: Which numbers does the E-step compute?
  options:
    - {text: responsibilities, correct: true, why: They are the expected labels.}
    - {text: weights, why: Those come out of the M-step.}
"""
    )
    * 3
)


def broken(change):
    questions = copy.deepcopy(SOUND)
    change(questions)
    return quiz.complaints(questions)


def test_sound_quiz_has_no_complaints():
    assert quiz.complaints(SOUND) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda q: q.pop(), "3 to 6 questions, here are 2"),
        (lambda q: q.extend(SOUND * 2), "3 to 6 questions, here are 9"),
        (lambda q: q[1]["options"][0].pop("correct"), "question 2: 0 options are correct"),
        (lambda q: q[1]["options"][1].update(correct=True), "question 2: 2 options are correct"),
        (lambda q: q[2]["options"][1].pop("why"), "question 3: option b has no why"),
        (lambda q: q[2]["options"][1].update(why=" "), "question 3: option b has no why"),
        (lambda q: q[0]["options"][0].update(text=0.5), "question 1: option a has no text"),
        (lambda q: q[0]["options"][0].update(corect=True), "question 1: option a has the unknown key corect"),
        (lambda q: q[0].update(options=[{}]), "question 1: options must be a list"),
        (lambda q: q[0].pop("question"), "question 1: it must have exactly the keys"),
    ],
)
def test_unsound_quiz_is_refused(change, complaint):
    assert any(complaint in sentence for sentence in broken(change))
