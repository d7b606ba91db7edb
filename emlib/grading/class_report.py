"""What the class understood: one page for the instructor, with pictures and the tables behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..course.contract import Exercise
from .gradebook import Marks
from .items import Item, counting, items, slips
from .pages import as_image, page, points
from .record import Record, write_whole

MOST_SLIPS = 12  # in the picture; the table has all
FLAT = 0.1  # a discrimination below this deserves a look


@dataclass
class Part:
    """A section of the page: words, a picture, the numbers as a table."""

    title: str
    text: list[str]
    image: str = ""
    alt: str = ""
    caption: str = ""
    table: str = ""
    headings: tuple[str, ...] = ()
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    open: bool = False
    words: bool = False


def write_class_report(marks: Marks, results: dict[str, Record], exercises: list[Exercise], path: Path) -> None:
    """Write the page."""
    write_whole(path, class_report(marks, results, exercises))


def class_report(marks: Marks, results: dict[str, Record], exercises: list[Exercise]) -> str:
    """The page."""
    try:
        import matplotlib as mpl

        from ..view import style
    except ImportError:
        raise ValueError("the report on the class is drawn with Matplotlib: pip install 'emlib[grading]'") from None
    handed_in = [student for student in marks.students if student.handed_in]
    totals = np.array([student.counted for student in handed_in if not student.ungraded])
    out_of = max((student.points for student in marks.students), default=0)  # the same for all
    # A canvas of its own: nobody's figures or settings are touched.
    with mpl.rc_context():
        mpl.use("agg", force=False)
        style.use()
        parts = [_distribution(totals, out_of)] if len(totals) else []
        for exercise in exercises:
            attempts = counting(marks, results, exercise.topic)
            if attempts:
                parts.append(_items(exercise, items(attempts)))
                parts += _slips(exercise, slips(attempts, exercise), len(attempts))
        parts += _time([record.seconds for record in results.values() if record.status == "graded"])
    return page(
        "class.html",
        marks=marks,
        n_handed_in=len(handed_in),
        n_students=len(marks.students),
        summary=_summary(totals, out_of, marks.n_waiting),
        attention=_attention(marks),
        figures=parts,
    )


def _summary(totals: np.ndarray, out_of: int, n_waiting: int) -> str:
    if not len(totals):
        return ""
    low, middle, high = np.quantile(totals, [0.25, 0.5, 0.75])
    said = f"Median {points(middle)} of {out_of} points; the middle half lies between {points(low)} and {points(high)}."
    if not n_waiting:
        return said
    reports = f"{n_waiting} reports wait" if n_waiting > 1 else "One report waits"
    return f"{said} {reports} for a reader; what is not judged yet counts 0 here."


def _attention(marks: Marks) -> list[tuple[str, str]]:
    found = [(student.name or student.student, doubt) for student in marks.students for doubt in student.doubts]
    found += [(s.name or s.student, reason) for s in marks.students if s.handed_in for reason in s.reasons]
    found += [("a file", said) for said in marks.refused]
    return list(dict.fromkeys(found))


# ---------------------------------------------------------------- pictures
def _distribution(totals: np.ndarray, out_of: int) -> Part:
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    from ..view import style

    edges = np.linspace(0, max(out_of, 1), 11)
    counts, _ = np.histogram(np.clip(totals, 0, out_of), edges)
    figure, ax = plt.subplots(figsize=(4.8, 2.6))
    ax.stairs(counts, edges, fill=True, color=style.COLORS[0], edgecolor="white", linewidth=1)
    for count, left, right in zip(counts, edges, edges[1:], strict=False):
        if count:
            ax.text((left + right) / 2, count, f"{count}", ha="center", va="bottom", fontsize=9.5)
    ax.set(xlabel=f"points, of {out_of}", ylabel="students", xlim=(0, out_of), ylim=(0, max(counts) * 1.15 + 0.5))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    rows = [(f"{points(a)} to {points(b)}", int(n)) for a, b, n in zip(edges, edges[1:], counts, strict=False)]
    said = ", ".join(f"{n} with {span}" for span, n in rows if n)
    return Part(
        "Marks",
        [],
        as_image(figure),
        f"Histogram of the marks in ten steps. Students: {said} points.",
        "How many students have how many points, lateness taken off.",
        "The same as a table",
        ("Points", "Students"),
        rows,
    )


def _items(exercise: Exercise, found: list[Item]) -> Part:
    from ..view import style

    figure, ax = _bars([item.passed for item in found], style.COLORS[0])
    for y, item in enumerate(found):
        ax.text(0.01, y - 0.3, _short(f"{item.id.partition('.')[2]}: {item.title}", 60), va="bottom", fontsize=8.5)
        ax.text(1.04, y, _signed(item.discrimination), va="center", fontsize=8.5, transform=ax.get_yaxis_transform())
    ax.text(1.04, -0.75, "discrimi-\nnation", va="center", fontsize=8.5, transform=ax.get_yaxis_transform())
    ax.set(xlim=(0, 1), xlabel="share of students who passed")
    hard = sorted(found, key=lambda item: item.passed)[:3]
    odd = [item for item in found if item.discrimination < FLAT]
    text = []
    if odd:
        which = "; ".join(f"{item.id}, “{item.title}” ({_signed(item.discrimination)})" for item in odd[:4])
        text.append(f"Hardly related to the rest of the exercise: {which}. Such a check is worth reading again.")
    said = "; ".join(f"{item.title} of {item.id}, {item.passed:.0%}" for item in hard)
    return Part(
        f"{exercise.title}: what was hard",
        text,
        as_image(figure),
        f"For each of {len(found)} checks, the share of {found[0].n} students who passed it. Hardest: {said}.",
        "Difficulty: the share that passed. Discrimination: how passing goes along with the points on the rest of the "
        "exercise (a correlation; – where all did alike).",
        "The same as a table",
        ("Check", "Passed", "Discrimination"),
        [(f"{item.id}: {item.title}", f"{item.passed:.0%}", _signed(item.discrimination)) for item in found],
    )


def _slips(exercise: Exercise, found: list[tuple[str, str, int]], n: int) -> list[Part]:
    from matplotlib.ticker import MaxNLocator

    from ..view import style

    if not found:
        return []
    shown = found[:MOST_SLIPS]
    most = max(count for *_, count in shown)
    figure, ax = _bars([count for *_, count in shown], style.COLORS[1])
    for y, (id, why, count) in enumerate(shown):
        ax.text(0.01 * most, y - 0.3, _short(f"{id.partition('.')[2]}: {why}", 62), va="bottom", fontsize=8.5)
        ax.text(count, y, f" {count}", va="center", fontsize=8.5)
    ax.set(xlabel=f"students, of {n}", xlim=(0, most * 1.12))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    said = "; ".join(f"{count} in {id}: {why}" for id, why, count in shown[:3])
    return [
        Part(
            f"{exercise.title}: misconceptions",
            [],
            as_image(figure),
            f"Bars for the {len(shown)} most common of {len(found)} recognised slips. {said}",
            "Slips that were recognised by their answers, in the attempts that count.",
            "All slips in full",
            ("Function", "Students", "What was misunderstood"),
            [(id, count, why) for id, why, count in found],
            words=True,
        )
    ]


def _time(seconds: list[float]) -> list[Part]:
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    from ..view import style

    if len(seconds) < 2:
        return []
    values = np.array(seconds)
    low = max(float(values.min()), 1e-3)
    edges = np.geomspace(low * 0.999, max(float(values.max()), low * 2) * 1.001, 13)
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    figure, ax = plt.subplots(figsize=(4.8, 2.3))
    ax.stairs(counts, edges, fill=True, color=style.COLORS[2], edgecolor="white", linewidth=1)
    ax.set(xscale="log", xlabel="seconds to grade a notebook", ylabel="notebooks")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    said = f"Median {np.median(values):.2g} s, slowest {values.max():.2g} s, all together {values.sum():.3g} s."
    return [
        Part("Time", [said], as_image(figure), f"Histogram of the time that grading took. {said}", "Time by notebook.")
    ]


def _bars(values: list[Any], colour: str) -> tuple[Any, Any]:
    """Bars below each other, with room above each for a line of text: readable at the width of a phone."""
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(4.8, 0.42 * len(values) + 0.8))
    ax.barh(np.arange(len(values)), values, height=0.42, color=colour)
    ax.set(ylim=(len(values) - 0.5, -0.95), yticks=[])
    return figure, ax


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _signed(value: float) -> str:
    return "–" if value != value else f"{value:+.2f}".replace("-", "−")
