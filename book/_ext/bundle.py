"""One style sheet and one script for all pages, of which a browser has to ask for two files instead of twenty.

The style sheets of theme and extensions become ``_static/em-bundle.css``, without the rules for things that occur in no
page and no script of this site (more than half of them). Their scripts become ``_static/em-bundle.js``, which is loaded
without holding up the page; what only serves other pages is left out:

- the search index, which the theme would load on every page and only the page of results reads;
- Thebe, which would run cells on a server of somebody else.
"""

import hashlib
import os
import re
from pathlib import Path

from output import SCRIPT, attributes

STYLE = re.compile(r'[ \t]*<link\b[^>]*rel="stylesheet"[^>]*/>\n?')
PRELOAD = re.compile(r'[ \t]*<link rel="preload" as="script"[^>]*/>\n?')
NOT_SCRIPTS = re.compile(r"json|x-thebe|template|text/plain")
OPTIONS = "documentation_options.js"
SEARCH = ("searchtools.js", "language_data.js", "searchindex.js")
THEBE = ("sphinx-thebe.js", "THEBE_JS_URL", "x-thebe-config", "kernelName =")
TABS = "design-tabs.js"  # looks for its own script element
NAME = "em-bundle"
# Of a style sheet: up to the next brace or semicolon, and the next brace; strings may hold all of these.
HEAD = re.compile(r"""(?:"[^"]*"|'[^']*'|[^{};"'])*([{;])""")
BRACE = re.compile(r"""[{}]|"[^"]*"|'[^']*'""")


def file_of(address: str, up: str) -> str:
    """The file in the site that an address of a page names."""
    return address.split("?")[0].removeprefix(up)


def bundle(app, page):
    """Put one style sheet and one script in the place of many."""
    names = app.env.em_bundle = getattr(app.env, "em_bundle", {"css": [], "js": []})
    own = {"css": [], "js": []}

    def style(found):
        name = file_of(attributes(found[0])["href"], page.up)
        if "/vendor/" in name:
            return found[0]
        own["css"].append(name)
        return "<!-- em-bundle.css -->" if len(own["css"]) == 1 else ""

    def script(found):
        given = attributes(found[1])
        address = given.get("src")
        if any(word in found[0] for word in THEBE) or (page.name != "search" and str(address).endswith(SEARCH)):
            return ""
        if NOT_SCRIPTS.search(given.get("type", "")) or (address is None):
            return found[0]
        name = file_of(address, page.up)
        if name.endswith(OPTIONS):  # scripts in the page set more options
            return f"    <script>{(Path(app.outdir) / name).read_text(encoding='utf-8')}</script>\n"
        if name.endswith(SEARCH):
            return found[0].replace("<script ", "<script defer ")
        if name.endswith(TABS):
            used = "sd-tab-set" in page.html
            return found[0].replace("<script ", "<script defer ") if used else ""
        if not name.startswith("_static/"):
            return found[0]
        own["js"].append(name)
        return ""

    page.html = PRELOAD.sub("", SCRIPT.sub(script, STYLE.sub(style, page.html)))
    for kind in own:
        names[kind].extend(name for name in own[kind] if name not in names[kind])
    css, js = (f"{page.up}_static/{NAME}.{kind}?v={stamp(app, own[kind])}" for kind in ("css", "js"))
    page.html = page.html.replace("<!-- em-bundle.css -->", f'    <link rel="stylesheet" href="{css}" />\n', 1)
    # First of the scripts that wait for the page, since those of the search need what it defines.
    page.html = page.html.replace("</title>", f'</title>\n    <script defer src="{js}"></script>', 1)


def stamp(app, names):
    """Changes with what the bundles are made of, so that no browser keeps an old one.

    That is our own files and the versions of extensions, some of which deliver their files only when all is built.
    """
    digest = hashlib.sha256(repr(sorted((name, each.version) for name, each in app.extensions.items())).encode())
    for name in names:
        for folder in app.config.html_static_path:
            path = Path(app.srcdir) / folder / Path(name).relative_to("_static")
            digest.update(path.read_bytes() if path.is_file() else name.encode())
    return digest.hexdigest()[:8]


def write_bundles(app, exception):
    """Write both files, now that all pages are known."""
    names = getattr(app.env, "em_bundle", None)
    if exception or not names:
        return
    site = Path(app.outdir)
    scripts = [(site / name).read_text(encoding="utf-8") for name in names["js"]]
    js = "\n;\n".join(re.sub(r"//# sourceMappingURL=\S+", "", text) for text in scripts)
    (site / "_static" / f"{NAME}.js").write_text(js, encoding="utf-8")
    words = words_of(site)
    css = "\n".join(used(whole(site, name), words) for name in names["css"])
    (site / "_static" / f"{NAME}.css").write_text(css, encoding="utf-8")


# ---------------------------------------------------------------- style sheets
def words_of(site: Path) -> set[str]:
    """All words of the site's pages and scripts: a class or an id that is not among them is nowhere."""
    files = [*site.rglob("*.html"), *(path for path in site.rglob("*.js") if path.name != "searchindex.js")]
    return {
        word for path in files for word in re.findall(r"[\w-]+", path.read_text(encoding="utf-8", errors="replace"))
    }


def blocks(css: str):
    """The statements of a style sheet as (what stands before the braces, what stands in them or None)."""
    css, start = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL), 0
    while found := HEAD.match(css, start):
        head, start = found[0][:-1].strip(), found.end()
        if found[1] == ";":
            yield head, None
            continue
        depth, body = 1, start
        while depth:
            brace = BRACE.search(css, start)
            depth, start = depth + {"{": 1, "}": -1}.get(brace[0], 0), brace.end()
        yield head, css[body : start - 1]


def selectors(head: str):
    """The selectors of a rule, without splitting what stands in parentheses or brackets."""
    return [part.strip() for part in re.split(r",(?![^(]*\))(?![^\[]*\])", head)]


def occurs(selector: str, words: set[str]) -> bool:
    """Whether all classes and ids that a selector asks for are words of the site."""
    asked = re.sub(r":(?:not|is|where)\((?:[^()]|\([^()]*\))*\)|\[[^\]]*\]|\\.", "", selector)
    return all(word in words for word in re.findall(r"[.#]([A-Za-z_-][\w-]*)", asked))


def used(css: str, words: set[str]) -> str:
    """A style sheet without the rules that can apply to nothing."""
    kept = []
    for head, body in blocks(css):
        if body is None:
            kept.append(f"{head};")
        elif head.startswith(("@media", "@supports", "@container", "@layer")):
            if inner := used(body, words):
                kept.append(f"{head}{{{inner}}}")
        elif head.startswith("@font-face") and "fontawesome" in body:
            continue  # icons are drawings
        elif head.startswith("@"):
            kept.append(f"{head}{{{body}}}")
        elif left := [selector for selector in selectors(head) if occurs(selector, words)]:
            kept.append(f"{','.join(left)}{{{' '.join(body.split())}}}")
    return "\n".join(kept)


def whole(site: Path, name: str) -> str:
    """A style sheet with those that it imports, and with addresses as seen from the bundle."""
    folder = (site / name).parent

    def address(found):
        path = (folder / found[2]).resolve()
        return found[1] + Path(os.path.relpath(path, (site / "_static").resolve())).as_posix()

    css = (site / name).read_text(encoding="utf-8")
    css = re.sub(r"""(url\(\s*['"]?)(?!data:|#|/|[a-z]+:)([^'")]+)""", address, css)
    imported = re.compile(r"""@import\s+(?:url\()?['"]?([^'")]+?)['"]?\)?\s*;""")
    return imported.sub(
        lambda found: whole(site, (folder / found[1]).resolve().relative_to(site.resolve()).as_posix()), css
    )


def setup(app):
    """Register with Sphinx, after what adds or removes scripts and styles."""
    app.setup_extension("output")
    app.connect("page-output", bundle, priority=900)
    app.connect("build-finished", write_bundles, priority=900)  # some extensions deliver their files only then
    return {"parallel_read_safe": True, "parallel_write_safe": False}
