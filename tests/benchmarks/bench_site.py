"""What a page costs a reader: bytes, and seconds from an empty cache until text and equations stand, in Chromium here.

    make book SERVE=0 && make benchmarks            # every page, five times each; prints a table, then Lighthouse's
    make benchmarks-smoke                           # the first page once, only to see that it runs

Bytes are those on the wire: compressed, as static hosts and book/_tools/serve.py send them ("sent"), and as the files
are ("raw"); "first" is what comes before a reader reaches a widget. Goals: readable in 1.5 seconds on two cores, 2.5 MB
a page without widgets, 4 MB with them. Nothing is asserted about time here: it says as much about the machine as about
the page. Lighthouse (an npm package) judges four pages where `npx` is installed, with a simulated slow phone.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from statistics import median

import pytest

from book._tools import serve
from tests.book import conftest as site

SMOKE = os.environ.get("EMLIB_BENCHMARKS") == "smoke"
PAGES = site.PAGES[:1] if SMOKE else site.PAGES
REPEATS = 1 if SMOKE else 5
GOAL = 1.5  # seconds
JUDGED = ["book/intro", "book/principles/mixtures", "book/principles/why_it_climbs", "book/applications/hmm"]
LIGHTHOUSE = "lighthouse@12"

# Text stands with the first paint; equations stand when their fonts have come and a frame has been drawn with them.
READABLE = """async () => {
    await document.fonts.ready;
    await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
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


def open_once(browser, home: str, name: str) -> tuple[float, float, list[str], list[str]]:
    """Seconds until text, and until equations, can be read; files asked for until then, and with the widgets."""
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url.split("?")[0].removeprefix(home)))
    page.goto(f"{home}{name}.html", wait_until="domcontentloaded")
    painted, readable = page.evaluate(READABLE)
    page.wait_for_load_state("networkidle")
    first = list(asked)
    page.evaluate("() => window.emWidgets?.load()")
    context.close()
    return painted, readable, first, asked


def weights(names: list[str]) -> tuple[int, int]:
    """Bytes of files of the site: as they are, and as they are sent."""
    paths = [site.SITE / name for name in set(names) if (site.SITE / name).is_file()]
    raw = {path: path.read_bytes() for path in paths}
    sent = [len(gzip.compress(body, 6)) if path.suffix in serve.TEXT else len(body) for path, body in raw.items()]
    return sum(map(len, raw.values())), sum(sent)


def test_what_a_page_costs(address, chromium):
    open_once(chromium, address, PAGES[0])  # the browser's own start is not the page's
    heads = ("text, s", "equations, s", "first, raw kB", "sent kB", "all, raw kB", "sent kB")
    print(f"\n{'page':44}" + "".join(f"{head:>14}" for head in heads))
    for page in PAGES:
        runs = [open_once(chromium, address, page) for _ in range(REPEATS)]
        text, equations = (median(run[i] for run in runs) for i in (0, 1))
        first, everything = weights(runs[0][2]), weights(runs[0][3])
        kilobytes = "".join(f"{number / 1000:14.0f}" for number in (*first, *everything))
        print(f"{page:44}{text:14.2f}{equations:14.2f}{kilobytes}{'' if equations <= GOAL else '  above the goal'}")


@pytest.mark.skipif(SMOKE or not shutil.which("npx"), reason="Lighthouse comes with npm")
def test_lighthouse(address, tmp_path):
    executable = site.find_chromium()
    if executable is None:
        pytest.skip(f"no Chromium: {site.INSTALL}")
    print(f"\n{'page':44}{'performance':>16}{'accessibility':>16}{'best practices':>16}{'seo':>16}")
    flags = "--headless --no-sandbox --disable-gpu --disable-background-networking"
    for page in JUDGED:
        report = Path(tmp_path) / "report.json"
        command = ["npx", "--yes", LIGHTHOUSE, f"{address}{page}.html", "--quiet", "--output=json"]
        command += [f"--output-path={report}", f"--chrome-flags={flags}"]
        environment = {**os.environ, "CHROME_PATH": executable}
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if run.returncode:
            pytest.skip(f"Lighthouse did not run: {run.stderr.strip().splitlines()[-1:]}")
        scores = json.loads(report.read_text(encoding="utf-8"))["categories"]
        names = ("performance", "accessibility", "best-practices", "seo")
        print(f"{page:44}" + "".join(f"{100 * scores[name]['score']:16.0f}" for name in names))
