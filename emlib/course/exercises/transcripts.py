"""Exercise of the chapter on transcripts: classes, effective lengths, both steps, TPM, and what nobody can tell."""

import functools

import numpy as np

from ..compare import close
from ..contract import Exercise

exercise = Exercise(
    "transcripts",
    title="Which transcript did this read come from?",
    minutes=90,
    part="applications",
    objectives=[
        "turn fragments that fit several transcripts into equivalence classes;",
        "compute effective lengths from the lengths of fragments, and use them where they belong;",
        "share the fragments of a class out (E), add them up (M), and report the log-likelihood of what you return;",
        "turn counts of fragments into transcripts per million, in the right order;",
        "find the transcripts that no number of fragments can tell apart.",
    ],
    intro="""
        A sequencer reads short pieces of RNA, and many of them fit more than one transcript. The chapter counted three
        transcripts of the gene UGT3A2 in this way. Here you write the whole count, in seven functions: from a table of
        what fits what to transcripts per million, and to a warning where the answer is not in the data.

        Transcripts are columns, numbered from 0; a class is a row. `classes` (C, T) holds 1 where a transcript belongs
        to the class and 0 elsewhere, `counts` (C,) the fragments of each class. `lengths` (T,) are *effective* lengths
        from the third function on, and `shares` (T,) is the $w$ of the chapter: the part of all fragments that each
        transcript contributes.
        """,
    setup="""
        # The gene UGT3A2 with its transcripts A, B and C: 1,763 fragments in six classes, as in the chapter.
        classes = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1], [1, 1, 1]])
        counts = np.array([13, 319, 484, 9, 170, 768])  # A, B, A+B, C, B+C, A+B+C
        lengths = np.array([1746.8, 2177.8, 1298.8])  # effective
        """,
    outro="""
        How sure are the counts of A, B and C? Draw the fragments again, `rng.multinomial(1763, counts / 1763)` with
        `rng = np.random.default_rng(0)`, run `quantify` on the new counts, and repeat it sixty times. The standard
        deviations come out near 23, 28 and 19 fragments. There are two transcripts whose *sum* is surer than either of
        them. Which two, and why?

        And how far from the summit did you stop? An EM step multiplies each share by some $g_t$. The chapter proves
        that at most $n \\log \\max_t g_t$ nats are missing. Print it for every step of `path`, beside what was really
        missing in the end.
        """,
)

GENE = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1], [1, 1, 1]])
FRAGMENTS = np.array([13, 319, 484, 9, 170, 768])
EFFECTIVE = np.array([1746.8, 2177.8, 1298.8])
TOY = np.array([[1, 0], [0, 1], [1, 1]])

# A log-likelihood of -15,000 is not right if it is off by 0.1, though that is one part in a hundred thousand.
FINE = close(relative=1e-6)


# ---------------------------------------------------------------- inputs
@functools.cache
def _aligned():
    """The real fragments: who fits UGT3A2 and what, in the order in which they were read; and all fragment lengths."""
    from ... import data
    from ...models.transcripts import pseudoalign

    rna = data.hox_ugt()
    found = pseudoalign(rna.transcripts, rna.reads, rna.mates)
    fits = (found.classes.matrix.toarray() > 0)[found.class_of[found.class_of >= 0]]
    ours = fits[:, :3].any(axis=1)
    return fits[ours, :3].astype(int), found.fragment_lengths.counts.astype(int)


def _shares(rng, T):
    """Nothing close to zero, no two alike."""
    shares = 0.2 / T + 0.8 * rng.dirichlet(np.linspace(1.0, 3.0, T))
    return shares / shares.sum()


def _lengths(rng, T):
    """Effective lengths that differ by a lot."""
    return rng.permutation(np.linspace(300.0, 3000.0, T) + rng.uniform(-80, 80, T)) if T > 1 else np.array([812.5])


def _classes(rng, T, C):
    """C different classes; the first is that of all transcripts, so that all are linked."""
    codes = 1 + rng.permutation(2**T - 2)[: C - 1]
    rows = np.vstack([np.ones((1, T), int), codes[:, None] >> np.arange(T) & 1])
    return rng.permutation(rows)


def _gene(rng, T, C, n=600):
    classes, lengths, truth = _classes(rng, T, C), _lengths(rng, T), _shares(rng, T)
    chances = classes @ (truth / lengths) * rng.uniform(0.5, 1.5, C)
    counts = 1 + rng.multinomial(n, chances / chances.sum())
    return {"shares": _shares(rng, T), "classes": classes, "counts": counts, "lengths": lengths}


def _ugt(rng):
    """The gene of the chapter, with other numbers."""
    chances = GENE @ (_shares(rng, 3) / EFFECTIVE) * rng.uniform(0.5, 1.5, 6)
    counts = 1 + rng.multinomial(1500, chances / chances.sum())
    return {"shares": _shares(rng, 3), "classes": GENE, "counts": counts, "lengths": EFFECTIVE.copy()}


def _histogram(rng, shortest, longest):
    """Fragments by length: some of every length between the two, none of any other."""
    fragments = np.zeros(longest + 1, int)
    fragments[shortest:] = rng.integers(1, 30, longest + 1 - shortest)
    return fragments


def _bits(codes, T):
    return np.asarray(codes)[:, None] >> np.arange(T) & 1


# ---------------------------------------------------------------- the steps, as the slips vary them
def _split(shares, classes, lengths):
    """Responsibilities (C, T); zeros where a class cannot be."""
    joint = np.asarray(classes) * np.asarray(shares) / lengths
    whole = joint.sum(axis=1, keepdims=True)
    return np.divide(joint, whole, out=np.zeros(joint.shape), where=whole > 0)


def _decided(shares, classes, lengths):
    """Every class goes wholly to its likeliest member."""
    joint = np.asarray(classes) * np.asarray(shares) / lengths
    return (np.arange(joint.shape[1]) == joint.argmax(axis=1)[:, None]) * (joint.sum(axis=1, keepdims=True) > 0.0)


def _even(shares, classes, lengths):
    return classes / np.sum(classes, axis=1, keepdims=True)


def _as_long(shares, classes, lengths):
    return _split(shares, classes, np.ones(len(lengths)))


def _value(shares, classes, counts, lengths):
    whole = np.asarray(classes) @ (np.asarray(shares) / lengths)
    seen = np.asarray(counts) > 0
    with np.errstate(divide="ignore"):
        return float((np.asarray(counts)[seen] * np.log(whole[seen])).sum())


def _climb(classes, counts, lengths, n_iter, split=_split, start=None, credit=None):
    """The shares of every step, from equal ones on; `credit` turns expected counts into what is made shares of."""
    T = classes.shape[1]
    path = [np.full(T, 1 / T) if start is None else start]
    for _ in range(n_iter):
        N = counts @ split(path[-1], classes, lengths)
        N = N if credit is None else credit(N)
        path.append(N / N.sum())
    return np.array(path)


def _values(path, classes, counts, lengths):
    return np.array([_value(shares, classes, counts, lengths) for shares in path])


# ---------------------------------------------------------------- 1
@exercise.function(
    returns={"classes": "(C, T)", "counts": "(C,)"},
    story="""
        **Fragments that look alike.** Each row of `fits` (n, T) is a fragment, with 1 for every transcript that it fits
        and 0 for the others. Fragments with the same row are witnesses who say the same. They make a *class*, and all
        that matters about them is how many they are.

        Return the classes that occur, each once, and their counts. Fragments that fit no transcript at all are left
        out. To agree on an order, read a row as a number, with 1 for transcript 0, 2 for transcript 1, 4 for transcript
        2, 8, 16 and so on, and sort by it: A, B, A+B, C, A+C, B+C, A+B+C.

        The example has the fragments of UGT3A2 in the order in which they were read. Their 1,763 rows become the six
        of the chapter.
        """,
    hints=[
        "One number for each fragment is easier to count than a row: fits @ 2 ** np.arange(T).",
        "np.unique(codes, return_counts=True) sorts the numbers and counts them. Drop the zeros first.",
        "From numbers back to rows: codes[:, None] >> np.arange(T) & 1.",
    ],
    after="""
        From here on a step of EM costs the same for nine fragments in a class as for nine million. What was thrown away
        is the order of the fragments, and *where* within the shared stretches they lie. The second is information, as
        the end of the chapter shows.
        """,
)
def equivalence_classes(fits):
    """Count fragments that fit the same transcripts.

    Parameters
    ----------
    fits : array (n, T) of int
        1 where a fragment fits a transcript, 0 where not. T is at most 20, and some fragment fits something.

    Returns
    -------
    classes : array (C, T) of int
        The different rows, except that of zeros, in the order of their binary numbers (transcript 0 counts 1).
    counts : array (C,) of int
        Fragments of each class.
    """
    fits = np.asarray(fits).astype(int)
    T = fits.shape[1]
    codes = fits @ 2 ** np.arange(T)
    codes, counts = np.unique(codes[codes > 0], return_counts=True)
    return codes[:, None] >> np.arange(T) & 1, counts


@equivalence_classes.example
def _():
    return {"fits": _aligned()[0]}


@equivalence_classes.cases
def _(rng):
    def drawn(codes, T, n):
        """At least two of each, in any order."""
        return _bits(rng.permutation(np.concatenate([codes, codes, rng.choice(codes, n)])), T)

    return {
        "three transcripts": {"fits": drawn(np.array([1, 2, 3, 4, 6, 7]), 3, 60)},
        "nine transcripts": {"fits": drawn(1 + rng.permutation(2**9 - 1)[:12], 9, 80)},
        "some fit nobody": {"fits": drawn(np.array([0, 1, 3, 6, 8, 12]), 4, 40)},
        "one transcript": {"fits": drawn(np.array([0, 1]), 1, 9)},
        "all look alike": {"fits": drawn(np.array([5]), 3, 7)},
    }


equivalence_classes.check("three transcripts and nine", points=2, on=("three transcripts", "nine transcripts"))
equivalence_classes.check(
    "fragments that fit nobody, or all the same", points=2, on=("some fit nobody", "one transcript", "all look alike")
)


@equivalence_classes.slip(
    "The fragments that fit nobody are there as a class of zeros. Nobody on the list can have shed them; the count is "
    "about the others."
)
def nobody_is_a_class(fits):
    codes, counts = np.unique(fits @ 2 ** np.arange(fits.shape[1]), return_counts=True)
    return _bits(codes, fits.shape[1]), counts


@equivalence_classes.slip(
    "A fragment of a class was counted once for each transcript that it fits. It is one fragment, and came from one of "
    "them: count rows, not ones."
)
def once_for_each_transcript(fits):
    classes, counts = equivalence_classes(fits)
    return classes, counts * classes.sum(axis=1)


@equivalence_classes.slip(
    "Only fragments that fit a single transcript were kept. The shared ones are most of the evidence; each set of "
    "transcripts is a class, not only each transcript."
)
def unique_only(fits):
    classes, counts = equivalence_classes(fits)
    alone = classes.sum(axis=1) == 1
    return classes[alone], counts[alone]


@equivalence_classes.slip(
    "The classes are right, but sorted from the other side: np.unique(fits, axis=0) looks at transcript 0 first. Here "
    "transcript 0 is the smallest digit, worth 1, and the last transcript decides first."
)
def sorted_from_the_left(fits):
    return np.unique(fits[fits.any(axis=1)], axis=0, return_counts=True)


@equivalence_classes.slip(
    "The classes are in the order in which they first occur. Sort them by their binary numbers, or nobody can compare "
    "two experiments."
)
def as_they_came(fits):
    kept = fits[fits.any(axis=1)].tolist()
    rows = list(dict.fromkeys(map(tuple, kept)))
    return np.array(rows), np.array([kept.count(list(row)) for row in rows])


@equivalence_classes.slip(
    "Nothing was merged: every fragment is still a class of its own. Fragments with equal rows belong together."
)
def each_alone(fits):
    kept = fits[fits.any(axis=1)]
    return kept, np.ones(len(kept), int)


@equivalence_classes.slip(
    "Each class was counted once, however many fragments it has. Return how often its row occurs."
)
def counts_of_one(fits):
    classes, counts = equivalence_classes(fits)
    return classes, np.ones(len(counts), int)


@equivalence_classes.also
def with_a_dictionary(fits):
    seen = {}
    for row in np.asarray(fits).tolist():
        if any(row):
            seen[tuple(row)] = seen.get(tuple(row), 0) + 1
    rows = sorted(seen, key=lambda row: row[::-1])
    return [list(row) for row in rows], [seen[row] for row in rows]


@equivalence_classes.also
def columns_turned(fits):
    fits = np.asarray(fits)
    classes, counts = np.unique(fits[fits.sum(axis=1) > 0][:, ::-1], axis=0, return_counts=True)
    return classes[:, ::-1], counts


# ---------------------------------------------------------------- 2
@exercise.function(
    returns={"effective": "(T,)"},
    story="""
        **Where can a fragment begin?** One of $l$ letters can begin at $L - l + 1$ places of a transcript with $L$
        letters. Fragments differ in length, and those of this transcript are at most as long as it is. On average over
        *them*, it offers

        $$\\tilde L_t = L_t + 1 - \\mathbb{E}[\\,l \\mid l \\le L_t\\,]$$

        places. `fragments` says how many fragments were seen of each length: `fragments[l]` had $l$ letters, beginning
        with $l = 0$. A transcript that is shorter than every fragment seen gets its own length, as kallisto does it;
        then no harm is done by dividing.

        The example has the 6,884 fragments of the chapter whose length could be seen. A with its 1,924 letters has
        1,746.8 places. Two short transcripts stand beside A, B and C: one of 150 letters, and one of 60, shorter than
        any fragment.
        """,
    hints=[
        "For one transcript: take the fragments of 0 to L letters, fragments[: L + 1], and their mean length.",
        "The mean is (fragments[: L + 1] * np.arange(...)).sum() / fragments[: L + 1].sum(), where L may lie beyond "
        "the end of the array. What if the sum below the line is 0?",
        "For each L: some = fragments[: L + 1]; n = some.sum(); L + 1 - some @ np.arange(len(some)) / n, or L where n "
        "is 0.",
    ],
    after="""
        Long transcripts lose about the mean length of a fragment, and for them the mean of all would do. It is the
        short ones where it matters. 150 less 178 is no number of places; the fragments that a transcript of 150
        letters can shed are short ones. The mean of what is possible is never longer than the transcript, so the result
        is never below 1.
        """,
)
def effective_lengths(lengths, fragments):
    """How many places a fragment can begin at, on average.

    Parameters
    ----------
    lengths : array (T,) of int
        Letters of each transcript, at least 1.
    fragments : array (F,) of int
        `fragments[l]` fragments have l letters, for l from 0 to F - 1.

    Returns
    -------
    effective : array (T,)
        `L + 1 - E[l | l <= L]`; L itself where no fragment is as short as that.
    """
    effective = []
    for L in np.asarray(lengths):
        possible = np.asarray(fragments)[: L + 1]
        n = possible.sum()
        effective.append(L + 1 - possible @ np.arange(len(possible)) / n if n > 0 else L)
    return np.array(effective, dtype=float)


@effective_lengths.example
def _():
    return {"lengths": np.array([1924, 2355, 1476, 150, 60]), "fragments": _aligned()[1]}


@effective_lengths.draws(
    """A histogram of 6,884 fragments by length, with one peak near 180 letters and little beyond 230. A line marks a
    transcript of 150 letters: the small part of the histogram to its left is coloured, and its mean is near 127."""
)
def _possible(ax, answer, lengths, fragments):
    from ...view import style

    letters = np.arange(len(fragments))
    L, places = int(lengths[3]), float(np.asarray(answer)[3])
    ax.fill_between(letters, fragments, color="0.85", lw=0)
    ax.fill_between(letters[: L + 1], fragments[: L + 1], color=style.COLORS[0], lw=0)
    ax.axvline(L, color=style.INK, lw=1)
    mean = L + 1 - places
    ax.axvline(mean, color=style.COLORS[1], lw=1.5, ls="--", label=f"150 + 1 - {places:.1f} = {mean:.1f}")
    ax.set(xlabel="letters of a fragment", ylabel="fragments", xlim=(60, 260), ylim=(0, None))
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0))


@effective_lengths.cases
def _(rng):
    usual = _histogram(rng, 60, 240)
    one = np.zeros(201, int)
    one[200] = int(rng.integers(5, 90))
    return {
        "long transcripts": {"lengths": rng.integers(900, 4000, size=5), "fragments": _histogram(rng, 80, 300)},
        "about as long as fragments": {
            "lengths": np.append(rng.integers(70, 235, size=5), [60, 240, 1500]),
            "fragments": usual,
        },
        "one transcript": {"lengths": rng.integers(100, 130, size=1), "fragments": _histogram(rng, 70, 160)},
        "shorter than every fragment": {"lengths": np.array([45, 300, 59, 1]), "fragments": _histogram(rng, 60, 200)},
        "all fragments of one length": {"lengths": np.array([200, 950, 199]), "fragments": one},
    }


effective_lengths.check("long transcripts", points=1, on="long transcripts")
effective_lengths.check("about as long as fragments", points=3, on=("about as long as fragments", "one transcript"))
effective_lengths.check(
    "shorter than every fragment", points=1, on=("shorter than every fragment", "all fragments of one length")
)


@effective_lengths.slip(
    "These are the plain lengths. A fragment cannot begin in the last letters of a transcript, where it would not fit "
    "any more: subtract the mean length of a fragment, and add 1."
)
def length_itself(lengths, fragments):
    return 1.0 * lengths


@effective_lengths.slip(
    "You subtracted the mean of all fragments. A fragment of this transcript is not longer than the transcript, so the "
    "mean goes over lengths up to L only. With the mean of all, short transcripts get fewer than no places."
)
def mean_of_all(lengths, fragments):
    return lengths + 1 - fragments @ np.arange(len(fragments)) / fragments.sum()


@effective_lengths.slip(
    "You subtracted the mean of all fragments and lifted what came out below 1 to 1. That hides the fault: the mean "
    "for a transcript goes over the fragments that are at most as long as it, and then no result is below 1."
)
def lifted_to_one(lengths, fragments):
    return np.maximum(mean_of_all(lengths, fragments), 1.0)


@effective_lengths.slip("The + 1 is missing. A fragment as long as its transcript can begin at one place, not at none.")
def without_the_one(lengths, fragments):
    return _by_length(lengths, fragments) - np.array([fragments[: L + 1].sum() > 0 for L in lengths])


@effective_lengths.slip(
    "Fragments exactly as long as the transcript were left out. They fit, at one place: the slice is "
    "fragments[: L + 1]."
)
def strictly_shorter(lengths, fragments):
    return _by_length(lengths, fragments, reach=0)


@effective_lengths.slip(
    "You divided by the number of all fragments, though you added up only those that fit. A mean divides by as many as "
    "it adds up."
)
def divided_by_all(lengths, fragments):
    return _by_length(lengths, fragments, of_all=True)


@effective_lengths.slip(
    "You averaged L - l + 1 over all fragments, with no place for the longer ones. That mixes in how probable it is "
    "that a fragment fits at all. Those of this transcript do fit: average over them."
)
def no_place_for_longer(lengths, fragments):
    places = np.maximum(np.asarray(lengths)[:, None] - np.arange(len(fragments)) + 1, 0)
    found = places @ fragments / fragments.sum()
    return np.where(found > 0, found, lengths)


@effective_lengths.slip(
    "Every length got the same weight. fragments says how many fragments have it: weight with that."
)
def each_length_once(lengths, fragments):
    return _by_length(lengths, (np.asarray(fragments) > 0).astype(int))


@effective_lengths.slip(
    "You took fragments[0] for the fragments of one letter. The first entry is for length 0, so fragments[l] belongs "
    "to l itself."
)
def begins_with_one(lengths, fragments):
    return _by_length(lengths, np.concatenate([[0], fragments]))


@effective_lengths.slip(
    "Where no fragment is short enough, 0/0 makes nan, and one nan spoils every share of the gene. Return the length "
    "itself there."
)
def nan_when_too_short(lengths, fragments):
    short = np.array([fragments[: L + 1].sum() == 0 for L in lengths])
    return np.where(short, np.nan, _by_length(lengths, fragments))


@effective_lengths.slip(
    "Where no fragment is short enough you took 0 for their mean, which leaves L + 1 places. Agreed was the length "
    "itself, L."
)
def mean_of_none_is_zero(lengths, fragments):
    return _by_length(lengths, fragments) + np.array([fragments[: L + 1].sum() == 0 for L in lengths])


def _by_length(lengths, fragments, reach=1, of_all=False):
    """`reach` 0 leaves out the fragments as long as the transcript."""
    effective = []
    for L in lengths:
        some = np.asarray(fragments)[: L + reach]
        n = some.sum()
        below = np.sum(fragments) if of_all else n
        effective.append(L + 1 - some @ np.arange(len(some)) / below if n else L)
    return np.array(effective, dtype=float)


@effective_lengths.also
def by_running_sums(lengths, fragments):
    upto = np.minimum(lengths, len(fragments) - 1)
    n = np.cumsum(fragments)[upto]
    letters = np.cumsum(np.asarray(fragments) * np.arange(len(fragments)))[upto]
    return np.where(n > 0, np.asarray(lengths) + 1 - letters / np.maximum(n, 1), lengths)


@effective_lengths.also
def averaged_places(lengths, fragments):
    places = np.maximum(np.asarray(lengths)[:, None] - np.arange(len(fragments)) + 1, 0)
    fitting = (places > 0) @ fragments
    return [
        p / n if n else L for p, n, L in zip(places @ fragments, fitting, np.asarray(lengths).tolist(), strict=True)
    ]


# ---------------------------------------------------------------- 3
@exercise.function(
    returns={"r": "(C, T)"},
    story="""
        **E: who shed it?** A fragment of transcript $t$ begins at any of its $\\tilde L_t$ places with equal chance,
        and the stretch that belongs to class $c$ has the same number of places in all members. So that number cancels,
        and

        $$r_{ct} = \\frac{w_t / \\tilde L_t}{\\sum_{s \\in c} w_s / \\tilde L_s} \\quad (t \\in c), \\qquad
          r_{ct} = 0 \\quad (t \\notin c).$$

        If A and B contribute equal shares, a fragment of A+B is A's with probability .555: the shorter transcript packs
        its fragments more densely. In the example B contributes eight fragments of ten.

        A share may be zero. If those of *all* members of a class are, its row is zero.
        """,
    hints=[
        "First the part above the line for all classes at once: classes * shares / lengths has shape (C, T), with "
        "zeros where they belong.",
        "Each row is then divided by its sum. keepdims=True keeps the sums as a column, (C, 1).",
        "joint = classes * shares / lengths; whole = joint.sum(axis=1, keepdims=True); then np.divide(joint, whole, "
        "out=np.zeros(joint.shape), where=whole > 0).",
    ],
    after="""
        An effective length is not a correction at the end. One over it is the density of the component, $p(c \\mid t)$
        up to a factor, and belongs into Bayes' rule like any density.
        """,
)
def responsibilities(shares, classes, lengths):
    """Probabilities that a fragment of each class came from each transcript.

    Parameters
    ----------
    shares : array (T,)
        Part of all fragments that each transcript contributes; some may be 0.
    classes : array (C, T) of int
        1 where a transcript belongs to a class; each class has a member.
    lengths : array (T,)
        Effective lengths, above 0.

    Returns
    -------
    r : array (C, T)
        Rows sum to 1, or are 0 where all members have share 0.
    """
    joint = np.asarray(classes) * np.asarray(shares) / lengths
    whole = joint.sum(axis=1, keepdims=True)
    return np.divide(joint, whole, out=np.zeros(joint.shape), where=whole > 0)


@responsibilities.example
def _():
    return {"shares": np.array([0.1, 0.8, 0.1]), "classes": GENE, "lengths": EFFECTIVE}


@responsibilities.draws(
    """Six horizontal bars, one for each class, cut into the probabilities of A, B and C. The bars of A, B and C alone
    have one colour each. A+B is 13 per cent A and the rest B; B+C is 17 per cent C; A+B+C is 11 per cent A, 73 B and 15
    C."""
)
def _bars(ax, answer, shares, classes, lengths):
    from ...view import style

    names = ["+".join("ABC"[t] for t in np.flatnonzero(row)) for row in classes]
    r = np.asarray(answer)
    left = np.zeros(len(r))
    for t in range(3):
        ax.barh(np.arange(len(r)), r[:, t], left=left, color=style.COLORS[t], label="ABC"[t], height=0.7)
        left += r[:, t]
    ax.set_yticks(range(len(r)), names)
    ax.invert_yaxis()
    ax.set(xlabel="probability", xlim=(0, 1))
    ax.legend(ncols=3, frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0))


@responsibilities.cases
def _(rng):
    def case(gene):
        return {name: gene[name] for name in ("shares", "classes", "lengths")}

    whole = case(_gene(rng, 4, 9))
    whole["lengths"] = np.round(whole["lengths"]).astype(int)
    gone = case(_ugt(rng))
    gone["shares"] = np.array([0.7, 0.0, 0.3])
    nobody = case(_gene(rng, 5, 14))
    nobody["classes"] = np.vstack([nobody["classes"], [0, 1, 0, 0, 1], [1, 1, 0, 0, 0]])
    nobody["shares"] = nobody["shares"] * np.array([1, 0, 1, 1, 0])
    nobody["shares"] /= nobody["shares"].sum()
    return {
        "three transcripts": case(_ugt(rng)),
        "six transcripts": case(_gene(rng, 6, 11)),
        "lengths in whole numbers": whole,
        "one class of all": case(_gene(rng, 5, 1)),
        "nothing is shared": {"shares": _shares(rng, 3), "classes": np.eye(3, dtype=int), "lengths": _lengths(rng, 3)},
        "a share of zero": gone,
        "a class whose shares are all zero": nobody,
    }


responsibilities.check(
    "three transcripts and six", points=3, on=("three transcripts", "six transcripts", "lengths in whole numbers")
)
responsibilities.check("all is shared, or nothing", points=1, on=("one class of all", "nothing is shared"))
responsibilities.check("shares of zero", points=2, on=("a share of zero", "a class whose shares are all zero"))


@responsibilities.slip(
    "The effective lengths do not show in your answer. The same share from a shorter transcript lies more densely, so "
    "a shared fragment is more likely its own: weight with share / length."
)
def lengths_ignored(shares, classes, lengths):
    return _as_long(shares, classes, lengths)


@responsibilities.slip(
    "You multiplied by the effective length. A longer transcript does shed more fragments, but that is in its share "
    "already; how densely they lie is share *divided* by length."
)
def lengths_multiplied(shares, classes, lengths):
    return _split(shares, classes, 1.0 / np.asarray(lengths))


@responsibilities.slip(
    "You divided evenly, one over the size of the class. That is a guess for somebody who knows nothing. The shares "
    "and lengths know more: weight each member with share / length."
)
def evenly(shares, classes, lengths):
    return _even(shares, classes, lengths)


@responsibilities.slip(
    "Each class went to its likeliest member as a whole. That is hard assignment: whoever leads takes all, and members "
    "with one fragment in three get none. Return the probabilities."
)
def winner_takes_all(shares, classes, lengths):
    return _decided(shares, classes, lengths).astype(float)


@responsibilities.slip(
    "All transcripts share every class here. A fragment of class c fits its members only; multiply by classes before "
    "you divide by the sum."
)
def everybody_is_a_member(shares, classes, lengths):
    return _split(shares, np.ones_like(classes), lengths)


@responsibilities.slip(
    "You divided by the sum over all transcripts instead of that over the members. Then rows of small classes sum to "
    "less than one, and part of every fragment is lost."
)
def divided_by_the_whole(shares, classes, lengths):
    joint = classes * shares / lengths
    return joint / (np.asarray(shares) / lengths).sum()


@responsibilities.slip(
    "This is share / length for each member. Divide each row by its sum: the fragment came from one of them for "
    "certain."
)
def not_divided(shares, classes, lengths):
    return classes * shares / lengths


@responsibilities.slip(
    "You divided by the sums of columns, over classes. The question is asked for one fragment at a time: which "
    "transcript? So each *row* sums to one."
)
def over_classes(shares, classes, lengths):
    joint = classes * shares / lengths
    whole = joint.sum(axis=0)
    return np.divide(joint, whole, out=np.zeros(joint.shape), where=whole > 0)


@responsibilities.slip(
    "The shares do not show in your answer. With 1 / length alone, a transcript that hardly occurs gets as much of a "
    "class as one that is everywhere."
)
def shares_ignored(shares, classes, lengths):
    return _split(np.ones(len(lengths)), classes, lengths)


@responsibilities.slip(
    "Where all members have share zero, 0/0 is nan, and it spreads to every count. Return zeros in that row."
)
def zero_by_zero(shares, classes, lengths):
    joint = classes * shares / lengths
    return joint / joint.sum(axis=1, keepdims=True)


@responsibilities.also
def member_by_member(shares, classes, lengths):
    rows = []
    for row in np.asarray(classes).tolist():
        joint = [m * w / length for m, w, length in zip(row, shares, lengths, strict=True)]
        rows.append([x / (sum(joint) or 1.0) for x in joint])
    return rows


@responsibilities.also
def by_odds(shares, classes, lengths):
    density = np.asarray(shares) / np.asarray(lengths)
    whole = np.asarray(classes) @ density
    return np.asarray(classes) * density * np.where(whole > 0, 1 / np.where(whole > 0, whole, 1), 0)[:, None]


# ---------------------------------------------------------------- 4
@exercise.function(
    returns={"N": "(T,)", "log_likelihood": "()"},
    story="""
        **What an E-step hands over.** Two things. The fragments expected of each transcript,

        $$N_t = \\sum_c n_c\\, r_{ct} ,$$

        and how well these shares explain the data, which costs nothing extra, since the sums are there anyway:

        $$\\ell(w) = \\sum_c n_c \\log \\sum_{t \\in c} \\frac{w_t}{\\tilde L_t} .$$

        (The number of places $l_c$ of each class is left out, as in the chapter: a constant.) A class without fragments
        adds nothing to either, even if its members all have share zero.

        The example begins with equal shares, as EM will. One expects 525.6 fragments of A then, 793.7 of B and 443.7 of
        C. That is not an even split of the classes, which would give A 511: the lengths speak already.
        """,
    hints=[
        "You have r already. N adds up its rows, each weighted with the fragments of the class.",
        "N = counts @ r. For the log-likelihood, classes @ (shares / lengths) has one number for each class.",
        "Take the logarithm only where counts > 0: seen = counts > 0; (counts[seen] * np.log(whole[seen])).sum().",
    ],
    after="""
        $N$ sums to the number of fragments: an E-step divides them up and invents none. It is also additive, over
        classes, lanes and machines, which is why the M-step needs to see nothing else.
        """,
    compare=FINE,
)
def e_step(shares, classes, counts, lengths):
    """Expected fragments of each transcript, and the log-likelihood of the shares.

    Parameters
    ----------
    shares : array (T,)
        Part of all fragments that each transcript contributes; some may be 0.
    classes : array (C, T) of int
        1 where a transcript belongs to a class.
    counts : array (C,) of int
        Fragments of each class; 0 where all members have share 0, and maybe elsewhere.
    lengths : array (T,)
        Effective lengths.

    Returns
    -------
    N : array (T,)
        Expected fragments.
    log_likelihood : float
        At `shares`, in nats, without the constant.
    """
    N = np.asarray(counts) @ responsibilities(shares, classes, lengths)
    whole = np.asarray(classes) @ (np.asarray(shares) / lengths)
    seen = np.asarray(counts) > 0
    return N, (np.asarray(counts)[seen] * np.log(whole[seen])).sum()


@e_step.example
def _():
    return {"shares": np.full(3, 1 / 3), "classes": GENE, "counts": FRAGMENTS, "lengths": EFFECTIVE}


@e_step.cases
def _(rng):
    nobody = _gene(rng, 4, 9)
    nobody["counts"] = nobody["counts"] * (np.arange(9) % 3 > 0)
    gone = _ugt(rng)
    gone["shares"] = np.array([0.35, 0.65, 0.0])
    gone["counts"] = gone["counts"] * np.array([1, 1, 1, 0, 1, 1])
    return {
        "three transcripts": _ugt(rng),
        "six transcripts": _gene(rng, 6, 14),
        "one class of all": _gene(rng, 4, 1),
        "classes without fragments": nobody,
        "an impossible class without fragments": gone,
    }


e_step.check("three transcripts and six", points=3, on=("three transcripts", "six transcripts", "one class of all"))
e_step.check(
    "classes without fragments", points=2, on=("classes without fragments", "an impossible class without fragments")
)


@e_step.slip(
    "The effective lengths were left out, of the counts and of the log-likelihood. Weight each member with share / "
    "length."
)
def no_lengths(shares, classes, counts, lengths):
    ones = np.ones(len(lengths))
    return counts @ _split(shares, classes, ones), _value(shares, classes, counts, ones)


@e_step.slip(
    "The counts are right, the log-likelihood lacks the effective lengths: it sums shares, but the probability of a "
    "class sums share / length. As lengths differ, it is not off by a constant only."
)
def no_lengths_in_the_value(shares, classes, counts, lengths):
    return counts @ _split(shares, classes, lengths), _value(shares, classes, counts, np.ones(len(lengths)))


@e_step.slip("The fragments of a class were divided evenly among its members. Divide in proportion to share / length.")
def even_counts(shares, classes, counts, lengths):
    return counts @ _even(shares, classes, lengths), _value(shares, classes, counts, lengths)


@e_step.slip(
    "Each class went to its likeliest member as a whole. Divide its fragments by the probabilities; do not decide."
)
def hard_counts(shares, classes, counts, lengths):
    return counts @ _decided(shares, classes, lengths), _value(shares, classes, counts, lengths)


@e_step.slip(
    "The fragments of a class were counted in full for each of its transcripts, so your counts sum to more fragments "
    "than there are. Multiply by the probabilities."
)
def once_for_each(shares, classes, counts, lengths):
    return (counts @ classes).astype(float), _value(shares, classes, counts, lengths)


@e_step.slip(
    "Every class has the same weight in your counts: the rows of r were added up as if each stood for one fragment. "
    "Weight row c with n_c."
)
def classes_not_fragments(shares, classes, counts, lengths):
    return _split(shares, classes, lengths).sum(axis=0), _value(shares, classes, counts, lengths)


@e_step.slip(
    "In the log-likelihood every class counts once. Each fragment adds the logarithm for its class, so multiply by n_c."
)
def value_of_classes(shares, classes, counts, lengths):
    return counts @ _split(shares, classes, lengths), _value(shares, classes, np.sign(counts), lengths)


@e_step.slip(
    "You took a logarithm for each member and added them up. A fragment came from one member *or* another: add the "
    "probabilities first, then take one logarithm for each class."
)
def logs_first(shares, classes, counts, lengths):
    with np.errstate(divide="ignore"):
        logs = np.where(classes > 0, np.log(np.asarray(shares) / lengths), 0.0).sum(axis=1)
    some = counts > 0
    return counts @ _split(shares, classes, lengths), (counts[some] * logs[some]).sum()


@e_step.slip(
    "These are shares, N divided by all fragments. That is the M-step, and the next function's business; return the "
    "expected numbers."
)
def shares_already(shares, classes, counts, lengths):
    N = counts @ _split(shares, classes, lengths)
    return N / N.sum(), _value(shares, classes, counts, lengths)


@e_step.slip(
    "The log-likelihood is that of the shares *after* the step. An E-step reports on the shares that it was given."
)
def one_step_ahead(shares, classes, counts, lengths):
    N = counts @ _split(shares, classes, lengths)
    return N, _value(N / N.sum(), classes, counts, lengths)


@e_step.slip(
    "0 times the logarithm of 0 is nan in a computer. A class without fragments adds nothing: leave it out of the sum."
)
def zero_times_infinity(shares, classes, counts, lengths):
    whole = classes @ (np.asarray(shares) / lengths)
    with np.errstate(divide="ignore", invalid="ignore"):
        return counts @ _split(shares, classes, lengths), float((counts * np.log(whole)).sum())


@e_step.also
def class_by_class(shares, classes, counts, lengths):
    N, value = [0.0] * len(shares), 0.0
    for row, n in zip(np.asarray(classes), np.asarray(counts).tolist(), strict=True):
        who = np.flatnonzero(row)
        density = np.asarray(shares)[who] / np.asarray(lengths)[who]
        if n:
            value += n * float(np.log(density.sum()))
            for t, part in zip(who, density / density.sum(), strict=True):
                N[t] += n * float(part)
    return N, value


# ---------------------------------------------------------------- 5
@exercise.function(
    returns={"path": "(S, T)", "log_likelihoods": "(S,)"},
    story="""
        **EM.** The M-step is one line, $w_t = N_t / n$. Begin with equal shares, $1/T$ each, and do `n_iter` steps.
        Return the shares of all stages, the start among them, as the $S$ = `n_iter` + 1 rows of `path`; and the
        log-likelihood of *each row*, of the last one, too.

        Try it on the toy of the chapter. Two transcripts of one length, thirty fragments of the first, ten of the
        second and sixty of both: .5, .6, .66, .696 and on towards .75. The example has UGT3A2, 200 steps. It ends at
        the chapter's 102, 1,592 and 69 fragments.
        """,
    hints=[
        "In the loop: N, value = e_step(shares, ...); then shares = N / N.sum(). Which shares does value belong to?",
        "value belongs to the shares that went *into* e_step. So note shares and value together, before you replace "
        "the shares. After n_iter rounds one pair is missing.",
        "path, values = [], []; for _ in range(n_iter + 1): N, value = e_step(shares, classes, counts, lengths); "
        "path.append(shares); values.append(value); shares = N / N.sum()",
    ],
    after="""
        The log-likelihood gains 242 nats in all. After twenty steps 0.36 of them are left, and B still has 29 fragments
        to come; after forty steps it is 0.0008 nats, and A still has one fragment to lose. The summit is flat. That is
        why two programs are compared by their log-likelihoods.
        """,
    compare=FINE,
)
def quantify(classes, counts, lengths, n_iter):
    """EM for the shares of transcripts, from equal shares.

    Parameters
    ----------
    classes : array (C, T) of int
        1 where a transcript belongs to a class.
    counts : array (C,) of int
        Fragments of each class; some may be 0, not all.
    lengths : array (T,)
        Effective lengths.
    n_iter : int
        Number of iterations; 0 returns the start alone.

    Returns
    -------
    path : array (S, T)
        Shares at the start and after each iteration, S = n_iter + 1.
    log_likelihoods : array (S,)
        Of each row of `path`.
    """
    T = np.shape(classes)[1]
    shares = np.full(T, 1 / T)
    path, log_likelihoods = [], []
    for _ in range(n_iter + 1):
        N, log_likelihood = e_step(shares, classes, counts, lengths)
        path.append(shares)
        log_likelihoods.append(log_likelihood)
        shares = N / N.sum()
    return np.array(path), np.array(log_likelihoods)


@quantify.example
def _():
    return {"classes": GENE, "counts": FRAGMENTS, "lengths": EFFECTIVE, "n_iter": 200}


@quantify.draws(
    """Expected fragments of A, B and C over sixty iterations. All three begin at 588. B rises to 1,592 within some
    thirty steps, A falls to 102 and C to 69."""
)
def _path(ax, answer, classes, counts, lengths, n_iter):
    from ...view import style

    N = np.sum(counts) * np.asarray(answer[0])
    for t in (1, 0, 2):
        ax.plot(N[:61, t], color=style.COLORS[t], lw=2, label=f"{'ABC'[t]}  {N[-1, t]:,.0f}")
    ax.set(xlabel="iteration", ylabel="fragments", xlim=(0, 60), ylim=(0, None))
    ax.legend(frameon=False, loc="center right")


@quantify.cases
def _(rng):
    def case(gene, n_iter):
        return {name: gene[name] for name in ("classes", "counts", "lengths")} | {"n_iter": n_iter}

    toy = {"classes": TOY, "counts": np.array([30, 10, 60]), "lengths": np.array([1, 1])}
    empty = _gene(rng, 4, 8)
    empty["counts"] = empty["counts"] * (np.arange(8) % 4 > 0)
    return {
        "the toy": case(toy, 4),
        "three transcripts": case(_ugt(rng), 12),
        "six transcripts": case(_gene(rng, 6, 16), 40),
        "one step": case(_gene(rng, 4, 8), 1),
        "no step at all": case(_ugt(rng), 0),
        "classes without fragments": case(empty, 5),
    }


quantify.check("the toy", points=1, on="the toy")
quantify.check("three transcripts and six", points=4, on=("three transcripts", "six transcripts"))
quantify.check(
    "one step, none, and classes without fragments",
    points=2,
    on=("one step", "no step at all", "classes without fragments"),
)


@quantify.slip(
    "The log-likelihoods lag: each is that of the step before. What e_step reports belongs to the shares that you gave "
    "it, not to those that you make of its counts."
)
def one_step_behind(classes, counts, lengths, n_iter):
    path = _climb(classes, counts, lengths, n_iter)
    values = _values(path, classes, counts, lengths)
    return path, np.concatenate([values[:1], values[:-1]]) if n_iter else values


@quantify.slip(
    "Each class went to its likeliest transcript in every round. That is classification EM. It climbs something else, "
    "and the first to lead takes all that is shared."
)
def hard(classes, counts, lengths, n_iter):
    path = _climb(classes, counts, lengths, n_iter, _decided)
    return path, _values(path, classes, counts, lengths)


@quantify.slip(
    "You divided each class by its size, in every round, so nothing moves after the first. Equal parts are not what "
    "the shares say: divide in proportion to share / length."
)
def by_class_size(classes, counts, lengths, n_iter):
    path = _climb(classes, counts, lengths, n_iter, _even)
    return path, _values(path, classes, counts, lengths)


@quantify.slip(
    "Effective lengths are missing in the E-step, though the log-likelihood has them. So you climb another hill, and "
    "shared fragments go to the long transcripts."
)
def as_long(classes, counts, lengths, n_iter):
    path = _climb(classes, counts, lengths, n_iter, _as_long)
    return path, _values(path, classes, counts, lengths)


@quantify.slip(
    "Effective lengths are missing altogether, in the shares and in the log-likelihood. Give e_step the lengths that "
    "you were given."
)
def no_lengths_at_all(classes, counts, lengths, n_iter):
    ones = np.ones(len(lengths))
    path = _climb(classes, counts, ones, n_iter)
    return path, _values(path, classes, counts, ones)


@quantify.slip(
    "Your M-step divides the counts by the lengths. These are shares of molecules, and the E-step then divides by the "
    "length a second time. w is a share of *fragments*: N / n, and nothing else."
)
def divided_twice(classes, counts, lengths, n_iter):
    path = _climb(classes, counts, lengths, n_iter, credit=lambda N: N / lengths)
    return path, _values(path, classes, counts, lengths)


@quantify.slip(
    "All classes have the same weight in your steps, though not in your log-likelihood. Each class stands for n_c "
    "fragments: N is counts @ r."
)
def classes_alike(classes, counts, lengths, n_iter):
    path = _climb(classes, np.sign(counts), lengths, n_iter)
    return path, _values(path, classes, counts, lengths)


@quantify.slip(
    "The E-step ran from the start in every round, so all steps give the same shares. Hand it the newest ones."
)
def stuck_at_the_start(classes, counts, lengths, n_iter):
    path = _climb(classes, counts, lengths, min(n_iter, 1))
    path = path[np.minimum(np.arange(n_iter + 1), 1)] if n_iter else path
    return path, _values(path, classes, counts, lengths)


@quantify.slip("The start is missing: path has one row for the beginning and one for each step, n_iter + 1 in all.")
def without_the_start(classes, counts, lengths, n_iter):
    path = _climb(classes, counts, lengths, n_iter)[1:]
    return path.reshape(-1, len(lengths)), _values(path, classes, counts, lengths)


@quantify.slip(
    "The walk began at the shares of unique fragments. Whoever has none starts at zero then, and stays there for ever. "
    "Begin with equal shares."
)
def from_unique(classes, counts, lengths, n_iter):
    alone = np.sum(classes, axis=1) == 1
    unique = (np.asarray(counts) * alone) @ classes
    unique = unique + (0.0 if unique.any() else 1.0)
    path = _climb(classes, counts, lengths, n_iter, start=unique / unique.sum())
    return path, _values(path, classes, counts, lengths)


@quantify.slip("path holds numbers of fragments. Divide by all fragments to get shares, which sum to one in every row.")
def counts_in_the_path(classes, counts, lengths, n_iter):
    path = _climb(classes, counts, lengths, n_iter)
    values = _values(path, classes, counts, lengths)
    return np.vstack([path[:1], path[1:] * np.sum(counts)]), values


@quantify.also
def by_growth(classes, counts, lengths, n_iter):
    """Each step multiplies a share by its demand; no responsibilities are made."""
    P = np.asarray(classes) / np.asarray(lengths, dtype=float)
    path = [np.full(P.shape[1], 1 / P.shape[1])]
    for _ in range(n_iter):
        path.append(path[-1] * (np.asarray(counts) / (P @ path[-1]) @ P) / np.sum(counts))
    n = np.asarray(counts)
    return path, [float((n[n > 0] * np.log((P @ w)[n > 0])).sum()) for w in path]


# ---------------------------------------------------------------- 6
@exercise.function(
    returns={"tpm": "(T,)"},
    story="""
        **Molecules, not fragments.** A long transcript is torn into more fragments than a short one, so counts of
        fragments are not counts of molecules. Divide by the effective length, *then* scale to a million:

        $$\\mathrm{TPM}_t = 10^6\\, \\frac{N_t / \\tilde L_t}{\\sum_s N_s / \\tilde L_s} .$$

        The example has kallisto's own counts and effective lengths of all fourteen transcripts of the chapter, and your
        answer is its column `tpm`: 476,675 for HOXC8.
        """,
    hints=[
        "First how densely fragments lie on each transcript, counts / lengths.",
        "Then divide that by its sum, and multiply by a million.",
        "density = counts / lengths; return 1e6 * density / density.sum()",
    ],
    after="""
        The sum is a million whatever was sequenced; that is the quickest test. Scaled first, the sum depends on how
        long the transcripts of this sample happen to be, and two samples cannot be compared. (Per thousand letters,
        that number is called FPKM.)
        """,
)
def tpm(counts, lengths):
    """Transcripts per million.

    Parameters
    ----------
    counts : array (T,)
        Expected fragments of each transcript; some may be 0, not all.
    lengths : array (T,)
        Effective lengths.

    Returns
    -------
    tpm : array (T,)
        They sum to a million.
    """
    density = np.asarray(counts) / np.asarray(lengths)
    return 1e6 * density / density.sum()


@tpm.example
def _():
    from ... import data

    table = data.hox_ugt().kallisto
    return {"counts": table["est_counts"], "lengths": table["eff_length"]}


@tpm.cases
def _(rng):
    return {
        "fourteen transcripts": {"counts": rng.gamma(1.0, 400.0, size=14), "lengths": _lengths(rng, 14)},
        "whole numbers": {"counts": rng.integers(1, 900, size=4), "lengths": rng.permutation([400, 900, 1300, 2500])},
        "one transcript": {"counts": np.array([17.0]), "lengths": np.array([1200.0])},
        "most have no fragment": {"counts": np.array([0, 0, 31, 0, 12]), "lengths": _lengths(rng, 5)},
    }


tpm.check("fourteen transcripts, and whole numbers", points=2, on=("fourteen transcripts", "whole numbers"))
tpm.check("one transcript, and many without fragments", points=1, on=("one transcript", "most have no fragment"))


@tpm.slip(
    "You scaled to a million first and divided by the lengths, in thousands of letters, afterwards. That is FPKM. Its "
    "sum is another in every sample: divide first, scale last."
)
def scaled_first(counts, lengths):
    return 1e6 * np.asarray(counts) / np.sum(counts) / (np.asarray(lengths) / 1000)


@tpm.slip(
    "You scaled to a million first and divided by the lengths afterwards, so the sum is no million any more. Divide "
    "first, scale last."
)
def scaled_first_by_letters(counts, lengths):
    return 1e6 * np.asarray(counts) / np.sum(counts) / np.asarray(lengths)


@tpm.slip(
    "These are fragments per million: the lengths do not show. A transcript twice as long gives twice the fragments "
    "from as many molecules. Divide by the effective length."
)
def fragments_per_million(counts, lengths):
    return 1e6 * np.asarray(counts) / np.sum(counts)


@tpm.slip("You multiplied by the lengths. Long transcripts have too many fragments already; divide.")
def multiplied(counts, lengths):
    return 1e6 * np.asarray(counts) * lengths / np.sum(np.asarray(counts) * lengths)


@tpm.slip("These are shares of molecules and sum to one. Multiply by a million.")
def not_scaled(counts, lengths):
    return tpm(counts, lengths) / 1e6


@tpm.slip("This is N / length for each transcript. Divide by the sum over all of them, and multiply by a million.")
def density_only(counts, lengths):
    return np.asarray(counts) / np.asarray(lengths)


@tpm.slip(
    "You divided by the sum of counts over the sum of lengths, as if there were one long transcript. The sum below the "
    "line is that of the ratios N / length."
)
def ratio_of_sums(counts, lengths):
    return 1e6 * (np.asarray(counts) / lengths) / (np.sum(counts) / np.sum(lengths))


@tpm.also
def by_shares_of_molecules(counts, lengths):
    pairs = list(zip(np.asarray(counts).tolist(), np.asarray(lengths).tolist(), strict=True))
    total = sum(n / length for n, length in pairs)
    return [1e6 * n / (length * total) for n, length in pairs]


# ---------------------------------------------------------------- 7
@exercise.function(
    returns={"directions": "()", "undecided": "(T,)"},
    story="""
        **What nobody can tell.** The likelihood sees the shares only through the probabilities of the classes,
        $\\sum_t P_{ct} w_t$ with $P_{ct} = 1 / \\tilde L_t$ for members and 0 for the others. A change $d$ of the
        shares is invisible if

        $$P\\, d = 0 \\quad \\text{and} \\quad \\sum_t d_t = 0 .$$

        Put a row of ones below $P$, and call the result $M$: invisible changes are the solutions of $M d = 0$. Return
        how many independent ones there are, which is $T$ less the rank of $M$, and for each transcript 1 if its share
        can change unseen ($d_t \\ne 0$ for some solution) and 0 if the data decide it.

        In the example C of UGT3A2 is listed twice, under two names. So one direction, from C to its copy, is invisible.
        But copies are not the only ones who cannot be told apart. All transcripts of a case are linked by classes, as
        those of one gene are.
        """,
    hints=[
        "M = np.vstack([classes / lengths, np.ones(T)]) and np.linalg.matrix_rank give the first answer. For this, "
        "scale the lengths to a mean of one, so that all rows are of one size.",
        "scipy.linalg.null_space(M) returns a basis of all d with M d = 0 as columns, shape (T, directions).",
        "A share is undecided if its row of that basis has an entry that is not zero: "
        "(np.abs(basis) > 1e-8).any(axis=1).",
    ],
    after="""
        Four transcripts of one length and the classes A+B, A+C, B+D, C+D: no two are alike, yet what A and D gain and B
        and C lose together changes nothing. Rank finds it where comparing columns does not. On the other hand two
        transcripts with the very same classes but different lengths *are* decided, by the row of ones: the same
        densities need more fragments from the longer one. Whether to believe a decision that rests on lengths alone is
        another question.

        EM answers all the same. It ends somewhere on the flat line, and where depends on the start.
        """,
)
def undecided(classes, lengths):
    """Which shares can change without any change of the likelihood.

    Parameters
    ----------
    classes : array (C, T) of int
        1 where a transcript belongs to a class.
    lengths : array (T,)
        Effective lengths.

    Returns
    -------
    directions : int
        Number of independent invisible changes; 0 if everything is decided.
    undecided : array (T,) of int
        1 for each transcript whose share can change unseen, else 0.
    """
    from scipy.linalg import null_space

    P = np.asarray(classes) / (np.asarray(lengths) / np.mean(lengths))
    basis = null_space(np.vstack([P, np.ones(P.shape[1])]), rcond=1e-9)
    return basis.shape[1], (np.abs(basis) > 1e-6).any(axis=1).astype(int)


@undecided.example
def _():
    return {"classes": GENE[:, [0, 1, 2, 2]], "lengths": EFFECTIVE[[0, 1, 2, 2]]}


@undecided.cases
def _(rng):
    def mixed(classes, lengths):
        rows, columns = rng.permutation(len(classes)), rng.permutation(len(lengths))
        return {"classes": np.asarray(classes)[rows][:, columns], "lengths": np.asarray(lengths)[columns]}

    a, b, c = np.round(rng.uniform([300, 200, 900], [700, 600, 1500]))
    square = [[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 1]]
    pairs = GENE[:, [0, 1, 2, 0, 2]]
    triple = GENE[:, [0, 1, 1, 1, 2]]
    star = [[1, 1, 0], [1, 0, 1]]
    L = rng.permutation([700.0, 1200.0, 1900.0]) + rng.integers(0, 90, size=3)
    return {
        "the gene, with a copy": mixed(GENE[:, [0, 1, 2, 1]], L[[0, 1, 2, 1]]),
        "the gene as it is": mixed(GENE, L),
        "two pairs of copies": mixed(pairs, L[[0, 1, 2, 0, 2]]),
        "three copies": mixed(triple, L[[0, 1, 1, 1, 2]]),
        "the same classes, other lengths": mixed([[1, 1, 1], [1, 0, 0]], L),
        "two of a kind, nobody alone": mixed([[1, 1, 0], [1, 1, 1], [0, 1, 1], [1, 0, 1]], L),
        "no two alike, four classes": mixed(square, [c, c + a, c + b, c + a + b]),
        "the same four classes, other lengths": mixed(square, [c, c + a, c + b, c + a + b + 250]),
        "two classes share a transcript": mixed(star, [a + b, a, b]),
        "two classes share a longer one": mixed(star, [a + b + 300, a, b]),
    }


undecided.check(
    "copies, and none",
    points=2,
    on=("the gene, with a copy", "the gene as it is", "two pairs of copies", "three copies"),
)
undecided.check(
    "no two alike, and yet",
    points=3,
    on=(
        "two of a kind, nobody alone",
        "no two alike, four classes",
        "the same four classes, other lengths",
    ),
)
undecided.check(
    "lengths that decide",
    points=3,
    on=("the same classes, other lengths", "two classes share a transcript", "two classes share a longer one"),
)


def _nothing_changes(M):
    """What the rank says of a matrix."""
    from scipy.linalg import null_space

    basis = null_space(M, rcond=1e-9)
    return basis.shape[1], (np.abs(basis) > 1e-6).any(axis=1).astype(int)


def _twins(columns):
    """Which columns occur more than once."""
    _, which, n = np.unique(columns, axis=1, return_inverse=True, return_counts=True)
    return int((n - 1).sum()), (n[which.ravel()] > 1).astype(int)


@undecided.slip(
    "You looked for copies: equal columns and equal lengths. They are undecided, but so may be transcripts of which no "
    "two are alike. Ask for all solutions of M d = 0."
)
def copies_only(classes, lengths):
    return _twins(np.vstack([classes, lengths]))


@undecided.slip(
    "You compared the columns of classes. Transcripts in the same classes may differ in length, which decides between "
    "them, and transcripts in different classes may be undecided together. Ask for the solutions of M d = 0."
)
def same_classes(classes, lengths):
    return _twins(classes)


@undecided.slip(
    "The row of ones is missing. Shares sum to one, so what one transcript gains another must lose; changes that do "
    "not sum to zero are not open to them."
)
def without_ones(classes, lengths):
    return _nothing_changes(classes / (np.asarray(lengths) / np.mean(lengths)))


@undecided.slip(
    "The lengths do not show. The entries of P are 1 / length for members; with ones instead, you ask about "
    "transcripts that are all as long."
)
def as_if_alike(classes, lengths):
    return _nothing_changes(np.vstack([classes, np.ones(len(lengths))]))


@undecided.slip(
    "You called everybody undecided who has no class of his own. Shared classes can decide, too: three transcripts and "
    "the classes of each pair of them leave nothing open."
)
def nobody_alone(classes, lengths):
    classes = np.asarray(classes)
    alone = classes[classes.sum(axis=1) == 1].any(axis=0)
    return int((~alone).sum()), (~alone).astype(int)


@undecided.slip(
    "This is the rank, the number of directions that the data *do* see. Subtract it from the number of transcripts."
)
def the_rank(classes, lengths):
    directions, found = undecided(classes, lengths)
    return len(lengths) - directions, found


@undecided.slip(
    "You counted transcripts less classes. Classes may repeat each other's evidence, and the sum of the shares is "
    "evidence as well. What counts is the rank of M."
)
def less_classes(classes, lengths):
    _, found = undecided(classes, lengths)
    return max(len(lengths) - len(classes), 0), found


@undecided.slip(
    "You return how many transcripts are undecided. Three copies are three transcripts with two directions between "
    "them: the number asked for is T less the rank of M."
)
def number_undecided(classes, lengths):
    _, found = undecided(classes, lengths)
    return int(found.sum()), found


@undecided.slip(
    "The two kinds are exchanged: 1 should stand for a share that can change unseen, 0 for one that the data decide."
)
def exchanged(classes, lengths):
    directions, found = undecided(classes, lengths)
    return directions, 1 - found


@undecided.also
def by_ranks(classes, lengths):
    """A share is decided if a row that asks for it alone adds nothing to the rank."""
    T = len(lengths)
    M = np.vstack([np.asarray(classes) * np.min(lengths) / np.asarray(lengths), np.ones(T)])
    rank = np.linalg.matrix_rank(M)
    return T - rank, [int(np.linalg.matrix_rank(np.vstack([M, row])) > rank) for row in np.eye(T)]


@undecided.also
def unscaled(classes, lengths):
    M = np.vstack([np.asarray(classes) / np.asarray(lengths), np.ones(len(lengths))])
    _, s, turned = np.linalg.svd(M)
    rank = int((s > 1e-12 * s[0]).sum())
    return len(lengths) - rank, (np.abs(turned[rank:]) > 1e-6).any(axis=0)
