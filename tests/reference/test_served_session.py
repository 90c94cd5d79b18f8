import msgspec
import pytest

from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol.codec import UnknownMessage, decode_client, encode
from bench.protocol.objects import Part
from bench.reference.profile import load_profile
from bench.reference.voices import _convert
from bench.voice.audio import PCM16_24K, AudioFormat, ms
from tests.reference.stage import LINES, ROUND, Caller, code, quiet, voiced

ORDER_7_1 = [
    "session.created",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
]
ORDER_END = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


def spoken_turn(caller=None):
    return (caller or Caller()).spoken_turn()


def test_session_created_comes_at_once_and_first():
    caller = Caller()
    assert caller.types() == ["session.created"]
    assert caller.heard[0].due_ns == 0


def test_a_spoken_turn_has_the_order_of_section_7_1():
    caller = spoken_turn()
    deltas = ("transcript.delta", "audio.delta", "transcription.delta", "transcription.completed")
    assert caller.types(without=deltas) == ORDER_7_1 + ORDER_END
    first_words = caller.every(say.ResponseOutputAudioTranscriptDelta)[0]
    first_audio = caller.every(say.ResponseOutputAudioDelta)[0]
    assert caller.heard.index(first_words) < caller.heard.index(first_audio)
    assert not caller.every(say.RateLimitsUpdated)


def test_told_latencies_come_out_to_the_nanosecond():
    caller = spoken_turn()
    committed = caller.only(say.InputAudioBufferCommitted).due_ns
    started = caller.only(say.InputAudioBufferSpeechStarted).due_ns
    assert started % ms(100) == ms(10)  # a chunk's arrival plus the VAD's lag
    assert caller.only(say.ResponseCreated).due_ns == committed + ms(20)
    deltas = caller.every(say.ResponseOutputAudioDelta)
    assert [due.due_ns - committed for due in deltas] == [
        ms(300 + 25 * k) for k in range(len(deltas))
    ]
    completed = caller.only(say.InputAudioTranscriptionCompleted)
    assert completed.due_ns == committed + ms(120)


def test_the_item_id_of_speech_start_is_that_of_the_turn():
    caller = spoken_turn()
    item_id = caller.only(say.InputAudioBufferSpeechStarted).message.item_id
    assert caller.only(say.InputAudioBufferSpeechStopped).message.item_id == item_id
    assert caller.only(say.InputAudioBufferCommitted).message.item_id == item_id
    assert caller.every(say.ConversationItemAdded)[0].message.item.id == item_id
    assert caller.only(say.InputAudioTranscriptionCompleted).message.item_id == item_id
    assistant = caller.every(say.ConversationItemAdded)[1].message
    assert assistant.previous_item_id == item_id
    assert assistant.item.content == []


def test_audio_start_holds_the_padding_and_audio_end_the_silence():
    caller = Caller()
    caller.silence(1000)
    spoken_turn(caller)
    onset, offset = 1000 + 200, 1000 + 200 + 700
    started = caller.only(say.InputAudioBufferSpeechStarted).message.audio_start_ms
    stopped = caller.only(say.InputAudioBufferSpeechStopped).message.audio_end_ms
    assert abs(started + 300 - onset) <= 10
    assert abs(stopped - 500 - offset) <= 10


def test_audio_start_is_never_below_zero():
    caller = spoken_turn()
    assert caller.only(say.InputAudioBufferSpeechStarted).message.audio_start_ms == 0


def test_the_reply_is_silence_then_the_voice_in_deltas_of_the_set_size():
    caller = spoken_turn()
    deltas = [due.message.delta for due in caller.every(say.ResponseOutputAudioDelta)]
    assert {len(delta) for delta in deltas[:-1]} == {PCM16_24K.nbytes(ms(100))}
    audio = b"".join(deltas)
    silence = PCM16_24K.nbytes(ms(40))
    assert not any(audio[:silence])
    assert any(audio[silence : silence + 480])
    said = caller.last(say.ResponseOutputAudioTranscriptDone).transcript
    words = [due.message.delta for due in caller.every(say.ResponseOutputAudioTranscriptDelta)]
    assert "".join(words) == said
    assert said.startswith("this is what reply")


def test_a_manual_turn_says_nothing_until_it_is_asked():
    caller = Caller()
    caller.detect(None)
    caller.say(LINES[1].audio)
    caller.silence(1500)
    assert caller.types() == ["session.created", "session.updated"]
    answers = caller.ask(ask.InputAudioBufferCommit())
    assert [type(due.message) for due in answers] == [
        say.InputAudioBufferCommitted,
        say.ConversationItemAdded,
        say.ConversationItemDone,
    ]
    caller.wait(2000)
    assert caller.last(say.InputAudioTranscriptionCompleted).transcript == LINES[1].text
    assert not caller.every(say.ResponseCreated)
    asked = caller.now_ns
    caller.respond(3000)
    assert caller.only(say.ResponseCreated).due_ns == asked + ms(20)
    assert caller.last(say.ResponseDone).response.status == "completed"


def test_a_text_turn_has_the_order_of_section_7_3():
    caller = Caller()
    caller.update(output_modalities=["text"])
    caller.typed_turn(reply_ms=3000)
    assert caller.types() == [
        "session.created",
        "session.updated",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert caller.every(say.ResponseContentPartAdded)[0].message.part == Part(type="text", text="")


def test_speech_during_a_reply_cuts_it_in_the_order_of_section_7_5():
    caller = Caller()
    caller.say(LINES[0].audio)
    caller.silence(600)
    while not caller.every(say.ResponseOutputAudioDelta):
        caller.silence(100)
    caller.say(voiced(400))
    names = caller.types(without=("transcription.delta", "transcription.completed"))
    cut = names.index("input_audio_buffer.speech_started", 3)
    assert names[cut + 1 :] == ORDER_END
    done = caller.only(say.ResponseDone).message.response
    assert done.status == "cancelled"
    assert done.status_details == {"type": "cancelled", "reason": "turn_detected"}
    assert done.output[0].status == "incomplete"
    second = caller.every(say.InputAudioBufferSpeechStarted)[1]
    assert caller.only(say.ResponseDone).due_ns == second.due_ns
    before = len(caller.every(say.ResponseOutputAudioDelta))
    caller.wait(2000)
    assert len(caller.every(say.ResponseOutputAudioDelta)) == before


def test_speech_does_not_cut_where_the_session_says_so_and_the_stop_errs():
    slowly = msgspec.structs.replace(ROUND.response, pace=1.0)
    caller = Caller(msgspec.structs.replace(ROUND, response=slowly))
    caller.detect({"type": "server_vad", "interrupt_response": False})
    caller.ask(ask.ResponseCreate())
    caller.say(voiced(150))
    caller.silence(600)
    assert not caller.every(say.ResponseDone)
    error = caller.only(say.ErrorMessage).message.error
    assert error.code == "conversation_already_has_active_response"
    assert error.event_id is None


def test_a_finished_reply_is_not_cancelled_by_speech():
    caller = spoken_turn()
    caller.say(LINES[1].audio)
    assert caller.only(say.ResponseDone).message.response.status == "completed"


def test_a_client_cancel_closes_what_is_open_and_says_so():
    caller = Caller()
    caller.respond(400)
    answers = caller.ask(ask.ResponseCancel())
    assert [due.message for due in answers][-1].response.status_details == {
        "type": "cancelled",
        "reason": "client_cancelled",
    }
    assert {due.due_ns for due in answers} == {caller.now_ns}
    assert caller.types()[-6:] == ORDER_END


def test_a_cancel_before_response_created_applies_to_the_pending_one():
    caller = Caller()
    caller.ask(ask.ResponseCreate())
    answers = caller.ask(ask.ResponseCancel())
    assert [type(due.message) for due in answers] == [say.ResponseCreated, say.ResponseDone]
    caller.wait(3000)
    assert len(caller.every(say.ResponseCreated)) == 1


def test_one_response_at_a_time():
    caller = Caller()
    caller.ask(ask.ResponseCreate())
    answers = caller.ask(ask.ResponseCreate(event_id="mine"))
    assert code(answers) == "conversation_already_has_active_response"
    assert answers[0].message.error.event_id == "mine"
    caller.wait(3000)
    assert len(caller.every(say.ResponseDone)) == 1
    assert caller.only(say.ResponseCreated).message.response.id in answers[0].message.error.message


def test_responses_outside_the_conversation_run_beside_it_and_leave_no_item():
    caller = Caller()
    caller.ask(ask.ResponseCreate())
    caller.respond(3000, conversation="none")
    assert len(caller.every(say.ResponseDone)) == 2
    assert len(caller.every(say.ConversationItemAdded)) == 1


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (ask.ResponseCancel(event_id="e"), "response_cancel_not_active"),
        (ask.ResponseCancel(event_id="e", response_id="resp_x"), "response_cancel_not_active"),
        (ask.InputAudioBufferCommit(event_id="e"), "input_audio_buffer_commit_empty"),
        (
            ask.ConversationItemTruncate(event_id="e", item_id="x", audio_end_ms=0),
            "item_truncate_invalid_item_id",
        ),
        (ask.ConversationItemDelete(event_id="e", item_id="x"), "item_delete_invalid_item_id"),
        (ask.ConversationItemRetrieve(event_id="e", item_id="x"), "item_retrieve_invalid_item_id"),
        (
            ask.SessionUpdate(
                event_id="e" * 513,
                session=decode_client('{"type":"session.update","session":{}}').session,
            ),
            "invalid_value",
        ),
    ],
)
def test_what_cannot_be_done_is_answered_by_its_code_and_the_clients_event_id(message, expected):
    caller = Caller()
    answers = caller.ask(message)
    assert code(answers) == expected
    assert answers[0].message.error.event_id.startswith("e")
    assert caller.update(instructions="still there")


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [("inworld", ("unknown_event_type", None)), ("openai", ("invalid_value", "type"))],
)
def test_an_unknown_type_is_named_as_each_service_names_it(dialect, expected):
    caller = Caller(dialect=dialect)
    (answer,) = caller.ask(decode_client('{"type":"session.delete","event_id":"e9"}'))
    error = answer.message.error
    assert (error.code, error.param, error.event_id) == (*expected, "e9")


def test_a_known_type_misshapen_names_the_field():
    caller = Caller()
    (answer,) = caller.ask(decode_client('{"type":"input_audio_buffer.append","audio":5}'))
    assert (answer.message.error.code, answer.message.error.param) == ("invalid_value", "audio")
    (answer,) = caller.ask(decode_client('{"type":"conversation.item.delete"}'))
    assert answer.message.error.param == "item_id"


def test_a_message_without_a_type_is_an_invalid_event():
    (answer,) = Caller().ask(decode_client('{"hello":1}'))
    assert answer.message.error.code == "invalid_event"
    (answer,) = Caller().ask(UnknownMessage(type="(no type)", reason="binary", text=""))
    assert answer.message.error.code == "invalid_event"


def test_a_commit_takes_what_was_said_and_only_that():
    caller = Caller()
    caller.detect(None)
    caller.say(LINES[0].audio)
    caller.ask(ask.InputAudioBufferCommit())
    assert code(caller.ask(ask.InputAudioBufferCommit())) == "input_audio_buffer_commit_empty"


def test_clear_drops_the_buffer_and_not_the_clock():
    caller = Caller()
    caller.say(quiet(900))
    assert type(caller.ask(ask.InputAudioBufferClear())[0].message) is say.InputAudioBufferCleared
    caller.silence(100)
    spoken_turn(caller)
    started = caller.only(say.InputAudioBufferSpeechStarted).message.audio_start_ms
    assert abs(started + 300 - 1200) <= 10


@pytest.mark.parametrize(
    ("wire", "fmt"),
    [
        ({"type": "audio/pcm", "rate": 8000}, AudioFormat("audio/pcm", 8000)),
        ({"type": "audio/pcm", "rate": 16000}, AudioFormat("audio/pcm", 16000)),
        ({"type": "audio/pcm", "rate": 48000}, AudioFormat("audio/pcm", 48000)),
        ("g711_ulaw", AudioFormat("audio/pcmu", 8000)),
        ({"type": "audio/pcma"}, AudioFormat("audio/pcma", 8000)),
    ],
)
def test_a_format_is_honoured_on_the_way_in_and_out(wire, fmt):
    caller = Caller(fmt=fmt)
    session = caller.update(audio={"input": {"format": wire}, "output": {"format": wire}})
    echoed = session[0].message.session.audio.input.format
    assert (echoed.type, echoed.rate or fmt.rate) == fmt
    caller.silence(1000)
    caller.say(_convert(LINES[0], fmt).audio)
    caller.silence(900)
    caller.wait(3000)
    started = caller.only(say.InputAudioBufferSpeechStarted).message.audio_start_ms
    assert abs(started + 300 - 1200) <= 10
    assert caller.last(say.InputAudioTranscriptionCompleted).transcript == LINES[0].text
    deltas = caller.every(say.ResponseOutputAudioDelta)
    assert len(deltas[0].message.delta) == fmt.nbytes(ms(100))


def test_max_output_tokens_ends_a_reply_as_incomplete():
    caller = Caller()
    caller.respond(2000, max_output_tokens=10)
    done = caller.last(say.ResponseDone).response
    assert (done.status, done.reason) == ("incomplete", "max_output_tokens")
    assert done.usage["output_token_details"]["audio_tokens"] == 10


def test_the_same_seed_and_number_make_the_same_session_and_another_number_another():
    def heard(number):
        caller = Caller(load_profile(None), number=number)
        return [(due.due_ns, encode(due.message)) for due in spoken_turn(caller).heard]

    assert heard(3) == heard(3)
    assert [due for due, _ in heard(3)] != [due for due, _ in heard(4)]
