"""What stands between an image and its counts: rays through a body, a lens out of focus. And a head to look at."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import convolve, convolve1d
from scipy.signal import fftconvolve
from scipy.sparse import csr_array

from ...engine.latent import FloatArray
from ..checks import as_numbers, check_whole

# Brightness, half axes, centre (x to the right, y up), tilt in degrees: Shepp & Logan (1974), with the brightness that
# later authors raised so that it can be seen. In emission it is read as activity.
ELLIPSES = (
    (1.0, 0.69, 0.92, 0.0, 0.0, 0.0),
    (-0.8, 0.6624, 0.874, 0.0, -0.0184, 0.0),
    (-0.2, 0.11, 0.31, 0.22, 0.0, -18.0),
    (-0.2, 0.16, 0.41, -0.22, 0.0, 18.0),
    (0.1, 0.21, 0.25, 0.0, 0.35, 0.0),
    (0.1, 0.046, 0.046, 0.0, 0.1, 0.0),
    (0.1, 0.046, 0.046, 0.0, -0.1, 0.0),
    (0.1, 0.046, 0.023, -0.08, -0.605, 0.0),
    (0.1, 0.023, 0.023, 0.0, -0.606, 0.0),
    (0.1, 0.023, 0.046, 0.06, -0.605, 0.0),
)


LARGE = 200  # entries of a kernel beyond which Fourier transforms are faster


def shepp_logan(n: int = 128) -> FloatArray:
    """The head of Shepp and Logan: ten ellipses on n x n pixels, between 0 and 1.

    Parameters
    ----------
    n : int
        Pixels on a side. Each is the mean of 4 x 4 points inside it.

    References
    ----------
    Shepp & Logan (1974), IEEE Transactions on Nuclear Science 21:21-43.

    Examples
    --------
    >>> head = shepp_logan(64)
    >>> head.shape, round(float(head.max()), 3), float(head[0, 0])
    ((64, 64), 1.0, 0.0)
    """
    fine = 4 * check_whole("n", n, 1)
    x = (2.0 * np.arange(fine) + 1.0) / fine - 1.0
    y = -x[:, None]
    image = np.zeros((fine, fine))
    for brightness, a, b, x0, y0, tilt in ELLIPSES:
        c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
        across, along = c * (x - x0) + s * (y - y0), c * (y - y0) - s * (x - x0)
        image += brightness * ((across / a) ** 2 + (along / b) ** 2 <= 1.0)
    blocks: FloatArray = image.reshape(n, 4, n, 4).mean(axis=(1, 3))
    return np.maximum(blocks, 0.0)


def parallel_beam(n: int = 128, n_angles: int = 90) -> csr_array:
    """A scanner that looks at n x n pixels from `n_angles` directions, through parallel strips of a pixel's width.

    Entry (i, j) is the chance that a photon of pixel j is counted in strip i: a direction is one of `n_angles`, all
    alike, and the strip is shared in proportion to the area of the pixel that it covers. So every column sums to 1.

    Returns
    -------
    scipy.sparse.csr_array (n_angles * n_strips, n * n)
        Strips of one direction follow each other; pixels in the order of ``image.ravel()``.

    Examples
    --------
    >>> A = parallel_beam(16, 12)
    >>> A.shape, round(float(A.sum(axis=0).min()), 9)
    ((300, 256), 1.0)
    """
    check_whole("n", n, 1), check_whole("n_angles", n_angles, 1)
    x = np.arange(n) - (n - 1) / 2.0
    n_strips = 2 * int(np.ceil(n / np.sqrt(2.0))) + 1
    pixels, parts = np.arange(n * n), []
    for direction, angle in enumerate(np.pi * np.arange(n_angles) / n_angles):
        place = (np.cos(angle) * x + np.sin(angle) * -x[:, None]).ravel() + n_strips / 2.0  # in strips, from the left
        wide, narrow = sorted(np.abs([np.cos(angle), np.sin(angle)]), reverse=True)
        first = np.floor(place).astype(int)
        below = [_shadow(first + k - place, wide, max(narrow, 1e-4)) for k in (-1, 0, 1, 2)]
        for k in range(3):
            share = below[k + 1] - below[k]
            hit = share > 1e-9
            parts.append((share[hit], direction * n_strips + first[hit] + k - 1, pixels[hit]))
    share, strip, pixel = (np.concatenate(part) for part in zip(*parts, strict=True))
    share /= np.bincount(pixel, share)[pixel]
    return csr_array((share, (strip, pixel)), shape=(n_angles * n_strips, n * n))


def _shadow(t: FloatArray, wide: float, narrow: float) -> FloatArray:
    """Share of a pixel's shadow that lies below t: the shadow of a tilted square is a trapezium."""
    corners = ((wide + narrow, 1.0), (wide - narrow, -1.0), (narrow - wide, -1.0), (-wide - narrow, 1.0))
    total = sum(sign * np.maximum(t + corner / 2.0, 0.0) ** 2 for corner, sign in corners)
    return np.clip(np.asarray(total) / (2.0 * wide * narrow), 0.0, 1.0)


def blur(
    psf: ArrayLike, mode: str = "constant"
) -> tuple[Callable[[FloatArray], FloatArray], Callable[[FloatArray], FloatArray]]:
    """A lens with the point spread function `psf`: the pair (forward, back) that `MLEM` takes.

    Parameters
    ----------
    psf : array, an odd number of entries along each axis
        Where the light of one pixel goes; scaled to a sum of 1.
    mode : {"constant", "wrap"}
        Whether light that leaves the frame is lost, or comes in again at the other side.

    Examples
    --------
    >>> forward, back = blur([[1.0, 2.0, 1.0]])
    >>> forward(np.array([[0.0, 4.0, 0.0]])).tolist()
    [[1.0, 2.0, 1.0]]
    """
    kernel = as_numbers("psf", psf)
    light = float(kernel.sum())
    if (
        not kernel.ndim
        or not all(size % 2 for size in kernel.shape)
        or not (kernel >= 0).all()
        or not 0 < light < np.inf
    ):
        raise ValueError(
            f"psf has the shape {kernel.shape} and entries from {kernel.min(initial=0):g}, with the sum {light:g}; it "
            "needs an odd number along each axis, finite, none below 0 and one above it."
        )
    if mode not in ("constant", "wrap"):
        raise ValueError(f"mode is {mode!r}; it must be 'constant' or 'wrap'.")
    kernel = kernel / light
    turned = kernel[(slice(None, None, -1),) * kernel.ndim]
    return partial(_smeared, kernel, mode), partial(_smeared, turned, mode)


def _smeared(kernel: FloatArray, mode: str, image: ArrayLike) -> FloatArray:
    """Convolved: axis by axis if the kernel is a product, by Fourier transforms if it is large, else directly."""
    light = as_numbers("image", image)
    if light.ndim != kernel.ndim:
        raise ValueError(
            f"an image of shape {light.shape} does not fit a psf of shape {kernel.shape}: as many axes are needed."
        )
    along = [kernel.sum(axis=tuple(b for b in range(kernel.ndim) if b != a)) for a in range(kernel.ndim)]
    if np.abs(reduce(np.multiply.outer, along) - kernel).max() <= 1e-15 * kernel.max():
        for axis, weights in enumerate(along):
            light = convolve1d(light, weights, axis=axis, mode=mode)
        return light
    if kernel.size <= LARGE:
        return np.asarray(convolve(light, kernel, mode=mode))
    framed = np.pad(light, [(size // 2, size // 2) for size in kernel.shape], mode=mode)  # type: ignore[call-overload]
    sent = fftconvolve(framed, kernel, mode="valid")
    return np.maximum(sent, 1e-16 * sent.max(initial=0.0))  # below, rounding may be negative, and light is not
