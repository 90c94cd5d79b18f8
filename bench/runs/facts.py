"""Messages and notes as event rows: what of each is kept.

Ids, media fields and lengths go to columns of their own; what else a type says that analysis needs
goes to `detail` (`_DETAILS`: one small function a type). Audio itself is never kept, only its
level.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from bench.protocol import server
from bench.protocol.codec import UnknownMessage, type_of
from bench.protocol.objects import ErrorDetail
from bench.runs.rows import Row
from bench.voice.conversation import Note, Outgoing

TEXT_KEPT = 2_048
"""Characters of an unknown message that are kept: enough to see what it was."""

_json = msgspec.json.Encoder()


def detail(value: Any) -> str:
    """`value` as the JSON text of a `detail` column."""
    return _json.encode(value).decode()


def note_row(session: int, note: Note) -> Row:
    """The row of a note."""
    return Row(
        session,
        note.at_ns,
        0,
        None,
        "note",
        note.type,
        item_id=note.item_id,
        due_ns=note.due_ns,
        media_ns=note.media_ns,
        detail=None if note.detail is None else detail(note.detail),
    )


def out_row(session: int, message: Outgoing, at_ns: int, before_ns: int) -> Row:
    """The row of a message whose last byte went to the kernel between the two instants."""
    return Row(
        session,
        at_ns,
        at_ns - before_ns,
        None,
        "out",
        message.type,
        message.event_id,
        message.item_id,
        message.response_id,
        message.due_ns,
        message.media_ns,
        None,
        message.audio_ns,
        message.nbytes,
        None,
        message.detail,
    )


def in_row(
    session: int,
    message: server.ServerMessage | UnknownMessage,
    nbytes: int,
    at_ns: int,
    at_err_ns: int,
    read_ns: int,
) -> Row:
    """The row of a received message that carries no audio."""
    kind = type(message)
    extract = _DETAILS[kind] if kind in _DETAILS else _inherited(kind)
    response = getattr(message, "response", None)
    item = getattr(message, "item", None)
    item_id = getattr(message, "item_id", None) or getattr(item, "id", None)
    audio_ms = getattr(message, "audio_start_ms", None)
    if audio_ms is None:
        audio_ms = getattr(message, "audio_end_ms", None)
    return Row(
        session,
        at_ns,
        at_err_ns,
        read_ns,
        "in",
        type_of(message),
        message.event_id or None,
        item_id if isinstance(item_id, str) else None,
        getattr(message, "response_id", None) or getattr(response, "id", None),
        audio_ms=audio_ms,
        nbytes=nbytes,
        detail=extract(message) if extract else None,
    )


def audio_row(
    session: int,
    message: server.ResponseOutputAudioDelta,
    audio_ns: int,
    at_ns: int,
    at_err_ns: int,
    read_ns: int,
    envelope: bytes | None = None,
) -> Row:
    """The row of a received audio delta: the hot path's own short way."""
    return Row(
        session,
        at_ns,
        at_err_ns,
        read_ns,
        "in",
        type_of(message),
        message.event_id,
        message.item_id,
        message.response_id,
        None,
        None,
        None,
        audio_ns,
        len(message.delta),
        envelope,
    )


def _item(message: Any) -> str:
    item = message.item
    return detail(
        {
            name: value
            for name in ("role", "type", "status", "name", "call_id")
            if isinstance(value := getattr(item, name), str)
        }
    )


def _done(message: server.ResponseDone) -> str:
    response = message.response
    usage = response.usage if isinstance(response.usage, dict) else message.usage
    return detail(
        {
            "status": response.status if isinstance(response.status, str) else "",
            "reason": response.reason,
            "usage": usage if isinstance(usage, dict) else None,
        }
    )


def _error(message: server.ErrorMessage) -> str:
    error = message.error if isinstance(message.error, ErrorDetail) else ErrorDetail()
    return detail(
        {
            "code": message.code,
            "message": message.text,
            "param": error.param,
            "event_id": error.event_id,
        }
    )


_DETAILS: dict[type, Callable[[Any], str] | None] = {
    server.SessionCreated: lambda message: detail(message.session),
    server.SessionUpdated: lambda message: detail(message.session),
    server.ConversationItemAdded: _item,
    server.ConversationItemDone: _item,
    server.ResponseOutputItemAdded: _item,
    server.ResponseOutputItemDone: _item,
    server.ResponseDone: _done,
    server.ResponseOutputTextDelta: lambda message: message.delta,
    server.ResponseOutputTextDone: lambda message: message.text,
    server.ResponseOutputAudioTranscriptDelta: lambda message: message.delta,
    server.ResponseOutputAudioTranscriptDone: lambda message: message.transcript,
    server.ResponseFunctionCallArgumentsDelta: lambda message: message.delta,
    server.ResponseFunctionCallArgumentsDone: lambda message: message.arguments,
    server.InputAudioTranscriptionDelta: lambda message: message.delta,
    server.InputAudioTranscriptionCompleted: lambda message: message.transcript,
    server.ErrorMessage: _error,
    server.RateLimitsUpdated: lambda message: detail(message.rate_limits),
    UnknownMessage: lambda message: detail(
        {"reason": message.reason, "text": message.text[:TEXT_KEPT]}
    ),
}


def _inherited(kind: type) -> Callable[[Any], str] | None:
    """What is kept of a subclass (a beta spelling) is what is kept of its parent; remembered."""
    _DETAILS[kind] = next((_DETAILS[base] for base in kind.__mro__[1:] if base in _DETAILS), None)
    return _DETAILS[kind]
