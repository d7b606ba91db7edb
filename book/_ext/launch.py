"""Buttons that run, download and improve a page, and the notebooks that they lead to.

Where the repository is, is said once: `repository: {url, branch}` in _config.yml. Binder, Colab and all links to
improve a page are made from it here, and left out while it is empty; JupyterLite and the download need no address.

JupyterLite, the download, Binder and Colab all get the same copies of the notebooks (plain.py). They are written to
`_build/notebooks`, at the paths that the buttons ask for; book/_tools/lite.py makes JupyterLite of them, and the Pages
workflow publishes them as the branch `notebooks`, for Binder and Colab.

Why not the theme's buttons: its address of JupyterLite is the same on every page, whatever its depth; it offers the
committed notebook, which is MyST; and it shows nothing at all without a repository.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import plain
from pybtex.database import parse_file
from sphinx.errors import ExtensionError

NOTEBOOKS = "notebooks"  # the folder under _build, and the branch
LITE = "lite/notebooks/index.html"  # one notebook to a window; fits on a phone too


@dataclass(frozen=True)
class Repository:
    """Where the course lives: https://github.com/OWNER/NAME, or nowhere yet."""

    url: str = ""
    branch: str = "main"

    def __post_init__(self):
        parts = urlsplit(self.url)
        if self.url and (parts.scheme, parts.netloc, self.url.count("/")) != ("https", "github.com", 4):
            raise ExtensionError(
                f"_config.yml: repository.url is {self.url!r}; it must be https://github.com/OWNER/NAME, or empty"
            )

    def __bool__(self):
        return bool(self.url)

    @property
    def slug(self):
        """OWNER/NAME."""
        return urlsplit(self.url).path.strip("/")

    @property
    def site(self):
        """Where GitHub Pages shows the site of this repository; empty without one."""
        if not self:
            return ""
        owner, name = self.slug.split("/")
        return f"https://{owner.lower()}.github.io/" + (
            "" if name.lower() == f"{owner.lower()}.github.io" else f"{name}/"
        )

    def binder(self, notebook):
        """Open a notebook on Binder."""
        return f"https://mybinder.org/v2/gh/{self.slug}/{NOTEBOOKS}?{urlencode({'urlpath': f'lab/tree/{notebook}'})}"

    def colab(self, notebook):
        """Open a notebook on Colab."""
        return f"https://colab.research.google.com/github/{self.slug}/blob/{NOTEBOOKS}/{quote(notebook)}"

    def edit(self, source):
        """Propose another text for a file."""
        return f"{self.url}/edit/{self.branch}/{quote(source)}"

    def report(self, page):
        """Tell of a mistake in a page (the form is .github/ISSUE_TEMPLATE/page.yml)."""
        return f"{self.url}/issues/new?{urlencode({'template': 'page.yml', 'page': page})}"


def repository(config):
    """The repository that the configuration of the book names."""
    options = config.html_theme_options
    return Repository((options.get("repository_url") or "").rstrip("/"), options.get("repository_branch") or "main")


# ---------------------------------------------------------------- buttons
def source_of(source):
    """The file to improve: exercises and projects are made from a module, all other pages are what they are."""
    path = Path(source)
    folder = path.parent.as_posix().removesuffix("/solutions")
    if folder in ("book/exercises", "book/projects"):
        return f"emlib/course/{Path(folder).name}/{path.stem}.py"
    return source


def buttons(page, source, to_root, where):
    """The groups of buttons of a page, as the theme wants them.

    `source` is the page's file and `to_root` leads from the page to the root of the site ("../../").
    """
    groups = []
    if source.endswith(".ipynb"):
        notebook = f"{page}.ipynb"
        runs = [link("JupyterLite", f"{to_root}{LITE}?{urlencode({'path': notebook}, safe='/')}", "jupyterlite.svg")]
        runs[0] |= {"text": "In the browser (JupyterLite)", "tooltip": "Nothing to install", "label": "em-lite"}
        if where:
            runs.append(link("Binder", where.binder(notebook), "binder.svg"))
            runs.append(link("Colab", where.colab(notebook), "colab.png"))
        groups.append(group("Run this page", "fas fa-rocket", "launch-buttons", runs))
    saves = [icon("Print or save as PDF", "fas fa-file-pdf") | {"type": "javascript", "javascript": "window.print()"}]
    if source.endswith(".ipynb"):
        file = f"{to_root}lite/files/{notebook}"
        saves.insert(
            0, icon("Notebook (.ipynb)", "fas fa-code") | {"type": "link", "url": file, "label": "em-download"}
        )
    groups.append(group("Download this page", "fas fa-download", "download-buttons", saves))
    if where:
        improve = [
            icon("Edit the text", "fas fa-pencil-alt") | {"type": "link", "url": where.edit(source_of(source))},
            icon("Report a mistake", "fas fa-lightbulb") | {"type": "link", "url": where.report(page)},
            icon("Repository", "fab fa-github") | {"type": "link", "url": where.url},
        ]
        groups.append(group("Improve this page", "fas fa-pencil-alt", "source-buttons", improve))
    return groups


def link(name, url, logo):
    return {"type": "link", "text": name, "tooltip": f"Run this page on {name}", "url": url} | {
        "icon": f"_static/images/logo_{logo}"
    }


def icon(text, symbol):
    return {"text": text, "icon": symbol}


def group(tooltip, symbol, label, members):
    return {"type": "group", "tooltip": tooltip, "icon": symbol, "label": label, "buttons": members}


def add_buttons(app, pagename, templatename, context, doctree):
    """Put ours in front of the theme's (full screen)."""
    if doctree is None or "header_buttons" not in context:
        return
    source = app.env.doc2path(pagename, base=False)
    to_root = "../" * pagename.count("/")
    context["header_buttons"][:0] = buttons(pagename, str(source), to_root, repository(app.config))


def say_where_the_site_is(app, config):
    """Whole addresses (canonical links, Open Graph, sitemap) follow from the repository's, unless another is set."""
    config.html_baseurl = config.html_baseurl or repository(config).site


def need_no_more(app, config):
    """Neither the theme's downloads, which are the sources, nor copies of all sources in the site."""
    config.html_theme_options["use_download_button"] = False
    config.html_copy_source = False


# ---------------------------------------------------------------- notebooks
def book_of(app):
    """What the copies must know of the book: numbers, works, titles, addresses."""
    env, where = app.env, repository(app.config)
    labels = env.get_domain("std").anonlabels
    figures = {}
    for label, (page, anchor, *_) in labels.items():
        if number := env.toc_fignumbers.get(page, {}).get("figure", {}).get(anchor):
            figures[label] = "Fig. " + ".".join(map(str, number))
    equations = {}
    for label, (page, _) in env.get_domain("math").equations.items():
        if number := env.toc_fignumbers.get(page, {}).get("displaymath", {}).get(f"equation-{label}"):
            equations[label] = ".".join(map(str, number))
    works = {}
    for file in app.config.bibtex_bibfiles:
        for key, entry in parse_file(str(Path(app.srcdir) / file)).entries.items():
            persons = entry.persons.get("author") or entry.persons.get("editor") or []
            # As TeX would set them, accents and all.
            names = [[str(name) for name in person.rich_prelast_names + person.rich_last_names] for person in persons]
            works[key] = plain.author_year(names, entry.fields.get("year", ""))
    return plain.Book(
        equations=equations,
        figures=figures,
        citations=works,
        titles={page: title.astext() for page, title in env.titles.items()},
        modules={name: module.docname for name, module in env.get_domain("py").modules.items()},
        notebooks=frozenset(page for page in env.found_docs if is_notebook(env, page)),
        macros=macros(app.config),
        site=app.config.html_baseurl,
        files=f"{where.url}/blob/{where.branch}/" if where else "",
        wheel=f"{where.url}/raw/{NOTEBOOKS}/{wheel_name(Path(app.srcdir))}" if where else "",
    )


def macros(config):
    """The book's own TeX commands, which Jupyter does not know."""
    for options in (getattr(config, "katex_macros", None), (config.mathjax3_config or {}).get("tex", {}).get("macros")):
        if options:
            return {name: value for name, value in options.items() if isinstance(value, str)}
    return {}


def wheel_name(root):
    """How the wheel of the library is called."""
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return f"{project['name']}-{project['version']}-py3-none-any.whl"


def is_notebook(env, page):
    return str(env.doc2path(page)).endswith(".ipynb")


def write_notebooks(app, exception):
    """Write the copies of all notebooks; those that have not changed are left alone, and others that lie there go."""
    if exception is not None or app.builder.name != "html":
        return
    folder, book = Path(app.outdir).parent / NOTEBOOKS, book_of(app)
    files = set()
    for page in book.notebooks:
        notebook = json.loads(Path(app.env.doc2path(page)).read_text(encoding="utf-8"))
        try:
            text = json.dumps(plain.plain(notebook, page, book), ensure_ascii=False, indent=1) + "\n"
        except plain.CannotSay as error:
            raise ExtensionError(str(error)) from None
        file = folder / f"{page}.ipynb"
        files.add(file)
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
    for old in set(folder.rglob("*.ipynb")) - files:
        old.unlink()


def setup(app):
    """Register with Sphinx; the buttons before the theme adds its own, which it does at 501."""
    app.connect("config-inited", say_where_the_site_is)
    app.connect("config-inited", need_no_more)
    app.connect("html-page-context", add_buttons, priority=800)
    app.connect("build-finished", write_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
