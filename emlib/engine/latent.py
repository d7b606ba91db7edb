"""The choice of E: what the E-step does with a hidden label.

Every mixture-like E-step ends with the same question. For each row there is one log joint
density per component, ``log p(x, z=k)``; what shall stand in for the unknown ``z``?

=========  ==========================================  ==============================
latent     stands in for z                             the algorithm it makes
=========  ==========================================  ==============================
SOFT       posterior probabilities                     EM
tempered   posterior raised to 1/t, normalised         deterministic annealing
HARD       the most probable label (t = 0)             K-means, classification EM
sampled    one label drawn from the posterior          stochastic EM, Gibbs sampling
=========  ==========================================  ==============================

Soft, tempered and hard are one family. Each maximises, over distributions r of the label,
the free energy ``E_r[log p(x, z)] + t * entropy(r)``, whose maximum is
``t * log sum_k p(x, z=k)**(1/t)``: the log-likelihood at t = 1, the best joint at t = 0.
The E-step returns that maximum, so every one of them climbs its own objective.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# exp(-700) is 1e-304: nothing that small reaches a sum. Stopping there keeps np.exp away from
# denormal results, which cost forty times as much (M-steps count such crumbs as zero).
SMALLEST_EXPONENT = -700.0


@dataclass(frozen=True)
class Latent:
    """How the hidden part is filled in; use `SOFT`, `HARD`, `tempered` or `sampled`."""

    temperature: float = 1.0
    rng: np.random.Generator | None = None

    @property
    def climbs(self) -> bool:
        """Whether the objective of this choice never falls (all but sampling)."""
        return self.rng is None

    def split(self, n: int) -> list[Latent]:
        """One latent policy for each of `n` blocks; samplers get streams of their own."""
        if self.rng is None:
            return [self] * n
        return [Latent(self.temperature, child) for child in self.rng.spawn(n)]


SOFT = Latent()
HARD = Latent(temperature=0.0)


def tempered(temperature: float) -> Latent:
    """Posterior probabilities at a temperature (eq. 5.5); 1 is `SOFT`, 0 is `HARD`.

    Examples
    --------
    >>> tempered(0.0) == HARD
    True
    """
    if not (np.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature is {temperature!r}; it must be a finite number, 0 or above.")
    return Latent(temperature=float(temperature))


def schedule(temperatures: Iterable[float], name: str = "temperatures") -> tuple[Latent, ...]:
    """One `tempered` E-step for each of some falling temperatures.

    Raises
    ------
    ValueError
        If there is none, or one is no temperature or not below the one before; `name` is what the sentence calls them.

    Examples
    --------
    >>> [latent.temperature for latent in schedule([4, 2, 1])]
    [4.0, 2.0, 1.0]
    """
    try:
        values = [float(t) for t in temperatures]
    except (TypeError, ValueError):
        values = []
    falling = all(a > b for a, b in itertools.pairwise(values))
    if not (values and falling and np.isfinite(values).all() and values[-1] >= 0):
        raise ValueError(
            f"{name} is {temperatures!r}; it must hold finite numbers, 0 or above, each below the one before."
        )
    return tuple(tempered(t) for t in values)


def sampled(rng: np.random.Generator) -> Latent:
    """One label drawn from the posterior for each row (eq. 7.4), from the stream `rng`."""
    return Latent(rng=rng)


def assign(log_joint: FloatArray, latent: Latent = SOFT) -> FloatArray:
    """Turn log joint densities into responsibilities, in place.

    Parameters
    ----------
    log_joint : array (..., K, b), C-contiguous
        ``log p(x, z=k)`` of b rows, components along the last axis but one (so that every
        reduction below runs along whole rows of memory). Overwritten by the responsibilities.
    latent : Latent
        `SOFT`, `HARD`, `tempered` or `sampled`.

    Returns
    -------
    array (...) or ()
        The sum over rows of the objective of this choice (module docstring); for `SOFT` and
        `sampled` that is the log-likelihood.

    Examples
    --------
    >>> A = np.log([[0.3], [0.1]])
    >>> round(float(assign(A)), 6), A.ravel().round(2).tolist()
    (-0.916291, [0.75, 0.25])
    """
    A, t = log_joint, latent.temperature
    if t not in (0.0, 1.0):
        A *= 1.0 / t
    top = A.max(axis=-2, keepdims=True)
    if t == 0.0:
        best = top == A
        if np.count_nonzero(best) > top.size:  # of labels equally good the first is taken: a decision is one label
            best &= np.cumsum(best, axis=-2) == 1
        np.copyto(A, best)
        return np.asarray(top.sum(axis=(-2, -1)))

    # log-sum-exp (eq. 2.9): subtract the largest term first, so that nothing underflows to log 0.
    A -= top
    np.maximum(A, SMALLEST_EXPONENT, out=A)
    np.exp(A, out=A)
    if latent.rng is not None:
        total = _draw_labels(A, latent.rng)
    else:
        total = A.sum(axis=-2, keepdims=True)
        A *= 1.0 / total
    value = (top + np.log(total)).sum(axis=(-2, -1))
    return np.asarray(value if t == 1.0 else t * value)


def _draw_labels(shares: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Replace each column by a one-hot draw with probabilities in these shares, in place; returns their sums.

    Every step runs along whole rows of memory. The point that picks the label lies above 0 and not above the sum,
    so that a share of zero is never picked, whatever the rounding.
    """
    R = shares
    for k in range(1, R.shape[-2]):
        R[..., k, :] += R[..., k - 1, :]
    total = R[..., -1:, :].copy()
    point = rng.random(total.shape)
    np.subtract(1.0, point, out=point)
    point *= total
    np.less_equal(point, R, out=R)
    for k in range(R.shape[-2] - 1, 0, -1):
        R[..., k, :] -= R[..., k - 1, :]
    return total


def drawn(shares: FloatArray, rng: np.random.Generator) -> NDArray[np.intp]:
    """An index for each row of shares (..., K), which need not sum to one; never one of share zero."""
    running = shares.cumsum(axis=-1)
    point = rng.random(shares.shape[:-1]) * running[..., -1]  # below the sum
    return (running[..., :-1] <= point[..., None]).sum(axis=-1)
