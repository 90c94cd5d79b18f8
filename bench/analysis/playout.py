"""What each caller heard and when: the player of `bench.voice.playout`, for all sessions at once.

Theory of operation
-------------------
A player is first in, first out. Delta *i* starts at max(arrival_i, end_{i-1}); the first delta of
an item is held back by the jitter buffer where the player is empty; an interruption (`bench.flush`)
empties it. Flushes cut a session's deltas into *epochs*, and what arrives after a flush for a
response that had begun before it never reaches the player.

Within a *run* (deltas of one item in a row) that starts at s, with D_i the audio before delta i,
start_i = D_i + max(s, max_{1≤j≤i}(arrival_j - D_j)): a running maximum, so a whole table of deltas
is one pass. Only the start of a run depends on the end of the run before it, and not monotonically
(the jitter buffer), so runs are walked by rank: the n-th run of every epoch at the same time.

Audibility comes from the level bytes that the log carries (half-decibels, see `AUDIBLE`), so no
sample is needed.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.tables import ALWAYS, NEVER, Ints

WINDOW_NS: Final = 10_000_000
AUDIBLE_DBFS: Final = -50.0
"""Softer than the softest syllable of nominal speech (-26 dBFS, syllables down to 20 dB below it),
louder than the idle noise of 8 bit G.711 and comfort noise (below -55 dBFS)."""
AUDIBLE: Final = int(np.ceil(2 * (AUDIBLE_DBFS + 127.5)))
"""The smallest level byte that is audible: dBFS = byte / 2 - 127.5, and 0 is digital silence."""


def audible_windows(envelopes: Sequence[bytes | None]) -> tuple[Ints, Ints]:
    """The first and last audible 10 ms window of each delta; -1 where none is."""
    levels, bounds = _flat(envelopes)
    hits = np.flatnonzero(levels >= AUDIBLE)
    begin, end = bounds[:-1], bounds[1:]
    if not len(hits):
        none = np.full(len(begin), -1, np.int64)
        return none, none
    after = hits[np.minimum(np.searchsorted(hits, begin), len(hits) - 1)]
    before = hits[np.maximum(np.searchsorted(hits, end) - 1, 0)]
    some = (after >= begin) & (after < end)
    return np.where(some, after - begin, -1), np.where(some, before - begin, -1)


def audible_spans(envelopes: Sequence[bytes | None]) -> tuple[NDArray[np.intp], Ints]:
    """Every audible window of every delta: (which delta, which window of it)."""
    levels, bounds = _flat(envelopes)
    hits = np.flatnonzero(levels >= AUDIBLE)
    delta = np.searchsorted(bounds, hits, side="right") - 1
    return delta, (hits - bounds[delta]).astype(np.int64)


def _flat(envelopes: Sequence[bytes | None]) -> tuple[NDArray[np.uint8], Ints]:
    parts = [part if isinstance(part, bytes) else b"" for part in envelopes]
    lengths = np.fromiter(map(len, parts), np.int64, len(parts))
    return np.frombuffer(b"".join(parts), np.uint8), np.concatenate([[0], np.cumsum(lengths)])


def play(deltas: pd.DataFrame) -> pd.DataFrame:
    """When each delta plays.

    `deltas`, in order of arrival within a session: `group` (session and epoch, dense, ascending),
    `response`, `item` (dense), `at_ns`, `audio_ns`, `jitter_ns`. Returns, on the same index:
    `start_ns`, `end_ns`; `gap_ns`: how long the reply paused before this delta (0 for its first);
    `queued_ns`, `held_ns`: of a run's first delta, the wait for what was still playing and the
    jitter buffer's.
    """
    if deltas.empty:
        return pd.DataFrame(
            {
                name: pd.Series(dtype="int64")
                for name in ("start_ns", "end_ns", "gap_ns", "queued_ns", "held_ns")
            },
            index=deltas.index,
        )
    at, length = deltas["at_ns"].to_numpy(), deltas["audio_ns"].to_numpy()
    group = deltas["group"].to_numpy()
    heads = _heads(group, deltas["response"].to_numpy(), deltas["item"].to_numpy())
    run = np.cumsum(heads) - 1
    first = np.flatnonzero(heads)
    before = np.cumsum(length) - length
    before -= before[first][run]  # audio of the run before each delta
    # A run's head says nothing about underruns: its own start comes from the walk.
    lateness = np.where(heads, ALWAYS, at - before)
    held_up = pd.Series(lateness).groupby(run).cummax().to_numpy()
    total = np.add.reduceat(length, first)
    latest = np.maximum.reduceat(lateness, first)
    begin, queued, held = _walk(
        group[first], at[first], deltas["jitter_ns"].to_numpy()[first], total, latest
    )
    start = np.maximum(begin[run], held_up) + before
    end = start + length
    played = pd.DataFrame({"start_ns": start, "end_ns": end}, index=deltas.index)
    played["gap_ns"] = _gaps(deltas, played, heads)
    played["queued_ns"] = np.where(heads, queued[run], 0)
    played["held_ns"] = np.where(heads, held[run], 0)
    return played


def _heads(*keys: Ints) -> NDArray[np.bool_]:
    """Where a new run begins: any key differs from the row before."""
    heads = np.zeros(len(keys[0]), bool)
    heads[0] = True
    for key in keys:
        heads[1:] |= key[1:] != key[:-1]
    return heads


def _walk(
    group: Ints, at: Ints, jitter: Ints, total: Ints, latest: Ints
) -> tuple[Ints, Ints, Ints]:
    """Start of each run, what it queued and what the jitter buffer held it back."""
    runs = pd.Series(group).groupby(group).cumcount().to_numpy()
    order = np.argsort(runs, kind="stable")
    bounds = np.searchsorted(runs[order], np.arange(runs.max() + 2))
    ends = np.full(int(group.max()) + 1, ALWAYS)
    begin, queued, held = (np.zeros(len(group), np.int64) for _ in range(3))
    for rank in range(len(bounds) - 1):
        these = order[bounds[rank] : bounds[rank + 1]]
        free, arrival = ends[group[these]], at[these]
        empty = free <= arrival
        held[these] = np.where(empty, jitter[these], 0)
        queued[these] = np.where(empty, 0, free - np.where(empty, free, arrival))
        begin[these] = np.where(empty, arrival + jitter[these], free)
        ends[group[these]] = np.maximum(begin[these], latest[these]) + total[these]
    return begin, queued, held


def _gaps(deltas: pd.DataFrame, played: pd.DataFrame, heads: NDArray[np.bool_]) -> Ints:
    """How long the reply paused before each delta.

    Inside a run that is starvation: arrival after the end of what played before. It is computed
    from arrivals and not from starts, so that the identity of every turn tests the walk above.
    """
    ends = played["end_ns"].to_numpy()
    previous = np.concatenate([[ALWAYS], ends[:-1]])
    starved = np.maximum(deltas["at_ns"].to_numpy() - np.where(heads, 0, previous), 0)
    mine = (
        played["end_ns"].groupby([deltas["group"], deltas["response"]]).shift(1, fill_value=ALWAYS)
    )
    mine_ends = mine.to_numpy()
    fresh = mine_ends == ALWAYS
    rejoined = played["start_ns"].to_numpy() - np.where(fresh, 0, mine_ends)
    return np.where(heads, np.where(fresh, 0, rejoined), starved)


def play_alone(run: Ints, at: Ints, length: Ints, begin: Ints) -> Ints:
    """Start of each delta where every run plays by itself, never emptied.

    `run` is dense and sorted; `begin` is the start of each run, by run.
    """
    if not len(run):
        return np.zeros(0, np.int64)
    heads = _heads(run)
    first = np.flatnonzero(heads)
    before = np.cumsum(length) - length
    before -= before[first][run]
    lateness = np.where(heads, ALWAYS, at - before)
    held_up = pd.Series(lateness).groupby(run).cummax().to_numpy()
    return np.asarray(np.maximum(begin[run], held_up) + before, np.int64)


def epochs(flushes: pd.DataFrame, session: Ints, row: Ints) -> tuple[Ints, Ints]:
    """For each (session, row): how many flushes of the whole log lie before it, and the next cut.

    The cut is the instant of the session's next flush, NEVER where none follows.
    """
    rows = flushes["row"].to_numpy()
    epoch = np.searchsorted(rows, row)
    if not len(rows):
        return epoch, np.full(len(row), NEVER)
    following = np.minimum(epoch, len(rows) - 1)
    mine = (epoch < len(rows)) & (flushes["session"].to_numpy()[following] == session)
    return epoch, np.where(mine, flushes["at_ns"].to_numpy()[following], NEVER)
