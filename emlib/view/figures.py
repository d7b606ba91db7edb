"""The drawings that several chapters share; each adds to axes that the caller owns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.contour import ContourSet
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from ..engine.latent import FloatArray
from ..models.boundary import DecisionBoundary, margins
from . import style


def ellipse(ax: Axes, mean: ArrayLike, covariance: ArrayLike, n_std: float = 2.0, **options: Any) -> Ellipse:
    """Draw where a two-dimensional normal distribution lies.

    The ellipse is the curve of equal density at `n_std` Mahalanobis distances from the mean: it holds a share
    ``1 - exp(-n_std**2 / 2)`` of the probability, 86 % for 2.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    mean : array (2,)
        Centre.
    covariance : array (2, 2)
        Symmetric, positive semi-definite.
    n_std : float
        Mahalanobis distance, above 0.
    **options
        Of `matplotlib.patches.Ellipse`; ``color`` colours the line and, lighter, the inside.

    Returns
    -------
    matplotlib.patches.Ellipse

    Raises
    ------
    ValueError
        If a shape or `n_std` is wrong, or the covariance is none.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> curve = ellipse(Figure().subplots(), [0, 0], [[4, 0], [0, 1]], n_std=1)
    >>> sorted([float(curve.width), float(curve.height)])
    [2.0, 4.0]
    """
    mean, covariance = np.asarray(mean, dtype=float), np.asarray(covariance, dtype=float)
    if mean.shape != (2,) or covariance.shape != (2, 2):
        raise ValueError(
            f"mean has shape {mean.shape} and covariance {covariance.shape}; an ellipse needs (2,) and (2, 2)."
        )
    if not n_std > 0:
        raise ValueError(f"n_std is {n_std!r}; it must be above 0.")
    if not np.allclose(covariance, covariance.T):
        raise ValueError("covariance is not symmetric.")
    variances, axes = np.linalg.eigh(covariance)
    if variances[0] < -1e-12 * abs(variances[1]):
        raise ValueError(f"covariance has the negative eigenvalue {variances[0]:.3g}.")
    width, height = 2 * n_std * np.sqrt(np.maximum(variances, 0.0))
    angle = float(np.degrees(np.arctan2(axes[1, 0], axes[0, 0])))
    color = options.pop("color", style.INK)
    look = {"facecolor": (*to_rgb(color), 0.12), "edgecolor": color, "linewidth": 2.0} | options
    curve = Ellipse((mean[0], mean[1]), width, height, angle=angle, **look)
    ax.add_patch(curve)
    ax.autoscale_view()
    return curve


def scatter_by_responsibility(
    ax: Axes, X: ArrayLike, responsibilities: ArrayLike, *, colors: tuple[str, ...] = style.COLORS, size: float = 20.0
) -> PathCollection:
    """Draw points in the mixture of their components' colours.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    X : array (n, 2)
        Points.
    responsibilities : array (n, K)
        Each row sums to 1; hard labels are rows of a one and zeros.
    colors : tuple of str
        One for each component; the house's if not given.
    size : float
        Area of a point, in square points.

    Returns
    -------
    matplotlib.collections.PathCollection

    Raises
    ------
    ValueError
        If shapes do not fit, there are more components than colours, or a row does not sum to 1.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> points = scatter_by_responsibility(Figure().subplots(), [[0, 0], [1, 1]], [[1, 0], [0.5, 0.5]])
    >>> points.get_facecolor().shape
    (2, 4)
    """
    X, R = np.asarray(X, dtype=float), np.asarray(responsibilities, dtype=float)
    if X.ndim != 2 or X.shape[1] != 2:
        raise ValueError(f"X has shape {X.shape}; points in a plane have (n, 2).")
    if R.ndim != 2 or len(R) != len(X):
        raise ValueError(f"responsibilities have shape {R.shape}; {len(X)} points need ({len(X)}, K).")
    if R.shape[1] > len(colors):
        raise ValueError(f"There are {R.shape[1]} components, but only {len(colors)} colours.")
    if not np.allclose(R.sum(axis=1), 1.0, atol=1e-6):
        raise ValueError("A row of responsibilities does not sum to 1.")
    palette = np.array([to_rgb(name) for name in colors[: R.shape[1]]])
    # In steps of a sixteenth, finer than the eye: points that share a colour cost a page little.
    steps = np.round(R * 16) / 16
    mixed = np.clip((steps / steps.sum(axis=1, keepdims=True)) @ palette, 0.0, 1.0)
    return ax.scatter(X[:, 0], X[:, 1], s=size, c=mixed, linewidths=0)


def share_bars(ax: Axes, shares: ArrayLike, names: Sequence[str], rows: Sequence[str] | None = None) -> None:
    """Draw each row of shares as a bar that is cut into its parts, the first row on top.

    Parameters
    ----------
    ax : Axes
        Where to draw; labels of the axes are the caller's.
    shares : array (n, K)
        Responsibilities: each row sums to one.
    names : sequence of str
        Of the K parts, for the legend.
    rows : sequence of str, optional
        Of the n rows; their numbers by default.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> share_bars(plt.figure().add_subplot(), [[0.2, 0.8], [1.0, 0.0]], ["short", "long"])
    """
    table = np.asarray(shares, float)
    places = np.arange(len(table))
    left = np.zeros(len(table))
    for k, part in enumerate(table.T):
        ax.barh(places, part, left=left, color=style.COLORS[k], label=names[k])
        left += part
    ax.set_yticks(places, rows if rows is not None else [str(row) for row in places])
    ax.invert_yaxis()
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)


def draw_boundary(
    ax: Axes,
    boundary: Any,
    *,
    fill: bool = True,
    resolution: int = 200,
    colors: tuple[str, ...] = style.COLORS,
    **options: Any,
) -> list[ContourSet]:
    """Draw where two components are equally probable, or how all components share the plane.

    It is drawn within the present limits of the axes, which stay as they are: draw the points first.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw.
    boundary : DecisionBoundary, or a fitted GaussianMixture or KMeans
        Of two columns. A boundary is a curve; of a fitted model each component's region is drawn.
    fill : bool
        Colour the regions of a fitted model lightly.
    resolution : int
        Points of the grid along each axis, at least 2. (A straight boundary needs no grid.)
    colors : tuple of str
        One for each component; the house's if not given.
    **options
        Of `matplotlib.axes.Axes.contour`, for the lines.

    Returns
    -------
    list of matplotlib.contour.ContourSet
        Lines, and regions if filled; empty if no boundary passes through the axes.

    Raises
    ------
    ValueError
        If there are not two columns, `resolution` is too small, or there are more components than colours.
    TypeError
        If `boundary` is something else.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import emlib
    >>> X, ax = emlib.data.old_faithful(), Figure().subplots()
    >>> points = ax.scatter(*X.T)
    >>> len(draw_boundary(ax, emlib.GaussianMixture(2, random_state=0).fit(X)))
    3
    """
    if resolution < 2:
        raise ValueError(f"resolution is {resolution!r}; it must be 2 or above.")
    look: dict[str, Any] = {"colors": style.INK, "linewidths": 1.4} | options
    if isinstance(boundary, DecisionBoundary):
        _two_columns(len(boundary.slope))
        x, y, grid = _grid(ax, 2 if boundary.kind == "linear" else resolution)
        return _zero(ax, x, y, boundary(grid).reshape(len(y), len(x)), look)
    _two_columns(boundary.n_features_in_ if hasattr(boundary, "n_features_in_") else 2)
    x, y, grid = _grid(ax, resolution)
    ahead = margins(boundary, grid)
    K = ahead.shape[1]
    if len(colors) < K:
        raise ValueError(f"There are {K} components, but only {len(colors)} colours.")
    drawn: list[ContourSet] = []
    for k in range(K if K > 1 else 0):
        height = ahead[:, k].reshape(len(y), len(x))
        rival = np.delete(ahead, k, axis=1).argmax(axis=1).reshape(len(y), len(x))
        drawn += _zero(ax, x, y, np.where(rival >= k, height, np.nan), look)  # each curve once, not from both sides
        if fill and (height > 0).any():
            light = (*to_rgb(colors[k]), 0.12)
            with _same_limits(ax):
                drawn.append(ax.contourf(x, y, height, levels=[0.0, float(height.max()) + 1.0], colors=[light]))
    return drawn


def _two_columns(d: int) -> None:
    if d != 2:
        raise ValueError(f"boundary lies in {d} columns; a plane has 2.")


def _grid(ax: Axes, resolution: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Points (resolution**2, 2) that fill the axes, and their two coordinates."""
    x, y = (np.linspace(*limits, resolution) for limits in (ax.get_xlim(), ax.get_ylim()))
    return x, y, np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _zero(ax: Axes, x: FloatArray, y: FloatArray, height: FloatArray, look: dict[str, Any]) -> list[ContourSet]:
    """The curve on which `height` is zero, if there is one."""
    if not ((height > 0).any() and (height < 0).any()):
        return []
    with _same_limits(ax):
        return [ax.contour(x, y, height, levels=[0.0], **look)]


@contextmanager
def _same_limits(ax: Axes) -> Iterator[None]:
    limits = ax.get_xlim(), ax.get_ylim()
    yield
    ax.set_xlim(limits[0], auto=None)
    ax.set_ylim(limits[1], auto=None)


def trace_plot(ax: Axes, trace: ArrayLike, *, label: str = "log-likelihood (nats)", **options: Any) -> Line2D:
    """Draw how an objective climbed, from the start (iteration 0) on.

    Parameters
    ----------
    ax : matplotlib Axes
        Where to draw; its axes are labelled.
    trace : array (n_iter + 1,)
        As in ``Fit.trace`` or an estimator's ``trace_``.
    label : str
        Of the vertical axis.
    **options
        Of `matplotlib.axes.Axes.plot`.

    Returns
    -------
    matplotlib.lines.Line2D

    Raises
    ------
    ValueError
        If `trace` is no sequence of numbers.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> line = trace_plot(Figure().subplots(), [-12.0, -11.2, -11.1])
    >>> line.get_xdata().tolist()
    [0, 1, 2]
    """
    values = np.asarray(trace, dtype=float)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"trace has shape {values.shape}; it must be a sequence with at least one number.")
    look: dict[str, Any] = {"marker": "o", "markersize": 4} | options
    (line,) = ax.plot(np.arange(values.size), values, **look)
    ax.set_xlabel("iteration")
    ax.set_ylabel(label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return line
