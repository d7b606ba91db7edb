"""`emlib quant`: a whole table or none, and a sentence instead of a traceback."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

import emlib
from emlib import cli

DUMP = Path(__file__).parent / "models" / "transcripts_dump"


@pytest.fixture
def files(tmp_path):
    rna = emlib.data.hox_ugt()
    fasta = tmp_path / "t.fa"
    fasta.write_text("".join(f">{name}\n{letters}\n" for name, letters in rna.transcripts))
    for name, side in (("r1.fq.gz", rna.reads), ("r2.fq.gz", rna.mates)):
        text = "".join(f"@{i}\n{read}\n+\n{'I' * 50}\n" for i, read in enumerate(side))
        (tmp_path / name).write_bytes(gzip.compress(text.encode(), 1))
    return [str(tmp_path / name) for name in ("t.fa", "r1.fq.gz", "r2.fq.gz")]


def test_reads(files, tmp_path, capsys):
    out = tmp_path / "new" / "quant.sf"
    assert cli.main(["quant", *files, "-o", str(out), "--bootstrap", "20"]) == 0
    said = capsys.readouterr().out
    assert "10000 fragments, 9413 fit a transcript, 7174 fit one only" in said
    rows = [line.split("\t") for line in out.read_text().splitlines()]
    assert rows[0] == ["Name", "Length", "EffectiveLength", "TPM", "NumReads", "NumReadsSE"]
    counts = np.array([float(row[4]) for row in rows[1:]])
    np.testing.assert_allclose(counts, emlib.data.hox_ugt().kallisto["est_counts"], atol=0.3)
    assert [p.name for p in out.parent.iterdir()] == ["quant.sf"]


@pytest.mark.parametrize("folder", ["kallisto", "salmon", "salmon_weighted"])
def test_classes(folder, tmp_path, capsys):
    out = tmp_path / "quant.sf"
    assert cli.main(["quant", str(DUMP / folder), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "converged" in said
    assert ("cannot be told apart" in said) == (folder == "kallisto")
    assert len(out.read_text().splitlines()) == (301 if folder == "kallisto" else 291)


def test_lengths_from_elsewhere(tmp_path, capsys):
    path = tmp_path / "eq_classes.txt"
    path.write_text("2\n2\na\nb\n1\t0\t30\n2\t0\t1\t60\n")
    out = str(tmp_path / "quant.sf")
    assert cli.main(["quant", str(path), "-o", out]) == 2
    assert "--lengths" in capsys.readouterr().err
    (tmp_path / "lengths.sf").write_text("Name\tLength\tEffectiveLength\na\t900\t700\nb\t900\t700\n")
    assert cli.main(["quant", str(path), "-o", out, "--lengths", str(tmp_path / "lengths.sf")]) == 0


def test_bad_input_leaves_nothing(files, tmp_path, capsys):
    fasta, first, second = files
    cut, empty = tmp_path / "cut.fq.gz", tmp_path / "empty"
    cut.write_bytes(Path(second).read_bytes()[:50_000])
    empty.write_text("")
    before, out = sorted(tmp_path.iterdir()), str(tmp_path / "quant.sf")
    for arguments, said in [
        ([fasta, first, str(cut)], "cut.fq.gz breaks off after line"),
        ([fasta, str(empty)], "fragment_length"),
        ([fasta, str(empty), "--fragment-length", "180", "20"], "empty is empty"),
        ([str(empty)], "empty is empty"),
        ([fasta], "files of reads must come after it"),
        ([fasta, first, second, second], "3 files of reads"),
        ([fasta, first, second, "--lengths", fasta], "--lengths is for classes"),
        ([str(tmp_path)], "holds neither"),
        ([str(DUMP / "salmon"), "--lengths", str(DUMP / "none")], "there is no file"),
        ([str(DUMP / "salmon"), "--tol", "-1"], "tol is -1.0"),
        ([str(DUMP / "salmon"), "--bootstrap", "1"], "n_resamples is 1"),
    ]:
        assert cli.main(["quant", *arguments, "-o", out]) == 2, arguments
        error = capsys.readouterr().err
        assert error.startswith("emlib quant: ")
        assert said in error
        assert sorted(tmp_path.iterdir()) == before
    assert cli.main(["quant", str(DUMP / "salmon"), "-o", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
