"""One reply as it is spoken: silence, voice and words, cut into deltas without copying the rest."""

from typing import NamedTuple

from bench.voice.audio import AudioFormat


class Reply(NamedTuple):
    """Something the server can say: audio from its first audible sample on, and its words."""

    audio: bytes
    text: str


class Speech(NamedTuple):
    """A reply in one format behind `silence` bytes of silence, cut off after `nbytes`."""

    reply: Reply
    format: AudioFormat
    silence: int
    nbytes: int

    def part(self, start: int, end: int) -> bytes:
        """Bytes `start` … `end` of silence and voice together."""
        end = min(end, self.nbytes)
        quiet = self.format.silence(max(0, min(end, self.silence) - start))
        return quiet + self.reply.audio[max(0, start - self.silence) : max(0, end - self.silence)]


def speech(reply: Reply, fmt: AudioFormat, silence_ns: int, longest_ns: int | None) -> Speech:
    """`reply` behind `silence_ns` of silence, cut off after `longest_ns` where that is given."""
    silence = fmt.nbytes(silence_ns)
    nbytes = silence + len(reply.audio)
    if longest_ns is not None:
        nbytes = min(nbytes, fmt.nbytes(longest_ns))
    return Speech(reply, fmt, silence, nbytes)


def words(text: str) -> tuple[str, ...]:
    """`text` word by word, each but the first with the blank before it: joined, they are `text`."""
    first, *others = text.split() or [""]
    return (first, *(f" {word}" for word in others))
