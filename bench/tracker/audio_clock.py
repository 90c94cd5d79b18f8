"""The server's clock: audio written to it, and where that lies in the caller's time.

Theory of operation
-------------------
A server counts positions in audio that it was sent. While the microphone is open all the time, that
is the microphone's own timeline. In manual mode it is muted between recordings: nothing is sent
there, and the server's clock stands still. Every append says where on the timeline it lies
(`media_ns`), so where on the server's clock it lies (`written_ns`) is the sum of all before it, and
the appends are the map from one to the other. Before the first append and behind the last both
clocks run alike.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate


class AudioClock:
    """The appends of one session, in order."""

    def __init__(self) -> None:
        self._media: list[int] = []
        self._sent: list[int] = []
        self._written: list[int] = []
        self._total = 0

    def append(
        self, media_ns: Sequence[int], sent_ns: Sequence[int], audio_ns: Sequence[int]
    ) -> None:
        """Some appends were sent: where on the microphone's timeline, when, how long."""
        *begins, self._total = accumulate(audio_ns, initial=self._total)
        self._media += media_ns
        self._sent += sent_ns
        self._written += begins

    def to_media(self, written_ns: int) -> int:
        """A position on the server's clock as one on the microphone's timeline."""
        last = bisect_right(self._written, written_ns) - 1
        return written_ns + self._media[last] - self._written[last] if last >= 0 else written_ns

    def sent_ns(self, written_ns: int) -> int | None:
        """When the append that carries a sample was sent; None where none carries it."""
        if not 0 <= written_ns < self._total:
            return None
        return self._sent[bisect_right(self._written, written_ns) - 1]
