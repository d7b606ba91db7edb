"""How soon a page can be read: from an empty cache until text and equations stand, in Chromium on this machine.

    make book SERVE=0 && make benchmarks            # every page, five times each; prints a table
    make benchmarks-smoke                           # the first page once, only to see that it runs

The goal of the course is 2 seconds on two cores. Nothing is asserted about time here: it says as much about the
machine as about the page.
"""

from __future__ import annotations

import os
import threading
from statistics import median

import pytest

from book._tools import serve
from tests.book import conftest as site

SMOKE = os.environ.get("EMLIB_BENCHMARKS") == "smoke"
PAGES = site.PAGES[:1] if SMOKE else site.PAGES
REPEATS = 1 if SMOKE else 5
GOAL = 2.0  # seconds

# Text stands with the first paint; equations stand when MathJax has finished.
READABLE = """async () => {
    await window.MathJax?.startup?.promise;
    const painted = performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0;
    return [painted / 1000, performance.now() / 1000];
}"""


@pytest.fixture(scope="module")
def address():
    """The address of the built site."""
    site.require_site()
    with serve.open_server(site.SITE, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    """Chromium, each page in a context of its own: an empty cache."""
    executable = site.find_chromium()
    if executable is None:
        pytest.skip(f"no Chromium: {site.INSTALL}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def seconds(browser, url: str) -> tuple[float, float]:
    """Seconds until text, and until equations, can be read."""
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    page = context.new_page()
    page.goto(url, wait_until="domcontentloaded")
    painted, typeset = page.evaluate(READABLE)
    context.close()
    return painted, typeset


def test_seconds_until_a_page_can_be_read(address, chromium):
    seconds(chromium, f"{address}{PAGES[0]}.html")  # the browser's own start is not the page's
    print(f"\n{'page':40}{'text':>8}{'equations':>12}  (seconds; goal {GOAL:g})")
    for page in PAGES:
        runs = [seconds(chromium, f"{address}{page}.html") for _ in range(REPEATS)]
        text, equations = (median(run[i] for run in runs) for i in (0, 1))
        print(f"{page:40}{text:8.2f}{equations:12.2f}{'' if equations <= GOAL else '  above the goal'}")
