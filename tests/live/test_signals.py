"""Runs that are broken off: a worker killed, Ctrl-C once and twice, their parent gone."""

import signal
import time

import pandas as pd
import psutil
import pytest

from tests.live.process import children, document, start, under_way, until

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


def test_a_second_ctrl_c_ends_at_once_and_the_folder_can_still_be_sealed(bench, scenario, tmp_path):
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
    code, out, _ = bench("report", folder)
    assert code == 3, out  # no worker was drained
    assert len(pd.read_parquet(folder / "events.parquet")) > 0
    assert (folder / "summary.json").exists()


def test_nothing_is_left_running_when_the_run_itself_is_killed(scenario, tmp_path):
    process = under_way(tmp_path / "run", scenario(duration="60s"))
    started = children(process)
    assert len(started) >= 3
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive


def test_an_embedded_server_that_is_killed_ends_the_run_and_is_named(scenario, tmp_path):
    folder = tmp_path / "run"
    process = under_way(folder, scenario(duration="60s"))
    (server,) = [one for one in children(process) if "bench.reference" in one.cmdline()]
    server.kill()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, out + err
    (found,) = document(folder, "run.json")["faults"]
    assert (found["rule"], found["text"]) == (
        "reference", "the embedded reference server ended in mid-run",
    )  # fmt: skip
    assert "Traceback" not in err


def gone(started):
    """Whether none of them is left soon: in three seconds where nothing else runs."""
    return not psutil.wait_procs(started, timeout=10)[1]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_whoever_ends_a_run_in_its_start_leaves_nothing_running_and_what_there_is_sealed(
    how, scenario, tmp_path
):
    folder = tmp_path / "run"
    # Whoever starts the tests with nohup has SIGHUP ignored, and so would all that they start.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    process = start("run", scenario(duration="60s"), "--out", folder)
    signal.signal(signal.SIGHUP, before)
    started = until(lambda: (folder / "run.json").exists() and children(process))
    process.send_signal(how)
    assert gone(started)
    out, err = process.communicate(timeout=30)
    assert "Traceback" not in err
    if how != signal.SIGKILL:
        assert process.returncode == 130, out + err
        assert document(folder, "run.json")["interrupted"]
        verdict = document(folder, "verdict.json")
        assert (verdict["verdict"], verdict["reasons"]) == (
            "invalid", ["the run was ended before its load began"],
        )  # fmt: skip
        assert (folder / "events.parquet").exists()


def test_ctrl_c_while_locust_comes_up_ends_at_once_and_blames_nobody(scenario, tmp_path):
    """No session is there that could finish: a master that waits for workers is not waited for."""
    folder = tmp_path / "run"
    process = start("run", scenario(duration="60s"), "--out", folder)
    started = until(lambda: (folder / "logs" / "locust-0.txt").exists() and children(process))
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, gone(started)) == (130, True), out + err
    assert time.monotonic() - began < 30
    assert document(folder, "verdict.json")["reasons"] == [
        "the run was ended before its load began"
    ]


@pytest.mark.parametrize("how", [signal.SIGTERM])
def test_a_signal_that_is_no_ctrl_c_cuts_the_load_at_once_and_seals_it(how, scenario, tmp_path):
    folder = tmp_path / "run"
    process = under_way(folder, scenario(duration="60s"))
    started = children(process)
    process.send_signal(how)
    assert gone(started)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    run = document(folder, "run.json")
    assert run["rows_sealed"] == sum(run["rows_written"].values()) > 0
    assert (folder / "report.html").exists()


SLOW_SEAL = """
import os, pathlib, sys, time
def wait(*_):
    pathlib.Path(os.environ["SEALING"]).touch()
    time.sleep(600)
class Finder:
    def find_spec(self, name, *_):
        if name == "bench.analysis.pipeline":
            import bench.cli.run_result
            bench.cli.run_result.seal_logs = wait
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("how", [signal.SIGTERM])
def test_whoever_ends_the_sealing_is_told_how_to_go_on(how, scenario, tmp_path):
    site, folder = tmp_path / "site", tmp_path / "run"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SLOW_SEAL)
    told = {"PYTHONPATH": str(site), "SEALING": str(tmp_path / "sealing")}
    process = start("run", scenario(duration="1s", warmup="0s"), "--out", folder, env=told)
    until((tmp_path / "sealing").exists)
    assert not children(process)
    process.send_signal(how)
    out, err = process.communicate(timeout=3)
    assert (process.returncode, out) == (130, "")
    assert "ended at once; `bench report" in " ".join(err.split())
    assert "Traceback" not in err
