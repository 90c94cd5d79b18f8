"""`gauges.parquet`: what is written is read, and its figures are those of the measured phase."""

import math

import pandas as pd
import pytest

from bench.errors import RunFolderError
from bench.runs.folder import RunFolder, provenance
from bench.runs.gauges import (
    CPU_BUSY,
    Gauges,
    Readings,
    Series,
    gauge_figures,
    gauge_means,
    rates,
    read_gauges,
    unit_of,
    write_gauges,
)

S = 1_000_000_000
CPU, QUEUE = Series("process_cpu_seconds_total"), Series("queue")
PHASE = (10 * S, 14 * S)


def gauges(*, counters=(), **lines):
    """Gauges by name, a sample a second from 9 s on."""
    series = {
        Series(name): Readings([(9 + n) * S for n in range(len(values))], values)
        for name, values in lines.items()
    }
    return Gauges(series, frozenset(counters))


def figures(found):
    return {one.gauge: (one.mean, one.max, one.n) for one in gauge_figures(found, PHASE)}


@pytest.fixture
def folder(tmp_path):
    place = RunFolder.create(tmp_path / "run")
    place.write(
        {**provenance("x"), "plan": {"measured_from_ns": PHASE[0], "measured_to_ns": PHASE[1]}}
    )
    return place


def test_what_is_written_is_read(folder):
    told = Gauges(
        {CPU: Readings([1, 5], [0.5, 0.75]), Series("gpu", 'card="0"'): Readings([1], [3.0])},
        frozenset({CPU.name}),
    )
    write_gauges(folder, told)
    found = read_gauges(folder)
    assert found.counters == told.counters
    assert {one: (list(each.at_ns), list(each.levels)) for one, each in found.series.items()} == {
        CPU: ([1, 5], [0.5, 0.75]), Series("gpu", 'card="0"'): ([1], [3.0]),
    }  # fmt: skip
    table = pd.read_parquet(folder.gauges)
    assert list(table.columns) == ["at_ns", "name", "labels", "value"]
    assert list(table["labels"]) == ["", "", 'card="0"']


def test_nothing_seen_is_a_file_without_rows(folder):
    write_gauges(folder, Gauges({}, frozenset()))
    assert read_gauges(folder) == Gauges({}, frozenset())
    assert gauge_means(folder.path) == {}


def test_a_run_that_asked_no_server_has_no_gauges(folder):
    assert read_gauges(folder) is None
    assert gauge_means(folder.path) == {}


def test_a_file_that_is_none_is_named(folder):
    folder.gauges.write_bytes(b"no parquet")
    with pytest.raises(RunFolderError, match=r"^run/gauges\.parquet: cannot be read .* remove it"):
        read_gauges(folder)


def test_mean_and_max_are_over_the_measured_phase():
    # At 9 s and from 14 s on it is not measured.
    assert figures(gauges(queue=[99, 1, 2, 3, 6, 99, 99])) == {"queue": (3.0, 6, 4)}


def test_a_counter_is_a_rate_a_second_and_its_max_the_fastest_step():
    found = figures(gauges(counters=["c_total"], c_total=[0, 100, 101, 103, 109, 500]))
    assert found == {"c_total": (3.0, 6.0, 3)}


def test_a_lost_scrape_weighs_as_the_seconds_it_took():
    readings = Readings([10 * S, 11 * S, 13 * S + S // 2], [0.0, 1.0, 11.0])
    (one,) = gauge_figures(Gauges({CPU: readings}, frozenset({CPU.name})), PHASE)
    assert (one.mean, one.max, one.unit) == (pytest.approx(11 / 3.5), 4.0, "cores")


def test_a_counter_that_falls_has_begun_anew_at_zero():
    assert rates(Readings([0, S, 2 * S], [50.0, 51.0, 2.0])).levels == [1.0, 2.0]


def test_what_is_no_number_is_in_no_figure():
    assert figures(gauges(a=[0, math.nan, 2, math.inf, 4], b=[1, math.nan])) == {"a": (3.0, 4, 2)}


def test_a_counter_with_one_sample_has_no_rate():
    assert figures(gauges(counters=["c"], c=[1, 2])) == {}


def test_series_of_one_name_are_told_apart_by_their_labels():
    line = Readings([11 * S], [5.0])
    found = figures(
        Gauges({Series("g", 'x="1"'): line, Series("g", 'x="2"'): line, QUEUE: line}, frozenset())
    )
    assert list(found) == ['g{x="1"}', 'g{x="2"}', "queue"]
    assert list(figures(Gauges({Series("g", 'x="1"'): line}, frozenset()))) == ["g"]


def test_others_read_the_means_of_a_folder_by_name(folder):
    write_gauges(folder, gauges(counters=["c"], c=[0, 1, 2, 5], queue=[9, 1, 2]))
    assert gauge_means(folder.path) == {
        "c": {"mean": 2.0, "max": 3.0, "unit": "/s"}, "queue": {"mean": 1.5, "max": 2, "unit": ""},
    }  # fmt: skip
    assert gauge_means(folder.path, (9 * S, 11 * S))["queue"] == {
        "mean": 5.0, "max": 9, "unit": "",
    }  # fmt: skip


def test_a_run_whose_phase_is_not_known_counts_every_sample(folder):
    folder.update(plan={"measured_from_ns": None, "measured_to_ns": None})
    write_gauges(folder, gauges(queue=[9, 1, 2]))
    assert gauge_means(folder.path) == {"queue": {"mean": 4.0, "max": 9, "unit": ""}}


@pytest.mark.parametrize(
    ("name", "counter", "unit"),
    [("process_cpu_seconds_total", True, "cores"), (CPU_BUSY, True, "1"), ("x_total", True, "/s"),
     ("container_cpu_usage_seconds_total", True, "cores"), ("DCGM_FI_DEV_GPU_UTIL", False, "%"),
     ("vllm:kv_cache_usage_perc", False, "1"), ("process_resident_memory_bytes", False, "B"),
     ("bench_sessions_open", False, "")],
)  # fmt: skip
def test_a_name_says_its_unit(name, counter, unit):
    assert unit_of(name, counter=counter) == unit
