"""OpenMetrics text, read by the parser of Prometheus' own Python client."""

from datetime import datetime

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from bench.compare.trend_export import openmetrics
from tests.compare.test_trend import of
from tests.past import figure, past


def parsed(*pasts):
    return {
        family.name: family for family in text_string_to_metric_families(openmetrics(of(*pasts)))
    }


def test_every_valid_run_is_a_sample_in_base_units_at_its_time():
    records = list(past(5))
    records[2] = records[2]._replace(entry=records[2].entry._replace(verdict="invalid"))
    family = parsed(records)["bench_first_audio_latency_seconds"]
    assert (family.type, family.unit) == ("gauge", "seconds")
    assert "first audio delta" in family.documentation
    found = [sample for sample in family.samples if sample.labels["statistic"] == "p95"]
    kept = [record for at, record in enumerate(records) if at != 2]
    assert [float(sample.timestamp) for sample in found] == [
        datetime.fromisoformat(record.entry.created).timestamp() for record in kept
    ]
    assert [sample.value for sample in found] == [
        pytest.approx(record.figures[3].value / 1000) for record in kept
    ]


def test_shares_are_ratios_and_intervals_are_gauges_of_their_own():
    found = parsed(past(2))
    assert found["bench_answered_ratio"].samples[0].value == pytest.approx(0.99)
    assert found["bench_answered_low_ratio"].samples[0].value == pytest.approx(0.975)
    assert found["bench_answered_high_ratio"].samples[0].value == pytest.approx(1.0)


def test_lines_that_must_not_be_joined_differ_in_their_labels():
    found = parsed(past(3), past(3, branch="side"), past(3, workload="0b" * 32))
    samples = found["bench_first_audio_latency_seconds"].samples
    lines = {tuple(sorted(sample.labels.items())) for sample in samples}
    assert len(lines) == 3 * 2
    assert len(samples) == 3 * 2 * 3


def test_what_each_run_was_is_an_info_metric_invalid_ones_too():
    records = list(past(3))
    records[0] = records[0]._replace(entry=records[0].entry._replace(verdict="invalid"))
    info = parsed(records)["bench_run"]
    assert info.type == "info"
    assert [sample.labels["verdict"] for sample in info.samples] == ["invalid", "pass", "pass"]
    assert [sample.labels["commit"] for sample in info.samples] == [
        record.entry.commit for record in records
    ]


def test_no_name_can_break_out_of_its_label():
    evil = 'main",x="y\\\n# EOF'
    found = parsed(past(2, branch=evil))
    labels = found["bench_first_audio_latency_seconds"].samples[0].labels
    assert labels["branch"] == evil
    assert "x" not in labels


def test_runs_of_the_same_second_are_one_sample():
    records = [*past(1, bench_version="0.1.0"), *past(1, bench_version="0.2.0")]
    text = openmetrics(of(records))
    assert text.count("\nbench_first_audio_latency_seconds{") == 2  # p50 and p95, once each
    assert text.count("\nbench_run_info{") == 2


def test_counts_have_no_unit_and_rates_have_theirs():
    records = list(past(1))
    of_run = records[0].entry
    records[0] = records[0]._replace(
        figures=[
            figure(of_run, "errors", "count", 3.0, low=None, high=None),
            figure(of_run, "errors", "rate", 0.1, low=None, high=None, unit="/s"),
        ]
    )
    found = parsed(records)
    assert found["bench_errors"].samples[0].value == 3.0
    assert found["bench_errors_per_second"].samples[0].value == 0.1
    assert not any(name.endswith(("_low", "_high")) for name in found)


def test_the_text_ends_with_eof_even_where_there_is_nothing():
    assert openmetrics([]).endswith("# EOF\n")
    assert openmetrics(of(past(2))).count("# EOF") == 1
