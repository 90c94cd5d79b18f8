"""Each format by the rules of who reads it; where a rule is from is said above each test."""

import csv
import io
import json
import re
from datetime import datetime

import pytest

from bench.compare.trend_export import FORMATS, left_out
from tests.compare.test_trend import of
from tests.past import figure, past

INVALID_LAST = 29


def records(**facts):
    """Thirty runs; the last is invalid, and none of it may be exported."""
    made = list(past(30, step_at=20, **facts))
    last = made[INVALID_LAST]
    made[INVALID_LAST] = last._replace(entry=last.entry._replace(verdict="invalid"))
    return made


def value_of(record, metric, statistic):
    return next(
        one.value for one in record.figures if (one.metric, one.statistic) == (metric, statistic)
    )


# github-action-benchmark: README, "Custom benchmark result": a JSON array of objects with name
# (text), unit (text) and value (number), and optionally range and extra (text). Its
# extractRangeInfo.ts reads a range as `(+-|±)\s*number`. One file has one direction.


@pytest.mark.parametrize("asked", ["github-action-benchmark", "github-action-benchmark-bigger"])
def test_github_action_benchmark_is_a_list_of_named_numbers(asked):
    rows = json.loads(FORMATS[asked](of(records())))
    assert rows
    for row in rows:
        assert {"name", "unit", "value"} <= set(row) <= {"name", "unit", "value", "range", "extra"}
        assert all(isinstance(row[key], str) for key in set(row) - {"value"})
        assert isinstance(row["value"], float)
        matched = re.match(r"(\+-|±)\s*(\d.+)", row["range"])
        assert float(matched[2]) > 0
    assert len({row["name"] for row in rows}) == len(rows)


def test_a_file_of_github_action_benchmark_has_one_direction():
    groups = of(records())
    small = json.loads(FORMATS["github-action-benchmark"](groups))
    big = json.loads(FORMATS["github-action-benchmark-bigger"](groups))
    assert [row["name"].rpartition(" ")[2] for row in big] == ["share(answered)"]
    assert not any("answered" in row["name"] for row in small)
    stale = f"the latest run at {records()[29].entry.commit[:10]}, which was invalid: "
    stale += "these figures are of 2026-09-29 09:00"  # and not to be booked as of the latest
    assert left_out(groups, "github-action-benchmark") == [
        stale,
        "1 figure of the other direction: --format github-action-benchmark-bigger",
    ]
    assert left_out(groups, "github-action-benchmark-bigger") == [
        stale,
        "6 figures of the other direction: --format github-action-benchmark",
    ]


def test_github_action_benchmark_gets_the_latest_valid_run_and_what_it_was():
    made = records()
    rows = json.loads(FORMATS["github-action-benchmark"](of(made)))
    row = next(row for row in rows if row["name"].endswith(" p95(first_audio_latency)"))
    assert (
        row["name"] == "demo against reference, 20 sessions, branch main p95(first_audio_latency)"
    )
    assert row["value"] == value_of(made[28], "first_audio_latency", "p95")
    assert row["unit"] == "ms"
    assert f"commit: {made[28].entry.commit}" in row["extra"]
    assert "n: 200" in row["extra"]


# Bencher: https://bencher.dev/bmf.json (JSON schema): {name: {name: {value, lower_value?,
# upper_value?}}}, all numbers; the reference bounds names of measures at 64 letters and of
# benchmarks at 1024.


def test_bmf_follows_its_schema():
    groups = of(records())
    report = json.loads(FORMATS["bmf"](groups))
    assert report
    for benchmark, measures in report.items():
        assert 0 < len(benchmark) <= 1024
        assert measures
        for measure, metric in measures.items():
            assert 0 < len(measure) <= 64
            assert "value" in metric
            assert set(metric) <= {"value", "lower_value", "upper_value"}
            assert all(type(number) is float for number in metric.values())
            assert metric["lower_value"] <= metric["value"] <= metric["upper_value"]
    assert [said[:14] for said in left_out(groups, "bmf")] == ["the latest run"]
    assert left_out(of(records()[:INVALID_LAST]), "bmf") == []
    assert left_out(of(past(3, verdict="invalid")), "bmf")[0].endswith("no other is valid")


def test_bmf_has_the_latest_valid_run_by_metric_and_statistic():
    made = records()
    report = json.loads(FORMATS["bmf"](of(made)))
    found = report["demo against reference, 20 sessions, branch main endpointing_delay"]
    assert set(found) == {"p50 (ms)", "p95 (ms)"}
    assert found["p50 (ms)"]["value"] == value_of(made[28], "endpointing_delay", "p50")


def test_an_open_interval_has_one_end_in_bmf_and_none_elsewhere():
    made = list(past(3))
    of_last = made[2].entry
    open_end = figure(of_last, "first_audio_latency", "p95", 1100.0, high=None)
    made[2] = made[2]._replace(figures=[open_end])
    groups = of(made)
    (measures,) = json.loads(FORMATS["bmf"](groups)).values()
    assert measures == {"p95 (ms)": {"value": 1100.0, "lower_value": 1078.0}}
    (row,) = json.loads(FORMATS["github-action-benchmark"](groups))
    assert "range" not in row
    assert "95 % interval: [1078, ∞]" in row["extra"]


# Otava: importer.py, CsvImporter: a header, rows no shorter than it, a time column that a date
# parser reads, metric cells that `float` reads (an empty one is an error), one branch a file.


def test_otava_csv_is_read_by_the_rules_of_its_importer():
    made = records()
    header, *rows = csv.reader(io.StringIO(FORMATS["otava"](of(made))))
    assert header[:6] == ["time", "commit", "branch", "target", "bench_version", "run"]
    assert len(set(header)) == len(header)
    assert len(rows) == 29
    times = []
    for row in rows:
        assert len(row) == len(header)
        times.append(datetime.fromisoformat(row[0]))
        assert all(float(cell) > 0 for cell in row[6:])
    assert times == sorted(times)
    assert {row[2] for row in rows} == {"main"}
    column = header.index("first_audio_latency_p95")
    assert [float(row[column]) for row in rows] == [
        value_of(record, "first_audio_latency", "p95") for record in made[:29]
    ]


def test_otava_has_no_empty_cell_a_rare_figure_goes_and_so_does_a_run_with_a_gap():
    made = records()
    made[3] = made[3]._replace(figures=made[3].figures[1:])
    rare = figure(made[4].entry, "stale_audio", "p50", 12.0)
    made[4] = made[4]._replace(figures=[*made[4].figures, rare])
    groups = of(made)
    header, *rows = csv.reader(io.StringIO(FORMATS["otava"](groups)))
    assert "voice_to_voice_latency_p50" in header
    assert "stale_audio_p50" not in header
    assert made[3].entry.key not in {row[5] for row in rows}
    assert len(rows) == 28
    assert left_out(groups, "otava") == [
        "figures that most runs lack: stale_audio_p50",
        "1 run without a figure that most have",
    ]


def test_otava_gets_the_setting_with_the_latest_run_and_the_others_are_named():
    groups = of(past(5), past(3, branch="side"))
    _, *rows = csv.reader(io.StringIO(FORMATS["otava"](groups)))
    assert [row[2] for row in rows] == ["main"] * 5
    assert left_out(groups, "otava") == [
        "runs of other lines: demo against reference, 20 sessions, branch side"
    ]


def test_trackers_that_book_a_commit_get_what_was_run_at_it_and_nothing_older():
    today, old = past(3, scenario="calls"), past(2, scenario="old")
    groups = of(past(3), today, old)  # a day has one commit in this past
    for asked in ("github-action-benchmark", "bmf"):
        text = FORMATS[asked](groups)
        assert "demo against" in text
        assert "calls against" in text
        assert "old against" not in text
        assert "runs of other lines: old against reference, 20 sessions, branch main" in left_out(
            groups, asked
        )


def test_without_a_commit_the_latest_run_stands_alone():
    groups = of(past(3, commit=""), past(2, scenario="old", commit=""))
    assert "old against" not in FORMATS["bmf"](groups)


def test_settings_that_must_not_be_joined_have_names_of_their_own():
    groups = of(past(3), past(3, branch="side"), past(3, workload="0b" * 32))
    rows = json.loads(FORMATS["github-action-benchmark"](groups))
    assert len({row["name"] for row in rows}) == len(rows) == 18
    assert len(json.loads(FORMATS["bmf"](groups))) == 12


@pytest.mark.parametrize("asked", FORMATS)
def test_a_history_of_invalid_runs_alone_exports_no_figure(asked):
    text = FORMATS[asked](of(past(3, verdict="invalid")))
    assert not re.search(r"\d\.\d{3}", text)
    assert "statistic=" not in text
