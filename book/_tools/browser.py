"""Where Chromium is, and how it is started: it asks nobody for anything."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INSTALL = (
    "install Chromium (Debian/Ubuntu: sudo apt install chromium; macOS: brew install --cask chromium) "
    "or name its executable in the variable CHROMIUM"
)
# The pages are our own, and as root or in a container Chromium's sandbox cannot start.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def find_chromium() -> str | None:
    """The executable of Chromium or Chrome, or None."""
    if named := os.environ.get("CHROMIUM"):
        return named
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"):
        if found := shutil.which(name):
            return found
    places = [
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    ]
    return next((place for place in places if Path(place).is_file()), None)


@contextmanager
def chromium() -> Iterator:
    """A Chromium that asks nobody for anything."""
    from playwright.sync_api import sync_playwright

    executable = find_chromium()
    if executable is None:
        raise SystemExit(f"There is no Chromium here: {INSTALL}.")
    with sync_playwright() as playwright:
        # The shared memory of a container is too small for a whole book.
        options = [*OPTIONS, "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=executable, args=options)
        yield browser
        browser.close()
