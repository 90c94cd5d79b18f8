"""What the caller has heard so far: a first-in-first-out player on the caller's side.

Theory of operation
-------------------
Speech arrives faster than it plays. The player starts a reply at its first chunk's arrival plus
the jitter buffer, never plays faster than real time, starves when the next chunk is late, and is
emptied when the caller interrupts. Chunk *i* therefore starts at max(arrival_i, end_{i-1}), and
everything else follows. `bench.analysis.playout` computes the same over tables.

What it refuses to know: samples. Whether something was audible is decided offline.
"""


class Playout:
    """One caller's ear. Instants are monotonic ns; lengths are ns of audio."""

    def __init__(self, jitter_buffer_ns: int = 0) -> None:
        self._jitter_ns = jitter_buffer_ns
        self._spans: list[list[int]] = []  # [start, end) of the current item, touching ones merged
        self.item_id = ""
        self.ends_ns = 0

    def feed(self, item_id: str, at_ns: int, duration_ns: int) -> None:
        """A chunk of `item_id` has arrived."""
        start = max(at_ns, self.ends_ns)
        if item_id != self.item_id:
            if self.ends_ns <= at_ns:
                start = at_ns + self._jitter_ns
            self.item_id, self._spans = item_id, []
        if self._spans and self._spans[-1][1] == start:
            self._spans[-1][1] = start + duration_ns
        else:
            self._spans.append([start, start + duration_ns])
        self.ends_ns = start + duration_ns

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
