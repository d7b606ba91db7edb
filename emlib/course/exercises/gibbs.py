"""Exercise of chapter 7: a Gibbs sampler for a mixture of normals, in pieces, and what to do with its draws."""

import numpy as np
from scipy import special

from ..compare import alike
from ..contract import Exercise
from ..values import Seed

exercise = Exercise(
    "gibbs",
    title="Finding a peak or mapping the mountain",
    minutes=110,
    objectives=[
        "draw labels with the probabilities that EM would have used as shares;",
        "write down the posterior of a mean and of a variance when the labels are known, and draw from it;",
        "put the draws into a sweep, in the right order;",
        "measure whether chains agree, and average draws whose labels have switched.",
    ],
    intro="""
        Chapter 7 let `emlib` wander over the galaxies. Here you write the wanderer yourself: six pieces of a Gibbs
        sampler for a mixture of $K$ normal distributions in one dimension, and a summary of what it has seen.

        Throughout, `x` holds `n` velocities. The parameters are `weights`, `means` and `variances`, each (K,). `labels`
        holds one whole number for each observation, from 0 to K - 1. The prior is that of the chapter,

        $$
        w \\sim \\text{Dirichlet}(\\alpha, \\dots, \\alpha), \\qquad \\mu_k \\sim \\mathcal N(m, s^2), \\qquad
        \\sigma_k^2 \\sim \\text{IG}(a, b),
        $$

        and arrives as a dictionary: `prior["alpha"]`, `prior["m"]`, `prior["s"]`, `prior["a"]`, `prior["b"]`.

        Some of the functions draw at random. They get a generator `rng` and take all their random numbers from it
        (`rng.random`, `rng.normal`, `rng.gamma`, `rng.dirichlet`, …). Your draws will not be the ones shown here; the
        checks look at whether they are distributed as they should be.
        """,
    setup="""
        x = emlib.data.galaxies()[:, 0]
        prior = {"alpha": 1.0, "m": 20.0, "s": 10.0, "a": 2.0, "b": 2.0}
        """,
    outro="""
        Let it walk. Start at EM's answer, and keep every sweep:

        ```python
        rng = np.random.default_rng(0)
        labels = np.zeros(82, dtype=int)
        weights = np.array([0.085, 0.878, 0.037])
        means = np.array([9.71, 21.40, 33.04])
        variances = np.array([0.18, 4.82, 0.85])
        draws = []
        for _ in range(5000):
            labels, weights, means, variances = sweep(x, labels, weights, means, variances, prior, rng)
            draws.append((weights, means))
        w, mu = (np.array(kept)[None] for kept in zip(*draws))
        posterior_means(w, mu, 500)
        ```

        The means come out near the published 9.72, 21.4 and 32.9 of chapter 7, and now you can ask for anything else:
        `(mu[0, 500:].max(axis=1) > 34).mean()` is the probability that the fast clump lies beyond 34. Then start a
        second chain with all three means inside the crowd, at 19, 21 and 23. How long does it take to find the others?
        Ask `r_hat`.
        """,
)

PRIOR = {"alpha": 1.0, "m": 20.0, "s": 10.0, "a": 2.0, "b": 2.0}


# ---------------------------------------------------------------- inputs, and what a draw is compared with
def _seed(rng):
    return Seed(int(rng.integers(2**31)))


def _log_joint(x, weights, means, variances):
    squares = (x[:, None] - means) ** 2 / variances
    return np.log(weights) - (np.log(2 * np.pi * variances) + squares) / 2


def _shares(log_joint):
    r = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    return r / r.sum(axis=1, keepdims=True)


def _drawn(r, u):
    """Labels by inversion: u is a column of random numbers, or one for all."""
    return (u > np.cumsum(r, axis=1)[:, :-1]).sum(axis=1)


def _label_scores(labels, r):
    """How often each label came, how often where it is probable, and how alike neighbours are; with standard errors."""
    if labels.ndim != 1:
        return {"the table": (labels, 1.0)}  # two answers of the same wrong shape
    K = r.shape[1]
    codes = _codes(labels, K)
    own = np.take_along_axis(np.column_stack([r, np.zeros(len(r))]), codes[:, None], axis=1)[:, 0]
    mean_own = (r**2).sum(axis=1)
    same = (r[:-1] * r[1:]).sum(axis=1)
    scores = {
        "how often labels are drawn where their shares are large": (
            own.sum(),
            np.sqrt(((r**3).sum(axis=1) - mean_own**2).clip(0).sum()),
        ),
        # Neighbours share a row, so the terms are not independent; twice the variance is on the safe side.
        "how often two neighbours have the same label": (
            ((codes[:-1] == codes[1:]) & (codes[1:] < K)).sum(),
            np.sqrt(2 * (same * (1 - same)).sum()) + 1e-9,
        ),
    }
    if K < 50:
        one_hot = np.eye(K + 1)[codes][:, :K]
        scores["how often each label is drawn"] = one_hot.sum(axis=0), np.sqrt((r * (1 - r)).sum(axis=0))
        scores["how often each label is drawn where its share is large"] = (
            one_hot.T @ r,
            np.sqrt((r * (1 - r)).T @ r**2),
        )
    else:
        common = r.sum(axis=0)
        scores["how often labels of common components are drawn"] = (
            np.append(common, 0)[codes].sum(),
            np.sqrt((r @ common**2 - (r @ common) ** 2).sum()),
        )
    return scores


def _codes(labels, K):
    """The labels as whole numbers; K for what is no label."""
    valid = (labels >= 0) & (labels < K) & (labels == np.floor(labels))
    return np.where(valid, labels, K).astype(int)


def _normal(values):
    return np.clip(np.nan_to_num(values, nan=99.0), -99, 99)


def _through(cumulative):
    """The standard normal value at this cumulative probability."""
    return _normal(special.ndtri(np.clip(cumulative, 1e-300, 1 - 1e-16)))


def _parameter_scores(x, labels, old_variances, prior, drawn):
    """Each drawn parameter, given what it is conditioned on, as a value that should be standard normal."""
    weights, means, variances = drawn
    with np.errstate(all="ignore"):
        K = len(means)
        codes = _codes(labels, K)
        n, sums, squares = (np.bincount(codes, weights=x**power, minlength=K + 1)[:K] for power in (0, 1, 2))
        squares = squares - 2 * means * sums + n * means**2
        precision = prior["s"] ** -2 + n / old_variances
        centre = (prior["m"] * prior["s"] ** -2 + sums / old_variances) / precision
        alpha = prior["alpha"] + n
        scores = {
            "weights": _through(special.betainc(alpha, alpha.sum() - alpha, np.clip(weights, 0, 1))),
            "means": _normal((means - centre) * np.sqrt(precision)),
            "variances": _through(special.gammaincc(prior["a"] + n / 2, (prior["b"] + squares / 2) / variances)),
        }
    scores["weights"] = np.where(weights > 0, scores["weights"], -99.0)
    scores["variances"] = np.where(variances > 0, scores["variances"], -99.0)
    if len(means) < 50:  # one by one
        estimates = {
            f"one of the {name}, given the labels," if len(n) > 1 else name: (z, 1.0) for name, z in scores.items()
        }
    else:
        estimates = {}
        for where, of in (("", n > 0), (" of empty components", n == 0)):
            for name, z in scores.items():
                m = max(of.sum(), 1)
                estimates[f"the middle of the drawn {name}{where}"] = (z[of].sum() / m, m**-0.5)
                estimates[f"the scatter of the drawn {name}{where}"] = ((z[of] ** 2).sum() / m, (2 / m) ** 0.5)
                for centre, chance in ((-1, 0.2417), (0, 0.3829), (1, 0.2417)):  # within 0.5 of it
                    estimates[f"the spread of the drawn {name}{where}, window {centre}"] = (
                        (np.abs(z[of] - centre) < 0.5).sum() / m,
                        (chance * (1 - chance) / m) ** 0.5,
                    )
        m = max((n > 0).sum(), 1)
        match = np.clip(scores["means"] * scores["variances"], -99, 99)[n > 0].sum() / m
        estimates["the match of drawn means and variances"] = (match, m**-0.5)
    estimates["the sum of the weights"] = (weights.sum(), 1e-5)  # single precision is precise enough
    return estimates


def _moments(x, labels, K):
    n = np.bincount(labels, minlength=K)
    return n, np.bincount(labels, weights=x, minlength=K)


def _mean_given(n, sums, variances, prior):
    precision = 1 / prior["s"] ** 2 + n / variances
    return (prior["m"] / prior["s"] ** 2 + sums / variances) / precision, 1 / precision


def _variance_given(x, labels, means, prior):
    n = np.bincount(labels, minlength=len(means))
    squares = np.bincount(labels, weights=(x - means[labels]) ** 2, minlength=len(means))
    return prior["a"] + n / 2, prior["b"] + squares / 2


# ---------------------------------------------------------------- 1
@exercise.function(
    returns={"labels": "(n,)"},
    story="""
        **Sample, instead of expect.** You have for each observation $i$ and component $k$ the logarithm $a_{ik} = \\log
        w_k + \\log \\mathcal N(x_i \\mid \\mu_k, \\sigma_k^2)$, the `log_joint` of chapter 2. EM would turn each row
        into shares. Gibbs throws a die with them: the label of observation $i$ is $k$ with probability

        $$P(z_i = k \\mid x, \\theta) = r_{ik} = \\frac{e^{a_{ik}}}{\\sum_j e^{a_{ij}}} .$$

        Throw *one* die for *each* observation, and return the labels as whole numbers from 0 to $K - 1$. Some
        observations are so far out that all $e^{a_{ij}}$ underflow. They get a label all the same.

        How does one throw such a die? Lay the shares end to end on a line from 0 to 1, and see into which of them a
        uniform random number falls.
        """,
    hints=[
        "Begin with the shares as in chapter 2: subtract the largest entry of the row, exp, divide by the sum of the "
        "row.",
        "np.cumsum(shares, axis=1) holds the places where one share ends and the next begins. You need n random "
        "numbers: u = rng.random(n).",
        "The label is how many of these places lie below u: (u[:, None] > ends[:, :-1]).sum(axis=1). The last end is "
        "1 and need not be asked.",
    ],
    after="""
        One call of `rng.choice` for each row does the same and takes a hundred times as long. There is also a way
        without any normalising: add to each $a_{ik}$ an independent draw of `rng.gumbel` and take the largest of the
        row. It comes out with exactly these probabilities.
        """,
    compare=alike(lambda labels, inputs: _label_scores(labels, _shares(inputs["log_joint"]))),
)
def draw_labels(log_joint, rng):
    """Draw a label for each observation.

    Parameters
    ----------
    log_joint : array (n, K)
        log(weights[k] * N(x[i] | means[k], variances[k])). The rows are not normalised.
    rng : numpy.random.Generator
        Where random numbers come from.

    Returns
    -------
    labels : array (n,)
        Whole numbers from 0 to K - 1: labels[i] is k with the probability of component k given observation i.
    """
    r = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    ends = np.cumsum(r / r.sum(axis=1, keepdims=True), axis=1)
    u = rng.random(len(log_joint))
    return (u[:, None] > ends[:, :-1]).sum(axis=1)


@draw_labels.example
def _():
    from ... import data

    x = data.galaxies()[:, 0]
    start = np.array([0.2, 0.5, 0.3]), np.array([12.0, 21.0, 26.0]), np.array([9.0, 9.0, 25.0])
    return {"log_joint": _log_joint(x, *start), "rng": Seed(1)}


@draw_labels.draws(
    """Labels of the 82 galaxies in order of velocity, as dots on three levels. The slowest are in component 0 and
    the fastest in component 2; the crowd in the middle is divided at random between components 1 and 2, and a stray
    one is in component 0."""
)
def _levels(ax, answer, log_joint, rng):
    from ... import data
    from ...view import style

    labels = np.asarray(answer)
    ax.scatter(data.galaxies()[:, 0], labels, c=[style.COLORS[int(k)] for k in labels], s=14)
    ax.set(xlabel="velocity (1000 km/s)", ylabel="label drawn", yticks=range(log_joint.shape[1]))


@draw_labels.cases
def _(rng):
    def rows(n, K):
        r = 0.04 + (1 - 0.04 * K) * rng.dirichlet(np.linspace(0.5, 1.2, K), size=n)
        return np.log(r) + rng.uniform(-9, -3, size=(n, 1))

    certain = np.full((42, 14), -900.0) + rng.normal(size=(42, 14))
    certain[np.arange(42), rng.permutation(np.arange(42) % 14)] += 400.0
    return {
        "three components": {"log_joint": rows(700, 3), "rng": _seed(rng)},
        "five components": {"log_joint": rows(700, 5), "rng": _seed(rng)},
        "far from all components": {
            "log_joint": rows(500, 3) - rng.uniform(900, 4000, size=(500, 1)),
            "rng": _seed(rng),
        },
        "no doubt": {"log_joint": certain, "rng": _seed(rng)},
    }


draw_labels.check("each label with its probability", points=3, on=("three components", "five components"))
draw_labels.check("observations far from all components", points=1, on="far from all components")
draw_labels.check("where there is no doubt, no chance", points=1, on="no doubt")


@draw_labels.slip(
    "Each observation got its most probable label, and nothing was drawn. That is the hard E-step of K-means: a "
    "component with share 0.4 would never have a chance."
)
def most_probable(log_joint, rng):
    return log_joint.argmax(axis=1)


@draw_labels.slip(
    "The rows were not normalised. Weight times density does not sum to 1 over the components, so the random number "
    "mostly falls beyond all of them: divide by the sum of the row first."
)
def not_normalised(log_joint, rng):
    return _drawn(np.exp(log_joint), rng.random(len(log_joint))[:, None])


@draw_labels.slip(
    "The rows were not normalised, and rng.choice insists on probabilities that sum to 1: divide each row by its sum. "
    "(Take its largest entry out before exp, or far away you will divide by zero.)"
)
def choice_not_normalised(log_joint, rng):
    return np.array([rng.choice(len(a), p=np.exp(a)) for a in log_joint])


@draw_labels.slip(
    "Far from every component exp underflows to 0, and 0/0 is nan; comparisons with nan are all False, so these "
    "observations silently get label 0. Take the largest entry of the row out before exp."
)
def zero_by_zero(log_joint, rng):
    r = np.exp(log_joint)
    return _drawn(r / r.sum(axis=1, keepdims=True), rng.random(len(log_joint))[:, None])


@draw_labels.slip(
    "Far from every component exp underflows to 0, and 0/0 is nan, which rng.choice refuses. Take the largest entry "
    "of the row out before exp."
)
def choice_of_nan(log_joint, rng):
    labels = np.zeros(len(log_joint), int)
    for i, a in enumerate(log_joint):
        r = np.exp(a)
        labels[i] = rng.choice(len(a), p=r / r.sum())
    return labels


@draw_labels.slip(
    "One random number served all observations. Given the parameters the labels are independent: draw a number for "
    "each of them, rng.random(n)."
)
def one_die_for_all(log_joint, rng):
    return _drawn(_shares(log_joint), rng.random())


@draw_labels.slip(
    "The labels are drawn with the average shares of the whole table. Each observation has a row of probabilities of "
    "its own, and its label is drawn with that."
)
def average_row(log_joint, rng):
    return rng.choice(log_joint.shape[1], size=len(log_joint), p=_shares(log_joint).mean(axis=0))


@draw_labels.slip("These labels are numbered from 1. Python counts from 0, and labels will be used as indices.")
def from_one(log_joint, rng):
    return _drawn(_shares(log_joint), rng.random(len(log_joint))[:, None]) + 1


@draw_labels.slip(
    "The shares were normalised over the observations, along axis 0. It is the observation that chooses among "
    "components: each row sums to 1."
)
def over_the_observations(log_joint, rng):
    r = np.exp(log_joint - log_joint.max(axis=0))
    return _drawn(r / r.sum(axis=0), rng.random(len(log_joint))[:, None])


@draw_labels.slip(
    "This is a table with a one in each row. The label is the number of the column in which the one stands, one "
    "number for each observation: argmax(axis=1) of your table."
)
def one_hot(log_joint, rng):
    return rng.multinomial(1, _shares(log_joint))


@draw_labels.also
def by_choice(log_joint, rng):
    from scipy.special import softmax

    return [int(rng.choice(len(p), p=p)) for p in softmax(log_joint, axis=1)]


@draw_labels.also
def by_gumbel(log_joint, rng):
    return np.argmax(log_joint + rng.gumbel(size=log_joint.shape), axis=1).astype(float)


@draw_labels.also
def by_multinomial(log_joint, rng):
    return rng.multinomial(1, _shares(log_joint)).argmax(axis=1)


# ---------------------------------------------------------------- 2
@exercise.function(
    returns={"centres": "(K,)", "spreads": "(K,)"},
    story="""
        **The means, if the labels were known.** Now every galaxy belongs to one component. Component $k$ has $n_k$
        members with the average $\\bar x_k$. Given its variance, its mean has a normal posterior,

        $$
        \\mu_k \\mid z, \\sigma_k^2, x \\;\\sim\\;
          \\mathcal N\\Bigl(\\frac{m/s^2 + n_k \\bar x_k/\\sigma_k^2}{1/s^2 + n_k/\\sigma_k^2},\\;
          \\frac{1}{1/s^2 + n_k/\\sigma_k^2}\\Bigr).
        $$

        Return its centre and its variance (not the standard deviation) for each component; nothing is drawn yet. A
        component may have lost all its members. Then the formula has an answer all the same, and it is the prior.
        """,
    hints=[
        "n_k x̄_k is simply the sum of the members. With the sum instead of the average, nothing is ever divided by "
        "zero.",
        "np.bincount(labels, minlength=K) counts the members, and np.bincount(labels, weights=x, minlength=K) sums "
        "them. Without minlength the result is too short when the last component is empty.",
        "precision = 1 / prior['s']**2 + n / variances; the centre is (prior['m'] / prior['s']**2 + sums / variances) "
        "/ precision.",
    ],
    after="""
        Two precisions are added, and the centre is the average of $m$ and $\\bar x_k$ with these precisions as weights.
        The prior counts like $\\sigma_k^2/s^2$ observations at $m$: for the crowd of the galaxies about a twentieth of
        one.
        """,
)
def mean_posterior(x, labels, variances, prior):
    """Posterior of each component's mean, given labels and variances.

    Parameters
    ----------
    x : array (n,)
        Observations.
    labels : array (n,)
        The component of each, from 0 to K - 1; not all K need occur.
    variances : array (K,)
        Variances of the components.
    prior : dict
        With "m" and "s": each mean is normal with mean m and standard deviation s.

    Returns
    -------
    centres : array (K,)
        Mean of the posterior of each component's mean.
    spreads : array (K,)
        Its variance.
    """
    K = len(variances)
    n = np.bincount(labels, minlength=K)
    sums = np.bincount(labels, weights=x, minlength=K)
    precision = 1 / prior["s"] ** 2 + n / variances
    return (prior["m"] / prior["s"] ** 2 + sums / variances) / precision, 1 / precision


@mean_posterior.example
def _():
    return {
        "x": np.array([3.6, 1.8, 3.3, 2.3]),
        "labels": np.array([1, 0, 0, 0]),
        "variances": np.array([1.0, 1.0]),
        "prior": {"m": 3.0, "s": 1.0},
    }


def _known(rng, n, K, empty=()):
    """Observations with labels, of which those in `empty` do not occur."""
    there = np.setdiff1d(np.arange(K), empty)
    labels = rng.permutation(np.concatenate([np.repeat(there, 2), rng.choice(there, size=n - 2 * len(there))]))
    variances = rng.uniform(0.6, 5.0, size=K)
    return (9 + 5 * np.arange(K)[labels] + rng.normal(size=n) * np.sqrt(variances[labels])), labels, variances


def _opinion(rng):
    return {
        "alpha": 2.0,
        "m": rng.uniform(2, 5),
        "s": rng.uniform(1.3, 2.2),
        "a": rng.uniform(2, 4),
        "b": rng.uniform(1, 3),
    }


@mean_posterior.cases
def _(rng):
    def case(n, K, empty=()):
        x, labels, variances = _known(rng, n, K, empty)
        return {"x": x, "labels": labels, "variances": variances, "prior": _opinion(rng)}

    whole = case(15, 3)
    whole["x"] = np.round(whole["x"]).astype(int)
    return {
        "three components": case(17, 3),
        "whole numbers": whole,
        "an empty component": case(14, 4, (1,)),
        "the last component is empty": case(12, 3, (2,)),
    }


mean_posterior.check("components with members", points=3, on=("three components", "whole numbers"))
mean_posterior.check("a component without members", points=1, on="an empty component")
mean_posterior.check("the last component has no members", points=1, on="the last component is empty")


@mean_posterior.slip(
    "The prior is missing: these are the average and its squared standard error. Add 1/s² to the precision and m/s² "
    "to the weighted sum; then an empty component has an answer too."
)
def prior_forgotten(x, labels, variances, prior):
    n, sums = _moments(x, labels, len(variances))
    return sums / n, variances / n


@mean_posterior.slip(
    "The prior's mean m is missing in the numerator. Its precision is in the denominator, so every centre is drawn "
    "towards 0: add m/s² to the weighted sum."
)
def prior_mean_forgotten(x, labels, variances, prior):
    n, sums = _moments(x, labels, len(variances))
    return _mean_given(n, sums, variances, prior | {"m": 0.0})


@mean_posterior.slip("prior['s'] is a standard deviation; a precision is one over its square.")
def s_not_squared(x, labels, variances, prior):
    n, sums = _moments(x, labels, len(variances))
    return _mean_given(n, sums, variances, prior | {"s": np.sqrt(prior["s"])})


@mean_posterior.slip(
    "The number of members is missing: this counts each component as a single observation. The precision of n "
    "observations is n/variance."
)
def members_not_counted(x, labels, variances, prior):
    n, sums = _moments(x, labels, len(variances))
    precision = 1 / prior["s"] ** 2 + 1 / variances
    return (prior["m"] / prior["s"] ** 2 + sums / np.maximum(n, 1) / variances) / precision, 1 / precision


@mean_posterior.slip(
    "The spread is the variance of one observation. The mean of n members is known better than that: its variance is "
    "one over the whole precision."
)
def spread_of_an_observation(x, labels, variances, prior):
    n, sums = _moments(x, labels, len(variances))
    return _mean_given(n, sums, variances, prior)[0], variances


@mean_posterior.slip(
    "The second result is the standard deviation. Asked for is the variance; the root comes when you draw."
)
def root_taken(x, labels, variances, prior):
    centres, spreads = _mean_given(*_moments(x, labels, len(variances)), variances, prior)
    return centres, np.sqrt(spreads)


@mean_posterior.slip("The second result is the precision. The variance is one over it.")
def precision_returned(x, labels, variances, prior):
    centres, spreads = _mean_given(*_moments(x, labels, len(variances)), variances, prior)
    return centres, 1 / spreads


@mean_posterior.slip(
    "The average of an empty component is 0/0, and nan spreads from there. Use the sum of the members: it is 0 when "
    "there are none, and the formula then returns the prior."
)
def average_of_none(x, labels, variances, prior):
    n, sums = _moments(x, labels, len(variances))
    return _mean_given(n, n * (sums / n), variances, prior)


@mean_posterior.slip(
    "np.bincount(labels) is as long as the largest label that occurs. When the last component is empty, it is one too "
    "short: say minlength=len(variances)."
)
def too_short(x, labels, variances, prior):
    return _mean_given(np.bincount(labels), np.bincount(labels, weights=x), variances, prior)


@mean_posterior.also
def one_component_at_a_time(x, labels, variances, prior):
    centres, spreads = [], []
    for k, variance in enumerate(variances):
        members = x[labels == k]
        precision = 1 / prior["s"] ** 2 + len(members) / variance
        centres.append((prior["m"] / prior["s"] ** 2 + sum(members) / variance) / precision)
        spreads.append(1 / precision)
    return centres, spreads


# ---------------------------------------------------------------- 3
@exercise.function(
    returns={"shapes": "(K,)", "rates": "(K,)"},
    story="""
        **The variances, if labels and means were known.** With $S_k = \\sum_{i: z_i = k} (x_i - \\mu_k)^2$, the squares
        about the mean *that is given*,

        $$\\sigma_k^2 \\mid z, \\mu_k, x \\;\\sim\\; \\text{IG}\\bigl(a + \\tfrac12 n_k,\\; b + \\tfrac12 S_k\\bigr).$$

        Return the two numbers of this inverse-gamma for each component. We call them *shape* and *rate*:
        $1/\\sigma_k^2$ has a gamma distribution with this shape and this rate.
        """,
    hints=[
        "means[labels] is (n,): for each observation the mean of its own component.",
        "np.bincount(labels, weights=(x - means[labels])**2, minlength=K) are the sums of squares.",
        "shapes = prior['a'] + n / 2 and rates = prior['b'] + squares / 2.",
    ],
    after="""
        The normal density contains $(\\sigma^2)^{-1/2}$ and $e^{-(x-\\mu)^2/2\\sigma^2}$. Each member therefore brings
        one half to the shape and half a square to the rate. Nothing is divided by $n_k$ or $n_k - 1$: the mean is
        given, so no degree of freedom was spent on it.
        """,
)
def variance_posterior(x, labels, means, prior):
    """Posterior of each component's variance, given labels and means.

    Parameters
    ----------
    x : array (n,)
        Observations.
    labels : array (n,)
        The component of each, from 0 to K - 1; not all K need occur.
    means : array (K,)
        Means of the components.
    prior : dict
        With "a" and "b": each variance is inverse-gamma with shape a and rate b.

    Returns
    -------
    shapes, rates : arrays (K,), (K,)
        Of the inverse-gamma posterior of each variance.
    """
    n = np.bincount(labels, minlength=len(means))
    squares = np.bincount(labels, weights=(x - means[labels]) ** 2, minlength=len(means))
    return prior["a"] + n / 2, prior["b"] + squares / 2


@variance_posterior.example
def _():
    return {
        "x": np.array([3.6, 1.8, 3.3, 2.3]),
        "labels": np.array([1, 0, 0, 0]),
        "means": np.array([2.0, 3.6]),
        "prior": {"a": 2.0, "b": 2.0},
    }


@variance_posterior.cases
def _(rng):
    def case(n, K, empty=()):
        x, labels, _ = _known(rng, n, K, empty)
        means = 9 + 5 * np.arange(K) + rng.uniform(0.5, 1.5, size=K)
        return {"x": x, "labels": labels, "means": means, "prior": _opinion(rng)}

    return {
        "three components": case(17, 3),
        "two components": case(24, 2),
        "an empty component": case(14, 4, (1,)),
        "the last component is empty": case(12, 3, (2,)),
    }


variance_posterior.check("components with members", points=3, on=("three components", "two components"))
variance_posterior.check(
    "a component without members", points=1, on=("an empty component", "the last component is empty")
)


@variance_posterior.slip(
    "The half is missing in the rate: each square enters with the factor 1/2, as in the exponent of the normal density."
)
def squares_not_halved(x, labels, means, prior):
    shapes, rates = _variance_given(x, labels, means, prior)
    return shapes, 2 * rates - prior["b"]


@variance_posterior.slip(
    "The half is missing in the shape: each member brings one half, since the density has the *root* of the variance "
    "below."
)
def count_not_halved(x, labels, means, prior):
    shapes, rates = _variance_given(x, labels, means, prior)
    return 2 * shapes - prior["a"], rates


@variance_posterior.slip(
    "Both halves are missing. Their ratio, the variance, is about right, but the posterior claims twice as many "
    "observations as there are and is too narrow."
)
def no_halves(x, labels, means, prior):
    shapes, rates = _variance_given(x, labels, means, prior)
    return 2 * shapes - prior["a"], 2 * rates - prior["b"]


@variance_posterior.slip(
    "The squares are taken about the average of the members. In this step the mean is given, and the squares are "
    "about it; they are larger."
)
def about_the_average(x, labels, means, prior):
    n, sums = _moments(x, labels, len(means))
    averages = np.divide(sums, n, out=np.zeros(len(n)), where=n > 0)
    return _variance_given(x, labels, averages, prior)


@variance_posterior.slip("The squares were averaged. The rate takes their sum: more members, more evidence.")
def mean_square(x, labels, means, prior):
    shapes, rates = _variance_given(x, labels, means, prior)
    n = np.bincount(labels, minlength=len(means))
    return shapes, prior["b"] + (rates - prior["b"]) / np.maximum(n, 1)


@variance_posterior.slip(
    "The prior is missing. An empty component would have the inverse-gamma (0, 0), from which nobody can draw."
)
def no_prior(x, labels, means, prior):
    shapes, rates = _variance_given(x, labels, means, prior)
    return shapes - prior["a"], rates - prior["b"]


@variance_posterior.slip(
    "The second result is one over the rate. Both conventions exist; here the rate is asked for, b plus half the "
    "squares."
)
def scale_for_rate(x, labels, means, prior):
    shapes, rates = _variance_given(x, labels, means, prior)
    return shapes, 1 / rates


@variance_posterior.slip(
    "This spends a degree of freedom, (n - 1)/2, as an estimate of a variance does when it has estimated the mean. "
    "Here the mean is given."
)
def degree_of_freedom(x, labels, means, prior):
    shapes, rates = _variance_given(x, labels, means, prior)
    return shapes - 0.5, rates


@variance_posterior.slip(
    "np.bincount(labels) is as long as the largest label that occurs. When the last component is empty, it is one too "
    "short: say minlength=len(means)."
)
def counted_too_short(x, labels, means, prior):
    return prior["a"] + np.bincount(labels) / 2, prior["b"] + np.bincount(labels, weights=(x - means[labels]) ** 2) / 2


@variance_posterior.also
def member_by_member(x, labels, means, prior):
    shapes = [float(prior["a"])] * len(means)
    rates = [float(prior["b"])] * len(means)
    for value, k in zip(x, labels, strict=True):
        shapes[k] += 0.5
        rates[k] += 0.5 * (value - means[k]) ** 2
    return shapes, rates


# ---------------------------------------------------------------- 4
@exercise.function(
    returns={"weights": "(K,)", "means": "(K,)", "variances": "(K,)"},
    story="""
        **Draw, instead of maximise.** The labels are known. Draw, in this order,

        1. the weights from $\\text{Dirichlet}(\\alpha + n_1, \\dots, \\alpha + n_K)$;
        2. each mean from its normal posterior, given the variance that the component has *now*;
        3. each variance from its inverse-gamma posterior, given the mean that you have *just drawn*.

        NumPy has no inverse-gamma. But if $G$ has a gamma distribution with shape $A$ and rate $B$, then $1/G$ has the
        inverse-gamma distribution with shape $A$ and rate $B$. And mind what `rng.gamma` and `rng.normal` take as their
        second argument: look it up.
        """,
    hints=[
        "rng.normal(centre, scale): the scale is a standard deviation. rng.gamma(shape, scale): the scale is one over "
        "the rate. Both take arrays, and then return one draw for each entry.",
        "weights = rng.dirichlet(prior['alpha'] + np.bincount(labels, minlength=K)); centres and spreads come from "
        "mean_posterior.",
        "means = rng.normal(centres, np.sqrt(spreads)); then shapes, rates = variance_posterior(x, labels, means, "
        "prior) with these means; variances = 1 / rng.gamma(shapes, 1 / rates).",
    ],
    after="""
        `rates / rng.gamma(shapes)` is the same. This step never looks at a likelihood: labels, counts and sums of
        squares are all it needs of the data. Had you put *expected* counts and sums into the same formulas, and
        returned centres instead of draws, it would be the M-step of MAP-EM.
        """,
    compare=alike(
        lambda drawn, inputs: _parameter_scores(
            inputs["x"], inputs["labels"], inputs["variances"], inputs["prior"], drawn
        )
    ),
)
def draw_parameters(x, labels, variances, prior, rng):
    """Draw weights, means and variances, given the labels.

    Parameters
    ----------
    x : array (n,)
        Observations.
    labels : array (n,)
        The component of each, from 0 to K - 1; not all K need occur.
    variances : array (K,)
        The variances that the components have now.
    prior : dict
        With "alpha", "m", "s", "a" and "b".
    rng : numpy.random.Generator
        Where random numbers come from.

    Returns
    -------
    weights, means, variances : arrays (K,), (K,), (K,)
        The new ones.
    """
    weights = rng.dirichlet(prior["alpha"] + np.bincount(labels, minlength=len(variances)))
    centres, spreads = mean_posterior(x, labels, variances, prior)
    means = rng.normal(centres, np.sqrt(spreads))
    shapes, rates = variance_posterior(x, labels, means, prior)
    return weights, means, 1 / rng.gamma(shapes, 1 / rates)


@draw_parameters.example
def _():
    from ... import data

    x = data.galaxies()[:, 0]
    labels = np.where(x < 13, 0, np.where(x < 30, 1, 2))
    return {"x": x, "labels": labels, "variances": np.array([1.0, 4.0, 1.0]), "prior": PRIOR, "rng": Seed(1)}


@draw_parameters.draws(
    """Three normal curves drawn from the posterior, over the 82 galaxies as ticks: a small one near 10, a large one
    near 21 and a small one near 33."""
)
def _curves(ax, answer, x, labels, variances, prior, rng):
    _components(ax, x, labels, *map(np.asarray, answer))


def _components(ax, x, labels, weights, means, variances):
    from ...view import style

    grid = np.linspace(5, 40, 400)
    for k in range(len(means)):
        density = (
            weights[k] * np.exp(-((grid - means[k]) ** 2) / (2 * variances[k])) / np.sqrt(2 * np.pi * variances[k])
        )
        ax.fill_between(grid, density, color=style.COLORS[k], alpha=0.35, linewidth=0)
        ax.plot(x[labels == k], np.full((labels == k).sum(), -0.01), "|", color=style.COLORS[k])
    ax.set(xlabel="velocity (1000 km/s)", ylabel="weight × density")


@draw_parameters.cases
def _(rng):
    def case(n, K, empty):
        x, labels, variances = _known(rng, n, K, empty)
        return {"x": x, "labels": labels, "variances": variances, "prior": _opinion(rng), "rng": _seed(rng)}

    K = 1800
    many = case(5400, K, np.append(rng.permutation(K - 1)[:599], K - 1))
    many["x"] = 8 + rng.normal(size=5400) * np.sqrt(many["variances"][many["labels"]])
    return {
        "three components": case(600, 3, ()),
        "the last component is empty": case(300, 3, (2,)),
        "eighteen hundred components": many,
    }


draw_parameters.check("three components", points=2, on="three components")
draw_parameters.check("a component without members", points=1, on="the last component is empty")
draw_parameters.check("very many components, to see how the draws scatter", points=4, on="eighteen hundred components")


def _draws(x, labels, variances, prior, rng, mean=None, variance=None, about=None, alpha=None):
    """The reference in pieces that can be exchanged."""
    K = len(variances)
    n, sums = _moments(x, labels, K)
    weights = rng.dirichlet((prior["alpha"] if alpha is None else alpha) + n)
    centres, spreads = _mean_given(n, sums, variances, prior)
    means = mean(centres, spreads) if mean else rng.normal(centres, np.sqrt(spreads))
    given = about(n, sums, centres) if about else means
    shapes, rates = _variance_given(x, labels, given, prior)
    return weights, means, variance(shapes, rates) if variance else 1 / rng.gamma(shapes, 1 / rates)


@draw_parameters.slip(
    "rng.normal takes a standard deviation, and you gave it the variance: take the root of the spreads."
)
def variance_for_deviation(x, labels, variances, prior, rng):
    return _draws(x, labels, variances, prior, rng, mean=lambda centres, spreads: rng.normal(centres, spreads))


@draw_parameters.slip(
    "This draws from the gamma distribution, so these are precisions. A variance is one over such a draw; that is "
    "what *inverse*-gamma means."
)
def gamma_not_inverse(x, labels, variances, prior, rng):
    return _draws(x, labels, variances, prior, rng, variance=lambda shapes, rates: rng.gamma(shapes, 1 / rates))


@draw_parameters.slip(
    "The second argument of rng.gamma is the scale, one over the rate. With the rate in its place, components with "
    "large squares get small variances."
)
def rate_for_scale(x, labels, variances, prior, rng):
    return _draws(x, labels, variances, prior, rng, variance=lambda shapes, rates: 1 / rng.gamma(shapes, rates))


@draw_parameters.slip(
    "This is a draw from the gamma distribution with the rate as its scale: neither inverted nor of the right scale. "
    "Take 1 / rng.gamma(shapes, 1 / rates)."
)
def gamma_with_the_rate(x, labels, variances, prior, rng):
    return _draws(x, labels, variances, prior, rng, variance=lambda shapes, rates: rng.gamma(shapes, rates))


@draw_parameters.slip(
    "The means are the centres of their posterior, and nothing was drawn. That is the M-step of MAP-EM; the cloud of "
    "a sampler that does so is far too small."
)
def means_not_drawn(x, labels, variances, prior, rng):
    return _draws(x, labels, variances, prior, rng, mean=lambda centres, spreads: centres)


@draw_parameters.slip(
    "Weights, means and variances are all set to the best value, and nothing was drawn. Labels drawn and parameters "
    "maximised is stochastic EM, whose scatter leaves out most of what is unknown."
)
def nothing_drawn(x, labels, variances, prior, rng):
    n, sums = _moments(x, labels, len(variances))
    centres, _ = _mean_given(n, sums, variances, prior)
    shapes, rates = _variance_given(x, labels, centres, prior)
    alpha = prior["alpha"] + n
    return alpha / alpha.sum(), centres, rates / (shapes + 1)


@draw_parameters.slip(
    "The weights are shares of the labels, not draws. Draw them from the Dirichlet distribution with alpha plus the "
    "counts."
)
def weights_not_drawn(x, labels, variances, prior, rng):
    _, means, new = _draws(x, labels, variances, prior, rng)
    return np.bincount(labels, minlength=len(means)) / len(x), means, new


@draw_parameters.slip(
    "The prior's alpha is missing: the Dirichlet distribution gets alpha plus the counts. With the counts alone an "
    "empty component has weight 0, and can never come back."
)
def alpha_forgotten(x, labels, variances, prior, rng):
    return _draws(x, labels, variances, prior, rng, alpha=0.0)


@draw_parameters.slip(
    "The variances are drawn given the centres of the means' posterior, or averages. They must be given the means "
    "that you have just drawn; otherwise means and variances do not belong together."
)
def squares_about_the_centre(x, labels, variances, prior, rng):
    return _draws(x, labels, variances, prior, rng, about=lambda n, sums, centres: centres)


@draw_parameters.also
def in_a_loop(x, labels, variances, prior, rng):
    from scipy.stats import invgamma

    gammas, means, new = [], [], []
    for k, variance in enumerate(variances):
        members = x[labels == k]
        precision = 1 / prior["s"] ** 2 + len(members) / variance
        centre = (prior["m"] / prior["s"] ** 2 + members.sum() / variance) / precision
        means.append(centre + rng.standard_normal() / np.sqrt(precision))
        squares = ((members - means[-1]) ** 2).sum()
        if len(variances) < 50:
            new.append(invgamma.rvs(prior["a"] + len(members) / 2, scale=prior["b"] + squares / 2, random_state=rng))
        else:  # the same, sooner
            new.append((prior["b"] + squares / 2) / rng.standard_gamma(prior["a"] + len(members) / 2))
        gammas.append(rng.standard_gamma(prior["alpha"] + len(members)))
    return np.array(gammas) / sum(gammas), means, new


# ---------------------------------------------------------------- 5
@exercise.function(
    returns={"labels": "(n,)", "weights": "(K,)", "means": "(K,)", "variances": "(K,)"},
    story="""
        **One sweep.** Here is the whole state of the sampler: labels, weights, means, variances. Draw new labels given
        the parameters; then draw new parameters given the *new* labels, as above. What are the old labels good for,
        then? For nothing. They are handed to you because a state consists of labels and parameters, and what you return
        is the next state.
        """,
    hints=[
        "Three lines: the log joint density, draw_labels, draw_parameters.",
        "For one dimension the log joint is np.log(weights) - np.log(2 * np.pi * variances) / 2 - (x[:, None] - "
        "means)**2 / (2 * variances), of shape (n, K).",
        "labels = draw_labels(a, rng), and then draw_parameters(x, labels, variances, prior, rng) with these labels "
        "and the variances that came in.",
    ],
    after="""
        Why must it be the new labels? Given the old ones, the pair that you return would not belong together: the
        parameters would know nothing of the labels beside them. In fact there would be two samplers, taking turns, that
        never speak to each other. Averages of one parameter would look right, and this is why the mistake is rarely
        found by looking at them.
        """,
    compare=alike(
        lambda state, inputs: (
            _label_scores(
                state[0], _shares(_log_joint(inputs["x"], inputs["weights"], inputs["means"], inputs["variances"]))
            )
            | _parameter_scores(inputs["x"], state[0], inputs["variances"], inputs["prior"], state[1:])
        )
    ),
)
def sweep(x, labels, weights, means, variances, prior, rng):
    """One sweep of the Gibbs sampler.

    Parameters
    ----------
    x : array (n,)
        Observations.
    labels : array (n,)
        Labels of the state before.
    weights, means, variances : arrays (K,), (K,), (K,)
        Parameters of the state before.
    prior : dict
        With "alpha", "m", "s", "a" and "b".
    rng : numpy.random.Generator
        Where random numbers come from.

    Returns
    -------
    labels : array (n,)
        Drawn given the parameters of the state before.
    weights, means, variances : arrays (K,), (K,), (K,)
        Drawn given the new labels: first the weights, then the means given the variances of the state before, then the
        variances given the new means.
    """
    squares = (x[:, None] - means) ** 2
    log_joint = np.log(weights) - np.log(2 * np.pi * variances) / 2 - squares / (2 * variances)
    labels = draw_labels(log_joint, rng)
    return labels, *draw_parameters(x, labels, variances, prior, rng)


@sweep.example
def _():
    from ... import data

    x = data.galaxies()[:, 0]
    return {
        "x": x,
        "labels": np.arange(82) % 3,
        "weights": np.array([0.2, 0.5, 0.3]),
        "means": np.array([12.0, 21.0, 26.0]),
        "variances": np.array([9.0, 9.0, 25.0]),
        "prior": PRIOR,
        "rng": Seed(1),
    }


@sweep.draws(
    """After one sweep from a poor start: the 82 galaxies as ticks in the colours of their new labels, and above
    them three normal curves, one over the slow galaxies, two that share the crowd and the fast ones."""
)
def _state(ax, answer, x, labels, weights, means, variances, prior, rng):
    _components(ax, x, *map(np.asarray, answer))


@sweep.cases
def _(rng):
    def case(n, means, variances, weights, of_data=None, unit=1.0):
        """Data that are not quite what the parameters say, so that parameters which stay where they are do not fit."""
        K = len(means)
        at = rng.choice(K, size=n, p=of_data)
        x = means[at] + 0.5 + rng.normal(size=n) * np.sqrt(1.8 * variances[at])
        prior = _opinion(rng)
        return {
            "x": x * unit,
            "labels": rng.integers(K, size=n),
            "weights": weights,
            "means": means * unit,
            "variances": variances * unit**2,
            "prior": prior | {"m": prior["m"] * unit, "s": prior["s"] * unit, "b": prior["b"] * unit**2},
            "rng": _seed(rng),
        }

    K = 150
    tilted = np.linspace(0.5, 1.5, K) ** 2
    return {
        "three components": case(
            900,
            np.array([9.0, 12.0, 19.0]) + rng.uniform(-0.3, 0.3, size=3),
            rng.uniform(2.0, 4.0, size=3),
            np.array([0.6, 0.1, 0.3]),
            of_data=[0.3, 0.6, 0.1],
        ),
        # In other units variances and standard deviations differ more.
        "a hundred and fifty components": case(
            600,
            rng.permutation(np.linspace(5, 75, K)),
            rng.uniform(1.0, 4.0, size=K),
            rng.permutation(tilted / tilted.sum()),
            unit=0.2,
        ),
    }


sweep.check("three components", points=3, on="three components")
sweep.check("very many components, to see how the draws scatter", points=3, on="a hundred and fifty components")


def _swept(x, old, weights, means, variances, prior, rng, labels=None, given=None):
    r = _shares(_log_joint(x, weights, means, variances))
    new = labels(r) if labels else _drawn(r, rng.random(len(x))[:, None])
    return new, *_draws(x, new if given is None else given, variances, prior, rng)


@sweep.slip(
    "The parameters were drawn given the old labels. The new labels are drawn, returned, and used by nobody in this "
    "sweep: draw the parameters given the new ones."
)
def given_the_old_labels(x, labels, weights, means, variances, prior, rng):
    return _swept(x, labels, weights, means, variances, prior, rng, given=labels)


@sweep.slip(
    "The parameters were drawn first, given the old labels, and the labels afterwards. Alternated for ever that is "
    "the same walk, but as one sweep it is not what was asked: labels first, then parameters given the new labels."
)
def parameters_first(x, labels, weights, means, variances, prior, rng):
    weights, means, variances = _draws(x, labels, variances, prior, rng)
    r = _shares(_log_joint(x, weights, means, variances))
    return _drawn(r, rng.random(len(x))[:, None]), weights, means, variances


@sweep.slip("The old labels are returned, and the parameters drawn given them: no label was drawn at all.")
def no_labels_drawn(x, labels, weights, means, variances, prior, rng):
    return labels, *_draws(x, labels, variances, prior, rng)


@sweep.slip(
    "The weights are missing from the probabilities of the labels: a rare component gets as many of the doubtful "
    "observations as a common one."
)
def weights_forgotten(x, labels, weights, means, variances, prior, rng):
    return _swept(x, labels, np.full(len(weights), 1 / len(weights)), means, variances, prior, rng)


@sweep.slip(
    "Each observation got its most probable label. With hard labels the components keep what they have and only the "
    "parameters wander: draw the labels."
)
def most_probable_labels(x, labels, weights, means, variances, prior, rng):
    return _swept(x, labels, weights, means, variances, prior, rng, labels=lambda r: r.argmax(axis=1))


@sweep.slip(
    "The parameters were drawn given the expected counts and sums, shares instead of labels. That is EM with noise: "
    "the draws do not know which labels were drawn, and they scatter too little."
)
def shares_for_labels(x, labels, weights, means, variances, prior, rng):
    r = _shares(_log_joint(x, weights, means, variances))
    n, sums = r.sum(axis=0), x @ r
    centres, spreads = _mean_given(n, sums, variances, prior)
    new_means = rng.normal(centres, np.sqrt(spreads))
    squares = x**2 @ r - 2 * new_means * sums + n * new_means**2
    new_variances = (prior["b"] + squares / 2) / rng.gamma(prior["a"] + n / 2)
    return _drawn(r, rng.random(len(x))[:, None]), rng.dirichlet(prior["alpha"] + n), new_means, new_variances


@sweep.slip(
    "The variances were drawn before the means. That, too, is a Gibbs sweep, and `emlib` does it so, but it is not "
    "the one asked for: first the means, given the variances that came in, then the variances, given the new means."
)
def variances_before_means(x, labels, weights, means, variances, prior, rng):
    r = _shares(_log_joint(x, weights, means, variances))
    new = _drawn(r, rng.random(len(x))[:, None])
    shapes, rates = _variance_given(x, new, means, prior)
    new_variances = rates / rng.gamma(shapes)
    n, sums = _moments(x, new, len(means))
    centres, spreads = _mean_given(n, sums, new_variances, prior)
    return new, rng.dirichlet(prior["alpha"] + n), rng.normal(centres, np.sqrt(spreads)), new_variances


@sweep.also
def with_gumbel_and_loops(x, labels, weights, means, variances, prior, rng):
    a = _log_joint(x, weights, means, variances)
    new = (a + rng.gumbel(size=a.shape)).argmax(axis=1)
    return [new.tolist(), *in_a_loop(x, new, variances, prior, rng)]


# ---------------------------------------------------------------- 6
@exercise.function(
    returns={"r_hat": "()"},
    story="""
        **Do the chains agree?** `draws` holds one parameter: a row for each of $C$ chains, $S$ draws in each. Compare
        the variance within the chains with the variance between their averages,

        $$
        \\hat R = \\sqrt{\\frac{\\frac{S-1}{S} W + B}{W}}, \\qquad W = \\frac1C \\sum_c s_c^2, \\qquad
        B = \\frac1{C-1} \\sum_c (\\bar\\theta_c - \\bar\\theta)^2 .
        $$

        Here $s_c^2$ is the variance of chain $c$ with the divisor $S - 1$. Some books multiply $B$ by $S$ and divide by
        $S$ later. Here $B$ is simply the variance of the averages.
        """,
    hints=[
        "Each chain is a row: draws.mean(axis=1) are the averages, draws.var(axis=1, ddof=1) the variances within.",
        "W is the mean of the latter, B = draws.mean(axis=1).var(ddof=1).",
    ],
    after="""
        R-hat compares chains with each other and cannot know of a place where none of them has been. Above 1.01 one
        should not go on; below it one may, if the chains had started far apart.
        """,
)
def r_hat(draws):
    """R-hat of one parameter.

    Parameters
    ----------
    draws : array (C, S)
        One row a chain.

    Returns
    -------
    r_hat : float
        About 1 if the chains agree; larger if they do not.
    """
    S = draws.shape[1]
    W = draws.var(axis=1, ddof=1).mean()
    B = draws.mean(axis=1).var(ddof=1)
    return np.sqrt(((S - 1) / S * W + B) / W)


@r_hat.example
def _():
    return {"draws": np.array([[9.5, 9.9, 9.6, 9.8], [9.7, 9.4, 9.8, 9.5], [19.2, 19.9, 20.1, 19.4]])}


@r_hat.cases
def _(rng):
    agree = 10 + rng.normal(size=(4, 6))
    agree += 0.3 - 0.6 * (np.arange(4)[:, None] % 2)
    apart = np.array([10.0, 10.2, 20.0])[:, None] + rng.normal(size=(3, 25)) * np.array([[0.5], [0.7], [1.4]])
    counts = rng.integers(0, 9, size=(2, 5))
    counts[1] += 4
    counts[:, 0] += 7
    return {
        "chains that agree": {"draws": agree},
        "one that does not": {"draws": apart},
        "whole numbers": {"draws": counts},
    }


r_hat.check("chains that agree, and chains that do not", points=3, on=("chains that agree", "one that does not"))
r_hat.check("draws that are whole numbers", points=1, on="whole numbers")


def _ratio(draws, within=1, between=1, factor=1.0, axis=1):
    S = draws.shape[axis]
    W, B = draws.var(axis=axis, ddof=within).mean(), draws.mean(axis=axis).var(ddof=between)
    return np.sqrt(((S - 1) / S * W + factor * B) / W)


@r_hat.slip("The root is missing: R-hat is a ratio of standard deviations.")
def no_root(draws):
    return _ratio(draws) ** 2


@r_hat.slip(
    "B was multiplied by S. Books that define it so divide it by S again in the sum; here B is the variance of the "
    "averages itself."
)
def between_times_draws(draws):
    return _ratio(draws, factor=draws.shape[1])


@r_hat.slip("The averages are those of the columns, across the chains. Each chain is a row: average along axis 1.")
def across_the_chains(draws):
    return _ratio(draws, axis=0)


@r_hat.slip("np.var divides by S unless told otherwise; s² has the divisor S - 1: say ddof=1.")
def within_by_S(draws):
    return _ratio(draws, within=0)


@r_hat.slip(
    "np.var divides by C unless told otherwise; B has the divisor C - 1: say ddof=1. With few chains that matters."
)
def between_by_C(draws):
    return _ratio(draws, between=0)


@r_hat.slip(
    "np.var divides by the number of values unless told otherwise. Here both variances have that number less one: say "
    "ddof=1 twice."
)
def both_by_n(draws):
    return _ratio(draws, within=0, between=0)


@r_hat.slip("These are standard deviations where variances belong: W is the mean of the squares s².")
def deviations(draws):
    S = draws.shape[1]
    W, B = draws.std(axis=1, ddof=1).mean(), draws.mean(axis=1).std(ddof=1)
    return np.sqrt(((S - 1) / S * W + B) / W)


@r_hat.slip("This is B/W. The numerator is the variance of all chains in one pot: (S - 1)/S times W, plus B.")
def between_over_within(draws):
    return np.sqrt(draws.mean(axis=1).var(ddof=1) / draws.var(axis=1, ddof=1).mean())


@r_hat.also
def chain_by_chain(draws):
    C, S = len(draws), len(draws[0])
    averages = [sum(chain) / S for chain in draws]
    W = (
        sum(sum((value - mean) ** 2 for value in chain) / (S - 1) for chain, mean in zip(draws, averages, strict=True))
        / C
    )
    grand = sum(averages) / C
    B = sum((mean - grand) ** 2 for mean in averages) / (C - 1)
    return float(((S - 1) / S + B / W) ** 0.5)


# ---------------------------------------------------------------- 7
@exercise.function(
    returns={"weights": "(K,)", "means": "(K,)"},
    story="""
        **What to report.** Several chains have run. Their draws come as arrays of $C$ chains, $S$ draws and $K$
        components. Two things stand between them and an average. The first draws of *every* chain still remember where
        it began: leave out `burn_in` of them. And component 0 is now this clump, now that one: put the components of
        *each draw* into the order of their means, slowest first, and take the weights along. Then average over all
        draws that are left.
        """,
    hints=[
        "Draws are the second axis: means[:, burn_in:].",
        "order = np.argsort(means, axis=-1) has for each draw the order of its components. np.take_along_axis(means, "
        "order, axis=-1) applies it, and the same order belongs to the weights.",
        "At the end average over chains and draws: .mean(axis=(0, 1)).",
    ],
    after="""
        Sort, then average; the other way round one sorts averages that are already of nobody. Ordering by the means is
        a choice that serves the galaxies, whose clumps lie far apart. Where components overlap, chapter 7 orders by
        what they say about the observations.
        """,
)
def posterior_means(weights, means, burn_in):
    """Posterior means of weights and means, components in order of their means.

    Parameters
    ----------
    weights, means : arrays (C, S, K)
        Draws of C chains.
    burn_in : int
        How many draws to leave out at the start of each chain.

    Returns
    -------
    weights, means : arrays (K,), (K,)
        Averages over chains and draws, the component with the smallest mean first in every draw.
    """
    weights, means = weights[:, burn_in:], means[:, burn_in:]
    order = np.argsort(means, axis=-1)
    weights = np.take_along_axis(weights, order, axis=-1)
    means = np.take_along_axis(means, order, axis=-1)
    return weights.mean(axis=(0, 1)), means.mean(axis=(0, 1))


def _chains(rng, C, S, K, burn_in):
    """Draws that begin in the crowd, and whose labels switch."""
    means = 9 + 11.5 * np.arange(K) + rng.normal(size=(C, S, K)) * 0.7
    weights = rng.dirichlet(np.array([80.0, 25.0, 45.0])[:K], size=(C, S))
    away = np.exp(-np.arange(S) / max(burn_in / 4, 1))[None, :, None] * (burn_in > 0)
    means = means + away * (21 - means + rng.uniform(1, 4, size=(C, 1, K)))
    switch = rng.permuted(np.broadcast_to(np.arange(K), (C, 3, K)), axis=-1)
    order = np.repeat(switch, -(-S // 3), axis=1)[:, :S]
    order[0, -1], order[0, -2] = np.arange(K), np.arange(K)[::-1]
    return np.take_along_axis(weights, order, axis=-1), np.take_along_axis(means, order, axis=-1)


@posterior_means.example
def _():
    weights, means = _chains(np.random.default_rng(7), 2, 60, 3, 20)
    return {"weights": weights, "means": means, "burn_in": 20}


@posterior_means.draws(
    """Draws of three means in two chains against the number of the draw. During the first twenty draws, on a grey
    ground, they come apart from a common value near 22; then they run along three levels near 9, 20 and 32, and
    exchange their colours now and then. Horizontal lines mark the three posterior means."""
)
def _bands(ax, answer, weights, means, burn_in):
    from ...view import style

    for chain in means:
        for k in range(means.shape[2]):
            ax.plot(chain[:, k], ".", color=style.COLORS[k], ms=3)
    for level in np.asarray(answer[1]):
        ax.axhline(level, color=style.INK, lw=1)
    ax.axvspan(0, burn_in, color="#dddddd", zorder=0)
    ax.set(xlabel="draw", ylabel="mean of component 0, 1, 2")


@posterior_means.cases
def _(rng):
    def case(C, S, K, burn_in):
        weights, means = _chains(rng, C, S, K, burn_in)
        return {"weights": weights, "means": means, "burn_in": burn_in}

    return {
        "four chains": case(4, 50, 3, 15),
        "two components": case(3, 40, 2, 8),
        "nothing to leave out": case(2, 30, 3, 0),
    }


posterior_means.check("several chains, labels that switch, a burn-in", points=4, on=("four chains", "two components"))
posterior_means.check("no burn-in to leave out", points=1, on="nothing to leave out")


def _sorted(weights, means):
    order = np.argsort(means, axis=-1)
    return np.take_along_axis(weights, order, axis=-1), np.take_along_axis(means, order, axis=-1)


@posterior_means.slip(
    "The burn-in was kept. The first draws of each chain lie where the chain was put, not where the posterior is: "
    "leave them out."
)
def burn_in_kept(weights, means, burn_in):
    weights, means = _sorted(weights, means)
    return weights.mean(axis=(0, 1)), means.mean(axis=(0, 1))


@posterior_means.slip(
    "Only the first chain lost its burn-in, since the chains were joined before. Every chain has a beginning: cut "
    "along axis 1 first."
)
def burn_in_of_one_chain(weights, means, burn_in):
    weights, means = _sorted(weights, means)
    K = means.shape[2]
    return weights.reshape(-1, K)[burn_in:].mean(axis=0), means.reshape(-1, K)[burn_in:].mean(axis=0)


@posterior_means.slip("This keeps the burn-in and throws the rest away: take [:, burn_in:], not [:, :burn_in].")
def burn_in_alone(weights, means, burn_in):
    weights, means = _sorted(weights[:, :burn_in], means[:, :burn_in])
    return weights.mean(axis=(0, 1)), means.mean(axis=(0, 1))


@posterior_means.slip(
    "This averages component 0 as it was drawn, across label switches: the result is the mean of no clump. Order the "
    "components of each draw before averaging."
)
def across_label_switches(weights, means, burn_in):
    return weights[:, burn_in:].mean(axis=(0, 1)), means[:, burn_in:].mean(axis=(0, 1))


@posterior_means.slip(
    "The averages were sorted, after averaging across label switches. By then the clumps are mixed up: sort within "
    "each draw first."
)
def sorted_too_late(weights, means, burn_in):
    return _sorted(weights[:, burn_in:].mean(axis=(0, 1)), means[:, burn_in:].mean(axis=(0, 1)))


@posterior_means.slip(
    "Weights and means were sorted apart from each other, so a weight may stand beside the mean of another component. "
    "Find the order of the means, and put the weights into the same."
)
def sorted_apart(weights, means, burn_in):
    return np.sort(weights[:, burn_in:], axis=-1).mean(axis=(0, 1)), np.sort(means[:, burn_in:], axis=-1).mean(
        axis=(0, 1)
    )


@posterior_means.slip(
    "The means were put in order, and the weights stayed as they were drawn: they belong to the same components, and "
    "go with them."
)
def weights_left_behind(weights, means, burn_in):
    return weights[:, burn_in:].mean(axis=(0, 1)), np.sort(means[:, burn_in:], axis=-1).mean(axis=(0, 1))


@posterior_means.slip(
    "The components are ordered once, by the averages of each chain. Labels switch within a chain too: find the order "
    "of each draw."
)
def order_of_the_chain(weights, means, burn_in):
    weights, means = weights[:, burn_in:], means[:, burn_in:]
    order = np.broadcast_to(np.argsort(means.mean(axis=1, keepdims=True), axis=-1), means.shape)
    weights, means = np.take_along_axis(weights, order, axis=-1), np.take_along_axis(means, order, axis=-1)
    return weights.mean(axis=(0, 1)), means.mean(axis=(0, 1))


@posterior_means.also
def draw_by_draw(weights, means, burn_in):
    rows = [
        sorted(zip(mu, w, strict=True))
        for chain_w, chain_mu in zip(weights, means, strict=True)
        for w, mu in zip(chain_w[burn_in:], chain_mu[burn_in:], strict=True)
    ]
    kept = np.array(rows)
    return [kept[:, :, 1].mean(axis=0).tolist(), kept[:, :, 0].mean(axis=0).tolist()]
