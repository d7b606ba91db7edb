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
    assert (cells.counts.sum(axis=1) < cells.total_umi).all()
    assert "LYZ" in cells.genes
    assert (cells.cell_types == "Dendritic").sum() == 240
