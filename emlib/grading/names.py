"""Who handed in a file, as far as its name says: names of the platforms, folders of students, plain file names.

==================  ================================================================================================
Canvas              ``lovelaceada_LATE_4711_98765_mixtures-1.ipynb`` (late, user 4711, second attempt)
Moodle              ``Ada Lovelace_4711_assignsubmission_file/mixtures.ipynb``
Gradescope          ``submission_4711/mixtures.ipynb`` (``submission_metadata.yml`` beside it says who that is)
GitHub Classroom    ``mixtures-ada/mixtures.ipynb``
folders             ``ada/mixtures.ipynb``
files               ``ada.ipynb``, ``ada_mixtures.ipynb``, ``mixtures-ada.ipynb``
==================  ================================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

CANVAS = re.compile(
    r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<user>\d+)_(?P<file>\d+)_(?P<own>.*?)(?:-(?P<again>\d{1,3}))?\.ipynb",
    re.I | re.S,
)
MOODLE = re.compile(r"(?P<name>.+)_(?P<user>\d+)_assignsubmission_(?:file|onlinetext)(?:_.*)?", re.S)
GRADESCOPE = re.compile(r"submission_(?P<user>\d+)")


@dataclass(frozen=True)
class Who:
    """What a name says.

    Attributes
    ----------
    student : str
        The best name that there is without a roster.
    name : str
        For people.
    keys : tuple of str
        By which a roster may know them, the surest first.
    attempt : int
        From 1; 0 if the name does not say.
    late : bool
        Whether the platform marked it so.
    """

    student: str
    name: str
    keys: tuple[str, ...]
    attempt: int = 0
    late: bool = False


def who(parts: Sequence[str], topics: Sequence[str] = ()) -> Who:
    """Read the path of a submission, relative to the folder of all of them.

    Examples
    --------
    >>> who(["lovelaceada_LATE_4711_98765_mixtures-1.ipynb"])
    Who(student='4711', name='lovelaceada', keys=('4711', 'lovelaceada'), attempt=2, late=True)
    >>> who(["Ada Lovelace_4711_assignsubmission_file", "mixtures.ipynb"]).name
    'Ada Lovelace'
    >>> who(["ada_mixtures.ipynb"], ["mixtures"]).student
    'ada'
    """
    # Only the first part is the platform's; what is below may have been named by a student to look like another's.
    first, alone = parts[0], len(parts) == 1
    if found := MOODLE.fullmatch(first.removesuffix(".ipynb")):
        return Who(found["user"], found["name"], (found["user"], found["name"]))
    if not alone and (found := GRADESCOPE.fullmatch(first)):
        return Who(first, first, (first, found["user"]))
    if alone and (found := CANVAS.fullmatch(first)):
        attempt = int(found["again"] or 0) + 1
        return Who(found["user"], found["name"], (found["user"], found["name"]), attempt, bool(found["late"]))
    own = re.sub(r"\.ipynb$", "", first, flags=re.I) if alone else first
    bare = _without(own, topics)
    # A folder "homework-1-mary-ann" may be a repository of GitHub Classroom: the assignment, then the student.
    ends = [] if alone else [own[found.end() :] for found in re.finditer("-", own)]
    return Who(bare, bare, tuple(dict.fromkeys((own, bare, *ends))))


def _without(own: str, topics: Sequence[str]) -> str:
    """A name without the topic in front of it or behind it."""
    for topic in topics:
        for pattern in (rf"{re.escape(topic)}[-_. ]+(.+)", rf"(.+?)[-_. ]+{re.escape(topic)}"):
            if found := re.fullmatch(pattern, own, re.I | re.S):
                return found[1]
    return own
