import re

import pytest

from bench.errors import UsageError
from bench.report.history_page import context, render, write_history
from bench.report.page import figure_json
from bench.report.theme import dark_of_light
from tests.compare.test_trend import of
from tests.past import figure, past


def some_past():
    """A step at the twentieth run; the fifth is invalid, the eighth has no p95."""
    records = list(past(30, step_at=20, step=1.2, seed=2))
    records[5] = records[5]._replace(entry=records[5].entry._replace(verdict="invalid"))
    lost = records[8].entry
    kept = [one for one in records[8].figures if one.statistic != "p95"]
    beyond = figure(lost, "first_audio_latency", "p95", None)
    records[8] = records[8]._replace(figures=[*kept, beyond])
    return records


@pytest.fixture(scope="module")
def groups():
    return of(some_past(), past(4, branch="side"))


def panels(groups, at=0):
    return {panel.question: panel for panel in context(groups)["groups"][at]["panels"]}


def traces(panel):
    ((_, plot),) = panel.figures
    return {trace.name: trace for trace in plot.data if trace.name}, plot


def test_every_metric_has_one_figure_whose_title_is_a_question(groups):
    found = panels(groups)
    assert list(found) == [
        "Has voice to voice latency changed?",
        "Has first audio latency changed?",
        "Has endpointing delay changed?",
        "Has the share of answered changed?",
    ]
    assert all(len(panel.figures) == 1 for panel in found.values())


def test_both_quantiles_are_lines_and_each_point_has_its_interval_as_a_whisker(groups):
    named, plot = traces(panels(groups)["Has first audio latency changed?"])
    assert {"p50", "p95", "no point"} <= set(named)
    assert len(named["p50"].x) == 29
    assert len(named["p95"].x) == 28
    assert "no end" not in named
    line = next(
        line for line in groups[0].lines
        if (line.metric, line.statistic) == ("first_audio_latency", "p95")
    )  # fmt: skip
    bars = named["p95"].error_y
    for point, up, down in zip(line.points, bars.array, bars.arrayminus, strict=True):
        assert point.value + up == pytest.approx(point.high)
        assert point.value - down == pytest.approx(point.low)
    low, high = plot.layout.yaxis.range
    assert all(low < point.low < point.high < high for point in line.points)


def test_an_interval_without_an_end_is_drawn_so_and_one_that_is_unknown_not_at_all():
    records = list(past(30, seed=2))
    for at, ends in ((7, (700.0, None)), (9, (None, None)), (11, (None, 1200.0))):
        shown = [
            one._replace(low=ends[0], high=ends[1])
            if (one.metric, one.statistic) == ("first_audio_latency", "p50")
            else one
            for one in records[at].figures
        ]
        records[at] = records[at]._replace(figures=shown)
    panel = panels(of(records))["Has first audio latency changed?"]
    named, plot = traces(panel)
    assert panel.figures[0][0].endswith("intervals, an arrow where one has no end")
    low, high = plot.layout.yaxis.range
    line, bars = named["p50"], named["p50"].error_y
    assert line.y[7] + bars.array[7] == pytest.approx(high)
    assert line.y[7] - bars.arrayminus[7] == pytest.approx(700)
    assert (bars.array[9], bars.arrayminus[9]) == (0, 0)
    assert line.y[11] - bars.arrayminus[11] == pytest.approx(low)
    assert list(zip(named["no end"].x, named["no end"].y, strict=True)) == [(7, high), (11, low)]
    assert list(named["no end"].marker.symbol) == ["triangle-up", "triangle-down"]
    assert "∞" in line.customdata[7][0]


def test_figures_without_intervals_do_not_speak_of_them():
    records = [
        one._replace(figures=[each._replace(low=None, high=None) for each in one.figures])
        for one in past(12, seed=2)
    ]
    for panel in panels(of(records)).values():
        assert [caption for caption, _ in panel.figures] == ["Every run in order of time"]


def test_runs_of_one_day_have_the_time_of_day_under_the_axis():
    records = [
        one._replace(
            entry=one.entry._replace(created=f"2026-09-{1 + at // 9:02}T{at % 9:02}:30:00+00:00")
        )
        for at, one in enumerate(past(12, seed=2))
    ]
    _, plot = traces(panels(of(records))["Has first audio latency changed?"])
    ticks = list(plot.layout.xaxis.ticktext)
    assert len(set(ticks)) == len(ticks)
    assert ticks[0] == "00:30<br>1 Sep"
    assert ticks[1] == "03:30"
    assert ticks[-1] == "02:30<br>2 Sep"


def test_a_change_is_an_upright_line_before_its_first_run_with_its_size(groups):
    _, plot = traces(panels(groups)["Has first audio latency changed?"])
    assert [shape.x0 for shape in plot.layout.shapes] == [19.5]
    labels = [note.text for note in plot.layout.annotations]
    (label,) = labels
    assert re.fullmatch(r"p50 \+(1[5-9]|2[0-5])\.?\d* %, p95 \+(1[5-9]|2[0-5])\.?\d* %", label)


def test_labels_of_changes_stand_in_rows_above_the_lines_and_cover_none_of_their_row():
    ups = [list(past(40, seed=seed, noise=0.01)) for seed in (2, 3)]
    high = list(past(40, step_at=0, step=1.5, seed=4, noise=0.01))
    mixed = [(high if at // 10 % 2 else ups[at % 2])[at] for at in range(40)]
    _, plot = traces(panels(of(mixed))["Has first audio latency changed?"])
    notes = plot.layout.annotations
    assert [note.x for note in notes] == [9.5, 19.5, 29.5]
    assert {note.y for note in notes} == {1}
    rows = [note.ay for note in notes]
    assert len(set(rows[:2])) == 2  # a label is wider than ten of forty runs on a phone
    assert plot.layout.margin.t - 28 >= -min(rows)
    assert plot.layout.height - plot.layout.margin.t == 320 - 28


def test_an_invalid_run_is_a_cross_at_the_foot_and_no_point_of_a_line(groups):
    named, plot = traces(panels(groups)["Has first audio latency changed?"])
    crosses = named["no point"]
    assert list(crosses.x) == [5, 8]
    assert set(crosses.y) == {plot.layout.yaxis.range[0]}
    assert "invalid" in crosses.customdata[0][0]
    assert "p95 not reached: too many turns timed out" in crosses.customdata[1][0]
    assert 5 not in named["p50"].x


def test_the_commit_of_every_run_is_in_its_hover(groups):
    named, _ = traces(panels(groups)["Has first audio latency changed?"])
    first = some_past()[0].entry
    assert first.commit[:12] in named["p50"].customdata[0][0]
    assert "n = 200" in named["p50"].customdata[0][0]


def test_the_sentence_says_what_the_figure_shows(groups):
    answer = panels(groups)["Has endpointing delay changed?"].answer
    records = some_past()
    assert re.search(r"p50 is [67]\d\d\sms \[\d+, \d+\] in the latest of 29 runs\.", answer)
    assert "It rose by" in answer
    commits = f"between {records[19].entry.commit[:10]} and {records[20].entry.commit[:10]}"
    assert commits in answer
    assert "on 21 September 2026" in answer


def test_settings_are_sections_of_their_own_and_short_ones_say_what_they_lack(groups):
    first, second = context(groups)["groups"]
    assert first["name"].endswith("branch main")
    assert second["name"].endswith("branch side")
    assert "2 more runs before a change can be told" in second["panels"][0].answer
    assert second["changes"] is None
    assert len(second["runs"].rows) == 4


def test_anchors_are_distinct_and_every_link_of_the_page_leads_to_one(groups):
    page = render(groups)
    anchors = re.findall(r'\bid="([^"]+)"', page.split("<script", 1)[0])
    links = re.findall(r'href="#([^"]+)"', page)
    assert links
    assert set(links) <= set(re.findall(r'\bid="([^"]+)"', page))
    assert len(anchors) == len(set(anchors))


def test_the_page_loads_nothing_from_outside(groups):
    page = render(groups)
    assert "default-src 'none'" in page
    ours = page.replace(page[page.index("<script>") :], "")
    assert not re.search(r'(src|href)="(https?:)?//', ours)


def test_every_colour_of_a_figure_has_a_dark_partner(groups):
    for panel in panels(groups).values():
        for _, plot in panel.figures:
            used = set(re.findall(r"#[0-9a-fA-F]{6}", figure_json(plot)))
            assert used <= set(dark_of_light()), panel.key


def test_the_verdict_counts_changes_and_is_red_only_for_the_worse():
    worse = context(of(past(30, step_at=20, step=1.2, seed=2)))
    better = context(of(past(30, step_at=20, step=0.8, seed=2)))
    flat = context(of(past(8, noise=0.0)))
    assert (worse["verdict"], worse["role"]) == ("1 change", "limit")
    assert (better["verdict"], better["role"]) == ("1 change", "good")
    assert (flat["verdict"], flat["role"]) == ("No changes", "good")
    few = context(of(past(4, noise=0.0)))
    assert (few["verdict"], few["role"]) == ("Too few runs to tell", "quiet")
    assert worse["why"] == "30 runs in 1 setting; 1 change for the worse."


def test_names_of_branches_and_commits_are_inert():
    evil = '</script><img src=x onerror="alert(1)">'
    page = render(of(past(8, step_at=4, step=2.0, branch=evil, commit=evil, host=evil)))
    assert "<img" not in page.split("<script>", 1)[0]
    assert "&lt;img" in page


def test_a_line_without_any_point_has_no_figure_and_says_so():
    (panel, *_) = context(of(past(3, verdict="invalid")))["groups"][0]["panels"]
    assert panel.figures == ()
    assert "P50: no data." in panel.answer or "p50: no data." in panel.answer


def test_hosts_are_told_where_they_differ():
    one, two = past(4), past(8, host="another")
    table = context(of(one, list(two)[4:]))["groups"][0]["runs"]
    assert {row[0][1] for row in table.rows} == {"another", "Linux, 2 cores, Python 3.11.7"}


def test_a_page_that_cannot_be_written_is_one_line(tmp_path, groups):
    with pytest.raises(UsageError, match="cannot be written"):
        write_history(groups, tmp_path / "no" / "page.html")
    write_history(groups, tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
