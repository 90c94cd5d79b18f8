"""The report in headless Chromium: offline, by eye of a reader at a desk, on a phone, on paper."""

import re

import pytest

from bench.report.page import write_report
from tests.browser.looking import DESK, PHONE, SHADED, colours, contrast, luminance, tables
from tests.report.synthetic import make_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    root = tmp_path_factory.mktemp("reports")
    return {
        "whole": write_report(make_run(root / "whole")),
        "rich": write_report(make_run(root / "rich", rich=True)),
        "written": write_report(make_run(root / "written", written=True, interruptions=False)),
        "short": write_report(
            make_run(root / "short", sessions=2, turns=3, written=True, interruptions=False)
        ),
        "invalid": write_report(make_run(root / "invalid", verdict="invalid")),
    }


@pytest.fixture
def visit(visited, reports):
    def open_page(name="whole", *, viewport=DESK, **options):
        return visited(reports[name], viewport, **options)

    return open_page


def test_it_loads_from_disk_with_no_console_error_and_no_outside_request(visit, reports):
    page = visit()
    assert page.said == []
    assert page.asked == [reports["whole"].as_uri()]


@pytest.mark.parametrize(("name", "fewest"), [("whole", 15), ("rich", 22), ("written", 10)])
def test_every_figure_has_marks_once_it_is_unfolded(visit, name, fewest):
    page = visit(name)
    page.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true })")
    page.wait_for_timeout(1500)
    marks = page.evaluate(
        """() => [...document.querySelectorAll('.figure')].map(figure => figure.querySelectorAll(
            '.trace path.js-line, .trace .points path, .trace .point path').length)"""
    )
    assert len(marks) >= fewest
    assert all(marks), marks


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_every_setting_has_its_number_at_its_point_and_its_name_in_the_legend(visit, viewport):
    page = visit("rich", viewport=viewport)
    numbers, names = (
        page.locator(f"#settings {selector}").all_text_contents()
        for selector in (".textpoint text", ".legendtext")
    )
    assert numbers == ["1", "2", "3", "4", "5", "6"]
    assert [name[:2] for name in names] == [f"{number} " for number in numbers]


def test_the_event_that_breaks_a_rule_is_red(visit):
    page = visit("rich")
    culprit, plain = (
        page.evaluate(
            "selector => getComputedStyle(document.querySelector(selector)).color", selector
        )
        for selector in ("tr.tone-culprit td", "#protocol .closeup tr:not(.tone-culprit) td")
    )
    assert culprit != plain


def test_hovering_a_point_shows_session_and_turn(visit):
    page = visit()
    points = page.locator("#over-time .scatterlayer .points path.point")
    points.first.scroll_into_view_if_needed()
    box = points.nth(points.count() // 2).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = page.locator("#over-time .hoverlayer .hovertext")
    label.first.wait_for(timeout=5_000)
    assert re.search(r"session \d+ · turn \d+", label.first.text_content())


def test_hovering_the_curve_shows_session_and_turn(visit):
    page = visit()
    plot = page.locator("#latency .plot")
    plot.scroll_into_view_if_needed()
    at = page.evaluate(
        """() => { const plot = document.querySelector('#latency .plot');
            const trace = plot._fullData[0], layout = plot._fullLayout;
            // Not its middle: the mark of the median stands there, and has a label of its own.
            const point = Math.floor(trace.x.length / 4), box = plot.getBoundingClientRect();
            return [box.left + layout.xaxis._offset + layout.xaxis.d2p(trace.x[point]),
                    box.top + layout.yaxis._offset + layout.yaxis.d2p(trace.y[point])]; }"""
    )
    page.mouse.move(*at)
    label = page.locator("#latency .hoverlayer .hovertext")
    label.first.wait_for(timeout=5_000)
    assert re.search(r"session \d+ · turn \d+", label.first.text_content())


def test_a_click_on_a_slow_turn_leads_to_its_events(visit):
    page = visit()
    place = page.evaluate(
        """() => { const plot = document.querySelector('#over-time .plot');
            const article = document.querySelector('.closeup');
            const [, session, turn] = article.id.split('-').map(Number);
            const trace = plot.data.find(entry => entry.name === 'turn');
            const point = trace.customdata.findIndex(row => row[0] === session && row[1] === turn);
            plot.emit('plotly_click', {points: [{customdata: trace.customdata[point]}]});
            return article.id; }"""
    )
    page.wait_for_function(
        "id => Math.abs(document.getElementById(id).getBoundingClientRect().top) < 200",
        arg=place,
        timeout=5_000,
    )


@pytest.mark.parametrize(
    ("name", "scheme"), [("whole", "light"), ("rich", "light"), ("written", "dark")]
)
def test_a_phone_never_scrolls_sideways_and_figures_fit(visit, scheme, name):
    page = visit(name, viewport=PHONE, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate("document.body.scrollWidth") <= PHONE["width"]
    widths = page.evaluate(
        "[...document.querySelectorAll('.main-svg')].map(svg => svg.getBoundingClientRect().right)"
    )
    assert max(widths) <= PHONE["width"]


@pytest.mark.parametrize("name", ["whole", "invalid"])
def test_gates_and_rules_are_read_on_a_phone_without_scrolling_a_table(visit, name):
    page = visit(name, viewport=PHONE)
    page.evaluate(
        "document.querySelectorAll('#validity details').forEach(it => { it.open = true })"
    )
    found = tables(page)
    cards = [caption for caption, (is_cards, *_) in found.items() if is_cards]
    assert [caption.split(":")[0] for caption in cards] == ["Gates", "Validity"]
    assert not any(found[caption][1] for caption in cards)
    beyond = [shadow for _, goes_on, shadow in found.values() if goes_on]
    assert len(beyond) > 3
    assert set(beyond) == {SHADED}
    reason = page.locator("#gates .reason").first.bounding_box()
    assert reason["x"] >= 0
    assert reason["x"] + reason["width"] <= PHONE["width"]
    for mark in page.locator("#validity .trust li").all():
        assert mark.bounding_box()["x"] >= 30  # the bullet has room before it


def test_at_a_desk_the_health_of_the_workers_is_whole(visit):
    found = tables(visit("whole"))
    assert found["Health of each worker"][:2] == [False, False]


def test_what_stands_in_backticks_is_code(visit):
    page = visit()
    said = page.locator("#validity .trust").inner_text()
    assert "`" not in said
    assert page.locator("#validity .trust code").first.inner_text().startswith("bench calibrate")


def test_labels_of_quantiles_are_whole_on_a_phone(visit):
    page = visit("short", viewport=PHONE)
    edge = page.evaluate("document.querySelector('#writing .figure').getBoundingClientRect().right")
    ends = page.evaluate(
        """() => [...document.querySelectorAll('#writing .textpoint text')].map(
            text => text.getBoundingClientRect().right)"""
    )
    assert len(ends) >= 2
    assert max(ends) <= edge


@pytest.mark.parametrize(
    ("name", "scheme"), [("whole", "light"), ("rich", "light"), ("written", "dark")]
)
def test_names_in_legends_are_whole_on_a_phone(visit, scheme, name):
    page = visit(name, viewport=PHONE, scheme=scheme)
    edges = page.evaluate(
        """() => [...document.querySelectorAll('.figure .legendtext')].map(text => [
            text.textContent, text.getBoundingClientRect().right,
            text.closest('.figure').getBoundingClientRect().right])"""
    )
    assert len(edges) >= 3
    assert [text for text, right, edge in edges if right > edge + 0.5] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(visit, scheme):
    page = visit(scheme=scheme)
    for selector in ("body", ".verdict", ".answer", ".note", "figcaption", "th", "a", ".chip"):
        found = colours(page, selector)
        assert found, selector
        for text, paper in found:
            assert contrast(text, paper) >= 4.5, (selector, text, paper)


def test_dark_paper_is_dark_and_figures_follow(visit):
    page = visit(scheme="dark")
    ((_, paper),) = colours(page, "body")
    assert luminance(paper) < 0.05
    inks = page.evaluate(
        """() => [...document.querySelectorAll('.xtick text, .legendtext')].map(
            text => getComputedStyle(text).fill)"""
    )
    assert inks
    assert all(contrast(ink, paper) >= 4.5 for ink in inks)


def test_without_scripts_verdict_gates_and_tables_are_there(visit):
    page = visit(drawn=False, scripts=False)
    for selector in (
        ".verdict",
        "table.gates",
        ".headlines",
        "#metrics summary",
        "noscript .banner",
    ):
        assert page.locator(selector).first.is_visible(), selector
    assert page.locator("table.gates tbody tr").count() == 4


def ink_on_paper(page):
    """(contrast of the names in legends, how light the page is)."""
    ((_, paper),) = colours(page, "body")
    ink = page.evaluate("() => getComputedStyle(document.querySelector('.legendtext')).fill")
    return contrast(ink, paper), luminance(paper)


def test_figures_follow_the_systems_scheme_and_the_window_and_paper_is_light_and_cuts_none(visit):
    page = visit(scheme="light", fresh=True)
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(1500)
    ink, paper = ink_on_paper(page)
    assert ink >= 4.5
    assert paper < 0.05
    page.emulate_media(media="print", color_scheme="dark")
    page.wait_for_timeout(1500)
    assert ink_on_paper(page)[1] > 0.9
    widths = page.evaluate(
        "[...document.querySelectorAll('.main-svg')].map(svg => svg.getBoundingClientRect().width)"
    )
    assert max(widths) <= 680
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.emulate_media(media="screen", color_scheme="dark")
    page.wait_for_timeout(1500)
    assert ink_on_paper(page)[1] < 0.05
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(600)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.said == []


def test_figures_of_an_invalid_run_are_grey(visit):
    page = visit("invalid")
    filters = page.evaluate(
        "[...document.querySelectorAll('.evidence')].map(box => getComputedStyle(box).filter)"
    )
    assert filters
    assert set(filters) == {"grayscale(1)"}
    assert page.locator("#invalid").is_visible()
