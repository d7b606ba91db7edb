"""Mixtures of counts that scatter more than a Poisson's, as an estimator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..engine import families
from ..engine.blocks import BLOCK_ROWS
from ..engine.families.gamma_math import SIZES
from ..engine.families.tally import TABLE
from ..engine.latent import FloatArray
from ..engine.mixture import MixturePrior
from .checks import Numeric, check_shape
from .count_mixtures import CountMixture
from .tables import distinct_counts


class NegativeBinomialMixture(CountMixture):
    """Mixture of counts that scatter more than a Poisson's: the rate of each row is hidden too.

    Within a component, columns are independent and a count has the variance
    ``mean + mean**2 / size``. A large size is a Poisson; ``1 / size`` is often called dispersion.

    Parameters
    ----------
    n_components : int
        Number of components, K.
    exposure, zero_inflation : bool
        As in `PoissonMixture`; means are then per unit of exposure.
    means_init, sizes_init : array (K, d), optional
        Parts of the start given by hand.
    tol, max_iter, n_init, init_params, weights_init, random_state, warm_start, accelerate, temperature, prune, reseed
        As in `PoissonMixture`.
    prior : {None, "weak"} or MixturePrior
        With a `GammaRatesPrior` on the hidden rates; "weak" is one row like all rows. With `zero_inflation` a
        `ZeroInflatedPrior`.

    Attributes
    ----------
    weights_, means_, sizes_ : arrays (K,), (K, d), (K, d)
        Sizes lie between 1e-8 and 1e8; one of 1e8 says that its column varies no more in this
        component than a Poisson.
    zero_inflation_ : array (K, d)
        Shares of structural zeros, with `zero_inflation`.
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_, starts_
        As in every EM estimator.

    Raises
    ------
    ValueError
        From ``fit``, for values that are not counts among the rest.

    Notes
    -----
    ``fit`` tallies the expected number of rows at each of the counts that occur, so that only the
    labels and structural zeros are hidden from its M-step. Under a prior, and where the tallies would hold more than
    four million numbers (components times different counts), the rates are hidden as well, as in
    `engine.families.negative_binomial`. Such a climb is slow where means are small beside sizes: at a tenth of them,
    99 % of the way is left after a step. Set ``accelerate="squarem"`` there, and with structural zeros, which a
    negative binomial can often do without.

    References
    ----------
    Greenwood & Yule (1920) for the model; Robinson & Smyth (2008) for its use on sequencing counts.

    Examples
    --------
    Movements of a fetal lamb: one negative binomial with two parameters describes them as well as
    two Poissons with three.

    >>> import emlib
    >>> lamb = emlib.data.fetal_lamb()
    >>> one = NegativeBinomialMixture().fit(lamb)
    >>> one.means_.round(3).tolist(), one.sizes_.round(3).tolist(), round(one.log_likelihood_, 3)
    ([[0.358]], [[0.529]], -186.627)
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        tol: float = 1e-6,
        max_iter: int = 10_000,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        means_init: Any = None,
        sizes_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        prior: MixturePrior | str | None = None,
        accelerate: Any = None,
        temperature: float | Sequence[float] = 1.0,
        prune: bool = False,
        reseed: bool = False,
        exposure: bool = False,
        zero_inflation: bool = False,
    ) -> None:
        super().__init__(
            n_components,
            tol,
            max_iter,
            n_init,
            init_params,
            weights_init,
            random_state,
            warm_start,
            prior,
            accelerate,
            temperature,
            prune,
            reseed,
        )
        self.means_init = means_init
        self.sizes_init = sizes_init
        self.exposure = exposure
        self.zero_inflation = zero_inflation

    _parts_of_start = ("means_init", "sizes_init")
    _prior_of_counted = families.GammaRatesPrior

    def _family(self, d: int) -> families.Family[Any]:
        return self._world(1.0, None)

    def _simulator(self, X: Numeric) -> families.Family[Any]:
        return self._world(X[:, 0] if self._exposed else 1.0, None)  # exposures are given, row by row

    def _world(self, exposures: Any, seen: families.ExposedCounts | None) -> families.Family[Any]:
        if self._inflated:
            return families.ZeroInflatedNegativeBinomial(self._exposed, exposures, seen)
        if self._exposed:
            return families.ExposedNegativeBinomial(True, exposures, seen)
        return families.NegativeBinomial(None if seen is None else seen.counts)

    def _family_for(self, X: Numeric) -> families.Family[Any]:
        if self.prior is not None and getattr(self.prior, "components", self.prior) is not None:
            return self._family(X.shape[1])  # a prior speaks of rates
        counts, among = distinct_counts(X[:, 1:] if self._exposed else X), families.ExposurePoints()
        if self._exposed:
            among = families.ExposurePoints(*(float(end) for end in (X[:, 0].min(), X[:, 0].max())))
        seen = families.ExposedCounts(counts, among)
        blocks = -(-len(X) // BLOCK_ROWS)  # each block has its tally
        small = self.n_components * seen.width * blocks <= TABLE
        return self._world(1.0, seen if small else None)

    def _given_start(self, components: Any, d: int, origin: FloatArray) -> Any:
        means, sizes = components.means, components.sizes
        if self.means_init is not None:
            means = self._rates_given("means_init", d)
        if self.sizes_init is not None:
            sizes = check_shape("sizes_init", self.sizes_init, (self.n_components, d - self._exposed))
            if (sizes <= 0).any():
                raise ValueError(f"sizes_init holds {sizes.min():g}; sizes must be positive.")
        return replace(components, means=means, sizes=np.clip(sizes, *SIZES))

    def _around(self, centres: FloatArray, whole: Any) -> Any:
        means = (1 - self._soften) * self._rates_at(centres) + self._soften * whole.means
        sizes = np.repeat(whole.sizes, len(centres), axis=0)
        if not self._inflated:
            return families.NegativeBinomialParams(means, sizes)
        zeros = np.repeat(whole.zeros, len(centres), axis=0)
        return families.ZeroInflatedNegativeBinomialParams(means, sizes, zeros)

    def _store(self, components: Any, origin: FloatArray) -> None:
        self.means_, self.sizes_ = components.means, components.sizes
        if self._inflated:
            self.zero_inflation_ = components.zeros

    def _stored(self, origin: FloatArray) -> Any:
        if self._inflated:
            return families.ZeroInflatedNegativeBinomialParams(self.means_, self.sizes_, self.zero_inflation_)
        return families.NegativeBinomialParams(self.means_, self.sizes_)
