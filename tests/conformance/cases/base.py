"""What the conformance suite needs to try a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from emlib.engine.blocks import Rows
from emlib.engine.latent import FloatArray
from emlib.engine.sequences import Sequences


@dataclass(frozen=True)
class Case:
    """One model at one set of true parameters."""

    name: str
    model: Any
    params: Any
    prior: Any
    # log p(x_i, z_i = k), by other means than the model's own: brute force sums it over all z
    log_joint: Callable[[FloatArray, Any], FloatArray]
    # the components in another order; None where hidden labels have a meaning and cannot be exchanged
    permute: Callable[[Any, list[int]], Any] | None
    more_is_hidden: bool = False  # than labels: no complete-data score of a row and label, and ECME's M-steps
    tolerance: float = 0.1  # of recovery from 20,000 rows, in units of the parameters
    # Posteriors instead of parameters: a bound of the evidence climbs, always under the prior, and what the E-step is
    # given are functions of the posterior, no coordinates of their own. So there are no slopes and nothing to draw.
    averaged: bool = False
    # expected number of rows (or whatever `log_joint` has a row for) with each label
    counts: Callable[[Any], FloatArray] = attrgetter("counts")
    # all assignments of labels (P, n) with their log joint probability (P,), where rows depend on each other
    paths: Callable[[Any, Any], tuple[FloatArray, FloatArray]] | None = None
    # where labels are many and not counted one by one: what each label of a row adds to `counts` instead
    told: Callable[[FloatArray], Any] | None = None
    # where what is hidden is a number and no label: by integration over it, the log-likelihood, the highest log joint
    # density, and what `counts` is expected to be
    integrals: Callable[[Any, Any], tuple[float, float, FloatArray]] | None = None
    cold: float = 1e-4  # a temperature at which tempered is hard
    ties: float = 0.0  # log of how many labels of a row may be equally good, whatever the parameters
    few: int = 0  # rows of the sum over all assignments, where the usual number has too many

    @property
    def priors(self) -> tuple[Any, ...]:
        """What it climbs under."""
        return (self.prior,) if self.averaged else (None, self.prior)

    def data(self, n: int, seed: int = 0) -> FloatArray:
        """Rows simulated at the true parameters."""
        rows: FloatArray = self.model.simulate(self.params, n, np.random.default_rng(seed))
        return rows

    # What follows is all that the suite does with data; sequences are cut between each other, tables anywhere.

    def size(self, data: Any) -> int:
        """How many pieces data can be cut into."""
        return len(data)

    def part(self, data: Any, first: int, stop: int) -> Any:
        """Pieces `first` to `stop`."""
        return data[first:stop]

    def laid_out(self, data: Any) -> Any:
        """Data in the engine's layout."""
        return data if isinstance(data, Sequences) else Rows(data)

    def table(self, data: Any) -> FloatArray:
        """The numbers observed."""
        return data.rows.X if isinstance(data, Sequences) else data
