"""Genotypes from files: what is read, and one sentence for everything that cannot be."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess

import numpy as np
import pytest

from emlib.models.variants import BGZF_END, read_variants

pytest.importorskip("cyvcf2")

HEAD = (
    "##fileformat=VCFv4.2\n##contig=<ID=22>\n##contig=<ID=7>\n"
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tann\tbob\tcyd\n"
)


def line(genotypes, pos=100, name="rs1", ref="A", alt="G", chromosome="22", form="GT"):
    return "\t".join([chromosome, str(pos), name, ref, alt, ".", ".", ".", form, *genotypes.split()]) + "\n"


@pytest.fixture
def written(tmp_path):
    def write(*lines, name="x.vcf", head=HEAD):
        path = tmp_path / name
        text = (head + "".join(lines)).encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        return path

    return write


GOOD = [line("0/1 1|1 ./.", 100), line("0/0 . 0|1", 250, ".", "C", "T"), line("1/1 0/1 0/0", 90, "rs3", chromosome="7")]


@pytest.mark.parametrize("name", ["x.vcf", "x.vcf.gz"])
def test_what_is_read(written, name):
    found = read_variants(written(*GOOD, name=name))
    assert found.samples.tolist() == ["ann", "bob", "cyd"]
    assert found.positions.tolist() == [100, 250, 90]
    assert found.chromosomes.tolist() == ["22", "22", "7"]
    assert found.ids.tolist() == ["rs1", ".", "rs3"]
    assert found.letters == (("A", "G"), ("C", "T"), ("A", "G"))
    assert found.counts.T.tolist() == [[1, 2, -1], [0, -1, 1], [2, 1, 0]]
    assert found.phased.T.tolist()[0] == [False, True, False]
    assert found.records.tolist() == [1, 2, 3]
    assert len(found) == 3


def test_regions_and_samples(written):
    path = written(*GOOD)
    assert read_variants(path, "22").positions.tolist() == [100, 250]
    assert read_variants(path, "22:101-250").positions.tolist() == [250]
    assert read_variants(path, "22:1-1,00").positions.tolist() == [100]
    assert read_variants(path, "22:200-").positions.tolist() == [250]
    assert read_variants(path, "22:101").positions.tolist() == [250]  # from there on
    some = read_variants(path, samples=["cyd", "ann"])
    assert some.samples.tolist() == ["cyd", "ann"]
    assert some.counts.T.tolist() == [[-1, 1], [1, 0], [0, 2]]
    for region, words in [
        ("22:9-1", "must not be above"),
        ("22:x", "must look like"),
        ("22:0", "count from 1"),
        (7, "must look like"),
    ]:
        with pytest.raises(ValueError, match=words):
            read_variants(path, region)
    with pytest.raises(ValueError, match="no record in 22:1-5 to read"):
        read_variants(path, "22:1-5")
    with pytest.raises(ValueError, match=r"samples names \['dan'\]"):
        read_variants(path, samples=["dan"])


@pytest.mark.skipif(not (shutil.which("bgzip") and shutil.which("tabix")), reason="no bgzip, tabix")
def test_an_index_leads_to_the_same_records(written):
    lone = written(*GOOD)
    subprocess.run(["bgzip", "-k", lone], check=True)
    indexed = lone.with_name("x.vcf.gz")
    subprocess.run(["tabix", "-p", "vcf", indexed], check=True)
    for region in ("22", "22:101-250", "22:200", "7:1-90"):
        slow, fast = read_variants(lone, region), read_variants(indexed, region)
        assert slow.positions.tolist() == fast.positions.tolist()
        np.testing.assert_array_equal(slow.alleles, fast.alleles)
    assert read_variants(indexed, "7").records.tolist() == [1]  # of the region
    assert read_variants(lone, "7").records.tolist() == [3]
    indexed.write_bytes(indexed.read_bytes()[: -len(BGZF_END)])
    with pytest.raises(ValueError, match="the end marker of BGZF"):
        read_variants(indexed, "7")


ODD = {
    "half": (line("0/1 ./1 0/0"), r"has half-called genotypes \(sample 2 of those read\)", [[0, 1], [-1, 1], [0, 0]]),
    "many": (
        line("0/1 1/2 0/0", alt="G,T"),
        r"has more than two alleles \(2 alternate ones\)",
        [[0, 1], [1, 2], [0, 0]],
    ),
    "twice": (line("0/1 1/1 0/0", pos=50), "lies where the record above does", [[0, 1], [1, 1], [0, 0]]),
}
HOPELESS = {
    "haploid": (line("0/1 1 0/0"), r"has haploid or polyploid genotypes \(sample 2 of those read has 1 "),
    "triploid": (line("0/1 1/1/0 0/0"), r"has haploid or polyploid genotypes \(sample 2 of those read has 3 "),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_records_are_refused_skipped_or_kept(written, kind):
    record, words, kept = ODD[kind]
    path = written(line("0/0 0/0 0/1", pos=50), record)
    with pytest.raises(ValueError, match=rf"record 2 \(22:\d+\) {words}.*odd='keep'"):
        read_variants(path)
    skipped = read_variants(path, odd="skip")
    assert len(skipped) == len(skipped.skipped) == 1
    assert re.search(words, skipped.skipped[0])
    assert read_variants(path, odd="keep").alleles[:, 1].tolist() == kept


@pytest.mark.parametrize("kind", HOPELESS)
def test_other_ploidies_cannot_be_kept(written, kind):
    record, words = HOPELESS[kind]
    path = written(line("0/0 0/0 0/1", pos=50), record)
    for odd in ("refuse", "keep"):
        with pytest.raises(ValueError, match=rf"record 2 \(22:100\) {words}"):
            read_variants(path, odd=odd)
    assert read_variants(path, odd="skip").positions.tolist() == [50]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([line("0/0 0/0 0/1", 9), line("0/0 0/0 0/1", 8)], r"record 2 \(22:8\) lies before the one above, at 9"),
        ([line("0/0 0/0 0/1", 9, chromosome=c) for c in ("22", "7", "22")], r"record 3 \(22:9\) returns to 22 after 7"),
        ([line("0/0 0/0 0/5")], "gives sample 3 the allele 5"),
        ([line("0/0 0/x 0/0")], "cannot be read after the header"),
        ([line("0/0 0/0 0/1"), line("0/0 0/0", 200)], r"cannot be read after record 1 \(22:100\)"),
        ([line("1 2 3", form="DP")], r"record 1 \(22:100\) has no genotypes \(GT\)"),
        ([line("0/0 0/0 0/1")[:-1]], "is cut off: it ends in the middle of a line"),
        ([], "holds no records"),
    ],
)
def test_bad_files(written, lines, words):
    with pytest.raises(ValueError, match=words):
        read_variants(written(*lines))


def test_files_that_are_none(written, tmp_path):
    with pytest.raises(ValueError, match="there is no file"):
        read_variants(tmp_path / "none.vcf")
    (tmp_path / "empty.vcf").write_bytes(b"")
    with pytest.raises(ValueError, match="is empty"):
        read_variants(tmp_path / "empty.vcf")
    with pytest.raises(ValueError, match="is no VCF or BCF file"):
        read_variants(written(head="who are you\n"))
    bare = HEAD.replace("\tFORMAT\tann\tbob\tcyd", "")
    with pytest.raises(ValueError, match="has no samples"):
        read_variants(written("22\t1\t.\tA\tG\t.\t.\t.\n", head=bare))
    with pytest.raises(ValueError, match="odd is 'drop'"):
        read_variants(written(*GOOD), odd="drop")


def test_a_line_cut_off_before_it_was_compressed(written):
    """The compressed file is whole, its text is not."""
    with pytest.raises(ValueError, match="is cut off: it ends in the middle of a line"):
        read_variants(written(*GOOD[:-1], GOOD[-1][:-2], name="x.vcf.gz"))


def test_a_damaged_gzip(written):
    path = written(*GOOD, name="x.vcf.gz")
    whole = bytearray(path.read_bytes())
    whole[-6] ^= 1  # in the checksum
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="is cut off or damaged"):
        read_variants(path)


def test_truncated_gzip(written):
    rng = np.random.default_rng(0)
    many = [line("0/1 1/1 0/0", p, f"rs{p * 7919 % 10007}", "ACGT"[p % 4], "CGTA"[p % 4]) for p in range(1, 3000)]
    path = written(*many, name="x.vcf.gz")
    whole = path.read_bytes()
    for share in rng.uniform(0.3, 0.95, 3):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match="is cut off: it ends in the middle of a compressed block"):
            read_variants(path)


def test_bgzip_without_its_last_block(tmp_path):
    """Cut between two blocks, every block is whole and only the empty last one tells."""
    text = (HEAD + "".join(GOOD)).encode()
    import zlib

    packed = zlib.compress(text, 9, -15)
    extra = b"BC\x02\x00" + (len(packed) + 25).to_bytes(2, "little")
    block = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0" + extra + packed
    block += zlib.crc32(text).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    path = tmp_path / "x.vcf.gz"
    path.write_bytes(block + BGZF_END)
    assert read_variants(path).positions.tolist() == [100, 250, 90]
    path.write_bytes(block)
    with pytest.raises(ValueError, match="the end marker of BGZF"):
        read_variants(path)


def test_counts_of_several_alternates_are_refused(written):
    found = read_variants(written(ODD["many"][0]), odd="keep")
    with pytest.raises(ValueError, match=r"record 1 \(22:100\) has 2 alternate alleles"):
        found.counts  # noqa: B018
