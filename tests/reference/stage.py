"""A stage for the reference server: made-up voices, a profile of round numbers, virtual time.

`Caller` joins a `ServedSession` to a clock that only moves when it is told to. It is no double: the
session is the real one, and the caller speaks at the pace of a microphone.
"""

import json
from functools import cache

import msgspec
import numpy as np
from msgspec import UNSET

from bench.protocol import client as ask
from bench.protocol.codec import type_of
from bench.protocol.objects import Item, Part, ResponseParams
from bench.reference.admission import Admitted
from bench.reference.profile import (
    Failures,
    Profile,
    Quirks,
    ResponseProfile,
    ToolsProfile,
    TranscriptionProfile,
    VadProfile,
)
from bench.reference.served_session import ServedSession
from bench.reference.voices import Voices
from bench.voice.audio import PCM16_24K, AudioFormat, ms
from bench.voice.utterance import Utterance

CHUNK_MS = 100
LEAD_MS = 200

ROUND = Profile(
    seed=7,
    vad=VadProfile(lag_ms=10),
    response=ResponseProfile(created_ms=20, first_delta_ms=300, leading_silence_ms=40),
    tools=ToolsProfile(one=1.0, parallel=0.0, mixed=0.0, first_ms=200),
    transcription=TranscriptionProfile(delay_ms=120),
)


def voiced(length_ms, hz=120, seed=0, fmt=PCM16_24K, level=4000):
    """A buzz with a pitch, like a vowel, as int16 samples."""
    chance = np.random.default_rng(seed)
    t = np.arange(fmt.rate * length_ms // 1000) / fmt.rate
    wave = sum(np.sin(2 * np.pi * hz * k * t + chance.uniform(0, 6)) / k for k in range(1, 10))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 3.1 * t + seed)
    return (wave * swell * level + chance.normal(0, 40, len(t))).astype("<i2")


def hiss(length_ms, seed=0, fmt=PCM16_24K, level=3000):
    """Noise without a pitch, like a cough."""
    count = fmt.rate * length_ms // 1000
    return np.random.default_rng(seed).normal(0, level, count).astype("<i2")


def quiet(length_ms, fmt=PCM16_24K):
    return np.zeros(fmt.rate * length_ms // 1000, "<i2")


def utterance(name, length_ms, *, hz=120, seed=0, text="", tags=()):
    """A voice between 200 ms and 150 ms of silence, and the truth about it."""
    audio = np.concatenate((quiet(LEAD_MS), voiced(length_ms, hz, seed), quiet(150)))
    return Utterance(
        id=name,
        audio=audio.tobytes(),
        format=PCM16_24K,
        onset_ns=ms(LEAD_MS),
        offset_ns=ms(LEAD_MS + length_ms),
        text=text or f"this is what {name} says",
        tags=frozenset(tags),
    )


LINES = tuple(utterance(f"line{n}", 700 + 200 * n, hz=110 + 20 * n, seed=n) for n in range(3))
REPLIES = tuple(
    utterance(f"reply{n}", 1500 + 300 * n, hz=190 + 20 * n, seed=10 + n, tags=["reply"])
    for n in range(2)
)


@cache
def stage_voices():
    return Voices.of(*LINES, *REPLIES)


def failing(**failures):
    return msgspec.structs.replace(ROUND, failures=Failures(**failures))


def odd(**quirks):
    return msgspec.structs.replace(ROUND, quirks=Quirks(**quirks))


def user_text(text, **item):
    return ask.ConversationItemCreate(
        item=Item(type="message", role="user", content=[Part(type="input_text", text=text)], **item)
    )


def tool_output(call_id, output="done"):
    item = Item(type="function_call_output", call_id=call_id, output=output)
    return ask.ConversationItemCreate(item=item)


class Caller:
    """A session in virtual time; `heard` is every Due so far."""

    def __init__(
        self,
        profile=ROUND,
        *,
        number=0,
        dialect="inworld",
        model="",
        fmt=PCM16_24K,
        voices=None,
        state=None,
        over_limit=False,
        opened_s=0,
    ):
        admitted = Admitted(number, dialect, "", model, over_limit)
        self.server = ServedSession(
            profile, voices or stage_voices(), admitted, state, opened_s=opened_s
        )
        self.fmt: AudioFormat = fmt
        self.now_ns = 0
        self.heard = []
        self.server.open(0)
        self._collect(0)

    def ask(self, message):
        """Send a message now; what is due at once is the answer."""
        before = len(self.heard)
        self.server.receive(message, self.now_ns)
        self._collect(self.now_ns)
        return self.heard[before:]

    def tell(self, kind, **fields):
        """Send a message as a client writes it, in JSON."""
        return self.send(json.dumps({"type": kind, **fields}))

    def send(self, frame):
        """Send a frame now; what is due at once is the answer."""
        return self.ask(self.server.read(frame))

    def update(self, **session):
        return self.tell("session.update", session=session)

    def detect(self, turn_detection):
        """Ask for another turn detection, None for none."""
        return self.update(audio={"input": {"turn_detection": turn_detection}})

    def respond(self, wait_ms=3000, **params):
        """Ask for a response with these parameters, and hear it out."""
        response = ResponseParams(**params) if params else UNSET
        self.ask(ask.ResponseCreate(response=response))
        self.wait(wait_ms)
        return self

    def wait(self, length_ms):
        """Let time pass without a word, stopping at every instant that is due."""
        end = self.now_ns + ms(length_ms)
        while (due := self.server.next_due()) is not None and due <= end:
            self._collect(due)
        self._collect(end)
        self.now_ns = end

    def say(self, audio):
        """Speak bytes or samples at the pace of a microphone, in chunks of 100 ms."""
        raw = audio if isinstance(audio, bytes) else audio.tobytes()
        step = self.fmt.nbytes(ms(CHUNK_MS))
        for start in range(0, len(raw), step):
            chunk = raw[start : start + step]
            self.wait(CHUNK_MS)
            self.ask(ask.InputAudioBufferAppend(audio=chunk.ljust(step, self.fmt.silence(1))))

    def silence(self, length_ms):
        self.say(self.fmt.silence(self.fmt.nbytes(ms(length_ms))))

    def types(self, *, without=()):
        """Types heard so far, runs of one type folded into one."""
        names = [type_of(due.message) for due in self.heard]
        kept = [name for name in names if not name.endswith(tuple(without) or ("\0",))]
        return [name for n, name in enumerate(kept) if not n or name != kept[n - 1]]

    def spoken_turn(self, line=0, quiet_ms=800, reply_ms=3000):
        """Say a line, and hear the answer out."""
        self.say(LINES[line].audio)
        self.silence(quiet_ms)
        self.wait(reply_ms)
        return self

    def typed_turn(self, text="hello", reply_ms=3000):
        """Type a line, ask for an answer, and hear it out."""
        self.ask(user_text(text))
        return self.respond(reply_ms)

    def every(self, kind):
        return [due for due in self.heard if isinstance(due.message, kind)]

    def only(self, kind):
        (due,) = self.every(kind)
        return due

    def last(self, kind):
        return self.every(kind)[-1].message

    def _collect(self, now_ns):
        self.heard += self.server.poll(now_ns)


def code(dues):
    """The code of the one error among these."""
    (error,) = [due.message.error for due in dues]
    return error.code
