"""Sampling the posterior of a mixture or a hidden Markov model instead of climbing it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from ..engine import wander
from ..engine.blocks import Rows, threads
from ..engine.latent import FloatArray
from ..engine.mixture import Mixture, MixtureParams, MixturePrior
from .checks import check_table, check_whole, generator, in_short
from .draws import Draws
from .gibbs_paths import FLAT, PathDraws, check_components, check_start, sample_paths
from .hmm_estimator import HMMEstimator
from .mixture_estimator import MixtureEstimator
from .starts import random_rows
from .tables import rows_of, survey

UPDATES = ("draw", "collapsed", "maximise")


class GibbsSampler(BaseEstimator):  # type: ignore[misc]
    """Gibbs sampler: the model, statistics and prior of EM, with labels (or paths) and parameters drawn.

    Parameters
    ----------
    model : estimator
        An unfitted mixture, such as ``GaussianMixture(3)``. Its components, number of components and fixed weights
        are used; what belongs to fitting alone (`tol`, `reg_covar`, its own `prior`, ...) is not. Or an unfitted hidden
        Markov model, such as ``PoissonHMM(2)``: whole paths are drawn, each by forward filtering and backward sampling.
    prior : "weak", MixturePrior or MarkovPrior
        Proper: a component that is empty for a while is drawn from it. "weak" is scaled to the data, as for EM. Weights
        below 1 are allowed here. For Gaussians the components' prior is a `NormalInverseWishart`, or an
        `IndependentNormalInverseWishart`, under which means and covariances are drawn in turn.
    update : {"draw", "collapsed", "maximise"}
        "draw" draws labels given parameters and parameters given labels. "collapsed" draws each label given all the
        others, the parameters integrated out: fewer sweeps, each of them slower. "maximise" is stochastic EM: labels
        are drawn, parameters maximised (its prior may be None). Paths have no collapsed sampler.
    temperatures : sequence of float
        Beginning at 1 and rising. Chains at higher temperatures walk a flatter posterior and hand their
        states down, which lets chains cross between modes (`engine.wander.sample`). ``(1, 1.5, 2.5, 5)`` costs four
        times as much a sweep and is worth it where chains disagree. With many rows the gaps must be small.
        For mixtures only.

    References
    ----------
    Chapter 7 of the book. Diebolt & Robert (1994), *JRSS B* 56; Richardson & Green (1997), *JRSS B* 59; for paths
    Chib (1996), *J. Econometrics* 75, and Scott (2002), *JASA* 97.

    Examples
    --------
    Ten thousand draws of the two components of Old Faithful:

    >>> import emlib
    >>> sampler = GibbsSampler(emlib.GaussianMixture(2))
    >>> draws = sampler.sample(emlib.data.old_faithful(), 500, tune=100, chains=20, random_state=0)
    >>> draws.relabelled("order")["means"].mean(axis=(0, 1)).round(1).tolist()
    [[2.0, 54.5], [4.3, 80.0]]
    """

    def __init__(
        self,
        model: Any,
        prior: MixturePrior | str | None = "weak",
        *,
        update: wander.Update = "draw",
        temperatures: Any = (1.0,),
    ) -> None:
        self.model = model
        self.prior = prior
        self.update = update
        self.temperatures = temperatures

    def sample(
        self,
        X: Any,
        draws: int = 1000,
        *,
        tune: int = 1000,
        chains: int = 8,
        random_state: Any = None,
        start: Any = "rows",
        lengths: Any = None,
        progress: bool | None = None,
    ) -> Draws:
        """Draw from the posterior given the rows of X.

        Parameters
        ----------
        X : array (n, d)
            Also fewer rows than components.
        draws, tune : int
            Sweeps of each chain that are kept, after `tune` that are not.
        chains : int
            They take each step together: 64 chains cost much less than 64 times one.
        random_state : None, int, Generator or RandomState
        start : {"rows", "prior", "em"} or fitted mixture
            Each chain's own random rows as centres (or random runs of states), or its own draw from the prior; or for
            all chains the end of EM, or of the fit that is given. From one start for all, chains agree before they
            have looked around: R-hat then proves little.
        lengths : list of int, optional
            Of the sequences, for a hidden Markov model.
        progress : bool, optional
            Show a progress bar; by default on a terminal, once it takes longer than 2 s.

        Returns
        -------
        Draws
            `PathDraws` of a hidden Markov model.

        Raises
        ------
        ValueError
            In one sentence, for a bad parameter, table or prior; an improper prior among them.
        """
        if not isinstance(self.model, MixtureEstimator | HMMEstimator):
            raise ValueError(
                f"model is {in_short(self.model)}; it must be a mixture or a hidden Markov model, such as "
                "GaussianMixture(3)."
            )
        if self.update not in UPDATES:
            raise ValueError(f"update is {self.update!r}; it must be one of {', '.join(map(repr, UPDATES))}.")
        sweeps = {"draws": check_whole("draws", draws, 1), "tune": check_whole("tune", tune, 0)}
        C, K = check_whole("chains", chains, 1), check_whole("n_components", self.model.n_components, 1)
        if isinstance(self.model, HMMEstimator):
            return self._sample_paths(X, lengths, C, start, generator(random_state), progress, sweeps)
        if lengths is not None:
            raise ValueError("lengths are given, but the rows of a mixture do not follow each other; leave them out.")
        estimator = clone(self.model)
        table = check_table(X)
        seen = survey(table, estimator._check_rows)
        rows = rows_of(table, estimator._origin(seen), seen)
        mixture: Mixture = Mixture(estimator._family(rows.d), estimator._fixed_weights())
        prior = self._own_prior(mixture, rows, K)
        rng = generator(random_state)
        starts = self._starts(estimator, mixture, rows, prior, start, C, rng)
        walk = wander.sample(
            mixture,
            rows,
            starts,
            prior=prior,
            rng=rng,
            temperatures=self.temperatures,
            update=self.update,
            executor=threads(),
            progress=progress,
            **sweeps,
        )
        kind = type(starts[0].components)
        names = [field.name for field in fields(kind)]
        moved = estimator._moved(kind(**{name: walk.parameters[name] for name in names}), rows.origin)
        parameters = {"weights": walk.parameters["weights"]}
        parameters |= {estimator._called.get(name, name): getattr(moved, name) for name in names}
        shared = tuple(getattr(mixture.family, "tied", ()))
        return Draws(parameters, walk.log_likelihood, walk.swaps, "as drawn", estimator, kind, shared)

    def _own_prior(self, mixture: Mixture, rows: Rows, K: int) -> MixturePrior | None:
        prior, d = self.prior, rows.d
        if prior is None:
            if self.update == "maximise":
                return None
            raise ValueError(f"prior is None, which is improper: {FLAT}")
        if isinstance(prior, str) and prior == "weak":
            return MixturePrior(1.0, mixture.family.weak_prior(_whole(mixture, rows), K))
        if not isinstance(prior, MixturePrior):
            raise ValueError(f"prior is {in_short(prior)}; it must be 'weak' or an emlib.engine.mixture.MixturePrior.")
        weights = np.asarray(prior.weights)
        components: Any = prior.components
        least = 1.0 if self.update == "maximise" else np.finfo(float).tiny
        if weights.shape not in ((), (K,)) or weights.dtype.kind not in "if" or not (weights >= least).all():
            raise ValueError(
                f"prior has the weights {prior.weights!r}; they must be one number, or one for each of {K} components, "
                + ("1 or above." if least == 1.0 else "and above 0.")
            )
        check_components(components, mixture.family, d, type(self.model).__name__)
        return MixturePrior(
            prior.weights, components.moved(rows.origin) if hasattr(components, "moved") else components
        )

    def _sample_paths(
        self, X: Any, lengths: Any, C: int, start: Any, rng: np.random.Generator, progress: bool | None, sweeps: Any
    ) -> PathDraws:
        if self.update == "collapsed":
            raise ValueError("update is 'collapsed'; the states of a path depend on each other, so use 'draw'.")
        if tuple(np.ravel(self.temperatures)) != (1.0,):
            raise ValueError(f"temperatures is {self.temperatures!r}; paths are sampled at temperature 1 only.")
        how = {"update": self.update, "executor": threads(), "progress": progress, **sweeps}
        return sample_paths(clone(self.model), self.prior, X, lengths, C, start, rng, how)

    def _starts(
        self,
        estimator: MixtureEstimator,
        mixture: Mixture,
        rows: Rows,
        prior: MixturePrior | None,
        start: Any,
        C: int,
        rng: np.random.Generator,
    ) -> list[MixtureParams]:
        K = estimator.n_components
        if isinstance(start, str) and start == "rows":
            whole = _whole(mixture, rows)
            weights = np.full(K, 1.0 / K) if mixture.fixed_weights is None else mixture.fixed_weights
            return [
                MixtureParams(weights, estimator._around(_some_rows(rows.X, K, rng) - rows.origin, whole))
                for _ in range(C)
            ]
        if isinstance(start, str) and start == "prior":
            if prior is None:
                raise ValueError("start is 'prior', but prior is None; give a prior, or start='rows'.")
            return [mixture.draw_prior(prior, K, rows.d, rng) for _ in range(C)]
        if isinstance(start, str) and start == "em":
            start = clone(self.model).set_params(random_state=rng).fit(rows.X)
        check_start(start, estimator)
        check_is_fitted(start)
        if (len(start.weights_), start.n_features_in_) != (K, rows.d):
            raise ValueError(
                f"start has {len(start.weights_)} components and {start.n_features_in_} columns, "
                f"but {K} components and {rows.d} columns are to be sampled."
            )
        return [MixtureParams(start.weights_, start._stored(rows.origin))] * C


def _whole(mixture: Mixture, rows: Rows) -> Any:
    """One component fitted to all rows."""
    return Mixture(mixture.family).from_responsibilities(rows, np.ones((rows.n, 1)), 1).components


def _some_rows(X: Any, K: int, rng: np.random.Generator) -> FloatArray:
    """K random rows, different ones as far as there are so many."""
    return random_rows(X, K, rng) if len(X) >= K else np.asarray(X[rng.integers(len(X), size=K)], dtype=float)
