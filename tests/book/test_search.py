"""What readers type on a phone finds the word, and what is found fits on the phone."""

import pytest

from .conftest import OVERFLOW, PHONE_WIDTH

GLOSSARY = "book/appendix/glossary"
FOUND = """words => words.map(word => {
    const found = Search._performSearch(...Search._parseQuery(word));
    return found.reverse().slice(0, 6).map(([page, , anchor]) => page + anchor);  // the best is the last
})"""
#: What is typed, and the entry that should be first.
DEFINED = {
    "Baum-Welch": "BaumWelch-algorithm",  # with a hyphen, as a phone has no other dash
    "Baum–Welch": "BaumWelch-algorithm",
    "forward-backward": "forwardbackward",
    "Hardy-Weinberg": "HardyWeinberg-proportions",
    "Kullback-Leibler": "KullbackLeibler-divergence",
    "target-decoy": "targetdecoy-competition",
    "E-step": "E-step",
    "e-steps": "E-step",
    "M-step": "M-step",
    "EM": "EM-algorithm",
    "em algorithm": "EM-algorithm",
    "responsibilities": "responsibility",
    "pseudocount": "pseudo-count",
    "Fisher’s identity": "Fisher-s-identity",  # the apostrophe of a phone
}


def test_words_of_the_glossary_are_found_as_they_are_typed(open_page, server):
    page, log = open_page(f"{server}search.html")
    best = dict(zip(DEFINED, page.evaluate(FOUND, list(DEFINED)), strict=True))
    assert {typed: found[:1] for typed, found in best.items()} == {
        typed: [f"{GLOSSARY}#term-{entry}"] for typed, entry in DEFINED.items()
    }
    assert len(best["EM"]) == len(set(best["EM"])) == 6
    assert log.errors == []
    page.context.close()


def test_a_chapter_that_is_named_so_comes_before_the_entry(open_page, server):
    page, _ = open_page(f"{server}search.html")
    chapter = ["book/applications/motifs", f"{GLOSSARY}#term-motif"]
    motif, motifs, kmeans = page.evaluate(FOUND, ["motif", "motifs", "K-means"])
    assert motif[:2] == motifs[:2] == chapter
    assert kmeans[0] == f"{GLOSSARY}#term-K-means"
    assert "book/principles/kmeans" in kmeans
    page.context.close()


def test_single_letters_are_not_marked(open_page, server):
    page, _ = open_page(f"{server}search.html?q=E-step")
    page.wait_for_selector("#search-results .context .highlighted")
    marked = page.evaluate("[...document.querySelectorAll('#search-results .highlighted')].map(e => e.textContent)")
    assert {word.lower() for word in marked} == {"step"}
    assert page.evaluate("localStorage.getItem('sphinx_highlight_terms')") == "step"
    page.context.close()


@pytest.mark.parametrize("word", ["pseudo-count", "K-means"])
def test_excerpts_fit_on_a_phone(open_page, server, word):
    page, _ = open_page(f"{server}search.html?q={word}", width=PHONE_WIDTH)
    page.wait_for_function("() => document.querySelectorAll('#search-results .context').length > 10")
    assert page.evaluate(OVERFLOW) <= 0
    page.context.close()


BESIDE = """form => {
    const [icon, field] = ['svg', 'input'].map(name => form.querySelector(name));
    const style = getComputedStyle(field);
    return field.getBoundingClientRect().left + parseFloat(style.borderLeftWidth) + parseFloat(style.paddingLeft)
        - icon.getBoundingClientRect().right;
}"""


@pytest.mark.parametrize("width", [PHONE_WIDTH, 1300])
def test_magnifier_does_not_cover_what_is_typed(open_page, server, width):
    page, _ = open_page(f"{server}search.html", width=width)
    assert page.locator("main form.bd-search").evaluate(BESIDE) >= 2
    page.goto(f"{server}book/intro.html")
    page.locator(".search-button:visible, .search-button__button:visible, .search-button-field:visible").first.click()
    assert page.locator("dialog[open] form.bd-search").evaluate(BESIDE) >= 2
    page.context.close()


@pytest.mark.parametrize("chapter", ["principles/families", "applications/cell_types"])
def test_links_to_code_fit_on_a_phone(open_page, server, chapter):
    page, _ = open_page(f"{server}book/{chapter}.html", width=PHONE_WIDTH)
    wide, seen = page.locator(".em-links").evaluate("box => [box.scrollWidth, box.clientWidth]")
    assert wide <= seen
    page.context.close()
