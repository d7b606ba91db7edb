"""The side bar is drawn from titles alone, and once for all pages that are not in the table of contents.

Sphinx draws it with every heading and every name of the reference, a thousand of them, and the theme then takes out all
that are no pages: for each page, and for each of 150 pages of source code, that was most of the work of a build.
The result is the same.
"""

from docutils import nodes
from sphinx import addnodes


def titles(toc):
    """The contents of a page without its own headings, but with the pages below it."""
    kept = toc.deepcopy()
    for item in list(kept.findall(nodes.list_item)):
        link = next(item.findall(nodes.reference), None)
        if link is not None and link["anchorname"] and not any(item.findall(addnodes.toctree)):
            item.parent.remove(item)
    return kept


def draw_lightly(app, pagename, templatename, context, doctree):
    """Let Sphinx see titles while it draws, and keep what it draws for pages without a place of their own."""
    if "toctree" not in context:
        return
    env, draw = app.env, context["toctree"]
    if not hasattr(app.builder, "em_titles"):
        app.builder.em_titles = {page: titles(toc) for page, toc in env.tocs.items()}
        app.builder.em_drawn = {}

    def drawn(**options):
        # Of pages outside of the contents only the way to the root of the site differs.
        key = pagename if pagename in env.all_docs else pagename.count("/"), *sorted(options.items())
        if key not in app.builder.em_drawn:
            whole, env.tocs = env.tocs, app.builder.em_titles
            try:
                app.builder.em_drawn[key] = draw(**options)
            finally:
                env.tocs = whole
        return app.builder.em_drawn[key]

    context["toctree"] = drawn


def setup(app):
    """Register with Sphinx, before the theme."""
    app.connect("html-page-context", draw_lightly, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
