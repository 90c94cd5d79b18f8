"""A world without time: callers and reference servers in one process, joined by perfect links.

Every conversation is the real machine in a real session of the load path, every server side is the
real behaviour, and between them are links that take exactly as long as they are told. Time leaps
from one due instant to the next, as trio's mock clock does, so a minute of talk takes milliseconds
and every scripted latency must come out to the nanosecond. What happens is recorded by the same
code as in a real run, and can be sealed into a run folder and analysed by the same pipeline.
`tests.virtual_run` plays whole scenario files here.
"""

from collections import deque
from collections.abc import Callable
from itertools import count
from unittest import mock

import msgspec
import numpy as np

from bench.load.envelope_buffer import EnvelopeBuffer
from bench.load.health import Watch
from bench.load.session import Session, Start
from bench.load.wire_events import Ended, Reached, Sent, Text
from bench.plan.scenario_reader import check_scenario
from bench.plan.session_request import session_object
from bench.protocol.codec import type_of
from bench.protocol.server import ServerMessage
from bench.reference import truth_log
from bench.reference.admission import INWORLD_PATH, Refused, admit
from bench.reference.connection import ids_of
from bench.reference.profile import Profile
from bench.reference.schedule import Close
from bench.reference.served_session import ServedSession
from bench.reference.server_state import ServerState
from bench.reference.voices import Voices
from bench.runs.folder import RunFolder, provenance
from bench.runs.job import _plain
from bench.runs.log import HealthRow, Log
from bench.runs.rows import Row
from bench.runs.seal import seal
from bench.voice.audio import NS_PER_S, PCM16_24K, ms
from bench.voice.caller_config import CallerConfig
from bench.voice.conversation import Conversation
from bench.voice.directions import Part
from bench.voice.microphone import record
from bench.voice.scripts import SCRIPTS
from bench.voice.utterance import Utterance
from tests.virtual_time import VirtualTime

VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}
PATH = f"{INWORLD_PATH}?key=virtual&protocol=realtime"


def voice(name, onset_ms, speech_ms, tail_ms=200, *, tags=(), pitch=120, pause=None):
    """An utterance of a steady voice, its truth exact; `pause`: (start, length) in ms."""
    rate = PCM16_24K.rate
    at = np.arange(rate * speech_ms // 1000) / rate
    sound = sum(np.sin(2 * np.pi * pitch * n * at) / n for n in range(1, 8))
    speech = np.rint(sound / np.abs(sound).max() * 12_000).astype("<i2")
    if pause is not None:
        start, length = (rate * value // 1000 for value in pause)
        speech[start : start + length] = 0
    quiet = [np.zeros(rate * length // 1000, "<i2") for length in (onset_ms, tail_ms)]
    audio = np.concatenate((quiet[0], speech, quiet[1])).tobytes()
    return Utterance(
        name, audio, PCM16_24K, ms(onset_ms), ms(onset_ms + speech_ms), f"words of {name}",
        tags=frozenset(tags),
    )  # fmt: skip


class Rows(list):
    """The log of one session (`bench.runs.log.Log`): a list of its rows, in order."""

    before_flush: Callable[[], None] = staticmethod(lambda: None)

    def reserve(self):
        self.append(None)
        return len(self) - 1

    def fill(self, place, row):
        self[place] = Row(*row)


class Tally:
    """What a session tells of itself while it runs."""

    outcome = None

    def turn(self, latency_ms, nbytes, failure):
        pass

    def ended(self, outcome, _reason):
        self.outcome = outcome


class Link:
    """What its wire (`bench.load.wire.Wire`) is to a session: two ways to the server of its call.

    Refusals and closes end it as they end a wire, by the same names.
    """

    wants_write, bytes_sent = False, 0

    def __init__(self, world, call):
        self.reads = self.stamped = 0
        self.ended = False
        self._world, self._call = world, call
        self._unread = []
        self._happened = []

    def start(self):
        at_ns = self._world.now_ns
        stages = [Reached("connected", at_ns), Reached("secured", at_ns)]
        return [*stages, *([] if self._world.queues(self) else self._answered())]

    def let_in(self):
        """It was waiting for its upgrade, and there is room now."""
        if not self.ended:
            self._happened = self._answered()
            self._call.hear()

    def _answered(self):
        verdict = self._world.admit(self._call)
        if isinstance(verdict, Refused):
            return self._end("refused", f"HTTP {verdict.status}: {verdict.text}")
        return [Reached("upgraded", self._world.now_ns)]

    def arrive(self, frame):
        """A frame has come down: text, bytes or a Close."""
        self._unread.append(frame)

    def ready(self, **_):
        unread, self._unread = self._unread, []
        happened, self._happened = self._happened, []
        self.reads += 1
        self.stamped += 1
        return [*happened, *(happening for frame in unread for happening in self._read(frame))]

    def send(self, message):
        at_ns = self._world.now_ns
        self._world.time.later(at_ns + self._world.up_ns, self._call.asked, message.payload)
        return [Sent(message, at_ns, at_ns)]

    def close(self):
        return self._end("closed", "", 1000)

    def abandon(self, outcome, reason):
        return self._end(outcome, reason)

    def tcp_info(self):
        """There is no kernel that could say how the connection is."""

    def _read(self, frame):
        at_ns = self._world.now_ns
        if isinstance(frame, str | bytes):
            data = frame if isinstance(frame, bytes) else frame.encode()
            binary = isinstance(frame, bytes)
            return [] if self.ended else [Text(data, at_ns, 0, at_ns, binary)]
        if frame.code == 1006:
            return self._end("broken", "the connection was lost")
        return self._end("closed", frame.reason or f"close code {frame.code}", frame.code)

    def _end(self, outcome, reason, code=None):
        if self.ended:
            return []
        self.ended = True
        return [Ended(outcome, reason, code, self._world.now_ns)]


class Call:
    """One session of the world: its caller, its server side, and the rows of what happened."""

    def __init__(self, world, start, conversation, path=PATH, on_over=lambda _: None):
        self.start, self.path = start, path
        self.number = start.number
        self.rows = Rows()
        self.sent = []  # the truth: (due_ns, message) of everything the server sent
        self.truth = []  # the same as lines of the server's truth log
        self.server = None
        self.tally = Tally()
        self.began_ns = self.ended_ns = None
        self.queued_ns = None  # a party of `tests.virtual_time`
        self._world, self._on_over = world, on_over
        self._link = Link(world, self)
        self.levels = EnvelopeBuffer(self.rows)
        self.session = Session(
            start, self._link, conversation, self.rows, self.levels, Watch(), self.tally,
            self._finish,
        )  # fmt: skip

    @property
    def ready_ns(self):
        """When the microphone opened; None: never."""
        return next((row.at_ns for row in self.rows if row.type == "bench.microphone"), None)

    @property
    def caller(self):
        """The conversation; a test may put another driver of it in its place."""
        return self.session._conversation

    @caller.setter
    def caller(self, driver):
        self.session._conversation = driver

    def open(self):
        """Connect, at once."""
        self.began_ns = self._world.now_ns
        self.session.begin()
        self._world.time.wake(self)

    def asked(self, payload):
        """A message has come up the link."""
        self.server.receive(self.server.read(bytes(payload).decode()), self._world.now_ns)
        self._world.time.wake(self)

    def hear(self, *frames):
        """Frames have come down the link."""
        if not self.session.over:
            for frame in frames:
                self._link.arrive(frame)
            self.session.ready(readable=True, writable=False)
            self._world.time.wake(self)

    def wind_down(self):
        """Finish what is under way, begin nothing new."""
        self.session.wind_down()
        self.session.woken(self._world.now_ns)
        self._world.time.wake(self)

    def turn(self, now_ns):
        """Everything that is due on either side."""
        if self.session.due_ns is not None and self.session.due_ns <= now_ns:
            self.session.woken(now_ns)
        if self.server is not None and not self.session.over:
            for due in self.server.poll(now_ns):
                assert due.due_ns == now_ns
                self._say(due)
        self._world.time.wake(self)

    def next_due(self):
        if self.session.over or self.began_ns is None:
            return None
        dues = (self.session.due_ns, self.server and self.server.next_due())
        return min((due for due in dues if due is not None), default=None)

    def _say(self, due):
        message, at_ns = due.message, due.due_ns
        if isinstance(message, ServerMessage):
            self.sent.append((at_ns, message))
            names = ("", self.server.session_id, message.event_id, type_of(message))
            self.truth.append(
                truth_log.SentEvent(*names, *ids_of(message), due.cause, at_ns, at_ns, at_ns)
            )
            frame = self.server.frame(message)
        else:
            frame = message if isinstance(message, Close) else message.payload
        self._world.time.later(at_ns + self._world.down_ns, self.hear, frame)

    def _finish(self):
        self.ended_ns = self._world.now_ns
        self.levels.flush()
        if self.server is not None:
            name, draws = self.server.session_id, list(self.server.draws.drawn)
            span = (self.began_ns, self.ended_ns)
            facts = (self.number, "", *span, None, len(self.sent), draws)
            self.truth.append(truth_log.EndedSession("", name, *facts))
        self._world.left(self)
        self._on_over(self)


class World:
    """Links take `up_ns` to the server and `down_ns` back; every server has `profile`.

    With `slots` so many sessions are let in at once: the upgrade of others waits.
    """

    def __init__(
        self, profile=Profile(), *, up_ns=0, down_ns=0, replies=(), voices=None, slots=None
    ):
        self.profile = profile
        self.voices = voices or Voices.of(
            *(replies or (voice("reply", 0, 1500, 0, tags=("reply",)),))
        )
        self.up_ns, self.down_ns = up_ns, down_ns
        self.calls = []
        self.time = VirtualTime()
        self.refusals = []  # lines of the truth log
        self._state = ServerState(profile)
        self.capacity = self._state.capacity
        self.open = []
        self._upgrades = count()
        self._slots, self._queue = slots, deque()

    @property
    def now_ns(self):
        return self.time.now_ns

    def call(
        self,
        script,
        part,
        *,
        start_ns=0,
        config=CallerConfig(),
        detection=VAD,
        session=(),
        setting="",
    ):
        """Begin a call that plays the stock script `script` (or a script) with `part`."""
        stock = isinstance(script, str)
        number = len(self.calls)
        conversation = Conversation(
            (SCRIPTS[script].play if stock else script)(Part(*part)),
            session_object({"type": "realtime", "turn_detection": detection, **dict(session)}),
            lambda said, fmt: record(self.spoken(said, fmt), config.chunk_ns),
            config,
            name=f"s{number}",
        )
        start = Start(number, start_ns, 0, script if stock else "", 1, number, setting)
        return self.add(Call(self, start, conversation), start_ns)

    def spoken(self, said, _fmt):
        """The utterance in an input format: all are PCM16 at 24 kHz, unless a test has others."""
        return said

    def add(self, call, at_ns):
        """Begin a call at that instant."""
        self.calls.append(call)
        self.time.later(at_ns, self._begin, call)
        return call

    def _begin(self, call):
        self.open.append(call)
        call.open()

    def left(self, call):
        """A call is over."""
        self.open.remove(call)
        if call.server is not None:
            self.capacity.leave()
        if self._queue and call.server is not None:
            self._queue.popleft().let_in()

    def queues(self, link):
        """Whether this link waits for its upgrade: until another session has left."""
        held = self.capacity.open_sessions
        waits = self._slots is not None and held >= self._slots
        if waits:
            self._queue.append(link)
        return waits

    def admit(self, call):
        """The server's verdict on an upgrade; where it goes on, the call's server side begins."""
        number = next(self._upgrades)
        others = self.capacity.open_sessions
        verdict = admit(call.path, None, self.profile, number=number, open_sessions=others)
        if isinstance(verdict, Refused):
            self.refusals.append(truth_log.RefusedUpgrade(number, self.now_ns, verdict.status))
            return verdict
        call.server = ServedSession(self.profile, self.voices, verdict, self._state)
        self.capacity.enter()
        call.server.open(self.now_ns)
        return verdict

    def run(self, until_ns=ms(600_000)):
        """Let time leap until nothing is due any more."""
        with self.clock():
            self.time.run(until_ns)
        return self

    def clock(self):
        """Sessions read the time of this world while the context is entered."""

        def now_ns():
            return self.now_ns

        return mock.patch("bench.load.session.monotonic_ns", now_ns)

    def seal(self, path, script="turn_taking"):
        """The run folder of what happened, ready to be analysed."""
        document = {"script": script, "load": {"sessions": len(self.calls)}}
        scenario = check_scenario(document, "", "world")
        end_ns = max(row.at_ns for call in self.calls for row in call.rows) + 1
        n = len(self.calls)
        run = {
            **provenance("world"),
            "scenario": {
                "name": "world", "text": "", "sha256": "", "document": document,
                "effective": msgspec.to_builtins(scenario, enc_hook=_plain),
            },
            "corpus": {"name": "world", "sha256": "", "folder": ""},
            "target": {"name": "reference", "url": "", "dialect": "inworld"},
            "workers": 1,
            "plan": {
                "sessions": n, "scheduled": None, "start_ns": 0,
                "measured_from_ns": 0, "measured_to_ns": end_ns, "end_ns": end_ns,
            },
            "gates": [],
            "baseline": None,
        }  # fmt: skip
        folder = RunFolder.create(path)
        folder.write(run)
        folder.update(**self.write_logs(folder, 1, end_ns, lambda _worker, _at_ns: (n, n)))
        seal(folder)
        return folder

    def write_logs(self, folder, workers, end_ns, held):
        """The logs of the workers and of the server; returns what the workers acknowledge.

        `held(worker, at_ns)`: how many sessions the worker should hold then, and how many it does.
        """
        for call in self.calls:
            call.levels.flush()  # those that are not over yet
        logs = [Log(folder.logs / f"worker-{n}.log") for n in range(workers)]
        rows = ((row, call) for call in self.calls for row in call.rows)
        for row, call in sorted(rows, key=lambda pair: pair[0].at_ns):
            logs[call.start.worker].append(row)
        for worker, log in enumerate(logs):
            for second in range(1, end_ns // NS_PER_S + 2):
                at_ns = second * NS_PER_S
                facts = (*held(worker, at_ns), 0, 0.0, 0, 0.0, 0, 10, log.rows)
                log.health(HealthRow(worker, at_ns, at_ns, *facts))
        told = truth_log.TruthLog(folder.truth)
        for line in (*self.refusals, *(line for call in self.calls for line in call.truth)):
            told.note(line)
        told.close()
        return {
            "digests": {str(n): log.close() for n, log in enumerate(logs)},
            "rows_written": {str(n): log.rows for n, log in enumerate(logs)},
            "drained": list(range(workers)),
        }
