"""The scripts of CI around a real run, and the pytest plugin's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from junitparser import JUnitXml

from bench.pytest_plugin import Bench, assert_gate

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
# Judged by what was said and not by when: a busy machine voids nothing.
CALM = {
    "load.warmup": "'1s'",
    "health.share": 100,
    "health.cpu": 100,
    "health.server_lateness": "'5s'",
}


def test_a_pipeline_runs_judges_and_summarises(tmp_path):
    program = tmp_path / "bench"
    program.write_text(f'#!/usr/bin/env bash\nexec {sys.executable} -m bench "$@"\n')
    program.chmod(0o755)
    output, summary = tmp_path / "output", tmp_path / "summary"
    environment = {
        **os.environ, "BENCH": str(program), "BENCH_SCENARIO": "scenarios/demo.toml",
        "BENCH_SESSIONS": "2", "BENCH_DURATION": "15s", "BENCH_GATE_PROFILE": "smoke",
        "BENCH_GATES": "count(errors) <= 0\np99(first_audio_latency) < 9 s",
        "BENCH_ARGS": "\n".join(f"--set={key}={value}" for key, value in CALM.items()),
        "BENCH_OUT": str(tmp_path / "out"), "BENCH_INCONCLUSIVE": "warn",
        "BENCH_FOLDER": str(tmp_path / "out" / "run-1"), "BENCH_EXIT_CODE": "4",
        "GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(summary),
    }  # fmt: skip
    for script in ("run", "summary"):
        done = subprocess.run(
            ["bash", f"ci/{script}.sh"], cwd=ROOT, env=environment, text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        if script == "run":
            assert "::warning title=bench%3A inconclusive%2C p99(first_audio" in done.stdout
    assert "verdict=inconclusive\nexit-code=4\ntries=1\n" in output.read_text()
    told = summary.read_text()
    assert told.startswith("## ❔ INCONCLUSIVE: demo against reference\n")
    assert "**pass** | count(errors) &lt;= 0" in told
    gates, _ = JUnitXml.fromfile(str(tmp_path / "out" / "run-1" / "junit.xml"))
    assert gates.errors == 1


def test_a_team_can_assert_gates_on_a_run_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    run = Bench(tmp_path).run(
        "scenarios/demo.toml", sessions=2, duration="15s", gates="smoke", set=CALM, max_minutes=5
    )
    assert run.verdict == "pass", run.reasons
    assert_gate(run, "max(first_audio_latency) < 9 s")
    with pytest.raises(AssertionError, match="fail: max"):
        assert_gate(run, "max(first_audio_latency) < 1 ms")
