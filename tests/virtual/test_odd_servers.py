"""A server that is nearly OpenAI has the figures of the clean one, and each of its ways is named.

Ten turns are held with a clean server and with an odd one, in virtual time: what a caller did and
when, and every figure of every turn, must be the same to the nanosecond. Where the odd server does
not say what a figure needs, that figure is absent and all others are the same.
"""

import json
from functools import cache

import pandas as pd
import pytest

from bench.analysis.pipeline import analyse
from bench.plan.instants import TURN_INSTANTS
from bench.plan.metrics import PER_SESSION
from bench.reference.profile import (
    SESSION_QUIRKS,
    Profile,
    Quirks,
    ResponseProfile,
    ToolsProfile,
    TranscriptionProfile,
    VadProfile,
)
from bench.voice.audio import ms
from tests.world import World, voice

UP, DOWN = 7_000_003, 11_000_001
LINES = [voice(f"line {n}", 100 + 10 * n, 600 + 50 * n, pitch=100 + 15 * n) for n in range(5)]
TOOLS = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]
SCRIPTS = {
    "error_string": "long_call", "integer_code": "long_call", "untyped_error": "long_call",
    "nameless_calls": "tool_call", "idless_calls": "tool_call",
}  # fmt: skip
"""Errors come only where they are provoked, and calls where there are tools; else turn_taking."""
ABSENT = {
    "no_response_created": {"response_created_ns", "response_start_delay", "generation_delay"}
}
"""What of a turn cannot be known."""
DIFFERENT = {"stray_speech_started": {"spurious"}}
"""What of a turn the quirk itself is counted in."""
UNREADY = {"no_session_updated", "updated_as_created"}
"""Quirks in which nobody ever says that the session is ready."""
OTHERS = {"idless_calls", "greeting"}
"""Told in tests of their own."""
ODD = [
    name for name in SESSION_QUIRKS[SESSION_QUIRKS.index("binary_frames") :] if name not in OTHERS
]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A function from script and quirk to the turns, sessions and summary of what was held."""
    return cache(lambda script, quirk="": _told(tmp_path_factory.mktemp("odd"), script, quirk))


def _told(path, script, quirk):
    """Two sessions of five turns each."""
    profile = Profile(
        vad=VadProfile(lag_ms=15),
        response=ResponseProfile(created_ms=20, first_delta_ms=350, leading_silence_ms=40),
        transcription=TranscriptionProfile(delay_ms=120),
        tools=ToolsProfile(one=1.0, parallel=0.0, mixed=0.0),
        quirks=Quirks(**{quirk: 1.0}) if quirk else Quirks(),
    )
    world = World(profile, up_ns=UP, down_ns=DOWN)
    session = {"tools": TOOLS} if script == "tool_call" else {}
    for start_ns in (0, ms(130)):
        world.call(script, (LINES,), start_ns=start_ns, session=session)
    world.run(ms(300_000))
    assert {call.caller.outcome for call in world.calls} == {"finished"}
    folder = world.seal(path / "run", script)
    analyse(folder.path)
    turns, sessions = pd.read_parquet(folder.turns), pd.read_parquet(folder.sessions)
    return turns, sessions, json.loads(folder.summary.read_text())


def since_opened(turns, sessions):
    """Turns with their instants counted from the opening of the microphone."""
    opened = turns["session"].map(sessions.set_index("session")["opened_ns"])
    columns = [f"{name}_ns" for name in TURN_INSTANTS if f"{name}_ns" in turns]
    columns += [name for name in ("waited_until_ns", "first_created_ns") if name in turns]
    return turns.assign(**{name: turns[name] - opened for name in columns})


@pytest.mark.parametrize("quirk", ODD)
def test_ten_turns_with_an_odd_server_have_the_figures_of_the_clean_one(told, quirk):
    script = SCRIPTS.get(quirk, "turn_taking")
    clean, odd = told(script), told(script, quirk)
    expected, turns = since_opened(*clean[:2]), since_opened(*odd[:2])
    assert len(turns) == 10
    assert set(turns.outcome) == {"ok"}
    absent, different = ABSENT.get(quirk, set()), DIFFERENT.get(quirk, set())
    for column in absent:
        assert turns[column].isna().all(), column
        assert expected[column].notna().any(), column
    for column in different:
        assert not turns[column].equals(expected[column]), column
    kept = [name for name in expected.columns if name not in absent | different]
    pd.testing.assert_frame_equal(turns[kept], expected[kept], check_exact=True)


def test_calls_that_do_not_say_whose_they_are_are_answered_and_timed_all_the_same(told):
    clean, odd = told("tool_call"), told("tool_call", "missing_ids")
    expected, turns = since_opened(*clean[:2]), since_opened(*odd[:2])
    assert turns["tool_answer_latency"].notna().all()
    assert any("of the response that began last" in one for one in odd[2]["remarks"])
    pd.testing.assert_frame_equal(turns, expected, check_exact=True)


@pytest.mark.parametrize("quirk", ODD)
def test_the_run_names_the_quirk_with_count_and_example_and_no_other(told, quirk):
    script = SCRIPTS.get(quirk, "turn_taking")
    [seen] = told(script, quirk)[2]["quirks"]
    assert seen["quirk"] == quirk
    assert seen["count"] >= 2
    assert seen["example"].startswith("session 0: ")
    assert told(script)[2]["quirks"] == []


@pytest.mark.parametrize("quirk", ODD)
def test_a_session_is_ready_when_its_server_says_so_and_else_nobody_knows(told, quirk):
    script = SCRIPTS.get(quirk, "turn_taking")
    clean, odd = (told(script, one)[1] for one in ("", quirk))
    names = [metric.name for metric in PER_SESSION if metric.name in clean]
    if quirk in UNREADY:
        assert odd["session_ready_time"].isna().all()
        assert odd["ready_ns"].isna().all()
    elif quirk == "late_session_created":
        assert odd["session_ready_time"].isna().all()  # two seconds of it are the caller's own
        assert (odd["ready_ns"] - odd["started_ns"] > 2_500_000_000).all()
    else:
        pd.testing.assert_frame_equal(odd[names], clean[names], check_exact=True)


def test_a_call_without_an_id_is_counted_never_answered_and_said_to_be_why(told):
    turns, _, summary = told("tool_call", "idless_calls")
    assert set(turns.outcome) == {"error"}
    assert set(turns.reason) == {
        "tools were called without a call_id, so nothing could be answered"
    }
    [seen] = summary["quirks"]
    assert (seen["quirk"], seen["count"]) == ("idless_calls", 10)
    assert turns.output_sent_ns.isna().all()
