"""``emlib grade``: marks, feedback and a report for a folder of notebooks, whose code runs locked in."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..grading.session import Plan, Ran, Settings

HELP = "grade a class: marks, feedback and a report for a folder or a zip file of notebooks"
EXAMPLE = "emlib grade submissions.zip --exercises mixtures --secret-file course.secret --out graded"
SANDBOXES = ("auto", "lock", "bwrap+lock", "wasi", "unsafe")
STATUS = (
    "Exit status: 0 every notebook was graded; 1 done, but something is for a person to look into (or, with --diff and "
    "--recheck-with, a mark differs); 2 nothing was graded, for the reason given; 130 stopped, and the same command "
    "goes on."
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Many, of which three are needed."""
    parser.epilog = f"example: {EXAMPLE}. {STATUS}"
    parser.add_argument(
        "submissions", nargs="?", type=Path, help="a folder or a zip file of notebooks, or one notebook"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where results go; a run that was stopped goes on there"
    )
    parser.add_argument(
        "--secret-file", type=Path, metavar="FILE", help="the secret with which hidden inputs are drawn"
    )
    parser.add_argument(
        "--exercises",
        nargs="+",
        default=(),
        metavar="EXERCISE",
        help="topics, projects, or .py files of your own; default: all topics, no project",
    )
    parser.add_argument(
        "--roster", type=Path, metavar="CSV", help="who is in the course; a gradebook of Canvas will do"
    )
    parser.add_argument("--policy", type=Path, metavar="TOML", help="due dates, lateness, attempts")
    parser.add_argument("--assignment", default="", metavar="NAME", help="heading of the marks in canvas.csv")
    parser.add_argument("--jobs", type=int, default=0, metavar="N", help="processes; default: one for each processor")
    parser.add_argument(
        "--limits", nargs="+", default=(), metavar="NAME=VALUE", help="such as call_seconds=10 memory=2GB"
    )
    parser.add_argument(
        "--sandbox", choices=SANDBOXES, default="auto", help="default: the strongest there is, or none at all"
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a Dask cluster that does the work, such as tcp://host:8786"
    )
    parser.add_argument(
        "--recheck-with",
        nargs="+",
        default=(),
        metavar="WHAT",
        help="grade again, into DIR/recheck, with another sandbox or with other exercises (.py), and compare",
    )
    parser.add_argument(
        "--diff", nargs=2, type=Path, metavar=("OLD", "NEW"), help="compare two folders of results, and stop"
    )
    parser.add_argument("--new-secret", type=Path, metavar="FILE", help="make a secret, and stop")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    if options.new_secret:
        from ..grading.secret import new_secret

        new_secret(options.new_secret)
        print(f"wrote {options.new_secret}; keep it in a backup, and out of every repository")
        return 0
    if options.diff:
        return _diff(*options.diff)
    for name in ("submissions", "out"):
        if getattr(options, name) is None:
            what = "a folder or a zip file of notebooks" if name == "submissions" else "--out DIR"
            raise ValueError(f"{what} is missing; for example: {EXAMPLE}")
    if options.jobs < 0:
        raise ValueError(f"--jobs is a number of processes, not {options.jobs}")
    settings = _settings(options)
    status = _grade(settings)
    if options.recheck_with:
        again = _again(settings, options.recheck_with)
        print(f"\nOnce more, with {' '.join(options.recheck_with)}:")
        _grade(again)
        return _diff(settings.out, again.out)
    return status


def _settings(options: argparse.Namespace) -> Settings:
    from ..grading.mark import read_limits
    from ..grading.session import Settings

    return Settings(
        options.submissions,
        options.out,
        tuple(options.exercises),
        options.roster,
        options.policy,
        options.secret_file,
        options.jobs,
        read_limits(options.limits),
        options.sandbox,
        options.scheduler,
        options.assignment,
    )


def _again(settings: Settings, words: list[str]) -> Settings:
    """The same with another sandbox, or with other exercises of the same topics."""
    from ..course import load

    sandboxes = [word for word in words if word in SANDBOXES]
    others = {load(word).topic: word for word in words if word not in SANDBOXES}
    if len(sandboxes) > 1:
        raise ValueError(f"--recheck-with takes one sandbox, not {' and '.join(sandboxes)}")
    asked = {load(name).topic: name for name in settings.exercises} if settings.exercises else {}
    odd = set(others) - set(asked) if asked else set()
    if odd:
        raise ValueError(f"--recheck-with {others[min(odd)]} is the exercise {min(odd)!r}, which was not graded")
    return dataclasses.replace(
        settings,
        out=settings.out / "recheck",
        sandbox=sandboxes[0] if sandboxes else settings.sandbox,
        exercises=tuple({**asked, **others}.values()) or settings.exercises,
    )


def _grade(settings: Settings) -> int:
    from ..grading.session import plan, run

    made = plan(settings)
    for warning in made.warnings:
        print(f"emlib grade: {warning}", file=sys.stderr)
    done = 0

    from tqdm import tqdm

    with tqdm(total=made.n, unit="notebook", disable=None, file=sys.stderr) as bar:

        def tick(record: object) -> None:
            nonlocal done
            done += 1
            bar.update()

        try:
            ran = run(made, tick)
        except KeyboardInterrupt:
            bar.close()
            print(f"emlib grade: stopped; {done} of {made.n} results are in {settings.out}", file=sys.stderr)
            print("emlib grade: the same command goes on from there", file=sys.stderr)
            return 130
    _report(made, ran)
    return int(ran.needs_a_look)


def _report(made: Plan, ran: Ran) -> None:
    """What happened, in a screenful."""
    from ..grading.wording import one_line

    marks = ran.marks
    graded = sum(record.status == "graded" for record in ran.records)
    known = f" ({ran.n_known} by an earlier run)" if ran.n_known else ""
    print(f"{graded} of {len(ran.records)} notebooks graded{known}, sandbox {marks.sandbox}")
    absent = [one for one in marks.students if not one.handed_in]
    if absent:
        print(f"no submission: {len(absent)} of {len(marks.students)}: {_some([one.name for one in absent])}")
    unknown = [one.student for one in marks.students if not one.known]
    if unknown:
        print(f"not on the roster: {_some(unknown)}")
    said = [f"{one.name or one.student}: {why}" for one in marks.students if one.handed_in for why in one.reasons]
    said += [
        f"{one.name or one.student}: {why}" for one in marks.students for why in one.doubts if why not in one.reasons
    ]
    said += list(marks.refused)
    for line in said[:20]:
        print(f"  look: {one_line(line)}")
    if len(said) > 20:
        print(f"  look: {len(said) - 20} more in {made.settings.out / 'class.html'}")
    if ran.n_pairs:
        print(f"{ran.n_pairs} pairs of submissions are alike; that is no mark, see similarity.html")
    if marks.sandbox == "unsafe":
        print("the notebooks ran unlocked, with your rights: they could read and change whatever you can")
    if ran.n_waiting:
        one = ran.n_waiting == 1
        print(
            f"{ran.n_waiting} report{'' if one else 's'} wait{'s' if one else ''} for a reader: enter points in "
            f"{made.settings.out / 'rubric.csv'}, then run the same command again"
        )
    if ran.n_removed:
        print(f"removed {ran.n_removed} page{'s' * (ran.n_removed > 1)} of an earlier run from feedback/")
    print(f"wrote grades.csv, feedback/, class.html and more to {made.settings.out}")


def _diff(old: Path, new: Path) -> int:
    from ..grading.changes import changes

    found = changes(old, new)
    for change in found:
        print(change)
    moved = sum(change.before != change.after for change in found)
    print("1 mark differs" if moved == 1 else f"{moved or 'no'} marks differ")
    return int(moved > 0)


def _some(names: list[str]) -> str:
    from ..grading.wording import one_line

    shown = ", ".join(one_line(name, 60) for name in names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown
