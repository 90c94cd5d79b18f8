"""`ProtocolChecker`: which rules of the protocol one session broke.

Theory of operation
-------------------
A tracker hands its checker every event that it is told itself. The checker has a method for each
type that a rule is about; each subject keeps what it must to judge the next event::

    protocol_rules   the table of rules
    input_rules      requests of the caller, speech, commits, transcriptions, items
    response_rules   responses as wholes
    output_rules     their items and parts, and what streams into those

The rules are those of `protocol.md` sections 3 to 8. They are loose exactly where servers are known
to differ: fields and messages that some leave out (positions, speech_stopped, committed, a `.done`,
the end of an item), the order of audio and transcript `.done`, a `previous_item_id` of null,
transcriptions that are late, repeated, revised or begin before speech_started, `session.updated`
out of the blue, both spellings of beta names.

It knows no time, but for one thing (a response that was forgotten). Nothing makes it raise.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from bench.tracker.event import Event
from bench.tracker.input_rules import ANSWERS, InputRules, ItemRules, RequestRules
from bench.tracker.output_rules import OutputRules
from bench.tracker.protocol_rules import Violation, Violations
from bench.tracker.response_rules import ResponseRules
from bench.voice.microphone import APPEND

_STREAMS: Final = {
    "response.output_audio": "audio",
    "response.audio": "audio",
    "response.output_audio_transcript": "transcript",
    "response.audio_transcript": "transcript",
    "response.output_text": "text",
    "response.text": "text",
    "response.function_call_arguments": "arguments",
}
"""What streams, in both spellings; each has a `.delta` and a `.done`."""
DELTAS: Final = {f"{name}.delta": kind for name, kind in _STREAMS.items()}
"""Types that stream, and what they carry."""
_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"

_Reaction = Callable[[Event], None]


class ProtocolChecker:
    """The rules at work on one session: tell it all in the order of the wire, then `close` it.

    `violations` are those found so far.
    """

    def __init__(self) -> None:
        self._violations = violations = Violations()
        self._requests = requests = RequestRules(violations)
        items = ItemRules(violations, requests)
        self._input = heard = InputRules(violations, requests, items)
        self._responses = responses = ResponseRules(violations, requests)
        self._outputs = outputs = OutputRules(violations, requests, items, responses)
        self._last_ns = 0
        self._greeted = False
        self._created = False
        self._received: dict[str, _Reaction] = {
            "session.created": self._session_created,
            "session.updated": outputs.session,
            "error": requests.error,
            "input_audio_buffer.speech_started": heard.started,
            "input_audio_buffer.speech_stopped": heard.stopped,
            "input_audio_buffer.committed": heard.committed,
            "input_audio_buffer.timeout_triggered": heard.timeout,
            "input_audio_buffer.cleared": requests.acknowledged,
            "conversation.item.added": items.added,
            "conversation.item.created": items.added,
            "conversation.item.done": items.done,
            "conversation.item.deleted": items.deleted,
            "conversation.item.retrieved": requests.acknowledged,
            "conversation.item.truncated": outputs.truncated,
            "response.created": responses.created,
            "response.done": responses.done,
            "response.output_item.added": outputs.item_added,
            "response.output_item.done": outputs.item_done,
            "response.content_part.added": outputs.part_added,
            "response.content_part.done": outputs.part_done,
        }
        for what in ("delta", "completed", "failed", "updated", "segment"):
            self._received[f"{_TRANSCRIPTION}.{what}"] = heard.transcribed
        for name, kind in _STREAMS.items():
            self._received[f"{name}.delta"] = partial(outputs.delta, kind=kind)
            self._received[f"{name}.done"] = partial(outputs.stream_done, kind=kind)
        self._sent: dict[str, _Reaction] = {
            APPEND: self._appended,
            "conversation.item.create": items.create,
            "response.create": responses.create,
            **dict.fromkeys(
                ("session.update", "response.cancel", "output_audio_buffer.clear", *ANSWERS),
                requests.sent,
            ),
        }

    def feed(self, event: Event) -> None:
        """One row. Deltas of audio in a row may be told as one: audio_ns their sum, at_ns the last.

        In all else they are alike: type, response, item, place, and whether their bytes are odd.
        """
        self._violations.row = event.row
        self._last_ns = max(self._last_ns, event.at_ns)
        received = event.direction == "in"
        react = (self._received if received else self._sent).get(event.type)
        if react is not None:
            if received and not self._greeted:
                self._greet(event)
            react(event)

    def appends(self, audio_ns: Sequence[int]) -> None:
        """Appends in a row: how long each is, ns."""
        self._input.wrote(audio_ns)

    @property
    def violations(self) -> list[Violation]:
        """What was found so far, by row."""
        return sorted(self._violations.found, key=lambda one: one.row)

    def close(self, at_ns: int | None = None, *, whole: bool = True) -> None:
        """No more is to come: judge what is missing, if the session is `whole`: nothing cut it.

        `at_ns` is when it ended, else the instant of its last event.
        """
        until = self._last_ns if at_ns is None else max(at_ns, self._last_ns)
        self._responses.close(until, whole=whole)
        if whole:
            self._input.close()

    @property
    def types(self) -> frozenset[str]:
        """The types that rules are about, received or sent."""
        return frozenset(self._received) | frozenset(self._sent)

    def _greet(self, event: Event) -> None:
        """The first message; only one that says why there is no session may come before it."""
        if event.type == "error":
            return
        self._greeted = True
        if event.type != "session.created":
            text = f"the first message is {event.type}"
            self._violations.tell("session_first", None, text)

    def _session_created(self, event: Event) -> None:
        if self._created:
            self._violations.tell("session_created_once", None, "session.created came again")
        else:
            self._input.began_ns = event.at_ns
        self._created = True
        self._outputs.session(event)

    def _appended(self, event: Event) -> None:
        """An append that a script sent by hand; where its length is not known, no clock is."""
        self._input.wrote([event.audio_ns])
        if event.audio_ns is None:
            self._requests.sent(event)


TYPES: Final = ProtocolChecker().types
"""The types that rules are about."""
