"""Gene counting as an estimator: read what was seen, climb, report."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import xlogy
from scipy.stats import chi2
from sklearn.utils.validation import check_is_fitted

from ...engine import em
from ...engine.families import DirichletPrior
from ...engine.latent import FloatArray
from ..base import EMEstimator, FittedWorld
from ..checks import check_real, check_whole, generator, in_short
from .model import GeneModel, GeneParams, GenotypeLikelihoods, People, PhenotypeCounts
from .reading import read_counts, read_log_likelihoods
from .schemes import PossibleGenotypes, Scheme, read_scheme

STILL = 1e-12  # a round that moves frequencies by less will not move them further
ROUND = 40  # iterations after which sites that have arrived are set aside
TWO = Scheme(("reference", "alternate"), ("0", "1", "2"), (), np.eye(3))


@dataclass(frozen=True)
class HardyWeinbergTest:
    """Do genotypes come in the proportions of random mating? From `GeneCounting.hardy_weinberg_test`.

    Attributes
    ----------
    statistic : float or array (L,)
        Twice the log-likelihood that is lost by assuming so.
    df : int
        Degrees of freedom.
    p_value : float or array (L,)
        From the chi-squared distribution. It is approximate, and poor where few are expected.
    expected : array (P,) or (L, 3)
        People expected of each phenotype; of each genotype at each site.
    found : array (P,) or (L, 3)
        People counted; those that the reads speak for if genotypes are free.
    """

    statistic: Any
    df: int
    p_value: Any
    expected: FloatArray
    found: FloatArray

    @property
    def inbreeding(self) -> FloatArray:
        """Share of heterozygotes (L,) that are missing: 1 - found / expected, at sites with reads."""
        if self.expected.ndim != 2:
            raise ValueError("heterozygotes can be counted behind reads, but not behind phenotypes that hide them.")
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(1.0 - self.found[:, 1] / self.expected[:, 1])


class GeneCounting(EMEstimator):
    """Allele frequencies by counting genes that cannot be seen.

    Genotypes are hidden behind phenotypes (blood groups, recessive traits), or behind a few reads of a sequencer.
    Random mating says how common each genotype is for given allele frequencies (Hardy-Weinberg); EM splits the people
    of a phenotype among its genotypes, counts the genes in them, and repeats.

    Parameters
    ----------
    phenotypes : str, mapping or None
        ``"ABO"``, ``"MN"``, ``"recessive"``, or a mapping of each phenotype to its genotypes, such as
        ``{"ill": ["aa"], "well": ["AA", "Aa"]}``; names of alleles that are longer than a letter are written "A1/O".
        Instead of a list, ``{"aa": 0.8}`` gives the probability of the phenotype in a genotype (penetrance).
        None if X holds genotype likelihoods.
    frequencies_init : array (K,) or (L, K), optional
        Where to start, in the order of ``alleles_``; equal frequencies by default. All above 0: a frequency of zero
        would stay zero.
    n_init : int
        Starts for phenotypes, of which all but the first are drawn. (Sites have one: for reads the log-likelihood is
        concave, so there is one summit.)
    tol : float
        Stop when less than this many nats are left to gain; at many sites, less than this at each.
    max_iter : int
        Most iterations.
    prior : float or DirichletPrior, optional
        Concentration of a Dirichlet prior on the frequencies: as if so many genes less one had been seen of each
        allele.
    accelerate : {None, "squarem"} or Accelerator
        As in every EM estimator.
    random_state : None, int, Generator or RandomState
        Of the drawn starts.

    Attributes
    ----------
    frequencies_ : array (K,) or (L, K)
        Of the alleles; at sites of ``reference`` and ``alternate``. Given a table (n, 3), (2,).
    standard_errors_ : array like `frequencies_`
        From the observed information (eq. 8.6); NaN where a frequency lies on its boundary or the likelihood is flat.
    alleles_, genotypes_, phenotypes_ : tuple of str
        Names. Genotypes at sites are "0", "1" and "2" copies of the alternate allele.
    genotype_counts_ : array (G,) or (L, G)
        Expected people of each genotype.
    genotype_probabilities_ : array (P, G)
        Of each genotype given each phenotype. (At sites: ``genotype_probabilities(X)``.)
    log_likelihood_ : float
        Total, in nats: sum over people of the log probability of their phenotype, or of their reads up to the constants
        of the table. ``site_log_likelihoods_`` (L,) are its parts.
    trace_, n_iter_, stop_reason_, converged_, starts_
        As in every EM estimator. `n_iter_` is that of the slowest site.

    Raises
    ------
    TypeError, ValueError
        From ``fit``, in one sentence, for a bad scheme, count, likelihood or start.

    Warns
    -----
    UserWarning
        If the phenotypes cannot tell some alleles apart, so that their frequencies are arbitrary.

    References
    ----------
    Ceppellini, Siniscalco & Smith (1955), *Ann. Hum. Genet.* 20, for counting genes; Li (2011), *Bioinformatics* 27,
    and Kim et al. (2011), *BMC Bioinformatics* 12, for the same behind reads.

    Examples
    --------
    >>> genes = GeneCounting("ABO").fit({"A": 186, "B": 38, "AB": 13, "O": 284})
    >>> {a: round(float(p), 4) for a, p in zip(genes.alleles_, genes.frequencies_)}
    {'A': 0.2136, 'O': 0.7363, 'B': 0.0501}
    >>> genes.standard_errors_.round(4).tolist()
    [0.0135, 0.0145, 0.0068]

    Three people at one site, two reads each:

    >>> from emlib import genotype_log_likelihoods
    >>> logs = genotype_log_likelihoods([[2], [1], [0]], [[0], [1], [2]])
    >>> GeneCounting().fit(logs).frequencies_.round(2).tolist()
    [[0.5, 0.5]]
    """

    def __init__(
        self,
        phenotypes: Any = None,
        *,
        frequencies_init: Any = None,
        n_init: int = 4,
        tol: float = 1e-6,
        max_iter: int = 10_000,
        prior: Any = None,
        accelerate: Any = None,
        random_state: Any = None,
    ) -> None:
        self.phenotypes = phenotypes
        self.frequencies_init = frequencies_init
        self.n_init = n_init
        self.tol = tol
        self.max_iter = max_iter
        self.prior = prior
        self.accelerate = accelerate
        self.random_state = random_state

    # ------------------------------------------------------------------ fitting

    def fit(self, X: Any, y: Any = None) -> GeneCounting:
        """Estimate the allele frequencies.

        Parameters
        ----------
        X : mapping, list of str, array (P,), or array (n, L, 3)
            People by phenotype: ``{"A": 186, ...}``, the phenotype of each person, or counts in the order of the
            mapping. Without `phenotypes`: log-likelihoods (natural logarithms) of 0, 1 and 2 copies of the alternate
            allele, of n people at L sites, as `genotype_log_likelihoods` makes them from reads; (n, 3) is one site.
        y
            Ignored.
        """
        options: dict[str, Any] = {
            "tol": check_real("tol", self.tol),
            "max_iter": check_whole("max_iter", self.max_iter, 0),
            "accelerate": self.accelerate,
        }
        scheme = TWO if self.phenotypes is None else read_scheme(self.phenotypes)
        model, data, flat = self._world(scheme, X)
        prior = self._own_prior(len(scheme.alleles))
        shape = (len(scheme.alleles),) if flat else (len(data.base), len(scheme.alleles))
        if self.phenotypes is None:
            best = _climb_sites(model, data, self._start(shape), prior, options)
        else:
            starts = [self._start(shape), *self._drawn_starts(shape)]
            best = _first_if_as_good(em.search(model, data, starts, prior=prior, progress=False, **options), self.tol)
        self._keep(scheme, model, data, best, prior, flat)
        return self

    def _world(self, scheme: Scheme, X: Any) -> tuple[GeneModel, Any, bool]:
        """The engine's view of X, and whether frequencies have no axis of sites."""
        if self.phenotypes is not None:
            return PhenotypeCounts.of(scheme), read_counts(X, scheme.phenotypes), True
        logs = read_log_likelihoods(X)
        return GenotypeLikelihoods(), People.from_logs(logs), np.ndim(X) == 2

    def _own_prior(self, K: int) -> DirichletPrior | None:
        if self.prior is None or isinstance(self.prior, DirichletPrior):
            prior: DirichletPrior | None = self.prior
        elif isinstance(self.prior, (int, float)) and not isinstance(self.prior, bool):
            prior = DirichletPrior(float(self.prior))
        else:
            raise ValueError(
                f"prior is {in_short(self.prior)}; it must be None, a positive number or a DirichletPrior."
            )
        if prior is not None:
            prior.check(K)
        return prior

    def _start(self, shape: tuple[int, ...]) -> GeneParams:
        if self.frequencies_init is None:
            return GeneParams(np.full(shape, 1.0 / shape[-1]))
        try:
            start = np.array(self.frequencies_init, dtype=float)
        except (TypeError, ValueError):
            raise ValueError(
                f"frequencies_init is {self.frequencies_init!r}; it must be numbers of shape {shape}."
            ) from None
        if start.shape != shape:
            raise ValueError(f"frequencies_init has shape {start.shape}; it must have shape {shape}.")
        if not (np.isfinite(start).all() and np.allclose(start.sum(axis=-1), 1.0, atol=1e-6)):
            raise ValueError("frequencies_init must hold frequencies that sum to 1.")
        if (start <= 0).any():
            raise ValueError(
                f"frequencies_init holds {start.min():g}; every frequency must start above 0, for an allele "
                "without genes is expected in nobody and so gets none in the next step, for ever."
            )
        return GeneParams(start / start.sum(axis=-1, keepdims=True))

    def _drawn_starts(self, shape: tuple[int, ...]) -> list[GeneParams]:
        rng = generator(self.random_state)
        return [GeneParams(rng.dirichlet(np.ones(shape[-1]))) for _ in range(check_whole("n_init", self.n_init, 1) - 1)]

    def _keep(
        self, scheme: Scheme, model: GeneModel, data: Any, best: em.Fit[GeneParams], prior: Any, flat: bool
    ) -> None:
        """Store the outcome, once everything has succeeded."""
        if not np.isfinite(best.log_likelihood):
            raise ValueError(f"X cannot come from these phenotypes: {best.message}")
        stats, _ = model.e_step(data, best.params)
        errors = np.sqrt(np.diagonal(model.covariance(data, best.params, prior), axis1=1, axis2=2))
        self.alleles_, self.genotypes_, self.phenotypes_ = scheme.alleles, scheme.genotypes, scheme.phenotypes
        one = flat and self.phenotypes is None  # a site without an axis
        self.frequencies_ = best.params.frequencies
        self.standard_errors_ = errors[0] if flat else errors
        self.genotype_counts_ = stats.genotypes
        if self.phenotypes is None:
            self.site_log_likelihoods_ = np.atleast_1d(stats.values)
        else:
            self.genotype_probabilities_ = _given_phenotype(scheme, model, best.params)
        self.log_likelihood_, self.trace_, self.n_iter_ = best.log_likelihood, best.trace, best.n_iter
        self.stop_reason_, self.converged_, self.starts_ = best.reason, best.converged, best.starts
        self._flat = one
        self._warn(best)
        inside = (np.atleast_2d(self.frequencies_) > 1e-6).all(axis=1)
        blind = inside & np.isnan(np.atleast_2d(self.standard_errors_)).any(axis=1)
        if self.phenotypes is not None and blind.any() and best.converged:
            warnings.warn(
                "the likelihood is flat at this fit: these phenotypes cannot tell some of the alleles "
                f"{', '.join(map(repr, scheme.alleles))} apart, so their frequencies depend on the start.",
                UserWarning,
                stacklevel=3,
            )

    # ------------------------------------------------------------------ using the result

    def genotype_probabilities(self, X: Any = None) -> FloatArray:
        """Posterior probabilities of the genotypes of people, at the fitted frequencies.

        Parameters
        ----------
        X : list of str or array (n, L, 3)
            The phenotype of each person; every phenotype once if None. Or log-likelihoods.

        Returns
        -------
        array (n, G), or (n, L, 3) at sites

        Examples
        --------
        >>> genes = GeneCounting("ABO").fit([186, 38, 13, 284])
        >>> dict(zip(genes.genotypes_, genes.genotype_probabilities(["A"])[0].round(3).tolist()))
        {'AA': 0.127, 'AO': 0.873, 'AB': 0.0, 'OO': 0.0, 'OB': 0.0, 'BB': 0.0}
        """
        check_is_fitted(self)
        if self.phenotypes is None:
            model, people = GenotypeLikelihoods(), People.from_logs(_at_same_sites(self, X))
            return model.posterior(people, GeneParams(self.frequencies_))
        if X is None:
            return self.genotype_probabilities_.copy()
        names = [str(name) for name in np.ravel(np.asarray(X))]
        for name in names:
            read_counts([name], self.phenotypes_)
        return self.genotype_probabilities_[[self.phenotypes_.index(name) for name in names]]

    def hardy_weinberg_test(self, X: Any) -> HardyWeinbergTest:
        """Likelihood-ratio test of Hardy-Weinberg proportions.

        Against phenotypes with any probabilities, where there are more phenotypes than alleles (four blood groups,
        three frequencies that sum to one: one degree of freedom); at sites, against genotypes with any frequencies (one
        degree of freedom each), whose EM is the same with genotypes in the place of alleles.

        Parameters
        ----------
        X
            What the model was fitted to.

        Returns
        -------
        HardyWeinbergTest

        Raises
        ------
        ValueError
            If nothing is left to test, as with one recessive trait, or the fit has a prior.

        Examples
        --------
        >>> counts = [186, 38, 13, 284]
        >>> test = GeneCounting("ABO").fit(counts).hardy_weinberg_test(counts)
        >>> round(test.statistic, 2), test.df, round(test.p_value, 3)
        (0.39, 1, 0.531)
        """
        check_is_fitted(self)
        if self.prior is not None:
            raise ValueError("a fit with a prior is no maximum of the likelihood; test one without.")
        if self.phenotypes is None:
            return self._test_sites(X)
        counts, n_free = read_counts(X, self.phenotypes_), len(self.alleles_) - 1
        df = len(self.phenotypes_) - 1 - n_free
        if df < 1:
            raise ValueError(
                f"{len(self.phenotypes_)} phenotypes leave nothing to test once {len(self.alleles_)} allele "
                "frequencies have been fitted to them; more phenotypes than alleles are needed."
            )
        model, params = PhenotypeCounts.of(read_scheme(self.phenotypes)), GeneParams(self.frequencies_)
        n = counts.sum()
        expected = n * (model.penetrances @ model.genotypes.probabilities(self.frequencies_))
        lost = float(xlogy(counts, counts / n).sum()) - model.e_step(counts, params)[1]
        statistic = max(2.0 * lost, 0.0)
        return HardyWeinbergTest(statistic, df, float(chi2.sf(statistic, df)), expected, counts)

    def _test_sites(self, X: Any) -> HardyWeinbergTest:
        people = People.from_logs(_at_same_sites(self, X))
        mated, start = GenotypeLikelihoods(), GeneParams(np.atleast_2d(self.frequencies_))
        free = GenotypeLikelihoods(genotypes=PossibleGenotypes.free(3))
        proportions = mated.genotypes.probabilities(start.frequencies)
        options = {"tol": self.tol, "max_iter": self.max_iter, "accelerate": self.accelerate}
        best = _climb_sites(free, people, GeneParams(0.9 * proportions + 0.1 / 3), None, options)
        found = free.e_step(people, best.params)[0]
        statistic = np.maximum(2.0 * (found.values - mated.e_step(people, start)[0].values), 0.0)
        return HardyWeinbergTest(statistic, 1, chi2.sf(statistic, 1), len(people) * proportions, found.genotypes)

    def _fitted_world(self, X: Any) -> FittedWorld:
        check_is_fitted(self)
        model, data, _ = self._world(TWO if self.phenotypes is None else read_scheme(self.phenotypes), X)
        if self.frequencies_.ndim == 2 and len(self.frequencies_) > 1:
            raise ValueError(
                f"there are {len(self.frequencies_)} sites; errors of all of them are in standard_errors_, and "
                "`standard_errors` takes one site at a time."
            )
        params = GeneParams(self.frequencies_)
        return FittedWorld(model, data, params, self._own_prior(len(self.alleles_)), params)


def _at_same_sites(genes: GeneCounting, X: Any) -> FloatArray:
    """Log-likelihoods at the sites that `genes` was fitted to."""
    logs = read_log_likelihoods(X)
    sites = len(np.atleast_2d(genes.frequencies_))
    if logs.shape[1] != sites:
        raise ValueError(f"X has {logs.shape[1]} sites, but GeneCounting was fitted to {sites}.")
    return logs


def _given_phenotype(scheme: Scheme, model: GeneModel, params: GeneParams) -> FloatArray:
    """Posterior (P, G) of the genotype behind each phenotype; NaN for one that cannot occur."""
    joint = scheme.penetrances * model.genotypes.probabilities(params.frequencies)
    with np.errstate(invalid="ignore"):
        return np.asarray(joint / joint.sum(axis=1, keepdims=True))


def _first_if_as_good(best: em.Fit[GeneParams], tol: float) -> em.Fit[GeneParams]:
    """The climb from equal frequencies, unless a drawn start has won by more than rounding: answers stay the same."""
    first = best.starts[0]
    as_good = first.converged and best.trace[-1] - first.trace[-1] <= max(tol, 1e-6)
    return replace(first, starts=best.starts) if as_good else best


def _climb_sites(
    model: GeneModel, data: People, start: GeneParams, prior: DirichletPrior | None, options: dict[str, Any]
) -> em.Fit[GeneParams]:
    """All sites climb together; those with less than `tol` left are set aside from time to time.

    One site may have far to go when the sum over sites is nearly still, so each is asked by itself.
    """
    flat = start.frequencies.ndim == 1
    reached = np.atleast_2d(start.frequencies).copy()
    left, aside, spent, evaluations = np.arange(len(reached)), 0.0, 0, 0
    traces: list[FloatArray] = []
    here, fit = data, None
    while fit is None or (len(left) and spent < options["max_iter"] and fit.reason in ("converged", "max_iter")):
        now = {**options, "max_iter": min(ROUND, options["max_iter"] - spent)}
        fit = em.fit(model, here, GeneParams(reached[left]), prior=prior, progress=False, **now)
        still = fit.converged and np.abs(fit.params.frequencies - reached[left]).max() < STILL
        reached[left] = fit.params.frequencies
        traces.append(aside + fit.trace[bool(traces) :])
        spent, evaluations = spent + fit.n_iter, evaluations + fit.n_evaluations
        if fit.n_iter == 0 and not still:
            break  # no step was allowed, or none is possible
        done = still | (model.left_to_gain(here, fit.params, prior) <= options["tol"])
        if done.any():
            aside += _objective(model, here.sites(done), GeneParams(reached[left[done]]), prior)
            left, here = left[~done], here.sites(~done)
    params = GeneParams(reached[0] if flat else reached)
    value = model.e_step(data, params)[1]
    reason = fit.reason if fit.reason in ("degenerate", "decreased") else "max_iter" if len(left) else "converged"
    whole = replace(
        fit,
        params=params,
        log_likelihood=value,
        trace=np.concatenate(traces),
        n_iter=spent,
        reason=reason,
        n_evaluations=evaluations,
    )
    return replace(whole, starts=(whole,))


def _objective(model: GeneModel, data: People, params: GeneParams, prior: DirichletPrior | None) -> float:
    value = model.e_step(data, params)[1]
    return value if prior is None else value + model.log_prior(params, prior)
