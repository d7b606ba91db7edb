"""The Gibbs sampler: effective draws of the galaxies per CPU second, and a sweep beside an EM iteration.

Plain NumPy, no compiled extras, one thread. The effective size is ArviZ's bulk-ESS, the smallest over the ordered
means, weights and variances of all draws, whatever mode they lie in; it counts only if the draws visit the main mode as
often as they should, and chains agree. Tuning sweeps are part of the time.
"""

from __future__ import annotations

import os
import time
import warnings

import numpy as np
import pytest

import emlib
from emlib.engine import em, wander
from emlib.engine.blocks import Rows
from emlib.engine.families import Gaussian, GaussianParams, IndependentNormalInverseWishart, NormalInverseWishart
from emlib.engine.mixture import Mixture, MixtureParams, MixturePrior

pytestmark = pytest.mark.usefixtures("one_thread")
SMOKE = os.environ.get("EMLIB_BENCHMARKS") == "smoke"
RICHARDSON = MixturePrior(
    1.0, IndependentNormalInverseWishart(np.array([20.0]), np.array([[100.0]]), np.array([[4.0]]), 4.0)
)


def cpu_seconds(work):
    before = time.process_time()
    result = work()
    return time.process_time() - before, result


@pytest.mark.parametrize("chains", [8, 32] if SMOKE else [8, 32, 128])
@pytest.mark.parametrize("temperatures", [(1.0,), (1.0, 1.5, 2.5, 5.0)], ids=["plain", "tempered"])
def test_effective_draws_of_the_galaxies(chains, temperatures):
    arviz = pytest.importorskip("arviz")
    X = emlib.data.galaxies()
    draws, tune = (50, 50) if SMOKE else (4000, 1000)
    sampler = emlib.GibbsSampler(emlib.GaussianMixture(3), RICHARDSON, temperatures=temperatures)
    sampler.sample(X, 5, tune=5, chains=chains, random_state=0)
    seconds, found = cpu_seconds(lambda: sampler.sample(X, draws, tune=tune, chains=chains, random_state=1))
    ordered = found.relabelled("order")
    means = ordered["means"][..., 0]
    main = float(((means[..., 0] < 13) & (means[..., 2] > 28)).mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = ordered.to_arviz()
        ess = min(float(values.min()) for values in arviz.ess(data, method="bulk").data_vars.values())
        rhat = max(float(values.max()) for values in arviz.rhat(data).data_vars.values())
    print(
        f"\ngalaxies, {chains} chains of {draws} draws after {tune}, temperatures {temperatures}: {seconds:.3g} CPU s, "
        f"smallest bulk-ESS {ess:.0f}, {ess / seconds:.0f} a second; main mode {main:.4f}, R-hat {rhat:.4f}"
    )
    if not SMOKE and len(temperatures) > 1:
        assert abs(main - 0.984) < 0.01, "stuck chains do not count"
        assert rhat < 1.01


@pytest.mark.parametrize("chains", [1, 4])
def test_a_sweep_beside_an_iteration(chains):
    n, d, K = (2000, 2, 5) if SMOKE else (10**5, 2, 5)
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 3, (K, d))
    rows = Rows(centres[rng.integers(K, size=n)] + rng.standard_normal((n, d)))
    start = MixtureParams(np.full(K, 1 / K), GaussianParams(centres, np.repeat(np.eye(d)[None], K, axis=0)))
    prior = MixturePrior(1.0, NormalInverseWishart(np.zeros(d), 0.01, np.eye(d), 4.0))
    model, rounds = Mixture(Gaussian()), 3 if SMOKE else 30

    def climb(k):
        em.fit(model, rows, start, max_iter=k, tol=0.0)

    def walk(k):
        wander.sample(model, rows, [start] * chains, draws=k, tune=0, prior=prior, rng=rng)

    climb(1)
    ratios = []
    for _ in range(1 if SMOKE else 5):
        (one, _), (many, _) = (cpu_seconds(lambda k=k: climb(k)) for k in (1, 1 + rounds))
        (first, _), (all_, _) = (cpu_seconds(lambda k=k: walk(k)) for k in (1, 1 + rounds))
        ratios.append((all_ - first) / chains / (many - one))
    print(
        f"\nsweep of a chain ({chains} together) over an EM iteration, (n, d, K) = {(n, d, K)}: "
        f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )
