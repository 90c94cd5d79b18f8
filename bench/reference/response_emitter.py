"""The outputs of a response in messages: announced, said delta by delta, closed; and its objects.

Theory of operation
-------------------
The order is that of `protocol.md` section 7.1 for speech, 7.3 for text, 7.4 for calls. Closing an
output says everything that is still to be said of it, whether it came to its end or was cut, and
sets its status. What a wrong server does differently is said here too, and nowhere else: a delta
after the `.done` that should have been its last word, or a part that is announced after its delta.

One thing, two spellings (`protocol.md` section 3): a part is `text` or `audio` in response
messages and `output_text` or `output_audio` in items.
"""

from typing import Any, Final

from bench.protocol import server as say
from bench.protocol.objects import Item, Part, Response
from bench.reference.conversation_items import TOKEN_LETTERS, TOKEN_NS
from bench.reference.response_plan import ServedOutput, ServedResponse
from bench.reference.session_context import SessionContext
from bench.voice.audio import ms

_LATE_NS: Final = ms(10)


class ResponseEmitter:
    """Says the outputs of one session's responses. `has_spoken`: the agent has made a sound."""

    def __init__(self, context: SessionContext) -> None:
        self._context = context
        self.has_spoken = False

    def announce(self, response: ServedResponse, output: ServedOutput) -> None:
        """Say that there is an item, and in a message a part, still empty."""
        output.state = "announced"
        item = item_of(output, "in_progress")
        self._say(say.ResponseOutputItemAdded(**_place(response, output), item=item))
        if response.in_conversation:
            previous = output.previous_item_id = self._context.items.add(item)
            self._say(say.ConversationItemAdded(item=item, previous_item_id=previous))
        if output.script.call is None and response.order_fault != "late_part":
            self._announce_part(response, output)

    def step(self, response: ServedResponse, output: ServedOutput) -> None:
        """Say the next delta: its text, then its audio."""
        delta = output.script.deltas[output.steps_done]
        output.steps_done += 1
        for piece in delta.text:
            output.text += piece
            self._say_text(response, output, piece)
        if output.script.speech is not None:
            audio = output.script.speech.part(output.nbytes, delta.end)
            output.nbytes = delta.end
            self._say_audio(response, output, audio)
        if response.order_fault == "late_part" and output.steps_done == 1:
            self._announce_part(response, output)

    def close(self, response: ServedResponse, output: ServedOutput, status: str) -> None:
        """Say that everything that was opened is done, and the item with it."""
        output.state, output.status = "closed", status
        if output.script.call is None:
            self._close_part(response, output)
        else:
            self._close_call(response, output)
        item = item_of(output, status)
        if response.in_conversation:
            self._context.items.finish(item)
            previous = output.previous_item_id
            self._say(say.ConversationItemDone(item=item, previous_item_id=previous))
        self._say(say.ResponseOutputItemDone(**_place(response, output), item=item))

    def _announce_part(self, response: ServedResponse, output: ServedOutput) -> None:
        part = _part_of(output, "")
        self._say(say.ResponseContentPartAdded(**_ids(response, output), part=part))

    def _say_text(self, response: ServedResponse, output: ServedOutput, piece: str) -> None:
        call, ids = output.script.call, _ids(response, output)
        if call is not None:
            self._say(
                say.ResponseFunctionCallArgumentsDelta(**ids, call_id=call.call_id, delta=piece)
            )
            return
        if output.script.speech is not None:
            self._say(say.ResponseOutputAudioTranscriptDelta(**ids, delta=piece))
        if output.script.speech is None or response.both_streams:
            self._say(say.ResponseOutputTextDelta(**ids, delta=piece))

    def _say_audio(self, response: ServedResponse, output: ServedOutput, audio: bytes) -> None:
        if self._context.settings.voiceless:
            return
        self.has_spoken = True
        if response.audible_ns is None:
            response.audible_ns = self._context.schedule.now_ns
        if response.in_conversation and output.script.speech is not None:
            self._context.items.speak(output.item_id, output.script.speech, output.nbytes)
        self._say(say.ResponseOutputAudioDelta(**_ids(response, output), delta=audio))

    def _close_part(self, response: ServedResponse, output: ServedOutput) -> None:
        ids, late_delta = _ids(response, output), response.order_fault == "late_delta"
        if response.order_fault == "late_part" and not output.steps_done:
            self._announce_part(response, output)
        if output.script.speech is None:
            self._say(say.ResponseOutputTextDone(**ids, text=output.text))
            if late_delta:
                self._say(say.ResponseOutputTextDelta(**ids, delta=" "))
        else:
            self._say(say.ResponseOutputAudioDone(**ids))
            if late_delta:
                fmt = response.wanted.format
                silence = fmt.silence(fmt.nbytes(_LATE_NS))
                self._say(say.ResponseOutputAudioDelta(**ids, delta=silence))
            self._say(say.ResponseOutputAudioTranscriptDone(**ids, transcript=output.text))
            if response.both_streams:
                self._say(say.ResponseOutputTextDone(**ids, text=output.text))
        self._say(say.ResponseContentPartDone(**ids, part=_part_of(output, output.text)))

    def _close_call(self, response: ServedResponse, output: ServedOutput) -> None:
        call = output.script.call
        if call is None:
            return
        ids = {**_ids(response, output), "call_id": call.call_id}
        self._say(
            say.ResponseFunctionCallArgumentsDone(**ids, name=call.name, arguments=output.text)
        )
        if response.order_fault == "late_delta":
            self._say(say.ResponseFunctionCallArgumentsDelta(**ids, delta=" "))

    def _say(self, message: say.ServerMessage) -> None:
        self._context.say(message, "response")


def _place(response: ServedResponse, output: ServedOutput) -> dict[str, Any]:
    return {"response_id": response.id, "output_index": output.index}


def _ids(response: ServedResponse, output: ServedOutput) -> dict[str, Any]:
    return {**_place(response, output), "item_id": output.item_id}


def _part_of(output: ServedOutput, text: str) -> Part:
    """The part as response messages spell it, with `text` in it."""
    if output.script.speech is None:
        return Part(type="text", text=text)
    return Part(type="audio", transcript=text)


def item_of(output: ServedOutput, status: str) -> Item:
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
    response: ServedResponse,
    status: str,
    details: dict[str, Any] | None,
    usage: dict[str, Any] | None,
) -> Response:
    """The response object as it stands."""
    wanted = response.wanted
    return Response(
        id=response.id,
        object="realtime.response",
        status=status,
        status_details=details,
        output=[item_of(output, output.status) for output in response.announced],
        conversation_id=f"conv_{response.id.split('_')[1]}" if response.in_conversation else None,
        output_modalities=wanted.modalities,
        max_output_tokens=wanted.max_output_tokens,
        audio={"output": {"format": wanted.format.wire, "voice": wanted.voice}},
        usage=usage,
        metadata=response.metadata,
    )


def usage_of(response: ServedResponse) -> dict[str, Any]:
    """Usage in tokens: 100 ms of input audio, 50 ms of output, a word, 4 letters of a call."""
    text_in, audio_in = response.input_tokens
    text_out = sum(
        len(output.text.split())
        if output.script.call is None
        else -(-len(output.text) // TOKEN_LETTERS)
        for output in response.outputs
    )
    nbytes = sum(output.nbytes for output in response.outputs)
    audio_out = -(-response.wanted.format.duration_ns(nbytes) // TOKEN_NS)
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
