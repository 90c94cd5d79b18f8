"""What messages are made of: session, item, content part, response, usage.

Theory of operation
-------------------
Servers differ (`protocol.md` sections 2, 3, 6 and 12), and one struct serves both ways of using it:

* *reading*: every field may be missing, so each defaults to `UNSET`; unknown fields are skipped
  here and reported once by `codec.oddities`. No server is ever too odd to be read.
* *writing*: what is `UNSET` is left out, what is `None` is written as `null`. That is also the
  meaning of `session.update`: only what is present changes, `null` clears.

Where two spellings of one thing exist (`output_audio` and `audio` parts, format objects and format
strings) both are accepted and neither is preferred.
"""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, structs

Ms = Annotated[int, Meta(ge=-(2**40), le=2**40)]
Count = Annotated[int, Meta(ge=-(2**53), le=2**53)]
"""Beyond these bounds (35 years; what a float holds) no server means it: left out, like any odd
field."""


class WireFormat(Struct, kw_only=True):
    """An audio format as an object: `{type: audio/pcm, rate: 24000}`. G.711 carries no rate."""

    type: str
    rate: Count | UnsetType | None = UNSET


class TurnDetection(Struct, kw_only=True):
    """Who decides when the caller has finished: `server_vad`, `semantic_vad`; `null` is manual."""

    type: str
    threshold: float | UnsetType = UNSET
    prefix_padding_ms: Ms | UnsetType = UNSET
    silence_duration_ms: Ms | UnsetType = UNSET
    idle_timeout_ms: Ms | UnsetType | None = UNSET
    eagerness: str | UnsetType = UNSET
    create_response: bool | UnsetType = UNSET
    interrupt_response: bool | UnsetType = UNSET


class AudioInput(Struct, kw_only=True):
    """`session.audio.input`."""

    format: WireFormat | str | UnsetType | None = UNSET
    noise_reduction: dict[str, Any] | UnsetType | None = UNSET
    transcription: dict[str, Any] | UnsetType | None = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET


class AudioOutput(Struct, kw_only=True):
    """`session.audio.output`; `model` is Inworld's TTS model."""

    format: WireFormat | str | UnsetType | None = UNSET
    voice: str | dict[str, Any] | UnsetType | None = UNSET
    speed: float | UnsetType = UNSET
    model: str | UnsetType | None = UNSET


class SessionAudio(Struct, kw_only=True):
    """`session.audio`."""

    input: AudioInput | UnsetType = UNSET
    output: AudioOutput | UnsetType = UNSET


class Session(Struct, kw_only=True, rename={"provider_data": "providerData"}):
    """The session object: whole in `session.created`, partial in `session.update`.

    `providerData` is the one camelCase key of a snake_case schema (Inworld only).
    """

    type: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    output_modalities: list[str] | UnsetType = UNSET
    instructions: str | UnsetType | None = UNSET
    temperature: float | UnsetType | None = UNSET
    tools: list[dict[str, Any]] | UnsetType = UNSET
    tool_choice: str | dict[str, Any] | UnsetType = UNSET
    max_output_tokens: Count | str | UnsetType | None = UNSET
    tracing: str | dict[str, Any] | UnsetType | None = UNSET
    truncation: str | dict[str, Any] | UnsetType | None = UNSET
    prompt: str | dict[str, Any] | UnsetType | None = UNSET
    expires_at: Count | UnsetType | None = UNSET
    audio: SessionAudio | UnsetType = UNSET
    include: list[str] | UnsetType | None = UNSET
    reasoning: dict[str, Any] | UnsetType | None = UNSET
    parallel_tool_calls: bool | UnsetType | None = UNSET
    provider_data: dict[str, Any] | UnsetType | None = UNSET


class ServerSession(Session, kw_only=True):
    """The session as a server tells it: some say it in the flat words of the beta."""

    input_audio_format: WireFormat | str | UnsetType | None = UNSET
    output_audio_format: WireFormat | str | UnsetType | None = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET

    @classmethod
    def of(cls, session: Session) -> "ServerSession":
        """The same session, told in the words of today."""
        return cls(**structs.asdict(session))


class Part(Struct, kw_only=True):
    """A content part, of an item or of a response; its text is in `text` or in `transcript`."""

    type: str
    text: str | UnsetType | None = UNSET
    transcript: str | UnsetType | None = UNSET
    audio: str | UnsetType | None = UNSET
    format: WireFormat | str | UnsetType | None = UNSET
    image_url: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET

    @property
    def words(self) -> str:
        """What is said in it: its transcript or its text, or "" where it has neither."""
        for said in (self.transcript, self.text):
            if isinstance(said, str) and said:
                return said
        return ""


class Item(Struct, kw_only=True):
    """An item of the conversation: `message`, `function_call` or `function_call_output`."""

    type: str
    id: str | UnsetType | None = UNSET
    object: str | UnsetType = UNSET
    status: str | UnsetType | None = UNSET
    role: str | UnsetType = UNSET
    content: list[Part] | UnsetType = UNSET
    name: str | UnsetType = UNSET
    call_id: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET
    output: str | UnsetType = UNSET


class Response(Struct, kw_only=True):
    """A response object. `status_details` may be an object, a string (xAI) or null."""

    id: str
    object: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    status_details: dict[str, Any] | str | UnsetType | None = UNSET
    output: list[Item] | UnsetType = UNSET
    conversation_id: str | UnsetType | None = UNSET
    output_modalities: list[str] | UnsetType = UNSET
    max_output_tokens: Count | str | UnsetType | None = UNSET
    audio: dict[str, Any] | UnsetType | None = UNSET
    usage: dict[str, Any] | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET

    @property
    def voice(self) -> str | None:
        """The voice that it says it speaks with; None where it does not say."""
        output = self.audio.get("output") if isinstance(self.audio, dict) else None
        voice = output.get("voice") if isinstance(output, dict) else None
        return voice if isinstance(voice, str) else None

    @property
    def reason(self) -> str:
        """Why it ended as it did (`turn_detected`, `code: message` of an error …); "": unsaid."""
        details = self.status_details
        if isinstance(details, str):
            return details
        if not isinstance(details, dict):
            return ""
        error = details.get("error")
        error = error if isinstance(error, dict) else {}
        said = (error.get("code") or error.get("type"), error.get("message"))
        return str(details.get("reason") or ": ".join(str(part) for part in said if part))


class ResponseParams(Struct, kw_only=True):
    """The body of `response.create`: overrides for this response alone."""

    conversation: str | UnsetType = UNSET
    input: list[dict[str, Any]] | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    output_modalities: list[str] | UnsetType = UNSET
    audio: dict[str, Any] | UnsetType = UNSET
    voice: str | UnsetType = UNSET
    tools: list[dict[str, Any]] | UnsetType = UNSET
    tool_choice: str | dict[str, Any] | UnsetType = UNSET
    max_output_tokens: Count | str | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET


class ErrorDetail(Struct, kw_only=True):
    """What went wrong, in the server's words; `event_id` names the client message at fault.

    `details` are what some servers say beside or in place of the message.
    """

    type: str = ""
    code: str | None = None
    message: str | None = None
    details: Any = UNSET
    param: str | None = None
    event_id: str | None = None
