"""How a search of `bench capacity` goes on, ends, and refuses to begin, in virtual time."""

import json
from itertools import count
from unittest import mock

import pytest

from bench.errors import BenchError, UsageError
from tests.virtual_capacity import COLLAPSE, ENDLESS, QUEUE, virtual_search, write_search
from tests.virtual_run import judge


@pytest.fixture
def scenario(tmp_path):
    """A function that writes a scenario file whose server has that profile."""
    return lambda profile, sessions=4: write_search(tmp_path, profile, sessions)


def test_a_search_that_was_killed_goes_on_and_loses_the_run_under_way(tmp_path, scenario):
    path, place, runs = scenario(ENDLESS, 2), tmp_path / "search", count(1)
    limits = {"account_sessions": 4}
    whole = virtual_search(path, tmp_path / "whole", **limits)

    def killed(folder):
        if next(runs) == 3:
            raise KeyboardInterrupt
        return judge(folder)

    with mock.patch("tests.virtual_capacity.judge", killed), pytest.raises(KeyboardInterrupt):
        virtual_search(path, place, **limits)
    before = json.loads((place / "capacity.json").read_text())
    assert (len(before["probes"]), before["complete"]) == (2, False)
    found = virtual_search(path, None, resume=place, **limits)
    assert [(one.purpose, one.load) for one in found.probes] == [
        (one.purpose, one.load) for one in whole.probes
    ]
    assert found.tiers == whole.tiers
    assert found.complete


def test_a_resume_of_something_else_is_refused(tmp_path, scenario):
    place = tmp_path / "search"
    virtual_search(scenario(ENDLESS), place, account_sessions=4)
    path = scenario(ENDLESS)
    with pytest.raises(UsageError, match="its objectives is another"):
        virtual_search(path, None, resume=place, slo=("p50(first_audio_latency) < 1 s",))
    path.write_text(path.read_text().replace("turns  = 1", "turns  = 2"))
    with pytest.raises(UsageError, match="its scenario is another"):
        virtual_search(path, None, resume=place)


def test_a_ramp_cannot_be_resumed(tmp_path, scenario):
    place = tmp_path / "search"
    virtual_search(scenario(COLLAPSE), place, ramp=True, max_sessions=4)
    with pytest.raises(UsageError, match="made with --ramp"):
        virtual_search(scenario(COLLAPSE), None, resume=place)


def test_a_budget_ends_the_search_with_what_is_known(tmp_path, scenario):
    found = virtual_search(scenario(QUEUE), tmp_path / "search", max_minutes=9)
    assert found.spent.session_minutes <= 9.5
    assert any("ended for its budget" in line for line in found.remarks)
    assert not found.tiers[0].confirmed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"slo": ("p99.9(first_audio_latency) < 1 s",)}, "is the longest run of a search"),
        ({"slo": ("p95(tool_call_latency) < 1 s",)}, "can never have a sample"),
        ({"max_minutes": 0.5}, "--max-minutes 0.5: the first two runs alone take"),
        ({"max_cost": 3.0}, "needs a price"),
        ({"start": 2.5}, "--start 2.5: give a whole number"),
        ({"start": 0.0}, "--start 0: give a number above 0"),
        ({"start": float("nan")}, "--start nan: give a number above 0"),
        ({"start": float("inf")}, "--start inf: give a number above 0"),
        ({"start": -1.0, "arrivals": "poisson"}, "--start -1: give a number above 0"),
        ({"metrics_url": "http://127.0.0.1:1/metrics"}, "refused the connection"),
        ({"gauges": ("queue",)}, "--gauge 'queue': needs --metrics-url"),
        ({"arrivals": "burst"}, "--arrivals 'burst'"),
        ({"session_length": "40"}, "--session-length: '40' is no duration"),
        ({"ramp": True, "arrivals": "poisson"}, "--ramp: holds sessions"),
        ({"target": "wss://example.invalid/v1/realtime"}, "add --yes"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_a_line_before_any_run(
    tmp_path, scenario, options, said
):
    with pytest.raises(BenchError) as caught:
        virtual_search(scenario(ENDLESS), tmp_path / "search", **options)
    assert caught.value.exit_code == 2
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "search").glob("*/run.json"))


def test_a_folder_that_holds_something_is_not_written_over(tmp_path, scenario):
    place = tmp_path / "search"
    place.mkdir()
    (place / "precious.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        virtual_search(scenario(ENDLESS), place)
