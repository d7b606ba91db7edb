"""What readers read: no markup left raw, pictures described, and every number with a source."""

import csv
import json
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from .conftest import PAGES, ROOT, SITE, require_site

SHORTEST_ALT = 25  # characters
SHORTEST_SOURCE = 10

RAW = re.compile(
    r"\{[a-z:_-]+\}`|\{glue|\{\{|\}\}|:[a-z]+:`|\$\$|^:::|```|\[\^|</?[a-z]+>"  # markup
    r"|\?\?|\b(?:TODO|FIXME|XXX|TBD)\b|lorem ipsum",  # places left empty
    re.IGNORECASE | re.MULTILINE,
)
FILE_NAME = re.compile(r"^\S+$|\.(?:png|svg|jpe?g|gif|webp)$", re.IGNORECASE)


def article(page: str) -> BeautifulSoup:
    """Return the part of a page that its author wrote."""
    require_site()
    return BeautifulSoup((SITE / f"{page}.html").read_text(encoding="utf-8"), "html.parser").find("article")


def prose(page: str) -> str:
    """Return the text of a page without code and mathematics."""
    text = article(page)
    for tag in text.find_all(["pre", "code", "script", "style"]) + text.find_all(class_="math"):
        tag.decompose()
    return text.get_text()


@pytest.mark.parametrize("page", PAGES)
def test_no_placeholder_and_no_raw_markup(page):
    text = prose(page)
    assert [text[max(0, m.start() - 30) : m.end() + 30] for m in RAW.finditer(text)] == []


@pytest.mark.parametrize(
    "raw", ["{glue:text}`x`", ":eq:`x`", "$$", "\n:::{note}", "```{quiz}", "of ?? points", "TODO", "<b>"]
)
def test_raw_markup_would_be_found(raw):
    assert RAW.search(f"words {raw} words")


@pytest.mark.parametrize("page", PAGES)
def test_every_picture_has_a_description_of_its_own(page):
    alts = [tag.get("alt", "").strip() for tag in article(page).find_all("img")]
    assert [alt for alt in alts if len(alt) < SHORTEST_ALT or FILE_NAME.search(alt)] == []
    assert len(alts) == len(set(alts))


ACCIDENT = re.compile(r"^(?!\s*(?:[-*|>]|\d+\.\s))[^\n]*\w[^\n]*\n1[.)] .*", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_no_line_of_a_paragraph_begins_like_a_list(page):
    """A line that is broken before "1." at the end of a sentence cuts it into a list."""
    text = ROOT / f"{page}.md"
    sources = [text.read_text(encoding="utf-8")] if text.is_file() else cells(page, "markdown")
    assert [found[0] for source in sources for found in ACCIDENT.finditer(source)] == []


def test_such_a_line_would_be_found():
    assert ACCIDENT.search("which are positive between 0 and\n1. So its logarithm")
    assert not ACCIDENT.search("Two things:\n\n1. one\n2. two")


# ---------------------------------------------------------------- numbers
# A number with three or more significant digits is a claim. Its source is one of
#   - {glue}: it was computed by the page;
#   - a code cell of the page that asserts it (`assert` or np.testing, and the same digits);
#   - a row of published_numbers.csv.
CHAPTERS = [page for page in PAGES if (ROOT / f"{page}.ipynb").is_file()]
STORIES = ROOT / "tests" / "exercises" / "test_stories.py"
TABLE = Path(__file__).parent / "published_numbers.csv"
NOT_PROSE = re.compile(
    r"^(`{3,})(?!\{).*?^\1`*$"  # blocks of code; directives hold prose
    r"|^`{3,}[^\n]*$"  # fences of directives
    r"|^:[\w-]+:[^\n]*$"  # options of directives
    r"|\{[a-z:_-]+\}`[^`]*`"  # roles, {glue} among them
    r"|`[^`]*`"  # code
    r"|\]\([^)]*\)"  # targets of links
    r"|https?://\S+|\b10\.\d{4,}/\S+"  # addresses
    r"|\b(?:eqs?\.|chapters?|sections?|version|Python)\s+\d+(?:\.\d+)*",
    re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(r"(?<![\w.])(?:\d{1,3}(?:[ ,]\d{3})+|\d+)?(?:\.\d+)?(?:e[+-]?\d+)?(?!\w|\.\d)")
YEARS = range(1800, 2100)


def claims(markdown: str) -> list[str]:
    """Return the numbers with at least three significant digits, years aside, as they are written."""
    found = []
    for match in NUMBER.finditer(NOT_PROSE.sub(" ", markdown)):
        text = match[0]
        digits = re.sub(r"e.*", "", text).replace(".", "").replace(",", "").replace(" ", "").lstrip("0")
        if len(digits) >= 3 and not (text.isdigit() and int(text) in YEARS):
            found.append(text)
    return found


def same_digits(number: str) -> str:
    """Write a number in one way: .713 and 0.713, 7 578 and 7,578 and 7578 are the same; 0.71 and 0.710 are not."""
    number = number.replace(",", "").replace(" ", "").replace("_", "")
    return f"0{number}" if number.startswith(".") else number


def cells(page: str, kind: str) -> list[str]:
    notebook = json.loads((ROOT / f"{page}.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


def asserted(page: str) -> set[str]:
    """Return the numbers in the cells of a page that assert something."""
    code = [cell for cell in cells(page, "code") if re.search(r"\bassert\b|np\.testing\.", cell)]
    if page.startswith(("book/exercises/", "book/projects/")):
        code.append(STORIES.read_text(encoding="utf-8"))  # their notebooks are made of modules, which hold no asserts
    return {
        same_digits(number) for number in re.findall(r"(?<![\w.])\d[\d_]*(?:\.\d+)?|(?<![\w.])\.\d+", "\n".join(code))
    }


def published() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("page", CHAPTERS)
def test_every_number_has_a_source(page):
    known = asserted(page) | {same_digits(row["number"]) for row in published() if row["page"] == page}
    loose = [number for text in cells(page, "markdown") for number in claims(text) if same_digits(number) not in known]
    assert loose == [], "glue them, assert them in a cell, or give their source in tests/book/published_numbers.csv"


def test_table_of_sources_is_sound():
    seen = set()
    for row in published():
        where = f"{row['page']}: {row['number']}"
        assert row["page"] in CHAPTERS, f"{where}: no such page"
        said = {same_digits(number) for text in cells(row["page"], "markdown") for number in claims(text)}
        assert same_digits(row["number"]) in said, f"{where}: the page no longer says so"
        assert len(row["source"].strip()) >= SHORTEST_SOURCE, f"{where}: no source"
        assert where not in seen, f"{where}: twice"
        seen.add(where)


@pytest.mark.parametrize(
    ("markdown", "found"),
    [
        ("It is 1130.264 nats, .713, 0.80 and -2.036.", ["1130.264", ".713", "2.036"]),
        ("272 eruptions, 7,578 spectra, 31 200 bases; 44 minutes", ["272", "7,578", "31 200"]),
        ("In 1977, see eq. 12.345 and chapter 12, $0.05$ or $x^{0.125}$", ["0.125"]),
        ("`0.123` {glue:text}`x:.123f` [link](a1.234) https://x.org/0.123 10.1093/biomet/80.2.267", []),
        ("```python\n0.123\n```\n```{by-hand}\n:time: 123\n0.456\n```", ["0.456"]),
    ],
)
def test_claims_are_found(markdown, found):
    assert claims(markdown) == found
