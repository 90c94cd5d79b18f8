"""Comparisons of real runs against the reference server, whose truth is known.

Four versions of a server (the same twice, one that thinks 10 % longer, one 1 %) and one session
setting (100 ms more of VAD silence), three runs each, taken in turn: a drift of the machine meets
all of them alike.
"""

import json

import pytest

from bench.plan.metrics import METRICS
from tests.live import test_run as running

pytestmark = pytest.mark.live

corpus, bench = running.corpus, running.bench

ROUNDS = 3
THINKING_MS = 350
SILENCE_MS, MORE_SILENCE_MS = 300, 400
NOISE_MS = 15
"""Of a mean on a machine that others use too; an idle one knows it to half a millisecond."""
WHOLE = "voice_to_voice_latency"
AFTER_ENDPOINTING = {
    WHOLE, "first_audio_latency", "first_transcript_latency", "endpointing_delay",
    "endpointing_error", "transcription_delay",
}  # fmt: skip
"""What contains the wait for the end of speech."""
TIMES = {"base": 1.0, "again": 1.0, "tenth": 1.1, "hundredth": 1.01, "silence": 1.0}


@pytest.fixture(scope="module")
def runs(corpus, tmp_path_factory):
    """Run folders by what was run."""
    place = tmp_path_factory.mktemp("decisions")
    scenario = place / "talk.toml"
    scenario.write_text(
        running.SCENARIO.format(
            script="turn_taking", sessions=40, duration="8s", gates="[]", corpus=corpus
        )
    )
    found = {name: [] for name in TIMES}
    for turn in range(ROUNDS):
        for name, times in TIMES.items():
            profile = place / f"{name}.toml"
            profile.write_text(
                '[response]\nfirst_delta_ms = { kind = "lognormal", median_ms = '
                f"{THINKING_MS * times:g}, sigma = 0.25 }}\n"
            )
            silence = MORE_SILENCE_MS if name == "silence" else SILENCE_MS
            folder = place / f"{name}-{turn}"
            code, out, err = bench(
                "run", scenario, "--out", folder,
                "--set", f"reference.profile='{profile}'",
                "--set", f"session.turn_detection.silence_duration_ms={silence}",
            )  # fmt: skip
            assert code == 0, out + err
            found[name].append(folder)
    return found


@pytest.fixture
def compared(runs, tmp_path):
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


def test_a_server_that_thinks_a_tenth_longer_has_regressed_and_generation_carries_it(compared):
    code, found, out = compared("tenth")
    assert (code, found["verdict"]) == (1, "regressed"), out
    row = rows_of(found)["response_latency", "p50"]
    # A tenth of the thinking; of the whole latency, which has 20 ms more, a little less.
    assert row["verdict"] == "regressed"
    assert 1.05 < row["ratio"] < 1.15
    assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
    stages = stages_of(found)
    assert stages["generation"]["difference"] == pytest.approx(0.1 * THINKING_MS, abs=NOISE_MS)
    assert stages["generation"]["share"] == pytest.approx(100, abs=35)
    for name, stage in stages.items():
        assert name in {"generation", WHOLE} or abs(stage["difference"]) < NOISE_MS, stage


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
    assert stages["endpointing"]["difference"] == pytest.approx(100, abs=NOISE_MS)
    assert stages["endpointing"]["share"] == pytest.approx(100, abs=15)
    for name, stage in stages.items():
        assert name in {"endpointing", WHOLE} or abs(stage["difference"]) < NOISE_MS, stage
    changed = {
        row["metric"] for row in found["rows"]
        if row["verdict"] in {"regressed", "improved"} and METRICS[row["metric"]].of == "turn"
    }  # fmt: skip
    assert {"endpointing_delay", WHOLE} <= changed <= AFTER_ENDPOINTING
