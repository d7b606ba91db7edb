"""Exercise of chapter 2: write EM for a Gaussian mixture, whole."""

import numpy as np

from ..compare import close
from ..contract import Exercise

exercise = Exercise(
    "mixtures",
    title="The two-step dance",
    minutes=90,
    objectives=[
        "add probabilities that are too small for the computer, by their logarithms;",
        "write the E-step and the M-step of a Gaussian mixture with whole arrays;",
        "put both into a loop that reports the log-likelihood of the parameters it returns;",
        "write the test that every EM program should come with.",
    ],
    intro="""
        Chapter 2 let `emlib` do the work. Here you write it yourself, in six small functions, each made of the ones
        before. At the end they fit Old Faithful, and your numbers are those of the chapter.

        Throughout, `X` has one row for each of `n` eruptions and one column for each of `d` measurements; there are `K`
        components with `weights` (K,), `means` (K, d) and `covariances` (K, d, d).
        """,
    setup="""
        X = emlib.data.old_faithful()
        """,
    outro="""
        Run your `fit` on Old Faithful with another start, one in which both means are the same. Nothing moves apart,
        however long it runs: the two components stay twins. Chapter 6 explains why, and what kind of place that is.
        """,
)


# ---------------------------------------------------------------- inputs
def _mixture(rng, K, d):
    """Weights, means and covariances that differ visibly from one component to the next."""
    weights = rng.dirichlet(np.full(K, 5.0)) * 0.7 + np.linspace(0.4, 0.2, K) / np.linspace(0.4, 0.2, K).sum() * 0.3
    means = rng.normal(size=(K, d)) * 2
    roots = rng.normal(size=(K, d, d)) * 0.5 + np.eye(d)
    covariances = roots @ roots.transpose(0, 2, 1) * np.linspace(0.6, 2.0, K)[:, None, None] + 0.2 * np.eye(d)
    return weights, means, covariances


def _table(rng, n, means):
    return means[rng.integers(len(means), size=n)] + rng.normal(size=(n, means.shape[1]))


def _far_below(rng, n, K):
    """Rows so far apart that the largest number of one row underflows beside that of another."""
    return rng.normal(size=(n, K)) - rng.permutation(np.linspace(900, 900 + 1000 * (n - 1), n))[:, None]


def _near_and_far(rng):
    """Rows with numbers about 0 and about -1500 side by side, in each column some of both."""
    far = np.concatenate([~np.eye(3, dtype=bool), np.eye(3, dtype=bool)])
    return rng.normal(size=(6, 3)) - far * rng.uniform(1500, 1600, size=(6, 3))


def _log_joint(X, weights, means, covariances):
    columns = []
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        precision = np.linalg.inv(covariance)
        distance = np.einsum("nd,de,ne->n", X - mean, precision, X - mean)
        columns.append(
            np.log(weight) + 0.5 * (np.linalg.slogdet(precision)[1] - X.shape[1] * np.log(2 * np.pi) - distance)
        )
    return np.stack(columns, axis=1)


def _responsibilities(log_joint):
    r = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    return r / r.sum(axis=1, keepdims=True)


def _total(log_joint):
    top = log_joint.max(axis=1)
    return top + np.log(np.exp(log_joint - top[:, None]).sum(axis=1))


# ---------------------------------------------------------------- 1
@exercise.function(
    returns={"total": "(n,)"},
    story="""
        A density in ten dimensions is easily $10^{-400}$, and the smallest number that a computer can hold is about
        $10^{-324}$. So programs carry *logarithms* of probabilities. To add the probabilities of a row they need
        $\\log \\sum_k e^{a_{ik}}$, without ever computing an $e^{a_{ik}}$ that underflows.
        """,
    hints=[
        "What is exp(-1000) in Python? And log(0)?",
        "For any number m, log(sum(exp(a))) = m + log(sum(exp(a - m))). Which m makes the largest term exactly 1?",
        "Take top = a.max(axis=1), one for each row, subtract it from the row as top[:, None], and add top at the end.",
    ],
    after="""
        With the largest entry taken out, the sum is at least 1 and its logarithm at least 0. Terms that still
        underflow are the ones that would not have changed the sum. Adding `1e-10` inside the logarithm only hides the
        damage: every far point would get the same log-likelihood, −23.03, and the program would never learn that one
        of them is further than another. """,
)
def log_sum_exp(a):
    """Logarithm of the sum of exponentials of each row.

    Parameters
    ----------
    a : array (n, K)
        Logarithms of positive numbers.

    Returns
    -------
    total : array (n,)
        log(exp(a[i, 0]) + ... + exp(a[i, K-1])) for each row i.
    """
    top = a.max(axis=1)
    return top + np.log(np.exp(a - top[:, None]).sum(axis=1))


@log_sum_exp.example
def _():
    return {"a": np.array([[0.0, 0.0], [-1000.0, -1000.0 - np.log(2)], [0.0, -1500.0]])}


@log_sum_exp.cases
def _(rng):
    return {
        "ordinary": {"a": rng.normal(size=(6, 3))},
        "far below zero": {"a": _far_below(rng, 5, 4)},
        "near and far in one row": {"a": _near_and_far(rng)},
        "large": {"a": rng.normal(size=(4, 2)) + 900},
    }


log_sum_exp.check("ordinary numbers", points=1, on="ordinary")
log_sum_exp.check(
    "numbers far below zero, as log densities are", points=2, on=("far below zero", "near and far in one row")
)
log_sum_exp.check("large numbers", points=1, on="large")


@log_sum_exp.slip(
    "exp underflows to 0 below about -745 and overflows above 709, and then the logarithm has nothing left to work on. "
    "Take the largest entry of each row out before exp, and add it back after log."
)
def naive(a):
    return np.log(np.exp(a).sum(axis=1))


@log_sum_exp.slip(
    "Adding 1e-10 keeps the logarithm finite by making the number up: every row far below zero gets -23.03, however "
    "far it is. Take the largest entry of the row out instead."
)
def one_e_minus_ten(a):
    return np.log(np.exp(a).sum(axis=1) + 1e-10)


@log_sum_exp.slip("The largest entry was taken out before exp, and never added back after log.")
def not_added_back(a):
    top = a.max(axis=1, keepdims=True)
    return np.log(np.exp(a - top).sum(axis=1))


@log_sum_exp.slip("This sums over the rows, axis 0. A row is a point; its terms lie side by side, along axis 1.")
def over_the_rows(a):
    top = a.max(axis=0)
    return top + np.log(np.exp(a - top).sum(axis=0))


@log_sum_exp.slip(
    "You took one maximum out of the whole array. A row far below the highest row still underflows to 0: every row "
    "needs its own, a.max(axis=1)."
)
def one_maximum_for_all(a):
    return a.max() + np.log(np.exp(a - a.max()).sum(axis=1))


@log_sum_exp.slip(
    "You took the smallest entry of the row out. Beside it an entry 1500 higher becomes exp(1500), which overflows: "
    "take the largest out, so that no exponent is above 0."
)
def row_minimum(a):
    low = a.min(axis=1)
    return low + np.log(np.exp(a - low[:, None]).sum(axis=1))


@log_sum_exp.slip(
    "You took the mean of the row out. That helps only while the entries of a row lie close together: take the largest "
    "out, so that no exponent is above 0."
)
def row_mean(a):
    middle = a.mean(axis=1)
    return middle + np.log(np.exp(a - middle[:, None]).sum(axis=1))


@log_sum_exp.slip(
    "Your maximum has shape (n, 1) and the logarithm of the sum (n,). NumPy adds every one to every other, an (n, n) "
    "table: keep the axis for the subtraction only, and add the maximum as (n,)."
)
def all_pairs(a):
    top = a.max(axis=1, keepdims=True)
    return top + np.log(np.exp(a - top).sum(axis=1))


@log_sum_exp.slip("You took the mean of the exponentials, which is log(K) too low. The sum is wanted.")
def mean_of_exponentials(a):
    top = a.max(axis=1)
    return top + np.log(np.exp(a - top[:, None]).mean(axis=1))


@log_sum_exp.also
def by_scipy(a):
    from scipy.special import logsumexp

    return logsumexp(a, axis=1)


# ---------------------------------------------------------------- 2
@exercise.function(
    returns={"log_joint": "(n, K)"},
    story="""
        What does component $k$ say about point $x_i$? Its share times its density, $w_k\\, \\mathcal N(x_i \\mid
        \\mu_k, \\Sigma_k)$: the probability of *being of kind k and lying there*. You need the logarithm,

        $$\\log w_k - \\tfrac12 \\log |\\Sigma_k| - \\tfrac d2 \\log 2\\pi
          - \\tfrac12 (x_i - \\mu_k)^\\top \\Sigma_k^{-1} (x_i - \\mu_k).$$
        """,
    hints=[
        "Do it for one component first: a column of n numbers. Then a loop over the K components, and "
        "np.stack(columns, axis=1).",
        "For one component, D = X - means[k] is (n, d), and the squared distances are (D @ P * D).sum(axis=1), with P "
        "the inverse "
        "of covariances[k].",
        "The log determinant is np.linalg.slogdet(covariances[k])[1]; it enters with the factor -1/2, as does d * "
        "log(2 * pi).",
    ],
    after="""
        A loop over the few components is fine; a loop over the many points is what costs. Inverting a 2 × 2 matrix is
        harmless; in many dimensions one takes the Cholesky factor and solves a triangular system instead, which loses
        fewer digits. """,
)
def log_joint(X, weights, means, covariances):
    """Logarithm of weight times normal density, for each point and component.

    Parameters
    ----------
    X : array (n, d)
        Points.
    weights : array (K,)
        Shares of the components.
    means : array (K, d)
        Their means.
    covariances : array (K, d, d)
        Their covariance matrices.

    Returns
    -------
    log_joint : array (n, K)
        log(weights[k] * N(X[i] | means[k], covariances[k])).
    """
    columns = []
    for weight, mean, covariance in zip(weights, means, covariances):
        D = X - mean
        distance = (D @ np.linalg.inv(covariance) * D).sum(axis=1)
        log_determinant = np.linalg.slogdet(covariance)[1]
        constant = X.shape[1] * np.log(2 * np.pi)
        columns.append(np.log(weight) - (log_determinant + constant + distance) / 2)
    return np.stack(columns, axis=1)


@log_joint.example
def _():
    return {
        "X": np.array([[3.6, 79.0], [1.8, 54.0], [3.3, 74.0]]),
        "weights": np.array([0.4, 0.6]),
        "means": np.array([[2.0, 55.0], [4.3, 80.0]]),
        "covariances": np.array([[[0.1, 0.5], [0.5, 36.0]], [[0.2, 0.9], [0.9, 36.0]]]),
    }


@log_joint.cases
def _(rng):
    cases = {}
    for name, n, K, d in [("two measurements", 7, 3, 2), ("one measurement", 5, 2, 1), ("four measurements", 6, 2, 4)]:
        weights, means, covariances = _mixture(rng, K, d)
        cases[name] = {"X": _table(rng, n, means), "weights": weights, "means": means, "covariances": covariances}
    far = {name: value.copy() for name, value in cases["two measurements"].items()}
    far["X"] = far["X"] + 200.0
    return {**cases, "far away": far}


log_joint.check("points in the plane", points=3, on="two measurements")
log_joint.check("one measurement, and four", points=2, on=("one measurement", "four measurements"))
log_joint.check("points far from every component", points=1, on="far away")


@log_joint.slip(
    "The weights are missing. A component that is rarer says less about every point: add log(weights[k]) to its column."
)
def weights_forgotten(X, weights, means, covariances):
    return _log_joint(X, np.ones_like(weights), means, covariances)


@log_joint.slip(
    "This multiplies by the covariance where its inverse belongs: a wide component should forgive distance, not "
    "punish it."
)
def covariance_for_precision(X, weights, means, covariances):
    terms = [np.einsum("nd,de,ne->n", X - m, C, X - m) for m, C in zip(means, covariances, strict=True)]
    constants = np.linalg.slogdet(covariances)[1] + X.shape[1] * np.log(2 * np.pi)
    return np.log(weights) - (np.stack(terms, axis=1) + constants) / 2


@log_joint.slip(
    "The determinant is missing: without -1/2 log|covariance| a wide component is as high as a narrow one, which it "
    "is not."
)
def determinant_forgotten(X, weights, means, covariances):
    return _log_joint(X, weights, means, covariances) + np.linalg.slogdet(covariances)[1] / 2


@log_joint.slip(
    "The constant d/2 log(2 pi) is missing. It cancels in the responsibilities, but not in the log-likelihood, which "
    "could then "
    "not be compared with anybody else's."
)
def constant_forgotten(X, weights, means, covariances):
    return _log_joint(X, weights, means, covariances) + X.shape[1] / 2 * np.log(2 * np.pi)


@log_joint.slip(
    "This computes the density first and takes its logarithm afterwards. Far away the density underflows to 0, and "
    "log(0) is "
    "-inf. Write the logarithm of the formula, term by term."
)
def log_of_density(X, weights, means, covariances):
    return np.log(np.exp(_log_joint(X, weights, means, covariances)))


@log_joint.slip("The squared distance enters without its factor 1/2: in the exponent of a normal density it is halved.")
def whole_distance(X, weights, means, covariances):
    halved = _log_joint(X, weights, means, covariances)
    at_the_mean = np.log(weights) - (np.linalg.slogdet(covariances)[1] + X.shape[1] * np.log(2 * np.pi)) / 2
    return 2 * halved - at_the_mean


@log_joint.slip(
    "The log determinant enters without its factor 1/2. The density has the square root of the determinant below the "
    "line, and the logarithm of a square root is half the logarithm."
)
def whole_log_determinant(X, weights, means, covariances):
    return _log_joint(X, weights, means, covariances) - np.linalg.slogdet(covariances)[1] / 2


@log_joint.slip(
    "The log determinant is added where it should be subtracted: the wider a component, the lower its density."
)
def determinant_added(X, weights, means, covariances):
    return _log_joint(X, weights, means, covariances) + np.linalg.slogdet(covariances)[1]


@log_joint.slip(
    "The determinant itself is subtracted. The formula has its logarithm: np.linalg.slogdet(covariance)[1]."
)
def determinant_without_log(X, weights, means, covariances):
    log_determinants = np.linalg.slogdet(covariances)[1]
    return _log_joint(X, weights, means, covariances) + (log_determinants - np.exp(log_determinants)) / 2


@log_joint.slip(
    "1 / covariance inverts each entry by itself, which is the inverse of a matrix only if it has one row. Take "
    "np.linalg.inv(covariance)."
)
def entry_by_entry(X, weights, means, covariances):
    terms = [np.einsum("nd,de,ne->n", X - m, 1 / C, X - m) for m, C in zip(means, covariances, strict=True)]
    constants = np.linalg.slogdet(covariances)[1] + X.shape[1] * np.log(2 * np.pi)
    return np.log(weights) - (np.stack(terms, axis=1) + constants) / 2


@log_joint.slip(
    "Only the diagonals of the covariances are used, as if the measurements varied independently. The entries beside "
    "the diagonal tilt the ellipse: use the whole matrix."
)
def diagonal_only(X, weights, means, covariances):
    return _log_joint(X, weights, means, covariances * np.eye(X.shape[1]))


@log_joint.slip(
    "This is weight times density itself. Its logarithm is wanted: write the logarithm of the formula, term by term, "
    "since far away the density underflows to 0."
)
def density_itself(X, weights, means, covariances):
    return np.exp(_log_joint(X, weights, means, covariances))


@log_joint.slip(
    "A small number added inside the logarithm makes all far points equally far. Write the logarithm of the formula, "
    "term by term; then nothing underflows."
)
def tiny_density_added(X, weights, means, covariances):
    return np.log(np.exp(_log_joint(X, weights, means, covariances)) + 1e-300)


@log_joint.also
def by_scipy_density(X, weights, means, covariances):
    from scipy.stats import multivariate_normal

    columns = [multivariate_normal(m, C).logpdf(X) for m, C in zip(means, covariances, strict=True)]
    return np.log(weights) + np.stack(columns, axis=1).reshape(len(X), len(weights))


@log_joint.also
def point_by_point(X, weights, means, covariances):
    table = []
    for x in X:
        row = []
        for w, m, C in zip(weights, means, covariances, strict=True):
            D = x - m
            row.append(np.log(w) - 0.5 * (D @ np.linalg.solve(C, D) + np.linalg.slogdet(2 * np.pi * C)[1]))
        table.append(row)
    return table


# ---------------------------------------------------------------- 3
def _rows_sum_to_one(answer, inputs):
    sums = np.asarray(answer, float).sum(axis=1)
    worst = np.abs(sums - 1).argmax()
    if abs(sums[worst] - 1) > 1e-6:
        return f"the shares of one point should sum to 1; those of point {worst} sum to {sums[worst]:.4g}"
    return None


@exercise.function(
    returns={"responsibilities": "(n, K)"},
    story="""
        **The E-step.** Each point is shared among the components in proportion to what they say about it. You have the
        logarithms $a_{ik}$ of what they say; the shares are

        $$r_{ik} = \\frac{e^{a_{ik}}}{\\sum_j e^{a_{ij}}} .$$

        Some points are so far out that every $e^{a_{ij}}$ is zero to the computer. They have shares all the same.
        """,
    hints=[
        "In logarithms a quotient is a difference: the log share is a[i, k] minus the log_sum_exp of row i.",
        "You have written log_sum_exp already. Its result is (n,); to subtract it from (n, K) give it a second axis: "
        "total[:, None].",
        "All that is left is to go back from the logarithms of the shares to the shares.",
    ],
    after="""
        Every entry of `log_joint - total[:, None]` is at most 0, so nothing overflows, and what underflows is a share
        that is zero to sixteen digits. """,
    compare=close(rule=_rows_sum_to_one),
)
def responsibilities(log_joint):
    """The shares of the components in each point.

    Parameters
    ----------
    log_joint : array (n, K)
        What `log_joint` returned.

    Returns
    -------
    responsibilities : array (n, K)
        Probability of component k given point i. Each row sums to one.
    """
    return np.exp(log_joint - log_sum_exp(log_joint)[:, None])


@responsibilities.example
def _():
    return {"log_joint": np.array([[-4.0, -1.0], [-2.0, -2.0], [-3000.0, -3002.0]])}


@responsibilities.draws(
    """Three bars, one for each point, each cut into the shares of two components: the first nearly all of component 1,
    the second in halves, the third nine tenths of component 0."""
)
def _shares(ax, answer, log_joint):
    from ...view.figures import share_bars

    share_bars(ax, answer, [f"component {k}" for k in range(log_joint.shape[1])])
    ax.set(xlabel="share of the point", ylabel="point")


@responsibilities.cases
def _(rng):
    square = rng.normal(size=(4, 4)) * 2
    return {
        "ordinary": {"log_joint": rng.normal(size=(7, 3)) * 2},
        "far from all": {"log_joint": _far_below(rng, 6, 3)},
        "far from some": {"log_joint": _near_and_far(rng)},
        "as many points as components": {"log_joint": square},
    }


responsibilities.check("ordinary points", points=2, on="ordinary")
responsibilities.check("points far from every component, or from some", points=2, on=("far from all", "far from some"))
responsibilities.check("as many points as components: rows, not columns", points=1, on="as many points as components")


@responsibilities.slip(
    "These shares sum to one over the points, for each component. It is the point that is shared: sum over the "
    "components, "
    "along axis 1."
)
def over_the_points(log_joint):
    return np.exp(log_joint - log_joint.max(axis=0)) / np.exp(log_joint - log_joint.max(axis=0)).sum(axis=0)


@responsibilities.slip(
    "Far from every component all densities underflow to 0, and 0/0 is nan. The shares are still well defined: "
    "subtract the log "
    "of the sum before exp."
)
def zero_by_zero(log_joint):
    r = np.exp(log_joint)
    return r / r.sum(axis=1, keepdims=True)


@responsibilities.slip(
    "The shares of far points are all 0. A small number in the denominator, or np.nan_to_num, hides the division of 0 "
    "by 0, and these points silently drop out of the M-step. Subtract the log of the sum before exp."
)
def division_by_zero_hidden(log_joint):
    r = np.exp(log_joint)
    return r / (r.sum(axis=1, keepdims=True) + 1e-10)


@responsibilities.slip(
    "Each point went whole to its most probable component. That is a hard decision, the E-step of K-means; EM shares "
    "the point "
    "in proportion."
)
def hard(log_joint):
    return (log_joint == log_joint.max(axis=1, keepdims=True)).astype(float)


@responsibilities.slip("These are the logarithms of the shares: exp is still to come.")
def still_logarithms(log_joint):
    top = log_joint.max(axis=1, keepdims=True)
    return log_joint - top - np.log(np.exp(log_joint - top).sum(axis=1, keepdims=True))


@responsibilities.slip(
    "You took one maximum out of the whole array. A point far below the highest one still underflows, and its shares "
    "are 0/0: every row needs its own maximum, or its own log_sum_exp."
)
def one_maximum_for_all_points(log_joint):
    r = np.exp(log_joint - log_joint.max())
    return r / r.sum(axis=1, keepdims=True)


@responsibilities.slip(
    "The maximum was taken along the rows, as it should be, and the sum down the columns (axis=0). It is the point "
    "that is shared: both belong to axis=1."
)
def maximum_of_rows_sum_of_columns(log_joint):
    r = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    return r / r.sum(axis=0)


@responsibilities.slip(
    "You divided by the sum of the whole table, so all shares of all points sum to 1. Each point is shared by itself: "
    "sum along axis 1, with keepdims=True."
)
def one_sum_for_all(log_joint):
    r = np.exp(log_joint - log_joint.max())
    return r / r.sum()


@responsibilities.slip(
    "These are shares of the logarithms. A point is shared in proportion to the densities: exp comes before the "
    "division."
)
def shares_of_logarithms(log_joint):
    return log_joint / log_joint.sum(axis=1, keepdims=True)


@responsibilities.also
def by_softmax(log_joint):
    from scipy.special import softmax

    return softmax(log_joint, axis=1).tolist()


# ---------------------------------------------------------------- 4
@exercise.function(
    returns={"weights": "(K,)", "means": "(K, d)", "covariances": "(K, d, d)"},
    story="""
        **The M-step.** Count what was shared out, $N_k = \\sum_i r_{ik}$, and then do what you would do with labelled
        data, with "how many" replaced by "how much":

        $$w_k = \\frac{N_k}{n}, \\qquad \\mu_k = \\frac1{N_k} \\sum_i r_{ik} x_i, \\qquad
          \\Sigma_k = \\frac1{N_k} \\sum_i r_{ik} (x_i - \\mu_k)(x_i - \\mu_k)^\\top .$$

        Return the three as a tuple. Leave `X` as you found it.
        """,
    hints=[
        "N = responsibilities.sum(axis=0) is (K,). The means are a product of two matrices, divided row by row.",
        "means = responsibilities.T @ X / N[:, None]. For the covariance of one component take D = X - means[k], with "
        "the mean you "
        "have just computed.",
        "Multiply row i of D by its share in component k, in one of the two factors only. (d, n) times (n, d) "
        "then sums over the points; N[k] divides it.",
    ],
    after="""
        Everything that the M-step needs of the data are three sums, $\\sum r$, $\\sum r x$ and $\\sum r x x^\\top$.
        The divisor is $N_k$ throughout, not $N_k - 1$ and not $n$: this is maximum likelihood. """,
)
def m_step(X, responsibilities):
    """Weights, means and covariances that maximise the expected complete-data log-likelihood.

    Parameters
    ----------
    X : array (n, d)
        Points.
    responsibilities : array (n, K)
        Their shares.

    Returns
    -------
    weights : array (K,)
    means : array (K, d)
    covariances : array (K, d, d)
    """
    N = responsibilities.sum(axis=0)
    means = responsibilities.T @ X / N[:, None]
    covariances = []
    for k in range(len(N)):
        D = X - means[k]
        covariances.append((responsibilities[:, k] * D.T) @ D / N[k])
    return N / len(X), means, np.stack(covariances)


@m_step.example
def _():
    return {
        "X": np.array([[3.6, 79.0], [1.8, 54.0], [3.3, 74.0], [2.3, 62.0]]),
        "responsibilities": np.array([[0.2, 0.8], [0.9, 0.1], [0.4, 0.6], [0.8, 0.2]]),
    }


@m_step.cases
def _(rng):
    def case(n, d, K, X=None):
        X = rng.normal(size=(n, d)) * rng.uniform(0.5, 2, size=d) + rng.normal(size=d) * 3 if X is None else X
        return {"X": X, "responsibilities": rng.dirichlet(np.linspace(0.6, 1.8, K), size=len(X))}

    return {
        "two components in the plane": case(12, 2, 2),
        "three components, three measurements": case(15, 3, 3),
        "whole numbers": case(9, 2, 2, rng.integers(1, 40, size=(9, 2))),
    }


m_step.check("two components in the plane", points=3, on="two components in the plane")
m_step.check("three components, three measurements", points=2, on="three components, three measurements")
m_step.check("measurements that are whole numbers", points=1, on="whole numbers")


def _moments(X, r, centres=None, divisors=None):
    N = r.sum(axis=0)
    means = r.T @ X / N[:, None]
    D = X[:, None, :] - (means if centres is None else centres)
    covariances = np.einsum("nk,nkd,nke->kde", r, D, D) / (N if divisors is None else divisors)[:, None, None]
    return N / len(X), means, covariances


@m_step.slip(
    "The covariances are divided by the number of all points. A component has only its share of them: divide by N[k], "
    "the sum of "
    "its responsibilities."
)
def n_for_N(X, responsibilities):
    return _moments(X, responsibilities, divisors=np.full(responsibilities.shape[1], float(len(X))))


@m_step.slip(
    "The means are divided by the number of all points. Divide by N[k], how much of the points the component was "
    "given; otherwise "
    "every mean is drawn towards the origin."
)
def mean_over_all(X, responsibilities):
    N = responsibilities.sum(axis=0)
    means = responsibilities.T @ X / len(X)
    return N / len(X), means, _moments(X, responsibilities, centres=means)[2]


@m_step.slip(
    "The covariances are taken about the mean of all points. Each component scatters about its own mean, the one you "
    "have just "
    "computed."
)
def about_the_common_mean(X, responsibilities):
    return _moments(
        X, responsibilities, centres=np.broadcast_to(X.mean(axis=0), (responsibilities.shape[1], X.shape[1]))
    )


@m_step.slip(
    "The weights are the sums N[k] themselves. They should sum to one, not to the number of points: divide by n."
)
def weights_not_shares(X, responsibilities):
    weights, means, covariances = _moments(X, responsibilities)
    return weights * len(X), means, covariances


@m_step.slip(
    "The divisor N[k] - 1 belongs to the unbiased estimate of one sample. EM maximises a likelihood, and its divisor "
    "is N[k]."
)
def bessel(X, responsibilities):
    return _moments(X, responsibilities, divisors=responsibilities.sum(axis=0) - 1)


@m_step.slip(
    "Each point was first given whole to its most probable component. The M-step takes the shares as they are; "
    "otherwise this is "
    "the M-step of K-means."
)
def hard_labels(X, responsibilities):
    return _moments(X, (responsibilities == responsibilities.max(axis=1, keepdims=True)).astype(float))


@m_step.slip(
    "The means came out as whole numbers: an array made like X (zeros_like, or X itself) holds whole numbers if X "
    "does, and "
    "cuts off the rest. Make it with np.zeros."
)
def whole_means(X, responsibilities):
    means = np.zeros_like(X, shape=(responsibilities.shape[1], X.shape[1]))
    means[:] = responsibilities.T @ X / responsibilities.sum(axis=0)[:, None]
    weights, _, covariances = _moments(X, responsibilities, centres=means)
    return weights, means, covariances


@m_step.slip(
    "X was centred in place (X -= ...) and put back afterwards. Rounding leaves the caller's data moved a little, and "
    "whole numbers cannot be centred so at all. Write D = X - means[k], which makes a new array."
)
def centred_in_place(X, responsibilities):
    N = responsibilities.sum(axis=0)
    means = responsibilities.T @ X / N[:, None]
    covariances = []
    for k in range(len(N)):
        X -= means[k]
        covariances.append((responsibilities[:, k] * X.T) @ X / N[k])
        X += means[k]
    return N / len(X), means, np.stack(covariances)


@m_step.slip(
    "X was centred in place (X -= ...). The caller's data have moved, and the second component is centred about the "
    "sum of two means. Write D = X - means[k], which makes a new array for each component."
)
def centred_in_place_for_good(X, responsibilities):
    N = responsibilities.sum(axis=0)
    means = responsibilities.T @ X / N[:, None]
    covariances = []
    for k in range(len(N)):
        X -= means[k]
        covariances.append((responsibilities[:, k] * X.T) @ X / N[k])
    return N / len(X), means, np.stack(covariances)


@m_step.slip(
    "np.cov with aweights divides as for an unbiased estimate unless you say otherwise. EM maximises a likelihood, and "
    "its divisor is N[k]: pass ddof=0."
)
def unbiased_by_numpy(X, responsibilities):
    weights, means, _ = _moments(X, responsibilities)
    return weights, means, np.stack([np.cov(X.T, aweights=r) for r in responsibilities.T])


@m_step.slip(
    "These are the means of x x^T. A covariance is the scatter about the mean: subtract means[k] from the points first."
)
def not_centred(X, responsibilities):
    return _moments(X, responsibilities, centres=np.zeros((responsibilities.shape[1], X.shape[1])))


@m_step.slip(
    "The share of a point enters the covariance twice, once in each factor, so it is squared. Weight one of the two "
    "factors only."
)
def shares_squared(X, responsibilities):
    weights, means, _ = _moments(X, responsibilities)
    squared = _moments(X, responsibilities**2, centres=means, divisors=responsibilities.sum(axis=0))
    return weights, means, squared[2]


@m_step.slip(
    "The shares are missing from the covariances: every point scatters fully about every mean. Weight the squared "
    "deviations of point i by responsibilities[i, k]."
)
def shares_forgotten(X, responsibilities):
    weights, means, _ = _moments(X, responsibilities)
    everybody = np.ones_like(responsibilities)
    return weights, means, _moments(X, everybody, centres=means, divisors=responsibilities.sum(axis=0))[2]


@m_step.slip(
    "N divides the columns of the means, the measurements, and that goes unnoticed where there are as many of them as "
    "components. It is a row that belongs to a component: divide by N[:, None]."
)
def columns_divided(X, responsibilities):
    means = responsibilities.T @ X / responsibilities.sum(axis=0)
    weights, _, covariances = _moments(X, responsibilities, centres=means)
    return weights, means, covariances


@m_step.also
def point_by_point_sums(X, responsibilities):
    n, d = X.shape
    K = responsibilities.shape[1]
    weights, means, covariances = np.zeros(K), np.zeros((K, d)), np.zeros((K, d, d))
    for k in range(K):
        for i in range(n):
            weights[k] += responsibilities[i, k]
            means[k] += responsibilities[i, k] * X[i]
        means[k] /= weights[k]
        for i in range(n):
            covariances[k] += responsibilities[i, k] * np.outer(X[i] - means[k], X[i] - means[k]) / weights[k]
    return weights / n, means, covariances


# ---------------------------------------------------------------- 5
@exercise.function(
    returns={"weights": "(K,)", "means": "(K, d)", "covariances": "(K, d, d)", "trace": "(n_iter + 1,)"},
    story="""
        **The dance.** E, M, E, M, `n_iter` times. Along the way keep the log-likelihood, $\\ell = \\sum_i \\log
        \\sum_k e^{a_{ik}}$. `trace[0]` belongs to the start, `trace[t]` to the parameters after `t` iterations, so the
        last entry belongs to the parameters that you return. (The E-step computes it on the way: it is the sum of
        `log_sum_exp` over the points.)

        Do `n_iter` iterations, no fewer: also where nothing moves any more, and none at all if `n_iter` is 0.

        Mind the names. `log_joint` and `responsibilities` are functions of yours, and were names of tables inside other
        functions. Call the tables `a` and `r` here: after `responsibilities = responsibilities(a)` in a cell the
        function is gone, and the next call says `'numpy.ndarray' object is not callable`.
        """,
    hints=[
        "One iteration is three of your functions: a = log_joint(...), r = responsibilities(a), weights, means, "
        "covariances = m_step(X, r).",
        "The a of an iteration belongs to the parameters *before* its M-step. So append log_sum_exp(a).sum() in each "
        "iteration, and "
        "once more after the loop.",
        "for _ in range(n_iter): compute a; append; compute r; do the M-step. Then compute a for the final parameters "
        "and append.",
    ],
    after="""
        The likelihood of the parameters *before* the step comes for free with every E-step; that of the final
        parameters costs one more. Programs that save it report a number which belongs to parameters that they no
        longer have. """,
    compare=close(any_order="K"),
)
def fit(X, weights, means, covariances, n_iter):
    """EM for a Gaussian mixture, from the given start.

    Parameters
    ----------
    X : array (n, d)
        Points.
    weights, means, covariances : arrays (K,), (K, d), (K, d, d)
        The start.
    n_iter : int
        How many iterations to do.

    Returns
    -------
    weights, means, covariances : arrays (K,), (K, d), (K, d, d)
        The parameters after the last M-step.
    trace : array (n_iter + 1,)
        Log-likelihood of the start and after each iteration.
    """
    trace = []
    for _ in range(n_iter):
        a = log_joint(X, weights, means, covariances)
        trace.append(log_sum_exp(a).sum())
        weights, means, covariances = m_step(X, responsibilities(a))
    trace.append(log_sum_exp(log_joint(X, weights, means, covariances)).sum())
    return weights, means, covariances, np.array(trace)


@fit.example
def _():
    from ... import data

    X = data.old_faithful()
    return {
        "X": X,
        "weights": np.array([0.5, 0.5]),
        "means": np.array([[2.0, 60.0], [4.0, 70.0]]),
        "covariances": np.stack([np.diag([1.0, 100.0])] * 2),
        "n_iter": 20,
    }


@fit.draws(
    """Log-likelihood of Old Faithful against the iteration: it rises steeply from -1400 in the first five iterations
    and is flat, at -1130, from the tenth on."""
)
def _trace(ax, answer, X, weights, means, covariances, n_iter):
    ax.plot(np.asarray(answer[3]), "o-", color="#0072B2", markersize=4)
    ax.set(xlabel="iteration", ylabel="log-likelihood (nats)", xticks=range(0, n_iter + 1, 5))


@fit.cases
def _(rng):
    def case(n, d, K, n_iter):
        weights, means, covariances = _mixture(rng, K, d)
        X = _table(rng, n, means)
        start = means + rng.normal(size=means.shape) * 0.4
        return {"X": X, "weights": weights, "means": start, "covariances": covariances, "n_iter": n_iter}

    # So far apart that nothing changes after the first iteration: whoever stops early stops here, by any tolerance.
    centres = np.array([[0.0, 0.0], [30.0, -30.0]])
    apart = {
        "X": np.repeat(centres, [12, 8], axis=0) + rng.normal(size=(20, 2)),
        "weights": np.array([0.5, 0.5]),
        "means": centres + rng.normal(size=(2, 2)),
        "covariances": np.stack([np.eye(2)] * 2),
        "n_iter": 6,
    }
    return {
        "one iteration": case(40, 2, 2, 1),
        "six iterations": case(60, 2, 2, 6),
        "three components": case(80, 1, 3, 4),
        "no iteration": case(20, 2, 2, 0),
        "two groups far apart": apart,
    }


fit.check("one iteration", points=2, on="one iteration")
fit.check(
    "more iterations, three components, and groups so far apart that one iteration does it",
    points=4,
    on=("six iterations", "three components", "two groups far apart"),
)
fit.check("no iteration at all: the start and its log-likelihood", points=1, on="no iteration")


def _moved(X, r, old):
    return _moments(X, r)


def _likelihood(a):
    return _total(a).sum()


def _loop(X, *start_and_length, shares=_responsibilities, again=True, move=_moved, worth=_likelihood):
    """EM, of which one part may be replaced: shares, M-step (it is given the old parameters), entries of the trace."""
    *params, n_iter = start_and_length
    trace = []
    for t in range(n_iter):
        a = _log_joint(X, *params)
        trace.append(worth(a))
        if t == 0 or again:
            r = shares(a)
        params = move(X, r, params)
    trace.append(worth(_log_joint(X, *params)))
    return *params, np.array(trace)


@fit.slip(
    "The responsibilities were computed once, before the loop. After each M-step the components have moved, and every "
    "point has "
    "to be shared out again."
)
def shared_out_once(X, weights, means, covariances, n_iter):
    return _loop(X, weights, means, covariances, n_iter, again=False)


@fit.slip(
    "Each point went whole to its most probable component. The loop climbs something, but not the log-likelihood in "
    "your trace: "
    "this is classification EM."
)
def hard_loop(X, weights, means, covariances, n_iter):
    def shares(a):
        return (a == a.max(axis=1, keepdims=True)).astype(float)

    return _loop(X, weights, means, covariances, n_iter, shares=shares)


@fit.slip(
    "The last log-likelihood does not belong to the parameters that you return, but to those before the last M-step: "
    "evaluate "
    "them once more after the loop. (trace should begin with the start, once.)"
)
def one_step_late(X, weights, means, covariances, n_iter):
    weights_, means_, covariances_, trace = _loop(X, weights, means, covariances, n_iter)
    return weights_, means_, covariances_, np.concatenate([trace[:1], trace[:-1]])


@fit.slip(
    "The trace is short by one: the log-likelihood of the start belongs to it, and so does that of the final "
    "parameters."
)
def one_short(X, weights, means, covariances, n_iter):
    weights, means, covariances, trace = _loop(X, weights, means, covariances, n_iter)
    return weights, means, covariances, trace[1:]


@fit.slip("This is the mean log-likelihood of a point. The log-likelihood of the data is the sum.")
def mean_for_sum(X, weights, means, covariances, n_iter):
    weights, means, covariances, trace = _loop(X, weights, means, covariances, n_iter)
    return weights, means, covariances, trace / len(X)


@fit.slip(
    "The covariances were computed with the means of the previous iteration. The new covariance is the scatter about "
    "the new mean."
)
def old_means(X, weights, means, covariances, n_iter):
    def move(X, r, old):
        return _moments(X, r, centres=old[1])

    return _loop(X, weights, means, covariances, n_iter, move=move)


@fit.slip(
    "log_joint was computed once, before the loop: your E-step and your trace never see the new parameters. Compute it "
    "anew at the top of every iteration, and once more after the last."
)
def joint_once(X, weights, means, covariances, n_iter):
    a = _log_joint(X, weights, means, covariances)
    trace = [_total(a).sum()]
    for _ in range(n_iter):
        weights, means, covariances = _moments(X, _responsibilities(a))
        trace.append(_total(a).sum())
    return weights, means, covariances, np.array(trace)


@fit.slip(
    "What the M-step returns goes into new names, and the next iteration begins with the old parameters again. Put it "
    "back into weights, means, covariances; then n_iter = 0 works too."
)
def not_fed_back(X, weights, means, covariances, n_iter):
    trace = []
    for _ in range(n_iter):
        a = _log_joint(X, weights, means, covariances)
        trace.append(_total(a).sum())
        new_weights, new_means, new_covariances = _moments(X, _responsibilities(a))
    trace.append(_total(_log_joint(X, new_weights, new_means, new_covariances)).sum())
    return new_weights, new_means, new_covariances, np.array(trace)


@fit.slip(
    "The weights stay those of the start. All three parameters move in every M-step: use the weights that it returns."
)
def weights_kept(X, weights, means, covariances, n_iter):
    def move(X, r, old):
        return old[0], *_moments(X, r)[1:]

    return _loop(X, weights, means, covariances, n_iter, move=move)


@fit.slip(
    "The covariances stay those of the start. All three parameters move in every M-step: use the covariances that it "
    "returns."
)
def covariances_kept(X, weights, means, covariances, n_iter):
    def move(X, r, old):
        return *_moments(X, r)[:2], old[2]

    return _loop(X, weights, means, covariances, n_iter, move=move)


@fit.slip(
    "The trace is right, and the parameters are one iteration further: n_iter + 1 log-likelihoods need only n_iter "
    "M-steps. After the loop evaluate once more, without another M-step."
)
def one_step_further(X, weights, means, covariances, n_iter):
    weights, means, covariances, trace = _loop(X, weights, means, covariances, n_iter + 1)
    return weights, means, covariances, trace[:-1]


@fit.slip(
    "The trace is the expected complete-data log-likelihood, the sum of r * a, which the M-step climbs. The "
    "log-likelihood of the points is the sum of log_sum_exp(a)."
)
def expected_for_observed(X, weights, means, covariances, n_iter):
    def worth(a):
        return (_responsibilities(a) * a).sum()

    return _loop(X, weights, means, covariances, n_iter, worth=worth)


@fit.slip(
    "With n_iter = 0 the loop never runs, and a name that is made only inside it does not exist after it. Compute what "
    "belongs to the final parameters after the loop."
)
def made_in_the_loop(X, weights, means, covariances, n_iter):
    trace = []
    for _ in range(n_iter):
        a = _log_joint(X, weights, means, covariances)
        trace.append(_total(a).sum())
        weights, means, covariances = _moments(X, _responsibilities(a))
        last = _total(_log_joint(X, weights, means, covariances)).sum()
    return weights, means, covariances, np.array([*trace, last])


@fit.slip(
    "Your loop stops when the log-likelihood hardly rises any more. That is a good habit, but here n_iter iterations "
    "are asked for, and the trace has n_iter + 1 entries."
)
def stopped_early(X, weights, means, covariances, n_iter):
    trace = [_total(_log_joint(X, weights, means, covariances)).sum()]
    for _ in range(n_iter):
        weights, means, covariances = _moments(X, _responsibilities(_log_joint(X, weights, means, covariances)))
        trace.append(_total(_log_joint(X, weights, means, covariances)).sum())
        if trace[-1] - trace[-2] < 1e-6:
            break
    return weights, means, covariances, np.array(trace)


@fit.slip(
    "You return the start: what the M-step returns goes into other names. Put it back into weights, means, covariances."
)
def start_returned(X, weights, means, covariances, n_iter):
    start = _total(_log_joint(X, weights, means, covariances)).sum()
    return weights, means, covariances, np.full(n_iter + 1, start)


@fit.slip(
    "Each entry of the trace is a list of the points' log-likelihoods. The log-likelihood of the data is their sum: "
    "log_sum_exp(a).sum()."
)
def not_summed(X, weights, means, covariances, n_iter):
    return _loop(X, weights, means, covariances, n_iter, worth=_total)


@fit.also
def components_the_other_way_round(X, weights, means, covariances, n_iter):
    weights, means, covariances, trace = _loop(X, weights, means, covariances, n_iter)
    return weights[::-1], means[::-1], covariances[::-1], list(trace)


# ---------------------------------------------------------------- 6
@exercise.function(
    returns={"iteration": "()"},
    story="""
        **A test of your own.** EM never lowers the log-likelihood, so a fall is a bug. Write the detective: given a
        trace, return the iteration at which it first fell, or `-1` if it never did. Rounding makes the last digits
        dance, so a fall counts only if it is larger than `1e-9` times the size of the trace there, $\\ell_{t} <
        \\ell_{t-1} - 10^{-9}\\,|\\ell_{t-1}|$.

        A trace that goes from -1150 to -1150.0000001 has not fallen (the eleventh digit may dance), one that goes
        from -1150 to -1150.0001 has. For the first alone the answer is `-1`, for the second alone it is `1`.
        """,
    hints=[
        "np.diff(trace) holds the gains: entry t - 1 is trace[t] - trace[t - 1].",
        "fell = np.diff(trace) < -1e-9 * np.abs(trace[:-1]). Which iteration does the first True belong to?",
        "If fell.any(), the answer is np.argmax(fell) + 1.",
    ],
    after="""
        This one function finds most mistakes in EM programs, and it needs no reference to compare with. It does not
        find all: a wrong M-step may still climb. And after a prior was added it must be fed with log-likelihood *plus
        log prior*, for that is what climbs then. """,
)
def first_fall(trace):
    """The first iteration that lowered the log-likelihood.

    Parameters
    ----------
    trace : array (T,)
        Log-likelihoods, that of the start first.

    Returns
    -------
    iteration : int
        The smallest t with trace[t] below trace[t - 1] by more than rounding; -1 if there is none.
    """
    fell = np.diff(trace) < -1e-9 * np.abs(trace[:-1])
    return int(np.argmax(fell)) + 1 if fell.any() else -1


@first_fall.example
def _():
    return {"trace": np.array([-1400.0, -1200.0, -1150.0, -1150.5, -1149.0])}


@first_fall.cases
def _(rng):
    def fallen(trace, *falls):
        """The trace, lowered by so much from there on."""
        trace = trace.copy()
        for at, by in falls:
            trace[at:] -= by
        return {"trace": trace}

    rising = -1000.0 - 300.0 * 0.6 ** np.arange(14) + rng.uniform(0, 5)
    at = int(rng.integers(3, 10))
    size = 60 + rng.uniform(0, 5)
    dancing = rising.copy()
    dancing[6:] = dancing[5] * (1 + 5e-10 * (np.arange(8) % 2))
    # Of a small number rounding is small, and so is a fall that counts.
    small = -2.0 - 3.0 * 0.2 ** np.arange(12)
    small[4:] = small[3] * (1 + 1e-10 * (np.arange(8) % 2))
    positive = 900.0 - 300.0 * 0.6 ** np.arange(12)
    positive[3] = positive[2] * (1 + 1e-10)
    return {
        "always up": {"trace": rising},
        "one fall": fallen(rising, (at, size)),
        "several falls": fallen(rising, (at, size), (at + 2, 120), (at + 4, 90)),
        "a fall at once": fallen(rising, (1, 120 + size)),
        "a fall at the end": fallen(rising, (13, size)),
        "rounding only": {"trace": dancing},
        "a very small fall": fallen(np.minimum(rising, rising[9]), (int(rng.integers(10, 13)), 5e-6)),
        "a small number, rounded, and a fall": fallen(small, (9, 4e-7)),
        "positive log-likelihoods": fallen(positive, (int(rng.integers(5, 9)), size)),
    }


first_fall.check(
    "falls are found, from the first step to the last",
    points=2,
    on=("one fall", "several falls", "always up", "a fall at once", "a fall at the end"),
)
first_fall.check(
    "rounding is no fall, and what is more than rounding is one",
    points=1,
    on=("rounding only", "one fall", "a very small fall", "a small number, rounded, and a fall"),
)
first_fall.check("log-likelihoods may be positive", points=1, on=("positive log-likelihoods", "always up"))


@first_fall.slip(
    "Every dip counts here, even one in the eleventh digit. Sums of many logarithms round: allow 1e-9 of their size."
)
def no_tolerance(trace):
    fell = np.diff(trace) < 0
    return int(np.argmax(fell)) + 1 if fell.any() else -1


@first_fall.slip("This is the last iteration before the fall: np.diff is one shorter than the trace, so add 1.")
def one_too_early(trace):
    fell = np.diff(trace) < -1e-9 * np.abs(trace[:-1])
    return int(np.argmax(fell)) if fell.any() else -1


@first_fall.slip(
    "This compares the end with the start only. A trace may fall on the way and still end higher than it began."
)
def end_with_start(trace):
    return len(trace) - 1 if trace[-1] < trace[0] else -1


@first_fall.slip("This finds the last fall. The first is where the bug did its work; look there.")
def last_fall(trace):
    fell = np.flatnonzero(np.diff(trace) < -1e-9 * np.abs(trace[:-1]))
    return int(fell[-1]) + 1 if len(fell) else -1


@first_fall.slip(
    "The tolerance has the sign of the log-likelihood: with a negative one, -1e-9 * trace is positive, and a small "
    "*gain* counts as "
    "a fall. Take the size, np.abs."
)
def signed_tolerance(trace):
    fell = np.diff(trace) < -1e-9 * trace[:-1]
    return int(np.argmax(fell)) + 1 if fell.any() else -1


@first_fall.slip(
    "You return -1 inside the loop, after the first comparison. That nothing ever fell is known only when the loop is "
    "over: put return -1 below it, without else."
)
def gives_up_at_once(trace):
    return 1 if trace[1] < trace[0] - 1e-9 * abs(trace[0]) else -1


@first_fall.slip(
    "Your tolerance is the same for every trace. Rounding grows with the numbers that are summed: multiply 1e-9 by the "
    "size, abs(trace[t - 1])."
)
def absolute_tolerance(trace):
    fell = np.diff(trace) < -1e-9
    return int(np.argmax(fell)) + 1 if fell.any() else -1


@first_fall.slip(
    "Your tolerance is the same for every trace. Where the numbers are small it swallows true falls: multiply 1e-9 by "
    "the size, abs(trace[t - 1])."
)
def large_absolute_tolerance(trace):
    fell = np.diff(trace) < -1e-6
    return int(np.argmax(fell)) + 1 if fell.any() else -1


@first_fall.slip(
    "Your tolerance is added where it should be subtracted, so a small gain counts as a fall. It must lie below "
    "trace[t - 1]: trace[t] < trace[t - 1] - tolerance."
)
def tolerance_added(trace):
    fell = np.diff(trace) < 1e-9 * np.abs(trace[:-1])
    return int(np.argmax(fell)) + 1 if fell.any() else -1


@first_fall.slip(
    "Your tolerance is too generous, and small falls slip through (np.isclose forgives 1e-5 of the size unless told "
    "otherwise). Rounding is far smaller: 1e-9 of the size."
)
def too_generous(trace):
    fell = np.diff(trace) < -1e-6 * np.abs(trace[:-1])
    return int(np.argmax(fell)) + 1 if fell.any() else -1


@first_fall.slip(
    "np.argmin finds the deepest fall. The first is wanted, deep or not: mark all falls, and take the first True."
)
def deepest_fall(trace):
    fell = np.diff(trace) < -1e-9 * np.abs(trace[:-1])
    return int(np.argmin(np.diff(trace))) + 1 if fell.any() else -1


@first_fall.slip("This says whether the trace fell. The iteration at which it first did is wanted, and -1 for never.")
def yes_or_no(trace):
    return bool((np.diff(trace) < -1e-9 * np.abs(trace[:-1])).any())


@first_fall.slip(
    "np.argmax of nothing but False is 0, so a trace that never fell seems to fall at once. Ask fell.any() first."
)
def never_asked_whether(trace):
    fell = np.diff(trace) < -1e-9 * np.abs(trace[:-1])
    return int(np.argmax(fell)) + 1


@first_fall.slip(
    "You divided by trace[t - 1], which is negative as a rule, and that turns gains into falls. Divide by its size, "
    "abs(trace[t - 1])."
)
def divided_with_sign(trace):
    fell = np.diff(trace) / trace[:-1] < -1e-9
    return int(np.argmax(fell)) + 1 if fell.any() else -1


@first_fall.slip(
    "The first step is never looked at: the loop begins at t = 1, which compares trace[1] with trace[0], the start."
)
def first_step_skipped(trace):
    fell = np.diff(trace)[1:] < -1e-9 * np.abs(trace[1:-1])
    return int(np.argmax(fell)) + 2 if fell.any() else -1


@first_fall.slip(
    "The last entry is never looked at. range leaves out its end already: range(1, len(trace)) goes up to the last t."
)
def last_step_skipped(trace):
    fell = np.diff(trace)[:-1] < -1e-9 * np.abs(trace[:-2])
    return int(np.argmax(fell)) + 1 if fell.any() else -1


@first_fall.also
def by_a_loop(trace):
    for t in range(1, len(trace)):
        if trace[t] < trace[t - 1] - 1e-9 * abs(trace[t - 1]):
            return t
    return -1
