"""Durations and rates as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan.duration import Duration, Rate


@pytest.mark.parametrize(
    ("text", "ns"),
    [("0ms", 0), ("500ms", 500_000_000), ("1.5s", 1_500_000_000), ("2 m", 120 * 10**9),
     (" 1h ", 3600 * 10**9)],
)  # fmt: skip
def test_a_duration_is_nanoseconds(text, ns):
    assert Duration.parse(text) == ns


@pytest.mark.parametrize("text", ["", "5", "-1s", "s", "1 day", "1s 5ms", "1e3s", 5, None, True])
def test_what_has_no_unit_is_no_duration(text):
    with pytest.raises(ValueError, match="write it with its unit, as in '30s'"):
        Duration.parse(text)


@pytest.mark.parametrize(
    ("text", "hertz"), [("2/s", 2), ("0.5 / s", 0.5), ("90/m", 1.5), ("36/h", 0.01)]
)
def test_a_rate_is_per_second(text, hertz):
    assert Rate.parse(text) == pytest.approx(hertz)


@pytest.mark.parametrize("text", ["", "2", "2/d", "-2/s", "/s", 2])
def test_what_has_no_time_is_no_rate(text):
    with pytest.raises(ValueError, match="write it as in '2/s'"):
        Rate.parse(text)


def test_a_rate_of_nothing_is_refused():
    with pytest.raises(ValueError, match="above zero"):
        Rate.parse("0/s")


@given(st.integers(0, 10**6), st.sampled_from(["ms", "s", "m"]))
def test_whole_numbers_are_exact(number, unit):
    scale = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9}[unit]
    assert Duration.parse(f"{number}{unit}") == number * scale
