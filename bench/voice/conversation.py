"""One caller: a pure machine that is told what arrived and when, and answers what to send and when.

Theory of operation
-------------------
A conversation owns no clock, socket or thread. Its driver (the loop of a worker, or a test in
virtual time) makes four calls:

* `open(now)` once, when the connection is established;
* `receive(message, at)` for every message, with the instant of its arrival;
* `poll(now)`, which returns what is due: messages to send and notes to record;
* `next_due()`, the earliest instant at which `poll` will have something, absent new messages.

It passes through three phases. *Setup*: until the server has answered session.update. *Talking*:
the microphone is open and the script is played. *Over*: the script has ended, was wound down, or
the session could not begin; `outcome` says which.

What it is made of, a file each::

    session_setup   session.created, session.update, session.updated: when the caller may speak
    effective       what holds in the session: what session.updated says, else what was asked for
    microphone      what the caller says, cut into chunks at their instants
    listener        what it hears: what the agent is doing, and what plays
    script_player   the script: which direction is under way, and when it is over
    outbox          messages to send and notes to record

What it refuses to know: how long anything took. It records facts; `bench.analysis` infers.
"""

from collections.abc import Callable, Iterator
from typing import Any

from bench.errors import ScriptError
from bench.protocol import client, server
from bench.protocol.codec import BARE, UnknownMessage, inherited
from bench.protocol.error_codes import ALREADY_ACTIVE
from bench.protocol.objects import Session
from bench.protocol.refusals import is_overload
from bench.voice.audio import NS_PER_MS, AudioFormat
from bench.voice.caller_config import CallerConfig
from bench.voice.directions import Direction
from bench.voice.effective import Effective
from bench.voice.guarded_script import GuardedScript
from bench.voice.listener import Listener
from bench.voice.microphone import APPEND, Microphone, Recording
from bench.voice.outbox import Note, Outbox, Outgoing
from bench.voice.script_player import ScriptPlayer
from bench.voice.session_setup import SessionSetup
from bench.voice.utterance import Utterance


class Conversation:
    """One caller's side of one session.

    `record(utterance, format)` returns the utterance cut and encoded for the wire; it is called
    once per thing said, with the input format that the server declared. `output_audio` says what
    the agent's audio really is: the driver asks it before it passes a delta on.
    """

    __slots__ = (
        "_asked",
        "_config",
        "_effective",
        "_listener",
        "_microphone",
        "_outbox",
        "_script",
        "_setup",
        "outcome",
        "output_audio",
        "over_ns",
        "reason",
    )

    def __init__(
        self,
        script: GuardedScript | Iterator[Direction],
        session: Session,
        record: Callable[[Utterance, AudioFormat], Recording],
        config: CallerConfig = CallerConfig(),  # noqa: B008 - an immutable value
        *,
        name: str = "s0",
    ) -> None:
        self.outcome: str | None = None
        self.reason = ""
        self.over_ns = 0
        self._asked = session
        self._config = config
        self._setup = SessionSetup()
        self._effective = Effective()
        self._outbox = Outbox(name, session.type)
        self._listener = Listener(config, self._outbox)
        self.output_audio = self._listener.output_audio
        guarded = script if isinstance(script, GuardedScript) else GuardedScript.of(script)
        self._script = ScriptPlayer(guarded, record, self._listener, self._outbox, self._effective)
        self._microphone: Microphone | None = None

    @property
    def talking(self) -> bool:
        """Whether the microphone has been opened: the session was ready."""
        return self._microphone is not None

    @property
    def footprint(self) -> int:
        """Bytes, about, of what is remembered of the server: it decides how much that is."""
        return self._listener.footprint

    @property
    def fault(self) -> ScriptError | None:
        """What the script did, once that has ended the session."""
        return None if self._script.end is None else self._script.end.fault

    @property
    def doing(self) -> tuple[Direction | None, int]:
        """The direction of the script that is under way, and since when; None before the first."""
        return self._script.doing

    def wind_down(self) -> None:
        """Begin nothing new: what is being said and answered is finished, then it is over."""
        self._script.winding_down = True

    # ── the driver's four calls ──────────────────────────────────────────────────────────────

    def open(self, now_ns: int) -> None:
        """The connection is established."""
        self._setup.opened_ns = now_ns

    def receive(self, message: server.ServerMessage | UnknownMessage, at_ns: int) -> None:
        """`message` arrived at `at_ns`. Instants must not run backwards."""
        if self.outcome is not None:
            return
        self._play(at_ns)
        if self._setup.spoken_ns is None:
            self._setup.spoken_ns = at_ns
        self._listener.agent.receive(message, at_ns)
        react = inherited(_REACTIONS, type(message))
        if react is not None:
            react(self, message, at_ns)
        self._script.receive(message, at_ns)
        self._play(at_ns)

    def place(self, message: server.OutputMessage) -> None:
        """Name the response of a message that names none. Call it before `receive`."""
        self._listener.agent.place(message)

    def poll(self, now_ns: int) -> list[Outgoing | Note]:
        """All that is due at or before `now_ns`, in order; due instants never run backwards."""
        if self.outcome is None:
            if self._microphone is None:
                self._set_up(now_ns)
            else:
                self._talk(self._microphone, now_ns)
        return self._outbox.take()

    def next_due(self) -> int | None:
        """The earliest instant at which `poll` has something to do; None: only a message helps."""
        if self._outbox.waiting:
            return 0
        if self.outcome is not None:
            return None
        if self._microphone is None:
            return self._setup.due_ns()
        ends, due = self._script.due_ns, self._microphone.due_ns
        return due if ends is None or due < ends else ends

    # ── setup ────────────────────────────────────────────────────────────────────────────────

    def _set_up(self, now_ns: int) -> None:
        """The server has not answered yet."""
        setup = self._setup
        due_ns = setup.due_ns()
        if due_ns is not None and setup.updated_ns is None and now_ns >= due_ns:
            setup.update_early()
            self._send_update(due_ns)
            due_ns = setup.due_ns()
        if due_ns is None or now_ns < due_ns:
            return
        if setup.spoken_ns is None:
            self._end("silent", "nothing was received within 10 s", due_ns)
        else:
            self._obey(Session())
            self._talk(self._begin(due_ns, "nothing"), now_ns)

    def _send_update(self, due_ns: int) -> None:
        self._setup.updated_ns = due_ns
        self._outbox.send(client.SessionUpdate(session=self._asked), due_ns)

    def _on_created(self, message: server.SessionCreated, at_ns: int) -> None:
        if self._microphone is not None:
            return
        if self._setup.created():
            self._send_update(at_ns)
        else:
            self._obey(message.session)
            self._begin(at_ns, "session.created")

    def _on_updated(self, message: server.SessionUpdated, at_ns: int) -> None:
        self._obey(message.session)
        self._effective.acknowledged = True
        if self._microphone is not None:
            self._microphone.switch(self._effective.input)
        elif self._setup.updated_ns is not None:
            self._begin(at_ns, "session.updated")

    def _obey(self, told: Session) -> None:
        """What the server told of the session holds, and else what it was asked for."""
        for asked in self._outbox.answered_updates():
            self._effective.grant(asked)
        self._effective.obey(told)
        self._listener.agent.answers = self._effective.answers
        self.output_audio.state(self._effective.output)

    def _begin(self, at_ns: int, answer: str) -> Microphone:
        """Open the microphone; `answer` is what the server said to session.update."""
        microphone = Microphone(at_ns, self._config.chunk_ns, self._effective.input)
        self._microphone = microphone
        self._script.begin(microphone)
        detail = {
            **self._effective.facts(),
            "chunk_ms": self._config.chunk_ns // NS_PER_MS,
            "jitter_buffer_ms": self._config.jitter_buffer_ns // NS_PER_MS,
            "answer": answer,
        }
        self._outbox.note("bench.microphone", at_ns, media_ns=0, detail=detail)
        return microphone

    # ── talking ──────────────────────────────────────────────────────────────────────────────

    def _talk(self, microphone: Microphone, now_ns: int) -> None:
        """Directions and chunks in the order of their instants, up to `now_ns`."""
        while microphone.due_ns <= now_ns:
            self._play(microphone.due_ns)
            if self.outcome is not None:
                return
            chunk = microphone.take()
            if chunk.silent and self._effective.manual:
                continue  # the key is not pressed
            self._outbox.waiting.append(
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
        """Move the script on to `now_ns`."""
        script = self._script
        if (due_ns := script.due_ns) is not None and due_ns <= now_ns:
            script.play(now_ns)
            if script.end is not None:
                self._end(script.end.outcome, script.end.reason, script.end.at_ns)

    # ── what the server does ─────────────────────────────────────────────────────────────────

    def _on_speech_started(self, _: server.InputAudioBufferSpeechStarted, at_ns: int) -> None:
        """The server heard the caller speak: a reply that it will cut falls silent."""
        if not (self._config.flush and self._effective.interrupts):
            return
        if self._listener.is_quiet(at_ns):
            return
        flushed = self._listener.flush(at_ns, "server")
        if self._config.truncate:
            self._listener.truncate(flushed, at_ns)

    def _on_audio(self, message: server.ResponseOutputAudioDelta, at_ns: int) -> None:
        self._listener.hear(message, at_ns)

    def _on_error(self, message: server.ErrorMessage, at_ns: int) -> None:
        words = f"{message.code}: {message.text}"
        if self._microphone is None:
            self._end("overloaded" if is_overload(words) else "refused", words, at_ns)
            return
        agent = self._listener.agent
        self._outbox.refused(message.about)
        if is_overload(words) and not self._outbox.is_aside(message.about):
            agent.turn_away(at_ns)
        elif message.code == ALREADY_ACTIVE or (
            message.about and message.about == self._script.create_id
        ):
            # What the server itself could not begin names no message of ours.
            agent.refused()

    def _on_unknown(self, message: UnknownMessage, at_ns: int) -> None:
        """An error without a type (`errorType:…`) may say that the server is full, too."""
        if not (message.type.startswith(BARE) and is_overload(message.type)):
            return
        if self._microphone is None:
            self._end("overloaded", message.type, at_ns)
        else:
            self._listener.agent.turn_away(at_ns)

    def _end(self, outcome: str, reason: str, at_ns: int) -> None:
        self.outcome, self.reason, self.over_ns = outcome, reason, at_ns


_REACTIONS: dict[type, Callable[[Conversation, Any, int], None] | None] = {
    server.SessionCreated: Conversation._on_created,  # noqa: SLF001 - the machine's own table
    server.SessionUpdated: Conversation._on_updated,  # noqa: SLF001
    server.InputAudioBufferSpeechStarted: Conversation._on_speech_started,  # noqa: SLF001
    server.ResponseOutputAudioDelta: Conversation._on_audio,  # noqa: SLF001
    server.ErrorMessage: Conversation._on_error,  # noqa: SLF001
    UnknownMessage: Conversation._on_unknown,  # noqa: SLF001
}
"""What the conversation does about a message, once its agent knows. Other types change nothing."""
