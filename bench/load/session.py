"""One realtime session: a conversation given a wire, an address in the loop, and a log.

The session is glue and keeps no state of the conversation. What happens on the wire is stamped by
the wire, becomes a row, then is told to the conversation; what the conversation says is sent, and
becomes a row. Every way in which a session can end passes through `_end`, which writes its last
row, exactly once.
"""

from collections.abc import Callable
from time import monotonic_ns
from typing import NamedTuple

from bench.errors import ProtocolError
from bench.load.envelope_buffer import EnvelopeBuffer
from bench.load.flood import FloodError, check_memory, check_values
from bench.load.health import Watch
from bench.load.live_turns import LiveTurns, Tally
from bench.load.tcp_info import TcpInfo
from bench.load.wire import Wire
from bench.load.wire_events import Ended, Reached, Redirected, Sent, Text, WireEvent
from bench.protocol import server, server_extras
from bench.protocol.codec import UnknownMessage, decode_server, oddities, type_of
from bench.protocol.repair import Oddity
from bench.protocol.upgrade import shown
from bench.runs.event_rows import audio_row, backchannel_row, in_row, note_row, out_row
from bench.runs.log import Log
from bench.runs.redaction import Piecewise, Secrets
from bench.voice.audio import NS_PER_S
from bench.voice.conversation import Conversation
from bench.voice.outbox import Note, Outgoing

CONNECT_TIMEOUT_NS = 15 * NS_PER_S
CLOSE_TIMEOUT_NS = NS_PER_S
_NEXT = {
    "proxied": "answer from the proxy",
    "connected": "TLS handshake",
    "secured": "WebSocket upgrade",
}
"""What a connection waits for next, by the stage that it has reached."""
WRITE_TIMEOUT_NS = 30 * NS_PER_S
"""A socket that takes not one byte for so long has a peer that is gone."""


class Start(NamedTuple):
    """The facts of a session's first row."""

    number: int
    scheduled_ns: int
    worker: int
    script: str
    turns: int
    slot: int
    setting: str = ""
    marker: str = ""
    address: str = ""


class Session:
    """One session. `due_ns` is when it next wants to be woken; None: only by its socket.

    `secrets` are taken out of why it ended, which is told to many. `queued_ns` belongs to the loop:
    the deadline that it has in its heap for this session; so does `left`: the wire that a redirect
    made it leave, until the loop has forgotten it.
    """

    def __init__(
        self,
        start: Start,
        wire: Wire,
        conversation: Conversation,
        log: Log,
        envelopes: EnvelopeBuffer,
        watch: Watch,
        tally: Tally,
        on_over: Callable[[], None],
        secrets: Secrets = Secrets(),  # noqa: B008 - an immutable value
    ) -> None:
        self.wire = wire
        self.left: Wire | None = None
        self.due_ns: int | None = None
        self.queued_ns: int | None = None
        self.over = False
        self._start = start
        self._number = start.number
        self._conversation = conversation
        self._log = log
        self._envelopes = envelopes
        self._watch = watch
        self._tally = tally
        self._on_over = on_over
        self._secrets = secrets
        self._pieces = Piecewise(secrets)
        self._began_ns = 0
        self._upgraded = False
        self._awaited = "TCP connection"
        self._closing_since: int | None = None
        self._blocked_since: int | None = None
        self._bytes_sent = 0
        self._types: set[type] = set()
        self._odd: list[Oddity] = []
        self._quirks: dict[str, int] = {}
        self._tcp_info = TcpInfo()
        self._turns = LiveTurns(tally)

    @property
    def talking(self) -> bool:
        """Whether the caller has begun to talk: it is connected, and the server took its settings.

        What is over is not ready any more.
        """
        return self._conversation.talking and not self.over

    # ── what the loop calls ──────────────────────────────────────────────────────────────────

    def begin(self) -> None:
        """Open the connection."""
        self._began_ns = monotonic_ns()
        start = self._start
        self._note(
            Note(
                "bench.start",
                self._began_ns,
                due_ns=start.scheduled_ns,
                detail={
                    "worker": start.worker,
                    "script": start.script,
                    "turns": start.turns,
                    "slot": start.slot,
                    "setting": start.setting,
                    "marker": start.marker,
                    "address": start.address,
                },
            )
        )
        self._happened(self.wire.start())
        self._settle()

    def ready(self, *, readable: bool, writable: bool, quiet_ns: int = 0) -> None:
        """Its socket is ready; at `quiet_ns` it had nothing to read."""
        try:
            self._happened(self.wire.ready(readable=readable, writable=writable, quiet_ns=quiet_ns))
            self._settle()
        except FloodError as error:
            self._flooded(error)

    def _flooded(self, error: FloodError) -> None:
        """The server sends, or asks for, more than one peer may."""
        self._end(Ended(error.kind, str(error), None, monotonic_ns()))

    def look(self, now_ns: int) -> None:
        """Once a second: how the connection is; a row where more is lost or waits than before."""
        try:
            self.wire.hold()
            check_memory(self._conversation.footprint)
        except FloodError as error:
            self._flooded(error)
        line = self.wire.tcp_info() if self._upgraded and not self.over else None
        if line is None:
            return
        before, self._tcp_info = self._tcp_info, line
        self._watch.line(line, before)
        if line[1:] != before[1:]:
            self._log.append(
                note_row(self._number, Note("bench.line", now_ns, detail=line._asdict()))
            )

    def woken(self, now_ns: int) -> None:
        """`due_ns` has come."""
        try:
            if not self._upgraded:
                if now_ns >= self._began_ns + CONNECT_TIMEOUT_NS:
                    self._give_up_connecting()
            elif self._closing_since is not None:
                if now_ns >= self._closing_since + CLOSE_TIMEOUT_NS:
                    self._happened(self.wire.abandon("", ""))
            else:
                self._watch_writes(now_ns)
            self._settle()
        except FloodError as error:
            self._flooded(error)

    def wind_down(self) -> None:
        """Finish what is under way, begin nothing new."""
        self._conversation.wind_down()

    def cut(self, reason: str, outcome: str = "drained") -> None:
        """End now, without ceremony: the run is over, or this program failed."""
        if not self.over:
            self._end(Ended(outcome, reason, None, monotonic_ns()))

    # ── what happened ────────────────────────────────────────────────────────────────────────

    def _happened(self, events: list[WireEvent]) -> None:
        for happening in events:
            if self.over:
                return
            if isinstance(happening, Text):
                self._arrived(happening)
            elif isinstance(happening, Sent):
                message, before_ns, at_ns = happening
                if message.due_ns is not None:
                    self._watch.sent(at_ns - message.due_ns)
                self._log.append(out_row(self._number, message, at_ns, before_ns))
            elif isinstance(happening, Reached):
                self._reached(*happening)
            elif isinstance(happening, Redirected):
                self._redirected(*happening)
            else:
                self._end(happening)

    def _give_up_connecting(self) -> None:
        """Who accepts no connection is not there; who accepts one and goes no further is slow."""
        outcome = "unreachable" if self._awaited == "TCP connection" else "timeout"
        waited = CONNECT_TIMEOUT_NS // NS_PER_S
        self._happened(self.wire.abandon(outcome, f"no {self._awaited} within {waited} s"))

    def _reached(self, stage: str, at_ns: int, unheeded: str) -> None:
        self._note(Note(f"bench.{stage}", at_ns))
        self._awaited = _NEXT.get(stage, self._awaited)
        if stage == "upgraded":
            self._upgraded = True
            self._conversation.open(at_ns)
        if unheeded:
            self._odd.append(Oddity("no_subprotocol", f"{unheeded} was offered"))
            self._bear(at_ns)

    def _redirected(self, status: int, url: str, at_ns: int) -> None:
        """Go where the server is: a connection of its own."""
        detail = {"status": status, "url": shown(url)}
        self._note(Note("bench.redirected", at_ns, detail=detail))
        self.left, self.wire = self.wire, self.wire.onward(url)
        self.wire.realtime_offset_ns = self.left.realtime_offset_ns
        self._happened(self.wire.start())

    def _arrived(self, text: Text) -> None:
        self._watch.read(text.read_ns - text.at_ns)
        try:
            check_values(text.data)
            message = decode_server(text.data, self._odd)
        except ProtocolError as error:
            if text.binary and not isinstance(error, FloodError):
                reason = f"a binary message of {len(text.data)} bytes that is no JSON object"
                self._end(Ended("binary", reason, None, text.read_ns))
            else:
                self._end(Ended(error.kind, str(error), None, text.read_ns))
            return
        if text.binary:
            self._odd.append(Oddity("binary_frames", type_of(message)))
        if self._odd and isinstance(message, server.OutputMessage):
            self._conversation.place(message)
        self._record(message, text)
        if self._odd:
            self._bear(text.at_ns)
        if self._closing_since is None:
            self._conversation.receive(message, text.at_ns)

    def _record(self, message: server.ServerMessage | UnknownMessage, text: Text) -> None:
        if isinstance(message, server.ResponseOutputAudioDelta):
            self._record_audio(message, text)
            return
        if isinstance(message, server_extras.BackchannelAudioDelta):
            stamps = text.at_ns, text.at_err_ns, text.read_ns
            self._log.append(backchannel_row(self._number, message, *stamps))
            return
        stamps = text.at_ns, text.at_err_ns, text.read_ns
        row = in_row(self._number, message, len(text.data), *stamps)
        if self._secrets and row.detail and row.type.endswith(".delta"):
            row = row._replace(detail=self._pieces.hide(row.type, row.detail))
        self._log.append(row)
        if isinstance(message, UnknownMessage):
            why = {"type": message.type, "reason": message.reason}
            self._note(Note("bench.unknown", text.at_ns, detail=why))
            return
        if type(message) not in self._types:
            self._types.add(type(message))
            if fields := oddities(text.data, message, self._odd):
                detail = {"type": type_of(message), "fields": fields}
                self._note(Note("bench.unknown_fields", text.at_ns, detail=detail))
        if isinstance(message, server.ResponseOutputTextDelta):
            self._turns.answer(text.at_ns, len(message.delta))

    def _bear(self, at_ns: int) -> None:
        """What was odd of a message is counted, a thing at most once; the first is written down."""
        odd = dict(reversed(self._odd))
        self._odd.clear()
        for quirk, example in odd.items():
            if quirk not in self._quirks:
                self._note(Note("bench.quirk", at_ns, detail={"quirk": quirk, "example": example}))
            self._quirks[quirk] = self._quirks.get(quirk, 0) + 1

    def _record_audio(self, message: server.ResponseOutputAudioDelta, text: Text) -> None:
        output_audio = self._conversation.output_audio
        audio = message.delta = output_audio.take(message.item_id, message.delta, self._odd)
        output = output_audio.format
        length_ns = output.duration_ns(len(audio))
        row = audio_row(self._number, message, length_ns, text.at_ns, text.at_err_ns, text.read_ns)
        self._envelopes.append(row, audio, output)
        self._turns.answer(text.at_ns, len(audio))

    # ── what is said ─────────────────────────────────────────────────────────────────────────

    def _converse(self, now_ns: int) -> None:
        for said in self._conversation.poll(now_ns):
            if isinstance(said, Outgoing):
                self._happened(self.wire.send(said))
            else:
                self._note(said)
        outcome = self._conversation.outcome
        if outcome is not None and self._closing_since is None and not self.over:
            self._closing_since = now_ns
            self._happened(self.wire.close())

    def _note(self, note: Note) -> None:
        self._log.append(note_row(self._number, note))
        self._turns.note(note)

    # ── when to be woken, and the end ────────────────────────────────────────────────────────

    def _watch_writes(self, now_ns: int) -> None:
        if not self.wire.wants_write:
            self._blocked_since = None
        elif self._blocked_since is None or self.wire.bytes_sent != self._bytes_sent:
            self._blocked_since, self._bytes_sent = now_ns, self.wire.bytes_sent
        elif now_ns >= self._blocked_since + WRITE_TIMEOUT_NS:
            self._happened(
                self.wire.abandon("stalled", "the peer took nothing that was sent for 30 s")
            )

    def _settle(self) -> None:
        """Say what is due now, then when to be woken next."""
        if self._upgraded and self._closing_since is None and not self.over:
            conversation = self._conversation
            due, now_ns = conversation.next_due(), monotonic_ns()
            if conversation.outcome is not None or (due is not None and due <= now_ns):
                self._converse(now_ns)
                due = conversation.next_due()
            if self._closing_since is None:
                self.due_ns = None if self.over else due
                return
        if self.over:
            self.due_ns = None
        elif not self._upgraded:
            self.due_ns = self._began_ns + CONNECT_TIMEOUT_NS
        elif self._closing_since is not None:
            self.due_ns = self._closing_since + CLOSE_TIMEOUT_NS

    def _end(self, ended: Ended) -> None:
        if self.over:
            return
        self.over = True
        outcome, reason = ended.outcome, ended.reason
        if self._conversation.outcome is not None:
            outcome, reason = self._conversation.outcome, self._conversation.reason
        reason = self._secrets.hide(reason)
        if outcome not in {"finished", "drained"}:
            self._turns.over(f"session {outcome}")
        detail = {
            "outcome": outcome,
            "reason": reason,
            "close_code": ended.close_code,
            "reads": self.wire.reads,
            "stamped": self.wire.stamped,
            "quirks": self._quirks,
        }
        self._log.append(note_row(self._number, Note("bench.end", ended.at_ns, detail=detail)))
        self._tally.ended(outcome, reason)
        self._on_over()
