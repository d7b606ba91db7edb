"""Exercise of chapter 5: from shares to labels, K-means in pieces, and where two components tie."""

import numpy as np

from ..compare import close
from ..contract import Exercise

exercise = Exercise(
    "kmeans",
    title="From soft guesses to hard decisions",
    minutes=90,
    objectives=[
        "compute shares at any variance, down to the limit in which they are labels;",
        "write K-means, with an answer to ties and to clusters that have lost all their points;",
        "cool a table of shares to any temperature, zero included;",
        "derive the boundary between two components, straight or curved, from their parameters.",
    ],
    intro="""
        In chapter 5 the variance of a mixture went to zero, and EM became K-means. Here you walk that way in code. The
        first function works at every variance, the next three are the limit, and in the last two you compute the lines
        that the explorers of the chapter drew.

        Throughout, `X` has one row for each of `n` points and one column for each of `d` measurements; `centres` is (K,
        d). Labels are whole numbers from 0 to K - 1. The penguins are those of the chapter: bill and flipper length of
        342 birds, each column standardised.
        """,
    setup="""
        size = emlib.data.penguins().measurements[:, [0, 2]]
        X = (size - size.mean(axis=0)) / size.std(axis=0)
        """,
    outro="""
        Start your `lloyd` on the penguins at three birds drawn at random, and then at others, twenty times. How many
        different inertias do you find at the end? Chapter 6 is about that. Then put your own EM of chapter 2 beside it,
        and ask which of the two agrees better with the species.
        """,
)


# ---------------------------------------------------------------- inputs
def _penguins():
    from ... import data

    size = data.penguins().measurements[:, [0, 2]]
    return (size - size.mean(axis=0)) / size.std(axis=0)


def _squares(X, centres):
    return ((X[:, None, :] - np.asarray(centres, float)) ** 2).sum(axis=2)


def _shares(a):
    r = np.exp(a - a.max(axis=1, keepdims=True))
    return r / r.sum(axis=1, keepdims=True)


def _clouds(rng, n, K, d, apart=2.0):
    centres = rng.normal(size=(K, d)) * apart
    return centres[rng.integers(K, size=n)] + rng.normal(size=(n, d)), centres


def _coloured(ax, X, labels, centres):
    from ...view import style

    ax.scatter(*np.asarray(X, float).T, c=[style.COLORS[int(k)] for k in labels], s=10, linewidths=0)
    for k, centre in enumerate(np.asarray(centres)):
        ax.plot(*centre, "D", color=style.COLORS[k], mec="black", ms=10)
    ax.set(xlabel="bill length", ylabel="flipper length")


# ---------------------------------------------------------------- 1
def _rows_sum_to_one(answer, inputs):
    sums = np.asarray(answer, float).sum(axis=1)
    worst = np.abs(sums - 1).argmax()
    if abs(sums[worst] - 1) > 1e-6:
        return f"the shares of one point should sum to 1; those of point {worst} sum to {sums[worst]:.4g}"
    return None


@exercise.function(
    returns={"responsibilities": "(n, K)"},
    story="""
        **The E-step with its hands tied.** All components have the same weight and the same round covariance $\\sigma^2
        I$. Nothing is left in the responsibilities but squared distances:

        $$r_{ik} = \\frac{e^{-\\|x_i - \\mu_k\\|^2 / 2\\sigma^2}}{\\sum_j e^{-\\|x_i - \\mu_j\\|^2 / 2\\sigma^2}} .$$

        Your function should work at *every* variance. At $\\sigma^2 = 10^{-8}$ each exponential underflows, and still
        the answer is known: 1 for the nearest centre, 0 for the others, and equal shares for centres that are exactly
        equally near.
        """,
    hints=[
        "All squared distances at once: ((X[:, None] - centres)**2).sum(axis=2), of shape (n, K).",
        "This is chapter 2 again: with a[i, k] = -squares / (2 * variance), subtract the largest entry of each row "
        "before exp. The nearest centre then has exp(0) = 1.",
        "a = a - a.max(axis=1, keepdims=True); r = np.exp(a); return r / r.sum(axis=1, keepdims=True)",
    ],
    after="""
        Only differences of squared distances count, as in the second form of the formula in chapter 5. With the
        smallest of a row subtracted the sum is at least 1, so the division is always safe. This is one function for EM
        at any variance, and for the limit.
        """,
    compare=close(rule=_rows_sum_to_one),
)
def shares(X, centres, variance):
    """Responsibilities of components with equal weights and one round variance.

    Parameters
    ----------
    X : array (n, d)
        Points.
    centres : array (K, d)
        Means of the components.
    variance : float
        The variance that all share; it may be tiny.

    Returns
    -------
    responsibilities : array (n, K)
        Each row sums to one.
    """
    squares = ((X[:, None] - centres) ** 2).sum(axis=2)
    a = -squares / (2 * variance)
    r = np.exp(a - a.max(axis=1, keepdims=True))
    return r / r.sum(axis=1, keepdims=True)


@shares.example
def _():
    return {"X": np.array([[3.6], [1.8], [3.3], [2.3]]), "centres": np.array([[2.0], [4.0]]), "variance": 0.25}


@shares.draws(
    """Four bars for four eruptions, cut into the shares of short and long: 3.6 minutes is nearly all long, 1.8 and
    2.3 nearly all short, and 3.3 is nine tenths long."""
)
def _bars(ax, answer, X, centres, variance):
    from ...view.figures import share_bars

    share_bars(ax, answer, [f"centre at {c:g}" for c in centres[:, 0]], [f"{x:g}" for x in X[:, 0]])
    ax.set(xlabel="share", ylabel="eruption (min)")


@shares.cases
def _(rng):
    X, centres = _clouds(rng, 12, 3, 2, apart=1.2)
    one, at = _clouds(rng, 9, 2, 1, apart=1.2)
    square, places = _clouds(rng, 4, 4, 3, apart=1.2)
    at_two = int(rng.integers(2, 9))
    tied = np.array([[0, 0], [2 * at_two, 0], [at_two, 40]])
    near_and_tied = np.array([[1, 3], [at_two, -5], [at_two, 0], [2 * at_two, 30], [-7, 1], [at_two, 33]])
    return {
        "two measurements": {"X": X, "centres": centres, "variance": rng.uniform(1.5, 3)},
        "one measurement": {"X": one, "centres": at, "variance": rng.uniform(0.4, 0.8)},
        "as many points as components": {"X": square, "centres": places, "variance": rng.uniform(1.5, 3)},
        "variance 1e-8": {"X": X, "centres": centres, "variance": 1e-8},
        "variance 1e-8, and a tie": {"X": near_and_tied, "centres": tied, "variance": 1e-8},
    }


shares.check("variances near one", points=3, on=("two measurements", "one measurement"))
shares.check("as many points as components: rows, not columns", points=1, on="as many points as components")
shares.check("a variance of 1e-8, with and without ties", points=2, on=("variance 1e-8", "variance 1e-8, and a tie"))


@shares.slip(
    "With a tiny variance every exponential underflows to 0, and 0/0 is nan. Subtract the largest exponent of each "
    "row before exp: the nearest centre then has exp(0) = 1."
)
def zero_by_zero(X, centres, variance):
    r = np.exp(-_squares(X, centres) / (2 * variance))
    return r / r.sum(axis=1, keepdims=True)


@shares.slip(
    "Adding 1e-10 to the sum hides 0/0. At a tiny variance all shares of a point are 0 now, and it drops out of the "
    "M-step. Subtract the largest exponent of each row before exp."
)
def tiny_number_added(X, centres, variance):
    r = np.exp(-_squares(X, centres) / (2 * variance))
    return r / (r.sum(axis=1, keepdims=True) + 1e-10)


@shares.slip(
    "The factor 2 is missing: the exponent of a normal density is the squared distance over *twice* the variance."
)
def half_forgotten(X, centres, variance):
    return _shares(-_squares(X, centres) / variance)


@shares.slip("The distance is not squared. A normal density falls with the square of the distance.")
def not_squared(X, centres, variance):
    return _shares(-np.sqrt(_squares(X, centres)) / (2 * variance))


@shares.slip("The variance was squared, as if it were a standard deviation. It is σ² already.")
def variance_squared(X, centres, variance):
    return _shares(-_squares(X, centres) / (2 * variance**2))


@shares.slip("The squared differences are averaged over the columns. A squared distance is their sum.")
def averaged_over_columns(X, centres, variance):
    return _shares(-_squares(X, centres) / (2 * variance * X.shape[1]))


@shares.slip(
    "These shares sum to one over the points. It is the point that is shared: sum over the centres, along axis 1."
)
def over_the_points(X, centres, variance):
    return _shares((-_squares(X, centres) / (2 * variance)).T).T


@shares.slip("The sign of the exponent is lost: the farthest centre gets the largest share.")
def sign_lost(X, centres, variance):
    return _shares(_squares(X, centres) / (2 * variance))


@shares.slip(
    "Each point went whole to its nearest centre. That is the limit; at a variance that is not tiny the point is "
    "shared, and at a tie it is shared even in the limit."
)
def hard(X, centres, variance):
    return np.eye(len(centres))[_squares(X, centres).argmin(axis=1)]


@shares.also
def point_by_point(X, centres, variance):
    from scipy.special import softmax

    return [softmax([-((x - c) @ (x - c)) / (2 * variance) for c in centres]).tolist() for x in X]


@shares.also
def by_normal_density(X, centres, variance):
    from scipy.special import logsumexp
    from scipy.stats import norm

    a = norm.logpdf(X[:, None, :], centres, np.sqrt(variance)).sum(axis=2)
    return np.exp(a - logsumexp(a, axis=1, keepdims=True)).astype(np.float32)


# ---------------------------------------------------------------- 2
@exercise.function(
    returns={"labels": "(n,)"},
    story="""
        **"Give me a name."** In the limit a point gets one label: the number of its nearest centre. Where several
        centres are exactly equally near, take the first of them. Ties are rare with continuous measurements and common
        with data that are rounded to whole numbers.
        """,
    hints=[
        "np.argmin returns the first of several equal minima. That is the rule asked for.",
        "The distances of one point to all centres form a row: argmin(axis=1).",
    ],
    after="""
        No root is taken, since the nearest by squared distance is the nearest. And nothing was lost that `shares` at a
        tiny variance knew, except the ties: there a decision is an invention.
        """,
)
def nearest(X, centres):
    """The number of the nearest centre of each point.

    Parameters
    ----------
    X : array (n, d)
        Points.
    centres : array (K, d)
        Centres.

    Returns
    -------
    labels : array (n,)
        Whole numbers from 0 to K - 1; the first of several nearest centres.
    """
    return ((X[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)


@nearest.example
def _():
    return {"X": np.array([[3.6], [1.8], [3.3], [2.3], [3.0]]), "centres": np.array([[2.0], [4.0]])}


@nearest.cases
def _(rng):
    # Some centres lie along an axis, some across: as seen from the middle, city blocks and straight lines disagree.
    centres = np.array([[2.2, 0, 0], [-1.1, 1.1, 1.1], [0, -2.2, 0.3], [1.0, -0.9, -1.2]]) * rng.choice([-1, 1], size=3)
    shift = rng.uniform(1, 3, size=3)
    X = rng.normal(size=(60, 3)) * 0.8 + shift
    grid = np.array([[x, y] for x in range(6) for y in range(6)])
    square, places = _clouds(rng, 5, 5, 2)
    return {
        "sixty points": {"X": X, "centres": rng.permutation(centres) + shift},
        "whole numbers, with ties": {
            "X": rng.permutation(grid),
            "centres": rng.permutation([[0, 0], [4, 0], [0, 4], [4, 4]]),
        },
        "as many points as centres": {"X": square + 3.0, "centres": places[rng.permutation(5)] * [0.5, 2.0] + 3.0},
    }


nearest.check("points in space", points=2, on=("sixty points", "as many points as centres"))
nearest.check("ties go to the first", points=2, on="whole numbers, with ties")


@nearest.slip(
    "Of several equally near centres this takes the last. Asked for is the first, as np.argmin does of itself."
)
def last_of_the_tied(X, centres):
    return len(centres) - 1 - _squares(X, centres)[:, ::-1].argmin(axis=1)


@nearest.slip("These labels are numbered from 1. Python counts from 0, and labels will be used as indices.")
def from_one(X, centres):
    return _squares(X, centres).argmin(axis=1) + 1


@nearest.slip("This is the farthest centre: argmax for argmin.")
def farthest(X, centres):
    return _squares(X, centres).argmax(axis=1)


@nearest.slip(
    "This finds the nearest point of each centre, K numbers. Asked for is the nearest centre of each point: argmin "
    "along axis 1."
)
def nearest_point(X, centres):
    return _squares(X, centres).argmin(axis=0)


@nearest.slip(
    "The differences are added up by their size, without squares. That distance is measured along the streets of a "
    "city, and its nearest centre may be another one."
)
def city_blocks(X, centres):
    return np.abs(X[:, None] - centres).sum(axis=2).argmin(axis=1)


@nearest.slip(
    "The differences were summed before they were squared, so that they cancel. Square first, then sum over the "
    "columns."
)
def summed_before_squared(X, centres):
    return ((X[:, None] - centres).sum(axis=2) ** 2).argmin(axis=1)


@nearest.slip(
    "The largest product of point and centre is not the smallest distance: the squared length of the centre is "
    "missing, and long centres win too often."
)
def by_product(X, centres):
    return (X @ centres.T).argmax(axis=1)


@nearest.slip(
    "This is a table of zeros and ones. The label is one number for each point: the column in which the 1 stands."
)
def one_hot(X, centres):
    return np.eye(len(centres))[_squares(X, centres).argmin(axis=1)]


@nearest.also
def one_by_one(X, centres):
    labels = []
    for x in X:
        best, label = np.inf, 0
        for k, centre in enumerate(centres):
            distance = float(np.linalg.norm(x - centre))
            if distance < best - 1e-12:
                best, label = distance, k
        labels.append(float(label))
    return labels


# ---------------------------------------------------------------- 3
@exercise.function(
    returns={"centres": "(K, d)"},
    story="""
        **The M-step of K-means.** Each centre moves to the plain mean of the points that have its label. If no point
        has its label, there is no mean, and the centre stays where it is. (Programs differ here. Some put such a centre
        on a far point and start it again. We leave it in peace.)

        Leave what you were given as you found it: return new centres.
        """,
    hints=[
        "X[labels == k] are the points of cluster k, and .mean(axis=0) is their mean.",
        "Begin with a copy of the centres that can hold fractions, new = np.array(centres, dtype=float), and replace "
        "those that have points.",
        "for k in range(len(centres)): if (labels == k).any(): new[k] = X[labels == k].mean(axis=0)",
    ],
    after="""
        This is the weighted mean of chapter 2 with shares 0 and 1. The variance does not occur in it at all. In EM a
        component never loses *all* of its share; an empty cluster is an invention of hard labels.
        """,
)
def move(X, labels, centres):
    """New centres, each at the mean of its points.

    Parameters
    ----------
    X : array (n, d)
        Points.
    labels : array (n,)
        The cluster of each, from 0 to K - 1; not all K need occur.
    centres : array (K, d)
        The centres before.

    Returns
    -------
    centres : array (K, d)
        Means of the clusters; the old centre where a cluster is empty.
    """
    new = np.array(centres, dtype=float)
    for k in range(len(new)):
        if (labels == k).any():
            new[k] = X[labels == k].mean(axis=0)
    return new


@move.example
def _():
    return {
        "X": np.array([[3.6], [1.8], [3.3], [2.3]]),
        "labels": np.array([1, 0, 1, 0]),
        "centres": np.array([[2.0], [4.0], [9.0]]),
    }


@move.cases
def _(rng):
    def case(n, K, d, empty=()):
        X, centres = _clouds(rng, n, K, d)
        there = np.setdiff1d(np.arange(K), empty)
        labels = rng.permutation(np.append(np.repeat(there, 2), rng.choice(there, size=n - 2 * len(there))))
        return {"X": X + 2.0, "labels": labels, "centres": centres + rng.uniform(0.5, 1.5, size=(K, d))}

    whole = case(13, 3, 2)
    whole["X"] = rng.integers(1, 30, size=(13, 2))
    whole["X"][:, 0] += whole["X"].sum(axis=0)[0] % 2  # any number of odd sums
    whole["centres"] = whole["X"][:3].copy()
    return {
        "three clusters": case(14, 3, 2),
        "four measurements": case(11, 2, 4),
        "an empty cluster": case(12, 4, 2, (int(rng.integers(1, 3)),)),
        "the last cluster is empty": case(10, 3, 1, (2,)),
        "whole numbers": whole,
    }


move.check("clusters with points", points=2, on=("three clusters", "four measurements"))
move.check("an empty cluster stays where it is", points=2, on=("an empty cluster", "the last cluster is empty"))
move.check("points and centres that are whole numbers", points=1, on="whole numbers")


def _means(X, labels, centres):
    with np.errstate(all="ignore"):
        table = (labels[:, None] == np.arange(len(centres))).astype(float)
        return table.T @ X / table.sum(axis=0)[:, None]


@move.slip(
    "The mean of no points is 0/0, nan, and from then on no point is nearest to that centre or to any other. Leave an "
    "empty cluster's centre where it is."
)
def mean_of_none(X, labels, centres):
    return _means(X, labels, centres)


@move.slip(
    "An empty cluster's centre was put at the origin, where the array of zeros began. It should stay where it is."
)
def at_the_origin(X, labels, centres):
    means = _means(X, labels, centres)
    return np.where(np.isnan(means), 0.0, means)


@move.slip(
    "An empty cluster's centre was put into the middle of all points. That is one of the cures in use; here it should "
    "stay where it is."
)
def into_the_middle(X, labels, centres):
    means = _means(X, labels, centres)
    return np.where(np.isnan(means), X.mean(axis=0), means)


@move.slip(
    "Empty clusters were left out, so fewer centres come back than went in, and labels no longer fit them. Keep the "
    "old centre."
)
def left_out(X, labels, centres):
    return np.array([X[labels == k].mean(axis=0) for k in np.unique(labels)])


@move.slip("The sums are divided by the number of all points. Divide by the number of points in the cluster.")
def over_all_points(X, labels, centres):
    table = (labels[:, None] == np.arange(len(centres))).astype(float)
    means = table.T @ X / len(X)
    return np.where(table.sum(axis=0)[:, None] == 0, centres, means)


@move.slip("These are sums. Divide each by the number of points in its cluster.")
def sums(X, labels, centres):
    table = (labels[:, None] == np.arange(len(centres))).astype(float)
    return np.where(table.sum(axis=0)[:, None] == 0, centres, table.T @ X)


@move.slip(
    "The centres came out as whole numbers: an array copied from centres, or made like them, holds whole numbers if "
    "they do, and cuts off the rest. Make it with dtype=float."
)
def whole_centres(X, labels, centres):
    means = _means(X, labels, centres)
    new = centres.copy()
    new[:] = np.where(np.isnan(means), centres, means)
    return new


@move.slip(
    "The old centres were written over. Whoever called you may still want to know how far the centres have moved: "
    "work on a copy."
)
def written_over(X, labels, centres):
    for k in range(len(centres)):
        if (labels == k).any():
            centres[k] = X[labels == k].mean(axis=0)
    return centres


@move.slip(
    "This is the median of each column. K-means takes the mean, which is what makes the sum of squares smallest."
)
def medians(X, labels, centres):
    return np.array(
        [np.median(X[labels == k], axis=0) if (labels == k).any() else centres[k] for k in range(len(centres))]
    )


@move.also
def by_a_table(X, labels, centres):
    table = np.eye(len(centres))[labels]
    n = table.sum(axis=0)[:, None]
    return np.where(n > 0, table.T @ X / np.maximum(n, 1), centres).tolist()


# ---------------------------------------------------------------- 4
@exercise.function(
    returns={"centres": "(K, d)", "labels": "(n,)", "trace": "(n_iter + 1,)"},
    story="""
        **The dance, hardened.** Labels, centres, labels, centres, `n_iter` times. Along the way keep the **inertia**,
        the sum of the squared distances of all points from their nearest centres,

        $$\\sum_{i=1}^{n} \\min_k \\|x_i - \\mu_k\\|^2 .$$

        `trace[0]` belongs to the start, `trace[t]` to the centres after `t` moves. The labels that you return belong to
        the centres that you return. On the penguins your last inertia should be the 157.815 of the chapter.
        """,
    hints=[
        "One iteration is two of your functions: labels = nearest(X, centres); centres = move(X, labels, centres).",
        "The inertia of any centres is ((X[:, None] - centres)**2).sum(axis=2).min(axis=1).sum(). Append it before "
        "each iteration, and once more at the end.",
        "After the loop the centres have moved once more since the labels were computed: call nearest again before "
        "you return.",
    ],
    after="""
        The trace never rises, for the same reason for which EM's never falls: each half-step can only improve. If it
        rises in your program, look for labels and centres that do not belong together.
        """,
)
def lloyd(X, centres, n_iter):
    """K-means from given centres.

    Parameters
    ----------
    X : array (n, d)
        Points.
    centres : array (K, d)
        The start.
    n_iter : int
        How many times to compute labels and move the centres.

    Returns
    -------
    centres : array (K, d)
        After the last move.
    labels : array (n,)
        The nearest of these centres for each point.
    trace : array (n_iter + 1,)
        Inertia of the start and after each move.
    """

    def inertia(centres):
        return ((X[:, None] - centres) ** 2).sum(axis=2).min(axis=1).sum()

    trace = [inertia(centres)]
    for _ in range(n_iter):
        centres = move(X, nearest(X, centres), centres)
        trace.append(inertia(centres))
    return centres, nearest(X, centres), np.array(trace)


@lloyd.example
def _():
    X = _penguins()
    return {"X": X, "centres": X[[0, 200, 300]], "n_iter": 5}


@lloyd.draws(
    """Bill and flipper length of the penguins in three colours, one for each cluster, and three centres as
    diamonds: one among small birds with short bills, one among small birds with long bills, one among large
    birds."""
)
def _clusters(ax, answer, X, centres, n_iter):
    _coloured(ax, X, np.asarray(answer[1]), answer[0])


@lloyd.cases
def _(rng):
    def case(n, K, d, n_iter):
        X = _clouds(rng, n, K, d, apart=1.5)[0] + 1.0
        return {"X": X, "centres": X[:1] + rng.normal(size=(K, d)) * 0.4, "n_iter": n_iter}

    lost = case(60, 3, 2, 2)
    lost["centres"][1] = [90.0, -70.0]
    return {
        "one iteration": case(120, 3, 2, 1),
        "three iterations": case(150, 4, 2, 3),
        "three measurements": case(100, 2, 3, 2),
        "no iteration": case(30, 3, 2, 0),
        "a centre far from all points": lost,
    }


lloyd.check("one iteration", points=3, on="one iteration")
lloyd.check("more iterations", points=3, on=("three iterations", "three measurements"))
lloyd.check("no iteration at all: the start, its labels, its inertia", points=1, on="no iteration")
lloyd.check("a centre that is far from all points", points=1, on="a centre far from all points")


def _loop(X, centres, n_iter, moved=None, power=1.0):
    """Centres, fresh labels, and the trace, from pieces that can be exchanged."""
    trace = []
    old = None
    for _ in range(n_iter):
        squares = _squares(X, centres)
        trace.append((squares.min(axis=1) ** power).sum())
        old = squares.argmin(axis=1)
        means = _means(X, old, centres)
        centres = moved(X, centres) if moved else np.where(np.isnan(means), centres, means)
    squares = _squares(X, centres)
    trace.append((squares.min(axis=1) ** power).sum())
    return centres, squares.argmin(axis=1), np.array(trace), old


@lloyd.slip(
    "The labels are those from before the last move. The centres have moved since: compute the labels once more, for "
    "the centres that you return."
)
def stale_labels(X, centres, n_iter):
    centres_, labels, trace, old = _loop(X, centres, n_iter)
    return centres_, labels if old is None else old, trace


@lloyd.slip(
    "The inertia was measured to the new centres with the old labels. Some points have a nearer centre by now: take "
    "the smallest distance of each point."
)
def stale_inertia(X, centres, n_iter):
    trace = [_squares(X, centres).min(axis=1).sum()]
    for _ in range(n_iter):
        labels = _squares(X, centres).argmin(axis=1)
        means = _means(X, labels, centres)
        centres = np.where(np.isnan(means), centres, means)
        trace.append(((X - centres[labels]) ** 2).sum())
    return centres, _squares(X, centres).argmin(axis=1), np.array(trace)


@lloyd.slip(
    "The last inertia does not belong to the centres that you return, but to those before the last move: measure once "
    "more after the loop. (trace should begin with the start, once.)"
)
def one_move_late(X, centres, n_iter):
    centres_, labels, trace, _ = _loop(X, centres, n_iter)
    return centres_, labels, np.append(trace[:1], trace[:-1]) if n_iter else trace


@lloyd.slip("The trace is short by one: the inertia of the start belongs to it, and so does that of the final centres.")
def one_short(X, centres, n_iter):
    centres_, labels, trace, _ = _loop(X, centres, n_iter)
    return centres_, labels, trace[1:]


@lloyd.slip("This is the mean squared distance. The inertia is the sum.")
def mean_for_sum(X, centres, n_iter):
    centres_, labels, trace, _ = _loop(X, centres, n_iter)
    return centres_, labels, trace / len(X)


@lloyd.slip("The inertia is the sum of *squared* distances; a root was taken first.")
def sum_of_distances(X, centres, n_iter):
    return _loop(X, centres, n_iter, power=0.5)[:3]


@lloyd.slip(
    "The labels were computed once, before the loop. After each move some points have another nearest centre: compute "
    "the labels in every iteration."
)
def labels_once(X, centres, n_iter):
    labels = _squares(X, centres).argmin(axis=1)
    trace = [_squares(X, centres).min(axis=1).sum()]
    for _ in range(n_iter):
        means = _means(X, labels, centres)
        centres = np.where(np.isnan(means), centres, means)
        trace.append(_squares(X, centres).min(axis=1).sum())
    return centres, labels, np.array(trace)


@lloyd.slip(
    "The centres are weighted means with shares, at variance 1. That is EM with a known variance; K-means counts each "
    "point for its nearest centre only."
)
def shares_for_labels(X, centres, n_iter):
    def moved(X, centres):
        r = _shares(-_squares(X, centres) / 2)
        return r.T @ X / r.sum(axis=0)[:, None]

    return _loop(X, centres, n_iter, moved=moved)[:3]


@lloyd.slip(
    "A centre that had no points became nan, the mean of nothing. Let it stay where it is; your `move` does that."
)
def lost_centre(X, centres, n_iter):
    return _loop(X, centres, n_iter, moved=lambda X, centres: _means(X, _squares(X, centres).argmin(axis=1), centres))[
        :3
    ]


@lloyd.also
def the_usual_way(X, centres, n_iter):
    trace = []
    for t in range(n_iter + 1):
        distances = np.linalg.norm(X[:, None] - centres, axis=2)
        labels = distances.argmin(axis=1)
        trace.append(float((distances[np.arange(len(X)), labels] ** 2).sum()))
        if t < n_iter:
            centres = [
                X[labels == k].mean(axis=0) if k in labels else np.asarray(centres)[k] for k in range(len(centres))
            ]
    return [np.array(centres).tolist(), labels, trace]


# ---------------------------------------------------------------- 5
@exercise.function(
    returns={"cooled": "(n, K)"},
    story="""
        **Temperature.** The other way from soft to hard works for every mixture: raise the shares to the power $1/t$,
        and normalise again,

        $$r_{ik}(t) = \\frac{r_{ik}^{1/t}}{\\sum_j r_{ij}^{1/t}} .$$

        At $t = 0$ nothing but the largest share of each row survives, as a 1. Your function should take every
        temperature from 0 upwards: at $t = 10^{-4}$ the power is ten thousand, and even $0.9^{10\\,000}$ is zero to the
        computer. Some shares are exactly 0 from the start. They stay 0.
        """,
    hints=[
        "A power is a factor in the logarithm: log(r) / t. The logarithm of 0 is -inf, and exp(-inf) is 0, which is "
        "just right.",
        "With the largest entry of the row subtracted, log(r) is 0 for the largest and negative for the rest, and can "
        "be divided by any t > 0.",
        "For t = 0 treat the limit apart: (r == r.max(axis=1, keepdims=True)), divided by its row sums.",
    ],
    after="""
        In the model with equal weights and one round variance this is the same as `shares` with $t\\sigma^2$ in place
        of $\\sigma^2$: try it. In other models it is not, since weights and covariances are divided by $t$ along with
        the rest, and the boundary stays where it was.
        """,
    compare=close(rule=_rows_sum_to_one),
)
def cool(responsibilities, temperature):
    """Responsibilities at another temperature.

    Parameters
    ----------
    responsibilities : array (n, K)
        Shares at temperature 1; each row sums to one, entries may be 0.
    temperature : float
        At least 0. In each row one share is the largest if it is 0.

    Returns
    -------
    cooled : array (n, K)
        Each row sums to one.
    """
    top = responsibilities.max(axis=1, keepdims=True)
    if temperature == 0:
        r = (responsibilities == top).astype(float)
    else:
        with np.errstate(divide="ignore"):
            r = np.exp(np.log(responsibilities / top) / temperature)
    return r / r.sum(axis=1, keepdims=True)


@cool.example
def _():
    r = np.array([0.7685, 0.0832, 0.6457, 0.1978])
    return {"responsibilities": np.column_stack([1 - r, r]), "temperature": 0.25}


@cool.cases
def _(rng):
    def table(n, K):
        return rng.dirichlet(np.linspace(1.5, 0.9, K), size=n)

    with_zeros = table(8, 4)
    with_zeros[np.arange(8), np.argsort(with_zeros, axis=1)[:, 0]] = 0.0
    with_zeros /= with_zeros.sum(axis=1, keepdims=True)
    close_calls = 0.25 + 0.03 * (table(6, 4) - 0.25)
    return {
        "hot": {"responsibilities": table(8, 3), "temperature": rng.uniform(2.0, 4.0)},
        "cold": {"responsibilities": table(8, 3), "temperature": rng.uniform(0.3, 0.5)},
        "some shares are zero": {"responsibilities": with_zeros, "temperature": rng.uniform(2.5, 4.0)},
        "temperature 1e-4": {"responsibilities": close_calls, "temperature": 1e-4},
        "temperature 0": {"responsibilities": table(7, 3), "temperature": 0.0},
    }


cool.check("hot and cold", points=3, on=("hot", "cold", "some shares are zero"))
cool.check("a temperature of 1e-4", points=2, on="temperature 1e-4")
cool.check("a temperature of 0", points=1, on="temperature 0")


def _cooled(r, t):
    top = r.max(axis=1, keepdims=True)
    if t == 0:
        return (r == top).astype(float)
    with np.errstate(all="ignore"):
        return _shares(np.log(r) / t)


@cool.slip("The power is t. It should be 1/t: a low temperature makes shares sharper, a high one flatter.")
def power_t(responsibilities, temperature):
    r = responsibilities**temperature
    return r / r.sum(axis=1, keepdims=True)


@cool.slip("After the power the rows no longer sum to one: normalise again.")
def not_normalised(responsibilities, temperature):
    if temperature == 0:
        return _cooled(responsibilities, 0)
    return responsibilities ** (1 / temperature)


@cool.slip(
    "Here the shares themselves are divided by t and exponentiated. It is their *logarithms* that are divided; a "
    "power of r is exp(log(r)/t)."
)
def shares_divided(responsibilities, temperature):
    return _cooled(responsibilities, 0) if temperature == 0 else _shares(responsibilities / temperature)


@cool.slip(
    "When it is very cold all powers underflow to 0, and 0/0 is nan; and at t = 0 one cannot divide by t. Work with "
    "logarithms, with the largest of each row subtracted, and treat 0 apart."
)
def plain_power(responsibilities, temperature):
    r = responsibilities ** (1 / temperature)
    return r / r.sum(axis=1, keepdims=True)


@cool.slip(
    "When it is very cold all powers underflow to 0, and 0/0 is nan. Divide each row by its largest entry first: then "
    "one power is 1."
)
def cold_underflow(responsibilities, temperature):
    if temperature == 0:
        return _cooled(responsibilities, 0)
    r = responsibilities ** (1 / temperature)
    return r / r.sum(axis=1, keepdims=True)


@cool.slip(
    "At t = 0 the logarithm of the largest share was divided by zero. The limit has to be written apart: 1 for the "
    "largest, 0 for the others."
)
def divided_by_zero(responsibilities, temperature):
    with np.errstate(all="ignore"):
        return _shares(np.log(responsibilities) / np.float64(temperature))


@cool.slip(
    "At t = 0 this raises ZeroDivisionError. The limit has to be written apart: 1 for the largest share of each row, "
    "0 for the others."
)
def zero_division(responsibilities, temperature):
    return _cooled(responsibilities, 1 / (1 / temperature))


@cool.slip("Every temperature below 1 was treated as 0. Cooling is gradual: at t = 0.4 a point is still shared.")
def frozen_at_once(responsibilities, temperature):
    return _cooled(responsibilities, 0 if temperature < 1 else temperature)


@cool.slip(
    "1e-10 was added before the logarithm, so shares that are 0 come to life when it is hot. log(0) is -inf, and "
    "exp(-inf) is 0: nothing needs to be added."
)
def added_before_the_log(responsibilities, temperature):
    return _cooled(responsibilities + 1e-10, temperature)


@cool.also
def row_by_row(responsibilities, temperature):
    rows = []
    for row in responsibilities:
        if temperature == 0:
            rows.append([float(k == int(np.argmax(row))) for k in range(len(row))])
        else:
            powers = (row / max(row)) ** (1 / temperature)
            rows.append((powers / powers.sum()).tolist())
    return rows


# ---------------------------------------------------------------- 6
@exercise.function(
    returns={"slope": "(d,)", "constant": "()"},
    story="""
        **Where two components tie.** Two components have weights $w_0, w_1$, means $\\mu_0, \\mu_1$ and one shared
        round variance $\\sigma^2$. Write down the log-odds

        $$\\log \\frac{r_0(x)}{r_1(x)}
          = \\log \\frac{w_0\\, \\mathcal N(x \\mid \\mu_0, \\sigma^2 I)}
              {w_1\\, \\mathcal N(x \\mid \\mu_1, \\sigma^2 I)}
          = \\text{slope}^\\top x + \\text{constant}$$

        with pencil and paper first, and see what cancels. Then return slope and constant, in this scale and for
        component 0 over component 1. The boundary is where they add up to zero, and it is straight.
        """,
    hints=[
        "The log odds are log(w0/w1) - |x - mu0|²/2σ² + |x - mu1|²/2σ². Expand the squares: |x|² cancels.",
        "What multiplies x is (mu0 - mu1)/σ². What is left is log(w0/w1) and the squared lengths of the two means.",
        "constant = log(w0/w1) - (mu0 @ mu0 - mu1 @ mu1) / (2 * variance)",
    ],
    after="""
        Put $x$ at the midpoint of the means, and only $\\log (w_0/w_1)$ is left: with equal weights the boundary goes
        through the midpoint, otherwise the commoner component pushes it away. As $\\sigma^2 \\to 0$ slope and the
        lengths grow without limit, the weights' part does not, and K-means never knew that it was there.
        """,
)
def straight(weights, means, variance):
    """Log-odds of component 0 over component 1, with one shared round variance.

    Parameters
    ----------
    weights : array (2,)
        Shares of the two components.
    means : array (2, d)
        Their means.
    variance : float
        The variance that both have in each direction.

    Returns
    -------
    slope : array (d,)
    constant : float
        log(r_0(x) / r_1(x)) = slope @ x + constant for every x.
    """
    slope = (means[0] - means[1]) / variance
    squares = (means**2).sum(axis=1)
    return slope, np.log(weights[0] / weights[1]) - (squares[0] - squares[1]) / (2 * variance)


@straight.example
def _():
    return {"weights": np.array([0.5, 0.5]), "means": np.array([[4.0], [2.0]]), "variance": 1.0}


@straight.cases
def _(rng):
    def case(d, variance, weights=None):
        weights = rng.permutation([0.15, 0.85]) if weights is None else weights
        means = rng.normal(size=(2, d)) + np.array([[1.5], [-1.0]]) * rng.uniform(1, 2, size=d)
        return {"weights": weights, "means": means, "variance": variance}

    return {
        "in the plane": case(2, rng.uniform(1.5, 3)),
        "one measurement": case(1, rng.uniform(0.2, 0.6)),
        "five measurements": case(5, rng.uniform(2, 5)),
        "equal weights": case(2, rng.uniform(1.5, 3), np.array([0.5, 0.5])),
    }


straight.check("equal weights", points=1, on="equal weights")
straight.check("weights that differ", points=3, on=("in the plane", "one measurement", "five measurements"))


def _line(weights, means, variance, log_weights=1.0, squares=1.0):
    lengths = (means**2).sum(axis=1)
    constant = log_weights * np.log(weights[0] / weights[1]) - squares * (lengths[0] - lengths[1]) / (2 * variance)
    return (means[0] - means[1]) / variance, constant


@straight.slip("The weights are missing. The commoner component pushes the boundary away from itself: add log(w0/w1).")
def weights_forgotten(weights, means, variance):
    return _line(weights, means, variance, log_weights=0.0)


@straight.slip("These are the log-odds of component 1 over component 0: all signs are turned round.")
def other_way_round(weights, means, variance):
    slope, constant = _line(weights, means, variance)
    return -slope, -constant


@straight.slip("The ratio of the weights was taken without its logarithm.")
def ratio_without_log(weights, means, variance):
    slope, constant = _line(weights, means, variance, log_weights=0.0)
    return slope, constant + weights[0] / weights[1]


@straight.slip(
    "Everything has been multiplied by the variance. The boundary is the same line, but these are no longer log-odds: "
    "how fast the shares change across it is lost."
)
def times_the_variance(weights, means, variance):
    slope, constant = _line(weights, means, variance)
    return slope * variance, constant * variance


@straight.slip(
    "The squared lengths of the means are divided by σ², not by 2σ². The factor 1/2 of the normal density stays with "
    "them; in the slope a 2 cancels it."
)
def half_left_out(weights, means, variance):
    return _line(weights, means, variance, squares=2.0)


@straight.slip(
    "The squared lengths of the means are missing in the constant. Without them the boundary passes near the origin, "
    "wherever the means are."
)
def lengths_forgotten(weights, means, variance):
    return _line(weights, means, variance, squares=0.0)


@straight.slip("The squared lengths of the means have the wrong sign in the constant: -|x - mu0|² contains -|mu0|².")
def lengths_added(weights, means, variance):
    return _line(weights, means, variance, squares=-1.0)


@straight.slip("The variance was squared. It is σ² already.")
def square_of_the_variance(weights, means, variance):
    return _line(weights, means, variance**2)


@straight.also
def from_values(weights, means, variance):
    def odds(x):
        return (
            np.log(weights[0] / weights[1]) - (((x - means[0]) ** 2).sum() - ((x - means[1]) ** 2).sum()) / 2 / variance
        )

    at_zero = odds(np.zeros(means.shape[1]))
    return [odds(row) - at_zero for row in np.eye(means.shape[1])], float(at_zero)


# ---------------------------------------------------------------- 7
@exercise.function(
    returns={"bend": "()", "slope": "(d,)", "constant": "()"},
    story="""
        **And where it bends.** Now each of the two round components has a variance of its own, $\\sigma_0^2$ and
        $\\sigma_1^2$. Then $\\|x\\|^2$ no longer cancels, nor do the determinants of the covariances. Write the
        log-odds of component 0 over component 1 as

        $$\\log \\frac{r_0(x)}{r_1(x)}
          = -\\tfrac12\\, \\text{bend}\\, \\|x\\|^2 + \\text{slope}^\\top x + \\text{constant},$$

        and return the three. Shown beside the stub are the monocytes and natural killer cells of the chapter. The kind
        that lies close together is component 0; the boundary of chapter 5 was a circle around it.
        """,
    hints=[
        "Use precisions p0 = 1/σ0² and p1 = 1/σ1². The exponents differ by -(p0 |x - mu0|² - p1 |x - mu1|²)/2: "
        "expand, and collect |x|², x, and the rest.",
        "bend = p0 - p1 and slope = p0 * mu0 - p1 * mu1.",
        "The normal density in d dimensions has the factor σ^(-d): the constant contains d/2 * log(p0/p1), besides "
        "log(w0/w1) and -(p0 * mu0 @ mu0 - p1 * mu1 @ mu1) / 2.",
    ],
    after="""
        The quadratic part belongs to the difference of the precisions and to nothing else, and hardening the labels
        does not touch it. If the bend is positive, component 0 is the narrower one, and far away in *every* direction
        component 1 wins.
        """,
)
def curved(weights, means, variances):
    """Log-odds of component 0 over component 1, each with a round variance of its own.

    Parameters
    ----------
    weights : array (2,)
        Shares of the two components.
    means : array (2, d)
        Their means.
    variances : array (2,)
        Their variances, each the same in all directions.

    Returns
    -------
    bend : float
    slope : array (d,)
    constant : float
        log(r_0(x) / r_1(x)) = -bend/2 * (x @ x) + slope @ x + constant for every x.
    """
    p = 1 / variances
    d = means.shape[1]
    squares = p * (means**2).sum(axis=1)
    constant = np.log(weights[0] / weights[1]) + d / 2 * np.log(p[0] / p[1]) - (squares[0] - squares[1]) / 2
    return p[0] - p[1], p[0] * means[0] - p[1] * means[1], constant


@curved.example
def _():
    return {
        "weights": np.array([0.756, 0.244]),
        "means": np.array([[0.08, 0.00], [-0.35, 0.89]]),
        "variances": np.array([0.555, 18.96]),
    }


@curved.draws(
    """A tight cloud of monocytes inside a wide scatter of natural killer cells; the boundary is a circle round the
    tight cloud, about two units in radius."""
)
def _circle(ax, answer, weights, means, variances):
    from ... import data
    from ...view import style

    cells = data.pbmc()
    for kind, colour in (("CD14+ Monocyte", style.COLORS[0]), ("CD56+ NK", style.COLORS[1])):
        ax.plot(*cells.pcs[cells.cell_types == kind][:, [6, 9]].T, ".", color=colour, ms=4, label=kind.split()[-1])
    bend, slope, constant = answer
    u, v = np.meshgrid(np.linspace(-7, 11, 150), np.linspace(-10, 15, 150))
    height = -bend / 2 * (u**2 + v**2) + slope[0] * u + slope[1] * v + constant
    ax.contour(u, v, height, [0.0], colors=style.INK)
    ax.set(xlabel="principal component 7", ylabel="principal component 10", aspect="equal")
    ax.legend()


@curved.cases
def _(rng):
    def case(d, variances):
        means = rng.normal(size=(2, d)) + np.array([[1.5], [-1.0]]) * rng.uniform(1, 2, size=d)
        return {"weights": rng.permutation([0.15, 0.85]), "means": means, "variances": np.array(variances)}

    first = rng.uniform(1.5, 3)
    return {
        "component 0 is narrow": case(2, [rng.uniform(0.3, 0.6), rng.uniform(2, 4)]),
        "component 0 is wide": case(3, [rng.uniform(3, 6), rng.uniform(0.5, 0.8)]),
        "one measurement": case(1, [rng.uniform(0.3, 0.6), rng.uniform(2, 4)]),
        "nearly equal variances": case(2, [first, 1.15 * first]),
    }


curved.check(
    "variances that differ, in two and three dimensions", points=3, on=("component 0 is narrow", "component 0 is wide")
)
curved.check("one measurement", points=1, on="one measurement")
curved.check("variances that hardly differ", points=1, on="nearly equal variances")


def _curve(weights, means, p, log_weights=1.0, determinant=None):
    d = means.shape[1]
    squares = p * (means**2).sum(axis=1)
    constant = log_weights * np.log(weights[0] / weights[1]) - (squares[0] - squares[1]) / 2
    constant += (d / 2 if determinant is None else determinant) * np.log(p[0] / p[1])
    return p[0] - p[1], p[0] * means[0] - p[1] * means[1], constant


@curved.slip(
    "The determinants are missing. A narrow component is higher at its centre, by σ^(-d); this brings d/2 "
    "log(σ1²/σ0²) into the constant."
)
def determinant_forgotten(weights, means, variances):
    return _curve(weights, means, 1 / variances, determinant=0.0)


@curved.slip(
    "The determinant of σ² I in d dimensions is σ^(2d): its logarithm has the factor d, and you took it as in one "
    "dimension."
)
def dimension_forgotten(weights, means, variances):
    return _curve(weights, means, 1 / variances, determinant=0.5)


@curved.slip("The determinants enter by their roots: d/2 times the log ratio of the variances, not d times.")
def root_forgotten(weights, means, variances):
    return _curve(weights, means, 1 / variances, determinant=float(means.shape[1]))


@curved.slip("The determinants have the wrong sign: it is the *narrow* component that is higher at its centre.")
def determinant_upside_down(weights, means, variances):
    return _curve(weights, means, 1 / variances, determinant=-means.shape[1] / 2)


@curved.slip("The weights are missing: add log(w0/w1) to the constant.")
def weights_left_out(weights, means, variances):
    return _curve(weights, means, 1 / variances, log_weights=0.0)


@curved.slip(
    "Both components were given the mean of the two variances. Then the boundary is straight by construction; what is "
    "asked for is how much it bends."
)
def one_variance_for_both(weights, means, variances):
    return _curve(weights, means, 1 / np.full(2, variances.mean()))


@curved.slip("The factor -1/2 is already in the formula: bend is the difference of the precisions, without it.")
def half_in_the_bend(weights, means, variances):
    bend, slope, constant = _curve(weights, means, 1 / variances)
    return -bend / 2, slope, constant


@curved.slip(
    "The sign of the bend is turned round: it is the precision of component 0 less that of component 1, and the minus "
    "is in the formula."
)
def bend_upside_down(weights, means, variances):
    bend, slope, constant = _curve(weights, means, 1 / variances)
    return -bend, slope, constant


@curved.slip("These are differences of variances where precisions, one over the variance, belong.")
def variances_for_precisions(weights, means, variances):
    return _curve(weights, means, variances.astype(float))


@curved.slip("The variances were squared. They are σ² already.")
def variances_squared(weights, means, variances):
    return _curve(weights, means, 1 / variances**2)


@curved.also
def from_densities(weights, means, variances):
    from scipy.stats import multivariate_normal

    d = means.shape[1]

    def odds(x):
        a, b = (
            np.log(w) + multivariate_normal(m, v * np.eye(d)).logpdf(x)
            for w, m, v in zip(weights, means, variances, strict=True)
        )
        return float(a - b)

    at_zero = odds(np.zeros(d))
    plus, minus = [odds(row) for row in np.eye(d)], [odds(-row) for row in np.eye(d)]
    return -(plus[0] + minus[0] - 2 * at_zero), [(p - m) / 2 for p, m in zip(plus, minus, strict=True)], at_zero
