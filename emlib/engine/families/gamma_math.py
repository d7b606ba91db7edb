"""The gamma function where differences matter: Stirling's remainder, the shape equation, draws.

A gamma distribution tends to a point as its shape grows, and a negative binomial to a Poisson.
There ``log Gamma`` grows without bound while everything of interest is a small difference of
such numbers; the functions here compute the differences themselves.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import digamma, gammaln, zeta

from ..latent import FloatArray

HALF_LOG_2PI = float(0.5 * np.log(2 * np.pi))
LARGE = 15.0  # from here on the first five terms of Stirling's series leave less than 1e-16

#: The sizes a component can have. At the upper end it cannot be told from a Poisson.
SIZES = (1e-8, 1e8)


def _by_size(
    r: FloatArray, direct: Callable[[FloatArray], FloatArray], series: Callable[[FloatArray, FloatArray], FloatArray]
) -> FloatArray:
    """`direct(r)` below `LARGE`, and above it ``series(r, 1 / r**2)``, which costs a tenth."""
    large = np.maximum(r, LARGE)
    out, small = np.asarray(series(large, 1.0 / large**2)), np.asarray(r) < LARGE
    if small.any():
        out[small] = direct(np.asarray(r)[small])
    return out


def stirling(a: FloatArray) -> FloatArray:
    """``log Gamma(a + 1) - (a + 1/2) log a + a - log(2 pi) / 2``, to the last digits for every a > 0.

    Source: Loader (2000), *Fast and accurate computation of binomial probabilities*.

    Examples
    --------
    >>> stirling(np.array([1.0, 1e8])).round(12).tolist()
    [0.081061466795, 8.33e-10]
    """
    return _by_size(
        a,
        lambda a: gammaln(a + 1.0) - (a + 0.5) * np.log(a) + a - HALF_LOG_2PI,
        lambda a, q: (1 / 12 - q * (1 / 360 - q * (1 / 1260 - q * (1 / 1680 - q / 1188)))) / a,
    )


def log_minus_digamma(r: FloatArray) -> FloatArray:
    """``log r - digamma(r)``, how far the mean log of a gamma variable lies below the log of its mean."""
    return _by_size(
        r,
        lambda r: np.log(r) - digamma(r),
        lambda r, q: 0.5 / r + q * (1 / 12 - q * (1 / 120 - q * (1 / 252 - q * (1 / 240 - q / 132)))),
    )


def trigamma_minus_inverse(r: FloatArray) -> FloatArray:
    """``trigamma(r) - 1 / r``, minus the slope of `log_minus_digamma`."""
    return _by_size(
        r,
        lambda r: zeta(2.0, r) - 1.0 / r,
        lambda r, q: q * (0.5 + (1 / 6 - q * (1 / 30 - q * (1 / 42 - q * (1 / 30 - q * 5 / 66)))) / r),
    )


def gamma_shape(gap: FloatArray) -> FloatArray:
    """The shape r of a gamma distribution with ``log r - digamma(r) = gap`` (eq. 4.9), held within `SIZES`.

    `gap` is ``log(mean) - mean(log)``; it is 0 where nothing varies, and r is then the largest.
    Newton's steps on 1/r, from a start that is good at both ends: Minka (2002), *Estimating a
    Gamma distribution*.

    Examples
    --------
    >>> gamma_shape(np.log(3.0) - digamma(np.array([3.0]))).round(12).tolist()
    [3.0]
    """
    flat = ~(gap > 0.5 / SIZES[1])
    s = np.where(flat, 1.0, gap)
    root = np.sqrt((s - 3.0) ** 2 + 24.0 * s)
    with np.errstate(divide="ignore"):  # where the other form is taken
        r = np.where(s < 3.0, (3.0 - s + root) / (12.0 * s), 2.0 / (root + s - 3.0))
    for _ in range(20):
        step = (s - log_minus_digamma(r)) / (r * trigamma_minus_inverse(r))  # of 1/r, times r
        r = r / (1.0 + step)
        if (np.abs(step) < 1e-13).all():
            break
    return np.where(flat, SIZES[1], np.clip(r, *SIZES))


def log_gamma_draws(shape: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Logarithms of standard gamma variables, finite however small the shape.

    A variable of shape a is one of shape a + 1 times ``U**(1/a)``; for a = 1e-4 the product itself
    is mostly below 1e-308.
    """
    boost = shape < 1.0
    draws = np.log(rng.standard_gamma(shape + boost))
    draws[boost] -= rng.standard_exponential(int(boost.sum())) / shape[boost]
    return draws


def draw_from_log_density(
    log_density: Callable[[FloatArray], FloatArray], low: float, high: float, m: int, rng: np.random.Generator
) -> FloatArray:
    """One draw from each of m one-dimensional densities with a single peak each.

    Parameters
    ----------
    log_density : callable
        Maps points (m, points) to log densities of the same shape, each up to a constant.
    low, high : float
        No draw lies outside.
    m : int
        Number of densities.
    rng : numpy.random.Generator

    Returns
    -------
    array (m,)
        By the inverse of the distribution function on a grid of 2,001 points, laid over what lies
        within 40 nats of the peak. Between points the density is taken to be linear.
    """
    a, b = np.full(m, low), np.full(m, high)
    for _ in range(12):  # zoom in on the peak; each look narrows the range by up to a factor of 30
        t = np.linspace(a, b, 64, axis=1)
        L = log_density(t)
        near = L.max(axis=1, keepdims=True) - L < 40.0
        first = np.maximum(near.argmax(axis=1) - 1, 0)
        last = np.minimum(64 - near[:, ::-1].argmax(axis=1), 63)
        rows = np.arange(m)
        width = b - a
        a, b = t[rows, first], t[rows, last]
        if (b - a > 0.5 * width).all():
            break
    t = np.linspace(a, b, 2001, axis=1)
    L = log_density(t)
    p = np.exp(L - L.max(axis=1, keepdims=True))
    cdf = np.cumsum(0.5 * (p[:, 1:] + p[:, :-1]), axis=1)
    u = rng.random(m) * cdf[:, -1]
    cell = (cdf < u[:, None]).sum(axis=1)
    left, right = p[rows, cell], p[rows, cell + 1]
    rest = np.clip(1.0 - (cdf[rows, cell] - u) / (0.5 * (left + right)), 0.0, 1.0)  # share of the cell below u
    # the fraction f of the cell with f * left + f**2 (right - left) / 2 = rest * (left + right) / 2
    area = rest * (left + right)
    f = area / (left + np.sqrt(left**2 + area * (right - left)))
    return t[rows, cell] + f * (t[rows, 1] - t[rows, 0])
