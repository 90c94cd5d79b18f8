"""When sessions start and leave: absolute, seeded, known before the run."""

from itertools import pairwise
from statistics import mean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from bench.plan.arrivals import Slot, schedule
from bench.plan.duration import Duration, Rate
from bench.plan.scenario import Load, Stage

SECOND = 10**9
KINDS = dict.fromkeys(("warmup", "duration", "cooldown", "length", "over", "period"), Duration)


def struct(kind, words):
    kinds = {**KINDS, "rate": Rate}
    return kind(**{k: kinds[k].parse(v) if k in kinds else v for k, v in words.items()})


def load(*stages, **words):
    made = [struct(Stage, stage) for stage in stages]
    if made:
        length = sum(stage.length for stage in made)
        words = {"duration": f"{length / SECOND:g}s", **words}
    return struct(Load, {**words, "stages": tuple(made)})


def starts(spec, seed=1, **more):
    return [slot.start_ns for slot in schedule(spec, seed, **more)]


def held(slots, at_ns):
    """How many slots are there at an instant."""
    return sum(s.start_ns <= at_ns and (s.leave_ns is None or at_ns < s.leave_ns) for s in slots)


def test_a_closed_load_spreads_its_sessions_evenly_over_the_warm_up():
    assert starts(load(sessions=4, warmup="2s")) == [0, SECOND // 2, SECOND, 3 * SECOND // 2]
    assert starts(load(sessions=3, warmup="0s")) == [0, 0, 0]
    assert {slot.leave_ns for slot in schedule(load(sessions=3), 1)} == {None}


def test_a_uniform_load_is_as_regular_as_a_clock():
    found = starts(load(arrivals="uniform", rate="2/s", warmup="1s", duration="2s"))
    assert found == [n * SECOND // 2 for n in range(6)]


@pytest.mark.parametrize("kind", ["poisson", "gamma"])
@given(seed=st.integers(0, 10**6))
def test_a_random_load_is_ascending_within_the_run_and_the_same_for_its_seed(kind, seed):
    spec = load(arrivals=kind, rate="5/s", warmup="2s", duration="7s", cooldown="1s")
    found = starts(spec, seed)
    assert found == sorted(found) == starts(spec, seed)
    assert all(0 <= at < 10 * SECOND for at in found)


@pytest.mark.parametrize(
    ("words", "spread"),
    [
        ({"arrivals": "poisson"}, 1.0),
        ({"arrivals": "gamma"}, 1.0),
        ({"arrivals": "gamma", "burstiness": 0.25}, 2.0),
        ({"arrivals": "gamma", "burstiness": 16.0}, 0.25),
    ],
)
def test_a_random_load_has_its_rate_and_the_spread_of_its_kind(words, spread):
    """Gaps of a gamma distribution of shape k spread by 1/√k of their mean."""
    spec = load(rate="20/s", warmup="0s", duration="500s", **words)
    found = starts(spec, 7)
    assert len(found) == pytest.approx(10_000, rel=0.05)
    gaps = [after - before for before, after in pairwise(found)]
    assert pstdev(gaps) / mean(gaps) == pytest.approx(spread, rel=0.06)


def test_another_seed_is_another_schedule():
    spec = load(arrivals="poisson", rate="5/s")
    assert starts(spec, 1) != starts(spec, 2)


# ── stages ───────────────────────────────────────────────────────────────────────────────────────


def test_a_closed_load_goes_up_and_down_and_up_again():
    """A spike, and what comes back after it is a caller of its own."""
    spec = load(
        {"sessions": 2, "length": "10s"}, {"sessions": 5, "length": "5s"},
        {"sessions": 1, "length": "5s"}, {"sessions": 3, "length": "10s"}, warmup="4s",
    )  # fmt: skip
    slots = schedule(spec, 1)
    assert [slot.start_ns / SECOND for slot in slots] == [0, 2, 14, 14, 14, 24, 24]
    assert [held(slots, at * SECOND) for at in (4, 13, 14, 18, 19, 23, 24, 33)] == [
        2, 2, 5, 5, 1, 1, 3, 3,
    ]  # fmt: skip


def test_a_ramp_adds_and_takes_its_sessions_evenly_over_its_length():
    spec = load(
        {"sessions": 1, "length": "1s"}, {"sessions": 5, "length": "8s", "over": "8s"},
        {"sessions": 1, "length": "8s", "over": "4s"}, warmup="0s",
    )  # fmt: skip
    slots = schedule(spec, 1)
    assert [slot.start_ns / SECOND for slot in slots] == [0, 1, 3, 5, 7]
    assert [slot.leave_ns and slot.leave_ns / SECOND for slot in slots] == [None, 13, 12, 11, 10]


def test_a_sine_swings_around_its_level():
    spec = load({"sessions": 10, "length": "40s", "swing": 0.5, "period": "20s"}, warmup="0s")
    slots = schedule(spec, 1)
    quarters = [held(slots, n * 5 * SECOND) for n in range(8)]
    assert quarters == [10, 15, 10, 5, 10, 15, 10, 5]


def test_a_sine_begins_at_its_level_when_that_is_reached():
    spec = load(
        {"sessions": 2, "length": "1s"},
        {"sessions": 10, "length": "45s", "over": "5s", "swing": 0.5, "period": "20s"}, warmup="0s",
    )  # fmt: skip
    slots = schedule(spec, 1)
    assert [held(slots, (6 + n * 5) * SECOND) for n in range(5)] == [10, 15, 10, 5, 10]


def test_a_week_is_planned_in_no_time():
    """A stage is followed more coarsely the longer it is: else a week were sixty million steps."""
    spec = load({"rate": "1/h", "length": "160h", "swing": 1.0, "period": "24h"},
                arrivals="poisson", rate="2/h", warmup="0s")  # fmt: skip
    assert 100 < len(schedule(spec, 1)) < 220


@pytest.mark.parametrize("kind", ["uniform", "poisson", "gamma"])
def test_an_open_load_follows_the_rates_of_its_stages(kind):
    """Starts in each part are those that the area under the rate says."""
    spec = load(
        {"rate": "10/s", "length": "100s"},
        {"rate": "40/s", "length": "100s", "over": "100s"},
        {"rate": "20/s", "length": "100s", "swing": 1.0, "period": "100s"},
        warmup="50s", cooldown="10s", arrivals=kind, rate="40/s",
    )  # fmt: skip
    found = starts(spec, 3)
    edges = (0, 50, 150, 250, 300, 350, 360)
    counts = [sum(begin <= at / SECOND < end for at in found) for begin, end in pairwise(edges)]
    half = 1000 + 20 * 100 / 3.141593  # of a sine the upper half
    expected = [500, 1000, 2500, half, 2000 - half, 200]
    for count, mean_count in zip(counts, expected, strict=True):
        off = 1.5 if kind == "uniform" else 4 * mean_count**0.5
        assert count == pytest.approx(mean_count, abs=off)


def test_random_starts_under_a_ramp_are_a_poisson_process_of_its_rate():
    """Where the rate rises from 0.01 to 20 a second the square root of an instant is uniform."""
    spec = load(
        {"rate": "0.01/s", "length": "1s"}, {"rate": "20/s", "length": "200s", "over": "200s"},
        warmup="0s", arrivals="poisson", rate="20/s",
    )  # fmt: skip
    at = [start / SECOND - 1 for start in starts(spec, 5) if start > SECOND]
    assert kstest([(x / 200) ** 2 for x in at], "uniform").pvalue > 0.01


@given(
    st.lists(
        st.tuples(st.integers(1, 30), st.integers(1, 20), st.floats(0, 0.9), st.booleans()),
        min_size=1, max_size=6,
    )
)  # fmt: skip
def test_at_the_end_of_every_stage_as_many_are_held_as_it_says(stages):
    made = [
        {
            "sessions": n, "length": f"{s}s", "over": f"{round(1000 * s * part)}ms",
            **({"swing": 0.4, "period": f"{1000 * s}ms"} if sine and part < 0.5 else {}),
        }
        for n, s, part, sine in stages
    ]  # fmt: skip
    slots = schedule(load(*made, warmup="3s"), 1)
    assert [slot.start_ns for slot in slots] == sorted(slot.start_ns for slot in slots)
    assert all(slot.leave_ns is None or slot.leave_ns >= slot.start_ns for slot in slots)
    at = 3 * SECOND
    for stage, (n, s, _, _) in zip(made, stages, strict=True):
        at += s * SECOND
        if "swing" not in stage:
            assert held(slots, at - 1) == n


# ── a trace ──────────────────────────────────────────────────────────────────────────────────────


def test_a_trace_is_played_as_far_as_the_run_goes():
    trace = [Slot(0, 5 * SECOND), Slot(3 * SECOND), Slot(40 * SECOND)]
    spec = load(arrivals="trace", trace="calls.csv", warmup="0s", duration="30s")
    assert schedule(spec, 1, trace) == trace[:2]
