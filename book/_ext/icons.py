"""Icons as drawings in the page, instead of the theme's script of 1.5 MB that would draw the same in the browser.

The drawings are taken from that script (Font Awesome Free, CC BY 4.0) when the book is built; a page holds those that
it shows.
"""

import functools
import json
import re
from pathlib import Path

import pydata_sphinx_theme
from sphinx.util import logging

THEME = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
LIBRARY = THEME / "scripts" / "fontawesome.js"
#: A set of icons ends where the script names it: `d("fas", …), d("fa-solid", …)`.
END_OF_SET = re.compile(r'\w\("fa[brs]",\w+\),\w\("(fa-\w+)"')
ICON = re.compile(r'[{,]"?([a-z0-9-]+)"?:\[(\d+),(\d+),(\[[^\]]*\]),"[0-9a-f]+","([^"]*)"\]')
SETS = {"fa": "fa-solid", "fas": "fa-solid", "far": "fa-regular", "fab": "fa-brands"}
ELEMENT = re.compile(r'<(i|span) class="([^"]*\bfa-[^"]*)"([^>]*)>\s*</\1>')
SCRIPT = re.compile(
    r"[ \t]*(?:<!-- So that users can add custom icons -->\s*)?<script[^>]*/fontawesome\.js[^>]*></script>\n?"
)

logger = logging.getLogger(__name__)


@functools.cache
def drawings() -> dict[tuple[str, str], tuple[str, str, str]]:
    """Width, height and path of each icon by its set and name."""
    text, found, start = LIBRARY.read_text(encoding="utf-8"), {}, 0
    for end in END_OF_SET.finditer(text):
        for name, width, height, aliases, path in ICON.findall(text, start, end.start()):
            names = [name, *(alias for alias in json.loads(aliases) if isinstance(alias, str))]
            found.update(dict.fromkeys(((end[1], each) for each in names), (width, height, path)))
        start = end.end()
    return found


def draw(classes: str, rest: str = "") -> str | None:
    """The drawing of an icon that is asked for by classes; None if there is none."""
    words = classes.split()
    style = next((SETS.get(word, word) for word in words if word in SETS or word in SETS.values()), "fa-solid")
    for word in words:
        if drawing := drawings().get((style, word.removeprefix("fa-"))):
            width, height, path = drawing
            hidden = "" if "aria-" in rest else ' aria-hidden="true"'
            return (
                f'<svg class="svg-inline--fa {" ".join(words)}"{rest}{hidden} viewBox="0 0 {width} {height}">'
                f'<path fill="currentColor" d="{path}"></path></svg>'
            )
    return None


def draw_icons(app, page):
    """Put drawings where the templates left elements for the script, and leave the script out."""

    def drawn(found):
        if (svg := draw(found[2], found[3])) is None:
            logger.warning('the page %s asks for an icon that Font Awesome does not have: "%s"', page.name, found[2])
            return found[0]
        return svg

    page.html = SCRIPT.sub("", ELEMENT.sub(drawn, page.html))


def setup(app):
    """Register with Sphinx."""
    app.setup_extension("output")
    app.connect("page-output", draw_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
