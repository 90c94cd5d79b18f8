"""A client's frame as this server reads it: a message, or the error that it is answered by.

Theory of operation
-------------------
A binary frame, and text that is no JSON object, are messages of no type. OpenAI knows every field
of a message and takes none besides; Inworld skips what it does not know. Errors have the API's own
shape: what was wrong, where, and which client message was at fault.
"""

import re
from typing import Final

from bench.errors import ProtocolError
from bench.protocol.client import ClientMessage
from bench.protocol.codec import UnknownMessage, client_object, decode_client, message_table
from bench.protocol.objects import ErrorDetail
from bench.protocol.parameters import unknown_parameter
from bench.protocol.server import ErrorMessage
from bench.reference.request_rules import Invalid
from bench.reference.vendor import ServiceProfile

Incoming = ClientMessage | UnknownMessage

NOT_JSON: Final = "(no JSON)"
"""The type of a frame that holds no JSON object."""
LONGEST_EVENT_ID: Final = 512

_CLIENT_TYPES: Final = frozenset(
    entry.type for entry in message_table() if entry.direction == "client"
)
_PLACE: Final = re.compile(r" - at `\$\.?(?P<path>[^`]*)`")
_UNKNOWN: Final = re.compile(r"Unknown parameter: '(?P<path>[^']*)'")
_MISSING: Final = re.compile(r"missing required field `(?P<field>[^`]*)`")


def read_message(frame: str | bytes, *, strict: bool) -> Incoming:
    """Decode a frame. `strict`: a message with a field that OpenAI does not know is refused."""
    if isinstance(frame, bytes):
        return UnknownMessage(type=NOT_JSON, reason="Binary frames carry no message here.", text="")
    try:
        message = decode_client(frame)
        if not strict or isinstance(message, UnknownMessage):
            return message
        whole = client_object(frame)
    except ProtocolError as error:
        return UnknownMessage(type=NOT_JSON, reason=str(error), text="")
    if not (stranger := unknown_parameter(whole)):
        return message
    return UnknownMessage(
        type=whole["type"],
        event_id=whole.get("event_id", ""),
        reason=f"Unknown parameter: '{stranger}'.",
        text=frame,
    )


def error(message: Incoming | None, invalid: Invalid, code: str = "") -> ErrorMessage:
    """An error message about `message`, or with None about what the server did by itself."""
    event_id = None if message is None else message.event_id
    detail = ErrorDetail(
        type="invalid_request_error",
        code=code or invalid.code,
        message=invalid.message,
        param=invalid.param or None,
        event_id=event_id[:LONGEST_EVENT_ID] if isinstance(event_id, str) and event_id else None,
    )
    return ErrorMessage(error=detail)


def refusal(message: UnknownMessage, service: ServiceProfile) -> ErrorMessage:
    """The error for a frame that is no message: no JSON, no type, unknown type, wrong field."""
    if message.type == NOT_JSON:
        return error(message, Invalid("", message.reason), service.not_json)
    if message.type in _CLIENT_TYPES:
        return error(message, _misshapen(message, strict=service.strict))
    if message.type.startswith(("(no type)", "errorType:")):
        return error(message, Invalid("type", message.reason), "invalid_event")
    code, param = service.unknown_type
    supported = ", ".join(f"'{name}'" for name in sorted(_CLIENT_TYPES))
    text = f"Invalid value: '{message.type}'. Supported values are: {supported}."
    return error(message, Invalid(param, text), code)


def _misshapen(message: UnknownMessage, *, strict: bool) -> Invalid:
    """What is wrong with a message of a known type; `strict`: in OpenAI's codes and words."""
    if unknown := _UNKNOWN.match(message.reason):
        return Invalid(unknown["path"], message.reason, "unknown_parameter")
    place, missing = _PLACE.search(message.reason), _MISSING.search(message.reason)
    path = [place["path"] if place else "", missing["field"] if missing else ""]
    param = ".".join(filter(None, path))
    if not strict:
        return Invalid(param, f"Invalid {message.type}: {message.reason}")
    if missing:
        text = f"Missing required parameter: '{param}'."
        return Invalid(param, text, "missing_required_parameter")
    reason = _PLACE.sub("", message.reason)
    return Invalid(param, f"Invalid type for '{param}': {reason}.", "invalid_type")
