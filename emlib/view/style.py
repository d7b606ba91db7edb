"""The house style of figures: few colours that everybody can tell apart, readable type, no clutter.

>>> from emlib.view import style
>>> style.use()
>>> style.COLORS[0]
'#0072b2'
"""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
from cycler import cycler

#: Okabe & Ito's palette for all kinds of colour vision, in the order in which components get them: neighbours differ
#: in lightness too, and each stands out from white by at least 3 to 1 except the last two, which come seldom.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#a0508a", "#000000", "#e69f00", "#56b4e9")

#: For what is not a component: axes, reference lines, points without a label.
INK = "#333333"
GREY = "#767676"

#: Width and height in inches: at the width of a phone the type is still readable.
SIZE = (5.2, 3.5)

_RC: dict[Any, Any] = {
    "figure.figsize": SIZE,
    "figure.dpi": 120,
    "figure.constrained_layout.use": True,
    # Opaque white in light and dark pages alike: colours keep the contrast they were chosen for.
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "axes.prop_cycle": cycler(color=COLORS),
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "text.color": INK,
    "font.family": "DejaVu Sans",  # the one font that comes with matplotlib on every machine
    "font.size": 10.5,
    "mathtext.fontset": "dejavusans",
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    # The same figure is the same bytes.
    "svg.hashsalt": "emlib",
    "svg.fonttype": "path",
}


def use() -> None:
    """Draw in the house style from here on.

    Examples
    --------
    >>> import matplotlib
    >>> use()
    >>> matplotlib.rcParams["axes.spines.top"]
    False
    """
    mpl.rcParams.update(_RC)


def color(k: int) -> str:
    """The colour of component `k`, counted from 0; they repeat after the last.

    Examples
    --------
    >>> color(1), color(7) == color(0)
    ('#d55e00', True)
    """
    return COLORS[k % len(COLORS)]
