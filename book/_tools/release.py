"""Everything a release offers for download, made from one commit by one command: `make release`.

    dist/release/<version>/
        em-book-<version>-site.zip        the site; unpack, open index.html, no network needed
        em-book-<version>.pdf             the book
        em-book-<version>-notebooks.zip   chapters, exercises and projects as notebooks, with the library to run them
        em-book-<version>-data.zip        the data with their provenance
        emlib-<version>-py3-none-any.whl, emlib-<version>.tar.gz
        requirements.txt                  the exact versions of everything else
        README.md, SHA256SUMS

Two runs on one commit give the same bytes: dates are those of the commit, entries of archives are sorted. (The PDF
too, by the same Chromium with the same fonts.) A tree with changes is refused: nobody could make that release again.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from book._tools import archives, pdf, texts  # noqa: E402 - the file is run by its path, so the root must be on sys.path first

NAME = "em-book"
LICENCES = ("LICENSE", "LICENSE-TEXT")
LITE = "lite/"  # Python in the browser: it needs a server and the net
FILES = "lite/files/"  # but these are the notebooks to which the buttons of the pages lead


class Refused(Exception):
    """Why there will be no release, in one sentence."""


@dataclass(frozen=True)
class Commit:
    """What a release is made from.

    Parameters
    ----------
    name : str
        The commit's hash, followed by a remark if the tree has changes.
    when : int
        Its date, seconds since 1970.
    """

    name: str
    when: int


def git(root: Path, *words: str) -> str:
    """What git says."""
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"A release is made from a git checkout; `git {' '.join(words)}` said: {done.stderr.strip()}")
    return done.stdout


def read_commit(root: Path, dirty: bool) -> Commit:
    """The commit that is checked out; refuses a tree with changes unless `dirty`."""
    changes = git(root, "status", "--porcelain").splitlines()
    if changes and not dirty:
        raise Refused(
            f"The tree has changes that are not committed, such as {changes[0][3:]}: "
            "commit them, or make a trial release with DIRTY=1."
        )
    name, when = git(root, "log", "-1", "--format=%H %ct").split()
    return Commit(f"{name}, with changes that were not committed" if changes else name, int(when))


def read_version(root: Path) -> str:
    """The version in pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


# ---------------------------------------------------------------- what goes into the archives
def site_files(site: Path, note: bytes) -> Iterable[tuple[str, Path | bytes]]:
    """The built site without Python in the browser, whose pages say where else it can be run."""
    for path in sorted(path for path in site.rglob("*") if path.is_file()):
        name = path.relative_to(site).as_posix()
        if name.startswith(LITE) and not name.startswith(FILES):
            if path.name == "index.html":
                yield name, note
        elif path.name != ".buildinfo":
            yield name, path


def notebook_files(folder: Path, names: Iterable[str]) -> Iterable[tuple[str, Path]]:
    """The notebooks that students get, under the names they have in the book, so that links among them hold.

    Parameters
    ----------
    folder : Path
        Where they are.
    names : iterable of str
        Paths in it, such as ``book/principles/mixtures.ipynb``.
    """
    for name in names:
        path = Path(name)
        if path.suffix == ".ipynb" and path.parts[0] == "book" and not {"solutions", "_tools"} & set(path.parts):
            yield path.relative_to("book").as_posix(), folder / name


def data_files(root: Path, tracked: Iterable[str]) -> Iterable[tuple[str, Path]]:
    """The data that emlib brings along, their provenance, and the code that loads them."""
    return ((Path(name).relative_to("emlib/data").as_posix(), root / name) for name in tracked)


# ---------------------------------------------------------------- making it
@dataclass
class Release:
    """One release being made: its pieces are written into `folder`."""

    root: Path
    site: Path
    toc: Path
    folder: Path
    version: str
    commit: Commit

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return f"{NAME}-{self.version}"

    def make(self, say) -> None:
        """Write all pieces."""
        self.make_archives(say)
        say("PDF: some minutes")
        book = pdf.read_book(self.root / "_config.yml", self.version, self.commit.name, self.commit.when)
        pages = pdf.make(book, self.site, self.toc, self.folder / f"{self.stem}.pdf", say)
        text = texts.RELEASE.format(pages=pages, listing=texts.listing(self.folder), **self.facts)
        (self.folder / "README.md").write_bytes(text.encode())
        archives.write_sums(self.folder)

    def make_archives(self, say) -> None:
        """Write all but the PDF: what depends on the commit and the packages alone."""
        licences = [(name, self.root / name) for name in LICENCES]
        say("wheel and sdist")
        self.build_library()
        shutil.copyfile(self.root / "requirements.txt", self.folder / "requirements.txt")

        say("site")
        readme = [("README.txt", texts.SITE.format(**self.facts).encode())]
        self.zip("site", [*site_files(self.site, texts.NO_LITE.encode()), *licences, *readme])
        say("notebooks")
        readme = [("README.md", texts.NOTEBOOKS.format(**self.facts).encode())]
        tools = [(name, self.folder / name) for name in (self.wheel_name, "requirements.txt")]
        self.zip("notebooks", [*self.notebooks(), *tools, *licences, *readme])
        say("data")
        readme = [("README.md", texts.DATA.format(**self.facts).encode())]
        self.zip("data", [*data_files(self.root, self.tracked("emlib/data")), *licences, *readme])

    def notebooks(self) -> Iterable[tuple[str, Path]]:
        """The copies in plain Markdown that the build of the site writes beside it."""
        copies = self.site.parent / "notebooks"
        if not copies.is_dir():
            raise SystemExit(f"There is no {copies}, which comes with the site: run `make book SERVE=0` first.")
        return notebook_files(copies, sorted(path.relative_to(copies).as_posix() for path in copies.rglob("*")))

    @property
    def facts(self) -> dict[str, str]:
        """What the texts of a release tell."""
        return {"version": self.version, "commit": self.commit.name, "wheel": self.wheel_name}

    @property
    def wheel_name(self) -> str:
        """The file name of the wheel."""
        return f"emlib-{self.version}-py3-none-any.whl"

    def tracked(self, folder: str) -> list[str]:
        """The files of a folder that git knows, so that nothing else can slip in."""
        return sorted(filter(None, git(self.root, "ls-files", "-z", folder).split("\0")))

    def zip(self, what: str, files: Iterable[tuple[str, Path | bytes]]) -> None:
        """Write an archive that unpacks into a folder of its own name."""
        name = f"{self.stem}-{what}"
        archives.write_zip(self.folder / f"{name}.zip", archives.under(name, files), self.commit.when)

    def build_library(self) -> None:
        """Build wheel and sdist by the tools of this environment."""
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(self.commit.when)}
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(self.folder), str(self.root)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Refused(f"Wheel and sdist could not be built:\n{done.stdout}{done.stderr}")


def release(root: Path, site: Path, toc: Path, out: Path, dirty: bool, say) -> Path:
    """Make a release; returns its folder, which appears only when all of it is there."""
    commit, version = read_commit(root, dirty), read_version(root)
    if not (site / "index.html").is_file():
        raise Refused(f"There is no site in {site}: build it with `make book SERVE=0`.")
    making, made = out / f".making-{version}", out / version
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    try:
        Release(root, site, toc, making, version, commit).make(say)
        shutil.rmtree(made, ignore_errors=True)
        making.rename(made)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return made


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Make the files of a release from the built site and the checkout.")
    parser.add_argument("site", type=Path)
    parser.add_argument("--toc", type=Path, default=ROOT / "_toc.yml", help="the one that the site was built from")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "release")
    parser.add_argument("--dirty", action="store_true", help="also from a tree with changes; the release will say so")
    parser.add_argument("--check", action="store_true", help="only say whether this tree can be released")
    options = parser.parse_args(arguments)

    def say(text: str) -> None:
        print(text, flush=True)

    try:
        if options.check:
            read_commit(ROOT, options.dirty)
            return 0
        made = release(ROOT, options.site, options.toc, options.out, options.dirty, say)
    except Refused as reason:
        print(reason, file=sys.stderr)
        return 1
    print(f"\n{(made / archives.SUMS).read_text(encoding='utf-8')}\nThe release is in {made}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
