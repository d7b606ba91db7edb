"""How well and how fast motifs are found, on one core; MEME's figures (5.5.8) stand beside ours where they are known.

make benchmarks            # full size; prints a table
make benchmarks-smoke      # small inputs, only to see that it runs
"""

from __future__ import annotations

import os
import resource
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import emlib
from emlib.engine import em
from emlib.models.motifs import Background, DNASequences, MotifFinder, MotifModel, MotifParams, MotifPrior, similarity
from emlib.models.motifs.places import sites_of
from emlib.models.motifs.sequences import decode, encode

SMOKE = os.environ.get("EMLIB_BENCHMARKS") == "smoke"


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def timed(work):
    before = time.process_time()
    found = work()
    return found, time.process_time() - before


# ------------------------------------------------------------------ the (15,4) challenge


def challenge(seed, w=15, mutations=4, n=20, L=600):
    rng = np.random.default_rng(seed)
    codes, word = rng.integers(0, 4, (n, L)).astype(np.int8), rng.integers(0, 4, w)
    starts = rng.integers(0, L - w + 1, n)
    for i, j in enumerate(starts):
        site, at = word.copy(), rng.choice(w, mutations, replace=False)
        site[at] = (site[at] + rng.integers(1, 4, mutations)) % 4
        codes[i, j : j + w] = site
    return codes, word, starts


def performance(found, known, w):
    common = np.maximum(0, w - np.abs(found - known)).sum()
    return common / (2 * w * len(known) - common)


def test_challenge():
    rows = []
    for seed in range(1 if SMOKE else 40):
        codes, word, starts = challenge(seed)
        texts = [decode(one) for one in codes]
        effort = 0.05 if SMOKE else 1.0
        finder, seconds = timed(lambda: MotifFinder(15, "oops", "+", random_state=seed, effort=effort).fit(texts))  # noqa: B023
        by_sequence = {s.sequence: s.start for s in finder.motifs_[0].sites}
        ours = performance(np.array([by_sequence[i] for i in range(20)]), starts, 15)
        model = MotifModel("oops", "+", finder.background_)
        pwm = np.full((15, 4), 0.2 / 3) + (0.8 - 0.2 / 3) * np.eye(4)[word]
        data = DNASequences(list(codes))
        top = em.fit(model, data, MotifParams(pwm), prior=MotifPrior.of(finder.background_))
        sites = sites_of(model, data, top.params)
        told = performance(sites.start[np.argsort(sites.sequence)], starts, 15)
        rows.append((ours, told, seconds))
    ours, told, seconds = np.mean(rows, axis=0)
    print(
        f"\n(15,4), {len(rows)} sets: performance coefficient {ours:.3f} (MEME .06-.15), from the true consensus "
        f"{told:.3f}, ratio {ours / told:.2f}; {seconds:.1f} s a set"
    )
    assert SMOKE or (ours >= 0.55 and ours >= 0.75 * told)


# ------------------------------------------------------------------ planted JASPAR matrices


def planted(pwm, n, order, rng, L=200, share=0.7):
    tables = Background.given(rng.dirichlet([8] * 4, size=16).reshape(4, 4, 4)) if order else Background.uniform()
    model = MotifModel("zoops", "both", tables)
    codes, places = model.simulate_placed(MotifParams(pwm, share), n, rng, length=L)
    truth = np.zeros((n, L), dtype=bool)
    for i, j, _ in places:
        truth[i, j : j + len(pwm)] = True
    return codes, truth


def correlation(sequence, start, width, truth):
    called = np.zeros_like(truth)
    for i, j in zip(sequence, start, strict=True):
        called[i, j : j + width] = True
    return float(np.corrcoef(called.ravel(), truth.ravel())[0, 1]) if called.any() else 0.0


@pytest.mark.parametrize(("n", "sets"), [(50, 24), (500, 8), (5000, 2)])
def test_planted(n, sets):
    matrices = emlib.data.jaspar_matrices()
    names, rows = list(matrices)[1 : 2 if SMOKE else 1 + sets], []
    for i, name in enumerate(names):
        pwm = (matrices[name] + 0.1) / (matrices[name] + 0.1).sum(axis=1, keepdims=True)
        for order in (0, 2):
            codes, truth = planted(pwm, min(n, 50) if SMOKE else n, order, np.random.default_rng(100 * i + order))
            texts = [decode(one) for one in codes]
            options = {"background": order, "random_state": 0, "effort": 0.05 if SMOKE else 1.0}
            finder, seconds = timed(lambda: MotifFinder(**options).fit(texts))  # noqa: B023
            motif = finder.motifs_[0]
            called = [s.sequence for s in motif.sites], [s.start for s in motif.sites]
            model, data = MotifModel("zoops", "both", finder.background_), DNASequences([encode(t) for t in texts])
            best = sites_of(model, data, MotifParams(pwm, 0.7))
            rows.append(
                (
                    correlation(*called, motif.width, truth),
                    correlation(best.sequence, best.start, len(pwm), truth),
                    seconds,
                )
            )
    ours, told, seconds = np.mean(rows, axis=0)
    most, memory = np.max(rows, axis=0)[2], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"\nPlanted, n = {n}, {len(rows)} sets: nucleotide correlation {ours:.3f}, true matrix {told:.3f}; "
        f"{seconds:.1f} s a set, {most:.1f} at most; {memory:.2f} GB at most so far"
    )
    if not SMOKE:
        assert ours >= (0.78 if n == 50 else told - 0.03)
        assert memory <= 1.0


# ------------------------------------------------------------------ real peaks, and no motif at all


def test_ctcf():
    finder, seconds = timed(lambda: MotifFinder(random_state=0).fit(emlib.data.ctcf_peaks()[: 50 if SMOKE else None]))
    known = emlib.data.jaspar_matrices()["MA0139.1"]
    match = similarity(finder.motifs_[0].pwm, known / known.sum(axis=1, keepdims=True), overlap=12)
    print(f"\nCTCF: {finder.motifs_[0].consensus}, correlation with MA0139 {match:.3f}, {seconds:.1f} s")


def test_random_sequences_have_no_motif():
    for n, length, sets in (20, 100, 100), (50, 200, 100):
        logs = []
        for seed in range(1 if SMOKE else sets):
            codes = np.random.default_rng(seed).integers(0, 4, (n, length)).astype(np.int8)
            finder = MotifFinder(random_state=seed, effort=0.05 if SMOKE else 1.0).fit([decode(one) for one in codes])
            logs.append(finder.motifs_[0].log_e_value)
        below = int((np.array(logs) < np.log(0.01)).sum())
        least, middle = np.exp(np.quantile(logs, [0, 0.5]))
        print(
            f"\nRandom sequences, {n} x {length}, {len(logs)} sets: {below} E-values below .01, "
            f"least {least:.2g}, median {middle:.2g}"
        )
        assert below <= 4
