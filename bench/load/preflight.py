"""One session before the load: does the target take callers at all, and with which settings?

It is a session like those of the load, on the same wire and with the same first session.update, in
this process and with nothing to say. A target that refuses it for a reason that every session
would meet is not asked a thousand times more (`Preflight.final`); one that is full, slow or broken
may be the very thing that a run is to show.
"""

import os
import select
from collections.abc import Callable, Iterable, Sequence
from time import monotonic_ns
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from bench.errors import TargetError
from bench.load.addresses import Address
from bench.load.envelope_buffer import EnvelopeBuffer
from bench.load.health import Watch
from bench.load.route import Route, find_route
from bench.load.session import Session, Start
from bench.plan.session_request import first_session
from bench.protocol.objects import AudioInput, SessionAudio, TurnDetection
from bench.protocol.objects import Session as Wanted
from bench.protocol.refusals import refusal_of
from bench.runs.failure import Cause, session_cause
from bench.runs.job import Job
from bench.runs.rows import Row
from bench.voice.audio import NS_PER_MS, NS_PER_S
from bench.voice.conversation import Conversation
from bench.voice.directions import Pause

_STAGES: Final = {
    "bench.connected": "connected_ms",
    "bench.upgraded": "upgraded_ms",
    "session.created": "created_ms",
    "bench.microphone": "ready_ms",
}
_NO_TARGET: Final = ("refused", "malformed", "binary", "too_big", "flooded")
"""Outcomes before readiness that a target which takes sessions has not, whatever its load."""


class Preflight(NamedTuple):
    """What became of it: instants in ms since its start, the settings in force, what was odd.

    `final`: every session would meet the same.
    """

    outcome: str
    reason: str
    final: bool
    stages: dict[str, float]
    settings: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def cause(self) -> Cause | None:
        """Why the session did not become ready; None: it did."""
        if self.outcome == "finished":
            return None
        return session_cause({(self.outcome, self.reason): 1}, 1)

    def told(self) -> dict[str, Any]:
        """As run.json has it."""
        return self._asdict()


class Rows(list[Row]):
    """The log of one session, in memory. Until `flush` the places of some rows hold None."""

    before_flush: Callable[[], None] | None = None

    def reserve(self) -> int:
        self.append(None)  # type: ignore[arg-type]
        return len(self) - 1

    def fill(self, place: int, row: Iterable[Any]) -> None:
        self[place] = Row._make(row)

    def flush(self) -> None:
        """Fill every place."""
        if self.before_flush is not None:
            self.before_flush()


class Tally:
    """What a session tells of itself: how it ended, and the latency in ms of each answered turn."""

    outcome = reason = ""

    def __init__(self) -> None:
        self.latencies: list[float] = []

    def turn(self, latency_ms: float | None, _nbytes: int, failure: str | None) -> None:
        if latency_ms is not None and failure is None:
            self.latencies.append(latency_ms)

    def ended(self, outcome: str, reason: str) -> None:
        self.outcome, self.reason = outcome, reason


def preflight(job: Job) -> Preflight:
    """Hold one session without a word. Takes as long as a session may take to become ready."""
    try:
        route = find_route(job.target)
    except TargetError as error:
        return Preflight("unreachable", str(error), final=True, stages={}, settings={}, notes=())
    found = _held(job, route, route.addresses[0])
    for address in route.addresses[1:]:
        if found.outcome != "unreachable":
            break
        found = _held(job, route, address)
    told: Preflight = route.held.secrets.hide_all(found)
    return told


def need_target(job: Job) -> None:
    """TargetError where the target takes no session of this job, whatever its load."""
    found = preflight(job)
    if found.final and found.cause is not None:
        raise TargetError(f"target {job.target.name}: {found.cause.text}")


def _held(job: Job, route: Route, address: Address) -> Preflight:
    target, scenario = job.target, job.scenario
    session = {**scenario.settings[0].session, **scenario.kinds[0].session}
    asked, model = first_session(session, target.dialect), str(session.get("model", ""))
    conversation = Conversation(iter((Pause(0),)), asked, _nothing_is_said, name="preflight")
    rows, tally = hold(route, address, conversation, "preflight", model)
    return _found(rows, tally, address, asked)


def hold(
    route: Route, address: Address, conversation: Conversation, name: str, model: str
) -> tuple[Rows, Tally]:
    """Hold one session to its end, in this process; nothing of it is kept but what is returned.

    `name` says what it is for, `model` goes into the URL where the service wants it there.
    """
    rows, tally = Rows(), Tally()
    wire = route.wire(address, f"bench-{name}-{os.getpid()}-{monotonic_ns()}", model)
    held = Session(
        Start(0, monotonic_ns(), 0, name, 0, 0), wire, conversation,
        rows, EnvelopeBuffer(rows), Watch(), tally, lambda: None,  # type: ignore[arg-type]
        route.held.secrets,
    )  # fmt: skip
    _play(held)
    rows.flush()
    return rows, tally


def _play(session: Session) -> None:
    """The loop of a single session."""
    session.begin()
    while not session.over:
        step([session], NS_PER_S)
    session.wire.shut()


def step(sessions: Sequence[Session], longest_ns: int) -> None:
    """Wait until something happens to one of a few sessions, and let it do what is to be done.

    None of them may be over. Returns after `longest_ns` at the latest.
    """
    dues = (session.due_ns for session in sessions if session.due_ns is not None)
    due_ns = min(dues, default=monotonic_ns() + longest_ns)
    wait_ns = min(longest_ns, max(0, due_ns - monotonic_ns()))
    wires = [session.wire for session in sessions]
    writes = [wire for wire in wires if wire.wants_write]
    readable, writable, _ = select.select(wires, writes, [], wait_ns / NS_PER_S)
    for session, wire in zip(sessions, wires, strict=True):
        if wire in readable or wire in writable:
            session.ready(readable=wire in readable, writable=wire in writable)
        if session.left is not None:  # redirected
            session.left.shut()
            session.left = None
        if not session.over and session.due_ns is not None and session.due_ns <= monotonic_ns():
            session.woken(monotonic_ns())


def _found(rows: list[Row], tally: Tally, address: Address, asked: Wanted) -> Preflight:
    stages: dict[str, float] = {}
    settings: dict[str, Any] = {}
    notes = []
    for row in rows:
        stage = _STAGES.get(row.type)
        if stage and row.direction != "out":
            stages.setdefault(stage, round((row.at_ns - rows[0].at_ns) / NS_PER_MS, 3))
        if row.type == "bench.microphone":
            settings = msgspec.json.decode(row.detail or "{}")
        elif row.type == "session.updated":
            notes += lacking(asked, msgspec.json.decode(row.detail or "{}"))
        elif row.type == "bench.quirk":
            told = msgspec.json.decode(row.detail or "{}")
            notes.append(f"{told['quirk']}: {told['example']}")
    outcome, reason = tally.outcome, tally.reason
    if outcome == "unreachable" and not reason.startswith("proxy "):
        reason = f"{address.label}: {reason}"
    known = refusal_of(reason)
    final = outcome == "unreachable" or (
        outcome != "finished" and (known.final if known else outcome in _NO_TARGET)
    )
    return Preflight(outcome, reason, final, stages, settings, tuple(notes))


def lacking(asked: Wanted, told: dict[str, Any]) -> list[str]:
    """What the load needs of a session and was told that it does not have: VAD, tools, audio out.

    What the server does not say is not held against it.
    """
    found = []
    heard = (told.get("audio") or {}).get("input") or {}
    audio = asked.audio.input if isinstance(asked.audio, SessionAudio) else UNSET
    wanted = audio.turn_detection if isinstance(audio, AudioInput) else UNSET
    if "turn_detection" in heard and isinstance(wanted, TurnDetection):
        given = (heard["turn_detection"] or {}).get("type")
        if given != wanted.type:
            found.append(f"turn detection is {given or 'off'}, {wanted.type} was asked")
    if isinstance(asked.tools, list) and asked.tools and told.get("tools", asked.tools) == []:
        found.append(f"it has no tools, {len(asked.tools)} were given")
    ways, had = asked.output_modalities, told.get("output_modalities")
    if isinstance(had, list) and isinstance(ways, list) and not set(ways) & set(had):
        found.append(f"it answers in {' and '.join(map(str, had))}, {' and '.join(ways)} was asked")
    return found


def _nothing_is_said(*_: object) -> Any:
    raise AssertionError
