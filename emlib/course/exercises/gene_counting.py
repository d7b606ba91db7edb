"""Exercise of the chapter on gene counting: Hardy-Weinberg, expected genotypes, counted genes, and a few reads."""

import numpy as np

from ..compare import close
from ..contract import Exercise

exercise = Exercise(
    "gene_counting",
    title="Counting genes you cannot see",
    minutes=90,
    part="applications",
    objectives=[
        "say how common each genotype is, given the frequencies of the alleles;",
        "add up the genotypes that look alike, and take one logarithm for each phenotype;",
        "write the E-step (expected genotypes) and the M-step (counted genes) for any blood group;",
        "iterate, and report the log-likelihood of the frequencies that you return;",
        "do the same at many sites of a genome at once, behind a few sequencing reads.",
    ],
    intro="""
        Four blood groups, three alleles, six genotypes: what can be seen is not what you want to count. In the chapter
        two lines of arithmetic for each group were enough. Here you write them once for *all* such riddles, in seven
        functions, and then let them loose on DNA.

        Alleles are numbered from 0. A genotype is a row of `genotypes` (G, 2), with the numbers of its two alleles in
        any order, and `looks` (G,) says which phenotype it shows. Whatever is an array over genotypes has one entry for
        each row, in that order. `p` (K,) holds the frequencies of the alleles.
        """,
    setup="""
        # The ABO blood groups. Alleles: 0 is A, 1 is B, 2 is O. Phenotypes: 0 is A, 1 is B, 2 is AB, 3 is O.
        genotypes = np.array([[0, 0], [0, 2], [1, 1], [1, 2], [0, 1], [2, 2]])  # AA, AO, BB, BO, AB, OO
        looks = np.array([0, 0, 1, 1, 2, 3])

        # 521 patients of Clarke and others, 1959: groups A, B, AB and O.
        counts = np.array([186, 38, 13, 284])
        """,
    outro="""
        Try `gene_counting` on a recessive disease that one newborn in 10,000 has: alleles 0 and 1, phenotypes "well"
        and "ill". How many steps until the third digit of the frequency stands still, and how many did the blood
        groups need? The chapter says which share of the information is missing.

        And draw genotypes in which there are *no* heterozygotes at all, as in two populations that never meet. Hide
        half of them behind one read a person. What does `site_frequencies` say, and how often is it wrong about single
        people? The frequency survives better than the genotypes: why?
        """,
)

ABO = np.array([[0, 0], [0, 2], [1, 1], [1, 2], [0, 1], [2, 2]])
ABO_LOOKS = np.array([0, 0, 1, 1, 2, 3])
CLARKE = np.array([186, 38, 13, 284])
GUESS = np.array([0.3, 0.2, 0.5])

# A log-likelihood of -500 is not right if it is off by 0.05, though that is one part in ten thousand.
FINE = close(relative=1e-6)


# ---------------------------------------------------------------- inputs
def _frequencies(rng, K):
    """Nothing close to zero, no two alike."""
    p = 0.2 / K + 0.8 * rng.dirichlet(np.linspace(1.0, 3.0, K))
    return p / p.sum()


def _pairs(rng, K):
    """All pairs of alleles, in any order."""
    pairs = np.array([(a, b) for a in range(K) for b in range(a, K)])
    turned = np.where(rng.random(len(pairs))[:, None] < 0.5, pairs, pairs[:, ::-1])
    return rng.permutation(turned)


def _looks(rng, G, P):
    """A phenotype for each of G genotypes; each of P phenotypes has at least one."""
    return rng.permutation(np.concatenate([np.arange(P), rng.integers(P, size=G - P)]))


def _sample(rng, p, genotypes, looks, n):
    chances = np.bincount(looks, _mated(p, genotypes))
    return rng.multinomial(n, chances / chances.sum())


def _riddle(rng, K, P, n=400):
    genotypes = _pairs(rng, K)
    looks = _looks(rng, len(genotypes), P)
    counts = _sample(rng, _frequencies(rng, K), genotypes, looks, n)
    return {"p": _frequencies(rng, K), "genotypes": genotypes, "looks": looks, "counts": counts}


def _blood(rng):
    counts = _sample(rng, rng.dirichlet([3.0, 2.0, 6.0]) * 0.7 + 0.1, ABO, ABO_LOOKS, 500)
    return {"p": _frequencies(rng, 3), "genotypes": ABO, "looks": ABO_LOOKS, "counts": counts}


def _reads(rng, n, sites, depth, error=0.02, low=0.1, high=0.45):
    """Reads (n, sites) of both alleles."""
    g = rng.binomial(2, rng.uniform(low, high, sites), (n, sites))
    total = rng.poisson(depth, g.shape)
    alternate = rng.binomial(total, np.array([error, 0.5, 1 - error])[g])
    return total - alternate, alternate


def _logs(reference, alternate, error):
    """Log-likelihoods of 0, 1, 2 copies, along a new last axis."""
    shows = np.array([error, 0.5, 1 - error])
    return np.asarray(reference)[..., None] * np.log(1 - shows) + np.asarray(alternate)[..., None] * np.log(shows)


def _sequenced(n_sites=40, depth=2, error=0.01):
    """Real genotypes of 60 parents from Utah, behind simulated reads."""
    from ... import data

    people = data.hapmap_trios("CEU")
    g = people.genotypes[people.founders]
    whole = np.flatnonzero((g >= 0).all(axis=0))[::11][:n_sites]
    rng = np.random.default_rng(0)
    total = rng.poisson(depth, (len(g), len(whole)))
    alternate = rng.binomial(total, np.array([error, 0.5, 1 - error])[g[:, whole]])
    return _logs(total - alternate, alternate, error), g[:, whole].mean(axis=0) / 2


# ---------------------------------------------------------------- the steps, as the slips vary them
def _mated(p, genotypes, orders=2.0):
    """Hardy-Weinberg, with a factor for two different alleles."""
    a, b = genotypes.T
    return np.where(a == b, 1.0, orders) * np.asarray(p)[a] * np.asarray(p)[b]


def _split(p, genotypes, looks, counts, orders=2.0):
    chances = _mated(p, genotypes, orders)
    whole = np.bincount(looks, chances, minlength=len(counts))
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(whole[looks] > 0, chances / whole[looks], 0.0)
    return np.asarray(counts)[looks] * shares


def _called(p, genotypes, looks, counts):
    """Everybody of a phenotype gets its most probable genotype."""
    chances, called = _mated(p, genotypes), np.zeros(len(genotypes))
    for s, n in enumerate(counts):
        alike = np.flatnonzero(looks == s)
        called[alike[chances[alike].argmax()]] = n
    return called


def _counted(expected, genotypes, K):
    genes = np.bincount(genotypes.ravel(), np.repeat(expected, 2), minlength=K)
    return genes / genes.sum()


def _climb(counts, genotypes, looks, start, n_iter, split=_split, count=_counted):
    p = np.asarray(start, float)
    for _ in range(n_iter):
        p = count(split(p, genotypes, looks, counts), genotypes, len(p))
    return p


def _value(p, genotypes, looks, counts, orders=2.0):
    chances = np.bincount(looks, _mated(p, genotypes, orders), minlength=len(counts))
    some = np.asarray(counts) > 0
    with np.errstate(divide="ignore"):
        return float((np.asarray(counts)[some] * np.log(chances[some])).sum())


def _prior(p):
    """Of 0, 1, 2 copies at each site, (L, 3)."""
    p = np.asarray(p)
    return np.stack([(1 - p) ** 2, 2 * p * (1 - p), p**2], axis=-1)


def _shares(p, log_likelihoods):
    """Posterior of the genotypes (n, L, 3)."""
    with np.errstate(divide="ignore"):
        joint = log_likelihoods + np.log(_prior(p))
    shares = np.exp(joint - joint.max(axis=2, keepdims=True))
    return shares / shares.sum(axis=2, keepdims=True)


def _at_sites(log_likelihoods, n_iter, copies):
    """`copies` turns frequencies and likelihoods into copies (n, L) of the alternate allele."""
    p = np.full(log_likelihoods.shape[1], 0.5)
    for _ in range(n_iter):
        p = copies(p, log_likelihoods).mean(axis=0) / 2
    return p


def _expected_copies(p, log_likelihoods):
    return _shares(p, log_likelihoods) @ np.array([0.0, 1.0, 2.0])


# ---------------------------------------------------------------- 1
@exercise.function(
    returns={"probabilities": "(G,)"},
    story="""
        **How genes meet.** If people choose their partners without regard to this gene, a child's two genes are two
        independent draws from all genes. A child is AA if both draws are A, which has probability $p_A^2$. It is AO if
        the mother's gene is A and the father's O, *or the other way round*: $2\\, p_A\\, p_O$. These are the
        Hardy–Weinberg proportions,

        $$P(g \\mid p) = h_g\\; p_a\\, p_b, \\qquad
          h_g = \\begin{cases} 1 & a = b, \\\\ 2 & a \\ne b, \\end{cases}$$

        for a genotype $g$ of the alleles $a$ and $b$. Return them for every row of `genotypes`. With frequencies .3, .2
        and .5 of A, B and O, the genotype AO has probability 2 · .3 · .5 = .3.
        """,
    hints=[
        "The frequency of the first allele of every genotype is p[genotypes[:, 0]].",
        "Multiply the frequencies of the two alleles; then decide where the factor is 2: where the alleles differ.",
        "a, b = genotypes.T; return np.where(a == b, 1, 2) * p[a] * p[b]",
    ],
    after="""
        Over all pairs of alleles these probabilities sum to one, since $(\\sum_a p_a)^2 = 1$. Without the factor they
        do not. That is the quickest test of it.
        """,
)
def hardy_weinberg(p, genotypes):
    """Hardy-Weinberg proportions.

    Parameters
    ----------
    p : array (K,)
        Frequencies of the alleles; they sum to 1 and may be 0.
    genotypes : array (G, 2) of int
        The two alleles of each genotype, in any order.

    Returns
    -------
    probabilities : array (G,)
        Of each genotype.
    """
    a, b = np.asarray(genotypes).T
    return np.where(a == b, 1.0, 2.0) * np.asarray(p)[a] * np.asarray(p)[b]


@hardy_weinberg.example
def _():
    return {"p": GUESS, "genotypes": ABO}


@hardy_weinberg.cases
def _(rng):
    gone = _frequencies(rng, 4)
    gone[2] = 0.0
    return {
        "three alleles": {"p": _frequencies(rng, 3), "genotypes": _pairs(rng, 3)},
        "six alleles": {"p": _frequencies(rng, 6), "genotypes": _pairs(rng, 6)},
        "one genotype of each kind": {"p": _frequencies(rng, 3), "genotypes": np.array([[2, 0], [1, 1]])},
        "an allele that is not there": {"p": gone / gone.sum(), "genotypes": _pairs(rng, 4)},
        "nothing but one allele": {"p": np.array([0, 1]), "genotypes": _pairs(rng, 2)},
    }


hardy_weinberg.check(
    "three alleles and six", points=2, on=("three alleles", "six alleles", "one genotype of each kind")
)
hardy_weinberg.check(
    "alleles with a frequency of zero", points=1, on=("an allele that is not there", "nothing but one allele")
)


@hardy_weinberg.slip(
    "The 2 is missing. A from the mother and O from the father is another event than O from the mother and A from the "
    "father, and both make the genotype AO."
)
def one_order(p, genotypes):
    return _mated(p, genotypes, 1.0)


@hardy_weinberg.slip(
    "You doubled every genotype. Two equal alleles can come in one order only, so AA has probability p_A squared."
)
def all_doubled(p, genotypes):
    return 2 * _mated(p, genotypes, 1.0)


@hardy_weinberg.slip(
    "You divided by 2 where you should multiply: a heterozygote can come about in two ways, so it is more probable "
    "than the product of its frequencies, not less."
)
def halved(p, genotypes):
    return _mated(p, genotypes, 0.5)


@hardy_weinberg.slip(
    "You squared the frequency of the first allele for every genotype. That is right for homozygotes; a heterozygote "
    "has two different alleles, and both frequencies belong into it."
)
def first_squared(p, genotypes):
    return np.asarray(p)[genotypes[:, 0]] ** 2.0


@hardy_weinberg.slip(
    "You added the two frequencies. Both draws must come out right, so their probabilities are multiplied."
)
def added(p, genotypes):
    return np.asarray(p)[genotypes].sum(axis=1)


@hardy_weinberg.slip(
    "You made the proportions sum to one at the end. Over all pairs of alleles they do so by themselves; if they did "
    "not, a factor 2 is missing, and where only some genotypes are asked for they should not."
)
def normalised(p, genotypes):
    chances = _mated(p, genotypes, 1.0)
    return chances / chances.sum()


@hardy_weinberg.also
def by_rows(p, genotypes):
    return [float(p[a] ** 2 if a == b else 2 * p[a] * p[b]) for a, b in genotypes]


# ---------------------------------------------------------------- 2
@exercise.function(
    returns={"log_likelihood": "()"},
    story="""
        **What can be seen.** Genotypes that look alike cannot be told apart, so a phenotype has the *sum* of their
        probabilities: group A has $p_A^2 + 2 p_A p_O$. With $n_s$ people of phenotype $s$,

        $$\\ell(p) = \\sum_s n_s \\log \\sum_{g \\in s} P(g \\mid p) .$$

        People have come in some order, which nobody wrote down; leave out what it would add. A phenotype that nobody
        has adds nothing, even if it is impossible: there, 0 · log 0 is 0. For the 521 patients and the frequencies
        (.3, .2, .5) the value is −650.6.
        """,
    hints=[
        "First add up, then take the logarithm. Which genotypes belong to phenotype s? Those with looks == s.",
        "np.bincount(looks, weights=probabilities, minlength=len(counts)) adds the probabilities of each phenotype.",
        "seen = counts > 0 picks the phenotypes that count: (counts[seen] * np.log(chances[seen])).sum().",
    ],
    after="""
        The sum sits *inside* the logarithm, as in every chapter of this book. Were it outside, the frequencies would be
        a matter of setting a derivative to zero, once.
        """,
    compare=FINE,
)
def log_likelihood(p, genotypes, looks, counts):
    """Log-likelihood of people counted by phenotype.

    Parameters
    ----------
    p : array (K,)
        Frequencies of the alleles.
    genotypes : array (G, 2) of int
        The two alleles of each genotype.
    looks : array (G,) of int
        Phenotype of each genotype, from 0 to P - 1.
    counts : array (P,) of int
        People of each phenotype; some may be 0.

    Returns
    -------
    log_likelihood : float
        In nats, without the multinomial coefficient.
    """
    chances = np.bincount(looks, weights=hardy_weinberg(p, genotypes), minlength=len(counts))
    seen = np.asarray(counts) > 0
    return (np.asarray(counts)[seen] * np.log(chances[seen])).sum()


@log_likelihood.example
def _():
    return {"p": GUESS, "genotypes": ABO, "looks": ABO_LOOKS, "counts": CLARKE}


@log_likelihood.cases
def _(rng):
    nobody = _blood(rng)
    nobody["counts"] = nobody["counts"] * np.array([1, 0, 1, 1])
    gone = _blood(rng)
    gone["p"] = np.array([0.4, 0.0, 0.6])
    gone["counts"] = gone["counts"] * np.array([1, 0, 0, 1])
    certain = {**_riddle(rng, 3, 1), "counts": np.array([7])}
    return {
        "blood groups": _blood(rng),
        "five alleles, four phenotypes": _riddle(rng, 5, 4),
        "nothing is hidden": _riddle(rng, 3, 6),
        "nobody of one phenotype": nobody,
        "nobody of an impossible phenotype": gone,
        "all look alike": certain,
    }


log_likelihood.check(
    "blood groups, and any other map",
    points=3,
    on=("blood groups", "five alleles, four phenotypes", "nothing is hidden"),
)
log_likelihood.check(
    "phenotypes of nobody",
    points=1,
    on=("nobody of one phenotype", "nobody of an impossible phenotype", "all look alike"),
)


@log_likelihood.slip(
    "You took logarithms first and added them up. That is the probability that a person has *all* genotypes of the "
    "phenotype. He has one of them: add the probabilities, then take one logarithm."
)
def logs_first(p, genotypes, looks, counts):
    with np.errstate(divide="ignore"):
        logs = np.bincount(looks, np.log(_mated(p, genotypes)), minlength=len(counts))
    return float((counts[counts > 0] * logs[counts > 0]).sum())


@log_likelihood.slip(
    "Every phenotype was counted once. Each person adds the logarithm of his phenotype, so multiply by the counts."
)
def counts_forgotten(p, genotypes, looks, counts):
    return _value(p, genotypes, looks, (counts > 0).astype(float))


@log_likelihood.slip(
    "0 times log 0 is 0 here, but the computer says nan. Leave out the phenotypes of nobody before you take logarithms."
)
def zero_times_infinity(p, genotypes, looks, counts):
    chances = np.bincount(looks, _mated(p, genotypes), minlength=len(counts))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float((counts * np.log(chances)).sum())


@log_likelihood.slip(
    "Only the most probable genotype of each phenotype is in your sum. The others look the same, and add to the "
    "probability of what was seen."
)
def best_genotype_only(p, genotypes, looks, counts):
    chances = _mated(p, genotypes)
    best = np.array([chances[looks == s].max() for s in range(len(counts))])
    return float((counts[counts > 0] * np.log(best[counts > 0])).sum())


@log_likelihood.slip(
    "The factor 2 of heterozygotes is missing, so the phenotypes do not sum to one. Use your first function."
)
def one_order_only(p, genotypes, looks, counts):
    return _value(p, genotypes, looks, counts, 1.0)


@log_likelihood.slip("This is the average for one person. The log-likelihood is the sum over all of them.")
def averaged(p, genotypes, looks, counts):
    return _value(p, genotypes, looks, counts) / counts.sum()


@log_likelihood.also
def person_by_person(p, genotypes, looks, counts):
    total = 0.0
    for s, n in enumerate(counts):
        if n:
            total += n * np.log(sum(c for c, look in zip(_mated(p, genotypes), looks, strict=True) if look == s))
    return total


# ---------------------------------------------------------------- 3
@exercise.function(
    returns={"expected": "(G,)"},
    story="""
        **E: who is what?** Given the frequencies, the people of a phenotype divide among its genotypes in proportion to
        the genotypes' probabilities:

        $$N_g = n_s\\, \\frac{P(g \\mid p)}{\\sum_{g' \\in s} P(g' \\mid p)} \\qquad (g \\in s).$$

        With (.3, .2, .5), AA and AO have probabilities .09 and .30, so of 186 people of group A one expects 42.9 to be
        AA and 143.1 to be AO. Nobody in particular is meant; these are expected counts and need not be whole. Where a
        phenotype has probability zero, nobody has it, and its genotypes get 0. The picture shows all six genotypes of
        the patients.
        """,
    hints=[
        "For each genotype you need the probability of its whole phenotype. You have added those up before.",
        "If whole holds one number for each phenotype, whole[looks] has one for each genotype, as has counts[looks].",
        "chances = hardy_weinberg(p, genotypes); whole = np.bincount(looks, chances, minlength=len(counts)); "
        "expected = counts[looks] * chances / whole[looks], with 0 where whole[looks] is 0.",
    ],
    after="""
        The expected counts of a phenotype sum to its people: an E-step divides them up and invents nobody. And it works
        within the phenotype. Bayes' rule has the probability of what was *seen* below the line.
        """,
)
def expected_genotypes(p, genotypes, looks, counts):
    """Divide the people of each phenotype among its genotypes, in expectation.

    Parameters
    ----------
    p : array (K,)
        Frequencies of the alleles; they may be 0.
    genotypes : array (G, 2) of int
        The two alleles of each genotype.
    looks : array (G,) of int
        Phenotype of each genotype.
    counts : array (P,) of int
        People of each phenotype.

    Returns
    -------
    expected : array (G,)
        People expected of each genotype; 0 where the whole phenotype has probability 0.
    """
    chances = hardy_weinberg(p, genotypes)
    whole = np.bincount(looks, weights=chances, minlength=len(counts))[looks]
    shares = np.divide(chances, whole, out=np.zeros(len(chances)), where=whole > 0)
    return np.asarray(counts)[looks] * shares


@expected_genotypes.example
def _():
    return {"p": GUESS, "genotypes": ABO, "looks": ABO_LOOKS, "counts": CLARKE}


@expected_genotypes.draws(
    """Four bars of people by blood group, cut into genotypes. Of 186 people of group A 43 are AA and 143 AO; of 38 of
    group B 6 are BB and 32 BO; all 13 of AB are AB, and all 284 of O are OO."""
)
def _split_bars(ax, answer, p, genotypes, looks, counts):
    from ...view import style

    names, colours = ["AA", "AO", "BB", "BO", "AB", "OO"], style.COLORS
    bottom = np.zeros(len(counts))
    for g, people in enumerate(np.asarray(answer)):
        ax.bar(looks[g], people, bottom=bottom[looks[g]], color=colours[g], edgecolor="white", label=names[g])
        bottom[looks[g]] += people
    ax.set_xticks(range(4), ["A", "B", "AB", "O"])
    ax.set(xlabel="blood group", ylabel="people")
    ax.legend(ncols=3, frameon=False)


@expected_genotypes.cases
def _(rng):
    gone = _blood(rng)
    gone["p"] = np.array([0.4, 0.0, 0.6])
    gone["counts"] = gone["counts"] * np.array([1, 0, 0, 1])
    nobody = _blood(rng)
    nobody["counts"] = nobody["counts"] * np.array([0, 1, 1, 1])
    return {
        "blood groups": _blood(rng),
        "five alleles, four phenotypes": _riddle(rng, 5, 4),
        "all look alike": {**_riddle(rng, 4, 1), "counts": np.array([90])},
        "nothing is hidden": _riddle(rng, 3, 6),
        "nobody of one phenotype": nobody,
        "a phenotype of probability zero": gone,
    }


expected_genotypes.check("blood groups", points=2, on="blood groups")
expected_genotypes.check(
    "other maps, from all hidden to nothing hidden",
    points=2,
    on=("five alleles, four phenotypes", "all look alike", "nothing is hidden"),
)
expected_genotypes.check(
    "phenotypes of nobody", points=1, on=("nobody of one phenotype", "a phenotype of probability zero")
)


@expected_genotypes.slip(
    "You called everybody by the most probable genotype of his phenotype. The rarer genotype then loses every time, "
    "although it is there in its share of cases. Divide people in proportion; do not decide."
)
def called(p, genotypes, looks, counts):
    return _called(p, genotypes, looks, counts)


@expected_genotypes.slip(
    "You divided each phenotype evenly among its genotypes. The frequencies know better: weight each genotype with its "
    "Hardy-Weinberg probability."
)
def evenly(p, genotypes, looks, counts):
    return (counts / np.bincount(looks, minlength=len(counts)))[looks]


@expected_genotypes.slip(
    "The factor 2 of heterozygotes is missing, so AA gets too large a part of group A. It is as .09 to .30 in the "
    "example, not as .09 to .15."
)
def without_orders(p, genotypes, looks, counts):
    return _split(p, genotypes, looks, counts, 1.0)


@expected_genotypes.slip(
    "This is what one expects before anything has been seen: all people times the probability of the genotype. But you "
    "have seen how many show each phenotype. Divide by the probability of the phenotype, and multiply by its people."
)
def phenotypes_ignored(p, genotypes, looks, counts):
    return counts.sum() * _mated(p, genotypes)


@expected_genotypes.slip(
    "You multiplied by the people of the phenotype, but did not divide by its probability. The parts of a group must "
    "sum to its people."
)
def not_divided(p, genotypes, looks, counts):
    return counts[looks] * _mated(p, genotypes)


@expected_genotypes.slip(
    "These are shares of one person. Multiply by the people of each phenotype to get expected counts."
)
def shares_only(p, genotypes, looks, counts):
    return _split(p, genotypes, looks, np.ones(len(counts)))


@expected_genotypes.slip(
    "Zero divided by zero is nan, and it spreads to everything that you count from it. A phenotype of probability zero "
    "has nobody to divide: return 0 there."
)
def zero_by_zero(p, genotypes, looks, counts):
    chances = _mated(p, genotypes)
    with np.errstate(divide="ignore", invalid="ignore"):
        return counts[looks] * chances / np.bincount(looks, chances, minlength=len(counts))[looks]


@expected_genotypes.also
def phenotype_by_phenotype(p, genotypes, looks, counts):
    expected = np.zeros(len(genotypes))
    for s, n in enumerate(counts):
        alike = np.asarray(looks) == s
        chances = _mated(p, np.asarray(genotypes)[alike])
        if n:
            expected[alike] = n * chances / chances.sum()
    return expected


# ---------------------------------------------------------------- 4
@exercise.function(
    returns={"p": "(K,)"},
    story="""
        **M: count genes.** With (expected) people of every genotype, count the genes. Somebody who is AA carries two A
        genes, somebody who is AO one A and one O. If $c_{ga}$ is the number of copies of allele $a$ in genotype $g$,

        $$p_a = \\frac{1}{2n} \\sum_g N_g\\, c_{ga} ,$$

        with $n$ people, and so $2n$ genes, in all. There are `n_alleles` alleles, and some may be in nobody. From the
        expected counts of the patients one gets .2322, .0550 and .7128.
        """,
    hints=[
        "Each person has two genes, one for each column of genotypes. Add the people of a genotype to the count of its "
        "first allele, then to the count of its second.",
        "np.bincount(genotypes[:, 0], weights=expected, minlength=n_alleles) does the first half.",
        "Do the same with genotypes[:, 1], add, and divide by 2 * expected.sum().",
    ],
    after="""
        This is the mixing weights' M-step with genes in the place of people: maximise $\\sum_a m_a \\log p_a$, where
        the shares sum to one, and you get $m_a$ over the sum of all $m$.
        """,
)
def count_genes(expected, genotypes, n_alleles):
    """Frequencies of the alleles, from people by genotype.

    Parameters
    ----------
    expected : array (G,)
        People of each genotype; they need not be whole.
    genotypes : array (G, 2) of int
        The two alleles of each genotype.
    n_alleles : int
        The number of alleles, K.

    Returns
    -------
    p : array (K,)
        Frequencies; they sum to 1.
    """
    a, b = np.asarray(genotypes).T
    genes = np.bincount(a, expected, minlength=n_alleles) + np.bincount(b, expected, minlength=n_alleles)
    return genes / (2 * np.sum(expected))


@count_genes.example
def _():
    return {
        "expected": np.array([42.92, 143.08, 6.33, 31.67, 13.0, 284.0]),
        "genotypes": ABO,
        "n_alleles": 3,
    }


@count_genes.cases
def _(rng):
    return {
        "blood groups": {"expected": rng.gamma(2.0, 30.0, size=6), "genotypes": ABO, "n_alleles": 3},
        "whole people, five alleles": {
            "expected": rng.integers(1, 40, size=15),
            "genotypes": _pairs(rng, 5),
            "n_alleles": 5,
        },
        "the last allele is in nobody": {
            "expected": rng.gamma(2.0, 5.0, size=3),
            "genotypes": _pairs(rng, 2),
            "n_alleles": 4,
        },
        "heterozygotes alone": {"expected": np.array([9.0]), "genotypes": np.array([[1, 0]]), "n_alleles": 2},
    }


count_genes.check("blood groups and five alleles", points=2, on=("blood groups", "whole people, five alleles"))
count_genes.check(
    "alleles in nobody, one genotype", points=2, on=("the last allele is in nobody", "heterozygotes alone")
)


@count_genes.slip(
    "You divided by the number of people. Everybody has two genes: divide by 2n, and the shares sum to one."
)
def divided_by_people(expected, genotypes, n_alleles):
    return 2 * _counted(expected, genotypes, n_alleles)


@count_genes.slip(
    "Homozygotes were counted with one gene. Somebody who is AA has two A's, so count both columns of genotypes, even "
    "where they agree."
)
def homozygotes_once(expected, genotypes, n_alleles):
    genes = np.zeros(n_alleles)
    for n, alleles in zip(expected, genotypes.tolist(), strict=True):
        for a in set(alleles):
            genes[a] += n
    return genes / genes.sum()


@count_genes.slip(
    "Only the first allele of each genotype was counted. The second column holds the other half of the genes."
)
def first_only(expected, genotypes, n_alleles):
    genes = np.bincount(genotypes[:, 0], expected, minlength=n_alleles)
    return genes / genes.sum()


@count_genes.slip("These are numbers of genes. Divide by how many there are in all to get frequencies.")
def not_shared(expected, genotypes, n_alleles):
    return _counted(expected, genotypes, n_alleles) * 2 * np.sum(expected)


@count_genes.slip(
    "You counted genotypes, not people: every genotype got the same weight. Weight each with the people expected of it."
)
def people_forgotten(expected, genotypes, n_alleles):
    return _counted(np.ones(len(genotypes)), genotypes, n_alleles)


@count_genes.slip(
    "Your answer is the root of the share of homozygotes. It uses the model to guess what counting would tell, and "
    "throws the heterozygotes away. Count the genes of everybody."
)
def square_root(expected, genotypes, n_alleles):
    p = np.zeros(n_alleles)
    for n, (a, b) in zip(expected, genotypes, strict=True):
        if a == b:
            p[a] = np.sqrt(n / np.sum(expected))
    return p


@count_genes.also
def by_table(expected, genotypes, n_alleles):
    copies = np.array([[row.count(a) for a in range(n_alleles)] for row in np.asarray(genotypes).tolist()])
    genes = np.asarray(expected) @ copies
    return genes / genes.sum()


# ---------------------------------------------------------------- 5
@exercise.function(
    returns={"p": "(K,)", "log_likelihood": "()"},
    story="""
        **EM.** Now alternate: expected genotypes, counted genes, `n_iter` times from the frequencies `start`. Return
        the last frequencies, and the log-likelihood *at these*, not at those before the last step.

        From (.3, .2, .5) the patients' frequencies are (.2160, .0503, .7337) after two steps, and after ten
        (.2136, .0501, .7363), with log-likelihood −511.57. An allele that starts at zero stays there, whatever you have
        been told about adding a little something: return what EM does.
        """,
    hints=[
        "You have written every part. What is left is a for loop of two lines.",
        "In the loop: expected = expected_genotypes(p, genotypes, looks, counts), then p = count_genes(expected, "
        "genotypes, len(p)). The expected counts must be made anew in each round.",
        "After the loop: return p, log_likelihood(p, genotypes, looks, counts).",
    ],
    after="""
        Print the log-likelihood inside the loop and you have the best test there is: it may never fall. If it does, an
        E and an M do not belong to the same model.
        """,
    compare=FINE,
)
def gene_counting(counts, genotypes, looks, start, n_iter):
    """Gene counting: EM for allele frequencies.

    Parameters
    ----------
    counts : array (P,) of int
        People of each phenotype.
    genotypes : array (G, 2) of int
        The two alleles of each genotype.
    looks : array (G,) of int
        Phenotype of each genotype.
    start : array (K,)
        Frequencies to begin with.
    n_iter : int
        Number of iterations; 0 returns the start.

    Returns
    -------
    p : array (K,)
        Frequencies after the last iteration.
    log_likelihood : float
        At these frequencies.
    """
    p = np.array(start, dtype=float)
    for _ in range(n_iter):
        p = count_genes(expected_genotypes(p, genotypes, looks, counts), genotypes, len(p))
    return p, log_likelihood(p, genotypes, looks, counts)


@gene_counting.example
def _():
    return {"counts": CLARKE, "genotypes": ABO, "looks": ABO_LOOKS, "start": GUESS, "n_iter": 10}


@gene_counting.cases
def _(rng):
    def case(riddle, n_iter):
        return {
            "counts": riddle["counts"],
            "genotypes": riddle["genotypes"],
            "looks": riddle["looks"],
            "start": riddle["p"],
            "n_iter": n_iter,
        }

    # Alleles 0, 1, 2 that would like to be three: heterozygotes are too many for two.
    pairs = np.array([[0, 0], [0, 1], [0, 2], [1, 2], [1, 1], [2, 2]])
    zero = {
        "counts": rng.multinomial(400, [0.13, 0.67, 0.2]),
        "genotypes": pairs,
        "looks": np.array([0, 1, 1, 1, 2, 2]),
        "start": np.array([0.55, 0.45, 0.0]),
        "n_iter": 120,
    }
    return {
        "blood groups, three steps": case(_blood(rng), 3),
        "five alleles, forty steps": case(_riddle(rng, 5, 6), 40),
        "one step": case(_blood(rng), 1),
        "no step at all": case(_blood(rng), 0),
        "an allele that starts at zero": zero,
    }


gene_counting.check("blood groups, three steps", points=2, on="blood groups, three steps")
gene_counting.check(
    "forty steps, one, and none", points=2, on=("five alleles, forty steps", "one step", "no step at all")
)
gene_counting.check("an allele that starts at zero", points=1, on="an allele that starts at zero")


@gene_counting.slip(
    "The log-likelihood belongs to the frequencies before the last step. Compute it once more, after the loop."
)
def one_step_behind(counts, genotypes, looks, start, n_iter):
    before = _climb(counts, genotypes, looks, start, max(n_iter - 1, 0))
    return _climb(counts, genotypes, looks, start, n_iter), _value(before, genotypes, looks, counts)


@gene_counting.slip(
    "The expected genotypes were computed once, from the start, and the loop only counts them again and again. The "
    "E-step belongs inside the loop: new frequencies divide the phenotypes anew."
)
def expected_once(counts, genotypes, looks, start, n_iter):
    p = _climb(counts, genotypes, looks, start, min(n_iter, 1))
    return p, _value(p, genotypes, looks, counts)


@gene_counting.slip("You did one iteration too few. range(n_iter) has n_iter steps; range(1, n_iter) has one less.")
def one_too_few(counts, genotypes, looks, start, n_iter):
    p = _climb(counts, genotypes, looks, start, max(n_iter - 1, 0))
    return p, _value(p, genotypes, looks, counts)


@gene_counting.slip("You did one iteration too many: with n_iter = 0 the start itself is returned.")
def one_too_many(counts, genotypes, looks, start, n_iter):
    p = _climb(counts, genotypes, looks, start, n_iter + 1)
    return p, _value(p, genotypes, looks, counts)


@gene_counting.slip(
    "Everybody was called by the most probable genotype in each round. That is classification EM; it climbs something "
    "else and loses the rarer genotype of every phenotype."
)
def hard(counts, genotypes, looks, start, n_iter):
    p = _climb(counts, genotypes, looks, start, n_iter, split=_called)
    return p, _value(p, genotypes, looks, counts)


@gene_counting.slip(
    "The 2 of heterozygotes is missing in the E-step, so the fixed point is another: group A is divided as .09 to .15 "
    "instead of .09 to .30."
)
def one_order_in_e(counts, genotypes, looks, start, n_iter):
    p = _climb(counts, genotypes, looks, start, n_iter, split=lambda *given: _split(*given, 1.0))
    return p, _value(p, genotypes, looks, counts)


@gene_counting.slip(
    "The M-step divides by the number of people, so your frequencies sum to two. Each person has two genes."
)
def sums_to_two(counts, genotypes, looks, start, n_iter):
    p = np.asarray(start, float)
    if n_iter:
        p = 2 * _climb(counts, genotypes, looks, start, n_iter)
    return p, _value(p, genotypes, looks, counts)


@gene_counting.slip(
    "You lifted the zero before you began. It is a sensible thing to do for an analysis, and then better done by the "
    "one who chooses the start. Here it hides what EM does: no genes, no expectation, no genes."
)
def zero_lifted(counts, genotypes, looks, start, n_iter):
    p = _climb(counts, genotypes, looks, np.maximum(start, 1e-6), n_iter)
    return p, _value(p, genotypes, looks, counts)


@gene_counting.also
def in_one_line(counts, genotypes, looks, start, n_iter):
    copies = np.array([[list(row).count(a) for a in range(len(start))] for row in np.asarray(genotypes).tolist()])
    p = np.array(start, dtype=float)
    for _ in range(n_iter):
        p = _split(p, np.asarray(genotypes), np.asarray(looks), np.asarray(counts)) @ copies / (2 * np.sum(counts))
    return p, _value(p, np.asarray(genotypes), np.asarray(looks), np.asarray(counts))


# ---------------------------------------------------------------- 6
@exercise.function(
    returns={"log_likelihoods": "(n, 3)"},
    story="""
        **What a few reads say.** Each read copies one of a person's two genes at random, and with probability
        $\\varepsilon$ it shows the wrong allele. So it shows the alternate allele with probability $\\varepsilon$,
        $\\tfrac12$ or $1 - \\varepsilon$ if the genotype has $g = 0$, 1 or 2 copies of it. With $u$ reads of the
        reference and $v$ of the alternate allele, in the order in which they came,

        $$\\log L_0 = u \\log(1-\\varepsilon) + v \\log \\varepsilon, \\quad
          \\log L_1 = (u + v) \\log \\tfrac12, \\quad
          \\log L_2 = u \\log \\varepsilon + v \\log(1-\\varepsilon).$$

        Leave out the binomial coefficient: it is the same for all three genotypes and cancels. Return the *logarithms*:
        there are sites with thousands of reads. A person without reads gets three zeros, which say nothing.
        """,
    hints=[
        "One column after the other: L_0, L_1, L_2, each from the two arrays of counts.",
        "Never form (1 - error) ** u; multiply the logarithm by u instead.",
        "np.stack([u * np.log(1 - error) + v * np.log(error), (u + v) * np.log(0.5), u * np.log(error) + "
        "v * np.log(1 - error)], axis=1)",
    ],
    after="""
        These are likelihoods of a *hidden* genotype, as "1 for AA, 1 for AO, 0 for the rest" was for blood group A. The
        E-step does not care where they come from.
        """,
    compare=FINE,
)
def read_likelihoods(reference, alternate, error):
    """Log-likelihoods of the three genotypes, from reads.

    Parameters
    ----------
    reference : array (n,) of int
        Reads of each person that show the reference allele.
    alternate : array (n,) of int
        Reads that show the alternate allele.
    error : float
        Chance that a read shows the wrong allele, between 0 and 1/2.

    Returns
    -------
    log_likelihoods : array (n, 3)
        For 0, 1 and 2 copies of the alternate allele.
    """
    u, v = np.asarray(reference, dtype=float), np.asarray(alternate, dtype=float)
    right, wrong = np.log(1 - error), np.log(error)
    return np.stack([u * right + v * wrong, (u + v) * np.log(0.5), u * wrong + v * right], axis=1)


@read_likelihoods.example
def _():
    return {
        "reference": np.array([0, 1, 0, 1, 0, 0]),
        "alternate": np.array([0, 0, 1, 1, 2, 6]),
        "error": 0.01,
    }


@read_likelihoods.cases
def _(rng):
    few = _reads(rng, 12, 1, 3)
    many = rng.integers(1500, 4000, size=(2, 5))
    return {
        "a few reads": {"reference": few[0][:, 0] + 1, "alternate": few[1][:, 0], "error": 0.02},
        "a poor machine": {"reference": rng.integers(4, size=8), "alternate": rng.integers(1, 6, size=8), "error": 0.2},
        "one person without reads": {"reference": np.array([0]), "alternate": np.array([0]), "error": 0.05},
        "thousands of reads": {"reference": many[0], "alternate": many[1], "error": 0.001},
    }


read_likelihoods.check("a few reads", points=2, on=("a few reads", "a poor machine"))
read_likelihoods.check("no reads, and thousands", points=2, on=("one person without reads", "thousands of reads"))


@read_likelihoods.slip(
    "The columns run the wrong way. The first is for 0 copies of the alternate allele: there alternate reads are "
    "errors."
)
def copies_reversed(reference, alternate, error):
    return _logs(reference, alternate, error)[:, ::-1]


@read_likelihoods.slip(
    "These are the likelihoods themselves. Return their logarithms, u log(1 - e) + v log e and so on."
)
def not_logs(reference, alternate, error):
    return np.exp(_logs(reference, alternate, error))


@read_likelihoods.slip(
    "You multiplied first and took the logarithm afterwards. With thousands of reads the product is zero in a "
    "computer, and its logarithm minus infinity. Multiply logarithms by the counts."
)
def product_first(reference, alternate, error):
    shows = np.array([error, 0.5, 1 - error])
    u, v = np.asarray(reference, float)[:, None], np.asarray(alternate, float)[:, None]
    with np.errstate(divide="ignore"):
        return np.log((1 - shows) ** u * shows**v)


@read_likelihoods.slip(
    "A heterozygote's reads are not free of choice: each shows either gene with probability one half. (Errors make no "
    "difference there, since they go both ways.) Its column is (u + v) log 1/2, not 0."
)
def heterozygote_explains_all(reference, alternate, error):
    logs = _logs(reference, alternate, error)
    logs[:, 1] = 0.0
    return logs


@read_likelihoods.slip(
    "You took the errors out of the heterozygote: 1/2 times (1 - e). But a read of one gene that errs shows the other "
    "allele, so errors go both ways and the probability stays one half."
)
def errors_in_the_middle(reference, alternate, error):
    logs = _logs(reference, alternate, error)
    logs[:, 1] += (np.asarray(reference) + np.asarray(alternate)) * np.log(1 - error)
    return logs


@read_likelihoods.slip(
    "The binomial coefficient is in it. It is the same for all three genotypes, so it does no harm later, but here it "
    "was to be left out."
)
def with_coefficient(reference, alternate, error):
    from scipy.special import gammaln

    u, v = np.asarray(reference, float), np.asarray(alternate, float)
    return _logs(reference, alternate, error) + (gammaln(u + v + 1) - gammaln(u + 1) - gammaln(v + 1))[:, None]


@read_likelihoods.slip(
    "Only the alternate reads were used. A read of the reference allele is evidence too: it says that not both genes "
    "are alternate."
)
def alternate_only(reference, alternate, error):
    return _logs(0 * np.asarray(reference), alternate, error)


@read_likelihoods.also
def reads_one_by_one(reference, alternate, error):
    rows = []
    for u, v in zip(np.asarray(reference).tolist(), np.asarray(alternate).tolist(), strict=True):
        rows.append([u * np.log1p(-s) + v * np.log(s) for s in (error, 0.5, 1 - error)])
    return rows


# ---------------------------------------------------------------- 7
@exercise.function(
    returns={"p": "(L,)"},
    story="""
        **A genome.** `log_likelihoods` (n, L, 3) holds $\\log L_{ilg}$ of n people at L sites for $g = 0, 1, 2$ copies
        of the alternate allele, and each site has a frequency $p_l$ of its own. Begin with $p_l = \\tfrac12$ everywhere
        and do `n_iter` steps at all sites at once:

        $$r_{ilg} = \\frac{L_{ilg}\\, P(g \\mid p_l)}{\\sum_{g'} L_{ilg'}\\, P(g' \\mid p_l)}, \\qquad
          p_l = \\frac{1}{2n} \\sum_{i=1}^n \\sum_{g=0}^2 g\\, r_{ilg},$$

        with the Hardy–Weinberg proportions $(1-p_l)^2$, $2 p_l (1-p_l)$ and $p_l^2$. Some of the likelihoods are too
        small for a computer, so subtract the largest of three logarithms before `np.exp`, as in chapter 2.

        The example has the genotypes of 60 parents from Utah at 40 sites of chromosome 22, behind simulated reads, two
        a person on average. The picture compares your frequencies with those counted from the true genotypes, and
        shows what becomes of them if each person is first *called* by the most probable genotype.
        """,
    hints=[
        "One step for all sites is one array expression. The proportions as an array (L, 3) fit to log_likelihoods "
        "(n, L, 3) by themselves.",
        "joint = log_likelihoods + np.log(prior); joint -= joint.max(axis=2, keepdims=True); r = np.exp(joint); "
        "r /= r.sum(axis=2, keepdims=True).",
        "The new frequencies: (r @ np.array([0, 1, 2])).mean(axis=0) / 2. Put it all into a loop of n_iter rounds that "
        "begins with p = np.full(L, 0.5).",
    ],
    after="""
        Nobody's genotype was decided, and most of them could not be. Yet the frequencies agree with the counted ones as
        well as 120 half-known genes allow. Calls made from the very same probabilities lose rare alleles: a person with
        one read, or none, is always given the commonest genotype.
        """,
)
def site_frequencies(log_likelihoods, n_iter):
    """Allele frequencies at many sites, from genotype likelihoods.

    Parameters
    ----------
    log_likelihoods : array (n, L, 3)
        Of 0, 1 and 2 copies of the alternate allele, for n people at L sites.
    n_iter : int
        Number of iterations, at least 1, from 1/2 at all sites.

    Returns
    -------
    p : array (L,)
        Frequencies of the alternate allele.
    """
    logs = np.asarray(log_likelihoods, dtype=float)
    p = np.full(logs.shape[1], 0.5)
    for _ in range(n_iter):
        with np.errstate(divide="ignore"):
            joint = logs + np.log(np.stack([(1 - p) ** 2, 2 * p * (1 - p), p**2], axis=1))
        r = np.exp(joint - joint.max(axis=2, keepdims=True))
        r /= r.sum(axis=2, keepdims=True)
        p = (r @ np.array([0.0, 1.0, 2.0])).mean(axis=0) / 2
    return p


@site_frequencies.example
def _():
    return {"log_likelihoods": _sequenced()[0], "n_iter": 30}


@site_frequencies.draws(
    """Estimated against counted frequencies of 40 sites. The estimates of EM lie about the diagonal at all frequencies.
    Those of called genotypes lie below it where the allele is rare and above it where it is common."""
)
def _estimates(ax, answer, log_likelihoods, n_iter):
    from ...view import style

    truth, p = _sequenced()[1], np.asarray(answer)
    calls = _shares(p, np.asarray(log_likelihoods)).argmax(axis=2).mean(axis=0) / 2
    ax.plot([0, 1], [0, 1], lw=0.8, color="0.5")
    ax.plot(truth, calls, "o", ms=4, color=style.COLORS[1], label="called, then counted")
    ax.plot(truth, p, "D", ms=4, color=style.COLORS[2], label="yours")
    ax.set(xlabel="counted in the true genotypes", ylabel="estimated", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    ax.legend(frameon=False)


@site_frequencies.cases
def _(rng):
    def case(reads, error, n_iter):
        return {"log_likelihoods": _logs(*reads, error), "n_iter": n_iter}

    deep = _reads(rng, 15, 2, 4, low=0.25)
    deep = (300 * (deep[0] + 1), 300 * (deep[1] + 1) + rng.integers(200, size=deep[1].shape))
    some = _reads(rng, 30, 4, 3)
    some = tuple(part * (np.arange(30) % 3 > 0)[:, None] for part in some)
    return {
        "thirty people, six sites": case(_reads(rng, 30, 6, 3), 0.02, 12),
        "one site, one step": case(_reads(rng, 20, 1, 2, low=0.2), 0.05, 1),
        "a third of the people were not read": case(some, 0.02, 6),
        "thousands of reads": case(deep, 0.001, 3),
        "three people, thirty sites": case(_reads(rng, 3, 30, 6), 0.02, 4),
    }


site_frequencies.check("thirty people, six sites", points=3, on=("thirty people, six sites", "one site, one step"))
site_frequencies.check("a third of the people were not read", points=2, on="a third of the people were not read")
site_frequencies.check(
    "thousands of reads; more sites than people", points=2, on=("thousands of reads", "three people, thirty sites")
)


@site_frequencies.slip(
    "The Hardy-Weinberg proportions are missing, so all three genotypes were equally probable before a read was seen, "
    "in every round. Add the logarithm of the prior of each genotype; it is what makes the second step differ from "
    "the first."
)
def flat_prior(log_likelihoods, n_iter):
    def copies(p, logs):
        return _expected_copies(np.full(logs.shape[1], 0.5), logs - np.log([0.25, 0.5, 0.25]))

    return _at_sites(log_likelihoods, n_iter, copies)


@site_frequencies.slip(
    "You called each genotype by its most probable one in every round and counted the calls. Where reads are few the "
    "commonest genotype wins every time. Count expected copies."
)
def called_each_round(log_likelihoods, n_iter):
    return _at_sites(log_likelihoods, n_iter, lambda p, logs: _shares(p, logs).argmax(axis=2))


@site_frequencies.slip(
    "You called each genotype by its largest likelihood and counted. One alternate read then makes a homozygote, and a "
    "person who was not read becomes one without the allele. Keep the probabilities, and use the prior."
)
def called_by_likelihood(log_likelihoods, n_iter):
    return np.asarray(log_likelihoods).argmax(axis=2).mean(axis=0) / 2


@site_frequencies.slip(
    "You divided by the people. Each has two genes: divide the expected copies by 2n, or frequencies come out twice as "
    "large."
)
def divided_by_n(log_likelihoods, n_iter):
    def copies(p, logs):
        return _expected_copies(p, logs)

    half = _at_sites(log_likelihoods, n_iter, copies)
    return 2 * half


@site_frequencies.slip(
    "The factor 2 of the heterozygotes is missing in the prior: it is 2 p (1 - p), since the alternate gene can come "
    "from either parent."
)
def heterozygote_without_two(log_likelihoods, n_iter):
    def copies(p, logs):
        return _expected_copies(p, logs - np.log([1.0, 2.0, 1.0]))

    return _at_sites(log_likelihoods, n_iter, copies)


@site_frequencies.slip(
    "Only one iteration was done, whatever n_iter says. The frequencies found belong into the next E-step."
)
def single_step(log_likelihoods, n_iter):
    return (
        _at_sites(log_likelihoods, min(n_iter, 1), _expected_copies)
        if n_iter > 1
        else np.full(np.shape(log_likelihoods)[1], 0.5)
    )


@site_frequencies.slip(
    "This is the share of people who carry the allele. Somebody with two copies counts twice among the genes: weight "
    "with g, and divide by 2n."
)
def carriers(log_likelihoods, n_iter):
    p = _at_sites(log_likelihoods, n_iter - 1, _expected_copies)
    return 1 - _shares(p, log_likelihoods)[:, :, 0].mean(axis=0)


@site_frequencies.slip("This is the frequency of the reference allele. g counts copies of the alternate one.")
def of_the_reference(log_likelihoods, n_iter):
    return 1 - _at_sites(log_likelihoods, n_iter, _expected_copies)


@site_frequencies.slip(
    "All people were pooled into one before the E-step, as if they shared a genotype. Each person has a posterior of "
    "his own; only the expected copies are added up."
)
def one_person(log_likelihoods, n_iter):
    return _at_sites(np.sum(log_likelihoods, axis=0, keepdims=True), n_iter, _expected_copies)


@site_frequencies.slip(
    "All sites share one frequency here. Each site has its own: average over the people only, axis 0."
)
def one_frequency(log_likelihoods, n_iter):
    return _at_sites(log_likelihoods, n_iter, lambda p, logs: np.full(logs.shape[:2], _expected_copies(p, logs).mean()))


@site_frequencies.slip(
    "exp underflows: with thousands of reads all three likelihoods are zero in a computer, and 0/0 is nan. Subtract "
    "the largest logarithm of the three before taking exp."
)
def underflow(log_likelihoods, n_iter):
    def copies(p, logs):
        joint = np.exp(logs) * _prior(p)
        with np.errstate(invalid="ignore"):
            return joint / joint.sum(axis=2, keepdims=True) @ np.array([0.0, 1.0, 2.0])

    return _at_sites(log_likelihoods, n_iter, copies)


@site_frequencies.slip(
    "People without reads were left out of the average. They carry genes too: with nothing read, their expected "
    "copies are those of the prior, 2p. (Leaving them out ends at the same place, but by other steps.)"
)
def unread_left_out(log_likelihoods, n_iter):
    logs = np.asarray(log_likelihoods)
    seen = (logs != 0).any(axis=2)
    p = np.full(logs.shape[1], 0.5)
    for _ in range(n_iter):
        p = np.where(seen, _expected_copies(p, logs), 0.0).sum(axis=0) / (2 * np.maximum(seen.sum(axis=0), 1))
    return p


@site_frequencies.also
def site_by_site(log_likelihoods, n_iter):
    found = []
    for site in range(np.shape(log_likelihoods)[1]):
        p = 0.5
        for _ in range(n_iter):
            prior = np.log([(1 - p) ** 2, 2 * p * (1 - p), p**2])
            joint = np.asarray(log_likelihoods)[:, site] + prior
            r = np.exp(joint - joint.max(axis=1)[:, None])
            p = float((r @ [0, 1, 2] / r.sum(axis=1)).mean() / 2)
        found.append(p)
    return found
