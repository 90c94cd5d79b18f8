"""What the server can say and what it knows when it hears it: one corpus in every format.

Theory of operation
-------------------
Replies are the utterances tagged `reply`; a corpus without any lends its speech, whoever speaks.
A reply starts at its first audible window (`bench.corpus.energy`), so that the silence before the
voice is the silence that the profile drew and nothing else.

A format is loaded on first use and kept, shared by all sessions; so is a reply at another speed,
whose pitch follows its speed, as on a tape, and of which the last 256 are kept. That takes some
tenths of a second for a format of the shipped corpus, so whoever may not wait asks first (`has`)
and has it made beside (`make`), in another thread if need be: what is made is put in its place
whole.
"""

from collections.abc import Callable
from threading import Lock
from typing import Final, NamedTuple, Self

from bench.corpus.codec import decode, encode
from bench.corpus.decode import resample
from bench.corpus.energy import WINDOW_MS, envelope, first_audible
from bench.errors import CorpusError
from bench.reference.recognise import Recogniser
from bench.reference.speech import Reply
from bench.voice.audio import AudioFormat, ms
from bench.voice.utterance import Utterance

_MOST_PACED: Final = 256


class Sound(NamedTuple):
    """What a session hears and speaks in: a format, and how fast it is spoken."""

    format: AudioFormat
    speed: float = 1.0


class Repertoire:
    """Replies and known speech by format. `load` gives the whole corpus in one format."""

    def __init__(self, load: Callable[[AudioFormat], tuple[Utterance, ...]]) -> None:
        self._load = load
        self._utterances: dict[AudioFormat, tuple[Utterance, ...]] = {}
        self._replies: dict[AudioFormat, tuple[Reply, ...]] = {}
        self._recognisers: dict[AudioFormat, Recogniser] = {}
        self._paced: dict[tuple[AudioFormat, int, float], Reply] = {}
        self._pacing = Lock()

    @classmethod
    def of(cls, *utterances: Utterance) -> Self:
        """A repertoire of utterances at hand, converted where another format is wanted."""
        return cls(lambda fmt: tuple(_convert(one, fmt) for one in utterances))

    def replies(self, fmt: AudioFormat) -> tuple[Reply, ...]:
        """All that can be said, at least one. CorpusError where the corpus has no speech."""
        if fmt not in self._replies:
            speech = [one for one in self._corpus(fmt) if one.onset_ns is not None]
            tagged = [one for one in speech if "reply" in one.tags] or speech
            if not tagged:
                raise CorpusError("no utterance of this corpus is speech; the server needs a voice")
            self._replies[fmt] = tuple(Reply(_from_audible(one), one.text) for one in tagged)
        return self._replies[fmt]

    def reply(self, fmt: AudioFormat, number: int, speed: float = 1.0) -> Reply:
        """One of the replies, spoken at `speed` times its own speed."""
        reply = self.replies(fmt)[number]
        if speed == 1.0:
            return reply
        key = (fmt, number, speed)
        paced = self._paced.get(key)
        if paced is None:
            paced = reply._replace(audio=_at_speed(reply.audio, fmt, speed))
            with self._pacing:  # for as long as the dict takes, and no longer
                if len(self._paced) >= _MOST_PACED:
                    del self._paced[next(iter(self._paced))]
                self._paced[key] = paced
        return paced

    def recogniser(self, fmt: AudioFormat) -> Recogniser:
        """What knows the corpus by ear in this format."""
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
        """Make all of that, where it is not there: the work of tenths of a second."""
        self.recogniser(sound.format)
        for number in self._numbers(sound.format):
            self.reply(sound.format, number, sound.speed)

    def _numbers(self, fmt: AudioFormat) -> range:
        """The replies that are kept at another speed: of a large corpus not all."""
        return range(min(len(self.replies(fmt)), _MOST_PACED // 4))

    def _corpus(self, fmt: AudioFormat) -> tuple[Utterance, ...]:
        if fmt not in self._utterances:
            self._utterances[fmt] = self._load(fmt)
        return self._utterances[fmt]


def _from_audible(one: Utterance) -> bytes:
    samples = decode(one.audio, one.format.type)
    quiet = first_audible(envelope(samples, one.format.rate)) or 0
    return one.audio[one.format.nbytes(ms(quiet * WINDOW_MS)) :]


def _at_speed(audio: bytes, fmt: AudioFormat, speed: float) -> bytes:
    samples = resample(decode(audio, fmt.type), round(fmt.rate * speed), fmt.rate)
    return encode(samples, fmt.type)


def _convert(one: Utterance, fmt: AudioFormat) -> Utterance:
    if one.format == fmt:
        return one
    samples = resample(decode(one.audio, one.format.type), one.format.rate, fmt.rate)
    return one._replace(audio=encode(samples, fmt.type), format=fmt)
