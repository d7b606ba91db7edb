"""`emlib phase`: a whole copy of the file or none, all else as it came, and a sentence instead of a traceback."""

from __future__ import annotations

import gzip
import sys

import numpy as np
import pytest

from emlib import cli, data

cyvcf2 = pytest.importorskip("cyvcf2")
pytest.importorskip("numba")

HEAD = """##fileformat=VCFv4.2
##contig=<ID=22,length=51304566>
##contig=<ID=X>
##INFO=<ID=AF,Number=A,Type=Float,Description="Allele frequency">
##FILTER=<ID=low,Description="Low quality">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">
"""
CODES = {0: "0/0", 1: "0/1", 2: "1/1", -1: "./."}


def lines(sites=40):
    """Founders of HapMap at a few SNPs, with a depth each."""
    people = data.hapmap_trios("CEU")
    G = people.genotypes[people.founders][:, :sites]
    names = people.samples[people.founders]
    text = [HEAD + "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *names])]
    for site in range(sites):
        ref, alt = people.alleles[site].split("/")
        cells = [f"{CODES[int(g)]}:{7 + i % 5}" for i, g in enumerate(G[:, site])]
        fixed = ["22", str(people.positions[site]), people.snps[site], ref, alt, "30", "low", "AF=0.25", "GT:DP"]
        text.append("\t".join([*fixed, *cells]))
    return text, G


def write(path, text):
    whole = "\n".join(text) + "\n"
    path.write_bytes(gzip.compress(whole.encode()) if path.suffix == ".gz" else whole.encode())
    return path


def run(*words):
    return cli.main(["phase", *map(str, words)])


@pytest.fixture
def quick(monkeypatch):
    """Few sweeps: what is tested here is the file."""
    from emlib.models.phasing import phaser

    monkeypatch.setattr(phaser.Phaser.__init__, "__kwdefaults__", phaser.Phaser.__init__.__kwdefaults__ | {"sweeps": 3})


def read(path):
    reader = cyvcf2.VCF(str(path), strict_gt=True)
    found = list(reader)
    alleles = np.array([v.genotype.array()[:, :2] for v in found])
    marks = np.array([v.genotype.array()[:, 2] for v in found])
    return reader, found, alleles, marks


@pytest.mark.parametrize("name", ["out.vcf.gz", "out.vcf", "out.bcf"])
def test_a_copy_with_phase_and_nothing_else_changed(name, quick, tmp_path, capsys):
    text, G = lines()
    source, out = write(tmp_path / "in.vcf.gz", text), tmp_path / name
    assert run(source, "-o", out) == 0
    said = capsys.readouterr()
    assert f"phased {(G == 1).sum()} heterozygotes of 60 people at 40 of 40 records" in said.out
    reader, records, alleles, marks = read(out)
    known = (G >= 0).T
    np.testing.assert_array_equal(alleles.sum(axis=2)[known], G.T[known])
    np.testing.assert_array_equal(alleles[~known], -1)
    assert marks[known].all()
    assert not marks[~known].any()
    before = list(cyvcf2.VCF(str(source)))
    for old, new in zip(before, records, strict=True):
        for part in ("CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER"):
            assert getattr(old, part) == getattr(new, part)
        assert new.INFO["AF"] == 0.25
        np.testing.assert_array_equal(old.format("DP"), new.format("DP"))
        phase_set = new.format("PS")[:, 0]
        np.testing.assert_array_equal(phase_set[(new.genotype.array()[:, 0] >= 0)], records[0].POS)
        assert (phase_set[new.genotype.array()[:, 0] < 0] == np.iinfo(np.int32).min).all()
    assert reader.samples == data.hapmap_trios("CEU").samples[data.hapmap_trios("CEU").founders].tolist()
    assert "##FILTER=<ID=low" in reader.raw_header
    assert "##emlib_phase=in.vcf.gz --chains 1 --seed 0" in reader.raw_header
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["in.vcf.gz", name])
    if name == "out.vcf":
        assert "0|1:" in out.read_text()


def test_the_same_seed_writes_the_same_file(quick, tmp_path):
    source = write(tmp_path / "in.vcf", lines(20)[0])
    for name, seed in (("a.vcf", 1), ("b.vcf", 1), ("c.vcf", 2)):
        assert run(source, "-o", tmp_path / name, "--seed", seed, "--chains", 2) == 0
    a, b, c = (read(tmp_path / name)[2] for name in ("a.vcf", "b.vcf", "c.vcf"))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_missing_genotypes_are_imputed_when_asked(quick, tmp_path):
    source = write(tmp_path / "in.vcf", lines()[0])
    assert run(source, "-o", tmp_path / "out.vcf", "--impute") == 0
    _, _, alleles, marks = read(tmp_path / "out.vcf")
    assert (alleles >= 0).all()
    assert marks.all()


def test_regions_are_copied_alone(quick, tmp_path, capsys):
    text, _ = lines()
    where = [int(line.split("\t")[1]) for line in text[1:]]
    source = write(tmp_path / "in.vcf", text)
    assert run(source, "-o", tmp_path / "a.vcf", "--regions", f"22:{where[5]}-{where[9]}", f"22:{where[30]:,}") == 0
    assert [v.POS for v in read(tmp_path / "a.vcf")[1]] == where[5:10] + where[30:]
    assert run(source, "-o", tmp_path / "b.vcf", "--regions", "X") == 2
    assert "has no record in X" in capsys.readouterr().err
    assert run(source, "-o", tmp_path / "b.vcf", "--regions", "22:9-5") == 2
    assert "is no region" in capsys.readouterr().err


def changed(text, site, **parts):
    """One line with other fields (REF, ALT, POS, CHROM, FORMAT) or another genotype of the first person (GT)."""
    cells = text[site + 1].split("\t")
    places = {"CHROM": 0, "POS": 1, "REF": 3, "ALT": 4, "FORMAT": 8, "GT": 9}
    for name, value in parts.items():
        cells[places[name]] = value
    return [*text[: site + 1], "\t".join(cells), *text[site + 2 :]]


def test_records_that_cannot_be_phased_are_copied_and_named(quick, tmp_path, capsys):
    text, _ = lines(12)
    text = changed(text, 2, ALT="A,T")
    text = changed(text, 3, GT="1:9")
    text = changed(text, 4, GT="./1:9")
    text = changed(text, 6, POS=text[6].split("\t")[1])
    text[8 + 1] = "\t".join([*text[9].split("\t")[:8], "DP", *["5"] * 60])
    text[10 + 1] = "\t".join([*text[11].split("\t")[:9], *["./.:5"] * 60])
    source = write(tmp_path / "in.vcf", text)
    assert run(source, "-o", tmp_path / "out.vcf") == 0
    said = capsys.readouterr()
    for sentence in (
        f"record 3 (22:{text[3].split(chr(9))[1]}) has more than two alleles; copied as it is.",
        "has haploid or polyploid genotypes",
        "1 half-called genotypes are taken as missing",
        "lies where the record above does",
        "has no genotypes (GT)",
        "has no genotype in anybody",
    ):
        assert sentence in said.err
    assert "at 7 of 12 records" in said.out
    old, new = (
        [line.split("\t") for line in (tmp_path / name).read_text().splitlines() if line[0] != "#"]
        for name in ("in.vcf", "out.vcf")
    )
    assert len(new) == 12
    for site in (2, 3, 6, 8, 10):
        assert new[site] == old[site]
    assert new[4][9].startswith("./1:9")


def test_a_lone_dot_is_no_genotype_of_two_alleles(quick, tmp_path, capsys):
    """`read_variants` takes it as missing; here it has to be written back as it came."""
    source = write(tmp_path / "in.vcf", changed(lines(8)[0], 3, GT=".:9"))
    assert run(source, "-o", tmp_path / "out.vcf") == 0
    assert "record 4 (22:" in (said := capsys.readouterr().err)
    assert "has haploid or polyploid genotypes; copied as it is." in said
    old, new = (
        [line for line in (tmp_path / name).read_text().splitlines() if line[0] != "#"]
        for name in ("in.vcf", "out.vcf")
    )
    assert new[3] == old[3]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda text: changed(text, 5, POS="1"), "record 6 (22:1) lies before the one above"),
        (lambda text: [*changed(text, 5, CHROM="X")], "to 22 after X; sort the file first"),
        (lambda text: text[:1], "holds no records"),
        (lambda text: changed(text, 5, GT="0/5:9"), "gives sample 1 the allele 5"),
        (lambda text: [HEAD.rstrip(), *text[1:]], "is no VCF or BCF file"),
        (lambda text: ["\t".join(line.split("\t")[:10]) for line in text], "has 1 sample(s)"),
        (lambda text: ["no", "vcf"], "is no VCF or BCF file"),
    ],
)
def test_bad_files_leave_nothing(spoil, sentence, quick, tmp_path, capsys):
    text, _ = lines(10)
    source = write(tmp_path / "in.vcf", spoil(text))
    assert run(source, "-o", tmp_path / "out.vcf") == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.splitlines()[-1].startswith("emlib phase: ")
    assert [p.name for p in tmp_path.iterdir()] == ["in.vcf"]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", ["in.vcf.gz", "in.vcf"])
def test_truncated_files_are_refused(share, kind, quick, tmp_path, capsys):
    source = write(tmp_path / kind, lines(30)[0])
    whole = source.read_bytes()
    part = whole[: int(share * len(whole))]
    source.write_bytes(part[:-1] if part.endswith(b"\n") else part)
    assert run(source, "-o", tmp_path / "out.vcf") == 2
    assert "is cut off" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == [kind]


def test_a_missing_end_marker_is_seen(quick, tmp_path, capsys):
    source = write(tmp_path / "in.vcf", lines(10)[0])
    assert run(source, "-o", tmp_path / "a.vcf.gz") == 0
    whole = (tmp_path / "a.vcf.gz").read_bytes()
    (tmp_path / "b.vcf.gz").write_bytes(whole[:-28])
    assert run(tmp_path / "b.vcf.gz", "-o", tmp_path / "c.vcf") == 2
    assert "the end marker of BGZF" in capsys.readouterr().err


def test_where_output_goes_is_looked_at_first(quick, tmp_path, capsys):
    source = write(tmp_path / "in.vcf", lines(10)[0])
    for output, sentence in (
        ("out.txt", "ends in none of .vcf, .vcf.gz, .bcf"),
        ("in.vcf", "exists already"),
        ("no/out.vcf", "there is no folder"),
    ):
        assert run(source, "-o", tmp_path / output) == 2
        assert sentence in capsys.readouterr().err
    assert run(tmp_path / "none.vcf", "-o", tmp_path / "out.vcf") == 2
    assert "there is no file" in capsys.readouterr().err
    assert run(source, "-o", source, "--force") == 0  # in place: read whole before it is replaced
    assert len(read(source)[1]) == 10


def test_an_output_that_breaks_off_is_taken_away(quick, tmp_path, monkeypatch, capsys):
    from emlib.models.phasing import vcf

    def breaks(*_):
        raise OSError("no space left on device")

    source = write(tmp_path / "in.vcf", lines(10)[0])
    monkeypatch.setattr(vcf, "_set", breaks)
    assert run(source, "-o", tmp_path / "out.vcf") == 2
    assert "no space left" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["in.vcf"]


def test_a_missing_reader_is_a_sentence(tmp_path, monkeypatch, capsys):
    source = write(tmp_path / "in.vcf", lines(10)[0])
    monkeypatch.setitem(sys.modules, "cyvcf2", None)
    assert run(source, "-o", tmp_path / "out.vcf") == 2
    assert "pip install 'emlib[genomics]'" in capsys.readouterr().err
