"""Zip files and checksums that depend on nothing but what is in them."""

import hashlib
import time
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

SUMS = "SHA256SUMS"


def write_zip(target: Path, files: Mapping[str, Path | bytes], when: int) -> None:
    """Write a zip file: entries sorted by name, all of the same date and mode.

    Parameters
    ----------
    target : Path
        The zip file.
    files : mapping of name to Path or bytes
        What goes in, by its name in the archive (with slashes).
    when : int
        Date of the entries, seconds since 1970.
    """
    date = time.gmtime(max(when, 315532800))[:6]  # zip knows no years before 1980
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, on every system
            entry.external_attr = 0o100644 << 16
            content = files[name]
            data = content if isinstance(content, bytes) else content.read_bytes()
            archive.writestr(entry, data, compresslevel=9)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path) -> Path:
    """Write SHA256SUMS of a folder's files, as `sha256sum --check` reads it."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != SUMS)
    sums = folder / SUMS
    sums.write_bytes("".join(f"{sha256(path)}  {path.name}\n" for path in files).encode())
    return sums


def wrong_sums(folder: Path) -> list[str]:
    """Names in SHA256SUMS whose file is absent or another."""
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    return [name for sum_, name in (line.split("  ", 1) for line in lines) if not same(folder / name, sum_)]


def same(path: Path, digest: str) -> bool:
    """Tell whether a file is there and has a checksum."""
    return path.is_file() and sha256(path) == digest


def under(folder: str, files: Iterable[tuple[str, Path | bytes]]) -> dict[str, Path | bytes]:
    """Files put into a folder of an archive."""
    return {f"{folder}/{name}": content for name, content in files}
