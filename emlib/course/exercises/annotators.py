"""Exercise of the chapter beyond biology: annotators who disagree, and diagnostic tests without a gold standard."""

import functools

import numpy as np

from ..compare import close
from ..contract import Exercise

exercise = Exercise(
    "annotators",
    title="Five dentists and no truth",
    minutes=90,
    part="applications",
    objectives=[
        "count the votes of annotators, some of whom say nothing and some of whom speak several times;",
        "estimate how each of them errs, and how common each class is, from probabilities of the truth (M);",
        "weigh what they say by what you know of them (E), in logarithms, and report the log-likelihood;",
        "keep an annotator with a single label from making items impossible;",
        "estimate two tests without a gold standard from two populations, and say when nothing can be estimated;",
        "test the assumption that all of this rests on.",
    ],
    intro="""
        Five dentists look at the same X-rays and disagree. The chapter found out how often each of them is wrong,
        although nobody ever knew the truth about one tooth. Here you do it yourself, in seven functions, and in the
        last one you ask whether the answer should be believed.

        An item is a row of `ratings` (n, C), and each column is one opinion: a label from 0 to K - 1, or -1 where none
        was given. `who` (C,) says whose opinion a column holds, as the number of an annotator from 0 to J - 1; who
        rates twice has two columns. `counts` (n,) says how many items have this row. The parameters are `prevalence`
        (K,), the $p_k$ of the chapter, and `confusion` (J, K, K), its $\\pi_{jkl}$: annotator, truth, label.
        """,
    setup="""
        # 45 patients, five anaesthetists; the first rated three times.
        # Labels begin with 0 here.
        patients = emlib.data.anaesthetists() - 1
        who = np.array([0, 0, 0, 1, 2, 3, 4])

        # What five dentists said: 32 patterns, and teeth with each.
        teeth = emlib.data.caries()
        """,
    outro="""
        How much of it was chance? Draw the teeth again, `rng.multinomial(3859, teeth.counts / 3859)` with
        `rng = np.random.default_rng(0)`, run `dawid_skene` on the new counts (add one to each, so that none is zero),
        and repeat it two hundred times. The standard deviation of the share with caries comes out near .01. The
        chapter's interval from the curvature of the likelihood says about the same. Both believe the model, which
        `misfit` has just refused to do.

        And begin `dawid_skene` elsewhere: replace the votes by rows from `rng.dirichlet(np.ones(4), 45)`, several times
        over, and note where the log-likelihood ends. The patients have more than one summit.
        """,
)

# A log-likelihood of -7,400 is not right if it is off by 0.05, though that is less than one part in a hundred thousand.
FINE = close(relative=1e-6)

FAR = -1e200  # the logarithm of zero, for the slips: none of it is none


# ---------------------------------------------------------------- inputs
def _tables(rng, J, K):
    """Error rates: mostly right, nothing symmetric, nothing close to zero, no two alike."""
    tables = 0.08 + rng.dirichlet(np.full(K, 1.2), size=(J, K)) + np.linspace(1.0, 2.0, K)[:, None] * np.eye(K)
    return tables / tables.sum(axis=2, keepdims=True)


def _shares(rng, K):
    return 0.3 / K + 0.7 * rng.dirichlet(np.linspace(1.5, 4.0, K))


def _said(rng, n, who, K, missing=0.0):
    """Ratings (n, C) of items drawn from the model; every item has one, and the first row is that of a quarrel."""
    tables = _tables(rng, max(who) + 1, K)
    truth = rng.choice(K, size=n, p=_shares(rng, K))
    upto = tables[np.array(who)[:, None], truth].cumsum(axis=2)  # (C, n, K)
    ratings = (rng.random((n, len(who))) > upto[..., :-1].transpose(2, 1, 0)).sum(axis=0)
    ratings[0] = np.arange(len(who)) % K
    hidden = rng.random(ratings.shape) < missing
    hidden[:2] = False
    hidden[1:2, 0] = missing > 0  # one for certain
    hidden[hidden.all(axis=1)] = False
    return np.where(hidden, -1, ratings)


def _patterns(J, K):
    """Every row that J annotators with K labels can give."""
    return np.array(list(np.ndindex(*[K] * J)))


def _of_patterns(rng, J, K, n):
    """Patterns in any order, and how many of n items had each, at least one."""
    patterns, tables = rng.permutation(_patterns(J, K)), _tables(rng, J, K)
    chance = _chance(_shares(rng, K), tables, patterns)
    return patterns, 1 + rng.multinomial(n, chance / chance.sum())


def _believed(rng, n, K):
    """Responsibilities: none close to a tie, none certain."""
    r = 0.1 / K + rng.dirichlet(np.full(K, 0.7), size=n)
    return r / r.sum(axis=1, keepdims=True)


@functools.cache
def _dentists():
    """Patterns, counts, and the fit of the chapter."""
    from ... import data

    teeth = data.caries()
    prevalence, confusion, _ = dawid_skene(teeth.ratings, np.arange(5), teeth.counts, 2, 100)
    return teeth.ratings, teeth.counts, prevalence, confusion


# ---------------------------------------------------------------- the steps, as the slips vary them
def _votes(ratings, K):
    said = (ratings[:, :, None] == np.arange(K)).sum(axis=1)
    whole = said.sum(axis=1, keepdims=True)
    return np.where(whole > 0, said / np.maximum(whole, 1), 1 / K)


def _times(ratings, who, K):
    """How often each annotator gave each label, (n, J K)."""
    said = ratings[:, :, None] == np.arange(K)
    who = np.asarray(who)
    return np.stack([said[:, who == j].sum(axis=1) for j in range(max(who) + 1)], axis=1).reshape(len(ratings), -1)


def _tabled(r, times, counts):
    """Expected ratings (J, K, K) by annotator, truth and label."""
    K = r.shape[1]
    return ((counts[:, None] * r).T @ times).reshape(K, -1, K).swapaxes(0, 1)


def _table(r, ratings, who, counts):
    return _tabled(r, _times(ratings, who, r.shape[1]), counts)


def _rows(N, empty=None):
    """Rows that sum to one; `empty` where nothing was counted, equal shares if not given."""
    whole = N.sum(axis=-1, keepdims=True)
    return np.where(whole > 0, N / np.where(whole > 0, whole, 1), 1 / N.shape[-1] if empty is None else empty)


def _shared(r, counts):
    return counts @ r / np.sum(counts)


def _decided(r):
    return np.eye(r.shape[1])[r.argmax(axis=1)]


def _logs(p):
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(p), FAR)


def _joint_of(prevalence, confusion, times):
    return times @ _logs(confusion).swapaxes(1, 2).reshape(-1, len(prevalence)) + _logs(prevalence)


def _log_joint(prevalence, confusion, ratings, who):
    return _joint_of(prevalence, confusion[: max(who) + 1], _times(ratings, who, len(prevalence)))


def _bayes(joint):
    """Responsibilities, and the log-likelihood of each row."""
    top = joint.max(axis=1, keepdims=True)
    total = top + np.log(np.exp(joint - top).sum(axis=1, keepdims=True))
    return np.exp(joint - total), total[:, 0]


def _chance(prevalence, confusion, patterns):
    """The probability of each pattern, each column by an annotator of its own."""
    joint = np.prod([confusion[j][:, column].T for j, column in enumerate(patterns.T)], axis=0) * prevalence
    return joint.sum(axis=1)


def _climb(ratings, who, counts, K, n_iter, start=None, credit=None, weights=None, table=None, prevalence=None):
    """EM, with parts replaced.

    `start` are responsibilities, `credit` changes those of a step, `weights` stand for counts in the M-step, `table`
    makes error rates of expected ratings, `prevalence` shares of responsibilities. Returns the parameters, the
    log-likelihoods, and the responsibilities that the next step would begin with.
    """
    r = _votes(ratings, K) if start is None else start
    weights = counts if weights is None else weights
    times = _times(ratings, who, K)
    values = []
    for _ in range(n_iter + 1):
        p = (prevalence or _shared)(r, weights)
        pi = (table or _rows)(_tabled(r, times, weights))
        r, value = _bayes(_joint_of(p, pi, times))
        values.append(counts @ value)
        r = credit(r) if credit else r
    return (p, pi, np.array(values)), r


# ---------------------------------------------------------------- 1
@exercise.function(
    returns={"shares": "(n, K)"},
    story="""
        **A vote, to begin with.** How sure is each class, if everybody's word counts the same? For every item return
        the share of its ratings that each label got. A rating of -1 was not given and counts for nobody; an item that
        nobody rated gets equal shares, $1/K$.

        The example has the first ten patients of the anaesthetists. The seventh got 1 three times and 0 four times, so
        its row begins with .57 and .43.
        """,
    hints=[
        "How often does a label occur in a row? Compare the whole row with the label, and add up the answers.",
        "ratings[:, :, None] == np.arange(K) has shape (n, C, K), and is True where item i got label l in column c. "
        "Sum over axis 1. The label -1 equals none of 0 to K - 1, so it drops out by itself.",
        "said = (ratings[:, :, None] == np.arange(K)).sum(axis=1); whole = said.sum(axis=1, keepdims=True); divide "
        "where whole > 0, and put 1 / K elsewhere.",
    ],
    after="""
        Shares, and not the winner: two against three is another piece of evidence than none against five. Dawid and
        Skene began like this, and so does `emlib`. It is only a start. A vote counts the careful annotator and the
        careless one alike.
        """,
)
def votes(ratings, K):
    """The share of its ratings that each label got, for every item.

    Parameters
    ----------
    ratings : array (n, C) of int
        Labels from 0 to K - 1; -1 where no rating was given.
    K : int
        Number of labels; some may not occur.

    Returns
    -------
    shares : array (n, K)
        Rows sum to 1; equal shares for an item without ratings.
    """
    said = (ratings[:, :, None] == np.arange(K)).sum(axis=1)
    whole = said.sum(axis=1, keepdims=True)
    return np.where(whole > 0, said / np.maximum(whole, 1), 1 / K)


@votes.example
def _():
    from ... import data

    return {"ratings": data.anaesthetists()[:10] - 1, "K": 4}


@votes.cases
def _(rng):
    one = rng.permutation(np.array([[0], [2], [-1], [1], [0]]))
    unused = _said(rng, 6, [0, 1, 2], 3, missing=0.2)
    silent = np.vstack([_said(rng, 7, [0, 1, 2, 3], 3, missing=0.3), np.full((1, 4), -1)])
    return {
        "every rating given": {"ratings": _said(rng, 8, [0, 1, 2, 3, 4], 3), "K": 3},
        "two labels": {"ratings": _said(rng, 6, [0, 1, 2], 2), "K": 2},
        "some ratings missing": {"ratings": _said(rng, 9, [0, 1, 2, 3, 4], 3, missing=0.3), "K": 3},
        "a label that nobody uses": {"ratings": unused, "K": 4},
        "an item that nobody rated": {"ratings": rng.permutation(silent), "K": 3},
        "one column": {"ratings": one, "K": 3},
    }


votes.check("every rating given", points=1, on=("every rating given", "two labels"))
votes.check(
    "ratings missing, and items that nobody rated",
    points=2,
    on=("some ratings missing", "a label that nobody uses", "an item that nobody rated", "one column"),
)


@votes.slip(
    "A missing rating became a vote for the last label: in Python the index -1 means the last entry. Leave these "
    "ratings out before you count."
)
def missing_is_the_last(ratings, K):
    return _votes(ratings % K, K)


@votes.slip(
    "You divided by the number of columns. Divide by the ratings that the item really got, so that each row sums to "
    "one."
)
def divided_by_columns(ratings, K):
    shares = (ratings[:, :, None] == np.arange(K)).mean(axis=1)
    return np.where(shares.sum(axis=1, keepdims=True) > 0, shares, 1 / K)


@votes.slip(
    "You divided by the number of columns. Divide by the ratings that the item really got, so that each row sums to "
    "one; and where there were none, equal shares, 1 / K."
)
def mean_over_columns(ratings, K):
    return (ratings[:, :, None] == np.arange(K)).mean(axis=1)


@votes.slip(
    "You gave everything to the label with most votes. Three against two is not the same as five against none: return "
    "the shares."
)
def majority(ratings, K):
    return np.where((ratings >= 0).any(axis=1, keepdims=True), _decided(_votes(ratings, K)), 1 / K)


@votes.slip("These are numbers of votes. Divide each row by its sum.")
def numbers(ratings, K):
    return (ratings[:, :, None] == np.arange(K)).sum(axis=1).astype(float)


@votes.slip(
    "You divided by the sums of the columns, over items. Each item has its own vote, so it is the rows that sum to one."
)
def over_items(ratings, K):
    said = (ratings[:, :, None] == np.arange(K)).sum(axis=1).astype(float)
    whole = said.sum(axis=0)
    return np.where(whole > 0, said / np.where(whole > 0, whole, 1), 1 / K)


@votes.slip("The labels begin with 0, and you compared with 1 to K.")
def labels_from_one(ratings, K):
    return _votes(ratings - 1, K)


@votes.slip("An item that nobody rated makes 0/0, which is nan. Give it equal shares, 1 / K.")
def zero_by_zero(ratings, K):
    said = (ratings[:, :, None] == np.arange(K)).sum(axis=1)
    return said / said.sum(axis=1, keepdims=True)


@votes.slip(
    "An item that nobody rated has zeros in its row. It is of some class all the same, and you do not know which: "
    "equal shares, 1 / K."
)
def silent_is_zero(ratings, K):
    return np.where((ratings >= 0).any(axis=1, keepdims=True), _votes(ratings, K), 0.0)


@votes.slip(
    "A missing rating went to all labels in equal parts. That blurs an item the more, the fewer have looked at it. It "
    "should count for nobody, above the line and below."
)
def missing_for_everybody(ratings, K):
    said = (ratings[:, :, None] == np.arange(K)).sum(axis=1) + (ratings < 0).sum(axis=1, keepdims=True) / K
    return said / ratings.shape[1]


@votes.slip(
    "You gave every label one vote more before you divided. That is a prior, and a strong one for five votes; here the "
    "votes alone are asked for."
)
def one_more_each(ratings, K):
    said = (ratings[:, :, None] == np.arange(K)).sum(axis=1) + 1.0
    return said / said.sum(axis=1, keepdims=True)


@votes.also
def by_hand(ratings, K):
    shares = []
    for row in ratings.tolist():
        given = [label for label in row if label >= 0]
        shares.append([given.count(k) / len(given) if given else 1 / K for k in range(K)])
    return shares


# ---------------------------------------------------------------- 2
@exercise.function(
    returns={"prevalence": "(K,)", "confusion": "(J, K, K)"},
    story="""
        **M: how does each of them err?** Suppose that you hold, for every item, the probabilities $r_{ik}$ of its
        classes. Then shares and error rates are counted, and the item counts for each class as much as it is believed
        to be of it. With $c_i$ items of row $i$,

        $$p_k = \\frac{\\sum_i c_i r_{ik}}{\\sum_i c_i}, \\qquad \\pi_{jkl} = \\frac{N_{jkl}}{\\sum_m N_{jkm}} ,$$

        where $N_{jkl}$ adds up $c_i r_{ik}$ over all ratings by $j$ with the label $l$.

        The chapter divides by $\\sum_i r_{ik}$, which is the same thing as long as everybody rates every item once. Who
        is silent drops out of both sums; who rates three times enters both three times. Where an annotator has met no
        item of class $k$ at all, equal rates, $1/K$, are as good as any.

        The example believes the votes on the teeth. The dots are where the dentists stand after this first step.
        """,
    hints=[
        "Begin with N = np.zeros((J, K, K)) and J = who.max() + 1, and go through the columns: column c belongs to the "
        "annotator j = who[c], and adds a (K, K) table to N[j].",
        "That table is a product: (counts[:, None] * r).T is (K, n), and ratings[:, [c]] == np.arange(K) is (n, K), "
        "with a 1 for the label given and zeros for -1. Use +=, since an annotator may have several columns.",
        "whole = N.sum(axis=2, keepdims=True); confusion = np.where(whole > 0, N / np.where(whole > 0, whole, 1), 1 / "
        "K); prevalence = counts @ r / counts.sum().",
    ],
    after="""
        A row of a table belongs to one truth and sums to one: given caries, what does she say? The other way round,
        given that she says caries, is it? That is a question for Bayes' rule, and its answer depends on how common
        caries is. The first describes the dentist, and stays the same in another town.
        """,
)
def m_step(r, ratings, who, counts):
    """Class shares and error rates from probabilities of the truth.

    Parameters
    ----------
    r : array (n, K)
        Probabilities of the classes of every item.
    ratings : array (n, C) of int
        Labels from 0 to K - 1; -1 where no rating was given.
    who : array (C,) of int
        The annotator of each column, from 0 to J - 1; each of them has one.
    counts : array (n,) of int
        How many items have this row, 0 or more.

    Returns
    -------
    prevalence : array (K,)
    confusion : array (J, K, K)
        Annotator, truth, label; 1 / K where nothing was counted.
    """
    K = r.shape[1]
    weighted = counts[:, None] * r
    N = np.zeros((who.max() + 1, K, K))
    for c, j in enumerate(who):
        N[j] += weighted.T @ (ratings[:, [c]] == np.arange(K))
    whole = N.sum(axis=2, keepdims=True)
    confusion = np.where(whole > 0, N / np.where(whole > 0, whole, 1), 1 / K)
    return weighted.sum(axis=0) / counts.sum(), confusion


@m_step.example
def _():
    from ... import data

    teeth = data.caries()
    return {"r": _votes(teeth.ratings, 2), "ratings": teeth.ratings, "who": np.arange(5), "counts": teeth.counts}


@m_step.draws(
    """Five numbered dots, false alarms against caries found. They lie on a rising line: dentist 1 near 3 and 33 per
    cent, 4 near 5 and 40, 3 near 5 and 45, 2 near 13 and 61, dentist 5 near 31 and 89 per cent."""
)
def _dots(ax, answer, r, ratings, who, counts):
    from ...view import style

    rates = 100 * np.asarray(answer[1])
    ax.plot(rates[:, 0, 1], rates[:, 1, 1], "o", color=style.COLORS[0])
    for j, table in enumerate(rates):
        ax.annotate(f"{j + 1}", (table[0, 1], table[1, 1]), (6, -3), textcoords="offset points", fontsize=9)
    ax.set(xlabel="sound teeth called caries (%)", ylabel="caries found (%)", xlim=(0, 40), ylim=(25, 100))


@m_step.cases
def _(rng):
    def case(n, who, K, missing=0.0, counts=None):
        ratings = _said(rng, n, who, K, missing)
        counts = np.ones(n, int) if counts is None else counts
        return {"r": _believed(rng, n, K), "ratings": ratings, "who": np.array(who), "counts": counts}

    patterns, of_each = _of_patterns(rng, 3, 2, 80)
    of_each[rng.integers(8)] = 0
    never = case(9, [0, 1, 2], 3)
    never["r"] = np.eye(3, dtype=int)[np.arange(9) % 3]  # somebody knows the truth
    never["ratings"][2::3, 1] = -1  # but this annotator never met the last class
    return {
        "everybody rates once": case(14, [0, 1, 2, 3], 3),
        "some ratings missing": case(16, [0, 1, 2, 3], 3, missing=0.3),
        "one rates three times": case(15, [0, 0, 0, 1, 2], 4),
        "several rate twice, some are silent": case(18, [2, 0, 1, 0, 2], 3, missing=0.2),
        "patterns and their counts": {
            "r": _believed(rng, 8, 2),
            "ratings": patterns,
            "who": np.arange(3),
            "counts": of_each,
        },
        "a class that one of them never met": never,
    }


m_step.check("everybody rates once", points=2, on="everybody rates once")
m_step.check(
    "some are silent, some speak twice",
    points=2,
    on=("some ratings missing", "one rates three times", "several rate twice, some are silent"),
)
m_step.check(
    "patterns with counts, and a class never met",
    points=2,
    on=("patterns and their counts", "a class that one of them never met"),
)


@m_step.slip(
    "Your tables have labels in the rows and truths in the columns. It is confusion[j, truth, label]; turn each of "
    "them over."
)
def turned_over(r, ratings, who, counts):
    return _shared(r, counts), _rows(_table(r, ratings, who, counts)).swapaxes(1, 2)


@m_step.slip(
    "You divided by the sums over truths: that is how probable a truth is once a label was given. Asked for is the "
    "label given the truth, so every row confusion[j, k] sums to one."
)
def truth_given_label(r, ratings, who, counts):
    N = _table(r, ratings, who, counts).swapaxes(1, 2)
    return _shared(r, counts), _rows(N).swapaxes(1, 2)


@m_step.slip(
    "You divided by all items of a class. Not everybody rated each of them, and some rated them more than once; then "
    "rows do not sum to one. Divide by what was counted of this annotator."
)
def divided_by_items(r, ratings, who, counts):
    N, items = _table(r, ratings, who, counts), counts @ r
    rates = N / items[:, None]
    return _shared(r, counts), np.where(N.sum(axis=2, keepdims=True) > 0, rates, 1 / r.shape[1])


@m_step.slip(
    "There is one table for each column. An annotator with several columns is one person: add up what these columns "
    "count before you divide."
)
def a_table_for_each_column(r, ratings, who, counts):
    return _shared(r, counts), _rows(_table(r, ratings, np.arange(len(who)), counts))


@m_step.slip(
    "Only the last column of each annotator shows in the tables: each overwrote the one before. Add with += instead of "
    "setting with =."
)
def last_column(r, ratings, who, counts):
    last = [np.flatnonzero(who == j)[-1] for j in range(max(who) + 1)]
    return _shared(r, counts), _rows(_table(r, ratings[:, last], np.arange(len(last)), counts))


@m_step.slip(
    "Every item went to its likeliest class before you counted. Count it for each class as much as it is believed to "
    "be of it: with r."
)
def hard(r, ratings, who, counts):
    r = _decided(r)
    return _shared(r, counts), _rows(_table(r, ratings, who, counts))


@m_step.slip("Each row counted once, though it stands for counts[i] items. Weight r with the counts first.")
def rows_not_items(r, ratings, who, counts):
    ones = np.ones(len(counts))
    return _shared(r, ones), _rows(_table(r, ratings, who, ones))


@m_step.slip(
    "Your error rates count each row once, though it stands for counts[i] items. Weight r with the counts there, too, "
    "as in the class shares."
)
def tables_of_rows(r, ratings, who, counts):
    return _shared(r, counts), _rows(_table(r, ratings, who, np.ones(len(counts))))


@m_step.slip(
    "Your class shares are the mean of r over rows. A row stands for counts[i] items: counts @ r / counts.sum()."
)
def shares_of_rows(r, ratings, who, counts):
    return r.mean(axis=0), _rows(_table(r, ratings, who, counts))


@m_step.slip(
    "Each of your tables sums to one as a whole: how often truth and label come together. Asked for is the label given "
    "the truth, so every *row* confusion[j, k] sums to one."
)
def tables_sum_to_one(r, ratings, who, counts):
    N = _table(r, ratings, who, counts)
    return _shared(r, counts), N / N.sum(axis=(1, 2), keepdims=True)


@m_step.slip(
    "You added one rating to every entry before you divided. That is a prior, which comes two functions later; here "
    "only what was counted is divided."
)
def one_rating_more(r, ratings, who, counts):
    return _shared(r, counts), _rows(_table(r, ratings, who, counts) + 1.0)


@m_step.slip(
    "Class shares are those of items, but you added up ratings: an item that many have looked at then weighs more than "
    "one that few have. Use counts @ r / counts.sum()."
)
def prevalence_of_ratings(r, ratings, who, counts):
    N = _table(r, ratings, who, counts)
    return N.sum(axis=(0, 2)) / N.sum(), _rows(N)


@m_step.slip(
    "These are the shares of the labels. How often somebody says caries is not how common it is; p is the share of "
    "each *class*, and comes from r."
)
def prevalence_of_labels(r, ratings, who, counts):
    N = _table(r, ratings, who, counts)
    return N.sum(axis=(0, 1)) / N.sum(), _rows(N)


@m_step.slip("The class shares do not sum to one. Divide the expected items of each class by the number of all items.")
def prevalence_not_divided(r, ratings, who, counts):
    return counts @ r, _rows(_table(r, ratings, who, counts))


@m_step.slip(
    "A missing rating was counted as the last label, since the index -1 means the last entry. It must not be counted."
)
def missing_is_the_last_label(r, ratings, who, counts):
    return _shared(r, counts), _rows(_table(r, ratings % r.shape[1], who, counts))


@m_step.slip("A class that an annotator never met makes 0/0, which is nan. Put equal rates there, 1 / K.")
def nan_for_the_unmet(r, ratings, who, counts):
    return _shared(r, counts), _rows(_table(r, ratings, who, counts), empty=np.nan)


@m_step.slip(
    "Where an annotator never met a class there are zeros now. With these, all that she says about such an item would "
    "be impossible. Put equal rates there, 1 / K."
)
def zeros_for_the_unmet(r, ratings, who, counts):
    return _shared(r, counts), _rows(_table(r, ratings, who, counts), empty=0.0)


@m_step.slip("All annotators have the same table. Who errs how is the very question: count for each of them alone.")
def one_for_all(r, ratings, who, counts):
    N = _table(r, ratings, who, counts)
    return _shared(r, counts), np.stack([_rows(N.sum(axis=0))] * len(N))


@m_step.slip("The tables hold expected numbers of ratings. Divide each row by its sum, and they become error rates.")
def numbers_in_the_tables(r, ratings, who, counts):
    N = _table(r, ratings, who, counts)
    return _shared(r, counts), np.where(N.sum(axis=2, keepdims=True) > 0, N, 1 / r.shape[1])


@m_step.also
def rating_by_rating(r, ratings, who, counts):
    K = r.shape[1]
    N = np.zeros((who.max() + 1, K, K))
    for i, row in enumerate(ratings):
        for j, label in zip(who, row, strict=True):
            if label >= 0:
                N[j, :, label] += counts[i] * r[i]
    confusion = [[row / row.sum() if row.sum() > 0 else np.full(K, 1 / K) for row in table] for table in N]
    return (counts @ r / counts.sum()).tolist(), np.array(confusion)


# ---------------------------------------------------------------- 3
@exercise.function(
    returns={"r": "(n, K)", "log_likelihood": "()"},
    story="""
        **E: whom to believe?** Now the rates are known and the truth is not. An item of class $k$ gets its ratings with
        probability $p_k \\prod_c \\pi_{j(c)\\,k\\,y_{ic}}$, where $j(c)$ is the annotator of column $c$, and the
        product goes over the ratings that were given. Bayes' rule divides by the sum over classes, and that sum, row by
        row, is also what the log-likelihood is made of:

        $$\\log p_k + \\sum_c \\log \\pi_{j(c)\\,k\\,y_{ic}}, \\qquad
          \\ell = \\sum_i c_i \\log \\sum_k p_k \\prod_c \\pi_{j(c)\\,k\\,y_{ic}} .$$

        Stay in logarithms until the rows have been divided, as in chapter 2: with a thousand ratings of an item the
        product is smaller than any number that the computer has. A rate may be zero. Its logarithm is `-inf`, which is
        no harm: `np.exp(-inf)` is 0, and that class is out of the question.

        The example has the dentists' fitted rates and four teeth: nobody sees caries, the first dentist alone does, the
        fifth alone does, all do. The first dentist's lone word makes it 13 %, the fifth's 3 %.
        """,
    hints=[
        "Begin with joint = np.tile(np.log(prevalence), (n, 1)) and add the logarithms of one column after the other.",
        "np.log(confusion[j])[:, labels] has shape (K, ...): row k holds log pi of truth k for each label. Add its "
        "transpose to joint[given], where given = ratings[:, c] >= 0 and labels = ratings[given, c].",
        "top = joint.max(axis=1, keepdims=True); total = top + np.log(np.exp(joint - top).sum(axis=1, keepdims=True)); "
        "r = np.exp(joint - total); the log-likelihood is counts @ total[:, 0].",
    ],
    after="""
        Each rating adds $\\log(\\pi_{j1l} / \\pi_{j0l})$ to the log odds of class 1 against class 0, like a weight of
        evidence. A dentist who says "caries" to every second tooth whatever its state has equal rows, and adds nothing.
        One who is always wrong is as useful as one who is always right.
        """,
    compare=FINE,
)
def e_step(prevalence, confusion, ratings, who, counts):
    """Probabilities of the truth of every item, and the log-likelihood.

    Parameters
    ----------
    prevalence : array (K,)
        Class shares; some may be 0.
    confusion : array (J, K, K)
        Annotator, truth, label; some may be 0, but every item is possible for some class.
    ratings : array (n, C) of int
        Labels from 0 to K - 1; -1 where no rating was given.
    who : array (C,) of int
        The annotator of each column.
    counts : array (n,) of int
        How many items have this row.

    Returns
    -------
    r : array (n, K)
        Rows sum to 1.
    log_likelihood : float
        In nats, of all items.
    """
    with np.errstate(divide="ignore"):  # log(0) is -inf, and meant
        log_prevalence, log_confusion = np.log(prevalence), np.log(confusion)
    joint = np.tile(log_prevalence, (len(ratings), 1))
    for c, j in enumerate(who):
        given = ratings[:, c] >= 0
        joint[given] += log_confusion[j][:, ratings[given, c]].T
    top = joint.max(axis=1, keepdims=True)
    total = top + np.log(np.exp(joint - top).sum(axis=1, keepdims=True))
    return np.exp(joint - total), counts @ total[:, 0]


@e_step.example
def _():
    _, _, prevalence, confusion = _dentists()
    return {
        "prevalence": prevalence,
        "confusion": confusion,
        "ratings": np.array([[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1]]),
        "who": np.arange(5),
        "counts": np.array([1, 1, 1, 1]),
    }


@e_step.cases
def _(rng):
    def case(n, who, K, missing=0.0):
        return {
            "prevalence": _shares(rng, K),
            "confusion": _tables(rng, max(who) + 1, K),
            "ratings": _said(rng, n, who, K, missing),
            "who": np.array(who),
            "counts": np.ones(n, int),
        }

    patterns, of_each = _of_patterns(rng, 4, 2, 200)
    many = case(5, [c % 8 for c in range(1000)], 4)
    # Classes so alike that a thousand ratings leave a doubt.
    mean = many["confusion"].mean(axis=1, keepdims=True)
    many["confusion"] = mean * (1 + 0.03 * rng.uniform(-1, 1, size=many["confusion"].shape))
    many["confusion"] /= many["confusion"].sum(axis=2, keepdims=True)
    zeros = case(6, [0, 1, 2], 3)
    zeros["prevalence"] = np.array([0.0, 0.35, 0.65])
    zeros["confusion"][1] = [[0.5, 0.25, 0.25], [0.0, 0.8, 0.2], [0.3, 0.0, 0.7]]
    zeros["ratings"][:3, 1] = [0, 1, 2]
    return {
        "everybody rates once": case(12, [0, 1, 2, 3], 3),
        "one item": case(1, [0, 1], 2),
        "one rates three times": case(12, [0, 0, 0, 1, 2], 4),
        "some are silent, some speak twice": case(14, [2, 0, 1, 0, 2], 3, missing=0.2),
        "patterns and their counts": case(16, [0, 1, 2, 3], 2) | {"ratings": patterns, "counts": of_each},
        "a thousand ratings": many,
        "rates and shares of zero": zeros,
    }


e_step.check("everybody rates once", points=2, on=("everybody rates once", "one item"))
e_step.check(
    "silent, repeated, and patterns with counts",
    points=3,
    on=("one rates three times", "some are silent, some speak twice", "patterns and their counts"),
)
e_step.check("a thousand ratings, and rates of zero", points=2, on=("a thousand ratings", "rates and shares of zero"))


@e_step.slip(
    "You multiplied probabilities. A thousand of them are smaller than the smallest number that the computer has, the "
    "sum over classes is 0, and 0/0 is nan. Add logarithms, and subtract the largest of a row before np.exp."
)
def product_underflows(prevalence, confusion, ratings, who, counts):
    joint = prevalence * np.prod(_rates(confusion, ratings, who), axis=0, where=(ratings.T >= 0)[:, :, None])
    whole = joint.sum(axis=1, keepdims=True)
    return joint / whole, counts @ np.log(whole[:, 0])


def _rates(confusion, ratings, who):
    """The rate of each rating for each class, (C, n, K)."""
    return confusion[np.asarray(who)[:, None], :, ratings.T]


@e_step.slip(
    "The class shares are missing. Where caries is rare, one accusation is weaker evidence than where it is common: "
    "begin with log p_k."
)
def without_prevalence(prevalence, confusion, ratings, who, counts):
    r, value = _bayes(_log_joint(np.ones_like(prevalence), confusion, ratings, who))
    return r, counts @ value


@e_step.slip(
    "The probabilities are right. In the log-likelihood each row counts once, though it stands for counts[i] items."
)
def value_of_rows(prevalence, confusion, ratings, who, counts):
    r, value = _bayes(_log_joint(prevalence, confusion, ratings, who))
    return r, value.sum()


@e_step.slip(
    "A missing rating was read as the last label, since the index -1 means the last entry. It must not enter the sum."
)
def missing_is_a_label(prevalence, confusion, ratings, who, counts):
    r, value = _bayes(_log_joint(prevalence, confusion, ratings % len(prevalence), who))
    return r, counts @ value


@e_step.slip("You looked up the tables the wrong way round, as confusion[j, label, truth]. The truth comes first.")
def looked_up_turned_over(prevalence, confusion, ratings, who, counts):
    r, value = _bayes(_log_joint(prevalence, confusion.swapaxes(1, 2), ratings, who))
    return r, counts @ value


@e_step.slip(
    "You divided by the sums of the columns, over items. The classes of one item compete: each row sums to one."
)
def divided_over_items(prevalence, confusion, ratings, who, counts):
    joint = _log_joint(prevalence, confusion, ratings, who)
    parts = np.where(joint < FAR / 2, -np.inf, joint)
    return np.exp(parts - np.logaddexp.reduce(parts, axis=0)), counts @ _bayes(joint)[1]


@e_step.slip(
    "Each item was decided for its likeliest class. That is hard assignment; how sure it is got lost. Return the "
    "probabilities."
)
def decided(prevalence, confusion, ratings, who, counts):
    r, value = _bayes(_log_joint(prevalence, confusion, ratings, who))
    return _decided(r), counts @ value


@e_step.slip(
    "Only one rating of each annotator entered. Who rates three times enters three times: go through the columns, not "
    "through the annotators."
)
def one_rating_each(prevalence, confusion, ratings, who, counts):
    first = [c for c, j in enumerate(who) if j not in who[:c]]
    r, value = _bayes(_log_joint(prevalence, confusion, ratings[:, first], who[first]))
    return r, counts @ value


@e_step.slip(
    "You took the number of the column for that of the annotator. Column c belongs to who[c]; use confusion[who[c]]."
)
def columns_for_annotators(prevalence, confusion, ratings, who, counts):
    r, value = _bayes(_log_joint(prevalence, confusion[np.arange(len(who))], ratings, np.arange(len(who))))
    return r, counts @ value


@e_step.slip(
    "You averaged log p + log pi over the classes with r and added that up. This is the expected complete-data "
    "log-likelihood, which the M-step climbs. The log-likelihood takes the logarithm of the sum over classes."
)
def complete_data_value(prevalence, confusion, ratings, who, counts):
    joint = _log_joint(prevalence, confusion, ratings, who)
    r, _ = _bayes(joint)
    return r, counts @ (r * joint).sum(axis=1)


@e_step.slip(
    "The log-likelihood has only the likeliest class of each item. A row may come from any class: take the logarithm "
    "of the *sum* over classes."
)
def value_of_the_likeliest(prevalence, confusion, ratings, who, counts):
    joint = _log_joint(prevalence, confusion, ratings, who)
    return _bayes(joint)[0], counts @ joint.max(axis=1)


@e_step.slip(
    "The probabilities are right. In the log-likelihood the largest term of each row is missing: what you subtract "
    "before np.exp is added again after np.log."
)
def largest_not_added(prevalence, confusion, ratings, who, counts):
    joint = _log_joint(prevalence, confusion, ratings, who)
    r, value = _bayes(joint)
    return r, counts @ (value - joint.max(axis=1))


@e_step.slip(
    "The probabilities are right, and the log-likelihood has the wrong sign. It is the logarithm of a probability, and "
    "EM makes it larger; its negative is what minimisers are given."
)
def negative_value(prevalence, confusion, ratings, who, counts):
    r, value = _bayes(_log_joint(prevalence, confusion, ratings, who))
    return r, -(counts @ value)


@e_step.slip(
    "The probabilities are right. The log-likelihood was divided by the number of items; it is that of all of them, a "
    "sum."
)
def value_per_item(prevalence, confusion, ratings, who, counts):
    r, value = _bayes(_log_joint(prevalence, confusion, ratings, who))
    return r, counts @ value / counts.sum()


@e_step.slip(
    "These are joint probabilities. Divide each row by its sum, and you have the probabilities of the classes given "
    "the ratings."
)
def joint_only(prevalence, confusion, ratings, who, counts):
    joint = _log_joint(prevalence, confusion, ratings, who)
    return np.exp(joint), counts @ _bayes(joint)[1]


@e_step.slip(
    "You left zero rates out of the sum, as if they were ones. A rating that a class never gets rules the class out: "
    "let log(0) be -inf."
)
def zeros_left_out(prevalence, confusion, ratings, who, counts):
    def lifted(p):
        return np.where(p > 0, p, 1.0)

    r, value = _bayes(_log_joint(lifted(prevalence), lifted(confusion), ratings, who))
    return r, counts @ value


@e_step.slip(
    "You added the rates of the annotators. Ratings that are independent given the truth have probabilities that "
    "multiply; it is the logarithms that are added."
)
def rates_added(prevalence, confusion, ratings, who, counts):
    joint = prevalence * np.sum(_rates(confusion, ratings, who), axis=0, where=(ratings.T >= 0)[:, :, None])
    return joint / joint.sum(axis=1, keepdims=True), counts @ np.log(joint.sum(axis=1))


@e_step.slip(
    "You multiplied r with the counts. r holds probabilities, which sum to one in each row; the counts belong in the "
    "log-likelihood, and in the M-step."
)
def times_counts(prevalence, confusion, ratings, who, counts):
    r, value = _bayes(_log_joint(prevalence, confusion, ratings, who))
    return counts[:, None] * r, counts @ value


@e_step.also
def item_by_item(prevalence, confusion, ratings, who, counts):
    from scipy.special import logsumexp

    rows, value = [], 0.0
    for row, n in zip(ratings, counts, strict=True):
        given = row >= 0
        joint = np.log(prevalence) + np.log(confusion[who[given], :, row[given]]).sum(axis=0)
        total = logsumexp(joint)
        rows.append(np.exp(joint - total).tolist())
        value += n * total
    return rows, value


@e_step.also
def by_labels(prevalence, confusion, ratings, who, counts):
    """How often each annotator gave each label, times the logarithms."""
    J, K, _ = confusion.shape
    times = np.zeros((len(ratings), J, K))
    for c, j in enumerate(who):
        times[:, j] += ratings[:, [c]] == np.arange(K)
    logs = np.maximum(np.log(confusion), -1e200)
    joint = np.einsum("njl,jkl->nk", times, logs) + np.maximum(np.log(prevalence), -1e200)
    total = np.logaddexp.reduce(joint, axis=1)
    return np.exp(joint - total[:, None]), float(counts @ total)


# ---------------------------------------------------------------- 4
@exercise.function(
    returns={"prevalence": "(K,)", "confusion": "(J, K, K)", "log_likelihoods": "(S,)"},
    story="""
        **EM.** Begin with the votes as if they were probabilities of the truth, and make shares and error rates of
        them: these are the parameters at the start. An iteration is an E-step with the parameters and an M-step with
        what it returns. After `n_iter` iterations return the parameters, and the log-likelihoods of all stages, which
        are $S$ = `n_iter` + 1: that of the start, that after one iteration, and so on. The last one belongs to the
        parameters that you return.

        The example has the 45 patients, and thirty iterations end at the shares that Dawid and Skene published, .40,
        .42, .11 and .07. On the teeth, `dawid_skene(teeth.ratings, np.arange(5), teeth.counts, 2, 100)` must end at a
        log-likelihood of -7410.942 with caries in .1997 of them. The votes alone say .1967, but they are right by
        accident: if each tooth goes to the majority, it is .135.
        """,
    hints=[
        "The parameters of the start are m_step(votes(ratings, K), ratings, who, counts).",
        "What e_step reports belongs to the parameters that it was given. So note the value of each stage before the "
        "M-step replaces them, and of the last stage, too.",
        "r = votes(ratings, K); for _ in range(n_iter + 1): prevalence, confusion = m_step(r, ...); r, value = "
        "e_step(prevalence, confusion, ...); values.append(value). The parameters of the last round are the answer.",
    ],
    after="""
        The votes break the symmetry. From equal responsibilities every annotator's table would have $K$ equal rows,
        nobody would tell anything about the items, and the next E-step would return what it began with: a saddle. They
        also keep the names in order, so that class 0 means what most people call 0.
        """,
    compare=FINE,
)
def dawid_skene(ratings, who, counts, K, n_iter):
    """EM for class shares and error rates, from votes.

    Parameters
    ----------
    ratings : array (n, C) of int
        Labels from 0 to K - 1; -1 where no rating was given.
    who : array (C,) of int
        The annotator of each column, from 0 to J - 1.
    counts : array (n,) of int
        How many items have this row, at least 1.
    K : int
        Number of classes.
    n_iter : int
        Number of iterations; 0 returns what the votes say.

    Returns
    -------
    prevalence : array (K,)
        After the last iteration.
    confusion : array (J, K, K)
        Likewise: annotator, truth, label.
    log_likelihoods : array (S,)
        At the start and after each iteration, S = n_iter + 1.
    """
    r = votes(ratings, K)
    log_likelihoods = []
    for _ in range(n_iter + 1):
        prevalence, confusion = m_step(r, ratings, who, counts)
        r, log_likelihood = e_step(prevalence, confusion, ratings, who, counts)
        log_likelihoods.append(log_likelihood)
    return prevalence, confusion, np.array(log_likelihoods)


@dawid_skene.example
def _():
    from ... import data

    patients, who = data.anaesthetists() - 1, np.array([0, 0, 0, 1, 2, 3, 4])
    return {"ratings": patients, "who": who, "counts": np.ones(45, int), "K": 4, "n_iter": 30}


@dawid_skene.draws(
    """Five squares of four rows and four columns in a row, one for each anaesthetist; the darker a field, the more
    often that class gets that label. The diagonals are dark, most of all those of the second. The last row, a class of
    three patients, is split between two labels in four of the squares."""
)
def _tables_of_all(ax, answer, ratings, who, counts, K, n_iter):
    tables = np.asarray(answer[1])
    gap = np.full((K, 1), np.nan)
    ax.imshow(np.hstack([part for table in tables for part in (table, gap)][:-1]), cmap="Blues", vmin=0, vmax=1)
    middles = [j * (K + 1) + (K - 1) / 2 for j in range(len(tables))]
    ax.set_xticks(middles, [f"{j + 1}" for j in range(len(tables))])
    ax.set_yticks(range(K), [f"{k + 1}" for k in range(K)])
    ax.set(xlabel="label 1 to 4, of each anaesthetist", ylabel="class")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


@dawid_skene.cases
def _(rng):
    def case(n, who, K, n_iter, missing=0.0):
        counts = 1 + rng.integers(0, 5, size=n) * (np.arange(n) % 3 == 1)
        return {
            "ratings": _said(rng, n, who, K, missing),
            "who": np.array(who),
            "counts": counts,
            "K": K,
            "n_iter": n_iter,
        }

    patterns, of_each = _of_patterns(rng, 5, 2, 900)
    return {
        "patterns of five": {
            "ratings": patterns,
            "who": np.arange(5),
            "counts": of_each,
            "K": 2,
            "n_iter": 12,
        },
        "one rates three times": case(30, [0, 0, 0, 1, 2], 3, 5),
        "some ratings missing": case(30, [0, 1, 2, 3, 4], 3, 5, missing=0.2),
        "one step": case(24, [0, 1, 0, 2], 2, 1),
        "no step at all": case(20, [1, 0, 1, 2], 3, 0),
    }


dawid_skene.check("patterns of five", points=3, on="patterns of five")
dawid_skene.check("repeated and missing ratings", points=3, on=("one rates three times", "some ratings missing"))
dawid_skene.check("one step, and none", points=2, on=("one step", "no step at all"))


@dawid_skene.slip(
    "The log-likelihoods lag: each is that of the parameters one step before. What e_step reports belongs to the "
    "parameters that it was given."
)
def one_step_behind(ratings, who, counts, K, n_iter):
    (p, pi, values), _ = _climb(ratings, who, counts, K, n_iter)
    return p, pi, np.concatenate([values[:1], values[:-1]])


@dawid_skene.slip(
    "One M-step too many: the parameters that you return are newer than the last log-likelihood. After n_iter "
    "iterations both should belong together."
)
def one_m_step_too_many(ratings, who, counts, K, n_iter):
    (_, _, values), r = _climb(ratings, who, counts, K, n_iter)
    return _shared(r, counts), _rows(_table(r, ratings, who, counts)), values


@dawid_skene.slip(
    "The last M-step is missing: the parameters are those of one iteration less. The votes give the parameters of the "
    "start; then each iteration is an E-step and an M-step."
)
def one_m_step_too_few(ratings, who, counts, K, n_iter):
    (_, _, values), _ = _climb(ratings, who, counts, K, n_iter)
    (p, pi, _), _ = _climb(ratings, who, counts, K, max(n_iter - 1, 0))
    return p, pi, values


@dawid_skene.slip(
    "Every item was decided for its likeliest class in each round. Whoever is a little more convincing wins wholly, "
    "and the errors of the others look larger than they are. Hand on the probabilities."
)
def hard_em(ratings, who, counts, K, n_iter):
    start = _decided(_votes(ratings, K))
    return _climb(ratings, who, counts, K, n_iter, start=start, credit=_decided)[0]


@dawid_skene.slip(
    "The votes were used again in every round, so nothing moves after the start. Hand the probabilities of the newest "
    "E-step to the next M-step."
)
def always_votes(ratings, who, counts, K, n_iter):
    shares = _votes(ratings, K)
    return _climb(ratings, who, counts, K, n_iter, credit=lambda r: shares)[0]


@dawid_skene.slip(
    "You began with equal probabilities for all classes. Then all classes have the same rates, the E-step cannot tell "
    "them apart, and nothing ever moves: a saddle. Begin with the votes."
)
def from_equal(ratings, who, counts, K, n_iter):
    return _climb(ratings, who, counts, K, n_iter, start=np.full((len(ratings), K), 1 / K))[0]


@dawid_skene.slip("You began with the winner of each vote. A narrow vote is a doubtful one: begin with the shares.")
def from_the_winner(ratings, who, counts, K, n_iter):
    return _climb(ratings, who, counts, K, n_iter, start=_decided(_votes(ratings, K)))[0]


@dawid_skene.slip(
    "Each row counted as one item in your M-steps, though not in your log-likelihood. It stands for counts[i] of them."
)
def each_row_once(ratings, who, counts, K, n_iter):
    return _climb(ratings, who, counts, K, n_iter, weights=np.ones(len(counts)))[0]


@dawid_skene.slip(
    "Each row counted as one item throughout. It stands for counts[i] of them, in the M-step and in the log-likelihood."
)
def counts_forgotten(ratings, who, counts, K, n_iter):
    return _climb(ratings, who, np.ones(len(counts)), K, n_iter)[0]


@dawid_skene.slip(
    "The class shares stay equal for ever. They are parameters like the error rates: each M-step renews both."
)
def shares_stay_equal(ratings, who, counts, K, n_iter):
    return _climb(ratings, who, counts, K, n_iter, prevalence=lambda r, c: np.full(K, 1 / K))[0]


@dawid_skene.slip(
    "The class shares stay what the votes said. They are parameters like the error rates: each M-step renews both."
)
def shares_stay_votes(ratings, who, counts, K, n_iter):
    voted = _shared(_votes(ratings, K), counts)
    return _climb(ratings, who, counts, K, n_iter, prevalence=lambda r, c: voted)[0]


@dawid_skene.slip(
    "All annotators share one table, so the careful and the careless weigh alike, and you are back at a vote. Each has "
    "a table of their own."
)
def one_table(ratings, who, counts, K, n_iter):
    def pooled(N):
        return np.stack([_rows(N.sum(axis=0))] * len(N))

    return _climb(ratings, who, counts, K, n_iter, table=pooled)[0]


@dawid_skene.slip(
    "There is a table for each column. Columns with the same number in `who` are one annotator, and have one table."
)
def columns_as_annotators(ratings, who, counts, K, n_iter):
    return _climb(ratings, np.arange(len(who)), counts, K, n_iter)[0]


@dawid_skene.slip(
    "The log-likelihood of the start is missing: there is one for the start and one for each iteration, n_iter + 1 in "
    "all."
)
def without_the_start(ratings, who, counts, K, n_iter):
    (p, pi, values), _ = _climb(ratings, who, counts, K, n_iter)
    return p, pi, values[1:]


@dawid_skene.also
def unrolled(ratings, who, counts, K, n_iter):
    """Each item a row of its own."""
    rows = np.repeat(ratings, counts, axis=0)
    ones = np.ones(len(rows))
    p, pi = m_step(votes(rows, K), rows, who, ones)
    values = []
    for _ in range(n_iter):
        r, value = e_step(p, pi, rows, who, ones)
        values.append(float(value))
        p, pi = m_step(r, rows, who, ones)
    return p.tolist(), pi, [*values, float(e_step(p, pi, rows, who, ones)[1])]


# ---------------------------------------------------------------- 5
@exercise.function(
    returns={"confusion": "(J, K, K)", "log_prior": "()"},
    story="""
        **An annotator with one label.** A sixth dentist joins. She has looked at twenty teeth and said "sound" every
        time. Counted as before, she has the rows 1, 0 and 1, 0: she never says caries, whatever the truth. The day
        she does, that tooth is impossible for both classes, its log-likelihood is `-inf`, and the program stops.

        Nobody believes that a rate is exactly zero after twenty teeth. A Dirichlet prior says so: with parameters
        $\\alpha_{kl} \\ge 1$ for truth $k$ and label $l$, the same for every annotator, the penalised M-step is

        $$\\pi_{jkl} = \\frac{N_{jkl} + \\alpha_{kl} - 1}{\\sum_m (N_{jkm} + \\alpha_{km} - 1)} , \\qquad
          \\text{log prior} = \\sum_{jkl} (\\alpha_{kl} - 1) \\log \\pi_{jkl} ,$$

        as if each annotator had also rated $\\alpha_{kl} - 1$ items of class $k$ by $l$. What climbs from now on is the
        log-likelihood *plus* this log prior, taken at the rates that you return. Where $\\alpha_{kl} = 1$ the prior has
        no opinion, and the term is 0, even if the rate is 0. A row in which nothing was added up at all gets $1/K$.

        The example has the expected ratings of the five dentists, and the new one. A prior with the rows 5, 2 and 2, 4
        gives her a sensitivity of .375 and a specificity of .95. The others, with thousands of teeth, hardly notice.
        """,
    hints=[
        "Add first, divide afterwards: what stands above the line is N + alpha - 1, and below it the sums of its rows.",
        "scipy.special.xlogy(a, b) is a * log(b), and 0 where a is 0, whatever b is.",
        "A = N + alpha - 1; whole = A.sum(axis=2, keepdims=True); confusion = np.where(whole > 0, A / np.where(whole > "
        "0, whole, 1), 1 / K); log_prior = xlogy(alpha - 1, confusion).sum(), for alpha is repeated for each "
        "annotator.",
    ],
    after="""
        Laplace's "add one" is $\\alpha = 2$. An asymmetric prior can say more: that people are more often right than
        wrong. That also holds the names of the classes in place, where a flat prior would not mind exchanging them.

        Without a prior, the dentist with one label does no harm as long as she keeps to it: her two rows are equal, so
        she adds the same to both classes. `emlib` warns of her all the same.
        """,
    compare=FINE,
)
def cautious_tables(N, alpha):
    """Error rates from expected ratings and a Dirichlet prior.

    Parameters
    ----------
    N : array (J, K, K)
        Expected ratings by annotator, truth and label.
    alpha : array (K, K)
        Dirichlet parameters by truth and label, at least 1.

    Returns
    -------
    confusion : array (J, K, K)
        Annotator, truth, label.
    log_prior : float
        At these rates, without the constant.
    """
    from scipy.special import xlogy

    added = N + alpha - 1
    whole = added.sum(axis=2, keepdims=True)
    confusion = np.where(whole > 0, added / np.where(whole > 0, whole, 1), 1 / N.shape[1])
    return confusion, xlogy(alpha - 1, confusion).sum()


@cautious_tables.example
def _():
    patterns, counts, prevalence, confusion = _dentists()
    r, _ = _bayes(_log_joint(prevalence, confusion, patterns, np.arange(5)))
    N = _table(r, patterns, np.arange(5), counts)
    return {"N": np.concatenate([N, [[[16.0, 0.0], [4.0, 0.0]]]]), "alpha": np.array([[5.0, 2.0], [2.0, 4.0]])}


@cautious_tables.cases
def _(rng):
    def expected(J, K, n):
        return n * _tables(rng, J, K) * rng.uniform(0.5, 2.0, size=(J, K, 1))

    def lopsided(K):
        """Nothing below 1.2, nothing symmetric."""
        alpha = 1.2 + rng.uniform(0, 1, size=(K, K)) + np.linspace(1.0, 3.0, K)[:, None] * np.eye(K)
        return alpha + 0.7 * np.tri(K, k=-1)

    one_label = expected(3, 2, 12.0)
    one_label[1] = [[14.0, 0.0], [6.0, 0.0]]
    flat = expected(3, 3, 30.0)
    flat[0, 1] = [0.0, 5.0, 11.0]
    unmet = expected(2, 3, 20.0)
    unmet[:, 2] = 0.0
    partly = lopsided(3)
    partly[2] = 1.0
    return {
        "two classes": {"N": expected(3, 2, 25.0), "alpha": lopsided(2)},
        "four classes": {"N": expected(4, 4, 40.0), "alpha": lopsided(4)},
        "one label and no other": {"N": one_label, "alpha": lopsided(2)},
        "whole numbers, nothing rated yet": {
            "N": np.array([[[9, 2], [1, 6]], [[0, 0], [0, 0]]]),
            "alpha": rng.permutation(np.array([[3, 2], [2, 5]])),
        },
        "no opinion": {"N": flat, "alpha": np.ones((3, 3))},
        "no opinion of a class that nobody met": {"N": unmet, "alpha": partly},
    }


cautious_tables.check("two classes and four", points=2, on=("two classes", "four classes"))
cautious_tables.check(
    "one label, and nothing rated", points=2, on=("one label and no other", "whole numbers, nothing rated yet")
)
cautious_tables.check("priors without an opinion", points=1, on=("no opinion", "no opinion of a class that nobody met"))


def _with_prior(N, alpha, added=1.0, table=None):
    from scipy.special import xlogy

    confusion = _rows(N + alpha - added) if table is None else table
    return confusion, xlogy(alpha - 1, confusion).sum()


@cautious_tables.slip(
    "You added alpha where alpha - 1 belongs. That is the mean of the posterior; the rates that maximise likelihood "
    "times prior have alpha - 1, and a prior of ones adds nothing."
)
def posterior_mean(N, alpha):
    return _with_prior(N, alpha, added=0.0)


@cautious_tables.slip(
    "Below the line are only the counted ratings, so rows sum to more than one. Whatever is added above is added below."
)
def divided_by_counts(N, alpha):
    whole = N.sum(axis=2, keepdims=True)
    return _with_prior(
        N, alpha, table=np.where(whole > 0, (N + alpha - 1) / np.where(whole > 0, whole, 1), 1 / len(alpha))
    )


@cautious_tables.slip(
    "You added the prior to the rates, after dividing. Then it weighs as much against a million ratings as against "
    "ten. Add alpha - 1 to the counts, and divide then."
)
def added_to_rates(N, alpha):
    return _with_prior(_rows(N), alpha)


@cautious_tables.slip("The prior is not in your rates: these are N divided by its sums. Add alpha - 1 to N first.")
def without_prior(N, alpha):
    return _with_prior(N, alpha, table=_rows(N))


@cautious_tables.slip(
    "alpha is turned over in your rates and in the log prior. Its rows are truths and its columns labels, like those "
    "of N."
)
def prior_turned_over(N, alpha):
    return _with_prior(N, alpha.T)


@cautious_tables.slip("You divided by the sums over truths. Given the truth, the labels of a row sum to one.")
def columns_sum_to_one(N, alpha):
    added = (N + alpha - 1).swapaxes(1, 2)
    return _with_prior(N, alpha, table=_rows(added).swapaxes(1, 2))


@cautious_tables.slip(
    "The prior's ratings were divided among the annotators. Each of them has a table of their own, and each table has "
    "the prior in full."
)
def prior_divided(N, alpha):
    return _with_prior(N, alpha, table=_rows(N + (alpha - 1) / len(N)))


@cautious_tables.slip("You added one to every count, whatever alpha says. That is the prior alpha = 2; add alpha - 1.")
def add_one(N, alpha):
    return _with_prior(N, alpha, table=_rows(N + 1.0))


@cautious_tables.slip(
    "You lifted zeros to a small number. That keeps the logarithm finite, but no law says how small, and the other "
    "rates know nothing of the prior. Add alpha - 1 to all counts."
)
def zeros_lifted(N, alpha):
    return _with_prior(N, alpha, table=_rows(np.maximum(_rows(N), 0.01)))


@cautious_tables.slip("The rates are right; in the log prior the powers are alpha - 1, and you took alpha.")
def log_prior_with_alpha(N, alpha):
    from scipy.special import xlogy

    confusion = _rows(N + alpha - 1)
    return confusion, xlogy(alpha, confusion).sum()


@cautious_tables.slip(
    "The rates are right; the log prior was averaged over annotators. Each table has a prior of its own: add them up."
)
def log_prior_averaged(N, alpha):
    confusion, value = _with_prior(N, alpha)
    return confusion, value / len(N)


@cautious_tables.slip(
    "The rates are right; the log prior weighs the logarithms with N + alpha - 1. N belongs to the ratings, and these "
    "are in the log-likelihood already."
)
def log_prior_with_counts(N, alpha):
    from scipy.special import xlogy

    confusion = _rows(N + alpha - 1)
    return confusion, xlogy(N + alpha - 1, confusion).sum()


@cautious_tables.slip(
    "A rate of 0 with alpha = 1 makes 0 times log(0), which is nan. Where the prior has no opinion it adds nothing: "
    "scipy.special.xlogy knows that."
)
def nan_without_opinion(N, alpha):
    confusion = _rows(N + alpha - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return confusion, ((alpha - 1) * np.log(confusion)).sum()


@cautious_tables.slip(
    "Zeros make nan twice: a row in which nothing was added up is 0/0, where equal rates, 1 / K, belong; and alpha = 1 "
    "at a rate of 0 is 0 times log(0), which scipy.special.xlogy knows to be 0."
)
def nan_twice(N, alpha):
    with np.errstate(divide="ignore", invalid="ignore"):
        table = _rows(N + alpha - 1, empty=np.nan)
        return table, ((alpha - 1) * np.log(table)).sum()


@cautious_tables.slip(
    "The rates are right; your log prior has the constant of the Dirichlet density in it. No step can change a "
    "constant, so it is left out here: only the sum of (alpha - 1) log pi."
)
def log_prior_with_constant(N, alpha):
    from scipy.special import gammaln

    confusion, value = _with_prior(N, alpha)
    return confusion, value + len(N) * (gammaln(alpha.sum(axis=1)).sum() - gammaln(alpha).sum())


@cautious_tables.slip("A row in which nothing was added up makes 0/0, which is nan. Put equal rates there, 1 / K.")
def nan_for_nothing(N, alpha):
    table = _rows(N + alpha - 1, empty=np.nan)
    return table, _with_prior(N, alpha)[1]


@cautious_tables.also
def row_by_row(N, alpha):
    J, K, _ = N.shape
    tables, value = np.empty((J, K, K)), 0.0
    for j in range(J):
        for k in range(K):
            row = [float(N[j, k, m]) + float(alpha[k, m]) - 1.0 for m in range(K)]
            tables[j, k] = [x / sum(row) for x in row] if sum(row) > 0 else 1 / K
            value += sum((a - 1.0) * float(np.log(p)) for a, p in zip(alpha[k], tables[j, k], strict=True) if a > 1)
    return tables.tolist(), value


# ---------------------------------------------------------------- 6
@exercise.function(
    returns={"prevalence": "(G,)", "alarms": "(2,)", "misses": "(2,)", "log_likelihoods": "(S,)"},
    story="""
        **Two tests, two towns.** Tests for a disease are annotators with two labels. In one population two tests give
        four frequencies, three of them free, for five unknowns, and EM ends somewhere on a ridge. Hui and Walter saw
        that *two* populations with other shares of infected people, but the same tests, give six for six.

        `counts[g, a, b]` people of population $g$ had result $a$ in the first test and $b$ in the second, 1 for
        positive. Unknown are the share of infected people in each population, $p_g$, and of each test the share of
        healthy people whom it calls ill (`alarms`, $f_1$ and $f_2$) and of ill ones whom it overlooks (`misses`, $m_1$
        and $m_2$). An ill person of population $g$ is positive in both with probability $p_g (1 - m_1)(1 - m_2)$, and
        so on: tests err independently given the truth.

        E: divide each of the $4G$ counts into ill and healthy. M: the ill part of a population over all its people is
        $p_g$; for alarms and misses add up the populations. Do `n_iter` iterations from the start that you are given.
        Return the final values and the log-likelihoods, $\\sum_{gab} n_{gab} \\log P_g(a, b)$ without a constant, of
        the start and after each iteration.

        The example has the children of a school district and the patients of a sanatorium, a start of .1 and .5
        infected, and all errors at .1. Forty iterations end at the published estimates.
        """,
    hints=[
        "What are the chances of the results of one ill person? For the first test [m1, 1 - m1], for the second [m2, 1 "
        "- m2], and np.outer of the two is the (2, 2) table of both. Likewise with [1 - f, f] for a healthy one.",
        "ill = p[:, None, None] * outer_of_the_ill and well = (1 - p)[:, None, None] * outer_of_the_healthy have shape "
        "(G, 2, 2). The log-likelihood is (counts * np.log(ill + well)).sum(), and the ill part of the counts is "
        "counts * ill / (ill + well).",
        "With sick for the ill part and fine = counts - sick: p = sick.sum(axis=(1, 2)) / counts.sum(axis=(1, 2)); "
        "sick.sum(axis=0) / sick.sum() is a (2, 2) table of results, whose row 0 sums to the misses of the first test "
        "and whose column 0 to those of the second. fine gives alarms from row 1 and column 1.",
    ],
    after="""
        It is `m_step` with one difference: the shares belong to populations, the tables to all. That is what the data
        buy. With *one* population the same code runs and ends somewhere, with the same log-likelihood from another
        start at another place. Count the unknowns before you believe: nothing in the output tells the two cases apart.

        And exchange ill and healthy, $p \\to 1 - p$, $f \\to 1 - m$, $m \\to 1 - f$. The likelihood is the same. A
        start with errors below one half chooses the sensible one of the two.
        """,
    compare=FINE,
)
def two_tests(counts, prevalence, alarms, misses, n_iter):
    """EM for two tests without a gold standard.

    Parameters
    ----------
    counts : array (G, 2, 2) of int
        People by population, result of the first test and of the second (0 negative, 1 positive).
    prevalence : array (G,)
        Where to begin: shares of infected people, between 0 and 1.
    alarms, misses : array (2,)
        Where to begin: shares of healthy people called ill, and of ill people overlooked, between 0 and 1.
    n_iter : int
        Number of iterations; 0 returns the start.

    Returns
    -------
    prevalence : array (G,)
    alarms, misses : array (2,)
    log_likelihoods : array (S,)
        At the start and after each iteration, S = n_iter + 1.
    """
    log_likelihoods = []
    for _ in range(n_iter + 1):
        now = prevalence, alarms, misses
        ill = prevalence[:, None, None] * np.outer([misses[0], 1 - misses[0]], [misses[1], 1 - misses[1]])
        well = (1 - prevalence)[:, None, None] * np.outer([1 - alarms[0], alarms[0]], [1 - alarms[1], alarms[1]])
        log_likelihoods.append((counts * np.log(ill + well)).sum())
        sick = counts * ill / (ill + well)
        fine = counts - sick
        prevalence = sick.sum(axis=(1, 2)) / counts.sum(axis=(1, 2))
        missed, alarmed = sick.sum(axis=0) / sick.sum(), fine.sum(axis=0) / fine.sum()
        misses = np.array([missed[0].sum(), missed[:, 0].sum()])
        alarms = np.array([alarmed[1].sum(), alarmed[:, 1].sum()])
    return *now, np.array(log_likelihoods)


@two_tests.example
def _():
    from ... import data

    return {
        "counts": data.tuberculin(),
        "prevalence": np.array([0.1, 0.5]),
        "alarms": np.array([0.1, 0.1]),
        "misses": np.array([0.1, 0.1]),
        "n_iter": 40,
    }


@two_tests.cases
def _(rng):
    def case(shares, n_iter, n=400):
        f, m = rng.uniform(0.03, 0.2, size=(2, 2))
        f[1] += 0.06
        m[0] += 0.08
        well = np.outer([1 - f[0], f[0]], [1 - f[1], f[1]])
        ill = np.outer([m[0], 1 - m[0]], [m[1], 1 - m[1]])
        chances = [p * ill + (1 - p) * well for p in shares]
        counts = np.array([rng.multinomial(n + 130 * g, c.ravel()).reshape(2, 2) for g, c in enumerate(chances)])
        return {
            "counts": counts + 1,
            "prevalence": rng.uniform(0.1, 0.4, size=len(shares)) + 0.3 * (np.arange(len(shares)) > 0),
            "alarms": rng.uniform([0.05, 0.11], [0.1, 0.16]),
            "misses": rng.uniform([0.17, 0.1], [0.22, 0.15]),
            "n_iter": n_iter,
        }

    empty = case([0.15, 0.6], 4, n=60)
    empty["counts"][0, 1, 0] = 0
    empty["counts"][1, 0, 0] = 0
    return {
        "two populations": case([0.1, 0.7], 15),
        "three populations": case([0.05, 0.3, 0.8], 6),
        "one population": case([0.4], 5),
        "results that nobody had": empty,
        "one step": case([0.2, 0.5], 1),
        "no step at all": case([0.2, 0.5], 0),
    }


two_tests.check("two populations and three", points=3, on=("two populations", "three populations"))
two_tests.check(
    "one population, and results that nobody had", points=2, on=("one population", "results that nobody had")
)
two_tests.check("one step, and none", points=1, on=("one step", "no step at all"))


def _both(e):
    """Chances of the results of both tests, if they are positive with probabilities e."""
    return np.outer([1 - e[0], e[0]], [1 - e[1], e[1]])


def _screen(counts, p, f, m, n_iter, weights=None, update=None, share=None):
    """EM with parts replaced: `weights` for counts in the E-step, `share` makes ill parts, `update` the new values."""
    values = []
    for _ in range(n_iter):
        ill, well = p[:, None, None] * _both(1 - m), (1 - p)[:, None, None] * _both(f)
        values.append((counts * np.log(ill + well)).sum())
        part = (share or (lambda a, b: a / (a + b)))(ill, well)
        ill = (counts if weights is None else weights) * part
        p, f, m = (update or _updated)(ill, (counts if weights is None else weights) - ill)
    values.append((counts * np.log(p[:, None, None] * _both(1 - m) + (1 - p)[:, None, None] * _both(f))).sum())
    return p, f, m, np.array(values)


def _updated(ill, well):
    p = ill.sum(axis=(1, 2)) / (ill + well).sum(axis=(1, 2))
    return p, _positive(well), 1 - _positive(ill)


def _positive(people):
    """Of each test, the share of these people whom it calls positive."""
    table = people.sum(axis=0) / people.sum()
    return np.array([table[1].sum(), table[:, 1].sum()])


@two_tests.slip(
    "All populations got the same share of infected people. Then a second population adds nothing new, and six "
    "unknowns are too many again: each has its own p."
)
def one_share(counts, prevalence, alarms, misses, n_iter):
    def update(ill, well):
        _, f, m = _updated(ill, well)
        return np.full(len(ill), ill.sum() / (ill + well).sum()), f, m

    return _screen(counts, prevalence, alarms, misses, n_iter, update=update)


@two_tests.slip(
    "You estimated errors in each population and averaged them. A population with few ill people then says as much "
    "about misses as one with many. Add up the people of all populations first, and divide once."
)
def averaged_over_populations(counts, prevalence, alarms, misses, n_iter):
    def update(ill, well):
        p, _, _ = _updated(ill, well)
        f = np.mean([_positive(part[None]) for part in well], axis=0)
        return p, f, np.mean([1 - _positive(part[None]) for part in ill], axis=0)

    return _screen(counts, prevalence, alarms, misses, n_iter, update=update)


@two_tests.slip(
    "You divided healthy people with an alarm by all who had one. That says how often an alarm is false, and depends "
    "on how common the disease is. alarms is the share of *healthy* people who are called ill; likewise for misses."
)
def of_the_positive(counts, prevalence, alarms, misses, n_iter):
    def update(ill, well):
        p, _, _ = _updated(ill, well)
        sick, fine = ill.sum(axis=0), well.sum(axis=0)
        f = np.array([fine[1].sum() / (fine + sick)[1].sum(), fine[:, 1].sum() / (fine + sick)[:, 1].sum()])
        m = np.array([sick[0].sum() / (fine + sick)[0].sum(), sick[:, 0].sum() / (fine + sick)[:, 0].sum()])
        return p, f, m

    return _screen(counts, prevalence, alarms, misses, n_iter, update=update)


@two_tests.slip(
    "You divided errors by all people. Only a healthy person can raise a false alarm and only an ill one can be "
    "overlooked: divide by the expected number of those."
)
def of_everybody(counts, prevalence, alarms, misses, n_iter):
    def update(ill, well):
        p, f, m = _updated(ill, well)
        return p, f * well.sum() / counts.sum(), m * ill.sum() / counts.sum()

    return _screen(counts, prevalence, alarms, misses, n_iter, update=update)


@two_tests.slip(
    "The two tests are exchanged. Axis 1 of counts is the first test, axis 2 the second: the first one is positive in "
    "counts[:, 1, :]."
)
def tests_exchanged(counts, prevalence, alarms, misses, n_iter):
    return _screen(counts.swapaxes(1, 2), prevalence, alarms, misses, n_iter)


@two_tests.slip(
    "misses holds sensitivities now, the share of ill people who are *found*. A miss is a negative result of an ill "
    "person."
)
def found_for_missed(counts, prevalence, alarms, misses, n_iter):
    p, f, m, values = _screen(counts, prevalence, alarms, misses, n_iter)
    return p, f, 1 - m, values


@two_tests.slip(
    "Every combination of results was decided as a whole: all ill, or all healthy. Divide the people of a combination "
    "in the proportion of the two probabilities."
)
def decided_as_a_whole(counts, prevalence, alarms, misses, n_iter):
    def share(ill, well):
        return np.where(ill > well, 1 - 1e-9, 1e-9)

    return _screen(counts, prevalence, alarms, misses, n_iter, share=share)


@two_tests.slip(
    "Each combination of results counted once in your E-step, whether one person had it or five hundred. Multiply the "
    "probability of being ill with counts."
)
def combinations_once(counts, prevalence, alarms, misses, n_iter):
    return _screen(counts, prevalence, alarms, misses, n_iter, weights=np.ones(counts.shape))


@two_tests.slip(
    "Your E-step listens to the first test only. Both results belong to the same person: multiply the chances of both."
)
def first_test_only(counts, prevalence, alarms, misses, n_iter):
    values = []
    p, f, m = prevalence, alarms, misses
    for step in range(n_iter + 1):
        ill, well = p[:, None, None] * _both(1 - m), (1 - p)[:, None, None] * _both(f)
        values.append((counts * np.log(ill + well)).sum())
        if step < n_iter:
            a = p[:, None, None] * np.array([m[0], 1 - m[0]])[:, None]
            b = (1 - p)[:, None, None] * np.array([1 - f[0], f[0]])[:, None]
            part = counts * (a / (a + b))
            p, f, m = _updated(part, counts - part)
    return p, f, m, np.array(values)


@two_tests.slip(
    "The shares of infected people are not in your E-step: you weighed ill against healthy as if both were as common. "
    "Multiply with p and 1 - p."
)
def as_common(counts, prevalence, alarms, misses, n_iter):
    values = []
    p, f, m = prevalence, alarms, misses
    for step in range(n_iter + 1):
        ill, well = p[:, None, None] * _both(1 - m), (1 - p)[:, None, None] * _both(f)
        values.append((counts * np.log(ill + well)).sum())
        if step < n_iter:
            part = counts * _both(1 - m) / (_both(1 - m) + _both(f))
            p, f, m = _updated(part, counts - part)
    return p, f, m, np.array(values)


@two_tests.slip(
    "The share of infected people is that of positive results in the first test. A test errs in both directions, and "
    "that is what the E-step corrects: add up the ill parts of the counts."
)
def apparent_share(counts, prevalence, alarms, misses, n_iter):
    apparent = counts[:, 1].sum(axis=1) / counts.sum(axis=(1, 2))

    def update(ill, well):
        _, f, m = _updated(ill, well)
        return apparent, f, m

    return _screen(counts, prevalence, alarms, misses, n_iter, update=update)


@two_tests.slip(
    "The log-likelihoods lag: each is that of the values one step before. Note it for the values that an iteration "
    "begins with, and once more at the end."
)
def value_lags(counts, prevalence, alarms, misses, n_iter):
    p, f, m, values = _screen(counts, prevalence, alarms, misses, n_iter)
    return p, f, m, np.concatenate([values[:1], values[:-1]])


@two_tests.slip("The log-likelihood of the start is missing: there is one for the start and one for each iteration.")
def value_of_the_start_missing(counts, prevalence, alarms, misses, n_iter):
    p, f, m, values = _screen(counts, prevalence, alarms, misses, n_iter)
    return p, f, m, values[1:]


@two_tests.also
def as_annotators(counts, prevalence, alarms, misses, n_iter):
    """Ill people are class 1; the tables of both tests, and shares by population."""
    results = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    G = len(counts)
    ratings, n = np.tile(results, (G, 1)), counts.reshape(-1)
    group = np.repeat(np.arange(G), 4)
    confusion = np.array([[[1 - f, f], [m, 1 - m]] for f, m in zip(alarms, misses, strict=True)])
    values = []
    for step in range(n_iter + 1):
        joint = np.stack([1 - prevalence, prevalence], axis=1)[group]
        for test in (0, 1):
            joint = joint * confusion[test][:, ratings[:, test]].T
        values.append(float((n * np.log(joint.sum(axis=1))).sum()))
        if step < n_iter:
            r = joint / joint.sum(axis=1, keepdims=True)
            _, confusion = m_step(r, ratings, np.array([0, 1]), n)
            prevalence = np.array([n[group == g] @ r[group == g, 1] / n[group == g].sum() for g in range(G)])
    return prevalence, confusion[:, 0, 1], confusion[:, 1, 0], values


# ---------------------------------------------------------------- 7
@exercise.function(
    returns={"expected": "(M,)", "deviance": "()", "freedom": "()"},
    story="""
        **Should you believe it?** Everything rests on one sentence: given the truth, annotators err independently. A
        shallow shadow on an X-ray fools several dentists at once, and then it is false. Where there are more patterns
        of ratings than parameters, one can look.

        Let everybody rate each item once, annotator $j$ in column $j$. Return three things. How many items of each
        pattern the model expects, $E_m = n\\, p(y_m)$; twice the log-likelihood ratio against the observed frequencies,

        $$D = 2 \\sum_m c_m \\log \\frac{c_m}{E_m} ,$$

        where patterns that were not seen add nothing; and its degrees of freedom, the free frequencies of all $K^J$
        patterns less the free parameters. A row of probabilities has one free number less than it has entries. If the
        model is true, $D$ is about as large as that.

        The example has the teeth and the fitted rates: twenty degrees of freedom, and a deviance of 130. All five see
        caries in 100 teeth; the model expects 57.5.
        """,
    hints=[
        "The probability of a pattern is a sum over classes of a product over annotators; no truth is left in it.",
        "Free frequencies: K ** J - 1. Free parameters: K - 1 class shares, and K - 1 in each of the J * K rows of the "
        "tables.",
        "joint = np.tile(prevalence, (M, 1)); for j: joint *= confusion[j][:, patterns[:, j]].T; expected = "
        "counts.sum() * joint.sum(axis=1); seen = counts > 0; 2 * (counts[seen] * np.log(counts[seen] / "
        "expected[seen])).sum().",
    ],
    after="""
        A deviance of 130 on twenty degrees of freedom does not happen by chance. The picture says where it comes from:
        all five say "caries" to far more teeth than the model allows, so teeth differ in more than sound and ill. Some
        are obvious. A third class, or a difficulty of each tooth, would be the next model. The error rates still tell
        who accuses more than whom; their standard errors promise too much.

        If the degrees of freedom are negative, as for two tests in one population (minus two), the model can fit
        anything, and a deviance of zero is no praise.
        """,
    compare=FINE,
)
def misfit(prevalence, confusion, patterns, counts):
    """Expected patterns, and how far the observed ones are from them.

    Parameters
    ----------
    prevalence : array (K,)
        Class shares, as fitted.
    confusion : array (J, K, K)
        Error rates, as fitted, none of them 0.
    patterns : array (M, J) of int
        All M = K ** J patterns, in any order.
    counts : array (M,) of int
        Items of each pattern; some may be 0.

    Returns
    -------
    expected : array (M,)
        Expected items of each pattern.
    deviance : float
        Twice the log-likelihood ratio.
    freedom : int
        Free frequencies less free parameters; it may be negative.
    """
    J, K, _ = confusion.shape
    joint = np.tile(prevalence, (len(patterns), 1))
    for j in range(J):
        joint = joint * confusion[j][:, patterns[:, j]].T
    expected = counts.sum() * joint.sum(axis=1)
    seen = counts > 0
    deviance = 2 * (counts[seen] * np.log(counts[seen] / expected[seen])).sum()
    return expected, deviance, K**J - 1 - (K - 1) * (1 + J * K)


@misfit.example
def _():
    patterns, counts, prevalence, confusion = _dentists()
    return {"prevalence": prevalence, "confusion": confusion, "patterns": patterns, "counts": counts}


@misfit.draws(
    """Observed against expected numbers of teeth for 32 patterns, on logarithmic axes. Most dots lie near the diagonal,
    from 1 to 1,880 teeth. The pattern in which all five say caries is marked: 100 observed, 57 expected."""
)
def _observed(ax, answer, prevalence, confusion, patterns, counts):
    from ...view import style

    expected = np.asarray(answer[0])
    ax.plot([0.3, 3000], [0.3, 3000], color=style.GREY, lw=1)
    ax.loglog(expected, counts, "o", ms=4, color=style.COLORS[0])
    all_five = np.flatnonzero(patterns.all(axis=1))
    ax.loglog(expected[all_five], counts[all_five], "o", ms=6, color=style.COLORS[1], label="all say caries")
    ax.set(xlabel="teeth expected", ylabel="teeth observed", xlim=(0.3, 3000), ylim=(0.3, 3000))
    ax.legend(frameon=False, loc="upper left")


@misfit.cases
def _(rng):
    def case(J, K, n, prevalence=None):
        patterns, counts = _of_patterns(rng, J, K, n)
        return {
            "prevalence": _shares(rng, K) if prevalence is None else prevalence,
            "confusion": _tables(rng, J, K),
            "patterns": patterns,
            "counts": counts,
        }

    sparse = case(4, 3, 60)
    sparse["counts"] = sparse["counts"] * (rng.permutation(81) % 3 > 0)
    return {
        "five annotators, two labels": case(5, 2, 800),
        "three annotators, three labels": case(3, 3, 500),
        "patterns that nobody gave": sparse,
        "two tests in one population": case(2, 2, 300),
        "one class": case(3, 2, 200, prevalence=np.array([1.0, 0.0])),
    }


misfit.check("two labels and three", points=3, on=("five annotators, two labels", "three annotators, three labels"))
misfit.check(
    "patterns not given, and too many unknowns",
    points=2,
    on=("patterns that nobody gave", "two tests in one population", "one class"),
)


def _deviance(counts, expected):
    seen = counts > 0
    return 2 * (counts[seen] * np.log(counts[seen] / expected[seen])).sum()


def _judged(prevalence, confusion, patterns, counts, expected=None):
    expected = counts.sum() * _chance(prevalence, confusion, patterns) if expected is None else expected
    J, K, _ = confusion.shape
    return expected, _deviance(counts, expected), K**J - 1 - (K - 1) * (1 + J * K)


@misfit.slip(
    "The 2 in front of the sum is missing. With it, and only with it, D is as large as its degrees of freedom."
)
def without_the_two(prevalence, confusion, patterns, counts):
    expected, deviance, freedom = _judged(prevalence, confusion, patterns, counts)
    return expected, deviance / 2, freedom


@misfit.slip(
    "This is Pearson's sum of (c - E)²/E. It asks the same question and is often near, but a pattern of which almost "
    "none is expected makes it huge. Asked for is twice the log-likelihood ratio."
)
def pearson(prevalence, confusion, patterns, counts):
    expected, _, freedom = _judged(prevalence, confusion, patterns, counts)
    return expected, ((counts - expected) ** 2 / expected).sum(), freedom


@misfit.slip("Observed and expected are exchanged in D. What is counted weighs the logarithms: c log(c / E).")
def exchanged(prevalence, confusion, patterns, counts):
    expected, _, freedom = _judged(prevalence, confusion, patterns, counts)
    with np.errstate(divide="ignore"):
        return expected, 2 * (expected * np.log(expected / counts)).sum(), freedom


@misfit.slip("A pattern that nobody gave makes 0 times log(0), which is nan. It adds nothing: leave it out of the sum.")
def nan_for_none(prevalence, confusion, patterns, counts):
    expected, _, freedom = _judged(prevalence, confusion, patterns, counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        return expected, 2 * (counts * np.log(counts / expected)).sum(), freedom


@misfit.slip(
    "These are the probabilities of the patterns. Multiply with the number of items, above all before you compare them "
    "with counts."
)
def probabilities(prevalence, confusion, patterns, counts):
    return _judged(prevalence, confusion, patterns, counts, _chance(prevalence, confusion, patterns))


@misfit.slip(
    "You made the annotators independent altogether, with one rate for each label, and the classes are gone. They are "
    "independent *given* the truth: multiply over annotators within a class, and add the classes afterwards."
)
def independent_altogether(prevalence, confusion, patterns, counts):
    rates = np.einsum("k,jkl->jl", prevalence, confusion)
    chance = np.prod([rate[column] for rate, column in zip(rates, patterns.T, strict=True)], axis=0)
    return _judged(prevalence, confusion, patterns, counts, counts.sum() * chance)


@misfit.slip("You looked up the tables as confusion[j, label, truth]. The truth comes first.")
def tables_turned_over(prevalence, confusion, patterns, counts):
    return _judged(prevalence, confusion.swapaxes(1, 2), patterns, counts)


@misfit.slip(
    "One degree of freedom too many: the frequencies of all patterns sum to one, so only K ** J - 1 of them are free."
)
def one_too_many(prevalence, confusion, patterns, counts):
    expected, deviance, freedom = _judged(prevalence, confusion, patterns, counts)
    return expected, deviance, freedom + 1


@misfit.slip(
    "You counted all K entries of the class shares and of every row as free. Each sums to one, so K - 1 of them are."
)
def all_entries(prevalence, confusion, patterns, counts):
    expected, deviance, _ = _judged(prevalence, confusion, patterns, counts)
    return expected, deviance, len(patterns) - 1 - len(prevalence) - confusion.size


@misfit.slip(
    "You counted the patterns that somebody gave. One that nobody gave had its chance, too: there are K ** J - 1 free "
    "frequencies, seen or not."
)
def seen_patterns(prevalence, confusion, patterns, counts):
    expected, deviance, freedom = _judged(prevalence, confusion, patterns, counts)
    return expected, deviance, freedom - np.count_nonzero(counts == 0)


@misfit.slip(
    "You let only one entry of each table follow from the others. Every *row* of a table sums to one, so each of its K "
    "rows has K - 1 free entries."
)
def one_tie_a_table(prevalence, confusion, patterns, counts):
    expected, deviance, _ = _judged(prevalence, confusion, patterns, counts)
    J, K, _ = confusion.shape
    return expected, deviance, K**J - 1 - (K - 1) - J * (K * K - 1)


@misfit.slip("You subtracted the error rates only. The class shares are parameters as well, K - 1 of them.")
def without_shares(prevalence, confusion, patterns, counts):
    expected, deviance, freedom = _judged(prevalence, confusion, patterns, counts)
    return expected, deviance, freedom + len(prevalence) - 1


@misfit.slip("This is the number of free parameters. Subtract it from the number of free frequencies.")
def number_of_parameters(prevalence, confusion, patterns, counts):
    expected, deviance, _ = _judged(prevalence, confusion, patterns, counts)
    J, K, _ = confusion.shape
    return expected, deviance, (K - 1) * (1 + J * K)


@misfit.slip(
    "The parameters were not subtracted. They were fitted to these very frequencies, and each brings the model closer "
    "to them by one."
)
def parameters_for_free(prevalence, confusion, patterns, counts):
    expected, deviance, _ = _judged(prevalence, confusion, patterns, counts)
    return expected, deviance, len(patterns) - 1


@misfit.slip(
    "You made a negative number of degrees of freedom zero. Negative is the warning: there are more unknowns than "
    "frequencies."
)
def never_negative(prevalence, confusion, patterns, counts):
    expected, deviance, freedom = _judged(prevalence, confusion, patterns, counts)
    return expected, deviance, max(freedom, 0)


@misfit.slip(
    "The deviance came out as c log(c / n) with n the number of all items: it compares with one frequency only. "
    "The expected number of the same pattern belongs below the line."
)
def against_all_items(prevalence, confusion, patterns, counts):
    expected, _, freedom = _judged(prevalence, confusion, patterns, counts)
    return expected, _deviance(counts, np.full(len(counts), float(counts.sum()))), freedom


@misfit.also
def by_log_likelihoods(prevalence, confusion, patterns, counts):
    """Twice the difference between the best of all models and this one."""
    J, K, _ = confusion.shape
    n, who = counts.sum(), np.arange(J)
    expected = [float(n * np.exp(e_step(prevalence, confusion, row[None], who, np.ones(1))[1])) for row in patterns]
    free = sum(c * float(np.log(c / n)) for c in counts.tolist() if c)
    deviance = 2 * (free - float(e_step(prevalence, confusion, patterns, who, counts)[1]))
    return expected, deviance, K**J - 1 - (K - 1) - J * K * (K - 1)
