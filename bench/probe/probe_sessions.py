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

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from time import monotonic_ns, time
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from bench.corpus.decode import utterance
from bench.corpus.manifest import find_corpus, load_corpus
from bench.errors import TargetError
from bench.load.addresses import Address
from bench.load.envelope_buffer import EnvelopeBuffer
from bench.load.health import Watch
from bench.load.preflight import Tally, step
from bench.load.route import Route, find_route
from bench.load.session import Session, Start
from bench.load.wire import Wire
from bench.load.wire_events import Text, WireEvent
from bench.probe.answers import BINARY, NOT_JSON, Received, read_message
from bench.probe.dialogue import REPLY_S, Dialogue
from bench.probe.probe_cost import probe_sentence
from bench.probe.probe_scripts import CHUNK_NS, PROBE_SCRIPTS
from bench.probe.probed_session import Connection, ProbedSession
from bench.protocol.refusals import refusal_of
from bench.runs.target import Target
from bench.voice.audio import PCM16_24K, AudioFormat, ms
from bench.voice.caller_config import CallerConfig
from bench.voice.conversation import Conversation
from bench.voice.microphone import Recording, record
from bench.voice.utterance import Utterance

_MOST: Final = 4
"""Sessions at once: the first and three beside it."""
_TURNED_AWAY: Final = "HTTP 429"
_LONGEST_NS: Final = ms(100)
"""A wait after which the limit is looked at."""
STOPPED: Final = "stopped by the time limit"
NOT_TRIED: Final = "not tried, as the first session was not answered"


class Tap:
    """A wire that keeps word for word what comes, and passes on only what is a message."""

    def __init__(self, wire: Wire, received: list[Received]) -> None:
        self._wire = wire
        self._received = received

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wire, name)

    def ready(self, **how: Any) -> list[WireEvent]:
        """What happened on the wire, without what is no message."""
        return [one for one in self._wire.ready(**how) if self._keep(one)]

    def onward(self, url: str) -> "Tap":
        """The wire to where a redirect leads."""
        return Tap(self._wire.onward(url), self._received)

    def _keep(self, happening: WireEvent) -> bool:
        if not isinstance(happening, Text):
            return True
        message = read_message(happening.at_ns, happening.data, binary=happening.binary)
        self._received.append(message)
        return message.type not in {NOT_JSON, BINARY}


class ProbeCaller(NamedTuple):
    """What all sessions of a probe have in common: whom they call, and the sentence they say.

    `record` gives it in a format, cut and encoded for the wire.
    """

    target: Target
    utterance: Utterance
    record: Callable[[Utterance, AudioFormat], Recording]


def probe_caller(target: Target, corpus: Path | str) -> ProbeCaller:
    """Who calls `target`. CorpusError where the corpus has nothing to say."""
    found = load_corpus(find_corpus(str(corpus)))
    entry = probe_sentence(found)

    @cache
    def in_format(fmt: AudioFormat) -> Recording:
        return record(utterance(found, entry, fmt), CHUNK_NS)

    said = utterance(found, entry, PCM16_24K)
    return ProbeCaller(target, said, lambda _said, fmt: in_format(fmt))


class _LiveSession:
    """A session of a probe under way, of the script called `name`. It begins to connect at once.

    `dns_ns` is how long the name of the target took; `compress`: compression is offered.
    """

    def __init__(
        self,
        name: str,
        caller: ProbeCaller,
        route: Route,
        address: Address,
        dns_ns: int | None,
        *,
        compress: bool,
    ) -> None:
        self.name = name
        self.tally = Tally()
        self.dialogue = Dialogue(name, caller.target.dialect, caller.utterance)
        self._connection = Connection(dns_ns, caller.target.offer, compress)
        rows = self.dialogue.rows
        if route.held.context is not None:
            route.held.context.set_alpn_protocols(["http/1.1"])
        wire = route.wire(address, f"probe-{int(time() * 1000)}-{name}", compress=compress)
        conversation = Conversation(
            self.dialogue.play(PROBE_SCRIPTS[name].play),
            self.dialogue.opening,
            caller.record,
            CallerConfig(CHUNK_NS, answer_timeout_ns=ms(1000 * REPLY_S)),
            name=f"probe-{name}",
        )
        self.session = Session(
            Start(0, monotonic_ns(), 0, name, 0, 0),
            Tap(wire, self.dialogue.received),  # type: ignore[arg-type]
            conversation, rows, EnvelopeBuffer(rows), Watch(), self.tally, lambda: None,  # type: ignore[arg-type]
            route.held.secrets,
        )  # fmt: skip
        self.session.begin()

    def reached(self, kind: str) -> bool:
        """Whether its log has a row of that type."""
        return any(row is not None and row.type == kind for row in self.dialogue.rows)

    def end(self) -> ProbedSession:
        """End it, if it is not over, and give what it left behind."""
        dialogue, session = self.dialogue, self.session
        session.cut(STOPPED)
        agreed = session.wire.agreed
        session.wire.shut()
        dialogue.rows.flush()
        if self.reached("session.update"):
            dialogue.note_opening()
        return ProbedSession(
            self.name,
            dialogue.rows,
            dialogue.received,
            dialogue.exchanges,
            connection=self._connection._replace(agreed=agreed),
            ended=(self.tally.outcome, self.tally.reason),
            trouble=dialogue.trouble or self._trouble(),
        )

    def _trouble(self) -> str:
        """How it ended before its time, in a sentence; "" where its script ran to its end."""
        outcome, reason = self.tally.outcome, self.tally.reason
        if outcome in {"finished", "drained"}:
            return "" if outcome == "finished" else reason
        refused = "the session" if self.reached("bench.upgraded") else "the upgrade"
        known = refusal_of(reason)
        words = _ENDED.get(outcome, outcome).format(refused=refused)
        return f"{words}: {reason}" + (f"; {known.remedy}" if known and known.remedy else "")


_ENDED: Final = {
    "refused": "{refused} was refused",
    "closed": "the server closed the connection",
    "unreachable": "cannot be reached",
    "silent": "never answered",
}


def hold_sessions(caller: ProbeCaller, names: Sequence[str], limit_s: float) -> list[ProbedSession]:
    """Hold a session of each script in that order, all of them for `limit_s` at most.

    TargetError where the target is not reached.
    """
    until_ns = monotonic_ns() + ms(1000 * limit_s)
    route, dns_ns = _looked_up(caller.target)
    first, address = _first(names[0], caller, route, dns_ns, until_ns)
    found: dict[str, ProbedSession] = {}

    def hold(live: list[_LiveSession], waiting: list[str]) -> None:
        """Hold those that live and those that wait for a place, to their end or the limit."""
        while (live or waiting) and monotonic_ns() < until_ns:
            connecting = any(not held.reached("bench.upgraded") for held in live)
            if waiting and len(live) < _MOST and not connecting:
                live.append(_LiveSession(waiting.pop(0), caller, route, address, 0, compress=False))
            found.update((held.name, held.end()) for held in live if held.session.over)
            live = [held for held in live if not held.session.over]
            step([held.session for held in live], _LONGEST_NS)
        found.update((held.name, held.end()) for held in live)

    if first.session.talking:
        hold([first], list(names[1:]))
        hold([], [name for name, one in found.items() if one.reason.startswith(_TURNED_AWAY)])
        why = STOPPED
    else:
        found[first.name], why = first.end(), NOT_TRIED
    return [found.get(name) or ProbedSession(name, trouble=why) for name in names]


def _looked_up(target: Target) -> tuple[Route, int | None]:
    """The way to a target, and how long its name took (None: the proxy looks it up).

    TargetError where there is none.
    """
    host, asked_ns = urlsplit(target.url).hostname or "", monotonic_ns()
    with suppress(OSError, UnicodeError):  # who cannot be found is told of below
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    took_ns = monotonic_ns() - asked_ns
    try:
        route = find_route(target)
    except TargetError as error:
        raise _out_of_reach(target, str(error)) from None
    return route, took_ns if route.held.proxy is None else None


def _first(
    name: str, caller: ProbeCaller, route: Route, dns_ns: int | None, until_ns: int
) -> tuple[_LiveSession, Address]:
    """The first session, once it talks or is over, and the address that it reached."""
    reason = ""
    for address in route.addresses:
        held = _LiveSession(name, caller, route, address, dns_ns, compress=True)
        while not (held.session.over or held.session.talking) and monotonic_ns() < until_ns:
            step([held.session], _LONGEST_NS)
        if held.reached("bench.secured"):
            return held, address
        held.end()
        reason = held.tally.reason
    raise _out_of_reach(caller.target, reason)


def _out_of_reach(target: Target, reason: str) -> TargetError:
    where = urlsplit(target.url)
    port = where.port or (443 if where.scheme == "wss" else 80)
    known = refusal_of(reason) if reason.startswith("proxy ") else None
    remedy = known.remedy if known else "is it up, and the URL right?"
    return TargetError(f"target {where.hostname} port {port} cannot be reached: {reason}; {remedy}")
