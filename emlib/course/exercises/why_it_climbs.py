"""Exercise of chapter 3: the bound, the rate, the standard error, and when to stop."""

from functools import lru_cache

import numpy as np
from scipy.special import gammaln

from ... import data
from ..contract import Exercise

exercise = Exercise(
    "why_it_climbs",
    title="Why it always climbs",
    minutes=90,
    objectives=[
        "compute the lower bound that EM climbs, and the gap between it and the log-likelihood;",
        "write both steps for the genetic cross, for any counts;",
        "read the rate of convergence off a run, and give a standard error that counts what is missing;",
        "stop a climb on what is left to gain, and neither on a plateau nor after a fall.",
    ],
    intro="""
        Chapter 3 proved that EM never goes downhill. Here the proof becomes numbers. In the first three functions
        there are `n` observations, each with `K` possible values of what is hidden; an *opinion* is a table (n, K)
        whose rows are distributions, and `log_joint` (n, K) holds $\\log p(x_i, z_i = k \\mid \\theta)$. The other
        four belong to the genetic cross with its counts 125, 18, 20, 34, and to the deaths in *The Times*.

        All logarithms are natural.
        """,
    setup="""
        counts = emlib.data.linkage()
        """,
    outro="""
        Iterate your `linkage_step` from 0.5 until it stands still: 0.6268214979. Keep the path, ask `rate` for its
        last ratio, 0.1328, and `how_sure` for 0.0515 against 0.0479: the three numbers of the chapter. One minus the
        rate is the square of 0.0479/0.0515. Why must it be?
        """,
)


# ---------------------------------------------------------------- inputs
def _opinion(rng, n, K):
    return rng.dirichlet(np.linspace(0.8, 2.0, K), size=n)


def _log_joint(rng, n, K, far=0.0):
    return rng.normal(size=(n, K)) * 1.5 - 2.0 - far * rng.uniform(0.5, 1.0, size=(n, 1))


def _total(log_joint):
    top = log_joint.max(axis=1)
    return top + np.log(np.exp(log_joint - top[:, None]).sum(axis=1))


def _posterior(log_joint):
    return np.exp(log_joint - _total(log_joint)[:, None])


def _entropy(opinion):
    return -(opinion * np.log(np.where(opinion > 0, opinion, 1.0))).sum(axis=1)


def _expected(opinion, log_joint):
    return np.where(opinion > 0, opinion * log_joint, 0.0).sum(axis=1)


# ---------------------------------------------------------------- 1
@exercise.function(
    returns={"entropy": "(n,)"},
    story="""
        **How undecided is an opinion?** Its entropy says it,

        $$H(q_i) = -\\sum_k q_{ik} \\log q_{ik},$$

        one number for each observation. It is zero for an opinion that is certain, and $\\log K$ for one that has no
        idea. A certain opinion has zeros in it, and there the formula reads $0 \\log 0$. Its value is 0, the limit of
        $q \\log q$ as $q$ goes to 0; the computer must be told.
        """,
    hints=[
        "What are np.log(0.0) and 0.0 * np.log(0.0)?",
        "Where q is 0 the term is 0 whatever stands in the logarithm. Put a 1 there: np.where(opinion > 0, opinion, "
        "1).",
        "return -(opinion * np.log(np.where(opinion > 0, opinion, 1))).sum(axis=1)",
    ],
    after="""
        `scipy.special.entr(q)` is $-q \\log q$ with the right value at 0. Writing `np.log(q + 1e-10)` happens to be
        harmless *here*, since the wrong logarithm is multiplied by zero; in a log-likelihood the same trick makes
        numbers up.
        """,
)
def entropy(opinion):
    """Entropy of the opinion about each observation.

    Parameters
    ----------
    opinion : array (n, K)
        Rows are probabilities that sum to one; some may be exactly 0.

    Returns
    -------
    entropy : array (n,)
        In nats.
    """
    return -(opinion * np.log(np.where(opinion > 0, opinion, 1))).sum(axis=1)


@entropy.example
def _():
    return {"opinion": np.array([[0.5, 0.5], [0.8, 0.2], [1.0, 0.0]])}


@entropy.cases
def _(rng):
    with_zeros = _opinion(rng, 6, 3)
    with_zeros[0] = [0.0, 1.0, 0.0]
    with_zeros[1] = [0.0, 0.3, 0.7]
    certain = np.eye(3, dtype=int)[rng.integers(3, size=5)]
    return {
        "ordinary": {"opinion": _opinion(rng, 7, 3)},
        "with zeros": {"opinion": with_zeros},
        "as many observations as kinds": {"opinion": _opinion(rng, 4, 4)},
        "certain, in whole numbers": {"opinion": certain},
    }


entropy.check("undecided opinions", points=2, on="ordinary")
entropy.check("opinions with zeros in them", points=2, on=("with zeros", "certain, in whole numbers"))
entropy.check("as many observations as kinds: rows, not columns", points=1, on="as many observations as kinds")


@entropy.slip(
    "0 times log 0 is nan to the computer. The term is to be 0: put a harmless number into the logarithm wherever q "
    "is 0, or use scipy.special.entr."
)
def zero_log_zero(opinion):
    return -(opinion * np.log(opinion)).sum(axis=1)


@entropy.slip("The sign is missing. Logarithms of probabilities are negative, and an entropy is not.")
def sign_forgotten(opinion):
    return -_entropy(opinion)


@entropy.slip(
    "This is the entropy in bits, with the logarithm to base 2. The bound adds it to natural logarithms: use np.log."
)
def in_bits(opinion):
    return _entropy(opinion) / np.log(2)


@entropy.slip(
    "This sums over the observations, axis 0. The opinion about one observation is a row; its terms lie along axis 1."
)
def over_the_observations(opinion):
    return _entropy(opinion.T)


@entropy.slip("The average of -log q over the kinds must be weighted by q itself. Here every kind counts the same.")
def unweighted(opinion):
    return -np.log(np.where(opinion > 0, opinion, 1.0)).mean(axis=1)


@entropy.also
def by_entr(opinion):
    from scipy.special import entr

    return entr(opinion).sum(axis=1).tolist()


@entropy.also
def tiny_number_in_the_log(opinion):
    return -(opinion * np.log(opinion + 1e-300)).sum(axis=1)


# ---------------------------------------------------------------- 2
@exercise.function(
    returns={"bound": "(n,)"},
    story="""
        **The bound.** Any opinion gives a lower bound for the log-likelihood, the expected complete-data
        log-likelihood plus the entropy. For one observation,

        $$F_i = \\sum_k q_{ik} \\log p(x_i, z_i = k \\mid \\theta) + H(q_i) .$$

        Use the opinion you are given, however silly. Sometimes $p$ is 0 and its logarithm $-\\infty$. An opinion that
        gave this kind the probability 0 loses nothing by it; one that believed in it has the bound $-\\infty$.
        """,
    hints=[
        "The first part is a weighted average of log_joint along each row. You have written the second part.",
        "0 * (-inf) is nan. np.where(opinion > 0, opinion * log_joint, 0) keeps the terms that count.",
        "return np.where(opinion > 0, opinion * log_joint, 0).sum(axis=1) + entropy(opinion)",
    ],
    after="""
        The logarithm stands inside the sum now; that was Jensen's gift. If the opinion is the posterior distribution,
        $F_i$ *is* the log-likelihood of the observation, so the last lines of an E-step can compute it in this way.
        $Q$ alone lies lower, by the entropy.
        """,
)
def bound(opinion, log_joint):
    """Lower bound of the log-likelihood of each observation.

    Parameters
    ----------
    opinion : array (n, K)
        Rows are probabilities that sum to one.
    log_joint : array (n, K)
        Logarithm of p(x_i, z_i = k); may be -inf.

    Returns
    -------
    bound : array (n,)
        Expected log joint probability plus entropy, -inf where the opinion believes in something impossible.
    """
    expected = np.where(opinion > 0, opinion * log_joint, 0).sum(axis=1)
    return expected + entropy(opinion)


@bound.example
def _():
    return {
        "opinion": np.array([[0.4, 0.6], [0.8, 0.2], [1.0, 0.0]]),
        "log_joint": np.log([[0.5, 0.125]] * 3),
    }


def _opinions_and_joints(rng):
    def case(n, K, far=0.0):
        return {"opinion": _opinion(rng, n, K), "log_joint": _log_joint(rng, n, K, far)}

    some_posteriors = case(6, 3)
    some_posteriors["opinion"][::2] = _posterior(some_posteriors["log_joint"])[::2]
    impossible = case(5, 3)
    impossible["log_joint"][[0, 1, 2], [0, 2, 1]] = -np.inf
    impossible["opinion"][0] = [0.0, 0.4, 0.6]
    impossible["opinion"][1] = [0.9, 0.1, 0.0]
    return {
        "ordinary": case(7, 3),
        "some opinions are right": some_posteriors,
        "far below zero": case(5, 2, 3000.0),
        "something impossible": impossible,
        "as many observations as kinds": case(3, 3),
    }


bound.cases(_opinions_and_joints)
bound.check("any opinions", points=3, on=("ordinary", "as many observations as kinds", "far below zero"))
bound.check("opinions that are right: there the bound touches", points=1, on=("some opinions are right", "ordinary"))
bound.check("something impossible, believed or not", points=2, on="something impossible")


@bound.slip("The entropy is missing. This is Q, which lies below the bound by just that, and it is not what EM climbs.")
def entropy_forgotten(opinion, log_joint):
    return _expected(opinion, log_joint)


@bound.slip(
    "The entropy was subtracted. Doubt about the hidden data brings the bound nearer to the likelihood: add it."
)
def entropy_subtracted(opinion, log_joint):
    return _expected(opinion, log_joint) - _entropy(opinion)


@bound.slip(
    "This is the log-likelihood itself: the opinion was not used, or replaced by the posterior distribution. The "
    "bound is to be had for the opinion given, and lies lower unless that is right."
)
def opinion_ignored(opinion, log_joint):
    return _total(log_joint)


@bound.slip(
    "This is the logarithm of a weighted sum. The bound is a weighted sum of logarithms; Jensen's inequality is "
    "about the difference."
)
def log_of_average(opinion, log_joint):
    top = log_joint.max(axis=1)
    return top + np.log((opinion * np.exp(log_joint - top[:, None])).sum(axis=1)) + _entropy(opinion)


@bound.slip(
    "0 times -inf is nan. A kind that is impossible, and held to be impossible, contributes nothing: leave it out of"
    " the sum with np.where."
)
def zero_times_infinity(opinion, log_joint):
    return (opinion * log_joint).sum(axis=1) + _entropy(opinion)


@bound.slip("The opinion was made certain first, each observation given whole to its likeliest kind. Take it as it is.")
def made_certain(opinion, log_joint):
    return log_joint[np.arange(len(opinion)), opinion.argmax(axis=1)]


@bound.also
def by_ratio(opinion, log_joint):
    result = []
    for q, a in zip(opinion, log_joint, strict=True):
        result.append(sum(q[k] * (a[k] - np.log(q[k])) for k in range(len(q)) if q[k] > 0))
    return result


# ---------------------------------------------------------------- 3
@exercise.function(
    returns={"gap": "(n,)"},
    story="""
        **The gap has a name.** What lies between the bound and the log-likelihood is the Kullback–Leibler divergence
        of the opinion from the posterior distribution,

        $$\\ell_i - F_i = \\sum_k q_{ik} \\log \\frac{q_{ik}}{p(z_i = k \\mid x_i, \\theta)}, \\qquad
          \\ell_i = \\log \\sum_k p(x_i, z_i = k \\mid \\theta).$$

        You may compute either side. Some observations are so improbable that $e^{\\ell_i}$ underflows. An opinion
        that believes in something impossible has the gap $\\infty$.
        """,
    hints=[
        "The left side needs the log-likelihood of each row, a log-sum-exp as in exercise 2, and your bound.",
        "top = log_joint.max(axis=1), and the log-likelihood of the rows is top + np.log(np.exp(log_joint - top[:, "
        "None]).sum(axis=1)).",
        "Return that minus bound(opinion, log_joint).",
    ],
    after="""
        No gap is negative, whatever the opinion; try a thousand random ones. Two numbers of the chapter are here: in
        the example the first row is the silly opinion of the cross, and 125 times its gap is what it cost.
        """,
)
def gap(opinion, log_joint):
    """How far the bound lies below the log-likelihood of each observation.

    Parameters
    ----------
    opinion : array (n, K)
        Rows are probabilities that sum to one.
    log_joint : array (n, K)
        Logarithm of p(x_i, z_i = k); may be -inf.

    Returns
    -------
    gap : array (n,)
        Divergence of the opinion from the posterior distribution; inf where it believes in something impossible.
    """
    top = log_joint.max(axis=1)
    log_likelihood = top + np.log(np.exp(log_joint - top[:, None]).sum(axis=1))
    return log_likelihood - bound(opinion, log_joint)


@gap.example
def _():
    # One of the 125 at theta = 0.1: not AB/AB, or AB/AB.
    return {
        "opinion": np.array([[0.4, 0.6], [0.7, 0.3], [1 / 1.05, 0.05 / 1.05], [1.0, 0.0]]),
        "log_joint": np.log([[0.5, 0.025]] * 4),
    }


@gap.draws(
    """Four bars. The opinion that gives .60 to AB/AB has a gap of 1.2 nats, the one that gives .30 a gap of 0.3; the
    gap of the posterior, .05, is zero, and that of the opinion that is certain of 0 is about 0.05."""
)
def _gaps(ax, answer, opinion, log_joint):
    names = [f"{q:.2f}" for q in np.asarray(opinion)[:, 1]]
    ax.bar(range(len(names)), np.asarray(answer), color="#009e73")
    ax.set(xlabel="opinion: probability of AB/AB", ylabel="gap (nats)", xticks=range(len(names)))
    ax.set_xticklabels(names)


gap.cases(_opinions_and_joints)
gap.check("any opinions", points=3, on=("ordinary", "as many observations as kinds", "some opinions are right"))
gap.check("observations far from everything", points=1, on="far below zero")
gap.check("something impossible, believed or not", points=1, on="something impossible")


def _divergence(q, p):
    return np.where(q > 0, q * (np.log(np.where(q > 0, q, 1.0)) - np.log(p)), 0.0).sum(axis=1)


@gap.slip(
    "This is the divergence the other way round, of the posterior distribution from the opinion. The average is "
    "taken with the opinion: it is the opinion's belief that is put to the test."
)
def reversed_divergence(opinion, log_joint):
    return _divergence(_posterior(log_joint), opinion)


@gap.slip(
    "The posterior distribution is missing: q was compared with the joint probabilities, which do not sum to one. "
    "That gives minus the bound. Divide by their sum first."
)
def from_the_joint(opinion, log_joint):
    return _entropy_less(opinion, log_joint)


def _entropy_less(opinion, log_joint):
    return -_expected(opinion, log_joint) - _entropy(opinion)


@gap.slip(
    "This is the distance between the log-likelihood and Q. The bound lies higher than Q, by the entropy of the "
    "opinion."
)
def from_q(opinion, log_joint):
    return _total(log_joint) - _expected(opinion, log_joint)


@gap.slip("The sign is wrong: the log-likelihood lies above the bound, and the gap is not negative.")
def upside_down(opinion, log_joint):
    return _expected(opinion, log_joint) + _entropy(opinion) - _total(log_joint)


@gap.slip(
    "exp underflows to 0 for observations that are far from everything, and 0/0 is nan. Take the largest entry of "
    "each row out before exp, and add it back after log."
)
def underflow(opinion, log_joint):
    joint = np.exp(log_joint)
    return _divergence(opinion, joint / joint.sum(axis=1, keepdims=True))


@gap.slip("0 times -inf, or 0 times log 0, is nan. Leave the terms in which the opinion is 0 out of the sum.")
def terms_of_zero(opinion, log_joint):
    return (opinion * np.log(opinion / _posterior(log_joint))).sum(axis=1)


@gap.also
def by_divergence(opinion, log_joint):
    from scipy.special import logsumexp, rel_entr

    return rel_entr(opinion, np.exp(log_joint - logsumexp(log_joint, axis=1, keepdims=True))).sum(axis=1)


# ---------------------------------------------------------------- 4
@exercise.function(
    returns={"h": "()", "new_theta": "()"},
    story="""
        **The cross.** Offspring of four visible kinds are counted, with probabilities $\\tfrac12 + \\tfrac\\theta4$,
        $\\tfrac{1-\\theta}4$, $\\tfrac{1-\\theta}4$ and $\\tfrac\\theta4$. The first kind hides two: AB/AB, with
        probability $\\theta/4$, and all others, with probability ½. Write one iteration for any counts $y$:

        $$\\text{E:}\\quad h = y_1\\, \\frac{\\theta/4}{1/2 + \\theta/4}, \\qquad
          \\text{M:}\\quad \\theta = \\frac{h + y_4}{h + y_4 + y_2 + y_3} .$$

        Here $h$ is the expected number of AB/AB. Those whose probability is ½ say nothing about $\\theta$, so they
        are missing from the denominator.
        """,
    hints=[
        "The counts y1, y2, y3, y4 of the text are counts[0] to counts[3].",
        "h = counts[0] * theta / (2 + theta). It is no whole number, and should not be.",
        "new_theta = (h + counts[3]) / (h + counts[3] + counts[1] + counts[2]); return h, new_theta",
    ],
    after="""
        The M-step is a proportion among the offspring that carry information. Dividing by all of them is a plausible
        slip, and the chapter shows what becomes of it: the log-likelihood falls.
        """,
)
def linkage_step(counts, theta):
    """One iteration of EM on a genetic cross.

    Parameters
    ----------
    counts : array (4,) of int
        Offspring that show both traits, only the first, only the second, neither.
    theta : float
        Present guess, between 0 and 1.

    Returns
    -------
    h : float
        Expected number of AB/AB among the first kind.
    new_theta : float
        Estimate from the expected counts.
    """
    h = counts[0] * theta / (2 + theta)
    old_combinations = h + counts[3]
    return h, old_combinations / (old_combinations + counts[1] + counts[2])


@linkage_step.example
def _():
    return {"counts": np.array([125, 18, 20, 34]), "theta": 0.5}


def _cross(rng, n, theta):
    p = np.array([2 + theta, 1 - theta, 1 - theta, theta]) / 4
    return rng.multinomial(n - 4, p) + 1


@linkage_step.cases
def _(rng):
    none = _cross(rng, 80, 0.2)
    none[3] = 0
    return {
        "the cross of the chapter": {"counts": np.array([125, 18, 20, 34]), "theta": float(rng.uniform(0.2, 0.9))},
        "another cross": {
            "counts": _cross(rng, int(rng.integers(100, 400)), 0.4),
            "theta": float(rng.uniform(0.3, 0.8)),
        },
        "many offspring": {"counts": _cross(rng, 100_000, 0.7), "theta": float(rng.uniform(0.1, 0.9))},
        "none shows neither": {"counts": none, "theta": float(rng.uniform(0.1, 0.4))},
    }


linkage_step.check(
    "the cross of the chapter, from any guess", points=2, on=("the cross of the chapter", "another cross")
)
linkage_step.check("other counts", points=2, on=("another cross", "many offspring", "none shows neither"))


@linkage_step.slip(
    "You divided by all offspring. Those whose probability is one half whatever theta is say nothing about it: "
    "divide by h + y4 + y2 + y3."
)
def all_offspring(counts, theta):
    h = counts[0] * theta / (2 + theta)
    return h, (h + counts[3]) / counts.sum()


@linkage_step.slip(
    "theta/4 is the probability of AB/AB among *all* offspring. Among those that show both traits it is theta/4 "
    "divided by 1/2 + theta/4."
)
def not_conditioned(counts, theta):
    h = counts[0] * theta / 4
    return h, (h + counts[3]) / (h + counts[1] + counts[2] + counts[3])


@linkage_step.slip(
    "h was rounded to whole offspring. It is an expected number; rounding it moves the place where EM stands still."
)
def whole_offspring(counts, theta):
    h = np.round(counts[0] * theta / (2 + theta))
    return h, (h + counts[3]) / (h + counts[1] + counts[2] + counts[3])


@linkage_step.slip(
    "Each of the first kind was given to what is likelier, which is never AB/AB. So h is 0, and theta is estimated "
    "without them. Expect; do not decide."
)
def hard(counts, theta):
    return 0.0, counts[3] / (counts[1] + counts[2] + counts[3])


@linkage_step.slip(
    "This counts the others, those that are *not* AB/AB. They are the ones that say nothing about theta."
)
def the_others(counts, theta):
    h = counts[0] * 2 / (2 + theta)
    return h, (h + counts[3]) / (h + counts[1] + counts[2] + counts[3])


@linkage_step.slip(
    "The numbers of the chapter, 34 and 38, stand in your M-step. The counts are an argument: use counts[3], and "
    "counts[1] + counts[2]."
)
def numbers_typed_in(counts, theta):
    h = counts[0] * theta / (2 + theta)
    return h, (h + 34) / (h + 34 + 38)


@linkage_step.slip("h is missing from the denominator. Whoever is counted above the line is counted below it, too.")
def h_only_above(counts, theta):
    h = counts[0] * theta / (2 + theta)
    return h, (h + counts[3]) / (counts[1] + counts[2] + counts[3])


@linkage_step.also
def by_five_cells(counts, theta):
    joint = np.array([0.5, theta / 4])
    cells = np.array([*(counts[0] * joint / joint.sum()), *counts[1:]])
    return [cells[1], (cells[1] + cells[4]) / cells[1:].sum()]


# ---------------------------------------------------------------- 5
@exercise.function(
    returns={"rate": "()"},
    story="""
        **How fast?** Near the summit each step is $\\rho$ times as long as the one before. So the rate can be read
        off a run, as the ratio of the lengths of its last two steps,

        $$\\rho \\approx \\frac{\\lVert \\theta_T - \\theta_{T-1} \\rVert}
          {\\lVert \\theta_{T-1} - \\theta_{T-2} \\rVert} .$$

        `path` has a row for each iteration and a column for each parameter; take Euclidean lengths.
        """,
    hints=[
        "np.diff(path, axis=0) holds the steps, one in each row.",
        "np.linalg.norm(steps, axis=1) gives their lengths. Which two are needed, and which of them is divided by "
        "which?",
        "lengths = np.linalg.norm(np.diff(path, axis=0), axis=1); return lengths[-1] / lengths[-2]",
    ],
    after="""
        The last two steps, because the first ones still hold the fast directions, which die out soon. What remains is
        the slowest, and its rate is the largest fraction of missing information. With steps as small as 1e-12 the
        ratio is made of rounding errors; look at it before.
        """,
)
def rate(path):
    """Rate of convergence, from the last two steps of a run.

    Parameters
    ----------
    path : array (T, d)
        Parameters after each iteration, at least three rows. No step has length zero.

    Returns
    -------
    rate : float
        Length of the last step divided by that of the one before.
    """
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    return lengths[-1] / lengths[-2]


def _linkage_path(counts, theta, n_iter):
    path = [theta]
    for _ in range(n_iter):
        path.append(linkage_step(counts, path[-1])[1])
    return np.array(path)[:, None]


@rate.example
def _():
    return {"path": _linkage_path(data.linkage(), 0.5, 6)}


@rate.draws(
    """Lengths of six steps against the iteration, on a logarithmic axis. They fall along a straight line from 0.1 to
    below 0.00001; each is about an eighth of the one before."""
)
def _lengths(ax, answer, path):
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    steps = np.arange(1, len(lengths) + 1)
    ax.semilogy(steps, lengths, "o", color="#0072b2", label="steps")
    ax.semilogy(
        steps,
        lengths[-1] * float(answer) ** (steps - steps[-1]),
        color="#d55e00",
        lw=1,
        label=f"ratio {float(answer):.4f}",
    )
    ax.set(xlabel="iteration", ylabel="length of the step", xticks=steps)
    ax.legend()


@rate.cases
def _(rng):
    def case(T, d, slow, fast):
        directions = rng.normal(size=(2, d))
        t = np.arange(T)[:, None]
        return {
            "path": rng.normal(size=d)
            + slow**t * directions[0]
            + 2 * fast**t * (directions[1] + np.sign(directions[1]))
        }

    return {
        "three parameters": case(12, 3, rng.uniform(0.6, 0.8), rng.uniform(0.1, 0.3)),
        "slow": case(40, 2, rng.uniform(0.97, 0.99), rng.uniform(0.4, 0.6)),
        "one parameter": {
            "path": _linkage_path(_cross(rng, 200, 0.6), float(rng.uniform(0.1, 0.3)), 5),
        },
        "three rows": case(3, 2, rng.uniform(0.6, 0.8), rng.uniform(0.1, 0.3)),
    }


rate.check("several parameters", points=2, on=("three parameters", "slow", "three rows"))
rate.check("a single parameter", points=1, on="one parameter")


def _steps(path):
    return np.linalg.norm(np.diff(path, axis=0), axis=1)


@rate.slip("You took the first two steps. They still hold the fast directions; the rate shows in the last.")
def first_steps(path):
    lengths = _steps(path)
    return lengths[1] / lengths[0]


@rate.slip(
    "The ratio is upside down: the later step is divided by the earlier. A climb that comes to rest has a rate below"
    " one."
)
def inverted(path):
    lengths = _steps(path)
    return lengths[-2] / lengths[-1]


@rate.slip(
    "This divides the parameters, not the steps. Parameters settle at the summit, so their ratio goes to one "
    "whatever the rate."
)
def of_parameters(path):
    return np.linalg.norm(path[-1]) / np.linalg.norm(path[-2])


@rate.slip("This is the average of all ratios. The early ones belong to the fast directions; take the last.")
def average_ratio(path):
    lengths = _steps(path)
    return (lengths[1:] / lengths[:-1]).mean()


@rate.slip(
    "The square root is missing in the lengths: squared lengths shrink by the rate squared, as the gains of the "
    "log-likelihood do."
)
def squared(path):
    lengths = _steps(path)
    return (lengths[-1] / lengths[-2]) ** 2


@rate.slip(
    "This is one minus the rate, the fraction of information that is *observed*. Slow climbs have a rate near one."
)
def observed_fraction(path):
    lengths = _steps(path)
    return 1 - lengths[-1] / lengths[-2]


@rate.also
def three_points(path):
    a, b, c = path[-3:]
    return np.float32(np.sqrt(((c - b) ** 2).sum() / ((b - a) ** 2).sum()))


# ---------------------------------------------------------------- 6
@exercise.function(
    returns={"standard_error": "()", "naive": "()"},
    story="""
        **How sure?** Back to the cross. Had the labels been seen, the information about $\\theta$ would be $I_c$.
        What is missing is the variance of the score given the data, and what is left is observed:

        $$I_c = \\frac{h + y_4}{\\theta^2} + \\frac{y_2 + y_3}{(1 - \\theta)^2}, \\qquad
          I_o = I_c - \\frac{y_1\\, q (1 - q)}{\\theta^2}, \\qquad q = \\frac{\\theta}{2 + \\theta},
          \\quad h = y_1 q .$$

        Return $1/\\sqrt{I_o}$, and for comparison the naive $1/\\sqrt{I_c}$, which takes the expected counts for seen
        ones.
        """,
    hints=[
        "h is the first thing that linkage_step returns, and q = theta / (2 + theta).",
        "Compute complete and missing, each a number; observed = complete - missing.",
        "return 1 / np.sqrt(complete - missing), 1 / np.sqrt(complete)",
    ],
    after="""
        The missing part is the variance of a binomial number, $h$ as it might have been, divided by $\\theta^2$
        because $h$ enters the score as $h/\\theta$. Twice differentiating $\\ell(\\theta)$ gives the same $I_o$,
        which is a good way to find slips. The naive error is always too small: EM's last count pretends to have seen
        what it guessed.
        """,
)
def how_sure(counts, theta):
    """Standard error of the estimate from a cross, and the naive one.

    Parameters
    ----------
    counts : array (4,) of int
        Offspring that show both traits, only the first, only the second, neither.
    theta : float
        The estimate.

    Returns
    -------
    standard_error : float
        From the observed information.
    naive : float
        From the complete information, as if the expected counts had been seen.
    """
    h, _ = linkage_step(counts, theta)
    q = theta / (2 + theta)
    complete = (h + counts[3]) / theta**2 + (counts[1] + counts[2]) / (1 - theta) ** 2
    missing = counts[0] * q * (1 - q) / theta**2
    return 1 / np.sqrt(complete - missing), 1 / np.sqrt(complete)


def _root(counts):
    """Where EM on a cross stands still."""
    y1, y2, y3, y4 = map(float, counts)
    n, b = y1 + y2 + y3 + y4, y1 - 2 * (y2 + y3) - y4
    return (b + np.sqrt(b * b + 8 * n * y4)) / (2 * n)


@how_sure.example
def _():
    return {"counts": np.array([125, 18, 20, 34]), "theta": 0.6268214979}


@how_sure.cases
def _(rng):
    def case(n, theta):
        counts = _cross(rng, n, theta)
        return {"counts": counts, "theta": float(_root(counts))}

    elsewhere = _cross(rng, 150, 0.5)
    return {
        "a cross": case(int(rng.integers(150, 300)), rng.uniform(0.5, 0.7)),
        "loose linkage": case(int(rng.integers(150, 300)), rng.uniform(0.25, 0.35)),
        "many offspring": case(100_000, rng.uniform(0.3, 0.8)),
        "not at the summit": {"counts": elsewhere, "theta": float(_root(elsewhere)) * 0.8},
    }


how_sure.check("crosses, at their estimates", points=3, on=("a cross", "loose linkage"))
how_sure.check("many offspring, and away from the summit", points=2, on=("many offspring", "not at the summit"))


def _informations(counts, theta):
    q = theta / (2 + theta)
    complete = (counts[0] * q + counts[3]) / theta**2 + (counts[1] + counts[2]) / (1 - theta) ** 2
    return complete, counts[0] * q * (1 - q) / theta**2, q


@how_sure.slip(
    "Both numbers are the naive one: nothing was subtracted. The expected counts were not seen, and the information "
    "that is missing has to be taken off."
)
def nothing_missing(counts, theta):
    complete, _, _ = _informations(counts, theta)
    return 1 / np.sqrt(complete), 1 / np.sqrt(complete)


@how_sure.slip("The missing information was added. Not having seen something makes one less sure: subtract it.")
def missing_added(counts, theta):
    complete, missing, _ = _informations(counts, theta)
    return 1 / np.sqrt(complete + missing), 1 / np.sqrt(complete)


@how_sure.slip("These are variances. A standard error is their square root.")
def variances(counts, theta):
    complete, missing, _ = _informations(counts, theta)
    return 1 / (complete - missing), 1 / complete


@how_sure.slip(
    "These are the square roots of the informations. The more information, the smaller the error: divide 1 by them."
)
def not_inverted(counts, theta):
    complete, missing, _ = _informations(counts, theta)
    return np.sqrt(complete - missing), np.sqrt(complete)


@how_sure.slip(
    "The division by theta squared is missing in the missing part: h enters the score as h/theta, so its variance "
    "comes with 1/theta**2."
)
def theta_squared_forgotten(counts, theta):
    complete, missing, _ = _informations(counts, theta)
    return 1 / np.sqrt(complete - missing * theta**2), 1 / np.sqrt(complete)


@how_sure.slip(
    "The doubt about one of the first kind is q(1 - q) with q = theta/(2 + theta), the probability that it is AB/AB."
    " You took theta(1 - theta)."
)
def theta_for_q(counts, theta):
    complete, _, _ = _informations(counts, theta)
    with np.errstate(invalid="ignore"):
        return 1 / np.sqrt(complete - counts[0] * theta * (1 - theta) / theta**2), 1 / np.sqrt(complete)


@how_sure.slip("The order is the other way round: first the standard error, then the naive one, which is the smaller.")
def exchanged(counts, theta):
    complete, missing, _ = _informations(counts, theta)
    return 1 / np.sqrt(complete), 1 / np.sqrt(complete - missing)


@how_sure.slip(
    "h is missing from the complete information: the AB/AB that are expected among the first kind belong to it, "
    "beside those that show neither trait."
)
def h_forgotten(counts, theta):
    complete, missing, _ = _informations(counts, theta)
    complete = complete - counts[0] * theta / (2 + theta) / theta**2
    with np.errstate(invalid="ignore"):
        return 1 / np.sqrt(complete - missing), 1 / np.sqrt(complete)


@how_sure.also
def by_the_second_derivative(counts, theta):
    y1, y2, y3, y4 = (float(y) for y in counts)
    curvature = y1 / (2 + theta) ** 2 + (y2 + y3) / (1 - theta) ** 2 + y4 / theta**2
    complete = (y1 * theta / (2 + theta) + y4) / theta**2 + (y2 + y3) / (1 - theta) ** 2
    return curvature**-0.5, complete**-0.5


# ---------------------------------------------------------------- 7
@exercise.function(
    returns={"iteration": "()"},
    story="""
        **When to stop?** Not when the last gain is small; a small gain says that the climb is slow, and slow climbs
        have far to go. After a gain $g$ there follow $g\\rho^2$, $g\\rho^4$ and so on. So stop when what is *left*,

        $$g\\, \\frac{\\rho^2}{1 - \\rho^2},$$

        is below `tol`. Given the log-likelihoods `trace` and the parameters `path` of a run (entry 0 belongs to the
        start), return the first iteration $t \\ge 2$ at which that is so, with $g$ the gain of iteration $t$ and
        $\\rho$ the `rate` of the path up to and including $t$; or `-1`, if it never is.

        Two things are no convergence. If $\\rho \\ge 1$ the steps are growing, and nothing can be projected. And if
        $g$ is negative the program has a bug; a fall is not "a change below tol".
        """,
    hints=[
        "Walk through the run: for t in range(2, len(trace)), with g = trace[t] - trace[t - 1] and rho = rate(path[:"
        " t + 1]).",
        "The formula is only to be used if g >= 0 and rho < 1. On a plateau rho is above one, the formula is "
        "negative, and negative is below any tol.",
        "if g >= 0 and rho < 1 and g * rho**2 / (1 - rho**2) < tol: return t. After the loop, return -1.",
    ],
    after="""
        On the deaths of *The Times* the rule of the last gain, with the same `tol`, stops at iteration 11, when over
        eighty times as much is left. This one goes on to 494, where a thousandth is left. It cannot see what has not
        shown itself: a direction slower than all others shows late, which is why a loose `tol` is not safe with any
        rule.
        """,
)
def stop_at(trace, path, tol):
    """The first iteration after which less than tol is left to gain, by projection.

    Parameters
    ----------
    trace : array (T,)
        Log-likelihood of the start and after each iteration.
    path : array (T, d)
        The parameters that they belong to. No step has length zero.
    tol : float
        In nats.

    Returns
    -------
    iteration : int
        The smallest t >= 2 with a gain that is not negative, steps that shrink, and less than tol left; -1 if there is
        none.
    """
    for t in range(2, len(trace)):
        gain = trace[t] - trace[t - 1]
        rho = rate(path[: t + 1])
        if gain >= 0 and rho < 1 and gain * rho**2 / (1 - rho**2) < tol:
            return t
    return -1


@lru_cache(maxsize=64)
def _deaths(weight, low, high, n_iter):
    """EM for two Poisson rates on the deaths in The Times: trace and path."""
    days = np.bincount(data.times_deaths()[:, 0])
    x = np.arange(len(days))
    theta = np.array([weight, low, high])
    trace, path = [], []
    for _ in range(n_iter + 1):
        w, rates = np.array([theta[0], 1 - theta[0]]), theta[1:]
        joint = w * np.exp(x[:, None] * np.log(rates) - rates - gammaln(x + 1)[:, None])
        trace.append(days @ np.log(joint.sum(axis=1)))
        path.append(theta)
        credited = days[:, None] * joint / joint.sum(axis=1, keepdims=True)
        N = credited.sum(axis=0)
        theta = np.array([N[0] / days.sum(), *(x @ credited / N)])
    trace, path = np.array(trace), np.array(path)
    trace.flags.writeable = path.flags.writeable = False
    return trace, path


@stop_at.example
def _():
    trace, path = _deaths(0.3, 1.0, 2.5, 700)
    return {"trace": trace, "path": path, "tol": 1e-3}


@stop_at.draws(
    """What is left to gain on the deaths against the iteration, both on logarithmic axes. It falls from 0.2 to 0.1
    in a few iterations, lingers there, and reaches a thousandth at iteration 494, where the stop is marked. The
    rule of the last gain would have stopped at 11, with 0.08 left."""
)
def _stop(ax, answer, trace, path, tol):
    left = -1989.94586 - np.asarray(trace)  # from the summit of the deaths
    naive = int(np.argmax(np.diff(trace) < tol)) + 1
    ax.loglog(np.arange(1, len(left)), left[1:], color="#767676")
    ax.plot(naive, left[naive], "s", color="#d55e00", label="last gain below tol")
    if int(answer) > 0:
        ax.plot(int(answer), left[int(answer)], "o", color="#0072b2", label=f"stop_at: {int(answer)}")
    ax.axhline(tol, color="#767676", ls=":", lw=1)
    ax.set(xlabel="iteration", ylabel="still to gain (nats)")
    ax.legend()


@stop_at.cases
def _(rng):
    def steady(rho, T, size):
        """Steps that shrink by rho, and the parabola that goes with them."""
        distance = size * rho ** np.arange(T)
        return -500.0 - distance**2, distance[:, None] * rng.normal(size=2) + rng.normal(size=2)

    def plateau(u, growth):
        """From near a saddle at u = 0 to the summit at u = 1: steps grow, and then they shrink."""
        us = []
        for _ in range(120):
            us.append(u)
            u += growth * u * (1 - u)
        us = np.array(us)
        return -500.0 - 12 * (1 - us**2) ** 2, us[:, None] * rng.uniform(1, 3, size=2) + rng.normal(size=2)

    slow = _deaths(0.30 + 0.01 * int(rng.integers(4)), 1.0, 2.5, 550)
    plateau_trace, plateau_path = plateau(10 ** -rng.uniform(3, 5), rng.uniform(0.2, 0.35))
    quick_trace, quick_path = steady(rng.uniform(0.4, 0.6), 25, rng.uniform(3, 5))
    unfinished_trace, unfinished_path = steady(rng.uniform(0.94, 0.96), 30, 8.0)
    fallen_trace, fallen_path = steady(rng.uniform(0.75, 0.85), 60, rng.uniform(3, 5))
    fallen_trace = fallen_trace.copy()
    fallen_trace[int(rng.integers(4, 7)) :] -= 30.0
    return {
        "a quick climb": {"trace": quick_trace, "path": quick_path, "tol": 1e-3},
        "the deaths, slowly": {"trace": slow[0], "path": slow[1], "tol": 1e-3},
        "from a plateau": {"trace": plateau_trace, "path": plateau_path, "tol": 1e-3},
        "a fall on the way": {"trace": fallen_trace, "path": fallen_path, "tol": 1e-3},
        "not there yet": {"trace": unfinished_trace, "path": unfinished_path, "tol": 1e-3},
    }


stop_at.check("a quick climb and a slow one", points=3, on=("a quick climb", "the deaths, slowly"))
stop_at.check("a run that is not there yet", points=1, on=("not there yet", "a quick climb"))
stop_at.check("from a plateau, where steps grow", points=2, on=("from a plateau", "a quick climb"))
stop_at.check("a fall is no convergence", points=1, on=("a fall on the way", "a quick climb"))


def _first(stop):
    return int(np.argmax(stop)) + 2 if stop.any() else -1


def _gains_and_rates(trace, path):
    lengths = _steps(path)
    return np.diff(trace)[1:], lengths[1:] / lengths[:-1]


def _left(g, rho):
    return g * rho**2 / (1 - rho**2)


def _rule(trace, path, tol, left):
    g, rho = _gains_and_rates(trace, path)
    return _first((g >= 0) & (rho < 1) & (left(g, rho) < tol))


@stop_at.slip(
    "This stops when the last gain is below tol. A small gain says that the climb is slow, not that it is near the "
    "top: project, with the factor rho**2 / (1 - rho**2)."
)
def last_gain(trace, path, tol):
    return _first(np.diff(trace)[1:] < tol)


@stop_at.slip("Gains shrink by rho squared, not by rho: heights go with the square of the distance.")
def not_squared(trace, path, tol):
    return _rule(trace, path, tol, lambda g, rho: g * rho / (1 - rho))


@stop_at.slip("g / (1 - rho**2) counts the last gain once more. What is left begins with the next gain, g * rho**2.")
def last_gain_counted_again(trace, path, tol):
    return _rule(trace, path, tol, lambda g, rho: g / (1 - rho**2))


@stop_at.slip(
    "A fall was read as convergence: a negative gain is below any tol. EM does not fall; if the trace does, the "
    "program has a bug. Ask for g >= 0."
)
def fall_is_convergence(trace, path, tol):
    g, rho = _gains_and_rates(trace, path)
    return _first((rho < 1) & (g * rho**2 / (1 - rho**2) < tol))


@stop_at.slip(
    "On the plateau the steps grow. With rho above one the formula is negative, and negative is below any tol, so "
    "you stopped where the climb had not begun. Ask for rho < 1."
)
def growing_steps(trace, path, tol):
    g, rho = _gains_and_rates(trace, path)
    return _first((g >= 0) & (g * rho**2 / (1 - rho**2) < tol))


@stop_at.slip(
    "This is the place in a list that begins with iteration 2, or one iteration too early. The gain trace[t] - "
    "trace[t - 1] belongs to t."
)
def one_too_early(trace, path, tol):
    right = _rule(trace, path, tol, _left)
    return right - 1 if right > 0 else -1


@stop_at.slip(
    "The rate was measured once, at the end of the run. A program that decides when to stop has no end of the run "
    "yet: use the path up to iteration t."
)
def rate_of_the_whole(trace, path, tol):
    g, rho = _gains_and_rates(trace, path)
    return _first((g >= 0) & (rho[-1] < 1) & (g * rho[-1] ** 2 / (1 - rho[-1] ** 2) < tol))


@stop_at.also
def all_at_once(trace, path, tol):
    g, rho = _gains_and_rates(trace, path)
    left = np.where((g >= 0) & (rho < 1), g * rho**2 / np.where(rho < 1, 1 - rho**2, 1), np.inf)
    return float(_first(left < tol))
