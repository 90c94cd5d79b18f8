"""Messages and notes as event rows: what of each is kept.

Ids, media fields and lengths go to columns of their own; what else a type says that analysis needs
goes to `detail` (`_DETAILS`: one small function a type). Audio itself is never kept, only its
level.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from bench.protocol import server
from bench.protocol.codec import UnknownMessage, inherited, item_id_of, type_of
from bench.protocol.objects import ErrorDetail, Item
from bench.runs.rows import Row
from bench.voice.audio import PCM16_24K
from bench.voice.outbox import Note, Outgoing

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
        None,
        None,
        message.previous_id,
        message.call_id,
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
    extract = inherited(_DETAILS, type(message))
    response = getattr(message, "response", None)
    item = getattr(message, "item", None)
    audio_ms = getattr(message, "audio_start_ms", None)
    if audio_ms is None:
        audio_ms = getattr(message, "audio_end_ms", None)
    call_id = getattr(message, "call_id", None) or getattr(item, "call_id", None)
    return Row(
        session,
        at_ns,
        at_err_ns,
        read_ns,
        "in",
        type_of(message),
        message.event_id or None,
        item_id_of(message),
        getattr(message, "response_id", None) or getattr(response, "id", None),
        audio_ms=audio_ms,
        nbytes=nbytes,
        detail=extract(message) if extract else None,
        output_index=getattr(message, "output_index", None),
        content_index=getattr(message, "content_index", None),
        previous_id=getattr(message, "previous_item_id", None),
        call_id=call_id if isinstance(call_id, str) else None,
    )


def backchannel_row(
    session: int, message: server.BackchannelAudioDelta, at_ns: int, at_err_ns: int, read_ns: int
) -> Row:
    """The row of a chunk of an interjection: PCM16 at 24 kHz whatever the session's format."""
    nbytes = len(message.delta)
    row = in_row(session, message, nbytes, at_ns, at_err_ns, read_ns)
    return row._replace(audio_ns=PCM16_24K.duration_ns(nbytes))


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
        None,
        message.output_index,
        message.content_index,
    )


def _item_facts(item: Item) -> dict[str, Any]:
    facts: dict[str, Any] = {
        name: value
        for name in ("role", "type", "status", "name", "call_id", "arguments", "output")
        if isinstance(value := getattr(item, name), str)
    }
    said = [part.words for part in item.content] if isinstance(item.content, list) else []
    if text := " ".join(filter(None, said)):
        facts["text"] = text
    return facts


def _item(message: Any) -> str:
    return detail(_item_facts(message.item))


def _retrieved(message: server.ConversationItemRetrieved) -> str:
    """An item with its audio: how much, and in which format."""
    facts, item = _item_facts(message.item), message.item
    for part in item.content if isinstance(item.content, list) else ():
        if isinstance(part.audio, str):
            padding = part.audio[-2:].count("=")
            facts["audio_bytes"] = len(part.audio) * 3 // 4 - padding
            facts["format"] = None if part.format is UNSET else part.format
    return detail(facts)


def _response(message: server.ResponseCreated | server.ResponseDone) -> str:
    response = message.response
    usage = response.usage
    if isinstance(message, server.ResponseDone) and not isinstance(usage, dict):
        usage = message.usage
    details = response.status_details
    conversation = response.conversation_id
    return detail(
        {
            "status": response.status if isinstance(response.status, str) else "",
            "reason": response.reason,
            "details": details.get("type", "") if isinstance(details, dict) else "",
            "usage": usage if isinstance(usage, dict) else None,
            "conversation": "none" if conversation is None else "default" if conversation else "",
            "modalities": _or_none(response.output_modalities),
            "voice": response.voice,
            "output": [
                item.id
                for item in (response.output if isinstance(response.output, list) else ())
                if isinstance(item.id, str)
            ],
        }
    )


def _or_none(value: Any) -> Any:
    return None if value is UNSET else value


def _part(message: server.ResponseContentPartAdded | server.ResponseContentPartDone) -> str:
    return detail({"type": message.part.type, "text": message.part.words})


def _failed(message: server.InputAudioTranscriptionFailed) -> str:
    error = message.error if isinstance(message.error, ErrorDetail) else ErrorDetail()
    return detail({"code": error.code, "message": error.message})


def _error(message: server.ErrorMessage) -> str:
    error = message.error if isinstance(message.error, ErrorDetail) else ErrorDetail()
    return detail(
        {
            "code": message.code,
            "message": message.text,
            "param": error.param,
            "event_id": error.event_id,
            "flat": message.flat,
        }
    )


_DETAILS: dict[type, Callable[[Any], str] | None] = {
    server.SessionCreated: lambda message: detail(message.session),
    server.SessionUpdated: lambda message: detail(message.session),
    server.ConversationItemAdded: _item,
    server.ConversationItemDone: _item,
    server.ResponseOutputItemAdded: _item,
    server.ResponseOutputItemDone: _item,
    server.ConversationItemCreated: _item,
    server.ConversationItemRetrieved: _retrieved,
    server.ResponseCreated: _response,
    server.ResponseDone: _response,
    server.ResponseContentPartAdded: _part,
    server.ResponseContentPartDone: _part,
    server.ResponseOutputTextDelta: lambda message: message.delta,
    server.ResponseOutputTextDone: lambda message: message.text,
    server.ResponseOutputAudioTranscriptDelta: lambda message: message.delta,
    server.ResponseOutputAudioTranscriptDone: lambda message: message.transcript,
    server.ResponseFunctionCallArgumentsDelta: lambda message: message.delta,
    server.ResponseFunctionCallArgumentsDone: lambda message: message.arguments,
    server.InputAudioTranscriptionDelta: lambda message: message.delta,
    server.InputAudioTranscriptionCompleted: lambda message: message.transcript,
    server.InputAudioTranscriptionFailed: _failed,
    server.InputAudioTranscriptionUpdated: lambda message: message.transcript,
    server.TurnSuggestion: lambda message: detail(
        {"probability": message.probability, "utterance_index": message.utterance_index}
    ),
    server.BackchannelAudioDelta: lambda message: message.backchannel_id,
    server.BackchannelAudioDone: lambda message: message.phrase,
    server.BackchannelSkipped: lambda message: message.reason,
    server.ErrorMessage: _error,
    server.RateLimitsUpdated: lambda message: detail(message.rate_limits),
    UnknownMessage: lambda message: detail(
        {"reason": message.reason, "text": message.text[:TEXT_KEPT]}
    ),
}
