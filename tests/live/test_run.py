"""`bench run` as a user meets it: real processes, real sockets, and a folder that says it all."""

import json
import shutil
import socket
import time
from urllib.request import urlopen

import pandas as pd
import pytest

from bench.pytest_plugin import assert_gate
from bench.runs.folder import RunFolder, fault
from tests.live.process import document, start, until
from tests.small import write_scenario

pytestmark = pytest.mark.live


@pytest.fixture
def moved(good_run, tmp_path):
    """The good run at another place."""
    return RunFolder(shutil.copytree(good_run.folder.path, tmp_path / "elsewhere"))


def test_a_run_passes_and_leaves_a_whole_folder(good_run):
    folder = good_run.folder
    names = ["events.parquet", "turns.parquet", "sessions.parquet", "health.parquet", "junit.xml"]
    for name in (*names, "summary.json", "verdict.json", "report.html", "summary.md"):
        assert (folder.path / name).stat().st_size > 0, name
    assert not list(folder.logs.glob("worker-*.log"))  # sealed in order, so not kept


def test_every_row_that_a_worker_wrote_is_sealed(good_run):
    run = good_run.folder.read()
    assert run["rows_sealed"] == sum(run["rows_written"].values()) > 0
    assert run["rows_sealed"] == len(pd.read_parquet(good_run.folder.events))
    assert sorted(run["drained"]) == [0, 1]
    assert run["faults"] == []
    turns = pd.read_parquet(good_run.folder.turns)
    assert set(turns.worker) == {0, 1}
    assert (turns.outcome == "ok").sum() >= 8
    sessions = pd.read_parquet(good_run.folder.sessions)
    assert set(sessions.outcome) <= {"finished", "drained"}


def test_arrivals_agree_with_the_servers_own_truth(good_run):
    lines = good_run.folder.truth.read_text().splitlines()
    truth = {line["event_id"]: line for line in map(json.loads, lines) if line.get("event_id")}
    events = pd.read_parquet(good_run.folder.events)
    arrived = events[(events.direction == "in") & events.event_id.notna()]
    assert len(arrived) > 100
    assert set(arrived.event_id) <= set(truth)  # nothing that was not sent
    sent = arrived.event_id.map(lambda name: truth[name]["before_ns"])
    assert (arrived.at_ns >= sent).all()  # the same clock: nothing arrives before it is sent
    assert ((arrived.at_ns - sent) / 1e6).median() < 5


def test_the_kernel_stamped_what_was_read(good_run):
    ends = pd.read_parquet(good_run.folder.events)
    told = [json.loads(detail) for detail in ends[ends.type == "bench.end"].detail]
    reads, stamped = (sum(one[name] for one in told) for name in ("reads", "stamped"))
    assert stamped == reads > 100


def test_a_run_whose_gates_hold_is_looked_at_and_goes_on_to_its_end(good_run):
    run = good_run.folder.read()
    assert "ended_by" not in run
    assert run["interim"].keys() == {"window_s", "looks", "blind"}
    assert not (good_run.folder.logs / "interim").exists()
    plan = run["plan"]
    assert plan["measured_to_ns"] - plan["measured_from_ns"] == pytest.approx(5e9, abs=2e8)


def test_a_team_can_assert_gates_on_a_run_of_its_own(good_run):
    assert_gate(good_run.result, "max(first_audio_latency) < 9 s")
    with pytest.raises(AssertionError, match="fail: max"):
        assert_gate(good_run.result, "max(first_audio_latency) < 1 ms")


def test_judge_works_from_the_folder_alone(bench, moved):
    code, out, _ = bench("judge", moved.path, "--gate", "p95(first_audio_latency) < 1 ms")
    assert code == 1
    assert "FAIL" in out
    assert "p95(first_audio_latency)" in out
    assert "over the limit of 1 ms" in " ".join(out.split())
    code, out, _ = bench("judge", moved.path, "--json")
    told = json.loads(out)
    assert (code, told["verdict"], told["folder"]) == (0, "pass", str(moved.path))


@pytest.mark.usefixtures("pages")
def test_report_works_from_the_folder_alone(bench, moved):
    moved.report.unlink()
    code, out, _ = bench("report", moved.path)
    assert code == 0, out
    assert moved.report.exists()


def test_a_gate_may_refer_to_a_baseline_run(bench, good_run, moved):
    gate = "p50(first_audio_latency) <= baseline + 900 %"
    code, out, _ = bench("judge", moved.path, "--gate", gate, "--baseline", good_run.folder.path)
    assert code == 0, out
    code, out, _ = bench("judge", moved.path, "--gate", gate)
    assert code == 2


def test_a_run_compared_with_itself_has_not_changed(bench, good_run, moved, tmp_path):
    sides = (moved.path, "--against", good_run.folder.path)
    code, out, err = bench("compare", *sides, "--out", tmp_path / "cmp", "--json")
    assert code in {0, 4}, err
    found = json.loads(out)
    deciding = [row for row in found["rows"] if row["family"]]
    assert {row["verdict"] for row in deciding} <= {"unchanged", "inconclusive"}
    assert {row["difference"] for row in deciding} <= {0.0, None}


def test_a_run_goes_into_the_history_and_out_of_it(bench, good_run, tmp_path):
    store = tmp_path / "history.sqlite"
    code, _, err = bench("history", "add", good_run.folder.path, "--store", store)
    assert code == 0, err
    code, out, _ = bench("history", "export", "--format", "openmetrics", "--store", store)
    assert code == 0
    assert "first_audio_latency" in out


def test_a_program_failure_voids_the_run(bench, moved):
    """What a worker acknowledges with its rows reaches the verdict."""
    text = "worker 0: this program failed in a session: RuntimeError: a bug"
    moved.update(faults=[fault("program", text, "report it")])
    code, out, _ = bench("judge", moved.path)
    assert code == 3
    assert "this program failed" in " ".join(out.split())


def turns_shown(port):
    """Whether Locust's page has turns of the run."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/stats/requests", timeout=2) as answer:
            stats = json.loads(answer.read())["stats"]
    except OSError:
        return False
    return any(entry["num_requests"] and entry["name"] == "small" for entry in stats)


@pytest.fixture(scope="module")
def ours(corpus, tmp_path_factory):
    """A run of a script of one's own, open load, two workers, with Locust's page.

    Started where Locust would find configuration of its own: five ways to end it after a second.
    (run folder, stdout, whether the page had shown turns of the run)
    """
    place = tmp_path_factory.mktemp("ours")
    (place / "home").mkdir()
    for name in ("locust.conf", "home/.locust.conf"):
        (place / name).write_text("run-time = 1s\nusers = 1\nstop-timeout = 1\n")
    (place / "pyproject.toml").write_text('[tool.locust]\nrun_time = "1s"\nusers = 1\n')
    (place / "ours.py").write_text(
        "from bench.voice.scripts import HearOut, Say\n"
        "def once(part):\n    yield Say(part.lines[0])\n    yield HearOut()\n"
    )
    path = write_scenario(
        place / "small.toml", corpus, script="ours:once", duration="5s",
        load='arrivals = "poisson"\nrate = "3/s"', gates=["share(answered) > 40 %"],
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    process = start(
        "run", path, "--workers", 2, "--web", "--web-port", port, "--out", place / "run",
        cwd=place,
        env={
            "PYTHONPATH": str(place), "HOME": str(place / "home"),
            "LOCUST_RUN_TIME": "1s", "LOCUST_USERS": "1",
        },
    )  # fmt: skip
    shown = until(lambda: "turns" if turns_shown(port) else process.poll() is not None)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, out + err
    return place / "run", out, shown == "turns"


def test_locusts_own_configuration_steers_no_run_of_ours(ours):
    plan = document(ours[0], "run.json")["plan"]
    assert plan["measured_to_ns"] - plan["measured_from_ns"] == pytest.approx(5e9, abs=5e8)


def test_locusts_page_shows_the_turns_as_they_come(ours):
    assert ours[2]


def test_the_terminal_says_how_a_run_went(ours):
    assert "PASS" in ours[1]
    assert "first_audio_latency" in ours[1]


def test_every_session_plays_a_script_of_ones_own(ours):
    assert set(pd.read_parquet(ours[0] / "turns.parquet").turn) == {1}


def test_under_open_load_every_session_starts_at_its_scheduled_instant(ours):
    sessions = pd.read_parquet(ours[0] / "sessions.parquet")
    assert len(sessions) >= 6
    assert set(sessions.worker) == {0, 1}
    assert sessions.scheduled_ns.is_unique
    assert (sessions.arrival_lateness >= 0).all()
    assert sessions.arrival_lateness.median() < 500


def test_a_run_whose_gate_fails_all_along_is_ended_early_with_that_verdict(
    bench, scenario, tmp_path
):
    folder, gate = tmp_path / "run", "p50(first_audio_latency) < 10 ms"
    path = scenario(duration="60s", sessions=8, gates=[gate, "share(answered) > 10 %"])
    code, out, err = bench("run", path, "--abort-on-fail", "--abort-window", "2s", "--out", folder)
    assert code == 1, out + err
    run, verdict = document(folder, "run.json"), document(folder, "verdict.json")
    assert run["plan"]["measured_to_ns"] - run["plan"]["measured_from_ns"] < 59e9
    ended, (first, last) = run["ended_by"], (run["ended_by"]["windows"][place] for place in (0, -1))
    assert (ended["rule"], ended["gate"]) == ("abort_on_fail", gate)
    assert first[1] <= last[0]
    assert last[1] - last[0] == 2_000_000_000
    assert first[0] >= run["plan"]["measured_from_ns"]
    assert run["interim"].items() >= {"window_s": 2.0, "looks": ended["looks"]}.items()
    assert not (folder / "logs" / "interim").exists()
    assert [one["verdict"] for one in verdict["gates"]] == ["fail", "pass"]
    assert f"the run ended early: {ended['text']}" in verdict["remarks"]
    assert " ".join(f"ending: {ended['text']}".split()) in " ".join(err.split())
    assert not (set(run["faults"]) | {one["rule"] for one in verdict["validity"] if not one["ok"]})


def test_an_unreachable_target_exits_3_and_says_what_was_tried(bench, scenario, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    began = time.monotonic()
    code, out, err = bench(
        "run", scenario(), "--target", f"ws://127.0.0.1:{port}/v1/realtime", "--out", tmp_path / "r"
    )
    assert code == 3
    assert time.monotonic() - began < 15
    assert f"127.0.0.1:{port}: Connection refused; nothing listens there" in err
    assert "INVALID" in out
    assert "Connection refused" in (tmp_path / "r" / "junit.xml").read_text()
