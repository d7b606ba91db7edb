"""The secret of a course, and the seed that it gives each student for each exercise.

Inputs are hidden, not checks: who does not know the secret cannot draw them, and what one student finds out about
theirs is worth nothing to another. The same student gets the same inputs in every attempt and every regrade.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

LEAST = 16  # characters
HOW = "emlib grade --new-secret course.secret makes one; keep it where students cannot read it"


def new_secret(path: Path) -> None:
    """Write a new secret that only its owner may read; never over one that is there."""
    try:
        place = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ValueError(
            f"{path} is there already; a secret that has been used is kept, or marks would change"
        ) from None
    with os.fdopen(place, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")


def read_secret(path: Path | None) -> bytes:
    """The secret in a file.

    Raises
    ------
    ValueError
        If there is none, or it could be guessed; the sentence says how to make one.
    """
    if path is None:
        raise ValueError(f"hidden inputs are drawn with a secret, and none was named with --secret-file: {HOW}")
    try:
        secret = path.read_bytes().strip()
    except FileNotFoundError:
        raise ValueError(f"there is no secret {path}: {HOW}") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder, and no secret: {HOW}") from None
    if len(secret) < LEAST:
        raise ValueError(f"the secret in {path} has {len(secret)} characters, which can be guessed: {HOW}")
    return secret


def open_to_others(path: Path) -> bool:
    """Whether other users of the machine may read the secret."""
    return os.name == "posix" and bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def seed_of(secret: bytes, student: str, exercise: str) -> int:
    """The seed of a student's inputs for an exercise: HMAC-SHA256 of both names.

    Examples
    --------
    >>> seed_of(b"known to nobody!", "ada", "mixtures") == seed_of(b"known to nobody!", "ada", "mixtures")
    True
    >>> seed_of(b"known to nobody!", "ada", "mixtures") == seed_of(b"known to nobody!", "bob", "mixtures")
    False
    """
    # The lengths keep "ab" + "c" and "a" + "bc" apart.
    name = student.encode("utf-8", "surrogatepass")
    message = f"{len(name)}:".encode() + name + exercise.encode()
    return int.from_bytes(hmac.digest(secret, message, "sha256")[:8])


def fingerprint(secret: bytes) -> str:
    """Tells two secrets apart without telling either."""
    return hmac.new(secret, b"which secret this is", hashlib.sha256).hexdigest()[:16]
