"""Gene counting: published numbers, special cases that need no EM, and likelihoods written out by hand."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import chi2
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import emlib
from emlib.engine import em
from emlib.models.gene_counting import GeneCounting as Genes
from emlib.models.gene_counting import (
    GeneParams,
    GenotypeLikelihoods,
    People,
    PhenotypeCounts,
    PossibleGenotypes,
    read_scheme,
)
from emlib.models.gene_counting import genotype_log_likelihoods as from_reads

CLARKE = {"A": 186, "B": 38, "AB": 13, "O": 284}
OTHER = {"A": 182, "B": 60, "AB": 17, "O": 176}


def by_allele(genes, array=None):
    array = genes.frequencies_ if array is None else array
    return dict(zip(genes.alleles_, array.tolist(), strict=True))


def abo_log_likelihood(counts, p, q, r):
    chances = {"A": p * p + 2 * p * r, "B": q * q + 2 * q * r, "AB": 2 * p * q, "O": r * r}
    return sum(n * np.log(chances[name]) for name, n in counts.items())


# ------------------------------------------------------------------ blood groups


@pytest.mark.parametrize(
    ("counts", "expected"),
    [(CLARKE, (0.2135909, 0.0501453, 0.7362637)), (OTHER, (0.2644443, 0.0931688, 0.6423869))],
)
def test_published_blood_groups(counts, expected):
    genes = Genes("ABO", tol=1e-12).fit(counts)
    assert genes.converged_
    assert genes.stop_reason_ == "converged"
    found = by_allele(genes)
    np.testing.assert_allclose([found[a] for a in "ABO"], expected, atol=5e-8)
    assert genes.log_likelihood_ == pytest.approx(abo_log_likelihood(counts, *(found[a] for a in "ABO")), rel=1e-12)


def test_first_steps():
    path = []
    model = PhenotypeCounts.of(read_scheme("ABO"))
    start = GeneParams(np.array([0.3, 0.5, 0.2]))  # A, O, B
    em.fit(model, np.array([186, 38, 13, 284]), start, max_iter=2, callback=lambda s: path.append(s.params.frequencies))
    np.testing.assert_allclose(path[1][[0, 2, 1]], [0.2322, 0.0550, 0.7128], atol=5e-5)
    np.testing.assert_allclose(path[2][[0, 2, 1]], [0.2160, 0.0503, 0.7337], atol=5e-5)


def test_the_same_people_in_any_form():
    genes = Genes("ABO").fit(CLARKE)
    people = np.random.default_rng(0).permutation(np.repeat(list(CLARKE), list(CLARKE.values())))
    for X in ([186, 38, 13, 284], people, people.tolist(), people.astype(object), np.array([186.0, 38, 13, 284])):
        np.testing.assert_array_equal(Genes("ABO").fit(X).frequencies_, genes.frequencies_)
    turned = {"O": ["O/O"], "AB": [("B", "A")], "B": ["BO", "BB"], "A": [("O", "A"), "AA"]}
    again = by_allele(Genes(turned).fit(CLARKE))
    assert again == pytest.approx(by_allele(genes), abs=1e-7)


def test_equal_starts_decide_unless_another_is_better():
    """Drawn starts do not stir the last digits; of two summits the higher is found."""
    one, other = (Genes("ABO", random_state=s).fit(CLARKE) for s in (1, 2))
    np.testing.assert_array_equal(one.frequencies_, other.frequencies_)
    same = {"alike": ["AA", "BB"], "mixed": ["AB"]}  # equal frequencies are a saddle here
    found = Genes(same, random_state=0).fit({"alike": 82, "mixed": 18})
    assert sorted(found.frequencies_.tolist()) == pytest.approx([0.1, 0.9], abs=1e-4)
    with pytest.warns(UserWarning, match="likelihood is flat at this fit"):
        stuck = Genes(same, n_init=1).fit({"alike": 82, "mixed": 18})
    np.testing.assert_allclose(stuck.frequencies_, 0.5)


def test_where_nothing_is_hidden_genes_are_counted():
    genes = Genes("MN").fit({"M": 298, "MN": 489, "N": 213})
    np.testing.assert_allclose(genes.frequencies_, [(2 * 298 + 489) / 2000, (2 * 213 + 489) / 2000], rtol=1e-12)
    p = genes.frequencies_[0]
    np.testing.assert_allclose(genes.standard_errors_, np.sqrt(p * (1 - p) / 2000), rtol=1e-9)
    np.testing.assert_allclose(genes.genotype_counts_, [298, 489, 213], rtol=1e-12)


def test_a_recessive_trait_is_a_square_root():
    genes = Genes("recessive", tol=1e-12).fit({"dominant": 984, "recessive": 16})
    q = np.sqrt(16 / 1000)
    assert by_allele(genes)["a"] == pytest.approx(q, abs=1e-7)
    assert by_allele(genes, genes.standard_errors_)["a"] == pytest.approx(np.sqrt((1 - q * q) / 4000), rel=1e-5)


def test_many_people_do_not_look_like_a_fall():
    """Logarithms near 0 are exact to a digit of 1, times the people that they stand for."""
    counts = {"dominant": 999_990, "recessive": 10}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        genes = Genes("recessive", tol=1e-12, n_init=1).fit(counts)
    assert genes.converged_
    assert by_allele(genes)["a"] == pytest.approx(1e-5**0.5, rel=1e-3)


def test_penetrance():
    """80 % of the homozygotes fall ill: the frequency is that of a fifth more of them."""
    scheme = {"ill": {"aa": 0.8}, "well": {"AA": 1, "Aa": 1, "aa": 0.2}}
    genes = Genes(scheme, tol=1e-12).fit({"ill": 40, "well": 960})
    assert by_allele(genes)["a"] == pytest.approx(np.sqrt(0.05), abs=1e-7)
    ill = genes.genotype_probabilities(["ill"])[0]
    assert ill[genes.genotypes_.index("aa")] == 1.0


def test_any_number_of_alleles_against_all_ordered_pairs():
    """A1 over A2 over O, and B: six phenotypes; the likelihood summed over mothers' and fathers' genes."""
    scheme = {
        "A1": ["A1/A1", "A1/A2", "A1/O"],
        "A2": ["A2/A2", "A2/O"],
        "B": ["B/B", "B/O"],
        "A1B": ["A1/B"],
        "A2B": ["A2/B"],
        "O": ["O/O"],
    }
    counts = {"A1": 25, "A2": 7, "B": 6, "A1B": 3, "A2B": 1, "O": 30}
    genes = Genes(scheme, tol=1e-12).fit(counts)
    assert genes.genotypes_[0] == "A1/A1"
    p = by_allele(genes)
    named = {frozenset(name.split("/")): phenotype for phenotype, names in scheme.items() for name in names}
    chances = dict.fromkeys(counts, 0.0)
    for a, b in itertools.product(p, repeat=2):
        chances[named[frozenset((a, b))]] += p[a] * p[b]
    assert genes.log_likelihood_ == pytest.approx(sum(n * np.log(chances[s]) for s, n in counts.items()), rel=1e-12)
    assert np.nansum(genes.frequencies_) == pytest.approx(1.0)


def test_standard_errors_are_the_curvature_of_the_likelihood():
    genes = Genes("ABO", tol=1e-12).fit(CLARKE)
    p, q = (by_allele(genes)[a] for a in "AB")

    def value(dp, dq):
        return abo_log_likelihood(CLARKE, p + dp, q + dq, 1 - p - q - dp - dq)

    h = 1e-4
    mixed = (value(h, h) - value(h, -h) - value(-h, h) + value(-h, -h)) / (4 * h * h)
    second = [(value(*(h * w)) - 2 * value(0, 0) + value(*(-h * w))) / h**2 for w in np.eye(2)]
    covariance = np.linalg.inv(-np.array([[second[0], mixed], [mixed, second[1]]]))
    errors = by_allele(genes, genes.standard_errors_)
    np.testing.assert_allclose([errors["A"], errors["B"]], np.sqrt(np.diagonal(covariance)), rtol=1e-5)
    assert errors["O"] == pytest.approx(np.sqrt(covariance.sum()), rel=1e-5)
    known = emlib.standard_errors(genes, CLARKE)
    np.testing.assert_allclose(known.frequencies, genes.standard_errors_, rtol=1e-6)
    assert known.names == ("frequencies[0]", "frequencies[1]", "frequencies[2]")
    assert known.interval().frequencies.shape == (2, 3)
    # larger than if the expected genes had been counted
    assert (genes.standard_errors_ > np.sqrt(genes.frequencies_ * (1 - genes.frequencies_) / 1042)).all()


def test_standard_errors_against_a_bootstrap():
    rng = np.random.default_rng(3)
    genes = Genes("ABO").fit(CLARKE)
    again = [Genes("ABO", n_init=1).fit(rng.multinomial(521, np.array([186, 38, 13, 284]) / 521)) for _ in range(400)]
    spread = np.std([one.frequencies_ for one in again], axis=0)
    np.testing.assert_allclose(genes.standard_errors_, spread, rtol=0.15)  # of 400 draws: 3.5 % each


def test_prior_adds_genes():
    genes = Genes("MN", prior=3).fit({"M": 1, "MN": 2, "N": 0})
    np.testing.assert_allclose(genes.frequencies_, [(4 + 2) / 10, (2 + 2) / 10])
    p = genes.frequencies_[0]
    np.testing.assert_allclose(genes.standard_errors_, np.sqrt(p * (1 - p) / 10), rtol=1e-9)
    with pytest.raises(ValueError, match="a fit with a prior is no maximum"):
        genes.hardy_weinberg_test({"M": 1, "MN": 2, "N": 0})


def test_a_series_of_counts_is_read_by_its_labels():
    people = pd.Series(np.repeat(["O", "A", "B", "AB"], [284, 186, 38, 13]), index=[f"person {i}" for i in range(521)])
    counts, expected = people.value_counts(), Genes("ABO").fit(CLARKE)
    assert counts.index[0] == "O"  # ... while the scheme begins with A
    for given in (counts, counts.astype("Int64"), counts[["A", "B", "O", "AB"]], people):
        genes = Genes("ABO").fit(given)
        np.testing.assert_allclose(genes.frequencies_, expected.frequencies_)
        np.testing.assert_allclose(
            genes.hardy_weinberg_test(given).statistic, expected.hardy_weinberg_test(CLARKE).statistic
        )
    twice = pd.concat([counts, counts])  # of two clinics
    np.testing.assert_allclose(Genes("ABO").fit(twice).standard_errors_, expected.standard_errors_ / np.sqrt(2))
    with pytest.raises(ValueError, match="phenotype 'C'"):
        Genes("ABO").fit(pd.Series({"A": 3, "C": 1}))
    in_order = pd.Series([186, 38, 13, 284])  # labels that are no names
    np.testing.assert_allclose(Genes("ABO").fit(in_order).frequencies_, expected.frequencies_)


def test_hardy_weinberg_on_phenotypes():
    counts = {"M": 30, "MN": 20, "N": 50}
    test = Genes("MN").fit(counts).hardy_weinberg_test(counts)
    expected = 100 * np.array([0.4**2, 2 * 0.4 * 0.6, 0.6**2])
    found = np.array([30, 20, 50])
    np.testing.assert_allclose(test.expected, expected)
    assert test.statistic == pytest.approx(2 * (found * np.log(found / expected)).sum())
    assert (test.df, test.p_value) == (1, pytest.approx(chi2.sf(test.statistic, 1)))
    with pytest.raises(ValueError, match="2 phenotypes leave nothing to test once 2 allele"):
        Genes("recessive").fit([9, 1]).hardy_weinberg_test([9, 1])


def test_an_allele_that_is_not_there():
    """No B, no AB: the maximum lies on the boundary, and there the curvature says nothing."""
    genes = Genes("ABO").fit({"A": 60, "O": 40})
    assert by_allele(genes)["B"] == pytest.approx(0.0, abs=1e-6)
    assert by_allele(genes)["O"] == pytest.approx(np.sqrt(0.4), abs=1e-4)
    assert np.isnan(genes.standard_errors_).all()
    with pytest.warns(UserWarning, match=r"frequencies\[2\] lie on the boundary"):
        errors = emlib.standard_errors(genes, {"A": 60, "O": 40}).frequencies  # of A and O, given that there is no B
    np.testing.assert_allclose(errors, np.array([1.0, 1.0, np.nan]) * np.sqrt(0.6 / 400), rtol=1e-3)


def test_alleles_that_nobody_can_tell_apart():
    scheme = {"A": ["A1/A1", "A1/A2", "A2/A2", "A1/O", "A2/O"], "O": ["O/O"]}
    with pytest.warns(UserWarning, match="cannot tell some of the alleles"):
        genes = Genes(scheme).fit([75, 25])
    assert by_allele(genes)["O"] == pytest.approx(0.5, abs=1e-4)


def test_a_climb_cut_short_says_so():
    with pytest.warns(ConvergenceWarning, match="stopped at max_iter=1"):
        genes = Genes("ABO", max_iter=1, n_init=1).fit(CLARKE)
    assert (genes.n_iter_, len(genes.trace_)) == (1, 2)


# ------------------------------------------------------------------ reads


@pytest.fixture(scope="module")
def reads():
    """40 people at 60 sites, few reads."""
    rng = np.random.default_rng(1)
    p = rng.uniform(0.02, 0.6, 60)
    genotypes = rng.binomial(2, p, (40, 60))
    depth = rng.poisson(2.0, (40, 60))
    alternate = rng.binomial(depth, np.array([0.02, 0.5, 0.98])[genotypes])
    return from_reads(depth - alternate, alternate, 0.02)


def site_log_likelihood(logs, p):
    prior = np.array([(1 - p) ** 2, 2 * p * (1 - p), p * p])
    return np.log(np.exp(logs) @ prior).sum()


@pytest.mark.parametrize("accelerate", [None, "squarem"])
def test_every_site_reaches_its_own_summit(reads, accelerate):
    genes = Genes(accelerate=accelerate).fit(reads)
    assert genes.converged_
    assert genes.frequencies_.shape == genes.standard_errors_.shape == (60, 2)
    for site in range(60):
        top = minimize_scalar(
            lambda p, site=site: -site_log_likelihood(reads[:, site], p), bounds=(1e-9, 1 - 1e-9), method="bounded"
        )
        assert -top.fun - genes.site_log_likelihoods_[site] <= 2e-6
        assert genes.site_log_likelihoods_[site] == pytest.approx(
            site_log_likelihood(reads[:, site], genes.frequencies_[site, 1]), rel=1e-10
        )
    assert genes.log_likelihood_ == pytest.approx(genes.site_log_likelihoods_.sum(), rel=1e-12)
    assert genes.trace_[-1] == pytest.approx(genes.log_likelihood_, rel=1e-12)
    assert len(genes.trace_) == genes.n_iter_ + 1
    assert np.diff(genes.trace_).min() >= -1e-9 * abs(genes.trace_[-1])
    left = GenotypeLikelihoods().left_to_gain(People.from_logs(reads), GeneParams(genes.frequencies_))
    assert left.max() <= 1e-6


def test_a_site_alone_is_as_among_others(reads):
    together, alone = Genes().fit(reads), Genes().fit(reads[:, 7])
    assert alone.frequencies_.shape == (2,)
    np.testing.assert_allclose(alone.frequencies_, together.frequencies_[7], atol=1e-4)
    np.testing.assert_allclose(alone.standard_errors_, together.standard_errors_[7], rtol=1e-2)
    known = emlib.standard_errors(alone, reads[:, 7])
    np.testing.assert_allclose(known.frequencies, alone.standard_errors_, rtol=1e-3)
    with pytest.raises(ValueError, match="there are 60 sites; errors of all of them are in standard_errors_"):
        emlib.standard_errors(together, reads)


def test_a_slow_site_among_many_quick_ones():
    """The sum may stand nearly still while one site has far to go; it is told apart."""
    quick = from_reads(np.full((30, 400), 20), np.tile(np.arange(30)[:, None] % 3 * 10, (1, 400)), 0.01)
    rng = np.random.default_rng(2)
    alternate = rng.binomial(1, 0.02, (30, 1)) * (np.arange(30) < 3)[:, None]
    alternate[0] = 1
    slow = from_reads(1 - alternate, alternate, 0.1)
    genes = Genes().fit(np.concatenate([quick, slow], axis=1))
    alone = Genes(tol=1e-12, max_iter=100_000, accelerate="squarem").fit(slow)
    assert alone.site_log_likelihoods_[0] - genes.site_log_likelihoods_[-1] <= 1.1e-6


def test_standard_errors_at_sites(reads):
    genes = Genes(tol=1e-10).fit(reads)
    inside = ~np.isnan(genes.standard_errors_[:, 1])
    assert inside.sum() > 40
    for site in np.flatnonzero(inside)[:10]:
        p, h = genes.frequencies_[site, 1], 1e-4
        values = [site_log_likelihood(reads[:, site], p + step) for step in (-h, 0.0, h)]
        curvature = -(values[0] - 2 * values[1] + values[2]) / h**2
        assert genes.standard_errors_[site, 1] == pytest.approx(curvature**-0.5, rel=2e-3)


def test_a_site_without_the_allele_has_no_standard_error():
    genes = Genes().fit(from_reads(np.full((20, 1), 3), np.zeros((20, 1)), 0.01))
    assert genes.frequencies_[0, 1] < 1e-4
    assert np.isnan(genes.standard_errors_).all()


def test_certain_genotypes_are_counted():
    genotypes = np.random.default_rng(0).integers(0, 3, (25, 4))
    logs = np.where(np.arange(3) == genotypes[..., None], 0.0, -np.inf)
    genes = Genes().fit(logs)
    np.testing.assert_allclose(genes.frequencies_[:, 1], genotypes.mean(axis=0) / 2, rtol=1e-12)
    np.testing.assert_array_equal(genes.genotype_probabilities(logs).argmax(axis=2), genotypes)


def test_missing_reads_say_nothing(reads):
    more = np.concatenate([reads, np.zeros((5, *reads.shape[1:]))])
    np.testing.assert_allclose(Genes().fit(more).frequencies_, Genes().fit(reads).frequencies_, atol=2e-3)
    share = Genes().fit(more).genotype_probabilities(more)[-1]
    p = Genes().fit(more).frequencies_[:, 1]
    np.testing.assert_allclose(share, np.stack([(1 - p) ** 2, 2 * p * (1 - p), p * p], axis=1))


def test_hundreds_of_reads_do_not_underflow():
    logs = from_reads([[3000], [1500], [0]], [[0], [1500], [3000]], 0.001)
    np.testing.assert_allclose(Genes().fit(logs).frequencies_, [[0.5, 0.5]])


def test_calling_first_is_biased_and_em_is_not():
    rng = np.random.default_rng(5)
    p, n, sites = 0.1, 100, 2000
    genotypes = rng.binomial(2, p, (n, sites))
    depth = rng.poisson(2.0, (n, sites))
    alternate = rng.binomial(depth, np.array([0.01, 0.5, 0.99])[genotypes])
    logs = from_reads(depth - alternate, alternate, 0.01)
    genes = Genes().fit(logs)
    seen, by_em = depth > 0, genes.frequencies_[:, 1]
    by_likelihood = np.where(seen, logs.argmax(axis=2), 0).sum(axis=0) / (2 * seen.sum(axis=0))
    by_posterior = genes.genotype_probabilities(logs).argmax(axis=2).mean(axis=0) / 2
    error = by_em.std() / np.sqrt(sites)
    assert abs(by_em.mean() - p) < 4 * error
    assert by_likelihood.mean() - p > 10 * error  # wrong reads and lone reads make homozygotes
    assert p - by_posterior.mean() > 10 * error  # few reads: the commonest genotype wins


def test_hardy_weinberg_at_sites():
    rng = np.random.default_rng(6)
    p, sites = 0.4, 300
    mated = rng.binomial(2, p, (80, sites))
    inbred = 2 * rng.binomial(1, p, (80, sites))  # no heterozygotes at all
    for genotypes, low, high in ((mated, 0.01, 0.12), (inbred, 0.95, 1.0)):
        depth = rng.poisson(4.0, genotypes.shape)
        alternate = rng.binomial(depth, np.array([0.02, 0.5, 0.98])[genotypes])
        logs = from_reads(depth - alternate, alternate, 0.02)
        test = Genes().fit(logs).hardy_weinberg_test(logs)
        assert low <= (test.p_value < 0.05).mean() <= high
        assert (test.statistic >= 0).all()
        assert test.expected.shape == test.found.shape == (sites, 3)
    assert test.inbreeding.mean() > 0.9


def test_free_genotypes_climb_higher(reads):
    """The alternative is the same model with genotypes in the place of alleles."""
    free = GenotypeLikelihoods(genotypes=PossibleGenotypes.free(3))
    fit = em.fit(free, reads[:, :1], GeneParams(np.full((1, 3), 1 / 3)), tol=1e-12)
    assert fit.log_likelihood >= Genes(tol=1e-12).fit(reads[:, :1]).log_likelihood_ - 1e-9


# ------------------------------------------------------------------ manners


def test_scikit_learns_manners(reads):
    genes = Genes("ABO", tol=1e-8, prior=1.5)
    copy = clone(genes)
    assert copy.get_params() == genes.get_params()
    assert copy.fit(CLARKE) is copy
    with pytest.raises(Exception, match="not fitted"):
        genes.genotype_probabilities()
    before = dict(vars(copy))
    with pytest.raises(ValueError, match="phenotype 'C'"):
        copy.fit({"C": 3})
    assert vars(copy).keys() == before.keys()
    assert (reads <= 0).all()


@pytest.mark.parametrize(
    ("options", "X", "message"),
    [
        ({}, {"A": -1, "O": 3}, r"X\['A'\] is -1; people are counted in whole numbers, 0 or above"),
        ({}, {"A": 2.5}, r"X\['A'\] is 2.5; people are counted in whole numbers"),
        ({}, {"A": np.nan}, r"X\['A'\] is nan; people are counted in whole numbers"),
        ({}, {"A": "many"}, r"X\['A'\] is 'many'; people"),
        ({}, {"A": 1, "C": 2}, "X has the phenotype 'C', which is not one of 'A', 'B', 'AB', 'O'"),
        ({}, ["A", "O", "a"], "X has the phenotype 'a', which is not one of"),
        ({}, {"A": 0}, "X counts nobody"),
        ({}, [1, 2, 3], r"X has shape \(3,\); it must hold 4 counts, for 'A', 'B', 'AB', 'O'"),
        ({"frequencies_init": [0.5, 0.5, 0]}, CLARKE, "frequencies_init holds 0; every frequency must start above 0"),
        ({"frequencies_init": [0.5, 0.6, 0.2]}, CLARKE, "must hold frequencies that sum to 1"),
        ({"frequencies_init": [0.5, 0.5]}, CLARKE, r"frequencies_init has shape \(2,\); it must have shape \(3,\)"),
        ({"frequencies_init": "even"}, CLARKE, "frequencies_init is 'even'; it must be numbers"),
        ({"prior": "weak"}, CLARKE, "prior is 'weak'; it must be None"),
        ({"prior": -1}, CLARKE, "prior has the concentration -1.0; it must be a positive number"),
        ({"tol": -1}, CLARKE, "tol is -1"),
        ({"n_init": 0}, CLARKE, "n_init is 0"),
        ({"phenotypes": "Rhesus"}, CLARKE, "phenotypes is 'Rhesus'; known systems are 'ABO', 'MN', 'recessive'"),
        ({"phenotypes": {"A": []}}, {"A": 1}, "phenotype 'A' has no genotype"),
        ({"phenotypes": {"A": ["AA", "AO"]}}, {"A": 1}, "genotype 'OO' has no phenotype"),
        (
            {"phenotypes": {"x": ["AA", "Aa"], "y": ["Aa", "aa"]}},
            {"x": 1},
            "genotype 'Aa' has the phenotypes 'x', 'y' with probabilities that sum to 2; they must sum to 1",
        ),
        ({"phenotypes": {"x": ["Aa", "aA"]}}, {"x": 1}, "phenotype 'x' lists the genotype 'aA' twice"),
        ({"phenotypes": {"x": ["AAA"]}}, {"x": 1}, "genotype 'AAA' is not two alleles"),
        ({"phenotypes": {"x": {"aa": 1.2}}}, {"x": 1}, "the probability 1.2; it must lie between 0 and 1"),
    ],
)
def test_bad_counts(options, X, message):
    with pytest.raises(ValueError, match=message):
        Genes(**{"phenotypes": "ABO", **options}).fit(X)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((2, 3)), "X holds a value above 0 for person 0 at site 0 .* take np.log of likelihoods"),
        (np.full((2, 2, 3), -np.inf), "X holds three times -inf for person 0 at site 0 .*; some genotype must be"),
        ([[0.0, np.nan, -1.0]], "X holds NaN for person 0 at site 0 .*; where nothing was read, give three zeros"),
        (np.zeros((2, 3)), r"X says nothing about 1 site\(s\), the first of them 0"),
        (np.zeros((2, 4)), r"X has shape \(2, 4\); log-likelihoods of three genotypes"),
        (np.zeros((0, 2, 3)), r"X has shape \(0, 2, 3\)"),
    ],
)
def test_bad_likelihoods(X, message):
    with pytest.raises(ValueError, match=message):
        Genes().fit(X)


def test_bad_kinds(reads):
    with pytest.raises(TypeError, match="X is of type dict; genotype log-likelihoods of shape"):
        Genes().fit(CLARKE)
    with pytest.raises(TypeError, match="phenotypes is 3; it must be a mapping"):
        Genes(3).fit(CLARKE)
    with pytest.raises(ValueError, match="X has 3 sites, but GeneCounting was fitted to 60"):
        Genes().fit(reads).genotype_probabilities(reads[:, :3])
    with pytest.raises(TypeError, match="X is of type ndarray; it must map phenotypes to counts"):
        Genes("ABO").fit(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="heterozygotes can be counted behind reads"):
        _ = Genes("ABO").fit(CLARKE).hardy_weinberg_test(CLARKE).inbreeding


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([-1], [0]), "reference holds -1; reads are counted in whole numbers"),
        (([1], [0.5]), "alternate holds 0.5; reads are counted"),
        (([1, 2], [0]), r"reference has shape \(2,\) and alternate \(1,\)"),
        (([1], [0], 0.5), "error is 0.5; it must lie above 0 and below 0.5"),
        (([1], [0], 0.0), "error is 0.0; it must lie above 0"),
        ((["x"], [0]), "reference is of type list; it must hold numbers of reads"),
    ],
)
def test_bad_reads(arguments, message):
    with pytest.raises(ValueError, match=message):
        from_reads(*arguments)


def test_an_impossible_phenotype_is_harmless_if_nobody_has_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        genes = Genes("ABO").fit({"O": 20, "A": 10, "B": 0, "AB": 0})
    assert np.isfinite(genes.log_likelihood_)
