"""Errors in the API's own shape: what was wrong, where, and which client message was at fault."""

import re
from typing import Final

from bench.protocol.client import ClientMessage
from bench.protocol.codec import UnknownMessage, message_table
from bench.protocol.objects import ErrorDetail
from bench.protocol.server import ErrorMessage
from bench.reference.manners import Manners
from bench.reference.rules import Invalid

LONGEST_EVENT_ID: Final = 512

_CLIENT_TYPES: Final = frozenset(
    entry.type for entry in message_table() if entry.direction == "client"
)
_PLACE: Final = re.compile(r" - at `\$\.?(?P<path>[^`]*)`")
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
    """What is wrong with something that is no message: no type, an unknown one, or misshapen."""
    if message.type in _CLIENT_TYPES:
        place, missing = _PLACE.search(message.reason), _MISSING.search(message.reason)
        path = [place["path"] if place else "", missing["field"] if missing else ""]
        param = ".".join(filter(None, path))
        return error(message, Invalid(param, f"Invalid {message.type}: {message.reason}"))
    if message.type.startswith(("(no type)", "errorType:")):
        return error(message, Invalid("type", message.reason), "invalid_event")
    code, param = manners.unknown_type
    return error(message, Invalid(param, f"Unknown event type {message.type!r}."), code)
