"""What regression with t errors estimates, sums and may know before."""

from __future__ import annotations

from dataclasses import dataclass

from ...engine.latent import FloatArray

DOFS = (0.05, 1e6)  # a t with 1e6 degrees of freedom is normal
NORMAL = 1e3  # and from here on a likelihood does not tell how many they are: a row differs by 1e-6 nats


@dataclass(frozen=True)
class RegressionParams:
    """Coefficients (p,), squared scale of the errors, and their degrees of freedom."""

    coef: FloatArray
    scale2: float
    dof: float


@dataclass(frozen=True)
class RegressionStats:
    """Weighted moments (p + 1, p + 1) of columns and of residuals `about` coefficients; rows; the sum of log w - w."""

    moments: FloatArray
    about: FloatArray
    rows: float
    logs: float
    noise: float = 0.0

    def __add__(self, other: RegressionStats) -> RegressionStats:
        rows, logs, noise = self.rows + other.rows, self.logs + other.logs, self.noise + other.noise
        return RegressionStats(self.moments + other.moments, self.about, rows, logs, noise)


@dataclass(frozen=True)
class RegressionPrior:
    """Coefficients N(0, scale2 / strength), squared scale inverse-gamma(shape, rate); degrees of freedom flat."""

    strength: float = 0.0
    shape: float = 0.0
    rate: float = 0.0
