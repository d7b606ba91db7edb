"""What a class found hard: each check as an item of a test, and the slips that were recognised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..course.contract import Exercise
from .gradebook import Marks
from .record import ExerciseRecord, Record


@dataclass(frozen=True)
class Item:
    """One check, over all who handed in its exercise.

    Attributes
    ----------
    id, title : str
        The function and the check.
    n : int
        How many handed in the exercise.
    passed : float
        The share of them that passed: the item's difficulty, 1 being easy. Where a check gives some of its points, the
        mean share of these.
    discrimination : float
        Correlation between passing it and the points earned on the rest of the exercise; nan where all did alike. Near
        zero or below, the check tells apart something else than the others do.
    """

    id: str
    title: str
    n: int
    passed: float
    discrimination: float


def counting(marks: Marks, results: dict[str, Record], topic: str) -> list[ExerciseRecord]:
    """The attempts that count, of one exercise."""
    found = []
    for student in marks.students:
        for mark in student.exercises:
            if mark.topic == topic and mark.result in results:
                found += [one for one in results[mark.result].exercises if one.topic == topic]
    return found


def items(attempts: Sequence[ExerciseRecord]) -> list[Item]:
    """The checks of one exercise."""
    if not attempts:
        return []
    checks = [(function.id, check.title) for function in attempts[0].functions for check in function.checks]
    earned = np.array(
        [[check.earned for function in one.functions for check in function.checks] for one in attempts], float
    )
    worth = [check.points for function in attempts[0].functions for check in function.checks]
    found = []
    for column, (id, title) in enumerate(checks):
        passed = earned[:, column] / worth[column]
        rest = earned.sum(axis=1) - earned[:, column]
        found.append(Item(id, title, len(attempts), float(passed.mean()), correlation(passed, rest)))
    return found


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's; nan if one of them is constant.

    Examples
    --------
    >>> correlation(np.array([0.0, 1, 1, 0]), np.array([1.0, 3, 3, 1]))
    1.0
    """
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return round(float(x @ y) / size, 12) if size > 0 else float("nan")


def slips(attempts: Sequence[ExerciseRecord], exercise: Exercise) -> list[tuple[str, str, int]]:
    """The slips that were recognised, the most common first: function, sentence, how many students."""
    counted = Counter((function.id, name) for one in attempts for function in one.functions for name in function.slips)
    why = {(f.id, slip.name): slip.why for f in exercise.functions.values() for slip in f.slips}
    return [(id, why.get((id, name), name), n) for (id, name), n in counted.most_common()]
