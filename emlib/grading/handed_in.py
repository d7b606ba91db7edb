"""What was handed in: the notebooks of a folder or of a zip file, and whose each of them is.

Nothing is unpacked and no link is followed. A zip file may claim anything about its entries: names that lead out of the
folder, links, sizes. Only the bytes of a notebook are ever taken from it, up to the size that a notebook may have.
"""

from __future__ import annotations

import datetime
import os
import re
import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .names import Who, who
from .notebooks import MOST_BYTES, BadNotebook, read_raw
from .wording import one_line

MOST_FILES = 20_000
MOST_UNPACKED = 16 * 2**30  # bytes that all entries of a zip file claim together
DEEPEST = 12  # folders within folders
SKIPPED = ("__MACOSX", ".ipynb_checkpoints")
METADATA = "submission_metadata.yml"


@dataclass(frozen=True)
class Notebook:
    """A file that was handed in, not yet read.

    Attributes
    ----------
    place : tuple of str
        Its path within the folder or zip file.
    source : Path
        The file itself, or the zip file.
    entry : int or None
        Which entry of the zip file.
    who : Who
        Whose it is, as far as its name says.
    handed_in : datetime or None
        When, as far as the platform or the file says.
    """

    place: tuple[str, ...]
    source: Path
    entry: int | None
    who: Who
    handed_in: datetime.datetime | None

    @property
    def file(self) -> str:
        """Its path, fit to be shown."""
        return one_line("/".join(self.place), 200)

    def read(self) -> bytes:
        """Its bytes.

        Raises
        ------
        BadNotebook
            If there is none to be had; the message says why.
        """
        return read_raw(self.source) if self.entry is None else _from_zip(self.source, self.entry, self.file)


@dataclass
class HandedIn:
    """Everything that lies in the folder.

    Attributes
    ----------
    notebooks : list of Notebook
        In the order of their names.
    refused : list of (str, str)
        What is no submission but looks like one, with the reason.
    ignored : int
        How many other files there are.
    """

    notebooks: list[Notebook] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    ignored: int = 0


def collect(path: Path, topics: Sequence[str] = ()) -> HandedIn:
    """Find the notebooks in a folder, in a zip file, or the one that is named.

    Raises
    ------
    ValueError
        If there are none; the sentence says what was found instead.
    """
    if path.is_dir():
        found = _in_folder(path, topics)
    elif path.suffix.lower() == ".ipynb" and path.is_file():
        found = HandedIn([Notebook((path.name,), path, None, who([path.name], topics), _time_of(path.stat()))])
    elif path.is_file():
        found = _in_zip(path, topics)
    else:
        raise ValueError(f"there is no folder and no zip file {path}")
    if not found.notebooks:
        others = f", but {found.ignored} other files" if found.ignored else ""
        refused = "".join(f"; {name}: {reason}" for name, reason in found.refused[:3])
        raise ValueError(f"{path} contains no notebooks (*.ipynb){others}{refused}")
    return found


# ---------------------------------------------------------------- folders
def _in_folder(folder: Path, topics: Sequence[str]) -> HandedIn:
    found = HandedIn()
    known = _gradescope(folder / METADATA)
    for parts, entry in _walk(folder, ()):
        name = one_line("/".join(parts), 200)
        if not parts[-1].lower().endswith(".ipynb"):
            found.ignored += 1
        elif entry.is_symlink():
            found.refused.append((name, "it is a link to another file"))
        elif not entry.is_file(follow_symlinks=False):
            found.refused.append((name, "it is not a file"))
        else:
            about = entry.stat(follow_symlinks=False)
            owner, when = known.get(parts[0], (who(parts, topics), None))
            found.notebooks.append(Notebook(parts, Path(entry.path), None, owner, when or _time_of(about)))
        if len(found.notebooks) > MOST_FILES:
            raise ValueError(f"{folder} holds more than {MOST_FILES:,} notebooks; is it the right folder?")
    return found


def _walk(folder: Path, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], os.DirEntry[str]]]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            parts = (*above, entry.name)
            if entry.name in SKIPPED or entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if len(parts) <= DEEPEST:
                    yield from _walk(Path(entry.path), parts)
            else:
                yield parts, entry


def _time_of(about: os.stat_result) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(about.st_mtime, datetime.UTC)


# ---------------------------------------------------------------- zip files
def _in_zip(path: Path, topics: Sequence[str]) -> HandedIn:
    found = HandedIn()
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise ValueError(f"{path} is neither a folder nor a zip file: {one_line(str(error))}") from None
    if len(entries) > MOST_FILES:
        raise ValueError(f"{path} has {len(entries):,} entries; at most {MOST_FILES:,} are read")
    if sum(entry.file_size for entry in entries) > MOST_UNPACKED:
        raise ValueError(f"{path} claims to hold more than {MOST_UNPACKED // 2**30} GB; no class hands in so much")
    places: dict[tuple[str, ...], int] = {}
    for number, entry in enumerate(entries):
        parts = tuple(part for part in entry.filename.split("/") if part not in ("", "."))
        if entry.is_dir() or not parts or any(part in SKIPPED or part.startswith("._") for part in parts):
            continue
        if not parts[-1].lower().endswith(".ipynb"):
            found.ignored += 1
            continue
        trouble = _trouble(entry, parts, places)
        if trouble:
            found.refused.append((one_line(entry.filename, 200), trouble))
        else:
            places[parts] = number
    shared = _wrapper(list(places), topics)
    for parts, number in sorted(places.items()):
        when = _zip_time(entries[number])
        own = parts[shared:]
        found.notebooks.append(Notebook(own, path, number, who(own, topics), when))
    return found


def _trouble(entry: zipfile.ZipInfo, parts: tuple[str, ...], places: dict[tuple[str, ...], int]) -> str:
    if ".." in parts or entry.filename.startswith("/") or "\\" in entry.filename or re.match(r"[A-Za-z]:", parts[0]):
        return "its name leads out of the folder"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "it is a link to another file"
    if entry.flag_bits & 1:
        return "it is encrypted"
    if entry.file_size > MOST_BYTES:
        return f"it is larger than {MOST_BYTES // 2**20} MB"
    return "there are two files of that name" if parts in places else ""


def _wrapper(places: list[tuple[str, ...]], topics: Sequence[str]) -> int:
    """How many folders are around everything, and say nothing about anybody."""
    n = 0
    while places and all(len(parts) > n + 1 and parts[n] == places[0][n] for parts in places):
        n += 1
    stems = {parts[-1].rpartition(".")[0] for parts in places}
    return n - 1 if n and len(places[0]) == n + 1 and stems <= set(topics) else n  # the one folder is a student's


def _zip_time(entry: zipfile.ZipInfo) -> datetime.datetime | None:
    """Zip files keep the time of whoever packed them, without saying where on Earth: it is taken for the time here."""
    try:
        return datetime.datetime(*entry.date_time).astimezone() if entry.date_time[0] > 1980 else None
    except (ValueError, OverflowError, OSError):
        return None


def _from_zip(path: Path, number: int, name: str) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(archive.infolist()[number]) as file:
            raw = file.read(MOST_BYTES + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError, IndexError) as error:
        raise BadNotebook(f"{name} cannot be taken out of the zip file: {one_line(str(error))}") from None
    except Exception as error:  # of the decompressors: zlib.error, lzma.LZMAError
        raise BadNotebook(f"{name} cannot be unpacked: {one_line(str(error))}") from None
    if len(raw) > MOST_BYTES:
        raise BadNotebook(f"{name} is larger than {MOST_BYTES // 2**20} MB")
    return raw


# ---------------------------------------------------------------- Gradescope's export
def _gradescope(path: Path) -> dict[str, tuple[Who, datetime.datetime | None]]:
    """Who handed in each folder of an export of Gradescope, and when; nothing if it is none."""
    if not path.is_file():
        return {}
    try:
        import yaml
    except ImportError:
        raise ValueError(f"reading {path} takes PyYAML: pip install pyyaml") from None
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ValueError(f"{path} is not the metadata of an export of Gradescope: it is not YAML") from None
    found = {}
    for folder, about in raw.items() if isinstance(raw, dict) else ():
        try:
            people = [
                {key.lstrip(":"): str(value) for key, value in one.items() if type(value) in (str, int)}
                for one in about[":submitters"]
            ]
            keys = tuple(one[key] for one in people for key in ("email", "sid", "name") if one.get(key))
            names = " and ".join(one["name"] for one in people)
            found[str(folder)] = (Who(keys[0], names, keys), _moment(about.get(":created_at")))
        except (KeyError, TypeError, IndexError, AttributeError):
            continue
    return found


def _moment(value: object) -> datetime.datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", value).replace(" Z", "+00:00"))
        except ValueError:
            return None
    if isinstance(value, datetime.datetime):
        return value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
    return None
