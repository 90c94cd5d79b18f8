"""What OpenAI refuses and Inworld overlooks: unknown fields, unknown words, what is no JSON."""

import json

import pytest

from bench.protocol import server as say
from tests.reference.stage import Caller

UNKNOWN = [
    ("session.update", {"session": {"type": "realtime", "foo": 1}}, "session.foo"),
    ("session.update", {"session": {"type": "realtime"}, "foo": 1}, "foo"),
    ("session.update", {"session": {"type": "realtime", "audio": {"input": {"foo": 1}}}},
     "session.audio.input.foo"),
    ("session.update", {"session": {"type": "realtime", "audio": {"input": {
        "turn_detection": {"type": "server_vad", "foo": 1}}}}},
     "session.audio.input.turn_detection.foo"),
    ("session.update", {"session": {"type": "realtime", "temperature": 0.5}},
     "session.temperature"),
    ("session.update", {"session": {"type": "realtime", "tools": [
        {"type": "function", "name": "f", "strict": True}]}}, "session.tools[0].strict"),
    ("response.create", {"response": {"foo": 1}}, "response.foo"),
    ("conversation.item.create", {"item": {"type": "message", "role": "user", "foo": 1,
     "content": [{"type": "input_text", "text": "hi"}]}}, "item.foo"),
    ("conversation.item.create", {"item": {"type": "message", "role": "user",
     "content": [{"type": "input_text", "text": "hi", "foo": 1}]}}, "item.content[0].foo"),
    ("input_audio_buffer.clear", {"foo": 1}, "foo"),
    ("input_audio_buffer.append", {"audio": "AAAA", "foo": 1}, "foo"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "param"), UNKNOWN)
def test_openai_refuses_an_unknown_parameter_and_drops_the_whole_message(kind, fields, param):
    caller = Caller(dialect="openai")
    before = caller.server._context.settings.effective
    (answer,) = caller.tell(kind, event_id="mine", **fields)
    error = answer.message.error
    assert (error.type, error.code) == ("invalid_request_error", "unknown_parameter")
    assert (error.param, error.event_id) == (param, "mine")
    assert error.message == f"Unknown parameter: '{param}'."
    assert caller.server._context.settings.effective == before
    caller.wait(3000)
    assert len(caller.heard) == 2  # session.created, and the error


@pytest.mark.parametrize(("kind", "fields", "param"), UNKNOWN)
def test_inworld_skips_it_and_takes_the_rest(kind, fields, param):
    assert param
    caller = Caller()
    caller.tell(kind, **fields)
    caller.wait(500)
    assert not caller.every(say.ErrorMessage)
    assert len(caller.heard) > 1 or kind == "input_audio_buffer.append"


def test_an_unknown_field_that_is_null_is_absent():
    caller = Caller(dialect="openai")
    caller.update(type="realtime", foo=None, temperature=None)
    assert caller.every(say.SessionUpdated)


@pytest.mark.parametrize(
    ("dialect", "code"), [("openai", "invalid_json"), ("inworld", "invalid_event")]
)
@pytest.mark.parametrize("frame", ["{", "", "[]", "hello", b"\x00\x01"])
def test_what_is_no_json_object_is_refused_and_the_session_goes_on(dialect, code, frame):
    caller = Caller(dialect=dialect)
    (answer,) = caller.send(frame)
    assert answer.message.error.code == code
    caller.update(type="realtime", instructions="still there")
    assert caller.last(say.SessionUpdated).session.instructions == "still there"


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "conversation.item.create", "item": {"role": "user"}},
         "missing_required_parameter", "item.type"),
        ({"type": "session.update", "session": {"type": "realtime", "audio": {"input": {
            "turn_detection": {"threshold": 0.5}}}}},
         "missing_required_parameter", "session.audio.input.turn_detection.type"),
        ({"type": "session.update", "session": {"type": "realtime", "instructions": 5}},
         "invalid_type", "session.instructions"),
        ({"type": "session.update", "session": None}, "missing_required_parameter", "session"),
    ],
)  # fmt: skip
def test_openai_names_what_is_missing_and_what_has_the_wrong_type(message, code, param):
    (answer,) = Caller(dialect="openai").send(json.dumps(message))
    assert (answer.message.error.code, answer.message.error.param) == (code, param)
    assert f"'{param}'" in answer.message.error.message


def test_inworld_overlooks_an_unknown_word_in_a_response():
    caller = Caller()
    caller.tell("response.create", response={"conversation": "x", "output_modalities": ["smell"]})
    caller.wait(4000)
    done = caller.only(say.ResponseDone).message.response
    assert (done.status, done.output_modalities) == ("completed", ["audio", "text"])
    (answer,) = Caller(dialect="openai").tell("response.create", response={"conversation": "x"})
    assert answer.message.error.param == "response.conversation"


def test_a_turn_in_which_every_optional_field_is_null_is_a_turn_like_any_other():
    """What SDKs of other languages send for what they do not mean to say."""
    caller = Caller(dialect="openai")
    nothing = dict.fromkeys(
        ("instructions", "tools", "tool_choice", "model", "output_modalities", "max_output_tokens")
    )
    voice = {"voice": None, "speed": None, "format": None}
    caller.update(type="realtime", **nothing, audio={"output": voice, "input": None})
    caller.tell(
        "conversation.item.create",
        event_id=None,
        previous_item_id=None,
        item={
            "id": None,
            "type": "message",
            "role": "user",
            "status": None,
            "content": [{"type": "input_text", "text": "hi", "audio": None, "transcript": None}],
        },
    )
    caller.tell(
        "response.create",
        event_id=None,
        response={**nothing, "conversation": None, "metadata": None, "input": None, "audio": None},
    )
    caller.wait(4000)
    assert not caller.every(say.ErrorMessage)
    assert caller.only(say.ResponseDone).message.response.status == "completed"
