"""The environment in which the course's notebooks run, the same for the executor and for nbval.

`book/_tools/notebooks.py` applies it before it starts a kernel, and `book/conftest.py` before pytest does,
so `make notebooks`, `make test` and a bare `pytest --nbval book` all see the same numbers.
"""

import os
from pathlib import Path

ENVIRONMENT = {
    # Our own profile instead of the user's: how numbers are printed.
    "IPYTHONDIR": str(Path(__file__).parent / "ipython"),
    # Figures go into the notebook, whatever backend the user has chosen.
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    # The order of sets of strings must not change from run to run.
    "PYTHONHASHSEED": "0",
    # Sums are added in one order only with one thread.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}


def apply() -> None:
    """Set the environment for every kernel that this process starts."""
    os.environ.update(ENVIRONMENT)
    os.environ.pop("PYTHONSTARTUP", None)  # IPython would run it in every kernel
