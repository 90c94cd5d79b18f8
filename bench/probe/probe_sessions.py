"""The sessions of a probe, held as those of a load are: the same session, wire and conversation.

Theory of operation
-------------------
The first session is opened alone: where there is nothing to connect to, that is one error and no
probe, and where nobody ever answers, the others would only ask the same again. Once it talks, up
to three more are held beside it, and one upgrade is under way at a time. A session that was turned
away with HTTP 429 is tried once more when all others are over. Everything stops at the limit, and
what was found by then is what was found.

A session of a load ends with the first message that is none. A probe goes on, so what is no message
never reaches its session (`Tap`).
"""

import select
import socket
import ssl
from collections.abc import Callable, Iterable
from functools import cache
from time import monotonic_ns, time
from typing import Any, Final
from urllib.parse import urlsplit

from bench.corpus.decode import utterance
from bench.corpus.manifest import Corpus, Entry
from bench.errors import TargetError
from bench.load.health import Watch
from bench.load.levels import Levels
from bench.load.preflight import Tally
from bench.load.session import Session, Start
from bench.load.wire import Address, Happening, Text, Wire, resolve
from bench.probe.answers import BINARY, NOT_JSON, Received, read_message
from bench.probe.dialogue import REPLY_S, Dialogue
from bench.probe.probe_scripts import CHUNK_NS, PROBE_SCRIPTS
from bench.probe.probed_session import Connection, ProbedSession
from bench.protocol.dialects import session_url
from bench.protocol.refusals import refusal_of
from bench.runs.job import Target
from bench.voice.audio import NS_PER_S, PCM16_24K, AudioFormat, ms
from bench.voice.conversation import Conversation, Manners
from bench.voice.microphone import Recording, record
from bench.voice.utterance import Utterance

_MOST: Final = 4
"""Sessions at once: the first and three beside it."""
_TURNED_AWAY: Final = "HTTP 429"
_LONGEST_WAIT_S: Final = 0.1
NOT_TRIED: Final = "not tried, as the first session was not answered"


class Tap:
    """A wire that keeps word for word what comes, and passes on only what is a message."""

    def __init__(self, wire: Wire, received: list[Received]) -> None:
        self._wire = wire
        self._received = received

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wire, name)

    def ready(self, **how: Any) -> list[Happening]:
        """What happened on the wire, without what is no message."""
        return [one for one in self._wire.ready(**how) if self._keep(one)]

    def onward(self, url: str) -> "Tap":
        """The wire to where a redirect leads."""
        return Tap(self._wire.onward(url), self._received)

    def _keep(self, happening: Happening) -> bool:
        if not isinstance(happening, Text):
            return True
        message = read_message(happening.at_ns, happening.data, binary=happening.binary)
        self._received.append(message)
        return message.type not in {NOT_JSON, BINARY}


class Speech:
    """The one sentence that a probe says, in whatever format is asked for."""

    def __init__(self, corpus: Corpus, entry: Entry) -> None:
        self.utterance = utterance(corpus, entry, PCM16_24K)
        self._in_format: Callable[[AudioFormat], Recording] = cache(
            lambda fmt: record(utterance(corpus, entry, fmt), CHUNK_NS)
        )

    def record(self, _said: Utterance, fmt: AudioFormat) -> Recording:
        """It, cut and encoded for the wire."""
        return self._in_format(fmt)


class _Held:
    """A session of a probe under way, of the script called `name`."""

    def __init__(self, name: str, target: Target, speech: Speech) -> None:
        self.name = name
        self.dialogue = Dialogue(name, target.dialect, speech.utterance)
        self.tally = Tally()
        self._connection = Connection()
        self._target = target
        self._speech = speech
        self._session: Session | None = None

    def begin(
        self, address: Address, headers: list[tuple[str, str]], *, compress: bool, dns_ns: int
    ) -> None:
        """Open the connection."""
        target, script, dialogue = self._target, PROBE_SCRIPTS[self.name], self.dialogue
        self._connection = Connection(dns_ns, target.offer, compress)
        key = f"probe-{int(time() * 1000)}-{self.name}"
        url = session_url(target.dialect, target.url, key=key)
        context = None
        if address.secure:
            context = ssl.create_default_context()
            context.set_alpn_protocols(["http/1.1"])
        wire = Wire(address, url, headers, context, target.offer, compress=compress)
        conversation = Conversation(
            dialogue.play(script.play, script.label),
            dialogue.update(*script.changes).session,
            self._speech.record,
            Manners(CHUNK_NS, answer_timeout_ns=ms(1000 * REPLY_S)),
            name=f"probe-{self.name}",
        )
        self._session = Session(
            Start(0, monotonic_ns(), 0, self.name, 0, 0),
            Tap(wire, dialogue.received),  # type: ignore[arg-type]
            conversation,
            dialogue.rows,  # type: ignore[arg-type]
            Levels(dialogue.rows),  # type: ignore[arg-type]
            Watch(),
            self.tally,
            lambda: None,
        )
        self._session.begin()

    @property
    def session(self) -> Session:
        assert self._session is not None  # noqa: S101 - `begin` came first
        return self._session

    def reached(self, kind: str) -> bool:
        """Whether its log has a row of that type."""
        return any(row is not None and row.type == kind for row in self.dialogue.rows)

    def leave_redirected(self) -> None:
        """Forget the connection that a redirect made it leave."""
        if self.session.left is not None:
            self.session.left.shut()
            self.session.left = None

    def finished(self) -> ProbedSession:
        """What it left behind; its connection is closed."""
        dialogue, rows, session = self.dialogue, self.dialogue.rows, self.session
        agreed = session.wire.agreed
        session.wire.shut()
        rows.flush()
        if self.reached("session.update"):
            dialogue.greeted(PROBE_SCRIPTS[self.name].label)
        return ProbedSession(
            self.name,
            rows,
            dialogue.received,
            dialogue.asked,
            connection=self._connection._replace(agreed=agreed),
            ended=(self.tally.outcome, self.tally.reason),
            trouble=dialogue.trouble or _trouble(self),
        )


_ENDED: Final = {
    "closed": "the server closed the connection: ",
    "unreachable": "cannot be reached: ",
    "silent": "never answered: ",
    "drained": "",
}


def _trouble(held: _Held) -> str:
    """How a session ended before its time, in a sentence; "" where its script ran to its end."""
    outcome, reason = held.tally.outcome, held.tally.reason
    if outcome == "finished":
        return ""
    refused = "the session was refused: "
    if not held.reached("bench.upgraded"):
        refused = "the upgrade was refused: "
    known = refusal_of(reason)
    told = {**_ENDED, "refused": refused}.get(outcome, f"{outcome}: ") + reason
    return told + (f"; {known.remedy}" if known and known.remedy else "")


class ProbeSessions:
    """The sessions of a probe of `target`, to be held in the order of `names`."""

    def __init__(
        self, target: Target, headers: list[tuple[str, str]], speech: Speech, names: Iterable[str]
    ) -> None:
        self._target = target
        self._headers = headers
        self._speech = speech
        self._names = tuple(names)
        self._found: dict[str, ProbedSession] = {}

    def hold(self, limit_s: float) -> tuple[ProbedSession, ...]:
        """Hold them all, for `limit_s` at most. TargetError where the target is not reached."""
        until_ns = monotonic_ns() + ms(1000 * limit_s)
        first = self._first(until_ns)
        if first is not None:
            self._hold([first], list(self._names[1:]), until_ns)
            full = [n for n, one in self._found.items() if one.reason.startswith(_TURNED_AWAY)]
            self._hold([], full, until_ns)
        for name in self._names:
            self._found.setdefault(name, ProbedSession(name, trouble=NOT_TRIED))
        return tuple(self._found[name] for name in self._names)

    def _first(self, until_ns: int) -> _Held | None:
        """The first session, once it talks; None: it is over, and no other is to be tried."""
        where = urlsplit(self._target.url)
        port = where.port or (443 if where.scheme == "wss" else 80)
        asked_ns = monotonic_ns()
        reason = ""
        try:
            socket.getaddrinfo(where.hostname or "", port, type=socket.SOCK_STREAM)
            self._dns_ns = monotonic_ns() - asked_ns
            addresses = resolve(self._target.url)
        except (OSError, UnicodeError, TargetError) as error:
            addresses, reason = [], getattr(error, "strerror", None) or str(error)
        for address in addresses:
            held = self._begin(self._names[0], address, compress=True)
            while not (held.session.over or held.session.talking) and monotonic_ns() < until_ns:
                _wait([held], until_ns)
            if held.reached("bench.secured"):
                self._address = address
                if not held.session.over:
                    return held
                self._end(held)
                return None
            self._end(held)
            reason = held.tally.reason
        host = f"target {where.hostname} port {port}"
        raise TargetError(f"{host} cannot be reached: {reason}; is it up, and the URL right?")

    def _begin(self, name: str, address: Address, *, compress: bool = False) -> _Held:
        held = _Held(name, self._target, self._speech)
        held.begin(address, self._headers, compress=compress, dns_ns=self._dns_ns)
        return held

    def _end(self, held: _Held) -> None:
        held.session.cut("stopped by the time limit")
        self._found[held.name] = held.finished()

    def _hold(self, live: list[_Held], waiting: list[str], until_ns: int) -> None:
        """Hold those that live and those that wait for a place, to their end or the limit."""
        while (live or waiting) and monotonic_ns() < until_ns:
            connecting = any(not held.reached("bench.upgraded") for held in live)
            if waiting and len(live) < _MOST and not connecting:
                live.append(self._begin(waiting.pop(0), self._address))
            _wait(live, until_ns)
            for held in [held for held in live if held.session.over]:
                live.remove(held)
                self._end(held)
        for held in live:
            self._end(held)
        for name in waiting:
            limit = ProbedSession(name, trouble="stopped by the time limit")
            self._found.setdefault(name, limit)


def _wait(live: list[_Held], until_ns: int) -> None:
    """Wait until something happens to one of the sessions, and let it do what is to be done."""
    sessions = [held.session for held in live if not held.session.over]
    due = [one.due_ns for one in sessions if one.due_ns is not None]
    wait_s = (min([*due, until_ns]) - monotonic_ns()) / NS_PER_S
    writing = [one.wire for one in sessions if one.wire.wants_write]
    wires = [one.wire for one in sessions]
    wait_s = max(0.0, min(wait_s, _LONGEST_WAIT_S))
    readable, writable, _ = select.select(wires, writing, [], wait_s)
    for session in sessions:
        told = {"readable": session.wire in readable, "writable": session.wire in writable}
        if any(told.values()):
            session.ready(**told)
        if not session.over and session.due_ns is not None and session.due_ns <= monotonic_ns():
            session.woken(monotonic_ns())
    for held in live:
        held.leave_redirected()
