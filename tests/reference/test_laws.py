"""Laws that hold for any sequence of messages, legal and illegal."""

import json
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol.codec import decode_client
from tests.reference.stage import LINES, Caller, quiet

IDS = st.sampled_from(["a", "b", "root", "nowhere", "item_7x0_1", "item_7x0_0_a", "resp_7x0_0", ""])
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
SESSION = st.fixed_dictionaries(
    {},
    optional={
        "instructions": st.text(max_size=5),
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
                "output": st.fixed_dictionaries({}, optional={"format": FORMAT}),
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
DEED = st.one_of(
    MESSAGE, MESSAGE, st.sampled_from(["speak", "silence", "noise", "wait", "long wait"])
)
SPEECH, SILENCE = LINES[0].audio, quiet(700).tobytes()


def do(caller, deed):
    if deed == "speak":
        caller.say(SPEECH)
    elif deed == "silence":
        caller.say(SILENCE)
    elif deed == "noise":
        caller.say(bytes(range(256)) * 20 + b"\x01")
    elif isinstance(deed, str):
        caller.wait(4000 if deed == "long wait" else 150)
    else:
        return caller.ask(decode_client(json.dumps(deed)))
    return None


@given(deeds=st.lists(DEED, max_size=14), dialect=st.sampled_from(["inworld", "openai"]))
@settings(max_examples=150, deadline=None)
def test_any_sequence_is_answered_and_every_response_ends_exactly_once(deeds, dialect):
    caller = Caller(dialect=dialect)
    for deed in deeds:
        answers = do(caller, deed)
        silent = not isinstance(deed, dict) or deed.get("type") in {
            "input_audio_buffer.append",
            "response.create",
        }
        assert silent or answers, deed
    caller.wait(60_000)
    assert caller.behaviour.next_due() is None
    created = Counter(d.message.response.id for d in caller.every(say.ResponseCreated))
    done = Counter(d.message.response.id for d in caller.every(say.ResponseDone))
    assert created == done
    assert set(done.values()) <= {1}
    instants = [due.due_ns for due in caller.heard]
    assert instants == sorted(instants)
    ids = [due.message.event_id for due in caller.heard]
    assert len(set(ids)) == len(ids)


@given(kind=st.sampled_from([ask.ResponseCreate, ask.ResponseCancel]), count=st.integers(1, 6))
def test_create_and_cancel_always_answer_or_begin(kind, count):
    caller = Caller()
    for _ in range(count):
        began = len(caller.every(say.ResponseDone)) + len(caller.every(say.ErrorMessage))
        caller.ask(ask.ResponseCreate())
        caller.ask(kind())
        assert len(caller.every(say.ResponseDone)) + len(caller.every(say.ErrorMessage)) > began
