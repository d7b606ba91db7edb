"""Gaussian components: what all shapes of covariance share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaln

from ..blocks import Rows
from ..coordinates import Covariance, Location, Named, Positive
from ..differences import Special
from ..em import EPS, Degenerate
from ..features import upper
from ..kernel import Statistics
from ..latent import FloatArray
from .base import NO_EVIDENCE, counts_of
from .gaussian_independent import IndependentNormalInverseWishart, inverse, normal_given, root

POINT = 1e31  # condition of a component narrower than the rounding of the numbers it describes
LOST = 1e-13  # what a sum of squares may still be worth after its larger part was subtracted
LOG_PI = float(np.log(np.pi))
UNSAFE = 1e5  # condition beyond which the expanded quadratic form loses more than 11 digits


@dataclass(frozen=True)
class GaussianParams:
    """Means (K, d) and covariances, in the shape of their family.

    Full (K, d, d), diagonal (K, d), spherical (K,), tied (d, d), tied spherical (): as in
    scikit-learn.
    """

    means: FloatArray
    covariances: FloatArray


@dataclass(frozen=True)
class NormalInverseWishart:
    """Conjugate prior of Gaussian means and covariances.

    The covariance is inverse-Wishart(scatter, dof), the mean normal around `mean` with the
    covariance divided by `strength`: as if `strength` rows had been seen at `mean`. Families
    with fewer parameters use what fits them, the diagonal of the scatter or its trace.

    Parameters
    ----------
    mean : array (d,) or (K, d)
    strength : float
    scatter : array (d, d)
    dof : float
        Above d - 1.
    """

    mean: FloatArray
    strength: float
    scatter: FloatArray
    dof: float

    def check(self, d: int) -> None:
        """Refuse a prior that does not fit d columns."""
        if np.shape(self.mean)[-1:] != (d,) or np.shape(self.scatter) != (d, d):
            raise ValueError(
                f"prior has a mean of shape {np.shape(self.mean)} and a scatter of shape "
                f"{np.shape(self.scatter)}; data of {d} columns need ({d},) and ({d}, {d})."
            )
        if not (self.strength > 0 and self.dof > d - 1):
            raise ValueError(
                f"prior has strength {self.strength!r} and dof {self.dof!r}; they must be above 0 and {d - 1}."
            )

    def moved(self, origin: FloatArray) -> NormalInverseWishart:
        """The same prior for data measured from `origin`."""
        return replace(self, mean=np.asarray(self.mean) - origin)


@dataclass(frozen=True)
class GaussianShape:
    """What all shapes of covariance share: match the moments, with or without a prior's.

    A shape says what its scatter is (sums of squares about the means), over how many rows it
    was summed, and how a matrix of such sums reduces to it.
    """

    reg_covar: float = 0.0

    @property
    def about_means(self) -> bool:
        """Components are measured from their own means where the expanded form would lose digits."""
        return True

    @property
    def prior_type(self) -> type:
        """`NormalInverseWishart`."""
        return NormalInverseWishart

    @property
    def sampling_priors(self) -> tuple[type, ...]:
        """The priors under which parameters can be drawn."""
        return NormalInverseWishart, IndependentNormalInverseWishart

    @property
    def monotone(self) -> bool:
        """A variance floor is not a maximiser, so that the likelihood may fall a little."""
        return self.reg_covar == 0.0

    def shared(self, rows: Rows) -> FloatArray:
        """Nothing, unless the covariance is shared."""
        return np.zeros(0)

    def maximise(self, stats: Statistics, prior: NormalInverseWishart | None = None) -> GaussianParams:
        """Weighted means and covariances (eqs. 2.7, 2.8), or their maximum a posteriori (eq. 6.3)."""
        K, d = stats.about.shape
        if isinstance(prior, IndependentNormalInverseWishart):
            raise TypeError(
                "an IndependentNormalInverseWishart prior has no closed maximum; sample under it, or maximise under "
                "a NormalInverseWishart."
            )
        if prior is None:
            N, mean, scatter = self._moments(stats)
            return GaussianParams(mean, self._floored(scatter / self._rows(N, d)))
        mean, scatter = self._shrunk(stats, prior)
        rows = self._rows(counts_of(stats), d) + self._pseudo_rows(prior.dof, K, d)
        return GaussianParams(mean, self._floored(scatter / rows))

    def spread_about(self, stats: Statistics, means: FloatArray) -> FloatArray:
        """The M-step of the covariances alone, about means that are known."""
        _, own, scatter = self._moments(stats)
        held = counts_of(stats)
        scatter = self._none_if_starved(scatter, held) + self._reduced(_outer(own - means, held))
        return self._floored(scatter / np.maximum(self._rows(held, means.shape[1]), NO_EVIDENCE))

    def weak_prior(self, whole: GaussianParams, K: int) -> NormalInverseWishart:
        """A hundredth of a row at the mean, and d + 2 degrees of freedom for a Kth of the data's volume.

        The default prior of Fraley & Raftery (2007), which keeps spikes away.
        """
        mean = whole.means[0]
        d = len(mean)
        spread = np.asarray(whole.covariances)
        matrix = spread.reshape(d, d) if spread.size == d * d else np.eye(d) * spread.ravel()
        return NormalInverseWishart(mean, 0.01, matrix / K ** (2.0 / d), d + 2.0)

    def _shrunk(self, stats: Statistics, prior: NormalInverseWishart) -> tuple[FloatArray, FloatArray]:
        """Posterior means and scatter: the prior's pseudo-rows added to those seen."""
        _, mean, scatter = self._moments(stats)
        N = counts_of(stats)
        share = prior.strength / (N + prior.strength)
        away = mean - prior.mean
        pull = _outer(away, N * share)
        seen = self._none_if_starved(scatter, N)
        return mean - share[:, None] * away, seen + self._reduced(pull) + self._reduced_prior(prior.scatter)

    def draw(
        self,
        stats: Statistics,
        prior: NormalInverseWishart | IndependentNormalInverseWishart,
        rng: np.random.Generator,
        current: GaussianParams | None = None,
    ) -> GaussianParams:
        """From the normal-inverse-Wishart posterior; or, where the prior is independent, given the `current` means.

        Under the independent prior covariances are drawn given the means (eq. 7.7), then means given these covariances
        (eq. 7.6).
        """
        if isinstance(prior, IndependentNormalInverseWishart):
            return self._draw_in_turn(stats, prior, rng, current)
        mean, scatter = self._shrunk(stats, prior)
        N = counts_of(stats)
        covariances = self._draw_covariances(scatter, prior.dof + self._rows(N, mean.shape[1]), rng)
        params = GaussianParams(mean, covariances)
        noise = self._noise(params, np.arange(len(mean)), rng)
        return GaussianParams(mean + noise / np.sqrt(prior.strength + N)[:, None], covariances)

    def _draw_in_turn(
        self,
        stats: Statistics,
        prior: IndependentNormalInverseWishart,
        rng: np.random.Generator,
        current: GaussianParams | None,
    ) -> GaussianParams:
        if current is None:
            raise ValueError("a draw under an IndependentNormalInverseWishart prior needs the current parameters.")
        _, mean, scatter = self._moments(stats)
        N, d = counts_of(stats), mean.shape[1]
        away = mean - current.means
        about = self._reduced(N[:, None, None] * away[:, :, None] * away[:, None, :])
        scatter = self._none_if_starved(scatter, N) + about + self._reduced_prior(prior.scatter)
        covariances = self._draw_covariances(scatter, prior.dof + self._rows(N, d), rng)
        of_rows = N[:, None, None] * inverse(np.broadcast_to(self._matrices(covariances, d), (len(N), d, d)))
        of_prior = inverse(np.asarray(prior.covariance, dtype=float))
        prior_mean = np.broadcast_to(prior.mean, mean.shape)
        pull = np.einsum("kij,kj->ki", of_rows, mean) + prior_mean @ of_prior
        return GaussianParams(normal_given(of_prior + of_rows, pull, rng), covariances)

    def draw_prior(
        self, prior: NormalInverseWishart | IndependentNormalInverseWishart, K: int, d: int, rng: np.random.Generator
    ) -> GaussianParams:
        """K components from the prior itself."""
        nothing = np.zeros(K)
        scatter = self._reduced(np.zeros((K, d, d))) + self._reduced_prior(prior.scatter)
        covariances = self._draw_covariances(scatter, prior.dof + self._rows(nothing, d), rng)
        if isinstance(prior, IndependentNormalInverseWishart):
            noise = rng.standard_normal((K, d)) @ root(np.asarray(prior.covariance, dtype=float)).T
        else:
            drawn = GaussianParams(np.zeros((K, d)), covariances)
            noise = self._noise(drawn, np.arange(K), rng) / np.sqrt(prior.strength)
        return GaussianParams(prior.mean + noise, covariances)

    def log_evidence(self, stats: Statistics, prior: NormalInverseWishart) -> FloatArray:
        """Log probability (K,) of the rows of each component, its parameters integrated out.

        For shapes whose covariance belongs to one component.
        """
        N, d = counts_of(stats), stats.about.shape[1]
        _, scatter = self._shrunk(stats, prior)
        before = self._reduced_prior(prior.scatter)
        volume = self._log_volume(scatter, prior.dof + self._rows(N, d))
        of_prior = self._log_volume(np.broadcast_to(before, scatter.shape), prior.dof + self._rows(np.zeros(len(N)), d))
        share = prior.strength / (N + prior.strength)
        return np.asarray(volume - of_prior + 0.5 * d * (np.log(share) - N * LOG_PI), dtype=float)

    def log_prior(self, params: GaussianParams, prior: NormalInverseWishart | IndependentNormalInverseWishart) -> float:
        """See `Family.log_prior`."""
        K, d = params.means.shape
        if isinstance(prior, IndependentNormalInverseWishart):
            of_means = float(np.max(self._rows(np.ones(K), d)))  # their share of the powers of the determinant
            scatter = self._reduced(np.zeros((K, d, d))) + self._reduced_prior(prior.scatter)
            log_det, spread = self._against(params.covariances, scatter)
            whitened = (params.means - prior.mean) @ inverse(root(np.asarray(prior.covariance, dtype=float))).T
            pseudo_rows = self._pseudo_rows(prior.dof, K, d) - of_means
            return -0.5 * (pseudo_rows * log_det + spread + float((whitened**2).sum()))
        away = params.means - prior.mean
        pull = _outer(away, np.full(K, float(prior.strength)))
        scatter = self._reduced(pull) + self._reduced_prior(prior.scatter)
        log_det, spread = self._against(params.covariances, scatter)
        return -0.5 * (self._pseudo_rows(prior.dof, K, d) * log_det + spread)

    def slopes(
        self, stats: Statistics, params: GaussianParams, prior: NormalInverseWishart | None = None
    ) -> GaussianParams:
        """See `Family`: of ``-(rows log|S| + tr(S^-1 scatter)) / 2``, the scatter taken about the means."""
        K, d = params.means.shape
        _, mean, scatter = self._moments(stats)
        N = counts_of(stats)
        away = mean - params.means
        scatter = self._none_if_starved(scatter, N) + self._reduced(_outer(away, N))
        rows, pull = self._rows(N, d), N[:, None] * away
        if prior is not None:
            away = prior.mean - params.means
            strength = np.full(K, float(prior.strength))
            scatter = scatter + self._reduced(_outer(away, strength)) + self._reduced_prior(prior.scatter)
            rows, pull = rows + self._pseudo_rows(prior.dof, K, d), pull + prior.strength * away
        if not self.matrices:
            variances = np.asarray(params.covariances)
            columns = variances if variances.ndim == 2 else variances[..., None]
            return GaussianParams(pull / columns, 0.5 * (scatter / variances - rows) / variances)
        W = np.linalg.inv(np.linalg.cholesky(params.covariances))
        inner = W @ scatter @ W.swapaxes(-2, -1) - rows * np.eye(d)
        precision = W.swapaxes(-2, -1) @ W
        return GaussianParams(np.matmul(precision, pull[:, :, None])[:, :, 0], 0.5 * W.swapaxes(-2, -1) @ inner @ W)

    def coordinates(self, params: GaussianParams) -> Named:
        """Means in standard deviations, logarithms of variances, log-Cholesky factors of matrices."""
        covariances, d = np.asarray(params.covariances), params.means.shape[1]
        if self.matrices:
            root: FloatArray = np.asarray(np.linalg.cholesky(covariances), dtype=float)
            return Named(
                GaussianParams,
                {"means": Location(params.means, root), "covariances": Covariance(covariances, root)},
            )
        columns = covariances if covariances.ndim == 2 else covariances[..., None]
        root = np.asarray(np.sqrt(columns)[..., None] * np.eye(d), dtype=float)
        return Named(GaussianParams, {"means": Location(params.means, root), "covariances": Positive(covariances)})

    def sample(self, params: GaussianParams, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        """See `Family.sample`."""
        return params.means[labels] + self._noise(params, labels, rng)

    def flaw(self, params: GaussianParams, stats: Statistics) -> str:
        """Name a component that has collapsed where the data have not.

        In some direction nothing is left of its variance but the floor (or rounding, without
        one), while the data spread there: the spike of the singularity trap (eqs. 6.1, 6.2). A
        component that is honestly narrower than the floor keeps some variance of its own, and is none.
        """
        for k, (widths, data) in enumerate(self._widths(params, stats)):
            nothing = np.maximum(0.01 * self.reg_covar, 1e-22 * data)
            if ((widths - self.reg_covar <= nothing) & (data > 100 * np.maximum(self.reg_covar, nothing))).any():
                return self._collapsed(k, stats)
        return ""

    def _collapsed(self, k: int, stats: Statistics) -> str:
        return (
            f"component {k} has collapsed: it holds {stats.counts[k]:.3g} rows and has no width left in "
            "one direction, so its likelihood can grow without bound."
        )

    # ------------------------------------------------------------------ what a shape says

    @property
    def matrices(self) -> bool:
        """Whether covariances are matrices, rather than variances."""
        return False

    def _moments(self, stats: Statistics) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Counts (K,), means (K, d), and the scatter about them."""
        raise NotImplementedError

    def _rows(self, N: FloatArray, d: int) -> FloatArray:
        """Over how many rows (times columns) each number of the scatter was summed."""
        raise NotImplementedError

    def _pseudo_rows(self, dof: float, K: int, d: int) -> float:
        """By how many the prior raises that."""
        raise NotImplementedError

    def _reduced(self, matrices: FloatArray) -> FloatArray:
        """What the shape keeps of matrices (K, d, d) of sums of squares."""
        raise NotImplementedError

    def _reduced_prior(self, matrix: FloatArray) -> FloatArray:
        """What it keeps of the prior's scatter (d, d)."""
        raise NotImplementedError

    def _none_if_starved(self, scatter: FloatArray, N: FloatArray) -> FloatArray:
        """The scatter, without what a component with no evidence has borrowed."""
        raise NotImplementedError

    def _floored(self, covariances: FloatArray) -> FloatArray:
        """With `reg_covar` added to the diagonal."""
        raise NotImplementedError

    def _against(self, covariances: FloatArray, scatter: FloatArray) -> tuple[float, float]:
        """Summed log determinants, and the trace of the scatter times the precisions."""
        raise NotImplementedError

    def _draw_covariances(self, scatter: FloatArray, dof: FloatArray, rng: np.random.Generator) -> FloatArray:
        """From the inverse-Wishart distribution of the shape."""
        raise NotImplementedError

    def _matrices(self, covariances: FloatArray, d: int) -> FloatArray:
        """The covariances as matrices, (K, d, d) or one for all."""
        raise NotImplementedError

    def _log_volume(self, scatter: FloatArray, dof: FloatArray) -> FloatArray:
        """Log integral (K,) of the shape's inverse-Wishart density without its constants.

        (Powers of 2 and pi that cancel between a posterior and its prior are left out.)
        """
        raise NotImplementedError

    def _noise(self, params: GaussianParams, labels: np.ndarray, rng: np.random.Generator) -> FloatArray:
        """Deviations from the mean, one row for each label."""
        raise NotImplementedError

    def _widths(self, params: GaussianParams, stats: Statistics) -> list[tuple[FloatArray, FloatArray]]:
        """For each component its variances along some directions, and those of the data along the same."""
        raise NotImplementedError


def _outer(vectors: FloatArray, times: FloatArray) -> FloatArray:
    """``times_k v_k v_k'`` (K, d, d) for vectors (K, d)."""
    return times[:, None, None] * vectors[:, :, None] * vectors[:, None, :]


def split(totals: FloatArray, d: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Counts (K,), mean of x (K, d), and the summed second-moment features."""
    N = totals[:, 0]
    return N, totals[:, 1 : 1 + d] / N[:, None], totals[:, 1 + d :]


def resolved(scatter: FloatArray, second: FloatArray) -> FloatArray:
    """Sums of squares about the mean (K, d), as far as those about another point, `second`, can tell.

    Where less than 1e-10 of `second` is left, its rounding is added: such a component is a little too wide, never too
    narrow. The next E-step measures it from its own mean, and the digits come back.
    """
    return np.where(scatter < 1e-10 * second, np.maximum(scatter, 0.0) + LOST * second, scatter)


def symmetric(triangle: FloatArray, d: int) -> FloatArray:
    """Matrices (K, d, d) from their upper triangles."""
    matrices = np.empty((len(triangle), d, d))
    i, j = upper(d)
    matrices[:, i, j] = matrices[:, j, i] = triangle
    return matrices


def whitener(covariances: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Matrices W with W'W the precision, and the log determinants of the covariances."""
    try:
        chol = root(covariances)
    except np.linalg.LinAlgError:
        if not np.isfinite(covariances).all():
            raise
        narrowest = int(np.linalg.eigvalsh(covariances)[:, 0].argmin())
        raise Degenerate(f"component {narrowest} has a covariance that is not positive definite.") from None
    log_det = 2.0 * np.log(np.diagonal(chol, axis1=1, axis2=2)).sum(axis=1)
    return inverse(chol), log_det


def positive(variances: FloatArray) -> FloatArray:
    """The variances, if they are any."""
    bad = np.argwhere(~(variances > 0))
    if len(bad):
        raise Degenerate(f"component {bad[0, 0] if variances.ndim else 0} has a variance that is not positive.")
    return variances


def reach(rows: Rows, means: FloatArray) -> FloatArray:
    """How far from the origin numbers lie (K, d): the rows', or a mean's if it is further.

    (A single row to be predicted may lie at the origin of its own; the means still lie far.)
    """
    return np.maximum(rows.scale, np.abs(means))


def no_point(condition: FloatArray) -> FloatArray:
    """The conditions, if no component is a point: narrower than rounding, it could only become narrower still."""
    points = np.flatnonzero(condition > POINT)
    if len(points):
        raise Degenerate(f"component {points[0]} has collapsed: its width is below the rounding of the data.")
    return condition


def noise_of(
    condition: FloatArray, special: Mapping[int, Special], constant: FloatArray, skew: FloatArray | None = None
) -> FloatArray:
    """Rounding error per row (K,): of the expanded form or of differences, and of the sum.

    `skew` (K,) is how far each matrix is from being safely inverted, see `skewness`.
    """
    form, whitened = 0.25 * condition, list(special)
    form[whitened] = 4.0 * np.sqrt(condition[whitened])
    if skew is not None:
        form[whitened] += 0.25 * skew[whitened]
    return EPS * (form + 4.0 * np.where(np.isfinite(constant), np.abs(constant), 0.0))


def along_axes(covariances: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Variances (K, d) along their principal directions (K, d, d); one that is nothing but rounding is zero."""
    variances, directions = np.linalg.eigh(covariances)
    rounding = variances.shape[-1] * EPS * variances[..., -1:]
    return np.where(variances <= rounding, 0.0, variances), directions


def skewness(precisions: FloatArray, covariances: FloatArray) -> FloatArray:
    """Condition (K,) of the inverses, whatever the columns' units: d for independent columns, large for collinear."""
    sd = np.sqrt(np.einsum("kii->ki", covariances))
    return np.asarray(np.einsum("kij,ki,kj->k", np.abs(precisions), sd, sd))


def log_volume_of_variances(scatter: FloatArray, dof: FloatArray) -> FloatArray:
    """Of inverse-chi-squared densities, one a number."""
    return np.asarray(gammaln(0.5 * dof) - 0.5 * dof * np.log(scatter), dtype=float)
