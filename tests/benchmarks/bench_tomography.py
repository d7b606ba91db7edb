"""Thirty steps of MLEM at 128 x 128, and Richardson-Lucy beside scikit-image's, in CPU seconds on one thread."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from emlib import MLEM
from emlib.models.tomography import blur, parallel_beam, shepp_logan

pytestmark = pytest.mark.usefixtures("one_thread")
SMOKE = os.environ.get("EMLIB_BENCHMARKS") == "smoke"
REPEATS = 1 if SMOKE else 5


def cpu_seconds(work):
    before = time.process_time()
    work()
    return time.process_time() - before


def test_thirty_iterations_at_128():
    n = 32 if SMOKE else 128
    A, head = parallel_beam(n, 90), shepp_logan(n)
    counts = np.random.default_rng(0).poisson(A @ (head * 1e6 / head.sum()).ravel())
    seconds = [cpu_seconds(lambda: MLEM(A, max_iter=30).fit(counts)) for _ in range(REPEATS)]
    print(f"\n30 iterations, {n} x {n}, {A.nnz} entries: {np.median(seconds):.2f} s")


@pytest.mark.parametrize("lens", ["Gaussian, 9 x 9", "Gaussian, 25 x 25", "disc, 25 x 25"])
def test_beside_scikit_image(lens):
    restoration = pytest.importorskip("skimage.restoration")
    w = 4 if "9" in lens else 12
    x = np.arange(-w, w + 1)
    if lens.startswith("disc"):
        psf = (x**2 + x[:, None] ** 2 <= w * w).astype(float)
    else:
        psf = np.outer(*[np.exp(-0.5 * (2.7 * x / w) ** 2)] * 2)
    n = 64 if SMOKE else 512
    system = blur(psf)
    counts = np.random.default_rng(0).poisson(system[0](100.0 * shepp_logan(n))).astype(float)
    ours, theirs = np.array(
        [
            (
                cpu_seconds(lambda: MLEM(system, max_iter=20).fit(counts)),
                cpu_seconds(lambda: restoration.richardson_lucy(counts, psf / psf.sum(), num_iter=20, clip=False)),
            )
            for _ in range(REPEATS)
        ]
    ).T
    print(
        f"\n20 steps of Richardson-Lucy, {n} x {n}, {lens}: scikit-image {np.median(theirs):.2f} s, "
        f"emlib {np.median(ours):.2f} s (with the likelihood of every step); ratio {np.median(theirs / ours):.2f}"
    )
