"""Every page in Chromium, over http and from the disk: nothing asked of other hosts, no error, all typeset."""

import functools
import gzip

import pytest

from book._tools import serve

from .conftest import PAGES

pytestmark = pytest.mark.browser

FIRST_BUDGET = 700_000  # bytes until a page can be read
BUDGET = 1_500_000  # with the widgets and the library that draws them
WITH_WIDGETS = "book/principles/mixtures"


def test_page_asks_no_other_host(visit):
    assert visit.external == []


def test_every_request_succeeds(visit):
    assert visit.log.failures == []


def test_no_page_error_and_no_console_error(visit):
    assert visit.log.errors == []


def test_every_equation_is_typeset(visit):
    assert visit.untypeset == []
    assert visit.raw_tex == []


def test_every_widget_is_drawn(visit):
    assert visit.widgets_drawn == visit.widgets_in_source


def test_phone_shows_no_horizontal_scroll(visit):
    assert visit.overflow <= 0, f"{visit.name} is {visit.overflow} px wider than a phone"


def test_no_equation_is_wider_than_a_phone(visit):
    assert visit.too_wide == []


def test_page_loads_little(visit):
    """What comes before a reader reaches a widget, and all of it; as static hosts send it, compressed."""
    later = {path for path in visit.files if path.name.endswith(".widgets.js") or "html-manager" in path.parts}
    assert visit.files - later
    assert sum(map(sent, visit.files - later)) <= FIRST_BUDGET
    assert sum(map(sent, visit.files)) <= BUDGET


@functools.cache
def sent(path) -> int:
    """Return the bytes on the wire."""
    text = path.suffix in serve.TEXT
    return len(gzip.compress(path.read_bytes(), 6)) if text else path.stat().st_size


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit, theme):
    assert visit.violations.get(theme, []) == []


def test_widgets_are_loaded_when_a_reader_comes_near(browser, server):
    page = browser.new_page(viewport={"width": 1300, "height": 600})
    asked = []
    page.on("request", lambda request: asked.append(request.url.split("?")[0].rsplit("/", 1)[-1]))
    page.goto(f"{server}{WITH_WIDGETS}.html", wait_until="networkidle")
    assert "em-bundle.js" in asked
    assert not {"embed.js", "mixtures.widgets.js"} & set(asked)
    page.locator('script[type$="widget-view+json"]').first.evaluate("script => script.parentElement.scrollIntoView()")
    page.wait_for_selector(".em-explorer")
    assert {"embed.js", "mixtures.widgets.js"} <= set(asked)
    page.close()


def test_equations_stand_without_javascript(browser, server):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server}{WITH_WIDGETS}.html")
    assert page.locator(".katex-display .katex-html").first.is_visible()
    context.close()


FIND = """words => words.map(word => {
    const found = Search._performSearch(...Search._parseQuery(word));
    return found.length ? found[found.length - 1].slice(0, 3) : null;  // the best is the last
})"""
#: A word, and the page and heading that teach it.
TAUGHT = {
    "motif": "book/applications/motifs",
    "transcript": "book/applications/transcripts",
    "haplotype": "book/applications/haplotypes",
    "pitfalls": "book/principles/pitfalls",
    "notation": "book/appendix/notation",
    "glossary": "book/appendix/glossary",
}


def test_search_finds_headings_first_and_then_the_glossary(open_page, server):
    page, log = open_page(f"{server}search.html")
    best = dict(zip(TAUGHT, page.evaluate(FIND, list(TAUGHT)), strict=True))
    assert {word: found[0] for word, found in best.items()} == TAUGHT
    (responsibility,) = page.evaluate(FIND, ["responsibility"])
    assert responsibility[0] == "book/appendix/glossary"
    assert responsibility[2] == "#term-responsibility"
    assert log.errors == []


def test_search_finds_a_word_of_the_title(open_page, server):
    page, log = open_page(f"{server}search.html?q=expectation")
    page.wait_for_selector("#search-results li a")
    assert [url for url in log.requests if not url.startswith((server, "data:"))] == []
    assert log.errors == []


def test_site_root_leads_to_the_first_page(browser, server):
    page = browser.new_page()
    page.goto(server)
    page.wait_for_url(f"{server}{PAGES[0]}.html")
    page.close()
