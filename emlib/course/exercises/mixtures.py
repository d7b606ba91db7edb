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
    return {"a": np.array([[0.0, 0.0], [-1000.0, -1000.0 - np.log(2)]])}


@log_sum_exp.cases
def _(rng):
    return {
        "ordinary": {"a": rng.normal(size=(6, 3))},
        "far below zero": {"a": rng.normal(size=(5, 4)) - rng.uniform(800, 5000, size=(5, 1))},
        "large": {"a": rng.normal(size=(4, 2)) + 900},
    }


log_sum_exp.check("ordinary numbers", points=1, on="ordinary")
log_sum_exp.check("numbers far below zero, as log densities are", points=2, on="far below zero")
log_sum_exp.check("large numbers", points=1, on="large")


@log_sum_exp.slip(
    "exp underflows to 0 below about -745 and overflows above 709, and then the logarithm has nothing left to work on. "
    "Take the largest entry of each row out before exp, and add it back after log."
)
def naive(a):
    return np.log(np.exp(a).sum(axis=1))


@log_sum_exp.slip(
    "Adding 1e-10 keeps the logarithm finite by making the number up: every row far below zero gets -23.03, however "
    "far it "
    "is. Take the largest entry of the row out instead."
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
        "return np.exp(log_joint - log_sum_exp(log_joint)[:, None])",
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
    from ...view import style

    left = np.zeros(len(answer))
    for k, share in enumerate(np.asarray(answer).T):
        ax.barh(np.arange(len(answer)), share, left=left, color=style.COLORS[k], label=f"component {k}")
        left += share
    ax.set(xlabel="share of the point", ylabel="point", yticks=range(len(answer)))
    ax.invert_yaxis()
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)


@responsibilities.cases
def _(rng):
    square = rng.normal(size=(4, 4)) * 2
    return {
        "ordinary": {"log_joint": rng.normal(size=(7, 3)) * 2},
        "far from all": {"log_joint": rng.normal(size=(6, 3)) - rng.uniform(800, 4000, size=(6, 1))},
        "as many points as components": {"log_joint": square},
    }


responsibilities.check("ordinary points", points=2, on="ordinary")
responsibilities.check("points far from every component", points=2, on="far from all")
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
    "Adding 1e-10 to the sum hides the division by zero: the shares of far points are all 0 now, and these points "
    "silently "
    "drop out of the M-step."
)
def tiny_number_added(log_joint):
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
        "covariances[k] = (responsibilities[:, k] * D.T) @ D / N[k]",
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
    "X was centred in place (X -= ...), so the caller's data have moved. Write D = X - mean, which makes a new array."
)
def centred_in_place(X, responsibilities):
    N = responsibilities.sum(axis=0)
    means = responsibilities.T @ X / N[:, None]
    covariances = []
    for k in range(len(N)):
        np.subtract(X, means[k], out=X, casting="unsafe")
        covariances.append((responsibilities[:, k] * X.T) @ X / N[k])
        np.add(X, means[k], out=X, casting="unsafe")
    return N / len(X), means, np.stack(covariances)


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
        `log_sum_exp` over the points.) """,
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

    return {
        "one iteration": case(40, 2, 2, 1),
        "six iterations": case(60, 2, 2, 6),
        "three components": case(80, 1, 3, 4),
        "no iteration": case(20, 2, 2, 0),
    }


fit.check("one iteration", points=2, on="one iteration")
fit.check("more iterations, and three components", points=4, on=("six iterations", "three components"))
fit.check("no iteration at all: the start and its log-likelihood", points=1, on="no iteration")


def _loop(X, weights, means, covariances, n_iter, shares=_responsibilities, again=True):
    trace = []
    for t in range(n_iter):
        a = _log_joint(X, weights, means, covariances)
        trace.append(_total(a).sum())
        if t == 0 or again:
            r = shares(a)
        weights, means, covariances = _moments(X, r)
    trace.append(_total(_log_joint(X, weights, means, covariances)).sum())
    return weights, means, covariances, np.array(trace)


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
    trace = []
    for _ in range(n_iter):
        a = _log_joint(X, weights, means, covariances)
        trace.append(_total(a).sum())
        weights, means, covariances = _moments(X, _responsibilities(a), centres=means)
    trace.append(_total(_log_joint(X, weights, means, covariances)).sum())
    return weights, means, covariances, np.array(trace)


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
        \\ell_{t-1} - 10^{-9}\\,|\\ell_{t-1}|$. """,
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
    rising = -1000.0 - 300.0 * 0.6 ** np.arange(14)
    one_fall = rising.copy()
    at = int(rng.integers(3, 10))
    one_fall[at:] -= 60.0 + rng.uniform(0, 5)
    two = one_fall.copy()
    two[at + 2 :] -= 60.0
    dancing = rising.copy()
    dancing[6:] = dancing[5] + 1e-10 * dancing[5] * (np.arange(8) % 2)
    positive = 900.0 - 300.0 * 0.6 ** np.arange(12)
    positive[int(rng.integers(4, 8)) :] -= 60.0
    return {
        "always up": {"trace": rising + rng.uniform(0, 5)},
        "one fall": {"trace": one_fall},
        "two falls": {"trace": two},
        "rounding only": {"trace": dancing},
        "positive log-likelihoods": {"trace": positive},
    }


first_fall.check("falls are found", points=2, on=("one fall", "two falls", "always up"))
first_fall.check("rounding is no fall", points=1, on=("rounding only", "one fall"))
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


@first_fall.also
def by_a_loop(trace):
    for t in range(1, len(trace)):
        if trace[t] < trace[t - 1] - 1e-9 * abs(trace[t - 1]):
            return t
    return -1
