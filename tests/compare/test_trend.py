from itertools import chain

import pytest

from bench.compare.trend import groups, name_of, silence, size, with_changes, worse
from bench.plan.metrics import VERSION
from tests.past import figure, past


def of(*pasts):
    """The groups of some pasts, as a history would show them."""
    records = sorted(chain(*pasts), key=lambda record: (record.entry.created, record.entry.key))
    every = [one for record in records for one in record.figures]
    return with_changes(groups([record.entry for record in records], every))


def line_of(group, metric="first_audio_latency", statistic="p50"):
    return next(
        line for line in group.lines if (line.metric, line.statistic) == (metric, statistic)
    )


@pytest.mark.parametrize(
    "other",
    [
        {"workload": "b2" * 32},
        {"corpus_sha256": "f0" * 32},
        {"target": "inworld"},
        {"dialect": "openai"},
        {"concurrency": "50 sessions"},
        {"branch": "side"},
        {"metric_version": VERSION + 1},
    ],
    ids=lambda other: next(iter(other)),
)
def test_runs_that_differ_in_what_they_must_share_are_never_of_one_line(other):
    found = of(past(10), past(10, step_at=0, step=2.0, **other))
    assert len(found) == 2
    assert all(len(line.points) == 10 for group in found for line in group.lines)
    assert not any(line.changes for group in found for line in group.lines)
    assert name_of(found[0], found) != name_of(found[1], found)


def test_runs_that_differ_in_what_may_differ_are_of_one_line():
    found = of(
        past(5),
        past(5, bench_version="0.2.0", scenario_sha256="6d" * 32, host="another"),
    )
    assert len(found) == 1
    assert len(line_of(found[0]).points) == 10


def test_a_step_is_found_in_every_latency_and_in_no_share():
    (group,) = of(past(30, step_at=20, step=1.2, seed=2))
    for line in group.lines:
        expected = [] if line.metric == "answered" else [20]
        assert [change.at for change in line.changes] == expected, line.metric


def test_all_lines_that_are_told_together_correct_each_other():
    alone = line_of(of(past(20, step_at=14, step=1.12))[0]).changes[0]
    others = [past(20, branch=f"side-{number}", seed=number) for number in range(2, 12)]
    found = of(past(20, step_at=14, step=1.12), *others)
    main = next(group for group in found if group.setting.branch == "main")
    assert sum(len(group.lines) for group in found) == 77
    assert line_of(main).changes[0].p > 10 * alone.p


def test_an_invalid_run_is_kept_beside_its_line_and_is_no_point_of_it():
    records = list(past(12))
    records[5] = records[5]._replace(entry=records[5].entry._replace(verdict="invalid"))
    (group,) = of(records)
    assert len(group.entries) == 12
    for line in group.lines:
        assert len(line.points) == 11
        assert line.aside == [(records[5].entry, "invalid")]


def test_a_quantile_beyond_every_wait_and_one_without_data_are_told_apart():
    records = list(past(3))
    lost = records[0].entry
    records[0] = records[0]._replace(
        figures=[figure(lost, "first_audio_latency", "p50", None), *records[0].figures[4:]]
    )
    (group,) = of(records)
    assert line_of(group).aside == [(lost, "not reached: too many turns timed out")]
    assert line_of(group, statistic="p95").aside == [(lost, "no data")]


def test_what_is_better_decides_what_is_worse():
    (slow,) = of(past(20, step_at=10, step=1.3))
    (quick,) = of(past(20, step_at=10, step=0.7))
    assert worse(line_of(slow), line_of(slow).changes[0])
    assert not worse(line_of(quick), line_of(quick).changes[0])
    good, bad = past(10, answered=99.0), past(20, answered=90.0)
    (group,) = of(good, list(bad)[10:])
    line = line_of(group, "answered", "share")
    (change,) = line.changes
    assert worse(line, change)
    assert size(line, change) == (pytest.approx(-9.0), "points")


def test_a_change_of_a_latency_is_in_percent_of_what_was():
    (group,) = of(past(30, step_at=15, step=1.5, noise=0.0))
    line = line_of(group)
    (change,) = line.changes
    assert size(line, change) == (pytest.approx(50.0), "%")


def test_a_line_that_is_too_short_says_how_many_runs_it_lacks():
    (group,) = of(past(4))
    assert silence(line_of(group)) == "2 more runs before a change can be told"
    (group,) = of(past(6))
    assert silence(line_of(group)) == ""


def test_the_setting_with_the_latest_run_comes_first_and_lines_are_in_the_order_of_metrics():
    found = of(past(30), past(5, branch="side"))
    assert [group.setting.branch for group in found] == ["main", "side"]
    assert [(line.metric, line.statistic) for line in found[0].lines] == [
        ("voice_to_voice_latency", "p50"),
        ("voice_to_voice_latency", "p95"),
        ("first_audio_latency", "p50"),
        ("first_audio_latency", "p95"),
        ("endpointing_delay", "p50"),
        ("endpointing_delay", "p95"),
        ("answered", "share"),
    ]
