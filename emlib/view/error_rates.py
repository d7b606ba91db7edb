"""Posterior errors beside what the decoys say of them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer

from ..models.peptides.rates import Calibration
from . import style


def draw_calibration(
    ax: Axes, calibration: Calibration, *, label: str = "sum of posterior errors", color: str = style.COLORS[0]
) -> ErrorbarContainer:
    """Draw how many targets are incorrect in each bin of scores: counted by decoys, and by summed posterior errors.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw; its axes are labelled.
    calibration : Calibration
        From ``ScoreMixture.calibration()``.
    label, color : str
        Of the posterior errors' line. Decoys are drawn once, with two standard errors.

    Returns
    -------
    ErrorbarContainer
        The decoys.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import emlib
    >>> matches, ax = emlib.data.scope2(), Figure().subplots()
    >>> fit = emlib.ScoreMixture().fit(matches.scores, matches.is_decoy)
    >>> drawn = draw_calibration(ax, fit.calibration(12))
    >>> len(drawn.lines[0].get_xdata())
    12
    """
    edges, each = calibration.edges[::-1], calibration.per_decoy
    decoys, expected = each * calibration.decoys[::-1], calibration.expected[::-1]
    ax.stairs(expected, edges, color=color, linewidth=1.8, label=label)
    error = 2.0 * np.sqrt(each * np.maximum(decoys, each))
    drawn = ax.errorbar(
        0.5 * (edges[1:] + edges[:-1]),
        decoys,
        yerr=[np.minimum(error, decoys), error],
        fmt="o",
        markersize=4,
        color=style.INK,
        elinewidth=1.0,
        capsize=2.5,
        label="decoys",
    )
    ax.set_xlabel("score")
    ax.set_ylabel("incorrect targets in the bin")
    ax.legend()
    return drawn
