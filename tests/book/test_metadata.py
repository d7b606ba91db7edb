"""What a page says about itself: description, tags, edition, how to cite; and addresses only where there is one."""

import re
import sys
import tomllib
from types import SimpleNamespace

import pytest
import yaml
from bs4 import BeautifulSoup
from pybtex.database import parse_string

from .conftest import PAGES, ROOT, SITE, require_site

sys.path.append(str(ROOT / "book" / "_ext"))  # as Sphinx does
import cite
import edition
import metadata

CITE_PAGE = "book/appendix/changelog"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
HAS_ADDRESS = bool(CONFIG["html"]["baseurl"] or CONFIG["repository"]["url"])  # not before the course is public


def head(page: str) -> dict[str, str]:
    """Return what the tags of a page say, by name."""
    require_site()
    html = BeautifulSoup((SITE / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
    assert bool(html.find("link", rel="canonical")) == HAS_ADDRESS
    return {tag.get("name") or tag.get("property"): tag["content"] for tag in html.find_all("meta", content=True)}


def test_every_page_describes_itself():
    said = {page: head(page) for page in PAGES}
    for page, tags in said.items():
        assert 30 <= len(tags["description"]) <= metadata.LONGEST + 2, page
        assert not re.search(r"[\\{}<>]", tags["description"]), page
        assert tags["og:title"] == tags["citation_title"] or tags["og:title"] in tags["citation_title"]
        assert tags["og:description"] == tags["description"]
        assert tags["citation_author"]
        whole = {"og:url", "og:image", "citation_public_url"}
        assert whole & set(tags) == (whole if HAS_ADDRESS else set())
    chapters = [
        said[page]["description"] for page in PAGES if page.startswith(("book/principles", "book/applications"))
    ]
    assert len(set(chapters)) == len(chapters)
    assert all(text.startswith("You learn to ") for text in chapters)
    assert (SITE / "sitemap.xml").exists() == HAS_ADDRESS


def test_addresses_are_whole_where_the_site_has_one(tmp_path):
    config = SimpleNamespace(html_baseurl="https://course.example/em/", root_doc="book/intro", copyright="2026")
    tags = metadata.tags("book/a", "A", "About A.", config)
    assert tags["og:url"] == tags["citation_public_url"] == "https://course.example/em/book/a.html"
    app = SimpleNamespace(
        config=config,
        outdir=tmp_path,
        builder=SimpleNamespace(format="html"),
        env=SimpleNamespace(all_docs={"book/a": 0}),
    )
    metadata.write_site_files(app, None)
    assert "<loc>https://course.example/em/book/a.html</loc>" in (tmp_path / "sitemap.xml").read_text()
    assert "Sitemap: https://course.example/em/sitemap.xml" in (tmp_path / "robots.txt").read_text()


def test_edition_is_that_of_the_commit_and_of_the_pins():
    require_site()
    edition.edition.cache_clear()
    first = edition.edition()
    edition.edition.cache_clear()
    assert edition.edition() == first
    assert f"numpy=={first.numpy}" in (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for page in PAGES:
        html = BeautifulSoup((SITE / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
        assert re.match(
            r"(Last verified: commit [0-9a-f]{10}, |Made (from commit [0-9a-f]{10} and later changes )?with )"
            r"(\d{4}-\d\d-\d\d, with )?emlib",
            html.select_one(".em-edition").get_text(),
        )


def test_outside_of_a_repository_there_is_no_commit(tmp_path):
    for name in ("CITATION.cff", "requirements.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    made = edition.edition(tmp_path)
    assert (made.commit, made.day) == ("", "")
    assert made.sentence.startswith(f"Made with emlib {made.version}, NumPy ")


def test_a_tree_with_changes_is_not_called_verified(tmp_path):
    for name in ("CITATION.cff", "requirements.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    as_somebody = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    for words in (["init"], ["add", "."], [*as_somebody, "commit", "-m", "all"]):
        edition.git(tmp_path, *words)
    if not edition.git(tmp_path, "log"):
        pytest.skip("no git here")
    assert edition.edition(tmp_path).sentence.startswith("Last verified: commit ")
    edition.edition.cache_clear()
    (tmp_path / "CITATION.cff").write_text((ROOT / "CITATION.cff").read_text(encoding="utf-8") + "# more\n")
    said = edition.edition(tmp_path)
    assert said.sentence.startswith(f"Made from commit {said.commit} and later changes with emlib")


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert edition.citation()["version"] == project["version"]


CFF = {
    "title": "A course",
    "version": "1.2",
    "authors": [{"given-names": "Ada", "family-names": "Byron"}, {"name": "the group"}],
    "doi": "10.1/x",
}


def test_bibtex_is_bibtex():
    place = cite.where(CFF, "https://course.example")
    assert place == "https://doi.org/10.1/x"
    entry = parse_string(cite.bibtex(CFF, "abc", "2026", place), "bibtex").entries["emlib"]
    assert [str(person) for person in entry.persons["author"]] == ["Byron, Ada", "{the group}"]
    assert entry.fields["version"] == "1.2"
    assert (
        cite.in_words(CFF, "", "2026", place)
        == "Ada Byron, the group (2026). A course. Version 1.2. https://doi.org/10.1/x"
    )
    assert cite.year({"date-released": "2027-01-02"}, "2026-05-05", "2025") == "2027"
    assert (cite.year({}, "2026-05-05", "2025"), cite.year({}, "", "2025")) == ("2026", "2025")


def test_book_says_how_to_cite_and_what_changed():
    require_site()
    html = BeautifulSoup((SITE / f"{CITE_PAGE}.html").read_text(encoding="utf-8"), "html.parser")
    box = html.select_one(".em-cite")
    assert (
        parse_string(box.find("pre").get_text(), "bibtex").entries["emlib"].fields["version"]
        == edition.edition().version
    )
    assert (
        "Unreleased" in html.find("article").get_text() or edition.edition().version in html.find("article").get_text()
    )


@pytest.mark.browser
def test_citation_can_be_copied(browser, server):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{server}{CITE_PAGE}.html")
    page.locator(".em-cite pre").hover()
    page.locator(".em-cite button.copybtn").click()
    page.wait_for_selector(".em-cite button.copybtn.success")
    assert page.evaluate("() => navigator.clipboard.readText()").startswith("@software{emlib,")
    context.close()
