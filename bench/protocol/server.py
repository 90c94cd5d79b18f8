"""The messages a server may send. The first line of each docstring is the description users see.

Fields are those that recorded servers send (`protocol.md` section 5). Whatever any known server
leaves out has a default, so that leaving it out is data and not an error. Beta spellings
(`response.audio.delta` …) are subclasses of the message they mean: code that asks for
`ResponseOutputAudioDelta` gets them too, and `codec.type_of` still says what the wire said.
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


# ── sent by some servers, not in the seed ────────────────────────────────────────────────────


class Tolerated(ServerMessage):
    """A message outside the seed that some server is known to send."""

    in_seed: ClassVar[bool] = False


class TurnSuggestion(Tolerated, tag="input_audio_buffer.turn_suggestion", kw_only=True):
    """Inworld: a guess that the caller's turn has ended."""

    item_id: str = ""
    utterance_index: int = 0
    probability: float = 0.0
    trailing_silence_ms: float | UnsetType = UNSET
    audio_duration_ms: float | UnsetType = UNSET
    inference_ms: float | UnsetType = UNSET


class TurnSuggestionRevoked(
    Tolerated, tag="input_audio_buffer.turn_suggestion_revoked", kw_only=True
):
    """Inworld: the guess is withdrawn."""

    item_id: str = ""
    utterance_index: int = 0


class BackchannelAudioDelta(Tolerated, tag="response.backchannel.audio.delta", kw_only=True):
    """Inworld: a chunk of an interjection while the caller speaks; belongs to no response."""

    backchannel_id: str = ""
    delta: bytes = b""


class BackchannelAudioDone(Tolerated, tag="response.backchannel.audio.done", kw_only=True):
    """Inworld: an interjection is complete."""

    backchannel_id: str = ""
    phrase: str = ""


class BackchannelSkipped(Tolerated, tag="response.backchannel.skipped", kw_only=True):
    """Inworld: an interjection was considered and not spoken."""

    backchannel_id: str | UnsetType = UNSET
    reason: str = ""


class InputAudioTranscriptionFailed(
    Tolerated, tag="conversation.item.input_audio_transcription.failed", kw_only=True
):
    """OpenAI: the caller's audio could not be transcribed."""

    item_id: str = ""
    content_index: Index = 0
    error: ErrorDetail | UnsetType = UNSET


class InputAudioTranscriptionSegment(
    Tolerated, tag="conversation.item.input_audio_transcription.segment", kw_only=True
):
    """OpenAI: a diarised piece of transcription."""

    item_id: str = ""
    text: str = ""


class InputAudioTranscriptionUpdated(
    Tolerated, tag="conversation.item.input_audio_transcription.updated", kw_only=True
):
    """xAI: the hypothesis so far."""

    item_id: str = ""
    transcript: str = ""


class InputAudioBufferTimeoutTriggered(
    Tolerated, tag="input_audio_buffer.timeout_triggered", kw_only=True
):
    """OpenAI: the caller was silent for the idle timeout."""

    item_id: str = ""
    audio_start_ms: Ms | None = None
    audio_end_ms: Ms | None = None


class DtmfReceived(Tolerated, tag="input_audio_buffer.dtmf_event_received"):
    """OpenAI over SIP: a key was pressed."""


class OutputAudioBufferStarted(Tolerated, tag="output_audio_buffer.started", kw_only=True):
    """WebRTC and SIP: the server began to play."""

    response_id: str = ""


class OutputAudioBufferStopped(Tolerated, tag="output_audio_buffer.stopped", kw_only=True):
    """WebRTC and SIP: the server has played everything."""

    response_id: str = ""


class OutputAudioBufferCleared(Tolerated, tag="output_audio_buffer.cleared", kw_only=True):
    """WebRTC and SIP: the server dropped what it had not played."""

    response_id: str = ""


class ConversationCreated(Tolerated, tag="conversation.created", kw_only=True):
    """Older servers and xAI: the conversation exists."""

    conversation: dict[str, Any] | UnsetType = UNSET


class ConversationItemCreated(Tolerated, tag="conversation.item.created", kw_only=True):
    """Beta servers: the one message that `.added` and `.done` replaced."""

    item: Item
    previous_item_id: str | None = None


class Ping(Tolerated, tag="ping", kw_only=True):
    """An application-level heartbeat. Never answered."""

    timestamp: float | UnsetType = UNSET


# ── beta spellings of seed messages ──────────────────────────────────────────────────────────


class BetaAudioDelta(ResponseOutputAudioDelta, tag="response.audio.delta", gc=False):
    """Beta spelling of response.output_audio.delta."""

    in_seed: ClassVar[bool] = False


class BetaAudioDone(ResponseOutputAudioDone, tag="response.audio.done"):
    """Beta spelling of response.output_audio.done."""

    in_seed: ClassVar[bool] = False


class BetaTranscriptDelta(
    ResponseOutputAudioTranscriptDelta, tag="response.audio_transcript.delta"
):
    """Beta spelling of response.output_audio_transcript.delta."""

    in_seed: ClassVar[bool] = False


class BetaTranscriptDone(ResponseOutputAudioTranscriptDone, tag="response.audio_transcript.done"):
    """Beta spelling of response.output_audio_transcript.done."""

    in_seed: ClassVar[bool] = False


class BetaTextDelta(ResponseOutputTextDelta, tag="response.text.delta"):
    """Beta spelling of response.output_text.delta."""

    in_seed: ClassVar[bool] = False


class BetaTextDone(ResponseOutputTextDone, tag="response.text.done"):
    """Beta spelling of response.output_text.done."""

    in_seed: ClassVar[bool] = False


AnyServerMessage = (
    SessionCreated
    | SessionUpdated
    | ConversationItemAdded
    | ConversationItemDone
    | ConversationItemRetrieved
    | ConversationItemTruncated
    | ConversationItemDeleted
    | ResponseCreated
    | ResponseDone
    | ResponseOutputItemAdded
    | ResponseOutputItemDone
    | ResponseContentPartAdded
    | ResponseContentPartDone
    | ResponseOutputTextDelta
    | ResponseOutputTextDone
    | ResponseOutputAudioDelta
    | ResponseOutputAudioDone
    | ResponseOutputAudioTranscriptDelta
    | ResponseOutputAudioTranscriptDone
    | ResponseFunctionCallArgumentsDelta
    | ResponseFunctionCallArgumentsDone
    | InputAudioBufferSpeechStarted
    | InputAudioBufferSpeechStopped
    | InputAudioBufferCommitted
    | InputAudioBufferCleared
    | InputAudioTranscriptionDelta
    | InputAudioTranscriptionCompleted
    | ErrorMessage
    | RateLimitsUpdated
    | TurnSuggestion
    | TurnSuggestionRevoked
    | BackchannelAudioDelta
    | BackchannelAudioDone
    | BackchannelSkipped
    | InputAudioTranscriptionFailed
    | InputAudioTranscriptionSegment
    | InputAudioTranscriptionUpdated
    | InputAudioBufferTimeoutTriggered
    | DtmfReceived
    | OutputAudioBufferStarted
    | OutputAudioBufferStopped
    | OutputAudioBufferCleared
    | ConversationCreated
    | ConversationItemCreated
    | Ping
    | BetaAudioDelta
    | BetaAudioDone
    | BetaTranscriptDelta
    | BetaTranscriptDone
    | BetaTextDelta
    | BetaTextDone
)
