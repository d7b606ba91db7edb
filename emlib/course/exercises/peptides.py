"""Exercise of the chapter on peptides: decoys counted, decoys as known labels, error rates of lists, and proteins."""

import functools

import numpy as np

from ..compare import close
from ..contract import Exercise

exercise = Exercise(
    "peptides",
    title="Is this peptide really there?",
    minutes=90,
    part="applications",
    objectives=[
        "turn scores of targets and decoys into q-values by counting, ties and all;",
        "write an E-step in which some labels are known, and say what the likelihood of such a row is;",
        "fit a normal and a Gumbel component from weighted scores, and a share that is one of targets only;",
        "tell the error of a match from the error of a list, and compute the second from the first;",
        "hold posterior errors against decoys, bin by bin;",
        "split peptides that several proteins share, and say which proteins were there.",
    ],
    intro="""
        A search engine finds some peptide for every spectrum, and many of its finds are wrong. The chapter separated
        them by their scores, with the help of decoys: peptides that exist nowhere, and so are wrong whenever they are
        found. Here you write this in seven functions. You count decoys first, then let EM use them as rows whose label
        is known, and see whether the two agree about 7,578 spectra.

        `scores` (n,) are better the higher they are; `is_decoy` (n,) is True for decoys and False for targets.
        Incorrect scores are taken for normal, with `normal` = (mean, sd), and correct ones for Gumbel, with `gumbel` =
        (location, scale) and the density

        $$f_1(x) = \\frac1b\\, e^{-z - e^{-z}} , \\qquad z = \\frac{x - a}{b} ,$$

        which falls off steeply to the left and slowly to the right. `w0` is the share of incorrect matches **among the
        targets**, and `error` (n,) the probability that a match is incorrect.
        """,
    setup="""
        # 7,578 spectra of single cells: the best match of each.
        matches = emlib.data.scope2()
        scores, is_decoy = matches.scores, matches.is_decoy
        """,
    outro="""
        The fit knew nothing of one fact: targets and decoys competed for each spectrum, and an incorrect match won as
        either with equal probability. So there are about as many incorrect targets as decoys, 2,054 of 5,524, which is
        a share of .372; EM found .338. Put it in. Of the N incorrect rows, expected and known, half are targets: the
        M-step for the share becomes `N / 2 / (N / 2 + N1)` with N1 correct targets. (For the log-likelihood to climb,
        the D decoys of n rows must count there as well: add `D * log(w0) - n * log(1 + w0)`.) Does the number of
        accepted targets at 1 % come nearer to that of the decoys?

        And give the M-step a normal shape for the correct matches, too. Then look at the posterior error of the
        *lowest* scores. The wider of two normal curves wins at both ends.
        """,
)

# A log-likelihood of -16,000 is not right if it is off by 0.1, though that is one part in a hundred thousand.
FINE = close(relative=1e-6)

START = {"w0": 0.5, "normal": np.array([3.0, 1.0]), "gumbel": np.array([6.0, 2.0])}
STEPS = 200


# ---------------------------------------------------------------- inputs
@functools.cache
def _spectra():
    from ... import data

    matches = data.scope2()
    return matches.scores, matches.is_decoy


@functools.cache
def _fitted():
    """Where EM ends on the spectra, and the probability of each match to be incorrect."""
    scores, is_decoy = _spectra()
    w0, normal, gumbel, _ = climb(scores, is_decoy, *START.values(), STEPS)
    error, _ = e_step(scores, is_decoy, w0, normal, gumbel)
    return w0, normal, gumbel, error


@functools.cache
def _family():
    """Peptides of moesin, ezrin and radixin: who contains them, and how probably they were there."""
    import re

    from ... import data

    names = ("MOES", "EZRI", "RADI")
    matches, error = data.scope2(), _fitted()[3]
    best = {}
    for i in np.flatnonzero(~matches.is_decoy):
        letters = re.sub(r"\[.*?\]", "", str(matches.peptides[i]))[2:-2]
        if set(matches.proteins[i]) & set(names) and matches.scores[i] > matches.scores[best.get(letters, i)] - 1e-9:
            best[letters] = i
    rows = sorted(best.values())
    candidates = np.array([[int(name in matches.proteins[i]) for name in names] for i in rows])
    return candidates, 1 - error[rows]


def _searched(rng, n, w0=0.4, decimals=6):
    """Scores and labels of a search: incorrect targets, correct targets, decoys."""
    n_wrong = round(w0 * n)
    wrong = rng.normal(2.8, 0.85, size=2 * n_wrong)
    right = rng.gumbel(6.0, 2.1, size=n - n_wrong)
    decoy = np.arange(n + n_wrong) < n_wrong
    order = rng.permutation(n + n_wrong)
    return np.round(np.concatenate([wrong, right]), decimals)[order], decoy[order]


def _parameters(rng):
    return {
        "w0": rng.uniform(0.25, 0.4),
        "normal": rng.uniform([2.5, 0.7], [3.1, 0.95]),
        "gumbel": rng.uniform([5.5, 1.6], [6.5, 2.5]),
    }


# ---------------------------------------------------------------- the steps, as the slips vary them
def _counted(scores, is_decoy, rate):
    """`rate` of decoys and targets at or above each different score, from the lowest score up; and which is whose."""
    levels, where = np.unique(scores, return_inverse=True)
    n = [np.bincount(where[kind], minlength=len(levels))[::-1].cumsum()[::-1] for kind in (is_decoy, ~is_decoy)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return rate(*n), where


def _q(rates):
    """The lowest rate of this list and all longer ones; rates from the lowest score up."""
    return np.minimum(np.minimum.accumulate(rates), 1.0)


def _row_by_row(is_decoy, order):
    """q-values if rows enter one after the other in this order, the best first."""
    q = np.empty(len(order))
    q[order] = _q(_plus_one(is_decoy[order].cumsum(), (~is_decoy[order]).cumsum())[::-1])[::-1]
    return q


def _plus_one(decoys, targets):
    return (decoys + 1) / np.maximum(targets, 1)


def _log_normal(x, normal):
    return -0.5 * ((x - normal[0]) / normal[1]) ** 2 - np.log(normal[1]) - 0.5 * np.log(2 * np.pi)


def _log_gumbel(x, gumbel):
    z = (x - gumbel[0]) / gumbel[1]
    with np.errstate(over="ignore"):
        return -z - np.exp(-z) - np.log(gumbel[1])


def _posterior(scores, is_decoy, w0, normal, gumbel, incorrect=None, correct=None):
    """The E-step, with other log densities if given."""
    incorrect = _log_normal(scores, normal) if incorrect is None else incorrect
    correct = _log_gumbel(scores, gumbel) if correct is None else correct
    first = np.log(w0) + incorrect
    total = np.logaddexp(first, np.log1p(-w0) + correct)
    return np.where(is_decoy, 1.0, np.exp(first - total)), np.where(is_decoy, incorrect, total).sum()


def _weighted_normal(x, w):
    mean = w @ x / w.sum()
    return np.array([mean, np.sqrt(w @ (x - mean) ** 2 / w.sum())])


def _weighted_gumbel(x, w):
    """By Newton's method for the logarithm of the scale, from the one that has the right variance."""
    x, w = x[w > 0], w[w > 0] / w.sum()
    mean, sd = _weighted_normal(x, w)
    log_s = np.log(sd * np.sqrt(6) / np.pi)
    for _ in range(60):
        s = np.exp(log_s)
        e = w * np.exp(-(x - x.min()) / s)
        e /= e.sum()
        below = e @ x
        step = (mean - below - s) / (e @ (x - below) ** 2 / s + s)
        log_s += np.clip(step, -0.5, 0.5)
        if abs(step) < 1e-12:
            break
    s = np.exp(log_s)
    return np.array([x.min() - s * np.log(w @ np.exp(-(x - x.min()) / s)), s])


def _maximised(scores, is_decoy, error, w0=None, normal=None, gumbel=None):
    """The M-step, with parts given."""
    return (
        error[~is_decoy].mean() if w0 is None else w0,
        _weighted_normal(scores, error) if normal is None else normal,
        _weighted_gumbel(scores, 1 - error) if gumbel is None else gumbel,
    )


def _walk(scores, is_decoy, w0, normal, gumbel, n_iter, change=None, known=None):
    """EM; `change` alters the errors of a step, `known` says of the parameters after an M-step what they are."""
    values, params = [], (w0, normal, gumbel)
    for step in range(n_iter + 1):
        error, value = _posterior(scores, is_decoy, *params)
        values.append(value)
        if step < n_iter:
            error = change(error) if change else error
            params = _maximised(scores, is_decoy, error)
            params = known(params, error) if known else params
    return *params, np.array(values)


# ---------------------------------------------------------------- 1
@exercise.function(
    returns={"q": "(n,)"},
    story="""
        **Count the decoys.** An incorrect match is as likely to be a target as a decoy. So the decoys at or above a
        score stand for the incorrect targets there, and the false discovery rate of the list of all targets at or above
        $s$ is about

        $$\\mathrm{FDR}(s) = \\frac{\\#\\{\\text{decoys} \\ge s\\} + 1}{\\#\\{\\text{targets} \\ge s\\}} .$$

        (The one keeps short lists from looking perfect; where no target is as high, divide by 1.) As one goes down the
        scores this rate goes up and down. But nobody would take a list when a *longer* one has a lower rate. So the
        **q-value** of a match is the lowest rate of all lists that it is in: the one that ends with its own score, and
        all longer ones. It is never above 1. Matches with the same score enter together.

        The example has the 7,578 spectra. Of the targets 2,854 have a q-value of at most 1 %, and 3,453 of at most 5 %.
        """,
    hints=[
        "For each different score, count the decoys and the targets that have it. Then add up from the top.",
        "levels, where = np.unique(scores, return_inverse=True) sorts the different scores upwards and says which is "
        "whose. np.bincount(where[is_decoy], minlength=len(levels))[::-1].cumsum()[::-1] are the decoys at or above "
        "each of them.",
        "rates = (decoys + 1) / np.maximum(targets, 1), from the lowest score up. Longer lists come first, so "
        "np.minimum.accumulate(rates) is the lowest of this and all longer ones; np.minimum(..., 1)[where] puts it "
        "back.",
    ],
    after="""
        Sorting and adding up is all, and it works for any score, good or bad. What it cannot say is how sure a *single*
        match is: it speaks of lists. And it wastes nothing but is noisy where decoys are few, which is where the lists
        are that people publish: 2,854 targets at 1 % rest on 27 decoys.
        """,
)
def competition(scores, is_decoy):
    """q-values by counting decoys.

    Parameters
    ----------
    scores : array (n,)
        Higher is better; some may be equal.
    is_decoy : array (n,) of bool
        True for decoys; there may be none.

    Returns
    -------
    q : array (n,)
        For each match, in the order given; at most 1.
    """
    levels, where = np.unique(scores, return_inverse=True)
    decoys = np.bincount(where[is_decoy], minlength=len(levels))[::-1].cumsum()[::-1]
    targets = np.bincount(where[~is_decoy], minlength=len(levels))[::-1].cumsum()[::-1]
    rates = (decoys + 1) / np.maximum(targets, 1)
    return np.minimum(np.minimum.accumulate(rates), 1)[where]


@competition.example
def _():
    scores, is_decoy = _spectra()
    return {"scores": scores, "is_decoy": is_decoy}


@competition.draws(
    """Accepted targets against the q-value, a curve that rises in steps: steeply to about 2,650 at half a per cent,
    then
    to 2,854 at 1 per cent and 3,453 at 5 per cent, both marked."""
)
def _accepted(ax, answer, scores, is_decoy):
    from ...view import style

    q = np.sort(np.asarray(answer)[~is_decoy])
    ax.step(100 * q, np.arange(1, len(q) + 1), where="post", color=style.COLORS[0])
    for limit in (0.01, 0.05):
        n = int((q <= limit).sum())
        ax.plot(100 * limit, n, "o", color=style.COLORS[1])
        ax.annotate(f"{n:,}", (100 * limit, n), (6, -12), textcoords="offset points", fontsize=9)
    ax.set(xlabel="q-value (%)", ylabel="targets accepted", xlim=(0, 8), ylim=(0, 4200))


@competition.cases
def _(rng):
    def case(n, decimals=6, w0=0.4):
        scores, is_decoy = _searched(rng, n, w0, decimals)
        return {"scores": scores, "is_decoy": is_decoy}

    first = case(60)
    first["is_decoy"][first["scores"].argmax()] = True
    none = case(20)
    none["is_decoy"][:] = False
    whole = np.array([9, 9, 8, 8, 7, 7, 7, 5, 5, 4, 3, 2, 1, 1])
    labels = np.array([0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 1, 1, 0]) > 0
    order = rng.permutation(14)
    hopeless = case(30)
    hopeless["is_decoy"][np.argsort(hopeless["scores"])[:-4]] = True
    return {
        "two hundred targets": case(200),
        "many ties": case(150, decimals=0),
        "whole numbers": {"scores": whole[order], "is_decoy": labels[order]},
        "a decoy on top": first,
        "no decoys": none,
        "hardly a target": hopeless,
    }


competition.check("two hundred targets", points=2, on="two hundred targets")
competition.check("ties", points=2, on=("many ties", "whole numbers"))
competition.check(
    "a decoy on top, no decoys, hardly a target", points=1, on=("a decoy on top", "no decoys", "hardly a target")
)


@competition.slip("The + 1 is missing. Without it a list without decoys has no errors at all, however short it is.")
def without_the_one(scores, is_decoy):
    rates, where = _counted(scores, is_decoy, lambda d, t: d / np.maximum(t, 1))
    return _q(rates)[where]


@competition.slip(
    "These are the rates of the lists that end with each score. A longer list may have a lower one: the q-value is the "
    "lowest rate among this list and all longer ones."
)
def rates_of_lists(scores, is_decoy):
    rates, where = _counted(scores, is_decoy, _plus_one)
    return np.minimum(rates, 1.0)[where]


@competition.slip(
    "You took the highest rate so far, from the top down. A q-value is the *lowest* rate of this list and all longer "
    "ones: accumulate from the bottom up."
)
def highest_so_far(scores, is_decoy):
    rates, where = _counted(scores, is_decoy, _plus_one)
    return np.minimum(np.maximum.accumulate(rates[::-1])[::-1], 1.0)[where]


@competition.slip(
    "You accumulated the minimum from the top down, over shorter lists. A match is not in these. Go over the longer "
    "ones: from the bottom up."
)
def over_shorter_lists(scores, is_decoy):
    rates, where = _counted(scores, is_decoy, _plus_one)
    return np.minimum(np.minimum.accumulate(rates[::-1])[::-1], 1.0)[where]


@competition.slip(
    "You divided by all matches, decoys among them. The list that is handed on consists of targets: divide by these."
)
def of_all_matches(scores, is_decoy):
    rates, where = _counted(scores, is_decoy, lambda d, t: (d + 1) / (d + t))
    return _q(rates)[where]


@competition.slip(
    "You counted decoys twice and divided by all matches. That is the error of a list with its decoys left in; here "
    "they are left out, and each stands for one incorrect target."
)
def decoys_twice(scores, is_decoy):
    rates, where = _counted(scores, is_decoy, lambda d, t: 2 * (d + 1) / (d + t))
    return _q(rates)[where]


@competition.slip(
    "Low scores come first in your lists. Higher is better: a list holds all matches at or *above* a score."
)
def lowest_first(scores, is_decoy):
    rates, where = _counted(-np.asarray(scores), is_decoy, _plus_one)
    return _q(rates)[where]


@competition.slip("The q-values are sorted by score. Return them in the order in which the matches came.")
def sorted_by_score(scores, is_decoy):
    order = np.argsort(-np.asarray(scores), kind="stable")
    return competition(scores, is_decoy)[order]


@competition.slip(
    "Matches with the same score are treated one after the other, targets first. That hides the decoys among them "
    "until the list is longer. All of one score enter together."
)
def ties_one_by_one(scores, is_decoy):
    return _row_by_row(is_decoy, np.lexsort([is_decoy, -np.asarray(scores)]))


@competition.slip(
    "Matches with the same score are treated one after the other, as sorting happened to leave them, so equal matches "
    "have different q-values. All of one score enter together."
)
def ties_as_sorted(scores, is_decoy):
    return _row_by_row(is_decoy, np.argsort(-np.asarray(scores)))


@competition.slip(
    "Matches with the same score are treated one after the other, as a sorting that was turned round left them, so "
    "equal matches have different q-values. All of one score enter together."
)
def ties_as_sorted_and_reversed(scores, is_decoy):
    return _row_by_row(is_decoy, np.argsort(scores)[::-1])


@competition.slip(
    "All decoys have a q-value of 1. They are no part of a list that is handed on, but here each match gets the "
    "q-value of its score, and a decoy has a score like any other."
)
def decoys_have_one(scores, is_decoy):
    return np.where(is_decoy, 1.0, competition(scores, is_decoy))


@competition.slip(
    "You counted the decoys above a score, without those that have it. A list that ends with a score has all matches "
    "of that score: at or above."
)
def strictly_above(scores, is_decoy):
    levels, where = np.unique(scores, return_inverse=True)
    at = np.bincount(where[is_decoy], minlength=len(levels))
    rates, where = _counted(scores, is_decoy, lambda d, t: (d - at + 1) / np.maximum(t, 1))
    return _q(rates)[where]


@competition.slip("Some of your q-values are above 1. A rate cannot be: take the smaller of it and 1.")
def above_one(scores, is_decoy):
    rates, where = _counted(scores, is_decoy, _plus_one)
    return np.minimum.accumulate(rates)[where]


@competition.also
def list_by_list(scores, is_decoy):
    rates = []
    for s in scores:
        above = scores >= s
        rates.append((1 + (above & is_decoy).sum()) / max(1, (above & ~is_decoy).sum()))
    rates = np.array(rates)
    return [float(min(1.0, rates[scores <= s].min())) for s in scores]


# ---------------------------------------------------------------- 2
@exercise.function(
    returns={"error": "(n,)", "log_likelihood": "()"},
    story="""
        **E: who is incorrect, if some have confessed?** Of a target it is hidden whether it is correct. Bayes' rule
        gives the probability that it is not, its *posterior error*, with $f_0$ for the normal and $f_1$ for the Gumbel
        density:

        $$e_i = \\frac{w_0 f_0(x_i)}{w_0 f_0(x_i) + (1 - w_0)\\, f_1(x_i)} .$$

        Of a decoy it is known: $e_i = 1$, whatever its score. And its part in the log-likelihood is $\\log f_0(x_i)$
        alone. $w_0$ is a share of targets, and a decoy was not drawn from them:

        $$\\ell = \\sum_{\\text{targets}} \\log \\bigl( w_0 f_0(x_i) + (1 - w_0)\\, f_1(x_i) \\bigr)
          + \\sum_{\\text{decoys}} \\log f_0(x_i) .$$

        Stay in logarithms: the normal density of a good score, forty standard deviations away, is zero in the
        computer. `np.logaddexp(a, b)` is $\\log(e^a + e^b)$.

        In the example a target with a score of 4 is incorrect with probability .73, one with a score of 6 with .02.
        """,
    hints=[
        "The log densities: -z**2 / 2 - log(sd) - log(2 pi) / 2 with z = (x - mean) / sd, and -z - exp(-z) - "
        "log(scale) with z = (x - location) / scale.",
        "first = np.log(w0) + log_f0; total = np.logaddexp(first, np.log(1 - w0) + log_f1). For a target the error is "
        "np.exp(first - total), and total its part in the log-likelihood.",
        "error = np.where(is_decoy, 1.0, np.exp(first - total)); log_likelihood = np.where(is_decoy, log_f0, "
        "total).sum()",
    ],
    after="""
        Learning from rows of which some are labelled is called semi-supervised. It needs no other algorithm. The E-step
        of a labelled row has nothing to work out, and the M-step does not ask where a responsibility came from.
        """,
    compare=FINE,
)
def e_step(scores, is_decoy, w0, normal, gumbel):
    """Posterior errors, and the log-likelihood.

    Parameters
    ----------
    scores : array (n,)
    is_decoy : array (n,) of bool
    w0 : float
        Share of incorrect matches among the targets, between 0 and 1.
    normal : array (2,)
        Mean and standard deviation of incorrect scores.
    gumbel : array (2,)
        Location and scale of correct scores.

    Returns
    -------
    error : array (n,)
        Probability that a match is incorrect; 1 for decoys.
    log_likelihood : float
        Of all rows, in nats.
    """
    z, g = (scores - normal[0]) / normal[1], (scores - gumbel[0]) / gumbel[1]
    log_f0 = -0.5 * z**2 - np.log(normal[1]) - 0.5 * np.log(2 * np.pi)
    with np.errstate(over="ignore"):  # exp(-g) may be inf, and f1 zero
        log_f1 = -g - np.exp(-g) - np.log(gumbel[1])
    first = np.log(w0) + log_f0
    total = np.logaddexp(first, np.log(1 - w0) + log_f1)
    return np.where(is_decoy, 1.0, np.exp(first - total)), np.where(is_decoy, log_f0, total).sum()


@e_step.example
def _():
    scores = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 2.5, 4.5])
    return {"scores": scores, "is_decoy": np.arange(9) > 6, **START}


@e_step.cases
def _(rng):
    def case(n, decimals=6):
        scores, is_decoy = _searched(rng, n, decimals=decimals)
        return {"scores": scores, "is_decoy": is_decoy, **_parameters(rng)}

    far = case(12)
    far["scores"][:4] = [-60.0, 75.0, 140.0, -45.0]
    far["is_decoy"][:4] = False
    whole = case(30, decimals=0)
    whole["scores"] = whole["scores"].astype(int)
    none = case(20)
    none["is_decoy"][:] = False
    return {
        "eighty targets": case(80),
        "whole numbers": whole,
        "no decoys": none,
        "one match": {"scores": rng.uniform(3.5, 4.5, size=1), "is_decoy": np.array([False]), **_parameters(rng)},
        "scores far away": far,
    }


e_step.check("targets and decoys", points=4, on=("eighty targets", "whole numbers"))
e_step.check("no decoys, and a single match", points=1, on=("no decoys", "one match"))
e_step.check("scores far away", points=2, on="scores far away")


@e_step.slip(
    "The decoys were treated like targets. Their label is known: their error is 1, and their part in the "
    "log-likelihood is log f0."
)
def decoys_like_targets(scores, is_decoy, w0, normal, gumbel):
    return _posterior(scores, np.zeros(len(scores), bool), w0, normal, gumbel)


@e_step.slip(
    "The errors of decoys are 1, as they should be. But in the log-likelihood they are still a mixture: of a row with "
    "a known label the density is log f0 alone."
)
def decoys_mixed_in_the_value(scores, is_decoy, w0, normal, gumbel):
    _, value = _posterior(scores, np.zeros(len(scores), bool), w0, normal, gumbel)
    return _posterior(scores, is_decoy, w0, normal, gumbel)[0], value


@e_step.slip(
    "In the log-likelihood you multiplied the density of a decoy with w0. That is the share of incorrect *targets*; a "
    "decoy is incorrect for certain."
)
def decoys_with_a_share(scores, is_decoy, w0, normal, gumbel):
    error, value = _posterior(scores, is_decoy, w0, normal, gumbel)
    return error, value + is_decoy.sum() * np.log(w0)


@e_step.slip("The decoys have error 0. They are the matches that are incorrect for certain: 1.")
def decoys_are_correct(scores, is_decoy, w0, normal, gumbel):
    error, value = _posterior(scores, is_decoy, w0, normal, gumbel)
    return np.where(is_decoy, 0.0, error), value


@e_step.slip(
    "The log-likelihood has the targets only. Decoys are data as well, and what they say of incorrect scores must "
    "count: add log f0 of each."
)
def value_of_targets(scores, is_decoy, w0, normal, gumbel):
    error, _ = _posterior(scores, is_decoy, w0, normal, gumbel)
    return error, _posterior(scores[~is_decoy], is_decoy[~is_decoy], w0, normal, gumbel)[1]


@e_step.slip(
    "These are the probabilities of being *correct*. A posterior error is the other one: the share of the incorrect "
    "component."
)
def correct_instead(scores, is_decoy, w0, normal, gumbel):
    error, value = _posterior(scores, is_decoy, w0, normal, gumbel)
    return 1 - error, value


@e_step.slip(
    "The shares are missing: you weighed f against g as if half of the targets were incorrect. Multiply with w0 and "
    "1 - w0."
)
def without_shares(scores, is_decoy, w0, normal, gumbel):
    first, second = _log_normal(scores, normal), _log_gumbel(scores, gumbel)
    total = np.logaddexp(first, second)
    return np.where(is_decoy, 1.0, np.exp(first - total)), np.where(is_decoy, first, total).sum()


@e_step.slip("w0 and 1 - w0 are exchanged: w0 is the share of the incorrect component, the normal one.")
def shares_exchanged(scores, is_decoy, w0, normal, gumbel):
    return _posterior(scores, is_decoy, 1 - w0, normal, gumbel)


@e_step.slip(
    "You computed densities and took logarithms afterwards. Far from both components both are zero in the computer, "
    "and 0/0 is nan. Add logarithms, and use np.logaddexp."
)
def densities_first(scores, is_decoy, w0, normal, gumbel):
    f, g = np.exp(_log_normal(scores, normal)), np.exp(_log_gumbel(scores, gumbel))
    total = w0 * f + (1 - w0) * g
    return np.where(is_decoy, 1.0, w0 * f / total), np.log(np.where(is_decoy, f, total)).sum()


@e_step.slip(
    "Your Gumbel density leans the other way, with its long tail to the left. Of the best of many chances the long "
    "tail is on the right: -z - exp(-z), with z = (x - location) / scale."
)
def leaning_left(scores, is_decoy, w0, normal, gumbel):
    mirrored = _log_gumbel(2 * gumbel[0] - scores, gumbel)
    return _posterior(scores, is_decoy, w0, normal, gumbel, correct=mirrored)


@e_step.slip(
    "The scale is missing from the Gumbel density: a curve twice as wide is half as high. Subtract log(scale)."
)
def without_the_scale(scores, is_decoy, w0, normal, gumbel):
    return _posterior(scores, is_decoy, w0, normal, gumbel, correct=_log_gumbel(scores, gumbel) + np.log(gumbel[1]))


@e_step.slip(
    "The standard deviation is missing from the height of the normal density: a curve twice as wide is half as high. "
    "Subtract log(sd)."
)
def without_the_sd(scores, is_decoy, w0, normal, gumbel):
    return _posterior(scores, is_decoy, w0, normal, gumbel, incorrect=_log_normal(scores, normal) + np.log(normal[1]))


@e_step.slip(
    "The constant of the normal density, log(2 pi) / 2, was left out. That is allowed where two normal curves are "
    "compared. A Gumbel curve has no such constant, and against it the missing one counts."
)
def without_two_pi(scores, is_decoy, w0, normal, gumbel):
    incorrect = _log_normal(scores, normal) + 0.5 * np.log(2 * np.pi)
    return _posterior(scores, is_decoy, w0, normal, gumbel, incorrect=incorrect)


@e_step.slip(
    "You took the second entry of `normal` for a variance. It is the standard deviation: divide by it before you "
    "square."
)
def sd_as_variance(scores, is_decoy, w0, normal, gumbel):
    return _posterior(scores, is_decoy, w0, np.array([normal[0], np.sqrt(normal[1])]), gumbel)


@e_step.slip(
    "Each target was decided, 0 or 1. Near the place where the curves cross nobody knows; return the probability."
)
def decided(scores, is_decoy, w0, normal, gumbel):
    error, value = _posterior(scores, is_decoy, w0, normal, gumbel)
    return np.round(error), value


@e_step.also
def with_scipy(scores, is_decoy, w0, normal, gumbel):
    from scipy.special import expit
    from scipy.stats import gumbel_r, norm

    f, g = norm.logpdf(scores, *normal), gumbel_r.logpdf(scores, *gumbel)
    odds = np.log(w0) - np.log1p(-w0) + f - g
    total = np.logaddexp(np.log(w0) + f, np.log1p(-w0) + g)
    value = f[is_decoy].sum() + total[~is_decoy].sum()
    return [1.0 if decoy else float(e) for decoy, e in zip(is_decoy, expit(odds), strict=True)], value


# ---------------------------------------------------------------- 3
@exercise.function(
    returns={"w0": "()", "normal": "(2,)", "gumbel": "(2,)"},
    story="""
        **M: three estimates.** With the errors $e_i$ in hand, each parameter asks those whom it is about.

        - The share $w_0$ is one of targets: the mean of their errors. Decoys have no say.
        - The normal component gets *every* row with weight $e_i$, decoys in full: weighted mean and standard deviation.
        - The Gumbel component gets every row with weight $w_i = 1 - e_i$, which is 0 for decoys. No fixed list of sums
          says all about it, but at the summit of its likelihood the scale $b$ solves one equation:

        $$b = \\frac{\\sum_i w_i x_i}{\\sum_i w_i} - \\frac{\\sum_i w_i x_i e^{-x_i / b}}{\\sum_i w_i e^{-x_i
        / b}} ,
          \\qquad a = -b \\log \\frac{\\sum_i w_i e^{-x_i / b}}{\\sum_i w_i} .$$

        The right-hand side is the mean less a mean that prefers small scores. The difference of both sides is positive
        for a small $b$ and negative for one as large as the mean is above the lowest score, so
        `scipy.optimize.brentq` finds the root between.

        The example makes the first step on the spectra. The share falls from .5 to .43 at once.
        """,
    hints=[
        "w0 = error[~is_decoy].mean(). For the normal component, mean = error @ scores / error.sum(), and the "
        "variance likewise with (scores - mean)**2.",
        "Take x = scores[error < 1] and w = 1 - error[error < 1]. To keep exp from overflowing, use x - x.min() in it; "
        "the quotient stays as it is, and a gets x.min() added.",
        "def lacks(s): e = w * np.exp(-(x - x.min()) / s); return w @ x / w.sum() - e @ x / e.sum() - s. Then scale = "
        "brentq(lacks, 1e-3 * width, width), where width = w @ x / w.sum() - x.min().",
    ],
    after="""
        The decoys hold the normal component in place: two thousand of them, beside as many targets that are only
        probably incorrect. They do not touch the share. Whether a lab searches one decoy for each target or ten says
        nothing about how many of its spectra are correct.
        """,
)
def m_step(scores, is_decoy, error):
    """Share, normal and Gumbel parameters from posterior errors.

    Parameters
    ----------
    scores : array (n,)
    is_decoy : array (n,) of bool
    error : array (n,)
        Probability that a match is incorrect; 1 for decoys.

    Returns
    -------
    w0 : float
        Share of incorrect matches among the targets.
    normal : array (2,)
        Mean and standard deviation of incorrect scores.
    gumbel : array (2,)
        Location and scale of correct scores.
    """
    from scipy.optimize import brentq

    mean = error @ scores / error.sum()
    sd = np.sqrt(error @ (scores - mean) ** 2 / error.sum())

    x, w = scores[error < 1], 1 - error[error < 1]
    lowest, middle = x.min(), w @ x / w.sum()

    def lacks(s):
        e = w * np.exp(-(x - lowest) / s)
        return middle - e @ x / e.sum() - s

    scale = brentq(lacks, 1e-3 * (middle - lowest), middle - lowest, xtol=1e-12)
    location = lowest - scale * np.log(w @ np.exp(-(x - lowest) / scale) / w.sum())
    return error[~is_decoy].mean(), np.array([mean, sd]), np.array([location, scale])


@m_step.example
def _():
    scores, is_decoy = _spectra()
    return {"scores": scores, "is_decoy": is_decoy, "error": _posterior(scores, is_decoy, **START)[0]}


@m_step.cases
def _(rng):
    def case(n, decimals=6, w0=0.4):
        scores, is_decoy = _searched(rng, n, w0, decimals)
        return {"scores": scores, "is_decoy": is_decoy, "error": _posterior(scores, is_decoy, **_parameters(rng))[0]}

    blurred = case(60)
    blurred["error"] = np.where(blurred["is_decoy"], 1.0, 0.2 + 0.6 * rng.random(len(blurred["error"])))
    none = case(50)
    none["is_decoy"][:] = False
    none["error"] = _posterior(none["scores"], none["is_decoy"], **_parameters(rng))[0]
    whole = case(80, decimals=0)
    whole["scores"] = whole["scores"].astype(int)
    shifted = case(50)
    shifted["scores"] = shifted["scores"] - 4000.0
    return {
        "a hundred targets": case(100),
        "errors that say little": blurred,
        "no decoys": none,
        "whole numbers": whole,
        "scores far below zero": shifted,
    }


m_step.check("a hundred targets", points=3, on="a hundred targets")
m_step.check("errors that say little, and no decoys", points=2, on=("errors that say little", "no decoys"))
m_step.check("whole numbers, and scores far below zero", points=2, on=("whole numbers", "scores far below zero"))


@m_step.slip(
    "Your share is that of all rows, decoys included. They are all incorrect, and how many there are was decided by "
    "whoever searched. w0 is the mean error of the targets."
)
def share_of_all_rows(scores, is_decoy, error):
    return _maximised(scores, is_decoy, error, w0=error.mean())


@m_step.slip(
    "You added up the errors of the targets and divided by the number of all rows. w0 is a share of the targets: "
    "divide by their number."
)
def share_over_all_rows(scores, is_decoy, error):
    return _maximised(scores, is_decoy, error, w0=error[~is_decoy].sum() / len(error))


@m_step.slip(
    "Your share is that of correct targets. w0 belongs to the incorrect ones: the mean of error, not of 1 - error."
)
def share_of_correct(scores, is_decoy, error):
    return _maximised(scores, is_decoy, error, w0=1 - error[~is_decoy].mean())


@m_step.slip(
    "Your share counts targets with an error above one half. Each target counts as much as its error says: take the "
    "mean."
)
def share_by_counting(scores, is_decoy, error):
    return _maximised(scores, is_decoy, error, w0=(error[~is_decoy] > 0.5).mean())


@m_step.slip(
    "The decoys are missing from the normal component. They are the one part of the data of which it is certain that "
    "they belong there: use all rows, with their error as weight."
)
def normal_without_decoys(scores, is_decoy, error):
    normal = _weighted_normal(scores[~is_decoy], error[~is_decoy])
    return _maximised(scores, is_decoy, error, normal=normal)


@m_step.slip(
    "The normal component was made of decoys alone. Incorrect targets belong to it as well, as far as their error says."
)
def normal_of_decoys_alone(scores, is_decoy, error):
    some = is_decoy if is_decoy.any() else np.ones(len(scores), bool)
    return _maximised(scores, is_decoy, error, normal=_weighted_normal(scores[some], np.ones(some.sum())))


@m_step.slip(
    "The second number of `normal` is a variance. Take the square root: the E-step expects a standard deviation."
)
def variance_for_sd(scores, is_decoy, error):
    return _maximised(scores, is_decoy, error, normal=_weighted_normal(scores, error) ** [1, 2])


@m_step.slip(
    "The deviations were taken from the mean of all scores. The spread of a component is one about its own mean."
)
def about_the_common_mean(scores, is_decoy, error):
    mean = error @ scores / error.sum()
    sd = np.sqrt(error @ (scores - scores.mean()) ** 2 / error.sum())
    return _maximised(scores, is_decoy, error, normal=np.array([mean, sd]))


@m_step.slip(
    "The weighted squares were divided by the number of rows. Divide by the sum of the weights, as for the mean."
)
def divided_by_n(scores, is_decoy, error):
    mean, sd = _weighted_normal(scores, error)
    return _maximised(scores, is_decoy, error, normal=np.array([mean, sd * np.sqrt(error.mean())]))


@m_step.slip(
    "You matched mean and variance of the Gumbel component. That is the method of moments, a good start for the root; "
    "the summit of the likelihood is elsewhere, and only it promises a climb."
)
def gumbel_by_moments(scores, is_decoy, error):
    mean, sd = _weighted_normal(scores, 1 - error)
    scale = sd * np.sqrt(6) / np.pi
    return _maximised(scores, is_decoy, error, gumbel=np.array([mean - np.euler_gamma * scale, scale]))


@m_step.slip(
    "The Gumbel component has the weighted mean and standard deviation. Its location is its highest point and its "
    "scale no standard deviation: solve the equation for the scale."
)
def gumbel_as_normal(scores, is_decoy, error):
    return _maximised(scores, is_decoy, error, gumbel=_weighted_normal(scores, 1 - error))


@m_step.slip(
    "The Gumbel component was fitted to all targets alike. Weight each with the probability that it is correct, 1 - "
    "error."
)
def gumbel_of_all_targets(scores, is_decoy, error):
    gumbel = _weighted_gumbel(scores[~is_decoy], np.ones((~is_decoy).sum()))
    return _maximised(scores, is_decoy, error, gumbel=gumbel)


@m_step.slip(
    "The weights are exchanged: `error` is the probability of being incorrect, so it weighs the normal component, and "
    "1 - error the Gumbel."
)
def weights_exchanged(scores, is_decoy, error):
    return error[~is_decoy].mean(), _weighted_normal(scores, 1 - error), _weighted_gumbel(scores, error)


@m_step.slip(
    "Your Gumbel leans the other way, as a distribution of smallest values does. The exponentials are those of -x / "
    "scale."
)
def gumbel_of_minima(scores, is_decoy, error):
    location, scale = _weighted_gumbel(-np.asarray(scores, float), 1 - error)
    return _maximised(scores, is_decoy, error, gumbel=np.array([-location, scale]))


@m_step.slip("The weights are missing from the location: a = -scale * log of the *weighted* mean of exp(-x / scale).")
def location_unweighted(scores, is_decoy, error):
    _, scale = _weighted_gumbel(scores, 1 - error)
    x = scores[error < 1]
    location = x.min() - scale * np.log(np.mean(np.exp(-(x - x.min()) / scale)))
    return _maximised(scores, is_decoy, error, gumbel=np.array([location, scale]))


@m_step.also
def by_minimising(scores, is_decoy, error):
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    w = (1 - error) / (1 - error).sum()
    x = scores - scores @ w

    def surprise(log_s):
        s = np.exp(log_s)
        return log_s + logsumexp(-x / s, b=w)

    log_s = minimize_scalar(surprise, bracket=(-2.0, 1.0), tol=1e-12).x
    s = float(np.exp(log_s))
    normal = np.average(scores, weights=error), np.sqrt(np.cov(scores, aweights=error, ddof=0))
    return error[~is_decoy].mean(), list(map(float, normal)), [float(scores @ w - s * logsumexp(-x / s, b=w)), s]


# ---------------------------------------------------------------- 4
@exercise.function(
    returns={"w0": "()", "normal": "(2,)", "gumbel": "(2,)", "log_likelihoods": "(S,)"},
    story="""
        **EM.** From the start that you are given, do `n_iter` iterations, each an E-step and an M-step. Return the
        parameters after the last one, and the log-likelihoods of all stages, which are $S$ = `n_iter` + 1: that of the
        start, that after one iteration, and so on. The last one belongs to the parameters that you return.

        The example has the spectra and 200 iterations. The share ends at .338.
        """,
    hints=[
        "What e_step reports belongs to the parameters that it was given.",
        "So note the value before the M-step replaces the parameters, and once more for the last ones.",
        "values = []; for _ in range(n_iter): error, value = e_step(...); values.append(value); w0, normal, gumbel = "
        "m_step(scores, is_decoy, error); and after the loop values.append(e_step(...)[1]).",
    ],
    after="""
        The two curves cross at a score of 3.9, where a match is as likely one as the other. Nobody can say which of the
        matches there are correct. *How many* are is known well all the same, since errors add up.
        """,
    compare=FINE,
)
def climb(scores, is_decoy, w0, normal, gumbel, n_iter):
    """EM for the score mixture with decoys as known labels.

    Parameters
    ----------
    scores : array (n,)
    is_decoy : array (n,) of bool
    w0 : float
        Where to begin: share of incorrect matches among the targets.
    normal, gumbel : array (2,)
        Where to begin: mean and standard deviation, location and scale.
    n_iter : int
        Number of iterations; 0 returns the start.

    Returns
    -------
    w0 : float
    normal : array (2,)
    gumbel : array (2,)
    log_likelihoods : array (S,)
        At the start and after each iteration, S = n_iter + 1.
    """
    log_likelihoods = []
    for _ in range(n_iter):
        error, log_likelihood = e_step(scores, is_decoy, w0, normal, gumbel)
        log_likelihoods.append(log_likelihood)
        w0, normal, gumbel = m_step(scores, is_decoy, error)
    log_likelihoods.append(e_step(scores, is_decoy, w0, normal, gumbel)[1])
    return w0, normal, gumbel, np.array(log_likelihoods)


@climb.example
def _():
    scores, is_decoy = _spectra()
    return {"scores": scores, "is_decoy": is_decoy, **START, "n_iter": STEPS}


@climb.draws(
    """A histogram of the scores of targets with two humps, one near 3 and a long one from 5 to 15, and an outline of
    the decoys below the first hump. A narrow normal curve follows the first hump, a Gumbel curve the second; they cross
    near
    4."""
)
def _curves(ax, answer, scores, is_decoy, w0, normal, gumbel, n_iter):
    from ...view import style

    bins = np.linspace(0, 16, 81)
    ax.hist(scores[~is_decoy], bins, color="0.85", label="targets")
    ax.hist(scores[is_decoy], bins, histtype="step", color=style.INK, lw=0.8, label="decoys")
    x, many = np.linspace(0, 16, 400), 0.2 * (~is_decoy).sum()
    share, first, second = float(answer[0]), np.asarray(answer[1]), np.asarray(answer[2])
    ax.plot(x, many * share * np.exp(_log_normal(x, first)), color=style.COLORS[1], label="incorrect")
    ax.plot(x, many * (1 - share) * np.exp(_log_gumbel(x, second)), color=style.COLORS[0], label="correct")
    ax.set(xlabel="score", ylabel="matches", xlim=(0, 16))
    ax.legend(frameon=False)


@climb.cases
def _(rng):
    def case(n, n_iter):
        scores, is_decoy = _searched(rng, n)
        start = {"w0": rng.uniform(0.5, 0.7), "normal": np.array([3.2, 1.1]), "gumbel": np.array([6.6, 2.6])}
        return {"scores": scores, "is_decoy": is_decoy, **start, "n_iter": n_iter}

    none = case(60, 3)
    none["is_decoy"][:] = False
    return {
        "a hundred targets": case(100, 8),
        "no decoys": none,
        "one step": case(50, 1),
        "no step at all": case(40, 0),
    }


climb.check("a hundred targets", points=3, on="a hundred targets")
climb.check("no decoys", points=1, on="no decoys")
climb.check("one step, and none", points=2, on=("one step", "no step at all"))


@climb.slip(
    "The log-likelihoods lag: each is that of the parameters one step before. What e_step reports belongs to the "
    "parameters that it was given."
)
def one_step_behind(scores, is_decoy, w0, normal, gumbel, n_iter):
    *params, values = _walk(scores, is_decoy, w0, normal, gumbel, n_iter)
    return *params, np.concatenate([values[:1], values[:-1]])


@climb.slip("The log-likelihood of the start is missing: there is one for the start and one for each iteration.")
def without_the_start(scores, is_decoy, w0, normal, gumbel, n_iter):
    *params, values = _walk(scores, is_decoy, w0, normal, gumbel, n_iter)
    return *params, values[1:]


@climb.slip(
    "The log-likelihood of the last parameters is missing. After the loop ask e_step once more: there are n_iter + 1 "
    "of them."
)
def without_the_end(scores, is_decoy, w0, normal, gumbel, n_iter):
    *params, values = _walk(scores, is_decoy, w0, normal, gumbel, n_iter)
    return *params, values[:-1]


@climb.slip(
    "One M-step too many: the parameters that you return are newer than the last log-likelihood. Both should belong "
    "together."
)
def one_m_step_too_many(scores, is_decoy, w0, normal, gumbel, n_iter):
    *params, values = _walk(scores, is_decoy, w0, normal, gumbel, n_iter)
    error, _ = _posterior(scores, is_decoy, *params)
    return *_maximised(scores, is_decoy, error), values


@climb.slip(
    "The labels of the decoys were not used: your E-step took them for targets. Hand on `is_decoy`; it is what holds "
    "the incorrect component in place."
)
def labels_not_used(scores, is_decoy, w0, normal, gumbel, n_iter):
    return _walk(scores, np.zeros(len(scores), bool), w0, normal, gumbel, n_iter)


@climb.slip(
    "You left the decoys out altogether, and fitted a mixture to the targets. They tell what incorrect scores look "
    "like: keep them as rows with a known label."
)
def decoys_left_out(scores, is_decoy, w0, normal, gumbel, n_iter):
    return _walk(scores[~is_decoy], is_decoy[~is_decoy], w0, normal, gumbel, n_iter)


@climb.slip(
    "The share was taken over all rows in every M-step. Decoys are no part of it: w0 is the mean error of the targets."
)
def share_of_all(scores, is_decoy, w0, normal, gumbel, n_iter):
    def known(params, error):
        return error.mean(), *params[1:]

    return _walk(scores, is_decoy, w0, normal, gumbel, n_iter, known=known)


@climb.slip("The share never moves from its start. It is a parameter like the others: each M-step renews it.")
def share_stays(scores, is_decoy, w0, normal, gumbel, n_iter):
    def known(params, error):
        return w0, *params[1:]

    return _walk(scores, is_decoy, w0, normal, gumbel, n_iter, known=known)


@climb.slip(
    "The normal component never moves from its start. Each M-step renews it, from decoys and from what is expected to "
    "be incorrect among the targets."
)
def normal_stays(scores, is_decoy, w0, normal, gumbel, n_iter):
    def known(params, error):
        return params[0], normal, params[2]

    return _walk(scores, is_decoy, w0, normal, gumbel, n_iter, known=known)


@climb.slip(
    "Each target was decided in every round, correct or incorrect. Then nobody in the region where the curves overlap "
    "is shared, both components shrink away from it, and the errors come out too small. Hand on the probabilities."
)
def hard(scores, is_decoy, w0, normal, gumbel, n_iter):
    return _walk(scores, is_decoy, w0, normal, gumbel, n_iter, change=np.round)


@climb.slip(
    "The E-step ran with the start in every round, so nothing moves after the first iteration. Hand it the newest "
    "parameters."
)
def stuck_at_the_start(scores, is_decoy, w0, normal, gumbel, n_iter):
    *params, values = _walk(scores, is_decoy, w0, normal, gumbel, min(n_iter, 1))
    return *params, values[np.minimum(np.arange(n_iter + 1), 1)] if n_iter else values


@climb.also
def with_a_generic_optimiser(scores, is_decoy, w0, normal, gumbel, n_iter):
    """The same M-step, the Gumbel by Newton's method."""
    values = []
    for step in range(n_iter + 1):
        error, value = e_step(scores, is_decoy, w0, normal, gumbel)
        values.append(float(value))
        if step < n_iter:
            w0 = float(error[~is_decoy].mean())
            normal = _weighted_normal(scores, error)
            gumbel = _weighted_gumbel(scores, 1 - error)
    return w0, normal.tolist(), gumbel.tolist(), values


# ---------------------------------------------------------------- 5
@exercise.function(
    returns={"q": "(n,)"},
    story="""
        **From matches to lists.** A posterior error is about one match. A list of matches that are accepted together
        has a false discovery rate, and if errors are right, it is their mean. Whoever accepts a match also accepts all
        that are at least as good. So

        $$q_i = \\text{mean of } e_j \\text{ over all } j \\text{ with } e_j \\le e_i .$$

        Equal errors enter together. `errors` holds those of the targets.

        The example has the errors of EM. A q-value of at most 1 % have 2,954 targets, a hundred more than by counting
        decoys. The last of them is incorrect with a probability of 15 %.
        """,
    hints=[
        "Sort the errors, and think of running means: cumulative sum over cumulative number.",
        "levels, where, n = np.unique(errors, return_inverse=True, return_counts=True) takes care of order and of "
        "equal errors.",
        "q = np.cumsum(levels * n) / np.cumsum(n); then q[where] puts it back into the order given.",
    ],
    after="""
        A q-value is never above its posterior error, since it averages over better ones. "q below 1 %" for a list and
        "error below 1 %" for each of its members are different demands, and the second is much harder: 2,452 targets
        pass it. What is 1 % on average may be 15 % for the one match that you are about to build an experiment on.
        """,
)
def q_values(errors):
    """Mean error of all matches that are at least as good.

    Parameters
    ----------
    errors : array (n,)
        Posterior errors; some may be equal.

    Returns
    -------
    q : array (n,)
        In the order given.
    """
    levels, where, n = np.unique(errors, return_inverse=True, return_counts=True)
    return (np.cumsum(levels * n) / np.cumsum(n))[where]


@q_values.example
def _():
    _, is_decoy = _spectra()
    return {"errors": _fitted()[3][~is_decoy]}


@q_values.draws(
    """Posterior error and q-value against the rank of the match. Both are near zero for the first 2,400; then the error
    rises steeply towards 1, while the q-value rises slowly and ends at .34. A line marks where the q-value is 1 per
    cent;
    the error there is 15 per cent."""
)
def _both_errors(ax, answer, errors):
    from ...view import style

    q = np.sort(np.asarray(answer))
    ax.plot(np.sort(errors), color=style.COLORS[1], label="posterior error")
    ax.plot(q, color=style.COLORS[0], label="q-value")
    ax.axvline(int((q <= 0.01).sum()), color=style.GREY, lw=1)
    ax.set(xlabel="rank", ylabel="error", xlim=(0, len(q)), ylim=(0, 1))
    ax.legend(frameon=False, loc="upper left")


@q_values.cases
def _(rng):
    small = rng.beta(0.3, 1.0, size=60)
    return {
        "sixty errors": {"errors": small},
        "equal errors": {"errors": np.round(rng.beta(0.5, 0.8, size=40), 1)},
        "certainties": {"errors": rng.permutation(np.array([0, 0, 1, 0, 1, 1, 0]))},
        "one error": {"errors": rng.uniform(0.1, 0.4, size=1)},
    }


q_values.check("sixty errors", points=2, on="sixty errors")
q_values.check("equal errors, certainties, a single one", points=2, on=("equal errors", "certainties", "one error"))


@q_values.slip(
    "These are the errors themselves, of one match each. The q-value is the mean over all that are at least as good."
)
def errors_themselves(errors):
    return 1.0 * errors


@q_values.slip("The running means are sorted. Put them back into the order in which the errors came.")
def sorted_means(errors):
    return np.sort(q_values(errors))


@q_values.slip(
    "You averaged in the order given. Those who are accepted with a match are the better ones: sort by error first."
)
def in_the_order_given(errors):
    return np.cumsum(errors) / np.arange(1, len(errors) + 1)


@q_values.slip(
    "You averaged over those that are *worse*. Whoever accepts a match accepts all with a smaller error along with it."
)
def over_the_worse(errors):
    return np.array([errors[errors >= e].mean() for e in errors])


@q_values.slip(
    "These are sums, the expected number of incorrect matches in each list. Divide by the length of the list."
)
def sums(errors):
    return np.array([errors[errors <= e].sum() for e in errors], float)


@q_values.slip("You divided by the number of all matches. A list has as many as were accepted: divide by these.")
def divided_by_all(errors):
    return np.array([errors[errors <= e].sum() for e in errors]) / len(errors)


@q_values.slip("A match is missing from its own list. It is accepted as well, and its error counts in the mean.")
def without_itself(errors):
    return np.array([errors[errors < e].mean() if (errors < e).any() else 0.0 for e in errors])


@q_values.slip(
    "Equal errors were taken one after the other, so equal matches have different q-values. They enter together."
)
def one_after_the_other(errors):
    order = np.argsort(errors)
    q = np.empty(len(errors))
    q[order] = np.cumsum(errors[order]) / np.arange(1, len(errors) + 1)
    return q


@q_values.slip(
    "Equal errors count once in your mean. Each match counts, so a value that ten of them have counts ten times."
)
def equal_ones_once(errors):
    levels, where = np.unique(errors, return_inverse=True)
    return (np.cumsum(levels) / np.arange(1, len(levels) + 1))[where]


@q_values.also
def one_by_one(errors):
    return [float(errors[errors <= e].mean()) for e in errors]


# ---------------------------------------------------------------- 6
@exercise.function(
    returns={"decoys": "(B,)", "expected": "(B,)", "z": "(B,)"},
    story="""
        **Are the errors right?** Decoys can tell, bin by bin. Cut the scores at `edges`, from the lowest up: bin $b$
        has all scores with $\\text{edges}_b \\le x < \\text{edges}_{b+1}$, and the last bin its right edge, too. In
        each bin return

        - how many **decoys** there are, $D_b$: so many targets should be incorrect, give or take;
        - how many incorrect targets are **expected**, $E_b$: the sum of the errors of its targets;
        - the difference in standard errors, $z_b = (E_b - D_b) / \\sqrt{\\max(E_b + D_b, 1)}$.

        An incorrect match was a target or a decoy as a coin falls, so both numbers vary, and the variance of their
        difference is their sum where nearly all matches are incorrect, and less in the tail. Calibrated errors have $z$
        between -2 and 2 in nearly all bins.

        The example cuts the 7,578 scores into twelve bins of equal size. Look at the signs of the first six.
        """,
    hints=[
        "np.digitize(scores, edges) - 1 is the bin of each score, but for one that lies on the last edge.",
        "np.digitize(scores, edges[1:-1]) numbers the bins from 0 and puts the last edge into the last bin. Then "
        "np.bincount(..., minlength=B), with weights for the sums.",
        "b = np.digitize(scores, edges[1:-1]); B = len(edges) - 1; decoys = np.bincount(b[is_decoy], minlength=B); "
        "expected = np.bincount(b[~is_decoy], weights=error[~is_decoy], minlength=B).",
    ],
    after="""
        No bin is far off alone, but five of the first six have decoys in excess: EM expects 1,868 incorrect targets
        where 2,054 decoys are. It gave a piece of the hill to the Gumbel, and nothing in the scores forbids that. The
        *number* of decoys would have, had it been evidence: the chapter puts it in, and the end of this notebook asks
        you to. In the last bin that has decoys there are eight and two are expected: the normal curve is too thin out
        there, where strict lists are made.
        """,
)
def calibration(scores, is_decoy, error, edges):
    """Incorrect targets by decoys and by posterior errors.

    Parameters
    ----------
    scores : array (n,)
        None below the first edge or above the last.
    is_decoy : array (n,) of bool
    error : array (n,)
        Posterior errors; 1 for decoys.
    edges : array (B + 1,)
        Increasing.

    Returns
    -------
    decoys : array (B,) of int
    expected : array (B,)
        Sums of the errors of targets.
    z : array (B,)
        Standardised differences, expected less decoys.
    """
    bins, B = np.digitize(scores, edges[1:-1]), len(edges) - 1
    decoys = np.bincount(bins[is_decoy], minlength=B)
    expected = np.bincount(bins[~is_decoy], weights=error[~is_decoy], minlength=B)
    return decoys, expected, (expected - decoys) / np.sqrt(np.maximum(expected + decoys, 1))


@calibration.example
def _():
    scores, is_decoy = _spectra()
    edges = np.quantile(scores, np.linspace(0, 1, 13))
    return {"scores": scores, "is_decoy": is_decoy, "error": _fitted()[3], "edges": edges}


@calibration.draws(
    """Incorrect targets in twelve bins of scores: dots with bars for the decoys, steps for the summed posterior errors.
    Both are near 300 for low scores, the dots mostly above the steps; both fall steeply between 3.4 and 5 and are next
    to
    nothing beyond."""
)
def _bins(ax, answer, scores, is_decoy, error, edges):
    from ...view import style

    decoys, expected = (np.asarray(part, float) for part in answer[:2])
    inner = np.minimum(edges, 8)
    ax.stairs(expected, inner, color=style.COLORS[0], lw=1.8, label="sum of errors")
    middle = 0.5 * (inner[1:] + inner[:-1])
    ax.errorbar(middle, decoys, 2 * np.sqrt(np.maximum(decoys, 1)), fmt="o", ms=4, color=style.INK, label="decoys")
    ax.set(xlabel="score (8 and more at 8)", ylabel="incorrect targets", xlim=(0, 8), ylim=(0, None))
    ax.legend(frameon=False)


@calibration.cases
def _(rng):
    def case(n, B, decimals=6):
        scores, is_decoy = _searched(rng, n, decimals=decimals)
        error = _posterior(scores, is_decoy, **_parameters(rng))[0]
        edges = np.quantile(scores, np.linspace(0, 1, B + 1))
        return {"scores": scores, "is_decoy": is_decoy, "error": error, "edges": edges}

    whole = case(120, 4, decimals=0)
    whole["scores"] = np.clip(whole["scores"], 0, 12).astype(int)
    whole["edges"] = np.array([0, 2, 3, 5, 12])
    whole["scores"][:4] = [12, 2, 5, 12]  # on edges
    whole["is_decoy"][:4] = [False, False, False, True]
    whole["error"] = _posterior(whole["scores"], whole["is_decoy"], **_parameters(rng))[0]
    empty = case(60, 3)
    top = empty["scores"].max()
    empty["edges"] = np.append(empty["edges"], [top + 1, top + 2])
    return {
        "eight bins": case(300, 8),
        "scores on the edges": whole,
        "bins without a match": empty,
        "one bin": case(40, 1),
    }


calibration.check("eight bins", points=3, on="eight bins")
calibration.check(
    "scores on edges, and empty bins", points=2, on=("scores on the edges", "bins without a match", "one bin")
)


def _binned(scores, is_decoy, error, edges, bins=None):
    bins = np.digitize(scores, edges[1:-1]) if bins is None else bins
    B = len(edges) - 1
    decoys = np.bincount(bins[is_decoy], minlength=B)
    return decoys, np.bincount(bins[~is_decoy], weights=error[~is_decoy], minlength=B)


def _z(expected, decoys):
    return (expected - decoys) / np.sqrt(np.maximum(expected + decoys, 1))


@calibration.slip(
    "Your expected numbers have the decoys in them, whose error is 1. They are what the targets are to be compared "
    "with: add up the errors of targets only."
)
def decoys_expected_too(scores, is_decoy, error, edges):
    decoys, expected = _binned(scores, is_decoy, error, edges)
    return decoys, expected + decoys, _z(expected + decoys, decoys)


@calibration.slip(
    "These are mean errors. The decoys are a number, so what they are compared with must be one: the sum of the errors."
)
def means(scores, is_decoy, error, edges):
    decoys, expected = _binned(scores, is_decoy, error, edges)
    targets, _ = _binned(scores, ~is_decoy, error, edges)
    mean = expected / np.maximum(targets, 1)
    return decoys, mean, _z(mean, decoys)


@calibration.slip(
    "You counted targets where decoys were asked for. Targets in a bin are correct and incorrect; the decoys stand for "
    "the incorrect ones."
)
def targets_counted(scores, is_decoy, error, edges):
    _, expected = _binned(scores, is_decoy, error, edges)
    targets, _ = _binned(scores, ~is_decoy, error, edges)
    return targets, expected, _z(expected, targets)


@calibration.slip(
    "These are the correct targets that are expected, sums of 1 - error. Decoys stand for the incorrect ones."
)
def correct_expected(scores, is_decoy, error, edges):
    decoys, expected = _binned(scores, is_decoy, 1 - error, edges)
    return decoys, expected, _z(expected, decoys)


@calibration.slip(
    "You counted targets whose error is above one half. A bin of ten targets with an error of .2 has two incorrect "
    "ones, though none is above one half: add up the errors."
)
def counted_by_half(scores, is_decoy, error, edges):
    decoys, expected = _binned(scores, is_decoy, (error > 0.5) * 1.0, edges)
    return decoys, expected, _z(expected, decoys)


@calibration.slip(
    "The sign of z is reversed: it is expected less decoys, positive where the errors are too pessimistic."
)
def reversed_sign(scores, is_decoy, error, edges):
    decoys, expected = _binned(scores, is_decoy, error, edges)
    return decoys, expected, -_z(expected, decoys)


@calibration.slip(
    "You divided by the square root of the expected number alone. The decoys are a random number as well, and the "
    "variance of a difference is the sum of both."
)
def one_variance(scores, is_decoy, error, edges):
    decoys, expected = _binned(scores, is_decoy, error, edges)
    return decoys, expected, (expected - decoys) / np.sqrt(np.maximum(expected, 1))


@calibration.slip(
    "You divided by the square root of the number of decoys alone. The sum of errors varies as well, with the targets "
    "that happen to be in the bin, and the variance of a difference is the sum of both."
)
def variance_of_decoys(scores, is_decoy, error, edges):
    decoys, expected = _binned(scores, is_decoy, error, edges)
    return decoys, expected, (expected - decoys) / np.sqrt(np.maximum(decoys, 1))


@calibration.slip("z was divided by the variance. A standard error is its square root.")
def by_the_variance(scores, is_decoy, error, edges):
    decoys, expected = _binned(scores, is_decoy, error, edges)
    return decoys, expected, (expected - decoys) / np.maximum(expected + decoys, 1)


@calibration.slip("A bin without matches makes 0/0, which is nan. The 1 in max(E + D, 1) is there for that.")
def nan_in_empty_bins(scores, is_decoy, error, edges):
    decoys, expected = _binned(scores, is_decoy, error, edges)
    with np.errstate(invalid="ignore"):
        return decoys, expected, (expected - decoys) / np.sqrt(expected + decoys)


@calibration.slip(
    "A score on an edge went into the bin below it. Each bin has its left edge and not its right one, but for the last."
)
def edges_to_the_left(scores, is_decoy, error, edges):
    decoys, expected = _binned(scores, is_decoy, error, edges, np.digitize(scores, edges[1:-1], right=True))
    return decoys, expected, _z(expected, decoys)


@calibration.slip("The highest score, on the last edge, was lost. The last bin has its right edge, too.")
def last_edge_lost(scores, is_decoy, error, edges):
    kept = scores < edges[-1]
    decoys, expected = _binned(scores[kept], is_decoy[kept], error[kept], edges)
    return decoys, expected, _z(expected, decoys)


@calibration.slip(
    "Your numbers add up from bin to bin. Each bin is asked for itself, or a fault in one hides in the sum of all."
)
def cumulated(scores, is_decoy, error, edges):
    decoys, expected = (part.cumsum() for part in _binned(scores, is_decoy, error, edges))
    return decoys, expected, _z(expected, decoys)


@calibration.also
def with_histograms(scores, is_decoy, error, edges):
    decoys = np.histogram(scores[is_decoy], edges)[0]
    expected = np.histogram(scores[~is_decoy], edges, weights=error[~is_decoy])[0]
    return decoys.tolist(), expected, _z(expected, decoys).tolist()


# ---------------------------------------------------------------- 7
@exercise.function(
    returns={"new_shares": "(G,)", "present": "(G,)", "log_likelihood": "()"},
    story="""
        **Which proteins?** A peptide may be part of several proteins. Then it came from one of them, and nobody saw
        from which: the label of chapter 11 once more. `candidates` (n, G) has 1 where protein $g$ contains peptide $i$,
        `probabilities` (n,) says how probably the peptide was there, $p_i = 1 - e_i$, and `shares` (G,), $w_g$, how
        much of all peptides comes from each protein. If the peptide was there, it came from $g$ with probability

        $$r_{ig} = \\frac{c_{ig} w_g}{\\sum_h c_{ih} w_h} , \\qquad
          w_g^{\\text{new}} = \\frac{\\sum_i p_i r_{ig}}{\\sum_i p_i} , \\qquad
          \\ell = \\sum_i p_i \\log \\sum_g c_{ig} w_g .$$

        Return the new shares, then how probably each protein was there at all, and the log-likelihood $\\ell$, both at
        the shares *given*. A protein was there if one of its peptides was there and its own:

        $$P_g = 1 - \\prod_i (1 - p_i r_{ig}) .$$

        A row of zeros, should all candidates of a peptide have share 0, does not occur.

        The example has the peptides of moesin, ezrin and radixin, three cousins that hold the cell's skin to its
        skeleton, and equal shares. Radixin has no peptide of its own here.
        """,
    hints=[
        "r = candidates * shares, each row divided by its sum.",
        "The M-step weighs rows with probabilities: probabilities @ r / probabilities.sum(). The log-likelihood weighs "
        "the logarithms of the same row sums.",
        "present = 1 - np.prod(1 - probabilities[:, None] * r, axis=0)",
    ],
    after="""
        Begin with equal shares and repeat. Radixin's five peptides are all explained by moesin, which has many of its
        own; so each step moves them there, and after five its share is below .0001. That is parsimony, and nobody
        wrote it into the program. It is no proof of absence: the likelihood prefers the simpler story, and the data
        would look the same if a little radixin had been there.

        A protein seen by a single peptide is as probable here as that peptide. That is too hopeful, since wrong
        peptides hit proteins at random, mostly one each.
        """,
    compare=FINE,
)
def protein_step(candidates, probabilities, shares):
    """One EM step for shares of proteins, and how probably each was there.

    Parameters
    ----------
    candidates : array (n, G) of int
        1 where a protein contains a peptide.
    probabilities : array (n,)
        That each peptide was there; not all 0.
    shares : array (G,)
        Of the proteins; 0 for some, but never for all of a peptide.

    Returns
    -------
    new_shares : array (G,)
        After the step.
    present : array (G,)
        Probability that each protein was there, at the shares given.
    log_likelihood : float
        At the shares given.
    """
    joint = candidates * shares
    whole = joint.sum(axis=1)
    r = joint / whole[:, None]
    present = 1 - np.prod(1 - probabilities[:, None] * r, axis=0)
    return probabilities @ r / probabilities.sum(), present, probabilities @ np.log(whole)


@protein_step.example
def _():
    candidates, probabilities = _family()
    return {"candidates": candidates, "probabilities": probabilities, "shares": np.full(3, 1 / 3)}


@protein_step.cases
def _(rng):
    def case(n, G, own=True):
        candidates = (rng.random((n, G)) < 0.35).astype(int)
        candidates[np.arange(n), rng.integers(G, size=n)] = 1
        candidates[:2] = 0
        candidates[0, :2], candidates[1, -2:] = 1, 1
        shares = 0.3 / G + 0.7 * rng.dirichlet(np.linspace(1, 3, G))
        return {"candidates": candidates, "probabilities": rng.uniform(0.05, 0.6, size=n), "shares": shares}

    gone = case(8, 4)
    gone["shares"][2] = 0.0
    gone["shares"] /= gone["shares"].sum()
    gone["candidates"][:, 0] |= gone["candidates"][:, 2]
    gone["candidates"][:, 0] |= gone["candidates"].sum(axis=1) == 0
    sure = case(6, 3)
    sure["probabilities"] = np.array([1, 0, 1, 0, 0, 0])
    return {
        "three proteins": case(9, 3),
        "six proteins": case(16, 6),
        "one peptide, two candidates": {
            "candidates": np.array([[1, 1]]),
            "probabilities": rng.uniform(0.3, 0.8, size=1),
            "shares": rng.permutation([0.35, 0.65]),
        },
        "a share of zero": gone,
        "certain peptides and impossible ones": sure,
    }


protein_step.check("three proteins and six", points=4, on=("three proteins", "six proteins"))
protein_step.check(
    "one peptide, and shares and probabilities of zero",
    points=2,
    on=("one peptide, two candidates", "a share of zero", "certain peptides and impossible ones"),
)


def _came_from(candidates, shares):
    joint = candidates * np.asarray(shares)
    return joint / joint.sum(axis=1, keepdims=True)


def _inferred(candidates, probabilities, shares, r=None, new=None, present=None, value=None):
    r = _came_from(candidates, shares) if r is None else r
    return (
        probabilities @ r / probabilities.sum() if new is None else new,
        1 - np.prod(1 - probabilities[:, None] * r, axis=0) if present is None else present,
        probabilities @ np.log(candidates @ shares) if value is None else value,
    )


@protein_step.slip(
    "Each peptide was split evenly among its candidates. A protein that is known from many other peptides should get "
    "more: split in proportion to the shares."
)
def split_evenly(candidates, probabilities, shares):
    return _inferred(candidates, probabilities, shares, r=_came_from(candidates, np.ones(len(shares))))


@protein_step.slip("A shared peptide counts in full for each of its candidates. It came from one of them: split it.")
def in_full_for_each(candidates, probabilities, shares):
    found = probabilities @ candidates
    present = 1 - np.prod(1 - probabilities[:, None] * candidates, axis=0)
    return _inferred(candidates, probabilities, shares, new=found / found.sum(), present=present)


@protein_step.slip(
    "The new shares are right. But a protein is present in your answer if any of its peptides is, shared ones in full; "
    "then radixin, which explains nothing on its own, is certain. Multiply with r: the peptide must be there *and* be "
    "its own."
)
def present_by_any(candidates, probabilities, shares):
    present = 1 - np.prod(1 - probabilities[:, None] * candidates, axis=0)
    return _inferred(candidates, probabilities, shares, present=present)


@protein_step.slip(
    "Only peptides with a single candidate were used. The shared ones say something as well, about the proteins that "
    "have no other."
)
def unique_only(candidates, probabilities, shares):
    alone = probabilities * (candidates.sum(axis=1) == 1)
    r = _came_from(candidates, shares)
    new = alone @ r / alone.sum() if alone.any() else np.zeros(len(shares))
    return _inferred(candidates, probabilities, shares, new=new, present=1 - np.prod(1 - alone[:, None] * r, axis=0))


@protein_step.slip(
    "The probabilities of the peptides do not show in the new shares: a doubtful peptide has as much say as a sure "
    "one. Weight each row with them."
)
def doubtful_as_sure(candidates, probabilities, shares):
    return _inferred(candidates, probabilities, shares, new=_came_from(candidates, shares).mean(axis=0))


@protein_step.slip(
    "The new shares do not sum to one. You divided by the number of peptides; divide by the expected number of those "
    "that were there, the sum of the probabilities."
)
def divided_by_peptides(candidates, probabilities, shares):
    new = probabilities @ _came_from(candidates, shares) / len(probabilities)
    return _inferred(candidates, probabilities, shares, new=new)


@protein_step.slip("These are expected numbers of peptides. Divide by their sum, and they are shares.")
def numbers_of_peptides(candidates, probabilities, shares):
    return _inferred(candidates, probabilities, shares, new=probabilities @ _came_from(candidates, shares))


@protein_step.slip(
    "You took the sum of p r for the probability of a protein. Two peptides with .6 each do not make 1.2: it is absent "
    "if all of them fail, so multiply what they leave open."
)
def added_up(candidates, probabilities, shares):
    return _inferred(candidates, probabilities, shares, present=probabilities @ _came_from(candidates, shares))


@protein_step.slip(
    "You took the best peptide of each protein. Every further one makes the protein more probable: one minus the "
    "product of what each leaves open."
)
def best_peptide(candidates, probabilities, shares):
    present = (probabilities[:, None] * _came_from(candidates, shares)).max(axis=0)
    return _inferred(candidates, probabilities, shares, present=present)


@protein_step.slip("This is how probable it is that a protein was *not* there. Subtract the product from 1.")
def absent(candidates, probabilities, shares):
    new, present, value = _inferred(candidates, probabilities, shares)
    return new, 1 - present, value


@protein_step.slip(
    "You returned how probable the proteins are at the *new* shares. What a step reports belongs to the shares that it "
    "was given, like the log-likelihood."
)
def present_one_step_ahead(candidates, probabilities, shares):
    new, _, value = _inferred(candidates, probabilities, shares)
    joint = candidates * new
    whole = joint.sum(axis=1, keepdims=True)
    r = np.divide(joint, whole, out=np.zeros(joint.shape), where=whole > 0)
    return new, 1 - np.prod(1 - probabilities[:, None] * r, axis=0), value


@protein_step.slip(
    "In the log-likelihood every peptide counts in full. Weight each logarithm with the peptide's probability."
)
def value_unweighted(candidates, probabilities, shares):
    return _inferred(candidates, probabilities, shares, value=np.log(candidates @ shares).sum())


@protein_step.slip(
    "The log-likelihood has a logarithm for each candidate. The peptide came from one *or* another: add the shares of "
    "its candidates first, then take one logarithm."
)
def logs_of_candidates(candidates, probabilities, shares):
    with np.errstate(divide="ignore"):
        logs = np.where(candidates > 0, np.log(shares), 0.0).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return _inferred(candidates, probabilities, shares, value=probabilities @ logs)


@protein_step.slip(
    "Each peptide went wholly to the candidate with the largest share. That is hard assignment; the smaller cousins "
    "never get anything that is shared. Split it."
)
def winner_takes_all(candidates, probabilities, shares):
    joint = candidates * shares
    r = (np.arange(len(shares)) == joint.argmax(axis=1)[:, None]) * 1.0
    return _inferred(candidates, probabilities, shares, r=r)


@protein_step.also
def peptide_by_peptide(candidates, probabilities, shares):
    G = len(shares)
    found, open_, value = np.zeros(G), np.ones(G), 0.0
    for row, p in zip(candidates, probabilities, strict=True):
        who = np.flatnonzero(row)
        part = shares[who] / shares[who].sum()
        found[who] += p * part
        open_[who] *= 1 - p * part
        value += float(p * np.log(shares[who].sum()))
    return (found / found.sum()).tolist(), (1 - open_).tolist(), value
