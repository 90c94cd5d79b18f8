"""A world without time: callers and reference servers in one process, joined by perfect links.

Every conversation is the real machine, every server side is the real behaviour, and between them
are links that take exactly as long as they are told. Time leaps from one due instant to the next,
as trio's mock clock does, so a minute of talk takes milliseconds and every scripted latency must
come out to the nanosecond. What happens is recorded as rows by the same functions as in a real
run, and can be sealed into a run folder and analysed by the same pipeline.
"""

import heapq
from itertools import count

import msgspec
import numpy as np

from bench.corpus.energy import envelope
from bench.plan.reading import check_scenario
from bench.plan.session import session_object
from bench.protocol import server
from bench.protocol.codec import decode_client, decode_server, encode
from bench.reference.behaviour import Behaviour
from bench.reference.profile import Profile
from bench.reference.repertoire import Repertoire
from bench.runs.facts import audio_row, in_row, note_row, out_row
from bench.runs.folder import RunFolder, provenance
from bench.runs.job import _plain
from bench.runs.log import HealthRow, Log
from bench.runs.seal import seal
from bench.voice.audio import PCM16_24K, ms
from bench.voice.conversation import Conversation, Manners, Note
from bench.voice.directions import Part
from bench.voice.microphone import record
from bench.voice.scripts import SCRIPTS
from bench.voice.utterance import Utterance

VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}


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


class Call:
    """One session of the world: its caller, its server side, and the rows of what happened."""

    def __init__(self, world, number, start_ns, script, session, manners):
        self.number = number
        self.rows = []
        self.sent = []  # the truth: (due_ns, message) of everything the server sent
        self.caller = Conversation(
            script,
            session_object(session),
            lambda said, _: record(said, manners.chunk_ns),
            manners,
            name=f"s{number}",
        )
        self.server = Behaviour(world.profile, world.repertoire, number=number)
        self._world = world
        self._begun = self._over = False
        self.script = self.setting = ""
        world.later(start_ns, self, "open", b"")

    def open(self, at_ns):
        """The connection stands, at once."""
        self._begun = True
        detail = {"worker": 0, "script": self.script, "turns": 1, "setting": self.setting}
        self.note(Note("bench.start", at_ns, due_ns=at_ns, detail=detail))
        for stage in ("connected", "secured", "upgraded"):
            self.note(Note(f"bench.{stage}", at_ns))
        self.caller.open(at_ns)
        self.server.open(at_ns)

    def note(self, note):
        self.rows.append(note_row(self.number, note))

    def hear(self, text, at_ns):
        """A message has come down the link."""
        if self._over:
            return
        message = decode_server(text)
        if isinstance(message, server.ResponseOutputAudioDelta):
            audio_ns = PCM16_24K.duration_ns(len(message.delta))
            levels = envelope(np.frombuffer(message.delta, "<i2"), PCM16_24K.rate)
            self.rows.append(audio_row(self.number, message, audio_ns, at_ns, 0, at_ns, levels))
        else:
            self.rows.append(in_row(self.number, message, len(text), at_ns, 0, at_ns))
        self.caller.receive(message, at_ns)

    def turn(self, now_ns):
        """Everything that is due on either side."""
        for said in self.caller.poll(now_ns):
            if isinstance(said, Note):
                self.note(said)
            else:
                self.rows.append(out_row(self.number, said, now_ns, now_ns))
                self._world.later(now_ns + self._world.up_ns, self, "up", said.payload)
        if self.caller.outcome is not None and not self._over:
            self._over = True
            detail = {"outcome": self.caller.outcome, "reason": self.caller.reason}
            self.note(Note("bench.end", now_ns, detail={**detail, "close_code": 1000}))
        for due in self.server.poll(now_ns):
            assert due.due_ns == now_ns
            self.sent.append((due.due_ns, due.message))
            self._world.later(now_ns + self._world.down_ns, self, "down", encode(due.message))

    def next_due(self):
        if not self._begun:
            return None
        dues = [self.caller.next_due(), None if self._over else self.server.next_due()]
        return min((due for due in dues if due is not None), default=None)


class World:
    """Links take `up_ns` to the server and `down_ns` back; every server has `profile`."""

    def __init__(self, profile=Profile(), *, up_ns=0, down_ns=0, replies=()):
        self.profile = profile
        self.repertoire = Repertoire.of(
            *(replies or (voice("reply", 0, 1500, 0, tags=("reply",)),))
        )
        self.up_ns, self.down_ns = up_ns, down_ns
        self.calls = []
        self.now_ns = 0
        self._flying = []
        self._order = count()

    def later(self, at_ns, call, way, payload):
        heapq.heappush(self._flying, (at_ns, next(self._order), call, way, payload))

    def call(
        self, script, part, *, start_ns=0, manners=Manners(), detection=VAD, session=(), setting=""
    ):
        """Begin a call that plays the stock script `script` (or a script) with `part`."""
        play = SCRIPTS[script].play if isinstance(script, str) else script
        session = {"type": "realtime", "turn_detection": detection, **dict(session)}
        call = Call(self, len(self.calls), start_ns, play(Part(*part)), session, manners)
        call.script, call.setting = script if isinstance(script, str) else "", setting
        self.calls.append(call)
        return call

    def run(self, until_ns=ms(600_000)):
        """Let time leap until nothing is due any more."""
        while True:
            dues = [(due, call) for call in self.calls if (due := call.next_due()) is not None]
            soonest = min((due for due, _ in dues), default=None)
            flying = self._flying[0][0] if self._flying else None
            instants = [at for at in (soonest, flying) if at is not None]
            if not instants or min(instants) > until_ns:
                return self
            self.now_ns = max(self.now_ns, min(instants))
            while self._flying and self._flying[0][0] <= self.now_ns:
                at_ns, _, call, way, payload = heapq.heappop(self._flying)
                if way == "open":
                    call.open(at_ns)
                elif way == "up":
                    call.server.receive(decode_client(payload), at_ns)
                else:
                    call.hear(payload, at_ns)
            for call in self.calls:
                if call.next_due() is not None:
                    call.turn(self.now_ns)

    def seal(self, path, script="turn_taking"):
        """The run folder of what happened, ready to be analysed."""
        folder = RunFolder.create(path)
        document = {"script": script, "load": {"sessions": len(self.calls)}}
        scenario = check_scenario(document, "", "world")
        end_ns = max(row.at_ns for call in self.calls for row in call.rows) + 1
        log = Log(folder.logs / "worker-0.log")
        for row in sorted((row for call in self.calls for row in call.rows), key=lambda r: r.at_ns):
            log.append(row)
        for second in range(end_ns // 1_000_000_000 + 2):
            at_ns = second * 1_000_000_000
            n = len(self.calls)
            log.health(HealthRow(0, at_ns, at_ns, n, n, 0, 0.0, 0, 0.0, 0, 10, log.rows))
        digest = log.close()
        folder.write(
            {
                **provenance("world"),
                "scenario": {
                    "name": "world", "text": "", "sha256": "", "document": document,
                    "effective": msgspec.to_builtins(scenario, enc_hook=_plain),
                },
                "corpus": {"name": "world", "sha256": "", "folder": ""},
                "target": {"name": "reference", "url": "", "dialect": "inworld"},
                "workers": 1,
                "plan": {
                    "sessions": len(self.calls), "scheduled": None, "start_ns": 0,
                    "measured_from_ns": 0, "measured_to_ns": end_ns, "end_ns": end_ns,
                },
                "rows_written": {"0": log.rows},
                "digests": {"0": digest},
                "drained": [0],
                "gates": [],
                "baseline": None,
            }
        )  # fmt: skip
        seal(folder)
        return folder
