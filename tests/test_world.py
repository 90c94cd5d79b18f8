"""The signature of this project: what is scripted into the server comes out again, exactly."""

import math

import pandas as pd
import pytest

from bench.analysis.pipeline import analyse
from bench.plan.random_duration import Discrete
from bench.protocol import server
from bench.reference.profile import (
    Profile,
    ResponseProfile,
    TranscriptionProfile,
    VadProfile,
)
from bench.voice.audio import NS_PER_MS, ms
from bench.voice.caller_config import CallerConfig
from tests.world import World, voice

UP, DOWN = 7_000_003, 11_000_001  # links that no rounding can hide
LAG, CREATED, FIRST, SILENCE = 15, 20, 350, 40
PROFILE = Profile(
    vad=VadProfile(lag_ms=LAG),
    response=ResponseProfile(created_ms=CREATED, first_delta_ms=FIRST, leading_silence_ms=SILENCE),
    transcription=TranscriptionProfile(delay_ms=120),
)


def turns_of(world, path, script="turn_taking"):
    folder = world.seal(path, script)
    analyse(folder.path)
    return pd.read_parquet(folder.turns)


def told(opened, media_end_ms, chunk_ms=100):
    """When the caller hears of a decision taken at that position of the written audio."""
    chunk = math.ceil(media_end_ms / chunk_ms)
    return opened + ms(chunk * chunk_ms) + UP + ms(LAG) + DOWN


@pytest.mark.parametrize("chunk_ms", [20, 50, 100])
def test_scripted_latencies_come_out_exactly(tmp_path, chunk_ms):
    world = World(PROFILE, up_ns=UP, down_ns=DOWN)
    lines = (voice("one", 130, 1200), voice("two", 90, 800))
    world.call("turn_taking", (lines,), config=CallerConfig(chunk_ns=ms(chunk_ms)))
    turns = turns_of(world.run(), tmp_path / "run")
    assert list(turns.outcome) == ["ok", "ok"]
    opened = 0 + DOWN + UP + DOWN  # session.created, session.update, session.updated
    for _, turn in turns.iterrows():
        onset, offset = turn.speech_onset_ns - opened, turn.speech_offset_ns - opened
        stopped = told(opened, offset / NS_PER_MS + 500, chunk_ms)
        assert turn.speech_stopped_ns == stopped
        assert turn.first_audio_ns == stopped + ms(FIRST)
        assert turn.heard_ns == stopped + ms(FIRST) + ms(SILENCE)
        assert turn.response_created_ns == stopped + ms(CREATED)
        assert turn.transcribed_ns == stopped + ms(120)
        assert turn.first_audio_latency == (stopped + ms(FIRST) - turn.speech_offset_ns) / NS_PER_MS
        assert turn.generation_delay == FIRST - CREATED
        assert turn.leading_silence == SILENCE
        assert turn.speech_start_error == 0
        assert turn.endpointing_error == 500
        assert turn.vad_lag == (UP + ms(LAG) + DOWN) / NS_PER_MS
        assert turn.speech_started_ns > turn.speech_onset_ns
        assert onset % ms(10) == 0


def test_several_sessions_at_once_each_keep_their_own_truth(tmp_path):
    thinks = Discrete(of_ms=(100.0, 230.0, 470.0, 900.0))
    profile = Profile(
        vad=VadProfile(lag_ms=LAG),
        response=ResponseProfile(created_ms=CREATED, first_delta_ms=thinks, leading_silence_ms=0),
    )
    world = World(profile, up_ns=UP, down_ns=DOWN)
    for number in range(7):
        lines = tuple(
            voice(f"{number}-{n}", 100, 500 + 130 * number, pitch=100 + n) for n in range(3)
        )
        world.call("turn_taking", (lines,), start_ns=ms(37 * number))
    turns = turns_of(world.run(), tmp_path / "run")
    assert len(turns) == 21
    assert set(turns.outcome) == {"ok"}
    for call in world.calls:
        sent = {
            message.response_id: due
            for due, message in reversed(call.sent)
            if isinstance(message, server.ResponseOutputAudioDelta)
        }
        mine = turns[turns.session == call.number]
        assert sorted(mine.first_audio_ns) == sorted(due + DOWN for due in sent.values())
    thought = (turns.first_audio_ns - turns.speech_stopped_ns) // NS_PER_MS
    assert set(thought) <= {100, 230, 470, 900}
    assert len(set(thought)) > 1


def test_a_barge_in_is_timed_exactly(tmp_path):
    replies = (voice("reply", 0, 6000, 0, tags=("reply",)),)
    world = World(PROFILE, up_ns=UP, down_ns=DOWN, replies=replies)
    part = ((voice("line", 100, 900),), (voice("stop", 50, 600),))
    world.call("barge_in", part, config=CallerConfig(truncate=True))
    turns = turns_of(world.run(), tmp_path / "run", "barge_in")
    assert list(turns.role) == ["line", "interruption"]
    interruption = turns.iloc[1]
    started = interruption.speech_started_ns
    assert interruption.barge_in_detection == (started - interruption.speech_onset_ns) / NS_PER_MS
    assert interruption.agent_silent_ns == started  # the player is emptied when it is told
    assert interruption.yielded
    flush = next(row for row in world.calls[0].rows if row.type == "bench.flush")
    assert flush.at_ns == started
    assert interruption.truncate_ack == (UP + DOWN) / NS_PER_MS


def test_a_missed_answer_is_a_turn_with_an_outcome_and_without_a_latency(tmp_path):
    world = World(PROFILE)
    world.call(
        "turn_taking", ((voice("one", 100, 900),),), config=CallerConfig(answer_timeout_ns=ms(300))
    )
    turns = turns_of(world.run(), tmp_path / "run")
    assert list(turns.outcome) in (["timeout"], ["late"], ["missed"])
    assert not turns.answered.any()


def test_a_server_that_does_not_say_its_prefix_padding_is_heard_all_the_same(tmp_path):
    """semantic_vad has no such field, and the samples of Inworld all use it."""
    world = World(PROFILE, up_ns=UP, down_ns=DOWN)
    lines = tuple(voice(f"line-{n}", 120, 700) for n in range(3))
    world.call("turn_taking", (lines,), detection={"type": "semantic_vad", "eagerness": "high"})
    turns = turns_of(world.run(), tmp_path / "run")
    assert list(turns.outcome) == ["ok"] * 3
    assert not turns.spurious.any()
    assert turns.speech_start_error.isna().all()  # unknown, and not guessed
    assert turns.endpointing_delay.notna().all()


def test_without_ms_fields_a_start_long_after_the_end_of_speech_is_spurious_and_moves_nothing(
    tmp_path,
):
    world = World(PROFILE, up_ns=UP, down_ns=DOWN, replies=(voice("reply", 0, 5000, 0),))
    call = world.call("turn_taking", ((voice("line", 120, 700),),))
    world.run()
    call.rows = [row._replace(audio_ms=None) for row in call.rows]
    clean = turns_of(world, tmp_path / "clean").iloc[0]
    index = next(n for n, row in enumerate(call.rows) if row.type == "response.output_audio.done")
    ghost = call.rows[index]
    assert ghost.at_ns > clean.speech_offset_ns + ms(1000)
    call.rows.insert(
        index, ghost._replace(type="input_audio_buffer.speech_started", item_id="ghost")
    )
    turn = turns_of(world, tmp_path / "ghost").iloc[0]
    assert turn.first_audio_latency == clean.first_audio_latency
    assert turn.endpointing_delay == clean.endpointing_delay
    assert not turn.split_turn
    assert turn.spurious == 1
