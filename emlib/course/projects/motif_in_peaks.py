"""Project: one protein binds under all these peaks. Find what it reads, and where."""

import functools

import numpy as np

from ..contract import Posed
from ..open_ended import Project
from ..values import Seed

exercise = Project(
    "motif_in_peaks",
    title="Find the motif in ChIP-seq peaks",
    minutes=600,
    objectives=[
        "`find_motif(sequences, width, rng)`: the motif as a matrix of probabilities, and its site in every sequence "
        "that has one;",
        "a report of two pages in this notebook: what the protein reads under the 500 peaks of CTCF, how sure you are, "
        "and what the peaks without a site may mean.",
    ],
    intro="""
        CTCF holds loops of chromosomes together. In an experiment it was fixed to the DNA of living cells, fished out
        with an antibody, and the DNA that came along was read. The result is a list of places, each some two hundred
        letters wide. Somewhere in there the protein sat. The experiment does not say where, or what it recognised.

        Some of the places hold no site at all: other proteins hold CTCF fast there, or the antibody was wrong. So the
        question: **what does the protein read, in which peaks, and in which peaks is there nothing to be read?**
        """,
    setup="""
        import matplotlib.pyplot as plt

        # 500 peaks of 200 letters; A, C, G, T become 0, 1, 2, 3.
        peaks = emlib.data.ctcf_peaks()
        X = np.array([["ACGT".index(c) for c in s.upper()] for _, s in peaks])
        """,
    data=(
        (
            "How often is each letter found at each distance from the middle of the peaks? The middle is the place "
            "that the experiment names. If all proteins sat there, letter by letter, the motif would stand in this "
            "picture.",
            """
            fig, ax = plt.subplots(figsize=(6.4, 3))
            for code, letter in enumerate("ACGT"):
                share = np.convolve(np.equal(X, code).mean(axis=0), np.ones(9) / 9, "valid")
                ax.plot(np.arange(-96, 96), share, label=letter)
            ax.set(xlabel="distance from the middle of the peak", ylabel="share", ylim=0)
            ax.legend(ncols=4, loc="lower center")
            plt.show()
            """,
            "Shares of the four letters along the peaks, smoothed: C and G rise towards the middle, C highest some ten "
            "letters before it and G some ten letters after it; A and T fall.",
        ),
        (
            "Sites lie near the middle, then, and hold many C and G; but they are smeared over some fifty letters, and "
            "half of them are read on the other strand. Words that are common here and rare in a shuffle of the same "
            "letters are a first trace. Count them on both strands.",
            """
            def words(X, k):
                letters = np.lib.stride_tricks.sliding_window_view(X, k, axis=1)
                codes = [z @ 4 ** np.arange(k) for z in (letters, 3 - letters[..., ::-1])]
                seen = np.zeros((len(X), 4**k), bool)
                for code in codes:
                    seen[np.arange(len(X))[:, None], code] = True
                return seen.sum(axis=0)


            shuffled = np.random.default_rng(0).permuted(X, axis=1)
            real, chance = words(X, 6), words(shuffled, 6)
            best = np.argsort(chance - real, kind="stable")[::2][:5]
            for code in best:
                word = "".join("ACGT"[code // 4**i % 4] for i in range(6))
                print(f"{word}: in {real[code]} peaks, {chance[code]} shuffled ones")
            """,
            "",
        ),
    ),
    milestones=[
        "**A look by eye.** Align the peaks that hold the word of six letters that stands out most, count letters "
        "around it, and look where each peak fits these counts best. That is the baseline, whose level earns half the "
        "points.",
        "**Data of your own.** Plant a matrix into random letters, on both strands, in four sequences of five. Your "
        "function must find it before you trust it with anything else.",
        "**EM.** A hidden place and a hidden strand in every sequence, and perhaps no site at all: chapter 10 has the "
        "model, its exercise the steps.",
        "**Starts.** Every word of the data is a start; a few steps from each tell which are worth a climb.",
        "**The shift trap.** Is the motif complete, or two columns short on one side and two too long on the other? "
        "Try its neighbours.",
        "**A control.** Shuffle the letters of each peak and search again. What is the best motif of nothing worth?",
        "*Stretch.* Find the width as well. Look for a second motif in the peaks that have no site. Does a background "
        "that knows pairs of letters (CG is rare in our genome) change the result?",
    ],
    fails=[
        "Reading one strand. Half of the sites are lost, and the rest is called the motif.",
        "Reporting the start of a site on the reversed sequence as if it were one on the sequence as given.",
        "Trusting the gain of the best start. Thousands were tried; the best of nothing is not nothing.",
        "Zeros in the matrix: one letter never seen makes a site impossible for ever.",
        "Knowing the answer. CTCF's motif is in every textbook; in the hidden sequences its columns stand in another "
        "order, and their letters are renamed.",
    ],
    here={
        "question": "What do you count as a site, and what would a peak without one tell?",
        "method": "One site in each sequence, or perhaps none? Which background, which starts, how is the shift "
        "treated?",
        "checks": "Planted motifs of known strength; shuffled peaks; halves of the data that must agree.",
        "limits": "Columns are independent in the model; the protein has eleven zinc fingers and need not use all of "
        "them everywhere; peaks are not a random sample of the genome.",
    },
    outro="""
        `emlib.MotifFinder` finds the width too, and an E-value; `emlib.data.jaspar_matrices()["MA0139.1"]` is what
        others have found for CTCF. Compare at the very end, and say by how many columns you differ.
        """,
)


# ---------------------------------------------------------------- sequences whose sites are known
def _columns(rng, width):
    """A motif: most columns prefer one letter clearly, some hardly."""
    sharp = 0.95 * rng.beta(2.5, 1.2, size=(width, 1))
    mixed = rng.dirichlet(np.full(4, 2.0), size=width)
    return sharp * np.eye(4)[rng.integers(4, size=width)] + (1 - sharp) * mixed


def _sites_of(rng, n, pwm):
    """Sites drawn from a motif, (n, w)."""
    return (pwm.cumsum(axis=1) < rng.random((n, len(pwm), 1))).sum(axis=2).clip(0, 3)


def _planted(rng, letters, sites, some):
    """Sites put among letters, (n, length - w), at random places on either strand; letters drawn where there are none.

    Returns sequences (n, length), starts and strands; -1 and 0 where `some` is false.
    """
    (n, rest), w = letters.shape, sites.shape[1]
    starts, strands = rng.integers(rest + 1, size=n).astype(np.intp), rng.integers(2, size=n)
    sites = np.where(strands[:, None] == 1, 3 - sites[:, ::-1], sites)
    sites = np.where(some[:, None], sites, rng.permuted(letters, axis=1)[:, :w])
    X = np.array([np.insert(row, [at] * w, site) for row, at, site in zip(letters, starts, sites, strict=True)])
    return X, np.where(some, starts, -1), np.where(some, strands, 0)


def _drawn(rng, n=60, unseen=300, length=100):
    """A matrix planted into random letters; no site in one sequence of five."""
    width = int(rng.integers(12, 17))
    pwm = _columns(rng, width)
    letters = rng.choice(4, size=(n + unseen, length - width))
    some = np.append(rng.random(n) >= 0.2, np.ones(unseen, bool))
    return _asked(rng, *_planted(rng, letters, _sites_of(rng, n + unseen, pwm), some), width, n)


SURE = 9 * np.log(2)  # nats above background, 9 bits


@functools.cache
def _known_sites():
    """Of each peak the best window by JASPAR's matrix (n, w), read as that; all other letters; and if it is a site."""
    from ... import data

    counts = data.jaspar_matrices()["MA0139.1"] + 0.25
    pwm = counts / counts.sum(axis=1, keepdims=True)
    whole = np.array([["ACGT".index(c) for c in s.upper()] for _, s in data.ctcf_peaks()])
    scores = _scores(whole, pwm, np.bincount(whole.ravel(), minlength=4) / whole.size).reshape(len(whole), -1)
    at, strand = np.divmod(scores.argmax(axis=1), 2)
    place = at[:, None] + np.arange(len(pwm))
    sites = np.take_along_axis(whole, place, axis=1)
    others = np.array([np.delete(row, gone) for row, gone in zip(whole, place, strict=True)])
    return np.where(strand[:, None] == 1, 3 - sites[:, ::-1], sites), others, scores.max(axis=1) > SURE


def _peaks(rng, n=60, length=100):
    """Peaks of CTCF whose motif nobody can know.

    The sites are those that the protein has chosen, letter by letter, with all that no matrix says of them. Only, the
    columns are dealt anew and the letters of each are renamed, alike in all peaks. Around a site lie the letters of its
    peak, shuffled: where they stand would tell which peak it is. A peak without a sure site has none.
    """
    sites, others, sure = _known_sites()
    w = sites.shape[1]
    names = rng.permuted(np.tile(np.arange(4), (w, 1)), axis=1)
    dealt = names[np.arange(w), sites[:, rng.permutation(w)]]
    order = rng.permutation(len(sites))
    order = np.append(order[:n], order[n:][sure[order[n:]]])
    letters = rng.permuted(others, axis=1)[:, : length - w]
    return _asked(rng, *_planted(rng, letters[order], dealt[order], sure[order]), w, n)


def _asked(rng, X, starts, strands, width, n):
    """The first `n` are asked about; the others are for the judge."""
    return Posed(
        {"sequences": X[:n], "width": width, "rng": Seed(int(rng.integers(2**31)))},
        {"starts": starts[:n], "strands": strands[:n], "unseen": X[n:]},
    )


# ---------------------------------------------------------------- measures
def _scores(X, pwm, background):
    """Log-odds of every window on both strands, (n, m, 2)."""
    w = len(pwm)
    windows = np.lib.stride_tricks.sliding_window_view(X, w, axis=1)
    table = np.log(pwm / background)
    return np.stack([t[np.arange(w), windows].sum(axis=-1) for t in (table, table[::-1, ::-1])], axis=-1)


def _overlap(parts, posed):
    """Letters of sites that both name, on the same strand, of those that either names.

    Which direction of the motif is the first is nobody's to say, so all strands may be turned at once.
    """
    w, truth, mine = posed.inputs["width"], posed.truth["starts"], parts["starts"]
    shared = np.where((truth >= 0) & (mine >= 0), (w - np.abs(truth - mine)).clip(0), 0)
    same = parts["strands"] == posed.truth["strands"]
    both = max(shared[same].sum(), shared[~same].sum())
    return both / (w * (truth >= 0).sum() + w * (mine >= 0).sum() - both)


def _unseen_bits(parts, posed):
    """What the matrix gains on sequences that it has not seen, bits for each: a site anywhere, on either strand."""
    X = posed.truth["unseen"]
    background = np.bincount(X.ravel(), minlength=4) / X.size
    pwm = 0.98 * parts["pwm"] / parts["pwm"].sum(axis=1, keepdims=True) + 0.005
    scores = _scores(X, pwm, background).reshape(len(X), -1)
    top = scores.max(axis=1)
    return float((top + np.log(np.exp(scores - top[:, None]).mean(axis=1))).mean() / np.log(2))


def _is_a_motif(parts, inputs):
    length = inputs["sequences"].shape[1]
    w = inputs["width"]
    if (parts["pwm"] < 0).any() or np.abs(parts["pwm"].sum(axis=1) - 1).max() > 1e-6:
        return "pwm: the probabilities of each column (a row of the array) should be at least 0 and sum to one"
    if not np.isin(parts["starts"], np.arange(-1, length - w + 1)).all():
        return "starts should be whole numbers: the first letter of a site that lies within the sequence, or -1"
    if not np.isin(parts["strands"], (0, 1)).all():
        return "strands should be 0 for a site read as given and 1 for one read on the other strand"
    return None


# ---------------------------------------------------------------- baseline
def counted(sequences, starts, strands, width):
    """The motif of the sites that begin there (-1: none), each read on its strand."""
    counts = np.full((width, 4), 0.5)
    for sequence, start, strand in zip(sequences, starts, strands, strict=True):
        if start >= 0:
            site = sequence[start : start + width]
            counts[np.arange(width), 3 - site[::-1] if strand else site] += 1
    return counts / counts.sum(axis=1, keepdims=True)


def commonest_word(sequences, width, rng):
    """Align by the word of six letters that stands out most, count, and take the best window of each sequence."""
    (n, length), k = sequences.shape, 6
    letters = np.lib.stride_tricks.sliding_window_view(sequences, k, axis=1)
    codes = np.stack([letters @ 4 ** np.arange(k), (3 - letters[..., ::-1]) @ 4 ** np.arange(k)])
    seen = np.zeros((n, 4**k), bool)
    for code in codes:
        seen[np.arange(n)[:, None], code] = True
    # How many would hold it by chance, on either strand, if letters came one by one.
    share = np.bincount(np.append(sequences, 3 - sequences), minlength=4) / (2 * sequences.size)
    once = share[np.arange(4**k)[:, None] // 4 ** np.arange(k) % 4].prod(axis=1)
    chance = n * (1 - np.exp(-2 * letters.shape[1] * once))
    word, before = (seen.sum(axis=0) - chance).argmax(), (width - k) // 2
    starts, strands = np.full(n, -1), np.zeros(n, int)
    for strand, i, j in np.argwhere(codes == word):
        start = j - (before if strand == 0 else width - k - before)
        if starts[i] < 0 and 0 <= start <= length - width:
            starts[i], strands[i] = start, strand
    table = np.log(counted(sequences, starts, strands, width))
    windows = np.lib.stride_tricks.sliding_window_view(sequences, width, axis=1)
    scores = np.stack([one[np.arange(width), windows].sum(axis=-1) for one in (table, table[::-1, ::-1])], axis=-1)
    starts, strands = np.divmod(scores.reshape(n, -1).argmax(axis=1), 2)
    return counted(sequences, starts, strands, width), starts, strands


# ---------------------------------------------------------------- reference
def posterior(windows, n, pwms, background, share):
    """P(site at window j on strand s) of each motif, (n, m, 2, runs), and the log-likelihoods."""
    tables = np.concatenate([np.log(pwms / background), np.log(pwms[:, ::-1, ::-1] / background)])
    scores = (windows @ tables.reshape(len(tables), -1).T).reshape(n, -1, 2, len(pwms))
    top = scores.max(axis=(1, 2)).clip(0)
    sites = np.exp(scores - top[:, None, None]) * share / (2 * scores.shape[1])
    total = sites.sum(axis=(1, 2)) + (1 - share) * np.exp(-top)
    return sites / total[:, None, None], (np.log(total) + top).sum(axis=0)


def climb(sequences, pwms, background, steps):
    """EM from several motifs at once: at most one site in each sequence, on either strand."""
    n, (runs, width, _) = len(sequences), pwms.shape
    letters = np.lib.stride_tricks.sliding_window_view(sequences, width, axis=1)
    windows, share = np.eye(4)[letters].reshape(-1, 4 * width), np.full(runs, 0.5)
    for _ in range(steps):
        r, gain = posterior(windows, n, pwms, background, share)
        share = r.mean(axis=0).sum(axis=(0, 1)).clip(0.05, 0.98)
        counts = (r.reshape(-1, 2 * runs).T @ windows).reshape(2, runs, width, 4)
        counts = counts[0] + counts[1][:, ::-1, ::-1] + background
        pwms = counts / counts.sum(axis=-1, keepdims=True)
    return pwms, gain, r


def shifted(pwm, by, background):
    """The motif moved along the sequence, background where nothing is known yet."""
    fresh = np.tile(background, (len(pwm), 1))
    if by >= 0:
        fresh[: len(pwm) - by] = pwm[by:]
    else:
        fresh[-by:] = pwm[:by]
    return fresh


@exercise.problem(
    returns={"pwm": "(w, 4)", "starts": "(n,)", "strands": "(n,)"},
    sizes=lambda inputs: {"n": len(inputs["sequences"]), "w": inputs["width"]},
    baseline=commonest_word,
    law=_is_a_motif,
    using=(counted, commonest_word, posterior, climb, shifted),
    story="""
        **Find the motif of a given width, and its sites.** Your function is tried on three sets of 60 sequences of 100
        letters. In two of them a matrix of 12 to 16 columns was planted at random places, on either strand, in about
        four sequences of five. The third holds real sites: those of CTCF, 19 letters each, among the shuffled letters
        of their peaks. The columns of all these sites were put into another order and the letters of each column
        renamed, so that nobody gains by knowing the motif.

        Two things are measured. *Sites*: of all letters that you or the truth call part of a site, the share that both
        do, on the same strand; which of the two directions of the motif is the first is for you to say. *Matrix*: its
        log-likelihood on hundreds of sequences which your function never saw, in bits a sequence above background (2 %
        of an even column are mixed in first). A peak of CTCF counts as one with a site where JASPAR's matrix gains 9
        bits, as it does in nine of ten; of the others all letters are shuffled.

        Half of the points are for the level of the baseline (align by the word of six letters that stands out most,
        count, take the best window of each sequence), or for a third of what the reference reaches, if that is more.
        All are for the level of our reference: EM for at most one site on either strand, from 100 words, six of which
        climb on in seven shifts each. A call may take 30 seconds; the reference takes about half a second.
        """,
    hints=[
        "Letters as rows of np.eye(4): all windows are one table (n m, 4 w), and scoring them with a matrix is one "
        "product. Several motifs at once are several columns of it.",
        "The other strand is the matrix turned round: pwm[::-1, ::-1] scores the same window as the motif on the other "
        "strand. Its counts have to be turned back before they are added.",
        "Start from words of the data (half a word, half background), take few steps from each, and go on with the "
        "best only. Then try each of them moved by one to three columns.",
    ],
    after="""
        The first two functions are the baseline. In the reference everything is done for many motifs at once: a start
        costs a column of one matrix product, so a hundred starts cost little. Without `shifted` some matrices would end
        a few columns off, at a likelihood that no single step improves.
        """,
)
def find_motif(sequences, width, rng):
    """The motif that most sequences share, and where it is.

    Parameters
    ----------
    sequences : array (n, L) of int
        Letters A, C, G, T as 0, 1, 2, 3: the complement of a letter is 3 minus it.
    width : int
        Columns w of the motif.
    rng : numpy.random.Generator
        For everything that is drawn.

    Returns
    -------
    pwm : array (w, 4)
        Probability of each letter in each column. Either of the two directions is right.
    starts : array (n,) of int
        Where the site of each sequence begins, from 0, in the sequence as given; -1 if it has none.
    strands : array (n,) of int
        0 if the site reads as `pwm` in the sequence as given, 1 if it does on the other strand (0 if there is none).
    """
    n, length = sequences.shape
    background = np.bincount(sequences.ravel(), minlength=4) + 1.0
    background = (background + background[::-1]) / (2 * background.sum())
    rows, columns = rng.integers(n, size=100), rng.integers(length - width + 1, size=100)
    words = sequences[rows[:, None], columns[:, None] + np.arange(width)]
    pwms, gain, _ = climb(sequences, 0.5 * np.eye(4)[words] + 0.5 * background, background, 6)
    # A motif and its mirror image gain the same but for rounding, which must not decide.
    best = pwms[np.argsort(-gain.round(6), kind="stable")[:6]]
    starts = np.array([shifted(pwm, by, background) for pwm in best for by in range(-3, 4)])
    pwms, gain, r = climb(sequences, starts, background, 20)
    winner = gain.round(6).argmax()
    at = r[..., winner].reshape(n, -1)
    found = at.sum(axis=1) >= 0.5
    place, strand = np.divmod(at.argmax(axis=1), 2)
    return pwms[winner], np.where(found, place, -1), np.where(found, strand, 0)


@find_motif.cases
def _(rng):
    return {"planted": _drawn(rng), "planted again": _drawn(rng), "peaks of CTCF": _peaks(rng)}


PLANTED = ("planted", "planted again")
SITES = "{:.2f} of the letters of sites shared"
BITS = "{:.2f} bits a sequence on unseen ones"


def _none(posed):
    """What nobody needs to know anything for."""
    return 0.0


find_motif.measure("sites that were planted", points=6, on=PLANTED, says=SITES, least=0.2, nothing=_none)(_overlap)
find_motif.measure("their matrix, on unseen sequences", points=4, on=PLANTED, says=BITS, least=0.5, nothing=_none)(
    _unseen_bits
)
find_motif.measure("sites of CTCF", points=6, on="peaks of CTCF", says=SITES, least=0.2, nothing=_none)(_overlap)
find_motif.measure(
    "the matrix of CTCF, on unseen peaks", points=4, on="peaks of CTCF", says=BITS, least=0.5, nothing=_none
)(_unseen_bits)


# ---------------------------------------------------------------- slips
def _agrees(parts, posed, starts, strands):
    """Share of these places at which the answer's own matrix gains clearly."""
    X, w = posed.inputs["sequences"], posed.inputs["width"]
    scores = _scores(X, 0.98 * parts["pwm"] + 0.005, np.full(4, 0.25))
    some = (parts["starts"] >= 0) & (starts >= 0) & (starts <= X.shape[1] - w)
    if some.sum() < 5:
        return 0.0
    return float((scores[some, starts[some], strands[some]] > 3).mean())


def _counted_back(parts, posed):
    at, strands = parts["starts"].astype(int), parts["strands"].astype(int)
    length = posed.inputs["sequences"].shape[1]
    other = np.where((strands == 1) & (at >= 0), length - posed.inputs["width"] - at, -1)
    as_given = np.where(strands == 1, at, -1)
    return _agrees(parts, posed, other, strands) > 0.7 > 0.3 > _agrees(parts, posed, as_given, strands)


@find_motif.known_by(
    "On the other strand your places are counted from the other end. The start of a site is its first letter in the "
    "sequence as given: L - w minus the place on the reversed sequence.",
    _counted_back,
)
def counted_on_the_reverse(sequences, width, rng):
    pwm, starts, strands = find_motif(sequences, width, rng)
    return pwm, np.where(strands == 1, sequences.shape[1] - width - starts, starts), strands


@find_motif.known_by(
    "All your sites are on the strand as given. The protein reads either strand, so half of its sites stand in the "
    "sequences turned round: score each window with pwm[::-1, ::-1] too.",
    lambda parts, posed: bool((parts["strands"] == 0).all() and (parts["starts"] >= 0).any()),
)
def one_strand(sequences, width, rng):
    background = np.full(4, 0.25)
    letters = np.lib.stride_tricks.sliding_window_view(sequences, width, axis=1)
    flat = letters.reshape(-1, width)
    best = (-np.inf, None, None)
    for word in flat[rng.integers(len(flat), size=40)]:
        pwm = 0.5 * np.eye(4)[word] + 0.5 * background
        for _ in range(12):
            scores = np.log(pwm / background)[np.arange(width), letters].sum(axis=-1)
            e = np.exp(scores - scores.max(axis=1, keepdims=True))
            r = e / e.sum(axis=1, keepdims=True)
            counts = np.stack([(r[..., None] * (letters == c)).sum(axis=(0, 1)) for c in range(4)], axis=1)
            pwm = (counts + background) / (counts + background).sum(axis=1, keepdims=True)
        gain = (np.log(e.sum(axis=1)) + scores.max(axis=1)).sum()
        if gain > best[0]:
            best = gain, pwm, scores.argmax(axis=1)
    return best[1], best[2], np.zeros(len(sequences), int)
