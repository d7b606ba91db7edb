"""A run of ``emlib grade``: everything is looked at before anything is written, and written as soon as it is known."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..course import topics
from ..course.contract import Exercise
from .class_report import write_class_report
from .classroom import Crew, grade_all, place_of
from .feedback import sweep, write_feedback
from .gradebook import Marks, StudentMark, marks_of, write_marks
from .handed_in import HandedIn, collect
from .mark import Job, Opening, Task, chosen, exercise, record
from .notebooks import BadNotebook
from .openings import locked_in
from .policy import Policy, read_policy
from .record import Record
from .roster import Roster, read_roster
from .rubric import FILE, Rubric, read_rubric
from .sandbox import Limits, NoSandbox
from .secret import open_to_others, read_secret
from .similarity_report import write_similarity
from .tables import write_canvas, write_grades, write_log, write_rubric
from .wording import one_line

WRITTEN = ("grades.csv", "feedback", "class.html", "similarity.html", "marks.json", "log.jsonl", "results")


@dataclass(frozen=True)
class Settings:
    """What was asked for; the names are those of the options of the command."""

    submissions: Path
    out: Path
    exercises: tuple[str, ...] = ()
    roster: Path | None = None
    policy: Path | None = None
    secret_file: Path | None = None
    jobs: int = 0
    limits: Limits = field(default_factory=Limits)
    sandbox: str = "auto"
    scheduler: str | None = None
    assignment: str = ""
    opening: Opening = locked_in


@dataclass(frozen=True)
class Ran:
    """What came of it.

    Attributes
    ----------
    marks : Marks
        Of the class.
    records : list of Record
        One for each notebook.
    n_known : int
        How many of them had been graded by an earlier run.
    n_pairs : int
        How many pairs of submissions are alike.
    warnings : list of str
        What the instructor should know, beyond the doubts of `marks`.
    n_removed : int
        How many pages of earlier runs are gone from ``feedback``.
    """

    marks: Marks
    records: list[Record]
    n_known: int
    n_pairs: int
    warnings: list[str]
    n_removed: int = 0

    @property
    def without_mark(self) -> list[StudentMark]:
        """Those who handed something in of which nothing could be graded."""
        return [one for one in self.marks.students if one.ungraded]

    @property
    def n_waiting(self) -> int:
        """How many reports a person still has to judge."""
        return self.marks.n_waiting

    @property
    def needs_a_look(self) -> bool:
        """Whether something is to be done by a person."""
        return bool(
            self.n_waiting
            or self.marks.refused
            or any(one.doubts or (one.handed_in and one.reasons) for one in self.marks.students)
        )


@dataclass(frozen=True)
class Plan:
    """Everything that a run needs, read and found good."""

    settings: Settings
    task: Task
    policy: Policy
    roster: Roster | None
    handed_in: HandedIn
    warnings: list[str]
    rubric: Rubric = field(default_factory=Rubric)

    @property
    def n(self) -> int:
        """How many notebooks there are."""
        return len(self.handed_in.notebooks)


def plan(settings: Settings) -> Plan:
    """Look at everything that was named; write nothing.

    Raises
    ------
    ValueError
        If something is not as it should be, in a sentence.
    """
    names = settings.exercises or topics()
    exercises = [exercise(name) for name in names]
    twice = {one.topic for one in exercises if [other.topic for other in exercises].count(one.topic) > 1}
    if twice:
        raise ValueError(f"exercise {min(twice)!r} was named twice")
    for one in exercises:
        for function in one.functions.values():
            function.inputs(0)  # an exercise that is not whole says so now
    policy = read_policy(settings.policy)
    roster = read_roster(settings.roster) if settings.roster else None
    secret = read_secret(settings.secret_file)
    handed_in = collect(settings.submissions, [one.topic for one in exercises])
    if settings.out.exists() and not settings.out.is_dir():
        raise ValueError(f"{settings.out} is a file; --out names a folder")
    warnings = []
    if settings.secret_file and open_to_others(settings.secret_file):
        warnings.append(
            f"{settings.secret_file} can be read by others on this machine: chmod 600 {settings.secret_file}"
        )
    unknown = sorted(set(policy.due) - {"all"} - {one.topic for one in exercises})
    if unknown:
        warnings.append(f"{settings.policy} says when {', '.join(unknown)} is due, which is not graded now")
    warnings += _choices(settings.policy, policy, exercises)
    strangers = sorted(set(policy.extensions) - {one.id for one in roster.students}) if roster else []
    if strangers:
        warnings.append(f"{settings.policy} extends the time of {one_line(', '.join(strangers))}, not on the roster")
    task = Task(tuple(names), settings.sandbox, settings.limits, secret, settings.opening)
    rubric = read_rubric(settings.out / FILE, exercises)
    return Plan(settings, task, policy, roster, handed_in, warnings, rubric)


def _choices(path: Path | None, policy: Policy, exercises: list[Exercise]) -> list[str]:
    """What is odd about the choices that students have; those of other worth would make a mark a matter of taste."""
    worth = {one.topic: one.out_of for one in exercises}
    for name, some in policy.choices.items():
        points = {topic: worth[topic] for topic in some if topic in worth}
        if len(set(points.values())) > 1:
            said = ", ".join(f"{topic} {n}" for topic, n in points.items())
            raise ValueError(f"{path}: what one can choose should be worth the same; choice.{name} has {said} points")
    unknown = sorted({topic for some in policy.choices.values() for topic in some} - set(worth))
    return [f"{path} lets students choose {', '.join(unknown)}, which is not graded now"] if unknown else []


def run(plan: Plan, tick: Callable[[Record], None] | None = None) -> Ran:
    """Grade, and write everything that is made of it.

    Raises
    ------
    ValueError
        If there is no sandbox; nothing is written then.
    """
    settings, out = plan.settings, plan.settings.out
    with crew_of(settings) as crew:
        task = dataclasses.replace(plan.task, sandbox=_sandbox(settings, crew))
        results = out / "results"
        before = {path.name for path in results.glob("*.json")} if results.is_dir() else set()
        records = grade_all(_jobs(plan, task), task, results, crew, tick)
        exercises = [exercise(name) for name in task.exercises]
        refused = [f"{name}: {reason}" for name, reason in plan.handed_in.refused]
        marks = marks_of(
            records,
            exercises,
            plan.policy,
            plan.roster,
            refused=refused,
            sandbox=task.sandbox,
            rubric=plan.rubric,
        )
        by_file = {place_of(Path(), one).name: one for one in records}
        write_marks(marks, out / "marks.json")
        write_grades(marks, out / "grades.csv")
        if any(one.rubric for one in exercises):
            write_rubric(marks, exercises, out / FILE)
        write_log(marks, records, out / "log.jsonl")
        pages = write_feedback(marks, by_file, exercises, out / "feedback")
        removed = sweep(out / "feedback", pages.values())
        write_class_report(marks, by_file, exercises, out / "class.html")
        if plan.roster is not None and plan.roster.is_canvas:
            title = settings.assignment or f"emlib {', '.join(marks.topics)}"
            write_canvas(marks, plan.roster, title, out / "canvas.csv")
        raws = _raws(plan, records)
        pairs = write_similarity(marks, raws, exercises, crew, out / "similarity.html")
    n_known = sum(one.status == "graded" and place_of(Path(), one).name in before for one in records)
    return Ran(marks, records, n_known, len(pairs), plan.warnings, len(removed))


@contextlib.contextmanager
def crew_of(settings: Settings) -> Iterator[Crew]:
    """Processes of this machine, or a cluster."""
    n = settings.jobs or len(
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    if settings.scheduler is None:
        yield Crew(n)
        return
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("--scheduler takes Dask: pip install 'emlib[distributed]'") from None
    try:
        client = Client(settings.scheduler, timeout="10s")
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"there is no Dask scheduler at {settings.scheduler}: {one_line(str(error))}") from None
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise ValueError(f"the Dask scheduler at {settings.scheduler} has no workers")
        yield Crew(threads, client.get_executor(retries=2))


def _sandbox(settings: Settings, crew: Crew) -> str:
    """The sandbox to use, as the machine that will run it says."""
    if settings.opening is not locked_in:
        return settings.sandbox
    try:
        return crew.executor.submit(chosen, settings.sandbox).result() if crew.executor else chosen(settings.sandbox)
    except NoSandbox as error:
        raise ValueError(str(error)) from None


def _jobs(plan: Plan, task: Task) -> Iterator[Job | Record]:
    """The notebooks, each read when its turn comes; one that cannot be read is a result already."""
    for notebook in plan.handed_in.notebooks:
        found = plan.roster.find(notebook.who) if plan.roster else None
        job = Job(
            b"",
            found.id if found else one_line(notebook.who.student, 200),
            found.name if found else one_line(notebook.who.name, 200),
            notebook.file,
            notebook.who.attempt,
            notebook.handed_in.isoformat(timespec="seconds") if notebook.handed_in else None,
            notebook.who.late,
        )
        try:
            yield dataclasses.replace(job, raw=notebook.read())
        except BadNotebook as error:
            # Two files of a student that cannot be read are two results.
            own = dataclasses.replace(job, raw=hashlib.sha256(notebook.file.encode("utf-8", "replace")).digest())
            yield record(own, task, "unreadable", str(error))


def _raws(plan: Plan, records: Sequence[Record]) -> dict[str, Callable[[], bytes]]:
    """By the name of a result, what reads its notebook."""
    pairs = zip(plan.handed_in.notebooks, records, strict=True)
    return {place_of(Path(), one).name: notebook.read for notebook, one in pairs}
