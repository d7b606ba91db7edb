"""Exercise of the chapter on DNA motifs: log-odds, both steps of EM, the shift trap, the other strand."""

import numpy as np

from ..contract import Exercise

exercise = Exercise(
    "motifs",
    title="DNA motif finding",
    minutes=120,
    part="applications",
    objectives=[
        "score every window of a sequence, and say how much a motif knows;",
        "write the E-step of a hidden place: one site in each sequence;",
        "write the M-step, with pseudo-letters, and let both climb on real promoters;",
        "free a motif from the shift trap;",
        "read sites on either strand without turning a single sequence.",
    ],
    intro="""
        A protein binds somewhere in each of these sequences, and nobody has marked where. In the chapter EM found the
        sites of CRP in 18 promoters. Here you write it, in seven functions, and end with the same gain.

        Letters are numbers: A, C, G, T are 0, 1, 2, 3, so the complement of a letter is 3 minus it. `X` (n, L) holds
        n sequences of L letters, `pwm` (w, 4) the probability $\\theta_{ca}$ of each letter in each column of the
        motif, and `background` (4,) the probabilities $b_a$ of letters elsewhere. Places are counted from 0: window
        $j$ holds the letters $j, \\dots, j + w - 1$, and there are $m = L - w + 1$ windows.
        """,
    setup="""
        # 18 promoters of E. coli, 105 letters each.
        promoters = emlib.data.crp_promoters()
        X = np.array([["ACGT".index(letter) for letter in sequence] for sequence in promoters.sequences])
        background = np.bincount(X.ravel()) / X.size

        # The three tiny sequences of the chapter: GATCA, CGATG, AGTTC.
        tiny = np.array([[2, 0, 3, 1, 0], [1, 2, 0, 3, 2], [0, 2, 3, 3, 1]])
        """,
    outro="""
        You have the parts of a motif finder. Put them together: start `climb` from every word of the promoters that is
        16 letters long, 1,620 of them, and keep the best. How many starts reach it? Then widen the best matrix by
        three columns of background on either side, run one `e_step` to see the counts of all 22, and let `best_run`
        judge whether the motif ought to move. At last climb on both strands.

        And shuffle the letters of every promoter before you search. What is the best gain in sequences that hold
        nothing? Chapter 10 says why it is so large.
        """,
)


# ---------------------------------------------------------------- inputs
def _promoters():
    from ... import data

    return np.array([["ACGT".index(letter) for letter in s] for s in data.crp_promoters().sequences])


def _frequencies(X):
    return np.bincount(X.ravel(), minlength=4) / X.size


TINY = np.array([[2, 0, 3, 1, 0], [1, 2, 0, 3, 2], [0, 2, 3, 3, 1]])
GTT = np.array([[0.1, 0.1, 0.7, 0.1], [0.1, 0.1, 0.1, 0.7], [0.1, 0.1, 0.1, 0.7]])
EVEN = np.full(4, 0.25)


def _known_sites():
    """Matrix of the 24 known sites of CRP, as the chapter counts it, and the promoters' letters."""
    from ... import data

    X, promoters = _promoters(), data.crp_promoters()
    words = np.array([X[i, j : j + 22] for i, starts in enumerate(promoters.sites) for j in starts])
    b = _frequencies(X)
    counts = (words[:, :, None] == np.arange(4)).sum(axis=0) + b
    return counts / counts.sum(axis=1, keepdims=True), b, X[list(promoters.names).index("lac")]


def _start(word):
    """Half the belief in the letters of one word."""
    return 0.125 + 0.5 * np.eye(4)[word]


def _uneven(rng):
    """A background that nobody takes for uniform."""
    return rng.permutation([0.12, 0.2, 0.28, 0.4]) + rng.uniform(-0.02, 0.02) * np.array([1, -1, 1, -1])


def _motif(rng, w, strength=0.75):
    """Columns that prefer one letter each, no two neighbours the same letter, no mirror image of themselves."""
    letters = (rng.integers(4) + np.cumsum(rng.integers(1, 4, size=w))) % 4
    mixed = rng.dirichlet(np.full(4, 2.0), size=w)
    return strength * np.eye(4)[letters] + (1 - strength) * mixed


def _sequences(rng, n, L, pwm, b, back=False):
    """Letters of the background with a site of the motif in each sequence, on the other strand in every second one."""
    X = rng.choice(4, size=(n, L), p=b)
    for i, row in enumerate(X):
        j = rng.integers(L - len(pwm) + 1)
        site = (pwm.cumsum(axis=1) < rng.random((len(pwm), 1))).sum(axis=1).clip(0, 3)
        row[j : j + len(pwm)] = 3 - site[::-1] if back and i % 2 else site
    return X


def _blurred(rng, pwm, weight=0.5):
    """The same motif, half forgotten: a start for EM."""
    mixed = rng.dirichlet(np.full(4, 3.0), size=len(pwm))
    return weight * pwm + (1 - weight) * mixed


def _given(rng, n, L, w, b=None, back=False):
    b = _uneven(rng) if b is None else b
    truth = _motif(rng, w)
    return {"X": _sequences(rng, n, L, truth, b, back), "pwm": _blurred(rng, truth), "background": b}


# ---------------------------------------------------------------- the steps, as the slips vary them
def _windows(X, w):
    return np.lib.stride_tricks.sliding_window_view(X, w, axis=-1)


def _scored(table, X):
    """Sum of a table's entries over the letters of each window."""
    w = len(table)
    return table[np.arange(w), _windows(X, w)].sum(axis=-1)


def _log(pwm):
    with np.errstate(divide="ignore"):
        return np.log(pwm)


def _softmax(s):
    top = s.max(axis=1, keepdims=True)
    e = np.exp(s - top)
    total = e.sum(axis=1, keepdims=True)
    return e / total, (top + np.log(total))[:, 0]


def _expected(X, pwm, background):
    s = _scored(_log(pwm / background), X)
    r, total = _softmax(s)
    return r, (total - np.log(s.shape[1])).sum()


def _counted(X, r):
    """Letters in columns, windows weighted."""
    w = X.shape[1] - r.shape[1] + 1
    return np.einsum("ij,ijca->ca", r, np.eye(4)[_windows(X, w)])


def _divided(counts, background, pseudo):
    counts = counts + pseudo * background
    return counts / counts.sum(axis=1, keepdims=True)


def _maximised(X, r, background, pseudo):
    return _divided(_counted(X, r), background, pseudo)


def _climbed(X, pwm, background, pseudo, n_iter, e=_expected, m=_maximised):
    gains = []
    for _ in range(n_iter):
        r, _ = e(X, pwm, background)
        pwm = m(X, r, background, pseudo)
        gains.append(e(X, pwm, background)[1])
    return pwm, np.array(gains)


# ---------------------------------------------------------------- 1
@exercise.function(
    returns={"s": "(m,)"},
    story=r"""
        **The score of a window.** How much better does the motif explain a window than the background does? In
        logarithms this is a sum over columns,

        $$s_j = \sum_{c=0}^{w-1} \log \frac{\theta_{c,\,x_{j+c}}}{b_{x_{j+c}}}.$$

        Above zero the window looks more like a site than like background. Return the scores of all windows of one
        sequence, from the first, which begins at 0, to the last, which ends with the sequence. A letter with
        probability 0 in its column makes a window impossible, and its score `-inf`; NumPy may warn and is right.
        """,
    hints=[
        "There are len(x) - w + 1 windows. Window j is x[j : j + w].",
        "First make the table np.log(pwm / background), of shape (w, 4). The score of a window is the sum of w of its "
        "entries, one in each row.",
        "table[np.arange(w), x[j : j + w]].sum() is the score of window j.",
    ],
    after="""
        In the picture only few windows of the lac promoter come out above zero, among them the two known sites. One
        window without a site beats the weaker of them: a motif of some ten bits turns up by chance about once in a
        thousand letters.
        """,
)
def log_odds(x, pwm, background):
    """Score of every window of one sequence, motif against background.

    Parameters
    ----------
    x : array (L,) of int
        Letters, 0 to 3.
    pwm : array (w, 4)
        Probability of each letter in each column; it may be 0.
    background : array (4,)
        Probability of each letter elsewhere, above 0.

    Returns
    -------
    s : array (m,)
        Log-odds of the windows that begin at 0, 1, ..., m - 1 with m = L - w + 1, in nats.
    """
    w = len(pwm)
    table = np.log(pwm / background)
    return np.array([table[np.arange(w), x[j : j + w]].sum() for j in range(len(x) - w + 1)])


@log_odds.example
def _():
    pwm, b, lac = _known_sites()
    return {"x": lac, "pwm": pwm, "background": b}


@log_odds.draws(
    """Scores of the 84 windows of the lac promoter in nats. Most lie between -3 and -16. Three rise above 2: one of 11
    at window 8, one of 5.5 at window 72 and one of 2.9 at window 79; dotted lines mark known sites at 8 and 79."""
)
def _along(ax, answer, x, pwm, background):
    from ...view import style

    ax.axhline(0, color="0.7", lw=0.8)
    for j in (8, 79):
        ax.axvline(j, color=style.COLORS[1], ls=":", lw=1.6)
    ax.plot(np.asarray(answer), color=style.INK, lw=1.2)
    ax.set(xlabel="window", ylabel="log-odds (nats)")


@log_odds.cases
def _(rng):
    def case(L, w, b=None):
        given = _given(rng, 1, L, w, b)
        return {"x": given["X"][0], "pwm": given["pwm"], "background": given["background"]}

    zeros = case(25, 4)
    zeros["pwm"] = np.array([[0.5, 0.5, 0, 0], [0.25, 0.25, 0.25, 0.25], [0, 0.1, 0.2, 0.7], [0.4, 0.1, 0.2, 0.3]])
    zeros["x"][:4] = [0, 2, 3, 1]
    return {
        "a sequence": case(30, 6),
        "an even background": case(20, 5, EVEN),
        "one window": case(7, 7),
        "a single column": case(12, 1),
        "impossible letters": zeros,
    }


log_odds.check("a sequence, on two backgrounds", points=2, on=("a sequence", "an even background"))
log_odds.check("one window, and a single column", points=1, on=("one window", "a single column"))
log_odds.check("letters that are impossible", points=1, on="impossible letters")


@log_odds.slip(
    "This is one window short. The last window ends with the last letter and begins at L - w; counted from 0 these are "
    "L - w + 1 windows."
)
def last_window_missing(x, pwm, background):
    return _scored(_log(pwm / background), x)[:-1]


@log_odds.slip(
    "This begins one letter too far to the right: the first window is x[0 : w]. Motifs one base off are born like this."
)
def one_base_off(x, pwm, background):
    s = _scored(_log(pwm / background), np.append(x, x[-1]))
    return s[1:]


@log_odds.slip(
    "The background is missing. The logarithm of the motif's probability alone praises windows of common letters: "
    "divide by the background's probability of each letter."
)
def background_absorbed(x, pwm, background):
    return _scored(_log(pwm), x)


@log_odds.slip(
    "These are bits: you took logarithms to base 2. The formula has natural ones, and the E-step needs exp(s)."
)
def in_bits(x, pwm, background):
    return _scored(_log(pwm / background), x) / np.log(2)


@log_odds.slip(
    "The columns are read from right to left. Column 0 of the matrix belongs to the first letter of the window."
)
def columns_backwards(x, pwm, background):
    return _scored(_log(pwm / background)[::-1], x)


@log_odds.slip(
    "These are the odds themselves, not their logarithm. The sum of logarithms is wanted, for the products underflow "
    "in wide motifs."
)
def not_the_logarithm(x, pwm, background):
    return np.exp(_scored(_log(pwm / background), x))


@log_odds.also
def column_by_column(x, pwm, background):
    m = len(x) - len(pwm) + 1
    return sum(np.log(pwm[c, x[c : c + m]]) - np.log(background[x[c : c + m]]) for c in range(len(pwm))).tolist()


# ---------------------------------------------------------------- 2
@exercise.function(
    returns={"bits": "(w,)", "heights": "(w, 4)"},
    story=r"""
        **How much does a motif know?** The information content of a column is its distance from the background,

        $$I_c = \sum_a \theta_{ca} \log_2 \frac{\theta_{ca}}{b_a},$$

        in bits; a letter with $\theta_{ca} = 0$ adds nothing. In a logo the stack of letters over column $c$ is $I_c$
        high, and each letter takes the share $\theta_{ca}$ of it. Return both, `bits` and the `heights` of the
        letters.
        """,
    hints=[
        "Each column is one row of pwm, so sum over axis 1.",
        "0 * log2(0) is nan in NumPy, and 0 is meant. np.where(pwm > 0, ..., 0) picks the good ones; so does "
        "scipy.special.rel_entr, which is in nats.",
        "heights = pwm * bits[:, None].",
    ],
    after="""
        The known sites of CRP hold 9.8 bits. The sum is also the mean score of a true site, up to the unit: what
        `log_odds` gives on average where the motif really is.
        """,
)
def information(pwm, background):
    """Information content of the columns of a motif, and heights of the letters of its logo.

    Parameters
    ----------
    pwm : array (w, 4)
        Probability of each letter in each column; it may be 0.
    background : array (4,)
        Probability of each letter elsewhere, above 0.

    Returns
    -------
    bits : array (w,)
        Information of each column.
    heights : array (w, 4)
        Of each letter; the heights of a column sum to its bits.
    """
    ratio = np.where(pwm > 0, pwm, 1) / background
    bits = (pwm * np.log2(ratio)).sum(axis=1)
    return bits, pwm * bits[:, None]


@information.example
def _():
    pwm, b, _ = _known_sites()
    return {"pwm": pwm, "background": b}


@information.draws(
    """Logo of 22 columns, the letters of each stacked. The tallest stacks, of 0.4 to 1.4 bits, read T G T G A in
    columns 3 to 7 and T C A C A in columns 14 to 18; the columns between and outside are low."""
)
def _stacks(ax, answer, pwm, background):
    from ...view.logos import COLORS

    heights = np.asarray(answer[1])
    for c, column in enumerate(heights):
        base = 0.0
        for a in np.argsort(column):
            letter = "ACGT"[a]
            ax.bar(c, column[a], bottom=base, width=0.9, color=COLORS[letter])
            if column[a] > 0.15:
                ax.text(c, base + column[a] / 2, letter, ha="center", va="center", color="white", weight="bold")
            base += column[a]
    ax.set(xlabel="column", ylabel="bits")


@information.cases
def _(rng):
    zeros = np.array([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25, 0.25, 0.5, 0], [0.1, 0.2, 0.3, 0.4]])
    uneven = _uneven(rng)
    return {
        "a motif": {"pwm": _motif(rng, 6, 0.5), "background": uneven},
        "an even background": {"pwm": _motif(rng, 5, 0.6), "background": EVEN},
        "letters that never occur": {"pwm": zeros[rng.permutation(4)], "background": _uneven(rng)},
        "a column like the background": {"pwm": np.stack([uneven, _motif(rng, 1)[0]]), "background": uneven},
    }


information.check("a motif, on two backgrounds", points=2, on=("a motif", "an even background"))
information.check("letters that never occur", points=1, on="letters that never occur")
information.check("a column that knows nothing", points=1, on="a column like the background")


@information.slip("These are nats: you used the natural logarithm. Divide by log(2), or take log2.")
def in_nats(pwm, background):
    bits = np.where(pwm > 0, pwm * np.log(np.where(pwm > 0, pwm, 1) / background), 0).sum(axis=1)
    return bits, pwm * bits[:, None]


@information.slip(
    "This is 2 bits less the entropy, which is right for an even background only. A column that looks like the "
    "background knows nothing, whatever its letters."
)
def two_less_entropy(pwm, background):
    bits = 2 + np.where(pwm > 0, pwm * np.log2(np.where(pwm > 0, pwm, 1)), 0).sum(axis=1)
    return bits, pwm * bits[:, None]


@information.slip(
    "A letter that never occurs turned its column into nan: 0 times the logarithm of 0. It adds nothing; put 0 there."
)
def nan_where_nothing(pwm, background):
    bits = (pwm * np.log2(pwm / background)).sum(axis=1)
    return bits, pwm * bits[:, None]


@information.slip(
    "The heights are the terms of the sum, and rare letters would hang below the line. Each letter takes its share, "
    "theta, of the whole stack."
)
def terms_as_heights(pwm, background):
    terms = np.where(pwm > 0, pwm * np.log2(np.where(pwm > 0, pwm, 1) / background), 0)
    return terms.sum(axis=1), terms


@information.slip(
    "The letters are weighted with the background here. Under the sum stands theta: the mean is over letters of sites."
)
def weighted_by_background(pwm, background):
    ratio = np.where(pwm > 0, pwm, 1) / background
    bits = (background * np.where(pwm > 0, np.log2(ratio), 0)).sum(axis=1)
    return bits, pwm * bits[:, None]


@information.also
def by_scipy(pwm, background):
    from scipy.special import rel_entr

    bits = rel_entr(pwm, background).sum(axis=1) / np.log(2)
    return bits, (bits * pwm.T).T


# ---------------------------------------------------------------- 3
@exercise.function(
    returns={"r": "(n, m)", "gain": "()"},
    story=r"""
        **E: where may the site be?** Each sequence holds exactly one site, and before reading it all $m$ places are
        equally likely. The responsibility of place $j$ in sequence $i$ is

        $$r_{ij} = \frac{e^{s_{ij}}}{\sum_{j'} e^{s_{ij'}}},$$

        and what the motif gains over the background alone is

        $$\text{gain} = \sum_i \log \Bigl( \frac1m \sum_j e^{s_{ij}} \Bigr).$$

        For the three tiny sequences of the chapter and the word GTT the rows are .860 .123 .018, .018 .860 .123 and
        .020 .961 .020. A wide motif has scores of hundreds of nats, too much for `exp`; chapter 2 has the cure.
        """,
    hints=[
        "Row i of the scores is log_odds(X[i], pwm, background). Each row gets a softmax of its own.",
        "Subtract the largest score of each row before exp, and add it back to the logarithm of the sum.",
        "gain = (top + np.log(np.exp(s - top[:, None]).sum(axis=1)) - np.log(m)).sum() with top = s.max(axis=1).",
    ],
    after="""
        The hidden part is a place, not a group; apart from that this is the E-step of any mixture whose components are
        equally likely. And as there: sums over what is *alternative*, products over what is *independent*.
        """,
)
def e_step(X, pwm, background):
    """Posterior of the place of the site in each sequence, and the gain over background alone.

    Parameters
    ----------
    X : array (n, L) of int
        Letters, 0 to 3.
    pwm : array (w, 4)
        Probability of each letter in each column; some may be 0, but each sequence has a possible window.
    background : array (4,)
        Probability of each letter elsewhere, above 0.

    Returns
    -------
    r : array (n, m)
        Responsibility of each place, m = L - w + 1.
    gain : float
        Log-likelihood of all sequences less that of background alone, in nats.
    """
    s = np.array([log_odds(x, pwm, background) for x in X])
    top = s.max(axis=1, keepdims=True)
    weights = np.exp(s - top)
    total = weights.sum(axis=1, keepdims=True)
    gain = (top + np.log(total) - np.log(s.shape[1])).sum()
    return weights / total, gain


@e_step.example
def _():
    return {"X": TINY, "pwm": GTT, "background": EVEN}


@e_step.draws(
    """Three rows of three squares, one for each window, the darker the more probable: GAT in the first sequence .86,
    GAT in the second .86, GTT in the third .96; the others are pale."""
)
def _squares(ax, answer, X, pwm, background):
    r = np.asarray(answer[0])
    ax.imshow(r, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(r):
        for j, value in enumerate(row):
            word = "".join("ACGT"[a] for a in X[i, j : j + len(pwm)])
            ax.text(j, i, f"{word} {value:.3f}", ha="center", va="center", color="white" if value > 0.5 else "black")
    ax.set(xlabel="place", ylabel="sequence", xticks=range(r.shape[1]), yticks=range(len(r)))


@e_step.cases
def _(rng):
    wide = _motif(rng, 800, 0.97)
    b = _uneven(rng)
    zeros = _given(rng, 4, 14, 3)
    zeros["pwm"] = np.array([[0.5, 0, 0.3, 0.2], [0, 0.6, 0.2, 0.2], [0.3, 0.3, 0, 0.4]])
    zeros["X"][:, 4:7] = [[0, 1, 3], [2, 3, 0], [3, 2, 1], [0, 2, 3]]
    return {
        "six sequences": _given(rng, 6, 20, 5),
        "an even background": _given(rng, 4, 15, 4, EVEN),
        "one sequence": _given(rng, 1, 18, 4),
        "a very wide motif": {"X": _sequences(rng, 2, 804, wide, b), "pwm": wide, "background": b},
        "impossible letters": zeros,
    }


e_step.check("six sequences, and an even background", points=2, on=("six sequences", "an even background"))
e_step.check("one sequence", points=1, on="one sequence")
e_step.check("a very wide motif", points=2, on="a very wide motif")
e_step.check("letters that are impossible", points=1, on="impossible letters")


@e_step.slip(
    "Here all sequences compete for one site: the softmax runs over the whole table. Each sequence has a site of its "
    "own, so each row sums to one."
)
def over_all_sequences(X, pwm, background):
    s = _scored(_log(pwm / background), X)
    e = np.exp(s - s.max())
    return e / e.sum(), _expected(X, pwm, background)[1]


@e_step.slip(
    "The best place got everything. That is a hard decision; the E-step keeps all places, each by its responsibility."
)
def best_place_only(X, pwm, background):
    r, gain = _expected(X, pwm, background)
    return np.eye(r.shape[1])[r.argmax(axis=1)], gain


@e_step.slip(
    "exp overflows: a wide motif has scores of hundreds of nats. Take the largest score of each row out before exp, "
    "and add it back to the logarithm."
)
def too_large_for_exp(X, pwm, background):
    e = np.exp(_scored(_log(pwm / background), X))
    return e / e.sum(axis=1, keepdims=True), np.log(e.mean(axis=1)).sum()


@e_step.slip(
    "The prior of the place is missing from the gain: before the data each place has probability 1/m, so it is the "
    "mean over places, not the sum."
)
def sum_for_mean(X, pwm, background):
    r, gain = _expected(X, pwm, background)
    return r, gain + len(X) * np.log(r.shape[1])


@e_step.slip(
    "The background is missing from the scores. Windows of common letters then look like sites, and the gain is "
    "measured against nothing."
)
def no_background(X, pwm, background):
    return _expected(X, pwm, np.ones(4))


@e_step.slip(
    "The gain is the sum of the best scores. Other places are possible too: it takes the logarithm of the mean of "
    "exp(s) over all of them."
)
def gain_of_the_best(X, pwm, background):
    r, _ = _expected(X, pwm, background)
    return r, _scored(_log(pwm / background), X).max(axis=1).sum()


@e_step.also
def by_logsumexp(X, pwm, background):
    from scipy.special import logsumexp

    s = _scored(_log(pwm) - np.log(background), X)
    total = logsumexp(s, axis=1)
    return np.exp(s - total[:, None]).tolist(), float(total.sum() - len(X) * np.log(s.shape[1]))


# ---------------------------------------------------------------- 4
@exercise.function(
    returns={"pwm": "(w, 4)"},
    story=r"""
        **M: count every window, a little.** With responsibilities in hand, count letters in columns. Window $j$ of
        sequence $i$ adds $r_{ij}$ to the count of its letter in each column,

        $$N_{ca} = \sum_i \sum_j r_{ij}\, [x_{i,j+c} = a], \qquad
          \theta_{ca} = \frac{N_{ca} + \kappa\, b_a}{\sum_{a'} N_{ca'} + \kappa}.$$

        The $\kappa$ pseudo-letters (`pseudo`) of each column are shared out like the background; they keep letters
        possible that the sites happen to lack. The width follows from the shapes: $w = L - m + 1$.

        From the responsibilities of the last example, and with $\kappa = 0$, the middle column becomes
        (.573, .006, .012, .409): GTT has turned into GAT.
        """,
    hints=[
        "Loop over sequences, places and columns: counts[c, X[i, j + c]] += r[i, j].",
        "Without loops over sequences: for column c and letter a it is (r * (X[:, c : c + m] == a)).sum().",
        "Add pseudo * background to every row of the counts, and divide each row by its own sum.",
    ],
    after="""
        Each sequence has one site, so every column counts n letters, though each letter of a sequence may be counted
        in several columns. That is no double counting: the windows are alternatives, and their weights sum to one.
        """,
)
def m_step(X, r, background, pseudo):
    """Columns of the motif from the responsibilities of places.

    Parameters
    ----------
    X : array (n, L) of int
        Letters, 0 to 3.
    r : array (n, m)
        Responsibility of each place; rows sum to one.
    background : array (4,)
        Probability of each letter elsewhere.
    pseudo : float
        Pseudo-letters in each column, 0 or more, shared out like the background.

    Returns
    -------
    pwm : array (w, 4)
        Probability of each letter in each column, w = L - m + 1.
    """
    m = r.shape[1]
    w = X.shape[1] - m + 1
    counts = np.array([[(r * (X[:, c : c + m] == a)).sum() for a in range(4)] for c in range(w)])
    counts = counts + pseudo * background
    return counts / counts.sum(axis=1, keepdims=True)


@m_step.example
def _():
    return {"X": TINY, "r": _expected(TINY, GTT, EVEN)[0], "background": EVEN, "pseudo": 0.0}


@m_step.draws(
    """Logo of three columns: a tall G of 1.3 bits, an A above a T of 0.9 bits together, and a tall T of 1.2 bits; other
    letters are almost flat."""
)
def _after_one(ax, answer, X, r, background, pseudo):
    from ...view.logos import draw_logo

    draw_logo(ax, np.asarray(answer), n_sites=1e9)
    ax.set_xticks(range(1, len(np.asarray(answer)) + 1), range(len(np.asarray(answer))))


@m_step.cases
def _(rng):
    def case(n, L, w, pseudo, b=None):
        given = _given(rng, n, L, w, b)
        r = rng.dirichlet(np.full(L - w + 1, 0.5), size=n)
        return {"X": given["X"], "r": r, "background": given["background"], "pseudo": pseudo}

    rare = case(5, 12, 4, 1.5)
    rare["X"] = rng.choice([0, 2], size=(5, 12))  # no C and no T anywhere
    sure = case(6, 14, 5, 0.7)
    sure["r"] = np.eye(10)[rng.integers(10, size=6)]
    return {
        "eight sequences": case(8, 18, 5, 2.0),
        "no pseudo-letters": case(6, 15, 4, 0.0, EVEN),
        "letters that do not occur": rare,
        "places that are certain": sure,
        "one sequence, one place": case(1, 4, 4, 1.0),
    }


m_step.check("eight sequences, with and without pseudo-letters", points=3, on=("eight sequences", "no pseudo-letters"))
m_step.check("letters that do not occur", points=1, on="letters that do not occur")
m_step.check("certain places, and a single one", points=2, on=("places that are certain", "one sequence, one place"))


@m_step.slip(
    "The pseudo-letters are missing. A letter that no site happens to have would become impossible, and stay so for "
    "ever: add pseudo * background to the counts of each column."
)
def no_pseudo(X, r, background, pseudo):
    return _maximised(X, r, background, 0.0)


@m_step.slip(
    "Every letter got the same share of the pseudo-letters. They are shared out like the background, so that a column "
    "about which nothing is known looks like background."
)
def pseudo_shared_evenly(X, r, background, pseudo):
    return _maximised(X, r, EVEN, pseudo)


@m_step.slip(
    "Each letter got all of the pseudo-letters. Together a column gets `pseudo` of them: letter a gets pseudo times "
    "its background probability."
)
def pseudo_four_times(X, r, background, pseudo):
    return _maximised(X, r, EVEN, 4 * pseudo)


@m_step.slip("The columns do not sum to one: divide by n plus the pseudo-letters, the sum of the counts in the column.")
def divided_by_n(X, r, background, pseudo):
    return (_counted(X, r) + pseudo * background) / len(X)


@m_step.slip(
    "You normalised over the columns of the motif instead of over the letters. Each column is a distribution of its "
    "own: its four probabilities sum to one."
)
def over_the_columns(X, r, background, pseudo):
    counts = _counted(X, r) + pseudo * background
    return counts / counts.sum(axis=0, keepdims=True)


@m_step.slip(
    "Only the most probable window of each sequence was counted. All windows count, each by its responsibility."
)
def best_window_only(X, r, background, pseudo):
    return _maximised(X, np.eye(r.shape[1])[r.argmax(axis=1)], background, pseudo)


@m_step.slip(
    "The motif is one base off: column 0 of window j is the letter x[j] itself, and here it is the letter after it."
)
def one_letter_late(X, r, background, pseudo):
    shifted = np.concatenate([X[:, 1:], X[:, -1:]], axis=1)
    return _maximised(shifted, r, background, pseudo)


@m_step.also
def by_einsum(X, r, background, pseudo):
    return _maximised(X, r, background, pseudo)


@m_step.also
def with_loops(X, r, background, pseudo):
    w = X.shape[1] - r.shape[1] + 1
    counts = [[pseudo * b for b in background] for _ in range(w)]
    for i in range(len(X)):
        for j in range(r.shape[1]):
            for c in range(w):
                counts[c][X[i, j + c]] += r[i, j]
    return [[k / sum(column) for k in column] for column in counts]


# ---------------------------------------------------------------- 5
@exercise.function(
    returns={"pwm": "(w, 4)", "gains": "(n_iter,)"},
    story="""
        **Climb.** Put the two steps together: `n_iter` times E, then M. Return the last matrix and, for each
        iteration, the gain of the matrix with which it *ended*. The start has a gain too; it is not asked for.

        From a stray word of the fifth promoter, 16 letters wide and with .01 pseudo-letters, thirty iterations reach a
        gain of 81.6 nats.
        """,
    hints=[
        "Keep the matrix of the last iteration: what the M-step returns goes into the next E-step.",
        "e_step returns the gain at the matrix that it was given. So after the M-step of an iteration one more call "
        "tells its gain; it also gives you the responsibilities of the next iteration.",
        "for _ in range(n_iter): r, _ = e_step(...); pwm = m_step(...); gains.append(e_step(...)[1])",
    ],
    after="""
        In the picture the gain creeps from 38 to 42 nats between iterations 6 and 10, and then it doubles. EM had found
        some accidental likeness first. A plateau is no summit, and the rule "stop when little changes" would have been
        wrong here.
        """,
)
def climb(X, pwm, background, pseudo, n_iter):
    """EM for one site in each sequence.

    Parameters
    ----------
    X : array (n, L) of int
        Letters, 0 to 3.
    pwm : array (w, 4)
        The start.
    background : array (4,)
        Probability of each letter elsewhere; it stays as it is.
    pseudo : float
        Pseudo-letters in each column.
    n_iter : int
        Iterations, at least 1.

    Returns
    -------
    pwm : array (w, 4)
        After the last M-step.
    gains : array (n_iter,)
        Gain over background of the matrix at the end of each iteration, in nats.
    """
    gains = []
    for _ in range(n_iter):
        r, _ = e_step(X, pwm, background)
        pwm = m_step(X, r, background, pseudo)
        gains.append(e_step(X, pwm, background)[1])
    return pwm, np.array(gains)


@climb.example
def _():
    X = _promoters()
    return {"X": X, "pwm": _start(X[4, 12:28]), "background": _frequencies(X), "pseudo": 0.01, "n_iter": 30}


@climb.draws(
    """Gain in nats against the iteration, from 1 to 30: it rises to 38 by iteration 6, creeps to 42 by iteration 10,
    climbs to 71 by iteration 19, and lies at 81.6 from iteration 24 on."""
)
def _trace(ax, answer, X, pwm, background, pseudo, n_iter):
    from ...view import style

    gains = np.asarray(answer[1])
    ax.plot(np.arange(1, len(gains) + 1), gains, "o-", ms=3.5, color=style.COLORS[0])
    ax.set(xlabel="iteration", ylabel="gain (nats)")


@climb.cases
def _(rng):
    def case(n, L, w, pseudo, n_iter, b=None):
        return {**_given(rng, n, L, w, b), "pseudo": pseudo, "n_iter": n_iter}

    return {
        "ten sequences": case(10, 24, 5, 0.5, 6),
        "one iteration": case(8, 20, 4, 1.0, 1),
        "an even background": case(9, 22, 6, 0.3, 4, EVEN),
        "much belief in the background": case(6, 18, 4, 12.0, 5),
    }


climb.check("one iteration", points=2, on="one iteration")
climb.check("several iterations", points=2, on=("ten sequences", "an even background"))
climb.check("many pseudo-letters", points=1, on="much belief in the background")


@climb.slip(
    "The gains are one step old: each belongs to the matrix with which its iteration began. After the M-step, ask for "
    "the gain of the new matrix."
)
def gains_one_behind(X, pwm, background, pseudo, n_iter):
    last, gains = _climbed(X, pwm, background, pseudo, n_iter)
    return last, np.concatenate([[_expected(X, pwm, background)[1]], gains[:-1]])


@climb.slip(
    "Every iteration began again from the start, so all of them are the first. What the M-step returns is the matrix "
    "of the next E-step."
)
def always_from_the_start(X, pwm, background, pseudo, n_iter):
    last, gains = _climbed(X, pwm, background, pseudo, 1)
    return last, np.repeat(gains, n_iter)


@climb.slip("The pseudo-letters got lost on the way: pass `pseudo` on to the M-step.")
def pseudo_lost(X, pwm, background, pseudo, n_iter):
    return _climbed(X, pwm, background, 0.0, n_iter)


@climb.slip(
    "Between the steps each sequence decided for its best place. That climbs another function; EM hands the "
    "responsibilities on as they are."
)
def decided_between(X, pwm, background, pseudo, n_iter):
    def hard(X, r, background, pseudo):
        return _maximised(X, np.eye(r.shape[1])[r.argmax(axis=1)], background, pseudo)

    return _climbed(X, pwm, background, pseudo, n_iter, m=hard)


@climb.slip(
    "All sequences compete for one site in your E-step: the responsibilities sum to one over the whole table instead "
    "of in each row."
)
def one_site_for_all(X, pwm, background, pseudo, n_iter):
    def shared(X, pwm, background):
        s = _scored(_log(pwm / background), X)
        e = np.exp(s - s.max())
        return e / e.sum(), _expected(X, pwm, background)[1]

    return _climbed(X, pwm, background, pseudo, n_iter, e=shared)


@climb.also
def carried_along(X, pwm, background, pseudo, n_iter):
    """One E-step an iteration: the one that tells the gain is the next one's."""
    r, _ = _expected(X, pwm, background)
    gains = []
    for _ in range(n_iter):
        pwm = _maximised(X, r, background, pseudo)
        r, gain = _expected(X, pwm, background)
        gains.append(gain)
    return pwm, gains


# ---------------------------------------------------------------- 6
@exercise.function(
    returns={"first": "()", "worth": "()"},
    story=r"""
        **Out of the shift trap.** EM cannot slide a motif sideways: all sequences would have to move at once. So count
        a few columns more on either side, and ask which run of $w$ neighbouring columns is worth most. The worth of a
        column is what its letters gain over the background when the column has its own frequencies,

        $$\sum_a N_{ca} \log \frac{p_{ca}}{b_a}, \qquad p_{ca} = \frac{N_{ca} + b_a}{\sum_{a'} N_{ca'} + 1},$$

        with one pseudo-letter shared out like the background. Columns near the ends have fewer letters, since not
        every sequence reaches so far. Return where the best run begins in the table, and its worth; of several that
        are equally good, the first.
        """,
    hints=[
        "First the worth of each column by itself, an array of W numbers. Then the sums of w neighbours; there are "
        "W - w + 1 of them.",
        "np.convolve(worth, np.ones(w), mode='valid') has all sums of w neighbours, the first of them first.",
        "np.argmax returns the first of several largest. Return its index and the sum there.",
    ],
    after="""
        In the example the promoters' motif stood two columns too far to the right, and the best run begins two columns
        further left than the motif did, at 4 instead of 6. Starting again from there, EM goes from 61 to 82 nats. The
        same sums, over runs of every width, choose the width, if a column must earn more than its three parameters.
        """,
)
def best_run(counts, w, background):
    """Which w neighbouring columns of a wider table make the best motif.

    Parameters
    ----------
    counts : array (W, 4)
        Expected letters in each column; the columns may have different sums, and letters may be missing.
    w : int
        Width of the motif, at most W.
    background : array (4,)
        Probability of each letter elsewhere, above 0.

    Returns
    -------
    first : int
        The column, from 0, at which the best run begins.
    worth : float
        What its letters gain over the background, in nats.
    """
    p = (counts + background) / (counts.sum(axis=1, keepdims=True) + 1)
    each = (counts * np.log(p / background)).sum(axis=1)
    runs = np.convolve(each, np.ones(w), mode="valid")
    return int(runs.argmax()), runs.max()


@best_run.example
def _():
    X = _promoters()
    b = _frequencies(X)
    pwm, _ = _climbed(X, _start(X[4, 12:28]), b, 0.01, 30)
    slid = np.concatenate([pwm[2:], np.tile(b, (2, 1))])  # the motif's columns, two to the right
    trapped, _ = _climbed(X, slid, b, 0.01, 60)
    r, _ = _expected(X, trapped, b)
    counts = np.zeros((28, 4))
    for c in range(-6, 22):
        for i, j in zip(*np.nonzero(r > 1e-6), strict=True):
            if 0 <= j + c < X.shape[1]:
                counts[c + 6, X[i, j + c]] += r[i, j]
    return {"counts": counts.round(4), "w": 16, "background": b}


@best_run.draws(
    """Worth of 28 columns as bars, tall ones of 9 to 20 nats at 4 to 8 and 15 to 19. A line above marks the best run,
    columns 4 to 19; another shows where the motif stood, columns 6 to 21."""
)
def _bars(ax, answer, counts, w, background):
    from ...view import style

    p = (counts + background) / (counts.sum(axis=1, keepdims=True) + 1)
    each = (counts * np.log(p / background)).sum(axis=1)
    ax.bar(np.arange(len(each)), each, color="0.7")
    first = int(answer[0])
    top = each.max()
    for name, begin, height, color in (("best run", first, 1.06, 1), ("as it stood", 6, 1.22, 0)):
        ax.plot([begin - 0.5, begin + w - 0.5], [top * height] * 2, lw=3, color=style.COLORS[color])
        ax.text(begin + w / 2, top * (height + 0.02), name, ha="center", va="bottom", color=style.COLORS[color])
    ax.set(xlabel="column", ylabel="worth (nats)", ylim=(0, top * 1.36))


@best_run.cases
def _(rng):
    def table(W, w, at, n, b):
        """Background with a motif's columns somewhere."""
        p = np.tile(b, (W, 1)) * 0.8 + 0.2 * rng.dirichlet(np.full(4, 4.0), size=W)
        p[at : at + w] = _motif(rng, w, 0.65)
        return n * p

    b, uneven = EVEN, _uneven(rng)
    pure = table(13, 5, 5, 20.0, uneven)
    pure[:4] = 1.2 * np.eye(4)[rng.integers(4, size=4)]  # few letters reach so far, and they happen to agree
    missing = rng.multinomial(12, [0.4, 0.3, 0.2, 0.1], size=9).astype(float)
    missing[3:7] = 12 * np.eye(4)[rng.permutation(4)]
    whole = table(6, 6, 0, 15.0, uneven)
    return {
        "a motif in the table": {
            "counts": table(14, 5, int(rng.integers(3, 9)), 25.0, uneven),
            "w": 5,
            "background": uneven,
        },
        "an even background": {"counts": table(12, 4, int(rng.integers(2, 8)), 18.0, b), "w": 4, "background": b},
        "few letters at the edge": {"counts": pure, "w": 5, "background": uneven},
        "letters that are missing": {"counts": missing, "w": 4, "background": _uneven(rng)},
        "no room to move": {"counts": whole, "w": 6, "background": uneven},
    }


best_run.check("a motif in the table", points=2, on=("a motif in the table", "an even background"))
best_run.check("few letters at the edge", points=2, on="few letters at the edge")
best_run.check("missing letters, and no room", points=1, on=("letters that are missing", "no room to move"))


def _each(counts, background):
    p = (counts + background) / (counts.sum(axis=1, keepdims=True) + 1)
    return counts, p


def _run(each, w):
    runs = np.convolve(each, np.ones(w), mode="valid")
    return int(runs.argmax()), runs.max()


@best_run.slip(
    "This is the information of the columns, without their counts. Two letters that agree at the edge would beat "
    "eighteen in the middle: multiply by N, not by p."
)
def without_counts(counts, w, background):
    _, p = _each(counts, background)
    return _run((p * np.log(p / background)).sum(axis=1), w)


@best_run.slip(
    "The background is missing: sums of N log p praise columns with few letters. What counts is the gain over the "
    "background, N log(p / b)."
)
def gain_over_nothing(counts, w, background):
    counts, p = _each(counts, background)
    return _run((counts * np.log(p)).sum(axis=1), w)


@best_run.slip("The place is counted from 1. In this notebook the first column of the table is 0.")
def counted_from_one(counts, w, background):
    counts, p = _each(counts, background)
    first, worth = _run((counts * np.log(p / background)).sum(axis=1), w)
    return first + 1, worth


@best_run.slip("This is where the best run ends. Say where it begins: w - 1 columns earlier.")
def where_it_ends(counts, w, background):
    counts, p = _each(counts, background)
    first, worth = _run((counts * np.log(p / background)).sum(axis=1), w)
    return first + w - 1, worth


@best_run.slip(
    "The best single column begins your run. It may well stand in the middle of the motif: compare the sums of w "
    "neighbours."
)
def from_the_best_column(counts, w, background):
    counts, p = _each(counts, background)
    each = (counts * np.log(p / background)).sum(axis=1)
    first = min(int(each.argmax()), len(each) - w)
    return first, each[first : first + w].sum() + each.max()


@best_run.slip(
    "Without the pseudo-letter a missing letter gives 0 times the logarithm of 0, which is nan, and elsewhere a few "
    "letters look surer than they are."
)
def no_pseudo_letter(counts, w, background):
    p = counts / counts.sum(axis=1, keepdims=True)
    return _run((counts * np.log(p / background)).sum(axis=1), w)


@best_run.also
def run_by_run(counts, w, background):
    counts, p = _each(np.asarray(counts, float), background)
    each = (counts * (np.log(p) - np.log(background))).sum(axis=1)
    sums = [sum(each[k : k + w]) for k in range(len(each) - w + 1)]
    return sums.index(max(sums)), max(sums)


# ---------------------------------------------------------------- 7
@exercise.function(
    returns={"pwm": "(w, 4)", "gain": "()"},
    story=r"""
        **The other strand.** A site may lie on either strand. On the other one it is read backwards with every letter
        replaced by its complement, so the matrix that finds it *as we read the sequence* is

        $$\theta^-_{ca} = \theta_{w-1-c,\; 3-a}.$$

        A label is now a place and a strand, $2m$ of them in each sequence, all equally likely at first. Do one whole
        iteration: the responsibilities of all labels (both strands of a sequence together sum to one), the gain

        $$\text{gain} = \sum_i \log \Bigl( \frac{1}{2m} \sum_j \bigl(e^{s^+_{ij}} + e^{s^-_{ij}}\bigr) \Bigr)$$

        at the matrix that was *given*, and the new matrix. Letters that were counted on the other strand are turned
        back before they are added: the counts are $N^+_{ca} + N^-_{w-1-c,\,3-a}$.
        """,
    hints=[
        "pwm[::-1, ::-1] is the matrix of the other strand: the first reverses the columns, the second swaps A with T "
        "and C with G.",
        "Put the scores of both strands side by side, shape (n, 2 m), and take one softmax of each row. The gain has "
        "- log(2 m).",
        "Count the letters of each half as in the M-step, without pseudo-letters: N_plus and N_minus. Then "
        "N_plus + N_minus[::-1, ::-1], pseudo-letters, and divide.",
    ],
    after="""
        Without the other strand EM does not fail. For the CTCF peaks of the chapter it made one matrix serve both
        directions, and reported a symmetric motif for a protein that has none.
        """,
)
def step_on_both_strands(X, pwm, background, pseudo):
    """One iteration of EM with one site in each sequence, on either strand.

    Parameters
    ----------
    X : array (n, L) of int
        Letters, 0 to 3.
    pwm : array (w, 4)
        The matrix before the iteration.
    background : array (4,)
        Probability of each letter elsewhere, the same on both strands or not.
    pseudo : float
        Pseudo-letters in each column.

    Returns
    -------
    pwm : array (w, 4)
        The matrix after the iteration.
    gain : float
        Gain over background of the matrix before it, in nats.
    """
    w = len(pwm)
    m = X.shape[1] - w + 1
    s = np.array([np.concatenate([log_odds(x, q, background) for q in (pwm, pwm[::-1, ::-1])]) for x in X])
    top = s.max(axis=1, keepdims=True)
    weights = np.exp(s - top)
    total = weights.sum(axis=1, keepdims=True)
    r = weights / total
    gain = (top + np.log(total) - np.log(2 * m)).sum()

    def counted(r):
        return np.array([[(r * (X[:, c : c + m] == a)).sum() for a in range(4)] for c in range(w)])

    counts = counted(r[:, :m]) + counted(r[:, m:])[::-1, ::-1] + pseudo * background
    return counts / counts.sum(axis=1, keepdims=True), gain


@step_on_both_strands.example
def _():
    X = _promoters()
    b = _frequencies(X)
    pwm, _ = _climbed(X, _start(X[4, 12:28]), b, 0.01, 30)
    return {"X": X, "pwm": pwm.round(4), "background": b, "pseudo": 0.01}


@step_on_both_strands.cases
def _(rng):
    def case(n, L, w, pseudo, b=None):
        return {**_given(rng, n, L, w, b, back=True), "pseudo": pseudo}

    mirror = case(6, 18, 4, 0.5)
    half = mirror["pwm"]
    mirror["pwm"] = (half + half[::-1, ::-1]) / 2
    return {
        "sites on both strands": case(10, 22, 5, 0.8),
        "an even background": case(8, 18, 4, 0.4, EVEN),
        "one sequence": case(1, 16, 4, 1.0),
        "a motif that is its own mirror image": mirror,
    }


step_on_both_strands.check("sites on both strands", points=3, on=("sites on both strands", "an even background"))
step_on_both_strands.check("one sequence", points=1, on="one sequence")
step_on_both_strands.check("a motif that is its own mirror image", points=1, on="a motif that is its own mirror image")


def _on_both(X, pwm, background, pseudo, turned=None, back=None, prior=2.0, together=True):
    m = X.shape[1] - len(pwm) + 1
    other = pwm[::-1, ::-1] if turned is None else turned(pwm)
    plus, minus = (_scored(_log(q / background), X) for q in (pwm, other))
    r, total = _softmax(np.concatenate([plus, minus], axis=1))
    if not together:
        r = np.concatenate([_softmax(plus)[0], _softmax(minus)[0]], axis=1)
    turn_back = (lambda N: N[::-1, ::-1]) if back is None else back
    counts = _counted(X, r[:, :m]) + turn_back(_counted(X, r[:, m:]))
    return _divided(counts, background, pseudo), (total - np.log(prior * m)).sum()


@step_on_both_strands.slip("The other strand is ignored: this is one iteration on the + strand alone.")
def one_strand(X, pwm, background, pseudo):
    r, gain = _expected(X, pwm, background)
    return _maximised(X, r, background, pseudo), gain


@step_on_both_strands.slip(
    "The matrix was reversed, but the letters were not complemented. On the other strand A is read as T and C as G: "
    "pwm[::-1, ::-1]."
)
def only_reversed(X, pwm, background, pseudo):
    return _on_both(X, pwm, background, pseudo, lambda q: q[::-1], lambda N: N[::-1])


@step_on_both_strands.slip(
    "The letters were complemented, but the columns were not reversed. The other strand is read in the other "
    "direction: pwm[::-1, ::-1]."
)
def only_complemented(X, pwm, background, pseudo):
    return _on_both(X, pwm, background, pseudo, lambda q: q[:, ::-1], lambda N: N[:, ::-1])


@step_on_both_strands.slip(
    "The letters of the other strand were counted as they stand in the sequence. Turn their counts back before you add "
    "them, or the motif drifts towards its mirror image."
)
def not_turned_back(X, pwm, background, pseudo):
    return _on_both(X, pwm, background, pseudo, back=lambda N: N)


@step_on_both_strands.slip(
    "Each strand got a softmax of its own, as if every sequence had two sites. Place and strand together are one "
    "label: one softmax over all 2m."
)
def two_sites(X, pwm, background, pseudo):
    return _on_both(X, pwm, background, pseudo, together=False)


@step_on_both_strands.slip(
    "The prior of the strand is missing from the gain. There are 2m labels, each with the probability 1 / (2m) before "
    "the data are seen."
)
def strand_for_nothing(X, pwm, background, pseudo):
    return _on_both(X, pwm, background, pseudo, prior=1.0)


@step_on_both_strands.also
def turned_sequences(X, pwm, background, pseudo):
    """The sequences are turned instead, with the background of the other strand."""
    turned = 3 - X[:, ::-1]
    plus = _scored(_log(pwm / background), X)
    minus = _scored(_log(pwm / background[::-1]), turned)
    r, total = _softmax(np.concatenate([plus, minus], axis=1))
    m = plus.shape[1]
    counts = _counted(X, r[:, :m]) + _counted(turned, r[:, m:])
    return _divided(counts, background, pseudo), (total - np.log(2 * m)).sum()
