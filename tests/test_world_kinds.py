"""Every kind of conversation in virtual time: what is scripted comes out exactly."""

import itertools
import json

import pandas as pd
import pytest

from bench.analysis.pipeline import analyse
from bench.plan.session import session_object
from bench.protocol.client import SessionUpdate
from bench.reference.profile import (
    Profile,
    Quirks,
    ResponseProfile,
    ToolsProfile,
    TranscriptionProfile,
    VadProfile,
)
from bench.voice.audio import NS_PER_MS, ms
from bench.voice.caller_config import CallerConfig
from bench.voice.directions import Await, HearOut, Pause, Say, Send
from bench.voice.scripts import SCRIPTS
from tests.world import VAD, World, voice

UP, DOWN = 7_000_003, 11_000_001
THERE_AND_BACK = (UP + DOWN) / NS_PER_MS
CREATED, FIRST, SILENCE, CALL, WORD = 20, 350, 40, 250, 40
PROFILE = {
    "vad": VadProfile(lag_ms=15),
    "response": ResponseProfile(
        created_ms=CREATED, first_delta_ms=FIRST, leading_silence_ms=SILENCE, word_ms=WORD, pace=4.0
    ),
    "transcription": TranscriptionProfile(delay_ms=120),
}
LINES = (voice("one", 130, 900), voice("two", 90, 700))
LONG_REPLY = (voice("reply", 0, 6000, 0, tags=("reply",)),)
TOOLS = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]


def world_of(replies=(), **profile):
    return World(Profile(**{**PROFILE, **profile}), up_ns=UP, down_ns=DOWN, replies=replies)


def told(world, path, script):
    folder = world.run(ms(900_000)).seal(path, script)
    analyse(folder.path)
    summary = json.loads(folder.summary.read_text())
    assert summary["violations"] == []
    assert summary["leaks"] == []
    assert summary["checks"]["identity_breaches"] == 0
    return pd.read_parquet(folder.turns), summary


def statistic(summary, metric, name="p50", only=""):
    [row] = [
        row for row in summary["rows"]
        if (row["metric"], row["statistic"], row["filter"]) == (metric, name, only)
    ]  # fmt: skip
    return row["value"]


def test_push_to_talk_counts_from_the_sends_of_commit_and_create(tmp_path):
    world = world_of()
    world.call("push_to_talk", (LINES,), detection="none")
    turns, summary = told(world, tmp_path / "run", "turn_taking")
    assert list(turns.outcome) == ["ok", "ok"]
    assert set(turns.commit_delay) == {THERE_AND_BACK}
    assert list(turns.response_start_delay) == pytest.approx([THERE_AND_BACK + CREATED] * 2)
    assert set(turns.generation_delay) == {FIRST - CREATED}
    # Commit and create leave at one instant, so both count from there.
    assert list(turns.response_latency) == pytest.approx([THERE_AND_BACK + FIRST] * 2)
    assert set(turns.leading_silence) == {SILENCE}
    assert turns.speech_started_ns.isna().all()
    assert not turns.missed.any()
    assert statistic(summary, "clear_ack") == THERE_AND_BACK
    # The last chunk is filled up, so the key is up to a chunk late: the figure has that in it.
    waited = (turns.commit_sent_ns - turns.speech_offset_ns) / NS_PER_MS
    assert list(turns.first_audio_latency) == pytest.approx(list(waited + THERE_AND_BACK + FIRST))


def test_a_muted_microphone_moves_no_position(tmp_path):
    """Manual first, then server_vad: the server's clock is behind by all that was not sent."""
    vad = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500}}

    def script(part):
        yield Pause(ms(2350))
        yield Send(SessionUpdate(session=session_object(vad)))
        yield Await("session.updated")
        for line in part.lines:
            yield Say(line)
            yield HearOut()

    world = world_of()
    world.call(script, (LINES,), detection="none")
    turns, _ = told(world, tmp_path / "run", "turn_taking")
    assert list(turns.outcome) == ["ok", "ok"]
    assert not turns.spurious.any()
    assert set(turns.endpointing_error) == {500.0}
    assert turns.speech_start_error.abs().max() <= 10


def test_a_typed_turn_counts_from_the_send_of_its_create(tmp_path):
    world = world_of()
    world.call("text_chat", (LINES,), detection="none", session={"output_modalities": ["text"]})
    turns, _ = told(world, tmp_path / "run", "text_chat")
    assert list(turns.role) == ["text", "text"]
    assert list(turns.outcome) == ["ok", "ok"]
    assert set(turns.first_text_latency) == {THERE_AND_BACK + FIRST}
    assert set(turns.text_rate) == {1000 / WORD}
    assert turns.first_audio_latency.isna().all()
    assert list(turns.text) == ["words of one", "words of two"]


def test_a_typed_turn_can_be_answered_by_voice(tmp_path):
    world = world_of()
    world.call("text_chat", (LINES,), detection="none", session={"output_modalities": ["audio"]})
    turns, _ = told(world, tmp_path / "run", "text_chat")
    assert set(turns.first_audio_latency) == {THERE_AND_BACK + FIRST}
    assert set(turns.voice_to_voice_latency) == {THERE_AND_BACK + FIRST + SILENCE}


@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize("kind", ["one", "parallel"])
def test_a_tool_turn_is_timed_to_its_arguments_and_from_its_outputs(tmp_path, kind, goes_on):
    shares = {"one": 0.0, "parallel": 0.0, "mixed": 0.0, kind: 1.0}
    tools = ToolsProfile(first_ms=CALL, delta_ms=0, stagger_ms=0, **shares)
    world = world_of(tools=tools)
    session = {"tools": TOOLS, "providerData": {"auto_tool_response": goes_on}}
    world.call("tool_call", (LINES,), session=session)
    turns, _ = told(world, tmp_path / "run", "tool_call")
    assert list(turns.outcome) == ["ok", "ok"]
    calls = (turns.call_done_ns - turns.speech_stopped_ns) / NS_PER_MS
    assert set(calls) == {float(CALL)}
    assert list(turns.tool_call_latency) == list(turns.endpointing_delay + CALL)
    assert set(turns.tool_answer_latency) == {THERE_AND_BACK + FIRST}
    # What the caller felt: the call, the tool's 500 ms, and the answer.
    assert (turns.first_audio_latency > turns.tool_call_latency + 500 + FIRST).all()


def test_a_caller_who_stops_the_agent_knows_what_came_after(tmp_path):
    world = world_of(LONG_REPLY)
    world.call("interrupt_client", (LINES, (), ms(300), ms(400)))
    turns, summary = told(world, tmp_path / "run", "interrupt_client")
    assert list(turns.outcome) == ["ok", "ok"]
    assert set(turns.cancel_delay) == {THERE_AND_BACK}
    assert set(turns.truncate_ack) == {THERE_AND_BACK}
    # What was on its way when the cancel left: deltas of 100 ms every 25 ms, for there and back.
    assert set(turns.stale_audio) <= {0.0, 100.0}
    assert (turns.cancel_last_audio <= THERE_AND_BACK).all()
    assert summary["errors_by_code"] == {}


def test_a_cancel_that_lost_the_race_is_counted_by_name_and_fails_nobody(tmp_path):
    response = ResponseProfile(first_delta_ms=FIRST, pace=1000.0)
    world = world_of(LONG_REPLY, response=response)
    world.call("interrupt_client", (LINES, (), ms(300), ms(400)))
    turns, summary = told(world, tmp_path / "run", "interrupt_client")
    assert list(turns.outcome) == ["ok", "ok"]
    assert summary["errors_by_code"] == {"response_cancel_not_active": 2}
    assert statistic(summary, "errors", "count") == 0
    assert turns.cancel_delay.isna().all()
    assert set(turns.truncate_ack) == {THERE_AND_BACK}


@pytest.mark.parametrize(("pace", "case"), [(4.0, "generating"), (1000.0, "finished")])
def test_an_interruption_is_told_by_whether_the_reply_was_still_being_made(tmp_path, pace, case):
    response = ResponseProfile(first_delta_ms=FIRST, pace=pace)
    world = world_of(LONG_REPLY, response=response)
    stop = voice("stop", 50, 600, tags=("interruption",))
    world.call("barge_in", (LINES[:1], (stop,), ms(300), ms(400)))
    turns, _ = told(world, tmp_path / "run", "barge_in")
    interruption = turns.iloc[1]
    assert interruption.interrupted_while == case
    assert interruption.yielded
    assert interruption.agent_silent_ns == interruption.speech_started_ns


def test_a_cough_passes_and_an_mm_hmm_that_stops_the_agent_is_a_false_barge_in(tmp_path):
    world = world_of(LONG_REPLY)
    murmur = voice("mhm", 50, 400, tags=["backchannel"])
    cough = voice("cough", 50, 300, tags=["nonspeech"])
    cough = cough._replace(audio=bytes(len(cough.audio)), onset_ns=None, offset_ns=None)
    world.call("barge_in", (LINES, (murmur, cough), ms(300), ms(400)))
    turns, summary = told(world, tmp_path / "run", "barge_in")
    assert list(turns.role) == ["line", "line"]
    assert statistic(summary, "false_barge_in", "share") == 50.0
    assert not turns.spurious.any()


def test_a_history_that_costs_time_shows_as_drift(tmp_path):
    response = ResponseProfile(first_delta_ms=FIRST, leading_silence_ms=SILENCE, history_ms=7)
    world = world_of(response=response)
    world.call("turn_taking", ([voice(f"v{n}", 100, 500) for n in range(8)],))
    _, summary = told(world, tmp_path / "run", "turn_taking")
    assert statistic(summary, "latency_drift") == 14.0  # every turn adds two items


def test_a_long_call_provokes_its_errors_and_is_not_blamed_for_them(tmp_path):
    world = world_of()
    world.call("long_call", ([voice(f"v{n}", 100, 500) for n in range(10)],))
    turns, summary = told(world, tmp_path / "run", "long_call")
    assert set(turns.outcome) == {"ok"}
    assert statistic(summary, "errors", "count") == 0
    assert summary["errors_by_code"] == {"invalid_value (provoked)": 2}
    for metric in ("retrieve_ack", "delete_ack", "item_ack"):
        assert statistic(summary, metric) == THERE_AND_BACK


def test_changes_are_acknowledged_and_what_was_refused_changed_nothing(tmp_path):
    changes = tuple(map(session_object, ({"voice": "Sarah"}, {"output_modalities": ["text"]})))
    refused = (session_object({"speed": 9.0}),)
    part = ([*LINES, LINES[0]], (), ms(300), ms(300), ms(300), changes, refused)
    world = world_of()
    world.call("reconfigure", part, session={"output_modalities": ["audio"]})
    turns, summary = told(world, tmp_path / "run", "reconfigure")
    assert list(turns.outcome) == ["ok"] * 3
    assert statistic(summary, "update_ack") == THERE_AND_BACK
    assert statistic(summary, "unhonoured", "count") == 0
    assert turns.first_text_latency.notna().tolist() == [False, False, True]


def test_settings_of_a_sweep_are_compared_in_rows_of_their_own(tmp_path):
    world = world_of()
    for silence in (300, 900):
        detection = {"type": "server_vad", "silence_duration_ms": silence}
        hesitant = voice("hm", 100, 2000, pause=(700, 600))
        label = f"server_vad {silence} ms"
        world.call("turn_taking", ((hesitant,) * 3,), detection=detection, setting=label)
    _, summary = told(world, tmp_path / "run", "turn_taking")
    assert summary["settings"] == ["server_vad 300 ms", "server_vad 900 ms"]
    split = [
        statistic(summary, "split_turn", "share", f"setting={name}") for name in summary["settings"]
    ]
    assert split == [100.0, 0.0]
    delays = [
        statistic(summary, "endpointing_delay", "p50", f"setting={name}")
        for name in summary["settings"]
    ]
    assert 500 <= delays[1] - delays[0] <= 700


def test_a_filler_is_no_answer(tmp_path):
    plain = world_of()
    plain.call("turn_taking", (LINES,))
    answered, _ = told(plain, tmp_path / "plain", "turn_taking")
    world = world_of()
    session = {"providerData": {"responsiveness": {"enabled": True}}}
    world.call("turn_taking", (LINES,), session=session)
    turns, summary = told(world, tmp_path / "filled", "turn_taking")
    assert turns.filler_latency.notna().all()
    assert (turns.filler_latency < turns.first_audio_latency).all()
    assert list(turns.first_audio_latency) == list(answered.first_audio_latency)
    assert statistic(summary, "filler_latency") is not None


def test_a_written_answer_that_comes_after_the_caller_gave_up_is_late(tmp_path):
    world = world_of()
    world.call(
        "text_chat", (LINES,), detection="none", session={"output_modalities": ["text"]},
        config=CallerConfig(answer_timeout_ns=ms(100)),
    )  # fmt: skip
    turns, _ = told(world, tmp_path / "run", "text_chat")
    assert turns.outcome[0] == "late"
    assert not turns.answered.any()


QUIRKS = [
    "beta_names", "missing_ms", "missing_name", "missing_usage", "transcription_late",
    "transcription_duplicate", "conversation_created", "ping", "previous_null", "both_streams",
    "zero_padding", "late_audio", "binary_frames", "loose_base64", "float_positions",
    "error_string", "updated_as_created", "no_response_created", "repeated_response_created",
    "repeated_speech_stopped", "stray_speech_started", "unknown_types", "nameless_calls",
    "idless_calls", "no_session_updated", "late_session_created",
]  # fmt: skip


@pytest.mark.parametrize("quirk", ["", *QUIRKS])
def test_a_server_that_is_odd_and_legal_costs_no_script_its_patience(quirk):
    quirks = Quirks(**{quirk: 1.0}) if quirk else Quirks()
    stop = voice("stop", 50, 600, tags=("interruption",))
    for name, stock in SCRIPTS.items():
        world = world_of(quirks=quirks)
        call = world.call(
            name, (LINES, (stop, stop), ms(300), ms(400)),
            detection="none" if stock.detection == "manual" else VAD,
            session={"output_modalities": ["audio"]},
        )  # fmt: skip
        world.run(ms(120_000))
        assert call.caller.outcome == "finished", (name, quirk)
        assert "bench.gave_up" not in {row.type for row in call.rows}, (name, quirk)
        rare = [row.at_ns for row in call.rows if row.type != "input_audio_buffer.append"]
        quiet = max(after - before for before, after in itertools.pairwise(sorted(rare)))
        assert quiet < ms(8000), (name, quirk)  # an Await that nothing answers takes ten seconds
