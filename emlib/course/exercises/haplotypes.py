"""Exercise of the chapter on haplotypes: pairs that fit, shared and counted, disequilibrium, switches, and mosaics."""

import functools

import numpy as np

from ..compare import close
from ..contract import Exercise

exercise = Exercise(
    "haplotypes",
    title="Haplotype phasing",
    minutes=100,
    part="applications",
    objectives=[
        "list the pairs of haplotypes that a genotype leaves open, also where part of it is missing;",
        "write the E-step (people shared among pairs) and the M-step (haplotypes counted over 2n);",
        "estimate haplotype frequencies of people whose phase nobody has seen, and turn them into D, D′ and r²;",
        "compare two phasings without asking which haplotype is the first;",
        "take one step of the forward sweep by which a computer phases a chromosome.",
    ],
    intro="""
        Thirty-nine people with one C and one T, and two pairs of haplotypes that fit. In the chapter EM shared them
        out. Here you write that EM for any number of loci, measure with it what two loci know of each other, and then
        go on to chromosomes: how wrong is a phasing, and how does one sum over all mosaics?

        Haplotypes are rows of 0 and 1 in an array `haplotypes` (H, L), and are spoken of by their row, from 0. A
        genotype (L,) counts the 1s of two haplotypes at each locus: 0, 1 or 2, and −1 where it is missing. `p` (H,)
        holds the frequencies of the haplotypes, in the order of their rows.
        """,
    setup="""
        # Two loci. With A and B for 0, a and b for 1, these are AB, Ab, aB and ab; for APOE they are e3, e2, e4 and e1.
        haplotypes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])

        # The ten people of the chapter: two AB/AB, one AB/Ab, one AB/aB, two ab/ab, and four of whom one cannot tell.
        ten = np.array([[0, 0], [0, 0], [0, 1], [1, 0], [2, 2], [2, 2], [1, 1], [1, 1], [1, 1], [1, 1]])
        """,
    outro="""
        Pool the populations: `haplotype_em` of `emlib.data.apoe().people()`, all 2,504 people of them. How many copies
        of e1 does it find now, and how many do the five populations have when each is on its own? The chapter says
        where the difference comes from.

        And phase by yourself. Your `forward_step`, called for one SNP after the other and rescaled each time, gives
        the likelihood of a person under mosaics of six haplotypes; keep every table, go back from the last SNP and draw
        a pair of clusters at each, and you have drawn a phase. Draw ten. On which pairs of neighbours do they agree,
        and what does `switch_errors` say of a majority vote?
        """,
)

FOUR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
TEN = np.array([[0, 0]] * 2 + [[0, 1], [1, 0]] + [[2, 2]] * 2 + [[1, 1]] * 4)

# A log-likelihood of -500 is not right if it is off by 0.05, though that is one part in ten thousand.
FINE = close(relative=1e-6)


# ---------------------------------------------------------------- inputs
def _all_haplotypes(rng, L):
    """Every row of L alleles, in any order."""
    return rng.permutation((np.arange(2**L)[:, None] >> np.arange(L)) & 1)


def _frequencies(rng, H):
    """Nothing close to zero, no two alike."""
    p = 0.2 / H + 0.8 * rng.dirichlet(np.linspace(1.0, 3.0, H))
    return p / p.sum()


def _people(rng, haplotypes, n, missing=0.0):
    """Genotypes (n, L); nobody has lost all of his."""
    mated = rng.choice(len(haplotypes), size=(n, 2), p=rng.dirichlet(np.full(len(haplotypes), 1.5)))
    G = haplotypes[mated].sum(axis=1)
    hidden = rng.random(G.shape) < missing
    hidden[:, 0] = False
    return np.where(hidden, -1, G)


def _stacked(G, haplotypes):
    """The pairs of all people, one below the other, and whose they are."""
    found = [fitting_pairs(g, haplotypes) for g in G]
    return np.concatenate(found), np.repeat(np.arange(len(found)), [len(some) for some in found])


@functools.cache
def _parents():
    """60 parents of Utah at 100 common SNPs: phases that their children tell, -1 where they do not, and genotypes."""
    from ... import data

    ceu = data.hapmap_trios("CEU")
    row = {person: i for i, person in enumerate(ceu.founders)}
    G = ceu.genotypes[ceu.founders]
    truth = np.full((len(G), 2, G.shape[1]), -1)
    for (_, one, other), told in zip(ceu.trios, ceu.transmitted, strict=True):
        truth[row[one]], truth[row[other]] = told
    share = G.mean(axis=0) / 2
    common = np.flatnonzero((np.minimum(share, 1 - share) >= 0.2) & (G >= 0).all(axis=0))[:100]
    return truth[:, :, common], G[:, common]


@functools.cache
def _chained():
    """The same people, each heterozygote laid next to the one before by the sign of the covariance of the two SNPs."""
    truth, G = _parents()
    covariance = np.cov(G.T)
    haplotypes = np.repeat((G == 2)[:, None], 2, axis=1).astype(int)
    for person, g in zip(haplotypes, G, strict=True):
        open_at = np.flatnonzero(g == 1)
        turns = np.cumsum(np.concatenate([[0], covariance[open_at[:-1], open_at[1:]] <= 0])) % 2
        person[0, open_at], person[1, open_at] = turns, 1 - turns
    return haplotypes, truth


@functools.cache
def _on_the_way(K=6, L=24):
    """A parent's genotypes as a mosaic of the haplotypes of others: what the forward sweep has before SNP L."""
    truth, G = _parents()
    others = truth[: 10 * K : 10, 0]
    whole = np.flatnonzero((others >= 0).all(axis=0))[: L + 1]
    theta = np.where(others[:, whole].T == 1, 0.99, 0.01)
    alpha, g = np.full(K, 1 / K), G[5, whole]
    F = np.outer(alpha, alpha) * _shown(g[0], theta[0])
    for at in range(1, L):
        F = _stepped(F, g[at], theta[at], 0.05, alpha)
        F = F / F.sum()
    return {"F": F, "g": int(g[L]), "theta": theta[L], "r": 0.05, "alpha": alpha}


# ---------------------------------------------------------------- the steps, as the slips vary them
def _chances(p, pairs, equal=1.0, different=2.0):
    """Hardy-Weinberg, with factors for two equal and two different haplotypes."""
    a, b = np.asarray(pairs).T
    return np.where(a == b, equal, different) * np.asarray(p)[a] * np.asarray(p)[b]


def _shared(p, pairs, person, equal=1.0, different=2.0):
    chances = _chances(p, pairs, equal, different)
    whole = np.bincount(person, chances)
    return chances / whole[person], float(np.log(whole).sum())


def _called(p, pairs, person):
    """Everybody gets the likeliest pair, the first of several."""
    chances, shares = _chances(p, pairs), np.zeros(len(pairs))
    for i in range(person.max() + 1):
        own = np.flatnonzero(person == i)
        shares[own[chances[own].argmax()]] = 1.0
    return shares


def _counted(shares, pairs, H):
    copies = np.bincount(np.ravel(pairs), np.repeat(shares, 2), minlength=H)
    return copies / copies.sum()


def _climb(G, haplotypes, start, n_iter, share=_shared):
    """`share` turns frequencies, pairs and people into shares and a log-likelihood."""
    pairs, person = _stacked(G, haplotypes)
    p = np.asarray(start, float)
    for _ in range(n_iter):
        p = _counted(share(p, pairs, person)[0], pairs, len(p))
    return p, share(p, pairs, person)[1]


def _measures(p, bound=None):
    """D, D' and r2; `bound` replaces the largest D."""
    AB, Ab, aB, ab = p
    A, B, a, b = AB + Ab, AB + aB, aB + ab, Ab + ab
    D = AB - A * B
    largest = bound(D, A, a, B, b) if bound else min(A * b, a * B) if D > 0 else min(A * B, a * b)
    return D, np.divide(D, largest), np.divide(D**2, A * a * B * b)


def _agreement(phased, truth):
    """For each person, whether the heterozygotes of known phase agree in the first haplotype."""
    known = (truth[:, 0] != truth[:, 1]) & (truth[:, 0] >= 0)
    return [mine[some] == right[some] for mine, right, some in zip(phased[:, 0], truth[:, 0], known, strict=True)]


def _turns(rows):
    """Changes within each row, and neighbours in it."""
    rows = [np.asarray(row) for row in rows]
    return sum(int((row[1:] != row[:-1]).sum()) for row in rows), sum(max(len(row) - 1, 0) for row in rows)


def _shown(g, theta):
    """Probability of a genotype for each pair of clusters."""
    if g < 0:
        return np.ones((len(theta), len(theta)))
    q, t = 1 - np.asarray(theta), np.asarray(theta)
    return (np.outer(q, q), np.outer(t, q) + np.outer(q, t), np.outer(t, t))[g]


def _moved(F, r, alpha, keep=(1, 1, 1, 1)):
    """The four terms of a step, each of which may be left out."""
    q, s = r * np.asarray(alpha), 1 - r
    terms = (
        s**2 * F,
        s * F.sum(axis=1, keepdims=True) * q,
        s * q[:, None] * F.sum(axis=0, keepdims=True),
        np.outer(q, q) * F.sum(),
    )
    return sum(one * term for one, term in zip(keep, terms, strict=True))


def _stepped(F, g, theta, r, alpha, keep=(1, 1, 1, 1)):
    return _shown(g, theta) * _moved(np.asarray(F), r, alpha, keep)


# ---------------------------------------------------------------- 1
@exercise.function(
    returns={"pairs": "(S, 2)"},
    story="""
        **Pairs that look the same.** A pair of haplotypes fits a genotype if at every locus their alleles sum to it.
        Which haplotype came from the mother cannot be seen, so $(a, b)$ and $(b, a)$ are one pair, and it is written
        with $a \\le b$. A pair may consist of twice the same haplotype. A missing genotype, −1, fits everything.

        Return all pairs that fit, as numbers of rows, sorted by $a$ and then by $b$. Of the four haplotypes of two
        loci, the rows 0 and 3 fit a double heterozygote, and so do 1 and 2. At least one pair will fit.
        """,
    hints=[
        "Go through all a, and for each through all b from a on. When do haplotypes[a] and haplotypes[b] fit?",
        "They fit if at every locus haplotypes[a] + haplotypes[b] equals the genotype, or the genotype is -1.",
        "a, b = np.triu_indices(len(haplotypes)) has all pairs in the right order. fits = ((haplotypes[a] + "
        "haplotypes[b] == genotype) | (genotype < 0)).all(axis=1), and then np.stack([a[fits], b[fits]], axis=1).",
    ],
    after="""
        With all $2^L$ haplotypes in the list, a genotype with $h \\ge 1$ heterozygous loci has $2^{h-1}$ pairs. A
        missing locus leaves open more: it may be either homozygote, or a heterozygote in either phase.
        """,
)
def fitting_pairs(genotype, haplotypes):
    """Pairs of haplotypes that make a genotype.

    Parameters
    ----------
    genotype : array (L,) of int
        Copies of allele 1 at each locus: 0, 1 or 2, and -1 where missing.
    haplotypes : array (H, L) of int
        Alleles 0 and 1; no two rows are alike.

    Returns
    -------
    pairs : array (S, 2) of int
        Rows a <= b of each pair, sorted by a and then by b.
    """
    genotype, haplotypes = np.asarray(genotype), np.asarray(haplotypes)
    a, b = np.triu_indices(len(haplotypes))
    sums = haplotypes[a] + haplotypes[b]
    fits = ((sums == genotype) | (genotype < 0)).all(axis=1)
    return np.stack([a[fits], b[fits]], axis=1)


@fitting_pairs.example
def _():
    return {"genotype": np.array([1, 1]), "haplotypes": FOUR}


@fitting_pairs.cases
def _(rng):
    def case(genotype, haplotypes):
        return {"genotype": np.array(genotype), "haplotypes": haplotypes}

    # A list with gaps: one pair that fits for sure, and strangers.
    few = _all_haplotypes(rng, 5)[:12]
    return {
        "a double heterozygote": case([1, 1], _all_haplotypes(rng, 2)),
        "five loci, three open": case(rng.permutation([1, 1, 1, 0, 2]), _all_haplotypes(rng, 5)),
        "a list with gaps": case(few[0] + few[1], few),
        "nothing open": case(rng.permutation([0, 2, 2]), _all_haplotypes(rng, 3)),
        "a missing genotype": case(rng.permutation([-1, 1, 2]), _all_haplotypes(rng, 3)),
        "nothing known at two of four": case(rng.permutation([-1, -1, 0, 1]), _all_haplotypes(rng, 4)),
    }


fitting_pairs.check(
    "two loci and five, all haplotypes or some",
    points=2,
    on=("a double heterozygote", "five loci, three open", "a list with gaps"),
)
fitting_pairs.check(
    "nothing open; missing genotypes",
    points=2,
    on=("nothing open", "a missing genotype", "nothing known at two of four"),
)


def _pairs_where(fits, haplotypes, first=0):
    a, b = np.triu_indices(len(haplotypes), first)
    some = fits(haplotypes[a], haplotypes[b])
    return np.stack([a[some], b[some]], axis=1)


def _alike(genotype):
    return lambda x, y: ((x + y == genotype) | (genotype < 0)).all(axis=1)


@fitting_pairs.slip(
    "Every pair of two different haplotypes is there twice, as (a, b) and as (b, a). They are the same two "
    "chromosomes; keep the one with a <= b. (The factor 2 of the next task counts the two ways.)"
)
def both_orders(genotype, haplotypes):
    pairs = _pairs_where(_alike(genotype), haplotypes)
    return np.array(sorted({*map(tuple, pairs.tolist()), *map(tuple, pairs[:, ::-1].tolist())})).reshape(-1, 2)


@fitting_pairs.slip(
    "Pairs of twice the same haplotype are left out. Somebody can have one haplotype from both parents; without these "
    "pairs a person with no heterozygous locus fits nothing."
)
def never_the_same(genotype, haplotypes):
    return _pairs_where(_alike(genotype), haplotypes, 1)


@fitting_pairs.slip(
    "You asked whether the alleles of all loci together have the right sum. They must be right at each locus by "
    "itself: compare locus by locus, then all(axis=1)."
)
def sum_over_loci(genotype, haplotypes):
    known = genotype >= 0
    return _pairs_where(lambda x, y: (x + y)[:, known].sum(axis=1) == genotype[known].sum(), haplotypes)


@fitting_pairs.slip("You keep pairs that fit at one locus or more. They have to fit at every locus: all, not any.")
def anywhere(genotype, haplotypes):
    return _pairs_where(lambda x, y: ((x + y == genotype) | (genotype < 0)).any(axis=1), haplotypes)


@fitting_pairs.slip(
    "You looked only whether the two haplotypes differ where the genotype is heterozygous. Where it is homozygous "
    "they must not only agree, but agree on the right allele: two copies of 1 for a 2, none for a 0."
)
def only_the_heterozygous(genotype, haplotypes):
    return _pairs_where(lambda x, y: (((x != y) == (genotype == 1)) | (genotype < 0)).all(axis=1), haplotypes)


@fitting_pairs.slip(
    "A missing genotype fits nothing in your function, since no two alleles sum to -1. It should fit everything."
)
def missing_fits_nothing(genotype, haplotypes):
    return _pairs_where(lambda x, y: (x + y == genotype).all(axis=1), haplotypes)


@fitting_pairs.slip(
    "You read -1 as 0 copies. Nothing has been seen at this locus, so every pair of alleles is possible there."
)
def missing_is_zero(genotype, haplotypes):
    return _pairs_where(_alike(np.maximum(genotype, 0)), haplotypes)


@fitting_pairs.also
def by_loops(genotype, haplotypes):
    rows, found = np.asarray(haplotypes).tolist(), []
    for a in range(len(rows)):
        for b in range(a, len(rows)):
            if all(g in (-1, x + y) for g, x, y in zip(genotype, rows[a], rows[b], strict=True)):
                found.append([a, b])
    return found


# ---------------------------------------------------------------- 2
@exercise.function(
    returns={"shares": "(S,)", "log_likelihood": "()"},
    story="""
        **E: share everybody out.** Write the fitting pairs of all people one below the other in `pairs` (S, 2), and let
        `person` (S,) say whose pair each row is. Under random mating

        $$P(a, b \\mid p) = \\begin{cases} p_a^2 & a = b, \\\\ 2\\, p_a\\, p_b & a \\ne b, \\end{cases} \\qquad
          r_i(a, b) = \\frac{P(a, b \\mid p)}{\\sum_{(c, d) \\in S(g_i)} P(c, d \\mid p)} .$$

        Return the share $r$ of each row, and the log-likelihood $\\ell(p) = \\sum_i \\log \\sum_{(a, b) \\in S(g_i)}
        P(a, b \\mid p)$, which has the same sums in it. The rows of a person need not stand together. Some haplotypes
        may have frequency 0, but everybody has at least one pair that is possible.

        The example is the second E-step that the chapter did by hand, with the frequencies 8, 3, 3 and 6 out of 20.
        Each of the last four people is AB/ab with probability 48/57 = .842.
        """,
    hints=[
        "First the probability of each row, with its factor 1 or 2; then what these sum to for each person.",
        "whole = np.bincount(person, weights=chances) has one sum for each person, and whole[person] one for each row.",
        "a, b = pairs.T; chances = np.where(a == b, 1, 2) * p[a] * p[b]; whole = np.bincount(person, chances); return "
        "chances / whole[person], np.log(whole).sum().",
    ],
    after="""
        Within a double heterozygote all pairs are of different haplotypes, and the 2 cancels in the shares. It does not
        cancel in the log-likelihood, nor where a genotype is missing: then homozygous pairs compete with others, and
        without the factor they win too often.
        """,
    compare=FINE,
)
def phase_shares(p, pairs, person):
    """Share of each pair of haplotypes in its person, and the log-likelihood.

    Parameters
    ----------
    p : array (H,)
        Frequencies of the haplotypes; some may be 0.
    pairs : array (S, 2) of int
        Haplotypes of each pair that fits somebody, as rows a <= b.
    person : array (S,) of int
        Whom each pair fits, from 0 to n - 1, in any order.

    Returns
    -------
    shares : array (S,)
        Posterior probability of each pair; those of a person sum to 1.
    log_likelihood : float
        Of all people, in nats.
    """
    a, b = np.asarray(pairs).T
    chances = np.where(a == b, 1.0, 2.0) * np.asarray(p)[a] * np.asarray(p)[b]
    whole = np.bincount(person, weights=chances)
    return chances / whole[person], np.log(whole).sum()


@phase_shares.example
def _():
    pairs, person = _stacked(TEN, FOUR)
    return {"p": np.array([0.4, 0.15, 0.15, 0.3]), "pairs": pairs, "person": person}


@phase_shares.cases
def _(rng):
    def case(G, haplotypes, p, mixed=False):
        pairs, person = _stacked(G, haplotypes)
        order = rng.permutation(len(pairs)) if mixed else np.arange(len(pairs))
        return {"p": p, "pairs": pairs[order], "person": person[order]}

    two, three = _all_haplotypes(rng, 2), _all_haplotypes(rng, 3)
    open_and_clear = np.concatenate([_people(rng, two, 12), [[1, 1]] * 4, [[0, 2], [0, 1], [2, 1]]])
    gone = _frequencies(rng, 4)
    gone[3] = 0.0  # row 3 of FOUR; whoever is below does not need it
    lost = np.concatenate([_people(rng, three, 15, missing=0.2), [[1, -1, 2], [1, 1, 1], [-1, 0, 2]]])
    return {
        "two loci": case(open_and_clear, two, _frequencies(rng, 4)),
        "three loci, missing genotypes": case(lost, three, _frequencies(rng, 8), mixed=True),
        "one person": case([[1, 1, 1]], three, _frequencies(rng, 8)),
        "nobody in doubt": case([[0, 2], [1, 0], [2, 2], [2, 1]], two, _frequencies(rng, 4)),
        "a haplotype of frequency zero": case([[1, 1], [1, 1], [0, 1], [0, -1], [2, 0]], FOUR, gone / gone.sum()),
    }


phase_shares.check("two loci", points=2, on="two loci")
phase_shares.check("three loci, missing genotypes", points=2, on="three loci, missing genotypes")
phase_shares.check(
    "one person, no doubt, frequencies of zero",
    points=2,
    on=("one person", "nobody in doubt", "a haplotype of frequency zero"),
)


@phase_shares.slip(
    "You called everybody by the likeliest pair: 1 for it and 0 for the rest. That is the hard E-step, which makes "
    "disequilibrium out of nothing. Keep the shares."
)
def called(p, pairs, person):
    return _called(p, pairs, person), _shared(p, pairs, person)[1]


@phase_shares.slip(
    "The 2 is missing. Two different haplotypes can come about in two ways, a from the mother and b from the father or "
    "the other way round."
)
def without_two(p, pairs, person):
    return _shared(p, pairs, person, 1.0, 1.0)


@phase_shares.slip(
    "You doubled every pair. Twice the same haplotype comes about in one way only: its probability is the square."
)
def all_doubled(p, pairs, person):
    return _shared(p, pairs, person, 2.0, 2.0)


@phase_shares.slip(
    "The 2 stands at the wrong pairs. It belongs to two different haplotypes, and two equal ones have a probability of "
    "p_a squared."
)
def two_for_equal(p, pairs, person):
    return _shared(p, pairs, person, 2.0, 1.0)


@phase_shares.slip(
    "You gave the pairs of a person equal shares. The frequencies know better: weight each pair with its probability."
)
def evenly(p, pairs, person):
    return 1 / np.bincount(person)[person], _shared(p, pairs, person)[1]


@phase_shares.slip(
    "You divided by the sum over everybody's pairs. The shares of each person must sum to one: divide by the sum over "
    "the pairs of that person."
)
def divided_by_all(p, pairs, person):
    chances = _chances(p, pairs)
    return chances / chances.sum(), _shared(p, pairs, person)[1]


@phase_shares.slip(
    "These are the probabilities of the pairs before the genotype was seen. Divide by the probability of the genotype, "
    "the sum over all pairs of the person."
)
def not_divided(p, pairs, person):
    return _chances(p, pairs), _shared(p, pairs, person)[1]


@phase_shares.slip(
    "The shares are right. For the log-likelihood you took the logarithm of every pair and added; but a person has "
    "*one* of his pairs. Add the probabilities of a person first, then take one logarithm."
)
def logs_first(p, pairs, person):
    with np.errstate(divide="ignore"):
        return _shared(p, pairs, person)[0], float(np.log(_chances(p, pairs)).sum())


@phase_shares.slip(
    "The shares are right. Your log-likelihood is that of the likeliest pairs only; the others make the genotype as "
    "well, and belong into the sum inside the logarithm."
)
def best_pair_only(p, pairs, person):
    best = np.zeros(person.max() + 1)
    np.maximum.at(best, person, _chances(p, pairs))
    return _shared(p, pairs, person)[0], float(np.log(best).sum())


@phase_shares.also
def person_by_person(p, pairs, person):
    shares, log_likelihood = np.zeros(len(pairs)), 0.0
    for i in set(np.asarray(person).tolist()):
        own = np.flatnonzero(np.asarray(person) == i)
        chances = np.array([p[a] ** 2 if a == b else 2 * p[a] * p[b] for a, b in np.asarray(pairs)[own]])
        shares[own] = chances / chances.sum()
        log_likelihood += np.log(chances.sum())
    return shares, log_likelihood


# ---------------------------------------------------------------- 3
@exercise.function(
    returns={"p": "(H,)"},
    story="""
        **M: count.** Add up how often each haplotype occurs in the shares, twice where a pair has it twice, and divide
        by the $2n$ haplotypes of $n$ people:

        $$p_a = \\frac{1}{2n} \\sum_{i=1}^{n} \\sum_{(b, c) \\in S(g_i)}
          r_i(b, c)\\, \\bigl([b = a] + [c = a]\\bigr) .$$

        You are not told $n$, but you can see it: everybody's shares sum to one. There are `n_haplotypes` haplotypes,
        and some may be in no pair. From the shares of the example before, the ten people carry 9.37 AB, 1.63 Ab,
        1.63 aB and 7.37 ab.
        """,
    hints=[
        "Each row adds its share to the count of its first haplotype, and its share once more to that of its second.",
        "np.bincount(pairs[:, 0], weights=shares, minlength=n_haplotypes) does the first half.",
        "Add the same for pairs[:, 1], and divide by 2 * shares.sum().",
    ],
    after="""
        Only the sum over people is kept, so an E-step of a million people comes to H numbers. And look at the allele
        frequencies: those do not depend on how a double heterozygote is shared, and stand still from the first step on.
        """,
)
def count_haplotypes(shares, pairs, n_haplotypes):
    """Haplotype frequencies, from people shared among pairs.

    Parameters
    ----------
    shares : array (S,)
        Of each pair in its person; those of a person sum to 1.
    pairs : array (S, 2) of int
        Haplotypes of each pair, as rows a <= b.
    n_haplotypes : int
        The number of haplotypes, H.

    Returns
    -------
    p : array (H,)
        Frequencies; they sum to 1.
    """
    a, b = np.asarray(pairs).T
    copies = np.bincount(a, shares, minlength=n_haplotypes) + np.bincount(b, shares, minlength=n_haplotypes)
    return copies / (2 * np.sum(shares))


@count_haplotypes.example
def _():
    pairs, person = _stacked(TEN, FOUR)
    shares, _ = _shared([0.4, 0.15, 0.15, 0.3], pairs, person)
    return {"shares": shares.round(4), "pairs": pairs, "n_haplotypes": 4}


@count_haplotypes.cases
def _(rng):
    def case(G, haplotypes, H=None):
        pairs, person = _stacked(G, haplotypes)
        shares, _ = _shared(_frequencies(rng, len(haplotypes)), pairs, person)
        return {"shares": shares, "pairs": pairs, "n_haplotypes": H or len(haplotypes)}

    two, three = _all_haplotypes(rng, 2), _all_haplotypes(rng, 3)
    return {
        "two loci": case(np.concatenate([_people(rng, two, 12), [[1, 1]] * 3, [[0, 2], [2, 0], [0, 1]]]), two),
        "three loci, missing genotypes": case(
            np.concatenate([_people(rng, three, 15, missing=0.2), [[1, 1, 1], [1, -1, 2]]]), three
        ),
        "whole people": case([[0, 0], [2, 2], [2, 1], [0, 1], [0, 1]], two),
        "the last haplotypes are in no pair": case([[1, 1], [1, 1], [0, 2]], two, 6),
        "one person": case([[1, 1, 1]], three),
    }


count_haplotypes.check("two loci and three", points=2, on=("two loci", "three loci, missing genotypes"))
count_haplotypes.check(
    "whole people, one person, haplotypes of nobody",
    points=2,
    on=("whole people", "the last haplotypes are in no pair", "one person"),
)


@count_haplotypes.slip("You divided by n. Everybody has two haplotypes: divide by 2n, and the frequencies sum to one.")
def divided_by_n(shares, pairs, n_haplotypes):
    return 2 * _counted(shares, pairs, n_haplotypes)


@count_haplotypes.slip(
    "You divided by twice the number of rows. Rows are pairs, and a person in doubt has several; the people are what "
    "the shares sum to."
)
def divided_by_rows(shares, pairs, n_haplotypes):
    return _counted(shares, pairs, n_haplotypes) * np.sum(shares) / len(shares)


@count_haplotypes.slip(
    "A pair of twice the same haplotype was counted once. It holds two copies: count both columns of pairs, even where "
    "they agree."
)
def equal_pairs_once(shares, pairs, n_haplotypes):
    copies = np.zeros(n_haplotypes)
    for share, own in zip(shares, pairs.tolist(), strict=True):
        for a in set(own):
            copies[a] += share
    return copies / (2 * np.sum(shares))


@count_haplotypes.slip(
    "Only the first haplotype of each pair was counted. The second column holds the other half of them."
)
def first_only(shares, pairs, n_haplotypes):
    return np.bincount(pairs[:, 0], shares, minlength=n_haplotypes) / np.sum(shares)


@count_haplotypes.slip(
    "You rounded the shares before you counted, so each person was called by the likelier phase. A pair with a share "
    "of .4 in ten people is in four of them; count .4 ten times."
)
def rounded(shares, pairs, n_haplotypes):
    return np.bincount(pairs.ravel(), np.repeat(np.round(shares), 2), minlength=n_haplotypes) / (2 * np.sum(shares))


@count_haplotypes.slip("These are numbers of haplotypes. Divide by how many there are in all, 2n, to get frequencies.")
def only_counts(shares, pairs, n_haplotypes):
    return _counted(shares, pairs, n_haplotypes) * 2 * np.sum(shares)


@count_haplotypes.slip(
    "Every pair counted the same, whatever its share. Weight each row with its share, or the E-step was for nothing."
)
def shares_forgotten(shares, pairs, n_haplotypes):
    return _counted(np.ones(len(shares)), pairs, n_haplotypes)


@count_haplotypes.also
def adding_at(shares, pairs, n_haplotypes):
    p = np.zeros(n_haplotypes)
    np.add.at(p, np.asarray(pairs), np.asarray(shares)[:, None])
    return (p / p.sum()).tolist()


# ---------------------------------------------------------------- 4
@exercise.function(
    returns={"p": "(H,)", "log_likelihood": "()"},
    story="""
        **EM.** Put the parts together. List the fitting pairs of every person in `G` (n, L) once, at the beginning.
        Then share and count `n_iter` times, from the frequencies `start`. Return the last frequencies and the
        log-likelihood *at these*.

        Return what EM does, no more. A haplotype that starts at zero stays there, whatever the data say. And a start at
        equal frequencies can be a saddle point which EM does not leave.

        The example has the 661 people of the African sample at the two letters of APOE, 40 steps from equal
        frequencies. EM ends with 2.96 copies of e1 among 1,322 haplotypes; in the phased data there is one. The picture
        shows all four forms.
        """,
    hints=[
        "Two loops: one over people, to collect their pairs, and one over iterations, with an E and an M in it.",
        "found = [fitting_pairs(g, haplotypes) for g in G]; pairs = np.concatenate(found); person repeats the number "
        "of each person as often as he has pairs: np.repeat(np.arange(len(G)), [len(some) for some in found]).",
        "In the second loop: shares, _ = phase_shares(p, pairs, person), then p = count_haplotypes(shares, pairs, "
        "len(p)). After it call phase_shares once more, for the log-likelihood.",
    ],
    after="""
        All people with the same genotype do the same arithmetic. `HaplotypeEM` keeps one copy of each with a weight,
        begins several times from people shared out at random, and tells how high each climb came.
        """,
    compare=FINE,
)
def haplotype_em(G, haplotypes, start, n_iter):
    """EM for haplotype frequencies.

    Parameters
    ----------
    G : array (n, L) of int
        Genotypes: copies of allele 1, and -1 where missing.
    haplotypes : array (H, L) of int
        The haplotypes that may exist; everybody is made of some pair of them.
    start : array (H,)
        Frequencies to begin with.
    n_iter : int
        Number of iterations; 0 returns the start.

    Returns
    -------
    p : array (H,)
        Frequencies after the last iteration.
    log_likelihood : float
        At these frequencies.
    """
    found = [fitting_pairs(g, haplotypes) for g in G]
    pairs = np.concatenate(found)
    person = np.repeat(np.arange(len(found)), [len(some) for some in found])
    p = np.array(start, dtype=float)
    for _ in range(n_iter):
        shares, _ = phase_shares(p, pairs, person)
        p = count_haplotypes(shares, pairs, len(p))
    return p, phase_shares(p, pairs, person)[1]


@haplotype_em.example
def _():
    from ... import data

    return {"G": data.apoe().people("AFR"), "haplotypes": FOUR, "start": np.full(4, 0.25), "n_iter": 40}


@haplotype_em.draws(
    """Copies of the four forms of APOE among 1,322 haplotypes, on a logarithmic axis: yours above those of the phased
    data. For e3, e2 and e4 the two bars look alike: 835, 133 and 351 copies against 833, 135 and 353. Of e1 EM finds
    2.96, and the phased data have 1."""
)
def _copies(ax, answer, G, haplotypes, start, n_iter):
    from ... import data
    from ...view import style

    at, copies = np.arange(4), 2 * len(G) * np.asarray(answer[0])
    phased = np.rint(2 * len(G) * data.apoe().phased[0])
    ax.barh(at - 0.2, copies, height=0.38, color=style.COLORS[2], label="yours")
    ax.barh(at + 0.2, phased, height=0.38, color=style.GREY, label="phased data")
    for place, many in zip([*(at - 0.2), *(at + 0.2)], [*copies, *phased], strict=True):
        ax.text(max(many, 0.5) * 1.07, place, f"{many:.3g}", va="center", fontsize=8)
    ax.set_yticks(at, ["e3", "e2", "e4", "e1"])
    ax.invert_yaxis()
    ax.set(xscale="log", xlim=(0.5, 20000), xlabel="copies")
    ax.legend(frameon=False, loc="lower right")


@haplotype_em.cases
def _(rng):
    def case(G, haplotypes, start, n_iter):
        return {"G": np.asarray(G), "haplotypes": haplotypes, "start": start, "n_iter": n_iter}

    two, three = _all_haplotypes(rng, 2), _all_haplotypes(rng, 3)
    open_too = np.concatenate([_people(rng, two, 16), [[1, 1]] * 5])
    lost = np.concatenate([_people(rng, three, 16, missing=0.2), [[1, -1, 2], [1, 1, 1], [1, 0, -1]]])
    # ab would be welcome to most of the double heterozygotes, but starts at nothing.
    many = int(rng.integers(16, 24))
    barred = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [many, 4, 3, 13], axis=0)
    # One of each homozygote, and double heterozygotes: as likely together as apart.
    saddle = np.concatenate([2 * FOUR, [[1, 1]] * int(rng.integers(6, 12))])
    return {
        "two loci, three steps": case(open_too, two, _frequencies(rng, 4), 3),
        "three loci, missing genotypes": case(lost, three, _frequencies(rng, 8), 6),
        "one step": case(open_too, two, _frequencies(rng, 4), 1),
        "no step at all": case(lost, three, _frequencies(rng, 8), 0),
        "a haplotype that starts at zero": case(barred, FOUR, np.array([0.5, 0.3, 0.2, 0.0]), 25),
        "a start on the saddle": case(saddle, FOUR, np.full(4, 0.25), 12),
    }


haplotype_em.check("two loci, three steps", points=2, on="two loci, three steps")
haplotype_em.check("three loci, missing genotypes", points=2, on="three loci, missing genotypes")
haplotype_em.check("one step, and none", points=1, on=("one step", "no step at all"))
haplotype_em.check(
    "starts that EM cannot leave", points=1, on=("a haplotype that starts at zero", "a start on the saddle")
)


@haplotype_em.slip(
    "Everybody was called by the likelier pair in each round, and the calls were counted. The call makes its own "
    "haplotypes more frequent, which makes the next call surer. Count shares."
)
def called_then_counted(G, haplotypes, start, n_iter):
    return _climb(G, haplotypes, start, n_iter, lambda *given: (_called(*given), _shared(*given)[1]))


@haplotype_em.slip(
    "The log-likelihood belongs to the frequencies before the last step. Compute it once more, after the loop."
)
def one_step_behind(G, haplotypes, start, n_iter):
    return _climb(G, haplotypes, start, n_iter)[0], _climb(G, haplotypes, start, max(n_iter - 1, 0))[1]


@haplotype_em.slip(
    "The shares were computed once, from the start, and counted again and again. The E-step belongs inside the loop: "
    "new frequencies share everybody out anew."
)
def shared_once(G, haplotypes, start, n_iter):
    return _climb(G, haplotypes, start, min(n_iter, 1))


@haplotype_em.slip("You did one iteration too few. range(n_iter) has n_iter steps; range(1, n_iter) has one less.")
def one_too_few(G, haplotypes, start, n_iter):
    return _climb(G, haplotypes, start, max(n_iter - 1, 0))


@haplotype_em.slip("You did one iteration too many: with n_iter = 0 the start itself is returned.")
def one_too_many(G, haplotypes, start, n_iter):
    return _climb(G, haplotypes, start, n_iter + 1)


@haplotype_em.slip(
    "The factor 2 of two different haplotypes is missing in the E-step. Among double heterozygotes it cancels in the "
    "shares; where genotypes are missing, pairs of twice the same haplotype get too much."
)
def without_two_in_e(G, haplotypes, start, n_iter):
    return _climb(G, haplotypes, start, n_iter, lambda *given: _shared(*given, 1.0, 1.0))


@haplotype_em.slip(
    "Your M-step divides by n, so the frequencies sum to two. Everybody has two haplotypes: divide by 2n."
)
def sums_to_two(G, haplotypes, start, n_iter):
    p, log_likelihood = _climb(G, haplotypes, start, n_iter)
    return (2 * p, log_likelihood + len(G) * np.log(4)) if n_iter else (p, log_likelihood)


@haplotype_em.slip(
    "People with missing genotypes were left out. More pairs fit them, and they are shared among these like everybody "
    "else: what they do show is evidence."
)
def only_the_complete(G, haplotypes, start, n_iter):
    return _climb(G[(G >= 0).all(axis=1)], haplotypes, start, n_iter)


@haplotype_em.slip(
    "You began at equal frequencies instead of at start. Often that ends at the same place, but not after so few "
    "steps, and where the likelihood has two summits it may end on a saddle."
)
def start_ignored(G, haplotypes, start, n_iter):
    return _climb(G, haplotypes, np.full(len(start), 1 / len(start)), n_iter)


@haplotype_em.slip(
    "You lifted the zero before you began. For an analysis that is wise, and a matter for whoever chooses the start. "
    "Here it hides what EM does: no share, no count, no share."
)
def zero_lifted(G, haplotypes, start, n_iter):
    return _climb(G, haplotypes, np.maximum(start, 1e-3), n_iter)


@haplotype_em.slip(
    "You shook the start a little, so that EM leaves the saddle. Sensible, but then the answer depends on your dice. "
    "Here the start is taken as it is given."
)
def start_shaken(G, haplotypes, start, n_iter):
    shaken = np.asarray(start) * (1 + 0.02 * np.cos(np.arange(len(start)) ** 2))
    return _climb(G, haplotypes, shaken / shaken.sum(), n_iter)


@haplotype_em.also
def with_weights(G, haplotypes, start, n_iter):
    """Everybody with the same genotype at once."""
    kinds, weights = np.unique(G, axis=0, return_counts=True)
    pairs, kind = _stacked(kinds, haplotypes)
    p = np.array(start, dtype=float)
    for _ in range(n_iter):
        shares, _ = _shared(p, pairs, kind)
        p = _counted(shares * weights[kind], pairs, len(p))
    return p, (weights * np.log(np.bincount(kind, _chances(p, pairs)))).sum()


# ---------------------------------------------------------------- 5
@exercise.function(
    returns={"D": "()", "d_prime": "()", "r2": "()"},
    story="""
        **What two loci know of each other.** From the frequencies of AB, Ab, aB and ab, in this order, compute

        $$D = p_{AB} - p_A\\, p_B, \\qquad
          D' = \\frac{D}{D_{\\max}}, \\qquad
          r^2 = \\frac{D^2}{p_A\\, p_a\\, p_B\\, p_b},$$

        $$D_{\\max} = \\begin{cases} \\min(p_A\\, p_b,\\; p_a\\, p_B) & D > 0, \\\\
          \\min(p_A\\, p_B,\\; p_a\\, p_b) & D < 0. \\end{cases}$$

        $D'$ has the sign of $D$; at $D = 0$ it is 0. If a locus has one allele only, there is nothing to be known of
        it: then $D$ is 0, and $D'$ and $r^2$ are `np.nan`.

        The example has the phased frequencies of APOE in the African sample, where A and B are the alleles of e3. e1 is
        nearly missing, so $D'$ is −.97. But $r^2$ is .040: one letter hardly tells the other.
        """,
    hints=[
        "First the four allele frequencies. A is in AB and in Ab, so p_A = p_AB + p_Ab. Which two haplotypes have B?",
        "Which bound counts depends on the sign of D; divide D itself, not its absolute value.",
        "AB, Ab, aB, ab = p; A, B, a, b = AB + Ab, AB + aB, aB + ab, Ab + ab; D = AB - A * B; largest = "
        "min(A * b, a * B) if D > 0 else min(A * B, a * b). Before dividing by largest ask whether it is 0.",
    ],
    after="""
        $D$ is also $p_{AB}\\, p_{ab} - p_{Ab}\\, p_{aB}$: the difference between the two phases of a double
        heterozygote. So its sign says which phase is likelier, and a D of 0 says that the phase cannot be known.
        """,
)
def disequilibrium(p):
    """Linkage disequilibrium of two loci on three scales.

    Parameters
    ----------
    p : array (4,)
        Frequencies of the haplotypes AB, Ab, aB and ab; they sum to 1 and may be 0.

    Returns
    -------
    D : float
        Frequency of AB beyond that of a random meeting.
    d_prime : float
        D over the largest possible, with the sign of D; nan if a locus has one allele.
    r2 : float
        Squared correlation of the two alleles; nan if a locus has one allele.
    """
    AB, Ab, aB, ab = p
    A, B, a, b = AB + Ab, AB + aB, aB + ab, Ab + ab
    if A * a * B * b == 0:
        return 0.0, np.nan, np.nan
    D = AB - A * B
    largest = min(A * b, a * B) if D > 0 else min(A * B, a * b)
    return D, D / largest, D**2 / (A * a * B * b)


@disequilibrium.example
def _():
    return {"p": np.array([0.6301, 0.1021, 0.2670, 0.0008])}


@disequilibrium.cases
def _(rng):
    def apart(strength, A, B):
        """As D' says, with these alleles; neither bound is like another."""
        D = strength * (min(A * (1 - B), (1 - A) * B) if strength > 0 else min(A * B, (1 - A) * (1 - B)))
        return {"p": np.array([A * B + D, A * (1 - B) - D, (1 - A) * B - D, (1 - A) * (1 - B) + D])}

    A, B = rng.uniform(0.55, 0.7), rng.uniform(0.75, 0.9)
    eighths = int(rng.integers(2, 7)) / 8
    share = rng.uniform(0.2, 0.4)
    return {
        "together": apart(rng.uniform(0.3, 0.8), A, B),
        "apart": apart(-rng.uniform(0.3, 0.8), A, 1 - B),
        "apart, other alleles": apart(-rng.uniform(0.3, 0.8), B, 1 - A + 0.02),
        "one haplotype missing": {"p": rng.permutation([0.0, 0.2 + share / 4, 0.3, 0.5 - share / 4])},
        "two haplotypes missing": {"p": np.array([share, 0.0, 0.0, 1 - share])},
        "at random": apart(0.0, A, B),
        "one allele at the second locus": {"p": np.array([eighths, 0.0, 1 - eighths, 0.0])},
        "one allele at the first locus": {"p": np.array([0.0, 0.0, 1 - eighths, eighths])},
    }


disequilibrium.check("together and apart", points=3, on=("together", "apart", "apart, other alleles"))
disequilibrium.check("haplotypes missing", points=2, on=("one haplotype missing", "two haplotypes missing"))
disequilibrium.check(
    "alleles at random; a locus with one allele",
    points=1,
    on=("at random", "two haplotypes missing", "one allele at the second locus", "one allele at the first locus"),
)


@disequilibrium.slip(
    "The bounds of D' are exchanged. If D is positive AB and ab are too frequent, and D can grow until Ab or aB is "
    "used up: there the bound is the smaller of p_A p_b and p_a p_B."
)
def bounds_exchanged(p):
    return _measures(p, lambda D, A, a, B, b: min(A * B, a * b) if D > 0 else min(A * b, a * B))


@disequilibrium.slip(
    "You used the bound for positive D at negative D as well. There AB or ab runs out first: the bound is the smaller "
    "of p_A p_B and p_a p_b."
)
def one_bound(p):
    return _measures(p, lambda D, A, a, B, b: min(A * b, a * B))


@disequilibrium.slip(
    "D cannot grow beyond the *smaller* of two products, since it is then that a haplotype is used up. You took the "
    "larger."
)
def larger_bound(p):
    return _measures(p, lambda D, A, a, B, b: max(A * b, a * B) if D > 0 else max(A * B, a * b))


@disequilibrium.slip(
    "You took the smallest of all four products as the bound. Which two count depends on the sign of D; your D' can "
    "leave the interval from -1 to 1."
)
def smallest_of_four(p):
    return _measures(p, lambda D, A, a, B, b: min(A * b, a * B, A * B, a * b))


@disequilibrium.slip(
    "The sign of D' got lost. It is that of D: below zero where alleles avoid each other. Divide D, not its absolute "
    "value."
)
def sign_lost(p):
    D, d_prime, r2 = _measures(p)
    return D, abs(d_prime), r2


@disequilibrium.slip(
    "The sign of D is the wrong way round: it is p_AB minus what a random meeting would make, not the other way."
)
def sign_turned(p):
    D, d_prime, r2 = _measures(p)
    return -D, -d_prime, r2


@disequilibrium.slip(
    "The third number is r, not its square: the correlation itself, or its absolute value. Square D above the line."
)
def r_unsquared(p):
    D, d_prime, r2 = _measures(p)
    return D, d_prime, np.sqrt(r2)


@disequilibrium.slip(
    "Below the line of r² stand only p_A and p_B. The variance of an allele is p_A p_a: all four frequencies belong "
    "there."
)
def half_of_the_variances(p):
    D, d_prime, _ = _measures(p)
    return D, d_prime, np.divide(D**2, (p[0] + p[1]) * (p[0] + p[2]) if np.isfinite(d_prime) else 0.0)


@disequilibrium.slip(
    "You took p_Ab p_aB for what a random meeting makes of AB. Those are frequencies of haplotypes. Put together at "
    "random, *alleles* make AB with frequency p_A p_B, where p_A sums AB and Ab, and p_B sums AB and aB."
)
def haplotypes_for_alleles(p):
    AB, Ab, aB, ab = p
    A, B, a, b = AB + Ab, AB + aB, aB + ab, Ab + ab
    D = AB - Ab * aB
    return D, np.divide(D, min(A * b, a * B) if D > 0 else min(A * B, a * b)), np.divide(D**2, A * a * B * b)


@disequilibrium.slip(
    "You return 0 for D' and r² where a locus has one allele. 0 would say that it varies and has nothing to do with "
    "the other; it does not vary. Return np.nan."
)
def zero_for_unknown(p):
    return tuple(np.nan_to_num(_measures(p)))


@disequilibrium.also
def by_the_two_phases(p):
    """D grows until Ab or aB is used up, and falls until AB or ab is."""
    D = p[0] * p[3] - p[1] * p[2]
    largest = D + min(p[1], p[2]) if D > 0 else min(p[0], p[3]) - D
    r = np.divide(D, np.sqrt((p[0] + p[1]) * (p[2] + p[3]) * (p[0] + p[2]) * (p[1] + p[3])))
    return D, np.divide(D, largest), r**2


# ---------------------------------------------------------------- 6
@exercise.function(
    returns={"switches": "()", "pairs": "()"},
    story="""
        **How wrong is a phasing?** Which of a person's two haplotypes is called the first means nothing. What can be
        right or wrong is the *relative* phase of two heterozygotes next to each other: do their 1s lie on the same
        haplotype? One counts

        $$\\text{switch error} = \\frac{\\text{switches}}{\\text{pairs of neighbouring heterozygotes}} .$$

        `phased` (n, 2, L) have the same genotypes as `truth` (n, 2, L); but the truth is −1, in both rows, where
        nobody knows the phase. Use the heterozygotes of known phase only. Of each person, take every such heterozygote
        with the one before it, at whatever distance, and count how many pairs there are and how many have the wrong
        relative phase. Return both numbers, for all people together.

        The example phases 60 parents of Utah at 100 SNPs in the simplest way: each heterozygote is laid next to the one
        before it as the sign of their $D$ suggests. Against what the children tell, 162 of 1,988 pairs are wrong,
        which is 8.1 %. By comparing the first haplotypes one would have found half of all alleles wrong. The picture
        shows why, for the first twenty parents.
        """,
    hints=[
        "For one person: at the heterozygotes of known phase, is the first haplotype that of the truth or the other? A "
        "switch is where the answer changes.",
        "known = (truth[:, 0] != truth[:, 1]) & (truth[:, 0] >= 0) marks the sites. For person i: agree = "
        "phased[i, 0, known[i]] == truth[i, 0, known[i]].",
        "Of one person: switches are (agree[1:] != agree[:-1]).sum(), pairs are len(agree) - 1, but never less than 0. "
        "Sum both over all people.",
    ],
    after="""
        One wrong turn in the middle of a chromosome is one switch, although half of all alleles then stand on the wrong
        side; one heterozygote alone on the wrong side is two. Programs are compared by this number. In
        the chapter `Phaser` has about one wrong pair in twenty, at all SNPs and not at the common ones only.
        """,
)
def switch_errors(phased, truth):
    """Switches between two phasings, and pairs that could have been switched.

    Parameters
    ----------
    phased : array (n, 2, L) of int
        Alleles 0 and 1 of two haplotypes of each person.
    truth : array (n, 2, L) of int
        The same genotypes in their true phase; -1 where it is not known.

    Returns
    -------
    switches : int
        Pairs whose relative phase is wrong.
    pairs : int
        Pairs of neighbouring heterozygotes of known phase.
    """
    switches = pairs = 0
    for (mine, _), (first, second) in zip(phased, truth, strict=True):
        known = (first != second) & (first >= 0)
        agree = mine[known] == first[known]
        switches += (agree[1:] != agree[:-1]).sum()
        pairs += max(len(agree) - 1, 0)
    return switches, pairs


@switch_errors.example
def _():
    phased, truth = _chained()
    return {"phased": phased, "truth": truth}


@switch_errors.draws(
    """Twenty rows, one a parent, with a mark for each heterozygote: blue where the first haplotype is that of the
    truth, orange where it is the other. Most rows are runs of one colour that turn into runs of the other a few times;
    each turn is one switch."""
)
def _turned(ax, answer, phased, truth):
    from ...view import style

    for row in range(20):
        known = np.flatnonzero((truth[row, 0] != truth[row, 1]) & (truth[row, 0] >= 0))
        agree = phased[row, 0, known] == truth[row, 0, known]
        for side, colour in ((True, style.COLORS[0]), (False, style.COLORS[1])):
            ax.plot(known[agree == side] + 1, np.full((agree == side).sum(), row + 1), "|", color=colour, ms=6, mew=1.6)
    switches, pairs = answer
    ax.set(xlabel="SNP", ylabel="parent", ylim=(20.8, 0.2), yticks=[1, 5, 10, 15, 20])
    ax.set_title(f"all 60 parents: {switches:.0f} of {pairs:.0f} pairs switched", fontsize=10)


@switch_errors.cases
def _(rng):
    def case(n, L, unknown=0.0, heterozygous=0.5, errors=0.2):
        first = rng.integers(2, size=(n, L))
        het = rng.random((n, L)) < heterozygous
        true = np.stack([first, np.where(het, 1 - first, first)], axis=1)
        side = (rng.random((n, 1)) < 0.5) ^ (np.cumsum(rng.random((n, L)) < errors, axis=1) % 2 == 1)
        mine = np.where(side[:, None], true[:, ::-1], true)
        hidden = rng.random((n, L)) < unknown
        return {"phased": mine, "truth": np.where(hidden[:, None], -1, true)}

    one = case(1, 30, errors=0.15)
    right = case(4, 20, errors=0.0)
    right["phased"][:3] = right["phased"][:3, ::-1]  # labels exchanged, and nothing wrong
    nothing = case(5, 12)
    nothing["phased"][:2, 1], nothing["truth"][:2, 1] = nothing["phased"][:2, 0], nothing["truth"][:2, 0]
    single = np.zeros((1, 2, 12), dtype=int)
    single[0, 0, 5] = 1
    return {
        "some people": case(8, 25),
        "unknown sites": case(8, 30, unknown=0.3),
        "one person, hardly any homozygote": case(1, 40, heterozygous=0.95),
        "one person": one,
        "labels exchanged, nothing wrong": right,
        "people without a pair": {
            "phased": np.concatenate([nothing["phased"], single]),
            "truth": np.concatenate([nothing["truth"], single]),
        },
    }


switch_errors.check("some people", points=2, on=("some people", "one person", "one person, hardly any homozygote"))
switch_errors.check("unknown sites", points=2, on="unknown sites")
switch_errors.check(
    "labels exchanged; people without a pair",
    points=2,
    on=("labels exchanged, nothing wrong", "people without a pair"),
)


@switch_errors.slip(
    "You compared the first haplotype with the first of the truth, heterozygote by heterozygote. Which is called the "
    "first means nothing, and one switch would make everything behind it wrong. Compare the relative phase of "
    "neighbours: count where agreement changes."
)
def first_compared(phased, truth):
    rows = _agreement(phased, truth)
    return sum(int((~row).sum()) for row in rows), _turns(rows)[1]


@switch_errors.slip(
    "You counted wrong alleles, after exchanging a person's two haplotypes where that is better. One switch in the "
    "middle then counts as half of the chromosome. Count where agreement changes."
)
def wrong_alleles(phased, truth):
    rows = _agreement(phased, truth)
    return sum(min(int(row.sum()), int((~row).sum())) for row in rows), _turns(rows)[1]


@switch_errors.slip(
    "Sites of unknown phase were compared too. -1 equals no allele, so each of them looks like a disagreement, and "
    "makes up to two switches. Leave them out."
)
def unknown_compared(phased, truth):
    het = phased[:, 0] != phased[:, 1]
    return _turns([mine[some] == right[some] for mine, right, some in zip(phased[:, 0], truth[:, 0], het, strict=True)])


@switch_errors.slip(
    "A site of unknown phase breaks the chain in your count: the known heterozygotes on its two sides are still "
    "neighbours, and their relative phase can be right or wrong."
)
def broken_at_unknown(phased, truth):
    het = phased[:, 0] != phased[:, 1]
    switches = pairs = 0
    for mine, right, some in zip(phased[:, 0], truth[:, 0], het, strict=True):
        agree, told = mine[some] == right[some], right[some] >= 0
        both = told[1:] & told[:-1]
        switches += int(((agree[1:] != agree[:-1]) & both).sum())
        pairs += int(both.sum())
    return switches, pairs


@switch_errors.slip(
    "Homozygous sites are in your count. They look the same whichever haplotype is the first, so they always agree and "
    "say nothing about phase. Take heterozygotes only."
)
def with_homozygotes(phased, truth):
    return _turns(
        [mine[right >= 0] == right[right >= 0] for mine, right in zip(phased[:, 0], truth[:, 0], strict=True)]
    )


@switch_errors.slip(
    "Only SNPs that stand side by side were compared. Between two heterozygotes there may be homozygotes; they are "
    "neighbours all the same."
)
def only_side_by_side(phased, truth):
    known = (truth[:, 0] != truth[:, 1]) & (truth[:, 0] >= 0)
    agree, both = phased[:, 0] == truth[:, 0], known[:, 1:] & known[:, :-1]
    return int(((agree[:, 1:] != agree[:, :-1]) & both).sum()), int(both.sum())


@switch_errors.slip(
    "The last heterozygote of one person was compared with the first of the next. Each person has a chromosome of his "
    "own: count within people, and sum."
)
def across_people(phased, truth):
    return _turns([np.concatenate(_agreement(phased, truth))])


@switch_errors.slip(
    "The second number counts heterozygotes. The first one of each person has none before it: k heterozygotes make "
    "k - 1 pairs."
)
def heterozygotes_counted(phased, truth):
    rows = _agreement(phased, truth)
    return _turns(rows)[0], sum(map(len, rows))


@switch_errors.slip("Somebody without heterozygotes has 0 pairs, not -1. Take the larger of 0 and the number less one.")
def minus_one_pair(phased, truth):
    rows = _agreement(phased, truth)
    return _turns(rows)[0], sum(len(row) - 1 for row in rows)


@switch_errors.slip(
    "You counted the pairs that are *right*. A switch is where agreement changes from one heterozygote to the next."
)
def right_ones(phased, truth):
    switches, pairs = _turns(_agreement(phased, truth))
    return pairs - switches, pairs


@switch_errors.also
def pair_by_pair(phased, truth):
    wrong = total = 0
    for mine, right in zip(np.asarray(phased).tolist(), np.asarray(truth).tolist(), strict=True):
        before = None
        for site in range(len(right[0])):
            if right[0][site] == right[1][site]:
                continue
            if before is not None:
                total += 1
                together = right[0][site] == right[0][before]
                wrong += together != (mine[0][site] == mine[0][before])
            before = site
    return [wrong, total]


# ---------------------------------------------------------------- 7
@exercise.function(
    returns={"F_next": "(K, K)"},
    story="""
        **Mosaics.** Now the step by which phasing reaches along a chromosome. A haplotype is a mosaic of $K$ clusters.
        From one SNP to the next it stays in its cluster with probability $s = 1 - r$, or jumps, and then to cluster $k$
        with probability $\\alpha_k$, wherever it was; write $q_k = r\\, \\alpha_k$. In cluster $k$ it has the allele 1
        with probability $\\theta_k$. A person has two such haplotypes, and only the sum of their alleles is seen.

        `F` (K, K) holds $F_{l-1}(j, k)$, the probability of all genotypes up to the last SNP with the two haplotypes in
        clusters $j$ and $k$ there. Return

        $$\\begin{aligned}
          F_l(j, k) = {} & P(g_l \\mid j, k)\\, \\bigl[ s^2 F_{l-1}(j, k) \\\\
          & + s\\, F_{l-1}(j, \\cdot)\\, q_k + s\\, q_j\\, F_{l-1}(\\cdot, k) \\\\
          & + q_j\\, q_k\\, F_{l-1}(\\cdot, \\cdot) \\bigr],
        \\end{aligned}$$

        where a dot stands for a sum, and $P(g \\mid j, k)$ is the probability that an allele of cluster $j$ and one of
        cluster $k$ sum to $g$. A heterozygote has two ways. A missing genotype, −1, has probability 1. Do not rescale.

        In the example six haplotypes of other people are the clusters, and the picture shows where the pair of one
        person may be after 25 SNPs, each square a pair of clusters.
        """,
    hints=[
        "Two factors: a table (K, K) of P(g | j, k), and the bracket. For g = 2 the first is np.outer(theta, theta).",
        "For g = 1 it is np.outer(theta, 1 - theta) + np.outer(1 - theta, theta). In the bracket F(j, .) is "
        "F.sum(axis=1), one number for each row j.",
        "The bracket: s**2 * F + s * np.outer(F.sum(axis=1), q) + s * np.outer(q, F.sum(axis=0)) + np.outer(q, q) * "
        "F.sum(), with q = r * alpha and s = 1 - r.",
    ],
    after="""
        Summing over where each haplotype came from takes $K^4$ products a SNP if one writes down all pairs of pairs.
        A jump forgets its origin, so sums over rows and columns do, and $K^2$ are enough. That is the whole trick.
        """,
)
def forward_step(F, g, theta, r, alpha):
    """One SNP further in the forward sweep over two mosaics.

    Parameters
    ----------
    F : array (K, K)
        Of the SNP before: clusters of the first and of the second haplotype.
    g : int
        Genotype at this SNP: 0, 1, 2, or -1 where missing.
    theta : array (K,)
        Probability of allele 1 at this SNP in each cluster.
    r : float
        Probability of a jump.
    alpha : array (K,)
        Where a jump leads; they sum to 1.

    Returns
    -------
    F_next : array (K, K)
        Of this SNP.
    """
    F, theta = np.asarray(F), np.asarray(theta)
    if g == 0:
        shown = np.outer(1 - theta, 1 - theta)
    elif g == 1:
        shown = np.outer(theta, 1 - theta) + np.outer(1 - theta, theta)
    elif g == 2:
        shown = np.outer(theta, theta)
    else:
        shown = 1.0
    s, q = 1 - r, r * np.asarray(alpha)
    rows, columns = F.sum(axis=1), F.sum(axis=0)
    return shown * (s**2 * F + s * np.outer(rows, q) + s * np.outer(q, columns) + np.outer(q, q) * F.sum())


@forward_step.example
def _():
    return _on_the_way()


@forward_step.draws(
    """A square of six by six cells, dark where a pair of clusters is probable. Four cells are, two above the
    diagonal and their images below it, with .31, .15 and the same again; all others are nearly white."""
)
def _pairs_of_clusters(ax, answer, F, g, theta, r, alpha):
    share = np.asarray(answer) / np.sum(answer)
    K = len(share)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=share.max(), extent=(0.5, K + 0.5, K + 0.5, 0.5))
    for j, k in np.argwhere(share >= 0.05):
        dark = share[j, k] > share.max() / 2
        ax.text(k + 1, j + 1, f"{share[j, k]:.2f}", ha="center", va="center", color="w" if dark else "k", fontsize=8)
    ax.set(xlabel="cluster of the second haplotype", ylabel="cluster of the first")


@forward_step.cases
def _(rng):
    def case(g, K=4, r=0.15, symmetric=False, scale=1.0, theta=None):
        F = rng.gamma(1.0, size=(K, K))
        F = F + F.T if symmetric else F
        alpha = _frequencies(rng, K)
        theta = rng.uniform(0.05, 0.95, K) if theta is None else theta
        return {"F": scale * F / F.sum(), "g": g, "theta": theta, "r": r, "alpha": alpha}

    return {
        "a heterozygote": case(1, scale=rng.uniform(0.2, 0.6)),
        "two copies": case(2, K=5, r=rng.uniform(0.2, 0.4), symmetric=True, scale=0.01),
        "no copy": case(0, K=3, r=rng.uniform(0.1, 0.3)),
        "a missing genotype": case(-1, r=0.3, scale=0.5),
        "no jump": case(1, K=3, r=0.0),
        "jumps for sure": case(1, K=3, r=1),
        "clusters that are sure": case(1, theta=rng.permutation([0, 0, 1, 1]), scale=1e-8),
    }


forward_step.check("a heterozygote and both homozygotes", points=3, on=("a heterozygote", "two copies", "no copy"))
forward_step.check("a missing genotype", points=1, on="a missing genotype")
forward_step.check(
    "jumps never, jumps for sure, clusters that are sure",
    points=2,
    on=("no jump", "jumps for sure", "clusters that are sure"),
)


@forward_step.slip(
    "Nobody stays in your step. Both haplotypes may remain in their clusters, with probability s²: add s**2 * F."
)
def nobody_stays(F, g, theta, r, alpha):
    return _stepped(F, g, theta, r, alpha, (0, 1, 1, 1))


@forward_step.slip(
    "One of the four ways is missing: the first haplotype stays in j and the second jumps to k, s F(j, .) q_k."
)
def second_never_jumps_alone(F, g, theta, r, alpha):
    return _stepped(F, g, theta, r, alpha, (1, 0, 1, 1))


@forward_step.slip(
    "One of the four ways is missing: the second haplotype stays in k and the first jumps to j, s q_j F(., k)."
)
def first_never_jumps_alone(F, g, theta, r, alpha):
    return _stepped(F, g, theta, r, alpha, (1, 1, 0, 1))


@forward_step.slip(
    "Both haplotypes may jump at the same SNP. It is rare, but the step then does not keep the total: add q_j q_k "
    "times the sum of all of F."
)
def never_both(F, g, theta, r, alpha):
    return _stepped(F, g, theta, r, alpha, (1, 1, 1, 0))


@forward_step.slip(
    "Only both stay or both jump in your step. The two haplotypes jump independently: one may jump while the other "
    "stays, which makes two more terms."
)
def both_or_none(F, g, theta, r, alpha):
    return _stepped(F, g, theta, r, alpha, (1, 0, 0, 1))


@forward_step.slip(
    "Rows and columns are exchanged. If the first haplotype stays in j and the second jumps to k, the second may come "
    "from anywhere: sum F over its second index, and keep j. A symmetric F would not show it."
)
def sums_exchanged(F, g, theta, r, alpha):
    q, s = r * alpha, 1 - r
    return _shown(g, theta) * (
        s**2 * F + s * np.outer(F.sum(axis=0), q) + s * np.outer(q, F.sum(axis=1)) + np.outer(q, q) * F.sum()
    )


@forward_step.slip(
    "A jump to k has the probability q_k = r alpha_k. You used alpha alone, as if jumps were certain, on top of the "
    "chance to stay."
)
def r_forgotten(F, g, theta, r, alpha):
    s = 1 - r
    return _shown(g, theta) * (
        s**2 * F
        + s * np.outer(F.sum(axis=1), alpha)
        + s * np.outer(alpha, F.sum(axis=0))
        + np.outer(alpha, alpha) * F.sum()
    )


@forward_step.slip("Both haplotypes must stay for the pair to stay where it is: s squared, not s.")
def s_unsquared(F, g, theta, r, alpha):
    return _stepped(F, g, theta, r, alpha) + _shown(g, theta) * (r * (1 - r) * F)


@forward_step.slip(
    "Your heterozygote has one way only: 1 from cluster j and 0 from k. It can also be the other way round; add "
    "(1 - theta_j) theta_k."
)
def one_way(F, g, theta, r, alpha):
    shown = np.outer(theta, 1 - theta) if g == 1 else _shown(g, theta)
    return shown * _moved(F, r, alpha)


@forward_step.slip(
    "You gave the heterozygote 2 theta_j (1 - theta_k). The 2 holds where both haplotypes are in the same cluster; in "
    "two clusters the two ways have different probabilities: add them."
)
def twice_one_way(F, g, theta, r, alpha):
    shown = 2 * np.outer(theta, 1 - theta) if g == 1 else _shown(g, theta)
    return shown * _moved(F, r, alpha)


@forward_step.slip("The alleles are the wrong way round: theta is the probability of allele 1, and g counts 1s.")
def alleles_reversed(F, g, theta, r, alpha):
    return _stepped(F, 2 - g if g >= 0 else g, theta, r, alpha)


@forward_step.slip(
    "You moved, but did not look: what the pair of clusters says about the genotype is missing. Multiply by "
    "P(g | j, k)."
)
def genotype_forgotten(F, g, theta, r, alpha):
    return _moved(F, r, alpha)


@forward_step.slip(
    "You looked before moving: the genotype at this SNP was multiplied to the table of the SNP before. The pair that "
    "shows it is the one *after* the jump."
)
def looked_first(F, g, theta, r, alpha):
    return _moved(F * _shown(g, theta), r, alpha)


@forward_step.slip(
    "A missing genotype made everything zero, as if it were impossible. Nothing was seen, and any pair of clusters "
    "says that with probability 1."
)
def missing_impossible(F, g, theta, r, alpha):
    return _stepped(F, g, theta, r, alpha) * (g >= 0)


@forward_step.slip(
    "You made the table sum to one. That is what one does along a chromosome, and keeps the logarithm of the sum; here "
    "the sum itself is asked for, since it is the likelihood."
)
def rescaled(F, g, theta, r, alpha):
    stepped = _stepped(F, g, theta, r, alpha)
    return stepped / stepped.sum()


@forward_step.also
def by_matrices(F, g, theta, r, alpha):
    """Both haplotypes move by one and the same matrix."""
    K = len(alpha)
    move = (1 - r) * np.eye(K) + r * np.tile(alpha, (K, 1))
    return _shown(g, theta) * (move.T @ np.asarray(F) @ move)


@forward_step.also
def pair_of_pairs(F, g, theta, r, alpha):
    """All K to the fourth products."""
    K, found = len(alpha), np.zeros((len(alpha), len(alpha)))
    for j in range(K):
        for k in range(K):
            for a in range(K):
                for b in range(K):
                    first = (1 - r) * (a == j) + r * alpha[j]
                    found[j, k] += F[a, b] * first * ((1 - r) * (b == k) + r * alpha[k])
    return found * _shown(g, theta)
