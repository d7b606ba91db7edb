"""The whole book as one PDF, printed by Chromium from the built site.

    python book/_tools/pdf.py _build/html --toc _toc.yml --out book.pdf

Pages are opened one by one (`printing/collect.py`), put together into one document (`printing/compose.py`), printed
twice, since the table of contents needs the page numbers of the first print, and finished (`printing/finish.py`).
"""

import argparse
import base64
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import yaml

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from book._tools import browser, serve  # noqa: E402 - the file is run by its path, so the root must be on sys.path first
from book._tools.printing import collect, compose, contents, finish  # noqa: E402

PRINTING = Path(collect.__file__).parent
DEEPEST = 2  # levels in the table of contents and the outline: part, chapter, section
TEXT_WIDTH = 612  # CSS pixels: the width between the margins of book.css
PATIENCE = 300_000  # milliseconds


@dataclass(frozen=True)
class Book:
    """What the cover says.

    Parameters
    ----------
    title, authors, licence : str
        As in _config.yml.
    version, commit : str
        Of the release.
    when : int
        Date of the commit, seconds since 1970.
    online : str
        Address of the published site, ending in a slash; empty if there is none.
    """

    title: str
    authors: str
    licence: str
    version: str
    commit: str
    when: int
    online: str = ""

    @property
    def titles(self) -> tuple[str, str]:
        """Title and subtitle."""
        title, _, subtitle = self.title.partition(": ")
        return title, subtitle


def read_book(config: Path, version: str, commit: str, when: int) -> Book:
    """The book that a _config.yml describes."""
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    html = settings.get("html", {})
    licence = re.sub(r"<[^>]+>", "", html.get("extra_footer", ""))
    return Book(settings["title"], settings["author"], licence, version, commit, when, online_address(settings))


def online_address(settings: dict) -> str:
    """Where the site is published: as said, or where GitHub Pages shows that of the repository; empty if nowhere.

    Examples
    --------
    >>> online_address({"repository": {"url": "https://github.com/Someone/course"}})
    'https://someone.github.io/course/'
    """
    said = settings.get("html", {}).get("baseurl", "")
    repository = urlsplit(settings.get("repository", {}).get("url", ""))
    if not said and repository.netloc == "github.com":
        owner, _, name = repository.path.strip("/").partition("/")
        said = f"https://{owner.lower()}.github.io/{name}"
    return said.rstrip("/") + "/" if said else ""


# ---------------------------------------------------------------- the pages before the first
def front_matter(book: Book) -> str:
    """Cover and imprint."""
    title, subtitle = map(escape, book.titles)
    date = time.strftime("%Y-%m-%d", time.gmtime(book.when))
    online = f'<p>Online: <a href="{escape(book.online)}">{escape(book.online)}</a></p>' if book.online else ""
    return f"""<section class="em-cover">
<img src="/_static/logo.svg" alt="">
<p class="em-book-title">{title}</p>
<p class="em-book-subtitle">{subtitle}</p>
<p class="em-book-authors">{escape(book.authors)}</p>
<p class="em-book-version">Version {escape(book.version)}, {date}</p>
</section>
<section class="em-imprint">
<p>{escape(book.title)}.</p>
<p>Version {escape(book.version)} of {date}, made from commit {escape(book.commit)}.</p>
<p>{escape(book.licence)}</p>
{online}
<p>This is the site on paper. Explorers, figures that a slider moves, are shown at one of their frames; the answers of
a quiz stand below its questions; code that only draws a figure is left out. The site and the notebooks have it all.</p>
</section>"""


# ---------------------------------------------------------------- from pages to one document
@contextmanager
def served(site: Path) -> Iterator[str]:
    """The address of a site, served on this machine while in use."""
    with serve.open_server(site, port=0) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{httpd.server_address[1]}/"
        finally:
            httpd.shutdown()


def gather(chromium, home: str, chapters: list[contents.Chapter], say) -> dict[str, collect.Article]:
    """The article of every chapter."""
    page = chromium.new_page(viewport={"width": 1000, "height": 1000})
    found = {}
    for number, chapter in enumerate(chapters, 1):
        say(f"page {number} of {len(chapters)}: {chapter.page}")
        found[chapter.page] = collect.collect(page, f"{home}{chapter.page}.html")
    page.close()
    return found


def put_together(book: Book, chapters: list[contents.Chapter], articles: dict, home: str) -> tuple[str, list]:
    """The one document, and the lines of its table of contents."""
    bodies = {page: compose.parse(f"<div>{article.html}</div>") for page, article in articles.items()}
    known = {page: compose.ids(body) for page, body in bodies.items()}
    leaves = [
        compose.leaf(chapter, bodies[chapter.page], known, book.online, where(book, chapter)) for chapter in chapters
    ]
    lines = [line for line in compose.entries(leaves) if line.level <= DEEPEST]
    sheets = dict.fromkeys(sheet for article in articles.values() for sheet in article.sheets)
    rules = dict.fromkeys(rule.replace(home, "/") for article in articles.values() for rule in article.rules)
    own = [(ROOT / "book/_static/print.css"), PRINTING / "fonts/fonts.css", PRINTING / "book.css"]
    last = "\n".join(path.read_text(encoding="utf-8") for path in own)
    return compose.document(leaves, lines, front_matter(book), book.titles[0], sheets, [*rules, last]), lines


def where(book: Book, chapter: contents.Chapter) -> str:
    """Where the interactive form of a chapter is, as HTML."""
    page = f"{chapter.page}.html"
    if book.online:
        return f'open <a href="{escape(book.online + page)}">the page online</a> or its notebook'
    return f"open <code>{escape(page)}</code> of the site, or its notebook"


# ---------------------------------------------------------------- from the document to paper
FIT = (PRINTING / "fit.js").read_text(encoding="utf-8")
FILL = """pages => document.querySelectorAll('.em-page').forEach(cell => {
    cell.textContent = pages[cell.dataset.for];
})"""


def print_twice(chromium, home: str, html: str, lines: list, folder: Path) -> Path:
    """Print the document, fill in its page numbers, and print it again."""
    first, second = folder / "first.pdf", folder / "second.pdf"
    print_once(chromium, home, html, {}, first)
    numbers = finish.page_numbers(first)
    absent = [line.title for line in lines if line.anchor not in numbers]
    if absent:
        raise SystemExit(f"The print lost {len(absent)} places of the table of contents, the first is {absent[0]!r}.")
    print_once(chromium, home, html, {line.anchor: numbers[line.anchor] for line in lines}, second)
    moved = {name for name, number in finish.page_numbers(second).items() if numbers.get(name) != number}
    if moved:
        raise SystemExit(f"Page numbers changed between two prints of one document: {min(moved)}.")
    return second


def print_once(chromium, home: str, html: str, numbers: dict[str, int], target: Path) -> None:
    """Lay out the document with these page numbers and print it.

    In a browser page of its own: a second print from the same one would take half as much memory again.
    """
    page = chromium.new_page(viewport={"width": TEXT_WIDTH, "height": 1000})
    page.set_default_timeout(PATIENCE)
    page.route("**/book.html", lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8"))
    page.route("**/_print_fonts/*", lambda route: route.fulfill(path=PRINTING / "fonts" / Path(route.request.url).name))
    page.emulate_media(media="print")
    page.goto(f"{home}book.html", wait_until="load")
    page.evaluate("() => document.fonts.ready.then(() => null)")
    wide = page.evaluate(FIT)
    if wide:
        raise SystemExit(f"{len(wide)} things are wider than the paper, and would be cut off; the first: {wide[0]}.")
    if numbers:
        page.evaluate(FILL, numbers)
    print_page(page, target)
    page.close()


def print_page(page, target: Path) -> None:
    """Print to a file. Through the protocol, because playwright's own `pdf` keeps the whole file in one message."""
    session = page.context.new_cdp_session(page)
    options = {"preferCSSPageSize": True, "printBackground": True, "generateTaggedPDF": True}
    stream = session.send("Page.printToPDF", {**options, "transferMode": "ReturnAsStream"})["stream"]
    with target.open("wb") as file:
        while True:
            piece = session.send("IO.read", {"handle": stream, "size": 1 << 22})
            file.write(base64.b64decode(piece["data"]))
            if piece["eof"]:
                break
    session.send("IO.close", {"handle": stream})
    session.detach()


def make(book: Book, site: Path, toc: Path, target: Path, say=lambda text: None) -> int:
    """Print the book; returns its number of pages. Nothing is left behind if it fails."""
    chapters = contents.read(toc)
    absent = [chapter.page for chapter in chapters if not (site / f"{chapter.page}.html").is_file()]
    if absent:
        raise SystemExit(f"{site} has no page {absent[0]}.html: build the site with `make book SERVE=0` first.")
    with tempfile.TemporaryDirectory() as folder, served(site) as home, browser.chromium() as chromium:
        articles = gather(chromium, home, chapters, say)
        say("putting the pages together")
        html, lines = put_together(book, chapters, articles, home)
        say("printing")
        printed = print_twice(chromium, home, html, lines, Path(folder))
        about = finish.About(book.title, book.authors, f"Version {book.version}, commit {book.commit}", book.when)
        finished = Path(folder) / "finished.pdf"
        pages = finish.finish(printed, finished, lines, about)
        target.write_bytes(finished.read_bytes())
    return pages


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Print the built site as one PDF.")
    parser.add_argument("site", type=Path)
    parser.add_argument("--toc", type=Path, default=ROOT / "_toc.yml")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--version", default="(trial)")
    parser.add_argument("--commit", default="unknown")
    parser.add_argument("--when", type=int, default=0, help="date of the commit, seconds since 1970")
    options = parser.parse_args(arguments)
    book = read_book(ROOT / "_config.yml", options.version, options.commit, options.when)
    pages = make(book, options.site, options.toc, options.out, lambda text: print(text, flush=True))
    print(f"{options.out}: {pages} pages, {options.out.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
