"""The numbers that the stories of the exercises quote, computed."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import digamma
from scipy.stats import nbinom

from emlib import (
    DawidSkene,
    KMeans,
    NegativeBinomialMixture,
    PoissonHMM,
    ProteinInference,
    ScoreMixture,
    TranscriptQuantifier,
    data,
)
from emlib.course import load
from emlib.course.projects import blood_cells, motif_in_peaks
from emlib.models.phasing import switch_errors
from emlib.models.transcripts import EquivalenceClasses, pseudoalign


def tasks(topic):
    return load(topic).functions


def shown(function):
    """What the notebook shows: the result of the example."""
    return function.expected(function.example_inputs())


def test_minutes_of_three_digits():
    assert {topic: load(topic).minutes for topic in ("gibbs", "motifs", "hmm", "cell_types")} == {
        "gibbs": 110,
        "motifs": 120,
        "hmm": 120,
        "cell_types": 100,
    }


def test_incomplete_data():
    climb = tasks("incomplete_data")["climb"]
    heads, flips = np.array([5, 9, 8, 4, 7]), np.full(5, 10)
    path, _ = climb(heads, flips, np.array([0.6, 0.5]), 10)
    np.testing.assert_array_equal(np.round(path[[1, 10]], 3), [(0.713, 0.581), (0.797, 0.520)])
    on_the_pass, beside_it = (climb(heads, flips, np.array([0.66, b]), 60)[0][-1] for b in (0.66, 0.6600001))
    assert np.ptp(on_the_pass) == 0
    assert np.ptp(beside_it) > 0.2


def test_why_it_climbs():
    counts = data.linkage()
    np.testing.assert_array_equal(counts, [125, 18, 20, 34])
    path = [0.5]
    for _ in range(40):
        path.append(tasks("why_it_climbs")["linkage_step"](counts, path[-1])[1])
    assert f"{path[-1]:.10f}" == "0.6268214979"
    assert f"{tasks('why_it_climbs')['rate'](np.array(path[:9])[:, None]):.4f}" == "0.1328"
    errors = tasks("why_it_climbs")["how_sure"](counts, path[-1])
    assert [f"{error:.4f}" for error in errors] == ["0.0515", "0.0479"]


def test_families():
    with np.errstate(over="ignore"):
        assert np.isinf(np.prod(np.arange(1.0, 171 + 1)))
        assert np.isfinite(np.prod(np.arange(1.0, 170 + 1)))
    N, S, log_likelihood = shown(tasks("families")["e_step"])
    np.testing.assert_array_equal(np.round(N, 3), [173.254, 66.746])
    np.testing.assert_array_equal(np.round(S, 3), [27.448, 58.552])
    assert f"{log_likelihood:.2f}" == "-269.92"
    assert f"{shown(tasks('families')['fit'])[-1][-1]:.3f}" == "-186.989"


def test_families_further():
    """The loop that the end of the notebook suggests, a negative binomial fitted by its hidden rates."""
    x, mean, size = data.fetal_lamb()[:, 0], 0.36, 0.4
    for _ in range(60):
        rates, logs = tasks("families")["hidden_rates"](x, mean, size)
        mean = rates.mean()
        wanted = np.log(mean) - logs.mean()
        size = brentq(lambda r, wanted=wanted: np.log(r) - digamma(r) - wanted, 1e-3, 1e3)
    assert f"{nbinom.logpmf(x, size, size / (size + mean)).sum():.2f}" == "-186.63"


def test_kmeans():
    X = data.penguins().measurements[:, [0, 2]]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    assert len(X) == 342
    inertia = KMeans(3, n_init=10, random_state=0).fit(X).inertia_
    assert f"{inertia:.3f}" == "157.815"


def test_pitfalls():
    assert 32.789 in data.galaxies()[:, 0].round(3)


def test_gibbs():
    """The walk that the end of the notebook suggests."""
    x, prior = data.galaxies()[:, 0], {"alpha": 1.0, "m": 20.0, "s": 10.0, "a": 2.0, "b": 2.0}
    rng, labels = np.random.default_rng(0), np.zeros(82, dtype=int)
    weights, means, variances = (
        np.array([0.085, 0.878, 0.037]),
        np.array([9.71, 21.40, 33.04]),
        np.array([0.18, 4.82, 0.85]),
    )
    draws = []
    for _ in range(3000):
        labels, weights, means, variances = tasks("gibbs")["sweep"](x, labels, weights, means, variances, prior, rng)
        draws.append((weights, means))
    w, mu = (np.array(kept)[None] for kept in zip(*draws, strict=True))
    _, found = tasks("gibbs")["posterior_means"](w, mu, 500)
    assert np.abs(found - [9.72, 21.4, 32.9]).max() < 0.1


def test_mixtures():
    # A point 13.6 standard deviations out in each of ten dimensions; the smallest number above zero.
    log_density = 10 * (-0.5 * 13.6**2 - 0.5 * np.log(2 * np.pi))
    assert round(log_density / np.log(10)) < -400
    assert f"{np.nextafter(0, 1):.0e}" == "5e-324"
    assert f"{np.log(1e-10):.2f}" == "-23.03"
    # Traces of which the one falls by rounding only and the other falls; and the digit that dances.
    first_fall = tasks("mixtures")["first_fall"]
    assert first_fall([-1150, -1150.0000001]) == -1
    assert first_fall([-1150, -1150.0001]) == 1
    assert f"{1150.0000001:.11g}" != f"{1150.0000001:.10g}" == "1150"


def test_gene_counting():
    task = tasks("gene_counting")
    given = task["expected_genotypes"].example_inputs()
    assert (int(given["counts"].sum()), int(given["counts"][0])) == (521, 186)
    assert f"{shown(task['log_likelihood']):.1f}" == "-650.6"
    expected = shown(task["expected_genotypes"])
    assert [f"{people:.1f}" for people in expected] == ["42.9", "143.1", "6.3", "31.7", "13.0", "284.0"]
    assert [f"{p:.4f}" for p in shown(task["count_genes"])] == ["0.2322", "0.0550", "0.7128"]
    two, _ = task["gene_counting"](given["counts"], given["genotypes"], given["looks"], given["p"], 2)
    assert [f"{p:.4f}" for p in two] == ["0.2160", "0.0503", "0.7337"]
    p, log_likelihood = shown(task["gene_counting"])
    assert [f"{share:.4f}" for share in p] == ["0.2136", "0.0501", "0.7363"]
    assert f"{log_likelihood:.2f}" == "-511.57"
    assert 1 / 0.01**2 == 10_000
    logs = task["site_frequencies"].example_inputs()["log_likelihoods"]
    assert logs.shape == (60, 40, 3)
    assert 2 * len(logs) == 120
    people = data.hapmap_trios("CEU")
    genotypes = people.genotypes[people.founders]
    whole = np.flatnonzero((genotypes >= 0).all(axis=0))[::11][:40]
    truth = genotypes[:, whole].mean(axis=0) / 2
    found = shown(task["site_frequencies"])
    calls = np.argmax(logs + np.log(np.stack([(1 - found) ** 2, 2 * found * (1 - found), found**2], axis=1)), axis=2)
    lost = np.where(truth < 0.5, 1, -1) * (calls.mean(axis=0) / 2 - truth)
    assert lost.mean() < -0.03
    assert abs(np.mean(np.where(truth < 0.5, 1, -1) * (found - truth))) < 0.01


def test_haplotypes():
    task = tasks("haplotypes")
    shares, _ = shown(task["phase_shares"])
    assert len(task["phase_shares"].example_inputs()["pairs"]) == 14  # six people are clear, four have two pairs
    np.testing.assert_allclose(shares[6::2], 48 / 57)
    assert f"{48 / 57:.3f}" == "0.842"
    assert [f"{20 * p:.2f}" for p in shown(task["count_haplotypes"])] == ["9.37", "1.63", "1.63", "7.37"]

    inputs = task["haplotype_em"].example_inputs()
    assert (len(inputs["G"]), 2 * len(inputs["G"]), len(data.apoe().people())) == (661, 1322, 2504)
    p, _ = shown(task["haplotype_em"])
    assert [f"{1322 * share:.0f}" for share in p[:3]] == ["835", "133", "351"]
    assert f"{1322 * p[3]:.2f}" == "2.96"
    settled, _ = task["haplotype_em"](inputs["G"], inputs["haplotypes"], inputs["start"], 400)
    np.testing.assert_allclose(p, settled, atol=1e-8)
    assert np.rint(1322 * data.apoe().phased[0]).tolist() == [833, 135, 353, 1]

    _, d_prime, r2 = shown(task["disequilibrium"])
    np.testing.assert_array_equal(task["disequilibrium"].example_inputs()["p"], data.apoe().phased[0])
    assert (f"{d_prime:.2f}", f"{r2:.3f}") == ("-0.97", "0.040")

    switches, pairs = shown(task["switch_errors"])
    assert (switches, pairs, f"{100 * switches / pairs:.1f}") == (162, 1988, "8.1")
    inputs = task["switch_errors"].example_inputs()
    phased, truth = inputs["phased"], inputs["truth"]
    assert truth.shape == (60, 2, 100)
    assert switch_errors(phased, truth) == (switches, pairs)
    known = (truth[:, 0] != truth[:, 1]) & (truth[:, 0] >= 0)
    assert f"{(phased[:, 0] != truth[:, 0])[known].mean():.1f}" == "0.5"
    # The story says that the sign of D lays each next to the one before: that of EM is nearly always that used here.
    genotypes, agree = phased.sum(axis=1), []
    for site in range(0, 99, 9):
        two = genotypes[:, site : site + 2]
        a, b = two.mean(axis=0) / 2
        start = np.outer([1 - a, a], [1 - b, b]).ravel()
        p, _ = task["haplotype_em"](two, np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), start, 50)
        agree.append(task["disequilibrium"](p)[0] * np.cov(two.T)[0, 1] > 0)
    assert np.mean(agree) > 0.9

    pair = shown(task["forward_step"])
    share = pair / pair.sum()
    assert [f"{x:.2f}" for x in np.sort(share, axis=None)[-4:]] == ["0.15", "0.15", "0.31", "0.31"]
    assert (share >= 0.05).sum() == 4


def test_motifs():
    tasks = load("motifs").functions
    shown = {name: (task.example_inputs(), task.expected(task.example_inputs())) for name, task in tasks.items()}

    scores = shown["log_odds"][1]
    assert len(scores) == 84
    assert [(j, f"{scores[j]:.1f}") for j in np.argsort(-scores)[:3]] == [(8, "11.1"), (72, "5.5"), (79, "2.9")]
    assert (scores > 2).sum() == 3

    bits, heights = shown["information"][1]
    assert f"{bits.sum():.1f}" == "9.8"
    best = np.array(list("ACGT"))[heights.argmax(axis=1)]
    assert "".join(best[3:8]) + "".join(best[14:19]) == "TGTGATCACA"

    r, _ = shown["e_step"][1]
    digits = [[0.860, 0.123, 0.018], [0.018, 0.860, 0.123], [0.020, 0.961, 0.020]]
    np.testing.assert_allclose(r, digits, atol=5e-4)
    np.testing.assert_allclose(shown["m_step"][1][1], [0.573, 0.006, 0.012, 0.409], atol=5e-4)

    gains = shown["climb"][1][1]
    assert [f"{gains[t - 1]:.0f}" for t in (6, 10, 19)] == ["38", "42", "71"]
    assert {f"{gain:.1f}" for gain in gains[23:]} == {"81.6"}
    assert len(gains) == 30

    inputs, (first, _) = shown["best_run"]
    counts, background = inputs["counts"], inputs["background"]
    assert (first, len(counts)) == (4, 28)
    X = shown["climb"][0]["X"]
    reached = [
        tasks["climb"](
            X, tasks["m_step"](X, _at(X, counts[a : a + 16], background), background, 0.01), background, 0.01, 60
        )
        for a in (6, first)
    ]
    assert [f"{gain[-1]:.0f}" for _, gain in reached] == ["61", "82"]
    assert len({X[i, j : j + 16].tobytes() for i in range(18) for j in range(90)}) <= 1620 == 18 * 90


def _at(X, counts, background):
    """Responsibilities under columns of counts."""
    pwm = counts + 0.01 * background
    return load("motifs").functions["e_step"](X, pwm / pwm.sum(axis=1, keepdims=True), background)[0]


def test_transcripts():
    task = tasks("transcripts")
    rna = data.hox_ugt()
    found = pseudoalign(rna.transcripts, rna.reads, rna.mates)

    # What is typed in the first cell is what the chapter finds.
    given = task["quantify"].example_inputs()
    classes, counts = shown(task["equivalence_classes"])
    np.testing.assert_array_equal(classes, given["classes"])
    np.testing.assert_array_equal(counts, given["counts"])
    assert len(task["equivalence_classes"].example_inputs()["fits"]) == counts.sum() == 1763
    effective = shown(task["effective_lengths"])
    np.testing.assert_array_equal(effective[:3].round(1), given["lengths"])
    np.testing.assert_allclose(effective[:3], found.classes.effective_lengths[:3])
    letters = task["effective_lengths"].example_inputs()["lengths"]
    np.testing.assert_array_equal(letters[:3], found.classes.lengths[:3])
    assert (letters[0], letters[3], letters[4], given["lengths"][0]) == (1924, 150, 60, 1746.8)
    fragments = task["effective_lengths"].example_inputs()["fragments"]
    assert (fragments.sum(), np.flatnonzero(fragments)[0], fragments.argmax() // 10) == (6884, 76, 17)
    assert (fragments @ np.arange(len(fragments)) / fragments.sum()).round() == 178
    assert f"{effective[3]:.1f} {151 - effective[3]:.0f} {effective[4]:.0f}" == "24.4 127 60"

    even = task["responsibilities"](np.full(3, 1 / 3), classes, given["lengths"])
    assert f"{even[2, 0]:.3f}" == "0.555"
    drawn = shown(task["responsibilities"])
    assert (100 * drawn[[2, 4]]).round().tolist() == [[13, 87, 0], [0, 83, 17]]
    assert (100 * drawn[5]).round().tolist() == [11, 73, 15]

    N, _ = shown(task["e_step"])
    assert [f"{n:.1f}" for n in N] == ["525.6", "793.7", "443.7"]
    assert f"{(counts / classes.sum(axis=1) @ classes)[0]:.0f}" == "511"

    toy = np.array([[1, 0], [0, 1], [1, 1]]), np.array([30, 10, 60]), np.ones(2)
    np.testing.assert_allclose(task["quantify"](*toy, 3)[0][:, 0], [0.5, 0.6, 0.66, 0.696])
    np.testing.assert_allclose(task["quantify"](*toy, 60)[0][-1, 0], 0.75)
    path, log_likelihoods = shown(task["quantify"])
    fragments = 1763 * path
    assert fragments[-1].round().tolist() == [102, 1592, 69]
    assert (fragments[0, 0].round(), abs(fragments[30, 1] / 1592 - 1) < 0.005) == (588, True)
    left = log_likelihoods[-1] - log_likelihoods
    assert [f"{left[0]:.0f}", f"{left[20]:.2f}", f"{left[40]:.4f}"] == ["242", "0.36", "0.0008"]
    assert f"{fragments[-1, 1] - fragments[20, 1]:.0f} {fragments[40, 0] - fragments[-1, 0]:.0f}" == "29 1"

    np.testing.assert_allclose(shown(task["tpm"]), rna.kallisto["tpm"], rtol=2e-5)
    assert (rna.genes[10], shown(task["tpm"])[10].round(), len(rna.genes)) == ("HOXC8", 476675, 14)
    assert shown(task["undecided"])[0] == 1
    assert shown(task["undecided"])[1].tolist() == [0, 0, 1, 1]


def test_transcripts_further():
    """The bootstrap and the bound that the end of the notebook suggests."""
    quantify = tasks("transcripts")["quantify"]
    classes, counts, lengths, _ = quantify.example_inputs().values()
    rng = np.random.default_rng(0)
    again = [1763 * quantify(classes, rng.multinomial(1763, counts / 1763), lengths, 200)[0][-1] for _ in range(60)]
    assert np.std(again, axis=0).round().tolist() == [23, 28, 19]
    sums = [np.std(np.delete(again, t, axis=1).sum(axis=1)) for t in range(3)]
    surer = [t for t in range(3) if sums[t] < min(np.delete(np.std(again, axis=0), t))]
    assert surer == [2]  # A + B, without C
    path, log_likelihoods = quantify(classes, counts, lengths, 200)
    bound = 1763 * np.log((path[1:] / path[:-1]).max(axis=1))
    assert (bound[:60] >= log_likelihoods[-1] - log_likelihoods[:60]).all()


def test_what_transcripts_cannot_tell():
    """The last function says what `TranscriptQuantifier.identifiability` says."""
    undecided = tasks("transcripts")["undecided"]
    for inputs in undecided.inputs(0).values():
        who = [np.flatnonzero(row) for row in inputs["classes"]]
        names = [str(t) for t in range(len(inputs["lengths"]))]
        classes = EquivalenceClasses.of(who, np.full(len(who), 10.0), names, inputs["lengths"])
        report = TranscriptQuantifier().fit(classes).identifiability()
        directions, found = undecided.expected(inputs)
        assert len(names) - report.rank == directions
        assert sorted(int(t) for group in report.groups for t in group) == np.flatnonzero(found).tolist()


def test_peptides():
    task, matches = tasks("peptides"), data.scope2()
    targets = ~matches.is_decoy
    q = shown(task["competition"])[targets]
    assert (len(matches.scores), targets.sum(), (~targets).sum()) == (7578, 5524, 2054)
    assert [int((q <= limit).sum()) for limit in (0.01, 0.05)] == [2854, 3453]
    assert f"{2054 / 5524:.3f}" == "0.372"
    last = matches.scores[targets][q <= 0.01].min()
    assert (matches.scores[~targets] >= last).sum() == 27
    assert round((q <= 0.005).sum(), -1) == 2660
    error, _ = shown(task["e_step"])
    assert [f"{e:.2f}" for e in error[[3, 5]]] == ["0.73", "0.02"]
    assert f"{shown(task['m_step'])[0]:.2f}" == "0.43"
    share, normal, gumbel, _ = shown(task["climb"])
    assert f"{share:.3f}" == "0.338"
    scores = np.linspace(3, 5, 201)
    middle, _ = task["e_step"](scores, np.zeros(201, bool), share, normal, gumbel)
    assert f"{scores[np.abs(middle - 0.5).argmin()]:.1f}" == "3.9"

    errors = task["q_values"].example_inputs()["errors"]
    q = shown(task["q_values"])
    assert (int((q <= 0.01).sum()), int((errors <= 0.01).sum())) == (2954, 2452)
    assert (f"{errors[q <= 0.01].max():.2f}", f"{q.max():.2f}") == ("0.15", "0.34")
    decoys, expected, z = shown(task["calibration"])
    assert (decoys.sum(), round(expected.sum())) == (2054, 1868)
    assert (z[:6] < 0).tolist() == [False] + 5 * [True]
    assert np.abs(z).max() < 2.5
    assert (decoys[8], round(expected[8]), decoys[9:].sum()) == (8, 2, 0)

    inputs = task["protein_step"].example_inputs()
    own = inputs["candidates"][inputs["candidates"].sum(axis=1) == 1].sum(axis=0)
    assert own[2] == 0
    assert inputs["candidates"].sum(axis=0)[2] == 5
    shares = inputs["shares"]
    for _ in range(5):
        shares, _, _ = task["protein_step"](inputs["candidates"], inputs["probabilities"], shares)
    assert shares[2] < 0.0001
    fit = ProteinInference().fit([np.flatnonzero(row) for row in inputs["candidates"]], inputs["probabilities"])
    np.testing.assert_allclose(np.sort(shares), np.sort(fit.shares_), atol=1e-3)


def test_peptides_further():
    """The M-step that the end of the notebook suggests, with the number of decoys as evidence."""
    task, matches = tasks("peptides"), data.scope2()
    scores, is_decoy = matches.scores, matches.is_decoy
    share, normal, gumbel = 0.5, np.array([3.0, 1.0]), np.array([6.0, 2.0])
    values, D, n = [], is_decoy.sum(), len(scores)
    for _ in range(80):
        error, value = task["e_step"](scores, is_decoy, share, normal, gumbel)
        values.append(value + D * np.log(share) - n * np.log1p(share))
        _, normal, gumbel = task["m_step"](scores, is_decoy, error)
        share = error.sum() / 2 / (error.sum() / 2 + (1 - error).sum())
    assert (np.diff(values) > -1e-8).all()
    accepted = (task["q_values"](error[~is_decoy]) <= 0.01).sum()
    assert abs(accepted - 2854) < 2954 - 2854
    whole = ScoreMixture("gaussian").fit(scores, is_decoy)
    assert abs(share - whole.pi0_) < 1e-3
    assert abs(accepted - whole.accepted(0.01).sum()) <= 3


def test_cell_types():
    task, cells = tasks("cell_types"), data.pbmc()
    r, _ = shown(task["e_step"])
    assert r.argmax(axis=1).tolist() == [0, 0, 1, 1, 2, 2, 1, 1]
    assert r[6:, 1].min() > 0.99

    weights, rates = shown(task["m_step"])
    assert (700 * weights).round().tolist() == [95, 31, 129, 445]
    assert np.isfinite(rates).all()
    table, index = shown(task["adjusted_rand"])
    assert (table.shape, f"{index:.2f}") == ((4, 10), "0.52")
    names = np.unique(cells.cell_types).tolist()
    assert table[:, names.index("CD14+ Monocyte")].argmax() == 0
    assert table[:, names.index("CD19+ B")].argmax() == 1
    assert table[:, names.index("CD56+ NK")].argmax() == 2
    assert table[:, names.index("Dendritic")].argsort()[:-3:-1].tolist() == [3, 0]

    # What is typed in the example is what the chapter fits.
    named = cells.cell_types == "CD19+ B"
    depth = cells.total_umi / np.median(cells.total_umi)
    inputs = task["zeros_expected"].example_inputs()
    for x, mean, size in zip(inputs["counts"].T, inputs["means"], inputs["sizes"], strict=True):
        fit = NegativeBinomialMixture(exposure=True, accelerate="squarem", tol=1e-4)
        fit.fit(np.column_stack([depth[named], x]))
        np.testing.assert_allclose([mean, size], [fit.means_.item(), fit.sizes_.item()], rtol=2e-3)
    zeros = np.array(shown(task["zeros_expected"])).round()
    assert zeros.T[[2, 3]].tolist() == [[34, 9, 31], [20, 0, 15]]
    assert zeros[0].tolist() == [1, 12, 34, 20, 9]
    assert zeros[1, [0, 1, 4]].max() < 1

    s = shown(task["zero_step"])[0]
    seen = task["zero_step"].example_inputs()["counts"]
    assert s[:, 2][seen[:, 2] == 0].min() > 0.99
    assert [f"{end(s[:, 1][seen[:, 1] == 0]):.2f}" for end in (np.min, np.max)] == ["0.32", "0.98"]
    assert s[:, 0][seen[:, 0] == 0].round(2).tolist() == [1.0]
    eight = np.array([[0], [0], [0], [0], [3], [1], [2], [4]])
    _, pi, rate, _ = task["zero_step"](eight, np.ones(8), np.array([0.5]), np.log([4.0]))
    np.testing.assert_allclose([pi[0], rate[0]], [0.4, 10 / 4.8])

    chances, means = shown(task["contents"])
    np.testing.assert_allclose(chances.sum(), 1)
    np.testing.assert_allclose(means[3], means[0])  # half of one profile plus half of the same
    held = task["doublet_step"].example_inputs()["responsibilities"]
    assert f"{held[0, 3]:.2f}" == "0.72"
    assert held[4:, 3].min() > 0.99
    for K in (1, 2, 3, 8):
        assert len(task["contents"](np.full(K, 1 / K), np.ones((K, 2)), 0.1, 1.0)[0]) == K * (K + 3) // 2


def test_cell_types_further():
    """The doublet detector that the end of the notebook suggests."""
    task, cells = tasks("cell_types"), data.pbmc()
    rng = np.random.default_rng(0)
    order = rng.permutation(700)
    pairs, alone = order[:140].reshape(70, 2), order[140:]
    counts, total = (
        np.concatenate([a[alone], a[pairs].sum(axis=1)]) for a in (cells.counts, cells.total_umi.astype(float))
    )
    assert (len(alone), len(pairs)) == (560, 70)
    exposures = total / np.median(total)
    weights, rates = task["m_step"](counts, exposures, rng.dirichlet(np.ones(5), size=len(counts)))
    delta, values = 0.1, []
    for _ in range(40):
        r, value = task["e_step"](counts, exposures, *task["contents"](weights, rates, delta, 0.5))
        values.append(value)
        delta, weights, rates = task["doublet_step"](counts, exposures, r, rates, 0.5)
    assert (np.diff(values) > -1e-6).all()
    assert values[-1] > values[0] + 1000

    def area(score):
        return (score[560:, None] > score[:560]).mean() + (score[560:, None] == score[:560]).mean() / 2

    assert 0.6 < area(r[:, 5:].sum(axis=1)) < area(total)


def test_annotators():
    task, teeth = tasks("annotators"), data.caries()
    shares = shown(task["votes"])
    assert shares[6].round(2).tolist() == [0.57, 0.43, 0, 0]
    _, tables = shown(task["m_step"])
    np.testing.assert_array_equal(np.round(100 * tables[:, 0, 1]), [3, 13, 5, 5, 31])
    np.testing.assert_array_equal(np.round(100 * tables[:, 1, 1]), [33, 61, 45, 40, 89])
    np.testing.assert_array_equal(np.round(100 * shown(task["e_step"])[0][1:3, 1]), [13, 3])

    prevalence, _, _ = shown(task["dawid_skene"])
    np.testing.assert_array_equal(prevalence.round(2), [0.40, 0.42, 0.11, 0.07])
    share, tables, values = task["dawid_skene"](teeth.ratings, np.arange(5), teeth.counts, 2, 100)
    assert f"{values[-1]:.3f}" == "-7410.942"
    assert f"{share[1]:.4f}" == "0.1997"
    voted = task["votes"](teeth.ratings, 2)[:, 1]
    assert (f"{teeth.counts @ voted / 3859:.4f}", f"{teeth.counts @ (voted > 0.5) / 3859:.3f}") == ("0.1967", "0.135")

    cautious, _ = shown(task["cautious_tables"])
    assert (f"{cautious[5, 1, 1]:.3f}", f"{cautious[5, 0, 0]:.2f}") == ("0.375", "0.95")
    assert np.abs(cautious[:5] - tables).max() < 0.01

    infected, alarms, misses, _ = shown(task["two_tests"])
    np.testing.assert_array_equal(infected.round(4), [0.0268, 0.7168])
    np.testing.assert_array_equal([alarms.round(4), misses.round(4)], [[0.0067, 0.0159], [0.0339, 0.0312]])
    one = data.tuberculin()[:1]
    ends = [
        task["two_tests"](one, np.array([p]), np.full(2, e), np.full(2, e), 5000) for p, e in ((0.1, 0.1), (0.3, 0.2))
    ]
    np.testing.assert_allclose(ends[0][3][-1], ends[1][3][-1], atol=1e-3)
    assert abs(ends[0][0] - ends[1][0])[0] > 0.01

    expected, deviance, freedom = shown(task["misfit"])
    assert (f"{expected[-1]:.1f}", int(teeth.counts[-1]), f"{deviance:.0f}", freedom) == ("57.5", 100, "130", 20)
    assert teeth.counts.max() == 1880


def test_annotators_further():
    """The two walks that the end of the notebook suggests, the first one shortened."""
    task, teeth, rng = tasks("annotators"), data.caries(), np.random.default_rng(0)
    found = []
    for _ in range(60):
        counts = rng.multinomial(3859, teeth.counts / 3859) + 1
        found.append(task["dawid_skene"](teeth.ratings, np.arange(5), counts, 2, 60)[0][1])
    assert 0.008 < np.std(found) < 0.013
    assert f"{DawidSkene().fit(teeth.ratings, counts=teeth.counts).standard_errors().prevalence[0, 1]:.2f}" == "0.01"
    ends = DawidSkene([0, 0, 0, 1, 2, 3, 4], n_init=5, random_state=0).fit(data.anaesthetists()).starts_
    assert np.ptp([start.log_likelihood for start in ends]) > 0.1


def test_hmm():
    tasks = load("hmm").functions
    shown = {name: (task.example_inputs(), task.expected(task.example_inputs())) for name, task in tasks.items()}

    assert f"{np.exp(shown['log_joint_of_path'][1]):.6f}" == "0.001875"
    assert len(str(2**300)) == 91

    log_alpha, log_likelihood = shown["forward"][1]
    assert len(log_alpha) == 1000
    assert (log_alpha.max(axis=1) >= np.log(np.nextafter(0, 1))).sum() == 439  # then exp gives zero
    assert round(log_likelihood, -1) == -1690
    assert 5 < np.exp(-log_likelihood / 1000) < 6

    counts = data.earthquakes()[:, 0]
    assert (len(counts), counts[23], counts[57]) == (107, 23, 34)
    assert [f"{rate:.1f}" for rate in PoissonHMM(2, random_state=0).fit(counts[:, None]).lambdas_[:, 0]] == [
        "15.4",
        "26.0",
    ]
    busy = shown["responsibilities"][1][:, 1]
    assert [f"{busy[year]:.2f}" for year in (23, 57)] == ["0.06", "0.94"]
    high = np.isin(np.arange(1900, 2007), [*range(1905, 1917), *range(1935, 1951), 1957, *range(1968, 1972)])
    half = np.isin(np.arange(1900, 2007), range(1973, 1977))
    assert busy[high].min() > 0.85
    assert busy[half].min() > 0.4
    assert busy[half].max() < 0.6
    assert round(shown["expected_moves"][1].sum(), 6) == 106

    emissionprob = shown["baum_welch_step"][1][2]
    assert emissionprob[:, 5].round(2).tolist() == [0.26, 0.39]
    others = emissionprob[:, :5]
    assert others.min(axis=1).round(2).tolist() == [0.14, 0.11]
    assert others.max(axis=1).round(2).tolist() == [0.16, 0.13]

    inputs, (path, _) = shown["viterbi"]
    assert len(path) == 485
    changes = 100 * (np.flatnonzero(np.diff(path)) + 1)
    assert changes.tolist() == [200, 22500, 31500, 33200, 38400, 46400]
    assert path[0] == 0
    assert np.abs(changes[1:] - [22499, 31224, 33186, 38365, 46493]).max() <= 300  # those of the chapter
    evidence = inputs["log_density"] @ [-1, 1]
    assert (evidence.min().round(), evidence.max().round()) == (-17, 15)


# ---------------------------------------------------------------- projects
def test_phase_a_region():
    families = data.hapmap_trios("YRI")
    assert families.genotypes[families.trios[:, 1:]].reshape(60, -1).shape == (60, 603)
    assert {
        name: len(posed.inputs["genotypes"]) for name, posed in tasks("phase_a_region")["phase"].posed(0).items()
    } == {
        "a stretch in Ibadan": 60,
        "another stretch": 60,
        "a simulated population": 60,
    }


def test_motif_in_peaks():
    assert len(data.ctcf_peaks()) == 500
    assert {len(letters) for _, letters in data.ctcf_peaks()} == {200}
    for posed in tasks("motif_in_peaks")["find_motif"].posed(0).values():
        assert posed.inputs["sequences"].shape == (60, 100)
        assert len(posed.truth["unseen"]) >= 300
    assert data.jaspar_matrices()["MA0139.1"].shape == (19, 4)
    sites, _, sure = motif_in_peaks._known_sites()
    assert sites.shape == (500, 19)
    assert 0.9 < sure.mean() < 0.95  # "as it does in nine of ten"


def test_blood_cells():
    blood = data.pbmc()
    assert blood.pcs.shape == (700, 10)
    of_cd4 = [name for name in blood.cell_types if name.startswith("CD4+")]
    assert (len(of_cd4), of_cd4.count("CD4+/CD25 T Reg")) == (95, 68)
    K, d = 10, 10
    assert K * (1 + d + d * (d + 1) // 2) - 1 == 659
    assert (d * (d + 1) // 2, 1 + d + d * (d + 1) // 2) == (55, 66)
    for posed in tasks("blood_cells")["density"].posed(0).values():
        assert (len(posed.inputs["cells"]), len(posed.truth["unseen"])) == (400, 300)


@pytest.mark.slow
def test_blood_cells_by_bic():
    """'BIC would choose three or four components': on the three drops of one draw, from the project's own fits."""
    chosen = []
    for posed in tasks("blood_cells")["cluster"].posed(0).values():
        cells, rng = posed.inputs["cells"], np.random.default_rng(0)
        bic = {}
        for K in range(2, 7):
            mean = blood_cells.e_step(cells, *blood_cells.fit(cells, K, rng))[1]
            bic[K] = -2 * len(cells) * mean + np.log(len(cells)) * (66 * K - 1)
        chosen.append(min(bic, key=bic.get))
    assert set(chosen) <= {3, 4}
