"""An HTML element as a docutils node: what the book's directives are made of.

Other writers than HTML pass over the element and write its contents.
"""

from docutils import nodes


class element(nodes.General, nodes.TextElement):
    """Made by `make`. (A TextElement, because the HTML writer lets only those hold links.)"""


def visit(self, node):
    # Not self.starttag, which would add the theme's classes and ids of docutils.
    pairs = "".join(
        f" {name}" if value is True else f' {name}="{self.attval(str(value))}"'
        for name, value in node.get("attributes", {}).items()
        if value not in (None, False)
    )
    self.body.append(f"<{node['tag']}{pairs}>")


def depart(self, node):
    if node["tag"] != "input":
        self.body.append(f"</{node['tag']}>")


def skip(self, node):
    """Nothing of its own."""


def make(tag, *children, **attributes):
    """An element; ``class_`` and ``for_`` lose their underscore, others turn it into a hyphen."""
    names = {name: name.rstrip("_").replace("_", "-") for name in attributes}
    node = element("", tag=tag, attributes={names[name]: value for name, value in attributes.items()})
    for child in children:
        node += nodes.Text(child) if isinstance(child, str) else child
    return node


def setup(app):
    """Register with Sphinx."""
    others = dict.fromkeys(("latex", "text", "man", "texinfo"), (skip, skip))
    app.add_node(element, html=(visit, depart), **others)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
