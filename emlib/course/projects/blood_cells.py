"""Project: how many kinds of cells are in this blood, which cell is of which, and how would one know?"""

import functools

import numpy as np

from ..contract import Posed
from ..open_ended import Project
from ..values import Seed

exercise = Project(
    "blood_cells",
    title="Cluster blood cells",
    minutes=600,
    objectives=[
        "`density(cells, rng)`: a mixture of normals that describes cells which it has not seen;",
        "`cluster(cells, rng)`: for every cell the probabilities of the kinds that you found, as many as you found;",
        "a report of two pages in this notebook: how many kinds of cells you would defend in these 700, and with which "
        "argument.",
    ],
    intro="""
        A drop of blood was taken apart into single cells, and in each cell the messages of all genes were counted. A
        picture of such data always shows islands, and every paper gives them names. But how many islands there are
        depends on who draws the map. Cells of one kind differ by how busy they are; cells of two kinds can sit side by
        side; two cells caught in one droplet look like a kind of their own.

        So the question: **how many kinds of cells do these data support, and what would have to be true of the data for
        your number to be wrong?** There is no answer at the back of the book. The labels that come with the cells were
        made by comparing each with sorted cells, one by one; they are another opinion.
        """,
    setup="""
        import matplotlib.pyplot as plt

        # 700 cells: 10 principal components, 26 counted genes, labels.
        blood = emlib.data.pbmc()
        cells = blood.pcs
        """,
    data=(
        (
            "The cells in four of ten dimensions, each coloured by the label that others gave it. Cover the colours "
            "and count the islands; then look at what the labels would have you see.",
            """
            names = np.unique(blood.cell_types)
            fig, axes = plt.subplots(1, 2, figsize=(7.6, 4.6))
            for ax, (a, b) in zip(axes, ((0, 1), (2, 3))):
                for number, name in enumerate(names):
                    own = cells[blood.cell_types == name]
                    look = {"marker": "osD^v"[number % 5], "s": 9}
                    colour = plt.get_cmap("viridis")(number / 9)
                    ax.scatter(own[:, a], own[:, b], color=colour, label=name, **look)
                ax.set(xlabel=f"component {a + 1}", ylabel=f"component {b + 1}")
            fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
            fig.subplots_adjust(bottom=0.42, wspace=0.3)
            plt.show()
            """,
            "Two scatter plots of 700 cells in the first four components: some labels make islands of their own, those "
            "of T cells lie on top of each other.",
        ),
        (
            "What is a component worth? The later ones vary less, and how much of that is noise nobody has told you. "
            "And the labels: some of them are rare.",
            """
            print("standard deviations:", np.round(cells.std(axis=0), 1))
            for name, n in zip(*np.unique(blood.cell_types, return_counts=True)):
                print(f"{n:4d}  {name}")
            """,
            "",
        ),
    ),
    milestones=[
        "**K-means, four clusters, one start.** That is the baseline of both functions; its level earns half the "
        "points. Look at what it merges.",
        "**Gaussian mixtures.** EM with free covariances (chapters 2 and 4). Ten dimensions and K = 10 are 659 "
        "parameters for a few hundred cells: what do you do about covariances that collapse (chapter 6)?",
        "**Unseen cells.** Keep a quarter of the cells away from the fit. Draw their mean log-density against K, and "
        "that of the cells that were fitted beside it.",
        "**A number.** Choose K in two ways, by BIC and by unseen cells. They disagree here; say why, and whom you "
        "believe.",
        "**Data of your own.** Draw cells from kinds you know, with tails heavier than normal ones. How many "
        "components does your rule find, and are components kinds?",
        "**Genes.** Colour your clusters by the counted genes. Which of them has no gene to its name?",
        "*Stretch.* Model the counts instead of components (chapter 4's Poisson and negative binomial). Or doublets: a "
        "component for every pair of kinds, with no parameters of its own.",
    ],
    fails=[
        "Choosing K so that it agrees with the labels, and then reporting the agreement.",
        "Reading clusters off a picture in two dimensions that another algorithm has made of ten.",
        "Spikes: a component that sits on a few cells has any likelihood you like, and means nothing.",
        "One start. The best of ten starts may find other kinds than the best of one.",
        "Calling every component a kind of cell. A kind whose cells do not scatter like a normal takes two.",
    ],
    here={
        "question": "What is a *kind* here: a component, a group that comes back in other data, a set of genes?",
        "method": "Which covariances, what keeps them from collapsing, how was K chosen, from how many starts?",
        "checks": "Cells drawn from known kinds; a single normal as the control in which nothing is to be found; "
        "unseen cells; other starts, other halves of the data.",
        "limits": "Tails, doublets, activity, 700 cells of one person, ten components chosen by others.",
    },
    outro="""
        `emlib.GaussianMixture` and chapter 6 know more about choosing K. Of the 95 cells labelled CD4+, 68 are called
        regulatory, where blood has perhaps one in ten: agreement with labels is no measure of truth, which is why none
        of your points depend on the label of a real cell.
        """,
)


# ---------------------------------------------------------------- cells whose kind is known
# Labels that no method could part here are one kind.
KINDS = (
    ("CD14+ Monocyte",),
    ("CD19+ B",),
    ("CD34+",),
    ("CD4+/CD25 T Reg", "CD4+/CD45RO+ Memory", "CD4+/CD45RA+/CD25- Naive T"),
    ("CD56+ NK",),
    ("CD8+ Cytotoxic T", "CD8+/CD45RA+ Naive Cytotoxic"),
    ("Dendritic",),
)


@functools.cache
def _blood():
    from ... import data

    return data.pbmc()


@functools.cache
def _kinds():
    """Mean and covariance of each kind; those of rare ones lean on the mean covariance."""
    blood = _blood()
    own = [blood.pcs[np.isin(blood.cell_types, names)] for names in KINDS]
    usual = np.mean([np.cov(x.T) for x in own], axis=0)
    return [(x.mean(axis=0), (len(x) * np.cov(x.T) + 10 * usual) / (len(x) + 10)) for x in own]


def _turned(rng, d=10):
    """A random rotation: no density and no distance depends on it."""
    Q, R = np.linalg.qr(rng.normal(size=(d, d)))
    return Q * np.sign(np.diag(R))


def _like_blood(rng, n=400, tails=12.0, tight=0.6):
    """Cells drawn from four to seven kinds, with tails heavier than normal ones."""
    kinds = [_kinds()[k] for k in rng.permutation(len(KINDS))[: rng.integers(4, 8)]]
    shares = rng.dirichlet(np.full(len(kinds), 4.0)).clip(0.04)
    which = rng.choice(len(kinds), n, p=shares / shares.sum())
    noise = rng.normal(size=(n, 10)) / np.sqrt(rng.chisquare(tails, (n, 1)) / tails)
    roots = np.linalg.cholesky([tight * covariance for _, covariance in kinds])
    cells = np.array([kinds[k][0] for k in which]) + (roots[which] @ noise[..., None])[..., 0]
    return Posed({"cells": cells @ _turned(rng), "rng": Seed(int(rng.integers(2**31)))}, {"kinds": which})


def _halves(rng, n=400):
    """Real cells, some to be seen and the others not, turned about so that nobody knows them again."""
    cells = _blood().pcs[rng.permutation(700)] @ _turned(rng) + rng.normal(0, 5, 10)
    return Posed({"cells": cells[:n], "rng": Seed(int(rng.integers(2**31)))}, {"unseen": cells[n:]})


# ---------------------------------------------------------------- measures
MOST = 50  # components that are looked at


def log_densities(cells, weights, means, covariances):
    """log(weight times density) of each cell in each component, (n, K)."""
    roots = np.linalg.cholesky(covariances)
    apart = np.moveaxis(np.linalg.solve(roots, (cells - means[:, None]).transpose(0, 2, 1)), 1, 2)
    norms = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1) + 0.5 * cells.shape[1] * np.log(2 * np.pi)
    return np.log(weights) - norms - 0.5 * (apart**2).sum(axis=2).T


def _mean_log_density(parts, cells):
    with np.errstate(divide="ignore"):
        a = log_densities(cells, parts["weights"], parts["means"], parts["covariances"])
    top = a.max(axis=1)
    return float((top + np.log(np.exp(a - top[:, None]).sum(axis=1))).mean())


def _unseen(parts, posed):
    return _mean_log_density(parts, posed.truth["unseen"])


def _is_a_mixture(parts, inputs):
    weights, covariances = parts["weights"], parts["covariances"]
    if len(weights) > MOST:
        return f"weights: there should be at most {MOST} components"
    if (weights < 0).any() or abs(weights.sum() - 1) > 1e-6:
        return "weights should be at least 0 and sum to one"
    largest = np.abs(covariances).max()
    if np.abs(covariances - covariances.transpose(0, 2, 1)).max() > 1e-6 * largest:
        return "covariances should be symmetric"
    if np.linalg.eigvalsh(covariances).min() <= 1e-9 * largest:
        return "covariances should be positive definite: one of them is flat in some direction"
    return None


def _pairs(parts, posed):
    """Mean squared error of 'these two cells are of one kind', over all pairs of cells."""
    together = parts["responsibilities"] @ parts["responsibilities"].T
    kinds = posed.truth["kinds"]
    i, j = np.triu_indices(len(kinds), 1)
    return float(((together[i, j] - (kinds[i] == kinds[j])) ** 2).mean())


def _rand(parts, posed):
    """Adjusted Rand index of the most probable clusters and the kinds."""
    labels, kinds = parts["responsibilities"].argmax(axis=1), posed.truth["kinds"]
    table = np.zeros((labels.max() + 1, kinds.max() + 1))
    np.add.at(table, (labels, kinds), 1)
    both, mine, theirs = ((x * (x - 1) / 2).sum() for x in (table, table.sum(axis=1), table.sum(axis=0)))
    chance = mine * theirs / (len(kinds) * (len(kinds) - 1) / 2)
    top = (mine + theirs) / 2 - chance
    return float((both - chance) / top) if top > 0 else 0.0


def _are_probabilities(parts, inputs):
    r = parts["responsibilities"]
    if r.shape[1] > len(r):
        return "responsibilities: there are more clusters than cells"
    if (r < -1e-9).any() or np.abs(r.sum(axis=1) - 1).max() > 1e-6:
        return "responsibilities: each row should hold probabilities, which are at least 0 and sum to one"
    return None


# ---------------------------------------------------------------- baseline
def k_means(cells, rng, K=4):
    """Memberships (n, K) of 1 and 0, from one start."""
    centres = cells[rng.choice(len(cells), K, replace=False)]
    for _ in range(30):
        member = np.eye(K)[((cells[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)]
        empty = member.sum(axis=0) == 0
        centres = np.where(empty[:, None], centres, member.T @ cells / np.maximum(member.sum(axis=0), 1)[:, None])
    return member


def k_means_normals(cells, rng):
    """A normal for each of four clusters of K-means."""
    return m_step(cells, k_means(cells, rng))


# ---------------------------------------------------------------- reference
def m_step(cells, r, lean=3.0):
    """Weights, means and covariances; each covariance leans on that of all cells as on `lean` cells more."""
    d, K = cells.shape[1], r.shape[1]
    N = r.sum(axis=0) + 1e-6
    means = r.T @ cells / N[:, None]
    apart = cells - means[:, None]
    scatter = np.einsum("kni,kn,knj->kij", apart, r.T, apart, optimize=True)
    usual = np.cov(cells.T) * K ** (-2 / d)
    return N / N.sum(), means, (scatter + lean * usual) / (N + lean)[:, None, None]


def e_step(cells, weights, means, covariances):
    """Responsibilities, and the mean log-density."""
    a = log_densities(cells, weights, means, covariances)
    top = a.max(axis=1, keepdims=True)
    total = np.exp(a - top).sum(axis=1, keepdims=True)
    return np.exp(a - top) / total, float((top + np.log(total)).mean())


def spread_seeds(cells, K, rng):
    """Cells far from each other, drawn as K-means++ does; each cell belongs to the next."""
    centres = cells[rng.integers(len(cells), size=1)]
    while len(centres) < K:
        nearest = ((cells[:, None] - centres) ** 2).sum(axis=2).min(axis=1)
        centres = np.vstack([centres, cells[rng.choice(len(cells), p=nearest / nearest.sum())]])
    return np.eye(K)[((cells[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)]


def fit(cells, K, rng, starts=4, steps=60):
    """The best mixture of K normals: of several starts, the one under which the cells are most probable."""
    best, highest = None, -np.inf
    for _ in range(starts):
        r, before = spread_seeds(cells, K, rng), -np.inf
        for _ in range(steps):
            parameters = m_step(cells, r)
            r, now = e_step(cells, *parameters)
            if now - before < 1e-5:
                break
            before = now
        if now > highest:
            best, highest = parameters, now
    return best


PARTS = (k_means, k_means_normals, m_step, e_step, spread_seeds, fit)


@exercise.problem(
    returns={"weights": "(K,)", "means": "(K, d)", "covariances": "(K, d, d)"},
    sizes=lambda inputs: {"d": inputs["cells"].shape[1]},
    baseline=k_means_normals,
    law=_is_a_mixture,
    using=(log_densities, *PARTS),
    story=r"""
        **Describe cells that you have not seen.** Your function gets 400 of the 700 cells, turned about in their ten
        dimensions by a random rotation. It returns a mixture of at most 50 normals, of as many components as it sees
        fit. The mean log-density of the other 300 cells is measured,

        $$\frac1m \sum_{i \in \text{unseen}} \log \sum_k \pi_k\, \mathcal{N}(x_i \mid \mu_k, \Sigma_k).$$

        Nothing else: a spike on a few of the seen cells costs dearly here, and so does a single normal. Half of the
        points are for the level of the baseline (K-means with K = 4 from one start, a normal for each cluster), all for
        that of the reference: EM whose covariances lean on the covariance of all cells, K chosen by cells that the fit
        has not seen. A call may take 30 seconds; the reference takes about one.
        """,
    hints=[
        "Free covariances in ten dimensions have 55 numbers each. A component with twenty cells cannot know them: let "
        "each covariance lean on a common one, as a prior of a few cells does (chapter 6).",
        "Split the cells that you are given: fit three quarters, measure the rest, for each K from 2 to 12.",
        "Once K is chosen, fit all cells again, from several starts, and keep the one of highest likelihood.",
    ],
    after="""
        `lean` is the pseudo-statistics of chapter 6: three cells' worth of the covariance of all cells, shrunk as if
        they had been cut into K parts. With none, unseen cells fall into the gaps between spikes; with a hundred, all
        components look alike.
        """,
)
def density(cells, rng):
    """A mixture of normals, for cells like these.

    Parameters
    ----------
    cells : array (n, d)
        One cell a row.
    rng : numpy.random.Generator
        For everything that is drawn.

    Returns
    -------
    weights : array (K,)
        At least 0, summing to one.
    means : array (K, d)
    covariances : array (K, d, d)
        Positive definite.
    """
    order = rng.permutation(len(cells))
    seen, kept = np.split(cells[order], [3 * len(cells) // 4])
    worth = {K: e_step(kept, *fit(seen, K, rng, starts=3))[1] for K in range(3, 12)}
    return fit(cells, max(worth, key=worth.get), rng)


@density.cases
def _(rng):
    return {"half of the cells": _halves(rng), "another half": _halves(rng)}


density.measure("the log-density of unseen cells", points=10, says="{:.2f} nats for each unseen cell", least=0.4)(
    _unseen
)


@exercise.problem(
    returns={"responsibilities": "(n, K)"},
    sizes=lambda inputs: {"n": len(inputs["cells"])},
    baseline=k_means,
    law=_are_probabilities,
    using=(),
    story="""
        **Say which cells are of one kind.** Now the truth is known: each of three sets of 400 cells was drawn from four
        to seven kinds, with the means and (somewhat tightened) covariances of labelled blood cells and with tails
        heavier than those of normals. Your function returns the probabilities of your clusters for each cell; how many
        clusters is for it to say.

        Two things are measured. *Labels*: the adjusted Rand index of your most probable clusters and the kinds, which
        is 1 for the same partition and 0 for chance, whatever the clusters are called and however many they are.
        *Honesty*: for every pair of cells your responsibilities say how probable it is that they are of one kind; the
        mean square of the error of that, over all pairs. Sure and wrong costs most.

        Half of the points are for the level of the baseline (K-means, K = 4, one start), or for a third of the way from
        knowing nothing to the reference, if that is more. All are for the level of the reference (your `density`'s
        responsibilities would do).
        """,
    hints=[
        "A mixture that describes unseen cells well is a good start; its E-step gives the responsibilities.",
        "With heavy tails, a kind may take two components. What would make you merge them again?",
        "Two cells are of one kind with probability sum over k of r[i, k] * r[j, k]: rows that are certain and wrong "
        "are what the second measure punishes.",
    ],
    after="""
        Responsibilities of the first function, no more. BIC would choose three or four components here, since
        each costs 66 parameters; unseen cells ask for more. Neither number is the number of kinds.
        """,
)
def cluster(cells, rng):
    """Kinds of cells, and how probable each is for each cell.

    Parameters
    ----------
    cells : array (n, d)
        One cell a row.
    rng : numpy.random.Generator
        For everything that is drawn.

    Returns
    -------
    responsibilities : array (n, K)
        Rows sum to one; K is for you to choose.
    """
    return e_step(cells, *density(cells, rng))[0]


@cluster.cases
def _(rng):
    return {"one drop": _like_blood(rng), "a second drop": _like_blood(rng), "a third drop": _like_blood(rng)}


def _one_number(posed):
    """The error of the same probability for every pair: their share, the best that is said without looking."""
    kinds = posed.truth["kinds"]
    i, j = np.triu_indices(len(kinds), 1)
    share = (kinds[i] == kinds[j]).mean()
    return share * (1 - share)


RAND = "{:.2f} adjusted Rand index"
ERROR = "{:.3f} mean squared error over pairs"
cluster.measure("labels", points=6, says=RAND, least=0.15, nothing=lambda posed: 0.0)(_rand)
cluster.measure("honesty", points=4, says=ERROR, loss=True, least=0.06, nothing=_one_number)(_pairs)


# ---------------------------------------------------------------- slips
@density.known_by(
    "There is one component only, and one normal for all kinds of cells: it puts most of its mass between them.",
    lambda parts, posed: len(parts["weights"]) == 1,
)
def one_normal(cells, rng):
    return np.ones(1), cells.mean(axis=0)[None], np.cov(cells.T)[None]


@density.known_by(
    "The seen cells are far more probable than the unseen ones: some components have shrunk onto a few cells. Let "
    "covariances lean on something common, or use fewer components.",
    lambda parts, posed: (
        len(parts["weights"]) > 1
        and _mean_log_density(parts, posed.inputs["cells"]) - _mean_log_density(parts, posed.truth["unseen"]) > 8
    ),
)
def spikes(cells, rng):
    r = spread_seeds(cells, 25, rng)
    for _ in range(10):
        weights, means, covariances = m_step(cells, r, lean=1e-2)
        r, _ = e_step(cells, weights, means, covariances)
    return weights, means, covariances


@cluster.known_by(
    "All cells are in one cluster. That is a claim too, that there is one kind of cell; here it is wrong.",
    lambda parts, posed: len(set(parts["responsibilities"].argmax(axis=1).tolist())) == 1,
)
def one_cluster(cells, rng):
    return np.ones((len(cells), 1))


@cluster.known_by(
    "There are nearly as many clusters as cells. Each cell is itself, but that says nothing about its kind.",
    lambda parts, posed: len(set(parts["responsibilities"].argmax(axis=1).tolist())) > 0.5 * len(posed.truth["kinds"]),
)
def each_its_own(cells, rng):
    return np.eye(len(cells))
