from base64 import b64encode, urlsafe_b64encode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ProtocolError
from bench.protocol import client, server, server_extras
from bench.protocol.codec import (
    UnknownMessage,
    decode_client,
    decode_server,
    encode,
    message_table,
    oddities,
    type_of,
)
from bench.protocol.objects import Item, Part, Response, Session

CLIENT_WORDS = {
    "session": ("update",),
    "input_audio_buffer": ("append", "commit", "clear"),
    "conversation.item": ("create", "truncate", "delete", "retrieve"),
    "response": ("create", "cancel"),
}
SERVER_WORDS = {
    "session": ("created", "updated"),
    "conversation.item": ("added", "done", "retrieved", "truncated", "deleted"),
    "response": ("created", "done"),
    "response.output_item": ("added", "done"),
    "response.content_part": ("added", "done"),
    "response.output_text": ("delta", "done"),
    "response.output_audio": ("delta", "done"),
    "response.output_audio_transcript": ("delta", "done"),
    "response.function_call_arguments": ("delta", "done"),
    "input_audio_buffer": ("speech_started", "speech_stopped", "committed", "cleared"),
    "conversation.item.input_audio_transcription": ("delta", "completed"),
    "rate_limits": ("updated",),
}
SEED_CLIENT = [f"{noun}.{verb}" for noun, verbs in CLIENT_WORDS.items() for verb in verbs]
SEED_SERVER = [f"{noun}.{verb}" for noun, verbs in SERVER_WORDS.items() for verb in verbs]
SEED_SERVER.append("error")


def test_all_39_messages_of_the_seed_are_typed_and_no_other_claims_to_be_one():
    seed = {(e.direction, e.type) for e in message_table() if e.in_seed}
    assert len(SEED_CLIENT) == 10
    assert len(SEED_SERVER) == 29
    assert seed == {("client", t) for t in SEED_CLIENT} | {("server", t) for t in SEED_SERVER}


def test_every_message_is_described_and_named_once():
    table = message_table()
    assert all(entry.description.endswith(".") or "(" in entry.description for entry in table)
    assert len({(entry.direction, entry.type) for entry in table}) == len(table)


def test_the_inworld_extras_and_the_tolerated_messages_are_known_and_not_in_the_seed():
    tolerated = {entry.type for entry in message_table() if not entry.in_seed}
    assert {
        "input_audio_buffer.turn_suggestion", "input_audio_buffer.turn_suggestion_revoked",
        "response.backchannel.audio.delta", "response.backchannel.audio.done",
        "response.backchannel.skipped", "ping", "conversation.created", "response.audio.delta",
        "conversation.item.created", "input_audio_buffer.timeout_triggered",
        "conversation.item.input_audio_transcription.failed",
    } <= tolerated  # fmt: skip


@given(st.binary(max_size=3000), st.text(max_size=20))
def test_audio_survives_the_wire_in_both_directions(audio, item_id):
    delta = server.ResponseOutputAudioDelta(response_id="r", item_id=item_id, delta=audio)
    assert decode_server(encode(delta)) == delta
    append = client.InputAudioBufferAppend(audio=audio)
    assert decode_client(encode(append)) == append


def test_what_is_absent_stays_absent_and_null_stays_null():
    update = client.SessionUpdate(
        session=msgspec.convert({"audio": {"input": {"turn_detection": None}}}, Session)
    )
    text = msgspec.json.decode(encode(update))
    assert text["session"] == {"audio": {"input": {"turn_detection": None}}}
    assert "event_id" not in text


def test_providerdata_keeps_its_camel_case():
    session = msgspec.convert({"providerData": {"auto_tool_response": False}}, Session)
    assert b'"providerData"' in encode(session)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_protocol_error_and_nothing_else(data):
    for decode in (decode_server, decode_client):
        try:
            message = decode(data)
        except ProtocolError as error:
            assert error.kind == "malformed"  # noqa: PT017 - either outcome is right
        else:
            assert type_of(message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from(SEED_SERVER), st.dictionaries(
    st.sampled_from(["event_id", "session", "item", "response", "delta", "item_id", "error"]), JSON
))  # fmt: skip
def test_a_known_type_with_any_fields_is_typed_or_recorded_as_misshapen(kind, fields):
    message = decode_server(msgspec.json.encode({**fields, "type": kind}))
    assert type_of(message) == kind
    if isinstance(message, UnknownMessage):
        assert message.reason


def test_an_unknown_type_is_recorded_as_such():
    message = decode_server('{"type":"brand.new","event_id":"e","x":1}')
    assert (type_of(message), message.event_id) == ("brand.new", "e")


def test_a_frame_without_a_type_is_named_by_its_error_type():
    assert type_of(decode_server('{"errorType":"SESSION_RESOURCES_EXHAUSTED"}')) == (
        "errorType:SESSION_RESOURCES_EXHAUSTED"
    )
    assert type_of(decode_server("{}")) == "(no type)"


@pytest.mark.parametrize("text", ["", "[]", '"x"', "3", '{"type":', "\x00"])
def test_what_is_no_json_object_is_a_protocol_error(text):
    with pytest.raises(ProtocolError):
        decode_server(text)


def test_unknown_fields_of_a_known_message_are_named_at_any_depth():
    text = (
        b'{"type":"session.updated","event_id":"e","novelty":1,'
        b'"session":{"id":"s","zest":2,"audio":{"input":{"spice":{}}}}}'
    )
    assert oddities(text, decode_server(text)) == [
        "novelty",
        "session.audio.input.spice",
        "session.zest",
    ]


def test_a_field_of_the_wrong_shape_is_left_out_and_the_rest_is_read():
    """No server is unreadable for one odd field: Inworld's exact shapes are not documented."""
    text = (
        b'{"type":"session.updated","event_id":"e","session":{"id":"s","expires_at":"tomorrow",'
        b'"tools":{"a":1},"audio":{"input":{"format":{"type":"audio/pcmu","rate":"8000"}}}}}'
    )
    message = decode_server(text)
    assert isinstance(message, server.SessionUpdated)
    assert message.session.id == "s"
    assert message.session.audio.input.format.type == "audio/pcmu"
    assert oddities(text, message) == [
        "session.audio.input.format.rate",
        "session.expires_at",
        "session.tools",
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"session.updated","event_id":null,"session":{"model":null,"tools":null}}',
        '{"type":"session.updated","session":{"audio":{"output":null,"input":null}}}',
        '{"type":"session.updated","session":{"audio":{"output":{"speed":null}}}}',
        '{"type":"session.updated","session":{"audio":{"input":{"turn_detection":{"type":null}}}}}',
        '{"type":"response.done","response":{"id":"r","output":null,"status":null}}',
        '{"type":"conversation.item.added","item":{"type":"message","role":null}}',
        '{"type":"error","error":{"type":null,"message":"m"}}',
        '{"type":"response.output_text.done","response_id":"r","item_id":"i","text":null}',
    ],
)
def test_a_null_in_any_place_costs_that_field_and_not_the_message(text):
    assert not isinstance(decode_server(text), UnknownMessage)


def test_nesting_without_end_is_no_crash():
    deep = '{"type":"session.updated","session":{"tools":' + "[" * 50_000 + "]" * 50_000 + "}}"
    for decode in (decode_server, decode_client):
        try:
            decode(deep)
        except ProtocolError as error:
            assert error.kind == "malformed"  # noqa: PT017 - either outcome is right


def test_beta_spellings_are_the_messages_they_mean_and_keep_their_name():
    text = '{"type":"response.audio.delta","response_id":"r","item_id":"i","delta":"AAA="}'
    message = decode_server(text)
    assert isinstance(message, server.ResponseOutputAudioDelta)
    assert type_of(message) == "response.audio.delta"


def test_both_spellings_of_content_parts_are_read():
    for kind in ("audio", "output_audio"):
        item = msgspec.convert({"type": "message", "content": [{"type": kind}]}, Item)
        assert item.content == [Part(type=kind)]


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"type": "cancelled", "reason": "turn_detected"}, "turn_detected"),
        ({"type": "failed", "error": {"code": "rate_limit_exceeded"}}, "rate_limit_exceeded"),
        ({"reason": "server_error"}, "server_error"),
        ("a string", "a string"),
        (None, ""),
    ],
)
def test_the_reason_of_a_response_is_read_in_every_shape_that_servers_send(details, reason):
    assert msgspec.convert({"id": "r", "status_details": details}, Response).reason == reason


def test_an_error_is_read_nested_and_flat():
    nested = decode_server('{"type":"error","error":{"type":"t","code":"c","message":"m"}}')
    flat = decode_server('{"type":"error","message":"m"}')
    assert (nested.code, nested.text) == ("c", "m")
    assert (flat.code, flat.text) == ("error", "m")


START = '{"type":"input_audio_buffer.speech_started","item_id":"i","audio_start_ms":1200,"odd":%s}'


@pytest.mark.parametrize(
    ("value", "quirk"),
    [
        (r'"\ud83d"', "lone_surrogates"),
        (r'{"\udc00":["\udc00"]}', "lone_surrogates"),
        ("NaN", "odd_numbers"),
        ("[-Infinity]", "odd_numbers"),
        ("1e999", "odd_numbers"),
        ("9" * 5000, "odd_numbers"),
        ("[" * 5000 + "]" * 5000, "deep_nesting"),
        ('{"a":' * 5000 + '"]}"' + "}" * 5000, "deep_nesting"),
        ('"a\nb"', "loose_json"),
        ('"\udcff"', "invalid_utf8"),
    ],
)
def test_what_is_nearly_json_in_an_unknown_field_costs_that_field_alone(value, quirk):
    """Twice: msgspec passes some of it over without a word, unless something else is odd."""
    for text in (START % value, (START % value).replace("1200", "1200.3")):
        wire, odd = text.encode("utf-8", "surrogateescape"), []
        message = decode_server(wire, odd)
        expected = server.InputAudioBufferSpeechStarted(item_id="i", audio_start_ms=1200)
        assert message == expected
        assert oddities(wire, message, odd) == ["odd"]
        assert quirk in {one.quirk for one in odd}


def test_half_a_character_in_a_text_is_a_replacement_and_a_whole_one_is_itself():
    text = r'{"type":"response.output_text.delta","response_id":"r","item_id":"i","delta":"%s"}'
    odd = []
    assert decode_server(text % r"hi \ud83d", odd).delta == "hi \ufffd"
    assert [one.quirk for one in odd] == ["lone_surrogates"]
    assert decode_server(text % r"hi \ud83d\ude00\ud83d").delta == "hi \U0001f600\ufffd"
    split = b'{"type":"response.output_text.delta","response_id":"r","item_id":"i","delta":"\xff"}'
    assert decode_server(split).delta == "\ufffd"


def test_a_number_that_is_none_costs_its_own_field():
    text = '{"type":"input_audio_buffer.speech_started","item_id":"i","audio_start_ms":%s}'
    for number in ("NaN", "1e999", "9" * 400, "true", '"soon"', "[1]", str(2**60)):
        message = decode_server(text % number)
        assert message == server.InputAudioBufferSpeechStarted(item_id="i"), number
    usage = decode_server(
        '{"type":"response.done","response":{"id":"r","usage":{"a":NaN,"total_tokens":3}}}'
    )
    assert usage.response.usage == {"a": None, "total_tokens": 3}


@pytest.mark.parametrize(
    "text", ["{'type':'ping'}", '{"type":"ping",}', '{"type":"ping"} {}', "nan"]
)
def test_what_is_no_json_object_even_so_is_a_protocol_error(text):
    with pytest.raises(ProtocolError):
        decode_server(text)


def test_a_byte_order_mark_is_no_part_of_the_message():
    odd = []
    assert isinstance(decode_server(b'\xef\xbb\xbf{"type":"ping"}', odd), server_extras.Ping)
    assert [one.quirk for one in odd] == ["loose_json"]


@given(st.binary(max_size=300), st.booleans(), st.booleans(), st.integers(0, 80))
def test_audio_in_loose_base64_is_the_same_audio(audio, urls, padded, breaks):
    text = (urlsafe_b64encode if urls else b64encode)(audio).decode()
    text = text if padded else text.rstrip("=")
    lines = [text[at : at + breaks] for at in range(0, len(text), breaks)] if breaks else [text]
    wire = {"response_id": "r", "item_id": "i", "delta": "\r\n ".join(lines)}
    for kind in ("response.output_audio.delta", "response.backchannel.audio.delta"):
        assert decode_server(msgspec.json.encode({**wire, "type": kind})).delta == audio


@pytest.mark.parametrize("delta", ["%%%", "AAAAA", "AA=A", 7, None])
def test_audio_that_is_garbage_is_no_audio_and_the_rest_is_read(delta):
    wire = {"response_id": "r", "item_id": "i", "delta": delta}
    text = msgspec.json.encode({"type": "response.output_audio.delta", **wire})
    message = decode_server(text)
    assert message == server.ResponseOutputAudioDelta(response_id="r", item_id="i", delta=b"")


def test_positions_may_be_floats_or_words():
    text = '{"type":"input_audio_buffer.speech_stopped","item_id":"i","audio_end_ms":%s}'
    for number, meant in (("12.4", 12), ("12.6", 13), ("12.0", 12), ('"12"', 12), ("1.2e1", 12)):
        odd = []
        assert decode_server(text % number, odd).audio_end_ms == meant
        assert [one.quirk for one in odd] == ["float_positions"]
    word = '{"type":"response.output_text.delta","response_id":"r","item_id":"i","delta":"x",'
    indexed = decode_server(word + '"output_index":"2","content_index":1.0}')
    assert (indexed.output_index, indexed.content_index) == (2, 1)


@pytest.mark.parametrize(
    ("text", "code", "words", "quirks"),
    [
        ('{"type":"error","error":"no"}', "error", "no", ["error_string"]),
        ('{"type":"error","message":"no","code":"c"}', "c", "no", []),
        ('{"type":"error","message":"no","code":7}', "7", "no", ["integer_code"]),
        ('{"type":"error","error":{"code":7,"message":"no"}}', "7", "no", ["integer_code"]),
        ('{"error":{"code":"c","message":"no"}}', "c", "no", ["untyped_error"]),
        ('{"error":{"code":7}}', "7", "", ["untyped_error", "integer_code"]),
        ('{"error":"no"}', "error", "no", ["untyped_error", "error_string"]),
        ('{"code":8,"message":"no"}', "8", "no", ["untyped_error", "integer_code"]),
        ('{"type":null,"error":{"code":"c","message":"no"}}', "c", "no", ["untyped_error"]),
        ('{"type":"error","error":{"message":"no","details":{}}}', "error", "no", []),
        ('{"type":"error","error":{"message":null,"details":"no"}}', "error", "no", []),
        ('{"type":"error","error":null,"message":"no"}', "error", "no", []),
    ],
)
def test_an_error_is_read_in_every_shape_that_servers_send(text, code, words, quirks):
    odd = []
    message = decode_server(text, odd)
    assert isinstance(message, server.ErrorMessage)
    assert (message.code, message.text) == (code, words)
    assert [one.quirk for one in odd] == quirks


@given(st.binary(max_size=200))
def test_any_bytes_leave_oddities_total(data):
    for wire in (data, b'{"type":"ping","odd":' + data + b"}", b'{"type":"ping","odd":"' + data):
        try:
            message = decode_server(wire, [])
        except ProtocolError:
            continue
        if not isinstance(message, UnknownMessage):
            assert isinstance(oddities(wire, message, []), list)


def test_what_is_part_of_a_response_may_leave_its_names_out_and_nothing_else_may():
    odd = []
    message = decode_server('{"type":"response.output_audio.delta","delta":"AAAA"}', odd)
    assert (message.response_id, message.item_id, message.delta) == ("", "", b"\0\0\0")
    assert {one.quirk for one in odd} == {"missing_ids"}
    kind = "conversation.item.input_audio_transcription.completed"
    unknown = decode_server(f'{{"type":"{kind}","transcript":"hello"}}', [])
    assert isinstance(unknown, UnknownMessage)
    assert "item_id" in unknown.reason
