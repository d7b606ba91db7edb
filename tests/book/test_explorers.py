"""Every explorer on the published page: by keyboard, by mouse, by itself, and for a reader who does not see it."""

import pytest

from .conftest import PAGES, PHONE_WIDTH, SITE

pytestmark = pytest.mark.browser

FEWEST_FRAMES = 3
SHORTEST_ALT = 25
WITH_EXPLORER = [
    page
    for page in PAGES
    if (SITE / f"{page}.widgets.js").is_file()
    and "em-explorer" in (SITE / f"{page}.widgets.js").read_text(encoding="utf-8")
]


class Explorer:
    """An explorer on an open page."""

    def __init__(self, root):
        self.root = root
        self.handle = root.locator(".noUi-handle")
        self.play = root.locator(".widget-play button").first

    @property
    def frame(self) -> str:
        """The bytes of the picture that is shown; the readout alone may move while the picture stands still."""
        return self.root.locator(".em-stack img").get_attribute("src")

    @property
    def alt(self) -> str:
        return self.root.locator(".em-stack img").get_attribute("alt")

    def changes(self, before: str) -> bool:
        """Wait until another picture is shown; False if none comes."""
        for _ in range(50):
            if self.frame != before:
                return True
            self.root.page.wait_for_timeout(100)
        return False


@pytest.fixture(scope="module", params=WITH_EXPLORER)
def explorers(request, open_page, server):
    """All explorers of a page, each as the page was loaded."""
    page, log = open_page(f"{server}{request.param}.html")
    found = [Explorer(root) for root in page.locator(".em-explorer").all()]
    assert found
    yield found
    assert log.errors == []
    page.context.close()


@pytest.fixture(autouse=True)
def _at_the_start(explorers):
    for explorer in explorers:
        explorer.root.locator(".widget-play button").nth(1).click()
        explorer.handle.press("Home")


def test_arrow_key_changes_the_picture(explorers):
    for explorer in explorers:
        before = explorer.frame
        explorer.handle.press("ArrowRight")
        assert explorer.changes(before)


def test_dragging_changes_the_picture(explorers):
    for explorer in explorers:
        before = explorer.frame
        explorer.handle.scroll_into_view_if_needed()
        knob, track = explorer.handle.bounding_box(), explorer.root.locator(".noUi-base").bounding_box()
        mouse, y = explorer.root.page.mouse, knob["y"] + knob["height"] / 2
        mouse.move(knob["x"] + knob["width"] / 2, y)
        mouse.down()
        mouse.move(track["x"] + track["width"] * 0.7, y, steps=5)
        mouse.up()
        assert explorer.changes(before)


def test_playing_changes_the_picture(explorers):
    for explorer in explorers:
        before = explorer.frame
        explorer.play.press("Enter")
        assert explorer.changes(before)
        assert explorer.play.get_attribute("aria-label").startswith("Pause")


def test_slider_and_buttons_have_names(explorers):
    for explorer in explorers:
        label = explorer.root.locator(".widget-slider .widget-label").inner_text()
        assert label
        assert explorer.handle.get_attribute("aria-label") == label
        assert explorer.play.get_attribute("aria-label") == f"Play: {label}"
        names = [b.get_attribute("aria-label") for b in explorer.root.locator(".widget-play button").all()]
        assert all(names)
        assert len(names) == len(set(names))


def test_slider_says_the_name_of_the_frame(explorers):
    for explorer in explorers:
        names = explorer.root.locator("tbody th").all_text_contents()
        assert explorer.handle.get_attribute("aria-valuetext") == names[0]
        explorer.handle.press("ArrowRight")
        assert explorer.handle.get_attribute("aria-valuetext") == names[1]


def test_every_frame_has_a_row_and_its_own_description(explorers):
    for explorer in explorers:
        rows = explorer.root.locator("tbody th").all_text_contents()
        assert len(rows) == float(explorer.handle.get_attribute("aria-valuemax")) + 1
        frames, alts = [], []
        for i, name in enumerate(rows):
            if i:
                explorer.handle.press("ArrowRight")
            assert explorer.handle.get_attribute("aria-valuetext") == name
            explorer.root.page.wait_for_function(
                "([root, seen]) => !seen.includes(root.querySelector('.em-stack img').alt)",
                arg=[explorer.root.element_handle(), alts],
            )
            frames.append(explorer.frame)
            alts.append(explorer.alt)
        assert len(set(frames)) >= FEWEST_FRAMES  # a climb may stand still for a while
        assert min(map(len, alts)) >= SHORTEST_ALT


def test_table_is_a_table(explorers):
    for explorer in explorers:
        assert explorer.root.locator("table caption").text_content()
        heads = explorer.root.locator('thead th[scope="col"]').count()
        for row in explorer.root.locator("tbody tr").all():
            assert row.locator('th[scope="row"]').count() == 1
            assert row.locator("td").count() == heads - 1


def test_question_comes_before_the_picture_and_caption_after(explorers):
    for explorer in explorers:
        order = explorer.root.evaluate(
            "root => [...root.querySelectorAll('.em-question, img.em-frame, .em-caption')].map(e => e.className)"
        )
        assert order == ["em-question", "em-frame", "em-caption"]
        assert explorer.root.locator(".em-question").inner_text().strip()


def test_explorer_fits_a_phone(explorers):
    page = explorers[0].root.page
    page.set_viewport_size({"width": PHONE_WIDTH, "height": 844})
    for explorer in explorers:
        for part in (explorer.root, explorer.handle, explorer.root.locator("img.em-frame")):
            box = part.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= PHONE_WIDTH
    page.set_viewport_size({"width": 1300, "height": 1000})
