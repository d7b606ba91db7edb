"""Equations are typeset when the book is built: what is handed to KaTeX, and what comes of TeX that is wrong."""

import sys

import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.utils import new_document

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


@pytest.mark.parametrize(
    ("tex", "equations"),
    [
        (r"a = b \qquad c = d", ["a = b ", " c = d"]),
        (r"a \qquad \qquad b", ["a ", " b"]),
        (r"\{a\} \qquad b", [r"\{a\} ", " b"]),
        (r"a \qquad", ["a "]),
        *((tex, [tex]) for tex in ("a", r"\underbrace{a \qquad b}_c", r"\left( a \qquad b \right)")),
        *((tex, [tex]) for tex in (r"\begin{cases} a \qquad b \end{cases}", r"a \qquadrat", r"\qquad")),
    ],
)
def test_equations_side_by_side(tex, equations):
    assert typeset.side_by_side(tex) == equations


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


def test_short_equations_keep_their_punctuation():
    def told(*parts):
        line = nodes.paragraph(
            "", "", *(nodes.math(one[1:], one[1:]) if one[0] == "$" else nodes.Text(one) for one in parts)
        )
        document = new_document("page")
        document += line
        typeset.keep_together(None, document, "page")
        assert line.astext() == "".join(parts).replace("$", "")
        return [tied.astext() for tied in line.findall(nodes.inline)]

    assert told("so (", "$x", "), and ", "$y", " too") == ["(x),"]
    assert told("$x", ", ", "$y", ".") == ["x,", "y."]
    assert told("$a", "$b", ")") == ["b)"]
    assert told("for ", "$" + "x + " * 10, ", it") == []


def test_per_cent_stays_with_its_number():
    def tied(*parts):
        document = new_document("page")
        document += nodes.paragraph("", "", *parts)
        typeset.keep_per_cent(None, document, "page")
        return document.astext()

    def glued(number):
        return nodes.inline("", number, classes=["pasted-text"])

    assert tied(nodes.Text("all 32 % of 5\n% and 7%, 8 %.")) == "all 32\u00a0% of 5\u00a0% and 7%, 8\u00a0%."
    assert tied(nodes.Text("in "), glued("98.7"), nodes.Text(" % of 3")) == "in 98.7\u00a0% of 3"
    assert tied(glued("6"), nodes.Text("\n% of 9 %")) == "6\u00a0% of 9\u00a0%"
    assert tied(nodes.math("p", "p"), nodes.Text(" %")) == "p\u00a0%"
    assert tied(nodes.strong("", "12 %"), nodes.Text(", ")) == "12\u00a0%, "
    assert tied(nodes.literal("", "7 % 4"), nodes.Text(" is 3")) == "7 % 4 is 3"
    assert tied(nodes.Text("what % is, "), glued("4"), nodes.Text(" of 5")) == "what % is, 4 of 5"
    assert tied(nodes.Text(" % alone"), glued("4"), nodes.Text(" % alone")) == " % alone4\u00a0% alone"


@pytest.mark.parametrize(
    ("tex", "kept"),
    [
        (r"a = (x - \mu_k)^\top", ["(x−μk​)⊤"]),
        (r"a + n! = (b - c)", ["(b−c)"]),
        (r"s \bigl( n + f(x - y) \bigr) = (a)", ["s(n+f(x−y))="]),
        (r"(a - b)(c - d) + e", ["(a−b)(c−d)+"]),
        (r"f(a - b + " + "x + " * 40 + "z)", []),
        (r"(f(a - b) + " + "x + " * 40 + "z)", ["(f(a−b)+"]),
        (r"\left( a - b \right) = c", []),  # KaTeX keeps it
        (r"[0, 1) - (a", []),
    ],
)
def test_short_brackets_are_not_broken(tex, kept):
    display = typeset.typeset(tex, True)
    page = BeautifulSoup(typeset.keep_brackets(display), "html.parser")
    assert page.get_text() == BeautifulSoup(display, "html.parser").get_text()
    assert len(page.find_all()) == display.count("</") + len(kept)
    assert [one.get_text().replace("\u200b", "") for one in page.select(".katex-html > .em-together")] == [
        one.replace("\u200b", "") for one in kept
    ]
