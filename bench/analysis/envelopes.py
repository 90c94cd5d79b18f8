"""Audible windows of audio deltas, by the level bytes that the log carries, a byte per 10 ms."""

from collections.abc import Sequence

import numpy as np

from bench.analysis.tables import Ints
from bench.tracker.playout import AUDIBLE


def audible_windows(envelopes: Sequence[bytes | None]) -> tuple[Ints, Ints]:
    """The first and last audible window of each delta; -1 where none is."""
    parts = [part if isinstance(part, bytes) else b"" for part in envelopes]
    lengths = np.fromiter(map(len, parts), np.int64, len(parts))
    levels, bounds = np.frombuffer(b"".join(parts), np.uint8), np.cumsum(lengths)
    hits = np.flatnonzero(levels >= AUDIBLE)
    begin, end = bounds - lengths, bounds
    if not len(hits):
        none = np.full(len(begin), -1, np.int64)
        return none, none
    after = hits[np.minimum(np.searchsorted(hits, begin), len(hits) - 1)]
    before = hits[np.maximum(np.searchsorted(hits, end) - 1, 0)]
    some = (after >= begin) & (after < end)
    return np.where(some, after - begin, -1), np.where(some, before - begin, -1)
