"""A shipped scenario over real sockets, as CI runs one: by the pipeline's own scripts.

All of them play whole in `tests/virtual`; `make tour-all` runs every one for real.
"""

import os
import subprocess
import sys

import pytest
from junitparser import JUnitXml

from tests.live.process import ROOT, settings

pytestmark = pytest.mark.live


def test_a_pipeline_runs_mixed_judges_and_summarises(tmp_path):
    program = tmp_path / "bench"
    program.write_text(f'#!/usr/bin/env bash\nexec {sys.executable} -m bench "$@"\n')
    program.chmod(0o755)
    output, summary = tmp_path / "output", tmp_path / "summary"
    environment = {
        **os.environ, "BENCH": str(program), "BENCH_SCENARIO": "scenarios/mixed.toml",
        "BENCH_DURATION": "5s", "BENCH_GATE_PROFILE": "smoke",
        "BENCH_GATES": "count(errors) <= 0\np99(first_audio_latency) < 9 s",
        "BENCH_ARGS": "\n".join(settings()),
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
    assert told.startswith("## ❔ INCONCLUSIVE: mixed against reference\n")
    for gate in ("count(errors) &lt;= 0", "count(failed_turns) == 0", "count(leaks) == 0"):
        assert f"**pass** | {gate}" in told
    gates, _ = JUnitXml.fromfile(str(tmp_path / "out" / "run-1" / "junit.xml"))
    assert gates.errors == 1
