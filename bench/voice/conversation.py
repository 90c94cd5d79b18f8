"""One caller: a pure machine that is told what arrived and when, and answers what to send and when.

Theory of operation
-------------------
A conversation owns no clock, socket or thread. Its driver (the loop of a worker, or a test in
virtual time) makes four calls:

* `open(now)` once, when the connection is established;
* `receive(message, at)` for every message, with the instant of its arrival;
* `poll(now)`, which returns what is due: messages to send and notes to record;
* `next_due()`, the earliest instant at which `poll` will have something, absent new messages.

It passes through three phases. *Greeting*: session.created is answered with session.update.
*Talking*, from session.updated on: the microphone is open and the script is played. *Over*: the
script has ended, was wound down, or the session could not begin; `outcome` says which.

The script's directions are conditions over instants. Some instants are known as soon as the
direction begins (the end of a pause), some only after messages arrive (the end of a reply), and
`_ends` is the one place that says when the current direction is over: an instant, or None while
that cannot be known. Its answer is kept in `_ends_ns` and asked for again only when a direction
begins or a message comes that it may depend on. Everything happens at the instant at which it
became true, not at the instant of the poll that noticed, so a late poll delays nothing after it.

What is obeyed is what `session.updated` says, never what was asked for.

What it refuses to know: how long anything took. It records facts; `bench.analysis` infers.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from msgspec import UNSET

from bench.protocol import client, server
from bench.protocol.codec import UnknownMessage, encode, type_of
from bench.protocol.objects import Session, SessionAudio, TurnDetection, WireFormat
from bench.voice.audio import NS_PER_MS, NS_PER_S, AudioFormat
from bench.voice.microphone import APPEND, Microphone, Recording
from bench.voice.playout import Playout
from bench.voice.scripts import Await, Direction, Hear, HearOut, Pause, Say, Send
from bench.voice.utterance import Utterance

GREETING_TIMEOUT_NS = 10 * NS_PER_S
"""How long a server may take from upgrade to session.updated: what OpenClaw allows live."""
UNGREETED_NS = 2 * NS_PER_S
"""After this long without session.created, session.update is sent all the same (older servers)."""


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


class Conversation:
    """One caller's side of one session.

    `record(utterance, format)` returns the utterance cut and encoded for the wire; it is called
    once per thing said, with the input format that the server declared.
    """

    def __init__(
        self,
        script: Iterator[Direction],
        session: Session,
        record: Callable[[Utterance, AudioFormat], Recording],
        manners: Manners = Manners(),  # noqa: B008 - an immutable value
        *,
        name: str = "s0",
    ) -> None:
        self.outcome: str | None = None
        self.reason = ""
        self.over_ns = 0
        self._script = script
        self._asked = session
        self._record = record
        self._manners = manners
        self._name = name
        self._out: list[Outgoing | Note] = []
        self._sent = 0
        self._winding_down = False
        # greeting
        self._opened_ns: int | None = None
        self._updated = False
        self._spoken_to = False
        # what the server said the session is
        self._input = AudioFormat()
        self._output = AudioFormat()
        self._answers = True
        self._interrupts = True
        # talking
        self._microphone: Microphone | None = None
        self._playout = Playout(manners.jitter_buffer_ns)
        self._direction: Direction | None = None
        self._began_ns = 0
        self._ends_ns: int | None = None
        self._turn = 0
        self._said_until_ns = 0
        self._offset_ns = 0
        self._awaited_ns: int | None = None
        # what the server is doing
        self._hearing: set[str] = set()
        self._owed = False
        self._open: set[str] = set()
        self._replies: list[str] = []
        self._finished: set[str] = set()
        self._silenced: set[str] = set()
        self._fed = ""
        self._progress_ns = 0

    # ── the driver's four calls ──────────────────────────────────────────────────────────────

    def open(self, now_ns: int) -> None:
        """The connection is established."""
        self._opened_ns = now_ns

    def receive(self, message: server.ServerMessage | UnknownMessage, at_ns: int) -> None:
        """`message` arrived at `at_ns`. Instants must not run backwards."""
        if self.outcome is not None:
            return
        self._play(at_ns)
        self._spoken_to = True
        kind = type(message)
        react = _REACTIONS[kind] if kind in _REACTIONS else _reaction(kind)
        if react is not None:
            react(self, message, at_ns)
        direction = self._direction
        if isinstance(direction, Hear | HearOut | Await):
            if isinstance(direction, Await) and type_of(message) == direction.type:
                self._awaited_ns = at_ns
            self._ends_ns = self._ends()
        self._play(at_ns)

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
            wait = GREETING_TIMEOUT_NS if self._updated else UNGREETED_NS
            return self._opened_ns + wait
        ends, due = self._ends_ns, self._microphone.due_ns
        return due if ends is None or due < ends else ends

    def wind_down(self) -> None:
        """Begin nothing new: what is being said and answered is finished, then it is over."""
        self._winding_down = True

    # ── greeting ─────────────────────────────────────────────────────────────────────────────

    def _greet(self, now_ns: int) -> None:
        opened = self._opened_ns
        if opened is None:
            return
        if not self._updated and now_ns >= opened + UNGREETED_NS:
            self._send_update(opened + UNGREETED_NS)
        if now_ns >= opened + GREETING_TIMEOUT_NS:
            at = opened + GREETING_TIMEOUT_NS
            if self._spoken_to:
                self._end("refused", "no session.updated within 10 s", at)
            else:
                self._end("silent", "nothing was received within 10 s", at)

    def _send_update(self, due_ns: int) -> None:
        self._updated = True
        self._send(client.SessionUpdate(session=self._asked), due_ns)

    def _on_created(self, _message: server.SessionCreated, at_ns: int) -> None:
        if not self._updated:
            self._send_update(at_ns)

    def _on_updated(self, message: server.SessionUpdated, at_ns: int) -> None:
        self._obey(message.session)
        if self._microphone is None and self._updated:
            self._microphone = Microphone(at_ns, self._manners.chunk_ns, self._input)
            self._began_ns = self._progress_ns = self._ends_ns = at_ns
            self._note("bench.microphone", at_ns, media_ns=0, detail=self._formats(message.session))

    def _obey(self, session: Session) -> None:
        audio = session.audio
        if not isinstance(audio, SessionAudio):
            return
        if audio.input is not UNSET:
            self._input = format_of(audio.input.format, self._input)
            detection = audio.input.turn_detection
            if isinstance(detection, TurnDetection):
                self._answers = detection.create_response is not False
                self._interrupts = detection.interrupt_response is not False
            elif detection is None:
                self._answers = self._interrupts = False
        if audio.output is not UNSET:
            self._output = format_of(audio.output.format, self._output)

    def _formats(self, session: Session) -> dict[str, Any]:
        detection = None
        if isinstance(session.audio, SessionAudio) and session.audio.input is not UNSET:
            detection = session.audio.input.turn_detection
        padding = detection.prefix_padding_ms if isinstance(detection, TurnDetection) else UNSET
        return {
            "input": self._input._asdict(),
            "output": self._output._asdict(),
            "chunk_ms": self._manners.chunk_ns // NS_PER_MS,
            "jitter_buffer_ms": self._manners.jitter_buffer_ns // NS_PER_MS,
            "prefix_padding_ms": padding if isinstance(padding, int) else None,  # semantic_vad
        }

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
        try:
            direction = next(self._script)
        except StopIteration:
            self._end("drained" if self._winding_down else "finished", "", at_ns)
            return
        except Exception as error:  # noqa: BLE001 - a user's script may raise anything
            self._end("crashed", f"the script raised {error!r}", at_ns)
            return
        if self._winding_down and isinstance(direction, Say):
            self._end("drained", "", at_ns)
            return
        self._direction, self._began_ns, self._awaited_ns = direction, at_ns, None
        if isinstance(direction, Say):
            self._say(direction, at_ns)
        elif isinstance(direction, Send):
            self._progress_ns = max(self._progress_ns, at_ns)
            self._send(direction.message, at_ns)

    def _say(self, say: Say, at_ns: int) -> None:
        microphone = self._microphone
        assert microphone is not None  # noqa: S101 - the phase says so
        utterance = say.utterance
        media_ns = microphone.say(self._record(utterance, self._input), at_ns)
        start_ns = microphone.opened_ns + media_ns
        speech = utterance.offset_ns is not None
        if speech:
            self._turn += 1
            self._replies = []
        self._said_until_ns = start_ns + utterance.duration_ns
        self._offset_ns = start_ns + (utterance.offset_ns or utterance.duration_ns)
        self._progress_ns = self._offset_ns
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

    def _ends(self) -> int | None:
        """When the current direction is over, or None while that cannot be known."""
        match self._direction:
            case None | Send():
                return self._began_ns
            case Say():
                return self._said_until_ns
            case Pause(duration_ns):
                return self._began_ns + duration_ns
            case Hear(duration_ns):
                return self._hears(duration_ns)
            case HearOut():
                return self._hears(None)
            case Await():
                given_up = self._began_ns + self._manners.answer_timeout_ns
                return given_up if self._awaited_ns is None else self._awaited_ns

    def _hears(self, length_ns: int | None) -> int | None:
        """When `length_ns` of the reply (None: all of it) has been heard, or patience ends."""
        if length_ns is not None and self._replying():
            reached = self._playout.reaches_ns(length_ns)
            if reached is not None:
                return max(reached, self._began_ns)
        if self._answered():
            return max(self._playout.ends_ns, self._progress_ns, self._began_ns)
        return self._patience_ns()

    def _patience_ns(self) -> int:
        """When the caller gives up: so long after the last thing that gave it hope."""
        latest = max(self._progress_ns, self._playout.ends_ns)
        return latest + self._manners.answer_timeout_ns

    def _replying(self) -> bool:
        """Whether what is in the player is the reply, and not the one before it."""
        return bool(self._replies) and self._fed == self._replies[-1]

    def _answered(self) -> bool:
        """Whether the reply is complete: nothing is being heard, owed or generated any more."""
        if self._hearing or self._owed or self._open or not self._replies:
            return False
        return self._replies[-1] in self._finished

    def _leave(self, at_ns: int) -> None:
        if not isinstance(self._direction, Hear | HearOut):
            return
        patient = self._answered() or (
            isinstance(self._direction, Hear) and self._replying() and at_ns < self._patience_ns()
        )
        if not patient:
            # Whatever the server still owes, nobody waits for it: a done that never comes must not
            # spoil the turns that follow.
            self._hearing.clear()
            self._open.clear()
            self._owed = False
            self._note("bench.gave_up", at_ns, detail={"turn": self._turn})
        elif isinstance(self._direction, HearOut):
            self._note("bench.heard_out", at_ns, detail={"turn": self._turn})

    # ── what the server does ─────────────────────────────────────────────────────────────────

    def _on_speech_started(self, message: server.InputAudioBufferSpeechStarted, at_ns: int) -> None:
        self._hearing.add(message.item_id)
        if not (self._manners.flush and self._interrupts):
            return
        playing = self._playout.playing(at_ns)
        if not playing and not self._open:
            return
        # Also a reply of which nothing plays yet is silenced: its stragglers are not heard.
        self._silenced |= self._open | set(self._replies)
        item_id = self._playout.item_id or None
        heard_ms = self._playout.flush(at_ns) // NS_PER_MS
        self._note("bench.flush", at_ns, item_id=item_id, detail={"heard_ms": heard_ms})
        if self._manners.truncate and playing and item_id is not None:
            self._send(
                client.ConversationItemTruncate(item_id=item_id, audio_end_ms=heard_ms), at_ns
            )

    def _on_turn_taken(
        self,
        message: server.InputAudioBufferSpeechStopped | server.InputAudioBufferCommitted,
        at_ns: int,
    ) -> None:
        """The server has heard enough: now it owes an answer. Servers may leave either one out.

        The first of the two counts: what comes after the answer has begun owes nothing more.
        """
        self._progress_ns = max(self._progress_ns, at_ns)
        if message.item_id in self._hearing:
            self._hearing.discard(message.item_id)
            self._owed = self._answers

    def _on_response_created(self, message: server.ResponseCreated, at_ns: int) -> None:
        self._owed = False
        if at_ns >= self._offset_ns:
            self._hearing.clear()  # the caller has finished, so this answers all that was said
        self._open = {message.response.id}  # one response at a time writes to the conversation
        self._replies.append(message.response.id)
        self._progress_ns = max(self._progress_ns, at_ns)

    def _on_response_done(self, message: server.ResponseDone, at_ns: int) -> None:
        self._open.discard(message.response.id)
        if message.response.id in self._replies:
            self._finished.add(message.response.id)
            self._progress_ns = max(self._progress_ns, at_ns)

    def _on_audio(self, message: server.ResponseOutputAudioDelta, at_ns: int) -> None:
        if message.response_id in self._silenced or not message.delta:
            return
        self._progress_ns = max(self._progress_ns, at_ns)
        self._fed = message.response_id
        self._playout.feed(message.item_id, at_ns, self._output.duration_ns(len(message.delta)))

    def _on_error(self, message: server.ErrorMessage, at_ns: int) -> None:
        if self._microphone is None:
            self._end("refused", f"{message.code}: {message.text}", at_ns)

    # ── small things ─────────────────────────────────────────────────────────────────────────

    def _send(self, message: client.ClientMessage, due_ns: int) -> None:
        self._sent += 1
        if message.event_id is UNSET:
            message.event_id = f"{self._name}-{self._sent}"
        payload = encode(message)
        response_id = getattr(message, "response_id", None)
        self._out.append(
            Outgoing(
                payload,
                type_of(message),
                due_ns,
                event_id=message.event_id,
                item_id=getattr(message, "item_id", None),
                response_id=response_id if isinstance(response_id, str) else None,
                nbytes=len(payload),
                detail=payload.decode() if isinstance(message, client.SessionUpdate) else None,
            )
        )

    def _note(self, kind: str, at_ns: int, **facts: Any) -> None:
        self._out.append(Note(kind, at_ns, **facts))

    def _end(self, outcome: str, reason: str, at_ns: int) -> None:
        self.outcome, self.reason, self.over_ns = outcome, reason, at_ns


def _ms(value_ns: int | None) -> float | None:
    return None if value_ns is None else value_ns / NS_PER_MS


_NAMED_FORMATS = {
    "pcm16": AudioFormat("audio/pcm", 24_000),
    "audio/pcm": AudioFormat("audio/pcm", 24_000),
    "g711_ulaw": AudioFormat("audio/pcmu", 8_000),
    "audio/pcmu": AudioFormat("audio/pcmu", 8_000),
    "g711_alaw": AudioFormat("audio/pcma", 8_000),
    "audio/pcma": AudioFormat("audio/pcma", 8_000),
}


def format_of(wire: object, otherwise: AudioFormat) -> AudioFormat:
    """The audio format that a session object names (object or string), else `otherwise`."""
    if isinstance(wire, WireFormat):
        named = _NAMED_FORMATS.get(wire.type)
        if named is None:
            return otherwise
        return named._replace(rate=wire.rate) if isinstance(wire.rate, int) else named
    return _NAMED_FORMATS.get(wire, otherwise) if isinstance(wire, str) else otherwise


_REACTIONS: dict[type, Callable[[Conversation, Any, int], None] | None] = {
    server.SessionCreated: Conversation._on_created,  # noqa: SLF001 - the machine's own table
    server.SessionUpdated: Conversation._on_updated,  # noqa: SLF001
    server.InputAudioBufferSpeechStarted: Conversation._on_speech_started,  # noqa: SLF001
    server.InputAudioBufferSpeechStopped: Conversation._on_turn_taken,  # noqa: SLF001
    server.InputAudioBufferCommitted: Conversation._on_turn_taken,  # noqa: SLF001
    server.ResponseCreated: Conversation._on_response_created,  # noqa: SLF001
    server.ResponseDone: Conversation._on_response_done,  # noqa: SLF001
    server.ResponseOutputAudioDelta: Conversation._on_audio,  # noqa: SLF001
    server.ErrorMessage: Conversation._on_error,  # noqa: SLF001
}
"""What the conversation does about a message. A type that is not here changes nothing."""


def _reaction(kind: type) -> Callable[[Conversation, Any, int], None] | None:
    """The reaction to a subclass (a beta spelling) is its parent's; remembered, None included."""
    for parent in kind.__mro__[1:]:
        if parent in _REACTIONS:
            _REACTIONS[kind] = _REACTIONS[parent]
            break
    else:
        _REACTIONS[kind] = None
    return _REACTIONS[kind]
