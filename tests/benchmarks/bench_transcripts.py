"""Transcripts beside kallisto and salmon, on one core: how likely their counts are and ours, and how long EM takes.

make benchmarks            # runs both programs where they are installed; else their stored output is used
make benchmarks-smoke      # the stored output only
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import emlib
from emlib.engine import em
from emlib.models.transcripts import TranscriptModel, TranscriptParams, TranscriptQuantifier, pseudoalign, read_classes

from .transcriptome import write

SMOKE = os.environ.get("EMLIB_BENCHMARKS") == "smoke"
STORED = Path(__file__).parents[1] / "models" / "transcripts_dump"
COMMANDS = """\
kallisto index -i index.k transcripts.fa
kallisto pseudo -i index.k -o kallisto r1.fq.gz r2.fq.gz
kallisto quant -i index.k -o kallisto_quant r1.fq.gz r2.fq.gz
salmon index -t transcripts.fa -i index.s -k 31
salmon quant -i index.s -l IU -1 r1.fq.gz -2 r2.fq.gz -p 1 --useEM --dumpEq -o salmon
salmon quant -i index.s -l IU -1 r1.fq.gz -2 r2.fq.gz -p 1 --useEM --dumpEqWeights -o salmon_weighted"""

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of classes by both programs, and the reads if they were made here."""
    if SMOKE or not (shutil.which("kallisto") and shutil.which("salmon")):
        print("\nkallisto or salmon is not installed: their stored output is used")
        return STORED
    folder = tmp_path_factory.mktemp("reads")
    write(folder, 200_000)
    for command in COMMANDS.splitlines():
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    shutil.copy(folder / "kallisto_quant" / "abundance.tsv", folder / "kallisto")
    return folder


def timed(work):
    before = time.process_time()
    found = work()
    return found, time.process_time() - before


def column(path, i):
    return np.array([float(line.split("\t")[i]) for line in path.read_text().splitlines()[1:]])


@pytest.mark.parametrize(
    ("name", "table", "at"),
    [("kallisto", "abundance.tsv", 3), ("salmon", "quant.sf", 4), ("salmon_weighted", "quant.sf", 4)],
)
def test_beside_the_peer(made, name, table, at):
    classes, theirs = read_classes(made / name), column(made / name / table, at)
    fit, seconds = min((timed(lambda: TranscriptQuantifier().fit(classes)) for _ in range(3)), key=lambda pair: pair[1])
    start = TranscriptParams(fit.shares_ * 0.5 + 0.5 / len(theirs))
    plain, each = timed(lambda: em.fit(TranscriptModel(), classes, start, max_iter=1000, tol=0))
    draws, batch = timed(lambda: fit.bootstrap(100, random_state=0))
    data = classes.resampled(10, np.random.default_rng(0))
    near = TranscriptParams(0.9 * fit.shares_ + 0.1 / len(theirs))
    one = [replace(data, counts=counts) for counts in data.counts]
    _, alone = timed(lambda: [em.fit(TranscriptModel(), d, near, tol=1e-3, accelerate="squarem") for d in one])
    print(
        f"\n{name}: {classes!r}\n"
        f"  log-likelihood above theirs {fit.log_likelihood_ - fit.score(theirs):.5f} nats, at most {fit.gap_:.3f} "
        f"below the maximum; largest difference of a count {np.abs(fit.counts_ - theirs).max():.2f} "
        f"(slack at .01 nats: {fit.slack()[np.isfinite(fit.slack())].max():.1f})\n"
        f"  {1e6 * each / plain.n_iter:.0f} us an iteration; converged in {seconds:.3f} s, {fit.n_iter_} iterations; "
        f"a bootstrap refit {10 * batch:.1f} ms in a batch of 100, {100 * alone:.1f} ms alone; "
        f"largest standard error {draws.standard_errors.max():.0f}"
    )
    assert fit.log_likelihood_ >= fit.score(theirs)
    assert SMOKE or (1e6 * each / plain.n_iter <= 200 and seconds < 0.2)


def test_words_beside_kallisto(made):
    """The same classes as kallisto's, from the reads; small sets of transcripts only."""
    if made is STORED:
        rna = emlib.data.hox_ugt()
        _, seconds = timed(lambda: pseudoalign(rna.transcripts, rna.reads, rna.mates))
        print(f"\n10,000 pairs on 14 transcripts: {seconds:.2f} s")
        return
    files = [made / name for name in ("transcripts.fa", "r1.fq.gz", "r2.fq.gz")]
    found, seconds = timed(lambda: pseudoalign(*files))
    before = time.perf_counter()
    subprocess.run(COMMANDS.splitlines()[1].split(), cwd=made, check=True, capture_output=True)
    theirs = time.perf_counter() - before

    def by_members(classes):
        cuts = zip(classes.starts[:-1], classes.starts[1:], classes.counts, strict=True)
        return {classes.members[a:b].tobytes(): n for a, b, n in cuts}

    ours, other = by_members(found.classes), by_members(read_classes(made / "kallisto"))
    apart = sum(abs(ours.get(key, 0) - other.get(key, 0)) for key in {*ours, *other})
    print(
        f"\n200,000 pairs on 300 transcripts: {seconds:.1f} s (CPU), kallisto {theirs:.1f} s (wall); "
        f"{apart:.0f} fragments in another class"
    )
    assert apart <= 20
