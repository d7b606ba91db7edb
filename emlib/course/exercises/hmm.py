"""Exercise of the chapter on hidden Markov models: forward, backward, expected moves, Baum-Welch, Viterbi."""

import numpy as np

from ..compare import close
from ..contract import Exercise

exercise = Exercise(
    "hmm",
    title="Hidden paths",
    minutes=120,
    part="applications",
    objectives=[
        "say how probable one hidden path is, and add up all of them without listing any;",
        "survive thousands of steps, each of which makes the numbers smaller;",
        "write the E-step of a sequence: responsibilities of the states, and expected moves;",
        "do one iteration of Baum–Welch on several sequences, and tell it from Viterbi training;",
        "find the most probable path, and tell it from the row of most probable states.",
    ],
    intro="""
        A chain of hidden states, each of which lets one observation be seen: a dealer who swaps dice, a genome with
        two compositions, a planet with calm and busy years. `emlib` fitted them all in the chapter. Here you write
        its E-step and its M-step, in seven functions.

        The model has `K` states. `startprob` (K,) says where the chain begins, $\\pi_k$, and row $j$ of `transmat`
        (K, K) says where state $j$ goes next: $A_{jk}$ is the probability of going **from $j$ to $k$**. What a state
        shows may be anything, faces of a die or counts or intensities. So most functions do not see the observations
        $x_1, \\dots, x_n$ at all, only `log_density` (n, K), with $\\log p(x_i \\mid \\theta_k)$ in row $i$ and column
        $k$. States are numbered from 0 in the code.
        """,
    setup="""
        # The casino: state 0 is the fair die, state 1 the loaded one. Face 5 is a six.
        startprob = np.array([0.5, 0.5])
        transmat = np.array([[0.9, 0.1], [0.1, 0.9]])
        emissionprob = np.array([[1 / 6] * 6, [0.1] * 5 + [0.5]])

        # Major earthquakes of the world in each year from 1900 to 2006.
        counts = emlib.data.earthquakes()[:, 0]
        """,
    outro="""
        Let `baum_welch_step` climb on the casino: throw the dice a few thousand times with a generator of your own,
        begin with dice that are only a little different, and call it a hundred times or more. Does the log-likelihood
        ever fall? How far is the loaded die that you end with from the one in the first cell? Then put the counts
        along the path of `viterbi` in place of the expected ones, and watch the same log-likelihood: nothing promises
        any longer that it will rise.

        And begin once with two equal dice and equal rows of transitions. Nothing moves apart; chapter 6 explains what
        kind of place that is.
        """,
)

# The casino of the chapter: a fair die (0) and a loaded one (1).
START = np.array([0.5, 0.5])
MOVES = np.array([[0.9, 0.1], [0.1, 0.9]])
FACES = np.array([[1 / 6] * 6, [0.1] * 5 + [0.5]])
SIX = 5

# A log probability of -3,000 is not right if it is off by 0.3, though that is one part in ten thousand.
FINE = close(relative=1e-6)


# ---------------------------------------------------------------- inputs
def _throws(n, seed):
    """Faces (0 to 5) and dice of n throws in the casino."""
    rng = np.random.default_rng(seed)
    dice = _chain(rng, n, START, MOVES)
    return np.array([rng.choice(6, p=FACES[die]) for die in dice]), dice


def _chain(rng, n, startprob, transmat):
    """A path drawn from the model."""
    path = [rng.choice(len(startprob), p=startprob)]
    for _ in range(n - 1):
        path.append(rng.choice(len(startprob), p=transmat[path[-1]]))
    return np.array(path)


def _model(rng, K):
    """Where to begin and where to go: nothing symmetric, no two rows alike, nothing close to zero."""
    startprob = 0.1 / K + 0.9 * rng.dirichlet(np.linspace(1.0, 3.0, K))
    transmat = 0.05 + rng.dirichlet(np.full(K, 1.5), size=K) + rng.permutation(np.eye(K)) + 0.5 * np.eye(K)
    return startprob, transmat / transmat.sum(axis=1, keepdims=True)


def _seen(rng, path, K, apart=1.5):
    """Log densities (n, K) of normal measurements along a path; the states' means lie `apart` from each other."""
    x = apart * path + rng.normal(size=len(path))
    return -0.5 * (x[:, None] - apart * np.arange(K)) ** 2 - 0.5 * np.log(2 * np.pi)


def _case(rng, n, K, apart=1.5, model=None):
    startprob, transmat = model or _model(rng, K)
    log_density = _seen(rng, _chain(rng, n, startprob, transmat), K, apart)
    return {"startprob": startprob, "transmat": transmat, "log_density": log_density}


def _one_way(rng):
    """Three states that follow each other and never return."""
    stay = rng.uniform(0.6, 0.85, size=2)
    return np.array([1.0, 0.0, 0.0]), np.array([[stay[0], 1 - stay[0], 0], [0, stay[1], 1 - stay[1]], [0, 0, 1.0]])


def _earthquakes():
    """Log densities (107, 2) of the yearly counts: a calm state and a busy one, near the best fit of both."""
    from scipy.stats import poisson

    from ... import data

    return {
        "startprob": np.array([0.5, 0.5]),
        "transmat": np.array([[0.93, 0.07], [0.12, 0.88]]),
        "log_density": poisson.logpmf(data.earthquakes(), [15.4, 26.0]),
    }


# ---------------------------------------------------------------- recursions, as the slips vary them
def _forward(startprob, transmat, log_density):
    """Log of the forward probabilities, by scaling: quick, since the slips are run whenever an answer is wrong."""
    top = log_density.max(axis=1)
    rows, scales, row = [], [], startprob
    for i, density in enumerate(np.exp(log_density - top[:, None])):
        row = row @ transmat * density if i else row * density
        scales.append(row.sum())
        row = row / scales[-1]
        rows.append(row)
    return np.log(np.array(rows)) + np.cumsum(np.log(scales) + top)[:, None]


def _backward(transmat, log_density):
    top = log_density.max(axis=1)
    row = np.ones(log_density.shape[1])
    rows, scales = [row], [1.0]
    for density in np.exp(log_density - top[:, None])[:0:-1]:
        row = transmat @ (density * row)
        scales.append(row.sum())
        row = row / scales[-1]
        rows.append(row)
    logs = np.log(scales) + np.concatenate([[0.0], top[:0:-1]])
    return (np.log(np.array(rows)) + np.cumsum(logs)[:, None])[::-1]


def _total(rows):
    """Log of the sum of exponentials along the last axis."""
    top = rows.max(axis=-1)
    return top + np.log(np.exp(rows - top[..., None]).sum(axis=-1))


def _responsibilities(startprob, transmat, log_density):
    both = _forward(startprob, transmat, log_density) + _backward(transmat, log_density)
    return np.exp(both - _total(both)[:, None])


def _log_xi(startprob, transmat, log_density):
    """Log of the posterior probability of each move at each time, (n - 1, K, K)."""
    a = _forward(startprob, transmat, log_density)
    b = _backward(transmat, log_density)
    return a[:-1, :, None] + np.log(transmat) + (log_density + b)[1:, None, :] - _total(a[-1])


def _moves(startprob, transmat, log_density):
    return np.exp(_log_xi(startprob, transmat, log_density)).sum(axis=0)


def _best(startprob, transmat, log_density):
    """Log probability of the best path that ends in each state, (n, K), and where each came from."""
    best, origins = [np.log(startprob) + log_density[0]], [np.zeros(len(startprob), int)]
    with np.errstate(divide="ignore"):
        log_transmat = np.log(transmat)
    for d in log_density[1:]:
        arriving = best[-1][:, None] + log_transmat
        origins.append(arriving.argmax(axis=0))
        best.append(arriving.max(axis=0) + d)
    return np.array(best), np.array(origins)


def _back(last, origins):
    path = [last]
    for origin in origins[:0:-1]:
        path.append(origin[path[-1]])
    return np.array(path[::-1])


def _viterbi(startprob, transmat, log_density):
    best, origins = _best(startprob, transmat, log_density)
    return _back(best[-1].argmax(), origins), best[-1].max()


def _joint(path, startprob, transmat, log_density):
    with np.errstate(divide="ignore"):
        moves = np.log(transmat)[path[:-1], path[1:]].sum()
        return np.log(startprob)[path[0]] + moves + log_density[np.arange(len(path)), path].sum()


def _counted(path, K):
    """Moves along one path."""
    counts = np.zeros((K, K))
    np.add.at(counts, (path[:-1], path[1:]), 1)
    return counts


# ---------------------------------------------------------------- 1
@exercise.function(
    returns={"log_joint": "()"},
    story="""
        **One path.** Suppose that the states were known, $z_1, \\dots, z_n$. Then the probability of the path together
        with what was seen is a product with two factors a step, one for getting there and one for what is shown there:

        $$p(x, z) = \\pi_{z_1}\\, p(x_1 \\mid \\theta_{z_1})
          \\prod_{i=2}^n A_{z_{i-1} z_i}\\, p(x_i \\mid \\theta_{z_i}).$$

        The casino of the chapter shows six, six, two. If the first two throws came from the loaded die and the third
        from the fair one (LLF in its table of paths), this is ½ · ½ for the first, 0.9 · ½ for the second and 0.1 · ⅙
        for the third: 0.001875. Return the logarithm. A path may be thousands of steps long, and one with a forbidden
        move has the logarithm of zero, `-inf`.
        """,
    hints=[
        "There are three sums of logarithms: one start, n - 1 transitions, n densities.",
        "path[:-1] are the states that are left and path[1:] those that are entered. An array can be indexed with two "
        "arrays at once: np.log(transmat)[path[:-1], path[1:]].",
        "The densities along the path are log_density[np.arange(len(path)), path]. Add their sum, the sum of the log "
        "transitions, and np.log(startprob)[path[0]].",
    ],
    after="""
        With known states everything would be counting, as with labelled coins: complete data. They are not known, and
        there are $K^n$ paths. For two dice and 300 throws that is a number with 91 digits. The next function adds up
        all of them in 300 steps.
        """,
    compare=FINE,
)
def log_joint_of_path(path, startprob, transmat, log_density):
    """Log probability of one path together with the observations.

    Parameters
    ----------
    path : array (n,) of int
        State of each step, from 0 to K - 1.
    startprob : array (K,)
        Probabilities of the first state; they may be 0.
    transmat : array (K, K)
        Row j holds the probabilities of going from j to each state; they may be 0.
    log_density : array (n, K)
        Log density of observation i in state k.

    Returns
    -------
    log_joint : float
        log p(x, z); minus infinity if the path is impossible.
    """
    start = np.log(startprob)[path[0]]
    moves = np.log(transmat)[path[:-1], path[1:]].sum()
    shown = log_density[np.arange(len(path)), path].sum()
    return start + moves + shown


@log_joint_of_path.example
def _():
    throws = np.array([SIX, SIX, 1])
    return {
        "path": np.array([1, 1, 0]),
        "startprob": START,
        "transmat": MOVES,
        "log_density": np.log(FACES)[:, throws].T,
    }


@log_joint_of_path.cases
def _(rng):
    def case(n, K, model=None):
        startprob, transmat = model or _model(rng, K)
        path = _chain(rng, n, startprob, transmat)
        log_density = _seen(rng, path, K)
        return {"path": path, "startprob": startprob, "transmat": transmat, "log_density": log_density}

    one_way = _one_way(rng)
    impossible = case(9, 3, one_way)
    impossible["path"] = np.array([0, 0, 1, 1, 2, 2, 1, 2, 2])
    allowed = {**impossible, "path": np.array([0, 0, 1, 1, 1, 2, 2, 2, 2])}
    return {
        "three states": case(12, 3),
        "a single step": case(1, 2),
        "two thousand steps": case(2000, 2),
        "a step that is forbidden": impossible,
        "the same, avoided": allowed,
    }


log_joint_of_path.check("a short path, and a single step", points=2, on=("three states", "a single step"))
log_joint_of_path.check("two thousand steps", points=1, on="two thousand steps")
log_joint_of_path.check(
    "a path that is impossible, and one that is not", points=1, on=("a step that is forbidden", "the same, avoided")
)


@log_joint_of_path.slip(
    "This multiplies first and takes the logarithm afterwards. After a few hundred steps the product is smaller than "
    "anything that the computer can hold, and log(0) is -inf. Add logarithms instead."
)
def product_first(path, startprob, transmat, log_density):
    shown = np.exp(log_density[np.arange(len(path)), path])
    return np.log(startprob[path[0]] * transmat[path[:-1], path[1:]].prod() * shown.prod())


@log_joint_of_path.slip(
    "The transitions run backwards: transmat[j, k] is the step from j to k, so the state that is left is the row and "
    "the state that is entered the column."
)
def steps_backwards(path, startprob, transmat, log_density):
    return _joint(path, startprob, transmat.T, log_density)


@log_joint_of_path.slip(
    "The start probabilities were used at every step. They hold for the first state only; every later one is reached "
    "by a transition from the one before."
)
def start_at_every_step(path, startprob, transmat, log_density):
    return np.log(startprob)[path].sum() + log_density[np.arange(len(path)), path].sum()


@log_joint_of_path.slip(
    "The first observation is missing. The first state has no transition into it, but it shows something like all "
    "the others: there are n densities."
)
def first_observation_forgotten(path, startprob, transmat, log_density):
    return _joint(path, startprob, transmat, log_density) - log_density[0, path[0]]


@log_joint_of_path.slip(
    "The start is missing: add log(startprob) of the first state. The path has to begin somewhere, and that has a "
    "probability too."
)
def start_forgotten(path, startprob, transmat, log_density):
    return _joint(path, np.ones_like(startprob), transmat, log_density)


@log_joint_of_path.slip(
    "This is the probability of the path alone. Each state also shows an observation: add log_density[i, path[i]] for "
    "every i."
)
def path_alone(path, startprob, transmat, log_density):
    return _joint(path, startprob, transmat, np.zeros_like(log_density))


@log_joint_of_path.slip(
    "The last transition is missing. n states have n - 1 steps between them; range(1, n) ends at n - 1 already."
)
def last_step_forgotten(path, startprob, transmat, log_density):
    moves = np.log(transmat)[path[:-2], path[1:-1]].sum()
    return np.log(startprob)[path[0]] + moves + log_density[np.arange(len(path)), path].sum()


@log_joint_of_path.also
def step_by_step(path, startprob, transmat, log_density):
    total, before = 0.0, None
    for i, state in enumerate(path):
        total += np.log(startprob[state] if before is None else transmat[before, state]) + log_density[i, state]
        before = state
    return total


# ---------------------------------------------------------------- 2
@exercise.function(
    returns={"log_alpha": "(n, K)", "log_likelihood": "()"},
    story="""
        **All paths, from the left.** How probable is what has been seen up to $i$, with the chain now in state $k$?
        Call it $\\alpha_{ik} = p(x_1, \\dots, x_i, z_i = k)$. Every path into $k$ comes from some state $j$ one step
        earlier, and all paths that end in $j$ have been added up already:

        $$\\alpha_{1k} = \\pi_k\\, p(x_1 \\mid \\theta_k), \\qquad
          \\alpha_{ik} = \\Bigl(\\sum_j \\alpha_{i-1,j}\\, A_{jk}\\Bigr)\\, p(x_i \\mid \\theta_k), \\qquad
          p(x) = \\sum_k \\alpha_{nk}.$$

        Return the logarithms. Each throw of a die makes the numbers more than five times smaller: the picture shows
        $\\log \\alpha$ of a thousand throws, and the line below which `np.exp` gives zero. It is crossed after 439
        throws. The chapter divides by a factor $c_i$ at each step and adds up the logarithms of these factors. You may
        do that and put them back in at the end, or stay in logarithms throughout and add with log-sum-exp as in
        chapter 2. NumPy has it built in: `np.logaddexp.reduce(a, axis=0)`.
        """,
    hints=[
        "For one step, the terms of the sum are log_alpha[i - 1][:, None] + np.log(transmat): a table with j down the "
        "rows and k across. Which axis is summed over?",
        "Over j, the rows, axis 0. np.logaddexp.reduce(table, axis=0) is the log of the sum of exponentials of each "
        "column, and it does not mind -inf.",
        "log_alpha = np.zeros((n, K)); log_alpha[0] = np.log(startprob) + log_density[0]; then for i in range(1, n): "
        "log_alpha[i] = np.logaddexp.reduce(log_alpha[i - 1][:, None] + np.log(transmat), axis=0) + log_density[i]. "
        "The log-likelihood is np.logaddexp.reduce(log_alpha[-1]).",
    ],
    after="""
        The number of paths doubles with every throw, and the work grows by one step, because all that matters about
        the past is the state in which it ended: the Markov property. A program that scales keeps
        $\\alpha_{ik} / \\sum_j \\alpha_{ij}$, the probability of the state given what has been seen *so far*. It is
        faster than logarithms, since each step is one product of a vector and a matrix, and it is what `emlib` does.
        """,
    compare=FINE,
)
def forward(startprob, transmat, log_density):
    """Add up all paths, from the first observation on.

    Parameters
    ----------
    startprob : array (K,)
        Probabilities of the first state; they may be 0.
    transmat : array (K, K)
        Row j holds the probabilities of going from j to each state; they may be 0.
    log_density : array (n, K)
        Log density of observation i in state k.

    Returns
    -------
    log_alpha : array (n, K)
        log p(x_1, ..., x_i, z_i = k); minus infinity where the state cannot be reached.
    log_likelihood : float
        log p(x_1, ..., x_n).
    """
    n, K = log_density.shape
    log_transmat = np.log(transmat)
    log_alpha = np.zeros((n, K))
    log_alpha[0] = np.log(startprob) + log_density[0]
    for i in range(1, n):
        arriving = log_alpha[i - 1][:, None] + log_transmat
        log_alpha[i] = np.logaddexp.reduce(arriving, axis=0) + log_density[i]
    return log_alpha, np.logaddexp.reduce(log_alpha[-1])


@forward.example
def _():
    throws, _ = _throws(1000, seed=12)
    return {"startprob": START, "transmat": MOVES, "log_density": np.log(FACES)[:, throws].T}


@forward.draws(
    """Log alpha of the two dice against the throw, from 0 to 1000. Both fall from 0 to -1690, close together
    and almost along a straight line. A dashed line at -745, below which exp gives zero, is crossed near throw 440."""
)
def _falling(ax, answer, startprob, transmat, log_density):
    from ...view import style

    for k, (name, width) in enumerate([("fair", 4), ("loaded", 1.2)]):  # nearly the same: the thin one lies on top
        ax.plot(np.asarray(answer[0])[:, k], "-", lw=width, color=style.COLORS[k], label=name)
    ax.axhline(-745, ls="--", lw=1, color="0.4")
    ax.text(len(log_density), -745, "exp gives 0 below", ha="right", va="bottom", color="0.3")
    ax.set(xlabel="throw", ylabel="log alpha")
    ax.legend(loc="lower left", frameon=False)


@forward.cases
def _(rng):
    whole = _case(rng, 7, 2)
    whole["log_density"] = rng.integers(-6, 0, size=(7, 2))
    far = _case(rng, 12, 3)
    far["log_density"] = far["log_density"] - rng.uniform(800, 3000, size=(12, 1))
    return {
        "three states": _case(rng, 12, 3),
        "a single step": _case(rng, 1, 2),
        "two thousand steps": _case(rng, 2000, 2),
        "far from all states": far,
        "states that cannot be reached": _case(rng, 10, 3, model=_one_way(rng)),
        "log densities that are whole numbers": whole,
    }


forward.check("three states, and a single step", points=2, on=("three states", "a single step"))
forward.check("two thousand steps", points=2, on="two thousand steps")
forward.check("observations far from all states", points=1, on="far from all states")
forward.check(
    "probabilities of zero, and whole numbers",
    points=1,
    on=("states that cannot be reached", "log densities that are whole numbers"),
)


def _with_total(log_alpha):
    return log_alpha, _total(log_alpha[-1])


@forward.slip(
    "The recursion is right, but on probabilities themselves. They shrink with every step and underflow to 0 after "
    "a few hundred. Carry logarithms, or divide each row by its sum and add up the logarithms of the sums."
)
def underflow(startprob, transmat, log_density):
    density = np.exp(log_density)
    alpha = [startprob * density[0]]
    for d in density[1:]:
        alpha.append(alpha[-1] @ transmat * d)
    return np.log(np.array(alpha)), np.log(alpha[-1].sum())


@forward.slip(
    "You scale, which is right, but exp(log_density) is zero already where an observation is far from all states, and "
    "then 0/0. Take the largest entry of each row of log_density out first, and add it back at the end."
)
def density_underflows(startprob, transmat, log_density):
    density = np.exp(log_density)
    filtered, logs = [startprob * density[0]], []
    for i in range(len(density)):
        row = filtered[-1] @ transmat * density[i] if i else filtered.pop()
        logs.append(np.log(row.sum()))
        filtered.append(row / row.sum())
    return np.log(np.array(filtered)) + np.cumsum(logs)[:, None], sum(logs)


@forward.slip(
    "The transition matrix is transposed: this sums over the states that k goes to. What arrives in k comes along "
    "column k, alpha @ transmat."
)
def transposed(startprob, transmat, log_density):
    return _with_total(_forward(startprob, transmat.T, log_density))


@forward.slip(
    "The start probabilities stand at every step, where a transition from the state before belongs. Without "
    "transitions this is a mixture, and each observation is on its own."
)
def start_at_each_step(startprob, transmat, log_density):
    return _with_total(_forward(startprob, np.tile(startprob, (len(startprob), 1)), log_density))


@forward.slip("The first observation is missing: alpha[0] is the start probability times the density of the first x.")
def first_density_forgotten(startprob, transmat, log_density):
    log_density = log_density.astype(float)
    log_density[0] = 0
    return _with_total(_forward(startprob, transmat, log_density))


@forward.slip(
    "Only the first observation is there. At every step, after the sum over the states before, multiply by the density "
    "of what is seen there: add log_density[i]."
)
def later_densities_forgotten(startprob, transmat, log_density):
    log_density = log_density.astype(float)
    log_density[1:] = 0
    return _with_total(_forward(startprob, transmat, log_density))


@forward.slip(
    "This keeps the best path into each state instead of adding up all of them: max where the sum belongs. That is "
    "Viterbi's recursion, and it comes later."
)
def best_for_sum(startprob, transmat, log_density):
    best = _best(startprob, transmat, log_density)[0]
    return best, best[-1].max()


@forward.slip(
    "The rows of your exp(log_alpha) sum to one: these are the probabilities of the state given what has been seen so "
    "far. Alpha is the joint probability; add the logarithms of the scales that you divided by, up to each row."
)
def scaled_rows(startprob, transmat, log_density):
    log_alpha, total = _with_total(_forward(startprob, transmat, log_density))
    return log_alpha - _total(log_alpha)[:, None], total


@forward.slip(
    "The log-likelihood is the log of a sum over the last states. This is the sum of their logs: exp first, then add, "
    "then log (np.logaddexp.reduce)."
)
def sum_of_logs(startprob, transmat, log_density):
    log_alpha = _forward(startprob, transmat, log_density)
    return log_alpha, log_alpha[-1].sum()


@forward.slip(
    "Something small was added to the probabilities to keep their logarithms finite. A zero in startprob or transmat "
    "says that something cannot happen; -inf is its right logarithm, and np.logaddexp can add it."
)
def small_for_zero(startprob, transmat, log_density):
    return _with_total(_forward(startprob + 1e-12, transmat + 1e-12, log_density))


@forward.slip(
    "log_alpha came out in whole numbers: an array made like log_density (zeros_like, copy) holds whole numbers if "
    "log_density does. Make it with np.zeros((n, K))."
)
def whole_numbers(startprob, transmat, log_density):
    log_alpha = np.zeros_like(log_density)
    log_alpha[0] = np.log(startprob) + log_density[0]
    for i in range(1, len(log_alpha)):
        top = log_alpha[i - 1].max()
        log_alpha[i] = top + np.log(np.exp(log_alpha[i - 1] - top) @ transmat) + log_density[i]
    return _with_total(log_alpha)


@forward.also
def scaled(startprob, transmat, log_density):
    return _with_total(_forward(startprob, transmat, log_density))


@forward.also
def largest_taken_out(startprob, transmat, log_density):
    """Logarithms, with the largest of a row taken out before exp."""
    rows = [np.log(startprob) + log_density[0]]
    for d in log_density[1:]:
        top = rows[-1].max()
        rows.append(top + np.log(np.exp(rows[-1] - top) @ transmat) + d)
    return np.array(rows).tolist(), float(_total(rows[-1]))


# ---------------------------------------------------------------- 3
@exercise.function(
    returns={"log_beta": "(n, K)"},
    story="""
        **All paths, from the right.** Now the other half: given that the chain is in state $j$ at $i$, how probable
        is everything still to come, $\\beta_{ij} = p(x_{i+1}, \\dots, x_n \\mid z_i = j)$? It goes somewhere, shows
        something there, and the rest has been added up already:

        $$\\beta_{nj} = 1, \\qquad \\beta_{ij} = \\sum_k A_{jk}\\, p(x_{i+1} \\mid \\theta_k)\\, \\beta_{i+1,k}.$$

        After the last observation there is nothing to come, which is certain. Return logarithms again.
        """,
    hints=[
        "Fill log_beta from its last row, which is zeros, up to its first: for i in range(n - 2, -1, -1).",
        "What lies ahead, if the next state is k, is log_density[i + 1] + log_beta[i + 1]: K numbers, one for each k. "
        "It is added to the columns of np.log(transmat).",
        "log_beta[i] = np.logaddexp.reduce(np.log(transmat) + log_density[i + 1] + log_beta[i + 1], axis=1). Here the "
        "sum runs over the columns, the states to which one goes.",
    ],
    after="""
        A check that needs no reference: $\\sum_k \\pi_k\\, p(x_1 \\mid \\theta_k)\\, \\beta_{1k}$ is $p(x)$ again, this
        time from the other end. And $\\sum_k \\alpha_{ik} \\beta_{ik}$ is $p(x)$ at *every* $i$. An index that is off
        by one breaks this at once.
        """,
    compare=FINE,
)
def backward(transmat, log_density):
    """Add up all paths, from the last observation back.

    Parameters
    ----------
    transmat : array (K, K)
        Row j holds the probabilities of going from j to each state; they may be 0.
    log_density : array (n, K)
        Log density of observation i in state k.

    Returns
    -------
    log_beta : array (n, K)
        log p(x_{i+1}, ..., x_n | z_i = j); zeros in the last row.
    """
    log_transmat = np.log(transmat)
    log_beta = np.zeros(log_density.shape)
    for i in range(len(log_density) - 2, -1, -1):
        ahead = log_density[i + 1] + log_beta[i + 1]
        log_beta[i] = np.logaddexp.reduce(log_transmat + ahead, axis=1)
    return log_beta


@backward.example
def _():
    throws = np.array([0, SIX, SIX, SIX, 2])
    return {"transmat": MOVES, "log_density": np.log(FACES)[:, throws].T}


def _without_start(case):
    return {name: value for name, value in case.items() if name != "startprob"}


@backward.cases
def _(rng):
    cases = {
        "three states": _case(rng, 12, 3),
        "two steps": _case(rng, 2, 2),
        "a single step": _case(rng, 1, 3),
        "six hundred steps": _case(rng, 600, 2),
        "states without return": _case(rng, 10, 3, model=_one_way(rng)),
    }
    return {name: _without_start(case) for name, case in cases.items()}


backward.check("three states, and two steps", points=2, on=("three states", "two steps"))
backward.check("six hundred steps", points=1, on="six hundred steps")
backward.check("no way back, and a single step", points=1, on=("states without return", "a single step"))


@backward.slip(
    "The observations are missing. Then nothing can be improbable, every row of transmat sums to one, and so log_beta "
    "is zero: multiply by the density of the observation at i + 1."
)
def observations_forgotten(transmat, log_density):
    return np.zeros(log_density.shape)


@backward.slip(
    "Row i contains the observation at i already, and the last row that of the last. Beta is about what comes after i; "
    "alpha has x_i, and in their product it would count twice."
)
def own_observation(transmat, log_density):
    return _backward(transmat, log_density) + log_density


@backward.slip(
    "The density is that of observation i. It is the next observation, at i + 1, that the next state shows: "
    "log_density[i + 1]."
)
def density_of_this_step(transmat, log_density):
    return _backward(transmat, np.concatenate([log_density[:1], log_density[:-1]]))


@backward.slip(
    "The transition matrix is transposed. Seen from j the future runs along row j: transmat @ ahead, a sum over the "
    "columns. (In the forward pass it was the other way round.)"
)
def along_the_columns(transmat, log_density):
    return _backward(transmat.T, log_density)


@backward.slip(
    "On probabilities themselves this underflows to 0 after a few hundred steps, and the logarithm of that is -inf. "
    "Carry logarithms."
)
def underflow_backwards(transmat, log_density):
    rows = [np.ones(log_density.shape[1])]
    for d in np.exp(log_density[:0:-1]):
        rows.append(transmat @ (d * rows[-1]))
    return np.log(np.array(rows[::-1]))


@backward.slip(
    "The last row is 1/K. It is no distribution over the states: given any of them, seeing nothing more has "
    "probability 1, whose logarithm is 0."
)
def last_row_shared(transmat, log_density):
    return _backward(transmat, log_density) - np.log(log_density.shape[1])


@backward.slip(
    "The rows were made to sum to one. Beta is no distribution over the states but a probability of observations, one "
    "for each state; its rows sum to nothing in particular."
)
def rows_to_one(transmat, log_density):
    log_beta = _backward(transmat, log_density)
    return log_beta - _total(log_beta)[:, None]


@backward.slip("The rows stand in the order in which they were computed, the last one first. Turn them round: [::-1].")
def last_row_first(transmat, log_density):
    return _backward(transmat, log_density)[::-1]


@backward.also
def scaled_backwards(transmat, log_density):
    return np.asfortranarray(_backward(transmat, log_density))


@backward.also
def state_by_state(transmat, log_density):
    n, K = log_density.shape
    rows = [[0.0] * K]
    for i in range(n - 1, 0, -1):
        ahead = [log_density[i, k] + rows[0][k] for k in range(K)]
        top = max(ahead)
        rows.insert(0, [top + np.log(sum(transmat[j, k] * np.exp(ahead[k] - top) for k in range(K))) for j in range(K)])
    return rows


# ---------------------------------------------------------------- 4
def _rows_sum_to_one(answer, inputs):
    sums = np.asarray(answer, float).sum(axis=1)
    worst = np.abs(sums - 1).argmax()
    if abs(sums[worst] - 1) > 1e-6:
        return f"the chain is in one of the states at each step, so each row should sum to 1; row {worst} sums to " + (
            f"{sums[worst]:.4g}"
        )
    return None


@exercise.function(
    returns={"responsibilities": "(n, K)"},
    story="""
        **The E-step, first half.** Past and future together say where the chain was:

        $$r_{ik} = P(z_i = k \\mid x_1, \\dots, x_n) = \\frac{\\alpha_{ik}\\, \\beta_{ik}}{p(x)} .$$

        These are the responsibilities of a mixture whose labels remember (other books call them $\\gamma$). The picture
        shows them for the earthquakes: a calm state with 15.4 major earthquakes a year and a busy one with 26.0. The 23
        of 1923 are nearer to 26, and yet that year is busy with probability .06 only, for the years around it speak
        too. The 34 of 1957 are too many for that: .94.
        """,
    hints=[
        "You have both factors in logarithms, and the logarithm of the divisor is what forward returns second.",
        "Subtract before you take the exponential: exp(log_alpha + log_beta) alone is zero after a few hundred steps.",
        "log_alpha, log_likelihood = forward(startprob, transmat, log_density), then return np.exp(log_alpha + "
        "backward(transmat, log_density) - log_likelihood).",
    ],
    after="""
        If all rows of `transmat` were equal, `beta` would be the same for all states, and these would be the
        responsibilities of chapter 2 with that row as weights. Nothing in the E-step is new except that the sum over
        the hidden data runs over paths.
        """,
    compare=close(rule=_rows_sum_to_one),
)
def responsibilities(startprob, transmat, log_density):
    """Probability of each state at each step, given all observations.

    Parameters
    ----------
    startprob : array (K,)
        Probabilities of the first state; they may be 0.
    transmat : array (K, K)
        Row j holds the probabilities of going from j to each state; they may be 0.
    log_density : array (n, K)
        Log density of observation i in state k.

    Returns
    -------
    responsibilities : array (n, K)
        P(z_i = k | x_1, ..., x_n). Each row sums to one.
    """
    log_alpha, log_likelihood = forward(startprob, transmat, log_density)
    return np.exp(log_alpha + backward(transmat, log_density) - log_likelihood)


responsibilities.example(_earthquakes)


@responsibilities.draws(
    """Probability of the busy state in each year from 1900 to 2006. It is near one from 1905 to 1916, from 1935 to
    1950, in the single year 1957, and from 1968 to 1971; about one half from 1973 to 1976; and low elsewhere."""
)
def _busy_years(ax, answer, startprob, transmat, log_density):
    from ...view import style

    years = 1900 + np.arange(len(log_density))
    ax.fill_between(years, np.asarray(answer)[:, 1], step="mid", color=style.COLORS[1], alpha=0.35, lw=0)
    ax.step(years, np.asarray(answer)[:, 1], where="mid", color=style.COLORS[1], lw=1.2)
    ax.set(xlabel="year", ylabel="P(busy | all years)", ylim=(0, 1.02), xlim=(1900, 2006))


@responsibilities.cases
def _(rng):
    return {
        "three states": _case(rng, 14, 3),
        "a single step": _case(rng, 1, 2),
        "as many steps as states": _case(rng, 3, 3),
        "six hundred steps": _case(rng, 600, 2),
        "states without return": _case(rng, 10, 3, model=_one_way(rng)),
    }


responsibilities.check("three states", points=2, on=("three states", "a single step"))
responsibilities.check("as many steps as states: rows, not columns", points=1, on="as many steps as states")
responsibilities.check("six hundred steps", points=1, on="six hundred steps")
responsibilities.check("probabilities of zero", points=1, on="states without return")


@responsibilities.slip(
    "These rows come from the forward pass alone: they know the past, not what follows. Multiply by beta, the future, "
    "before you make the rows sum to one."
)
def past_alone(startprob, transmat, log_density):
    log_alpha = _forward(startprob, transmat, log_density)
    return np.exp(log_alpha - _total(log_alpha)[:, None])


@responsibilities.slip(
    "These rows come from the backward pass alone: they know the future, and neither the past nor the present. "
    "Multiply by alpha."
)
def future_alone(startprob, transmat, log_density):
    log_beta = _backward(transmat, log_density)
    return np.exp(log_beta - _total(log_beta)[:, None])


@responsibilities.slip(
    "This is not normalised: alpha times beta is the probability of the state *and* of all observations. Divide by "
    "p(x), that is, subtract the log-likelihood before exp."
)
def unnormalised(startprob, transmat, log_density):
    return np.exp(_forward(startprob, transmat, log_density) + _backward(transmat, log_density))


@responsibilities.slip(
    "The normalisation is right, but it comes too late: exp(log_alpha + log_beta) underflows to 0 in all states of a "
    "long sequence, and 0/0 is nan. Subtract the log-likelihood first, then take exp."
)
def normalised_too_late(startprob, transmat, log_density):
    both = np.exp(_forward(startprob, transmat, log_density) + _backward(transmat, log_density))
    return both / both.sum(axis=1, keepdims=True)


@responsibilities.slip(
    "The columns sum to one, not the rows. At each time the chain is somewhere: the states share each step among them."
)
def over_the_steps(startprob, transmat, log_density):
    both = _forward(startprob, transmat, log_density) + _backward(transmat, log_density)
    r = np.exp(both - both.max())
    return r / r.sum(axis=0)


@responsibilities.slip(
    "The density of each observation counts twice, once in alpha and once more. Alpha has x_i, beta begins with "
    "x_{i+1}: their product is complete."
)
def density_twice(startprob, transmat, log_density):
    both = _forward(startprob, transmat, log_density) + _backward(transmat, log_density) + log_density
    return np.exp(both - _total(both)[:, None])


@responsibilities.slip(
    "Zeros and ones: this is the most probable path, as if it had been seen. The E-step keeps the doubt. With the "
    "best path in its place the method is Viterbi training, not EM."
)
def whole_path(startprob, transmat, log_density):
    return np.eye(len(startprob))[_viterbi(startprob, transmat, log_density)[0]]


@responsibilities.slip(
    "These are the responsibilities of a mixture with startprob as its weights: each observation on its own. The "
    "neighbours reach it through transmat, by the forward and the backward pass."
)
def without_neighbours(startprob, transmat, log_density):
    both = np.log(startprob) + log_density
    return np.exp(both - _total(both)[:, None])


@responsibilities.also
def row_by_row(startprob, transmat, log_density):
    return _responsibilities(startprob, transmat, log_density).tolist()


@responsibilities.also
def smoothed_backwards(startprob, transmat, log_density):
    """From filtered probabilities back, without beta."""
    log_alpha = _forward(startprob, transmat, log_density)
    filtered = np.exp(log_alpha - _total(log_alpha)[:, None])
    r = [filtered[-1]]
    for row in filtered[-2::-1]:
        ahead = row @ transmat
        ratio = np.divide(r[0], ahead, out=np.zeros_like(ahead), where=ahead > 0)
        r.insert(0, row * (transmat @ ratio))
    return np.array(r)


# ---------------------------------------------------------------- 5
def _moves_add_up(answer, inputs):
    total, n = np.asarray(answer, float).sum(), len(inputs["log_density"])
    if abs(total - (n - 1)) > 1e-6 * n:
        return f"{n} observations have {n - 1} transitions between them; yours add up to {total:.4g}"
    return None


@exercise.function(
    returns={"moves": "(K, K)"},
    story="""
        **The E-step, second half.** The M-step for `transmat` needs counts: how often did the chain go from $j$ to $k$?
        The path is hidden, so these are expected counts, the probability of the step at each time, added up:

        $$N_{jk} = \\sum_{i=1}^{n-1} \\xi_{ijk}, \\qquad
          \\xi_{ijk} = P(z_i = j,\\, z_{i+1} = k \\mid x)
          = \\frac{\\alpha_{ij}\\, A_{jk}\\, p(x_{i+1} \\mid \\theta_k)\\, \\beta_{i+1,k}}{p(x)} .$$

        Read it from left to right: everything up to $i$ ends in $j$, one step to $k$, what $k$ shows, and the rest.
        The 107 years of the earthquakes have 106 steps from one year to the next, so the four counts of the example add
        up to 106.
        """,
    hints=[
        "For one i it is a table (K, K): log_alpha[i][:, None] + np.log(transmat) + (log_density[i + 1] + "
        "log_beta[i + 1]), minus the log-likelihood. j down the rows, k across.",
        "Take exp of each of these tables, then add them up: i runs from 0 to n - 2 in Python.",
        "All at once: np.exp(log_alpha[:-1, :, None] + np.log(transmat) + (log_density + log_beta)[1:, None, :] - "
        "log_likelihood).sum(axis=0).",
    ],
    after="""
        Row $j$ of $N$ sums to $\\sum_{i<n} r_{ij}$, the expected number of times that the chain *left* $j$:
        the last step is not among them. So the new row of `transmat` is the row of $N$ divided by its own sum.
        Dividing by the expected number of all visits, the last one included, gives rows that sum to less than one,
        and on many short sequences much less.
        """,
    compare=close(rule=_moves_add_up),
)
def expected_moves(startprob, transmat, log_density):
    """Expected number of transitions between states, given all observations.

    Parameters
    ----------
    startprob : array (K,)
        Probabilities of the first state; they may be 0.
    transmat : array (K, K)
        Row j holds the probabilities of going from j to each state; they may be 0.
    log_density : array (n, K)
        Log density of observation i in state k.

    Returns
    -------
    moves : array (K, K)
        Expected number of steps from j (row) to k (column); n - 1 in all.
    """
    log_alpha, log_likelihood = forward(startprob, transmat, log_density)
    ahead = log_density + backward(transmat, log_density)
    log_xi = log_alpha[:-1, :, None] + np.log(transmat) + ahead[1:, None, :]
    return np.exp(log_xi - log_likelihood).sum(axis=0)


expected_moves.example(_earthquakes)


@expected_moves.cases
def _(rng):
    return {
        "three states": _case(rng, 14, 3),
        "two steps": _case(rng, 2, 2),
        "a single step": _case(rng, 1, 2),
        "six hundred steps": _case(rng, 600, 2),
        "states without return": _case(rng, 12, 3, model=_one_way(rng)),
    }


expected_moves.check("three states, and two steps", points=3, on=("three states", "two steps"))
expected_moves.check("six hundred steps", points=1, on="six hundred steps")
expected_moves.check(
    "steps that are forbidden, and no step at all", points=1, on=("states without return", "a single step")
)


@expected_moves.slip(
    "You counted the steps along the most probable path. One path is not all of them: the E-step adds up the "
    "probability of the step at each time, over all paths. Counts along one path make it Viterbi training."
)
def along_the_best_path(startprob, transmat, log_density):
    return _counted(_viterbi(startprob, transmat, log_density)[0], len(startprob))


@expected_moves.slip(
    "This multiplies the responsibilities at i by those at i + 1, as if the two states were independent. They are not, "
    "that is the point of a chain: the step from j to k has its own probability, with A_jk in it."
)
def product_of_responsibilities(startprob, transmat, log_density):
    r = _responsibilities(startprob, transmat, log_density)
    return r[:-1].T @ r[1:]


@expected_moves.slip(
    "The last step is counted too, though nothing follows it. Between n observations there are n - 1 transitions: the "
    "sum over i stops one before the last."
)
def last_step_counted(startprob, transmat, log_density):
    r = _responsibilities(startprob, transmat, log_density)
    return _moves(startprob, transmat, log_density) + r[-1][:, None] * transmat


@expected_moves.slip(
    "The table is transposed: rows are the states that are left, columns those that are entered. Put the axis of "
    "alpha first."
)
def entered_by_left(startprob, transmat, log_density):
    return _moves(startprob, transmat, log_density).T


@expected_moves.slip(
    "The density of the observation at i + 1 is missing. It is in neither factor: alpha ends with x_i and beta begins "
    "with x_{i+2}."
)
def density_between_forgotten(startprob, transmat, log_density):
    return np.exp(_log_xi(startprob, transmat, log_density) - log_density[1:, None, :]).sum(axis=0)


@expected_moves.slip(
    "This is not divided by p(x). The numerator is the probability of the step *and* of all observations; subtract "
    "the log-likelihood before exp."
)
def not_divided(startprob, transmat, log_density):
    total = _total(_forward(startprob, transmat, log_density)[-1])
    return np.exp(_log_xi(startprob, transmat, log_density) + total).sum(axis=0)


@expected_moves.slip(
    "The rows sum to one: that is the new transmat already. Wanted are the counts, since counts of several sequences "
    "have to be added before anything is divided."
)
def rows_divided(startprob, transmat, log_density):
    xi = _moves(startprob, transmat, log_density)
    return xi / xi.sum(axis=1, keepdims=True)


@expected_moves.slip(
    "This is the mean over the steps. The counts of a longer sequence should weigh more: take the sum."
)
def mean_of_the_steps(startprob, transmat, log_density):
    return np.exp(_log_xi(startprob, transmat, log_density)).mean(axis=0)


@expected_moves.slip(
    "The future is missing. Each step was weighed by what had been seen until then; multiply by beta at i + 1, for "
    "what came later says something about it too."
)
def no_future(startprob, transmat, log_density):
    log_xi = _log_xi(startprob, transmat, log_density) - _backward(transmat, log_density)[1:, None, :]
    xi = np.exp(log_xi - log_xi.max(axis=(1, 2), keepdims=True, initial=-np.inf))
    return (xi / xi.sum(axis=(1, 2), keepdims=True)).sum(axis=0)


@expected_moves.slip(
    "Beta is that of the state which is left, at i. The rest of the path begins where the step ends: beta at i + 1."
)
def beta_of_the_state_left(startprob, transmat, log_density):
    b = _backward(transmat, log_density)
    return np.exp(_log_xi(startprob, transmat, log_density) - b[1:, None, :] + b[:-1, :, None]).sum(axis=0)


@expected_moves.also
def step_after_step(startprob, transmat, log_density):
    a, b = _forward(startprob, transmat, log_density), _backward(transmat, log_density)
    total = _total(a[-1])
    xi = np.zeros_like(transmat)
    for i in range(len(a) - 1):
        xi += np.exp(a[i][:, None] + np.log(transmat) + log_density[i + 1] + b[i + 1] - total)
    return xi


@expected_moves.also
def each_table_divided(startprob, transmat, log_density):
    log_xi = _log_xi(startprob, transmat, log_density)
    if not len(log_xi):
        return np.zeros_like(transmat)
    xi = np.exp(log_xi - log_xi.max(axis=(1, 2), keepdims=True))
    return (xi / xi.sum(axis=(1, 2), keepdims=True)).sum(axis=0)


# ---------------------------------------------------------------- 6
def _distributions(answer, inputs):
    startprob, transmat, emissionprob = (np.asarray(part, float) for part in answer[:3])
    for name, sums in (
        ("startprob", startprob.sum()),
        ("each row of transmat", transmat.sum(axis=1)),
        ("each row of emissionprob", emissionprob.sum(axis=1)),
    ):
        worst = np.ravel(sums)[np.abs(np.ravel(sums) - 1).argmax()]
        if abs(worst - 1) > 1e-6:
            return f"{name} should sum to 1; yours sums to {worst:.4g}"
    return None


@exercise.function(
    returns={
        "startprob": "(K,)",
        "transmat": "(K, K)",
        "emissionprob": "(K, M)",
        "log_likelihood": "()",
    },
    story="""
        **One iteration of Baum–Welch.** What is seen are symbols now, the numbers 0 to M − 1, and state $k$ shows
        (*emits*) symbol $m$ with probability `emissionprob[k, m]`. There are several sequences, one after the other in
        `symbols`; `lengths` says how many symbols each has. No move leads from the end of one to the beginning of the
        next.

        **E:** for each sequence compute responsibilities and expected moves, and add up over the sequences the first
        states $r_{1k}$, the moves $N_{jk}$, and how often each state is expected to have shown each symbol,
        $\\sum_{i:\\, x_i = m} r_{ik}$. **M:** divide each of these counts so that it sums to one where a
        distribution should. It is "heads divided by flips" once more, three times.

        Return the log-likelihood of the parameters that came in, as the E-step finds it. In the example the casino was
        open on three evenings, and the start knows little about the dice.
        """,
    hints=[
        "Cut the symbols: np.split(symbols, np.cumsum(lengths)[:-1]). For one sequence x, np.log(emissionprob)[:, x].T "
        "is its log_density (n, K), and the four functions above do the rest.",
        "Begin with three tables of zeros, of the shapes of the parameters, and add to them in the loop. Divide after "
        "the loop, once.",
        "Counts of symbols: for m in range(M): shown[:, m] += r[x == m].sum(axis=0).",
        "After the loop: first / first.sum(), moves / moves.sum(axis=1, keepdims=True), shown / shown.sum(axis=1, "
        "keepdims=True), and the sum of the log-likelihoods.",
    ],
    after="""
        Counts add, whether the sequences lie on one computer or on several. An average of the estimates of each
        sequence is something else: it gives five throws the same say as five hundred. Dividing by the rows' own sums
        is the whole M-step, and it is exact, so the log-likelihood cannot fall. Counts along one best path climb
        something else, the probability of that path.
        """,
    compare=close(rule=_distributions),
)
def baum_welch_step(symbols, lengths, startprob, transmat, emissionprob):
    """One iteration of EM for a hidden Markov model that shows symbols.

    Parameters
    ----------
    symbols : array (N,) of int
        All sequences, one after the other; symbols are 0 to M - 1, and some may not occur.
    lengths : array (S,) of int
        Number of symbols of each sequence, 1 or more; they sum to N.
    startprob, transmat, emissionprob : arrays (K,), (K, K), (K, M)
        The present parameters.

    Returns
    -------
    startprob, transmat, emissionprob : arrays (K,), (K, K), (K, M)
        The parameters after one E-step and one M-step.
    log_likelihood : float
        Of the parameters that came in.
    """
    first = np.zeros(startprob.shape)
    moves = np.zeros(transmat.shape)
    shown = np.zeros(emissionprob.shape)
    log_likelihood = 0.0
    for x in np.split(symbols, np.cumsum(lengths)[:-1]):
        log_density = np.log(emissionprob)[:, x].T
        r = responsibilities(startprob, transmat, log_density)
        first += r[0]
        moves += expected_moves(startprob, transmat, log_density)
        for m in range(emissionprob.shape[1]):
            shown[:, m] += r[x == m].sum(axis=0)
        log_likelihood += forward(startprob, transmat, log_density)[1]
    return (
        first / first.sum(),
        moves / moves.sum(axis=1, keepdims=True),
        shown / shown.sum(axis=1, keepdims=True),
        log_likelihood,
    )


@baum_welch_step.example
def _():
    lengths = np.array([150, 60, 240])
    evenings = [_throws(n, seed)[0] for seed, n in enumerate(lengths)]
    return {
        "symbols": np.concatenate(evenings),
        "lengths": lengths,
        "startprob": np.array([0.5, 0.5]),
        "transmat": np.array([[0.8, 0.2], [0.2, 0.8]]),
        "emissionprob": np.array([[1 / 6] * 6, [0.15] * 5 + [0.25]]),
    }


@baum_welch_step.draws(
    """Probabilities of the six faces in two states after one iteration, with marks at the start. A six has .26 in state
    0 and .39 in state 1, up from .17 and .25; the other faces have .14 to .16 in state 0 and .11 to .13 in state 1."""
)
def _dice(ax, answer, symbols, lengths, startprob, transmat, emissionprob):
    from ...view import style

    faces = np.arange(1, 7)
    for k, name in enumerate(["state 0", "state 1"]):
        ax.bar(faces + (k - 0.5) * 0.38, np.asarray(answer[2])[k], width=0.36, color=style.COLORS[k], label=name)
        ax.plot(faces + (k - 0.5) * 0.38, emissionprob[k], "_", color="black", ms=11, label="start" if k else None)
    ax.set(xlabel="face", ylabel="probability after one iteration", xticks=faces, ylim=(0, 0.4))
    ax.legend(loc="upper left", frameon=False)


def _symbols(rng, lengths, K, M, silent=()):
    """Sequences from one model and parameters near another; symbols in `silent` never occur."""
    startprob, transmat = _model(rng, K)
    emissionprob = 0.04 + rng.dirichlet(np.full(M, 0.7), size=K)
    truth = emissionprob.copy()
    truth[:, list(silent)] = 0
    truth /= truth.sum(axis=1, keepdims=True)
    symbols = []
    for n in lengths:
        symbols += [rng.choice(M, p=truth[state]) for state in _chain(rng, n, startprob, transmat)]
    emissionprob = emissionprob + 0.1 * rng.random((K, M))
    start, moves = _model(rng, K)
    return {
        "symbols": np.array(symbols),
        "lengths": np.array(lengths),
        "startprob": start,
        "transmat": moves,
        "emissionprob": emissionprob / emissionprob.sum(axis=1, keepdims=True),
    }


@baum_welch_step.cases
def _(rng):
    return {
        "one sequence": _symbols(rng, [30], 2, 3),
        "three sequences": _symbols(rng, [6, 21, 11], 3, 4),
        "short ones, even single symbols": _symbols(rng, [1, 3, 1, 2, 5, 4], 2, 3),
        "a symbol that never occurs": _symbols(rng, [12, 9], 2, 4, silent=[3]),
    }


baum_welch_step.check("one sequence", points=2, on="one sequence")
baum_welch_step.check("three sequences", points=3, on="three sequences")
baum_welch_step.check("many short sequences", points=1, on="short ones, even single symbols")
baum_welch_step.check("a symbol that never occurs", points=1, on="a symbol that never occurs")


def _statistics(symbols, lengths, startprob, transmat, emissionprob, posterior=_responsibilities, moving=_moves):
    """First states, moves, symbols shown, visits at all times, and log-likelihood, of each sequence."""
    stats = []
    for x in np.split(symbols, np.cumsum(lengths)[:-1]):
        log_density = np.log(emissionprob)[:, x].T
        r = posterior(startprob, transmat, log_density)
        shown = np.stack([r[x == m].sum(axis=0) for m in range(emissionprob.shape[1])], axis=1)
        total = _total(_forward(startprob, transmat, log_density)[-1])
        stats.append((r[0], moving(startprob, transmat, log_density), shown, r.sum(axis=0), total))
    return stats


def _added(stats):
    return [sum(parts) for parts in zip(*stats, strict=True)]


def _divided(first, moves, shown):
    return first / first.sum(), moves / moves.sum(axis=1, keepdims=True), shown / shown.sum(axis=1, keepdims=True)


def _hard_states(startprob, transmat, log_density):
    return np.eye(len(startprob))[_viterbi(startprob, transmat, log_density)[0]]


def _hard_moves(startprob, transmat, log_density):
    return _counted(_viterbi(startprob, transmat, log_density)[0], len(startprob))


@baum_welch_step.slip(
    "This is Viterbi training: the most probable path was taken for the truth and everything counted along it. "
    "Baum–Welch is EM, and its E-step takes expected counts over all paths."
)
def viterbi_training(symbols, lengths, startprob, transmat, emissionprob):
    given = symbols, lengths, startprob, transmat, emissionprob
    first, moves, shown, _, total = _added(_statistics(*given, posterior=_hard_states, moving=_hard_moves))
    return *_divided(first, moves, shown), total


@baum_welch_step.slip(
    "Start and symbols are counted with the responsibilities, as they should be, but the moves along the most probable "
    "path. Take the expected moves; half an E-step climbs nothing in particular."
)
def moves_of_hard_paths(symbols, lengths, startprob, transmat, emissionprob):
    given = symbols, lengths, startprob, transmat, emissionprob
    first, moves, shown, _, total = _added(_statistics(*given, moving=_hard_moves))
    return *_divided(first, moves, shown), total


@baum_welch_step.slip(
    "Each sequence was normalised before the sequences were put together, so that a short one has the same say as a "
    "long one. Add up the counts of all sequences first, and divide once."
)
def normalised_before_adding(symbols, lengths, startprob, transmat, emissionprob):
    stats = _statistics(symbols, lengths, startprob, transmat, emissionprob)
    estimates = [_divided(*one[:3]) for one in stats]
    return *[sum(parts) / len(lengths) for parts in zip(*estimates, strict=True)], _added(stats)[4]


@baum_welch_step.slip(
    "The sequences were joined into one. Then each has a step into the next that never happened, and only the first "
    "has a start. Cut at the lengths, and do each by itself."
)
def joined(symbols, lengths, startprob, transmat, emissionprob):
    given = symbols, lengths[:1] * 0 + len(symbols), startprob, transmat, emissionprob
    first, moves, shown, _, total = _added(_statistics(*given))
    return *_divided(first, moves, shown), total


@baum_welch_step.slip(
    "The transitions are divided by the expected number of all visits, the last step of each sequence included. From "
    "there no transition was made: divide each row of the moves by its own sum, so that it sums to one."
)
def last_visits_counted(symbols, lengths, startprob, transmat, emissionprob):
    first, moves, shown, visits, total = _added(_statistics(symbols, lengths, startprob, transmat, emissionprob))
    startprob, _, emissionprob = _divided(first, moves, shown)
    return startprob, moves / visits[:, None], emissionprob, total


@baum_welch_step.slip(
    "startprob is the share of each state among all steps. It is about the first step of each sequence only, row 0 of "
    "its responsibilities."
)
def visits_for_start(symbols, lengths, startprob, transmat, emissionprob):
    _, moves, shown, visits, total = _added(_statistics(symbols, lengths, startprob, transmat, emissionprob))
    return *_divided(visits, moves, shown), total


@baum_welch_step.slip(
    "The new startprob is that of one sequence only. Every sequence has a first state: add up row 0 of all of "
    "them, then divide by their number."
)
def start_of_the_last(symbols, lengths, startprob, transmat, emissionprob):
    stats = _statistics(symbols, lengths, startprob, transmat, emissionprob)
    _, moves, shown, _, total = _added(stats)
    return *_divided(stats[-1][0], moves, shown), total


@baum_welch_step.slip(
    "The columns of transmat were made to sum to one. A state has to go somewhere: it is the rows that are "
    "distributions, axis=1."
)
def columns_of_transmat(symbols, lengths, startprob, transmat, emissionprob):
    first, moves, shown, _, total = _added(_statistics(symbols, lengths, startprob, transmat, emissionprob))
    startprob, _, emissionprob = _divided(first, moves, shown)
    return startprob, moves / moves.sum(axis=0), emissionprob, total


@baum_welch_step.slip(
    "The columns of emissionprob were made to sum to one: that says from which state a symbol came. Wanted is which "
    "symbol a state shows, so each row sums to one."
)
def columns_of_emissionprob(symbols, lengths, startprob, transmat, emissionprob):
    first, moves, shown, _, total = _added(_statistics(symbols, lengths, startprob, transmat, emissionprob))
    startprob, transmat, _ = _divided(first, moves, shown)
    return startprob, transmat, shown / shown.sum(axis=0), total


@baum_welch_step.slip(
    "The number of symbols was read off the data (symbols.max() + 1). A symbol that happens not to occur is still in "
    "the alphabet: take emissionprob.shape[1]."
)
def alphabet_of_the_data(symbols, lengths, startprob, transmat, emissionprob):
    first, moves, shown, _, total = _added(_statistics(symbols, lengths, startprob, transmat, emissionprob))
    return *_divided(first, moves, shown[:, : symbols.max() + 1]), total


@baum_welch_step.slip(
    "The log-likelihood is that of the last sequence alone: it is overwritten in the loop. Add them up; sequences are "
    "independent."
)
def likelihood_of_the_last(symbols, lengths, startprob, transmat, emissionprob):
    stats = _statistics(symbols, lengths, startprob, transmat, emissionprob)
    first, moves, shown, *_ = _added(stats)
    return *_divided(first, moves, shown), stats[-1][4]


@baum_welch_step.slip(
    "The log-likelihood is that of the new parameters. The story asks for that of the parameters which came in: the "
    "E-step computes it on the way, and no second pass is needed."
)
def likelihood_of_the_new(symbols, lengths, startprob, transmat, emissionprob):
    first, moves, shown, *_ = _added(_statistics(symbols, lengths, startprob, transmat, emissionprob))
    new = _divided(first, moves, shown)
    return *new, _added(_statistics(symbols, lengths, *new))[4]


@baum_welch_step.also
def counted_step_by_step(symbols, lengths, startprob, transmat, emissionprob):
    first, moves, shown = np.zeros_like(startprob), np.zeros_like(transmat), np.zeros_like(emissionprob)
    total, begin = 0.0, 0
    for n in lengths:
        x = symbols[begin : begin + n]
        begin += n
        log_density = np.log(emissionprob[:, x]).T
        r = _responsibilities(startprob, transmat, log_density)
        first += r[0] / len(lengths)
        np.add.at(shown.T, x, r)
        moves += _moves(startprob, transmat, log_density)
        total += _total(_forward(startprob, transmat, log_density)[-1])
    return [first, (moves.T / moves.sum(axis=1)).T, (shown.T / shown.sum(axis=1)).T, total]


# ---------------------------------------------------------------- 7
@exercise.function(
    returns={"path": "(n,)", "log_probability": "()"},
    story="""
        **The best path.** Sometimes one path is wanted: where exactly does the genome change? Of all paths find the one
        with the largest $p(x, z)$. Viterbi's idea is the forward pass with the sum replaced by a maximum,

        $$\\delta_{1k} = \\log \\pi_k + \\log p(x_1 \\mid \\theta_k), \\qquad
          \\delta_{ik} = \\max_j \\bigl(\\delta_{i-1,j} + \\log A_{jk}\\bigr) + \\log p(x_i \\mid \\theta_k),$$

        and a note, for each $i$ and $k$, of the $j$ that won. At the end take the best last state, and follow the
        notes back. Return the path and $\\log \\max_z p(x, z)$.

        The example is the genome of phage lambda, cut into 485 windows of 100 bases, with the two compositions of the
        chapter. After the first 200 bases, which look like the other kind, your path changes state near 22,500, 31,500,
        33,200, 38,400 and 46,400. Those are the cuts that the chapter finds base by base, to within 300 bases.
        """,
    hints=[
        "In logarithms there is nothing to add up and nothing underflows: products become sums, and max stays max.",
        "arriving = best[:, None] + np.log(transmat) has the origins down the rows. arriving.argmax(axis=0) is the "
        "note, arriving.max(axis=0) + log_density[i] the new best.",
        "Keep the notes in an array came_from (n, K). path[-1] = best.argmax(); then for i = n - 1 down to 1: "
        "path[i - 1] = came_from[i, path[i]].",
    ],
    after="""
        The most probable state at each step, `responsibilities(...).argmax(axis=1)`, is expected to be right at more
        steps. But strung together these states need not be a path at all: two neighbours may be joined by a move of
        probability zero. Which of the two is wanted depends on the question: "where was it at step 70?" or "what is
        the one most probable story?". And neither of them is the E-step.
        """,
    compare=FINE,
)
def viterbi(startprob, transmat, log_density):
    """The most probable path.

    Parameters
    ----------
    startprob : array (K,)
        Probabilities of the first state; they may be 0.
    transmat : array (K, K)
        Row j holds the probabilities of going from j to each state; they may be 0.
    log_density : array (n, K)
        Log density of observation i in state k.

    Returns
    -------
    path : array (n,) of int
        The states of the path with the largest p(x, z). It is unique here.
    log_probability : float
        log p(x, z) of this path.
    """
    n, K = log_density.shape
    log_transmat = np.log(transmat)
    came_from = np.zeros((n, K), dtype=int)
    best = np.log(startprob) + log_density[0]
    for i in range(1, n):
        arriving = best[:, None] + log_transmat
        came_from[i] = arriving.argmax(axis=0)
        best = arriving.max(axis=0) + log_density[i]
    path = np.zeros(n, dtype=int)
    path[-1] = best.argmax()
    for i in range(n - 1, 0, -1):
        path[i - 1] = came_from[i, path[i]]
    return path, best.max()


WINDOW = 100  # bases


@viterbi.example
def _():
    from ... import data

    codes = data.lambda_phage().codes[:, 0]
    windows = codes[: len(codes) // WINDOW * WINDOW].reshape(-1, WINDOW)
    counts = (windows[:, :, None] == np.arange(4)).sum(axis=1)
    bases = np.array([[0.270, 0.208, 0.198, 0.324], [0.246, 0.248, 0.298, 0.208]])
    return {
        "startprob": np.array([0.5, 0.5]),
        "transmat": np.array([[0.98, 0.02], [0.01, 0.99]]),
        "log_density": counts @ np.log(bases).T,
    }


@viterbi.draws(
    """Evidence for state 1 in each of 485 windows, dots scattered between -17 and 15 nats, and the path as a step line:
    state 1 from 0.2 to 22.5 kb, from 31.5 to 33.2 and from 38.4 to 46.4, state 0 elsewhere."""
)
def _genome(ax, answer, startprob, transmat, log_density):
    from ...view import style

    kb = np.arange(len(log_density)) * WINDOW / 1000
    ax.plot(kb, log_density[:, 1] - log_density[:, 0], ".", ms=3, color="0.6")
    path = np.asarray(answer[0])
    ax.step(kb, np.where(path == 1, 5, -5), where="post", color=style.COLORS[0], lw=1.8)
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.set(xlabel="position (kb)", ylabel="evidence for state 1 (nats)")


def _unlike(case):
    """Whether the paths that people mistake for the best one are all different here, from it and from each other."""
    given = tuple(case.values())
    paths = [_viterbi(*given)[0], *(_wrong(*given) for _wrong in (_most_probable_states, _greedy_path, _no_way_back))]
    paths += [given[2].argmax(axis=1), _viterbi(given[0], given[1].T, given[2])[0], _sums_back(*given)]
    return len({tuple(path) for path in paths}) == len(paths)


def _most_probable_states(startprob, transmat, log_density):
    return _responsibilities(startprob, transmat, log_density).argmax(axis=1)


def _greedy_path(startprob, transmat, log_density):
    with np.errstate(divide="ignore"):
        path = [(np.log(startprob) + log_density[0]).argmax()]
        for d in log_density[1:]:
            path.append((np.log(transmat)[path[-1]] + d).argmax())
    return np.array(path)


def _no_way_back(startprob, transmat, log_density):
    return _best(startprob, transmat, log_density)[0].argmax(axis=1)


def _sums_back(startprob, transmat, log_density):
    """Follow back the largest terms of the forward sums."""
    a = _forward(startprob, transmat, log_density)
    with np.errstate(divide="ignore"):
        origins = (a[:-1, :, None] + np.log(transmat)).argmax(axis=1)
    return _back(a[-1].argmax(), np.concatenate([origins[:1] * 0, origins]))


@viterbi.cases
def _(rng):
    # Drawn again until every wrong path differs from the right one; at this length few draws are thrown away.
    doubtful = _case(rng, 60, 3, apart=0.8)
    while not _unlike(doubtful):
        doubtful = _case(rng, 60, 3, apart=0.8)
    no_return = _case(rng, 12, 3, apart=0.7, model=_one_way(rng))
    return {
        "in doubt": doubtful,
        "a few steps": _case(rng, 6, 2),
        "a single step": _case(rng, 1, 3),
        "six hundred steps": _case(rng, 600, 2),
        "states without return": no_return,
    }


viterbi.check("a sequence in doubt", points=3, on="in doubt")
viterbi.check("a few steps, and one", points=1, on=("a few steps", "a single step"))
viterbi.check("six hundred steps", points=1, on="six hundred steps")
viterbi.check("steps that are forbidden", points=1, on="states without return")


@viterbi.slip(
    "This is the most probable state at each step: posterior decoding. It answers another question. Wanted "
    "is the path that is most probable as a whole; the two differ, and the states need not even fit together."
)
def posterior_decoding(startprob, transmat, log_density):
    path = _most_probable_states(startprob, transmat, log_density)
    return path, _joint(path, startprob, transmat, log_density)


@viterbi.slip(
    "Each step takes the best next state and never looks back. A step that is a little worse now may be much better "
    "later: keep the best path into *every* state, and decide at the end."
)
def greedy(startprob, transmat, log_density):
    path = _greedy_path(startprob, transmat, log_density)
    return path, _joint(path, startprob, transmat, log_density)


@viterbi.slip(
    "The path takes the largest entry of each row. Row i is about the best path that *ends* at i, and these paths do "
    "not lie on top of each other: note where each came from, and follow the notes back from the last."
)
def no_way_back(startprob, transmat, log_density):
    best = _best(startprob, transmat, log_density)[0]
    return best.argmax(axis=1), best[-1].max()


@viterbi.slip(
    "Each state was chosen by its own observation, without any transition. The chain matters: add log transmat from "
    "the state before."
)
def each_on_its_own(startprob, transmat, log_density):
    path = log_density.argmax(axis=1)
    return path, _joint(path, startprob, transmat, log_density)


@viterbi.slip(
    "The transition matrix is transposed: rows are origins. In best[:, None] + log(transmat) the origins run down the "
    "rows, and the maximum is over axis 0."
)
def transposed_steps(startprob, transmat, log_density):
    return _viterbi(startprob, transmat.T, log_density)


@viterbi.slip(
    "The products underflow to 0 on a long sequence; then all states tie, and the path is the first state all along. "
    "Use logarithms: max does not mind."
)
def products(startprob, transmat, log_density):
    density = np.exp(log_density)
    best, origins = startprob * density[0], [np.zeros(len(startprob), int)]
    for d in density[1:]:
        arriving = best[:, None] * transmat
        origins.append(arriving.argmax(axis=0))
        best = arriving.max(axis=0) * d
    return _back(best.argmax(), origins), np.log(best.max())


@viterbi.slip(
    "This adds up the paths into each state, as the forward pass does. For the best path replace the sum by a maximum; "
    "otherwise many poor paths together outvote the best one."
)
def sum_for_max(startprob, transmat, log_density):
    return _sums_back(startprob, transmat, log_density), _total(_forward(startprob, transmat, log_density)[-1])


@viterbi.slip("The start probabilities are missing: the first row is log(startprob) + log_density[0].")
def start_left_out(startprob, transmat, log_density):
    return _viterbi(np.ones_like(startprob), transmat, log_density)


@viterbi.slip(
    "The path stands in the order in which the notes were followed, the last state first. Turn it round: path[::-1]."
)
def last_state_first(startprob, transmat, log_density):
    path, log_probability = _viterbi(startprob, transmat, log_density)
    return path[::-1], log_probability


@viterbi.slip("The states of this path count from 1. In the code they count from 0, as the rows of transmat do.")
def states_from_one(startprob, transmat, log_density):
    path, log_probability = _viterbi(startprob, transmat, log_density)
    return path + 1, log_probability


@viterbi.slip(
    "The notes are read one step off: came_from[i, k] says where the path was at i - 1 if it is in k at i. So "
    "path[i - 1] is came_from[i, path[i]]."
)
def notes_one_off(startprob, transmat, log_density):
    best, origins = _best(startprob, transmat, log_density)
    path = _back(best[-1].argmax(), np.concatenate([origins[:1], origins[:-1]]))
    return path, best[-1].max()


@viterbi.also
def whole_paths_carried(startprob, transmat, log_density):
    """No notes: the best path into each state is carried along."""
    K = len(startprob)
    best, paths = np.log(startprob) + log_density[0], [[k] for k in range(K)]
    for d in log_density[1:]:
        arriving = best[:, None] + np.log(transmat)
        origins = arriving.argmax(axis=0)
        paths = [[*paths[origins[k]], k] for k in range(K)]
        best = arriving.max(axis=0) + d
    return paths[int(best.argmax())], float(best.max())


@viterbi.also
def from_the_right(startprob, transmat, log_density):
    """The recursion the other way round: the best future of each state, then a walk from the start."""
    log_transmat = np.log(transmat)
    ahead = [np.zeros(len(startprob))]
    for d in log_density[:0:-1]:
        ahead.insert(0, (log_transmat + d + ahead[0]).max(axis=1))
    path = [(np.log(startprob) + log_density[0] + ahead[0]).argmax()]
    for d, future in zip(log_density[1:], ahead[1:], strict=True):
        path.append((log_transmat[path[-1]] + d + future).argmax())
    return np.array(path), (np.log(startprob) + log_density[0] + ahead[0]).max()
