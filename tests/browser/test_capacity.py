"""The page of a capacity search in headless Chromium: at a desk and on a phone."""

import pytest

from bench.report.capacity_page import write_capacity_page
from tests.browser.looking import DESK, PHONE
from tests.report.test_capacity_page import several

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capacity")
    for probe in several().probes:
        (folder / probe.run).mkdir()
        (folder / probe.run / "report.html").write_text(f"<title>{probe.run}</title>")
    return write_capacity_page(several(), folder)


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(DESK, "dark"), (PHONE, "light")], ids=["desk", "phone"]
)
def test_every_figure_is_drawn_in_silence_and_nothing_is_wider_than_the_window(
    visited, answer, viewport, scheme
):
    page = visited(answer, viewport, scheme)
    assert page.said == []
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    table = page.locator("#runs .scroll").evaluate("at => [at.scrollWidth, at.clientWidth]")
    assert table[0] <= table[1]  # the verdict of a run stands at the end of its row
    drawn = page.locator(".figure .main-svg").count()
    assert drawn >= page.locator(".figure").count() > 0


def test_a_point_and_a_row_lead_to_the_report_of_their_run(visited, answer):
    page = visited(answer, fresh=True)
    point = page.locator("#first-audio .scatterlayer .point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url("**/probe-01/report.html")
    page.go_back()
    page.locator("#runs table a").first.click()
    page.wait_for_url("**/probe-01/report.html")
