"""The buttons of a page, with an address of the repository and without; and that the address is said once."""

import re
import subprocess
import sys
import tomllib
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

from .conftest import PAGES, ROOT, SITE, require_site

sys.path.insert(0, str(ROOT / "book" / "_ext"))  # Sphinx does the same
import launch

NOTEBOOKS = [page for page in PAGES if (ROOT / f"{page}.ipynb").is_file()]
SOMEWHERE = launch.Repository("https://github.com/Someone/em-course")
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
REPOSITORY = launch.Repository(CONFIG["repository"]["url"], CONFIG["repository"]["branch"])
EXTERNAL = {"Binder", "Colab", "Edit the text", "Report a mistake", "Repository"}


def links_of(page: str, source: str, where: launch.Repository) -> dict[str, str]:
    """The addresses behind the buttons of a page, by their texts."""
    groups = launch.buttons(page, source, "../" * page.count("/"), where)
    return {button["text"]: button["url"] for group in groups for button in group["buttons"] if "url" in button}


# ---------------------------------------------------------------- both states
def test_with_an_address_every_link_is_made_from_it():
    links = links_of("book/exercises/mixtures", "book/exercises/mixtures.ipynb", SOMEWHERE)
    assert links == {
        "In the browser (JupyterLite)": "../../lite/notebooks/index.html?path=book/exercises/mixtures.ipynb",
        "Binder": "https://mybinder.org/v2/gh/Someone/em-course/notebooks?urlpath=lab%2Ftree%2Fbook%2Fexercises%2Fmixtures.ipynb",
        "Colab": "https://colab.research.google.com/github/Someone/em-course/blob/notebooks/book/exercises/mixtures.ipynb",
        "Notebook (.ipynb)": "../../lite/files/book/exercises/mixtures.ipynb",
        "Edit the text": "https://github.com/Someone/em-course/edit/main/emlib/course/exercises/mixtures.py",
        "Report a mistake": "https://github.com/Someone/em-course/issues/new?template=page.yml&page=book%2Fexercises%2Fmixtures",
        "Repository": "https://github.com/Someone/em-course",
    }
    assert SOMEWHERE.site == "https://someone.github.io/em-course/"
    assert launch.Repository("https://github.com/Someone/someone.github.io").site == "https://someone.github.io/"
    assert launch.Repository().site == ""


@pytest.mark.parametrize(
    ("page", "module"),
    [
        ("book/exercises/mixtures.ipynb", "emlib/course/exercises/mixtures.py"),
        ("book/exercises/solutions/mixtures.md", "emlib/course/exercises/mixtures.py"),
        ("book/projects/blood_cells.ipynb", "emlib/course/projects/blood_cells.py"),
        ("book/projects/solutions/blood_cells.md", "emlib/course/projects/blood_cells.py"),
        ("book/intro.ipynb", "book/intro.ipynb"),
    ],
)
def test_what_is_made_is_improved_where_it_is_made_from(page, module):
    assert launch.source_of(page) == module
    assert (ROOT / module).is_file()


@pytest.mark.parametrize(
    ("said", "url", "address"),
    [
        ("", "", ""),
        ("", "https://github.com/Someone/em-course", "https://someone.github.io/em-course/"),
        ("https://em.example/", "https://github.com/Someone/em-course", "https://em.example/"),
    ],
)
def test_where_the_site_is_follows_from_the_repository(said, url, address):
    config = SimpleNamespace(html_baseurl=said, html_theme_options={"repository_url": url})
    launch.say_where_the_site_is(None, config)
    assert config.html_baseurl == address


def test_without_an_address_a_notebook_still_runs_and_downloads():
    links = links_of("book/intro", "book/intro.ipynb", launch.Repository())
    assert links == {
        "In the browser (JupyterLite)": "../lite/notebooks/index.html?path=book/intro.ipynb",
        "Notebook (.ipynb)": "../lite/files/book/intro.ipynb",
    }


def test_text_pages_have_nothing_to_run():
    assert links_of("book/appendix/data", "book/appendix/data.md", launch.Repository()) == {}
    assert set(links_of("book/appendix/data", "book/appendix/data.md", SOMEWHERE)) == EXTERNAL - {"Binder", "Colab"}


@pytest.mark.parametrize(
    "url", ["github.com/a/b", "https://github.com/a", "https://github.com/a/b/tree/main", "https://example.org/a/b"]
)
def test_wrong_address_is_named(url):
    with pytest.raises(Exception, match=rf"repository.url is '{url}'; it must be https://github.com/OWNER/NAME"):
        launch.Repository(url)


# ---------------------------------------------------------------- said once
def test_address_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    said = {
        "pyproject.toml: urls.Source": project.get("urls", {}).get("Source", ""),
        "CITATION.cff: repository-code": citation.get("repository-code", ""),
    }
    assert said == dict.fromkeys(said, REPOSITORY.url)
    if REPOSITORY:
        assert project["urls"]["Documentation"] == citation["url"] == (CONFIG["html"].get("baseurl") or REPOSITORY.site)


def test_the_form_for_a_mistake_has_the_field_that_the_button_fills_in():
    asked = parse_qs(urlsplit(SOMEWHERE.report("book/intro")).query)
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / asked["template"][0]).read_text(encoding="utf-8"))
    assert asked["page"] == ["book/intro"]
    assert "page" in [field.get("id") for field in form["body"]]


def test_binder_installs_what_the_notebooks_import():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["notebooks"], "arviz"]
    lines = (ROOT / ".binder" / "requirements.txt").read_text(encoding="utf-8").split("\n")
    names = {line for line in lines if re.match(r"\w", line)}
    assert names == {re.match(r"[\w-]+", requirement)[0] for requirement in wanted}
    assert "-c ../requirements.txt" in lines


# ---------------------------------------------------------------- the built site
def buttons_on(site, page: str) -> dict[str, str]:
    html = BeautifulSoup((site / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
    return {link.get_text(strip=True): link["href"] for link in html.select(".article-header-buttons a[href]")}


@pytest.mark.parametrize("page", PAGES)
def test_buttons_of_the_site(page):
    require_site()
    source = f"{page}.ipynb" if page in NOTEBOOKS else f"{page}.md"
    assert buttons_on(SITE, page) == links_of(page, source, REPOSITORY)


@pytest.mark.slow
def test_book_with_an_address(tmp_path):
    """Two pages of the book, built as the book is, with an address."""
    for name in ("_ext", "_static", "references.bib"):
        (tmp_path / "book").mkdir(exist_ok=True)
        (tmp_path / "book" / name).symlink_to(ROOT / "book" / name)
    (tmp_path / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    for page in ("book/exercises/mixtures.ipynb", "book/appendix/how_to_be_graded.md"):
        (tmp_path / page).parent.mkdir(parents=True)
        (tmp_path / page).write_bytes((ROOT / page).read_bytes())
    config = {**CONFIG, "repository": {"url": SOMEWHERE.url, "branch": "main"}}
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/exercises/mixtures\nchapters:\n- file: book/appendix/how_to_be_graded\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    site = tmp_path / "_build" / "html"
    assert buttons_on(site, "book/exercises/mixtures") == links_of(
        "book/exercises/mixtures", "book/exercises/mixtures.ipynb", SOMEWHERE
    )
    copied = (tmp_path / "_build" / "notebooks" / "book" / "exercises" / "mixtures.ipynb").read_text(encoding="utf-8")
    assert f"{SOMEWHERE.site}book/exercises/mixtures.html" in copied
    assert re.search(rf"emlib\[notebooks\] @ {SOMEWHERE.url}/raw/notebooks/emlib-[\d.]+-py3-none-any.whl", copied)
