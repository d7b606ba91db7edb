"""Keep what a climb went through, to draw it afterwards."""

from __future__ import annotations

from ..engine.em import Step


class Recorder:
    """A callback for `engine.em.fit` that keeps every step.

    Attributes
    ----------
    steps : list of engine.em.Step
        The start (iteration 0) and the end of every iteration.

    Examples
    --------
    >>> import numpy as np
    >>> from emlib.engine import em, families
    >>> from emlib.engine.mixture import Mixture, MixtureParams
    >>> start = MixtureParams(np.array([0.5, 0.5]), families.PoissonParams(np.array([[1.0], [9.0]])))
    >>> steps = Recorder()
    >>> end = em.fit(Mixture(families.Poisson()), np.array([[0.0], [2], [8]]), start, callback=steps)
    >>> len(steps.steps) == end.n_iter + 1, [step.n_iter for step in steps.thin(4)]
    (True, [0, 1, 2, 4])
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def __call__(self, step: Step) -> None:
        """Keep one step."""
        self.steps.append(step)

    def thin(self, n: int) -> list[Step]:
        """At most `n` of the steps: the first, the last, and between them ever wider strides.

        EM moves far at first and creeps later, so iterations that double are about equally far apart.

        Parameters
        ----------
        n : int
            How many to keep, at least 2.

        Returns
        -------
        list of engine.em.Step
            In order, without repetition.

        Raises
        ------
        ValueError
            If `n` is below 2, or nothing has been recorded.
        """
        if n < 2:
            raise ValueError(f"n is {n}; the first and the last step are always kept, so it must be 2 or above.")
        if not self.steps:
            raise ValueError("No step has been recorded; pass this recorder to em.fit as callback.")
        last = len(self.steps) - 1
        if last < n:
            return list(self.steps)
        return [self.steps[i] for i in _strides(last, n)]


def _strides(last: int, n: int) -> list[int]:
    """`n` whole numbers from 0 to `last`: 0, 1, then about geometric, never the same twice."""
    marks = [0, 1]
    for left in range(n - 2, 0, -1):
        # Spread what is left evenly on the log scale, but always move on by at least one.
        stride = (last / marks[-1]) ** (1 / left)
        marks.append(min(max(round(marks[-1] * stride), marks[-1] + 1), last - left + 1))
    return marks if n > 2 else [0, last]
