"""The parametric bootstrap: what else could have been fitted, had the data been drawn again."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import expit
from sklearn.base import clone

from ..engine import em
from ..engine.blocks import Rows, threads
from ..engine.latent import FloatArray
from ..engine.mixture import Mixture, MixtureParams
from ..engine.progress import progress_bar
from .checks import Numeric, check_table, check_whole, generator, in_short
from .mixture_estimator import MixtureEstimator
from .tables import rows_of, survey
from .uncertainty import ByParameter, by_parameter, check_level

TOL = 1e-6  # nats: a refit that starts at the truth and stops early would make every draw look like it
RATIO_TOL = 1e-4  # nats: nothing beside a statistic of the size of 1, and ridges take long to climb to the end
MAX_ITER = 10_000
RETRIES = 3  # for a larger mixture that fits worse than a smaller one, so many sets of
FRESH = 5  # new starts each


@dataclass(frozen=True)
class Bootstrap:
    """Fits to tables drawn from a fit; from `bootstrap`.

    Attributes
    ----------
    draws : ByParameter
        Arrays (B, ...): the parameters of every refit, labels aligned with the fit.
    estimates : ByParameter
        The fit itself.
    n_degenerate : int
        Refits that collapsed; they are not among the draws.
    n_unconverged : int
        Refits that had not converged after 10,000 iterations; they are.
    """

    draws: ByParameter
    estimates: ByParameter
    n_degenerate: int
    n_unconverged: int

    @property
    def standard_errors(self) -> ByParameter:
        """Standard deviations of the draws."""
        return ByParameter({name: draws.std(axis=0, ddof=1) for name, draws in self.draws.arrays.items()})

    def interval(self, level: float = 0.95) -> ByParameter:
        """Percentile intervals, number by number: arrays (2, ...), lower and upper bounds."""
        tail = 0.5 - 0.5 * check_level(level)
        arrays = self.draws.arrays.items()
        return ByParameter({name: np.quantile(draws, [tail, 1.0 - tail], axis=0) for name, draws in arrays})


def bootstrap(
    mixture: Any,
    X: Any,
    n_resamples: int = 200,
    *,
    random_state: Any = None,
    progress: bool | None = None,
) -> Bootstrap:
    """Parametric bootstrap of a fitted mixture.

    Tables of n rows are simulated from the fit and fitted again, each climb starting at the
    fit. Components of a refit are matched to those of the fit by the responsibilities they take
    for the rows of X (the best one-to-one matching), so that exchanged labels do not pass for
    uncertainty.

    Parameters
    ----------
    mixture : estimator
        A fitted mixture. Its prior, floor and known weights hold for the refits too.
    X : array (n, d)
        The rows it was fitted to: they say how many rows to draw, with which totals
        (multinomial), and serve to match components.
    n_resamples : int
        How many tables; 200 are enough for standard errors, intervals deserve 1,000.
    random_state : None, int, Generator or RandomState
        The first tables are the same whatever `n_resamples`.
    progress : bool, optional
        Show a progress bar; by default on a terminal, once it takes longer than 2 s.

    Returns
    -------
    Bootstrap

    Raises
    ------
    ValueError
        For a bad table or number, a fit at a temperature other than 1, or if fewer than two refits
        were sound.

    Warns
    -----
    UserWarning
        With the number of refits that were degenerate or not converged, if any.

    References
    ----------
    Efron & Tibshirani (1993), chapters 6 and 13; McLachlan & Peel (2000), section 2.16.

    Examples
    --------
    >>> import emlib
    >>> X = emlib.data.fetal_lamb()
    >>> mixture = emlib.PoissonMixture(2, random_state=0).fit(X)
    >>> again = bootstrap(mixture, X, 20, random_state=0)
    >>> again.draws.rates.shape, again.standard_errors.rates.ravel().round(2).tolist()
    ((20, 2, 1), [0.06, 0.65])
    """
    if not isinstance(mixture, MixtureEstimator):
        raise TypeError(
            f"mixture is {in_short(mixture)}; a fitted mixture is needed, such as GaussianMixture(2).fit(X)."
        )
    world = mixture._fitted_world(X)
    model, rows, params, prior = world.model, world.data, world.params, world.prior
    if not isinstance(rows, Rows):
        raise ValueError("X is a Dask array; bootstrap simulates whole tables, so it needs one in memory: X.compute().")
    B = check_whole("n_resamples", n_resamples, 2)
    options = {"prior": prior, "executor": threads(), "progress": False, **_options(TOL)}
    reference, fits = _Reference(model, rows, params), []
    with progress_bar(progress, B, "refit") as tick:
        for rng in generator(random_state).spawn(B):
            fits.append(em.fit(model, _simulated(mixture, model, rows, params, rng), params, **options))
            tick()

    sound = [fit for fit in fits if fit.reason != "degenerate"]
    n_degenerate, n_unconverged = B - len(sound), sum(not fit.converged for fit in sound)
    if len(sound) < 2:
        raise ValueError(f"{n_degenerate} of {B} refits were degenerate; there is nothing to summarise.")
    if n_degenerate or n_unconverged:
        warnings.warn(
            f"of {B} refits {n_degenerate} were degenerate and were left out, {n_unconverged} had not converged.",
            UserWarning,
            stacklevel=2,
        )
    aligned = [by_parameter(reference.aligned(fit.params), world.called).arrays for fit in sound]
    draws = {name: np.stack([arrays[name] for arrays in aligned]) for name in aligned[0]}
    if "means" in draws and rows.origin.any():
        draws["means"] = draws["means"] + rows.origin
    return Bootstrap(ByParameter(draws), by_parameter(world.own, world.called), n_degenerate, n_unconverged)


def _options(tol: float) -> dict[str, Any]:
    return {"tol": tol, "max_iter": MAX_ITER, "accelerate": "squarem"}


def _simulated(
    mixture: MixtureEstimator, model: Mixture, rows: Rows, params: MixtureParams, rng: np.random.Generator
) -> Rows:
    """A table like the one at hand, measured from the same origin."""
    simulator = replace(model, family=mixture._simulator(rows.X))
    return Rows(simulator.simulate(params, len(rows), rng))


class _Reference:
    """Finds the order in which the components of another fit agree best with those of this one."""

    def __init__(self, model: Mixture, rows: Rows, params: MixtureParams) -> None:
        self.model, self.rows = model, rows
        self.shares = self._directions(params)
        fixed = model.fixed_weights
        self.named = fixed is not None and not (fixed == fixed[0]).all()  # known weights tell components apart

    def _directions(self, params: MixtureParams) -> FloatArray:
        responsibilities, _ = self.model.posterior(self.rows, params)
        length = np.linalg.norm(responsibilities, axis=0)  # so that small components count as much as large ones
        return responsibilities / np.where(length > 0, length, 1.0)

    def aligned(self, params: MixtureParams) -> MixtureParams:
        """`params` in the order of the reference."""
        if self.named:
            return params
        _, order = linear_sum_assignment(self.shares.T @ self._directions(params), maximize=True)
        return self.model.relabel(params, order)


@dataclass(frozen=True)
class ComponentsTest:
    """A bootstrap likelihood-ratio test; from `bootstrap_n_components`.

    Attributes
    ----------
    n_components : int
        Their number K under the null hypothesis; the alternative is K + 1.
    statistic : float
        Twice the gain in log-likelihood from K to K + 1 components, on the data.
    simulated : array (B,)
        The same on tables drawn from the fit with K.
    p_value : float
        ``(b + 1) / (B + 1)``, b of the simulated statistics reaching that of the data.
    n_refits : int
        Fits of K + 1 components that were repeated from fresh starts, since the best was
        degenerate, or worse than the fit of K: then a better start was missing. What is still
        worse after three more sets of starts counts as 0, for K components with one of them
        written twice are K + 1 that do as well.
    n_degenerate : int
        Tables left out, as every fit of K + 1 (or of K) components was degenerate.
    """

    n_components: int
    statistic: float
    simulated: FloatArray = field(repr=False)
    p_value: float
    n_refits: int
    n_degenerate: int


def bootstrap_n_components(
    model: MixtureEstimator,
    X: Any,
    n_components: int,
    n_resamples: int = 99,
    *,
    random_state: Any = None,
    progress: bool | None = None,
) -> ComponentsTest:
    """Test K components against K + 1: McLachlan's bootstrap of the likelihood ratio.

    The likelihood ratio of mixtures does not follow the usual chi-squared distribution (under K
    components the parameters of one more are not determined), so its distribution is simulated:
    tables are drawn from the fit with K, and both mixtures are fitted to each.

    Every table, the observed one included, is treated alike: K and K + 1 components from the
    model's ``n_init`` starts, K + 1 also from the fit of K with each component split in two.

    Parameters
    ----------
    model : estimator
        An unfitted mixture; it is cloned, and its ``n_components`` is replaced. A larger
        ``n_init`` costs time and makes the test sharper.
    X : array (n, d)
    n_components : int
        Their number K.
    n_resamples : int
        Tables to simulate; 19 can reject at 5 % and no sharper.
    random_state : None, int, Generator or RandomState
        Of the tables and of the starts; the model's own is not used.
    progress : bool, optional
        Show a progress bar; by default on a terminal, once it takes longer than 2 s.

    Returns
    -------
    ComponentsTest

    Raises
    ------
    ValueError
        For bad input; for a model with a prior, known weights or a temperature other than 1,
        whose fits do not maximise the likelihood over nested sets; and if all fits to X itself
        are degenerate.

    Warns
    -----
    UserWarning
        If tables had to be left out.

    References
    ----------
    McLachlan (1987), Appl. Stat. 36:318.

    Examples
    --------
    >>> import emlib
    >>> test = bootstrap_n_components(emlib.PoissonMixture(), emlib.data.fetal_lamb(), 1, 19, random_state=0)
    >>> round(test.statistic, 2), test.p_value
    (28.11, 0.05)
    """
    if not isinstance(model, MixtureEstimator):
        raise TypeError(f"model is {in_short(model)}; an unfitted mixture is needed, such as GaussianMixture().")
    for name, wanted in (("prior", None), ("fix_weights", False), ("temperature", 1)):
        found = getattr(model, name, wanted)
        if found is not wanted and found != wanted:
            raise ValueError(f"{name} is {in_short(found)}; a likelihood-ratio test of n_components needs {wanted!r}.")
    K, B = check_whole("n_components", n_components, 1), check_whole("n_resamples", n_resamples, 1)
    table = check_table(X)
    model._check_rows(table)
    observed, *streams = generator(random_state).spawn(B + 1)

    ratio = _Ratio(model, K)
    statistic, null = ratio(table, observed)
    if np.isnan(statistic):
        raise ValueError(
            f"every fit of {K} or of {K + 1} components to X was degenerate; raise n_init, or reg_covar so that "
            "no component can collapse."
        )
    own = clone(model).set_params(n_components=K)
    simulated = []
    with progress_bar(progress, B, "table") as tick:
        for rng in streams:
            world, rows, params = null
            drawn = _simulated(own, world, rows, params, rng).X + rows.origin
            simulated.append(ratio(drawn, rng)[0])
            tick()
    kept = np.array([value for value in simulated if not np.isnan(value)])
    if len(kept) < B:
        warnings.warn(
            f"{B - len(kept)} of {B} tables were left out, since all their fits were degenerate.",
            UserWarning,
            stacklevel=2,
        )
    p_value = (1 + int((kept >= statistic).sum())) / (len(kept) + 1)
    return ComponentsTest(K, statistic, kept, p_value, ratio.n_refits, B - len(kept))


class _Ratio:
    """The likelihood-ratio statistic of K against K + 1 components, and how often a fit was repeated."""

    def __init__(self, model: MixtureEstimator, K: int) -> None:
        self.model, self.K, self.n_refits = model, K, 0

    def __call__(self, table: Numeric, rng: np.random.Generator) -> tuple[float, tuple[Mixture, Rows, MixtureParams]]:
        """The statistic, NaN if no sound fit was found; and the fit with K."""
        world, rows, small = self._fit(table, self.K, rng)
        null = (world, rows, small.params)
        if small.reason == "degenerate":
            return float("nan"), null
        best = float("nan")
        for attempt in range(1 + RETRIES):
            self.n_refits += attempt > 0
            _, _, large = self._fit(table, self.K + 1, rng, split=None if attempt else small.params, fresh=attempt > 0)
            if large.reason != "degenerate":
                best = float(np.fmax(best, 2.0 * (large.log_likelihood - small.log_likelihood)))
            if best >= 0.0:
                return best, null
        return max(best, 0.0), null  # NaN stays; one component of K written twice is as good as K

    def _fit(
        self,
        table: Numeric,
        K: int,
        rng: np.random.Generator,
        split: MixtureParams | None = None,
        fresh: bool = False,
    ) -> tuple[Mixture, Rows, em.Fit[MixtureParams]]:
        own = clone(self.model).set_params(n_components=K, random_state=rng)
        if fresh:  # K-means would only find again what it has found
            own.set_params(init_params="random_from_data", n_init=max(own.n_init, FRESH))
        own._options(len(table))  # refuses what `fit` would refuse
        seen = survey(table)
        own._check_fit(seen)
        world, rows = Mixture(own._family(table.shape[1])), rows_of(table, own._origin(seen), seen)
        starts = list(own._starts(world, rows))
        if split is not None:
            starts.extend(_splits(world, rows, split, rng))
        return world, rows, em.search(world, rows, starts, executor=threads(), progress=False, **_options(RATIO_TOL))


def _splits(world: Mixture, rows: Rows, params: MixtureParams, rng: np.random.Generator) -> Iterator[MixtureParams]:
    """Each component in turn cut in two, softly, across a random direction."""
    responsibilities, _ = world.posterior(rows, params)
    X = rows.X - rows.origin
    spread = X.std(axis=0)
    for k, share in enumerate(responsibilities.T):
        if not share.sum() > 0:
            continue  # nobody's component has no halves
        along = (X / np.where(spread > 0, spread, 1.0)) @ rng.standard_normal(rows.d)
        along -= np.average(along, weights=share)
        width = np.sqrt(np.average(along**2, weights=share))
        part = expit(2.0 * along / (width if width > 0 else 1.0))
        shares = np.column_stack([responsibilities, share * part])
        shares[:, k] = share * (1.0 - part)
        yield world.from_responsibilities(rows, shares, len(params.weights) + 1)
