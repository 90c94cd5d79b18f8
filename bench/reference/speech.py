"""One reply as it is spoken: filler, silence, voice and padding, cut without copying the rest."""

from typing import NamedTuple

from bench.voice.audio import AudioFormat


class Reply(NamedTuple):
    """Something the server can say: audio from its first audible sample on, and its words."""

    audio: bytes
    text: str


class Speech(NamedTuple):
    """A reply in one format: `filler`, `silence` bytes of silence, the voice, and then silence.

    It is `nbytes` long: less than its parts where it is cut off, more where it is padded.
    """

    reply: Reply
    format: AudioFormat
    silence: int
    nbytes: int
    filler: bytes = b""

    def part(self, start: int, end: int) -> bytes:
        """Bytes `start` … `end` of the whole."""
        voice = len(self.filler) + self.silence
        tail = voice + len(self.reply.audio)
        end = min(end, self.nbytes)
        if start >= voice and end <= tail:
            return self.reply.audio[start - voice : end - voice]
        quiet = self.format.silence(_overlap(start, end, len(self.filler), voice))
        spoken = self.reply.audio[max(0, start - voice) : max(0, end - voice)]
        padding = self.format.silence(_overlap(start, end, tail, self.nbytes))
        return self.filler[start:end] + quiet + spoken + padding


def speech(
    reply: Reply,
    fmt: AudioFormat,
    silence_ns: int,
    longest_ns: int | None,
    *,
    filler: bytes = b"",
    padding_ns: int = 0,
) -> Speech:
    """`reply` behind `silence_ns` of silence, cut off after `longest_ns` where that is given.

    A filler comes before that and does not count; what is cut off is not padded.
    """
    silence = fmt.nbytes(silence_ns)
    nbytes = silence + len(reply.audio)
    if longest_ns is not None and fmt.nbytes(longest_ns) < nbytes:
        nbytes = fmt.nbytes(longest_ns)
    else:
        nbytes += fmt.nbytes(padding_ns)
    return Speech(reply, fmt, silence, len(filler) + nbytes, filler)


def words(text: str) -> tuple[str, ...]:
    """`text` word by word, each but the first with the blank before it: joined, they are `text`."""
    first, *others = text.split() or [""]
    return (first, *(f" {word}" for word in others))


def _overlap(start: int, end: int, first: int, last: int) -> int:
    return max(0, min(end, last) - max(start, first))
