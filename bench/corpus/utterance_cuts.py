"""Where a long recording is cut into utterances, and an utterance out of its silence.

Theory of operation
-------------------
The VAD says where somebody speaks (`annotate.vad_spans`). Stretches that are less than `GAP_MS`
apart are one utterance; a cut lies in the middle of the silence between two, and no further from
speech than `_MARGIN_MS`. An utterance that would be longer than a corpus takes is cut at its widest
gaps, whatever their length. A piece is annotated like any other recording: its truth is that of the
samples it has, not one reckoned from the whole.
"""

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from bench.corpus.annotate import VAD_RATE, Annotation, vad_spans
from bench.corpus.decode import to_int16
from bench.corpus.tape import Tape, resampled

GAP_MS: Final = 700
"""Silence that ends an utterance: longer than a pause in a sentence, and than most detectors'."""

TRIM_MS: Final = 200
"""Silence that is left before and after speech that is trimmed."""

_MARGIN_MS: Final = 500  # more than speech is looked for beyond the VAD's marks

_Span = tuple[int, int]


class Cut(NamedTuple):
    """A piece of a tape, from frame `first` up to `last`."""

    first: int
    last: int


def speech_cuts(tape: Tape, longest_ms: int, gap_ms: int = GAP_MS) -> list[Cut]:
    """The utterances of a tape in order; none where nobody speaks."""
    waves = (block.astype(np.float32) / np.float32(32_768) for block in tape.blocks())
    spans = vad_spans(to_int16(wave) for wave in resampled(waves, tape.rate, VAD_RATE))
    end_ms = tape.frames * 1000 // tape.rate
    groups = [part for group in _joined(spans, gap_ms) for part in _parted(group, longest_ms)]
    edges = [(group[0][0], group[-1][1]) for group in groups]
    cuts = []
    for at, (start, end) in enumerate(edges):
        before = edges[at - 1][1] if at else -2 * _MARGIN_MS
        after = edges[at + 1][0] if at + 1 < len(edges) else end_ms + 2 * _MARGIN_MS
        first = max(0, start - _MARGIN_MS, (before + start) // 2)
        last = min(end_ms, end + _MARGIN_MS, (end + after) // 2)
        cuts.append(Cut(first * tape.rate // 1000, last * tape.rate // 1000))
    return cuts


def trimmed(cut: Cut, truth: Annotation, rate: int) -> Cut:
    """A piece without the silence around its speech but for `TRIM_MS`; as it is without speech."""
    if truth.onset_ms is None or truth.offset_ms is None:
        return cut
    first = cut.first + int(max(0.0, truth.onset_ms - TRIM_MS)) * rate // 1000
    last = cut.first + int(truth.offset_ms + TRIM_MS) * rate // 1000
    return Cut(first, min(cut.last, last))


def _joined(spans: list[_Span], gap_ms: int) -> list[list[_Span]]:
    """Spans that are less than `gap_ms` apart, together."""
    groups: list[list[_Span]] = []
    for span in spans:
        if groups and span[0] - groups[-1][-1][1] < gap_ms:
            groups[-1].append(span)
        else:
            groups.append([span])
    return groups


def _parted(group: list[_Span], longest_ms: int) -> list[list[_Span]]:
    """A group, cut at its widest gaps until no part is too long with its margins, or has no gap."""
    if group[-1][1] - group[0][0] + 2 * _MARGIN_MS <= longest_ms or len(group) == 1:
        return [group]
    gaps = [after[0] - before[1] for before, after in pairwise(group)]
    at = gaps.index(max(gaps)) + 1
    return _parted(group[:at], longest_ms) + _parted(group[at:], longest_ms)
