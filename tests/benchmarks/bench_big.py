"""One fit of ten times as many rows: seconds an iteration, and memory, which must not grow with the rows.

    make benchmarks            # 10^7 and 10^8 rows (a file of 1.6 GB in the temporary folder)
    make benchmarks-smoke      # small inputs, only to see that it runs

The same rows come as an array in memory (the peer), as a file mapped into memory, and as a Dask array whose chunks
are made when they are needed, on Dask's threads. Every fit has a process of its own, so that its peak is its own.

Of a mapped file the system keeps in memory what it has room for, and takes it away when it needs the room. So the
memory of a fit is what the process has for itself ("own"; Linux tells); the peak beside it counts such pages too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

SMOKE = os.environ.get("EMLIB_BENCHMARKS") == "smoke"
SIZES = (20_000, 60_000) if SMOKE else (10**7, 10**8)
CHUNK = 10_000 if SMOKE else 10**6
ITERATIONS = 2 if SMOKE else 5
SLACK = 64  # MB by which ten times the rows may raise the peak: tasks in flight, the allocator's moods
ROOT = Path(__file__).parents[2]


def chunk_of_rows(i):
    """Rows i * CHUNK to (i + 1) * CHUNK: three overlapping components in two columns."""
    rng = np.random.default_rng([0, i])
    centres = np.array([[0.0, 0.0], [3.0, 1.0], [-1.0, 4.0]])
    return centres[rng.integers(3, size=CHUNK)] + rng.standard_normal((CHUNK, 2))


def table(kind, n, folder):
    if kind == "array":
        return np.concatenate([chunk_of_rows(i) for i in range(n // CHUNK)])
    if kind == "file":
        path = Path(folder) / "rows.bin"
        with open(path, "wb") as file:
            for i in range(n // CHUNK):
                chunk_of_rows(i).tofile(file)
        return np.memmap(path, dtype=float, mode="r", shape=(n, 2))
    import dask.array as da

    def make(block_info=None):
        return chunk_of_rows(block_info[None]["chunk-location"][0])

    return da.map_blocks(make, chunks=((CHUNK,) * (n // CHUNK), (2,)), dtype=float, meta=np.empty((0, 0)))


class Peak(threading.Thread):
    """Watches the memory that the process has for itself, in MB, every few milliseconds."""

    def __init__(self):
        super().__init__(daemon=True)
        self.own, self.done = 0.0, False

    def run(self):
        while not self.done:
            self.own = max(self.own, megabytes("RssAnon"))
            time.sleep(0.005)


def megabytes(line):
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return next(float(row.split()[1]) / 1024 for row in status.splitlines() if row.startswith(line + ":"))


def measure(kind, n, folder):
    """Run in a process of its own; prints what it has measured."""
    from emlib import GaussianMixture

    warnings.simplefilter("ignore")
    X, seconds = table(kind, n, folder), []
    GaussianMixture(3, max_iter=1, random_state=0).fit(X[: CHUNK // 2])  # imports are not what is measured
    peak = Peak()
    peak.start()
    for iterations in (1, 1 + ITERATIONS):
        before = time.perf_counter()
        fitted = GaussianMixture(3, max_iter=iterations, tol=0.0, random_state=0).fit(X)
        seconds.append(time.perf_counter() - before)
        assert fitted.n_iter_ == iterations
    peak.done = True
    peak.join()
    result = {
        "start": seconds[0],
        "iteration": (seconds[1] - seconds[0]) / ITERATIONS,
        "own": peak.own,
        "peak": megabytes("VmHWM"),
        "score": fitted.lower_bound_,
    }
    print(json.dumps(result))


@pytest.mark.parametrize("kind", ["array", "file", "chunks"])
def test_ten_times_the_rows(kind, tmp_path):
    if kind == "chunks":
        pytest.importorskip("dask.array", reason="Dask is not installed (pip install 'emlib[distributed]')")
    results = []
    for n in SIZES:
        command = [sys.executable, __file__, kind, str(n), str(tmp_path)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert ran.returncode == 0, ran.stderr
        results.append(result := json.loads(ran.stdout))
        print(
            f"\n{kind}, {n:.0e} rows of 2, K = 3: {result['iteration']:.3g} s an iteration, "
            f"{result['start']:.3g} s with checks, start and the first; "
            f"memory {result['own']:.0f} MB own, peak {result['peak']:.0f} MB; "
            f"mean log-likelihood {result['score']:.6f}",
            end="",
        )
    print()
    small, large = (result["own"] for result in results)
    if kind != "array":
        assert not large > small + SLACK, "memory grows with the rows"


if __name__ == "__main__":
    measure(sys.argv[1], int(sys.argv[2]), sys.argv[3])
