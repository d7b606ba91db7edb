"""Longer strides along EM's own path.

Plain EM shrinks the distance to the optimum by a fixed factor a step, the fraction of missing
information. Where that fraction is near one it crawls. An accelerator looks at the last few
steps, guesses where they lead, and proposes to jump there. The loop in `em` takes the jump
only if the objective does not fall, so the climb stays monotone whatever is proposed.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .latent import FloatArray


class Accelerator(Protocol):
    """What the loop asks of an accelerator. One object serves one climb: it may keep a memory."""

    def propose(self, path: Sequence[FloatArray]) -> FloatArray | None:
        """A point further along, or None to take one more plain step.

        `path` holds the points since the last jump, each the EM image of the one before.
        """
        ...

    def judge(self, accepted: bool) -> None:
        """Learn whether the last proposal was taken."""
        ...


@dataclass
class Squarem:
    """SQUAREM, scheme S3, of Varadhan & Roland (2008).

    With ``r`` the last step but one and ``v`` the change between the last two steps, the
    proposal is ``x0 + 2 a r + a**2 v`` (eq. 3.13) with step length ``a = |r| / |v|``; ``a = 1`` is the
    plain EM point. After a jump one plain step settles the fast directions before the next is
    measured. The longest stride allowed grows by 4 each time it was used with success, shrinks
    by 4 after a refusal, and refusals make the next attempt wait 1, 3, 7 steps.
    """

    longest: float = 4.0
    refused: int = 0
    wait: int = 0
    stride: float = 1.0

    def propose(self, path: Sequence[FloatArray]) -> FloatArray | None:
        """See `Accelerator.propose`."""
        if len(path) < 4 or self.wait > 0:
            self.wait = max(self.wait - 1, 0) if len(path) >= 4 else self.wait
            return None
        start, middle, end = path[-3], path[-2], path[-1]
        step = middle - start
        change = (end - middle) - step
        curvature = float(np.linalg.norm(change))
        if curvature == 0.0:
            return None
        self.stride = min(max(float(np.linalg.norm(step)) / curvature, 1.0), self.longest)
        if self.stride == 1.0:
            # The stride wanted to be at most one EM step: no jump to make, but let it grow again.
            return None
        return start + 2.0 * self.stride * step + self.stride**2 * change

    def judge(self, accepted: bool) -> None:
        """See `Accelerator.judge`."""
        if accepted:
            self.refused = 0
            if self.stride == self.longest:
                self.longest *= 4.0
        else:
            self.refused = min(self.refused + 1, 3)
            self.wait = 2**self.refused - 1
            self.longest = max(self.longest / 4.0, 4.0)


def squarem() -> Squarem:
    """A fresh SQUAREM accelerator, for ``em.fit(..., accelerate=squarem())`` or ``"squarem"``.

    Examples
    --------
    >>> a = squarem()
    >>> points = [np.array([1 - 0.5**i]) for i in range(4)]  # heads for 1, halving the distance
    >>> a.propose(points).tolist()
    [1.0]
    """
    return Squarem()


def accelerator(choice: str | Accelerator | None) -> Accelerator | None:
    """The accelerator named by `choice`: None, ``"squarem"``, or one's own object."""
    if choice is None:
        return None
    if isinstance(choice, str) and choice == "squarem":
        return squarem()
    if hasattr(choice, "propose") and hasattr(choice, "judge"):
        return copy.deepcopy(choice)  # each climb has a memory of its own
    raise ValueError(f"accelerate is {choice!r}; it must be None, 'squarem' or an Accelerator.")
