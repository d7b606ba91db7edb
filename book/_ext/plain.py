"""A page's notebook as students get it: in JupyterLite, on Binder and Colab, and as a download.

The committed notebooks are written in MyST, for the site. Jupyter knows Markdown only and would show directives and
roles as they stand. A copy says the same in Markdown: boxes get a bold title, quizzes fold their explanations, numbers
of equations and computed values stand in the text, and cells that the page leaves out are folded. One cell is added,
which installs `emlib` where it is absent.

Nothing here knows of Sphinx: what only the whole book knows (numbers, titles, addresses) comes as a `Book`.
"""

import copy
import posixpath
import re
from dataclasses import dataclass, field

import yaml

#: What a browser or Colab must install; the extra is in pyproject.toml.
REQUIREMENT = "emlib[notebooks]"
#: Needed by few notebooks, and heavy; installed after everything else.
HEAVY = ("arviz",)
FOLDED = {"remove-cell", "remove-input", "hide-input"}
GLUED = "application/papermill.record/"
WIDGET = "application/vnd.jupyter.widget-view+json"
EXPLORER = "An explorer: run the cells above and this one to move it."  # what is shown while no kernel runs

OPENING = re.compile(r"^(?P<fence>`{3,}|:{3,})\{(?P<name>[\w:-]+)\}[ \t]*(?P<title>.*)$")
CODE = re.compile(r"^ {0,3}(?P<fence>`{3,}|~{3,})")
OPTION = re.compile(r"^:(?P<name>[\w-]+):[ \t]*(?P<value>.*)$")
LABEL = re.compile(r"^\([\w:-]+\)=[ \t]*$")
EQUATION = re.compile(r"\$\$(?P<tex>.+?)\$\$(?:[ \t]*\((?P<label>[\w:-]+)\))?", re.DOTALL)
#: Code and mathematics, in which no role is meant; or a role; or a link.
INLINE = re.compile(
    r"(?P<role>\{(?P<name>[\w:]+)\}`(?P<text>[^`]+)`)"
    r"|(?P<verbatim>(?P<ticks>`+).+?(?P=ticks))"
    r"|(?P<link>(?<!!)\[(?P<words>[^\]\[]+)\]\((?P<target>[^)\s]+)\))",
    re.DOTALL,
)


class CannotSay(ValueError):
    """A directive or role that this module has no Markdown for."""


@dataclass(frozen=True)
class Book:
    """What only the whole book knows; the defaults are those of a book that knows nothing."""

    equations: dict[str, str] = field(default_factory=dict)  # label -> "2.7"
    figures: dict[str, str] = field(default_factory=dict)  # label -> "Fig. 2.1"
    citations: dict[str, tuple[str, str]] = field(default_factory=dict)  # key -> (authors, year)
    titles: dict[str, str] = field(default_factory=dict)  # page -> title
    modules: dict[str, str] = field(default_factory=dict)  # module -> page of the reference
    notebooks: frozenset[str] = frozenset()  # pages that are notebooks
    macros: dict[str, str] = field(default_factory=dict)  # TeX: name -> what it stands for
    site: str = ""  # where the site is, ending in a slash; empty: not known
    files: str = ""  # where the repository's files can be read, ending in a slash
    wheel: str = ""  # where Colab gets emlib from; empty: nowhere


@dataclass(frozen=True)
class Page:
    """One page of the book, its glued values included."""

    name: str  # book/principles/mixtures
    book: Book
    values: dict[str, str] = field(default_factory=dict)

    def say(self, text: str) -> str:
        """MyST as Markdown."""
        said = self._mathematics(self._blocks(text))
        said = re.sub(r"\n{3,}", "\n\n", said).strip("\n")
        return re.sub(r"^---\n(?:\n*---\n)+", "---\n", said, flags=re.MULTILINE)  # one rule between two boxes

    # -------------------------------------------------------------- blocks
    def _blocks(self, text: str) -> str:
        said, lines = [], iter(text.split("\n"))
        prose: list[str] = []

        def flush() -> None:
            said.append(self._inline("\n".join(prose)))
            prose.clear()

        for line in lines:
            if opening := OPENING.match(line):
                flush()
                body = _until(lines, opening["fence"])
                said.append(self._directive(opening["name"], opening["title"].strip(), body))
            elif code := CODE.match(line):
                flush()
                said.append("\n".join([line, *_until(lines, code["fence"]), code["fence"]]))
            elif not LABEL.match(line):
                prose.append(line)
        flush()
        return "\n".join(said)

    def _directive(self, name: str, title: str, body: list[str]) -> str:
        options = {}
        while body and (option := OPTION.match(body[0])):
            options[option["name"]] = option["value"]
            body = body[1:]
        say = {
            "objectives": self._objectives,
            "by-hand": lambda text, _: self._box(f"Worked by hand: {title}", text),
            "slips": lambda text, _: self._box("Common slips", text),
            "takeaways": lambda text, _: self._box("What to remember", text),
            "admonition": lambda text, _: self._box(title, text),
            **{
                kind: lambda text, _, kind=kind: self._box(kind.capitalize(), text)
                for kind in ("note", "tip", "hint", "important", "warning")
            },
            "quiz": self._quiz,
            "links": self._links,
        }.get(name)
        if say is None:
            raise CannotSay(f"{self.name}: plain.py has no Markdown for the directive {name}")
        return "\n" + say("\n".join(body).strip("\n"), options) + "\n"

    def _box(self, title: str, text: str) -> str:
        # Rules and not a quotation: Jupyter takes mathematics out first, and with it the marks of quoted lines.
        return f"---\n\n**{self._inline(title)}**\n\n{self._blocks(text)}\n\n---"

    def _objectives(self, text: str, options: dict[str, str]) -> str:
        facts = f"*You should know: {options['needs']}. Reading time: {options['time']} minutes.*"
        return self._box("After this page you can", f"{text}\n\n{facts}")

    def _quiz(self, text: str, _: dict[str, str]) -> str:
        return "\n\n".join(self._question(n, question) for n, question in enumerate(yaml.safe_load(text), 1))

    def _question(self, number: int, question: dict) -> str:
        options, answers = [], []
        for letter, option in zip("abcdefgh", question["options"], strict=False):
            verdict = "right." if option.get("correct") else "not this one."
            options.append(f"- ({letter}) {self._line(option['text'])}")
            answers.append(f"- ({letter}) {verdict} {self._line(option['why'])}")
        folded = "<details>\n<summary>Answers</summary>\n\n" + "\n".join(answers) + "\n\n</details>"
        return f"**{number}.** {self._line(question['question'])}\n\n" + "\n".join(options) + f"\n\n{folded}"

    def _links(self, _: str, options: dict[str, str]) -> str:
        def to(name: str, address: str) -> str:
            return f"[`{name}`]({address})" if address.startswith("https:") else f"`{name}`"

        def described(module: str) -> str:
            return f"{self.book.site}{self.book.modules[module]}.html#module-{module}"

        items = [f"- Read the code: {to(path, self.book.files + path)}" for path in options.get("code", "").split()]
        items += [f"- Use it: {to(module, described(module))}" for module in options.get("api", "").split()]
        for name in options.get("exercise", "").split():
            page = f"book/exercises/{name}"
            if page in self.book.titles:
                items.append(f"- Try it: {self._link(self.book.titles[page], page, '')}")
        return self._box("From this page", "\n".join(items))

    # -------------------------------------------------------------- within a line
    def _line(self, text: str) -> str:
        return self._inline(" ".join(text.split()))

    def _inline(self, text: str) -> str:
        def said(found: re.Match[str]) -> str:
            if found["role"]:
                return self._role(found["name"], found["text"])
            if found["link"]:
                return self._reference(found["words"], found["target"])
            return found[0]

        return INLINE.sub(said, text)

    def _role(self, name: str, text: str) -> str:
        try:
            match name:
                case "eq":
                    return f"({self.book.equations[text]})"
                case "numref":
                    return self.book.figures[text]
                case "glue:text":
                    return self.values[text]
                case "cite:p":
                    return f"({'; '.join(' '.join(self.book.citations[key.strip()]) for key in text.split(','))})"
                case "cite:t":
                    return "; ".join("{} ({})".format(*self.book.citations[key.strip()]) for key in text.split(","))
                case "term" | "doc" | "ref":
                    return re.sub(r"\s*<[^>]*>$", "", text)
                case "code" | "func" | "class" | "mod" | "py:func" | "py:class" | "py:mod":
                    return f"`{text.removeprefix('~')}`"
        except KeyError as error:
            raise CannotSay(f"{self.name}: the role {name} names {error}, which is not there") from None
        raise CannotSay(f"{self.name}: plain.py has no Markdown for the role {name}")

    def _reference(self, words: str, target: str) -> str:
        if re.match(r"[a-z]+:", target):
            return f"[{words}]({target})"
        path, _, anchor = target.partition("#")
        if not path:
            return words
        page = posixpath.normpath(posixpath.join(posixpath.dirname(self.name), path))
        return self._link(words, re.sub(r"\.(md|ipynb)$", "", page), anchor)

    def _link(self, words: str, page: str, anchor: str) -> str:
        """To the notebook beside this one; a page that is none is on the site, if that has an address."""
        if page in self.book.notebooks:
            return f"[{words}]({posixpath.relpath(page, posixpath.dirname(self.name))}.ipynb)"
        if self.book.site:
            return f"[{words}]({self.book.site}{page}.html{'#' + anchor if anchor else ''})"
        return words

    # -------------------------------------------------------------- mathematics
    def _mathematics(self, text: str) -> str:
        def tagged(found: re.Match[str]) -> str:
            if found["label"] is None:
                return found[0]
            if found["label"] not in self.book.equations:
                raise CannotSay(f"{self.name}: the equation {found['label']} has no number")
            return f"$${found['tex'].rstrip()} \\tag{{{self.book.equations[found['label']]}}}\n$$"

        text = EQUATION.sub(tagged, text)
        for name, stands_for in self.book.macros.items():
            text = re.sub(rf"\\{name}(?![A-Za-z])", lambda _, tex=stands_for: tex, text)
        return text


def _until(lines, fence: str) -> list[str]:
    """The lines up to the one that closes a fence."""
    body = []
    for line in lines:
        mark = line.strip()
        if len(mark) >= len(fence) and set(mark) == {fence[0]}:
            return body
        body.append(line)
    return body


# ---------------------------------------------------------------- the notebook
def plain(notebook: dict, name: str, book: Book) -> dict:
    """A student's copy of a page's notebook; the original is left as it is.

    Raises
    ------
    CannotSay
        If the page holds a directive, a role or a label that has no Markdown; the message names page and thing.
    """
    page = Page(name, book, glued(notebook))
    notebook = copy.deepcopy(notebook)
    cells = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = page.say(_text(cell))
        elif cell["cell_type"] == "code":
            fold(cell)
        cells.append(cell)
        if caption := figure_caption(cell, page):
            cells.append(caption)
    notebook["cells"] = [_cell("markdown", "about-this-copy", about(page)), setup_cell(notebook, book), *cells]
    return notebook


def glued(notebook: dict) -> dict[str, str]:
    """What the cells of a page have handed to its text: {name: value}."""
    found = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if name := output.get("metadata", {}).get("scrapbook", {}).get("name"):
                value = output["data"].get(GLUED + "text/plain", output["data"].get("text/plain", ""))
                found[name] = "".join(value).strip("'")
    return found


def fold(cell: dict) -> None:
    """Fold what the page leaves out, and drop outputs that are for the page alone."""
    tags = set(cell["metadata"].get("tags", []))
    if tags & FOLDED:
        cell["metadata"].setdefault("jupyter", {})["source_hidden"] = True
    if "remove-cell" in tags:
        cell["outputs"] = []
    cell["outputs"] = [
        out for out in cell["outputs"] if not any(kind.startswith(GLUED) for kind in out.get("data", {}))
    ]
    for output in cell["outputs"]:
        if WIDGET in output.get("data", {}):
            output["data"]["text/plain"] = EXPLORER


def figure_caption(cell: dict, page: Page) -> dict | None:
    """A cell with the caption that the page writes under a figure."""
    figure = cell["metadata"].get("mystnb", {}).get("figure", {})
    if not figure.get("caption"):
        return None
    number = page.book.figures.get(figure.get("name", ""))
    caption = page.say(figure["caption"])
    return _cell("markdown", f"caption-{cell.get('id', 'x')}", f"*{number}. {caption}*" if number else f"*{caption}*")


def about(page: Page) -> str:
    """What a student should know of a copy before running it."""
    where = f"[{page.book.titles.get(page.name, page.name)}]({page.book.site}{page.name}.html)"
    origin = (
        f"the page {where}, where explorers and quizzes are ready to use" if page.book.site else "a page of the book"
    )
    return (
        f"*This notebook is a copy of {origin}. Run the next cell first; if nothing happens, Python was still "
        "starting: run it again. Cells that only draw or check are folded.*"
    )


def setup_cell(notebook: dict, book: Book) -> dict:
    """The cell that installs what the notebook needs, where it is not installed."""
    code = "\n".join(_text(cell) for cell in notebook["cells"] if cell["cell_type"] == "code")
    heavy = [name for name in HEAVY if re.search(rf"^\s*(import|from) {name}\b", code, re.MULTILINE)]
    rest = "".join(f"    %pip install -q {name}\n" for name in heavy)
    # A last line of Python, because whoever leaves magics out (the grader) must find an indented line.
    done = '    print("Installed.")'
    lines = [
        "# Installs what is needed, where it is not there:",
        "# in the browser (JupyterLite)" + (" and on Colab." if book.wheel else "."),
        "import sys",
        "",
        'if sys.platform == "emscripten":',
        f'    %pip install -q "{REQUIREMENT}"\n{rest}{done}',
    ]
    if book.wheel:
        lines += [
            'elif "google.colab" in sys.modules:',
            f'    %pip install -q "{REQUIREMENT} @ {book.wheel}"\n{rest}{done}',
        ]
    return _cell("code", "setup-this-copy", "\n".join(lines))


def _cell(kind: str, name: str, source: str) -> dict:
    cell = {"cell_type": kind, "id": name[:64], "metadata": {}, "source": source}
    return cell | {"execution_count": None, "outputs": []} if kind == "code" else cell


def _text(cell: dict) -> str:
    return "".join(cell["source"])


def author_year(persons: list[list[str]], year: str) -> tuple[str, str]:
    """How a work is called in a sentence: (authors, year), from each author's last names."""
    names = [" ".join(last).strip("{}") for last in persons]
    if len(names) > 2:
        return f"{names[0]} et al.", year
    return " and ".join(names), year
