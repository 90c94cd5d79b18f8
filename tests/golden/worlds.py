"""Runs of sessions that each have a server of their own, odd or wrong in its own way."""

import json
from functools import partial

from bench.plan.session import session_object
from bench.protocol.client import ResponseCancel, ResponseCreate, SessionUpdate
from bench.protocol.objects import AudioOutput, ResponseParams, WireFormat
from bench.reference.profile import (
    SESSION_QUIRKS,
    Failures,
    Profile,
    Quirks,
    ResponseProfile,
    ToolsProfile,
    TranscriptionProfile,
    VadProfile,
)
from bench.reference.voices import Voices
from bench.voice.audio import ms
from bench.voice.caller_config import CallerConfig
from bench.voice.directions import Await, Hear, HearOut, Pause, Say, Send, Write
from bench.voice.scripts import SCRIPTS
from tests.virtual.test_formats import ASKED, SILENT, SOUNDS, Between, changing, clean, turn_taking
from tests.world import VAD, World, voice

UP, DOWN = 7_000_003, 11_000_001
LINES = (voice("one", 130, 900), voice("two", 90, 700))
STOP = voice("stop", 50, 600, tags=("interruption",))
MURMUR = voice("mhm", 50, 400, tags=("backchannel",))
COUGH = voice("cough", 50, 300, tags=("nonspeech",))._replace(onset_ns=None, offset_ns=None)
LONG = Voices.of(voice("reply", 0, 6000, 0, tags=("reply",)))
TOOLS = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]
STEADY = {
    "vad": VadProfile(lag_ms=15),
    "response": ResponseProfile(created_ms=20, first_delta_ms=350, leading_silence_ms=40),
    "transcription": TranscriptionProfile(delay_ms=120),
    "tools": ToolsProfile(one=1.0, parallel=0.0, mixed=0.0),
}
USUAL = {"input_format": {"type": "audio/pcm", "rate": 24_000}}
ASIDE = ResponseParams(conversation="none", output_modalities=["text"])
IMPATIENT = CallerConfig(answer_timeout_ns=ms(3000))


class Street(Between):
    """A world in which every call has a server of its own; they know of each other's sessions.

    `serve` is `call`, with what is said of the server: `change` of what it sends (see
    `tests.virtual.test_formats`), `replies`, and fields of its profile.
    """

    def __init__(self, up_ns=UP, down_ns=DOWN):
        super().__init__(clean, Profile(**STEADY), up_ns=up_ns, down_ns=down_ns)
        self._servers = []

    def serve(self, script, part, *, change=clean, replies=None, profile=(), **options):
        """A call 130 ms after the one before."""
        profile = Profile(**{**STEADY, **dict(profile)})
        self._servers.append((profile, replies or self.voices, change))
        options.setdefault("start_ns", ms(130) * len(self.calls))
        return self.call(script, part, **options)

    def admit(self, call):
        self.profile, self.voices, change = self._servers[call.number]
        verdict = World.admit(self, call)
        if change is not clean:  # else frames stay as they are, binary ones too
            call.server.frame = partial(_changed, call.server.frame, change, {})
        return verdict


def _changed(frame, change, memory, message):
    body = json.loads(frame(message))
    change(body, memory)
    return json.dumps(body)


def played(street, folder, script="turn_taking"):
    street.run(ms(300_000)).seal(folder, script)
    assert not any(call.caller.fault for call in street.calls), "a script is at fault"


def habits(folder, few):
    """A session each of the habits `few`, where it shows."""
    street = Street()
    for name in SESSION_QUIRKS[few]:
        script = "turn_taking"
        session, part, options = {}, (LINES,), {}
        if "error" in name or name in {"integer_code", "g711_truncate_thirds"}:
            script, part = "long_call", (LINES * 4,)
        if "calls" in name or name in {"missing_name", "auto_tools", "missing_ids"}:
            script, session["tools"] = "tool_call", TOOLS
        if "g711" in name:
            session["output_format"] = "g711_ulaw"
        if name == "g711_truncate_thirds":
            script, part = "interrupt_client", (LINES, (), ms(300), ms(900))
        if name == "semantic_unanswered":
            options["detection"] = {"type": "semantic_vad", "eagerness": "high"}
        if name in {"mute_shorthand", "semantic_unanswered"}:
            options["config"] = IMPATIENT
        quirks = {"quirks": Quirks(**{name: 1.0})}
        call = street.serve(script, part, session=session, profile=quirks, **options)
        if name == "mute_shorthand":  # what `bench.plan.session` would mend
            call.caller._asked.audio.output = AudioOutput(format=WireFormat(type="pcm16"))
    played(street, folder)


def responses(folder):
    """What befalls responses and turns, and what servers of Inworld's say beside the answer."""
    street = Street()
    hesitant = voice("hm", 100, 2000, pause=(700, 600))
    for name in ("zero_padding", "transcription_late", "transcription_duplicate",
                 "transcription_failed"):  # fmt: skip
        street.serve("turn_taking", (LINES,), profile={"quirks": Quirks(**{name: 1.0})})
    late = {"quirks": Quirks(late_audio=1.0)}
    street.serve("barge_in", (LINES, (STOP, STOP), ms(300), ms(400)), profile=late, replies=LONG)
    guess = {"quirks": Quirks(turn_suggestion=1.0)}
    street.serve("turn_taking", ((hesitant,) * 2,), profile=guess)
    for kind, skipped in (("responsiveness", 0.0), ("backchannel", 0.0), ("backchannel", 1.0)):
        street.serve(
            "turn_taking", ((hesitant, *LINES),),
            session={"providerData": {kind: {"enabled": True}}},
            profile={"quirks": Quirks(backchannel_skipped=skipped)},
        )  # fmt: skip
    split = {"type": "server_vad", "silence_duration_ms": 300}
    street.serve("turn_taking", ((hesitant,) * 2,), detection=split)
    history = ResponseProfile(first_delta_ms=350, history_ms=7)
    lines = tuple(voice(f"v{n}", 100, 400) for n in range(6))
    street.serve("turn_taking", (lines,), profile={"response": history})
    played(street, folder)


def failures(folder):
    """Everything that a server does wrong, a session each."""
    street = Street()
    for name in ("refuse", "close_at_once", "mute", "malformed", "binary", "huge",
                 "overloaded_at_once"):  # fmt: skip
        street.serve("turn_taking", (LINES,), profile={"failures": Failures(**{name: 1.0})})
    for name in ("response_failed", "errortype", "overloaded", "close_mid_turn", "stall",
                 "malformed_mid_turn", "order_violation", "duplicate_done"):  # fmt: skip
        street.serve(
            "turn_taking", (LINES,), profile={"failures": Failures(**{name: 1.0})},
            config=IMPATIENT,
        )  # fmt: skip
    failing = {"failures": Failures(overloaded=0.5, errortype=0.3)}
    street.serve("tool_call", (LINES,), session={"tools": TOOLS}, profile=failing)
    street.serve(
        "text_chat", (LINES,), detection="none", session={"output_modalities": ["text"]},
        config=CallerConfig(answer_timeout_ns=ms(100)),
    )  # fmt: skip
    broken = {"failures": Failures(close_mid_turn=1.0, close_code=1006)}
    street.serve("turn_taking", (LINES,), profile=broken)
    played(street, folder)


def interruptions(folder):
    """Into replies that are being made and that are made, with players that stop and do not."""
    street = Street()
    quick = {"response": ResponseProfile(first_delta_ms=350, pace=1000.0)}
    callers = (
        CallerConfig(truncate=True),
        CallerConfig(flush=False),
        CallerConfig(jitter_buffer_ns=ms(60)),
    )
    for profile in ({}, quick):
        for config in callers:
            street.serve(
                "barge_in", (LINES[:1], (STOP,), ms(300), ms(400)), replies=LONG, profile=profile,
                config=config,
            )  # fmt: skip
        street.serve(
            "interrupt_client", (LINES, (), ms(300), ms(400)), replies=LONG, profile=profile
        )
    street.serve("barge_in", (LINES, (MURMUR, COUGH), ms(300), ms(400)), replies=LONG)
    deaf = {**VAD, "interrupt_response": False}
    street.serve(
        "barge_in", (LINES, (STOP, MURMUR), ms(300), ms(400)), replies=LONG, detection=deaf
    )
    played(street, folder, "barge_in")


def ties(folder):
    """Links that take no time, and all lengths of one grid: much happens at one instant."""
    street = Street(up_ns=0, down_ns=0)
    lines = tuple(voice(f"tied {n}", 100, 700) for n in range(2))
    stop = voice("stop", 100, 500, tags=("interruption",))
    grid = {
        "vad": VadProfile(lag_ms=0),
        "response": ResponseProfile(
            created_ms=0, first_delta_ms=100, leading_silence_ms=0, pace=1.0
        ),
        "transcription": TranscriptionProfile(delay_ms=0),
        "tools": ToolsProfile(
            one=1.0, parallel=0.0, mixed=0.0, first_ms=0, stagger_ms=0, delta_ms=0
        ),
    }
    for name, stock in SCRIPTS.items():
        street.serve(
            name, (lines, (stop, stop), ms(100), ms(400), 0),
            start_ns=0, replies=LONG, profile=grid,
            session={"tools": TOOLS} if name == "tool_call" else {"output_modalities": ["audio"]},
            detection="none" if stock.detection == "manual" else VAD,
        )  # fmt: skip
    for delay_ms in (0, 100):
        street.serve(partial(_stopped_after, ms(delay_ms)), (lines,), start_ns=0, profile=grid)
    played(street, folder)


def _stopped_after(delay_ns, part):
    """Cancels so long after the answer has been said to be over."""
    for line in part.lines:
        yield Say(line)
        yield Await("response.done")
        yield Pause(delay_ns)
        yield Send(ResponseCancel())
        yield HearOut()


def formats(folder):
    """Servers that do not say their formats, or send other audio; and G.711."""
    street = Street()
    for change in (*SILENT, *SOUNDS, _obeys_not):
        street.serve(turn_taking, (LINES,), change=change, session=ASKED)
    street.serve(changing, (LINES * 2,), session=USUAL)
    for name in ("g711_ulaw", "g711_alaw"):
        street.serve(turn_taking, (LINES[:1],), session={"output_format": name})
    played(street, folder)


def _obeys_not(body, _memory):
    """It is asked for 16 kHz, takes 24 kHz and says so."""
    if body["type"] == "session.updated":
        body["session"]["audio"]["input"]["format"]["rate"] = 24_000


def twice(part):
    """Asks for what the server has begun to answer already."""
    for line in part.lines:
        yield Say(line)
        yield Pause(ms(650))
        yield Send(ResponseCreate())
        yield HearOut()


def beside(part):
    """Asks for something beside the conversation after each answer."""
    for line in part.lines:
        yield Say(line)
        yield HearOut()
        yield Send(ResponseCreate(response=ASIDE))
        yield Await("response.done")


def in_text(part):
    """A written turn between spoken ones, answered in text alone."""
    yield Say(part.lines[0])
    yield HearOut()
    yield Write("and in writing")
    yield Send(ResponseCreate(response=ResponseParams(output_modalities=["text"])))
    yield HearOut()
    yield Say(part.lines[1])
    yield HearOut()


def asks(part):
    """The caller decides when it is answered."""
    for line in part.lines:
        yield Say(line)
        yield Await("input_audio_buffer.committed")
        yield Pause(ms(200))
        yield Send(ResponseCreate())
        yield HearOut()


def cancels(part):
    """Stops every answer before anything of it is heard."""
    for line in part.lines:
        yield Say(line)
        yield Await("response.created")
        yield Send(ResponseCancel())
        yield Pause(ms(500))


def switches(part):
    """Manual first, then with a VAD; talks before the answer is over."""
    yield Pause(ms(2350))
    yield Send(SessionUpdate(session=session_object({"turn_detection": VAD})))
    yield Await("session.updated")
    for line in part.lines:
        yield Say(line)
        yield Hear(ms(300))
    yield HearOut()


def silent(part):
    """Says nothing for so long that the server speaks up."""
    yield Say(part.lines[0])
    yield HearOut()
    yield Pause(ms(9000))
    yield HearOut()


def requests(folder):
    """Who asks for an answer, when, how often and of which kind."""
    street = Street()
    for script in (twice, beside, in_text, cancels):
        street.serve(script, (LINES,))
    street.serve(asks, (LINES,), detection={**VAD, "create_response": False})
    street.serve(switches, (LINES,), detection="none")
    street.serve(silent, (LINES,), detection={**VAD, "idle_timeout_ms": 5000})
    greets = {"quirks": Quirks(greeting=1.0)}
    street.serve("turn_taking", (LINES,), profile=greets, config=CallerConfig(greeting=True))
    street.serve("turn_taking", (LINES,), profile=greets)
    street.serve("turn_taking", (LINES,), config=IMPATIENT._replace(greeting=True))
    for kind in ("one", "parallel", "mixed"):
        shares = {"one": 0.0, "parallel": 0.0, "mixed": 0.0, kind: 1.0}
        street.serve(
            "tool_call", (LINES,), profile={"tools": ToolsProfile(**shares)},
            session={"tools": TOOLS, "providerData": {"auto_tool_response": kind == "one"}},
        )  # fmt: skip
    played(street, folder)
