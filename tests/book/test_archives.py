"""What goes into a release, and that it is the same each time."""

import os
import subprocess
import zipfile

import pytest

from book._tools import archives, release, texts

FACTS = {"version": "1.2", "commit": "abc123", "wheel": "emlib-1.2-py3-none-any.whl"}


# ---------------------------------------------------------------- archives
def test_same_contents_make_the_same_zip(tmp_path):
    (tmp_path / "file").write_bytes(b"one")
    archives.write_zip(tmp_path / "a.zip", {"b/x": b"two", "a": tmp_path / "file"}, when=1_700_000_000)
    os.utime(tmp_path / "file", (1, 1))
    (tmp_path / "file").chmod(0o600)
    archives.write_zip(tmp_path / "b.zip", {"a": tmp_path / "file", "b/x": b"two"}, when=1_700_000_000)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["a", "b/x"]
        assert archive.read("a") == b"one"
        assert archive.infolist()[0].date_time == (2023, 11, 14, 22, 13, 20)
        assert archive.infolist()[0].external_attr >> 16 == 0o100644


def test_zip_of_a_time_before_zip(tmp_path):
    archives.write_zip(tmp_path / "a.zip", {"a": b""}, when=0)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.infolist()[0].date_time[0] == 1980


def test_checksums_name_what_is_another_or_absent(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    archives.write_sums(tmp_path)
    # The SHA-256 of "a", as every textbook has it.
    known = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  a\n"
    assert (tmp_path / archives.SUMS).read_text().startswith(known)
    assert archives.wrong_sums(tmp_path) == []
    (tmp_path / "a").write_text("x")
    (tmp_path / "c").unlink()
    assert archives.wrong_sums(tmp_path) == ["a", "c"]


# ---------------------------------------------------------------- what goes in
def test_site_goes_without_python_in_the_browser(tmp_path):
    for name in (
        "index.html",
        ".buildinfo",
        "lite/lab/index.html",
        "lite/lab/index.js",
        "lite/index.html",
        "lite/files/n.ipynb",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    files = dict(release.site_files(tmp_path, b"note"))
    assert sorted(files) == ["index.html", "lite/files/n.ipynb", "lite/index.html", "lite/lab/index.html"]
    assert files["lite/lab/index.html"] == b"note"
    assert files["index.html"] == tmp_path / "index.html"


def test_students_get_notebooks_without_solutions(tmp_path):
    tracked = [
        "book/principles/a.ipynb",
        "book/exercises/a.ipynb",
        "book/exercises/solutions/a.ipynb",
        "book/appendix/api.md",
        "book/_tools/x.ipynb",
    ]
    files = dict(release.notebook_files(tmp_path, tracked))
    assert sorted(files) == ["exercises/a.ipynb", "principles/a.ipynb"]
    assert files["exercises/a.ipynb"] == tmp_path / "book/exercises/a.ipynb"


@pytest.mark.parametrize("text", [texts.SITE, texts.NOTEBOOKS, texts.DATA])
def test_every_archive_names_version_and_commit(text):
    assert "Version 1.2, made from commit abc123." in text.format(**FACTS)


def test_every_file_of_a_release_is_explained(tmp_path):
    names = ["em-book-1-site.zip", "em-book-1.pdf", "emlib-1-py3-none-any.whl", "emlib-1.tar.gz", "requirements.txt"]
    for name in names:
        (tmp_path / name).touch()
    assert texts.listing(tmp_path).count("\n") == len(names) - 1
    with pytest.raises(StopIteration):
        texts.kind("what.is.this")


# ---------------------------------------------------------------- from which commit
@pytest.fixture
def checkout(tmp_path):
    """A git repository with one commit of 2023."""
    date = "2023-11-14T22:13:20+00:00"
    who = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    for role in ("AUTHOR", "COMMITTER"):
        who |= {f"GIT_{role}_NAME": "A", f"GIT_{role}_EMAIL": "a@b.c"}
    (tmp_path / "file").write_text("one")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, env={**os.environ, **who})
    return tmp_path


def test_release_is_of_a_commit(checkout):
    commit = release.read_commit(checkout, dirty=False)
    assert commit.when == 1_700_000_000
    assert len(commit.name) == 40


def test_tree_with_changes_is_refused_in_one_sentence(checkout):
    (checkout / "new").touch()
    with pytest.raises(release.Refused, match=r"not committed, such as new: commit them, .* DIRTY=1\.$"):
        release.read_commit(checkout, dirty=False)
    assert "not committed" in release.read_commit(checkout, dirty=True).name


def test_release_without_git_is_refused(tmp_path):
    with pytest.raises(release.Refused, match="made from a git checkout"):
        release.read_commit(tmp_path, dirty=True)


def test_release_without_a_site_is_refused_and_leaves_nothing(checkout):
    (checkout / "pyproject.toml").write_text('[project]\nversion = "1.2"\n')
    out = checkout / "out"
    with pytest.raises(release.Refused, match="There is no site"):
        release.release(checkout, checkout / "html", checkout / "toc", out, dirty=True, say=print)
    assert not out.exists()


def test_release_that_fails_leaves_the_last_one_as_it_was(checkout, monkeypatch):
    (checkout / "pyproject.toml").write_text('[project]\nversion = "1.2"\n')
    (checkout / "html").mkdir()
    (checkout / "html/index.html").touch()
    old = checkout / "out/1.2"
    old.mkdir(parents=True)
    (old / "precious").touch()

    def fail(self, say):
        (self.folder / "half").touch()
        raise release.Refused("no")

    monkeypatch.setattr(release.Release, "make", fail)
    with pytest.raises(release.Refused):
        release.release(checkout, checkout / "html", checkout / "toc", checkout / "out", dirty=True, say=print)
    assert [path.name for path in (checkout / "out").rglob("*")] == ["1.2", "precious"]
