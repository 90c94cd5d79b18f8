"""The idle timeout: its order, its instant, and what ends the wait."""

import pytest

from bench.protocol import server as say
from bench.protocol import server_extras
from bench.voice.audio import PCM16_24K, ms
from tests.reference.stage import ROUND, Caller, voiced


def idle(profile=ROUND, **detection):
    caller = Caller(profile)
    wanted = {"type": "server_vad", "idle_timeout_ms": 5000, **detection}
    caller.detect(wanted)
    return caller


def test_the_order_is_that_of_section_7_7():
    caller = idle()
    caller.silence(3000)
    caller.typed_turn(reply_ms=3000)
    before = len(caller.heard)
    caller.silence(9000)
    after = [
        due
        for due in caller.heard[before:]
        if not isinstance(due.message, say.InputAudioTranscriptionCompleted)
    ]
    assert [type(due.message) for due in after[:7]] == [
        server_extras.InputAudioBufferTimeoutTriggered,
        say.ConversationItemAdded,
        say.ConversationItemDone,
        say.InputAudioBufferCommitted,
        say.ConversationItemAdded,
        say.ConversationItemDone,
        say.ResponseCreated,
    ]
    triggered, prompt, _, committed, silence = (due.message for due in after[:5])
    assert prompt.item.role == "system"
    assert silence.item.role == "user"
    assert triggered.item_id == committed.item_id == silence.item.id
    assert committed.previous_item_id == prompt.item.id
    assert 0 <= triggered.audio_start_ms == triggered.audio_end_ms - 5000
    assert caller.last(say.ResponseDone).response.status == "completed"
    completed = caller.last(say.InputAudioTranscriptionCompleted)
    assert (completed.item_id, completed.transcript) == (triggered.item_id, "")
    assert completed.usage == {"type": "duration", "seconds": 0}


def test_the_wait_starts_when_the_reply_has_been_played_out():
    caller = idle()
    caller.typed_turn(reply_ms=30_000)
    deltas = caller.every(say.ResponseOutputAudioDelta)
    first_done = caller.every(say.ResponseDone)[0]
    reply = [due for due in deltas if due.due_ns <= first_done.due_ns]
    played_ns = PCM16_24K.duration_ns(sum(len(due.message.delta) for due in reply))
    triggered = caller.every(server_extras.InputAudioBufferTimeoutTriggered)[0]
    assert triggered.due_ns == reply[0].due_ns + played_ns + ms(5000)
    assert triggered.due_ns > first_done.due_ns + ms(5000)


def test_a_written_reply_has_nothing_to_play_out():
    caller = idle()
    caller.update(output_modalities=["text"])
    caller.typed_turn(reply_ms=7000)
    done = caller.every(say.ResponseDone)[0]
    assert caller.only(server_extras.InputAudioBufferTimeoutTriggered).due_ns == done.due_ns + ms(
        5000
    )


@pytest.mark.parametrize("detection", [{"create_response": False}, {"idle_timeout_ms": None}])
def test_where_there_is_none_nobody_waits(detection):
    caller = idle(**detection)
    caller.typed_turn(reply_ms=60_000)
    assert not caller.every(server_extras.InputAudioBufferTimeoutTriggered)


def test_speech_ends_the_wait():
    caller = idle()
    caller.typed_turn(reply_ms=6000)
    caller.say(voiced(4000))
    assert not caller.every(server_extras.InputAudioBufferTimeoutTriggered)
    caller.silence(1000)
    caller.wait(9000)
    assert len(caller.every(server_extras.InputAudioBufferTimeoutTriggered)) == 1


def test_a_session_that_no_longer_wants_it_is_left_alone():
    caller = idle()
    caller.typed_turn(reply_ms=3000)
    caller.detect({"type": "semantic_vad"})
    caller.wait(30_000)
    assert not caller.every(server_extras.InputAudioBufferTimeoutTriggered)


def test_another_response_starts_the_wait_afresh():
    caller = idle()
    caller.typed_turn(reply_ms=4000)
    caller.respond(5000)
    assert not caller.every(server_extras.InputAudioBufferTimeoutTriggered)


def test_a_caller_who_stays_idle_is_asked_again():
    caller = idle()
    caller.typed_turn(reply_ms=20_000)
    assert len(caller.every(server_extras.InputAudioBufferTimeoutTriggered)) == 2
    assert len(caller.every(say.ResponseDone)) >= 2
