"""The outgoing timeline: an open microphone, chunk after chunk, silence when nobody speaks.

Theory of operation
-------------------
A microphone that was opened at `opened_ns` has captured the sample at media position *p* at
`opened_ns + p`: media position and wall time are the same line. Chunk *n* holds the positions
[n·chunk, (n+1)·chunk) and exists only once its last sample does, so it is due at
`opened_ns + (n+1)·chunk` (sending it at the start of its own interval would be a chunk optimistic:
flaw F3). Every due instant is computed from *n*, never from the one before, so no delay anywhere
can make the audio clock drift (F1), and a late chunk is followed by the next at its own instant.

An utterance starts on a chunk boundary, so its chunks are encoded once for all callers that ever
say it (`Recording`), and the hot path only sends. The boundary is the first that has not begun:
speech cannot start in the past.

What it refuses to know: clocks, sockets, what the server makes of it.
"""

from functools import cache
from typing import NamedTuple

from bench.protocol.client import InputAudioBufferAppend
from bench.protocol.codec import encode
from bench.voice.audio import AudioFormat
from bench.voice.utterance import Utterance

APPEND = "input_audio_buffer.append"


class Recording(NamedTuple):
    """An utterance cut into chunks and encoded: `payloads[n]` is the JSON text of its n-th append.

    The last chunk is filled up with silence. Shared by every session of a worker.
    """

    utterance: Utterance
    payloads: tuple[bytes, ...]


class Chunk(NamedTuple):
    """One chunk of the timeline, ready to send. `media_ns` is the position of its first sample.

    `silent`: nothing is being said in it.
    """

    payload: bytes
    due_ns: int
    media_ns: int
    silent: bool


def record(utterance: Utterance, chunk_ns: int) -> Recording:
    """Cut and encode `utterance` into appends of `chunk_ns`."""
    size = utterance.format.nbytes(chunk_ns)
    audio = utterance.audio
    cuts = [audio[at : at + size] for at in range(0, len(audio), size)]
    if cuts:
        cuts[-1] += utterance.format.silence(size - len(cuts[-1]))
    return Recording(utterance, tuple(encode(InputAudioBufferAppend(audio=cut)) for cut in cuts))


@cache
def _silence(fmt: AudioFormat, nbytes: int) -> bytes:
    return encode(InputAudioBufferAppend(audio=fmt.silence(nbytes)))


class Microphone:
    """One caller's open microphone. `chunk_ns` is fixed for its life."""

    def __init__(self, opened_ns: int, chunk_ns: int, fmt: AudioFormat) -> None:
        self.opened_ns = opened_ns
        self.chunk_ns = chunk_ns
        self.chunk_bytes = fmt.nbytes(chunk_ns)
        self._format = fmt
        self._silence = _silence(fmt, self.chunk_bytes)
        self.due_ns = opened_ns + chunk_ns
        """When the next chunk may be sent: the instant at which its last sample is captured."""
        self._index = 0
        self._speech: dict[int, bytes] = {}
        self._free = 0

    def say(self, recording: Recording, now_ns: int) -> int:
        """Place `recording` on the timeline; returns the media position (ns) of its first sample.

        It starts on the first chunk boundary that is neither past nor before the end of what is
        being said already.
        """
        begun = -((self.opened_ns - now_ns) // self.chunk_ns)
        start = max(begun, self._index, self._free)
        for offset, payload in enumerate(recording.payloads):
            self._speech[start + offset] = payload
        self._free = start + len(recording.payloads)
        return start * self.chunk_ns

    def switch(self, fmt: AudioFormat) -> None:
        """From the next chunk on the server hears in this format; what was to be said is lost."""
        if fmt != self._format:
            self._format = fmt
            self.chunk_bytes = fmt.nbytes(self.chunk_ns)
            self._silence = _silence(fmt, self.chunk_bytes)
            self._speech.clear()

    def take(self) -> Chunk:
        """The next chunk; the timeline moves on by one."""
        index = self._index
        speech = self._speech.pop(index, None)
        payload = self._silence if speech is None else speech
        chunk = Chunk(payload, self.due_ns, index * self.chunk_ns, speech is None)
        self._index += 1
        self.due_ns = self.opened_ns + (self._index + 1) * self.chunk_ns
        return chunk
