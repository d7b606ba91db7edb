"""Submissions are files of strangers: cells come out, or one sentence."""

import json
import os

import pytest

from emlib.grading.notebooks import MOST_BYTES, BadNotebook, cells_of, read_cells


def notebook(*sources, **more):
    cells = [{"cell_type": "code", "source": source} for source in sources]
    return json.dumps({"nbformat": 4, "cells": cells, **more}).encode()


def test_code_cells_come_in_order_and_others_do_not():
    raw = json.dumps(
        {
            "cells": [
                {"cell_type": "markdown", "source": "# no"},
                {"cell_type": "code", "source": ["x = 1\n", "y = 2"], "outputs": [{"text": "\ud800"}]},
                {"cell_type": "code", "source": "z = 3", "id": 12},
                {"cell_type": "raw", "source": "no"},
                {"cell_type": "code"},
                "no cell",
            ]
        }
    ).encode()
    assert cells_of(raw) == ["x = 1\ny = 2", "z = 3", ""]
    assert cells_of(b"\xef\xbb\xbf" + raw) == cells_of(raw)


def test_half_a_surrogate_costs_a_character_and_not_the_notebook():
    assert cells_of(notebook("x = '\ud800'", "\U0001f600")) == ["x = '\N{REPLACEMENT CHARACTER}'", "\U0001f600"]


BAD = {
    "empty": (b"", "empty"),
    "blank": (b" \n", "empty"),
    "cut off": (notebook("x = 1")[:-9], "cut off"),
    "a zip": (b"PK\x03\x04", "not JSON"),
    "NUL": (notebook("x = 1")[:-1] + b"\x00}", "not JSON"),
    "Latin-1": ('{"cells": [], "a": "é"}'.encode("latin-1"), "not JSON"),
    "UTF-16": ('{"cells": []}'.encode("utf-16"), "not JSON"),
    "deep": (b"[" * 200_000 + b"]" * 200_000, "without end"),
    "deeper": (b"[" * 2_000_000, "more entries"),
    "a list": (b"[]", "no list of cells"),
    "a number": (b"1" * 10_000, "no list of cells"),
    "no cells": (b"{}", "no list of cells"),
    "cells of text": (b'{"cells": "x = 1"}', "no list of cells"),
    "old": (b'{"nbformat": 3, "worksheets": []}', "before 2015"),
    "source of numbers": (notebook([1, 2]), "no text"),
    "source of a dictionary": (notebook({"x": 1}), "no text"),
    "100,000 cells": (notebook(*[""] * 100_000), "100,000 cells"),
    "commas": (b'{"cells": [' + b"0," * 9_000_000 + b"0]}", "more entries"),
    "much code": (notebook("x" * 3_000_000), "characters of code"),
    "large": (b" " * (MOST_BYTES + 1), "larger than 32 MB"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_notebook_is_refused_in_a_sentence(name, tmp_path):
    raw, why = BAD[name]
    with pytest.raises(BadNotebook, match=why) as caught:
        cells_of(raw, "ada.ipynb")
    assert str(caught.value).startswith("ada.ipynb ")
    assert "\n" not in str(caught.value)
    path = tmp_path / "ada.ipynb"
    path.write_bytes(raw)
    with pytest.raises(BadNotebook, match=why):
        read_cells(path)


def test_a_notebook_is_read_from_its_file(tmp_path):
    (tmp_path / "ada.ipynb").write_bytes(notebook("x = 1"))
    assert read_cells(tmp_path / "ada.ipynb") == ["x = 1"]
    assert read_cells(str(tmp_path / "ada.ipynb")) == ["x = 1"]


def test_links_folders_pipes_and_absent_files_are_refused(tmp_path):
    (tmp_path / "secret").write_bytes(notebook("secret"))
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "secret")
    with pytest.raises(BadNotebook, match=r"link\.ipynb is a link"):
        read_cells(tmp_path / "link.ipynb")
    with pytest.raises(BadNotebook, match=r"absent\.ipynb cannot be read"):
        read_cells(tmp_path / "absent.ipynb")
    with pytest.raises(BadNotebook, match="cannot be read"):
        read_cells("a\0.ipynb")
    with pytest.raises(BadNotebook):
        read_cells(tmp_path)
    os.mkfifo(tmp_path / "pipe.ipynb")
    with pytest.raises(BadNotebook, match="not a file"):  # and does not wait for somebody to write into it
        read_cells(tmp_path / "pipe.ipynb")


def test_a_name_cannot_speak_to_the_terminal():
    with pytest.raises(BadNotebook) as caught:
        cells_of(b"", "\x1b]0;owned\x07\u202e.ipynb")
    assert str(caught.value).isprintable()
