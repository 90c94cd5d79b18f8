"""The outputs of a response in messages: announced, told delta by delta, closed.

Theory of operation
-------------------
The order is that of `protocol.md` section 7.1 for speech, 7.3 for text, 7.4 for calls. Closing an
output says everything that is still to be said of it, whether it came to its end or was cut, and
sets its status. What a wrong server does differently is told here too, and nowhere else: a delta
after the `.done` that should have been its last word, or a part that is announced after its delta.
"""

from typing import Any, Final

from bench.protocol import server as say
from bench.reference.answer import Answer, Output
from bench.reference.history import History
from bench.reference.schedule import Schedule
from bench.reference.settings import Settings
from bench.reference.wording import item_of, part_of
from bench.voice.audio import ms

_LATE_NS: Final = ms(10)


class Telling:
    """What one session's responses say."""

    def __init__(self, schedule: Schedule, history: History, settings: Settings) -> None:
        self._schedule = schedule
        self._settings = settings
        self._history = history
        self.has_spoken = False

    def announce(self, answer: Answer, output: Output) -> None:
        """There is an item, and in a message a part, still empty."""
        output.state = "announced"
        item = item_of(output, "in_progress")
        self._say(say.ResponseOutputItemAdded(**_place(answer, output), item=item))
        if answer.in_conversation:
            output.previous_item_id = self._history.add(item)
            self._say(
                say.ConversationItemAdded(item=item, previous_item_id=output.previous_item_id)
            )
        if output.script.call is None and answer.wrong != "late_part":
            self._announce_part(answer, output)

    def step(self, answer: Answer, output: Output) -> None:
        """The next delta: its text, then its audio."""
        ids = _ids(answer, output)
        delta = output.script.deltas[output.steps_done]
        output.steps_done += 1
        for piece in delta.text:
            output.text += piece
            self._tell_text(answer, output, ids, piece)
        if output.script.speech is not None:
            audio = output.script.speech.part(output.nbytes, delta.end)
            output.nbytes = delta.end
            self._tell_audio(answer, output, ids, audio)
        if answer.wrong == "late_part" and output.steps_done == 1:
            self._announce_part(answer, output)

    def close(self, answer: Answer, output: Output, status: str) -> None:
        """Everything that was opened is done, and the item with it."""
        output.state, output.status = "closed", status
        script, ids = output.script, _ids(answer, output)
        if script.call is None and answer.wrong == "late_part" and not output.steps_done:
            self._announce_part(answer, output)
        if script.call is not None:
            self._close_call(answer, output)
        elif script.speech is None:
            self._say(say.ResponseOutputTextDone(**ids, text=output.text))
            if answer.wrong == "late_delta":
                self._say(say.ResponseOutputTextDelta(**ids, delta=" "))
        else:
            self._say(say.ResponseOutputAudioDone(**ids))
            if answer.wrong == "late_delta":
                silence = answer.format.silence(answer.format.nbytes(_LATE_NS))
                self._say(say.ResponseOutputAudioDelta(**ids, delta=silence))
            self._say(say.ResponseOutputAudioTranscriptDone(**ids, transcript=output.text))
            if answer.both_streams:
                self._say(say.ResponseOutputTextDone(**ids, text=output.text))
        if script.call is None:
            self._say(say.ResponseContentPartDone(**ids, part=part_of(output, output.text)))
        item = item_of(output, status)
        if answer.in_conversation:
            self._history.finish(item)
            self._say(say.ConversationItemDone(item=item, previous_item_id=output.previous_item_id))
        self._say(say.ResponseOutputItemDone(**_place(answer, output), item=item))

    def _announce_part(self, answer: Answer, output: Output) -> None:
        self._say(say.ResponseContentPartAdded(**_ids(answer, output), part=part_of(output, "")))

    def _tell_text(self, answer: Answer, output: Output, ids: dict[str, Any], piece: str) -> None:
        call = output.script.call
        if call is not None:
            self._say(
                say.ResponseFunctionCallArgumentsDelta(**ids, call_id=call.call_id, delta=piece)
            )
        elif output.script.speech is None:
            self._say(say.ResponseOutputTextDelta(**ids, delta=piece))
        else:
            self._say(say.ResponseOutputAudioTranscriptDelta(**ids, delta=piece))
            if answer.both_streams:
                self._say(say.ResponseOutputTextDelta(**ids, delta=piece))

    def _tell_audio(
        self, answer: Answer, output: Output, ids: dict[str, Any], audio: bytes
    ) -> None:
        if self._settings.voiceless:
            return
        self.has_spoken = True
        if answer.audible_ns is None:
            answer.audible_ns = self._schedule.now_ns
        if answer.in_conversation and output.script.speech is not None:
            self._history.speak(output.item_id, output.script.speech, output.nbytes)
        self._say(say.ResponseOutputAudioDelta(**ids, delta=audio))

    def _close_call(self, answer: Answer, output: Output) -> None:
        call, ids = output.script.call, _ids(answer, output)
        if call is None:
            return
        ids["call_id"] = call.call_id
        self._say(
            say.ResponseFunctionCallArgumentsDone(**ids, name=call.name, arguments=output.text)
        )
        if answer.wrong == "late_delta":
            self._say(say.ResponseFunctionCallArgumentsDelta(**ids, delta=" "))

    def _say(self, message: say.ServerMessage) -> None:
        self._schedule.say(message, "response")


def _place(answer: Answer, output: Output) -> dict[str, Any]:
    return {"response_id": answer.id, "output_index": output.index}


def _ids(answer: Answer, output: Output) -> dict[str, Any]:
    return {**_place(answer, output), "item_id": output.item_id}
