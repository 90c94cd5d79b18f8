"""Every message of a server of dialect openai fits the models of the `openai` package.

`tests/protocol/test_contract.py` holds the conversations of one turn against them; these are the
rest: tools, idle timeouts, limits, quirks that OpenAI has itself, failures.
"""

import re
from importlib import resources

import msgspec
import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter, ValidationError

from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol import server_extras
from bench.protocol.codec import encode, message_table, type_of
from bench.protocol.server import ServerMessage
from bench.reference.profile import LimitsProfile, Quirks
from tests.reference.stage import LINES, ROUND, Caller, failing, odd, tool_output, user_text
from tests.reference.test_tool_calls import TOOL

SERVER = TypeAdapter(RealtimeServerEvent)


def called(kind):
    caller = Caller(_profile_of(kind), dialect="openai")
    caller.update(type="realtime", tools=[TOOL], tool_choice="auto")
    caller.typed_turn()
    for item in caller.last(say.ResponseDone).response.output:
        if item.type == "function_call":
            caller.ask(tool_output(item.call_id))
            caller.ask(ask.ConversationItemRetrieve(item_id=item.id))
    caller.respond(3000)
    return caller


def _profile_of(kind):
    shares = {"one": 0.0, "parallel": 0.0, "mixed": 0.0, kind: 1.0}
    tools = msgspec.structs.replace(ROUND.tools, **shares)
    return msgspec.structs.replace(ROUND, tools=tools)


def cut_call():
    caller = Caller(_profile_of("one"), dialect="openai")
    caller.update(type="realtime", tools=[TOOL])
    caller.typed_turn(reply_ms=225)
    caller.ask(ask.ResponseCancel())
    return caller


def left_idle():
    caller = Caller(dialect="openai")
    caller.update(
        type="realtime",
        audio={
            "input": {
                "transcription": {"model": "whisper-1"},
                "turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000},
            }
        },
    )
    caller.typed_turn()
    caller.wait(9000)
    assert caller.every(server_extras.InputAudioBufferTimeoutTriggered)
    return caller


def spoken(profile):
    caller = Caller(profile, dialect="openai")
    caller.update(type="realtime", audio={"input": {"transcription": {"model": "whisper-1"}}})
    caller.spoken_turn()
    for item in ("root", None):
        message = user_text("again")
        message.previous_item_id = item
        caller.ask(message)
    user = caller.every(say.ConversationItemAdded)[0].message.item.id
    caller.ask(ask.ConversationItemRetrieve(item_id=user))
    caller.ask(ask.ConversationItemDelete(item_id=user))
    return caller


def expired():
    caller = Caller(
        msgspec.structs.replace(ROUND, limits=LimitsProfile(session_s=1)), dialect="openai"
    )
    caller.wait(2000)
    assert caller.every(say.ErrorMessage)
    return caller


def throttled():
    limits = LimitsProfile(packets_per_second=1, breach="error")
    caller = Caller(msgspec.structs.replace(ROUND, limits=limits), dialect="openai")
    caller.ask(user_text("a"))
    caller.ask(user_text("b"))
    assert caller.every(say.ErrorMessage)
    return caller


CONVERSATIONS = {
    "one call": lambda: called("one"),
    "two calls": lambda: called("parallel"),
    "a message and a call": lambda: called("mixed"),
    "a call cut": cut_call,
    "idle": left_idle,
    "session expired": expired,
    "throttled": throttled,
    "rate limits": lambda: spoken(odd(rate_limits=1.0)),
    "null previous": lambda: spoken(odd(previous_null=1.0)),
    "late audio": lambda: spoken(odd(late_audio=1.0, zero_padding=1.0)),
    "transcription failed": lambda: spoken(odd(transcription_failed=1.0)),
    "transcription twice": lambda: spoken(odd(transcription_duplicate=1.0)),
    "transcription late": lambda: spoken(odd(transcription_late=1.0, cumulative_deltas=1.0)),
    "failed": lambda: spoken(failing(response_failed=1.0)),
    "disorder": lambda: spoken(failing(order_violation=1.0, duplicate_done=1.0)),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_every_message_fits_the_typed_models(name):
    for due in CONVERSATIONS[name]().heard:
        if isinstance(due.message, ServerMessage):
            SERVER.validate_json(encode(due.message))


SHIPPED = (resources.files("bench.reference") / "default.toml").read_text()
BEYOND = re.findall(
    r"^(\w+) = .*# \* ", SHIPPED.partition("[quirks]")[2].partition("[failures]")[0], re.MULTILINE
)
"""Quirks that no model of OpenAI's holds, as the shipped profile marks them."""
LEGAL = [name for name in Quirks.__struct_fields__ if name not in BEYOND]


def met(*quirks, dialect):
    """Strangers to OpenAI's models among all that a server with these quirks says, by type."""
    caller = Caller(odd(**dict.fromkeys(quirks, 1.0)), dialect=dialect)
    model = {"openai": "whisper-1", "inworld": "inworld/inworld-stt-1"}[dialect]
    caller.update(type="realtime", audio={"input": {"transcription": {"model": model}}})
    if dialect == "inworld":
        extras = {"responsiveness": {"enabled": True}}
        if "backchannel_skipped" in quirks:
            extras["backchannel"] = {"enabled": True, "min_speech_ms": 100}
        caller.update(providerData=extras, output_modalities=["audio", "text"])
    caller.spoken_turn()
    caller.spoken_turn(reply_ms=400)
    caller.spoken_turn()  # which cuts the reply before it
    caller.update(type="realtime", tools=[TOOL], tool_choice="required")
    caller.typed_turn()
    caller.tell("nonsense")
    narrow = {"format": {"type": "audio/pcmu"}}
    caller.update(
        type="realtime", tools=[], tool_choice="auto", audio={"input": narrow, "output": narrow}
    )
    caller.typed_turn()
    item_id = caller.last(say.ResponseDone).response.output[0].id
    caller.ask(ask.ConversationItemTruncate(item_id=item_id, audio_end_ms=100))
    frame = caller.server.frame
    return {type_of(due.message) for due in caller.heard if not _fits(frame(due.message))}


def _fits(frame):
    try:
        SERVER.validate_json(frame, strict=True)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("dialect", ["inworld", "openai"])
@pytest.mark.parametrize("quirk", LEGAL)
def test_every_message_under_a_legal_quirk_fits_the_typed_models(quirk, dialect):
    assert met(quirk, dialect=dialect) == set()


@pytest.mark.parametrize("dialect", ["inworld", "openai"])
def test_so_do_all_legal_quirks_at_once(dialect):
    assert met(*LEGAL, dialect=dialect) == set()


@pytest.mark.parametrize("quirk", BEYOND)
def test_a_quirk_that_is_not_legal_says_what_the_models_cannot_hold(quirk):
    assert met(quirk, dialect="inworld")


def test_together_they_say_all_of_the_seed():
    said = {
        type_of(due.message)
        for conversation in CONVERSATIONS.values()
        for due in conversation().heard
        if isinstance(due.message, ServerMessage)
    }
    caller = Caller(dialect="openai")
    caller.update(type="realtime", output_modalities=["text"])
    caller.typed_turn()
    caller.update(type="realtime", output_modalities=["audio"])
    caller.typed_turn()
    item_id = caller.last(say.ResponseDone).response.output[0].id
    caller.ask(ask.ConversationItemTruncate(item_id=item_id, audio_end_ms=100))
    caller.say(LINES[0].audio)
    caller.ask(ask.InputAudioBufferClear())
    said |= {type_of(due.message) for due in caller.heard}
    seed = {row.type for row in message_table() if row.in_seed and row.direction == "server"}
    assert seed - said == set()
