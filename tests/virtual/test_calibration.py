"""`bench calibrate` where nothing is late: a harness without error is told to have none at all.

One calibration over real sockets is in `tests/live/test_sockets.py`, those at up to 200 sessions
are in `make bench`.
"""

import json
from unittest import mock

import pytest

from bench.analysis.calibration import fingerprint, harness_error, read_calibration
from bench.runs.folder import RunFolder
from tests.virtual_run import virtual_time

pytestmark = pytest.mark.usefixtures("virtual")


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where temporary files go: it can be looked at."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    return place


def exact(one):
    """A result of a harness that adds nothing."""
    events, audio = one["events"], one["metrics"]["first_audio_latency"]
    assert events["n"] > 50
    assert (events["lost"], events["extra"], events["covered"]) == (0, 0, 100.0)
    assert [events[f"{name}_ms"] for name in ("p1", "p50", "p99", "max", "width_p99")] == [0] * 5
    assert audio["n"] >= one["sessions"]
    assert (audio["bias_ms"], audio["p99_abs_ms"], audio["unpaired"]) == (0, 0, 0)
    assert one["audio_clock_drift_ms"] == 0
    assert one["sends"]["p99_ms"] == 0
    assert one["fit"]
    assert one["why"] == []


def test_every_concurrency_is_told_and_the_file_is_taken_up_on_this_machine(
    bench, scenario, tmp_path, scratch
):
    path = tmp_path / "new" / "calibration.json"
    code, out, err = bench(
        "calibrate", scenario(), "--sessions", "4,1", "--duration", "4s", "--json", "--out", path
    )
    assert code == 0, err
    told = json.loads(out)
    assert [one["sessions"] for one in told] == [1, 4], err
    for one in told:
        exact(one)
        assert "voice_to_voice_latency" in one["metrics"]
        assert "barge_in_silence" not in one["metrics"]
    document = json.loads(path.read_text())
    assert (document["format"], document["results"]) == (1, told)
    found = read_calibration(path)
    assert found == document
    assert harness_error(found, 3).sessions == 4
    assert harness_error(found, 5) is None
    assert not list(scratch.iterdir())  # the run folders are gone


def test_links_that_take_time_are_an_error_of_that_size_and_the_machine_is_not_trusted(
    bench, scenario, tmp_path
):
    """The harness is blamed for what lies between the server's send and its own stamp."""
    with virtual_time(down_ns=3_000_000):
        code, out, _ = bench(
            "calibrate", scenario(), "--sessions", "2", "--duration", "4s", "--json",
            "--out", tmp_path / "calibration.json",
        )  # fmt: skip
    (one,) = json.loads(out)
    assert code == 3
    assert {one["events"][f"{name}_ms"] for name in ("p1", "p50", "p99", "max")} == {3.0}
    assert one["metrics"]["first_audio_latency"]["bias_ms"] == 3.0
    assert not one["fit"]
    assert any("biased by +3.00 ms" in why for why in one["why"])


def test_interruptions_are_calibrated_too_and_a_kept_run_is_a_run_like_any_other(
    bench, scenario, tmp_path, monkeypatch
):
    path = scenario(script="barge_in")

    def kept(name):
        return tmp_path / "reports" / name

    monkeypatch.setattr("bench.cli.calibrate.new_folder", kept)
    code, out, err = bench(
        "calibrate", path, "--sessions", "2", "--duration", "8s", "--keep",
        "--out", tmp_path / "calibration.json",
    )  # fmt: skip
    assert code == 0, err
    document = json.loads((tmp_path / "calibration.json").read_text())
    (one,) = document["results"]
    exact(one)
    assert one["metrics"]["barge_in_silence"]["n"] >= 1, err
    assert one["metrics"]["barge_in_silence"]["bias_ms"] == 0
    assert "barge_in_silence" in out
    assert (
        out.strip().splitlines()[-1] == "trust this machine up to 2 sessions a worker, at ± 0.0 ms"
    )
    run = RunFolder.open(kept("calibrate-2-shipped")).read()
    assert fingerprint(run) == document["host"]


def test_there_is_no_bias_whatever_the_truth(bench, scenario, tmp_path):
    code, out, err = bench(
        "calibrate", scenario(), "--sessions", "2", "--duration", "5s", "--truths", "--json",
        "--out", tmp_path / "calibration.json",
    )  # fmt: skip
    assert code == 0, err
    told = json.loads(out)
    assert [one["truth"] for one in told] == [
        "shipped", "constant", "heavy_tailed", "bursts", "stalls", "silence_first", "early_vad",
    ], err  # fmt: skip
    for one in told:
        exact(one)


def test_what_cannot_be_done_is_refused_before_anything_starts(bench, scenario, tmp_path):
    (tmp_path / "file").write_text("")
    for words, asked in (
        ("--sessions 'many'", ["--sessions", "many"]),
        ("--sessions '0,1'", ["--sessions", "0,1"]),
        ("no.toml", ["--profile", tmp_path / "no.toml"]),
        ("--out", ["--out", tmp_path / "file" / "calibration.json"]),
        ("--out", ["--out", tmp_path]),
    ):
        code, out, err = bench("calibrate", scenario(), *asked)
        assert code == 2, err
        assert words in err
        assert out == ""
        assert len(err.strip().splitlines()) == 1


def test_ctrl_c_ends_it_and_leaves_an_older_calibration_as_it_was(
    bench, scenario, tmp_path, scratch
):
    """That the signal ends a run in order is asked over real processes, in `tests/live`."""
    path = tmp_path / "calibration.json"
    path.write_text("the one before")
    with mock.patch("bench.cli.run_scenario.supervise", return_value=True):
        code, out, err = bench("calibrate", scenario(), "--sessions", "1,2", "--out", path)
    assert (code, out) == (130, ""), err
    assert path.read_text() == "the one before"
    assert not list(scratch.iterdir())
