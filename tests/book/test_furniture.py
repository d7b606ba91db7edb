"""What every chapter must have, and what the directives make of what an author writes."""

import subprocess
import sys

import pytest
from bs4 import BeautifulSoup

from .conftest import PAGES, ROOT, SITE, require_site

CLOSING = "book/name_what_is_hidden"
CHAPTERS = [page for page in PAGES if page.startswith(("book/principles/", "book/applications/", CLOSING))]
FURNITURE = ["objectives", "by-hand", "slips", "takeaways", "links"]


def parse(path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.mark.parametrize("page", CHAPTERS)
def test_chapter_has_all_its_furniture(page):
    require_site()
    chapter = parse(SITE / f"{page}.html")
    assert [kind for kind in FURNITURE if not chapter.find(class_=f"em-{kind}")] == []
    assert chapter.find(class_="em-quiz")
    assert "em-explorer" in (SITE / f"{page}.widgets.js").read_text(encoding="utf-8")
    first = chapter.find("article").find("h1").find_next_sibling()
    assert "em-objectives" in first.get("class", []), "the first screen says what a reader will be able to do"


# ---------------------------------------------------------------- a tiny book of its own
CONF = f"""
import sys
sys.path.append({str(ROOT / "book" / "_ext")!r})
extensions = ["myst_parser", "sphinx.ext.autodoc", "accessible", "element", "equations", "furniture", "quiz"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
numfig = math_numfig = True
numfig_secnum_depth = 1
html_theme = "basic"
exclude_patterns = ["_build"]
"""
OPTIONS = "options: [{text: 'is $a$', correct: true, why: 'By *rule*.'}, {text: no, why: 'It is `not`.'}]"
QUESTIONS = "\n".join(f"- {{question: 'Is {i}?', {OPTIONS}}}" for i in range(3)).replace("text: no", "text: 'no'")
CHAPTER = f"""# Chapter

```{{objectives}}
:time: 25
:needs: the [index](../index), and $x$
- do *this*
```

$$a = b$$ (eq-a)

```{{by-hand}} Two points $x$
See {{eq}}`eq-a`.
```

```{{quiz}}
{QUESTIONS}
```

```{{links}}
:code: emlib/engine/em.py
:api: toy
:exercise: chapter absent
```

```{{eval-rst}}
.. py:module:: toy

.. py:function:: f()

   The share (eq. 1.1), and eqs. 1.1 to 9.9; not ``eq. 1.1`` in code.
```
"""


def build(folder, chapter):
    """Build a book of one chapter and its exercise; returns the folder of its HTML and what Sphinx complained about."""
    (folder / "book" / "exercises").mkdir(parents=True)
    (folder / "emlib" / "engine").mkdir(parents=True)
    (folder / "emlib" / "engine" / "em.py").touch()
    (folder / "conf.py").write_text(CONF, encoding="utf-8")
    toc = "# Toy\n\n```{toctree}\n:numbered: 1\nbook/chapter\n```\n\n```{toctree}\nbook/exercises/chapter\n```\n"
    (folder / "index.md").write_text(toc, encoding="utf-8")
    (folder / "book" / "chapter.md").write_text(chapter, encoding="utf-8")
    (folder / "book" / "exercises" / "chapter.md").write_text("# Its exercise\n", encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(folder), str(folder / "_build")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return folder / "_build", run.stderr


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    site, complaints = build(tmp_path_factory.mktemp("toy"), CHAPTER)
    assert complaints == ""
    return parse(site / "book" / "chapter.html")


def test_objectives_say_what_to_know_and_how_long(chapter):
    box = chapter.find(class_="em-objectives")
    assert box["aria-label"] == "After this page you can"
    assert [term.get_text() for term in box.find_all("dt")] == ["You should know", "Reading time"]
    know, time = box.find_all("dd")
    assert know.find("a")["href"] == "../index.html"
    assert know.find(class_="math")
    assert time.get_text() == "25 minutes"


def test_box_carries_its_own_title(chapter):
    box = chapter.find(class_="em-by-hand")
    assert box.find(class_="em-title").get_text().startswith("Worked by hand: Two points")
    assert box.find("a", class_="internal").get_text() == "(1.1)"


def test_quiz_is_made_of_form_elements(chapter):
    fields = chapter.find(class_="em-quiz").find_all("fieldset")
    assert [field.legend.get_text() for field in fields] == ["1. Is 0?", "2. Is 1?", "3. Is 2?"]
    for field in fields:
        radios = field.find_all("input", type="radio")
        assert len({radio["name"] for radio in radios}) == 1
        for radio in radios:
            assert field.find("label", attrs={"for": radio["id"]})
        assert [why.get_text() for why in field.find_all(class_="em-why")] == [
            "✓ Right. By rule.",
            "✗ Not this one. It is not.",
        ]
    ids = [tag["id"] for tag in chapter.find_all("input", type="radio")]
    assert len(ids) == len(set(ids)) == 6
    assert chapter.find(class_="em-said")["role"] == "status"


def test_links_lead_to_code_api_and_the_exercise_that_exists(chapter):
    links = [link["href"] for link in chapter.find(class_="em-links").find_all("a")]
    assert links == ["../_modules/emlib/engine/em.html", "#module-toy", "exercises/chapter.html"]


def test_docstring_links_to_the_equations_that_exist(chapter):
    text = chapter.find("dl", class_="py").find("dd")
    assert [link.get_text() for link in text.find_all("a")] == ["1.1", "1.1"]
    assert text.get_text().strip() == "The share (eq. 1.1), and eqs. 1.1 to 9.9; not eq. 1.1 in code."


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        (":time: 25\n", "", "objectives needs the option time"),
        (":time: 25\n", ":time: soon\n", "Invalid option"),
        ("em.py", "me.py", "there is no file emlib/engine/me.py"),
        (":api: toy", ":api: joy", "joy"),
        ("See {eq}`eq-a`.", "", "Content block expected"),
        ("correct: true, ", "", "0 options are correct"),
        ("why: 'By *rule*.'", "why: ''", "option a has no why"),
        (QUESTIONS, "question: 'is: it?", "not YAML"),
        (QUESTIONS, "- just text", "3 to 6 questions, here are 1"),
    ],
)
def test_what_an_author_forgets_is_an_error_of_the_build(tmp_path, right, wrong, complaint):
    assert right in CHAPTER
    _, complaints = build(tmp_path, CHAPTER.replace(right, wrong))
    assert complaint in complaints
