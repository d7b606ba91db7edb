"""A plugin of pytest for `run.py`: the tests that are left out in WebAssembly, and why.

Only what WebAssembly itself lacks is listed. Tests of optional packages (numba, Dask, cyvcf2, ArviZ and others that are
compiled) skip themselves where these are absent, and slow tests are not chosen; the browser and grading are no part of
what `run.py` runs. A line that leaves nothing out fails the whole run, so that the list stays true.
"""

from __future__ import annotations

import pytest

LEFT_OUT = {
    "no threads": [
        "tests/engine/test_pieces.py::test_number_of_threads[setting0-3]",
        "tests/engine/test_promises.py::test_blas_is_held_inside_a_fit_and_given_back_after",
    ],
    "no processes": [
        "tests/course/test_notebooks.py::test_a_check_needs_numpy_and_no_models",
        "tests/course/test_notebooks.py::test_pytest_says_what_the_notebook_says",
        "tests/course/test_notebooks.py::test_pytest_on_something_else",
    ],
    "files are not mapped into memory": [
        "readonly_memmap",
        "tests/engine/test_pieces.py::test_memmap",
        "tests/models/test_big_data.py::test_a_file_gives_the_same_fit",
        "tests/models/test_big_data.py::test_a_file_of_counts_gives_the_same_fit",
        "tests/models/test_big_data.py::test_a_file_is_never_copied",
        "tests/models/test_big_data.py::test_kmeans_copies_no_file",
        "tests/models/test_big_data.py::test_far_rows_are_found_block_by_block",
    ],
    "no cyvcf2, which is compiled": ["emlib/models/variants.py::emlib.models.variants.read_variants"],
    "its matrix product rounds the ninth column otherwise than the other eight, which is nudge enough": [
        "tests/engine/test_anneal.py::test_merged_components_part_below_the_critical_temperature_and_only_if_nudged"
    ],
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark them as skipped."""
    unused = []
    for reason, patterns in LEFT_OUT.items():
        for pattern in patterns:
            found = [item for item in items if pattern in item.nodeid]
            unused += [] if found else [pattern]
            for item in found:
                item.add_marker(pytest.mark.skip(reason=f"WebAssembly: {reason}"))
    if unused and config.getoption("whole"):
        raise pytest.UsageError(f"left_out.py names tests that are not there: {', '.join(unused)}")


def pytest_configure() -> None:
    """Nothing is too slow for hypothesis."""
    from hypothesis import HealthCheck, settings

    settings.register_profile("slowly", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("slowly")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that `run.py` gives where it runs everything."""
    parser.addoption("--whole", action="store_true", help="fail if a test that is to be left out is not there")
