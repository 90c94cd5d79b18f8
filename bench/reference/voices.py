"""What the server can say and what it knows when it hears it: one corpus in every format.

Theory of operation
-------------------
Replies are the utterances tagged `reply`. Over a corpus without any the server hums (`HUMS_MS`):
the callers' own sentences in its mouth would be leaks.
A reply starts at its first audible window (`bench.corpus.energy`), so that the silence before the
voice is the silence that the profile drew and nothing else. Where the server has nothing to say
yet, or only listens, it hums.

A format is loaded on first use and kept, shared by all sessions; so is a reply at another speed,
whose pitch follows its speed, as on a tape, and of which the last 256 are kept. That takes some
tenths of a second for a format of the shipped corpus, so whoever may not wait asks first (`has`)
and has it made beside (`make`), in another thread if need be: what is made is put in its place
whole.
"""

from collections.abc import Callable
from functools import lru_cache
from threading import Lock
from typing import Final, NamedTuple, Self

import numpy as np

from bench.corpus.decode import resample
from bench.corpus.energy import WINDOW_MS, envelope, first_audible
from bench.corpus.sample_codec import decode, encode
from bench.reference.recogniser import Recogniser
from bench.voice.audio import AudioFormat, ms
from bench.voice.utterance import Utterance

REPLY: Final = "reply"
"""The tag of utterances that are said to callers, and not by them."""
HUMS_MS: Final = (1200, 1800, 2600, 4000)
"""How long the replies of a server are that has nothing to say."""

_HUMMED: Final = "Hm hm hm."
_MOST_PACED: Final = 256
_HUM_HZ: Final = 140
_HUM_LEVEL: Final = 6000
_HUM_SOFT_S: Final = 0.04


class Sound(NamedTuple):
    """What a session hears and speaks in: a format, and how fast it is spoken."""

    format: AudioFormat
    speed: float = 1.0


class RecordedReply(NamedTuple):
    """Something the server can say: audio from its first audible sample on, and its words."""

    audio: bytes
    text: str

    @property
    def words(self) -> tuple[str, ...]:
        """The text word by word, each but the first with the blank before it: joined, the text."""
        first, *others = self.text.split() or [""]
        return (first, *(f" {word}" for word in others))


class SpokenReply(NamedTuple):
    """A reply as it is spoken: `filler`, `silence` bytes of silence, the voice, more silence.

    It is `nbytes` long: less than its parts where it is cut off, more where it is padded.
    """

    reply: RecordedReply
    format: AudioFormat
    silence: int
    nbytes: int
    filler: bytes = b""

    @classmethod
    def of(
        cls,
        reply: RecordedReply,
        fmt: AudioFormat,
        silence_ns: int,
        longest_ns: int | None,
        *,
        filler: bytes = b"",
        padding_ns: int = 0,
    ) -> Self:
        """`reply` behind some silence, cut off after `longest_ns` where that is given.

        A filler comes before that and does not count; what is cut off is not padded.
        """
        silence = fmt.nbytes(silence_ns)
        nbytes = silence + len(reply.audio)
        if longest_ns is not None and fmt.nbytes(longest_ns) < nbytes:
            nbytes = fmt.nbytes(longest_ns)
        else:
            nbytes += fmt.nbytes(padding_ns)
        return cls(reply, fmt, silence, len(filler) + nbytes, filler)

    def part(self, start: int, end: int) -> bytes:
        """Bytes `start` … `end` of the whole, without copying the rest."""
        voice = len(self.filler) + self.silence
        tail = voice + len(self.reply.audio)
        end = min(end, self.nbytes)
        if start >= voice and end <= tail:
            return self.reply.audio[start - voice : end - voice]

        def silence(first: int, last: int) -> bytes:
            return self.format.silence(max(0, min(end, last) - max(start, first)))

        spoken = self.reply.audio[max(0, start - voice) : max(0, end - voice)]
        quiet, padding = silence(len(self.filler), voice), silence(tail, self.nbytes)
        return self.filler[start:end] + quiet + spoken + padding


class Voices:
    """Replies and known speech by format. `load` gives the whole corpus in one format."""

    def __init__(self, load: Callable[[AudioFormat], tuple[Utterance, ...]]) -> None:
        self._load = load
        self._utterances: dict[AudioFormat, tuple[Utterance, ...]] = {}
        self._replies: dict[AudioFormat, tuple[RecordedReply, ...]] = {}
        self._recognisers: dict[AudioFormat, Recogniser] = {}
        self._paced: dict[tuple[AudioFormat, int, float], RecordedReply] = {}
        self._pacing = Lock()

    @classmethod
    def of(cls, *utterances: Utterance) -> Self:
        """Voices of utterances at hand, converted where another format is wanted."""
        return cls(lambda fmt: tuple(_convert(one, fmt) for one in utterances))

    def replies(self, fmt: AudioFormat) -> tuple[RecordedReply, ...]:
        """All that can be said, at least one."""
        if fmt not in self._replies:
            tagged = (
                one for one in self._corpus(fmt) if one.onset_ns is not None and REPLY in one.tags
            )
            self._replies[fmt] = tuple(
                RecordedReply(_from_audible(one), one.text) for one in tagged
            ) or tuple(RecordedReply(hum(fmt, length), _HUMMED) for length in HUMS_MS)
        return self._replies[fmt]

    def reply(self, fmt: AudioFormat, number: int, speed: float = 1.0) -> RecordedReply:
        """One of the replies, spoken at `speed` times its own speed."""
        reply = self.replies(fmt)[number]
        if speed == 1.0:
            return reply
        key = (fmt, number, speed)
        paced = self._paced.get(key)
        if paced is None:
            samples = resample(decode(reply.audio, fmt.type), round(fmt.rate * speed), fmt.rate)
            paced = reply._replace(audio=encode(samples, fmt.type))
            with self._pacing:  # for as long as the dict takes, and no longer
                if len(self._paced) >= _MOST_PACED:
                    del self._paced[next(iter(self._paced))]
                self._paced[key] = paced
        return paced

    def recogniser(self, fmt: AudioFormat) -> Recogniser:
        """The recogniser of the corpus in this format."""
        if fmt not in self._recognisers:
            self._recognisers[fmt] = Recogniser(self._corpus(fmt))
        return self._recognisers[fmt]

    def has(self, sound: Sound) -> bool:
        """Whether all that a session needs in this sound is there."""
        fmt, speed = sound
        if fmt not in self._replies or fmt not in self._recognisers:
            return False
        return speed == 1.0 or all((fmt, n, speed) in self._paced for n in self._numbers(fmt))

    def make(self, sound: Sound) -> None:
        """Make all that a session needs in this sound, which may take tenths of a second."""
        self.recogniser(sound.format)
        for number in self._numbers(sound.format):
            self.reply(sound.format, number, sound.speed)

    def _numbers(self, fmt: AudioFormat) -> range:
        """The numbers of the replies kept at another speed: of a large corpus not all."""
        return range(min(len(self.replies(fmt)), _MOST_PACED // 4))

    def _corpus(self, fmt: AudioFormat) -> tuple[Utterance, ...]:
        if fmt not in self._utterances:
            self._utterances[fmt] = self._load(fmt)
        return self._utterances[fmt]


@lru_cache(maxsize=64)
def hum(fmt: AudioFormat, length_ms: int, gain: float = 1.0) -> bytes:
    """A vowel of 140 Hz with a soft beginning and end, at -20 dBFS times the linear `gain`.

    Audible, voiced, and in no corpus, so that no recogniser takes it for words.
    """
    count = fmt.rate * length_ms // 1000
    at = np.arange(count) / fmt.rate
    wave = sum(np.sin(2 * np.pi * _HUM_HZ * n * at) / n**2 for n in range(1, 8))
    soft = np.minimum(1.0, np.minimum(at, at[::-1]) / _HUM_SOFT_S)
    return encode(np.rint(wave * soft * _HUM_LEVEL * gain).astype(np.int16), fmt.type)


def _from_audible(one: Utterance) -> bytes:
    samples = decode(one.audio, one.format.type)
    quiet = first_audible(envelope(samples, one.format.rate)) or 0
    return one.audio[one.format.nbytes(ms(quiet * WINDOW_MS)) :]


def _convert(one: Utterance, fmt: AudioFormat) -> Utterance:
    if one.format == fmt:
        return one
    samples = resample(decode(one.audio, one.format.type), one.format.rate, fmt.rate)
    return one._replace(audio=encode(samples, fmt.type), format=fmt)
