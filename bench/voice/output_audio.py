"""What the audio of replies really is, whatever was stated: samples of one channel, whole ones.

Some servers put a WAV header before it, send two channels, or tear samples between two deltas. Here
a delta becomes PCM16 or G.711 of one channel in `format`, and what had to be borne is an oddity of
its message. Without a header two channels are known by being alike: nothing else that is heard has
every sample twice.
"""

import struct
from array import array
from typing import Final, NamedTuple

from bench.protocol.repair import Oddity
from bench.voice.audio import AudioFormat
from bench.voice.effective import RATES

_RIFF: Final = b"RIFF"
_LONGEST_HEADER: Final = 4096
_CODECS: Final = {1: "audio/pcm", 6: "audio/pcma", 7: "audio/pcmu"}
"""By the format tag of a WAV header (RFC 2361)."""
_BITS: Final = {"audio/pcm": 16, "audio/pcma": 8, "audio/pcmu": 8}
_ENOUGH: Final = 16
"""Different levels that come in pairs before two channels are believed: silence has one, and a
single pair that differs shows one channel."""


class Header(NamedTuple):
    """A WAV header: what follows it, in how many channels, and where that begins.

    `format` is None where it is none of the API's: PCM of 8 or 24 bits, floats, a compressed codec.
    """

    format: AudioFormat | None
    channels: int
    offset: int


class OutputAudio:
    """The audio of one session's replies, delta by delta. `format` is what it is in."""

    def __init__(self) -> None:
        self.format = AudioFormat()
        self._stated = self.format
        self._channels = 1
        self._unsure = True
        self._header = self._rest = self._half = b""
        self._item_id = ""
        self._plain = False

    def state(self, stated: AudioFormat) -> None:
        """The server says that it is in this format."""
        if stated != self._stated:
            self._stated = self.format = stated
            self._channels, self._unsure, self._plain = 1, True, False
            self._header = self._rest = self._half = b""

    def take(self, item_id: str, delta: bytes, odd: list[Oddity]) -> bytes:
        """The samples of a delta, one channel of them; what was odd is added to `odd`."""
        if self._plain and item_id == self._item_id and not len(delta) & 1 and delta[:4] != _RIFF:
            return delta  # as nearly all are; none waits for the rest of another
        delta = self._mended(item_id, delta, odd)
        sure = not (self._unsure or self._header or self._rest)
        self._plain = sure and self._channels == 1 and self.format.type == "audio/pcm"
        return delta

    def _mended(self, item_id: str, delta: bytes, odd: list[Oddity]) -> bytes:
        if item_id != self._item_id:
            self._item_id = item_id
            self._header = self._rest = self._half = b""
        if self._header:
            delta, self._header = self._header + delta, b""
        if delta.startswith(_RIFF):
            delta = self._unwrapped(delta, odd)
        if self._rest:
            delta, self._rest = self._rest + delta, b""
        if torn := len(delta) % (self.format.bytes_per_sample * self._channels):
            odd.append(Oddity("odd_deltas", f"{len(delta)} bytes"))
            self._rest, delta = delta[-torn:], delta[:-torn]
        if self.format.type != "audio/pcm":
            return delta[:: self._channels]
        if self._unsure:
            delta = self._looked_at(delta, odd)
        return array("h", delta)[:: self._channels].tobytes() if self._channels > 1 else delta

    def _unwrapped(self, delta: bytes, odd: list[Oddity]) -> bytes:
        header = read_header(delta)
        if header is None:  # the rest of it is still to come, or it is none
            if len(delta) < _LONGEST_HEADER:
                self._header = delta
                return b""
            return delta
        if header.format is None:
            stated = f"{self._stated.type} {self._stated.rate}"
            odd.append(Oddity("unread_header", f"taken for {stated}, as the session states"))
            return delta[header.offset :]
        self.format, self._channels, self._unsure = header.format, header.channels, False
        said = f"{header.format.type} {header.format.rate}, {header.channels} channels"
        odd.append(Oddity("wav_header", said))
        if header.format != self._stated:
            stated = f"{self._stated.type} {self._stated.rate}"
            odd.append(Oddity("other_format", f"{said} in place of {stated}"))
        return delta[header.offset :]

    def _looked_at(self, delta: bytes, odd: list[Oddity]) -> bytes:
        """Find out from the first deltas that are no silence whether they have two channels.

        What comes before that is known is taken for one. `_half` is the last sample before this
        delta, where an odd number of samples came: it was given, and this delta has its twin.
        """
        half, pairs = self._half, self._half + delta
        torn = len(pairs) % 4
        samples = array("h", pairs[: len(pairs) - torn])
        self._half = pairs[len(pairs) - torn :]
        if samples[::2] != samples[1::2]:
            self._unsure = False
            return delta
        if len(set(samples)) < _ENOUGH:
            return delta
        self._unsure, self._channels = False, 2
        odd.append(Oddity("two_channels", f"{len(delta)} bytes, every sample twice"))
        self._rest = self._half + self._rest
        return samples[2 if half else 0 :].tobytes()


def read_header(audio: bytes) -> Header | None:
    """The WAV header that `audio` begins with; None: it is not whole, or there is none."""
    if audio[8:12] != b"WAVE":
        return None
    at, found = 12, None
    while at + 8 <= len(audio):
        name, size = audio[at : at + 4], int.from_bytes(audio[at + 4 : at + 8], "little")
        at += 8
        if name == b"data":
            return found and found._replace(offset=at)
        if name == b"fmt " and at + 16 <= len(audio):
            tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", audio, at)
            codec = _CODECS.get(tag, "")
            known = channels and rate in RATES and bits == _BITS.get(codec)
            found = Header(AudioFormat(codec, rate) if known else None, channels, 0)
        at += size + size % 2
    return None
