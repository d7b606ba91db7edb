"""Exercise of chapter 4: counts, expected statistics, hidden rates, and data nobody has seen."""

import numpy as np
from scipy.special import digamma, factorial, gammaln, xlogy
from scipy.stats import poisson

from ... import data
from ..compare import close
from ..contract import Exercise

exercise = Exercise(
    "families",
    title="Any data, one recipe",
    minutes=90,
    objectives=[
        "write the log probability of counts so that it survives zeros and large numbers;",
        "turn counts into expected statistics, add those of several laboratories, and match;",
        "fit a mixture of Poisson distributions, and measure what a Poisson cannot explain;",
        "fill in expected statistics of hidden rates, not the rates, and add a prior as data nobody has seen.",
    ],
    intro="""
        Chapter 4 claims that for a new kind of data you need not think of a new algorithm. Here you fit the movements
        of the lamb and look at counts of molecules, and each function is a few lines long.

        Throughout, `x` holds `n` counts and there are `K` components with `weights` (K,) and `rates` (K,). Of all the
        data an M-step wants two sums for each component, `N` (K,), how many counts it is credited with, and `S` (K,),
        what they add up to.
        """,
    setup="""
        from scipy.special import digamma, gammaln, xlogy

        lamb = emlib.data.fetal_lamb()[:, 0]
        """,
    outro="""
        Two things to try. Fit the lamb with your `fit` from rates 0 and 1, and look at the first rate after a hundred
        iterations: zero is for ever. And put `hidden_rates` into a loop of its own, with the mean of the first result
        as new mean and, for the size, the root of
        $\\log r - \\psi(r) = \\log \\overline{\\mathrm E[\\lambda]} - \\overline{\\mathrm E[\\log \\lambda]}$
        (`scipy.optimize.brentq` finds it). It ends at the chapter's log-likelihood, −186.63.
        """,
)


# ---------------------------------------------------------------- inputs
def _mixture(rng, K, low=0.5, factor=4.0):
    """Rates that differ by about `factor` from one component to the next, and weights that differ, too."""
    weights = np.linspace(2.0, 1.0, K) * rng.uniform(0.8, 1.2, size=K)
    rates = low * factor ** np.arange(K) * rng.uniform(0.8, 1.2, size=K)
    return weights / weights.sum(), rates


def _counts(rng, n, weights, rates):
    return rng.poisson(rates[rng.choice(len(rates), size=n, p=weights)])


def _log_joint(x, weights, rates):
    return np.log(weights) + xlogy(x[:, None], rates) - rates - gammaln(x[:, None] + 1)


def _total(a):
    top = a.max(axis=1)
    return top + np.log(np.exp(a - top[:, None]).sum(axis=1))


def _shares(a):
    return np.exp(a - _total(a)[:, None])


def _whole(r):
    return (r == r.max(axis=1, keepdims=True)).astype(float)


# ---------------------------------------------------------------- 1
@exercise.function(
    returns={"log_joint": "(n, K)"},
    story="""
        How probable is it that a count comes from component $k$ *and* is $x_i$? In logarithms,

        $$\\log w_k + x_i \\log \\lambda_k - \\lambda_k - \\log x_i! .$$

        Two things break programs here. Counts of molecules run into thousands, and $171!$ is already more than the
        computer can hold. And a rate may be 0: a component that never shows anything. For it a count of 0 is certain,
        and any other count impossible, with logarithm $-\\infty$.
        """,
    hints=[
        "The logarithm of x! can be had without x!: it is gammaln(x + 1).",
        "0 * log(0) is nan, but xlogy(0, 0) is 0, as it should be here.",
        "return np.log(weights) + xlogy(x[:, None], rates) - rates - gammaln(x[:, None] + 1)",
    ],
    after="""
        $\\log x!$ is the base measure $b(x)$ of the family: it holds no parameter, cancels in the responsibilities,
        and belongs to the log-likelihood. Data and parameters meet in $x \\log \\lambda$ and nowhere else; that is
        why one statistic is enough.
        """,
)
def log_joint(x, weights, rates):
    """Logarithm of weight times Poisson probability, for each count and component.

    Parameters
    ----------
    x : array (n,) of int
        Counts.
    weights : array (K,)
        Shares of the components.
    rates : array (K,)
        Their rates; one may be 0.

    Returns
    -------
    log_joint : array (n, K)
        log(weights[k] * Poisson(x[i] | rates[k])), -inf where a count is impossible.
    """
    log_probability = xlogy(x[:, None], rates) - rates - gammaln(x[:, None] + 1)
    return np.log(weights) + log_probability


@log_joint.example
def _():
    return {"x": np.array([0, 1, 4, 7]), "weights": np.array([0.75, 0.25]), "rates": np.array([0.2, 2.0])}


@log_joint.cases
def _(rng):
    def case(n, K, low, factor):
        weights, rates = _mixture(rng, K, low, factor)
        x = _counts(rng, n, weights, rates)
        x[:2] = [0, rng.integers(2, 6)]
        return {"x": x, "weights": weights, "rates": rates}

    weights, rates = _mixture(rng, 3)
    rates[0] = 0.0
    many = case(6, 2, 200.0, 2.0)
    many["x"] = rng.integers(180, 600, size=6)
    far = case(5, 2, 900.0, 1.5)
    return {
        "small counts": case(8, 3, 0.5, 4.0),
        "one count": {**case(4, 2, 0.5, 4.0), "x": rng.integers(2, 5, size=1)},
        "large counts": many,
        "far from every component": far,
        "a rate of zero": {"x": rng.permutation([0, 0, 1, 3, 6]), "weights": weights, "rates": rates},
    }


log_joint.check("small counts", points=2, on=("small counts", "one count"))
log_joint.check(
    "counts in the hundreds, and rates far from them", points=2, on=("large counts", "far from every component")
)
log_joint.check("a rate of zero", points=1, on="a rate of zero")


@log_joint.slip(
    "The factorial is missing. It cancels in the responsibilities, but not in the log-likelihood: subtract log x!, "
    "which is gammaln(x + 1)."
)
def factorial_forgotten(x, weights, rates):
    return _log_joint(x, weights, rates) + gammaln(x[:, None] + 1)


@log_joint.slip(
    "171! is infinite to the computer, so the logarithm of the factorial is, too. Take the logarithm without the "
    "factorial: gammaln(x + 1)."
)
def factorial_overflow(x, weights, rates):
    return np.log(weights) + xlogy(x[:, None], rates) - rates - np.log(factorial(x))[:, None]


@log_joint.slip("gammaln(x) is the logarithm of (x - 1)!. The gamma function is one behind: x! is gammaln(x + 1).")
def one_behind(x, weights, rates):
    return np.log(weights) + xlogy(x[:, None], rates) - rates - gammaln(x)[:, None]


@log_joint.slip("The weights are missing: add log(weights[k]) to the column of component k.")
def weights_forgotten(x, weights, rates):
    return _log_joint(x, np.ones_like(weights), rates)


@log_joint.slip("- rate is missing. Without it the probabilities of all counts sum to e to the rate, not to one.")
def rate_forgotten(x, weights, rates):
    return _log_joint(x, weights, rates) + rates


@log_joint.slip(
    "0 times log 0 is nan to the computer. A component with rate 0 expects just that count of 0: use xlogy(x, rate),"
    " which is 0 there."
)
def zero_log_zero(x, weights, rates):
    return np.log(weights) + x[:, None] * np.log(rates) - rates - gammaln(x[:, None] + 1)


@log_joint.slip(
    "This computes the probability first and takes its logarithm afterwards. Far from the rate the probability "
    "underflows to 0, and a possible count is declared impossible. Write the logarithm term by term."
)
def log_of_probability(x, weights, rates):
    return np.log(weights * np.exp(_log_joint(x, np.ones_like(weights), rates)))


@log_joint.also
def by_scipy(x, weights, rates):
    return poisson.logpmf(x[:, None], rates) + np.log(weights)


@log_joint.also
def one_by_one(x, weights, rates):
    import math

    def log_probability(count, rate):
        if rate == 0:
            return 0.0 if count == 0 else -math.inf
        return count * math.log(rate) - rate - math.lgamma(count + 1)

    return [
        [math.log(w) + log_probability(c, rate) for w, rate in zip(weights, rates, strict=True)] for c in map(int, x)
    ]


# ---------------------------------------------------------------- 2
@exercise.function(
    returns={"N": "(K,)", "S": "(K,)", "log_likelihood": "()"},
    story="""
        **The E-step.** What does it hand on? No completed data, no labels: for each component two *expected
        statistics*,

        $$N_k = \\sum_i r_{ik}, \\qquad S_k = \\sum_i r_{ik}\\, x_i, \\qquad
          r_{ik} = \\frac{e^{a_{ik}}}{\\sum_j e^{a_{ij}}},$$

        with $a$ from `log_joint`, and on the way the log-likelihood $\\sum_i \\log \\sum_k e^{a_{ik}}$. The example
        is the by-hand table of the chapter: 173.254 and 66.746 intervals, 27.448 and 58.552 movements, −269.92.
        """,
    hints=[
        "You have written log-sum-exp and responsibilities in exercise 2: with top = a.max(axis=1), total = top + "
        "np.log(np.exp(a - top[:, None]).sum(axis=1)), and r = np.exp(a - total[:, None]).",
        "N is a sum of r over the counts. S is a sum of r times x over the counts, a product of a matrix and a vector.",
        "return r.sum(axis=0), r.T @ x, total.sum()",
    ],
    after="""
        Check yourself with two sums that cost nothing: the $N_k$ add up to $n$, and the $S_k$ to the sum of the
        counts. The counts themselves may be thrown away now; the M-step will not ask for them.
        """,
)
def e_step(x, weights, rates):
    """Expected statistics of each component, and the log-likelihood.

    Parameters
    ----------
    x : array (n,) of int
        Counts.
    weights, rates : arrays (K,)
        Present guess.

    Returns
    -------
    N : array (K,)
        Number of counts credited to each component.
    S : array (K,)
        Sum of the counts credited to each.
    log_likelihood : float
        Of the weights and rates given.
    """
    a = log_joint(x, weights, rates)
    top = a.max(axis=1)
    total = top + np.log(np.exp(a - top[:, None]).sum(axis=1))
    r = np.exp(a - total[:, None])
    return r.sum(axis=0), r.T @ x, total.sum()


@e_step.example
def _():
    return {"x": data.fetal_lamb()[:, 0], "weights": np.array([0.5, 0.5]), "rates": np.array([0.5, 2.0])}


@e_step.cases
def _(rng):
    def case(n, K, x=None):
        weights, rates = _mixture(rng, K)
        return {"x": _counts(rng, n, weights, rates) if x is None else x, "weights": weights, "rates": rates}

    weights, rates = _mixture(rng, 2)
    lamb = data.fetal_lamb()[:, 0]
    return {
        "the lamb": {"x": lamb, "weights": weights, "rates": rates},
        "three components": case(30, 3),
        "as many counts as components": case(3, 3, rng.permutation([1, 3, 9]) + rng.integers(0, 2, size=3)),
        "far from every component": case(6, 2, rng.integers(900, 1500, size=6)),
        "one count": case(1, 2, rng.integers(1, 3, size=1)),
    }


e_step.check("the lamb, and three components", points=4, on=("the lamb", "three components", "one count"))
e_step.check("counts far from every component", points=2, on="far from every component")
e_step.check("as many counts as components: rows, not columns", points=1, on="as many counts as components")


@e_step.slip(
    "Each count went whole to its most probable component. That is the E-step of classification EM; here every "
    "component gets its share."
)
def hard(x, weights, rates):
    a = _log_joint(x, weights, rates)
    r = _whole(_shares(a))
    return r.sum(axis=0), r.T @ x, _total(a).sum()


@e_step.slip(
    "The credits were rounded, as if the data had been filled in with whole movements. Expected statistics are not "
    "whole numbers; rounding takes most from the component that gets the small shares."
)
def whole_movements(x, weights, rates):
    a = _log_joint(x, weights, rates)
    r = _shares(a)
    return r.sum(axis=0), np.round(r * x[:, None]).sum(axis=0), _total(a).sum()


@e_step.slip(
    "The second part holds averages, S/N. The E-step hands on sums, which can be added to those of other data; the "
    "M-step divides."
)
def averages(x, weights, rates):
    a = _log_joint(x, weights, rates)
    r = _shares(a)
    return r.sum(axis=0), r.T @ x / r.sum(axis=0), _total(a).sum()


@e_step.slip(
    "The responsibilities sum to one over the counts, for each component. It is the count that is shared between the"
    " components: along axis 1."
)
def over_the_counts(x, weights, rates):
    a = _log_joint(x, weights, rates)
    r = _shares(a.T).T
    return r.sum(axis=0), r.T @ x, _total(a).sum()


@e_step.slip("The weights were left out. A component that is rarer says less about every count.")
def unweighted(x, weights, rates):
    a = _log_joint(x, np.ones_like(weights), rates)
    r = _shares(a)
    return r.sum(axis=0), r.T @ x, _total(a).sum()


@e_step.slip(
    "Far from every component all exp(a) underflow to 0, and 0/0 is nan. Take the largest entry of each row out "
    "before exp."
)
def underflow(x, weights, rates):
    joint = np.exp(_log_joint(x, weights, rates))
    r = joint / joint.sum(axis=1, keepdims=True)
    return r.sum(axis=0), r.T @ x, np.log(joint.sum(axis=1)).sum()


@e_step.slip(
    "The third part is Q, the average of the log joint probabilities with r as weights. The log-likelihood is the "
    "logarithm of their sum, for each count."
)
def q_for_the_likelihood(x, weights, rates):
    a = _log_joint(x, weights, rates)
    r = _shares(a)
    return r.sum(axis=0), r.T @ x, (r * a).sum()


@e_step.also
def count_by_count(x, weights, rates):
    N, S, total = [0.0] * len(rates), [0.0] * len(rates), 0.0
    for count in x:
        a = _log_joint(np.array([count]), weights, rates)[0]
        joint = np.exp(a - a.max())
        total += a.max() + np.log(joint.sum())
        for k, share in enumerate(joint / joint.sum()):
            N[k] += share
            S[k] += share * count
    return N, S, total


@e_step.also
def value_by_value(x, weights, rates):
    values, often = np.unique(x, return_counts=True)
    a = _log_joint(values, weights, rates)
    r = _shares(a) * often[:, None]
    return r.sum(axis=0), values @ r, often @ _total(a)


# ---------------------------------------------------------------- 3
@exercise.function(
    returns={"weights": "(K,)", "rates": "(K,)"},
    story="""
        **The M-step, from many laboratories.** Statistics are sums, so they can be computed wherever the data lie and
        *added*. `P` laboratories have each done the E-step on counts of their own, with the same guess. They send
        their $N$ and $S$, one row each; the counts stay at home. Add, and match:

        $$w_k = \\frac{N_k}{\\sum_j N_j}, \\qquad \\lambda_k = \\frac{S_k}{N_k} .$$

        The result must be the M-step on all counts together. The laboratories are not equally large, and a component
        may be missing in one of them altogether.
        """,
    hints=[
        "The statistics of all the data are the sums over the laboratories, along axis 0.",
        "Add first and divide once, at the end. A mean of the laboratories' rates is something else.",
        "N, S = N.sum(axis=0), S.sum(axis=0); return N / N.sum(), S / N",
    ],
    after="""
        That is all there is to EM on data which do not fit into memory, or may not leave a hospital: E-steps apart,
        sums together. An average of averages would give a laboratory with ten counts the same say as one with ten
        thousand.
        """,
)
def m_step(N, S):
    """Weights and rates from the expected statistics of several parts of the data.

    Parameters
    ----------
    N, S : arrays (P, K)
        Counts credited to each component in each part, and their sums.

    Returns
    -------
    weights : array (K,)
    rates : array (K,)
        As from all the data at once.
    """
    N, S = N.sum(axis=0), S.sum(axis=0)
    return N / N.sum(), S / N


@m_step.example
def _():
    return {
        "N": np.array([[120.0, 30.0], [53.254, 36.746]]),
        "S": np.array([[20.0, 25.0], [7.448, 33.552]]),
    }


@m_step.cases
def _(rng):
    def case(P, K):
        sizes = np.array([400.0, 20.0, 90.0, 7.0, 1500.0])[rng.permutation(5)[:P]] * rng.uniform(0.8, 1.2, size=P)
        weights, rates = _mixture(rng, K)
        N = sizes[:, None] * rng.dirichlet(8 * weights, size=P)
        return {"N": N, "S": N * rates * rng.uniform(0.5, 1.5, size=(P, K))}

    missing = case(4, 2)
    missing["N"][1, 0] = missing["S"][1, 0] = 0.0
    return {
        "one part": case(1, 2),
        "two parts of unequal size": case(2, 3),
        "five laboratories": case(5, 2),
        "as many laboratories as components": case(3, 3),
        "a component missing in one": missing,
    }


m_step.check("one part", points=1, on="one part")
m_step.check("several parts of unequal size", points=3, on=("two parts of unequal size", "five laboratories"))
m_step.check(
    "as many parts as components, and a component missing in one",
    points=1,
    on=("as many laboratories as components", "a component missing in one"),
)


@m_step.slip(
    "You averaged the weights and rates of the laboratories. An average of averages gives a laboratory with ten "
    "counts the same say as one with ten thousand: add N and S first, and divide once."
)
def average_of_averages(N, S):
    return (N / N.sum(axis=1, keepdims=True)).mean(axis=0), (S / N).mean(axis=0)


@m_step.slip(
    "The rates are divided by the number of all counts. A component was credited with its part of them: divide S[k] "
    "by N[k]."
)
def n_for_N(N, S):
    return N.sum(axis=0) / N.sum(), S.sum(axis=0) / N.sum()


@m_step.slip("The weights are the sums N[k]. They should sum to one: divide by the number of all counts.")
def weights_not_shares(N, S):
    return N.sum(axis=0), S.sum(axis=0) / N.sum(axis=0)


@m_step.slip(
    "The weights were computed from S, the movements. A component's weight is its share of the *intervals*, N."
)
def shares_of_movements(N, S):
    return S.sum(axis=0) / S.sum(), S.sum(axis=0) / N.sum(axis=0)


@m_step.slip(
    "This adds up over the components, axis 1. Add the laboratories, axis 0: what is in the same column belongs to "
    "the same component."
)
def over_the_components(N, S):
    return N.sum(axis=1) / N.sum(), S.sum(axis=1) / N.sum(axis=1)


@m_step.slip(
    "The laboratories' rates were averaged with their sizes as weights. Nearly: but what counts is how much of "
    "component k a laboratory has, N[p, k], and then the average is sum of S over sum of N."
)
def weighted_by_size(N, S):
    size = N.sum(axis=1) / N.sum()
    return N.sum(axis=0) / N.sum(), size @ np.where(N > 0, S / np.where(N > 0, N, 1), 0)


@m_step.also
def one_after_the_other(N, S):
    n, s = np.zeros(N.shape[1]), np.zeros(N.shape[1])
    for p in range(len(N)):
        n += N[p]
        s += S[p]
    return list(n / n.sum()), list(s / n)


# ---------------------------------------------------------------- 4
@exercise.function(
    returns={"weights": "(K,)", "rates": "(K,)", "trace": "(n_iter + 1,)"},
    story="""
        **The loop** is the one you know: E, M, `n_iter` times. `trace[t]` is the log-likelihood after `t` iterations,
        `trace[0]` that of the start. From equal weights and rates 0.5 and 2 the lamb should arrive at −186.989.

        Each iteration begins with empty sums.
        """,
    hints=[
        "Your e_step returns the log-likelihood of the parameters that it was given. So each iteration yields the "
        "entry before its M-step.",
        "m_step wants one row for each part of the data. There is one part: N[None] and S[None] are (1, K).",
        "for _ in range(n_iter): N, S, ll = e_step(x, weights, rates); trace.append(ll); weights, rates = "
        "m_step(N[None], S[None]). After the loop append the log-likelihood of the final parameters.",
    ],
    after="""
        It takes the lamb a hundred and twenty iterations, since six of a hundred intervals must say what the active
        rate is. Compare with the loop of exercise 2: but for the names of the statistics nothing has changed.
        """,
    compare=close(any_order="K"),
)
def fit(x, weights, rates, n_iter):
    """EM for a mixture of Poisson distributions, from the given start.

    Parameters
    ----------
    x : array (n,) of int
        Counts.
    weights, rates : arrays (K,)
        The start. Leave them as you found them.
    n_iter : int
        How many iterations to do.

    Returns
    -------
    weights, rates : arrays (K,)
        The parameters after the last M-step.
    trace : array (n_iter + 1,)
        Log-likelihood of the start and after each iteration.
    """
    trace = []
    for _ in range(n_iter):
        N, S, log_likelihood = e_step(x, weights, rates)
        trace.append(log_likelihood)
        weights, rates = m_step(N[None], S[None])
    trace.append(e_step(x, weights, rates)[2])
    return weights, rates, np.array(trace)


@fit.example
def _():
    return {
        "x": data.fetal_lamb()[:, 0],
        "weights": np.array([0.5, 0.5]),
        "rates": np.array([0.5, 2.0]),
        "n_iter": 200,
    }


@fit.draws(
    """Log-likelihood of the lamb against the iteration, from the second on: it rises from -190 to -188 within twenty
    iterations and then more and more slowly to -187, where it is flat from about the eightieth on."""
)
def _trace(ax, answer, x, weights, rates, n_iter):
    trace = np.asarray(answer[2])
    ax.plot(np.arange(1, len(trace)), trace[1:], color="#0072b2")
    ax.set(xlabel="iteration", ylabel="log-likelihood (nats)")


@fit.cases
def _(rng):
    def case(n, K, n_iter):
        weights, rates = _mixture(rng, K)
        start = rates * rng.uniform(0.7, 1.4, size=K)
        return {"x": _counts(rng, n, weights, rates), "weights": np.full(K, 1 / K), "rates": start, "n_iter": n_iter}

    start = np.array([0.5, 2.0]) * rng.uniform(0.8, 1.2, size=2)
    return {
        "one iteration": case(60, 2, 1),
        "the lamb": {"x": data.fetal_lamb()[:, 0], "weights": np.array([0.5, 0.5]), "rates": start, "n_iter": 12},
        "three components": case(90, 3, 5),
        "no iteration": case(40, 2, 0),
    }


fit.check("one iteration", points=2, on="one iteration")
fit.check("the lamb, and three components", points=4, on=("the lamb", "three components"))
fit.check("no iteration at all: the start and its log-likelihood", points=1, on="no iteration")


def _match(N, S):
    return N / N.sum(), S / N


def _loop(x, weights, rates, n_iter, shares=_shares, again=True, keep=0.0, weigh=True):
    trace, N, S = [], 0.0, 0.0
    for t in range(n_iter):
        a = _log_joint(x, weights, rates)
        trace.append(_total(a).sum())
        if t == 0 or again:
            r = shares(a)
            N, S = keep * N + r.sum(axis=0), keep * S + r.T @ x
        new, rates = _match(N, S)
        weights = new if weigh else weights
    trace.append(_total(_log_joint(x, weights, rates)).sum())
    return weights, rates, np.array(trace)


@fit.slip(
    "The sums were not emptied: each iteration adds its statistics to those of all iterations before, computed with "
    "older guesses. Begin each E-step with zeros."
)
def sums_not_emptied(x, weights, rates, n_iter):
    return _loop(x, weights, rates, n_iter, keep=1.0)


@fit.slip(
    "The E-step was done once, before the loop. After each M-step the rates have changed, and the counts have to be "
    "shared out again."
)
def shared_out_once(x, weights, rates, n_iter):
    return _loop(x, weights, rates, n_iter, again=False)


@fit.slip(
    "Each count went whole to its most probable component. This loop does not climb the log-likelihood in your trace."
)
def hard_loop(x, weights, rates, n_iter):
    return _loop(x, weights, rates, n_iter, shares=lambda a: _whole(_shares(a)))


@fit.slip(
    "The weights never changed. They are parameters like the rates: N[k] divided by the number of counts, in each "
    "M-step."
)
def weights_kept(x, weights, rates, n_iter):
    return _loop(x, weights, rates, n_iter, weigh=False)


@fit.slip(
    "The last log-likelihood belongs to the parameters before the last M-step, not to those that you return: run the"
    " E-step once more after the loop. (trace should begin with the start, once.)"
)
def one_step_late(x, weights, rates, n_iter):
    weights, rates, trace = _loop(x, weights, rates, n_iter)
    return weights, rates, np.concatenate([trace[:1], trace[:-1]])


@fit.slip("The trace is short by one: it should hold the log-likelihood of the start and that of the final parameters.")
def one_short(x, weights, rates, n_iter):
    weights, rates, trace = _loop(x, weights, rates, n_iter)
    return weights, rates, trace[:-1]


@fit.slip("This is the mean log-likelihood of a count. The log-likelihood of the data is the sum.")
def mean_for_sum(x, weights, rates, n_iter):
    weights, rates, trace = _loop(x, weights, rates, n_iter)
    return weights, rates, trace / len(x)


@fit.also
def components_the_other_way_round(x, weights, rates, n_iter):
    weights, rates, trace = _loop(x, weights, rates, n_iter)
    return weights[::-1], rates[::-1], list(trace)


# ---------------------------------------------------------------- 5
@exercise.function(
    returns={"index": "(d,)", "size": "(d,)"},
    story="""
        **What a Poisson cannot explain.** Its variance equals its mean. So for each of `d` genes compute the index
        $V/m$, with the divisor $n$ in the variance $V$. If it is above one, rates differ from cell to cell; a
        negative binomial has $V = m + m^2/r$, and hence the size

        $$r = \\frac{m^2}{V - m} .$$

        Where $V \\le m$ there is nothing for hidden rates to explain: the size is $\\infty$, a Poisson.
        """,
    hints=[
        "counts.mean(axis=0) and counts.var(axis=0) are one number for each gene; np.var has the divisor n.",
        "V - m may be negative. Decide with np.where, and do not divide by it there.",
        "excess = V - m; size = np.where(excess > 0, m**2 / np.where(excess > 0, excess, 1), np.inf)",
    ],
    after="""
        Some packages report $1/r$, call it dispersion, and speak of "high dispersion" where we speak of a small size.
        Look which one you have before you compare. These are estimates by moments: a start for a fit, and quick
        enough for twenty thousand genes.
        """,
)
def overdispersion(counts):
    """Variance over mean, and the size of a negative binomial with the same moments.

    Parameters
    ----------
    counts : array (n, d) of int
        Cells by genes; each gene was seen at least once.

    Returns
    -------
    index : array (d,)
        Variance divided by mean.
    size : array (d,)
        Size by the method of moments, inf where the variance does not exceed the mean.
    """
    m, V = counts.mean(axis=0), counts.var(axis=0)
    excess = V - m
    size = np.where(excess > 0, m**2 / np.where(excess > 0, excess, 1), np.inf)
    return V / m, size


@overdispersion.example
def _():
    cells = data.pbmc()
    genes = list(cells.genes)
    own = cells.counts[cells.cell_types == "CD14+ Monocyte"]
    return {"counts": own[:, [genes.index(name) for name in ("LYZ", "TYROBP", "CST3", "FTL")]].astype(int)}


@overdispersion.draws(
    """Variance against mean of four genes in monocytes, on logarithmic axes, with the line on which they are equal.
    TYROBP lies just above the line; CST3, FTL and LYZ lie three to ten times as high, each joined to the line."""
)
def _excess(ax, answer, counts):
    index = np.asarray(answer[0])
    m = counts.mean(axis=0)
    ends = np.array([m.min() / 2, m.max() * 2])
    ax.loglog(ends, ends, color="black", lw=1, label="variance = mean")
    for mean, ratio in zip(m, index, strict=True):
        ax.plot([mean, mean], [mean, mean * ratio], color="#767676", lw=1)
    ax.plot(m, m * index, "o", color="#0072b2", label="genes")
    ax.set(xlabel="mean count", ylabel="variance")
    ax.legend()


@overdispersion.cases
def _(rng):
    def case(n, d, size):
        m = rng.uniform(1, 8, size=d)
        counts = rng.poisson(rng.gamma(size, m / size, size=(n, d)))
        counts[0] = 30 + rng.integers(0, 9, size=d)  # more variance than mean, whatever was drawn
        counts[1] = 0
        return counts

    tight = case(40, 4, 1.0)
    tight[:, 1] = rng.binomial(4, 0.8, size=40)
    tight[:, 3] = 5 + np.arange(40) % 2
    return {
        "many cells": {"counts": case(60, 3, 1.5)},
        "one gene": {"counts": case(30, 1, 0.8)},
        "as many cells as genes": {"counts": case(5, 5, 2.0)},
        "genes with less variance than mean": {"counts": tight},
    }


overdispersion.check("counts that scatter", points=2, on=("many cells", "one gene"))
overdispersion.check("as many cells as genes", points=1, on="as many cells as genes")
overdispersion.check("genes that scatter less than a Poisson", points=1, on="genes with less variance than mean")


def _moments(counts, m, V):
    with np.errstate(divide="ignore", invalid="ignore"):
        return V / m, np.where(m < V, m**2 / (V - m), np.inf)


@overdispersion.slip("The index is upside down: overdispersed counts have variance / mean above one.")
def mean_over_variance(counts):
    index, size = _moments(counts, counts.mean(axis=0), counts.var(axis=0))
    return 1 / index, size


@overdispersion.slip(
    "This is 1/r, which some packages call dispersion. The size is its inverse, m**2 / (V - m): the larger, the "
    "nearer to a Poisson."
)
def dispersion_for_size(counts):
    index, size = _moments(counts, counts.mean(axis=0), counts.var(axis=0))
    return index, np.where(np.isinf(size), np.inf, 1 / size)


@overdispersion.slip("The mean is not squared: from V = m + m**2/r follows r = m**2 / (V - m).")
def not_squared(counts):
    m, V = counts.mean(axis=0), counts.var(axis=0)
    return V / m, np.where(m < V, m / np.abs(V - m), np.inf)


@overdispersion.slip(
    "Where the variance is below the mean your size is negative, which no negative binomial has. There is nothing to"
    " explain there: return np.inf."
)
def negative_sizes(counts):
    m, V = counts.mean(axis=0), counts.var(axis=0)
    return V / m, m**2 / (V - m)


@overdispersion.slip(
    "The standard deviation stands where the variance belongs. Poisson counts have *variance* equal to mean: use "
    "np.var."
)
def deviation_for_variance(counts):
    return _moments(counts, counts.mean(axis=0), counts.std(axis=0))


@overdispersion.slip("Moments were taken over the genes of each cell, axis 1. A gene is a column: axis 0.")
def of_each_cell(counts):
    return _moments(counts, counts.mean(axis=1), counts.var(axis=1))


@overdispersion.slip(
    "The variance has the divisor n - 1 here (ddof=1). A matter of taste, but the text asks for n, so that numbers "
    "agree."
)
def unbiased(counts):
    return _moments(counts, counts.mean(axis=0), counts.var(axis=0, ddof=1))


@overdispersion.also
def gene_by_gene(counts):
    index, size = [], []
    for column in counts.T:
        m = column.mean()
        V = (column**2).mean() - m**2
        index.append(V / m)
        size.append(m**2 / (V - m) if m < V else np.inf)
    return index, size


# ---------------------------------------------------------------- 6
@exercise.function(
    returns={"rate": "(n,)", "log_rate": "(n,)"},
    story="""
        **What exactly is filled in?** Let every count have a rate of its own, drawn from a gamma distribution with
        mean $m$ and shape $r$, the size. The rate is hidden, and the M-step wants two statistics of it, $\\lambda$
        and $\\log\\lambda$. Given its count the rate is gamma distributed with shape $x + r$ and rate parameter
        $1 + \\beta$, where $\\beta = r/m$. So the E-step returns

        $$\\mathrm E[\\lambda \\mid x] = \\frac{x + r}{1 + \\beta}, \\qquad
          \\mathrm E[\\log\\lambda \\mid x] = \\psi(x + r) - \\log(1 + \\beta),$$

        with $\\psi$ the digamma function, `digamma`.
        """,
    hints=[
        "beta = size / mean, and the rest is the two formulas.",
        "The second is not np.log of the first. digamma takes the place of the logarithm of x + r.",
        "return (x + size) / (1 + beta), digamma(x + size) - np.log(1 + beta)",
    ],
    after="""
        With `np.log(rate)` in place of the second formula the chapter's fit of the lamb loses all overdispersion
        within five steps. The expected rate is the best guess at a rate, and its logarithm is still not the expected
        logarithm: for a quiet interval of the lamb the two belong to very different rates. The E-step completes
        statistics.
        """,
)
def hidden_rates(x, mean, size):
    """Expected statistics of the hidden rate behind each count of a negative binomial.

    Parameters
    ----------
    x : array (n,) of int
        Counts.
    mean, size : float
        Mean and shape of the gamma distribution of rates.

    Returns
    -------
    rate : array (n,)
        Expected rate, given the count.
    log_rate : array (n,)
        Expected logarithm of the rate, given the count.
    """
    beta = size / mean
    return (x + size) / (1 + beta), digamma(x + size) - np.log(1 + beta)


@hidden_rates.example
def _():
    return {"x": np.array([0, 1, 2, 7]), "mean": 0.36, "size": 0.4}


@hidden_rates.draws(
    """For counts of 0, 1, 2 and 7 two points each, on a logarithmic axis: the expected rate, and below it the rate
    at the expected logarithm. For 0 they lie far apart, for 7 they nearly meet."""
)
def _two_rates(ax, answer, x, mean, size):
    rate, log_rate = np.asarray(answer[0]), np.asarray(answer[1])
    ax.semilogy(x, rate, "D", color="#0072b2", label="expected rate")
    ax.semilogy(x, np.exp(log_rate), "o", color="#d55e00", label="exp of expected logarithm")
    ax.axhline(mean, color="#767676", ls=":", lw=1)
    ax.set(xlabel="count", ylabel="rate", xticks=list(x))
    ax.legend()


@hidden_rates.cases
def _(rng):
    def case(n, mean, size):
        x = rng.poisson(rng.gamma(min(size, 50.0), mean / min(size, 50.0), size=n))
        x[0] = 1 + rng.integers(0, 4)
        return {"x": x, "mean": float(mean), "size": float(size)}

    return {
        "like the lamb": case(8, rng.uniform(0.3, 0.5), rng.uniform(0.3, 0.6)),
        "molecules": case(7, rng.uniform(20, 60), rng.uniform(1.5, 3)),
        "no count at all": {**case(5, rng.uniform(1, 3), rng.uniform(0.2, 0.4)), "x": np.zeros(5, dtype=int)},
        "nearly a Poisson": case(6, rng.uniform(2, 5), 1e6),
        "one count": case(1, rng.uniform(2, 5), rng.uniform(0.5, 2)),
    }


hidden_rates.check("counts of all sizes", points=3, on=("like the lamb", "molecules", "one count"))
hidden_rates.check("counts of zero", points=1, on="no count at all")
hidden_rates.check("a size so large that all rates are equal", points=1, on=("nearly a Poisson", "like the lamb"))


@hidden_rates.slip(
    "You took the logarithm of the expected rate. The expected logarithm is smaller, by Jensen's inequality, and "
    "with the filled-in rate the estimated size explodes: use digamma(x + r)."
)
def logarithm_of_the_expectation(x, mean, size):
    rate = (x + size) / (1 + size / mean)
    return rate, np.log(rate)


@hidden_rates.slip("beta is upside down: a gamma distribution with shape r and mean m has the rate parameter r/m.")
def beta_inverted(x, mean, size):
    beta = mean / size
    return (x + size) / (1 + beta), digamma(x + size) - np.log(1 + beta)


@hidden_rates.slip(
    "The 1 in 1 + beta is missing. The count is one observation of its rate, and adds one to the rate parameter as "
    "it adds x to the shape."
)
def own_observation_forgotten(x, mean, size):
    beta = size / mean
    return (x + size) / beta, digamma(x + size) - np.log(beta)


@hidden_rates.slip(
    "The count itself was taken for its rate. A count of 0 does not mean a rate of 0: the expected rate is drawn "
    "towards the mean."
)
def counts_as_rates(x, mean, size):
    return x.astype(float), np.log(np.maximum(x, 1e-10))


@hidden_rates.slip(
    "This is what is known of the rate *before* its count: the same for all. Given x, the shape is x + r."
)
def before_the_count(x, mean, size):
    return np.full(len(x), mean), np.full(len(x), digamma(size) - np.log(size / mean))


@hidden_rates.slip(
    "The size is missing beside x in digamma. The gamma distribution of the rate has the shape x + r, in both "
    "statistics."
)
def size_forgotten(x, mean, size):
    beta = size / mean
    return (x + size) / (1 + beta), digamma(np.maximum(x, 1)) - np.log(1 + beta)


@hidden_rates.also
def by_scipy_gamma(x, mean, size):
    from scipy.special import psi

    shape, scale = x + size, mean / (mean + size)
    return list(shape * scale), list(psi(shape) + np.log(scale))


# ---------------------------------------------------------------- 7
@exercise.function(
    returns={"probs": "(K, d)"},
    story="""
        **Data nobody has seen.** Now boxes, ticked or not: `ticks` (n, d) holds zeros and ones, `shares` (n, K) the
        responsibilities. The M-step is the share of ticked boxes among the cells credited. If no cell of a component
        has ticked a box, its probability is 0 and will be for ever. So add to each component, and for each box, cells
        that nobody has seen: `ticked` of them with the box ticked, and `empty` with the box empty,

        $$p_{kj} = \\frac{\\sum_i r_{ik}\\, x_{ij} + \\text{ticked}}
          {\\sum_i r_{ik} + \\text{ticked} + \\text{empty}} .$$

        Half a cell each is the chapter's `BetaPrior(1.5, 1.5)`.
        """,
    hints=[
        "Without the unseen cells it is shares.T @ ticks divided by N, row by row.",
        "They are added to the sums, once. All unseen cells count in the denominator, ticked or empty.",
        "return (shares.T @ ticks + ticked) / (shares.sum(axis=0)[:, None] + ticked + empty)",
    ],
    after="""
        The whole cost of a prior is one addition. Where a component has many cells the half cells drown; where it has
        none, $p$ is ticked / (ticked + empty), which is what one believed before. What climbs in a fit with a prior
        is the log *posterior*.
        """,
)
def with_prior(ticks, shares, ticked, empty):
    """Probability of each box in each component, with cells that nobody has seen.

    Parameters
    ----------
    ticks : array (n, d) of int
        1 where a cell has ticked a box, else 0.
    shares : array (n, K)
        Responsibilities.
    ticked, empty : float
        Unseen cells of each component that have ticked each box, and that have not.

    Returns
    -------
    probs : array (K, d)
    """
    N = shares.sum(axis=0)[:, None]
    return (shares.T @ ticks + ticked) / (N + ticked + empty)


@with_prior.example
def _():
    return {
        "ticks": np.array([[1, 0, 1], [1, 0, 0], [1, 1, 0], [1, 1, 0]]),
        "shares": np.array([[1.0, 0.0], [0.9, 0.1], [0.2, 0.8], [0.0, 1.0]]),
        "ticked": 0.5,
        "empty": 0.5,
    }


@with_prior.cases
def _(rng):
    def case(n, d, K, ticked, empty):
        shares = rng.dirichlet(np.linspace(0.6, 1.5, K), size=n)
        ticks = (rng.uniform(size=(n, d)) < rng.uniform(0.3, 0.8, size=d)).astype(int)
        ticks[0], ticks[1] = 1, 0  # each box both ways
        return {"ticks": ticks, "shares": shares, "ticked": ticked, "empty": empty}

    never = case(12, 3, 2, 0.5, 0.5)
    never["ticks"][:, 1] = 0
    never["ticks"][:, 2] = 1
    starved = case(10, 3, 3, float(rng.uniform(0.3, 0.8)), float(rng.uniform(1.2, 2)))
    starved["shares"][:, 1] += starved["shares"][:, 2]
    starved["shares"][:, 2] = 0.0
    return {
        "half a cell each": case(14, 4, 2, 0.5, 0.5),
        "unequal": case(11, 3, 3, float(rng.uniform(0.2, 0.6)), float(rng.uniform(2, 4))),
        "boxes that all or none have ticked": never,
        "a component without cells": starved,
        "no prior": case(9, 3, 2, 0.0, 0.0),
    }


with_prior.check("half a cell of each kind, and unequal numbers", points=3, on=("half a cell each", "unequal"))
with_prior.check("boxes that all or none have ticked", points=1, on="boxes that all or none have ticked")
with_prior.check(
    "a component without cells, and no prior at all", points=1, on=("a component without cells", "no prior")
)


def _boxes(ticks, shares, above, below):
    return (shares.T @ ticks + above) / (shares.sum(axis=0)[:, None] + below)


@with_prior.slip(
    "The unseen cells stand in the numerator only, and a probability may come out above one. They are cells like "
    "others: add ticked + empty to the denominator."
)
def numerator_only(ticks, shares, ticked, empty):
    return _boxes(ticks, shares, ticked, 0)


@with_prior.slip(
    "The unseen cells with the box empty are missing in the denominator. They are what keeps a probability from "
    "being 1."
)
def empties_forgotten(ticks, shares, ticked, empty):
    return _boxes(ticks, shares, ticked, ticked)


@with_prior.slip(
    "There is no prior here. A box that none of the credited cells has ticked gets the probability 0, for ever."
)
def prior_forgotten(ticks, shares, ticked, empty):
    return _boxes(ticks, shares, 0, 0)


@with_prior.slip(
    "The pseudo-counts were added for every cell, so that the prior is as strong as the data, however many they are."
    " Add them once, to the sums."
)
def added_to_each_cell(ticks, shares, ticked, empty):
    N = shares.sum(axis=0)[:, None]
    return _boxes(ticks, shares, N * ticked, N * (ticked + empty))


@with_prior.slip("The denominator is the number of all cells. A component has N[k] of them, the sum of its shares.")
def n_for_N_k(ticks, shares, ticked, empty):
    return (shares.T @ ticks + ticked) / (len(ticks) + ticked + empty)


@with_prior.slip(
    "You took ticked and empty for the parameters a and b of a beta density, and subtracted 1 from each. They are "
    "numbers of cells: a - 1 and b - 1 already."
)
def as_beta_parameters(ticks, shares, ticked, empty):
    return _boxes(ticks, shares, ticked - 1, ticked + empty - 2)


@with_prior.slip("Each cell went whole to its most probable component. The M-step takes the shares as they are.")
def whole_cells(ticks, shares, ticked, empty):
    return _boxes(ticks, _whole(shares), ticked, ticked + empty)


@with_prior.also
def unseen_rows(ticks, shares, ticked, empty):
    """The unseen cells as rows of the table, with shares of their own."""
    K, d = shares.shape[1], ticks.shape[1]
    more_ticks = np.vstack([ticks, np.ones((1, d)), np.zeros((1, d))])
    more_shares = np.vstack([shares, np.full((1, K), ticked), np.full((1, K), empty)])
    return more_shares.T @ more_ticks / more_shares.sum(axis=0)[:, None]
