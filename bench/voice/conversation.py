"""One caller: a pure machine that is told what arrived and when, and answers what to send and when.

Theory of operation
-------------------
A conversation owns no clock, socket or thread. Its driver (the loop of a worker, or a test in
virtual time) makes four calls:

* `open(now)` once, when the connection is established;
* `receive(message, at)` for every message, with the instant of its arrival;
* `poll(now)`, which returns what is due: messages to send and notes to record;
* `next_due()`, the earliest instant at which `poll` will have something, absent new messages.

It passes through three phases. *Greeting*: session.created is answered with session.update; a
server that greets late may have missed an update that did not wait for it, and is sent it again.
*Talking*, from session.updated on: the microphone is open and the script is played
(if so told, after the agent's own greeting was heard). Some servers
answer with session.created once more, or with nothing: then it begins with that, or after
`UNANSWERED_NS`. *Over*: the script has ended, was wound down, or the session could not begin;
`outcome` says which.

What the other side is doing is kept in `bench.voice.agent`, what holds in the session in
`bench.voice.effective`: what `session.updated` says, else what was asked for; what its audio really
is in `bench.voice.output_audio`, which the driver asks before it passes a delta on.

The script's directions are conditions over instants. Some instants are known as soon as the
direction begins (the end of a pause), some only after messages arrive (the end of a reply), and
`_ends` is the one place that says when the current direction is over: an instant, or None while
that cannot be known. Its answer is kept in `_ends_ns` and asked for again only when a direction
begins or a message comes that it may depend on. Everything happens at the instant at which it
became true, not at the instant of the poll that noticed, so a late poll delays nothing after it.

A server that is full is not stormed: a caller that was turned away waits before it says its next
line, or ends, as long as `bench.voice.backoff` says: 1 s, doubling to `OVERLOADED_MOST_NS`, until a
turn is answered. The pause belongs here and not into the scripts, so that every script has it.

What it refuses to know: how long anything took. It records facts; `bench.analysis` infers.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from msgspec import UNSET

from bench.errors import ScriptError
from bench.protocol import client, server
from bench.protocol.codec import (
    BARE,
    UnknownMessage,
    encode,
    inherited,
    item_id_of,
    names_of,
    type_of,
)
from bench.protocol.objects import Item, Part, Session
from bench.protocol.refusals import is_overload
from bench.voice.agent import Agent
from bench.voice.audio import NS_PER_MS, NS_PER_S, AudioFormat
from bench.voice.backoff import backoff_ns
from bench.voice.directions import (
    Await,
    Commit,
    Direction,
    Hear,
    HearOut,
    Pause,
    Reply,
    Say,
    Send,
    Stop,
    Write,
)
from bench.voice.effective import Effective
from bench.voice.microphone import APPEND, Microphone, Recording
from bench.voice.output_audio import OutputAudio
from bench.voice.play import Play
from bench.voice.playout import Playout
from bench.voice.utterance import Utterance

GREETING_TIMEOUT_NS = 10 * NS_PER_S
"""How long a server may take from upgrade to session.updated: what OpenClaw allows live."""
UNGREETED_NS = 2 * NS_PER_S
"""After this long without session.created, session.update is sent all the same (older servers)."""
UNANSWERED_NS = 5 * NS_PER_S
"""After this long without session.updated a server that has said something is talked to all the
same: recorded servers take 70 ms, and some never say it."""
ALREADY_ACTIVE = "conversation_already_has_active_response"
"""No other response can begin: what was owed will not come."""
BENIGN = ("response_cancel_not_active",)
"""Error codes that are a race and no failure: the reply ended before the cancel arrived."""
PROVOKED = "-provoked"
"""How the event_id of a message ends that is wrong on purpose."""
ASIDE = (
    "session.update", "conversation.item.retrieve", "conversation.item.delete",
    "conversation.item.truncate", "input_audio_buffer.clear", "response.cancel",
)  # fmt: skip
"""Messages of the caller whose refusal is no reason for a turn to go unanswered."""
OVERLOADED_MOST_NS = 8 * NS_PER_S
"""The longest that a caller waits after it was turned away."""


class Outgoing(NamedTuple):
    """A message that is due. `payload` is its JSON text; the rest is what the log wants to know."""

    payload: bytes
    type: str
    due_ns: int
    event_id: str | None = None
    item_id: str | None = None
    response_id: str | None = None
    media_ns: int | None = None
    audio_ns: int | None = None
    nbytes: int = 0
    detail: str | None = None
    previous_id: str | None = None
    call_id: str | None = None


class Note(NamedTuple):
    """Something the caller did or found out without a message (types: `bench.runs.rows`)."""

    type: str
    at_ns: int
    due_ns: int | None = None
    media_ns: int | None = None
    item_id: str | None = None
    detail: dict[str, Any] | None = None


class Manners(NamedTuple):
    """How the caller behaves; lengths in ns. See `bench.plan.scenario.Caller`."""

    chunk_ns: int = 100 * NS_PER_MS
    answer_timeout_ns: int = 10 * NS_PER_S
    jitter_buffer_ns: int = 0
    flush: bool = True
    truncate: bool = False
    greeting: bool = False


class _Greeting(NamedTuple):
    """What the caller does before its script, if so told: the agent speaks first, and is heard."""


class _Backoff(NamedTuple):
    """The server was too full to answer: the caller waits, and then does `then` (None: ends)."""

    duration_ns: int
    then: Direction | None


class Conversation:
    """One caller's side of one session.

    `record(utterance, format)` returns the utterance cut and encoded for the wire; it is called
    once per thing said, with the input format that the server declared. `fault` is what the script
    did, once that has ended the session.
    """

    # CPython reads the attributes of an object more slowly once it has more than thirty.
    __slots__ = (
        "_acknowledges",
        "_agent",
        "_aside_ids",
        "_asked",
        "_awaited_ns",
        "_began_ns",
        "_create_id",
        "_direction",
        "_early",
        "_effective",
        "_ends_ns",
        "_gives",
        "_manners",
        "_microphone",
        "_name",
        "_opened_ns",
        "_out",
        "_overloads",
        "_pending",
        "_playout",
        "_record",
        "_said_until_ns",
        "_script",
        "_sent",
        "_sent_id",
        "_sent_until_ns",
        "_spoken_ns",
        "_turn",
        "_updated_ns",
        "_winding_down",
        "fault",
        "outcome",
        "output_audio",
        "over_ns",
        "reason",
    )

    def __init__(
        self,
        script: Play | Iterator[Direction],
        session: Session,
        record: Callable[[Utterance, AudioFormat], Recording],
        manners: Manners = Manners(),  # noqa: B008 - an immutable value
        *,
        name: str = "s0",
    ) -> None:
        self.outcome: str | None = None
        self.reason = ""
        self.over_ns = 0
        self.fault: ScriptError | None = None
        self._script = script if isinstance(script, Play) else Play.of(script)
        self._asked = session
        self._record = record
        self._manners = manners
        self._name = name
        self._out: list[Outgoing | Note] = []
        self._sent = 0
        self._sent_id = ""
        self._create_id = ""
        self._aside_ids: set[str] = set()
        self._overloads = 0
        self._winding_down = False
        # greeting
        self._opened_ns: int | None = None
        self._updated_ns: int | None = None
        self._early = False
        self._acknowledges = False
        self._spoken_ns: int | None = None
        # talking
        self._effective = Effective()
        self._pending: dict[str, Session] = {}  # updates by event_id, until the server has spoken
        self.output_audio = OutputAudio()
        self._microphone: Microphone | None = None
        self._playout = Playout(manners.jitter_buffer_ns)
        self._agent = Agent()
        self._direction: Direction | _Greeting | _Backoff | None = None
        self._began_ns = 0
        self._ends_ns: int | None = None
        self._gives: Any = None
        self._turn = 0
        self._said_until_ns = 0
        self._sent_until_ns = 0
        self._awaited_ns: int | None = None

    @property
    def talking(self) -> bool:
        """Whether the microphone has been opened: the session was ready."""
        return self._microphone is not None

    # ── the driver's four calls ──────────────────────────────────────────────────────────────

    def open(self, now_ns: int) -> None:
        """The connection is established."""
        self._opened_ns = now_ns

    def receive(self, message: server.ServerMessage | UnknownMessage, at_ns: int) -> None:
        """`message` arrived at `at_ns`. Instants must not run backwards."""
        if self.outcome is not None:
            return
        self._play(at_ns)
        if self._spoken_ns is None:
            self._spoken_ns = at_ns
        self._agent.receive(message, at_ns)
        react = inherited(_REACTIONS, type(message))
        if react is not None:
            react(self, message, at_ns)
        direction = self._direction
        if isinstance(direction, Hear | HearOut | Await | _Greeting):
            if isinstance(direction, Await) and self._is_awaited(direction, message):
                self._awaited_ns, self._gives = at_ns, message
            self._ends_ns = self._ends()
        self._play(at_ns)

    def place(self, message: server.OutputMessage) -> None:
        """Name the response of a message that names none. Call it before `receive`."""
        self._agent.place(message)

    def poll(self, now_ns: int) -> list[Outgoing | Note]:
        """All that is due at or before `now_ns`, in order; due instants never run backwards."""
        if self.outcome is None:
            if self._microphone is None:
                self._greet(now_ns)
            else:
                self._talk(now_ns)
        out, self._out = self._out, []
        return out

    def next_due(self) -> int | None:
        """The earliest instant at which `poll` has something to do; None: only a message helps."""
        if self._out:
            return 0
        if self.outcome is not None or self._opened_ns is None:
            return None
        if self._microphone is None:
            return self._greeting_ends(self._opened_ns)
        ends, due = self._ends_ns, self._microphone.due_ns
        return due if ends is None or due < ends else ends

    @property
    def doing(self) -> tuple[Direction | None, int]:
        """The direction of the script that is under way, and since when; None before the first."""
        direction = self._direction
        if isinstance(direction, _Backoff):
            direction = direction.then
        return None if isinstance(direction, _Greeting) else direction, self._began_ns

    def wind_down(self) -> None:
        """Begin nothing new: what is being said and answered is finished, then it is over."""
        self._winding_down = True

    # ── greeting ─────────────────────────────────────────────────────────────────────────────

    def _greet(self, now_ns: int) -> None:
        opened = self._opened_ns
        if opened is None:
            return
        if self._updated_ns is None and now_ns >= opened + UNGREETED_NS:
            self._early = True
            self._send_update(opened + UNGREETED_NS)
        if now_ns < (ends := self._greeting_ends(opened)):
            return
        if self._spoken_ns is None:
            self._end("silent", "nothing was received within 10 s", ends)
        else:
            self._obey(Session())
            self._begin(ends, "nothing")
            self._talk(now_ns)

    def _greeting_ends(self, opened_ns: int) -> int:
        """When something is to be done about a server that has not answered yet."""
        if self._updated_ns is None:
            return opened_ns + UNGREETED_NS
        if self._spoken_ns is None:
            return opened_ns + GREETING_TIMEOUT_NS
        return max(self._updated_ns + UNANSWERED_NS, self._spoken_ns)

    def _send_update(self, due_ns: int) -> None:
        self._updated_ns = due_ns
        self._send(client.SessionUpdate(session=self._asked), due_ns)

    def _on_created(self, message: server.SessionCreated, at_ns: int) -> None:
        if self._microphone is not None:
            return
        if self._updated_ns is None:
            self._send_update(at_ns)
        elif self._early:
            self._early = False
            self._send_update(at_ns)
        else:
            self._obey(message.session)
            self._begin(at_ns, "session.created")

    def _on_updated(self, message: server.SessionUpdated, at_ns: int) -> None:
        self._obey(message.session)
        self._acknowledges = True
        if self._microphone is not None:
            self._microphone.switch(self._effective.input)
        elif self._updated_ns is not None:
            self._begin(at_ns, "session.updated")

    def _obey(self, told: Session) -> None:
        """What the server told of the session holds, and else what it was asked for."""
        effective = self._effective
        for asked in self._pending.values():
            effective.grant(asked)
        self._pending.clear()
        effective.obey(told)
        self._agent.answers = effective.answers
        self.output_audio.state(effective.output)

    def _begin(self, at_ns: int, answer: str) -> None:
        """Open the microphone; `answer` is what the server said to session.update."""
        effective = self._effective
        self._microphone = Microphone(at_ns, self._manners.chunk_ns, effective.input)
        self._began_ns = self._ends_ns = at_ns
        self._agent.progress_ns = at_ns
        if self._manners.greeting:
            self._direction, self._ends_ns = _Greeting(), self._patience_ns()
        detail = {
            **effective.facts(),
            "chunk_ms": self._manners.chunk_ns // NS_PER_MS,
            "jitter_buffer_ms": self._manners.jitter_buffer_ns // NS_PER_MS,
            "answer": answer,
        }
        self._note("bench.microphone", at_ns, media_ns=0, detail=detail)

    # ── talking ──────────────────────────────────────────────────────────────────────────────

    def _talk(self, now_ns: int) -> None:
        """Directions and chunks in the order of their instants, up to `now_ns`."""
        microphone = self._microphone
        assert microphone is not None  # noqa: S101 - the phase says so
        while microphone.due_ns <= now_ns:
            self._play(microphone.due_ns)
            if self.outcome is not None:
                return
            chunk = microphone.take()
            if chunk.silent and self._effective.manual:
                continue  # the key is not pressed
            self._out.append(
                Outgoing(
                    chunk.payload,
                    APPEND,
                    chunk.due_ns,
                    media_ns=chunk.media_ns,
                    audio_ns=microphone.chunk_ns,
                    nbytes=microphone.chunk_bytes,
                )
            )
        self._play(now_ns)

    def _play(self, now_ns: int) -> None:
        """Move the script on through every direction that is over by `now_ns`."""
        while (ends := self._ends_ns) is not None and ends <= now_ns:
            self._leave(ends)
            self._next(ends)
            self._ends_ns = None if self.outcome is not None else self._ends()

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
            if self._winding_down:
                self._end("drained", "", at_ns)
                return
            if self._backs_off(direction, at_ns):
                return
        if direction is None:
            self._end("finished", "", at_ns)
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
        until_ns = away_ns + backoff_ns(self._overloads, self._name, OVERLOADED_MOST_NS)
        if until_ns <= at_ns:
            return False
        self._direction, self._began_ns = _Backoff(until_ns - at_ns, then), at_ns
        detail = {
            "turn": self._turn,
            "overloads": self._overloads,
            "pause_ms": _ms(until_ns - at_ns),
        }
        self._note("bench.backoff", at_ns, due_ns=until_ns, detail=detail)
        return True

    def _blame(self, error: ScriptError, at_ns: int) -> None:
        """The script is at fault: what it still wanted sent is not."""
        self.fault = error
        self._out = [said for said in self._out if isinstance(said, Note)]
        self._end("crashed", str(error), at_ns)

    def _say(self, say: Say, at_ns: int) -> None:
        microphone = self._microphone
        assert microphone is not None  # noqa: S101 - the phase says so
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
        self._note(
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
        self._note("bench.write", at_ns, detail={"turn": self._turn, "text": text})
        part = Part(type="input_text", text=text)
        item = Item(type="message", role="user", content=[part])
        self._send(client.ConversationItemCreate(item=item), at_ns)

    def _tell(self, send: Send, at_ns: int) -> None:
        message = send.message
        self._agent.touched(at_ns)
        try:
            self._send(message, at_ns, provokes=send.provokes)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            what = f"sent a {type_of(message)} that is no JSON: {error}"
            self._blame(self._script.fault(what), at_ns)
            return
        if isinstance(message, client.ResponseCreate):
            self._create_id = self._sent_id
            self._agent.asked(at_ns)
        elif self._effective.continues and _is_output(message):
            self._agent.asked(at_ns)

    def _stop(self, stop: Stop, at_ns: int) -> None:
        """The caller stops the agent: what plays is dropped, what is made is cancelled."""
        agent = self._agent
        open_id = next(iter(agent.open), None) or (agent.replies[-1] if agent.replies else None)
        item_id, heard_ms, playing = self._flush(at_ns, "caller")
        if stop.cancel != "none":
            named = open_id if stop.cancel == "named" else None
            self._send(client.ResponseCancel(response_id=named or UNSET), at_ns)
        if stop.truncate and playing and item_id is not None:
            self._truncate(item_id, heard_ms, at_ns)

    def _flush(self, at_ns: int, cause: str) -> tuple[str | None, int, bool]:
        """Empty the player: what was in it, how much of that was heard (ms), was it playing."""
        playing = self._playout.playing(at_ns)
        # Also a reply of which nothing plays yet is silenced: its stragglers are not heard.
        self._agent.silence()
        item_id = self._playout.item_id or None
        heard_ms = self._playout.flush(at_ns) // NS_PER_MS
        detail = {"heard_ms": heard_ms, "cause": cause}
        self._note("bench.flush", at_ns, item_id=item_id, detail=detail)
        return item_id, heard_ms, playing

    def _truncate(self, item_id: str, heard_ms: int, at_ns: int) -> None:
        message = client.ConversationItemTruncate(item_id=item_id, audio_end_ms=heard_ms)
        self._send(message, at_ns)

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
                return self._hears(getattr(listening, "duration_ns", None))
            case Await(awaited):
                given_up = began + self._manners.answer_timeout_ns
                if awaited == "session.updated" and not self._acknowledges:
                    given_up = min(given_up, began + UNANSWERED_NS)
                return given_up if self._awaited_ns is None else self._awaited_ns
        return began

    def _hears(self, length_ns: int | None) -> int | None:
        """When `length_ns` of the reply (None: all of it) has been heard, or patience ends."""
        agent = self._agent
        if length_ns is not None and agent.replying:
            reached = self._playout.reaches_ns(length_ns)
            if reached is not None:
                return max(reached, self._began_ns)
        if agent.answered:
            return max(self._playout.ends_ns, agent.progress_ns, self._began_ns)
        if agent.turned_away_ns is not None:
            return max(agent.turned_away_ns, self._began_ns)
        return self._patience_ns()

    def _patience_ns(self) -> int:
        """When the caller gives up: so long after the last thing that gave it hope."""
        latest = max(self._agent.progress_ns, self._playout.ends_ns)
        return latest + self._manners.answer_timeout_ns

    def _is_awaited(self, direction: Await, message: server.ServerMessage | UnknownMessage) -> bool:
        if self._awaited_ns is not None:
            return False
        if isinstance(message, server.ErrorMessage):
            return direction.type == "error" or message.about == self._sent_id
        names = names_of(message)
        if direction.instead in names:
            return True
        if direction.type not in names:
            return False
        return direction.item_id in {"", item_id_of(message)}

    def _leave(self, at_ns: int) -> None:
        direction, agent = self._direction, self._agent
        if isinstance(direction, Commit):
            agent.touched(at_ns)
            self._send(client.InputAudioBufferCommit(), at_ns)
        if isinstance(direction, _Greeting):
            self._note("bench.greeted" if agent.answered else "bench.ungreeted", at_ns)
            agent.give_up()
            agent.spoken_to(at_ns, opens_turn=True)  # no reply to what the script says first
        if not isinstance(direction, Hear | HearOut):
            return
        patient = agent.answered or (
            isinstance(direction, Hear) and agent.replying and at_ns < self._patience_ns()
        )
        self._gives = self._heard(at_ns)
        if isinstance(direction, HearOut):
            self._note_odd_calls(at_ns)
        if not patient:
            agent.give_up()
            self._note("bench.gave_up", at_ns, detail={"turn": self._turn})
        elif isinstance(direction, HearOut) and not agent.calls:
            self._note("bench.heard_out", at_ns, detail={"turn": self._turn})

    def _note_odd_calls(self, at_ns: int) -> None:
        """Tool calls without a name, and those without an id, which nobody can answer."""
        nameless = sum(not call.name for call in self._agent.calls)
        idless = sum(not call.call_id for call in self._agent.calls)
        if nameless or idless:
            detail = {"turn": self._turn, "nameless": nameless, "idless": idless}
            self._note("bench.odd_calls", at_ns, detail=detail)

    def _heard(self, at_ns: int) -> Reply:
        agent = self._agent
        if not agent.replies:
            return Reply()
        spoken = agent.replying
        return Reply(
            agent.replies[-1],
            self._playout.item_id if spoken else "",
            self._playout.heard_ns(at_ns) if spoken else 0,
            agent.calls,
            self._effective.continues,
        )

    # ── what the server does ─────────────────────────────────────────────────────────────────

    def _on_speech_started(self, _: server.InputAudioBufferSpeechStarted, at_ns: int) -> None:
        if not (self._manners.flush and self._effective.interrupts):
            return
        agent = self._agent
        if not self._playout.playing(at_ns) and (not agent.open or agent.answers_all):
            return  # there is nothing to fall silent, or nobody has spoken since it began
        item_id, heard_ms, playing = self._flush(at_ns, "server")
        if self._manners.truncate and playing and item_id is not None:
            self._truncate(item_id, heard_ms, at_ns)

    def _on_audio(self, message: server.ResponseOutputAudioDelta, at_ns: int) -> None:
        if self._agent.audible(message):
            length_ns = self.output_audio.format.duration_ns(len(message.delta))
            self._playout.feed(message.item_id, at_ns, length_ns)

    def _on_error(self, message: server.ErrorMessage, at_ns: int) -> None:
        words = f"{message.code}: {message.text}"
        if self._microphone is None:
            self._end("overloaded" if is_overload(words) else "refused", words, at_ns)
            return
        if message.about:
            self._pending.pop(message.about, None)
        else:
            self._pending.clear()  # it may have been an update that was refused
        if is_overload(words) and message.about not in self._aside_ids:
            self._agent.turn_away(at_ns)
        elif message.code == ALREADY_ACTIVE or (message.about and message.about == self._create_id):
            # What the server itself could not begin names no message of ours.
            self._agent.refused()

    def _on_unknown(self, message: UnknownMessage, at_ns: int) -> None:
        """An error without a type (`errorType:…`) may say that the server is full, too."""
        if not (message.type.startswith(BARE) and is_overload(message.type)):
            return
        if self._microphone is None:
            self._end("overloaded", message.type, at_ns)
        else:
            self._agent.turn_away(at_ns)

    # ── small things ─────────────────────────────────────────────────────────────────────────

    def _send(self, message: client.ClientMessage, due_ns: int, *, provokes: bool = False) -> None:
        self._sent += 1
        if message.event_id is UNSET:
            message.event_id = f"{self._name}-{self._sent}{PROVOKED if provokes else ''}"
        if isinstance(message, client.SessionUpdate):
            if message.session.type is UNSET:
                message.session.type = self._asked.type  # some servers want it every time
            self._pending[str(message.event_id)] = message.session
        self._sent_id = str(message.event_id)
        if type_of(message) in ASIDE:
            self._aside_ids.add(self._sent_id)
        payload = encode(message)
        item = getattr(message, "item", None)
        self._out.append(
            Outgoing(
                payload,
                type_of(message),
                due_ns,
                event_id=self._sent_id,
                item_id=item_id_of(message),
                response_id=_text(getattr(message, "response_id", None)),
                nbytes=len(payload),
                detail=payload.decode(),
                previous_id=_text(getattr(message, "previous_item_id", None)),
                call_id=_text(getattr(item, "call_id", None)),
            )
        )

    def _note(self, kind: str, at_ns: int, **facts: Any) -> None:
        self._out.append(Note(kind, at_ns, **facts))

    def _end(self, outcome: str, reason: str, at_ns: int) -> None:
        self.outcome, self.reason, self.over_ns = outcome, reason, at_ns


def _is_output(message: client.ClientMessage) -> bool:
    """Whether it is what a tool gave."""
    if not isinstance(message, client.ConversationItemCreate):
        return False
    return message.item.type == "function_call_output"


def _ms(value_ns: int | None) -> float | None:
    return None if value_ns is None else value_ns / NS_PER_MS


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


_REACTIONS: dict[type, Callable[[Conversation, Any, int], None] | None] = {
    server.SessionCreated: Conversation._on_created,  # noqa: SLF001 - the machine's own table
    server.SessionUpdated: Conversation._on_updated,  # noqa: SLF001
    server.InputAudioBufferSpeechStarted: Conversation._on_speech_started,  # noqa: SLF001
    server.ResponseOutputAudioDelta: Conversation._on_audio,  # noqa: SLF001
    server.ErrorMessage: Conversation._on_error,  # noqa: SLF001
    UnknownMessage: Conversation._on_unknown,  # noqa: SLF001
}
"""What the conversation does about a message, once its agent knows. Other types change nothing."""
