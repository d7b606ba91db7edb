"""Every page in Chromium, over http and from the disk: nothing asked of other hosts, no error, all typeset."""

import pytest

from .conftest import PAGES

pytestmark = pytest.mark.browser


def test_page_asks_no_other_host(visit):
    assert visit.external == []


def test_every_request_succeeds(visit):
    assert visit.log.failures == []


def test_no_page_error_and_no_console_error(visit):
    assert visit.log.errors == []


def test_every_equation_is_typeset(visit):
    assert visit.untypeset == []
    assert visit.raw_tex == []


def test_every_widget_is_drawn(visit):
    assert visit.widgets_drawn == visit.widgets_in_source


def test_phone_shows_no_horizontal_scroll(visit):
    assert visit.overflow <= 0, f"{visit.name} is {visit.overflow} px wider than a phone"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit, theme):
    assert visit.violations.get(theme, []) == []


def test_search_finds_a_word_of_the_title(open_page, server):
    page, log = open_page(f"{server}search.html?q=expectation")
    page.wait_for_selector("#search-results li a")
    assert [url for url in log.requests if not url.startswith((server, "data:"))] == []
    assert log.errors == []


def test_site_root_leads_to_the_first_page(browser, server):
    page = browser.new_page()
    page.goto(server)
    page.wait_for_url(f"{server}{PAGES[0]}.html")
    page.close()
