"""Real trouble beside a real run: who has the core, and what the network loses.

A *hog* is a few processes that use a core whole, under that name. Beside the generator it voids the
run; beside the server only, it makes the server slow, which is a result. Each test is a command:

    pytest -m slow tests/live/test_health.py -k generator
    pytest -m slow tests/live/test_health.py -k server
    pytest -m slow tests/live/test_health.py -k network
"""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from tests.live.process import BENCH, ROOT, settings, start

pytestmark = [
    pytest.mark.live,
    pytest.mark.slow,
    pytest.mark.skipif(
        len(getattr(os, "sched_getaffinity", lambda _: {0})(0)) < 2, reason="needs two cores"
    ),
]

HOG = (
    "import os, sys, time\n"
    "os.sched_setaffinity(0, {int(sys.argv[1])})\n"
    "end = time.monotonic() + 60\n"
    "while time.monotonic() < end and os.getppid() == int(sys.argv[2]): pass\n"
)
SERVER_CORE, WORKER_CORE = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))


@contextmanager
def hog(core, place, count):
    """So many processes that want a core for themselves; gone at the end, or after a minute.

    Each in a session of its own, for Linux may give all processes of one as much as any other one.
    """
    program = place / "hog"  # the kernel names a process by the file that it was started from
    program.unlink(missing_ok=True)
    program.symlink_to(sys.executable)
    command = [program, "-S", "-c", HOG, str(core), str(os.getpid())]
    running_ones = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for process in running_ones:
            process.kill()
            process.wait()


def documents(folder):
    names = ("verdict.json", "run.json", "summary.json")
    return [json.loads((folder / name).read_text()) for name in names]


def latency(summary, metric="first_audio_latency"):
    return next(
        row["value"]
        for row in summary["rows"]
        if (row["metric"], row["statistic"], row["filter"]) == (metric, "p50", "")
    )


PINNED = ("--pin", "--set", "health.hub_lag='2s'")


def test_a_hog_beside_the_generator_voids_the_run_and_is_named(scenario, tmp_path):
    """Guards validity: who shares the generator's core makes its figures worthless."""
    folder = tmp_path / "run"
    path = scenario(sessions=6, duration="8s", gates=["count(turns) > 0"])
    process = start("run", path, *PINNED, "--set", "health.neighbours=60", "--out", folder)
    while (
        not (folder / "run.json").exists()
        or not json.loads((folder / "run.json").read_text())["plan"]["start_ns"]
    ):
        time.sleep(0.1)
        assert process.poll() is None
    time.sleep(4)  # in mid-run
    with hog(WORKER_CORE, tmp_path, 2):
        time.sleep(3.5)
    out, err = process.communicate(timeout=60)
    verdict, run, _ = documents(folder)
    assert process.returncode == 3, out + err
    assert run["pinned"]
    assert run["worker_cores"] == [[WORKER_CORE]]
    broken = {check["rule"]: check for check in verdict["validity"] if not check["ok"]}
    assert "neighbours" in broken, verdict
    check = broken["neighbours"]
    assert "hog (process " in check["text"]
    assert f"on core {WORKER_CORE}" in check["text"]
    assert 0 < check["from_s"] < check["to_s"] <= 10  # and when
    assert "hog" in out
    assert "hog" in (folder / "report.html").read_text()


def test_a_hog_beside_the_server_alone_is_a_slow_server_and_a_valid_run(bench, scenario, tmp_path):
    """Guards validity the other way: a slow server is a result and voids nothing."""
    path = scenario(sessions=6, duration="6s", gates=["count(turns) > 0"])
    told = {}
    for name, count in (("calm", 0), ("hogged", 30)):
        with hog(SERVER_CORE, tmp_path, count):
            code, out, err = bench("run", path, *PINNED, "--out", tmp_path / name)
        assert code == 0, out + err
        told[name] = documents(tmp_path / name)
    verdict, run, summary = told["hogged"]
    # That nobody else is beside the generator is not asked here: the machine may be shared.
    assert all(check["ok"] for check in verdict["validity"])
    assert "hog" not in json.dumps(verdict)
    assert any(seen["name"] == "hog" for seen in run["neighbours"])
    late = {name: run["reference"]["late_p99_ms"] for name, (_, run, _) in told.items()}
    assert late["hogged"] > late["calm"] + 5, late
    more = latency(summary) - latency(told["calm"][2])
    assert more > 5, f"{more:.1f} ms, and the server was {late} ms late"
    # Ours was none of it.
    turns = pd.read_parquet(tmp_path / "hogged" / "turns.parquet")
    assert set(turns["slowed_by"]) == {"server"}


NAMESPACE = f"bench-{os.getpid()}"


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True)


@pytest.fixture
def narrow():
    """A network namespace of its own, whose loopback loses what does not fit in its queue."""
    if shutil.which("ip") is None or shutil.which("tc") is None:
        pytest.skip("ip and tc (iproute2) are not installed")
    if ip("netns", "add", NAMESPACE, check=False).returncode:
        pytest.skip("network namespaces are not permitted here")
    inside = ["ip", "netns", "exec", NAMESPACE]
    try:
        ip("netns", "exec", NAMESPACE, "ip", "link", "set", "lo", "up", "mtu", "1500")
        queue = ["tbf", "rate", "4mbit", "burst", "5kb", "limit", "20kb"]
        command = [*inside, "tc", "qdisc", "replace", "dev", "lo", "root", *queue]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("this kernel has no token bucket to lose packets in")
        yield inside
    finally:
        ip("netns", "del", NAMESPACE, check=False)


def test_turns_whose_segments_the_network_lost_are_the_networks(narrow, tmp_path):
    """Guards the blame: what the network lost is neither the server's nor ours."""
    folder = tmp_path / "run"
    command = [
        *narrow, *BENCH, "run", "scenarios/demo.toml", "--sessions", "2",
        "--duration", "12s", "--out", str(folder), *settings(**{"load.drain": "'6s'"}),
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in {0, 1, 4}, done.stdout + done.stderr
    turns = pd.read_parquet(folder / "turns.parquet")
    lost = turns[turns["segments_lost"] > 0]
    assert len(lost), turns[["turn", "outcome", "segments_lost"]]
    assert set(lost["slowed_by"]) == {"network"}
    assert set(turns.loc[turns["segments_lost"] == 0, "slowed_by"]) <= {"server"}
    health = pd.read_parquet(folder / "health.parquet")
    assert health["retransmits"].sum() + health["disorder"].sum() > 0
    assert Path(folder / "report.html").exists()
