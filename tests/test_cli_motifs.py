"""`emlib motifs`: a whole report or none, and a sentence instead of a traceback."""

from __future__ import annotations

import gzip
import sys

import numpy as np
import pytest

from emlib import cli

pytest.importorskip("dnaio")


@pytest.fixture
def fasta(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "in.fa.gz"
    drawn = ["".join(rng.choice(list("ACGT"), 50)) for _ in range(10)]
    text = "".join(f">s{i}<\n{s[:9]}TTGACATATAAT{s[9:]}\n" for i, s in enumerate(drawn))
    path.write_bytes(gzip.compress(text.encode()))
    return path


def test_report(fasta, tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["motifs", str(fasta), "-o", str(out), "--width", "12", "--strands", "+"]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["motifs.jaspar", "motifs.meme", "report.html", "sites.bed"]
    report = (out / "report.html").read_text()
    assert "TTGACATATAAT" in report
    assert "<svg" in report
    assert "s0&lt;" in report  # names are escaped
    assert "TTGACATATAAT" in capsys.readouterr().out
    assert cli.main(["motifs", str(fasta), "-o", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_missing_reader_is_a_sentence(fasta, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "dnaio", None)
    assert cli.main(["motifs", str(fasta), "-o", str(tmp_path / "out")]) == 2
    assert "needs dnaio" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "no fasta", ">a\nACGT\n>b\nPROTEIN\n", ">a\n\n"])
def test_bad_input_leaves_nothing(text, tmp_path, capsys):
    (tmp_path / "bad.fa").write_text(text)
    assert cli.main(["motifs", str(tmp_path / "bad.fa"), "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("emlib motifs: ")
    assert [p.name for p in tmp_path.iterdir()] == ["bad.fa"]
