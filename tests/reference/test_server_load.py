"""What a server says of its own load: whether it kept up, and what its metrics endpoint shows."""

import time
from unittest import mock

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bench.reference.profile import CapacityProfile
from bench.reference.server_load import Histogram, ServerLoad, metrics_text
from bench.reference.server_state import Capacity
from bench.runs.prometheus_text import default_choice, read_exposition
from bench.voice.audio import ms


def test_quantiles_are_upper_edges_of_10_us_and_the_maximum_is_exact():
    histogram = Histogram()
    for length in range(1, 101):
        histogram.add(ms(length) - 1)
    assert histogram.quantile_ms(0.5) == 50.0
    assert histogram.quantile_ms(0.99) == 99.0
    assert histogram.quantile_ms(1.0) == pytest.approx(100.0)
    histogram.add(5_000_000_000)
    assert histogram.quantile_ms(1.0) == 5000.0


def test_no_data_is_zero_and_early_is_not_late():
    histogram = Histogram()
    assert histogram.quantile_ms(0.99) == 0.0
    histogram.add(-5)
    assert histogram.quantile_ms(0.99) == 0.0


def test_a_server_that_kept_up_says_so():
    load = ServerLoad()
    load.late.add(1_000_000)
    load.watch(100, 1000, open_sessions=1)
    load.watch(1000, 1000, open_sessions=0)
    summary = load.summary()
    assert (summary.bottleneck, summary.reason, summary.cpu_share) == (False, "", 0.1)
    assert "kept up" in summary.line


def kept_up(load):
    """A minute of a loop that kept up, probed every 20 ms."""
    for _ in range(3000):
        load.lagged(200_000, open_sessions=5)


def test_a_single_stall_that_no_quantile_shows_is_noticed_and_its_length_said():
    load = ServerLoad()
    kept_up(load)
    assert not load.summary().bottleneck
    load.lagged(200_000_000, open_sessions=5)
    summary = load.summary()
    assert summary.loop_lag_p99_ms < 1
    assert (summary.stalls, summary.loop_lag_max_ms) == (1, 200.0)
    assert summary.bottleneck
    assert "its loop stood still once, for up to 200 ms; at most 50 ms is allowed" in summary.line
    load.lagged(90_000_000, open_sessions=5)
    assert "stood still 2 times, for up to 200 ms" in load.summary().reason


def test_what_no_session_could_feel_and_what_is_short_is_no_stall():
    load = ServerLoad()
    kept_up(load)
    load.lagged(900_000_000, open_sessions=0)
    load.lagged(50_000_000, open_sessions=1)
    assert (load.summary().stalls, load.summary().loop_lag_max_ms) == (0, 50.0)
    assert not load.summary().bottleneck


@pytest.mark.parametrize(
    ("strain", "word"),
    [
        (lambda load: load.late.add(11_000_000), "late p99"),
        (lambda load: load.lag.add(21_000_000), "loop lag"),
        (lambda load: load.watch(95, 100, open_sessions=3), "CPU"),
    ],
)
def test_each_bound_passed_makes_it_the_bottleneck_and_is_named(strain, word):
    load = ServerLoad()
    strain(load)
    assert load.summary().bottleneck
    assert word in load.summary().reason
    assert "was the bottleneck" in load.summary().line


# ── the metrics endpoint ─────────────────────────────────────────────────────────────────────


class Endpoint:
    """A server's capacity and load under a clock that a test sets."""

    def __init__(self, **profile):
        self.now_ns = 0
        self.capacity = Capacity(CapacityProfile(**profile))
        self.load = ServerLoad()
        self.text = metrics_text(self.capacity, self.load, lambda: self.now_ns)

    def values(self):
        families = text_string_to_metric_families(self.text().decode())
        return {sample.name: sample.value for family in families for sample in family.samples}

    def of(self, *names):
        values = self.values()
        return tuple(values[f"bench_{name}"] for name in names)


def test_each_gauge_follows_what_it_is_about():
    server = Endpoint(slots=2, collapse_sessions=2, recover_sessions=1)
    names = ("slots", "sessions_open", "responses_running", "responses_waiting", "collapsed")
    assert server.of(*names) == (2, 0, 0, 0, 0)
    for _ in range(3):
        server.capacity.enter()
        server.capacity.begin(0, ms(1000))
    assert server.of(*names) == (2, 3, 2, 1, 1)
    server.now_ns = ms(1000)
    server.capacity.leave()
    assert server.of(*names) == (2, 2, 1, 0, 1)
    server.now_ns = ms(2000)
    server.capacity.leave()
    assert server.of(*names) == (2, 1, 0, 0, 0)


def test_refusals_and_cpu_are_counters_and_the_rest_are_gauges():
    server = Endpoint()
    server.load.refused = 3
    families = list(text_string_to_metric_families(server.text().decode()))
    counters = {family.name for family in families if family.type == "counter"}
    assert counters == {"bench_sessions_refused", "process_cpu_seconds"}
    assert {family.type for family in families} == {"counter", "gauge"}
    assert all(family.documentation for family in families)
    assert server.of("sessions_refused_total") == (3,)


def test_the_process_is_this_one():
    server, before = Endpoint(), time.process_time()
    values = server.values()
    assert before <= values["process_cpu_seconds_total"] <= time.process_time()
    assert 5e6 < values["process_resident_memory_bytes"] < 1e11


def test_a_run_that_is_told_no_gauge_watches_these():
    found = default_choice(read_exposition(Endpoint(slots=1).text().decode()))
    assert {selector.name for selector in found.selectors} >= {
        "bench_sessions_open", "bench_slots", "bench_responses_running",
        "bench_responses_waiting", "process_cpu_seconds_total", "process_resident_memory_bytes",
    }  # fmt: skip


@pytest.mark.parametrize("waiting", [0, 1000])
def test_a_scrape_takes_less_than_a_millisecond(waiting):
    server = Endpoint(slots=1000)
    for _ in range(1000 + waiting):
        server.capacity.begin(0, ms(1000))
    took = []
    for _ in range(50):
        begun = time.perf_counter()
        server.text()
        took.append(time.perf_counter() - begun)
    # The best of many: what the machine does beside it is not the scrape's.
    assert min(took) < 0.001


def test_a_scrape_does_not_look_at_every_open_file():
    server = Endpoint()
    with mock.patch("os.listdir", pytest.fail), mock.patch("os.scandir", pytest.fail):
        assert server.text()
