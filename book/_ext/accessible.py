"""Mends the HTML of other extensions where a screen reader would stumble."""

MENDS = {
    # Docutils calls references a list, but the children are no list items.
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    # The name of a folded cell is what it says: "Show code cell source".
    '<summary aria-label="Toggle hidden content">': "<summary>",
}


def mend(app, pagename, templatename, context, doctree):
    """Mend the body of a page."""
    for wrong, right in MENDS.items():
        if "body" in context:
            context["body"] = context["body"].replace(wrong, right)


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
