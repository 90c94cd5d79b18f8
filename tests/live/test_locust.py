"""The bench inside plain `locust -f`: a team's own locustfile, local and distributed."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from bench.runs import child_process
from tests.live.process import ROOT, document

pytestmark = pytest.mark.live

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
        child_process.command("bench.reference", "--port", "0"),
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
    locustfile.write_text(LOCUSTFILE.format(scenario=str(scenario()), target=reference))
    done = subprocess.run(
        [sys.executable, "-m", "locust", "-f", locustfile, "--headless", "-u", "6", "-r", "6",
         "-t", "4s", "--only-summary", *processes],
        cwd=ROOT, capture_output=True, text=True, timeout=90,
        env={**os.environ, "BENCH_REPORTS": str(tmp_path / "reports")}, check=False,
    )  # fmt: skip
    talk = done.stdout + done.stderr
    folders = list((tmp_path / "reports").glob("*-small"))
    assert len(folders) == 1, talk
    run = document(folders[0], "run.json")
    assert run["rows_sealed"] == sum(run["rows_written"].values()) > 0, talk
    assert (folders[0] / "report.html").exists()
    turns = pd.read_parquet(folders[0] / "turns.parquet")
    assert (turns.outcome == "ok").sum() >= 2
    assert "beat" in talk  # the ordinary users ran beside
    assert "small" in talk  # and Locust's own view has the turns
