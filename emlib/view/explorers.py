"""Explorers: a question, a figure that moves, and the same values as a table.

An explorer is a finished stack of pictures and a slider that chooses among them in the browser. Nothing is computed
when a reader moves it, so it works alike in a notebook and on a published page without a kernel.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from . import picture

FEWEST_FRAMES = 3
SHORTEST_ALT = 25  # characters; a description needs about that
MILLISECONDS = 900  # between frames, when playing


@dataclass(frozen=True)
class Frame:
    """One state of an explorer. The figure is drawn at once and closed, so a loop may make many.

    Parameters
    ----------
    figure : matplotlib Figure or bytes
        The picture, or a PNG of it.
    alt : str
        What this picture shows, for a reader who does not see it.
    values : tuple
        Its row of the table, one value for each of the explorer's columns.
    name : str, optional
        Shown beside the slider, such as ``"4, E"``; the number of the frame if not given.

    Raises
    ------
    ValueError
        If `alt` says next to nothing.
    """

    figure: Figure | bytes
    alt: str
    values: tuple[Any, ...] = ()
    name: str | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if len(self.alt.strip()) < SHORTEST_ALT:
            raise ValueError(
                f"alt is {self.alt!r}; a reader who does not see the picture needs at least {SHORTEST_ALT} characters."
            )
        object.__setattr__(self, "source", picture.address(self.figure))
        if isinstance(self.figure, Figure):
            plt.close(self.figure)


def explorer(
    frames: Iterable[Frame],
    *,
    question: str,
    caption: str,
    label: str = "iteration",
    columns: Sequence[str] = (),
) -> widgets.VBox:
    """An interactive figure: question, slider, picture, caption, table.

    Parameters
    ----------
    frames : iterable of Frame
        At least three, in order.
    question : str
        What to predict before moving the slider; ``$...$`` is mathematics.
    caption : str
        What the figure shows; ``$...$`` is mathematics.
    label : str
        What the slider counts: the name of slider and buttons, and the head of the table's first column.
    columns : sequence of str
        Heads of the table's other columns, one for each of a frame's values.

    Returns
    -------
    ipywidgets.VBox

    Raises
    ------
    ValueError
        If a text is empty, there are too few frames, a name or a description comes twice, or a row does not fit
        the columns.

    Examples
    --------
    >>> from emlib.view import style
    >>> style.use()
    >>> frames = []
    >>> for n in (1, 2, 3):
    ...     figure, ax = plt.subplots()
    ...     bar = ax.bar(["heads"], [n])
    ...     frames.append(Frame(figure, alt=f"One bar as high as the {n} heads seen.", values=(n,)))
    >>> box = explorer(frames, question="How high next?", caption="Heads so far.", label="flip", columns=["heads"])
    >>> len(box.children)
    5
    """
    frames = list(frames)
    names = [str(i) if frame.name is None else frame.name for i, frame in enumerate(frames)]
    _check(frames, names, {"question": question, "caption": caption, "label": label}, columns)

    stack = widgets.Stack([widgets.HTML(picture.image(f.source, f.alt)) for f in frames], selected_index=0)
    slider = widgets.SelectionSlider(
        options=[(name, i) for i, name in enumerate(names)],
        description=label,
        style={"description_width": "initial"},
        layout={"flex": "1 1 15em", "width": "auto", "min_width": "0"},
    )
    play = widgets.Play(max=len(frames) - 1, interval=MILLISECONDS, show_repeat=False, description=label)
    # Joined in the browser, so that no kernel is needed.
    links = [
        widgets.jslink((play, "value"), (slider, "index")),
        widgets.jslink((slider, "index"), (stack, "selected_index")),
    ]
    box = widgets.VBox(
        [
            widgets.HTMLMath(f'<p class="em-question">{escape(question, quote=False)}</p>'),
            widgets.HBox([play, slider], layout={"flex_flow": "row wrap"}).add_class("em-controls"),
            stack.add_class("em-stack"),
            widgets.HTMLMath(f'<p class="em-caption">{escape(caption, quote=False)}</p>'),
            widgets.HTML(_table(frames, names, label, columns)),
        ]
    ).add_class("em-explorer")
    box.links = links  # for who wants to take them apart
    return box


def _check(frames: list[Frame], names: list[str], texts: dict[str, str], columns: Sequence[str]) -> None:
    for argument, text in texts.items():
        if not text.strip():
            raise ValueError(f"{argument} is empty; every explorer has one.")
    if len(frames) < FEWEST_FRAMES:
        raise ValueError(f"There are {len(frames)} frames; an explorer needs at least {FEWEST_FRAMES}.")
    for i, frame in enumerate(frames):
        if len(frame.values) != len(columns):
            raise ValueError(f"Frame {i} has {len(frame.values)} values, but there are {len(columns)} columns.")
    for what, seen in (("name", names), ("alt", [frame.alt for frame in frames])):
        twice = next((text for text in seen if seen.count(text) > 1), None)
        if twice is not None:
            raise ValueError(f"Two frames have the {what} {twice!r}; each needs its own.")


def _table(frames: list[Frame], names: list[str], label: str, columns: Sequence[str]) -> str:
    """The frames' values as a table that opens on demand."""
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in (label, *columns))
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(_text(value))}</td>" for value in frame.values)
        + "</tr>"
        for name, frame in zip(names, frames, strict=True)
    )
    return (
        '<details class="em-table"><summary>The same as a table</summary>'
        f'<div class="em-scroll" tabindex="0" role="region" aria-label="Values for each {escape(label)}">'
        f"<table><caption>Values for each {escape(label)}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _text(value: Any) -> str:
    """A value of the table; numbers as in the rest of the book, at most six digits."""
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        return f"{float(value):.6g}".replace("-", "−")
    return str(value)
