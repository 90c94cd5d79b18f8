"""Errors in the API's own shape: what was wrong, where, and which client message was at fault."""

import re
from typing import Final

from bench.protocol.client import ClientMessage
from bench.protocol.codec import UnknownMessage, message_table
from bench.protocol.objects import ErrorDetail
from bench.protocol.server import ErrorMessage
from bench.reference.manners import Manners
from bench.reference.requests import NOT_JSON
from bench.reference.rules import Invalid

LONGEST_EVENT_ID: Final = 512

_CLIENT_TYPES: Final = frozenset(
    entry.type for entry in message_table() if entry.direction == "client"
)
_PLACE: Final = re.compile(r" - at `\$\.?(?P<path>[^`]*)`")
_UNKNOWN: Final = re.compile(r"Unknown parameter: '(?P<path>[^']*)'")
_MISSING: Final = re.compile(r"missing required field `(?P<field>[^`]*)`")


def error(
    message: ClientMessage | UnknownMessage | None, invalid: Invalid, code: str = ""
) -> ErrorMessage:
    """One error; `message` is at fault, unless it is None: the server did it of its own accord."""
    event_id = None if message is None else message.event_id
    detail = ErrorDetail(
        type="invalid_request_error",
        code=code or invalid.code,
        message=invalid.message,
        param=invalid.param or None,
        event_id=event_id[:LONGEST_EVENT_ID] if isinstance(event_id, str) and event_id else None,
    )
    return ErrorMessage(error=detail)


def refusal(message: UnknownMessage, manners: Manners) -> ErrorMessage:
    """What is wrong with what is no message: no JSON, no type, an unknown type, a field of it."""
    if message.type == NOT_JSON:
        return error(message, Invalid("", message.reason), manners.not_json)
    if message.type in _CLIENT_TYPES:
        return error(message, _misshapen(message, strict=manners.strict))
    if message.type.startswith(("(no type)", "errorType:")):
        return error(message, Invalid("type", message.reason), "invalid_event")
    code, param = manners.unknown_type
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
