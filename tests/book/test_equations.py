"""Equations: numbered within chapters, and every number that emlib cites exists in the book."""

import functools
import re
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from .conftest import PAGES, ROOT, SITE, require_site

sys.path.append(str(ROOT / "book" / "_ext"))  # as Sphinx does
from equations import CITATION, NUMBER


def citations(folder: Path) -> list[tuple[str, str]]:
    """Return where emlib cites which equation, as (file, number)."""
    return [
        (path.relative_to(ROOT).as_posix(), number)
        for path in sorted(folder.rglob("*.py"))
        for citation in CITATION.findall(path.read_text(encoding="utf-8"))
        for number in NUMBER.findall(citation)
    ]


CITED = citations(ROOT / "emlib")


@functools.cache
def soup(page: str) -> BeautifulSoup:
    return BeautifulSoup((SITE / f"{page}.html").read_text(encoding="utf-8"), "html.parser")


@functools.cache
def numbers() -> dict[str, str]:
    """Return the page of each numbered equation of the book."""
    require_site()
    return {tag.get_text().strip("()#"): page for page in PAGES for tag in soup(page).find_all(class_="eqno")}


@pytest.mark.parametrize(("path", "number"), CITED, ids=[f"{path}-{number}" for path, number in CITED])
def test_cited_equation_exists(path, number):
    assert number in numbers(), f"{path} cites eq. {number}, which the book does not have"


# A chapter that moves takes its numbers along, and a citation that stays behind names another chapter's equation.
OF_ONE_CHAPTER = {
    "emlib/engine/chains.py": "book/applications/hmm",
    "emlib/engine/markov.py": "book/applications/hmm",
    "emlib/models/hmm.py": "book/applications/hmm",
    "emlib/models/gene_counting/model.py": "book/applications/gene_counting",
    "emlib/models/haplotypes/model.py": "book/applications/haplotypes",
    "emlib/models/linkage_disequilibrium.py": "book/applications/haplotypes",
    "emlib/models/phasing/cluster.py": "book/applications/haplotypes",
    "emlib/models/phasing/pairs.py": "book/applications/haplotypes",
    "emlib/models/transcripts/classes.py": "book/applications/transcripts",
    "emlib/models/transcripts/model.py": "book/applications/transcripts",
    "emlib/models/transcripts/quantifier.py": "book/applications/transcripts",
    "emlib/models/peptides/model.py": "book/applications/peptides",
    "emlib/models/peptides/proteins.py": "book/applications/peptides",
    "emlib/models/peptides/rates.py": "book/applications/peptides",
    "emlib/models/motifs/model.py": "book/applications/motifs",
    "emlib/models/motifs/placements.py": "book/applications/motifs",
    "emlib/models/motifs/significance.py": "book/applications/motifs",
    "emlib/view/logos.py": "book/applications/motifs",
    "emlib/models/annotators/model.py": "book/applications/beyond",
    "emlib/models/doublets/model.py": "book/applications/cell_types",
    "emlib/models/missing/holes.py": "book/applications/beyond",
    "emlib/models/missing/model.py": "book/applications/beyond",
    "emlib/models/robust/model.py": "book/applications/beyond",
    "emlib/models/tomography/model.py": "book/applications/beyond",
}


@pytest.mark.parametrize("path", OF_ONE_CHAPTER)
def test_citations_stay_with_their_chapter(path):
    cited = [number for file, number in CITED if file == path]
    assert cited
    assert {number: numbers().get(number) for number in cited} == dict.fromkeys(cited, OF_ONE_CHAPTER[path])


def test_equations_of_a_chapter_carry_its_number():
    chapters = [page for page in PAGES if re.match(r"book/(principles|applications)/", page)]
    for chapter, page in enumerate(chapters, start=1):
        found = [tag.get_text().strip("()#") for tag in soup(page).find_all(class_="eqno")]
        assert found == [f"{chapter}.{i}" for i in range(1, len(found) + 1)], page
        assert found, f"{page} has no numbered equation"


def test_references_show_the_number_of_their_equation():
    for page in PAGES:
        for link in soup(page).select('a.reference.internal[href*="#equation-"]'):
            target, anchor = link["href"].split("#")
            name = ((Path(page).parent / target.removesuffix(".html")).as_posix()) if target else page
            name = str((SITE / name).resolve().relative_to(SITE.resolve()))
            shown = soup(name).find(id=anchor).find(class_="eqno").get_text().strip("()#")
            assert link.get_text().strip("()") == shown, f"{page}: {link}"


def test_docstrings_link_to_the_equations_they_cite():
    pages = [soup(page) for page in PAGES if page.startswith("book/reference/")]
    links = {link.get_text() for page in pages for link in page.select('a.reference.internal[href*="#equation-"]')}
    text = "\n".join(page.find("article").get_text() for page in pages)
    shown = {number for citation in CITATION.findall(text) for number in NUMBER.findall(citation)}
    assert shown
    assert shown <= links


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see eq. 2.7.", ["2.7"]),
        ("(eqs. 2.7, 2.8), or", ["2.7", "2.8"]),
        ("eqs. 2.1 to 2.8", ["2.1", "2.8"]),
        ("eqs. 12.10, 12.11, and 3.1", ["12.10", "12.11", "3.1"]),
        ("seq. 2.7 and version 2.7", []),
    ],
)
def test_citations_are_read_as_meant(text, found):
    assert [number for citation in CITATION.findall(text) for number in NUMBER.findall(citation)] == found
