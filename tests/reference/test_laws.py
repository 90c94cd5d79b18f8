"""Laws that hold for any sequence of messages, legal and illegal."""

import json
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol.codec import decode_client, decode_server, type_of
from bench.reference.profile import Quirks, ToolsProfile
from bench.reference.schedule import Raw
from bench.reference.server_state import ServerState
from tests.examples import examples
from tests.reference.stage import LINES, ROUND, Caller, failing, quiet

# What a client knows by then: the last item, and the last call, that it was told of.
KNOWN = {"$item": say.ConversationItemAdded, "$call": say.ResponseFunctionCallArgumentsDone}
IDS = st.sampled_from(
    ["a", "b", "root", "nowhere", "item_7x0_1", "item_7x0_0_a", "resp_7x0_0", "$item", "$call", ""]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.floats(-9, 9) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "id", "format", "rate", "audio", "input", "output", "model", "text"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
SERVER_VAD = st.fixed_dictionaries(
    {"type": st.just("server_vad")},
    optional={
        "threshold": st.floats(-0.2, 1.2),
        "silence_duration_ms": st.sampled_from([0, 200, 500, -1]),
        "prefix_padding_ms": st.sampled_from([0, 300]),
        "idle_timeout_ms": st.sampled_from([None, 5000, 1]),
        "create_response": st.booleans(),
        "interrupt_response": st.booleans(),
    },
)
SEMANTIC_VAD = st.fixed_dictionaries(
    {"type": st.just("semantic_vad")}, optional={"eagerness": st.sampled_from(["low", "high", "x"])}
)
FORMAT = st.sampled_from(
    ["pcm16", "g711_ulaw", "opus", {"type": "audio/pcm", "rate": 16000}, {"type": "audio/pcma"}]
)
CHOICE = st.sampled_from(
    [
        "auto",
        "none",
        "required",
        "x",
        {"type": "function", "name": "f"},
        {"type": "function", "name": "nobody"},
        {"type": "mcp"},
    ]
)
TOOLS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["function", "function", "web_search"])},
        optional={
            "name": st.sampled_from(["f", "g", ""]),
            "parameters": st.fixed_dictionaries({"properties": ANYTHING}) | ANYTHING,
        },
    ),
    max_size=2,
)
PROVIDER = st.fixed_dictionaries(
    {},
    optional={
        "auto_tool_response": st.booleans(),
        "backchannel": ANYTHING | st.just({"enabled": True, "min_gap_ms": 0}),
        "responsiveness": ANYTHING | st.just({"enabled": True}),
    },
)
SESSION = st.fixed_dictionaries(
    {},
    optional={
        "instructions": st.text(max_size=5),
        "model": st.sampled_from(["a/b", "gpt-realtime"]),
        "tools": TOOLS,
        "tool_choice": CHOICE,
        "providerData": st.none() | PROVIDER,
        "output_modalities": st.lists(st.sampled_from(["text", "audio", "video"]), max_size=2),
        "max_output_tokens": st.sampled_from([1, 20, "inf", 0]),
        "audio": st.fixed_dictionaries(
            {},
            optional={
                "input": st.fixed_dictionaries(
                    {},
                    optional={
                        "turn_detection": st.none() | SERVER_VAD | SEMANTIC_VAD,
                        "format": FORMAT,
                        "transcription": st.none()
                        | st.fixed_dictionaries(
                            {"model": st.sampled_from(["inworld/inworld-stt-1", "x"])}
                        ),
                    },
                ),
                "output": st.fixed_dictionaries(
                    {},
                    optional={
                        "format": FORMAT,
                        "voice": st.sampled_from(["Ash", {"id": "v"}]),
                        "speed": st.sampled_from([0.5, 1.0, 1.5, 9]),
                    },
                ),
            },
        ),
    },
)
PART = st.fixed_dictionaries(
    {"type": st.sampled_from(["input_text", "output_text", "input_audio", "text"])},
    optional={"text": st.text(max_size=5), "audio": st.sampled_from(["AAAA", "?"])},
)
ITEM = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "function_call", "function_call_output", "x"])},
    optional={
        "id": IDS,
        "role": st.sampled_from(["user", "assistant", "system", "x"]),
        "content": st.lists(PART, max_size=2),
        "call_id": IDS,
        "output": st.text(max_size=3),
        "name": st.just("f"),
        "arguments": st.just("{}"),
    },
)
PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "conversation": st.sampled_from(["auto", "none", "x"]),
        "output_modalities": st.lists(st.sampled_from(["text", "audio"]), max_size=2),
        "max_output_tokens": st.sampled_from([1, 3, 40, "inf", -1]),
        "tools": TOOLS,
        "tool_choice": CHOICE,
        "audio": st.fixed_dictionaries({"output": st.fixed_dictionaries({"format": FORMAT})}),
        "input": st.lists(
            st.fixed_dictionaries({"type": st.just("item_reference"), "id": IDS}), max_size=2
        ),
    },
)


def message(kind, **fields):
    return st.fixed_dictionaries({"type": st.just(kind)}, optional=fields)


MESSAGE = st.one_of(
    message("session.update", session=SESSION | ANYTHING),
    message("input_audio_buffer.commit", event_id=st.text(max_size=3)),
    message("input_audio_buffer.clear"),
    message("output_audio_buffer.clear"),
    message("conversation.item.create", item=ITEM | ANYTHING, previous_item_id=IDS | st.none()),
    message(
        "conversation.item.truncate",
        item_id=IDS,
        content_index=st.integers(-1, 1),
        audio_end_ms=st.integers(-1, 3000),
    ),
    message("conversation.item.delete", item_id=IDS),
    message("conversation.item.retrieve", item_id=IDS),
    message("response.create", response=PARAMS | ANYTHING),
    message("response.cancel", response_id=IDS),
    message("input_audio_buffer.append", audio=st.sampled_from(["AAAA", "A", "", 5])),
    message("nonsense", anything=ANYTHING),
    st.dictionaries(st.text(max_size=4), ANYTHING, max_size=2),
)
# Legal things that a wild draw would rarely come upon.
TOOL = {"type": "function", "name": "f", "parameters": {"properties": {"a": {"type": "string"}}}}
LEGAL = st.sampled_from(
    [
        {"type": "session.update", "session": {"tools": [TOOL]}},
        {"type": "session.update", "session": {"providerData": {"auto_tool_response": True}}},
        {"type": "session.update", "session": {"output_modalities": ["text"]}},
        {"type": "session.update", "session": {"audio": {"input": {"turn_detection": None}}}},
        {
            "type": "conversation.item.create",
            "item": {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "hello"}],
            },
        },
        {
            "type": "conversation.item.create",
            "item": {"type": "function_call_output", "call_id": "$call", "output": "done"},
        },
        {"type": "response.create"},
        {"type": "response.cancel"},
    ]
)
DEED = st.one_of(
    MESSAGE,
    LEGAL,
    st.sampled_from(["turn", "typed", "speak", "silence", "noise", "wait", "long wait"]),
)
START = st.sampled_from(
    [
        {},
        {"tools": [TOOL]},
        {"tools": [TOOL], "providerData": {"auto_tool_response": True}},
        {"audio": {"input": {"turn_detection": None}}},
        {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}}}},
        {"audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}}},
        {"output_modalities": ["text"]},
        {"providerData": {"responsiveness": {"enabled": True}, "backchannel": {"enabled": True}}},
    ]
)
UNLAWFUL = {
    "no_session_updated", "late_session_created", "no_response_created",
    "repeated_response_created", "idless_calls",
}  # fmt: skip
"""Quirks that leave out or repeat what the laws count."""
LAWFUL = [name for name in Quirks.__struct_fields__ if name not in UNLAWFUL]
EVERY_QUIRK = msgspec.structs.replace(
    ROUND,
    tools=ToolsProfile(first_ms=200),
    quirks=Quirks(**{name: 1.0 for name in LAWFUL if name not in {"flat_error", "ping"}}),
)
SOME_QUIRKS = msgspec.structs.replace(
    ROUND,
    tools=ToolsProfile(first_ms=200),
    quirks=Quirks(**dict.fromkeys(LAWFUL, 0.5)),
)
SPEECH, SILENCE = LINES[0].audio, quiet(700).tobytes()


DONE = {
    "turn": lambda caller: caller.spoken_turn(reply_ms=300),
    "typed": lambda caller: caller.typed_turn(reply_ms=300),
    "speak": lambda caller: caller.say(SPEECH),
    "silence": lambda caller: caller.say(SILENCE),
    "noise": lambda caller: caller.say(bytes(range(256)) * 20 + b"\x01"),
    "wait": lambda caller: caller.wait(150),
    "long wait": lambda caller: caller.wait(9000),
}


def do(caller, deed):
    if isinstance(deed, str):
        DONE[deed](caller)
        return None
    text = json.dumps(deed)
    for name, kind in KNOWN.items():
        told = [due.message for due in caller.every(kind)]
        known = (told[-1].item.id if name == "$item" else told[-1].call_id) if told else "unknown"
        text = text.replace(name, known)
    return caller.ask(decode_client(text))


@pytest.mark.parametrize("profile", [ROUND, EVERY_QUIRK, SOME_QUIRKS], ids=["none", "all", "some"])
@given(
    start=START,
    deeds=st.lists(DEED, max_size=14),
    dialect=st.sampled_from(["inworld", "openai"]),
)
@examples(150)
def test_any_sequence_is_answered_and_every_response_ends_exactly_once(
    profile, start, deeds, dialect
):
    caller = Caller(profile, dialect=dialect)
    caller.update(**start)
    for deed in deeds:
        active = caller.server._responses.active
        deferred = active is not None and any(out.script.call for out in active.outputs)
        answers = do(caller, deed)
        silent = not isinstance(deed, dict) or deed.get("type") in {
            "input_audio_buffer.append",
            "response.create",
        }
        assert silent or answers or deferred, deed
    caller.update(audio={"input": {"turn_detection": None}})  # nobody is idle for ever
    caller.wait(60_000)
    check_laws(caller)


def check_laws(caller):
    created = Counter(d.message.response.id for d in caller.every(say.ResponseCreated))
    done = Counter(d.message.response.id for d in caller.every(say.ResponseDone))
    assert created == done
    assert set(done.values()) <= {1}
    opened = Counter(
        (d.message.response_id, d.message.output_index)
        for d in caller.every(say.ResponseOutputItemAdded)
    )
    closed = Counter(
        (d.message.response_id, d.message.output_index)
        for d in caller.every(say.ResponseOutputItemDone)
    )
    assert opened == closed
    assert set(opened.values()) <= {1}
    instants = [due.due_ns for due in caller.heard]
    assert instants == sorted(instants)
    ids = [due.message.event_id for due in caller.heard]
    assert len(set(ids)) == len(ids)
    for due in caller.heard[:40]:
        heard = decode_server(caller.server.frame(due.message), [])
        assert type_of(heard) == type_of(due.message)


WRONG = failing(
    response_failed=0.2,
    errortype=0.2,
    overloaded=0.2,
    malformed_mid_turn=0.3,
    leak=0.5,
    order_violation=0.5,
    duplicate_done=0.5,
    stall=0.05,
    close_mid_turn=0.05,
)


@given(start=START, deeds=st.lists(DEED, max_size=14))
@examples(80)
def test_a_server_in_trouble_never_raises_and_time_never_runs_backwards(start, deeds):
    state = ServerState(WRONG)
    state.leaks.write(99, "somebody else")
    caller = Caller(WRONG, state=state)
    caller.update(**start)
    for deed in deeds:
        do(caller, deed)
    caller.wait(60_000)
    instants = [due.due_ns for due in caller.heard]
    assert instants == sorted(instants)
    created = {d.message.response.id for d in caller.every(say.ResponseCreated)}
    done = Counter(d.message.response.id for d in caller.every(say.ResponseDone))
    assert set(done) <= created
    assert set(done.values()) <= {1, 2}
    frames = [due.message.payload for due in caller.every(Raw)]
    assert all(isinstance(frame, str) for frame in frames)


@given(kind=st.sampled_from([ask.ResponseCreate, ask.ResponseCancel]), count=st.integers(1, 6))
def test_create_and_cancel_always_answer_or_begin(kind, count):
    caller = Caller()
    for _ in range(count):
        began = len(caller.every(say.ResponseDone)) + len(caller.every(say.ErrorMessage))
        caller.ask(ask.ResponseCreate())
        caller.ask(kind())
        assert len(caller.every(say.ResponseDone)) + len(caller.every(say.ErrorMessage)) > began
