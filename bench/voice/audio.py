"""Audio arithmetic: bytes to nanoseconds and back, for every format the API speaks.

Theory of operation
-------------------
A format is a codec and a rate. All formats here have a fixed number of bytes per sample, so
duration and size are the same fact; everything is `int` and exact: `duration_ns` rounds down to
a nanosecond, which at 24 kHz loses under one nanosecond whatever the length, because it is
always computed from the whole size and never summed.

What it refuses to know: samples. Nothing here looks inside the bytes (`bench.corpus` does).
"""

from typing import Any, NamedTuple

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

_BYTES_PER_SAMPLE = {"audio/pcm": 2, "audio/pcmu": 1, "audio/pcma": 1}


class AudioFormat(NamedTuple):
    """A codec by the API's own name, and samples a second. Mono, little-endian where it matters."""

    type: str = "audio/pcm"
    rate: int = 24_000

    @property
    def bytes_per_sample(self) -> int:
        return _BYTES_PER_SAMPLE[self.type]

    def duration_ns(self, nbytes: int) -> int:
        """Nanoseconds that `nbytes` play for, rounded down."""
        return nbytes * NS_PER_S // (self.rate * _BYTES_PER_SAMPLE[self.type])

    def nbytes(self, duration_ns: int) -> int:
        """Bytes of the whole samples that fit into `duration_ns`."""
        return duration_ns * self.rate // NS_PER_S * self.bytes_per_sample

    def silence(self, nbytes: int) -> bytes:
        """`nbytes` of digital silence: zero for PCM16, the codec's own zero for G.711."""
        return {"audio/pcm": b"\x00", "audio/pcmu": b"\xff", "audio/pcma": b"\xd5"}[
            self.type
        ] * nbytes

    def whole(self, audio: bytes) -> bytes:
        """`audio` without the torn sample at its end, if there is one."""
        return audio[: len(audio) // self.bytes_per_sample * self.bytes_per_sample]

    @property
    def wire(self) -> dict[str, Any]:
        """The object that the API writes for it: G.711 carries no rate."""
        pcm = self.type == "audio/pcm"
        return {"type": self.type, "rate": self.rate} if pcm else {"type": self.type}


PCM16_24K = AudioFormat()
FORMATS = {
    "audio/pcm": PCM16_24K,
    "pcm16": PCM16_24K,
    "audio/pcmu": AudioFormat("audio/pcmu", 8_000),
    "g711_ulaw": AudioFormat("audio/pcmu", 8_000),
    "audio/pcma": AudioFormat("audio/pcma", 8_000),
    "g711_alaw": AudioFormat("audio/pcma", 8_000),
}
"""By the words of the API and of its beta; PCM16 may say another rate."""


def ms(value: float) -> int:
    """`value` milliseconds as nanoseconds: for scripts and tests, where people think in ms."""
    return round(value * NS_PER_MS)
