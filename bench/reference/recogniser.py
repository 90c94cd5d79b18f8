"""Which known utterances are inside a piece of audio: what transcription is made of.

Theory of operation
-------------------
A known utterance keeps *marks*: its loudest sample, the loudest of what lies further than 250 ms
to both sides, and so on down to what is barely audible. The 13 samples around a mark are its name
in an index. To recognise, the loudest sample of the unknown audio is found the same way, its name
looked up, and the match confirmed sample by sample over 20 ms; then the search goes on in what
the utterance does not cover. So it does not matter how much silence lies around an utterance, how
the stream was cut, or that a pause inside it split it in two: the loudest sample of either part is
a mark. An item costs a few passes of numpy's argmax, some 0.1 ms.

The utterance that comes last was said whole if what is there reaches its last sound.

Only the very samples are recognised. Another gain, rate or speaker is "[unrecognised speech]",
and where only part of an utterance is there, its words are given by share of its speaking time.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.corpus.sample_codec import decode
from bench.corpus.text_units import by_character, spoken
from bench.voice.audio import NS_PER_S
from bench.voice.utterance import Utterance

Samples = NDArray[np.int16]

UNRECOGNISED: Final = "[unrecognised speech]"

_NAME: Final = 6  # samples on either side of a mark
_FAINTEST: Final = 330  # of 32 768: -40 dBFS at the peak, below any speech that opened a turn
_MOST_PROBES: Final = 40
_SLACK_S: Final = 0.15  # a detector may clip so much of a soft edge without losing a word


class _Mark(NamedTuple):
    known: int
    at: int


class _Occurrence(NamedTuple):
    """An utterance whose first sample lies at `start`, maybe before the audio's own first."""

    known: int
    start: int


class Recogniser:
    """An index over utterances of one format."""

    def __init__(self, utterances: Iterable[Utterance]) -> None:
        self._known = [known for known in utterances if known.onset_ns is not None]
        self._samples = [decode(known.audio, known.format.type) for known in self._known]
        self._index: dict[bytes, list[_Mark]] = defaultdict(list)
        for number, samples in enumerate(self._samples):
            reach = self._known[number].format.rate // 4
            for at in _peaks(samples, reach):
                self._index[_name(samples, at)].append(_Mark(number, at))

    def text(self, samples: Samples) -> str:
        """The words of all known utterances in `samples`, in order of time, or the placeholder."""
        found = sorted(self._find(samples), key=lambda one: one.start)
        words = [self._words(one, len(samples)) for one in found]
        return " ".join(filter(None, words)) or UNRECOGNISED

    def said_whole(self, samples: Samples) -> bool | None:
        """Whether the last known utterance in `samples` was said to its end; None if none is."""
        last = max(self._find(samples), key=lambda one: one.start, default=None)
        if last is None:
            return None
        _, offset = self._span(last.known)
        return (
            offset - (len(samples) - last.start) <= _SLACK_S * self._known[last.known].format.rate
        )

    def _span(self, number: int) -> tuple[float, float]:
        """The onset and the offset of speech in a known utterance, in samples."""
        known = self._known[number]
        ends = (known.onset_ns or 0, known.offset_ns or known.duration_ns)
        return ends[0] * known.format.rate / NS_PER_S, ends[1] * known.format.rate / NS_PER_S

    def _find(self, samples: Samples) -> Iterator[_Occurrence]:
        """Yield every occurrence of a known utterance, the one around the loudest sample first."""
        pieces = [(0, len(samples))]
        for _ in range(_MOST_PROBES):
            if not pieces:
                return
            start, end = pieces.pop()
            if end - start <= 2 * _NAME:
                continue
            at = start + _loudest(samples[start:end])
            if _size(samples, at) < _FAINTEST:
                continue
            one = self._look_up(samples, at)
            if one is None:
                # Somebody else's sound, or one that the piece's edge cuts: look on either side.
                pieces += [(start, at - _NAME), (at + _NAME, end)]
                continue
            yield one
            after = one.start + len(self._samples[one.known])
            pieces += [(start, min(one.start, end)), (max(after, start), end)]

    def _look_up(self, samples: Samples, at: int) -> _Occurrence | None:
        for mark in self._index.get(_name(samples, at), ()):
            known = self._samples[mark.known]
            run = self._known[mark.known].format.rate // 50
            before = min(run // 2, at, mark.at)
            after = min(run // 2, len(samples) - at, len(known) - mark.at)
            here = samples[at - before : at + after]
            if np.array_equal(here, known[mark.at - before : mark.at + after]):
                return _Occurrence(mark.known, at - mark.at)
        return None

    def _words(self, one: _Occurrence, length: int) -> str:
        """The words of the part that is there, by share of speaking time."""
        known = self._known[one.known]
        onset, offset = self._span(one.known)
        first = max(onset, -one.start)
        last = min(offset, length - one.start)
        slack = _SLACK_S * known.format.rate
        if first - onset <= slack and offset - last <= slack:
            return known.text
        bare = by_character(spoken(known.text))
        words, blank = (list(known.text), "") if bare else (known.text.split(), " ")
        share = len(words) / max(offset - onset, 1.0)
        return blank.join(words[round((first - onset) * share) : round((last - onset) * share)])


def _size(samples: Samples, at: int) -> int:
    return abs(int(samples[at]))


def _loudest(samples: Samples) -> int:
    """Index of the largest magnitude; the earlier one where two are alike."""
    high, low = int(samples.argmax()), int(samples.argmin())
    sizes = (_size(samples, high), _size(samples, low))
    if sizes[0] == sizes[1]:
        return min(high, low)
    return high if sizes[0] > sizes[1] else low


def _name(samples: Samples, at: int) -> bytes:
    return samples[max(0, at - _NAME) : at + _NAME + 1].tobytes()


def _peaks(samples: Samples, reach: int) -> Iterator[int]:
    """The loudest sample, then the loudest of what is left beyond `reach` of it, and so on."""
    pieces = [(0, len(samples))]
    while pieces:
        start, end = pieces.pop()
        if end - start <= 2 * _NAME:
            continue
        at = start + _loudest(samples[start:end])
        if _size(samples, at) < _FAINTEST:
            continue
        yield at
        pieces += [(start, at - reach), (at + reach, end)]
