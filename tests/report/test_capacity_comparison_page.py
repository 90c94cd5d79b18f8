"""The page of two compared capacities: figures from the document, nothing from outside."""

from html import escape

import msgspec
import pytest

from bench.capacity.comparison import Side, compare_capacities
from bench.report.capacity_comparison_page import render, write_capacity_comparison_page
from bench.report.compare_page import PAGE
from tests.capacity.found import GATE, capacity_result, figure, probe, tier
from tests.report.test_page import Elements, text_of


def swept(late, *tiers, **facts):
    probes = []
    for number, load in enumerate((12.0, 24.0, 36.0), 1):
        one = probe(number, load)
        figures = msgspec.structs.replace(
            one.figures, first_audio_p95=figure(late + 10 * load, "ms")
        )
        probes.append(msgspec.structs.replace(one, figures=figures))
    return capacity_result(*tiers, probes=probes, **facts)


def compared(a=None, b=None):
    new = swept(300.0, a or tier(capacity=28.0, low=27.0, high=30.0))
    old = swept(400.0, b or tier(capacity=24.0, low=23.0, high=25.0))
    return compare_capacities(Side("new", new), Side("old", old), margin=5.0)


@pytest.fixture
def drawn(monkeypatch):
    """The figures of a page by the key of their panel."""
    import bench.report.capacity_comparison_page as module

    kept = {}

    def filled(_template, told):
        kept.update({panel.key: panel.figures[0][1] for panel in told["panels"]})
        return ""

    def of(found):
        with monkeypatch.context() as patched:
            patched.setattr(module, "filled", filled)
            render(found)
        return kept

    return of


def test_both_curves_have_a_band_from_the_intervals_of_the_probes(drawn):
    plots = drawn(compared())
    assert set(plots) == {"first_audio_p95", "good_turns"}
    traces = {trace.name: trace for trace in plots["first_audio_p95"].data}
    assert list(traces["A"].x) == [12.0, 24.0, 36.0]
    assert list(traces["A"].y) == [420.0, 540.0, 660.0]
    assert list(traces["B"].y) == [520.0, 640.0, 760.0]
    high = [value * 1.05 for value in (420.0, 540.0, 660.0)]
    low = [value * 0.95 for value in (660.0, 540.0, 420.0)]
    assert list(traces["band a"].y) == pytest.approx([*high, *low])


def test_the_crossings_of_both_sides_and_their_intervals_are_drawn(drawn):
    plot = drawn(compared())["good_turns"]
    shapes = plot.layout.shapes
    assert {(one.x0, one.x1) for one in shapes} == {
        (27.0, 30.0), (28.0, 28.0), (23.0, 25.0), (24.0, 24.0)
    }  # fmt: skip
    assert [one.text for one in plot.layout.annotations] == [
        "A gold 28 [27, 30]", "B gold 24 [23, 25]"
    ]  # fmt: skip


def test_a_lower_bound_has_no_shade_and_says_so(drawn):
    endless = tier(capacity=30.0, low=30.0, high=None, at_least=True, limit="generator")
    plot = drawn(compared(a=endless))["good_turns"]
    assert {(one.x0, one.x1) for one in plot.layout.shapes} == {
        (30.0, 30.0), (23.0, 25.0), (24.0, 24.0)
    }  # fmt: skip
    assert plot.layout.annotations[0].text == "A gold ≥\u00a030"


def test_a_band_goes_to_the_head_where_an_interval_has_no_end_and_breaks_where_there_is_none(drawn):
    found = compared()
    steps = found["curves"]["first_audio_p95"]["a"]
    steps[1]["high"] = None
    plot = drawn(found)["first_audio_p95"]
    (band,) = [one for one in plot.data if one.name == "band a"]
    assert band.y[1] == plot.layout.yaxis.range[1] > 760 * 1.05
    steps[1]["low"] = None
    traces = [one for one in drawn(found)["first_audio_p95"].data if one.name == "band a"]
    assert [list(one.x) for one in traces] == [[12.0, 12.0], [36.0, 36.0]]


def test_the_page_says_it_all_in_words_and_loads_nothing_from_outside(tmp_path):
    found = compared()
    path = write_capacity_comparison_page(found, tmp_path)
    assert path == tmp_path / PAGE
    page = path.read_text("utf-8")
    told = text_of(page)
    assert "A holds 17 % more [10, 27]" in told
    assert "p95 of first audio: A 420" in told
    assert f"{escape(GATE)}<small>response_latency</small>" in told
    for tag, attributes in Elements(page).tags:
        assert not {"src", "href"} & {
            name for name, value in attributes.items() if "//" in (value or "")
        }, tag
    assert "http-equiv" in page


def test_every_note_stands_below_the_table_and_no_tier_is_told_twice():
    both = [tier("gold"), tier("plain")]
    new, old = swept(300.0, *both), swept(400.0, *both)
    found = compare_capacities(Side("new", new), Side("old", old), margin=5.0)
    assert len(found["reasons"]) == 2
    rows = text_of(render(found)).partition('id="rows"')[2].partition("</section>")[0]
    assert 0 < rows.rindex("</table>") < rows.index('class="note"')
    assert found["reasons"][1] not in rows.replace("Tier", "tier")
    assert rows.count(">plain<") == 1


def test_a_name_is_text_and_no_element():
    found = compared(a=tier("<b>x"), b=tier("<b>x"))
    assert "<b>x" not in render(found)
