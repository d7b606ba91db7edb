"""A made-up transcriptome, 100 genes of three transcripts that share exons, and pairs of reads from it.

python tests/benchmarks/transcriptome.py FOLDER 200000    # transcripts.fa, r1.fq.gz, r2.fq.gz, truth.txt
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np

LETTERS, OTHER = np.frombuffer(b"ACGT", np.uint8), np.array([3, 2, 1, 0])


def transcripts(rng, genes=100):
    """Names and codes; every tenth gene is a copy of the one before with 2 % of its letters drawn anew."""
    found, before = [], []
    for g in range(genes):
        exons = [rng.integers(0, 4, rng.integers(80, 400)) for _ in range(rng.integers(6, 12))]
        if g % 10 == 9:
            exons = [np.where(rng.random(len(e)) < 0.02, rng.integers(0, 4, len(e)), e) for e in before]
        before = exons
        for i in range(3):
            keep = rng.random(len(exons)) < 0.7
            keep[[0, -1]] |= rng.random(2) < 0.8
            while sum(len(e) for e, k in zip(exons, keep, strict=True) if k) < 400:
                keep[rng.integers(len(exons))] = True
            found.append((f"g{g:03d}.{i + 1}", np.concatenate([e for e, k in zip(exons, keep, strict=True) if k])))
    return found


def write(folder, pairs, seed=11):
    """The four files; pairs of 2 x 75 letters, fragments of 200 (standard deviation 25), errors in 0.2 % of letters."""
    rng, folder = np.random.default_rng(seed), Path(folder)
    known = transcripts(rng)
    lengths = np.array([len(codes) for _, codes in known])
    molecules = rng.lognormal(0, 2, len(known)) * (rng.random(len(known)) < 0.8)
    share = molecules * np.maximum(lengths - 199, 1)
    with (folder / "transcripts.fa").open("w") as out:
        out.writelines(f">{name}\n{LETTERS[codes].tobytes().decode()}\n" for name, codes in known)
    of = rng.choice(len(known), pairs, p=share / share.sum())
    size = np.clip(rng.normal(200, 25, pairs).round().astype(int), 110, 390)
    with gzip.open(folder / "r1.fq.gz", "wt", 1) as first, gzip.open(folder / "r2.fq.gz", "wt", 1) as second:
        for i in range(pairs):
            name, codes = known[of[i]]
            at = rng.integers(0, len(codes) - size[i] + 1)
            fragment = codes[at : at + size[i]]
            mates = fragment[:75], OTHER[fragment[::-1][:75]]
            for out, read in zip((first, second), mates[:: rng.choice((1, -1))], strict=True):
                seen = np.where(rng.random(75) < 0.002, rng.integers(0, 4, 75), read)
                out.write(f"@{i}:{name}\n{LETTERS[seen].tobytes().decode()}\n+\n{'I' * 75}\n")
    np.savetxt(folder / "truth.txt", np.bincount(of, minlength=len(known)), fmt="%d")


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]))
