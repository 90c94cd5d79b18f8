"""The shown answer of `bench capacity`: terminal, capacity.csv, capacity.md, page."""

import csv
import io
import itertools
import re

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from bench.capacity.document import BoundedFigure, Bounds, Gauge
from bench.report.capacity_page import context, render, write_capacity_page
from bench.report.capacity_tables import (
    csv_text,
    markdown_text,
    print_capacity,
    probe_rows,
    write_tables,
)
from tests.capacity.found import capacity_result, figure, probe, tier
from tests.report.rendering import cells, rendered
from tests.report.test_page import Elements, text_of

GOOD = "share(good_turns) >= 99 %"


def shown(result, width=80):
    out = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    print_capacity(result, out)
    return out.file.getvalue()


def words(text):
    return " ".join(text.split())


def several():
    """Two tiers; five runs of which one is void and one beyond."""
    probes = [
        probe(1, 16.0, purpose="bracket"),
        probe(2, 32.0, purpose="bracket"),
        probe(3, 24.0, purpose="refine", void="generator: cpu 96 %"),
        probe(4, 24.0, purpose="hold"),
        probe(5, 36.0, purpose="beyond"),
    ]
    gold = tier(high=26.0)
    silver = tier("silver", 30.0, 28.0, 33.0, gates=[GOOD], binding=GOOD, stage="", cost=None)
    return capacity_result(gold, silver, probes=probes)


def figures(result):
    return {panel.key: [plot for _, plot in panel.figures] for panel in context(result)["panels"]}


def test_the_csv_has_the_figures_of_the_result_and_not_rounded():
    result = several()
    odd = msgspec.structs.replace(
        result.probes[0].figures, first_audio_p95=BoundedFigure(
            value=640.123456789, low=600.5, high=None, unit="ms", n=77
        )
    )  # fmt: skip
    result.probes[0] = msgspec.structs.replace(result.probes[0], figures=odd)
    rows = list(csv.DictReader(io.StringIO(csv_text(result))))
    assert [int(row["number"]) for row in rows] == [1, 2, 3, 4, 5]
    for row, one in zip(rows, result.probes, strict=True):
        assert float(row["load"]) == one.load
        assert (row["purpose"], row["run"], row["void"]) == (one.purpose, one.run, one.void)
        assert float(row["good_turns_percent"]) == one.figures.good_turns.value
        assert float(row["refused_percent"]) == one.figures.refused.value
        assert float(row["generation_p95_ms"]) == one.figures.generation_p95.value
        assert float(row["generator_cpu_percent"]) == one.generator.cpu
        assert float(row["gauge_process_cpu_seconds_total_max"]) == 0.9
        assert (row["verdict_gold"], row["verdict_silver"]) == ("pass", "")
    assert float(rows[0]["first_audio_p95_ms"]) == 640.123456789
    assert float(rows[0]["first_audio_p95_low_ms"]) == 600.5
    assert rows[0]["first_audio_p95_high_ms"] == ""
    assert rows[0]["first_audio_p95_n"] == "77"


def test_the_files_are_written_whole_and_leave_no_part(tmp_path):
    write_tables(several(), tmp_path)
    page = write_capacity_page(several(), tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "capacity.csv", "capacity.html", "capacity.md",
    ]  # fmt: skip
    assert page == tmp_path / "capacity.html"


@pytest.mark.parametrize("text", [lambda it: words(shown(it)), markdown_text])
def test_what_is_said_has_capacity_interval_limits_void_cost_and_workload(text):
    said = text(several()).replace("\\", "").replace("&lt;", "<").replace("&gt;", ">")
    said = said.replace("\u202f", " ")
    assert (
        "gold: 24 sessions [21, 26] hold, confirmed; p95(first_audio_latency) < 800 ms breaks "
        "first, in response_latency"
    ) in said
    assert "silver: 30 sessions [28, 33] hold" in said
    assert "○ void: run 3 at 24 sessions: generator: cpu 96 %" in said
    assert "a cliff" in said
    assert "0.05 a session-minute; 1 000 turns 22.20 at 30 %" in said
    assert "beyond the limit it degrades: at 36 sessions 61 % of turns are good" in said
    assert "recovery: as before in 12 s" in said
    assert "sessions of 192 s [184, 200], 24 turns each" in said


def test_markdown_is_a_table_with_a_row_a_run_by_load_whatever_a_name_holds():
    hostile = tier("a|b *c*")
    rows = cells(rendered(markdown_text(capacity_result(hostile))))
    assert len(rows) == 3
    assert len({len(row) for row in rows}) == 1
    assert rows[1][0] == "24"
    assert rows[2][-1] == "○ void"
    assert [row[0] for row in cells(rendered(markdown_text(several())))[1:]] == [
        "16", "24", "24", "32", "36",
    ]  # fmt: skip


@pytest.mark.parametrize("result", [capacity_result(), several()])
def test_eighty_columns_hold_every_row_in_one_line(result):
    lines = shown(result).splitlines()
    assert all(cell_len(line) <= 80 for line in lines)
    rule = next(place for place, line in enumerate(lines) if line.startswith("──"))
    rows = lines[rule + 1 : rule + 1 + len(result.probes)]
    assert all(re.match(r" *\d+ +99\.1 ", row) for row in rows)
    assert "…" not in "".join(lines)
    assert "server gauges" not in "".join(lines)


def test_a_wide_terminal_has_every_column():
    text = shown(several(), 200)
    for name in ("server gauges", "generator", "underrun", "refused", "endpointing", "silver"):
        assert name in text
    assert "cpu 0.40\u202fcores" in text


def test_the_run_beyond_the_limit_has_no_verdict_on_its_load():
    row = next(line for line in shown(several(), 200).splitlines() if line.startswith("      36"))
    assert row.split()[-2:] == ["beyond", "beyond"]


def test_at_least_says_what_the_limit_was_once():
    least = tier(
        at_least=True, capacity=20.0, low=20.0, high=None, limit="account 20 sessions", binding="",
        stage="", said=["at least 20: account 20 sessions kept the search from more"], cost=None,
    )  # fmt: skip
    result = capacity_result(least)
    assert "gold: at least 20 sessions (limit: account 20 sessions)" in shown(result)
    assert shown(result).count("account") == 1
    told = context(result)
    assert (told["verdict"], told["role"]) == ("Holds at least 20 sessions", "doubt")
    shapes = figures(result)["first-audio"][0].layout.shapes
    assert not [shape for shape in shapes if shape.type == "rect"]


def test_no_capacity_says_why():
    none = tier(
        capacity=None, low=None, high=None, confirmed=False, binding="", stage="", cost=None,
        said=["no run at any load could be used"],
    )  # fmt: skip
    result = capacity_result(none)
    assert "gold: none: no run at any load could be used" in shown(result)
    assert (context(result)["verdict"], context(result)["role"]) == (
        "No capacity was found", "limit",
    )  # fmt: skip


def test_a_search_that_was_stopped_says_so():
    result = capacity_result(complete=False)
    assert "stopped before its end" in shown(result)
    assert "--resume" in text_of(render(result))


def test_every_run_is_led_to_from_its_row_and_from_its_points():
    result = several()
    page = render(result)
    addresses = [attributes.get("href") or "" for tag, attributes in Elements(page).tags]
    for one in result.probes:
        assert f"./{one.run}/report.html" in addresses
        for key in ("first-audio", "good-turns", "stages", "throughput", "gauges", "runs"):
            (plot, *_) = figures(result)[key]
            led = [place[1] for trace in plot.data if trace.meta == "link"
                   for place in trace.customdata]  # fmt: skip
            assert f"./{one.run}/report.html" in led, key
    assert 'point.data.meta === "link"' in page


def test_the_page_loads_nothing_and_leads_nowhere_else():
    hostile = "javascript:alert(1)//</script><script>x"
    result = capacity_result(probes=[probe(1, 24.0, run=hostile, void=hostile)])
    elements = Elements(render(result))
    for tag, attributes in elements.tags:
        assert "src" not in attributes, tag
        assert (attributes.get("href") or "#").startswith(("#", "./"))
        assert tag not in {"link", "iframe", "object", "embed", "base"}
    assert not re.search(r"https?://|wss?://", text_of(render(result)))
    assert "alert(1)//</script>" not in render(result)


def test_void_is_hollow_and_beyond_a_diamond_with_whiskers_as_long_as_the_interval():
    (plot,) = figures(several())["first-audio"]
    (points,) = [trace for trace in plot.data if trace.meta == "link"]
    assert list(points.x) == [16, 24, 24, 32, 36]
    assert list(points.marker.symbol) == [
        "circle", "circle-open", "circle", "circle", "diamond",
    ]  # fmt: skip
    assert points.y[0] + points.error_y.array[0] == pytest.approx(640 * 1.05)
    assert points.y[0] - points.error_y.arrayminus[0] == pytest.approx(640 * 0.95)


def test_each_tier_has_its_band_its_capacity_and_its_limit():
    (plot,) = figures(several())["first-audio"]
    bands = [shape for shape in plot.layout.shapes if shape.type == "rect"]
    assert [(band.x0, band.x1) for band in bands] == [(21, 26), (28, 33)]
    lines = [shape for shape in plot.layout.shapes if shape.type == "line"]
    assert [line.x0 for line in lines if line.x0 == line.x1] == [24, 30]
    assert [line.y0 for line in lines if line.y0 == line.y1] == [800]
    notes = " ".join(note.text for note in plot.layout.annotations)
    assert "gold 24 [21, 26]" in notes
    assert plot.layout.yaxis.range[1] > 800
    (good,) = figures(several())["good-turns"]
    assert 99 in [shape.y0 for shape in good.layout.shapes if shape.y0 == shape.y1]


def test_an_objective_of_another_metric_has_a_figure_of_its_own():
    text = "p99(endpointing_delay) < 500 ms"
    own = probe(1).tiers["gold"].gates[0]
    gate = msgspec.structs.replace(own, gate=text, value=444.0, limit=500.0)
    judged = msgspec.structs.replace(probe(1).tiers["gold"], gates=[gate])
    result = capacity_result(
        tier(gates=[text], binding=text), probes=[probe(1, tiers={"gold": judged})]
    )
    (plot,) = figures(result)["objective-2"]
    assert plot.data[0].y == (444,)
    assert 500 in [shape.y0 for shape in plot.layout.shapes if shape.y0 == shape.y1]


def test_a_quantile_that_was_not_reached_is_an_arrow_and_no_zero():
    lost = BoundedFigure(value=None, low=900.0, high=None, unit="ms", n=40)
    late = msgspec.structs.replace(probe().figures, first_audio_p95=lost)
    result = capacity_result(probes=[probe(1, 16.0), probe(2, 30.0, figures=late)])
    (plot,) = figures(result)["first-audio"]
    (arrow,) = [trace for trace in plot.data if "not reached" in (trace.name or "")]
    assert (list(arrow.x), list(arrow.marker.symbol)) == ([30], ["triangle-up"])
    assert "∞ [900, ∞]" in shown(result)


def test_the_fitted_law_is_drawn_as_far_as_was_measured_and_the_peak_only_said():
    result = several()
    (plot,) = figures(result)["throughput"]
    (curve,) = [trace for trace in plot.data if trace.name == "fitted law"]
    assert (min(curve.x), max(curve.x)) == (16, 32)
    assert curve.y[0] == pytest.approx(0.125 * 16 / (1 + 0.01 * 15 + 0.0004 * 16 * 15))
    assert "no capacity" in shown(result)
    refused = msgspec.structs.replace(
        result.scalability, peak=None, refusal="the sweep ended before the peak"
    )
    assert "the sweep ended before the peak" in shown(capacity_result(scalability=refused))
    open_to_all = msgspec.structs.replace(refused, rate=Bounds(value=0.3, low=0.1, high=None))
    for unknown in (None, open_to_all):  # a line would look like knowledge
        (bare,) = figures(capacity_result(scalability=unknown))["throughput"]
        assert not [trace for trace in bare.data if trace.name == "fitted law"]


def test_the_timeline_has_every_run_one_after_another_by_verdict():
    (plot,) = figures(several())["runs"]
    bars = {trace.name: trace for trace in plot.data}
    assert set(bars) == {"holds", "beyond the limit", "void"}
    edges = sorted(
        (x - width / 2, x + width / 2)
        for bar in bars.values()
        for x, width in zip(bar.x, bar.width, strict=True)
    )
    assert edges[0][0] == 0
    assert all(a[1] == pytest.approx(b[0]) for a, b in itertools.pairwise(edges))
    assert edges[-1][1] == pytest.approx(5 * 260 / 60)


def test_gauges_are_told_by_what_they_tell_and_in_units_that_suit():
    gauges = {
        "process_resident_memory_bytes": Gauge(mean=81_811_456.0, max=83e6, unit="B"),
        "vllm:kv_cache_usage_perc": Gauge(mean=0.42, max=0.9, unit="1"),
        'x_queue{model="a"}': Gauge(mean=2.25, max=4.0),
        'x_queue{model="b"}': Gauge(mean=0.0, max=0.0),
        "unheard_of": Gauge(mean=None, max=None),
    }
    result = capacity_result(probes=[probe(1, gauges=gauges)])
    ((_, row),) = probe_rows(result)
    assert row["server gauges"] == (
        'memory 81.8\u202fMB, gpu memory 42\u202f%, x_queue{model="a"} 2.25, x_queue{model="b"} 0'
    )
    memory, cache, *_ = figures(result)["gauges"]
    assert (memory.data[0].y[0], cache.data[0].y[0]) == (pytest.approx(81.811456), 42.0)
    assert (memory.layout.yaxis.title.text, cache.layout.yaxis.title.text) == ("MB", "%")


def test_gauges_have_a_figure_each_and_none_has_no_panel():
    assert len(figures(several())["gauges"]) == 1
    without = capacity_result(probes=[probe(1, gauges={})])
    assert "gauges" not in figures(without)


def test_arrivals_say_what_is_counted():
    result = capacity_result(tier(capacity=2.5, low=2.25, high=2.75), load="arrivals", unit="/s")
    assert "gold: 2.5 session starts a second [2.25, 2.75] hold" in words(shown(result))
    assert "in flight" in shown(result)
    assert context(result)["verdict"] == "Holds 2.5 session starts a second"


@pytest.mark.parametrize(
    "result",
    [
        capacity_result(probes=[], scalability=None, beyond=None, recovery=None),
        capacity_result(probes=[probe(1)]),
        capacity_result(probes=[probe(1, void="cpu"), probe(2, void="cpu")]),
        capacity_result(probes=[probe(1, load=0.0, seconds=0.0, sessions_in_flight=None)]),
        msgspec.structs.replace(capacity_result(), tiers=[], objectives=[]),
        capacity_result(tier(gates=["sessions held >= 99 %"])),
    ],
    ids=["no probe", "one probe", "all void", "nothing", "no tier", "a gate unknown here"],
)
def test_every_result_can_be_shown(result, tmp_path):
    write_tables(result, tmp_path)
    assert write_capacity_page(result, tmp_path).stat().st_size < 10_000_000
    assert "workload" in shown(result)
    assert context(result)["panels"]


def test_nothing_known_is_a_dash():
    nothing = BoundedFigure(value=None, low=None, high=None, unit="%", n=0)
    bare = msgspec.structs.replace(probe().figures, good_turns=nothing, refused=figure(0.0, "%"))
    result = capacity_result(
        probes=[probe(1, figures=bare)],
        workload=msgspec.structs.replace(
            capacity_result().workload, session_s=Bounds(value=None, low=None, high=None)
        ),
    )
    assert re.search(r"24 +– +640", shown(result))
    assert "no whole session was seen" in shown(result)
