"""Grading on Gradescope: what its autograder is made of, and what it runs.

Gradescope unpacks the zip file in ``/autograder/source``, runs ``setup.sh`` once, and ``run_autograder`` for each
submission; that calls `main` here, which reads ``submission`` and writes ``results/results.json`` in ``/autograder``.
The notebook runs in a sandbox there too. Where the machine has none, nothing is graded, unless the zip file was made
with ``--sandbox unsafe``: then a submission can read the secret and write its own marks.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import io
import json
import re
import stat
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .. import __version__
from .classroom import place_of
from .feedback import reasons_for
from .gradebook import StudentMark, marks_of
from .handed_in import collect
from .mark import Job, Opening, Task, chosen, exercise, grade, record
from .notebooks import BadNotebook
from .openings import close_all, locked_in
from .policy import Policy
from .record import Record, write_whole
from .sandbox import Limits, NoSandbox
from .secret import read_secret
from .student_view import CheckSeen, ExerciseSeen, FunctionSeen, see
from .wording import one_line

HOME = Path("/autograder")
SETUP = """\
#!/usr/bin/env bash
# Run once by Gradescope. Choose the base image Ubuntu 24.04: the course needs Python 3.11 or newer.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends python3 python3-venv bubblewrap
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "This image has $(python3 --version); choose Ubuntu 24.04 in the settings of the autograder." >&2; exit 1; }
python3 -m venv /autograder/venv
/autograder/venv/bin/pip install -q -r /autograder/source/requirements.txt
chmod 600 /autograder/source/course.secret
"""
RUN = """\
#!/usr/bin/env bash
# Run by Gradescope for each submission.
set -euo pipefail
cd /autograder
PYTHONPATH=/autograder/source exec /autograder/venv/bin/python -m emlib.grading.gradescope
"""
NEEDED = ("numpy", "scipy", "scikit-learn", "threadpoolctl", "tqdm", "matplotlib", "jinja2")


# ---------------------------------------------------------------- the zip file
def write_zip(
    path: Path,
    exercises: tuple[str, ...],
    secret_file: Path | None,
    sandbox: str = "auto",
    limits: Limits | None = None,
) -> None:
    """Make the zip file of an autograder.

    Parameters
    ----------
    path : Path
        Where it goes.
    exercises : tuple of str
        Topics, or paths of modules, which are put into it.
    secret_file : Path
        Of the course; it is put into it, so the zip file is as secret as that.
    sandbox : str
        As for ``emlib grade``.
    limits : Limits, optional
        What a notebook may use.

    Raises
    ------
    ValueError
        If an exercise or the secret is not there.
    """
    secret = read_secret(secret_file)
    names, own = [], {}
    for name in exercises:
        topic = exercise(name).topic
        if name.endswith(".py"):
            own[f"exercises/{topic}.py"] = Path(name).read_bytes()
            name = f"/autograder/source/exercises/{topic}.py"
        names.append(name)
    config = {"exercises": names, "sandbox": sandbox, "limits": dataclasses.asdict(limits or Limits())}
    files: dict[str, bytes] = {
        "setup.sh": SETUP.encode(),
        "run_autograder": RUN.encode(),
        "requirements.txt": "".join(f"{pin}\n" for pin in _pins()).encode(),
        "config.json": (json.dumps(config, indent=1) + "\n").encode(),
        "course.secret": secret + b"\n",
        **own,
        **dict(_package()),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))  # the same content is the same file
            mode = 0o755 if name in ("setup.sh", "run_autograder") else 0o644
            entry.external_attr = (stat.S_IFREG | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    write_whole(path, buffer.getvalue())


def _package() -> Iterator[tuple[str, bytes]]:
    """The files of emlib, as they are here."""
    top = Path(__file__).resolve().parents[1]
    for path in sorted(top.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".pyc", ".so"):
            yield f"emlib/{path.relative_to(top).as_posix()}", path.read_bytes()


def _pins() -> list[str]:
    """What it needs, in the versions that are here, so that the same notebook has the same marks there."""
    return [f"{name}=={importlib.metadata.version(name)}" for name in NEEDED]


# ---------------------------------------------------------------- on Gradescope
def main(home: Path = HOME, opening: Opening = locked_in) -> int:
    """Grade the submission that is there; what goes wrong is said to the instructor, on the standard output."""
    source = home / "source"
    config = json.loads((source / "config.json").read_text())
    secret = read_secret(source / "course.secret")
    try:
        sandbox = chosen(config["sandbox"]) if opening is locked_in else config["sandbox"]
    except NoSandbox as error:
        print(f"Nothing was graded: {error}")
        return 1
    kinds: dict[str, Callable[[Any], Any]] = {one.name: type(one.default) for one in dataclasses.fields(Limits)}
    limits = Limits(**{name: kinds[name](value) for name, value in config["limits"].items()})
    task = Task(tuple(config["exercises"]), sandbox, limits, secret, opening)
    started = time.perf_counter()
    try:
        results = autograded(home / "submission", task, _people(home / "submission_metadata.json"))
    finally:
        close_all()
    results["execution_time"] = round(time.perf_counter() - started, 1)
    write_whole(home / "results" / "results.json", json.dumps(results, indent=1) + "\n")
    return 0


def autograded(folder: Path, task: Task, student: str) -> dict[str, Any]:
    """The content of ``results.json`` for what lies in `folder`."""
    exercises = [exercise(name) for name in task.exercises]
    try:
        notebooks = collect(folder, [one.topic for one in exercises]).notebooks
    except ValueError:
        return {
            "score": 0,
            "output": "There is no notebook (a file that ends in .ipynb) in what you handed in.",
            "tests": [],
        }
    records: list[Record] = []
    for notebook in notebooks:
        job = Job(b"", student, student, notebook.file)
        try:
            records.append(grade(dataclasses.replace(job, raw=notebook.read()), task))
        except BadNotebook as error:
            records.append(record(job, task, "unreadable", str(error)))
    mark = marks_of(records, exercises, Policy(), None, sandbox=task.sandbox).students[0]
    return results_json(mark, records, see(mark, {place_of(Path(), one).name: one for one in records}, exercises))


def results_json(mark: StudentMark, records: list[Record], seen: list[ExerciseSeen]) -> dict[str, Any]:
    """A student's marks and feedback as Gradescope's ``results.json``; all text is plain text.

    The format is that of https://gradescope-autograders.readthedocs.io/en/latest/specs/.
    """
    said = reasons_for(mark, records)
    said += [cell for one in seen for cell in one.cells]
    tests = [_test(function, check) for one in seen for function in one.functions for check in function.checks]
    tests += [
        {
            "name": one.title,
            "score": 0,
            "max_score": one.mark.points - sum(each.points for each in one.mark.by_hand),
            "output": one.mark.said,
            "visibility": "visible",
        }
        for one in seen
        if not one.functions
    ]
    return {
        "score": mark.counted,
        "output": "\n".join(said),
        "output_format": "text",
        "stdout_visibility": "hidden",
        "visibility": "visible",
        "tests": tests,
        "extra_data": {"emlib": __version__},
    }


def _test(function: FunctionSeen, check: CheckSeen) -> dict[str, Any]:
    lines = []
    if not check.passed:
        lines.append(function.unwritten or check.problem)
        lines += [f"A known slip: {why}" for why in function.why]
    return {
        "name": f"{function.name}: {check.title}",
        "score": check.earned,
        "max_score": check.points,
        "status": "passed" if check.passed else "failed",
        "output": "\n".join(one_line(line) for line in lines),
        "output_format": "text",
        "visibility": "visible",
    }


def _people(path: Path) -> str:
    """Who handed in, as the seeds know them: the address, those of a group together."""
    try:
        users = json.loads(path.read_text(encoding="utf-8"))["users"]
        people = sorted(str(user["email"]).casefold() for user in users)
    except (OSError, ValueError, KeyError, TypeError):
        people = []
    return "+".join(re.sub(r"\s", "", person) for person in people) or "somebody"


if __name__ == "__main__":
    sys.exit(main())
