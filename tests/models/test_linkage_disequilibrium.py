"""Two loci: every maximum, PLINK's numbers, errors against the likelihood itself."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import emlib
from emlib.models.haplotypes import HaplotypeModel, HaplotypeParams
from emlib.models.linkage_disequilibrium import haplotype_maxima, linkage_disequilibrium

HERE = Path(__file__).parent / "data"


def people(table):
    """One row of two counts for each person of a 3 x 3 table."""
    i, j = np.indices((3, 3))
    return np.repeat(np.column_stack([i.ravel(), j.ravel()]), np.asarray(table, dtype=int).ravel(), axis=0)


def plink_sets():
    trios = emlib.data.hapmap_trios("CEU")
    return {
        "ceu": trios.genotypes[trios.founders][:, ::40],
        "drawn": np.loadtxt(HERE / "plink_drawn.txt", dtype=int),
        "apoe_afr": emlib.data.apoe().people("AFR"),
    }


def test_plink():
    """The command is in the first line of the stored table."""
    with (HERE / "plink_r2.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert len(rows) == 187
    found = {name: linkage_disequilibrium(G, standard_errors=False) for name, G in plink_sets().items()}
    for row in rows:
        one, at = found[row["set"]], (int(row["i"]), int(row["j"]))
        np.testing.assert_allclose(one.r2[at], float(row["r2"]), atol=1e-5)
        np.testing.assert_allclose(one.d_prime[at], float(row["d_prime"]), atol=1e-5)


TABLES = st.lists(st.integers(0, 12), min_size=9, max_size=9).map(lambda x: np.array(x, dtype=float).reshape(3, 3))
ALL = HaplotypeModel(np.array([(1, 1), (1, 0), (0, 1), (0, 0)]))


def log_likelihood(table, h):
    """By another way: the frequency of each of the nine genotypes."""
    cells = np.zeros((3, 3))
    for x, p in zip(ALL.haplotypes, h, strict=True):
        for y, q in zip(ALL.haplotypes, h, strict=True):
            cells[tuple(x + y)] += p * q
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(table > 0, table * np.log(cells), 0.0).sum())


@example(np.diag([3.0, 1.0, 0.0]))  # EM stands still where there is no haplotype 11, at a minimum
@example(np.diag([0.0, 5.0, 0.0]))
@example(np.diag([0.0, 0.0, 7.0]))  # one allele at either locus
@given(TABLES)
@settings(max_examples=150, deadline=None)
def test_maxima_are_the_highest_on_a_grid_and_nearby_and_em_stands_still_there(table):
    first, second = haplotype_maxima(table[None])[0]
    if table.sum() == 0:
        assert np.isnan(first).all()
        return
    a, b = (table.sum(axis=1) @ [0, 1, 2] / 2 / table.sum(), table.sum(axis=0) @ [0, 1, 2] / 2 / table.sum())
    np.testing.assert_allclose([first[:2].sum(), first[[0, 2]].sum(), first.sum()], [a, b, 1.0], atol=1e-9)
    t = np.linspace(max(0.0, a + b - 1), min(a, b), 201)
    grid = np.clip(np.column_stack([t, a - t, b - t, 1 - a - b + t]), 0, 1)
    best = log_likelihood(table, first)
    assert best >= max(log_likelihood(table, h) for h in grid) - 1e-9 * (1 + abs(best))
    for h in (first, second):
        if np.isnan(h).any():
            continue
        stats, value = ALL.e_step(people(table), HaplotypeParams(h / h.sum()))
        np.testing.assert_allclose(ALL.m_step(stats).frequencies, h, atol=1e-7)
        np.testing.assert_allclose(value, log_likelihood(table, h), rtol=1e-9)
        for step in (-1e-4, 1e-4):  # as far as the bound
            beside = np.clip(h[0] + step, t[0], t[-1])
            beside = np.clip([beside, a - beside, b - beside, 1 - a - b + beside], 0, 1)
            assert log_likelihood(table, beside) <= value + 1e-11 * (1 + abs(value))
    if not np.isnan(second).any():
        assert log_likelihood(table, second) <= best + 1e-9 * (1 + abs(best))


def test_two_maxima_are_both_reported():
    G = people([[2, 1, 1], [2, 20, 2], [1, 3, 1]])
    found = linkage_disequilibrium(G)
    [(higher, lower)] = found.two_maxima
    assert higher.loci == (0, 1)
    assert higher.log_likelihood >= lower.log_likelihood
    assert higher.d > 0 > lower.d
    assert found.d_prime[0, 1] == higher.d_prime
    np.testing.assert_allclose(higher.frequencies.sum(), 1.0)
    np.testing.assert_allclose(
        lower.frequencies[1, 1] - lower.frequencies[1].sum() * lower.frequencies[:, 1].sum(), lower.d
    )
    # ... the highest of them is the one that EM finds from there, and so is the other.
    for one in (higher, lower):
        h = one.frequencies[::-1, ::-1].ravel()
        fit = emlib.engine.em.fit(ALL, G, HaplotypeParams(0.97 * h + 0.0075), tol=1e-10)
        np.testing.assert_allclose(fit.log_likelihood, one.log_likelihood, atol=1e-6)


def test_a_minimum_is_no_second_maximum_and_a_locus_beside_itself_no_pair():
    assert linkage_disequilibrium([[0, 0], [0, 0], [0, 0], [1, 1]]).two_maxima == ()
    everybody_hidden = linkage_disequilibrium(np.ones((5, 3), dtype=int))
    assert [higher.loci for higher, _ in everybody_hidden.two_maxima] == [(0, 1), (0, 2), (1, 2)]


def test_nothing_hidden_is_a_plain_count():
    G = people([[10, 4, 0], [6, 0, 2], [3, 1, 5]])
    h = haplotype_maxima(np.array([[[10.0, 4, 0], [6, 0, 2], [3, 1, 5]]]))[0, 0]
    np.testing.assert_allclose(h * 62, [2 * 5 + 1 + 2, 2 * 3 + 1 + 6, 4 + 2, 2 * 10 + 6 + 4], atol=1e-9)
    a, b = G.mean(axis=0) / 2
    found = linkage_disequilibrium(G)
    np.testing.assert_allclose(found.d[0, 1], h[0] - a * b)
    np.testing.assert_allclose(found.r2[0, 1], (h[0] - a * b) ** 2 / (a * (1 - a) * b * (1 - b)))
    np.testing.assert_allclose(found.d_prime[0, 1], found.d[0, 1] / min(a * (1 - b), b * (1 - a)))
    assert found.n.tolist() == [[31, 31], [31, 31]]
    # Without double heterozygotes haplotypes are multinomial: the error of D is the textbook's.
    slope = np.array([h[3], -h[2], -h[1], h[0]])
    np.testing.assert_allclose(found.d_error[0, 1] ** 2, ((slope**2) @ h - (slope @ h) ** 2) / 62)


@pytest.mark.parametrize("table", [[[12, 9, 2], [8, 15, 6], [1, 7, 9]], [[30, 12, 3], [9, 8, 1], [2, 1, 0]]])
def test_errors_are_those_of_the_likelihood(table):
    """Against the curvature by differences and slopes by differences, coordinate by coordinate."""
    table = np.array(table, dtype=float)
    h = haplotype_maxima(table[None])[0, 0]
    assert (h > 0).all()
    basis = np.vstack([np.eye(3), -np.ones(3)])
    at = lambda u: log_likelihood(table, h + basis @ u)  # noqa: E731
    step, E = 1e-4, np.eye(3)
    curvature = np.array(
        [
            [
                (at(step * (x + y)) - at(step * (x - y)) - at(step * (y - x)) + at(-step * (x + y))) / (4 * step**2)
                for y in E
            ]
            for x in E
        ]
    )
    covariance = np.linalg.inv(-curvature)

    def measures(u):
        p = h + basis @ u
        a, b, d = p[0] + p[1], p[0] + p[2], p[0] * p[3] - p[1] * p[2]
        top = min(a * (1 - b), b * (1 - a)) if d >= 0 else min(a * b, (1 - a) * (1 - b))
        return np.array([d, d / top, d * d / (a * (1 - a) * b * (1 - b))])

    slopes = np.array([(measures(1e-6 * x) - measures(-1e-6 * x)) / 2e-6 for x in E])
    expected = np.sqrt(np.diagonal(slopes.T @ covariance @ slopes))
    found = linkage_disequilibrium(people(table))
    got = [found.d_error[0, 1], found.d_prime_error[0, 1], found.r2_error[0, 1]]
    np.testing.assert_allclose(got, expected, rtol=1e-4)


@pytest.mark.slow
def test_errors_are_those_of_repeated_samples():
    rng, h, n = np.random.default_rng(0), np.array([0.3, 0.1, 0.15, 0.45]), 400
    columns = [ALL.haplotypes[rng.choice(4, (n, 2), p=h)].sum(axis=1) for _ in range(400)]
    found = [linkage_disequilibrium(G) for G in columns]
    for name in ("d", "d_prime", "r2"):
        values = np.array([getattr(one, name)[0, 1] for one in found])
        errors = np.array([getattr(one, name + "_error")[0, 1] for one in found])
        np.testing.assert_allclose(errors.mean(), values.std(), rtol=0.1)


def test_missing_is_pairwise_and_one_allele_is_nan():
    G = np.array([[0, 1, 0], [1, -1, 0], [2, 1, 0], [1, 0, 0], [-1, 2, 0], [1, 2, 0]])
    found = linkage_disequilibrium(G)
    assert found.n[0, 1] == 4
    alone = linkage_disequilibrium(G[[0, 2, 3, 5]][:, :2])
    np.testing.assert_allclose(found.r2[0, 1], alone.r2[0, 1])
    assert np.isnan(found.d[:, 2]).all()
    np.testing.assert_array_equal(found.r2, found.r2.T)
    np.testing.assert_allclose([found.r2[0, 0], found.d_prime[1, 1]], 1.0)


def test_exchanging_alleles_turns_the_sign():
    G = people([[12, 9, 2], [8, 15, 6], [1, 7, 9]])
    one, other = linkage_disequilibrium(G), linkage_disequilibrium(np.column_stack([2 - G[:, 0], G[:, 1]]))
    for name in ("d", "d_prime"):
        np.testing.assert_allclose(getattr(one, name)[0, 1], -getattr(other, name)[0, 1])
    for name in ("r2", "d_error", "d_prime_error", "r2_error"):
        np.testing.assert_allclose(getattr(one, name)[0, 1], getattr(other, name)[0, 1])


def test_bad_input():
    with pytest.raises(ValueError, match="pairs of alleles"):
        linkage_disequilibrium(np.zeros((3, 2, 2)))
    with pytest.raises(ValueError, match="one locus"):
        linkage_disequilibrium([[0], [1]])
    with pytest.raises(ValueError, match="standard_errors is 3"):
        linkage_disequilibrium([[0, 1], [1, 0]], standard_errors=3)
