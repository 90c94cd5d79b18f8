"""Whole searches of `bench capacity` in virtual time, against servers whose capacity is known."""

import csv
import io
import json
from itertools import count
from pathlib import Path
from unittest import mock

import pytest
from rich.console import Console

from bench.capacity.document import read_capacity
from bench.cli import capacity_search as driver
from bench.errors import BenchError, UsageError
from bench.report.capacity_page import write_capacity_page
from bench.report.capacity_tables import print_capacity, write_tables
from tests.virtual_capacity import virtual_search
from tests.virtual_run import judge, virtual_run

SCENARIO = (Path(__file__).parents[2] / "scenarios" / "capacity.toml").read_text()
QUEUE = """
[capacity]
slots = 1
service_ms = { kind = "lognormal", median_ms = 600, sigma = 0.3 }
[response]
first_delta_ms = 250
delta_ms = 400
"""
ADMISSION = "[limits]\nsessions = 7\n[response]\ndelta_ms = 400\n"
COLLAPSE = """
[capacity]
collapse_sessions = 10
recover_sessions = 5
collapse_factor = 8
[response]
first_delta_ms = 300
delta_ms = 400
"""
ENDLESS = "[response]\ndelta_ms = 400\n"
SLO = "p95(first_audio_latency) < 1500 ms"


@pytest.fixture
def scenario(tmp_path):
    """A function that writes a scenario file whose server has that profile."""

    def written(profile, **load):
        (tmp_path / "server.toml").write_text(profile)
        text = SCENARIO.replace("scenarios/servers/slots.toml", str(tmp_path / "server.toml"))
        text = text.replace("turns  = 1", "turns  = 1\nchunk_ms = 200")
        text = text.replace("sessions = 20", f"sessions = {load.get('sessions', 4)}")
        path = tmp_path / "calls.toml"
        path.write_text(text)
        return path

    return written


def share_in_time(scenario, out, sessions):
    """What share of turns are answered within the limit at that load, over a long run."""
    run = virtual_run(
        scenario, out, drawn=False, sessions=sessions, duration="400s", gates=(SLO,)
    ).folder
    import pandas as pd

    turns = pd.read_parquet(run.turns)
    latency = turns["first_audio_latency"][turns["measured"]]
    return float((latency < 1500).mean())


def test_the_queue_of_a_server_has_its_capacity_in_the_interval(tmp_path, scenario):
    path = scenario(QUEUE)
    found = virtual_search(path, tmp_path / "search")
    tier = found.tiers[0]
    assert share_in_time(path, tmp_path / "low", max(1, round(tier.low))) >= 0.95
    assert share_in_time(path, tmp_path / "high", round(tier.high) + 1) < 0.95
    assert tier.low <= tier.capacity <= tier.high
    assert (tier.binding, tier.stage) == (SLO, "generation_delay")
    assert found.complete
    assert found.beyond.behaviour in {"degrades", "collapses"}
    assert found.workload.turns_per_session == 1
    assert 0.2 < found.workload.talk_ratio.agent < 0.8
    assert read_capacity(tmp_path / "search") == found


def test_its_answer_is_told_in_tables_and_on_a_page(tmp_path, scenario):
    place = tmp_path / "search"
    found = virtual_search(scenario(ADMISSION), place, price_per_minute=0.06)
    write_tables(found, place)
    page = write_capacity_page(found, place).read_text()
    rows = list(csv.DictReader(io.StringIO((place / "capacity.csv").read_text())))
    assert [float(row["load"]) for row in rows] == [one.load for one in found.probes]
    told = io.StringIO()
    print_capacity(found, Console(file=told, width=80))
    text = told.getvalue()
    assert f"slo: {found.tiers[0].capacity:.0f} sessions [" in text
    assert "0.06 a session-minute" in text
    assert max(map(len, text.partition("slo:")[0].splitlines())) <= 80
    assert "| sessions |" in (place / "capacity.md").read_text()
    for one in found.probes:
        assert f"{one.run}/report.html" in page
    assert "http://" not in page.replace("http://www.w3.org", "").partition("<script")[0]


def test_an_admission_limit_is_the_capacity_whoever_is_fast_inside(tmp_path, scenario):
    found = virtual_search(scenario(ADMISSION), tmp_path / "search")
    tier = found.tiers[0]
    assert (tier.capacity, tier.low, tier.high, tier.confirmed) == (7, 7, 7, True)
    assert found.beyond.behaviour == "refuses"
    assert found.beyond.refused > 0
    assert found.recovery.recovered


def test_a_collapse_is_recognised_with_the_load_at_which_it_recovers(tmp_path, scenario):
    found = virtual_search(scenario(COLLAPSE), tmp_path / "search")
    tier = found.tiers[0]
    assert tier.low <= 10 <= tier.high
    assert any("a cliff" in line for line in tier.said)
    assert found.beyond.behaviour == "collapses"
    assert found.recovery.recovered
    # Six callers: as one of them is followed by the next, there are five for an instant.
    assert found.recovery.load == pytest.approx(6, rel=0.2)


def unfit_above(limit):
    """The generator is not fit for more sessions than that."""
    observe = driver.observe

    def observed(path, tiers, load, *more):
        seen = observe(path, tiers, load, *more)
        return seen._replace(void="its chunks were late") if load > limit else seen

    return mock.patch.object(driver, "observe", observed)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_server_faster_than_the_generator_holds_at_least_so_many(tmp_path, scenario, seed):
    with unfit_above(13), mock.patch("os.cpu_count", return_value=2):
        found = virtual_search(scenario(ENDLESS), tmp_path / "search", seed=seed)
    tier = found.tiers[0]
    assert tier.at_least
    assert tier.limit == "generator"
    assert 8 <= tier.capacity <= 13
    assert tier.high is None
    assert next(one.void for one in found.probes if one.load > 13)
    assert found.beyond is None


def test_the_account_is_a_limit_and_no_figure_of_the_server(tmp_path, scenario):
    found = virtual_search(scenario(ENDLESS), tmp_path / "search", account_sessions=6)
    tier = found.tiers[0]
    assert (tier.capacity, tier.at_least, tier.limit) == (6, True, "account 6 sessions")
    assert tier.confirmed
    assert max(one.load for one in found.probes) == 6


def test_each_tier_has_its_own_crossing(tmp_path, scenario):
    found = virtual_search(
        scenario(QUEUE), tmp_path / "search", slo=(),
        tiers=("gold=p95(first_audio_latency) < 1100 ms", "plain=p95(first_audio_latency) < 2 s"),
    )  # fmt: skip
    gold, plain = found.tiers
    assert gold.capacity < plain.capacity
    assert {"gold", "plain"} == set(found.probes[0].tiers)


def test_a_search_that_was_killed_goes_on_and_loses_the_run_under_way(tmp_path, scenario):
    path, place = scenario(ADMISSION), tmp_path / "search"
    whole = virtual_search(path, tmp_path / "whole")
    settle, runs = driver.settle, count(1)

    def killed(folder):
        if next(runs) == 4:
            raise KeyboardInterrupt
        return judge(folder)

    with mock.patch("tests.virtual_capacity.judge", killed), pytest.raises(KeyboardInterrupt):
        virtual_search(path, place)
    assert settle is driver.settle
    before = json.loads((place / "capacity.json").read_text())
    assert (len(before["probes"]), before["complete"]) == (3, False)
    found = virtual_search(path, None, resume=place)
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


def test_a_ramp_is_one_run_with_a_coarser_answer(tmp_path, scenario):
    found = virtual_search(scenario(COLLAPSE), tmp_path / "search", ramp=True)
    tier = found.tiers[0]
    assert len({one.run for one in found.probes}) == 1
    assert all(one.purpose == "ramp" for one in found.probes)
    assert tier.low <= 10 <= tier.high
    assert not tier.confirmed
    assert any("quick look" in line for line in found.remarks)
    with pytest.raises(UsageError, match="made with --ramp"):
        virtual_search(scenario(COLLAPSE), None, resume=tmp_path / "search")


def test_an_open_load_is_searched_by_arrivals(tmp_path, scenario):
    found = virtual_search(scenario(QUEUE), tmp_path / "search", arrivals="poisson")
    tier = found.tiers[0]
    assert (found.load, found.unit) == ("arrivals", "/s")
    assert 0.2 < tier.capacity < 1.9  # the slot serves 1.6 a second and no more
    assert tier.low <= tier.capacity <= tier.high
    some = next(one for one in found.probes if one.purpose == "refine")
    assert some.sessions_in_flight > some.load  # Little: sessions last longer than a second


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
