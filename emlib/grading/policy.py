"""The rules of a course about time, attempts and choice, in a small TOML file.

Everything in it is optional; without a file nothing is ever late, the best attempt counts and every exercise is asked.

::

    [due]                                   # when each exercise is due; "all" for those not named
    mixtures = 2026-11-20T23:59:00+01:00    # with an offset, so that no computer reads it otherwise
    all = 2026-12-18T23:59:00+01:00
    grace_minutes = 15                      # later than that is late (default 0)

    [late]
    percent_per_day = 10                    # of the points earned, for each day begun
    at_most_percent = 50                    # never more than that (default 100)
    closed_after_days = 7                   # nothing counts after that (default: never)

    [attempts]
    count = "best"                          # or "last", "first"
    at_most = 3                             # those after are not looked at (default: no limit)

    [choice]                                # of these, the one that earns most counts, and no other
    project = ["phase_a_region", "motif_in_peaks", "blood_cells"]

    [extensions]                            # days more, by id: the first column of grades.csv
    ada = 7
    "bob@x.edu" = 7
"""

from __future__ import annotations

import datetime
import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Count = Literal["best", "last", "first"]
OLDEST = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
SKEW = datetime.timedelta(days=1)  # clocks of other machines may be wrong by so much before anybody is told
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Lateness:
    """What the time of a submission costs.

    Attributes
    ----------
    percent : float
        Of the points earned.
    said : str
        Why, in a sentence; empty if it was in time.
    doubt : str
        What an instructor should look into, in a sentence; empty if nothing.
    """

    percent: float = 0.0
    said: str = ""
    doubt: str = ""


@dataclass(frozen=True)
class Policy:
    """The rules; the fields are those of the file (see the module)."""

    due: Mapping[str, datetime.datetime] = field(default_factory=dict)
    grace: datetime.timedelta = datetime.timedelta()
    percent_per_day: float = 0.0
    at_most_percent: float = 100.0
    closed_after_days: float = math.inf
    count: Count = "best"
    most_attempts: int = 10**9
    extensions: Mapping[str, float] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def due_for(self, topic: str, student: str) -> datetime.datetime | None:
        """When an exercise is due for a student."""
        due = self.due.get(topic, self.due.get("all"))
        return due and due + DAY * self.extensions.get(student, 0.0)

    def lateness(
        self,
        topic: str,
        student: str,
        handed_in: datetime.datetime | None,
        said_late: bool,
        now: datetime.datetime | None = None,
    ) -> Lateness:
        """What handing in at this time costs.

        Examples
        --------
        >>> due = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)
        >>> policy = Policy(due={"all": due}, percent_per_day=10)
        >>> policy.lateness("mixtures", "ada", due + 1.5 * DAY, False)
        Lateness(percent=20.0, said='2 days late: 20 % less', doubt='')
        """
        due = self.due_for(topic, student)
        if due is None:
            return Lateness()
        now = now or datetime.datetime.now(datetime.UTC)
        if handed_in is not None and not OLDEST < handed_in < now + SKEW:
            doubt = f"its time, {handed_in:%Y-%m-%d %H:%M}, cannot be right, so nothing was taken off for lateness"
            return Lateness(doubt=doubt)
        extended = said_late and student in self.extensions
        if handed_in is None or (said_late and not extended and handed_in <= due + self.grace):
            if not said_late:
                return Lateness(doubt="nobody says when it was handed in, so nothing was taken off for lateness")
            doubt = "the platform calls it late but does not say by how much: it was counted as one day"
            return self._after(1, doubt)
        late = handed_in - due
        return Lateness() if late <= self.grace else self._after(max(1, math.ceil(late / DAY)), "")

    def _after(self, days: int, doubt: str) -> Lateness:
        by = f"{days} day{'s' if days > 1 else ''} late"
        if days > self.closed_after_days:
            return Lateness(100.0, f"{by}, and nothing is taken after {self.closed_after_days:g}", doubt)
        percent = min(float(days * self.percent_per_day), self.at_most_percent)
        return Lateness(percent, f"{by}: {percent:g} % less", doubt)


def read_policy(path: Path | None) -> Policy:
    """The rules in a file; those that take nothing off if there is no file.

    Raises
    ------
    ValueError
        If something in it is not as it should be; the sentence names it.
    """
    if path is None:
        return Policy()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"there is no policy {path}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    try:
        return _policy(raw)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _policy(raw: dict[str, Any]) -> Policy:
    _known(raw, ("due", "late", "attempts", "extensions", "choice"), "a table")
    for name, table in raw.items():
        if not isinstance(table, dict):
            raise ValueError(f"{name} should be a table, [{name}], not {table!r}")
    due, late, attempts = (dict(raw.get(name, {})) for name in ("due", "late", "attempts"))
    grace = _number(due.pop("grace_minutes", 0), "due.grace_minutes")
    _known(late, ("percent_per_day", "at_most_percent", "closed_after_days"), "an entry of [late]")
    _known(attempts, ("count", "at_most"), "an entry of [attempts]")
    count, most = attempts.get("count", "best"), attempts.get("at_most", 10**9)
    if count not in ("best", "last", "first"):
        raise ValueError(f'attempts.count should be "best", "last" or "first", not {count!r}')
    if type(most) is not int or most < 1:
        raise ValueError(f"attempts.at_most should be a whole number from 1, not {most!r}")
    return Policy(
        {topic: _moment(value, f"due.{topic}") for topic, value in due.items()},
        datetime.timedelta(minutes=grace),
        _number(late.get("percent_per_day", 0), "late.percent_per_day", 100),
        _number(late.get("at_most_percent", 100), "late.at_most_percent", 100),
        _number(late.get("closed_after_days", math.inf), "late.closed_after_days"),
        count,
        most,
        {who: _number(days, f"extensions.{who}") for who, days in raw.get("extensions", {}).items()},
        _choices(raw.get("choice", {})),
    )


def _choices(table: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    for name, topics in table.items():
        if not (isinstance(topics, list) and len(topics) > 1 and all(isinstance(one, str) for one in topics)):
            raise ValueError(f"choice.{name} should be a list of two or more exercises, not {topics!r}")
    every = [topic for topics in table.values() for topic in topics]
    twice = [topic for topic in every if every.count(topic) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} stands twice under [choice]")
    return {name: tuple(topics) for name, topics in table.items()}


def _known(table: dict[str, Any], names: tuple[str, ...], what: str) -> None:
    for name in table:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            raise ValueError(f"{name!r} is not {what}{f': did you mean {near[0]!r}?' if near else ''}")


def _number(value: Any, name: str, most: float = math.inf) -> float:
    if type(value) not in (int, float) or not 0 <= value <= most:
        to = f" to {most:g}" if most < math.inf else ""
        raise ValueError(f"{name} should be a number from 0{to}, not {value!r}")
    return float(value)


def _moment(value: Any, name: str) -> datetime.datetime:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value
    if isinstance(value, datetime.datetime):
        raise ValueError(f"{name} should say its offset from UTC, as in {value.isoformat()}+01:00")
    raise ValueError(f"{name} should be a date and a time, as in 2026-11-20T23:59:00+01:00, not {value!r}")
