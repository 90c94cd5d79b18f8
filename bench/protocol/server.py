"""The messages a server may send. The first line of each docstring is the description users see.

Fields are those that recorded servers send (`protocol.md` section 5). Whatever any known server
leaves out has a default, so that leaving it out is data and not an error. What only some servers
send, and the beta's spellings, are in `server_extras`.
"""

from typing import Annotated, Any, ClassVar

from msgspec import UNSET, Meta, Struct, UnsetType, field

from bench.protocol.objects import ErrorDetail, Item, Part, Response, ServerSession

Index = Annotated[int, Meta(ge=0, le=1_000_000)]
Ms = Annotated[int, Meta(ge=-(2**40), le=2**40)]
"""Beyond these bounds (35 years) it is no place in a session: left out, like any odd field."""


class ServerMessage(Struct, tag_field="type", kw_only=True):
    """What every server message has. Ids are opaque."""

    in_seed: ClassVar[bool] = True
    event_id: str = ""


class SessionCreated(ServerMessage, tag="session.created", kw_only=True):
    """Delivered at once after connection, with the default configuration."""

    session: ServerSession = field(default_factory=ServerSession)


class SessionUpdated(ServerMessage, tag="session.updated", kw_only=True):
    """Acknowledges a configuration change with the whole effective session."""

    session: ServerSession = field(default_factory=ServerSession)


class ConversationItemAdded(ServerMessage, tag="conversation.item.added", kw_only=True):
    """The server has appended an item to the conversation."""

    item: Item
    previous_item_id: str | None = None


class ConversationItemDone(ServerMessage, tag="conversation.item.done", kw_only=True):
    """Processing of an item is complete."""

    item: Item
    previous_item_id: str | None = None


class ConversationItemRetrieved(ServerMessage, tag="conversation.item.retrieved", kw_only=True):
    """The item that was asked for, audio included."""

    item: Item


class ConversationItemTruncated(ServerMessage, tag="conversation.item.truncated", kw_only=True):
    """An assistant audio item was cut."""

    item_id: str
    content_index: Index = 0
    audio_end_ms: Ms | None = None


class ConversationItemDeleted(ServerMessage, tag="conversation.item.deleted", kw_only=True):
    """An item was removed."""

    item_id: str


class ResponseCreated(ServerMessage, tag="response.created", kw_only=True):
    """A response is in progress."""

    response: Response


class ResponseDone(ServerMessage, tag="response.done", kw_only=True):
    """A response has ended, however it ended. Never carries audio."""

    response: Response
    usage: dict[str, Any] | UnsetType | None = UNSET


class OutputMessage(ServerMessage, kw_only=True):
    """What every message about one output item of a response has."""

    response_id: str
    output_index: Index = 0


class ResponseOutputItemAdded(OutputMessage, tag="response.output_item.added", kw_only=True):
    """A new assistant output item."""

    item: Item


class ResponseOutputItemDone(OutputMessage, tag="response.output_item.done", kw_only=True):
    """An output item is complete."""

    item: Item


class PartMessage(OutputMessage, kw_only=True):
    """What every message about one content part has."""

    item_id: str
    content_index: Index = 0


class ResponseContentPartAdded(PartMessage, tag="response.content_part.added", kw_only=True):
    """A content part begins."""

    part: Part


class ResponseContentPartDone(PartMessage, tag="response.content_part.done", kw_only=True):
    """A content part is complete."""

    part: Part


class ResponseOutputTextDelta(PartMessage, tag="response.output_text.delta", kw_only=True):
    """A piece of text."""

    delta: str


class ResponseOutputTextDone(PartMessage, tag="response.output_text.done", kw_only=True):
    """The final text of a content part."""

    text: str = ""


class ResponseOutputAudioDelta(
    PartMessage, tag="response.output_audio.delta", gc=False, kw_only=True
):
    """A chunk of speech in the output format; arrives faster than real time.

    One that cannot be read is empty.
    """

    delta: bytes = b""


class ResponseOutputAudioDone(PartMessage, tag="response.output_audio.done"):
    """An audio part has finished streaming."""


class ResponseOutputAudioTranscriptDelta(
    PartMessage, tag="response.output_audio_transcript.delta", kw_only=True
):
    """A piece of the transcript of the speech."""

    delta: str


class ResponseOutputAudioTranscriptDone(
    PartMessage, tag="response.output_audio_transcript.done", kw_only=True
):
    """The final transcript of the speech."""

    transcript: str = ""


class ResponseFunctionCallArgumentsDelta(
    OutputMessage, tag="response.function_call_arguments.delta", kw_only=True
):
    """A piece of a tool call's arguments."""

    item_id: str
    call_id: str = ""
    delta: str


class ResponseFunctionCallArgumentsDone(
    OutputMessage, tag="response.function_call_arguments.done", kw_only=True
):
    """The complete arguments of a tool call. Inworld leaves `name` out."""

    item_id: str
    call_id: str = ""
    name: str | UnsetType = UNSET
    arguments: str = ""


class InputAudioBufferSpeechStarted(
    ServerMessage, tag="input_audio_buffer.speech_started", kw_only=True
):
    """The server's VAD heard speech begin; `audio_start_ms` is on the written-audio clock."""

    item_id: str = ""
    audio_start_ms: Ms | None = None


class InputAudioBufferSpeechStopped(
    ServerMessage, tag="input_audio_buffer.speech_stopped", kw_only=True
):
    """The server's VAD heard speech end; `audio_end_ms` is on the written-audio clock."""

    item_id: str = ""
    audio_end_ms: Ms | None = None


class InputAudioBufferCommitted(ServerMessage, tag="input_audio_buffer.committed", kw_only=True):
    """Buffered audio became a conversation item."""

    item_id: str = ""
    previous_item_id: str | None = None


class InputAudioBufferCleared(ServerMessage, tag="input_audio_buffer.cleared"):
    """The audio buffer was cleared."""


class InputAudioTranscriptionDelta(
    ServerMessage, tag="conversation.item.input_audio_transcription.delta", kw_only=True
):
    """A piece of what the caller said; on some servers the whole hypothesis so far."""

    item_id: str
    content_index: Index = 0
    delta: str = ""


class InputAudioTranscriptionCompleted(
    ServerMessage, tag="conversation.item.input_audio_transcription.completed", kw_only=True
):
    """All that the caller said in one item. May be repeated and revised."""

    item_id: str
    content_index: Index = 0
    transcript: str = ""
    usage: dict[str, Any] | UnsetType | None = UNSET


class ErrorMessage(ServerMessage, tag="error", kw_only=True, rename={"flat_code": "code"}):
    """A fatal or recoverable error. Some services say a flat `message` and `code` instead."""

    error: ErrorDetail | UnsetType = UNSET
    message: str | UnsetType = UNSET
    flat_code: str | UnsetType | None = UNSET

    @property
    def flat(self) -> bool:
        """Whether there is no `error` object."""
        return not isinstance(self.error, ErrorDetail)

    @property
    def code(self) -> str:
        """The error's code, else its type, else "error"."""
        if isinstance(self.error, ErrorDetail):
            return self.error.code or self.error.type or "error"
        return self.flat_code or "error"

    @property
    def about(self) -> str:
        """The event_id of the client message at fault, or "" where the server names none."""
        return (self.error.event_id or "") if isinstance(self.error, ErrorDetail) else ""

    @property
    def text(self) -> str:
        """The error in words, or "" where the server gave none."""
        if isinstance(self.error, ErrorDetail):
            for said in (self.error.message, self.error.details):
                if isinstance(said, str) and said:
                    return said
        return self.message if isinstance(self.message, str) else ""


class RateLimitsUpdated(ServerMessage, tag="rate_limits.updated", kw_only=True):
    """What is left of the rate limits. Defined by Inworld, not sent by it yet."""

    rate_limits: list[dict[str, Any]] = []
