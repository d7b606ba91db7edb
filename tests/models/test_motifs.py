"""Motifs: exact sums over places, known sites, and sentences for what is no DNA."""

from __future__ import annotations

import itertools
import sys
import types
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import betaln, logsumexp

import emlib
from emlib.engine import em
from emlib.engine.latent import HARD, SOFT, sampled
from emlib.models.motifs import (
    Background,
    DNASequences,
    MotifFinder,
    MotifGibbs,
    MotifModel,
    MotifParams,
    MotifPrior,
    read_jaspar,
    read_meme,
    similarity,
    to_bed,
    to_jaspar,
    to_meme,
)
from emlib.models.motifs.averaged import AveragedMotifs
from emlib.models.motifs.columns import KnownColumns, averaging_prior, best_run
from emlib.models.motifs.finder import _covered
from emlib.models.motifs.masks import low_complexity
from emlib.models.motifs.model import MotifStats, log_evidence, stacked, unstacked
from emlib.models.motifs.places import covered
from emlib.models.motifs.scan import ScoreTable
from emlib.models.motifs.search import Found, Search
from emlib.models.motifs.sequences import decode, encode
from emlib.models.motifs.significance import EXACT, log_column_p, log_product_p

from ..conformance import checks
from ..conformance.cases import CASES

QUARTER = np.full(4, 0.25)
PWM = np.array([[0.7, 0.1, 0.1, 0.1], [0.05, 0.15, 0.7, 0.1], [0.1, 0.2, 0.1, 0.6]])


def planted(word="TTGACATATAAT", n=12, L=60, seed=0):
    rng = np.random.default_rng(seed)
    drawn = ["".join(rng.choice(list("ACGT"), L)) for _ in range(n)]
    return [s[: 10 + i] + word + s[10 + i :] for i, s in enumerate(drawn)]


# ------------------------------------------------------------------ the model


def placements(L, w, t=0):
    if t > L - w:
        return [[]]
    return placements(L, w, t + 1) + [[t, *rest] for rest in placements(L, w, t + w)]


def test_any_number_counts_letters_over_all_placements():
    rng = np.random.default_rng(3)
    background = Background.given(rng.dirichlet([5] * 4, size=4))  # order 1
    model, x, rate = MotifModel("anr", "+", background), rng.integers(0, 4, 9), 0.3
    log_letters = background.log_probability(x[None])[0]
    weights, letters, missed = [], [], []
    for sites in placements(9, 3):
        value, counts = log_letters.sum(), np.zeros((3, 4))
        for t in sites:
            value += np.log(PWM[range(3), x[t : t + 3]]).sum() - log_letters[t : t + 3].sum()
            counts[range(3), x[t : t + 3]] += 1
        chances = sum(not any(t <= j < t + 3 for t in sites) for j in range(7))
        weights.append(np.exp(value) * rate ** len(sites) * (1 - rate) ** chances)
        letters.append(counts)
        missed.append(chances)
    p = np.array(weights) / sum(weights)
    stats, value = model.e_step(x[None], MotifParams(PWM, rate))
    np.testing.assert_allclose(value, np.log(sum(weights)))
    np.testing.assert_allclose(stats.letters, np.einsum("k,kwa->wa", p, letters))
    np.testing.assert_allclose(stats.missed, p @ missed)


def test_unknown_letters_hold_no_site_and_ends_do_not_matter():
    model = MotifModel("oops", "both")
    alone = [encode("ACGTTGAN"), encode("NNACGTAG")]
    together = DNASequences([*alone, encode("AC"), encode("NNNNNN")])
    stats, value = model.e_step(together, MotifParams(PWM))
    parts = [model.e_step(one[None], MotifParams(PWM)) for one in alone]
    np.testing.assert_allclose(stats.letters, sum(part[0].letters for part in parts))
    assert stats.sites == 2.0
    np.testing.assert_allclose(value, sum(part[1] for part in parts) + 2 * np.log(0.25))


def test_a_palindrome_is_its_own_reverse_complement():
    model, data = MotifModel("oops", "+", palindrome=True), np.random.default_rng(0).integers(0, 4, (20, 30))
    fit = em.fit(model, data, MotifParams(np.full((6, 4), 0.25) + np.tile([0.1, -0.1, 0.0, 0.0], (6, 1))), max_iter=30)
    np.testing.assert_allclose(fit.params.pwm, fit.params.pwm[::-1, ::-1])
    drawn = model.draw(model.e_step(data, fit.params)[0], MotifPrior(np.ones(4)), np.random.default_rng(1))
    np.testing.assert_allclose(drawn.pwm, drawn.pwm[::-1, ::-1])


@pytest.mark.parametrize("width", [4, 5])
def test_a_palindrome_stays_one_under_a_prior_of_one_strand(width):
    rng = np.random.default_rng(0)
    model, prior = MotifModel("oops", "+", palindrome=True), MotifPrior(1.0 + 5.0 * np.array([0.4, 0.3, 0.2, 0.1]))
    stats = MotifStats(rng.gamma(2.0, 4.0, (width, 4)), 30.0, 0.0, 0.0)
    pwm = model.m_step(stats, prior).pwm
    np.testing.assert_allclose(pwm, pwm[::-1, ::-1])

    def objective(columns):
        return float((stats.letters * np.log(columns)).sum()) + model.log_prior(MotifParams(columns), prior)

    for other in rng.dirichlet(np.ones(4), (200, width)):  # no palindrome nearby is better
        nearby = pwm + 1e-3 * (other + other[::-1, ::-1] - 2.0 * pwm)
        assert objective(nearby) < objective(pwm)
    draws = np.array([model.draw(stats, prior, rng).pwm for _ in range(2000)])
    np.testing.assert_allclose(draws, draws[:, ::-1, ::-1])
    if width % 2:  # A and T of the middle column are one outcome, C and G the other: a beta posterior
        paired = stats.letters[2] + prior.letters
        expected = (paired + paired[::-1]) / 2 / paired.sum()
        np.testing.assert_allclose(draws[:, 2].mean(axis=0), expected, atol=0.005)


@pytest.mark.parametrize("width", [(8, 12), 10])
def test_a_palindrome_of_even_width_is_found(width):
    found = MotifFinder(width=width, palindrome=True, random_state=0).fit(planted("TTGACGTCAA")).motifs_[0]
    assert found.consensus == "TTGACGTCAA"


@pytest.mark.parametrize(("finder", "width"), [(MotifFinder, 8), (MotifGibbs, 11)])
def test_what_is_found_is_a_palindrome_though_there_is_none(finder, width):
    pwm = finder(width=width, palindrome=True, random_state=0).fit(planted("TTGACATATAAT")).motifs_[0].pwm
    np.testing.assert_allclose(pwm, pwm[::-1, ::-1])


def test_palindromes_even_and_odd_are_compared():
    data, prior = DNASequences([encode("ACGT" * 10)]), MotifPrior(np.ones(4))
    widths = {p: Search(MotifModel(palindrome=p), data, prior, (6, 20)).screened_widths() for p in (False, True)}
    assert {w % 2 for w in widths[True]} == {0, 1}
    assert set(widths[False]) <= set(widths[True]) <= set(range(6, 21))
    assert Search(MotifModel(palindrome=True), data, prior, (8, 8)).screened_widths() == [8]


@pytest.mark.parametrize("occurrences", ["oops", "zoops", "anr"])
def test_flanks_are_counted_beside_the_sites(occurrences):
    """A motif between its flanks: the middle of a wide count is the narrow count."""
    data = np.random.default_rng(2).integers(0, 4, (6, 15))
    model = MotifModel(occurrences, "both")
    params = MotifParams(PWM, 1.0 if occurrences == "oops" else 0.2)
    narrow, wide = model.e_step(data, params, HARD)[0], replace(model, reach=2).e_step(data, params, HARD)[0]
    np.testing.assert_allclose(wide.letters[2:-2], narrow.letters)
    assert (wide.letters[:2].sum(axis=1) <= narrow.sites).all()


def test_single_precision_is_the_same_to_six_digits():
    data = DNASequences(list(np.random.default_rng(2).integers(0, 4, (30, 80)).astype(np.int8)))
    pack = stacked([MotifParams(PWM, 0.4), MotifParams(PWM[::-1], 0.6)])
    for occurrences in ("zoops", "anr"):
        model = MotifModel(occurrences, "both")
        exact, near = (m.e_step(data, pack)[0] for m in (model, replace(model, precision="single")))
        np.testing.assert_allclose(near.letters, exact.letters, rtol=1e-4)
        np.testing.assert_allclose(near.values, exact.values, rtol=1e-6)


def test_slips_are_not_what_the_model_does():
    """Known-wrong answers of the chapter differ from the E-step where they should."""
    data, params = np.array([encode("AGTCCA"), encode("CCACTC")]), MotifParams(PWM)
    right = MotifModel("oops", "+").e_step(data, params)[0].letters
    reverse = MotifModel("oops", "both").e_step(data, params)[0].letters
    skewed = MotifModel("oops", "+", Background.given([0.4, 0.3, 0.2, 0.1])).e_step(data, params)[0].letters
    assert np.abs(right - reverse).max() > 0.1  # reverse strand forgotten
    assert np.abs(right - skewed).max() > 0.01  # background absorbed
    np.testing.assert_allclose(right.sum(axis=1), 2.0)  # normalised within each sequence, not over all


def test_a_shift_is_drawn_back():
    """Gibbs: columns one letter off are moved where the letters are."""
    rng = np.random.default_rng(0)
    letters = np.tile(5.0, (7, 4))
    letters[3:6, 0] += 40  # three strong columns, one to the right of the middle
    model = MotifModel("oops", "+", reach=2)
    stats = replace(model.e_step(np.zeros((1, 9), dtype=int), MotifParams(PWM))[0], letters=letters)
    drawn = model.draw(stats, MotifPrior(np.ones(4)), rng)
    assert (drawn.pwm[:, 0] > 0.5).all()


# ------------------------------------------------------------------ columns averaged over


@pytest.mark.parametrize("occurrences", ["oops", "zoops"])
def test_the_bound_is_below_the_evidence_and_climbs(occurrences):
    """The evidence of four short sequences: all placements, columns integrated out in closed form."""
    rng, w, alpha, beta = np.random.default_rng(4), 2, np.full(4, 0.7), (2.0, 3.0)
    data = rng.integers(0, 4, (4, 5))
    model, prior = AveragedMotifs(occurrences, "+"), MotifPrior(alpha, beta)
    places = [None, 0, 1, 2, 3] if occurrences == "zoops" else [0, 1, 2, 3]
    terms = []
    for chosen in itertools.product(places, repeat=4):
        letters, n = np.zeros((w, 4)), 0
        for x, j in zip(data, chosen, strict=True):
            if j is not None:
                letters[range(w), x[j : j + w]] += 1
                n += 1
        value = log_evidence(letters, alpha).sum() + (20 - n * w) * np.log(0.25) - n * np.log(4)
        if occurrences == "zoops":
            value += betaln(n + beta[0], 4 - n + beta[1]) - betaln(*beta)
        terms.append(value)
    exact = logsumexp(terms)
    start = model.begin(np.array([PWM[:w]]), np.array([1.0 if occurrences == "oops" else 0.4]), prior)
    bounds = []
    fit = em.fit(
        model,
        data,
        unstacked(start)[0],
        prior=prior,
        callback=lambda step: bounds.append(float(model.evidence(step.params, step.stats, prior))),
    )
    assert fit.converged
    assert np.diff(fit.trace).min(initial=0.0) >= -1e-12
    assert exact - 3.0 < bounds[-1] <= exact + 1e-9
    if occurrences == "oops":  # ... and the objective is that bound
        np.testing.assert_allclose(fit.trace[-1], bounds[-1], atol=1e-6)


@pytest.mark.parametrize("occurrences", ["oops", "zoops", "anr"])
def test_no_other_posterior_of_the_columns_is_better(occurrences):
    """Stationarity, moved along the letters that the posteriors have seen instead of along the columns."""
    data, prior = np.random.default_rng(4).integers(0, 4, (40, 12)), averaging_prior(MotifModel("zoops"))
    model = AveragedMotifs(occurrences, "both")
    start = model.begin(np.array([PWM]), np.array([1.0 if occurrences == "oops" else 0.3]), prior)
    fit = em.fit(model, data, unstacked(start)[0], prior=prior, tol=1e-12, max_iter=20_000)
    stats, _ = model.e_step(data, fit.params)

    def bound(letters):
        params = model.m_step(replace(stats, letters=letters), prior)
        return model.e_step(data, params)[1] + model.log_prior(params, prior)

    np.testing.assert_allclose(bound(stats.letters), fit.trace[-1], atol=1e-6)
    rng, h = np.random.default_rng(0), 1e-3
    for _ in range(5):
        way = rng.uniform(-1, 1, stats.letters.shape) * stats.letters
        up, down, here = bound(stats.letters + h * way), bound(stats.letters - h * way), bound(stats.letters)
        assert abs(up - down) / (2 * h) < 1e-3
        assert max(up, down) <= here + 1e-9


def test_sharp_and_vague_columns():
    """A mixture of Dirichlet priors against sums over its kinds, letter by letter (Polya's urn)."""
    known = KnownColumns(np.array([[0.3] * 4, [5.0, 4.0, 3.0, 2.0]]), np.array([[0.4, 0.6], [0.9, 0.1]]))
    letters = np.array([[3.0, 0, 1, 0], [2.0, 1, 0, 1], [0.0, 0, 4, 0]])
    for i, distance in enumerate((0, 1, 0)):
        each, means = [], []
        for shape, share in zip(known.shapes, known.shares[distance], strict=True):
            urn, p = shape.copy(), share
            for a in np.repeat(range(4), letters[i].astype(int)):
                p *= urn[a] / urn.sum()
                urn[a] += 1
            each.append(p)
            means.append(urn / urn.sum())
        np.testing.assert_allclose(np.exp(known.log_evidence(letters[i], distance)), sum(each))
        np.testing.assert_allclose(known.mean(letters)[i], np.average(means, axis=0, weights=each))
    one, (alpha, logs) = KnownColumns.of(MotifPrior(np.full(4, 0.5))), (0.5 + letters, known.expected_log(letters)[0])
    np.testing.assert_allclose(one.mean(letters), alpha / alpha.sum(axis=1, keepdims=True))
    assert (np.exp(logs).sum(axis=1) < 1).all()  # Jensen


def test_the_run_that_lies_best():
    """Sharp columns are inside; with a vague end in doubt, the choice is between both."""
    sharp, flat = np.array([28.0, 1, 1, 0]), np.full(4, 7.5)
    letters = np.array([flat] * 4 + [sharp] * 8 + [flat] * 4)
    prior, log_letters = averaging_prior(MotifModel("zoops")), letters @ np.log(QUARTER)
    first, width = best_run(letters, log_letters, prior, (6, 20))
    assert first <= 4
    assert first + width >= 12
    assert width <= 11
    assert best_run(letters, log_letters, prior, (5, 5))[1] == 5
    assert best_run(letters, log_letters, prior, (8, 8)) == (4, 8)


def test_versions_that_agree_settle_it():
    """Three versions within a nat: not the most probable, which calls other letters, but one of the two that agree."""
    data = DNASequences([encode("ACGTACGTACGTACGT")] * 4)
    search = Search(MotifModel("zoops", "+"), data, MotifPrior(np.ones(4)), (3, 6), averaging=True)

    def version(word, evidence):
        pwm = 0.002 + 0.992 * np.eye(4)[encode(word)]
        params = MotifParams(pwm, 0.9)
        return Found(types.SimpleNamespace(params=params), params, 0.0, None, 0.0, 4, evidence, 4.0)

    versions = [version("TAC", 0.5), version("GTACG", 0.0), version("CGTACG", 0.2)]
    assert search.agreed(versions) is not versions[0]
    assert search.agreed([version("TAC", 50.0), *versions[1:]]).evidence == 50.0
    lone = replace(versions[0], n_sites=1.0, evidence=1e3)  # too few sites to be believed
    assert search.agreed([lone, versions[1]]) is versions[1]


def test_covered_positions_are_numbered_through():
    model, data = MotifModel("oops", "+"), DNASequences([encode("CCTATCC"), encode("TATGG")])
    sites = emlib.models.motifs.places.sites_of(model, data, MotifParams(0.01 + 0.96 * np.eye(4)[encode("TAT")]))
    assert covered(data, sites).tolist() == [2, 3, 4, 7, 8, 9]


@pytest.mark.parametrize("width", [6, 7])
def test_averaging_climbs_for_palindromes(width):
    data = np.random.default_rng(0).integers(0, 4, (20, 30))
    model, prior = AveragedMotifs("zoops", "+", palindrome=True), MotifPrior(np.full(4, 1 / 3), (4.0, 2.0))
    pwm = np.full((1, width, 4), 0.25) + np.tile([0.1, -0.1, 0.0, 0.0], (width, 1))
    fit = em.fit(model, data, unstacked(model.begin(pwm, np.array([0.5]), prior))[0], prior=prior)
    assert fit.converged
    np.testing.assert_allclose(fit.params.pwm, fit.params.pwm[::-1, ::-1])


def test_a_bound_with_the_wrong_divergence_would_fall():
    """The mutant of the test above: a divergence of another prior is no part of this objective."""

    class Wrong(AveragedMotifs):
        def log_prior(self, params, prior):
            return -super().log_prior(params, prior)

    data, prior = np.random.default_rng(4).integers(0, 4, (4, 5)), MotifPrior(np.full(4, 0.7))
    start = unstacked(Wrong().begin(np.array([PWM[:2]]), np.ones(1), prior))[0]
    with pytest.warns(RuntimeWarning, match="lowered the objective"):
        assert em.fit(Wrong(), data, start, prior=prior).reason == "decreased"


# ------------------------------------------------------------------ significance


def test_column_p_values_are_sums_over_all_words():
    p = np.array([0.4, 0.3, 0.2, 0.1])
    counts = np.array([3.0, 0, 1, 1])

    def score(c):
        c = np.asarray(c, dtype=float)
        return sum(x * np.log(x / (c.sum() * q)) for x, q in zip(c, p, strict=True) if x)

    total = 0.0
    for word in itertools.product(range(4), repeat=5):
        if score(np.bincount(word, minlength=4)) >= score(counts) - 1e-9:
            total += p[list(word)].prod()
    np.testing.assert_allclose(np.exp(log_column_p(counts, p)), total)
    np.testing.assert_allclose(log_column_p(3 * counts, p, exact=False), log_column_p(3 * counts, p), atol=0.7)


@pytest.mark.parametrize("p", [[0.25] * 4, [0.4, 0.3, 0.2, 0.1], [0.4, 0.1, 0.1, 0.4]])
def test_the_limit_law_errs_towards_caution(p):
    """What the docstring says of columns of more letters than are summed exactly."""
    rng, p = np.random.default_rng(0), np.array(p)
    counts = np.array([rng.multinomial(EXACT, rng.dirichlet(4 * [a])) for a in (0.1, 0.3, 1, 5) for _ in range(50)])
    counts = np.concatenate([counts, EXACT * np.eye(4)]).astype(float)
    excess = log_column_p(counts, p, exact=False) - log_column_p(counts, p)
    assert excess.min() > np.log(0.5)
    assert np.log(3) < excess.max() < np.log(100)


def test_product_of_p_values():
    u = np.random.default_rng(0).random((200_000, 3)).prod(axis=1)
    for x in (0.3, 0.01, 1e-3):
        np.testing.assert_allclose(np.exp(log_product_p(np.log(x), 3)), (u <= x).mean(), rtol=0.05)


def test_scores_have_exact_p_values():
    table = ScoreTable.of(PWM, np.array([0.4, 0.3, 0.2, 0.1]))
    p = np.array([0.4, 0.3, 0.2, 0.1])
    words = list(itertools.product(range(4), repeat=3))
    scores = np.array([table.scores[range(3), word].sum() for word in words])
    for s in scores:
        exact = sum(p[list(word)].prod() for word, other in zip(words, scores, strict=True) if other >= s)
        np.testing.assert_allclose(table.tail[s], exact)


# ------------------------------------------------------------------ the finders


def crp_hits(finder):
    known, motif = emlib.data.crp_promoters().sites, finder.motifs_[0]
    middles = [(s.sequence, s.start + motif.width / 2) for s in motif.sites]
    return sum(any(i == j and abs(m - k - 11) <= 3 for i, m in middles) for j, own in enumerate(known) for k in own)


@pytest.mark.slow
@pytest.mark.parametrize(("occurrences", "least"), [("oops", 17), ("zoops", 16), ("anr", 20)])
@pytest.mark.parametrize("seed", range(5))
def test_crp(occurrences, least, seed):
    finder = MotifFinder((16, 22), occurrences, random_state=seed).fit(emlib.data.crp_promoters().sequences)
    assert crp_hits(finder) >= least
    assert finder.motifs_[0].e_value < 1e-3


@pytest.mark.slow
def test_crp_by_gibbs():
    finder = MotifGibbs((16, 22), "oops", random_state=0).fit(emlib.data.crp_promoters().sequences)
    assert crp_hits(finder) >= 16


@pytest.mark.slow
def test_ctcf():
    finder = MotifFinder(random_state=0).fit(emlib.data.ctcf_peaks())
    known = emlib.data.jaspar_matrices()["MA0139.1"]
    assert similarity(finder.motifs_[0].pwm, known / known.sum(axis=1, keepdims=True), overlap=12) >= 0.95


@pytest.mark.slow
def test_random_sequences_have_no_significant_motif():
    """A hundred larger sets are tried in the benchmarks."""
    for seed in range(15):
        codes = np.random.default_rng(seed).integers(0, 4, (20, 100)).astype(np.int8)
        finder = MotifFinder(random_state=seed, effort=0.3).fit([decode(one) for one in codes])
        assert finder.motifs_[0].e_value > 0.01


def test_two_motifs_both_strands_and_the_shift():
    words = "TTGACATATAAT", "GGCTACGGCACC"
    turned = decode(3 - encode(words[0])[::-1])
    sequences = [s.replace(words[0], turned) if i % 2 else s for i, s in enumerate(planted(words[0]))]
    sequences = [s[:-14] + words[1] + s[-14:] for s in sequences]
    finder = MotifFinder((8, 14), "oops", n_motifs=2, random_state=0, effort=0.1).fit(sequences)
    found = {m.consensus for m in finder.motifs_}
    both = {w for word in words for w in (word, decode(3 - encode(word)[::-1]))}
    assert all(any(word in name or name in word for word in both) for name in found)
    first = finder.motifs_[0]
    for site, word in zip(first.sites, first.words, strict=True):
        read = sequences[site.sequence][site.start : site.start + first.width]
        assert word == (read if site.strand == "+" else decode(3 - encode(read)[::-1]))
    assert {s.strand for s in first.sites} <= {"+", "-"}


def test_repeats_are_not_the_motif():
    sequences = [s[:5] + "AT" * 15 + s[5:] for s in planted()]
    finder = MotifFinder(12, "oops", "+", random_state=0, effort=0.2).fit(sequences)
    assert finder.motifs_[0].consensus == "TTGACATATAAT"
    assert (low_complexity(encode("ACGTTGCATCCGATAGGCTTACCA")) < 4).all()


@pytest.mark.parametrize("unit", ["A", "CA", "CAG", "AT"])
@pytest.mark.parametrize("length", [12, 17, 30])
def test_no_repeat_is_the_motif_by_default(unit, length):
    """In every sequence a repeat, in two of three a motif of 12 letters: the motif is reported."""
    repeat, word = (unit * length)[:length], "TTGACATATAAT"
    sequences = [s[:4] + repeat + (s[4:] if i % 3 else s[4:].replace(word, "")) for i, s in enumerate(planted(seed=1))]
    twice = {(2 * unit)[i : i + len(unit)] * 3 for i in range(len(unit))}
    words = MotifFinder(12, "zoops", "+", random_state=0, effort=0.1).fit(sequences).motifs_[0].words
    assert word in words
    assert not any(some in one for one in words for some in twice)


def test_repeats_alone_are_no_motif():
    rng = np.random.default_rng(0)
    sequences = [
        "".join(rng.choice(list("ACGT"), 50)) + "CA" * 8 + "".join(rng.choice(list("ACGT"), 30)) for _ in range(12)
    ]
    assert MotifFinder((6, 12), random_state=0, effort=0.1).fit(sequences).motifs_[0].e_value > 0.01
    asked = MotifFinder((6, 12), random_state=0, effort=0.1, mask_repeats=False).fit(sequences).motifs_[0]
    assert asked.e_value < 1e-6
    assert "ACACA" in asked.consensus or "GTGTG" in asked.consensus
    with pytest.raises(ValueError, match="outside of repeats"):
        MotifFinder().fit(["AT" * 20, "CCA" * 9])


def test_short_repeats_are_motifs_like_others():
    """Eleven letters may be one (there are such matrices); twelve without a slip are kept out."""
    around = "GCTTAGGCCATCG", "CGGATTCAAGGCCTTG"
    for unit in ("A", "CA", "CAG"):
        kept, out = (low_complexity(encode((unit * 12)[:n].join(around))) for n in (9, 12))
        assert (kept < 4).all()
        assert 12 <= (out == 4).sum() <= 14


def test_what_stands_beside_a_repeat_stays():
    text = "GCTTAGGCCA" + "AT" * 15 + "CGGATTCAAGGCCTTGACT"
    masked = decode(low_complexity(encode(text)))
    assert masked.startswith("GCTTAGGCC")
    assert masked.endswith("CGGATTCAAGGCCTTGACT")
    assert 28 <= masked.count("N") <= 32
    assert low_complexity(encode("ACG" * 8 + "TTCTG" + "ACG" * 8)).tolist() == [4] * 53  # no islands


def test_erasing_takes_what_was_found():
    model = MotifModel("oops", "+")
    data = DNASequences([encode(s) for s in planted()])
    pwm = np.full((12, 4), 0.001) + 0.996 * np.eye(4)[encode("TTGACATATAAT")]
    block = data.blocks()[0]
    covered = _covered(model, block, MotifParams(pwm))
    np.testing.assert_allclose(covered.sum(axis=1), 12.0, atol=1e-6)
    again, _ = model.e_step(data.erased(lambda b: _covered(model, b, MotifParams(pwm))), MotifParams(pwm))
    assert again.values < model.e_step(data, MotifParams(pwm))[0].values - 100


def test_formats_there_and_back():
    finder = MotifFinder(12, "oops", "+", random_state=0, effort=0.2).fit(planted())
    motif = finder.motifs_[0]
    np.testing.assert_allclose(read_meme(to_meme([motif]))["motif_1"], motif.pwm, atol=1e-6)
    np.testing.assert_array_equal(read_jaspar(to_jaspar([motif]))["motif_1"], motif.counts)
    line = to_bed([motif], finder.names_).splitlines()[0].split("\t")
    assert int(line[2]) - int(line[1]) == 12
    hits = finder.find_sites(planted(), threshold=1e-6)
    with pytest.raises(ValueError, match="motif is 3, but the number of motifs found is"):
        finder.find_sites(planted(), motif=3)
    with pytest.raises(ValueError, match="motif is 'best'"):
        finder.find_sites(planted(), motif="best")
    assert [(s.sequence, s.start) for s, _ in hits] == [(i, 10 + i) for i in range(12)]
    with pytest.raises(ValueError, match="four probabilities are expected"):
        read_meme("MOTIF a\nletter-probability matrix: w= 1\n1 0 0\n")
    with pytest.raises(ValueError, match="four lines"):
        read_jaspar(">a\n1 2\n")


def test_to_biopython(monkeypatch):
    """Its two calls of Biopython, by stand-ins: the words become its sequences, the background its dictionary."""
    seq, made = types.ModuleType("Bio.Seq"), types.ModuleType("Bio.motifs")
    seq.Seq = lambda text: ("Seq", text)
    made.create = lambda instances: types.SimpleNamespace(instances=instances)
    bio = types.ModuleType("Bio")
    bio.motifs, bio.Seq = made, seq
    for name, module in {"Bio": bio, "Bio.Seq": seq, "Bio.motifs": made}.items():
        monkeypatch.setitem(sys.modules, name, module)
    motif = MotifFinder(12, "oops", "+", random_state=0, effort=0.2).fit(planted()).motifs_[0]
    found = motif.to_biopython()
    assert found.instances == [("Seq", word) for word in motif.words]
    assert found.name == "motif_1"
    assert sum(found.background.values()) == pytest.approx(1.0)
    assert set(found.background) == set("ACGT")


def test_biopython_itself_reads_the_motif():
    pytest.importorskip("Bio")
    motif = MotifFinder(12, "oops", "+", random_state=0, effort=0.2).fit(planted()).motifs_[0]
    found = motif.to_biopython()
    assert str(found.consensus) == motif.consensus
    np.testing.assert_array_equal([found.counts[a] for a in "ACGT"], motif.counts.T)


def test_the_bar_moves_with_one_motif(monkeypatch):
    ticks = []

    @contextmanager
    def bar(show, total, unit):
        yield lambda: ticks.append(total)

    monkeypatch.setattr("emlib.models.motifs.finder.progress_bar", bar)
    MotifFinder((8, 12), "oops", "+", random_state=0, effort=0.1).fit(planted())
    assert len(ticks) == ticks[0] > 2


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("sequences", "sentence"),
    [
        ([], "sequences is empty"),
        (["ACGTACGT", ""], "'seq_2' is empty"),
        (["ACG", "AC"], "all 2 sequences are shorter than the least width, 6"),
        (["ACGTACGTAC"], "one sequence only"),
        (["MKVLAAGHQQ", "ACGTACGT"], "'L' at position 4"),
        (["MKVHAAGWYRSSDDNMKVH", "ACGTACGT"], "is it protein"),
        (["NNNNNNNN", "NNNNNNNNN"], "no sequence has 6 known letters in a row"),
        ([3, 4], "holds int at 0"),
        ("/no/such/file.fa", "there is no file"),
    ],
)
def test_bad_sequences(sequences, sentence):
    with pytest.raises(ValueError, match=sentence):
        MotifFinder().fit(sequences)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"width": (9, 6)}, "width is"),
        ({"width": 2.5}, "width is"),
        ({"occurrences": "two"}, "occurrences is 'two'"),
        ({"strands": "-"}, "strands is '-'"),
        ({"background": 4}, "background is 4"),
        ({"background": [0.5, 0.5, 0.0, 0.0]}, "not above 0"),
        ({"n_motifs": 0}, "n_motifs is 0"),
    ],
)
def test_bad_parameters(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        MotifFinder(**options).fit(planted())


def test_one_sequence_of_many_sites():
    """What a single sequence is told to ask for works; N between the sites hold none."""
    text = "NNNNNN".join(s[:40] for s in planted(n=8))
    found = MotifFinder(12, "anr", "+", random_state=0, effort=0.02, tol=1.0).fit([text]).motifs_[0]
    assert found.words.count("TTGACATATAAT") == 8
    assert not any("N" in word for word in found.words)


def test_short_ones_and_twins_are_named_in_a_warning():
    named = [("a", s) for s in planted()] + [("b", "ACG")]
    with (
        pytest.warns(UserWarning, match="1 of 13 sequences are shorter"),
        pytest.warns(UserWarning, match="more than once"),
    ):
        finder = MotifFinder(12, "oops", "+", random_state=0, effort=0.1).fit([(n, s.lower()) for n, s in named])
    assert finder.motifs_[0].consensus == "TTGACATATAAT"


def test_sampling_and_soft_share_the_objective():
    data, params = np.random.default_rng(0).integers(0, 4, (4, 12)), MotifParams(PWM, 0.2)
    for occurrences in ("zoops", "anr"):
        model = MotifModel(occurrences, "both")
        drawn = model.e_step(data, params, sampled(np.random.default_rng(0)))
        np.testing.assert_allclose(drawn[1], model.e_step(data, params, SOFT)[1])


# ------------------------------------------------------------------ known-wrong models


class OneOff(MotifModel):
    """Sites counted one letter too far to the right."""

    def _letters(self, R, seen, w):
        return super()._letters(np.roll(R, 1, axis=-1), seen, w)


class OverAll(MotifModel):
    """The posterior normalised over all sequences at once."""

    def _one_place(self, odds, seen, rate, latent):
        R, sites, missed, gain = super()._one_place(odds, seen, rate, latent)
        return R / seen.n, sites, missed, gain


@pytest.mark.parametrize("wrong", [OneOff, OverAll])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_suite_rejects(wrong):
    case = next(case for case in CASES if case.name == "motif, oops")
    data = case.data(50)
    right, _ = case.model.e_step(data, case.params)
    other, _ = wrong(length=8, background=case.model.background).e_step(data, case.params)
    assert np.abs(right.letters - other.letters).max() > 0.5
    if wrong is OneOff:
        with pytest.raises(AssertionError):
            checks.monotone(replace(case, model=wrong(length=8, background=case.model.background)))
