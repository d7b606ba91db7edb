"""Keeps the words of the glossary in the search of a site that is built again.

Sphinx finds them while it reads the page, and forgets them when it reads only other pages that have changed.
"""


def read_again(app, env, added, changed, removed):
    """The page of the glossary, whenever another page is read."""
    return [page for page in env.found_docs if page.endswith("/glossary")] if added or changed else []


def setup(app):
    """Register with Sphinx."""
    app.connect("env-get-outdated", read_again)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
