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

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from bench.protocol import client as ask
from bench.protocol import server as say
from bench.protocol import server_extras
from bench.protocol.client import ClientMessage
from bench.protocol.codec import UnknownMessage
from bench.protocol.objects import ErrorDetail, Item, ServerSession
from bench.reference.admission import Admitted
from bench.reference.client_requests import (
    LONGEST_EVENT_ID,
    Incoming,
    Invalid,
    error,
    read_message,
    refusal,
)
from bench.reference.conversation_items import ROOT, check_item, whole_item
from bench.reference.input_audio import InputAudio
from bench.reference.message_variants import framing_of
from bench.reference.profile import Profile
from bench.reference.schedule import Close, Due, Raw
from bench.reference.served_responses import EXHAUSTED, HALF_AN_OBJECT, ServedResponses, overload
from bench.reference.server_state import ServerState
from bench.reference.session_context import SessionContext
from bench.reference.voices import Sound, Voices
from bench.voice.audio import NS_PER_MS, NS_PER_S, ms

HUGE_BYTES: Final = 20_000_000
TRY_AGAIN_LATER: Final = 1013
_FIRST_PING_NS: Final = ms(1_000)
_PING_NS: Final = ms(10_000)
_LATE_NS: Final = ms(2_500)
"""When a server greets that is late: after its callers have begun without a greeting."""


class ServedSession:
    """The server side of one session. Call `open` once, before anything else.

    `admitted` is how it was let in, `state` what the sessions of one server share, `opened_s` the
    wall clock in epoch seconds, for `expires_at` and pings. `frame` makes of a message what goes
    over the wire: text, or bytes for a binary frame.
    """

    def __init__(
        self,
        profile: Profile,
        voices: Voices,
        admitted: Admitted,
        state: ServerState | None = None,
        *,
        opened_s: int = 0,
    ) -> None:
        state = state or ServerState(profile)
        self._context = context = SessionContext(profile, voices, state, admitted, opened_s)
        self.session_id = context.session_id
        self.draws = context.draws
        self.frame = framing_of(context.quirks)
        self._schedule = context.schedule
        self._over_limit = admitted.over_limit
        self._opened_s, self._opened_ns = opened_s, 0
        self._hears_from_ns = 0
        self._greets = "greeting" in context.quirks
        self._responses = responses = ServedResponses(context)
        self._input = InputAudio(context, responses)
        items = ItemRequests(context, responses)
        self._answers: dict[type, Callable[[Any], object]] = {
            ask.SessionUpdate: self._update,
            ask.InputAudioBufferAppend: self._input.append,
            ask.InputAudioBufferCommit: self._input.commit,
            ask.InputAudioBufferClear: self._input.clear,
            ask.ConversationItemCreate: items.create,
            ask.ConversationItemTruncate: items.truncate,
            ask.ConversationItemDelete: items.delete,
            ask.ConversationItemRetrieve: items.retrieve,
            ask.ResponseCreate: responses.begin,
            ask.ResponseCancel: responses.cancel,
            ask.OutputAudioBufferClear: self._clear_output,
            UnknownMessage: self._refuse,
        }

    def open(self, now_ns: int) -> None:
        """Begin at `now_ns`: say `session.created`, unless a failure was drawn."""
        schedule, failures = self._schedule, self._context.profile.failures
        schedule.advance(now_ns)
        self._opened_ns = now_ns
        schedule.silent = self.draws.happens("mute", failures.mute)
        if self._over_limit:
            self._breach("session_limit_reached", "Too many sessions are open.")
            self._context.say(Close(TRY_AGAIN_LATER, "Too many sessions are open."), "limits")
        if self.draws.happens("close_at_once", failures.close_at_once):
            self._context.say(Close(failures.close_code), "failure")
        if self.draws.happens("overloaded_at_once", failures.overloaded_at_once):
            self._context.say(overload(), "failure")
            self._context.say(Close(TRY_AGAIN_LATER, "The service is at capacity."), "failure")
        if "late_session_created" in self._context.quirks:
            self._hears_from_ns = now_ns + _LATE_NS
            schedule.at(self._hears_from_ns, "open", self._greet)
        else:
            self._greet()
        self._say_no_message()
        if schedule.closed:
            return
        session_s = self._context.profile.limits.session_s
        if session_s:
            schedule.at(now_ns + round(session_s * NS_PER_S), "limits", self._expire)
        if "ping" in self._context.quirks:
            first_ns = now_ns + _FIRST_PING_NS
            schedule.at(first_ns, "ping", partial(self._ping, first_ns))

    def read(self, frame: str | bytes) -> Incoming:
        """Decode a frame as this service does."""
        return read_message(frame, strict=self._context.settings.service.strict)

    def needs(self, message: Incoming) -> Iterable[Sound]:
        """The sounds that a message asks for: make them before it is received."""
        if isinstance(message, ask.SessionUpdate):
            return self._context.settings.sounds_after(message.session)
        if isinstance(message, ask.ResponseCreate):
            return self._responses.sounds_for(message)
        return ()

    def receive(self, message: Incoming, at_ns: int) -> None:
        """Take a message that arrived at `at_ns`."""
        self._schedule.advance(at_ns)
        if self._schedule.closed or self._schedule.silent or at_ns < self._hears_from_ns:
            return
        if not self._context.server_state.packets.takes_packet(at_ns):
            self._breach("rate_limit_exceeded", "Too many packets a second.", message)
            return
        event_id = message.event_id
        if isinstance(event_id, str) and len(event_id) > LONGEST_EVENT_ID:
            invalid = Invalid("event_id", f"Longer than {LONGEST_EVENT_ID} characters.")
            self._context.say(error(message, invalid), "client")
            return
        self._answers[type(message)](message)

    def poll(self, now_ns: int) -> list[Due]:
        """Return everything due by now and not returned before, in the order of sending."""
        self._schedule.advance(now_ns)
        return self._schedule.take()

    def next_due(self) -> int | None:
        """When to poll next, unless something arrives before; None for never."""
        return self._schedule.next_due()

    def _say_no_message(self) -> None:
        """Say what is no message, after session.created, where such a failure was drawn."""
        failures = self._context.profile.failures
        if self.draws.happens("malformed", failures.malformed):
            self._context.say(HALF_AN_OBJECT, "failure")
        if self.draws.happens("binary", failures.binary):
            self._context.say(Raw(b"\x00\x01\x02\x03"), "failure")
        if self.draws.happens("huge", failures.huge):
            padding = "x" * HUGE_BYTES
            self._context.say(Raw(f'{{"type":"session.updated","padding":"{padding}"}}'), "failure")

    def _greet(self) -> None:
        session = ServerSession.of(self._context.settings.effective)
        self._context.say(say.SessionCreated(session=session), "open")

    def _update(self, message: ask.SessionUpdate) -> None:
        settings = self._context.settings
        invalid = settings.update(message.session, spoken=self._responses.has_spoken)
        if invalid is not None:
            self._context.say(error(message, invalid), "client")
            return
        self._input.configure()
        session = ServerSession.of(settings.effective)
        self._context.say(say.SessionUpdated(session=session), "client")
        if self._greets:
            self._greets = False
            self._responses.begin(None)

    def _clear_output(self, message: ask.OutputAudioBufferClear) -> None:
        """OpenAI has an output buffer on WebRTC and SIP alone; Inworld lists the message."""
        if self._context.settings.service.dialect == "openai":
            invalid = Invalid("type", "Only WebRTC and SIP sessions have an output buffer.")
            self._context.say(error(message, invalid), "client")
            return
        active = self._responses.active
        cleared = server_extras.OutputAudioBufferCleared(
            response_id="" if active is None else active.id
        )
        self._context.say(cleared, "client")

    def _refuse(self, message: UnknownMessage) -> None:
        self._context.say(refusal(message, self._context.settings.service), "client")

    def _breach(self, code: str, text: str, message: Incoming | None = None) -> None:
        """Say that a limit was passed, in the way that the profile wants."""
        how = self._context.profile.limits.breach
        if how == "at_capacity":
            self._context.say(overload(), "limits")
        elif how == "close":
            self._context.say(Close(TRY_AGAIN_LATER, text), "limits")
        elif how == "errortype":
            self._context.say(EXHAUSTED, "limits")
        else:
            self._context.say(error(message, Invalid("", text), code), "limits")

    def _expire(self) -> None:
        minutes = self._context.profile.limits.session_s / 60
        text = f"Your session hit the maximum duration of {minutes:g} minutes."
        detail = ErrorDetail(type="invalid_request_error", code="session_expired", message=text)
        self._context.say(say.ErrorMessage(error=detail), "limits")
        self._context.say(Close(1001, text), "limits")

    def _ping(self, at_ns: int) -> None:
        timestamp = self._opened_s * 1000 + (at_ns - self._opened_ns) // NS_PER_MS
        self._context.say(server_extras.Ping(timestamp=timestamp), "ping")
        self._schedule.at(at_ns + _PING_NS, "ping", partial(self._ping, at_ns + _PING_NS))


class ItemRequests:
    """The conversation as a client edits it: items created, truncated, deleted and retrieved.

    What a tool returned while its call is still being said is taken once the response is over.
    """

    def __init__(self, context: SessionContext, responses: ServedResponses) -> None:
        self._context = context
        self._items = context.items
        self._responses = responses

    def create(self, message: ask.ConversationItemCreate) -> None:
        """Insert an item: at the end, at the front ("root"), or behind a known item."""
        context, item, after = self._context, message.item, message.previous_item_id
        call_id = item.call_id if item.type == "function_call_output" else None
        if isinstance(call_id, str) and self._responses.is_calling(call_id):
            self._responses.after_active(partial(self.create, message))
            return
        invalid = check_item(item)
        if isinstance(after, str) and after != ROOT and after not in self._items:
            invalid = Invalid("previous_item_id", f"No item {after!r} in the conversation.")
        if isinstance(item.id, str) and item.id in self._items:
            invalid = Invalid("item.id", f"There is an item {item.id!r} already.")
        if invalid is not None:
            context.say(error(message, invalid), "client")
            return
        whole, audio = whole_item(item, item.id or context.new_item_id())
        if audio is not None:
            self._items.record(str(whole.id), audio, context.settings.input_format)
        context.add_item(whole, after if isinstance(after, str) else None, "client")
        if whole.role == "user" and isinstance(whole.content, list):
            said = " ".join(part.words for part in whole.content).strip()
            context.server_state.leaks.write(context.number, said)
        if isinstance(call_id, str):
            self._responses.returned(call_id)

    def truncate(self, message: ask.ConversationItemTruncate) -> None:
        """Cut an agent's item to what was heard of it; the transcript goes."""
        item_id, index, end_ms = message.item_id, message.content_index, message.audio_end_ms
        if self._known(message, item_id, "truncate") is None:
            return
        invalid = self._items.truncate(item_id, index, end_ms)
        if invalid is not None:
            self._context.say(error(message, invalid), "client")
            return
        self._context.say(
            say.ConversationItemTruncated(
                item_id=item_id, content_index=index, audio_end_ms=end_ms
            ),
            "client",
        )

    def delete(self, message: ask.ConversationItemDelete) -> None:
        """Forget an item. A response that is speaking it goes on."""
        if self._known(message, message.item_id, "delete") is not None:
            self._items.delete(message.item_id)
            self._context.say(say.ConversationItemDeleted(item_id=message.item_id), "client")

    def retrieve(self, message: ask.ConversationItemRetrieve) -> None:
        """Say one item with its audio."""
        item = self._known(message, message.item_id, "retrieve")
        if item is not None:
            whole = self._items.whole(item)
            self._context.say(say.ConversationItemRetrieved(item=whole), "client")

    def _known(self, message: ClientMessage, item_id: str, verb: str) -> Item | None:
        """Find an item by its id; None after an error was said about it."""
        item = self._items.find(item_id)
        if item is None:
            invalid = Invalid("item_id", f"Cannot {verb}: no item {item_id!r} here.")
            self._context.say(error(message, invalid, f"item_{verb}_invalid_item_id"), "client")
        return item
