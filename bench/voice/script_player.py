"""A script as one caller carries it out: which direction is under way, and when it is over.

Theory of operation
-------------------
Directions are conditions over instants. Some instants are known as soon as the direction begins
(the end of a pause), some only after messages arrive (the end of a reply), and `_ends` is the one
place that says when the current direction is over: an instant, or None while that cannot be known.
Its answer is kept in `due_ns` and asked for again only when a direction begins or a message comes
that it may depend on. Everything happens at the instant at which it became true, not at the instant
of the call that noticed, so a late call delays nothing after it.

A server that is full is not stormed: a caller that was turned away waits before it says its next
line, or ends, as long as `backoff` says: 1 s, doubling to `OVERLOADED_MOST_NS`, until a turn is
answered. The pause belongs here and not into the scripts, so that every script has it.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from bench.errors import ScriptError
from bench.protocol import client, server
from bench.protocol.codec import UnknownMessage, item_id_of, names_of, type_of
from bench.protocol.objects import Item, Part
from bench.voice.audio import NS_PER_MS, NS_PER_S, AudioFormat
from bench.voice.backoff import backoff_ns
from bench.voice.directions import (
    Await,
    Commit,
    Direction,
    Hear,
    HearOut,
    Pause,
    Say,
    Send,
    Stop,
    Write,
)
from bench.voice.effective import Effective
from bench.voice.guarded_script import GuardedScript
from bench.voice.listener import Listener
from bench.voice.microphone import Microphone, Recording
from bench.voice.outbox import Outbox
from bench.voice.session_setup import UNANSWERED_NS
from bench.voice.utterance import Utterance

OVERLOADED_MOST_NS: Final = 8 * NS_PER_S
"""The longest that a caller waits after it was turned away."""


class ScriptEnd(NamedTuple):
    """How it ended: an outcome of `bench.runs.rows`. `fault`: the script itself is to blame."""

    outcome: str
    reason: str
    at_ns: int
    fault: ScriptError | None = None


class _Greeting(NamedTuple):
    """What the caller does before its script, if so told: the agent speaks first, and is heard."""


class _Backoff(NamedTuple):
    """The server was too full to answer: the caller waits, and then does `then` (None: ends)."""

    duration_ns: int
    then: Direction | None


class ScriptPlayer:
    """Carries a script out. Call `begin` once the session is ready.

    `due_ns` is when the direction under way is over (None: a message must come first), `end` is set
    once the script is over, `create_id` names the last response.create. `record` as for
    `Conversation`.
    """

    __slots__ = (
        "_agent",
        "_awaited_ns",
        "_began_ns",
        "_direction",
        "_effective",
        "_gives",
        "_listener",
        "_microphone",
        "_outbox",
        "_overloads",
        "_record",
        "_said_until_ns",
        "_script",
        "_sent_until_ns",
        "_turn",
        "create_id",
        "due_ns",
        "end",
        "winding_down",
    )

    def __init__(
        self,
        script: GuardedScript,
        record: Callable[[Utterance, AudioFormat], Recording],
        listener: Listener,
        outbox: Outbox,
        effective: Effective,
    ) -> None:
        self.due_ns: int | None = None
        self.end: ScriptEnd | None = None
        self.create_id = ""
        self.winding_down = False
        self._script = script
        self._record = record
        self._listener = listener
        self._agent = listener.agent
        self._outbox = outbox
        self._effective = effective
        self._microphone: Microphone | None = None
        self._direction: Direction | _Greeting | _Backoff | None = None
        self._began_ns = 0
        self._gives: Any = None
        self._turn = 0
        self._overloads = 0
        self._said_until_ns = 0
        self._sent_until_ns = 0
        self._awaited_ns: int | None = None

    def begin(self, microphone: Microphone) -> None:
        """The microphone is open: the script begins, after the agent's greeting if so told."""
        self._microphone = microphone
        self._began_ns = self.due_ns = self._agent.progress_ns = microphone.opened_ns
        if self._listener.config.greeting:
            self._direction, self.due_ns = _Greeting(), self._listener.patience_ns

    def receive(self, message: server.ServerMessage | UnknownMessage, at_ns: int) -> None:
        """A message came, and the listener knows of it: the direction may be over by it."""
        direction = self._direction
        if isinstance(direction, Hear | HearOut | Await | _Greeting):
            if isinstance(direction, Await) and self._is_awaited(direction, message):
                self._awaited_ns, self._gives = at_ns, message
            self.due_ns = self._ends()

    def play(self, now_ns: int) -> None:
        """Move the script on through every direction that is over by `now_ns`."""
        while (ends := self.due_ns) is not None and ends <= now_ns:
            self._leave(ends)
            self._next(ends)
            self.due_ns = None if self.end is not None else self._ends()

    @property
    def doing(self) -> tuple[Direction | None, int]:
        """The direction of the script that is under way, and since when; None before the first."""
        direction = self._direction
        if isinstance(direction, _Backoff):
            direction = direction.then
        return None if isinstance(direction, _Greeting) else direction, self._began_ns

    # ── how directions follow each other ─────────────────────────────────────────────────────

    def _next(self, at_ns: int) -> None:
        if isinstance(self._direction, _Backoff):
            self._follow(self._direction.then, at_ns)
            return
        given, self._gives = self._gives, None
        try:
            direction = self._script.resume(given, at_ns)
        except ScriptError as error:
            self._blame(error, at_ns)
            return
        self._follow(direction, at_ns)

    def _follow(self, direction: Direction | None, at_ns: int) -> None:
        """Begin what the script says next; None: it has ended."""
        if direction is None or isinstance(direction, Say | Write):
            if self.winding_down:
                self.end = ScriptEnd("drained", "", at_ns)
                return
            if self._backs_off(direction, at_ns):
                return
        if direction is None:
            self.end = ScriptEnd("finished", "", at_ns)
            return
        self._direction, self._began_ns, self._awaited_ns = direction, at_ns, None
        match direction:
            case Say():
                self._say(direction, at_ns)
            case Write(text):
                self._write(text, at_ns)
            case Send():
                self._tell(direction, at_ns)
            case Stop():
                self._stop(direction, at_ns)
            case _:
                pass

    def _backs_off(self, then: Direction | None, at_ns: int) -> bool:
        """Whether the caller must wait before it does `then`; if so it waits from now on."""
        agent = self._agent
        away_ns, agent.turned_away_ns = agent.turned_away_ns, None
        if away_ns is None:
            if agent.replies:
                self._overloads = 0
            return False
        self._overloads += 1
        until_ns = away_ns + backoff_ns(self._overloads, self._outbox.name, OVERLOADED_MOST_NS)
        if until_ns <= at_ns:
            return False
        self._direction, self._began_ns = _Backoff(until_ns - at_ns, then), at_ns
        detail = {
            "turn": self._turn,
            "overloads": self._overloads,
            "pause_ms": _ms(until_ns - at_ns),
        }
        self._outbox.note("bench.backoff", at_ns, due_ns=until_ns, detail=detail)
        return True

    def _blame(self, error: ScriptError, at_ns: int) -> None:
        """The script is at fault: what it still wanted sent is not."""
        self._outbox.withdraw()
        self.end = ScriptEnd("crashed", str(error), at_ns, error)

    # ── what directions do as they begin ─────────────────────────────────────────────────────

    def _say(self, say: Say, at_ns: int) -> None:
        microphone = self._microphone
        assert microphone is not None  # noqa: S101 - it has begun
        utterance = say.utterance
        recording = self._record(utterance, self._effective.input)
        media_ns = microphone.say(recording, at_ns)
        start_ns = microphone.opened_ns + media_ns
        speech = utterance.offset_ns is not None
        opens_turn = speech and say.role != "backchannel"
        self._turn += opens_turn
        self._said_until_ns = start_ns + utterance.duration_ns
        self._sent_until_ns = start_ns + len(recording.payloads) * microphone.chunk_ns
        offset_ns = start_ns + (utterance.offset_ns or utterance.duration_ns)
        self._agent.spoken_to(offset_ns, opens_turn=opens_turn)
        self._outbox.note(
            "bench.say",
            at_ns,
            due_ns=start_ns,
            media_ns=media_ns,
            detail={
                "utterance": utterance.id,
                "turn": self._turn,
                "role": say.role if speech else "sound",
                "text": utterance.text,
                "duration_ms": utterance.duration_ns / NS_PER_MS,
                "onset_ms": _ms(utterance.onset_ns),
                "offset_ms": _ms(utterance.offset_ns),
            },
        )

    def _write(self, text: str, at_ns: int) -> None:
        self._turn += 1
        self._agent.spoken_to(at_ns, opens_turn=True)
        self._outbox.note("bench.write", at_ns, detail={"turn": self._turn, "text": text})
        part = Part(type="input_text", text=text)
        item = Item(type="message", role="user", content=[part])
        self._outbox.send(client.ConversationItemCreate(item=item), at_ns)

    def _tell(self, send: Send, at_ns: int) -> None:
        message = send.message
        self._agent.touched(at_ns)
        try:
            self._outbox.send(message, at_ns, provokes=send.provokes)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            what = f"sent a {type_of(message)} that is no JSON: {error}"
            self._blame(self._script.fault(what), at_ns)
            return
        if isinstance(message, client.ResponseCreate):
            self.create_id = self._outbox.last_id
            self._agent.asked(at_ns)
        elif self._effective.continues and _is_output(message):
            self._agent.asked(at_ns)

    def _stop(self, stop: Stop, at_ns: int) -> None:
        """The caller stops the agent: what plays is dropped, what is made is cancelled."""
        agent = self._agent
        open_id = next(iter(agent.open), None) or (agent.replies[-1] if agent.replies else None)
        flushed = self._listener.flush(at_ns, "caller")
        if stop.cancel != "none":
            named = open_id if stop.cancel == "named" else None
            self._outbox.send(client.ResponseCancel(response_id=named or UNSET), at_ns)
        if stop.truncate:
            self._listener.truncate(flushed, at_ns)

    # ── when directions end ──────────────────────────────────────────────────────────────────

    def _ends(self) -> int | None:
        """When the current direction is over, or None while that cannot be known."""
        began = self._began_ns
        match self._direction:
            case Say():
                return self._said_until_ns
            case Commit():
                # Just after the last chunk of it, which is sent at that very instant.
                return max(began, self._sent_until_ns + 1)
            case Pause(duration_ns) | _Backoff(duration_ns):
                return began + duration_ns
            case Hear() | HearOut() | _Greeting() as listening:
                return self._listener.ends_ns(began, getattr(listening, "duration_ns", None))
            case Await(awaited):
                given_up = began + self._listener.config.answer_timeout_ns
                if awaited == "session.updated" and not self._effective.acknowledged:
                    given_up = min(given_up, began + UNANSWERED_NS)
                return given_up if self._awaited_ns is None else self._awaited_ns
        return began

    def _is_awaited(self, direction: Await, message: server.ServerMessage | UnknownMessage) -> bool:
        if self._awaited_ns is not None:
            return False
        if isinstance(message, server.ErrorMessage):
            return direction.type == "error" or message.about == self._outbox.last_id
        names = names_of(message)
        if direction.instead in names:
            return True
        if direction.type not in names:
            return False
        return direction.item_id in {"", item_id_of(message)}

    def _leave(self, at_ns: int) -> None:
        """The direction under way is over."""
        direction, agent, note = self._direction, self._agent, self._outbox.note
        if isinstance(direction, Commit):
            agent.touched(at_ns)
            self._outbox.send(client.InputAudioBufferCommit(), at_ns)
        if isinstance(direction, _Greeting):
            note("bench.greeted" if agent.answered else "bench.ungreeted", at_ns)
            agent.give_up()
            agent.spoken_to(at_ns, opens_turn=True)  # no reply to what the script says first
        if not isinstance(direction, Hear | HearOut):
            return
        patient = agent.answered or (
            isinstance(direction, Hear) and agent.replying and at_ns < self._listener.patience_ns
        )
        self._gives = self._listener.reply(at_ns, continues=self._effective.continues)
        if isinstance(direction, HearOut):
            self._note_odd_calls(at_ns)
        if not patient:
            agent.give_up()
            note("bench.gave_up", at_ns, detail={"turn": self._turn})
        elif isinstance(direction, HearOut) and not agent.calls:
            note("bench.heard_out", at_ns, detail={"turn": self._turn})

    def _note_odd_calls(self, at_ns: int) -> None:
        """Tool calls without a name, and those without an id, which nobody can answer."""
        nameless = sum(not call.name for call in self._agent.calls)
        idless = sum(not call.call_id for call in self._agent.calls)
        if nameless or idless:
            detail = {"turn": self._turn, "nameless": nameless, "idless": idless}
            self._outbox.note("bench.odd_calls", at_ns, detail=detail)


def _is_output(message: client.ClientMessage) -> bool:
    """Whether it is what a tool gave."""
    if not isinstance(message, client.ConversationItemCreate):
        return False
    return message.item.type == "function_call_output"


def _ms(value_ns: int | None) -> float | None:
    return None if value_ns is None else value_ns / NS_PER_MS
