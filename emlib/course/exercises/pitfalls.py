"""Exercise of chapter 6: spikes and what keeps them away, the choice among starts, twins, and how many components."""

import numpy as np

from ..compare import close
from ..contract import Exercise

exercise = Exercise(
    "pitfalls",
    title="Pitfalls",
    minutes=100,
    objectives=[
        "follow a likelihood to infinity, and recognise the fits that run after it, in any units;",
        "choose among many starts without ever choosing a spike;",
        "write EM with a prior, and say what it is that climbs then;",
        "tell a saddle from a summit, and compare numbers of components by BIC.",
    ],
    intro="""
        Chapter 6 let `emlib` fall into every trap. Here you build the warning signs. The functions are small and the
        traps are real: in each of them there is a number that looks right on the page and is wrong on the data.

        The galaxies are those of the chapter, 82 velocities in thousands of kilometres per second. Dealt alternately,
        in order, they make a training half and a held-out half.
        """,
    setup="""
        velocities = emlib.data.galaxies()[:, 0]
        train, held_out = velocities[::2], velocities[1::2]
        """,
    outro="""
        Give your `map_fit` the start of its example once more, with `psi = 0` and `nu = -3`, which is no prior at all,
        and sixty iterations. After some fifty you will see the plunge of the chapter: a variance that becomes zero, and
        then nan. Now let `psi` grow from `1e-6` upwards, and watch the width of the fast component. At which `psi`
        would you stop, and how would you defend it? The held-out half has something to say about that.
        """,
)


# ---------------------------------------------------------------- inputs
def _normal(x, mean, variance):
    return -0.5 * (np.log(2 * np.pi * variance) + (x - mean) ** 2 / variance)


def _joint(x, weights, means, variances):
    return np.log(weights) + _normal(x[:, None], means, variances)


def _total(a):
    top = a.max(axis=1)
    return (top + np.log(np.exp(a - top[:, None]).sum(axis=1))).sum()


def _shares(a):
    r = np.exp(a - a.max(axis=1, keepdims=True))
    return r / r.sum(axis=1, keepdims=True)


# ---------------------------------------------------------------- 1
@exercise.function(
    returns={"log_likelihoods": "(T,)"},
    story="""
        **The spike.** Two normal components, each with weight $\\tfrac12$. The first sits on a spot $c$ and has the
        width (standard deviation) $s$; the second has mean $m$ and standard deviation $\\sigma$ and does not move. For
        each of several widths compute the log-likelihood of all observations,

        $$\\ell(s) = \\sum_{i=1}^{n} \\log \\Bigl( \\tfrac12\\, \\mathcal N(x_i \\mid c, s^2)
          + \\tfrac12\\, \\mathcal N(x_i \\mid m, \\sigma^2) \\Bigr).$$

        If the spot is one of the observations, you will see it rise by $\\log 10$ with every tenfold shrinking, without
        end, as in the table of the chapter. If it is none of them, as in a held-out half, the same spike gains nothing.
        Some observations may be so far from both components that their densities underflow: they have a log-likelihood
        too.
        """,
    hints=[
        "Compute logarithms of densities, never densities: -log(s) - log(2 pi)/2 - ((x - c)/s)**2 / 2.",
        "The logarithm of the sum of two terms that are given as logarithms is np.logaddexp(a, b). It takes the "
        "larger one out, as your log_sum_exp did.",
        "One width at a time: total = np.logaddexp(log_half + spike, log_half + broad).sum(), with log_half = "
        "np.log(0.5).",
    ],
    after="""
        One observation pays for the infinity, and all others are left to the second component. The same curve on
        held-out data has its top at a modest width. To choose a width, or anything else that the training data cannot
        judge, look there.
        """,
)
def spike(x, spot, widths, mean, sd):
    """Log-likelihood of a narrow and a broad component, for several widths of the narrow one.

    Parameters
    ----------
    x : array (n,)
        Observations.
    spot : float
        Where the narrow component sits.
    widths : array (T,)
        Its standard deviations, one after the other.
    mean, sd : float
        Mean and standard deviation of the broad component.

    Returns
    -------
    log_likelihoods : array (T,)
        Both weights are one half.
    """

    def log_normal(x, mean, sd):
        return -np.log(sd) - np.log(2 * np.pi) / 2 - ((x - mean) / sd) ** 2 / 2

    broad = log_normal(x, mean, sd)
    return np.array([(np.logaddexp(log_normal(x, spot, s), broad) - np.log(2)).sum() for s in widths])


@spike.example
def _():
    return {
        "x": np.array([3.6, 1.8, 3.3, 2.3]),
        "spot": 3.6,
        "widths": np.array([1.0, 0.1, 0.01, 0.001, 0.0001]),
        "mean": 2.0,
        "sd": 1.0,
    }


@spike.draws(
    """Log-likelihood against the width of the spike, from 1 down to 0.0001 on a logarithmic scale: it rises from
    -5.4, soon along a straight line, to 1.9."""
)
def _curve(ax, answer, x, spot, widths, mean, sd):
    ax.plot(widths, np.asarray(answer), "o-", color="#0072b2")
    ax.set(xscale="log", xlabel="width of the spike (min)", ylabel="log-likelihood (nats)")
    ax.invert_xaxis()


@spike.cases
def _(rng):
    mean, sd = rng.uniform(18, 22), rng.uniform(2, 4)
    x = mean + sd * rng.normal(size=9)
    spot = float(x[int(rng.integers(2, 8))])
    fine = np.geomspace(rng.uniform(1, 2), 1e-9, 6)
    far = np.append(x, mean + 60 * sd)
    return {
        "the spot is an observation": {"x": x, "spot": spot, "widths": fine, "mean": mean, "sd": sd},
        "held-out": {"x": x + rng.uniform(0.02, 0.03), "spot": spot, "widths": fine, "mean": mean, "sd": sd},
        "a far observation": {"x": far, "spot": spot, "widths": fine[:4], "mean": mean, "sd": sd},
        "many on the spot": {
            "x": np.append(x, [spot] * 6),
            "spot": spot,
            "widths": np.array([1e-3, 1e-6, 1e-12]),
            "mean": mean,
            "sd": sd,
        },
    }


spike.check("a spike on an observation, and on none", points=3, on=("the spot is an observation", "held-out"))
spike.check("an observation far from both components", points=1, on="a far observation")
spike.check("a log-likelihood that is positive", points=1, on="many on the spot")


def _two(x, spot, variances, mean, sd, half=0.5):
    broad = _normal(x, mean, sd**2)
    return np.array([(np.logaddexp(_normal(x, spot, v), broad) + np.log(half)).sum() for v in variances])


@spike.slip(
    "Far from both components the densities underflow to 0, and the logarithm of 0 is -inf. Add them by their "
    "logarithms: np.logaddexp."
)
def log_of_density(x, spot, widths, mean, sd):
    broad = np.exp(_normal(x, mean, sd**2))
    return np.array([np.log(0.5 * np.exp(_normal(x, spot, s**2)) + 0.5 * broad).sum() for s in widths])


@spike.slip(
    "Adding 1e-10 inside the logarithm keeps it finite by making it up: every far observation gets -23.03. Add "
    "densities by their logarithms instead: np.logaddexp."
)
def one_e_minus_ten(x, spot, widths, mean, sd):
    broad = np.exp(_normal(x, mean, sd**2))
    return np.array([np.log(0.5 * np.exp(_normal(x, spot, s**2)) + 0.5 * broad + 1e-10).sum() for s in widths])


@spike.slip("The weights are missing: each density counts one half.")
def weights_forgotten(x, spot, widths, mean, sd):
    return _two(x, spot, widths**2, mean, sd, half=1.0)


@spike.slip("The widths were taken for variances. A width is a standard deviation: square it.")
def width_for_variance(x, spot, widths, mean, sd):
    return _two(x, spot, widths, mean, sd)


@spike.slip(
    "The logarithms of the two densities were added. That is the logarithm of their product; a mixture adds the "
    "densities, and takes the logarithm of the sum."
)
def sum_of_logs(x, spot, widths, mean, sd):
    broad = _normal(x, mean, sd**2)
    return np.array([(_normal(x, spot, s**2) + broad + 2 * np.log(0.5)).sum() for s in widths])


@spike.slip(
    "The log-likelihood was cut off at zero. Densities exceed 1 where a component is narrow, and a log-likelihood may "
    "well be positive."
)
def never_positive(x, spot, widths, mean, sd):
    return np.minimum(_two(x, spot, widths**2, mean, sd), 0.0)


@spike.slip(
    "Something like 1e-6 was added to the variance of the spike. That is a floor, one of the cures of chapter 6: with "
    "it the likelihood is bounded, and you do not see what it keeps away."
)
def with_a_floor(x, spot, widths, mean, sd):
    return _two(x, spot, widths**2 + 1e-6, mean, sd)


@spike.slip("This is the mean log-likelihood of an observation. The log-likelihood of the data is the sum.")
def mean_for_sum(x, spot, widths, mean, sd):
    return _two(x, spot, widths**2, mean, sd) / len(x)


@spike.slip(
    "Each observation was given to the component under which it is likelier. The likelihood of a mixture adds both; "
    "near the spot and between the components that makes a difference."
)
def larger_of_the_two(x, spot, widths, mean, sd):
    broad = _normal(x, mean, sd**2)
    return np.array([(np.maximum(_normal(x, spot, s**2), broad) + np.log(0.5)).sum() for s in widths])


@spike.slip(
    "The spike sits on the first observation here. It should sit on the spot that is given, whether or not anybody is "
    "there."
)
def on_the_first(x, spot, widths, mean, sd):
    return _two(x, x[0], widths**2, mean, sd)


@spike.also
def with_scipy(x, spot, widths, mean, sd):
    from scipy.special import logsumexp
    from scipy.stats import norm

    return [
        float(logsumexp([norm.logpdf(x, spot, s), norm.logpdf(x, mean, sd)], b=0.5, axis=0).sum())
        for s in widths.tolist()
    ]


# ---------------------------------------------------------------- 2
@exercise.function(
    returns={"flat": "(K,)"},
    story="""
        **Who has collapsed?** With several measurements a component need not shrink to a point: it is enough that it is
        flat in *one* direction, like the component that had found the ruler among the irises. That direction may be
        slanted. And "flat" must not depend on units: a variance of $10^{-6}$ is tiny in square millimetres and immense
        in square kilometres.

        So compare with the data. A component with covariance $\\Sigma_k$ is *flat* if in some direction $v$ its
        variance is less than a fraction $\\varepsilon$ of the variance $S$ of the data in the same direction,

        $$\\min_v \\frac{v^\\top \\Sigma_k\\, v}{v^\\top S\\, v} < \\varepsilon .$$

        The smallest such ratio is the smallest eigenvalue of $S^{-1} \\Sigma_k$. Return True for every component that
        is flat, and False for the others.
        """,
    hints=[
        "np.linalg.solve(scatter, covariances[k]) is S⁻¹Σ_k. It is not symmetric, so its eigenvalues come from "
        "np.linalg.eigvals; they are real all the same (take .real).",
        "The component is flat if the smallest of them is below the tolerance.",
        "flat[k] = np.linalg.eigvals(np.linalg.solve(scatter, covariances[k])).real.min() < tolerance",
    ],
    after="""
        Multiply a measurement by a thousand, and $\\Sigma_k$ and $S$ change together: the eigenvalues of
        $S^{-1}\\Sigma_k$ stay. A determinant would not do: one flat direction is hidden by others that are wide, and
        many moderate directions multiply to something tiny.
        """,
)
def collapsed(covariances, scatter, tolerance):
    """Which components are flat in some direction, as measured by the data.

    Parameters
    ----------
    covariances : array (K, d, d)
        Of the components.
    scatter : array (d, d)
        Covariance of all data.
    tolerance : float
        A ratio of variances below which a component counts as flat.

    Returns
    -------
    flat : array (K,)
        True or False for each component.
    """
    ratios = [np.linalg.eigvals(np.linalg.solve(scatter, covariance)).real.min() for covariance in covariances]
    return np.array(ratios) < tolerance


@collapsed.example
def _():
    return {
        "covariances": np.array(
            [[[0.08, 0.5], [0.5, 36.0]], [[1.0, 6.0], [6.0, 36.002]], [[0.0001, 0.0], [0.0, 36.0]]]
        ),
        "scatter": np.array([[1.3, 13.9], [13.9, 184.1]]),
        "tolerance": 0.001,
    }


@collapsed.cases
def _(rng):
    def turned(d):
        return np.linalg.qr(rng.normal(size=(d, d)))[0]

    def covariance(variances):
        Q = turned(len(variances))
        return (Q * np.array(variances)) @ Q.T

    def case(columns, parts):
        """Parts in units in which the data have variance one, seen through a slanted map, then in other units."""
        d = len(columns)
        root = turned(d) * rng.uniform(0.7, 1.4, size=d) @ turned(d) * columns
        scatter = root.T @ root
        along_an_axis = np.diag(np.diag(scatter) * np.append(np.full(d - 1, 0.3), 1e-9))
        covariances = np.stack([along_an_axis, *(root.T @ covariance(variances) @ root for variances in parts)])
        return {"covariances": rng.permutation(covariances), "scatter": scatter, "tolerance": 1e-6}

    plane = [[0.3, 0.2], [1e-8, 0.5], [1e-8, 2e-8], [0.9, 1e-4], [2e-5, 3e-5]]
    six = [[0.03] * 6, [0.2, 0.3, 0.4, 0.2, 0.5, 2e-8], [0.5] * 6]
    return {
        "in the plane": case([1.0, 2.0], plane),
        "in tiny units": case([1e-5, 2e-5], plane),
        "in huge units": case([3e3, 1e4], plane),
        "units that differ": case([1e-3, 1e2], plane),
        "six measurements": case([1.0, 3.0, 1.0, 0.5, 2.0, 1.0], six),
        "one measurement": case([0.02], [[0.5], [1e-8], [1e-4], [3e-9]]),
    }


collapsed.check("in the plane", points=2, on="in the plane")
collapsed.check("in any units", points=2, on=("in tiny units", "in huge units", "units that differ"))
collapsed.check("six measurements, and one", points=1, on=("six measurements", "one measurement"))


def _ratios(covariances, scatter):
    return np.array([np.sort(np.linalg.eigvals(np.linalg.solve(scatter, C)).real) for C in covariances])


@collapsed.slip(
    "The variance is compared with a fixed number, in the squared units of the data. In metres every component is "
    "flat, in micrometres none is: divide by what the data vary in the same direction."
)
def absolute(covariances, scatter, tolerance):
    return np.linalg.eigvalsh(covariances)[:, 0] < tolerance


@collapsed.slip(
    "Determinants multiply the directions: one flat direction is hidden by wide ones, and many moderate ones together "
    "look flat. Look at the smallest eigenvalue."
)
def by_determinant(covariances, scatter, tolerance):
    return np.linalg.det(covariances) / np.linalg.det(scatter) < tolerance


@collapsed.slip(
    "This compares the variances of the single measurements, the diagonals. A component may be flat along a slanted "
    "direction, with each measurement varying freely."
)
def along_the_axes(covariances, scatter, tolerance):
    return (np.einsum("kdd->kd", covariances) / np.diag(scatter)).min(axis=1) < tolerance


@collapsed.slip(
    "The smallest eigenvalue is compared with the component's own largest. A needle is found so, but a component that "
    "has shrunk on all sides alike looks sound. Compare with the data."
)
def with_its_own_largest(covariances, scatter, tolerance):
    values = np.linalg.eigvalsh(covariances)
    return values[:, 0] / values[:, -1] < tolerance


@collapsed.slip(
    "This asks whether the component is flat in *every* direction: the largest ratio. One flat direction is enough "
    "for an infinite likelihood; take the smallest."
)
def in_every_direction(covariances, scatter, tolerance):
    return _ratios(covariances, scatter)[:, -1] < tolerance


@collapsed.slip("A root was taken: the tolerance is a ratio of variances, not of standard deviations.")
def ratio_of_widths(covariances, scatter, tolerance):
    return np.sqrt(np.abs(_ratios(covariances, scatter)[:, 0])) < tolerance


@collapsed.slip("True and False are exchanged: the flat components are the ones *below* the tolerance.")
def sound_for_flat(covariances, scatter, tolerance):
    return _ratios(covariances, scatter)[:, 0] >= tolerance


@collapsed.slip(
    "The smallest eigenvalue of the component is divided by the smallest of the data. They belong to different "
    "directions; compare along the same direction, by the eigenvalues of S⁻¹Σ."
)
def smallest_by_smallest(covariances, scatter, tolerance):
    return np.linalg.eigvalsh(covariances)[:, 0] / np.linalg.eigvalsh(scatter)[0] < tolerance


@collapsed.also
def by_whitening(covariances, scatter, tolerance):
    root = np.linalg.inv(np.linalg.cholesky(scatter))
    return [bool(np.linalg.eigvalsh(root @ C @ root.T)[0] < tolerance) for C in covariances]


@collapsed.also
def by_scipy(covariances, scatter, tolerance):
    from scipy.linalg import eigh

    return [int(eigh(C, scatter, eigvals_only=True)[0] < tolerance) for C in covariances]


# ---------------------------------------------------------------- 3
@exercise.function(
    returns={"best": "()"},
    story="""
        **Which start do we keep?** EM was started many times. For each start you have the log-likelihood at its end and
        whether a component had collapsed. Return the number of the best *honest* start, counted from 0: the highest
        log-likelihood among those that did not collapse. Some runs broke down on the way, and their log-likelihood is
        `nan`; they are not honest either. If nothing honest is left, return `-1`.
        """,
    hints=[
        "What does np.argmax say of an array that contains nan?",
        "Put -inf in the place of every end that must not win: np.where(honest, log_likelihoods, -np.inf). The "
        "numbers of the starts stay what they were.",
        "honest = ~degenerate & np.isfinite(log_likelihoods); if not honest.any(): return -1",
    ],
    after="""
        The highest log-likelihood of all is a spike whenever there is one, so the order of the two questions matters:
        first honest, then high. And the winner is only the best *seen*. Look at the others before you believe in it.
        """,
)
def best_start(log_likelihoods, degenerate):
    """The best start that has not collapsed.

    Parameters
    ----------
    log_likelihoods : array (S,)
        At the end of each start; nan where it broke down.
    degenerate : array (S,)
        True where a component had collapsed.

    Returns
    -------
    best : int
        Number of the best honest start, from 0; -1 if there is none.
    """
    honest = ~degenerate & np.isfinite(log_likelihoods)
    if not honest.any():
        return -1
    return int(np.argmax(np.where(honest, log_likelihoods, -np.inf)))


@best_start.example
def _():
    return {
        "log_likelihoods": np.array([-186.57, -99.17, -190.30, -180.19, -186.57, -174.80]),
        "degenerate": np.array([False, True, False, False, False, True]),
    }


@best_start.cases
def _(rng):
    def case(honest, spikes=(), broken=0):
        """Ends in random order; the first two are never the best, and a spike precedes it."""
        values = np.concatenate([honest, spikes, np.full(broken, np.nan)])
        flags = np.repeat([False, True, False], [len(honest), len(spikes), broken])
        while True:
            order = rng.permutation(len(values))
            best = np.flatnonzero(order == int(np.argmax(honest)))[0]
            before = flags[order][:best].any() or not len(spikes)
            if best > 1 and before and (not broken or np.isnan(values[order][:best]).any()):
                return {"log_likelihoods": values[order], "degenerate": flags[order]}

    common = rng.uniform(-215, -212)
    top = common + rng.uniform(6, 9)
    worse = common - rng.uniform(2, 30, size=3)
    honest = np.array([top, common, common, common, *worse])
    spikes = top + rng.uniform(5, 80, size=3)
    return {
        "spikes among them": case(honest, spikes),
        "spikes that are lower": case(honest, [*spikes[:1], top - 2.0, worse.min() - 9.0]),
        "broken runs": case(honest, spikes[:1], broken=2),
        "positive log-likelihoods": case(honest + 300, spikes + 300),
        "nothing honest left": {
            "log_likelihoods": np.array([*spikes, np.nan]),
            "degenerate": np.array([True, True, True, False]),
        },
    }


best_start.check(
    "spikes are passed over", points=2, on=("spikes among them", "spikes that are lower", "positive log-likelihoods")
)
best_start.check("broken runs are passed over", points=1, on="broken runs")
best_start.check("nothing honest left", points=1, on=("nothing honest left", "spikes among them"))


def _honest(log_likelihoods, degenerate):
    return ~degenerate & np.isfinite(log_likelihoods)


@best_start.slip(
    "This is the highest of all, and the highest of all is a spike. Leave the collapsed fits out before you look for "
    "the highest."
)
def highest_of_all(log_likelihoods, degenerate):
    return int(np.nanargmax(log_likelihoods))


@best_start.slip("np.argmax takes nan for the largest number there is. Ask np.isfinite as well, before you compare.")
def nan_wins(log_likelihoods, degenerate):
    if degenerate.all() or not _honest(log_likelihoods, degenerate).any():
        return -1
    return int(np.argmax(np.where(degenerate, -np.inf, log_likelihoods)))


@best_start.slip(
    "This number counts the honest starts only. Once the others are removed from the array, its numbers have shifted: "
    "keep the array as long as it was, with -inf where nobody must win."
)
def number_among_the_honest(log_likelihoods, degenerate):
    kept = log_likelihoods[_honest(log_likelihoods, degenerate)]
    return int(np.argmax(kept)) if len(kept) else -1


@best_start.slip("If nothing honest is left, argmax of nothing but -inf is 0, a spike after all. Return -1.")
def spike_after_all(log_likelihoods, degenerate):
    return int(np.argmax(np.where(_honest(log_likelihoods, degenerate), log_likelihoods, -np.inf)))


@best_start.slip("This is the lowest. Log-likelihoods are mostly negative, but larger is still better.")
def lowest(log_likelihoods, degenerate):
    honest = _honest(log_likelihoods, degenerate)
    return int(np.argmin(np.where(honest, log_likelihoods, np.inf))) if honest.any() else -1


@best_start.slip(
    "This is the end that most starts have reached. How often an end is reached tells how wide the slope below it is, "
    "not how high it is."
)
def most_frequent(log_likelihoods, degenerate):
    honest = _honest(log_likelihoods, degenerate)
    if not honest.any():
        return -1
    values, counts = np.unique(np.round(log_likelihoods[honest], 2), return_counts=True)
    return int(np.argmin(np.abs(np.where(honest, log_likelihoods, np.inf) - values[counts.argmax()])))


@best_start.slip(
    "This looks at the size of the log-likelihood, without its sign: the smallest size is the best as long as all are "
    "negative, and the worst when they are positive."
)
def smallest_size(log_likelihoods, degenerate):
    honest = _honest(log_likelihoods, degenerate)
    return int(np.argmin(np.where(honest, np.abs(log_likelihoods), np.inf))) if honest.any() else -1


@best_start.slip("This is the best log-likelihood itself. Asked for is the number of the start that reached it.")
def value_for_number(log_likelihoods, degenerate):
    honest = _honest(log_likelihoods, degenerate)
    return log_likelihoods[honest].max() if honest.any() else -1


@best_start.also
def by_a_loop(log_likelihoods, degenerate):
    best, highest = -1, -np.inf
    for s, value in enumerate(log_likelihoods):
        if not degenerate[s] and value > highest:
            best, highest = s, value
    return best


# ---------------------------------------------------------------- 4
@exercise.function(
    returns={"weights": "(K,)", "means": "(K,)", "variances": "(K,)"},
    story="""
        **A cure.** Multiply the likelihood by a prior that vanishes where a variance goes to zero. For one measurement,
        with scatter $\\psi$ and $\\nu$ degrees of freedom, the M-step then reads

        $$
        w_k = \\frac{N_k}{n}, \\qquad \\mu_k = \\frac{1}{N_k} \\sum_i r_{ik}\\, x_i, \\qquad
        \\sigma_k^2 = \\frac{\\psi + \\sum_i r_{ik}\\, (x_i - \\mu_k)^2}{\\nu + 3 + N_k} ,
        $$

        with $N_k = \\sum_i r_{ik}$ as ever. Only the variances have changed: numerator and denominator have received
        something before any data came. (We give the prior to variances alone; weights and means are those of maximum
        likelihood.)
        """,
    hints=[
        "Begin with the M-step of chapter 2 for one measurement. N = responsibilities.sum(axis=0); means = "
        "responsibilities.T @ x / N.",
        "The squares: (responsibilities * (x[:, None] - means)**2).sum(axis=0), with the new means.",
        "variances = (psi + squares) / (nu + 3 + N)",
    ],
    after="""
        A component on a single point has no squares. Its variance used to be 0/1; now it is $\\psi/(\\nu + 4)$. Adding
        a number to the finished variance keeps spikes away too, but it is the maximum of nothing, and the climb of the
        likelihood is no longer guaranteed.
        """,
)
def map_step(x, responsibilities, psi, nu):
    """M-step of a normal mixture in one dimension, with a prior on the variances.

    Parameters
    ----------
    x : array (n,)
        Observations.
    responsibilities : array (n, K)
        Their shares.
    psi, nu : float
        Scatter and degrees of freedom of the prior.

    Returns
    -------
    weights, means, variances : arrays (K,), (K,), (K,)
    """
    N = responsibilities.sum(axis=0)
    means = responsibilities.T @ x / N
    squares = (responsibilities * (x[:, None] - means) ** 2).sum(axis=0)
    return N / len(x), means, (psi + squares) / (nu + 3 + N)


@map_step.example
def _():
    return {
        "x": np.array([3.6, 1.8, 3.3, 2.3]),
        "responsibilities": np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]),
        "psi": 0.5,
        "nu": 3.0,
    }


@map_step.cases
def _(rng):
    def case(n, K):
        x = 20 + 5 * rng.normal(size=n)
        r = rng.dirichlet(np.linspace(0.6, 1.8, K), size=n)
        return {"x": x, "responsibilities": r, "psi": rng.uniform(3, 9), "nu": rng.uniform(2, 6)}

    one_point = case(9, 3)
    one_point["responsibilities"][:, 0] = 0
    one_point["responsibilities"][int(rng.integers(9))] = [1, 0, 0]
    one_point["responsibilities"] /= one_point["responsibilities"].sum(axis=1, keepdims=True)
    no_prior = case(12, 2) | {"psi": 0.0, "nu": -3.0}
    return {
        "two components": case(12, 2),
        "three components": case(15, 3),
        "a component on one point": one_point,
        "no prior": no_prior,
    }


map_step.check("two and three components", points=3, on=("two components", "three components"))
map_step.check("a component on one point", points=1, on="a component on one point")
map_step.check("psi = 0 and nu = -3: the M-step of chapter 2", points=1, on="no prior")


def _moments(x, r, psi=0.0, extra=0.0, divisors=None):
    N = r.sum(axis=0)
    means = r.T @ x / N
    squares = (r * (x[:, None] - means) ** 2).sum(axis=0)
    return N / len(x), means, (psi + squares) / (extra + (N if divisors is None else divisors))


@map_step.slip("The prior is missing: this is maximum likelihood, and a component on one point has variance zero.")
def no_prior(x, responsibilities, psi, nu):
    return _moments(x, responsibilities)


@map_step.slip(
    "psi was added to the finished variance. It is added to the sum of squares, before dividing: its weight should "
    "fade as data come in."
)
def added_afterwards(x, responsibilities, psi, nu):
    weights, means, variances = _moments(x, responsibilities)
    return weights, means, variances + psi


@map_step.slip("The denominator has not received its part: it is nu + 3 + N, not N.")
def denominator_as_before(x, responsibilities, psi, nu):
    return _moments(x, responsibilities, psi)


@map_step.slip(
    "The numerator has not received its psi. Then the prior makes variances smaller, and a component on one point "
    "still has variance zero."
)
def numerator_as_before(x, responsibilities, psi, nu):
    return _moments(x, responsibilities, 0.0, nu + 3)


@map_step.slip(
    "The 3 is missing in the denominator. nu + 3 + N is where the density is *highest*; other divisors belong to "
    "other summaries of it."
)
def three_forgotten(x, responsibilities, psi, nu):
    return _moments(x, responsibilities, psi, nu)


@map_step.slip("The denominator contains the number of all observations. A component has only its share of them: N_k.")
def n_for_N(x, responsibilities, psi, nu):
    return _moments(x, responsibilities, psi, nu + 3, np.full(responsibilities.shape[1], float(len(x))))


@map_step.slip(
    "This takes the larger of the variance and psi. That is a floor: it does nothing above psi and everything below, "
    "while the prior is added to the statistics of every component."
)
def floor(x, responsibilities, psi, nu):
    weights, means, variances = _moments(x, responsibilities)
    return weights, means, np.maximum(variances, psi)


@map_step.slip("These are standard deviations: a root was taken at the end.")
def root_taken(x, responsibilities, psi, nu):
    weights, means, variances = _moments(x, responsibilities, psi, nu + 3)
    return weights, means, np.sqrt(variances)


@map_step.slip(
    "The squares are about the mean of all observations. Each component scatters about its own mean, the one you have "
    "just computed."
)
def about_the_common_mean(x, responsibilities, psi, nu):
    weights, means, _ = _moments(x, responsibilities)
    squares = responsibilities.T @ (x - x.mean()) ** 2
    return weights, means, (psi + squares) / (nu + 3 + responsibilities.sum(axis=0))


@map_step.also
def one_component_at_a_time(x, responsibilities, psi, nu):
    weights, means, variances = [], [], []
    for r in responsibilities.T:
        means.append(np.average(x, weights=r))
        weights.append(r.mean())
        variances.append((psi + sum(r * (x - means[-1]) ** 2)) / (nu + 3 + sum(r)))
    return weights, means, variances


# ---------------------------------------------------------------- 5
@exercise.function(
    returns={"weights": "(K,)", "means": "(K,)", "variances": "(K,)", "trace": "(n_iter + 1,)"},
    story="""
        **What climbs now.** EM with a prior: E-step as ever, your `map_step` for the M-step, `n_iter` times. The
        likelihood alone need not rise any more. What never falls is the log-likelihood *plus the log prior*. Each
        component contributes, up to a constant that we leave out,

        $$\\log p(\\sigma_k^2) = -\\tfrac{\\nu + 3}{2} \\log \\sigma_k^2 - \\frac{\\psi}{2 \\sigma_k^2} .$$

        So `trace[0]` is the sum of log-likelihood and log priors at the start, and `trace[t]` that after $t$
        iterations; the last belongs to the parameters that you return.

        The example is the training half of the galaxies. Without a prior this climb would end in a spike, on the one
        fast galaxy at 32.789.
        """,
    hints=[
        "The log joint is np.log(weights) - np.log(2 * np.pi * variances) / 2 - (x[:, None] - means)**2 / (2 * "
        "variances), (n, K). Shares and log-likelihood both come from it, with the largest of each row taken out "
        "first.",
        "log_prior = (-(nu + 3) / 2 * np.log(variances) - psi / (2 * variances)).sum(): a sum over the components, "
        "once, not for each observation.",
        "Write a little function that returns the objective of given parameters; append it before the first iteration "
        "and after each M-step.",
    ],
    after="""
        Feed this trace to the `first_fall` of chapter 2, and it finds nothing. Feed it the log-likelihood alone, and it
        may well raise the alarm, on a program that is right.
        """,
    compare=close(any_order="K"),
)
def map_fit(x, weights, means, variances, psi, nu, n_iter):
    """EM for a normal mixture in one dimension, with a prior on the variances.

    Parameters
    ----------
    x : array (n,)
        Observations.
    weights, means, variances : arrays (K,), (K,), (K,)
        The start.
    psi, nu : float
        Scatter and degrees of freedom of the prior.
    n_iter : int
        How many iterations to do.

    Returns
    -------
    weights, means, variances : arrays (K,), (K,), (K,)
        After the last M-step.
    trace : array (n_iter + 1,)
        Log-likelihood plus log prior of the start and after each iteration.
    """
    trace = []
    for t in range(n_iter + 1):
        a = np.log(weights) - np.log(2 * np.pi * variances) / 2 - (x[:, None] - means) ** 2 / (2 * variances)
        top = a.max(axis=1, keepdims=True)
        total = top + np.log(np.exp(a - top).sum(axis=1, keepdims=True))
        log_prior = -(nu + 3) / 2 * np.log(variances) - psi / (2 * variances)
        trace.append(total.sum() + log_prior.sum())
        if t < n_iter:
            weights, means, variances = map_step(x, np.exp(a - total), psi, nu)
    return weights, means, variances, np.array(trace)


@map_fit.example
def _():
    from ... import data

    train = data.galaxies()[::2, 0]
    return {
        "x": train,
        "weights": np.full(3, 1 / 3),
        "means": np.array([10.0, 20.0, 30.0]),
        "variances": np.full(3, 20.2),
        "psi": 20.2 / 9,
        "nu": 3.0,
        "n_iter": 25,
    }


@map_fit.draws(
    """Log-likelihood plus log prior of 41 galaxies against the iteration. It rises steeply at first and without a
    fall, from -136 to -105.6, and is flat from the tenth iteration on."""
)
def _trace(ax, answer, x, weights, means, variances, psi, nu, n_iter):
    ax.plot(np.asarray(answer[3]), color="#0072b2")
    ax.set(xlabel="iteration", ylabel="log-likelihood + log prior")


@map_fit.cases
def _(rng):
    def case(n_iter, K=2, n=40, psi=None):
        means = 10 + 7.0 * np.arange(K) + rng.uniform(-1, 1, size=K)
        x = means[rng.integers(K, size=n)] + 2.0 * rng.normal(size=n)
        return {
            "x": x,
            "weights": rng.dirichlet(np.full(K, 6.0)),
            "means": means + rng.uniform(1, 2, size=K),
            "variances": rng.uniform(1, 6, size=K),
            "psi": rng.uniform(3, 9) if psi is None else psi,
            "nu": rng.uniform(2, 6),
            "n_iter": n_iter,
        }

    lone = case(8, psi=0.05)
    lone["x"] = np.append(lone["x"], 60.0)
    lone["means"][1], lone["variances"][1] = 59.8, 0.5
    far = case(3)
    far["x"] = np.append(far["x"], 900.0)
    return {
        "one iteration": case(1),
        "six iterations": case(6),
        "three components": case(4, 3, 60),
        "no iteration": case(0),
        "a component on a lone observation": lone,
        "an observation far from all": far,
    }


map_fit.check("one iteration", points=2, on="one iteration")
map_fit.check("more iterations, and three components", points=3, on=("six iterations", "three components"))
map_fit.check("no iteration at all: the start and its objective", points=1, on="no iteration")
map_fit.check(
    "a component on a lone observation, and an observation far from all",
    points=2,
    on=("a component on a lone observation", "an observation far from all"),
)


def _log_prior(variances, psi, nu):
    return -(nu + 3) / 2 * np.log(variances) - psi / (2 * variances)


def _loop(x, weights, means, variances, psi, nu, n_iter, shares=None, prior=None, step=None):
    """The reference in pieces that can be exchanged."""
    trace = []
    for t in range(n_iter + 1):
        a = _joint(x, weights, means, variances)
        log_prior = _log_prior(variances, psi, nu)
        trace.append(_total(a) + (prior(log_prior) if prior else log_prior.sum()))
        if t < n_iter:
            r = shares(a) if shares else _shares(a)
            weights, means, variances = step(x, r) if step else _moments(x, r, psi, nu + 3)
    return weights, means, variances, np.array(trace)


@map_fit.slip(
    "The trace is the log-likelihood alone. With a prior it need not rise: what EM climbs now is the log-likelihood "
    "plus the log prior."
)
def prior_not_in_the_trace(x, weights, means, variances, psi, nu, n_iter):
    return _loop(x, weights, means, variances, psi, nu, n_iter, prior=lambda log_prior: 0.0)


@map_fit.slip("The log prior was subtracted. Prior times likelihood is a product, so their logarithms are added.")
def prior_subtracted(x, weights, means, variances, psi, nu, n_iter):
    return _loop(x, weights, means, variances, psi, nu, n_iter, prior=lambda log_prior: -log_prior.sum())


@map_fit.slip(
    "The log prior is added for each observation. It was there before the data and counts once for each component."
)
def prior_for_each_observation(x, weights, means, variances, psi, nu, n_iter):
    return _loop(x, weights, means, variances, psi, nu, n_iter, prior=lambda log_prior: len(x) * log_prior.sum())


@map_fit.slip(
    "The log priors of the components were averaged. The prior of all variances is a product over the components: sum "
    "their logarithms."
)
def prior_averaged(x, weights, means, variances, psi, nu, n_iter):
    return _loop(x, weights, means, variances, psi, nu, n_iter, prior=lambda log_prior: log_prior.mean())


@map_fit.slip(
    "The prior is in the trace and not in the M-step, which is still that of maximum likelihood. A component on a "
    "lone observation collapses as before."
)
def prior_only_in_the_trace(x, weights, means, variances, psi, nu, n_iter):
    return _loop(x, weights, means, variances, psi, nu, n_iter, step=lambda x, r: _moments(x, r))


@map_fit.slip(
    "The last entry of the trace does not belong to the parameters that you return, but to those before the last "
    "M-step: evaluate once more after the loop. (trace should begin with the start, once.)"
)
def one_step_late(x, weights, means, variances, psi, nu, n_iter):
    *parameters, trace = _loop(x, weights, means, variances, psi, nu, n_iter)
    return *parameters, np.append(trace[:1], trace[:-1]) if n_iter else trace


@map_fit.slip(
    "The trace is short by one: the objective of the start belongs to it, and so does that of the final parameters."
)
def one_short(x, weights, means, variances, psi, nu, n_iter):
    *parameters, trace = _loop(x, weights, means, variances, psi, nu, n_iter)
    return *parameters, trace[1:]


@map_fit.slip(
    "An observation far from all components has densities that underflow to 0; then come log(0) and 0/0. Take the "
    "largest of each row out before exp."
)
def underflow(x, weights, means, variances, psi, nu, n_iter):
    trace = []
    for t in range(n_iter + 1):
        densities = np.exp(_joint(x, weights, means, variances))
        trace.append(np.log(densities.sum(axis=1)).sum() + _log_prior(variances, psi, nu).sum())
        if t < n_iter:
            weights, means, variances = _moments(x, densities / densities.sum(axis=1, keepdims=True), psi, nu + 3)
    return weights, means, variances, np.array(trace)


@map_fit.slip(
    "The weights are missing from the responsibilities: a rare component gets as much of a doubtful observation as a "
    "common one."
)
def weights_not_in_the_shares(x, weights, means, variances, psi, nu, n_iter):
    trace = []
    for t in range(n_iter + 1):
        trace.append(_total(_joint(x, weights, means, variances)) + _log_prior(variances, psi, nu).sum())
        if t < n_iter:
            weights, means, variances = _moments(
                x, _shares(_joint(x, np.ones_like(weights), means, variances)), psi, nu + 3
            )
    return weights, means, variances, np.array(trace)


@map_fit.slip(
    "Each observation went whole to its most probable component. That is classification EM; the shares are what makes "
    "the objective climb."
)
def hard_shares(x, weights, means, variances, psi, nu, n_iter):
    return _loop(x, weights, means, variances, psi, nu, n_iter, shares=lambda a: np.eye(a.shape[1])[a.argmax(axis=1)])


@map_fit.also
def components_the_other_way_round(x, weights, means, variances, psi, nu, n_iter):
    from scipy.special import logsumexp
    from scipy.stats import norm

    trace = []
    for t in range(n_iter + 1):
        a = np.log(weights) + norm.logpdf(x[:, None], means, np.sqrt(variances))
        total = logsumexp(a, axis=1)
        trace.append(float(total.sum() + _log_prior(np.asarray(variances), psi, nu).sum()))
        if t < n_iter:
            weights, means, variances = one_component_at_a_time(x, np.exp(a - total[:, None]), psi, nu)
    return [np.asarray(weights)[::-1], np.asarray(means)[::-1], np.asarray(variances)[::-1], trace]


# ---------------------------------------------------------------- 6
@exercise.function(
    returns={"rate": "()", "curvature": "()"},
    story="""
        **Twins: saddle or summit?** Two components of a Poisson mixture have the same rate. Their shares of every count
        are in the ratio of their weights, so the M-step shows both the same weighted data, and gives both the same rate
        again: identical components never part. Is the place where they stand the best there is, or would they gain by
        parting?

        Let $g_i$ be the share of interval $i$ that the twins have together. Their common rate is the weighted mean of
        the counts, and pulling them apart by $\\pm\\delta$ changes the log-likelihood by about $\\tfrac12 \\delta^2$
        times

        $$
        \\lambda = \\frac{\\sum_i g_i\\, x_i}{\\sum_i g_i}, \\qquad
        C = \\sum_i g_i\\, \\frac{(x_i - \\lambda)^2 - x_i}{\\lambda^2} .
        $$

        Return both. If $C$ is positive, the twins stand on a saddle.
        """,
    hints=[
        "The rate is (shares @ counts) / shares.sum().",
        "curvature = (shares * ((counts - rate)**2 - counts)).sum() / rate**2",
    ],
    after="""
        With all shares equal to one this is $n(s^2 - \\bar x)/\\bar x^2$: the twins gain by parting exactly if the
        counts vary more than a Poisson distribution allows. EM will not find that out by itself when started on the
        saddle, in a thousand iterations or a million. Nudge it, or start elsewhere.
        """,
)
def parting(counts, shares):
    """Common rate of two identical Poisson components, and whether they gain by parting.

    Parameters
    ----------
    counts : array (n,)
        Counts.
    shares : array (n,)
        The share of each count that the two have together, between 0 and 1.

    Returns
    -------
    rate : float
        Weighted mean of the counts.
    curvature : float
        Second derivative of the log-likelihood in the direction in which the twins part.
    """
    rate = shares @ counts / shares.sum()
    return rate, (shares * ((counts - rate) ** 2 - counts)).sum() / rate**2


@parting.example
def _():
    from ... import data

    counts = np.asarray(data.fetal_lamb())[:, 0]
    return {"counts": counts, "shares": np.ones(len(counts))}


@parting.cases
def _(rng):
    def even(n):
        return rng.permutation(np.append(np.full(n - n // 2, 4), np.full(n // 2, 6))) + int(rng.integers(0, 4))

    def varied(n):
        return rng.permutation(np.append(rng.poisson(1.0, size=n - n // 3), 6 + rng.poisson(7.0, size=n // 3)))

    shares = rng.uniform(0.05, 0.95, size=30)
    return {
        "counts that vary much": {"counts": varied(30), "shares": np.ones(30)},
        "counts that vary little": {"counts": even(25), "shares": np.ones(25)},
        "a share of counts that vary much": {"counts": varied(30), "shares": shares},
        "a share of counts that vary little": {"counts": even(30), "shares": shares[::-1].copy()},
    }


parting.check("all counts belong to the twins", points=2, on=("counts that vary much", "counts that vary little"))
parting.check(
    "the twins have a share of each count",
    points=3,
    on=("a share of counts that vary much", "a share of counts that vary little"),
)


def _twins(counts, g, minus=1.0, power=2):
    rate = g @ counts / g.sum()
    return rate, (g * ((counts - rate) ** 2 - minus * counts)).sum() / rate**power


@parting.slip(
    "The counts that are subtracted are missing. What decides is not whether the counts vary, but whether they vary "
    "more than a Poisson distribution does; its variance is its mean."
)
def variance_alone(counts, shares):
    return _twins(counts, shares, minus=0.0)


@parting.slip("The shares do not enter: this looks at all counts as if they belonged to the twins.")
def shares_forgotten(counts, shares):
    return _twins(counts, np.ones(len(counts)))


@parting.slip(
    "The rate is weighted by the shares, the sum that follows is not: multiply each of its terms by its share."
)
def shares_in_the_rate_alone(counts, shares):
    rate = shares @ counts / shares.sum()
    return rate, ((counts - rate) ** 2 - counts).sum() / rate**2


@parting.slip(
    "The rate is the plain mean of all counts. It should be that of the twins' part of them, weighted by the shares."
)
def plain_mean(counts, shares):
    rate = counts.mean()
    return rate, (shares * ((counts - rate) ** 2 - counts)).sum() / rate**2


@parting.slip(
    "The weighted sum was divided by the number of counts, not by the sum of the shares: the twins have only that "
    "much of them."
)
def divided_by_n(counts, shares):
    rate = shares @ counts / len(counts)
    return rate, (shares * ((counts - rate) ** 2 - counts)).sum() / rate**2


@parting.slip("The denominator is the rate squared; the square is missing.")
def rate_not_squared(counts, shares):
    return _twins(counts, shares, power=1)


@parting.slip("This is the average over the twins' part of the counts. Log-likelihoods add up: take the sum.")
def average_for_sum(counts, shares):
    rate, curvature = _twins(counts, shares)
    return rate, curvature / shares.sum()


@parting.slip("The sign is turned round: positive should mean that the log-likelihood rises as the twins part.")
def sign_turned(counts, shares):
    rate, curvature = _twins(counts, shares)
    return rate, -curvature


@parting.also
def by_moments(counts, shares):
    total = float(sum(shares))
    rate = sum(shares * counts) / total
    variance = sum(shares * counts**2) / total - rate**2
    return [rate, total * (variance - rate) / rate**2]


# ---------------------------------------------------------------- 7
@exercise.function(
    returns={"scores": "(M,)", "best": "()"},
    story="""
        **How many?** Mixtures with $1, 2, \\dots, M$ components were fitted to the same $n$ rows of $d$ measurements,
        each component with a full covariance matrix of its own, and you have their log-likelihoods. BIC charges $\\log
        n$ for each free parameter,

        $$\\text{BIC}_K = -2\\, \\ell_K + p_K \\log n ,$$

        and the lowest wins. How many free parameters $p_K$ are there? Weights sum to one. A covariance matrix is
        symmetric. Count, then return the scores and the number of components of the winner.
        """,
    hints=[
        "K weights that sum to one are K - 1 free numbers. K means are K * d.",
        "A symmetric d × d matrix has d * (d + 1) / 2 free numbers.",
        "K = np.arange(1, M + 1); p = K - 1 + K * d + K * d * (d + 1) / 2; the winner is K[scores.argmin()].",
    ],
    after="""
        In ten dimensions one more component costs 66 parameters, in one dimension 3. The winner is the number of pieces
        that this family needs to describe the density. Chapter 6 has the same blood cells counted as 8 and as 18.
        """,
)
def choose_components(log_likelihoods, n, d):
    """BIC of mixtures with 1, 2, ... components, and the number that it prefers.

    Parameters
    ----------
    log_likelihoods : array (M,)
        Of the fits with 1, 2, ..., M components.
    n : int
        Number of rows.
    d : int
        Number of measurements.

    Returns
    -------
    scores : array (M,)
        BIC of each; lower is better.
    best : int
        The number of components with the lowest.
    """
    K = np.arange(1, len(log_likelihoods) + 1)
    p = K - 1 + K * d + K * d * (d + 1) / 2
    scores = -2 * log_likelihoods + p * np.log(n)
    return scores, int(K[scores.argmin()])


@choose_components.example
def _():
    return {
        "log_likelihoods": np.array([-240.338, -220.058, -203.179, -197.454, -190.071, -186.867]),
        "n": 82,
        "d": 1,
    }


@choose_components.cases
def _(rng):
    def case(best, M, n, d):
        gains = np.append(rng.uniform(1.4, 2.5, size=best - 1), rng.uniform(0.1, 0.7, size=M - best))
        price = (1 + d + d * (d + 1) / 2) * np.log(n) / 2
        return {
            "log_likelihoods": -rng.uniform(3, 4) * n - 5 * d + np.append(0, np.cumsum(gains)) * price,
            "n": n,
            "d": d,
        }

    return {
        "one measurement": case(3, 6, int(rng.integers(60, 200)), 1),
        "two measurements": case(2, 5, int(rng.integers(200, 500)), 2),
        "ten measurements": case(4, 7, int(rng.integers(600, 900)), 10),
        "one component is enough": case(1, 4, int(rng.integers(100, 300)), 3),
        "positive log-likelihoods": case(3, 5, int(rng.integers(100, 300)), 4),
    }


choose_components.check("one measurement, and two", points=3, on=("one measurement", "two measurements"))
choose_components.check("ten measurements", points=1, on="ten measurements")
choose_components.check(
    "one component is enough; positive log-likelihoods",
    points=2,
    on=("one component is enough", "positive log-likelihoods"),
)


def _bic(ll, n, d, weights=-1.0, means=1.0, covariance=None, charge=None, sign=-2.0):
    K = np.arange(1, len(ll) + 1)
    p = K + weights + means * K * d + K * (d * (d + 1) / 2 if covariance is None else covariance)
    scores = sign * ll + p * (np.log(n) if charge is None else charge)
    return scores, int(K[scores.argmin()])


@choose_components.slip(
    "The weights sum to one, so only K - 1 of them are free. The scores are too high by log n, all alike."
)
def all_weights_free(log_likelihoods, n, d):
    return _bic(log_likelihoods, n, d, weights=0.0)


@choose_components.slip("A covariance matrix is symmetric: it has d(d + 1)/2 free numbers, not d².")
def not_symmetric(log_likelihoods, n, d):
    return _bic(log_likelihoods, n, d, covariance=d**2)


@choose_components.slip(
    "This charges for the diagonals of the covariance matrices only. Full ones have d(d + 1)/2 free numbers each."
)
def diagonals_only(log_likelihoods, n, d):
    return _bic(log_likelihoods, n, d, covariance=d)


@choose_components.slip("This charges for one covariance matrix. Here each component has its own: K d(d + 1)/2.")
def one_covariance_for_all(log_likelihoods, n, d):
    K = np.arange(1, len(log_likelihoods) + 1)
    scores = -2 * log_likelihoods + (K - 1 + K * d + d * (d + 1) / 2) * np.log(n)
    return scores, int(K[scores.argmin()])


@choose_components.slip("The means are not charged for: they are K d free numbers.")
def means_forgotten(log_likelihoods, n, d):
    return _bic(log_likelihoods, n, d, means=0.0)


@choose_components.slip("This is AIC: it charges 2 for each parameter where BIC charges log n.")
def aic(log_likelihoods, n, d):
    return _bic(log_likelihoods, n, d, charge=2.0)


@choose_components.slip(
    "The log-likelihood enters with the factor -2; here it is -1, so that parameters cost twice as much as they should."
)
def two_forgotten(log_likelihoods, n, d):
    return _bic(log_likelihoods, n, d, sign=-1.0)


@choose_components.slip(
    "The log-likelihood has the wrong sign: here a model is punished for describing the data well, and the smallest "
    "always wins."
)
def wrong_sign(log_likelihoods, n, d):
    return _bic(log_likelihoods, n, d, sign=2.0)


@choose_components.slip("The scores are right, and the highest was taken. With this sign lower is better.")
def highest_wins(log_likelihoods, n, d):
    scores, _ = _bic(log_likelihoods, n, d)
    return scores, int(scores.argmax()) + 1


@choose_components.slip("The scores are right. argmin counts from 0, and the first fit has one component: add 1.")
def index_for_number(log_likelihoods, n, d):
    scores, best = _bic(log_likelihoods, n, d)
    return scores, best - 1


@choose_components.slip(
    "The charge contains the number of all entries, n times d. BIC counts independent observations, and these are the "
    "rows."
)
def entries_for_rows(log_likelihoods, n, d):
    return _bic(log_likelihoods, n, d, charge=np.log(n * d))


@choose_components.also
def one_by_one(log_likelihoods, n, d):
    scores = []
    for K, ll in enumerate(log_likelihoods, start=1):
        free = (K - 1) + K * d + K * sum(range(1, d + 1))
        scores.append(free * float(np.log(n)) - 2 * float(ll))
    return scores, 1 + scores.index(min(scores))
