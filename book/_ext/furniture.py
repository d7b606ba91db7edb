"""What every chapter has, as directives, so that a chapter states only its content.

    ```{objectives}            what a reader will be able to do (a list); options time (minutes) and needs
    ```{by-hand} Its title     an example with small numbers
    ```{slips}                 common mistakes
    ```{takeaways}             what to remember
    ```{links}                 from the page to the library and the exercise; options code, api, exercise

The body of each is ordinary MyST. All become a `<section>` with a name, styled in em.css.
"""

from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from element import make
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode


class Box(SphinxDirective):
    """A section with a name; the other directives differ in name and options."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    title = ""

    def run(self):
        self.assert_has_content()
        return [self.box(self.body())]

    def body(self):
        """The body, parsed."""
        holder = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, holder)
        return holder.children

    def inline(self, text):
        """One line of Markdown, parsed."""
        children, messages = self.state.inline_text(text, self.lineno)
        return [*children, *messages]

    def box(self, children):
        """The section, title first."""
        own = self.arguments[0] if self.arguments else ""
        # The title is no heading: the outline of the page belongs to the chapter.
        title = make("p", make("strong", self.title), *self.inline(f": {own}" if own else ""), class_="em-title")
        name = f"{self.title}: {own}" if own else self.title
        return make("section", title, *children, class_=f"em-box em-{self.name}", aria_label=name)


class ByHand(Box):
    title = "Worked by hand"


class Slips(Box):
    title = "Common slips"


class Takeaways(Box):
    title = "What to remember"


class Objectives(Box):
    title = "After this page you can"
    option_spec = {"time": directives.positive_int, "needs": directives.unchanged_required}  # noqa: RUF012 - docutils' way

    def run(self):
        self.assert_has_content()
        absent = [name for name in ("time", "needs") if name not in self.options]
        if absent:
            raise self.error(f"objectives needs the option {absent[0]}.")
        facts = make(
            "dl",
            make("div", make("dt", "You should know"), make("dd", *self.inline(self.options["needs"]))),
            make("div", make("dt", "Reading time"), make("dd", f"{self.options['time']} minutes")),
        )
        return [self.box([*self.body(), facts])]


# ---------------------------------------------------------------- links
class exercise_link(nodes.General, nodes.Element):
    """Where the link to an exercise will stand, once it is known whether the page exists."""


class source_link(nodes.General, nodes.Element):
    """Where the link to the source of a module will stand (sphinx.ext.viewcode writes those pages last)."""


class Links(Box):
    title = "From this page"
    has_content = False
    option_spec = dict.fromkeys(("code", "api", "exercise"), directives.unchanged_required)

    def run(self):
        if not self.options:
            raise self.error("links needs at least one of the options code, api and exercise.")
        items = []
        for path in self.options.get("code", "").split():
            if not (Path(self.env.srcdir) / path).is_file():
                raise self.error(f"links: there is no file {path}.")
            items.append(make("li", "Read the code: ", source_link(path=path)))
        for module in self.options.get("api", "").split():
            reference = addnodes.pending_xref(
                "", nodes.literal("", module), refdomain="py", reftype="mod", reftarget=module, refwarn=True
            )
            reference["refdoc"] = self.env.docname
            items.append(make("li", "Use it: ", reference))
        for name in self.options.get("exercise", "").split():
            items.append(exercise_link(page=f"book/exercises/{name}"))
        return [self.box([make("ul", *items)])]


class ResolveLinks(SphinxPostTransform):
    """Fill in what only the whole book knows."""

    default_priority = 8

    def run(self, **kwargs):
        for node in list(self.document.findall(exercise_link)):
            node.replace_self(self.exercise(node["page"]))
        for node in list(self.document.findall(source_link)):
            page = "_modules/" + node["path"].removesuffix(".py").removesuffix("/__init__")
            address = self.app.builder.get_relative_uri(self.env.docname, page)
            node.replace_self(nodes.reference("", "", nodes.literal("", node["path"]), refuri=address, internal=True))

    def exercise(self, page):
        """The link, or nothing while the book has no such exercise."""
        if page not in self.env.all_docs:
            return []
        text = nodes.Text(self.env.titles[page].astext())
        return make("li", "Try it: ", make_refnode(self.app.builder, self.env.docname, page, "", text))


def setup(app):
    """Register with Sphinx."""
    app.setup_extension("element")
    for name, directive in {
        "objectives": Objectives,
        "by-hand": ByHand,
        "slips": Slips,
        "takeaways": Takeaways,
        "links": Links,
    }.items():
        app.add_directive(name, directive)
    app.add_node(exercise_link)
    app.add_node(source_link)
    app.add_post_transform(ResolveLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
