"""The page of a history in headless Chromium: at a desk and on a phone."""

from itertools import combinations

import pytest

from bench.report.history_page import write_history
from tests.browser.looking import DESK, PHONE, contrast
from tests.compare.test_trend import of
from tests.past import figure, past

pytestmark = pytest.mark.browser

VIEWPORTS = {"desk": DESK, "phone": PHONE}
LONG = "feature/a-branch-with-a-name-that-nobody-can-be-expected-to-break-" + "x" * 60
DARK_RUN = 5


def some_past():
    """A rise and a fall; an invalid run, and one of which no p95 is known."""
    records = list(past(60, step_at=20, step=1.2, seed=2, noise=0.02))
    calm = list(past(60, seed=3, noise=0.02))
    records[45:] = calm[45:]
    dark = records[DARK_RUN]
    records[DARK_RUN] = dark._replace(entry=dark.entry._replace(verdict="invalid"))
    lost = records[8]
    kept = [one for one in lost.figures if one.statistic != "p95"]
    beyond = figure(lost.entry, "first_audio_latency", "p95", None)
    records[8] = lost._replace(figures=[*kept, beyond])
    return records


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    root = tmp_path_factory.mktemp("history")
    found = {
        "one": of(some_past()),
        "several": of(some_past(), past(4, branch=LONG, scenario="w" * 70)),
    }
    for name, groups in found.items():
        write_history(groups, root / f"{name}.html")
    return root


@pytest.fixture
def visit(visited, pages):
    return lambda name, viewport, scheme="light", **options: visited(
        pages / f"{name}.html", VIEWPORTS[viewport], scheme, **options
    )


BOXES = """selector => [...document.querySelectorAll('.figure')].map(figure => {
    const edge = figure.getBoundingClientRect();
    return [...figure.querySelectorAll(selector)].map(it => {
        const box = it.getBoundingClientRect();
        return [box.left - edge.left, box.top - edge.top, edge.right - box.right,
                edge.bottom - box.bottom, box.width, box.height, it.textContent]; }); })"""
LABELS = ".annotation-text-g text"


def boxes(page, selector):
    """By figure: (left, top, right, bottom) from the figure's own edges, and the text."""
    return [
        [((left, top, left + wide, top + high), (left, top, right, bottom), text)
         for left, top, right, bottom, wide, high, text in found]
        for found in page.evaluate(BOXES, selector)
    ]  # fmt: skip


def apart(one, other, slack=1.0):
    """Whether two boxes do not cover each other."""
    return (
        one[2] <= other[0] + slack or other[2] <= one[0] + slack
        or one[3] <= other[1] + slack or other[3] <= one[1] + slack
    )  # fmt: skip


@pytest.mark.parametrize("viewport", VIEWPORTS)
@pytest.mark.parametrize("name", ["one", "several"])
def test_it_loads_from_disk_says_nothing_on_the_console_and_never_scrolls_sideways(
    visit, pages, name, viewport
):
    page = visit(name, viewport)
    assert page.said == []
    assert page.asked == [(pages / f"{name}.html").as_uri()]
    for root in ("documentElement", "body"):
        assert page.evaluate(f"document.{root}.scrollWidth") <= VIEWPORTS[viewport]["width"]
    figures = page.evaluate(
        "[...document.querySelectorAll('.main-svg')].map(svg => svg.getBoundingClientRect().right)"
    )
    assert max(figures) <= VIEWPORTS[viewport]["width"]


@pytest.mark.parametrize("viewport", VIEWPORTS)
def test_every_figure_has_its_lines_whiskers_and_a_point_for_every_run(visit, viewport):
    page = visit("one", viewport)
    drawn = page.evaluate(
        """() => [...document.querySelectorAll('.figure')].map(figure => [
            figure.querySelectorAll('path.yerror').length,
            [...figure.querySelectorAll('.trace.scatter')].map(
                trace => trace.querySelectorAll('.points path.point').length)])"""
    )
    # p50 lacks the invalid run, p95 another one too; crosses are last.
    assert drawn == [[117, [59, 58, 2]]] * 3 + [[59, [59, 1]]]


@pytest.mark.parametrize("viewport", VIEWPORTS)
def test_every_change_is_an_upright_line_whose_label_can_be_read(visit, viewport):
    page = visit("one", viewport)
    upright = page.evaluate(
        """() => [...document.querySelectorAll('.figure')].map(figure =>
            [...figure.querySelectorAll('.shapelayer path')].filter(
                path => path.getBoundingClientRect().height > 100).length)"""
    )
    assert upright == [2, 2, 2, 0]
    labels, points = boxes(page, LABELS), boxes(page, ".points path.point")
    legends = boxes(page, ".legendtext")
    for said, marks, legend in zip(labels[:3], points, legends, strict=False):
        assert [text.split()[0] for *_, text in said] == ["p50", "p50"]
        assert all(min(edges) >= 0 for _, edges, _ in said), said
        for (one, *_), (other, *_) in combinations(said, 2):
            assert apart(one, other), said
        for box, _, text in said:
            for other, *_ in [*marks, *legend]:
                assert apart(box, other), text


@pytest.mark.parametrize("viewport", VIEWPORTS)
def test_names_in_legends_and_days_under_the_axis_are_whole(visit, viewport):
    page = visit("one", viewport)
    for legend, days in zip(boxes(page, ".legendtext"), boxes(page, ".xtick text"), strict=True):
        assert [text for *_, text in days][::4] == ["1 Sep", "30 Oct"]
        assert len(legend) >= 2
        assert all(min(edges) >= 0 for _, edges, _ in [*legend, *days]), (legend, days)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_labels_have_contrast(visit, scheme):
    page = visit("one", "desk", scheme)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    inks = page.evaluate(
        "selector => [...document.querySelectorAll(selector)].map(it => getComputedStyle(it).fill)",
        LABELS,
    )
    assert len(inks) == 6
    assert all(contrast(ink, paper) >= 4.5 for ink in inks), inks


def test_hovering_a_point_shows_its_run(visit):
    page = visit("one", "desk", fresh=True)
    points = page.locator(".figure .scatterlayer .points path.point")
    points.first.scroll_into_view_if_needed()
    box = points.first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = page.locator(".hoverlayer .hovertext")
    label.first.wait_for(timeout=5_000)
    assert f"commit {some_past()[0].entry.commit[:12]}" in label.first.text_content()
