"""JupyterLite in the site: all there, light enough, opened by the buttons, and its kernel installs emlib.

Readers get Pyodide from its own server. Here the kernel starts with a copy of its core from npm, and with the pure
wheels it asks for from PyPI; NumPy and the other compiled packages are on neither. So the course's code itself runs
only in `test_a_chapter_runs_online`, which the weekly canary asks for (EMLIB_PYODIDE=online).
"""

import functools
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from urllib.parse import urljoin

import pytest

from book._tools import lite

from .conftest import PAGES, PHONE_WIDTH, ROOT, SITE, Log, require_site

LITE = SITE / "lite"
NOTEBOOKS = sorted(f"{page}.ipynb" for page in PAGES if (ROOT / f"{page}.ipynb").is_file())
KERNEL = "@jupyterlite/pyodide-kernel-extension:kernel"
#: Bytes: all of JupyterLite without the notebooks; and what a browser loads to show one, compressed as servers send it.
WHOLE_BUDGET = 25_000_000
OPENING_BUDGET = 3_000_000
MINUTES = 60_000  # for playwright


@pytest.fixture(autouse=True)
def _site_is_built():
    require_site()


def contents(folder: str = "") -> list[str]:
    """The files that JupyterLite lists in a folder and below."""
    listed = json.loads((LITE / "api" / "contents" / folder / "all.json").read_text(encoding="utf-8"))["content"]
    below = [contents(item["path"]) if item["type"] == "directory" else [item["path"]] for item in listed]
    return [path for paths in below for path in paths]


# ---------------------------------------------------------------- files
def test_every_notebook_of_the_contents_is_listed_and_nothing_else():
    assert sorted(contents()) == NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_the_copy_that_the_build_has_made(name):
    assert (LITE / "files" / name).read_bytes() == (SITE.parent / "notebooks" / name).read_bytes()


def test_wheel_is_the_library_as_it_is():
    index = json.loads((LITE / "pypi" / "all.json").read_text(encoding="utf-8"))
    (version,) = index["emlib"]["releases"]
    (release,) = index["emlib"]["releases"][version]
    wheel = LITE / "pypi" / release["filename"]
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() == release["digests"]["sha256"]
    with zipfile.ZipFile(wheel) as archive:
        for module in ("__init__", "engine/em", "course/desk", "view/prose"):
            assert archive.read(f"emlib/{module}.py") == (ROOT / "emlib" / f"{module}.py").read_bytes()


def test_only_our_wheel_and_widgets_come_with_it():
    config = json.loads((LITE / "jupyter-lite.json").read_text(encoding="utf-8"))["jupyter-config-data"]
    names = {extension["name"] for extension in config["federated_extensions"]}
    assert names == {"@jupyterlite/pyodide-kernel-extension", "@jupyter-widgets/jupyterlab-manager"}
    assert [path.name for path in (LITE / "pypi").glob("*.whl")] == [path.name for path in wheels()]


def wheels() -> list[Path]:
    return list((SITE.parent / "lite" / "wheel").glob("*.whl"))


def test_whole_of_it_is_light_enough():
    weight = sum(path.stat().st_size for path in LITE.rglob("*") if path.is_file() and "files" not in path.parts)
    print(f"JupyterLite without notebooks: {weight / 1e6:.1f} MB")
    assert weight <= WHOLE_BUDGET


def test_a_second_build_finds_nothing_to_do():
    stamp = SITE.parent / "lite" / "made-of.json"
    made = json.loads(stamp.read_text(encoding="utf-8"))
    settings = lite.configuration(SITE.parent / "notebooks", LITE)
    assert lite.fingerprint(settings, SITE.parent / "notebooks", wheels()[0]) == made


def test_without_a_site_there_is_a_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"There are no notebooks in .*: build the site first"):
        lite.main(["--build", str(tmp_path)])


def test_branch_for_binder_and_colab(tmp_path):
    lite.compose_branch(SITE.parent, tmp_path / "branch")
    found = {path.relative_to(tmp_path / "branch").as_posix() for path in (tmp_path / "branch").rglob("*.*")}
    assert set(NOTEBOOKS) <= found
    assert {".binder/requirements.txt", "requirements.txt", wheels()[0].name} <= found
    assert os.access(tmp_path / "branch" / ".binder" / "postBuild", os.X_OK) or os.name == "nt"


# ---------------------------------------------------------------- in the browser
@functools.cache
def compressed(path: Path) -> int:
    """Bytes on the wire of a file."""
    data = path.read_bytes()
    return min(len(gzip.compress(data, 6)), len(data))


@pytest.fixture
def visitor(browser):
    """A page of a fresh browser, what it asked for, and nothing from outside."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, log = context.new_page(), Log()
    context.on("request", lambda request: log.requests.append(request.url))  # those of the kernel, too
    context.on("response", lambda answer: answer.status >= 400 and log.failures.append(answer.url))
    yield page, log
    context.close()


def open_by_button(page, server: str, name: str) -> None:
    """Open the page of a notebook and press its button; the notebook opens in another window, here in the same."""
    page.goto(f"{server}{name.removesuffix('.ipynb')}.html")
    address = page.locator("a.btn-em-lite").get_attribute("href")
    page.goto(urljoin(page.url, address))
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=2 * MINUTES)


@pytest.mark.browser
@pytest.mark.parametrize("name", ["book/intro.ipynb", "book/exercises/mixtures.ipynb"])
def test_button_opens_its_notebook(visitor, server, name):
    page, log = visitor
    open_by_button(page, server, name)
    title = first_heading(name)
    page.locator(".jp-Notebook h1", has_text=title).wait_for(timeout=MINUTES)
    assert f"{server}lite/files/{name}" in [re.sub(r"\?.*", "", url) for url in log.requests]
    # All is ours but the first file of Pyodide, which the kernel asks for when a notebook is open.
    outside = {url for url in log.requests if not url.startswith((server, "data:", "blob:"))}
    assert {re.sub(r"/v[\d.]+/.*", "", url) for url in outside} <= {"https://cdn.jsdelivr.net/pyodide"}
    loaded = {re.sub(r"[?#].*", "", url).removeprefix(server) for url in log.requests if url.startswith(server)}
    weight = sum(compressed(SITE / path) for path in loaded if path.startswith("lite/") and (SITE / path).is_file())
    print(f"{name} in JupyterLite: {weight / 1e6:.1f} MB on the wire")
    assert weight <= OPENING_BUDGET
    assert log.failures == []
    page.set_viewport_size({"width": PHONE_WIDTH, "height": 844})
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_button_of_every_page_opens_its_notebook(visitor, server, name):
    page, _ = visitor
    open_by_button(page, server, name)
    page.locator(".jp-Notebook h1", has_text=first_heading(name)).wait_for(timeout=MINUTES)
    assert page.locator(".jp-Notebook .MathJax_Error, .jp-Notebook mjx-merror").count() == 0


@pytest.mark.browser
def test_files_are_listed(visitor, server):
    page, _ = visitor
    page.goto(f"{server}lite/tree/index.html")
    for folder in ("book", "principles"):
        item = page.locator(".jp-DirListing-item", has_text=folder).first
        item.wait_for(timeout=2 * MINUTES)
        item.dblclick()
    page.locator(".jp-DirListing-item", has_text="mixtures.ipynb").wait_for(timeout=MINUTES)
    listed = [line.split("\n")[0] for line in page.locator(".jp-DirListing-item").all_inner_texts()]
    assert [f"book/principles/{name}" for name in listed] == [name for name in NOTEBOOKS if "/principles/" in name]


@pytest.mark.browser
def test_from_the_disk_the_button_leads_to_a_sentence(browser):
    page = browser.new_page()
    page.goto((SITE / "book" / "principles" / "mixtures.html").as_uri())
    address = page.locator("a.btn-em-lite").evaluate("link => link.href")
    assert address == (SITE / "book" / "appendix" / "how_to_read.html").as_uri() + "#running-the-code"
    page.goto(address)
    assert page.locator("#running-the-code").count() == 1
    page.close()


def first_heading(name: str) -> str:
    cells = json.loads((LITE / "files" / name).read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return re.search(r"^# (.+)$", text, re.MULTILINE)[1]


# ---------------------------------------------------------------- the kernel
def fetch(command: list[str], folder: Path, what: str) -> None:
    """Run a package manager; where it or its registry is absent the test is skipped."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{what} cannot be had: {(done.stderr or done.stdout).strip()[-200:]}")


def download(folder: Path, requirements: list[str]) -> None:
    """Put pure wheels into a folder."""
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--python-version", "3.14", "--platform", "any"]
    fetch([sys.executable, "-m", "pip", "download", *options, "-d", ".", *requirements], folder, "a wheel")


def needed(lock: dict, names: list[str]) -> dict[str, dict]:
    """Packages of Pyodide's lock file and what they need, by their names there."""
    by_name = {re.sub(r"[-_.]+", "-", name).lower(): name for name in lock["packages"]}
    found, todo = {}, list(names)
    while todo:
        name = by_name[re.sub(r"[-_.]+", "-", todo.pop()).lower()]
        if name not in found:
            found[name] = lock["packages"][name]
            todo += found[name]["depends"]
    return found


@pytest.fixture(scope="session")
def local_site(tmp_path_factory) -> Path:
    """JupyterLite as in the site, with the core of Pyodide beside it, and the wheels that it would get from PyPI."""
    from jupyterlite_pyodide_kernel.addons.piplite import write_wheel_index
    from jupyterlite_pyodide_kernel.constants import PYODIDE_VERSION

    require_site()
    npm = shutil.which("npm") or pytest.skip("no npm")
    site = tmp_path_factory.mktemp("site")
    fetch([npm, "pack", "--silent", f"pyodide@{PYODIDE_VERSION}"], site, "the core of Pyodide")
    shutil.copytree(LITE, site / "lite")
    core = site / "lite" / "static" / "pyodide"
    core.mkdir(parents=True)
    with tarfile.open(next(site.glob("pyodide-*.tgz"))) as archive:
        for member in archive.getmembers():
            if member.isfile():
                (core / Path(member.name).name).write_bytes(archive.extractfile(member).read())

    # Pyodide builds its pure wheels itself, with other digests than those on PyPI.
    lock = json.loads((core / "pyodide-lock.json").read_text(encoding="utf-8"))
    packages = needed(lock, ["micropip", "ipython", "jedi", "packaging"])
    download(core, [f"{name}=={package['version']}" for name, package in packages.items()])
    for package in packages.values():
        package["sha256"] = hashlib.sha256((core / package["file_name"]).read_bytes()).hexdigest()
    (core / "pyodide-lock.json").write_text(json.dumps(lock), encoding="utf-8")

    download(site / "lite" / "pypi", ["comm", "ipywidgets", "jupyterlab_widgets"])
    write_wheel_index(site / "lite" / "pypi")
    settings = site / "lite" / "jupyter-lite.json"
    config = json.loads(settings.read_text(encoding="utf-8"))
    config["jupyter-config-data"]["litePluginSettings"][KERNEL]["pyodideUrl"] = "./static/pyodide/pyodide.mjs"
    settings.write_text(json.dumps(config), encoding="utf-8")
    return site


@pytest.fixture
def local_server(local_site):
    """The address of the site with a core of Pyodide."""
    import threading

    from book._tools import serve

    with serve.open_server(local_site, port=0) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}/"
        httpd.shutdown()


def run_first_cell(page, code: str | None = None) -> str:
    """Run the first code cell of the open notebook, with other code if given; what it prints."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").first
    cell.wait_for(timeout=2 * MINUTES)
    cell.locator(".cm-content").click()
    if code is not None:
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(code)
    page.keyboard.press("Shift+Enter")
    # JupyterLab shows a notebook before it has a kernel, and drops without a word what is run until then. The first
    # line of a copy says what to do: run it again.
    untouched = cell.locator(".jp-InputPrompt", has_text="[ ]")
    for _ in range(24):
        page.wait_for_timeout(5000)
        if not untouched.count():
            break
        cell.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
    cell.locator(".jp-OutputArea-output").first.wait_for(timeout=8 * MINUTES)
    page.wait_for_timeout(2000)
    return "\n".join(cell.locator(".jp-OutputArea-output").all_inner_texts())


@pytest.mark.browser
@pytest.mark.slow
def test_kernel_starts_and_installs_emlib(visitor, local_server):
    page, log = visitor
    page.goto(f"{local_server}lite/notebooks/index.html?path=book/principles/mixtures.ipynb")
    said = run_first_cell(
        page,
        "import sys\n%pip install -q --no-deps emlib\nimport importlib.metadata, emlib\n"
        'print(sys.platform, importlib.metadata.version("emlib"), "GaussianMixture" in dir(emlib))',
    )
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert said.split() == ["emscripten", version, "True"]
    assert [url for url in log.requests if not url.startswith((local_server, "data:", "blob:"))] == []
    assert any(f"/lite/pypi/emlib-{version}-" in url for url in log.requests)


@pytest.mark.browser
@pytest.mark.slow
def test_setup_cell_finds_all_but_the_compiled_packages(visitor, local_server, local_site):
    """As it stands, the first cell stops at files that only Pyodide's own server has: compiled packages of its lock."""
    page, log = visitor
    page.goto(f"{local_server}lite/notebooks/index.html?path=book/principles/mixtures.ipynb")
    run_first_cell(page)
    lock = json.loads((local_site / "lite" / "static" / "pyodide" / "pyodide-lock.json").read_text(encoding="utf-8"))
    own = {package["file_name"] for package in lock["packages"].values()}
    absent = {url.rsplit("/", 1)[-1] for url in log.failures}
    assert absent <= own
    assert {name.split("-")[0] for name in absent} >= {"numpy", "scipy", "scikit_learn", "matplotlib"}
    assert [url for url in log.requests if not url.startswith((local_server, "data:", "blob:"))] == []


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("EMLIB_PYODIDE") != "online", reason="asks Pyodide's server (EMLIB_PYODIDE=online)")
def test_a_chapter_runs_online(visitor, server):
    page, _ = visitor
    page.goto(f"{server}lite/notebooks/index.html?path=book/principles/mixtures.ipynb")
    assert "Installed." in run_first_cell(page)
    fit = (
        "import emlib\nfit = emlib.GaussianMixture(2, tol=1e-8, random_state=0).fit(emlib.data.old_faithful())\n"
        'print(f"{fit.log_likelihood_:.3f} {fit.stop_reason_}")'
    )
    assert run_first_cell(page, fit).split() == ["-1130.264", "converged"]
