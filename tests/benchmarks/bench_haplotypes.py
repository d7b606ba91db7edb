"""Haplotype frequencies beside haplo.stats' ``haplo.em`` (R), on one core: likelihood reached and CPU seconds.

make benchmarks            # full size; prints a table
make benchmarks-smoke      # small inputs, only to see that it runs

Debian has the peer as ``r-cran-haplo.stats``; without it, or without msprime, rows are left out and a line says so. CPU
seconds of the peer are those of ``haplo.em`` alone, without starting R.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import emlib
from emlib.engine import em
from emlib.models.haplotypes import HaplotypeEM, HaplotypeModel, HaplotypeParams, enumerate_diplotypes, read_genotypes

SMOKE = os.environ.get("EMLIB_BENCHMARKS") == "smoke"
SIZES = [(n, L, missing) for n in (200, 1000, 5000) for L in (5, 10, 15, 20) for missing in (0.0, 0.02)]
MOST_PAIRS = 1_000_000  # for the reference, which lists them all

HAPLO_EM = """
suppressMessages(library(haplo.stats))
for (file in commandArgs(trailingOnly=TRUE)) {
  geno <- as.matrix(read.table(file)); geno[geno < 0] <- NA
  set.seed(1)
  used <- system.time(found <- haplo.em(geno, miss.val=c(0, NA)))
  cat(used[1] + used[2], format(found$lnlike, digits=15), "\\n")
}
"""
HLA_DEMO = """
suppressMessages(library(haplo.stats)); data(hla.demo)
write.table(hla.demo[, c("DQB.a1", "DQB.a2", "DRB.a1", "DRB.a2", "B.a1", "B.a2")], row.names=FALSE, col.names=FALSE)
"""


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def r(script, *arguments):
    """What an R script prints, or None where there is no R or no haplo.stats."""
    if shutil.which("Rscript") is None:
        return None
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(["Rscript", "-e", script, *arguments], capture_output=True, text=True, env=environment)
    return done.stdout if done.returncode == 0 else None


def haplo_em(tables, folder):
    """CPU seconds and log-likelihood of `haplo.em` for tables of two columns a locus, coded from 1, missing -1."""
    files = []
    for i, table in enumerate(tables):
        files.append(str(folder / f"{i}.txt"))
        np.savetxt(files[-1], table, fmt="%d")
    printed = r(HAPLO_EM, *files)
    return None if printed is None else [tuple(map(float, line.split())) for line in printed.splitlines()]


def two_columns(G):
    """Counts as R has them."""
    pairs = np.stack([G >= 2, G >= 1], axis=2) + 1
    pairs[G < 0] = -1
    return pairs.reshape(len(G), -1)


def coalescent(n, L, missing, seed):
    """L common SNPs (5 % and more) of a piece of chromosome, n people."""
    msprime = pytest.importorskip("msprime")
    length = 1e5 * max(1.0, L / 10)
    while True:
        trees = msprime.sim_ancestry(
            n, sequence_length=length, recombination_rate=1e-8, population_size=1e4, random_seed=seed
        )
        model = msprime.BinaryMutationModel()
        trees = msprime.sim_mutations(trees, rate=1e-8, random_seed=seed, model=model, discrete_genome=False)
        H = trees.genotype_matrix()
        f = H.mean(axis=1)
        common = np.flatnonzero(np.minimum(f, 1 - f) >= 0.05)
        if len(common) >= L:
            break
        length *= 2
    rng = np.random.default_rng(seed)
    H = H[np.sort(rng.choice(common, L, replace=False))].T.reshape(n, 2, L)
    return np.where(rng.random((n, L)) < missing, -1, H.sum(axis=1))


def n_pairs(genotypes):
    """About how many pairs a complete list has."""
    het = (genotypes.alleles[:, :, 0] != genotypes.alleles[:, :, 1]).sum(axis=1)
    lost = (genotypes.alleles[:, :, 1] < 0).sum(axis=1)
    return (2.0 ** np.maximum(het - 1, 0) * 4.0**lost).sum()


def complete(G):
    """EM over all pairs from equal frequencies; None where they are too many."""
    genotypes = read_genotypes(G)
    if n_pairs(genotypes) > MOST_PAIRS:
        return None
    pairs, haplotypes = enumerate_diplotypes(genotypes)
    start = HaplotypeParams(np.full(len(haplotypes), 1 / len(haplotypes)))
    return em.fit(HaplotypeModel(haplotypes), pairs, start, tol=1e-4, progress=False).log_likelihood


def test_coalescent(tmp_path):
    sizes = SIZES[:4] if SMOKE else SIZES
    tables = [coalescent(*size, seed=100 + k) for k, size in enumerate(sizes)]
    peers = haplo_em([two_columns(G) for G in tables], tmp_path)
    if peers is None:
        print("\nhaplo.stats is not here (Debian: r-cran-haplo.stats); its columns are empty.")
    HaplotypeEM(n_init=1).fit(tables[0])
    lost, seconds = [], np.zeros(2)
    print("\n     n   L  missing   ours (CPU s)           all pairs     haplo.em (CPU s)")
    for k, (G, (n, L, missing)) in enumerate(zip(tables, sizes, strict=True)):
        before = time.process_time()
        ours = HaplotypeEM(random_state=0).fit(G)
        used = time.process_time() - before
        whole = complete(G)
        peer = (np.nan, np.nan) if peers is None else peers[k]
        seconds += used, peer[0]
        lost.append(0.0 if whole is None else whole - ours.log_likelihood_)
        exact = "   (too many)" if whole is None else f"{whole:13.3f}"
        print(
            f"{n:6d} {L:3d}  {missing:7.2f}  {ours.log_likelihood_:11.3f} ({used:5.2f})  {exact}  "
            f"{peer[1]:11.3f} ({peer[0]:5.2f})"
        )
    print(f"sum of CPU seconds: {seconds[0]:.1f}, haplo.em {seconds[1]:.1f}")
    assert max(lost) < 1e-3
    assert SMOKE or peers is None or seconds[0] < seconds[1]


def test_hla(tmp_path):
    """Three multi-allelic loci of 220 people (not shipped: read from the package): many maxima, the best -1846.615."""
    printed = r(HLA_DEMO)
    if printed is None:
        pytest.skip("haplo.stats is not here (Debian: r-cran-haplo.stats), and with it the data.")
    table = np.array([line.split() for line in printed.splitlines()], dtype=int)
    G = np.where(table == 0, -1, table).reshape(-1, 3, 2)
    whole = G[(G >= 0).all(axis=(1, 2))]
    for name, data, best in (("all people", G, -1846.615), ("complete cases", whole, -1836.908)):
        (peer_cpu, peer), *_ = haplo_em([np.where(data < 0, -1, data).reshape(len(data), -1)], tmp_path)
        rows = []
        for seed in range(1 if SMOKE else 10):
            before = time.process_time()
            model = HaplotypeEM(random_state=seed).fit(data)
            rows.append((model.log_likelihood_, time.process_time() - before, len(model.ends_)))
        ll, cpu, climbs = np.array(rows).T
        print(
            f"\nHLA, {name}: worst {ll.min():.3f}, best {ll.max():.3f} of {len(rows)} seeds ({cpu.mean():.1f} CPU s, "
            f"{climbs.mean():.0f} climbs); best known {best}; haplo.em {peer:.3f} ({peer_cpu:.1f} CPU s)"
        )
        assert ll.min() > best - 0.2


def test_hapmap_windows(tmp_path):
    """Six common SNPs at a time, founders of the CEU trios: neighbouring heterozygotes whose phase the child tells."""
    people = emlib.data.hapmap_trios("CEU")
    known = np.full((90, 2, 603), -1)
    known[people.trios[:, 1:]] = people.transmitted
    G, known = people.genotypes[people.founders], known[people.founders]
    right = total = whole = windows = 0
    before = time.process_time()
    for first in range(0, 60 if SMOKE else 598, 6):
        own, truth = G[:, first : first + 6], known[:, :, first : first + 6]
        found = HaplotypeEM(random_state=0).fit(own).phase(own).haplotypes
        for mine, true, g in zip(found, truth, own, strict=True):
            het = np.flatnonzero((g == 1) & (true >= 0).all(axis=0))
            if len(het) > 1:
                agree = mine[0, het] == true[0, het]
                right, total = right + int((agree[1:] == agree[:-1]).sum()), total + len(het) - 1
                whole, windows = whole + bool(agree.all() or not agree.any()), windows + 1
    used = time.process_time() - before
    print(
        f"\nHapMap CEU founders, windows of 6: {right / total:.4f} of {total} relative phases right, "
        f"{whole / windows:.4f} of {windows} windows of a person wholly ({used:.1f} CPU s)"
    )
    assert SMOKE or right / total >= 0.94


def test_linkage_disequilibrium():
    from emlib.models.linkage_disequilibrium import linkage_disequilibrium

    people = emlib.data.hapmap_trios("CEU")
    G = people.genotypes[people.founders][:, : 60 if SMOKE else None]
    before = time.process_time()
    found = linkage_disequilibrium(G)
    used = time.process_time() - before
    print(f"\nD, D' and r2 with errors of {G.shape[1]} SNPs: {used:.1f} CPU s, {len(found.two_maxima)} with two maxima")
