"""Shipped data: complete, unchanged, and with a source."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from emlib import data


def test_every_file_has_its_provenance():
    shipped = {f.name for f in files("emlib.data").iterdir() if f.is_file() and not f.name.endswith((".py", ".md"))}
    text = data.provenance()
    assert shipped
    assert [name for name in shipped if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("load", "shape", "mean"),
    [
        (data.old_faithful, (272, 2), [3.487783, 70.897059]),
        (data.galaxies, (82, 1), [20.828171]),
        (data.fetal_lamb, (240, 1), [86 / 240]),
        (data.times_deaths, (1096, 1), [2364 / 1096]),
    ],
)
def test_tables(load, shape, mean):
    table = load()
    assert table.shape == shape
    np.testing.assert_allclose(table.mean(axis=0), mean, atol=1e-6)


def test_penguins():
    birds = data.penguins()
    assert np.isfinite(birds.measurements).all()
    assert len(birds.columns) == birds.measurements.shape[1]
    assert np.unique(birds.species, return_counts=True)[1].tolist() == [151, 68, 123]


def test_pbmc():
    cells = data.pbmc()
    assert cells.counts.shape == (700, len(cells.genes)) == (700, 26)
    assert cells.counts.min() == 0
    assert (cells.counts.sum(axis=1) + cells.plasma_counts.sum(axis=1) < cells.total_umi).all()
    assert cells.plasma_counts.sum(axis=0).tolist() == [730, 1217, 161]
    assert "LYZ" in cells.genes
    assert (cells.cell_types == "Dendritic").sum() == 240


@pytest.mark.parametrize("population", ["CEU", "YRI"])
def test_hapmap_trios(population):
    people = data.hapmap_trios(population)
    G = people.genotypes
    assert G.shape == (len(people.samples), len(people.snps)) == (90, 603)
    assert set(np.unique(G)) == {-1, 0, 1, 2}
    assert (np.diff(people.positions) > 0).all()
    assert sorted(people.trios.ravel()) == list(range(90))
    assert len(people.founders) == 60
    # Mendel's law: a parent and a child are not opposite homozygotes.
    child, *parents = (G[people.trios[:, i]] for i in range(3))
    assert sum(((child - p) ** 2 == 4)[(child >= 0) & (p >= 0)].sum() for p in parents) < 30


def test_hapmap_transmission_adds_up():
    people = data.hapmap_trios("CEU")
    passed = people.transmitted
    told = (passed >= 0).all(axis=(1, 2))
    assert told.mean() > 0.8
    child, *parents = (people.genotypes[people.trios[:, i]] for i in range(3))
    np.testing.assert_array_equal(passed[:, :, 0].sum(axis=1)[told], child[told])
    for i, parent in enumerate(parents):
        np.testing.assert_array_equal(passed[:, i].sum(axis=1)[told], parent[told])
    hets = (child == 1) & (parents[0] == 1) & (parents[1] == 1)
    assert hets.any()
    assert not told[hets].any()


def test_apoe():
    table = data.apoe()
    assert table.counts.sum() == 2504
    assert table.people("AFR").sum(axis=0).tolist() == [217 + 39 + 2 * 49, 86 + 10 + 39 + 1]
    np.testing.assert_allclose(table.phased.sum(axis=1), 1.0, atol=2e-4)
    # Phased frequencies agree with the allele counts of the same people.
    own = np.array([table.people(p).mean(axis=0) / 2 for p in table.populations])
    np.testing.assert_allclose(table.phased @ table.haplotypes, own, atol=2e-4)
    with pytest.raises(ValueError, match="population is 'MARS'"):
        table.people("MARS")
    with pytest.raises(ValueError, match="population is 'JPT'"):
        data.hapmap_trios("JPT")


def test_scope2():
    matches = data.scope2()
    assert matches.scores.shape == matches.is_decoy.shape == (7578,)
    assert (~matches.is_decoy).sum() == 5524
    assert len(np.unique(matches.scans)) == 7578
    assert [len(names) > 0 for names in matches.proteins] == (~matches.is_decoy).tolist()
    assert sum(len(names) > 1 for names in matches.proteins) == 707
