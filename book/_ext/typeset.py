"""Equations are typeset when the book is built, by KaTeX in a JavaScript engine that pip installs (mini-racer).

In the reader's browser they are text and a style sheet: nothing is left to compute, no page has to wait for a script of
a megabyte, and equations also stand without JavaScript. Each brings MathML for screen readers. TeX that KaTeX does not
know is a warning, which ends the build.

Macros are those of ``katex_macros`` in _config.yml.
"""

import atexit
import functools
import html
import json
import re
from pathlib import Path

from docutils import nodes
from py_mini_racer import MiniRacer
from sphinx.locale import _
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

KATEX = Path(__file__).parent / "vendor" / "katex.min.js"
STYLE = "_static/vendor/katex/katex.min.css"
# The error, if any, comes back as data: what MiniRacer raises would hold a trace of minified code.
TYPESET = """(function (tex, options) {
    try { return JSON.stringify([katex.renderToString(tex, JSON.parse(options)), null]); }
    catch (error) { return JSON.stringify([null, error.message]); }
})"""
# Between dollars, as in the texts of widgets.
DOLLARS = re.compile(r"(?<![\\$])(\$\$?)(?=\S)([^$]*?[^$\s\\])\1(?!\d)")

WORDS = re.compile(r"\\[a-zA-Z]+|\\.|[^\\{}]+|[{}]", re.DOTALL)
BEFORE, AFTER = re.compile(r"[(\[“‘]*$"), re.compile(r"[,.;:!?)\]”’-]*")
PER_CENT = re.compile(r"(?<=\d)\s+(?=%)")
AS_WRITTEN = (nodes.FixedTextElement, nodes.literal, nodes.raw, nodes.math, nodes.math_block, nodes.Invisible)
MOST_TOGETHER = 24  # characters of TeX: a third of a phone's line
# KaTeX's pieces, between which a line may be broken, and its brackets; what closes may be a factorial.
PIECE, END = '<span class="katex-base">', "</span>" * 3
BRACKET = re.compile(r'class="m(open|close)\b[^"]*">(?!<span class="m(?:open|close)\b|!)')
MOST_UNBROKEN = 34  # letters, small ones too: most of a phone's line
OPENING, CLOSING = {"{", r"\begin", r"\left"}, {"}", r"\end", r"\right"}

logger = logging.getLogger(__name__)


class TexError(ValueError):
    """What KaTeX could not typeset, and why."""


@functools.cache
def engine():
    """KaTeX, started once in a process; an engine that is not closed keeps the process from ending."""
    racer = MiniRacer()
    atexit.register(racer.close)
    racer.eval(KATEX.read_text(encoding="utf-8"))
    return racer


@functools.cache
def typeset(tex: str, display: bool, macros: tuple[tuple[str, str], ...] = ()) -> str:
    """TeX as HTML; raises `TexError` with KaTeX's reason."""
    options = json.dumps({"displayMode": display, "macros": dict(macros), "strict": False, "throwOnError": True})
    made, reason = json.loads(engine().eval(f"{TYPESET}({json.dumps(tex)}, {json.dumps(options)})"))
    if made is None:
        raise TexError(f"this equation cannot be typeset ({reason}): {tex}")
    return made


def one_display(tex: str) -> str:
    """Several lines or paragraphs of a displayed equation as one.

    Only lines of its own are put into an environment: what is in none can be broken where a phone needs it.
    """
    parts = [rf"\begin{{split}}{part}\end{{split}}" if has_lines(part) else part for part in paragraphs(tex)]
    return parts[0] if len(parts) == 1 else r"\begin{aligned}" + r"\\".join(parts) + r"\end{aligned}"


def has_lines(tex: str) -> bool:
    """Whether an equation has line breaks outside of environments."""
    depth = 0
    for word in re.findall(r"\\begin\b|\\end\b|\\\\", tex):
        depth += {r"\begin": 1, r"\end": -1}.get(word, 0)
        if word == r"\\" and depth == 0:
            return True
    return False


def side_by_side(tex: str) -> list[str]:
    r"""The equations between which a display has a \qquad: where a phone should start a new line first."""
    found, depth = [""], 0
    for word in WORDS.findall(tex):
        depth += (word in OPENING) - (word in CLOSING)
        if word == r"\qquad" and depth == 0:
            found.append("")
        else:
            found[-1] += word
    return [one for one in found if one.strip()] or [tex]


def keep_brackets(display: str) -> str:
    """A displayed equation that a phone does not break between brackets, if what they hold is short."""
    head, *pieces = display.removesuffix(END).split(PIECE)
    letters = [len(re.sub(r"<[^>]*>|\u200b", "", piece)) for piece in pieces]
    opened, tied = [], set()  # a piece that is tied stays with the next one
    for i, piece in enumerate(pieces):
        for kind in BRACKET.findall(piece):
            if kind == "open":
                opened.append(i)
            elif opened:
                first = start = opened.pop()
                while first - 1 in tied:
                    first -= 1
                if sum(letters[first : i + 1]) <= MOST_UNBROKEN:
                    tied.update(range(start, i))
    made = [head]
    for i, piece in enumerate(pieces):
        begins, ends = i in tied and i - 1 not in tied, i - 1 in tied and i not in tied
        made += ['<span class="em-together">' if begins else "", PIECE, piece, "</span>" if ends else ""]
    return "".join(made) + END


def paragraphs(tex: str) -> list[str]:
    """Those that hold something; at least one."""
    return [part for part in tex.split("\n\n") if part.strip()] or [""]


def typeset_dollars(text: str, macros: tuple[tuple[str, str], ...] = ()) -> str:
    """HTML in which what stands between dollars is typeset."""
    return DOLLARS.sub(lambda found: typeset(html.unescape(found[2]), found[1] == "$$", macros), text)


# ---------------------------------------------------------------- Sphinx
def macros_of(config) -> tuple[tuple[str, str], ...]:
    """The macros of the book, as KaTeX names them."""
    return tuple(("\\" + name, meaning) for name, meaning in config.katex_macros.items())


def typeset_node(translator, node, tex, display):
    """The node's HTML; its TeX and a warning where it has none."""
    try:
        return typeset(tex, display, macros_of(translator.builder.config))
    except TexError as error:
        logger.warning("%s", error, location=node)
        return html.escape(tex)


def visit_inline(self, node):
    """An equation in a line."""
    self.body.append(self.starttag(node, "span", "", CLASS="math notranslate nohighlight"))
    self.body.append(typeset_node(self, node, node.astext(), display=False) + "</span>")
    raise nodes.SkipNode


def visit_display(self, node):
    """A displayed equation, with its number and the link to it."""
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, _("Link to this equation"))
        self.body.append("</span>")
    tex = node.astext() if node["nowrap"] else one_display(node.astext())
    made = [keep_brackets(typeset_node(self, node, one, display=True)) for one in side_by_side(tex)]
    self.body.append(made[0] if len(made) == 1 else f'<span class="em-side-by-side">{"".join(made)}</span>')
    self.body.append("</div>\n")
    raise nodes.SkipNode


def keep_together(app, doctree, docname):
    """Tie short equations to the punctuation at their sides: a line must not begin with the comma."""
    for equation in list(doctree.findall(nodes.math)):
        if len(equation.astext()) > MOST_TOGETHER:  # may have to be broken itself
            continue
        parent, here = equation.parent, equation.parent.index(equation)
        before, after = parent[here - 1] if here else None, parent[here + 1] if here + 1 < len(parent) else None
        opening = BEFORE.search(before)[0] if isinstance(before, nodes.Text) else ""
        closing = AFTER.match(after)[0] if isinstance(after, nodes.Text) else ""
        if not opening + closing:
            continue
        tied = nodes.inline(
            "", "", nodes.Text(opening), equation.deepcopy(), nodes.Text(closing), classes=["em-together"]
        )
        parent[here] = tied
        if closing:
            parent[here + 1] = nodes.Text(after[len(closing) :])
        if opening:
            parent[here - 1] = nodes.Text(before[: -len(opening)])


def keep_per_cent(app, doctree, docname):
    """Tie "%" to its number, which may be a computed one: a line must not begin with the sign."""
    for parent in doctree.findall(nodes.Element):
        if isinstance(parent, AS_WRITTEN):
            continue
        last = ""  # what stands before: a computed number is an element of its own
        for here, child in enumerate(parent):
            if isinstance(child, nodes.Text):
                child = nodes.Text(PER_CENT.sub("\u00a0", last + child)[len(last) :])
                parent[here] = child
            last = "0" if isinstance(child, nodes.math) else child.astext()[-1:]


def add_style(app, page):
    """Load the style sheet where there is an equation."""
    if 'class="katex' in page.html or page.context.get("em_widget_math"):
        page.into_head(f'<link rel="stylesheet" href="{page.up}{STYLE}" />')


def setup(app):
    """Register with Sphinx: `html_math_renderer: katex` in _config.yml chooses it."""
    app.setup_extension("output")
    app.add_config_value("katex_macros", {}, "html")
    app.add_html_math_renderer("katex", (visit_inline, None), (visit_display, None))
    app.connect("doctree-resolved", keep_together)
    app.connect("doctree-resolved", keep_per_cent)
    app.connect("page-output", add_style)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
