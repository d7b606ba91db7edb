"""What the tests of the built site share: its pages, a server, and Chromium.

The site is only read here; `make test` builds it first. A test that asks for `visit` gets one observed visit per page
and per way of opening it (http and file); a test that needs to click asks for `open_page`.
"""

import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from book._tools import serve
from book._tools.browser import INSTALL, OPTIONS, find_chromium

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
PHONE_WIDTH = 390  # pixels; the width of a common phone
NO_BROWSER = pytest.StashKey[str]()


def toc_pages(node) -> Iterator[str]:
    """Yield the pages of a table of contents, root first, as paths without suffix."""
    if isinstance(node, list):
        for item in node:
            yield from toc_pages(item)
    elif isinstance(node, dict):
        for key in ("root", "file"):
            if key in node:
                yield re.sub(r"\.(md|ipynb)$", "", node[key])
        for key in ("parts", "chapters", "sections"):
            yield from toc_pages(node.get(key, []))


PAGES = list(toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))


def require_site() -> None:
    """Fail with one sentence where the site has not been built."""
    if not (SITE / "index.html").is_file():
        pytest.fail("the site is not built: run `make book SERVE=0` first", pytrace=False)


# ---------------------------------------------------------------- the browser
@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of the site, served over http on a free port."""
    require_site()
    with serve.open_server(SITE, port=0) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}/"
        httpd.shutdown()


@pytest.fixture(scope="session")
def browser(request):
    """Chromium, or a skip that the end of the run reports (a failure where EMLIB_REQUIRE_BROWSER=1)."""
    executable = find_chromium()
    if executable is None:
        request.config.stash[NO_BROWSER] = INSTALL
        if os.environ.get("EMLIB_REQUIRE_BROWSER") == "1":
            pytest.fail(f"EMLIB_REQUIRE_BROWSER=1, but there is no Chromium: {INSTALL}", pytrace=False)
        pytest.skip("no Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, headless=True, args=OPTIONS)
        yield chromium
        chromium.close()


def pytest_terminal_summary(terminalreporter, config):
    """One loud line where the browser tests could not run."""
    if how := config.stash.get(NO_BROWSER, None):
        terminalreporter.section("BROWSER TESTS DID NOT RUN", red=True, bold=True)
        terminalreporter.line(f"No Chromium was found: {how}.", red=True)


# ---------------------------------------------------------------- visits
@dataclass
class Log:
    """What the browser complained about or asked for while a page was open."""

    requests: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self, page) -> None:
        """Listen to a playwright page."""
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", lambda request: self.failures.append(f"{request.url}: {request.failure}"))
        page.on(
            "response", lambda answer: answer.status >= 400 and self.failures.append(f"{answer.url}: {answer.status}")
        )
        page.on("pageerror", lambda error: self.errors.append(f"page error: {error}"))
        page.on("console", lambda message: message.type == "error" and self.errors.append(f"console: {message.text}"))


@pytest.fixture(scope="session")
def open_page(browser) -> Iterator[Callable]:
    """A function `open_page(url, width=1300, **options)` -> (playwright page, Log), loaded, typeset, widgets drawn.

    `options` are those of playwright's new_context. The caller closes the page's context when done with it.
    """
    contexts = []

    def open_page(url: str, width: int = 1300, **options):
        context = browser.new_context(viewport={"width": width, "height": 1000}, **options)
        contexts.append(context)
        page, log = context.new_page(), Log()
        log.watch(page)
        page.goto(url, wait_until="load")
        page.add_style_tag(content=SHOW_ALL)
        page.evaluate("() => window.emWidgets?.load()")
        page.wait_for_load_state("networkidle")  # late errors and requests
        return page, log

    yield open_page
    for context in contexts:
        context.close()


@dataclass
class Visit:
    """One page, opened in one way, and what was seen there."""

    name: str
    home: str
    log: Log
    untypeset: list[str]
    raw_tex: list[str]
    widgets_in_source: int
    widgets_drawn: int
    overflow: int
    too_wide: list[str]
    violations: dict[str, list[str]]

    @property
    def files(self) -> set[Path]:
        """The files of the site that the page asked for."""
        asked = {url.removeprefix(self.home).split("?")[0].split("#")[0] for url in self.log.requests}
        return {SITE / unquote(name) for name in asked if (SITE / unquote(name)).is_file()}

    @property
    def external(self) -> list[str]:
        """Addresses outside the site that the page asked for."""
        return [url for url in self.log.requests if not url.startswith((self.home, "data:", "blob:"))]


# Sections out of sight are laid out when they come near (em.css): here, all at once.
SHOW_ALL = "* { content-visibility: visible !important; }"
OBSERVE = r"""() => {
    const count = selector => document.querySelectorAll(selector).length;
    const main = document.querySelector('main').cloneNode(true);
    main.querySelectorAll('pre, code, script, .katex').forEach(element => element.remove());
    return {
        untypeset: [...document.querySelectorAll('main .math')]
            .filter(element => !element.querySelector('.katex') || element.querySelector('.katex-error'))
            .map(element => element.textContent.trim()),
        raw_tex: main.textContent.match(/\\[(\[].{0,40}|\$\$.{0,40}/g) || [],
        widgets_in_source: count('script[type="application/vnd.jupyter.widget-view+json"]'),
        widgets_drawn: count('.widget-subarea > .jupyter-widgets, .jupyter-widgets-view > .jupyter-widgets'),
    };
}"""
# What a reader opens later counts too: folded parts, and the explanations of a quiz (one wrong, then one right, …).
UNFOLD = """() => {
    document.querySelectorAll('main details').forEach(details => { details.open = true; });
    document.querySelectorAll('.em-quiz fieldset').forEach((field, i) => {
        field.querySelector(i % 2 ? '.em-right input' : '.em-wrong input').checked = true;
    });
}"""
AXE = """async theme => {
    document.documentElement.dataset.theme = theme;
    document.getAnimations().forEach(change => change.finish());  // colours fade from one theme to the other
    const found = await axe.run(document, {resultTypes: ['violations']});
    return found.violations
        .filter(violation => ['serious', 'critical'].includes(violation.impact))
        .flatMap(violation => violation.nodes.map(
            node => `${violation.id}: ${node.target.join(' ')}: ${node.any[0]?.message ?? violation.help}`));
}"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"

# Of a hidden equation nothing can be measured; a pixel may be lost in rounding.
TOO_WIDE = """() => [...document.querySelectorAll('main .katex-display')]
    .filter(display => display.scrollWidth > display.clientWidth + 1)
    .map(display => display.querySelector('annotation').textContent)"""


@pytest.fixture(scope="session", params=[f"{way}:{page}" for page in PAGES for way in ("http", "file")])
def visit(request, open_page, server) -> Visit:
    """Each page of the table of contents, opened over http and from the disk: once each for all tests."""
    way, name = request.param.split(":", 1)
    home = server if way == "http" else SITE.as_uri() + "/"
    page, log = open_page(f"{home}{name}.html")
    seen = page.evaluate(OBSERVE)
    page.evaluate(UNFOLD)
    violations = {}
    if way == "http":  # the page is the same from the disk
        page.add_script_tag(path=Path(__file__).parent / "vendor" / "axe.min.js")
        violations = {theme: page.evaluate(AXE, theme) for theme in ("light", "dark")}
    page.set_viewport_size({"width": PHONE_WIDTH, "height": 844})
    page.evaluate("() => document.fonts.ready.then(() => true)")
    overflow, too_wide = page.evaluate(OVERFLOW), page.evaluate(TOO_WIDE)
    page.context.close()
    return Visit(name=name, home=home, log=log, overflow=overflow, too_wide=too_wide, violations=violations, **seen)
