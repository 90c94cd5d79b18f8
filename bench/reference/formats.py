"""Audio formats as the wire spells them: one object, several words.

Samples of Inworld write words (`pcm16`, `g711_ulaw`), GA sessions objects; what comes back is
always an object. Only formats that `bench.reference.rules` let pass are asked about here.
"""

from typing import Any

from bench.voice.audio import FORMATS, AudioFormat


def audio_format(wire: dict[str, Any] | str) -> AudioFormat:
    """The format that a checked wire value means."""
    if isinstance(wire, str):
        return FORMATS[wire]
    named = FORMATS[wire["type"]]
    rate = wire.get("rate")
    return named._replace(rate=rate) if rate and named.type == "audio/pcm" else named
