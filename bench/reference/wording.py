"""A response in the objects of the API: response, item, content part, usage.

One thing, two spellings (`protocol.md` section 3): a part is `text` or `audio` in response
messages and `output_text` or `output_audio` in items.
"""

from typing import Any, NamedTuple

from bench.protocol.objects import Item, Part, Response, ResponseParams
from bench.reference.answer import TOKEN_LETTERS, TOKEN_NS, Answer, Output
from bench.reference.settings import Settings


class Wanted(NamedTuple):
    """The settings of one response: those of the session, less what this one overrides."""

    modalities: list[str]
    format: Any
    voice: Any
    max_output_tokens: int | str
    tools: list[dict[str, Any]]
    tool_choice: str | dict[str, Any]


def wanted_by(params: ResponseParams, settings: Settings) -> Wanted:
    """What one `response.create` comes to in this session."""
    audio = params.audio if isinstance(params.audio, dict) else {}
    output = audio.get("output") or {}
    modalities, limit, voice = params.output_modalities, params.max_output_tokens, params.voice
    tools, choice = params.tools, params.tool_choice
    return Wanted(
        modalities=modalities if isinstance(modalities, list) else settings.modalities,
        format=output.get("format") or settings.output_format.wire,
        voice=voice if isinstance(voice, str) else output.get("voice") or settings.voice,
        max_output_tokens=limit if isinstance(limit, int | str) else settings.max_output_tokens,
        tools=tools if isinstance(tools, list) else settings.tools,
        tool_choice=choice if isinstance(choice, str | dict) else settings.tool_choice,
    )


def part_of(output: Output, text: str) -> Part:
    """The part as response messages spell it, with so much text in it."""
    if output.script.speech is None:
        return Part(type="text", text=text)
    return Part(type="audio", transcript=text)


def item_of(output: Output, status: str) -> Item:
    """The item as the conversation spells it: empty while in progress."""
    shown = status != "in_progress"
    call = output.script.call
    if call is not None:
        return Item(
            id=output.item_id,
            type="function_call",
            status=status,
            name=call.name,
            call_id=call.call_id,
            arguments=output.text if shown else "",
        )
    content: list[Part] = []
    if shown and output.script.speech is None:
        content = [Part(type="output_text", text=output.text)]
    elif shown:
        content = [Part(type="output_audio", transcript=output.text)]
    return Item(id=output.item_id, type="message", status=status, role="assistant", content=content)


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
        output=[item_of(output, output.status) for output in answer.shown],
        conversation_id=f"conv_{answer.id.split('_')[1]}" if answer.in_conversation else None,
        output_modalities=answer.modalities,
        max_output_tokens=answer.max_output_tokens,
        audio={"output": {"format": answer.format.wire, "voice": answer.voice}},
        usage=usage,
        metadata=answer.metadata,
    )


def usage_of(answer: Answer) -> dict[str, Any]:
    """Tokens: 100 ms of the caller's audio, 50 ms of the agent's, a word, 4 letters of a call."""
    text_in, audio_in = answer.input_tokens
    text_out = sum(
        len(output.text.split())
        if output.script.call is None
        else -(-len(output.text) // TOKEN_LETTERS)
        for output in answer.outputs
    )
    nbytes = sum(output.nbytes for output in answer.outputs)
    audio_out = -(-answer.format.duration_ns(nbytes) // TOKEN_NS)
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
