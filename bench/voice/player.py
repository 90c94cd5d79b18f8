"""A caller's player: first in, first out, with a jitter buffer.

Theory of operation
-------------------
Speech arrives faster than it plays. The player starts an item at its first chunk's arrival plus the
jitter buffer, never plays faster than real time, starves when the next chunk is late, and is
emptied when the caller interrupts. Chunk *i* therefore starts at max(arrival_i, end_{i-1}), and
everything else follows.

What it refuses to know: samples. Whether something was audible is decided offline.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

_SPAN_BYTES = 150
"""Of a list of two integers, about."""

Item = TypeVar("Item", bound=Hashable)


class Player(Generic[Item]):
    """One player of items, each with a key. Instants are monotonic ns; lengths are ns of audio.

    `item` is what played last, and `ends_ns` when all that has come will have played.
    """

    __slots__ = ("_jitter_ns", "_spans", "ends_ns", "item")

    def __init__(self, jitter_buffer_ns: int = 0) -> None:
        self._jitter_ns = jitter_buffer_ns
        self._spans: list[list[int]] = []  # [start, end) of the item, touching ones merged
        self.item: Item | None = None
        self.ends_ns = 0

    def feed(self, item: Item, at_ns: int, duration_ns: int) -> int:
        """A chunk of `item` has arrived; when it starts to play."""
        start = max(at_ns, self.ends_ns)
        if item != self.item:
            if self.ends_ns <= at_ns:
                start = at_ns + self._jitter_ns
            self.item, self._spans = item, []
        if self._spans and self._spans[-1][1] == start:
            self._spans[-1][1] = start + duration_ns
        else:
            self._spans.append([start, start + duration_ns])
        self.ends_ns = start + duration_ns
        return start

    @property
    def footprint(self) -> int:
        """Bytes, about, of what is remembered of the item."""
        return _SPAN_BYTES * len(self._spans)

    def playing(self, now_ns: int) -> bool:
        """Whether anything is left to play."""
        return now_ns < self.ends_ns

    def heard_ns(self, now_ns: int) -> int:
        """How much of the current item has been played by `now_ns`."""
        return sum(max(0, min(now_ns, end) - start) for start, end in self._spans)

    def reaches_ns(self, length_ns: int) -> int | None:
        """When `length_ns` of the current item will have been played; None: not enough arrived."""
        for start, end in self._spans:
            if length_ns <= end - start:
                return start + length_ns
            length_ns -= end - start
        return None

    def flush(self, now_ns: int) -> int:
        """Drop what has not been played; returns how much of the current item was (ns)."""
        heard = self.heard_ns(now_ns)
        self._spans = [[start, min(end, now_ns)] for start, end in self._spans if start < now_ns]
        self.ends_ns = min(self.ends_ns, now_ns)
        return heard
