"""The engine: one loop, the choices of E, exponential families, blocks and chunks of rows."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = [
    "accelerate",
    "blocks",
    "chunks",
    "climb",
    "coordinates",
    "em",
    "ensemble",
    "families",
    "information",
    "kernel",
    "latent",
    "mixture",
    "parameters",
    "wander",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'emlib.engine' has no attribute {name!r}")
