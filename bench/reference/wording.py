"""A response in the objects of the API: response, item, content part, usage.

One thing, two spellings (`protocol.md` section 3): a part is `text` or `audio` in response
messages and `output_text` or `output_audio` in items.
"""

from typing import Any, NamedTuple

from bench.protocol.objects import Item, Part, Response, ResponseParams
from bench.reference.answer import TOKEN_NS, Answer
from bench.reference.settings import Settings, wire_format


class Wanted(NamedTuple):
    """The settings of one response: those of the session, less what this one overrides."""

    modalities: list[str]
    format: Any
    voice: Any
    max_output_tokens: int | str


def wanted_by(params: ResponseParams, settings: Settings) -> Wanted:
    """What one `response.create` comes to in this session."""
    audio = params.audio if isinstance(params.audio, dict) else {}
    output = audio.get("output") or {}
    modalities, limit, voice = params.output_modalities, params.max_output_tokens, params.voice
    return Wanted(
        modalities=modalities if isinstance(modalities, list) else settings.modalities,
        format=output.get("format") or wire_format(settings.output_format),
        voice=voice if isinstance(voice, str) else output.get("voice") or settings.voice,
        max_output_tokens=limit if isinstance(limit, int | str) else settings.max_output_tokens,
    )


def part_of(answer: Answer) -> Part:
    """The part as response messages spell it."""
    if answer.script.speech is None:
        return Part(type="text", text=answer.text)
    return Part(type="audio", transcript=answer.text)


def item_of(answer: Answer, status: str) -> Item:
    """The item as the conversation spells it: empty while in progress."""
    content: list[Part] = []
    if status != "in_progress":
        if answer.script.speech is None:
            content = [Part(type="output_text", text=answer.text)]
        else:
            content = [Part(type="output_audio", transcript=answer.text)]
    return Item(id=answer.item_id, type="message", status=status, role="assistant", content=content)


def response_of(
    answer: Answer,
    status: str,
    details: dict[str, Any] | None,
    usage: dict[str, Any] | None,
) -> Response:
    """The response object as it stands."""
    return Response(
        id=answer.id,
        object="realtime.response",
        status=status,
        status_details=details,
        output=list(answer.output),
        conversation_id=f"conv_{answer.id.split('_')[1]}" if answer.in_conversation else None,
        output_modalities=answer.modalities,
        max_output_tokens=answer.max_output_tokens,
        audio={"output": {"format": wire_format(answer.format), "voice": answer.voice}},
        usage=usage,
        metadata=answer.metadata,
    )


def usage_of(answer: Answer) -> dict[str, Any]:
    """Tokens: 100 ms of the caller's audio, 50 ms of the agent's, or a word."""
    text_in, audio_in = answer.input_tokens
    text_out = len(answer.text.split())
    audio_out = -(-answer.format.duration_ns(answer.nbytes) // TOKEN_NS)
    return {
        "total_tokens": text_in + audio_in + text_out + audio_out,
        "input_tokens": text_in + audio_in,
        "output_tokens": text_out + audio_out,
        "input_token_details": {
            "text_tokens": text_in,
            "audio_tokens": audio_in,
            "image_tokens": 0,
            "cached_tokens": 0,
            "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
    }
