"""The other loop: sample the hidden labels, draw the parameters, and never arrive.

    stats  = sum over rows of T(x, z), z drawn from p(z | x, params)      model.e_step, latent sampled
    params ~ p(params | stats, prior)                                     model.draw

It is the loop of `engine.em` with "expect" replaced by "sample" and "maximise" by "draw". EM finds a
peak; this walk spends its time on the mountain in proportion to the mass that lies there. The four
corners, each a choice of one line (``X``, ``start`` and a ``model`` given):

================  =========================================================================
EM                ``em.fit(model, X, start)``
hard, annealed    ``em.fit(model, X, start, latent=HARD)``, ``latent=tempered(2.0)``
stochastic EM     ``em.fit(model, X, start, latent=sampled(rng))``, or ``update="maximise"``
Gibbs sampling    ``wander.sample(model, X, [start], prior=prior, rng=rng)``
================  =========================================================================
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .blocks import one_blas_thread
from .em import Degenerate
from .ensemble import Ensemble, ensemble
from .latent import FloatArray, Latent, sampled
from .progress import progress_bar

Update = Literal["draw", "maximise", "collapsed"]


@dataclass(frozen=True)
class Walk:
    """Where the chains have been.

    Attributes
    ----------
    parameters : dict of arrays (chains, draws, ...)
        By field name of the model's parameters.
    log_likelihood : array (chains, draws)
        Total, in nats, at each draw.
    swaps : array (temperatures - 1,)
        How often neighbouring temperatures exchanged their states, of the times they tried.
    """

    parameters: dict[str, FloatArray]
    log_likelihood: FloatArray
    swaps: FloatArray


def sample(
    model: Any,
    data: Any,
    starts: Sequence[Any],
    *,
    draws: int = 1000,
    tune: int = 500,
    prior: Any,
    rng: np.random.Generator,
    temperatures: Sequence[float] = (1.0,),
    update: Update = "draw",
    executor: Executor | None = None,
    progress: bool | None = None,
) -> Walk:
    """Walk from every start; all chains take each step together.

    Parameters
    ----------
    model : Model
        The two steps; see `engine.em.Model`.
    data
        Whatever the model's E-step reads.
    starts : sequence of Params
        One for each chain.
    draws, tune : int
        Sweeps that are kept, after `tune` that are not.
    prior
        Of the model; proper, if parameters are to be drawn.
    rng : numpy.random.Generator
    temperatures : sequence of float
        Beginning at 1 and rising. Each chain gets a companion at every other temperature t, for which a row
        counts as 1/t of a row (its density is raised to the power 1/t), so that it walks a flatter mountain.
        After each sweep chains of neighbouring temperatures may exchange their states, by Metropolis' rule,
        and so a chain may cross from one mode to another. The chains at 1 sample the posterior itself.
    update : {"draw", "maximise", "collapsed"}
        "draw" is the Gibbs sampler, "maximise" stochastic EM. "collapsed" samples each label given all others,
        the parameters integrated out.
    executor, progress
        As in `engine.em.fit`.

    Raises
    ------
    ValueError
        In one sentence, for what cannot be sampled so.

    References
    ----------
    Diebolt & Robert (1994) for the sampler, Celeux & Diebolt (1985) for stochastic EM, Geyer (1991) for the
    exchange between temperatures.

    Examples
    --------
    Two kinds of days, with 1 and with 9 events; what is believed of the rates is worth one row:

    >>> from emlib.engine import families
    >>> from emlib.engine.mixture import Mixture, MixtureParams, MixturePrior
    >>> start = MixtureParams(np.array([0.5, 0.5]), families.PoissonParams(np.array([[1.0], [9.0]])))
    >>> prior = MixturePrior(1.0, families.GammaPrior(2.0, 1.0))
    >>> data, rng = np.array([[0.0], [2], [1], [9], [11]]), np.random.default_rng(0)
    >>> walk = sample(Mixture(families.Poisson()), data, [start] * 4, prior=prior, rng=rng)
    >>> walk.parameters["rates"].shape
    (4, 1000, 2, 1)
    """
    C, levels = len(starts), _levels(temperatures)
    inverse = np.repeat(1.0 / levels, C)
    chains = ensemble(model, [*starts] * len(levels), prior, inverse, collapsed=update == "collapsed")
    blocks = data.blocks() if hasattr(data, "blocks") else [data]
    exchange = _Exchange(C, 1.0 / levels)
    found: dict[str, FloatArray] = {}
    likelihood = np.empty((C, draws))
    params = chains.start()
    with one_blas_thread, progress_bar(progress, tune + draws, "sweep") as tick:
        for sweep in range(-tune, draws):
            try:
                stats, values = _expect(chains, blocks, params, rng, executor)
                if sweep >= 0:
                    _keep(found, chains.numbers(params, C), sweep, draws)
                    likelihood[:, sweep] = values[0, :C]
                if len(levels) > 1:
                    stats, params = chains.reordered(stats, params, exchange(values[1], rng))
                params = chains.maximise(stats) if update == "maximise" else chains.draw(stats, params, rng)
            except (Degenerate, np.linalg.LinAlgError) as problem:
                raise Degenerate(f"a chain came to parameters that have no density ({problem}).") from None
            tick()
    return Walk(found, likelihood, exchange.accepted / max(tune + draws, 1))


def _levels(temperatures: Sequence[float]) -> FloatArray:
    levels = np.asarray(temperatures, dtype=float)
    fine = levels.ndim == 1 and len(levels) and levels[0] == 1.0 and np.isfinite(levels).all()
    if not (fine and (np.diff(levels) > 0).all()):
        raise ValueError(f"temperatures is {temperatures!r}; it must begin at 1 and rise.")
    return levels


def _expect(
    chains: Ensemble, blocks: Sequence[Any], params: Any, rng: np.random.Generator, executor: Executor | None
) -> tuple[Any, FloatArray]:
    """One E-step of all chains: blocks on their own streams, added in their order."""
    latent = sampled(rng)
    if len(blocks) == 1:
        return _expect_block(chains, params, blocks[0], latent)
    run = map if executor is None else executor.map
    work = functools.partial(_expect_block, chains, params)
    parts = list(run(work, blocks, latent.split(len(blocks))))
    return functools.reduce(operator.add, (stats for stats, _ in parts)), np.sum([v for _, v in parts], axis=0)


def _expect_block(chains: Ensemble, params: Any, block: Any, latent: Latent) -> tuple[Any, FloatArray]:
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # log weights of zero, as in em
        return chains.expect(block, params, latent)


def _keep(found: dict[str, FloatArray], numbers: dict[str, FloatArray], sweep: int, draws: int) -> None:
    for name, values in numbers.items():
        if name not in found:
            found[name] = np.empty((len(values), draws, *values.shape[1:]))
        found[name][:, sweep] = values


class _Exchange:
    """Which chain goes where (eq. 7.10): each meets a random one of the next temperature.

    The states (labels and parameters) of two chains at inverse temperatures a and b are exchanged with
    probability ``exp((a - b) (c_b - c_a))``, c the log density of all rows in the components they are in: all
    else in the two densities stays the same.
    """

    def __init__(self, C: int, inverse: FloatArray) -> None:
        self.C, self.inverse = C, inverse
        self.accepted = np.zeros(len(inverse) - 1)

    def __call__(self, log_density: FloatArray, rng: np.random.Generator) -> NDArray[np.intp]:
        order, own = np.arange(self.C * len(self.inverse)), np.arange(self.C)
        for level, gap in enumerate(self.inverse[:-1] - self.inverse[1:]):
            a, b = level * self.C + own, (level + 1) * self.C + rng.permutation(self.C)
            gain = gap * (log_density[order[b]] - log_density[order[a]])
            agreed = np.log1p(-rng.random(self.C)) <= gain
            order[a[agreed]], order[b[agreed]] = order[b[agreed]], order[a[agreed]]
            self.accepted[level] += agreed.mean()
        return order
