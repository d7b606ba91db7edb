"""The command line says what it did, in words and in its exit status."""

from __future__ import annotations

import subprocess
import sys

import pytest

import emlib
from emlib import cli
from emlib.cli import doctor


def test_doctor(capsys):
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"emlib {emlib.__version__}, Python 3.")
    assert "numpy: " in out
    assert all(f"[{extra}]" in out for extra in doctor.EXTRAS)
    assert "sandbox: " in out


def test_doctor_tells_when_a_sandbox_does_not_hold(capsys, monkeypatch):
    from emlib.grading import sandbox, selftest

    monkeypatch.setattr(selftest, "self_test", lambda held: [sandbox.Finding("the home folder", False, "was read.")])
    if any(not finding.good for finding in sandbox.probe()[:4]):
        pytest.skip("there is no sandbox on this machine")
    assert cli.main(["doctor"]) == 1
    assert "IT DOES NOT HOLD: the home folder: was read." in capsys.readouterr().out


def test_doctor_finds_what_is_missing(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "numpy: missing, though it is needed" in out
    assert "pip install 'emlib[fast]'" in out


@pytest.mark.parametrize("arguments", [[], ["no-such-thing"]])
def test_bad_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert "usage: emlib" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"emlib {emlib.__version__}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there a closed pipe is another error")
def test_a_reader_who_has_seen_enough_is_no_error():
    """What is read by nobody: the pipe is closed before the command writes into it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "emlib.cli", "exercises", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), error) == (141, b"")
