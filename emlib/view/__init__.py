"""Figures and explorers: what models computed, drawn.

>>> from emlib.view import Frame, Recorder, explorer, figures, style
>>> style.use()

Models return numbers and never draw; this room draws and never computes. It needs matplotlib and
ipywidgets, which come with ``pip install "emlib[book]"``; they are imported when first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Frame": "explorers",
    "explorer": "explorers",
    "Recorder": "record",
    "draw_boundary": "figures",
    "draw_calibration": "error_rates",
    "draw_logo": "logos",
    "ellipse": "figures",
    "scatter_by_responsibility": "figures",
    "share_bars": "figures",
    "trace_plot": "figures",
    "quote": "prose",
}
_MODULES = ("error_rates", "explorers", "figures", "logos", "picture", "prose", "record", "style")
_NEEDED = {"matplotlib", "ipywidgets", "PIL"}

__all__ = [*_HOMES, *_MODULES]

if TYPE_CHECKING:
    from . import error_rates as error_rates
    from . import explorers as explorers
    from . import figures as figures
    from . import logos as logos
    from . import picture as picture
    from . import prose as prose
    from . import record as record
    from . import style as style
    from .error_rates import draw_calibration as draw_calibration
    from .explorers import Frame as Frame
    from .explorers import explorer as explorer
    from .figures import draw_boundary as draw_boundary
    from .figures import ellipse as ellipse
    from .figures import scatter_by_responsibility as scatter_by_responsibility
    from .figures import share_bars as share_bars
    from .figures import trace_plot as trace_plot
    from .logos import draw_logo as draw_logo
    from .prose import quote as quote
    from .record import Recorder as Recorder


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name, name)
    if home not in _MODULES:
        raise AttributeError(f"module 'emlib.view' has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{home}")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _NEEDED:
            raise
        raise ImportError(f'emlib.view needs {package}, which is not installed: pip install "emlib[book]"') from None
    return getattr(module, name) if name in _HOMES else module


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
