"""`pytest --nbval book` re-runs the notebooks with the settings they were stored with."""

from book._tools import kernel

kernel.apply()
