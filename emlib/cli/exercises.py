"""``emlib exercises``: list them, begin a new one, make notebooks and solution pages out of them."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..course import load, projects, topics

HELP = "list exercises and projects, begin a new one, or make their notebooks"
EXAMPLE = "emlib exercises build mixtures --out my_course"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The three things it can do."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="say which exercises there are, with their points")
    listed.add_argument(
        "exercises", nargs="*", metavar="EXERCISE", help="topics, projects, or .py files of your own; default: all"
    )
    new = actions.add_parser("new", help="begin an exercise of your own: a module that works, to be filled in")
    new.add_argument("topic", help="its name, such as kalman")
    new.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="where TOPIC.py goes; default: here")
    build = actions.add_parser("build", help="make the notebook and the solution page of each exercise")
    build.add_argument(
        "exercises",
        nargs="*",
        metavar="EXERCISE",
        help="topics, projects, or your own .py files; default: all topics",
    )
    build.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="where they go; default: here")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    if options.action == "new":
        return _new(options.topic, options.out)
    every = topics() if options.action == "build" else topics() + projects()
    exercises = [load(name) for name in options.exercises or every]
    if options.action == "build":
        from ..course.sheets import write

        for exercise in exercises:
            for path in write(exercise, options.out):
                print(f"wrote {path}")
        return 0
    for exercise in exercises:
        by_hand = f" and {exercise.by_hand} by a reader" if exercise.by_hand else ""
        print(f"{exercise.topic}: {exercise.title} ({exercise.points} points{by_hand}, {exercise.minutes} minutes)")
        for function in exercise.functions.values():
            print(f"    {function.points:2d}  {function.name}({', '.join(function.parameters)})")
    return 0


def _new(topic: str, folder: Path) -> int:
    from ..course.sheets import skeleton

    if not topic.isidentifier():
        raise ValueError(f"a topic is a name of letters, digits and underscores, such as kalman, not {topic!r}")
    path = folder / f"{topic}.py"
    folder.mkdir(parents=True, exist_ok=True)
    with open(path, "x", encoding="utf-8") as file:  # never over an exercise that exists
        file.write(skeleton(topic))
    print(f"wrote {path}; fill it in, then: emlib exercises build {path}")
    return 0
