"""One session's server side as a machine: told what arrived and when, it says what is due and when.

Theory of operation
-------------------
`open`, then `receive` for every message, and `poll` whenever `next_due` has come. Nothing here
waits, reads a clock or touches a socket; time is whatever the caller says, in ns, and never goes
back. What a client asks is answered at the instant of its arrival; what the server decides is due
at that instant plus the delays of the profile, exactly.

Messages go through a table from type to method. Anything wrong is answered by one `error`, with
the client's `event_id` in it, and the session goes on. `protocol.md` sections 2 to 10 are the
specification; where it leaves a choice, the choice is in the docstring of its file.

What it does not do: back-channel, fillers, memory, tools, idle timeout. Their settings are
accepted and echoed.
"""

from itertools import count
from typing import TYPE_CHECKING, Any, Final

from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol.client import ClientMessage
from bench.protocol.codec import UnknownMessage
from bench.reference.conversing import Conversing
from bench.reference.draws import Draws
from bench.reference.history import History
from bench.reference.listening import Listening
from bench.reference.manners import MANNERS
from bench.reference.profile import Profile
from bench.reference.refusing import LONGEST_EVENT_ID, error, refusal
from bench.reference.repertoire import Repertoire
from bench.reference.responding import Responding
from bench.reference.rules import Invalid
from bench.reference.schedule import Close, Due, Raw, Schedule
from bench.reference.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

HUGE_BYTES: Final = 20_000_000


class Behaviour:
    """The server side of session number `number`; the number and the seed decide every draw.

    `dialect` is `inworld` or `openai`; `model` is what the URL asked for, if it did; `opened_s` is
    the wall clock in epoch seconds, for `expires_at` alone.
    """

    def __init__(
        self,
        profile: Profile,
        repertoire: Repertoire,
        *,
        number: int,
        dialect: str = "inworld",
        model: str = "",
        opened_s: int = 0,
    ) -> None:
        name = f"{profile.seed}x{number}"
        self.session_id = f"sess_{name}"
        self.draws = Draws(profile.seed, number)
        self._failures = profile.failures
        self._manners = MANNERS[dialect]
        self._schedule = schedule = Schedule(f"event_{name}")
        self._settings = settings = Settings(
            self._manners, session_id=self.session_id, model=model, opened_s=opened_s
        )
        numbers = count(1)

        def new_id() -> str:
            return f"item_{name}_{next(numbers)}"

        history = History()
        conversing = Conversing(schedule, settings, history, new_id)
        self._responding = responding = Responding(
            name, profile, repertoire, self.draws, schedule, settings, history
        )
        self._listening = listening = Listening(
            profile,
            repertoire,
            self.draws,
            schedule,
            settings,
            history,
            conversing,
            responding,
            new_id,
        )
        self._answers: dict[type, Callable[[Any], None]] = {
            ask.SessionUpdate: self._update,
            ask.InputAudioBufferAppend: listening.append,
            ask.InputAudioBufferCommit: listening.commit,
            ask.InputAudioBufferClear: listening.clear,
            ask.ConversationItemCreate: conversing.create,
            ask.ConversationItemTruncate: conversing.truncate,
            ask.ConversationItemDelete: conversing.delete,
            ask.ConversationItemRetrieve: conversing.retrieve,
            ask.ResponseCreate: responding.begin,
            ask.ResponseCancel: responding.cancel,
            ask.OutputAudioBufferClear: self._clear_output,
            UnknownMessage: self._refuse,
        }

    def open(self, now_ns: int) -> None:
        """The connection stands: `session.created`, unless a failure was drawn."""
        schedule, failures = self._schedule, self._failures
        schedule.advance(now_ns)
        schedule.silent = self.draws.happens("mute", failures.mute)
        if self.draws.happens("close_at_once", failures.close_at_once):
            schedule.say(Close(failures.close_code), "failure")
        schedule.say(say.SessionCreated(session=self._settings.effective), "open")
        if self.draws.happens("malformed", failures.malformed):
            schedule.say(Raw('{"type":"response.output_audio.delta","delta":"'), "failure")
        if self.draws.happens("binary", failures.binary):
            schedule.say(Raw(b"\x00\x01\x02\x03"), "failure")
        if self.draws.happens("huge", failures.huge):
            padding = "x" * HUGE_BYTES
            schedule.say(Raw(f'{{"type":"session.updated","padding":"{padding}"}}'), "failure")

    def receive(self, message: ClientMessage | UnknownMessage, at_ns: int) -> None:
        """A message arrived."""
        self._schedule.advance(at_ns)
        if self._schedule.closed or self._schedule.silent:
            return
        event_id = message.event_id
        if isinstance(event_id, str) and len(event_id) > LONGEST_EVENT_ID:
            invalid = Invalid("event_id", f"Longer than {LONGEST_EVENT_ID} characters.")
            self._schedule.say(error(message, invalid), "client")
            return
        self._answers[type(message)](message)

    def poll(self, now_ns: int) -> list[Due]:
        """Everything due by now that was not given before, in the order of sending."""
        self._schedule.advance(now_ns)
        return self._schedule.take()

    def next_due(self) -> int | None:
        """When to poll next, unless something arrives before; None for never."""
        return self._schedule.next_due()

    def _update(self, message: ask.SessionUpdate) -> None:
        invalid = self._settings.update(message.session, spoken=self._responding.has_spoken)
        if invalid is not None:
            self._schedule.say(error(message, invalid), "client")
            return
        self._listening.configure()
        self._schedule.say(say.SessionUpdated(session=self._settings.effective), "client")

    def _clear_output(self, message: ask.OutputAudioBufferClear) -> None:
        """OpenAI has an output buffer on WebRTC and SIP alone; Inworld lists the message."""
        if self._manners.dialect == "openai":
            invalid = Invalid("type", "Only WebRTC and SIP sessions have an output buffer.")
            self._schedule.say(error(message, invalid), "client")
            return
        active = self._responding.active
        cleared = say.OutputAudioBufferCleared(response_id="" if active is None else active.id)
        self._schedule.say(cleared, "client")

    def _refuse(self, message: UnknownMessage) -> None:
        self._schedule.say(refusal(message, self._manners), "client")
