"""Equations are typeset when the book is built: what is handed to KaTeX, and what comes of TeX that is wrong."""

import sys

import pytest
from bs4 import BeautifulSoup

from .conftest import ROOT

sys.path.append(str(ROOT / "book" / "_ext"))  # as Sphinx does
pytest.importorskip("py_mini_racer")
import typeset
import widgets


def test_equation_is_drawn_and_said():
    found = BeautifulSoup(typeset.typeset(r"\E[x_1]", False, (("\\E", r"\mathbb{E}"),)), "html.parser")
    assert found.find(class_="katex-html")["aria-hidden"] == "true"
    assert found.find("math").find("msub").get_text() == "x1"
    assert found.find("mi", mathvariant="double-struck").get_text() == "E"
    assert found.find("annotation").get_text() == r"\E[x_1]"


@pytest.mark.parametrize("tex", [r"\frac{1}", r"\nosuchmacro x", r"\left( x", "x_1_2"])
def test_wrong_tex_is_refused_with_the_reason(tex):
    with pytest.raises(typeset.TexError, match="cannot be typeset") as caught:
        typeset.typeset(tex, True)
    assert tex in str(caught.value)


@pytest.mark.parametrize(
    ("tex", "display"),
    [
        ("a = b", "a = b"),
        (r"a \\ b", r"\begin{split}a \\ b\end{split}"),
        (
            r"\begin{cases} a \\ b \end{cases}",
            r"\begin{cases} a \\ b \end{cases}",
        ),  # not an environment more: it may break
        (r"\begin{cases} a \\ b \end{cases} \\ c", r"\begin{split}\begin{cases} a \\ b \end{cases} \\ c\end{split}"),
        ("a\n\nb", r"\begin{aligned}a\\b\end{aligned}"),
    ],
)
def test_lines_become_one_display(tex, display):
    assert typeset.one_display(tex) == display
    typeset.typeset(display, True)


def test_only_what_stands_between_dollars_is_typeset():
    text = typeset.typeset_dollars(r"<p>If $x &lt; 1$, it costs 5$ or \$6, and $$y$$.</p>")
    page = BeautifulSoup(text, "html.parser")
    assert [tag.get_text() for tag in page.find_all("annotation")] == ["x < 1", "y"]
    assert len(page.select(".katex-display")) == 1
    assert "it costs 5$ or" in text


def test_texts_of_widgets_are_typeset_and_nothing_else_is():
    def model(kind, value):
        return {"model_name": kind, "state": {"value": value}}

    state = {
        "state": {"1": model("HTMLMathModel", "so $x$"), "2": model("HTMLModel", "$5$"), "3": model("PlayModel", 3)}
    }
    assert widgets.typeset_texts(state, "page", ())
    values = [each["state"]["value"] for each in state["state"].values()]
    assert 'class="katex"' in values[0]
    assert values[1:] == ["$5$", 3]
    assert not widgets.typeset_texts({"state": {"1": model("HTMLMathModel", "no equation")}}, "page", ())
