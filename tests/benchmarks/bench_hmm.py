"""One EM iteration of hidden Markov models beside hmmlearn (a C++ extension), in the same run, on one thread each.

    make benchmarks            # full size; prints a table
    make benchmarks-smoke      # small inputs, only to see that it runs

hmmlearn's iteration is the difference between a fit of three iterations and one of a single one, by three; both of its
implementations are timed ("log" is its default). Of ours both twins: NumPy, and numba where it is installed.
That all do the same is checked first. Skipped without hmmlearn.
"""

from __future__ import annotations

import importlib.util
import os
import time
import warnings

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from emlib.engine import chains, families
from emlib.engine.blocks import expect_over_blocks
from emlib.engine.chains import Chain
from emlib.engine.latent import SOFT
from emlib.engine.markov import HiddenMarkov, MarkovParams
from emlib.engine.sequences import Sequences

SMOKE = os.environ.get("EMLIB_BENCHMARKS") == "smoke"
SIZES = [(1, 2000), (20, 100)] if SMOKE else [(1, 10**6), (10**4, 100)]
REPEATS = 1 if SMOKE else 5
K = 4


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield
    chains._numba.cache_clear()


def seconds(step):
    best = []
    for _ in range(REPEATS):
        before = time.process_time()
        step()
        best.append(time.process_time() - before)
    return float(np.median(best))


def problem(size):
    rng, lengths = np.random.default_rng(0), [size[1]] * size[0]
    transitions = 0.92 * np.eye(K) + 0.02
    means = 2.0 * np.arange(K)[:, None]
    states = chains.walk(Chain(np.full(K, 1 / K), transitions), np.array(lengths), rng)
    X = means[states] + rng.normal(size=(len(states), 1))
    start = MarkovParams(np.full(K, 1 / K), transitions, families.GaussianParams(means + 0.3, np.full((K, 1), 1.3)))
    return X, lengths, start


def peer(implementation, n_iter, X, lengths, start):
    from hmmlearn.hmm import GaussianHMM

    model = GaussianHMM(
        K,
        "diag",
        n_iter=n_iter,
        tol=-np.inf,
        init_params="",
        covars_prior=0,
        covars_weight=1,
        min_covar=0,
        implementation=implementation,
    )
    model.startprob_, model.transmat_ = start.start, start.transitions
    model.means_, model.covars_ = start.components.means, start.components.covariances
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, lengths)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_iteration(size, monkeypatch):
    pytest.importorskip("hmmlearn")
    X, lengths, start = problem(size)
    one = peer("scaling", 1, X, lengths, start)
    model, origin = HiddenMarkov(families.DiagonalGaussian()), X.mean(axis=0)
    here = MarkovParams(
        start.start,
        start.transitions,
        families.GaussianParams(start.components.means - origin, start.components.covariances),
    )
    data = Sequences(X, lengths, origin)

    def ours():
        [(stats, value)] = expect_over_blocks(model, data, [here], SOFT)
        return model.m_step(stats), value

    found = {}
    for twin, switch in (("NumPy", "0"), ("numba", "1")):
        if twin == "numba" and importlib.util.find_spec("numba") is None:
            continue
        monkeypatch.setenv("EMLIB_NUMBA", switch)
        chains._numba.cache_clear()
        new, value = ours()
        np.testing.assert_allclose(value, one.monitor_.history[0], rtol=1e-10)
        np.testing.assert_allclose(new.transitions, one.transmat_, atol=1e-8)
        np.testing.assert_allclose(new.components.means + origin, one.means_, atol=1e-8)
        found[twin] = seconds(ours)
    for implementation in ("scaling", "log"):
        spans = [seconds(lambda n=n, i=implementation: peer(i, n, X, lengths, start)) for n in (1, 4)]
        found[f"hmmlearn {implementation}"] = (spans[1] - spans[0]) / 3
    parts = ", ".join(f"{name} {value:.4g} s" for name, value in found.items())
    print(f"\nGaussian HMM, 4 states, {size[0]} sequence(s) of {size[1]}: {parts} an iteration")


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_decoding(size, monkeypatch):
    pytest.importorskip("hmmlearn")
    X, lengths, start = problem(size)
    one = peer("scaling", 1, X, lengths, start)
    model, data = HiddenMarkov(families.DiagonalGaussian()), Sequences(X, lengths)
    here = MarkovParams(one.startprob_, one.transmat_, families.GaussianParams(one.means_, one._covars_))
    text = [f"hmmlearn {seconds(lambda: one.decode(X, lengths)):.4g} s"]
    for twin, switch in (("NumPy", "0"), ("numba", "1")):
        if twin == "numba" and importlib.util.find_spec("numba") is None:
            continue
        monkeypatch.setenv("EMLIB_NUMBA", switch)
        chains._numba.cache_clear()
        np.testing.assert_array_equal(model.best_path(data, here)[0], one.decode(X, lengths)[1])
        text.append(f"{twin} {seconds(lambda: model.best_path(data, here)):.4g} s")
    print(f"\nViterbi, 4 states, {size[0]} sequence(s) of {size[1]}: {', '.join(text)}")
