"""The side bar is drawn once for all pages that are not in the table of contents, such as the 150 of source code.

It is the same for each of them but for the way to the root of the site, and drawing it is most of the work of such a
page. Pages of the contents mark their own place in it, and are left alone.
"""


def draw_once(app, pagename, templatename, context, doctree):
    """Keep what the theme draws, by the depth of the page."""
    draw = context.get("generate_toctree_html")
    if draw is None or pagename in app.env.all_docs:
        return
    kept = app.builder.__dict__.setdefault("em_side_bars", {})

    def drawn(*kind, **options):
        key = (pagename.count("/"), *kind, *sorted(options.items()))
        if key not in kept:
            kept[key] = draw(*kind, **options)
        return kept[key]

    context["generate_toctree_html"] = drawn


def setup(app):
    """Register with Sphinx: after the theme's own function, before accessible.py changes what it returns."""
    app.connect("html-page-context", draw_once, priority=800)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
