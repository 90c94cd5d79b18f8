"""Audio formats as the wire spells them, and as this program does: one object, several words.

Samples of Inworld write words (`pcm16`, `g711_ulaw`), GA sessions objects; what comes back is
always an object. Only formats that `bench.reference.rules` let pass are asked about here.
"""

from typing import Any, Final

from bench.voice.audio import AudioFormat

_FORMAT_WORDS: Final = {
    "pcm16": "audio/pcm",
    "audio/pcm": "audio/pcm",
    "g711_ulaw": "audio/pcmu",
    "audio/pcmu": "audio/pcmu",
    "g711_alaw": "audio/pcma",
    "audio/pcma": "audio/pcma",
}


def audio_format(wire: dict[str, Any] | str | None) -> AudioFormat:
    """The format that a checked wire value means; null is the default, PCM16 at 24 kHz."""
    if wire is None:
        return AudioFormat()
    if isinstance(wire, str):
        wire = {"type": wire}
    word = _FORMAT_WORDS[wire["type"]]
    return AudioFormat(word, (wire.get("rate") or 24_000) if word == "audio/pcm" else 8_000)


def wire_format(fmt: AudioFormat) -> dict[str, Any]:
    """A format as servers write it: G.711 carries no rate."""
    return {"type": fmt.type, "rate": fmt.rate} if fmt.type == "audio/pcm" else {"type": fmt.type}
