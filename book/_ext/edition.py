"""What this copy of the course is: commit, day, versions. Other extensions show it; nothing here depends on the clock.

The same commit gives the same words: the commit's own day, and versions from the pins in requirements.txt.
"""

import functools
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Edition:
    """Of which version and commit a copy of the course is; commit and day are empty outside of a repository.

    `changed` says that files differ from that commit, so that nobody has verified what is shown.
    """

    version: str
    commit: str
    day: str
    changed: bool
    numpy: str
    python: str

    @property
    def sentence(self) -> str:
        """What stands below each page."""
        tools = f"emlib {self.version}, NumPy {self.numpy} and Python {self.python}"
        if self.commit and not self.changed:
            return f"Last verified: commit {self.commit}, {self.day}, with {tools}."
        return f"Made {f'from commit {self.commit} and later changes ' if self.commit else ''}with {tools}."


def git(root: Path, *arguments: str) -> str:
    """What git answers, stripped; empty where there is no git or no repository."""
    try:
        run = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return run.stdout.strip()


def pin(requirements: str, package: str) -> str:
    """The version of a package in requirements.txt: the newest, where it depends on the version of Python."""
    return re.findall(rf"^{package}==([\w.]+)", requirements, re.MULTILINE)[-1]


@functools.cache
def citation(root: Path = ROOT) -> dict:
    """CITATION.cff."""
    return yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))


@functools.cache
def edition(root: Path = ROOT) -> Edition:
    """This copy of the course."""
    # An archive of the course inside somebody else's repository has no commit of its own.
    inside = git(root, "rev-parse", "--show-toplevel")
    own = bool(inside) and Path(inside).resolve() == root.resolve()
    commit, _, day = git(root, "log", "-1", "--format=%H %cs").partition(" ") if own else ("", "", "")
    return Edition(
        version=str(citation(root)["version"]),
        commit=commit[:10],
        day=day,
        changed=bool(own and git(root, "status", "--porcelain", "--untracked-files=no")),
        numpy=pin((root / "requirements.txt").read_text(encoding="utf-8"), "numpy"),
        python=".".join(map(str, sys.version_info[:2])),
    )


def changed(app, env):
    """All pages, if this is another edition than that of the last build: each of them names it.

    The pages with sources are written anew only where they are missing.
    """
    before, env.em_edition = getattr(env, "em_edition", None), edition()
    if before in (None, env.em_edition):
        return []
    shutil.rmtree(Path(app.outdir) / "_modules", ignore_errors=True)
    return sorted(env.all_docs)


def stamp(app, page):
    """Put the sentence, and the way to the citation, at the foot of the page."""
    links = [f'<a href="{page.up}genindex.html">Index</a>']
    if "book/appendix/changelog" in app.env.all_docs:
        links.insert(0, f'<a href="{page.up}book/appendix/changelog.html#how-to-cite">How to cite</a>')
    text = f'<p class="em-edition">{edition().sentence} {" · ".join(links)}</p>'
    page.html = page.html.replace('<div class="extra_footer">', f'<div class="extra_footer">{text}', 1)


def setup(app):
    """Register with Sphinx."""
    app.setup_extension("output")
    app.connect("env-get-updated", changed)
    app.connect("page-output", stamp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
