"""One suite over all models, and wrong models that it must reject."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import replace

import numpy as np
import pytest

import emlib.models
from emlib.engine import families, markov, mixture
from emlib.engine.check import check_model
from emlib.engine.coordinates import Named, Simplex
from emlib.engine.kernel import Statistics
from emlib.engine.latent import HARD, SOFT
from emlib.engine.mixture import Mixture, MixtureParams

from . import checks
from .cases import CASES

BY_NAME = {case.name: case for case in CASES}


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_conformance(case, check):
    check(case)


QUICK = ("gaussian", "annotators, two groups", "holed normal", "poisson")
PUBLIC = [
    pytest.param(case, marks=() if case.name in QUICK else pytest.mark.slow, id=case.name)
    for case in CASES
    if not case.averaged  # (a posterior is no truth to be found again)
]


@pytest.mark.parametrize("case", PUBLIC)
def test_what_users_ask_of_their_models(case):
    n = 20 if "Markov" in case.name else 500
    assert len(check_model(case.model, case.params, n=n)) >= 4
    assert len(check_model(case.model, case.params, n=n, prior=case.prior)) >= 3


def test_every_model_and_family_is_registered():
    rooms = [mixture, markov]
    for info in pkgutil.walk_packages(emlib.models.__path__, "emlib.models."):
        if not info.name.endswith(".compiled"):  # loops for numba, which may be absent, and no models
            rooms.append(importlib.import_module(info.name))
    found = {c for room in rooms for _, c in inspect.getmembers(room, inspect.isclass) if hasattr(c, "e_step")}
    models = {c for c in found if not inspect.isabstract(c)}
    worlds = {
        c
        for name, c in inspect.getmembers(families, inspect.isclass)
        if hasattr(c, "maximise") and not name.startswith("_") and c is not families.Family
    }
    assert models <= {type(case.model) for case in CASES}
    assert worlds <= {type(case.model.family) for case in CASES if hasattr(case.model, "family")}


# ------------------------------------------------------------------ known-wrong models


class HardCalledSoft(Mixture):
    """Hard labels sold as the E-step."""

    def e_step(self, data, params, latent=SOFT):
        stats, _ = super().e_step(data, params, HARD)
        return stats, super().e_step(data, params, latent)[1]


class WeightsForgotten(Mixture):
    """Responsibilities without mixing weights."""

    def e_step(self, data, params, latent=SOFT):
        flat = MixtureParams(np.full(len(params.weights), 1 / len(params.weights)), params.components)
        return super().e_step(data, flat, latent)


class MeanOfBlocks(Mixture):
    """Statistics averaged instead of summed."""

    def e_step(self, data, params, latent=SOFT):
        stats, value = super().e_step(data, params, latent)
        return replace(stats, totals=stats.totals / len(data)), value


class OldMeans(families.Gaussian):
    """Covariances about the origin instead of about the new means."""

    def maximise(self, stats, prior=None):
        params = super().maximise(stats, prior)
        outer = params.means[:, :, None] * params.means[:, None, :]
        return families.GaussianParams(params.means, params.covariances + outer)


class PriorIgnored(Mixture):
    """A prior in the objective but not in the M-step."""

    def m_step(self, stats, prior=None):
        return super().m_step(stats)


class SizesKept(families.NegativeBinomial):
    """A negative binomial whose sizes are never updated."""

    def maximise(self, stats, prior=None):
        params = super().maximise(stats, prior)
        return replace(params, sizes=np.full_like(params.sizes, 2.0))


class FavouriteComponent(Mixture):
    """A model that treats component 0 differently."""

    def m_step(self, stats, prior=None):
        extra = np.zeros_like(stats.totals)
        extra[0] = stats.totals[0]
        return super().m_step(Statistics(stats.totals + extra, stats.about, stats.shared), prior)


class FirstLabelAlways(Mixture):
    """A sampler that always picks the best label."""

    def e_step(self, data, params, latent=SOFT):
        if latent.rng is None:
            return super().e_step(data, params, latent)
        return super().e_step(data, params, HARD)[0], super().e_step(data, params)[1]


class DrawsTheMaximum(Mixture):
    """A 'posterior draw' that is the maximiser with noise of the wrong size."""

    def draw(self, stats, prior, rng):
        best = self.m_step(stats)
        noise = 1 + 0.001 * rng.standard_normal(best.components.means.shape)
        return MixtureParams(best.weights, replace(best.components, means=best.components.means * noise))


class UntiedWeights(Mixture):
    """A score that moves one weight as if the others could stand still."""

    def coordinates(self, params):
        class Untied(Simplex):
            def pull(self, u, slopes):
                return (self.at(u) * slopes)[..., :-1]

        right = super().coordinates(params)
        return Named(right.kind, {**right.parts, "weights": Untied(params.weights)})


class TooCertain(Mixture):
    """Louis' identity with the labels taken as seen: nothing is missing."""

    def complete_slopes(self, data, params):
        return iter(())


def _wrong(model_class, family=None, name="gaussian"):
    case = BY_NAME[name]
    return replace(case, model=model_class(family or case.model.family))


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        (_wrong(HardCalledSoft), checks.brute_force),
        (_wrong(HardCalledSoft), checks.monotone),
        (_wrong(WeightsForgotten), checks.brute_force),
        (_wrong(MeanOfBlocks), checks.additivity),
        (_wrong(Mixture, OldMeans()), checks.stationary),
        (_wrong(Mixture, OldMeans()), checks.recovery),
        (_wrong(PriorIgnored), checks.stationary),
        (_wrong(PriorIgnored, name="negative binomial"), checks.stationary),
        (_wrong(Mixture, SizesKept(), "negative binomial"), checks.stationary),
        (_wrong(Mixture, SizesKept(), "negative binomial"), checks.recovery),
        (_wrong(FavouriteComponent), checks.permutation),
        (_wrong(FavouriteComponent), checks.recovery),
        (_wrong(FirstLabelAlways), checks.sampled_mean),
        (_wrong(DrawsTheMaximum), checks.posterior_draws),
        (_wrong(UntiedWeights), checks.score),
        (_wrong(HardCalledSoft), checks.score),
        (_wrong(TooCertain), checks.observed_information),
    ],
    ids=lambda x: type(x.model).__name__ + type(x.model.family).__name__ if hasattr(x, "model") else x.__name__,
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_suite_rejects(wrong, check):
    with pytest.raises(AssertionError):
        check(wrong)
