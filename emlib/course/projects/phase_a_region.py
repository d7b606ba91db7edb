"""Project: which alleles lie on one chromosome? Phase unrelated people, and know how far to trust it."""

import functools

import numpy as np

from ..contract import Posed
from ..open_ended import Project
from ..values import Seed

exercise = Project(
    "phase_a_region",
    title="Phase a region",
    minutes=600,
    objectives=[
        "`phase(genotypes, rng)`: the two haplotypes of every person, from the genotypes of unrelated people alone;",
        "a report of two pages in this notebook: which model, why it should work, how you know that it does, and where "
        "it must not be trusted.",
    ],
    intro="""
        A person carries two copies of every chromosome, and a genotyping chip reads both at once. It says *one G and
        one T here, one A and one C there*, and not whether the G travels with the A. Yet that is what a clinician asks
        whose patient carries two rare variants of one gene. On one copy, the other is whole. On both, none is.

        Families know the answer. The child of two genotyped parents shows which allele each of them passed on, at
        nearly every site. Most patients come without their parents. So the question of this project: **how much of the
        phase that families know can be found in unrelated people, and for which pairs of sites can it be trusted?**
        """,
    setup="""
        import matplotlib.pyplot as plt

        # 30 families of Ibadan, Nigeria, 603 SNPs of a megabase.
        families = emlib.data.hapmap_trios("YRI")
        parents = families.genotypes[families.trios[:, 1:]].reshape(60, -1)
        # (60, 2, 603): what each parent passed on, and what not.
        truth = families.transmitted.reshape(60, 2, -1)
        """,
    data=(
        (
            "The region, as the chip sees it: 60 parents, whom you may take as unrelated, at 60 neighbouring SNPs. "
            "Only heterozygotes, in green, have a phase to be found; the darkest entries are missing.",
            """
            window = slice(200, 260)
            fig, ax = plt.subplots(figsize=(6.4, 4))
            ax.imshow(parents[:, window], cmap="viridis", vmin=-1)
            ax.set(xlabel="SNP", ylabel="parent")
            plt.show()
            """,
            "Sixty rows of genotypes; whole blocks of columns change colour together from one person to another.",
        ),
        (
            "What the families know. Where child and both parents are heterozygous even they cannot tell; such sites "
            "are left out wherever phase is judged. And what makes phasing possible at all: alleles of neighbouring "
            "sites go together, over some distance.",
            """
            known = (truth >= 0).all(axis=1)
            het = parents == 1
            print(f"heterozygotes with known phase: {known[het].mean():.2f}")

            alleles = np.where(truth < 0, np.nan, truth).reshape(120, -1)
            common = np.abs(np.nanmean(alleles, axis=0) - 0.5) < 0.4
            table = np.ma.corrcoef(np.ma.masked_invalid(alleles[:, common].T))
            i, j = np.triu_indices(len(table), 1)
            apart = np.diff(families.positions[common][np.array([i, j])], axis=0)[0] / 1e3
            edges = np.arange(0, 210, 10)
            r2 = [np.mean(table[i, j][(apart >= a) & (apart < a + 10)] ** 2) for a in edges]

            fig, ax = plt.subplots(figsize=(5.2, 3))
            ax.plot(edges + 5, r2, "o-")
            ax.set(xlabel="distance (thousand bases)", ylabel="mean $r^2$", ylim=0)
            plt.show()
            """,
            "Mean squared correlation of alleles against distance: it falls steeply over the first fifty thousand "
            "bases and is near zero beyond a hundred thousand.",
        ),
    ),
    milestones=[
        "**A yardstick.** Write the switch error: among neighbouring heterozygotes of known phase, the share whose "
        "relative phase you got wrong. What does guessing score?",
        "**Two sites.** For two neighbouring sites the table of haplotypes is chapter 9's; its EM takes an hour. Phase "
        "each pair of neighbouring heterozygotes by the sign of their association. That is the baseline, whose level "
        "earns half the points.",
        "**Data of your own.** Simulate people whose haplotypes you know. A method that fails there fails.",
        "**A model of more than two sites.** Haplotypes in short windows, glued (chapter 9, first half); or mosaics of "
        "a few ancestral clusters, a hidden Markov model with two chains (second half, and chapter 12).",
        "**Many starts, one answer.** Different starts end in different phasings. Do not average haplotypes, since "
        "which of the two is the first means nothing; let neighbouring heterozygotes vote.",
        "**Trust.** Does the share of votes say how often you are right? Draw it against the truth of the families.",
        "*Stretch.* Copy from all other people instead of a few clusters. Or use Utah as well as Ibadan: does a panel "
        "of another population help?",
    ],
    fails=[
        "Judging on the families whose children you have used. The child knows; then the number says nothing about "
        "patients without parents.",
        "Comparing haplotypes letter by letter. One switch in the middle makes half of the letters wrong.",
        "Counting sites at which the families do not know the phase, or at which there is nothing to phase.",
        "Choosing K by the switch error of the window that you then report.",
        "Taking both parents of a family for independent of their own child's data when you bootstrap.",
    ],
    here={
        "question": "Which pairs of sites, at which distance and frequency, would the clinician ask about?",
        "method": "What is hidden: haplotypes, clusters, both? How many clusters, and why that many?",
        "checks": "Simulated people; several starts; the two-site baseline on the same windows; guessing as a control.",
        "limits": "Rare alleles, few people, distance, relatives, another population.",
    },
    outro="""
        `emlib.Phaser` does the same with clusters, copying and votes, and chapter 9 tells how far it gets. The families
        of Utah, `hapmap_trios("CEU")`, are left to you: leave them unseen until the end, and report one number on them.
        """,
)


# ---------------------------------------------------------------- the yardstick
def switch_error(haplotypes, truth):
    """Share of neighbouring heterozygotes of known phase whose relative phase is wrong."""
    told = (truth >= 0).all(axis=1) & (truth[:, 0] != truth[:, 1])
    wrong = pairs = 0
    for mine, right, some in zip(haplotypes[:, 0], truth[:, 0], told, strict=True):
        agree = mine[some] == right[some]
        wrong += (agree[1:] != agree[:-1]).sum()
        pairs += max(len(agree) - 1, 0)
    return wrong / pairs


# ---------------------------------------------------------------- people whose phase is known
N, L = 60, 50


@functools.cache
def _families(population):
    """Haplotypes of the parents of 30 families: as the children tell (120, 603), -1 where they do not, and filled."""
    from ... import data

    told = data.hapmap_trios(population).transmitted.reshape(120, -1)
    return told, _filled(told)


def _filled(told, reach=15):
    """Unknown alleles taken from the haplotype that agrees best around them; they are no truth, and not judged."""
    whole = told.copy()
    for h, site in zip(*np.nonzero(told < 0), strict=True):
        near = slice(max(0, site - reach), site + reach + 1)
        both = (told[:, near] >= 0) & (told[h, near] >= 0)
        agree = np.where(both, np.where(told[:, near] == told[h, near], 1.0, -2.0), 0.0).sum(axis=1)
        agree[(told[:, site] < 0) | (np.arange(len(told)) == h)] = -np.inf
        whole[h, site] = told[agree.argmax(), site]
    return whole


def _from_families(rng, told, whole):
    """New people at a stretch of common sites: their haplotypes are crossed once, each of two real ones, and paired.

    Everybody's own two haplotypes, and the very frequencies of the sites, are public.
    """
    start = rng.integers(whole.shape[1] - 4 * L)
    sites = np.arange(start, start + 4 * L)
    common = np.abs(whole[:, sites].mean(axis=0) - 0.5) < 0.45
    sites = np.sort(rng.choice(sites[common][: L + 10], L, replace=False))
    left, right = rng.permutation(2 * N), rng.permutation(2 * N)
    crossed = np.arange(L) >= rng.integers(L + 1, size=(2 * N, 1))
    return tuple(np.where(crossed, h[right], h[left]).reshape(N, 2, L) for h in (whole[:, sites], told[:, sites]))


def _village(rng):
    """People of a simulated population: few ancestors, sixty generations, some recombination in each."""
    sites = 3 * L
    ancestors = rng.random((14, sites)) < rng.beta(0.8, 0.8, size=sites)
    H = ancestors[rng.integers(14, size=300)].astype(int)
    for _ in range(60):
        one, other = H[rng.integers(300, size=(2, 300))]
        crossed = rng.random((300, sites)) < 0.3 / sites
        H = np.where(np.cumsum(crossed, axis=1) % 2 == 0, one, other)
    H = H[:, np.abs(H.mean(axis=0) - 0.5) < 0.45][:, :L]
    return H[rng.permutation(300)[: 2 * N]].reshape(N, 2, -1)


def _asked(rng, whole, told):
    """As a problem: alleles and the order of sites told anew, some genotypes lost."""
    swapped = rng.random(whole.shape[-1]) < 0.5
    whole, told = np.where(swapped, 1 - whole, whole), np.where(swapped & (told >= 0), 1 - told, told)
    if rng.random() < 0.5:
        whole, told = whole[..., ::-1], told[..., ::-1]
    genotypes = np.where(rng.random((len(whole), whole.shape[-1])) < 0.01, -1, whole.sum(axis=1))
    return Posed(
        {"genotypes": genotypes, "rng": Seed(int(rng.integers(2**31)))},
        {"haplotypes": np.where(genotypes[:, None] < 0, -1, told)},
    )


def _adds_up(parts, inputs):
    haplotypes, genotypes = parts["haplotypes"], inputs["genotypes"]
    if not np.isin(haplotypes, (0, 1)).all():
        return "haplotypes should hold nothing but 0 and 1, at missing genotypes too"
    if (haplotypes.sum(axis=1) != genotypes)[genotypes >= 0].any():
        return "haplotypes: the two alleles of a person do not add up to the genotype everywhere"
    return None


# ---------------------------------------------------------------- baseline
def neighbours(genotypes, rng):
    """Phase neighbouring heterozygotes by the sign of the covariance of their genotypes."""
    known = np.where(genotypes < 0, np.nan, genotypes)
    X = np.nan_to_num(known - np.nanmean(known, axis=0))
    together = np.where(X.T @ X >= 0, 1, -1)
    haplotypes = np.stack([genotypes, genotypes], axis=1).clip(0) // 2
    for person, two in zip(genotypes, haplotypes, strict=True):
        at = np.flatnonzero(person == 1)
        if len(at):
            side = np.cumprod(np.append(1, together[at[:-1], at[1:]]))
            two[:, at] = np.stack([side > 0, side < 0])
    return haplotypes


# ---------------------------------------------------------------- reference
def moved(P, jump):
    """Each of the two chains stays with its cluster, or jumps to any."""
    for axis in (-1, -2):
        P = (1 - jump) * P + jump * P.mean(axis=axis, keepdims=True)
    return P


def likelihood(column, theta):
    """P(genotype | clusters a and b) at one site: (runs, n, K, K) from frequencies (runs, K)."""
    a, b = theta[:, None, :, None], theta[:, None, None, :]
    each = np.stack([(1 - a) * (1 - b), a * (1 - b) + (1 - a) * b, a * b, np.ones_like(a * b)])
    return np.moveaxis(each[np.where(column < 0, 3, column), :, 0], 1, 0)


def forward(genotypes, theta, jump):
    """Filtered probabilities of both clusters, (L, runs, n, K, K)."""
    K = theta.shape[-1]
    P, filtered = np.full((theta.shape[1], len(genotypes), K, K), K**-2.0), []
    for column, frequencies in zip(genotypes.T, theta, strict=True):
        P = moved(P, jump) * likelihood(column, frequencies)
        P /= P.sum(axis=(-1, -2), keepdims=True)
        filtered.append(P)
    return filtered


def em_step(genotypes, theta, jump):
    """Expected copies of each allele in each cluster, and their frequencies."""
    filtered, B = forward(genotypes, theta, jump), 1.0
    fresh = np.empty_like(theta)
    for site in reversed(range(len(theta))):
        P = filtered[site] * B
        P /= P.sum(axis=(-1, -2), keepdims=True)
        a, b = theta[site][:, None, :, None], theta[site][:, None, None, :]
        het = a * (1 - b) / (a * (1 - b) + (1 - a) * b)
        g = genotypes[:, site][:, None, None]
        ones = np.where(g == 1, het, np.where(g < 0, a + 0 * b, g / 2))
        fresh[site] = ((P * ones).sum(axis=(1, 3)) + 0.05) / (P.sum(axis=(1, 3)) + 0.1)
        B = moved(B * likelihood(genotypes[:, site], theta[site]), jump)
        B /= B.sum(axis=(-1, -2), keepdims=True)
    return fresh


def draw(genotypes, theta, jump, times, rng):
    """Alleles on the first chromosome, drawn `times` times for each run: (runs, times, n, L)."""
    filtered = forward(genotypes, theta, jump)
    runs, n, K, _ = filtered[0].shape
    first = np.empty((runs, times, *genotypes.shape), int)
    before, run = 1.0, np.arange(runs)[:, None, None]
    for site in reversed(range(len(theta))):
        P = (filtered[site][:, None] * before * np.ones((times, 1, 1, 1))).reshape(runs, times, n, K * K)
        total = P.cumsum(axis=-1)
        state = (total < rng.random((runs, times, n, 1)) * total[..., -1:]).sum(axis=-1)
        a, b = np.divmod(state.clip(0, K * K - 1), K)
        stays = [(1 - jump) * (z[..., None] == np.arange(K)) + jump / K for z in (a, b)]
        before = stays[0][..., :, None] * stays[1][..., None, :]
        p, q = theta[site][run, a], theta[site][run, b]
        one = rng.random(p.shape) < p * (1 - q) / (p * (1 - q) + (1 - p) * q)
        g = genotypes[:, site]
        first[..., site] = np.where(g == 1, one, np.where(g < 0, p > 0.5, g == 2))
    return first


@exercise.problem(
    returns={"haplotypes": "(n, 2, L)"},
    sizes=lambda inputs: dict(zip("nL", inputs["genotypes"].shape, strict=True)),
    baseline=neighbours,
    law=_adds_up,
    using=(neighbours, moved, likelihood, forward, em_step, draw),
    story="""
        **Phase people whom nobody has phased.** Your function gets genotypes and nothing else: no families, no
        positions, no names of sites. It is tried on 60 people three times: twice on new people made of real haplotypes
        of Ibadan, crossed once and paired afresh, at a stretch of SNPs whose alleles were renamed; and once on people
        of a simulated population. The switch error is measured, where the truth is known.

        Half of the points are for the level of the baseline (the sign of the covariance of two neighbouring
        heterozygotes), all for that of our own reference: mosaics of eight clusters, six starts, 20 iterations of EM
        each, and a vote of drawn phasings. Both are computed on the same people. A call may take 30 seconds; the
        reference takes about two.
        """,
    hints=[
        "First the baseline: center the genotypes, X.T @ X has the signs. It is right about six neighbouring "
        "pairs in seven or so.",
        "A person is a pair of hidden chains through K clusters, each with allele frequencies theta[site, k]. Forward "
        "and backward messages are tables (K, K) for each person; NumPy does all people at once.",
        "For each heterozygote, a posterior draw of both paths says which chromosome carries the 1. Draw many, from "
        "several starts, and let each pair of neighbouring heterozygotes vote: same side or opposite?",
    ],
    after="""
        The first function is the baseline. Two lines carry the rest: `moved`, since two chains that jump independently
        are two small sums and no matrix of K² by K² states; and the vote, since a haplotype has no name that could be
        averaged over. More clusters and more starts help slowly. What would help more is copying from everybody else
        instead of a few clusters, as the chapter does: the switch error falls by a third once more.
        """,
)
def phase(genotypes, rng):
    """Haplotypes of unrelated people.

    Parameters
    ----------
    genotypes : array (n, L) of int
        Copies of the second allele, 0 to 2, at sites in their order along the chromosome; -1 where missing.
    rng : numpy.random.Generator
        For everything that is drawn.

    Returns
    -------
    haplotypes : array (n, 2, L) of 0 and 1
        Where a genotype is known the two add up to it. Which of a person's two is the first does not matter.
    """
    runs, K, jump = 6, 8, 0.05
    known = np.where(genotypes < 0, np.nan, genotypes)
    half = np.nanmean(known, axis=0)[:, None, None] / 2
    theta = (half + rng.normal(0, 0.25, (genotypes.shape[1], runs, K))).clip(0.03, 0.97)
    for _ in range(20):
        theta = em_step(genotypes, theta, jump)
    first = draw(genotypes, theta, jump, 10, rng).reshape(-1, *genotypes.shape)
    # A chromosome without name: only the relative phase of neighbouring heterozygotes can be voted on.
    missing = np.round(first.mean(axis=0)).astype(int)
    haplotypes = np.stack([genotypes, genotypes], axis=1) // 2
    haplotypes = np.where(genotypes[:, None] < 0, missing[:, None], haplotypes)
    for person, two, side in zip(genotypes, haplotypes, np.moveaxis(2 * first - 1, 1, 0), strict=True):
        at = np.flatnonzero(person == 1)
        if len(at):
            votes = (side[:, at[1:]] * side[:, at[:-1]]).sum(axis=0)
            chain = np.cumprod(np.append(1, np.where(votes >= 0, 1, -1)))
            two[:, at] = np.stack([chain > 0, chain < 0])
    return haplotypes


@phase.cases
def _(rng):
    told, whole = _families("YRI")
    village = _village(rng)
    return {
        "a stretch in Ibadan": _asked(rng, *_from_families(rng, told, whole)),
        "another stretch": _asked(rng, *_from_families(rng, told, whole)),
        "a simulated population": _asked(rng, village, village),
    }


def _switches(parts, posed):
    return switch_error(parts["haplotypes"], posed.truth["haplotypes"])


REAL = ("a stretch in Ibadan", "another stretch")
WRONG = "{:.3f} of neighbouring heterozygotes wrong"
phase.measure("real haplotypes, paired anew", points=12, on=REAL, says=WRONG, loss=True, least=0.03)(_switches)
phase.measure("a simulated population", points=8, on="a simulated population", says=WRONG, loss=True, least=0.03)(
    _switches
)


@phase.known_by(
    "The phase is as good as drawn at random: half of the neighbouring pairs are wrong. If your model knows better, "
    "its knowledge is lost on the way: labels of the two chromosomes may be mixed between sites, people or runs.",
    lambda parts, posed: 0.4 < _switches(parts, posed) < 0.6 and not _all_on_first(parts),
)
def at_random(genotypes, rng):
    one = np.where(genotypes == 1, rng.integers(2, size=genotypes.shape), genotypes.clip(0) // 2)
    other = np.where(genotypes == 1, 1 - one, one)
    return np.stack([one, other], axis=1)


def _all_on_first(parts):
    return bool((parts["haplotypes"][:, 0] >= parts["haplotypes"][:, 1]).all())


@phase.known_by(
    "All second alleles lie on the first chromosome of everybody. Alleles are named by the chip, not by the "
    "chromosome: which of them is the second says nothing about who travels with whom.",
    lambda parts, posed: _all_on_first(parts),
)
def all_on_one(genotypes, rng):
    return np.stack([genotypes.clip(0) > 0, genotypes.clip(0) > 1], axis=1).astype(int)


@phase.known_by(
    "More than half of the neighbouring pairs are wrong, which takes knowledge: a sign is the wrong way round. Alleles "
    "that are correlated lie on the same chromosome.",
    lambda parts, posed: _switches(parts, posed) >= 0.6,
)
def wrong_sign(genotypes, rng):
    known = np.where(genotypes < 0, np.nan, genotypes)
    X = np.nan_to_num(known - np.nanmean(known, axis=0))
    apart = np.where(X.T @ X >= 0, -1, 1)
    haplotypes = np.stack([genotypes, genotypes], axis=1).clip(0) // 2
    for person, two in zip(genotypes, haplotypes, strict=True):
        at = np.flatnonzero(person == 1)
        if len(at):
            side = np.cumprod(np.append(1, apart[at[:-1], at[1:]]))
            two[:, at] = np.stack([side > 0, side < 0])
    return haplotypes
