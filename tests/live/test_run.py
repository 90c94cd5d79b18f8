"""`bench run` as a user meets it: real processes, real sockets, real signals."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pandas as pd
import psutil
import pytest
import soundfile

from bench.corpus.manifest import Entry, manifest_text
from tests.world import voice

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
BENCH = [sys.executable, "-m", "bench"]
# Bounds wide enough for a busy machine: these tests are about order, not about speed.
SCENARIO = """
script = "{script}"
corpus = "{corpus}"
turns  = 2
[session]
turn_detection = {{ type = "server_vad", silence_duration_ms = 300 }}
[caller]
gap     = "100ms"
hear    = "600ms"
[load]
sessions = {sessions}
warmup   = "1s"
duration = "{duration}"
drain    = "8s"
[health]
send_lateness = "2s"
client_lag    = "2s"
hub_lag       = "2s"
server_lateness = "2s"
steal         = 100
run_wait      = 100
neighbours    = 100
sessions      = 20
[gates]
ci = {gates}
"""


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A corpus of short steady voices, so that a turn takes two seconds and not eight."""
    folder = tmp_path_factory.mktemp("corpus") / "steady"
    folder.mkdir()
    said = [voice(f"line-{n}", 100, 400 + 50 * n, 100, pitch=110 + 5 * n) for n in range(4)]
    said += [voice(f"stop-{n}", 60, 300, 60, pitch=150, tags=("interruption",)) for n in range(2)]
    said += [voice(f"reply-{n}", 20, 1000, 20, pitch=200, tags=("reply",)) for n in range(2)]
    entries = []
    for one in said:
        path = folder / f"{one.id}.flac"
        soundfile.write(path, np.frombuffer(one.audio, "<i2"), one.format.rate, subtype="PCM_16")
        entries.append(
            Entry(
                id=one.id, file=path.name, text=one.text, voice="steady", rate=one.format.rate,
                duration_ms=one.duration_ns / 1e6, onset_ms=one.onset_ns / 1e6,
                offset_ms=one.offset_ns / 1e6, loudness=-15.0, tags=tuple(one.tags or ("plain",)),
                licence="CC0-1.0", sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            )
        )  # fmt: skip
    text = manifest_text(name="steady", licence="CC0-1.0", about="for tests", entries=entries)
    (folder / "manifest.toml").write_text(text)
    return folder


@pytest.fixture
def scenario(tmp_path, corpus):
    def write(*, script="turn_taking", sessions=4, duration="5s", gates=()):
        path = tmp_path / "small.toml"
        text = SCENARIO.format(
            script=script,
            sessions=sessions,
            duration=duration,
            gates=json.dumps(list(gates)),
            corpus=corpus,
        )
        path.write_text(text)
        return str(path)

    return write


def start(*arguments, **options):
    return subprocess.Popen(
        [*BENCH, *map(str, arguments)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def bench(*arguments, **options):
    process = start(*arguments, **options)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def loaded(folder, name):
    return json.loads((folder / name).read_text())


def until(found, seconds=40.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def sessions_open(folder):
    """Whether every worker has written the first rows of its sessions."""
    logs = list((folder / "logs").glob("worker-*.log"))
    return logs and all(log.stat().st_size > 3_000 for log in logs)


def test_a_run_passes_and_leaves_a_whole_folder(scenario, tmp_path):
    folder = tmp_path / "run"
    code, out, _ = bench(
        "run",
        scenario(gates=["p50(first_audio_latency) < 5 s", "share(answered) > 40 %"]),
        "--out",
        folder,
        "--workers",
        2,
    )
    assert code == 0, out
    assert "PASS" in out
    assert "first_audio_latency" in out
    run = loaded(folder, "run.json")
    assert run["rows_sealed"] == sum(run["rows_written"].values()) > 0
    assert sorted(run["drained"]) == [0, 1]
    assert run["faults"] == []
    names = ["events.parquet", "turns.parquet", "sessions.parquet", "health.parquet", "junit.xml"]
    for name in (*names, "summary.json", "verdict.json", "report.html"):
        assert (folder / name).stat().st_size > 0, name
    turns = pd.read_parquet(folder / "turns.parquet")
    assert set(turns.worker) == {0, 1}
    assert (turns.outcome == "ok").sum() >= 8
    sessions = pd.read_parquet(folder / "sessions.parquet")
    assert set(sessions.outcome) <= {"finished", "drained"}
    assert not list((folder / "logs").glob("worker-*.log"))  # sealed in order, so not kept


def test_arrivals_agree_with_the_servers_own_truth(scenario, tmp_path):
    folder = tmp_path / "run"
    bench("run", scenario(), "--out", folder)
    lines = (folder / "truth.jsonl").read_text().splitlines()
    truth = {line["event_id"]: line for line in map(json.loads, lines) if line.get("event_id")}
    events = pd.read_parquet(folder / "events.parquet")
    arrived = events[(events.direction == "in") & events.event_id.notna()]
    assert len(arrived) > 100
    assert set(arrived.event_id) <= set(truth)  # nothing that was not sent
    sent = arrived.event_id.map(lambda name: truth[name]["before_ns"])
    assert (arrived.at_ns >= sent).all()  # the same clock: nothing arrives before it is sent
    assert ((arrived.at_ns - sent) / 1e6).median() < 5


def test_a_gate_that_fails_exits_1_and_says_which_and_by_how_much(scenario, tmp_path):
    code, out, _ = bench(
        "run", scenario(), "--out", tmp_path / "run", "--gate", "p95(first_audio_latency) < 1 ms"
    )
    assert code == 1, out
    assert "FAIL" in out
    assert "p95(first_audio_latency)" in out
    assert "over the limit of 1 ms" in " ".join(out.split())


def test_json_is_for_scripts(scenario, tmp_path):
    code, out, _ = bench("run", scenario(), "--out", tmp_path / "run", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["verdict"] == "pass"
    assert told["folder"] == str(tmp_path / "run")


def test_barge_in_yields_its_metrics(scenario, tmp_path):
    folder = tmp_path / "run"
    code, out, _ = bench("run", scenario(script="barge_in", duration="8s"), "--out", folder)
    assert code == 0, out
    turns = pd.read_parquet(folder / "turns.parquet")
    interruptions = turns[turns.role == "interruption"]
    assert len(interruptions) >= 2
    assert interruptions.barge_in_silence.notna().any()
    assert interruptions.barge_in_detection.notna().any()
    assert "barge_in_silence" in out


@pytest.mark.parametrize("process_number", ["0", "1"])
def test_a_worker_that_is_killed_makes_the_run_invalid_and_the_report_says_so(
    process_number, scenario, tmp_path
):
    folder = tmp_path / "run"
    process = start("run", scenario(duration="8s"), "--out", folder, "--workers", 2)
    until(lambda: (folder / "logs").is_dir() and sessions_open(folder))
    workers = [
        child for child in psutil.Process(process.pid).children(recursive=True)
        if "--worker" in child.cmdline()
    ]  # fmt: skip
    assert len(workers) == 2
    killed = next(child for child in workers if child.environ()["BENCH_PROCESS"] == process_number)
    killed.send_signal(signal.SIGKILL)
    out, err = process.communicate(timeout=90)
    assert "Traceback" not in err
    assert process.returncode == 3, out
    assert "INVALID" in out
    assert f"worker process {process_number} was lost" in " ".join(out.split())
    assert "SIGKILL" in " ".join(out.split())
    assert "SIGKILL" in (folder / "report.html").read_text()
    assert len(pd.read_parquet(folder / "events.parquet")) > 0


def test_ctrl_c_drains_seals_and_reports_what_there_is(scenario, tmp_path):
    folder = tmp_path / "run"
    process = start("run", scenario(duration="60s"), "--out", folder)
    until(lambda: (folder / "logs").is_dir() and sessions_open(folder))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    run = loaded(folder, "run.json")
    assert run["interrupted"]
    assert run["rows_sealed"] == sum(run["rows_written"].values()) > 0
    assert (folder / "report.html").exists()
    assert "turns" in out


def test_a_second_ctrl_c_ends_at_once_and_the_folder_can_still_be_sealed(scenario, tmp_path):
    folder = tmp_path / "run"
    process = start("run", scenario(duration="60s"), "--out", folder)
    until(lambda: (folder / "logs").is_dir() and sessions_open(folder))
    process.send_signal(signal.SIGINT)
    time.sleep(0.4)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - began < 10
    assert "bench report" in " ".join(err.split())
    assert not (folder / "events.parquet").exists()
    code, out, _ = bench("report", folder)
    assert code == 3, out  # no worker was drained
    assert len(pd.read_parquet(folder / "events.parquet")) > 0
    assert (folder / "report.html").exists()


def test_nothing_is_left_running_when_the_run_itself_is_killed(scenario, tmp_path):
    folder = tmp_path / "run"
    process = start("run", scenario(duration="60s"), "--out", folder)
    until(lambda: (folder / "logs").is_dir() and sessions_open(folder))
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 3
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive


def test_judge_and_report_work_from_the_folder_alone(scenario, tmp_path):
    folder = tmp_path / "run"
    bench("run", scenario(), "--out", folder)
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    code, out, _ = bench("judge", moved, "--gate", "p50(first_audio_latency) < 1 ms")
    assert code == 1, out
    code, out, _ = bench("judge", moved, "--gate", "p50(first_audio_latency) < 10 s", "--json")
    assert (code, json.loads(out)["verdict"]) == (0, "pass")
    (moved / "report.html").unlink()
    code, out, _ = bench("report", moved)
    assert code == 0, out
    assert (moved / "report.html").exists()


def test_a_run_whose_gate_fails_all_along_is_ended_early_with_that_verdict(scenario, tmp_path):
    folder, gate = tmp_path / "run", "p50(first_audio_latency) < 10 ms"
    began = time.monotonic()
    code, out, err = bench(
        "run", scenario(duration="60s", gates=[gate, "share(answered) > 10 %"]), "--sessions", "8",
        "--abort-on-fail", "--abort-window", "4s", "--out", folder,
    )  # fmt: skip
    assert code == 1, out + err
    assert time.monotonic() - began < 60
    run, verdict = loaded(folder, "run.json"), loaded(folder, "verdict.json")
    ended, (first, last) = run["ended_by"], (run["ended_by"]["windows"][place] for place in (0, -1))
    assert (ended["rule"], ended["gate"]) == ("abort_on_fail", gate)
    assert first[1] <= last[0]
    assert last[1] - last[0] == 4_000_000_000
    assert first[0] >= run["plan"]["measured_from_ns"]
    assert run["interim"].items() >= {"window_s": 4.0, "looks": ended["looks"]}.items()
    assert not (folder / "logs" / "interim").exists()
    assert [one["verdict"] for one in verdict["gates"]] == ["fail", "pass"]
    assert f"the run ended early: {ended['text']}" in verdict["remarks"]
    assert " ".join(f"ending: {ended['text']}".split()) in " ".join(err.split())
    assert not (set(run["faults"]) | {one["rule"] for one in verdict["validity"] if not one["ok"]})


def test_a_server_that_answers_nobody_is_seen_when_the_callers_give_up(scenario, tmp_path):
    folder, profile = tmp_path / "run", tmp_path / "dead.toml"
    profile.write_text("[failures]\nerrortype = 1.0\n")
    code, out, err = bench(
        "run", scenario(duration="60s", gates=["count(failed_turns) == 0"]), "--abort-on-fail",
        "--set", f"reference.profile='{profile}'", "--set", "caller.answer_timeout='3s'",
        "--out", folder,
    )  # fmt: skip
    assert code == 1, out + err
    run = loaded(folder, "run.json")
    assert run["ended_by"]["text"].endswith("into the run; nothing can mend that")
    lasted = run["plan"]["end_ns"] - run["plan"]["start_ns"]
    assert lasted < 40_000_000_000


def test_a_run_whose_gates_hold_is_looked_at_and_goes_on_to_its_end(scenario, tmp_path):
    folder = tmp_path / "run"
    code, out, err = bench(
        "run", scenario(duration="10s", gates=["p50(first_audio_latency) < 10 s"]), "--sessions",
        "8", "--abort-on-fail", "--out", folder,
    )  # fmt: skip
    assert code == 0, out + err
    run = loaded(folder, "run.json")
    assert "ended_by" not in run
    assert run["interim"]["looks"] >= 1
    assert run["interim"].keys() == {"window_s", "looks", "blind"}


def test_a_gate_may_refer_to_a_baseline_run(scenario, tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    bench("run", scenario(), "--out", first)
    gate = "p50(first_audio_latency) <= baseline + 900 %"
    code, out, _ = bench("run", scenario(), "--out", second, "--gate", gate, "--baseline", first)
    assert code == 0, out


def test_an_unreachable_target_exits_3_and_says_what_was_tried(scenario, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    began = time.monotonic()
    code, _, err = bench(
        "run", scenario(), "--target", f"ws://127.0.0.1:{port}/v1/realtime", "--out", tmp_path / "r"
    )
    assert code == 3
    assert time.monotonic() - began < 15
    assert f"127.0.0.1 port {port}" in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "r").exists()


def test_a_server_that_refuses_every_session_ends_the_sessions_and_not_the_run(scenario, tmp_path):
    profile = tmp_path / "refusing.toml"
    profile.write_text("[failures]\nrefuse = 1.0\nrefuse_status = 401\n")
    folder = tmp_path / "run"
    code, out, _ = bench(
        "run", scenario(gates=["share(answered) >= 90 %"]), "--out", folder,
        "--set", f"reference.profile={profile}",
    )  # fmt: skip
    assert code == 1, out
    sessions = pd.read_parquet(folder / "sessions.parquet")
    assert set(sessions.outcome) == {"refused"}
    assert sessions.reason.str.contains("401").all()
    turns = pd.read_parquet(folder / "turns.parquet")
    assert set(turns.outcome) == {"rejected"}


def test_a_program_failure_voids_the_run(tmp_path, scenario):
    """What a worker acknowledges with its rows reaches the verdict."""
    folder = tmp_path / "run"
    code, out, _ = bench("run", scenario(duration="3s"), "--out", folder)
    assert code == 0, out
    run = loaded(folder, "run.json")
    text = "worker 0: this program failed in a session: RuntimeError: a bug"
    run["faults"] = [
        {"rule": "program", "text": text, "remedy": "report it", "from_ns": None, "to_ns": None}
    ]
    (folder / "run.json").write_text(json.dumps(run))
    code, out, _ = bench("judge", folder)
    assert code == 3
    assert "this program failed" in " ".join(out.split())


def test_a_script_of_ones_own_is_played_and_one_that_is_not_there_is_refused(tmp_path, corpus):
    (tmp_path / "ours.py").write_text(
        "from bench.voice.scripts import HearOut, Say\n"
        "def once(part):\n    yield Say(part.lines[0])\n    yield HearOut()\n"
    )
    text = SCENARIO.format(script="ours:once", sessions=2, duration="3s", gates="[]", corpus=corpus)
    path = tmp_path / "own.toml"
    path.write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    code, out, _ = bench("run", path, "--out", tmp_path / "run", env=environment)
    assert code == 0, out
    turns = pd.read_parquet(tmp_path / "run" / "turns.parquet")
    assert set(turns.turn) == {1}
    path.write_text(text.replace("ours:once", "ours:twice"))
    code, _, err = bench("run", path, "--out", tmp_path / "other", env=environment)
    assert code == 2
    assert "ours:twice" in err


def test_open_load_starts_every_session_at_its_scheduled_instant(tmp_path, corpus):
    path = tmp_path / "open.toml"
    path.write_text(
        SCENARIO.format(script="turn_taking", sessions=1, duration="4s", gates="[]", corpus=corpus)
        .replace("sessions = 1", 'arrivals = "poisson"\nrate = "2/s"')
        .replace("turns  = 2", "turns  = 1")
    )
    folder = tmp_path / "run"
    code, out, _ = bench("run", path, "--out", folder, "--workers", 2)
    assert code == 0, out
    sessions = pd.read_parquet(folder / "sessions.parquet")
    assert len(sessions) >= 4
    assert sessions.arrival_lateness.median() < 100
    assert sessions.scheduled_ns.is_unique


LOCUSTFILE = """
from locust import User, task, constant
from bench.load.users import RealtimeUser

class Caller(RealtimeUser):
    scenario = {scenario!r}
    target = {target!r}

class Other(User):
    wait_time = constant(0.2)

    @task
    def beat(self):
        self.environment.events.request.fire(
            request_type="other", name="beat", response_time=1, response_length=0,
            exception=None, context={{}},
        )
"""


@pytest.fixture
def reference():
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.reference", "--port", "0", "--watch-parent"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield process.stdout.readline().split()[1]
    process.terminate()
    process.communicate(timeout=10)


@pytest.mark.parametrize("processes", [[], ["--processes", "2"]], ids=["local", "distributed"])
def test_a_teams_own_locustfile_is_recorded_and_sealed_under_plain_locust(
    processes, scenario, reference, tmp_path
):
    locustfile = tmp_path / "locustfile.py"
    locustfile.write_text(LOCUSTFILE.format(scenario=scenario(), target=reference))
    done = subprocess.run(
        [sys.executable, "-m", "locust", "-f", locustfile, "--headless", "-u", "6", "-r", "6",
         "-t", "6s", "--only-summary", *processes],
        cwd=ROOT, capture_output=True, text=True, timeout=90,
        env={**os.environ, "BENCH_REPORTS": str(tmp_path / "reports")}, check=False,
    )  # fmt: skip
    talk = done.stdout + done.stderr
    folders = list((tmp_path / "reports").glob("*-small"))
    assert len(folders) == 1, talk
    run = loaded(folders[0], "run.json")
    assert run["rows_sealed"] == sum(run["rows_written"].values()) > 0, talk
    assert (folders[0] / "report.html").exists()
    turns = pd.read_parquet(folders[0] / "turns.parquet")
    assert (turns.outcome == "ok").sum() >= 2
    assert "beat" in talk  # the ordinary users ran beside
    assert "small" in talk  # and Locust's own view has the turns


def test_locusts_web_page_shows_the_run(scenario, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    process = start(
        "run", scenario(duration="8s"), "--out", tmp_path / "run", "--web", "--web-port", port
    )

    def turns_shown():
        try:
            with urlopen(f"http://127.0.0.1:{port}/stats/requests", timeout=2) as answer:
                stats = json.loads(answer.read())
        except OSError:
            return None
        return [
            entry for entry in stats["stats"] if entry["num_requests"] and entry["name"] == "small"
        ]

    assert until(turns_shown)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
