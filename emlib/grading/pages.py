"""Pages that stand alone: one file, no script, nothing from anywhere else, and everything escaped.

Templates escape by themselves (Jinja with autoescape), and the pages forbid scripts and connections to the browser too,
so that a name such as ``<script>`` would have to get past both.
"""

from __future__ import annotations

import base64
import functools
import io
from typing import Any

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def page(template: str, **parts: Any) -> str:
    """A page made of a template in ``templates``."""
    return str(_environment().get_template(template).render(policy=POLICY, **parts))


@functools.cache
def _environment() -> Any:
    try:
        import jinja2
    except ImportError:
        raise ValueError("pages are made with Jinja: pip install 'emlib[grading]'") from None
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("emlib.grading"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["points"] = points
    environment.filters["sentence"] = lambda text: f"{text[:1].upper()}{text[1:]}"
    return environment


def points(value: float) -> str:
    """Points as people write them.

    Examples
    --------
    >>> points(3.0), points(2.25), points(1.5)
    ('3', '2.25', '1.5')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")


def as_image(figure: Any) -> str:
    """A figure of Matplotlib as the address of an image in the page."""
    import matplotlib.pyplot as plt

    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
