"""One worker process: its part of the job, its loop, its log, its health.

A worker is prepared (corpus decoded, log opened), told to go (the run's instants), starts sessions
for its users, and is drained: every session finishes or is cut, the log is closed, and the numbers
of rows are what it acknowledges. Nothing of a run lives anywhere else in the process.
"""

import gc
import os
import sys
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic_ns
from typing import Any

import gevent
from gevent.event import Event

from bench.corpus.decode import utterance
from bench.data_file import MIB
from bench.errors import FolderLostError
from bench.load.addresses import Address
from bench.load.envelope_buffer import EnvelopeBuffer
from bench.load.flood import MOST_FOREIGN, MOST_FORMATS, FloodError
from bench.load.health import Health
from bench.load.kernel_stamps import Stamping
from bench.load.loop import Loop
from bench.load.route import find_route
from bench.load.session import Session, Start
from bench.load.session_plan import SessionPlanner
from bench.load.wire import Wire
from bench.runs.folder import RunFolder, fault, script_fault
from bench.runs.job import Job, input_formats
from bench.runs.log import Log
from bench.runs.machine import read_quota
from bench.voice.audio import NS_PER_MS, NS_PER_S, PCM16_24K, AudioFormat
from bench.voice.conversation import Conversation
from bench.voice.guarded_script import last_line
from bench.voice.microphone import Recording, record
from bench.voice.utterance import Utterance

MOST_FAULTS = 5
"""Faults that a worker tells, no two alike."""
RECENT = 200
"""Latencies kept for the live view."""


class Worker:
    """One worker. `index` of `workers`; `on_turn` feeds the live view (Locust's request event).

    `on_fault` is called when something has gone wrong that makes the run worthless (`faults`).
    """

    def __init__(
        self,
        folder: RunFolder,
        job: Job,
        index: int,
        workers: int,
        on_turn: Callable[[str, float, int, str | None], None],
        on_fault: Callable[[], None],
    ) -> None:
        self.index = index
        self.workers = workers
        self.go = Event()
        self.draining = False
        self.drained = Event()
        self.folder = folder
        self._job = job
        self._owned = not folder.read().get("plain_locust", False)
        self.faults: list[dict[str, Any]] = []
        self._on_turn = on_turn
        self._on_fault = on_fault
        self._stamping = Stamping()
        self._route = find_route(job.target)
        self._secrets = self._route.held.secrets
        self._utterances = self._load(PCM16_24K)
        self._foreign: set[AudioFormat] = set()
        self._foreign_bytes = 0
        self._recordings: dict[tuple[str, AudioFormat], Recording] = {}
        self._formats = {PCM16_24K: self._utterances}
        for fmt in input_formats(job.scenario) - {PCM16_24K}:
            self._formats[fmt] = self._load(fmt)
        self._planner = SessionPlanner(job, self._utterances, folder.path.name)
        self._held: dict[int, Session] = {}
        self._log = Log(folder.logs / f"worker-{index}.log", self._secrets)
        self._envelopes = EnvelopeBuffer(self._log)
        self._health = Health(index, read_quota())
        self._loop = Loop(self._each_second, self.fail)
        self._slots = 0
        self._started = 0
        self._start_ns = 0
        self._digest: str | None = None
        self._last_handshake_ns = 0
        self.outcomes: Counter[str] = Counter()
        self.failures: Counter[tuple[str, str]] = Counter()
        self.turns = self.failed = 0
        self.recent: deque[float] = deque(maxlen=RECENT)
        gc.collect()
        gc.freeze()  # what lives from here on to the end need never be looked at again

    # ── the run ──────────────────────────────────────────────────────────────────────────────

    def begin(self, start_ns: int) -> None:
        """The run starts at that instant."""
        self._start_ns = start_ns
        self.go.set()

    def slot(self) -> int:
        """A number for a user of this worker: its place in the arrival schedule."""
        self._slots += 1
        return (self._slots - 1) * self.workers + self.index

    def first_ns(self, slot: int) -> int | None:
        """When the first session of a slot is due; None: this slot has none.

        Under a plain ``locust -f`` Locust itself spreads its users: a slot starts when it exists.
        """
        if not self._owned:
            return monotonic_ns()
        if slot < len(self._job.slots):
            return self._start_ns + self._job.slots[slot].start_ns
        return None

    def next_ns(self, slot: int) -> int | None:
        """When the next session of a slot is due, the last having ended now; None: never."""
        return None if self.open_load or self._gone(slot) else monotonic_ns()

    def _gone(self, slot: int) -> bool:
        """Whether this slot has left by now."""
        if not self._owned or (leave_ns := self._job.slots[slot].leave_ns) is None:
            return False
        return monotonic_ns() >= self._start_ns + leave_ns

    @property
    def open_load(self) -> bool:
        """Whether a slot has one session only."""
        return self._job.scenario.load.sessions is None

    @property
    def intended(self) -> int:
        """Sessions that this worker should be holding now."""
        if not self.go.is_set() or self.draining:
            return 0
        if not self._owned:
            return self._slots
        mine = range(self.index, len(self._job.slots), self.workers)
        due = sum(
            self._start_ns + self._job.slots[slot].start_ns <= monotonic_ns()
            and not self._gone(slot)
            for slot in mine
        )
        return due if not self.open_load else self.open_sessions

    @property
    def open_sessions(self) -> int:
        """Sessions that are ready: whoever waits to be let in holds no call."""
        return sum(session.talking for session in self._loop.sessions.values())

    def run_session(self, slot: int, lap: int, scheduled_ns: int) -> str:
        """Start the `lap`-th session of a slot and wait for its end; returns its outcome."""
        self._pace_handshakes()
        if self.draining:
            return "drained"
        number = self._started * self.workers + self.index
        self._started += 1
        over = Event()
        tally = _Tally(self)
        plan = self._planner.plan(number, slot, lap)
        conversation = plan.conversation(number, self._job.scenario, self._record)
        start = Start(
            number,
            scheduled_ns,
            self.index,
            plan.kind.script,
            plan.turns,
            slot,
            plan.setting.label,
            plan.marker,
            self._address(number).label,
        )
        session = Session(
            start,
            self._wire(number, plan.model),
            conversation,
            self._log,
            self._envelopes,
            self._health.watch,
            tally,
            partial(self._over, conversation, over),
            self._secrets,
        )
        self._loop.add(session)
        self._held[slot] = session
        try:
            over.wait()
        except gevent.GreenletExit:
            session.cut("Locust stopped the user")
            self._loop.wake(session)
            raise
        return tally.outcome

    def _over(self, conversation: Conversation, over: Event) -> None:
        """A session is over; one whose script is at fault was the last of its run."""
        if conversation.fault is not None:
            self._note_fault(script_fault(conversation.fault), conversation.fault.trace)
        over.set()

    def fail(self, error: Exception) -> None:
        """This program failed, or its disk: the run is void."""
        if isinstance(error, FolderLostError):
            self._note_fault(fault("disk", f"worker {self.index}: {error.what}", error.remedy), "")
            return
        self._note_fault(
            fault(
                "program",
                f"worker {self.index}: this program failed: {last_line(error)}",
                "see logs/ for the traceback, and please report it",
            ),
            "".join(traceback.format_exception(error)),
        )

    def _note_fault(self, found: dict[str, Any], trace: str) -> None:
        found, trace = self._secrets.hide_all(found), self._secrets.hide(trace)
        if found in self.faults or len(self.faults) >= MOST_FAULTS:
            return
        self.faults.append(found)
        self._on_fault()  # first: the disk of logs/ may be what is full
        with suppress(OSError):
            sys.stderr.write(f"{found['text']}\n{trace}")
            sys.stderr.flush()

    def _pace_handshakes(self) -> None:
        """At most so many handshakes a second: a storm would measure this program."""
        gap = round(NS_PER_S / float(self._job.scenario.load.connects))
        at = max(monotonic_ns(), self._last_handshake_ns + gap)
        self._last_handshake_ns = at
        wait = at - monotonic_ns()
        if wait > 0:
            gevent.sleep(wait / NS_PER_S)

    def _wire(self, number: int, model: str) -> Wire:
        key = f"bench-{os.getpid()}-{number}-{time.time_ns() // NS_PER_MS}"
        return self._route.wire(self._address(number), key, model)

    def _address(self, number: int) -> Address:
        """Sessions take the addresses of the target in turn, whichever worker holds them."""
        addresses = self._route.addresses
        return addresses[number % len(addresses)]

    # ── utterances ───────────────────────────────────────────────────────────────────────────

    def _load(self, fmt: AudioFormat) -> dict[str, Utterance]:
        corpus = self._job.corpus
        callers = [entry for entry in corpus.entries if "reply" not in entry.tags]
        loaded = {}
        for entry in callers:
            loaded[entry.id] = utterance(corpus, entry, fmt)
            gevent.sleep(0)  # an hour of audio takes seconds, and heartbeats must go on meanwhile
        return loaded

    def _record(self, utterance: Utterance, fmt: AudioFormat) -> Recording:
        key = (utterance.id, fmt)
        if key not in self._recordings:
            said = self._spoken(utterance, fmt)
            self._recordings[key] = record(said, self._job.scenario.chunk_ms * NS_PER_MS)
        return self._recordings[key]

    def _spoken(self, said: Utterance, fmt: AudioFormat) -> Utterance:
        """What is said, in that format; in one that only the target asks for, it alone."""
        if fmt in self._formats:
            return self._formats[fmt].get(said.id, said)
        if len(self._foreign | {fmt}) > MOST_FORMATS:
            raise FloodError(
                f"targets asked for more than {MOST_FORMATS} formats that no scenario asks for"
            )
        self._foreign.add(fmt)
        entry = next((one for one in self._job.corpus.entries if one.id == said.id), None)
        spoken = said if entry is None else utterance(self._job.corpus, entry, fmt)
        self._foreign_bytes += len(spoken.audio)
        if self._foreign_bytes > MOST_FOREIGN:
            raise FloodError(
                f"callers would have to keep {MOST_FOREIGN // MIB} MiB in such formats"
            )
        return spoken

    # ── every second, and the end ────────────────────────────────────────────────────────────

    def _each_second(self, hub_lag_ns: int) -> None:
        for slot in [slot for slot in self._held if self._gone(slot)]:
            leaving = self._held.pop(slot)
            if not leaving.over:
                leaving.wind_down()
                self._loop.wake(leaving)
        self._log.health(
            self._health.second(hub_lag_ns, self.intended, self.open_sessions, self._log.rows)
        )
        self._log.flush()

    def drain(self, *, at_once: bool = False) -> dict[str, Any]:
        """Finish (or, `at_once`, cut) every session, close the log; returns the acknowledgement."""
        if not self.draining:
            self.draining = True
            self.go.set()
            patience_ns = 0 if at_once else self._job.scenario.load.drain
            for step in (partial(self._end_sessions, patience_ns), self._close):
                try:
                    step()
                except Exception as error:  # noqa: BLE001 - a full disk, say: it must be told
                    self.fail(error)
            self.drained.set()
        self.drained.wait()
        return {
            "worker": self.index,
            "rows": self._log.rows,
            "digest": self._digest,
            "faults": self.faults,
        }

    def _end_sessions(self, patience_ns: int) -> None:
        for session in list(self._loop.sessions.values()):
            session.wind_down()
            self._loop.wake(session)
        deadline = monotonic_ns() + patience_ns
        while self._loop.sessions and monotonic_ns() < deadline:
            gevent.sleep(0.05)
        for session in list(self._loop.sessions.values()):
            session.cut("the drain was over")

    def _close(self) -> None:
        self._loop.stop()
        self._health.stop()
        self._stamping.close()
        self._digest = self._log.close()

    def progress(self) -> dict[str, Any]:
        """What the live view shows."""
        return {
            "worker": self.index,
            "open": self.open_sessions,
            "waiting": len(self._loop.sessions) - self.open_sessions,
            "started": self._started,
            "turns": self.turns,
            "failed": self.failed,
            "outcomes": dict(self.outcomes),
            "failures": [[*key, met] for key, met in self.failures.most_common(MOST_FAULTS)],
            "recent": list(self.recent),
            "hub_lag_ms": self._health.hub_lag_ns / NS_PER_MS,
        }

    def turn(self, latency_ms: float | None, nbytes: int, failure: str | None) -> None:
        """A turn of any session is over."""
        self.turns += 1
        if failure is not None:
            self.failed += 1
        if latency_ms is not None:
            self.recent.append(latency_ms)
        self._on_turn(self._job.name, latency_ms or 0.0, nbytes, failure)


class _Tally:
    """One session's view of its worker."""

    def __init__(self, worker: Worker) -> None:
        self.outcome = ""
        self.turn = worker.turn
        self._outcomes = worker.outcomes
        self._failures = worker.failures

    def ended(self, outcome: str, reason: str) -> None:
        self.outcome = outcome
        if outcome not in {"finished", "drained"}:
            self._failures[outcome, reason] += 1
        self._outcomes[outcome] += 1
