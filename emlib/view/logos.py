"""Sequence logos: the height of a column is its information, and letters share it by their frequency.

Few sites look more certain than they are: a column of n random letters has (4 - 1) / (2 n ln 2) bits on average, which
is taken off (Schneider et al. 1986). Letters are drawn by a few lines here, in the colours of the house, so that the
report of the command needs no drawing library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine.latent import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = {"A": "#009e73", "C": "#0072b2", "G": "#e69f00", "T": "#d55e00"}


def logo_heights(counts: Any, n_sites: float | None = None) -> FloatArray:
    """Heights of the letters in bits (w, 4), corrected for a small sample (eq. 10.3).

    Parameters
    ----------
    counts : array (w, 4)
        Letters of the sites, or probabilities.
    n_sites : float, optional
        How many sites there were; the sum of each column if None.

    Examples
    --------
    >>> logo_heights([[10, 0, 0, 0]]).round(3).tolist()
    [[1.784, 0.0, 0.0, 0.0]]
    """
    counts = np.asarray(counts, dtype=float)
    total = counts.sum(axis=1, keepdims=True)
    if counts.ndim != 2 or counts.shape[1] != 4 or not ((counts >= 0).all() and (total > 0).all()):
        raise ValueError(f"counts has the shape {counts.shape}; columns (w, 4) of letters, none empty, are needed.")
    p = counts / total
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(p > 0, p * np.log2(p), 0.0).sum(axis=1, keepdims=True)
    correction = 3.0 / (2.0 * np.log(2.0) * (total if n_sites is None else n_sites))
    return np.asarray(p * np.maximum(2.0 - entropy - correction, 0.0))


def logo_svg(counts: Any, n_sites: float | None = None) -> str:
    """The logo as an SVG picture."""
    heights, parts = logo_heights(counts, n_sites), []
    for j, column in enumerate(heights):
        top = 100.0
        for a in np.argsort(column):
            height = 48.0 * float(column[a])
            if height > 0.3:
                parts.append(
                    f"<text transform='translate({14 + 26 * j},{top:.1f}) scale(1,{height / 25.2:.3f})' "
                    f"text-anchor='middle' textLength='24' lengthAdjust='spacingAndGlyphs' fill='{COLORS['ACGT'[a]]}'>"
                    f"{'ACGT'[a]}</text>"
                )
                top -= height
    width = 28 + 26 * len(heights)
    return (
        f"<svg viewBox='0 0 {width} 104' width='{width}' height='104' font-family='monospace' font-weight='bold' "
        f"font-size='35' role='img' aria-label='sequence logo'>{''.join(parts)}<path d='M0 101h{width}' "
        "stroke='#333'/></svg>"
    )


def draw_logo(ax: Axes, counts: Any, n_sites: float | None = None) -> None:
    """Draw a logo, columns at 1, 2, ..., heights in bits.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> draw_logo(ax, [[8, 0, 1, 1], [0, 10, 0, 0]])
    >>> len(ax.patches)
    4
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    font = FontProperties(family="DejaVu Sans", weight="bold")
    heights = logo_heights(counts, n_sites)
    for j, column in enumerate(heights):
        base = 0.0
        for a in np.argsort(column):
            if column[a] > 0:
                glyph = TextPath((0, 0), "ACGT"[a], size=1, prop=font)
                box = glyph.get_extents()
                shape = Affine2D().translate(-box.x0, -box.y0).scale(0.9 / box.width, column[a] / box.height)
                place = shape.translate(j + 0.55, base)
                ax.add_patch(PathPatch(place.transform_path(glyph), color=COLORS["ACGT"[a]], linewidth=0))
                base += float(column[a])
    ax.set(xlim=(0.4, len(heights) + 0.6), ylim=(0, 2), xlabel="column", ylabel="bits")
