"""Defaults in the reference that have no words of their own, such as `<factory>` or a lambda, shown as three dots."""

import re

UNSPEAKABLE = re.compile(r"<factory>|<function [^()<>]*(?:<\w+>)?[^()<>]*>")


def speakable(app, what, name, obj, options, signature, returns):
    """The signature as a reader may type it."""
    return (UNSPEAKABLE.sub("...", signature), returns) if signature else None


def setup(app):
    """Register with Sphinx."""
    app.connect("autodoc-process-signature", speakable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
