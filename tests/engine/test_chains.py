"""Recursions along chains: against all paths, against each other, and where doubles end."""

from __future__ import annotations

import importlib.util
import itertools

import numpy as np
import pytest

from emlib.engine import chains, lockstep
from emlib.engine.chains import Chain, Cuts

HAS_NUMBA = importlib.util.find_spec("numba") is not None
TWINS = ["numpy", pytest.param("numba", marks=pytest.mark.skipif(not HAS_NUMBA, reason="numba is not installed"))]


@pytest.fixture(params=TWINS)
def twin(request, monkeypatch):
    """Either way of running the recursions."""
    monkeypatch.setenv("EMLIB_NUMBA", "0" if request.param == "numpy" else "1")
    chains._numba.cache_clear()
    yield request.param
    chains._numba.cache_clear()


def problem(K, lengths, seed=0, scale=2.0, zeros=False):
    rng = np.random.default_rng(seed)
    start, transitions = rng.dirichlet(np.ones(K)), rng.dirichlet(np.ones(K), size=K)
    if zeros:  # from left to right only
        transitions = np.triu(transitions) / np.triu(transitions).sum(axis=1, keepdims=True)
    return scale * rng.normal(size=(K, int(np.sum(lengths)))), Chain(start, transitions), Cuts(lengths)


def all_paths(log_density, chain, cuts):
    every = np.array(list(itertools.product(range(len(log_density)), repeat=cuts.n)))
    with np.errstate(divide="ignore"):
        log_start, log_A = np.log(chain.start), np.log(chain.transitions)
    joint = log_density[every, np.arange(cuts.n)].sum(axis=1)
    for t in range(cuts.n):
        joint += log_start[every[:, t]] if t in cuts.firsts else log_A[every[:, t - 1], every[:, t]]
    return every, joint


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("lengths", [[6], [2, 1, 3], [1]])
def test_all_paths(twin, lengths, zeros):
    log_density, chain, cuts = problem(3, lengths, zeros=zeros)
    every, joint = all_paths(log_density, chain, cuts)
    p = np.exp(joint)
    for cold in (False, True):
        paths = chains.smooth(log_density.copy(), chain, cuts, cold=cold)
        np.testing.assert_allclose(paths.values.sum(), np.log(p.sum()), rtol=1e-12)
        states = np.array([[(p * (every[:, t] == k)).sum() for t in range(cuts.n)] for k in range(3)]) / p.sum()
        np.testing.assert_allclose(paths.states, states, atol=1e-12)
        np.testing.assert_allclose(paths.first, states[:, cuts.firsts].sum(axis=1), atol=1e-12)
        later = cuts.pairs()
        moves = sum(np.bincount(every[:, t - 1] * 3 + every[:, t], p, 9) for t in later) / p.sum() if len(later) else 0
        np.testing.assert_allclose(paths.moves.ravel(), moves, atol=1e-12)
    path, value = chains.decode(log_density, chain, cuts)
    np.testing.assert_array_equal(path, every[joint.argmax()])
    np.testing.assert_allclose(value.sum(), joint.max(), rtol=1e-12)


@pytest.mark.parametrize("cold", [False, True])
def test_drawn_paths_have_their_probabilities(twin, cold):
    log_density, chain, cuts = problem(2, [3, 2], scale=0.7)
    _, joint = all_paths(log_density, chain, cuts)
    p = np.exp(joint) / np.exp(joint).sum()
    rng, n = np.random.default_rng(1), 1500
    digits = 2 ** np.arange(4, -1, -1)
    drawn = [chains.draw(log_density.copy(), chain, cuts, rng, cold=cold)[0] @ digits for _ in range(n)]
    share = np.bincount(drawn, minlength=32) / n
    assert (np.abs(share - p) <= 5 * np.sqrt(p * (1 - p) / n) + 3 / n).all()


@pytest.mark.parametrize("cut", [1, 2, 7, 64])
@pytest.mark.parametrize("zeros", [False, True])
def test_segments_change_nothing(cut, zeros):
    """However chains are cut into segments, each answer is that of the whole chain."""
    log_density, chain, cuts = problem(3, [50, 200, 3, 129], zeros=zeros)
    B, rng = np.exp(log_density - log_density.max(axis=0)), np.random.default_rng(3)
    u, A, answers = rng.random(cuts.n), chain.transitions, []
    for size in (None, cut):
        pack = lockstep.packed(cuts.firsts, cuts.lengths, np.arange(4), size)
        own, place = B[:, pack.rows], np.argsort(pack.rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            filtered = lockstep.forward(pack, own, chain.start, A)
            drawn = lockstep.drawn_path(pack, filtered, A, u[pack.rows])
            gamma, first, moves = lockstep.backward(pack, own, filtered, A)
            best = lockstep.best_path(pack, log_density[:, pack.rows], *chain.logs)
        answers.append((gamma[:, place], filtered.scale[place], first, moves, drawn[place], best[place]))
    for whole, parts in zip(*answers, strict=True):
        np.testing.assert_allclose(parts, whole, rtol=1e-9, atol=1e-12)


@pytest.mark.skipif(not HAS_NUMBA, reason="numba is not installed")
@pytest.mark.parametrize("lengths", [[5000], [7] * 300, [2000, 1, 3, 900]])
def test_the_twins_are_equal(monkeypatch, lengths):
    log_density, chain, cuts = problem(4, lengths)
    answers = []
    for switch in ("0", "1"):
        monkeypatch.setenv("EMLIB_NUMBA", switch)
        chains._numba.cache_clear()
        paths = chains.smooth(log_density.copy(), chain, cuts)
        drawn, values = chains.draw(log_density.copy(), chain, cuts, np.random.default_rng(5))
        best, joint = chains.decode(log_density, chain, cuts)
        answers.append((paths.states, paths.first, paths.moves, paths.values, drawn, values, best, joint))
    chains._numba.cache_clear()
    for one, other in zip(*answers, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)


def test_where_doubles_end(twin):
    """A path 1e-400 times as probable as others at its start, and in the end the only one."""
    chain = Chain(np.array([0.5, 0.5]), np.eye(2))
    log_density = np.array([[0.0, -2000.0], [-900.0, 0.0]])
    paths = chains.smooth(log_density.copy(), chain, Cuts([2]))
    np.testing.assert_allclose(paths.values, np.log(0.5) - 900.0)
    np.testing.assert_allclose(paths.states, [[0, 0], [1, 1]], atol=1e-12)
    path, _ = chains.draw(log_density.copy(), chain, Cuts([2]), np.random.default_rng(0))
    assert path.tolist() == [1, 1]
    # ... and its neighbours are not disturbed
    both = np.concatenate([log_density, [[-1.0, -2.0], [-2.0, -1.0]]], axis=1)
    again = chains.smooth(both.copy(), chain, Cuts([2, 2]))
    alone = chains.smooth(both[:, 2:].copy(), chain, Cuts([2]))
    np.testing.assert_allclose(again.values, [*paths.values, *alone.values])
    np.testing.assert_allclose(again.states[:, 2:], alone.states)


def test_densities_far_below_one(twin):
    """All densities of a row may underflow; only their ratios count."""
    log_density, chain, cuts = problem(3, [20])
    low = chains.smooth(log_density - 5000.0, chain, cuts)
    high = chains.smooth(log_density.copy(), chain, cuts)
    np.testing.assert_allclose(low.values, high.values - 20 * 5000.0, rtol=1e-12)
    np.testing.assert_allclose(low.states, high.states, atol=1e-9)


def test_nothing_is_possible(twin):
    chain = Chain(np.array([1.0, 0.0]), np.eye(2))
    paths = chains.smooth(np.array([[0.0, -np.inf], [0.0, 0.0]]), chain, Cuts([2]))
    assert paths.values.tolist() == [-np.inf]


def test_packs_lose_no_row():
    rng = np.random.default_rng(0)
    lengths = np.concatenate([rng.integers(1, 40, 30), [5000, 900, 30000]])
    cuts = Cuts(lengths)
    packs = cuts.packs(3)
    assert len(packs) == 2  # long chains are cut, short ones are whole
    assert sorted(np.concatenate([pack.rows for pack in packs]).tolist()) == list(range(cuts.n))
    assert sorted(np.concatenate([pack.chains for pack in packs]).tolist()) == list(range(len(lengths)))


def test_walk_has_the_chains_transitions():
    chain = Chain(np.array([0.2, 0.8]), np.array([[0.9, 0.1], [0.3, 0.7]]))
    cuts = Cuts([5] * 4000)
    states = chains.walk(chain, cuts.lengths, np.random.default_rng(0))
    first, moves = chains.moves_of(states, cuts, 2)
    np.testing.assert_allclose(first / first.sum(), chain.start, atol=0.03)
    np.testing.assert_allclose(moves / moves.sum(axis=1, keepdims=True), chain.transitions, atol=0.03)
    assert moves.sum() == 4 * 4000
