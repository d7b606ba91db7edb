"""Students' copies of the notebooks say in Markdown what the pages say in MyST."""

import copy
import json
import re
import sys

import nbformat
import pytest

from .conftest import PAGES, ROOT, SITE, require_site

sys.path.insert(0, str(ROOT / "book" / "_ext"))  # Sphinx does the same
import plain

NOTEBOOKS = [page for page in PAGES if (ROOT / f"{page}.ipynb").is_file()]
COPIES = SITE.parent / "notebooks"
BOOK = plain.Book(
    equations={"eq-sum": "2.1"},
    figures={"fig-clouds": "Fig. 2.1"},
    citations={"Dempster1977": ("Dempster et al.", "1977"), "Student1908": ("Student", "1908")},
    titles={"book/exercises/mixtures": "Exercise 2", "book/principles/mixtures": "The two-step dance"},
    modules={"emlib.engine.em": "book/reference/engine"},
    notebooks=frozenset({"book/principles/mixtures", "book/exercises/mixtures", "book/applications/hmm"}),
    macros={"E": r"\mathbb{E}"},
)
ONLINE = plain.Book(
    **{
        **BOOK.__dict__,
        "site": "https://a.github.io/b/",
        "files": "https://github.com/a/b/blob/main/",
        "wheel": "https://w",
    }
)


def say(text: str, book: plain.Book = BOOK) -> str:
    return plain.Page("book/principles/mixtures", book, {"share": "35.6"}).say(text)


# ---------------------------------------------------------------- a line
@pytest.mark.parametrize(
    ("myst", "markdown"),
    [
        ("by {eq}`eq-sum` and {numref}`fig-clouds`", "by (2.1) and Fig. 2.1"),
        ("a share of {glue:text}`share` %", "a share of 35.6 %"),
        ("EM {cite:p}`Dempster1977, Student1908`.", "EM (Dempster et al. 1977; Student 1908)."),
        ("as {cite:t}`Student1908` found", "as Student (1908) found"),
        ("the {term}`words <word>` and {doc}`text`", "the words and text"),
        ("`code with {eq}` and `[a](b)`", "`code with {eq}` and `[a](b)`"),
        ("[elsewhere](https://example.org/a.html)", "[elsewhere](https://example.org/a.html)"),
        ("[chapter](../applications/hmm.ipynb)", "[chapter](../applications/hmm.ipynb)"),
        ("[chapter](../applications/hmm)", "[chapter](../applications/hmm.ipynb)"),
        ("the [glossary](../appendix/glossary.md#em)", "the glossary"),
        (r"$\E z$ and $\Epsilon$", r"$\mathbb{E} z$ and $\Epsilon$"),
    ],
)
def test_line(myst, markdown):
    assert say(myst) == markdown


def test_pages_that_are_no_notebooks_are_on_the_site_where_it_has_an_address():
    said = say("[g](../appendix/glossary.md#em)", ONLINE)
    assert said == "[g](https://a.github.io/b/book/appendix/glossary.html#em)"


def test_equation_keeps_its_number():
    said = say("$$ a $$\n\nthen\n\n$$\nb = 1\n$$ (eq-sum)\n\nso")
    assert said == "$$ a $$\n\nthen\n\n$$\nb = 1 \\tag{2.1}\n$$\n\nso"


# ---------------------------------------------------------------- blocks
def test_box_holds_blocks_of_its_own():
    said = say(
        "before\n\n````{by-hand} One step, {eq}`eq-sum`\nx\n\n```python\n{eq}`kept`\n```\n$$ y $$ (eq-sum)\n````\nafter"
    )
    assert said == (
        "before\n\n---\n\n**Worked by hand: One step, (2.1)**\n\nx\n\n```python\n{eq}`kept`\n```\n"
        "$$ y \\tag{2.1}\n$$\n\n---\n\nafter"
    )


def test_objectives_say_time_and_needs():
    said = say("```{objectives}\n:time: 35\n:needs: chapter 1\n\n- write it;\n- run it.\n```")
    assert "**After this page you can**\n\n- write it;\n- run it." in said
    assert "*You should know: chapter 1. Reading time: 35 minutes.*" in said


def test_quiz_hides_its_explanations():
    said = say(
        "```{quiz}\n- question: Is\n    {eq}`eq-sum` right?\n  options:\n"
        "    - text: Surely\n      correct: true\n      why: It is.\n"
        "    - text: Hardly\n      why: Look again.\n```"
    )
    assert said.startswith("**1.** Is (2.1) right?\n\n- (a) Surely\n- (b) Hardly\n\n<details>")
    assert "- (a) right. It is.\n- (b) not this one. Look again.\n\n</details>" in said


def test_links_of_a_page():
    text = "```{links}\n:code: emlib/engine/em.py\n:api: emlib.engine.em\n:exercise: mixtures nowhere\n```"
    assert "- Read the code: `emlib/engine/em.py`\n- Use it: `emlib.engine.em`\n" in say(text)
    assert "[Exercise 2](../exercises/mixtures.ipynb)" in say(text)
    assert "nowhere" not in say(text)
    assert "[`emlib/engine/em.py`](https://github.com/a/b/blob/main/emlib/engine/em.py)" in say(text, ONLINE)
    assert "(https://a.github.io/b/book/reference/engine.html#module-emlib.engine.em)" in say(text, ONLINE)


@pytest.mark.parametrize(
    ("myst", "named"),
    [
        ("```{tab-set}\nx\n```", "tab-set"),
        ("{kbd}`x`", "kbd"),
        ("{eq}`eq-none`", "eq-none"),
        ("$$ x $$ (eq-none)", "eq-none"),
        ("{glue:text}`none`", "none"),
    ],
)
def test_what_cannot_be_said_is_named(myst, named):
    with pytest.raises(plain.CannotSay, match=rf"book/principles/mixtures.*{named}"):
        say(myst)


# ---------------------------------------------------------------- notebooks
def notebook_of(*cells) -> dict:
    kinds = {"md": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    cells = [kinds[kind](source, metadata=metadata) for kind, source, metadata in cells]
    return json.loads(nbformat.writes(nbformat.v4.new_notebook(cells=cells)))


def test_original_is_left_as_it_is():
    original = notebook_of(("md", "{eq}`eq-sum`", {}), ("code", "1", {"tags": ["remove-cell"]}))
    before = copy.deepcopy(original)
    plain.plain(original, "book/x", BOOK)
    assert original == before


def test_cells_left_out_of_the_page_are_folded_and_captions_shown():
    original = notebook_of(
        ("code", "draw()", {"tags": ["hide-input"], "mystnb": {"figure": {"caption": "Two.", "name": "fig-clouds"}}}),
        ("code", "say()", {}),
    )
    _, _, drawing, caption, plainly = plain.plain(original, "book/x", BOOK)["cells"]
    assert drawing["metadata"]["jupyter"] == {"source_hidden": True}
    assert caption["source"] == "*Fig. 2.1. Two.*"
    assert "jupyter" not in plainly["metadata"]


def test_outputs_of_cells_that_the_page_leaves_out_go():
    original = notebook_of(
        ("code", "look()", {"tags": ["remove-cell"]}), ("code", "look()", {"tags": ["remove-input"]})
    )
    for cell in original["cells"]:
        cell["outputs"] = [
            {"output_type": "stream", "name": "stdout", "text": "seen"},
            {"output_type": "display_data", "data": {f"{plain.GLUED}text/plain": "'1'"}, "metadata": {}},
            {"output_type": "display_data", "data": {plain.WIDGET: {}, "text/plain": "VBox"}, "metadata": {}},
        ]
    _, _, removed, shown = plain.plain(original, "book/x", BOOK)["cells"]
    assert removed["outputs"] == []
    assert [output.get("text") or output["data"]["text/plain"] for output in shown["outputs"]] == [
        "seen",
        plain.EXPLORER,
    ]


def test_setup_runs_where_it_is_not_needed_and_is_python_without_its_magics():
    for book in (BOOK, ONLINE):
        source = plain.setup_cell(notebook_of(("code", "import arviz", {})), book)["source"]
        lines = [line for line in source.splitlines() if not line.lstrip().startswith("%")]
        exec(compile("\n".join(lines), "<setup>", "exec"), {})  # the grader and `pytest --submission` leave magics out
        assert "    %pip install -q arviz" in source
        assert ("google.colab" in source) == bool(book.wheel)


def copy_of(page: str) -> dict:
    require_site()
    return json.loads((COPIES / f"{page}.ipynb").read_text(encoding="utf-8"))


MYST = {
    "a directive": re.compile(r"^\s*(`{3,}|:{3,})\{", re.MULTILINE),
    "a role": re.compile(r"\{[\w:]+\}`"),
    "a label": re.compile(r"^\([\w-]+\)=|\$\$\s*\([\w-]+\)", re.MULTILINE),
    "an accent in TeX": re.compile(r"\{\\[\"'`^~]\w"),
    "two rules": re.compile(r"^---\n\s*---$", re.MULTILINE),
}


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_copy_is_sound_and_holds_no_myst(page):
    copied = copy_of(page)
    nbformat.validate(copied)
    text = "\n\n***\n\n".join("".join(cell["source"]) for cell in copied["cells"] if cell["cell_type"] == "markdown")
    assert {name: found[0] for name, pattern in MYST.items() if (found := pattern.search(text))} == {}
    code = "\n".join("".join(cell["source"]) for cell in copied["cells"] if cell["cell_type"] == "code")
    macros = [name for name in ("\\E", "\\KL") if re.search(re.escape(name) + r"(?![A-Za-z])", text)]
    assert macros == [], "Jupyter does not know the book's own TeX"
    assert "papermill.record" not in json.dumps(copied["cells"]), "outputs that only the page can use"
    assert code


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_copy_has_the_code_of_the_page(page):
    original = json.loads((ROOT / f"{page}.ipynb").read_text(encoding="utf-8"))
    codes = [
        ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
        for notebook in (original, copy_of(page))
    ]
    assert codes[1][1:] == codes[0]  # after the cell that installs


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_links_between_copies_hold(page):
    text = "\n".join("".join(cell["source"]) for cell in copy_of(page)["cells"] if cell["cell_type"] == "markdown")
    targets = re.findall(r"\]\((?!https?:)([^)\s]+)\)", re.sub(r"`[^`]*`|\$[^$]*\$", "", text))
    assert [target for target in targets if not (COPIES / page).parent.joinpath(target).resolve().is_file()] == []


def test_there_are_no_other_copies():
    require_site()
    found = {path.relative_to(COPIES).with_suffix("").as_posix() for path in COPIES.rglob("*.ipynb")}
    assert found == set(NOTEBOOKS)
