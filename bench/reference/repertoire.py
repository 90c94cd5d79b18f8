"""What the server can say and what it knows when it hears it: one corpus in every format.

Theory of operation
-------------------
Replies are the utterances tagged `reply`; a corpus without any lends its speech, whoever speaks.
A reply starts at its first audible window (`bench.corpus.energy`), so that the silence before the
voice is the silence that the profile drew and nothing else.

A format is loaded on first use and kept, shared by all sessions. First use stops the whole server
for as long as the conversion takes (a second or so for the shipped corpus); the profile's `rates`
are made ready before the server says that it is. A reply at another speed is made on its first use,
some ms each, and the last 256 are kept; its pitch follows its speed, as on a tape.
"""

from collections.abc import Callable
from typing import Final, Self

from bench.corpus.codec import decode, encode
from bench.corpus.decode import resample
from bench.corpus.energy import WINDOW_MS, envelope, first_audible
from bench.errors import CorpusError
from bench.reference.recognise import Recogniser
from bench.reference.speech import Reply
from bench.voice.audio import AudioFormat, ms
from bench.voice.utterance import Utterance

_MOST_PACED: Final = 256


class Repertoire:
    """Replies and known speech by format. `load` gives the whole corpus in one format."""

    def __init__(self, load: Callable[[AudioFormat], tuple[Utterance, ...]]) -> None:
        self._load = load
        self._utterances: dict[AudioFormat, tuple[Utterance, ...]] = {}
        self._replies: dict[AudioFormat, tuple[Reply, ...]] = {}
        self._recognisers: dict[AudioFormat, Recogniser] = {}
        self._paced: dict[tuple[AudioFormat, int, float], Reply] = {}

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
        if key not in self._paced:
            if len(self._paced) >= _MOST_PACED:
                del self._paced[next(iter(self._paced))]
            self._paced[key] = reply._replace(audio=_at_speed(reply.audio, fmt, speed))
        return self._paced[key]

    def recogniser(self, fmt: AudioFormat) -> Recogniser:
        """What knows the corpus by ear in this format."""
        if fmt not in self._recognisers:
            self._recognisers[fmt] = Recogniser(self._corpus(fmt))
        return self._recognisers[fmt]

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
