"""Mends the HTML of other extensions where a screen reader would stumble."""

import re

MENDS = {
    # Docutils calls references a list, but the children are no list items.
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    # The name of a folded cell is what it says: "Show code cell source".
    '<summary aria-label="Toggle hidden content">': "<summary>",
}


# The arrow that unfolds a chapter in the side bar is an image without a word.
ARROW = '<summary><span class="toctree-toggle"'
NAMED_ARROW = '<summary aria-label="show or hide what belongs to it"><span class="toctree-toggle"'


def name_arrows(app, pagename, templatename, context, doctree):
    """Give a name to the arrows of the side bar, which the theme draws when its template asks for them."""
    draw = context.get("generate_toctree_html")
    if draw is not None:

        def drawn(*kind, **options):
            html = draw(*kind, **options)
            return html if html is None else str(html).replace(ARROW, NAMED_ARROW)

        context["generate_toctree_html"] = drawn


# The search button is called "Search", but reads "Search Ctrl + K": then its text is the better name.
SEARCH_BUTTON = re.compile(r'(<button class="btn search-button-field[^>]*?) aria-label="[^"]*"')


def name_search_button(app, page):
    """Leave the button with its text."""
    page.html = SEARCH_BUTTON.sub(r"\1", page.html)


def mend(app, pagename, templatename, context, doctree):
    """Mend the body of a page."""
    for wrong, right in MENDS.items():
        if "body" in context:
            context["body"] = context["body"].replace(wrong, right)


def setup(app):
    """Register with Sphinx."""
    app.setup_extension("output")
    app.connect("html-page-context", mend)
    app.connect("html-page-context", name_arrows, priority=900)  # after the theme's own
    app.connect("page-output", name_search_button)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
