"""Recorded sessions in few words: a server's messages, one after the other, a millisecond apart.

They are told to a real session of the load path, whose wire is a list, so that its log is what it
would have been.
"""

import base64
import json
from unittest import mock

from bench.load.envelope_buffer import EnvelopeBuffer
from bench.load.health import Watch
from bench.load.preflight import Rows, Tally
from bench.load.session import Session, Start
from bench.load.wire_events import Ended, Reached, Sent, Text
from bench.probe.answers import Exchange
from bench.probe.probe_sessions import Tap
from bench.probe.probed_session import ProbedSession
from bench.protocol.objects import Session as Settings
from bench.voice.audio import NS_PER_MS, NS_PER_S
from bench.voice.conversation import Conversation
from bench.voice.directions import Pause

AUDIBLE = (b"\x00\x30" + b"\x00\xd0") * 1200
"""100 ms of a tone at 24 kHz: a constant would be silence."""
PCM = {"type": "audio/pcm", "rate": 24_000}
GREETED = ({"type": "session.created", "session": {}}, {"type": "session.updated", "session": {}})
"""How a plain session begins."""
ASKED = {"type": "input_audio_buffer.committed", "item_id": "u0", "previous_item_id": None}
"""Before it no agent has a reason to answer."""


class Wire:
    """A wire on which one text comes at a time: a body, or a text as it is (bytes: binary)."""

    ended = wants_write = False
    bytes_sent = reads = stamped = now_ns = 0
    text = None

    def start(self):
        return [Reached(stage, 0) for stage in ("connected", "secured", "upgraded")]

    def ready(self, **_):
        binary = isinstance(self.text, bytes)
        text = json.dumps(self.text) if isinstance(self.text, dict) else self.text
        data = text if binary else text.encode(errors="surrogateescape")
        return [Text(data, self.now_ns, 0, self.now_ns, binary)]

    def send(self, message):
        return [Sent(message, self.now_ns, self.now_ns)]

    def abandon(self, outcome, reason):
        return [Ended(outcome, reason, None, self.now_ns)]

    close = lambda self: self.abandon("closed", "")  # noqa: E731


def told(
    *texts, asked=(), name="call", begun=(*GREETED, ASKED), apart_ms=1, quiet_ms=0, plays=(), **more
):
    """The session in which all that was told; `quiet_ms` pass before the first of it.

    `plays` are the first directions of its caller.
    """
    wire, received, rows, tally = Wire(), [], Rows(), Tally()
    caller = Conversation(iter((*plays, Pause(NS_PER_S * 3600))), Settings(), None)
    with mock.patch("bench.load.session.monotonic_ns", side_effect=lambda: wire.now_ns):
        session = Session(
            Start(0, 0, 0, name, 0, 0), Tap(wire, received), caller, rows, EnvelopeBuffer(rows),
            Watch(), tally, lambda: None,
        )  # fmt: skip
        session.begin()
        wire.now_ns += quiet_ms * NS_PER_MS
        session.woken(wire.now_ns)
        for wire.text in (*begun, *texts):
            wire.now_ns += apart_ms * NS_PER_MS
            if not session.over:
                session.ready(readable=True, writable=False)
        session.cut("all was told")
    rows.flush()
    ended = (tally.outcome, tally.reason)
    return ProbedSession(name, rows, received, asked, ended=ended, **more)


def session(kind="session.updated", **fields):
    return {"type": kind, "session": fields}


def ask(label, kind, state, answer=None, *, provoking=False):
    return Exchange(label, kind, state, answer or {}, provoking)


def error(code, message="No."):
    return {"type": "error", "error": {"type": "invalid_request_error", "code": code,
                                       "message": message, "event_id": "e1"}}  # fmt: skip


def sound(audio):
    return base64.b64encode(audio).decode()


def audio_delta(audio, response="r1", kind="response.output_audio.delta"):
    return {"type": kind, "response_id": response, "item_id": "a1", "delta": sound(audio)}


def done(status="completed", response="r1", **more):
    usage = {"usage": {"total_tokens": 3}}
    return {
        "type": "response.done",
        "response": {"id": response, "status": status, **usage, **more},
    }


def created(response="r1"):
    return {"type": "response.created", "response": {"id": response, "status": "in_progress"}}


def word(text="Fine.", response="r1"):
    kind = "response.output_audio_transcript.delta"
    return {"type": kind, "response_id": response, "item_id": "a1", "delta": text}


def started(item="u1"):
    kind = "input_audio_buffer.speech_started"
    return {"type": kind, "item_id": item, "audio_start_ms": 300}


def skipped(reason):
    return {"type": "response.backchannel.skipped", "reason": reason}


def fillers_on(wait_ms=100):
    wanted = {"enabled": True, "initial_wait_timeout_ms": wait_ms}
    return session(providerData={"responsiveness": wanted})


def completed(text, item="u1", **more):
    return {
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": item,
        "transcript": text,
        **({"usage": {"seconds": 1}} | more),
    }


def transcribed(text, item="u1"):
    kind = "conversation.item.input_audio_transcription.delta"
    return {"type": kind, "item_id": item, "delta": text}


def committed(item="u1"):
    return {"type": "input_audio_buffer.committed", "item_id": item, "previous_item_id": None}
