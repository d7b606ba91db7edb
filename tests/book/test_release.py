"""A whole release, made once from the built site (some minutes): what a reader downloads is what it says it is."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from pypdf import PdfReader

from book._tools import archives, release
from book._tools.browser import INSTALL, find_chromium
from book._tools.printing import compose, contents

from .conftest import PAGES, ROOT, SITE, require_site

pytestmark = pytest.mark.slow

MOST_PDF_BYTES = 25_000_000
CHAPTERS = contents.read(ROOT / "_toc.yml")
PLACES = [compose.anchor(chapter.page) for chapter in CHAPTERS]
PARTS = list(dict.fromkeys(chapter.part for chapter in CHAPTERS if chapter.part))
FEWEST_LETTERS = 120  # on a page that is no title page: less is the leftover of a bad break


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The folder of a release."""
    require_site()
    if find_chromium() is None:
        if os.environ.get("EMLIB_REQUIRE_BROWSER") == "1":
            pytest.fail(f"EMLIB_REQUIRE_BROWSER=1, but there is no Chromium: {INSTALL}", pytrace=False)
        pytest.skip("no Chromium")
    out = tmp_path_factory.mktemp("release")
    command = [sys.executable, str(ROOT / "book/_tools/release.py"), str(SITE), "--dirty", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def book(folder) -> PdfReader:
    """The PDF, as another library than the one that wrote it reads it."""
    return PdfReader(next(folder.glob("*.pdf")))


@pytest.fixture(scope="module")
def words(book) -> list[str]:
    """The text of every page."""
    return [page.extract_text() for page in book.pages]


# ---------------------------------------------------------------- the folder
def test_release_has_its_files_and_checksums(folder):
    version = release.read_version(ROOT)
    assert folder.name == version
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "SHA256SUMS",
        f"em-book-{version}-data.zip",
        f"em-book-{version}-notebooks.zip",
        f"em-book-{version}-site.zip",
        f"em-book-{version}.pdf",
        f"emlib-{version}-py3-none-any.whl",
        f"emlib-{version}.tar.gz",
        "requirements.txt",
    }
    assert archives.wrong_sums(folder) == []
    commit = release.read_commit(ROOT, dirty=True)
    assert commit.name in (folder / "README.md").read_text(encoding="utf-8")


def test_archives_made_again_are_the_same_bytes(folder, tmp_path):
    commit = release.read_commit(ROOT, dirty=True)
    again = release.Release(ROOT, SITE, ROOT / "_toc.yml", tmp_path, folder.name, commit)
    again.make_archives(lambda text: None)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 6
    assert [name for name in names if (folder / name).read_bytes() != (tmp_path / name).read_bytes()] == []


def unpacked(folder, what, where) -> Path:
    """An archive of the release, unpacked."""
    with zipfile.ZipFile(next(folder.glob(f"*-{what}.zip"))) as archive:
        archive.extractall(where)
    (inside,) = where.iterdir()
    return inside


# ---------------------------------------------------------------- the site from a disk
def test_site_works_from_a_disk(folder, tmp_path, open_page):
    site = unpacked(folder, "site", tmp_path / "Bücher auf Reisen")
    page, log = open_page((site / "book/intro.html").as_uri())
    page.goto((site / "index.html").as_uri(), wait_until="commit")  # it leads there at once
    page.wait_for_url("**/intro.html")
    page.get_by_role("link", name="The two-step dance").first.click()
    page.wait_for_url("**/mixtures.html")
    page.context.close()

    page, log = open_page((site / "book/principles/mixtures.html").as_uri())
    unset = "() => [...document.querySelectorAll('main .math')].filter(m => !m.querySelector('mjx-container, .katex'))"
    assert page.evaluate(f"{unset}.length") == 0
    handle, frame = page.locator(".em-explorer .noUi-handle").first, page.locator(".em-explorer img.em-frame").first
    first = frame.get_attribute("src")
    handle.focus()
    handle.press("End")
    page.wait_for_function("first => document.querySelector('.em-explorer img.em-frame').src !== first", arg=first)
    assert (log.errors, log.failures) == ([], [])
    assert [url for url in log.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    page.context.close()

    page, log = open_page((site / "search.html").as_uri() + "?q=responsibilities")
    page.wait_for_function("() => document.querySelectorAll('#search-results li').length > 5")
    page.locator("#search-results li a").first.click()
    page.wait_for_url("**/book/**")
    assert [url for url in log.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    page.context.close()


def test_site_on_a_disk_says_that_it_does_not_run_python(folder, tmp_path):
    site = unpacked(folder, "site", tmp_path)
    assert not list((site / "lite").rglob("*.wasm"))
    assert all("Not in this copy" in page.read_text(encoding="utf-8") for page in site.glob("lite/**/index.html"))
    assert "is left out" in (site / "README.txt").read_text(encoding="utf-8")


# ---------------------------------------------------------------- notebooks and data
@pytest.mark.parametrize("name", ["principles/incomplete_data.ipynb", "exercises/mixtures.ipynb"])
def test_notebook_runs_with_the_library_beside_it(folder, tmp_path, name, monkeypatch):
    notebooks = unpacked(folder, "notebooks", tmp_path / "a b")
    library = tmp_path / "library"
    with zipfile.ZipFile(next(notebooks.glob("*.whl"))) as wheel:
        wheel.extractall(library)
    monkeypatch.setenv("PYTHONPATH", str(library))
    notebook = nbformat.read(notebooks / name, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("import emlib; emlib.__file__"))
    NotebookClient(notebook, resources={"metadata": {"path": str((notebooks / name).parent)}}).execute()
    assert str(library) in notebook.cells[-1].outputs[0].data["text/plain"]


def test_links_among_notebooks_hold(folder, tmp_path):
    notebooks = unpacked(folder, "notebooks", tmp_path)
    wrong = [
        f"{path.name}: {link}"
        for path in notebooks.rglob("*.ipynb")
        for link in re.findall(r"\]\(([\w./]+\.ipynb)", path.read_text(encoding="utf-8"))
        if not (path.parent / link).is_file()
    ]
    assert wrong == []
    assert not list(notebooks.rglob("*solutions*"))


def test_data_come_with_their_provenance(folder, tmp_path):
    data = unpacked(folder, "data", tmp_path)
    told = (data / "PROVENANCE.md").read_text(encoding="utf-8")
    files = [path.name for path in data.iterdir() if path.suffix in {".csv", ".fa", ".gz", ".tsv"}]
    assert len(files) > 20
    assert [name for name in files if name not in told] == []


# ---------------------------------------------------------------- the PDF
def test_pdf_is_light_tagged_and_says_what_it_is(folder, book):
    assert next(folder.glob("*.pdf")).stat().st_size <= MOST_PDF_BYTES
    root = book.root_object
    assert "/StructTreeRoot" in root
    assert root["/Lang"] == "en"
    assert book.metadata.title.startswith("When the data hide something")
    assert book.metadata.author == "the emlib authors"


def test_every_page_of_the_site_is_in_the_pdf(book):
    assert [place for place in PLACES if f"/{place}" not in book.named_destinations] == []


def flat(book, items, depth=0):
    """The outline as (depth, title, page) in order."""
    for item in items:
        if isinstance(item, list):
            yield from flat(book, item, depth + 1)
        else:
            yield depth, item.title, book.get_destination_page_number(item) + 1


def test_outline_has_every_part_and_chapter_in_order(book):
    items = list(flat(book, book.outline))
    pages = [page for _, _, page in items]
    assert pages == sorted(pages)
    assert [title for depth, title, _ in items if depth == 0][1:] == PARTS  # the first page stands before the parts
    chapters = [page for depth, _, page in items if depth == 1]
    numbered = {place: book.get_destination_page_number(book.named_destinations[f"/{place}"]) + 1 for place in PLACES}
    expected = [numbered[compose.anchor(chapter.page)] for chapter in CHAPTERS if chapter.part and not chapter.depth]
    assert [page for page in chapters if page in expected] == expected
    assert sum(depth == 2 for depth, _, _ in items) > len(PAGES)  # sections


def test_contents_print_the_page_numbers_at_which_things_are(book, words):
    first = next(i for i, text in enumerate(words) if text.lstrip().startswith("Contents"))
    for chapter in CHAPTERS[1:]:
        to = book.named_destinations[f"/{compose.anchor(chapter.page)}"]
        number = book.get_destination_page_number(to) + 1
        assert re.search(rf"\D{number}\b", "\n".join(words[first : first + 15])), chapter
        assert words[number - 1].rstrip().endswith(str(number)) or str(number) in words[number - 1].split(), chapter


def links(book):
    """Every link: (page, where it leads)."""
    for number, page in enumerate(book.pages, 1):
        for annotation in page.get("/Annots") or []:
            annotation = annotation.get_object()
            if annotation.get("/Subtype") == "/Link":
                action = annotation.get("/A", {})
                yield number, annotation.get("/Dest") or action.get("/D") or action.get("/URI")


def test_internal_links_resolve_and_external_ones_lead_to_the_net(book):
    found = list(links(book))
    inside = [(page, to) for page, to in found if to is not None and not re.match(r"\w+:", str(to))]
    outside = [str(to) for _, to in found if re.match(r"\w+:", str(to))]
    assert len(inside) > 1000
    assert [(page, to) for page, to in inside if "/" + str(to).lstrip("/") not in book.named_destinations] == []
    assert len(outside) > 50
    assert [to for to in outside if not to.startswith(("https://", "http://", "mailto:"))] == []
    assert [to for to in outside if "127.0.0.1" in to or "localhost" in to] == []


def test_fonts_are_embedded(book):
    bare = set()
    for page in book.pages:
        for font in (page["/Resources"].get("/Font") or {}).values():
            font = font.get_object()
            inner = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
            files = inner.get("/FontDescriptor", {})
            if font["/Subtype"] != "/Type3" and not any(f"/FontFile{n}" in files for n in ("", "2", "3")):
                bare.add(font.get("/BaseFont"))
    assert bare == set()


def test_no_page_is_nearly_empty(book, words):
    titles = {1} | {page for _, title, page in flat(book, book.outline) if title in PARTS}
    empty = [
        (number, text)
        for number, text in enumerate(words, 1)
        if number not in titles and len(text) < FEWEST_LETTERS and not book.pages[number - 1].images
    ]
    assert empty == []


@pytest.mark.parametrize(
    "text",
    [
        "EM on Old Faithful. Ellipses at one and two standard deviations",  # caption of an explorer
        "the last. To move it:",
        "Take only the lengths of the first four eruptions",  # an example worked by hand
        "Answers",
        "Right. That is what equal shares say, and nothing more.",  # explanation in a quiz
        "not written yet",  # what an exercise says
        "class emlib.models.mixtures.GaussianMixture",
        "made from commit",
    ],
)
def test_pdf_says(words, text):
    letters = re.sub(r"\s+", "", "".join(words))
    assert re.sub(r"\s+", "", text) in letters


def test_equations_are_typeset(words):
    everything = "\n".join(words)
    assert "(2.7)" in everything
    assert re.findall(r"\\(?:frac|mathcal|boldsymbol)\b.{0,30}", everything) == []
