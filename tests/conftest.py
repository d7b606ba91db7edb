"""What is made once: a sandbox of each kind for the tests of the grader, and a visit of each page of the site."""

import re

import pytest

#: Files of tests/book whose tests share parsed pages or a release.
OF_ONE_WORKER = ("test_site", "test_text", "test_equations", "test_furniture", "test_metadata", "test_release")
ON_A_PAGE = re.compile(r"tests/book/(\w+)\.py::\w+\[((?:http:|file:)?book/[\w/]+)")


# xdist's own mark for this, xdist_group, is not heard by its release 3.8 under pytest 9.2.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With ``--dist loadgroup``, tests that share something costly go to one worker process, which makes it once."""
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return shared(nodeid)

    return Together(config, log)


def shared(nodeid: str) -> str:
    """What a test shares with others; itself, if nothing."""
    file = nodeid.partition("::")[0].removeprefix("tests/book/").removesuffix(".py")
    if file in OF_ONE_WORKER:
        return file
    page = ON_A_PAGE.match(nodeid)
    return "-".join(page.groups()) if page else nodeid


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
