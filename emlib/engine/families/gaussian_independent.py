"""The other prior of a Gaussian: what is believed of its mean does not depend on its covariance."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..latent import FloatArray


@dataclass(frozen=True)
class IndependentNormalInverseWishart:
    """Semi-conjugate prior of Gaussian means and covariances: each conjugate while the other is held.

    The mean is normal with its own `covariance`; independently the components' covariance is
    inverse-Wishart(scatter, dof). In one column a variance that is inverse-gamma(a, b) has
    ``dof = 2 a`` and ``scatter = [[2 b]]``. Families with fewer parameters use what fits them, the
    diagonal of the scatter or its trace.

    It is for sampling: the posterior has no closed maximum, so EM refuses it.

    Parameters
    ----------
    mean : array (d,) or (K, d)
    covariance : array (d, d)
    scatter : array (d, d)
    dof : float
        Above d - 1.

    References
    ----------
    Diebolt & Robert (1994), *JRSS B* 56; Richardson & Green (1997), *JRSS B* 59.
    """

    mean: FloatArray
    covariance: FloatArray
    scatter: FloatArray
    dof: float

    def check(self, d: int) -> None:
        """Refuse a prior that is none, or does not fit d columns."""
        if np.shape(self.mean)[-1:] != (d,) or {np.shape(self.covariance), np.shape(self.scatter)} != {(d, d)}:
            raise ValueError(
                f"prior has a mean of shape {np.shape(self.mean)}, a covariance of shape {np.shape(self.covariance)} "
                f"and a scatter of shape {np.shape(self.scatter)}; {d} columns need ({d},) and twice ({d}, {d})."
            )
        if not self.dof > d - 1:
            raise ValueError(f"prior has dof {self.dof!r}; it must be above {d - 1}.")
        check_definite("covariance", self.covariance)
        check_definite("scatter", self.scatter)

    def moved(self, origin: FloatArray) -> IndependentNormalInverseWishart:
        """The same prior for data measured from `origin`."""
        return replace(self, mean=np.asarray(self.mean) - origin)


def check_definite(name: str, matrix: FloatArray) -> None:
    """Refuse a matrix of a prior that is not symmetric, positive definite: the prior would be improper.

    Examples
    --------
    >>> check_definite("scatter", np.zeros((1, 1)))
    Traceback (most recent call last):
      ...
    ValueError: prior has a scatter that is not symmetric, positive definite, so it is improper.
    """
    matrix = np.asarray(matrix, dtype=float)
    if not (np.isfinite(matrix).all() and np.allclose(matrix, matrix.T) and np.linalg.eigvalsh(matrix)[0] > 0):
        raise ValueError(f"prior has a {name} that is not symmetric, positive definite, so it is improper.")


def root(matrices: FloatArray) -> FloatArray:
    """Lower Cholesky factors (..., d, d); of one column, the square root."""
    if matrices.shape[-1] == 1:
        if not (matrices > 0).all():
            raise np.linalg.LinAlgError("Matrix is not positive definite")
        return np.sqrt(matrices)
    return np.asarray(np.linalg.cholesky(matrices), dtype=float)


def inverse(matrices: FloatArray) -> FloatArray:
    """Inverses (..., d, d); LAPACK takes its time over matrices of one number."""
    return 1.0 / matrices if matrices.shape[-1] == 1 else np.asarray(np.linalg.inv(matrices), dtype=float)


def wishart_factor(d: int, dof: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Lower triangles A (K, d, d) with A A' Wishart(identity, dof), dof (K,): Bartlett's decomposition."""
    factors = np.zeros((len(dof), d, d))
    i, j = np.tril_indices(d, -1)
    factors[:, i, j] = rng.standard_normal((len(dof), len(i)))
    on_axis = np.arange(d)
    factors[:, on_axis, on_axis] = np.sqrt(2.0 * rng.standard_gamma(0.5 * (dof[:, None] - on_axis)))
    return factors


def inverse_wishart(scatter: FloatArray, dof: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Covariances (K, d, d), each drawn from the inverse-Wishart distribution of its scatter and dof (K,).

    With L L' the scatter and A A' standard Wishart, ``L (A A')^-1 L'``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> draws = inverse_wishart(np.tile(np.diag([7.0, 14.0]), (9000, 1, 1)), np.full(9000, 10.0), rng)
    >>> draws.mean(axis=0).diagonal().round(1).tolist()  # scatter / (dof - d - 1)
    [1.0, 2.0]
    """
    half = root(scatter) @ inverse(wishart_factor(scatter.shape[-1], dof, rng)).swapaxes(-2, -1)
    return half @ half.swapaxes(-2, -1)


def normal_given(precision: FloatArray, pull: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draws (K, d) from normal distributions of these precisions (K, d, d) and means ``precision^-1 pull``."""
    half = inverse(root(precision))  # half' half is the covariance
    whitened = np.einsum("kij,kj->ki", half, pull) + rng.standard_normal(pull.shape)
    return np.asarray(np.einsum("kji,kj->ki", half, whitened), dtype=float)
