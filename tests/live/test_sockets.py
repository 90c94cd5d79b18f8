"""What `tests/virtual` shows exactly, once each over real sockets: a leak, other formats, an A/B
and a calibration."""

import json

import pytest

from bench.analysis.calibration import fingerprint, read_calibration
from tests.live.process import document, settings
from tests.small import drawn

pytestmark = pytest.mark.live

SLOWER_MS = 600
"""So much that a machine which others use as well cannot hide it."""
BIAS_MS = 1.0
"""Of a machine that others use too; an otherwise idle one is held to 0.3 (`make bench`)."""


def test_what_leaks_from_session_to_session_is_found_and_told_whose_it_is(bench, tmp_path):
    folder, profile = tmp_path / "run", tmp_path / "leaking.toml"
    profile.write_text("[failures]\nleak = 0.5\n")
    code, printed, err = bench(
        "run", "scenarios/text_chat.toml", "--gates", "smoke", "--sessions", 6, "--duration", "3s",
        *settings(**{"reference.profile": f"'{profile}'"}), "--out", folder,
    )  # fmt: skip
    assert code == 1, printed + err
    leaks = document(folder, "summary.json")["leaks"]
    assert 0 < len(leaks) <= drawn(folder, "leak")
    assert all(leak["session"] != leak["of_session"] for leak in leaks)
    assert "leak      session" in printed


@pytest.mark.usefixtures("pages")
def test_g711_is_understood_and_heard_and_a_probe_tells_unsupported_from_zero(
    bench, scenario, tmp_path
):
    folder = tmp_path / "run"
    spoken = {
        "session.input_format": '"g711_ulaw"', "session.output_format": '"g711_alaw"',
    }  # fmt: skip
    code, printed, err = bench(
        "run", scenario(sessions=3, duration="3s", gates=["share(answered) > 20 %"]), "--probe",
        *settings(**spoken), "--out", folder,
    )  # fmt: skip
    assert code == 0, printed + err
    summary = document(folder, "summary.json")
    rows = {(row["metric"], row["statistic"]): row for row in summary["rows"] if not row["filter"]}
    assert rows["word_error_rate", "share"]["value"] == 0
    assert rows["voice_to_voice_latency", "p50"]["n"] > 0
    assert summary["unhonoured"] == []
    found = document(folder, "probe.json")
    assert found["messages"]["rate_limits.updated"] == "not seen"
    assert found["messages"]["conversation.item.truncate"] == "seen"
    counts = {entry["type"]: entry["count"] for entry in summary["messages"]}
    assert counts["conversation.item.truncate"] == 0
    assert "unsupported" in (folder / "report.html").read_text()


def test_a_b_finds_the_slower_side_and_the_stage_that_carries_it(bench, scenario, tmp_path):
    slower = tmp_path / "slower.toml"
    slower.write_text(f"[response]\nfirst_delta_ms = {350 + SLOWER_MS}\n")
    base = tmp_path / "base.toml"
    base.write_text("[response]\nfirst_delta_ms = 350\n")
    code, out, err = bench(
        "ab", scenario(sessions=24, duration="3s"), "--pairs", 1, "--out", tmp_path / "ab",
        "--set-a", f"reference.profile='{slower}'", "--set-b", f"reference.profile='{base}'",
    )  # fmt: skip
    assert code == 1, out + err
    found = document(tmp_path / "ab", "comparison.json")
    rows = {(row["metric"], row["statistic"]): row for row in found["rows"]}
    assert rows["response_latency", "p50"]["verdict"] == "regressed"
    stages = {stage["stage"]: stage["difference"] for stage in found["attribution"]}
    assert stages["generation"] == pytest.approx(SLOWER_MS, abs=0.3 * SLOWER_MS)
    assert abs(stages["endpointing"]) < 0.3 * SLOWER_MS
    assert (tmp_path / "ab" / "comparison.html").stat().st_size > 100_000


def test_a_calibration_tells_the_error_of_stamps_and_figures(bench, scenario, tmp_path):
    """Of interruptions, too. What is asked here is order; speed is asked by `make bench`."""
    path = tmp_path / "calibration.json"
    code, out, err = bench(
        "calibrate", scenario(script="barge_in"), "--sessions", "2", "--duration", "5s", "--json",
        "--keep", "--out", path, cwd=tmp_path,
    )  # fmt: skip
    (one,) = json.loads(out)
    events, audio = one["events"], one["metrics"]["first_audio_latency"]
    assert events["n"] > 50, err
    assert (events["lost"], events["extra"]) == (0, 0)
    # What comes in bursts is open for no longer than the loop was awake, and a loop that a busy
    # machine keeps awake sends late as well.
    assert events["covered"] >= 97
    assert events["width_p99_ms"] < 10 + 5 * one["sends"]["p99_ms"]
    assert 0 < events["p50_ms"] < BIAS_MS
    assert events["p1_ms"] <= events["p50_ms"] <= events["p99_ms"] <= events["max_ms"]
    assert audio["n"] >= 2
    assert abs(audio["bias_ms"]) < BIAS_MS
    assert one["metrics"]["barge_in_silence"]["n"] >= 1
    assert 0 < one["cpu_per_session"] < 1
    assert one["fit"] == (not one["why"])
    assert code == (0 if one["fit"] else 3)
    document_ = read_calibration(path)
    assert document_["results"] == [one]
    (run,) = (tmp_path / "reports").iterdir()
    assert fingerprint(document(run, "run.json")) == document_["host"]
