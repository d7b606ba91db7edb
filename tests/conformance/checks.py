"""What every model must do, whatever its world. Each check takes a `Case` and asserts."""

from __future__ import annotations

import itertools
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from emlib.engine import check, em
from emlib.engine import information as info
from emlib.engine.blocks import Rows, expect_over_blocks
from emlib.engine.latent import HARD, SOFT, sampled, tempered
from emlib.engine.parameters import flatten, rebuild

from .cases import Case


def statistics(stats) -> np.ndarray:
    own = {name: 0.0 for name in ("noise", "values") if hasattr(stats, name)}  # no rounding bound, no log-likelihood
    return flatten(replace(stats, **own) if own else stats)


def nearby(case: Case, amount: float = 0.1, seed: int = 1):
    """Valid parameters near the truth: those that fit a fresh small sample, mixed in."""
    rng = np.random.default_rng(seed)
    if case.averaged:  # a posterior cannot be mixed with another; a larger sample is nearer
        X = case.model.simulate(case.params, round(50 / amount), rng)
        return case.model.m_step(case.model.e_step(X, case.params)[0], case.prior)
    return check.nearby(case.model, case.params, rng, amount)


def additivity(case: Case) -> None:
    """Statistics and objective of the whole are the sums over any split."""
    X = case.data(60)
    for latent in (SOFT, tempered(2.5), HARD):
        for cut in (1, case.size(X) // 3, case.size(X) - 1):
            parts = case.part(X, 0, cut), case.part(X, cut, case.size(X))
            check.adds_up(case.model, parts, X, case.params, latent)


def brute_force(case: Case) -> None:
    """The likelihood is the sum over all assignments of labels, term by term."""
    X = case.data(case.few or (5 if case.told is None else 3))
    if case.integrals is not None:  # the sum is an integral
        value, best, expected = case.integrals(X, case.params)
        stats, found = case.model.e_step(X, case.params)
        np.testing.assert_allclose(found, value, rtol=1e-7)
        np.testing.assert_allclose(case.model.e_step(X, case.params, HARD)[1], best, rtol=1e-6)
        np.testing.assert_allclose(case.counts(stats), expected, rtol=1e-6, atol=1e-9)
        return
    if case.paths is not None:
        assignments, paths = case.paths(X, case.params)
        K = assignments.max() + 1
    else:
        joint = case.log_joint(X, case.params)
        n, K = joint.shape
        assignments = np.array(list(itertools.product(range(K), repeat=n)))
        paths = joint[np.arange(n), assignments].sum(axis=1)
    _, value = case.model.e_step(X, case.params)
    np.testing.assert_allclose(value, logsumexp(paths), rtol=1e-10)
    # ... and the hard objective is the best single assignment.
    np.testing.assert_allclose(case.model.e_step(X, case.params, HARD)[1], paths.max(), rtol=1e-10)
    # ... and the expected counts are posterior averages over the same assignments.
    posterior = softmax(paths)
    if case.told is None:
        counts = sum(p * np.bincount(z, minlength=K) for p, z in zip(posterior, assignments, strict=True))
    else:
        adds = np.array([case.told(row) for row in X])
        counts = posterior @ adds[np.arange(n), assignments].sum(axis=1)
    np.testing.assert_allclose(case.counts(case.model.e_step(X, case.params)[0]), counts, rtol=1e-9)


def monotone(case: Case) -> None:
    """No iteration lowers the objective: likelihood, free energy, or posterior under a prior."""
    X, start = case.data(200), nearby(case, 0.9)
    for prior in case.priors:
        for latent in (SOFT, tempered(3.0), tempered(0.3), HARD):
            check.never_falls(case.model, X, [start], prior, latent)


def stationary(case: Case) -> None:
    """Where EM stands still, the objective is flat in every valid direction."""
    if case.averaged:
        pytest.skip("its parameters are no coordinates; models/test_motifs.py moves the posterior instead")
    X, start = case.data(300), nearby(case)
    for prior in (None, case.prior):
        check.flat_at_rest(case.model, X, start, np.random.default_rng(10), prior)


def permutation(case: Case) -> None:
    """Names of components mean nothing."""
    if case.permute is None:
        pytest.skip("its hidden labels have a meaning of their own")
    X = case.data(40)
    K = len(getattr(case.params, "weights", getattr(case.params, "start", ())))
    order = [*range(1, K), 0]
    stats, value = case.model.e_step(X, case.params)
    moved, moved_value = case.model.e_step(X, case.permute(case.params, order))
    np.testing.assert_allclose(moved_value, value, rtol=1e-12)
    np.testing.assert_allclose(
        flatten(case.model.m_step(moved)),
        flatten(case.permute(case.model.m_step(stats), order)),
        rtol=1e-9,
        atol=1e-12,
    )


def recovery(case: Case) -> None:
    """From many rows, EM finds the parameters that made them."""
    fit = em.fit(case.model, case.laid_out(case.data(20_000)), nearby(case), tol=1e-6, prior=case.priors[0])
    assert fit.converged
    found = replace(fit.params, divergence=0.0) if case.averaged else fit.params
    np.testing.assert_allclose(flatten(found), flatten(case.params), atol=case.tolerance)


def hard_limit(case: Case) -> None:
    """The tempered E-step tends to the hard one, in statistics and objective."""
    X = case.data(50)
    hard, best = case.model.e_step(X, case.params, HARD)
    cold, value = case.model.e_step(X, case.params, tempered(case.cold))
    np.testing.assert_allclose(statistics(cold), statistics(hard), atol=1e-6)
    np.testing.assert_allclose(value, best, rtol=1e-6, atol=1e-4 * case.size(X) * case.ties)  # t times the entropy left
    one, likelihood = case.model.e_step(X, case.params, tempered(1.0))
    soft, same = case.model.e_step(X, case.params, SOFT)
    np.testing.assert_allclose(statistics(one), statistics(soft))
    assert likelihood == same


def sampled_mean(case: Case) -> None:
    """Statistics of drawn labels scatter around the expected ones."""
    X, rng = case.data(30), np.random.default_rng(5)
    expected, value = case.model.e_step(X, case.params)
    draws = []
    for _ in range(2000):
        stats, likelihood = case.model.e_step(X, case.params, sampled(rng))
        draws.append(statistics(stats))
        np.testing.assert_allclose(likelihood, value, rtol=1e-12)
    error = np.std(draws, axis=0) / np.sqrt(len(draws))
    rare = 5 / len(draws) * max(1.0, float(np.abs(case.table(X)).max()) ** 2)  # labels too improbable to be seen
    assert (np.abs(np.mean(draws, axis=0) - statistics(expected)) <= 5 * error + rare).all()


def posterior_draws(case: Case) -> None:
    """Draws concentrate on the posterior mode as the rows become many, with spread 1/sqrt(n)."""
    if case.averaged:
        pytest.skip("what is averaged over is not drawn")
    rng = np.random.default_rng(6)
    spreads = []
    for n in (500, 50_000):
        stats = case.model.e_step(case.laid_out(case.data(n)), case.params)[0]
        best = flatten(case.model.m_step(stats, case.prior))
        draws = np.array([flatten(case.model.draw(stats, case.prior, rng)) for _ in range(300)])
        spread = draws.std(axis=0)
        free = spread > 0
        z = (draws.mean(axis=0) - best)[free] / spread[free]
        assert (np.abs(z) < (1.0 if n == 500 else 0.5)).all(), z
        spreads.append(spread[free])
    ratio = np.median(spreads[0] / spreads[1])
    assert 7 < ratio < 14, ratio  # sqrt(100) = 10


def blocks_and_threads(case: Case, monkeypatch=None) -> None:
    """Blocks, in order or on threads, give the same sums to the last digit."""
    rows = case.laid_out(case.data(1000))
    if isinstance(rows, Rows):
        parts = [Rows(rows.X[i : i + 100]) for i in range(0, 1000, 100)]
        for part in parts:
            part.scale = rows.scale
    else:
        parts = [case.part(rows, i, i + 50) for i in range(0, case.size(rows), 50)]

    class Cut:
        def blocks(self):
            return parts

    whole, value = case.model.e_step(rows, case.params)
    [serial] = expect_over_blocks(case.model, Cut(), [case.params], SOFT)
    with nullcontext() if sys.platform == "wasi" else ThreadPoolExecutor(3) as pool:  # no threads in WebAssembly
        [threaded] = expect_over_blocks(case.model, Cut(), [case.params], SOFT, pool)
    assert serial[1] == threaded[1]
    np.testing.assert_array_equal(statistics(serial[0]), statistics(threaded[0]))
    np.testing.assert_allclose(serial[1], value, rtol=1e-12)
    np.testing.assert_allclose(statistics(serial[0]), statistics(whole), rtol=1e-10)


def many_at_once(case: Case) -> None:
    """Several parameters evaluated together are as if each had been evaluated alone."""
    if not hasattr(case.model, "e_steps"):
        return
    X = case.data(1500)
    points = [case.params, *(nearby(case, amount) for amount in (0.2, 0.5, 1.0))]
    for latent in (SOFT, tempered(2.0), HARD):
        together = case.model.e_steps(X, points, latent)
        for params, (stats, value) in zip(points, together, strict=True):
            alone, same = case.model.e_step(X, params, latent)
            np.testing.assert_allclose(statistics(stats), statistics(alone), rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(value, same, rtol=1e-12)
    starts = points[1:]
    best = em.search(case.model, X, starts, tol=1e-9, prior=case.priors[0])
    for start, fit in zip(starts, best.starts, strict=True):
        alone = em.fit(case.model, X, start, tol=1e-9, prior=case.priors[0])
        assert fit.reason == alone.reason == "converged"
        np.testing.assert_allclose(fit.log_likelihood, alone.log_likelihood, rtol=1e-9)


def accelerated(case: Case) -> None:
    """SQUAREM climbs monotonically to the same top."""
    X = case.data(300)
    start = nearby(case, 0.5)
    if case.averaged:
        with pytest.raises(ValueError, match="accelerate=None"):
            em.fit(case.model, X, start, prior=case.prior, accelerate="squarem")
        return
    plain = em.fit(case.model, X, start, tol=1e-9, max_iter=50_000)
    fast = em.fit(case.model, X, start, tol=1e-9, max_iter=50_000, accelerate="squarem")
    assert fast.converged
    assert np.diff(fast.trace).min() >= -1e-10 * abs(fast.trace[-1])
    np.testing.assert_allclose(fast.log_likelihood, plain.log_likelihood, atol=1e-6)


def impossible_points(case: Case) -> None:
    """Numbers that are no parameters have no likelihood, and the climb reports it."""
    wrong = rebuild(case.params, -np.abs(flatten(case.params)) - 1.0)
    X = case.data(20)
    if case.name == "centres":  # any real numbers are centres; only its weights can be wrong
        wrong = rebuild(case.params, flatten(case.params) * np.nan)
    fit = em.fit(case.model, X, wrong)
    assert fit.reason == "degenerate"
    assert fit.message


def _smooth(case: Case) -> None:
    if not hasattr(getattr(case.model, "family", case.model), "slopes"):
        pytest.skip("it has no slopes, so no standard errors")


def _objective(case: Case, X, coordinates, prior):
    def objective(u):
        params = coordinates.at(u)
        value = case.model.e_step(X, params)[1]
        return value if prior is None else value + case.model.log_prior(params, prior)

    return objective


def score(case: Case) -> None:
    """Fisher's identity: the slope of the expected complete-data log-likelihood is that of the likelihood."""
    _smooth(case)
    X = case.data(80)
    params = nearby(case, 0.5, seed=3)
    coordinates = case.model.coordinates(params)
    here = np.zeros(coordinates.size)
    np.testing.assert_allclose(flatten(coordinates.at(here)), flatten(params), rtol=1e-12, atol=1e-14)
    stats, _ = case.model.e_step(X, params)
    for prior in (None, case.prior):
        objective = _objective(case, X, coordinates, prior)
        h = 1e-4
        slope = [(objective(h * e) - objective(-h * e)) / (2 * h) for e in np.eye(len(here))]
        np.testing.assert_allclose(
            coordinates.pull(here, case.model.slopes(stats, params, prior)), slope, rtol=1e-5, atol=1e-5
        )
        if case.more_is_hidden:
            continue
        # ... and it vanishes where the M-step lands
        best = case.model.m_step(stats, prior)
        there = case.model.coordinates(best)
        rest = there.pull(np.zeros(there.size), case.model.slopes(stats, best, prior))
        np.testing.assert_allclose(rest, 0.0, atol=1e-9 * len(X))


def observed_information(case: Case) -> None:
    """Curvature from differences of the score, by Louis' identity, and from the likelihood itself."""
    _smooth(case)
    X = case.data(60)
    for prior in (None, case.prior):
        fit = em.fit(case.model, X, nearby(case), prior=prior, tol=1e-12, max_iter=50_000)
        found = info.observed_information(case.model, X, fit.params, prior=prior)
        unit = np.sqrt(np.outer(np.diagonal(found.complete), np.diagonal(found.complete)))
        assert found.distance < 1e-5
        assert found.error < 1e-7
        if not case.more_is_hidden:
            np.testing.assert_allclose(
                found.observed / unit, info.louis(case.model, X, fit.params, prior=prior) / unit, atol=1e-7
            )
        objective, rng = _objective(case, X, found.coordinates, prior), np.random.default_rng(7)
        top = objective(np.zeros(len(found.score)))
        for _ in range(2 * len(found.score)):  # along random ways, of 0.05 complete-data standard errors
            way = 0.05 * rng.standard_normal(len(found.score)) / np.sqrt(np.diagonal(found.complete))
            near, far = (objective(h * way) - 2 * top + objective(-h * way) for h in (0.5, 1.0))
            curvature = (16 * near - far) / 3  # Richardson
            np.testing.assert_allclose(way @ found.observed @ way, -curvature, rtol=1e-5, atol=1e-10)


CHECKS = [
    additivity,
    brute_force,
    monotone,
    stationary,
    permutation,
    recovery,
    hard_limit,
    sampled_mean,
    posterior_draws,
    blocks_and_threads,
    many_at_once,
    accelerated,
    impossible_points,
    score,
    observed_information,
]
