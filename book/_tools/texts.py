"""What the files of a release say about themselves."""

from pathlib import Path

KINDS = {
    "-site.zip": "the site: unpack it anywhere and open `index.html` in a browser; no network needed",
    ".pdf": "the whole book on paper",
    "-notebooks.zip": "chapters, exercises and projects as notebooks, with the library; its README says how to run",
    "-data.zip": "the data with their provenance",
    ".whl": "the library `emlib`, for `pip install`",
    ".tar.gz": "its source",
    "requirements.txt": "the exact versions of all packages the course was made and tested with",
}

RELEASE = """\
# When the data hide something: Expectation–Maximization in computational biology

Version {version}, made from commit {commit}.

| file | MB | what it is |
|---|---|---|
{listing}

The PDF has {pages} pages. `SHA256SUMS` holds the checksums: `sha256sum --check SHA256SUMS` compares (on macOS
`shasum -a 256 --check SHA256SUMS`).

Wheel, source and archives are the same, byte for byte, whoever makes them from this commit with the packages of
`requirements.txt`; the PDF also needs the same Chromium.

Text: CC BY 4.0. Code: BSD-3-Clause. Data: see their provenance.
"""

SITE = """\
When the data hide something: Expectation-Maximization in computational biology
Version {version}, made from commit {commit}.

Open index.html in a browser. Nothing is fetched from the network: text, equations, explorers, quizzes and the search
work from the disk (the search names pages without quoting them). Two things do not: running Python in the browser
(JupyterLite) needs a web server and is left out, and links that lead to other sites need the net. To run the code, take
the archive of notebooks of the same release.

Text: CC BY 4.0 (LICENSE-TEXT). Code: BSD-3-Clause (LICENSE).
"""

#: In the place of every page of JupyterLite.
NO_LITE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Not in this copy</title>
<style>body { font: 1.1rem/1.5 sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }</style>
</head>
<body>
<h1>Not in this copy</h1>
<p>Python in the browser needs a web server and the network, and this copy of the book is read from a disk. Run the
notebooks on your machine instead: they are in the archive of notebooks of the same release. Or use the online book.</p>
<p><a href="javascript:history.back()">Back to the page</a></p>
</body>
</html>
"""

NOTEBOOKS = """\
# The notebooks of the course

Version {version}, made from commit {commit}.

`principles/` and `applications/` are the chapters, `exercises/` and, where there are any, `projects/` are for you to
fill in. All hold the outputs they had when the book was made, so they can also be read as they are.

## How to run them

You need Python 3.11 or newer. In this folder:

```sh
python3 -m venv .venv
.venv/bin/python -m pip install -c requirements.txt "./{wheel}[book]" jupyterlab
.venv/bin/jupyter lab
```

(On Windows: `py -m venv .venv`, then `.venv\\Scripts\\python` and `.venv\\Scripts\\jupyter`.) The first line makes an
environment, the second installs the library and the versions of everything else that the course was made with, the
third opens the notebooks in your browser. The data come with the library.

Some boxes of the chapters, such as the quizzes, are written for the site and appear as plain text in Jupyter.

Exercises check themselves: write a function in place of `raise NotImplementedError` and run the cell below it.

Text: CC BY 4.0 (LICENSE-TEXT). Code: BSD-3-Clause (LICENSE).
"""

DATA = """\
# The data of the course

Version {version}, made from commit {commit}.

`PROVENANCE.md` says for every file what it is, where it comes from, and on which terms. The `.py` files are the loaders
of `emlib.data`; data sets of a few numbers are written in them. In Python: `pip install {wheel}`, then
`import emlib; emlib.data.old_faithful()`.
"""


def listing(folder: Path) -> str:
    """A row of the table for each file of a release."""
    return "\n".join(
        f"| `{path.name}` | {path.stat().st_size / 1e6:.1f} | {kind(path.name)} |" for path in sorted(folder.iterdir())
    )


def kind(name: str) -> str:
    """What a file of a release is."""
    return next(text for end, text in KINDS.items() if name.endswith(end))
