"""The contract with the `openai` package: what we send validates under its typed models.

Theory of operation
-------------------
A tour of conversations makes the reference behaviour say everything it can say; every message is
validated, strictly about required fields and types, as a `RealtimeServerEvent`. The ten client
messages of the seed are built whole and validated as `RealtimeClientEvent`. What Inworld documents
differently from OpenAI is listed by name in `DIFFERENCES`, and each must be needed.
"""

import json

import msgspec
import pytest
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import TypeAdapter, ValidationError

from bench.protocol import client as ask
from bench.protocol.client import AnyClientMessage
from bench.protocol.codec import decode_client, encode, message_table, type_of
from bench.protocol.objects import Item, Part, ResponseParams
from bench.protocol.server import ServerMessage
from tests.reference.stage import LINES, Caller, failing

SERVER = TypeAdapter(RealtimeServerEvent)
CLIENT = TypeAdapter(RealtimeClientEvent)

# Name → the field of OpenAI's models that cannot hold what Inworld documents, and a session that
# shows it. Inworld speaks PCM at rates other than 24 kHz (protocol.md 2.1).
DIFFERENCES = {
    "pcm rates other than 24000": ("rate", {"type": "audio/pcm", "rate": 16000}),
}

# In the seed, yet not said by this server: tool calls and rate limits.
UNSAID = {
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "rate_limits.updated",
}


def misfits(message):
    """The last names of the places where OpenAI's models refuse a server message."""
    try:
        SERVER.validate_json(encode(message))
    except ValidationError as error:
        # A union tells what every member misses; only the member of this type is meant.
        places = [e["loc"] for e in error.errors()]
        return {place[-1] for place in places} or {"?"}
    return set()


def spoken(dialect):
    caller = Caller(dialect=dialect)
    caller.update(
        type="realtime",
        instructions="Be brief.",
        audio={
            "input": {
                "transcription": {"model": "gpt-4o-transcribe"}
                if dialect == "openai"
                else {"model": "inworld/inworld-stt-1"},
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 400},
            }
        },
    )
    caller.say(LINES[0].audio)
    caller.silence(600)
    caller.wait(3000)
    item_id = caller.heard[-1].message.response.output[0].id
    caller.ask(ask.ConversationItemTruncate(item_id=item_id, audio_end_ms=300))
    caller.ask(ask.ConversationItemRetrieve(item_id=item_id))
    caller.ask(ask.ConversationItemDelete(item_id=item_id))
    caller.ask(ask.ResponseCancel())
    caller.ask(decode_client('{"type":"nonsense"}'))
    return caller


def interrupted(dialect):
    caller = Caller(dialect=dialect)
    caller.ask(ask.ResponseCreate(response=ResponseParams(metadata={"topic": "x"})))
    caller.wait(350)
    caller.ask(ask.ResponseCancel())
    caller.ask(ask.ResponseCreate(response=ResponseParams(max_output_tokens=5)))
    caller.wait(1000)
    return caller


def written(dialect):
    caller = Caller(dialect=dialect)
    caller.update(
        type="realtime",
        output_modalities=["text"],
        audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}},
    )
    part = Part(type="input_text", text="Hello there.")
    caller.ask(ask.ConversationItemCreate(item=Item(type="message", role="user", content=[part])))
    caller.ask(ask.ResponseCreate())
    caller.wait(2000)
    return caller


def by_hand(dialect):
    caller = Caller(dialect=dialect)
    caller.update(type="realtime", audio={"input": {"turn_detection": None}})
    caller.say(LINES[1].audio)
    caller.ask(ask.InputAudioBufferCommit())
    caller.ask(ask.InputAudioBufferClear())
    caller.ask(ask.InputAudioBufferCommit())
    caller.wait(500)
    return caller


def failed(dialect):
    caller = Caller(failing(response_failed=1.0), dialect=dialect)
    caller.ask(ask.ResponseCreate())
    caller.wait(1000)
    return caller


TOUR = (spoken, interrupted, written, by_hand, failed)


@pytest.mark.parametrize("dialect", ["inworld", "openai"])
@pytest.mark.parametrize("conversation", TOUR)
def test_every_server_message_of_a_tour_validates_under_openais_models(conversation, dialect):
    refused = [
        (type_of(due.message), misfits(due.message))
        for due in conversation(dialect).heard
        if misfits(due.message)
    ]
    assert refused == []


def test_a_message_that_lacks_a_required_field_would_be_refused():
    wire = json.loads(encode(spoken("openai").heard[-2].message))
    for field in set(wire) - {"type"}:
        with pytest.raises(ValidationError):
            SERVER.validate_python({name: wire[name] for name in wire if name != field})


def test_the_tour_says_every_server_message_of_the_seed_that_this_server_says():
    said = {
        type_of(due.message)
        for conversation in TOUR
        for dialect in ("inworld", "openai")
        for due in conversation(dialect).heard
        if isinstance(due.message, ServerMessage)
    }
    seed = {row.type for row in message_table() if row.in_seed and row.direction == "server"}
    assert seed - said == UNSAID
    assert said <= seed


@pytest.mark.parametrize("name", DIFFERENCES)
def test_each_documented_difference_is_there_and_is_the_only_one(name):
    field, wire = DIFFERENCES[name]
    (answer,) = Caller().update(audio={"input": {"format": wire}, "output": {"format": wire}})
    assert field in misfits(answer.message)
    session = json.loads(encode(answer.message))
    for side in session["session"]["audio"].values():
        del side["format"][field]
    SERVER.validate_python(session)


FORMAT = {"type": "audio/pcm", "rate": 24000}
CLIENT_MESSAGES = {
    "session.update": {
        "session": {
            "type": "realtime",
            "model": "gpt-realtime",
            "output_modalities": ["audio"],
            "instructions": "Be brief.",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": 4096,
            "truncation": "auto",
            "audio": {
                "input": {
                    "format": FORMAT,
                    "noise_reduction": {"type": "near_field"},
                    "transcription": {"model": "gpt-4o-transcribe"},
                    "turn_detection": {
                        "type": "server_vad",
                        "threshold": 0.5,
                        "prefix_padding_ms": 300,
                        "silence_duration_ms": 500,
                        "idle_timeout_ms": None,
                        "create_response": True,
                        "interrupt_response": True,
                    },
                },
                "output": {"format": FORMAT, "voice": "marin", "speed": 1.0},
            },
        }
    },
    "input_audio_buffer.append": {"audio": "AAAA"},
    "input_audio_buffer.commit": {},
    "input_audio_buffer.clear": {},
    "conversation.item.create": {
        "previous_item_id": "root",
        "item": {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Hello."}],
        },
    },
    "conversation.item.truncate": {"item_id": "i", "content_index": 0, "audio_end_ms": 100},
    "conversation.item.delete": {"item_id": "i"},
    "conversation.item.retrieve": {"item_id": "i"},
    "response.create": {
        "response": {
            "conversation": "none",
            "instructions": "Again.",
            "output_modalities": ["text"],
            "audio": {"output": {"format": FORMAT, "voice": "marin"}},
            "tool_choice": "none",
            "max_output_tokens": 100,
            "metadata": {"topic": "x"},
        }
    },
    "response.cancel": {"response_id": "r"},
}


def test_the_client_messages_tested_here_are_those_of_the_seed():
    seed = {row.type for row in message_table() if row.in_seed and row.direction == "client"}
    assert set(CLIENT_MESSAGES) == seed


@pytest.mark.parametrize("kind", CLIENT_MESSAGES)
def test_every_client_message_validates_under_openais_models(kind):
    wire = {"type": kind, "event_id": "e1", **CLIENT_MESSAGES[kind]}
    message = msgspec.convert(wire, AnyClientMessage, str_keys=True)
    text = encode(message)
    assert json.loads(text) == wire  # nothing that we can say is lost on the way
    CLIENT.validate_json(text)
