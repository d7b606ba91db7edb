"""Widgets cost a page nothing until a reader comes near them.

The state of the widgets (pictures of all frames: up to a megabyte) moves out of the page into a script beside it, and
the library that draws them (1.9 MB) is no longer part of the page: em-static.js loads both when a widget is about to
come into sight. A script and not JSON, because a page opened from the disk may load scripts only.
Equations in the texts of widgets are typeset here, as those of the page are.
"""

import json
from pathlib import Path

from sphinx.util import logging
from typeset import TexError, macros_of, typeset_dollars

STATE = "application/vnd.jupyter.widget-state+json"
MANAGER = "html-manager/embed.js"

logger = logging.getLogger(__name__)


def state_file(pagename: str) -> str:
    """Where the widgets of a page are kept, from the root of the site."""
    return f"{pagename}.widgets.js"


def typeset_texts(state: dict, pagename: str, macros) -> bool:
    """Typeset the equations in the texts of a page's widgets; whether there are any."""
    before = json.dumps(state)
    for model in state["state"].values():
        if model["model_name"] == "HTMLMathModel":
            try:
                model["state"]["value"] = typeset_dollars(model["state"]["value"], macros)
            except TexError as error:
                logger.warning("%s", error, location=pagename)
    return json.dumps(state) != before


def put_aside(app, pagename, templatename, context, doctree):
    """Write the state to a file of its own, and tell em-static.js where that and the library are."""
    scripts = context.get("script_files", [])
    of_widgets = [s for s in scripts if s.attributes.get("type") == STATE]
    if not of_widgets:
        return
    manager = next(s for s in scripts if MANAGER in str(s.filename))
    state = json.loads(of_widgets[0].attributes["body"])
    context["em_widget_math"] = typeset_texts(state, pagename, macros_of(app.config))
    path = Path(app.outdir) / state_file(pagename)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A line of JSON within JavaScript: as a string it is parsed faster than as an object.
    path.write_text(f"emWidgets.state({json.dumps(json.dumps(state))});\n", encoding="utf-8")
    context["em_widgets"] = str(manager.filename)
    scripts[:] = [s for s in scripts if s not in (*of_widgets, manager)]


def name_files(app, page):
    """Leave the addresses of both files on the page's root element."""
    if manager := page.context.get("em_widgets"):
        state = Path(state_file(page.name)).name
        page.html = page.html.replace(
            "<html ", f'<html data-em-state="{state}" data-em-manager="{page.up}{manager}" ', 1
        )


def setup(app):
    """Register with Sphinx; before offline.py, which looks at scripts too."""
    app.setup_extension("output")
    app.connect("html-page-context", put_aside, priority=850)
    app.connect("page-output", name_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
