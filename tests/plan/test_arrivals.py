"""When sessions start: absolute, seeded, known before the run."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plan.arrivals import arrivals
from bench.plan.duration import Duration, Rate
from bench.plan.scenario import Load

SECOND = 10**9


def load(**words):
    kinds = {"warmup": Duration, "duration": Duration, "rate": Rate}
    return Load(**{k: kinds[k].parse(v) if k in kinds else v for k, v in words.items()})


def test_a_closed_load_spreads_its_sessions_evenly_over_the_warm_up():
    assert arrivals(load(sessions=4, warmup="2s"), 1) == [0, SECOND // 2, SECOND, 3 * SECOND // 2]
    assert arrivals(load(sessions=3, warmup="0s"), 1) == [0, 0, 0]


def test_a_uniform_load_is_as_regular_as_a_clock():
    found = arrivals(load(arrivals="uniform", rate="2/s", warmup="1s", duration="2s"), 1)
    assert found == [n * SECOND // 2 for n in range(6)]


@given(st.integers(0, 10**6))
def test_a_poisson_load_is_ascending_within_the_run_and_the_same_for_its_seed(seed):
    spec = load(arrivals="poisson", rate="5/s", warmup="2s", duration="8s")
    found = arrivals(spec, seed)
    assert found == sorted(found) == arrivals(spec, seed)
    assert all(0 < at < 10 * SECOND for at in found)


def test_a_poisson_load_has_its_rate_and_the_spread_of_chance():
    spec = load(arrivals="poisson", rate="20/s", warmup="0s", duration="500s")
    found = arrivals(spec, 7)
    assert len(found) == pytest.approx(10_000, rel=0.03)
    gaps = [after - before for before, after in pairwise(found)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert spread / mean == pytest.approx(1, abs=0.05)  # a regular load would have 0


def test_another_seed_is_another_schedule():
    spec = load(arrivals="poisson", rate="5/s")
    assert arrivals(spec, 1) != arrivals(spec, 2)
