"""What goes wrong on the user's own side, in real processes: named, and never waited for.

What this program does wrong is put into its processes by a `sitecustomize` of their own, which
Python runs before anything else.
"""

import json
import re
import select
import socket
import time
from textwrap import dedent
from urllib.parse import urlencode
from urllib.request import urlopen

import pandas as pd
import pytest

from bench.runs.log import read_log
from tests.live.process import document, under_way, until

pytestmark = pytest.mark.live

KINDS = {
    "at its start": (
        """
        if os.environ.get("BENCH_PROCESS") == "1":
            sys.modules["locust"] = None
        """,
        ("worker process 1 was lost before the run began (exit code 1: ModuleNotFoundError",),
    ),
    "in prepare": (
        """
        if os.environ.get("BENCH_PROCESS") == "1":
            import bench.corpus.decode
            def broken(*_):
                raise LookupError("no such voice")
            bench.corpus.decode.utterance = broken
        """,
        ("this program failed: LookupError: no such voice",),
    ),
    "in its loop": (
        """
        if os.environ.get("BENCH_PROCESS") == "0":
            import bench.load.health
            def broken(*_):
                raise ArithmeticError("no such second")
            bench.load.health.Health.second = broken
        """,
        ("this program failed: ArithmeticError: no such second",),
    ),
    "in the master": (
        """
        if "BENCH_PROGRESS_FD" in os.environ:
            import bench.runs.job
            def broken(_):
                raise ZeroDivisionError("a bug")
            bench.runs.job.recall = broken
        """,
        ("this program failed: ZeroDivisionError: a bug",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", KINDS)
def test_whoever_fails_in_a_way_that_nobody_foresaw_is_named_at_once(
    bench, place, scenario, tmp_path
):
    body, told = KINDS[place]
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import os, sys\n" + dedent(body))
    folder, began = tmp_path / "run", time.monotonic()
    code, out, err = bench(
        "run", scenario(duration="90s"), "--workers", 2, "--out", folder,
        env={"PYTHONPATH": str(site)},
    )  # fmt: skip
    assert code == 3, out + err
    assert time.monotonic() - began < 60
    said = " ".join(out.split())
    assert "INVALID" in out
    assert all(words in said for words in told), said
    run = document(folder, "run.json")
    if run["plan"]["start_ns"] is None:  # nothing was measured, so nothing else was amiss
        reasons = document(folder, "verdict.json")["reasons"]
        assert reasons == [one["text"] for one in run["faults"]]
    assert "Traceback" not in out + err
    traces = [log.read_text() for log in (folder / "logs").glob("*.txt")]
    assert any("Traceback" in trace for trace in traces)
    assert document(folder, "verdict.json")["verdict"] == "invalid"


def test_a_worker_whose_disk_is_full_ends_the_run_and_what_it_wrote_is_read(
    bench, scenario, tmp_path
):
    """Its files may grow no more: to a program that is a full disk, for one process alone."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        dedent("""
        import os, resource
        if os.environ.get("BENCH_PROCESS") == "0":
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_001, 20_001))
    """)
    )
    folder, began = tmp_path / "run", time.monotonic()
    code, out, err = bench(
        "run", scenario(duration="90s"), "--workers", 2, "--out", folder,
        env={"PYTHONPATH": str(site)},
    )  # fmt: skip
    assert code == 3, out + err
    assert time.monotonic() - began < 60
    rules = {one["rule"]: one["text"] for one in document(folder, "run.json")["faults"]}
    assert "cannot be written any more (File too large)" in rules["disk"]
    assert re.match(r"worker \d wrote \d+ rows and \d+ were sealed", rules["rows"])
    assert "cannot be written any more" in " ".join(out.split()), err
    (cut,) = [log for log in (folder / "logs").glob("worker-*.log") if log.stat().st_size == 20_001]
    damages = []
    assert len(list(read_log(cut, damages.append))) > 50
    # Where the disk ends with a record, as it does now and then, none is cut short.
    assert ("its log is cut short after byte" in rules["rows"]) == bool(damages)


def test_a_script_that_is_at_fault_in_a_later_session_ends_the_run_of_all_workers(
    bench, scenario, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "ours_at_fault.py").write_text(
        "from bench.voice.scripts import HearOut, Say\nbegun = []\ndef once(part):\n"
        "    begun.append(1)\n    yield Say(part.lines[0])\n    yield HearOut()\n"
        "    if len(begun) > 3:\n        raise ValueError('not that')\n"
    )  # fmt: skip
    folder = tmp_path / "run"
    path = scenario(script="ours_at_fault:once", duration="90s")
    code, out, err = bench(
        "run", path, "--workers", 2, "--out", folder, env={"PYTHONPATH": str(tmp_path)}
    )
    told = f"({tmp_path}/ours_at_fault.py, line 8): raised ValueError: not that"
    assert (code, out) == (2, ""), out + err
    assert [line for line in err.splitlines() if line.startswith("bench:")] == [
        f"bench: script 'ours_at_fault:once' {told}; the run was ended, its folder is {folder}"
    ]
    run = document(folder, "run.json")
    assert run["plan"]["end_ns"] - run["plan"]["start_ns"] < 60e9
    assert len(pd.read_parquet(folder / "events.parquet")) == run["rows_sealed"] > 0
    assert run["rows_sealed"] == sum(run["rows_written"].values())
    trace = "".join(log.read_text() for log in (folder / "logs").glob("locust-*.txt"))
    assert "raise ValueError('not that')" in trace


def page(port, path, form=None):
    """What Locust's page answers, "" where it does not yet."""
    body = None if form is None else urlencode(form).encode()
    try:
        with urlopen(f"http://127.0.0.1:{port}/{path}", body, timeout=2) as answer:
            return answer.read().decode()
    except OSError:
        return ""


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_whoever_changes_the_load_in_locusts_page_is_told_of(scenario, tmp_path, port):
    folder = tmp_path / "run"
    process = under_way(folder, scenario(duration="90s"), "--web", "--web-port", port)
    assert page(port, "stats/reset", {})
    assert json.loads(page(port, "swarm", {"user_count": 2, "spawn_rate": 4}))["success"]
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, out + err
    run, verdict = document(folder, "run.json"), document(folder, "verdict.json")
    (found,) = run["faults"]
    assert found["rule"] == "load"
    assert "2 users, 4 a second, in place of 4, 4 a second; the run was ended" in found["text"]
    assert any("pressed reset in Locust's page" in remark for remark in verdict["remarks"])
    assert run["rows_sealed"] == sum(run["rows_written"].values()) > 0


def test_whoever_stops_the_run_in_locusts_page_is_told_of(scenario, tmp_path, port):
    folder = tmp_path / "run"
    process = under_way(folder, scenario(duration="90s"), "--web", "--web-port", port)
    assert until(lambda: page(port, "stats/requests"))
    page(port, "stop", {})  # which answers once the run has been drained
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, out + err
    (found,) = document(folder, "run.json")["faults"]
    assert found["rule"] == "short"
    assert "Locust's page did" in found["text"]


def test_a_port_that_is_taken_is_named_before_anything_starts(bench, scenario, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        for option, verb in (
            ("--web-port", ("run", scenario(), "--out", tmp_path / "run", "--web")),
            ("--port", ("serve", "--corpus", "no such corpus")),
        ):
            code, out, err = bench(*verb, option, taken)
            assert (code, out) == (2, "")
            assert f"cannot listen on 127.0.0.1 port {taken}: Address already in use" in err
            assert f"give another with {option}" in err
            assert len(err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_system_without_epoll_is_named_before_anything_starts(
    bench, scenario, tmp_path, monkeypatch
):
    monkeypatch.delattr(select, "epoll", raising=False)
    code, out, err = bench("run", scenario(), "--out", tmp_path / "run")
    assert (code, out) == (2, "")
    assert "sessions are held with epoll, and this system has none" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "run").exists()
