"""Phasing: errors and CPU seconds, beside Beagle and SHAPEIT4 where they are installed, one thread each.

    make benchmarks            # full size; prints a table
    make benchmarks-smoke      # small inputs, only to see that it runs

Real: the 60 founders of HapMap's trios in either population, whose truth is what they passed on to their children (the
trios are inferred). Simulated (needs msprime): coalescents with recombination, sites with a frequency of 5 % or more.
Switch errors are shares of neighbouring heterozygotes of known phase. That no genotype was changed is checked first.
CPU seconds are those of the process, without compiling; those of Beagle include the start of Java. SHAPEIT4 reads an
indexed file, so it needs bgzip and tabix too; their seconds are not counted.
"""

from __future__ import annotations

import gzip
import os
import resource
import shutil
import subprocess
import time
import warnings

import numpy as np
import pytest

from emlib import data
from emlib.models.phasing import Phaser, switch_errors

pytest.importorskip("numba")
SMOKE = os.environ.get("EMLIB_BENCHMARKS") == "smoke"
SEEDS = (1,) if SMOKE else (1, 2, 3)
SIMULATED = [(20, 50, 0.5)] if SMOKE else [(200, 500, 2.5), (1000, 2000, 10.0)]  # people, sites, megabases


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """Everything compiled before the clock starts."""
    G = np.random.default_rng(0).integers(0, 3, (8, 30))
    for references in ("auto", 4):
        Phaser(sweeps=2, block_moves=1, n_references=references, random_state=0).phase(G)


def founders(population):
    people = data.hapmap_trios(population)
    truth = np.full((90, 2, 603), -1)
    for family, (_, *parents) in enumerate(people.trios):
        for which, parent in enumerate(parents):
            truth[parent] = people.transmitted[family, which]
    some = slice(0, 100) if SMOKE else slice(None)
    return people.genotypes[people.founders][:, some], truth[people.founders][:, :, some], people.positions[some]


def simulated(people, sites, megabases, seed=1):
    msprime = pytest.importorskip("msprime")
    tree = msprime.sim_ancestry(
        people, population_size=1e4, sequence_length=megabases * 1e6, recombination_rate=1e-8, random_seed=seed
    )
    tree = msprime.sim_mutations(tree, rate=1.25e-8, random_seed=seed, model=msprime.BinaryMutationModel())
    H, positions = tree.genotype_matrix().T, tree.tables.sites.position
    frequency = H.mean(axis=0)
    common = np.flatnonzero((np.minimum(frequency, 1 - frequency) >= 0.05) & (H.max(axis=0) <= 1))
    kept = np.sort(np.random.default_rng(seed).choice(common, sites, replace=False))
    truth = H[:, kept].reshape(people, 2, sites)
    return truth.sum(axis=1), truth, positions[kept]


def ours(G, truth, positions, seed, **options):
    before = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        H = Phaser(random_state=seed, verbose=False, **options).phase(G, positions)
    spent = time.process_time() - before
    assert (H.sum(axis=1) == G)[G >= 0].all()
    return np.divide(*switch_errors(H, truth)), spent


def report(name, results):
    errors, seconds = np.array(results).T
    print(
        f"  {name}: switch error {errors.mean():.5f} ({errors.min():.5f} to {errors.max():.5f}), "
        f"{seconds.mean():.3g} CPU s"
    )


def write_vcf(path, G, positions):
    codes = {0: "0/0", 1: "0/1", 2: "1/1", -1: "./."}
    names = "\t".join(f"s{i}" for i in range(len(G)))
    head = '##fileformat=VCFv4.2\n##contig=<ID=1>\n##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    lines = [f"{head}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{names}"]
    at = np.maximum.accumulate(np.asarray(positions).astype(int)) + np.arange(G.shape[1])  # one site a base
    for column, position in zip(G.T, at, strict=True):
        cells = "\t".join(codes[int(g)] for g in column)
        lines.append(f"1\t{position}\t.\tA\tC\t.\tPASS\t.\tGT\t{cells}")
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))


def timed(command):
    """CPU seconds of a program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def read_phased(text):
    rows = [line.split("\t")[9:] for line in text.splitlines() if line[0] != "#"]
    return np.array([[[int(cell[0]), int(cell[2])] for cell in row] for row in rows]).transpose(1, 2, 0)


def beagle(folder, G, truth, positions, seed):
    write_vcf(folder / "in.vcf.gz", G, positions)
    spent = timed(["beagle", f"gt={folder}/in.vcf.gz", f"out={folder}/out", f"seed={seed}", "nthreads=1"])
    H = read_phased(gzip.decompress((folder / "out.vcf.gz").read_bytes()).decode())
    return np.divide(*switch_errors(H, truth)), spent


def shapeit(folder, G, truth, positions, seed):
    write_vcf(folder / "in.vcf.gz", G, positions)
    (folder / "in.vcf").write_bytes(gzip.decompress((folder / "in.vcf.gz").read_bytes()))
    subprocess.run(["bgzip", "-f", f"{folder}/in.vcf"], check=True)
    subprocess.run(["tabix", "-f", "-p", "vcf", f"{folder}/in.vcf.gz"], check=True)
    files = ["--input", f"{folder}/in.vcf.gz", "--region", "1", "--output", f"{folder}/out.vcf"]
    spent = timed(["shapeit4", *files, "--seed", str(seed), "--thread", "1"])
    H = read_phased((folder / "out.vcf").read_text())
    return np.divide(*switch_errors(H, truth)), spent


PEERS = {"Beagle": (beagle, ["beagle"]), "SHAPEIT4": (shapeit, ["shapeit4", "bgzip", "tabix"])}


def report_peers(folder, G, truth, positions, seeds):
    """A row for each that is installed."""
    for name, (peer, programs) in PEERS.items():
        if all(map(shutil.which, programs)) and not SMOKE:
            report(name, [peer(folder, G, truth, positions, seed) for seed in seeds])


@pytest.mark.parametrize("population", ["CEU", "YRI"])
def test_founders(population, tmp_path):
    G, truth, positions = founders(population)
    print(f"\n{population}, 60 founders, {G.shape[1]} SNPs:")
    for chains in (1, 4):
        report(f"emlib, {chains} chain(s)", [ours(G, truth, positions, seed, chains=chains) for seed in SEEDS])
    report_peers(tmp_path, G, truth, positions, SEEDS)


@pytest.mark.parametrize("size", SIMULATED, ids=str)
def test_simulated(size, tmp_path):
    G, truth, positions = simulated(*size)
    print(f"\nsimulated, {size[0]} people, {size[1]} sites, {size[2]} Mb:")
    seeds = SEEDS if size[0] <= 200 else SEEDS[:1]
    report("emlib, 1 chain", [ours(G, truth, positions, seed) for seed in seeds])
    report_peers(tmp_path, G, truth, positions, seeds)


def test_growth():
    """Twice the people or twice the sites: twice the seconds, above 300 people."""
    base, grown = ((30, 40), [(60, 40), (30, 80)]) if SMOKE else ((400, 500), [(800, 500), (400, 1000)])
    options = {"sweeps": 5, "block_moves": 1, "n_iter": 5}
    spent = {}
    for people, sites in (base, *grown):
        G, truth, positions = simulated(people, sites, sites / 200)
        spent[people, sites] = ours(G, truth, positions, 0, **options)[1]
    parts = ", ".join(f"{size}: {s:.3g} s ({s / spent[base]:.2f} x)" for size, s in spent.items())
    print(f"\nphasing grows: {parts}")
