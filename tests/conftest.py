"""Sandboxes for the tests of the grader: one of each kind that this machine has, opened once."""

import pytest


@pytest.fixture(scope="session")
def opened_sandboxes():
    """By name, those that are open: starting one takes seconds."""
    opened = {}
    yield opened
    for each in opened.values():
        each.close()


def _open(opened, name):
    from emlib.grading.sandbox import Sandbox

    if name not in opened:
        opened[name] = Sandbox(name)
    return opened[name]


@pytest.fixture(scope="session", params=["lock", "bwrap+lock", pytest.param("wasi", marks=pytest.mark.slow)])
def sandbox(request, opened_sandboxes):
    """Every sandbox that is to hold."""
    from emlib.grading.sandbox import NoSandbox

    try:
        return _open(opened_sandboxes, request.param)
    except NoSandbox as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def unsafe_sandbox(opened_sandboxes):
    """The one that holds nothing."""
    return _open(opened_sandboxes, "unsafe")


@pytest.fixture(scope="session")
def any_sandbox(opened_sandboxes):
    """One in which code runs at all."""
    from emlib.grading.sandbox import NoSandbox

    try:
        return _open(opened_sandboxes, "lock")
    except NoSandbox:
        return _open(opened_sandboxes, "unsafe")
