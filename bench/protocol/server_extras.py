"""Messages that only some servers send, the beta's spellings, and the union of all.

Beta spellings (`response.audio.delta` …) are subclasses of the message they mean: code that asks
for `ResponseOutputAudioDelta` gets them too, and `codec.type_of` still says what the wire said.
"""

from typing import Any, ClassVar

from msgspec import UNSET, UnsetType

from bench.protocol.objects import ErrorDetail, Item
from bench.protocol.server import (
    ConversationItemAdded,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemRetrieved,
    ConversationItemTruncated,
    ErrorMessage,
    Index,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    InputAudioTranscriptionCompleted,
    InputAudioTranscriptionDelta,
    Ms,
    RateLimitsUpdated,
    ResponseContentPartAdded,
    ResponseContentPartDone,
    ResponseCreated,
    ResponseDone,
    ResponseFunctionCallArgumentsDelta,
    ResponseFunctionCallArgumentsDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioDone,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputAudioTranscriptDone,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ResponseOutputTextDelta,
    ResponseOutputTextDone,
    ServerMessage,
    SessionCreated,
    SessionUpdated,
)


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
