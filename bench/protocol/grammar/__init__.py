"""The message grammar: what the order and the contents of a session's messages must be.

Theory of operation
-------------------
A `Checker` is told the facts of one session, one after the other, and answers with the rules that
each of them broke. It keeps what it must to judge the next fact; each subject is a machine of its
own::

    facts       what is told and answered; the table of rules
    asked       what the caller has asked for
    ear         speech, its positions, commits, transcriptions
    items       the conversation
    responses   responses as wholes
    outputs     what is inside of them

The rules are those of `protocol.md` sections 3 to 8, and are loose exactly where servers are known
to differ: fields and messages that some leave out (positions, speech_stopped, committed, a `.done`,
the end of an item), the order of audio and transcript `.done`, a `previous_item_id` of null,
transcriptions that are late, repeated, revised or begin before speech_started, `session.updated`
out of the blue, both spellings of beta names.

Every rule is told once for each thing that breaks it (an item, a part, a response, a request): a
hundred deltas after an end are one violation.

What it refuses to know: time, but for one thing (a response that was forgotten), and types that no
rule is about. Nothing that is fed to it makes it raise.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from bench.protocol.grammar.asked import ANSWERS, Asked
from bench.protocol.grammar.ear import Ear
from bench.protocol.grammar.facts import RULES, Breaches, Fact, Rule, Violation
from bench.protocol.grammar.items import Items
from bench.protocol.grammar.outputs import Outputs
from bench.protocol.grammar.responses import Responses

__all__ = [
    "APPEND", "DELTAS", "HEARD", "RULES", "SENT", "Checker", "Fact", "Rule", "Violation",
]  # fmt: skip

APPEND: Final = "input_audio_buffer.append"
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
"""Types of which several in a row may be fed as one fact, and what they carry."""
_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"

_Reaction = Callable[[Fact], None]


class Checker:
    """The grammar at work on one session: `feed` it all facts in order, then `end` it."""

    def __init__(self) -> None:
        self._breaches = breaches = Breaches()
        self._asked = asked = Asked(breaches)
        items = Items(breaches, asked)
        self._ear = ear = Ear(breaches, asked, items)
        self._responses = responses = Responses(breaches, asked)
        self._outputs = outputs = Outputs(breaches, asked, items, responses)
        self._last_ns = 0
        self._greeted = False
        self._created = False
        self._heard: dict[str, _Reaction] = {
            "session.created": self._session_created,
            "session.updated": outputs.session,
            "error": asked.error,
            "input_audio_buffer.speech_started": ear.started,
            "input_audio_buffer.speech_stopped": ear.stopped,
            "input_audio_buffer.committed": ear.committed,
            "input_audio_buffer.timeout_triggered": ear.timeout,
            "input_audio_buffer.cleared": asked.acknowledged,
            "conversation.item.added": items.added,
            "conversation.item.created": items.added,
            "conversation.item.done": items.done,
            "conversation.item.deleted": items.deleted,
            "conversation.item.retrieved": asked.acknowledged,
            "conversation.item.truncated": outputs.truncated,
            "response.created": responses.created,
            "response.done": responses.done,
            "response.output_item.added": outputs.item_added,
            "response.output_item.done": outputs.item_done,
            "response.content_part.added": outputs.part_added,
            "response.content_part.done": outputs.part_done,
        }
        for what in ("delta", "completed", "failed", "updated", "segment"):
            self._heard[f"{_TRANSCRIPTION}.{what}"] = ear.transcribed
        for name, kind in _STREAMS.items():
            self._heard[f"{name}.delta"] = partial(outputs.delta, kind=kind)
            self._heard[f"{name}.done"] = partial(outputs.stream_done, kind=kind)
        self._sent: dict[str, _Reaction] = {
            APPEND: ear.append,
            "conversation.item.create": items.create,
            "response.create": responses.create,
            **dict.fromkeys(
                ("session.update", "response.cancel", "output_audio_buffer.clear", *ANSWERS),
                asked.sent,
            ),
        }

    def feed(self, fact: Fact) -> list[Violation]:
        """What the next fact breaks: mostly nothing."""
        self._breaches.index += 1
        self._last_ns = max(self._last_ns, fact.at_ns)
        heard = fact.direction == "in"
        react = (self._heard if heard else self._sent).get(fact.type)
        if react is not None:
            if heard and not self._greeted:
                self._greet(fact)
            react(fact)
        return self._breaches.take()

    def end(self, at_ns: int | None = None, *, whole: bool = True) -> list[Violation]:
        """What can only be judged now. `whole`: nothing cut the session, so what is missing is.

        `at_ns` is when it ended, else the instant of its last fact. No fact may follow.
        """
        until = self._last_ns if at_ns is None else max(at_ns, self._last_ns)
        self._responses.end(until, whole=whole)
        if whole:
            self._ear.end()
        return sorted(self._breaches.take(), key=lambda one: one.index)

    @property
    def types(self) -> tuple[frozenset[str], frozenset[str]]:
        """The types that rules are about, received and sent: no other need be fed."""
        return frozenset(self._heard), frozenset(self._sent)

    def _greet(self, fact: Fact) -> None:
        """The first message; only one that says why there is no session may come before it."""
        if fact.type == "error":
            return
        self._greeted = True
        if fact.type != "session.created":
            text = f"the first message is {fact.type}"
            self._breaches.tell("session_first", None, text)

    def _session_created(self, fact: Fact) -> None:
        if self._created:
            self._breaches.tell("session_created_once", None, "session.created came again")
        else:
            self._ear.began_ns = fact.at_ns
        self._created = True
        self._outputs.session(fact)


HEARD, SENT = Checker().types
"""The types that rules are about, received and sent."""
