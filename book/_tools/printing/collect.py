"""Opens each page of the built site in Chromium and takes out its article: equations typeset, explorers at a frame."""

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE = 60_000  # milliseconds
READY = """() => {
    const widgets = [...document.querySelectorAll('script[type="application/vnd.jupyter.widget-view+json"]')];
    const math = [...document.querySelectorAll('article .math')];
    return document.readyState === 'complete'
        && math.every(element => element.querySelector('mjx-container, .katex'))
        && widgets.every(script => script.parentElement.querySelector('.jupyter-widgets'));
}"""


@dataclass(frozen=True)
class Article:
    """What a page says: its HTML, the style rules made on the page itself, and the style sheets it links."""

    html: str
    rules: list[str]
    sheets: list[str]


def collect(page, address: str) -> Article:
    """Open one page of the site and take out its article."""
    page.goto(address, wait_until="load")
    page.evaluate("() => Promise.all([window.MathJax?.startup?.promise, window.emWidgets?.load()])")
    page.wait_for_function(READY, timeout=PATIENCE)
    for handle in page.locator(".em-explorer .noUi-handle").all():
        show_last_frame(handle)
    page.wait_for_timeout(200)  # equations of captions
    page.evaluate("() => window.MathJax?.startup?.promise")
    return Article(**page.evaluate((HERE / "collect.js").read_text(encoding="utf-8")))


def show_last_frame(handle) -> None:
    """Move an explorer to its last frame, as a reader would: that is where its climb ends."""
    handle.focus()
    handle.press("End")
