"""Which tests go to one worker process."""

import pytest

from .conftest import shared

VISIT = "tests/book/test_browser.py::test_axe_finds_nothing_serious[http:book/principles/mixtures-dark]"


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        (VISIT, "test_browser-http:book/principles/mixtures"),
        (VISIT.replace("-dark", ""), "test_browser-http:book/principles/mixtures"),
        ("tests/book/test_quizzes.py::test_keys[book/principles/mixtures]", "test_quizzes-book/principles/mixtures"),
        ("tests/book/test_release.py::test_links", "test_release"),
        ("tests/test_cli.py::test_version", "tests/test_cli.py::test_version"),
    ],
)
def test_what_is_shared(nodeid, group):
    assert shared(nodeid) == group
