"""What benchmarks share: one thread for both sides."""

from __future__ import annotations

import warnings

import pytest
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits


@pytest.fixture
def one_thread(monkeypatch):
    """One thread for emlib and for BLAS; fits that are stopped on purpose do not complain."""
    monkeypatch.setenv("EMLIB_NUM_THREADS", "1")
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
