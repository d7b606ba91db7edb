"""Exercise of chapter 1: two coins, first with their names noted, then without."""

import numpy as np
from scipy.special import comb, xlogy
from scipy.stats import binom

from ..compare import close
from ..contract import Exercise

exercise = Exercise(
    "incomplete_data",
    title="The puzzle of incomplete information",
    minutes=75,
    objectives=[
        "estimate the coins from complete notes, and say what to divide by what;",
        "share out each set by Bayes' rule, and turn the shares into expected counts;",
        "write the log-likelihood of incomplete data, a sum of logarithms of sums;",
        "put E-step and M-step into a loop, and arrive at the chapter's numbers.",
    ],
    intro="""
        Somebody picks one of two coins, flips it a few times, writes down the number of heads, and puts it back. In
        chapter 1 each set had ten flips. Here a set has as many flips as patience lasted, so besides `heads` (n,)
        there is `flips` (n,), and it matters what you divide by.

        The coins are A and B, in this order, everywhere: `theta` is an array of two chances of heads, `theta[0]` that
        of A and `theta[1]` that of B. And as in the chapter **each set is equally likely to have come from either
        coin. The weights ½ and ½ are known and stay fixed**; nothing here estimates them.
        """,
    setup="""
        from scipy.stats import binom

        # The five sets of the chapter.
        heads = np.array([5, 9, 8, 4, 7])
        flips = np.array([10, 10, 10, 10, 10])
        """,
    outro="""
        Run your `climb` on the five sets from (0.5, 0.6): the numbers are the same, with the names exchanged. Then
        run it from (0.66, 0.66), and from (0.66, 0.6600001), with 60 iterations each. Why does one of them never
        leave the pass? Chapter 3 works out how long such a start takes.
        """,
)

A, B = 0, 1


# ---------------------------------------------------------------- inputs
def _sets(rng, flips, theta):
    """Heads and coins of sets with these numbers of flips; the coins take turns, so that both occur."""
    coin = rng.permutation(np.arange(len(flips)) % 2)
    return rng.binomial(flips, np.asarray(theta)[coin]), coin


def _unequal(rng):
    """Numbers of flips that nobody takes for equal."""
    return rng.permutation([3, 7, 10, 14, 20, 31]) + rng.integers(0, 2, size=6)


def _coins(rng):
    """Two coins that differ."""
    return np.array([rng.uniform(0.65, 0.85), rng.uniform(0.3, 0.5)])


def _probabilities(heads, flips, theta):
    tails = flips - heads
    return comb(flips, heads)[:, None] * theta ** heads[:, None] * (1 - theta) ** tails[:, None]


def _shares(heads, flips, theta, weights=(0.5, 0.5)):
    joint = np.asarray(weights) * _probabilities(heads, flips, theta)
    return joint / joint.sum(axis=1, keepdims=True)


def _whole(shares):
    """All of a set to the coin with the larger share."""
    return (shares == shares.max(axis=1, keepdims=True)).astype(float)


# ---------------------------------------------------------------- 1
@exercise.function(
    returns={"theta": "(2,)"},
    story="""
        **The notes are complete.** `coin` says for each set which coin was flipped, 0 for A and 1 for B. There is
        nothing to do but count: the chance of heads of a coin is estimated by *its* heads divided by *its* flips,

        $$\\theta_k = \\frac{\\sum_{i:\\, z_i = k} x_i}{\\sum_{i:\\, z_i = k} n_i},$$

        with $x_i$ heads in the $n_i$ flips of set $i$, whose coin is $z_i$. For the chapter's notes that makes 0.80
        and 0.45.
        """,
    hints=[
        "coin == 0 is an array of True and False that picks out the sets of A. What is heads[coin == 0].sum()?",
        "Add first, divide afterwards: heads[coin == k].sum() / flips[coin == k].sum(), for k = 0 and for k = 1.",
    ],
    after="""
        Adding before dividing gives every *flip* the same say. The mean of the sets' proportions gives every *set*
        the same say, so that three flips would count as much as thirty. With ten flips in every set one cannot tell
        the two apart, which is how the wrong one gets into programs.
        """,
)
def labelled(heads, flips, coin):
    """Chances of heads when it is known which coin was flipped.

    Parameters
    ----------
    heads, flips : arrays (n,) of int
        Heads and flips of each set.
    coin : array (n,) of int
        0 for coin A, 1 for coin B. Both occur.

    Returns
    -------
    theta : array (2,)
        Estimates for A and for B.
    """
    theta = [heads[coin == k].sum() / flips[coin == k].sum() for k in (0, 1)]
    return np.array(theta)


@labelled.example
def _():
    return {
        "heads": np.array([5, 9, 8, 4, 7]),
        "flips": np.array([10, 10, 10, 10, 10]),
        "coin": np.array([1, 0, 0, 1, 0]),
    }


@labelled.cases
def _(rng):
    def case(flips, theta, coin=None):
        heads, coins = _sets(rng, flips, theta)
        if coin is not None:
            coins, heads = coin, rng.binomial(flips, np.asarray(theta)[coin])
        return {"heads": heads, "flips": flips, "coin": coins}

    unequal = case(_unequal(rng), _coins(rng))
    lonely = case(_unequal(rng), _coins(rng), np.where(np.arange(6) == rng.integers(6), B, A))
    never = case(_unequal(rng), [0.0, 0.6])
    never["heads"][never["coin"] == B] += 1  # at least one
    never["flips"][never["coin"] == B] += 1
    return {
        "ten flips each": case(np.full(7, 10), _coins(rng)),
        "unequal numbers of flips": unequal,
        "one set of coin B": lonely,
        "coin A never shows heads": never,
    }


labelled.check("ten flips in every set", points=1, on="ten flips each")
labelled.check(
    "sets of different length",
    points=2,
    on=("unequal numbers of flips", "one set of coin B", "coin A never shows heads"),
)


@labelled.slip(
    "You took the mean of the sets' proportions. Then a set of three flips counts as much as one of thirty. Add the "
    "heads of a coin and add its flips first, and divide once."
)
def mean_of_proportions(heads, flips, coin):
    return np.array([(heads / flips)[coin == k].mean() for k in (A, B)])


@labelled.slip(
    "You divided the heads of each coin by the flips of both. Coin A had no chance to show heads while B was "
    "flipped: divide by its own flips."
)
def flips_of_both(heads, flips, coin):
    return np.array([heads[coin == k].sum() / flips.sum() for k in (A, B)])


@labelled.slip(
    "This is the number of heads in a set on average. It is divided by sets; a chance of heads is a share of flips."
)
def heads_per_set(heads, flips, coin):
    return np.array([heads[coin == k].mean() for k in (A, B)])


@labelled.slip(
    "This says which share of all heads came from each coin. The question is how often a coin shows heads when it is"
    " flipped."
)
def share_of_the_heads(heads, flips, coin):
    return np.array([heads[coin == k].sum() / heads.sum() for k in (A, B)])


@labelled.slip("The numbers are right, in the wrong order: 0 is coin A and comes first.")
def b_first(heads, flips, coin):
    return np.array([heads[coin == k].sum() / flips[coin == k].sum() for k in (B, A)])


@labelled.also
def set_by_set(heads, flips, coin):
    h, n = [0, 0], [0, 0]
    for x, m, k in zip(heads, flips, coin, strict=True):
        h[k] += x
        n[k] += m
    return [h[0] / n[0], h[1] / n[1]]


@labelled.also
def by_bincount(heads, flips, coin):
    return (np.bincount(coin, weights=heads) / np.bincount(coin, weights=flips)).astype(np.float32)


# ---------------------------------------------------------------- 2
@exercise.function(
    returns={"P": "(n, 2)"},
    story="""
        Now take the letters away. Before a set can be shared out, each coin must say how probable it is:

        $$P(x_i \\mid \\theta_k) = \\binom{n_i}{x_i}\\, \\theta_k^{x_i} (1 - \\theta_k)^{n_i - x_i},$$

        a table with a row for each set and a column for each coin. The binomial coefficient counts the orders in
        which $x_i$ heads can fall. It belongs to the probability of the *number* of heads, which is what was written
        down.
        """,
    hints=[
        "heads is (n,) and theta is (2,). To get every pair, give heads and flips a second axis: heads[:, None] is "
        "(n, 1).",
        "scipy.stats has the whole formula: binom.pmf(x, n, p). It broadcasts like arithmetic does.",
        "return binom.pmf(heads[:, None], flips[:, None], theta)",
    ],
    after="""
        The coefficient is the same for both coins, so it will cancel when the set is shared out. In the
        log-likelihood it does not cancel; it shifts the whole curve by a constant, and programs that leave it out
        report numbers that cannot be compared with ours.
        """,
)
def probabilities(heads, flips, theta):
    """Probability of each set under each coin.

    Parameters
    ----------
    heads, flips : arrays (n,) of int
        Heads and flips of each set.
    theta : array (2,)
        Chances of heads of A and of B; they may be 0 or 1.

    Returns
    -------
    P : array (n, 2)
        Binomial probability of heads[i] in flips[i] flips with chance theta[k].
    """
    return binom.pmf(heads[:, None], flips[:, None], theta)


@probabilities.example
def _():
    return {"heads": np.array([5, 9, 8]), "flips": np.array([10, 10, 10]), "theta": np.array([0.6, 0.5])}


@probabilities.cases
def _(rng):
    def case(flips, theta):
        return {"heads": _sets(rng, flips, theta)[0], "flips": flips, "theta": theta}

    edges = np.array([4, 4, 9, 9, 6])
    return {
        "ten flips each": case(np.full(5, 10), _coins(rng)),
        "unequal numbers of flips": case(_unequal(rng), _coins(rng)),
        "all heads and no heads": {"heads": np.array([0, 4, 0, 9, 3]), "flips": edges, "theta": _coins(rng)},
        "a coin that never shows tails": {
            "heads": np.array([4, 3, 9, 0, 6]),
            "flips": edges,
            "theta": np.array([1.0, rng.uniform(0.3, 0.7)]),
        },
    }


probabilities.check(
    "ten flips each, and sets of different length", points=3, on=("ten flips each", "unequal numbers of flips")
)
probabilities.check(
    "no heads, no tails, and a coin that has only heads",
    points=1,
    on=("all heads and no heads", "a coin that never shows tails"),
)


@probabilities.slip(
    "The binomial coefficient is missing. Without it you have the probability of one particular order of heads and "
    "tails; the notes give their number only, and many orders lead to it."
)
def one_order(heads, flips, theta):
    return theta ** heads[:, None] * (1 - theta) ** (flips - heads)[:, None]


@probabilities.slip("The tails are missing: each contributes a factor 1 - theta, and there are flips - heads of them.")
def tails_forgotten(heads, flips, theta):
    return comb(flips, heads)[:, None] * theta ** heads[:, None]


@probabilities.slip(
    "1 - theta is raised to the number of flips. Only the tails contribute such a factor: flips - heads of them."
)
def all_flips_as_tails(heads, flips, theta):
    return comb(flips, heads)[:, None] * theta ** heads[:, None] * (1 - theta) ** flips[:, None]


@probabilities.slip(
    "This has the weight 1/2 in it. That will be needed, but later: here each coin speaks for itself, and the "
    "probabilities of all numbers of heads from 0 to n_i should sum to one."
)
def weighted_already(heads, flips, theta):
    return 0.5 * _probabilities(heads, flips, theta)


@probabilities.slip(
    "This is the probability of so many heads *or fewer* (cdf). Wanted is that of exactly so many (pmf)."
)
def or_fewer(heads, flips, theta):
    return binom.cdf(heads[:, None], flips[:, None], theta)


@probabilities.slip("There are ten flips in every set of the chapter, but not here: use flips[i].")
def always_ten(heads, flips, theta):
    return binom.pmf(heads[:, None], 10, theta)


@probabilities.also
def by_powers(heads, flips, theta):
    return _probabilities(heads, flips, theta)


@probabilities.also
def one_by_one(heads, flips, theta):
    import math

    return [
        [math.comb(int(n), int(x)) * t ** int(x) * (1 - t) ** int(n - x) for t in theta]
        for x, n in zip(heads, flips, strict=True)
    ]


# ---------------------------------------------------------------- 3
def _rows_sum_to_one(answer, inputs):
    sums = np.asarray(answer, float).sum(axis=1)
    worst = np.abs(sums - 1).argmax()
    if abs(sums[worst] - 1) > 1e-6:
        return f"the shares of one set should sum to 1; those of set {worst} sum to {sums[worst]:.4g}"
    return None


@exercise.function(
    returns={"shares": "(n, 2)"},
    story="""
        **The E-step, first half.** Which coin made this set? Nobody knows, but Bayes' rule says with what
        probability:

        $$r_{ik} = \\frac{\\tfrac12 P(x_i \\mid \\theta_k)}
          {\\tfrac12 P(x_i \\mid \\theta_A) + \\tfrac12 P(x_i \\mid \\theta_B)}.$$

        The prior probabilities are the fixed weights, one half each. Column 0 is the share of A, column 1 that of B.
        """,
    hints=[
        "You have P already. The shares are P made to sum to one. Over what: over the sets, or over the coins?",
        "P.sum(axis=1) is one sum for each set. To divide a table (n, 2) by it row by row, keep the axis: "
        "P.sum(axis=1, keepdims=True).",
        "P = probabilities(heads, flips, theta), then return P / P.sum(axis=1, keepdims=True). The halves cancel.",
    ],
    after="""
        Both the halves and the binomial coefficients cancel, since they stand in the numerator and in each term of
        the denominator. What remains is a comparison of the two coins on this one set. A set that both explain badly
        is shared out like any other: the shares sum to one.
        """,
    compare=close(rule=_rows_sum_to_one),
)
def shares(heads, flips, theta):
    """Probability that each set came from each coin, with equal fixed weights.

    Parameters
    ----------
    heads, flips : arrays (n,) of int
        Heads and flips of each set.
    theta : array (2,)
        Present guess at the chances of heads of A and of B; they may be 0 or 1.

    Returns
    -------
    shares : array (n, 2)
        Posterior probability of coin k given set i. Each row sums to one.
    """
    P = probabilities(heads, flips, theta)
    return P / P.sum(axis=1, keepdims=True)


@shares.example
def _():
    return {
        "heads": np.array([5, 9, 8, 4, 7]),
        "flips": np.array([10, 10, 10, 10, 10]),
        "theta": np.array([0.6, 0.5]),
    }


@shares.draws(
    """Five bars, one for each set, each cut into the shares of two coins. Coin A has .45 of the set with 5 heads,
    .80 of that with 9, .73 of that with 8, .35 of that with 4, and .65 of that with 7."""
)
def _bars(ax, answer, heads, flips, theta):
    from ...view.figures import share_bars

    share_bars(ax, answer, ["coin A", "coin B"], [f"{x} of {n}" for x, n in zip(heads, flips, strict=True)])
    ax.set(xlabel="share of the set", ylabel="set")


@shares.cases
def _(rng):
    def case(flips, theta):
        return {"heads": _sets(rng, flips, theta)[0], "flips": flips, "theta": theta}

    return {
        "unequal numbers of flips": case(_unequal(rng), _coins(rng)),
        "many flips": case(rng.integers(80, 130, size=5), np.array([0.6, 0.52]) + rng.uniform(-0.03, 0.03, size=2)),
        "two sets": {
            "heads": np.array([2, 6]),
            "flips": np.array([5, 8]),
            "theta": _coins(rng),
        },
        "a coin that never shows tails": {
            "heads": np.array([4, 3, 9, 0]),
            "flips": np.array([4, 4, 9, 6]),
            "theta": np.array([1.0, rng.uniform(0.3, 0.7)]),
        },
    }


shares.check("sets of different length, short and long", points=3, on=("unequal numbers of flips", "many flips"))
shares.check("as many sets as coins: rows, not columns", points=1, on="two sets")
shares.check("a coin that never shows tails", points=1, on="a coin that never shows tails")


@shares.slip(
    "These are the probabilities of the sets under the coins, P(set | coin). Wanted is the reverse, P(coin | set): "
    "multiply by the weights and divide each row by its sum."
)
def likelihood_for_posterior(heads, flips, theta):
    return _probabilities(heads, flips, theta)


@shares.slip(
    "You multiplied by the weight 1/2 and stopped: that is the joint probability of the coin and the set. Divide "
    "each row by its sum."
)
def joint_for_posterior(heads, flips, theta):
    return 0.5 * _probabilities(heads, flips, theta)


@shares.slip(
    "These shares sum to one over the sets, for each coin. It is the set that is shared between the coins: sum over "
    "the coins, along axis 1."
)
def over_the_sets(heads, flips, theta):
    P = _probabilities(heads, flips, theta)
    return P / P.sum(axis=0)


@shares.slip(
    "Each set went whole to the coin that explains it better. A set with .201 against .246 is hardly evidence at "
    "all; the E-step shares it, .45 to .55."
)
def hard(heads, flips, theta):
    return _whole(_shares(heads, flips, theta))


@shares.slip("Only the heads were weighed. Each tail is evidence too, with a factor 1 - theta.")
def heads_only(heads, flips, theta):
    P = theta ** heads[:, None]
    return P / P.sum(axis=1, keepdims=True)


@shares.slip("The columns are exchanged: coin A comes first.")
def b_first_column(heads, flips, theta):
    return _shares(heads, flips, theta)[:, ::-1]


@shares.slip(
    "0 times log 0 is nan to the computer, but zero tails of a coin without tails are no contradiction: 0**0 is 1. "
    "Use powers, or scipy.special.xlogy, which knows."
)
def zero_log_zero(heads, flips, theta):
    a = heads[:, None] * np.log(theta) + (flips - heads)[:, None] * np.log(1 - theta)
    r = np.exp(a - a.max(axis=1, keepdims=True))
    return r / r.sum(axis=1, keepdims=True)


@shares.also
def without_the_coefficient(heads, flips, theta):
    P = theta ** heads[:, None] * (1 - theta) ** (flips - heads)[:, None]
    return (P / P.sum(axis=1, keepdims=True)).astype(np.float32)


@shares.also
def by_odds(heads, flips, theta):
    log = xlogy(heads[:, None], theta) + xlogy((flips - heads)[:, None], 1 - theta)
    a = 1 / (1 + np.exp(log[:, B] - log[:, A]))
    return np.asfortranarray(np.stack([a, 1 - a], axis=1))


# ---------------------------------------------------------------- 4
@exercise.function(
    returns={"heads_credited": "(2,)", "flips_credited": "(2,)"},
    story="""
        **The E-step, second half.** The shares are not yet what the next estimate needs. It needs *counts*: how many
        heads, and how many flips, do we expect each coin to have had?

        $$\\text{heads of } k:\\ \\sum_i r_{ik}\\, x_i, \\qquad \\text{flips of } k:\\ \\sum_i r_{ik}\\, n_i .$$

        A set that is .45 of an A brings A .45 of its heads and .45 of its flips. These are expected counts, and they
        are not whole numbers.
        """,
    hints=[
        "For coin A: multiply each set's heads by A's share of the set, and add up over the sets.",
        "Sums of products over the sets, for both coins at once, are a product of a matrix and a vector: shares.T is"
        " (2, n).",
        "return shares.T @ heads, shares.T @ flips",
    ],
    after="""
        In the chapter's table the last line is exactly this: 21.30 heads in 29.87 flips for A, 11.70 in 20.13 for B.
        Together they are the 33 heads and 50 flips that were seen. Nothing is lost when data are shared out, which
        makes a good test of a program.
        """,
)
def credit(heads, flips, shares):
    """Expected heads and flips of each coin.

    Parameters
    ----------
    heads, flips : arrays (n,) of int
        Heads and flips of each set.
    shares : array (n, 2)
        Probability of each coin given each set.

    Returns
    -------
    heads_credited : array (2,)
    flips_credited : array (2,)
        For A and for B.
    """
    return shares.T @ heads, shares.T @ flips


@credit.example
def _():
    return {
        "heads": np.array([5, 9, 8, 4, 7]),
        "flips": np.array([10, 10, 10, 10, 10]),
        "shares": np.array([[0.4491, 0.5509], [0.8050, 0.1950], [0.7335, 0.2665], [0.3522, 0.6478], [0.6472, 0.3528]]),
    }


def _with_shares(rng):
    def case(flips, shares=None):
        theta = _coins(rng)
        shares = rng.dirichlet([1.3, 0.9], size=len(flips)) if shares is None else shares
        return {"heads": rng.binomial(flips - 2, theta.mean(), size=len(flips)) + 1, "flips": flips, "shares": shares}

    certain = rng.permutation(np.arange(6) % 2)
    return {
        "ten flips each": case(np.full(7, 10)),
        "unequal numbers of flips": case(_unequal(rng)),
        "one set": case(
            np.array([rng.integers(8, 30)]), np.array([[0.3, 0.7]]) + rng.uniform(-0.1, 0.1) * np.array([[1, -1]])
        ),
        "certain shares": case(_unequal(rng), np.stack([1 - certain, certain], axis=1)),
    }


credit.cases(_with_shares)
credit.check("sets of different length", points=3, on=("unequal numbers of flips", "ten flips each"))
credit.check("a single set, and shares that are certain", points=1, on=("one set", "certain shares"))


@credit.slip(
    "The second part holds the tails credited to each coin, not the flips. A flip is a head or a tail: use flips, "
    "not flips - heads."
)
def tails_for_flips(heads, flips, shares):
    return shares.T @ heads, shares.T @ (flips - heads)


@credit.slip(
    "Both coins are credited with all flips. Share the flips out as you shared the heads; then both together have "
    "them all, once."
)
def flips_not_shared(heads, flips, shares):
    return shares.T @ heads, np.full(2, float(flips.sum()))


@credit.slip(
    "The second part is the number of *sets* credited to each coin, the sum of its shares. Each set brings as many "
    "flips as it has: sum shares times flips."
)
def sets_for_flips(heads, flips, shares):
    return shares.T @ heads, shares.sum(axis=0).astype(float)


@credit.slip("Each set went whole to the coin with the larger share. Credit both coins, in proportion.")
def whole_sets(heads, flips, shares):
    return _whole(shares).T @ heads, _whole(shares).T @ flips


@credit.slip(
    "The credits of each set were rounded to whole heads and flips. These are expected counts, and .45 of five heads"
    " is 2.25. Rounding throws away the doubt."
)
def rounded(heads, flips, shares):
    return np.round(shares.T * heads).sum(axis=1), np.round(shares.T * flips).sum(axis=1)


@credit.also
def coin_by_coin(heads, flips, shares):
    h, n = [0.0, 0.0], [0.0, 0.0]
    for k in range(2):
        for i in range(len(heads)):
            h[k] += shares[i, k] * heads[i]
            n[k] += shares[i, k] * flips[i]
    return h, n


# ---------------------------------------------------------------- 5
@exercise.function(
    returns={"theta": "(2,)"},
    story="""
        **The M-step.** With expected counts in place of the unknown ones it is "heads divided by flips" again:

        $$\\theta_k = \\frac{\\sum_i r_{ik}\\, x_i}{\\sum_i r_{ik}\\, n_i} .$$

        This is the new guess. What you started from, (0.6, 0.5), was not an estimate of anything; the first estimate
        is what this function returns.
        """,
    hints=[
        "You have written numerator and denominator already: credit returns both.",
        "h, n = credit(heads, flips, shares), and then divide.",
    ],
    after="""
        If every share is 0 or 1, this is the first function of the exercise, for a known label is a share without
        doubt. EM on complete data is one M-step, and it is done.
        """,
)
def recount(heads, flips, shares):
    """Chances of heads that maximise the expected complete-data log-likelihood.

    Parameters
    ----------
    heads, flips : arrays (n,) of int
        Heads and flips of each set.
    shares : array (n, 2)
        Probability of each coin given each set.

    Returns
    -------
    theta : array (2,)
        New guess for A and for B.
    """
    heads_credited, flips_credited = credit(heads, flips, shares)
    return heads_credited / flips_credited


@recount.example
def _():
    return credit.example_inputs()


recount.cases(_with_shares)
recount.check("ten flips in every set", points=1, on="ten flips each")
recount.check("sets of different length, and a single one", points=3, on=("unequal numbers of flips", "one set"))
recount.check("shares that are certain", points=1, on=("certain shares", "unequal numbers of flips"))


@recount.slip(
    "You averaged the sets' proportions, weighted by the shares. A set of three flips then counts as much as one of "
    "thirty. Add up the heads credited and the flips credited, and divide once."
)
def mean_of_weighted_proportions(heads, flips, shares):
    return shares.T @ (heads / flips) / shares.sum(axis=0)


@recount.slip(
    "You divided by all flips. A coin was credited with a part of them only: divide by the *expected* flips of the "
    "coin, the sum of shares times flips."
)
def all_flips(heads, flips, shares):
    return shares.T @ heads / flips.sum()


@recount.slip(
    "You divided by the number of sets credited, the sum of the shares. That gives heads per set; multiply each "
    "share by the flips of its set."
)
def per_set(heads, flips, shares):
    return shares.T @ heads / shares.sum(axis=0)


@recount.slip(
    "You divided by ten times the sum of the shares, as in the chapter. Here the sets have different numbers of "
    "flips: take flips[i]."
)
def ten_flips(heads, flips, shares):
    return shares.T @ heads / (10 * shares.sum(axis=0))


@recount.slip("Each set went whole to the coin with the larger share. The M-step takes the shares as they are.")
def from_whole_sets(heads, flips, shares):
    return _whole(shares).T @ heads / np.maximum(_whole(shares).T @ flips, 1)


@recount.slip(
    "This divides heads by tails: those are odds. The chance of heads is heads divided by all flips of the coin."
)
def odds(heads, flips, shares):
    return shares.T @ heads / (shares.T @ (flips - heads))


@recount.slip(
    "theta[1] is 1 - theta[0] here. But these are two different coins, and their chances of heads need not sum to one."
)
def b_is_the_rest(heads, flips, shares):
    a = shares[:, A] @ heads / (shares[:, A] @ flips)
    return np.array([a, 1 - a])


@recount.also
def by_average(heads, flips, shares):
    return [np.average(heads / flips, weights=shares[:, k] * flips) for k in (A, B)]


# ---------------------------------------------------------------- 6
@exercise.function(
    returns={"log_likelihood": "()"},
    story="""
        **How good is a guess?** By how probable it makes what was seen. A set may come from either coin, so its
        probability is a sum, and the log-likelihood of the incomplete data is a sum of logarithms of sums:

        $$\\ell(\\theta) = \\sum_i \\log \\Bigl[
          \\tfrac12 P(x_i \\mid \\theta_A) + \\tfrac12 P(x_i \\mid \\theta_B) \\Bigr].$$

        **We keep the binomial coefficients and the halves**, as the chapter does, so that your numbers are the
        chapter's. Use the natural logarithm. There may be hundreds of sets.
        """,
    hints=[
        "One number for each set first: half of P for A plus half of P for B. Then the logarithm of each, then the "
        "sum.",
        "P.mean(axis=1) is half of the one column plus half of the other. What goes wrong if you multiply 600 such "
        "numbers?",
        "return np.log(probabilities(heads, flips, theta).mean(axis=1)).sum()",
    ],
    after="""
        The order of the operations is the whole point. Sum over the coins inside the logarithm, because a set comes
        from one *or* the other; sum over the sets outside, because we saw one *and* the next. And take the logarithm
        of each set before adding: the product of 600 probabilities is below the smallest number of the computer.
        """,
)
def log_likelihood(heads, flips, theta):
    """Log-likelihood of sets whose coins were not noted, with equal fixed weights.

    Parameters
    ----------
    heads, flips : arrays (n,) of int
        Heads and flips of each set.
    theta : array (2,)
        Chances of heads of A and of B; they may be 0 or 1.

    Returns
    -------
    log_likelihood : float
        In nats, binomial coefficients included.
    """
    P = probabilities(heads, flips, theta)
    return np.log(0.5 * P[:, 0] + 0.5 * P[:, 1]).sum()


@log_likelihood.example
def _():
    return {
        "heads": np.array([5, 9, 8, 4, 7]),
        "flips": np.array([10, 10, 10, 10, 10]),
        "theta": np.array([0.6, 0.5]),
    }


@log_likelihood.cases
def _(rng):
    def case(flips, theta):
        return {"heads": _sets(rng, flips, theta)[0], "flips": flips, "theta": theta}

    return {
        "ten flips each": case(np.full(5, 10), _coins(rng)),
        "unequal numbers of flips": case(_unequal(rng), _coins(rng)),
        "one set": case(np.array([rng.integers(8, 30)]), _coins(rng)),
        "a coin that never shows tails": {
            "heads": np.array([4, 3, 9, 2]),
            "flips": np.array([4, 4, 9, 6]),
            "theta": np.array([1.0, rng.uniform(0.3, 0.7)]),
        },
        "600 sets": case(rng.integers(9, 30, size=600), _coins(rng)),
    }


log_likelihood.check("a few sets", points=3, on=("ten flips each", "unequal numbers of flips", "one set"))
log_likelihood.check("a coin that never shows tails", points=1, on="a coin that never shows tails")
log_likelihood.check("six hundred sets", points=2, on="600 sets")


@log_likelihood.slip(
    "You multiplied the probabilities of the sets first and took the logarithm of the product. With hundreds of sets"
    " the product underflows to 0. Take the logarithm of each set, then add."
)
def log_of_product(heads, flips, theta):
    return np.log(np.prod(_probabilities(heads, flips, theta).mean(axis=1)))


@log_likelihood.slip(
    "The logarithms of both coins were added up. That is the logarithm of a *product*, as if each set had come from "
    "A and from B. It came from one of them: add the probabilities first, then take the logarithm."
)
def sum_of_logs(heads, flips, theta):
    return np.log(0.5 * _probabilities(heads, flips, theta)).sum()


@log_likelihood.slip(
    "The weights are missing: half of each probability, for each coin is picked half of the time. Without them the "
    "result is too large by log 2 for each set."
)
def halves_forgotten(heads, flips, theta):
    return np.log(_probabilities(heads, flips, theta).sum(axis=1)).sum()


@log_likelihood.slip(
    "The binomial coefficients are missing. They cancel in the shares, but here they do not; without them your "
    "numbers cannot be compared with the chapter's."
)
def coefficients_forgotten(heads, flips, theta):
    P = theta ** heads[:, None] * (1 - theta) ** (flips - heads)[:, None]
    return np.log(P.mean(axis=1)).sum()


@log_likelihood.slip(
    "Each set was explained by its better coin only. That is the likelihood of the best way to hand out the coins; "
    "the data do not say that it is the true one. Add both."
)
def better_coin_only(heads, flips, theta):
    return np.log(0.5 * _probabilities(heads, flips, theta).max(axis=1)).sum()


@log_likelihood.slip(
    "You averaged the logarithms with the shares as weights. That is the expected *complete-data* log-likelihood, "
    "which the M-step maximises. Here the logarithm is taken of the sum."
)
def average_of_logs(heads, flips, theta):
    return (_shares(heads, flips, theta) * np.log(0.5 * _probabilities(heads, flips, theta))).sum()


@log_likelihood.slip("This is the mean over the sets. The logarithm of a product of probabilities is a sum.")
def mean_for_sum(heads, flips, theta):
    return np.log(_probabilities(heads, flips, theta).mean(axis=1)).mean()


@log_likelihood.also
def set_after_set(heads, flips, theta):
    total = 0.0
    for x, n in zip(heads, flips, strict=True):
        total += np.log(0.5 * binom.pmf(x, n, theta[0]) + 0.5 * binom.pmf(x, n, theta[1]))
    return np.float32(total)


@log_likelihood.also
def by_logsumexp(heads, flips, theta):
    from scipy.special import logsumexp

    return logsumexp(binom.logpmf(heads[:, None], flips[:, None], theta), b=0.5, axis=1).sum()


# ---------------------------------------------------------------- 7
@exercise.function(
    returns={"path": "(n_iter + 1, 2)", "trace": "(n_iter + 1,)"},
    story="""
        **The climb.** E, M, E, M, `n_iter` times. Keep every guess and its log-likelihood: `path[0]` is the start,
        `path[t]` the guess after `t` iterations, and `trace[t]` is $\\ell$ of `path[t]`. From (0.6, 0.5) the five
        sets should lead you to (0.713, 0.581) after one iteration, and to (0.797, 0.520) after ten. The weights stay
        at one half, however many sets a coin is credited with.
        """,
    hints=[
        "One iteration is two of your functions: r = shares(heads, flips, theta), then theta = recount(heads, flips,"
        " r).",
        "Collect the guesses in a list that begins with the start. After the loop, compute log_likelihood for each "
        "of them.",
        "path = [theta]; for _ in range(n_iter): r = shares(heads, flips, path[-1]); path.append(recount(heads, "
        "flips, r)). Then trace = [log_likelihood(heads, flips, t) for t in path].",
    ],
    after="""
        Each iteration uses one guess for everything: all shares from the old pair, then both coins at once. None of
        the gains in `trace` is negative, and the first is nine times the second. Chapter 3 proves the one and
        explains the other.
        """,
)
def climb(heads, flips, theta, n_iter):
    """EM for two coins with equal fixed weights, from the given start.

    Parameters
    ----------
    heads, flips : arrays (n,) of int
        Heads and flips of each set.
    theta : array (2,)
        The start. Leave it as you found it.
    n_iter : int
        How many iterations to do.

    Returns
    -------
    path : array (n_iter + 1, 2)
        The start, and the guess after each iteration.
    trace : array (n_iter + 1,)
        Log-likelihood of each of them.
    """
    path = [theta]
    for _ in range(n_iter):
        r = shares(heads, flips, path[-1])
        path.append(recount(heads, flips, r))
    trace = [log_likelihood(heads, flips, t) for t in path]
    return np.array(path), np.array(trace)


@climb.example
def _():
    return {
        "heads": np.array([5, 9, 8, 4, 7]),
        "flips": np.array([10, 10, 10, 10, 10]),
        "theta": np.array([0.6, 0.5]),
        "n_iter": 10,
    }


@climb.draws(
    """Chances of heads against the iteration, from 0 to 10. Coin A rises from 0.6 to 0.71 in the first iteration and
    levels off at 0.80. Coin B rises from 0.5 to 0.58 and then sinks slowly to 0.52."""
)
def _two_lines(ax, answer, heads, flips, theta, n_iter):
    from ...view import style

    path = np.asarray(answer[0])
    for k, mark in enumerate("os"):
        ax.plot(path[:, k], f"{mark}-", color=style.COLORS[k], markersize=4, label=f"coin {'AB'[k]}")
    ax.set(xlabel="iteration", ylabel="chance of heads", ylim=(0.4, 0.9), xticks=range(0, n_iter + 1, 2))
    ax.legend(loc="upper left")


@climb.cases
def _(rng):
    def case(flips, start, n_iter):
        coin = rng.permutation((np.arange(len(flips)) % 4 == 3).astype(int))  # mostly A: estimated weights would show
        heads = rng.binomial(flips, _coins(rng)[coin])
        return {"heads": heads, "flips": flips, "theta": start, "n_iter": n_iter}

    def start():
        return np.array([0.6, 0.5]) + rng.uniform(-0.04, 0.04, size=2)

    return {
        "one iteration": case(_unequal(rng), start(), 1),
        "eight iterations": case(np.concatenate([_unequal(rng), [10, 10]]), start(), 8),
        "no iteration": case(np.full(4, 10), start(), 0),
        "equal coins": case(_unequal(rng), np.full(2, rng.uniform(0.3, 0.45)), 3),
    }


climb.check("one iteration", points=2, on="one iteration")
climb.check("eight iterations", points=3, on="eight iterations")
climb.check("no iteration at all: the start and its log-likelihood", points=1, on="no iteration")
climb.check("from two equal coins", points=2, on=("equal coins", "one iteration"))


def _observed(heads, flips, theta, weights=(0.5, 0.5)):
    return np.log(_probabilities(heads, flips, theta) @ np.asarray(weights)).sum()


def _recount(heads, flips, r):
    return r.T @ heads / (r.T @ flips)


def _traced(heads, flips, path):
    return np.array(path), np.array([_observed(heads, flips, t) for t in path])


@climb.slip(
    "The shares were computed once, from the start. After each M-step the coins have changed, and every set has to "
    "be shared out again."
)
def shared_out_once(heads, flips, theta, n_iter):
    first = _recount(heads, flips, _shares(heads, flips, theta))
    return _traced(heads, flips, [theta] + [first] * n_iter)


@climb.slip(
    "Coin B was updated with the new value of coin A already in place. Compute all shares from the old pair, and "
    "only then replace both."
)
def half_updated(heads, flips, theta, n_iter):
    path = [theta]
    for _ in range(n_iter):
        new = path[-1].copy()
        for k in (A, B):
            new[k] = _recount(heads, flips, _shares(heads, flips, new))[k]
        path.append(new)
    return _traced(heads, flips, path)


@climb.slip("Each set went whole to the better coin. EM credits both coins, in proportion to their shares.")
def hard_climb(heads, flips, theta, n_iter):
    path = [theta]
    for _ in range(n_iter):
        path.append(_recount(heads, flips, _whole(_shares(heads, flips, path[-1]))))
    return _traced(heads, flips, path)


@climb.slip(
    "You estimated the weights as well. That is a sensible model, and the next chapter's, but not this one: here "
    "each set is equally likely to come from either coin, and that is known."
)
def weights_estimated(heads, flips, theta, n_iter):
    path, weights = [theta], np.array([0.5, 0.5])
    trace = [_observed(heads, flips, theta)]
    for _ in range(n_iter):
        r = _shares(heads, flips, path[-1], weights)
        weights = r.mean(axis=0)
        path.append(_recount(heads, flips, r))
        trace.append(_observed(heads, flips, path[-1], weights))
    return np.array(path), np.array(trace)


@climb.slip(
    "The log-likelihoods lag one iteration behind the guesses: trace[t] should belong to path[t]. What the E-step "
    "computes on its way belongs to the guess that it was given."
)
def trace_lags(heads, flips, theta, n_iter):
    path, trace = _traced(heads, flips, _path(heads, flips, theta, n_iter))
    return path, np.concatenate([trace[:1], trace[:-1]])


def _path(heads, flips, theta, n_iter):
    path = [theta]
    for _ in range(n_iter):
        path.append(_recount(heads, flips, _shares(heads, flips, path[-1])))
    return path


@climb.slip("The start is missing. It is no estimate, but the climb begins there: path[0] and trace[0] belong to it.")
def start_missing(heads, flips, theta, n_iter):
    path, trace = _traced(heads, flips, _path(heads, flips, theta, n_iter))
    return path[1:], trace[1:]


@climb.slip(
    "All rows of the path are the same. You wrote each new guess into the same array (theta[:] = …, theta[0] = …), "
    "and a list that holds one array many times shows its last state many times; the caller's start has changed, "
    "too. Make a new array in each iteration."
)
def same_array(heads, flips, theta, n_iter):
    path, trace = [theta], [_observed(heads, flips, theta)]
    for _ in range(n_iter):
        theta[:] = _recount(heads, flips, _shares(heads, flips, theta))
        path.append(theta)
        trace.append(_observed(heads, flips, theta))
    return np.array(path), np.array(trace)


@climb.also
def into_tables(heads, flips, theta, n_iter):
    path, trace = np.zeros((n_iter + 1, 2)), np.zeros(n_iter + 1)
    for t in range(n_iter + 1):
        path[t] = theta
        P = _probabilities(heads, flips, theta)
        trace[t] = np.log(P.mean(axis=1)).sum()
        r = P / P.sum(axis=1, keepdims=True)
        theta = r.T @ heads / (r.T @ flips)
    return path.tolist(), trace.tolist()
