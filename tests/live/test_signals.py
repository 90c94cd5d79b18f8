"""Runs that are broken off: a worker killed, Ctrl-C once and twice, their parent gone."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import psutil
import pytest

from bench.load.locust_process import PARENT_VARIABLE
from tests.live.process import bench as run_bench
from tests.live.process import children, document, under_way

pytestmark = pytest.mark.live


def test_a_worker_that_is_killed_makes_the_run_invalid_and_the_report_says_so(scenario, tmp_path):
    folder = tmp_path / "run"
    process = under_way(folder, scenario(duration="4s"), "--workers", 2)
    workers = [child for child in children(process) if "--worker" in child.cmdline()]
    assert len(workers) == 2
    killed = next(child for child in workers if child.environ()["BENCH_PROCESS"] == "1")
    killed.send_signal(signal.SIGKILL)
    out, err = process.communicate(timeout=90)
    assert "Traceback" not in err
    assert process.returncode == 3, out
    assert "INVALID" in out
    assert "worker process 1 was lost" in " ".join(out.split())
    assert "SIGKILL" in " ".join(out.split())
    assert "SIGKILL" in (folder / "report.html").read_text()
    assert len(pd.read_parquet(folder / "events.parquet")) > 0


def test_ctrl_c_drains_seals_and_reports_what_there_is(scenario, tmp_path):
    folder = tmp_path / "run"
    process = under_way(folder, scenario(duration="60s"))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    run = document(folder, "run.json")
    assert run["interrupted"]
    assert run["rows_sealed"] == sum(run["rows_written"].values()) > 0
    assert (folder / "report.html").exists()
    assert "turns" in out


def test_a_second_ctrl_c_ends_at_once_and_the_folder_can_still_be_sealed(scenario, tmp_path):
    folder = tmp_path / "run"
    process = under_way(folder, scenario(duration="60s"))
    process.send_signal(signal.SIGINT)
    time.sleep(0.4)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - began < 10
    assert "bench report" in " ".join(err.split())
    assert not (folder / "events.parquet").exists()
    code, out, _ = run_bench("report", folder)
    assert code == 3, out  # no worker was drained
    assert len(pd.read_parquet(folder / "events.parquet")) > 0
    assert (folder / "report.html").exists()


def test_nothing_is_left_running_when_the_run_itself_is_killed(scenario, tmp_path):
    process = under_way(tmp_path / "run", scenario(duration="60s"))
    started = children(process)
    assert len(started) >= 3
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive


def test_a_locust_process_whose_parent_is_gone_ends_before_locust_begins():
    command = [sys.executable, "-m", "bench.load.locust_process", "--version"]
    gone = {**os.environ, PARENT_VARIABLE: str(os.getppid())}
    done = subprocess.run(command, env=gone, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    gone[PARENT_VARIABLE] = str(os.getpid())
    done = subprocess.run(command, env=gone, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("locust")
