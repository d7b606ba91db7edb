"""The built site as files: pages there, links hold, nothing loaded from elsewhere, pictures described, pages light."""

import functools
import gzip
import inspect
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import lxml.html
import pytest
from bs4 import BeautifulSoup

import emlib

from .conftest import PAGES, SITE, require_site

PAGE_BUDGET = 600_000  # bytes after gzip: the page and the figures it alone shows
RICHEST_PAGE_BUDGET = 1_500_000
RICHEST_PAGE = "book/principles/mixtures"


def html_files() -> list[str]:
    """Return the site's pages, generated ones included, as paths in the site."""
    return sorted(path.relative_to(SITE).as_posix() for path in ours("*.html") if "_static" not in path.parts)


def ours(pattern: str) -> list[Path]:
    """Return files of the site, without those of JupyterLite (tests/book/test_lite.py)."""
    return [path for path in SITE.rglob(pattern) if path.relative_to(SITE).parts[0] != "lite"]


@functools.cache
def soup(path: str) -> BeautifulSoup:
    """Return a parsed page of the site."""
    return BeautifulSoup((SITE / path).read_text(encoding="utf-8"), "lxml")


@functools.cache
def tags(path: str) -> list[tuple[str, dict[str, str]]]:
    """Return the elements of a page and their attributes, by a parser that takes a second for the whole site."""
    found = lxml.html.parse(str(SITE / path), lxml.html.HTMLParser(encoding="utf-8")).iter(lxml.etree.Element)
    return [(tag.tag, dict(tag.attrib)) for tag in found if tag.attrib]


@functools.cache
def anchors(path: str) -> frozenset[str]:
    """Return the places in a page that a link can lead to."""
    names = [(tag["id"] if "id" in tag else tag.get("name") if kind == "a" else None) for kind, tag in tags(path)]
    return frozenset(name for name in names if name)


def is_external(address: str) -> bool:
    """Tell whether an address leads to another host."""
    return address.startswith("//") or urlsplit(address).scheme in {"http", "https", "ws", "wss"}


def resources(path: str) -> list[str]:
    """Return what a browser loads by itself for a page: scripts, styles, icons, pictures, media, fonts."""
    found, styles = [], re.findall(r"<style\b.*?</style", (SITE / path).read_text(encoding="utf-8"), re.DOTALL | re.I)
    for kind, tag in tags(path):
        found += [tag["src"]] if "src" in tag else []
        found += [part.split()[0] for part in tag.get("srcset", "").split(",") if part]
        led_to = {"next", "prev", "search", "index", "author", "canonical"} & set(tag.get("rel", "").split())
        found += [tag["href"]] if kind == "link" and "href" in tag and not led_to else []
        found += [tag["data"]] if kind == "object" and "data" in tag else []
        styles.append(tag.get("style", ""))
    return found + style_resources("\n".join(styles))


def style_resources(css: str) -> list[str]:
    """Return the addresses that a style sheet loads."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    return [a or b for a, b in re.findall(r"""url\(\s*['"]?([^'")]+)|@import\s+['"]([^'"]+)""", css)]


@functools.cache
def target_of(folder: Path, address: str) -> str | None:
    """Return the file of the site that a relative address leads to, or None."""
    target = (folder / unquote(address)).resolve()
    if target.is_dir():
        target /= "index.html"
    inside = target.is_file() and target.is_relative_to(SITE.resolve())
    return target.relative_to(SITE.resolve()).as_posix() if inside else None


def broken(path: str, address: str) -> bool:
    """Tell whether an internal link of a page leads nowhere."""
    parts = urlsplit(address)
    if parts.scheme:  # mailto:, data:, javascript:
        return False
    name = target_of((SITE / path).parent, parts.path) if parts.path else path
    if name is None:
        return True
    return bool(parts.fragment) and name.endswith(".html") and unquote(parts.fragment) not in anchors(name)


def weight(path: str) -> int:
    """Return the bytes on the wire of a page and of the figures from its notebook (not what all pages share)."""
    figures = {
        Path(SITE / path).parent / tag["src"]
        for kind, tag in tags(path)
        if kind == "img" and "_images/" in tag.get("src", "")
    }
    return len(gzip.compress((SITE / path).read_bytes(), 6)) + sum(figure.stat().st_size for figure in figures)


@pytest.fixture(autouse=True)
def _site_is_built():
    require_site()


@pytest.mark.parametrize("page", PAGES)
def test_page_of_the_contents_exists(page):
    assert (SITE / f"{page}.html").is_file()


def test_no_page_outlived_the_contents():
    pages = {path for path in html_files() if path.startswith("book/")}
    assert pages <= {f"{page}.html" for page in PAGES}


def test_internal_links_hold():
    dead = [
        f"{path}: {tag['href']}"
        for path in html_files()
        for _, tag in tags(path)
        if "href" in tag and not is_external(tag["href"]) and broken(path, tag["href"])
    ]
    assert dead == []


def test_resources_of_pages_are_ours_and_exist():
    wrong = [
        f"{path}: {address}"
        for path in html_files()
        for address in resources(path)
        if is_external(address) or broken(path, address)
    ]
    assert wrong == []


def test_style_sheets_load_nothing_from_elsewhere():
    wrong = [
        f"{path.relative_to(SITE)}: {address}"
        for path in ours("*.css")
        for address in style_resources(path.read_text(encoding="utf-8"))
        if is_external(address)
    ]
    assert wrong == []


def test_every_public_name_is_on_a_page_of_the_reference():
    documented = set().union(*(anchors(f"{page}.html") for page in PAGES if page.startswith("book/reference/")))
    public = [getattr(emlib, name) for name in emlib.__all__ if not inspect.ismodule(getattr(emlib, name))]
    assert public
    assert [thing for thing in public if f"{thing.__module__}.{thing.__qualname__}" not in documented] == []


def test_the_reference_has_attributes_under_their_own_names():
    """Not without the underscore at their end, and none as the type of the next."""
    shown = {}
    for page in PAGES:
        if page.startswith("book/reference/"):
            for described in soup(f"{page}.html").select("dl.py.class"):
                fields = described.select("dd > dl.field-list > dt")
                names = [
                    name.get_text()
                    for field in fields
                    if field.get_text().startswith("Attributes")
                    for name in field.find_next_sibling("dd").select("li > p > strong")
                ]
                shown[described.find("dt")["id"]] = names
    mixture = shown["emlib.models.mixtures.GaussianMixture"]
    assert mixture[:5] == ["weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"]
    assert "starts_" in mixture
    strange = {name for names in shown.values() for name in names if not name.isidentifier()}
    assert strange == set()


NAMES = re.compile(r"\*{0,2}\w+([.]\w+)*(, \w+)*")


def test_no_sentence_of_a_docstring_became_a_list_or_a_parameter():
    """A sentence that begins with "T. " is the item T of a list; one in a list of parameters is a parameter."""
    for page in PAGES:
        if page.startswith("book/reference/"):
            article = soup(f"{page}.html").find("article")
            assert article.select("ol.upperalpha, ol.loweralpha, ol.upperroman, ol.lowerroman") == []
            names = article.select("dl.field-list > dd > ul > li > p > strong:first-child")
            strange = [name.get_text() for name in names if not NAMES.fullmatch(name.get_text())]
            assert strange == [], page


def test_api_page_says_what_everything_in_emlib_is_for():
    listed = {link.get_text() for link in soup("book/appendix/api.html").select("main table a")}
    assert {name for name in emlib.__all__ if not inspect.ismodule(getattr(emlib, name))} <= listed


def test_every_public_name_has_an_example_that_runs():
    public = {name: getattr(emlib, name) for name in emlib.__all__ if not inspect.ismodule(getattr(emlib, name))}
    examples = {name: (inspect.getdoc(thing) or "").partition("\nExamples\n-")[2] for name, thing in public.items()}
    assert [
        name for name, text in examples.items() if ">>> " not in text
    ] == []  # doctest runs them with the unit tests


def test_index_holds_the_words_of_the_glossary_and_every_page_leads_there():
    terms = soup("book/appendix/glossary.html").select("dl.glossary dt")
    words = [term.get_text().strip("#").replace("’", "'") for term in terms]  # the index keeps them as typed
    index = {link.get_text() for link in soup("genindex.html").select("td a, dd a, li a")}
    assert len(words) > 50
    assert set(words) <= index
    for page in PAGES:
        links = [tag["href"] for _, tag in tags(f"{page}.html") if "href" in tag and not is_external(tag["href"])]
        assert "genindex.html" in {target_of((SITE / page).parent, urlsplit(link).path) for link in links}


@pytest.mark.parametrize("page", PAGES)
def test_every_picture_is_described(page):
    silent = [tag["src"] for kind, tag in tags(f"{page}.html") if kind == "img" and not tag.get("alt", "").strip()]
    assert silent == []


@pytest.mark.parametrize("page", PAGES)
def test_page_is_light(page):
    budget = RICHEST_PAGE_BUDGET if page == RICHEST_PAGE else PAGE_BUDGET
    assert weight(f"{page}.html") <= budget
