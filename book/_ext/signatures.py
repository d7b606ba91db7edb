"""The reference as Sphinx would not write it by itself: no machine words, attributes by their names."""

import re

UNSPEAKABLE = re.compile(r"<factory>|<function [^()<>]*(?:<\w+>)?[^()<>]*>")
ATTRIBUTE = re.compile(r":ivar ([^:]+): ?(.*)")
KIND = re.compile(r":vartype [^:]+: ?(.*)")


def speakable(app, what, name, obj, options, signature, returns):
    """Defaults that have no words of their own, such as `<factory>` or a lambda, as three dots."""
    return (UNSPEAKABLE.sub("...", signature), returns) if signature else None


def list_attributes(app, what, name, obj, options, lines):
    """Attributes as a list, one item for names that are described together.

    Sphinx takes the underscore at the end of ``weights_`` for a reference, and all names but the last for a type.
    """
    lines[:] = attributes_listed(lines)


def attributes_listed(lines):
    """The lines of a docstring as napoleon leaves it, with what it says of attributes made a field of its own."""
    before, items, after = [], [], []
    for line in lines:
        if found := ATTRIBUTE.fullmatch(line):
            names = ", ".join(f"**{each.strip()}**".replace("_", r"\_") for each in found[1].split(","))
            items.append([names, "", [found[2]]])
        elif found := KIND.fullmatch(line):
            items[-1][1] = f" (*{found[1]}*)"
        elif items and not after and line.startswith(" "):
            items[-1][2].append(line.strip())
        else:
            (after if items else before).append(line)
    if not items:
        return lines
    listed = [f"    * {names}{kind} – {' '.join(text)}".rstrip(" –") for names, kind, text in items]
    return [*before, ":Attributes:", *listed, *after]


def setup(app):
    """Register with Sphinx; attributes after napoleon has read the docstring."""
    app.connect("autodoc-process-signature", speakable)
    app.connect("autodoc-process-docstring", list_attributes, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
