"""Counts of cells: exposures, structural zeros, doublets, and tables that come from elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize
from scipy import stats as dist
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

import emlib
from emlib import (
    DoubletMixture,
    NegativeBinomialMixture,
    PoissonMixture,
    bootstrap,
    select_n_components,
    standard_errors,
)
from emlib.engine.families import BetaPrior, GammaPrior, GammaRatesPrior, ZeroInflatedPrior
from emlib.engine.mixture import MixturePrior

CELLS = emlib.data.pbmc()
DEPTH = CELLS.total_umi / np.median(CELLS.total_umi)


def rows(*genes):
    return np.column_stack([DEPTH, CELLS.counts[:, [CELLS.genes.index(g) for g in genes]]])


def likelihood(e, x, rate, size, zero):
    """One column by SciPy; an infinite size is a Poisson."""
    p = dist.poisson(e * rate).pmf(x) if np.isinf(size) else dist.nbinom(size, size / (size + e * rate)).pmf(x)
    return float(np.log(zero * (x == 0) + (1 - zero) * p).sum())


def test_a_rate_is_events_over_exposure():
    X = rows("LYZ", "CD74")
    one = PoissonMixture(exposure=True).fit(X)
    np.testing.assert_allclose(one.rates_[0], X[:, 1:].sum(axis=0) / X[:, 0].sum(), rtol=1e-12)
    expected = sum(likelihood(X[:, 0], X[:, j], one.rates_[0, j - 1], np.inf, 0.0) for j in (1, 2))
    assert one.log_likelihood_ == pytest.approx(expected, rel=1e-12)
    assert one.bic(X) == pytest.approx(-2 * expected + 2 * np.log(700), rel=1e-12)


@pytest.mark.parametrize("estimator", [PoissonMixture, NegativeBinomialMixture])
@pytest.mark.parametrize("inflated", [False, True])
def test_equal_exposures_change_units_and_nothing_else(estimator, inflated):
    x = CELLS.counts[:, [CELLS.genes.index(g) for g in ("LYZ", "NKG7")]]
    options = {"random_state": 0, "tol": 1e-8, "accelerate": "squarem", "zero_inflation": inflated}
    plain = estimator(2, **options).fit(x)
    exposed = estimator(2, exposure=True, **options).fit(np.column_stack([np.full(700, 4.0), x]))
    name = "rates_" if estimator is PoissonMixture else "means_"
    assert exposed.log_likelihood_ == pytest.approx(plain.log_likelihood_, abs=1e-4)
    np.testing.assert_allclose(
        4 * np.sort(getattr(exposed, name), axis=0), np.sort(getattr(plain, name), axis=0), rtol=2e-3
    )


def test_depth_explains_part_of_the_scatter():
    """A gene that every cell makes: with the depth of the cell known, less is left to be called overdispersion."""
    X = rows("CD74")
    plain = NegativeBinomialMixture().fit(X[:, 1:])
    exposed = NegativeBinomialMixture(exposure=True, accelerate="squarem").fit(X)
    assert exposed.log_likelihood_ > plain.log_likelihood_ + 30
    assert exposed.sizes_.item() > 1.1 * plain.sizes_.item()


def test_26_genes_with_exposures_are_no_climb_of_thousands_of_steps():
    """Half of the sizes belong at the largest; with rates hidden, 1,500 steps were not enough."""
    X = np.column_stack([DEPTH, CELLS.counts])
    fit = NegativeBinomialMixture(4, exposure=True, random_state=0, tol=0.01, max_iter=60).fit(X)
    assert fit.converged_
    assert fit.n_iter_ < 40
    assert (np.diff(fit.trace_) > -1e-7).all()
    R, (e, x) = fit.predict_proba(X), (X[:, 0], X[:, 1:])
    k, j = np.unravel_index(np.abs(np.log(fit.sizes_)).argmin(), fit.sizes_.shape)  # one that is neither end

    def expected(m, r):
        return R[:, k] @ dist.nbinom(r, r / (r + e * m)).logpmf(x[:, j])

    m, r = fit.means_[k, j], fit.sizes_[k, j]
    for step in (0.9, 1.1):
        assert expected(m * step, r) < expected(m, r) > expected(m, r * step)


@pytest.mark.parametrize("gene", ["CD79A", "NKG7"])
@pytest.mark.parametrize("dispersed", [False, True])
def test_structural_zeros_against_a_search_that_knows_no_em(gene, dispersed):
    X = rows(gene)
    kind = NegativeBinomialMixture if dispersed else PoissonMixture
    found = kind(exposure=True, zero_inflation=True, accelerate="squarem", tol=1e-7).fit(X)

    def loss(p):
        return -likelihood(
            X[:, 0], X[:, 1], np.exp(p[0]), np.exp(p[2]) if dispersed else np.inf, 1 / (1 + np.exp(-p[1]))
        )

    best = optimize.minimize(
        loss,
        [1.0, 0.0, 0.0][: 2 + dispersed],
        method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-9, "maxiter": 4000},
    )
    assert found.log_likelihood_ == pytest.approx(-best.fun, abs=2e-4)
    assert found.zero_inflation_.item() == pytest.approx(1 / (1 + np.exp(-best.x[1])), abs=2e-3)


def test_errors_bootstrap_and_choice_take_rows_with_exposures():
    rng = np.random.default_rng(0)
    e = rng.gamma(4.0, 0.25, 400)
    counted = rng.random((400, 2)) > 0.3
    X = np.column_stack(
        [e, counted * rng.poisson(e[:, None] * np.where(rng.random((400, 1)) < 0.5, [2.0, 9.0], [12.0, 4.0]))]
    )
    fit = PoissonMixture(2, exposure=True, zero_inflation=True, random_state=0).fit(X)
    known = standard_errors(fit, X)
    assert known.rates.shape == known.zero_inflation.shape == (2, 2)
    again = bootstrap(fit, X, 60, random_state=0).standard_errors
    np.testing.assert_allclose(again.rates, known.rates, rtol=0.4)
    np.testing.assert_allclose(again.zero_inflation, known.zero_inflation, rtol=0.4)
    assert select_n_components(PoissonMixture(exposure=True, random_state=0), X, [1, 2]).scores.shape == (2,)
    drawn, _ = fit.sample(4)
    assert drawn.shape == (4, 3)
    assert (drawn[:, 0] == 1).all()


@pytest.mark.parametrize("kind", [PoissonMixture, NegativeBinomialMixture])
def test_results_go_by_the_names_of_the_attributes(kind):
    rng = np.random.default_rng(0)
    X = rng.negative_binomial(4, 0.4, (300, 1)) * (rng.random((300, 1)) > 0.3)
    fit = kind(zero_inflation=True, accelerate="squarem", random_state=0).fit(X)
    draws = emlib.GibbsSampler(kind(zero_inflation=True)).sample(X, 5, tune=5, chains=2, random_state=0)
    known, again = standard_errors(fit, X), bootstrap(fit, X, 5, random_state=0)
    for results in (known.arrays, known.estimates.arrays, known.interval().arrays, again.draws.arrays):
        assert results.keys() == draws.parameters.keys() >= {"zero_inflation"}
        assert all(hasattr(fit, f"{name}_") for name in results)
    assert again.estimates.zero_inflation == fit.zero_inflation_
    assert "zero_inflation[0, 0]" in known.names
    ordered = draws.relabelled("order", by="zero_inflation")
    np.testing.assert_allclose(ordered.pointwise(X).sum(axis=2), draws.log_likelihood)
    none = kind(zero_inflation=True).fit(X[X[:, 0] > 2])
    with pytest.warns(UserWarning, match=r"zero_inflation\[0, 0\].* on the boundary"):
        assert np.isnan(standard_errors(none, X[X[:, 0] > 2]).zero_inflation).all()


def test_priors_and_starts_given_by_hand():
    X = rows("LYZ", "NKG7")
    prior = MixturePrior(1.0, ZeroInflatedPrior(BetaPrior(2.0, 8.0), GammaPrior(2.0, 0.5)))
    fit = PoissonMixture(2, exposure=True, zero_inflation=True, prior=prior, random_state=0).fit(X)
    assert fit.converged_
    assert (np.diff(fit.trace_) > -1e-8).all()
    weak = NegativeBinomialMixture(2, exposure=True, zero_inflation=True, prior="weak", random_state=0, tol=0.01).fit(X)
    assert weak.converged_
    given = PoissonMixture(2, exposure=True, rates_init=[[1.0, 20.0], [40.0, 0.1]], weights_init=[0.5, 0.5]).fit(X)
    assert given.rates_[0, 1] > given.rates_[1, 1]
    with pytest.raises(ValueError, match=r"rates_init has shape \(2, 3\); it must have shape \(2, 2\)"):
        PoissonMixture(2, exposure=True, rates_init=np.ones((2, 3))).fit(X)
    for components, sentence in [
        (GammaPrior(2.0, 1.0), "PoissonMixture needs a ZeroInflatedPrior"),
        (ZeroInflatedPrior(BetaPrior(), BetaPrior()), "a BetaPrior and a GammaPrior or GammaRatesPrior are needed"),
        (
            ZeroInflatedPrior(BetaPrior(), GammaRatesPrior.like(1.0, 1.0, 1.0)),
            "counted of type GammaRatesPrior; a PoissonMixture needs a GammaPrior there",
        ),
        (ZeroInflatedPrior(BetaPrior(), GammaPrior(np.ones(3))), r"a shape of shape \(3,\); it must be a number, or 2"),
    ]:
        wrong = PoissonMixture(2, exposure=True, zero_inflation=True, prior=MixturePrior(1.0, components))
        with pytest.raises(ValueError, match=sentence):
            wrong.fit(X)


BAD = [
    ([[1.0, -2.0], [1.0, 1.0]], "X holds -2 in row 0, column 1; counts must be whole numbers"),
    ([[1.0, 2.0], [1.0, 1.5]], "X holds 1.5 in row 1, column 1; counts must be whole numbers"),
    ([[1.0, 2.0], [0.0, 1.0]], "X holds the exposure 0 in row 1; exposures must be above 0"),
    ([[-1.0, 2.0], [1.0, 1.0]], "X holds the exposure -1 in row 0; exposures must be above 0"),
    ([[1.0], [2.0]], "X has 1 column; with exposure=True the first holds exposures"),
]


@pytest.mark.parametrize(("X", "sentence"), BAD, ids=[s[:30] for _, s in BAD])
@pytest.mark.parametrize("estimator", [PoissonMixture, NegativeBinomialMixture, DoubletMixture])
def test_bad_rows(estimator, X, sentence):
    with pytest.raises(ValueError, match=sentence):
        estimator(1, exposure=True).fit(X)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"exposure": 1}, "exposure is 1; it must be True or False"),
        ({"zero_inflation": "yes"}, "zero_inflation is 'yes'; it must be True or False"),
    ],
)
def test_bad_flags(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        PoissonMixture(1, **options).fit([[1, 2], [3, 4]])


# ------------------------------------------------------------------ doublets


def with_doublets(n=70, seed=0):
    """Cells, of which some are the sum of two; the two of each; the total of each."""
    order = np.random.default_rng(seed).permutation(700)
    pairs, alone = order[: 2 * n].reshape(n, 2), order[2 * n :]
    counts = np.vstack([CELLS.counts[alone], CELLS.counts[pairs].sum(axis=1)])
    totals = np.concatenate([CELLS.total_umi[alone], CELLS.total_umi[pairs].sum(axis=1)])
    mixed = np.concatenate([np.zeros(len(alone), bool), CELLS.cell_types[pairs[:, 0]] != CELLS.cell_types[pairs[:, 1]]])
    return counts, totals, np.repeat([False, True], [len(alone), n]), mixed


def test_simulated_doublets_are_found_and_their_share_is_right():
    from emlib.models.doublets import DoubletParams, Doublets

    rng = np.random.default_rng(1)
    rates = rng.gamma(0.6, 5.0, (3, 12))
    X = Doublets().simulate(DoubletParams(np.array([0.5, 0.3, 0.2]), rates, 0.15), 3000, rng)[:, 1:]
    fit = DoubletMixture(3, n_init=3, random_state=0).fit(X)
    assert fit.converged_
    assert fit.doublet_rate_ == pytest.approx(0.15, abs=0.02)
    order = fit.weights_.argsort()[::-1]
    np.testing.assert_allclose(fit.weights_[order], [0.5, 0.3, 0.2], atol=0.03)
    np.testing.assert_allclose(fit.rates_[order], rates, rtol=0.15, atol=0.1)
    np.testing.assert_allclose(fit.predict_proba(X).sum(axis=1), 1.0)
    two = fit.predict_proba(X)[:, 3:].sum(axis=1)
    np.testing.assert_allclose(fit.doublet_probability_, two, atol=1e-12)
    np.testing.assert_array_equal(fit.doublet_probability(X), fit.doublet_probability_)
    np.testing.assert_array_equal(fit.doublet_log_odds(X), fit.doublet_log_odds_)
    sure = (two > 1e-9) & (two < 1 - 1e-6)
    np.testing.assert_allclose(fit.doublet_log_odds_[sure], np.log(two / (1 - two))[sure], atol=1e-6)
    assert fit.score(X) == pytest.approx(fit.log_likelihood_ / 3000)
    assert set(fit.predict(X)) == {0, 1, 2}
    assert clone(fit).get_params() == fit.get_params()


def test_two_real_blood_cells_in_one_droplet():
    """Composition tells doublets of two types from cells, also where the total is hidden."""
    counts, totals, two, mixed = with_doublets()
    some = ~two | mixed
    plain = DoubletMixture(8, n_init=3, random_state=0).fit(counts)
    assert roc_auc_score(two, plain.doublet_log_odds_) > 0.94 > 0.83 > roc_auc_score(two, counts.sum(axis=1))
    shallow = DoubletMixture(8, exposure=True, share=0.5, n_init=3, random_state=0).fit(
        np.column_stack([totals, counts])
    )
    assert roc_auc_score(two[some], shallow.doublet_log_odds_[some]) > 0.85
    assert plain.doublet_rate_ > 0.25  # cells of a type differ more than a Poisson: far too many are called


def test_probabilities_of_one_have_no_order_but_their_log_odds_have():
    """With all molecules the model beats the total, which it does not if it is ranked by probabilities."""
    counts, totals, two, _ = with_doublets()
    whole = np.column_stack([counts, totals - counts.sum(axis=1)])
    fit = DoubletMixture(8, n_init=3, random_state=0).fit(whole)
    assert (fit.doublet_probability_ == 1).sum() > 50
    assert np.isfinite(fit.doublet_log_odds_).all()
    by_odds, by_total = roc_auc_score(two, fit.doublet_log_odds_), roc_auc_score(two, totals)
    assert by_odds > by_total > roc_auc_score(two, fit.doublet_probability_)


def test_empty_droplets_and_other_bad_input():
    with pytest.raises(ValueError, match="X has no count above 0 in row 1; leave empty droplets out"):
        DoubletMixture(1).fit([[1, 2], [0, 0]])
    with pytest.raises(ValueError, match="X holds -1 in row 0, column 0"):
        DoubletMixture(1).fit([[-1, 2], [0, 1]])
    with pytest.raises(ValueError, match="doublet_rate_init is 0; it must be above 0 and below 1"):
        DoubletMixture(1, doublet_rate_init=0.0).fit([[1, 2], [1, 1]])
    with pytest.raises(ValueError, match="share is 0; what each of two cells gives must be above 0"):
        DoubletMixture(1, share=0.0).fit([[1, 2], [1, 1]])
    with pytest.raises(ValueError, match="prior is of type GammaPrior; it must be None or a DoubletPrior"):
        DoubletMixture(1, prior=GammaPrior()).fit([[1, 2], [1, 1]])
    with pytest.raises(ValueError, match="fewer than n_components=3"):
        DoubletMixture(3).fit([[1, 2], [1, 1]])


# ------------------------------------------------------------------ tables of single-cell programs


@pytest.mark.parametrize("estimator", [PoissonMixture(2), NegativeBinomialMixture(2), DoubletMixture(2)])
def test_sparse_counts_are_refused_with_the_cure(estimator):
    from scipy.sparse import csr_array

    with pytest.raises(TypeError, match=r"X is a sparse matrix; a dense array is needed, X.toarray\(\) for instance"):
        estimator.fit(csr_array(CELLS.counts))


class AnnData:
    """What a whole AnnData looks like from outside."""

    obsm = None


class BackedCounts:
    """What its sparse counts look like while they are in a file."""

    def to_memory(self):
        """Nothing here."""


@pytest.mark.parametrize("estimator", [PoissonMixture(2), emlib.GaussianMixture(2), emlib.KMeans(2), DoubletMixture(2)])
@pytest.mark.parametrize(
    ("X", "sentence"),
    [
        (AnnData(), r"X is an AnnData, which holds many tables; one is needed, such as adata.obsm\['X_pca'\] or"),
        (
            BackedCounts(),
            r"X is a sparse matrix in a file; a dense array is needed, as from X.to_memory\(\).toarray\(\)",
        ),
    ],
)
def test_objects_of_single_cell_programs_are_refused_with_the_cure(estimator, X, sentence):
    with pytest.raises(TypeError, match=sentence):
        estimator.fit(X)


def test_anndata_in_and_out():
    """The lines of chapter 14: components and chosen genes out of an AnnData, types back into it."""
    anndata = pytest.importorskip("anndata")
    from scipy.sparse import csr_matrix

    adata = anndata.AnnData(csr_matrix(CELLS.counts.astype(np.float32)))
    adata.var_names, adata.obsm["X_pca"] = list(CELLS.genes), CELLS.pcs
    adata.obs["total_counts"] = CELLS.total_umi
    with pytest.raises(TypeError, match="X is an AnnData, which holds many tables"):
        PoissonMixture(2).fit(adata)
    mixture = emlib.GaussianMixture(3, random_state=0).fit(adata.obsm["X_pca"])
    adata.obs["em"] = mixture.predict(adata.obsm["X_pca"]).astype(str)
    adata.obsm["X_em"] = mixture.predict_proba(adata.obsm["X_pca"])
    np.testing.assert_array_equal(adata.obs["em"].astype(int), mixture.predict(CELLS.pcs))
    markers = ["LYZ", "NKG7", "CD79A"]
    X = np.column_stack([adata.obs["total_counts"], adata[:, markers].X.toarray()])
    np.testing.assert_array_equal(X[:, 1:], CELLS.counts[:, [CELLS.genes.index(g) for g in markers]])
    assert PoissonMixture(2, exposure=True, random_state=0).fit(X).converged_
