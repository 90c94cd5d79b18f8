from dataclasses import replace

import pytest

from bench.plan.metrics import METRICS
from bench.report.appendix import metric_tables, provenance
from bench.report.latency_panels import LATENCY
from bench.report.overview import (
    broken_rules,
    causes,
    gate_lines,
    headline_note,
    headlines,
    load_line,
    other_reasons,
    small_curve,
    validity,
    why,
)
from bench.report.page import render


def test_every_gate_is_a_line_in_the_order_given(runs):
    run = runs["whole"]
    assert [line.gate for line in gate_lines(run)] == [
        gate["gate"] for gate in run.verdict["gates"]
    ]


def test_a_gate_shows_value_interval_and_n_in_its_own_unit(runs):
    line = gate_lines(runs["whole"])[0]
    assert line.value.endswith("\u202fms")
    assert line.interval.startswith("[")
    assert line.n == str(runs["whole"].verdict["gates"][0]["n"])


def test_a_gates_picture_has_the_passing_side_of_its_operator(runs):
    below, _, above, unknown = gate_lines(runs["whole"])
    assert below.bullet.start == 0.0
    assert below.bullet.width == below.bullet.limit
    assert above.bullet.start == above.bullet.limit
    assert above.bullet.start + above.bullet.width == pytest.approx(100.0)
    assert unknown.bullet is None


@pytest.mark.parametrize(
    ("low", "high", "whole"),
    [(900, 1100, (False, False)), (900, None, (False, True)), (None, 1100, (True, False))],
)
def test_a_gates_picture_is_open_where_its_interval_is(runs, low, high, whole):
    gate = {"gate": "p95(first_audio_latency) < 2 s", "verdict": "inconclusive", "value": 1000}
    run = replace(runs["whole"], verdict={"gates": [{**gate, "low": low, "high": high, "n": 9}]})
    (line,) = gate_lines(run)
    assert (line.bullet.low == 0.0, line.bullet.high == 100.0) == whole
    assert line.bullet.low < line.bullet.value < line.bullet.high
    alone = replace(runs["whole"], verdict={"gates": [{**gate, "n": 9}]})
    bullet = gate_lines(alone)[0].bullet
    assert bullet.low == bullet.value == bullet.high


@pytest.mark.parametrize("verdict", [{"gate": "nonsense(", "verdict": "fail"}])
def test_a_gate_that_cannot_be_read_any_more_is_still_shown(runs, verdict):
    run = replace(runs["whole"], verdict={"gates": [verdict]})
    (line,) = gate_lines(run)
    assert (line.gate, line.value, line.bullet) == ("nonsense(", "no data", None)


def test_the_verdict_is_one_sentence(runs):
    assert why(runs["whole"]).startswith("p95(voice_to_voice_latency) is over the limit")
    assert why(runs["whole"]).endswith("and 2 more reasons.")
    assert why(runs["quiet"]) == "All 4 gates hold."


def test_reasons_that_the_gate_table_gives_are_not_repeated(runs):
    assert other_reasons(runs["whole"]) == []
    verdict = {"reasons": ["a", "b"], "gates": [{"reason": "a"}]}
    assert other_reasons(replace(runs["whole"], verdict=verdict)) == ["b"]


def test_a_broken_rule_has_its_time_and_remedy(runs):
    (rule,) = broken_rules(runs["invalid"])
    assert rule["when"] == "11\u202fs\u00a0…\u00a015\u202fs"
    assert "Use fewer sessions" in rule["remedy"]
    table = validity(runs["invalid"])
    assert table.tones == ["limit", ""]
    assert table.caption == "Validity: 1 of 2 rules kept"


def test_rules_are_told_in_sentences_and_one_worker_is_no_workers(runs):
    rule = {"rule": "workers", "ok": False, "value": 1, "bound": 2, "unit": "workers",
            "text": "one worker of 2 drained", "remedy": "look into its log"}  # fmt: skip
    run = replace(runs["whole"], verdict={"validity": [rule]})
    (row,) = validity(run).rows
    assert row[2:4] == ["1\u202fworker", "2\u202fworkers"]
    assert row[5] == "One worker of 2 drained. Remedy: look into its log"
    (broken,) = broken_rules(run)
    assert (broken["text"], broken["remedy"]) == ("One worker of 2 drained.", "Look into its log.")


def test_headlines_say_no_data_rather_than_nothing(runs):
    assert {headline.value for headline in headlines(runs["empty"])} == {"no data"}


def test_headlines_are_of_the_waits_that_have_samples(runs):
    names = [headline.name for headline in headlines(runs["written"])]
    assert names == ["First text, p50", "First text, p95", "Turns answered", "Good turns"]
    names = [headline.name for headline in headlines(runs["whole"])]
    assert names[::2] == ["Voice to voice, p50", "First audio, p50", "Turns answered"]


def test_faults_are_headlines_in_red_only_where_there_are_any(runs):
    found = {headline.name: headline for headline in headlines(runs["rich"])}
    faults = {"Protocol violations": "13", "Leaks": "1"}
    assert {name: found[name].value for name in faults} == faults
    assert {found[name].role for name in faults} == {"limit"}
    assert not {headline.name for headline in headlines(runs["whole"])} & set(faults)


def test_numbers_of_the_whole_run_are_not_called_measured_only(runs):
    assert headline_note(runs["whole"]) == "Measured phase only. Brackets are 95 % intervals."
    assert headline_note(runs["rich"]).startswith(
        "Measured phase only, but for what says whole run."
    )


def test_numbers_over_all_settings_of_a_sweep_say_so(runs, pages):
    said = "Over all 6 settings together; see “Which setting should you choose?”."
    assert headline_note(runs["rich"]).endswith(said)
    assert said in LATENCY(runs["rich"]).notes
    assert said in pages["rich"].split('id="numbers"')[1].split("</section>")[0]
    assert said not in pages["whole"]


def test_every_metric_of_the_bench_is_listed_once_with_its_definition(runs):
    listed = {}
    for table in metric_tables(runs["whole"]):
        for row in table.rows:
            name, about = row[0] if isinstance(row[0], tuple) else (row[0], row[1])
            listed[name] = about
    assert listed == {name: metric.about for name, metric in METRICS.items()}


def test_the_load_is_told_in_one_line(runs):
    assert load_line(runs["whole"]).startswith("20 sessions (20 asked for at once), 120 turns")


def test_provenance_tells_seeds_hashes_and_rows_but_no_path(runs):
    text = " ".join(
        str(cell) for table in provenance(runs["whole"]) for row in table.rows for cell in row
    )
    for part in ("seed of arrivals", "SHA-256 abab", "9\u202f000 written", "3.11.9"):
        assert part in text
    assert "/opt/py" not in text


def test_the_version_of_the_definitions_is_that_of_the_figures(runs):
    run = runs["whole"]
    again = replace(run, summary=run.summary | {"metric_version": 7})
    rows = {row[0]: row[1] for row in provenance(again)[0].rows}
    assert rows["definitions of metrics"] == "version 7"


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("p95(delta_gap) is 1929 ms [1838, …], 829 ms over the limit", "829 ms over the limit"),
        ("p95(delta_gap{turn>1}) is 12 ms, 8 ms under it", "8 ms under it"),
        ("there is no baseline", "there is no baseline"),
    ],
)
def test_why_a_gate_failed_does_not_repeat_the_columns_beside_it(runs, reason, shown):
    gate = {"gate": "p95(delta_gap) < 1 s", "verdict": "fail", "reason": reason}
    (line,) = gate_lines(replace(runs["whole"], verdict={"gates": [gate]}))
    assert line.reason == shown


def test_what_sessions_failed_of_stands_in_the_head_unless_it_is_the_first_reason(runs):
    told = [{"text": "12 of 15 sessions refused (HTTP 429)"}, {"text": "3 turns timed out"}]
    verdict = {"reasons": ["3 turns timed out"], "causes": told}
    run = replace(runs["whole"], verdict=runs["whole"].verdict | verdict)
    assert causes(run) == ["12 of 15 sessions refused (HTTP 429)."]
    assert "12 of 15 sessions refused (HTTP 429)." in render(run).split("</header>")[0]


def test_the_small_curve_ends_at_the_share_that_was_answered(runs):
    run = runs["whole"]
    small = small_curve(run)
    heights = [float(point.split(",")[1]) for point in small.points.split()]
    answered = run.counted[run.wait].notna().mean()
    assert heights[0] == 40
    assert heights[-1] == pytest.approx(40 * (1 - answered), abs=0.1)
    rise = next(x for x, y in (point.split(",") for point in small.points.split()) if y != "40.0")
    assert float(rise) < 25  # what is empty before the fastest answer is cropped
    assert small_curve(runs["empty"]) is None
