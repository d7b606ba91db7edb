"""Fragments shared out among transcripts: by hand, against kallisto and salmon, and when the input is bad."""

from __future__ import annotations

import gzip
import struct
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

import emlib
from emlib import TranscriptQuantifier
from emlib.engine import em
from emlib.engine.latent import tempered
from emlib.models.transcripts import (
    EquivalenceClasses,
    FragmentLengths,
    KmerIndex,
    TranscriptModel,
    TranscriptParams,
    gap,
    identifiability,
    pseudoalign,
    read_classes,
    read_kallisto,
    read_lengths,
    read_salmon,
    slack,
    tpm,
)
from emlib.models.transcripts.fasta import read_fasta, read_pairs, read_reads

DUMP = Path(__file__).parent / "transcripts_dump"
TOY = EquivalenceClasses.of([[0], [1], [0, 1]], [30, 10, 60], effective_lengths=[1, 1])


def column(path, i):
    return np.array([float(line.split("\t")[i]) for line in path.read_text().splitlines()[1:]])


@pytest.fixture(scope="module")
def hox():
    rna = emlib.data.hox_ugt()
    return rna, pseudoalign(rna.transcripts, rna.reads, rna.mates)


# ------------------------------------------------------------------ by hand


def test_toy_steps():
    seen = []
    start = TranscriptParams(np.array([0.5, 0.5]))
    em.fit(TranscriptModel(), TOY, start, max_iter=4, tol=0, callback=lambda s: seen.append(s.params.shares[0]))
    np.testing.assert_allclose(seen, [0.5, 0.6, 0.66, 0.696, 0.7176], rtol=1e-12)


def test_effective_lengths_decide():
    """The same counts, transcript 0 four times as long: the shared ones are more often of the short one."""
    fit = TranscriptQuantifier(tol=1e-12).fit(TOY.with_lengths([4.0, 1.0]))
    x = fit.shares_[0]  # stationary: 30 / x - 10 / (1 - x) + 60 (1/4 - 1) / (x / 4 + 1 - x) = 0
    assert abs(30 / x - 10 / (1 - x) - 45 / (1 - 0.75 * x)) < 1e-3
    assert x < 0.75
    np.testing.assert_allclose(fit.tpm_, 1e6 * (fit.counts_ / [4, 1]) / (fit.counts_ / [4, 1]).sum())
    assert abs(fit.tpm_.sum() - 1e6) < 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_finds_the_maximum(seed):
    """Against a general optimiser, on random classes with weights."""
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(bits) for bits in product([0, 1], repeat=4) if any(bits)]
    weights = [rng.uniform(0.1, 1.0, len(c)) for c in classes]
    given = EquivalenceClasses.of(classes, rng.poisson(20, 15), effective_lengths=np.ones(4), weights=weights)
    fit = TranscriptQuantifier(tol=1e-10).fit(given)

    def loss(u):
        shares = np.exp(u - u.max())
        return -given.counts @ np.log(given.matrix @ (shares / shares.sum()))

    best = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-8})
    assert fit.log_likelihood_ >= -best.fun - 1e-6
    assert fit.gap_ >= -best.fun - fit.log_likelihood_ - 1e-9


def test_gap_is_a_bound_everywhere():
    rng = np.random.default_rng(0)
    top = TranscriptQuantifier(tol=1e-10).fit(TOY).log_likelihood_
    for x in [0.0, 1e-9, *rng.random(50), 1 - 1e-9]:
        shares = np.array([x, 1 - x])
        if x:
            below = top - TranscriptModel().e_step(TOY, TranscriptParams(shares))[1]
            assert gap(TOY, shares) >= below - 1e-9


def test_slack_is_where_the_likelihood_has_fallen():
    fit = TranscriptQuantifier(tol=1e-12).fit(TOY)
    move = fit.slack(1e-4)
    np.testing.assert_allclose(move[0], move[1])
    fallen = fit.log_likelihood_ - fit.score([75 + move[0], 25 - move[0]])
    np.testing.assert_allclose(fallen, 1e-4, rtol=0.05)
    alike = EquivalenceClasses.of([[0, 1], [2]], [60, 40])
    assert slack(alike, np.array([0.3, 0.3, 0.4])).tolist()[:2] == [np.inf, np.inf]
    assert np.isfinite(slack(alike, np.array([0.3, 0.3, 0.4]))[2])
    shorter = EquivalenceClasses.of([[0], [0, 1]], [50, 50], effective_lengths=[10, 9])
    at_the_edge = TranscriptQuantifier().fit(shorter)
    assert at_the_edge.counts_[1] < 0.5
    assert at_the_edge.slack().tolist() == [0.0, 0.0]


def test_batched_bootstrap_is_each_alone():
    data = TOY.resampled(7, np.random.default_rng(3))
    start = np.tile([0.5, 0.5], (7, 1))
    together = em.fit(TranscriptModel(), data, TranscriptParams(start), tol=1e-9)
    for shares, counts in zip(together.params.shares, data.counts, strict=True):
        n = counts[0] + counts[1]
        alone = counts[0] / n if n else 0.5
        np.testing.assert_allclose(shares[0], alone, atol=1e-5)
    draws = TranscriptQuantifier().fit(TOY).bootstrap(2000, random_state=0)
    # 75 = 100 * 30 / 40: the share is a proportion of the 40 unique fragments
    np.testing.assert_allclose(draws.standard_errors[0], 100 * np.sqrt(0.75 * 0.25 / 40), rtol=0.1)
    low, high = draws.interval(0.9)
    assert (low < 75).any()
    assert ((low[0] < 75) & (high[0] > 75)).all()


# ------------------------------------------------------------------ what cannot be told


@pytest.mark.parametrize(
    ("classes", "lengths", "rank", "groups"),
    [
        ([[0], [1], [0, 1]], [1, 1], 2, ()),
        ([[0, 1], [2]], [5, 5, 5], 2, (("t0", "t1"),)),
        ([[0, 1], [2]], [5, 6, 5], 3, ()),  # one class, but the shorter explains it better
        ([[0, 1], [2, 3], [0, 2], [1, 3]], [1, 1, 1, 1], 3, (("t0", "t1", "t2", "t3"),)),
        ([[0, 1], [2, 3], [0, 2], [1, 3], [0]], [1, 1, 1, 1], 4, ()),
        ([[0, 1], [2, 3], [4]], [1, 1, 2, 2, 1], 3, (("t0", "t1"), ("t2", "t3"))),
    ],
)
def test_identifiability(classes, lengths, rank, groups):
    given = EquivalenceClasses.of(classes, np.full(len(classes), 10), effective_lengths=lengths)
    report = identifiability(given)
    assert (report.rank, report.groups) == (rank, groups)
    dense = np.vstack([given.matrix.toarray(), np.ones(len(lengths))])
    assert report.rank == np.linalg.matrix_rank(dense)


@pytest.mark.parametrize("seed", range(30))
def test_identifiability_is_the_null_space(seed):
    """By a dense null space: the classes' rows, and a row of ones for each linked set."""
    rng = np.random.default_rng(seed)
    T = 7
    listed = {tuple(np.flatnonzero(rng.random(T) < 0.4)) for _ in range(rng.integers(2, 8))} - {()}
    given = EquivalenceClasses.of(
        [list(c) for c in sorted(listed)],
        np.ones(len(listed)),
        [f"t{t}" for t in range(T)],
        effective_lengths=rng.choice([1.0, 2.0], T),
    )
    sums = (given.linked[None] == np.unique(given.linked)[:, None]).astype(float)
    values, vectors = np.linalg.svd(np.vstack([given.matrix.toarray(), sums]))[1:]
    rank = int((values > 1e-9).sum())
    shifts = vectors[rank:].T @ vectors[rank:]
    moved = {f"t{t}" for t in np.flatnonzero(np.diagonal(shifts) > 1e-9)}
    report = identifiability(given)
    assert report.rank == rank
    assert {name for group in report.groups for name in group} == moved
    for group in report.groups:
        at = [int(name[1:]) for name in group]
        others = [t for t in range(T) if t not in at]
        assert np.abs(shifts[np.ix_(at, others)]).max(initial=0) < 1e-9


def test_gap_of_sets_that_nothing_links_is_sharper():
    """A share a little off in a small set costs what the small set has, not what all have."""
    classes = EquivalenceClasses.of([[0], [1], [0, 1], [2]], [3, 1, 6, 10**6])
    best = np.array([7.5, 2.5, 10**6]) / 1_000_010
    off = np.array([7.4, 2.6, 10**6]) / 1_000_010
    assert gap(classes, best) < 1e-9
    below = np.diff([TranscriptModel().e_step(classes, TranscriptParams(w))[1] for w in (off, best)])[0]
    assert below <= gap(classes, off) < 0.2


def test_never_seen_is_determined():
    given = EquivalenceClasses.of([[0], [1, 2]], [10, 0], effective_lengths=[1, 1, 1])
    report = identifiability(given)
    assert report.never_seen == ("t1", "t2")
    assert report.groups == ()
    assert TranscriptQuantifier().fit(given).counts_.tolist() == [10.0, 0.0, 0.0]


# ------------------------------------------------------------------ beside kallisto and salmon


def test_kallisto_from_reads(hox):
    rna, found = hox
    assert (found.n_processed, found.n_aligned, found.n_unique) == (10_000, 9413, 7174)
    fit = TranscriptQuantifier().fit(found.classes)
    np.testing.assert_allclose(fit.counts_, rna.kallisto["est_counts"], atol=0.3)
    assert fit.log_likelihood_ >= fit.score(rna.kallisto["est_counts"])
    np.testing.assert_allclose(fit.effective_lengths_, rna.kallisto["eff_length"], atol=0.3)
    assert fit.gap_ < 1e-4


def test_fragment_lengths_are_the_true_ones(hox):
    rna, found = hox
    index = KmerIndex(*zip(*rna.transcripts, strict=True))
    reads, mates = ([text.encode() for text in side[:500]] for side in (rna.reads, rna.mates))
    for i in range(0, 500, 10):
        lengths = index.compatible([reads[i : i + 1], mates[i : i + 1]])[2]
        assert lengths.size == 0 or lengths[0] == rna.lengths[i]
    assert abs(found.fragment_lengths.mean - rna.lengths.mean()) < 1
    assert abs(found.fragment_lengths.sd - rna.lengths.std()) < 1


def test_fragment_length_where_reads_begin_with_an_error():
    """The first known word is then not the first of the read, on either strand and for either mate."""
    rng = np.random.default_rng(2)
    text = "".join(rng.choice(list("ACGT"), 300))
    back = text.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    index = KmerIndex(["t"], [text], k=11)
    read, mate = text[50:90], back[110:150]  # the fragment text[50:190]
    wrong = [one[:2] + ("A" if one[2] != "A" else "C") + one[3:] for one in (read, mate)]
    for pair in ((read, mate), (wrong[0], mate), (read, wrong[1]), (wrong[1], wrong[0])):
        assert index.compatible([[pair[0].encode()], [pair[1].encode()]])[2].tolist() == [140]
    assert index.compatible([[read.encode()], [text[100:140].encode()]])[2].size == 0  # not facing each other


def test_reads_one_by_one_by_plain_string_search():
    """Classes by the definition: every word of a read that some transcript has must be in the transcript."""
    rng, k = np.random.default_rng(1), 5
    other = str.maketrans("ACGT", "TGCA")
    texts = ["".join(rng.choice(list("ACGTN"), 60, p=[0.24] * 4 + [0.04])) for _ in range(4)]
    texts.append(texts[0][:30] + texts[1][30:])
    both = [text + "|" + text.translate(other)[::-1] for text in texts]
    index = KmerIndex([f"t{t}" for t in range(5)], texts, k=k)
    for _ in range(200):
        t, at = rng.integers(5), rng.integers(45)
        read = texts[t][at : at + 15]
        if rng.random() < 0.5:
            read = read.translate(other)[::-1]
        words = [read[i : i + k] for i in range(11) if "N" not in read[i : i + k]]
        known = [word for word in words if any(word in text for text in both)]
        expected = [f"t{t}" for t in range(5) if known and all(word in both[t] for word in known)]
        assert index.fitting([read.encode()]) == expected


@pytest.mark.parametrize(
    ("folder", "table", "at", "n_classes"),
    [("kallisto", "abundance.tsv", 3, 542), ("salmon", "quant.sf", 4, 561), ("salmon_weighted", "quant.sf", 4, 1001)],
)
def test_at_least_as_likely_as_theirs(folder, table, at, n_classes):
    classes = read_classes(DUMP / folder)
    theirs = column(DUMP / folder / table, at)
    fit = TranscriptQuantifier().fit(classes)
    assert len(classes) == n_classes
    assert (classes.weights is not None) == (folder == "salmon_weighted")
    assert fit.converged_
    assert fit.log_likelihood_ >= fit.score(theirs)
    assert fit.gap_ < 0.05
    if folder != "salmon":  # it does not write what it fitted there: the weights
        np.testing.assert_allclose(fit.counts_, theirs, atol=1.0)
        assert fit.log_likelihood_ - fit.score(theirs) < 0.01
    plain = TranscriptQuantifier(accelerate=None).fit(classes)
    assert fit.n_iter_ < plain.n_iter_ / 3
    np.testing.assert_allclose(fit.log_likelihood_, plain.log_likelihood_, atol=1e-4)


def test_copies_cannot_be_told_apart_and_salmon_knew_it():
    """Salmon drops copies before it begins; kallisto keeps them, and their split means nothing."""
    kept = read_classes(DUMP / "kallisto")
    dropped = set(kept.names) - set(read_classes(DUMP / "salmon").names)
    groups = identifiability(kept).groups
    assert len(groups) == 8
    assert {name for group in groups for name in group[1:]} == dropped


def test_bus(tmp_path):
    for name in ("transcripts.txt", "matrix.ec"):
        source = "pseudoalignments.ec" if name == "matrix.ec" else name
        (tmp_path / name).write_bytes((DUMP / "kallisto" / source).read_bytes())
    plain = read_kallisto(DUMP / "kallisto")
    wanted = [line.split() for line in (DUMP / "kallisto" / "pseudoalignments.tsv").read_text().splitlines()]
    head = b"BUS\0" + struct.pack("<IIII", 1, 16, 12, 3) + b"any"
    halves = [(int(c), part) for c, n in wanted for part in (int(n) // 2, int(n) - int(n) // 2) if part]
    records = b"".join(struct.pack("<QQiIII", i, 0, c, n, 0, 0) for i, (c, n) in enumerate(halves))
    (tmp_path / "output.bus").write_bytes(head + records)
    found = read_classes(tmp_path, DUMP / "kallisto" / "abundance.tsv")
    np.testing.assert_array_equal(found.counts, plain.counts)
    (tmp_path / "output.bus").write_bytes((head + records)[:-3])
    with pytest.raises(ValueError, match="ends in the middle of a record"):
        read_kallisto(tmp_path)


# ------------------------------------------------------------------ lengths


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(1, 80))
def test_effective_length_is_the_mean_number_of_places(lengths, L):
    fragments = FragmentLengths.observed(lengths)
    fitting = [length for length in lengths if length <= L]
    expected = np.mean([L - length + 1 for length in fitting]) if fitting else L
    np.testing.assert_allclose(fragments.effective_lengths([L])[0], expected)


def test_tpm_takes_the_length_first():
    np.testing.assert_allclose(tpm([60, 40], [3000, 1000]), [1e6 / 3, 2e6 / 3])
    np.testing.assert_allclose(tpm([[60, 40], [40, 60]], [1, 1]).sum(axis=1), 1e6)


# ------------------------------------------------------------------ pieces


def test_slicing_and_merging():
    classes = EquivalenceClasses.of([[0], [0, 1], [0], [0, 1]], [1, 2, 3, 4])
    merged = classes.merged()
    assert (len(merged), merged.counts.tolist(), merged.members.tolist()) == (2, [4.0, 6.0], [0, 0, 1])
    again = classes[[1, 1, 0]]
    assert (again.counts.tolist(), again.members.tolist()) == ([2.0, 2.0, 1.0], [0, 1, 0, 1, 0])
    weighted = EquivalenceClasses.of([[0], [0]], [1, 2], weights=[[0.5], [0.25]])
    assert len(weighted.merged()) == 2


def test_table(tmp_path):
    fit = TranscriptQuantifier().fit(TOY.with_lengths([1000, 2000], [1200, 2200]))
    path = tmp_path / "quant.sf"
    path.write_text(fit.table(NumReadsSE=[1.0, 2.0]))
    head, first, _ = (line.split("\t") for line in path.read_text().splitlines())
    assert head == ["Name", "Length", "EffectiveLength", "TPM", "NumReads", "NumReadsSE"]
    assert first[:3] == ["t0", "1200", "1000.000"]
    effective, plain = read_lengths(path, ["t1", "t0"])
    assert (effective.tolist(), plain.tolist()) == ([2000.0, 1000.0], [2200.0, 1200.0])


def test_stopped_early_says_how_far():
    with pytest.warns(ConvergenceWarning, match=r"at most .* nats below the maximum; raise max_iter or loosen tol\.$"):
        TranscriptQuantifier(max_iter=1).fit(TOY)
    with pytest.warns(ConvergenceWarning, match="or set accelerate='squarem'"):
        TranscriptQuantifier(max_iter=1, accelerate=None).fit(TOY)


def test_clone_and_failed_fit_leave_no_trace():
    from sklearn.base import clone

    quantifier = TranscriptQuantifier(tol=1e-9).fit(TOY)
    before = quantifier.counts_
    with pytest.raises(ValueError, match="effective lengths"):
        quantifier.fit([[0]], [1])
    assert quantifier.counts_ is before
    assert not hasattr(clone(quantifier), "counts_")


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([], [1]), "classes is empty"),
        (([[0], []], [1, 1]), "class 1 is"),
        (([[0], [0, 0]], [1, 1]), "class 1 names a transcript twice"),
        (([[0], [2]], [1, 1], ["a", "b"]), "class 1 names transcript 2, but there are 2"),
        (([[0]], [1, 2]), "one count for each of 1 classes"),
        (([[0]], [-1]), "counts holds -1 for class 0"),
        (([[0]], [0]), "no fragment"),
        (([[0], [1]], [1, 1], None, [1, 0]), "effective_lengths holds 0 for transcript 1"),
        (([[0], [1]], [1, 1], None, [1]), "one number for each of 2 transcripts"),
    ],
)
def test_bad_classes(arguments, said):
    with pytest.raises(ValueError, match=said):
        EquivalenceClasses.of(*arguments)


def test_bad_calls():
    with pytest.raises(ValueError, match="no effective lengths"):
        TranscriptQuantifier().fit([[0]], [1])
    with pytest.raises(ValueError, match="counts is None"):
        TranscriptQuantifier().fit([[0]])
    with pytest.raises(ValueError, match="given twice"):
        TranscriptQuantifier().fit(TOY, [1, 2, 3])
    with pytest.raises(ValueError, match="resampled experiments"):
        TranscriptQuantifier().fit(TOY.resampled(3, np.random.default_rng(0)))
    with pytest.raises(ValueError, match="whole"):
        TranscriptQuantifier().fit([[0]], [1.5], [1]).bootstrap()
    with pytest.raises(ValueError, match="weights"):
        EquivalenceClasses.of([[0]], [1], weights=[[0.0]])
    with pytest.raises(ValueError, match="k is 4"):
        KmerIndex(["a"], ["ACGTACGT"], k=4)
    with pytest.raises(ValueError, match="fragment_length"):
        pseudoalign([("a", "ACGTACGT")], ["ACGTA"], k=3)
    with pytest.raises(ValueError, match="2 reads, but 1 mates"):
        pseudoalign([("a", "ACGTACGT")], ["ACGTA", "ACGTA"], ["ACGTA"], k=3)
    with pytest.raises(ValueError, match="none of the 1 fragments"):
        pseudoalign([("a", "AAAAAAAA")], ["GGGGG"], k=3, fragment_length=(5, 1))


SALMON = "2\n2\na\nb\n1\t0\t30\n2\t0\t1\t60\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a\n", "line 1: found 'a', not the number of transcripts"),
        ("2\n2\na\nb\n1\t0\t30\n", "ends after line 5"),
        (SALMON.replace("b\n", "a\n"), "line 4: transcript 'a' has occurred before"),
        (SALMON.replace("2\t0\t1\t60", "2\t0\t2\t60"), "line 6: a class names transcript 2, but there are 2"),
        (SALMON.replace("2\t0\t1\t60", "2\t0\t0\t60"), "line 6: a class names a transcript twice"),
        (SALMON.replace("2\t0\t1\t60", "3\t0\t1\t60"), "line 6: a class of 3 has 4 fields"),
        (SALMON.replace("2\t0\t1\t60", "2\t0\tx\t60"), "line 6: .* is no class"),
        (SALMON.replace("2\t0\t1\t60", "2\t0\t1\t-4"), "line 6: a class has the count -4"),
        (SALMON.replace("2\t0\t1\t60", "2\t0\t1\t.5\t.5\t60"), "line 6: some classes have weights"),
    ],
)
def test_bad_salmon(text, said, tmp_path):
    path = tmp_path / "eq_classes.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=said) as error:
        read_salmon(path)
    assert str(path) in str(error.value)


def test_bad_kallisto_and_lengths(tmp_path):
    (tmp_path / "transcripts.txt").write_text("a\nb\n")
    (tmp_path / "pseudoalignments.ec").write_text("0\t0\n1\t1\n2\t0,7\n")
    (tmp_path / "pseudoalignments.tsv").write_text("0\t4\n1\t5\n2\t1\n")
    with pytest.raises(ValueError, match=r"pseudoalignments\.ec, line 3: a class names transcript 7"):
        read_kallisto(tmp_path)
    (tmp_path / "pseudoalignments.ec").write_text("0\t0\n1\t1\n")
    with pytest.raises(ValueError, match="does not say what class 2 is"):
        read_kallisto(tmp_path)
    (tmp_path / "pseudoalignments.tsv").write_text("0\t4\n1 five\n")
    with pytest.raises(ValueError, match=r"pseudoalignments\.tsv, line 2"):
        read_kallisto(tmp_path)
    with pytest.raises(ValueError, match="holds neither"):
        read_classes(tmp_path.parent)
    table = tmp_path / "quant.sf"
    for text, said in [
        ("x\ty\n", "line 1: columns"),
        ("Name\tLength\tEffectiveLength\na\t5\t4\n", "has no length for transcript 'b'"),
        ("Name\tLength\tEffectiveLength\na\t5\t0\n", "line 2: transcript 'a' has the length 0"),
        ("Name\tLength\tEffectiveLength\na\t5\tx\n", "line 2: .* has no lengths"),
        ("Name\tLength\tEffectiveLength\na\t5\t4\na\t5\t4\n", "line 3: transcript 'a' has occurred before"),
    ]:
        table.write_text(text)
        with pytest.raises(ValueError, match=said):
            read_lengths(table, ["a", "b"])


RECORD = "@r{0}{1}\nACGT\n+\nIIII\n"


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ([1, 2], [1], "b.fq ends after 1 reads .line 4., but .*a.fq goes on"),
        ([1], [1, 2], "a.fq ends after 1 reads .line 4., but .*b.fq goes on"),
        ([1, 2], [1, 3], "line 5: .*a.fq has the read 'r2/1' and .*b.fq has 'r3/2'"),
    ],
)
def test_unpaired(first, second, said, tmp_path):
    for name, reads, mate in (("a.fq", first, "/1"), ("b.fq", second, "/2")):
        (tmp_path / name).write_text("".join(RECORD.format(i, mate) for i in reads))
    with pytest.raises(ValueError, match=said):
        list(read_pairs(tmp_path / "a.fq", tmp_path / "b.fq"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("@r\nACGT\n+\nIII\n", "line 4: 3 qualities for the 4 letters"),
        ("@r\nACGT\n+\n", "ends in the middle of the record that begins in line 1"),
        ("r\nACGT\n+\nIIII\n", "line 1: found 'r' where"),
        ("@r\nACGT\n-\nIIII\n", "line 3: found '-' where"),
    ],
)
def test_bad_fastq(text, said, tmp_path):
    path = tmp_path / "r.fq"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        list(read_reads(path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ACGT\n", "line 1: found 'ACGT'"),
        (">a\nACGT\n>a\nACGT\n", "line 3: 'a' has occurred before, in line 1"),
        (">a\n>b\nACGT\n", "line 1: transcript 'a' has no letters"),
        (">\nACGT\n", "line 1: a sequence has no name"),
    ],
)
def test_bad_fasta(text, said, tmp_path):
    path = tmp_path / "t.fa"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_fasta(path)


def test_damaged_gzip(tmp_path):
    path = tmp_path / "r.fq.gz"
    rng = np.random.default_rng(0)
    text = "".join(f"@{i}\n{''.join(rng.choice(list('ACGT'), 50))}\n+\n{'I' * 50}\n" for i in range(2000))
    whole = gzip.compress(text.encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"r\.fq\.gz breaks off after line \d\d+: its gzip stream is truncated"):
        list(read_reads(path))
    path.write_bytes(whole[:-8] + b"\xff" * 4 + whole[-4:])  # another checksum: damage within may read as letters
    with pytest.raises(ValueError, match="damaged after line"):
        list(read_reads(path))
    with pytest.raises(ValueError, match="there is no file"):
        list(read_reads(tmp_path / "none"))
    with pytest.raises(ValueError, match="is a folder"):
        list(read_reads(tmp_path))


def test_rounding_at_a_temperature_is_no_fall():
    """Above 1 most of each term cancels, so that rounding is larger than the sum lets one think."""
    seen_as = EquivalenceClasses.of(
        [[0], [1], [0, 1], [1, 2], [0, 1, 2], [2]],
        np.ones(6),
        weights=[[0.4], [0.2], [0.5, 0.3], [0.35, 0.25], [0.1, 0.15, 0.3], [0.45]],
    )
    model, truth = TranscriptModel(seen_as), TranscriptParams(np.array([0.5, 0.3, 0.2]))
    even = TranscriptParams(np.full(3, 1 / 3))
    for seed in range(25):
        data = model.simulate(truth, 200, np.random.default_rng(seed))
        for temperature in (3.0, 0.3):
            fit = em.fit(model, data, even, latent=tempered(temperature), max_iter=200, tol=0.0)
            assert fit.reason == "converged", (seed, fit.message)


def test_a_jump_below_zero_is_no_trap():
    """A share left at next to nothing grows again unseen, and the climb would end below the top."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        true = rng.dirichlet(np.full(8, 0.3))
        classes = list({tuple(sorted(rng.choice(8, rng.integers(1, 6), replace=False))) for _ in range(12)})
        p = np.array([true[list(members)].sum() for members in classes])
        counts = rng.multinomial(100, p / p.sum())
        data = EquivalenceClasses.of([list(map(int, members)) for members in classes], counts)
        start = TranscriptParams(np.full(len(data.names), 1 / len(data.names)))
        slow = em.fit(TranscriptModel(), data, start, tol=1e-9, max_iter=100_000)
        fast = em.fit(TranscriptModel(), data, start, tol=1e-6, accelerate="squarem")
        assert fast.log_likelihood == pytest.approx(slow.log_likelihood, abs=1e-4), seed
