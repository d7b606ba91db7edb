"""Progress bars for long runs: on a terminal, after two seconds, or when asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(show: bool | None, total: int | None, unit: str) -> Iterator[Callable[[], object]]:
    """Yield a function to call once for each `unit` done.

    Parameters
    ----------
    show : bool or None
        True shows the bar at once; None shows it on a terminal, once 2 s have passed.
    total : int or None
        How many at most, if that is known.
    unit : str
        What is counted.
    """
    if show is False or (show is None and not sys.stderr.isatty()):
        yield lambda: None
        return
    from tqdm import tqdm  # imported here: most runs never show a bar

    if sys.platform in ("emscripten", "wasi"):
        tqdm.monitor_interval = 0  # it would start a thread that looks after bars, and warn that there are none
    with tqdm(total=total, unit=" " + unit, delay=0.0 if show else 2.0, leave=False) as bar:
        yield lambda: bar.update(1)
