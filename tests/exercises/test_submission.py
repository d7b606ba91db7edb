"""Your own notebook: pytest tests/exercises --submission my.ipynb."""

import pytest


def test_function(verdict):
    """All checks of one function pass; the report says what is wrong otherwise."""
    if verdict:
        pytest.fail(verdict, pytrace=False)
