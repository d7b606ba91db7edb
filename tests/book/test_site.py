"""The built site as files: pages there, links hold, nothing loaded from elsewhere, pictures described, pages light."""

import functools
import gzip
import inspect
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

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
    return BeautifulSoup((SITE / path).read_text(encoding="utf-8"), "html.parser")


@functools.cache
def anchors(path: str) -> frozenset[str]:
    """Return the places in a page that a link can lead to."""
    tags = soup(path).find_all(lambda tag: tag.get("id") or (tag.name == "a" and tag.get("name")))
    return frozenset(value for tag in tags for value in (tag.get("id"), tag.get("name")) if value)


def is_external(address: str) -> bool:
    """Tell whether an address leads to another host."""
    return address.startswith("//") or urlsplit(address).scheme in {"http", "https", "ws", "wss"}


def resources(path: str) -> list[str]:
    """Return what a browser loads by itself for a page: scripts, styles, icons, pictures, media, fonts."""
    page = soup(path)
    found = [tag["src"] for tag in page.find_all(src=True)]
    found += [part.split()[0] for tag in page.find_all(srcset=True) for part in tag["srcset"].split(",")]
    found += [
        tag["href"]
        for tag in page.find_all("link", href=True)
        if not {"next", "prev", "search", "index", "author", "canonical"} & set(tag.get("rel", []))
    ]
    found += [tag["data"] for tag in page.find_all("object", data=True)]
    styles = [style.get_text() for style in page.find_all("style")] + [
        tag["style"] for tag in page.find_all(style=True)
    ]
    return found + style_resources("\n".join(styles))


def style_resources(css: str) -> list[str]:
    """Return the addresses that a style sheet loads."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    return [a or b for a, b in re.findall(r"""url\(\s*['"]?([^'")]+)|@import\s+['"]([^'"]+)""", css)]


def broken(path: str, address: str) -> bool:
    """Tell whether an internal link of a page leads nowhere."""
    parts = urlsplit(address)
    if parts.scheme:  # mailto:, data:, javascript:
        return False
    target = (SITE / path).parent / unquote(parts.path) if parts.path else SITE / path
    target = target.resolve()
    if target.is_dir():
        target /= "index.html"
    if not target.is_file() or not target.is_relative_to(SITE.resolve()):
        return True
    name = target.relative_to(SITE.resolve()).as_posix()
    return bool(parts.fragment) and target.suffix == ".html" and unquote(parts.fragment) not in anchors(name)


def weight(path: str) -> int:
    """Return the bytes on the wire of a page and of the figures from its notebook (not what all pages share)."""
    figures = {
        Path(SITE / path).parent / tag["src"]
        for tag in soup(path).find_all("img", src=True)
        if "_images/" in tag["src"]
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
        for tag in soup(path).find_all(href=True)
        if not is_external(tag["href"]) and broken(path, tag["href"])
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
        links = soup(f"{page}.html").select(".em-edition a")
        assert any((SITE / page).parent.joinpath(link["href"]).resolve() == SITE / "genindex.html" for link in links)


@pytest.mark.parametrize("page", PAGES)
def test_every_picture_is_described(page):
    silent = [tag["src"] for tag in soup(f"{page}.html").find_all("img") if not (tag.get("alt") or "").strip()]
    assert silent == []


@pytest.mark.parametrize("page", PAGES)
def test_page_is_light(page):
    budget = RICHEST_PAGE_BUDGET if page == RICHEST_PAGE else PAGE_BUDGET
    assert weight(f"{page}.html") <= budget
