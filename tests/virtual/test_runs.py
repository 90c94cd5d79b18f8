"""What kinds of load and of script come to, and when a look at a run would have ended it."""

import io
import json
from itertools import pairwise

import pandas as pd
import pytest
from rich.console import Console

from bench.cli.run_job import job_of
from bench.cli.run_scenario import run
from bench.cli.verbs import RunOptions
from bench.runs.folder import RunFolder
from bench.runs.log import HealthRow, Log, read_log
from bench.verdict.early_stop import EarlyStop, take_checkpoint
from bench.voice.audio import NS_PER_S
from tests.virtual_run import virtual_run

pytestmark = pytest.mark.usefixtures("virtual")


def test_barge_in_yields_its_metrics(bench, scenario, tmp_path):
    folder = tmp_path / "run"
    code, out, _ = bench("run", scenario(script="barge_in", duration="8s"), "--out", folder)
    assert code == 0, out
    turns = pd.read_parquet(folder / "turns.parquet")
    interruptions = turns[turns.role == "interruption"]
    assert len(interruptions) >= 8
    assert interruptions.barge_in_silence.notna().all()
    assert interruptions.barge_in_detection.notna().all()
    assert "barge_in_silence" in out


def test_json_is_for_scripts(bench, scenario, tmp_path):
    code, out, _ = bench("run", scenario(), "--out", tmp_path / "run", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["verdict"] == "pass"
    assert told["folder"] == str(tmp_path / "run")


@pytest.mark.parametrize("kind", ["poisson", "uniform"])
def test_open_load_starts_every_session_at_its_scheduled_instant(scenario, tmp_path, kind):
    path = scenario(load=f'arrivals = "{kind}"\nrate = "2/s"', turns=1, duration="6s")
    outcome = virtual_run(path, tmp_path / "run", workers=2)
    assert outcome.code == 0, outcome.verdict["reasons"]
    sessions = pd.read_parquet(outcome.folder.sessions).sort_values("scheduled_ns")
    job = job_of(RunOptions(path))
    plan, schedule = job.scenario, [slot.start_ns for slot in job.slots]
    assert list(sessions.scheduled_ns) == schedule
    assert len(schedule) >= 8
    # Late is only who came sooner after another of the same worker than handshakes may follow.
    gap_ns = NS_PER_S / plan.load.connects
    for worker in (0, 1):
        mine = sessions[sessions.worker == worker]
        crowded = [after - before < gap_ns for before, after in pairwise(mine.scheduled_ns)]
        assert [late > 0 for late in mine.arrival_lateness[1:]] == crowded


def test_a_script_of_ones_own_is_played_and_one_that_is_not_there_is_refused(
    bench, scenario, tmp_path, monkeypatch
):
    (tmp_path / "ours_of_virtual_runs.py").write_text(
        "from bench.voice.scripts import HearOut, Say\n"
        "def once(part):\n    yield Say(part.lines[0])\n    yield HearOut()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    path = scenario(script="ours_of_virtual_runs:once", sessions=2)
    code, out, _ = bench("run", path, "--out", tmp_path / "run")
    assert code == 0, out
    assert set(pd.read_parquet(tmp_path / "run" / "turns.parquet").turn) == {1}
    path = scenario(script="ours_of_virtual_runs:twice", sessions=2)
    code, _, err = bench("run", path, "--out", tmp_path / "other")
    assert code == 2
    assert "ours_of_virtual_runs:twice" in err


# ── looks (`--abort-on-fail`): one run ended by them for real is in tests/live ───────────────────

WINDOW_NS = 4 * NS_PER_S


@pytest.fixture
def looked(scenario, tmp_path):
    """Look at a run of 24 s again and again while it "goes on"; (what ended it, how many looks)."""

    def looks_at(gates, profile="", **caller):
        asked = tmp_path / "profile.toml"
        asked.write_text(profile)
        path = scenario(sessions=8, duration="24s", gates=gates)
        assignments = [f"caller.{key}='{value}'" for key, value in caller.items()]
        options = RunOptions(
            path, out=tmp_path / "run",
            assignments=(f"reference.profile='{asked}'", *assignments),
        )  # fmt: skip
        whole, _ = run(options, Console(file=io.StringIO()))
        rows = list(read_log(whole.logs / "worker-0.log"))
        facts = whole.read()
        partly, looks = RunFolder.create(tmp_path / "partly"), EarlyStop(0)
        partly.write(facts)
        first_ns, end_ns = facts["plan"]["measured_from_ns"], facts["plan"]["measured_to_ns"]
        for now_ns in range(first_ns + WINDOW_NS // 4, end_ns, WINDOW_NS // 2):
            log = Log(partly.logs / "worker-0.log")
            for row in rows:
                if row.at_ns <= now_ns:
                    log.health(row) if isinstance(row, HealthRow) else log.append(row)
            log.close()
            ending = looks.take(take_checkpoint(partly.path, WINDOW_NS, now_ns, tmp_path))
            if ending is not None:
                return ending, looks.count
        return None, looks.count

    return looks_at


def test_a_server_that_answers_nobody_is_seen_when_the_callers_give_up(looked):
    ending, _ = looked(
        ["count(failed_turns) == 0"], "[failures]\nerrortype = 1.0\n", answer_timeout="3s"
    )
    assert ending["text"].endswith("into the run; nothing can mend that")
    assert ending["windows"][-1][1] < 12 * NS_PER_S


def test_a_gate_that_fails_all_along_ends_the_run_after_two_windows(looked):
    gate = "p50(first_audio_latency) < 10 ms"
    ending, looks = looked([gate, "share(answered) > 10 %"])
    assert (ending["rule"], ending["gate"]) == ("abort_on_fail", gate)
    first, last = ending["windows"][0], ending["windows"][-1]
    assert first[1] <= last[0]
    assert last[1] - last[0] == WINDOW_NS
    assert looks < 10


def test_a_run_whose_gates_hold_is_looked_at_to_its_end(looked):
    ending, looks = looked(["p50(first_audio_latency) < 10 s", "share(answered) > 10 %"])
    assert ending is None
    assert looks == 12


def test_a_gate_that_depends_on_a_baseline_reads_the_run_that_is_given(bench, scenario, tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    path = scenario(sessions=12, duration="6s")
    bench("run", path, "--out", first)
    gate = "p50(first_audio_latency) <= baseline + 50 %"
    code, out, _ = bench("run", path, "--out", second, "--gate", gate, "--baseline", first)
    assert code == 0, out
    slower = tmp_path / "slower.toml"
    slower.write_text("[response]\nfirst_delta_ms = 1200\n")
    code, out, _ = bench(
        "run", path, "--out", tmp_path / "c", "--gate", gate, "--baseline", first,
        "--set", f"reference.profile='{slower}'",
    )  # fmt: skip
    assert code == 1, out
    assert (
        json.loads((tmp_path / "c" / "verdict.json").read_text())["gates"][0]["verdict"] == "fail"
    )
