"""The event ``page-output``: a page as it is about to be written, for extensions that mend what templates wrote.

Sphinx lets extensions change what a template is given, and not what comes out of it. A listener gets the application
and a `Page`, whose ``html`` it may replace.
"""

import re
from dataclasses import dataclass

SCRIPT = re.compile(r"[ \t]*<script\b([^>]*)>(.*?)</script>\n?", re.DOTALL)
ATTRIBUTE = re.compile(r'([\w-]+)(?:="([^"]*)")?')


@dataclass
class Page:
    """A page of the site: its name, what its template was given, and its text."""

    name: str
    context: dict
    html: str

    @property
    def up(self) -> str:
        """The way from the page to the root of the site."""
        return "../" * self.name.count("/")

    def into_head(self, *lines: str) -> None:
        """Add lines at the end of the head."""
        self.html = self.html.replace("</head>", "".join(f"    {line}\n" for line in lines) + "  </head>", 1)


def attributes(text: str) -> dict[str, str]:
    """The attributes of a tag; the value of one that has none is empty."""
    return dict(ATTRIBUTE.findall(text))


def emit_output(app):
    """Let each page that a template writes pass through the event."""
    if app.builder.format != "html" or not hasattr(app.builder, "templates"):
        return
    render = app.builder.templates.render

    def rendered(template, context):
        html = render(template, context)
        if "pagename" not in context or "</html>" not in html:  # the theme tries parts of a page alone, too
            return html
        page = Page(context["pagename"], context, html)
        app.emit("page-output", page)
        return page.html

    app.builder.templates.render = rendered


def setup(app):
    """Register with Sphinx."""
    app.add_event("page-output")
    app.connect("builder-inited", emit_output)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
