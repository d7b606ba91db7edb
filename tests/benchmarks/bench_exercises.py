"""How long a student waits for `check`: on right answers, and on slips, which take longest since they must be named."""

import time
from statistics import median

import pytest

from emlib.course import check, load, topics


@pytest.mark.parametrize("topic", topics())
def test_seconds_of_a_check(topic):
    print()
    for function in load(topic).functions.values():
        answers = {"right": function.reference, **{slip.name: slip.answer for slip in function.slips}}
        seconds = {name: median(timed(function.id, answer) for _ in range(3)) for name, answer in answers.items()}
        slowest = max(seconds, key=seconds.__getitem__)
        print(
            f"{function.id}: a right answer {1e3 * seconds['right']:.0f} ms, "
            f"slowest {slowest} {1e3 * seconds[slowest]:.0f} ms (half a second is the aim)"
        )


def timed(id, answer):
    started = time.perf_counter()
    repr(check(id, answer))
    return time.perf_counter() - started
