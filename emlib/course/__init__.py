"""Exercises that check themselves: the same verdict in a notebook, in pytest and in the grader.

In a notebook a student needs three names:

>>> from emlib.course import check, goal, hint
>>> def log_sum_exp(a):
...     raise NotImplementedError("log_sum_exp")
>>> print(check("mixtures.log_sum_exp", log_sum_exp))
mixtures.log_sum_exp: not written yet. Put your code in place of the line with raise, and run both cells again.

An exercise is a module of `emlib.course.exercises` (see `emlib.course.contract` for how to write one). NumPy is all it
needs; nothing here reaches for a network, a thread or a file outside the package.
"""

from __future__ import annotations

from .desk import case as case
from .desk import check as check
from .desk import goal as goal
from .desk import hint as hint
from .desk import score as score
from .library import find as find
from .library import load as load
from .library import projects as projects
from .library import topics as topics

__all__ = ["case", "check", "find", "goal", "hint", "load", "projects", "score", "topics"]
