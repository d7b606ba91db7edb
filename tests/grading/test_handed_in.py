"""Folders and zip files of strangers: every notebook is found and has an owner, and nothing leads out."""

import datetime
import os
import stat
import struct
import zipfile

import pytest

from emlib.grading.handed_in import collect
from emlib.grading.names import who
from emlib.grading.notebooks import MOST_BYTES, BadNotebook
from emlib.grading.roster import read_roster
from tests.grading.stand_in import sheet

RAW = sheet("x = 1")


@pytest.mark.parametrize(
    ("path", "student", "attempt", "late"),
    [
        ("ada.ipynb", "ada", 0, False),
        ("ada_mixtures.ipynb", "ada", 0, False),
        ("Mixtures - Ada Lovelace.ipynb", "Ada Lovelace", 0, False),
        ("ada/mixtures.ipynb", "ada", 0, False),
        ("ada/deeper/still/anything.ipynb", "ada", 0, False),
        ("lovelaceada_4711_98765_mixtures.ipynb", "4711", 1, False),
        ("lovelaceada_LATE_4711_98765_mixtures-3.ipynb", "4711", 4, True),
        ("Ada Lovelace_4711_assignsubmission_file/mixtures.ipynb", "4711", 0, False),
        ("Ada Lovelace_4711_assignsubmission_file_/mixtures.ipynb", "4711", 0, False),
        ("Ada Lovelace_4711_assignsubmission_file_mixtures.ipynb", "4711", 0, False),
        ("submission_4711/mixtures.ipynb", "submission_4711", 0, False),
        ("bob/submission_4711/mixtures.ipynb", "bob", 0, False),  # what is below was named by bob
        ("bob/lovelaceada_4711_98765_mixtures.ipynb", "bob", 0, False),
        ("bob/Ada_4711_assignsubmission_file/mixtures.ipynb", "bob", 0, False),
    ],
)
def test_names(path, student, attempt, late):
    found = who(path.split("/"), ["mixtures"])
    assert (found.student, found.attempt, found.late) == (student, attempt, late)


def test_repositories_of_github_classroom_are_known_by_their_last_part():
    assert who(["homework-1-mary-ann", "x.ipynb"]).keys == ("homework-1-mary-ann", "1-mary-ann", "mary-ann", "ann")


def test_a_folder(tmp_path):
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "mixtures.ipynb").write_bytes(RAW)
    (tmp_path / "bob.ipynb").write_bytes(RAW)
    (tmp_path / "notes.txt").write_text("no")
    (tmp_path / ".hidden.ipynb").write_text("no")
    (tmp_path / "ada" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "ada" / ".ipynb_checkpoints" / "mixtures-checkpoint.ipynb").write_bytes(RAW)
    (tmp_path / "link.ipynb").symlink_to("/etc/passwd")
    (tmp_path / "linked").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe.ipynb")
    found = collect(tmp_path)
    assert [one.who.student for one in found.notebooks] == ["ada", "bob"]
    assert dict(found.refused) == {"link.ipynb": "it is a link to another file", "pipe.ipynb": "it is not a file"}
    assert found.ignored == 2
    assert found.notebooks[0].read() == RAW


def test_a_link_that_was_put_there_later_is_not_followed(tmp_path):
    path = tmp_path / "ada.ipynb"
    path.write_bytes(RAW)
    [notebook] = collect(tmp_path).notebooks
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(BadNotebook, match="link"):
        notebook.read()


def zipped(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in entries:
            archive.writestr(entry, content)
    return path


def link(name):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def test_a_zip_file_and_what_it_may_not_hold(tmp_path):
    entries = [
        ("ada/mixtures.ipynb", RAW),
        ("bob/mixtures.ipynb", RAW),
        ("../../evil.ipynb", RAW),
        ("/etc/evil.ipynb", RAW),
        ("C:/evil.ipynb", RAW),
        ("a\\..\\evil.ipynb", RAW),
        (link("link.ipynb"), "/etc/passwd"),
        ("__MACOSX/ada/._mixtures.ipynb", RAW),
        ("readme.txt", "no"),
        ("bob/./mixtures.ipynb", RAW),
        ("bomb.ipynb", b" " * (MOST_BYTES + 1)),
    ]
    found = collect(zipped(tmp_path / "all.zip", entries), ["mixtures"])
    assert [one.who.student for one in found.notebooks] == ["ada", "bob"]
    assert found.notebooks[1].read() == RAW
    assert {reason for _, reason in found.refused} == {
        "its name leads out of the folder",
        "it is a link to another file",
        "there are two files of that name",
        f"it is larger than {MOST_BYTES // 2**20} MB",
    }
    assert len(found.refused) == 7
    assert list(tmp_path.iterdir()) == [tmp_path / "all.zip"]


@pytest.mark.parametrize(
    ("names", "students"),
    [
        (["sub/ada.ipynb", "sub/bob.ipynb"], ["ada", "bob"]),
        (["sub/ada/mixtures.ipynb", "sub/bob/mixtures.ipynb"], ["ada", "bob"]),
        (["ada/mixtures.ipynb"], ["ada"]),
        (["sub/ada/mixtures.ipynb"], ["ada"]),
    ],
)
def test_a_folder_around_everything_is_nobody(tmp_path, names, students):
    path = zipped(tmp_path / "all.zip", [(name, RAW) for name in names])
    assert [one.who.student for one in collect(path, ["mixtures"]).notebooks] == students


def test_a_zip_file_that_lies_about_sizes(tmp_path):
    path = zipped(tmp_path / "all.zip", [("ada.ipynb", b" " * (MOST_BYTES + 1000)), ("bob.ipynb", RAW)])
    raw = path.read_bytes()
    honest = struct.pack("<L", MOST_BYTES + 1000)
    path.write_bytes(raw.replace(honest, struct.pack("<L", 100)))
    ada, bob = collect(path).notebooks
    with pytest.raises(BadNotebook, match=r"ada\.ipynb cannot be"):
        ada.read()
    assert bob.read() == RAW


def test_a_damaged_zip_file_costs_what_is_damaged(tmp_path):
    path = zipped(tmp_path / "all.zip", [("ada.ipynb", os.urandom(5000)), ("bob.ipynb", RAW)])
    raw = bytearray(path.read_bytes())
    raw[2000] ^= 255
    path.write_bytes(raw)
    ada, bob = collect(path).notebooks
    with pytest.raises(BadNotebook):
        ada.read()
    assert bob.read() == RAW


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "contains no notebooks"),
        (lambda path: None, "there is no folder and no zip file"),
        (lambda path: path.write_bytes(b"PK\3\4 no"), "neither a folder nor a zip file"),
        (lambda path: zipped(path, [("a.txt", "")]), "contains no notebooks (*.ipynb), but 1 other files"),
    ],
)
def test_nothing_to_grade_is_one_sentence(tmp_path, make, said):
    make(tmp_path / "all.zip")
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        collect(tmp_path / "all.zip")
    assert said in str(error.value)


def test_an_export_of_gradescope(tmp_path):
    (tmp_path / "submission_11").mkdir()
    (tmp_path / "submission_11" / "mixtures.ipynb").write_bytes(RAW)
    (tmp_path / "submission_metadata.yml").write_text(
        "submission_11:\n  :submitters:\n  - :name: Ada Lovelace\n    :sid: '7'\n    :email: ada@example.org\n"
        "  :created_at: 2026-11-20 22:10:00.123456789 Z\n"
    )
    [one] = collect(tmp_path).notebooks
    assert one.who.keys == ("ada@example.org", "7", "Ada Lovelace")
    assert one.handed_in.astimezone(datetime.UTC).isoformat(timespec="seconds") == "2026-11-20T22:10:00+00:00"


# ---------------------------------------------------------------- rosters
CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section\n"
    "    Points Possible,,,,\n"
    '"Lovelace, Ada",4711,S1,ada,A\n'
    '"Hopper, Grace",4712,S2,grace,A\n'
    '"Student, Test",1,,,A\n'
)


def test_a_gradebook_of_canvas(tmp_path):
    path = tmp_path / "gradebook.csv"
    path.write_text("\ufeff" + CANVAS)
    roster = read_roster(path)
    assert [(student.id, student.name) for student in roster.students] == [
        ("ada", "Ada Lovelace"),
        ("grace", "Grace Hopper"),
    ]
    assert roster.is_canvas
    for name in ("lovelaceada_4711_98765_mixtures.ipynb", "lovelaceada_1_1_x.ipynb", "Ada Lovelace.ipynb", "ADA.ipynb"):
        assert roster.find(who([name])).id == "ada"
    assert roster.find(who(["homework-grace", "x.ipynb"])).id == "grace"
    assert roster.find(who(["eve.ipynb"])) is None


def test_a_moodle_list_with_semicolons_and_accents(tmp_path):
    path = tmp_path / "moodle.csv"
    path.write_bytes(
        "Identifier;First name;Surname;Email address\nParticipant 4711;Zoë;Ångström;zoe@example.org\n".encode("cp1252")
    )
    roster = read_roster(path)
    assert roster.students[0].id == "zoe@example.org"
    for name in ("Zoe Angstrom_4711_assignsubmission_file_x.ipynb", "zoe.ipynb", "Zoë Ångström.ipynb"):
        assert roster.find(who([name])), name


def test_a_name_that_two_have_is_nobodys(tmp_path):
    path = tmp_path / "roster.csv"
    path.write_text("id,name\n1,Ada Lovelace\n2,Ada Lovelace\n")
    roster = read_roster(path)
    assert roster.find(who(["Ada Lovelace.ipynb"])) is None
    assert roster.find(who(["2.ipynb"])).id == "2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has the columns none"),
        ("shoe size,colour\n44,red\n", "none of them identifies a student"),
        ("id,name\n", "names no students"),
        ("id\nada\nada\n", "line 3: 'ada' is in line 2 already"),
    ],
)
def test_a_roster_that_is_none(tmp_path, text, said):
    path = tmp_path / "roster.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        read_roster(path)
    assert said in str(error.value)
