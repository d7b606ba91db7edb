"""What a page says about itself to search engines, reference managers and those who share a link.

Each page has a description (its first objectives, or its first words), Open Graph and ``citation_*`` tags. Whole
addresses, `canonical`, robots.txt and sitemap.xml exist only where _config.yml says where the repository or the site is
(launch.py): a copy on a stick must not claim to be elsewhere.
"""

import html
import re
from pathlib import Path
from xml.sax.saxutils import escape

from cite import names, year
from docutils import nodes
from edition import citation, edition
from element import element

LONGEST = 160  # characters of a description: what search engines show
GENERATED = {"genindex": "Index of the course and of emlib", "search": "Search in the course"}


def description(pagename: str, doctree, title: str) -> str:
    """One sentence on a page."""
    if doctree is not None:
        for box in doctree.findall(element):
            if "em-objectives" in box.get("attributes", {}).get("class", ""):
                aims = [" ".join(item.astext().split()).rstrip(";.") for item in box.findall(nodes.list_item)]
                return shortened(f"You learn to {'; '.join(aims)}.")
        for paragraph in doctree.findall(nodes.paragraph):
            text = " ".join(plain(paragraph).split())
            if len(text) >= 60 and not isinstance(paragraph.parent, (nodes.admonition, nodes.note)):
                return shortened(text)
    if pagename.startswith("_modules/"):
        return f"Source code of {title}, from the course's library emlib."
    return f"{GENERATED.get(pagename, title)}: an interactive course on the EM algorithm in computational biology."


def plain(node) -> str:
    """The text of a node, its equations without backslashes and braces."""
    return "".join(
        re.sub(r"[\\{}]", "", text) if isinstance(text.parent, nodes.math) else str(text)
        for text in node.findall(nodes.Text)
    )


def shortened(text: str) -> str:
    """A text that ends with a whole word."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rsplit(" ", 1)[0].rstrip(" ,;:") + " …"


def tags(pagename: str, title: str, about: str, config) -> dict[str, str]:
    """The tags by name; those of Open Graph have a colon in it."""
    cff, address = citation(), config.html_baseurl
    found = {
        "description": about,
        "og:title": title,
        "og:description": about,
        "og:type": "website" if pagename == config.root_doc else "article",
        "og:site_name": cff["title"],
        "citation_title": title if pagename == config.root_doc else f"{title} ({cff['title']})",
        "citation_language": "en",
        "citation_publication_date": year(cff, edition().day, str(config.copyright)),
    }
    if cff.get("doi"):
        found["citation_doi"] = cff["doi"]
    if address:
        url = f"{address.rstrip('/')}/{pagename}.html"
        found |= {
            "og:url": url,
            "og:image": f"{address.rstrip('/')}/_static/screenshot.png",
            "citation_public_url": url,
        }
    return found


def describe(app, pagename, templatename, context, doctree):
    """Add the tags to the head of a page."""
    title = re.sub(r"<[^>]+>", "", html.unescape(str(context.get("title", "")))).strip() or citation()["title"]
    found = tags(pagename, title, description(pagename, doctree, title), app.config)
    authors = [("citation_author", name) for name in names(citation()["authors"])]
    context["metatags"] = context.get("metatags", "") + "".join(
        f'\n    <meta {"property" if ":" in name else "name"}="{name}" content="{html.escape(value)}" />'
        for name, value in [*found.items(), *authors]
    )


def write_site_files(app, exception):
    """robots.txt and sitemap.xml, for a site that has an address."""
    address = app.config.html_baseurl.rstrip("/")
    if exception or app.builder.format != "html" or not address:
        return
    site = Path(app.outdir)
    pages = [f"<url><loc>{escape(f'{address}/{page}.html')}</loc></url>" for page in sorted(app.env.all_docs)]
    lines = ["<?xml version='1.0' encoding='UTF-8'?>", "<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>"]
    (site / "sitemap.xml").write_text("\n".join([*lines, *pages, "</urlset>", ""]), encoding="utf-8")
    robots = f"User-agent: *\nDisallow: /_modules/\nSitemap: {address}/sitemap.xml\n"
    (site / "robots.txt").write_text(robots, encoding="utf-8")


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", describe)
    app.connect("build-finished", write_site_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
