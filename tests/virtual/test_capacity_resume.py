"""How a search of `bench capacity` goes on, ends, and refuses to begin, in virtual time."""

import errno
import io
import json
import shutil
from itertools import count
from pathlib import Path
from unittest import mock

import pytest
from rich.console import Console

from bench.capacity.document import read_capacity, write_capacity
from bench.cli.capacity_trials import serving
from bench.cli.run_job import job_of
from bench.cli.verbs import RunOptions
from bench.errors import BenchError, FolderLostError, UsageError
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


def test_a_search_that_is_taken_up_again_meets_other_draws_of_the_embedded_server(
    tmp_path, scenario
):
    """Runs that meet the same draws are no independent samples: an interval cannot know of it."""
    job = job_of(RunOptions(scenario(QUEUE)))
    with (
        mock.patch("bench.cli.capacity_trials.start_reference") as started,
        mock.patch("bench.cli.capacity_trials.watch_of"),
    ):
        started.return_value.url = "ws://127.0.0.1:1/v1/realtime"
        for _ in range(3):
            with serving(job, tmp_path / "search"):
                pass
    assert [call.kwargs["seed"] for call in started.call_args_list] == [1, 2, 3]


def taken_away(path):
    shutil.rmtree(path)


def full(_path):
    raise OSError(errno.ENOSPC, "a disk that is full")


@pytest.mark.parametrize("happens", [taken_away, full])
def test_a_run_whose_folder_is_lost_ends_the_search_in_a_line_and_another_goes_on(
    tmp_path, scenario, happens
):
    path, place, runs = scenario(ENDLESS, 2), tmp_path / "search", count(1)

    def lost(folder):
        if next(runs) == 2:
            happens(folder.path)
        return judge(folder)

    with (
        mock.patch("tests.virtual_capacity.judge", lost),
        pytest.raises(FolderLostError) as caught,
    ):
        virtual_search(path, place, account_sessions=4)
    assert caught.value.exit_code == 3
    said = str(caught.value)
    assert said.startswith(f"{place}")
    assert said.endswith(f"; mend that, and go on with --resume {place}")
    assert "\n" not in said
    assert len(read_capacity(place).probes) == 1
    found = virtual_search(path, None, resume=place, account_sessions=4)
    assert found.complete
    assert found.tiers[0].confirmed


def test_a_search_whose_whole_folder_is_lost_says_what_it_knew(tmp_path, scenario):
    place, runs, talk = tmp_path / "search", count(1), io.StringIO()

    def lost(folder):
        if next(runs) == 3:
            shutil.rmtree(place)
        return judge(folder)

    with (
        mock.patch("tests.virtual_capacity.judge", lost),
        pytest.raises(FolderLostError, match=r"stands above; begin a new search$"),
    ):
        virtual_search(
            scenario(ENDLESS, 2), place, account_sessions=4, talk=Console(file=talk, width=80)
        )
    assert "slo: at least 4 sessions" in talk.getvalue()
    assert not place.exists()


def test_a_capacity_json_that_cannot_be_written_leaves_the_one_before_it(tmp_path, scenario):
    path, place, writes, talk = scenario(ENDLESS, 2), tmp_path / "search", count(1), io.StringIO()

    def written(*told):
        if next(writes) > 1:
            raise OSError(errno.ENOSPC, "a disk that is full")
        return write_capacity(*told)

    with (
        mock.patch("bench.cli.capacity_search.write_capacity", written),
        pytest.raises(FolderLostError, match="No space left on device") as caught,
    ):
        virtual_search(path, place, account_sessions=4, talk=Console(file=talk, width=80))
    assert str(caught.value).endswith(f"--resume {place}")
    assert "slo: at least 4 sessions" in talk.getvalue()  # with the run that was not written down
    assert len(read_capacity(place).probes) == 1


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """(the scenario, the folder, the answer) of a search that came to its end."""
    folder = tmp_path_factory.mktemp("ended")
    path = write_search(folder, ENDLESS, 2)
    return path, folder / "search", virtual_search(path, folder / "search", account_sessions=4)


def test_a_search_that_is_resumed_makes_a_lost_run_again_and_keeps_the_others(tmp_path, ended):
    path, before, whole = ended
    place = shutil.copytree(before, tmp_path / "search")
    lost = whole.probes[-1]
    assert lost.purpose == "hold"
    shutil.rmtree(place / lost.run)
    found = virtual_search(path, None, resume=place, account_sessions=4)
    assert found.probes[:-1] == whole.probes[:-1]
    assert [(one.purpose, one.load) for one in found.probes] == [
        (one.purpose, one.load) for one in whole.probes
    ]
    assert found.tiers == whole.tiers
    (told,) = [line for line in found.remarks if line.startswith(f"run {lost.number} is lost")]
    assert str(place / lost.run) in told
    spent = whole.spent.session_minutes + lost.session_minutes
    assert found.spent.session_minutes == pytest.approx(spent, rel=0.05)


@pytest.mark.parametrize(
    "damage",
    [
        shutil.rmtree,
        lambda run: (run / "run.json").write_text('{"format": 1'),
        lambda run: (run / "run.json").write_text('{"format": 1}'),
        lambda run: (run / "turns.parquet").write_bytes(b""),
        lambda run: (run / "summary.json").write_text("[]"),
    ],
)
def test_a_lost_run_in_the_middle_leaves_its_number_free(tmp_path, ended, damage):
    path, before, whole = ended
    place = shutil.copytree(before, tmp_path / "search")
    lost = whole.probes[0]
    damage(place / lost.run)
    found = virtual_search(path, None, resume=place, account_sessions=4)
    assert read_capacity(place) == found
    assert found.tiers[0].confirmed
    assert any(line.startswith(f"run {lost.number} is lost") for line in found.remarks)


def test_a_resume_of_something_else_is_refused(tmp_path, ended):
    text, place, _ = ended
    path = tmp_path / "calls.toml"
    path.write_text(text.read_text())
    with pytest.raises(UsageError, match="--out other: a resumed search stays in its folder"):
        virtual_search(path, Path("other"), resume=place)
    with pytest.raises(UsageError, match=r"capacity.json: is no folder; give the one that holds"):
        virtual_search(path, None, resume=place / "capacity.json")
    with pytest.raises(UsageError, match="its target is another"):
        virtual_search(path, None, resume=place, target="ws://127.0.0.1:1/x", dialect="inworld")
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
    assert found.tiers[0].said[-1] == (
        "not confirmed: no run held this load for long; go on with --resume, with a larger budget "
        "where that ended it"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"slo": ("p99.9(first_audio_latency) < 1 s",)}, "is the longest run of a search"),
        ({"slo": ("p95(tool_call_latency) < 1 s",)}, "can never have a sample"),
        ({"max_minutes": 0.5}, "--max-minutes 0.5: the first two runs alone take"),
        (
            {"slo": ("p99(first_audio_latency) < 1 s",), "max_minutes": 12.0, "start": 12.0},
            "session-minutes, and --max-minutes 12 allows 12; raise it, or ask for a lower",
        ),
        ({"max_cost": 3.0}, "needs a price"),
        ({"start": 9.0, "max_sessions": 8}, "--start 9: at most 8 may be tried (--max-sessions 8)"),
        ({"start": 1e300}, "--start 1e+300: at most"),
        ({"start": 1e-9, "arrivals": "poisson"}, "1e-09 a second would take"),
        ({"assignments": ("slo={}",)}, "no objective: give --slo"),
        ({"slo": ("p95(fürst_audio) < 8 s",)}, "gate 'p95(fürst_audio) < 8 s'"),
        ({"tiers": ("gold=count(turns) > 0",) * 2}, "tier 'gold' is named twice"),
        ({"tiers": ("gold=",)}, "--tier 'gold=': write NAME="),
        ({"start": 2.5}, "--start 2.5: give a whole number"),
        ({"metrics_url": "http://127.0.0.1:1/metrics"}, "refused the connection"),
        ({"gauges": ("queue",)}, "--gauge 'queue': needs --metrics-url"),
        ({"arrivals": "burst"}, "--arrivals 'burst'"),
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
