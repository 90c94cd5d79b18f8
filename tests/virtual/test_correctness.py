"""Servers that are wrong on purpose: each breach is found, by name and by number, and told.

One leak and one run in other formats go over real sockets as well (`tests/live/test_sockets.py`).
"""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from bench.corpus.manifest import load_corpus
from bench.corpus.removal import remove_utterances
from tests.small import drawn

EVERYDAY = Path(__file__).parents[2] / "audio_corpus" / "everyday"

pytestmark = pytest.mark.usefixtures("virtual")


@pytest.fixture
def told(bench, tmp_path):
    """Run a shipped scenario against a server of that profile.

    Returns the exit code, what was printed, the summary and the run folder.
    """

    def run(scenario, *options, profile=""):
        folder, path = tmp_path / "run", tmp_path / "profile.toml"
        path.write_text(profile)
        code, printed, err = bench(
            "run", f"scenarios/{scenario}.toml", "--gates", "smoke", "--out", folder,
            "--set", "load.warmup='0s'", "--set", f"reference.profile='{path}'", *options,
        )  # fmt: skip
        assert folder.exists(), err
        return code, printed, json.loads((folder / "summary.json").read_text()), folder

    return run


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize(
    ("failure", "rules"),
    [
        ("order_violation", {"part_order", "audio_after_done"}),
        ("duplicate_done", {"response_done_once"}),
    ],
)
def test_every_breach_of_the_protocol_is_found_and_named(told, failure, rules):
    code, printed, summary, folder = told(
        "demo", "--sessions", "6", "--duration", "20s", profile=f"[failures]\n{failure} = 0.4\n"
    )
    assert code == 1
    found = {entry["rule"]: entry for entry in summary["violations"]}
    assert set(found) == rules
    assert 0 < sum(entry["count"] for entry in found.values()) <= drawn(folder, failure)
    for rule, entry in found.items():
        assert f"violation {rule}" in printed
        assert any(event["culprit"] for event in entry["examples"][0]["events"])
        assert rule.replace("_", " ") in (folder / "report.html").read_text()


@pytest.mark.parametrize("scenario", ["demo", "push_to_talk"])  # into transcripts, into replies
def test_what_leaks_from_session_to_session_is_found_and_told_whose_it_is(told, scenario):
    code, printed, summary, folder = told(
        scenario, "--sessions", "8", "--duration", "15s", profile="[failures]\nleak = 0.5\n"
    )
    assert code == 1
    assert 0 < len(summary["leaks"]) <= drawn(folder, "leak")
    assert all(leak["session"] != leak["of_session"] for leak in summary["leaks"])
    assert "leak      session" in printed
    assert summary["violations"] == []


def test_a_server_over_a_corpus_without_replies_leaks_nothing(told, tmp_path):
    corpus = tmp_path / "callers"
    shutil.copytree(EVERYDAY, corpus)
    replies = [entry.id for entry in load_corpus(corpus).entries if "reply" in entry.tags]
    remove_utterances(corpus, replies)
    _, printed, summary, _ = told(
        "demo", "--sessions", "8", "--duration", "8s", "--set", f"corpus='{corpus}'"
    )
    assert summary["leaks"] == []
    assert "leak " not in printed


def test_a_marker_tells_a_leak_of_text_by_its_words(told):
    code, _, summary, _ = told(
        "text_chat", "--sessions", "6", "--duration", "4s", profile="[failures]\nleak = 0.3\n"
    )
    assert code == 1
    markers = [leak for leak in summary["leaks"] if "marker" in leak["what"]]
    assert markers or any(leak["words"] for leak in summary["leaks"])


@pytest.mark.usefixtures("pages")
def test_a_target_that_changed_the_format_is_obeyed_and_named(told):
    code, printed, summary, folder = told(
        "demo", "--sessions", "3", "--duration", "10s", "--gate", "count(unhonoured) == 0",
        "--set", "session.output_format='g711_ulaw'", profile="[quirks]\nrefuse_g711 = 1.0\n",
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
def test_speech_in_every_format_is_understood_and_heard(told, said, heard):
    code, _, summary, folder = told(
        "demo", "--sessions", "4", "--duration", "20s",
        "--set", f"session.input_format={said}", "--set", f"session.output_format={heard}",
        profile="[response]\nleading_silence_ms = 120\n",
    )  # fmt: skip
    assert code == 0
    rows = {(row["metric"], row["statistic"]): row for row in summary["rows"] if not row["filter"]}
    assert rows["word_error_rate", "share"]["value"] == 0
    assert summary["unhonoured"] == []
    turns = pd.read_parquet(folder / "turns.parquet")
    answered = turns[turns.outcome == "ok"]
    assert len(answered) >= 8
    # What the profile says of the reply's beginning is heard in every format, window by window.
    assert set(answered.leading_silence.dropna()) == {120.0}


@pytest.mark.parametrize(
    ("failures", "outcome", "reason"),
    [
        ("refuse = 1.0\nrefuse_status = 401", "refused", "HTTP 401"),
        ("close_at_once = 1.0", "closed", "close code 1011"),
        ("malformed = 1.0", "malformed", ""),
        ("binary = 1.0", "binary", "a binary message of"),
    ],
)
def test_a_server_that_lets_every_session_down_is_a_result_by_name(told, failures, outcome, reason):
    code, _, _, folder = told(
        "demo", "--sessions", "3", "--duration", "12s", profile=f"[failures]\n{failures}\n"
    )
    assert code == 1
    sessions = pd.read_parquet(folder / "sessions.parquet")
    assert set(sessions.outcome) == {outcome}
    assert sessions.reason.str.contains(reason).all(), set(sessions.reason)
    turns = pd.read_parquet(folder / "turns.parquet")
    assert not turns.answered.any()
    if outcome == "refused":
        assert set(turns.outcome) == {"rejected"}
