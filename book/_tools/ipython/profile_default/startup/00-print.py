"""Run by every kernel of the course before its first cell: print alike on every machine.

The last digits of a result depend on the processor, and the first bytes of a picture say nothing to a reader.
So numbers show at most six digits after the point (bare floats: six in all), and a widget shows its name.
"""

import numpy as np
import pandas as pd

np.set_printoptions(precision=6)
pd.set_option("display.precision", 6)


def _print_float(number, printer, cycle):
    printer.text(f"{number:.6g}")


def _describe_widget(widget):
    bundle = widget._repr_mimebundle_()
    bundle["text/plain"] = f"{type(widget).__name__} (interactive)"
    return bundle


_formatter = get_ipython().display_formatter  # noqa: F821 - IPython defines it
for _name in ("float64", "float32"):
    _formatter.formatters["text/plain"].for_type_by_name("numpy", _name, _print_float)
_formatter.mimebundle_formatter.for_type_by_name("ipywidgets.widgets.widget", "Widget", _describe_widget)

del np, pd, _name  # a notebook must import what it uses
