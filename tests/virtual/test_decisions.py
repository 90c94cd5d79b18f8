"""Comparisons of whole runs of servers whose truth is known: what differs, and by how much.

Four versions of a server (one and the same twice, one that thinks 10 % longer, one 1 %) and one
session setting (100 ms more of VAD silence), three runs each. Runs of one round draw the same; the
server that is "the same" draws anew, so two of its runs differ as two hours of a day do. One A/B
over real sockets is in `tests/live/test_sockets.py`.
"""

import json

import pytest

from bench.plan.metrics import METRICS
from tests.small import write_scenario
from tests.virtual_run import virtual_run

pytestmark = pytest.mark.usefixtures("virtual")

ROUNDS = 3
THINKING_MS = 350
SILENCE_MS, MORE_SILENCE_MS = 300, 400
EXACT_MS = 0.6
"""Of a mean: a turn more or less is in the window where turns take longer."""
WHOLE = "voice_to_voice_latency"
AFTER_ENDPOINTING = {
    WHOLE, "first_audio_latency", "first_transcript_latency", "endpointing_delay",
    "endpointing_error", "transcription_delay",
}  # fmt: skip
"""What contains the wait for the end of speech."""
PROFILE = """[response]
first_delta_ms = {{ kind = "lognormal", median_ms = {thinking}, sigma = 0.08 }}
"""
TIMES = {"base": 1.0, "again": 1.0, "tenth": 1.1, "hundredth": 1.01, "silence": 1.0}


@pytest.fixture(scope="module")
def runs(corpus, tmp_path_factory):
    """Run folders by what was run."""
    place = tmp_path_factory.mktemp("decisions")
    scenario = write_scenario(place / "talk.toml", corpus, sessions=30, duration="6s")
    found = {name: [] for name in TIMES}
    for number in range(ROUNDS):
        for name, times in TIMES.items():
            path = place / f"{name}-{number}.toml"
            seed = number + (100 if name == "again" else 0)
            path.write_text(f"seed = {seed}\n" + PROFILE.format(thinking=THINKING_MS * times))
            silence = MORE_SILENCE_MS if name == "silence" else SILENCE_MS
            outcome = virtual_run(
                scenario, place / f"{name}-{number}", drawn=False,
                assignments={
                    "reference.profile": f"'{path}'",
                    "session.turn_detection.silence_duration_ms": silence,
                },
            )  # fmt: skip
            assert outcome.code == 0, outcome.verdict["reasons"]
            found[name].append(outcome.folder.path)
    return found


@pytest.fixture
def compared(bench, runs, tmp_path):
    """(exit code, comparison.json, what the terminal says) of a candidate against the base."""

    def compare(name, *options, refused=False):
        code, out, err = bench(
            "compare", *runs[name], "--against", *runs["base"], "--out", tmp_path, *options
        )
        if refused:
            return code, None, err
        assert (tmp_path / "comparison.html").stat().st_size > 100_000, err
        return code, json.loads((tmp_path / "comparison.json").read_text()), out

    return compare


def rows_of(found):
    return {(row["metric"], row["statistic"]): row for row in found["rows"]}


def stages_of(found):
    return {stage["stage"]: stage for stage in found["attribution"]}


def test_the_same_server_twice_is_no_change(compared):
    code, found, out = compared("again")
    assert found["replayed"]
    assert found["runs_seen"]
    deciding = [row for row in found["rows"] if row["family"]]
    assert len(deciding) >= 6
    assert {row["verdict"] for row in deciding} <= {"unchanged", "inconclusive"}, out
    assert code in {0, 4}
    latency = rows_of(found)["response_latency", "p50"]
    assert latency["a"] != latency["b"]  # two of its runs are not one and the same


def test_a_server_that_thinks_a_tenth_longer_has_regressed_and_generation_carries_it(compared):
    code, found, out = compared("tenth")
    assert (code, found["verdict"]) == (1, "regressed"), out
    row = rows_of(found)["response_latency", "p50"]
    assert row["verdict"] == "regressed"
    assert 1.09 < row["ratio"] < 1.11
    assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
    stages = stages_of(found)
    assert stages["generation"]["difference"] == pytest.approx(0.1 * THINKING_MS, abs=2)
    assert stages["generation"]["share"] == pytest.approx(100, abs=3)
    for name, stage in stages.items():
        assert name in {"generation", WHOLE} or abs(stage["difference"]) < EXACT_MS, stage


def test_a_hundredth_is_no_alarm_and_says_what_could_have_been_seen(compared):
    code, found, out = compared("hundredth")
    assert code in {0, 4}, out
    for row in found["rows"]:
        if row["family"]:
            assert row["verdict"] in {"unchanged", "inconclusive"}, row
    row = rows_of(found)["response_latency", "p50"]
    assert 0 < row["smallest_detectable"] < 0.25 * row["b"]
    assert "sees: the smallest change that would have been called" in out


def test_more_silence_shows_in_endpointing_and_nowhere_else(compared):
    code, _, err = compared("silence", refused=True)
    assert code == 2
    assert "session.turn_detection.silence_duration_ms 400 and 300" in err
    code, found, out = compared("silence", "--allow")
    assert (code, found["verdict"]) == (1, "regressed"), out
    assert "silence_duration_ms 400 and 300" in found["remarks"][0]
    stages = stages_of(found)
    assert stages["endpointing"]["difference"] == pytest.approx(100, abs=EXACT_MS)
    assert stages["endpointing"]["share"] == pytest.approx(100, abs=5)
    for name, stage in stages.items():
        assert name in {"endpointing", WHOLE} or abs(stage["difference"]) < EXACT_MS, stage
    changed = {
        row["metric"] for row in found["rows"]
        if row["verdict"] in {"regressed", "improved"} and METRICS[row["metric"]].of == "turn"
    }  # fmt: skip
    assert {"endpointing_delay", WHOLE} <= changed <= AFTER_ENDPOINTING


@pytest.mark.parametrize(("times", "code", "verdict"), [(1.5, 1, "regressed"), (1.0, 4, "")])
def test_ab_plays_both_sides_in_turn_and_ends_with_their_verdict(
    bench, scenario, tmp_path, times, code, verdict
):
    for side, thinking in (("a", THINKING_MS * times), ("b", THINKING_MS)):
        (tmp_path / f"{side}.toml").write_text(PROFILE.format(thinking=thinking))
    told, _, err = bench(
        "ab", scenario(sessions=12, duration="6s"), "--pairs", 2, "--out", tmp_path / "ab",
        "--set-a", f"reference.profile='{tmp_path}/a.toml'",
        "--set-b", f"reference.profile='{tmp_path}/b.toml'",
    )  # fmt: skip
    assert told == code, err
    found = json.loads((tmp_path / "ab" / "comparison.json").read_text())
    assert [path.name for path in sorted((tmp_path / "ab").glob("0*"))] == [
        "01-a", "02-b", "03-b", "04-a",
    ], err  # fmt: skip
    assert verdict in found["verdict"]
