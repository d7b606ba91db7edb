"""Docstrings cite the book: "eq. 2.7" on an API page becomes a link to that equation.

A test (tests/book/test_equations.py) sees to it that every equation cited in emlib exists.
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

NUMBER = re.compile(r"\d+\.\d+")
#: "eq. 2.7", "eqs. 2.7, 2.8", "eqs. 2.1 to 2.8", "eqs. 2.7 and 2.8"
CITATION = re.compile(r"\beqs?\.\s+\d+\.\d+(?:(?:,\s+and|,|\s+and|\s+to)\s+\d+\.\d+)*")


def numbered_equations(env):
    """Where each numbered equation of the book is: {"2.7": (page, id)}."""
    return {
        ".".join(map(str, number)): (page, anchor)
        for page, kinds in env.toc_fignumbers.items()
        for anchor, number in kinds.get("displaymath", {}).items()
    }


class LinkCitations(SphinxPostTransform):
    """Link what docstrings cite; a number without an equation stays text."""

    default_priority = 900

    def run(self, **kwargs):
        known = None
        for description in list(self.document.findall(lambda node: isinstance(node, (addnodes.desc, nodes.section)))):
            for text in list(description.findall(nodes.Text)):
                if "eq" not in text or isinstance(text.parent, (nodes.literal, nodes.literal_block, nodes.reference)):
                    continue
                if not CITATION.search(text):
                    continue
                known = numbered_equations(self.env) if known is None else known
                text.parent.replace(text, self.linked(text, known))

    def linked(self, text, known):
        """The text in pieces, numbers of equations as links."""
        pieces, end = [], 0
        for citation in CITATION.finditer(text):
            for number in NUMBER.finditer(text, citation.start(), citation.end()):
                if number[0] in known:
                    page, anchor = known[number[0]]
                    pieces.append(nodes.Text(text[end : number.start()]))
                    pieces.append(make_refnode(self.app.builder, self.env.docname, page, anchor, nodes.Text(number[0])))
                    end = number.end()
        return [*pieces, nodes.Text(text[end:])]


def renumbered(app, env):
    """All pages, if an equation has another number than in the last build: any of them may refer to it."""
    before, env.em_equations = getattr(env, "em_equations", None), numbered_equations(env)
    return [] if before == env.em_equations else sorted(env.all_docs)


def setup(app):
    """Register with Sphinx."""
    app.add_post_transform(LinkCitations)
    app.connect("env-get-updated", renumbered, priority=900)  # after Sphinx has numbered them
    return {"parallel_read_safe": True, "parallel_write_safe": True}
