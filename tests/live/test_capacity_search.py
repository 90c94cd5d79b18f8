"""A real search for a capacity that is killed, with real processes and sockets."""

import signal

import psutil
import pytest

from tests.live.process import children, document, start, until

pytestmark = [pytest.mark.live, pytest.mark.slow]


def test_a_search_that_is_killed_loses_the_run_under_way_and_no_other(bench, scenario, tmp_path):
    """Guards the runs of a capacity search that is killed."""
    place = tmp_path / "search"
    path = scenario(sessions=1, turns=1)
    asked = ("capacity", path, "--slo", "p50(first_audio_latency) < 10 s", "--max-sessions", 2)
    process = start(*asked, "--out", place)
    until(lambda: (place / "02-bracket-2" / "logs").exists() or process.poll() is not None, 90)
    started = children(process)
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive
    before = document(place, "capacity.json")
    assert ([one["run"] for one in before["probes"]], before["complete"]) == (
        ["01-bracket-1"], False,
    )  # fmt: skip
    code, out, err = bench(*asked, "--resume", place)
    assert code == 0, (out, err)
    found = document(place, "capacity.json")
    assert [one["run"] for one in found["probes"]] == [
        "01-bracket-1",
        "02-bracket-2-2",
        "03-hold-2",
    ]
    assert found["probes"][0] == before["probes"][0]
    (tier,) = found["tiers"]
    assert (tier["capacity"], tier["at_least"], tier["limit"]) == (2, True, "--max-sessions 2")
    for one in found["probes"]:  # the embedded server's own gauges, asked of nobody
        assert one["gauges"]["bench_sessions_open"]["mean"] > 0.5
    assert "slo: at least 2 sessions" in " ".join(out.split())
