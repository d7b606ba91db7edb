"""Tables that statistics grew up with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .shipped import Floats, Ints, Words, numbers, table

# Days with 0, 1, ... 9 death notices of women aged 80 and over, The Times, 1910-1912.
TIMES_DAYS = (162, 267, 271, 185, 111, 61, 27, 8, 3, 1)


def old_faithful() -> Floats:
    """Eruptions of the Old Faithful geyser: length and waiting time to the next, in minutes.

    Returns
    -------
    array (272, 2)

    Examples
    --------
    >>> old_faithful()[0].tolist()
    [3.6, 79.0]
    """
    return numbers(table("old_faithful.csv"), ["eruptions", "waiting"])


def galaxies() -> Floats:
    """Velocities of 82 galaxies of the Corona Borealis region, in 1000 km/s.

    As shipped in R's MASS; observation 78 is its well-known typing error, 26.690 for 26.960.

    Returns
    -------
    array (82, 1)

    Examples
    --------
    >>> float(galaxies()[77, 0])
    26.69
    """
    return numbers(table("galaxies.csv"), ["v"])


def fetal_lamb() -> Ints:
    """Movements of a fetal lamb in 240 successive intervals of 5 s.

    Returns
    -------
    array (240, 1) of int

    Examples
    --------
    >>> int(fetal_lamb().max()), int((fetal_lamb() == 0).sum())
    (7, 182)
    """
    return numbers(table("fetal_lamb.csv"), ["movements"]).astype(np.int64)


def earthquakes() -> Ints:
    """Major earthquakes of the world (magnitude 7 or greater), one count for each year from 1900 to 2006.

    Returns
    -------
    array (107, 1) of int

    Examples
    --------
    >>> earthquakes()[:3, 0].tolist(), int(earthquakes().sum())
    ([13, 14, 8], 2072)
    """
    return numbers(table("earthquakes.csv"), ["count"]).astype(np.int64)


def times_deaths() -> Ints:
    """Death notices of women aged 80 and over in *The Times*, one count for each of 1,096 days.

    Returns
    -------
    array (1096, 1) of int, sorted

    Examples
    --------
    >>> np.bincount(times_deaths()[:, 0]).tolist()
    [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
    """
    return np.repeat(np.arange(len(TIMES_DAYS)), TIMES_DAYS)[:, None]


@dataclass(frozen=True)
class Penguins:
    """Penguins of the Palmer archipelago that have all four measurements.

    Attributes
    ----------
    measurements : array (342, 4)
        Bill length, bill depth, flipper length (mm) and body mass (g).
    species : array (342,) of str
    columns : tuple of str
    """

    measurements: Floats
    species: Words
    columns: tuple[str, ...]


def penguins() -> Penguins:
    """Penguins of three species, without the two that were never measured.

    Examples
    --------
    >>> birds = penguins()
    >>> birds.measurements.shape, sorted(set(birds.species.tolist()))
    ((342, 4), ['Adelie', 'Chinstrap', 'Gentoo'])
    """
    columns = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
    rows = [row for row in table("penguins.csv") if all(row[column] for column in columns)]
    return Penguins(numbers(rows, columns), np.array([row["species"] for row in rows]), tuple(columns))


def stackloss() -> Floats:
    """A plant that oxidises ammonia to nitric acid, on 21 days.

    Returns
    -------
    array (21, 4)
        Air flow, temperature of the cooling water, concentration of acid, and the loss of ammonia through the stack.

    Examples
    --------
    >>> stackloss()[0].tolist()
    [80.0, 27.0, 89.0, 42.0]
    """
    return numbers(table("stackloss.csv"), ["air_flow", "water_temp", "acid_conc", "stack_loss"])
