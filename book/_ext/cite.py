"""The directive ``{how-to-cite}``: how to cite the course, in words and as BibTeX, from CITATION.cff and the edition.

BibTeX is a code block, so the button that copies code copies it too.
"""

from docutils import nodes
from edition import citation, edition
from element import make
from sphinx.util.docutils import SphinxDirective


def names(authors: list[dict]) -> list[str]:
    """Authors of a CITATION.cff, given name first; a group has one name."""
    return [author.get("name") or f"{author['given-names']} {author['family-names']}" for author in authors]


def year(cff: dict, day: str, otherwise: str) -> str:
    """Of its release; failing that of its commit; failing that of its copyright."""
    return (str(cff.get("date-released", "")) or day or otherwise)[:4]


def where(cff: dict, address: str) -> str:
    """Where a reader finds the work; empty while nobody has said so."""
    return f"https://doi.org/{cff['doi']}" if cff.get("doi") else cff.get("url") or address


def in_words(cff: dict, commit: str, of: str, place: str) -> str:
    """A line for a list of references."""
    at = f", commit {commit}" if commit else ""
    return f"{', '.join(names(cff['authors']))} ({of}). {cff['title']}. Version {cff['version']}{at}. {place}".strip()


def bibtex(cff: dict, commit: str, of: str, place: str) -> str:
    """An entry for BibTeX. Doubled braces keep a group's name in one piece."""
    pairs = zip(cff["authors"], names(cff["authors"]), strict=True)
    authors = [f"{{{name}}}" if "name" in author else name for author, name in pairs]
    fields = {
        "author": " and ".join(authors),
        "title": f"{{{cff['title']}}}",
        "year": of,
        "version": str(cff["version"]),
        "note": f"Commit {commit}" if commit else "",
        "doi": cff.get("doi", ""),
        "url": place,
    }
    lines = [f"  {name:<7} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join(["@software{emlib,", *lines, "}"])


class HowToCite(SphinxDirective):
    """A box with both."""

    def run(self):
        self.env.note_reread()  # another commit is another citation
        cff, commit = citation(), edition().commit
        of = year(cff, edition().day, str(self.config.copyright))
        place = where(cff, self.config.html_baseurl)
        entry = bibtex(cff, commit, of, place)
        code = nodes.literal_block(entry, entry, language="bibtex")
        words = make("p", in_words(cff, commit, of, place))
        return [make("section", words, code, class_="em-box em-cite", aria_label="How to cite this course")]


def setup(app):
    """Register with Sphinx."""
    app.setup_extension("element")
    app.add_directive("how-to-cite", HowToCite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
