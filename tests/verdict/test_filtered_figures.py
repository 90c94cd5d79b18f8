"""Gates on some turns, and gates that decide nothing."""

import numpy as np
import pandas as pd
import pytest
from junitparser import JUnitXml, Skipped

from bench.analysis.pipeline import analyse
from bench.plan.gates import parse_gate
from bench.verdict.verdict import EXIT_CODES, judge_run
from tests.analysis.story import Answer, Story, conversation, steady, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Six sessions of two scripts and workers; first turns are answered late."""
    folder = tmp_path_factory.mktemp("filtered")
    stories = []
    for number in range(6):
        story = Story(number, opens=1000 + 50 * number, worker=number % 2)
        story.begin(3, script="a" if number < 3 else "b").microphone()
        for turn in range(3):
            story.say(200 + 4000 * turn)
            story.answered(Answer(deltas=(900 if turn == 0 else 300 + 10 * number, 1000)))
        stories.append(story.appends(12_000).finish())
    write_run(folder, *stories, workers=2, health=steady(2, 14, 6))
    analyse(folder)
    return folder


def judged(folder, *gates):
    return judge_run(folder, [parse_gate(gate) for gate in gates], None)


def value(folder, gate):
    [ruling] = judged(folder, gate)["gates"]
    return ruling["value"], ruling["n"]


def turns_of(folder):
    return pd.read_parquet(folder / "turns.parquet")


@pytest.mark.parametrize(
    ("where", "which"),
    [
        ("turn>1", lambda t: t["turn"] > 1),
        ("turn=1", lambda t: t["turn"] == 1),
        ("script=b", lambda t: t["script"] == "b"),
        ("script!=b, worker=0", lambda t: (t["script"] == "a") & (t["worker"] == 0)),
        ('utterance~"u[23]"', lambda t: t["utterance"].isin(["u2", "u3"])),
        ("session<=1", lambda t: t["session"] <= 1),
    ],
)
def test_a_gate_with_a_filter_is_judged_by_the_turns_that_are_left(run, where, which):
    turns = turns_of(run)
    mine = turns.loc[which(turns), "first_audio_latency"].astype(float)
    found, n = value(run, f"p50(first_audio_latency{{{where}}}) < 1 s")
    assert n == len(mine) > 0
    assert found == pytest.approx(np.median(mine))


def test_the_same_limit_holds_for_later_turns_and_not_for_the_first(run):
    gates = ["p50(first_audio_latency{turn>1}) < 1 s", "p50(first_audio_latency{turn=1}) < 1 s"]
    verdict = judged(run, *gates)
    assert [gate["verdict"] for gate in verdict["gates"]] == ["pass", "fail"]
    [reason] = verdict["reasons"]
    assert reason.startswith("p50(first_audio_latency{turn=1}) is 1450 ms")


def test_a_share_of_some_turns_and_the_figures_of_some_sessions_and_of_a_worker(run):
    assert value(run, "share(answered{script=a}) >= 50 %") == (100, 9)
    assert value(run, "p50(session_ready_time{script=a}) < 1 s")[1] == 3
    found, n = value(run, "p50(send_lateness{worker=1}) < 9 ms")
    assert found == pytest.approx(0.5)
    assert n == 3 * 120


def test_sessions_that_were_turned_away_are_in_the_figures_of_some_sessions(tmp_path):
    """Flaw F12: of four callers with a script three were refused, and the fourth was fast."""
    refused = [Story(number).begin(1, script="b") for number in (1, 2, 3)]
    for story in refused:
        story.rows = story.rows[:3]  # TCP and TLS, and then no upgrade
        story.end(20, "refused", "HTTP 429")
    ready = conversation(0, 1)
    ready.rows = [
        row._replace(detail=row.detail.replace('"turn_taking"', '"b"')) if row.detail else row
        for row in ready.rows
    ]
    write_run(tmp_path, ready, *refused)
    analyse(tmp_path)
    [result] = judged(tmp_path, "p50(session_ready_time{script=b}) < 9 s")["gates"]
    assert (result["value"], result["n"], result["verdict"]) == (None, 4, "inconclusive")
    assert value(tmp_path, "p50(session_ready_time) < 9 s") == (None, 4)


def test_no_turn_that_is_left_passes_nothing(run):
    verdict = judged(run, "p50(first_audio_latency{turn>9}) < 1 s")
    assert verdict["verdict"] == "inconclusive"
    assert verdict["reasons"] == ["p50(first_audio_latency{turn>9}) has no data"]


def test_a_phase_is_of_the_turns_that_began_in_it(tmp_path):
    story = conversation(0, 6)  # one every four seconds, from 1.4 s on
    begins = [1400 + 4000 * n for n in range(6)]
    since, until = (story.zero + seconds * 1_000_000_000 for seconds in (5, 17))
    plan = {"measured_from_ns": since, "measured_to_ns": until}
    write_run(tmp_path, story, plan=plan, seconds=30)
    analyse(tmp_path)
    counts = {
        phase: value(tmp_path, f"p50(first_audio_latency{{phase={phase}}}) < 1 s")[1]
        for phase in ("warmup", "hold", "drain")
    }
    said = [begin - 1000 for begin in begins]  # on the story's own clock
    assert counts == {
        "warmup": sum(at < 5000 for at in said),
        "hold": sum(5000 <= at < 17_000 for at in said),
        "drain": sum(at >= 17_000 for at in said),
    }
    assert value(tmp_path, "p50(first_audio_latency) < 1 s")[1] == counts["hold"]


def test_a_soft_gate_is_judged_and_shown_and_decides_nothing(run):
    verdict = judged(
        run, "share(answered) >= 50 %", "soft p50(first_audio_latency) < 1 ms",
        "soft p99(first_audio_latency) < 9 s",
    )  # fmt: skip
    assert verdict["verdict"] == "pass"
    assert EXIT_CODES[verdict["verdict"]] == 0
    assert [gate["verdict"] for gate in verdict["gates"]] == ["pass", "fail", "inconclusive"]
    assert [gate["soft"] for gate in verdict["gates"]] == [False, True, True]
    assert verdict["reasons"] == [
        "all 1 gates hold", "2 soft ones do not, and decide nothing",
    ]  # fmt: skip
    gates, _ = JUnitXml.fromfile(str(run / "junit.xml"))
    results = [case.result for case in gates]
    assert results[0] == []
    assert [type(one) for (one,) in results[1:]] == [Skipped, Skipped]


def test_what_is_asked_of_some_turns_or_softly_makes_no_turn_good_or_bad(tmp_path):
    gates = ("soft p95(first_audio_latency) < 1 ms", "p95(first_audio_latency{turn>1}) < 1 ms")
    write_run(tmp_path, conversation(0, 3), gates=gates)
    analyse(tmp_path)
    assert turns_of(tmp_path)["good_turn"].all()
