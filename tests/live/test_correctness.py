"""Servers that are wrong on purpose, over real sockets: each is found, by name and by number."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
BENCH = [sys.executable, "-m", "bench"]
# Bounds wide enough for a busy machine: what is asked here is what was said, not when.
CALM = [
    "health.send_lateness='5s'", "health.client_lag='5s'", "health.hub_lag='5s'",
    "health.steal=100", "health.cpu=100", "health.run_wait=100", "health.neighbours=100",
    "load.warmup='0s'",
]  # fmt: skip


def run(folder, scenario, *options, profile=""):
    """One short run; returns its exit code, what it printed and its summary."""
    asked = [*BENCH, "run", f"scenarios/{scenario}.toml", "--gates", "smoke", "--out", str(folder)]
    for assignment in CALM:
        asked += ["--set", assignment]
    if profile:
        path = folder.with_suffix(".toml")
        path.write_text(profile)
        asked += ["--set", f"reference.profile='{path}'"]
    done = subprocess.run(
        [*asked, *options], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, json.loads((folder / "summary.json").read_text())


def drawn(folder, name):
    """How often the server says that it did this: the truth."""
    lines = map(json.loads, (folder / "truth.jsonl").read_text().splitlines())
    draws = [draw for line in lines for draw in line.get("draws", ())]
    return sum(draw[2] for draw in draws if draw[0] == name)


@pytest.mark.parametrize(
    ("failure", "rules"),
    [
        ("order_violation", {"part_order", "audio_after_done"}),
        ("duplicate_done", {"response_done_once"}),
    ],
)
def test_every_breach_of_the_protocol_is_found_and_named(tmp_path, failure, rules):
    folder = tmp_path / "run"
    code, printed, summary = run(
        folder,
        "demo",
        "--sessions",
        "6",
        "--duration",
        "8s",
        profile=f"[failures]\n{failure} = 0.4\n",
    )
    assert code == 1
    found = {entry["rule"]: entry for entry in summary["violations"]}
    assert set(found) <= rules
    assert 0 < sum(entry["count"] for entry in found.values()) <= drawn(folder, failure)
    for rule, entry in found.items():
        assert f"violation {rule}" in printed
        assert any(event["culprit"] for event in entry["examples"][0]["events"])
        assert rule.replace("_", " ") in (folder / "report.html").read_text()


@pytest.mark.parametrize("scenario", ["demo", "push_to_talk"])  # into transcripts, into replies
def test_what_leaks_from_session_to_session_is_found_and_told_whose_it_is(tmp_path, scenario):
    folder = tmp_path / "run"
    code, printed, summary = run(
        folder, scenario, "--sessions", "8", "--duration", "10s",
        profile="[failures]\nleak = 0.5\n",
    )  # fmt: skip
    assert code == 1
    assert 0 < len(summary["leaks"]) <= drawn(folder, "leak")
    assert all(leak["session"] != leak["of_session"] for leak in summary["leaks"])
    assert "leak      session" in printed
    assert summary["violations"] == []


def test_a_marker_tells_a_leak_of_text_by_its_words(tmp_path):
    folder = tmp_path / "run"
    code, _, summary = run(
        folder, "text_chat", "--sessions", "6", "--duration", "4s",
        profile="[failures]\nleak = 0.3\n",
    )  # fmt: skip
    assert code == 1
    markers = [leak for leak in summary["leaks"] if "marker" in leak["what"]]
    assert markers or any(leak["words"] for leak in summary["leaks"])


def test_a_target_that_changed_the_format_is_obeyed_and_named(tmp_path):
    folder = tmp_path / "run"
    code, printed, summary = run(
        folder, "demo", "--sessions", "3", "--duration", "3s",
        "--set", "session.output_format='g711_ulaw'",
        "--gate", "count(unhonoured) == 0",
        profile="[quirks]\nrefuse_g711 = 1.0\n",
    )  # fmt: skip
    assert code == 1
    [change] = [entry for entry in summary["unhonoured"] if "format" in entry["path"]]
    assert change["path"] == "audio.output.format"
    assert "audio.output.format" in printed
    assert "audio.output.format" in (folder / "report.html").read_text()
    assert summary["outcomes"]["ok"] > 0


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ('{type="audio/pcm",rate=8000}', '"g711_ulaw"'),
        ('"g711_ulaw"', '{type="audio/pcm",rate=48000}'),
        ('"g711_alaw"', '{type="audio/pcm",rate=16000}'),
        ('{type="audio/pcm",rate=48000}', '"g711_alaw"'),
    ],
)
def test_speech_in_every_format_is_understood_and_heard(tmp_path, said, heard):
    folder = tmp_path / "run"
    code, _, summary = run(
        folder, "demo", "--sessions", "2", "--duration", "3s",
        "--set", f"session.input_format={said}", "--set", f"session.output_format={heard}",
    )  # fmt: skip
    assert code == 0
    rows = {(row["metric"], row["statistic"]): row for row in summary["rows"] if not row["filter"]}
    assert rows["word_error_rate", "share"]["value"] == 0
    latency = rows["voice_to_voice_latency", "p50"]
    assert latency["n"] > 0
    assert latency["value"] < 3000
    assert summary["unhonoured"] == []


def test_a_probe_is_kept_with_the_run_and_tells_unsupported_from_zero(tmp_path):
    folder = tmp_path / "run"
    code, _, summary = run(folder, "demo", "--sessions", "1", "--duration", "3s", "--probe")
    assert code == 0
    found = json.loads((folder / "probe.json").read_text())
    assert found["messages"]["rate_limits.updated"] == "not seen"
    assert found["messages"]["conversation.item.truncate"] == "seen"
    counts = {entry["type"]: entry["count"] for entry in summary["messages"]}
    assert counts["conversation.item.truncate"] == 0
    assert "unsupported" in (folder / "report.html").read_text()
