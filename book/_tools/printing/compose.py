"""Makes one HTML document, the whole book, out of the articles of its pages.

One document, and not one PDF per page put together: then Chromium itself numbers the pages, makes links between pages
links within the PDF, embeds each font once, and tags headings, lists and tables in one tree.
"""

import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from .contents import Chapter

REFERRING = ("for", "headers", "aria-labelledby", "aria-describedby", "aria-controls")  # attributes that name ids
HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"]


@dataclass
class Leaf:
    """A chapter made ready for print."""

    chapter: Chapter
    anchor: str
    title: str
    body: Tag
    headings: list[tuple[int, str, str]] = field(default_factory=list)  # level (0 = the chapter), title, anchor


@dataclass(frozen=True)
class Entry:
    """A line of the table of contents, and an item of the outline."""

    level: int  # 0 for a part, 1 for a chapter, 2 and more below
    title: str
    anchor: str


def anchor(page: str, fragment: str = "") -> str:
    """The id, in the one document, of a page or of a place in it.

    Examples
    --------
    >>> anchor("book/principles/mixtures", "eq-joint")
    'principles-mixtures--eq-joint'
    """
    name = page.removeprefix("book/").replace("/", "-")
    return f"{name}--{fragment}" if fragment else name


# ---------------------------------------------------------------- links and ids
def target(page: str, address: str, known: Mapping[str, set[str]], online: str) -> str | None:
    """Where a link of a page leads in the one document; None if it leads nowhere there.

    Parameters
    ----------
    page : str
        The page on which the link stands.
    address : str
        Its href.
    known : mapping of page to ids
        All pages of the book and the ids on each.
    online : str
        Address of the published site, ending in a slash; empty if there is none.

    Returns
    -------
    str or None
        ``#anchor``, an address on the net, or None.

    Examples
    --------
    >>> target("book/a/x", "../b/y.html#eq", {"book/b/y": {"eq"}}, "")
    '#b-y--eq'
    >>> target("book/a/x", "../../_modules/emlib.html", {}, "") is None
    True
    """
    parts = urlsplit(address)
    if parts.scheme or address.startswith("//"):
        return address if parts.scheme in ("http", "https", "mailto") else None
    place = normpath(join(dirname(page), unquote(parts.path))) if parts.path else f"{page}.html"
    name, fragment = place.removesuffix(".html"), unquote(parts.fragment)
    if name in known and (place.endswith(".html") or not parts.path):
        return "#" + anchor(name, fragment if fragment in known[name] else "")
    return online + place + (f"#{parts.fragment}" if parts.fragment else "") if online else None


def ids(body: Tag) -> set[str]:
    """The ids on a page."""
    return {tag["id"] for tag in body.find_all(id=True)}


def rename_ids(body: Tag, page: str) -> None:
    """Make the ids of a page different from those of every other page."""
    for tag in body.find_all(id=True):
        tag["id"] = anchor(page, tag["id"])
    for name in REFERRING:
        for tag in body.find_all(attrs={name: True}):
            values = tag[name] if isinstance(tag[name], list) else tag[name].split()
            tag[name] = " ".join(anchor(page, value) for value in values)


def rewrite_links(body: Tag, page: str, known: Mapping[str, set[str]], online: str) -> None:
    """Let links lead within the document or to the net; what would lead nowhere becomes plain text."""
    for link in body.find_all("a", href=True):
        to = target(page, link["href"], known, online)
        if to is None:
            link.unwrap()
        else:
            link["href"] = to
            link.attrs.pop("target", None)
    for tag in body.find_all(src=True):
        if not urlsplit(tag["src"]).scheme:
            tag["src"] = "/" + normpath(join(dirname(page), tag["src"]))


# ---------------------------------------------------------------- what paper cannot do
def flatten(body: Tag, where: str) -> None:
    """Give the parts of a page that open, move or answer the form they have on paper.

    Parameters
    ----------
    body : Tag
        The article.
    where : str
        Where its interactive form is, as HTML.
    """
    for explorer in body.find_all(class_="em-explorer"):
        freeze(explorer, where)
    for quiz in body.find_all("form", class_="em-quiz"):
        answer(quiz)
    links, quiz = body.find(class_="em-links"), body.find(class_="em-quiz")
    if links and quiz and (section := quiz.find_parent("section")):
        section.insert_before(links.extract())  # at the end of a chapter it would often stand alone on a page
    for figure in body.find_all("figure"):
        figure["role"] = "group"  # the picture in it has the description
    for details in body.find_all("details"):
        details.name = "div"
        details["class"] = [*details.get("class", []), "em-unfolded"]
        details.attrs.pop("open", None)
        if summary := details.find("summary"):
            summary.name = "div"
            summary["class"] = [*summary.get("class", []), "em-unfolded-title"]


def freeze(explorer: Tag, where: str) -> None:
    """Say which frame of an explorer is shown, and where the others are."""
    shown = ""
    if slider := explorer.find(class_="widget-slider"):
        words = [slider.find(class_=name) for name in ("widget-label", "widget-readout")]
        text = " ".join(word.get_text(strip=True) for word in words if word)
        shown = f"Shown: {escape(text)}, the last. "
    if controls := explorer.find(class_="em-controls"):
        controls.decompose()
    explorer.append(parse(f'<p class="em-elsewhere">{shown}To move it: {where}.</p>'))


def answer(quiz: Tag) -> None:
    """Letter the options of a quiz and put what it says about them below all its questions."""
    lines = []
    for number, question in enumerate(quiz.find_all("fieldset"), 1):
        for letter, option in zip(string.ascii_lowercase, question.find_all(class_="em-option"), strict=False):
            option.input.replace_with(parse(f'<span class="em-letter">{letter})</span>'))
            label = option.label
            label.name, label.attrs = "span", {}
            why = option.find(class_="em-why").extract()
            why["class"] = "em-answer"
            why.insert(0, parse(f"<b>{number}{letter}&ensp;</b>"))
            lines.append(why)
        question.name, question["class"] = "div", "em-question-block"
        question.legend.name = "p"
    quiz.name = "div"
    quiz.attrs.pop("autocomplete", None)
    box = parse('<div class="em-answers"><p class="em-answers-title">Answers</p></div>')
    box.extend(lines)
    quiz.append(box)


# ---------------------------------------------------------------- chapters
def shift_headings(body: Tag, chapter: Chapter) -> list[tuple[int, str, str]]:
    """Move headings below those of part and chapter; returns (level, title, anchor) of each, the chapter's being 0."""
    by = (1 if chapter.part else 0) + chapter.depth
    found = []
    for heading in body.find_all(HEADINGS):
        own = int(heading.name[1])
        heading["class"] = [*heading.get("class", []), f"em-h{min(own, 4)}"]
        heading.name = f"h{min(own + by, 6)}"
        section = heading.find_parent("section")
        place = heading.get("id") or (section.get("id") if section else None)
        if place:
            heading["id"] = place
            if section and section.get("id") == place:
                del section["id"]
            found.append((own - 1, plain(heading), place))
    return found


def plain(tag: Tag) -> str:
    """The words of a heading."""
    return " ".join(tag.get_text().split())


def leaf(chapter: Chapter, body: Tag, known: Mapping[str, set[str]], online: str, where: str) -> Leaf:
    """Make one article ready for print."""
    flatten(body, where)
    rewrite_links(body, chapter.page, known, online)
    rename_ids(body, chapter.page)
    headings = shift_headings(body, chapter)
    title = headings[0][1] if headings else chapter.page
    return Leaf(chapter, anchor(chapter.page), title, body, headings)


def entries(leaves: Iterable[Leaf]) -> list[Entry]:
    """Parts, chapters and their sections, in order."""
    found, part = [], ""
    for one in leaves:
        if one.chapter.part and one.chapter.part != part:
            part = one.chapter.part
            found.append(Entry(0, part, part_anchor(part)))
        level = (1 if one.chapter.part else 0) + one.chapter.depth
        found.append(Entry(level, one.title, one.anchor))
        found += [Entry(level + deep, title, place) for deep, title, place in one.headings if deep > 0]
    return found


def part_anchor(part: str) -> str:
    """The id of the title page of a part."""
    return "part--" + re.sub(r"\W+", "-", part.lower()).strip("-")


# ---------------------------------------------------------------- the document
def listing(lines: Iterable[Entry]) -> str:
    """The table of contents; page numbers are filled in once they are known."""
    rows = "".join(
        f'<li class="em-line em-line-{line.level}"><a href="#{escape(line.anchor)}"><span>{escape(line.title)}</span>'
        f'<span class="em-page" data-for="{escape(line.anchor)}">000</span></a></li>'
        for line in lines
    )
    title = '<h1 class="em-h1" id="contents">Contents</h1>'
    return f'<nav class="em-contents" aria-label="Contents">{title}<ul>{rows}</ul></nav>'


def running_heads(leaves: Iterable[Leaf], title: str) -> str:
    """A page style per chapter: the book's title on the left, the chapter's on the right."""
    rules = []
    for i, one in enumerate(leaves):
        right = "" if one.title == title else f"@top-right {{ content: {css_string(one.title)}; }}"
        rules.append(f"@page c{i} {{ @top-left {{ content: {css_string(title)}; }} {right} }}")
        rules.append(f".em-c{i} {{ page: c{i}; }}")
    return "\n".join(rules)


def css_string(text: str) -> str:
    """A text as a string of CSS."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def document(
    leaves: list[Leaf], lines: list[Entry], front: str, title: str, sheets: Iterable[str], rules: Iterable[str]
) -> str:
    """The whole book as one HTML document; `front` are its first pages as HTML, `rules` come after the style sheets."""
    links = "\n".join(f'<link rel="stylesheet" href="{escape(sheet)}">' for sheet in sheets)
    parts, part = [], ""
    for i, one in enumerate(leaves):
        if one.chapter.part and one.chapter.part != part:
            part = one.chapter.part
            parts.append(f'<section class="em-part"><h1 id="{part_anchor(part)}">{escape(part)}</h1></section>')
        parts.append(f'<section class="em-chapter em-c{i}" id="{one.anchor}">{one.body.decode_contents()}</section>')
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8"><title>{escape(title)}</title>
{links}
<style>{chr(10).join(rules)}</style>
<style>{running_heads(leaves, title)}</style>
</head><body class="em-book">{front}{listing(lines)}
<main class="bd-main"><article class="bd-article">{"".join(parts)}</article></main></body></html>"""


def parse(html: str) -> Tag:
    """One element as a tree."""
    return BeautifulSoup(html, "html.parser").contents[0].extract()
