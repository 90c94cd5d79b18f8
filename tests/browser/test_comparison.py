"""The page of a comparison in headless Chromium: at a desk and on a phone, offline."""

import numpy as np
import pytest

from bench.compare.sides import Side, compare
from bench.report.compare_page import write_page
from tests.browser.looking import DESK, PHONE, SHADED, colours, contrast, tables
from tests.compare.chance import World, side

pytestmark = pytest.mark.browser

SMALL = World(sessions=30, turns=6)
VIEWS = pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    rng = np.random.default_rng(6)
    name = "a-name-that-a-team-gave-to-its-runs-without-a-blank-in-it"
    slower = side(rng, 3, name, world=SMALL, slower={"generation": 1.6}, answered=0.9)
    single = Side("one", side(rng, 1, "one", world=SMALL).runs)
    root = tmp_path_factory.mktemp("pages")
    found = {
        "slower": compare(slower, side(rng, 3, "old", world=SMALL), resamples=100),
        "single": compare(single, side(rng, 1, "old", world=SMALL), resamples=100),
    }
    for key in found:
        (root / key).mkdir()
    return {key: write_page(one, root / key) for key, one in found.items()}


@pytest.fixture
def visit(visited, pages):
    return lambda name, viewport, scheme="light", **options: visited(
        pages[name], viewport, scheme, **options
    )


@VIEWS
@pytest.mark.parametrize("name", ["slower", "single"])
def test_it_draws_every_figure_offline_and_never_scrolls_sideways(visit, pages, name, viewport):
    page = visit(name, viewport)
    assert page.said == []
    assert page.asked == [pages[name].as_uri()]
    marks = page.evaluate(
        """() => [...document.querySelectorAll('.figure')].map(figure => figure.querySelectorAll(
            '.trace path.js-line, .trace .points path, .trace .point path').length)"""
    )
    assert len(marks) == 3
    assert all(marks), marks
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    edges = page.evaluate(
        "[...document.querySelectorAll('.main-svg')].map(svg => svg.getBoundingClientRect().right)"
    )
    assert max(edges) <= viewport["width"]


@VIEWS
def test_verdict_and_rows_can_be_read(visit, viewport):
    page = visit("slower", viewport, fresh=True)
    assert page.locator(".verdict").inner_text() == "regressed"
    box = page.locator(".verdict").bounding_box()
    assert box["y"] + box["height"] < viewport["height"] / 3
    rows = page.locator("#rows tbody tr")
    assert rows.count() >= 7
    # Figure and verdict of every row are on the paper without scrolling the table.
    for cells in (page.locator("#rows tbody td:nth-child(1)"),
                  page.locator("#rows tbody tr.tone-limit td:nth-child(2)")):  # fmt: skip
        for cell in cells.all():
            place = cell.evaluate(
                """cell => { const range = document.createRange(); range.selectNodeContents(cell);
                    return range.getBoundingClientRect().right; }"""
            )
            assert place <= viewport["width"], cell.inner_text()
    assert "+" in rows.first.locator("td").nth(4).inner_text()
    summary = page.locator("#others summary")
    others = page.locator("#others tbody tr")
    assert not others.first.is_visible()
    summary.click()
    assert others.first.is_visible()
    assert "regressed" in others.first.inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_what_decides_is_cards_on_a_phone_and_what_goes_on_beside_the_page_says_so(visit):
    page = visit("slower", PHONE, fresh=True)
    page.locator("#others summary").click()
    found = tables(page)
    assert found.pop("The rows that decide")[:2] == [True, False]
    others = found["Figures that decide nothing"]
    assert others == [False, True, SHADED]
    labels = page.evaluate(
        """() => [...document.querySelectorAll('#rows tbody tr:first-child td')].map(
            cell => [getComputedStyle(cell, '::before').content, cell.innerText])"""
    )
    shown = dict(labels[1:])
    assert shown['"verdict"'] == "regressed"
    assert {'"change"', '"baseline B"', '"candidate A"', '"detectable change"'} <= set(shown)
    desk = visit("slower", DESK)
    assert tables(desk)["The rows that decide"][:2] == [False, False]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(visit, scheme):
    page = visit("slower", DESK, scheme)
    for selector in (".verdict", ".answer", ".note", "th", "tr.tone-limit td", "tr.tone-quiet td"):
        found = colours(page, selector)
        assert found, selector
        for text, paper in found:
            assert contrast(text, paper) >= 4.5, (selector, text, paper)


def test_only_what_changed_beyond_chance_is_red_or_green(visit):
    page = visit("slower", DESK)
    fills = page.evaluate(
        """() => [...document.querySelectorAll('#carried .trace.bars .point path')].map(
            path => getComputedStyle(path).fill)"""
    )
    stages = page.locator("#carried tbody td:first-child").all_inner_texts()
    told = dict(zip(stages, fills, strict=False))
    assert len(set(told.values())) == 2
    assert [name for name, fill in told.items() if fill != told["commit"]] == ["generation"]
