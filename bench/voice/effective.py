"""What the session really is: what `session.updated` says, else what was asked for.

Some servers acknowledge an update without saying what holds now, or in the flat words of the beta.
What was asked and is not contradicted is taken to be in force, and `assumed` says of what.
"""

from typing import Any

from msgspec import UNSET

from bench.protocol.objects import (
    AudioInput,
    AudioOutput,
    ServerSession,
    Session,
    SessionAudio,
    TurnDetection,
    WireFormat,
)
from bench.voice.audio import FORMATS, AudioFormat

_WAYS = ("input", "output")
RATES = range(4_000, 192_001)
"""Samples a second that speech may have; what a server says beyond them is no rate."""


class Effective:
    """The settings in force. What a server leaves out stays as it was.

    `answers`: it answers by itself when a turn ends; `interrupts`: and falls silent when talked
    into; `manual`: nobody but the caller decides when a turn ends; `continues`: it goes on by
    itself once it has the outputs of its tools. `assumed`: whose format the server never said,
    `input` or `output`. `acknowledged`: the server has ever answered with session.updated.
    """

    def __init__(self) -> None:
        self.input = AudioFormat()
        self.output = AudioFormat()
        self.answers = True
        self.interrupts = True
        self.manual = False
        self.continues = False
        self.acknowledged = False
        self.assumed = {"input", "output"}
        self._prefix_padding_ms: int | None = None

    def grant(self, asked: Session) -> None:
        """The server has taken what was `asked`, for all that it says."""
        before = self.input, self.output
        self.obey(asked)
        changed = (self.input != before[0], self.output != before[1])
        self.assumed |= {way for way, new in zip(_WAYS, changed, strict=True) if new}

    def obey(self, session: Session) -> None:
        """`session` is what the server says holds from now on."""
        provider = session.provider_data
        if isinstance(provider, dict) and "auto_tool_response" in provider:
            self.continues = provider["auto_tool_response"] is True
        audio = session.audio if isinstance(session.audio, SessionAudio) else SessionAudio()
        heard = audio.input if isinstance(audio.input, AudioInput) else AudioInput()
        spoken = audio.output if isinstance(audio.output, AudioOutput) else AudioOutput()
        detection, ways = heard.turn_detection, [heard.format, spoken.format]
        if isinstance(session, ServerSession):  # the beta's words
            flat = (session.input_audio_format, session.output_audio_format)
            ways = [there or beta for there, beta in zip(ways, flat, strict=True)]
            detection = session.turn_detection if detection is UNSET else detection
        self._detect(detection)
        for way, wire in zip(_WAYS, ways, strict=True):
            known = getattr(self, way)
            setattr(self, way, format_of(wire, known))
            if says_rate(wire, known):
                self.assumed.discard(way)

    def _detect(self, detection: Any) -> None:
        if isinstance(detection, TurnDetection):
            self.manual = False
            self.answers = detection.create_response is not False
            self.interrupts = detection.interrupt_response is not False
            padding = detection.prefix_padding_ms
            # semantic_vad has none: null, not 0
            self._prefix_padding_ms = padding if isinstance(padding, int) else None
        elif detection is None:
            self.manual = True
            self.answers = self.interrupts = False

    def facts(self) -> dict[str, Any]:
        """What the note of the open microphone says of it."""
        return {
            "input": self.input._asdict(),
            "output": self.output._asdict(),
            "prefix_padding_ms": self._prefix_padding_ms,
            "assumed": sorted(self.assumed),
        }


def format_of(wire: object, otherwise: AudioFormat) -> AudioFormat:
    """The audio format that a session object names (object or string), else `otherwise`.

    PCM16 that is named without its rate has the rate that it had.
    """
    word = wire.type if isinstance(wire, WireFormat) else wire
    named = FORMATS.get(word) if isinstance(word, str) else None
    if named is None:
        return otherwise
    if isinstance(wire, WireFormat) and isinstance(wire.rate, int) and wire.rate in RATES:
        return named._replace(rate=wire.rate)
    return otherwise if named.type == otherwise.type else named


def says_rate(wire: object, known: AudioFormat) -> bool:
    """Whether a session object names a format whole: G.711 has one rate, PCM16 many."""
    named = format_of(wire, AudioFormat("", 0)) if wire else None
    if named is None or not named.type:
        return False
    rated = isinstance(wire, WireFormat) and isinstance(wire.rate, int) and wire.rate in RATES
    return rated or named.type != "audio/pcm" or known.rate == named.rate
