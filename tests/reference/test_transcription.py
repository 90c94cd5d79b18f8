"""What is transcribed, when it is said, and what the quirks of transcription make of it."""

import msgspec

from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol import server_extras
from bench.reference.profile import TranscriptionProfile
from bench.voice.audio import ms
from tests.reference.stage import LINES, ROUND, Caller, odd, voiced


def test_the_transcription_is_the_text_that_the_corpus_knows():
    caller = Caller().spoken_turn()
    assert caller.last(say.InputAudioTranscriptionCompleted).transcript == LINES[0].text
    assert caller.last(say.InputAudioTranscriptionCompleted).usage["type"] == "duration"


def test_a_quick_transcription_still_waits_for_response_created():
    at_once = msgspec.structs.replace(ROUND, transcription=TranscriptionProfile(delay_ms=0))
    caller = Caller(at_once).spoken_turn()
    created = caller.only(say.ResponseCreated)
    completed = caller.only(say.InputAudioTranscriptionCompleted)
    assert completed.due_ns == created.due_ns
    assert caller.heard.index(created) < caller.heard.index(completed)


def test_a_stranger_is_transcribed_by_the_placeholder():
    caller = Caller()
    caller.say(voiced(900, 133, 99))
    caller.silence(1500)
    transcript = caller.last(say.InputAudioTranscriptionCompleted).transcript
    assert transcript == "[unrecognised speech]"


def test_a_late_transcription_comes_after_response_done():
    caller = Caller(odd(transcription_late=1.0)).spoken_turn()
    kinds = caller.types()
    completed = "conversation.item.input_audio_transcription.completed"
    assert kinds.index(completed) > kinds.index("response.done")
    assert set(kinds) == set(Caller(ROUND).spoken_turn().types())
    assert caller.last(say.InputAudioTranscriptionCompleted).transcript == LINES[0].text


def test_a_late_transcription_with_no_response_under_way_is_not_late():
    caller = Caller(odd(transcription_late=1.0))
    caller.detect(None)
    caller.say(LINES[0].audio)
    caller.ask(ask.InputAudioBufferCommit())
    caller.wait(1000)
    assert caller.every(say.InputAudioTranscriptionCompleted)


def test_a_duplicate_transcription_is_revised():
    caller = Caller(odd(transcription_duplicate=1.0)).spoken_turn()
    first, second = caller.every(say.InputAudioTranscriptionCompleted)
    assert second.message.transcript == LINES[0].text
    assert first.message.transcript == LINES[0].text.rpartition(" ")[0]
    assert first.message.item_id == second.message.item_id
    assert second.due_ns - first.due_ns == ms(200)


def test_a_failed_transcription_says_so_and_nothing_else():
    caller = Caller(odd(transcription_failed=1.0)).spoken_turn()
    failed = caller.only(server_extras.InputAudioTranscriptionFailed).message
    assert (failed.error.type, failed.error.code) == ("transcription_error", "audio_unintelligible")
    assert not caller.every(say.InputAudioTranscriptionCompleted)
    assert not caller.every(say.InputAudioTranscriptionDelta)
    assert caller.last(say.ResponseDone).response.status == "completed"
