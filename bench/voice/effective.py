"""What the session really is: what `session.updated` says, never what was asked for."""

from typing import Any

from msgspec import UNSET

from bench.protocol.objects import Session, SessionAudio, TurnDetection, WireFormat
from bench.voice.audio import FORMATS, AudioFormat

RATES = range(4_000, 192_001)
"""Samples a second that speech may have; what a server says beyond them is no rate."""


class Effective:
    """The settings in force. What a server leaves out stays as it was.

    `answers`: it answers by itself when a turn ends; `interrupts`: and falls silent when talked
    into; `manual`: nobody but the caller decides when a turn ends; `continues`: it goes on by
    itself once it has the outputs of its tools.
    """

    def __init__(self) -> None:
        self.input = AudioFormat()
        self.output = AudioFormat()
        self.answers = True
        self.interrupts = True
        self.manual = False
        self.continues = False
        self._prefix_padding_ms: int | None = None

    def obey(self, session: Session) -> None:
        """`session` is what the server says holds from now on."""
        provider = session.provider_data
        if isinstance(provider, dict) and "auto_tool_response" in provider:
            self.continues = provider["auto_tool_response"] is True
        audio = session.audio
        if not isinstance(audio, SessionAudio):
            return
        if audio.input is not UNSET:
            self.input = format_of(audio.input.format, self.input)
            self._detect(audio.input.turn_detection)
        if audio.output is not UNSET:
            self.output = format_of(audio.output.format, self.output)

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
        }


def format_of(wire: object, otherwise: AudioFormat) -> AudioFormat:
    """The audio format that a session object names (object or string), else `otherwise`."""
    if isinstance(wire, WireFormat):
        named = FORMATS.get(wire.type)
        if named is None:
            return otherwise
        if isinstance(wire.rate, int) and wire.rate in RATES:
            return named._replace(rate=wire.rate)
        return named
    return FORMATS.get(wire, otherwise) if isinstance(wire, str) else otherwise
