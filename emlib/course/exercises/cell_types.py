"""Exercise of the chapter on cell types: exposures, a second judge, zeros counted, and two cells in a droplet."""

import functools

import numpy as np

from ..compare import close
from ..contract import Exercise

exercise = Exercise(
    "cell_types",
    title="Cell types",
    minutes=100,
    part="applications",
    objectives=[
        "write the E-step and the M-step of a mixture of counts whose rows have unequal exposures;",
        "say how far a clustering agrees with a list of names, beyond what chance would do;",
        "count the zeros that a model expects before you add a parameter for them;",
        "make a step of EM for structural zeros, of which only a zero can be one;",
        "write droplets with two cells as components without parameters of their own, and deal out their molecules.",
    ],
    intro="""
        A cell of which twice as many molecules were caught shows twice as many of every gene. Leave that out, and large
        cells and small cells become types. Here you put it into a mixture of counts, hold the clusters against the list
        of names, ask whether there are too many zeros, and end with droplets that hold two cells: the steps of chapter
        14, in seven functions.

        `counts` (n, d) are molecules, a row for each cell and a column for each gene. `exposures` (n,) say how deep we
        looked into each cell, $e_i$: its total divided by the median total. `weights` (K,) are the shares of the types
        and `rates` (K, d) their molecules per unit of exposure, $\\lambda_{kj}$, so that gene $j$ of cell $i$, if it is
        of type $k$, is Poisson with mean $e_i \\lambda_{kj}$.
        """,
    setup="""
        # 700 blood cells: molecules of 26 genes, and how deep we looked into each cell.
        cells = emlib.data.pbmc()
        counts, exposures = cells.counts, cells.total_umi / np.median(cells.total_umi)
        """,
    outro="""
        Your functions are a doublet detector. Give all components of `contents` to `e_step`, whose responsibilities
        then have a column for each content, and these to `doublet_step`; repeat, and watch the log-likelihood climb.
        Now make doublets whose truth you know: take 140 of the 700 cells, add them up in pairs, and mix the 70 sums
        among the other 560. Score each droplet by its probability to hold two cells, and look how often a true doublet
        scores higher than a cell. Then do the same with the simplest rival: the total number of molecules. Chapter 14
        did, and the rival won.

        And run it on the 700 cells as they are. How many doublets does it report, and do you believe that?
        """,
)

# A log-likelihood of -10,000 is not right if it is off by 0.1, though that is one part in a hundred thousand.
FINE = close(relative=1e-6)

NAMED = ("CD19+ B", "CD56+ NK", "CD14+ Monocyte")
GENES = ("CD79A", "NKG7", "LYZ", "IL32", "CD74")
STARVED = ("CD79A", "CD79B", "MS4A1", "LTB", "HLA-DRA")


# ---------------------------------------------------------------- inputs
@functools.cache
def _blood():
    """Counts, exposures, names and genes."""
    from ... import data

    cells = data.pbmc()
    return cells.counts, cells.total_umi / np.median(cells.total_umi), cells.cell_types, cells.genes


def _some(genes, name=None):
    """Counts of these genes and exposures, of all cells or of those with a name."""
    counts, exposures, names, columns = _blood()
    who = np.ones(len(names), bool) if name is None else names == name
    return counts[who][:, [columns.index(gene) for gene in genes]], exposures[who]


@functools.cache
def _three_types():
    """Weights and rates (K, d) of three named types in five genes."""
    parts = [_some(GENES, name) for name in NAMED]
    n = np.array([len(e) for _, e in parts])
    return n / n.sum(), np.array([x.sum(axis=0) / e.sum() for x, e in parts])


@functools.cache
def _clusters():
    """Labels of the blood cells after forty rounds of four types, from random responsibilities."""
    counts, exposures, names, _ = _blood()
    r = np.random.default_rng(0).dirichlet(np.ones(4), size=len(counts))
    for _ in range(40):
        r, _ = e_step(counts, exposures, *m_step(counts, exposures, r))
    return r.argmax(axis=1), np.unique(names, return_inverse=True)[1]


@functools.cache
def _droplets():
    """Two B cells, two monocytes, and two sums of one of each, which are the last two rows."""
    (b, of_b), (mono, of_mono) = _some(GENES, NAMED[0]), _some(GENES, NAMED[2])
    counts = np.concatenate([b[:2], mono[:2], b[2:4] + mono[2:4]])
    return counts, np.concatenate([of_b[:2], of_mono[:2], of_b[2:4] + of_mono[2:4]])


def _types(rng, K, d):
    """Weights and rates of types that are cousins: they share many genes."""
    base = rng.gamma(1.5, 1.5, size=d) + 0.2
    return 0.4 / K + 0.6 * rng.dirichlet(np.full(K, 3.0)), base * np.exp(rng.normal(0, 0.6, size=(K, d)))


def _seen(rng, n, weights, rates, exposures=None):
    """Counts and exposures of n cells."""
    e = np.round(np.exp(rng.normal(0, 0.6, size=n)), 3) if exposures is None else exposures
    return rng.poisson(e[:, None] * rates[rng.choice(len(weights), size=n, p=weights)]), e


# ---------------------------------------------------------------- the steps, as the slips vary them
def _logs(counts, means):
    """Log probabilities (n, K, d) of counts (n, d) under means (n, K, d)."""
    from scipy.special import gammaln, xlogy

    x = np.asarray(counts)[:, None, :]
    return xlogy(x, means) - means - gammaln(x + 1)


def _means(exposures, rates):
    return np.asarray(exposures)[:, None, None] * rates


def _softly(log_joint):
    top = log_joint.max(axis=1, keepdims=True)
    total = top[:, 0] + np.log(np.exp(log_joint - top).sum(axis=1))
    return np.exp(log_joint - total[:, None]), total.sum()


def _expected(counts, exposures, weights, rates, means=None):
    """The E-step, with other means (n, K, d) if given."""
    means = _means(exposures, rates) if means is None else means
    return _softly(np.log(weights) + _logs(counts, means).sum(axis=2))


def _over(a, b):
    """a / b, and 0 where b is 0."""
    a, b = np.broadcast_arrays(a, b)
    return np.divide(a, b, out=np.zeros(a.shape), where=b > 0)


def _updated(counts, exposures, r, weights=None, rates=None):
    """The M-step, with parts given."""
    weights = r.mean(axis=0) if weights is None else weights
    return weights, _over(r.T @ counts, (exposures @ r)[:, None]) if rates is None else rates


# ---------------------------------------------------------------- 1
@exercise.function(
    returns={"responsibilities": "(n, K)", "log_likelihood": "()"},
    story="""
        **E: which type, at this depth?** Given its type, the molecules of a cell are independent Poisson numbers, whose
        means are the rates of the type times the exposure of the *cell*:

        $$\\log p(x_i \\mid e_i, \\lambda_k)
          = \\sum_j \\Bigl( x_{ij} \\log (e_i \\lambda_{kj}) - e_i \\lambda_{kj} - \\log x_{ij}! \\Bigr) .$$

        Return the responsibilities, $r_{ik} \\propto w_k\\, p(x_i \\mid e_i, \\lambda_k)$, with rows that sum to one,
        and the log-likelihood, $\\sum_i \\log \\sum_k w_k\\, p(x_i \\mid e_i, \\lambda_k)$. Stay in logarithms, for a
        deep cell has many molecules, and the probability of exactly these may be below the smallest number there is. A
        rate may be 0: then a count of 0 has probability 1, and any other has probability 0.

        The example has the rates of named B cells, NK cells and monocytes in five genes, and eight cells. The first two
        are named B cells, then come two NK cells and two monocytes. The last two are regulatory T cells, for which
        there is no component. The E-step takes them for NK cells, with a probability above .99: a responsibility asks
        which of *these* types, and never whether any of them fits.
        """,
    hints=[
        "means = exposures[:, None, None] * rates has shape (n, K, d): a mean for each cell, type and gene. Put the "
        "counts beside it as counts[:, None, :], and sum over the last axis.",
        "scipy.special.xlogy(x, m) is x log m, and 0 where x and m are both 0; scipy.special.gammaln(x + 1) is log x!.",
        "log_joint = np.log(weights) + (xlogy(x, means) - means - gammaln(x + 1)).sum(axis=2); total = "
        "scipy.special.logsumexp(log_joint, axis=1); return np.exp(log_joint - total[:, None]), total.sum()",
    ],
    after="""
        In the responsibilities the exposure survives in one place only: $x \\log e_i$ and $\\log x!$ are the same for
        all types and cancel, $-e_i \\sum_j \\lambda_{kj}$ does not. That term asks whether the cell has as many
        molecules as this type would have shown at its depth. In the log-likelihood all of them count, or models with
        and without exposures could not be compared.
        """,
    compare=FINE,
)
def e_step(counts, exposures, weights, rates):
    """Responsibilities of types for cells, and the log-likelihood.

    Parameters
    ----------
    counts : array (n, d) of int
        Molecules of each gene.
    exposures : array (n,)
        How deep each cell was looked into; above 0.
    weights : array (K,)
        Shares of the types, above 0; they sum to one.
    rates : array (K, d)
        Molecules per unit of exposure. Some may be 0, but no cell is
        impossible under all types.

    Returns
    -------
    responsibilities : array (n, K)
        Rows sum to one.
    log_likelihood : float
        Of all cells, in nats.
    """
    from scipy.special import gammaln, logsumexp, xlogy

    means = exposures[:, None, None] * rates
    x = counts[:, None, :]
    log_joint = np.log(weights) + (xlogy(x, means) - means - gammaln(x + 1)).sum(axis=2)
    total = logsumexp(log_joint, axis=1)
    return np.exp(log_joint - total[:, None]), total.sum()


@e_step.example
def _():
    weights, rates = _three_types()
    parts = [_some(GENES, name) for name in (*NAMED, "CD4+/CD25 T Reg")]
    return {
        "counts": np.concatenate([x[:2] for x, _ in parts]),
        "exposures": np.concatenate([e[:2] for _, e in parts]).round(3),
        "weights": weights,
        "rates": rates,
    }


@e_step.cases
def _(rng):
    def case(n, K, d, exposures=None):
        weights, rates = _types(rng, K, d)
        counts, e = _seen(rng, n, weights, rates, exposures)
        return {"counts": counts, "exposures": e, "weights": weights, "rates": rates}

    never = case(30, 3, 5)
    never["rates"][0, 1] = never["rates"][2, 3] = never["rates"][2, 0] = 0.0
    never["counts"] = rng.poisson(never["exposures"][:, None] * never["rates"][np.arange(30) % 3])
    # One molecule speaks against a type that all others speak for: a constant in the logarithm does not suffice.
    never["exposures"][0] = 200.0
    never["counts"][0] = np.round(200 * never["rates"][0])
    never["counts"][0, 1] = 1
    deep = case(6, 3, 12, rng.uniform(2000, 6000, size=6))
    deep["counts"] = rng.poisson(deep["counts"] * np.exp(rng.normal(0, 0.6, size=(6, 12))))
    return {
        "forty cells": case(40, 3, 5),
        "whole numbers as exposures": case(20, 2, 4, rng.permutation(np.arange(20) % 4 + 1)),
        "one cell": case(1, 3, 3, np.array([2.5])),
        "as many cells as types": case(4, 4, 3),
        "very deep cells": deep,
        "rates of zero": never,
    }


e_step.check("cells of different depth", points=3, on=("forty cells", "whole numbers as exposures", "one cell"))
e_step.check("as many cells as types: rows, not columns", points=1, on="as many cells as types")
e_step.check("very deep cells", points=1, on="very deep cells")
e_step.check("rates of zero", points=1, on="rates of zero")


@e_step.slip(
    "The exposures are not used. A deep cell has more of everything, so it goes to the type with the largest rates. "
    "The mean of gene j in cell i is exposures[i] * rates[k, j]."
)
def exposure_forgotten(counts, exposures, weights, rates):
    return _expected(counts, exposures, weights, rates, _means(np.ones(len(counts)), rates))


@e_step.slip(
    "You divided the counts by the exposure and took the quotients for Poisson numbers. They are none: ten molecules "
    "at depth 10 tell far more than one at depth 1. Leave the counts as they are, and multiply the rates."
)
def counts_divided(counts, exposures, weights, rates):
    return exposure_forgotten(counts / exposures[:, None], exposures, weights, rates)


@e_step.slip(
    "You divided the counts by the exposure and rounded. Rounding makes whole numbers of them again but no Poisson "
    "numbers: a deep cell still knows its rates better than a shallow one. Leave the counts, and multiply the rates."
)
def counts_divided_and_rounded(counts, exposures, weights, rates):
    return exposure_forgotten(np.round(counts / exposures[:, None]), exposures, weights, rates)


@e_step.slip(
    "The exposure is in the logarithm but not in the other term of the density. The mean is e times the rate in both "
    "places: x log(e rate) - e rate."
)
def exposure_in_the_logarithm_only(counts, exposures, weights, rates):
    logs = _logs(counts, _means(exposures, rates)) + _means(exposures, rates) - rates
    return _softly(np.log(weights) + logs.sum(axis=2))


@e_step.slip(
    "The responsibilities are right, but in the log-likelihood x log e is missing. It is the same for all types, and "
    "so it cancels in the one and not in the other: the mean is e times the rate in both terms of the density."
)
def exposure_not_in_the_logarithm(counts, exposures, weights, rates):
    r, value = _expected(counts, exposures, weights, rates)
    return r, value - (counts * np.log(exposures)[:, None]).sum()


@e_step.slip("The rates were divided by the exposure. A cell that is seen twice as deep shows twice as much: multiply.")
def rates_divided(counts, exposures, weights, rates):
    return _expected(counts, exposures, weights, rates, _means(1 / exposures, rates))


@e_step.slip("The weights are missing: a rare type is as probable a priori as a common one. Add np.log(weights).")
def weights_forgotten(counts, exposures, weights, rates):
    return _softly(_logs(counts, _means(exposures, rates)).sum(axis=2))


@e_step.slip(
    "The log-likelihood lacks log x!. It cancels in the responsibilities, but the probability of a count has it: "
    "subtract gammaln(x + 1)."
)
def without_the_factorial(counts, exposures, weights, rates):
    from scipy.special import gammaln

    r, value = _expected(counts, exposures, weights, rates)
    return r, value + gammaln(counts + 1.0).sum()


@e_step.slip(
    "You multiplied probabilities and took the logarithm afterwards. The probability of all molecules of a deep cell "
    "is zero in the computer, and 0/0 is nan. Add logarithms, and subtract the largest before exp (logsumexp does)."
)
def probabilities_first(counts, exposures, weights, rates):
    joint = weights * np.exp(_logs(counts, _means(exposures, rates)).sum(axis=2))
    total = joint.sum(axis=1)
    return joint / total[:, None], np.log(total).sum()


@e_step.slip("You normalised over the cells. A cell is shared out among the types, so each *row* sums to one: axis=1.")
def over_the_cells(counts, exposures, weights, rates):
    log_joint = np.log(weights) + _logs(counts, _means(exposures, rates)).sum(axis=2)
    return _softly(log_joint.T)[0].T, _softly(log_joint)[1]


@e_step.slip(
    "Each cell was given to its best type, 0 or 1. Some cells are between two types; return the probabilities."
)
def decided(counts, exposures, weights, rates):
    r, value = _expected(counts, exposures, weights, rates)
    return np.eye(len(weights))[r.argmax(axis=1)], value


@e_step.slip(
    "The log-likelihood is a sum over cells *and* types. A cell is of one type or another: add the probabilities of "
    "the types first, then take one logarithm for each cell."
)
def logarithms_of_types(counts, exposures, weights, rates):
    log_joint = np.log(weights) + _logs(counts, _means(exposures, rates)).sum(axis=2)
    return _softly(log_joint)[0], log_joint.sum()


@e_step.slip("The log-likelihood is the mean over cells. It was asked of all of them: the sum.")
def mean_over_cells(counts, exposures, weights, rates):
    r, value = _expected(counts, exposures, weights, rates)
    return r, value / len(counts)


@e_step.slip(
    "The genes were averaged. They are independent given the type, so their probabilities multiply and the logarithms "
    "add up. With a mean, 26 genes would say no more than one."
)
def genes_averaged(counts, exposures, weights, rates):
    return _softly(np.log(weights) + _logs(counts, _means(exposures, rates)).mean(axis=2))


@e_step.slip(
    "Where a rate is 0 and the count is 0, you have 0 times log 0, which is nan. The probability of that count is 1, "
    "so the term is 0: scipy.special.xlogy knows."
)
def zero_times_log_zero(counts, exposures, weights, rates):
    from scipy.special import gammaln

    means, x = _means(exposures, rates), counts[:, None, :]
    return _softly(np.log(weights) + (x * np.log(means) - means - gammaln(x + 1)).sum(axis=2))


@e_step.slip(
    "A small constant in the logarithm, to be safe from log 0, makes impossible counts possible: a cell of which all "
    "other genes speak for the type then gets it all the same. Where the count is 0 too, the term is 0: "
    "scipy.special.xlogy knows."
)
def a_small_constant(counts, exposures, weights, rates):
    from scipy.special import gammaln

    means, x = _means(exposures, rates), counts[:, None, :]
    return _softly(np.log(weights) + (x * np.log(means + 1e-10) - means - gammaln(x + 1)).sum(axis=2))


@e_step.slip(
    "You added the weights themselves to the logarithms of the probabilities. Probabilities are multiplied, so their "
    "logarithms are added: np.log(weights)."
)
def weights_added(counts, exposures, weights, rates):
    return _softly(weights + _logs(counts, _means(exposures, rates)).sum(axis=2))


@e_step.also
def with_poisson_of_scipy(counts, exposures, weights, rates):
    from scipy.stats import poisson

    log_joint = np.stack(
        [poisson.logpmf(counts, np.outer(exposures, rate)).sum(axis=1) + np.log(w) for w, rate in zip(weights, rates)],
        axis=1,
    )
    top = log_joint.max(axis=1, keepdims=True)
    total = top + np.log(np.exp(log_joint - top).sum(axis=1, keepdims=True))
    return np.exp(log_joint - total).tolist(), float(total.sum())


@e_step.also
def cell_by_cell(counts, exposures, weights, rates):
    from math import exp, lgamma, log

    rows, value = [], 0.0
    for x, e in zip(counts, exposures, strict=True):
        logs = []
        for w, rate in zip(weights, rates, strict=True):
            each = [
                (m * log(e * lam) if lam > 0 else (0.0 if m == 0 else -np.inf)) - e * lam - lgamma(m + 1)
                for m, lam in zip(x, rate, strict=True)
            ]
            logs.append(log(w) + sum(each))
        top = max(logs)
        total = top + log(sum(exp(a - top) for a in logs))
        rows.append([exp(a - total) for a in logs])
        value += total
    return rows, value


# ---------------------------------------------------------------- 2
@exercise.function(
    returns={"weights": "(K,)", "rates": "(K, d)"},
    story="""
        **M: molecules over exposure.** A type's rate of a gene is the number of molecules that its cells showed,
        divided by how deep we looked into its cells, both weighted with the responsibilities:

        $$w_k = \\frac1n \\sum_i r_{ik} , \\qquad
          \\lambda_{kj} = \\frac{\\sum_i r_{ik}\\, x_{ij}}{\\sum_i r_{ik}\\, e_i} .$$

        It is not the mean of $x_{ij} / e_i$: that would give a shallow cell, which knows little, the same say as a deep
        one. Where a type has no cells at all there is nothing to divide; let its rates be 0.

        The example has all 700 cells and eight genes. Each cell belongs to its name, as far as it is one of three: B
        cell, NK cell, monocyte; the fourth column is all others.
        """,
    hints=[
        "responsibilities.T @ counts are the molecules (K, d), exposures @ responsibilities the exposure (K,) of "
        "each type.",
        "Divide row by row: exposure[:, None]. A type without cells has exposure 0.",
        "np.divide(molecules, exposure[:, None], out=np.zeros(molecules.shape), where=exposure[:, None] > 0)",
    ],
    after="""
        With equal exposures this is the M-step of chapter 4. Nothing else has to be known about a cell's depth: two
        sums for each type, and they add up over blocks of cells like all statistics of this book.
        """,
)
def m_step(counts, exposures, responsibilities):
    """Shares and rates of the types from responsibilities.

    Parameters
    ----------
    counts : array (n, d) of int
    exposures : array (n,)
        Above 0.
    responsibilities : array (n, K)
        Rows sum to one; a column may be all 0.

    Returns
    -------
    weights : array (K,)
    rates : array (K, d)
        Molecules per unit of exposure; 0 for a type without cells.
    """
    molecules = responsibilities.T @ counts
    exposure = (exposures @ responsibilities)[:, None]
    rates = np.divide(molecules, exposure, out=np.zeros(molecules.shape), where=exposure > 0)
    return responsibilities.mean(axis=0), rates


@m_step.example
def _():
    counts, exposures = _some((*GENES, "GNLY", "S100A8", "LTB"))
    names = _blood()[2]
    r = np.stack([*(names == name for name in NAMED), ~np.isin(names, NAMED)], axis=1).astype(float)
    return {"counts": counts, "exposures": exposures, "responsibilities": r}


@m_step.cases
def _(rng):
    def case(n, K, d, exposures=None, sharpness=0.7):
        weights, rates = _types(rng, K, d)
        counts, e = _seen(rng, n, weights, rates, exposures)
        return {"counts": counts, "exposures": e, "responsibilities": rng.dirichlet(np.full(K, sharpness), size=n)}

    named = case(24, 3, 4, rng.permutation(np.arange(24) % 5 + 1))
    named["responsibilities"] = np.eye(3, dtype=int)[np.concatenate([[0, 1, 2, 2], rng.integers(3, size=20)])]
    empty = case(12, 3, 4)
    empty["responsibilities"][:, 1] = 0.0
    empty["responsibilities"] /= empty["responsibilities"].sum(axis=1, keepdims=True)
    empty["counts"][:, 2] = 0
    return {
        "thirty cells": case(30, 3, 4),
        "two types": case(18, 2, 3),
        "depths of all sizes": case(20, 2, 3, 10.0 ** rng.uniform(-2, 3, size=20)),
        "known labels, whole numbers": named,
        "one cell": case(1, 2, 3, np.array([0.4])),
        "a type without cells, and a gene that nobody shows": empty,
    }


m_step.check("cells of different depth", points=3, on=("thirty cells", "two types", "depths of all sizes"))
m_step.check(
    "known labels, one cell, a type without cells",
    points=1,
    on=("known labels, whole numbers", "one cell", "a type without cells, and a gene that nobody shows"),
)


@m_step.slip(
    "You averaged the quotients of counts and exposures. Then a shallow cell, which knows little, counts as much as a "
    "deep one. Add up molecules, add up exposures, and divide once."
)
def mean_of_ratios(counts, exposures, responsibilities):
    r = responsibilities
    rates = _over(r.T @ (counts / exposures[:, None]), r.sum(axis=0)[:, None])
    return _updated(counts, exposures, r, rates=rates)


@m_step.slip(
    "You divided the counts by the exposures, rounded, and averaged. The rounding loses what the depth had brought, "
    "and the mean gives shallow cells as much say as deep ones. Add up the molecules as they are, and divide by the "
    "summed exposure."
)
def mean_of_rounded_ratios(counts, exposures, responsibilities):
    return mean_of_ratios(np.round(counts / exposures[:, None]) * exposures[:, None], exposures, responsibilities)


@m_step.slip(
    "The exposures are not used: these are molecules per cell, not per unit of exposure. Divide by the type's summed "
    "exposure in place of its number of cells."
)
def exposure_forgotten_here(counts, exposures, responsibilities):
    return m_step(counts, np.ones(len(counts)), responsibilities)


@m_step.slip(
    "You divided by the number of cells of the type times the mean exposure of *all* cells. If the cells of a type are "
    "deep, its rates come out too high: sum the exposures with the type's own responsibilities."
)
def exposure_of_everybody(counts, exposures, responsibilities):
    r = responsibilities
    rates = _over(r.T @ counts, r.sum(axis=0)[:, None] * exposures.mean())
    return _updated(counts, exposures, r, rates=rates)


@m_step.slip(
    "You divided by the exposure of all cells. Each type has its own part of it: exposures @ responsibilities."
)
def whole_exposure(counts, exposures, responsibilities):
    return _updated(counts, exposures, responsibilities, rates=responsibilities.T @ counts / exposures.sum())


@m_step.slip(
    "You multiplied the counts by the exposure. A deep cell has more molecules already, which is what is to be taken "
    "out again: leave the counts as they are, and divide by the summed exposure."
)
def multiplied_by_exposure(counts, exposures, responsibilities):
    r = responsibilities
    return _updated(counts, exposures, r, rates=_over(r.T @ (counts * exposures[:, None]), r.sum(axis=0)[:, None]))


@m_step.slip(
    "Your weights are shares of the exposure. The weight of a type is its share of the *cells*, deep or not: the mean "
    "of its responsibilities."
)
def shares_of_exposure(counts, exposures, responsibilities):
    weights = exposures @ responsibilities / exposures.sum()
    return _updated(counts, exposures, responsibilities, weights=weights)


@m_step.slip("The weights are numbers of cells. Divide by n, and they sum to one.")
def numbers_of_cells(counts, exposures, responsibilities):
    return _updated(counts, exposures, responsibilities, weights=responsibilities.sum(axis=0))


@m_step.slip(
    "The weights are all equal, whatever the responsibilities say. A type's weight is its mean responsibility."
)
def equal_weights(counts, exposures, responsibilities):
    K = responsibilities.shape[1]
    return _updated(counts, exposures, responsibilities, weights=np.full(K, 1 / K))


@m_step.slip(
    "Each cell went wholly to its best type. That is a hard M-step; weight every cell with its responsibilities."
)
def to_the_best_type(counts, exposures, responsibilities):
    K = responsibilities.shape[1]
    return _updated(counts, exposures, np.eye(K)[responsibilities.argmax(axis=1)])


@m_step.slip(
    "Your rates sum to one over the genes: you have shares of molecules, as in a multinomial model. Then no type can "
    "have more of everything. A rate is molecules over exposure."
)
def profiles(counts, exposures, responsibilities):
    molecules = responsibilities.T @ counts
    return _updated(counts, exposures, responsibilities, rates=_over(molecules, molecules.sum(axis=1, keepdims=True)))


@m_step.slip("A type without cells got 0/0, which is nan and stays so for ever. Let its rates be 0.")
def nan_for_nobody(counts, exposures, responsibilities):
    r = responsibilities
    return r.mean(axis=0), r.T @ counts / (exposures @ r)[:, None]


@m_step.also
def type_by_type(counts, exposures, responsibilities):
    weights, rates = [], []
    for r in responsibilities.T:
        exposure = float(np.sum(r * exposures))
        weights.append(float(r.sum()) / len(counts))
        rates.append([float(np.sum(r * x)) / exposure if exposure else 0.0 for x in counts.T])
    return weights, rates


@m_step.also
def ratios_weighted_with_depth(counts, exposures, responsibilities):
    weight = responsibilities * exposures[:, None]
    ratios = counts / exposures[:, None]
    return responsibilities.mean(axis=0), np.nan_to_num(weight.T @ ratios / weight.sum(axis=0)[:, None])


# ---------------------------------------------------------------- 3
@exercise.function(
    returns={"table": "(A, B)", "index": "()"},
    story="""
        **The second judge.** The clusters have numbers and the cells have names, and no number belongs to a name. So
        count: `table` has a row for each cluster that occurs, in rising order, a column for each name that occurs, and
        in it the number of cells $n_{ab}$ with both. Then ask of each *pair* of cells whether it is together. With
        $\\binom{m}{2} = m (m - 1) / 2$,

        $$S = \\sum_{a, b} \\binom{n_{ab}}{2} , \\qquad S_1 = \\sum_a \\binom{n_{a \\cdot}}{2} , \\qquad
          S_2 = \\sum_b \\binom{n_{\\cdot b}}{2}$$

        are the pairs that are together in both, in one cluster, and under one name. By chance about
        $E = S_1 S_2 / \\binom{n}{2}$ pairs would be together in both, and $M = (S_1 + S_2) / 2$ is what there would be
        if the partitions were the same. The **adjusted Rand index** of Hubert and Arabie says how far the agreement got
        from the first to the second:

        $$\\mathrm{ARI} = \\frac{S - E}{M - E} .$$

        It is 1 for the same partition, about 0 for chance, and may be below. Where $M = E$ (all cells together in both,
        or none) the partitions are equal: return 1.

        The example has four clusters, which forty rounds of your two steps found in the 26 genes, and the ten names as
        numbers in alphabetical order. The index is .52.
        """,
    hints=[
        "np.unique(clusters, return_inverse=True) numbers what occurs from 0; np.add.at(table, (a, b), 1) counts.",
        "def pairs(m): return (m * (m - 1) / 2).sum(). S = pairs(table), S1 = pairs(table.sum(axis=1)), S2 = "
        "pairs(table.sum(axis=0)).",
        "expected = S1 * S2 / (n * (n - 1) / 2); most = (S1 + S2) / 2; index = 1.0 if most == expected else "
        "(S - expected) / (most - expected)",
    ],
    after="""
        Nothing in this function has seen a count or a density, and nothing in the E-step has seen a name. These are two
        judges with two questions, and the climb listens to the first only. Choose among summits by the likelihood, and
        report the index of the one that you chose: choose by the index, and it is no evidence any more.
        """,
)
def adjusted_rand(clusters, names):
    """How many cells have each cluster and name, and the adjusted Rand index.

    Parameters
    ----------
    clusters, names : array (n,) of int
        Any numbers; n is at least 2.

    Returns
    -------
    table : array (A, B) of int
        Cells with the a-th cluster and the b-th name that occur, in rising order.
    index : float
        At most 1.
    """
    values_a, a = np.unique(clusters, return_inverse=True)
    values_b, b = np.unique(names, return_inverse=True)
    table = np.zeros((len(values_a), len(values_b)), int)
    np.add.at(table, (a, b), 1)

    def pairs(m):
        return (m * (m - 1) / 2).sum()

    S1, S2, n = pairs(table.sum(axis=1)), pairs(table.sum(axis=0)), len(clusters)
    expected, most = S1 * S2 / (n * (n - 1) / 2), (S1 + S2) / 2
    return table, 1.0 if most == expected else (pairs(table) - expected) / (most - expected)


@adjusted_rand.example
def _():
    clusters, names = _clusters()
    return {"clusters": clusters, "names": names}


@adjusted_rand.draws(
    """A grey table of ten names against four clusters. Monocytes are in cluster 0, B cells in cluster 1, most dendritic
    cells in cluster 3 and the rest of them in 0. NK cells and nearly all kinds of T cells share cluster 2. The adjusted
    Rand index is 0.52."""
)
def _went_where(ax, answer, clusters, names):
    table = np.asarray(answer[0], float)
    ax.imshow(table.T / np.maximum(table.sum(axis=0)[:, None], 1), cmap="Greys", vmin=0, vmax=1, aspect="auto")
    ax.set_yticks(range(table.shape[1]), np.unique(_blood()[2])[: table.shape[1]], fontsize=8)
    ax.set_xticks(range(table.shape[0]))
    ax.set(xlabel="cluster", title=f"adjusted Rand index {float(answer[1]):.2f}")
    ax.grid(False)


@adjusted_rand.cases
def _(rng):
    def case(n, A, B, right=0.7):
        names = np.concatenate([np.arange(B), rng.integers(B, size=n - B)])
        clusters = np.where(rng.random(n) < right, names % A, rng.integers(A, size=n))
        order = rng.permutation(n)
        return {"clusters": clusters[order], "names": names[order]}

    gaps = case(30, 3, 4)
    gaps["clusters"] = np.array([-1, 4, 40])[gaps["clusters"]]
    gaps["names"] = np.array([3, 7, 8, 100])[gaps["names"]]
    same = case(24, 4, 4, right=1.0)
    same["clusters"] = rng.permutation([11, 12, 13, 15])[same["names"]]
    return {
        "sixty cells": case(60, 3, 5),
        "more clusters than names": case(50, 6, 3),
        "drawn by chance": case(40, 3, 3, right=0.0),
        "numbers with gaps": gaps,
        "the same under other numbers": same,
        "all in one cluster": {"clusters": np.full(9, 2), "names": rng.permutation(np.arange(9) % 3)},
        "each cell alone, twice": {"clusters": rng.permutation(5), "names": rng.permutation(5)},
        "two cells, together in one": {"clusters": np.array([1, 1]), "names": np.array([1, 0])},
    }


adjusted_rand.check("clusters and names", points=2, on=("sixty cells", "more clusters than names", "drawn by chance"))
adjusted_rand.check("any numbers", points=1, on=("numbers with gaps", "the same under other numbers"))
adjusted_rand.check(
    "one cluster, each cell alone, two cells",
    points=1,
    on=("all in one cluster", "each cell alone, twice", "two cells, together in one"),
)


def _pairs(m):
    return (m * (m - 1) / 2).sum()


def _judged(clusters, names, index=None, table=None):
    """The table, and an index made of (table, S, S1, S2, pairs at all, expected, most)."""
    right, value = adjusted_rand(clusters, names)
    if index is not None:
        S1, S2, every = _pairs(right.sum(axis=1)), _pairs(right.sum(axis=0)), _pairs(np.array(len(clusters)))
        with np.errstate(invalid="ignore", divide="ignore"):
            value = index(right, _pairs(right), S1, S2, every, S1 * S2 / every, (S1 + S2) / 2)
    return right if table is None else table, value


@adjusted_rand.slip(
    "This is the Rand index, not adjusted: the share of pairs about which clusters and names agree. Most pairs are "
    "apart in both, so two partitions drawn by chance already have a high one. Take off what chance would do."
)
def not_adjusted(clusters, names):
    return _judged(clusters, names, lambda table, S, S1, S2, every, E, M: (every + 2 * S - S1 - S2) / every)


@adjusted_rand.slip(
    "You counted cells whose cluster has the same number as their name. Which number a cluster got is chance. Ask of "
    "pairs of cells whether they are together; that needs no numbers."
)
def numbers_compared(clusters, names):
    value = np.mean(np.asarray(clusters) == names)
    return _judged(clusters, names, lambda *parts: value)


@adjusted_rand.slip(
    "You matched each cluster to a name and counted the cells that fit. That is an accuracy: it does not ask what "
    "becomes of the cells that do not fit, and chance has a high one too. Count pairs, and take off what chance would "
    "do."
)
def matched(clusters, names):
    from scipy.optimize import linear_sum_assignment

    def accuracy(table, *rest):
        return table[linear_sum_assignment(-table)].sum() / table.sum()

    return _judged(clusters, names, accuracy)


@adjusted_rand.slip(
    "This is the purity: each cluster counts its most frequent name. It is 1 if every cell is a cluster of its own. "
    "Count pairs, which punishes splitting as well as merging."
)
def purity(clusters, names):
    return _judged(clusters, names, lambda table, *rest: table.max(axis=1).sum() / table.sum())


@adjusted_rand.slip(
    "You took off the expected pairs but divided by all pairs (less the expected). Even the same partition would not "
    "have 1 then. The scale ends at M, the mean of S1 and S2, where S is if both are the same."
)
def over_all_pairs(clusters, names):
    return _judged(clusters, names, lambda table, S, S1, S2, every, E, M: (S - E) / (every - E) if every > E else 1.0)


@adjusted_rand.slip(
    "Cells were paired with themselves: n_ab squared has n_ab such pairs too many. The pairs among m cells are "
    "m (m - 1) / 2."
)
def squares(clusters, names):
    def index(table, *rest):
        S1, S2, n = (table.sum(axis=1) ** 2).sum(), (table.sum(axis=0) ** 2).sum(), table.sum()
        E, M = S1 * S2 / n**2, (S1 + S2) / 2
        return 1.0 if M == E else ((table**2).sum() - E) / (M - E)

    return _judged(clusters, names, index)


@adjusted_rand.slip(
    "S, S1 and S2 count each pair twice, m (m - 1), and the pairs of all cells once, n (n - 1) / 2. Then the expected "
    "pairs come out twice too large. Take m (m - 1) / 2 everywhere."
)
def pairs_counted_twice(clusters, names):
    def index(table, S, S1, S2, every, E, M):
        return (2 * S - 4 * E) / (2 * M - 4 * E) if M != 2 * E else 1.0

    return _judged(clusters, names, index)


@adjusted_rand.slip(
    "You divided by the smaller of S1 and S2 (less the expected pairs). Then clusters that are parts of the names "
    "agree perfectly, however many they are. The index of Hubert and Arabie divides by the mean of both."
)
def the_smaller_of_both(clusters, names):
    return _judged(clusters, names, lambda table, S, S1, S2, every, E, M: (S - E) / (min(S1, S2) - E) if M > E else 1.0)


@adjusted_rand.slip(
    "You divided by the larger of S1 and S2 (less the expected pairs). The index of Hubert and Arabie divides by the "
    "mean of both."
)
def the_larger_of_both(clusters, names):
    return _judged(clusters, names, lambda table, S, S1, S2, every, E, M: (S - E) / (max(S1, S2) - E) if M > E else 1.0)


@adjusted_rand.slip(
    "This is S divided by the pairs that are together in one or the other (Jaccard's index). It is not adjusted: two "
    "partitions drawn by chance have one above 0."
)
def jaccard(clusters, names):
    return _judged(clusters, names, lambda table, S, S1, S2, every, E, M: S / (S1 + S2 - S) if S1 + S2 > S else 1.0)


@adjusted_rand.slip(
    "Where all cells are together in both, or none are, the index is 0/0. The partitions are equal then: return 1."
)
def nan_where_nothing_differs(clusters, names):
    def index(table, S, S1, S2, every, E, M):
        return np.divide(S - E, M - E)

    return _judged(clusters, names, index)


@adjusted_rand.slip(
    "Your table has rows or columns for numbers that do not occur. Number what occurs first: "
    "np.unique(..., return_inverse=True)."
)
def rows_that_do_not_occur(clusters, names):
    a, b = clusters - clusters.min(), names - names.min()
    table = np.zeros((a.max() + 1, b.max() + 1), int)
    np.add.at(table, (a, b), 1)
    return _judged(clusters, names, table=table)


@adjusted_rand.slip(
    "You counted with table[a, b] += 1. Where a place occurs several times, NumPy adds only once, so your table has "
    "nothing but 0 and 1. Use np.add.at(table, (a, b), 1), or a loop."
)
def each_place_once(clusters, names):
    table, _ = adjusted_rand(clusters, names)
    table = (table > 0).astype(int)
    S1, S2, every = _pairs(table.sum(axis=1)), _pairs(table.sum(axis=0)), _pairs(np.array(len(clusters)))
    E, M = S1 * S2 / every, (S1 + S2) / 2
    return table, 1.0 if M == E else (_pairs(table) - E) / (M - E)


@adjusted_rand.also
def pair_by_pair(clusters, names):
    together, apart_a, apart_b, neither = 0, 0, 0, 0
    for i in range(len(clusters)):
        for j in range(i):
            one, two = clusters[i] == clusters[j], names[i] == names[j]
            together += int(one and two)
            apart_a += int(two and not one)
            apart_b += int(one and not two)
            neither += int(not one and not two)
    table = [
        [int(np.sum((clusters == a) & (names == b))) for b in sorted(set(names.tolist()))]
        for a in sorted(set(clusters.tolist()))
    ]
    top = 2 * (together * neither - apart_a * apart_b)
    below = (together + apart_a) * (apart_a + neither) + (together + apart_b) * (apart_b + neither)
    return table, top / below if below else 1.0


@adjusted_rand.also
def by_matrix_products(clusters, names):
    a = (clusters[:, None] == np.unique(clusters)) * 1.0
    b = (names[:, None] == np.unique(names)) * 1.0
    table = a.T @ b
    n = len(names)
    S, S1, S2 = ((m**2).sum() - n for m in (table, a.sum(axis=0), b.sum(axis=0)))
    E = S1 * S2 / (n * (n - 1))
    return table, 1 if S1 == S2 == S and S in (0, n * (n - 1)) else (S - E) / ((S1 + S2) / 2 - E)


# ---------------------------------------------------------------- 4
@exercise.function(
    returns={"seen": "(d,)", "by_poisson": "(d,)", "by_negative_binomial": "(d,)"},
    story="""
        **Count the zeros first.** Before you add a parameter for zeros, ask how many there are and how many a model
        without it expects. Gene $j$ has mean $m_j$ per unit of exposure in these cells. A Poisson expects

        $$\\sum_i e^{-e_i m_j}$$

        of them. The negative binomial of size $r_j$, whose rate varies from cell to cell, expects

        $$\\sum_i \\Bigl( \\frac{r_j}{r_j + e_i m_j} \\Bigr)^{r_j} = \\sum_i e^{-r_j \\log (1 + e_i m_j / r_j)} .$$

        Return the zeros that were seen, and both expectations. The second form is the one to compute: it stays right
        for huge sizes, where the negative binomial becomes the Poisson.

        The example has the 95 named B cells, and means and sizes as chapter 14 fitted them to CD79A, CD79B, MS4A1, LTB
        and HLA-DRA.
        """,
    hints=[
        "means_of_cells = exposures[:, None] * means has shape (n, d). All three answers are sums over the cells, "
        "axis=0.",
        "A zero has probability exp(-means_of_cells) under the Poisson.",
        "The other one is np.exp(-sizes * np.log1p(means_of_cells / sizes)).sum(axis=0).",
    ],
    after="""
        Of LTB a Poisson expects no cell without it, and 20 are seen. Whoever compares with the Poisson alone finds
        zeros without a cause in every gene whose rate varies. The negative binomial explains most of them. What is left
        is a question and not yet an answer: chapter 14 looked at *which* cells had the zeros, and they were plasma
        cells.
        """,
)
def zeros_expected(counts, exposures, means, sizes):
    """Zeros that were seen, and those that two models expect.

    Parameters
    ----------
    counts : array (n, d) of int
    exposures : array (n,)
        Above 0.
    means : array (d,)
        Of each gene, per unit of exposure.
    sizes : array (d,)
        Of the negative binomial, above 0; the larger, the less the rate varies.

    Returns
    -------
    seen : array (d,)
        Number of cells with a count of 0.
    by_poisson : array (d,)
        Expected number.
    by_negative_binomial : array (d,)
        Expected number.
    """
    of_cells = exposures[:, None] * means
    by_negative_binomial = np.exp(-sizes * np.log1p(of_cells / sizes)).sum(axis=0)
    return (counts == 0).sum(axis=0), np.exp(-of_cells).sum(axis=0), by_negative_binomial


@zeros_expected.example
def _():
    counts, exposures = _some(STARVED, NAMED[0])
    means = np.array([8.83, 5.41, 2.31, 12.57, 18.19])
    return {
        "counts": counts,
        "exposures": exposures,
        "means": means,
        "sizes": np.array([3.95, 1.32, 0.804, 0.587, 0.936]),
    }


@zeros_expected.draws(
    """Bars for five genes: zeros that were seen, and those that the Poisson and the negative binomial expect. LTB has
    20, 0 and 15 of them, MS4A1 has 34, 9 and 31. Of CD79A, CD79B and HLA-DRA, 1, 12 and 9 are seen, where the Poisson
    expects none or nearly none."""
)
def _three_bars(ax, answer, counts, exposures, means, sizes):
    from ...view import style

    place = np.arange(len(means))
    for shift, name, zeros, colour in zip(
        (-0.27, 0, 0.27), ("seen", "Poisson", "negative binomial"), answer, (style.INK, *style.COLORS), strict=False
    ):
        ax.bar(place + shift, zeros, width=0.25, color=colour, label=name)
    ax.set_xticks(place, STARVED)
    ax.set(ylabel="cells without the gene")
    ax.legend(frameon=False, ncol=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))


@zeros_expected.cases
def _(rng):
    def case(n, d, exposures=None, sizes=None):
        means, sizes = rng.gamma(2.0, 1.5, size=d) + 0.1, rng.uniform(0.4, 4.0, size=d) if sizes is None else sizes
        e = np.round(np.exp(rng.normal(0, 0.7, size=n)), 3) if exposures is None else exposures
        spread = rng.gamma(np.minimum(sizes, 1e3), 1 / np.minimum(sizes, 1e3), size=(n, d))
        return {"counts": rng.poisson(e[:, None] * means * spread), "exposures": e, "means": means, "sizes": sizes}

    empty = case(16, 3)
    empty["counts"][:, 0] = 0
    empty["counts"][:, 2] += 1
    empty["means"][0] = 0.0
    return {
        "fifty cells": case(50, 4),
        "whole numbers": case(20, 3, rng.permutation(np.arange(20) % 4 + 1), np.array([1, 2, 5])),
        "one cell": case(1, 2, np.array([1.7])),
        "a gene that nobody shows, and one that everybody does": empty,
        "huge sizes": case(30, 3, sizes=np.array([1e19, 1e20, 1e21])),
    }


zeros_expected.check(
    "cells of different depth",
    points=2,
    on=("fifty cells", "whole numbers", "one cell", "a gene that nobody shows, and one that everybody does"),
)
zeros_expected.check("sizes so large that it is a Poisson", points=1, on=("huge sizes", "fifty cells"))


def _zeros(counts, exposures, means, sizes, poisson=None, nb=None):
    """Zeros, with other probabilities (n, d) of one if given."""
    of_cells = exposures[:, None] * means
    poisson = np.exp(-of_cells) if poisson is None else poisson
    nb = np.exp(-sizes * np.log1p(of_cells / sizes)) if nb is None else nb
    return (counts == 0).sum(axis=0), poisson.sum(axis=0), nb.sum(axis=0)


@zeros_expected.slip(
    "The exposures are not used: you expect as many zeros in deep cells as in shallow ones. The mean of gene j in cell "
    "i is exposures[i] * means[j]."
)
def zeros_without_exposure(counts, exposures, means, sizes):
    return _zeros(counts, np.ones(len(counts)), means, sizes)


@zeros_expected.slip(
    "You computed the zeros of a cell of mean depth, n times. Zeros fall off steeply with the depth, so the shallow "
    "cells have more of them than the deep ones lack: compute a probability for each cell, and add up."
)
def at_the_mean_depth(counts, exposures, means, sizes):
    return _zeros(counts, np.full(len(counts), exposures.mean()), means, sizes)


@zeros_expected.slip("These are shares of the cells. Numbers were asked for: sum over the cells.")
def shares_of_cells(counts, exposures, means, sizes):
    return tuple(part / len(counts) for part in _zeros(counts, exposures, means, sizes))


@zeros_expected.slip(
    "The power is missing: r / (r + e m) is the probability of one failure, and a zero of size r needs it to the power "
    "r."
)
def without_the_power(counts, exposures, means, sizes):
    return _zeros(counts, exposures, means, sizes, nb=sizes / (sizes + exposures[:, None] * means))


@zeros_expected.slip(
    "The probability is turned over: e m / (r + e m) grows with the mean, and zeros become rarer. It is r / (r + e m), "
    "to the power r."
)
def probability_turned_over(counts, exposures, means, sizes):
    of_cells = exposures[:, None] * means
    return _zeros(counts, exposures, means, sizes, nb=(of_cells / (sizes + of_cells)) ** sizes)


@zeros_expected.slip(
    "The size was multiplied by the exposure. The size says how much the rate varies from cell to cell, and that is no "
    "matter of how deep we look: the exposure belongs to the mean alone."
)
def size_times_exposure(counts, exposures, means, sizes):
    e = exposures[:, None]
    return _zeros(counts, exposures, means, sizes, nb=np.exp(-e * sizes * np.log1p(means / sizes)))


@zeros_expected.slip(
    "For huge sizes your numbers are wrong: r + e m is r in the computer, so r / (r + e m) is 1, and so is its power. "
    "Write exp(-r log1p(e m / r))."
)
def power_of_nearly_one(counts, exposures, means, sizes):
    return _zeros(counts, exposures, means, sizes, nb=(sizes / (sizes + exposures[:, None] * means)) ** sizes)


@zeros_expected.slip(
    "The Poisson's zeros come from one probability for all cells of a gene, at the mean count of the data. Use the "
    "means that are given, and each cell's exposure."
)
def from_the_mean_count(counts, exposures, means, sizes):
    poisson = np.broadcast_to(np.exp(-counts.mean(axis=0)), counts.shape)
    return _zeros(counts, exposures, means, sizes, poisson=poisson)


@zeros_expected.slip(
    "You computed the means from the counts, molecules over exposure. The means are given, for in a negative binomial "
    "fit they are not quite these: use them."
)
def own_means(counts, exposures, means, sizes):
    return _zeros(counts, exposures, counts.sum(axis=0) / exposures.sum(), sizes)


@zeros_expected.slip("You counted the cells that do show the gene. Zeros were asked for: counts == 0.")
def shown_at_all(counts, exposures, means, sizes):
    seen, *others = _zeros(counts, exposures, means, sizes)
    return len(counts) - seen, *others


@zeros_expected.slip(
    "The expected zeros of the two models are exchanged. The negative binomial, whose rate varies, has the more of "
    "them."
)
def models_exchanged(counts, exposures, means, sizes):
    seen, poisson, nb = _zeros(counts, exposures, means, sizes)
    return seen, nb, poisson


@zeros_expected.also
def zeros_gene_by_gene(counts, exposures, means, sizes):
    from math import exp, log1p

    seen, poisson, nb = [], [], []
    for j in range(len(means)):
        seen.append(sum(1 for x in counts[:, j] if x == 0))
        poisson.append(sum(exp(-e * means[j]) for e in exposures))
        nb.append(sum(exp(-sizes[j] * log1p(e * means[j] / sizes[j])) for e in exposures))
    return seen, poisson, nb


# ---------------------------------------------------------------- 5
@exercise.function(
    returns={"structural": "(n, d)", "new_inflation": "(d,)", "new_rates": "(d,)", "log_likelihood": "()"},
    story="""
        **One step for structural zeros.** Perhaps some reactions failed: whatever was in the cell, nothing could be
        counted. In cells of one type, let a count of gene $j$ be such a *structural* zero with probability $\\pi_j$,
        `inflation`, and otherwise Poisson with mean $e_i \\lambda_j$. Hidden is, for every entry of the table, whether
        it was one.

        A count above zero was not: $s_{ij} = 0$. For a zero, Bayes' rule:

        $$s_{ij} = \\frac{\\pi_j}{\\pi_j + (1 - \\pi_j)\\, e^{-e_i \\lambda_j}} .$$

        The M-step divides what it always divides, with the structural share taken out of the exposure:

        $$\\pi_j = \\frac1n \\sum_i s_{ij} , \\qquad
          \\lambda_j = \\frac{\\sum_i x_{ij}}{\\sum_i (1 - s_{ij})\\, e_i} .$$

        Return $s$, both new parameters, and the log-likelihood of all entries at the parameters *given*: of a zero it
        is $\\log (\\pi_j + (1 - \\pi_j) e^{-e_i \\lambda_j})$, of another count $\\log (1 - \\pi_j)$ and the logarithm
        of its Poisson probability. Where $\\pi_j$ is 0 nothing is structural, even in a cell so deep that
        $e^{-e_i \\lambda_j}$ is 0 in the computer: work with logarithms there.

        The example has CD79A, MS4A1 and LTB of the 95 named B cells, inflation .1 everywhere, and rates as if no zero
        were structural. Look at the zeros of MS4A1: the deeper the cell, the more suspicious its zero.
        """,
    hints=[
        "means = exposures[:, None] * rates is (n, d). The Poisson's way to a count: logs = np.log(1 - inflation) + "
        "xlogy(counts, means) - means - gammaln(counts + 1), from scipy.special.",
        "Both ways to a zero: either = np.logaddexp(np.log(inflation), logs). Then s = np.where(counts == 0, "
        "np.exp(np.log(inflation) - either), 0), and the log-likelihood is np.where(counts == 0, either, logs).sum().",
        "new_rates = counts.sum(axis=0) / ((1 - s) * exposures[:, None]).sum(axis=0). The counts need no factor 1 - s: "
        "where s is not 0, the count is.",
    ],
    after="""
        Every zero of LTB is structural here, with a probability above .99. The gain in log-likelihood is real, and
        *structural* is only a name for it. Chapter 14 found another: all 20 cells without LTB are among the 31 that
        the mixture of principal components had set apart, which had lost MS4A1 and most of HLA-DRA as well. A failed
        reaction strikes one gene of one cell, and would not know what happened to the others.
        """,
    compare=FINE,
)
def zero_step(counts, exposures, inflation, rates):
    """One step of EM for a zero-inflated Poisson of cells of one type.

    Parameters
    ----------
    counts : array (n, d) of int
    exposures : array (n,)
        Above 0.
    inflation : array (d,)
        Probability of a structural zero, at least 0 and below 1.
    rates : array (d,)
        Per unit of exposure, above 0.

    Returns
    -------
    structural : array (n, d)
        Probability that the entry was a structural zero.
    new_inflation, new_rates : array (d,)
        After the step.
    log_likelihood : float
        Of all entries, at the parameters given.
    """
    from scipy.special import gammaln, xlogy

    means = exposures[:, None] * rates
    logs = np.log(1 - inflation) + xlogy(counts, means) - means - gammaln(counts + 1)
    with np.errstate(divide="ignore"):  # an inflation of 0
        either = np.logaddexp(np.log(inflation), logs)
        s = np.where(counts == 0, np.exp(np.log(inflation) - either), 0.0)
    new_rates = counts.sum(axis=0) / ((1 - s) * exposures[:, None]).sum(axis=0)
    return s, s.mean(axis=0), new_rates, np.where(counts == 0, either, logs).sum()


@zero_step.example
def _():
    counts, exposures = _some(("CD79A", "MS4A1", "LTB"), NAMED[0])
    rates = counts.sum(axis=0) / exposures.sum()
    return {"counts": counts, "exposures": exposures, "inflation": np.full(3, 0.1), "rates": rates}


@zero_step.draws(
    """The probability that a zero is structural against the exposure of its cell. For MS4A1 it rises from .32 in the
    shallowest cell to .98 in the deepest. The zeros of LTB, and the only one of CD79A, are all at 1."""
)
def _suspicious(ax, answer, counts, exposures, inflation, rates):
    from ...view import style

    s = np.asarray(answer[0])
    for j, name in enumerate(("CD79A", "MS4A1", "LTB")):
        zero = counts[:, j] == 0
        hollow = {"mfc": "none"} if j == 0 else {}  # its only zero lies on one of LTB
        ax.plot(exposures[zero], s[zero, j], "osD"[j], color=style.COLORS[j], ms=(9, 5, 5)[j], label=name, **hollow)
    ax.set(xlabel="exposure of the cell", ylabel="structural, given that it is 0", ylim=(0, 1.05))
    ax.legend(frameon=False)


@zero_step.cases
def _(rng):
    def case(n, d, exposures=None, inflation=None):
        inflation = rng.uniform(0.1, 0.5, size=d) if inflation is None else inflation
        rates = rng.uniform(0.8, 3.0, size=d)
        e = np.round(np.exp(rng.normal(0, 0.5, size=n)), 3) if exposures is None else exposures
        x = rng.poisson(e[:, None] * rates * rng.uniform(0.7, 1.4, size=d)) * (rng.random((n, d)) > inflation)
        x[0], x[-1] = 0, x[-1] + 1
        return {"counts": x, "exposures": e, "inflation": inflation, "rates": rates}

    never = case(20, 3)
    never["counts"][:, 1] = 0
    deep = case(12, 2, np.append(rng.uniform(900, 2000, size=4), rng.uniform(0.4, 2, size=8)), np.array([0.0, 0.3]))
    deep["rates"] = rng.uniform(0.9, 1.8, size=2)
    deep["counts"][:4] = rng.poisson(deep["exposures"][:4, None] * deep["rates"])
    deep["counts"][0] = 0
    return {
        "forty cells": case(40, 3),
        "whole numbers as exposures": case(24, 2, rng.permutation(np.arange(24) % 3 + 1)),
        "one gene": case(15, 1),
        "a gene that nobody shows": never,
        "deep cells, and an inflation of zero": deep,
    }


zero_step.check("cells of different depth", points=4, on=("forty cells", "whole numbers as exposures", "one gene"))
zero_step.check(
    "a gene that nobody shows, a deep zero",
    points=1,
    on=("a gene that nobody shows", "deep cells, and an inflation of zero"),
)


def _inflated(counts, exposures, inflation, rates, s=None, new=None, new_rates=None, value=None):
    """A step, with parts given; `s` alters the M-step too."""
    right, _, _, right_value = zero_step(counts, exposures, inflation, rates)
    s = right if s is None else s
    with np.errstate(divide="ignore", invalid="ignore"):
        own = counts.sum(axis=0) / ((1 - s) * exposures[:, None]).sum(axis=0)
    return (
        s,
        s.mean(axis=0) if new is None else new,
        own if new_rates is None else new_rates,
        right_value if value is None else value,
    )


@zero_step.slip(
    "All zeros are structural in your answer. A cell that is looked into for a moment shows no molecule of a rare gene "
    "either: share each zero out between the two causes by Bayes' rule."
)
def all_zeros_structural(counts, exposures, inflation, rates):
    return _inflated(counts, exposures, inflation, rates, s=(counts == 0) * 1.0)


@zero_step.slip(
    "Counts above zero have a structural share in your answer. A molecule that was counted proves that the reaction "
    "worked: s is 0 there."
)
def above_zero_too(counts, exposures, inflation, rates):
    means = exposures[:, None] * rates
    s = inflation / (inflation + (1 - inflation) * np.exp(-means))
    return _inflated(counts, exposures, inflation, rates, s=s)


@zero_step.slip(
    "Each count above zero was held against its own Poisson probability and got a structural share. The structural "
    "component puts all its mass on zero, so s is 0 wherever the count is not."
)
def mass_on_every_count(counts, exposures, inflation, rates):
    p = np.exp(_logs(counts, _means(exposures, rates[None]))[:, 0])
    return _inflated(counts, exposures, inflation, rates, s=inflation / (inflation + (1 - inflation) * p))


@zero_step.slip(
    "Every zero is structural with probability pi, as it was before anybody looked. That it *is* a zero is evidence: "
    "divide pi by the probability of a zero, pi + (1 - pi) exp(-e rate)."
)
def no_evidence(counts, exposures, inflation, rates):
    return _inflated(counts, exposures, inflation, rates, s=np.where(counts == 0, inflation, 0.0))


@zero_step.slip(
    "The weights are missing from the E-step: you compared 1 with exp(-e rate) as if both causes were equally common. "
    "They are weighted with pi and 1 - pi."
)
def causes_not_weighted(counts, exposures, inflation, rates):
    s = np.where(counts == 0, 1 / (1 + np.exp(-exposures[:, None] * rates)), 0.0)
    return _inflated(counts, exposures, inflation, rates, s=s)


@zero_step.slip(
    "In the E-step the Poisson's part has no weight: it is (1 - pi) exp(-e rate), since pi is spent on the other cause."
)
def one_weight_only(counts, exposures, inflation, rates):
    s = np.where(counts == 0, inflation / (inflation + np.exp(-exposures[:, None] * rates)), 0.0)
    return _inflated(counts, exposures, inflation, rates, s=s)


@zero_step.slip("This is the probability that a zero is *not* structural. The structural share has pi above the line.")
def not_structural(counts, exposures, inflation, rates):
    s = zero_step(counts, exposures, inflation, rates)[0]
    return _inflated(counts, exposures, inflation, rates, s=np.where(counts == 0, 1 - s, 0.0))


@zero_step.slip(
    "The exposures are missing from the E-step. A zero is far more suspicious in a deep cell than in a shallow one: "
    "its Poisson probability is exp(-e rate)."
)
def suspicious_at_any_depth(counts, exposures, inflation, rates):
    s = np.where(counts == 0, inflation / (inflation + (1 - inflation) * np.exp(-rates)), 0.0)
    return _inflated(counts, exposures, inflation, rates, s=s)


@zero_step.slip("Each zero was decided, structural or not. Most zeros are open; keep the probability.")
def zeros_decided(counts, exposures, inflation, rates):
    s = np.round(zero_step(counts, exposures, inflation, rates)[0])
    return _inflated(counts, exposures, inflation, rates, s=s)


@zero_step.slip(
    "The rate is molecules over the whole exposure. Where a zero was structural nobody was looking: take its share "
    "out, and the denominator is the sum of (1 - s) e."
)
def exposure_kept(counts, exposures, inflation, rates):
    return _inflated(counts, exposures, inflation, rates, new_rates=counts.sum(axis=0) / exposures.sum())


@zero_step.slip(
    "The rate is molecules per cell that is not structural, the sum of 1 - s. Cells were looked into more and less "
    "deeply: the denominator is the sum of (1 - s) e."
)
def cells_instead_of_exposure(counts, exposures, inflation, rates):
    s = zero_step(counts, exposures, inflation, rates)[0]
    return _inflated(counts, exposures, inflation, rates, new_rates=counts.sum(axis=0) / (1 - s).sum(axis=0))


@zero_step.slip(
    "The rate is a mean of quotients, counts over exposures. Then a shallow cell has as much say as a deep one: add up "
    "molecules, add up (1 - s) e, and divide once."
)
def mean_of_quotients(counts, exposures, inflation, rates):
    own = 1 - zero_step(counts, exposures, inflation, rates)[0]
    new = (own * counts / exposures[:, None]).sum(axis=0) / own.sum(axis=0)
    return _inflated(counts, exposures, inflation, rates, new_rates=new)


@zero_step.slip(
    "The rate was taken from the cells with a count above zero only. Some zeros belong to the Poisson as well; without "
    "them its rate is too high. Each cell gives (1 - s) e to the denominator, zeros included."
)
def positive_counts_only(counts, exposures, inflation, rates):
    new = _over(counts.sum(axis=0), ((counts > 0) * exposures[:, None]).sum(axis=0))
    return _inflated(counts, exposures, inflation, rates, new_rates=new)


@zero_step.slip(
    "The new inflation is the structural part *of the zeros*. It is a probability of each count, zero or not: divide "
    "by the number of cells."
)
def of_the_zeros(counts, exposures, inflation, rates):
    s = zero_step(counts, exposures, inflation, rates)[0]
    return _inflated(counts, exposures, inflation, rates, new=s.sum(axis=0) / np.maximum((counts == 0).sum(axis=0), 1))


@zero_step.slip("The new inflation is the share of zeros. Only a part of them is structural: the mean of s.")
def share_of_zeros(counts, exposures, inflation, rates):
    return _inflated(counts, exposures, inflation, rates, new=(counts == 0).mean(axis=0))


@zero_step.slip(
    "You returned expected numbers of structural zeros. Divide by the number of cells: the inflation is a probability."
)
def numbers_of_zeros(counts, exposures, inflation, rates):
    s = zero_step(counts, exposures, inflation, rates)[0]
    return _inflated(counts, exposures, inflation, rates, new=s.sum(axis=0))


@zero_step.slip(
    "The log-likelihood is that of a plain Poisson. A zero has two causes, pi + (1 - pi) exp(-e rate), and any other "
    "count the weight 1 - pi."
)
def value_of_a_poisson(counts, exposures, inflation, rates):
    value = _logs(counts, _means(exposures, rates[None])).sum()
    return _inflated(counts, exposures, inflation, rates, value=value)


@zero_step.slip(
    "In the log-likelihood, counts above zero lack the weight 1 - pi: their reaction worked, and that had a "
    "probability."
)
def value_without_the_weight(counts, exposures, inflation, rates):
    value = zero_step(counts, exposures, inflation, rates)[3]
    value = value - np.where(counts == 0, 0.0, np.log(1 - inflation)).sum()
    return _inflated(counts, exposures, inflation, rates, value=value)


@zero_step.slip("The log-likelihood lacks log x!. The Poisson probability of a count has it: subtract gammaln(x + 1).")
def value_without_the_factorial(counts, exposures, inflation, rates):
    from scipy.special import gammaln

    value = zero_step(counts, exposures, inflation, rates)[3] + gammaln(counts + 1.0).sum()
    return _inflated(counts, exposures, inflation, rates, value=value)


@zero_step.slip(
    "The log-likelihood has only the counts above zero. A zero has a probability too, pi + (1 - pi) exp(-e rate)."
)
def value_of_molecules(counts, exposures, inflation, rates):
    logs = np.log(1 - inflation) + _logs(counts, _means(exposures, rates[None]))[:, 0]
    return _inflated(counts, exposures, inflation, rates, value=logs[counts > 0].sum())


@zero_step.slip(
    "The log-likelihood is that at the *new* parameters. What a step reports belongs to the parameters that it was "
    "given."
)
def value_one_step_ahead(counts, exposures, inflation, rates):
    s, new, new_rates, _ = zero_step(counts, exposures, inflation, rates)
    return s, new, new_rates, zero_step(counts, exposures, new, new_rates)[3]


@zero_step.slip(
    "A zero in a deep cell has the Poisson probability exp(-1000), which is 0 in the computer. Where pi is 0 too, s is "
    "0/0. Stay in logarithms: s = exp(log pi - logaddexp(log pi, log(1 - pi) - e rate))."
)
def nothing_over_nothing(counts, exposures, inflation, rates):
    zero = inflation + (1 - inflation) * np.exp(-exposures[:, None] * rates)
    return _inflated(counts, exposures, inflation, rates, s=np.where(counts == 0, inflation / zero, 0.0))


@zero_step.slip(
    "You took the logarithm of a probability of zero. In a deep cell exp(-e rate) is 0 in the computer, and where pi "
    "is 0 too, s is 0/0 and the log-likelihood minus infinity. Stay in logarithms: np.logaddexp(log pi, log(1 - pi) - "
    "e rate), from which s follows as well."
)
def logarithm_of_nothing(counts, exposures, inflation, rates):
    means = exposures[:, None] * rates
    logs = np.log(1 - inflation) + _logs(counts, means[:, None])[:, 0]
    value = np.where(counts == 0, np.log(inflation + (1 - inflation) * np.exp(-means)), logs).sum()
    zero = inflation + (1 - inflation) * np.exp(-means)
    return _inflated(counts, exposures, inflation, rates, s=np.where(counts == 0, inflation / zero, 0.0), value=value)


@zero_step.also
def entry_by_entry(counts, exposures, inflation, rates):
    from math import exp, lgamma, log

    n, d = counts.shape
    s, value = np.zeros((n, d)), 0.0
    for i in range(n):
        for j in range(d):
            m, p, x = exposures[i] * rates[j], inflation[j], counts[i, j]
            if x:
                value += log(1 - p) + x * log(m) - m - lgamma(x + 1)
            elif p:
                s[i, j] = p / (p + (1 - p) * exp(-m))
                value += log(p / s[i, j])
            else:
                value -= m
    rate = [float(counts[:, j].sum() / ((1 - s[:, j]) * exposures).sum()) for j in range(d)]
    return s.tolist(), (s.sum(axis=0) / n).tolist(), rate, value


# ---------------------------------------------------------------- 6
@exercise.function(
    returns={"chances": "(C,)", "means": "(C, d)"},
    story="""
        **Two cells in one droplet.** A droplet holds two cells with probability $\\delta$, `doublet_rate`, of types
        drawn independently with probabilities $w$. One cell of type $k$ shows $\\lambda_{kj}$ molecules of gene $j$ per
        unit of exposure, and two cells show the sum,

        $$c\\, (\\lambda_{aj} + \\lambda_{bj}) ,$$

        where $c$, `share`, is 1 if exposures are known otherwise, and 1/2 if the exposure is the droplet's own total,
        of which each cell has made half. So a doublet is one more component, without a parameter of its own.

        List the *contents* that a droplet can have: first the K types, then the pairs $a \\le b$, in the order (0, 0),
        (0, 1), ..., (0, K - 1), (1, 1), and so on, which is that of `np.triu_indices(K)`. Return how probable each
        content is, and its rates. The two cells of a pair have no order: $(a, b)$ stands for itself and for $(b, a)$.

        The example has B cells, NK cells and monocytes in five genes, a doublet rate of .05, and exposures that are
        totals.
        """,
    hints=[
        "a, b = np.triu_indices(K) are the types of the first and the second cell of each pair, 0-0 and 1-1 among "
        "them.",
        "Two different types come in two orders, two equal ones in one: doublet_rate * weights[a] * weights[b] * "
        "np.where(a == b, 1, 2). The chances of all contents sum to one.",
        "np.concatenate([(1 - doublet_rate) * weights, pairs]) and np.concatenate([rates, share * (rates[a] + "
        "rates[b])])",
    ],
    after="""
        These K (K + 3) / 2 components go into the `e_step` as they are, with `chances` as weights. Look at the pair of
        two B cells when the exposure is the total: its rates are those of one B cell. Half of one profile plus half of
        the same is that profile, and no number of genes will find these doublets.
        """,
)
def contents(weights, rates, doublet_rate, share):
    """What a droplet can hold: one cell or two.

    Parameters
    ----------
    weights : array (K,)
        Shares of the types; they sum to one.
    rates : array (K, d)
        Molecules of one cell, per unit of exposure.
    doublet_rate : float
        Probability of two cells, from 0 to 1.
    share : float
        What each cell of a doublet gives: 1, or 1/2 of a droplet whose total is its exposure.

    Returns
    -------
    chances : array (C,)
        Of the K types, then of the K (K + 1) / 2 pairs; they sum to one.
    means : array (C, d)
        Molecules of the droplet, per unit of exposure.
    """
    a, b = np.triu_indices(len(weights))
    pairs = doublet_rate * weights[a] * weights[b] * np.where(a == b, 1, 2)
    chances = np.concatenate([(1 - doublet_rate) * weights, pairs])
    return chances, np.concatenate([rates, share * (rates[a] + rates[b])])


@contents.example
def _():
    weights, rates = _three_types()
    return {"weights": weights, "rates": rates, "doublet_rate": 0.05, "share": 0.5}


@contents.cases
def _(rng):
    def case(K, d, share, doublet_rate=None):
        weights, rates = _types(rng, K, d)
        rate = rng.uniform(0.05, 0.4) if doublet_rate is None else doublet_rate
        return {"weights": weights, "rates": rates, "doublet_rate": rate, "share": share}

    whole = case(2, 3, 1)
    whole["rates"] = np.array([[9, 0, 4], [1, 12, 0]]) + rng.integers(3, size=(2, 3))
    absent = case(3, 2, 0.5)
    absent["weights"] = rng.permutation([0.0, 0.3, 0.7])
    return {
        "three types": case(3, 4, 1.0),
        "four types, shares of a half": case(4, 3, 0.5),
        "whole numbers": whole,
        "one type": case(1, 3, 0.5),
        "a type that is absent": absent,
        "no doublets": case(3, 2, 1.0, 0.0),
        "doublets only": case(2, 3, 0.7, 1.0),
    }


contents.check("three types and four", points=2, on=("three types", "four types, shares of a half", "whole numbers"))
contents.check(
    "one type, an absent one, no doublets and nothing else",
    points=1,
    on=("one type", "a type that is absent", "no doublets", "doublets only"),
)


def _held(weights, rates, doublet_rate, share, times=None, single=None, two=None, order=None):
    """Contents, with parts given: factors of pairs, chances of types, rates of pairs, the order of pairs."""
    a, b = np.triu_indices(len(weights)) if order is None else order
    times = np.where(a == b, 1, 2) if times is None else times
    single = (1 - doublet_rate) * weights if single is None else single
    two = share * (rates[a] + rates[b]) if two is None else two
    return np.concatenate([single, doublet_rate * weights[a] * weights[b] * times]), np.concatenate([rates, two])


@contents.slip(
    "Pairs of different types are counted once. The first cell may be the B cell or the second: two orders, 2 w_a w_b. "
    "Your chances do not sum to one."
)
def pairs_counted_once(weights, rates, doublet_rate, share):
    return _held(weights, rates, doublet_rate, share, times=1)


@contents.slip(
    "Pairs of one type are counted twice. Two B cells come in one order only: w_a squared, without the 2. Your chances "
    "do not sum to one."
)
def equal_pairs_counted_twice(weights, rates, doublet_rate, share):
    return _held(weights, rates, doublet_rate, share, times=2)


@contents.slip(
    "Your pairs are of different types only. Two cells of one type share a droplet as well, and more often so if the "
    "type is common: np.triu_indices(K), without k=1."
)
def different_types_only(weights, rates, doublet_rate, share):
    return _held(weights, rates, doublet_rate, share, order=np.triu_indices(len(weights), 1))


@contents.slip(
    "You listed every pair in both orders. They look the same in the data; keep a <= b, and give the different ones "
    "their two orders as a factor 2."
)
def both_orders(weights, rates, doublet_rate, share):
    K = len(weights)
    return _held(weights, rates, doublet_rate, share, times=1, order=np.divmod(np.arange(K * K), K))


@contents.slip(
    "The pairs are in the order of np.tril_indices: (0, 0), (0, 1), (1, 1), (0, 2). The first type should run slowest, "
    "as np.triu_indices has it."
)
def other_order(weights, rates, doublet_rate, share):
    return _held(weights, rates, doublet_rate, share, order=np.tril_indices(len(weights)))


@contents.slip(
    "The rates of a doublet are averaged. Two cells show the molecules of both: the sum of their rates, times `share`. "
    "(It is an average where the share is 1/2, and only there.)"
)
def averaged(weights, rates, doublet_rate, share):
    a, b = np.triu_indices(len(weights))
    return _held(weights, rates, doublet_rate, share, two=(rates[a] + rates[b]) / 2)


@contents.slip(
    "`share` is not used. If the exposure is the droplet's own total, each cell has made only half of it: multiply the "
    "sum of the rates by the share."
)
def share_forgotten(weights, rates, doublet_rate, share):
    return _held(weights, rates, doublet_rate, 1.0)


@contents.slip("The share was applied twice: you averaged the rates and multiplied by it. Add the two rates.")
def share_of_an_average(weights, rates, doublet_rate, share):
    return _held(weights, rates, doublet_rate, share / 2)


@contents.slip("Single cells were multiplied by the share as well. A cell that is alone has made all of its droplet.")
def share_of_single_cells(weights, rates, doublet_rate, share):
    chances, means = _held(weights, rates, doublet_rate, share)
    return chances, np.concatenate([share * rates, means[len(rates) :]])


@contents.slip(
    "The single cells lack the factor 1 - doublet_rate: together with the pairs, your chances sum to more than one."
)
def singles_in_full(weights, rates, doublet_rate, share):
    return _held(weights, rates, doublet_rate, share, single=weights)


@contents.slip(
    "The rates of a doublet are multiplied with each other. Its molecules are those of the one cell *and* those of the "
    "other: add."
)
def multiplied(weights, rates, doublet_rate, share):
    a, b = np.triu_indices(len(weights))
    return _held(weights, rates, doublet_rate, share, two=share * rates[a] * rates[b])


@contents.slip(
    "All pairs are equally probable in your answer. Two common types meet more often than two rare ones: w_a w_b, "
    "twice that if they differ."
)
def all_pairs_alike(weights, rates, doublet_rate, share):
    chances, means = _held(weights, rates, doublet_rate, share)
    C = len(chances) - len(weights)
    return np.concatenate([(1 - doublet_rate) * weights, np.full(C, doublet_rate / C)]), means


@contents.also
def content_by_content(weights, rates, doublet_rate, share):
    K = len(weights)
    chances = [float((1 - doublet_rate) * w) for w in weights]
    means = [rate.tolist() for rate in rates]
    for a in range(K):
        for b in range(a, K):
            chances.append(float(doublet_rate * weights[a] * weights[b] * (2 if a < b else 1)))
            means.append((share * rates[a] + share * rates[b]).tolist())
    return chances, means


# ---------------------------------------------------------------- 7
@exercise.function(
    returns={"doublet_rate": "()", "weights": "(K,)", "new_rates": "(K, d)"},
    story="""
        **Deal the molecules out.** The E-step has told how probably each droplet holds which content:
        `responsibilities` (n, C), in the order of `contents`. For the M-step you need droplets, cells and molecules.
        The molecules of a doublet came from two cells, and nobody saw from which. But one of gene $j$ in a droplet with
        types $a$ and $b$ came from $a$ with probability

        $$\\frac{\\lambda_{aj}}{\\lambda_{aj} + \\lambda_{bj}} ,$$

        gene by gene. Deal them out in these shares. A single cell brings its type one cell, the exposure $e_i$ and all
        molecules; a doublet brings *two* cells, each with the exposure $c\\, e_i$ and its part of the molecules. With
        $N_k$ cells, $E_k$ exposure and $X_{kj}$ molecules of type $k$, expected and summed over all droplets,

        $$\\delta = \\frac1n \\sum_i \\sum_{a \\le b} r_{i,ab} , \\qquad w_k = \\frac{N_k}{\\sum_l N_l} , \\qquad
          \\lambda_{kj} = \\frac{X_{kj}}{E_k} .$$

        A gene that neither type of a pair shows leaves nothing to deal out, and a type with no cell has rates 0.

        The example has two B cells, two monocytes, and two sums of one of each, with `share` 1/2, and the E-step's
        responsibilities for the contents B, monocyte and their three pairs. Both sums are found. But so is the first B
        cell, with .72: it shows little CD79A for its depth, and "a B cell and a monocyte" says so.
        """,
    hints=[
        "Split the responsibilities: one = responsibilities[:, :K] and two = responsibilities[:, K:], whose columns "
        "are a, b = np.triu_indices(K). Begin with N = one.sum(axis=0), E = exposures @ one, X = one.T @ counts.",
        "pairs = two.sum(axis=0), depth = share * (exposures @ two), molecules = two.T @ counts belong to each pair. "
        "from_a = molecules * rates[a] / (rates[a] + rates[b]), and the rest is from b.",
        "A type is in several pairs, and twice in the pair with itself. So add with np.add.at(N, a, pairs) and "
        "np.add.at(N, b, pairs), likewise E with depth, and X with from_a and molecules - from_a; N[a] += pairs would "
        "add only one of them.",
    ],
    after="""
        Every molecule is dealt to somebody: the X of all types sum to the molecules of all droplets, and the N to the
        droplets and once more the doublets. Such sums are worth an assertion, for a doublet that is dealt out wrongly
        still climbs for a while.

        And mind what the model makes of scatter. It has no words for "a B cell with much LTB" but "two B cells". In
        chapter 14 it called more than four in ten of the 700 untouched cells doublets. The ranking is worth more than
        the share.
        """,
)
def doublet_step(counts, exposures, responsibilities, rates, share):
    """The M-step for droplets with one cell or two.

    Parameters
    ----------
    counts : array (n, d) of int
        Molecules of each droplet.
    exposures : array (n,)
        Above 0.
    responsibilities : array (n, C)
        Of the K types, then of the pairs in the order of np.triu_indices(K); rows sum to one.
    rates : array (K, d)
        Those of the E-step, by which molecules are dealt out; some may be 0.
    share : float
        What each cell of a doublet gives.

    Returns
    -------
    doublet_rate : float
        Share of the droplets that hold two cells.
    weights : array (K,)
        Shares of the cells.
    new_rates : array (K, d)
        Molecules of one cell per unit of exposure; 0 for a type without cells.
    """
    K = len(rates)
    a, b = np.triu_indices(K)
    one, two = responsibilities[:, :K], responsibilities[:, K:]
    N, E, X = one.sum(axis=0), exposures @ one, one.T @ counts

    pairs, depth, molecules = two.sum(axis=0), share * (exposures @ two), two.T @ counts
    both = rates[a] + rates[b]
    from_a = molecules * np.divide(rates[a], both, out=np.zeros(both.shape), where=both > 0)
    for k, dealt in ((a, from_a), (b, molecules - from_a)):
        np.add.at(N, k, pairs)
        np.add.at(E, k, depth)
        np.add.at(X, k, dealt)

    E = E[:, None]
    return pairs.sum() / len(counts), N / N.sum(), np.divide(X, E, out=np.zeros(X.shape), where=E > 0)


@doublet_step.example
def _():
    counts, exposures = _droplets()
    weights, rates = _three_types()
    weights, rates = weights[[0, 2]] / weights[[0, 2]].sum(), rates[[0, 2]]
    r, _ = e_step(counts, exposures, *contents(weights, rates, 0.2, 0.5))
    return {"counts": counts, "exposures": exposures, "responsibilities": r, "rates": rates, "share": 0.5}


@doublet_step.cases
def _(rng):
    def case(n, K, d, share, exposures=None, sharpness=0.5):
        _, rates = _types(rng, K, d)
        C = K * (K + 3) // 2
        a, b = np.triu_indices(K)
        means = np.concatenate([rates, share * (rates[a] + rates[b])])
        e = np.round(np.exp(rng.normal(0, 0.5, size=n)), 3) if exposures is None else exposures
        counts = rng.poisson(e[:, None] * means[rng.integers(C, size=n)])
        r = rng.dirichlet(np.full(C, sharpness), size=n)
        return {"counts": counts, "exposures": e, "responsibilities": r, "rates": rates, "share": share}

    known = case(18, 2, 3, 1, rng.permutation(np.arange(18) % 3 + 1))
    known["responsibilities"] = np.eye(5)[rng.permutation(np.arange(18) % 5)]
    zeros = case(16, 3, 4, 0.5)
    zeros["rates"][0, 0] = zeros["rates"][1, 0] = zeros["rates"][2, 2] = 0.0
    chances, means = contents(np.full(3, 1 / 3), zeros["rates"], 0.6, 0.5)
    zeros["counts"] = rng.poisson(zeros["exposures"][:, None] * means[rng.permutation(np.arange(16) % 9)])
    zeros["responsibilities"], _ = e_step(zeros["counts"], zeros["exposures"], chances, means)
    nobody = case(12, 3, 3, 0.5)
    nobody["responsibilities"][:, [1, 4, 6, 7]] = 0.0  # all contents with type 1
    nobody["responsibilities"] /= nobody["responsibilities"].sum(axis=1, keepdims=True)
    return {
        "three types": case(30, 3, 4, 1.0),
        "two types, shares of a half": case(20, 2, 3, 0.5),
        "known contents, whole numbers": known,
        "one type": case(8, 1, 3, 0.5),
        "genes that a pair does not show": zeros,
        "a type without cells": nobody,
    }


doublet_step.check("three types, and two", points=3, on=("three types", "two types, shares of a half"))
doublet_step.check("known contents, and one type", points=1, on=("known contents, whole numbers", "one type"))
doublet_step.check(
    "genes that a pair does not show, a type without cells",
    points=1,
    on=("genes that a pair does not show", "a type without cells"),
)


def _dealt(
    counts, exposures, responsibilities, rates, share, part=None, depth=None, other=None, cells=(1, 1), one_only=False
):
    """N, E, X and the doublet rate. Of each pair, `part` (C, d) of the molecules goes to a and `other` to b."""
    K = len(rates)
    a, b = np.triu_indices(K)
    one, two = responsibilities[:, :K], responsibilities[:, K:]
    N, E, X = one.sum(axis=0), exposures @ one, one.T @ counts
    pairs, molecules = two.sum(axis=0), two.T @ counts
    depth = share * (exposures @ two) if depth is None else depth
    part = _over(rates[a], rates[a] + rates[b]) if part is None else part
    other = 1 - part if other is None else other
    for k, n, dealt in ((a, cells[0], part), (b, cells[1], other)):
        if not one_only:
            np.add.at(N, k, n * pairs)
            np.add.at(E, k, depth)
            np.add.at(X, k, dealt * molecules)
    return pairs.sum() / len(counts), N, E, X


def _estimated(delta, N, E, X):
    return delta, N / N.sum(), _over(X, E[:, None])


@doublet_step.slip(
    "Each cell of a doublet got all molecules of the droplet. Every molecule came from one of the two: deal them out."
)
def molecules_to_both(counts, exposures, responsibilities, rates, share):
    return _estimated(*_dealt(counts, exposures, responsibilities, rates, share, part=1.0, other=1.0))


@doublet_step.slip(
    "You dealt the molecules out half and half. A molecule of LYZ in a droplet with a B cell and a monocyte came from "
    "the monocyte: in proportion to the rates."
)
def half_and_half(counts, exposures, responsibilities, rates, share):
    return _estimated(*_dealt(counts, exposures, responsibilities, rates, share, part=0.5))


@doublet_step.slip(
    "All genes of a pair were dealt out in the same shares, those of the summed rates. Each gene has its own: one type "
    "may be rich in CD79A and the other in LYZ."
)
def same_shares_for_all_genes(counts, exposures, responsibilities, rates, share):
    whole = np.broadcast_to(rates.sum(axis=1, keepdims=True), rates.shape)
    a, b = np.triu_indices(len(rates))
    part = _over(whole[a], whole[a] + whole[b])
    return _estimated(*_dealt(counts, exposures, responsibilities, rates, share, part=part))


@doublet_step.slip(
    "The shares are exchanged: type a got the part of type b. A molecule came from a with probability rate a over the "
    "sum of both rates."
)
def shares_exchanged(counts, exposures, responsibilities, rates, share):
    a, b = np.triu_indices(len(rates))
    part = _over(rates[b], rates[a] + rates[b])
    return _estimated(*_dealt(counts, exposures, responsibilities, rates, share, part=part, other=1 - part))


@doublet_step.slip(
    "Only droplets with one cell were used for weights and rates. Doublets tell of their types as well, once their "
    "molecules are dealt out."
)
def single_cells_only(counts, exposures, responsibilities, rates, share):
    return _estimated(*_dealt(counts, exposures, responsibilities, rates, share, one_only=True))


@doublet_step.slip(
    "In a doublet the exposure e counts in full for each cell, whatever the share. If its mean is share times the sum "
    "of the rates, each of the two was looked into with share times e."
)
def exposure_in_full(counts, exposures, responsibilities, rates, share):
    depth = exposures @ responsibilities[:, len(rates) :]
    return _estimated(*_dealt(counts, exposures, responsibilities, rates, share, depth=depth))


@doublet_step.slip(
    "The exposure of a doublet was halved between its cells, on top of the share. Each of the two has the exposure "
    "share times e; nothing is left to be divided."
)
def exposure_halved(counts, exposures, responsibilities, rates, share):
    depth = share * (exposures @ responsibilities[:, len(rates) :]) / 2
    return _estimated(*_dealt(counts, exposures, responsibilities, rates, share, depth=depth))


@doublet_step.slip(
    "The exposures are not used: these are molecules per cell. Divide by the exposure dealt to each type."
)
def droplets_of_equal_depth(counts, exposures, responsibilities, rates, share):
    return doublet_step(counts, np.ones(len(counts)), responsibilities, rates, share)


@doublet_step.slip(
    "A doublet counts as one cell in your weights, half a cell for each type. It brings two cells: one for a and one "
    "for b, and two for a if both are equal."
)
def a_doublet_as_one_cell(counts, exposures, responsibilities, rates, share):
    return _estimated(*_dealt(counts, exposures, responsibilities, rates, share, cells=(0.5, 0.5)))


@doublet_step.slip("A doublet of two equal cells counts as one cell of its type in your weights. It brings two.")
def equal_cells_counted_once(counts, exposures, responsibilities, rates, share):
    a, b = np.triu_indices(len(rates))
    delta, N, E, X = _dealt(counts, exposures, responsibilities, rates, share)
    N = N - responsibilities[:, len(rates) :].sum(axis=0)[a == b]
    return delta, N / N.sum(), _over(X, E[:, None])


@doublet_step.slip(
    "The weights come from single cells only. A doublet brings two cells of known probabilities: count them as well."
)
def weights_of_single_cells(counts, exposures, responsibilities, rates, share):
    delta, _, E, X = _dealt(counts, exposures, responsibilities, rates, share)
    N = responsibilities[:, : len(rates)].sum(axis=0)
    return delta, _over(N, N.sum()), _over(X, E[:, None])


@doublet_step.slip("Each droplet went wholly to its most probable content. Weight it with its responsibilities.")
def contents_decided(counts, exposures, responsibilities, rates, share):
    r = np.eye(responsibilities.shape[1])[responsibilities.argmax(axis=1)]
    return doublet_step(counts, exposures, r, rates, share)


@doublet_step.slip(
    "The weights are cells per droplet, and with doublets there are more cells than droplets, so they sum to more than "
    "one. Divide by the number of cells."
)
def cells_per_droplet(counts, exposures, responsibilities, rates, share):
    delta, N, E, X = _dealt(counts, exposures, responsibilities, rates, share)
    return delta, N / len(counts), _over(X, E[:, None])


@doublet_step.slip(
    "The doublet rate is the share of *cells* that are in doublets. It was asked of droplets: the mean over droplets "
    "of the responsibilities of all pairs."
)
def share_of_cells(counts, exposures, responsibilities, rates, share):
    delta, N, E, X = _dealt(counts, exposures, responsibilities, rates, share)
    return 2 * delta / (1 + delta), N / N.sum(), _over(X, E[:, None])


@doublet_step.slip("This is the expected number of doublets. Divide by the number of droplets.")
def number_of_doublets(counts, exposures, responsibilities, rates, share):
    delta, N, E, X = _dealt(counts, exposures, responsibilities, rates, share)
    return delta * len(counts), N / N.sum(), _over(X, E[:, None])


@doublet_step.slip("This is the share of droplets with *one* cell. The doublet rate is the sum over the pairs.")
def share_of_single_cells_here(counts, exposures, responsibilities, rates, share):
    delta, N, E, X = _dealt(counts, exposures, responsibilities, rates, share)
    return 1 - delta, N / N.sum(), _over(X, E[:, None])


@doublet_step.slip(
    "Doublets of two equal cells were left out of the doublet rate. They are doublets as well, though the hardest to "
    "find."
)
def unequal_doublets_only(counts, exposures, responsibilities, rates, share):
    a, b = np.triu_indices(len(rates))
    _, N, E, X = _dealt(counts, exposures, responsibilities, rates, share)
    unequal = responsibilities[:, len(rates) :][:, a != b].sum() / len(counts)
    return unequal, N / N.sum(), _over(X, E[:, None])


@doublet_step.slip(
    "You added with N[a] += pairs. A type is in several pairs, and where an index occurs several times NumPy adds only "
    "the last: use np.add.at(N, a, pairs), or a loop over the pairs."
)
def only_the_last_pair(counts, exposures, responsibilities, rates, share):
    K = len(rates)
    a, b = np.triu_indices(K)
    one, two = responsibilities[:, :K], responsibilities[:, K:]
    N, E, X = one.sum(axis=0), exposures @ one, one.T @ counts
    molecules = two.T @ counts
    part = _over(rates[a], rates[a] + rates[b]) * molecules
    for k, dealt in ((a, part), (b, molecules - part)):
        N[k] += two.sum(axis=0)
        E[k] += share * (exposures @ two)
        X[k] += dealt
    return _estimated(two.sum() / len(counts), N, E, X)


@doublet_step.slip(
    "A gene that neither type of a pair shows makes 0/0, which is nan, though there is not one molecule to deal out: "
    "let its share be any number."
)
def nan_where_nothing_is_dealt(counts, exposures, responsibilities, rates, share):
    a, b = np.triu_indices(len(rates))
    part = rates[a] / (rates[a] + rates[b])
    return _estimated(*_dealt(counts, exposures, responsibilities, rates, share, part=part))


@doublet_step.slip("A type without cells got 0/0, which is nan and stays so for ever. Let its rates be 0.")
def nan_without_cells(counts, exposures, responsibilities, rates, share):
    delta, N, E, X = _dealt(counts, exposures, responsibilities, rates, share)
    return delta, N / N.sum(), X / E[:, None]


@doublet_step.also
def pair_after_pair(counts, exposures, responsibilities, rates, share):
    K, d = rates.shape
    N, E, X = [0.0] * K, [0.0] * K, np.zeros((K, d))
    columns = [(k,) for k in range(K)] + [(a, b) for a in range(K) for b in range(a, K)]
    doublets = 0.0
    for cells, r in zip(columns, responsibilities.T, strict=True):
        whole = sum(rates[k] for k in cells)
        for k in cells:
            N[k] += float(r.sum())
            E[k] += float(r @ exposures) * (share if len(cells) == 2 else 1)
            X[k] += (r @ counts) * (
                np.where(whole > 0, rates[k] / np.where(whole > 0, whole, 1), 0) if len(cells) == 2 else 1
            )
        doublets += float(r.sum()) if len(cells) == 2 else 0.0
    new_rates = [(X[k] / E[k] if E[k] else np.zeros(d)).tolist() for k in range(K)]
    return doublets / len(counts), [n / sum(N) for n in N], new_rates
