"""Text of one frame ⇄ one message.

Theory of operation
-------------------
`decode` is total over JSON objects: a known type gives its struct, an unknown one gives an
`UnknownMessage` that says why. Only what is no JSON object at all raises `ProtocolError`, because
then the two ends no longer speak the same protocol and the session is over.

No known server is to be unreadable for one odd field. Where a known type has a field of the wrong
shape, it is taken for what it was meant to be (`bench.protocol.repair`) or left out, and the rest
is read (`_MENDINGS` times at most); `oddities` says what was left out, and what the structs do not
know, for the record.

What a client sends is read by one rule about `null`: it is absence, in every field that there is,
but for those where it clears something (`client.NULL_CLEARS`).

The fast way is one typed pass of msgspec over the text (base64 included); the slow way, untyped
passes, is taken only by messages that the first refused, and by a client's that say `null`.
"""

import re
from functools import cache
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import Struct

from bench.protocol.client import NULL_CLEARS, VERBATIM, AnyClientMessage, ClientMessage
from bench.protocol.repair import (
    REFUSED,
    Oddity,
    read_object,
    read_strictly,
    repaired,
    with_type,
)
from bench.protocol.server import ServerMessage
from bench.protocol.server_extras import AnyServerMessage

BARE = "errorType:"
"""How the type is named of an error that has no type but an `errorType`."""


class UnknownMessage(Struct, kw_only=True):
    """A JSON object that is no known message: an unknown type, no type, or beyond mending.

    `type` is the wire's own word; an object with no type but an `errorType` (Inworld's way of
    saying that resources are exhausted) is named `errorType:VALUE`, any other `(no type)`.
    """

    type: str
    event_id: str = ""
    reason: str
    text: str


_client: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(AnyClientMessage)
_server: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(AnyServerMessage)
encode = msgspec.json.Encoder().encode
"""One message as JSON text (UTF-8 bytes)."""


def type_of(message: ClientMessage | ServerMessage | UnknownMessage) -> str:
    """The wire's own name of a message's type."""
    if isinstance(message, UnknownMessage):
        return message.type
    return _tag(type(message))


@cache
def _names(kind: type[Struct]) -> frozenset[str]:
    tags = {_tag(base) for base in kind.__mro__ if issubclass(base, ServerMessage | ClientMessage)}
    if "conversation.item.created" in tags:
        tags.add("conversation.item.added")  # which replaced it
    return frozenset(tags)


def names_of(message: ClientMessage | ServerMessage | UnknownMessage) -> frozenset[str]:
    """A message's type in every spelling: the wire's own, and that of today."""
    if isinstance(message, UnknownMessage):
        return frozenset({message.type})
    return _names(type(message))


@cache
def _tag(kind: type[Struct]) -> str:
    return str(kind.__struct_config__.tag)


_Entry = TypeVar("_Entry")


def inherited(table: dict[type, _Entry | None], kind: type) -> _Entry | None:
    """What `table` says of a kind, or of the nearest it is a kind of (a beta spelling's parent).

    Remembered in the table, None included, so that the next of its kind costs one lookup.
    """
    if kind not in table:
        table[kind] = next((table[base] for base in kind.__mro__[1:] if base in table), None)
    return table[kind]


def item_id_of(message: Any) -> str | None:
    """The item that a message is about, by its own word or that of the item it holds."""
    item_id = getattr(message, "item_id", None) or getattr(
        getattr(message, "item", None), "id", None
    )
    return item_id if isinstance(item_id, str) else None


def decode_server(
    text: bytes | str, odd: list[Oddity] | None = None
) -> ServerMessage | UnknownMessage:
    """What a client received; what had to be borne of it is added to `odd`.

    Raises ProtocolError("malformed") where it is no JSON object.
    """
    try:
        return _server.decode(text)
    except REFUSED:
        return _mended(text, [] if odd is None else odd)


def decode_client(text: bytes | str) -> ClientMessage | UnknownMessage:
    """What a server received. Raises ProtocolError("malformed") where it is no JSON object."""
    try:
        if not _says_null(text):
            return _client.decode(text)
        return msgspec.convert(client_object(text), AnyClientMessage)  # type: ignore[no-any-return]
    except REFUSED as error:
        return _unknown(text, read_strictly(text), error)


def read_server(text: bytes | str, odd: list[Oddity]) -> dict[str, Any]:
    """What a client received, as JSON gave it: for whoever looks at what is not there.

    Raises ProtocolError("malformed") where it is no JSON object.
    """
    return with_type(read_object(text, odd), odd)


def client_object(text: bytes | str) -> dict[str, Any]:
    """A client's message as plain JSON, without the nulls that mean absence.

    Raises ProtocolError("malformed") where it is no JSON object, RecursionError where it has no
    bottom.
    """
    whole = read_strictly(text)
    if _says_null(text):
        _drop_nulls(whole, "")
    return whole


def _says_null(text: bytes | str) -> bool:
    return "null" in text if isinstance(text, str) else b"null" in text


def _drop_nulls(table: dict[str, Any], prefix: str) -> None:
    """Take the nulls out of an object and of the objects in it, wherever they clear nothing."""
    for name in [name for name, value in table.items() if value is None]:
        if prefix + name not in NULL_CLEARS:
            del table[name]
    for name, value in table.items():
        if name in VERBATIM:
            continue
        for inner in value if isinstance(value, list) else (value,):
            if isinstance(inner, dict):
                _drop_nulls(inner, f"{prefix}{name}.")


_MENDINGS = 16
_UNNAMED = re.compile(r"missing required field `(?P<name>response_id|item_id)`$")
_PLACE = re.compile(r" - at `\$\.(?P<path>[^`\[]+)")


def _mended(text: bytes | str, odd: list[Oddity]) -> ServerMessage | UnknownMessage:
    """The message with what is misshapen mended or left out, if the rest of it can be read."""
    whole = read_server(text, odd)
    refusal: Exception
    for _ in range(_MENDINGS):
        try:
            return _server.decode(encode(whole))  # `convert` would read all types anew
        except (msgspec.ValidationError, RecursionError) as error:
            refusal = error
        if unnamed := _UNNAMED.search(str(refusal)):
            if not whole["type"].startswith("response."):
                break
            whole[unnamed["name"]] = ""  # the session knows which is under way
            odd.append(Oddity("missing_ids", whole["type"]))
            continue
        place = _PLACE.search(str(refusal))
        if place is None or place["path"] == "type":
            break
        if not _mend(whole, place["path"], str(refusal), odd):
            break
    return _unknown(text, whole, refusal)


def _mend(whole: dict[str, Any], path: str, complaint: str, odd: list[Oddity]) -> bool:
    """Repair the field at a dotted path, or take it out; whether it was there."""
    *tables, last = path.split(".")
    for table in tables:
        whole = whole.get(table, {})
        if not isinstance(whole, dict):
            return False
    if last not in whole:
        return False
    meant = repaired(path, whole[last], complaint, odd)
    if meant is None:
        del whole[last]
    else:
        whole[last] = meant
    return True


def _unknown(text: bytes | str, whole: dict[str, Any], error: Exception) -> UnknownMessage:
    kind = whole.get("type")
    event_id = whole.get("event_id")
    if not isinstance(kind, str):
        code = whole.get("errorType")
        kind = f"{BARE}{code}" if isinstance(code, str) else "(no type)"
    return UnknownMessage(
        type=kind,
        event_id=event_id if isinstance(event_id, str) else "",
        reason=str(error),
        text=text.decode("utf-8", "replace") if isinstance(text, bytes) else text,
    )


def oddities(
    text: bytes | str, message: ServerMessage, odd: list[Oddity] | None = None
) -> list[str]:
    """Dotted names of the fields of `text` that `message` does not hold, sorted.

    They are unknown to its struct, or were misshapen. What had to be borne inside of what is
    unknown is added to `odd`. Slow: for the first of a type, not for all.
    """
    whole = read_server(text, [] if odd is None else odd)
    held = {"type": whole.get("type"), **msgspec.to_builtins(message)}
    return left_out(whole, held)


def left_out(whole: dict[str, Any], held: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted names, sorted, of what `whole` has and `held` has not, at any depth."""
    names = []
    for key, value in whole.items():
        if key not in held:
            names.append(prefix + key)
        elif isinstance(value, dict) and isinstance(held[key], dict):
            names += left_out(value, held[key], f"{prefix}{key}.")
    return sorted(names)


class MessageEntry(Struct, frozen=True):
    """One row of `bench list messages`."""

    type: str
    direction: str
    in_seed: bool
    description: str


def message_table() -> list[MessageEntry]:
    """Every message this program knows: client messages first, in the seed's order."""
    return [
        MessageEntry(
            type=_tag(kind),
            direction=direction,
            in_seed=kind.in_seed,
            description=(kind.__doc__ or "").split("\n", 1)[0],
        )
        for direction, union in (("client", AnyClientMessage), ("server", AnyServerMessage))
        for kind in get_args(union)
    ]
