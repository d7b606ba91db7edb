"""What the pages for instructors promise of files: what a roster may hold, and what a repository must not."""

import re
import subprocess
from pathlib import Path

import pytest

from emlib.grading import roster
from emlib.grading.policy import read_policy

ROOT = Path(__file__).resolve().parents[2]
PAGES = {name: (ROOT / f"book/appendix/{name}.md").read_text(encoding="utf-8") for name in ("instructors", "teaching")}


def section(label):
    return re.split(r"^\([\w-]+\)=$", PAGES["instructors"].partition(f"({label})=\n")[2], flags=re.MULTILINE)[0]


def test_the_page_names_every_heading_in_the_order_in_which_it_counts():
    said = re.findall(r"`([^`]+)`", section("the-roster"))
    assert said[: len(roster.IDS)] == list(roster.IDS)
    others = {*roster.NAMES, *roster.FIRST, *roster.LAST}
    assert set(said[len(roster.IDS) :]) == others | {"grades.csv", "feedback/", "rubric.csv"}


def test_the_rules_of_the_page_are_rules(tmp_path):
    (tmp_path / "rules.toml").write_text(re.search(r"```toml\n(.*?)```", section("the-rules"), re.DOTALL)[1])
    assert read_policy(tmp_path / "rules.toml").extensions == {"ada@x.edu": 7}


def test_what_documented_commands_read_and_write_is_for_no_repository():
    if subprocess.run(["git", "-C", ROOT, "rev-parse"], capture_output=True, check=False).returncode:
        pytest.skip("no git, or no checkout")
    text = " ".join(PAGES.values())
    files = set(re.findall(r"(?:--secret-file|--new-secret|--roster) ([\w.-]+)|emlib grade ([\w.-]+\.zip)", text))
    out = set(re.findall(r"--out ([\w.-]+)", text))
    names = {name for pair in files for name in pair if name}
    names |= {name if name.endswith(".zip") else f"{name}/marks.json" for name in out}
    assert {"course.secret", "submissions.zip", "graded/marks.json", "graded2/marks.json", "autograder.zip"} <= names
    told = "\n".join(sorted(names))
    words = ["git", "-C", ROOT, "check-ignore", "--stdin"]
    done = subprocess.run(words, input=told, capture_output=True, text=True, check=False)
    assert done.stdout.split() == told.split()
