"""``emlib gradescope-zip``: the autograder for Gradescope."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..course import topics
from .grade import SANDBOXES

HELP = "make the zip file of a Gradescope autograder"
EXAMPLE = "emlib gradescope-zip --exercises mixtures --secret-file course.secret --out autograder.zip"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What goes into it."""
    parser.add_argument(
        "--exercises",
        nargs="+",
        default=(),
        metavar="EXERCISE",
        help="topics, or .py files of your own; default: all topics",
    )
    parser.add_argument(
        "--secret-file", type=Path, metavar="FILE", help="the secret with which hidden inputs are drawn"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("autograder.zip"), metavar="ZIP", help="default: autograder.zip"
    )
    parser.add_argument(
        "--sandbox", choices=SANDBOXES, default="auto", help="default: the strongest there is, or none at all"
    )
    parser.add_argument(
        "--limits", nargs="+", default=(), metavar="NAME=VALUE", help="such as call_seconds=10 memory=2GB"
    )


def run(options: argparse.Namespace) -> int:
    """Make it."""
    from ..grading.gradescope import write_zip
    from ..grading.mark import read_limits

    exercises = tuple(options.exercises or topics())
    write_zip(options.out, exercises, options.secret_file, options.sandbox, read_limits(options.limits))
    print(f"wrote {options.out}; it contains the secret of the course, so hand it to Gradescope and to nobody else")
    print("on Gradescope, choose the base image Ubuntu 24.04")
    return 0
