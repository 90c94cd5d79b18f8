import pytest

from bench.reference.server_load import Histogram, ServerLoad


def test_quantiles_are_upper_edges_of_10_us_and_the_maximum_is_exact():
    histogram = Histogram()
    for ms in range(1, 101):
        histogram.add(ms * 1_000_000 - 1)
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
    assert "it stood still once, for up to 200 ms, and 50 ms may be" in summary.line
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
