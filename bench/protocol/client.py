"""The messages a client may send. The first line of each docstring is the description users see.

`event_id` is optional on the wire and comes back only inside `error.error.event_id`.

Clients send `null` for what they do not mean to say, in any field: it is absence (the codec sees
to that), but for the few fields in which it says "no more of that" (`NULL_CLEARS`).
"""

from typing import ClassVar, Final

from msgspec import UNSET, Struct, UnsetType

from bench.protocol.objects import Item, ResponseParams, Session

NULL_CLEARS: Final = frozenset(
    {
        "session.audio.input.noise_reduction",
        "session.audio.input.transcription",
        "session.audio.input.transcription.language",
        "session.audio.input.transcription.prompt",
        "session.audio.input.turn_detection",
        "session.audio.input.turn_detection.idle_timeout_ms",
        "session.include",
        "session.prompt",
        "session.providerData",
        "session.tracing",
    }
)
"""Where `null` is a value of its own: it clears what was there, or turns it off."""
VERBATIM: Final = frozenset({"metadata", "parameters", "variables"})
"""Fields whose content is the client's own affair, nulls included: a tool's schema, say."""


class ClientMessage(Struct, tag_field="type", kw_only=True):
    """What every client message has."""

    in_seed: ClassVar[bool] = True
    event_id: str | UnsetType = UNSET


class SessionUpdate(ClientMessage, tag="session.update", kw_only=True):
    """Configure session parameters after connecting: what is present changes, null clears."""

    session: Session


class InputAudioBufferAppend(ClientMessage, tag="input_audio_buffer.append", kw_only=True):
    """Stream a chunk of audio in the input format. The one message that is never confirmed."""

    audio: bytes


class InputAudioBufferCommit(ClientMessage, tag="input_audio_buffer.commit"):
    """Close the audio buffer into a user message; does not create a response."""


class InputAudioBufferClear(ClientMessage, tag="input_audio_buffer.clear"):
    """Discard buffered audio without processing."""


class ConversationItemCreate(ClientMessage, tag="conversation.item.create", kw_only=True):
    """Insert a user text, an assistant override or a tool output into the conversation."""

    item: Item
    previous_item_id: str | UnsetType | None = UNSET


class ConversationItemTruncate(ClientMessage, tag="conversation.item.truncate", kw_only=True):
    """Cut an assistant audio item at the millisecond that was heard."""

    item_id: str
    content_index: int = 0
    audio_end_ms: int


class ConversationItemDelete(ClientMessage, tag="conversation.item.delete", kw_only=True):
    """Remove an item from the conversation."""

    item_id: str


class ConversationItemRetrieve(ClientMessage, tag="conversation.item.retrieve", kw_only=True):
    """Fetch one item whole, audio included."""

    item_id: str


class ResponseCreate(ClientMessage, tag="response.create", kw_only=True):
    """Run inference now, with optional overrides for this response."""

    response: ResponseParams | UnsetType = UNSET


class ResponseCancel(ClientMessage, tag="response.cancel", kw_only=True):
    """Stop the active response, or the one named."""

    response_id: str | UnsetType = UNSET


class OutputAudioBufferClear(ClientMessage, tag="output_audio_buffer.clear"):
    """Drop output audio not yet played (WebRTC and SIP; not in the seed)."""

    in_seed: ClassVar[bool] = False


AnyClientMessage = (
    SessionUpdate
    | InputAudioBufferAppend
    | InputAudioBufferCommit
    | InputAudioBufferClear
    | ConversationItemCreate
    | ConversationItemTruncate
    | ConversationItemDelete
    | ConversationItemRetrieve
    | ResponseCreate
    | ResponseCancel
    | OutputAudioBufferClear
)
