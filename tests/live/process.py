"""`bench` as a process of its own, and what there is to be seen of one while it runs."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
BENCH = [sys.executable, "-m", "bench"]
CALM = {
    "health.send_lateness": "'1m'", "health.client_lag": "'1m'", "health.hub_lag": "'1m'",
    "health.server_lateness": "'1m'", "health.cpu": "100", "health.steal": "100",
    "health.run_wait": "100", "health.neighbours": "100", "health.throttled": "100",
    "load.warmup": "'1s'", "load.drain": "'2s'",
}  # fmt: skip
"""Settings of a shipped scenario for tests of what was said and not of when: a busy machine voids
nothing."""


def settings(**assignments):
    """`CALM` and more as options of a command line."""
    return [f"--set={key}={value}" for key, value in (CALM | assignments).items()]


def start(*arguments, env=None, **options):
    """`bench …` of this checkout, under way, wherever it is started; `env` is added to ours."""
    environment = {**os.environ, **(env or {})}
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(ROOT), environment.get("PYTHONPATH")))
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        [*BENCH, *map(str, arguments)], **{"cwd": ROOT, "env": environment, **pipes, **options}
    )


def document(folder, name):
    return json.loads((folder / name).read_text())


def until(found, seconds=60.0):
    """What `found` returns once it is something."""
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


def under_way(folder, *arguments):
    """`bench run …` into `folder`, its sessions open."""
    process = start("run", *arguments, "--out", folder)
    until(lambda: sessions_open(folder) or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return process


def children(process):
    """Every process that a process has started."""
    return psutil.Process(process.pid).children(recursive=True)
