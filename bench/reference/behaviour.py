"""One session's server side as a machine: told what arrived and when, it says what is due and when.

Theory of operation
-------------------
`open`, then `receive` for every message (`read` in a frame), and `poll` whenever `next_due` has
come. Nothing here waits, reads a clock or touches a socket; time is whatever the caller says, in
ns, and never goes back. What a client asks is answered at the instant of its arrival; what the
server decides is due at that instant plus the delays of the profile, exactly.

Messages go through a table from type to method. Anything wrong is answered by one `error`, with
the client's `event_id` in it, and the session goes on. `protocol.md` sections 2 to 10 are the
specification; where it leaves a choice, the choice is in the docstring of its file.

What it does not do: memory, MCP and server-side tools, another voice. Their settings are accepted
and echoed.
"""

from collections.abc import Iterable
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol.client import ClientMessage
from bench.protocol.codec import UnknownMessage
from bench.protocol.objects import ErrorDetail, ServerSession
from bench.reference.accent import accent_of
from bench.reference.account import Account
from bench.reference.board import Board
from bench.reference.capacity import Capacity
from bench.reference.composing import Composing
from bench.reference.conversing import Conversing
from bench.reference.draws import Draws
from bench.reference.frames import framing_of
from bench.reference.history import History
from bench.reference.idling import Idling
from bench.reference.interjecting import Interjecting
from bench.reference.judging import Judge
from bench.reference.listening import Listening
from bench.reference.manners import MANNERS
from bench.reference.misbehaviour import HABITS
from bench.reference.profile import Profile
from bench.reference.refusing import LONGEST_EVENT_ID, error, refusal
from bench.reference.repertoire import Repertoire, Sound
from bench.reference.requests import read
from bench.reference.responding import EXHAUSTED, HALF_AN_OBJECT, Responding, overload
from bench.reference.rules import Invalid
from bench.reference.schedule import Close, Due, Raw, Schedule
from bench.reference.settings import LIFETIME_S, Settings
from bench.reference.suggesting import Suggesting
from bench.reference.telling import Telling
from bench.reference.transcribing import Transcribing
from bench.voice.audio import NS_PER_MS, NS_PER_S, ms

if TYPE_CHECKING:
    from collections.abc import Callable

HUGE_BYTES: Final = 20_000_000
TRY_AGAIN_LATER: Final = 1013
_FIRST_PING_NS: Final = ms(1_000)
_PING_NS: Final = ms(10_000)
_LATE_NS: Final = ms(2_500)
"""When a server greets that is late: after its callers have begun without a greeting."""


class Behaviour:
    """The server side of session number `number`; the number and the seed decide every draw.

    `dialect` is `inworld` or `openai`; `model` is what the URL asked for, if it did; `opened_s` is
    the wall clock in epoch seconds, for `expires_at` and pings. `board`, `account` and `capacity`
    are what the sessions of one server share; `over_limit`: it is one session too many, let in to
    be told so.
    `frame` makes of a message what goes over the wire: text, or bytes for a binary frame.
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
        board: Board | None = None,
        account: Account | None = None,
        capacity: Capacity | None = None,
        over_limit: bool = False,
    ) -> None:
        name = f"{profile.seed}x{number}"
        self.session_id = f"sess_{name}"
        self.draws = draws = Draws(profile.seed, number)
        self._failures, self._limits = profile.failures, profile.limits
        self._manners = MANNERS[dialect]
        self._account = account or Account(profile.limits)
        self._over_limit = over_limit
        self._opened_s, self._opened_ns = opened_s, 0
        self._hears_from_ns = 0
        board = board or Board()
        capacity = capacity or Capacity(profile.capacity)
        self._habits = habits = frozenset(
            habit for habit in HABITS if draws.happens(habit, getattr(profile.quirks, habit))
        )
        self.frame = framing_of(habits)
        self._greets = "greeting" in habits
        self._schedule = schedule = Schedule(f"event_{name}", accent_of(habits))
        self._settings = settings = Settings(
            self._manners,
            session_id=self.session_id,
            model=model,
            opened_s=opened_s,
            lifetime_s=round(profile.limits.session_s) or LIFETIME_S,
            habits=habits,
        )
        numbers = count(1)

        def new_id() -> str:
            return f"item_{name}_{next(numbers)}"

        history = History(thirds="g711_truncate_thirds" in habits)
        idling = Idling(schedule, settings)
        self._responding = responding = Responding(
            Composing(
                name, number, profile, repertoire, draws, settings, history, habits, board, capacity
            ),
            Telling(schedule, history, settings),
            schedule,
            settings,
            history,
            idling,
            profile.failures.close_code,
        )
        conversing = Conversing(number, schedule, settings, history, responding, board, new_id)
        self._listening = listening = Listening(
            profile,
            draws,
            schedule,
            settings,
            history,
            conversing,
            responding,
            Transcribing(
                number, profile, repertoire, draws, schedule, settings, history, responding, board
            ),
            Interjecting(name, draws, schedule, settings, profile.quirks.backchannel_skipped),
            Suggesting(draws, schedule, profile.quirks.turn_suggestion),
            idling,
            Judge(profile.semantic, repertoire, draws),
            new_id,
        )
        self._answers: dict[type, Callable[[Any], object]] = {
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
        self._opened_ns = now_ns
        schedule.silent = self.draws.happens("mute", failures.mute)
        if self._over_limit:
            self._breach("session_limit_reached", "Too many sessions are open.")
            schedule.say(Close(TRY_AGAIN_LATER, "Too many sessions are open."), "limits")
        if self.draws.happens("close_at_once", failures.close_at_once):
            schedule.say(Close(failures.close_code), "failure")
        if self.draws.happens("overloaded_at_once", failures.overloaded_at_once):
            schedule.say(overload(), "failure")
            schedule.say(Close(TRY_AGAIN_LATER, "The service is at capacity."), "failure")
        if "late_session_created" in self._habits:
            self._hears_from_ns = now_ns + _LATE_NS
            schedule.at(self._hears_from_ns, "open", self._greet)
        else:
            self._greet()
        self._say_none()
        if schedule.closed:
            return
        if self._limits.session_s:
            schedule.at(now_ns + round(self._limits.session_s * NS_PER_S), "limits", self._expire)
        if "ping" in self._habits:
            schedule.at(
                now_ns + _FIRST_PING_NS, "ping", partial(self._ping, now_ns + _FIRST_PING_NS)
            )

    def _say_none(self) -> None:
        """What is no message, after session.created, where such a failure was drawn."""
        schedule, failures = self._schedule, self._failures
        if self.draws.happens("malformed", failures.malformed):
            schedule.say(HALF_AN_OBJECT, "failure")
        if self.draws.happens("binary", failures.binary):
            schedule.say(Raw(b"\x00\x01\x02\x03"), "failure")
        if self.draws.happens("huge", failures.huge):
            padding = "x" * HUGE_BYTES
            schedule.say(Raw(f'{{"type":"session.updated","padding":"{padding}"}}'), "failure")

    def _greet(self) -> None:
        self._schedule.say(
            say.SessionCreated(session=ServerSession.of(self._settings.effective)), "open"
        )

    def read(self, frame: str | bytes) -> ClientMessage | UnknownMessage:
        """What a frame says, as this service reads it."""
        return read(frame, strict=self._manners.strict)

    def needs(self, message: ClientMessage | UnknownMessage) -> Iterable[Sound]:
        """The sounds that a message asks for: best there before it is received."""
        if isinstance(message, ask.SessionUpdate):
            return self._settings.sounds_after(message.session)
        if isinstance(message, ask.ResponseCreate):
            return self._responding.sounds_for(message)
        return ()

    def receive(self, message: ClientMessage | UnknownMessage, at_ns: int) -> None:
        """A message arrived."""
        self._schedule.advance(at_ns)
        if self._schedule.closed or self._schedule.silent or at_ns < self._hears_from_ns:
            return
        if not self._account.takes_packet(at_ns):
            self._breach("rate_limit_exceeded", "Too many packets a second.", message)
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
        self._schedule.say(
            say.SessionUpdated(session=ServerSession.of(self._settings.effective)), "client"
        )
        if self._greets:
            self._greets = False
            self._responding.begin(None)

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

    def _breach(
        self, code: str, text: str, message: ClientMessage | UnknownMessage | None = None
    ) -> None:
        """Too much of something, shown as the profile says."""
        how = self._limits.breach
        if how == "at_capacity":
            self._schedule.say(overload(), "limits")
        elif how == "close":
            self._schedule.say(Close(TRY_AGAIN_LATER, text), "limits")
        elif how == "errortype":
            self._schedule.say(EXHAUSTED, "limits")
        else:
            self._schedule.say(error(message, Invalid("", text), code), "limits")

    def _expire(self) -> None:
        minutes = self._limits.session_s / 60
        text = f"Your session hit the maximum duration of {minutes:g} minutes."
        detail = ErrorDetail(type="invalid_request_error", code="session_expired", message=text)
        self._schedule.say(say.ErrorMessage(error=detail), "limits")
        self._schedule.say(Close(1001, text), "limits")

    def _ping(self, at_ns: int) -> None:
        timestamp = self._opened_s * 1000 + (at_ns - self._opened_ns) // NS_PER_MS
        self._schedule.say(say.Ping(timestamp=timestamp), "ping")
        self._schedule.at(at_ns + _PING_NS, "ping", partial(self._ping, at_ns + _PING_NS))
