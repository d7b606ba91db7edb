"""A model of one's own, right and wrong, before `check_model`."""

import copy
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import norm

import emlib
from emlib.engine import em
from emlib.engine.check import check_model, nearby
from emlib.engine.parameters import flatten
from emlib.models.linkage import Linkage, LinkageParams

TRUTH = np.array([3700.0, 450.0])


class Balance:
    """Normal weights; of those below `limit` the balance shows nothing."""

    def __init__(self, limit=3500.0):
        self.limit = limit

    def e_step(self, x, params, latent=None):
        mean, sd = params
        seen, m = x[~np.isnan(x)], np.isnan(x).sum()
        z = (self.limit - mean) / sd
        h = np.exp(norm.logpdf(z) - norm.logcdf(z))
        first, second = mean - sd * h, mean**2 + sd**2 - sd * h * (self.limit + mean)
        stats = np.array([len(x), seen.sum() + m * first, (seen**2).sum() + m * second])
        return stats, norm.logpdf(seen, mean, sd).sum() + m * norm.logcdf(z)

    def m_step(self, stats, prior=None):
        n, first, second = stats
        return np.array([first / n, np.sqrt(second / n - (first / n) ** 2)])

    def simulate(self, params, n, rng):
        x = rng.normal(*params, n)
        return np.where(x < self.limit, np.nan, x)


def test_a_right_model_passes_and_is_told_what_was_tried():
    said = check_model(Balance(), TRUTH)
    assert len(said) == 5
    assert said[-1].startswith("20 fits to simulated data give the parameters that made them")
    assert emlib.check_model is check_model


def test_rows_that_cannot_be_cut_are_not():
    class Summed(Linkage):
        def simulate(self, params, n, rng):
            return super().simulate(params, n, rng).sum(axis=0)  # four counts

    assert len(check_model(Summed(), LinkageParams(0.6), n=20)) == 4


def test_the_same_seed_tries_the_same():
    assert check_model(Balance(), TRUTH, n=50) == check_model(Balance(), TRUTH, n=50)
    assert check_model(Balance(), TRUTH, n=50) != check_model(Balance(), TRUTH, n=50, random_state=1)


class ValuesFilledIn(Balance):
    def e_step(self, x, params, latent=None):
        stats, value = super().e_step(x, params)
        m = np.isnan(x).sum()
        first = (stats[1] - np.nansum(x)) / max(m, 1)
        return np.array([*stats[:2], np.nansum(x**2) + m * first**2]), value


class HalfTheLimit(Balance):
    def e_step(self, x, params, latent=None):
        full = np.where(np.isnan(x), self.limit / 2, x)
        return np.array([len(x), full.sum(), (full**2).sum()]), norm.logpdf(full, *params).sum()


class SeenOnly(Balance):
    def e_step(self, x, params, latent=None):
        seen = x[~np.isnan(x)]
        return np.array([len(seen), seen.sum(), (seen**2).sum()]), super().e_step(x, params)[1]


class Averages(Balance):
    def e_step(self, x, params, latent=None):
        stats, value = super().e_step(x, params)
        return stats / len(x), value


class MeanLikelihood(Balance):
    def e_step(self, x, params, latent=None):
        stats, value = super().e_step(x, params)
        return stats, value / len(x)


class FillsTheTable(Balance):
    def e_step(self, x, params, latent=None):
        found = super().e_step(x, params)
        x[np.isnan(x)] = self.limit
        return found


class ForgetsTheLikelihood(Balance):
    def e_step(self, x, params, latent=None):
        return super().e_step(x, params)[0]


class OnlyTheMean(Balance):
    def m_step(self, stats, prior=None):
        return super().m_step(stats)[:1]


class Overshoots(Balance):
    def m_step(self, stats, prior=None):
        return super().m_step(stats) * [1.0, 1.3]


class NotANumber(Balance):
    def m_step(self, stats, prior=None):
        return np.array([np.nan, 1.0])


class DrawsSomethingElse(Balance):
    def simulate(self, params, n, rng):
        return super().simulate(params * [1.0, 1.2], n, rng)


class Impossible(Balance):
    def e_step(self, x, params, latent=None):
        return super().e_step(x, params)[0], -np.inf


class LikelihoodOfRows(Balance):
    def e_step(self, x, params, latent=None):
        stats, value = super().e_step(x, params)
        return stats, np.full(len(x), value / len(x))


class AList(Balance):
    def m_step(self, stats, prior=None):
        return super().m_step(stats).tolist()


class SumsInATuple(Balance):
    def e_step(self, x, params, latent=None):
        stats, value = super().e_step(x, params)
        return tuple(stats), value


class SumsInADict(Balance):
    def e_step(self, x, params, latent=None):
        stats, value = super().e_step(x, params)
        return dict(enumerate(stats)), value


class NegativeDeviation(Balance):
    def m_step(self, stats, prior=None):
        return super().m_step(stats) * [1.0, -1.0]

    def simulate(self, params, n, rng):
        return super().simulate(np.abs(params), n, rng)


class ScalesMustBePositive(Balance):
    def m_step(self, stats, prior=None):
        return super().m_step(stats) * [1.0, -1.0]


class DrawsAList(Balance):
    def simulate(self, params, n, rng):
        return super().simulate(params, n, rng).tolist()


class ASeedOfItsOwn(Balance):
    def simulate(self, params, n, rng):
        return super().simulate(params, n, np.random.default_rng(1))


class NoLatent(Balance):
    def e_step(self, x, params):
        return super().e_step(x, params)


class NoPrior(Balance):
    def m_step(self, stats):
        return super().m_step(stats)


class NoSimulation(Balance):
    simulate = None


@dataclass(frozen=True)
class Loud:
    numbers: np.ndarray
    noise: float

    def __add__(self, other):
        return Loud(self.numbers + other.numbers, self.noise + other.noise)


class AnyFallIsNoise(ValuesFilledIn):
    """A slip hidden behind a claim of large rounding errors."""

    def e_step(self, x, params, latent=None):
        stats, value = super().e_step(x, params)
        return Loud(stats, 1e9), value

    def m_step(self, stats, prior=None):
        return super().m_step(stats.numbers)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (ValuesFilledIn, r"iteration \d+ lowered the objective by .* nats: the M-step does not maximise"),
        (SeenOnly, "lowered the objective"),
        (HalfTheLimit, "20 fits to simulated data give params.* the data were made with"),
        (Averages, "statistics of two parts of the data do not add up"),
        (MeanLikelihood, "log-likelihoods of two parts are"),
        (FillsTheTable, "a step has changed the data"),
        (ForgetsTheLikelihood, "it must return two things, the statistics and the log-likelihood as one number"),
        (LikelihoodOfRows, "as one number, summed over the rows"),
        (OnlyTheMean, r"m_step returned array\(\[.*\]\) of type ndarray; parameters like array\(\[3700., +450.\]\)"),
        (AList, r"m_step returned \[.*\] of type list; parameters like array.* of type ndarray, are needed"),
        (SumsInATuple, "they must add up with \\+, as arrays do"),
        (SumsInADict, "the statistics are {.*; numbers, an array or a dataclass of arrays is needed"),
        (NegativeDeviation, r"the log-likelihood is nan at what m_step returned, array"),
        (ScalesMustBePositive, r"simulate cannot draw at what m_step returned, array.*: ValueError: scale < 0"),
        (DrawsAList, "e_step cannot read what simulate drew: TypeError"),
        (ASeedOfItsOwn, "all 20 fits to simulated data are equal; simulate must draw from the rng it is given"),
        (NoLatent, r"e_step cannot be called as e_step\(data, params, latent\)"),
        (NoPrior, r"m_step cannot be called as m_step\(stats, prior\)"),
        (NoSimulation, r"model has no method simulate; it is called as simulate\(params, n, rng\)"),
        (Overshoots, "lowered the objective"),
        (NotANumber, "in which some number is not finite"),
        (DrawsSomethingElse, r"give params\[1\] = 5\d\d.* on average, with a standard error of .* made with 450"),
        (Impossible, "the log-likelihood of simulated data is -inf, at the parameters that made them"),
        (AnyFallIsNoise, "no rounding does, whatever `noise`"),
    ],
    ids=lambda it: getattr(it, "__name__", ""),
)
def test_slips_are_named(wrong, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_model(wrong(), TRUTH)


def test_rest_on_a_slope():
    class Bessel(Balance):
        """Divides the squares by n - 1, which is no maximum; nothing is hidden, so one step goes all the way."""

        def m_step(self, stats, prior=None):
            mean, sd = super().m_step(stats)
            return np.array([mean, sd * np.sqrt(stats[0] / (stats[0] - 1))])

    with pytest.raises(AssertionError, match=r"EM stands still on a slope: 0.000\d+ nats more are to be had"):
        check_model(Bessel(limit=0.0), TRUTH)


def test_a_step_that_never_moves_a_number_is_noticed():
    class Stuck(Balance):
        """Moves the mean and says of the deviation what it always says."""

        def m_step(self, stats, prior=None):
            return np.array([super().m_step(stats)[0], 300.0])

    with pytest.raises(AssertionError, match=r"lowered the objective|stands still on a slope"):
        check_model(Stuck(), TRUTH)


def test_a_climb_that_ends_badly_is_a_fault():
    class Fussy(Balance):
        def e_step(self, x, params, latent=None):
            if len(x) == 500 and abs(params[0] / 3640 - 1) > 0.01:  # its climbs begin there
                raise em.Degenerate("the mean is not where it was.")
            return super().e_step(x, params)

    with pytest.raises(AssertionError, match=r"Degenerate|ended after \d+ iterations: the mean is not where it was"):
        check_model(Fussy(), TRUTH)


def test_a_class_is_no_model_and_a_dict_no_parameters():
    with pytest.raises(AssertionError, match=r"model is the class Balance; an instance is needed, Balance\(\.\.\.\)"):
        check_model(Balance, TRUTH)
    with pytest.raises(AssertionError, match=r"params is {'mean': 3700}; numbers, an array or a dataclass of arrays"):
        check_model(Balance(), {"mean": 3700})


class Walk:
    """One chain: a walk with drift, of which every second place is seen."""

    def e_step(self, x, drift, latent=None):
        steps = np.diff(x) / 2  # the place between is expected half way, whatever the drift
        value = norm.logpdf(np.diff(x), 2 * drift, np.sqrt(2)).sum()
        return np.array([2.0 * len(steps), 2 * steps.sum()]), float(value)

    def m_step(self, stats, prior=None):
        return stats[1] / stats[0]

    def simulate(self, drift, n, rng):
        return np.cumsum(rng.normal(2 * drift, np.sqrt(2), size=n))


def test_a_chain_is_not_cut():
    with pytest.raises(AssertionError, match=r"do not add up.*\(If rows belong together, pass rows=False\.\)"):
        check_model(Walk(), 0.37)
    assert len(check_model(Walk(), 0.37, rows=False)) == 4  # a plain number may come back as one of NumPy's


def test_data_as_long_as_a_design_are_not_cut():
    class Exposed(Balance):
        hours = np.linspace(1.0, 2.0, 300)

        def e_step(self, x, params, latent=None):
            stats, value = super().e_step(x, params)
            return stats, value + 0.0 * (x * self.hours).size

    with pytest.raises(AssertionError, match=r"e_step cannot read a part of the data; .* pass rows=False: ValueError"):
        check_model(Exposed(), TRUTH, n=300)
    assert len(check_model(Exposed(), TRUTH, n=300, rows=False)) == 4


class RareKind:
    """Numbers of two known kinds, of which one is rare; it has no patience with shares outside 0 to 1."""

    def e_step(self, x, share, latent=None):
        if not 0 <= share <= 1:
            raise ValueError("math domain error")
        joint = np.array([(1 - share) * norm.pdf(x), share * norm.pdf(x, 3.0)])
        return np.array([len(x), (joint[1] / joint.sum(axis=0)).sum()]), float(np.log(joint.sum(axis=0)).sum())

    def m_step(self, stats, prior=None):
        return float(stats[1] / stats[0])

    def simulate(self, share, n, rng):
        return rng.normal(3.0 * (rng.random(n) < share))


def test_parameters_that_do_not_exist_are_no_fault():
    for seed in range(6):  # some of which look for the rare kind on the other side of 0
        assert len(check_model(RareKind(), 0.02, random_state=seed)) == 5


class OneVisit:
    """Frogs: of ponds that are occupied, in a share psi, one visit hears a share p. Only psi p can be known."""

    def e_step(self, heard, params, latent=None):
        psi, p = params
        silent = psi * (1 - p) / (1 - psi * p)
        k, n = heard.sum(), len(heard)
        occupied = k + (n - k) * silent
        value = k * np.log(psi * p) + (n - k) * np.log1p(-psi * p)
        return np.array([n, occupied, k]), float(value)

    def m_step(self, stats, prior=None):
        n, occupied, k = stats
        return np.array([occupied / n, k / occupied])

    def simulate(self, params, n, rng):
        return (rng.random(n) < params[0] * params[1]).astype(float)


def test_a_ridge_is_said():
    *_, last = check_model(OneVisit(), np.array([0.6, 0.3]))
    assert last.startswith("To think about: two climbs ended equally high in different places.")
    assert not any(line.startswith("To think") for line in check_model(Balance(), TRUTH))


def test_a_table_that_is_written_to_is_noticed():
    pandas = pytest.importorskip("pandas")

    class Table(Balance):
        def simulate(self, params, n, rng):
            return pandas.DataFrame({"mass": super().simulate(params, n, rng), "note": ""})

        def e_step(self, table, params, latent=None):
            found = super().e_step(table["mass"].to_numpy(), params)
            table["seen"] = True
            return found

    with pytest.raises(AssertionError, match="a step has changed the data"):
        check_model(Table(), TRUTH)


def test_what_it_is_given_stays_as_it_was():
    model, params = Linkage(), LinkageParams(0.6)
    kept = copy.deepcopy((model, params))
    check_model(model, params, n=20)
    assert (model, params) == kept


def test_nearby_parameters_are_mixed():
    rng = np.random.default_rng
    near, far = (flatten(nearby(Balance(), TRUTH, rng(0), amount)) for amount in (0.1, 1.0))
    np.testing.assert_allclose(near - TRUTH, 0.1 * (far - TRUTH))
    assert replace(LinkageParams(0.5), theta=nearby(Linkage(), LinkageParams(0.6), rng(0)).theta).theta != 0.6
