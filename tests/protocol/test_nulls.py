"""`null` in an optional field of a client's message is absence, by one rule.

The messages are made from the structs: each whole, then one with a null and one without the field
in every place where a field may be left out.
"""

import json
from typing import get_args

import msgspec
import pytest
from msgspec import inspect

from bench.protocol.client import NULL_CLEARS, AnyClientMessage
from bench.protocol.codec import UnknownMessage, decode_client, decode_server

PLAIN = {
    inspect.StrType: "auto",
    inspect.IntType: 1,
    inspect.FloatType: 0.5,
    inspect.BoolType: True,
    inspect.BytesType: "AAAA",
    inspect.AnyType: "x",
}


def chosen(kind):
    """The type of a union that says most: an object where there is one."""
    if not isinstance(kind, inspect.UnionType):
        return kind
    kinds = [one for one in kind.types if isinstance(one, inspect.StructType)]
    others = [
        one for one in kind.types if type(one) in {*PLAIN, inspect.ListType, inspect.DictType}
    ]
    return (kinds or others)[0]


def sample(kind):
    """A value of this type, with every field that it may have."""
    kind = chosen(kind)
    if isinstance(kind, inspect.StructType):
        return {field.encode_name: sample(field.type) for field in kind.fields}
    if isinstance(kind, inspect.ListType):
        return [sample(kind.item_type)]
    if isinstance(kind, inspect.DictType):
        return {}
    return PLAIN[type(kind)]


def optional(kind, path=()):
    """Paths of the fields that may be left out, at any depth."""
    kind = chosen(kind)
    if isinstance(kind, inspect.ListType):
        yield from optional(kind.item_type, (*path, 0))
    if not isinstance(kind, inspect.StructType):
        return
    for field in kind.fields:
        here = (*path, field.encode_name)
        if not field.required:
            yield here
        yield from optional(field.type, here)


MESSAGES = {
    kind.__struct_config__.tag: inspect.type_info(kind) for kind in get_args(AnyClientMessage)
}
PLACES = [(tag, path) for tag, kind in MESSAGES.items() for path in optional(kind)]


def changed(tag, path, change):
    whole = {"type": tag, **sample(MESSAGES[tag])}
    place = whole
    for name in path[:-1]:
        place = place[name]
    change(place, path[-1])
    return decode_client(json.dumps(whole))


def named(path):
    return ".".join(name for name in path if isinstance(name, str))


@pytest.mark.parametrize(("tag", "path"), PLACES, ids=str)
def test_a_null_is_read_as_if_the_field_were_not_there(tag, path):
    without = changed(tag, path, lambda place, name: place.pop(name))
    null = changed(tag, path, lambda place, name: place.update({name: None}))
    assert not isinstance(without, UnknownMessage)
    if named(path) not in NULL_CLEARS:
        assert null == without
        return
    value = msgspec.to_builtins(null)
    for name in path:
        value = value[name]
    assert value is None
    assert null != without


def test_every_place_where_null_clears_is_a_field_and_the_places_are_many():
    assert len(PLACES) > 60
    inside = {name for name in NULL_CLEARS if ".transcription." in name}
    assert {named(path) for _, path in PLACES} >= NULL_CLEARS - inside


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        (("session", "tools", 0, "description"), False),
        (("session", "audio", "input", "transcription", "model"), False),
        (("session", "audio", "input", "transcription", "language"), True),
        (("session", "audio", "input", "noise_reduction", "strength"), False),
        (("session", "truncation", "token_limits"), False),
        (("session", "providerData", "stt", "prompt"), False),
        (("session", "tools", 0, "parameters", "default"), True),
    ],
)
def test_the_rule_holds_in_objects_without_a_struct_but_for_what_is_the_clients_own(path, kept):
    whole = {
        "type": "session.update",
        "session": {
            "tools": [{"type": "function", "name": "f", "parameters": {}}],
            "audio": {"input": {"transcription": {}, "noise_reduction": {"type": "far_field"}}},
            "truncation": {"type": "retention_ratio", "retention_ratio": 0.5},
            "providerData": {"stt": {}},
        },
    }
    place = whole
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = None
    held = msgspec.to_builtins(decode_client(json.dumps(whole)))
    for name in path[:-1]:
        held = held[name]
    assert (path[-1] in held) is kept


@pytest.mark.parametrize("tag", MESSAGES)
def test_a_required_field_that_is_null_is_missing(tag):
    required = [field.encode_name for field in MESSAGES[tag].fields if field.required]
    for name in required:
        message = changed(tag, (name,), lambda place, name: place.update({name: None}))
        assert isinstance(message, UnknownMessage)
        assert f"missing required field `{name}`" in message.reason


def test_the_word_in_a_text_changes_nothing():
    said = decode_client(
        '{"type":"conversation.item.create","item":{"type":"message","role":"user",'
        '"content":[{"type":"input_text","text":"null and void"}]}}'
    )
    assert said.item.content[0].text == "null and void"


def test_what_a_server_sends_keeps_its_nulls():
    text = '{"type":"session.updated","session":{"instructions":null,"include":null}}'
    assert decode_server(text).session.instructions is None
