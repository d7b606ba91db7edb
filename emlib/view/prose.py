"""Numbers in the prose of a page: computed in a cell, quoted in a sentence."""

from __future__ import annotations


def quote(name: str, value: float, spec: str) -> None:
    """Make a computed number available to the text as ``{glue:text}`name```.

    It is rounded here, once, and printed with a true minus sign.

    Parameters
    ----------
    name : str
        What the text calls it; unique in the page.
    value : float
        The number.
    spec : str
        How it is printed, such as ``".3f"``.

    Raises
    ------
    ValueError
        If `spec` is no format of a number.

    Examples
    --------
    In a notebook, ``quote("share", 35.588, ".1f")``; in its text, ``a share of {glue:text}`share` %``.
    """
    text = as_prose(value, spec)
    try:
        from myst_nb import glue
    except ImportError:  # it comes with emlib[book]; without it, as in a reader's browser, there is no page to tell
        return
    glue(name, text, display=False)


def as_prose(value: float, spec: str) -> str:
    """A number as it stands in a sentence.

    Examples
    --------
    >>> as_prose(-1130.26396, ".3f")
    '−1130.264'
    """
    return format(float(value), spec).replace("-", "−")
