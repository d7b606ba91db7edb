"""Mixtures of counts that scatter more than a Poisson's, as an estimator."""

from __future__ import annotations

from collections.abc import Sequence
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
    means_init, sizes_init : array (K, d), optional
        Parts of the start given by hand.
    tol, max_iter, n_init, init_params, weights_init, random_state, warm_start, accelerate, temperature, prune, reseed
        As in `PoissonMixture`.
    prior : {None, "weak"} or MixturePrior
        With a `GammaRatesPrior` on the hidden rates; "weak" is one row like all rows.

    Attributes
    ----------
    weights_, means_, sizes_ : arrays (K,), (K, d), (K, d)
        Sizes lie between 1e-8 and 1e8; one of 1e8 says that its column varies no more in this
        component than a Poisson.
    log_likelihood_, trace_, n_iter_, stop_reason_, converged_, starts_
        As in every EM estimator.

    Raises
    ------
    ValueError
        From ``fit``, for values that are not counts among the rest.

    Notes
    -----
    ``fit`` tallies the expected number of rows at each of the counts that occur, so that only the
    labels are hidden from its M-step. Under a prior, and where the tallies would hold more than four
    million numbers (components times different counts), the rates are hidden as well, as in
    `engine.families.negative_binomial`. Such a climb is slow where means are small beside sizes: at
    a tenth of them, 99 % of the way is left after a step. Set ``accelerate="squarem"`` there.

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

    _parts_of_start = ("means_init", "sizes_init")

    def _family(self, d: int) -> families.NegativeBinomial:
        return families.NegativeBinomial()

    def _family_for(self, X: Numeric) -> families.NegativeBinomial:
        if self.prior is not None and getattr(self.prior, "components", self.prior) is not None:
            return families.NegativeBinomial()  # a prior speaks of rates
        distinct = distinct_counts(X)
        blocks = -(-len(X) // BLOCK_ROWS)  # each block has its tally
        small = self.n_components * len(distinct.values) * blocks <= TABLE
        return families.NegativeBinomial(distinct if small else None)

    def _given_start(
        self, components: families.NegativeBinomialParams, d: int, origin: FloatArray
    ) -> families.NegativeBinomialParams:
        means, sizes = components.means, components.sizes
        if self.means_init is not None:
            means = check_shape("means_init", self.means_init, (self.n_components, d))
            if (means < 0).any():
                raise ValueError(f"means_init holds {means.min():g}; means must not be negative.")
        if self.sizes_init is not None:
            sizes = check_shape("sizes_init", self.sizes_init, (self.n_components, d))
            if (sizes <= 0).any():
                raise ValueError(f"sizes_init holds {sizes.min():g}; sizes must be positive.")
        return families.NegativeBinomialParams(means, np.clip(sizes, *SIZES))

    def _around(self, centres: FloatArray, whole: families.NegativeBinomialParams) -> families.NegativeBinomialParams:
        means = (1 - self._soften) * centres + self._soften * whole.means
        return families.NegativeBinomialParams(means, np.repeat(whole.sizes, len(centres), axis=0))

    def _store(self, components: families.NegativeBinomialParams, origin: FloatArray) -> None:
        self.means_, self.sizes_ = components.means, components.sizes

    def _stored(self, origin: FloatArray) -> families.NegativeBinomialParams:
        return families.NegativeBinomialParams(self.means_, self.sizes_)
