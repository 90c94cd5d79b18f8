"""What the caller heard and when: its player, and which reply was in it at an instant.

Theory of operation
-------------------
A player is first in, first out. Delta *i* starts at max(arrival_i, end_{i-1}); the first delta of
an item is held back by the jitter buffer where the player is empty; an interruption (`bench.flush`)
empties it. Flushes cut a session's deltas into *epochs*, and what arrives after a flush for a
response that had begun before it never reaches the player.

A reply is *playing* at an instant where it has been audible before and, were the player never
emptied, would be again. Both are asked of every audible window of 10 ms: when it ends in the player
as it was, and in one that plays all it was sent. Of deltas that were not cut short the first and
the last audible window stand for all.

Audibility comes from the level bytes that the log carries (half-decibels, see `AUDIBLE`), so no
sample is needed.
"""

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Final, NamedTuple

from bench.tracker.event import ALWAYS, NEVER, AudioDelta

WINDOW_NS: Final = 10_000_000
AUDIBLE_DBFS: Final = -50.0
"""Softer than the softest syllable of nominal speech (-26 dBFS, syllables down to 20 dB below it),
louder than the idle noise of 8 bit G.711 and comfort noise (below -55 dBFS)."""
AUDIBLE: Final = ceil(2 * (AUDIBLE_DBFS + 127.5))
"""The smallest level byte that is audible: dBFS = byte / 2 - 127.5, and 0 is digital silence."""


class Player:
    """The caller's player. Feed it deltas as they arrive, and flush it as the caller did."""

    def __init__(self, jitter_ns: int = 0) -> None:
        self.jitter_ns = jitter_ns
        self.epoch = 0
        self._waiting: list[AudioDelta] = []  # of this epoch: cut by the next flush
        self._free_ns = ALWAYS
        self._last: tuple[int, str | None] | None = None  # response and item of the run
        self._ends: dict[int, int] = {}  # of each response in this epoch

    def play(self, delta: AudioDelta, response: int, epoch: int) -> None:
        """A delta of a response that began in `epoch` has arrived."""
        self._waiting.append(delta)
        if epoch != self.epoch:
            return
        run = (response, delta.item_id)
        if run == self._last:
            delta.start_ns = max(delta.at_ns, self._free_ns)
            delta.gap_ns = max(delta.at_ns - self._free_ns, 0)
        else:
            if self._free_ns <= delta.at_ns:
                delta.held_ns = self.jitter_ns
                delta.start_ns = delta.at_ns + self.jitter_ns
            else:
                delta.queued_ns = self._free_ns - delta.at_ns
                delta.start_ns = self._free_ns
            if response in self._ends:
                delta.gap_ns = delta.start_ns - self._ends[response]
        delta.played = True
        self._last = run
        self._free_ns = self._ends[response] = delta.end_ns

    def flush(self, at_ns: int) -> None:
        """The caller emptied it."""
        for delta in self._waiting:
            delta.cut_ns = at_ns
        self._waiting = []
        self.epoch += 1
        self._free_ns, self._last, self._ends = ALWAYS, None, {}


class Window(NamedTuple):
    """An audible window: when it played, if it did, and its end in a player never emptied."""

    in_player: bool
    begin_ns: int
    end_ns: int
    alone_ns: int


class Life(NamedTuple):
    """How long a reply was in the player.

    heard_ns:  when it was first audible
    silent_ns: when it was last audible; alone_ns: in a player that is never emptied
    cut_ns:    when the player was emptied of it; NEVER: it was not
    """

    heard_ns: int
    silent_ns: int
    alone_ns: int
    cut_ns: int


def life_of(deltas: Sequence[AudioDelta]) -> Life | None:
    """The life of a reply in the player; None: it was never audible there."""
    shown = list(_windows(deltas))
    heard = [window for window in shown if window.in_player]
    if not heard:
        return None
    return Life(
        min(window.begin_ns for window in heard),
        max(window.end_ns for window in heard),
        max(window.alone_ns for window in shown),
        max(delta.cut_ns for delta in deltas if delta.played),
    )


def _windows(deltas: Sequence[AudioDelta]) -> Iterator[Window]:
    """Every audible window of a reply that can matter."""
    alone = next((delta.start_ns for delta in deltas if delta.played), NEVER)
    if alone == NEVER:
        return
    end = alone
    for place, delta in enumerate(deltas):
        alone = end if place == 0 else max(delta.at_ns, end)
        end = alone + delta.audio_ns
        start = delta.start_ns if delta.played else 0
        for window in _audible(delta):
            begin = window * WINDOW_NS
            stop = min(begin + WINDOW_NS, delta.audio_ns)
            yield Window(
                delta.played and start + begin < delta.cut_ns,
                start + begin,
                min(start + stop, delta.cut_ns),
                alone + stop,
            )


def _audible(delta: AudioDelta) -> Sequence[int]:
    """All audible windows of a delta that was cut short; the first and last of another."""
    if delta.played and delta.start_ns < delta.cut_ns < delta.end_ns:
        levels = delta.envelope or b""
        return [place for place, level in enumerate(levels) if level >= AUDIBLE]
    return (delta.first_window, delta.last_window) if delta.first_window >= 0 else ()
