"""What all pages share: one style sheet without needless rules, one script; icons are drawn in the page."""

import re
import sys

import pytest
from bs4 import BeautifulSoup

from .conftest import PAGES, ROOT, SITE, require_site

sys.path.append(str(ROOT / "book" / "_ext"))  # as Sphinx does
import bundle
import icons

WORDS = {"card", "open", "theme", "dark"}


@pytest.mark.parametrize(
    ("css", "left"),
    [
        (".card{a:b}", ".card{a:b}"),
        (".absent{a:b}", ""),
        (".card .absent, .card>p{a:b}", ".card>p{a:b}"),
        ("#absent{a:b} p{c:d}", "p{c:d}"),
        (".card:not(.absent){a:b}", ".card:not(.absent){a:b}"),
        (".card:is(.absent, .open){a:b}", ".card:is(.absent, .open){a:b}"),
        ("[data-absent='.x,{']{a:b}", "[data-absent='.x,{']{a:b}"),
        ("@media print{.absent{a:b}}", ""),
        ("@media print{.absent{a:b} p{c:d}}", "@media print{p{c:d}}"),
        ("/* .card{ */ @charset 'x'; p{a:b}", "@charset 'x';\np{a:b}"),
        ("@keyframes turn{from{a:b} to{c:d}}", "@keyframes turn{from{a:b} to{c:d}}"),
        ("@font-face{src:url(../fontawesome/x.woff2)}", ""),
        ("p{background:url(\"data:image/svg+xml;utf8,<svg a='{}'/>\")}", None),
    ],
)
def test_rules_for_what_is_nowhere_are_left_out(css, left):
    assert bundle.used(css, WORDS) == (css if left is None else left)


def test_imports_and_addresses_are_followed(tmp_path):
    styles = tmp_path / "_static" / "styles"
    styles.mkdir(parents=True)
    (styles / "theme.css").write_text('@import "../basic.css";\np{a:url("pic.png")} q{a:url(data:x)}')
    (tmp_path / "_static" / "basic.css").write_text("b{a:url(images/b.png)}")
    css = bundle.whole(tmp_path, "_static/styles/theme.css")
    assert css == 'b{a:url(images/b.png)}\np{a:url("styles/pic.png")} q{a:url(data:x)}'


def test_icons_are_known_by_name_alias_and_set():
    names = icons.drawings()
    assert len(names) > 2000
    assert {
        ("fa-solid", "chevron-down"),
        ("fa-solid", "search"),
        ("fa-brands", "github"),
        ("fa-regular", "file"),
    } <= set(names)
    assert icons.draw("fas fa-file") != icons.draw("far fa-file")
    assert icons.draw("fa-solid fa-no-such-icon") is None
    drawn = BeautifulSoup(icons.draw("fas fa-search fa-lg", ' title="Search"'), "html.parser").svg
    assert (drawn["title"], drawn["aria-hidden"]) == ("Search", "true")


@pytest.mark.parametrize("page", PAGES)
def test_page_loads_one_style_and_one_script(page):
    require_site()
    text = (SITE / f"{page}.html").read_text(encoding="utf-8")
    html = BeautifulSoup(text, "html.parser")
    styles = [tag["href"].split("?")[0].rsplit("/", 1)[-1] for tag in html.find_all("link", rel="stylesheet")]
    assert styles == ["em-bundle.css", *(["katex.min.css"] if html.find(class_="katex") else styles[1:])]
    scripts = [tag for tag in html.find_all("script", src=True) if "design-tabs" not in tag["src"]]
    assert [tag["src"].split("?")[0].rsplit("/", 1)[-1] for tag in scripts] == ["em-bundle.js"]
    assert all(tag.has_attr("defer") for tag in html.find_all("script", src=True))
    assert not html.select("i[class*=fa-], span[class*=fa-]:empty")
    assert not re.search(r"fontawesome|mathjax|thebe", "".join(map(str, html.head.find_all(["script", "link"]))), re.I)
    pictures = html.select("article img[src$='.png']")
    assert [
        tag["src"] for tag in pictures if not (tag.get("width") and tag.get("height")) and not tag.get("style")
    ] == []


def test_bundle_has_the_rules_of_the_page_and_not_those_of_others():
    css = (SITE / "_static" / "em-bundle.css").read_text(encoding="utf-8")
    for rule in (".em-box", ".bd-article", ".highlight .k", ".cell_input", "div.admonition", ".svg-inline--fa"):
        assert rule in css
    assert "@import" not in css
    assert len(css) < 0.6 * (SITE / "_static" / "styles" / "pydata-sphinx-theme.css").stat().st_size


def test_side_bar_of_source_pages_leads_where_that_of_the_index_leads():
    def targets(page):
        html = BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")
        links = [tag["href"] for tag in html.select(".bd-sidebar-primary nav a") if not tag["href"].startswith("#")]
        return [((SITE / page).parent / link).resolve() for link in links]

    require_site()
    index = targets("genindex.html")
    assert len(index) >= len(PAGES) - 1
    assert targets("_modules/emlib/engine/em.html") == targets("_modules/emlib/models/mixtures.html") == index
