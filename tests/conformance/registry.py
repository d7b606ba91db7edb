"""Every model of emlib, with what the conformance suite needs to try it.

A new model adds one `Case`. `test_conformance.py` fails while a family or a model has none.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np
from scipy import stats as dist

from emlib.engine import families as f
from emlib.engine.blocks import Rows
from emlib.engine.latent import FloatArray
from emlib.engine.markov import HiddenMarkov, MarkovParams, MarkovPrior
from emlib.engine.mixture import Mixture, MixtureParams, MixturePrior
from emlib.engine.sequences import Sequences
from emlib.models.annotators import AnnotatorParams, AnnotatorPrior, Annotators
from emlib.models.doublets import DoubletParams, DoubletPrior, Doublets
from emlib.models.gene_counting import GeneParams, GenotypeLikelihoods, PhenotypeCounts, PossibleGenotypes, read_scheme
from emlib.models.haplotypes import HaplotypeModel, HaplotypeParams
from emlib.models.linkage import Linkage, LinkageParams
from emlib.models.missing import HoledNormal
from emlib.models.motifs import Background, MotifModel, MotifParams, MotifPrior
from emlib.models.motifs.averaged import AveragedParams, averaged
from emlib.models.motifs.columns import KnownColumns
from emlib.models.phasing import ClusterModel, ClusterParams, ClusterPrior
from emlib.models.robust import RegressionParams, RegressionPrior, TRegression
from emlib.models.tomography import Emission, EmissionParams
from emlib.models.transcripts import EquivalenceClasses, TranscriptModel, TranscriptParams


@dataclass(frozen=True)
class Case:
    """One model at one set of true parameters."""

    name: str
    model: Any
    params: Any
    prior: Any
    # log p(x_i, z_i = k), by other means than the model's own: brute force sums it over all z
    log_joint: Callable[[FloatArray, Any], FloatArray]
    # the components in another order; None where hidden labels have a meaning and cannot be exchanged
    permute: Callable[[Any, list[int]], Any] | None
    more_is_hidden: bool = False  # than labels: no complete-data score of a row and label, and ECME's M-steps
    tolerance: float = 0.1  # of recovery from 20,000 rows, in units of the parameters
    # Posteriors instead of parameters: a bound of the evidence climbs, always under the prior, and what the E-step is
    # given are functions of the posterior, no coordinates of their own. So there are no slopes and nothing to draw.
    averaged: bool = False
    # expected number of rows (or whatever `log_joint` has a row for) with each label
    counts: Callable[[Any], FloatArray] = attrgetter("counts")
    # all assignments of labels (P, n) with their log joint probability (P,), where rows depend on each other
    paths: Callable[[Any, Any], tuple[FloatArray, FloatArray]] | None = None
    # where labels are many and not counted one by one: what each label of a row adds to `counts` instead
    told: Callable[[FloatArray], Any] | None = None
    # where what is hidden is a number and no label: by integration over it, the log-likelihood, the highest log joint
    # density, and what `counts` is expected to be
    integrals: Callable[[Any, Any], tuple[float, float, FloatArray]] | None = None
    cold: float = 1e-4  # a temperature at which tempered is hard
    ties: float = 0.0  # log of how many labels of a row may be equally good, whatever the parameters
    few: int = 0  # rows of the sum over all assignments, where the usual number has too many

    @property
    def priors(self) -> tuple[Any, ...]:
        """What it climbs under."""
        return (self.prior,) if self.averaged else (None, self.prior)

    def data(self, n: int, seed: int = 0) -> FloatArray:
        """Rows simulated at the true parameters."""
        rows: FloatArray = self.model.simulate(self.params, n, np.random.default_rng(seed))
        return rows

    # What follows is all that the suite does with data; sequences are cut between each other, tables anywhere.

    def size(self, data: Any) -> int:
        """How many pieces data can be cut into."""
        return len(data)

    def part(self, data: Any, first: int, stop: int) -> Any:
        """Pieces `first` to `stop`."""
        return data[first:stop]

    def laid_out(self, data: Any) -> Any:
        """Data in the engine's layout."""
        return data if isinstance(data, Sequences) else Rows(data)

    def table(self, data: Any) -> FloatArray:
        """The numbers observed."""
        return data.rows.X if isinstance(data, Sequences) else data


def permute_mixture(params: MixtureParams, order: list[int]) -> MixtureParams:
    components = params.components
    K = len(params.weights)
    fields = {name: getattr(components, name) for name in components.__dataclass_fields__}
    # What is shared by all components has no row for each. (A tied matrix of K = 2 columns would look as if.)
    moved = {
        name: v if np.shape(v)[:1] != (K,) or (np.shape(v) == (2, 2) and name == "covariances") else v[order]
        for name, v in fields.items()
    }
    return MixtureParams(params.weights[order], replace(components, **moved))


def _gaussian(X: FloatArray, params: MixtureParams) -> FloatArray:
    c = params.components
    K, d = c.means.shape
    full = {
        (K, d, d): lambda: c.covariances,
        (K, d): lambda: [np.diag(v) for v in c.covariances],
        (K,): lambda: [v * np.eye(d) for v in c.covariances],
        (d, d): lambda: [c.covariances] * K,
        (): lambda: [c.covariances * np.eye(d)] * K,
    }[np.shape(c.covariances)]()
    columns = [dist.multivariate_normal(m, S).logpdf(X) for m, S in zip(c.means, full, strict=True)]
    return np.column_stack(columns).reshape(len(X), -1) + np.log(params.weights)


def _spherical(X: FloatArray, params: MixtureParams, variance: float = 0.5) -> FloatArray:
    columns = [dist.norm(m, np.sqrt(variance)).logpdf(X).sum(axis=1) for m in params.components.means]
    return np.column_stack(columns) + np.log(params.weights)


def _poisson(X: FloatArray, params: MixtureParams) -> FloatArray:
    columns = [dist.poisson(rate).logpmf(X).sum(axis=1) for rate in params.components.rates]
    return np.column_stack(columns) + np.log(params.weights)


def _binomial(X: FloatArray, params: MixtureParams) -> FloatArray:
    columns = [dist.binom([10, 5], p).logpmf(X).sum(axis=1) for p in params.components.probs]
    return np.column_stack(columns) + np.log(params.weights)


def _negative_binomial(X: FloatArray, params: MixtureParams) -> FloatArray:
    c = params.components
    columns = [dist.nbinom(r, r / (r + m)).logpmf(X).sum(axis=1) for m, r in zip(c.means, c.sizes, strict=True)]
    return np.column_stack(columns) + np.log(params.weights)


def _entrywise(X: FloatArray, params: MixtureParams) -> FloatArray:
    """Counts that may have an exposure in front, structural zeros, and more scatter than a Poisson's."""
    c = params.components
    means = getattr(c, "means", getattr(c, "rates", None))
    e, x = (X[:, :1], X[:, 1:]) if X.shape[1] > means.shape[1] else (1.0, X)
    columns = []
    for k, m in enumerate(means):
        if hasattr(c, "sizes"):
            p = dist.nbinom(c.sizes[k], c.sizes[k] / (c.sizes[k] + e * m)).pmf(x)
        else:
            p = dist.poisson(e * m).pmf(x)
        if hasattr(c, "zeros"):
            p = c.zeros[k] * (x == 0) + (1 - c.zeros[k]) * p
        columns.append(np.log(p).sum(axis=1))
    return np.column_stack(columns) + np.log(params.weights)


DEPTHS = np.array([0.7, 1.0, 1.7, 0.8])
SCATTERED = np.array([[30.0, 10.0, 40.0], [10.0, 40.0, 15.0]])
SIZES = np.array([[2.0, 3.0, 4.0], [3.0, 4.0, 2.5]])  # well below the means: fast to climb
ZEROS = np.array([[0.4, 0.3, 0.5], [0.3, 0.45, 0.4]])
MEANS = np.array([[0.0, 0.0], [2.5, 1.0], [-1.0, 3.0]])


def _multinomial(X: FloatArray, params: MixtureParams) -> FloatArray:
    columns = [dist.multinomial(12, p).logpmf(X) for p in params.components.probs]
    return np.column_stack(columns) + np.log(params.weights)


def _linkage(X: FloatArray, params: LinkageParams) -> FloatArray:
    """A row for each offspring, all of the same cell together; only the first cell has two kinds."""
    t = params.theta
    other = np.log([(1 - t) / 4, (1 - t) / 4, t / 4])
    kinds = np.array([np.log([0.5, t / 4]), *([p, -np.inf] for p in other)])
    joint = np.repeat(kinds, X.sum(axis=0).astype(int), axis=0)
    orders = [dist.multinomial(row.sum(), [0.25] * 4).logpmf(row) + row.sum() * np.log(4) for row in X]
    joint[0] += sum(orders)  # in how many orders the same counts could have come
    return joint


def _markov(log_joint: Callable[[FloatArray, Any], FloatArray]) -> Callable[[Any, Any], tuple[FloatArray, FloatArray]]:
    """All paths of all sequences together, term by term; `log_joint` is that of a mixture of the same components."""

    def paths(data: Sequences, params: MarkovParams) -> tuple[FloatArray, FloatArray]:
        K = len(params.start)
        density = log_joint(data.rows.X, MixtureParams(np.ones(K), params.components))
        every = np.array(list(itertools.product(range(K), repeat=len(density))))
        joint = density[np.arange(len(density)), every].sum(axis=1)
        firsts = np.cumsum(data.cuts.lengths) - data.cuts.lengths
        for t in range(len(density)):
            if t in firsts:
                joint += np.log(params.start)[every[:, t]]
            else:
                joint += np.log(params.transitions)[every[:, t - 1], every[:, t]]
        return every, joint

    return paths


def _categorical(X: FloatArray, params: Any) -> FloatArray:
    return np.log(params.components.probs).T[X[:, 0].astype(int)]


def permute_markov(params: MarkovParams, order: list[int]) -> MarkovParams:
    moved = permute_mixture(MixtureParams(params.start, params.components), order)
    return MarkovParams(moved.weights, params.transitions[order][:, order], moved.components)


THREE = np.array([0.5, 0.3, 0.2])
NIW = f.NormalInverseWishart(mean=np.array([0.5, -0.5]), strength=2.0, scatter=np.diag([3.0, 2.0]), dof=5.0)

EVERY_COUNT = f.DistinctCounts(np.tile(np.arange(300.0), 2), np.array([0, 300, 600]))

CASES = [
    Case(
        "gaussian",
        Mixture(f.Gaussian()),
        MixtureParams(
            THREE,
            f.GaussianParams(
                MEANS,
                np.array([[[1.0, 0.3], [0.3, 0.5]], [[0.5, -0.2], [-0.2, 1.0]], [[2.0, 0.0], [0.0, 0.3]]]),
            ),
        ),
        MixturePrior(2.0, NIW),
        _gaussian,
        permute_mixture,
        tolerance=0.2,
    ),
    *(
        Case(
            name,
            Mixture(family),
            MixtureParams(THREE, f.GaussianParams(MEANS, np.asarray(covariances))),
            MixturePrior(2.0, NIW),
            _gaussian,
            permute_mixture,
            tolerance=0.2,
        )
        for name, family, covariances in [
            ("diagonal gaussian", f.DiagonalGaussian(), [[1.0, 0.5], [0.5, 1.0], [2.0, 0.3]]),
            ("spherical gaussian", f.SphericalGaussian(), [1.0, 0.5, 0.3]),
            ("tied gaussian", f.TiedGaussian(), [[1.0, 0.4], [0.4, 0.6]]),
            ("tied spherical gaussian", f.TiedSphericalGaussian(), 0.6),
        ]
    ),
    Case(
        "centres",
        Mixture(f.Centres(variance=0.5)),
        MixtureParams(THREE, f.CentreParams(np.array([[0.0, 0.0], [3.0, 1.0], [-2.0, 4.0]]))),
        MixturePrior(2.0),
        _spherical,
        permute_mixture,
    ),
    Case(
        "poisson",
        Mixture(f.Poisson()),
        MixtureParams(THREE, f.PoissonParams(np.array([[1.0, 8.0], [6.0, 2.0], [15.0, 20.0]]))),
        MixturePrior(2.0, f.GammaPrior(2.0, 1.0)),
        _poisson,
        permute_mixture,
        tolerance=0.4,
    ),
    *(
        Case(
            name,
            Mixture(f.NegativeBinomial(tallied)),
            MixtureParams(
                THREE,
                f.NegativeBinomialParams(
                    np.array([[1.5, 12.0], [8.0, 3.0], [25.0, 35.0]]),
                    np.array([[1.5, 4.0], [3.0, 2.0], [6.0, 5.0]]),
                ),
            ),
            MixturePrior(2.0, f.GammaRatesPrior(3.0, 5.0, 1.3)),
            _negative_binomial,
            permute_mixture,
            more_is_hidden=True,
            tolerance=0.8,
        )
        for name, tallied in [("negative binomial", None), ("negative binomial, tallied", EVERY_COUNT)]
    ),
    *(
        Case(
            name,
            Mixture(family),
            MixtureParams(np.array([0.45, 0.55]), components),
            MixturePrior(2.0, prior),
            _entrywise,
            permute_mixture,
            more_is_hidden=not isinstance(family, f.ExposedPoisson),
            tolerance=tolerance,
        )
        for name, family, components, prior, tolerance in [
            (
                "poisson, exposed",
                f.ExposedPoisson(exposures=DEPTHS),
                f.PoissonParams(np.array([[1.0, 8.0], [6.0, 2.0]])),
                f.GammaPrior(2.0, 1.0),
                0.3,
            ),
            (
                "zero-inflated poisson",
                f.ZeroInflatedPoisson(),
                f.ZeroInflatedPoissonParams(np.array([[4.0, 15.0, 6.0], [12.0, 5.0, 3.5]]), ZEROS),
                f.ZeroInflatedPrior(f.BetaPrior(2.0, 3.0), f.GammaPrior(2.0, 1.0)),
                0.3,
            ),
            (
                "zero-inflated poisson, exposed",
                f.ZeroInflatedPoisson(exposed=True, exposures=DEPTHS),
                f.ZeroInflatedPoissonParams(np.array([[4.0, 15.0, 6.0], [12.0, 5.0, 3.5]]), ZEROS),
                f.ZeroInflatedPrior(f.BetaPrior(2.0, 3.0), f.GammaPrior(2.0, 1.0)),
                0.3,
            ),
            (
                "negative binomial, exposed",
                f.ExposedNegativeBinomial(exposures=DEPTHS),
                f.NegativeBinomialParams(SCATTERED, SIZES),
                f.GammaRatesPrior(3.0, 5.0, 1.3),
                0.8,
            ),
            (
                "zero-inflated negative binomial",
                f.ZeroInflatedNegativeBinomial(),
                f.ZeroInflatedNegativeBinomialParams(SCATTERED, SIZES, ZEROS),
                f.ZeroInflatedPrior(f.BetaPrior(2.0, 3.0), f.GammaRatesPrior(3.0, 5.0, 1.3)),
                0.8,
            ),
            (
                "zero-inflated negative binomial, exposed",
                f.ZeroInflatedNegativeBinomial(exposed=True, exposures=np.array([1.0, 2.0])),
                f.ZeroInflatedNegativeBinomialParams(SCATTERED, SIZES, ZEROS),
                f.ZeroInflatedPrior(f.BetaPrior(2.0, 3.0), f.GammaRatesPrior(3.0, 5.0, 1.3)),
                0.8,
            ),
        ]
    ),
    Case(
        "binomial",
        Mixture(f.Binomial(np.array([10.0, 5.0]))),
        MixtureParams(THREE, f.BinomialParams(np.array([[0.1, 0.8], [0.6, 0.2], [0.9, 0.9]]))),
        MixturePrior(2.0, f.BetaPrior(2.0, 3.0)),
        _binomial,
        permute_mixture,
    ),
    Case(
        "multinomial",
        Mixture(f.Multinomial(total=12)),
        MixtureParams(THREE, f.MultinomialParams(np.array([[0.6, 0.3, 0.1], [0.2, 0.6, 0.2], [0.1, 0.2, 0.7]]))),
        MixturePrior(2.0, f.DirichletPrior(2.0)),
        _multinomial,
        permute_mixture,
    ),
    Case(
        "binomial, weights known",
        Mixture(f.Binomial(np.array([10.0, 5.0])), fixed_weights=np.array([0.5, 0.5])),
        MixtureParams(np.array([0.5, 0.5]), f.BinomialParams(np.array([[0.2, 0.5], [0.7, 0.4]]))),
        MixturePrior(1.0, f.BetaPrior(2.0, 2.0)),
        _binomial,
        permute_mixture,
    ),
    *(
        Case(
            name,
            HiddenMarkov(family, length=length),
            MarkovParams(np.array([0.6, 0.4]), np.array(transitions), components),
            MarkovPrior(2.0, 3.0, prior),
            log_joint,
            permute_markov,
            tolerance=tolerance,
            paths=_markov(log_joint),
        )
        for name, family, length, transitions, components, prior, log_joint, tolerance in [
            (
                "hidden Markov, gaussian",
                f.Gaussian(),
                3,  # so that five rows are two sequences
                [[0.7, 0.3], [0.4, 0.6]],
                f.GaussianParams(2.0 * MEANS[1:], np.array([[[0.5, -0.2], [-0.2, 1.0]], [[2.0, 0.0], [0.0, 0.3]]])),
                NIW,
                _gaussian,
                0.2,
            ),
            (
                "hidden Markov, poisson",
                f.Poisson(),
                3,
                [[0.7, 0.3], [0.4, 0.6]],
                f.PoissonParams(np.array([[1.0, 8.0], [6.0, 2.0]])),
                f.GammaPrior(2.0, 1.0),
                _poisson,
                0.3,
            ),
            (
                "hidden Markov, categorical",
                f.Categorical(n_symbols=3),
                6,  # only the order of symbols tells states apart
                [[0.9, 0.1], [0.15, 0.85]],
                f.MultinomialParams(np.array([[0.75, 0.15, 0.1], [0.1, 0.1, 0.8]])),
                f.DirichletPrior(2.0),
                _categorical,
                0.1,
            ),
        ]
    ),
    Case(
        "linkage",
        Linkage(total=3),
        LinkageParams(0.6),
        f.BetaPrior(3.0, 2.0),
        _linkage,
        permute=None,
        counts=lambda stats: np.array([stats.cells.sum() - stats.cells[1], stats.cells[1]]),
    ),
]


# ------------------------------------------------------------------ motifs: a row is a sequence, a label its places


def _placements(L: int, w: int, signs: tuple[int, ...], t: int = 0) -> list[list[tuple[int, int]]]:
    """All placements of sites that do not overlap."""
    if t > L - w:
        return [[]]
    found = _placements(L, w, signs, t + 1)
    for sign in signs:
        found = found + [[(t, sign), *rest] for rest in _placements(L, w, signs, t + w)]
    return found


def _labels(model: MotifModel, L: int, w: int) -> list[list[tuple[int, int]]]:
    signs = (1,) if model.strands == "+" else (1, -1)
    if model.occurrences == "anr":
        return _placements(L, w, signs)
    places = [[(t, sign)] for t in range(L - w + 1) for sign in signs]
    return places if model.occurrences == "oops" else [[], *places]


def _motif_joint(model: MotifModel) -> Callable[[FloatArray, Any], FloatArray]:
    """Term by term: letters of the background, letters of the sites, the prior of the places."""

    def log_joint(X: FloatArray, params: MotifParams) -> FloatArray:
        w, signs = len(params.pwm), 1 if model.strands == "+" else 2
        joint = []
        for x in np.asarray(X, dtype=int):
            letters, m, row = model.background.log_probability(x[None])[0], len(x) - w + 1, []
            for sites in _labels(model, len(x), w):
                value, inside = letters.sum(), set()
                for t, sign in sites:
                    word = x[t : t + w] if sign == 1 else 3 - x[t : t + w][::-1]
                    value += np.log(params.pwm[range(w), word]).sum() - letters[t : t + w].sum() - np.log(signs)
                    inside |= set(range(t, t + w))
                if model.occurrences != "anr":
                    value -= len(sites) * np.log(m)
                if model.occurrences == "zoops":
                    value += np.log(params.rate if sites else 1.0 - params.rate)
                if model.occurrences == "anr":
                    missed = len([t for t in range(m) if t not in inside])
                    value += len(sites) * np.log(params.rate) + missed * np.log1p(-params.rate)
                row.append(value)
            joint.append(row)
        return np.array(joint)

    return log_joint


def _motif(
    name: str, occurrences: str, strands: str, pwm: FloatArray, rate: float, length: int, tolerance: float
) -> Case:
    model = MotifModel(occurrences, strands, Background.given([0.31, 0.22, 0.18, 0.29]), length=length)
    return Case(
        name,
        model,
        MotifParams(pwm, rate),
        MotifPrior(np.array([2.0, 1.5, 1.7, 2.2]), (2.0, 3.0)),
        _motif_joint(model),
        permute=None,
        tolerance=tolerance,
        told=lambda row: [float(len(sites)) for sites in _labels(model, len(row), len(pwm))],
        counts=lambda stats: stats.sites,
    )


# In a few letters it is hard to tell whether there is a site at all; where columns are vague the best rate is 1.
VAGUE = np.array([[0.76, 0.08, 0.06, 0.1], [0.11, 0.13, 0.66, 0.1], [0.07, 0.1, 0.09, 0.74]])
CLEAR = np.array([[0.79, 0.07, 0.06, 0.08], [0.06, 0.08, 0.8, 0.06], [0.07, 0.78, 0.08, 0.07], [0.08, 0.06, 0.8, 0.06]])
CASES += [
    _motif("motif, oops", "oops", "+", VAGUE, 1.0, length=8, tolerance=0.12),
    _motif("motif, zoops, both strands", "zoops", "both", CLEAR, 0.6, length=7, tolerance=0.12),
    _motif("motif, anr, both strands", "anr", "both", CLEAR, 0.15, length=8, tolerance=0.12),
]


# ------------------------------------------------------------------ genes: a label is a genotype


def _ordered_pairs(penetrances: dict[tuple[int, int], list[float]]) -> Callable[[FloatArray, Any], FloatArray]:
    """A row for each person; penetrances by allele pairs in order. Mother's gene, father's gene, phenotype."""

    def log_joint(X: FloatArray, params: GeneParams) -> FloatArray:
        p, K = params.frequencies, len(params.frequencies)
        joint = np.zeros((X.shape[1], len(penetrances)))
        for g, pair in enumerate(itertools.combinations_with_replacement(range(K), 2)):
            ways = {pair, pair[::-1]}
            joint[:, g] = sum(p[a] * p[b] for a, b in ways) * np.array(penetrances[pair])
        with np.errstate(divide="ignore"):
            rows = np.log(joint)
        return np.vstack([np.repeat(rows, row.astype(int), axis=0) for row in X])

    return log_joint


ABO = {(0, 0): 0, (0, 1): 0, (0, 2): 2, (1, 1): 3, (1, 2): 1, (2, 2): 1}  # alleles A, O, B; phenotypes A, B, AB, O
SEVERITY = {"severe": {"aa": 0.7}, "mild": {"aa": 0.3, "aA": 0.4}, "well": {"aA": 0.6, "AA": 1.0}}
CASES += [
    Case(
        name,
        PhenotypeCounts.of(read_scheme(scheme)),
        GeneParams(np.array(frequencies)),
        f.DirichletPrior(2.5),
        _ordered_pairs(penetrances),
        permute=None,
        counts=attrgetter("genotypes"),
    )
    for name, scheme, frequencies, penetrances in [
        ("genes, ABO", "ABO", [0.3, 0.5, 0.2], {pair: np.eye(4)[s].tolist() for pair, s in ABO.items()}),
        (
            "genes, penetrance",
            SEVERITY,
            [0.6, 0.4],
            {(0, 0): [0.7, 0.3, 0.0], (0, 1): [0.0, 0.4, 0.6], (1, 1): [0.0, 0.0, 1.0]},
        ),
    ]
]


def _two_sites(free: bool) -> Callable[[FloatArray, Any], FloatArray]:
    """Nine labels a person: a genotype at either site."""

    def log_joint(X: FloatArray, params: GeneParams) -> FloatArray:
        p = params.frequencies
        prior = p if free else np.array([dist.binom(2, q).pmf([0, 1, 2]) for q in p[:, 1]])
        sites = X.reshape(len(X), 2, 3) + np.log(prior)
        return (sites[:, 0, :, None] + sites[:, 1, None, :]).reshape(len(X), 9)

    return log_joint


CASES += [
    Case(
        name,
        GenotypeLikelihoods(*genotypes),
        GeneParams(np.array(frequencies)),
        f.DirichletPrior(2.5),
        _two_sites(bool(genotypes)),
        permute=None,
        told=lambda row: np.array([np.eye(6)[a] + np.eye(6)[3 + b] for a in range(3) for b in range(3)]),
        counts=lambda stats: stats.genotypes.ravel(),
    )
    for name, genotypes, frequencies in [
        ("genes, reads at two sites", (), [[0.7, 0.3], [0.45, 0.55]]),
        ("genes, reads without Hardy-Weinberg", (PossibleGenotypes.free(3),), [[0.5, 0.2, 0.3], [0.3, 0.4, 0.3]]),
    ]
]
# ------------------------------------------------------------------ transcripts: a row is a fragment of a class


class Fragments(Case):
    """A case whose data are equivalence classes, of one fragment each."""

    def laid_out(self, data: EquivalenceClasses) -> EquivalenceClasses:
        """As they are."""
        return data

    def table(self, data: EquivalenceClasses) -> FloatArray:
        """How many fragments in each class."""
        return data.counts


def _transcripts(X: EquivalenceClasses, params: TranscriptParams) -> FloatArray:
    """Row by row from a table of p(class | transcript), 0 for transcripts that are not of the class."""
    joint = np.full((len(X), len(params.shares)), -np.inf)
    for i, (a, b) in enumerate(itertools.pairwise(X.starts)):
        for m in range(a, b):
            joint[i, X.members[m]] = np.log(X.weights[m] * params.shares[X.members[m]])
    return joint


# columns sum to one, so that classes can be drawn
SEEN_AS = EquivalenceClasses.of(
    [[0], [1], [0, 1], [1, 2], [0, 1, 2], [2]],
    np.ones(6),
    weights=[[0.4], [0.2], [0.5, 0.3], [0.35, 0.25], [0.1, 0.15, 0.3], [0.45]],
)
CASES.append(
    Fragments(
        "transcripts",
        TranscriptModel(SEEN_AS),
        TranscriptParams(THREE),
        f.DirichletPrior(np.array([2.0, 3.0, 1.5])),
        _transcripts,
        permute=None,
        tolerance=0.05,
    )
)


# ------------------------------------------------------------------ haplotypes: a label is a pair of them


class Genotyped(Case):
    """Pairs of alleles have an axis more than a table."""

    def laid_out(self, data: Any) -> Any:
        return Rows(data) if data.ndim == 2 else data


def _all_pairs(H: int) -> list[tuple[int, int]]:
    return list(itertools.combinations_with_replacement(range(H), 2))


def _diplotype_joint(model: HaplotypeModel) -> Callable[[FloatArray, Any], FloatArray]:
    """Each pair of haplotypes, locus by locus: does it look like the genotype?"""

    def fits(seen: Any, x: int, y: int) -> bool:
        if np.ndim(seen) == 0:
            return seen < 0 or seen == x + y
        known = sorted(a for a in seen if a >= 0)
        return any(known == sorted(some) for some in ([], [x], [y], [x, y]) if len(some) == len(known))

    def log_joint(X: FloatArray, params: HaplotypeParams) -> FloatArray:
        p, h = params.frequencies, model.haplotypes
        pairs = _all_pairs(len(h))
        joint = np.full((len(X), len(pairs)), -np.inf)
        for i, row in enumerate(X):
            for k, (a, b) in enumerate(pairs):
                if all(fits(seen, x, y) for seen, x, y in zip(row, h[a], h[b], strict=True)):
                    joint[i, k] = np.log(p[a] * p[b] * (1 if a == b else 2))
        return joint

    return log_joint


def _haplotypes(name: str, haplotypes: list[tuple[int, ...]], p: list[float]) -> Case:
    model, H = HaplotypeModel(np.array(haplotypes), missing=0.1), len(p)
    adds = [(np.eye(H)[a] + np.eye(H)[b]).tolist() for a, b in _all_pairs(H)]
    return Genotyped(
        name,
        model,
        HaplotypeParams(np.array(p)),
        f.DirichletPrior(np.linspace(1.5, 3.0, H)),
        _diplotype_joint(model),
        permute=None,
        told=lambda row: adds,
        counts=lambda stats: stats.counts,
    )


CASES += [
    _haplotypes("haplotypes, two SNPs", [(0, 0), (0, 1), (1, 0), (1, 1)], [0.43, 0.13, 0.17, 0.27]),
    _haplotypes("haplotypes, three alleles", [(0, 0), (1, 2), (2, 1), (2, 0), (1, 0)], [0.31, 0.25, 0.2, 0.14, 0.1]),
]


# ------------------------------------------------------------------ clusters: two paths with jumps, orders of alleles


def _diplotypes(g: FloatArray) -> list[tuple[list[tuple[int, ...]], list[tuple[int, ...]], list[tuple[int, ...]]]]:
    """All that is hidden of genotypes at two sites: clusters, jumps and alleles of two haplotypes."""
    paths = [((a, b), j) for a in (0, 1) for b in (0, 1) for j in (0, 1) if j or a == b]
    orders = itertools.product(*[((0, 1), (1, 0)) if x == 1 else ((int(x) // 2,) * 2,) for x in g])
    return [
        ([z, y], [(1, j), (1, i)], list(zip(*order, strict=True)))
        for order in orders
        for (z, j), (y, i) in itertools.product(paths, repeat=2)
    ]


def _cluster_joint(X: FloatArray, params: ClusterParams) -> FloatArray:
    joint = np.full((len(X), 4 * 36), -np.inf)
    for row, g in zip(joint, X, strict=True):
        for label, (states, jumps, alleles) in enumerate(_diplotypes(g)):
            value = 0.0
            for z, j, x in zip(states, jumps, alleles, strict=True):
                for site in (0, 1):
                    r = 1.0 if site == 0 else params.jump[site - 1]
                    value += np.log(r * params.targets[site, z[site]] if j[site] else 1.0 - r)
                    one = params.ones[site, z[site]]
                    value += np.log(one if x[site] else 1.0 - one)
            row[label] = value
    return joint


def _cluster_told(g: FloatArray) -> list[float]:
    """Jumps to cluster 0, and three times the ones that cluster 1 shows."""
    adds = [0.0] * (4 * 36)
    for label, (states, jumps, alleles) in enumerate(_diplotypes(g)):
        for z, j, x in zip(states, jumps, alleles, strict=True):
            adds[label] += sum(j[s] * (z[s] == 0) + 3.0 * (z[s] == 1) * x[s] for s in (0, 1))
    return adds


CASES.append(
    Case(
        "clusters of haplotypes",
        ClusterModel(),
        ClusterParams(np.array([[0.1, 0.8], [0.75, 0.2]]), np.array([[0.4, 0.6], [0.7, 0.3]]), np.array([0.3])),
        ClusterPrior(2.0, 3.0, (2.0, 4.0)),
        _cluster_joint,
        permute=lambda params, _: ClusterParams(params.ones[:, ::-1], params.targets[:, ::-1], params.jump),
        tolerance=1.0,  # nothing: two sites do not tell seven parameters; twenty do (tests/models/test_phasing.py)
        told=_cluster_told,
        counts=lambda stats: stats.jumps[:, 0].sum() + 3.0 * stats.shown[1, :, 1].sum(),
        ties=np.log(4.0),  # the two haplotypes and, in one cluster, the two alleles may change places
        few=2,
    )
)
KNOWN = KnownColumns(np.array([[0.5, 0.4, 0.4, 0.5], [4.0] * 4]), np.array([[0.5, 0.5], [0.8, 0.2]]), (2.0, 3.0))
CASES += [
    replace(
        case,
        name=case.name.replace("motif,", "motif averaged,"),
        model=averaged(case.model),
        params=AveragedParams(case.params.pwm, case.params.rate),
        prior=KNOWN,
        averaged=True,
    )
    for case in CASES
    if case.name.startswith("motif, ")
]


# ------------------------------------------------------------------ annotators: a label is the class of an item


def _annotators(X: FloatArray, params: AnnotatorParams) -> FloatArray:
    """Rating by rating."""
    J, K, _ = params.confusion.shape
    joint = np.log(params.prevalence[X[:, 1].astype(int)])
    for i, row in enumerate(X):
        for j, k, label in itertools.product(range(J), range(K), range(K)):
            joint[i, k] += row[2 + K * j + label] * np.log(params.confusion[j, k, label])
    return joint


CASES.append(
    Case(
        "annotators, two groups",
        Annotators(),
        AnnotatorParams(
            np.array([[0.61, 0.39], [0.27, 0.73]]),
            np.array(
                [
                    [[0.81, 0.19], [0.3, 0.7]],
                    [[0.77, 0.23], [0.16, 0.84]],
                    [[0.7, 0.3], [0.22, 0.78]],
                    [[0.83, 0.17], [0.18, 0.82]],
                ]
            ),
        ),
        AnnotatorPrior(2.0, 1.5),
        _annotators,
        lambda params, order: AnnotatorParams(params.prevalence[:, order], params.confusion[:, order]),
        counts=lambda stats: stats.counts.sum(axis=0),
    )
)


# ------------------------------------------------------------------ doublets: a label is one type, or a pair of types


def _droplets(share: float) -> Callable[[FloatArray, Any], FloatArray]:
    """One cell of each type, then every pair."""

    def log_joint(X: FloatArray, params: DoubletParams) -> FloatArray:
        e, x, w, delta = X[:, :1], X[:, 1:], params.weights, params.doublet_rate
        single = [
            np.log((1 - delta) * p) + dist.poisson(e * r).logpmf(x).sum(axis=1)
            for p, r in zip(w, params.rates, strict=True)
        ]
        pairs = []
        for a, b in itertools.combinations_with_replacement(range(len(w)), 2):
            chance = delta * w[a] * w[b] * (1 if a == b else 2)
            rates = share * (params.rates[a] + params.rates[b])
            pairs.append(np.log(chance) + dist.poisson(e * rates).logpmf(x).sum(axis=1))
        return np.column_stack(single + pairs)

    return log_joint


CASES += [
    Case(
        name,
        Doublets(share, exposures=np.array([0.7, 1.3, 1.0])),
        DoubletParams(np.array([0.4, 0.6]), np.array([[1.0, 9.0, 4.0], [7.0, 2.0, 1.0]]), 0.3),
        DoubletPrior(2.0, f.GammaPrior(2.0, 1.0), f.BetaPrior(2.0, 3.0)),
        _droplets(share),
        lambda params, order: DoubletParams(params.weights[order], params.rates[order], params.doublet_rate),
        more_is_hidden=True,
        tolerance=0.2,
    )
    for name, share in [("doublets", 1.0), ("doublets, own totals", 0.5)]
]


# ------------------------------------------------------------------ tomography: a row is an exposure, a label a pixel

SYSTEM = np.array([[0.5, 0.1, 0.0], [0.2, 0.3, 0.1], [0.0, 0.4, 0.1], [0.1, 0.0, 0.5]])


def _photons(X: FloatArray, params: EmissionParams) -> FloatArray:
    """A row for each photon, those of a detector together."""
    mean = SYSTEM @ params.image
    with np.errstate(divide="ignore"):
        joint = np.repeat(np.log(SYSTEM * params.image), X.sum(axis=0).astype(int), axis=0)
    joint[0] += (dist.poisson(mean).logpmf(X) - X * np.log(mean)).sum()  # all but what each photon says
    return joint


CASES.append(
    Case(
        "tomography",
        Emission.of(SYSTEM),
        EmissionParams(np.array([0.4, 0.25, 0.35])),
        f.GammaPrior(2.0, 1.5),
        _photons,
        permute=None,
    )
)


# ------------------------------------------------------------------ hidden numbers: precisions of errors, holes in rows


def _no_labels(X: FloatArray, params: Any) -> FloatArray:
    raise NotImplementedError


def _precisions(X: FloatArray, params: RegressionParams) -> tuple[float, float, FloatArray]:
    """Row by row over a grid of log precisions."""
    u = np.linspace(-60, 20, 400_001)
    w, nu, totals = np.exp(u), params.dof, [0.0, 0.0, 0.0]
    for row in X:
        error = row[-1] - row[:-1] @ params.coef
        normal = dist.norm.logpdf(error * np.sqrt(w), scale=np.sqrt(params.scale2)) + u / 2
        log_joint = normal + dist.gamma.logpdf(w, nu / 2, scale=2 / nu) + u  # u is log w: its density has the factor w
        density = np.exp(log_joint)
        whole = density.sum()
        totals[0] += np.log(whole * (u[1] - u[0]))
        totals[1] += log_joint.max()
        totals[2] += density @ w / whole
    np.testing.assert_allclose(
        totals[0],
        dist.t.logpdf(X[:, -1], params.dof, X[:, :-1] @ params.coef, np.sqrt(params.scale2)).sum(),
        rtol=1e-9,
    )
    return totals[0], totals[1], np.array(totals[2])


def _holes(X: FloatArray, params: f.GaussianParams) -> tuple[float, float, FloatArray]:
    """Rows of two columns, one of which may be missing: over a grid of what it may be."""
    grid, mean = np.linspace(-30, 30, 60_001), params.means[0]
    joint = dist.multivariate_normal(mean, params.covariances[0])
    value, best, moments = 0.0, 0.0, np.zeros(6)
    for row in X:
        full = np.tile(row, (len(grid) if np.isnan(row).any() else 1, 1))
        if len(full) > 1:
            full[:, np.isnan(row)] = grid[:, None]
        log_joint = joint.logpdf(full).reshape(-1)
        density, (a, b) = np.exp(log_joint), (full - mean).T
        whole = density.sum()
        value += np.log(whole * (grid[1] - grid[0] if len(full) > 1 else 1.0))
        best += log_joint.max()
        moments += density @ np.column_stack([np.ones(len(a)), a, b, a * a, a * b, b * b]) / whole
    return value, best, moments


class Holed(Case):
    """A case whose tables have NaN where something is missing."""

    def table(self, data: FloatArray) -> FloatArray:
        """Zeros for what is missing."""
        return np.nan_to_num(data)


CASES += [
    Case(
        name,
        TRegression(dof=dof),
        RegressionParams(np.array([1.0, -2.0, 0.5]), 0.7, 3.0),
        RegressionPrior(2.0, 3.0, 1.5),
        _no_labels,
        permute=None,
        more_is_hidden=True,
        tolerance=0.3,
        counts=lambda stats: stats.moments[0, 0],  # the column of ones: expected precisions
        integrals=_precisions,
        cold=1e-9,
    )
    for name, dof in [("t regression", None), ("t regression, dof known", 3.0)]
]
CASES.append(
    Holed(
        "holed normal",
        HoledNormal(holes=0.4),
        f.GaussianParams(np.array([[0.5, -1.0]]), np.array([[[1.0, 0.6], [0.6, 0.8]]])),
        NIW,
        _no_labels,
        permute=None,
        more_is_hidden=True,
        counts=lambda stats: stats.totals[0],
        integrals=_holes,
        cold=1e-9,
    )
)
