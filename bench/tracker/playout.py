"""What the caller heard and when: its player, and which reply was in it at an instant.

Theory of operation
-------------------
The caller's own player (`bench.voice.player`) is played again with what the log says arrived; an
interruption (`bench.flush`) empties it. Flushes cut a session's deltas into *epochs*, and what
arrives after a flush for a response that had begun before it never reaches the player.

A reply is *playing* at an instant where it has been audible before and, were the player never
emptied, would be again. Both are asked of audible windows of 10 ms: when the last ends in the
player as it was, and in one that plays all it was sent.

Audibility comes from the level bytes that the log carries (half-decibels, see `AUDIBLE`), so no
sample is needed.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from typing import Final, NamedTuple

from bench.tracker.event import AudioDelta
from bench.voice.player import Player

WINDOW_NS: Final = 10_000_000
AUDIBLE_DBFS: Final = -50.0
"""Softer than the softest syllable of nominal speech (-26 dBFS, syllables down to 20 dB below it),
louder than the idle noise of 8 bit G.711 and comfort noise (below -55 dBFS)."""
AUDIBLE: Final = ceil(2 * (AUDIBLE_DBFS + 127.5))
"""The smallest level byte that is audible: dBFS = byte / 2 - 127.5, and 0 is digital silence."""


class Playback:
    """What a caller's player did. Tell it deltas as they arrived, and flushes as they came."""

    def __init__(self, jitter_ns: int = 0) -> None:
        self.epoch = 0
        self._jitter_ns = jitter_ns
        self._player = Player[tuple[int, str | None]](jitter_ns)
        self._waiting: list[AudioDelta] = []  # of this epoch: cut by the next flush
        self._ends: dict[int, int] = {}  # of each response in this epoch

    def play(self, delta: AudioDelta, response: int, epoch: int) -> None:
        """A delta of a response that began in `epoch` has arrived."""
        self._waiting.append(delta)
        if epoch != self.epoch:
            return
        player, item, at_ns = self._player, (response, delta.item_id), delta.at_ns
        goes_on, free_ns = item == player.item, player.ends_ns
        start_ns = player.feed(item, at_ns, delta.audio_ns)
        if goes_on:
            delta.gap_ns = start_ns - free_ns
        else:
            if free_ns <= at_ns:
                delta.held_ns = self._jitter_ns
            else:
                delta.queued_ns = free_ns - at_ns
            if response in self._ends:
                delta.gap_ns = start_ns - self._ends[response]
        delta.played = True
        delta.start_ns = start_ns
        self._ends[response] = player.ends_ns

    def flush(self, at_ns: int) -> None:
        """The caller emptied it."""
        for delta in self._waiting:
            delta.cut_ns = at_ns
        self._waiting = []
        self.epoch += 1
        self._player.flush(at_ns)
        self._ends = {}


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
    played = [delta for delta in deltas if delta.played]
    heard = next(_audible_begins(played), None)
    if heard is None:
        return None
    return Life(
        heard,
        next(_audible_ends(reversed(played))),
        _alone_ns(deltas, played[0].start_ns),
        max(delta.cut_ns for delta in played),
    )


def _audible_begins(played: Iterable[AudioDelta]) -> Iterator[int]:
    """When the first audible window of each delta began, where it did before the cut."""
    for delta in played:
        begin = delta.start_ns + delta.first_window * WINDOW_NS
        if delta.first_window >= 0 and begin < delta.cut_ns:
            yield begin


def _audible_ends(played: Iterable[AudioDelta]) -> Iterator[int]:
    """When the last audible window of each delta that began before the cut ended, or was cut."""
    for delta in played:
        if delta.first_window < 0 or delta.start_ns >= delta.cut_ns:
            continue
        window = delta.last_window
        if delta.cut_ns < delta.end_ns:
            reached = -((delta.start_ns - delta.cut_ns) // WINDOW_NS)  # windows begun by then
            levels = (delta.envelope or b"")[:reached]
            window = max((at for at, level in enumerate(levels) if level >= AUDIBLE), default=-1)
        if window >= 0:
            end = min((window + 1) * WINDOW_NS, delta.audio_ns)
            yield min(delta.start_ns + end, delta.cut_ns)


def _alone_ns(deltas: Sequence[AudioDelta], start_ns: int) -> int:
    """When a reply that starts to play at `start_ns`, and is never cut, is audible last."""
    end, audible = start_ns, start_ns
    for place, delta in enumerate(deltas):
        start = end if place == 0 or delta.at_ns < end else delta.at_ns
        end = start + delta.audio_ns
        if delta.last_window >= 0:
            audible = start + min((delta.last_window + 1) * WINDOW_NS, delta.audio_ns)
    return audible
